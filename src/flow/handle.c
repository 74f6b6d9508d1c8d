/* From a decoded packet to its connection: see handle.h. */
#include "flow/handle.h"

#include <stdio.h>

#include "flow/more.h"
#include "flow/ports.h"
#include "flow/tcp.h"
#include "flow/weird.h"
#include "net/checksum.h"

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMPV6 = 58 };
enum { HIST_DATA = 1 };

/* ---- ICMP: type and code in the place of ports (RFC 792, 4443, 4861, 2710, 6275) ---- */

static const uint8_t icmp4_pairs[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
static const uint8_t icmp6_pairs[][2] = {{128, 129}, {130, 131}, {133, 134},
                                         {135, 136}, {139, 140}, {144, 145}};

/* The type that answers this one; without one the code, and only one direction belongs together. */
static uint16_t icmp_answer(bool v6, uint8_t type, uint8_t code, bool *one_way)
{
    const uint8_t(*pairs)[2] = v6 ? icmp6_pairs : icmp4_pairs;
    size_t n = v6 ? sizeof icmp6_pairs / 2 : sizeof icmp4_pairs / 2;
    for (size_t i = 0; i < n; i++) {
        if (pairs[i][0] == type)
            return pairs[i][1];
        if (pairs[i][1] == type)
            return pairs[i][0];
    }
    *one_way = true;
    return code;
}

/* ---- key ---- */

static bool whole_header(const struct packet *p, uint32_t size, const char **weird)
{
    if (p->payload_len && p->payload_len < size)
        *weird = "truncated_header";
    else if (p->payload_size < size)
        *weird = "internally_truncated_header";
    else
        return true;
    return false;
}

bool flow_lookup(const struct flow_table *table, const struct packet *p, uint16_t network,
                 struct flow_lookup *out, const char **weird)
{
    uint16_t sport = 0, dport = 0;
    *weird = NULL;
    out->one_way = false;
    out->key.ip_proto = p->ip_proto;
    out->key.network = network;
    switch (p->ip_proto) {
    case IP_TCP:
    case IP_UDP:
        if (!whole_header(p, p->ip_proto == IP_TCP ? 20 : 8, weird))
            return false;
        out->key.proto = p->ip_proto == IP_TCP ? FLOW_TCP : FLOW_UDP;
        sport = p->sport;
        dport = p->dport;
        break;
    case IP_ICMP:
    case IP_ICMPV6:
        if (!whole_header(p, 8, weird))
            return false;
        out->key.proto = FLOW_ICMP;
        sport = p->payload[0];
        dport = icmp_answer(p->ip_proto == IP_ICMPV6, p->payload[0], p->payload[1], &out->one_way);
        break;
    default:
        out->key.proto = FLOW_UNKNOWN;
        break;
    }
    int order = addr_order(&p->src, &p->dst);
    out->swapped = !out->one_way && (order > 0 || (order == 0 && sport > dport));
    out->key.addr[out->swapped] = p->src;
    out->key.port[out->swapped] = sport;
    out->key.addr[!out->swapped] = p->dst;
    out->key.port[!out->swapped] = dport;
    out->hash = flow_table_hash(table, &out->key);
    return true;
}

/* ---- new connections ---- */

static bool is_broadcast(const struct addr *a)
{
    static const uint8_t all[4] = {255, 255, 255, 255};
    return addr_is_v4(a) && memcmp(a->b + 12, all, 4) == 0;
}

/* Whether the first packet seen came from the likely responder. */
static bool looks_like_reply(const struct packet *p, uint8_t proto)
{
    if (proto == FLOW_UDP)
        return port_is_server_udp(p->sport) && !port_is_server_udp(p->dport);
    if (proto != FLOW_TCP)
        return false;
    uint8_t flags = tcp_flags(p);
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN || !port_is_server_tcp(p->sport))
        return false;
    return !port_is_server_tcp(p->dport) || (!(flags & TCP_SYN) && p->sport < p->dport);
}

static bool is_login_port(uint16_t port)
{
    return port == 21 || port == 22 || port == 23 || port == 513;
}

static struct flow *new_flow(struct flow_context *context, const struct packet *p,
                             const struct flow_lookup *lookup, uint16_t source, bool shadow)
{
    struct flow *f = flow_table_add(context->table, &lookup->key, lookup->hash);
    if (!f)
        return NULL;
    f->orig_is_1 = lookup->swapped;
    f->one_way = lookup->one_way;
    f->shadow = shadow;
    f->source = source;
    if (looks_like_reply(p, f->proto) && !is_broadcast(&p->dst))
        flow_flip(context, f);
    if (f->proto == FLOW_TCP && is_login_port(flow_port(f, FLOW_RESP)))
        f->idle = FLOW_IDLE_HOUR;
    return f;
}

/* ---- packets ---- */

static void count(struct flow_context *context, struct flow *f, int dir, const struct packet *p)
{
    if (++f->n_packets[dir] == UINT32_MAX && flow_more(context, f)) {
        more_of(f)->n_packets_more[dir] += f->n_packets[dir];
        f->n_packets[dir] = 0;
    }
    /* Segmentation offload can leave the header's length 0; Zeek then adds nothing. */
    if (p->ip_version != 4 || p->ip[2] || p->ip[3])
        f->ip_bytes[dir] += p->ip_len;
}

/* False: the checksum was to be looked at, and is wrong. */
static bool checksum_ok(struct flow_context *context, struct flow *f, int dir,
                        const struct packet *p)
{
    if (!context->validate_checksums || checksum_payload(p) != CHECKSUM_BAD)
        return true;
    static const char *const names[FLOW_N_PROTOS] = {[FLOW_TCP] = "bad_TCP_checksum",
                                                     [FLOW_UDP] = "bad_UDP_checksum",
                                                     [FLOW_ICMP] = "bad_ICMP_checksum"};
    static const char *const sources[FLOW_N_PROTOS] = {"TCP", "UDP", "ICMP"};
    if (names[f->proto])
        weird_flow(context, f, names[f->proto], (struct str){0}, sources[f->proto]);
    if (f->proto != FLOW_ICMP)
        flow_history_tally(context, f, dir, TALLY_CHECKSUM, 'C');
    return false;
}

static void handle_tcp(struct flow_context *context, struct flow *f, int dir,
                       const struct packet *p)
{
    struct tcp_segment s;
    const char *weird = tcp_read(p, &s);
    if (weird) {
        weird_flow(context, f, weird, (struct str){0}, "TCP");
        return;
    }
    if (!checksum_ok(context, f, dir, p))
        return;
    /* Counted first: a swap of roles swaps the counters as well. */
    count(context, f, dir, p);
    tcp_segment_arrived(context, f, dir, &s);
}

struct str flow_udp_payload(const struct packet *p)
{
    if (p->payload_size < 8)
        return (struct str){0};
    uint32_t size = p->payload_size < p->payload_len ? p->payload_size : p->payload_len;
    return str_make(p->payload + 8, size < 8 ? 0 : size - 8);
}

static void handle_udp(struct flow_context *context, struct flow *f, int dir,
                       const struct packet *p)
{
    if (!checksum_ok(context, f, dir, p)) {
        count(context, f, dir, p);
        return;
    }
    struct reader r = rd_make(p->payload, p->payload_size);
    rd_skip(&r, 4);
    uint16_t len = rd_be16(&r);
    if (len != p->payload_len) {
        char text[48];
        int n = snprintf(text, sizeof text, "%u != %u", len, p->payload_len);
        weird_flow(context, f, "UDP_datagram_length_mismatch", str_make(text, (size_t)n), "UDP");
    }
    f->last = context->now;
    flow_history_check(context, f, dir, HIST_DATA, 'D');
    f->payload_bytes[dir] += len >= 8 ? len - 8u : 0;
    struct str payload = flow_udp_payload(p);
    if (context->payload && payload.len)
        context->payload->data(context, f, dir, (const uint8_t *)payload.at, payload.len);
    count(context, f, dir, p); /* last: an analyzer may have swapped the roles */
}

static void handle_icmp(struct flow_context *context, struct flow *f, int dir,
                        const struct packet *p)
{
    if (!checksum_ok(context, f, dir, p))
        return;
    f->last = context->now;
    f->payload_bytes[dir] += p->payload_len - 8;
    if (p->payload_size >= p->payload_len)
        count(context, f, dir, p);
}

struct flow *flow_handle(struct flow_context *context, const struct packet *p,
                         const struct flow_lookup *lookup, uint16_t source, bool shadow)
{
    struct flow *f = flow_table_find(context->table, &lookup->key, lookup->hash);
    if (f && f->proto == FLOW_TCP && tcp_is_reuse(context, f, p)) {
        flow_table_end(context->table, f);
        f = NULL;
    }
    if (!f)
        f = new_flow(context, p, lookup, source, shadow);
    if (!f)
        return NULL;
    int dir = lookup->swapped == f->orig_is_1 ? FLOW_ORIG : FLOW_RESP;
    switch ((enum flow_proto)f->proto) {
    case FLOW_TCP:
        handle_tcp(context, f, dir, p);
        break;
    case FLOW_UDP:
        handle_udp(context, f, dir, p);
        break;
    case FLOW_ICMP:
        handle_icmp(context, f, dir, p);
        break;
    case FLOW_UNKNOWN:
    case FLOW_N_PROTOS:
        f->last = context->now;
        count(context, f, dir, p);
        break;
    }
    return f;
}
