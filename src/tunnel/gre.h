/* The header that GRE, NVGRE and PPTP's GRE share (drawn in gre.c). */
#ifndef TUNNEL_GRE_H
#define TUNNEL_GRE_H

#include "base/reader.h"

enum gre_flag {
    GRE_CHECKSUM = 0x8000,
    GRE_ROUTING = 0x4000,
    GRE_KEY = 0x2000,
    GRE_SEQ = 0x1000,
    GRE_ACK = 0x0080, /* version 1 only */
    GRE_UNKNOWN = 0x0078,
    GRE_VERSION = 0x0007,
};

enum gre_protocol {
    GRE_PROTO_IPV4 = 0x0800,
    GRE_PROTO_IPV6 = 0x86dd,
    GRE_PROTO_ETHERNET = 0x6558, /* transparent Ethernet bridging */
    GRE_PROTO_PPP = 0x880b,
    GRE_PROTO_WCCP = 0x883e,
    GRE_PROTO_ERSPAN = 0x88be, /* types I and II */
    GRE_PROTO_ERSPAN3 = 0x22eb,
};

struct gre_header {
    uint16_t flags;
    uint16_t protocol;
    uint32_t key; /* 0 without GRE_KEY */
    uint32_t seq; /* 0 without GRE_SEQ */
};

/* Reads all of it, routing entries too. A wrong version is left to the caller, with the reader
 * behind the first four bytes. */
struct gre_header gre_read(struct reader *r);

#endif
