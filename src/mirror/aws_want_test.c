/* What a mirror of AWS should be: which interfaces, where to, with which numbers. */
#include "mirror/aws_bed.h"

#define OPTIONS(...)                                                                               \
    (const char *const[]){"vpc", "vpc-1", __VA_ARGS__},                                            \
        2 + sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static const char *fate_of(struct aws_bed *bed, const char *id)
{
    for (size_t i = 0; i < bed->state.nics.n; i++)
        if (strcmp(bed->state.nics.at[i].id, id) == 0)
            return bed->state.nics.at[i].fate == CLOUD_WANTED ? "wanted"
                                                              : bed->state.nics.at[i].why;
    return "there is none";
}

static void test_fates(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    bed_interface(&bed, "eni-web-1", "i-web", 1, "b", "10.0.2.5");
    bed_interface(&bed, "eni-col-1", "i-col", 1, "b", "10.0.2.9");
    json_object_set_new(bed_machine(&bed, "fn", "a", "10.0.1.6"), "interfaceType",
                        json_string("lambda"));
    json_object_del(bed_machine(&bed, "loose", "a", "10.0.1.7"), "attachment");
    json_object_del(bed_machine(&bed, "v6", "a", "10.0.1.8"), "privateIpAddress");
    bed_instance(&bed, "i-old", "t2.micro", "old");
    bed_interface(&bed, "eni-old", "i-old", 0, "a", "10.0.1.10");
    bed_instance(&bed, "i-new", "m8g.large", "new");
    bed_interface(&bed, "eni-new", "i-new", 0, "a", "10.0.1.11");
    json_t *database = bed_machine(&bed, "db", "a", "10.0.1.12");
    json_object_set_new(
        database, "attachment",
        json_pack("{s:s, s:s}", "instanceOwnerId", "amazon-rds", "status", "attached"));
    json_array_append_new(bed_list(&bed, "trafficMirrorTargetSet"),
                          json_pack("{s:s, s:s}", "trafficMirrorTargetId", "tmt-9",
                                    "networkInterfaceId", "eni-sink"));
    bed_machine(&bed, "sink", "a", "10.0.1.13");
    assert_int_equal(bed_apply(&bed), 6 + 4);
    assert_string_equal(fate_of(&bed, "eni-web"), "wanted");
    assert_string_equal(fate_of(&bed, "eni-web-1"), "wanted");
    assert_string_equal(fate_of(&bed, "eni-db"), "wanted");
    assert_non_null(strstr(fate_of(&bed, "eni-col"), "collector"));
    assert_non_null(strstr(fate_of(&bed, "eni-col-1"), "collector"));
    assert_non_null(strstr(fate_of(&bed, "eni-fn"), "lambda"));
    assert_non_null(strstr(fate_of(&bed, "eni-loose"), "no instance"));
    assert_non_null(strstr(fate_of(&bed, "eni-v6"), "IPv6-only"));
    assert_non_null(strstr(fate_of(&bed, "eni-old"), "t2.micro"));
    assert_non_null(strstr(fate_of(&bed, "eni-sink"), "target"));
    assert_string_equal(fate_of(&bed, "eni-new"), "wanted"); /* tried all the same */
    assert_true(bed_remarks(&bed, "m8g.large"));
    bed_done(&bed);
}

/* A name may have anything in it. */
static void test_names(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_instance(&bed, "i-bad", "c7gn.large",
                 "a\n  ! b\x1b[2J\xc2\x9b"
                 "c\xc3\xa4");
    bed_interface(&bed, "eni-bad", "i-bad", 0, "a", "10.0.1.5");
    bed_apply(&bed);
    assert_true(bed_remarks(&bed, ": c7gn.large)"));
    assert_false(bed_remarks(&bed, "\n  ! b"));
    assert_false(bed_remarks(&bed, "\x1b"));
    assert_false(bed_remarks(&bed, "\xc2\x9b"));
    bed_done(&bed);
}

/* Two filters with our tags: one goes, also when the session has it. */
static void test_two_filters(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    bed_apply(&bed);
    json_t *filters = bed_list(&bed, "trafficMirrorFilterSet");
    json_t *second = json_deep_copy(json_array_get(filters, 0));
    json_object_set_new(second, "trafficMirrorFilterId", json_string("tmf-second"));
    json_array_append_new(filters, second);
    json_object_set_new(bed_ours(&bed, "eni-web"), "trafficMirrorFilterId",
                        json_string("tmf-second"));
    bed.refused = "DeleteTrafficMirrorFilter";
    bed.code = "TrafficMirrorFilterInUse";
    bed.result = -EBUSY;
    bed.n_refused = 1;
    assert_int_equal(bed_apply(&bed), 2);
    assert_int_equal(json_array_size(filters), 1);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-web"), "trafficMirrorFilterId"),
                        mirror_text(json_array_get(filters, 0), "trafficMirrorFilterId"));
    assert_int_equal(bed_apply(&bed), 0);
    bed_done(&bed);
}

/* The cloud is as it was asked for, and nothing is left to do, also without a journal. */
static void test_again(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    bed_machine(&bed, "db", "b", "10.0.2.5");
    assert_int_equal(bed_apply(&bed), 8);
    json_t *web = bed_ours(&bed, "eni-web");
    assert_string_equal(mirror_text(web, "sessionNumber"), "1");
    assert_null(json_object_get(web, "packetLength"));
    assert_string_equal(aws_tag(web, AWS_TAG_KEY), "session/eni-web");
    char *vni = strdup(mirror_text(web, "virtualNetworkId"));
    size_t n = json_array_size(bed.calls);
    assert_int_equal(bed_apply(&bed), 0);
    assert_int_equal(json_array_size(bed.calls), n);
    /* One that was deleted comes back with its VNI, and another token. */
    bed_drop(&bed, "trafficMirrorSessionSet", "networkInterfaceId", "eni-web");
    assert_int_equal(bed_apply(&bed), 1);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-web"), "virtualNetworkId"), vni);
    json_t *last = json_array_get(json_array_get(bed.calls, n), 1);
    for (size_t i = 0; i < n; i++)
        assert_string_not_equal(
            mirror_text(json_array_get(json_array_get(bed.calls, i), 1), "ClientToken"),
            mirror_text(last, "ClientToken"));
    free(vni);
    bed_done(&bed);
}

static void test_changes(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    bed_machine(&bed, "db", "b", "10.0.2.5");
    assert_int_equal(bed_apply(&bed), 8);
    bed.wish.length = 128;
    bed.wish.no_dns = true;
    assert_int_equal(bed_apply(&bed), 3);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-db"), "packetLength"), "128");
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 2);
    assert_int_equal(bed_n_calls(&bed, "ModifyTrafficMirrorSession"), 2);
    /* A machine that is gone: its session goes. */
    bed_drop(&bed, "networkInterfaceSet", "networkInterfaceId", "eni-db");
    assert_int_equal(bed_apply(&bed), 1);
    assert_null(bed_ours(&bed, "eni-db"));
    /* None is left: that may be a slip, and takes nothing away. */
    struct mirror_set wanted = {0};
    struct err err;
    bed_drop(&bed, "networkInterfaceSet", "networkInterfaceId", "eni-web");
    text_done(&bed.remarks);
    assert_int_equal(aws_want(&bed.job, &wanted, &bed.remarks, &err), -ENOENT);
    mirror_set_done(&wanted);
    bed_done(&bed);
}

/* ---- places ---- */

static void add_collector(struct aws_bed *bed, const char *n, const char *zone)
{
    char id[32], interface[32], address[32];
    snprintf(id, sizeof id, "i-col%s", n);
    snprintf(interface, sizeof interface, "eni-col%s", n);
    snprintf(address, sizeof address, "10.0.1.20%s", n);
    bed_instance(bed, id, "m5.large", id);
    bed_interface(bed, interface, id, 0, zone, address);
}

static const char *place_of(struct aws_bed *bed, const char *interface)
{
    const json_t *session = bed_ours(bed, interface);
    return session ? aws_target_resource(bed_item(bed, "trafficMirrorTargetSet",
                                                  "trafficMirrorTargetId",
                                                  mirror_text(session, "trafficMirrorTargetId")))
                   : "";
}

static void test_zones(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col", "to", "eni-col2"));
    add_collector(&bed, "2", "b");
    bed_machine(&bed, "a1", "a", "10.0.1.5");
    bed_machine(&bed, "a2", "a", "10.0.1.6");
    bed_machine(&bed, "b1", "b", "10.0.2.5");
    bed_apply(&bed);
    assert_string_equal(place_of(&bed, "eni-a1"), "eni-col");
    assert_string_equal(place_of(&bed, "eni-a2"), "eni-col");
    assert_string_equal(place_of(&bed, "eni-b1"), "eni-col2");
    bed_done(&bed);
}

static void add_machines(struct aws_bed *bed, int from, int to)
{
    for (int i = from; i < to; i++) {
        char name[16], address[32];
        snprintf(name, sizeof name, "m%02d", i);
        snprintf(address, sizeof address, "10.0.1.1%02d", i);
        bed_machine(bed, name, "a", address);
    }
}

static void test_capacity(void **unused)
{
    struct aws_bed bed;
    char before[12][32];
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    add_machines(&bed, 0, 12);
    bed_apply(&bed);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 10);
    assert_true(bed_remarks(&bed, "2 interfaces have no place"));
    assert_true(bed_remarks(&bed, "takes 10 sources"));
    assert_int_equal(bed_apply(&bed), 0);
    /* Another target takes the rest, and who had a place keeps it. */
    for (int i = 0; i < 12; i++) {
        char id[32];
        snprintf(id, sizeof id, "eni-m%02d", i);
        snprintf(before[i], sizeof before[i], "%s", place_of(&bed, id));
    }
    add_collector(&bed, "2", "b");
    bed.wish.to[bed.wish.n_to++] = (struct aws_to){AWS_TO_INTERFACE, "eni-col2"};
    bed_apply(&bed);
    for (int i = 0; i < 12; i++) {
        char id[32];
        snprintf(id, sizeof id, "eni-m%02d", i);
        assert_string_equal(place_of(&bed, id), before[i][0] ? before[i] : "eni-col2");
    }
    /* The first one goes: all that fit go to the other one, in place. */
    bed.wish.to[0] = bed.wish.to[1];
    bed.wish.n_to = 1;
    bed.wish.capacity = 11;
    size_t n = bed_n_calls(&bed, "CreateTrafficMirrorSession");
    bed_apply(&bed);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), n);
    assert_int_equal(bed_n_calls(&bed, "ModifyTrafficMirrorSession"), 9);
    assert_int_equal(json_array_size(bed_list(&bed, "trafficMirrorTargetSet")), 1);
    bed_done(&bed);
}

/* A large instance takes 100; sources of others count. */
static void test_others_sources(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    json_array_append_new(bed_list(&bed, "trafficMirrorTargetSet"),
                          json_pack("{s:s, s:s}", "trafficMirrorTargetId", "tmt-other",
                                    "networkInterfaceId", "eni-col"));
    for (int i = 0; i < 8; i++) {
        char id[16], interface[16];
        snprintf(id, sizeof id, "tms-o%d", i);
        snprintf(interface, sizeof interface, "eni-x%d", i);
        bed_session(&bed, id, interface, "tmt-other", 1, 100 + i);
    }
    add_machines(&bed, 0, 4);
    bed_apply(&bed);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 2);
    json_object_set_new(
        json_array_get(
            json_object_get(json_array_get(bed_list(&bed, "reservationSet"), 0), "instancesSet"),
            0),
        "instanceType", json_string("m5.24xlarge"));
    bed_apply(&bed);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 4);
    bed_done(&bed);
}

/* ---- numbers and VNIs ---- */

static void test_numbers(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    add_machines(&bed, 0, 4);
    bed_session(&bed, "tms-o1", "eni-m00", "tmt-x", 5, 7);
    for (int i = 1; i <= 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "tms-p%d", i);
        bed_session(&bed, id, "eni-m01", "tmt-x", i, 7);
    }
    bed_session(&bed, "tms-o2", "eni-m02", "tmt-x", AWS_NUMBER_MAX, 7);
    bed_apply(&bed);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-m00"), "sessionNumber"), "6");
    assert_true(bed_remarks(&bed, "tms-o1 (number 5)"));
    assert_null(bed_ours(&bed, "eni-m01"));
    assert_true(bed_remarks(&bed, "m01 (eni-m01) is not mirrored: it has 3 sessions"));
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-m02"), "sessionNumber"), "1");
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-m03"), "sessionNumber"), "1");
    /* It stays, also when the other one is gone; asked for, it changes. */
    bed_drop(&bed, "trafficMirrorSessionSet", "trafficMirrorSessionId", "tms-o1");
    assert_int_equal(bed_apply(&bed), 0);
    bed.wish.number = 9;
    assert_int_equal(bed_apply(&bed), 3);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-m00"), "sessionNumber"), "9");
    bed_done(&bed);
}

/* Ours never have a VNI that others' sessions to the same place have. */
static void test_vnis(void **unused)
{
    struct aws_bed bed;
    char vni[16];
    (void)unused;
    bed_init(&bed, OPTIONS("to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    bed_apply(&bed);
    snprintf(vni, sizeof vni, "%s", mirror_text(bed_ours(&bed, "eni-web"), "virtualNetworkId"));
    /* To another place it does no harm. */
    bed_session(&bed, "tms-far", "eni-x", "tmt-far", 1, atoi(vni));
    assert_int_equal(bed_apply(&bed), 0);
    json_array_append_new(bed_list(&bed, "trafficMirrorTargetSet"),
                          json_pack("{s:s, s:s}", "trafficMirrorTargetId", "tmt-other",
                                    "networkInterfaceId", "eni-col"));
    bed_session(&bed, "tms-near", "eni-y", "tmt-other", 1, atoi(vni));
    assert_int_equal(bed_apply(&bed), 1);
    assert_string_not_equal(mirror_text(bed_ours(&bed, "eni-web"), "virtualNetworkId"), vni);
    bed_done(&bed);
}

/* ---- rules ---- */

static int take(struct aws_wish *wish, const char *rule)
{
    struct err err;
    return aws_take_filter(rule, wish, &err);
}

static void test_rules(void **unused)
{
    struct aws_wish wish = {.direction = AWS_BOTH};
    struct mirror_set set = {0};
    struct text remarks;
    struct err err;
    (void)unused;
    text_init(&remarks, 4096);
    assert_int_equal(take(&wish, "reject tcp port 443 net 10.1.2.3/8"), 0);
    assert_int_equal(aws_want_rules(&wish, &set, &remarks, &err), 0);
    assert_int_equal(set.n, 8 + 4); /* what is only rejected is followed by all the rest */
    const struct mirror_object *first = mirror_set_get(&set, "rule", "ingress/100");
    assert_string_equal(mirror_text(first->is, "source"), "10.0.0.0/8");
    assert_string_equal(mirror_text(first->is, "destination"), "0.0.0.0/0");
    assert_string_equal(mirror_text(first->is, "destination_ports"), "443-443");
    assert_int_equal(aws_number(first->is, "protocol", -1), 6);
    assert_non_null(remarks.at); /* more than 10 */
    mirror_set_done(&set);
    wish = (struct aws_wish){.direction = AWS_IN};
    assert_int_equal(take(&wish, "in accept udp dport 53 dst 2001:db8::/32"), 0);
    assert_int_equal(aws_want_rules(&wish, &set, &remarks, &err), 0);
    assert_int_equal(set.n, 1);
    assert_string_equal(mirror_text(set.at[0].is, "source"), "::/0");
    assert_string_equal(mirror_text(set.at[0].is, "destination"), "2001:db8::/32");
    mirror_set_done(&set);
    wish = (struct aws_wish){.direction = AWS_OUT};
    assert_int_equal(take(&wish, "in accept icmp"), 0);
    assert_int_equal(wish.n_rules, 1);
    assert_int_equal(aws_want_rules(&wish, &set, &remarks, &err), -EINVAL);
    text_done(&remarks);
}

static void test_rules_refused(void **unused)
{
    static const char *const bad[] = {
        "",
        "tcp",
        "permit tcp",
        "accept port 80",
        "accept icmp dport 1",
        "accept tcp port 80-70",
        "accept tcp port 65536",
        "accept tcp dport",
        "accept net 10.0.0.0/33",
        "accept net example.org",
        "accept src 10.0.0.0/8 dst ::/0",
        "accept net 10.0.0.0/8 src 10.0.0.0/8",
        "accept tcp port 80 dport 80",
        "accept frob 1",
    };
    (void)unused;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aws_wish wish = {.direction = AWS_BOTH};
        if (take(&wish, bad[i]) != -EINVAL)
            fail_msg("'%s' is taken", bad[i]);
    }
}

static void test_cidrs(void **unused)
{
    (void)unused;
    assert_true(aws_cidr_has("10.0.0.0/8", "10.255.0.1"));
    assert_true(aws_cidr_has("10.0.0.0/8", "10.1.0.0/16"));
    assert_true(aws_cidr_has("0.0.0.0/0", "192.0.2.1"));
    assert_true(aws_cidr_has("10.0.0.128/25", "10.0.0.129"));
    assert_false(aws_cidr_has("10.0.0.128/25", "10.0.0.127"));
    assert_false(aws_cidr_has("10.0.0.0/16", "10.0.0.0/8"));
    assert_false(aws_cidr_has("::/0", "10.0.0.1"));
    assert_false(aws_cidr_has("0.0.0.0/0", "::1"));
    assert_false(aws_cidr_has("", "10.0.0.1"));
    assert_false(aws_cidr_has("10.0.0.0/8x", "10.0.0.1"));
}

/* ---- options ---- */

static void test_options(void **unused)
{
    struct aws_wish wish = {.n_to = 0};
    struct mirror_job job = {.provider = &provider_aws, .wish = &wish};
    struct err err;
    (void)unused;
    assert_int_equal(provider_aws.wish_check(&job, &err), -EINVAL); /* what? */
    wish.vpcs[wish.n_vpcs++] = "vpc-1";
    assert_int_equal(provider_aws.wish_check(&job, &err), -EINVAL); /* where to? */
    wish.to[wish.n_to++] = (struct aws_to){AWS_TO_INTERFACE, "eni-1"};
    assert_int_equal(provider_aws.wish_check(&job, &err), 0);
    assert_string_equal(job.name, "vpc-1");
    wish.to[wish.n_to++] = (struct aws_to){AWS_TO_INTERFACE, "eni-1"};
    assert_int_equal(provider_aws.wish_check(&job, &err), -EINVAL); /* twice */
}

static void test_no_vpc(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    struct err err;
    (void)unused;
    bed_init(&bed, OPTIONS("vpc", "vpc-2", "to", "eni-col"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    assert_int_equal(aws_want(&bed.job, &wanted, &bed.remarks, &err), -ENOENT);
    assert_non_null(strstr(err.text, "vpc-2"));
    mirror_set_done(&wanted);
    bed_done(&bed);
}

static void test_self(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0};
    struct err err;
    (void)unused;
    bed_init(&bed, OPTIONS("to", "self"));
    bed_machine(&bed, "web", "a", "10.0.1.5");
    assert_int_equal(aws_want(&bed.job, &wanted, &bed.remarks, &err), -EHOSTUNREACH);
    assert_non_null(strstr(err.text, "--to self"));
    mirror_set_done(&wanted);
    json_object_set_new(
        bed.world, "metadata",
        json_pack("{s:s, s:s}", "meta-data/mac", "02:00:00:00:00:09",
                  "meta-data/network/interfaces/macs/02:00:00:00:00:09/interface-id", "eni-col"));
    bed_apply(&bed);
    assert_string_equal(place_of(&bed, "eni-web"), "eni-col");
    assert_null(bed_ours(&bed, "eni-col"));
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fates),       cmocka_unit_test(test_again),
        cmocka_unit_test(test_changes),     cmocka_unit_test(test_zones),
        cmocka_unit_test(test_capacity),    cmocka_unit_test(test_others_sources),
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_vnis),
        cmocka_unit_test(test_rules),       cmocka_unit_test(test_rules_refused),
        cmocka_unit_test(test_cidrs),       cmocka_unit_test(test_options),
        cmocka_unit_test(test_self),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_two_filters), cmocka_unit_test(test_no_vpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
