/* Coverage in `cloudspan mirror status`. */
#ifndef CMD_MIRROR_COVER_H
#define CMD_MIRROR_COVER_H

#include "cmd/mirror_settings.h"
#include "cmd/terminal.h"

void mirror_show_coverage(const struct mirror_settings *settings,
                          const struct mirror_coverage *coverage, struct line *line);

#endif
