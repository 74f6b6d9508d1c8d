/* Packets as a pcap stream for a reader that was started for it: `-w - | zeek -r -`, `| tcpdump -r
 * -`, or a FIFO. Classic pcap in microseconds (nanoseconds when asked for), since that is what
 * every reader knows; Ethernet, since the format has one link type: bare IP gets a header
 * (ether.h).
 *
 * The header is written at once, so that the reader starts, and packets after each burst. What the
 * reader does not take in time is dropped: whole packets, never a part of one. Packets of different
 * workers may be a little out of their order. */
#ifndef SINK_STREAM_H
#define SINK_STREAM_H

#include "sink/sink.h"

struct stream_options {
    const char *path;   /* of a FIFO (it need not have a reader yet) or a file; NULL: `fd` */
    int fd;             /* a pipe, a socket or a file; stays the caller's */
    bool nanoseconds;   /* the other magic number */
    uint32_t snap_size; /* bytes kept of a packet; 0: all (to STREAM_MAX_PACKET) */
    uint32_t memory;    /* for what waits for the reader; 0: 4 MiB */
};

#define STREAM_MAX_PACKET 262144u

/* From here on the process ignores SIGPIPE (where that killed it before). A terminal is refused. A
 * pipe without a reader is given up for good; a FIFO is looked at again once a second, and each
 * reader gets a header of its own. */
int stream_open(const struct stream_options *options, struct sink **out,
                struct err *err) MUST_CHECK;

#endif
