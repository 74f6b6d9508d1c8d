/* In place of zstd.c in a build without libzstd: says what to do instead. */
#include <errno.h>

#include "capture/input.h"

static int zstd_begin(struct input *input, struct err *err)
{
    return err_set(err, -ENOTSUP,
                   "%s: is zstd-compressed, and this build has no libzstd: unpack it with "
                   "\"zstd -dc\" into a pipe",
                   input->shown);
}

const struct input_codec input_zstd = {.name = "zstd", .begin = zstd_begin};
