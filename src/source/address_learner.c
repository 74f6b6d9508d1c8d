/* Counting addresses on the packet path; see address_learner.h. When all places are taken, a
 * new address gets the lightest one's, and its weight: who is in more than one of eight packets
 * cannot lose its place for long (Metwally, Agrawal and El Abbadi's "space saving", 2005). */
#include "source/address_learner.h"

#include <stdlib.h>

#define HALVE_AT 8192 /* so that a changed address is learned within as many packets */
#define N_TRIES  4

struct cell {
    uint32_t sequence; /* odd: the worker is writing */
    struct address_learned learned;
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

static void see_addr(struct address_learned *l, const struct addr *addr, uint64_t mac)
{
    struct address_candidate *lightest = &l->addrs[0];
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        struct address_candidate *c = &l->addrs[i];
        if (c->weight && addr_eq(&c->addr, addr)) {
            c->weight++;
            c->n++;
            c->n_mac += c->mac == mac;
            return;
        }
        if (c->weight < lightest->weight)
            lightest = c;
    }
    *lightest = (struct address_candidate){
        .addr = *addr, .mac = mac, .n = 1, .n_mac = 1, .weight = lightest->weight + 1};
}

static void see_mac(struct address_learned *l, uint64_t mac)
{
    struct address_mac *lightest = &l->macs[0];
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        struct address_mac *m = &l->macs[i];
        if (m->weight && m->mac == mac) {
            m->weight++;
            m->n++;
            return;
        }
        if (m->weight < lightest->weight)
            lightest = m;
    }
    *lightest = (struct address_mac){.mac = mac, .n = 1, .weight = lightest->weight + 1};
}

static void halve(struct address_learned *l)
{
    l->n /= 2;
    l->others_before = l->others;
    l->others = 0;
    for (size_t i = 0; i < ADDRESS_N_KEPT; i++) {
        l->addrs[i].n /= 2;
        l->addrs[i].n_mac /= 2;
        l->addrs[i].weight /= 2;
        l->macs[i].n /= 2;
        l->macs[i].weight /= 2;
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
    l->n++;
    l->others |= bit_of(&packet->src) | bit_of(&packet->dst);
    see_addr(l, &packet->src, src_mac);
    see_addr(l, &packet->dst, dst_mac);
    if (packet->has_mac) {
        see_mac(l, src_mac);
        if (dst_mac != src_mac)
            see_mac(l, dst_mac);
    }
    if (packet->n_mirror > 0) {
        l->outer = packet->layers[0].src;
        l->has_outer = true;
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
        *out = cell->learned;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((before & 1) == 0 && __atomic_load_n(&cell->sequence, __ATOMIC_RELAXED) == before)
            return true;
    }
    return false;
}
