/* The parts of the beacon hunts: what is common to those whose check-ins are answered and those
 * whose are not. */
#ifndef HUNT_BEACON_H
#define HUNT_BEACON_H

#include "hunt/hunt.h"
#include "hunt/timing.h"

struct beacon_settings {
    uint32_t checkins; /* fewer are not judged */
    uint8_t sure;      /* percent of timing's score */
    bool inside;       /* timers between internal hosts too */
};

/* Rows for the hunt's yaml, and their defaults. */
extern const struct yaml_row beacon_rows[];
void beacon_defaults(void *settings);

/* What was judged, for beacon_tell. */
struct beacon {
    const struct pair_sum *sum;
    struct timing timing;
    const struct book_event *events; /* those that were judged, of `series` */
    size_t n_events;
    unsigned series;
    bool failed;      /* of connections that nothing came of */
    bool requests;    /* of http requests, not of connections */
    uint64_t n_named; /* connections of the pair that are known by name, and left out */
    struct str name;  /* the other end's; unset: only its address is known */
    int64_t from;     /* ms: of what was looked at */
};

/* Judges all pairs, or those that changed: answered connections, or failed ones. */
void beacon_judge(const struct hunt_judge *judge, bool failed);

/* Fills score, title, reasons and numbers. `finding` has its ends. */
void beacon_tell(const struct hunt_judge *judge, const struct beacon *beacon,
                 struct finding *finding);

#endif
