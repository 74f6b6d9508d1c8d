/* The folder where the program keeps what it has to know of its mirrors. */
#ifndef MIRROR_STATE_H
#define MIRROR_STATE_H

#include "base/err.h"

#define MIRROR_STATE_MAX 256

/* `given`, else $CLOUDSPAN_STATE, else /var/lib/cloudspan for root, else $XDG_STATE_HOME/cloudspan
 * or ~/.local/state/cloudspan. */
int mirror_state_folder(const char *given, char out[MIRROR_STATE_MAX], struct err *err) MUST_CHECK;

/* Makes it (0755, and its parents) where it lacks. */
int mirror_state_make(const char *folder, struct err *err) MUST_CHECK;

#endif
