/* The watch's HTTP server: see http.h. */
#include "web/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTION_MEMORY 16384 /* bytes of a request's head, and of an answer's */

struct web {
    struct MHD_Daemon *daemon;
    struct web_options options;
    char bound[INET6_ADDRSTRLEN]; /* the address it listens on */
    bool bound_to_any;
};

/* ---- listening ---- */

/* "HOST:PORT" and "[HOST]:PORT" in two. */
static bool split_address(const char *address, char host[64], char port[8])
{
    const char *colon = strrchr(address, ':');
    if (!colon)
        return false;
    const char *from = address, *to = colon;
    if (*from == '[') {
        if (to == from || to[-1] != ']')
            return false;
        from++;
        to--;
    } else if (memchr(from, ':', (size_t)(to - from))) {
        return false; /* IPv6 without brackets: it can't be said where the port begins */
    }
    size_t host_len = (size_t)(to - from), port_len = strlen(colon + 1);
    if (host_len == 0 || host_len >= 64 || port_len == 0 || port_len > 5 ||
        strspn(colon + 1, "0123456789") != port_len || strtoul(colon + 1, NULL, 10) > 65535)
        return false;
    (void)snprintf(host, 64, "%.*s", (int)host_len, from);
    (void)snprintf(port, 8, "%s", colon + 1);
    return true;
}

int web_listen(const char *address, struct err *err)
{
    char host[64], port[8];
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!split_address(address, host, port) ||
        getaddrinfo(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, port, &hints, &found) != 0)
        return err_set(err, -EINVAL,
                       "metrics: '%s' is not ADDRESS:PORT, such as 127.0.0.1:4790 or [::1]:4790",
                       address);
    int one = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int failed = 0;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 32) < 0)
        failed =
            err_set(err, -errno, "metrics: can't listen on %s: %s%s", address, strerror(errno),
                    errno == EADDRINUSE ? "; name another with --metrics, or --metrics off" : "");
    freeaddrinfo(found);
    if (failed < 0) {
        if (fd >= 0)
            (void)close(fd);
        return failed;
    }
    return fd;
}

union any_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool address_of(int fd, union any_address *out)
{
    socklen_t size = sizeof *out;
    memset(out, 0, sizeof *out);
    return getsockname(fd, &out->any, &size) == 0;
}

unsigned web_port(int listen_fd)
{
    union any_address address;
    if (!address_of(listen_fd, &address))
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static void note_bound(struct web *web)
{
    union any_address address;
    if (!address_of(web->options.listen_fd, &address))
        return;
    bool is_v6 = address.any.sa_family == AF_INET6;
    (void)inet_ntop(address.any.sa_family,
                    is_v6 ? (const void *)&address.v6.sin6_addr : &address.v4.sin_addr, web->bound,
                    sizeof web->bound);
    web->bound_to_any =
        is_v6 ? IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr) : address.v4.sin_addr.s_addr == 0;
}

/* ---- who may ask ---- */

static bool is_literal(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* The text of a Host header. A number can not be made to point elsewhere, a name can. */
static bool is_this_host(const struct web *web, const char *value)
{
    char host[64];
    size_t len = value[0] == '[' ? strcspn(value, "]") : strcspn(value, ":");
    const char *from = value, *after = value + len;
    if (value[0] == '[') {
        if (*after != ']')
            return false;
        from++;
        len--;
        after++;
    }
    if (len == 0 || len >= sizeof host)
        return false;
    if (*after && (*after != ':' || strspn(after + 1, "0123456789") != strlen(after + 1)))
        return false;
    (void)snprintf(host, sizeof host, "%.*s", (int)len, from);
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 ||
        strcmp(host, "::1") == 0 || strcasecmp(host, web->bound) == 0)
        return true;
    return web->bound_to_any && is_literal(host);
}

struct hosts {
    const struct web *web;
    unsigned n;
    bool wrong;
};

static enum MHD_Result see_header(void *with, enum MHD_ValueKind kind, const char *key,
                                  const char *value)
{
    struct hosts *hosts = with;
    (void)kind;
    if (strcasecmp(key, "Host") != 0)
        return MHD_YES;
    hosts->n++;
    if (!value || !is_this_host(hosts->web, value))
        hosts->wrong = true;
    return MHD_YES;
}

/* ---- answers ---- */

static enum MHD_Result send_page(struct MHD_Connection *connection, unsigned status,
                                 const char *type, char *body, size_t size,
                                 enum MHD_ResponseMemoryMode mode)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(size, body, mode);
    if (!response) {
        if (mode == MHD_RESPMEM_MUST_FREE)
            free(body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, "Content-Type", type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, "Allow", "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_line(struct MHD_Connection *connection, unsigned status,
                                 const char *line)
{
    char copy[128];
    (void)snprintf(copy, sizeof copy, "%s\n", line);
    return send_page(connection, status, "text/plain; charset=utf-8", copy, strlen(copy),
                     MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result send_metrics(struct web *web, struct MHD_Connection *connection)
{
    size_t size = 0;
    char *text = web->options.metrics(&size, web->options.with);
    if (!text)
        return send_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "nothing is known yet");
    return send_page(connection, MHD_HTTP_OK, web->options.metrics_type, text, size,
                     MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer(void *with, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct web *web = with;
    (void)version;
    (void)upload;
    /* The first call has the head only; a body is not wanted, and is thrown away. */
    if (!*state) {
        *state = web;
        return MHD_YES;
    }
    if (*upload_size) {
        *upload_size = 0;
        return MHD_YES;
    }
    struct hosts hosts = {.web = web};
    (void)MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &hosts);
    if (hosts.n != 1 || hosts.wrong)
        return send_line(connection, MHD_HTTP_FORBIDDEN,
                         "the Host of a request has to be localhost or the address");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return send_line(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET is understood");
    if (strcmp(url, "/metrics") == 0)
        return send_metrics(web, connection);
    if (strcmp(url, "/healthz") == 0) {
        bool healthy = web->options.is_healthy(web->options.with);
        return send_line(connection, healthy ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                         healthy ? "ok" : "not healthy");
    }
    return send_line(connection, MHD_HTTP_NOT_FOUND, "there are /metrics and /healthz");
}

int web_start(const struct web_options *options, struct web **out, struct err *err)
{
    struct web *web = calloc(1, sizeof *web);
    if (!web) {
        (void)close(options->listen_fd);
        return err_set(err, -ENOMEM, "metrics: out of memory");
    }
    web->options = *options;
    note_bound(web);
    web->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC, 0, NULL, NULL, answer, web,
        MHD_OPTION_LISTEN_SOCKET, options->listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        options->n_connections ? options->n_connections : 32u, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->n_per_address ? options->n_per_address : 16u, MHD_OPTION_CONNECTION_TIMEOUT,
        options->idle_seconds ? options->idle_seconds : 10u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (!web->daemon) {
        int why = errno ? errno : EIO;
        (void)close(options->listen_fd);
        free(web);
        return err_set(err, -why, "metrics: the server does not start: %s", strerror(why));
    }
    *out = web;
    return 0;
}

void web_stop(struct web *web)
{
    if (!web)
        return;
    MHD_stop_daemon(web->daemon);
    free(web);
}
