/* Why nothing might arrive, though every session is there: see aws.h. Security groups and network
 * ACLs drop copies without a word, and so does a load balancer without a listener. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/interface.h"
#include "mirror/aws.h"

#define AROUND         54 /* bytes that come around a packet, by AWS's own account */
#define AROUND_V6      74
#define JUMBO          9001
#define INTERFACES_MAX 64
#define ADDRESSES_MAX  16
#define GROUPS_A_CALL  100
#define UDP            17
#define NAMED_MAX      4 /* of things that one remark names */

struct check {
    struct mirror_job *job;
    struct aws_mirror *state;
    const struct aws_wish *wish;
    struct mirror_set *out;
    struct text *remarks;
    json_t *rules; /* group's id -> list of its rules that let in; owned */
};

/* ---- security groups ---- */

static void add_group(json_t *groups, const char *id)
{
    if (id[0])
        (void)json_object_set_new(groups, id, json_array()); /* then it lets nothing in */
}

static json_t *groups_of(const struct aws_mirror *state, const struct cloud_nic *nic)
{
    return json_object_get(state->groups, nic->id);
}

/* Of the places and of the sources. */
static json_t *all_groups(const struct aws_mirror *state)
{
    json_t *groups = json_object();
    for (size_t i = 0; i < state->n_places; i++)
        for (size_t j = 0; j < json_array_size(state->places[i].groups); j++)
            add_group(groups, json_string_value(json_array_get(state->places[i].groups, j)));
    for (size_t i = 0; i < state->nics.n; i++) {
        const json_t *of = groups_of(state, &state->nics.at[i]);
        if (state->nics.at[i].fate != CLOUD_WANTED)
            continue;
        for (size_t j = 0; j < json_array_size(of); j++)
            add_group(groups, mirror_text(json_array_get(of, j), "groupId"));
    }
    return groups;
}

static int ask_rules(struct check *check, struct err *err)
{
    json_t *ids = json_array(), *value;
    const char *id;
    int result = 0;
    check->rules = all_groups(check->state);
    json_object_foreach(check->rules, id, value) json_array_append_new(ids, json_string(id));
    for (size_t i = 0; result == 0 && i < json_array_size(ids); i += GROUPS_A_CALL) {
        json_t *some = json_array(), *list = NULL, *parameters = json_object();
        for (size_t j = i; j < i + GROUPS_A_CALL && j < json_array_size(ids); j++)
            (void)json_array_append(some, json_array_get(ids, j)); /* else fewer are asked for */
        aws_add_filter(parameters, "group-id", some);
        result = aws_mirror_all(check->state, "DescribeSecurityGroupRules", parameters,
                                "securityGroupRuleSet", &list, err);
        aws_know_again(check->job, list, "securityGroupRuleId");
        for (size_t j = 0; j < json_array_size(list); j++) {
            json_t *rule = json_array_get(list, j);
            json_t *of = json_object_get(check->rules, mirror_text(rule, "groupId"));
            if (of && strcmp(mirror_text(rule, "isEgress"), "true") != 0)
                (void)json_array_append(of, rule); /* else it looks as if it lacked */
        }
        json_decref(list);
    }
    json_decref(ids);
    return result;
}

static bool fits_ports(const json_t *rule, int min, int max)
{
    const char *protocol = mirror_text(rule, "ipProtocol");
    int64_t from = aws_number(rule, "fromPort", -1), to = aws_number(rule, "toPort", -1);
    if (strcmp(protocol, "-1") == 0)
        return true;
    return (strcmp(protocol, "udp") == 0 || strcmp(protocol, "17") == 0) &&
           ((from <= min && to >= max) || from == -1);
}

/* Whether the rule lets in what comes from this address, of an interface in these groups. */
static bool lets_in(const json_t *rule, const char *address, const json_t *groups)
{
    const char *other = mirror_text(json_object_get(rule, "referencedGroupInfo"), "groupId");
    if (aws_cidr_has(mirror_text(rule, "cidrIpv4"), address))
        return true;
    for (size_t i = 0; other[0] && i < json_array_size(groups); i++) {
        const json_t *group = json_array_get(groups, i);
        const char *id =
            json_is_string(group) ? json_string_value(group) : mirror_text(group, "groupId");
        if (strcmp(id, other) == 0)
            return true;
    }
    return mirror_text(rule, "prefixListId")[0] != '\0'; /* what is in it is not asked for */
}

/* What this mirror itself opened does not count: it would then no longer be wanted. */
static bool is_open(const struct check *check, const char *group, int min, int max,
                    const char *address, const json_t *groups)
{
    const json_t *rules = json_object_get(check->rules, group);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        if (!aws_is_ours(rule, check->job->name) && fits_ports(rule, min, max) &&
            lets_in(rule, address, groups))
            return true;
    }
    return false;
}

static const char *subnet_cidr(const struct aws_mirror *state, const struct cloud_nic *nic)
{
    return mirror_text(json_object_get(state->subnets, nic->subnet), "cidrBlock");
}

static void want_opening(struct check *check, const char *kind, const char *group, const char *cidr,
                         int from, int to, const char *why)
{
    char key[MIRROR_KEY_MAX];
    (void)snprintf(key, sizeof key, "%.60s/%.60s", group, cidr);
    if (mirror_set_get(check->out, kind, key))
        return;
    struct mirror_object *object = mirror_set_add(
        check->out, kind, key,
        json_pack("{s:s, s:i, s:i, s:b}", "protocol", "udp", "from", from, "to", to, "tagged", 1));
    mirror_object_why(object, "%s", why);
    if (object)
        object->may_lack = true; /* of a group that is full, for one */
}

/* Subnets whose copies the place's groups drop. */
static void check_opening(struct check *check, size_t at)
{
    const struct aws_mirror *state = check->state;
    const struct aws_place *place = &state->places[at];
    json_t *lacking = json_object(), *value;
    const char *group = json_string_value(json_array_get(place->groups, 0)), *cidr;
    for (size_t i = 0; group && i < state->nics.n; i++) {
        const struct cloud_nic *nic = &state->nics.at[i];
        char alone[64];
        bool open = false;
        if (state->spots[i].place != at)
            continue;
        for (size_t j = 0; !open && j < json_array_size(place->groups); j++)
            open = is_open(check, json_string_value(json_array_get(place->groups, j)), AWS_PORT,
                           AWS_PORT, nic->outer, groups_of(state, nic));
        if (open)
            continue;
        (void)snprintf(alone, sizeof alone, "%s/32", nic->outer);
        cidr = subnet_cidr(state, nic);
        (void)json_object_set_new(lacking, cidr[0] ? cidr : alone, json_true()); /* or later */
    }
    size_t n = 0;
    json_object_foreach(lacking, cidr, value)
    {
        if (check->wish->opens)
            want_opening(check, "opening", group, cidr, AWS_PORT, AWS_PORT,
                         "lets the copies in to the target");
        else if (n++ < NAMED_MAX)
            text_format(check->remarks,
                        "nothing arrives from %s: the security group %s of %.60s does not let in "
                        "UDP %d from there. --open-security-group, or: aws ec2 "
                        "authorize-security-group-ingress --group-id %s --protocol udp --port %d "
                        "--cidr %s\n",
                        cidr, group, place->key, AWS_PORT, group, AWS_PORT, cidr);
    }
    if (n > NAMED_MAX)
        text_format(check->remarks, "nor from %zu more subnets\n", n - NAMED_MAX);
    json_decref(lacking);
}

/* The first group of each source that keeps the canary out. */
static void check_canary(struct check *check, const struct aws_place *place)
{
    const struct aws_mirror *state = check->state;
    const struct aws_wish *wish = check->wish;
    int min = wish->lets_canary ? wish->canary_min : 0;
    int max = wish->lets_canary ? wish->canary_max : 65535;
    json_t *closed = json_object(), *value;
    const char *group;
    char cidr[64];
    size_t n = 0;
    (void)snprintf(cidr, sizeof cidr, "%s/32", place->address);
    for (size_t i = 0; i < state->nics.n; i++) {
        const json_t *groups = groups_of(state, &state->nics.at[i]);
        bool open = false;
        if (state->spots[i].place == SIZE_MAX)
            continue;
        for (size_t j = 0; !open && j < json_array_size(groups); j++)
            open = is_open(check, mirror_text(json_array_get(groups, j), "groupId"), min, max,
                           place->address, place->groups);
        if (!open && json_array_size(groups) > 0)
            (void)json_object_set_new(closed, mirror_text(json_array_get(groups, 0), "groupId"),
                                      json_true()); /* or it is not offered */
    }
    json_object_foreach(closed, group, value)
    {
        if (wish->lets_canary)
            want_opening(check, "canary", group, cidr, min, max,
                         "lets watch's canary in to the machines");
        else if (n++ == 0)
            text_format(check->remarks,
                        "watch's canary, which proves that a silent mirror is alive, is kept out "
                        "by %zu security group%s of the machines (%s%s): --allow-canary lets UDP "
                        "from %s in\n",
                        json_object_size(closed), json_object_size(closed) > 1 ? "s" : "", group,
                        json_object_size(closed) > 1 ? ", …" : "", cidr);
    }
    json_decref(closed);
}

/* ---- network ACLs ---- */

static bool acl_fits(const json_t *entry, const char *cidr)
{
    int64_t protocol = aws_number(entry, "protocol", -1);
    const json_t *range = json_object_get(entry, "portRange");
    if (strcmp(mirror_text(entry, "egress"), "true") == 0 || (protocol != -1 && protocol != UDP) ||
        !aws_cidr_has(mirror_text(entry, "cidrBlock"), cidr))
        return false;
    return !json_is_object(range) ||
           (aws_number(range, "from", 0) <= AWS_PORT && aws_number(range, "to", 65535) >= AWS_PORT);
}

/* The first entry, by number, that fits. */
static bool acl_denies(const json_t *acl, const char *cidr)
{
    const json_t *entries = aws_list(acl, "entrySet");
    int64_t best = INT64_MAX;
    bool denies = true;
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        int64_t number = aws_number(entry, "ruleNumber", INT64_MAX);
        if (number >= best || !acl_fits(entry, cidr))
            continue;
        best = number;
        denies = strcmp(mirror_text(entry, "ruleAction"), "allow") != 0;
    }
    return denies;
}

static int check_acl(struct check *check, size_t at, struct err *err)
{
    const struct aws_mirror *state = check->state;
    const struct aws_place *place = &state->places[at];
    json_t *acls = NULL, *told = json_object();
    int result = aws_mirror_all(check->state, "DescribeNetworkAcls",
                                aws_filter("association.subnet-id", place->subnet), "networkAclSet",
                                &acls, err);
    const json_t *acl = json_array_get(acls, 0);
    for (size_t i = 0; acl && i < state->nics.n; i++) {
        const struct cloud_nic *nic = &state->nics.at[i];
        const char *cidr = subnet_cidr(state, nic);
        /* Within a subnet no ACL is asked. */
        if (state->spots[i].place != at || strcmp(nic->subnet, place->subnet) == 0 || !cidr[0] ||
            json_object_get(told, cidr) || !acl_denies(acl, cidr))
            continue;
        (void)json_object_set_new(told, cidr, json_true()); /* or it is said again */
        if (json_object_size(told) <= NAMED_MAX)
            text_format(check->remarks,
                        "nothing arrives from %s: the network ACL %s of the subnet %s, where %.60s "
                        "is, denies UDP %d from there\n",
                        cidr, mirror_text(acl, "networkAclId"), place->subnet, place->key,
                        AWS_PORT);
    }
    json_decref(acls);
    json_decref(told);
    return result;
}

/* ---- routes ---- */

/* The table of a subnet, else the main one of its VPC. */
static const json_t *table_of(const json_t *tables, const char *vpc, const char *subnet)
{
    const json_t *main_table = NULL;
    for (size_t i = 0; i < json_array_size(tables); i++) {
        const json_t *table = json_array_get(tables, i);
        const json_t *associations = aws_list(table, "associationSet");
        if (strcmp(mirror_text(table, "vpcId"), vpc) != 0)
            continue;
        for (size_t j = 0; j < json_array_size(associations); j++) {
            const json_t *association = json_array_get(associations, j);
            if (strcmp(mirror_text(association, "subnetId"), subnet) == 0)
                return table;
            if (strcmp(mirror_text(association, "main"), "true") == 0)
                main_table = table;
        }
    }
    return main_table;
}

/* Leads to another VPC: by a peering, a transit gateway, an interface, a core network. */
static bool leads(const json_t *route)
{
    static const char *const ways[] = {"vpcPeeringConnectionId", "transitGatewayId",
                                       "networkInterfaceId", "coreNetworkArn"};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (mirror_text(route, ways[i])[0])
            return strcmp(mirror_text(route, "state"), "blackhole") != 0;
    return false;
}

static bool has_route(const json_t *table, const char *address)
{
    const json_t *routes = aws_list(table, "routeSet"), *best = NULL;
    for (size_t i = 0; i < json_array_size(routes); i++) {
        const json_t *route = json_array_get(routes, i);
        const char *cidr = mirror_text(route, "destinationCidrBlock");
        if (aws_cidr_has(cidr, address) &&
            (!best || aws_cidr_has(mirror_text(best, "destinationCidrBlock"), cidr)))
            best = route;
    }
    return best && leads(best);
}

static int check_routes(struct check *check, size_t at, struct err *err)
{
    const struct aws_mirror *state = check->state;
    const struct aws_place *place = &state->places[at];
    json_t *vpcs = json_object(), *told = json_object(), *tables = NULL, *value;
    const char *vpc;
    int result = 0;
    for (size_t i = 0; i < state->nics.n; i++)
        if (state->spots[i].place == at && strcmp(state->nics.at[i].network, place->vpc) != 0)
            (void)json_object_set_new(vpcs, state->nics.at[i].network, json_true());
    if (json_object_size(vpcs) > 0) {
        json_t *list = json_array(), *parameters = json_object();
        json_object_foreach(vpcs, vpc, value) json_array_append_new(list, json_string(vpc));
        aws_add_filter(parameters, "vpc-id", list);
        result = aws_mirror_all(check->state, "DescribeRouteTables", parameters, "routeTableSet",
                                &tables, err);
    }
    for (size_t i = 0; tables && i < state->nics.n; i++) {
        const struct cloud_nic *nic = &state->nics.at[i];
        if (state->spots[i].place != at || strcmp(nic->network, place->vpc) == 0 ||
            json_object_get(told, nic->subnet) ||
            has_route(table_of(tables, nic->network, nic->subnet), place->address))
            continue;
        (void)json_object_set_new(told, nic->subnet, json_true()); /* or it is said again */
        if (json_object_size(told) <= NAMED_MAX)
            text_format(check->remarks,
                        "nothing arrives from %s in %s: it has no route to %s in %s, where %.60s "
                        "is. A VPC peering or a transit gateway, and a route to it, lead there\n",
                        nic->subnet, nic->network, place->address, place->vpc, place->key);
    }
    json_decref(vpcs);
    json_decref(told);
    json_decref(tables);
    return result;
}

/* ---- places ---- */

static void check_balancer(const struct aws_place *place, struct text *remarks)
{
    int64_t n = json_integer_value(json_object_get(place->facts, "registered"));
    if (json_is_true(json_object_get(place->facts, "unknown")))
        text_format(remarks,
                    "%.100s: whether it has a UDP listener on %d and healthy machines "
                    "behind it may not be asked\n",
                    place->key, AWS_PORT);
    else if (!json_is_true(json_object_get(place->facts, "listens")))
        text_format(remarks,
                    "nothing arrives by %.120s: it has no UDP listener on port %d (aws elbv2 "
                    "create-listener --protocol UDP --port %d …), and AWS reports no error\n",
                    place->key, AWS_PORT, AWS_PORT);
    else if (json_integer_value(json_object_get(place->facts, "healthy")) == 0)
        text_format(remarks,
                    "nothing arrives by %.120s: of the %d machines behind its listener none is "
                    "healthy; the collector has to answer its health check\n",
                    place->key, (int)n);
}

static void check_endpoint(const struct aws_place *place, struct text *remarks)
{
    const json_t *endpoint = json_object_get(place->facts, "endpoint");
    const char *state = mirror_text(endpoint, "state"),
               *type = mirror_text(endpoint, "vpcEndpointType");
    if (state[0] && strcasecmp(state, "available") != 0)
        text_format(remarks, "nothing arrives by %s: the endpoint is %s\n", place->key, state);
    if (type[0] && strcmp(type, "GatewayLoadBalancer") != 0)
        text_format(remarks, "%s is an endpoint of type %s, and not of a Gateway Load Balancer\n",
                    place->key, type);
    text_format(remarks,
                "copies by %s come as GENEVE with VXLAN in it (watch -l geneve+vxlan), "
                "and packets over 8446 bytes (IPv6: 8426) are cut. Which machines are collectors "
                "behind it is not known: --exclude them\n",
                place->key);
}

/* Of this machine's interface with the address; 0: it has none. */
static uint32_t own_mtu(const char *address, char out_name[16])
{
    char names[INTERFACES_MAX][16], addresses[ADDRESSES_MAX][48];
    size_t n = linux_interfaces(names, INTERFACES_MAX);
    for (size_t i = 0; i < n && i < INTERFACES_MAX; i++) {
        size_t n_addresses = linux_addresses_of(names[i], addresses, ADDRESSES_MAX);
        for (size_t j = 0; j < n_addresses && j < ADDRESSES_MAX; j++) {
            struct linux_interface facts;
            if (strcmp(addresses[j], address) != 0 ||
                linux_interface_facts(names[i], &facts, NULL) < 0)
                continue;
            memcpy(out_name, names[i], 16);
            return facts.mtu;
        }
    }
    return 0;
}

static void check_mtu(const struct aws_place *place, struct text *remarks)
{
    char name[16];
    uint32_t mtu = own_mtu(place->address, name);
    if (mtu > AROUND_V6)
        text_format(remarks,
                    "packets over %u bytes (IPv6: %u) arrive cut: %s, which takes the copies, has "
                    "an MTU of %u%s\n",
                    mtu - AROUND, mtu - AROUND_V6, name, mtu,
                    mtu < JUMBO ? "; AWS's interfaces can have 9001" : "");
    else
        text_format(remarks,
                    "packets over 8947 bytes (IPv6: 8927) arrive cut where %s has an MTU of 9001, "
                    "and over 1446 (1426) where it has 1500\n",
                    place->key);
}

static int check_place(struct check *check, size_t at, struct err *err)
{
    const struct aws_place *place = &check->state->places[at];
    int result = 0;
    if (place->kind == AWS_TO_NLB)
        check_balancer(place, check->remarks);
    else if (place->kind == AWS_TO_GWLBE)
        check_endpoint(place, check->remarks);
    if (check->rules)
        check_opening(check, at);
    if (!place->address[0])
        return 0;
    if (check->rules)
        check_canary(check, place);
    result = check_acl(check, at, err);
    return result < 0 ? result : check_routes(check, at, err);
}

/* What may not be asked is not checked; the mirror itself needs none of it. */
static int forgive(struct check *check, int result, const struct err *why, struct err *err)
{
    if (result == 0)
        return 0;
    if (result != -EACCES)
        return err_set(err, result, "%s", why->text);
    text_format(check->remarks, "not everything could be checked: %.400s\n", why->text);
    return 0;
}

int aws_mirror_check(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                     struct err *err)
{
    struct check check = {job, job->state, job->wish, out, remarks, NULL};
    struct err why;
    bool told_mtu = false;
    int asked = ask_rules(&check, &why);
    if (asked < 0) {
        json_decref(check.rules);
        check.rules = NULL;
    }
    int result = forgive(&check, asked, &why, err);
    for (size_t i = 0; result == 0 && i < check.state->n_places; i++) {
        const struct aws_place *place = &check.state->places[i];
        if (place->n == 0)
            continue;
        result = forgive(&check, check_place(&check, i, &why), &why, err);
        if (!told_mtu && place->address[0] && !check.wish->length) {
            check_mtu(place, remarks);
            told_mtu = true;
        }
    }
    json_decref(check.rules);
    return result;
}
