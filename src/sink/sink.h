/* Where packets go besides the logs: files, a tap interface, a pipe, another collector.
 *
 * A sink is opened once (rolling_open, tap_open, stream_open, forward_open: what needs privileges
 * happens there, and so does every refusal that the user can mend), started in the process that
 * will write, and then has one writer for each worker:
 *
 *     X_open → sink_start → for each worker: sink_attach → sink_write … sink_burst … sink_flush
 *            → sink_detach → sink_close
 *
 * A writer belongs to one thread. What the writers of a sink share is behind sink_attach; no lock
 * is taken for a packet, at most one for a burst. Nothing here waits for the other side: what a
 * full pipe, socket or disk does not take is dropped and counted by its reason. */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include <pthread.h>

#include "base/err.h"
#include "net/addr.h"

#define SINK_NAME_MAX 64 /* longer names of sources are cut, and so are encapsulations' */
#define SINK_NOTE_MAX 256

/* A packet without the mirror's layers. All of it is borrowed for the call. */
struct sink_packet {
    int64_t ts; /* ns since the epoch */
    const uint8_t *bytes;
    uint32_t size;      /* what is there */
    uint32_t wire_size; /* what was sent */
    uint16_t link;      /* enum link_type: libpcap's number */

    /* Whose it is, and how it came. */
    const char *source;        /* the machine's name; NULL: not known */
    const char *encapsulation; /* "vxlan", "geneve+vxlan"; NULL: it had none */
    const struct addr *outer;  /* the mirror's sender; NULL: not known */
    bool has_id;
    uint32_t id;       /* VNI, key, session id */
    uint8_t direction; /* 0 both or unknown, 1 ingress, 2 egress */
};

enum sink_refusal {
    SINK_FULL,      /* the reader, the receiver's queue or the disk was too slow */
    SINK_GONE,      /* nobody reads, or nobody is there to receive */
    SINK_TOO_LARGE, /* and could not be cut to fit */
    SINK_LINK,      /* of a link type that the sink cannot carry */
    SINK_DISK,      /* no room on the disk */
    SINK_ERROR,     /* any other error of the system */
    SINK_N_REFUSALS
};

/* A stable word ("full"), and a sentence's end for after a number: "packets …". */
const char *sink_refusal_name(enum sink_refusal refusal);
const char *sink_refusal_text(enum sink_refusal refusal);

/* Totals since the start. Every packet is either written or refused. */
struct sink_counters {
    uint64_t n_written;
    uint64_t n_bytes; /* of the written packets, what was kept of them */
    uint64_t n_cut;   /* of the written packets: shortened, or sent in pieces */
    uint64_t n_refused[SINK_N_REFUSALS];
};

struct sink;
struct sink_writer;

/* What a kind of sink is made of. Every function must be there but `start`. */
struct sink_ops {
    const char *name; /* "pcap", "tap", "stream", "forward" */

    int (*start)(struct sink *sink, struct err *err);
    int (*attach)(struct sink *sink, struct sink_writer **out, struct err *err);
    void (*write)(struct sink_writer *writer, const struct sink_packet *packet);
    void (*burst)(struct sink_writer *writer);
    void (*flush)(struct sink_writer *writer);
    void (*detach)(struct sink_writer *writer); /* it was flushed; frees it */
    int (*close)(struct sink *sink, struct err *err);
};

/* The first member of every sink, and of every writer. */
struct sink {
    const struct sink_ops *ops;
    struct sink_counters counters; /* added to by all writers, atomically */
    pthread_mutex_t note_lock;
    char note[SINK_NOTE_MAX]; /* not said yet; empty: none */
};

struct sink_writer {
    struct sink *sink;
    struct sink_counters counters; /* since they were last added to the sink's */
};

/* In the process that writes, after privileges are given up: begins threads where it has some. */
int sink_start(struct sink *sink, struct err *err) MUST_CHECK;

/* One writer for each worker; thread-safe. */
int sink_attach(struct sink *sink, struct sink_writer **out, struct err *err) MUST_CHECK;

static inline void sink_write(struct sink_writer *writer, const struct sink_packet *packet)
{
    writer->sink->ops->write(writer, packet);
}

/* After each burst of packets: what waits to be sent in one call is sent. */
void sink_burst(struct sink_writer *writer);

/* Once a second, and before the end: nothing is held back any more. */
void sink_flush(struct sink_writer *writer);

/* Flushes and frees it. NULL is accepted, here and below. */
void sink_detach(struct sink_writer *writer);

/* When all writers are detached. Waits for a disk; for a reader only while he goes on reading. The
 * sink is freed in any case; a negative errno says that the last packets could not be written. */
int sink_close(struct sink *sink, struct err *err) MUST_CHECK;

/* At any time, from any thread. */
void sink_count(const struct sink *sink, struct sink_counters *out);

/* Something the user should read, once: "the reader of the packets is gone". False: nothing new. */
bool sink_take_note(struct sink *sink, char out[SINK_NOTE_MAX]);

/* For sinks. */
void sink_init(struct sink *sink, const struct sink_ops *ops);
void sink_done(struct sink *sink);
void sink_publish(struct sink *sink, struct sink_counters *counters); /* adds, and zeroes them */
void sink_say(struct sink *sink, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void sink_refuse(struct sink_writer *writer, enum sink_refusal refusal)
{
    writer->counters.n_refused[refusal]++;
}

#endif
