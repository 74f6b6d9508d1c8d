/* Findings that a person knows and does not want to see: applied when they are shown, never when
 * they are computed, and counted. One entry a line, '#' begins a comment:
 *
 *     10.1.2.3            an address or network, as either end
 *     src 10.1.0.0/16     only as the source;  dst ...  only as the destination
 *     example.com         this name, of an end or of a machine;  *.example.com  it and all below
 *     10.1.2.3 10.9.9.9   a pair;  10.1.2.0/24 *.example.com  a pair by name
 *     asn 15169           where a database says so
 *     hunt:long-connection ...   any of the above, of this hunt only */
#ifndef HUNT_SAFELIST_H
#define HUNT_SAFELIST_H

#include "hunt/asn.h"
#include "hunt/hunt.h"

#define HUNT_SAFELIST_MAX_SIZE  (8u << 20) /* bytes of a file */
#define HUNT_SAFELIST_MAX_LINES 65536      /* entries of all files */

struct hunt_safelist;
/* An empty one where `n` is 0. */
int hunt_safelist_load(const char *const *paths, size_t n, struct hunt_safelist **out,
                       struct err *err) MUST_CHECK;
int hunt_safelist_take(struct hunt_safelist *list, struct str text, const char *name,
                       struct err *err) MUST_CHECK;
void hunt_safelist_free(struct hunt_safelist *list);
/* For its lines with an AS number; borrowed. Without one these hide nothing. */
void hunt_safelist_use(struct hunt_safelist *list, const struct hunt_asn *database);
bool hunt_safelist_wants_asn(const struct hunt_safelist *list);
/* The line that hides it, "FILE:LINE: entry"; NULL: none does. */
const char *hunt_safelist_hides(const struct hunt_safelist *list, const struct finding *finding);
/* The narrowest line that would hide it. */
void hunt_safelist_line(const struct finding *finding, char *out, size_t size);

#endif
