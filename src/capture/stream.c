/* The walk over a stream. What has come lies in one buffer; a packet that is not whole stays, and
 * moves to the front when there is more to be read. */
#include "capture/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/live_kind.h"
#include "capture/walk.h"

#define READ_SIZE ((size_t)256 << 10)
/* Of one call, so that a sender of nothing but skipped blocks gets no more than its share. */
#define MAX_READS 16

struct stream {
    struct live_source source;
    struct walk walk;
    uint8_t *buffer;
    size_t buffer_size;
    uint64_t n_read;
    uint64_t skip; /* bytes that come next and are not wanted */
};

/* Moves what is left to the front, and makes room for what is needed and a read. */
static int make_room(struct stream *stream, size_t left)
{
    memmove(stream->buffer, stream->walk.at.at, left);
    stream->walk.at = rd_make(stream->buffer, left);
    size_t wanted = (left > stream->walk.need ? left : stream->walk.need) + READ_SIZE;
    if (wanted <= stream->buffer_size)
        return 0;
    uint8_t *larger = realloc(stream->buffer, wanted);
    if (!larger)
        return err_set(&stream->source.problem, -ENOMEM, "no memory for a packet of %u bytes",
                       stream->walk.need);
    stream->buffer = larger;
    stream->buffer_size = wanted;
    stream->walk.at = rd_make(larger, left);
    return 0;
}

static int ended(struct stream *stream, size_t left)
{
    if (left > 0 || stream->skip > 0)
        return err_set(&stream->source.problem, -EPIPE,
                       "the stream ended in the middle of a packet, after %" PRIu64 " bytes",
                       stream->n_read);
    return err_set(&stream->source.problem, -EPIPE, "the stream ended, after %" PRIu64 " bytes",
                   stream->n_read);
}

/* More of the stream, behind what is left. 1: something came; 0: nothing is there. */
static int read_more(struct stream *stream)
{
    struct pollfd wait = {.fd = stream->source.fd, .events = POLLIN};
    int ready = poll(&wait, 1, 0);
    if (ready < 0 && errno != EINTR)
        return err_set(&stream->source.problem, -errno, "reading the stream: %s", strerror(errno));
    if (ready <= 0)
        return 0;
    size_t left = rd_left(&stream->walk.at);
    int code = make_room(stream, left);
    if (code < 0)
        return code;
    ssize_t got = read(stream->source.fd, stream->buffer + left, stream->buffer_size - left);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR
                   ? 0
                   : err_set(&stream->source.problem, -errno, "reading the stream: %s",
                             strerror(errno));
    if (got == 0)
        return ended(stream, left);
    stream->n_read += (uint64_t)got;
    size_t dropped = stream->skip < (uint64_t)got ? (size_t)stream->skip : (size_t)got;
    stream->skip -= dropped;
    memmove(stream->buffer + left, stream->buffer + left + dropped, (size_t)got - dropped);
    stream->walk.at = rd_make(stream->buffer, left + (size_t)got - dropped);
    return 1;
}

static int next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    struct stream *stream = (struct stream *)source;
    struct walk *walk = &stream->walk;
    for (unsigned n_reads = 0; n_reads < MAX_READS; n_reads++) {
        size_t n = 0;
        if (stream->skip == 0 && rd_left(&walk->at) >= walk->need) {
            n = walk->step(walk, out, CAPTURE_BURST, INT64_MAX);
            if (walk->stop == WALK_NEED)
                stream->skip = walk->skip;
            else
                walk->need = 0;
        }
        if (n > 0)
            return (int)n;
        if (walk->stop == WALK_BAD)
            return err_set(&source->problem, -EBADMSG, "%s, %" PRIu64 " bytes into the stream",
                           walk->bad, stream->n_read - rd_left(&walk->at));
        int code = read_more(stream);
        if (code <= 0)
            return code;
    }
    return 0;
}

static void count(struct live_source *source)
{
    const struct stream *stream = (const struct stream *)source;
    source->counters.n_truncated = stream->walk.n_cut;
    source->counters.n_unknown_interface = stream->walk.n_unknown;
}

static void free_stream(struct live_source *source)
{
    struct stream *stream = (struct stream *)source;
    walk_done(&stream->walk);
    free(stream->buffer);
    free(stream);
}

static const struct live_kind kind = {.next = next, .count = count, .free = free_stream};

int stream_attach(int fd, uint16_t input, struct live_source **out, struct err *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    uint8_t *buffer = malloc(READ_SIZE);
    if (!stream || !buffer) {
        free(stream);
        free(buffer);
        return err_set(err, -ENOMEM, "no memory to read a stream");
    }
    stream->source = (struct live_source){.kind = &kind, .fd = fd, .input = input};
    stream->buffer = buffer;
    stream->buffer_size = READ_SIZE;
    walk_init(&stream->walk);
    stream->walk.at = rd_make(buffer, 0);
    *out = &stream->source;
    return 0;
}
