/* In place of gzip.c in a build without zlib: says what to do instead. */
#include <errno.h>

#include "capture/input.h"

static int gzip_begin(struct input *input, struct err *err)
{
    return err_set(
        err, -ENOTSUP,
        "%s: is gzip-compressed, and this build has no zlib: unpack it with \"gzip -dc\" "
        "into a pipe",
        input->shown);
}

const struct input_codec input_gzip = {.name = "gzip", .begin = gzip_begin};
