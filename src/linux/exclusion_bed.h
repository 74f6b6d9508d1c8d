/* For unit tests: packets of a mirror's own tunnels, and others that look nearly so. Include cmocka
 * first. */
#ifndef LINUX_EXCLUSION_BED_H
#define LINUX_EXCLUSION_BED_H

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "linux/exclusion.h"
#include "net/frames_bed.h"

static inline struct addr bed_addr(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

/* A packet from its IP header on, and whether it is mirrored by those who exclude what
 * bed_fill_exclusions() says. */
struct bed_row {
    const char *what, *src, *dst;
    enum bed_kind {
        UDP,
        TCP,
        GRE,
        LATER,   /* fragment, of UDP */
        LATER47, /* fragment, of GRE */
        FIRST,   /* fragment, of UDP to `port` */
        ERROR,   /* of ICMP, quoting UDP from src to `quoted`, to `port` */
        ERROR47, /* quoting GRE */
        SHORT    /* an error that quotes nothing */
    } kind;
    uint16_t port;
    bool mirrored;
    const char *quoted;
    uint8_t type; /* of the error */
};

#define A4 "10.1.0.1"
#define C4 "10.9.0.2"
#define D4 "10.9.0.3"
#define A6 "2001:db8:1::1"
#define C6 "2001:db8::9"
#define D6 "2001:db8::a"

static const struct bed_row bed_rows[] = {
    {"another host", A4, D4, UDP, 4789, true},
    {"the tunnel", A4, C4, UDP, 4789, false},
    {"another port", A4, C4, UDP, 4790, true},
    {"from it", C4, A4, UDP, 4789, true},
    {"tcp", A4, C4, TCP, 4789, true},
    {"gre", A4, C4, GRE, 0, true},
    {"gre's", A4, "10.9.0.4", GRE, 0, false},
    {"gre's, udp", A4, "10.9.0.4", UDP, 4789, true},
    {"gre's, later fragment", A4, "10.9.0.4", LATER47, 0, false},
    {"gre's, udp fragment", A4, "10.9.0.4", LATER, 0, true},
    {"first fragment", A4, C4, FIRST, 4789, false},
    {"first fragment, another port", A4, C4, FIRST, 53, true},
    {"later fragment", A4, C4, LATER, 0, false},
    {"later fragment to another", A4, D4, LATER, 0, true},
    {"later fragment, gre", A4, C4, LATER47, 0, true},
    {"unreachable", C4, A4, ERROR, 4789, false, C4, 3},
    {"unreachable, from a router", D4, A4, ERROR, 4789, false, C4, 3},
    {"too old", D4, A4, ERROR, 4789, false, C4, 11},
    {"parameters", C4, A4, ERROR, 4789, false, C4, 12},
    {"echo", C4, A4, ERROR, 4789, true, C4, 8},
    {"quotes another port", C4, A4, ERROR, 53, true, C4, 3},
    {"quotes another host", D4, A4, ERROR, 4789, true, D4, 3},
    {"quotes gre", C4, A4, ERROR47, 0, true, C4, 3},
    {"quotes gre's", D4, A4, ERROR47, 0, false, "10.9.0.4", 3},
    {"quotes nothing", C4, A4, SHORT, 0, true, C4, 3},
    {"another host", A6, D6, UDP, 4789, true},
    {"the tunnel", A6, C6, UDP, 4789, false},
    {"another port", A6, C6, UDP, 4790, true},
    {"from it", C6, A6, UDP, 4789, true},
    {"tcp", A6, C6, TCP, 4789, true},
    {"gre", A6, C6, GRE, 0, true},
    {"gre's", A6, "2001:db8::b", GRE, 0, false},
    {"gre's, later fragment", A6, "2001:db8::b", LATER47, 0, false},
    {"first fragment", A6, C6, FIRST, 4789, false},
    {"first fragment, another port", A6, C6, FIRST, 53, true},
    {"later fragment", A6, C6, LATER, 0, false},
    {"later fragment to another", A6, D6, LATER, 0, true},
    {"later fragment, gre", A6, C6, LATER47, 0, true},
    {"unreachable", C6, A6, ERROR, 4789, false, C6, 1},
    {"too big, from a router", D6, A6, ERROR, 4789, false, C6, 2},
    {"too old", D6, A6, ERROR, 4789, false, C6, 3},
    {"parameters", C6, A6, ERROR, 4789, false, C6, 4},
    {"echo", C6, A6, ERROR, 4789, true, C6, 128},
    {"quotes another port", C6, A6, ERROR, 53, true, C6, 1},
    {"quotes another host", D6, A6, ERROR, 4789, true, D6, 1},
    {"quotes gre", C6, A6, ERROR47, 0, true, C6, 1},
    {"quotes gre's", D6, A6, ERROR47, 0, false, "2001:db8::b", 1},
    {"quotes nothing", C6, A6, SHORT, 0, true, C6, 1},
};

#define BED_ROWS (sizeof bed_rows / sizeof *bed_rows)

static inline size_t bed_fill_exclusions(struct linux_exclusion out[4])
{
    out[0] = (struct linux_exclusion){bed_addr(C4), IPPROTO_UDP, 4789};
    out[1] = (struct linux_exclusion){bed_addr(C6), IPPROTO_UDP, 4789};
    out[2] = (struct linux_exclusion){bed_addr("10.9.0.4"), IPPROTO_GRE, 0};
    out[3] = (struct linux_exclusion){bed_addr("2001:db8::b"), IPPROTO_GRE, 0};
    return 4;
}

/* Puts the IPv6 fragment header in front; of IPv4 the fields are set behind. */
static inline void bed_put_fragment6(struct frame_bed *b, uint8_t protocol,
                                     uint16_t offset_and_more)
{
    uint8_t h[8] = {protocol, 0, (uint8_t)(offset_and_more >> 8), (uint8_t)offset_and_more, 1, 2,
                    3,        4};
    frame_put(b, h, sizeof h);
}

static inline void bed_make_quote(struct frame_bed *b, const struct bed_row *row, struct addr src,
                                  struct addr quoted)
{
    if (row->kind == ERROR)
        frame_udp(b, 50000, row->port);
    frame_ip(b, &src, &quoted, row->kind == ERROR ? 17 : 47);
    frame_icmp(b, row->type, 0);
}

static inline void bed_make_packet(struct frame_bed *b, const struct bed_row *row)
{
    struct addr src = bed_addr(row->src), dst = bed_addr(row->dst);
    bool v4 = addr_is_v4(&src), later = row->kind == LATER || row->kind == LATER47;
    uint8_t protocol = row->kind == TCP                           ? 6
                       : row->kind == GRE || row->kind == LATER47 ? 47
                       : row->kind >= ERROR                       ? (v4 ? 1 : 58)
                                                                  : 17;
    bool is_quote = row->kind == ERROR || row->kind == ERROR47;
    frame_begin(b, "some payload", row->kind == SHORT ? 0 : 12);
    if (is_quote)
        bed_make_quote(b, row, dst, bed_addr(row->quoted));
    else if (row->kind == SHORT)
        frame_icmp(b, row->type, 0);
    else if (row->kind == TCP)
        frame_tcp(b, 50000, row->port, 1, 1, 0x10, 100, -1);
    else if (row->kind == UDP || row->kind == FIRST)
        frame_udp(b, 50000, row->port);
    if (!v4 && (later || row->kind == FIRST)) {
        bed_put_fragment6(b, protocol, later ? 1480 : 1);
        protocol = 44;
    }
    frame_ip(b, &src, &dst, protocol);
    if (v4 && later)
        frame_set16(b, 6, 185);
    if (v4 && row->kind == FIRST)
        frame_set16(b, 6, 0x2000);
}

/* Of IPv4, after its fields were changed. */
static inline void bed_put_sum(struct frame_bed *b)
{
    if (frame_bytes(b)[0] >> 4 != 4)
        return;
    frame_set16(b, 10, 0);
    frame_set16(b, 10, (uint16_t)~frame_sum(0, frame_bytes(b), 20));
}

static inline void bed_put_tags(struct frame_bed *b, unsigned n)
{
    bool v4 = frame_bytes(b)[0] >> 4 == 4;
    uint16_t type = v4 ? 0x0800 : 0x86dd;
    static const uint8_t addresses[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
    for (unsigned i = 0; i <= n; i++) {
        uint8_t h[4] = {0, (uint8_t)(5 + i), (uint8_t)(type >> 8), (uint8_t)type};
        frame_put(b, i < n ? h : h + 2, i < n ? 4 : 2);
        type = i == 0 ? 0x8100 : 0x88a8;
    }
    frame_put(b, addresses, sizeof addresses);
}

#endif
