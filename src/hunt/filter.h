/* What of the findings is shown: "severity:high src:10.0.0.0/8 beacon:>80 hunt:dns-tunnel". All
 * words must fit; a word without ':' is looked for in names, machines and reasons; '-' in front
 * turns a word round; "sort:count-desc" says the order. "fqdn:" is "name:", as
 * RITA calls it. */
#ifndef HUNT_FILTER_H
#define HUNT_FILTER_H

#include "hunt/hunt.h"
#include "hunt/rita.h"

#define HUNT_FILTER_MAX 4096 /* characters of all words */

struct hunt_filter;
int hunt_filter_parse(const char *text, struct hunt_filter **out, struct err *err) MUST_CHECK;
bool hunt_filter_fits(const struct hunt_filter *filter, const struct finding *finding);
/* Puts them in the order of the `sort:` words; without one they stay as they are. */
void hunt_filter_sort(const struct hunt_filter *filter, const struct finding **findings, size_t n);
/* RITA's rows have columns for some of the words only: -EINVAL says for which not. */
int hunt_filter_check_rita(const struct hunt_filter *filter, struct err *err) MUST_CHECK;
/* Leaves the rows that fit, in the order of the `sort:` words; without one it stays. */
int hunt_filter_rita(const struct hunt_filter *filter, struct rita_row **rows, size_t *n,
                     struct err *err) MUST_CHECK;
void hunt_filter_free(struct hunt_filter *filter);

/* "1.5h", "2h45m", "10s", "30d": ns. False: it is none. */
bool hunt_filter_duration(const char *text, int64_t *out);

#endif
