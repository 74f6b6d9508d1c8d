/* Signatures against those of the test suite that AWS publishes for Signature Version 4. */
#include "cloud/aws_sign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NOW (1440938160 * INT64_C(1000000000)) /* 2015-08-30T12:36:00Z */

#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define TOKEN                                                                                      \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSP" \
    "fIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT" \
    "7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlz" \
    "m8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct vector {
    const char *name, *method, *path, *header, *value, *body, *token, *names, *signature;
} vectors[] = {
    {"get-vanilla", "GET", "/", .names = "host;x-amz-date",
     .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-vanilla without a path", "GET", "", .names = "host;x-amz-date",
     .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-header-key-duplicate", "GET", "/", "My-Header1", "value2,value2,value1",
     .names = "host;my-header1;x-amz-date",
     .signature = "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-order", "GET", "/", "My-Header1", "  value4,value1,value3,value2 ",
     .names = "host;my-header1;x-amz-date",
     .signature = "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-unreserved", "GET", "/" UNRESERVED, .names = "host;x-amz-date",
     .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8", "GET", "/\xe1\x88\xb4", .names = "host;x-amz-date",
     .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-space", "GET", "/example space/", .names = "host;x-amz-date",
     .signature = "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"get-vanilla-empty-query-key", "GET", "/?Param1=value1", .names = "host;x-amz-date",
     .signature = "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1",
     .names = "host;x-amz-date",
     .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-unreserved", "GET", "/?" UNRESERVED "=" UNRESERVED,
     .names = "host;x-amz-date",
     .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query", "GET", "?%E1%88%B4=bar", .names = "host;x-amz-date",
     .signature = "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"post-vanilla", "post", "/", .names = "host;x-amz-date",
     .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-vanilla-query-space", "POST", "/?p", .names = "host;x-amz-date",
     .signature = "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
    {"post-header-key-sort", "POST", "/", "My-Header1", "value1",
     .names = "host;my-header1;x-amz-date",
     .signature = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case", "POST", "/", "My-Header1", "VALUE1",
     .names = "host;my-header1;x-amz-date",
     .signature = "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-sts-header-before", "POST", "/", .token = TOKEN,
     .names = "host;x-amz-date;x-amz-security-token",
     .signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
    {"post-x-www-form-urlencoded", "POST", "/", "Content-Type", "application/x-www-form-urlencoded",
     "Param1=value1", .names = "content-type;host;x-amz-date",
     .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters", "POST", "/", "Content-Type",
     "application/x-www-form-urlencoded; charset=utf8", "Param1=value1",
     .names = "content-type;host;x-amz-date",
     .signature = "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
};

static const char *header_of(const struct cloud_request *request, const char *name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (strcmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static void test_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        struct aws_keys keys = {0};
        struct err err = {{0}};
        char url[512], expected[512];
        (void)snprintf(url, sizeof url, "https://example.amazonaws.com%s", v->path);
        (void)snprintf(expected, sizeof expected,
                       "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/"
                       "aws4_request, SignedHeaders=%s, Signature=%s",
                       v->names, v->signature);
        struct cloud_request request = {.method = v->method, .url = url, .body = v->body};
        request.size = v->body ? strlen(v->body) : 0;
        cloud_request_header(&request, "User-Agent", "is not signed");
        if (v->header)
            cloud_request_header(&request, v->header, v->value);
        assert_int_equal(aws_keys_set(&keys, "AKIDEXAMPLE",
                                      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", v->token, &err),
                         0);
        /* A second time, later: what the first one put does not count. */
        for (int64_t now = NOW - 1; now <= NOW; now++)
            assert_int_equal(aws_sign(&request, &keys, "us-east-1", "service", now, &err), 0);
        if (strcmp(header_of(&request, "Authorization"), expected) != 0)
            fail_msg("%s:\n%s\n%s", v->name, header_of(&request, "Authorization"), expected);
        assert_string_equal(header_of(&request, "X-Amz-Date"), "20150830T123600Z");
        assert_true(v->token ? strcmp(header_of(&request, "X-Amz-Security-Token"), v->token) == 0
                             : !header_of(&request, "X-Amz-Security-Token"));
        cloud_request_done(&request);
        aws_keys_done(&keys);
    }
}

/* What goes without saying is not in the header Host, and so not signed. */
static void test_hosts(void **state)
{
    static const struct {
        const char *url;
        bool is_same; /* as https://example.amazonaws.com/ */
    } hosts[] = {
        {"https://example.amazonaws.com:443/", true},
        {"http://example.amazonaws.com:80", true},
        {"http://user:word@example.amazonaws.com/", true},
        {"https://example.amazonaws.com/#x", true},
        {"http://example.amazonaws.com:443/", false},
        {"https://example.amazonaws.com:80/", false},
        {"https://example.amazonaws.com/?", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        struct aws_keys keys = {0};
        struct err err = {{0}};
        struct cloud_request request = {.method = "GET", .url = hosts[i].url};
        assert_int_equal(aws_keys_set(&keys, "AKIDEXAMPLE",
                                      "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "", &err),
                         0);
        assert_int_equal(aws_sign(&request, &keys, "us-east-1", "service", NOW, &err), 0);
        bool is_same = strstr(header_of(&request, "Authorization"), vectors[0].signature) != NULL;
        if (is_same != hosts[i].is_same)
            fail_msg("%s", hosts[i].url);
        cloud_request_done(&request);
        aws_keys_done(&keys);
    }
}

static void test_refusals(void **state)
{
    struct aws_keys keys = {0};
    struct err err = {{0}};
    (void)state;
    struct cloud_request request = {.method = "GET", .url = "nothing"};
    assert_int_equal(aws_keys_set(&keys, "A", "secret-word", NULL, &err), 0);
    assert_int_equal(aws_sign(&request, &keys, "r", "s", NOW, &err), -EINVAL);
    assert_non_null(strstr(err.text, "nothing"));
    request.url = "https://h/";
    cloud_request_done(&request);
    assert_int_equal(aws_keys_set(&keys, "A\r\nX: y", "secret-word", NULL, &err), 0);
    assert_int_equal(aws_sign(&request, &keys, "r", "s", NOW, &err), -EINVAL);
    assert_null(strstr(err.text, "secret-word"));
    cloud_request_done(&request);
    aws_keys_done(&keys);
    assert_null(keys.secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
