/* Between timing.c, which judges, and timing_describe.c, which says what was found. */
#ifndef HUNT_TIMING_JUDGING_H
#define HUNT_TIMING_JUDGING_H

#include "hunt/timing.h"
#include "hunt/timing_fit.h"

/* Memory of one judging. */
struct judging {
    const struct timing_event *events; /* sorted */
    size_t n;
    double resolution, span;
    double *t;     /* s since the first event, dithered below the resolution */
    double *start; /* of check-ins */
    double *x;     /* intervals, sorted */
    double *spare; /* for the sorting */
    struct timing_event *sorted;
    size_t begin, end; /* whose check-ins are in start and x, with `merge` */
    double merge;
    size_t n_checkins; /* 0: none are */
    bool rests;        /* all of it is explained by random times after a rest */
};

/* One way to look at the events. */
struct look {
    size_t begin, end; /* events */
    double merge;      /* s: events not further apart are one check-in */
    double price;      /* for having chosen it, >= 0 */
};

struct verdict {
    struct look look;
    struct timing_fit fit;
    double chance; /* likelihood without a timer */
    double evidence;
    double clock; /* s: the period of a fixed clock; 0: it is not one */
    double ramp;  /* s: by which each wait is longer than the last one; 0: it is not */
    size_t n_checkins;
};

/* Fills start and x; gives the number of check-ins. */
size_t timing_look(struct judging *j, const struct look *look);

void timing_describe(struct judging *j, const struct verdict *verdict, struct timing *out);

#endif
