/* The rows of the whole configuration: those of config_schema.c, and beneath `hunts` those that the
 * hunts bring. */
#include <assert.h>
#include <stdlib.h>

#include "sensor/config_parts.h"

#define MAX_ROWS 64 /* as yaml.h has it */

struct config_table {
    struct yaml_row rows[MAX_ROWS + 1];
    struct hunt_config_rows *hunts;
};

struct config_table *config_table_new(void)
{
    struct config_table *table = calloc(1, sizeof *table);
    struct hunt_config_rows *rows = hunt_config_rows_new();
    if (!table || !rows) {
        free(table);
        hunt_config_rows_free(rows);
        return NULL;
    }
    table->hunts = rows;
    for (size_t i = 0; config_rows[i].key; i++) {
        assert(i < MAX_ROWS);
        table->rows[i] = config_rows[i];
        if (table->rows[i].kind == YAML_MAP && !table->rows[i].rows)
            table->rows[i].rows = hunt_config_rows_at(rows);
    }
    return table;
}

void config_table_free(struct config_table *table)
{
    if (!table)
        return;
    hunt_config_rows_free(table->hunts);
    free(table);
}

const struct yaml_row *config_table_rows(const struct config_table *table)
{
    return table->rows;
}
