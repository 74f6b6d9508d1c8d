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
    if (table->n == MAX_SOURCES || (s.is_refused && table->n_not_admitted >= MAX_REFUSED)) {
        source_add(&table->n_refused, 1);
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
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
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
                                  .part = part,
                                  .whole = number};
            return find(table, &key);
        }
    }
    return number;
}

/* Numbers count frames; further back than this is no late frame, but a sender that began anew. */
#define SEQ_JUMP 100000

void source_look_at_seq(struct source *s, const struct packet *p)
{
    const struct packet_layer *layer = p->n_mirror ? &p->layers[p->n_mirror - 1] : NULL;
    if (!layer || !layer->has_seq)
        return;
    struct source_counters *c = &s->counters;
    int32_t ahead = (int32_t)(layer->seq - (uint32_t)c->seq);
    bool is_first = c->n_seq == 0;
    source_add(&c->n_seq, 1);
    if (is_first || ahead > 0 || ahead < -SEQ_JUMP) {
        __atomic_store_n(&c->seq, layer->seq, __ATOMIC_RELAXED);
        __atomic_store_n(&c->seq_ts, p->ts, __ATOMIC_RELAXED);
    } else if (ahead < 0) {
        source_add(&c->n_reordered, 1);
    }
}

void source_seq_begin(struct source_seq *seq)
{
    seq->n = 0;
    seq->any = false;
}

/* The sender is where the latest packet says, whichever worker has that: one that rarely gets a
 * packet of this channel knows an old number. */
void source_seq_add(struct source_seq *seq, const struct source_counters *c)
{
    uint64_t n = __atomic_load_n(&c->n_seq, __ATOMIC_RELAXED);
    int64_t ts = __atomic_load_n(&c->seq_ts, __ATOMIC_RELAXED);
    if (n == 0)
        return;
    seq->n += n;
    if (seq->any && ts <= seq->ts)
        return;
    seq->any = true;
    seq->ts = ts;
    seq->seq = (uint32_t)__atomic_load_n(&c->seq, __ATOMIC_RELAXED);
}

/* What is missing now, and was so at each of the last looks. */
static void settle(struct source_seq *seq)
{
    seq->recent[seq->n_looks++ % SOURCE_SEQ_SETTLE] = seq->missing;
    int64_t least = seq->missing;
    for (unsigned i = 0; i < SOURCE_SEQ_SETTLE; i++)
        least = seq->recent[i] < least ? seq->recent[i] : least;
    if (least > seq->settled)
        seq->lost += (uint64_t)(least - seq->settled);
    seq->settled = least;
}

void source_seq_end(struct source_seq *seq)
{
    if (!seq->any)
        return;
    int64_t ahead = (int32_t)(seq->seq - seq->seq_before);
    int64_t n_came = (int64_t)(seq->n - seq->n_before);
    bool is_anew = ahead < -SEQ_JUMP || ahead > 2 * n_came + SEQ_JUMP;
    seq->seq_before = seq->seq;
    seq->n_before = seq->n;
    if (!seq->begun || is_anew) {
        seq->begun = true;
        seq->missing = seq->settled = 0;
        memset(seq->recent, 0, sizeof seq->recent);
        return;
    }
    seq->missing += ahead - n_came;
    if (seq->missing < 0)
        seq->missing = 0; /* it began while some were not counted yet, or sends a number twice */
    settle(seq);
}

uint64_t source_seq_lost(const struct source_seq *seq)
{
    return seq->lost;
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

uint64_t source_refused(const struct source_table *table)
{
    return table->n_refused;
}
