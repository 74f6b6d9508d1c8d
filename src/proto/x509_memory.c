/* A table of fingerprints, open addressing, doubled when it is three quarters full. Fingerprints
 * are SHA-256, so any eight bytes of one are its hash; somebody who makes certificates whose
 * fingerprints collide in them gains longer searches, which are cut at a limit. When the table
 * cannot grow, what is new is not noted: its row is then written each time, as in Zeek. */
#include "proto/x509_memory.h"

#define MEMORY_DAY        (86400 * INT64_C(1000000000))
#define MEMORY_FIRST      1024u
#define MEMORY_MAX        1000000u /* certificates; Zeek's limit */
#define MEMORY_MAX_PROBES 64u

struct entry {
    uint8_t fingerprint[HASH_SHA256_SIZE];
    int64_t since; /* packet time it was noted */
    uint32_t flags;
    bool used;
};

struct x509_memory {
    struct pool *pool;
    struct entry *entries;
    uint32_t size; /* a power of two */
    uint32_t n;
};

struct x509_memory *x509_memory_new(struct pool *pool)
{
    struct x509_memory *memory = pool_get(pool, sizeof *memory);
    if (!memory)
        return NULL;
    memory->pool = pool;
    memory->size = MEMORY_FIRST;
    memory->entries = pool_get(pool, MEMORY_FIRST * sizeof(struct entry));
    if (!memory->entries) {
        pool_put(pool, memory, sizeof *memory);
        return NULL;
    }
    return memory;
}

/* The entry of this fingerprint, or the free one where it belongs; NULL: too crowded. */
static struct entry *find(struct entry *entries, uint32_t size, const uint8_t *fingerprint,
                          uint32_t flags)
{
    uint64_t hash;
    memcpy(&hash, fingerprint, sizeof hash);
    for (uint32_t i = 0; i < MEMORY_MAX_PROBES; i++) {
        struct entry *entry = &entries[(hash + i) & (size - 1)];
        if (!entry->used || (entry->flags == flags &&
                             memcmp(entry->fingerprint, fingerprint, HASH_SHA256_SIZE) == 0))
            return entry;
    }
    return NULL;
}

static void grow(struct x509_memory *memory)
{
    uint32_t size = memory->size * 2;
    struct entry *entries = pool_get(memory->pool, size * sizeof *entries);
    if (!entries)
        return;
    uint32_t n = 0;
    for (uint32_t i = 0; i < memory->size; i++) {
        const struct entry *from = &memory->entries[i];
        if (!from->used)
            continue;
        struct entry *to = find(entries, size, from->fingerprint, from->flags);
        if (!to)
            continue;
        *to = *from;
        n++;
    }
    pool_put(memory->pool, memory->entries, memory->size * sizeof *memory->entries);
    memory->entries = entries;
    memory->size = size;
    memory->n = n;
}

bool x509_memory_check(struct x509_memory *memory, const uint8_t fingerprint[HASH_SHA256_SIZE],
                       unsigned flags, int64_t now)
{
    struct entry *entry = find(memory->entries, memory->size, fingerprint, flags);
    if (entry && entry->used) {
        if (now - entry->since < MEMORY_DAY)
            return true;
        entry->since = now;
        return false;
    }
    if (memory->n >= memory->size / 4 * 3 && memory->n < MEMORY_MAX) {
        grow(memory);
        entry = find(memory->entries, memory->size, fingerprint, flags);
    }
    if (!entry || memory->n >= MEMORY_MAX || memory->n >= memory->size / 8 * 7)
        return false;
    memcpy(entry->fingerprint, fingerprint, HASH_SHA256_SIZE);
    entry->flags = flags;
    entry->since = now;
    entry->used = true;
    memory->n++;
    return false;
}
