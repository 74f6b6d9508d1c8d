/* For unit tests: an environment of the test's own, and folders that are taken away with all that
 * is in them. */
#ifndef BASE_STATE_BED_H
#define BASE_STATE_BED_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BED_VARIABLES 8

static char bed_variables[BED_VARIABLES][512];
static char *bed_environment[BED_VARIABLES + 1];

/* "NAME=VALUE", …, ended by NULL: all that getenv finds from now on. */
static inline void bed_set_environment(const char *const *variables)
{
    size_t n = 0;
    for (; variables[n]; n++) {
        if (n == BED_VARIABLES)
            abort();
        (void)snprintf(bed_variables[n], sizeof bed_variables[n], "%s", variables[n]);
        bed_environment[n] = bed_variables[n];
    }
    bed_environment[n] = NULL;
    environ = bed_environment;
}

static inline int bed_remove_one(const char *path, const struct stat *facts, int type,
                                 struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

static inline int bed_remove_tree(const char *path)
{
    return nftw(path, bed_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
