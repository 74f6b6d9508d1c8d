/* Which networks are ours, and which pairs of hosts are looked at. RITA's rules, with its names. */
#ifndef HUNT_SCOPE_H
#define HUNT_SCOPE_H

#include "hunt/record.h"

struct hunt_prefix {
    struct addr net;
    uint8_t bits; /* of 128 */
};

/* "10.0.0.0/8", "fd00::/8", or one address. */
bool hunt_prefix_parse(const char *text, struct hunt_prefix *out);
bool hunt_prefix_has(const struct hunt_prefix *prefix, const struct addr *addr);

struct hunt_scope {
    struct hunt_prefix *internal; /* defaults: 10/8, 172.16/12, 192.168/16, fd00::/8 */
    size_t n_internal;
    struct hunt_prefix *always, *never;     /* always_included_subnets, never_included_subnets */
    size_t n_always, n_never;               /* the mandatory ones of `never` are in the code */
    char **always_domains, **never_domains; /* "*.example.com" fits example.com too */
    size_t n_always_domains, n_never_domains;
    bool include_inbound; /* connections from outside to inside are looked at */
};

bool hunt_is_internal(const struct hunt_scope *scope, const struct addr *addr);

/* RITA's "publicly routable": neither private, loopback, link-local nor multicast. */
bool hunt_is_public(const struct addr *addr);

enum hunt_way { HUNT_OUT, HUNT_IN, HUNT_INSIDE, HUNT_OUTSIDE };
enum hunt_way hunt_way(const struct hunt_scope *scope, const struct addr *orig,
                       const struct addr *resp);

/* What RITA keeps: of connections, and of DNS (which keeps what is between two internal hosts). */
bool hunt_keeps_conn(const struct hunt_scope *scope, const struct addr *orig,
                     const struct addr *resp);
bool hunt_keeps_dns(const struct hunt_scope *scope, const struct addr *orig,
                    const struct addr *resp);
bool hunt_keeps_domain(const struct hunt_scope *scope, struct str name);

/* "*.x.com" fits every name that ends so, and x.com; others only themselves. Case is ignored. */
bool hunt_domain_fits(struct str pattern, struct str name);

/* A name of at least two labels of letters, digits and '-', as RITA wants one. */
bool hunt_is_fqdn(struct str name);

/* The registrable domain (public suffix list) of a name, a part of it; the whole name where there
 * is none. `name` in lower case. */
struct str hunt_registrable(struct str name);

#endif
