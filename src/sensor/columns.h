/* The columns that rows of connections have after Zeek's: the mirror source's, community_id. */
#ifndef SENSOR_COLUMNS_H
#define SENSOR_COLUMNS_H

#include "flow/flow.h"
#include "source/source.h"

/* `number` of the source that the connection was first seen from; 0: unset. */
void columns_put_source(struct rec *rec, struct source_table *table, uint16_t number);
void columns_put_community_id(struct rec *rec, const struct flow *f);

#endif
