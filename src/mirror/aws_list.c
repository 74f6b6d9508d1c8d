/* All network interfaces of a VPC, and which of them can be mirrored: see aws.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

/* ---- what interfaces belong to ---- */

/* id -> item, of a list. */
static json_t *index_of(const json_t *list, const char *member)
{
    json_t *index = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        (void)json_object_set(index, mirror_text(item, member), item); /* then it has no name */
    }
    return index;
}

static json_t *index_instances(const json_t *reservations)
{
    json_t *index = json_object();
    for (size_t i = 0; i < json_array_size(reservations); i++) {
        const json_t *instances = aws_list(json_array_get(reservations, i), "instancesSet");
        for (size_t j = 0; j < json_array_size(instances); j++) {
            json_t *item = json_array_get(instances, j);
            (void)json_object_set(index, mirror_text(item, "instanceId"), item);
        }
    }
    return index;
}

static json_t *of_the_networks(const struct aws_wish *wish)
{
    json_t *parameters = json_object(), *vpcs = json_array();
    for (size_t i = 0; i < wish->n_vpcs; i++)
        (void)json_array_append_new(vpcs, json_string(wish->vpcs[i]));
    if (wish->n_vpcs)
        aws_add_filter(parameters, "vpc-id", vpcs);
    else
        json_decref(vpcs);
    return parameters;
}

/* ---- one interface ---- */

static void refuse(struct cloud_nic *nic, enum cloud_fate fate, const char *why)
{
    nic->fate = fate;
    (void)snprintf(nic->why, sizeof nic->why, "%s", why);
}

static bool is_target(const struct aws_mirror *state, const char *id)
{
    return aws_by_id(state->targets, "networkInterfaceId", id) != NULL;
}

static bool has_our_session(const struct mirror_job *job, const struct cloud_nic *nic)
{
    const struct aws_mirror *state = job->state;
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        const json_t *session = json_array_get(state->sessions, i);
        if (strcmp(mirror_text(session, "networkInterfaceId"), nic->id) == 0 &&
            aws_is_ours(session, job->name))
            return true;
    }
    return false;
}

static void judge(const struct mirror_job *job, const json_t *item, struct cloud_nic *nic)
{
    const struct aws_mirror *state = job->state;
    const json_t *attachment = json_object_get(item, "attachment");
    const char *type = mirror_text(item, "interfaceType");
    const char *status = mirror_text(attachment, "status");
    bool is_database = strcmp(mirror_text(attachment, "instanceOwnerId"), "amazon-rds") == 0;
    bool is_own = json_object_get(state->own, nic->id) ||
                  (nic->machine[0] && json_object_get(state->own, nic->machine));
    for (size_t i = 0; i < CLOUD_ADDRESSES_MAX && nic->addresses[i][0]; i++)
        is_own |= json_object_get(state->own, nic->addresses[i]) != NULL;
    if (is_own)
        refuse(nic, CLOUD_OWN, "of the collector itself: its copies would be mirrored again");
    else if (type[0] && strcmp(type, "interface") != 0) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why,
                       "its type is %.60s: AWS mirrors no such interface", type);
    } else if (!json_is_object(attachment) || (!nic->machine[0] && !is_database))
        refuse(nic, CLOUD_UNFIT, "it is attached to no instance");
    else if (strcmp(status, "detaching") == 0 || strcmp(status, "detached") == 0)
        refuse(nic, CLOUD_UNFIT, "it is being detached");
    else if (aws_type_is_old(nic->type)) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why, "AWS mirrors no instances of the type %.40s",
                       nic->type);
    } else if (is_target(state, nic->id))
        refuse(nic, CLOUD_UNFIT, "it is a target of mirrors itself");
    else if (!nic->outer[0])
        refuse(nic, CLOUD_UNFIT, "it has no IPv4 address: AWS mirrors none of IPv6-only subnets");
    else if (aws_refused(job, nic) && !has_our_session(job, nic)) {
        nic->fate = CLOUD_UNFIT;
        (void)snprintf(nic->why, sizeof nic->why,
                       "AWS refused to mirror it on an instance of the type %.40s (%.60s); apply "
                       "--retry tries again",
                       nic->type[0] ? nic->type : "that it has", aws_refused(job, nic));
    }
}

static void add_tags(json_t *tags, const json_t *item)
{
    const json_t *list = aws_list(item, "tagSet");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *tag = json_array_get(list, i);
        (void)json_object_set_new(tags, mirror_text(tag, "key"),
                                  json_string(mirror_text(tag, "value")));
    }
}

static void add_addresses(struct cloud_nic *nic, const json_t *item)
{
    const json_t *v4 = aws_list(item, "privateIpAddressesSet");
    const json_t *v6 = aws_list(item, "ipv6AddressesSet");
    if (nic->outer[0])
        cloud_nic_address(nic, nic->outer);
    for (size_t i = 0; i < json_array_size(v4); i++) {
        const char *address = mirror_text(json_array_get(v4, i), "privateIpAddress");
        if (strcmp(address, nic->outer) != 0)
            cloud_nic_address(nic, address);
    }
    for (size_t i = 0; i < json_array_size(v6); i++)
        cloud_nic_address(nic, mirror_text(json_array_get(v6, i), "ipv6Address"));
}

static void add_nic(struct mirror_job *job, const json_t *instances, const json_t *item)
{
    struct aws_mirror *state = job->state;
    struct cloud_inventory *nics = &state->nics;
    const json_t *attachment = json_object_get(item, "attachment");
    const char *instance_id = mirror_text(attachment, "instanceId");
    const char *subnet = mirror_text(item, "subnetId");
    const json_t *instance = json_object_get(instances, instance_id);
    const char *name = aws_tag(instance, "Name");
    const char *subnet_name = aws_tag(json_object_get(state->subnets, subnet), "Name");
    struct cloud_nic *nic = cloud_inventory_add(nics, mirror_text(item, "networkInterfaceId"));
    if (!nic)
        return;
    cloud_nic_text(nics, &nic->machine, instance_id);
    cloud_nic_text(nics, &nic->name, name ? name : "");
    cloud_nic_text(nics, &nic->network, mirror_text(item, "vpcId"));
    cloud_nic_text(nics, &nic->subnet, subnet);
    cloud_nic_text(nics, &nic->subnet_name, subnet_name ? subnet_name : "");
    cloud_nic_text(nics, &nic->zone, mirror_text(item, "availabilityZone"));
    cloud_nic_text(nics, &nic->type, mirror_text(instance, "instanceType"));
    cloud_nic_text(nics, &nic->outer, mirror_text(item, "privateIpAddress"));
    (void)snprintf(nic->mac, sizeof nic->mac, "%s", mirror_text(item, "macAddress"));
    int64_t order = aws_number(attachment, "deviceIndex", 0);
    nic->order = order > 0 && order < 1000 ? (uint32_t)order : 0;
    add_addresses(nic, item);
    add_tags(nic->tags, instance);
    add_tags(nic->tags, item);
    (void)json_object_set(state->groups, nic->id, json_object_get(item, "groupSet")); /* or none */
    judge(job, item, nic);
}

/* ---- all of them ---- */

static void put_types(const struct cloud_inventory *nics, struct text *remarks)
{
    size_t n = 0;
    const struct cloud_nic *first = NULL;
    for (size_t i = 0; i < nics->n; i++) {
        if (nics->at[i].fate != CLOUD_WANTED || !aws_type_is_unfit(nics->at[i].type))
            continue;
        n++;
        first = first ? first : &nics->at[i];
    }
    if (n)
        text_format(remarks,
                    "%zu of them %s on instance types that were not among those that AWS "
                    "mirrors in " AWS_SOURCES_AS_OF " (%s: %s%s): they are tried all the same, "
                    "and status says what AWS answered\n",
                    n, n == 1 ? "is" : "are", cloud_nic_label(first), first->type,
                    n > 1 ? ", …" : "");
}

int aws_mirror_list(struct mirror_job *job, struct text *remarks, struct err *err)
{
    struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    json_t *interfaces = NULL, *reservations = NULL, *subnets = NULL, *parameters;
    cloud_inventory_done(&state->nics);
    state->nics = (struct cloud_inventory){0};
    parameters = of_the_networks(wish);
    aws_add_filter(parameters, "status", json_pack("[s]", "in-use"));
    int result = aws_mirror_all(state, "DescribeNetworkInterfaces", parameters,
                                "networkInterfaceSet", &interfaces, err);
    if (result == 0)
        result = aws_mirror_all(state, "DescribeInstances", of_the_networks(wish), "reservationSet",
                                &reservations, err);
    if (result == 0)
        result = aws_mirror_all(state, "DescribeSubnets", of_the_networks(wish), "subnetSet",
                                &subnets, err);
    for (size_t i = 0; result == 0 && i < wish->n_vpcs; i++)
        if (!aws_by_id(subnets, "vpcId", wish->vpcs[i]))
            result = err_set(err, -ENOENT, "--vpc: there is no %s in %s, or it has no subnet",
                             wish->vpcs[i], state->region);
    if (result == 0) {
        json_t *instances = index_instances(reservations);
        json_decref(state->subnets);
        state->subnets = index_of(subnets, "subnetId");
        json_decref(state->groups);
        state->groups = json_object();
        for (size_t i = 0; i < json_array_size(interfaces); i++)
            add_nic(job, instances, json_array_get(interfaces, i));
        json_decref(instances);
        cloud_select(&wish->select, &state->nics, remarks);
        put_types(&state->nics, remarks);
        if (state->nics.failed)
            result = err_set(err, -ENOMEM,
                             "out of memory, or more than %d interfaces: a mirror "
                             "for each VPC, or a --tag, takes fewer",
                             CLOUD_NICS_MAX);
    }
    json_decref(interfaces);
    json_decref(reservations);
    json_decref(subnets);
    return result;
}
