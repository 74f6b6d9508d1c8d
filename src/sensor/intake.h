/* What one worker's inputs give, in the order of time.
 *
 * The two directions of a connection may come by two ways: two interfaces of a tap, two sockets.
 * Frames are therefore merged by the kernel's times, and what is so young that an earlier one may
 * still be on its way to another input waits: a ring shows its packets up to 20 ms late, a socket
 * some milliseconds. One input alone is read as it comes. */
#ifndef SENSOR_INTAKE_H
#define SENSOR_INTAKE_H

#include <poll.h>

#include "capture/live.h"

#define INTAKE_MAX 64 /* inputs of one worker */

struct intake;

/* `broken` is called when an input broke; it is closed then. NULL: no memory. */
struct intake *intake_new(void (*broken)(void *with, uint16_t number, int code), void *with);
void intake_free(struct intake *intake); /* closes all */

/* Takes `source` over; `number`: the input's in its frames; `is_late`: it shows packets late (a
 * ring). False: there are INTAKE_MAX already; the source stays the caller's. */
bool intake_add(struct intake *intake, uint16_t number, struct live_source *source, bool is_late);
void intake_remove(struct intake *intake, uint16_t number);

/* For poll(): gives how many of `out` were filled in. */
size_t intake_fds(const struct intake *intake, struct pollfd out[INTAKE_MAX]);
/* After poll(), with the same array: which can be read. */
void intake_polled(struct intake *intake, const struct pollfd *fds, size_t n);

/* The next frames in time order; borrowed until the next call. `polled`: when poll() was called
 * last, before it (ns since the epoch); INT64_MAX: nothing is too young. 0: there are none now;
 * *out_waits: for how many ms to wait for those that are too young; 0: there are none. */
unsigned intake_next(struct intake *intake, int64_t polled, struct frame out[CAPTURE_BURST],
                     int *out_waits);

/* All inputs are closed. */
bool intake_is_empty(const struct intake *intake);
void intake_close_all(struct intake *intake);

/* What the inputs of this number have counted, those that were closed as well: by number. */
void intake_count(const struct intake *intake, struct live_counters out[INTAKE_MAX]);

#endif
