/* The monitored machines, as the mirror's channels tell them apart: (encapsulation, outer address,
 * VNI or key or session id). Numbers are small, so that a connection can remember its own. */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include "net/packet.h"

struct source_table;

#define SOURCE_NAME_MAX 64

struct source {
    const struct tunnel_decoder *decoder;
    struct addr outer;
    uint32_t id;
    bool has_id;
    uint16_t network;
    char name[SOURCE_NAME_MAX]; /* for tables and logs */
};

struct network_list;

/* `networks` is kept as long as the table; NULL: there is one. */
struct source_table *source_table_new(const struct network_list *networks);
void source_table_free(struct source_table *table);

/* The number of the channel that the packet's mirror layers name; 0: not mirrored, or there are
 * more channels than can be told apart (counted). */
uint16_t source_of(struct source_table *table, const struct packet *p);

/* NULL for 0. */
struct source *source_get(struct source_table *table, uint16_t number);
/* Of the channel's network; "default" for 0. */
const char *source_network_uuid(const struct source_table *table, uint16_t number);
uint16_t source_count(const struct source_table *table);
uint64_t source_refused(const struct source_table *table);

#endif
