/* How copies get to the collector, and whether they would be copied again: see host.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"

/* A device whose packets leave by another one as well, wrapped; a tap may be one, or lead to a
 * virtual machine, as most do. */
static bool is_tunnel(const struct linux_link *link)
{
    static const struct addr none = {{0}};
    return (!link->has_ethernet && !link->is_loopback) || !addr_eq(&link->tunnel.remote, &none);
}

static void name_target(const struct host_wish *wish, char out[ADDR_TEXT_MAX + 1])
{
    out[addr_format(&wish->to.addr, out)] = '\0';
}

static void take_way(const struct host *host, const struct linux_route *route,
                     const struct linux_link *mirrored, struct host_way *out)
{
    const struct linux_link *link =
        linux_link_by_name(host->links, host->n_links, route->interface);
    *out = (struct host_way){.mtu = route->mtu, .source = route->source};
    (void)snprintf(out->out, sizeof out->out, "%s", route->interface);
    if (!link)
        return;
    out->out_index = link->index;
    if (!out->mtu || (link->mtu && link->mtu < out->mtu))
        out->mtu = link->mtu;
    out->passes_mirrored =
        mirrored && linux_link_below(host->links, host->n_links, link->index, mirrored->index);
}

/* Another interface, by which the collector can be reached as well, and whose packets do not pass
 * the mirrored one. */
static bool find_other(const struct host *host, const struct host_wish *wish,
                       const struct linux_link *mirrored, struct host_way *out)
{
    for (size_t i = 0; i < host->n_links; i++) {
        const struct linux_link *link = &host->links[i];
        struct linux_route route;
        struct err err;
        if (!link->is_up || !link->has_carrier || link->is_loopback || link->master ||
            is_tunnel(link) ||
            linux_link_below(host->links, host->n_links, link->index, mirrored->index) ||
            linux_route_by(&wish->to.addr, link->index, &route, &err) < 0)
            continue;
        take_way(host, &route, mirrored, out);
        return true;
    }
    return false;
}

int host_find_way(const struct host *host, const struct host_wish *wish,
                  const struct linux_link *mirrored, bool can_bind, struct host_way *out,
                  struct err *err)
{
    struct linux_route route;
    char to[ADDR_TEXT_MAX + 1];
    name_target(wish, to);
    int result = linux_route_to(&wish->to.addr, &route, err);
    if (result == -EADDRNOTAVAIL || (result < 0 && !wish->via)) {
        err_wrap(err, "--to");
        return result;
    }
    const struct linux_link *main_link =
        result < 0 ? NULL : linux_link_by_name(host->links, host->n_links, route.interface);
    if (main_link && main_link->is_loopback)
        return err_set(err, -EINVAL,
                       "--to: %s is this machine itself: cloudspan watch -i %s sees its traffic "
                       "without a mirror",
                       to, mirrored ? mirrored->name : "any");
    struct host_way way = {0};
    if (main_link)
        take_way(host, &route, mirrored, &way);
    if (wish->via) {
        const struct linux_link *via = linux_link_by_name(host->links, host->n_links, wish->via);
        if (!via)
            return err_set(err, -ENODEV, "--via: there is no interface %s", wish->via);
        if (linux_route_by(&wish->to.addr, via->index, &route, err) < 0)
            return err_set(err, -ENETUNREACH, "--via: no route leads to %s by %s", to, wish->via);
        if (!can_bind && (!main_link || via->index != main_link->index))
            return err_set(
                err, -EOPNOTSUPP,
                "--via: copies in %s by this method go as the routes say, which is not by "
                "%s: ip route add %s dev %s",
                mirror_wrap_name(wish->to.wrap), wish->via, to, wish->via);
        take_way(host, &route, mirrored, &way);
    } else if (way.passes_mirrored && can_bind) {
        struct host_way other;
        if (find_other(host, wish, mirrored, &other))
            way = other;
    }
    *out = way;
    return 0;
}

/* ---- loops ---- */

/* 0: not known. */
static uint32_t underlay_of(const struct host *host, const struct linux_link *tunnel)
{
    static const struct addr none = {{0}};
    struct linux_route route;
    struct err err;
    if (tunnel->tunnel.underlay)
        return tunnel->tunnel.underlay;
    if (addr_eq(&tunnel->tunnel.remote, &none) ||
        linux_route_to(&tunnel->tunnel.remote, &route, &err) < 0)
        return 0;
    const struct linux_link *by = linux_link_by_name(host->links, host->n_links, route.interface);
    return by ? by->index : 0;
}

/* Another mirror's copies, which pass what is to be mirrored here and go to another collector. */
static const struct linux_link *find_foreign_copies(const struct host *host, const char *mirror,
                                                    const struct host_wish *wish,
                                                    const struct linux_link *mirrored,
                                                    char out_mirror[MIRROR_NAME_MAX])
{
    for (size_t i = 0; i < host->n_links; i++) {
        const struct linux_link *link = &host->links[i];
        bool owns;
        if (!host_read_alias(link->alias, out_mirror, &owns) || strcmp(out_mirror, mirror) == 0 ||
            (addr_eq(&link->tunnel.remote, &wish->to.addr) && link->tunnel.port == wish->to.port))
            continue;
        uint32_t out = underlay_of(host, link);
        if (out && linux_link_below(host->links, host->n_links, out, mirrored->index))
            return link;
    }
    return NULL;
}

static int check_interface(const struct host *host, const struct host_wish *wish,
                           const struct linux_link *mirrored, struct err *err)
{
    const char *name = wish->to.device;
    const struct linux_link *to = linux_link_by_name(host->links, host->n_links, name);
    if (!to)
        return err_set(err, -ENODEV, "--to: there is no interface %s", name);
    if (to == mirrored)
        return err_set(err, -ELOOP, "--to: %s is what is mirrored: its copies would be copied",
                       name);
    if (to->is_loopback || !to->has_ethernet)
        return err_set(err, -EINVAL, "--to: %s carries no Ethernet frames", name);
    if (!to->is_up)
        return err_set(err, -ENETDOWN, "--to: %s is down: ip link set %s up", name, name);
    if (linux_link_share_master(host->links, host->n_links, to->index, mirrored->index))
        return err_set(err, -ELOOP,
                       "--to: %s and %s are of one bridge or bond: the copies would come back",
                       name, mirrored->name);
    if (linux_link_below(host->links, host->n_links, to->index, mirrored->index) ||
        linux_link_below(host->links, host->n_links, mirrored->index, to->index))
        return err_set(err, -ELOOP,
                       "--to: what leaves by %s passes %s as well: the copies would be copied",
                       name, mirrored->name);
    return 0;
}

/* Copies that leave by somebody's tunnel leave once more, wrapped, and are not to be told then from
 * what else the mirrored interface sends. */
static int check_tunnel(const struct host *host, const struct host_wish *wish,
                        const struct linux_link *mirrored, const struct linux_link *out,
                        struct err *err)
{
    if (out == mirrored || !is_tunnel(out) || wish->filter)
        return 0;
    uint32_t by = underlay_of(host, out);
    if (by && !linux_link_below(host->links, host->n_links, by, mirrored->index))
        return 0;
    return err_set(
        err, -ELOOP,
        "copies would leave by %s, a tunnel whose own packets %s by %s and would be copied "
        "again: leave them out with --filter 'not …', or choose another way with --via",
        out->name, by ? "leave" : "may leave", mirrored->name);
}

int host_check_loops(const struct host *host, const struct host_wish *wish,
                     const struct linux_link *mirrored, const struct host_way *way, struct err *err)
{
    const char *mirror = host->mark;
    char other[MIRROR_NAME_MAX], to[16];
    bool owns;
    if (host_read_alias(mirrored->alias, other, &owns))
        return err_set(err, -ELOOP, "--interface: %s carries the copies of the mirror %s",
                       mirrored->name, host_name_of(other));
    if (!way) {
        int result = check_interface(host, wish, mirrored, err);
        if (result < 0)
            return result;
    }
    const struct linux_link *out =
        linux_link_by_name(host->links, host->n_links, way ? way->out : wish->to.device);
    for (size_t i = 0; out && i < host->n_links; i++) {
        const struct linux_link *link = &host->links[i];
        if (linux_link_below(host->links, host->n_links, out->index, link->index) &&
            host_find_copier(host, mirror, wish, link, to))
            return err_set(
                err, -ELOOP,
                "copies of %s would leave by %s, and what leaves there is copied to %s "
                "already: they would be copied again (another way: --via; tc filter show "
                "dev %s egress)",
                mirrored->name, link->name, to, link->name);
    }
    if (out) {
        int result = check_tunnel(host, wish, mirrored, out, err);
        if (result < 0)
            return result;
    }
    if (find_foreign_copies(host, mirror, wish, mirrored, other))
        return err_set(err, -ELOOP,
                       "copies of the mirror %s pass %s and would be copied: give both mirrors the "
                       "same collector, or that one another way (--via)",
                       host_name_of(other), mirrored->name);
    return 0;
}
