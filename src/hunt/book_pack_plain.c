/* In place of book_pack_zlib.c in a build without zlib. */
#include "hunt/book_pack.h"

size_t book_pack(const void *bytes, size_t size, void *out, size_t room)
{
    (void)bytes, (void)size, (void)out, (void)room;
    return 0;
}

bool book_unpack(const void *bytes, size_t size, void *out, size_t out_size)
{
    (void)bytes, (void)size, (void)out, (void)out_size;
    return false;
}
