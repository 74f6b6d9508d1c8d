/* What the pictures of a finding are made of: when its connections were, how long between them, and
 * how large they were. The terminal and the report draw the same. */
#ifndef CMD_HUNT_PICTURE_H
#define CMD_HUNT_PICTURE_H

#include "base/text.h"
#include "hunt/engine.h"

#define PICTURE_BINS   96 /* of the timeline */
#define PICTURE_HOURS  24
#define PICTURE_BARS   20
#define PICTURE_EVENTS 200000 /* that are looked at; of more, these are the newest */

struct picture_bar {
    double from, to; /* equal: one value */
    uint32_t n;
};

struct picture_bars {
    struct picture_bar at[PICTURE_BARS];
    unsigned n;
    uint32_t most;
};

struct picture {
    size_t n_events;             /* 0: there is nothing to draw */
    bool partial;                /* there were more than PICTURE_EVENTS */
    int64_t from, to;            /* ms: of the timeline */
    uint32_t bins[PICTURE_BINS]; /* events by time */
    uint32_t bins_most;
    struct picture_bars intervals; /* s */
    struct picture_bars sizes;     /* bytes sent */
    /* Events by minute of the day: the last day of the window, rows are its hours. */
    int64_t raster_from; /* ms; a full hour */
    uint32_t raster[PICTURE_HOURS][60];
    uint32_t raster_most;
    uint32_t n_failed;
    /* Kept in order for RITA's score. */
    int64_t *seconds;
    int64_t *sizes_up;
};

/* False: no memory, or no events; the picture is empty then. */
bool picture_make(const struct hunt_judge *view, const struct finding *finding,
                  struct picture *out);
void picture_done(struct picture *picture);

/* Of the events in picture_make's order. */
struct book_event;
bool picture_of_events(const struct book_event *events, size_t n, int64_t from, int64_t to,
                       struct picture *out);

/* `columns` characters of the timeline, as blocks or in ASCII. */
void picture_spark(const struct picture *picture, unsigned columns, bool utf8, struct text *out);

#endif
