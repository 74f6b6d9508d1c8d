/* Calls of AWS, and what its answers hold: see aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define PATIENCE_MS 60000
#define PAUSE_MAX   8000

/* What the limits mean, and what to do about them. */
static const struct {
    const char *code, *means;
} limits[] = {
    {"TrafficMirrorSessionsPerInterfaceLimitExceeded",
     "an interface has at most 3 sessions; one of them has to go"},
    {"TrafficMirrorSourcesPerTargetLimitExceeded",
     "an interface takes 10 sources as target, 100 on some large instance types: give a further "
     "--to, or a load balancer, and --capacity with the number that it takes"},
    {"TrafficMirrorSessionsPerTargetLimitExceeded",
     "this target takes no more sessions: give a further --to, or a load balancer"},
    {"TrafficMirrorSessionLimitExceeded",
     "the account's limit of sessions (10000, unless AWS raised it)"},
    {"TrafficMirrorTargetLimitExceeded", "the account's limit of targets"},
    {"TrafficMirrorFilterLimitExceeded", "the account's limit of filters"},
    {"TrafficMirrorFilterRuleLimitExceeded",
     "a filter has at most 10 rules, unless AWS raised it: make --filter simpler"},
    {"RulesPerSecurityGroupLimitExceeded",
     "the security group is full: allow a larger prefix by hand"},
    {NULL, NULL},
};

static const char *service_in_policies(const char *service)
{
    return strcmp(service, "monitoring") == 0 ? "cloudwatch" : service;
}

static void explain(const char *service, const char *action, int result,
                    const struct cloud_refusal *refusal, struct err *err)
{
    /* Wrong keys, or none, are no lack of rights: their sentences stay. */
    if (strncmp(refusal->code, "UnauthorizedOperation", 21) == 0 ||
        strncmp(refusal->code, "AccessDenied", 12) == 0) {
        (void)err_set(err, result,
                      "%s is not allowed (%.60s): the credentials need the IAM action %s:%s "
                      "(--iam-policy prints all that are needed)",
                      action, refusal->code, service_in_policies(service), action);
        return;
    }
    for (size_t i = 0; limits[i].code; i++)
        if (strcmp(refusal->code, limits[i].code) == 0)
            (void)err_set(err, result, "%.200s (%s: %s)", refusal->message, refusal->code,
                          limits[i].means);
}

int aws_mirror_call(struct aws_mirror *state, const char *service, const char *action,
                    json_t *parameters, json_t **out, struct cloud_refusal *refusal,
                    struct err *err)
{
    struct cloud_refusal own = {0};
    json_t *answer = NULL;
    int result = parameters ? state->calls.call(state->calls.with, service, action, parameters,
                                                &answer, &own, err)
                            : err_set(err, -ENOMEM, "out of memory");
    json_decref(parameters);
    if (result < 0)
        explain(service, action, result, &own, err);
    if (refusal)
        *refusal = own;
    if (result == 0 && out)
        *out = answer;
    else
        json_decref(answer);
    return result;
}

/* What we made a moment ago, and AWS does not know yet everywhere. */
static bool is_late(int result, const struct cloud_refusal *refusal)
{
    return result == -ENOENT && (strstr(refusal->code, "TrafficMirror") != NULL ||
                                 strncmp(refusal->code, "InvalidGroup", 12) == 0 ||
                                 strncmp(refusal->code, "InvalidSecurityGroup", 20) == 0);
}

int aws_mirror_insist(struct aws_mirror *state, const char *action, json_t *parameters,
                      json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    struct cloud_refusal own = {0};
    uint32_t pause = 500, waited = 0;
    int result;
    for (;;) {
        result = aws_mirror_call(state, "ec2", action, json_incref(parameters), out, &own, err);
        if (!is_late(result, &own) || waited >= PATIENCE_MS)
            break;
        if (!state->calls.wait(state->calls.with, pause)) {
            result = err_set(err, -EINTR, "interrupted");
            break;
        }
        waited += pause;
        pause = pause * 2 < PAUSE_MAX ? pause * 2 : PAUSE_MAX;
    }
    json_decref(parameters);
    if (refusal)
        *refusal = own;
    return result;
}

int aws_mirror_all(struct aws_mirror *state, const char *action, json_t *parameters,
                   const char *set, json_t **out, struct err *err)
{
    struct cloud_refusal refusal = {0};
    json_t *list = NULL;
    int result = parameters ? state->calls.all(state->calls.with, action, parameters, set, &list,
                                               &refusal, err)
                            : err_set(err, -ENOMEM, "out of memory");
    json_decref(parameters);
    if (result < 0) {
        explain("ec2", action, result, &refusal, err);
        return result;
    }
    json_decref(*out);
    *out = list;
    return 0;
}

/* ---- parameters ---- */

json_t *aws_filter(const char *name, const char *value)
{
    return json_pack("{s:[{s:s, s:[s]}]}", "Filter", "Name", name, "Value", value);
}

void aws_add_filter(json_t *parameters, const char *name, json_t *values)
{
    json_t *filters = json_object_get(parameters, "Filter");
    if (!filters) {
        filters = json_array();
        (void)json_object_set_new(parameters, "Filter", filters); /* the cloud then says all */
    }
    (void)json_array_append_new(filters, json_pack("{s:s, s:o}", "Name", name, "Value", values));
}

json_t *aws_tag_list(const char *mirror, const char *kind, const char *key)
{
    char mark[MIRROR_KIND_MAX + MIRROR_KEY_MAX + 1], name[256];
    (void)snprintf(mark, sizeof mark, "%s/%s", kind, key);
    (void)snprintf(name, sizeof name, "cloudspan %s", mirror);
    return json_pack("[{s:s, s:s}, {s:s, s:s}, {s:s, s:s}]", "Key", "Name", "Value", name, "Key",
                     AWS_TAG_MIRROR, "Value", mirror, "Key", AWS_TAG_KEY, "Value", mark);
}

json_t *aws_tags(const char *type, const char *mirror, const char *kind, const char *key)
{
    return json_pack("[{s:s, s:o}]", "ResourceType", type, "Tag", aws_tag_list(mirror, kind, key));
}

/* ---- answers ---- */

const json_t *aws_result(const json_t *answer, const char *action)
{
    char name[96];
    (void)snprintf(name, sizeof name, "%.80sResult", action);
    const json_t *inner = json_object_get(answer, name);
    return inner ? inner : answer;
}

int64_t aws_number(const json_t *object, const char *name, int64_t lack)
{
    const json_t *value = json_object_get(object, name);
    const char *text = json_string_value(value);
    char *end = NULL;
    if (json_is_integer(value))
        return json_integer_value(value);
    if (!text || !text[0])
        return lack;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    return errno || !end || *end ? lack : number;
}

const json_t *aws_list(const json_t *object, const char *name)
{
    const json_t *list = json_object_get(object, name);
    return json_is_array(list) ? list : NULL;
}

const char *aws_tag(const json_t *item, const char *key)
{
    const json_t *tags = aws_list(item, "tagSet");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const json_t *tag = json_array_get(tags, i);
        if (strcmp(mirror_text(tag, "key"), key) == 0)
            return mirror_text(tag, "value");
    }
    return NULL;
}

const json_t *aws_by_id(const json_t *list, const char *member, const char *id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (strcmp(mirror_text(item, member), id) == 0)
            return item;
    }
    return NULL;
}

bool aws_is_ours(const json_t *item, const char *mirror)
{
    const char *mark = aws_tag(item, AWS_TAG_MIRROR);
    return mark && strcmp(mark, mirror) == 0;
}
