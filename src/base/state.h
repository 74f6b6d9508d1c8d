/* The folder where the program keeps what it has to know of its mirrors. */
#ifndef BASE_STATE_H
#define BASE_STATE_H

#include "base/err.h"

#define STATE_FOLDER_MAX 256
#define STATE_OF_ROOT    "/var/lib/cloudspan"

/* `given`, else $CLOUDSPAN_STATE, else /var/lib/cloudspan for root, else $XDG_STATE_HOME/cloudspan
 * or ~/.local/state/cloudspan. It begins with '/': units and hooks that name it run elsewhere. */
int state_folder(const char *given, char out[STATE_FOLDER_MAX], struct err *err) MUST_CHECK;

/* Makes it (0755, and its parents) where it lacks. */
int state_make(const char *folder, struct err *err) MUST_CHECK;

#endif
