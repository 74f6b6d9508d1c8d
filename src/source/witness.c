/* The worker's side of the witness: two small tables of counters, one by pair of machines and one
 * by pair and service, in sets of four. A line that is not used gives way to one that is: each miss
 * in a full set takes a little of the weight of its lightest line, so that a scan of all ports
 * cannot push out what is busy. See witness.h. */
#include "source/witness.h"

#include <stdlib.h>

#include "source/witness_table.h"

#define MAX_WEIGHT 64

struct witness {
    struct witness_slot slots[WITNESS_N_SLOTS];
    uint64_t n_crowded;
};

struct witness *witness_new(void)
{
    struct witness *witness = aligned_alloc(64, sizeof(struct witness));
    if (witness)
        memset(witness, 0, sizeof(*witness));
    return witness;
}

void witness_free(struct witness *witness)
{
    free(witness);
}

const struct witness_slot *witness_slots(const struct witness *witness)
{
    return witness->slots;
}

uint64_t witness_crowded(const struct witness *witness)
{
    return __atomic_load_n(&witness->n_crowded, __ATOMIC_RELAXED);
}

/* Only the worker writes: adding needs no locked instruction. */
static void count(struct witness_slot *slot, unsigned int n, uint32_t size)
{
    __atomic_store_n(&slot->n[n], slot->n[n] + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->bytes[n], slot->bytes[n] + size, __ATOMIC_RELAXED);
}

/* The reader looks at the key before and behind the counters: see witness_book.c. */
static void give_to(struct witness_slot *slot, uint64_t key)
{
    __atomic_store_n(&slot->key, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (int i = 0; i < 8; i++) {
        __atomic_store_n(&slot->n[i], 0, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->bytes[i], 0, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&slot->generation, slot->generation + 1, __ATOMIC_RELAXED);
    slot->weight = 1;
    __atomic_store_n(&slot->key, key, __ATOMIC_RELEASE);
}

static struct witness_slot *find(struct witness *witness, size_t first, size_t n_sets, uint64_t key)
{
    size_t set = (size_t)(key * 0x9e3779b97f4a7c15ull >> 40) & (n_sets - 1);
    struct witness_slot *slots = &witness->slots[first + set * WITNESS_WAYS];
    struct witness_slot *lightest = &slots[0];
    for (int i = 0; i < WITNESS_WAYS; i++) {
        if (slots[i].key == key) {
            if (slots[i].weight < MAX_WEIGHT)
                slots[i].weight++;
            return &slots[i];
        }
        if (slots[i].weight < lightest->weight)
            lightest = &slots[i];
    }
    if (lightest->weight > 1) {
        lightest->weight--;
        return NULL;
    }
    if (lightest->key)
        __atomic_store_n(&witness->n_crowded, witness->n_crowded + 1, __ATOMIC_RELAXED);
    give_to(lightest, key);
    return lightest;
}

void witness_sight(struct witness *witness, const struct witness_packet *packet)
{
    uint16_t a = packet->src, b = packet->dst;
    bool by_src = packet->seen_by == a;
    if (a == b || a == 0 || b == 0 || (!by_src && packet->seen_by != b))
        return;
    bool swapped = a > b;
    /* The lower of two ports is the server's nearly always. */
    uint16_t port = packet->sport < packet->dport ? packet->sport : packet->dport;
    uint64_t pair = witness_key(swapped ? b : a, swapped ? a : b, 0, 0);
    uint64_t service =
        witness_key(swapped ? b : a, swapped ? a : b, packet->proto ? packet->proto : 255, port);
    unsigned int by = swapped ? by_src : !by_src; /* 0: seen by the lower */
    unsigned int n = witness_counter(packet->is_copy, swapped, by);
    struct witness_slot *slot = find(witness, 0, WITNESS_PAIR_SETS, pair);
    if (slot)
        count(slot, n, packet->size);
    slot = find(witness, WITNESS_PAIR_SETS * WITNESS_WAYS, WITNESS_SERVICE_SETS, service);
    if (slot)
        count(slot, n, packet->size);
}
