/* Writing pcapng (draft-ietf-opsawg-pcapng): see pcapng.h.
 *
 *     +---------------+---------------+     a section header, then for each link type an interface
 *     |  block type   |  total length |     description when its first packet comes, then enhanced
 *     +---------------+---------------+     packet blocks; all in the byte order of this machine
 *     :  body, padded to 4            :
 *     +---------------+---------------+
 *     |  total length |
 *     +---------------+                                                                          */
#include "sink/pcapng.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE    (256u << 10)
#define MAX_INTERFACES 16

enum block { BLOCK_INTERFACE = 1, BLOCK_PACKET = 6, BLOCK_SECTION = 0x0a0d0d0a };

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

static void put(struct pcapng_sink *sink, const void *bytes, size_t size)
{
    memcpy(sink->buffer + sink->used, bytes, size);
    sink->used += size;
}

static void put32(struct pcapng_sink *sink, uint32_t value)
{
    put(sink, &value, sizeof value);
}

static void put_section(struct pcapng_sink *sink)
{
    static const int64_t unknown = -1;
    put32(sink, BLOCK_SECTION);
    put32(sink, 28);
    put32(sink, 0x1a2b3c4d);
    put32(sink, 1); /* version 1.0 */
    put(sink, &unknown, sizeof unknown);
    put32(sink, 28);
}

static void put_interface(struct pcapng_sink *sink, uint16_t link)
{
    put32(sink, BLOCK_INTERFACE);
    put32(sink, 32);
    put32(sink, link);
    put32(sink, 0);            /* no snap length */
    put32(sink, 9 | 1u << 16); /* if_tsresol, one byte */
    put32(sink, 9);            /* 10^-9 s */
    put32(sink, 0);            /* end of options */
    put32(sink, 32);
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
    put_section(sink);
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
    put_interface(sink, link);
    return sink->n_links++;
}

void pcapng_write(struct pcapng_sink *sink, int64_t ts, uint16_t link, const uint8_t *bytes,
                  uint32_t size, uint32_t wire_size)
{
    size_t padded = ((size_t)size + 3) & ~(size_t)3;
    if (sink->used + padded + 32 + 32 > BUFFER_SIZE)
        flush(sink);
    if (padded + 64 > BUFFER_SIZE) {
        sink->n_lost++;
        return;
    }
    unsigned interface = interface_of(sink, link);
    if (interface == MAX_INTERFACES) {
        sink->n_lost++;
        return;
    }
    put32(sink, BLOCK_PACKET);
    put32(sink, (uint32_t)padded + 32);
    put32(sink, interface);
    put32(sink, (uint32_t)((uint64_t)ts >> 32));
    put32(sink, (uint32_t)ts);
    put32(sink, size);
    put32(sink, wire_size < size ? size : wire_size);
    put(sink, bytes, size);
    memset(sink->buffer + sink->used, 0, padded - size);
    sink->used += padded - size;
    put32(sink, (uint32_t)padded + 32);
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
