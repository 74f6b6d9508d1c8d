/* Neutron: lists with all their pages, whatever the server makes of limit and marker; refusals and
 * quotas in the forms that it has. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "cloud/http_bed.h"
#include "cloud/neutron.h"

static struct http_bed *bed;
static struct cloud_http *http;
static struct neutron neutron;

static bool no_wait(uint32_t ms, void *with)
{
    (void)ms;
    (void)with;
    return true;
}

static const struct cloud_world world = {.wait = no_wait};

static int begin(void **state)
{
    struct err err;
    struct cloud_rest rest = {.name = "Neutron"};
    (void)state;
    bed = http_bed_begin(NULL);
    assert_int_equal(cloud_http_open(&world, &http, &err), 0);
    rest.http = http;
    (void)snprintf(rest.base, sizeof rest.base, "http://127.0.0.1:%u", bed->port);
    return neutron_init(&neutron, &rest, &err);
}

static int end(void **state)
{
    (void)state;
    cloud_http_close(http);
    http_bed_end(bed);
    return 0;
}

static void must_ask(size_t i, const char *line)
{
    size_t len = strcspn(http_bed_request(bed, i), "\r");
    char got[512];
    (void)snprintf(got, sizeof got, "%.*s", (int)len, http_bed_request(bed, i));
    assert_string_equal(got, line);
}

static void test_address(void **state)
{
    static const char *const bases[][2] = {
        {"https://net", "https://net/v2.0"},
        {"https://net/v2.0", "https://net/v2.0"},
        {"https://host/networking", "https://host/networking/v2.0"}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct cloud_rest rest = {.name = "Neutron"};
        struct err err;
        (void)snprintf(rest.base, sizeof rest.base, "%s", bases[i][0]);
        assert_int_equal(neutron_init(&neutron, &rest, &err), 0);
        assert_string_equal(neutron.rest.base, bases[i][1]);
    }
}

static void test_pages(void **state)
{
    (void)state;
    json_t *list = NULL;
    struct err err;
    (void)http_bed_answer(
        bed, 200, NULL,
        "{\"ports\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"ports_links\":[{\"rel\":\"previous\","
        "\"href\":\"http://x/?p\"},{\"rel\":\"next\",\"href\":"
        "\"https://inside.example/v2.0/ports?limit=2&marker=b&status=DOWN\"}]}");
    (void)http_bed_answer(bed, 200, NULL, "{\"ports\":[{\"id\":\"c\"}]}");
    assert_int_equal(neutron_all(&neutron, "ports", "status=DOWN", &list, &err), 0);
    assert_int_equal(json_array_size(list), 3);
    json_decref(list);
    must_ask(0, "GET /v2.0/ports?status=DOWN&limit=500 HTTP/1.1");
    must_ask(1, "GET /v2.0/ports?limit=2&marker=b&status=DOWN HTTP/1.1");
    /* One that knows no markers gives the same again and again. */
    for (int i = 0; i < 2; i++)
        (void)http_bed_answer(bed, 200, NULL,
                              "{\"tap_flows\":[{\"id\":\"a\"}],\"tap_flows_links\":[{\"rel\":"
                              "\"next\",\"href\":\"/taas/tap_flows?marker=a\"}]}");
    assert_int_equal(neutron_all(&neutron, "taas/tap_flows", NULL, &list, &err), 0);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    assert_int_equal(http_bed_count(bed), 4);
    must_ask(3, "GET /v2.0/taas/tap_flows?marker=a HTTP/1.1");
}

static void test_odd(void **state)
{
    static const char *const bodies[] = {"{}", "[]", "{\"ports\":{}}", "{\"ports\":null}", "no"};
    (void)state;
    json_t *list = NULL;
    struct err err;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        (void)http_bed_answer(bed, 200, NULL, bodies[i]);
        assert_int_equal(neutron_all(&neutron, "ports", NULL, &list, &err), -EPROTO);
        assert_null(list);
    }
    /* What has no id is none. */
    (void)http_bed_answer(bed, 200, NULL, "{\"ports\":[1,null,{\"id\":7},{\"id\":\"a\"}]}");
    assert_int_equal(neutron_all(&neutron, "ports", NULL, &list, &err), 0);
    assert_int_equal(json_array_size(list), 1);
    json_decref(list);
    (void)http_bed_answer(bed, 200, NULL, "{\"port\":3}");
    assert_int_equal(neutron_get(&neutron, "ports", "port", "a", &list, &err), -EPROTO);
}

static void test_refusals(void **state)
{
    static const struct {
        int status, code;
        const char *type, *says;
    } rows[] = {
        {409, -EDQUOT, "OverQuota", "quota_tap_flow"},
        {403, -EACCES, "PortDoesNotBelongToTenant", "credentials of the port's project"},
        {403, -EACCES, "PolicyNotAuthorized", "policy"},
        {404, -ENOENT, "PortNotFound", "PortNotFound: why"},
        {409, -EEXIST, "TapMirrorTunnelConflict", "TapMirrorTunnelConflict: why"},
        {400, -EINVAL, "HTTPBadRequest", "HTTPBadRequest: why"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[256];
        struct cloud_refusal refusal;
        struct err err;
        (void)snprintf(body, sizeof body,
                       "{\"NeutronError\":{\"type\":\"%s\",\"message\":\"why\",\"detail\":\"\"}}",
                       rows[i].type);
        (void)http_bed_answer(bed, rows[i].status, NULL, body);
        assert_int_equal(neutron_put(&neutron, "taas/tap_flows", "tap_flow", NULL,
                                     json_pack("{s:s}", "name", "n"), NULL, &refusal, &err),
                         rows[i].code);
        assert_string_equal(refusal.code, rows[i].type);
        if (!strstr(err.text, rows[i].says))
            fail_msg("'%s' is not in: %s", rows[i].says, err.text);
        assert_string_equal(http_bed_body(bed, i), "{\"tap_flow\":{\"name\":\"n\"}}");
    }
}

static void test_delete(void **state)
{
    (void)state;
    struct err err;
    (void)http_bed_answer(bed, 204, NULL, NULL);
    (void)http_bed_answer(bed, 404, NULL, "{\"NeutronError\":{\"type\":\"TapFlowNotFound\"}}");
    (void)http_bed_answer(bed, 403, NULL, "{\"NeutronError\":{\"type\":\"PolicyNotAuthorized\"}}");
    assert_int_equal(neutron_delete(&neutron, "taas/tap_flows", "x", &err), 0);
    assert_int_equal(neutron_delete(&neutron, "taas/tap_flows", "x", &err), 0);
    assert_int_equal(neutron_delete(&neutron, "taas/tap_flows", "x", &err), -EACCES);
    must_ask(0, "DELETE /v2.0/taas/tap_flows/x HTTP/1.1");
}

static void test_quotas(void **state)
{
    (void)state;
    int64_t limit, used;
    (void)http_bed_answer(bed, 200, NULL,
                          "{\"quota\":{\"tap_flow\":{\"limit\":10,\"used\":4,\"reserved\":0}}}");
    neutron_quota(&neutron, "p1", "tap_flow", &limit, &used);
    assert_int_equal(limit, 10);
    assert_int_equal(used, 4);
    must_ask(0, "GET /v2.0/quotas/p1/details.json HTTP/1.1");
    (void)http_bed_answer(bed, 404, NULL, "<html></html>");
    (void)http_bed_answer(bed, 200, NULL, "{\"quota\":{\"tap_flow\":3}}");
    neutron_quota(&neutron, "p1", "tap_flow", &limit, &used);
    assert_int_equal(limit, 3);
    assert_int_equal(used, -1);
    must_ask(2, "GET /v2.0/quotas/p1 HTTP/1.1");
    /* TaaS's are not reported everywhere. */
    (void)http_bed_answer(bed, 200, NULL, "{\"quota\":{\"port\":3}}");
    (void)http_bed_answer(bed, 200, NULL, "{\"quota\":{\"port\":3,\"tap_flow\":\"many\"}}");
    neutron_quota(&neutron, "p1", "tap_flow", &limit, &used);
    assert_int_equal(limit, -1);
    assert_int_equal(used, -1);
}

static void test_extensions(void **state)
{
    (void)state;
    json_t *aliases = NULL;
    struct err err;
    (void)http_bed_answer(bed, 200, NULL, "{\"extensions\":[{\"alias\":\"taas\"},{\"name\":1},2]}");
    assert_int_equal(neutron_extensions(&neutron, &aliases, &err), 0);
    assert_int_equal(json_object_size(aliases), 1);
    assert_non_null(json_object_get(aliases, "taas"));
    json_decref(aliases);
    (void)http_bed_answer(bed, 200, NULL, "{\"versions\":[]}");
    assert_int_equal(neutron_extensions(&neutron, &aliases, &err), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_address, begin, end),
        cmocka_unit_test_setup_teardown(test_pages, begin, end),
        cmocka_unit_test_setup_teardown(test_odd, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_delete, begin, end),
        cmocka_unit_test_setup_teardown(test_quotas, begin, end),
        cmocka_unit_test_setup_teardown(test_extensions, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
