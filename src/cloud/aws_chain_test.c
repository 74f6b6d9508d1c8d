/* Where credentials come from: each place, their order, what is refused, what is fetched anew. */

#include "base/hash.h"
#include "cloud/aws_home_bed.h"

static const struct aws_options none;

static const char keys_file[] = "[default]\n"
                                "aws_access_key_id = AKDEFAULT\n"
                                "aws_secret_access_key = secret-word\n"
                                "[web]\n"
                                "AWS_ACCESS_KEY_ID=AKWEB\n"
                                "aws_secret_access_key: secret-word\n"
                                "aws_session_token = tok\n"
                                "[half]\n"
                                "aws_access_key_id = AKHALF\n";

static void test_static(void **state)
{
    struct home home;
    struct bed *bed = started(&home,
                              "[profile conf]\naws_access_key_id = AKCONF\n"
                              "aws_secret_access_key = secret-word\n"
                              "[web2]\naws_access_key_id=AKNOT\n",
                              keys_file);
    (void)state;
    check(bed, &none, "AKDEFAULT", "profile default of /tmp/aws_chain_test.");
    check(bed, &(struct aws_options){.profile = "web"}, "AKWEB", "profile web of");
    assert_true(bed_was_asked(bed, "X-Amz-Security-Token: tok\r\n"));
    bed_put(bed, "AWS_DEFAULT_PROFILE=conf");
    check(bed, &none, "AKCONF", "/.aws/config");
    bed_put(bed, "AWS_PROFILE=web");
    check(bed, &none, "AKWEB", "profile web");
    bed_put(bed, "AWS_ACCESS_KEY_ID=AKENV");
    check_refused(bed, &none, -ENOKEY, "AWS_SECRET_ACCESS_KEY is not");
    bed_put(bed, "AWS_SECRET_ACCESS_KEY=secret-word");
    check(bed, &none, "AKENV", "the environment");
    check(bed, &(struct aws_options){.profile = "default"}, "AKDEFAULT", "profile default");
    check_refused(bed, &(struct aws_options){.profile = "half"}, -ENOKEY,
                  "no aws_secret_access_key");
    check_refused(bed, &(struct aws_options){.profile = "gone"}, -ENOKEY, "profile gone: neither");
    check_refused(bed, &(struct aws_options){.profile = "web2"}, -ENOKEY, "profile web2: neither");
    /* Others may read it: said where the credentials come from. */
    char path[256];
    (void)snprintf(path, sizeof path, "%s/credentials", home.aws);
    assert_int_equal(chmod(path, 0644), 0);
    check(bed, &(struct aws_options){.profile = "web"}, "AKWEB", "others may read");
    stopped(bed, &home);
}

static void test_nothing(void **state)
{
    struct home home;
    struct bed *bed = started(&home, NULL, NULL);
    (void)state;
    check_refused(bed, &none, -ENOKEY, "AWS_EC2_METADATA_DISABLED");
    check_refused(bed, &none, -ENOKEY, "AWS_ACCESS_KEY_ID");
    check_refused(bed, &none, -ENOKEY, "/.aws/credentials");
    bed_put(bed, "AWS_REGION=");
    check_refused(bed, &none, -ENOKEY, "no region");
    bed_put(bed, "AWS_REGION=eu west");
    check_refused(bed, &none, -EINVAL, "region");
    assert_int_equal(bed->n_asked, 0);
    stopped(bed, &home);
}

static const char roles_file[] =
    "[profile lender]\naws_access_key_id = AKLENDER\naws_secret_access_key = secret-word\n"
    "[profile one]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = lender\n"
    "external_id = ext\nduration_seconds = 3600\nrole_session_name = me\n"
    "s3 =\n  max_concurrent_requests = 5\n  endpoint_url = http://no\n"
    "[profile two]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = one\n"
    "[profile self]\nrole_arn = arn:aws:iam::1:role/self\nsource_profile = self\n"
    "aws_access_key_id = AKSELF\naws_secret_access_key = secret-word\n"
    "[profile a]\nrole_arn = x\nsource_profile = b\n"
    "[profile b]\nrole_arn = x\nsource_profile = a\n"
    "[profile c]\nrole_arn = x\nsource_profile = c\n"
    "[profile mfa]\nrole_arn = x\nsource_profile = lender\nmfa_serial = arn:m\n"
    "[profile both]\nrole_arn = x\nsource_profile = lender\ncredential_source = Environment\n"
    "[profile neither]\nrole_arn = x\n"
    "[profile gone]\nrole_arn = x\nsource_profile = nobody\n"
    "[profile empty]\nrole_arn = x\nsource_profile = nothing\n"
    "[profile nothing]\nregion = x\n"
    "[profile env]\nrole_arn = arn:aws:iam::1:role/env\ncredential_source = Environment\n"
    "[profile odd]\nrole_arn = x\ncredential_source = Elsewhere\n"
    "[profile long]\nrole_arn = x\nsource_profile = lender\nduration_seconds = 5\n";

static void test_roles(void **state)
{
    struct home home;
    struct bed *bed = started(&home, roles_file, NULL);
    (void)state;
    bed_rule(bed, (struct bed_rule){
                      .when = {"Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1"
                               "%3Arole%2Fone&RoleSessionName=me&ExternalId=ext&"
                               "DurationSeconds=3600",
                               "Credential=AKLENDER/20150830/eu-west-1/sts/aws4_request"},
                      .status = 200,
                      .body = CREDENTIALS_XML("AssumeRole", "ASONE", LATER)});
    bed_rule(bed, (struct bed_rule){
                      .when = {"role%2Ftwo&RoleSessionName=cloudspan", "Credential=ASONE/"},
                      .status = 200,
                      .body = CREDENTIALS_XML("AssumeRole", "ASTWO", LATER)});
    bed_rule(bed, (struct bed_rule){.when = {"role%2Fself", "Credential=AKSELF/"},
                                    .status = 200,
                                    .body = CREDENTIALS_XML("AssumeRole", "ASSELF", LATER)});
    bed_rule(bed, (struct bed_rule){.when = {"role%2Fenv", "Credential=AKENV/"},
                                    .status = 200,
                                    .body = CREDENTIALS_XML("AssumeRole", "ASENV", LATER)});
    bed_rule(bed, (struct bed_rule){.when = {"role%2Foption", "Credential=ASONE/"},
                                    .status = 200,
                                    .body = CREDENTIALS_XML("AssumeRole", "ASOPT", LATER)});
    check(bed, &(struct aws_options){.profile = "one"}, "ASONE", "role arn:aws:iam::1:role/one");
    assert_true(bed_was_asked(bed, "X-Amz-Security-Token: t-ASONE\r\n"));
    check(bed, &(struct aws_options){.profile = "two"}, "ASTWO", "profile two");
    check(bed, &(struct aws_options){.profile = "self"}, "ASSELF", "profile self");
    check(bed, &(struct aws_options){.profile = "one", .role = "arn:aws:iam::1:role/option"},
          "ASOPT", "role/option by role arn");
    check_refused(bed, &(struct aws_options){.profile = "a"}, -ELOOP, "leads back to a");
    check_refused(bed, &(struct aws_options){.profile = "c"}, -ELOOP, "leads back to c");
    check_refused(bed, &(struct aws_options){.profile = "mfa"}, -EACCES, "export-credentials");
    check_refused(bed, &(struct aws_options){.profile = "both"}, -EINVAL, "both source_profile");
    check_refused(bed, &(struct aws_options){.profile = "neither"}, -ENOKEY, "source_profile or");
    check_refused(bed, &(struct aws_options){.profile = "gone"}, -ENOKEY, "nobody is not there");
    check_refused(bed, &(struct aws_options){.profile = "empty"}, -ENOKEY, "has no credentials");
    check_refused(bed, &(struct aws_options){.profile = "odd"}, -EINVAL, "none of Environment");
    check_refused(bed, &(struct aws_options){.profile = "long"}, -EINVAL, "duration_seconds");
    check_refused(bed, &(struct aws_options){.profile = "env"}, -ENOKEY, "there are none");
    bed_put(bed, "AWS_ACCESS_KEY_ID=AKENV");
    bed_put(bed, "AWS_SECRET_ACCESS_KEY=secret-word");
    check(bed, &(struct aws_options){.profile = "env"}, "ASENV", "profile env");
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.when = {"AssumeRole"},
                                    .status = 403,
                                    .body = "<ErrorResponse><Error><Code>AccessDenied</Code>"
                                            "<Message>not you</Message></Error></ErrorResponse>"});
    check_refused(bed, &(struct aws_options){.profile = "one"}, -EACCES,
                  "credentials of role arn:aws:iam::1:role/one of profile one: sts: AssumeRole: "
                  "AccessDenied: not you; the role's trust policy");
    stopped(bed, &home);
}

static void test_web_identity(void **state)
{
    struct home home;
    char pair[160];
    struct bed *bed = started(
        &home, "[default]\nrole_arn = arn:p\nweb_identity_token_file = /nonexistent/token\n", NULL);
    (void)state;
    (void)snprintf(pair, sizeof pair, "AWS_WEB_IDENTITY_TOKEN_FILE=%s/token", home.aws);
    home_file(&home, "token", "web.identity-token\n");
    bed_rule(bed,
             (struct bed_rule){
                 .when = {"Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Ae&"
                          "RoleSessionName=cloudspan&WebIdentityToken=web.identity-token"},
                 .status = 200,
                 .body = CREDENTIALS_XML("AssumeRoleWithWebIdentity", "ASWEB", LATER)});
    check_refused(bed, &none, -ENOENT, "/nonexistent/token");
    bed_put(bed, pair);
    bed_put(bed, "AWS_ROLE_ARN=arn:e");
    check(bed, &none, "ASWEB", "web identity of the environment");
    pthread_mutex_lock(&bed->lock);
    const char *end = strstr(bed->asked.at, "\n----\n");
    const char *signature = strstr(bed->asked.at, "Authorization");
    assert_true(!signature || signature > end); /* it has nothing to sign with */
    pthread_mutex_unlock(&bed->lock);
    check_refused(bed, &(struct aws_options){.profile = "default"}, -ENOENT, "/nonexistent/token");
    home_file(&home, "token", "\n");
    check_refused(bed, &none, -ENOKEY, "no token");
    stopped(bed, &home);
}

/* What is in the file, and that nobody else may read it. */
static void check_kept(const struct home *home, const char *name, const char *expected)
{
    char path[512];
    struct stat facts;
    (void)snprintf(path, sizeof path, "%s/%s", home->aws, name);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    json_t *kept = json_load_file(path, 0, NULL), *wanted = json_loads(expected, 0, NULL);
    assert_non_null(wanted);
    if (!json_equal(kept, wanted))
        fail_msg("%s", json_dumps(kept, 0));
    json_decref(kept);
    json_decref(wanted);
}

static void test_sso(void **state)
{
    struct home home;
    char path[128], hex[40];
    uint8_t digest[HASH_SHA1_SIZE];
    struct bed *bed = started(&home,
                              "[profile s]\nsso_session = corp\nsso_account_id = 12\n"
                              "sso_role_name = a b\n"
                              "[sso-session corp]\nsso_region = us-east-1\n"
                              "sso_start_url = https://x\n"
                              "[profile old]\nsso_start_url = https://x\nsso_region = us-east-1\n"
                              "sso_account_id = 12\nsso_role_name = r\n"
                              "[profile half]\nsso_account_id = 12\n"
                              "[profile none]\nsso_session = nocorp\nsso_account_id = 12\n"
                              "sso_role_name = r\n",
                              NULL);
    (void)state;
    check_refused(bed, &(struct aws_options){.profile = "s"}, -EKEYEXPIRED,
                  "aws sso login --sso-session corp");
    check_refused(bed, &(struct aws_options){.profile = "old"}, -EKEYEXPIRED,
                  "aws sso login --profile old");
    check_refused(bed, &(struct aws_options){.profile = "half"}, -ENOKEY, "sso_role_name");
    check_refused(bed, &(struct aws_options){.profile = "none"}, -ENOKEY, "[sso-session nocorp]");
    (void)snprintf(path, sizeof path, "%s/sso", home.aws);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/sso/cache", home.aws);
    assert_int_equal(mkdir(path, 0700), 0);
    bed_rule(bed, (struct bed_rule){
                      .when = {"GET /federation/credentials?role_name=a%20b&account_id=12 ",
                               "x-amz-sso_bearer_token: sso-token\r\n"},
                      .status = 200,
                      .body = "{\"roleCredentials\": {\"accessKeyId\": \"ASSSO\", "
                              "\"secretAccessKey\": \"s\", \"sessionToken\": \"t\", "
                              "\"expiration\": 1440957360000}}"});
    hash_sha1("corp", 4, digest);
    hash_hex(digest, sizeof digest, hex);
    (void)snprintf(path, sizeof path, "sso/cache/%.40s.json", hex);
    home_file(&home, path, "{\"accessToken\": \"sso-token\", \"expiresAt\": \"" LATER "\"}");
    check(bed, &(struct aws_options){.profile = "s"}, "ASSSO", "sign-in (SSO) of profile s");
    home_file(&home, path,
              "{\"accessToken\": \"sso-token\", \"expiresAt\": \"2015-08-30T12:00:00UTC\"}");
    check_refused(bed, &(struct aws_options){.profile = "s"}, -EKEYEXPIRED, "the sign-in is over");
    /* A session's token is renewed before it is over, and kept; of an older sign-in it is not. */
#define SOON    "\"expiresAt\": \"2015-08-30T12:45:00Z\", \"startUrl\": \"https://x\", "
#define RENEWAL "\"clientId\": \"c\", \"clientSecret\": \"p\", \"refreshToken\": \"again\", "
    bed_rule(bed, (struct bed_rule){.when = {"POST /token ", "Content-Type: application/json\r\n",
                                             "\"clientId\":\"c\",\"clientSecret\":\"p\","
                                             "\"grantType\":\"refresh_token\","
                                             "\"refreshToken\":\"again\""},
                                    .times = 1,
                                    .status = 200,
                                    .body = "{\"accessToken\": \"sso-token\", \"expiresIn\": 3600, "
                                            "\"refreshToken\": \"next\"}"});
    home_file(&home, path,
              "{\"accessToken\": \"first\", " SOON RENEWAL "\"registrationExpiresAt\": \"" LATER
              "\"}");
    check(bed, &(struct aws_options){.profile = "s"}, "ASSSO", "sign-in (SSO) of profile s");
    check_kept(&home, path,
               "{\"accessToken\": \"sso-token\", \"expiresAt\": \"2015-08-30T13:36:00Z\", "
               "\"startUrl\": \"https://x\", \"clientId\": \"c\", \"clientSecret\": \"p\", "
               "\"refreshToken\": \"next\", \"registrationExpiresAt\": \"" LATER "\"}");
    /* Refused: what is not over is used. */
    bed_rule(bed, (struct bed_rule){.when = {"POST /token "},
                                    .status = 400,
                                    .body = "{\"error\": \"invalid_grant\"}"});
    home_file(&home, path,
              "{\"accessToken\": \"sso-token\", " SOON RENEWAL "\"registrationExpiresAt\": \"" LATER
              "\"}");
    check(bed, &(struct aws_options){.profile = "s"}, "ASSSO", "sign-in (SSO) of profile s");
    home_file(&home, path,
              "{\"accessToken\": \"sso-token\", \"expiresAt\": \"2015-08-30T12:00:00Z\", " RENEWAL
              "\"registrationExpiresAt\": \"" LATER "\"}");
    check_refused(bed, &(struct aws_options){.profile = "s"}, -EKEYEXPIRED,
                  "is over, and AWS does not renew it (400 invalid_grant): run `aws sso login");
    /* No registration that is good, no question. */
    bed_fresh(bed);
    home_file(&home, path,
              "{\"accessToken\": \"first\", \"expiresAt\": \"2015-08-30T12:00:00Z\", " RENEWAL
              "\"registrationExpiresAt\": \"2015-08-30T12:00:00Z\"}");
    check_refused(bed, &(struct aws_options){.profile = "s"}, -EKEYEXPIRED, "the sign-in is over:");
    home_file(&home, path, "{\"accessToken\": \"revoked\", \"expiresAt\": \"" LATER "\"}");
    bed_fresh(bed);
    bed_rule(bed, (struct bed_rule){.status = 401, .body = "{\"message\": \"x\"}"});
    check_refused(bed, &(struct aws_options){.profile = "s"}, -EKEYEXPIRED, "no longer takes");
    stopped(bed, &home);
}

static void test_process(void **state)
{
    static const struct {
        const char *program;
        int code;
        const char *says;
    } wrong[] = {
        {"#!/bin/sh\necho secret-word\n", -EPROTO, "no JSON"},
        {"#!/bin/sh\necho '{\"Version\": 2}'\n", -EPROTO, "\"Version\": 1"},
        {"#!/bin/sh\necho '{\"Version\": 1, \"SecretAccessKey\": \"secret-word\"}'\n", -EPROTO,
         "without AccessKeyId"},
        {"#!/bin/sh\necho no such vault >&2\nexit 3\n", -EACCES, "failed: no such vault"},
        {"#!/bin/sh\nexec head -c 1000000 /dev/zero\n", -EPROTO, "more than credentials"},
        {"", -ENOEXEC, "cannot be run"},
    };
    struct home home;
    char config[512], program[200];
    struct bed *bed = started(&home, NULL, NULL);
    (void)state;
    (void)snprintf(program, sizeof program, "%s/a program", home.aws);
    (void)snprintf(config, sizeof config,
                   "[default]\ncredential_process = \"%s\" 'one two' thr\\ ee \"\"\n", program);
    home_file(&home, "config", config);
    write_file(program,
               "#!/bin/sh\n[ $# = 3 ] && [ \"$1\" = 'one two' ] && [ \"$2\" = 'thr ee' ] && "
               "[ \"$3\" = '' ] || exit 1\n"
               "echo '{\"Version\": 1, \"AccessKeyId\": \"AKPROC\", \"SecretAccessKey\": \"s\", "
               "\"SessionToken\": \"t\", \"Expiration\": \"2015-08-30T18:36:00.123+02:00\"}'\n",
               0700);
    check(bed, &none, "AKPROC", "credential_process of profile default");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_file(program, wrong[i].program, 0700);
        check_refused(bed, &none, wrong[i].code, wrong[i].says);
    }
    home_file(&home, "config", "[default]\ncredential_process = \"open\n");
    check_refused(bed, &none, -EINVAL, "quotation mark");
    home_file(&home, "config", "[default]\ncredential_process = /nonexistent/program\n");
    check_refused(bed, &none, -ENOENT, "/nonexistent/program");
    stopped(bed, &home);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_static), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_roles),  cmocka_unit_test(test_web_identity),
        cmocka_unit_test(test_sso),    cmocka_unit_test(test_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
