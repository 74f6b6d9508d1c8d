/* Calls of the Azure Resource Manager: see azure.h. */
#include "cloud/azure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cloud/azure_token.h"
#include "cloud/secret.h"

#define PAGES_MAX    1000
#define POLL_MS      100 /* at first; later, where it does not say, twice as long each time */
#define POLL_MAX_MS  15000
#define OPERATION_MS (30 * 60 * 1000) /* that an operation may take */
#define BUSY_MS      (5 * 60 * 1000)  /* that another one on the same thing is waited for */

/* Authorities and what belongs to them; the public cloud is first. */
static const struct {
    const char *authority, *manager;
} clouds[] = {
    {"https://login.microsoftonline.com", "https://management.azure.com"},
    {"https://login.microsoftonline.us", "https://management.usgovcloudapi.net"},
    {"https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn"},
    {"https://login.partner.microsoftonline.cn", "https://management.chinacloudapi.cn"},
};

struct azure {
    struct cloud_http *http;
    struct cloud_rest rest;
    struct azure_tokens tokens;
    char subscription[64];
    const char *if_match; /* of the call that is under way; NULL: none */
};

static int authorize(struct cloud_rest *rest, struct cloud_request *request, bool renew,
                     struct err *err)
{
    struct azure *azure = rest->with;
    const char *token;
    int result = azure_tokens_get(&azure->tokens, renew, &token, err);
    if (result < 0)
        return result;
    size_t size = strlen(token) + sizeof "Bearer ";
    char *value = malloc(size);
    if (!value)
        return err_set(err, -ENOMEM, "out of memory");
    (void)snprintf(value, size, "Bearer %s", token);
    cloud_request_header(request, "Authorization", value);
    cloud_forget(value);
    cloud_request_header(request, "If-Match", azure->if_match);
    return 0;
}

/* {"error": {"code", "message", "details": [{"code", "message"}]}}; old services have no "error"
 * around it. The details say what the message only hints at. */
static void explain(const json_t *body, struct cloud_refusal *out)
{
    const json_t *error = json_object_get(body, "error");
    if (!json_is_object(error))
        error = body;
    const json_t *details = json_object_get(error, "details");
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    size_t n = 0;
    (void)snprintf(out->code, sizeof out->code, "%s", code ? code : "");
    (void)snprintf(out->message, sizeof out->message, "%s", message ? message : "");
    n = strlen(out->message);
    for (size_t i = 0; i < json_array_size(details) && n + 1 < sizeof out->message; i++) {
        const json_t *one = json_array_get(details, i);
        const char *name = json_string_value(json_object_get(one, "code"));
        const char *text = json_string_value(json_object_get(one, "message"));
        if (!text || (message && strstr(message, text)))
            continue;
        (void)snprintf(out->message + n, sizeof out->message - n, " [%s: %s]", name ? name : "",
                       text);
        n = strlen(out->message);
    }
}

/* ---- opening ---- */

static void put_url(char out[AZURE_URL_MAX], const char *url)
{
    (void)snprintf(out, AZURE_URL_MAX, "%s", url);
    for (size_t n = strlen(out); n > 0 && out[n - 1] == '/'; n--)
        out[n - 1] = '\0';
}

/* AZURE_AUTHORITY_HOST may lack its "https://". */
static int find_cloud(struct azure *azure, const struct azure_options *options, struct err *err)
{
    const char *authority = getenv("AZURE_AUTHORITY_HOST");
    char url[AZURE_URL_MAX];
    if (!authority || !*authority)
        authority = clouds[0].authority;
    (void)snprintf(url, sizeof url, "%s%s", strstr(authority, "://") ? "" : "https://", authority);
    put_url(azure->tokens.authority, url);
    const char *manager = options->endpoint;
    for (size_t i = 0; !manager && i < sizeof clouds / sizeof clouds[0]; i++)
        if (strcasecmp(azure->tokens.authority, clouds[i].authority) == 0)
            manager = clouds[i].manager;
    if (!manager)
        return err_set(err, -EINVAL,
                       "AZURE_AUTHORITY_HOST is %.100s, which is none of Azure's clouds: give the "
                       "address of its Resource Manager, too (--endpoint)",
                       azure->tokens.authority);
    if (!cloud_url_is_safe(manager) || !cloud_url_is_safe(azure->tokens.authority))
        return err_set(err, -EINVAL,
                       "'%.100s': secrets go by https:// only, or to this machine itself",
                       cloud_url_is_safe(manager) ? azure->tokens.authority : manager);
    put_url(azure->tokens.resource, manager);
    (void)snprintf(azure->rest.base, sizeof azure->rest.base, "%s", azure->tokens.resource);
    return 0;
}

/* Of the only subscription that these credentials see. */
static int only_subscription(struct azure *azure, struct err *err)
{
    json_t *all = NULL;
    int result = azure_all(azure, "/subscriptions?api-version=2022-12-01", &all, err);
    if (result < 0)
        return result;
    size_t n = json_array_size(all);
    const char *id = json_string_value(json_object_get(json_array_get(all, 0), "subscriptionId"));
    if (n == 1 && id)
        (void)snprintf(azure->subscription, sizeof azure->subscription, "%s", id);
    else
        result = err_set(err, -EINVAL,
                         "which subscription? --subscription: these credentials "
                         "see %zu",
                         n);
    json_decref(all);
    return result;
}

static int find_subscription(struct azure *azure, const struct azure_options *options,
                             struct err *err)
{
    const char *id = options->subscription;
    if (!id || !*id)
        id = getenv("AZURE_SUBSCRIPTION_ID");
    if (!id || !*id)
        id = azure->tokens.subscription;
    if (!*id)
        return only_subscription(azure, err);
    if (strlen(id) >= sizeof azure->subscription ||
        strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") != strlen(id))
        return err_set(err, -EINVAL, "'%.64s' is no subscription's id", id);
    (void)snprintf(azure->subscription, sizeof azure->subscription, "%s", id);
    return 0;
}

int azure_open(const struct azure_options *options, struct cloud_http *http, struct azure **out,
               struct err *err)
{
    struct azure *azure = calloc(1, sizeof *azure);
    *out = NULL;
    if (!azure)
        return err_set(err, -ENOMEM, "out of memory");
    azure->http = http;
    azure->tokens.http = http;
    azure->tokens.ask_cli = options->ask_cli;
    azure->rest = (struct cloud_rest){
        .http = http, .name = "Azure", .authorize = authorize, .explain = explain, .with = azure};
    int result = find_cloud(azure, options, err);
    if (result == 0)
        result = azure_tokens_open(&azure->tokens, err);
    if (result == 0)
        result = find_subscription(azure, options, err);
    if (result < 0) {
        azure_close(azure);
        return result;
    }
    *out = azure;
    return 0;
}

void azure_close(struct azure *azure)
{
    if (!azure)
        return;
    azure_tokens_close(&azure->tokens);
    free(azure);
}

const char *azure_subscription(const struct azure *azure)
{
    return azure->subscription;
}

const char *azure_origin(const struct azure *azure)
{
    return azure_tokens_origin(&azure->tokens);
}

/* ---- calls ---- */

int azure_call(struct azure *azure, const char *method, const char *path, const json_t *body,
               struct cloud_reply *out, struct err *err)
{
    return cloud_rest_want(&azure->rest, method, path, body, out, err);
}

int azure_all(struct azure *azure, const char *path, json_t **out, struct err *err)
{
    json_t *all = json_array();
    char *next = strdup(path);
    int result = all && next ? 0 : err_set(err, -ENOMEM, "out of memory");
    for (int page = 0; result == 0 && next; page++) {
        struct cloud_reply reply = {0};
        result = azure_call(azure, "GET", next, NULL, &reply, err);
        free(next);
        next = NULL;
        const char *link = json_string_value(json_object_get(reply.body, "nextLink"));
        json_t *value = json_object_get(reply.body, "value");
        if (result == 0 && !json_is_array(value))
            result = err_set(err, -EPROTO, "Azure: %s: the answer has no list", path);
        else if (result == 0 && page == PAGES_MAX)
            result = err_set(err, -E2BIG, "Azure: %s: more than %d pages", path, PAGES_MAX);
        if (result == 0 && json_array_extend(all, value) < 0)
            result = err_set(err, -ENOMEM, "out of memory");
        if (result == 0 && link && *link) {
            next = strdup(link);
            result = next ? 0 : err_set(err, -ENOMEM, "out of memory");
        }
        cloud_reply_done(&reply);
    }
    free(next);
    if (result < 0) {
        json_decref(all);
        return result;
    }
    *out = all;
    return 0;
}

/* ---- operations ---- */

static bool is_code(const struct cloud_refusal *refusal, const char *const *codes)
{
    for (; *codes; codes++)
        if (strcasecmp(refusal->code, *codes) == 0)
            return true;
    return false;
}

/* Something else is being done to it, or it is being made: that ends. */
static bool is_busy(const struct cloud_reply *reply)
{
    static const char *const codes[] = {"AnotherOperationInProgress",
                                        "RetryableError",
                                        "RetryableErrorDueToAnotherOperation",
                                        "ReferencedResourceNotProvisioned",
                                        "CanceledAndSupersededDueToAnotherOperation",
                                        NULL};
    return reply->status >= 400 && is_code(&reply->refusal, codes);
}

/* How an operation that was accepted and then failed would have been refused at once. */
static int code_of_failure(const struct cloud_refusal *why)
{
    static const char *const unable[] = {"OperationNotAllowed", "NotSupported",
                                         "SubscriptionNotRegisteredForFeature", NULL};
    if (strcasestr(why->code, "quota") || strcasestr(why->code, "LimitExceeded"))
        return -EDQUOT;
    if (strcasestr(why->code, "NotFound"))
        return -ENOENT;
    if (strcasestr(why->code, "InUse"))
        return -EBUSY;
    return is_code(why, unable) ? -EOPNOTSUPP : -EBUSY;
}

static int fail(const char *method, const char *path, const struct cloud_refusal *why,
                struct err *err)
{
    return err_set(err, code_of_failure(why), "Azure: %s %.*s: the operation failed: %s%s%s",
                   method, (int)strcspn(path, "?"), path, why->code[0] ? why->code : "no reason",
                   why->message[0] ? ": " : "", why->message);
}

/* 1: it goes on. `status`: of Azure-AsyncOperation, or the provisioningState of the thing. */
static int judge_status(const char *status, const json_t *body, const char *method,
                        const char *path, struct err *err)
{
    struct cloud_refusal why = {0};
    /* The published examples have "Succeded", too. */
    if (!status || strncasecmp(status, "Succe", 5) == 0)
        return 0;
    if (strcasecmp(status, "Failed") != 0 && strcasecmp(status, "Canceled") != 0)
        return 1;
    explain(body, &why);
    if (!why.code[0])
        (void)snprintf(why.code, sizeof why.code, "%.60s", status);
    return fail(method, path, &why, err);
}

static const char *state_of(const json_t *body)
{
    return json_string_value(
        json_object_get(json_object_get(body, "properties"), "provisioningState"));
}

/* Waits between two looks; *spent grows. */
static int pause_between(struct azure *azure, uint32_t ms, uint32_t *spent, uint32_t most,
                         const char *method, const char *path, struct err *err)
{
    if (*spent > most)
        return err_set(err, -ETIMEDOUT,
                       "Azure: %s %.*s: not done after %u minutes; it may still "
                       "come: look at it with cloudspan mirror status",
                       method, (int)strcspn(path, "?"), path, most / 60000);
    *spent += ms;
    return cloud_http_wait(azure->http, ms) ? 0 : err_set(err, -ECANCELED, "interrupted");
}

/* Follows an operation that `reply` began, to its end. */
static int follow(struct azure *azure, const char *method, const char *path,
                  struct cloud_reply *reply, struct err *err)
{
    uint32_t spent = 0, ms = POLL_MS;
    bool by_operation = reply->operation[0] != '\0';
    bool by_location = !by_operation && reply->location[0] && reply->status == 202;
    bool is_delete = strcmp(method, "DELETE") == 0;
    char *url = strdup(by_operation ? reply->operation : by_location ? reply->location : path);
    int result = url ? 1 : err_set(err, -ENOMEM, "out of memory");
    if (!by_operation && !by_location && reply->status != 202)
        result =
            is_delete ? 0 : judge_status(state_of(reply->body), reply->body, method, path, err);
    while (result == 1) {
        uint32_t next = reply->retry_after_ms ? reply->retry_after_ms : ms;
        ms = ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : ms * 2;
        cloud_reply_done(reply);
        result = pause_between(azure, next, &spent, OPERATION_MS, method, path, err);
        if (result < 0)
            break;
        result = cloud_rest_call(&azure->rest, "GET", url, NULL, reply, err);
        if (result < 0)
            break;
        if (is_delete && !by_operation && !by_location && reply->status == 404)
            result = 0;
        else if (reply->status >= 400)
            result = fail(method, path, &reply->refusal, err);
        else if (by_operation)
            result = judge_status(json_string_value(json_object_get(reply->body, "status")),
                                  reply->body, method, path, err);
        else if (by_location)
            result = reply->status == 202;
        else
            result = judge_status(state_of(reply->body), reply->body, method, path, err);
    }
    free(url);
    return result;
}

int azure_finish(struct azure *azure, const char *method, const char *path, const json_t *body,
                 const char *if_match, struct err *err)
{
    struct cloud_reply reply = {0};
    uint32_t spent = 0, ms = POLL_MS;
    int result;
    for (;;) {
        azure->if_match = if_match;
        result = cloud_rest_want(&azure->rest, method, path, body, &reply, err);
        azure->if_match = NULL;
        if (result == 0 || !is_busy(&reply) || spent > BUSY_MS)
            break;
        uint32_t next = reply.retry_after_ms ? reply.retry_after_ms : ms;
        ms = ms * 2 > POLL_MAX_MS ? POLL_MAX_MS : ms * 2;
        cloud_reply_done(&reply);
        result = pause_between(azure, next, &spent, BUSY_MS, method, path, err);
        if (result < 0)
            return result;
    }
    if (reply.status == 412)
        result = err_set(err, -ESTALE,
                         "Azure: %s %.*s: somebody changed it in the meantime: look again with "
                         "cloudspan mirror plan",
                         method, (int)strcspn(path, "?"), path);
    else if (reply.status == 404 && strcmp(method, "DELETE") == 0)
        result = 0;
    else if (result == 0)
        result = follow(azure, method, path, &reply, err);
    cloud_reply_done(&reply);
    return result;
}

/* ---- the machine ---- */

int azure_metadata(struct cloud_http *http, json_t **out, struct err *err)
{
    static const struct cloud_manners manners = {0};
    struct cloud_response response = {0};
    char url[AZURE_URL_MAX + 64];
    (void)snprintf(url, sizeof url, "%.200s/metadata/instance?api-version=2021-02-01",
                   azure_metadata_host());
    struct cloud_request request = {
        .method = "GET", .url = url, .what = "instance", .is_near = true};
    cloud_request_header(&request, "Metadata", "true");
    int result = cloud_http_call(http, &request, true, &manners, &response, err);
    if (result == 0) {
        json_t *body =
            response.status == 200 ? json_loadb(response.body, response.size, 0, NULL) : NULL;
        if (json_is_object(body))
            *out = json_incref(body);
        else
            result = err_set(err, -EPROTO, "the metadata service answered %ld", response.status);
        json_decref(body);
    }
    cloud_response_done(&response);
    cloud_request_done(&request);
    if (result < 0 && result != -ECANCELED) {
        err_wrap(err, "this is no machine of Azure's");
        return -EHOSTUNREACH;
    }
    return result;
}
