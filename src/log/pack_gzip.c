/* Packing with gzip: see pack.h. */
#include "log/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK_SIZE 131072
#define GZIP       (15 + 16) /* the largest window, and gzip's header instead of zlib's */

const char log_pack_suffix[] = ".gz";

static int put(z_stream *z, int out, unsigned char *block, int flush)
{
    int code;
    do {
        z->next_out = block;
        z->avail_out = BLOCK_SIZE;
        code = deflate(z, flush);
        int result = log_write_all(out, block, BLOCK_SIZE - z->avail_out);
        if (result < 0)
            return result;
    } while (z->avail_out == 0);
    return flush == Z_FINISH && code != Z_STREAM_END ? -EIO : 0;
}

int log_pack(int in, int out, const volatile int *stop)
{
    z_stream z = {0};
    unsigned char *blocks = malloc(2 * BLOCK_SIZE);
    if (!blocks ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(blocks);
        return -ENOMEM;
    }
    int result = 0;
    ssize_t n = 1;
    while (result == 0 && n != 0) {
        if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED)) {
            result = -ECANCELED;
            break;
        }
        n = read(in, blocks, BLOCK_SIZE);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            result = -errno;
            break;
        }
        z.next_in = blocks;
        z.avail_in = (unsigned)n;
        result = put(&z, out, blocks + BLOCK_SIZE, n == 0 ? Z_FINISH : Z_NO_FLUSH);
    }
    (void)deflateEnd(&z);
    free(blocks);
    return result;
}
