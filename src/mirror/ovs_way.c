/* How copies leave the machine, and whether the mirror would copy them again: see ovs.h.
 *
 * The tunnel's packets take the kernel's route to the collector. Where that leaves by an interface
 * that is a port of Open vSwitch, usually a bridge's own one with an address, the packets come into
 * that bridge there, and leave it by some other port, its *uplink*, perhaps through further bridges
 * that patch ports connect. A mirror of any port on this way would copy its own copies. Which port
 * the uplink is, flows decide and no table says; so on such bridges only ports are mirrored that
 * are known to have a machine behind them, unless the user says which one the uplink is. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "linux/link.h"
#include "mirror/ovs.h"

#define PATH_MAX_LINKS 32
#define BRIDGE_MAX     256

/* ---- the kernel's side ---- */

struct links {
    struct linux_link *at;
    size_t n;
};

struct path {
    const struct linux_link *at[PATH_MAX_LINKS];
    size_t n;
};

static void add_link(struct path *path, const struct linux_link *link)
{
    for (size_t i = 0; i < path->n; i++)
        if (path->at[i] == link)
            return;
    if (link && path->n < PATH_MAX_LINKS)
        path->at[path->n++] = link;
}

/* The interface, and what its packets pass next: that of a VLAN, the ports of a bond, the other end
 * of a veth. */
static void find_path(const struct links *links, const char *interface, struct path *out)
{
    out->n = 0;
    add_link(out, linux_link_by_name(links->at, links->n, interface));
    for (size_t i = 0; i < out->n; i++) {
        const struct linux_link *link = out->at[i];
        add_link(out, linux_link_by_index(links->at, links->n, link->lower));
        bool is_bond = strcmp(link->kind, "bond") == 0 || strcmp(link->kind, "team") == 0;
        for (size_t j = 0; is_bond && j < links->n; j++)
            if (links->at[j].master == link->index)
                add_link(out, &links->at[j]);
    }
}

/* ---- the switch's side ---- */

struct search {
    const struct ovs *ovs;
    const struct ovs_wish *wish;
    struct links links;
    const json_t *bridge;              /* the mirrored one */
    const json_t *entrance;            /* the port by which the copies come into the switch */
    const json_t *reached[BRIDGE_MAX]; /* bridges that they may pass; the first is the entrance's */
    size_t n_reached;
};

static const char *type_of(const struct ovs *ovs, const json_t *port)
{
    const char *type = ovsdb_text(ovs_get(ovs_interface_of(ovs, port, 0), "type"));
    return type ? type : "";
}

static const json_t *port_of_interface(const struct ovs *ovs, const char *name)
{
    const json_t *interface = ovs_by_name(ovs, OVS_INTERFACE, name), *port;
    for (size_t i = 0; interface && (port = ovs_row(ovs, OVS_PORT, i)); i++)
        if (ovsdb_has(ovs_get(port, "interfaces"), ovs_get(interface, "_uuid")))
            return port;
    return NULL;
}

static bool is_reached(const struct search *s, const json_t *bridge)
{
    for (size_t i = 0; i < s->n_reached; i++)
        if (s->reached[i] == bridge)
            return true;
    return false;
}

static void reach(struct search *s, const json_t *bridge)
{
    if (bridge && s->n_reached < BRIDGE_MAX && !is_reached(s, bridge))
        s->reached[s->n_reached++] = bridge;
}

/* Through patch ports. */
static void reach_all(struct search *s)
{
    for (size_t i = 0; i < s->n_reached; i++) {
        const json_t *port;
        for (size_t j = 0; (port = ovs_port_of(s->ovs, s->reached[i], j)); j++) {
            const json_t *interface = ovs_interface_of(s->ovs, port, 0);
            const char *peer = ovsdb_map_text(ovs_get(interface, "options"), "peer");
            if (peer && strcmp(type_of(s->ovs, port), "patch") == 0) {
                const json_t *other = port_of_interface(s->ovs, peer);
                if (other)
                    reach(s, ovs_bridge_of(s->ovs, other));
            }
        }
    }
}

/* What is known to have a machine behind it, and is no way to other hosts. */
static bool is_machine(const struct search *s, const json_t *port)
{
    static const char *const signs[] = {"iface-id", "vm-id", "vm-uuid", "attached-mac",
                                        "container_id"};
    const json_t *interface = ovs_interface_of(s->ovs, port, 0);
    const char *type = type_of(s->ovs, port);
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (ovsdb_map_text(ovs_get(interface, "external_ids"), signs[i]) ||
            ovsdb_map_text(ovs_get(port, "external_ids"), signs[i]))
            return true;
    const struct linux_link *link =
        linux_link_by_name(s->links.at, s->links.n, ovs_name(interface));
    return strcmp(type, "internal") == 0 || strncmp(type, "dpdkvhost", 9) == 0 ||
           (!type[0] && link && strcmp(link->kind, "tun") == 0);
}

/* Whether all uplinks that were named are on the bridge where the copies come in: they pass no
 * other one then. */
static bool stays_on_entrance(const struct search *s)
{
    size_t n = json_array_size(s->wish->uplinks);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_array_get(s->wish->uplinks, i));
        const json_t *port = ovs_by_name(s->ovs, OVS_PORT, name);
        if (!port || !ovs_is_on(s->reached[0], port))
            return false;
    }
    return n > 0;
}

static int check_uplinks(const struct search *s, struct err *err)
{
    for (size_t i = 0; i < json_array_size(s->wish->uplinks); i++) {
        const char *name = json_string_value(json_array_get(s->wish->uplinks, i));
        const json_t *port = ovs_by_name(s->ovs, OVS_PORT, name);
        if (!port || !is_reached(s, ovs_bridge_of(s->ovs, port)))
            return err_set(err, -ENODEV,
                           "--uplink: '%s' is no port of %s, where the copies leave, nor of a "
                           "bridge that is connected with it",
                           name, ovs_name(s->reached[0]));
    }
    return 0;
}

static int check_port(const struct search *s, const char *name, const char *to, struct err *err)
{
    const json_t *port = ovs_by_name(s->ovs, OVS_PORT, name);
    const char *here = ovs_name(s->reached[0]);
    if (port == s->entrance)
        return err_set(err, -ELOOP,
                       "--ports: the copies to %s leave this machine by %s, and would be copied "
                       "again and again; mirror the machines' ports, or reach the collector by an "
                       "interface that is not on the bridge",
                       to, name);
    if (ovs_list_has(s->wish->uplinks, name) ||
        (strcmp(type_of(s->ovs, port), "patch") == 0 && !stays_on_entrance(s)))
        return err_set(err, -ELOOP,
                       "--ports: the copies to %s pass %s, and would be copied again and again; "
                       "mirror the machines' ports, or reach the collector by an interface that is "
                       "not on the bridge",
                       to, name);
    if (json_array_size(s->wish->uplinks) == 0 && !is_machine(s, port))
        return err_set(err, -ELOOP,
                       "--ports: the copies to %s leave by the bridge %s; if that is through %s, "
                       "they would be copied again and again. Say which port they leave by: "
                       "--uplink PORT",
                       to, here, name);
    return 0;
}

/* The copies are in one VLAN of the entrance's bridge, and others are mirrored. */
static bool is_other_vlan(const struct search *s)
{
    int64_t tag = 0;
    const char *mode = ovsdb_text(ovs_get(s->entrance, "vlan_mode"));
    (void)ovsdb_number(ovs_get(s->entrance, "tag"), &tag); /* none: untagged, VLAN 0 */
    json_t *vlan = json_integer(tag);
    bool is_one = !mode || strcmp(mode, "access") == 0;
    bool other = is_one && json_array_size(s->wish->vlans) > 0;
    for (size_t i = 0; other && i < json_array_size(s->wish->vlans); i++)
        other = !json_equal(json_array_get(s->wish->vlans, i), vlan);
    json_decref(vlan);
    return other && s->bridge == s->reached[0];
}

static int check_loop(struct search *s, bool is_direct, const char *to, struct text *remarks,
                      struct err *err)
{
    reach(s, ovs_bridge_of(s->ovs, s->entrance));
    if (s->n_reached == 0)
        return 0;
    reach_all(s);
    int result = check_uplinks(s, err);
    if (result < 0 || !is_reached(s, s->bridge) || (is_direct && is_other_vlan(s)))
        return result;
    bool here = s->bridge == s->reached[0];
    size_t n = json_array_size(s->wish->ports);
    if (n == 0 && (here || !stays_on_entrance(s)))
        return err_set(err, -ELOOP,
                       "the copies to %s leave by the bridge %s%s, and all of its ports would "
                       "copy them again and again: name the machines' ports with --ports, or reach "
                       "the collector by an interface that is not on the bridge",
                       to, ovs_name(s->reached[0]), here ? "" : ", which is connected with this");
    for (size_t i = 0; i < n && result == 0; i++)
        result = check_port(s, json_string_value(json_array_get(s->wish->ports, i)), to, err);
    if (result == 0 && (s->wish->direction != OVS_OUT || n == 0))
        text_format(remarks,
                    "the copies leave by the bridge %s: as long as it has not learned where %s is, "
                    "it sends them to all of its ports, and they are copied some more times\n",
                    ovs_name(s->reached[0]), to);
    return result;
}

/* Copies of a bridge in user space leave by another such bridge only. */
static int check_datapath(const struct ovs *ovs, const struct ovs_wish *wish, const json_t *bridge,
                          const json_t *entrance, const char *interface, struct err *err)
{
    const char *type = ovsdb_text(ovs_get(bridge, "datapath_type"));
    const json_t *other = entrance ? ovs_bridge_of(ovs, entrance) : NULL;
    const char *theirs = ovsdb_text(ovs_get(other, "datapath_type"));
    if (!type || strcmp(type, "netdev") != 0 || (theirs && strcmp(theirs, "netdev") == 0))
        return 0;
    return err_set(err, -ENETUNREACH,
                   "the bridge %s works in user space, where tunnels leave by another such bridge "
                   "only, and the route to the collector leaves by %s: give a bridge of "
                   "datapath_type netdev an address and the interface as its port",
                   wish->bridge, interface);
}

static bool is_own(const struct addr *addr)
{
    struct addr own[256];
    size_t n = linux_own_addresses(own, sizeof own / sizeof own[0]);
    for (size_t i = 0; i < n; i++)
        if (addr_eq(&own[i], addr))
            return true;
    return false;
}

int ovs_check_way(const struct ovs *ovs, const struct ovs_wish *wish, const json_t *bridge,
                  struct ovs_way *out, struct text *remarks, struct err *err)
{
    struct search search = {.ovs = ovs, .wish = wish, .bridge = bridge};
    const struct linux_link *link;
    struct linux_route route;
    struct path path;
    char to[ADDR_TEXT_MAX + 1];
    to[addr_format(&wish->to.addr, to)] = '\0';
    if (!ovsdb_is_local(ovs->db)) {
        text_format(remarks,
                    "the switch is on another machine: whether %s can be reached from there, and "
                    "whether the copies would pass mirrored ports, is not known here\n",
                    to);
        return 0;
    }
    if (is_own(&wish->to.addr))
        return err_set(err, -EADDRINUSE,
                       "--to: %s is this machine's own address; to look at the copies here, give "
                       "the bridge an internal port and mirror to it: --to port:NAME",
                       to);
    int result = linux_route_to(&wish->to.addr, &route, err);
    if (result < 0) {
        err_wrap(err, "the collector cannot be reached");
        return result;
    }
    result = linux_links(&search.links.at, &search.links.n, err);
    if (result < 0)
        return result;
    find_path(&search.links, route.interface, &path);
    for (size_t i = 0; i < path.n && !search.entrance; i++)
        search.entrance = port_of_interface(ovs, path.at[i]->name);
    result = check_datapath(ovs, wish, bridge, search.entrance, route.interface, err);
    if (result == 0 && search.entrance) {
        bool is_direct = strcmp(ovs_name(search.entrance), route.interface) == 0;
        result = check_loop(&search, is_direct, to, remarks, err);
    }
    struct ovs_way way = {.is_known = true, .mtu = route.mtu, .source = route.source};
    (void)snprintf(way.interface, sizeof way.interface, "%s", route.interface);
    link = linux_link_by_name(search.links.at, search.links.n, route.interface);
    if (link && (way.mtu == 0 || link->mtu < way.mtu))
        way.mtu = link->mtu;
    free(search.links.at);
    if (result == 0)
        *out = way;
    return result;
}
