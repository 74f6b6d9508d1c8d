/* JSON over HTTP with a token: see rest.h. */
#include "cloud/rest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BODY_MAX    (4u << 20) /* of a request */
#define URL_MAX     8192
#define MESSAGE_TXT 200 /* bytes of an answer that is no JSON, in an error */

void cloud_reply_done(struct cloud_reply *reply)
{
    json_decref(reply->body);
    *reply = (struct cloud_reply){0};
}

/* ---- why it was refused ---- */

static void take_text(const json_t *object, const char *name, char *out, size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (out[0])
        return;
    if (json_is_string(value))
        (void)snprintf(out, size, "%s", json_string_value(value));
    else if (json_is_integer(value))
        (void)snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
}

/* The first of the names that has a text. */
static void take_first(const json_t *object, const char *const *names, char *out, size_t size)
{
    for (; *names && !out[0]; names++)
        take_text(object, *names, out, size);
}

/* {"message": …} as the first of a list says more than the whole: Azure's details, vSphere's. */
static void take_details(const json_t *list, struct cloud_refusal *out)
{
    const json_t *first = json_array_get(list, 0);
    const char *text = json_is_string(first) ? json_string_value(first)
                                             : json_string_value(json_object_get(first, "message"));
    size_t len = strlen(out->message);
    if (!text || strstr(out->message, text))
        return;
    (void)snprintf(out->message + len, sizeof out->message - len, "%s%s", len ? " " : "", text);
}

static void explain(const json_t *body, struct cloud_refusal *out)
{
    /* Names of Azure and Google; Neutron; OAuth; NSX-T; WSME (parts of OpenStack). Texts before
     * numbers: Google's and Keystone's "code" is the status again. */
    static const char *const codes[] = {"type",       "reason",    "error_code", "errorCode",
                                        "error_type", "faultcode", NULL};
    static const char *const messages[] = {
        "message", "error_message", "error_description", "faultstring",
        "detail",  "title",         "error_summary",     NULL};
    const json_t *error = json_object_get(body, "error"), *inner = body;
    if (json_is_object(error)) {
        inner = error;
    } else if (json_is_string(error)) { /* OAuth's */
        take_text(body, "error", out->code, sizeof out->code);
    } else if (json_object_size(body) == 1) { /* {"NeutronError": {…}}, {"itemNotFound": {…}} */
        const char *name = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)body));
        const json_t *only = json_object_get(body, name);
        if (json_is_object(only)) {
            inner = only;
            if (!json_object_get(only, "type"))
                (void)snprintf(out->code, sizeof out->code, "%s", name);
        }
    }
    if (json_is_string(json_object_get(inner, "code")))
        take_text(inner, "code", out->code, sizeof out->code);
    /* Google's reason ("rateLimitExceeded") says more than its status ("PERMISSION_DENIED"). */
    take_text(json_array_get(json_object_get(inner, "errors"), 0), "reason", out->code,
              sizeof out->code);
    if (json_is_string(json_object_get(inner, "status")))
        take_text(inner, "status", out->code, sizeof out->code);
    take_first(inner, codes, out->code, sizeof out->code);
    take_first(inner, messages, out->message, sizeof out->message);
    take_details(json_object_get(inner, "details"), out);
    take_details(json_object_get(inner, "messages"), out);
    take_details(json_object_get(inner, "error_messages"), out);
    take_details(json_object_get(inner, "related_errors"), out);
}

/* A proxy's or a load balancer's own words; a page of HTML is left out. */
static void explain_text(const struct cloud_response *response, struct cloud_refusal *out)
{
    const char *at = response->body + strspn(response->body, " \t\r\n");
    size_t len = strcspn(at, "\r\n");
    if (*at != '<')
        (void)snprintf(out->message, sizeof out->message, "%.*s",
                       len < MESSAGE_TXT ? (int)len : MESSAGE_TXT, at);
}

/* ---- calls ---- */

static int prepare(struct cloud_request *request, bool renew, void *with, struct err *err)
{
    struct cloud_rest *rest = with;
    return rest->authorize(rest, request, renew, err);
}

static enum cloud_verdict judge(const struct cloud_response *response, void *with)
{
    const struct cloud_rest *rest = with;
    return rest->judge(response, rest->with);
}

/* Behind "https://host": 0, where it is no URL. */
static size_t origin_size(const char *url, const char **out_host)
{
    const char *at = strncasecmp(url, "https://", 8) == 0  ? url + 8
                     : strncasecmp(url, "http://", 7) == 0 ? url + 7
                                                           : NULL;
    *out_host = at;
    return at ? (size_t)(at - url) + strcspn(at, "/?#\\") : 0;
}

/* The token goes to no other host. */
static int url_of(const struct cloud_rest *rest, const char *path, char out[URL_MAX],
                  struct err *err)
{
    const char *host, *base_host;
    size_t size = origin_size(path, &host), base = origin_size(rest->base, &base_host);
    int len;
    if (!base)
        return err_set(err, -EINVAL, "%s: '%.100s' is no http:// or https:// address", rest->name,
                       rest->base);
    if (path[0] == '/') {
        len = snprintf(out, URL_MAX, "%s%s", rest->base, path);
    } else if (size && size - (size_t)(host - path) == base - (size_t)(base_host - rest->base) &&
               strncasecmp(host, base_host, base - (size_t)(base_host - rest->base)) == 0) {
        len = snprintf(out, URL_MAX, "%.*s%s", (int)base, rest->base, path + size);
    } else {
        return err_set(err, -EINVAL, "%s: it sends to %.*s, another server than %.*s: not followed",
                       rest->name, (int)(size ? size : strcspn(path, "?#")), path, (int)base,
                       rest->base);
    }
    return len < URL_MAX ? 0
                         : err_set(err, -ENAMETOOLONG, "%s: an address has more than %d bytes",
                                   rest->name, URL_MAX - 1);
}

static void take_header(const struct cloud_response *response, const char *name,
                        char out[CLOUD_LOCATION_MAX])
{
    const char *value = cloud_response_header(response, name);
    if (value && strlen(value) < CLOUD_LOCATION_MAX)
        (void)snprintf(out, CLOUD_LOCATION_MAX, "%s", value);
}

static int reply_of(const struct cloud_rest *rest, const struct cloud_response *response,
                    struct cloud_reply *out, struct err *err)
{
    json_error_t where;
    struct cloud_reply reply = {.status = response->status,
                                .retry_after_ms = cloud_http_retry_after(rest->http, response)};
    /* Neutron says "null" where it has nothing to say. */
    reply.body = json_loadb(response->body, response->size, JSON_DECODE_ANY, &where);
    if (!reply.body && response->size && response->status < 300 &&
        strstr(cloud_response_header(response, "content-type")
                   ? cloud_response_header(response, "content-type")
                   : "",
               "json"))
        return err_set(err, -EPROTO, "an answer that is no JSON: %.120s, at byte %d", where.text,
                       where.position);
    take_header(response, "location", reply.location);
    take_header(response, "azure-asyncoperation", reply.operation);
    if (reply.status >= 400) {
        reply.refusal.status = reply.status;
        if (reply.body && rest->explain)
            rest->explain(reply.body, &reply.refusal);
        else if (reply.body)
            explain(reply.body, &reply.refusal);
        else
            explain_text(response, &reply.refusal);
    }
    *out = reply;
    return 0;
}

static bool is_safe(const char *method, const char *url)
{
    const char *query = strchr(url, '?');
    return strcmp(method, "POST") != 0 ||
           (query && (strstr(query, "?requestId=") || strstr(query, "&requestId=")));
}

/* The path that errors show: a query may hold what is secret. */
static int shown(const char *path)
{
    const char *host;
    size_t size = origin_size(path, &host), len = strcspn(path + size, "?#");
    return len > 160 ? 160 : (int)len;
}

static const char *shown_at(const char *path)
{
    const char *host;
    return path + origin_size(path, &host);
}

int cloud_rest_call(struct cloud_rest *rest, const char *method, const char *path,
                    const json_t *body, struct cloud_reply *out, struct err *err)
{
    const struct cloud_manners manners = {.prepare = rest->authorize ? prepare : NULL,
                                          .judge = rest->judge ? judge : NULL,
                                          .with = rest};
    struct cloud_response response = {0};
    char url[URL_MAX], *text = NULL;
    int result = url_of(rest, path, url, err);
    *out = (struct cloud_reply){0};
    struct cloud_request request = {.method = method, .url = url};
    if (result == 0 && body) {
        text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
        if (!text || strlen(text) > BODY_MAX)
            result = err_set(err, -ENOMEM, "no memory for a request");
        request.body = text;
        request.size = text ? strlen(text) : 0;
        cloud_request_header(&request, "Content-Type", "application/json");
    }
    cloud_request_header(&request, "Accept", "application/json");
    if (result == 0)
        result =
            cloud_http_call(rest->http, &request, is_safe(method, url), &manners, &response, err);
    if (result == 0)
        result = reply_of(rest, &response, out, err);
    if (result < 0)
        err_wrap(err, "%s: %s %.*s", rest->name, method, shown(path), shown_at(path));
    cloud_response_done(&response);
    cloud_request_done(&request);
    cloud_forget(text);
    return result;
}

/* ---- only good answers ---- */

/* Clouds spell it QUOTA_EXCEEDED, OverQuota, QuotaExceeded, NetworkCountLimitReached. A rate is
 * none: that passes. */
static bool is_quota(const char *code)
{
    return strcasestr(code, "quota") ||
           (!strcasestr(code, "rate") &&
            (strcasestr(code, "LimitExceeded") || strcasestr(code, "LimitReached")));
}

static int code_of(const struct cloud_refusal *refusal)
{
    if (is_quota(refusal->code))
        return -EDQUOT;
    switch (refusal->status) {
    case 404:
    case 410:
        return -ENOENT;
    case 401:
    case 403:
        return -EACCES;
    case 409:
        return -EEXIST;
    case 423:
        return -EBUSY;
    case 400:
    case 412:
    case 422:
        return -EINVAL;
    case 429:
        return -EAGAIN;
    default:
        return refusal->status >= 500 && refusal->status != 501 ? -EAGAIN : -EIO;
    }
}

int cloud_rest_want(struct cloud_rest *rest, const char *method, const char *path,
                    const json_t *body, struct cloud_reply *out, struct err *err)
{
    int result = cloud_rest_call(rest, method, path, body, out, err);
    if (result < 0 || out->status < 400)
        return result;
    const struct cloud_refusal *refusal = &out->refusal;
    char code[sizeof refusal->code];
    (void)snprintf(code, sizeof code, "%s", refusal->code);
    if (!code[0])
        (void)snprintf(code, sizeof code, "HTTP %ld", out->status);
    return err_set(err, code_of(refusal), "%s: %s %.*s: %s%s%s", rest->name, method, shown(path),
                   shown_at(path), code, refusal->message[0] ? ": " : "", refusal->message);
}
