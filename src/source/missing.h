/* What other machines showed of a machine's traffic and its own mirror did not: whether this is
 * chance, loss, or hiding. Part of health; one machine's.
 *
 * Each peer, and each service with it, has a score: the sum of the log likelihood ratios of "much
 * of this is hidden" against "some of this gets lost" over the packets that the peer showed, never
 * below 0 (Page's test, 1954). Good service keeps it at 0 for as long as it lasts, so that what
 * begins to be missing after days is seen after as many packets as on the first day. */
#ifndef SOURCE_MISSING_H
#define SOURCE_MISSING_H

#include "source/health.h"

#define MISSING_PEER_MAX 48

struct missing_slot {
    uint32_t key; /* 0: free */
    uint8_t proto;
    uint16_t port;
    bool found;
    bool is_primed; /* last_* are set */
    char peer[MISSING_PEER_MAX];
    uint64_t last_there[2], last_missing[2], last_alone[2];
    uint64_t last_missing_bytes[2], last_alone_bytes[2];
    double score;
    double usual;                      /* share that is missing in good times, learned */
    double n_there;                    /* since the score left 0: */
    double n_missing[2];               /* by direction, as in struct health_shared */
    double n_alone;                    /* its own mirror showed them, the peer's did not */
    double n_dropped;                  /* we ourselves lost meanwhile, of the whole machine */
    double missing_bytes, alone_bytes; /* the same in bytes; 0: not counted */
    int64_t last_update, last_missed;  /* clock */
};

struct missing {
    struct missing_slot all; /* over all peers */
    struct missing_slot slots[HEALTH_SHARED_MAX];
};

struct missing_input {
    const struct health_totals *totals;
    bool expects[2];    /* its mirror shows what it sends, what it gets */
    uint64_t n_dropped; /* lost since the last call where this is known: sequence gaps, ourselves */
    int64_t clock;      /* monotonic, ns */
};

void missing_update(struct missing *missing, const struct missing_input *input);

struct missing_finding {
    const char *peer; /* as long as `missing` is not updated */
    uint8_t proto;    /* 0: not one service */
    uint16_t port;
    uint64_t n_missing, n_there;
    bool sends; /* what it sends is among the missing */
};

/* The gravest; false: nothing is hidden. */
bool missing_found(const struct missing *missing, struct missing_finding *out);

#endif
