/* How a monitored machine is, and why: the verdict over its three witnesses (its own traffic, the
 * other machines' traffic with it, the canary). One `struct health` belongs to one machine; whoever
 * counts packets calls health_update at an even pace (four times a second) with the totals so far.
 *
 *     witness_book_fill(book, m, ..., shared, &totals);     what others saw of it
 *     health_update(health, name, &totals, canary_state(canary, m), now, ticks, &verdict);
 *     if (verdict.wants_canary)
 *         canary_send(...);
 *     if (verdict.changed && verdict.is_bad)                an alarm; if it was bad, an all-clear
 *
 * All times come from the caller (ns since the epoch, and monotonic), so that tests have their own
 * clock. No memory is allocated here. */
#ifndef SOURCE_HEALTH_H
#define SOURCE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In order of gravity: the gravest that holds is the machine's state. */
enum health_state {
    HEALTH_NEW, /* heard for the first time a moment ago: nothing is learned yet */
    HEALTH_OK,
    HEALTH_QUIET,   /* alive (its canary comes back), nothing to mirror */
    HEALTH_UNKNOWN, /* nothing is heard, and nothing proves anything */
    HEALTH_TRUNCATED,
    HEALTH_DROPPING,
    HEALTH_ONE_SIDED,
    HEALTH_MUTED,
    HEALTH_SILENT,
    HEALTH_N_STATES
};

/* "NEW", "ok", "quiet", "UNKNOWN", "TRUNCATED", "DROPPING", "ONE-SIDED", "MUTED", "SILENT". */
const char *health_state_name(enum health_state state);

/* Whether someone should look at it: exit code 4 of `cloudspan sources`. UNKNOWN is none by itself,
 * see health_verdict.is_bad. */
bool health_is_bad(enum health_state state);

#define HEALTH_REASON_MAX 200

/* Totals since the start, over all channels and workers of the machine. */
struct health_totals {
    uint64_t n_packets, n_bytes; /* of the monitored traffic; canaries are not among them */
    uint64_t n_in, n_out;        /* to and from the machine's own addresses */
    uint64_t n_cut;              /* packets that arrived shorter than they were sent */
    uint32_t cut_size;           /* the largest size such an IP packet was cut to; 0: none */
    uint32_t largest_size;       /* the largest IP packet's size as it was sent */
    uint64_t n_lost;             /* gaps in the mirror's sequence numbers (GRE, ERSPAN) */
    uint64_t n_reordered;        /* came later than one with a higher number */
    uint64_t n_dropped;          /* packets of this machine that we ourselves had to drop */
    uint16_t kept;               /* of 256 connections, those that we keep now; 0: all */
    bool is_limited;             /* for it sends more than a machine may, not for the others */
    int64_t last_packet;         /* ns since the epoch; 0: none yet */

    /* Packets between this machine and other monitored machines of the same network. */
    uint64_t n_shared_here;        /* seen in its own mirror */
    uint64_t n_shared_there;       /* seen in the other's */
    uint64_t n_shared_both;        /* seen in both: copies that were recognised */
    uint64_t shared_missing_bytes; /* of those only the other's mirror showed; 0s: not counted */
    uint64_t shared_alone_bytes;   /* of those only its own showed */
    const char *peer; /* name of the machine that shows most of what is missing; or NULL */

    /* The same by peer and service, those of which most is missing lately first: see
     * witness_shared(). Only with these can it be said what is hidden. May be NULL. */
    const struct health_shared *shared;
    size_t n_shared;

    /* TCP alone, to and from its own addresses: who only listens to UDP never answers, and is not
     * one-sided for it. Both 0: not counted, n_in and n_out are judged instead, more slowly. */
    uint64_t n_tcp_in, n_tcp_out;

    /* What the mirror puts in front of the inner IP packet, its link header included: VXLAN 50
     * over IPv4, 70 over IPv6; and what its maker wants left free beside that (AWS: 4). */
    uint16_t overhead, overhead_spare;
};

#define HEALTH_SHARED_MAX 16

/* Packets between the machine and one peer, all of them or those of one service. Totals since the
 * start of what is settled: whose copies had time to come. [0]: it sent them, [1]: it got them. */
struct health_shared {
    const char *peer;        /* the other machine's name */
    uint32_t key;            /* the same for the same peer and service in every call; not 0 */
    uint8_t proto;           /* 0: all of this peer */
    uint16_t port;           /* the server's; 0 where the protocol has none */
    uint64_t n_there[2];     /* the peer's mirror showed them */
    uint64_t n_both[2];      /* of these, its own did as well */
    uint64_t n_only_here[2]; /* its own mirror showed them, the peer's did not */
    /* Bytes of what only the peer showed, and of what only it showed itself; 0s: not counted. Where
     * one mirror shows large segments that the other shows in pieces, nothing is recognised, and
     * the bytes tell that nothing is hidden. */
    uint64_t missing_bytes[2], alone_bytes[2];
};

/* What the probe said last; see canary.h. */
enum canary_answer {
    CANARY_NONE,     /* not answered (yet) */
    CANARY_REPLIED,  /* the machine itself answered, so it is up */
    CANARY_NO_ROUTE, /* this host, or a router, says that there is no way */
    CANARY_HOST_GONE /* the last router, or this host's ARP, says that nobody is there */
};

struct canary_state {
    bool enabled;             /* off by configuration, or no address of the machine is known */
    bool ever_came_back;      /* through the mirror, since the machine is known */
    uint32_t n_sent, n_back;  /* of all time */
    uint32_t n_missed_in_row; /* sent, waited for in vain, since the last that came back */
    int64_t last_sent, last_back;
    enum canary_answer answer; /* to the probes that were missed */
    char from[46];             /* this collector's address that it is sent from; "" unknown */
};

struct health_options {
    bool expects_both_directions; /* false where the mirror was asked for one only */
    bool expects_copies;          /* false where its mirror has a filter */
    int64_t canary_interval;      /* ns; 0: 30 s */
    uint64_t seed;                /* of the canary's timing; 0: one of the kernel's */
};

struct health; /* one machine's */

/* NULL when the system has no memory. */
struct health *health_new(const struct health_options *options, int64_t now);
void health_free(struct health *health);

struct health_verdict {
    enum health_state state;
    char reason[HEALTH_REASON_MAX]; /* a sentence; "" for ok */
    int64_t since;                  /* when this state began */
    bool changed;                   /* since the last call: an alarm is due if it is bad, an
                                       all-clear if it was */
    bool is_bad;                    /* health_is_bad(state), or UNKNOWN of a busy machine that
                                       stopped: worth an alarm. A change of it sets `changed` */
    bool wants_canary;              /* send one now; said once, not again until it was due again */
    int64_t clock_step;             /* ns by which `now` jumped against `ticks`; 0: it did not */
    double usual_bytes_per_second;  /* learned */
};

/* `now`: ns since the epoch, for the words; `ticks`: monotonic ns, for the judgement (a step of the
 * clock is no silence). */
void health_update(struct health *health, const char *name, const struct health_totals *totals,
                   const struct canary_state *canary, int64_t now, int64_t ticks,
                   struct health_verdict *out);

#endif
