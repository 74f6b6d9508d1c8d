/* Small files of /proc and /sys, and lines of numbers. */
#ifndef LINUX_TEXT_H
#define LINUX_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads at most `size` - 1 bytes and ends them with NUL; a last line end is taken off. Gives their
 * number, or a negative errno (and "" in `out`). */
long text_read(const char *path, char *out, size_t size);

/* The same for files of any size, up to 4 MiB: on the heap, or NULL. */
char *text_read_all(const char *path);

/* The first number of a file. */
bool text_read_number(const char *path, uint64_t *out);

/* The next number of *at in `base`, spaces and ':' before it passed over; moves *at behind it. */
bool text_number(const char **at, int base, uint64_t *out);

/* Behind the next line end, or NULL where there is none. */
const char *text_next_line(const char *at);

#endif
