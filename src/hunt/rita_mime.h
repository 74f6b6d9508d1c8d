/* Whether a response's media type goes with the URI that was asked for. */
#ifndef HUNT_RITA_MIME_H
#define HUNT_RITA_MIME_H

#include "base/str.h"

/* What follows the last '.' of the path's last segment; empty: nothing does. */
struct str rita_uri_extension(struct str uri);

/* The type is a registered text type, and the extension is none of its own. "/" goes with all. */
bool rita_mime_mismatch(struct str uri, struct str type);

#endif
