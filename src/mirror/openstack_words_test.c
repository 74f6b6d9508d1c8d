/* OpenStack: what is refused, and what is said of it: commands, coverage, sources, names. */
#include "mirror/openstack_run_bed.h"

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
    stop(&run);
    /* Of two flows of a port one is dead, whatever Neutron says. */
    json_t *other = os_bed_json("{'id':'other','name':'by hand','source_port':'" WEB1
                                "','status':'ACTIVE','project_id':'shop'}");
    json_array_append_new(os_bed_list("tap_flows"), other);
    assert_int_equal(start(&run, "web", "--tag=role=web" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(run.plan.n_changes, 0);
    assert_non_null(strstr(run.remarks.at, "also has the tap flow other (by hand)"));
    stop(&run);
    /* One that is off has nothing that could be copied. */
    json_object_set_new(get("ports", 1), "status", json_string("DOWN"));
    assert_int_equal(start(&run, "web", "--tag=role=web" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_non_null(strstr(run.remarks.at, "1 port is down"));
    assert_int_equal(provider_openstack.measure(&run.job, &run.found, &measures, &run.err), 0);
    assert_string_equal(measures.at[2].trouble, "");
    free(measures.at);
    assert_int_equal(provider_openstack.cover(&run.job, &run.found, &coverage, &run.err), 0);
    for (size_t i = 0; i < coverage.n; i++)
        assert_true(coverage.at[i].mirrored || !coverage.at[i].wanted);
    free(coverage.at);
    /* A machine without a flow is no source. */
    const struct mirror_set made = {.at = run.wanted.at, .n = 2};
    assert_int_equal(provider_openstack.sources(&run.job, &made, &sources, &run.err), 0);
    assert_int_equal(sources.n, 1);
    assert_string_equal(sources.at[0].name, "web-1");
    assert_string_equal(sources.at[0].macs[0], "fa:16:3e:00:00:01");
    assert_string_equal(sources.at[0].addresses[0], "10.60.0.11");
    assert_string_equal(sources.at[0].collector, "10.60.0.14");
    assert_string_equal(sources.at[0].channels[0], "");
    assert_true(sources.at[0].leaks_tag);
    free(sources.at);
    stop(&run);
}

/* This machine's port is known by a MAC address: the loopback's here. */
static void test_self(void **state)
{
    static const char mac[] = "00:00:00:00:00:00";
    (void)state;
    struct run run;
    struct mirror_sources sources = {0};
    json_object_set_new(get("ports", 3), "mac_address", json_string(mac));
    must_apply("web", "--instance=web-1 --to=self", "+tap-service " SENSOR "; +tap-flow " WEB1);
    assert_int_equal(start(&run, "web", "--instance=web-1 --to=self"), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(provider_openstack.sources(&run.job, &run.wanted, &sources, &run.err), 0);
    assert_true(sources.at[0].collector[0] && strcmp(sources.at[0].collector, "10.60.0.14") != 0);
    free(sources.at);
    stop(&run);
    /* Of two the one with the tap service; without, it has to be said. */
    json_object_set_new(get("ports", 2), "mac_address", json_string(mac));
    must_plan("web", "--instance=web-1 --to=self", "", false);
    must_remove("web");
    must_refuse("--instance=web-1 --to=self", -EINVAL, "port:" SENSOR);
}

/* A machine's other cards are mirrored with it, unless it is the collector. */
static void test_cards(void **state)
{
    (void)state;
    json_object_set_new(get("ports", 1), "device_id", json_string("m1"));
    json_object_set_new(get("ports", 2), "device_id", json_string("m4"));
    must_apply("web", "--all-instances" TO_SENSOR,
               "+tap-service " SENSOR "; +tap-flow " WEB1 "; +tap-flow " WEB2);
    struct run run;
    struct mirror_sources sources = {0};
    assert_int_equal(start(&run, "web", "--all-instances" TO_SENSOR), 0);
    assert_int_equal(plan(&run), 0);
    assert_int_equal(provider_openstack.sources(&run.job, &run.wanted, &sources, &run.err), 0);
    assert_int_equal(sources.n, 1);
    assert_string_equal(sources.at[0].name, "web-1");
    assert_string_equal(sources.at[0].macs[1], "fa:16:3e:00:00:02");
    free(sources.at);
    stop(&run);
}

/* Without Nova machines are called what their ports are. */
static void test_no_nova(void **state)
{
    (void)state;
    json_object_set_new(get("ports", 0), "dns_name", json_string("web.example"));
    json_array_append_new(json_object_get(get("ports", 1), "tags"), json_string("role=web"));
    json_array_clear(os_bed_list("servers"));
    must_plan("web", "--instance=web.example" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB1,
              false);
    must_plan("web", "--instance=p2" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB2, false);
    must_plan("web", "--tag=role=web" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " WEB2, false);
    must_plan("web", "--instance=m3" TO_SENSOR, "+tap-service " SENSOR "; +tap-flow " DB, false);
    must_plan("web", "--subnet=shop-subnet --exclude=role=web" TO_SENSOR,
              "+tap-service " SENSOR "; +tap-flow " WEB1 "; +tap-flow " DB, false);
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
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_quota, begin, end),
        cmocka_unit_test_setup_teardown(test_words, begin, end),
        cmocka_unit_test_setup_teardown(test_status, begin, end),
        cmocka_unit_test_setup_teardown(test_self, begin, end),
        cmocka_unit_test_setup_teardown(test_cards, begin, end),
        cmocka_unit_test_setup_teardown(test_no_nova, begin, end),
        cmocka_unit_test_setup_teardown(test_names, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
