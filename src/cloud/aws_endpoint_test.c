/* The hosts of services, and who may put others in their place. */
#include <errno.h>

#include "cloud/aws_home_bed.h"

static const char config[] = "[default]\nservices = local\nendpoint_url = http://profile:1\n"
                             "[services local]\nec2 =\n  endpoint_url = http://service:2\n"
                             "[profile plain]\nuse_fips_endpoint = true\n"
                             "[profile off]\nendpoint_url = http://profile:1\n"
                             "ignore_configured_endpoint_urls = true\nmax_attempts = 3\n"
                             "[profile odd]\nendpoint_url = profile:1\n"
                             "[profile user]\nendpoint_url = http://a@b/\n"
                             "[profile region]\nregion = eu-central-1\n"
                             "[profile trust]\nca_bundle = /nonexistent/ca\n"
                             "[profile often]\nmax_attempts = often\n";

static void is(struct bed *bed, const char *profile, const char *endpoint, const char *service,
               const char *expected)
{
    const struct aws_options options = {
        .profile = profile, .region = "eu-west-1", .endpoint = endpoint};
    struct aws *aws = NULL;
    struct err err = {{0}};
    char url[sizeof err.text];
    bed_put(bed, "AWS_ACCESS_KEY_ID=A");
    bed_put(bed, "AWS_SECRET_ACCESS_KEY=s");
    int result = bed_open(bed, &options, &aws, &err);
    if (result == 0)
        result = aws_endpoint(aws, aws_service_of(service), "eu-west-1", url, sizeof url, &err);
    if (result < 0)
        (void)snprintf(url, sizeof url, "%s", err.text);
    if (!strstr(url, expected))
        fail_msg("%s: %s", expected, url);
    aws_close(aws);
    bed->n_env -= 2;
}

static void test_endpoints(void **state)
{
    struct home home;
    struct bed *bed = started(&home, config, NULL);
    (void)state;
    bed_put(bed, "AWS_ENDPOINT_URL=");
    is(bed, NULL, NULL, "ec2", "http://service:2/");
    is(bed, NULL, NULL, "sts", "http://profile:1/");
    bed_put(bed, "AWS_ENDPOINT_URL=http://all:3/");
    is(bed, NULL, NULL, "ec2", "http://all:3/");
    bed_put(bed, "AWS_ENDPOINT_URL_EC2=https://only");
    is(bed, NULL, NULL, "ec2", "https://only/");
    is(bed, NULL, NULL, "elasticloadbalancing", "http://all:3/");
    bed_put(bed, "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2=http://balancer");
    is(bed, NULL, NULL, "elasticloadbalancing", "http://balancer/");
    is(bed, NULL, "http://option", "ec2", "http://option/");
    bed_put(bed, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true");
    is(bed, NULL, NULL, "ec2", "https://ec2.eu-west-1.amazonaws.com/");
    is(bed, NULL, "http://option", "ec2", "http://option/");
    bed_put(bed, "AWS_USE_DUALSTACK_ENDPOINT=TRUE");
    is(bed, NULL, NULL, "ec2", "https://ec2.eu-west-1.api.aws/");
    is(bed, NULL, "option", "ec2", "no URL");
    is(bed, NULL, "http://", "ec2", "no URL");
    is(bed, NULL, "http://h/?q", "ec2", "no URL");
    is(bed, NULL, "ftp://h/", "ec2", "no URL");
    stopped(bed, &home);
}

static void profile_is(struct bed *bed, const char *profile, const char *expected)
{
    char own[64];
    (void)snprintf(own, sizeof own, "AWS_PROFILE=%s", profile);
    bed_put(bed, own);
    is(bed, NULL, NULL, "ec2", expected);
    bed->n_env--;
}

static void test_profiles(void **state)
{
    struct home home;
    struct bed *bed = started(&home, config, NULL);
    (void)state;
    bed_put(bed, "AWS_ENDPOINT_URL=");
    profile_is(bed, "plain", "https://ec2-fips.eu-west-1.amazonaws.com/");
    profile_is(bed, "off", "https://ec2.eu-west-1.amazonaws.com/");
    profile_is(bed, "odd", "no URL");
    profile_is(bed, "user", "no URL");
    profile_is(bed, "trust", "/nonexistent/ca (AWS_CA_BUNDLE");
    profile_is(bed, "often", "AWS_MAX_ATTEMPTS");
    stopped(bed, &home);
}

static void region_is(struct bed *bed, const char *option, const char *expected)
{
    const struct aws_options options = {.region = option};
    struct aws *aws = NULL;
    struct err err = {{0}};
    if (bed_open(bed, &options, &aws, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(aws_region(aws), expected);
    aws_close(aws);
}

static void test_regions(void **state)
{
    static const char *const wrong[] = {
        "-a",  "a-",  "a.b",      "a/b",
        "a b", "a\n", "\xc3\xa9", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ""};
    struct home home;
    struct bed *bed = started(&home, config, NULL);
    (void)state;
    bed_put(bed, "AWS_ACCESS_KEY_ID=A");
    bed_put(bed, "AWS_SECRET_ACCESS_KEY=s");
    bed_put(bed, "AWS_PROFILE=region");
    bed_put(bed, "AWS_REGION=");
    region_is(bed, NULL, "eu-central-1");
    bed_put(bed, "AWS_DEFAULT_REGION=eu-north-1");
    region_is(bed, NULL, "eu-north-1");
    bed_put(bed, "AWS_REGION=eu-south-1");
    region_is(bed, NULL, "eu-south-1");
    region_is(bed, "eu-west-3", "eu-west-3");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (aws_region_is_valid(wrong[i]))
            fail_msg("%s", wrong[i]);
    stopped(bed, &home);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: none */
    } times[] = {
        {"2015-08-30T12:36:00Z", 1440938160},
        {"2015-08-30T12:36:00UTC", 1440938160},
        {"2015-08-30T12:36:00.999999Z", 1440938160},
        {"2015-08-30T14:36:00+02:00", 1440938160},
        {"2015-08-30T07:06:00-0530", 1440938160},
        {"2015-08-30T12:36:00.5+00:00", 1440938160},
        {"2015-08-30T12:36:00", 0},
        {"2015-08-30T12:36:00+", 0},
        {"2015-08-30T12:36:00+1", 0},
        {"2015-08-30T12:36:00+01:", 0},
        {"9999-08-30T12:36:00Z", 0},
        {"", 0},
        {NULL, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        if (aws_time(times[i].text) != times[i].seconds * 1000000000)
            fail_msg("%s", times[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
