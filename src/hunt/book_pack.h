/* Packing of a saved book's pieces: zlib's fastest level (book_pack_zlib.c), or not at all in a
 * build without zlib (book_pack_plain.c). */
#ifndef HUNT_BOOK_PACK_H
#define HUNT_BOOK_PACK_H

#include <stdbool.h>
#include <stddef.h>

/* The packed size; 0: it does not come below `room`, and is to be kept as it is. */
size_t book_pack(const void *bytes, size_t size, void *out, size_t room);

/* False: not packed so, not of exactly this size, or this build cannot. */
bool book_unpack(const void *bytes, size_t size, void *out, size_t out_size);

#endif
