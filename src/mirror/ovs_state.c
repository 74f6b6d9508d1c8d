/* What Open vSwitch's database says: see ovs.h, and ovs-vswitchd.conf.db(5) for its tables. */
#include <stdlib.h>
#include <string.h>

#include "mirror/ovs.h"

#define N_COLUMNS_MAX 16

static const struct {
    const char *name;
    const char *columns[N_COLUMNS_MAX]; /* those that its version lacks are not asked for */
} tables[OVS_N_TABLES] = {
    [OVS_ROOT] = {"Open_vSwitch", {"_uuid", "cur_cfg", "next_cfg", "iface_types", "other_config"}},
    [OVS_BRIDGE] = {"Bridge", {"_uuid", "name", "datapath_type", "ports", "mirrors"}},
    [OVS_PORT] = {"Port", {"_uuid", "name", "interfaces", "tag", "vlan_mode", "external_ids"}},
    [OVS_INTERFACE] = {"Interface",
                       {"_uuid", "name", "type", "options", "ofport", "error", "mtu",
                        "external_ids", "link_state", "statistics", "status"}},
    [OVS_MIRROR] = {"Mirror",
                    {"_uuid", "name", "select_all", "select_src_port", "select_dst_port",
                     "select_vlan", "output_port", "output_vlan", "snaplen", "statistics",
                     "external_ids"}},
};

int ovs_look(struct ovs *ovs, struct err *err)
{
    struct ovsdb_transaction t;
    ovsdb_begin(&t);
    for (int i = 0; i < OVS_N_TABLES; i++) {
        const char *columns[N_COLUMNS_MAX + 1] = {0};
        for (size_t j = 0, n = 0; tables[i].columns[j]; j++) {
            bool has = tables[i].columns[j][0] == '_';
            int result =
                has ? 0
                    : ovsdb_has_column(ovs->db, tables[i].name, tables[i].columns[j], &has, err);
            if (result < 0) {
                ovsdb_cancel(&t);
                return result;
            }
            if (has)
                columns[n++] = tables[i].columns[j];
        }
        ovsdb_select(&t, tables[i].name, json_array(), columns);
    }
    json_t *rows = NULL;
    int result = ovsdb_commit(ovs->db, &t, &rows, err);
    if (result < 0)
        return result;
    json_decref(ovs->rows);
    ovs->rows = rows;
    return 0;
}

const json_t *ovs_row(const struct ovs *ovs, enum ovs_table table, size_t i)
{
    return ovsdb_row(ovs->rows, table, i);
}

const json_t *ovs_get(const json_t *row, const char *column)
{
    return json_object_get(row, column);
}

const char *ovs_uuid(const json_t *row)
{
    const char *uuid = ovsdb_uuid(ovs_get(row, "_uuid"));
    return uuid ? uuid : "";
}

const char *ovs_name(const json_t *row)
{
    const char *name = ovsdb_text(ovs_get(row, "name"));
    return name ? name : "";
}

const char *ovs_mark(const json_t *row)
{
    return ovsdb_map_text(ovs_get(row, "external_ids"), OVS_MARK);
}

bool ovs_is_ours(const json_t *row, const char *mirror)
{
    const char *name = ovs_mark(row);
    return name && strcmp(name, mirror) == 0;
}

const json_t *ovs_by_uuid(const struct ovs *ovs, enum ovs_table table, const char *uuid)
{
    const json_t *row;
    for (size_t i = 0; uuid && (row = ovs_row(ovs, table, i)); i++)
        if (strcmp(ovs_uuid(row), uuid) == 0)
            return row;
    return NULL;
}

const json_t *ovs_by_name(const struct ovs *ovs, enum ovs_table table, const char *name)
{
    const json_t *row;
    for (size_t i = 0; (row = ovs_row(ovs, table, i)); i++)
        if (strcmp(ovs_name(row), name) == 0)
            return row;
    return NULL;
}

bool ovs_is_on(const json_t *bridge, const json_t *port)
{
    return ovsdb_has(ovs_get(bridge, "ports"), ovs_get(port, "_uuid"));
}

const json_t *ovs_bridge_of(const struct ovs *ovs, const json_t *port)
{
    const json_t *bridge;
    for (size_t i = 0; (bridge = ovs_row(ovs, OVS_BRIDGE, i)); i++)
        if (ovs_is_on(bridge, port))
            return bridge;
    return NULL;
}

static const json_t *referred(const struct ovs *ovs, enum ovs_table table, const json_t *references,
                              size_t i)
{
    return i < ovsdb_n(references) ? ovs_by_uuid(ovs, table, ovsdb_uuid(ovsdb_at(references, i)))
                                   : NULL;
}

const json_t *ovs_mirror_of(const struct ovs *ovs, const json_t *bridge, size_t i)
{
    return referred(ovs, OVS_MIRROR, ovs_get(bridge, "mirrors"), i);
}

const json_t *ovs_port_of(const struct ovs *ovs, const json_t *bridge, size_t i)
{
    return referred(ovs, OVS_PORT, ovs_get(bridge, "ports"), i);
}

const json_t *ovs_interface_of(const struct ovs *ovs, const json_t *port, size_t i)
{
    return referred(ovs, OVS_INTERFACE, ovs_get(port, "interfaces"), i);
}

/* ---- lists ---- */

static int order(const void *a, const void *b)
{
    const json_t *const *one = a, *const *other = b;
    if (json_is_integer(*one) && json_is_integer(*other)) {
        json_int_t x = json_integer_value(*one), y = json_integer_value(*other);
        return (x > y) - (x < y);
    }
    const char *x = json_string_value(*one), *y = json_string_value(*other);
    return strcmp(x ? x : "", y ? y : "");
}

json_t *ovs_sorted(json_t *array)
{
    size_t n = json_array_size(array);
    json_t **at = calloc(n + 1, sizeof(json_t *));
    json_t *out = at ? json_array() : NULL;
    for (size_t i = 0; at && i < n; i++)
        at[i] = json_array_get(array, i);
    if (at)
        qsort(at, n, sizeof(json_t *), order);
    for (size_t i = 0; out && i < n; i++)
        if ((i == 0 || !json_equal(at[i], at[i - 1])) && json_array_append(out, at[i]) < 0) {
            json_decref(out);
            out = NULL;
        }
    free(at);
    json_decref(array);
    return out;
}

json_t *ovs_names_of(const struct ovs *ovs, enum ovs_table table, const json_t *references)
{
    json_t *names = json_array();
    for (size_t i = 0; i < ovsdb_n(references); i++) {
        const json_t *row = referred(ovs, table, references, i);
        if (names && row && json_array_append_new(names, json_string(ovs_name(row))) < 0) {
            json_decref(names);
            return NULL;
        }
    }
    return names ? ovs_sorted(names) : NULL;
}

bool ovs_list_has(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *one = json_string_value(json_array_get(names, i));
        if (one && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

/* ---- counters ---- */

/* False: none of its interfaces has been counted yet. */
static bool count_port(const struct ovs *ovs, const json_t *port, const char *counter,
                       uint64_t *out)
{
    bool known = false;
    const json_t *interface;
    *out = 0;
    for (size_t i = 0; (interface = ovs_interface_of(ovs, port, i)); i++) {
        int64_t n;
        if (ovsdb_map_number(ovs_get(interface, "statistics"), counter, &n) && n >= 0) {
            *out += (uint64_t)n;
            known = true;
        }
    }
    return known;
}

bool ovs_count_seen(const struct ovs *ovs, const json_t *bridge, const json_t *is,
                    struct ovs_seen *out)
{
    const json_t *sources = json_object_get(is, "select_src_port");
    const json_t *targets = json_object_get(is, "select_dst_port"), *port;
    bool all = json_is_true(json_object_get(is, "select_all")), known = false;
    struct ovs_seen seen = {0};
    uint64_t received = 0, most_sent = 0, n;
    if (json_array_size(json_object_get(is, "select_vlan")) > 0)
        return false; /* nobody counts by VLAN */
    for (size_t i = 0; (port = ovs_port_of(ovs, bridge, i)); i++) {
        if (ovs_mark(port))
            continue;
        /* Of all ports: each packet comes in once. */
        if ((all || ovs_list_has(sources, ovs_name(port))) &&
            count_port(ovs, port, "rx_packets", &n)) {
            known = true;
            received += n;
        }
        if (!all && ovs_list_has(targets, ovs_name(port)) &&
            count_port(ovs, port, "tx_packets", &n)) {
            known = true;
            seen.n += n;
            most_sent = n > most_sent ? n : most_sent;
        }
    }
    seen.n += received;
    seen.least = received > most_sent ? received : most_sent;
    *out = seen;
    return known;
}
