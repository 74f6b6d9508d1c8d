/* Zstandard (RFC 8878) by libzstd: frames one after the other, skippable ones between them. */
#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

#include "capture/input.h"

#define PACKED_SIZE (64u << 10)
#define FIRST_PIECE 5 /* of a frame: libzstd says how much it wants next */

struct zstd {
    ZSTD_DStream *stream;
    size_t left;     /* what libzstd wants next; 0: between frames */
    size_t at, size; /* of `packed` */
    bool pending;    /* libzstd may hold bytes that did not fit */
    uint8_t packed[PACKED_SIZE];
};

static int zstd_begin(struct input *input, struct err *err)
{
    struct zstd *zstd = malloc(sizeof *zstd);
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!zstd || !stream) {
        free(zstd);
        (void)ZSTD_freeDStream(stream); /* takes NULL */
        return err_set(err, -ENOMEM, "%s: no memory to unpack it", input->shown);
    }
    zstd->stream = stream;
    zstd->left = zstd->at = zstd->size = 0;
    zstd->pending = false;
    input->unpacker = zstd;
    return 0;
}

static void zstd_end(struct input *input)
{
    struct zstd *zstd = input->unpacker;
    (void)ZSTD_freeDStream(zstd->stream); /* cannot fail */
    free(zstd);
}

static ssize_t zstd_read(struct input *input, void *bytes, size_t size, struct err *err)
{
    struct zstd *zstd = input->unpacker;
    ZSTD_outBuffer out = {.dst = bytes, .size = size};
    /* Until something came out: what is there goes on before a pipe is waited for. */
    while (out.pos == 0) {
        if (zstd->at == zstd->size && !zstd->pending) {
            ssize_t n = input_read_packed(input, zstd->packed, PACKED_SIZE, err);
            if (n < 0 || (n == 0 && zstd->left == 0))
                return n;
            if (n == 0)
                return err_set(err, -EBADMSG, "%s: its zstd data is cut short at byte %llu",
                               input->shown, (unsigned long long)input->offset);
            zstd->size = (size_t)n;
            zstd->at = 0;
        }
        /* One block at a time, and out with all of it: when one is damaged, what was before it has
         * been given. */
        size_t piece = zstd->left > 0 ? zstd->left : FIRST_PIECE;
        if (zstd->pending)
            piece = 0;
        if (piece > zstd->size - zstd->at)
            piece = zstd->size - zstd->at;
        ZSTD_inBuffer in = {.src = zstd->packed + zstd->at, .size = piece};
        size_t left = ZSTD_decompressStream(zstd->stream, &out, &in);
        if (ZSTD_isError(left))
            return err_set(err, -EBADMSG, "%s: its zstd data is damaged near byte %llu: %s",
                           input->shown,
                           (unsigned long long)(input->offset - zstd->size + zstd->at),
                           ZSTD_getErrorName(left));
        zstd->at += in.pos;
        zstd->left = left;
        zstd->pending = out.pos == out.size;
    }
    return (ssize_t)out.pos;
}

const struct input_codec input_zstd = {
    .name = "zstd",
    .begin = zstd_begin,
    .read = zstd_read,
    .end = zstd_end,
};
