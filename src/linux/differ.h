/* Rules that are compared as text: where they begin to differ, in words. */
#ifndef LINUX_DIFFER_H
#define LINUX_DIFFER_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the lines differ; which line is the first that does, and how it should be. A line that
 * ends with '{' says where the lines behind it belong. */
bool differ_lines(const char *is, const char *should, char *out, size_t size);

/* Whether the words differ: "to is eth1, should be eth2". */
bool differ_words(const char *what, const char *is, const char *should, char *out, size_t size);

#endif
