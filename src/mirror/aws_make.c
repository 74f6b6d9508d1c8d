/* Making, changing and unmaking what a mirror of AWS consists of: see aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define SECOND   1000000000
#define BUSY_MS  2000
#define BUSY_MAX 10 /* so often, what is still in use is asked for again */
#define CHECKS   3
#define CHECK_MS 2000

/* Of what an object stands on: the id of ours by its key, else it is an id itself. */
static const char *id_or_key(const struct aws_mirror *state, const char *kind, const char *key)
{
    const char *id = aws_id_of(state, kind, key);
    return id ? id : key;
}

static void put(json_t *parameters, const char *name, json_t *value)
{
    (void)json_object_set_new(parameters, name, value); /* the cloud says what is missing */
}

/* ---- parameters ---- */

static json_t *range_of(const char *text)
{
    uint16_t from, to;
    return text[0] && aws_take_range(text, &from, &to)
               ? json_pack("{s:i, s:i}", "FromPort", (int)from, "ToPort", (int)to)
               : NULL;
}

/* What a rule says, as create and modify have it. `removes`: fields that it must lose, or NULL. */
static void put_rule(const struct mirror_object *want, json_t *parameters, json_t *removes)
{
    static const struct {
        const char *is, *parameter, *field;
    } ranges[] = {{"source_ports", "SourcePortRange", "source-port-range"},
                  {"destination_ports", "DestinationPortRange", "destination-port-range"}};
    int64_t protocol = aws_number(want->is, "protocol", -1);
    const char *slash = strchr(want->key, '/');
    put(parameters, "TrafficDirection", json_stringn(want->key, (size_t)(slash - want->key)));
    put(parameters, "RuleNumber", json_integer(strtol(slash + 1, NULL, 10)));
    put(parameters, "RuleAction", json_string(mirror_text(want->is, "action")));
    put(parameters, "SourceCidrBlock", json_string(mirror_text(want->is, "source")));
    put(parameters, "DestinationCidrBlock", json_string(mirror_text(want->is, "destination")));
    if (protocol >= 0)
        put(parameters, "Protocol", json_integer(protocol));
    else if (removes)
        (void)json_array_append_new(removes, json_string("protocol"));
    for (size_t i = 0; i < 2; i++) {
        json_t *range = range_of(mirror_text(want->is, ranges[i].is));
        if (range)
            put(parameters, ranges[i].parameter, range);
        else if (removes)
            (void)json_array_append_new(removes, json_string(ranges[i].field));
    }
}

static json_t *session_parameters(const struct aws_mirror *state, const struct mirror_object *want)
{
    const json_t *is = want->is;
    json_t *parameters =
        json_pack("{s:s, s:s, s:s, s:I, s:I}", "NetworkInterfaceId", want->key,
                  "TrafficMirrorTargetId", id_or_key(state, "target", mirror_text(is, "target")),
                  "TrafficMirrorFilterId", id_or_key(state, "filter", mirror_text(is, "filter")),
                  "SessionNumber", (json_int_t)aws_number(is, "number", 1), "VirtualNetworkId",
                  (json_int_t)aws_number(is, "vni", 0));
    if (aws_number(is, "length", 0) > 0)
        put(parameters, "PacketLength", json_integer(aws_number(is, "length", 0)));
    return parameters;
}

static json_t *group_rule_parameters(const struct mirror_object *want)
{
    const char *slash = strchr(want->key, '/'), *cidr = slash + 1;
    bool is_v6 = strchr(cidr, ':') != NULL;
    const char *what = strcmp(want->kind, "canary") == 0 ? AWS_CANARY_RULE : AWS_OPEN_RULE;
    return json_pack("{s:o, s:[{s:s, s:I, s:I, s:[{s:s, s:s}]}]}", "GroupId",
                     json_stringn(want->key, (size_t)(slash - want->key)), "IpPermissions",
                     "IpProtocol", mirror_text(want->is, "protocol"), "FromPort",
                     (json_int_t)aws_number(want->is, "from", 0), "ToPort",
                     (json_int_t)aws_number(want->is, "to", 0), is_v6 ? "Ipv6Ranges" : "IpRanges",
                     is_v6 ? "CidrIpv6" : "CidrIp", cidr, "Description", what);
}

/* ---- making ---- */

struct maker {
    const char *kind, *action, *type; /* type: what the tags are of; NULL: it takes none */
    const char *member, *id; /* of the answer: trafficMirrorFilter, trafficMirrorFilterId */
    const char *describe, *set, *ask; /* looks whether it is there */
    bool has_token;
};

static const struct maker makers[] = {
    {"filter", "CreateTrafficMirrorFilter", "traffic-mirror-filter", "trafficMirrorFilter",
     "trafficMirrorFilterId", "DescribeTrafficMirrorFilters", "trafficMirrorFilterSet",
     "TrafficMirrorFilterId", true},
    {"rule", "CreateTrafficMirrorFilterRule", NULL, "trafficMirrorFilterRule",
     "trafficMirrorFilterRuleId", NULL, NULL, NULL, true},
    {"opening", "AuthorizeSecurityGroupIngress", "security-group-rule", "securityGroupRuleSet",
     "securityGroupRuleId", NULL, NULL, NULL, false},
    {"canary", "AuthorizeSecurityGroupIngress", "security-group-rule", "securityGroupRuleSet",
     "securityGroupRuleId", NULL, NULL, NULL, false},
    {"target", "CreateTrafficMirrorTarget", "traffic-mirror-target", "trafficMirrorTarget",
     "trafficMirrorTargetId", "DescribeTrafficMirrorTargets", "trafficMirrorTargetSet",
     "TrafficMirrorTargetId", true},
    {"session", "CreateTrafficMirrorSession", "traffic-mirror-session", "trafficMirrorSession",
     "trafficMirrorSessionId", "DescribeTrafficMirrorSessions", "trafficMirrorSessionSet",
     "TrafficMirrorSessionId", true},
};

static const struct maker *maker_of(const char *kind)
{
    for (size_t i = 0; i < sizeof makers / sizeof makers[0]; i++)
        if (strcmp(makers[i].kind, kind) == 0)
            return &makers[i];
    return NULL;
}

static json_t *make_parameters(const struct aws_mirror *state, const struct mirror_object *want)
{
    json_t *parameters = NULL;
    const char *type = mirror_text(want->is, "type");
    if (strcmp(want->kind, "filter") == 0) {
        parameters = json_pack("{s:s}", "Description", AWS_DESCRIPTION);
    } else if (strcmp(want->kind, "rule") == 0) {
        parameters =
            json_pack("{s:s, s:s}", "TrafficMirrorFilterId", id_or_key(state, "filter", "filter"),
                      "Description", AWS_DESCRIPTION);
        put_rule(want, parameters, NULL);
    } else if (strcmp(want->kind, "target") == 0) {
        parameters = json_pack("{s:s, s:s}",
                               strcmp(type, "network-load-balancer") == 0 ? "NetworkLoadBalancerArn"
                               : strcmp(type, "gateway-load-balancer-endpoint") == 0
                                   ? "GatewayLoadBalancerEndpointId"
                                   : "NetworkInterfaceId",
                               want->key, "Description", AWS_DESCRIPTION);
    } else if (strcmp(want->kind, "session") == 0) {
        parameters = session_parameters(state, want);
        put(parameters, "Description", json_string(AWS_DESCRIPTION));
    } else {
        parameters = group_rule_parameters(want);
    }
    return parameters;
}

/* An apply that was killed may have made it; then it may have been taken away by somebody, and the
 * same token now brings back the id of what is gone. False: nothing has this id. */
static bool is_there(struct aws_mirror *state, const struct maker *maker, const char *id)
{
    struct err err;
    for (int i = 0; maker->describe && i < CHECKS; i++) {
        json_t *answer = NULL;
        int result = aws_mirror_call(state, "ec2", maker->describe,
                                     json_pack("{s:[s]}", maker->ask, id), &answer, NULL, &err);
        bool there = result == 0 && json_array_size(aws_list(answer, maker->set)) > 0;
        json_decref(answer);
        if (there || (result < 0 && result != -ENOENT) ||
            !state->calls.wait(state->calls.with, CHECK_MS))
            return true;
    }
    return maker->describe == NULL;
}

static int create(struct mirror_job *job, const struct maker *maker,
                  const struct mirror_object *want, char out_id[64], struct cloud_refusal *refusal,
                  struct err *err)
{
    struct aws_mirror *state = job->state;
    char what[MIRROR_KIND_MAX + MIRROR_KEY_MAX + 1], token[65];
    json_t *parameters = make_parameters(state, want), *answer = NULL;
    (void)snprintf(what, sizeof what, "%s/%s", want->kind, want->key);
    if (maker->type)
        put(parameters, "TagSpecification",
            aws_tags(maker->type, job->name, want->kind, want->key));
    if (maker->has_token) {
        aws_put_client_token(job, what, parameters, token);
        put(parameters, "ClientToken", json_string(token));
    }
    int result = aws_mirror_insist(state, maker->action, parameters, &answer, refusal, err);
    const json_t *made = json_object_get(answer, maker->member);
    if (json_is_array(made))
        made = json_array_get(made, 0);
    (void)snprintf(out_id, 64, "%s", mirror_text(made, maker->id));
    json_decref(answer);
    if (result == 0 && !out_id[0])
        result = err_set(err, -EIO, "%s: AWS gave no id", maker->action);
    return result;
}

/* What AWS can't mirror is not planned again; and what it could after all is no longer refused. */
static void note_refusal(struct mirror_job *job, const struct mirror_object *want, int result,
                         const struct cloud_refusal *refusal)
{
    const struct aws_mirror *state = job->state;
    bool is_refused = result == -EOPNOTSUPP && strcmp(refusal->code, "InvalidAction") != 0;
    for (size_t i = 0; (result == 0 || is_refused) && i < state->nics.n; i++)
        if (strcmp(state->nics.at[i].id, want->key) == 0)
            aws_refused_keep(job, &state->nics.at[i], is_refused ? refusal->code : NULL);
}

/* In a call of its own: no create takes it. */
static int set_dns(struct aws_mirror *state, const char *filter, bool dns, struct err *err)
{
    return aws_mirror_insist(state, "ModifyTrafficMirrorFilterNetworkServices",
                             json_pack("{s:s, s:[s]}", "TrafficMirrorFilterId", filter,
                                       dns ? "AddNetworkService" : "RemoveNetworkService",
                                       "amazon-dns"),
                             NULL, NULL, err);
}

/* That the rule is there is what was wanted: of another apply that was killed, or made by hand. */
static bool is_made_already(const struct maker *maker, int result)
{
    return result == -EEXIST &&
           (strcmp(maker->kind, "rule") == 0 || strcmp(maker->kind, "opening") == 0 ||
            strcmp(maker->kind, "canary") == 0);
}

int aws_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct aws_mirror *state = job->state;
    const struct maker *maker = maker_of(want->kind);
    struct cloud_refusal refusal = {0};
    char id[64];
    state->is_fresh = false;
    int result = create(job, maker, want, id, &refusal, err);
    if (is_made_already(maker, result))
        return 0;
    if (result == 0 && state->inherited && !is_there(state, maker, id)) {
        aws_notes_attempt_over(job);
        result = create(job, maker, want, id, &refusal, err);
    }
    if (strcmp(want->kind, "session") == 0)
        note_refusal(job, want, result, &refusal);
    if (result < 0) {
        char of[200];
        (void)snprintf(of, sizeof of, "%s %.150s", want->kind, want->key);
        err_wrap(err, "%s", of);
        return result;
    }
    aws_keep_id(state, want->kind, want->key, id);
    state->believes = false;
    json_decref(job->known);
    job->known = json_pack("{s:s, s:I}", "id", id, "at",
                           (json_int_t)(state->calls.now(state->calls.with) / SECOND));
    if (strcmp(want->kind, "filter") == 0 && json_is_true(json_object_get(want->is, "dns")))
        result = set_dns(state, id, true, err);
    return result;
}

/* ---- changing ---- */

static bool differs(const struct mirror_object *have, const struct mirror_object *want,
                    const char *name)
{
    const json_t *wanted = json_object_get(want->is, name);
    return wanted && !json_equal(json_object_get(have->is, name), wanted);
}

/* In more than its tags. */
static bool differs_itself(const struct mirror_object *have, const struct mirror_object *want)
{
    const char *name;
    json_t *value;
    json_object_foreach(want->is, name, value)
    {
        if (strcmp(name, "tagged") != 0 && differs(have, want, name))
            return true;
    }
    return false;
}

bool aws_may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    bool is_fixed = strcmp(want->kind, "target") == 0 || strcmp(want->kind, "opening") == 0 ||
                    strcmp(want->kind, "canary") == 0;
    return strcmp(have->kind, want->kind) == 0 && (!is_fixed || !differs_itself(have, want));
}

static int change_session(struct aws_mirror *state, const struct mirror_object *have,
                          const struct mirror_object *want, const char *id, struct err *err)
{
    json_t *parameters = json_pack("{s:s}", "TrafficMirrorSessionId", id);
    int64_t length = aws_number(want->is, "length", 0);
    if (differs(have, want, "target"))
        put(parameters, "TrafficMirrorTargetId",
            json_string(id_or_key(state, "target", mirror_text(want->is, "target"))));
    if (differs(have, want, "filter"))
        put(parameters, "TrafficMirrorFilterId",
            json_string(id_or_key(state, "filter", mirror_text(want->is, "filter"))));
    if (differs(have, want, "number"))
        put(parameters, "SessionNumber", json_integer(aws_number(want->is, "number", 1)));
    if (differs(have, want, "vni"))
        put(parameters, "VirtualNetworkId", json_integer(aws_number(want->is, "vni", 0)));
    if (differs(have, want, "length") && length > 0)
        put(parameters, "PacketLength", json_integer(length));
    else if (differs(have, want, "length"))
        put(parameters, "RemoveField", json_pack("[s]", "packet-length"));
    return aws_mirror_insist(state, "ModifyTrafficMirrorSession", parameters, NULL, NULL, err);
}

static int change_rule(struct aws_mirror *state, const struct mirror_object *want, const char *id,
                       struct err *err)
{
    json_t *parameters = json_pack("{s:s}", "TrafficMirrorFilterRuleId", id);
    json_t *removes = json_array();
    put_rule(want, parameters, removes);
    if (json_array_size(removes) > 0)
        put(parameters, "RemoveField", removes);
    else
        json_decref(removes);
    return aws_mirror_insist(state, "ModifyTrafficMirrorFilterRule", parameters, NULL, NULL, err);
}

int aws_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err)
{
    struct aws_mirror *state = job->state;
    const char *id = id_or_key(state, want->kind, want->key);
    int result = 0;
    state->is_fresh = false;
    if (differs(have, want, "tagged"))
        result = aws_mirror_call(state, "ec2", "CreateTags",
                                 json_pack("{s:[s], s:o}", "ResourceId", id, "Tag",
                                           aws_tag_list(job->name, want->kind, want->key)),
                                 NULL, NULL, err);
    if (result < 0 || !differs_itself(have, want)) {
        if (result < 0)
            err_wrap(err, "%s %.100s (%.40s): its tags", want->kind, want->key, id);
        return result;
    }
    if (strcmp(want->kind, "session") == 0)
        result = change_session(state, have, want, id, err);
    else if (strcmp(want->kind, "rule") == 0)
        result = change_rule(state, want, id, err);
    else
        result = set_dns(state, id, json_is_true(json_object_get(want->is, "dns")), err);
    if (result < 0)
        err_wrap(err, "%s %.100s (%.40s)", want->kind, want->key, id);
    return result;
}

/* ---- unmaking ---- */

static json_t *unmake_parameters(const struct mirror_object *have, const char *id,
                                 const char **out_action)
{
    static const struct {
        const char *kind, *action, *parameter;
    } deleters[] = {
        {"filter", "DeleteTrafficMirrorFilter", "TrafficMirrorFilterId"},
        {"rule", "DeleteTrafficMirrorFilterRule", "TrafficMirrorFilterRuleId"},
        {"target", "DeleteTrafficMirrorTarget", "TrafficMirrorTargetId"},
        {"session", "DeleteTrafficMirrorSession", "TrafficMirrorSessionId"},
    };
    for (size_t i = 0; i < sizeof deleters / sizeof deleters[0]; i++)
        if (strcmp(deleters[i].kind, have->kind) == 0) {
            *out_action = deleters[i].action;
            return json_pack("{s:s}", deleters[i].parameter, id);
        }
    *out_action = "RevokeSecurityGroupIngress";
    return json_pack("{s:o, s:[s]}", "GroupId", json_stringn(have->key, strcspn(have->key, "/")),
                     "SecurityGroupRuleId", id);
}

/* What uses it: "": nothing, as far as can be seen; "ours": only sessions of this mirror. */
static void put_user(const struct mirror_job *job, const char *member, const char *id, char out[64])
{
    const struct aws_mirror *state = job->state;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        const json_t *session = json_array_get(state->sessions, i);
        if (strcmp(mirror_text(session, member), id) != 0)
            continue;
        if (!aws_is_ours(session, job->name)) {
            (void)snprintf(out, 64, "%s", mirror_text(session, "trafficMirrorSessionId"));
            return;
        }
        (void)snprintf(out, 64, "ours");
    }
}

/* Of what is still in use: waits for sessions of ours to be gone, which takes AWS its time; says
 * whose session it is, where that is not ours. */
static int unmake_busy(struct mirror_job *job, const struct mirror_object *have, const char *id,
                       bool may_wait, struct err *err)
{
    struct aws_mirror *state = job->state;
    const char *action, *member = strcmp(have->kind, "target") == 0 ? "trafficMirrorTargetId"
                                                                    : "trafficMirrorFilterId";
    char user[64];
    int result = -EBUSY;
    for (int i = 0; i < BUSY_MAX && result == -EBUSY; i++) {
        struct err why;
        json_t *sessions = NULL;
        if (aws_mirror_all(state, "DescribeTrafficMirrorSessions", json_object(),
                           "trafficMirrorSessionSet", &sessions, &why) == 0) {
            json_decref(state->sessions);
            state->sessions = sessions;
        }
        put_user(job, member, id, user);
        if (user[0] && strcmp(user, "ours") != 0)
            return err_set(err, -EBUSY,
                           "the %s %s is used by the session %s, which is not of this mirror: it "
                           "stays until that one is gone",
                           have->kind, id, user);
        /* A session that is about to be changed to another one: prove() takes this away. */
        if (user[0] && may_wait) {
            if (!state->pending)
                state->pending = json_array();
            return json_array_append_new(state->pending, json_pack("[s, s]", have->kind, id)) < 0
                       ? err_set(err, -ENOMEM, "out of memory")
                       : 0;
        }
        if (!state->calls.wait(state->calls.with, BUSY_MS))
            return err_set(err, -EINTR, "interrupted");
        json_t *parameters = unmake_parameters(have, id, &action);
        result = aws_mirror_call(state, "ec2", action, parameters, NULL, NULL, err);
    }
    return result;
}

int aws_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    struct aws_mirror *state = job->state;
    const char *action, *id = mirror_text(have->also, "id");
    state->is_fresh = false;
    aws_notes_attempt_over(job); /* what is made from now on is not the same again */
    if (!id[0])
        id = aws_id_of(state, have->kind, have->key);
    if (!id)
        return 0; /* it was never made, or is gone */
    char kept[64];
    (void)snprintf(kept, sizeof kept, "%s", id);
    json_t *parameters = unmake_parameters(have, kept, &action);
    int result = aws_mirror_call(state, "ec2", action, parameters, NULL, NULL, err);
    if (result == -EBUSY)
        result = unmake_busy(job, have, kept, !job->partial, err);
    if (result == -ENOENT)
        result = 0;
    if (result < 0)
        err_wrap(err, "%s %.100s", have->kind, have->key);
    else
        aws_keep_id(state, have->kind, have->key, NULL);
    return result;
}

/* ---- the end of an apply ---- */

int aws_prove(struct mirror_job *job, struct text *said, struct err *err)
{
    struct aws_mirror *state = job->state;
    size_t i;
    json_t *one;
    int result = 0;
    (void)said;
    json_array_foreach(state->pending, i, one)
    {
        struct mirror_object object = {.also = NULL};
        const char *action, *id = json_string_value(json_array_get(one, 1));
        (void)snprintf(object.kind, sizeof object.kind, "%s",
                       json_string_value(json_array_get(one, 0)));
        json_t *parameters = unmake_parameters(&object, id, &action);
        int gone = aws_mirror_call(state, "ec2", action, parameters, NULL, NULL, err);
        if (gone == -EBUSY) /* as long as AWS sees a session there that was moved away */
            gone = unmake_busy(job, &object, id, false, err);
        if (gone < 0 && gone != -ENOENT)
            result = gone;
    }
    json_decref(state->pending);
    state->pending = NULL;
    aws_notes_attempt_over(job);
    return result;
}
