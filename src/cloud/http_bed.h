/* For unit tests: a small HTTP server in a thread, on 127.0.0.1. It gives the answers it was told
 * to give, one for each request, and keeps the requests. Each answer closes its connection. */
#ifndef CLOUD_HTTP_BED_H
#define CLOUD_HTTP_BED_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define HTTP_BED_MAX     64      /* answers, and requests */
#define HTTP_BED_REQUEST 1048576 /* bytes of one */

/* In place of a status. */
enum {
    HTTP_BED_CLOSES = 0, /* reads the request, and closes the connection */
    HTTP_BED_HANGS = -1, /* reads it, and says nothing until the other side goes */
    HTTP_BED_RAW = -2,   /* the body is all that is sent */
};

struct http_bed_answer {
    int status;
    char *headers; /* "Retry-After: 1\r\n" */
    char *body;
    size_t n_more; /* so many bytes 'x' follow the body */
};

struct http_bed {
    int fd, stop[2];
    unsigned port;
    SSL_CTX *tls; /* NULL: plain */
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows */
    struct http_bed_answer answers[HTTP_BED_MAX];
    size_t n_answers, n_given;
    char *requests[HTTP_BED_MAX]; /* "GET /x HTTP/1.1\r\n…\r\n\r\nbody" */
    size_t n_requests;
    unsigned n_refused; /* handshakes */
};

static inline void http_bed_die(const char *what)
{
    perror(what);
    abort();
}

/* ---- a connection ---- */

struct http_bed_conn {
    int fd;
    SSL *ssl;
};

static inline ssize_t http_bed_read(const struct http_bed_conn *conn, char *at, size_t size)
{
    return conn->ssl ? SSL_read(conn->ssl, at, (int)size) : read(conn->fd, at, size);
}

static inline void http_bed_write(const struct http_bed_conn *conn, const char *at, size_t size)
{
    while (size > 0) {
        ssize_t n = conn->ssl ? SSL_write(conn->ssl, at, (int)(size < 16384 ? size : 16384))
                              : send(conn->fd, at, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the other side had enough */
        at += n;
        size -= (size_t)n;
    }
}

/* The whole request, on the heap; NULL: there was none. */
static inline char *http_bed_take(const struct http_bed_conn *conn)
{
    char *text = calloc(1, HTTP_BED_REQUEST + 1), *end = NULL;
    size_t size = 0, wanted = 0;
    if (!text)
        http_bed_die("calloc");
    while (size < HTTP_BED_REQUEST && (!end || size < wanted)) {
        ssize_t n = http_bed_read(conn, text + size, HTTP_BED_REQUEST - size);
        if (n <= 0)
            break;
        size += (size_t)n;
        end = end ? end : strstr(text, "\r\n\r\n");
        const char *length = end ? strcasestr(text, "\r\nContent-Length:") : NULL;
        if (end)
            wanted = (size_t)(end + 4 - text) +
                     (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    }
    if (end)
        return text;
    free(text);
    return NULL;
}

static inline void http_bed_give(const struct http_bed *bed, const struct http_bed_conn *conn,
                                 const struct http_bed_answer *answer)
{
    char head[4096];
    size_t size = answer->body ? strlen(answer->body) : 0;
    if (answer->status == HTTP_BED_HANGS) {
        struct pollfd wait[2] = {{.fd = bed->stop[0], .events = POLLIN},
                                 {.fd = conn->fd, .events = POLLIN}};
        (void)poll(wait, 2, 30000);
    }
    if (answer->status == HTTP_BED_RAW)
        http_bed_write(conn, answer->body, size);
    if (answer->status <= 0)
        return;
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d Said\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n",
                     answer->status, size + answer->n_more, answer->headers ? answer->headers : "");
    http_bed_write(conn, head, (size_t)n);
    if (size)
        http_bed_write(conn, answer->body, size);
    memset(head, 'x', sizeof head);
    for (size_t left = answer->n_more; left > 0;) {
        size_t part = left < sizeof head ? left : sizeof head;
        http_bed_write(conn, head, part);
        left -= part;
    }
}

static inline void http_bed_serve(struct http_bed *bed, int fd)
{
    static const struct http_bed_answer none = {.status = 599};
    struct http_bed_conn conn = {.fd = fd};
    struct http_bed_answer answer = none;
    if (bed->tls) {
        conn.ssl = SSL_new(bed->tls);
        if (!conn.ssl || SSL_set_fd(conn.ssl, fd) != 1)
            http_bed_die("TLS");
        if (SSL_accept(conn.ssl) != 1) {
            pthread_mutex_lock(&bed->lock);
            bed->n_refused++;
            pthread_mutex_unlock(&bed->lock);
            SSL_free(conn.ssl);
            return;
        }
    }
    char *request = http_bed_take(&conn);
    if (request) {
        pthread_mutex_lock(&bed->lock);
        if (bed->n_requests == HTTP_BED_MAX)
            http_bed_die("too many requests");
        bed->requests[bed->n_requests++] = request;
        if (bed->n_given < bed->n_answers)
            answer = bed->answers[bed->n_given++];
        pthread_mutex_unlock(&bed->lock);
        http_bed_give(bed, &conn, &answer);
    }
    if (conn.ssl) {
        (void)SSL_shutdown(conn.ssl);
        SSL_free(conn.ssl);
    }
}

static inline void *http_bed_run(void *with)
{
    struct http_bed *bed = with;
    for (;;) {
        struct pollfd wait[2] = {{.fd = bed->stop[0], .events = POLLIN},
                                 {.fd = bed->fd, .events = POLLIN}};
        if (poll(wait, 2, -1) < 0 && errno != EINTR)
            http_bed_die("poll");
        if (wait[0].revents)
            return NULL;
        int fd = wait[1].revents ? accept4(bed->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        http_bed_serve(bed, fd);
        close(fd);
    }
}

/* ---- what tests call ---- */

/* `tls` may be NULL; it has to stay. */
static inline struct http_bed *http_bed_begin(SSL_CTX *tls)
{
    struct http_bed *bed = calloc(1, sizeof *bed);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    if (!bed)
        http_bed_die("calloc");
    (void)signal(SIGPIPE, SIG_IGN); /* libssl writes without MSG_NOSIGNAL */
    bed->tls = tls;
    bed->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bed->fd < 0 || bind(bed->fd, (struct sockaddr *)&here, size) < 0 ||
        listen(bed->fd, 16) < 0 || getsockname(bed->fd, (struct sockaddr *)&here, &size) < 0 ||
        pipe(bed->stop) < 0)
        http_bed_die("a server");
    bed->port = ntohs(here.sin_port);
    (void)pthread_mutex_init(&bed->lock, NULL);
    if (pthread_create(&bed->thread, NULL, http_bed_run, bed) != 0)
        http_bed_die("a thread");
    return bed;
}

static inline void http_bed_end(struct http_bed *bed)
{
    if (write(bed->stop[1], "", 1) != 1)
        http_bed_die("write");
    (void)pthread_join(bed->thread, NULL);
    close(bed->fd);
    close(bed->stop[0]);
    close(bed->stop[1]);
    for (size_t i = 0; i < bed->n_answers; i++) {
        free(bed->answers[i].headers);
        free(bed->answers[i].body);
    }
    for (size_t i = 0; i < bed->n_requests; i++)
        free(bed->requests[i]);
    (void)pthread_mutex_destroy(&bed->lock);
    free(bed);
}

/* The next answer; `headers` and `body` may be NULL. */
static inline struct http_bed_answer *http_bed_answer(struct http_bed *bed, int status,
                                                      const char *headers, const char *body)
{
    pthread_mutex_lock(&bed->lock);
    if (bed->n_answers == HTTP_BED_MAX)
        http_bed_die("too many answers");
    struct http_bed_answer *answer = &bed->answers[bed->n_answers++];
    *answer = (struct http_bed_answer){.status = status,
                                       .headers = headers ? strdup(headers) : NULL,
                                       .body = body ? strdup(body) : NULL};
    pthread_mutex_unlock(&bed->lock);
    return answer;
}

static inline size_t http_bed_count(struct http_bed *bed)
{
    pthread_mutex_lock(&bed->lock);
    size_t n = bed->n_requests;
    pthread_mutex_unlock(&bed->lock);
    return n;
}

/* From 0 on; "" where there was none. */
static inline const char *http_bed_request(struct http_bed *bed, size_t i)
{
    pthread_mutex_lock(&bed->lock);
    const char *text = i < bed->n_requests ? bed->requests[i] : "";
    pthread_mutex_unlock(&bed->lock);
    return text;
}

/* Whether the request's head has this line: "X-Auth-Token: t1". */
static inline bool http_bed_has(struct http_bed *bed, size_t i, const char *line)
{
    char wanted[512];
    const char *text = http_bed_request(bed, i), *end = strstr(text, "\r\n\r\n");
    (void)snprintf(wanted, sizeof wanted, "\r\n%s\r\n", line);
    const char *at = strcasestr(text, wanted);
    return at && end && at < end + 2;
}

static inline const char *http_bed_body(struct http_bed *bed, size_t i)
{
    const char *end = strstr(http_bed_request(bed, i), "\r\n\r\n");
    return end ? end + 4 : "";
}

#endif
