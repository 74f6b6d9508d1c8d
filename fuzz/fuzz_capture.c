/* A capture file of any of the formats, given as a file in memory, read to its end: in large
 * blocks, and in small ones, where every record lies across their ends. Both must give the same
 * frames. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Enough for any input that is worth it; what is compressed may unpack to a thousand times more. */
#define MAX_FRAMES 20000

struct result {
    uint64_t n, hash;
    unsigned n_warnings;
};

static void mix(struct result *result, uint64_t value)
{
    result->hash = (result->hash ^ value) * 0x9e3779b97f4a7c15;
}

static void add_frame(struct result *result, const struct frame *frame)
{
    if (frame->wire_size < frame->size && frame->wire_size != 0)
        abort();
    mix(result, (uint64_t)frame->ts);
    mix(result, frame->size);
    mix(result, frame->wire_size);
    mix(result, frame->link);
    for (uint32_t i = 0; i < frame->size; i++)
        mix(result, frame->bytes[i]);
    result->n++;
}

static void hear(const char *text, void *with)
{
    struct result *result = with;
    if (!text[0])
        abort();
    result->n_warnings++;
}

/* False: it was refused. */
static bool read_all(const char *name, size_t block_size, struct result *out)
{
    const char *names[] = {name, name};
    struct capture_tuning tuning = {.block_size = block_size, .max_open = 1};
    struct capture *capture = NULL;
    struct err err = {.text = ""};
    /* Small blocks: the file twice, which makes it a merge. */
    if (capture_open_tuned(names, block_size ? 2 : 1, 1, &tuning, &capture, &err) < 0) {
        if (!err.text[0])
            abort(); /* a refusal must say why */
        return false;
    }
    struct frame frames[CAPTURE_BURST];
    struct capture_cursor *cursor = capture_cursor(capture, 0);
    int n;
    while (out->n < MAX_FRAMES && (n = capture_next(cursor, frames)) > 0)
        for (int i = 0; i < n; i++)
            add_frame(out, &frames[i]);
    capture_warnings(capture, hear, out);
    capture_close(capture);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("capture", MFD_CLOEXEC);
    if (fd < 0 || (size && write(fd, bytes, size) != (ssize_t)size))
        abort();
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    struct result large = {0};
    struct result small = {0};
    if (read_all(name, 0, &large) != read_all(name, 48, &small))
        abort();
    if (large.n < MAX_FRAMES && small.n < MAX_FRAMES &&
        (small.n != 2 * large.n || small.n_warnings != 2 * large.n_warnings))
        abort();
    close(fd);
    return 0;
}
