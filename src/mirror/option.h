/* Options that several providers take, with the same values and the same refusals. */
#ifndef MIRROR_OPTION_H
#define MIRROR_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum mirror_direction { MIRROR_IN = 1, MIRROR_OUT = 2, MIRROR_BOTH = MIRROR_IN | MIRROR_OUT };

/* --direction: in, out or both. */
int mirror_option_direction(const char *value, int *out, struct err *err) MUST_CHECK;

/* One more of those that may be given several times. */
int mirror_option_add(const char *option, const char *value, const char **list, size_t *n,
                      size_t most, struct err *err) MUST_CHECK;

/* "10.1.0.0/16", "fd00::/8" */
bool mirror_option_is_prefix(const char *value);

#endif
