/* For unit tests: runs of the provider in the small OpenStack of openstack_bed.h. */
#ifndef MIRROR_OPENSTACK_RUN_BED_H
#define MIRROR_OPENSTACK_RUN_BED_H

#include "mirror/openstack_bed.h"

#define WEB1   "a0000000-0000-4000-8000-000000000001"
#define WEB2   "a0000000-0000-4000-8000-000000000002"
#define DB     "a0000000-0000-4000-8000-000000000003"
#define SENSOR "a0000000-0000-4000-8000-000000000004"
#define ROUTER "a0000000-0000-4000-8000-000000000005"
#define SPARE  "a0000000-0000-4000-8000-000000000006"

#define PORT(id, name, device, owner, mac, address, more)                                          \
    "{'id':'" id "','name':'" name "','device_id':'" device "','device_owner':'" owner             \
    "','mac_address':'FA:16:3E:00:00:0" mac "','project_id':'shop','status':'ACTIVE','tags':[],"   \
    "'fixed_ips':[{'ip_address':'" address "','subnet_id':'s1'}],'network_id':'n1'" more "}"

static const char ports[] =
    "{'ports':[" PORT(WEB1, "p1", "m1", "compute:nova", "1", "10.60.0.11", "") "," PORT(
        WEB2, "p2", "m2", "compute:nova", "2", "10.60.0.12",
        "") "," PORT(DB, "p3", "m3", "compute:nova", "3", "10.60.0.13",
                     "") "," PORT(SENSOR, "collector", "m4", "compute:nova", "4", "10.60.0.14",
                                  ",'port_security_enabled':true,'security_groups':["
                                  "'g1','g2']") "," PORT(ROUTER, "", "r1",
                                                         "network:router_interface", "5",
                                                         "10.60.0.1",
                                                         "") "," PORT(SPARE, "spare", "", "", "6",
                                                                      "10.60.0.99",
                                                                      "") "],"
                                                                          "'subnets':[{'id':'s1','"
                                                                          "name':'shop-subnet','"
                                                                          "cidr':'10.60.0.0/24'}],"
                                                                          "'servers':[{'id':'m1','"
                                                                          "name':'web-1','tags':['"
                                                                          "role=web','blue'],'"
                                                                          "metadata':{'env':'prod'}"
                                                                          "},"
                                                                          "{'id':'m2','name':'web-"
                                                                          "2','tags':['role=web'],'"
                                                                          "metadata':{'env':'test'}"
                                                                          "},"
                                                                          "{'id':'m3','name':'db','"
                                                                          "tags':['role=db'],'"
                                                                          "metadata':{'env':'prod'}"
                                                                          "},"
                                                                          "{'id':'m4','name':'"
                                                                          "sensor','tags':[],'"
                                                                          "metadata':{}}]}";

static inline bool no_wait(uint32_t ms, void *with)
{
    (void)ms;
    (void)with;
    return true;
}

static const struct cloud_world world = {.wait = no_wait};

static char *env[8], **saved;

static inline int begin(void **state)
{
    static char url[64];
    (void)state;
    os_bed_begin(ports);
    (void)snprintf(url, sizeof url, "OS_AUTH_URL=http://127.0.0.1:%u", os_bed.http->port);
    env[0] = url;
    env[1] = (char *)(uintptr_t) "OS_USERNAME=alice";
    env[2] = (char *)(uintptr_t) "OS_PASSWORD=hunter2";
    env[3] = (char *)(uintptr_t) "OS_PROJECT_NAME=shop";
    saved = environ;
    environ = env;
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    environ = saved;
    os_bed_end();
    return 0;
}

/* ---- a run ---- */

struct run {
    struct mirror_job job;
    struct openstack_wish wish;
    struct mirror_set wanted, found;
    struct mirror_plan plan;
    struct text remarks;
    struct err err;
    char words[1024];
};

/* "--instance=web-1 --to=port:…": the wish's words. */
static inline int start(struct run *run, const char *name, const char *words)
{
    char *rest = run->words, *word;
    *run = (struct run){.job = {.provider = &provider_openstack, .world = &world}};
    (void)snprintf(run->job.name, sizeof run->job.name, "%s", name);
    (void)snprintf(run->words, sizeof run->words, "%s", words);
    run->job.wish = &run->wish;
    text_init(&run->remarks, 65536);
    rest = run->words;
    while ((word = strsep(&rest, " "))) {
        char *value = strchr(word, '=');
        int row = 0;
        if (value)
            *value++ = '\0';
        while (provider_openstack.options[row].name &&
               strcmp(provider_openstack.options[row].name, word + 2) != 0)
            row++;
        int result = provider_openstack.wish_take(row, value, &run->wish, &run->err);
        if (result < 0)
            return result;
    }
    int result = provider_openstack.wish_check(&run->job, &run->err);
    return result < 0 ? result : provider_openstack.open(&run->job, &run->err);
}

static inline int plan(struct run *run)
{
    int result = provider_openstack.want(&run->job, &run->wanted, &run->remarks, &run->err);
    if (result == 0)
        result = provider_openstack.find(&run->job, &run->found, &run->err);
    if (result == 0) {
        assert_false(run->wanted.failed || run->found.failed);
        assert_true(
            mirror_plan_make(&run->wanted, &run->found, provider_openstack.may_change, &run->plan));
    }
    return result;
}

static inline int carry_out(struct run *run)
{
    int result = 0;
    for (size_t i = 0; result == 0 && i < run->plan.n; i++) {
        const struct mirror_step *step = &run->plan.at[i];
        if (step->have && (step->action == MIRROR_UNMAKE || step->action == MIRROR_REMAKE))
            result = provider_openstack.unmake(&run->job, step->have, &run->err);
    }
    for (size_t i = 0; result == 0 && i < run->plan.n; i++) {
        const struct mirror_step *step = &run->plan.at[i];
        if (step->action == MIRROR_MAKE || step->action == MIRROR_REMAKE)
            result = provider_openstack.make(&run->job, step->want, &run->err);
    }
    struct text said;
    text_init(&said, 4096);
    if (result == 0)
        result = provider_openstack.prove(&run->job, &said, &run->err);
    text_done(&said);
    return result;
}

static inline void stop(struct run *run)
{
    provider_openstack.close(&run->job);
    mirror_plan_done(&run->plan);
    mirror_set_done(&run->wanted);
    mirror_set_done(&run->found);
    text_done(&run->remarks);
}

/* The steps as "+tap-flow web-1's port"; what stays is left out. */
static inline void put_steps(const struct run *run, char out[1024])
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < run->plan.n; i++) {
        const struct mirror_step *step = &run->plan.at[i];
        const struct mirror_object *object = step->want ? step->want : step->have;
        if (step->action == MIRROR_KEEP)
            continue;
        int n = snprintf(out + len, 1024 - len, "%s%c%s %s", len ? "; " : "",
                         mirror_action_sign(step->action), object->kind, object->key);
        len += n > 0 ? (size_t)n : 0;
    }
}

/* Plans, and compares the steps (NULL: any will do); applies where `makes`. */
static inline void must_plan(const char *name, const char *words, const char *steps, bool makes)
{
    struct run run;
    char got[1024];
    if (start(&run, name, words) < 0 || plan(&run) < 0)
        fail_msg("%s: %s", words, run.err.text);
    put_steps(&run, got);
    if (steps)
        assert_string_equal(got, steps);
    if (makes && carry_out(&run) < 0)
        fail_msg("%s: %s", words, run.err.text);
    stop(&run);
    assert_string_equal(os_bed.wrong, "");
}

static inline void must_apply(const char *name, const char *words, const char *steps)
{
    must_plan(name, words, steps, true);
    must_plan(name, words, "", false);
}

/* What it says where it refuses to plan. */
static inline void must_refuse(const char *words, int code, const char *says)
{
    struct run run;
    char *before = os_bed_dump();
    int result = start(&run, "web", words);
    if (result == 0)
        result = plan(&run);
    assert_int_equal(result, code);
    if (!strstr(run.err.text, says))
        fail_msg("'%s' is not in: %s", says, run.err.text);
    assert_null(strstr(run.err.text, "hunter2"));
    stop(&run);
    char *after = os_bed_dump();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

/* By marks alone, without a wish. */
static inline int take_away(const char *name, struct err *err)
{
    struct mirror_job job = {.provider = &provider_openstack, .world = &world, .partial = true};
    struct mirror_set found = {0};
    (void)snprintf(job.name, sizeof job.name, "%s", name);
    int result = provider_openstack.open(&job, err);
    if (result == 0)
        result = provider_openstack.find(&job, &found, err);
    for (size_t i = found.n; result == 0 && i-- > 0;)
        result = provider_openstack.unmake(&job, &found.at[i], err);
    provider_openstack.close(&job);
    mirror_set_done(&found);
    assert_string_equal(os_bed.wrong, "");
    return result;
}

static inline void must_remove(const char *name)
{
    struct err err;
    if (take_away(name, &err) < 0)
        fail_msg("%s", err.text);
}

static inline void must_be(const char *before)
{
    char *after = os_bed_dump();
    assert_string_equal(before, after);
    free(after);
}

static inline json_t *get(const char *list, size_t i)
{
    return json_array_get(os_bed_list(list), i);
}

#define TO_SENSOR " --to=port:" SENSOR

#endif
