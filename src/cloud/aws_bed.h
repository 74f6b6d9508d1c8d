/* For tests of the AWS client: a server that answers by rules and keeps what it was asked, an
 * environment, and a world whose time passes when somebody waits. */
#ifndef CLOUD_AWS_BED_H
#define CLOUD_AWS_BED_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "cloud/aws_impl.h"

#define BED_RULES 24
#define BED_NOW   (1440938160 * INT64_C(1000000000)) /* 2015-08-30T12:36:00Z */
#define BED_DATE  "Date: Sun, 30 Aug 2015 12:36:00 GMT\r\n"

/* The first rule whose texts are all in the request, and that is not used up. */
struct bed_rule {
    const char *when[4];
    int status;
    const char *body;
    const char *headers; /* each ended by CR LF; NULL: none */
    int times;           /* 0: any number */
    int used;
};

struct bed {
    int listener, stop[2];
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    struct bed_rule rules[BED_RULES];
    size_t n_rules;
    struct text asked; /* all requests, one behind the other */
    int n_asked;
    const char *env[32]; /* "NAME=value" */
    size_t n_env;
    char own[32][160]; /* what bed_env made */
    size_t n_own;
    struct cloud_world world;
    struct cloud_http *http;
    int64_t now;
    int n_waits;
    struct text traced;
};

static inline void bed_answer(struct bed *bed, int fd, const char *request)
{
    static const struct bed_rule none = {.status = 404, .body = "no rule"};
    const struct bed_rule *rule = &none;
    struct text answer;
    pthread_mutex_lock(&bed->lock);
    text_put(&bed->asked, request);
    text_put(&bed->asked, "\n----\n");
    bed->n_asked++;
    for (size_t i = 0; i < bed->n_rules && rule == &none; i++) {
        struct bed_rule *r = &bed->rules[i];
        bool fits = r->times == 0 || r->used < r->times;
        for (size_t k = 0; k < 4 && r->when[k]; k++)
            fits = fits && strstr(request, r->when[k]);
        if (fits) {
            r->used++;
            rule = r;
        }
    }
    pthread_mutex_unlock(&bed->lock);
    text_init(&answer, 1u << 20);
    text_format(&answer, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n",
                rule->status, strlen(rule->body));
    text_put(&answer, rule->headers ? rule->headers : "");
    text_put(&answer, "\r\n");
    text_put(&answer, rule->body);
    (void)!write(fd, answer.at, answer.size);
    text_done(&answer);
}

/* One request: its head, and as much of a body as the head says. */
static inline void bed_serve_one(struct bed *bed, int fd)
{
    char request[32768];
    size_t size = 0, wanted = 0;
    while (size + 1 < sizeof request) {
        ssize_t n = read(fd, request + size, sizeof request - 1 - size);
        if (n <= 0)
            break;
        size += (size_t)n;
        request[size] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *length = strcasestr(request, "\r\nContent-Length: ");
        if (end && !wanted)
            wanted = (size_t)(end + 4 - request) + (length ? strtoul(length + 18, NULL, 10) : 0);
        if (wanted && size >= wanted)
            break;
    }
    if (wanted && size >= wanted)
        bed_answer(bed, fd, request);
    (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static inline void *bed_serve(void *with)
{
    struct bed *bed = with;
    for (;;) {
        struct pollfd fds[2] = {{bed->listener, POLLIN, 0}, {bed->stop[0], POLLIN, 0}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents)
            return NULL;
        int fd = accept(bed->listener, NULL, NULL);
        if (fd >= 0)
            bed_serve_one(bed, fd);
    }
}

static inline bool bed_wait(uint32_t ms, void *with)
{
    struct bed *bed = with;
    bed->now += (int64_t)ms * 1000000;
    bed->n_waits++;
    return true;
}

static inline int64_t bed_now(void *with)
{
    return ((struct bed *)with)->now;
}

static inline void bed_trace(const char *line, void *with)
{
    text_put(&((struct bed *)with)->traced, line);
    text_put(&((struct bed *)with)->traced, "\n");
}

static inline uint32_t bed_random(uint32_t below, void *with)
{
    (void)with;
    return below - 1;
}

static inline const char *bed_get(const char *name, void *with)
{
    const struct bed *bed = with;
    size_t len = strlen(name);
    for (size_t i = bed->n_env; i-- > 0;)
        if (strncmp(bed->env[i], name, len) == 0 && bed->env[i][len] == '=')
            return bed->env[i] + len + 1;
    return NULL;
}

/* The last one of a name counts; "NAME=" takes it away. */
static inline void bed_put(struct bed *bed, const char *pair)
{
    assert_true(bed->n_env < 32);
    bed->env[bed->n_env++] = pair;
}

/* `name`, and the server's URL with `path`. */
static inline void bed_env(struct bed *bed, const char *name, const char *path)
{
    assert_true(bed->n_own < 32);
    char *own = bed->own[bed->n_own++];
    (void)snprintf(own, sizeof bed->own[0], "%s=http://127.0.0.1:%u%s", name, bed->port, path);
    bed_put(bed, own);
}

static inline struct bed *bed_start(void)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    struct err err;
    assert_non_null(bed);
    bed->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(bed->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(bed->listener, 16), 0);
    assert_int_equal(getsockname(bed->listener, (struct sockaddr *)&at, &size), 0);
    bed->port = ntohs(at.sin_port);
    assert_int_equal(pipe(bed->stop), 0);
    assert_int_equal(pthread_mutex_init(&bed->lock, NULL), 0);
    text_init(&bed->asked, 8u << 20);
    text_init(&bed->traced, 1u << 20);
    bed->now = BED_NOW;
    bed->world = (struct cloud_world){
        .wait = bed_wait, .random = bed_random, .now = bed_now, .trace = bed_trace, .with = bed};
    assert_int_equal(cloud_http_open(&bed->world, &bed->http, &err), 0);
    assert_int_equal(pthread_create(&bed->thread, NULL, bed_serve, bed), 0);
    bed_put(bed, "HOME=/nonexistent");
    bed_put(bed, "AWS_EC2_METADATA_DISABLED=true");
    bed_env(bed, "AWS_ENDPOINT_URL", "");
    return bed;
}

static inline void bed_stop(struct bed *bed)
{
    (void)!write(bed->stop[1], "", 1);
    assert_int_equal(pthread_join(bed->thread, NULL), 0);
    cloud_http_close(bed->http);
    close(bed->listener);
    close(bed->stop[0]);
    close(bed->stop[1]);
    pthread_mutex_destroy(&bed->lock);
    text_done(&bed->asked);
    text_done(&bed->traced);
    free(bed);
}

static inline void bed_rule(struct bed *bed, struct bed_rule rule)
{
    pthread_mutex_lock(&bed->lock);
    assert_true(bed->n_rules < BED_RULES);
    bed->rules[bed->n_rules++] = rule;
    pthread_mutex_unlock(&bed->lock);
}

/* Forgets the rules and what was asked. */
static inline void bed_fresh(struct bed *bed)
{
    pthread_mutex_lock(&bed->lock);
    bed->n_rules = 0;
    bed->n_asked = 0;
    text_done(&bed->asked);
    text_done(&bed->traced);
    pthread_mutex_unlock(&bed->lock);
}

static inline bool bed_was_asked(struct bed *bed, const char *text)
{
    pthread_mutex_lock(&bed->lock);
    bool found = bed->asked.at && strstr(bed->asked.at, text);
    pthread_mutex_unlock(&bed->lock);
    return found;
}

static inline int bed_open(struct bed *bed, const struct aws_options *options, struct aws **out,
                           struct err *err)
{
    const struct aws_env env = {bed_get, bed};
    return aws_open_with(options, &env, bed->http, out, err);
}

#endif
