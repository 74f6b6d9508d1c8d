/* For unit tests: a real ovsdb-server, bridges and ports in it, interfaces with addresses in a
 * network namespace, and a stand-in for ovs-vswitchd: a thread that takes configurations over as
 * that one does. Whether packets come is for the scenarios. */
#ifndef MIRROR_OVS_BED_H
#define MIRROR_OVS_BED_H

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "capture/netns_bed.h"
#include "linux/ovsdb_bed.h"
#include "mirror/ovs.h"
#include "mirror/plan.h"

/* ---- the switch ---- */

static struct ovsdb_bed bed;
static bool has_bed;
static int taps[4];
static atomic_bool is_over;
static pthread_t switch_thread;

static inline void bed_vsctl(const char *command)
{
    char db[80], text[2048];
    const char *words[160] = {"ovs-vsctl", "--no-wait", "--timeout=10", db};
    size_t n = 4;
    int status = -1;
    (void)snprintf(db, sizeof db, "--db=%s", bed.where);
    (void)snprintf(text, sizeof text, "%s", command);
    for (char *at = text, *end; *at; at = end) {
        at += strspn(at, " ");
        end = at + strcspn(at, " ");
        if (*end)
            *end++ = '\0';
        words[n++] = at;
    }
    (void)waitpid(ovsdb_bed_run(words), &status, 0);
    if (status != 0)
        fail_msg("ovs-vsctl %s", command);
}

/* All rows but of the table Open_vSwitch, in an order of their own; the caller frees it. */
static inline char *bed_dump(struct ovs *ovs)
{
    struct err err;
    assert_int_equal(ovs_look(ovs, &err), 0);
    json_t *all = json_array();
    for (int i = OVS_BRIDGE; i < OVS_N_TABLES; i++) {
        const json_t *row;
        json_t *texts = json_array();
        for (size_t j = 0; (row = ovs_row(ovs, i, j)); j++) {
            json_t *copy = json_deep_copy(row);
            json_object_del(copy, "ofport"); /* not what it was told */
            json_object_del(copy, "error");
            char *text = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
            json_decref(copy);
            json_array_append_new(texts, json_string(text));
            free(text);
        }
        json_array_append_new(all, ovs_sorted(texts));
    }
    char *text = json_dumps(all, JSON_INDENT(1));
    json_decref(all);
    return text;
}

/* Gives new interfaces numbers, but for one kind of tunnel; then says that it is done. */
static inline void bed_take_over(struct ovs *ovs)
{
    static const char *const why = "could not add network device (File exists)";
    struct err err;
    int64_t next = 0, current = 0;
    const json_t *interface;
    struct ovsdb_transaction t;
    if (ovs_look(ovs, &err) < 0)
        return;
    (void)ovsdb_number(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "next_cfg"), &next);
    (void)ovsdb_number(ovs_get(ovs_row(ovs, OVS_ROOT, 0), "cur_cfg"), &current);
    if (current >= next)
        return;
    ovsdb_begin(&t);
    for (size_t i = 0; (interface = ovs_row(ovs, OVS_INTERFACE, i)); i++) {
        const char *key = ovsdb_map_text(ovs_get(interface, "options"), "key");
        bool bad = key && strcmp(key, "666") == 0;
        ovsdb_update(&t, "Interface", ovsdb_where_uuid(ovs_uuid(interface)),
                     json_pack("{s:i, s:o}", "ofport", bad ? -1 : (int)i + 1, "error",
                               bad ? json_string(why) : ovsdb_new_set(json_array())));
    }
    ovsdb_update(&t, "Open_vSwitch", ovsdb_where_uuid(ovs_uuid(ovs_row(ovs, OVS_ROOT, 0))),
                 json_pack("{s:I}", "cur_cfg", (json_int_t)next));
    (void)!ovsdb_commit(ovs->db, &t, NULL, &err); /* tried again */
}

static inline void *bed_run_switch(void *with)
{
    (void)with;
    struct ovs ovs = {0};
    struct err err;
    json_t *answer = NULL;
    if (ovsdb_open(bed.where, 5000, &ovs.db, &err) < 0 ||
        ovsdb_call(ovs.db, "lock", json_pack("[s]", "ovs_vswitchd"), &answer, &err) < 0)
        return NULL;
    json_decref(answer);
    while (!is_over) {
        bed_take_over(&ovs);
        usleep(2000);
    }
    json_decref(ovs.rows);
    ovsdb_close(ovs.db);
    return NULL;
}

static inline void bed_switch_on(void)
{
    is_over = false;
    assert_int_equal(pthread_create(&switch_thread, NULL, bed_run_switch, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        struct ovs ovs = {0};
        struct err err;
        bool running = false;
        assert_int_equal(ovsdb_open(bed.where, 5000, &ovs.db, &err), 0);
        assert_int_equal(ovs_is_running(&ovs, &running, &err), 0);
        ovsdb_close(ovs.db);
        if (running)
            return;
        usleep(5000);
    }
    fail_msg("the stand-in does not run");
}

static inline void bed_switch_off(void)
{
    is_over = true;
    assert_int_equal(pthread_join(switch_thread, NULL), 0);
}

/* An address makes the route; 10.9.0.1/24 and so on. */
static inline void bed_set_address(const char *interface, const char *address)
{
    struct ifreq request = {0};
    struct sockaddr_in in = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    assert_int_equal(inet_pton(AF_INET, address, &in.sin_addr), 1);
    memcpy(&request.ifr_addr, &in, sizeof in);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
    assert_int_equal(inet_pton(AF_INET, "255.255.255.0", &in.sin_addr), 1);
    memcpy(&request.ifr_netmask, &in, sizeof in);
    assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &request), 0);
    close(fd);
}

/* br-int with machines, br-phy by which copies leave, br-one that is both. */
static inline int bed_make(void **state)
{
    (void)state;
    if (!bed_enter_netns() || !ovsdb_bed_start(&bed))
        return 0;
    static const struct {
        const char *name, *address;
    } interfaces[] = {
        {"br-phy", "10.9.0.1"}, {"br-one", "10.8.0.1"}, {"eth9", "10.7.0.1"}, {"tap7", NULL}};
    for (size_t i = 0; i < 4; i++) {
        taps[i] = bed_tap(interfaces[i].name, IFF_TAP);
        if (taps[i] < 0) {
            printf("skipped: no taps here: %s\n", strerror(-taps[i]));
            return 0;
        }
        if (interfaces[i].address)
            bed_set_address(interfaces[i].name, interfaces[i].address);
    }
    bed_vsctl("add-br br-int -- add-port br-int p-a -- add-port br-int p-b -- add-port br-int p-c "
              "tag=7 -- add-br vlan5 br-int 5");
    bed_vsctl("add-br br-phy -- add-port br-phy p-phy -- add-bond br-int bond0 e1 e2");
    bed_vsctl(
        "add-br br-one -- add-port br-one veth1 -- add-port br-one tap7 -- add-port br-one up1");
    bed_vsctl("set Interface p-b external_ids:attached-mac=02:00:00:00:00:0b -- set Interface p-a "
              "external_ids:attached-mac=02:00:00:00:00:0a -- set Open_vSwitch . "
              "iface_types=system,gre,vxlan,erspan");
    has_bed = true;
    return 0;
}

static inline int bed_unmake(void **state)
{
    (void)state;
    if (bed.server)
        ovsdb_bed_stop(&bed);
    return 0;
}

/* ---- a mirror ---- */

struct bed_mirror {
    struct mirror_job job;
    struct err err;
    char words[16][80];
};

/* "--bridge=br-int --ports=p-a …"; what wish_take or wish_check say. */
static inline int bed_begin(struct bed_mirror *m, const char *arguments)
{
    const struct option_row *rows = provider_ovs.options;
    *m = (struct bed_mirror){.job = {.provider = &provider_ovs}};
    m->job.wish = calloc(1, provider_ovs.wish_size);
    (void)gethostname(m->job.machine, sizeof m->job.machine - 1);
    int result = 0;
    size_t n = 0;
    for (const char *at = arguments; *at && result == 0; n++) {
        size_t len = strcspn(at, " ");
        (void)snprintf(m->words[n], sizeof m->words[n], "%.*s", (int)len, at);
        at += len + (at[len] == ' ');
        char *value = strchr(m->words[n], '=');
        if (value)
            *value++ = '\0';
        int row = 0;
        while (rows[row].name && strcmp(rows[row].name, m->words[n] + 2) != 0)
            row++;
        if (!rows[row].name) {
            assert_string_equal(m->words[n], "--name");
            (void)snprintf(m->job.name, sizeof m->job.name, "%s", value);
            continue;
        }
        result = provider_ovs.wish_take(row, value, m->job.wish, &m->err);
    }
    return result < 0 ? result : provider_ovs.wish_check(&m->job, &m->err);
}

static inline void bed_end(struct bed_mirror *m)
{
    if (m->job.state)
        provider_ovs.close(&m->job);
    provider_ovs.wish_done(m->job.wish);
    free(m->job.wish);
}

static inline void bed_connect(struct bed_mirror *m, const char *arguments)
{
    if (bed_begin(m, arguments) < 0)
        fail_msg("%s: %s", arguments, m->err.text);
    ((struct ovs_wish *)m->job.wish)->where = bed.where;
    assert_int_equal(provider_ovs.open(&m->job, &m->err), 0);
}

/* What a plan would do, and its first reason. */
static inline int bed_plan(struct bed_mirror *m, char reason[200], struct err *err)
{
    struct mirror_set wanted = {0}, found = {0};
    struct mirror_plan made = {0};
    struct text remarks;
    text_init(&remarks, 4096);
    int action = provider_ovs.want(&m->job, &wanted, &remarks, err);
    if (action == 0)
        action = provider_ovs.find(&m->job, &found, err);
    if (action == 0) {
        assert_true(mirror_plan_make(&wanted, &found, provider_ovs.may_change, &made));
        assert_int_equal(made.n, 1);
        action = made.at[0].action;
        (void)snprintf(reason, 200, "%s", made.at[0].reason);
    }
    mirror_plan_done(&made);
    mirror_set_done(&wanted);
    mirror_set_done(&found);
    text_done(&remarks);
    return action;
}

static inline int bed_apply(struct bed_mirror *m, struct err *err)
{
    struct mirror_set wanted = {0}, found = {0};
    struct text remarks;
    text_init(&remarks, 4096);
    int result = provider_ovs.want(&m->job, &wanted, &remarks, err);
    if (result == 0)
        result = provider_ovs.find(&m->job, &found, err);
    if (result == 0 && found.n == 0)
        result = provider_ovs.make(&m->job, &wanted.at[0], err);
    else if (result == 0)
        result = provider_ovs.change(&m->job, &found.at[0], &wanted.at[0], err);
    mirror_set_done(&wanted);
    mirror_set_done(&found);
    text_done(&remarks);
    return result;
}

#endif
