/* The columns that rows of connections have after Zeek's: the mirror source's, community_id. */
#ifndef SENSOR_COLUMNS_H
#define SENSOR_COLUMNS_H

#include "flow/flow.h"
#include "source/source.h"

/* What was rendered of each source: a worker's own. */
struct columns;

struct columns *columns_new(struct source_table *table);
/* Names of sources have changed. */
void columns_forget(struct columns *columns);
void columns_free(struct columns *columns);

/* `number` of the source that the connection was first seen from; 0: unset. */
void columns_put_source(struct rec *rec, struct columns *columns, uint16_t number);
void columns_put_community_id(struct rec *rec, const struct flow *f);

#endif
