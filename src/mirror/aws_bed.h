/* For unit tests of the provider of AWS: a cloud that is a JSON object of lists, as Describe gives
 * them, and a job on it. What is created is added to the lists; each call is written down. What the
 * cloud refuses, and whether signatures and limits are right, is for the scenarios. */
#ifndef MIRROR_AWS_BED_H
#define MIRROR_AWS_BED_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "mirror/aws.h"
#include "mirror/plan.h"

struct aws_bed {
    json_t *world; /* "networkInterfaceSet" … -> list */
    json_t *calls; /* [["CreateTrafficMirrorFilter", {…}], …]: those that change something */
    struct mirror_job job;
    struct aws_wish wish;
    struct aws_mirror state;
    struct text remarks;
    int n_made;
    uint32_t waited; /* ms */
    /* The next call of this action is refused, so many times. */
    const char *refused;
    const char *code;
    int result, n_refused;
};

static const struct {
    const char *action, *set, *member, *id, *prefix;
} bed_creates[] = {
    {"CreateTrafficMirrorFilter", "trafficMirrorFilterSet", "trafficMirrorFilter",
     "trafficMirrorFilterId", "tmf-"},
    {"CreateTrafficMirrorTarget", "trafficMirrorTargetSet", "trafficMirrorTarget",
     "trafficMirrorTargetId", "tmt-"},
    {"CreateTrafficMirrorSession", "trafficMirrorSessionSet", "trafficMirrorSession",
     "trafficMirrorSessionId", "tms-"},
};

static inline json_t *bed_list(struct aws_bed *bed, const char *set)
{
    json_t *list = json_object_get(bed->world, set);
    if (!list) {
        list = json_array();
        json_object_set_new(bed->world, set, list);
    }
    return list;
}

/* "TrafficMirrorTargetId" of a call is "trafficMirrorTargetId" of an answer; "Tag" of a
 * TagSpecification a tagSet. Numbers become texts, as in XML. */
static inline void bed_copy(const json_t *parameters, json_t *item)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)parameters, name, value)
    {
        char lower[64], number[32];
        snprintf(lower, sizeof lower, "%s", name);
        lower[0] = (char)(lower[0] | 0x20);
        if (json_is_string(value)) {
            json_object_set(item, lower, value);
        } else if (json_is_integer(value)) {
            snprintf(number, sizeof number, "%d", (int)json_integer_value(value));
            json_object_set_new(item, lower, json_string(number));
        } else if (json_is_object(value)) {
            json_t *inner = json_object();
            bed_copy(value, inner);
            json_object_set_new(item, lower, inner);
        }
    }
    json_t *tags =
        json_object_get(json_array_get(json_object_get(parameters, "TagSpecification"), 0), "Tag");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        json_t *set = json_object_get(item, "tagSet");
        if (!set) {
            set = json_array();
            json_object_set_new(item, "tagSet", set);
        }
        json_array_append_new(set, json_pack("{s:s, s:s}", "key",
                                             mirror_text(json_array_get(tags, i), "Key"), "value",
                                             mirror_text(json_array_get(tags, i), "Value")));
    }
}

static inline json_t *bed_item(struct aws_bed *bed, const char *set, const char *member,
                               const char *id)
{
    json_t *list = bed_list(bed, set);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(mirror_text(json_array_get(list, i), member), id) == 0)
            return json_array_get(list, i);
    return NULL;
}

static inline void bed_drop(struct aws_bed *bed, const char *set, const char *member,
                            const char *id)
{
    json_t *list = bed_list(bed, set);
    for (size_t i = json_array_size(list); i-- > 0;)
        if (strcmp(mirror_text(json_array_get(list, i), member), id) == 0)
            json_array_remove(list, i);
}

static inline json_t *bed_create_rule(struct aws_bed *bed, const json_t *parameters)
{
    char id[32];
    json_t *item = json_object();
    json_t *filter = bed_item(bed, "trafficMirrorFilterSet", "trafficMirrorFilterId",
                              mirror_text(parameters, "TrafficMirrorFilterId"));
    const char *set = strcmp(mirror_text(parameters, "TrafficDirection"), "egress") == 0
                          ? "egressFilterRuleSet"
                          : "ingressFilterRuleSet";
    snprintf(id, sizeof id, "tmfr-%d", ++bed->n_made);
    bed_copy(parameters, item);
    json_object_set_new(item, "trafficMirrorFilterRuleId", json_string(id));
    if (!json_object_get(filter, set))
        json_object_set_new(filter, set, json_array());
    json_array_append_new(json_object_get(filter, set), item);
    return json_pack("{s:O}", "trafficMirrorFilterRule", item);
}

static inline json_t *bed_change(struct aws_bed *bed, const char *action, const json_t *parameters)
{
    char id[32];
    for (size_t i = 0; i < sizeof bed_creates / sizeof bed_creates[0]; i++) {
        if (strcmp(bed_creates[i].action, action) != 0)
            continue;
        json_t *item = json_object();
        snprintf(id, sizeof id, "%s%d", bed_creates[i].prefix, ++bed->n_made);
        bed_copy(parameters, item);
        json_object_set_new(item, bed_creates[i].id, json_string(id));
        if (strcmp(bed_creates[i].prefix, "tmt-") == 0)
            json_object_set_new(item, "type", json_string("network-interface"));
        json_array_append_new(bed_list(bed, bed_creates[i].set), item);
        return json_pack("{s:O}", bed_creates[i].member, item);
    }
    if (strcmp(action, "CreateTrafficMirrorFilterRule") == 0)
        return bed_create_rule(bed, parameters);
    if (strcmp(action, "ModifyTrafficMirrorFilterNetworkServices") == 0)
        json_object_set_new(bed_item(bed, "trafficMirrorFilterSet", "trafficMirrorFilterId",
                                     mirror_text(parameters, "TrafficMirrorFilterId")),
                            "networkServiceSet",
                            json_object_get(parameters, "AddNetworkService")
                                ? json_pack("[s]", "amazon-dns")
                                : json_null());
    if (strcmp(action, "ModifyTrafficMirrorSession") == 0)
        bed_copy(parameters, bed_item(bed, "trafficMirrorSessionSet", "trafficMirrorSessionId",
                                      mirror_text(parameters, "TrafficMirrorSessionId")));
    if (strcmp(action, "DeleteTrafficMirrorSession") == 0)
        bed_drop(bed, "trafficMirrorSessionSet", "trafficMirrorSessionId",
                 mirror_text(parameters, "TrafficMirrorSessionId"));
    if (strcmp(action, "DeleteTrafficMirrorTarget") == 0)
        bed_drop(bed, "trafficMirrorTargetSet", "trafficMirrorTargetId",
                 mirror_text(parameters, "TrafficMirrorTargetId"));
    if (strcmp(action, "DeleteTrafficMirrorFilter") == 0)
        bed_drop(bed, "trafficMirrorFilterSet", "trafficMirrorFilterId",
                 mirror_text(parameters, "TrafficMirrorFilterId"));
    return json_object();
}

static inline int bed_call(void *with, const char *service, const char *action,
                           const json_t *parameters, json_t **out, struct cloud_refusal *refusal,
                           struct err *err)
{
    struct aws_bed *bed = with;
    bool changes = strncmp(action, "Describe", 8) != 0 && strcmp(service, "ec2") == 0;
    if (changes)
        json_array_append_new(bed->calls,
                              json_pack("[s, O]", action, (json_t *)(uintptr_t)parameters));
    if (bed->n_refused && strcmp(action, bed->refused) == 0) {
        bed->n_refused--;
        snprintf(refusal->code, sizeof refusal->code, "%s", bed->code);
        snprintf(refusal->message, sizeof refusal->message, "no: %s", bed->code);
        return err_set(err, bed->result, "%s: %s", action, bed->code);
    }
    if (changes)
        *out = bed_change(bed, action, parameters);
    else
        *out = json_incref(json_object_get(bed->world, action)); /* as it is; often nothing */
    if (!*out)
        *out = json_object();
    return 0;
}

/* Only ids are heeded, as the provider asks for no less than it can use. */
static inline int bed_all(void *with, const char *action, const json_t *parameters, const char *set,
                          json_t **out, struct cloud_refusal *refusal, struct err *err)
{
    struct aws_bed *bed = with;
    const json_t *list = bed_list(bed, set);
    const char *interface =
        json_string_value(json_array_get(json_object_get(parameters, "NetworkInterfaceId"), 0));
    const char *instance =
        json_string_value(json_array_get(json_object_get(parameters, "InstanceId"), 0));
    json_t *some = json_array();
    if (bed->n_refused && strcmp(action, bed->refused) == 0) {
        bed->n_refused--;
        json_decref(some);
        snprintf(refusal->code, sizeof refusal->code, "%s", bed->code);
        return err_set(err, bed->result, "%s: %s", action, bed->code);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        const json_t *first = json_array_get(json_object_get(item, "instancesSet"), 0);
        if ((!interface || strcmp(mirror_text(item, "networkInterfaceId"), interface) == 0) &&
            (!instance || strcmp(mirror_text(first, "instanceId"), instance) == 0))
            json_array_append_new(some, json_deep_copy(item));
    }
    *out = some;
    return 0;
}

static inline int bed_metadata(void *with, const char *path, struct text *out, struct err *err)
{
    struct aws_bed *bed = with;
    const char *answer = mirror_text(json_object_get(bed->world, "metadata"), path);
    if (!answer[0])
        return err_set(err, -EHOSTUNREACH, "no metadata");
    text_put(out, answer);
    return 0;
}

static inline bool bed_wait(void *with, uint32_t ms)
{
    struct aws_bed *bed = with;
    bed->waited += ms;
    return true;
}

static inline int64_t bed_now(void *with)
{
    (void)with;
    return INT64_C(1800000000) * 1000000000;
}

/* ---- the world ---- */

static inline void bed_subnet(struct aws_bed *bed, const char *id, const char *vpc,
                              const char *cidr)
{
    json_array_append_new(bed_list(bed, "subnetSet"), json_pack("{s:s, s:s, s:s}", "subnetId", id,
                                                                "vpcId", vpc, "cidrBlock", cidr));
}

static inline void bed_instance(struct aws_bed *bed, const char *id, const char *type,
                                const char *name)
{
    json_array_append_new(bed_list(bed, "reservationSet"),
                          json_pack("{s:[{s:s, s:s, s:[{s:s, s:s}]}]}", "instancesSet",
                                    "instanceId", id, "instanceType", type, "tagSet", "key", "Name",
                                    "value", name));
}

/* In zone "a" or "b" of vpc-1, by the subnet: subnet-a, subnet-b; in the group sg-1. */
static inline json_t *bed_interface(struct aws_bed *bed, const char *id, const char *instance,
                                    int index, const char *zone, const char *address)
{
    char subnet[32], full[32], text[16];
    snprintf(subnet, sizeof subnet, "subnet-%s", zone);
    snprintf(full, sizeof full, "eu-west-1%s", zone);
    snprintf(text, sizeof text, "%d", index);
    json_t *item = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[{s:s}], s:{s:s, s:s, s:s, s:s}}",
        "networkInterfaceId", id, "vpcId", "vpc-1", "subnetId", subnet, "availabilityZone", full,
        "privateIpAddress", address, "interfaceType", "interface", "macAddress",
        "02:00:00:00:00:01", "groupSet", "groupId", "sg-1", "attachment", "instanceId", instance,
        "deviceIndex", text, "status", "attached", "attachmentId", "a-1");
    json_array_append_new(bed_list(bed, "networkInterfaceSet"), item);
    return item;
}

/* A session of somebody else, to the target tmt-…. */
static inline json_t *bed_session(struct aws_bed *bed, const char *id, const char *interface,
                                  const char *target, int number, int vni)
{
    char n[16], v[16];
    snprintf(n, sizeof n, "%d", number);
    snprintf(v, sizeof v, "%d", vni);
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "trafficMirrorSessionId", id,
                  "networkInterfaceId", interface, "trafficMirrorTargetId", target,
                  "trafficMirrorFilterId", "tmf-other", "sessionNumber", n, "virtualNetworkId", v);
    json_array_append_new(bed_list(bed, "trafficMirrorSessionSet"), item);
    return item;
}

/* Two zones; the collector is i-col with eni-col in zone a. No machine yet. */
static inline void bed_init(struct aws_bed *bed, const char *const *options, size_t n_options)
{
    struct err err;
    memset(bed, 0, sizeof *bed);
    bed->world = json_object();
    bed->calls = json_array();
    text_init(&bed->remarks, 65536);
    bed->job = (struct mirror_job){
        .provider = &provider_aws, .name = "m", .wish = &bed->wish, .state = &bed->state};
    bed->state.calls = (struct aws_calls){bed_call, bed_all, bed_metadata, bed_wait, bed_now, bed};
    bed->state.notes = json_object();
    snprintf(bed->state.region, sizeof bed->state.region, "eu-west-1");
    for (size_t i = 0; i < n_options; i += 2) {
        int row = 0;
        while (strcmp(provider_aws.options[row].name, options[i]) != 0)
            row++;
        if (provider_aws.wish_take(row, options[i + 1], &bed->wish, &err) < 0)
            fail_msg("%s", err.text);
    }
    if (provider_aws.wish_check(&bed->job, &err) < 0)
        fail_msg("%s", err.text);
    bed_subnet(bed, "subnet-a", "vpc-1", "10.0.1.0/24");
    bed_subnet(bed, "subnet-b", "vpc-1", "10.0.2.0/24");
    bed_instance(bed, "i-col", "m5.large", "collector");
    bed_interface(bed, "eni-col", "i-col", 0, "a", "10.0.1.9");
    json_array_append_new(bed_list(bed, "securityGroupRuleSet"),
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "securityGroupRuleId",
                                    "sgr-1", "groupId", "sg-1", "isEgress", "false", "ipProtocol",
                                    "-1", "fromPort", "-1", "toPort", "-1", "cidrIpv4",
                                    "10.0.0.0/8"));
}

static inline void bed_done(struct aws_bed *bed)
{
    aws_mirror_done(&bed->state);
    mirror_set_done(&bed->job.recorded);
    mirror_set_done(&bed->job.lacks);
    json_decref(bed->job.known);
    json_decref(bed->world);
    json_decref(bed->calls);
    text_done(&bed->remarks);
}

/* A machine with one interface: i-NAME, eni-NAME. */
static inline json_t *bed_machine(struct aws_bed *bed, const char *name, const char *zone,
                                  const char *address)
{
    char id[32], interface[32];
    snprintf(id, sizeof id, "i-%s", name);
    snprintf(interface, sizeof interface, "eni-%s", name);
    bed_instance(bed, id, "m5.large", name);
    return bed_interface(bed, interface, id, 0, zone, address);
}

/* ---- running ---- */

static inline void bed_plan(struct aws_bed *bed, struct mirror_set *wanted,
                            struct mirror_set *found, struct mirror_plan *plan)
{
    struct err err;
    text_done(&bed->remarks);
    text_init(&bed->remarks, 65536);
    if (aws_want(&bed->job, wanted, &bed->remarks, &err) < 0 ||
        aws_find(&bed->job, found, &err) < 0)
        fail_msg("%s", err.text);
    assert_false(wanted->failed);
    assert_false(found->failed);
    assert_true(mirror_plan_make(wanted, found, aws_may_change, plan));
}

/* As the engine does it; gives how many steps there were. */
static inline size_t bed_apply(struct aws_bed *bed)
{
    struct mirror_set wanted = {0}, found = {0};
    struct mirror_plan plan = {0};
    struct text said;
    struct err err;
    text_init(&said, 4096);
    bed_plan(bed, &wanted, &found, &plan);
    size_t n = plan.n_changes;
    for (size_t i = 0; getenv("BED_SAYS") && i < plan.n; i++)
        print_message("%c %s %s: %s\n", mirror_action_sign(plan.at[i].action),
                      plan.at[i].want ? plan.at[i].want->kind : plan.at[i].have->kind,
                      plan.at[i].want ? plan.at[i].want->key : plan.at[i].have->key,
                      plan.at[i].reason);
    for (size_t i = found.n; i-- > 0;)
        for (size_t j = 0; j < plan.n; j++)
            if (plan.at[j].have == &found.at[i] &&
                (plan.at[j].action == MIRROR_UNMAKE || plan.at[j].action == MIRROR_REMAKE) &&
                aws_unmake(&bed->job, &found.at[i], &err) < 0)
                fail_msg("%s", err.text);
    for (size_t i = 0; i < plan.n; i++) {
        const struct mirror_step *step = &plan.at[i];
        int result = 0;
        if (step->action == MIRROR_MAKE || step->action == MIRROR_REMAKE)
            result = aws_make(&bed->job, step->want, &err);
        else if (step->action == MIRROR_CHANGE)
            result = aws_change(&bed->job, step->have, step->want, &err);
        if (result < 0 && !step->want->may_lack)
            fail_msg("%s", err.text);
    }
    if (aws_prove(&bed->job, &said, &err) < 0)
        fail_msg("%s", err.text);
    text_done(&said);
    mirror_plan_done(&plan);
    mirror_set_done(&wanted);
    mirror_set_done(&found);
    return n;
}

/* The session that is there for the interface, of this mirror; NULL: none. */
static inline json_t *bed_ours(struct aws_bed *bed, const char *interface)
{
    json_t *list = bed_list(bed, "trafficMirrorSessionSet");
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        if (aws_is_ours(item, "m") &&
            strcmp(mirror_text(item, "networkInterfaceId"), interface) == 0)
            return item;
    }
    return NULL;
}

static inline bool bed_remarks(const struct aws_bed *bed, const char *text)
{
    return bed->remarks.at && strstr(bed->remarks.at, text);
}

static inline size_t bed_n_calls(const struct aws_bed *bed, const char *action)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(bed->calls); i++)
        n += strcmp(json_string_value(json_array_get(json_array_get(bed->calls, i), 0)), action) ==
             0;
    return n;
}

#endif
