/* Asking a cloud again: how often, after which pauses, and what is not asked twice. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "cloud/http.h"
#include "cloud/http_bed.h"

#define NOW ((int64_t)1790000000 * 1000000000) /* Mon, 21 Sep 2026 14:13:20 GMT */

static struct {
    char waits[1024]; /* "500 1000": ms */
    unsigned n_waits;
    unsigned stop_at;   /* the pause, from 1 on, that the user ends; 0: none */
    bool jitter_is_low; /* else as high as can be */
    char prepared[64];  /* "." each time, "!" with renew */
    int refuse_prepare;
} seen;

static bool wait_ms(uint32_t ms, void *with)
{
    size_t len = strlen(seen.waits);
    (void)with;
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

/* Long, so that a busy machine is no lost answer; a test of one that is lost says how long. */
#define LIMIT_MS 30000

static struct cloud_world world = {
    .wait = wait_ms, .random = pick, .now = now, .connect_ms = LIMIT_MS, .total_ms = LIMIT_MS};

static struct http_bed *bed;
static struct cloud_http *http;
static char url[64];

static int begin(void **state)
{
    struct err err;
    (void)state;
    memset(&seen, 0, sizeof seen);
    world.total_ms = LIMIT_MS;
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

/* ---- helpers ---- */

static int prepare(struct cloud_request *request, bool renew, void *with, struct err *err)
{
    size_t len = strlen(seen.prepared);
    (void)with;
    seen.prepared[len] = renew ? '!' : '.';
    if (seen.refuse_prepare)
        return err_set(err, seen.refuse_prepare, "no credentials");
    cloud_request_header(request, "X-Count", seen.prepared);
    return 0;
}

static const struct cloud_manners usual = {.prepare = prepare};

/* The status, or the negative result. */
static int call(const char *method, bool is_safe, const struct cloud_manners *manners)
{
    struct cloud_request request = {.method = method, .url = url};
    struct cloud_response response = {0};
    struct err err = {""};
    int result = cloud_http_call(http, &request, is_safe, manners, &response, &err);
    int status = (int)response.status;
    if (result < 0)
        assert_null(response.body);
    else
        assert_non_null(response.body);
    assert_int_equal(err.text[0] != '\0', result < 0 || err.text[0]);
    cloud_response_done(&response);
    cloud_request_done(&request);
    return result < 0 ? result : status;
}

static void answers(const int *statuses)
{
    for (; *statuses != 1; statuses++)
        http_bed_answer(bed, *statuses, NULL, NULL);
}

static void check_waits(const char *expected)
{
    assert_string_equal(seen.waits, expected);
    seen.waits[0] = '\0';
}

/* ---- pauses ---- */

static void test_backoff(void **state)
{
    (void)state;
    answers((const int[]){500, 502, 503, 504, 500, 200, 1});
    assert_int_equal(call("GET", true, &usual), 200);
    check_waits("500 1000 2000 4000 8000");
    assert_string_equal(seen.prepared, "......");
    assert_true(http_bed_has(bed, 5, "X-Count: ......"));
    /* By chance, half of it. */
    seen.jitter_is_low = true;
    answers((const int[]){503, 503, 503, 503, 503, 503, 1});
    assert_int_equal(call("GET", true, &usual), 503); /* the last answer */
    check_waits("250 500 1000 2000 4000");
    assert_int_equal(http_bed_count(bed), 12);
    /* As a cloud wants it. */
    const struct cloud_manners own = {
        .prepare = prepare, .n_attempts = 4, .base_ms = 1000, .max_ms = 1500};
    seen.jitter_is_low = false;
    answers((const int[]){503, 503, 503, 503, 1});
    assert_int_equal(call("GET", true, &own), 503);
    check_waits("1000 1500 1500");
    const struct cloud_manners one = {.n_attempts = 1};
    answers((const int[]){503, 1});
    assert_int_equal(call("GET", true, &one), 503);
    check_waits("");
}

static void test_final(void **state)
{
    (void)state;
    static const int statuses[] = {200, 204, 302, 400, 403, 404, 409, 412, 501, 505};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        http_bed_answer(bed, statuses[i], NULL, NULL);
        assert_int_equal(call("GET", true, &usual), statuses[i]);
    }
    check_waits("");
}

static void test_retry_after(void **state)
{
    (void)state;
    static const struct {
        const char *header, *waits;
    } cases[] = {
        {"Retry-After: 7\r\n", "7000"},
        {"Retry-After: 0\r\n", "500"},
        {"Retry-After: 120\r\n", "120000"},
        {"Retry-After: 3600\r\n", "120000"},
        {"Retry-After: 99999999999999999999\r\n", "120000"},
        {"Retry-After: Mon, 21 Sep 2026 14:13:30 GMT\r\n", "10000"},
        {"Retry-After: Monday, 21-Sep-26 14:13:30 GMT\r\n", "10000"},
        {"Retry-After: Tue, 22 Sep 2026 14:13:30 GMT\r\n", "120000"},
        {"Retry-After: Mon, 21 Sep 2026 14:13:10 GMT\r\n", "500"},
        {"Retry-After: -5\r\n", "500"},
        {"Retry-After: soon\r\n", "500"},
        {"Retry-After:\r\n", "500"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        http_bed_answer(bed, 503, cases[i].header, NULL);
        http_bed_answer(bed, 200, NULL, NULL);
        assert_int_equal(call("GET", true, &usual), 200);
        check_waits(cases[i].waits);
    }
}

/* What is slow stays slow: also what follows waits, less and less with each that is not refused. */
static void test_throttled(void **state)
{
    (void)state;
    answers((const int[]){429, 429, 200, 200, 200, 1});
    assert_int_equal(call("GET", true, &usual), 200);
    check_waits("500 250 1000 500");
    assert_int_equal(call("GET", true, &usual), 200);
    check_waits("250");
    assert_int_equal(call("GET", true, &usual), 200);
    check_waits("125");
    /* It has an end. */
    for (unsigned i = 0; i < 7; i++)
        assert_true(call("GET", true, &usual) > 0);
    seen.waits[0] = '\0';
    assert_int_equal(call("GET", true, &usual), 599);
    check_waits("");
}

static void test_interrupted(void **state)
{
    (void)state;
    seen.stop_at = 1;
    answers((const int[]){503, 429, 1});
    assert_int_equal(call("GET", true, &usual), -ECANCELED);
    assert_int_equal(http_bed_count(bed), 1);
    /* In the pause before a call. */
    seen.stop_at = 0;
    const struct cloud_manners one = {.n_attempts = 1};
    assert_int_equal(call("GET", true, &one), 429);
    seen.stop_at = seen.n_waits + 1;
    assert_int_equal(call("GET", true, &usual), -ECANCELED);
    assert_int_equal(http_bed_count(bed), 2);
}

/* ---- once or twice ---- */

static void test_renew(void **state)
{
    (void)state;
    answers((const int[]){401, 200, 1});
    assert_int_equal(call("POST", false, &usual), 200);
    assert_string_equal(seen.prepared, ".!");
    answers((const int[]){401, 401, 1});
    assert_int_equal(call("GET", true, &usual), 401);
    assert_string_equal(seen.prepared, ".!.!");
    check_waits("");
    /* Without a way to renew, it is an answer; the attempts are not counted by it. */
    const struct cloud_manners none = {0};
    answers((const int[]){401, 1});
    assert_int_equal(call("GET", true, &none), 401);
    const struct cloud_manners one = {.prepare = prepare, .n_attempts = 1};
    answers((const int[]){401, 200, 1});
    assert_int_equal(call("GET", true, &one), 200);
    seen.refuse_prepare = -ENOKEY;
    assert_int_equal(call("GET", true, &usual), -ENOKEY);
    assert_int_equal(http_bed_count(bed), 7);
}

static void test_lost_answer(void **state)
{
    (void)state;
    /* It may have been carried out: not again. */
    answers((const int[]){HTTP_BED_CLOSES, 1});
    assert_int_equal(call("POST", false, &usual), -EIO);
    answers((const int[]){HTTP_BED_HANGS, 1});
    world.total_ms = 400;
    assert_int_equal(call("POST", false, &usual), -ETIMEDOUT);
    world.total_ms = LIMIT_MS;
    answers((const int[]){500, 502, 504, 1});
    assert_int_equal(call("POST", false, &usual), 500);
    assert_int_equal(call("POST", false, &usual), 502);
    assert_int_equal(call("POST", false, &usual), 504);
    check_waits("");
    assert_int_equal(http_bed_count(bed), 5);
    /* It was not: again. */
    answers((const int[]){503, 429, 200, 1});
    assert_int_equal(call("POST", false, &usual), 200);
    assert_int_equal(http_bed_count(bed), 8);
    /* Twice is as good as once. */
    answers((const int[]){HTTP_BED_CLOSES, HTTP_BED_HANGS, 502, 200, 1});
    world.total_ms = 2000;
    assert_int_equal(call("POST", true, &usual), 200);
    assert_int_equal(http_bed_count(bed), 12);
}

/* No connection: it was never sent. */
static void test_refused(void **state)
{
    (void)state;
    struct http_bed *gone = http_bed_begin(NULL);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", gone->port);
    http_bed_end(gone);
    assert_int_equal(call("POST", false, &usual), -ECONNREFUSED);
    check_waits("500 1000 2000 4000 8000");
    /* A metadata service that is none is not asked twice. */
    struct cloud_request request = {.method = "GET", .url = url, .is_near = true};
    struct cloud_response response;
    struct err err;
    assert_int_equal(cloud_http_call(http, &request, true, &usual, &response, &err), -ECONNREFUSED);
    check_waits("");
    /* A name may be written wrong. */
    (void)snprintf(url, sizeof url, "http://no-such-host.invalid/");
    assert_int_equal(call("GET", true, &usual), -EHOSTUNREACH);
    check_waits("500 1000");
    cloud_request_done(&request);
}

static enum cloud_verdict own_verdict(const struct cloud_response *response, void *with)
{
    assert_ptr_equal(with, &seen);
    return response->status == 400   ? CLOUD_RETRY
           : response->status == 403 ? CLOUD_THROTTLED
           : response->status == 404 ? CLOUD_RENEW
                                     : CLOUD_DONE;
}

static void test_own_verdict(void **state)
{
    (void)state;
    const struct cloud_manners own = {.prepare = prepare, .judge = own_verdict, .with = &seen};
    answers((const int[]){404, 400, 403, 503, 1});
    assert_int_equal(call("GET", true, &own), 503);
    assert_string_equal(seen.prepared, ".!..");
    check_waits("500 1000 250");
}

/* On a connection that stays open, libcurl itself would repeat what gets no answer. */
static void *keep_open(void *with)
{
    int *listener = with, fd = accept(*listener, NULL, NULL);
    static const char yes[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct http_bed_conn conn = {.fd = fd};
    uintptr_t n = 0;
    for (char *request; fd >= 0 && (request = http_bed_take(&conn)); free(request))
        if (n++ == 0) {
            http_bed_write(&conn, yes, sizeof yes - 1);
        } else { /* the second one is read, and its answer lost; then nobody listens */
            free(request);
            break;
        }
    close(fd);
    struct pollfd wait = {.fd = *listener, .events = POLLIN};
    while (poll(&wait, 1, 1000) > 0 && (fd = accept(*listener, NULL, NULL)) >= 0) {
        conn.fd = fd;
        char *request = http_bed_take(&conn);
        n += request != NULL;
        free(request);
        close(fd);
    }
    return (void *)n;
}

static void test_lost_on_used(void **state)
{
    (void)state;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pthread_t thread;
    void *n = NULL;
    assert_int_equal(bind(fd, (struct sockaddr *)&here, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(here.sin_port));
    assert_int_equal(pthread_create(&thread, NULL, keep_open, &fd), 0);
    assert_int_equal(call("GET", true, &usual), 200);
    world.total_ms = 400; /* what comes on a connection of its own is read only after that */
    assert_true(call("POST", false, &usual) < 0);
    cloud_http_close(http); /* and the connection that it kept */
    http = NULL;
    (void)pthread_join(thread, &n);
    assert_int_equal((uintptr_t)n, 2); /* the GET, and the POST once */
    close(fd);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_backoff),      TEST(test_final),       TEST(test_retry_after),
        TEST(test_throttled),    TEST(test_interrupted), TEST(test_renew),
        TEST(test_lost_answer),  TEST(test_refused),     TEST(test_own_verdict),
        TEST(test_lost_on_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
