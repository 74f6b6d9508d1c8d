/* What the files of mirror/cloud_*.c share among themselves: see cloud.h for everybody else. */
#ifndef MIRROR_CLOUD_PARTS_H
#define MIRROR_CLOUD_PARTS_H

#include "mirror/cloud.h"

/* Whether `text` is what the pattern says, with * and ?; a '?' is a whole character. */
bool cloud_pattern_fits(const char *pattern, const char *text);

/* The plain keys (no patterns) of an expression that was checked: `each` gets one after the other.
 */
void cloud_tag_keys(const char *expression, void (*each)(const char *key, void *with), void *with);

#define CLOUD_NAME_MAX 64

/* A machine, of all its interfaces, whatever their fates; of an interface that has none it is the
 * machine itself. */
struct cloud_machine {
    const char *id, *label;
    const struct cloud_nic **nics; /* by their order */
    size_t n;
    char name[CLOUD_NAME_MAX]; /* what it is called at the collector; no other one is called so */
};

/* By their ids. Borrows all texts of the inventory. */
struct cloud_machines {
    struct cloud_machine *at;
    size_t n;
    const struct cloud_nic **nics;
};

/* False: no memory. */
bool cloud_machines_make(const struct cloud_inventory *inventory, struct cloud_machines *out);
void cloud_machines_done(struct cloud_machines *machines);

#endif
