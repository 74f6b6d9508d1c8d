/* Why nothing would arrive from AWS, said before; and what is opened when that is asked for. */
#include "mirror/aws_bed.h"

#define OPTIONS(...)                                                                               \
    (const char *const[]){"vpc", "vpc-1", __VA_ARGS__},                                            \
        2 + sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static json_t *add_rule(struct aws_bed *bed, const char *id, const char *group,
                        const char *protocol, const char *from, const char *to, const char *cidr)
{
    json_t *rule = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "securityGroupRuleId", id,
                             "groupId", group, "isEgress", "false", "ipProtocol", protocol,
                             "fromPort", from, "toPort", to, "cidrIpv4", cidr);
    json_array_append_new(bed_list(bed, "securityGroupRuleSet"), rule);
    return rule;
}

/* The collector in a group of its own, which lets nothing in yet. */
static void begin(struct aws_bed *bed, const char *const *options, size_t n)
{
    bed_init(bed, options, n);
    json_object_set_new(bed_item(bed, "networkInterfaceSet", "networkInterfaceId", "eni-col"),
                        "groupSet", json_pack("[{s:s}]", "groupId", "sg-col"));
    bed_machine(bed, "web", "a", "10.0.1.5");
    bed_machine(bed, "db", "b", "10.0.2.5");
}

static void plan(struct aws_bed *bed, struct mirror_set *wanted)
{
    struct mirror_set found = {0};
    struct mirror_plan steps = {0};
    mirror_set_done(wanted);
    bed_plan(bed, wanted, &found, &steps);
    mirror_plan_done(&steps);
    mirror_set_done(&found);
}

static void test_group(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "from 10.0.1.0/24: the security group sg-col"));
    assert_true(bed_remarks(&bed, "from 10.0.2.0/24: the security group sg-col"));
    assert_null(mirror_set_get(&wanted, "opening", "sg-col/10.0.1.0/24"));
    /* Near misses: out, another port, another protocol, too small a prefix. */
    json_object_set_new(add_rule(&bed, "sgr-2", "sg-col", "udp", "4789", "4789", "0.0.0.0/0"),
                        "isEgress", json_string("true"));
    add_rule(&bed, "sgr-3", "sg-col", "udp", "4790", "5000", "0.0.0.0/0");
    add_rule(&bed, "sgr-4", "sg-col", "tcp", "4789", "4789", "0.0.0.0/0");
    add_rule(&bed, "sgr-5", "sg-col", "udp", "4789", "4789", "10.0.1.4/32");
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "from 10.0.1.0/24: the security group"));
    /* Half of it, by prefix; the rest by the machines' group. */
    add_rule(&bed, "sgr-6", "sg-col", "udp", "4000", "5000", "10.0.1.0/24");
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "from 10.0.1.0/24: the security group"));
    assert_true(bed_remarks(&bed, "from 10.0.2.0/24: the security group"));
    json_t *by_group = add_rule(&bed, "sgr-7", "sg-col", "-1", "-1", "-1", "");
    json_object_set_new(by_group, "referencedGroupInfo", json_pack("{s:s}", "groupId", "sg-1"));
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "nothing arrives"));
    mirror_set_done(&wanted);
    bed_done(&bed);
}

static void test_opening(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    bed.wish.opens = true;
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "nothing arrives"));
    const struct mirror_object *opening = mirror_set_get(&wanted, "opening", "sg-col/10.0.1.0/24");
    assert_non_null(opening);
    assert_int_equal(aws_number(opening->is, "from", 0), 4789);
    /* Made, it stays wanted: our own rule is no reason to want none. */
    json_t *rule = add_rule(&bed, "sgr-9", "sg-col", "udp", "4789", "4789", "10.0.1.0/24");
    json_object_set_new(rule, "tagSet",
                        json_pack("[{s:s, s:s}, {s:s, s:s}]", "key", AWS_TAG_MIRROR, "value", "m",
                                  "key", AWS_TAG_KEY, "value", "opening/sg-col/10.0.1.0/24"));
    plan(&bed, &wanted);
    assert_non_null(mirror_set_get(&wanted, "opening", "sg-col/10.0.1.0/24"));
    struct mirror_set found = {0};
    struct err err;
    assert_int_equal(aws_find(&bed.job, &found, &err), 0);
    assert_non_null(mirror_set_get(&found, "opening", "sg-col/10.0.1.0/24"));
    assert_null(mirror_set_get(&found, "opening", "sg-1/10.0.0.0/8")); /* not ours */
    mirror_set_done(&found);
    mirror_set_done(&wanted);
    bed_done(&bed);
}

static void test_canary(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    add_rule(&bed, "sgr-2", "sg-col", "-1", "-1", "-1", "0.0.0.0/0");
    plan(&bed, &wanted); /* sg-1 lets all of 10/8 in */
    assert_false(bed_remarks(&bed, "canary"));
    bed_drop(&bed, "securityGroupRuleSet", "securityGroupRuleId", "sgr-1");
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "(sg-1): --allow-canary lets UDP from 10.0.1.9/32"));
    bed.wish.lets_canary = true;
    bed.wish.canary_min = 7;
    bed.wish.canary_max = 9;
    plan(&bed, &wanted);
    const struct mirror_object *canary = mirror_set_get(&wanted, "canary", "sg-1/10.0.1.9/32");
    assert_non_null(canary);
    assert_int_equal(aws_number(canary->is, "from", 0), 7);
    assert_int_equal(aws_number(canary->is, "to", 0), 9);
    mirror_set_done(&wanted);
    bed_done(&bed);
}

static json_t *entry(const char *number, const char *action, const char *cidr, const char *protocol)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "ruleNumber", number, "ruleAction", action,
                     "cidrBlock", cidr, "protocol", protocol, "egress", "false");
}

static void test_acl(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    json_t *entries = json_array();
    json_array_append_new(bed_list(&bed, "networkAclSet"),
                          json_pack("{s:s, s:o}", "networkAclId", "acl-1", "entrySet", entries));
    json_array_append_new(entries, entry("32767", "deny", "0.0.0.0/0", "-1"));
    json_array_append_new(entries, entry("100", "allow", "0.0.0.0/0", "6"));
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "from 10.0.2.0/24: the network ACL acl-1"));
    assert_false(bed_remarks(&bed, "from 10.0.1.0/24: the network ACL")); /* its own subnet */
    json_array_append_new(entries, entry("200", "allow", "10.0.0.0/8", "17"));
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "network ACL"));
    json_array_append_new(entries, entry("150", "deny", "10.0.2.0/24", "-1"));
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "network ACL acl-1"));
    mirror_set_done(&wanted);
    bed_done(&bed);
}

static void test_route(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    json_t *col = bed_item(&bed, "networkInterfaceSet", "networkInterfaceId", "eni-col");
    json_object_set_new(col, "vpcId", json_string("vpc-far"));
    json_object_set_new(col, "privateIpAddress", json_string("10.9.0.9"));
    json_t *routes = json_array(), *sub = json_array();
    json_array_append_new(bed_list(&bed, "routeTableSet"),
                          json_pack("{s:s, s:[{s:s}], s:o}", "vpcId", "vpc-1", "associationSet",
                                    "main", "true", "routeSet", routes));
    json_array_append_new(bed_list(&bed, "routeTableSet"),
                          json_pack("{s:s, s:[{s:s}], s:o}", "vpcId", "vpc-1", "associationSet",
                                    "subnetId", "subnet-b", "routeSet", sub));
    json_array_append_new(
        routes, json_pack("{s:s, s:s}", "destinationCidrBlock", "0.0.0.0/0", "gatewayId", "igw-1"));
    json_array_append_new(sub, json_pack("{s:s, s:s, s:s}", "destinationCidrBlock", "10.9.0.0/16",
                                         "vpcPeeringConnectionId", "pcx-1", "state", "active"));
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "from subnet-a in vpc-1: it has no route"));
    assert_false(bed_remarks(&bed, "from subnet-b in vpc-1"));
    json_object_set_new(json_array_get(sub, 0), "state", json_string("blackhole"));
    json_array_append_new(routes, json_pack("{s:s, s:s, s:s}", "destinationCidrBlock", "10.0.0.0/8",
                                            "transitGatewayId", "tgw-1", "state", "active"));
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "from subnet-a in vpc-1"));
    assert_true(bed_remarks(&bed, "from subnet-b in vpc-1"));
    mirror_set_done(&wanted);
    bed_done(&bed);
}

/* ---- load balancers ---- */

#define NLB "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/net/x/1"

static void test_balancer(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    (void)unused;
    begin(&bed, OPTIONS("to", "nlb:" NLB));
    json_object_set_new(bed.world, "DescribeLoadBalancers",
                        json_pack("{s:{s:[{s:s}]}}", "DescribeLoadBalancersResult", "LoadBalancers",
                                  "VpcId", "vpc-1"));
    plan(&bed, &wanted);
    assert_true(bed_remarks(&bed, "no UDP listener on port 4789"));
    assert_non_null(mirror_set_get(&wanted, "session", "eni-col")); /* nobody's collector yet */
    json_object_set_new(bed.world, "DescribeListeners",
                        json_pack("{s:{s:[{s:s, s:s, s:[{s:s}]}]}}", "DescribeListenersResult",
                                  "Listeners", "Protocol", "UDP", "Port", "4789", "DefaultActions",
                                  "TargetGroupArn", "tg-1"));
    json_object_set_new(bed.world, "DescribeTargetHealth",
                        json_pack("{s:{s:[{s:{s:s}, s:{s:s}}]}}", "DescribeTargetHealthResult",
                                  "TargetHealthDescriptions", "Target", "Id", "i-col",
                                  "TargetHealth", "State", "unhealthy"));
    plan(&bed, &wanted);
    assert_false(bed_remarks(&bed, "no UDP listener"));
    assert_true(bed_remarks(&bed, "of the 1 machines behind its listener none is healthy"));
    assert_null(mirror_set_get(&wanted, "session", "eni-col")); /* it is the collector */
    const struct mirror_object *target = mirror_set_get(&wanted, "target", NLB);
    assert_non_null(target);
    assert_string_equal(mirror_text(target->is, "type"), "network-load-balancer");
    mirror_set_done(&wanted);
    bed_done(&bed);
}

/* What may not be asked is said, and the mirror is made all the same. */
static void test_forbidden(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    struct err err;
    (void)unused;
    begin(&bed, OPTIONS("to", "eni-col"));
    bed.refused = "DescribeSecurityGroupRules";
    bed.code = "UnauthorizedOperation";
    bed.result = -EACCES;
    bed.n_refused = 1;
    assert_int_equal(aws_want(&bed.job, &wanted, &bed.remarks, &err), 0);
    assert_true(bed_remarks(&bed, "not everything could be checked"));
    assert_true(bed_remarks(&bed, "ec2:DescribeSecurityGroupRules"));
    assert_non_null(mirror_set_get(&wanted, "session", "eni-web"));
    mirror_set_done(&wanted);
    bed.n_refused = 1;
    bed.result = -EIO; /* no lack of rights: it may be anything */
    assert_int_equal(aws_want(&bed.job, &wanted, &bed.remarks, &err), -EIO);
    mirror_set_done(&wanted);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group),     cmocka_unit_test(test_opening),
        cmocka_unit_test(test_canary),    cmocka_unit_test(test_acl),
        cmocka_unit_test(test_route),     cmocka_unit_test(test_balancer),
        cmocka_unit_test(test_forbidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
