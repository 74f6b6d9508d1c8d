/* Numbers of the machines that share channels, by their names: the same for the whole run, however
 * often the configuration is read again and in whatever order it then names them. Belongs to the
 * control thread. */
#ifndef SENSOR_PARTS_H
#define SENSOR_PARTS_H

#include <stddef.h>
#include <stdint.h>

struct parts;

/* NULL: no memory. */
struct parts *parts_new(void);
void parts_free(struct parts *parts);

/* From 1 on; 0: no memory, or 65535 names were met already. */
uint16_t parts_number(struct parts *parts, const char *name);
/* The highest that was given. */
size_t parts_count(const struct parts *parts);

#endif
