/* Findings that a person knows and does not want to see: applied when they are shown, never when
 * they are computed, and counted. One entry a line, '#' begins a comment:
 *
 *     10.1.2.3            an address or network, as either end
 *     src 10.1.0.0/16     only as the source;  dst ...  only as the destination
 *     example.com         this name;  *.example.com  it and all below
 *     10.1.2.3 10.9.9.9   a pair;  10.1.2.0/24 *.example.com  a pair by name
 *     asn 15169           where a database says so
 *     hunt:long-connection ...   any of the above, of this hunt only */
#ifndef HUNT_SAFELIST_H
#define HUNT_SAFELIST_H

#include "hunt/hunt.h"

struct hunt_safelist;
int hunt_safelist_load(const char *const *paths, size_t n, struct hunt_safelist **out,
                       struct err *err) MUST_CHECK;
int hunt_safelist_take(struct hunt_safelist *list, struct str text, const char *name,
                       struct err *err) MUST_CHECK;
void hunt_safelist_free(struct hunt_safelist *list);
/* The line that hides it, "FILE:LINE: entry"; NULL: none does. */
const char *hunt_safelist_hides(const struct hunt_safelist *list, const struct finding *finding);

#endif
