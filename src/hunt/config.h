/* The configuration's `hunts:`: what all hunts share, and a mapping for each hunt that has
 * settings. `cloudspan hunt` and the running watch read the same. */
#ifndef HUNT_CONFIG_H
#define HUNT_CONFIG_H

#include <stdalign.h>

#include "hunt/engine.h"

#define HUNT_CONFIG_MAX 32 /* hunts */

struct hunt_config {
    struct hunt_settings common; /* without blobs */
    int64_t window;              /* ns */
    char *asn;                   /* a file; NULL: none */
    char **on_alert;             /* a program and its arguments */
    size_t n_on_alert;
    alignas(16) unsigned char own[HUNT_CONFIG_MAX][HUNT_SETTINGS_MAX]; /* in the order of hunts[] */
};

/* Puts the defaults into zeroed memory; false: no memory. What it owns goes by yaml_drop. */
bool hunt_config_init(struct hunt_config *config);

/* The rows of a struct hunt_config, ended by one without key. They are made here because each hunt
 * brings its own. NULL: no memory. */
struct hunt_config_rows;
struct hunt_config_rows *hunt_config_rows_new(void);
void hunt_config_rows_free(struct hunt_config_rows *rows);
const struct yaml_row *hunt_config_rows_at(const struct hunt_config_rows *rows);

/* What the rows alone do not show. For struct yaml_row's finish. */
int hunt_config_check(void *config, struct err *err);

/* A copy for an engine, with its own memory: hunt_settings_done. `out` is not initialised. */
int hunt_config_settings(const struct hunt_config *config, struct hunt_settings *out,
                         struct err *err) MUST_CHECK;

#endif
