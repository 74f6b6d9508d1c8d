/* For link*.c only: where the attributes of tunnel devices are, which each kind numbers anew. */
#ifndef LINUX_LINK_KINDS_H
#define LINUX_LINK_KINDS_H

#include <linux/if_tunnel.h>
#include <stdbool.h>
#include <stdint.h>

/* An attribute that a kind does not have is 0, which is no attribute's number. */
struct link_kind {
    const char *name;
    uint16_t id, remote, remote6, local, local6, underlay, port, ttl, df;
    bool is_gre, is_ip6, is_erspan;
};

/* All of GRE's kinds. Addresses have four bytes or sixteen under one number. */
#define LINK_GRE                                                                                   \
    .id = IFLA_GRE_OKEY, .remote = IFLA_GRE_REMOTE, .local = IFLA_GRE_LOCAL,                       \
    .underlay = IFLA_GRE_LINK, .ttl = IFLA_GRE_TTL, .is_gre = true

/* Flags of GRE's header, as one reads them. */
#define LINK_GRE_KEY      0x2000
#define LINK_GRE_SEQUENCE 0x1000

/* NULL: none of a tunnel's. */
const struct link_kind *link_kind_find(const char *name);

#endif
