/* The interface that packets are put on: what it is, and how it is made deaf. See tap.h. */
#ifndef SINK_TAP_LINK_H
#define SINK_TAP_LINK_H

#include <net/if.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct tap_link {
    int index;
    int master; /* index of the bridge or bond it belongs to; 0: none */
    int peer;   /* of a veth: index of the other end; 0: none, or in another namespace */
    uint32_t mtu;
    char kind[16]; /* "tun", "veth", "dummy"; empty: of hardware */
    char name[IFNAMSIZ];
};

/* -ENODEV: there is none of this name. By name, or by index when `name` is NULL. */
int tap_link_find(const char *name, int index, struct tap_link *out, struct err *err) MUST_CHECK;

/* Refuses one with an address, or in a bridge; and so its peer. */
int tap_link_check(const struct tap_link *link, struct err *err) MUST_CHECK;

/* Makes it, and its peer, deaf, and sets it up. `mtu` 0: stays as it is. */
int tap_link_prepare(const struct tap_link *link, uint32_t mtu, struct err *err) MUST_CHECK;

#endif
