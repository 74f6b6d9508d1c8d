/* Where copies go: --to, as the cloud describes it. See aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define CAPACITY_SMALL 10
#define CAPACITY_LARGE 100

/* ---- this machine ---- */

static int ask_metadata(struct aws_mirror *state, const char *path, char *out, size_t size,
                        struct err *err)
{
    struct text text;
    text_init(&text, 4096);
    int result = state->calls.metadata(state->calls.with, path, &text, err);
    if (result == 0 && (text.failed || !text.at || !text.size || text.size >= size ||
                        strcspn(text.at, "\r\n ") != text.size))
        result = err_set(err, -EIO, "the metadata service has no good answer for %s", path);
    if (result == 0)
        memcpy(out, text.at, text.size + 1);
    text_done(&text);
    return result;
}

/* The first interface of this machine: where copies go that are sent to it. */
static int find_self(struct aws_mirror *state, char out[32], struct err *err)
{
    char mac[24], path[96];
    int result = ask_metadata(state, "meta-data/mac", mac, sizeof mac, err);
    if (result == 0) {
        (void)snprintf(path, sizeof path, "meta-data/network/interfaces/macs/%s/interface-id", mac);
        result = ask_metadata(state, path, out, 32, err);
    }
    if (result < 0)
        err_wrap(err, "--to self: which interface this machine has is not known");
    return result;
}

static void add_own(struct aws_mirror *state, const char *id)
{
    if (!state->own)
        state->own = json_object();
    if (id[0])
        (void)json_object_set_new(state->own, id, json_true()); /* then it may be mirrored */
}

/* ---- interfaces ---- */

static void take_interface(struct aws_mirror *state, struct aws_place *place, const json_t *item)
{
    const json_t *groups = aws_list(item, "groupSet");
    (void)snprintf(place->zone, sizeof place->zone, "%s", mirror_text(item, "availabilityZone"));
    (void)snprintf(place->vpc, sizeof place->vpc, "%s", mirror_text(item, "vpcId"));
    (void)snprintf(place->subnet, sizeof place->subnet, "%s", mirror_text(item, "subnetId"));
    (void)snprintf(place->address, sizeof place->address, "%s",
                   mirror_text(item, "privateIpAddress"));
    (void)snprintf(place->machine, sizeof place->machine, "%s",
                   mirror_text(json_object_get(item, "attachment"), "instanceId"));
    json_decref(place->groups);
    place->groups = json_array();
    for (size_t i = 0; i < json_array_size(groups); i++)
        (void)json_array_append_new(place->groups,
                                    json_string(mirror_text(json_array_get(groups, i), "groupId")));
    add_own(state, mirror_text(item, "networkInterfaceId"));
    add_own(state, place->machine);
}

static int ask_type(struct aws_mirror *state, struct aws_place *place, struct err *err)
{
    json_t *reservations = NULL;
    if (!place->machine[0])
        return 0;
    int result = aws_mirror_all(state, "DescribeInstances",
                                json_pack("{s:[s]}", "InstanceId", place->machine),
                                "reservationSet", &reservations, err);
    const json_t *instances = aws_list(json_array_get(reservations, 0), "instancesSet");
    (void)snprintf(place->type, sizeof place->type, "%s",
                   mirror_text(json_array_get(instances, 0), "instanceType"));
    json_decref(reservations);
    return result;
}

static int ask_interface(struct aws_mirror *state, struct aws_place *place, const char *id,
                         struct err *err)
{
    json_t *list = NULL;
    int result = aws_mirror_all(state, "DescribeNetworkInterfaces",
                                json_pack("{s:[s]}", "NetworkInterfaceId", id),
                                "networkInterfaceSet", &list, err);
    if (result == 0 && json_array_size(list) == 0)
        result = err_set(err, -ENOENT, "there is none of that id");
    if (result == 0) {
        take_interface(state, place, json_array_get(list, 0));
        result = ask_type(state, place, err);
    }
    json_decref(list);
    if (result < 0)
        err_wrap(err, "--to %s, in %s", id, state->region);
    return result;
}

static void set_capacity(const struct aws_wish *wish, struct aws_place *place, bool is_interface)
{
    place->capacity = wish->capacity                   ? wish->capacity
                      : !is_interface                  ? UINT32_MAX
                      : aws_type_is_large(place->type) ? CAPACITY_LARGE
                                                       : CAPACITY_SMALL;
}

/* ---- load balancers ---- */

/* The machines behind a group; gives how many are healthy. */
static int ask_health(struct aws_mirror *state, const char *group, int *in_out_healthy,
                      int *in_out_registered, struct err *err)
{
    json_t *answer = NULL;
    int result = aws_mirror_call(state, "elasticloadbalancing", "DescribeTargetHealth",
                                 json_pack("{s:s}", "TargetGroupArn", group), &answer, NULL, err);
    const json_t *list =
        aws_list(aws_result(answer, "DescribeTargetHealth"), "TargetHealthDescriptions");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        const char *how = mirror_text(json_object_get(one, "TargetHealth"), "State");
        add_own(state, mirror_text(json_object_get(one, "Target"), "Id"));
        *in_out_healthy += strcmp(how, "healthy") == 0;
        ++*in_out_registered;
    }
    json_decref(answer);
    return result;
}

/* Its UDP listener on 4789, and whether somebody is behind it. */
static int ask_listeners(struct aws_mirror *state, struct aws_place *place, struct err *err)
{
    json_t *answer = NULL;
    int healthy = 0, registered = 0;
    bool listens = false;
    int result =
        aws_mirror_call(state, "elasticloadbalancing", "DescribeListeners",
                        json_pack("{s:s}", "LoadBalancerArn", place->key), &answer, NULL, err);
    const json_t *list = aws_list(aws_result(answer, "DescribeListeners"), "Listeners");
    for (size_t i = 0; i < json_array_size(list) && result == 0; i++) {
        const json_t *listener = json_array_get(list, i);
        const char *protocol = mirror_text(listener, "Protocol");
        const json_t *actions = aws_list(listener, "DefaultActions");
        if (aws_number(listener, "Port", 0) != AWS_PORT ||
            (strcmp(protocol, "UDP") != 0 && strcmp(protocol, "TCP_UDP") != 0))
            continue;
        listens = true;
        for (size_t j = 0; j < json_array_size(actions) && result == 0; j++) {
            const char *group = mirror_text(json_array_get(actions, j), "TargetGroupArn");
            if (group[0])
                result = ask_health(state, group, &healthy, &registered, err);
        }
    }
    json_decref(answer);
    if (result == 0)
        place->facts = json_pack("{s:b, s:i, s:i}", "listens", listens, "healthy", healthy,
                                 "registered", registered);
    return result;
}

static int ask_nlb(struct aws_mirror *state, struct aws_place *place, struct err *err)
{
    json_t *answer = NULL;
    int result =
        aws_mirror_call(state, "elasticloadbalancing", "DescribeLoadBalancers",
                        json_pack("{s:[s]}", "LoadBalancerArns", place->key), &answer, NULL, err);
    const json_t *list = aws_list(aws_result(answer, "DescribeLoadBalancers"), "LoadBalancers");
    const json_t *balancer = json_array_get(list, 0);
    const json_t *groups = aws_list(balancer, "SecurityGroups");
    if (result == 0 && balancer) {
        (void)snprintf(place->vpc, sizeof place->vpc, "%s", mirror_text(balancer, "VpcId"));
        place->groups = json_deep_copy(groups); /* NULL: it has none, and lets all in */
        result = ask_listeners(state, place, err);
    } else if (result == 0) {
        result = err_set(err, -ENOENT, "there is no such load balancer");
    }
    json_decref(answer);
    if (result == -EACCES) { /* the mirror works without */
        json_decref(place->facts);
        place->facts = json_pack("{s:b}", "unknown", true);
        result = 0;
    }
    return result;
}

static int ask_endpoint(struct aws_mirror *state, struct aws_place *place, struct err *err)
{
    json_t *list = NULL;
    int result = aws_mirror_all(state, "DescribeVpcEndpoints",
                                json_pack("{s:[s]}", "VpcEndpointId", place->key), "vpcEndpointSet",
                                &list, err);
    const json_t *item = json_array_get(list, 0);
    if (result == 0 && !item)
        result = err_set(err, -ENOENT, "there is no such endpoint");
    if (result == 0) {
        (void)snprintf(place->vpc, sizeof place->vpc, "%s", mirror_text(item, "vpcId"));
        place->facts = json_pack("{s:O}", "endpoint", (json_t *)(uintptr_t)item);
    } else if (result == -EACCES) {
        place->facts = json_pack("{s:b}", "unknown", true);
        result = 0;
    }
    json_decref(list);
    return result;
}

/* A target that is there; of another account its interface may not be asked for. */
static int ask_target(struct mirror_job *job, struct aws_place *place, bool *out_is_interface,
                      struct err *err)
{
    struct aws_mirror *state = job->state;
    const json_t *target = aws_by_id(state->targets, "trafficMirrorTargetId", place->key);
    const char *interface = mirror_text(target, "networkInterfaceId");
    struct err unknown;
    if (!target)
        return err_set(err, -ENOENT, "there is no such target in %s", state->region);
    if (aws_is_ours(target, job->name))
        return err_set(err, -EINVAL, "it is this mirror's own: say --to %s",
                       aws_target_resource(target));
    *out_is_interface = interface[0] != '\0';
    if (interface[0] && ask_interface(state, place, interface, &unknown) < 0)
        place->facts = json_pack("{s:b}", "unknown", true);
    return 0;
}

/* An interface is a target once only: that of another mirror serves this one, too, and stays whose
 * it is. */
static void share_target(const struct mirror_job *job, struct aws_place *place)
{
    const struct aws_mirror *state = job->state;
    const char *other = NULL;
    for (size_t i = 0; i < json_array_size(state->targets); i++) {
        const json_t *target = json_array_get(state->targets, i);
        if (strcmp(mirror_text(target, "networkInterfaceId"), place->key) != 0)
            continue;
        if (aws_is_ours(target, job->name))
            return;
        other = mirror_text(target, "trafficMirrorTargetId");
    }
    if (!other)
        return;
    place->kind = AWS_TO_TARGET;
    (void)snprintf(place->key, sizeof place->key, "%s", other);
}

/* ---- all ---- */

static int ask_place(struct mirror_job *job, const struct aws_to *to, struct aws_place *place,
                     struct err *err)
{
    struct aws_mirror *state = job->state;
    char self[32];
    int result = 0;
    bool is_interface = to->kind == AWS_TO_SELF || to->kind == AWS_TO_INTERFACE;
    *place = (struct aws_place){.kind = to->kind, .is_self = to->kind == AWS_TO_SELF};
    if (to->kind == AWS_TO_SELF) {
        result = find_self(state, self, err);
        if (result < 0)
            return result;
        place->kind = AWS_TO_INTERFACE;
    }
    (void)snprintf(place->key, sizeof place->key, "%s", place->is_self ? self : to->id);
    switch ((enum aws_to_kind)place->kind) {
    case AWS_TO_SELF:
    case AWS_TO_INTERFACE:
        result = ask_interface(state, place, place->key, err);
        if (result == 0)
            share_target(job, place);
        break;
    case AWS_TO_NLB:
        result = ask_nlb(state, place, err);
        break;
    case AWS_TO_GWLBE:
        result = ask_endpoint(state, place, err);
        break;
    case AWS_TO_TARGET:
        result = ask_target(job, place, &is_interface, err);
        break;
    }
    if (result < 0 && !is_interface)
        err_wrap(err, "--to %.140s", to->id);
    set_capacity(job->wish, place, is_interface);
    return result;
}

int aws_mirror_places(struct mirror_job *job, struct err *err)
{
    struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    for (size_t i = 0; i < state->n_places; i++) {
        json_decref(state->places[i].groups);
        json_decref(state->places[i].facts);
    }
    state->n_places = 0;
    for (size_t i = 0; i < wish->n_to; i++) {
        struct aws_place *place = &state->places[state->n_places++];
        int result = ask_place(job, &wish->to[i], place, err);
        if (result < 0)
            return result;
        for (size_t j = 0; j < i; j++)
            if (strcmp(state->places[j].key, place->key) == 0)
                return err_set(err, -EINVAL, "--to: %s is given twice (once as self)", place->key);
    }
    return 0;
}
