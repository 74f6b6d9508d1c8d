/* HTTP to clouds: what is sent, what is taken, which servers are trusted, how long is waited, what
 * is asked again, and that nothing secret is told. The server is a thread: see http_bed.h. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "cloud/http.h"
#include "cloud/http_bed.h"

#define NOW ((int64_t)1790000000 * 1000000000) /* Mon, 21 Sep 2026 14:13:20 GMT */

/* ---- the world ---- */

static struct {
    char waits[1024]; /* "500 1000": ms */
    char traced[4096];
    unsigned stop_at; /* the pause, from 1 on, that the user ends; 0: none */
    unsigned n_waits;
    bool is_stopped;
    bool jitter_is_low; /* else as high as can be */
} seen;

static bool wait_ms(uint32_t ms, void *with)
{
    size_t len = strlen(seen.waits);
    assert_ptr_equal(with, &seen);
    (void)snprintf(seen.waits + len, sizeof seen.waits - len, "%s%u", len ? " " : "", ms);
    return ++seen.n_waits != seen.stop_at;
}

static uint32_t pick(uint32_t below, void *with)
{
    (void)with;
    assert_true(below > 0);
    return seen.jitter_is_low ? 0 : below - 1;
}

static int64_t now(void *with)
{
    (void)with;
    return NOW;
}

static void trace(const char *line, void *with)
{
    size_t len = strlen(seen.traced);
    (void)with;
    (void)snprintf(seen.traced + len, sizeof seen.traced - len, "%s\n", line);
}

static bool is_stopped(void *with)
{
    (void)with;
    return seen.is_stopped;
}

/* Long, so that a busy machine is no lost answer; a test of one that is lost says how long. */
#define LIMIT_MS 30000

static struct cloud_world world = {.wait = wait_ms,
                                   .random = pick,
                                   .now = now,
                                   .trace = trace,
                                   .is_stopped = is_stopped,
                                   .with = &seen,
                                   .connect_ms = LIMIT_MS,
                                   .total_ms = LIMIT_MS};

static struct http_bed *bed;
static struct cloud_http *http;
static char url[64];

static const char *const variables[] = {
    "http_proxy", "https_proxy",   "no_proxy",     "all_proxy",      "HTTPS_PROXY",
    "NO_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "ALL_PROXY"};

static int begin(void **state)
{
    struct err err;
    (void)state;
    memset(&seen, 0, sizeof seen);
    world.total_ms = LIMIT_MS;
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        (void)unsetenv(variables[i]);
    bed = http_bed_begin(NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/x", bed->port);
    return cloud_http_open(&world, &http, &err);
}

static int end(void **state)
{
    (void)state;
    cloud_http_close(http);
    http_bed_end(bed);
    return 0;
}

static void set(const char *variable, const char *value)
{
    assert_int_equal(setenv(variable, value, 1), 0); /* allowed: a test's own world */
}

static int get(const char *where, struct cloud_response *out, struct err *err)
{
    struct cloud_request request = {.method = "GET", .url = where};
    return cloud_http_send(http, &request, out, err);
}

/* ---- one request ---- */

static void test_get(void **state)
{
    (void)state;
    struct cloud_response response;
    struct cloud_request request = {.method = "GET", .url = url, .what = "DescribeVpcs"};
    struct err err = {""};
    cloud_request_header(&request, "X-One", "1");
    cloud_request_header(&request, "x-one", "2"); /* in its place */
    cloud_request_header(&request, "X-Two", "2");
    cloud_request_header(&request, "X-Two", NULL);
    cloud_request_header(&request, "X-Empty", "");
    http_bed_answer(bed, 404, "X-Said:  a b \r\nContent-Type: text/plain\r\n", "not here");
    if (cloud_http_send(http, &request, &response, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(response.status, 404);
    assert_string_equal(response.body, "not here");
    assert_int_equal(response.size, 8);
    assert_string_equal(cloud_response_header(&response, "x-SAID"), "a b");
    assert_null(cloud_response_header(&response, "x-other"));
    assert_int_equal(strncmp(http_bed_request(bed, 0), "GET /x HTTP/1.1\r\n", 17), 0);
    assert_true(http_bed_has(bed, 0, "x-one: 2"));
    assert_false(http_bed_has(bed, 0, "X-One: 1"));
    assert_true(http_bed_has(bed, 0, "X-Empty:"));
    assert_null(strcasestr(http_bed_request(bed, 0), "x-two"));
    assert_null(strcasestr(http_bed_request(bed, 0), "content-type"));
    assert_non_null(strstr(http_bed_request(bed, 0), "User-Agent: cloudspan/"));
    cloud_response_done(&response);
    cloud_request_done(&request);
    assert_null(response.body);
    /* No body is an empty one. */
    http_bed_answer(bed, 204, NULL, NULL);
    assert_int_equal(get(url, &response, &err), 0);
    assert_string_equal(response.body, "");
    assert_int_equal(response.size, 0);
    cloud_response_done(&response);
}

static void test_bodies(void **state)
{
    (void)state;
    static const struct {
        const char *method, *body;
    } cases[] = {{"POST", "a=b"}, {"PUT", "a\r\nb"}, {"PATCH", "{}"}, {"DELETE", NULL},
                 {"POST", NULL},  {"PUT", NULL},     {"HEAD", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cloud_request request = {.method = cases[i].method,
                                        .url = url,
                                        .body = cases[i].body,
                                        .size = cases[i].body ? strlen(cases[i].body) : 0};
        struct cloud_response response;
        struct err err = {""};
        char line[32];
        http_bed_answer(bed, 200, NULL, strcmp(cases[i].method, "HEAD") == 0 ? NULL : "yes");
        if (cloud_http_send(http, &request, &response, &err) < 0)
            fail_msg("%s: %s", cases[i].method, err.text);
        (void)snprintf(line, sizeof line, "%s /x HTTP/1.1\r\n", cases[i].method);
        assert_int_equal(strncmp(http_bed_request(bed, i), line, strlen(line)), 0);
        assert_string_equal(http_bed_body(bed, i), cases[i].body ? cases[i].body : "");
        assert_null(strcasestr(http_bed_request(bed, i), "Expect:"));
        if (!cases[i].body && (cases[i].method[0] == 'P'))
            assert_true(http_bed_has(bed, i, "Content-Length: 0"));
        cloud_response_done(&response);
    }
}

/* Nobody puts a header of their own into a request. */
static void test_injection(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {"X-A", "b\r\nX-Evil: 1"}, {"X-A", "b\n"}, {"X-A\r\nX-Evil", "1"}, {"X-A: b", "1"}};
    static const char *const urls[] = {"http://127.0.0.1/\r\nX-Evil: 1",
                                       "http://127.0.0.1/a b",
                                       "file:///etc/passwd",
                                       "gopher://127.0.0.1/",
                                       "",
                                       "x"};
    struct cloud_response response;
    struct err err;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct cloud_request request = {.method = "GET", .url = url};
        cloud_request_header(&request, values[i][0], values[i][1]);
        assert_true(request.failed);
        assert_int_equal(cloud_http_send(http, &request, &response, &err), -EINVAL);
        assert_null(strstr(err.text, "Evil"));
        cloud_request_done(&request);
    }
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        assert_true(get(urls[i], &response, &err) < 0);
    struct cloud_request many = {.method = "GET", .url = url};
    for (unsigned i = 0; i <= CLOUD_HEADERS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "X-%u", i);
        cloud_request_header(&many, name, "1");
    }
    assert_int_equal(cloud_http_send(http, &many, &response, &err), -EINVAL);
    cloud_request_done(&many);
    assert_int_equal(http_bed_count(bed), 0);
}

static void test_too_large(void **state)
{
    (void)state;
    struct cloud_response response;
    struct err err;
    char headers[4096] = "";
    http_bed_answer(bed, 200, NULL, NULL)->n_more = CLOUD_ANSWER_MAX;
    assert_int_equal(get(url, &response, &err), 0);
    assert_int_equal(response.size, CLOUD_ANSWER_MAX);
    cloud_response_done(&response);
    http_bed_answer(bed, 200, NULL, NULL)->n_more = CLOUD_ANSWER_MAX + 1;
    assert_int_equal(get(url, &response, &err), -EMSGSIZE);
    assert_non_null(strstr(err.text, "more than 32 MB"));
    assert_null(response.body);
    /* More headers than are kept: the first ones count, and those that are too long are left out.
     */
    for (unsigned i = 0; i < CLOUD_HEADERS_MAX + 10; i++) {
        size_t len = strlen(headers);
        (void)snprintf(headers + len, sizeof headers - len, "X-%u: %u\r\n", i, i);
    }
    http_bed_answer(bed, 200, headers, "");
    assert_int_equal(get(url, &response, &err), 0);
    assert_int_equal(response.n_headers, CLOUD_HEADERS_MAX);
    assert_string_equal(cloud_response_header(&response, "x-7"), "7");
    cloud_response_done(&response);
    /* What is no HTTP. */
    http_bed_answer(bed, HTTP_BED_RAW, NULL, "SSH-2.0-OpenSSH_9.2p1\r\n");
    assert_true(get(url, &response, &err) < 0);
    assert_null(response.body);
}

/* To the same server only: the headers authorise. */
static void test_redirections(void **state)
{
    (void)state;
    struct http_bed *other = http_bed_begin(NULL);
    struct cloud_request request = {.method = "GET", .url = url, .follows = true};
    struct cloud_response response;
    struct err err = {""};
    char elsewhere[96], same[96];
    cloud_request_header(&request, "X-Auth-Token", "secret");
    (void)snprintf(elsewhere, sizeof elsewhere, "Location: http://127.0.0.1:%u/y\r\n", other->port);
    (void)snprintf(same, sizeof same, "Location: http://127.0.0.1:%u/y\r\n", bed->port);
    http_bed_answer(bed, 302, same, "moved");
    http_bed_answer(bed, 307, "Location: z?a=b\r\nX-Old: 1\r\n", "moved");
    http_bed_answer(bed, 200, NULL, "here");
    if (cloud_http_send(http, &request, &response, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(response.body, "here");
    assert_null(cloud_response_header(&response, "x-old"));
    assert_int_equal(strncmp(http_bed_request(bed, 2), "GET /z?a=b ", 11), 0);
    assert_true(http_bed_has(bed, 2, "X-Auth-Token: secret"));
    cloud_response_done(&response);
    /* Elsewhere, without end, of a POST, or where it was not asked for: they are answers. */
    http_bed_answer(bed, 302, elsewhere, "moved");
    assert_int_equal(cloud_http_send(http, &request, &response, &err), 0);
    assert_int_equal(response.status, 302);
    assert_string_equal(response.body, "moved");
    cloud_response_done(&response);
    for (unsigned i = 0; i < 4; i++)
        http_bed_answer(bed, 302, same, NULL);
    assert_int_equal(cloud_http_send(http, &request, &response, &err), 0);
    assert_int_equal(response.status, 302);
    assert_int_equal(http_bed_count(bed), 3 + 1 + 4);
    cloud_response_done(&response);
    request.method = "POST";
    http_bed_answer(bed, 302, same, NULL);
    assert_int_equal(cloud_http_send(http, &request, &response, &err), 0);
    assert_int_equal(response.status, 302);
    cloud_response_done(&response);
    request.method = "GET";
    request.follows = false;
    http_bed_answer(bed, 301, same, NULL);
    assert_int_equal(cloud_http_send(http, &request, &response, &err), 0);
    assert_int_equal(response.status, 301);
    cloud_response_done(&response);
    assert_int_equal(http_bed_count(bed), 3 + 1 + 4 + 2);
    assert_int_equal(http_bed_count(other), 0);
    cloud_request_done(&request);
    http_bed_end(other);
}

/* ---- nobody answers ---- */

static void test_nobody(void **state)
{
    (void)state;
    struct cloud_response response;
    struct err err;
    char closed[96];
    struct http_bed *gone = http_bed_begin(NULL);
    (void)snprintf(closed, sizeof closed, "http://127.0.0.1:%u/", gone->port);
    http_bed_end(gone);
    assert_int_equal(get(closed, &response, &err), -ECONNREFUSED);
    assert_non_null(strstr(err.text, "a firewall, a proxy"));
    /* Too long to be a name: no name server of this machine's is asked, which may be slow. */
    static const char label[] = "no-such-host-no-such-host-no-such-host-no-such-host-no-such-host";
    (void)snprintf(closed, sizeof closed, "http://%s.invalid/", label);
    assert_int_equal(get(closed, &response, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.text, "name server"));
    http_bed_answer(bed, HTTP_BED_CLOSES, NULL, NULL);
    assert_int_equal(get(url, &response, &err), -EIO);
    /* It says nothing. */
    world.total_ms = 1500;
    int64_t start = clock_ticks();
    http_bed_answer(bed, HTTP_BED_HANGS, NULL, NULL);
    assert_int_equal(get(url, &response, &err), -ETIMEDOUT);
    int64_t took = (clock_ticks() - start) / 1000000;
    assert_in_range(took, 1400, LIMIT_MS / 2);
    assert_null(response.body);
    assert_non_null(strstr(seen.traced, "/x: no answer (curl 28), "));
}

/* Ctrl-C while an answer is waited for. */
static void test_stopped(void **state)
{
    (void)state;
    struct cloud_response response;
    struct err err;
    struct cloud_manners manners = {0};
    struct cloud_request request = {.method = "GET", .url = url};
    http_bed_answer(bed, HTTP_BED_HANGS, NULL, NULL);
    seen.is_stopped = true;
    int64_t start = clock_ticks();
    assert_int_equal(cloud_http_call(http, &request, true, &manners, &response, &err), -ECANCELED);
    assert_true(clock_ticks() - start < (int64_t)LIMIT_MS / 2 * 1000000);
    assert_string_equal(seen.waits, "");
    assert_string_equal(err.text, "interrupted");
}

/* ---- trust ---- */

/* A certificate of 127.0.0.1, or of a name, that nobody signed. */
static X509 *make_certificate(EVP_PKEY *key, const char *names)
{
    X509 *made = X509_new();
    X509V3_CTX context;
    assert_non_null(made);
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), (long)(clock_now() / 1000 % 1000000000));
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 3600);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const unsigned char *)names, -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(made));
    X509V3_set_ctx(&context, made, made, NULL, NULL, 0);
    X509_EXTENSION *more = X509V3_EXT_conf_nid(NULL, &context, NID_subject_alt_name, names);
    assert_non_null(more);
    X509_add_ext(made, more, -1);
    X509_EXTENSION_free(more);
    assert_true(X509_sign(made, key, EVP_sha256()) > 0);
    return made;
}

struct tls {
    EVP_PKEY *key;
    X509 *certificate;
    SSL_CTX *context;
    char folder[64], file[96], link[96];
};

static struct tls make_tls(const char *names)
{
    struct tls tls = {.key = EVP_EC_gen("P-256"), .context = SSL_CTX_new(TLS_server_method())};
    assert_non_null(tls.key);
    assert_non_null(tls.context);
    tls.certificate = make_certificate(tls.key, names);
    assert_int_equal(SSL_CTX_use_certificate(tls.context, tls.certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(tls.context, tls.key), 1);
    (void)snprintf(tls.folder, sizeof tls.folder, "/tmp/http-XXXXXX");
    assert_non_null(mkdtemp(tls.folder));
    (void)snprintf(tls.file, sizeof tls.file, "%s/ca.pem", tls.folder);
    /* As c_rehash names them. */
    (void)snprintf(tls.link, sizeof tls.link, "%s/%08lx.0", tls.folder,
                   X509_subject_name_hash(tls.certificate));
    FILE *file = fopen(tls.file, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, tls.certificate), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(symlink("ca.pem", tls.link), 0);
    return tls;
}

static void tls_done(struct tls *tls)
{
    (void)unlink(tls->link);
    (void)unlink(tls->file);
    (void)rmdir(tls->folder);
    SSL_CTX_free(tls->context);
    X509_free(tls->certificate);
    EVP_PKEY_free(tls->key);
}

static void check_trust(const char *where, int expected)
{
    struct cloud_response response;
    struct err err = {""};
    struct err none;
    struct cloud_http *fresh = NULL;
    cloud_http_close(http); /* and what it remembers of the server */
    assert_int_equal(cloud_http_open(&world, &fresh, &none), 0);
    http = fresh;
    int result = get(where, &response, &err);
    if (result != expected)
        fail_msg("%d instead of %d: %s", result, expected, err.text);
    if (result < 0)
        assert_non_null(strstr(err.text, "certificate"));
    cloud_response_done(&response);
}

static void test_trust(void **state)
{
    (void)state;
    struct tls tls = make_tls("IP:127.0.0.1"), wrong = make_tls("DNS:example.com");
    struct http_bed *good = http_bed_begin(tls.context), *bad = http_bed_begin(wrong.context);
    struct cloud_response response;
    struct err err = {""};
    char where[64], bad_name[64];
    (void)snprintf(where, sizeof where, "https://127.0.0.1:%u/", good->port);
    (void)snprintf(bad_name, sizeof bad_name, "https://127.0.0.1:%u/", bad->port);
    for (unsigned i = 0; i < 6; i++)
        http_bed_answer(good, 200, NULL, "yes");
    check_trust(where, -EPROTO);
    assert_int_equal(http_bed_count(good), 0); /* nothing was sent */
    static const char *const files[] = {"SSL_CERT_FILE", "CURL_CA_BUNDLE"};
    for (size_t i = 0; i < 2; i++) {
        set(files[i], tls.file);
        check_trust(where, 0);
        set(files[i], wrong.file);
        check_trust(where, -EPROTO);
        (void)unsetenv(files[i]);
    }
    set("SSL_CERT_DIR", tls.folder);
    check_trust(where, 0);
    (void)unsetenv("SSL_CERT_DIR");
    /* The name has to be right as well. */
    set("SSL_CERT_FILE", wrong.file);
    check_trust(bad_name, -EPROTO);
    (void)unsetenv("SSL_CERT_FILE");
    /* What a provider was told, in place of all others. */
    check_trust(where, -EPROTO);
    const char *const told[] = {tls.file, tls.folder};
    for (size_t i = 0; i < 2; i++) {
        cloud_http_trust(http, told[i], NULL, NULL);
        if (get(where, &response, &err) < 0)
            fail_msg("%s", err.text);
        cloud_response_done(&response);
    }
    set("SSL_CERT_FILE", tls.file);
    cloud_http_close(http);
    assert_int_equal(cloud_http_open(&world, &http, &err), 0);
    cloud_http_trust(http, wrong.file, NULL, NULL);
    assert_int_equal(get(where, &response, &err), -EPROTO);
    http_bed_end(good);
    http_bed_end(bad);
    tls_done(&tls);
    tls_done(&wrong);
}

/* ---- proxies ---- */

static void test_proxies(void **state)
{
    (void)state;
    struct http_bed *proxy = http_bed_begin(NULL);
    struct cloud_request near = {.method = "GET", .url = url, .is_near = true};
    struct cloud_response response;
    struct err err = {""};
    char address[64], bad[64];
    (void)snprintf(address, sizeof address, "http://joe:hush@127.0.0.1:%u", proxy->port);
    set("http_proxy", address);
    set("https_proxy", address);
    http_bed_answer(proxy, 200, NULL, "by the proxy");
    assert_int_equal(get("http://cloud.invalid/y", &response, &err), 0);
    assert_string_equal(response.body, "by the proxy");
    cloud_response_done(&response);
    assert_int_equal(strncmp(http_bed_request(proxy, 0), "GET http://cloud.invalid/y ", 27), 0);
    assert_true(http_bed_has(proxy, 0, "Proxy-Authorization: Basic am9lOmh1c2g="));
    /* https: through a tunnel, and the proxy sees no request. */
    http_bed_answer(proxy, 403, NULL, NULL);
    assert_true(get("https://cloud.invalid/secret", &response, &err) < 0);
    assert_int_equal(strncmp(http_bed_request(proxy, 1), "CONNECT cloud.invalid:443 ", 26), 0);
    assert_null(strstr(err.text, "hush"));
    /* Not to the machine's own metadata service, nor where the user says so. */
    http_bed_answer(bed, 200, NULL, "near");
    assert_int_equal(cloud_http_send(http, &near, &response, &err), 0);
    cloud_response_done(&response);
    set("no_proxy", "127.0.0.1,example.com");
    http_bed_answer(bed, 200, NULL, "direct");
    assert_int_equal(get(url, &response, &err), 0);
    cloud_response_done(&response);
    assert_int_equal(http_bed_count(bed), 2);
    assert_int_equal(http_bed_count(proxy), 2);
    /* One that is written wrong: its password is not said. */
    (void)snprintf(bad, sizeof bad, "http://joe:hush@127.0.0.1:999999");
    set("http_proxy", bad);
    (void)unsetenv("no_proxy");
    assert_true(get("http://cloud.invalid/y", &response, &err) < 0);
    assert_null(strstr(err.text, "hush"));
    assert_null(strstr(seen.traced, "hush"));
    assert_null(strstr(seen.traced, "am9l"));
    http_bed_end(proxy);
}

/* ---- secrets ---- */

static void test_secrets(void **state)
{
    (void)state;
    struct cloud_response response;
    struct err err = {""};
    char with_query[128];
    (void)snprintf(with_query, sizeof with_query, "%s?X-Amz-Signature=hush#hush", url);
    struct cloud_request request = {
        .method = "POST", .url = with_query, .body = "password=hush", .size = 13, .what = "Login"};
    cloud_request_header(&request, "Authorization", "Bearer hush");
    http_bed_answer(bed, 200, "Set-Cookie: hush\r\n", "{\"token\": \"hush\"}");
    assert_int_equal(cloud_http_send(http, &request, &response, &err), 0);
    cloud_response_done(&response);
    http_bed_answer(bed, HTTP_BED_CLOSES, NULL, NULL);
    assert_true(cloud_http_send(http, &request, &response, &err) < 0);
    assert_null(strstr(err.text, "hush"));
    request.url = "http://joe:hush@127.0.0.1/x";
    assert_int_equal(cloud_http_send(http, &request, &response, &err), -EINVAL);
    assert_null(strstr(err.text, "hush"));
    cloud_request_done(&request);
    assert_null(strstr(seen.traced, "hush"));
    char expected[128];
    (void)snprintf(expected, sizeof expected, "POST %s Login: 200, ", url);
    assert_int_equal(strncmp(seen.traced, expected, strlen(expected)), 0);
    cloud_forget(NULL);
    cloud_forget(strdup("x"));
}

static void test_escaped(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"aZ09-._~", "", "aZ09-._~"},
        {"a b&c=d/e+f", "", "a%20b%26c%3Dd%2Fe%2Bf"},
        {"a/b c", "/", "a/b%20c"},
        {"\xc3\xa4\x01\x7f*", "", "%C3%A4%01%7F%2A"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct text text;
        text_init(&text, 100);
        cloud_put_escaped(&text, cases[i][0], cases[i][1]);
        assert_string_equal(text.at, cases[i][2]);
        text_done(&text);
    }
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),          TEST(test_bodies),  TEST(test_injection), TEST(test_too_large),
        TEST(test_redirections), TEST(test_nobody),  TEST(test_stopped),   TEST(test_trust),
        TEST(test_proxies),      TEST(test_secrets), TEST(test_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
