/* Counting addresses on the packet path; see address_learner.h. When all places are taken, a
 * new address gets the lightest one's, and its weight: who is in more than one of eight packets
 * cannot lose its place for long (Metwally, Agrawal and El Abbadi's "space saving", 2005). */
#include "source/address_learner.h"

#include <stdlib.h>

#define HALVE_AT 8192 /* so that a changed address is learned within as many packets */
#define N_TRIES  4

struct cell {
    uint32_t sequence; /* odd: the worker is writing */
    _Alignas(uint64_t) struct address_learned learned;
};

struct address_learner {
    uint16_t max_machine;
    struct cell (*cells)[2]; /* by machine and IP version */
};

struct address_learner *address_learner_new(uint16_t max_machine)
{
    struct address_learner *learner = calloc(1, sizeof(*learner));
    if (!learner)
        return NULL;
    learner->max_machine = max_machine;
    learner->cells = calloc((size_t)max_machine + 1, sizeof(*learner->cells));
    if (!learner->cells) {
        free(learner);
        return NULL;
    }
    return learner;
}

void address_learner_free(struct address_learner *learner)
{
    if (learner)
        free(learner->cells);
    free(learner);
}

static uint64_t mac_number(const uint8_t mac[6])
{
    uint64_t number = 1;
    for (int i = 0; i < 6; i++)
        number = number << 8 | mac[i];
    return number;
}

/* ---- what is written while it may be read: each part in one piece ---- */

typedef uint64_t __attribute__((may_alias)) word;

#define N_WORDS (sizeof(struct address_learned) / sizeof(word))
_Static_assert(sizeof(struct address_learned) % sizeof(word) == 0, "read in words");

static void set32(uint32_t *to, uint32_t value)
{
    __atomic_store_n(to, value, __ATOMIC_RELAXED);
}

static void set64(void *to, uint64_t value)
{
    __atomic_store_n((word *)to, value, __ATOMIC_RELAXED);
}

static void set_addr(struct addr *to, const struct addr *addr)
{
    uint64_t words[2];
    memcpy(words, addr->b, sizeof words);
    set64(to->b, words[0]);
    set64(to->b + 8, words[1]);
}

static void see_addr(struct address_learned *l, const struct addr *addr, uint64_t mac)
{
    struct address_candidate *lightest = &l->addrs[0];
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        struct address_candidate *c = &l->addrs[i];
        if (c->weight && addr_eq(&c->addr, addr)) {
            set32(&c->weight, c->weight + 1);
            set32(&c->n, c->n + 1);
            set32(&c->n_mac, c->n_mac + (c->mac == mac));
            return;
        }
        if (c->weight < lightest->weight)
            lightest = c;
    }
    set_addr(&lightest->addr, addr);
    set64(&lightest->mac, mac);
    set32(&lightest->n, 1);
    set32(&lightest->n_mac, 1);
    set32(&lightest->weight, lightest->weight + 1);
}

static void see_mac(struct address_learned *l, uint64_t mac)
{
    struct address_mac *lightest = &l->macs[0];
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        struct address_mac *m = &l->macs[i];
        if (m->weight && m->mac == mac) {
            set32(&m->weight, m->weight + 1);
            set32(&m->n, m->n + 1);
            return;
        }
        if (m->weight < lightest->weight)
            lightest = m;
    }
    set64(&lightest->mac, mac);
    set32(&lightest->n, 1);
    set32(&lightest->weight, lightest->weight + 1);
}

static void halve(struct address_learned *l)
{
    set32(&l->n, l->n / 2);
    set64(&l->others_before, l->others);
    set64(&l->others, 0);
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        set32(&l->addrs[i].n, l->addrs[i].n / 2);
        set32(&l->addrs[i].n_mac, l->addrs[i].n_mac / 2);
        set32(&l->addrs[i].weight, l->addrs[i].weight / 2);
        set32(&l->macs[i].n, l->macs[i].n / 2);
        set32(&l->macs[i].weight, l->macs[i].weight / 2);
    }
}

static uint64_t bit_of(const struct addr *addr)
{
    uint64_t words[2];
    memcpy(words, addr->b, sizeof words);
    return 1ull << ((words[0] ^ words[1]) * 0x9e3779b97f4a7c15ull >> 58);
}

static bool is_group(const struct addr *a, bool is_v6)
{
    return is_v6 ? a->b[0] == 0xff : a->b[12] >= 224;
}

void address_learner_see(struct address_learner *learner, uint16_t machine,
                         const struct packet *packet)
{
    bool is_v6 = packet->ip_version == 6;
    if (machine == 0 || machine > learner->max_machine || packet->kind != PACKET_IP ||
        is_group(&packet->dst, is_v6) || addr_eq(&packet->src, &packet->dst))
        return;
    struct cell *cell = &learner->cells[machine][is_v6];
    struct address_learned *l = &cell->learned;
    __atomic_store_n(&cell->sequence, cell->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    uint64_t src_mac = packet->has_mac ? mac_number(packet->src_mac) : 0;
    uint64_t dst_mac = packet->has_mac ? mac_number(packet->dst_mac) : 0;
    set32(&l->n, l->n + 1);
    set64(&l->others, l->others | bit_of(&packet->src) | bit_of(&packet->dst));
    see_addr(l, &packet->src, src_mac);
    see_addr(l, &packet->dst, dst_mac);
    if (packet->has_mac) {
        see_mac(l, src_mac);
        if (dst_mac != src_mac)
            see_mac(l, dst_mac);
    }
    if (packet->n_mirror > 0) {
        set_addr(&l->outer, &packet->layers[0].src);
        __atomic_store_n(&l->has_outer, true, __ATOMIC_RELAXED);
    }
    if (l->n >= HALVE_AT)
        halve(l);
    __atomic_store_n(&cell->sequence, cell->sequence + 1, __ATOMIC_RELEASE);
}

bool address_learner_read(const struct address_learner *learner, uint16_t machine,
                          unsigned int version, struct address_learned *out)
{
    if (machine > learner->max_machine)
        return false;
    const struct cell *cell = &learner->cells[machine][version];
    for (int i = 0; i < N_TRIES; i++) {
        uint32_t before = __atomic_load_n(&cell->sequence, __ATOMIC_ACQUIRE);
        const word *from = (const word *)(const void *)&cell->learned;
        word *to = (word *)(void *)out;
        for (size_t k = 0; k < N_WORDS; k++)
            to[k] = __atomic_load_n(&from[k], __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((before & 1) == 0 && __atomic_load_n(&cell->sequence, __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}
