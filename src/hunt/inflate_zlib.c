/* Unpacking with zlib: see inflate.h. */
#include "hunt/inflate.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP (15 + 16) /* the largest window, and gzip's header instead of zlib's */

struct inflate {
    z_stream z;
    bool whole;
};

struct inflate *inflate_new(void)
{
    struct inflate *it = calloc(1, sizeof *it);
    if (it && inflateInit2(&it->z, GZIP) != Z_OK) {
        free(it);
        return NULL;
    }
    return it;
}

void inflate_free(struct inflate *it)
{
    if (!it)
        return;
    (void)inflateEnd(&it->z);
    free(it);
}

bool inflate_step(struct inflate *it, const void *in, size_t in_size, size_t *out_taken, void *out,
                  size_t out_size, size_t *out_given)
{
    z_stream *z = &it->z;
    *out_taken = *out_given = 0;
    if (in_size == 0 && it->whole)
        return true;
    if (it->whole) {
        /* What is behind a member is another, or padding of zeros. */
        if (*(const unsigned char *)in == 0) {
            *out_taken = in_size;
            return true;
        }
        if (inflateReset(z) != Z_OK)
            return false;
        it->whole = false;
    }
    z->next_in = (z_const Bytef *)in;
    z->avail_in = in_size > UINT_MAX ? UINT_MAX : (uInt)in_size;
    z->next_out = out;
    z->avail_out = out_size > UINT_MAX ? UINT_MAX : (uInt)out_size;
    uInt had_in = z->avail_in, had_out = z->avail_out;
    int code = inflate(z, Z_NO_FLUSH);
    *out_taken = had_in - z->avail_in;
    *out_given = had_out - z->avail_out;
    it->whole = code == Z_STREAM_END;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR;
}

bool inflate_is_whole(const struct inflate *it)
{
    return it->whole;
}
