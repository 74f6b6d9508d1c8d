/* Recognises packets that were mirrored more than once; see dedup.h for what a copy is.
 *
 * The table is an array of buckets. A bucket is one cache line of tags, looked through at once, and
 * an entry of one cache line behind each tag; when it is full, the entry that came first goes.
 *
 *     bucket: | tag 0 | tag 1 | ... | tag 14 | hand |      hand: the way that goes next
 *     entry:  what was seen of one packet: how many of it were kept, and for each place how many of
 *             these the place has not shown yet
 *
 * Each place owes what was kept because of another: what it shows while it owes something is a
 * copy, what it shows when it owes nothing is kept. Debts lapse: by the window after the last
 * packet that was kept; while such packets go on coming, no place owes more than were kept in this
 * and the last period of that length. */
#include "source/dedup.h"

#include <stdlib.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "source/first_seen.h"
#include "tunnel/geneve.h"
#include "tunnel/tunnel.h"

#define N_WAYS       15
#define N_PLACES     4
#define SECRET_SIZE  192
#define HEAD_SIZE    72 /* a UDP header and 64 bytes */
#define DEFAULT_SIZE ((size_t)2 << 20)
#define DEFAULT_MS   200
#define MAX_MS       ((int64_t)30000) /* struct entry keeps milliseconds in 16 bits */

/* Doubling places: pairs of MAC addresses in a channel. */
#define N_PAIRS       1024
#define PAIR_WAYS     4
#define TWIN_MS       5
#define TWINS_NEEDED  32   /* packets seen of a pair before it is believed to double */
#define PAIR_HALVE_AT 1024 /* counts are halved here: what was long ago weighs less */

struct tags {
    uint32_t tag[N_WAYS]; /* 0: free */
    uint32_t hand;
};

/* Where a packet was seen. Another channel is another place; within a channel both of the others
 * have to differ, as they do behind a router: a sender may change either. */
struct place {
    uint32_t channel_and_ttl; /* the TTL is the low byte */
    uint16_t macs;
    uint16_t seen_ms; /* when it was seen there last */
};

struct entry {
    _Alignas(64) uint32_t check; /* the other half of the hash */
    uint32_t fingerprint;        /* of the rest of the payload; 0: no copy of it was whole yet */
    struct place place[N_PLACES];
    uint16_t owed[N_PLACES];
    uint32_t kept_ms;          /* when the last was kept */
    uint16_t period;           /* of kept_ms */
    uint16_t n_kept, n_before; /* kept in this period, and in the one before */
    uint8_t n_places;
    uint8_t twinned; /* bit of a place: its last packet already was the second of two */
};

_Static_assert(sizeof(struct tags) == 64 && sizeof(struct entry) == 64, "one cache line each");

struct pair {
    uint32_t key;
    uint16_t n_seen, n_twins;
    uint16_t last_id;
};

struct dedup {
    struct first_seen_table first;
    struct tags *tags; /* of packets that were seen again */
    struct entry *entries;
    size_t mask; /* number of buckets - 1 */
    uint32_t window_ms;
    struct dedup_counters counters;
    struct pair pairs[N_PAIRS];
    uint8_t secret[SECRET_SIZE];
};

static bool within(uint32_t then_ms, uint32_t now_ms, uint32_t span_ms)
{
    int32_t age = (int32_t)(now_ms - then_ms);
    return age <= (int32_t)span_ms && -age <= (int32_t)span_ms;
}

static uint64_t hash_bytes(const struct dedup *dedup, const void *bytes, size_t size)
{
    return XXH3_64bits_withSecret(bytes, size, dedup->secret, SECRET_SIZE);
}

/* Two numbers into one that depends on every bit of both. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t secret_at(const struct dedup *dedup, size_t n)
{
    uint64_t value;
    memcpy(&value, dedup->secret + n * sizeof value, sizeof value);
    return value;
}

/* What even a copy that was cut short has to have: of TCP its header, which no two segments share
 * but retransmissions; of others the first bytes, since all datagrams of a stream may have one
 * header. Checksums are left out. False: that much is not there. */
static bool hash_head(const struct dedup *dedup, struct reader *r, const struct packet *packet,
                      uint64_t *out)
{
    if (packet->ip_proto == 6) {
        rd_skip(r, 4); /* ports: in the hash of the connection */
        uint64_t numbers = rd_be64(r);
        uint64_t rest = rd_be32(r);
        rd_skip(r, 2);
        rest |= (uint64_t)rd_be16(r) << 32;
        *out = mix(numbers ^ secret_at(dedup, 0), rest ^ secret_at(dedup, 1));
        return rd_ok(r);
    }
    uint8_t head[HEAD_SIZE];
    size_t size = packet->payload_len < HEAD_SIZE ? packet->payload_len : HEAD_SIZE;
    const uint8_t *bytes = rd_bytes(r, size);
    if (!bytes || size == 0)
        return false;
    memcpy(head, bytes, size);
    if (packet->ip_proto == 17 && size >= 8)
        memset(head + 6, 0, 2);
    *out = hash_bytes(dedup, head, size);
    return true;
}

struct layer_key {
    const struct tunnel_decoder *decoder;
    struct addr src, dst;
    uint64_t interface;
    uint32_t id;
    uint8_t has_id, direction;
    uint8_t pad[2];
};

/* Of the channel and the MAC addresses in it. */
static uint32_t hash_pair(const struct packet *packet, uint64_t channel)
{
    uint64_t macs[2] = {0, 0};
    if (packet->has_mac) {
        memcpy(&macs[0], packet->src_mac, 6);
        memcpy(&macs[1], packet->dst_mac, 6);
    }
    uint64_t mixed = (macs[0] ^ channel) * 0x9e3779b97f4a7c15ull;
    mixed = (mixed ^ mixed >> 29 ^ macs[1]) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(mixed >> 32) | 1;
}

/* The mirror's layers: who sent it. Gateway load balancers say it in an option. */
static uint64_t hash_channel(const struct dedup *dedup, const struct packet *packet)
{
    struct layer_key keys[PACKET_MAX_LAYERS];
    size_t n = packet->n_mirror < PACKET_MAX_LAYERS ? packet->n_mirror : PACKET_MAX_LAYERS;
    memset(keys, 0, sizeof(keys[0]) * n);
    for (size_t i = 0; i < n; i++) {
        const struct packet_layer *layer = &packet->layers[i];
        keys[i].decoder = layer->decoder;
        keys[i].src = layer->src;
        keys[i].id = layer->id;
        keys[i].has_id = layer->has_id;
        keys[i].direction = layer->direction;
        if (layer->options)
            geneve_aws_eni(layer, &keys[i].interface);
    }
    return hash_bytes(dedup, keys, sizeof(keys[0]) * n);
}

static uint64_t hash_tunnels(const struct dedup *dedup, const struct packet *packet)
{
    struct layer_key keys[PACKET_MAX_LAYERS];
    size_t n = 0;
    for (size_t i = packet->n_mirror; i < packet->n_layers && i < PACKET_MAX_LAYERS; i++) {
        const struct packet_layer *layer = &packet->layers[i];
        memset(&keys[n], 0, sizeof(keys[n]));
        keys[n].decoder = layer->decoder;
        keys[n].src = layer->src;
        keys[n].dst = layer->dst;
        keys[n].id = layer->id;
        n++;
    }
    return n ? hash_bytes(dedup, keys, sizeof(keys[0]) * n) : 0;
}

static bool is_whole(const struct packet *packet)
{
    for (size_t i = 0; i < packet->n_mirror && i < PACKET_MAX_LAYERS; i++)
        if (packet->layers[i].truncated)
            return false;
    return packet->payload_size >= packet->payload_len;
}

/* Of what follows the head: its size, its first and its last bytes, which is enough to tell packets
 * apart that have all else in common. */
static uint32_t sample(const struct dedup *dedup, struct reader *r)
{
    size_t size = rd_left(r);
    if (size < 16) {
        uint8_t few[16] = {0};
        memcpy(few, rd_bytes(r, size), size);
        return (uint16_t)hash_bytes(dedup, few, sizeof few) | 1;
    }
    uint64_t first = rd_be64(r);
    rd_skip(r, rd_left(r) - 8);
    return (uint16_t)mix(first ^ secret_at(dedup, 2), rd_be64(r) ^ secret_at(dedup, 3) ^ size) | 1;
}

/* The channel by its number, where that says all. */
static uint64_t quick_channel(const struct packet *packet, uint16_t source)
{
    return (source + ((uint64_t)packet->layers[packet->n_mirror - 1].direction << 16) + 1) *
           0x9e3779b97f4a7c15ull;
}

bool dedup_look(struct dedup *dedup, const struct packet *packet, uint32_t flow_hash,
                uint16_t source, int64_t now, struct dedup_sight *out)
{
    struct reader r = rd_make(packet->payload, packet->payload_size);
    uint64_t head;
    if (packet->kind != PACKET_IP || !hash_head(dedup, &r, packet, &head)) {
        dedup->counters.n_unknown++;
        return false;
    }
    out->ip_id = packet->ip_version == 4 ? packet->ip_id : 0;
    uint64_t flow = (uint64_t)flow_hash << 32 | (uint32_t)packet->ip_proto << 24;
    uint64_t around = packet->n_layers > packet->n_mirror ? hash_tunnels(dedup, packet) : 0;
    uint64_t size = (uint64_t)packet->payload_len << 16 | out->ip_id;
    out->hash = mix(head ^ flow ^ secret_at(dedup, 4), size ^ around ^ secret_at(dedup, 5));
    first_seen_prefetch(&dedup->first, out->hash);
    out->fingerprint = is_whole(packet) ? sample(dedup, &r) : 0;

    bool quick = source && packet->n_mirror == 1 && packet->layers[0].options_size == 0;
    uint64_t channel = quick ? quick_channel(packet, source) : hash_channel(dedup, packet);
    out->pair = hash_pair(packet, channel);
    out->channel_and_ttl = (uint32_t)(channel >> 32) << 8 | packet->ttl;
    out->macs = packet->has_mac ? (uint16_t)(out->pair >> 16) : packet->ttl;
    out->ms = (uint32_t)(now / 1000000);
    return true;
}

static uint16_t n_recent(const struct entry *entry)
{
    unsigned int n = (unsigned int)entry->n_kept + entry->n_before;
    return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

static bool is_fresh(const struct dedup *dedup, const struct entry *entry, uint32_t ms)
{
    return n_recent(entry) > 0 && within(entry->kept_ms, ms, dedup->window_ms);
}

static struct entry *find(struct dedup *dedup, const struct dedup_sight *sight)
{
    size_t bucket = sight->hash & dedup->mask;
    uint32_t tag = (uint32_t)(sight->hash >> 32) | 1;
    uint32_t check = (uint32_t)sight->hash;
    struct tags *tags = &dedup->tags[bucket];
    struct entry *entries = &dedup->entries[bucket * N_WAYS];
    for (size_t way = 0; way < N_WAYS; way++) {
        struct entry *entry = &entries[way];
        if (tags->tag[way] != tag || entry->check != check)
            continue;
        bool same =
            !entry->fingerprint || !sight->fingerprint || entry->fingerprint == sight->fingerprint;
        if (same && is_fresh(dedup, entry, sight->ms))
            return entry;
    }

    size_t way = tags->hand;
    tags->hand = (uint32_t)((way + 1) % N_WAYS);
    struct entry *entry = &entries[way];
    if (is_fresh(dedup, entry, sight->ms))
        dedup->first.n_crowded++;
    tags->tag[way] = tag;
    *entry = (struct entry){
        .check = check,
        .period = (uint16_t)(sight->ms / dedup->window_ms),
    };
    return entry;
}

static bool same_place(const struct place *a, const struct place *b)
{
    uint32_t differs = a->channel_and_ttl ^ b->channel_and_ttl;
    return differs >> 8 == 0 && (differs == 0 || a->macs == b->macs);
}

/* The place's number in the entry. Of five places, the one that was silent longest is forgotten,
 * and taken for a new one, which owes all there is, if it speaks again. */
static unsigned int find_place(struct entry *entry, const struct dedup_sight *sight,
                               bool *out_is_new)
{
    struct place here = {.channel_and_ttl = sight->channel_and_ttl, .macs = sight->macs};
    unsigned int oldest = 0;
    *out_is_new = false;
    for (unsigned int i = 0; i < entry->n_places; i++) {
        if (same_place(&entry->place[i], &here))
            return i;
        if ((int16_t)(uint16_t)(entry->place[i].seen_ms - entry->place[oldest].seen_ms) < 0)
            oldest = i;
    }
    *out_is_new = true;
    unsigned int i = entry->n_places < N_PLACES ? entry->n_places++ : oldest;
    entry->place[i] = here;
    entry->owed[i] = n_recent(entry);
    entry->twinned &= (uint8_t) ~(1u << i);
    return i;
}

/* Four pairs share a set: of a fifth, the one that was seen least is forgotten. */
static struct pair *find_pair(struct dedup *dedup, uint32_t key)
{
    struct pair *set = &dedup->pairs[key % (N_PAIRS / PAIR_WAYS) * PAIR_WAYS];
    struct pair *least = set;
    for (unsigned int i = 0; i < PAIR_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].n_seen < least->n_seen)
            least = &set[i];
    }
    *least = (struct pair){.key = key};
    return least;
}

/* Counts how many of the packets between two MAC addresses come twice; true when they all do. */
static bool pair_doubles(struct dedup *dedup, const struct dedup_sight *sight, bool is_twin)
{
    if (sight->ip_id == 0)
        return false;
    struct pair *pair = find_pair(dedup, sight->pair);
    if (pair->n_seen == PAIR_HALVE_AT) {
        pair->n_seen /= 2;
        pair->n_twins /= 2;
    }
    pair->n_seen++;
    if (is_twin && pair->last_id != sight->ip_id) {
        pair->n_twins++;
        pair->last_id = sight->ip_id;
    }
    return pair->n_seen >= TWINS_NEEDED && pair->n_twins * 8 >= pair->n_seen * 3;
}

/* In another period than the last packet that was kept: debts lapse. */
static void turn(struct entry *entry, uint16_t period)
{
    int16_t n_periods = (int16_t)(uint16_t)(period - entry->period);
    if (n_periods <= 0)
        return;
    entry->n_before = n_periods == 1 ? entry->n_kept : 0;
    entry->n_kept = 0;
    entry->period = period;
    uint16_t most = n_recent(entry);
    for (unsigned int i = 0; i < entry->n_places; i++)
        if (entry->owed[i] > most)
            entry->owed[i] = most;
}

static void keep(struct entry *entry, unsigned int place, uint32_t ms)
{
    for (unsigned int i = 0; i < entry->n_places; i++)
        if (i != place && entry->owed[i] < UINT16_MAX)
            entry->owed[i]++;
    if (entry->n_kept < UINT16_MAX)
        entry->n_kept++;
    entry->kept_ms = ms;
}

/* The whole account, for packets that were seen again. `replay`: of the first time, told late. */
static bool ask_all(struct dedup *dedup, const struct dedup_sight *sight, bool replay)
{
    struct entry *entry = find(dedup, sight);
    if (!entry->fingerprint)
        entry->fingerprint = sight->fingerprint;
    turn(entry, (uint16_t)(sight->ms / dedup->window_ms));
    bool is_new;
    unsigned int place = find_place(entry, sight, &is_new);
    uint8_t bit = (uint8_t)(1u << place);

    bool is_twin = !is_new && !(entry->twinned & bit) && sight->ip_id != 0 &&
                   (uint16_t)((uint16_t)sight->ms - entry->place[place].seen_ms) <= TWIN_MS;
    bool doubles = !replay && pair_doubles(dedup, sight, is_twin);
    entry->place[place].seen_ms = (uint16_t)sight->ms;
    if (is_twin)
        entry->twinned |= bit;
    else
        entry->twinned &= (uint8_t)~bit;
    if (is_twin && doubles) {
        dedup->counters.n_doubled++;
        return true;
    }

    if (entry->owed[place] > 0) {
        entry->owed[place]--;
        dedup->counters.n_copies++;
        return true;
    }
    if (!is_new)
        dedup->counters.n_again++;
    keep(entry, place, sight->ms);
    dedup->counters.n_kept += !replay;
    return false;
}

bool dedup_ask(struct dedup *dedup, const struct dedup_sight *sight)
{
    struct first_seen *seen = first_seen_find(
        &dedup->first, sight->hash, (uint16_t)sight->fingerprint, sight->ms, dedup->window_ms);
    if (!seen) {
        struct first_seen first = {.channel_and_ttl = sight->channel_and_ttl,
                                   .macs = sight->macs,
                                   .fingerprint = (uint16_t)sight->fingerprint,
                                   .ms = sight->ms & 0x7fffffff};
        first_seen_add(&dedup->first, sight->hash, &first, dedup->window_ms);
        (void)pair_doubles(dedup, sight, false); /* counted, not seen twice yet */
        dedup->counters.n_crowded = dedup->first.n_crowded;
        dedup->counters.n_kept++;
        return false;
    }
    if (!seen->again) {
        struct dedup_sight first = *sight;
        first.channel_and_ttl = seen->channel_and_ttl;
        first.macs = seen->macs;
        first.fingerprint = seen->fingerprint;
        first.ms = (sight->ms & ~0x7fffffffu) | seen->ms;
        (void)ask_all(dedup, &first, true);
    }
    bool is_copy = ask_all(dedup, sight, false);
    seen->again = 1;
    seen->ms = sight->ms & 0x7fffffff;
    return is_copy;
}

bool dedup_is_copy(struct dedup *dedup, const struct packet *packet, int64_t now)
{
    struct dedup_sight sight;
    struct {
        struct addr src, dst;
        uint64_t network;
    } flow = {.src = packet->src, .dst = packet->dst, .network = packet->network};
    uint32_t flow_hash = (uint32_t)hash_bytes(dedup, &flow, sizeof(flow));
    return dedup_look(dedup, packet, flow_hash, 0, now, &sight) && dedup_ask(dedup, &sight);
}

static bool make_secret(struct dedup *dedup, uint64_t seed)
{
    if (seed == 0)
        return getrandom(dedup->secret, SECRET_SIZE, 0) == SECRET_SIZE;
    for (size_t i = 0; i < SECRET_SIZE / sizeof seed; i++) {
        uint64_t word = XXH3_64bits_withSeed(&i, sizeof i, seed);
        memcpy(dedup->secret + i * sizeof word, &word, sizeof word);
    }
    return true;
}

struct dedup *dedup_new(const struct dedup_options *options)
{
    size_t memory = options && options->memory ? options->memory : DEFAULT_SIZE;
    size_t bucket_size = sizeof(struct tags) + N_WAYS * sizeof(struct entry);
    size_t n_buckets = 1;
    while (n_buckets * 2 * bucket_size <= memory / 2)
        n_buckets *= 2;
    struct dedup *dedup = calloc(1, sizeof(*dedup));
    if (!dedup)
        return NULL;
    dedup->mask = n_buckets - 1;
    dedup->window_ms = DEFAULT_MS;
    if (options && options->window >= 1000000)
        dedup->window_ms =
            options->window < MAX_MS * 1000000 ? (uint32_t)(options->window / 1000000) : MAX_MS;
    dedup->tags = aligned_alloc(64, n_buckets * sizeof(struct tags));
    dedup->entries = aligned_alloc(64, n_buckets * N_WAYS * sizeof(struct entry));
    if (!first_seen_init(&dedup->first, memory / 2) || !dedup->tags || !dedup->entries ||
        !make_secret(dedup, options ? options->seed : 0)) {
        dedup_free(dedup);
        return NULL;
    }
    memset(dedup->tags, 0, n_buckets * sizeof(struct tags));
    memset(dedup->entries, 0, n_buckets * N_WAYS * sizeof(struct entry));
    return dedup;
}

void dedup_free(struct dedup *dedup)
{
    if (!dedup)
        return;
    first_seen_done(&dedup->first);
    free(dedup->tags);
    free(dedup->entries);
    free(dedup);
}

const struct dedup_counters *dedup_counters(const struct dedup *dedup)
{
    return &dedup->counters;
}
