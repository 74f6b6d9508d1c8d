/* Where the copies go: --to vxlan:10.9.0.2, erspan2:[2001:db8::9], interface:eth1. */
#ifndef MIRROR_TARGET_H
#define MIRROR_TARGET_H

#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

enum mirror_wrap {
    MIRROR_VXLAN,
    MIRROR_GENEVE,
    MIRROR_GRE,     /* GRE with Ethernet in it: gretap, NVGRE */
    MIRROR_ERSPAN1, /* GRE 0x88BE without a header of its own */
    MIRROR_ERSPAN2,
    MIRROR_ERSPAN3,
    MIRROR_INTERFACE, /* no tunnel: out of another interface */
    MIRROR_PORT,      /* of a switch */
    MIRROR_VLAN,      /* of a switch */
    MIRROR_N_WRAPS
};

struct mirror_target {
    int wrap;         /* enum mirror_wrap */
    struct addr addr; /* of the collector; of tunnels */
    uint16_t port;    /* UDP; VXLAN and GENEVE; never 0 then */
    uint16_t vlan;
    char device[64]; /* of MIRROR_INTERFACE and MIRROR_PORT */
};

/* `allowed`: 1 << MIRROR_VXLAN | …, what the provider can do. */
int mirror_parse_target(const char *text, uint32_t allowed, struct mirror_target *out,
                        struct err *err) MUST_CHECK;

/* As it was spelled, with the port. */
#define MIRROR_TARGET_TEXT 96
void mirror_put_target(const struct mirror_target *target, char out[MIRROR_TARGET_TEXT]);

/* "vxlan"; what cloudspan.yaml calls a channel of it. */
const char *mirror_wrap_name(int wrap);

/* The largest id: 24 bits of a VNI, 32 of a GRE key, 10 of an ERSPAN session. 0: it has none. */
uint32_t mirror_wrap_max_id(int wrap);

/* Bytes that it puts around a frame, from the outer IP header on; `v6`: the outer address. */
uint32_t mirror_wrap_overhead(int wrap, bool v6);

#endif
