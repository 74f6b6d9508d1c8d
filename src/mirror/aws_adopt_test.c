/* Sessions of AWS that were made by hand, and what status and watch get to know. */
#include "mirror/aws_bed.h"

#define N_OPTIONS 4
static const char *const options[N_OPTIONS] = {"vpc", "vpc-1", "to", "eni-col"};

/* web and db; a session of web made by hand, with a filter and a target of its own. */
static void begin(struct aws_bed *bed)
{
    bed_init(bed, options, N_OPTIONS);
    bed_machine(bed, "web", "a", "10.0.1.5");
    bed_machine(bed, "db", "b", "10.0.2.5");
    json_array_append_new(bed_list(bed, "trafficMirrorTargetSet"),
                          json_pack("{s:s, s:s, s:s}", "trafficMirrorTargetId", "tmt-hand",
                                    "networkInterfaceId", "eni-col", "type", "network-interface"));
    json_array_append_new(bed_list(bed, "trafficMirrorFilterSet"),
                          json_pack("{s:s}", "trafficMirrorFilterId", "tmf-other"));
    bed_session(bed, "tms-hand", "eni-web", "tmt-hand", 4, 77);
}

/* What adopt does, done to the world: the bed's CreateTags does nothing by itself. */
static void tag_all(struct aws_bed *bed)
{
    static const struct {
        const char *set, *member;
    } sets[] = {{"trafficMirrorSessionSet", "trafficMirrorSessionId"},
                {"trafficMirrorTargetSet", "trafficMirrorTargetId"},
                {"trafficMirrorFilterSet", "trafficMirrorFilterId"}};
    for (size_t i = 0; i < json_array_size(bed->calls); i++) {
        const json_t *call = json_array_get(json_array_get(bed->calls, i), 1);
        const json_t *tags = json_object_get(call, "Tag");
        const char *id = json_string_value(json_array_get(json_object_get(call, "ResourceId"), 0));
        for (size_t j = 0; id && j < 3; j++) {
            json_t *item = bed_item(bed, sets[j].set, sets[j].member, id);
            json_t *set = json_array();
            for (size_t k = 0; k < json_array_size(tags); k++)
                json_array_append_new(
                    set, json_pack("{s:s, s:s}", "key", mirror_text(json_array_get(tags, k), "Key"),
                                   "value", mirror_text(json_array_get(tags, k), "Value")));
            if (item)
                json_object_set(item, "tagSet", set);
            json_decref(set);
        }
    }
}

static int adopt(struct aws_bed *bed, bool is_yes, const char *id, struct text *out,
                 struct err *err)
{
    text_done(out);
    text_init(out, 65536);
    return aws_adopt(&bed->job, &id, 1, is_yes, false, out, err);
}

static void test_adopt(void **unused)
{
    struct aws_bed bed;
    struct text out = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    /* First it says what it would do. */
    assert_int_equal(adopt(&bed, false, "tms-hand", &out, &err), 0);
    assert_int_equal(json_array_size(bed.calls), 0);
    assert_non_null(strstr(out.at, "session tms-hand of eni-web"));
    assert_non_null(strstr(out.at, "filter tmf-other"));
    assert_non_null(strstr(out.at, "target tmt-hand of eni-col"));
    assert_int_equal(adopt(&bed, true, "tms-hand", &out, &err), 0);
    assert_int_equal(bed_n_calls(&bed, "CreateTags"), 3);
    assert_int_equal(json_array_size(bed.calls), 3); /* and nothing else is changed */
    tag_all(&bed);
    assert_int_equal(adopt(&bed, true, "tms-hand", &out, &err), 1);
    /* apply keeps it, with its VNI and its number, and adds what lacks. */
    bed_apply(&bed);
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-web"), "trafficMirrorSessionId"),
                        "tms-hand");
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-web"), "virtualNetworkId"), "77");
    assert_string_equal(mirror_text(bed_ours(&bed, "eni-web"), "sessionNumber"), "4");
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorFilter"), 0);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorTarget"), 0);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 1);
    assert_int_equal(bed_apply(&bed), 0);
    text_done(&out);
    bed_done(&bed);
}

/* A filter and a target that others use, too, stay theirs. */
static void test_shared(void **unused)
{
    struct aws_bed bed;
    struct text out = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    bed_session(&bed, "tms-theirs", "eni-x", "tmt-hand", 1, 5);
    assert_int_equal(adopt(&bed, true, "tms-hand", &out, &err), 0);
    assert_int_equal(bed_n_calls(&bed, "CreateTags"), 1);
    assert_non_null(strstr(out.at, "since tms-theirs uses it, too"));
    tag_all(&bed);
    bed_apply(&bed);
    const json_t *session = bed_ours(&bed, "eni-web");
    assert_string_equal(mirror_text(session, "trafficMirrorSessionId"), "tms-hand");
    assert_string_not_equal(mirror_text(session, "trafficMirrorFilterId"), "tmf-other");
    assert_int_equal(bed_n_calls(&bed, "ModifyTrafficMirrorSession"), 1);
    assert_int_equal(bed_apply(&bed), 0);
    text_done(&out);
    bed_done(&bed);
}

static void test_refused(void **unused)
{
    struct aws_bed bed;
    struct text out = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    assert_int_equal(adopt(&bed, true, "tms-0", &out, &err), -ENOENT);
    assert_non_null(strstr(err.text, "tms-0"));
    json_t *other = bed_session(&bed, "tms-marked", "eni-db", "tmt-hand", 1, 5);
    json_object_set_new(other, "tagSet",
                        json_pack("[{s:s, s:s}]", "key", AWS_TAG_MIRROR, "value", "else"));
    assert_int_equal(adopt(&bed, true, "tms-marked", &out, &err), -EEXIST);
    assert_non_null(strstr(err.text, "else"));
    bed_session(&bed, "tms-second", "eni-web", "tmt-hand", 5, 6);
    const char *const both[] = {"tms-hand", "tms-second"};
    assert_int_equal(aws_adopt(&bed.job, both, 2, true, false, &out, &err), -EEXIST);
    bed.job.name[0] = '\0';
    assert_int_equal(adopt(&bed, true, "tms-hand", &out, &err), -EINVAL);
    assert_int_equal(json_array_size(bed.calls), 0);
    text_done(&out);
    bed_done(&bed);
}

/* ---- status ---- */

static void test_cover(void **unused)
{
    struct aws_bed bed;
    struct mirror_set found = {0};
    struct mirror_coverage coverage = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    for (int i = 1; i <= 3; i++) {
        char id[16];
        snprintf(id, sizeof id, "tms-%d", i);
        bed_session(&bed, id, "eni-db", "tmt-x", i, 1);
    }
    bed_apply(&bed);
    assert_int_equal(aws_find(&bed.job, &found, &err), 0);
    assert_int_equal(aws_cover(&bed.job, &found, &coverage, &err), 0);
    assert_int_equal(coverage.n, 3);
    for (size_t i = 0; i < coverage.n; i++) {
        const struct mirror_covered *one = &coverage.at[i];
        bool web = strcmp(one->machine, "web") == 0, db = strcmp(one->machine, "db") == 0;
        assert_int_equal(one->mirrored, web);
        assert_int_equal(one->wanted, web || db);
        if (db)
            assert_non_null(strstr(one->why, "3 sessions"));
    }
    free(coverage.at);
    mirror_set_done(&found);
    bed_done(&bed);
}

static void test_measure(void **unused)
{
    struct aws_bed bed;
    struct mirror_set found = {0};
    struct mirror_measures measures = {0};
    struct mirror_sources sources = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    bed_apply(&bed);
    /* Of the first machine; ids that nobody asked for, and values that are none, are passed over.
     */
    json_object_set_new(
        bed.world, "GetMetricData",
        json_pack("{s:{s:[{s:s, s:[s, s]}, {s:s, s:[s]}, {s:s, s:[s]}, {s:s, s:[s]}, {s:s, s:[s]},"
                  "{s:s, s:[s]}]}}",
                  "GetMetricDataResult", "MetricDataResults", "Id", "m0_0", "Values", "10.0", "5.0",
                  "Id", "m0_1", "Values", "1.5e1", "Id", "m0_2", "Values", "7.0", "Id", "m0_9",
                  "Values", "1", "Id", "m99_0", "Values", "1", "Id", "m0_3", "Values", "-1e300"));
    assert_int_equal(aws_find(&bed.job, &found, &err), 0);
    assert_int_equal(aws_measure(&bed.job, &found, &measures, &err), 0);
    assert_int_equal(measures.n, 1); /* AWS counts nothing of the other one yet */
    assert_int_equal(measures.at[0].n_mirrored, 30);
    assert_int_equal(measures.at[0].n_lost, 7);
    assert_non_null(strstr(measures.at[0].trouble, "7 packets"));
    assert_int_equal(aws_sources(&bed.job, &found, &sources, &err), 0);
    assert_int_equal(sources.n, 2);
    for (size_t i = 0; i < sources.n; i++) {
        char channel[64];
        bool web = strcmp(sources.at[i].name, "web") == 0;
        snprintf(channel, sizeof channel, "vxlan:%s@%s",
                 mirror_text(bed_ours(&bed, web ? "eni-web" : "eni-db"), "virtualNetworkId"),
                 web ? "10.0.1.5" : "10.0.2.5");
        assert_string_equal(sources.at[i].channels[0], channel);
        assert_string_equal(sources.at[i].collector, "10.0.1.9");
        assert_int_equal(sources.at[i].has_lost, strncmp(measures.at[0].what, sources.at[i].name,
                                                         strlen(sources.at[i].name)) == 0);
    }
    free(sources.at);
    free(measures.at);
    mirror_set_done(&found);
    bed_done(&bed);
}

static void test_blame(void **unused)
{
    struct aws_bed bed;
    struct mirror_set missing = {0};
    struct text out;
    struct err err;
    (void)unused;
    begin(&bed);
    text_init(&out, 4096);
    struct mirror_object *was =
        mirror_set_add(&bed.job.recorded, "session", "eni-web", json_object());
    was->also = json_pack("{s:s, s:{s:s}}", "state", "made", "known", "id", "tms-9");
    (void)mirror_set_add(&missing, "session", "eni-web", json_object());
    json_object_set_new(
        bed.world, "LookupEvents",
        json_pack("{s:[{s:s, s:i, s:s}, {s:s, s:i, s:s}, {s:s, s:i, s:s}, {s:s}]}", "Events",
                  "Username", "other", "EventTime", 1700000001, "CloudTrailEvent",
                  "{\"requestParameters\":{\"id\":\"tms-8\"}}", "Username", "failed", "EventTime",
                  1700000002, "CloudTrailEvent",
                  "{\"errorCode\":\"x\",\"requestParameters\":{\"id\":\"tms-9\"}}", "Username",
                  "mallory", "EventTime", 1700000000, "CloudTrailEvent",
                  "{\"userIdentity\":{\"arn\":\"arn:m\"},\"requestParameters\":{\"id\":\"tms-9\"}}",
                  "CloudTrailEvent", "{"));
    assert_int_equal(aws_blame(&bed.job, &missing, &out, &err), 0);
    assert_string_equal(out.at, "session tms-9 of eni-web was deleted by arn:m at "
                                "2023-11-14T22:13:20Z\n");
    text_done(&out);
    mirror_set_done(&missing);
    bed_done(&bed);
}

/* ---- words ---- */

static void test_words(void **unused)
{
    struct aws_bed bed;
    struct mirror_set wanted = {0}, found = {0};
    struct mirror_plan plan = {0};
    struct text words, commands, policy;
    json_error_t where;
    (void)unused;
    begin(&bed);
    text_init(&words, 65536);
    text_init(&commands, 65536);
    text_init(&policy, 65536);
    bed.wish.lets_canary = bed.wish.opens = true;
    bed_drop(&bed, "securityGroupRuleSet", "securityGroupRuleId", "sgr-1");
    bed_drop(&bed, "trafficMirrorTargetSet", "trafficMirrorTargetId", "tmt-hand");
    bed_plan(&bed, &wanted, &found, &plan);
    for (size_t i = 0; i < wanted.n; i++) {
        aws_describe(&wanted.at[i], &words);
        aws_command(&bed.job, &wanted.at[i], false, &commands);
        aws_command(&bed.job, &wanted.at[i], true, &commands);
    }
    assert_false(words.failed || commands.failed);
    assert_non_null(strstr(words.at, "filter rule egress/200: accept everything from ::/0"));
    assert_non_null(strstr(words.at, "security group sg-1: let in UDP 4789 from 10.0.1.0/24"));
    assert_non_null(strstr(commands.at, "TMT_eni_col=$(aws --region eu-west-1 ec2 "
                                        "create-traffic-mirror-target --network-interface-id "
                                        "eni-col"));
    assert_non_null(strstr(commands.at, "--traffic-mirror-target-id \"$TMT_eni_col\" "
                                        "--traffic-mirror-filter-id \"$TMF\""));
    assert_non_null(strstr(commands.at, "Name=tag:cloudspan:key,Values=session/eni-web"));
    aws_put_policy(&policy);
    json_t *document = json_loads(policy.at, 0, &where);
    assert_non_null(document);
    assert_int_equal(json_array_size(json_object_get(document, "Statement")), 2);
    json_decref(document);
    text_done(&words);
    text_done(&commands);
    text_done(&policy);
    mirror_plan_done(&plan);
    mirror_set_done(&wanted);
    mirror_set_done(&found);
    bed_done(&bed);
}

static void test_types(void **unused)
{
    (void)unused;
    static const char *const can[] = {"m5.large",    "m6i.large", "m7g.large",   "m7i-flex.large",
                                      "c5.metal",    "i3.metal",  "mac2.metal",  "u-6tb1.56xlarge",
                                      "m4.large",    "t3.micro",  "c7i.8xlarge", "p5.48xlarge",
                                      "gr6f.xlarge", NULL};
    static const char *const cannot[] = {"m8g.large",
                                         "c7gn.large",
                                         "hpc7g.4xlarge",
                                         "c6i.metal",
                                         "m7i.metal-24xl",
                                         "i3en.metal",
                                         "p6-b200.48xlarge",
                                         "m7",
                                         NULL};
    for (size_t i = 0; can[i]; i++)
        if (aws_type_is_unfit(can[i]))
            fail_msg("%s can be mirrored", can[i]);
    for (size_t i = 0; cannot[i]; i++)
        if (!aws_type_is_unfit(cannot[i]))
            fail_msg("%s is not among those that can be mirrored", cannot[i]);
    assert_false(aws_type_is_unfit(""));
    assert_true(aws_type_is_old("t2.micro"));
    assert_false(aws_type_is_old("t3.micro"));
    assert_false(aws_type_is_old("m4.large"));
    assert_true(aws_type_is_large("m5.24xlarge"));
    assert_true(aws_type_is_large("m7i.48xlarge"));
    assert_true(aws_type_is_large("u7inh-32tb.480xlarge"));
    assert_true(aws_type_is_large("g6e.12xlarge"));
    assert_false(aws_type_is_large("m5.large"));
    assert_false(aws_type_is_large("m4.16xlarge"));
    assert_false(aws_type_is_large("m5a.24xlarge"));
    assert_false(aws_type_is_large(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adopt),   cmocka_unit_test(test_shared),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_cover),
        cmocka_unit_test(test_measure), cmocka_unit_test(test_blame),
        cmocka_unit_test(test_words),   cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
