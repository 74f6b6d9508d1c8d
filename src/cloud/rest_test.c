/* JSON over HTTP with a token: what is sent, where a token goes, and what refusals come to. The
 * bodies are in the form of the services that are named beside them. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "cloud/http_bed.h"
#include "cloud/rest.h"

static struct http_bed *bed;
static struct cloud_rest rest;
static unsigned n_renewed, n_waits;

static bool no_wait(uint32_t ms, void *with)
{
    (void)ms;
    (void)with;
    n_waits++;
    return true;
}

static const struct cloud_world world = {.wait = no_wait};

static int authorize(struct cloud_rest *self, struct cloud_request *request, bool renew,
                     struct err *err)
{
    char token[32];
    (void)err;
    assert_ptr_equal(self, &rest);
    n_renewed += renew;
    (void)snprintf(token, sizeof token, "token-%u", n_renewed);
    cloud_request_header(request, "X-Auth-Token", token);
    return 0;
}

static int begin(void **state)
{
    struct err err;
    (void)state;
    bed = http_bed_begin(NULL);
    rest = (struct cloud_rest){.name = "Neutron", .authorize = authorize};
    (void)snprintf(rest.base, sizeof rest.base, "http://127.0.0.1:%u/v2.0", bed->port);
    n_renewed = n_waits = 0;
    return cloud_http_open(&world, &rest.http, &err);
}

static int end(void **state)
{
    (void)state;
    cloud_http_close(rest.http);
    http_bed_end(bed);
    return 0;
}

static void test_get(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err = {""};
    http_bed_answer(bed, 200,
                    "Content-Type: application/json\r\nRetry-After: 7\r\n"
                    "Location: https://a/b\r\nAzure-AsyncOperation: https://a/c\r\n",
                    "{\"ports\": []}");
    if (cloud_rest_call(&rest, "GET", "/ports?limit=2", NULL, &reply, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(reply.status, 200);
    assert_true(json_is_array(json_object_get(reply.body, "ports")));
    assert_string_equal(reply.location, "https://a/b");
    assert_string_equal(reply.operation, "https://a/c");
    assert_int_equal(reply.retry_after_ms, 7000);
    assert_int_equal(memcmp(http_bed_request(bed, 0), "GET /v2.0/ports?limit=2 HTTP/1.1\r\n", 34),
                     0);
    assert_true(http_bed_has(bed, 0, "X-Auth-Token: token-0"));
    assert_true(http_bed_has(bed, 0, "Accept: application/json"));
    assert_null(strcasestr(http_bed_request(bed, 0), "content-type"));
    cloud_reply_done(&reply);
    assert_null(reply.body);
}

static void test_post(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err = {""};
    json_t *body = json_pack("{s{ss}}", "tap", "name", "cs-\xc3\xa4");
    http_bed_answer(bed, 204, NULL, NULL);
    if (cloud_rest_want(&rest, "POST", "/taas", body, &reply, &err) < 0)
        fail_msg("%s", err.text);
    assert_null(reply.body);
    assert_true(http_bed_has(bed, 0, "Content-Type: application/json"));
    assert_string_equal(http_bed_body(bed, 0), "{\"tap\":{\"name\":\"cs-\xc3\xa4\"}}");
    cloud_reply_done(&reply);
    json_decref(body);
}

/* A token that is refused is made anew, once. */
static void test_renew(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err = {""};
    http_bed_answer(bed, 401, NULL, "{}");
    http_bed_answer(bed, 200, NULL, "[]");
    if (cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err) < 0)
        fail_msg("%s", err.text);
    cloud_reply_done(&reply);
    assert_int_equal(n_renewed, 1);
    assert_true(http_bed_has(bed, 1, "X-Auth-Token: token-1"));
    assert_int_equal(n_waits, 0);
    http_bed_answer(bed, 401, NULL, "{}");
    http_bed_answer(bed, 401, NULL, "{}");
    assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), -EACCES);
    cloud_reply_done(&reply);
    assert_int_equal(http_bed_count(bed), 4);
}

static int no_token(struct cloud_rest *self, struct cloud_request *request, bool renew,
                    struct err *err)
{
    (void)self;
    (void)request;
    (void)renew;
    return err_set(err, -ENOKEY, "there are no credentials");
}

static void test_no_token(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    rest.authorize = no_token;
    assert_int_equal(cloud_rest_call(&rest, "GET", "/x?secret=1", NULL, &reply, &err), -ENOKEY);
    assert_string_equal(err.text, "Neutron: GET /x: there are no credentials");
    cloud_reply_done(&reply);
    assert_int_equal(http_bed_count(bed), 0);
}

/* The token goes to its own host alone. */
static void test_hosts(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    char same[128], near[128];
    (void)snprintf(same, sizeof same, "http://127.0.0.1:%u/v2.0/next?page=2", bed->port);
    (void)snprintf(near, sizeof near, "https://127.0.0.1:%u/next", bed->port);
    const char *const others[] = {"http://evil.example/v2.0/x",
                                  "https://127.0.0.1/v2.0/x",
                                  "http://127.0.0.1:1@evil.example/",
                                  "//evil.example/x?",
                                  "ftp://127.0.0.1/",
                                  "x",
                                  ""};
    http_bed_answer(bed, 200, NULL, "{}");
    assert_int_equal(cloud_rest_call(&rest, "GET", same, NULL, &reply, &err), 0);
    cloud_reply_done(&reply);
    assert_int_equal(strncmp(http_bed_request(bed, 0), "GET /v2.0/next?page=2 ", 22), 0);
    /* A service behind a proxy that ends TLS gives http:// links, or the other way round. */
    http_bed_answer(bed, 200, NULL, "{}");
    assert_int_equal(cloud_rest_call(&rest, "GET", near, NULL, &reply, &err), 0);
    cloud_reply_done(&reply);
    http_bed_answer(bed, 404, NULL, "{}"); /* "//evil…" is a path here */
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int result = cloud_rest_call(&rest, "GET", others[i], NULL, &reply, &err);
        if (others[i][0] == '/')
            assert_int_equal(result, 0);
        else
            assert_int_equal(result, -EINVAL);
        cloud_reply_done(&reply);
    }
    assert_int_equal(http_bed_count(bed), 3);
    (void)snprintf(rest.base, sizeof rest.base, "no address");
    assert_int_equal(cloud_rest_call(&rest, "GET", "/", NULL, &reply, &err), -EINVAL);
    cloud_reply_done(&reply);
}

/* An answer that was lost: a POST may have been carried out. */
static void test_lost(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    static const struct {
        const char *method, *path;
        bool again;
    } cases[] = {{"GET", "/x", true},
                 {"PUT", "/x", true},
                 {"DELETE", "/x", true},
                 {"POST", "/x", false},
                 {"POST", "/x?a=1&requestId=2", true},
                 {"POST", "/x?notrequestId=2", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t before = http_bed_count(bed);
        http_bed_answer(bed, HTTP_BED_CLOSES, NULL, NULL);
        if (cases[i].again)
            http_bed_answer(bed, 200, NULL, "{}");
        int result = cloud_rest_call(&rest, cases[i].method, cases[i].path, NULL, &reply, &err);
        if (cases[i].again)
            assert_int_equal(result, 0);
        else
            assert_int_equal(result, -EIO);
        assert_int_equal(http_bed_count(bed) - before, cases[i].again ? 2 : 1);
        cloud_reply_done(&reply);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *body;
        int result;
        const char *code, *message;
    } cases[] = {
        /* Neutron */
        {409,
         "{\"NeutronError\": {\"type\": \"TapMirrorTunnelConflict\", \"message\": \"Tunnel 7 is "
         "used\", \"detail\": \"\"}}",
         -EEXIST, "TapMirrorTunnelConflict", "Tunnel 7 is used"},
        {409,
         "{\"NeutronError\": {\"type\": \"OverQuota\", \"message\": \"Quota exceeded\", "
         "\"detail\": \"\"}}",
         -EDQUOT, "OverQuota", "Quota exceeded"},
        /* Keystone */
        {401,
         "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\", \"message\": \"The request you "
         "have made requires authentication.\"}}",
         -EACCES, "", "The request you have made requires authentication."},
        /* Nova */
        {404, "{\"itemNotFound\": {\"code\": 404, \"message\": \"No such server\"}}", -ENOENT,
         "itemNotFound", "No such server"},
        /* Azure */
        {400,
         "{\"error\": {\"code\": \"InvalidRequestFormat\", \"message\": \"Cannot parse.\", "
         "\"details\": [{\"code\": \"X\", \"message\": \"Line 1.\"}]}}",
         -EINVAL, "InvalidRequestFormat", "Cannot parse. Line 1."},
        {409, "{\"error\": {\"code\": \"TapCountLimitReached\", \"message\": \"no more\"}}",
         -EDQUOT, "TapCountLimitReached", "no more"},
        /* Google */
        {403,
         "{\"error\": {\"code\": 403, \"message\": \"Denied\", \"status\": \"PERMISSION_DENIED\", "
         "\"errors\": [{\"reason\": \"quotaExceeded\", \"message\": \"Denied\"}]}}",
         -EDQUOT, "quotaExceeded", "Denied"},
        {403,
         "{\"error\": {\"code\": 403, \"message\": \"Denied\", \"status\": \"PERMISSION_DENIED\"}}",
         -EACCES, "PERMISSION_DENIED", "Denied"},
        /* OAuth */
        {400, "{\"error\": \"invalid_grant\", \"error_description\": \"Bad assertion\"}", -EINVAL,
         "invalid_grant", "Bad assertion"},
        /* NSX-T */
        {412,
         "{\"httpStatus\": \"PRECONDITION_FAILED\", \"error_code\": 604, \"module_name\": "
         "\"common\", \"error_message\": \"Revision differs\"}",
         -EINVAL, "604", "Revision differs"},
        /* VMware Cloud */
        {404, "{\"status\": 404, \"error_code\": \"NOT_FOUND\", \"error_messages\": [\"no SDDC\"]}",
         -ENOENT, "NOT_FOUND", "no SDDC"},
        /* no JSON */
        {404, "<html>not here</html>", -ENOENT, "", ""},
        {423, "locked by admin\nor so", -EBUSY, "", "locked by admin"},
        {418, "", -EIO, "", ""},
        {501, "{}", -EIO, "", ""},
        {403, "[1, 2]", -EACCES, "", ""},
        {422, "{\"a\": 1, \"b\": {}}", -EINVAL, "", ""},
        {410, "{\"error\": {}}", -ENOENT, "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cloud_reply reply;
        struct err err;
        http_bed_answer(bed, cases[i].status, NULL, cases[i].body);
        if (cases[i].status == 401)
            http_bed_answer(bed, 401, NULL, cases[i].body);
        int result = cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err);
        if (result != cases[i].result)
            fail_msg("%s: %d, %s", cases[i].body, result, err.text);
        assert_int_equal(reply.status, cases[i].status);
        assert_int_equal(reply.refusal.status, cases[i].status);
        assert_string_equal(reply.refusal.code, cases[i].code);
        assert_string_equal(reply.refusal.message, cases[i].message);
        cloud_reply_done(&reply);
        char expected[700], number[24];
        (void)snprintf(number, sizeof number, "HTTP %d", cases[i].status);
        (void)snprintf(expected, sizeof expected, "Neutron: GET /x: %s%s%s",
                       cases[i].code[0] ? cases[i].code : number, cases[i].message[0] ? ": " : "",
                       cases[i].message);
        assert_string_equal(err.text, expected);
    }
    assert_int_equal(n_waits, 0);
}

/* Asked again, and given up. */
static void test_unavailable(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    for (unsigned i = 0; i < 6; i++)
        http_bed_answer(bed, 503, NULL, "{\"message\": \"in a moment\"}");
    assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), -EAGAIN);
    assert_string_equal(err.text, "Neutron: GET /x: HTTP 503: in a moment");
    cloud_reply_done(&reply);
    assert_int_equal(http_bed_count(bed), 6);
    assert_int_equal(n_waits, 5);
}

static void own_words(const json_t *body, struct cloud_refusal *out)
{
    (void)snprintf(out->code, sizeof out->code, "%s",
                   json_string_value(json_object_get(body, "why")));
}

static enum cloud_verdict own_verdict(const struct cloud_response *response, void *with)
{
    assert_ptr_equal(with, &n_renewed);
    return response->status == 409 ? CLOUD_RETRY : CLOUD_DONE;
}

static void test_own(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    rest.explain = own_words;
    rest.judge = own_verdict;
    rest.with = &n_renewed;
    http_bed_answer(bed, 409, NULL, "{}");
    http_bed_answer(bed, 403, NULL, "{\"why\": \"because\"}");
    assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), -EACCES);
    assert_string_equal(reply.refusal.code, "because");
    cloud_reply_done(&reply);
    assert_int_equal(http_bed_count(bed), 2);
}

/* What says that it is JSON, and is not. */
static void test_broken(void **state)
{
    (void)state;
    struct cloud_reply reply;
    struct err err;
    http_bed_answer(bed, 200, "Content-Type: application/json\r\n", "{\"a\": ");
    assert_int_equal(cloud_rest_call(&rest, "GET", "/x", NULL, &reply, &err), -EPROTO);
    assert_non_null(strstr(err.text, "no JSON"));
    assert_null(reply.body);
    cloud_reply_done(&reply);
    /* Nothing, as Neutron says it after tagging. */
    http_bed_answer(bed, 200, "Content-Type: application/json\r\n", "null");
    assert_int_equal(cloud_rest_call(&rest, "GET", "/x", NULL, &reply, &err), 0);
    cloud_reply_done(&reply);
    http_bed_answer(bed, 200, "Content-Type: text/plain\r\n", "a word");
    assert_int_equal(cloud_rest_call(&rest, "GET", "/x", NULL, &reply, &err), 0);
    assert_null(reply.body);
    cloud_reply_done(&reply);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),   TEST(test_post),   TEST(test_renew),    TEST(test_no_token),
        TEST(test_hosts), TEST(test_lost),   TEST(test_refusals), TEST(test_unavailable),
        TEST(test_own),   TEST(test_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
