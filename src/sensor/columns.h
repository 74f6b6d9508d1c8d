/* The columns that rows of connections have after Zeek's: the mirror source's, community_id. */
#ifndef SENSOR_COLUMNS_H
#define SENSOR_COLUMNS_H

#include "flow/flow.h"
#include "source/source.h"

/* Of the network that a channel belongs to: the same for all runs. */
#define COLUMNS_UUID_LEN 36

void columns_put_source(struct rec *rec, const struct source *source);
void columns_put_community_id(struct rec *rec, const struct flow *f);

#endif
