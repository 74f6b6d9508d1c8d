/* A pcap stream into a pipe that may not be read as fast as packets come: see stream.h.
 *
 *     +-------------------------------+     then for each packet
 *     |        magic a1b2c3d4         |     +-------------------------------+
 *     |   version 2   |   version 4   |     |            seconds            |
 *     |             0 (zone)          |     |   micro- or nanoseconds       |
 *     |             0 (accuracy)      |     |         bytes kept            |
 *     |          snap length          |     |         bytes sent            |
 *     |         link type 1           |     :            bytes              :
 *     +-------------------------------+     +-------------------------------+
 *
 * Writers collect whole records; the queue in front of the descriptor is shared, takes a writer's
 * records or refuses them, and is written as far as the pipe takes it, under a lock that is taken
 * once a burst. So a record that went out in part is always the queue's first. */
#include "sink/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink/ether.h"

#define HEADER_SIZE 24
#define RECORD_SIZE 16
#define WRITER_SIZE (512u << 10)
#define PIPE_SIZE   (1 << 20)
#define QUEUE_SIZE  (4u << 20)
#define END_TURNS   1000 /* of a pipe's size */
#define END_WAIT_MS 1000
#define NANOSECONDS 1000000000ll

struct stream {
    struct sink sink;
    uint32_t snap_size;
    bool nanoseconds;
    bool is_socket;
    int folder_fd; /* of the FIFO; -1: it is no FIFO of ours */
    char name[256];

    pthread_mutex_t lock;
    int fd; /* -1: nobody reads */
    bool gone_for_good;
    uint8_t *queue; /* bytes [start, end) wait */
    uint32_t start, end, capacity;
};

struct stream_writer {
    struct sink_writer writer;
    uint32_t used, n_records;
    uint64_t n_bytes, n_cut;
    uint8_t bytes[WRITER_SIZE];
};

static struct stream *stream_of(struct sink *sink)
{
    return (struct stream *)sink;
}

static size_t put32(uint8_t *out, uint32_t value)
{
    memcpy(out, &value, sizeof value);
    return sizeof value;
}

static uint32_t put_header(const struct stream *stream, uint8_t *out)
{
    const uint16_t version[2] = {2, 4};
    size_t at = put32(out, stream->nanoseconds ? 0xa1b23c4d : 0xa1b2c3d4);
    memcpy(out + at, version, sizeof version);
    at += sizeof version;
    at += put32(out + at, 0);
    at += put32(out + at, 0);
    at += put32(out + at, STREAM_MAX_PACKET);
    at += put32(out + at, LINK_ETHERNET);
    return (uint32_t)at;
}

/* Nobody reads any more. What waited for him is lost; it was counted as written. */
static void reader_gone(struct stream *stream, int code)
{
    close(stream->fd);
    stream->fd = -1;
    stream->gone_for_good = stream->folder_fd < 0;
    stream->start = stream->end = 0;
    if (code == EPIPE || code == ECONNRESET)
        sink_say(&stream->sink, "packet stream: the reader is gone%s",
                 stream->gone_for_good ? "" : "; waiting for another");
    else
        sink_say(&stream->sink, "packet stream: %s", strerror(code));
}

/* As much as goes without waiting. Locked. */
static void drain(struct stream *stream)
{
    while (stream->fd >= 0 && stream->start < stream->end) {
        const uint8_t *at = stream->queue + stream->start;
        size_t size = stream->end - stream->start;
        ssize_t n = stream->is_socket ? send(stream->fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                                      : write(stream->fd, at, size);
        if (n > 0)
            stream->start += (uint32_t)n;
        else if (n < 0 && errno == EAGAIN)
            return;
        else if (n == 0 || errno != EINTR)
            reader_gone(stream, n == 0 ? EIO : errno);
    }
    stream->start = stream->end = 0;
}

/* All of it or nothing. Locked. */
static bool enqueue(struct stream *stream, const uint8_t *bytes, uint32_t size)
{
    if (stream->capacity - (stream->end - stream->start) < size)
        return false;
    if (stream->capacity - stream->end < size) {
        memmove(stream->queue, stream->queue + stream->start, stream->end - stream->start);
        stream->end -= stream->start;
        stream->start = 0;
    }
    memcpy(stream->queue + stream->end, bytes, size);
    stream->end += size;
    return true;
}

static void welcome(struct stream *stream)
{
    uint8_t header[HEADER_SIZE];
    (void)fcntl(stream->fd, F_SETPIPE_SZ, PIPE_SIZE); /* less than a full one is fine too */
    (void)enqueue(stream, header, put_header(stream, header));
    drain(stream);
}

/* A FIFO opens for writing when somebody reads it. */
static void look_for_reader(struct stream *stream)
{
    if (stream->fd >= 0 || stream->folder_fd < 0)
        return;
    stream->fd = openat(stream->folder_fd, stream->name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (stream->fd >= 0)
        welcome(stream);
}

static void hand_over(struct stream_writer *w)
{
    struct stream *stream = stream_of(w->writer.sink);
    struct sink_counters *counters = &w->writer.counters;
    pthread_mutex_lock(&stream->lock);
    bool is_gone = stream->fd < 0;
    if (!is_gone)
        drain(stream);
    bool taken = !is_gone && enqueue(stream, w->bytes, w->used);
    if (taken)
        drain(stream);
    pthread_mutex_unlock(&stream->lock);
    if (taken) {
        counters->n_written += w->n_records;
        counters->n_bytes += w->n_bytes;
        counters->n_cut += w->n_cut;
    } else {
        counters->n_refused[is_gone ? SINK_GONE : SINK_FULL] += w->n_records;
    }
    w->used = w->n_records = 0;
    w->n_bytes = w->n_cut = 0;
}

static void write_packet(struct sink_writer *writer, const struct sink_packet *packet)
{
    struct stream *stream = stream_of(writer->sink);
    struct stream_writer *w = (struct stream_writer *)writer;
    uint8_t header[ETHER_HEADER_SIZE];
    int more = ether_header(packet, header);
    if (more < 0) {
        sink_refuse(writer, SINK_LINK);
        return;
    }
    uint32_t size = packet->size, front = (uint32_t)more;
    if (size > stream->snap_size - front)
        size = stream->snap_size - front;
    if (w->used + RECORD_SIZE + front + size > WRITER_SIZE)
        hand_over(w);
    uint64_t ts = packet->ts > 0 ? (uint64_t)packet->ts : 0;
    uint32_t part = (uint32_t)(ts % NANOSECONDS);
    uint8_t *out = w->bytes + w->used;
    out += put32(out, (uint32_t)(ts / NANOSECONDS));
    out += put32(out, stream->nanoseconds ? part : part / 1000);
    out += put32(out, front + size);
    out += put32(out, front + (packet->wire_size > size ? packet->wire_size : size));
    memcpy(out, header, front);
    memcpy(out + front, packet->bytes, size);
    w->used += RECORD_SIZE + front + size;
    w->n_records++;
    w->n_bytes += size;
    w->n_cut += size < packet->size;
}

static void burst(struct sink_writer *writer)
{
    struct stream_writer *w = (struct stream_writer *)writer;
    if (w->n_records > 0)
        hand_over(w);
}

static void flush(struct sink_writer *writer)
{
    struct stream *stream = stream_of(writer->sink);
    burst(writer);
    pthread_mutex_lock(&stream->lock);
    look_for_reader(stream);
    drain(stream);
    pthread_mutex_unlock(&stream->lock);
}

static int attach(struct sink *sink, struct sink_writer **out, struct err *err)
{
    struct stream_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, -ENOMEM, "out of memory");
    *out = &w->writer;
    return 0;
}

static void detach(struct sink_writer *writer)
{
    free(writer);
}

/* The reader gets the rest, as long as he goes on reading. */
static void drain_at_end(struct stream *stream)
{
    drain(stream);
    for (int i = 0; i < END_TURNS && stream->end > stream->start; i++) {
        struct pollfd one = {.fd = stream->fd, .events = POLLOUT};
        if (poll(&one, 1, END_WAIT_MS) <= 0)
            return;
        drain(stream);
    }
}

static int close_sink(struct sink *sink, struct err *err)
{
    struct stream *stream = stream_of(sink);
    int result = 0;
    drain_at_end(stream);
    if (stream->end > stream->start)
        result = err_set(err, -EAGAIN, "packet stream: the reader did not take the last %u bytes",
                         stream->end - stream->start);
    if (stream->fd >= 0)
        close(stream->fd);
    if (stream->folder_fd >= 0)
        close(stream->folder_fd);
    pthread_mutex_destroy(&stream->lock);
    free(stream->queue);
    sink_done(sink);
    free(stream);
    return result;
}

static const struct sink_ops ops = {
    .name = "stream",
    .attach = attach,
    .write = write_packet,
    .burst = burst,
    .flush = flush,
    .detach = detach,
    .close = close_sink,
};

/* Non-blocking, without making it so for whoever else has the descriptor: a pipe is opened once
 * more, a file is waited for, a socket is asked each time. */
static int adopt(struct stream *stream, int fd, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "packet stream: %s", strerror(errno));
    if (isatty(fd))
        return err_set(err, -EINVAL,
                       "packets are not written to a terminal: pipe them into a reader");
    stream->is_socket = S_ISSOCK(st.st_mode);
    if (S_ISFIFO(st.st_mode)) {
        char path[40];
        (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        stream->fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (stream->fd >= 0)
            return 0;
    }
    stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (stream->fd < 0)
        return err_set(err, -errno, "packet stream: %s", strerror(errno));
    if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
        (void)fcntl(stream->fd, F_SETFL, fcntl(stream->fd, F_GETFL) | O_NONBLOCK);
    return 0;
}

static int open_folder(struct stream *stream, const char *path, struct err *err)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (strlen(name) >= sizeof stream->name || len >= sizeof folder)
        return err_set(err, -ENAMETOOLONG, "%s: the name is too long", path);
    (void)snprintf(stream->name, sizeof stream->name, "%s", name);
    (void)snprintf(folder, sizeof folder, "%.*s", (int)len, path);
    stream->folder_fd = open(!slash ? "." : len ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (stream->folder_fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    return 0;
}

static int open_path(struct stream *stream, const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISFIFO(st.st_mode)) {
        int result = open_folder(stream, path, err);
        if (result < 0)
            return result;
        stream->fd = openat(stream->folder_fd, stream->name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (stream->fd < 0 && errno != ENXIO)
            return err_set(err, -errno, "%s: cannot write to it: %s", path, strerror(errno));
        return 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_set(err, -errno, "%s: cannot write to it: %s", path, strerror(errno));
    int result = adopt(stream, fd, err);
    close(fd);
    return result;
}

static void ignore_broken_pipes(void)
{
    struct sigaction action;
    if (sigaction(SIGPIPE, NULL, &action) == 0 && action.sa_handler == SIG_DFL) {
        action.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &action, NULL);
    }
}

int stream_open(const struct stream_options *options, struct sink **out, struct err *err)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return err_set(err, -ENOMEM, "out of memory");
    sink_init(&stream->sink, &ops);
    pthread_mutex_init(&stream->lock, NULL);
    stream->fd = stream->folder_fd = -1;
    stream->nanoseconds = options->nanoseconds;
    stream->snap_size = options->snap_size;
    if (stream->snap_size == 0 || stream->snap_size > STREAM_MAX_PACKET)
        stream->snap_size = STREAM_MAX_PACKET;
    if (stream->snap_size < ETHER_HEADER_SIZE)
        stream->snap_size = ETHER_HEADER_SIZE;
    stream->capacity = options->memory ? options->memory : QUEUE_SIZE;
    if (stream->capacity < 2 * WRITER_SIZE)
        stream->capacity = 2 * WRITER_SIZE;
    int result;
    if (!(stream->queue = malloc(stream->capacity)))
        result = err_set(err, -ENOMEM, "out of memory");
    else if (options->path)
        result = open_path(stream, options->path, err);
    else
        result = adopt(stream, options->fd, err);
    if (result < 0) {
        (void)close_sink(&stream->sink, NULL);
        return result;
    }
    ignore_broken_pipes();
    if (stream->fd >= 0)
        welcome(stream);
    *out = &stream->sink;
    return 0;
}
