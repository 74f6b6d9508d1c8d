/* What health remembers of a machine: shared by health.c (the verdict), health_recent.c (the last
 * minute) and health_words.c (the reasons), and by nobody else. */
#ifndef SOURCE_HEALTH_STATE_H
#define SOURCE_HEALTH_STATE_H

#include "source/health.h"
#include "source/missing.h"

#define NS_PER_SECOND ((int64_t)1000000000)

/* The last minute, from marks five seconds apart. */
#define HEALTH_N_MARKS 13

struct health_mark {
    uint64_t packets, in, out, tcp_in, tcp_out, cut, lost, reordered, dropped;
    uint64_t shared_here, shared_there, shared_both, missing_bytes, alone_bytes;
};

struct health_recent {
    struct health_mark marks[HEALTH_N_MARKS]; /* totals then; the ring's oldest is at `next` */
    uint32_t next, n_marks;
    int64_t last_mark;      /* clock */
    struct health_mark sum; /* what came since the oldest mark */
    uint64_t in, out;       /* TCP alone where that is counted, of the last minute */
    int64_t lacking_since;  /* clock: copies; INT64_MIN: they are there */
    bool one_sided, dropping, truncated;
};

struct health {
    struct health_options options;
    uint64_t seed;

    int64_t clock; /* ns since it began, without jumps */
    int64_t last_ticks, last_now;
    bool is_started;

    struct health_totals last;
    bool ever_heard, heard_now;
    int64_t first_heard, last_heard;                 /* clock */
    int64_t heard_for;                               /* time in which something was learned */
    double usual_bytes, usual_packets, fast_packets; /* a second */
    double busy;        /* share of the updates that brought packets, of the last half minute */
    bool was_busy;      /* when something was heard last */
    double longest_gap; /* ns; fades */

    struct health_recent recent;
    struct missing missing;
    struct missing_finding finding;
    bool has_finding;

    uint32_t n_series;   /* probes since one came back or something was heard */
    int64_t next_canary; /* clock */
    bool is_urgent;      /* the series is one of a busy machine that stopped */
    bool stop_probed;    /* this gap had its series */
    bool was_little;
    uint32_t n_back, missed_before, missed_in_silence;
    int64_t last_back; /* clock */
    int64_t last_try;  /* of a busy machine */

    bool is_silent, is_unknown, is_stopped, is_filtered;
    enum health_state state;
    bool is_bad;
    int64_t since;
};

/* ns since something was heard; since the start when nothing was. */
int64_t health_gap(const struct health *health);

void health_recent_update(struct health *health, const struct health_totals *totals);

/* The sentence for health->state. */
void health_words(const struct health *health, const char *name, const struct health_totals *totals,
                  const struct canary_state *canary, char *out, size_t size);

#endif
