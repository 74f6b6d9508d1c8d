/* The channels that packets come in by, and what is said of them: (encapsulation, outer address,
 * VNI or key or session id), or an interface where there is no encapsulation. Numbers are small, so
 * that a connection can remember its own. One table belongs to one worker. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "net/packet.h"

struct source_table;
struct network_list;

#define SOURCE_NAME_MAX 64

/* What came by a channel. Its worker writes, others may read while it does: each number is right,
 * though not all of the same moment. */
struct source_counters {
    uint64_t n_packets, n_bytes; /* of the monitored traffic, as large as they were sent */
    uint64_t n_in, n_out; /* to and from the machine's own addresses, where these are known */
    uint64_t n_in_bytes, n_out_bytes;
    uint64_t n_tcp_in, n_tcp_out;
    uint64_t n_noise, noise_bytes; /* of the packets above: those that a host sends by itself */
    uint64_t n_copies;             /* of the packets above: those that were left out */
    uint64_t n_cut;                /* arrived shorter than they were sent */
    uint64_t n_reordered;          /* came after one with a higher number of the mirror's */

    /* The mirror's sequence numbers (GRE, ERSPAN): how many there were, the one that the sender has
     * got to, and when that came. All workers together tell what is missing: source_seq. */
    uint64_t n_seq, seq;
    int64_t seq_ts;
    uint64_t n_refused;  /* not admitted: none of the above counts them */
    uint64_t n_guessed;  /* of these: not seen, but concluded from one of many that was */
    uint64_t n_left_out; /* of connections that were left out under overload: neither */
    uint64_t n_loops;    /* our own mirror, mirrored again: neither */
    uint64_t cut_size, largest_size;
    int64_t last; /* ns since the epoch */
};

struct source {
    /* The key. */
    const struct tunnel_decoder *decoder; /* NULL: not encapsulated */
    struct addr outer;
    uint32_t id;
    bool has_id;
    char told[SOURCE_NAME_MAX]; /* forwarded: the name it has there; not of the key */
    uint16_t input;             /* of what is not encapsulated; otherwise 0 */
    uint16_t part;              /* where many machines share the channel: which; otherwise 0 */
    uint16_t whole;    /* no part of the key: of a part, the number of the channel that is shared */
    bool is_forwarded; /* another collector sent it on: outer and id are those it had there */

    /* What the rules say of it. */
    uint16_t network;
    uint16_t machine;  /* its number, from 1 on; 0: not given yet. Written by the control thread. */
    bool is_refused;   /* not admitted: its packets are counted, and go no further */
    bool is_shared;    /* many machines send by it: rules->part tells them apart */
    bool refuses_rest; /* shared: packets of no machine that is known are not admitted */
    bool drop_vlan;    /* the outermost tag is not the machine's */
    uint16_t keep;     /* of 256 connections, so many are kept; 0: all. As `machine`. */
    char name[SOURCE_NAME_MAX]; /* for tables and logs */

    struct source_counters counters;
};

/* None of the channel's own packets go on, though those of its parts may. */
static inline bool source_is_refused(const struct source *source)
{
    return source->is_refused || (source->refuses_rest && source->part == 0);
}

/* For the worker, where others read what it counts. */
static inline void source_add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* What is known of channels beforehand (a configuration). May be asked by several workers at once.
 */
struct source_rules {
    const void *with;
    /* Of a channel that is met for the first time, and of all when the rules change: fills in what
     * the rules say; name and network are filled in already. */
    void (*describe)(const void *with, struct source *source);
    /* The machine, from 1 on, in a shared channel; 0: it is not known. The same number for the
     * same machine, also when the rules change. */
    uint16_t (*part)(const void *with, const struct source *channel, const struct packet *packet);
};

/* `networks` is kept as long as the table; NULL: there is one. */
struct source_table *source_table_new(const struct network_list *networks);
void source_table_free(struct source_table *table);

/* From now on these hold; every channel is described again. They must stay until others are set. */
void source_table_set_rules(struct source_table *table, const struct source_rules *rules,
                            const struct network_list *networks);

/* What `rules` (or NULL) and `networks` (or NULL) say of the channel with this key. */
void source_describe(const struct source_rules *rules, const struct network_list *networks,
                     struct source *source);

/* The number of the channel that the packet's mirror layers name; 0: not mirrored, or there are
 * more channels than can be told apart (counted). */
uint16_t source_of(struct source_table *table, const struct packet *p);

/* The same, where what is not encapsulated has a channel as well, its input, and the
 * machines in shared channels are told apart. */
uint16_t source_of_live(struct source_table *table, const struct packet *p);

/* Counts the sequence number of the packet's mirror, where it has one. */
void source_look_at_seq(struct source *source, const struct packet *p);

#define SOURCE_SEQ_SETTLE 8

/* The numbers of one channel as several workers saw them, put together by who asks them at an even
 * pace (four times a second). Begins zeroed. What a worker has not counted yet looks missing: only
 * what is still missing after SOURCE_SEQ_SETTLE looks is lost. */
struct source_seq {
    uint64_t n; /* of this look */
    uint32_t seq;
    int64_t ts;
    bool any, begun;
    uint64_t n_before; /* at the last look */
    uint32_t seq_before;
    int64_t missing; /* since the sender began */
    int64_t recent[SOURCE_SEQ_SETTLE];
    unsigned n_looks;
    int64_t settled; /* of `lost`, what is of `missing` */
    uint64_t lost;   /* of all time */
};

/* One look: begin, add for each worker, end. */
void source_seq_begin(struct source_seq *seq);
void source_seq_add(struct source_seq *seq, const struct source_counters *counters);
void source_seq_end(struct source_seq *seq);
uint64_t source_seq_lost(const struct source_seq *seq);

/* NULL for 0. */
struct source *source_get(struct source_table *table, uint16_t number);
/* Of the channel's network; "default" for 0. */
const char *source_network_uuid(const struct source_table *table, uint16_t number);
uint16_t source_count(const struct source_table *table);
uint64_t source_refused(const struct source_table *table);
/* For another thread than the table's: the number of channels there are, and the keys and counters
 * of each (source_get); nothing else of them. */
uint16_t source_count_shared(const struct source_table *table);

#endif
