/* Machines of a cloud for unit tests. */
#ifndef MIRROR_CLOUD_BED_H
#define MIRROR_CLOUD_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mirror/cloud_parts.h"

/* `tags`: "env=prod role=db"; NULL: none. */
static inline struct cloud_nic *bed_nic(struct cloud_inventory *world, const char *id,
                                        const char *machine, const char *name, const char *address,
                                        const char *tags)
{
    struct cloud_nic *nic = cloud_inventory_add(world, id);
    char copy[256], *rest = copy, *word;
    assert_non_null(nic);
    cloud_nic_text(world, &nic->machine, machine);
    cloud_nic_text(world, &nic->name, name);
    if (address)
        cloud_nic_address(nic, address);
    (void)snprintf(copy, sizeof copy, "%s", tags ? tags : "");
    while ((word = strsep(&rest, " ")))
        if (*word) {
            char *value = strchr(word, '=');
            assert_non_null(value);
            *value++ = '\0';
            assert_int_equal(json_object_set_new(nic->tags, word, json_string(value)), 0);
        }
    return nic;
}

/* A small generator of numbers, the same ones in every run. */
static inline uint32_t bed_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*state >> 33);
}

#endif
