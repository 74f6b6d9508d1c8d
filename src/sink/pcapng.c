/* One pcapng file of all packets: see pcapng.h; block.h draws what is in it. Each link type has an
 * interface, described when its first packet comes. */
#include "sink/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink/block.h"

#define BUFFER_SIZE    (256u << 10)
#define MAX_INTERFACES 16

struct pcapng_sink {
    char *path;
    int fd;
    int error;
    uint64_t n_lost;
    uint16_t links[MAX_INTERFACES];
    unsigned n_links;
    size_t used;
    uint64_t n_buffered; /* packets in the buffer */
    uint8_t buffer[BUFFER_SIZE];
};

static void flush(struct pcapng_sink *sink)
{
    size_t done = 0;
    while (!sink->error && done < sink->used) {
        ssize_t n = write(sink->fd, sink->buffer + done, sink->used - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            sink->error = n == 0 ? EIO : errno;
    }
    if (sink->error)
        sink->n_lost += sink->n_buffered;
    sink->used = 0;
    sink->n_buffered = 0;
}

int pcapng_open(const char *path, struct pcapng_sink **out, struct err *err)
{
    struct pcapng_sink *sink = calloc(1, sizeof *sink);
    if (!sink || !(sink->path = strdup(path))) {
        free(sink);
        return err_set(err, -ENOMEM, "out of memory");
    }
    sink->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (sink->fd < 0) {
        int result = err_set(err, -errno, "%s: cannot write packets: %s", path, strerror(errno));
        free(sink->path);
        free(sink);
        return result;
    }
    sink->used = block_section(sink->buffer, (struct str){0}, (struct str){0});
    *out = sink;
    return 0;
}

/* The interface's number; MAX_INTERFACES: there is no room for another link type. */
static unsigned interface_of(struct pcapng_sink *sink, uint16_t link)
{
    for (unsigned i = 0; i < sink->n_links; i++)
        if (sink->links[i] == link)
            return i;
    if (sink->n_links == MAX_INTERFACES)
        return MAX_INTERFACES;
    sink->links[sink->n_links] = link;
    sink->used += block_interface(sink->buffer + sink->used, link, 0, (struct str){0},
                                  (struct str){0}, (struct str){0});
    return sink->n_links++;
}

void pcapng_write(struct pcapng_sink *sink, int64_t ts, uint16_t link, const uint8_t *bytes,
                  uint32_t size, uint32_t wire_size)
{
    size_t room = (size_t)size + BLOCK_PACKET_MORE + BLOCK_HEAD_MAX;
    if (room > BUFFER_SIZE) {
        sink->n_lost++;
        return;
    }
    if (sink->used + room > BUFFER_SIZE)
        flush(sink);
    unsigned interface = interface_of(sink, link);
    if (interface == MAX_INTERFACES) {
        sink->n_lost++;
        return;
    }
    sink->used += block_packet(sink->buffer + sink->used, interface, ts, bytes, size, wire_size,
                               (struct str){0});
    sink->n_buffered++;
}

int pcapng_close(struct pcapng_sink *sink, struct err *err)
{
    int result = 0;
    if (!sink)
        return 0;
    flush(sink);
    if (close(sink->fd) < 0 && !sink->error)
        sink->error = errno;
    if (sink->error || sink->n_lost)
        result =
            err_set(err, -EIO, "%s: %llu packets are not written: %s", sink->path,
                    (unsigned long long)sink->n_lost,
                    sink->error ? strerror(sink->error) : "too long, or of too many link types");
    free(sink->path);
    free(sink);
    return result;
}
