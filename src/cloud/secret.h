/* Where secrets come from, and where they may go. */
#ifndef CLOUD_SECRET_H
#define CLOUD_SECRET_H

#include <stdbool.h>

#include "base/err.h"

/* A file with a key, a secret or a token, whole: 64 KiB at most. *out ends with a NUL, and is for
 * cloud_forget(). */
int cloud_read_secret(const char *path, char **out, struct err *err) MUST_CHECK;

/* Whether secrets may go there: by https, or to this very machine. */
bool cloud_url_is_safe(const char *url);

#endif
