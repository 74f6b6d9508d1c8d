/* Credentials that expire: the container's agent and the metadata service, and what is fetched
 * anew. */
#include "cloud/aws_home_bed.h"

static const struct aws_options none;

static void test_container(void **state)
{
    static const char *const others[] = {"http://169.254.169.254/x",
                                         "http://example.com/x",
                                         "http://127.0.0.1.example.com/x",
                                         "ftp://127.0.0.1/",
                                         "http://localhost@example.com/",
                                         "http://[::2]/x",
                                         "file:///etc/passwd",
                                         "http://"};
    static const char *const good[] = {
        "https://example.com/x",   "http://169.254.170.2/x", "http://169.254.170.23:80/x",
        "http://[fd00:ec2::23]/x", "http://[::1]:8080/x",    "http://127.9.9.9",
        "HTTP://LOCALHOST"};
    struct home home;
    char pair[160];
    struct bed *bed = started(&home, NULL, NULL);
    (void)state;
    bed_env(bed, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "/creds?x=1");
    bed_put(bed, "AWS_CONTAINER_AUTHORIZATION_TOKEN=Basic abc");
    bed_rule(bed, (struct bed_rule){.when = {"GET /creds"}, .status = 429, .body = ""});
    check_refused(bed, &none, -ENOKEY, "HTTP 429");
    assert_int_equal(bed->n_asked, 3);
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.when = {"GET /creds"}, .status = 503, .body = "", .times = 2});
    bed_rule(bed, (struct bed_rule){.when = {"GET /creds?x=1 HTTP", "Authorization: Basic abc\r\n"},
                                    .status = 200,
                                    .body = CREDENTIALS_JSON("ASCON", LATER)});
    check(bed, &none, "ASCON", "the container's agent");
    (void)snprintf(pair, sizeof pair, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=%s/token", home.aws);
    bed_put(bed, pair);
    check_refused(bed, &none, -ENOENT, "/token");
    home_file(&home, "token", "from-file\n");
    check_refused(bed, &none, -ENOKEY, "HTTP 404");
    assert_true(bed_was_asked(bed, "Authorization: from-file\r\n"));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct err err = {{0}};
        if (aws_container_check(others[i], &err) != -EINVAL || !strstr(err.text, "FULL_URI"))
            fail_msg("%s", others[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct err err = {{0}};
        if (aws_container_check(good[i], &err) != 0)
            fail_msg("%s", good[i]);
    }
    bed_put(bed, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=no-slash");
    check_refused(bed, &none, -EINVAL, "slash");
    stopped(bed, &home);
}

static void put_instance(struct bed *bed, const char *first, const char *second)
{
    bed_rule(bed, (struct bed_rule){.when = {"PUT /latest/api/token ",
                                             "X-aws-ec2-metadata-token-ttl-seconds: 21600"},
                                    .status = 200,
                                    .body = "imds-token"});
    bed_rule(bed, (struct bed_rule){.when = {"GET /latest/meta-data/iam/security-credentials/ ",
                                             "X-aws-ec2-metadata-token: imds-token\r\n"},
                                    .status = 200,
                                    .body = "the-role\n"});
    bed_rule(bed,
             (struct bed_rule){.when = {"GET /latest/meta-data/iam/security-credentials/the-role ",
                                        "X-aws-ec2-metadata-token: imds-token\r\n"},
                               .status = 200,
                               .body = first,
                               .times = second ? 1 : 0});
    if (second)
        bed_rule(bed, (struct bed_rule){
                          .when = {"GET /latest/meta-data/iam/security-credentials/the-role "},
                          .status = 200,
                          .body = second});
    bed_rule(bed, (struct bed_rule){.when = {"GET /latest/dynamic/instance-identity/document ",
                                             "X-aws-ec2-metadata-token: imds-token\r\n"},
                                    .status = 200,
                                    .body = "{\"region\": \"ap-south-2\"}"});
}

static void test_instance(void **state)
{
    struct home home;
    struct bed *bed = started(&home, NULL, NULL);
    struct aws *aws;
    struct err err = {{0}};
    struct text text;
    (void)state;
    bed_put(bed, "AWS_EC2_METADATA_DISABLED=false");
    bed_env(bed, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "/");
    bed_put(bed, "AWS_REGION=");
    put_instance(bed, CREDENTIALS_JSON("ASINST", LATER), NULL);
    check(bed, &none, "ASINST", "the instance's role the-role");
    assert_true(bed_was_asked(bed, "/ap-south-2/ec2/aws4_request"));
    assert_int_equal(bed_open(bed, &none, &aws, &err), 0);
    text_init(&text, 1000);
    assert_int_equal(aws_metadata(aws, "meta-data/none", &text, &err), -ENOENT);
    assert_int_equal(aws_metadata(aws, "dynamic/instance-identity/document", &text, &err), 0);
    assert_non_null(strstr(text.at, "ap-south-2"));
    text_done(&text);
    aws_close(aws);
    bed_put(bed, "AWS_REGION=eu-west-1");
    /* A role without credentials, no role, no version 2, off. */
    bed_fresh(bed);
    put_instance(bed, "{\"Code\": \"AssumeRoleUnauthorizedAccess\"}", NULL);
    check_refused(bed, &none, -ENOKEY, "AssumeRoleUnauthorizedAccess");
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.when = {"PUT"}, .status = 200, .body = "imds-token"});
    check_refused(bed, &none, -ENOKEY, "the instance has no role");
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.when = {"GET"}, .status = 200, .body = "v1"});
    check_refused(bed, &none, -ENOKEY, "no token of version 2 (HTTP 404)");
    assert_false(bed_was_asked(bed, "GET "));
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 403, .body = ""});
    check_refused(bed, &none, -ENOKEY, "metadata service is off");
    bed_put(bed, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:1");
    check_refused(bed, &none, -ENOKEY, "this is no EC2 instance");
    /* Something that takes the connection and never answers. */
    int deaf = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    char pair[120];
    assert_int_equal(bind(deaf, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(deaf, 4), 0);
    assert_int_equal(getsockname(deaf, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(pair, sizeof pair, "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:%u",
                   ntohs(at.sin_port));
    bed_put(bed, pair);
    check_refused(bed, &none, -ENOKEY, "hop limit");
    close(deaf);
    stopped(bed, &home);
}

static void call(struct aws *aws, int expected)
{
    struct err err = {{0}};
    json_t *out = NULL;
    int result = aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err);
    if (result != expected)
        fail_msg("%d: %s", result, err.text);
    json_decref(out);
}

static void test_renewal(void **state)
{
    struct home home;
    struct bed *bed = started(&home, NULL, NULL);
    struct aws *aws;
    struct err err = {{0}};
    (void)state;
    bed_put(bed, "AWS_EC2_METADATA_DISABLED=false");
    bed_env(bed, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
    put_instance(bed, CREDENTIALS_JSON("ASFIRST", SOONER), CREDENTIALS_JSON("ASSECOND", LATER));
    bed_rule(bed, (struct bed_rule){
                      .when = {"DescribeVpcs", "Credential=ASFIRST/20150830/eu-west-1/ec2/"},
                      .status = 200,
                      .body = "<a/>",
                      .times = 2});
    bed_rule(bed, (struct bed_rule){
                      .when = {"DescribeVpcs", "Credential=ASSECOND/20150830/eu-west-1/ec2/"},
                      .status = 200,
                      .body = "<a/>"});
    assert_int_equal(bed_open(bed, &none, &aws, &err), 0);
    call(aws, 0);
    bed->now += 54 * 60 * NS; /* six minutes left */
    call(aws, 0);
    bed->now += 90 * NS; /* four and a half: time to fetch others */
    call(aws, 0);
    aws_close(aws);
    /* Whoever gives them is away: what is there is used as long as it is good. */
    bed->now = BED_NOW;
    bed_fresh(bed);
    put_instance(bed, CREDENTIALS_JSON("ASFIRST", SOONER), "{}");
    bed_rule(bed,
             (struct bed_rule){.when = {"Credential=ASFIRST/"}, .status = 200, .body = "<a/>"});
    assert_int_equal(bed_open(bed, &none, &aws, &err), 0);
    bed->now += 58 * 60 * NS;
    call(aws, 0);
    bed->now += 3 * 60 * NS;
    call(aws, -EPROTO);
    aws_close(aws);
    stopped(bed, &home);
}

/* AWS says that they are over, whatever their date says. */
static void test_expired(void **state)
{
    struct home home;
    struct bed *bed = started(
        &home, NULL, "[web]\naws_access_key_id = AKWEB\naws_secret_access_key = secret-word\n");
    struct aws *aws;
    struct err err = {{0}};
    struct cloud_refusal refusal;
    json_t *out;
    (void)state;
    bed_put(bed, "AWS_EC2_METADATA_DISABLED=false");
    bed_env(bed, "AWS_EC2_METADATA_SERVICE_ENDPOINT", "");
    /* A file's: read again, as a tool may have signed in anew. */
    bed_rule(bed, (struct bed_rule){.when = {"Credential=AKWEB/"}, .status = 400, .body = EXPIRED});
    bed_rule(bed, (struct bed_rule){.when = {"Credential=AKNEW/"}, .status = 200, .body = "<a/>"});
    assert_int_equal(bed_open(bed, &(struct aws_options){.profile = "web"}, &aws, &err), 0);
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err),
                     -EKEYEXPIRED);
    assert_string_equal(refusal.code, "ExpiredToken");
    assert_int_equal(bed->n_asked, 2);
    home_file(&home, "credentials",
              "[web]\naws_access_key_id = AKNEW\naws_secret_access_key = secret-word\n");
    call(aws, 0);
    aws_close(aws);
    /* The environment's never change. */
    bed_fresh(bed);
    bed_put(bed, "AWS_ACCESS_KEY_ID=AKENV");
    bed_put(bed, "AWS_SECRET_ACCESS_KEY=secret-word");
    bed_rule(bed, (struct bed_rule){.status = 400, .body = EXPIRED});
    assert_int_equal(bed_open(bed, &none, &aws, &err), 0);
    assert_int_equal(aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, &refusal, &err),
                     -EKEYEXPIRED);
    assert_string_equal(refusal.code, "ExpiredToken");
    assert_int_equal(bed->n_asked, 1);
    aws_close(aws);
    bed_put(bed, "AWS_ACCESS_KEY_ID=");
    home_file(&home, "credentials", "");
    bed_fresh(bed);
    put_instance(bed, CREDENTIALS_JSON("ASFIRST", LATER), CREDENTIALS_JSON("ASSECOND", LATER));
    bed_rule(bed,
             (struct bed_rule){.when = {"Credential=ASFIRST/"}, .status = 400, .body = EXPIRED});
    bed_rule(bed,
             (struct bed_rule){.when = {"Credential=ASSECOND/"}, .status = 200, .body = "<a/>"});
    assert_int_equal(bed_open(bed, &none, &aws, &err), 0);
    call(aws, 0);
    aws_close(aws);
    stopped(bed, &home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_instance),
        cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
