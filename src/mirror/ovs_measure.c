/* Whether a mirror of Open vSwitch sends: see ovs.h.
 *
 * ovs-vswitchd writes the counters of ports and of mirrors into the database every few seconds.
 * Those of mirrors come from flows, and are behind by up to a second or so. They begin anew when
 * ovs-vswitchd does, and ports' when the port does. So a mirror is *suspected* by what there is to
 * see at once, and only then looked at for longer: what passed its ports until the next time that
 * the counters are written has to have been copied by the time after that. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "mirror/ovs.h"

#define N_ENOUGH 10
#define STATS_MS                                                                                   \
    5000             /* how often counters are written, unless told otherwise; never more often    \
                      */
#define PUSH_MS 1500 /* by how much mirrors' are behind, generously */
#define LOOK_MS 200

/* How often ovs-vswitchd writes counters. */
static int64_t stats_ms(const struct ovs *ovs)
{
    const char *text =
        ovsdb_map_text(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "other_config"), "stats-update-interval");
    uint64_t ms;
    return text && options_number(text, 3600000, &ms) && ms > STATS_MS ? (int64_t)ms : STATS_MS;
}

/* ---- one look ---- */

struct look {
    struct ovs_seen seen; /* since the mirror was made */
    bool is_seen;         /* else that is not known */
    bool is_counted;      /* else ovs-vswitchd has written nothing of it */
    uint64_t mirrored, bytes;
    int64_t age_ms; /* of the mirror */
};

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

static struct look look_at(const struct ovs *ovs, const json_t *bridge, const json_t *mirror,
                           const json_t *is)
{
    const json_t *statistics = ovs_get(mirror, "statistics");
    struct look look = {0};
    struct ovs_seen before;
    int64_t made, packets, bytes;
    read_since(mirror, &made, &before);
    look.age_ms = clock_now() / 1000000 - made * 1000;
    look.is_seen = ovs_count_seen(ovs, bridge, is, &look.seen);
    look.seen.n = more_than(look.seen.n, before.n);
    look.seen.least = more_than(look.seen.least, before.least);
    look.is_counted = ovsdb_map_number(statistics, "tx_packets", &packets) && packets >= 0;
    if (look.is_counted)
        look.mirrored = (uint64_t)packets;
    if (ovsdb_map_number(statistics, "tx_bytes", &bytes) && bytes > 0)
        look.bytes = (uint64_t)bytes;
    return look;
}

static int look_again(struct ovs *ovs, const char *bridge_name, const char *name, struct look *out,
                      struct err *err)
{
    int result = ovs_look(ovs, err);
    if (result < 0)
        return result;
    const json_t *bridge = ovs_by_name(ovs, OVS_BRIDGE, bridge_name);
    const json_t *mirror = ovs_our_mirror(ovs, bridge, name);
    json_t *is = ovs_object_of(ovs, bridge, mirror);
    *out = look_at(ovs, bridge, mirror, is);
    json_decref(is);
    return 0;
}

/* ---- longer looks ---- */

enum verdict { SENDS, QUIET, DEAD };

/* Far less than had to be: flows that ovs-vswitchd did not compute anew are not mirrored, and a few
 * new ones are. */
static bool is_too_little(uint64_t mirrored, uint64_t least)
{
    return least >= N_ENOUGH && mirrored < least / 4;
}

/* *out_missed: of how many packets, at least, copies are missing. */
static int watch_it(struct ovs *ovs, const char *bridge, const char *name, struct look first,
                    enum verdict *out, uint64_t *out_missed, struct err *err)
{
    int64_t interval = stats_ms(ovs), begin = clock_ticks();
    struct timespec pause = {0, LOOK_MS * 1000000};
    uint64_t passed = 0;
    bool is_second = false;
    for (;;) {
        struct look now;
        (void)nanosleep(&pause, NULL);
        int result = look_again(ovs, bridge, name, &now, err);
        if (result < 0)
            return result;
        int64_t ms = (clock_ticks() - begin) / 1000000;
        uint64_t mirrored = more_than(now.mirrored, first.mirrored);
        if (!is_second)
            passed = more_than(now.seen.least, first.seen.least);
        if ((mirrored >= N_ENOUGH || passed >= N_ENOUGH) && !is_too_little(mirrored, passed)) {
            *out = SENDS;
            return 0;
        }
        is_second |= ms > interval + 2 * LOOK_MS;
        bool is_over = ms > 2 * interval + 2 * LOOK_MS + PUSH_MS;
        if (is_over || (is_second && passed < N_ENOUGH)) {
            *out = is_too_little(mirrored, passed) ? DEAD : QUIET;
            *out_missed = passed - mirrored;
            return 0;
        }
    }
}

/* ---- status ---- */

static void put_title(const json_t *is, const char *bridge, char *out, size_t size)
{
    const json_t *vlans = json_object_get(is, "select_vlan");
    const json_t *sources = json_object_get(is, "select_src_port");
    const json_t *targets = json_object_get(is, "select_dst_port");
    size_t n = json_array_size(sources), m = json_array_size(targets);
    char ports[40] = ", no port", more[32] = "", in[24] = "";
    if (json_is_true(json_object_get(is, "select_all")))
        (void)snprintf(ports, sizeof ports, ", all ports");
    else if (n || m)
        (void)snprintf(ports, sizeof ports, ", port %.20s",
                       json_string_value(json_array_get(n ? sources : targets, 0)));
    if ((n > m ? n : m) > 1)
        (void)snprintf(more, sizeof more, " and %zu more", (n > m ? n : m) - 1);
    if (json_array_size(vlans) > 0)
        (void)snprintf(in, sizeof in, ", %zu VLANs", json_array_size(vlans));
    (void)snprintf(out, size, "%.15s%s%s%s", bridge, ports, more, in);
}

/* Whether the interface by which a tunnel's packets leave has no carrier. Open vSwitch writes that
 * down when routes change: of a bridge that it makes after the tunnel, when it starts, it stays
 * "down". What it says of such an interface itself is newer. */
static bool has_no_carrier(const struct ovs *ovs, const json_t *tunnel)
{
    const json_t *status = ovs_get(tunnel, "status");
    const char *carrier = ovsdb_map_text(status, "tunnel_egress_iface_carrier");
    const char *by = ovsdb_map_text(status, "tunnel_egress_iface");
    const char *link =
        ovsdb_text(ovs_get(ovs_by_name(ovs, OVS_INTERFACE, by ? by : ""), "link_state"));
    return carrier && strcmp(carrier, "up") != 0 && !(link && strcmp(link, "up") == 0);
}

/* What is wrong with the mirror as it is configured; "" nothing. True: it may pass by itself, as
 * it does when something was just made. */
static bool judge_rows(const struct ovs *ovs, const json_t *mirror, const json_t *is, char *out,
                       size_t size)
{
    out[0] = '\0';
    const char *output = json_string_value(json_object_get(is, "output_port"));
    const char *type = json_string_value(json_object_get(is, "type"));
    int64_t current = 0, next = 0, number = -1;
    if (!mirror) {
        (void)snprintf(out, size, "the mirror is gone, only its port is left");
        return false;
    }
    if ((!output || !output[0]) && ovsdb_n(ovs_get(mirror, "output_vlan")) == 0) {
        (void)snprintf(out, size, "its output port is gone");
        return false;
    }
    if (!json_is_true(json_object_get(is, "select_all")) &&
        json_array_size(json_object_get(is, "select_src_port")) == 0 &&
        json_array_size(json_object_get(is, "select_dst_port")) == 0) {
        (void)snprintf(out, size, "its ports are gone: nothing is mirrored");
        return false;
    }
    const json_t *interface = ovs_by_name(ovs, OVS_INTERFACE, output ? output : "");
    const char *error = ovsdb_text(ovs_get(interface, "error"));
    const char *link = ovsdb_text(ovs_get(interface, "link_state"));
    bool known = ovsdb_number(ovs_get(interface, "ofport"), &number);
    (void)ovsdb_number(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "cur_cfg"), &current);
    (void)ovsdb_number(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "next_cfg"), &next);
    if (interface && (error || (known && number < 0))) {
        (void)snprintf(out, size, "Open vSwitch cannot use the port %.15s: %.120s", output,
                       error ? error : "it has no number");
        return false;
    }
    if (type && type[0] && has_no_carrier(ovs, interface))
        (void)snprintf(out, size, "the interface by which the copies leave has no carrier");
    else if (link && strcmp(link, "up") != 0)
        (void)snprintf(out, size, "its output port %.15s is down", output);
    else if (current < next)
        (void)snprintf(out, size,
                       "ovs-vswitchd has not taken the last change over (%" PRId64 " of %" PRId64
                       ")",
                       current, next);
    return true;
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

static uint64_t number_in(const json_t *sample, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(sample, name));
    return n > 0 ? (uint64_t)n : 0;
}

/* Compared with the last look, where there was one, else with when it was made. */
static bool is_suspect(const struct mirror_job *job, const char *what, const struct look *now)
{
    const json_t *last = json_object_get(job->sample, what);
    uint64_t seen = number_in(last, "seen"), mirrored = number_in(last, "mirrored");
    if (!now->is_seen || !now->is_counted)
        return false;
    if (last && now->seen.n >= seen && now->mirrored >= mirrored)
        return now->seen.n - seen >= N_ENOUGH &&
               now->mirrored - mirrored < (now->seen.n - seen) / 8;
    return is_too_little(now->mirrored, now->seen.least);
}

/* Judges the rows as they are now, and for as long as what is wrong may pass. */
static int judge(struct ovs *ovs, const struct mirror_job *job, const char *bridge_name,
                 const json_t *is, struct mirror_measure *out, struct err *err)
{
    struct timespec pause = {0, LOOK_MS * 1000000};
    int64_t end = clock_ticks() + (stats_ms(ovs) + PUSH_MS) * 1000000;
    for (;;) {
        const json_t *bridge = ovs_by_name(ovs, OVS_BRIDGE, bridge_name);
        const json_t *mirror = ovs_our_mirror(ovs, bridge, job->name);
        bool may_pass = judge_rows(ovs, mirror, is, out->trouble, sizeof out->trouble);
        if (!out->trouble[0] || !may_pass || clock_ticks() > end)
            return 0;
        (void)nanosleep(&pause, NULL);
        int result = ovs_look(ovs, err);
        if (result < 0)
            return result;
    }
}

/* Until ovs-vswitchd has written anything of it. */
static int await_counters(struct ovs *ovs, const struct mirror_job *job, const char *bridge,
                          struct look *look, struct err *err)
{
    struct timespec pause = {0, LOOK_MS * 1000000};
    int64_t end = clock_ticks() + (stats_ms(ovs) + 2 * LOOK_MS) * 1000000;
    while (!look->is_counted && clock_ticks() < end) {
        (void)nanosleep(&pause, NULL);
        int result = look_again(ovs, bridge, job->name, look, err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Of a mirror whose rows are well. */
static int judge_counters(struct ovs *ovs, const struct mirror_job *job, const char *bridge,
                          struct look *now, struct mirror_measure *out, struct err *err)
{
    enum verdict verdict = SENDS;
    uint64_t missed = 0;
    if (!now->is_counted && now->age_ms <= 2 * stats_ms(ovs))
        return 0;
    int result = await_counters(ovs, job, bridge, now, err);
    if (result == 0 && !now->is_counted)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "Open vSwitch counts nothing for it: ovs-vswitchd did not take it over (its "
                       "log says why)");
    if (result < 0 || !is_suspect(job, out->what, now))
        return result;
    result = watch_it(ovs, bridge, job->name, *now, &verdict, &missed, err);
    if (result == 0 && verdict == DEAD)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "configured, but not sending: in the last seconds at least %" PRIu64
                       " packets passed without a copy",
                       missed);
    return result;
}

static int measure_one(struct ovs *ovs, const struct mirror_job *job, const char *bridge,
                       const json_t *is, bool running, struct mirror_measure *out, struct err *err)
{
    struct look now = {0};
    int result = 0;
    *out =
        (struct mirror_measure){.n_seen = UINT64_MAX, .n_mirrored = UINT64_MAX, .is_judged = true};
    put_title(is, bridge, out->what, sizeof out->what);
    out->n_lost = lost_of(ovs, is);
    if (!running)
        (void)snprintf(out->trouble, sizeof out->trouble,
                       "ovs-vswitchd is not running, so nothing is switched or mirrored");
    else
        result = judge(ovs, job, bridge, is, out, err);
    if (result == 0)
        result = look_again(ovs, bridge, job->name, &now, err);
    if (result == 0 && !out->trouble[0])
        result = judge_counters(ovs, job, bridge, &now, out, err);
    if (now.is_seen)
        out->n_seen = now.seen.n;
    if (now.is_counted)
        out->n_mirrored = now.mirrored;
    out->bytes = now.bytes;
    return result;
}

int ovs_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err)
{
    struct ovs *ovs = job->state;
    bool running = false;
    int result = ovs_is_running(ovs, &running, err);
    if (result < 0)
        return result;
    struct mirror_measures measures = {.at = calloc(found->n + 1, sizeof *measures.at)};
    if (!measures.at)
        return err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; i < found->n && result == 0; i++) {
        result = ovs_look(ovs, err);
        if (result == 0 && ovs_by_name(ovs, OVS_BRIDGE, found->at[i].key))
            result = measure_one(ovs, job, found->at[i].key, found->at[i].is, running,
                                 &measures.at[measures.n++], err);
    }
    if (result < 0) {
        free(measures.at);
        return result;
    }
    *out = measures;
    return 0;
}

/* ---- proof ---- */

/* Until counters are written for the first time, which includes what passed before; then, where
 * packets pass and none is copied, a longer look. */
int ovs_prove(struct mirror_job *job, struct text *said, struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    struct ovs *ovs = job->state;
    struct timespec pause = {0, LOOK_MS * 1000000};
    enum verdict verdict = QUIET;
    uint64_t missed = 0;
    struct look look = {0};
    if (!ovs->is_changed)
        return 0;
    int64_t begin = clock_ticks(), limit = stats_ms(ovs) + PUSH_MS;
    while (look.mirrored == 0 && (clock_ticks() - begin) / 1000000 < limit) {
        (void)nanosleep(&pause, NULL);
        int result = look_again(ovs, wish->bridge, job->name, &look, err);
        if (result < 0)
            return result;
        if (look.is_counted && look.is_seen && look.seen.least == 0)
            break;
    }
    if (look.mirrored == 0 && look.is_counted && look.is_seen && look.seen.least > 0) {
        int result = watch_it(ovs, wish->bridge, job->name, look, &verdict, &missed, err);
        if (result < 0)
            return result;
    } else if (look.mirrored > 0) {
        verdict = SENDS;
    }
    switch (verdict) {
    case SENDS:
        text_put(said, "it sends\n");
        break;
    case QUIET:
        text_put(said, "no copy has been counted yet; cloudspan mirror status shows when there is "
                       "one\n");
        break;
    case DEAD:
        return err_set(err, -EIO,
                       "Open vSwitch took the mirror, and does not send: at least %" PRIu64
                       " packets passed its ports without a copy",
                       missed);
    }
    return 0;
}
