/* What only some connections have: payload under analysis, segments out of order, repeated flags,
 * tunnels around them. Taken from the pool when first needed. */
#ifndef FLOW_MORE_H
#define FLOW_MORE_H

#include "flow/flow.h"
#include "flow/pending.h"

#define FLOW_MAX_SERVICES 6
#define FLOW_MAX_PARENTS  4

/* Events whose every power of ten gets a letter in the history. */
enum flow_tally { TALLY_GAP, TALLY_CHECKSUM, TALLY_RETRANSMIT, TALLY_ZERO_WINDOW, FLOW_N_TALLIES };

struct flow_more {
    struct arena arena; /* flow lifetime, for analyzers' states */
    struct analysis *analyses;
    struct flow_early *early;             /* or NULL */
    struct pending pending[2];            /* segments out of order */
    const struct tunnel_decoder *carries; /* the tunnel found inside, or NULL */
    uint64_t missed_bytes;
    uint64_t n_packets_more[2];                  /* what did not fit flow.n_packets */
    uint64_t hist_last_syn[2], hist_last_rst[2]; /* relative sequence numbers */
    uint32_t tally[2][FLOW_N_TALLIES];
    uint16_t n_flags[2][2];                    /* FINs, RSTs seen: for storms */
    const char *services[FLOW_MAX_SERVICES];   /* in the order they were found */
    struct flow_uid parents[FLOW_MAX_PARENTS]; /* tunnel_parents */
    uint8_t n_services, n_parents;
    char *history; /* the whole of it, when it outgrew flow.history */
    uint32_t n_history, history_size;
};

/* The first bytes of a connection, while it is not known whose they are: the originator's, then the
 * responder's. A connection that has nothing else holds it in the place of flow_more. */
struct flow_early {
    uint16_t capacity;
    uint16_t size[2];
    uint8_t bytes[];
};

/* NULL: none are kept. */
const struct flow_early *flow_early(const struct flow *f);
/* False: no memory, or more than 60 KiB; what was kept stays. */
bool flow_early_add(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                    size_t size);
void flow_early_free(struct flow_context *context, struct flow *f);

/* The first of the segments that wait in this direction goes; there must be one. */
void flow_pending_drop(struct flow_context *context, struct flow *f, int dir);

static inline struct flow_more *more_of(const struct flow *f)
{
    return f->is_early ? NULL : f->more;
}

/* Gets it, making it when it is not there; NULL: over budget. */
struct flow_more *flow_more(struct flow_context *context, struct flow *f);

/* Gives everything back; flow->more is NULL after. */
void flow_more_free(struct flow_context *context, struct flow *f);

/* conn.log's service: added once; kept in the order of adding. */
void flow_add_service(struct flow_context *context, struct flow *f, const char *name);
void flow_remove_service(struct flow *f, const char *name);

void flow_add_parent(struct flow_context *context, struct flow *f, const struct flow_uid *parent);

/* History letters: upper case is given, the responder's are written in lower case. */
void flow_history_add(struct flow_context *context, struct flow *f, int dir, char letter);
/* Adds the letter when `bit` was not seen in this direction; true when it had been seen. */
bool flow_history_check(struct flow_context *context, struct flow *f, int dir, uint8_t bit,
                        char letter);
/* Counts; adds the letter at 1, 10, 100 … */
void flow_history_tally(struct flow_context *context, struct flow *f, int dir, enum flow_tally what,
                        char letter);
struct str flow_history(const struct flow *f);

/* Swaps originator and responder. */
void flow_flip(struct flow_context *context, struct flow *f);

uint64_t flow_n_packets(const struct flow *f, int dir);

#endif
