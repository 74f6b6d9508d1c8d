/* What a hunt found: who, whom, since when, how sure, and why, in words and numbers. */
#ifndef HUNT_FINDING_H
#define HUNT_FINDING_H

#include "base/text.h"
#include "hunt/pairs.h"

/* By score, with RITA's bounds: > 0.8, >= 0.6, >= 0.4, >= 0.2. */
enum hunt_severity { HUNT_NONE, HUNT_LOW, HUNT_MEDIUM, HUNT_HIGH, HUNT_CRITICAL };
const char *hunt_severity_name(enum hunt_severity severity); /* "none", "low" ... */
enum hunt_severity hunt_severity_of(double score);

#define FINDING_REASONS    12
#define FINDING_NUMBERS    24
#define FINDING_REASON_MAX 200

struct finding_number {
    const char *name; /* constant, as in JSON: "period_s" */
    double value;
};

/* Texts are the finding's, escaped nowhere yet: they may hold anything from the wire. */
struct finding {
    const struct hunt *hunt;
    uint64_t id; /* of hunt, ends and `about`: the same in the next run */
    /* What else tells it from another of this hunt about the same ends: a port, a fingerprint. */
    uint64_t about;
    struct hunt_host src, dst;
    bool has_src, has_dst;
    char name[256];                        /* the other end's name, or the domain; "" */
    char src_machine[64], dst_machine[64]; /* monitored machines' names; "" */
    char src_network[64];
    char ports[160];   /* "443:tcp:ssl,80:tcp:http" */
    double score;      /* 0 to 1: how much it should be looked at */
    double confidence; /* 0 to 1: how sure its numbers are (few check-ins, lost packets) */
    enum hunt_severity severity;
    int64_t first, last; /* ms */
    uint64_t n;          /* connections, queries, what the hunt counts */
    uint64_t bytes_up, bytes_down;
    char title[FINDING_REASON_MAX]; /* one line: "every 60 s +-20 %, 412 check-ins" */
    char reasons[FINDING_REASONS][FINDING_REASON_MAX]; /* why, each a sentence */
    unsigned n_reasons;
    struct finding_number numbers[FINDING_NUMBERS];
    unsigned n_numbers;
    bool is_new; /* alerts: not seen before; else its level rose */

    /* For the pictures: where its events are. NULL: there are none. */
    const struct book_table *events_of;
    uint8_t events_key[64];
    unsigned events_series;
};

/* All of a run; adding is safe from any thread. */
struct findings;
struct findings *findings_new(size_t max); /* NULL: out of memory */
void findings_free(struct findings *findings);
/* A zeroed finding with its hunt, src and dst, to be filled; then findings_add copies it. */
void finding_init(struct finding *finding, const struct hunt *hunt);
void finding_because(struct finding *finding, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void finding_number(struct finding *finding, const char *name, double value);
/* Makes id and severity of what is there. False: there are too many, which is counted; of those the
 * worst are kept. */
bool findings_add(struct findings *findings, const struct finding *finding);
/* The worst first; borrowed. */
const struct finding *findings_sorted(struct findings *findings, size_t *out_n);
uint64_t findings_n_left_out(const struct findings *findings);

#endif
