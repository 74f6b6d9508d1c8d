/* Calls against a server that answers by rules: what is sent, what is asked again, what is read. */
#include <errno.h>

#include "cloud/aws_bed.h"

#define KEYS_ID     "AWS_ACCESS_KEY_ID=AKIDEXAMPLE"
#define KEYS_SECRET "AWS_SECRET_ACCESS_KEY=secret-word"
#define REFUSAL(code, message)                                                                     \
    "<?xml version=\"1.0\"?><Response><Errors><Error><Code>" code "</Code><Message>" message       \
    "</Message></Error></Errors><RequestID>r</RequestID></Response>"

static struct aws *opened(struct bed *bed)
{
    struct aws *aws = NULL;
    struct err err = {{0}};
    bed_put(bed, KEYS_ID);
    bed_put(bed, KEYS_SECRET);
    bed_put(bed, "AWS_REGION=eu-west-1");
    if (bed_open(bed, &(struct aws_options){0}, &aws, &err) < 0)
        fail_msg("%s", err.text);
    return aws;
}

static void test_call(void **state)
{
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    struct err err = {{0}};
    json_t *out = NULL;
    (void)state;
    bed_rule(bed, (struct bed_rule){
                      .when = {"POST / HTTP/1.1",
                               "Action=DescribeVpcs&Version=2016-11-15&"
                               "Filter.1.Name=tag%3Aa+b&Filter.1.Value.1=%C3%A9",
                               "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/"
                               "eu-west-1/ec2/aws4_request, SignedHeaders=content-type;host;"
                               "x-amz-date, Signature=",
                               "X-Amz-Date: 20150830T123600Z"},
                      .status = 200,
                      .body = "<R xmlns=\"x\"><requestId>1</requestId><vpcSet><item><vpcId>v&amp;1"
                              "</vpcId><tagSet/><cidr>::/0</cidr></item></vpcSet></R>"});
    json_t *asked = json_pack("{s:[{s:s, s:[s]}]}", "Filter", "Name", "tag:a b", "Value", "\u00e9");
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", asked, &out, NULL, &err), 0);
    json_t *expected = json_pack("{s:s, s:[{s:s, s:n, s:s}]}", "requestId", "1", "vpcSet", "vpcId",
                                 "v&1", "tagSet", "cidr", "::/0");
    assert_true(json_equal(out, expected));
    assert_int_equal(bed->n_waits, 0);
    assert_string_equal(aws_region(aws), "eu-west-1");
    assert_string_equal(aws_origin(aws), "the environment");
    assert_null(strstr(bed->traced.at, "secret"));
    json_decref(out);
    json_decref(asked);
    json_decref(expected);
    assert_int_equal(aws_call(aws, "s3", "List", NULL, &out, NULL, &err), -EINVAL);
    aws_close(aws);
    bed_stop(bed);
}

static void test_other_services(void **state)
{
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    struct err err = {{0}};
    json_t *out = NULL;
    (void)state;
    bed_rule(bed,
             (struct bed_rule){
                 .when = {"Action=DescribeTargetGroups&Version=2015-12-01&Names.member.1=a&"
                          "Names.member.2=b&Empty=",
                          "/elasticloadbalancing/aws4_request"},
                 .status = 200,
                 .body = "<A><B><TargetGroups><member><P>1</P></member></TargetGroups></B></A>"});
    bed_rule(bed,
             (struct bed_rule){
                 .when = {"X-Amz-Target: com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
                          ".LookupEvents",
                          "Content-Type: application/x-amz-json-1.1", "{\"MaxResults\":5}",
                          "/cloudtrail/aws4_request"},
                 .status = 200,
                 .body = "{\"Events\": []}"});
    json_t *asked = json_pack("{s:[s,s], s:[]}", "Names", "a", "b", "Empty");
    assert_int_equal(
        aws_call(aws, "elasticloadbalancing", "DescribeTargetGroups", asked, &out, NULL, &err), 0);
    json_t *groups = json_object_get(json_object_get(out, "B"), "TargetGroups");
    assert_int_equal(json_array_size(groups), 1);
    json_decref(out);
    json_decref(asked);
    asked = json_pack("{s:i}", "MaxResults", 5);
    assert_int_equal(aws_call(aws, "cloudtrail", "LookupEvents", asked, &out, NULL, &err), 0);
    assert_true(json_is_array(json_object_get(out, "Events")));
    json_decref(out);
    json_decref(asked);
    aws_close(aws);
    bed_stop(bed);
}

static void test_refusals(void **state)
{
    static const struct {
        int status;
        const char *body;
        int result;
        const char *code, *says;
    } refusals[] = {
        {400, REFUSAL("InvalidVpcID.NotFound", "gone"), -ENOENT, "InvalidVpcID.NotFound",
         "ec2: DescribeVpcs: InvalidVpcID.NotFound: gone"},
        {403, REFUSAL("UnauthorizedOperation", "no."), -EACCES, "UnauthorizedOperation",
         "no; the identity needs this action in its IAM"},
        {400, REFUSAL("TrafficMirrorSessionsPerInterfaceLimitExceeded", "3"), -EDQUOT,
         "TrafficMirrorSessionsPerInterfaceLimitExceeded", "3"},
        {400, REFUSAL("TrafficMirrorFilterRuleAlreadyExists", ""), -EEXIST,
         "TrafficMirrorFilterRuleAlreadyExists", "HTTP 400"},
        {400, REFUSAL("TrafficMirrorFilterInUse", "x"), -EBUSY, "TrafficMirrorFilterInUse", "x"},
        {400, REFUSAL("TrafficMirrorTargetInUseException", "x"), -EBUSY,
         "TrafficMirrorTargetInUseException", "x"},
        {400, REFUSAL("DependencyViolation", "x"), -EBUSY, "DependencyViolation", "x"},
        {400, REFUSAL("InvalidParameterValue", "t2.micro is not supported as a source"),
         -EOPNOTSUPP, "InvalidParameterValue", "t2"},
        {400, REFUSAL("InvalidParameterValue", "x"), -EINVAL, "InvalidParameterValue", "x"},
        {401, REFUSAL("AuthFailure", "x"), -EACCES, "AuthFailure", "region"},
        {400,
         "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>m"
         "</Message></Error><RequestId>r</RequestId></ErrorResponse>",
         -EACCES, "AccessDenied", "m"},
        {400, "{\"__type\":\"a.b#InvalidX\",\"Message\":\"m\"}", -EINVAL, "InvalidX", "m"},
        {407, "<html><p>proxy</html>", -EIO, "", "proxy"},
        {404, "", -ENOENT, "", "endpoint"},
        {418, "teapot", -EIO, "", "418"},
    };
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        struct err err = {{0}};
        struct cloud_refusal refusal;
        json_t *out;
        bed_fresh(bed);
        bed_rule(bed, (struct bed_rule){.status = refusals[i].status, .body = refusals[i].body});
        int result = aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err);
        if (result != refusals[i].result || strcmp(refusal.code, refusals[i].code) != 0 ||
            !strstr(err.text, refusals[i].says) || refusal.status != refusals[i].status)
            fail_msg("%zu: %d %s: %s", i, result, refusal.code, err.text);
        assert_int_equal(bed->n_asked, 1);
        assert_null(out);
    }
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 412, .body = REFUSAL("DryRunOperation", "would")});
    json_t *out;
    struct err err;
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err), 0);
    assert_int_equal(json_object_size(out), 0);
    json_decref(out);
    aws_close(aws);
    bed_stop(bed);
}

static void test_again(void **state)
{
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    struct err err = {{0}};
    struct cloud_refusal refusal;
    json_t *out;
    (void)state;
    bed_rule(bed, (struct bed_rule){.status = 503,
                                    .body = REFUSAL("RequestLimitExceeded", "slowly"),
                                    .times = 2});
    bed_rule(bed, (struct bed_rule){.status = 500, .body = "", .times = 1});
    bed_rule(bed, (struct bed_rule){.when = {"ClientToken=one"}, .status = 200, .body = "<a/>"});
    json_t *asked = json_pack("{s:s}", "ClientToken", "one");
    assert_int_equal(aws_call(aws, "ec2", "CreateTrafficMirrorFilter", asked, &out, &refusal, &err),
                     0);
    json_decref(out);
    json_decref(asked);
    assert_int_equal(bed->n_asked, 4);
    assert_true(bed->n_waits >= 3);
    bed_fresh(bed);
    bed_rule(bed,
             (struct bed_rule){.status = 503, .body = REFUSAL("RequestLimitExceeded", "slowly")});
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err), -EAGAIN);
    assert_string_equal(refusal.code, "RequestLimitExceeded");
    assert_true(bed->n_asked > 3);
    aws_close(aws);
    bed_stop(bed);
}

/* Two hours behind: AWS says so, and its Date puts it right; also for the calls after that. */
static void test_clock(void **state)
{
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    struct err err = {{0}};
    struct cloud_refusal refusal;
    json_t *out;
    (void)state;
    bed->now = BED_NOW - 7200 * INT64_C(1000000000);
    bed_rule(bed, (struct bed_rule){
                      .when = {"X-Amz-Date: 20150830T123600Z"}, .status = 200, .body = "<a/>"});
    bed_rule(bed, (struct bed_rule){
                      .status = 400, .body = REFUSAL("RequestExpired", "x"), .headers = BED_DATE});
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err), 0);
    json_decref(out);
    assert_int_equal(bed->n_asked, 2);
    assert_non_null(strstr(bed->traced.at, "clock is 7200 s behind"));
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err), 0);
    json_decref(out);
    assert_int_equal(bed->n_asked, 3);
    /* And an hour ahead, all at once. */
    bed->now += 3 * 3600 * INT64_C(1000000000);
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err), 0);
    json_decref(out);
    assert_int_equal(bed->n_asked, 5);
    assert_non_null(strstr(bed->traced.at, "clock is 3600 s ahead of"));
    /* Right, and refused all the same: once more at most, and the code is told. */
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 403,
                                    .body = REFUSAL("SignatureDoesNotMatch", "x"),
                                    .headers = BED_DATE});
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err), -EACCES);
    assert_int_equal(bed->n_asked, 1);
    aws_close(aws);
    bed_stop(bed);
}

static void test_pages(void **state)
{
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    struct err err = {{0}};
    json_t *out;
    (void)state;
    bed_rule(bed, (struct bed_rule){.when = {"NextToken=a%2F%3D", "MaxResults=1000"},
                                    .status = 200,
                                    .body = "<r><s/><nextToken>b</nextToken></r>"});
    bed_rule(bed, (struct bed_rule){.when = {"NextToken=b"},
                                    .status = 200,
                                    .body = "<r><s><item>3</item></s><nextToken/></r>"});
    bed_rule(bed, (struct bed_rule){.status = 200,
                                    .body = "<r><s><item>1</item><item>2</item></s>"
                                            "<nextToken>a/=</nextToken></r>"});
    assert_int_equal(aws_ec2_all(aws, "DescribeVpcs", NULL, "s", &out, NULL, &err), 0);
    json_t *expected = json_pack("[s,s,s]", "1", "2", "3");
    assert_true(json_equal(out, expected));
    json_decref(out);
    json_decref(expected);
    assert_int_equal(bed->n_asked, 3);
    /* Told the ids, EC2 wants no size of pages. */
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.when = {"MaxResults"}, .status = 400, .body = ""});
    bed_rule(bed, (struct bed_rule){.status = 200, .body = "<r><x>1</x></r>"});
    json_t *asked = json_pack("{s:[s]}", "VpcId", "v");
    assert_int_equal(aws_ec2_all(aws, "DescribeVpcs", asked, "s", &out, NULL, &err), 0);
    assert_int_equal(json_array_size(out), 0);
    json_decref(out);
    json_decref(asked);
    /* The same token for ever. */
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 200, .body = "<r><s/><nextToken>a</nextToken></r>"});
    assert_int_equal(aws_ec2_all(aws, "DescribeVpcs", NULL, "s", &out, NULL, &err), -EPROTO);
    assert_null(out);
    assert_int_equal(bed->n_asked, 2);
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 200, .body = "<r><s>text</s></r>"});
    assert_int_equal(aws_ec2_all(aws, "DescribeVpcs", NULL, "s", &out, NULL, &err), -EPROTO);
    aws_close(aws);
    bed_stop(bed);
}

static void test_no_xml(void **state)
{
    static const char *const bodies[] = {
        "", "text", "<a>", "<a></b>", "<!DOCTYPE a><a/>", "<a>&x;</a>", "<a/><b/>"};
    struct bed *bed = bed_start();
    struct aws *aws = opened(bed);
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct err err = {{0}};
        json_t *out;
        bed_fresh(bed);
        bed_rule(bed, (struct bed_rule){.status = 200, .body = bodies[i]});
        assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err), -EPROTO);
        assert_non_null(strstr(err.text, "DescribeVpcs"));
    }
    aws_close(aws);
    bed_stop(bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_call),     cmocka_unit_test(test_other_services),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_again),
        cmocka_unit_test(test_clock),    cmocka_unit_test(test_pages),
        cmocka_unit_test(test_no_xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
