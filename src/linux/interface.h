/* Interfaces, addresses and routes of this machine, of this network namespace. */
#ifndef LINUX_INTERFACE_H
#define LINUX_INTERFACE_H

#include "base/err.h"
#include "net/addr.h"

/* Addresses of all interfaces that are up; gives their number, at most `max`. */
size_t linux_own_addresses(struct addr *out, size_t max);

/* Of one interface, as text: up to `max`, without link-local ones; gives their number. */
size_t linux_addresses_of(const char *interface, char (*out)[48], size_t max);

/* The interface of the default route (IPv4's, or else IPv6's; the least metric). False and "" where
 * there is none. */
bool linux_default_interface(char out[16]);

/* Names of the interfaces that are up, without the loopback; gives their number. */
size_t linux_interfaces(char (*out)[16], size_t max);

struct linux_route {
    char interface[16];
    uint32_t mtu; /* of the route, where it is known to be less than the interface's; 0: not */
    struct addr source;
};

/* How packets go to `to`. Refused: there is no way. */
int linux_route_to(const struct addr *to, struct linux_route *out, struct err *err) MUST_CHECK;

/* The same by one interface, whatever other ways there are. Refused: no route goes that way. */
int linux_route_by(const struct addr *to, uint32_t index, struct linux_route *out,
                   struct err *err) MUST_CHECK;

struct linux_interface {
    char name[16];
    char driver[32]; /* "": the driver does not say */
    bool is_up, has_carrier, is_loopback;
    uint32_t mtu;

    /* Offloads: -1: not known. */
    int gro, lro, gro_hw, rx_vlan;

    uint32_t n_queues, max_queues; /* of reception; 0: not known */
    uint32_t ring, max_ring;       /* descriptors of one reception ring; 0: not known */

    /* Counted by the kernel for the interface, since it was made. */
    uint64_t n_packets, n_dropped, n_missed, n_errors, n_fifo;

    /* Counted by the card under names of its own: the largest of those that mean loss. */
    uint64_t n_card_dropped;
    char card_counter[32];

    int rp_filter; /* of IPv4: 0 off, 1 strict, 2 loose; -1: not known */
};

int linux_interface_facts(const char *name, struct linux_interface *out,
                          struct err *err) MUST_CHECK;

/* Whether a card's counter of this name counts packets that were lost on reception. */
bool linux_counts_loss(const char *counter);

#endif
