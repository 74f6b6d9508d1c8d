/* OpenStack: what is wanted, found, made and unmade, in a small OpenStack of the test's. */
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

static bool no_wait(uint32_t ms, void *with)
{
    (void)ms;
    (void)with;
    return true;
}

static const struct cloud_world world = {.wait = no_wait};

static char *env[8], **saved;

static int begin(void **state)
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

static int end(void **state)
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
static int start(struct run *run, const char *name, const char *words)
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

static int plan(struct run *run)
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

static int carry_out(struct run *run)
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

static void stop(struct run *run)
{
    provider_openstack.close(&run->job);
    mirror_plan_done(&run->plan);
    mirror_set_done(&run->wanted);
    mirror_set_done(&run->found);
    text_done(&run->remarks);
}

/* The steps as "+tap-flow web-1's port"; what stays is left out. */
static void put_steps(const struct run *run, char out[1024])
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

/* Plans, and compares the steps; applies where `makes`. */
static void must_plan(const char *name, const char *words, const char *steps, bool makes)
{
    struct run run;
    char got[1024];
    if (start(&run, name, words) < 0 || plan(&run) < 0)
        fail_msg("%s: %s", words, run.err.text);
    put_steps(&run, got);
    assert_string_equal(got, steps);
    if (makes && carry_out(&run) < 0)
        fail_msg("%s: %s", words, run.err.text);
    stop(&run);
    assert_string_equal(os_bed.wrong, "");
}

static void must_apply(const char *name, const char *words, const char *steps)
{
    must_plan(name, words, steps, true);
    must_plan(name, words, "", false);
}

/* What it says where it refuses to plan. */
static void must_refuse(const char *words, int code, const char *says)
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
static int take_away(const char *name, struct err *err)
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

static void must_remove(const char *name)
{
    struct err err;
    if (take_away(name, &err) < 0)
        fail_msg("%s", err.text);
}

static void must_be(const char *before)
{
    char *after = os_bed_dump();
    assert_string_equal(before, after);
    free(after);
}

static json_t *get(const char *list, size_t i)
{
    return json_array_get(os_bed_list(list), i);
}

/* ---- to a port ---- */

#define TO_SENSOR " --to=port:" SENSOR

static void test_flows(void **state)
{
    (void)state;
    char *before = os_bed_dump();
    must_apply("web", "--tag=role=web" TO_SENSOR,
               "+tap-service " SENSOR "; +tap-flow " WEB1 "; +tap-flow " WEB2);
    const json_t *service = get("tap_services", 0), *flow = get("tap_flows", 0);
    assert_string_equal(os_bed_text(service, "port_id"), SENSOR);
    assert_string_equal(os_bed_text(service, "name"), "cloudspan-web-" SENSOR);
    assert_string_equal(os_bed_text(service, "description"), "cloudspan:mirror=web key=" SENSOR);
    assert_string_equal(os_bed_text(flow, "tap_service_id"), os_bed_text(service, "id"));
    assert_string_equal(os_bed_text(flow, "direction"), "BOTH");
    assert_string_equal(os_bed_text(flow, "status"), "ACTIVE");
    /* All but the collector's, the network's own, and what no machine uses. */
    must_apply("web", "--all-instances --to=port:collector", "+tap-flow " DB);
    must_apply("web", "--instance=db" TO_SENSOR, "-tap-flow " WEB2 "; -tap-flow " WEB1);
    must_apply("web", "--instance=db --direction=in" TO_SENSOR, "~tap-flow " DB);
    assert_string_equal(os_bed_text(get("tap_flows", 0), "direction"), "IN");
    must_remove("web");
    must_be(before);
    must_remove("web");
    must_be(before);
    free(before);
}

/* Lists in pages whose links have another host; a token that ends in between. */
static void test_pages(void **state)
{
    (void)state;
    os_bed.page = 1;
    must_apply("web", "--tag=env=prod" TO_SENSOR,
               "+tap-service " SENSOR "; +tap-flow " WEB1 "; +tap-flow " DB);
    struct run run;
    assert_int_equal(start(&run, "web", "--all-instances" TO_SENSOR), 0);
    os_bed.token++;
    assert_int_equal(plan(&run), 0);
    assert_int_equal(run.plan.n_changes, 1);
    stop(&run);
}

/* Things of others: a service at the port is used, and stays; ours stays for flows of others. */
static void test_others(void **state)
{
    (void)state;
    struct err err;
    json_array_append_new(
        os_bed_list("tap_services"),
        os_bed_json("{'id':'x1','name':'by hand','description':'','port_id':'" SENSOR
                    "','status':'ACTIVE','project_id':'shop','tap':true}"));
    char *before = os_bed_dump();
    must_apply("web", "--instance=web-1" TO_SENSOR, "+tap-flow " WEB1);
    assert_string_equal(os_bed_text(get("tap_flows", 0), "tap_service_id"), "x1");
    must_remove("web");
    must_be(before);
    free(before);
    must_apply("one", "--instance=web-1 --to=port:" DB, "+tap-service " DB "; +tap-flow " WEB1);
    must_apply("two", "--instance=web-2 --to=port:" DB, "+tap-flow " WEB2);
    assert_int_equal(take_away("one", &err), -EBUSY);
    assert_non_null(strstr(err.text, "1 flows that are not this mirror's"));
    must_remove("two");
    must_remove("one");
    assert_int_equal(json_array_size(os_bed_list("tap_services")), 1);
}

/* What was made twice, or is being deleted. */
static void test_odd(void **state)
{
    (void)state;
    must_apply("web", "--instance=web-1" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB1);
    json_t *twin = json_deep_copy(get("tap_flows", 0));
    json_object_set_new(twin, "id", json_string("twin"));
    json_array_append_new(os_bed_list("tap_flows"), twin);
    must_apply("web", "--instance=web-1" TO_SENSOR, "-tap-flow " WEB1 "#twin");
    os_bed.slow = true;
    json_object_set_new(get("tap_flows", 0), "status", json_string("PENDING_DELETE"));
    must_plan("web", "--instance=web-1" TO_SENSOR, "+tap-flow " WEB1, false);
    struct run run; /* it is waited for, but not for ever */
    assert_int_equal(start(&run, "web", "--instance=web-1" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(carry_out(&run), -EBUSY);
    assert_non_null(strstr(run.err.text, "still being deleted"));
    stop(&run);
    os_bed.slow = false;
    must_apply("web", "--instance=web-1" TO_SENSOR, "+tap-flow " WEB1);
    must_remove("web");
    /* An agent that does nothing. */
    os_bed.slow = true;
    assert_int_equal(start(&run, "web", "--instance=web-1" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(carry_out(&run), -ETIMEDOUT);
    assert_non_null(strstr(run.err.text, "2 of it are not ACTIVE"));
    stop(&run);
    /* Of a machine that is off nothing else can be expected. */
    json_object_set_new(get("ports", 0), "status", json_string("DOWN"));
    json_object_set_new(get("tap_services", 0), "status", json_string("ACTIVE"));
    must_plan("web", "--instance=web-1" TO_SENSOR, "", true);
}

static void test_port_security(void **state)
{
    (void)state;
    char *before = os_bed_dump();
    struct run run;
    assert_int_equal(start(&run, "web", "--instance=db" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_non_null(strstr(run.remarks.at, "--disable-port-security"));
    stop(&run);
    must_apply("web", "--instance=db --disable-port-security" TO_SENSOR,
               "+port-security " SENSOR "; +tap-service " SENSOR "; +tap-flow " DB);
    const json_t *port = get("ports", 3);
    assert_true(json_is_false(json_object_get(port, "port_security_enabled")));
    assert_int_equal(json_array_size(json_object_get(port, "security_groups")), 0);
    assert_true(openstack_has_tag(port, "cloudspan=web"));
    must_remove("web");
    must_be(before);
    free(before);
}

/* ---- to an address ---- */

static void must_have_ids(size_t i, const char *quoted)
{
    json_t *wanted = os_bed_json(quoted);
    const json_t *got = json_object_get(get("tap_mirrors", i), "directions");
    char *text = json_dumps(got, JSON_SORT_KEYS);
    if (!json_equal(wanted, got))
        fail_msg("ids are %s, not %s", text, quoted);
    free(text);
    json_decref(wanted);
}

static void test_mirrors(void **state)
{
    (void)state;
    char *before = os_bed_dump();
    must_apply("web", "--tag=role=web --to=gre:192.0.2.9 --id=101",
               "+tap-mirror " WEB1 "; +tap-mirror " WEB2);
    const json_t *mirror = get("tap_mirrors", 0);
    assert_string_equal(os_bed_text(mirror, "mirror_type"), "gre");
    assert_string_equal(os_bed_text(mirror, "remote_ip"), "192.0.2.9");
    assert_string_equal(os_bed_text(mirror, "port_id"), WEB1);
    must_have_ids(0, "{'IN':101,'OUT':102}");
    must_have_ids(1, "{'IN':103,'OUT':104}");
    /* Who is there keeps its ids. */
    must_apply("web", "--instance=web-2 --to=gre:192.0.2.9 --id=101", "-tap-mirror " WEB1);
    must_apply("web", "--all-instances --to=gre:192.0.2.9 --id=101",
               "+tap-mirror " WEB1 "; +tap-mirror " DB "; +tap-mirror " SENSOR);
    must_have_ids(0, "{'IN':103,'OUT':104}");
    must_have_ids(1, "{'IN':101,'OUT':102}");
    must_have_ids(2, "{'IN':105,'OUT':106}");
    must_apply("web", "--instance=db --direction=out --to=erspan2:2001:db8::9",
               "-tap-mirror " SENSOR "; -tap-mirror " WEB1 "; -tap-mirror " WEB2
               "; ~tap-mirror " DB);
    assert_string_equal(os_bed_text(get("tap_mirrors", 0), "mirror_type"), "erspanv1");
    must_have_ids(0, "{'OUT':106}");
    must_remove("web");
    must_be(before);
    free(before);
}

/* Ids that others have: of this project, which is known; of another, which the cloud says. */
static void test_conflicts(void **state)
{
    (void)state;
    json_array_append_new(os_bed_list("tap_mirrors"),
                          os_bed_json("{'id':'x','port_id':'" DB "','description':'','project_id':"
                                      "'shop','directions':{'IN':102,'OUT':null}}"));
    os_bed.refused = 103;
    must_apply("web", "--instance=web-1 --to=gre:192.0.2.9 --id=101", "+tap-mirror " WEB1);
    must_have_ids(1, "{'IN':101,'OUT':104}");
    struct run run; /* the sources have what was really given */
    struct mirror_sources sources = {0};
    os_bed.refused = 105;
    assert_int_equal(start(&run, "more", "--tag=role=web --to=gre:192.0.2.9 --id=105"), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(carry_out(&run), 0);
    assert_int_equal(provider_openstack.sources(&run.job, &run.wanted, &sources, &run.err), 0);
    assert_int_equal(sources.n, 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *ids = json_object_get(get("tap_mirrors", 2 + i), "directions");
        char in[32], out[32];
        (void)snprintf(in, sizeof in, "gre:%d",
                       (int)json_integer_value(json_object_get(ids, "IN")));
        (void)snprintf(out, sizeof out, "gre:%d",
                       (int)json_integer_value(json_object_get(ids, "OUT")));
        assert_string_equal(sources.at[i].channels[0], in);
        assert_string_equal(sources.at[i].channels[1], out);
    }
    assert_string_equal(sources.at[0].name, "web-1");
    assert_string_equal(sources.at[0].collector, "192.0.2.9");
    free(sources.at);
    stop(&run);
}

/* Without --id the ids follow from the names, and are the same when all is made anew. */
static void test_same_ids(void **state)
{
    (void)state;
    must_apply("web", "--instance=db --to=erspan2:192.0.2.9", "+tap-mirror " DB);
    json_t *first = json_deep_copy(json_object_get(get("tap_mirrors", 0), "directions"));
    must_remove("web");
    must_apply("web", "--instance=db --to=erspan2:192.0.2.9", "+tap-mirror " DB);
    assert_true(json_equal(first, json_object_get(get("tap_mirrors", 0), "directions")));
    json_int_t in = json_integer_value(json_object_get(first, "IN"));
    json_int_t out = json_integer_value(json_object_get(first, "OUT"));
    assert_true(in >= 1 && in <= 1023 && out >= 1 && out <= 1023 && in != out);
    json_decref(first);
}

/* ---- refusals ---- */

static void test_refusals(void **state)
{
    (void)state;
    must_refuse("--instance=web-1", -EINVAL, "where to?");
    must_refuse("--to=self", -EINVAL, "what is to be mirrored?");
    must_refuse("--all-instances --to=gre:1.2.3.4 --method=flow", -EINVAL, "--method flow");
    must_refuse("--all-instances --to=self --method=mirror", -EINVAL, "--method mirror");
    must_refuse("--all-instances --to=self --id=1", -EINVAL, "--id");
    must_refuse("--all-instances --to=erspan2:1.2.3.4 --id=1024", -EINVAL, "too large");
    must_refuse("--all-instances --to=vxlan:1.2.3.4", -EINVAL, "gre");
    must_refuse("--all-instances --to=port:nope", -ENOENT, "no port 'nope'");
    must_refuse("--all-instances --to=self", -ENOENT, "no machine of this project");
    must_refuse("--instance=nope" TO_SENSOR, -ENOENT, "fulfils the selection");
    must_refuse("--instance=web_1" TO_SENSOR, -ENOENT, "web_1"); /* a name that nobody has */
    must_refuse("--instance=sensor" TO_SENSOR, -ENOENT, "collector");
    /* Of the collector's address, also by a floating one, no copies are made. */
    must_refuse("--instance=db --to=gre:10.60.0.13", -ENOENT, "collector");
    json_array_append_new(
        os_bed_list("floatingips"),
        os_bed_json("{'id':'f','floating_ip_address':'203.0.113.7','port_id':'" DB "'}"));
    must_refuse("--instance=db --to=gre:203.0.113.7", -ENOENT, "collector");
    json_object_set_new(get("ports", 0), "name", json_string("collector"));
    must_refuse("--instance=db --to=port:collector", -EINVAL, "2 ports are called");
    json_object_set_new(os_bed.root, "quota", os_bed_json("{'tap_flow':1,'tap_service':-1}"));
    must_refuse("--tag=role=web" TO_SENSOR, -EDQUOT, "may have 1 objects tap_flow, has 0");
    json_array_clear(os_bed_list("extensions"));
    json_array_append_new(os_bed_list("extensions"), os_bed_json("{'alias':'taas'}"));
    must_refuse("--instance=db --to=gre:192.0.2.9", -EOPNOTSUPP, "no tap mirrors");
    must_refuse("--instance=db --disable-port-security" TO_SENSOR, -EOPNOTSUPP, "no tags");
    json_array_clear(os_bed_list("extensions"));
    must_refuse("--instance=db" TO_SENSOR, -EOPNOTSUPP, "no Tap as a Service");
}

/* The cloud's own words, and what can be done. */
static void test_quota(void **state)
{
    (void)state;
    struct run run;
    os_bed.fails_post = 2;
    os_bed.failure = "OverQuota";
    assert_int_equal(start(&run, "web", "--tag=role=web" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_false(run.wanted.at[0].may_lack);
    assert_true(run.wanted.at[1].may_lack);
    assert_int_equal(carry_out(&run), -EDQUOT);
    assert_non_null(strstr(run.err.text, "OverQuota: it can't be; whoever runs the cloud"));
    stop(&run);
    must_apply("web", "--tag=role=web" TO_SENSOR, "+tap-flow " WEB1 "; +tap-flow " WEB2);
}

/* ---- words ---- */

static void test_words(void **state)
{
    (void)state;
    struct run run;
    struct text out;
    assert_int_equal(start(&run, "web", "--instance=web-1 --cloud=it's" TO_SENSOR), -ENOKEY);
    stop(&run);
    assert_int_equal(start(&run, "web", "--instance=web-1 --region=" TO_SENSOR), -ENOENT);
    stop(&run);
    assert_int_equal(start(&run, "web", "--instance=web-1 --project=shop" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    text_init(&out, 65536);
    for (size_t i = 0; i < run.wanted.n; i++)
        provider_openstack.command(&run.job, &run.wanted.at[i], false, &out);
    provider_openstack.command(&run.job, &run.wanted.at[1], true, &out);
    assert_string_equal(
        out.at, "openstack --os-project-name shop tap service create --name cloudspan-web-" SENSOR
                " --description 'cloudspan:mirror=web key=" SENSOR "' --port " SENSOR "\n"
                "openstack --os-project-name shop tap flow create --name cloudspan-web-" WEB1
                " --description 'cloudspan:mirror=web key=" WEB1 "' --port " WEB1
                " --tap-service cloudspan-web-" SENSOR " --direction BOTH\n"
                "openstack --os-project-name shop tap flow delete cloudspan-web-" WEB1 "\n");
    text_done(&out);
    assert_string_equal(run.wanted.at[1].why, "copies what web-1 receives and sends (10.60.0.11)");
    stop(&run);
}

static void test_status(void **state)
{
    (void)state;
    struct run run;
    struct mirror_coverage coverage = {0};
    struct mirror_measures measures = {0};
    struct mirror_sources sources = {0};
    must_apply("web", "--tag=role=web" TO_SENSOR,
               "+tap-service " SENSOR "; +tap-flow " WEB1 "; +tap-flow " WEB2);
    os_bed.slow = true;
    json_object_set_new(get("tap_flows", 1), "status", json_string("DOWN"));
    assert_int_equal(start(&run, "web", "--tag=role=web" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(provider_openstack.cover(&run.job, &run.found, &coverage, &run.err), 0);
    size_t n_mirrored = 0, n_trouble = 0;
    for (size_t i = 0; i < coverage.n; i++) {
        n_mirrored += coverage.at[i].mirrored;
        if (coverage.at[i].wanted && !coverage.at[i].mirrored) {
            n_trouble++;
            assert_string_equal(coverage.at[i].machine, "web-2");
            assert_non_null(strstr(coverage.at[i].why, "DOWN"));
        }
    }
    assert_int_equal(n_mirrored, 1);
    assert_int_equal(n_trouble, 1);
    free(coverage.at);
    assert_int_equal(provider_openstack.measure(&run.job, &run.found, &measures, &run.err), 0);
    assert_int_equal(measures.n, 3);
    assert_string_equal(measures.at[1].what, "flow of web-1");
    assert_string_equal(measures.at[1].trouble, "");
    assert_non_null(strstr(measures.at[2].trouble, "DOWN"));
    free(measures.at);
    /* A machine without a flow is no source. */
    run.wanted.n = 2;
    assert_int_equal(provider_openstack.sources(&run.job, &run.wanted, &sources, &run.err), 0);
    assert_int_equal(sources.n, 1);
    assert_string_equal(sources.at[0].name, "web-1");
    assert_string_equal(sources.at[0].macs[0], "fa:16:3e:00:00:01");
    assert_string_equal(sources.at[0].addresses[0], "10.60.0.11");
    assert_string_equal(sources.at[0].collector, "10.60.0.14");
    assert_string_equal(sources.at[0].channels[0], "");
    free(sources.at);
    stop(&run);
}

static void test_names(void **state)
{
    (void)state;
    struct mirror_job job = {.provider = &provider_openstack, .world = &world, .partial = true};
    char(*names)[MIRROR_NAME_MAX] = NULL;
    struct err err;
    size_t n = 0;
    must_apply("one", "--instance=web-1" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB1);
    must_apply("two", "--instance=web-2 --to=gre:192.0.2.9", "+tap-mirror " WEB2);
    json_t *bad = json_deep_copy(get("tap_mirrors", 0));
    json_object_set_new(bad, "description", json_string("cloudspan:mirror=../../etc key=x"));
    json_array_append_new(os_bed_list("tap_mirrors"), bad);
    assert_int_equal(provider_openstack.open(&job, &err), 0);
    assert_int_equal(provider_openstack.names(&job, &names, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "one");
    assert_string_equal(names[1], "two");
    free(names);
    provider_openstack.close(&job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flows, begin, end),
        cmocka_unit_test_setup_teardown(test_pages, begin, end),
        cmocka_unit_test_setup_teardown(test_others, begin, end),
        cmocka_unit_test_setup_teardown(test_odd, begin, end),
        cmocka_unit_test_setup_teardown(test_port_security, begin, end),
        cmocka_unit_test_setup_teardown(test_mirrors, begin, end),
        cmocka_unit_test_setup_teardown(test_conflicts, begin, end),
        cmocka_unit_test_setup_teardown(test_same_ids, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_quota, begin, end),
        cmocka_unit_test_setup_teardown(test_words, begin, end),
        cmocka_unit_test_setup_teardown(test_status, begin, end),
        cmocka_unit_test_setup_teardown(test_names, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
