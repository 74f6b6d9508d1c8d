/* The beginning of a file, from a block of its exact size. */
#include <stdlib.h>
#include <string.h>

#include "proto/mime.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    if (size)
        memcpy(exact, bytes, size);
    const char *mime = mime_of(exact, size);
    if (mime && !strchr(mime, '/'))
        abort();
    free(exact);
    return 0;
}
