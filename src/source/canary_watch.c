/* What is outstanding, and whether a packet belongs to it; see canary_watch.h.
 *
 * A place is a number of words with a sequence count in front (odd: being written). A worker copies
 * the words and looks at the count again; the port pair of each place lies in an array of its own,
 * so that a packet of the collector's other connections costs a look through that and no more. */
#include "source/canary_watch.h"

#include <stdlib.h>

#include "base/reader.h"

#define N_WORDS ((sizeof(struct canary_probe) + 7) / 8)

enum { PROTO_ICMP = 1, PROTO_UDP = 17, PROTO_ICMP6 = 58 };

/* A quoted or cut payload has to show this much of what nobody could guess. */
#define MIN_PROOF 8

struct place {
    uint32_t sequence; /* odd: being written */
    uint32_t is_late;
    uint32_t seen;
    uint64_t words[N_WORDS];
};

struct canary_watch {
    uint64_t own_bits; /* of the own addresses' last bytes: most packets go no further */
    uint32_t n_own;
    uint32_t n_places;
    uint32_t n_used; /* no place beyond is taken */
    uint64_t own[CANARY_N_OWN][2];
    uint32_t *ports; /* local port << 16 | remote port; 0: free */
    struct place *places;
};

struct canary_watch *canary_watch_new(uint32_t n_probes)
{
    struct canary_watch *watch = calloc(1, sizeof(*watch));
    if (!watch)
        return NULL;
    watch->n_places = n_probes;
    watch->ports = calloc(n_probes, sizeof(*watch->ports));
    watch->places = calloc(n_probes, sizeof(*watch->places));
    if (!watch->ports || !watch->places) {
        canary_watch_free(watch);
        return NULL;
    }
    return watch;
}

void canary_watch_free(struct canary_watch *watch)
{
    if (!watch)
        return;
    free(watch->ports);
    free(watch->places);
    free(watch);
}

static uint64_t bit_of(const struct addr *a)
{
    return 1ull << ((a->b[15] ^ a->b[14] << 1) & 63);
}

static bool is_own(const struct canary_watch *watch, const struct addr *a)
{
    uint64_t words[2];
    memcpy(words, a->b, sizeof words);
    uint32_t n = __atomic_load_n(&watch->n_own, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < n; i++)
        if (watch->own[i][0] == words[0] && watch->own[i][1] == words[1])
            return true;
    return false;
}

bool canary_watch_own(struct canary_watch *watch, const struct addr *own)
{
    if (is_own(watch, own))
        return true;
    uint32_t n = watch->n_own;
    if (n == CANARY_N_OWN)
        return false;
    memcpy(watch->own[n], own->b, 16);
    __atomic_store_n(&watch->n_own, n + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&watch->own_bits, watch->own_bits | bit_of(own), __ATOMIC_RELEASE);
    return true;
}

void canary_watch_put(struct canary_watch *watch, uint32_t at, const struct canary_probe *probe)
{
    struct place *place = &watch->places[at];
    uint64_t words[N_WORDS] = {0};
    memcpy(words, probe, sizeof(*probe));
    __atomic_store_n(&place->sequence, place->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    for (size_t i = 0; i < N_WORDS; i++)
        __atomic_store_n(&place->words[i], words[i], __ATOMIC_RELAXED);
    __atomic_store_n(&place->seen, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&place->is_late, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&place->sequence, place->sequence + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&watch->ports[at], (uint32_t)probe->sport << 16 | probe->dport,
                     __ATOMIC_RELEASE);
    if (at >= watch->n_used)
        __atomic_store_n(&watch->n_used, at + 1, __ATOMIC_RELEASE);
}

void canary_watch_late(struct canary_watch *watch, uint32_t at)
{
    __atomic_store_n(&watch->places[at].is_late, 1, __ATOMIC_RELEASE);
}

void canary_watch_clear(struct canary_watch *watch, uint32_t at)
{
    canary_watch_late(watch, at);
    __atomic_store_n(&watch->ports[at], 0, __ATOMIC_RELEASE);
    uint32_t n = watch->n_used;
    while (n > 0 && watch->ports[n - 1] == 0)
        n--;
    __atomic_store_n(&watch->n_used, n, __ATOMIC_RELEASE);
}

uint32_t canary_watch_seen(const struct canary_watch *watch, uint32_t at)
{
    return __atomic_load_n(&watch->places[at].seen, __ATOMIC_ACQUIRE);
}

/* False: it is being written, or was meanwhile. */
static bool copy_probe(const struct place *place, struct canary_probe *out, uint32_t *out_sequence)
{
    uint64_t words[N_WORDS];
    uint32_t before = __atomic_load_n(&place->sequence, __ATOMIC_ACQUIRE);
    if (before & 1)
        return false;
    for (size_t i = 0; i < N_WORDS; i++)
        words[i] = __atomic_load_n(&place->words[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&place->sequence, __ATOMIC_RELAXED) != before)
        return false;
    memcpy(out, words, sizeof(*out));
    *out_sequence = before;
    return true;
}

/* What of a packet is compared: of the probe itself, or of the probe as an error quotes it. */
struct sight {
    const struct addr *src, *dst;
    struct addr quoted_src, quoted_dst;
    uint16_t sport, dport;
    uint32_t udp_size; /* what the UDP header says: 8 and the payload */
    struct reader payload;
    uint32_t kind;
    bool is_reply; /* from the machine to the port that asked: says nothing that is known here */
};

static bool payload_fits(const struct sight *sight, const struct canary_probe *probe)
{
    if (sight->udp_size != 8u + probe->size)
        return false;
    struct reader r = sight->payload;
    size_t size = rd_left(&r) < probe->size ? rd_left(&r) : probe->size;
    if (size < MIN_PROOF)
        return false;
    const uint8_t *bytes = rd_bytes(&r, size);
    return bytes && memcmp(bytes, probe->payload, size) == 0;
}

static bool fits(const struct sight *sight, const struct canary_probe *probe)
{
    return addr_eq(sight->src, &probe->src) && addr_eq(sight->dst, &probe->dst) &&
           sight->sport == probe->sport && sight->dport == probe->dport &&
           (sight->is_reply || payload_fits(sight, probe));
}

/* An address of the probe's own length, as the quoted header has it. */
static struct addr read_addr(struct reader *r, bool is_v6)
{
    const uint8_t *bytes = rd_bytes(r, is_v6 ? 16 : 4);
    struct addr none = {{0}};
    return !bytes ? none : is_v6 ? addr_v6(bytes) : addr_v4(bytes);
}

static void read_udp(struct sight *sight, struct reader *r)
{
    sight->sport = rd_be16(r);
    sight->dport = rd_be16(r);
    sight->udp_size = rd_be16(r);
    rd_skip(r, 2);
    sight->payload = *r;
}

/* An ICMP error: 8 bytes, then the IP header of the packet it is about, and its first bytes. */
static bool read_quote(struct sight *sight, struct reader *r, bool is_v6)
{
    uint8_t type = rd_u8(r);
    bool is_error = is_v6 ? type >= 1 && type <= 4 : type == 3 || type == 11 || type == 12;
    if (!is_error)
        return false;
    rd_skip(r, 7);
    uint8_t proto;
    if (is_v6) {
        rd_skip(r, 6);
        proto = rd_u8(r);
        rd_skip(r, 1);
    } else {
        uint8_t first = rd_u8(r);
        rd_skip(r, 8);
        proto = rd_u8(r);
        rd_skip(r, 2);
        if (first >> 4 != 4 || (first & 15) != 5) /* canaries have no options */
            return false;
    }
    sight->quoted_src = read_addr(r, is_v6);
    sight->quoted_dst = read_addr(r, is_v6);
    sight->src = &sight->quoted_src;
    sight->dst = &sight->quoted_dst;
    sight->kind = CANARY_SEEN_ANSWER;
    read_udp(sight, r);
    return rd_ok(r) && proto == PROTO_UDP;
}

static bool read_sight(struct sight *sight, const struct canary_watch *watch,
                       const struct packet *packet)
{
    struct reader r = rd_make(packet->payload, packet->payload_size);
    if (packet->ip_proto == PROTO_UDP) {
        sight->src = &packet->src;
        sight->dst = &packet->dst;
        sight->kind = CANARY_SEEN_PROBE;
        read_udp(sight, &r);
        return rd_ok(&r);
    }
    bool is_v6 = packet->ip_version == 6;
    if (packet->ip_proto != (is_v6 ? PROTO_ICMP6 : PROTO_ICMP) || !is_own(watch, &packet->dst))
        return false;
    return read_quote(sight, &r, is_v6);
}

static void turn_round(struct sight *sight)
{
    const struct addr *src = sight->src;
    sight->src = sight->dst;
    sight->dst = src;
    uint16_t sport = sight->sport;
    sight->sport = sight->dport;
    sight->dport = sport;
    sight->is_reply = true;
}

static bool look_through(struct canary_watch *watch, const struct sight *sight,
                         const struct packet *packet, uint16_t machine)
{
    uint32_t ports = (uint32_t)sight->sport << 16 | sight->dport;
    uint32_t n = __atomic_load_n(&watch->n_used, __ATOMIC_ACQUIRE);
    for (uint32_t i = 0; i < n; i++) {
        if (__atomic_load_n(&watch->ports[i], __ATOMIC_ACQUIRE) != ports)
            continue;
        struct place *place = &watch->places[i];
        struct canary_probe probe;
        uint32_t sequence;
        if (!copy_probe(place, &probe, &sequence) || !fits(sight, &probe))
            continue;
        /* A router's error was quoted to us, but shows nothing of the machine. */
        bool counts = !sight->is_reply && machine && machine == probe.machine &&
                      (sight->kind == CANARY_SEEN_PROBE || addr_eq(&packet->src, &probe.dst));
        if (counts && !__atomic_load_n(&place->is_late, __ATOMIC_ACQUIRE) &&
            __atomic_load_n(&place->sequence, __ATOMIC_ACQUIRE) == sequence)
            __atomic_fetch_or(&place->seen, sight->kind, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

bool canary_is(struct canary_watch *watch, const struct packet *packet, uint16_t machine)
{
    uint64_t bits = __atomic_load_n(&watch->own_bits, __ATOMIC_RELAXED);
    if (!(bits & (bit_of(&packet->src) | bit_of(&packet->dst))))
        return false;
    bool from_own = is_own(watch, &packet->src), to_own = is_own(watch, &packet->dst);
    if (packet->kind != PACKET_IP || (!from_own && !to_own))
        return false;
    struct sight sight = {.kind = 0};
    if (!read_sight(&sight, watch, packet))
        return false;
    if (from_own && look_through(watch, &sight, packet, machine))
        return true;
    if (!to_own)
        return false;
    if (sight.kind == CANARY_SEEN_ANSWER)
        return look_through(watch, &sight, packet, machine);
    turn_round(&sight);
    return look_through(watch, &sight, packet, machine);
}
