/* Packets into a folder of pcapng files that are begun anew by size and by time, of which the
 * oldest are removed: `--pcap DIR`. See folder.h for their names.
 *
 * Each source is an interface in the file, named as the source is: Wireshark's
 * frame.interface_name. Times are in nanoseconds. A file has packets of one link type, since
 * libpcap (tcpdump, Zeek, Suricata) reads no others: what is not Ethernet goes into files of its
 * own, whose names say "link-101".
 *
 * Writers fill buffers of whole blocks; a thread of the sink's own writes them, so that a slow disk
 * never stops a worker: when all buffers are full, packets are dropped (SINK_FULL). The file that
 * is being written can be read at any time. A full disk costs the oldest of our own files; when
 * there is none left, packets are dropped (SINK_DISK) until there is room again. */
#ifndef SINK_ROLLING_H
#define SINK_ROLLING_H

#include "sink/sink.h"

struct rolling_options {
    const char *folder;
    uint32_t snap_size;   /* bytes kept of a packet; 0: all (to ROLLING_MAX_PACKET) */
    uint64_t file_size;   /* a file is finished before it is larger; 0: 1 GiB */
    int64_t file_time;    /* ns: at whole multiples of it, in UTC; 0: not by time */
    uint64_t total_size;  /* of all our files; 0: no limit */
    double disk_share;    /* 0..1 of the file system, for all our files; 0: no limit */
    int64_t keep_time;    /* ns: older files are removed; 0: none */
    bool per_source;      /* a file for each source */
    bool packet_comments; /* the source also as a comment on every packet */
    uint32_t max_open;    /* files at a time, with per_source; 0: 64 */
    uint64_t memory;      /* of all buffers; 0: 64 MiB */
};

#define ROLLING_MAX_PACKET 196608u

/* The options are copied. sink_start begins the thread; sink_close waits for the disk. */
int rolling_open(const struct rolling_options *options, struct sink **out,
                 struct err *err) MUST_CHECK;

#endif
