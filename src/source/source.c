/* The table of channels: see source.h. */
#include "source/source.h"

#include <stdio.h>
#include <stdlib.h>

#include "source/network.h"
#include "tunnel/tunnel.h"

#define MAX_SOURCES 16384
#define N_PLACES    32768 /* power of two, twice as many */
#define N_RECENT    256

struct source_table {
    const struct network_list *networks;
    uint16_t n;
    uint64_t n_refused;
    uint16_t recent[N_RECENT]; /* by a quick hash: channels that were seen last */
    uint16_t places[N_PLACES];
    struct source sources[MAX_SOURCES];
};

struct source_table *source_table_new(const struct network_list *networks)
{
    struct source_table *table = calloc(1, sizeof *table);
    if (table)
        table->networks = networks;
    return table;
}

void source_table_free(struct source_table *table)
{
    free(table);
}

static bool is_same(const struct source *s, const struct packet_layer *layer)
{
    return s->decoder == layer->decoder && s->has_id == layer->has_id && s->id == layer->id &&
           addr_eq(&s->outer, &layer->src);
}

static void set_name(struct source *s)
{
    char text[ADDR_TEXT_MAX];
    int len = (int)addr_format(&s->outer, text);
    if (s->has_id)
        (void)snprintf(s->name, sizeof s->name, "%.*s/%u", len, text, s->id);
    else
        (void)snprintf(s->name, sizeof s->name, "%.*s", len, text);
}

uint16_t source_of(struct source_table *table, const struct packet *p)
{
    if (p->n_mirror == 0)
        return 0;
    /* The innermost of the mirror's layers tells machines apart: an outer one is a balancer's. */
    const struct packet_layer *layer = &p->layers[p->n_mirror - 1];
    uint64_t low, high;
    memcpy(&low, layer->src.b, 8);
    memcpy(&high, layer->src.b + 8, 8);
    uint64_t hash = (low ^ high * 0x9e3779b97f4a7c15ull ^ layer->id) * 0xff51afd7ed558ccdull;
    uint16_t *recent = &table->recent[hash >> 56];
    if (*recent && is_same(&table->sources[*recent - 1], layer))
        return *recent;
    for (size_t i = hash >> 40 & (N_PLACES - 1);; i = (i + 1) & (N_PLACES - 1)) {
        if (table->places[i] == 0) {
            if (table->n == MAX_SOURCES) {
                table->n_refused++;
                return 0;
            }
            struct source *s = &table->sources[table->n++];
            *s = (struct source){.decoder = layer->decoder,
                                 .outer = layer->src,
                                 .id = layer->id,
                                 .has_id = layer->has_id};
            set_name(s);
            s->network = network_of(table->networks, s->decoder, &s->outer, s->has_id, s->id);
            table->places[i] = table->n;
            return *recent = table->n;
        }
        if (is_same(&table->sources[table->places[i] - 1], layer))
            return *recent = table->places[i];
    }
}

struct source *source_get(struct source_table *table, uint16_t number)
{
    return number ? &table->sources[number - 1] : NULL;
}

const char *source_network_uuid(const struct source_table *table, uint16_t number)
{
    return network_uuid(table->networks, number ? table->sources[number - 1].network : 0);
}

uint16_t source_count(const struct source_table *table)
{
    return table->n;
}

uint64_t source_refused(const struct source_table *table)
{
    return table->n_refused;
}
