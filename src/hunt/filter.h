/* What of the findings is shown: "severity:high src:10.0.0.0/8 beacon:>80 hunt:dns-tunnel". All
 * words must fit; a word without ':' is looked for in names, machines and reasons; '-' in front
 * turns a word round; "sort:count-desc" says the order. */
#ifndef HUNT_FILTER_H
#define HUNT_FILTER_H

#include "hunt/hunt.h"

#define HUNT_FILTER_MAX 4096 /* characters of all words */

struct hunt_filter;
int hunt_filter_parse(const char *text, struct hunt_filter **out, struct err *err) MUST_CHECK;
bool hunt_filter_fits(const struct hunt_filter *filter, const struct finding *finding);
/* Puts them in the order of the `sort:` words; without one they stay as they are. */
void hunt_filter_sort(const struct hunt_filter *filter, const struct finding **findings, size_t n);
void hunt_filter_free(struct hunt_filter *filter);

/* "1.5h", "2h45m", "10s", "30d": ns. False: it is none. */
bool hunt_filter_duration(const char *text, int64_t *out);

#endif
