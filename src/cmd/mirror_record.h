/* What the collector's watch gets to know of a mirror, kept as it is. */
#ifndef CMD_MIRROR_RECORD_H
#define CMD_MIRROR_RECORD_H

#include "cmd/mirror_show.h"

/* In a file here, whose path is "" in *out where the collector needs none. What could not be made
 * is left out. */
int mirror_record_keep(struct mirror_settings *settings, const char *folder,
                       const struct mirror_planned *planned, struct mirror_applied *out,
                       struct err *err) MUST_CHECK;

#endif
