/* A collector's interface of its own, with a security group that lets copies in. It can leave one
 * machine and go to another while mirrors run: their target stays the same. See aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define POLL_MS      2000
#define POLLS        45
#define INDEXES      16
#define OWN_NAME_MAX 64

struct work {
    struct mirror_job *job;
    struct aws_mirror *state;
    const char *name; /* of the collector: the tag's value */
    bool is_yes, json;
    struct text *out;
};

static void say(const struct work *work, const char *verb, const char *what, const char *id,
                const char *of)
{
    if (work->json) {
        text_format(work->out,
                    "{\"type\":\"target\",\"provider\":\"aws\",\"action\":\"%s\",\"kind\":\"%s\","
                    "\"id\":",
                    verb, what);
        text_json(work->out, id, SIZE_MAX);
        text_put(work->out, ",\"of\":");
        text_json(work->out, of, SIZE_MAX);
        text_format(work->out, ",\"done\":%s}\n", work->is_yes ? "true" : "false");
    } else
        text_format(work->out, "  %s %s%s%s%s%s\n", verb, what, id[0] ? " " : "", id,
                    of[0] ? ", " : "", of);
}

/* ---- questions ---- */

static int ask_interface(struct aws_mirror *state, const char *id, json_t **out, struct err *err)
{
    json_t *list = NULL;
    int result = aws_mirror_all(state, "DescribeNetworkInterfaces",
                                json_pack("{s:[s]}", "NetworkInterfaceId", id),
                                "networkInterfaceSet", &list, err);
    if (result == 0 && json_array_size(list) == 0)
        result = err_set(err, -ENOENT, "there is no interface %.60s in %s", id, state->region);
    if (result == 0)
        *out = json_incref(json_array_get(list, 0));
    json_decref(list);
    return result;
}

static const char *machine_of(const json_t *interface)
{
    return mirror_text(json_object_get(interface, "attachment"), "instanceId");
}

/* Until it is where it should be; `machine` "": nowhere. */
static int await_interface(struct aws_mirror *state, const char *id, const char *machine,
                           struct err *err)
{
    for (int i = 0; i < POLLS; i++) {
        json_t *item = NULL;
        int result = ask_interface(state, id, &item, err);
        if (result < 0)
            return result;
        const char *status = mirror_text(json_object_get(item, "attachment"), "status");
        bool there = machine[0] ? strcmp(machine_of(item), machine) == 0 &&
                                      (!status[0] || strcmp(status, "attached") == 0)
                                : strcmp(mirror_text(item, "status"), "available") == 0;
        json_decref(item);
        if (there)
            return 0;
        if (!state->calls.wait(state->calls.with, POLL_MS))
            return err_set(err, -EINTR, "interrupted");
    }
    return err_set(err, -ETIMEDOUT, "the interface %s did not %s in time", id,
                   machine[0] ? "come to the machine" : "leave its machine");
}

/* The first number of an interface that the machine has not. */
static int free_index(struct aws_mirror *state, const char *machine, int *out, struct err *err)
{
    json_t *reservations = NULL;
    bool used[INDEXES] = {true};
    int result =
        aws_mirror_all(state, "DescribeInstances", json_pack("{s:[s]}", "InstanceId", machine),
                       "reservationSet", &reservations, err);
    const json_t *instances = aws_list(json_array_get(reservations, 0), "instancesSet");
    const json_t *interfaces = aws_list(json_array_get(instances, 0), "networkInterfaceSet");
    for (size_t i = 0; i < json_array_size(interfaces); i++) {
        int64_t index = aws_number(json_object_get(json_array_get(interfaces, i), "attachment"),
                                   "deviceIndex", -1);
        if (index >= 0 && index < INDEXES)
            used[index] = true;
    }
    if (result == 0 && json_array_size(instances) == 0)
        result = err_set(err, -ENOENT, "there is no instance %.60s in %s", machine, state->region);
    json_decref(reservations);
    *out = 1;
    while (*out < INDEXES && used[*out])
        ++*out;
    if (result == 0 && *out == INDEXES)
        result =
            err_set(err, -ENOSPC, "the instance %s has no room for another interface", machine);
    return result;
}

static int own_machine(struct aws_mirror *state, char out[32], struct err *err)
{
    struct text text;
    text_init(&text, 256);
    int result = state->calls.metadata(state->calls.with, "meta-data/instance-id", &text, err);
    if (result == 0 && (!text.at || text.size >= 32))
        result = err_set(err, -EIO, "the metadata service gives no instance's id");
    if (result == 0)
        memcpy(out, text.at, text.size + 1);
    else
        err_wrap(err, "target attach: which instance this is, is not known; name it");
    text_done(&text);
    return result;
}

/* ---- create ---- */

static json_t *own_tags(const struct work *work, const char *type)
{
    char name[OWN_NAME_MAX];
    (void)snprintf(name, sizeof name, "cloudspan %.50s", work->name);
    return json_pack("[{s:s, s:[{s:s, s:s}, {s:s, s:s}]}]", "ResourceType", type, "Tag", "Key",
                     "Name", "Value", name, "Key", AWS_TAG_OWN, "Value", work->name);
}

static int ask_first(struct aws_mirror *state, const char *action, json_t *parameters,
                     const char *set, json_t **out, struct err *err)
{
    json_t *list = NULL;
    int result = aws_mirror_all(state, action, parameters, set, &list, err);
    if (result == 0)
        *out = json_incref(json_array_get(list, 0));
    json_decref(list);
    return result;
}

/* The group, made where it lacks. */
static int make_group(struct work *work, const char *vpc, char out_id[64], struct err *err)
{
    char name[OWN_NAME_MAX], what[64];
    json_t *group = NULL, *answer = NULL, *network = NULL;
    json_t *parameters = aws_filter("tag:" AWS_TAG_OWN, work->name);
    (void)snprintf(name, sizeof name, "cloudspan-%.50s", work->name);
    aws_add_filter(parameters, "vpc-id", json_pack("[s]", vpc));
    int result = ask_first(work->state, "DescribeSecurityGroups", parameters, "securityGroupInfo",
                           &group, err);
    if (result == 0 && !group) {
        (void)snprintf(what, sizeof what, "Takes mirrored traffic (cloudspan)");
        result = aws_mirror_call(work->state, "ec2", "CreateSecurityGroup",
                                 json_pack("{s:s, s:s, s:s, s:o}", "GroupName", name,
                                           "GroupDescription", what, "VpcId", vpc,
                                           "TagSpecification", own_tags(work, "security-group")),
                                 &answer, NULL, err);
    }
    (void)snprintf(out_id, 64, "%s", mirror_text(group ? group : answer, "groupId"));
    json_decref(group);
    json_decref(answer);
    if (result == 0)
        result = ask_first(work->state, "DescribeVpcs", json_pack("{s:[s]}", "VpcId", vpc),
                           "vpcSet", &network, err);
    if (result == 0) {
        struct cloud_refusal refusal = {0};
        result = aws_mirror_insist(
            work->state, "AuthorizeSecurityGroupIngress",
            json_pack("{s:s, s:[{s:s, s:i, s:i, s:[{s:s, s:s}]}], s:o}", "GroupId", out_id,
                      "IpPermissions", "IpProtocol", "udp", "FromPort", AWS_PORT, "ToPort",
                      AWS_PORT, "IpRanges", "CidrIp", mirror_text(network, "cidrBlock"),
                      "Description", "cloudspan: mirrored traffic", "TagSpecification",
                      own_tags(work, "security-group-rule")),
            NULL, &refusal, err);
        if (result == -EEXIST)
            result = 0;
    }
    json_decref(network);
    return result;
}

static int create(struct work *work, const char *subnet, struct err *err)
{
    struct aws_mirror *state = work->state;
    json_t *item = NULL, *there = NULL, *answer = NULL;
    char group[64] = "", token[65];
    json_t *parameters = aws_filter("tag:" AWS_TAG_OWN, work->name);
    aws_add_filter(parameters, "subnet-id", json_pack("[s]", subnet));
    int result = ask_first(state, "DescribeNetworkInterfaces", parameters, "networkInterfaceSet",
                           &there, err);
    if (result == 0 && there) {
        say(work, "is there:", "interface", mirror_text(there, "networkInterfaceId"), subnet);
        json_decref(there);
        return 1;
    }
    if (result == 0)
        result = ask_first(state, "DescribeSubnets", json_pack("{s:[s]}", "SubnetId", subnet),
                           "subnetSet", &item, err);
    if (result == 0 && !item)
        result = err_set(err, -ENOENT, "there is no subnet %.60s in %s", subnet, state->region);
    if (result == 0 && !work->is_yes) {
        say(work, "+", "security group that lets UDP 4789 in from the VPC", "",
            mirror_text(item, "vpcId"));
        say(work, "+", "interface", "", subnet);
    } else if (result == 0) {
        result = make_group(work, mirror_text(item, "vpcId"), group, err);
    }
    if (result == 0 && work->is_yes) {
        parameters = json_pack("{s:s, s:[s], s:s, s:o}", "SubnetId", subnet, "SecurityGroupId",
                               group, "Description", "cloudspan collector", "TagSpecification",
                               own_tags(work, "network-interface"));
        aws_put_client_token(work->job, "target create", parameters, token);
        (void)json_object_set_new(parameters, "ClientToken", json_string(token));
        result = aws_mirror_insist(state, "CreateNetworkInterface", parameters, &answer, NULL, err);
    }
    const json_t *made = json_object_get(answer, "networkInterface");
    if (result == 0 && made) {
        const char *id = mirror_text(made, "networkInterfaceId");
        aws_notes_attempt_over(work->job);
        say(work, "+", "security group", group, mirror_text(item, "vpcId"));
        say(work, "+", "interface", id, mirror_text(made, "privateIpAddress"));
        if (!work->json)
            text_format(work->out,
                        "On the collector: cloudspan mirror target aws attach %s. Mirrors then "
                        "have --to %s.\n",
                        id, id);
    }
    json_decref(item);
    json_decref(answer);
    return result;
}

/* ---- attach, move, delete ---- */

static int detach(struct work *work, const json_t *interface, struct err *err)
{
    const json_t *attachment = json_object_get(interface, "attachment");
    const char *id = mirror_text(interface, "networkInterfaceId");
    if (aws_number(attachment, "deviceIndex", 1) == 0)
        return err_set(err, -EINVAL, "%s is the first interface of %s, which can't leave it", id,
                       machine_of(interface));
    int result =
        aws_mirror_call(work->state, "ec2", "DetachNetworkInterface",
                        json_pack("{s:s}", "AttachmentId", mirror_text(attachment, "attachmentId")),
                        NULL, NULL, err);
    if (result == 0)
        result = await_interface(work->state, id, "", err);
    if (result == 0)
        say(work, "-", "interface", id, machine_of(interface));
    return result;
}

static int attach_to(struct work *work, const char *id, const char *machine, bool may_move,
                     struct err *err)
{
    json_t *interface = NULL;
    int index = 0;
    int result = ask_interface(work->state, id, &interface, err);
    const char *now = machine_of(interface);
    if (result == 0 && strcmp(now, machine) == 0) {
        say(work, "is there:", "interface", id, machine);
        result = 1;
    } else if (result == 0 && now[0] && !may_move) {
        result =
            err_set(err, -EBUSY, "%s is attached to %s: target move takes it from there", id, now);
    }
    if (result == 0)
        result = free_index(work->state, machine, &index, err);
    if (result == 0 && !work->is_yes) {
        if (now[0])
            say(work, "-", "interface", id, now);
        say(work, "+", "interface", id, machine);
    } else if (result == 0) {
        if (now[0])
            result = detach(work, interface, err);
        if (result == 0)
            result = aws_mirror_call(work->state, "ec2", "AttachNetworkInterface",
                                     json_pack("{s:s, s:s, s:i}", "NetworkInterfaceId", id,
                                               "InstanceId", machine, "DeviceIndex", index),
                                     NULL, NULL, err);
        if (result == 0)
            result = await_interface(work->state, id, machine, err);
        if (result == 0)
            say(work, "+", "interface", id, machine);
    }
    json_decref(interface);
    return result;
}

/* Only what `create` made. */
static int delete (struct work *work, const char *id, struct err *err)
{
    json_t *interface = NULL;
    int result = ask_interface(work->state, id, &interface, err);
    const json_t *groups = aws_list(interface, "groupSet");
    if (result == 0 && !aws_tag(interface, AWS_TAG_OWN))
        result = err_set(err, -EPERM, "%s was not made by target create: it stays", id);
    if (result == 0 && !work->is_yes) {
        say(work, "-", "interface", id, machine_of(interface));
        json_decref(interface);
        return 0;
    }
    if (result == 0 && machine_of(interface)[0])
        result = detach(work, interface, err);
    if (result == 0)
        result = aws_mirror_call(work->state, "ec2", "DeleteNetworkInterface",
                                 json_pack("{s:s}", "NetworkInterfaceId", id), NULL, NULL, err);
    if (result == 0)
        say(work, "-", "interface", id, "");
    for (size_t i = 0; result == 0 && i < json_array_size(groups); i++) {
        const char *group = mirror_text(json_array_get(groups, i), "groupId");
        json_t *item = NULL;
        result = ask_first(work->state, "DescribeSecurityGroups",
                           json_pack("{s:[s]}", "GroupId", group), "securityGroupInfo", &item, err);
        if (result == 0 && aws_tag(item, AWS_TAG_OWN)) {
            result = aws_mirror_call(work->state, "ec2", "DeleteSecurityGroup",
                                     json_pack("{s:s}", "GroupId", group), NULL, NULL, err);
            if (result == -EBUSY) /* another collector's interface has it, too */
                result = 0;
            else if (result == 0)
                say(work, "-", "security group", group, "");
        }
        json_decref(item);
    }
    json_decref(interface);
    return result;
}

int aws_target_verb(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
                    bool json, struct text *out, struct err *err)
{
    const struct aws_wish *wish = job->wish;
    struct work work = {.job = job,
                        .state = job->state,
                        .name = job->name[0] ? job->name : "collector",
                        .is_yes = is_yes,
                        .json = json,
                        .out = out};
    const char *verb = n_words ? words[0] : "", *what = n_words > 1 ? words[1] : NULL;
    char self[32];
    if (strcmp(verb, "create") == 0 && !what && wish->select.n_subnets == 1) {
        what = wish->select.subnets[0];
        n_words++;
    }
    if (strcmp(verb, "create") == 0 && what && n_words == 2)
        return create(&work, what, err);
    if (strcmp(verb, "delete") == 0 && what && n_words == 2)
        return delete (&work, what, err);
    if (strcmp(verb, "move") == 0 && n_words == 3)
        return attach_to(&work, what, words[2], true, err);
    if (strcmp(verb, "attach") == 0 && n_words == 3)
        return attach_to(&work, what, words[2], false, err);
    if (strcmp(verb, "attach") == 0 && n_words == 2) {
        int result = own_machine(work.state, self, err);
        return result < 0 ? result : attach_to(&work, what, self, false, err);
    }
    return err_set(
        err, -EINVAL,
        "target: create SUBNET, attach ENI [INSTANCE], move ENI INSTANCE, or delete ENI");
}
