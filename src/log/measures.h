/* The sensor's own measures as Zeek's policy scripts log them: stats.log (misc/stats) and
 * capture_loss.log (misc/capture-loss), column for column. */
#ifndef LOG_MEASURES_H
#define LOG_MEASURES_H

#include "log/record.h"

extern const struct log_schema stats_schema;
extern const struct log_schema capture_loss_schema;

/* Counts are those since the row before, but for what is "now". */
struct stats_row {
    int64_t ts;       /* ns since the epoch */
    const char *peer; /* this process's name: Zeek's is "zeek" */
    uint64_t memory;  /* MiB, now */
    uint64_t n_packets, n_bytes;
    bool live;                  /* the next three are of a live capture: unset else */
    uint64_t n_dropped, n_seen; /* by the kernel */
    int64_t lag;                /* ns, now: how far we are behind the packets' times */
    bool has_filtered;          /* the input can say how many a filter left out */
    uint64_t n_filtered;
    uint64_t n_events, n_events_queued; /* done, and taken on; here a log record is an event */
    uint64_t n_tcp_now, n_udp_now, n_icmp_now; /* connections */
    uint64_t n_tcp, n_udp, n_icmp;
    uint64_t n_timers, n_timers_now;
    uint64_t n_files, n_files_now;
    uint64_t n_dns, n_dns_now; /* that the sensor itself asked, not those it saw: 0 */
    uint64_t tcp_bytes, file_bytes, fragment_bytes,
        other_bytes; /* waiting for what is missing, now */
};
void stats_write(struct log_writer *writer, const struct stats_row *row);

/* How many acknowledgements came for bytes that were never seen: what the mirror lost. */
struct capture_loss_row {
    int64_t ts, ts_delta; /* ns: when, and since when */
    const char *peer;
    uint64_t n_gaps, n_acks; /* since the row before */
};
void capture_loss_write(struct log_writer *writer, const struct capture_loss_row *row);

#endif
