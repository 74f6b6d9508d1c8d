/* Packing with zlib: see book_pack.h. */
#include "hunt/book_pack.h"

#include <zlib.h>

size_t book_pack(const void *bytes, size_t size, void *out, size_t room)
{
    uLongf packed = room;
    return compress2(out, &packed, bytes, size, Z_BEST_SPEED) == Z_OK ? packed : 0;
}

bool book_unpack(const void *bytes, size_t size, void *out, size_t out_size)
{
    uLongf unpacked = out_size;
    uLong used = size;
    return uncompress2(out, &unpacked, bytes, &used) == Z_OK && unpacked == out_size &&
           used == size;
}
