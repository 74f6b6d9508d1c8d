/* The table of channels: see source.h. */
#include "source/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "net/origin.h"
#include "source/network.h"
#include "tunnel/geneve.h"
#include "tunnel/tunnel.h"

#define MAX_SOURCES 16384
#define MAX_REFUSED 2048  /* of them: whoever sends from ever new addresses takes no more */
#define N_PLACES    32768 /* power of two, twice as many */
#define N_RECENT    256

struct source_table {
    const struct network_list *networks;
    const struct source_rules *rules;
    uint16_t n;
    uint16_t n_not_admitted;
    uint64_t n_refused;
    uint64_t secret[3];        /* or whoever sends chooses who shares a place with whom */
    uint16_t recent[N_RECENT]; /* by a quick hash: channels that were seen last */
    uint16_t places[N_PLACES];
    struct source sources[MAX_SOURCES];
};

struct source_table *source_table_new(const struct network_list *networks)
{
    struct source_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->networks = networks;
    /* The call only fails where the kernel has no random numbers yet; the addresses are some. */
    if (getrandom(table->secret, sizeof table->secret, GRND_NONBLOCK) != sizeof table->secret)
        for (size_t i = 0; i < 3; i++)
            table->secret[i] = ((uint64_t)(uintptr_t)table + i) * 0x9e3779b97f4a7c15ull;
    return table;
}

void source_table_free(struct source_table *table)
{
    free(table);
}

static bool is_same(const struct source *s, const struct source *key)
{
    return s->decoder == key->decoder && s->has_id == key->has_id && s->id == key->id &&
           s->input == key->input && s->part == key->part && s->is_forwarded == key->is_forwarded &&
           addr_eq(&s->outer, &key->outer);
}

static void set_name(struct source *s)
{
    char text[ADDR_TEXT_MAX];
    int len = (int)addr_format(&s->outer, text);
    if (s->told[0])
        memcpy(s->name, s->told, sizeof s->name);
    else if (!s->decoder)
        (void)snprintf(s->name, sizeof s->name, "input %u", s->input);
    else if (s->has_id)
        (void)snprintf(s->name, sizeof s->name, "%.*s/%u", len, text, s->id);
    else
        (void)snprintf(s->name, sizeof s->name, "%.*s", len, text);
}

void source_describe(const struct source_rules *rules, const struct network_list *networks,
                     struct source *s)
{
    set_name(s);
    s->network = s->decoder ? network_of(networks, s->decoder, &s->outer, s->has_id, s->id) : 0;
    s->is_refused = s->is_shared = s->refuses_rest = s->drop_vlan = false;
    if (rules)
        rules->describe(rules->with, s);
}

void source_table_set_rules(struct source_table *table, const struct source_rules *rules,
                            const struct network_list *networks)
{
    table->rules = rules;
    table->networks = networks;
    /* Channels that were refused may be admitted now, and the other way round. */
    table->n_not_admitted = 0;
    for (uint16_t i = 0; i < table->n; i++) {
        source_describe(rules, networks, &table->sources[i]);
        table->n_not_admitted += table->sources[i].is_refused;
    }
}

/* NULL: there is no room for it. */
static struct source *add(struct source_table *table, const struct source *key)
{
    struct source s = *key;
    source_describe(table->rules, table->networks, &s);
    if (table->n == MAX_SOURCES || (s.is_refused && table->n_not_admitted == MAX_REFUSED)) {
        table->n_refused++;
        return NULL;
    }
    table->n_not_admitted += s.is_refused;
    struct source *out = &table->sources[table->n];
    *out = s;
    __atomic_store_n(&table->n, (uint16_t)(table->n + 1), __ATOMIC_RELEASE);
    return out;
}

/* Both halves of the product: each bit of both numbers matters to all of it. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint16_t find(struct source_table *table, const struct source *key)
{
    uint64_t low, high;
    memcpy(&low, key->outer.b, 8);
    memcpy(&high, key->outer.b + 8, 8);
    uint64_t more = key->id ^ (uint64_t)key->input << 32 ^ (uint64_t)key->part << 48;
    const uint64_t *secret = table->secret;
    uint64_t hash = mix(mix(low ^ secret[0], high ^ secret[1]) ^ more, secret[2]);
    uint16_t *recent = &table->recent[hash >> 56];
    if (*recent && is_same(&table->sources[*recent - 1], key))
        return *recent;
    for (size_t i = hash >> 40 & (N_PLACES - 1);; i = (i + 1) & (N_PLACES - 1)) {
        if (table->places[i] == 0) {
            if (!add(table, key))
                return 0;
            return *recent = table->places[i] = table->n;
        }
        if (is_same(&table->sources[table->places[i] - 1], key))
            return *recent = table->places[i];
    }
}

uint16_t source_of(struct source_table *table, const struct packet *p)
{
    if (p->n_mirror == 0)
        return 0;
    /* The innermost of the mirror's layers tells machines apart: an outer one is a balancer's. */
    const struct packet_layer *layer = &p->layers[p->n_mirror - 1];
    struct source key = {
        .decoder = layer->decoder, .outer = layer->src, .id = layer->id, .has_id = layer->has_id};
    return find(table, &key);
}

/* What another collector says of where the packet came from (net/origin.h); he is admitted, so he
 * is believed. The channel is then the one it was there. */
static bool read_origin(const struct packet *p, const struct source *channel, struct source *out)
{
    struct origin origin;
    if (channel->decoder != &tunnel_geneve || p->layers[p->n_mirror - 1].options_size == 0)
        return false;
    struct reader data = geneve_option(&p->layers[p->n_mirror - 1], ORIGIN_CLASS, ORIGIN_TYPE);
    if (rd_left(&data) == 0 || !origin_decode(data, &origin))
        return false;
    const struct tunnel_decoder *decoder =
        origin.how.len ? tunnel_by_name(origin.how.at, origin.how.len) : NULL;
    *out = (struct source){.decoder = decoder ? decoder : channel->decoder,
                           .outer = origin.sender,
                           .id = origin.id,
                           .has_id = origin.has_id,
                           .is_forwarded = true};
    size_t len = origin.name.len < sizeof out->told ? origin.name.len : sizeof out->told - 1;
    if (len)
        memcpy(out->told, origin.name.at, len);
    return true;
}

uint16_t source_of_live(struct source_table *table, const struct packet *p)
{
    struct source key = {.input = p->input};
    uint16_t number = p->n_mirror ? source_of(table, p) : find(table, &key);
    struct source *s = source_get(table, number);
    if (!s || s->is_refused)
        return number;
    if (p->n_mirror && read_origin(p, s, &key))
        return find(table, &key);
    if (s->is_shared && table->rules) {
        uint16_t part = table->rules->part(table->rules->with, s, p);
        if (part) {
            key = (struct source){.decoder = s->decoder,
                                  .outer = s->outer,
                                  .id = s->id,
                                  .has_id = s->has_id,
                                  .input = s->input,
                                  .part = part};
            return find(table, &key);
        }
    }
    return number;
}

/* Numbers count frames; a jump of more than this is a sender that began anew. */
#define SEQ_JUMP 100000

void source_look_at_seq(struct source *s, const struct packet *p)
{
    const struct packet_layer *layer = p->n_mirror ? &p->layers[p->n_mirror - 1] : NULL;
    if (!layer || !layer->has_seq)
        return;
    struct source_counters *c = &s->counters;
    int32_t ahead = (int32_t)(layer->seq - (uint32_t)c->seq_high);
    if (c->n_seq == 0 || ahead > SEQ_JUMP || ahead < -SEQ_JUMP) {
        c->seq_epoch += c->n_seq > 0;
        c->seq_low = c->seq_high = (1ull << 32) + layer->seq; /* room to go below */
        c->n_seq = 1;
        return;
    }
    c->n_seq++;
    uint64_t seq = c->seq_high + (uint64_t)(int64_t)ahead;
    if (ahead < 0)
        c->n_reordered++;
    else
        c->seq_high = seq;
    if (seq < c->seq_low)
        c->seq_low = seq;
}

void source_seq_add(struct source_seq *seq, const struct source_counters *c)
{
    if (c->n_seq == 0 || (seq->n > 0 && c->seq_epoch < seq->epoch))
        return;
    if (seq->n == 0 || c->seq_epoch > seq->epoch)
        *seq = (struct source_seq){.epoch = c->seq_epoch, .low = c->seq_low, .high = c->seq_high};
    seq->low = c->seq_low < seq->low ? c->seq_low : seq->low;
    seq->high = c->seq_high > seq->high ? c->seq_high : seq->high;
    seq->n += c->n_seq;
}

uint64_t source_seq_lost(const struct source_seq *seq)
{
    return seq->n && seq->high - seq->low + 1 > seq->n ? seq->high - seq->low + 1 - seq->n : 0;
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

uint16_t source_count_shared(const struct source_table *table)
{
    return __atomic_load_n(&table->n, __ATOMIC_ACQUIRE);
}

size_t source_longest_search(const struct source_table *table)
{
    size_t longest = 0, n = 0;
    for (size_t i = 0; i < N_PLACES; i++) {
        n = table->places[i] ? n + 1 : 0;
        longest = n > longest ? n : longest;
    }
    return longest;
}

uint64_t source_refused(const struct source_table *table)
{
    return table->n_refused;
}
