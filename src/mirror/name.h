/* Names of mirrors: they are parts of files' names, marks and tags. */
#ifndef MIRROR_NAME_H
#define MIRROR_NAME_H

#include <stdbool.h>

#define MIRROR_NAME_MAX 32 /* of a mirror, with its NUL: letters, digits, '-', '_', '.' */

/* Also of what others may have written in a mark: only a good one names files of ours. */
bool mirror_name_is_good(const char *name);

/* What of a machine's, a port's or a network's name can be one; "" where nothing can. */
void mirror_name_make(const char *from, char out[MIRROR_NAME_MAX]);

#endif
