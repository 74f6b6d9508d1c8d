/* The type of a file from its first bytes; the table follows. */
#include "proto/mime.h"

const char *mime_of(const uint8_t *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    return NULL;
}
