/* A mirror of Open vSwitch in words, as commands, and as sources for `watch`: see ovs.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "mirror/ovs.h"

static int64_t number_of(const json_t *is, const char *name)
{
    return json_integer_value(json_object_get(is, name));
}

static void put_list(const json_t *list, const char *between, struct text *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        text_put(out, i ? between : "");
        if (json_is_integer(one))
            text_format(out, "%" PRId64, (int64_t)json_integer_value(one));
        else
            text_put(out, json_string_value(one));
    }
}

/* ---- words ---- */

static void describe_ports(const json_t *is, struct text *out)
{
    const json_t *from = json_object_get(is, "select_src_port");
    const json_t *to = json_object_get(is, "select_dst_port");
    const json_t *vlans = json_object_get(is, "select_vlan");
    if (json_is_true(json_object_get(is, "select_all"))) {
        text_put(out, "all ports");
    } else if (json_equal(from, to)) {
        put_list(from, ", ", out);
    } else {
        text_put(out, json_array_size(from) ? "what comes from " : "");
        put_list(from, ", ", out);
        text_put(out, json_array_size(to)
                          ? json_array_size(from) ? ", what goes to " : "what goes to "
                          : "");
        put_list(to, ", ", out);
    }
    if (json_array_size(vlans) > 0) {
        text_put(out, " in VLAN ");
        put_list(vlans, ", ", out);
    }
}

void ovs_describe(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is;
    const char *type = mirror_text(is, "type"), *key = mirror_text(is, "options:key");
    const char *output = mirror_text(is, "output_port"),
               *version = mirror_text(is, "options:erspan_ver");
    if (!json_object_get(is, "output_port")) {
        text_format(out, "what is left of a mirror of the bridge %s", mirror_text(is, "bridge"));
        return;
    }
    text_format(out, "mirror of the bridge %s: ", mirror_text(is, "bridge"));
    describe_ports(is, out);
    if (type[0]) {
        bool erspan = strcmp(type, "erspan") == 0;
        const char *port = mirror_text(is, "options:dst_port");
        text_format(out, "; by %s%s to %s%s%s", type,
                    !erspan                     ? ""
                    : strcmp(version, "2") == 0 ? " type III"
                                                : " type II",
                    mirror_text(is, "options:remote_ip"), port[0] ? ", port " : "", port);
        text_format(out, "%s%s, out of %s",
                    !key[0]                    ? ""
                    : erspan                   ? ", session "
                    : strcmp(type, "gre") == 0 ? ", key "
                                               : ", VNI ",
                    key, output);
    } else if (output[0]) {
        text_format(out, "; out of the port %s", output);
    } else if (number_of(is, "output_vlan")) {
        text_format(out, "; into VLAN %" PRId64, number_of(is, "output_vlan"));
    } else {
        text_put(out, "; its output is gone");
    }
    if (number_of(is, "snaplen"))
        text_format(out, ", %" PRId64 " bytes of each frame", number_of(is, "snaplen"));
}

/* ---- commands ---- */

static void put_vsctl(const struct mirror_job *job, struct text *out)
{
    const struct ovs_wish *wish = job->wish;
    text_put(out, "ovs-vsctl --timeout=10");
    if (wish && wish->where) {
        text_put(out, " --db=");
        text_shell(out, wish->where);
    }
}

/* " -- --id=@p0 get Port p-a …"; gives how many. */
static void put_gets(const json_t *names, struct text *out)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        text_format(out, " -- --id=@p%zu get Port ", i);
        text_shell(out, json_string_value(json_array_get(names, i)));
    }
}

static void put_references(const char *column, const json_t *all, const json_t *names,
                           struct text *out)
{
    bool first = true;
    for (size_t i = 0; i < json_array_size(all); i++) {
        const char *name = json_string_value(json_array_get(all, i));
        if (!name || !ovs_list_has(names, name))
            continue;
        text_format(out, "%s%s@p%zu", first ? " " : ",", first ? column : "", i);
        first = false;
    }
}

static void put_tunnel(const json_t *is, const char *mirror, struct text *out)
{
    const char *name;
    json_t *value;
    text_put(out, " -- add-port ");
    text_shell(out, mirror_text(is, "bridge"));
    text_format(out, " %s -- set Interface %s type=%s", mirror_text(is, "output_port"),
                mirror_text(is, "output_port"), mirror_text(is, "type"));
    json_object_foreach((json_t *)(uintptr_t)is, name, value)
    {
        if (strncmp(name, "options:", 8) != 0 || !json_is_string(value))
            continue;
        char both[128];
        /* Quotes of the database's own around what has colons. */
        bool colon = strchr(json_string_value(value), ':') != NULL;
        (void)snprintf(both, sizeof both, colon ? "%s=\"%s\"" : "%s=%s", name,
                       json_string_value(value));
        text_put(out, " ");
        text_shell(out, both);
    }
    text_format(out, " external_ids:" OVS_MARK "=%s -- set Port %s external_ids:" OVS_MARK "=%s",
                mirror, mirror_text(is, "output_port"), mirror);
    if (mirror_text(is, "vlan_mode")[0])
        text_format(out, " vlan_mode=%s tag=%" PRId64, mirror_text(is, "vlan_mode"),
                    number_of(is, "tag"));
}

static void put_make(const struct mirror_job *job, const json_t *is, struct text *out)
{
    const json_t *from = json_object_get(is, "select_src_port");
    const json_t *to = json_object_get(is, "select_dst_port");
    const json_t *all = json_array_size(from) ? from : to;
    char name[OVS_NAME_MAX];
    ovs_put_port_name(job->name, name);
    put_vsctl(job, out);
    if (mirror_text(is, "type")[0])
        put_tunnel(is, job->name, out);
    put_gets(all, out);
    if (mirror_text(is, "output_port")[0]) {
        text_put(out, " -- --id=@out get Port ");
        text_shell(out, mirror_text(is, "output_port"));
    }
    text_format(out, " -- --id=@m create Mirror name=%s external_ids:" OVS_MARK "=%s", name,
                job->name);
    if (json_is_true(json_object_get(is, "select_all")))
        text_put(out, " select_all=true");
    put_references("select_src_port=", all, from, out);
    put_references("select_dst_port=", all, to, out);
    if (json_array_size(json_object_get(is, "select_vlan")) > 0) {
        text_put(out, " select_vlan=");
        put_list(json_object_get(is, "select_vlan"), ",", out);
    }
    if (mirror_text(is, "output_port")[0])
        text_put(out, " output_port=@out");
    else
        text_format(out, " output_vlan=%" PRId64, number_of(is, "output_vlan"));
    if (number_of(is, "snaplen"))
        text_format(out, " snaplen=%" PRId64, number_of(is, "snaplen"));
    text_put(out, " -- add Bridge ");
    text_shell(out, mirror_text(is, "bridge"));
    text_put(out, " mirrors @m\n");
}

void ovs_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out)
{
    const json_t *is = object->is;
    bool tunnel = mirror_text(is, "type")[0] != '\0';
    char name[OVS_NAME_MAX];
    ovs_put_port_name(job->name, name);
    if (unmake) {
        put_vsctl(job, out);
        text_format(out, " -- --id=@m get Mirror %s -- remove Bridge ", name);
        text_shell(out, mirror_text(is, "bridge"));
        text_put(out, " mirrors @m");
        if (tunnel)
            text_format(out, " -- del-port %s", mirror_text(is, "output_port"));
        text_put(out, "\n");
    } else {
        put_make(job, is, out);
    }
    /* A port that comes and goes: see ovs.h. */
    if (!tunnel) {
        char nudge[OVS_NAME_MAX];
        ovs_put_nudge_name(job->name, nudge);
        put_vsctl(job, out);
        text_put(out, " add-port ");
        text_shell(out, mirror_text(is, "bridge"));
        text_format(out, " %s -- set Interface %s type=patch options:peer=%s-none\n", nudge, nudge,
                    nudge);
        put_vsctl(job, out);
        text_format(out, " del-port %s\n", nudge);
    }
}

/* ---- sources ---- */

static const char *channel_kind(int wrap)
{
    return wrap == MIRROR_ERSPAN2 || wrap == MIRROR_ERSPAN3 ? "erspan" : mirror_wrap_name(wrap);
}

/* "erspan:101@10.9.0.1" */
static void put_channel(const struct ovs_wish *wish, char *out, size_t size)
{
    struct linux_route route;
    char id[16] = "", from[ADDR_TEXT_MAX + 2] = "";
    if (wish->has_id)
        (void)snprintf(id, sizeof id, ":%u", wish->id);
    /* Without a route, any sender will do. */
    if ((!wish->where || strncmp(wish->where, "unix:", 5) == 0) &&
        linux_route_to(&wish->to.addr, &route, NULL) == 0) {
        char text[ADDR_TEXT_MAX + 1];
        text[addr_format(&route.source, text)] = '\0';
        (void)snprintf(from, sizeof from, "@%s", text);
    }
    (void)snprintf(out, size, "%s%s%s", channel_kind(wish->to.wrap), id, from);
}

static void put_source(const struct mirror_job *job, const char *name, struct mirror_source *out)
{
    const struct ovs_wish *wish = job->wish;
    (void)snprintf(out->name, sizeof out->name, "%s", name);
    (void)snprintf(out->network, sizeof out->network, "%s", job->network);
    out->filtered = json_array_size(wish->vlans) > 0;
    out->truncate = wish->snap;
    (void)snprintf(out->direction, sizeof out->direction, "%s",
                   wish->direction == OVS_IN    ? "in"
                   : wish->direction == OVS_OUT ? "out"
                                                : "both");
    out->collector[addr_format(&wish->to.addr, out->collector)] = '\0';
}

/* What the cloud's agent, or libvirt's, wrote down of the machine at the port; NULL: nothing. */
static const char *mac_of(const struct ovs *ovs, const char *port)
{
    const json_t *interface = ovs_interface_of(ovs, ovs_by_name(ovs, OVS_PORT, port), 0);
    const char *mac = ovsdb_map_text(ovs_get(interface, "external_ids"), "attached-mac");
    return mac && strlen(mac) == 17 && strspn(mac, "0123456789abcdefABCDEF:") == 17 ? mac : NULL;
}

/* Several machines share the mirror's channel: told apart by their MAC addresses where all of them
 * are known, else they are one source. */
int ovs_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    size_t n = json_array_size(wish->ports), n_known = 0;
    struct mirror_sources sources = {0};
    if (wish->to.wrap == MIRROR_PORT || wish->to.wrap == MIRROR_VLAN || wanted->n == 0) {
        *out = sources; /* whoever listens there knows by which interface */
        return 0;
    }
    sources.at = calloc(n + 1, sizeof *sources.at);
    if (!sources.at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++)
        n_known += mac_of(job->state, json_string_value(json_array_get(wish->ports, i))) != NULL;
    if (n > 1 && n_known == n) {
        for (; sources.n < n; sources.n++) {
            struct mirror_source *source = &sources.at[sources.n];
            const char *port = json_string_value(json_array_get(wish->ports, sources.n));
            put_source(job, port, source);
            (void)snprintf(source->macs[0], sizeof source->macs[0], "%s", mac_of(job->state, port));
        }
    } else {
        put_source(job, job->machine, sources.at);
        put_channel(wish, sources.at->channels[0], MIRROR_CHANNEL_MAX);
        sources.n = 1;
    }
    *out = sources;
    return 0;
}
