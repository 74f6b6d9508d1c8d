/* What there is of a mirror in Open vSwitch, by its marks, and whether it works: see ovs.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mirror/ovs.h"

#define N_SEEN_ENOUGH 10
#define STATS_MS      5000 /* how often ovs-vswitchd counts, unless told otherwise; never more often */
#define PUSH_MS       1500 /* until the counters of flows are those of their mirrors */

/* ---- finding ---- */

static bool is_ours(const json_t *row, const char *mirror)
{
    const char *name = ovs_mark(row);
    return name && strcmp(name, mirror) == 0;
}

static const json_t *our_mirror(const struct ovs *ovs, const json_t *bridge, const char *mirror)
{
    const json_t *row;
    for (size_t i = 0; (row = ovs_mirror_of(ovs, bridge, i)); i++)
        if (is_ours(row, mirror))
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
static json_t *object_of(const struct ovs *ovs, const json_t *bridge, const json_t *mirror)
{
    if (!mirror)
        return json_pack("{s:s}", "bridge", ovs_name(bridge));
    const json_t *output = ovs_by_uuid(ovs, OVS_PORT, ovsdb_uuid(ovs_get(mirror, "output_port")));
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:I, s:s, s:I, s:s}", "bridge", ovs_name(bridge),
                     "select_all", ovsdb_true(ovs_get(mirror, "select_all")), "select_src_port",
                     ovs_names_of(ovs, OVS_PORT, ovs_get(mirror, "select_src_port")),
                     "select_dst_port",
                     ovs_names_of(ovs, OVS_PORT, ovs_get(mirror, "select_dst_port")), "select_vlan",
                     numbers_of(ovs_get(mirror, "select_vlan")), "snaplen",
                     (json_int_t)number_of(mirror, "snaplen"), "output_port", ovs_name(output),
                     "output_vlan", (json_int_t)number_of(mirror, "output_vlan"), "type", "");
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
        if (!is_ours(port, mirror))
            continue;
        *out_any = true;
        if (!output || strcmp(output, ovs_name(port)) != 0) {
            ok = json_array_append_new(leftovers, json_string(ovs_name(port))) == 0;
            continue;
        }
        const json_t *interface = ovs_interface_of(ovs, port, 0);
        const char *type = ovsdb_text(ovs_get(interface, "type"));
        ok = json_object_set_new(is, "type", json_string(type ? type : "")) == 0 &&
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
        const json_t *mirror = our_mirror(ovs, bridge, job->name);
        json_t *is = object_of(ovs, bridge, mirror);
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
            bool is_new = name && name[0] && strlen(name) < MIRROR_NAME_MAX;
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

/* ---- measuring ---- */

/* How often ovs-vswitchd writes counters into the database. */
static int64_t stats_ms(const struct ovs *ovs)
{
    const char *text =
        ovsdb_map_text(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "other_config"), "stats-update-interval");
    uint64_t ms;
    return text && options_number(text, 3600000, &ms) && ms > STATS_MS ? (int64_t)ms : STATS_MS;
}

static void put_title(const json_t *is, const char *bridge, char *out, size_t size)
{
    const json_t *vlans = json_object_get(is, "select_vlan");
    const json_t *sources = json_object_get(is, "select_src_port");
    const json_t *targets = json_object_get(is, "select_dst_port");
    size_t n = json_array_size(sources), m = json_array_size(targets);
    int at = snprintf(out, size, "%s", bridge);
    if (json_is_true(json_object_get(is, "select_all")))
        at += snprintf(out + at, size - (size_t)at, ", all ports");
    else if (n == 0 && m == 0)
        at += snprintf(out + at, size - (size_t)at, ", no port");
    else
        at += snprintf(out + at, size - (size_t)at, ", port %.20s",
                       json_string_value(json_array_get(n ? sources : targets, 0)));
    if ((n > m ? n : m) > 1)
        at += snprintf(out + at, size - (size_t)at, " and %zu more", (n > m ? n : m) - 1);
    if (json_array_size(vlans) > 0)
        (void)snprintf(out + at, size - (size_t)at, ", %zu VLANs", json_array_size(vlans));
}

/* "1700000000 12345 6789": when it was made, and what its ports had seen. Made by hand, it has none
 * of it. */
static void read_since(const json_t *mirror, int64_t *out_time, struct ovs_seen *out_seen)
{
    const char *at = ovsdb_map_text(ovs_get(mirror, "external_ids"), OVS_MARK_SINCE);
    uint64_t numbers[3] = {0};
    for (size_t i = 0; at && *at && i < 3; i++) {
        char *end = NULL;
        numbers[i] = strtoull(at, &end, 10);
        at = end && *end == ' ' ? end + 1 : NULL;
    }
    *out_time = (int64_t)numbers[0];
    *out_seen = (struct ovs_seen){numbers[1], numbers[2]};
}

static uint64_t more_than(uint64_t now, uint64_t then)
{
    return now >= then ? now - then : now; /* else the port counts from 0 again */
}

/* Since the mirror was made. */
static bool count_since(const struct ovs *ovs, const json_t *bridge, const json_t *mirror,
                        const json_t *is, struct ovs_seen *out)
{
    struct ovs_seen before;
    int64_t made;
    read_since(mirror, &made, &before);
    if (!ovs_count_seen(ovs, bridge, is, out))
        return false;
    out->n = more_than(out->n, before.n);
    out->least = more_than(out->least, before.least);
    return true;
}

/* What is wrong with the mirror as it is configured; "" nothing. */
static void judge_rows(const struct ovs *ovs, const json_t *mirror, const json_t *is, char *out,
                       size_t size)
{
    const char *output = json_string_value(json_object_get(is, "output_port"));
    const char *type = json_string_value(json_object_get(is, "type"));
    int64_t current = number_of(ovs_row(ovs, OVS_ROOT, 0), "cur_cfg");
    int64_t next = number_of(ovs_row(ovs, OVS_ROOT, 0), "next_cfg"), number = -1;
    if (!mirror) {
        (void)snprintf(out, size, "the mirror is gone, only its port is left");
        return;
    }
    if ((!output || !output[0]) && ovsdb_n(ovs_get(mirror, "output_vlan")) == 0) {
        (void)snprintf(out, size, "its output port is gone");
        return;
    }
    if (!json_is_true(json_object_get(is, "select_all")) &&
        json_array_size(json_object_get(is, "select_src_port")) == 0 &&
        json_array_size(json_object_get(is, "select_dst_port")) == 0) {
        (void)snprintf(out, size, "its ports are gone: nothing is mirrored");
        return;
    }
    const json_t *interface = ovs_by_name(ovs, OVS_INTERFACE, output ? output : "");
    const char *error = ovsdb_text(ovs_get(interface, "error"));
    const char *carrier =
        ovsdb_map_text(ovs_get(interface, "status"), "tunnel_egress_iface_carrier");
    bool known = ovsdb_number(ovs_get(interface, "ofport"), &number);
    const char *link = ovsdb_text(ovs_get(interface, "link_state"));
    if (interface && (error || (known && number < 0)))
        (void)snprintf(out, size, "Open vSwitch cannot use the port %.15s: %.120s", output,
                       error ? error : "it has no number");
    else if (type && type[0] && carrier && strcmp(carrier, "up") != 0)
        (void)snprintf(out, size, "the interface by which the copies leave has no carrier");
    else if (link && strcmp(link, "up") != 0)
        (void)snprintf(out, size, "its output port %.15s is down", output);
    else if (current < next)
        (void)snprintf(out, size,
                       "ovs-vswitchd has not taken the last change over (%" PRId64 " of %" PRId64
                       ")",
                       current, next);
}

/* Copies that the tunnel could not send. A port of others counts from before us. */
static uint64_t lost_of(const struct ovs *ovs, const json_t *is)
{
    const char *output = json_string_value(json_object_get(is, "output_port"));
    const char *type = json_string_value(json_object_get(is, "type"));
    const json_t *statistics =
        ovs_get(ovs_by_name(ovs, OVS_INTERFACE, output ? output : ""), "statistics");
    int64_t errors = 0, dropped = 0;
    if (!type || !type[0])
        return 0;
    (void)ovsdb_map_number(statistics, "tx_errors", &errors); /* 0 where it is not counted */
    (void)ovsdb_map_number(statistics, "tx_dropped", &dropped);
    return (errors > 0 ? (uint64_t)errors : 0) + (dropped > 0 ? (uint64_t)dropped : 0);
}

/* Flows that ovs-vswitchd did not compute anew are not mirrored, and a few others are. Its counters
 * are from different moments, some seconds apart. */
static bool is_dead(const struct ovs_seen *seen, uint64_t mirrored)
{
    return seen->least >= N_SEEN_ENOUGH && mirrored < seen->least / 4;
}

static void measure_one(const struct ovs *ovs, const struct mirror_job *job, const json_t *bridge,
                        const json_t *is, bool running, struct mirror_measure *out)
{
    const json_t *mirror = our_mirror(ovs, bridge, job->name);
    int64_t made = 0, packets = -1, bytes = 0;
    struct ovs_seen seen;
    *out = (struct mirror_measure){.n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX};
    put_title(is, ovs_name(bridge), out->what, sizeof out->what);
    read_since(mirror, &made, &seen);
    bool known = count_since(ovs, bridge, mirror, is, &seen);
    if (known)
        out->n_seen = seen.n;
    if (ovsdb_map_number(ovs_get(mirror, "statistics"), "tx_packets", &packets) && packets >= 0) {
        out->n_mirrored = (uint64_t)packets;
        if (ovsdb_map_number(ovs_get(mirror, "statistics"), "tx_bytes", &bytes) && bytes > 0)
            out->bytes = (uint64_t)bytes;
    }
    out->n_lost = lost_of(ovs, is);
    if (!running)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "ovs-vswitchd is not running, so nothing is switched or mirrored");
    else
        judge_rows(ovs, mirror, is, out->trouble, sizeof out->trouble);
    int64_t age = clock_now() / 1000000000 - made;
    if (out->trouble[0] || age <= 2 * stats_ms(ovs) / 1000 + 2)
        return;
    if (packets < 0)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "Open vSwitch counts nothing for it: ovs-vswitchd did not take it over (its "
                       "log says why)");
    else if (known && is_dead(&seen, out->n_mirrored))
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "configured, but not sending: of at least %" PRIu64
                       " packets since it was made, %" PRIu64 " were mirrored",
                       seen.least, out->n_mirrored);
}

int ovs_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err)
{
    struct ovs *ovs = job->state;
    bool running = false;
    int result = ovs_look(ovs, err);
    if (result == 0)
        result = ovs_is_running(ovs, &running, err);
    if (result < 0)
        return result;
    struct mirror_measures measures = {.at = calloc(found->n + 1, sizeof *measures.at)};
    if (!measures.at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < found->n; i++) {
        const json_t *bridge = ovs_by_name(ovs, OVS_BRIDGE, found->at[i].key);
        if (bridge)
            measure_one(ovs, job, bridge, found->at[i].is, running, &measures.at[measures.n++]);
    }
    *out = measures;
    return 0;
}

/* ---- proving ---- */

/* What was mirrored, and had to be at least, since it was made; false: nothing has been counted
 * yet.
 */
static bool count(const struct ovs *ovs, const struct mirror_job *job, uint64_t *out_least,
                  uint64_t *out_mirrored)
{
    const struct ovs_wish *wish = job->wish;
    const json_t *bridge = ovs_by_name(ovs, OVS_BRIDGE, wish->bridge);
    const json_t *mirror = our_mirror(ovs, bridge, job->name);
    struct ovs_seen seen = {0};
    int64_t packets = -1;
    json_t *is = object_of(ovs, bridge, mirror);
    bool known = is && count_since(ovs, bridge, mirror, is, &seen);
    json_decref(is);
    *out_least = known ? seen.least : 0;
    if (!ovsdb_map_number(ovs_get(mirror, "statistics"), "tx_packets", &packets) || packets < 0)
        return false;
    *out_mirrored = (uint64_t)packets;
    return true;
}

/* Until a first copy is counted; where packets pass and none is, as long as it takes ovs-vswitchd
 * to count twice, so that the second time counts only what came when the mirror was there. */
int ovs_prove(struct mirror_job *job, struct text *said, struct err *err)
{
    struct ovs *ovs = job->state;
    uint64_t least = 0, mirrored = 0, least_first = 0;
    bool was_counted = false;
    if (!ovs->is_changed)
        return 0;
    int64_t begin = clock_ticks();
    struct timespec pause = {0, 200000000};
    for (;;) {
        int result = ovs_look(ovs, err);
        if (result < 0)
            return result;
        int64_t ms = (clock_ticks() - begin) / 1000000, interval = stats_ms(ovs);
        bool counted = count(ovs, job, &least, &mirrored);
        if (mirrored > 0) {
            text_format(said, "it sends: %" PRIu64 " copies so far\n", mirrored);
            return 0;
        }
        if (counted && !was_counted)
            least_first = least;
        was_counted |= counted;
        bool passed = was_counted && least >= least_first + N_SEEN_ENOUGH;
        bool is_over = ms > 2 * interval + PUSH_MS;
        if (is_over && passed)
            return err_set(err, -EIO,
                           "Open vSwitch took the mirror, and sends nothing: at least %" PRIu64
                           " packets passed its ports, and none was mirrored",
                           least - least_first);
        if (is_over || (ms > interval + PUSH_MS && counted && least == 0)) {
            text_put(said, counted ? "nothing has passed its ports yet; cloudspan mirror status "
                                     "shows when it does\n"
                                   : "Open vSwitch has not counted anything yet; cloudspan mirror "
                                     "status shows when it does\n");
            return 0;
        }
        (void)nanosleep(&pause, NULL);
    }
}
