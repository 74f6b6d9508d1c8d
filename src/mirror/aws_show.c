/* What a mirror of AWS consists of, in words and as lines for AWS's own command: see aws.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

/* ---- words ---- */

static void describe_ports(const char *ports, struct text *out)
{
    uint16_t from, to;
    if (!ports[0] || !aws_take_range(ports, &from, &to))
        return;
    text_format(out, " port %u", from);
    if (to != from)
        text_format(out, "-%u", to);
}

static void describe_rule(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is;
    int64_t protocol = aws_number(is, "protocol", -1);
    char number[24];
    (void)snprintf(number, sizeof number, "protocol %d", (int)protocol);
    text_format(out, "filter rule %s: %s %s from %s", object->key, mirror_text(is, "action"),
                protocol == -1   ? "everything"
                : protocol == 6  ? "TCP"
                : protocol == 17 ? "UDP"
                : protocol == 1  ? "ICMP"
                                 : number,
                mirror_text(is, "source"));
    describe_ports(mirror_text(is, "source_ports"), out);
    text_format(out, " to %s", mirror_text(is, "destination"));
    describe_ports(mirror_text(is, "destination_ports"), out);
}

void aws_describe(const struct mirror_object *object, struct text *out)
{
    const json_t *is = object->is;
    const char *kind = object->kind;
    int64_t length = aws_number(is, "length", 0);
    if (strcmp(kind, "filter") == 0) {
        text_format(out, "traffic mirror filter%s",
                    json_is_true(json_object_get(is, "dns")) ? ", with Amazon's DNS" : "");
    } else if (strcmp(kind, "rule") == 0) {
        describe_rule(object, out);
    } else if (strcmp(kind, "opening") == 0 || strcmp(kind, "canary") == 0) {
        const char *slash = strchr(object->key, '/');
        text_format(out, "security group %.*s: let in UDP %d",
                    (int)(slash ? slash - object->key : 0), object->key,
                    (int)aws_number(is, "from", 0));
        if (aws_number(is, "to", 0) != aws_number(is, "from", 0))
            text_format(out, " to %d", (int)aws_number(is, "to", 0));
        text_format(out, " from %s", slash ? slash + 1 : "");
    } else if (strcmp(kind, "target") == 0) {
        text_format(out, "traffic mirror target %s (%s)", object->key, mirror_text(is, "type"));
    } else {
        text_format(out, "traffic mirror session of %s to %s, number %d, VNI %d", object->key,
                    mirror_text(is, "target"), (int)aws_number(is, "number", 0),
                    (int)aws_number(is, "vni", 0));
        if (strcmp(mirror_text(is, "filter"), "filter") != 0)
            text_format(out, ", filter %s", mirror_text(is, "filter"));
        if (length)
            text_format(out, ", %d bytes of each packet", (int)length);
    }
}

/* ---- commands ---- */

static void put_aws(const struct mirror_job *job, const char *command, struct text *out)
{
    const struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    text_put(out, "aws");
    if (state && state->region[0])
        text_format(out, " --region %s", state->region);
    if (wish && wish->options.profile) {
        text_put(out, " --profile ");
        text_shell(out, wish->options.profile);
    }
    text_format(out, " ec2 %s", command);
}

static void put_tags(const struct mirror_job *job, const char *type,
                     const struct mirror_object *object, struct text *out)
{
    char tags[512];
    (void)snprintf(tags, sizeof tags,
                   "ResourceType=%s,Tags=[{Key=" AWS_TAG_MIRROR ",Value=%s},{Key=" AWS_TAG_KEY
                   ",Value=%s/%s}]",
                   type, job->name, object->kind, object->key);
    text_put(out, " --tag-specifications ");
    text_shell(out, tags);
}

/* Shell variables hold the ids that are made: "$TMF", "$TMT_1" by the target's key. */
static void put_variable(const char *prefix, const char *key, struct text *out)
{
    text_put(out, prefix);
    for (const char *at = key; *at; at++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", *at))
            text_add(out, at, 1);
        else
            text_put(out, "_");
}

static void put_ports(const char *option, const char *ports, struct text *out)
{
    uint16_t from, to;
    if (ports[0] && aws_take_range(ports, &from, &to))
        text_format(out, " --%s FromPort=%u,ToPort=%u", option, from, to);
}

static void make_rule(const struct mirror_job *job, const struct mirror_object *object,
                      struct text *out)
{
    const json_t *is = object->is;
    const char *slash = strchr(object->key, '/');
    put_aws(job, "create-traffic-mirror-filter-rule --traffic-mirror-filter-id \"$TMF\"", out);
    text_format(out,
                " --traffic-direction %.*s --rule-number %s --rule-action %s "
                "--source-cidr-block %s --destination-cidr-block %s",
                (int)(slash - object->key), object->key, slash + 1, mirror_text(is, "action"),
                mirror_text(is, "source"), mirror_text(is, "destination"));
    if (aws_number(is, "protocol", -1) >= 0)
        text_format(out, " --protocol %d", (int)aws_number(is, "protocol", -1));
    put_ports("source-port-range", mirror_text(is, "source_ports"), out);
    put_ports("destination-port-range", mirror_text(is, "destination_ports"), out);
    text_put(out, "\n");
}

static void make_filter(const struct mirror_job *job, const struct mirror_object *object,
                        struct text *out)
{
    text_put(out, "TMF=$(");
    put_aws(job, "create-traffic-mirror-filter", out);
    put_tags(job, "traffic-mirror-filter", object, out);
    text_put(out, " --query TrafficMirrorFilter.TrafficMirrorFilterId --output text)\n");
    if (!json_is_true(json_object_get(object->is, "dns")))
        return;
    put_aws(job,
            "modify-traffic-mirror-filter-network-services --traffic-mirror-filter-id \"$TMF\" "
            "--add-network-services amazon-dns\n",
            out);
}

static void make_target(const struct mirror_job *job, const struct mirror_object *object,
                        struct text *out)
{
    const char *type = mirror_text(object->is, "type");
    put_variable("TMT_", object->key, out);
    text_put(out, "=$(");
    put_aws(job, "create-traffic-mirror-target --", out);
    text_put(out, strcmp(type, "network-load-balancer") == 0 ? "network-load-balancer-arn "
                  : strcmp(type, "gateway-load-balancer-endpoint") == 0
                      ? "gateway-load-balancer-endpoint-id "
                      : "network-interface-id ");
    text_shell(out, object->key);
    put_tags(job, "traffic-mirror-target", object, out);
    text_put(out, " --query TrafficMirrorTarget.TrafficMirrorTargetId --output text)\n");
}

static void make_session(const struct mirror_job *job, const struct mirror_object *object,
                         struct text *out)
{
    const json_t *is = object->is;
    const char *target = mirror_text(is, "target"), *filter = mirror_text(is, "filter");
    put_aws(job, "create-traffic-mirror-session --network-interface-id ", out);
    text_shell(out, object->key);
    text_put(out, " --traffic-mirror-target-id ");
    if (strncmp(target, "tmt-", 4) == 0) {
        text_shell(out, target);
    } else {
        text_put(out, "\"$");
        put_variable("TMT_", target, out);
        text_put(out, "\"");
    }
    text_put(out, " --traffic-mirror-filter-id ");
    if (strcmp(filter, "filter") == 0)
        text_put(out, "\"$TMF\"");
    else
        text_shell(out, filter);
    text_format(out, " --session-number %d --virtual-network-id %d",
                (int)aws_number(is, "number", 0), (int)aws_number(is, "vni", 0));
    if (aws_number(is, "length", 0))
        text_format(out, " --packet-length %d", (int)aws_number(is, "length", 0));
    put_tags(job, "traffic-mirror-session", object, out);
    text_put(out, "\n");
}

static void make_opening(const struct mirror_job *job, const struct mirror_object *object,
                         struct text *out)
{
    const char *slash = strchr(object->key, '/');
    put_aws(job, "authorize-security-group-ingress --group-id ", out);
    text_format(out, "%.*s --protocol udp --port %d", (int)(slash - object->key), object->key,
                (int)aws_number(object->is, "from", 0));
    if (aws_number(object->is, "to", 0) != aws_number(object->is, "from", 0))
        text_format(out, "-%d", (int)aws_number(object->is, "to", 0));
    text_format(out, " --cidr %s", slash + 1);
    put_tags(job, "security-group-rule", object, out);
    text_put(out, "\n");
}

/* The id: of what is there it is known, else its tags are asked for. `list`: of --query. */
static void put_id(const struct mirror_job *job, const struct mirror_object *object,
                   const char *describe, const char *list, struct text *out)
{
    const char *id = mirror_text(object->also, "id");
    char filter[MIRROR_KIND_MAX + MIRROR_KEY_MAX + 48];
    if (id[0]) {
        text_put(out, id);
        return;
    }
    text_put(out, "$(");
    put_aws(job, describe, out);
    text_format(out, " --filters Name=tag:" AWS_TAG_MIRROR ",Values=%s ", job->name);
    (void)snprintf(filter, sizeof filter, "Name=tag:" AWS_TAG_KEY ",Values=%s/%s", object->kind,
                   object->key);
    text_shell(out, filter);
    text_format(out, " --query '%s' --output text)", list);
}

static void unmake(const struct mirror_job *job, const struct mirror_object *object,
                   struct text *out)
{
    static const struct {
        const char *kind, *describe, *list;
    } rows[] = {
        {"filter", "describe-traffic-mirror-filters",
         "TrafficMirrorFilters[].TrafficMirrorFilterId"},
        {"target", "describe-traffic-mirror-targets",
         "TrafficMirrorTargets[].TrafficMirrorTargetId"},
        {"session", "describe-traffic-mirror-sessions",
         "TrafficMirrorSessions[].TrafficMirrorSessionId"},
    };
    if (strcmp(object->kind, "opening") == 0 || strcmp(object->kind, "canary") == 0) {
        put_aws(job, "revoke-security-group-ingress --group-id ", out);
        text_format(out, "%.*s --security-group-rule-ids ", (int)strcspn(object->key, "/"),
                    object->key);
        put_id(job, object, "describe-security-group-rules",
               "SecurityGroupRules[].SecurityGroupRuleId", out);
        text_put(out, "\n");
    } else if (strcmp(object->kind, "rule") == 0) {
        /* It goes with its filter, if not by itself. */
        if (!mirror_text(object->also, "id")[0])
            return;
        put_aws(job, "delete-traffic-mirror-filter-rule --traffic-mirror-filter-rule-id ", out);
        text_format(out, "%s\n", mirror_text(object->also, "id"));
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].kind, object->kind) == 0) {
            put_aws(job, "delete-traffic-mirror-", out);
            text_format(out, "%s --traffic-mirror-%s-id ", object->kind, object->kind);
            put_id(job, object, rows[i].describe, rows[i].list, out);
            text_put(out, "\n");
        }
}

void aws_command(const struct mirror_job *job, const struct mirror_object *object, bool is_unmake,
                 struct text *out)
{
    if (is_unmake)
        unmake(job, object, out);
    else if (strcmp(object->kind, "filter") == 0)
        make_filter(job, object, out);
    else if (strcmp(object->kind, "rule") == 0)
        make_rule(job, object, out);
    else if (strcmp(object->kind, "target") == 0)
        make_target(job, object, out);
    else if (strcmp(object->kind, "session") == 0)
        make_session(job, object, out);
    else
        make_opening(job, object, out);
}

/* ---- the policy ---- */

void aws_put_policy(struct text *out)
{
    static const char *const actions[] = {
        "ec2:DescribeTrafficMirrorFilters",
        "ec2:DescribeTrafficMirrorTargets",
        "ec2:DescribeTrafficMirrorSessions",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeInstances",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVpcEndpoints",
        "ec2:CreateTrafficMirrorFilter",
        "ec2:CreateTrafficMirrorFilterRule",
        "ec2:CreateTrafficMirrorTarget",
        "ec2:CreateTrafficMirrorSession",
        "ec2:ModifyTrafficMirrorFilterNetworkServices",
        "ec2:ModifyTrafficMirrorFilterRule",
        "ec2:ModifyTrafficMirrorSession",
        "ec2:DeleteTrafficMirrorFilter",
        "ec2:DeleteTrafficMirrorFilterRule",
        "ec2:DeleteTrafficMirrorTarget",
        "ec2:DeleteTrafficMirrorSession",
        "ec2:CreateTags",
        NULL,
    };
    static const char *const more[] = {
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:RevokeSecurityGroupIngress",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcs",
        "ec2:CreateSecurityGroup",
        "ec2:DeleteSecurityGroup",
        "ec2:CreateNetworkInterface",
        "ec2:AttachNetworkInterface",
        "ec2:DetachNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeTargetHealth",
        "cloudwatch:GetMetricData",
        "cloudtrail:LookupEvents",
        NULL,
    };
    const char *const *const lists[] = {actions, more};
    static const char *const names[] = {"CloudspanMirror", "CloudspanMirrorOptional"};
    text_put(out, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n");
    for (size_t i = 0; i < 2; i++) {
        text_format(out,
                    "    {\n      \"Sid\": \"%s\",\n      \"Effect\": \"Allow\",\n"
                    "      \"Resource\": \"*\",\n      \"Action\": [\n",
                    names[i]);
        for (size_t j = 0; lists[i][j]; j++)
            text_format(out, "        \"%s\"%s\n", lists[i][j], lists[i][j + 1] ? "," : "");
        text_format(out, "      ]\n    }%s\n", i == 0 ? "," : "");
    }
    text_put(out, "  ]\n}\n");
}
