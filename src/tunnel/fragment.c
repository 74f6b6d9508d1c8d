/* Reassembly of IP datagrams: see fragment.h.
 *
 * A datagram's payload lies in chunks that are taken as fragments need them, each with one bit for
 * each of its bytes that says whether it is there: the work for a fragment is in proportion to its
 * size, whatever the order and the overlaps. Fragments begin at multiples of 8 bytes, but may end
 * anywhere, the last and the forged. */
#include "tunnel/fragment.h"

#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "net/checksum.h"
#include "net/weird.h"

#define MAX_DATAGRAM 65535u
#define CHUNK_WORDS  56u
#define CHUNK_SIZE   (CHUNK_WORDS * 64)
#define N_CHUNKS     (MAX_DATAGRAM / CHUNK_SIZE + 1)
#define N_BUCKETS    1024u

/* Zeek's bounds of what is odd. */
#define SMALL_FRAGMENT 64u
#define LARGE_FRAGMENT 64000u

struct key {
    struct addr src, dst;
    uint32_t layer_id[PACKET_MAX_LAYERS];
    uint32_t id;
    uint8_t version, proto, n_layers, unused;
};

struct chunk {
    uint64_t have[CHUNK_WORDS];
    uint8_t bytes[CHUNK_SIZE];
};

struct datagram {
    struct key key;
    uint32_t bucket;
    struct datagram *chain;         /* of the bucket */
    struct datagram *older, *newer; /* all, by when their first fragment came */
    int64_t first;
    bool size_known;
    uint32_t size;  /* of the payload, when known */
    uint32_t end;   /* of the furthest byte seen */
    uint32_t front; /* all before it are present; a multiple of 64 */
    uint8_t next, next_at;
    uint16_t header_size;
    uint8_t *header;
    struct chunk *chunk[N_CHUNKS];
};

struct done {
    struct done *next;
    size_t size;
};

struct fragments {
    struct pool *pool;
    size_t max_size, size;
    uint64_t secret;
    uint64_t n_evicted;
    uint32_t n_pending;
    struct datagram *oldest, *newest;
    struct done *done;
    struct datagram *bucket[N_BUCKETS];
};

struct fragments *fragments_new(struct pool *pool, size_t max_size)
{
    struct fragments *f = pool_get(pool, sizeof *f);
    if (!f)
        return NULL;
    f->pool = pool;
    f->max_size = max_size;
    if (getrandom(&f->secret, sizeof f->secret, 0) != sizeof f->secret)
        f->secret = (uint64_t)(uintptr_t)f; /* the address is random, too */
    return f;
}

static void *get(struct fragments *f, size_t size)
{
    if (f->size + size > f->max_size)
        return NULL;
    void *block = pool_get(f->pool, size);
    if (block)
        f->size += size;
    return block;
}

static void put(struct fragments *f, void *block, size_t size)
{
    if (!block)
        return;
    pool_put(f->pool, block, size);
    f->size -= size;
}

static void drop(struct fragments *f, struct datagram *d)
{
    struct datagram **at = &f->bucket[d->bucket];
    while (*at != d)
        at = &(*at)->chain;
    *at = d->chain;
    if (d->older)
        d->older->newer = d->newer;
    else
        f->oldest = d->newer;
    if (d->newer)
        d->newer->older = d->older;
    else
        f->newest = d->older;
    f->n_pending--;

    for (size_t i = 0; i < N_CHUNKS; i++)
        put(f, d->chunk[i], sizeof *d->chunk[i]);
    put(f, d->header, d->header_size);
    put(f, d, sizeof *d);
}

/* Memory, if need be that of the oldest datagrams other than the one it is for. */
static void *get_or_evict(struct fragments *f, const struct datagram *keep, size_t size)
{
    for (;;) {
        void *block = get(f, size);
        if (block)
            return block;
        struct datagram *victim = f->oldest;
        if (victim && victim == keep)
            victim = victim->newer;
        if (!victim)
            return NULL;
        drop(f, victim);
        f->n_evicted++;
    }
}

static struct key make_key(const struct packet *packet, const struct ip_fragment *fragment)
{
    struct key key = {
        .src = packet->src,
        .dst = packet->dst,
        .id = fragment->id,
        .version = packet->ip_version,
        /* In IPv6 only the first fragment is sure to name the payload's protocol. */
        .proto = packet->ip_version == 4 ? packet->ip_proto : 0,
        .n_layers = packet->n_layers,
    };
    for (int i = 0; i < packet->n_layers; i++)
        if (packet->layers[i].has_id)
            key.layer_id[i] = packet->layers[i].id;
    return key;
}

static struct datagram *find(struct fragments *f, const struct key *key, uint32_t bucket)
{
    struct datagram *d = f->bucket[bucket];
    while (d && memcmp(&d->key, key, sizeof *key) != 0)
        d = d->chain;
    return d;
}

static struct datagram *add_datagram(struct fragments *f, const struct packet *packet,
                                     const struct ip_fragment *fragment, const struct key *key,
                                     uint32_t bucket)
{
    if (f->n_pending == FRAGMENT_MAX_PENDING) {
        drop(f, f->oldest);
        f->n_evicted++;
    }
    struct datagram *d = get_or_evict(f, NULL, sizeof *d);
    if (!d)
        return NULL;
    uint8_t *header = get_or_evict(f, NULL, fragment->header_size);
    if (!header) {
        put(f, d, sizeof *d);
        return NULL;
    }
    memcpy(header, packet->ip, fragment->header_size);
    d->key = *key;
    d->bucket = bucket;
    d->first = packet->ts;
    d->next = fragment->next;
    d->next_at = fragment->next_at;
    d->header = header;
    d->header_size = fragment->header_size;

    d->chain = f->bucket[bucket];
    f->bucket[bucket] = d;
    d->older = f->newest;
    if (f->newest)
        f->newest->newer = d;
    else
        f->oldest = d;
    f->newest = d;
    f->n_pending++;
    return d;
}

/* What Zeek finds odd in a fragment; and the size it tells. */
static void look_at(struct datagram *d, struct packet *packet, const struct ip_fragment *fragment)
{
    uint32_t end = fragment->offset + packet->payload_len;
    if (fragment->header_size != d->header_size ||
        (packet->ip_version == 6 && fragment->next != d->next))
        weird_add(packet, "fragment_protocol_inconsistency", NULL, true);
    if (fragment->dont)
        weird_add(packet, "fragment_with_DF", NULL, true);
    if (fragment->offset == 0)
        d->next = fragment->next;

    if (fragment->more) {
        if (packet->ip_len < SMALL_FRAGMENT)
            weird_add(packet, "excessively_small_fragment", NULL, true);
    } else if (!d->size_known) {
        d->size_known = true;
        d->size = end;
    } else if (end != d->size) {
        weird_add(packet, "fragment_size_inconsistency", NULL, true);
        if (end > d->size)
            d->size = end;
    }
    if (end > LARGE_FRAGMENT)
        weird_add(packet, "excessively_large_fragment", NULL, true);
    if (d->size_known && end > d->size) {
        weird_add(packet, "fragment_size_inconsistency", NULL, true);
        d->size = end;
    }
}

struct overlap {
    bool any, differs;
};

/* Copies into a chunk, from `at` on, the bytes that are not there yet. */
static void fill(struct chunk *chunk, uint32_t at, struct reader r, struct overlap *overlap)
{
    while (rd_left(&r) > 0) {
        uint32_t bit = at % 64;
        uint32_t n = 64 - bit;
        if (n > rd_left(&r))
            n = (uint32_t)rd_left(&r);
        uint64_t mask = (n == 64 ? ~0ull : (1ull << n) - 1) << bit;
        uint64_t there = chunk->have[at / 64] & mask;
        uint8_t *to = chunk->bytes + at;
        const uint8_t *from = rd_bytes(&r, n);
        if (there == 0)
            memcpy(to, from, n);
        else {
            overlap->any = true;
            for (uint32_t i = 0; i < n; i++) {
                if (!(there >> (bit + i) & 1))
                    to[i] = from[i];
                else if (to[i] != from[i])
                    overlap->differs = true;
            }
        }
        chunk->have[at / 64] |= mask;
        at += n;
    }
}

static bool store(struct fragments *f, struct datagram *d, struct packet *packet,
                  const struct ip_fragment *fragment)
{
    uint32_t offset = fragment->offset;
    struct reader r = rd_make(packet->payload, packet->payload_len);
    if (offset + rd_left(&r) > d->end)
        d->end = offset + (uint32_t)rd_left(&r);

    struct overlap overlap = {0};
    while (rd_left(&r) > 0) {
        uint32_t i = offset / CHUNK_SIZE, at = offset % CHUNK_SIZE;
        if (!d->chunk[i])
            d->chunk[i] = get_or_evict(f, d, sizeof *d->chunk[i]);
        if (!d->chunk[i])
            return false;
        struct reader piece = rd_sub_upto(&r, CHUNK_SIZE - at);
        offset += (uint32_t)rd_left(&piece);
        fill(d->chunk[i], at, piece, &overlap);
    }
    if (overlap.differs)
        weird_add(packet, "fragment_inconsistency", NULL, true);
    else if (overlap.any)
        weird_add(packet, "fragment_overlap", NULL, true);
    return true;
}

/* Bytes present from the start on, without a hole. */
static uint32_t front(struct datagram *d)
{
    while (d->front < d->end) {
        const struct chunk *chunk = d->chunk[d->front / CHUNK_SIZE];
        uint64_t missing = chunk ? ~chunk->have[d->front % CHUNK_SIZE / 64] : ~0ull;
        if (missing != 0)
            return d->front + (uint32_t)__builtin_ctzll(missing);
        d->front += 64;
    }
    return d->end;
}

/* The header as it would be had the datagram not been fragmented. */
static void mend_header(uint8_t *header, const struct datagram *d, uint32_t size)
{
    if (d->key.version == 6) {
        uint32_t len = d->header_size - 40u + size;
        header[4] = (uint8_t)(len >> 8);
        header[5] = (uint8_t)len;
        header[d->next_at] = d->next;
        return;
    }
    uint32_t len = d->header_size + size;
    header[2] = (uint8_t)(len >> 8);
    header[3] = (uint8_t)len;
    header[6] = header[7] = 0;
    header[10] = header[11] = 0;
    uint16_t sum = checksum_fold(checksum_add(0, header, d->header_size));
    header[10] = (uint8_t)(sum >> 8);
    header[11] = (uint8_t)sum;
}

/* Hands the first `size` bytes of payload out, behind the header. */
static const uint8_t *assemble(struct fragments *f, struct datagram *d, uint32_t size)
{
    size_t block_size = sizeof(struct done) + d->header_size + size;
    struct done *done = get_or_evict(f, d, block_size);
    if (!done)
        return NULL;
    done->size = block_size;
    done->next = f->done;
    f->done = done;

    uint8_t *bytes = (uint8_t *)(done + 1);
    memcpy(bytes, d->header, d->header_size);
    mend_header(bytes, d, size);
    for (uint32_t at = 0; at < size; at += CHUNK_SIZE) {
        uint32_t n = size - at < CHUNK_SIZE ? size - at : CHUNK_SIZE;
        memcpy(bytes + d->header_size + at, d->chunk[at / CHUNK_SIZE]->bytes, n);
    }
    return bytes;
}

enum fragment_result fragments_add(struct fragments *f, struct packet *packet,
                                   const struct ip_fragment *fragment, const uint8_t **out_bytes,
                                   uint32_t *out_size)
{
    uint32_t end = fragment->offset + packet->payload_len;
    if (fragment->header_size + end > MAX_DATAGRAM) {
        weird_add(packet, "excessively_large_fragment", NULL, true);
        return FRAGMENT_REFUSED;
    }
    if (packet->ip_version == 6 && fragment->next_at == 0)
        return FRAGMENT_REFUSED;

    struct key key = make_key(packet, fragment);
    uint32_t bucket = (uint32_t)XXH3_64bits_withSeed(&key, sizeof key, f->secret) % N_BUCKETS;
    struct datagram *d = find(f, &key, bucket);
    if (!d)
        d = add_datagram(f, packet, fragment, &key, bucket);
    if (!d)
        return FRAGMENT_REFUSED;

    look_at(d, packet, fragment);
    if (!store(f, d, packet, fragment)) {
        drop(f, d);
        return FRAGMENT_REFUSED;
    }
    if (!d->size_known)
        return FRAGMENT_KEPT;
    uint32_t size = front(d);
    if (size < d->size)
        return FRAGMENT_KEPT;
    if (d->end > d->size) /* of an older datagram with this id: what has no hole is taken */
        weird_add(packet, "fragment_size_inconsistency", NULL, true);

    uint32_t header_size = d->header_size;
    const uint8_t *bytes = assemble(f, d, size);
    drop(f, d);
    if (!bytes)
        return FRAGMENT_REFUSED;
    *out_bytes = bytes;
    *out_size = header_size + size;
    return FRAGMENT_WHOLE;
}

void fragments_release(struct fragments *f)
{
    while (f->done) {
        struct done *done = f->done;
        f->done = done->next;
        put(f, done, done->size);
    }
}

uint64_t fragments_expire(struct fragments *f, int64_t now)
{
    uint64_t n = 0;
    while (f->oldest && now - f->oldest->first > FRAGMENT_TIMEOUT) {
        drop(f, f->oldest);
        n++;
    }
    return n;
}

uint64_t fragments_size(const struct fragments *f)
{
    return f->size;
}

uint64_t fragments_evicted(const struct fragments *f)
{
    return f->n_evicted;
}

void fragments_free(struct fragments *f)
{
    if (!f)
        return;
    fragments_release(f);
    while (f->oldest)
        drop(f, f->oldest);
    pool_put(f->pool, f, sizeof *f);
}
