/* What of the findings is shown: "severity:high src:10.0.0.0/8 beacon:>80 hunt:dns-tunnel". All
 * words must fit; a word without ':' is looked for in names, machines and reasons. */
#ifndef HUNT_FILTER_H
#define HUNT_FILTER_H

#include "hunt/hunt.h"

struct hunt_filter;
int hunt_filter_parse(const char *text, struct hunt_filter **out, struct err *err) MUST_CHECK;
bool hunt_filter_fits(const struct hunt_filter *filter, const struct finding *finding);
void hunt_filter_free(struct hunt_filter *filter);

#endif
