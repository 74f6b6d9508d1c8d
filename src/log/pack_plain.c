/* In place of pack_gzip.c in a build without zlib: archived files are plain. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "log/pack.h"

#define BLOCK_SIZE 131072

const char log_pack_suffix[] = "";

int log_pack(int in, int out, const volatile int *stop)
{
    char *block = malloc(BLOCK_SIZE);
    if (!block)
        return -ENOMEM;
    int result = 0;
    ssize_t n = 1;
    while (result == 0 && n != 0) {
        if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED)) {
            result = -ECANCELED;
            break;
        }
        n = read(in, block, BLOCK_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        result = n < 0 ? -errno : log_write_all(out, block, (size_t)n);
    }
    free(block);
    return result;
}
