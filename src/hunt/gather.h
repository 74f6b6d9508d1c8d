/* What several hunts do alike when they judge: gather what a walk over a table finds, from several
 * threads, into one list; pick the books of the window and those of its past; make the finding's
 * ends where there is no pair. */
#ifndef HUNT_GATHER_H
#define HUNT_GATHER_H

#include <pthread.h>

#include "hunt/hunt.h"

#define GATHER_MS_DAY  (24 * 3600 * 1000ll)
#define GATHER_MS_HOUR (3600 * 1000ll)

struct gather {
    pthread_mutex_t lock;
    char *items;
    size_t item_size, n, capacity, max;
    uint64_t n_left_out;
};
void gather_init(struct gather *gather, size_t item_size, size_t max);
void gather_done(struct gather *gather);
/* Copies the item; false: there are `max`, or no memory, which is counted. */
bool gather_add(struct gather *gather, const void *item);
void gather_sort(struct gather *gather, int (*order)(const void *a, const void *b));

/* The books of the days that the window touches; and those before. Borrowed from `judge`. */
struct books gather_window(const struct hunt_judge *judge);
struct books gather_history(const struct hunt_judge *judge);
/* From the first day of the history to the window's begin, in days; 0: there is none. */
double gather_history_days(const struct hunt_judge *judge);

int gather_order_host(const struct hunt_host *a, const struct hunt_host *b);
/* Multicast, broadcast, and the last address of an IPv4 /24: many hosts at once, no host. */
bool gather_is_group(const struct addr *addr);

/* Nothing came of the connection: no answer, a refusal, or an end before the responder said
 * anything. */
bool gather_is_failed(const struct hunt_record *conn);

/* Fills a finding about a source, and one other end if `dst` is not NULL, without a pair's sums:
 * ends, machines, networks, the confidence of what was lost. */
void gather_ends(const struct hunt_judge *judge, struct finding *finding,
                 const struct hunt_host *src, const struct hunt_host *dst, int64_t first,
                 int64_t last);

/* "1.5 GB", "3 h 20 min"; always ended by a NUL. */
void gather_bytes_text(uint64_t bytes, char out[32]);
void gather_time_text(double seconds, char out[32]);
void gather_host_text(const struct hunt_judge *judge, const struct hunt_host *host, char out[128]);

/* The highest number of different things in any stretch of `width` ms. A stretch begins with the
 * event that ends the one before, so that a burst is not cut in two. An estimate of many
 * (distinct.h) rises in steps: what rose is never taken for more than there were events. */
struct gather_stretch {
    int64_t start;   /* ms; 0: none yet */
    double base;     /* of what is counted, at the start */
    uint64_t base_n; /* of events */
    double most;
};
/* `before` and `now`: of what is counted; `n`: events up to this one. */
void gather_stretch_add(struct gather_stretch *stretch, int64_t ts, int64_t width, double before,
                        double now, uint64_t n);
void gather_stretch_merge(struct gather_stretch *into, const struct gather_stretch *from);

#endif
