/* gzip (RFC 1952) by zlib: members one after the other, zeros after the last. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "capture/input.h"

#define PACKED_SIZE (64u << 10)

struct gzip {
    z_stream stream;
    bool between; /* members: the next byte, if any, begins one */
    uint8_t packed[PACKED_SIZE];
};

static int gzip_begin(struct input *input, struct err *err)
{
    struct gzip *gzip = malloc(sizeof *gzip);
    if (!gzip)
        return err_set(err, -ENOMEM, "%s: no memory to unpack it", input->shown);
    memset(&gzip->stream, 0, sizeof gzip->stream);
    gzip->between = false;
    if (inflateInit2(&gzip->stream, 15 + 16) != Z_OK) {
        free(gzip);
        return err_set(err, -ENOMEM, "%s: no memory to unpack it", input->shown);
    }
    input->unpacker = gzip;
    return 0;
}

static void gzip_end(struct input *input)
{
    struct gzip *gzip = input->unpacker;
    (void)inflateEnd(&gzip->stream); /* refuses only a stream that is not one */
    free(gzip);
}

static unsigned long long packed_offset(const struct input *input, const struct gzip *gzip)
{
    return (unsigned long long)(input->offset - gzip->stream.avail_in);
}

/* 1: there is input; 0: the file's end; or a negative errno. */
static int gzip_fill(struct input *input, struct gzip *gzip, struct err *err)
{
    if (gzip->stream.avail_in > 0)
        return 1;
    ssize_t n = input_read_packed(input, gzip->packed, PACKED_SIZE, err);
    if (n < 0)
        return (int)n;
    gzip->stream.next_in = gzip->packed;
    gzip->stream.avail_in = (uInt)n;
    return n > 0;
}

/* 1: another member begins; 0: the file ends here, but for zeros; or a negative errno. */
static int gzip_next_member(struct input *input, struct gzip *gzip, struct err *err)
{
    for (bool padded = false;; padded = true) {
        int code = gzip_fill(input, gzip, err);
        if (code <= 0)
            return code;
        if (*gzip->stream.next_in == 0x1f && !padded) {
            gzip->between = false;
            return inflateReset(&gzip->stream) == Z_OK ? 1 : -EINVAL;
        }
        while (gzip->stream.avail_in > 0 && *gzip->stream.next_in == 0) {
            gzip->stream.next_in++;
            gzip->stream.avail_in--;
        }
        if (gzip->stream.avail_in > 0)
            return err_set(err, -EBADMSG,
                           "%s: what follows its gzip data, at byte %llu, is left out",
                           input->shown, packed_offset(input, gzip));
    }
}

static ssize_t gzip_read(struct input *input, void *bytes, size_t size, struct err *err)
{
    struct gzip *gzip = input->unpacker;
    z_stream *stream = &gzip->stream;
    if (size > 1u << 30)
        size = 1u << 30;
    stream->next_out = bytes;
    stream->avail_out = (uInt)size;
    /* Until something came out: what is there goes on before a pipe is waited for. */
    while (stream->avail_out == size) {
        int code = gzip->between ? gzip_next_member(input, gzip, err) : gzip_fill(input, gzip, err);
        if (code < 0 || (code == 0 && gzip->between))
            return code;
        if (code == 0)
            return err_set(err, -EBADMSG, "%s: its gzip data is cut short at byte %llu",
                           input->shown, (unsigned long long)input->offset);
        code = inflate(stream, Z_NO_FLUSH);
        if (code == Z_STREAM_END)
            gzip->between = true;
        else if (code == Z_MEM_ERROR)
            return err_set(err, -ENOMEM, "%s: no memory to unpack it", input->shown);
        else if (code != Z_OK && code != Z_BUF_ERROR && stream->avail_out == size)
            return err_set(err, -EBADMSG, "%s: its gzip data is damaged near byte %llu",
                           input->shown, packed_offset(input, gzip));
    }
    return (ssize_t)(size - stream->avail_out);
}

const struct input_codec input_gzip = {
    .name = "gzip",
    .begin = gzip_begin,
    .read = gzip_read,
    .end = gzip_end,
};
