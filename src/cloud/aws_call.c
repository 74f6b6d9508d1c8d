/* Calls of AWS's services: written, signed, asked again, read. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cloud/aws_error.h"
#include "cloud/aws_impl.h"
#include "cloud/aws_query.h"

#define BODY_MAX  (1u << 20)
#define PAGES_MAX 10000
#define ITEMS_MAX 250000 /* what the largest VPC has in interfaces */
#define NS        INT64_C(1000000000)
#define SKEW_MIN  (240 * NS) /* AWS itself allows five minutes */

/* What prepare() and judge() know of the call. */
struct calling {
    struct aws *aws;
    struct aws_source *source; /* NULL: unsigned */
    const struct aws_service *service;
    bool clock_was_set; /* the keys were not at fault */
};

static int prepare(struct cloud_request *request, bool renew, void *with, struct err *err)
{
    struct calling *calling = with;
    const struct aws_keys *keys;
    if (!calling->source)
        return 0;
    int result = aws_source_keys(calling->aws, calling->source, renew && !calling->clock_was_set,
                                 &keys, err);
    if (result < 0)
        return result;
    return aws_sign(request, keys, calling->aws->region, calling->service->name,
                    aws_now(calling->aws), err);
}

/* Whether AWS's clock is another than ours; ours is put right by it then. */
static bool set_clock(struct aws *aws, const struct cloud_response *response)
{
    const char *date = cloud_response_header(response, "date");
    struct tm tm = {0};
    const char *end = date ? strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm) : NULL;
    if (!end)
        return false;
    int64_t theirs = (int64_t)timegm(&tm) * NS, off = theirs - aws_now(aws);
    if (off > -SKEW_MIN && off < SKEW_MIN)
        return false;
    char line[160];
    aws->skew += off;
    (void)snprintf(line, sizeof line,
                   "this machine's clock is %lld s %s AWS's; requests are signed by AWS's from now "
                   "on",
                   (long long)(aws->skew < 0 ? -aws->skew : aws->skew) / (long long)NS,
                   aws->skew < 0 ? "ahead of" : "behind");
    cloud_http_note(aws->http, line);
    return true;
}

static enum cloud_verdict judge(const struct cloud_response *response, void *with)
{
    struct calling *calling = with;
    struct cloud_refusal refusal;
    if (response->status < 400)
        return CLOUD_DONE;
    aws_explain(response->body, response->size, response->status, &refusal);
    switch (aws_error_fault(&refusal)) {
    case AWS_FAULT_THROTTLE:
        return CLOUD_THROTTLED;
    case AWS_FAULT_PASSING:
        return CLOUD_RETRY;
    case AWS_FAULT_EXPIRED:
        calling->clock_was_set = set_clock(calling->aws, response);
        return calling->clock_was_set || (calling->source && aws_source_can_renew(calling->source))
                   ? CLOUD_RENEW
                   : CLOUD_DONE;
    case AWS_FAULT_CLOCK:
        calling->clock_was_set = set_clock(calling->aws, response);
        return calling->source && calling->clock_was_set ? CLOUD_RENEW : CLOUD_DONE;
    case AWS_FAULT_FINAL:
        break;
    }
    return CLOUD_DONE;
}

/* Whether twice is as good as once: it only reads, it sets what it says (what is deleted already is
 * "not found"), or it has a token by which AWS knows it again. */
static bool is_safe(const char *action, const json_t *parameters)
{
    static const char *const verbs[] = {"Describe", "Get",    "List",   "Lookup",
                                        "Assume",   "Modify", "Delete", "CreateTags"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strncmp(action, verbs[i], strlen(verbs[i])) == 0)
            return true;
    return json_is_string(json_object_get(parameters, "ClientToken"));
}

static int put_body(const struct aws_service *service, const char *action, const json_t *parameters,
                    struct text *out, struct err *err)
{
    if (service->version)
        return aws_query_put(out, service->is_ec2 ? AWS_STYLE_EC2 : AWS_STYLE_QUERY, action,
                             service->version, parameters, err);
    char *body = parameters ? json_dumps(parameters, JSON_COMPACT) : strdup("{}");
    if (body)
        text_put(out, body);
    free(body);
    return body && !out->failed ? 0 : err_set(err, -ENOMEM, "%s: no memory for a request", action);
}

static int read_body(const struct aws_service *service, const struct cloud_response *response,
                     json_t **out, struct err *err)
{
    if (service->version)
        return aws_xml_read(response->body, response->size, out, NULL, err);
    *out = json_loadb(response->body, response->size, JSON_REJECT_DUPLICATES, NULL);
    return *out ? 0 : err_set(err, -EPROTO, "an answer that is no JSON");
}

static int take_response(const struct aws_service *service, const char *action,
                         const struct cloud_response *response, json_t **out,
                         struct cloud_refusal *refusal, struct err *err)
{
    if (response->status < 300) {
        int result = read_body(service, response, out, err);
        if (result < 0)
            err_wrap(err, "%s: %s", service->name, action);
        return result;
    }
    aws_explain(response->body, response->size, response->status, refusal);
    int result = aws_error_code(refusal);
    if (result < 0) {
        const char *advice = aws_error_advice(refusal, action);
        size_t len = strlen(refusal->message); /* where the sentence goes on it has no full stop */
        len -= *advice && len && refusal->message[len - 1] == '.';
        return err_set(err, result, "%s: %s: %s%s%.*s%s", service->name, action, refusal->code,
                       refusal->code[0] ? ": " : "", (int)len, refusal->message, advice);
    }
    *out = json_object(); /* a dry run that would have worked */
    return *out ? 0 : err_set(err, -ENOMEM, "no memory for an answer");
}

int aws_call_as(struct aws *aws, struct aws_source *source, const struct aws_service *service,
                const char *action, const json_t *parameters, json_t **out,
                struct cloud_refusal *refusal, struct err *err)
{
    char url[512], target[160];
    struct text body;
    struct cloud_response response = {0};
    struct cloud_refusal unwanted;
    struct calling calling = {.aws = aws, .source = source, .service = service};
    struct cloud_request request = {.method = "POST", .url = url, .what = action};
    struct cloud_manners manners = {
        .prepare = prepare, .judge = judge, .n_attempts = aws->n_attempts, .with = &calling};
    *out = NULL;
    refusal = refusal ? refusal : &unwanted;
    *refusal = (struct cloud_refusal){0};
    text_init(&body, BODY_MAX);
    int result = aws_endpoint(aws, service, aws->region, url, sizeof url, err);
    if (result == 0)
        result = put_body(service, action, parameters, &body, err);
    if (result < 0)
        goto out;
    request.body = body.at;
    request.size = body.size;
    if (service->version) {
        cloud_request_header(&request, "Content-Type",
                             "application/x-www-form-urlencoded; charset=utf-8");
    } else {
        (void)snprintf(target, sizeof target, "%s.%s", service->target, action);
        cloud_request_header(&request, "Content-Type", "application/x-amz-json-1.1");
        cloud_request_header(&request, "X-Amz-Target", target);
    }
    result =
        cloud_http_call(aws->http, &request, is_safe(action, parameters), &manners, &response, err);
    if (result < 0)
        err_wrap(err, "%s: %s", service->name, action);
    else
        result = take_response(service, action, &response, out, refusal, err);
out:
    cloud_response_done(&response);
    cloud_request_done(&request);
    if (body.at)
        explicit_bzero(body.at, body.size); /* web identity's token */
    text_done(&body);
    return result;
}

int aws_call(struct aws *aws, const char *service, const char *action, const json_t *parameters,
             json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    const struct aws_service *of = aws_service_of(service);
    *out = NULL;
    if (!of || !(of->version || of->target))
        return err_set(err, -EINVAL, "%s: a service that is not known here", service);
    return aws_call_as(aws, aws->source, of, action, parameters, out, refusal, err);
}

/* ---- pages ---- */

/* How many a page may have; calls that are not here give what they like. */
static json_int_t page_size(const char *action, const json_t *parameters)
{
    static const struct {
        const char *action;
        json_int_t size;
    } sizes[] = {
        {"DescribeInstances", 1000},
        {"DescribeNetworkInterfaces", 1000},
        {"DescribeSubnets", 1000},
        {"DescribeVpcs", 1000},
        {"DescribeSecurityGroups", 1000},
        {"DescribeInstanceTypes", 100},
        {"DescribeRouteTables", 100},
        {"DescribeTrafficMirrorSessions", 1000},
        {"DescribeTrafficMirrorTargets", 1000},
        {"DescribeTrafficMirrorFilters", 1000},
    };
    const char *name;
    json_t *value;
    /* EC2 refuses a page's size where it is told the ids. */
    json_object_foreach((json_t *)(uintptr_t)parameters, name,
                        value) if (json_is_array(value) && strcmp(name, "Filter") != 0) return 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(sizes[i].action, action) == 0)
            return sizes[i].size;
    return 0;
}

/* -EPROTO: AWS gave this token before, and would do so for ever. */
static int next_page(json_t *seen, json_t *parameters, const char *action, const char *token,
                     struct err *err)
{
    if (json_object_get(seen, token) || json_object_size(seen) >= PAGES_MAX)
        return err_set(err, -EPROTO, "ec2: %s: pages without an end (the same NextToken again)",
                       action);
    if (json_object_set_new(seen, token, json_true()) < 0 ||
        json_object_set_new(parameters, "NextToken", json_string(token)) < 0)
        return err_set(err, -ENOMEM, "no memory for an answer");
    return 0;
}

static int take_page(json_t *all, const json_t *page, const char *action, const char *set,
                     struct err *err)
{
    json_t *items = json_object_get(page, set);
    if (items && !json_is_null(items) && !json_is_array(items))
        return err_set(err, -EPROTO, "ec2: %s: %s is no list", action, set);
    if (json_array_size(all) + json_array_size(items) > ITEMS_MAX)
        return err_set(err, -EMSGSIZE, "ec2: %s: more than %d; choose fewer", action, ITEMS_MAX);
    if (json_is_array(items) && json_array_extend(all, items) < 0)
        return err_set(err, -ENOMEM, "no memory for an answer");
    return 0;
}

int aws_ec2_all(struct aws *aws, const char *action, const json_t *parameters, const char *set,
                json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    json_t *asked = parameters ? json_copy((json_t *)(uintptr_t)parameters) : json_object();
    json_t *all = json_array(), *seen = json_object(), *page = NULL;
    int result = asked && all && seen ? 0 : err_set(err, -ENOMEM, "no memory for an answer");
    json_int_t size = page_size(action, asked);
    *out = NULL;
    if (result == 0 && size && !json_object_get(asked, "MaxResults") &&
        json_object_set_new(asked, "MaxResults", json_integer(size)) < 0)
        result = err_set(err, -ENOMEM, "no memory for an answer");
    while (result == 0) {
        result = aws_call(aws, "ec2", action, asked, &page, refusal, err);
        if (result == 0)
            result = take_page(all, page, action, set, err);
        const char *token = json_string_value(json_object_get(page, "nextToken"));
        if (result < 0 || !token || !*token)
            break;
        result = next_page(seen, asked, action, token, err);
        json_decref(page);
        page = NULL;
    }
    json_decref(page);
    json_decref(seen);
    json_decref(asked);
    if (result == 0)
        *out = all;
    else
        json_decref(all);
    return result;
}
