/* Transactions that make, change and unmake a mirror: see ovs.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mirror/ovs.h"

#define APPLY_NS ((int64_t)10 * 1000000000) /* until ovs-vswitchd has taken a change over */
#define POLL_NS  20000000

int ovs_is_running(const struct ovs *ovs, bool *out, struct err *err)
{
    return ovsdb_lock_is_held(ovs->db, "ovs_vswitchd", out, err);
}

/* ---- telling ovs-vswitchd, and waiting for it ---- */

/* As ovs-vsctl does: the number that ovs-vswitchd repeats when it has done all this. */
static void ask_for_config(struct ovsdb_transaction *t)
{
    static const char *const columns[] = {"next_cfg", NULL};
    ovsdb_mutate(t, "Open_vSwitch", json_array(), "next_cfg", "+=", json_integer(1));
    ovsdb_select(t, "Open_vSwitch", json_array(), columns);
}

static int commit_config(const struct ovs *ovs, struct ovsdb_transaction *t, int64_t *out_config,
                         struct err *err)
{
    json_t *results = NULL;
    ask_for_config(t);
    int result = ovsdb_commit(ovs->db, t, &results, err);
    if (result < 0)
        return result;
    const json_t *row = ovsdb_row(results, json_array_size(results) - 1, 0);
    if (!ovsdb_number(ovs_get(row, "next_cfg"), out_config))
        result =
            err_set(err, -EPROTO, "Open vSwitch's database is empty: has ovs-vswitchd ever run?");
    json_decref(results);
    return result;
}

/* Has looked again when it is done. */
static int wait_for_config(struct ovs *ovs, int64_t config, struct err *err)
{
    static const char *const columns[] = {"cur_cfg", NULL};
    int64_t deadline = clock_ticks() + APPLY_NS, current = -1;
    struct timespec pause = {0, POLL_NS};
    for (;;) {
        struct ovsdb_transaction t;
        json_t *results = NULL;
        ovsdb_begin(&t);
        ovsdb_select(&t, "Open_vSwitch", json_array(), columns);
        int result = ovsdb_commit(ovs->db, &t, &results, err);
        bool done = result == 0 &&
                    ovsdb_number(ovs_get(ovsdb_row(results, 0, 0), "cur_cfg"), &current) &&
                    current >= config;
        json_decref(results);
        if (result < 0)
            return result;
        if (done)
            return ovs_look(ovs, err);
        if (clock_ticks() > deadline)
            return err_set(err, -ETIMEDOUT,
                           "ovs-vswitchd has not taken the change over within %d s: it is stopped "
                           "or overloaded",
                           (int)(APPLY_NS / 1000000000));
        (void)nanosleep(&pause, NULL);
    }
}

/* Looks when ovs-vswitchd has done all that it was told before: of two changes that it takes over
 * at once it sees only the sum, so that a port that came and went has not been there. */
static int catch_up(struct ovs *ovs, struct err *err)
{
    int64_t next;
    int result = ovs_look(ovs, err);
    if (result < 0 || !ovsdb_number(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "next_cfg"), &next))
        return result;
    return wait_for_config(ovs, next, err);
}

/* ---- rows ---- */

static json_t *mark(const char *mirror)
{
    return ovsdb_new_map(json_pack("{s:s}", OVS_MARK, mirror));
}

/* {"options:key": "101", …} as a map of the database. */
static json_t *options_of(const json_t *is)
{
    static const char prefix[] = "options:";
    json_t *options = json_object(), *value;
    const char *name;
    bool failed = !options;
    json_object_foreach((json_t *)(uintptr_t)is, name, value)
    {
        if (!failed && strncmp(name, prefix, strlen(prefix)) == 0)
            failed = json_object_set(options, name + strlen(prefix), value) < 0;
    }
    if (failed) {
        json_decref(options);
        return NULL;
    }
    return ovsdb_new_map(options);
}

/* A set of the ports' rows; each has to be what it was when we looked. */
static json_t *ports_of(const struct ovs *ovs, struct ovsdb_transaction *t, const json_t *names)
{
    static const char *const columns[] = {"name", NULL};
    json_t *rows = json_array();
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const json_t *port = name ? ovs_by_name(ovs, OVS_PORT, name) : NULL;
        if (!port)
            continue; /* of an earlier configuration that is put back */
        ovsdb_expect(t, "Port", ovsdb_where_uuid(ovs_uuid(port)),
                     json_pack("[{s:s}]", "name", name), columns);
        if (rows && json_array_append_new(rows, ovsdb_new_uuid(ovs_uuid(port))) < 0) {
            json_decref(rows);
            rows = NULL;
        }
    }
    return ovsdb_new_set(rows);
}

/* What is ours on the bridge. */
struct ours {
    const json_t *tunnel;     /* the port of the wanted name; NULL: there is none */
    json_t *mirrors, *others; /* arrays of ["uuid", …] */
};

static void ours_done(struct ours *ours)
{
    json_decref(ours->mirrors);
    json_decref(ours->others);
}

/* `tunnel`: the name of the port that is wanted, or "". */
static int find_ours(const struct ovs *ovs, const json_t *bridge, const char *mirror,
                     const char *tunnel, struct ours *out, struct err *err)
{
    struct ours ours = {.mirrors = json_array(), .others = json_array()};
    const json_t *row;
    bool ok = ours.mirrors && ours.others;
    for (size_t i = 0; ok && (row = ovs_mirror_of(ovs, bridge, i)); i++) {
        if (!ovs_is_ours(row, mirror))
            continue;
        ok = json_array_append_new(ours.mirrors, ovsdb_new_uuid(ovs_uuid(row))) == 0;
    }
    for (size_t i = 0; ok && (row = ovs_port_of(ovs, bridge, i)); i++) {
        if (!ovs_is_ours(row, mirror))
            continue;
        if (strcmp(ovs_name(row), tunnel) == 0)
            ours.tunnel = row;
        else
            ok = json_array_append_new(ours.others, ovsdb_new_uuid(ovs_uuid(row))) == 0;
    }
    if (!ok) {
        ours_done(&ours);
        return err_set(err, -ENOMEM, "out of memory");
    }
    *out = ours;
    return 0;
}

static void take_off(struct ovsdb_transaction *t, const json_t *bridge, const char *column,
                     json_t *rows)
{
    if (json_array_size(rows) > 0)
        ovsdb_mutate(t, "Bridge", ovsdb_where_uuid(ovs_uuid(bridge)), column, "delete",
                     ovsdb_new_set(json_incref(rows)));
}

/* A new port with one interface, on the bridge. `row`: its further columns. `id` is what this
 * transaction calls it. */
static void add_port(struct ovsdb_transaction *t, const json_t *bridge, const char *mirror,
                     const char *name, json_t *row, const char *type, json_t *options,
                     const char *id)
{
    static const char *const columns[] = {"name", NULL};
    char interface[32];
    (void)snprintf(interface, sizeof interface, "%s_interface", id);
    ovsdb_expect(t, "Port", ovsdb_where_is("name", json_string(name)), json_array(), columns);
    ovsdb_insert(t, "Interface",
                 json_pack("{s:s, s:s, s:o, s:o}", "name", name, "type", type, "options", options,
                           "external_ids", mark(mirror)),
                 interface);
    t->failed |= json_object_set_new(row, "name", json_string(name)) < 0 ||
                 json_object_set_new(row, "interfaces", ovsdb_named(interface)) < 0 ||
                 json_object_set_new(row, "external_ids", mark(mirror)) < 0;
    ovsdb_insert(t, "Port", row, id);
    ovsdb_mutate(t, "Bridge", ovsdb_where_uuid(ovs_uuid(bridge)), "ports", "insert",
                 ovsdb_new_set(json_pack("[o]", ovsdb_named(id))));
}

static void add_nudge(struct ovsdb_transaction *t, const json_t *bridge, const char *mirror)
{
    char name[OVS_NAME_MAX], peer[OVS_NAME_MAX + 8];
    ovs_put_nudge_name(mirror, name);
    (void)snprintf(peer, sizeof peer, "%s-none", name);
    add_port(t, bridge, mirror, name, json_object(), "patch",
             ovsdb_new_map(json_pack("{s:s}", "peer", peer)), "nudge");
}

/* Nobody renamed, or removed and made anew, the bridge since we looked. */
static void expect_bridge(struct ovsdb_transaction *t, const json_t *bridge)
{
    static const char *const columns[] = {"name", NULL};
    ovsdb_expect(t, "Bridge", ovsdb_where_uuid(ovs_uuid(bridge)),
                 json_pack("[{s:s}]", "name", ovs_name(bridge)), columns);
}

/* ---- the mirror ---- */

/* When, and what its ports had seen: "1700000000 12345 6789". */
static json_t *since(const struct ovs *ovs, const json_t *bridge, const json_t *is)
{
    char text[96];
    struct ovs_seen seen = {0};
    (void)ovs_count_seen(ovs, bridge, is, &seen); /* not known: as if nothing were */
    (void)snprintf(text, sizeof text, "%" PRId64 " %" PRIu64 " %" PRIu64, clock_now() / 1000000000,
                   seen.n, seen.least);
    return json_string(text);
}

static json_t *mirror_row(const struct ovs *ovs, struct ovsdb_transaction *t, const json_t *is,
                          json_t *output)
{
    int64_t vlan = json_integer_value(json_object_get(is, "output_vlan"));
    int64_t snap = json_integer_value(json_object_get(is, "snaplen"));
    json_t *vlans = json_deep_copy(json_object_get(is, "select_vlan"));
    return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "select_all",
                     json_is_true(json_object_get(is, "select_all")), "select_src_port",
                     ports_of(ovs, t, json_object_get(is, "select_src_port")), "select_dst_port",
                     ports_of(ovs, t, json_object_get(is, "select_dst_port")), "select_vlan",
                     ovsdb_new_set(vlans), "output_port",
                     output ? output : ovsdb_new_set(json_array()), "output_vlan",
                     vlan ? json_integer(vlan) : ovsdb_new_set(json_array()), "snaplen",
                     snap ? json_integer(snap) : ovsdb_new_set(json_array()));
}

/* A new row, also where one is replaced: it counts from 0 on, what the new one mirrors. */
static void put_mirror(const struct ovs *ovs, struct ovsdb_transaction *t, const json_t *bridge,
                       const char *name, const json_t *is, json_t *output)
{
    char row_name[OVS_NAME_MAX];
    json_t *row = mirror_row(ovs, t, is, output);
    ovs_put_port_name(name, row_name);
    json_t *ids = ovsdb_new_map(
        json_pack("{s:s, s:o}", OVS_MARK, name, OVS_MARK_SINCE, since(ovs, bridge, is)));
    t->failed |= json_object_set_new(row, "external_ids", ids) < 0 ||
                 json_object_set_new(row, "name", json_string(row_name)) < 0;
    ovsdb_insert(t, "Mirror", row, "mirror");
    ovsdb_mutate(t, "Bridge", ovsdb_where_uuid(ovs_uuid(bridge)), "mirrors", "insert",
                 ovsdb_new_set(json_pack("[o]", ovsdb_named("mirror"))));
}

/* The columns of its port. */
static json_t *tags_of(const json_t *is)
{
    const char *mode = mirror_text(is, "vlan_mode");
    json_t *tag = json_object_get(is, "tag");
    return json_pack("{s:o, s:o}", "vlan_mode",
                     mode[0] ? json_string(mode) : ovsdb_new_set(json_array()), "tag",
                     mode[0] ? json_incref(tag) : ovsdb_new_set(json_array()));
}

/* The tunnel's port, made or changed; gives what the mirror refers to. */
static json_t *put_tunnel(const struct ovs *ovs, struct ovsdb_transaction *t, const json_t *bridge,
                          const struct ours *ours, const char *mirror, const json_t *is)
{
    const char *type = mirror_text(is, "type"), *name = mirror_text(is, "output_port");
    if (!ours->tunnel) {
        add_port(t, bridge, mirror, name, tags_of(is), type, options_of(is), "tunnel");
        return ovsdb_named("tunnel");
    }
    ovsdb_update(t, "Interface", ovsdb_where_uuid(ovs_uuid(ovs_interface_of(ovs, ours->tunnel, 0))),
                 json_pack("{s:s, s:o}", "type", type, "options", options_of(is)));
    ovsdb_update(t, "Port", ovsdb_where_uuid(ovs_uuid(ours->tunnel)), tags_of(is));
    return ovsdb_new_uuid(ovs_uuid(ours->tunnel));
}

/* Open vSwitch's own words about a tunnel that it could not make. */
static int check_tunnel(const struct ovs *ovs, const json_t *is, struct err *err)
{
    const json_t *interface = ovs_by_name(ovs, OVS_INTERFACE, mirror_text(is, "output_port"));
    const char *error = ovsdb_text(ovs_get(interface, "error"));
    int64_t port = -1;
    if (ovsdb_number(ovs_get(interface, "ofport"), &port) && port >= 0 && !error)
        return 0;
    return err_set(err, -EIO, "Open vSwitch cannot make the %s tunnel: %.300s",
                   mirror_text(is, "type"),
                   error ? error : "it gave the port no number, and does not say why");
}

/* Takes nudges, and whatever else of ours is not wanted, off the bridge. */
static int drop_ports(struct ovs *ovs, const char *mirror, const char *bridge_name,
                      const char *wanted, struct err *err)
{
    const json_t *bridge = ovs_by_name(ovs, OVS_BRIDGE, bridge_name);
    struct ovsdb_transaction t;
    struct ours ours;
    int64_t config;
    if (!bridge)
        return 0;
    int result = find_ours(ovs, bridge, mirror, wanted, &ours, err);
    if (result < 0 || json_array_size(ours.others) == 0) {
        if (result == 0)
            ours_done(&ours);
        return result;
    }
    ovsdb_begin(&t);
    take_off(&t, bridge, "ports", ours.others);
    ours_done(&ours);
    result = commit_config(ovs, &t, &config, err);
    return result == 0 ? wait_for_config(ovs, config, err) : result;
}

/* That nothing was taken away since the plan was made. */
static int check_there(const struct ovs *ovs, const json_t *is, struct err *err)
{
    static const char *const lists[] = {"select_src_port", "select_dst_port"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *names = json_object_get(is, lists[i]);
        for (size_t j = 0; j < json_array_size(names); j++) {
            const char *name = json_string_value(json_array_get(names, j));
            if (name && !ovs_by_name(ovs, OVS_PORT, name))
                return err_set(err, -ENODEV, "the port %s is gone", name);
        }
    }
    const char *output = mirror_text(is, "output_port");
    if (output[0] && !mirror_text(is, "type")[0] && !ovs_by_name(ovs, OVS_PORT, output))
        return err_set(err, -ENODEV, "the port %s is gone", output);
    return 0;
}

/* All of it as `is` says, whatever there was before. `strict`: with all ports; else with those that
 * are there. */
static int put(struct mirror_job *job, const json_t *is, bool strict, struct err *err)
{
    struct ovs *ovs = job->state;
    const char *tunnel = mirror_text(is, "type")[0] ? mirror_text(is, "output_port") : "";
    const char *bridge_name = mirror_text(is, "bridge");
    struct ovsdb_transaction t;
    struct ours ours = {0};
    int64_t config = 0;
    int result = catch_up(ovs, err);
    const json_t *bridge = result == 0 ? ovs_by_name(ovs, OVS_BRIDGE, bridge_name) : NULL;
    if (result == 0 && !bridge)
        result = err_set(err, -ENODEV, "the bridge %s is gone", bridge_name);
    if (result == 0 && strict)
        result = check_there(ovs, is, err);
    if (result == 0)
        result = find_ours(ovs, bridge, job->name, tunnel, &ours, err);
    if (result < 0)
        return result;
    ovsdb_begin(&t);
    expect_bridge(&t, bridge);
    take_off(&t, bridge, "mirrors", ours.mirrors);
    take_off(&t, bridge, "ports", ours.others);
    json_t *output = NULL, *names = json_pack("[s]", mirror_text(is, "output_port"));
    if (tunnel[0])
        output = put_tunnel(ovs, &t, bridge, &ours, job->name, is);
    else if (mirror_text(is, "output_port")[0])
        output = ports_of(ovs, &t, names);
    json_decref(names);
    t.failed |= mirror_text(is, "output_port")[0] && !output;
    put_mirror(ovs, &t, bridge, job->name, is, output);
    /* A tunnel that comes, and a port that goes, are nudges as well. */
    if ((!tunnel[0] || ours.tunnel) && json_array_size(ours.others) == 0)
        add_nudge(&t, bridge, job->name);
    ours_done(&ours);
    result = commit_config(ovs, &t, &config, err);
    if (result == 0)
        result = wait_for_config(ovs, config, err);
    if (result == 0 && tunnel[0])
        result = check_tunnel(ovs, is, err);
    if (result == 0)
        result = drop_ports(ovs, job->name, bridge_name, tunnel, err);
    return result;
}

static int must_run(const struct ovs *ovs, struct err *err)
{
    bool running = false;
    int result = ovs_is_running(ovs, &running, err);
    if (result < 0 || running)
        return result;
    return err_set(err, -ESRCH,
                   "ovs-vswitchd is not running, so nothing would be mirrored: start "
                   "openvswitch-switch first");
}

/* ---- the provider's ---- */

/* Takes all that is ours off the bridge. `waits`: until ovs-vswitchd has done so, too. */
static int take_away(struct mirror_job *job, const char *bridge_name, bool waits, struct err *err)
{
    struct ovs *ovs = job->state;
    struct ovsdb_transaction t;
    struct ours ours = {0};
    int64_t config;
    int result = waits ? catch_up(ovs, err) : ovs_look(ovs, err);
    const json_t *bridge = result == 0 ? ovs_by_name(ovs, OVS_BRIDGE, bridge_name) : NULL;
    if (!bridge)
        return result; /* gone, with all that was on it */
    result = find_ours(ovs, bridge, job->name, "", &ours, err);
    if (result < 0)
        return result;
    bool has_mirrors = json_array_size(ours.mirrors) > 0;
    bool has_ports = json_array_size(ours.others) > 0;
    ovsdb_begin(&t);
    take_off(&t, bridge, "mirrors", ours.mirrors);
    take_off(&t, bridge, "ports", ours.others);
    ours_done(&ours);
    if (!has_mirrors && !has_ports) {
        ovsdb_cancel(&t);
        return 0;
    }
    if (!has_ports && waits)
        add_nudge(&t, bridge, job->name);
    result = commit_config(ovs, &t, &config, err);
    if (result < 0 || !waits)
        return result;
    result = wait_for_config(ovs, config, err);
    return result < 0 ? result : drop_ports(ovs, job->name, bridge_name, "", err);
}

int ovs_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    bool running = false;
    int result = ovs_is_running(job->state, &running, err);
    return result < 0 ? result : take_away(job, have->key, running, err);
}

int ovs_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct ovs *ovs = job->state;
    struct err other; /* the first one is told */
    int result = must_run(ovs, err);
    if (result < 0)
        return result;
    ovs->is_changed = true;
    result = put(job, want->is, true, err);
    if (result < 0)
        (void)!take_away(job, want->key, result != -ETIMEDOUT, &other);
    return result;
}

int ovs_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err)
{
    struct ovs *ovs = job->state;
    struct err other; /* the first one is told */
    int result = must_run(ovs, err);
    if (result < 0)
        return result;
    ovs->is_changed = true;
    result = put(job, want->is, true, err);
    if (result < 0 && json_object_get(have->is, "select_all"))
        (void)!put(job, have->is, false, &other);
    else if (result < 0) /* there were only remains */
        (void)!take_away(job, have->key, result != -ETIMEDOUT, &other);
    return result;
}
