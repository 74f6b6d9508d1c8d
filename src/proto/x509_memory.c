/* A table of fingerprints, open addressing, doubled when it is half full. Fingerprints
 * are SHA-256, so any eight bytes of one are its hash; somebody who makes certificates whose
 * fingerprints collide in them gains longer searches, which are cut at a limit. When the table
 * cannot grow, what is new is not noted: its row is then written each time, as in Zeek. */
#include "proto/x509_memory.h"

#include <pthread.h>
#include <stdlib.h>

#include "proto/x509.h"

#define MEMORY_DAY        (86400 * INT64_C(1000000000))
#define MEMORY_FIRST      1024u
#define MEMORY_MAX        1000000u /* certificates; Zeek's limit */
#define MEMORY_MAX_PROBES 64u

struct entry {
    uint8_t fingerprint[HASH_SHA256_SIZE];
    int64_t since;   /* packet time it was logged, or first seen */
    struct str held; /* the certificate, when its row is held back */
    uint32_t flags;
    bool used;
};

struct x509_memory {
    struct pool *pool;
    struct entry *entries;
    uint32_t size; /* a power of two */
    uint32_t n;
    bool hold_back, is_shared;
    pthread_mutex_t lock;
};

static struct x509_memory *make(struct pool *pool)
{
    struct x509_memory *memory = pool_get(pool, sizeof *memory);
    struct entry *entries = pool_get(pool, MEMORY_FIRST * sizeof *entries);
    if (!memory || !entries) {
        if (memory)
            pool_put(pool, memory, sizeof *memory);
        if (entries)
            pool_put(pool, entries, MEMORY_FIRST * sizeof *entries);
        return NULL;
    }
    memory->pool = pool;
    memory->size = MEMORY_FIRST;
    memory->entries = entries;
    return memory;
}

struct x509_memory *x509_memory_new(struct pool *pool)
{
    return make(pool);
}

struct x509_memory *x509_memory_new_shared(size_t limit, bool hold_back)
{
    struct pool *pool = pool_new(limit);
    struct x509_memory *memory = pool ? make(pool) : NULL;
    if (!memory) {
        pool_free(pool);
        return NULL;
    }
    memory->is_shared = true;
    memory->hold_back = hold_back;
    pthread_mutex_init(&memory->lock, NULL);
    return memory;
}

void x509_memory_free(struct x509_memory *memory)
{
    if (!memory)
        return;
    struct pool *pool = memory->pool;
    bool is_shared = memory->is_shared;
    for (uint32_t i = 0; i < memory->size; i++) {
        struct str held = memory->entries[i].held;
        if (held.at)
            pool_put(pool, (char *)(uintptr_t)held.at, held.len);
    }
    pool_put(pool, memory->entries, memory->size * sizeof *memory->entries);
    if (is_shared)
        pthread_mutex_destroy(&memory->lock);
    pool_put(pool, memory, sizeof *memory);
    if (is_shared)
        pool_free(pool);
}

/* The entry of this fingerprint in this role whose day `now` is in, or the free one where it
 * belongs; NULL: too crowded. The day begins up to a day later when rows are held back: times then
 * come in no order. */
static struct entry *find(const struct x509_memory *memory, const uint8_t *fingerprint,
                          uint32_t flags, int64_t now)
{
    uint64_t hash;
    memcpy(&hash, fingerprint, sizeof hash);
    for (uint32_t i = 0; i < MEMORY_MAX_PROBES; i++) {
        struct entry *entry = &memory->entries[(hash + i) & (memory->size - 1)];
        if (!entry->used)
            return entry;
        if (entry->flags != flags || memcmp(entry->fingerprint, fingerprint, HASH_SHA256_SIZE) != 0)
            continue;
        if (!memory->hold_back ||
            (now - entry->since < MEMORY_DAY && entry->since - now < MEMORY_DAY))
            return entry;
    }
    return NULL;
}

static void grow(struct x509_memory *memory)
{
    struct x509_memory larger = *memory;
    larger.size = memory->size * 2;
    larger.n = 0;
    larger.entries = pool_get(memory->pool, larger.size * sizeof *larger.entries);
    if (!larger.entries)
        return;
    for (uint32_t i = 0; i < memory->size; i++) {
        const struct entry *from = &memory->entries[i];
        struct entry *to =
            from->used ? find(&larger, from->fingerprint, from->flags, from->since) : NULL;
        if (!to)
            continue;
        *to = *from;
        larger.n++;
    }
    pool_put(memory->pool, memory->entries, memory->size * sizeof *memory->entries);
    memory->entries = larger.entries;
    memory->size = larger.size;
    memory->n = larger.n;
}

static bool hold(struct x509_memory *memory, struct entry *entry, struct str certificate)
{
    char *copy = pool_get(memory->pool, certificate.len);
    if (!copy)
        return false;
    memcpy(copy, certificate.at, certificate.len);
    entry->held = str_make(copy, certificate.len);
    return true;
}

static bool check_old(struct x509_memory *memory, struct entry *entry, int64_t now)
{
    if (memory->hold_back) {
        if (entry->held.at && now < entry->since)
            entry->since = now;
        return true;
    }
    if (now - entry->since < MEMORY_DAY)
        return true;
    entry->since = now;
    return false;
}

static bool check(struct x509_memory *memory, const uint8_t *fingerprint, unsigned flags,
                  int64_t now, struct str certificate)
{
    struct entry *entry = find(memory, fingerprint, flags, now);
    if (entry && entry->used)
        return check_old(memory, entry, now);
    if (memory->n >= memory->size / 2 && memory->n < MEMORY_MAX) {
        grow(memory);
        entry = find(memory, fingerprint, flags, now);
    }
    if (!entry || memory->n >= MEMORY_MAX || memory->n >= memory->size / 8 * 7)
        return false;
    memcpy(entry->fingerprint, fingerprint, HASH_SHA256_SIZE);
    entry->flags = flags;
    entry->since = now;
    entry->used = true;
    memory->n++;
    return memory->hold_back && hold(memory, entry, certificate);
}

bool x509_memory_check(struct x509_memory *memory, const uint8_t fingerprint[HASH_SHA256_SIZE],
                       unsigned flags, int64_t now, struct str certificate)
{
    if (!memory->is_shared)
        return check(memory, fingerprint, flags, now, certificate);
    pthread_mutex_lock(&memory->lock);
    bool result = check(memory, fingerprint, flags, now, certificate);
    pthread_mutex_unlock(&memory->lock);
    return result;
}

static int by_time(const void *a, const void *b)
{
    const struct entry *left = a;
    const struct entry *right = b;
    if (left->since != right->since)
        return left->since < right->since ? -1 : 1;
    int c = memcmp(left->fingerprint, right->fingerprint, HASH_SHA256_SIZE);
    return c ? c : (left->flags > right->flags) - (left->flags < right->flags);
}

void x509_memory_write(struct x509_memory *memory, struct log_writer *writer)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < memory->size; i++)
        if (memory->entries[i].held.at)
            memory->entries[n++] = memory->entries[i];
    qsort(memory->entries, n, sizeof *memory->entries, by_time);
    for (uint32_t i = 0; i < n; i++) {
        const struct entry *entry = &memory->entries[i];
        x509_write_row(writer, entry->held, entry->fingerprint, entry->flags, entry->since);
    }
    /* The entries are no table any more: all of it goes. */
    for (uint32_t i = 0; i < n; i++)
        pool_put(memory->pool, (char *)(uintptr_t)memory->entries[i].held.at,
                 memory->entries[i].held.len);
    memset(memory->entries, 0, memory->size * sizeof *memory->entries);
    memory->n = 0;
}
