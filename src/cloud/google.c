/* Calls of Google Cloud's interfaces: see google.h. */
#include "cloud/google.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "cloud/google_token.h"
#include "cloud/secret.h"

#define PAGES_MAX    1000
#define POLL_MS      100 /* at first; then twice as long each time */
#define POLL_MAX_MS  10000
#define OPERATION_MS (30 * 60 * 1000) /* that an operation may take */
#define BUSY_MS      (5 * 60 * 1000)  /* that another one on the same thing is waited for */
#define PATH_MOST    4096

static const struct {
    const char *name, *host, *version;
} services[GOOGLE_N_SERVICES] = {
    [GOOGLE_COMPUTE] = {"Compute Engine", "https://compute.googleapis.com", "/compute/v1"},
    [GOOGLE_SECURITY] = {"Network Security", "https://networksecurity.googleapis.com", "/v1"},
    [GOOGLE_LOGGING] = {"Cloud Logging", "https://logging.googleapis.com", "/v2"},
};

struct google {
    struct cloud_http *http;
    struct google_tokens tokens;
    struct cloud_rest rest[GOOGLE_N_SERVICES];
    char project[64];
};

static int authorize(struct cloud_rest *rest, struct cloud_request *request, bool renew,
                     struct err *err)
{
    struct google *google = rest->with;
    const char *token;
    int result = google_tokens_get(&google->tokens, renew, &token, err);
    if (result < 0)
        return result;
    size_t size = strlen(token) + sizeof "Bearer ";
    char *value = malloc(size);
    if (!value)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(value, size, "Bearer %s", token);
    cloud_request_header(request, "Authorization", value);
    cloud_forget(value);
    if (google->tokens.quota[0])
        cloud_request_header(request, "X-Goog-User-Project", google->tokens.quota);
    return 0;
}

/* Compute says 403 where it is asked too often. */
static enum cloud_verdict judge(const struct cloud_response *response, void *with)
{
    (void)with;
    switch (response->status) {
    case 401:
        return CLOUD_RENEW;
    case 403:
        return strstr(response->body, "ateLimitExceeded") ? CLOUD_THROTTLED : CLOUD_DONE;
    case 429:
        return CLOUD_THROTTLED;
    case 500:
    case 502:
    case 503:
    case 504:
        return CLOUD_RETRY;
    default:
        return CLOUD_DONE;
    }
}

/* ---- opening ---- */

static int find_project(struct google *google, const struct google_options *options,
                        struct err *err)
{
    const char *places[] = {options->project, getenv("GOOGLE_CLOUD_PROJECT"),
                            getenv("CLOUDSDK_CORE_PROJECT"), google->tokens.project};
    const char *project = NULL;
    for (size_t i = 0; !project && i < sizeof places / sizeof places[0]; i++)
        project = places[i] && *places[i] ? places[i] : NULL;
    if (!project)
        return err_set(err, -EINVAL, "which project? --project ID, or GOOGLE_CLOUD_PROJECT");
    if (strlen(project) >= sizeof google->project ||
        strspn(project, "abcdefghijklmnopqrstuvwxyz0123456789-.:") != strlen(project))
        return err_set(err, -EINVAL, "'%.64s' is no project's id", project);
    (void)snprintf(google->project, sizeof google->project, "%s", project);
    return 0;
}

static int put_services(struct google *google, const struct google_options *options,
                        struct err *err)
{
    for (int i = 0; i < GOOGLE_N_SERVICES; i++) {
        struct cloud_rest *rest = &google->rest[i];
        const char *host = options->endpoint ? options->endpoint : services[i].host;
        if (!cloud_url_is_safe(host))
            return err_set(err, -EINVAL,
                           "'%.100s': secrets go by https:// only, or to this machine itself",
                           host);
        *rest = (struct cloud_rest){.http = google->http,
                                    .name = services[i].name,
                                    .authorize = authorize,
                                    .judge = judge,
                                    .with = google};
        (void)snprintf(rest->base, sizeof rest->base, "%.400s", host);
        size_t n = strlen(rest->base);
        if (n > 0 && rest->base[n - 1] == '/')
            rest->base[n - 1] = '\0';
    }
    return 0;
}

int google_open(const struct google_options *options, struct cloud_http *http, struct google **out,
                struct err *err)
{
    struct google *google = calloc(1, sizeof *google);
    *out = NULL;
    if (!google)
        return err_set(err, -ENOMEM, "out of memory");
    google->http = http;
    google->tokens.http = http;
    int result = put_services(google, options, err);
    if (result == 0)
        result = google_tokens_open(&google->tokens, err);
    if (result == 0)
        result = find_project(google, options, err);
    if (result < 0) {
        google_close(google);
        return result;
    }
    *out = google;
    return 0;
}

void google_close(struct google *google)
{
    if (!google)
        return;
    google_tokens_close(&google->tokens);
    free(google);
}

const char *google_project(const struct google *google)
{
    return google->project;
}

const char *google_origin(const struct google *google)
{
    return google->tokens.origin;
}

int64_t google_now(const struct google *google)
{
    return cloud_http_now(google->http);
}

/* ---- calls ---- */

int google_call(struct google *google, enum google_service service, const char *method,
                const char *path, const json_t *body, struct cloud_reply *out, struct err *err)
{
    char whole[PATH_MOST];
    if (snprintf(whole, sizeof whole, "%s%s", services[service].version, path) >= (int)sizeof whole)
        return err_set(err, -ENAMETOOLONG, "%s: %.100s… is too long", services[service].name, path);
    return cloud_rest_want(&google->rest[service], method, whole, body, out, err);
}

/* What one page has, added to *all. */
static int take_page(const json_t *body, const char *member, const char *within, json_t *all)
{
    json_t *items = json_object_get(body, member), *scope;
    const char *name;
    if (!within)
        return json_is_array(items) ? json_array_extend(all, items) : 0; /* none: no member */
    json_object_foreach(items, name, scope)
    {
        json_t *list = json_object_get(scope, within);
        if (json_is_array(list) && json_array_extend(all, list) < 0)
            return -1;
    }
    return 0;
}

int google_all(struct google *google, enum google_service service, const char *path,
               const char *member, const char *within, json_t **out, struct err *err)
{
    json_t *all = json_array();
    char *token = NULL;
    int result = all ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int page = 0; result == 0; page++) {
        struct cloud_reply reply = {0};
        struct text whole;
        text_init(&whole, PATH_MOST);
        text_put(&whole, path);
        if (token) {
            text_put(&whole, strchr(path, '?') ? "&pageToken=" : "?pageToken=");
            cloud_put_escaped(&whole, token, "");
        }
        free(token);
        token = NULL;
        result = whole.failed ? err_set(err, -ENAMETOOLONG, "%s: a page's address is too long",
                                        services[service].name)
                              : google_call(google, service, "GET", whole.at, NULL, &reply, err);
        text_done(&whole);
        const char *next = json_string_value(json_object_get(reply.body, "nextPageToken"));
        if (result == 0 && take_page(reply.body, member, within, all) < 0)
            result = err_set(err, -ENOMEM, "out of memory");
        if (result == 0 && next && *next && page + 1 == PAGES_MAX)
            result = err_set(err, -E2BIG, "%s: %s: more than %d pages", services[service].name,
                             path, PAGES_MAX);
        if (result == 0 && next && *next) {
            token = strdup(next);
            result = token ? 0 : err_set(err, -ENOMEM, "out of memory");
        }
        cloud_reply_done(&reply);
        if (!token)
            break;
    }
    free(token);
    if (result < 0) {
        json_decref(all);
        return result;
    }
    *out = all;
    return 0;
}

/* ---- operations ---- */

/* Something else is being done to it, or it is being made: that ends. */
static bool is_busy(const struct cloud_reply *reply)
{
    return strcmp(reply->refusal.code, "resourceNotReady") == 0 ||
           strcmp(reply->refusal.code, "ABORTED") == 0;
}

/* How an operation that was accepted and then failed would have been refused at once. */
static int code_of_failure(const char *code)
{
    if (strstr(code, "QUOTA") || strstr(code, "RESOURCE_EXHAUSTED"))
        return -EDQUOT;
    if (strstr(code, "NOT_FOUND"))
        return -ENOENT;
    if (strstr(code, "ALREADY_EXISTS"))
        return -EEXIST;
    if (strstr(code, "PERMISSION") || strstr(code, "FORBIDDEN"))
        return -EACCES;
    if (strstr(code, "UNSUPPORTED") || strstr(code, "UNIMPLEMENTED"))
        return -EOPNOTSUPP;
    return strstr(code, "INVALID") ? -EINVAL : -EBUSY;
}

static int fail(enum google_service service, const char *method, const char *path,
                const json_t *error, struct err *err)
{
    /* Compute: {"errors": [{"code": "QUOTA_EXCEEDED", "message"}]}; else google.rpc.Status, whose
     * code is a number. */
    static const char *const numbers[] = {
        "OK",          "CANCELLED",        "UNKNOWN",        "INVALID_ARGUMENT",
        "TIMED OUT",   "NOT_FOUND",        "ALREADY_EXISTS", "PERMISSION_DENIED",
        "QUOTA",       "FAILED_CONDITION", "ABORTED",        "OUT_OF_RANGE",
        "UNSUPPORTED", "INTERNAL",         "UNAVAILABLE",    "DATA_LOSS",
        "FORBIDDEN"};
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);
    const json_t *from = first ? first : error;
    const char *code = json_string_value(json_object_get(from, "code"));
    const char *message = json_string_value(json_object_get(from, "message"));
    json_int_t number = json_integer_value(json_object_get(from, "code"));
    if (!code)
        code = number > 0 && number < (json_int_t)(sizeof numbers / sizeof numbers[0])
                   ? numbers[number]
                   : "no reason";
    return err_set(err, code_of_failure(code), "%s: %s %.*s: the operation failed: %.80s%s%.300s",
                   services[service].name, method, (int)strcspn(path, "?"), path, code,
                   message ? ": " : "", message ? message : "");
}

static int pause_between(struct google *google, enum google_service service, uint32_t *ms,
                         uint32_t *spent, uint32_t most, const char *method, const char *path,
                         struct err *err)
{
    if (*spent > most)
        return err_set(err, -ETIMEDOUT,
                       "%s: %s %.*s: not done after %u minutes; it may still come: look at it with "
                       "cloudspan mirror status",
                       services[service].name, method, (int)strcspn(path, "?"), path, most / 60000);
    *spent += *ms;
    bool on = cloud_http_wait(google->http, *ms);
    *ms = *ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : *ms * 2;
    return on ? 0 : err_set(err, -ECANCELED, "interrupted");
}

/* 1: it goes on. */
static int judge_operation(enum google_service service, const char *method, const char *path,
                           const json_t *operation, struct err *err)
{
    const json_t *error = json_object_get(operation, "error");
    const char *status = json_string_value(json_object_get(operation, "status"));
    bool done = service == GOOGLE_COMPUTE ? !status || strcmp(status, "DONE") == 0
                                          : json_is_true(json_object_get(operation, "done"));
    if (!done)
        return 1;
    return json_is_object(error) ? fail(service, method, path, error, err) : 0;
}

/* Where an operation is looked at: of Compute by its selfLink, else by its name. */
static int put_operation(enum google_service service, const json_t *operation, char out[1024],
                         struct err *err)
{
    const char *link = json_string_value(json_object_get(operation, "selfLink"));
    const char *name = json_string_value(json_object_get(operation, "name"));
    int len = service == GOOGLE_COMPUTE && link ? snprintf(out, 1024, "%s", link)
              : service != GOOGLE_COMPUTE && name
                  ? snprintf(out, 1024, "%s/%s", services[service].version, name)
                  : 1024;
    return len < 1024
               ? 0
               : err_set(err, -EPROTO, "%s: an operation without a name", services[service].name);
}

static int follow(struct google *google, enum google_service service, const char *method,
                  const char *path, const json_t *begun, struct err *err)
{
    char where[1024];
    uint32_t spent = 0, ms = POLL_MS;
    int result = judge_operation(service, method, path, begun, err);
    if (result == 1 && put_operation(service, begun, where, err) < 0)
        return -EPROTO;
    while (result == 1) {
        struct cloud_reply reply = {0};
        result = pause_between(google, service, &ms, &spent, OPERATION_MS, method, path, err);
        if (result == 0)
            result = cloud_rest_want(&google->rest[service], "GET", where, NULL, &reply, err);
        if (result == 0)
            result = judge_operation(service, method, path, reply.body, err);
        cloud_reply_done(&reply);
    }
    return result;
}

/* RFC 9562, version 4. */
static void put_uuid(char out[37])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char bytes[16] = {0};
    size_t n = 0;
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        bytes[0] = 1; /* no zero UUID; twice the same in a moment is what it is for */
    bytes[6] = (unsigned char)((bytes[6] & 15) | 64);
    bytes[8] = (unsigned char)((bytes[8] & 63) | 128);
    for (size_t i = 0; i < sizeof bytes; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[n++] = '-';
        out[n++] = digits[bytes[i] >> 4];
        out[n++] = digits[bytes[i] & 15];
    }
    out[n] = '\0';
}

/* Where it has none, Google refuses a parameter. */
static bool takes_request_id(enum google_service service, const char *path)
{
    return service == GOOGLE_COMPUTE || strstr(path, "/mirroring");
}

/* The path with a new id: what was refused as too early is another request then. */
static int put_request(enum google_service service, const char *path, char out[PATH_MOST])
{
    char id[37] = "";
    if (takes_request_id(service, path))
        put_uuid(id);
    return snprintf(out, PATH_MOST, "%s%s%s", path,
                    !id[0]              ? ""
                    : strchr(path, '?') ? "&requestId="
                                        : "?requestId=",
                    id) < PATH_MOST
               ? 0
               : -1;
}

int google_finish(struct google *google, enum google_service service, const char *method,
                  const char *path, const json_t *body, struct err *err)
{
    struct cloud_reply reply = {0};
    char whole[PATH_MOST];
    uint32_t spent = 0, ms = POLL_MS;
    int result;
    for (;;) {
        if (put_request(service, path, whole) < 0)
            return err_set(err, -ENAMETOOLONG, "%.100s… is too long", path);
        result = google_call(google, service, method, whole, body, &reply, err);
        if (result == 0 || !is_busy(&reply))
            break;
        cloud_reply_done(&reply);
        result = pause_between(google, service, &ms, &spent, BUSY_MS, method, path, err);
        if (result < 0)
            return result;
    }
    if (result == -ENOENT && strcmp(method, "DELETE") == 0)
        result = 0;
    else if (result == 0)
        result = follow(google, service, method, path, reply.body, err);
    cloud_reply_done(&reply);
    return result == -ENOENT && strcmp(method, "DELETE") == 0 ? 0 : result;
}
