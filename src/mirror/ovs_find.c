/* What there is of a mirror in Open vSwitch, found by its marks: see ovs.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mirror/ovs.h"

/* ---- finding ---- */

const json_t *ovs_our_mirror(const struct ovs *ovs, const json_t *bridge, const char *mirror)
{
    const json_t *row;
    for (size_t i = 0; (row = ovs_mirror_of(ovs, bridge, i)); i++)
        if (ovs_is_ours(row, mirror))
            return row;
    return NULL;
}

static bool set_options(json_t *is, const json_t *options)
{
    const json_t *value;
    const char *key;
    bool ok = true;
    for (size_t i = 0; ok && ovsdb_map_at(options, i, &key, &value); i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "options:%.60s", key);
        ok = json_object_set_new(is, name, json_deep_copy(value)) == 0;
    }
    return ok;
}

static json_t *numbers_of(const json_t *set)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < ovsdb_n(set); i++)
        if (json_array_append_new(array, json_deep_copy(ovsdb_at(set, i))) < 0) {
            json_decref(array);
            return NULL;
        }
    return ovs_sorted(array);
}

static int64_t number_of(const json_t *row, const char *column)
{
    int64_t n = 0;
    return ovsdb_number(ovs_get(row, column), &n) ? n : 0;
}

/* The mirror itself; without one, only its bridge is known. */
json_t *ovs_object_of(const struct ovs *ovs, const json_t *bridge, const json_t *mirror)
{
    if (!mirror)
        return json_pack("{s:s}", "bridge", ovs_name(bridge));
    const json_t *output = ovs_by_uuid(ovs, OVS_PORT, ovsdb_uuid(ovs_get(mirror, "output_port")));
    return json_pack(
        "{s:s, s:b, s:o, s:o, s:o, s:I, s:s, s:I, s:s, s:s, s:i}", "bridge", ovs_name(bridge),
        "select_all", ovsdb_true(ovs_get(mirror, "select_all")), "select_src_port",
        ovs_names_of(ovs, OVS_PORT, ovs_get(mirror, "select_src_port")), "select_dst_port",
        ovs_names_of(ovs, OVS_PORT, ovs_get(mirror, "select_dst_port")), "select_vlan",
        numbers_of(ovs_get(mirror, "select_vlan")), "snaplen",
        (json_int_t)number_of(mirror, "snaplen"), "output_port", ovs_name(output), "output_vlan",
        (json_int_t)number_of(mirror, "output_vlan"), "type", "", "vlan_mode", "", "tag", 0);
}

/* The tunnel, and what else is ours on the bridge. */
static bool add_ports(const struct ovs *ovs, const json_t *bridge, const char *mirror, json_t *is,
                      bool *out_any)
{
    const char *output = json_string_value(json_object_get(is, "output_port"));
    json_t *leftovers = json_array();
    const json_t *port;
    bool ok = leftovers != NULL;
    for (size_t i = 0; ok && (port = ovs_port_of(ovs, bridge, i)); i++) {
        if (!ovs_is_ours(port, mirror))
            continue;
        *out_any = true;
        if (!output || strcmp(output, ovs_name(port)) != 0) {
            ok = json_array_append_new(leftovers, json_string(ovs_name(port))) == 0;
            continue;
        }
        const json_t *interface = ovs_interface_of(ovs, port, 0);
        const char *type = ovsdb_text(ovs_get(interface, "type"));
        const char *mode = ovsdb_text(ovs_get(port, "vlan_mode"));
        ok = json_object_set_new(is, "type", json_string(type ? type : "")) == 0 &&
             json_object_set_new(is, "vlan_mode", json_string(mode ? mode : "")) == 0 &&
             json_object_set_new(is, "tag", json_integer(number_of(port, "tag"))) == 0 &&
             set_options(is, ovs_get(interface, "options"));
    }
    return json_object_set_new(is, "leftovers", ovs_sorted(leftovers)) == 0 && ok;
}

int ovs_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct ovs *ovs = job->state;
    const json_t *bridge;
    int result = ovs_look(ovs, err);
    if (result < 0)
        return result;
    for (size_t i = 0; (bridge = ovs_row(ovs, OVS_BRIDGE, i)); i++) {
        const json_t *mirror = ovs_our_mirror(ovs, bridge, job->name);
        json_t *is = ovs_object_of(ovs, bridge, mirror);
        bool any = mirror != NULL;
        if (!is || !add_ports(ovs, bridge, job->name, is, &any)) {
            json_decref(is);
            return err_set(err, -ENOMEM, "out of memory");
        }
        if (any)
            (void)mirror_set_add(out, "mirror", ovs_name(bridge), is); /* the set says it failed */
        else
            json_decref(is);
    }
    return 0;
}

/* What others may have written there names no file of ours. */
static bool is_name(const char *mark)
{
    size_t len = strlen(mark);
    return len > 0 && len < MIRROR_NAME_MAX && mark[0] != '-' && mark[0] != '.' &&
           strspn(mark, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == len;
}

int ovs_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n, struct err *err)
{
    static const enum ovs_table marked[] = {OVS_MIRROR, OVS_PORT};
    struct ovs *ovs = job->state;
    char(*names)[MIRROR_NAME_MAX] = NULL;
    size_t n = 0, capacity = 0;
    int result = ovs_look(ovs, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < sizeof marked / sizeof marked[0]; i++) {
        const json_t *row;
        for (size_t j = 0; (row = ovs_row(ovs, marked[i], j)); j++) {
            const char *name = ovs_mark(row);
            bool is_new = name && is_name(name);
            for (size_t k = 0; is_new && k < n; k++)
                is_new = strcmp(names[k], name) != 0;
            if (!is_new)
                continue;
            if (n == capacity) {
                char(*more)[MIRROR_NAME_MAX] = realloc(names, (n + 16) * sizeof *names);
                if (!more) {
                    free(names);
                    return err_set(err, -ENOMEM, "out of memory");
                }
                names = more;
                capacity = n + 16;
            }
            (void)snprintf(names[n++], MIRROR_NAME_MAX, "%s", name);
        }
    }
    *out = names;
    *out_n = n;
    return 0;
}
