/* Making a mirror of AWS where the cloud says no, or not yet, or where an apply was killed. */
#include <sys/stat.h>
#include <unistd.h>

#include "mirror/aws_bed.h"

#define N_OPTIONS 4
static const char *const options[N_OPTIONS] = {"vpc", "vpc-1", "to", "eni-col"};

static void refuse(struct aws_bed *bed, const char *action, const char *code, int result, int n)
{
    bed->refused = action;
    bed->code = code;
    bed->result = result;
    bed->n_refused = n;
}

static void begin(struct aws_bed *bed)
{
    bed_init(bed, options, N_OPTIONS);
    bed_machine(bed, "web", "a", "10.0.1.5");
}

/* The wanted object of this kind, made; the sentence is in `err`. */
static int make_one(struct aws_bed *bed, const char *kind, const char *key, struct err *err)
{
    struct mirror_set wanted = {0};
    assert_int_equal(aws_want(&bed->job, &wanted, &bed->remarks, err), 0);
    const struct mirror_object *want = mirror_set_get(&wanted, kind, key);
    assert_non_null(want);
    int result = aws_make(&bed->job, want, err);
    mirror_set_done(&wanted);
    return result;
}

/* What was made a moment ago is not known everywhere: it is asked again. What is gone is gone. */
static void test_not_yet(void **unused)
{
    struct aws_bed bed;
    struct err err;
    (void)unused;
    begin(&bed);
    refuse(&bed, "CreateTrafficMirrorSession", "InvalidTrafficMirrorTargetId.NotFound", -ENOENT, 3);
    assert_int_equal(make_one(&bed, "session", "eni-web", &err), 0);
    assert_int_equal(bed_n_calls(&bed, "CreateTrafficMirrorSession"), 4);
    assert_int_equal(bed.waited, 500 + 1000 + 2000);
    /* Each time with the same token. */
    for (size_t i = 1; i < 4; i++)
        assert_string_equal(
            mirror_text(json_array_get(json_array_get(bed.calls, i), 1), "ClientToken"),
            mirror_text(json_array_get(json_array_get(bed.calls, 0), 1), "ClientToken"));
    bed.waited = 0;
    refuse(&bed, "CreateTrafficMirrorSession", "InvalidNetworkInterfaceID.NotFound", -ENOENT, 3);
    assert_int_equal(make_one(&bed, "session", "eni-web", &err), -ENOENT);
    assert_int_equal(bed.waited, 0);
    assert_non_null(strstr(err.text, "eni-web"));
    /* Not for ever. */
    refuse(&bed, "CreateTrafficMirrorSession", "InvalidTrafficMirrorFilterId.NotFound", -ENOENT,
           1000);
    assert_int_equal(make_one(&bed, "session", "eni-web", &err), -ENOENT);
    assert_in_range(bed.waited, 60000, 70000);
    bed_done(&bed);
}

static void test_explained(void **unused)
{
    struct aws_bed bed;
    struct err err;
    (void)unused;
    begin(&bed);
    refuse(&bed, "CreateTrafficMirrorTarget", "UnauthorizedOperation", -EACCES, 1);
    assert_int_equal(make_one(&bed, "target", "eni-col", &err), -EACCES);
    assert_non_null(strstr(err.text, "ec2:CreateTrafficMirrorTarget"));
    assert_non_null(strstr(err.text, "--iam-policy"));
    refuse(&bed, "CreateTrafficMirrorSession", "TrafficMirrorSourcesPerTargetLimitExceeded",
           -EDQUOT, 1);
    assert_int_equal(make_one(&bed, "session", "eni-web", &err), -EDQUOT);
    assert_non_null(strstr(err.text, "--capacity"));
    assert_non_null(strstr(err.text, "no: Traffic")); /* AWS's own words */
    /* A rule that is there already is the rule that was wanted. */
    refuse(&bed, "CreateTrafficMirrorFilterRule", "TrafficMirrorFilterRuleAlreadyExists", -EEXIST,
           1);
    assert_int_equal(make_one(&bed, "rule", "egress/200", &err), 0);
    bed_done(&bed);
}

/* ---- tokens ---- */

static void read_notes(struct aws_bed *bed, const char *folder)
{
    bed->job.folder = folder;
    aws_notes_read(&bed->job);
}

static const char *token_of(const struct aws_bed *bed, size_t i)
{
    return mirror_text(json_array_get(json_array_get(bed->calls, i), 1), "ClientToken");
}

/* An apply that was killed is gone on with under the same token; one that ended is not. */
static void test_token(void **unused)
{
    char folder[] = "/tmp/cloudspan-aws-XXXXXX", path[64];
    struct aws_bed bed, again;
    struct err err;
    struct text said;
    (void)unused;
    text_init(&said, 1024);
    assert_non_null(mkdtemp(folder));
    begin(&bed);
    read_notes(&bed, folder);
    assert_int_equal(make_one(&bed, "target", "eni-col", &err), 0);
    /* Killed here. AWS has made it, and gives the same again for the same token. */
    begin(&again);
    read_notes(&again, folder);
    assert_true(again.state.inherited);
    json_object_set_new(
        again.world, "DescribeTrafficMirrorTargets",
        json_pack("{s:[{s:s}]}", "trafficMirrorTargetSet", "trafficMirrorTargetId", "tmt-1"));
    assert_int_equal(make_one(&again, "target", "eni-col", &err), 0);
    assert_int_equal(json_array_size(again.calls), 1);
    assert_string_equal(token_of(&bed, 0), token_of(&again, 0));
    assert_int_equal(strlen(token_of(&bed, 0)), 64);
    assert_int_equal(aws_prove(&again.job, &said, &err), 0);
    bed_done(&again);
    begin(&again);
    read_notes(&again, folder);
    assert_false(again.state.inherited);
    assert_int_equal(make_one(&again, "target", "eni-col", &err), 0);
    assert_string_not_equal(token_of(&bed, 0), token_of(&again, 0));
    bed_done(&again);
    /* What comes back for the old token is gone: a new one is taken. */
    begin(&again);
    read_notes(&again, folder);
    assert_true(again.state.inherited);
    json_object_set_new(again.world, "DescribeTrafficMirrorTargets", json_object());
    assert_int_equal(make_one(&again, "target", "eni-col", &err), 0);
    assert_int_equal(json_array_size(again.calls), 2);
    assert_string_not_equal(token_of(&again, 0), token_of(&again, 1));
    bed_done(&again);
    bed_done(&bed);
    text_done(&said);
    snprintf(path, sizeof path, "%s/aws-m.notes", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* Notes that are none, too large, or a trap. */
static void test_bad_notes(void **unused)
{
    static const char *const bad[] = {"", "[]", "{", "{\"attempt\":7}", "\xff\xfe"};
    char folder[] = "/tmp/cloudspan-aws-XXXXXX", path[64];
    (void)unused;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/aws-m.notes", folder);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct aws_bed bed;
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(bad[i], file);
        fclose(file);
        begin(&bed);
        read_notes(&bed, folder);
        assert_false(bed.state.inherited);
        assert_int_equal(bed_apply(&bed), 7);
        bed_done(&bed);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- in use ---- */

static const struct mirror_object *target_of(const struct mirror_set *set)
{
    const struct mirror_object *target = mirror_set_get(set, "target", "eni-col");
    assert_non_null(target);
    return target;
}

static void test_in_use(void **unused)
{
    struct aws_bed bed;
    struct mirror_set found = {0};
    struct err err;
    (void)unused;
    begin(&bed);
    bed_apply(&bed);
    assert_int_equal(aws_find(&bed.job, &found, &err), 0);
    json_t *session = bed_ours(&bed, "eni-web");
    const char *target = mirror_text(session, "trafficMirrorTargetId");
    /* By somebody else: it stays, and that is said. */
    bed_session(&bed, "tms-theirs", "eni-x", target, 1, 5);
    refuse(&bed, "DeleteTrafficMirrorTarget", "TrafficMirrorTargetInUseException", -EBUSY, 1);
    assert_int_equal(aws_unmake(&bed.job, target_of(&found), &err), -EBUSY);
    assert_non_null(strstr(err.text, "tms-theirs"));
    bed_drop(&bed, "trafficMirrorSessionSet", "trafficMirrorSessionId", "tms-theirs");
    /* By a session of ours that is about to be changed: it goes at the end of the apply. */
    refuse(&bed, "DeleteTrafficMirrorTarget", "TrafficMirrorTargetInUseException", -EBUSY, 1);
    assert_int_equal(aws_unmake(&bed.job, target_of(&found), &err), 0);
    assert_int_equal(json_array_size(bed_list(&bed, "trafficMirrorTargetSet")), 1);
    assert_int_equal(json_array_size(bed.state.pending), 1);
    struct text said;
    text_init(&said, 100);
    assert_int_equal(aws_prove(&bed.job, &said, &err), 0);
    assert_int_equal(json_array_size(bed_list(&bed, "trafficMirrorTargetSet")), 0);
    text_done(&said);
    /* Removal waits until AWS has seen that its sessions are gone. */
    bed.job.partial = true;
    bed.waited = 0;
    bed_drop(&bed, "trafficMirrorSessionSet", "networkInterfaceId", "eni-web");
    refuse(&bed, "DeleteTrafficMirrorTarget", "TrafficMirrorTargetInUseException", -EBUSY, 3);
    assert_int_equal(aws_unmake(&bed.job, target_of(&found), &err), 0);
    assert_int_equal(bed.waited, 3 * 2000);
    refuse(&bed, "DeleteTrafficMirrorTarget", "InvalidTrafficMirrorTargetId.NotFound", -ENOENT, 1);
    assert_int_equal(aws_unmake(&bed.job, target_of(&found), &err), 0);
    mirror_set_done(&found);
    bed_done(&bed);
}

/* ---- drift ---- */

static void set(json_t *item, const char *name, const char *value)
{
    assert_non_null(item);
    json_object_set_new(item, name, json_string(value));
}

static void test_drift(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    begin(&bed);
    bed_apply(&bed);
    json_t *filter = json_array_get(bed_list(&bed, "trafficMirrorFilterSet"), 0);
    json_t *rules = json_object_get(filter, "ingressFilterRuleSet");
    /* Somebody changed a rule, added one, and moved the session elsewhere. */
    set(json_array_get(rules, 0), "ruleAction", "reject");
    json_object_set_new(json_array_get(rules, 0), "sourcePortRange",
                        json_pack("{s:s, s:s}", "fromPort", "1", "toPort", "2"));
    json_array_append_new(
        rules, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "trafficMirrorFilterRuleId", "tmfr-x",
                         "trafficDirection", "ingress", "ruleNumber", "50", "ruleAction", "reject",
                         "sourceCidrBlock", "0.0.0.0/0", "destinationCidrBlock", "0.0.0.0/0"));
    set(bed_ours(&bed, "eni-web"), "trafficMirrorTargetId", "tmt-elsewhere");
    set(bed_ours(&bed, "eni-web"), "packetLength", "64");
    size_t n = json_array_size(bed.calls);
    assert_int_equal(bed_apply(&bed), 3);
    const json_t *deleted = json_array_get(bed.calls, n);
    assert_string_equal(json_string_value(json_array_get(deleted, 0)),
                        "DeleteTrafficMirrorFilterRule");
    assert_string_equal(mirror_text(json_array_get(deleted, 1), "TrafficMirrorFilterRuleId"),
                        "tmfr-x");
    const json_t *rule = json_array_get(json_array_get(bed.calls, n + 1), 1);
    assert_string_equal(mirror_text(rule, "RuleAction"), "accept");
    json_t *removed =
        json_pack("[s, s, s]", "protocol", "source-port-range", "destination-port-range");
    assert_true(json_equal(json_object_get(rule, "RemoveField"), removed));
    json_decref(removed);
    const json_t *session = json_array_get(json_array_get(bed.calls, n + 2), 1);
    assert_string_equal(mirror_text(session, "TrafficMirrorTargetId"), "tmt-6");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(session, "RemoveField"), 0)),
        "packet-length");
    assert_null(json_object_get(session, "SessionNumber")); /* what is right is not touched */
    bed_done(&bed);
}

/* Two of the same, as a repeated call may leave them: one goes. */
static void test_twice(void **unused)
{
    struct aws_bed bed;
    (void)unused;
    begin(&bed);
    bed_apply(&bed);
    json_t *sessions = bed_list(&bed, "trafficMirrorSessionSet");
    json_t *targets = bed_list(&bed, "trafficMirrorTargetSet");
    json_t *second = json_deep_copy(json_array_get(sessions, 0));
    set(second, "trafficMirrorSessionId", "tms-second");
    json_array_append_new(sessions, second);
    second = json_deep_copy(json_array_get(targets, 0));
    set(second, "trafficMirrorTargetId", "tmt-second");
    json_array_append_new(targets, second);
    assert_int_equal(bed_apply(&bed), 2);
    assert_int_equal(json_array_size(sessions), 1);
    assert_int_equal(json_array_size(targets), 1);
    assert_int_equal(bed_apply(&bed), 0);
    bed_done(&bed);
}

/* What was made a moment ago, and does not show, is looked for again; what is old is gone. */
static void test_late(void **unused)
{
    struct aws_bed bed;
    struct err err;
    (void)unused;
    begin(&bed);
    struct mirror_object *made =
        mirror_set_add(&bed.job.recorded, "session", "eni-web", json_object());
    made->also = json_pack("{s:s, s:{s:s, s:i}}", "state", "made", "known", "id", "tms-7", "at",
                           1800000000 - 3600);
    assert_int_equal(aws_mirror_look(&bed.job, &err), 0);
    assert_int_equal(bed.waited, 0);
    json_object_set_new(json_object_get(made->also, "known"), "at", json_integer(1800000000 - 3));
    assert_int_equal(aws_mirror_look(&bed.job, &err), 0);
    assert_int_equal(bed.waited, 7000);
    assert_int_equal(aws_mirror_look(&bed.job, &err), 0); /* it is believed */
    assert_int_equal(bed.waited, 7000);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_yet), cmocka_unit_test(test_explained),
        cmocka_unit_test(test_token),   cmocka_unit_test(test_bad_notes),
        cmocka_unit_test(test_in_use),  cmocka_unit_test(test_drift),
        cmocka_unit_test(test_twice),   cmocka_unit_test(test_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
