/* What a mirror of Open vSwitch should be: see ovs.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "mirror/ovs.h"

/* Of a port's name and its tunnel's type. */
static const char *const types[MIRROR_N_WRAPS] = {
    [MIRROR_VXLAN] = "vxlan",    [MIRROR_GENEVE] = "geneve",  [MIRROR_GRE] = "gre",
    [MIRROR_ERSPAN2] = "erspan", [MIRROR_ERSPAN3] = "erspan",
};

static void put_name(const char *prefix, const char *mirror, char out[OVS_NAME_MAX])
{
    uint8_t digest[HASH_SHA256_SIZE];
    char hex[2 * 5 + 1] = "";
    int len = snprintf(out, OVS_NAME_MAX, "%s%s", prefix, mirror);
    if (len < OVS_NAME_MAX)
        return;
    hash_sha256(mirror, strlen(mirror), digest);
    hash_hex(digest, 5, hex);
    (void)snprintf(out, OVS_NAME_MAX, "%s%.10s", prefix, hex);
}

void ovs_put_port_name(const char *mirror, char out[OVS_NAME_MAX])
{
    put_name("cs-", mirror, out);
}

void ovs_put_nudge_name(const char *mirror, char out[OVS_NAME_MAX])
{
    put_name("csn-", mirror, out);
}

/* "p-a, p-b, …" */
static void list_names(const struct ovs *ovs, const json_t *bridge, char *out, size_t size)
{
    const json_t *row;
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; at + 1 < size; i++) {
        row = bridge ? ovs_port_of(ovs, bridge, i) : ovs_row(ovs, OVS_BRIDGE, i);
        if (!row)
            break;
        int n = at > size / 2 ? snprintf(out + at, size - at, ", …")
                              : snprintf(out + at, size - at, "%s%s", i ? ", " : "", ovs_name(row));
        if (n < 0 || at > size / 2)
            break;
        at += (size_t)n;
    }
}

static int find_bridge(const struct ovs *ovs, const char *name, const json_t **out, struct err *err)
{
    char list[200];
    *out = ovs_by_name(ovs, OVS_BRIDGE, name);
    if (*out)
        return 0;
    list_names(ovs, NULL, list, sizeof list);
    const json_t *port = ovs_by_name(ovs, OVS_PORT, name);
    const json_t *parent = port ? ovs_bridge_of(ovs, port) : NULL;
    int64_t tag;
    if (parent && ovsdb_number(ovs_get(port, "tag"), &tag))
        return err_set(err, -ENODEV,
                       "'%s' is no bridge of its own, but VLAN %d of the bridge %s: "
                       "--bridge %s --vlan %d",
                       name, (int)tag, ovs_name(parent), ovs_name(parent), (int)tag);
    return err_set(err, -ENODEV, "Open vSwitch has no bridge '%s'; it has %s", name,
                   list[0] ? list : "none");
}

/* The port, where it is on the bridge. */
static int find_port(const struct ovs *ovs, const json_t *bridge, const char *option,
                     const char *name, const json_t **out, struct err *err)
{
    char list[200];
    const json_t *port = ovs_by_name(ovs, OVS_PORT, name);
    const json_t *on = port ? ovs_bridge_of(ovs, port) : NULL;
    if (on == bridge && port) {
        *out = port;
        return 0;
    }
    if (on)
        return err_set(err, -ENODEV, "%s: the port '%s' is on the bridge %s, not on %s", option,
                       name, ovs_name(on), ovs_name(bridge));
    const json_t *interface = ovs_by_name(ovs, OVS_INTERFACE, name), *of;
    for (size_t i = 0; interface && (of = ovs_row(ovs, OVS_PORT, i)); i++)
        if (ovsdb_has(ovs_get(of, "interfaces"), ovs_get(interface, "_uuid")))
            return err_set(err, -ENODEV,
                           "%s: '%s' is one of the interfaces of the port %s: name the port",
                           option, name, ovs_name(of));
    list_names(ovs, bridge, list, sizeof list);
    return err_set(err, -ENODEV, "%s: the bridge %s has no port '%s'; it has %s", option,
                   ovs_name(bridge), name, list);
}

static int check_ports(const struct ovs *ovs, const struct ovs_wish *wish, const json_t *bridge,
                       struct err *err)
{
    for (size_t i = 0; i < json_array_size(wish->ports); i++) {
        const char *name = json_string_value(json_array_get(wish->ports, i));
        const json_t *port;
        int result = find_port(ovs, bridge, "--ports", name, &port, err);
        if (result < 0)
            return result;
        if (ovs_mark(port))
            return err_set(err, -EINVAL, "--ports: '%s' is the output of the mirror %s", name,
                           ovs_mark(port));
    }
    return 0;
}

/* ---- tags ---- */

/* How the switch tags what the machine at a port sends without the tag. */
struct tagging {
    const char *mode; /* "": not at all */
    int64_t tag;
};

static struct tagging tagging_of(const json_t *port)
{
    static const char *const modes[] = {"access", "dot1q-tunnel", "native-untagged"};
    struct tagging is = {.mode = ""};
    const char *mode = ovsdb_text(ovs_get(port, "vlan_mode"));
    if (!ovsdb_number(ovs_get(port, "tag"), &is.tag))
        return is;
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(mode ? mode : "access", modes[i]) == 0)
            is.mode = modes[i];
    return is;
}

/* The tunnel's port takes the tags off again, as long as that is the same for all ports. In the
 * first two modes it takes off whatever tag there is: so one that is in no use will do, and the
 * mirror stays when the ports' change, as OpenStack's do. */
static bool set_tagging(const struct ovs *ovs, const struct ovs_wish *wish, json_t *is,
                        struct text *remarks)
{
    enum { UNUSED = 4095 };
    struct tagging all = {.mode = ""};
    bool same = true, any = false;
    for (size_t i = 0; i < json_array_size(wish->ports); i++) {
        const char *name = json_string_value(json_array_get(wish->ports, i));
        struct tagging one = tagging_of(ovs_by_name(ovs, OVS_PORT, name));
        if (one.mode[0] && strcmp(one.mode, "native-untagged") != 0)
            one.tag = UNUSED;
        if (i == 0)
            all = one;
        same &= strcmp(all.mode, one.mode) == 0 && all.tag == one.tag;
        any |= one.mode[0] != '\0';
    }
    if (!same)
        all = (struct tagging){.mode = ""};
    if (any && !same)
        text_put(remarks, "of these ports some have VLAN tags that their machines do not see: the "
                          "copies have them (drop-vlan: yes in cloudspan.yaml takes them off)\n");
    return json_object_set_new(is, "vlan_mode", json_string(all.mode)) == 0 &&
           json_object_set_new(is, "tag", json_integer(all.mode[0] ? all.tag : 0)) == 0;
}

/* ---- the output ---- */

/* Another tunnel with the same ends and id: Open vSwitch would not know whose packets are whose. */
static int check_tunnel(const struct ovs *ovs, const char *name, const json_t *is, struct err *err)
{
    static const char *const ends[] = {"remote_ip", "key", "dst_port", "local_ip"};
    const json_t *other;
    for (size_t i = 0; (other = ovs_row(ovs, OVS_INTERFACE, i)); i++) {
        const char *type = ovsdb_text(ovs_get(other, "type"));
        bool same = strcmp(ovs_name(other), name) != 0 && type &&
                    strcmp(type, json_string_value(json_object_get(is, "type"))) == 0;
        for (size_t j = 0; same && j < sizeof ends / sizeof ends[0]; j++) {
            char key[32];
            (void)snprintf(key, sizeof key, "options:%s", ends[j]);
            const char *ours = json_string_value(json_object_get(is, key));
            const char *theirs = ovsdb_map_text(ovs_get(other, "options"), ends[j]);
            same = strcmp(ours ? ours : "", theirs ? theirs : "") == 0;
        }
        if (same)
            return err_set(err, -EEXIST,
                           "the port %s is such a tunnel already, to the same address with the "
                           "same id: take another --id",
                           ovs_name(other));
    }
    return 0;
}

static int check_type(const struct ovs *ovs, const char *type, struct err *err)
{
    const json_t *known = ovs_get(ovs_row(ovs, OVS_ROOT, 0), "iface_types");
    json_t *name = json_string(type);
    bool has = ovsdb_n(known) == 0 || ovsdb_has(known, name);
    json_decref(name);
    return has ? 0
               : err_set(err, -EPROTONOSUPPORT,
                         "--to: this Open vSwitch makes no %s tunnels; gre and vxlan are in all "
                         "versions",
                         type);
}

static bool set_text(json_t *is, const char *key, const char *value)
{
    return json_object_set_new(is, key, json_string(value)) == 0;
}

static bool set_number(json_t *is, const char *key, uint32_t number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", number);
    return set_text(is, key, text);
}

/* Open vSwitch reads this one number as hexadecimal. */
static bool set_index(json_t *is, uint32_t number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%x", number);
    return set_text(is, "options:erspan_idx", text);
}

static bool set_tunnel(const struct ovs_wish *wish, json_t *is)
{
    char address[ADDR_TEXT_MAX + 1];
    address[addr_format(&wish->to.addr, address)] = '\0';
    bool ok =
        set_text(is, "type", types[wish->to.wrap]) && set_text(is, "options:remote_ip", address);
    if (ok && wish->has_id)
        ok = set_number(is, "options:key", wish->id);
    switch (wish->to.wrap) {
    case MIRROR_VXLAN:
        if (ok && wish->to.port != 4789)
            ok = set_number(is, "options:dst_port", wish->to.port);
        break;
    case MIRROR_GENEVE:
        if (ok && wish->to.port != 6081)
            ok = set_number(is, "options:dst_port", wish->to.port);
        break;
    case MIRROR_ERSPAN2:
        ok = ok && set_text(is, "options:erspan_ver", "1") && set_index(is, wish->id);
        break;
    case MIRROR_ERSPAN3: /* 0: what the switch received; 1: what it sent */
        ok = ok && set_text(is, "options:erspan_ver", "2") &&
             set_text(is, "options:erspan_dir", wish->direction == OVS_IN ? "1" : "0") &&
             set_text(is, "options:erspan_hwid", "0");
        break;
    }
    return ok && (!wish->csum || set_text(is, "options:csum", "true"));
}

/* The port is given to the mirror alone: what else it would have carried is cut off. */
static int check_output_port(const struct ovs *ovs, const struct ovs_wish *wish,
                             const json_t *bridge, struct text *remarks, struct err *err)
{
    const char *name = wish->to.device;
    const json_t *port;
    int result = find_port(ovs, bridge, "--to port", name, &port, err);
    if (result < 0)
        return result;
    const char *type = ovsdb_text(ovs_get(ovs_interface_of(ovs, port, 0), "type"));
    if (ovs_list_has(wish->ports, name))
        return err_set(err, -EINVAL,
                       "--to: the port %s is mirrored itself; the copies need a port of their own",
                       name);
    if (strcmp(name, wish->bridge) == 0)
        return err_set(err, -EINVAL,
                       "--to: %s is the bridge's own port, which a mirror would take away from "
                       "this machine; add another one: ovs-vsctl add-port %s NAME -- set Interface "
                       "NAME type=internal",
                       name, wish->bridge);
    if ((type && strcmp(type, "patch") == 0) || ovs_list_has(wish->uplinks, name))
        return err_set(err, -EINVAL,
                       "--to: the port %s connects the bridge with others, and a mirror would "
                       "take it away from all other traffic",
                       name);
    text_format(remarks,
                "the port %s is given to the mirror alone: whoever is behind it gets copies and "
                "nothing else, and what it sends is dropped\n",
                name);
    return 0;
}

/* Adds the output's attributes; true: the way it takes has to be looked at. */
static int set_output(const struct ovs *ovs, const struct mirror_job *job, const json_t *bridge,
                      json_t *is, struct text *remarks, struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    char name[OVS_NAME_MAX];
    int result = 0;
    bool ok;
    switch (wish->to.wrap) {
    case MIRROR_PORT:
        result = check_output_port(ovs, wish, bridge, remarks, err);
        ok = set_text(is, "output_port", wish->to.device);
        break;
    case MIRROR_VLAN:
        text_format(
            remarks,
            "copies go to all ports of VLAN %u; switches on its way must learn no addresses "
            "in it (RSPAN), or machines lose their connections: a tunnel has no such trap\n",
            wish->to.vlan);
        ok = json_object_set_new(is, "output_vlan", json_integer(wish->to.vlan)) == 0;
        break;
    default:
        ovs_put_port_name(job->name, name);
        ok = set_text(is, "output_port", name) && set_tunnel(wish, is) &&
             set_tagging(ovs, wish, is, remarks);
        if (ok)
            result = check_type(ovs, types[wish->to.wrap], err);
        if (ok && result == 0)
            result = check_tunnel(ovs, name, is, err);
        break;
    }
    return result < 0 ? result : ok ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* ---- conflicts ---- */

static int check_port_name(const struct ovs *ovs, const struct mirror_job *job, const char *name,
                           struct err *err)
{
    const json_t *port = ovs_by_name(ovs, OVS_PORT, name);
    if (!port || ovs_is_ours(port, job->name))
        return 0;
    return err_set(err, -EEXIST,
                   "there is a port %s already, which is not ours: give the mirror another --name",
                   name);
}

static int check_names(const struct ovs *ovs, const struct mirror_job *job, const json_t *bridge,
                       struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    char name[OVS_NAME_MAX];
    const json_t *mirror;
    size_t n = 0;
    ovs_put_nudge_name(job->name, name);
    int result = check_port_name(ovs, job, name, err);
    ovs_put_port_name(job->name, name);
    if (result == 0 && wish->to.wrap != MIRROR_PORT)
        result = check_port_name(ovs, job, name, err);
    if (result < 0)
        return result;
    for (size_t i = 0; (mirror = ovs_mirror_of(ovs, bridge, i)); i++) {
        if (ovs_is_ours(mirror, job->name))
            continue;
        n++;
        if (strcmp(ovs_name(mirror), name) == 0)
            return err_set(err, -EEXIST,
                           "there is a mirror %s on the bridge %s already, which is not ours: give "
                           "this one another --name",
                           name, wish->bridge);
    }
    if (n >= OVS_MIRRORS_MAX)
        return err_set(err, -ENOSPC,
                       "the bridge %s has %zu mirrors already, and Open vSwitch takes no more",
                       wish->bridge, n);
    return 0;
}

/* ---- sizes ---- */

/* The largest frame of the mirrored ports without its Ethernet header; 0: not known. */
static uint32_t largest_frame(const struct ovs *ovs, const struct ovs_wish *wish,
                              const json_t *bridge, const char **out_port)
{
    const json_t *port, *interface;
    uint32_t largest = 0;
    for (size_t i = 0; (port = ovs_port_of(ovs, bridge, i)); i++) {
        if (json_array_size(wish->ports) > 0 ? !ovs_list_has(wish->ports, ovs_name(port))
                                             : ovs_mark(port) != NULL)
            continue;
        for (size_t j = 0; (interface = ovs_interface_of(ovs, port, j)); j++) {
            int64_t mtu;
            if (ovsdb_number(ovs_get(interface, "mtu"), &mtu) && mtu > largest && mtu <= 65535) {
                largest = (uint32_t)mtu;
                *out_port = ovs_name(port);
            }
        }
    }
    return largest;
}

static void remark_sizes(const struct ovs *ovs, const struct ovs_wish *wish, const json_t *bridge,
                         const struct ovs_way *way, struct text *remarks)
{
    const char *datapath = ovsdb_text(ovs_get(bridge, "datapath_type")), *port = "";
    bool netdev = datapath && strcmp(datapath, "netdev") == 0;
    uint32_t overhead = mirror_wrap_overhead(wish->to.wrap, !addr_is_v4(&wish->to.addr));
    uint32_t largest = largest_frame(ovs, wish, bridge, &port);
    if (wish->snap && netdev)
        text_format(
            remarks,
            "the bridge %s works in user space, where --snap cuts the outer packet: sockets "
            "at the collector never see it, so let watch read the interface there (-i)\n",
            wish->bridge);
    if (!way->mtu || !largest || wish->snap || largest + overhead <= way->mtu)
        return;
    text_format(
        remarks,
        "packets of more than %u bytes are not mirrored: %s takes %u at %s, with the tunnel "
        "that is %u, and %s lets %u pass, unfragmented; give %s a larger MTU, or the "
        "machines a smaller one\n",
        way->mtu - overhead, port, largest, wish->bridge, largest + overhead, way->interface,
        way->mtu, way->interface);
}

/* ---- the object ---- */

static json_t *ports_of(const struct ovs_wish *wish, int direction)
{
    bool is = !wish->direction || (wish->direction & direction) != 0;
    return is && wish->ports ? json_deep_copy(wish->ports) : json_array();
}

static json_t *new_object(const struct ovs_wish *wish)
{
    /* OUT: what the machine sends, and the switch receives: its source. */
    return json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:i, s:s, s:i, s:s, s:s, s:i, s:[]}", "bridge", wish->bridge,
        "select_all", json_array_size(wish->ports) == 0, "select_src_port", ports_of(wish, OVS_OUT),
        "select_dst_port", ports_of(wish, OVS_IN), "select_vlan",
        wish->vlans ? json_deep_copy(wish->vlans) : json_array(), "snaplen", (int)wish->snap,
        "output_port", "", "output_vlan", 0, "type", "", "vlan_mode", "", "tag", 0, "leftovers");
}

int ovs_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    struct ovs *ovs = job->state;
    struct ovs_way way = {0};
    const json_t *bridge = NULL;
    json_t *is = NULL;
    bool running = true;
    int result = ovs_look(ovs, err);
    if (result == 0)
        result = find_bridge(ovs, wish->bridge, &bridge, err);
    if (result == 0)
        result = check_names(ovs, job, bridge, err);
    if (result == 0)
        result = check_ports(ovs, wish, bridge, err);
    if (result == 0) {
        is = new_object(wish);
        result = is ? set_output(ovs, job, bridge, is, remarks, err)
                    : err_set(err, -ENOMEM, "out of memory");
    }
    if (result == 0 && types[wish->to.wrap])
        result = ovs_check_way(ovs, wish, bridge, &way, remarks, err);
    if (result == 0)
        result = ovs_is_running(ovs, &running, err);
    if (result < 0) {
        json_decref(is);
        return result;
    }
    remark_sizes(ovs, wish, bridge, &way, remarks);
    if (!running)
        text_put(remarks, "ovs-vswitchd is not running: nothing is mirrored until it does\n");
    struct mirror_object *object = mirror_set_add(out, "mirror", wish->bridge, is);
    mirror_object_why(object, "%s",
                      wish->direction == OVS_IN    ? "copies what the machines receive"
                      : wish->direction == OVS_OUT ? "copies what the machines send"
                                                   : "copies what the machines send and receive");
    return 0;
}
