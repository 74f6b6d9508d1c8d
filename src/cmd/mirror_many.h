/* `cloudspan mirror status` and `remove`: of one mirror, of a provider's, or of all. */
#ifndef CMD_MIRROR_MANY_H
#define CMD_MIRROR_MANY_H

#include "cmd/mirror_settings.h"

/* Exit codes. */
int mirror_many_status(struct mirror_settings *settings);
int mirror_many_remove(struct mirror_settings *settings);

/* Writes it to standard output, empties it, and gives the exit code. */
int mirror_print(struct text *out);

#endif
