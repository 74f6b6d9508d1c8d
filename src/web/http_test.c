/* The HTTP server over the loopback: pages, methods, Host headers, limits. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "web/http.h"

struct bed {
    struct web *web;
    unsigned port;
    bool has_metrics, healthy;
};

static char *metrics(size_t *out_size, void *with)
{
    struct bed *bed = with;
    char *text = bed->has_metrics ? strdup("a_total 1\n") : NULL;
    *out_size = text ? strlen(text) : 0;
    return text;
}

static bool is_healthy(void *with)
{
    return ((struct bed *)with)->healthy;
}

static void start(struct bed *bed, const char *address, unsigned n_connections)
{
    struct err err;
    int fd = web_listen(address, &err);
    if (fd < 0)
        fail_msg("%s", err.text);
    *bed = (struct bed){.port = web_port(fd), .has_metrics = true, .healthy = true};
    assert_int_not_equal(bed->port, 0);
    struct web_options options = {.listen_fd = fd,
                                  .metrics = metrics,
                                  .is_healthy = is_healthy,
                                  .with = bed,
                                  .metrics_type = "text/plain; version=0.0.4",
                                  .n_connections = n_connections};
    if (web_start(&options, &bed->web, &err) < 0)
        fail_msg("%s", err.text);
}

static int open_one(const struct bed *bed)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)bed->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends the request, gives the status (0: closed without one); the answer is read to its end. */
static int ask(const struct bed *bed, const char *request, char out[4096])
{
    int fd = open_one(bed);
    size_t len = strlen(request), at = 0;
    assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
    for (ssize_t n; at < 4095 && (n = recv(fd, out + at, 4095 - at, 0)) > 0;)
        at += (size_t)n;
    out[at] = '\0';
    close(fd);
    return strncmp(out, "HTTP/1.", 7) == 0 ? (int)strtol(out + 9, NULL, 10) : 0;
}

static int get(const struct bed *bed, const char *method, const char *path, const char *host,
               char out[4096])
{
    char request[512];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
             method, path, host);
    return ask(bed, request, out);
}

static void test_pages(void **state)
{
    (void)state;
    struct bed bed;
    char out[4096];
    start(&bed, "127.0.0.1:0", 0);
    assert_int_equal(get(&bed, "GET", "/metrics", "localhost", out), 200);
    assert_non_null(strstr(out, "\r\n\r\na_total 1\n"));
    assert_non_null(strstr(out, "Content-Type: text/plain; version=0.0.4\r\n"));
    assert_non_null(strstr(out, "Cache-Control: no-store\r\n"));
    assert_int_equal(get(&bed, "HEAD", "/metrics", "localhost", out), 200);
    assert_null(strstr(out, "a_total"));
    assert_int_equal(get(&bed, "GET", "/metrics?x=1", "localhost", out), 200);
    assert_int_equal(get(&bed, "GET", "/healthz", "localhost", out), 200);
    static const char *const others[] = {"/",    "/metrics/", "/metricsx", "/../etc/passwd",
                                         "/%00", "*"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(get(&bed, "GET", others[i], "localhost", out), 404);
    static const char *const methods[] = {"POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        assert_int_equal(get(&bed, methods[i], "/metrics", "localhost", out), 405);
    assert_int_equal(ask(&bed,
                         "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                         "Connection: close\r\n\r\nbody",
                         out),
                     405);
    bed.has_metrics = false;
    bed.healthy = false;
    assert_int_equal(get(&bed, "GET", "/metrics", "localhost", out), 503);
    assert_int_equal(get(&bed, "GET", "/healthz", "localhost", out), 503);
    web_stop(bed.web);
}

static void test_hosts(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int loopback, any; /* status where it listens on 127.0.0.2, on all addresses */
    } rows[] = {
        {"localhost", 200, 200},
        {"LOCALHOST:4790", 200, 200},
        {"127.0.0.1", 200, 200},
        {"127.0.0.1:4790", 200, 200},
        {"[::1]", 200, 200},
        {"[::1]:4790", 200, 200},
        {"evil.example", 403, 403},
        {"evil.example:4790", 403, 403},
        {"localhost.evil", 403, 403},
        {"127.0.0.1.evil.example", 403, 403},
        {"127.0.0.1:80@evil", 403, 403},
        {"10.1.2.3", 403, 200},
        {"[fd00::1]:4790", 403, 200},
        {"[::1", 403, 403},
        {"[::1]x", 403, 403},
        {"", 403, 403},
        {":4790", 403, 403},
        {"localhost:4790x", 403, 403},
    };
    struct bed on_loopback, on_any;
    char out[4096];
    start(&on_loopback, "127.0.0.1:0", 0);
    start(&on_any, "0.0.0.0:0", 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int loopback = get(&on_loopback, "GET", "/metrics", rows[i].host, out);
        int any = get(&on_any, "GET", "/metrics", rows[i].host, out);
        if (loopback != rows[i].loopback || any != rows[i].any)
            fail_msg("Host '%s': %d %d", rows[i].host, loopback, any);
    }
    /* None, and two of which one is good. */
    assert_int_not_equal(ask(&on_loopback, "GET /metrics HTTP/1.0\r\n\r\n", out), 200);
    assert_int_not_equal(ask(&on_loopback,
                             "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n"
                             "Connection: close\r\n\r\n",
                             out),
                         200);
    web_stop(on_any.web);
    web_stop(on_loopback.web);
}

static void test_nonsense(void **state)
{
    (void)state;
    struct bed bed;
    char out[4096];
    start(&bed, "127.0.0.1:0", 0);
    static const char *const requests[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\r\n\r\n",
        "GET /metrics HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = open_one(&bed);
        (void)send(fd, requests[i], strlen(requests[i]), MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        while (recv(fd, out, sizeof out, 0) > 0)
            continue;
        close(fd);
    }
    /* A head without end is cut off, not kept. */
    int fd = open_one(&bed);
    char line[1000];
    memset(line, 'x', sizeof line);
    (void)send(fd, "GET /metrics HTTP/1.1\r\nX: ", 26, MSG_NOSIGNAL);
    size_t sent = 0;
    while (sent < (64u << 20) && send(fd, line, sizeof line, MSG_NOSIGNAL) > 0)
        sent += sizeof line;
    assert_true(sent < (64u << 20));
    close(fd);
    assert_int_equal(get(&bed, "GET", "/metrics", "localhost", out), 200);
    web_stop(bed.web);
}

/* Those over the limit are closed; the first are still served. */
static void test_connections(void **state)
{
    (void)state;
    struct bed bed;
    char out[4096] = "";
    start(&bed, "127.0.0.1:0", 4);
    int fds[4];
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (size_t i = 0; i < 4; i++) {
        fds[i] = open_one(&bed);
        assert_int_equal(send(fds[i], request, sizeof request - 1, 0), sizeof request - 1);
        assert_true(recv(fds[i], out, sizeof out - 1, 0) > 0);
        assert_memory_equal(out, "HTTP/1.1 200", 12);
    }
    close(fds[0]); /* makes room: the next is served, after a wait in the kernel */
    assert_int_equal(get(&bed, "GET", "/healthz", "localhost", out), 200);
    for (size_t i = 1; i < 4; i++)
        close(fds[i]);
    web_stop(bed.web);
}

static void test_addresses(void **state)
{
    (void)state;
    struct err err;
    static const char *const wrong[] = {"",
                                        "4790",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        ":4790",
                                        "127.0.0.1:x",
                                        "127.0.0.1:65536",
                                        "::1:4790",
                                        "[::1]",
                                        "[::1:4790",
                                        "[]:1",
                                        "example.com:80",
                                        "1.2.3:1x",
                                        "127.0.0.1:-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (web_listen(wrong[i], &err) != -EINVAL)
            fail_msg("'%s' is taken, or another error", wrong[i]);
    int fd = web_listen("localhost:0", &err);
    assert_true(fd >= 0);
    char same[32];
    snprintf(same, sizeof same, "127.0.0.1:%u", web_port(fd));
    assert_int_equal(web_listen(same, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, "--metrics"));
    close(fd);
    web_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),     cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_nonsense),  cmocka_unit_test(test_connections),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
