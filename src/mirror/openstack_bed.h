/* For unit tests: a small OpenStack in a thread: Keystone, Nova's servers, and Neutron with Tap as
 * a Service, with the statuses, checks and refusals that the real ones have. It keeps its state as
 * JSON, gives lists in pages, and writes down who changed what has not our mark. */
#ifndef MIRROR_OPENSTACK_BED_H
#define MIRROR_OPENSTACK_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "cloud/http_bed.h"
#include "mirror/openstack.h"
#include "mirror/plan.h"

struct os_bed {
    struct http_bed *http; /* its socket and thread's end are used, not its answers */
    pthread_mutex_t lock;
    json_t *root; /* "ports": [...] */
    unsigned n_ids, n_requests, n_posts;
    unsigned page;       /* objects a page */
    unsigned token;      /* the number of the one that counts */
    unsigned refused;    /* an id of a tunnel that another project has; 0: none */
    unsigned fails_post; /* the number of the POST that is refused with `failure`; 0: none */
    const char *failure; /* "OverQuota" */
    unsigned dies_at;    /* the number of the request from which on none is answered; 0: never */
    bool dies_after;     /* that one is carried out all the same */
    unsigned n_early;    /* deleted before they were ACTIVE */
    bool slow;           /* nothing ever becomes ACTIVE, or is gone */
    char wrong[256];     /* what was changed that is not ours */
};

static struct os_bed os_bed;

static inline json_t *os_bed_list(const char *name)
{
    return json_object_get(os_bed.root, name);
}

/* ---- answers ---- */

static inline void os_bed_say(const struct http_bed_conn *conn, int status, const char *headers,
                              json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct http_bed_answer answer = {
        .status = status, .headers = (char *)(uintptr_t)headers, .body = text};
    http_bed_give(os_bed.http, conn, &answer);
    free(text);
    json_decref(body);
}

static inline json_t *os_bed_error(const char *type, const char *message)
{
    return json_pack("{s:{s:s, s:s, s:s}}", "NeutronError", "type", type, "message", message,
                     "detail", "");
}

static inline void os_bed_say_token(const struct http_bed_conn *conn)
{
    char header[64], network[64], compute[64];
    (void)snprintf(header, sizeof header, "X-Subject-Token: t%u\r\n", os_bed.token);
    (void)snprintf(network, sizeof network, "http://127.0.0.1:%u", os_bed.http->port);
    (void)snprintf(compute, sizeof compute, "http://127.0.0.1:%u/v2.1/", os_bed.http->port);
    os_bed_say(conn, 201, header,
               json_pack("{s:{s:{s:s}, s:[{s:s, s:[{s:s, s:s}]}, {s:s, s:[{s:s, s:s}]}]}}", "token",
                         "project", "id", "shop", "catalog", "type", "network", "endpoints",
                         "interface", "public", "url", network, "type", "compute", "endpoints",
                         "interface", "public", "url", compute));
}

/* ---- collections ---- */

static inline const char *os_bed_text(const json_t *one, const char *name)
{
    const char *text = json_string_value(json_object_get(one, name));
    return text ? text : "";
}

/* Each look lets the agents do what they were told before. */
static inline void os_bed_agents(json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        json_t *one = json_array_get(list, i);
        const char *status = os_bed_text(one, "status");
        if (os_bed.slow || !json_object_get(one, "tap"))
            continue;
        if (strcmp(status, "PENDING_DELETE") == 0)
            json_array_remove(list, i);
        else if (strcmp(status, "DOWN") == 0)
            json_object_set_new(one, "status", json_string("ACTIVE"));
    }
}

static inline bool os_bed_fits(const json_t *one, const char *query)
{
    char copy[1024], *rest = copy, *word;
    (void)snprintf(copy, sizeof copy, "%s", query);
    while ((word = strsep(&rest, "&"))) {
        char *value = strchr(word, '=');
        if (!value || strncmp(word, "limit=", 6) == 0 || strncmp(word, "marker=", 7) == 0)
            continue;
        *value++ = '\0';
        const json_t *has = json_object_get(one, word);
        if (has && strcmp(os_bed_text(one, word), value) != 0)
            return false;
    }
    return true;
}

static inline void os_bed_say_list(const struct http_bed_conn *conn, const char *name,
                                   const char *query, const char *path)
{
    json_t *list = os_bed_list(name), *out = json_array(), *one;
    const char *marker = strstr(query, "marker=");
    bool begun = !marker;
    size_t i, n = 0;
    char links[64], next[256] = "";
    json_array_foreach(list, i, one)
    {
        const char *id = os_bed_text(one, "id");
        if (!os_bed_fits(one, query))
            continue;
        if (begun && n++ < os_bed.page)
            json_array_append(out, one);
        else if (begun && !next[0])
            (void)snprintf(next, sizeof next, "https://elsewhere%s?limit=1&marker=%s", path,
                           os_bed_text(json_array_get(out, json_array_size(out) - 1), "id"));
        begun |= marker && strncmp(marker + 7, id, strlen(id)) == 0;
    }
    json_t *body = json_pack("{s:O}", name, out);
    (void)snprintf(links, sizeof links, "%s_links", name);
    if (next[0])
        json_object_set_new(body, links, json_pack("[{s:s, s:s}]", "rel", "next", "href", next));
    os_bed_say(conn, 200, NULL, body);
    json_decref(out);
    os_bed_agents(list);
}

static inline json_t *os_bed_get(const char *name, const char *id, size_t *out_i)
{
    json_t *one;
    size_t i;
    json_array_foreach(os_bed_list(name), i, one)
    {
        if (strcmp(os_bed_text(one, "id"), id) == 0) {
            if (out_i)
                *out_i = i;
            return one;
        }
    }
    return NULL;
}

static inline void os_bed_note(const json_t *one, const char *what)
{
    if (strncmp(os_bed_text(one, "description"), "cloudspan:mirror=", 17) != 0)
        (void)snprintf(os_bed.wrong, sizeof os_bed.wrong, "%s %s", what, os_bed_text(one, "id"));
}

/* NULL: it is fine. */
static inline json_t *os_bed_check(const char *name, const json_t *one)
{
    const char *port = os_bed_text(one, strcmp(name, "tap_flows") == 0 ? "source_port" : "port_id");
    const char *key;
    json_t *id, *other, *taken;
    size_t i;
    if (!os_bed_get("ports", port, NULL))
        return os_bed_error("PortNotFound", "Port could not be found.");
    if (strcmp(name, "tap_flows") == 0 &&
        !os_bed_get("tap_services", os_bed_text(one, "tap_service_id"), NULL))
        return os_bed_error("TapServiceNotFound", "Tap Service does not exist");
    json_object_foreach(json_object_get(one, "directions"), key, id)
    {
        char said[80];
        bool conflict = (unsigned)json_integer_value(id) == os_bed.refused;
        const char *k;
        json_array_foreach(os_bed_list("tap_mirrors"), i, other)
        {
            json_object_foreach(json_object_get(other, "directions"), k, taken) conflict |=
                json_equal(id, taken) != 0;
        }
        (void)snprintf(said, sizeof said, "Tap Mirror with tunnel_id %d already exists",
                       (int)json_integer_value(id));
        if (conflict)
            return os_bed_error("TapMirrorTunnelConflict", said);
    }
    return NULL;
}

static inline void os_bed_create(const struct http_bed_conn *conn, const char *name,
                                 const char *resource, const json_t *body)
{
    json_t *one = json_deep_copy(json_object_get(body, resource));
    json_t *error = os_bed_check(name, one);
    char id[48];
    if (++os_bed.n_posts == os_bed.fails_post)
        error = os_bed_error(os_bed.failure, "it can't be");
    if (error) {
        const char *type = os_bed_text(json_object_get(error, "NeutronError"), "type");
        os_bed_say(conn, strstr(type, "NotFound") ? 404 : 409, NULL, error);
        json_decref(one);
        return;
    }
    (void)snprintf(id, sizeof id, "00000000-0000-4000-8000-%012u", ++os_bed.n_ids);
    json_object_set_new(one, "id", json_string(id));
    json_object_set_new(one, "project_id", json_string("shop"));
    if (strcmp(name, "tap_mirrors") != 0)
        json_object_set_new(one, "status", json_string("DOWN"));
    json_object_set_new(one, "tap", json_true());
    json_array_append(os_bed_list(name), one);
    os_bed_say(conn, 201, NULL, json_pack("{s:o}", resource, one));
}

static inline void os_bed_delete(const char *name, const char *id)
{
    size_t i = 0;
    json_t *one = os_bed_get(name, id, &i);
    os_bed_note(one, "deleted");
    os_bed.n_early += strcmp(os_bed_text(one, "status"), "DOWN") == 0;
    if (strcmp(os_bed_text(one, "status"), "ACTIVE") == 0)
        json_object_set_new(one, "status", json_string("PENDING_DELETE"));
    else
        json_array_remove(os_bed_list(name), i);
}

static inline void os_bed_tag(json_t *port, const char *escaped, bool add)
{
    json_t *tags = json_object_get(port, "tags");
    char tag[128] = "";
    size_t n = 0, i;
    json_t *one;
    for (const char *at = escaped; *at && n + 1 < sizeof tag; n++) {
        unsigned value = 0;
        if (*at == '%' && at[1] && at[2]) {
            char hex[3] = {at[1], at[2], '\0'};
            value = (unsigned)strtoul(hex, NULL, 16);
            at += 3;
        } else {
            value = (unsigned char)*at++;
        }
        tag[n] = (char)value;
    }
    json_array_foreach(tags, i, one)
    {
        if (strcmp(json_string_value(one), tag) == 0) {
            json_array_remove(tags, i);
            break;
        }
    }
    if (add)
        json_array_append_new(tags, json_string(tag));
}

static inline void os_bed_answer(const struct http_bed_conn *conn, const char *method, char *path,
                                 const char *query, const json_t *body)
{
    static const char *const names[][2] = {{"ports", "port"},
                                           {"subnets", "subnet"},
                                           {"floatingips", "floatingip"},
                                           {"tap_services", "tap_service"},
                                           {"tap_flows", "tap_flow"},
                                           {"tap_mirrors", "tap_mirror"}};
    char whole[256];
    (void)snprintf(whole, sizeof whole, "%s", path);
    char *at = path + strlen("/v2.0/");
    if (strncmp(at, "taas/", 5) == 0)
        at += 5;
    char *name = strsep(&at, "/"), *id = strsep(&at, "/"), *more = at;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], name) != 0)
            continue;
        json_t *one = id ? os_bed_get(name, id, NULL) : NULL;
        if (!id && strcmp(method, "GET") == 0) {
            os_bed_say_list(conn, name, query, whole);
        } else if (!id) {
            os_bed_create(conn, name, names[i][1], body);
        } else if (!one) {
            os_bed_say(conn, 404, NULL, os_bed_error("NotFound", "there is none"));
        } else if (more) {
            os_bed_tag(one, more + strlen("tags/"), strcmp(method, "PUT") == 0);
            os_bed_say(conn, strcmp(method, "PUT") == 0 ? 201 : 204,
                       "Content-Type: application/json\r\n",
                       strcmp(method, "PUT") == 0 ? json_null() : NULL);
        } else if (strcmp(method, "DELETE") == 0) {
            os_bed_delete(name, id);
            os_bed_say(conn, 204, NULL, NULL);
        } else {
            if (strcmp(method, "PUT") == 0)
                json_object_update(one, json_object_get(body, names[i][1]));
            os_bed_say(conn, 200, NULL, json_pack("{s:O}", names[i][1], one));
        }
        return;
    }
    if (strcmp(name, "extensions") == 0)
        os_bed_say(conn, 200, NULL, json_pack("{s:O}", "extensions", os_bed_list("extensions")));
    else if (strcmp(name, "quotas") == 0 && !more && os_bed_list("quota"))
        os_bed_say(conn, 200, NULL, json_pack("{s:O}", "quota", os_bed_list("quota")));
    else
        os_bed_say(conn, 404, NULL, NULL);
}

static inline void os_bed_serve(const struct http_bed_conn *conn, const char *request)
{
    char copy[2048], *rest = copy, token[32];
    const char *body_at = strstr(request, "\r\n\r\n");
    (void)snprintf(copy, sizeof copy, "%.*s", (int)strcspn(request, "\r"), request);
    char *method = strsep(&rest, " "), *target = strsep(&rest, " ");
    char *query = strchr(target, '?');
    if (query)
        *query++ = '\0';
    (void)snprintf(token, sizeof token, "\r\nX-Auth-Token: t%u\r\n", os_bed.token);
    json_t *body = body_at ? json_loads(body_at + 4, 0, NULL) : NULL;
    if (strcmp(target, "/v3/auth/tokens") == 0)
        os_bed_say_token(conn);
    else if (!strcasestr(request, token))
        os_bed_say(conn, 401, NULL, NULL);
    else if (strncmp(target, "/v2.1/servers/detail", 20) == 0)
        os_bed_say_list(conn, "servers", query ? query : "", target);
    else
        os_bed_answer(conn, method, target, query ? query : "", body);
    json_decref(body);
}

static inline void *os_bed_run(void *with)
{
    struct http_bed *http = with;
    for (;;) {
        struct pollfd wait[2] = {{.fd = http->stop[0], .events = POLLIN},
                                 {.fd = http->fd, .events = POLLIN}};
        (void)poll(wait, 2, -1);
        if (wait[0].revents)
            return NULL;
        struct http_bed_conn conn = {
            .fd = wait[1].revents ? accept4(http->fd, NULL, NULL, SOCK_CLOEXEC) : -1};
        if (conn.fd < 0)
            continue;
        char *request = http_bed_take(&conn);
        pthread_mutex_lock(&os_bed.lock);
        struct http_bed_conn nobody = {.fd = -1};
        unsigned n = request ? ++os_bed.n_requests : 0;
        if (request && (!os_bed.dies_at || n < os_bed.dies_at))
            os_bed_serve(&conn, request);
        else if (request && os_bed.dies_after && n == os_bed.dies_at)
            os_bed_serve(&nobody, request);
        pthread_mutex_unlock(&os_bed.lock);
        free(request);
        close(conn.fd);
    }
}

/* ---- what tests call ---- */

static inline json_t *os_bed_json(const char *quoted)
{
    char *text = strdup(quoted);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *json = json_loads(text, 0, NULL);
    if (!json)
        fail_msg("no JSON: %s", text);
    free(text);
    return json;
}

/* `world`: {'ports': […], …}; what is not in it is empty. */
static inline void os_bed_begin(const char *world)
{
    static const char *const lists[] = {"ports",     "subnets",     "floatingips", "tap_services",
                                        "tap_flows", "tap_mirrors", "servers"};
    struct http_bed *http = calloc(1, sizeof *http);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    os_bed = (struct os_bed){.http = http, .page = 500, .token = 1, .root = os_bed_json(world)};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        if (!os_bed_list(lists[i]))
            json_object_set_new(os_bed.root, lists[i], json_array());
    if (!os_bed_list("extensions"))
        json_object_set_new(os_bed.root, "extensions",
                            os_bed_json("[{'alias':'taas'},{'alias':'tap-mirror'},{'alias':"
                                        "'standard-attr-tag'},{'alias':'router'}]"));
    (void)pthread_mutex_init(&os_bed.lock, NULL);
    http->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(http->fd >= 0 && bind(http->fd, (struct sockaddr *)&here, size) == 0 &&
                listen(http->fd, 16) == 0 &&
                getsockname(http->fd, (struct sockaddr *)&here, &size) == 0 &&
                pipe(http->stop) == 0);
    http->port = ntohs(here.sin_port);
    assert_int_equal(pthread_create(&http->thread, NULL, os_bed_run, http), 0);
}

static inline void os_bed_end(void)
{
    assert_int_equal(write(os_bed.http->stop[1], "", 1), 1);
    (void)pthread_join(os_bed.http->thread, NULL);
    close(os_bed.http->fd);
    close(os_bed.http->stop[0]);
    close(os_bed.http->stop[1]);
    free(os_bed.http);
    json_decref(os_bed.root);
    (void)pthread_mutex_destroy(&os_bed.lock);
}

/* All that could have been changed; on the heap. */
static inline char *os_bed_dump(void)
{
    pthread_mutex_lock(&os_bed.lock);
    char *text = json_dumps(os_bed.root, JSON_SORT_KEYS | JSON_INDENT(1));
    pthread_mutex_unlock(&os_bed.lock);
    return text;
}

#endif
