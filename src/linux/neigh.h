/* Permanent entries of a device's table of neighbours: who answers at a tunnel's other end, where
 * nobody can be asked. */
#ifndef LINUX_NEIGH_H
#define LINUX_NEIGH_H

#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"

/* Makes it, or changes its MAC. Of an IPv6 neighbour also the route to it by the device, without
 * which the kernel would not hand it packets; IPv6 must be on there. */
int linux_neighbour_add(uint32_t link, const struct addr *addr, const uint8_t mac[6],
                        struct err *err) MUST_CHECK;

/* -ENOENT: there is none (of an IPv6 one: or no route to it). */
int linux_neighbour_get(uint32_t link, const struct addr *addr, uint8_t out_mac[6],
                        struct err *err) MUST_CHECK;

/* Of what is gone already: 0. */
int linux_neighbour_remove(uint32_t link, const struct addr *addr, struct err *err) MUST_CHECK;

#endif
