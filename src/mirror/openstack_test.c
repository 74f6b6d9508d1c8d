/* OpenStack: what is wanted, found, made and unmade, in a small OpenStack of the test's. */
#include "mirror/openstack_run_bed.h"

/* ---- to a port ---- */

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
    /* The agent copies for one flow of a port. */
    must_refuse("--instance=web-1" TO_SENSOR, -ENOENT, "copies it, and a port can have one");
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
    must_apply("web", "--instance=web-1" TO_SENSOR, "-tap-flow " WEB1 "#twin; ~tap-flow " WEB1);
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
    /* What its agent has not set up yet is deleted when it has. */
    must_apply("web", "--instance=web-1" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB1);
    json_object_set_new(get("tap_services", 0), "status", json_string("DOWN"));
    json_object_set_new(get("tap_flows", 0), "status", json_string("DOWN"));
    os_bed.n_early = 0;
    must_remove("web");
    assert_int_equal(os_bed.n_early, 0);
    /* Of a port that is gone no agent says that its flow is. */
    json_t *flow = os_bed_json("{'id':'old','source_port':'gone','description':'cloudspan:mirror="
                               "web key=gone','status':'PENDING_DELETE','project_id':'shop'}");
    json_array_append_new(os_bed_list("tap_flows"), flow);
    must_apply("web", "--instance=web-1" TO_SENSOR,
               "-tap-flow gone; +tap-service " SENSOR "; +tap-flow " WEB1);
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

/* An end at any call, before or after it was carried out: apply goes on from there, and remove
 * takes all away, as does remove alone. */
static void end_anywhere(const char *words, bool after, bool applies)
{
    char *before = os_bed_dump();
    bool ended = true;
    for (unsigned n = 1; ended; n++) {
        struct run run;
        pthread_mutex_lock(&os_bed.lock);
        os_bed.n_requests = 0;
        os_bed.dies_at = n;
        os_bed.dies_after = after;
        pthread_mutex_unlock(&os_bed.lock);
        int result = start(&run, "web", words);
        if (result == 0)
            result = plan(&run);
        if (result == 0)
            result = carry_out(&run);
        ended = result < 0;
        stop(&run);
        pthread_mutex_lock(&os_bed.lock);
        assert_true(ended == (os_bed.n_requests >= n));
        os_bed.dies_at = 0;
        pthread_mutex_unlock(&os_bed.lock);
        if (applies) {
            must_plan("web", words, NULL, true);
            must_plan("web", words, "", false);
        }
        must_remove("web");
        must_be(before);
        assert_true(n < 200);
    }
    free(before);
}

static void test_end_anywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        end_anywhere("--tag=role=web --disable-port-security" TO_SENSOR, i & 1, i & 2);
        end_anywhere("--tag=role=web --to=gre:192.0.2.9 --id=101", i & 1, i & 2);
    }
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
        cmocka_unit_test_setup_teardown(test_end_anywhere, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
