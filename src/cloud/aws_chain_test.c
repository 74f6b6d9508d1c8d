/* Where credentials come from: each place, their order, what is refused, what is fetched anew. */
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "cloud/aws_bed.h"

#define NS INT64_C(1000000000)
#define CREDENTIALS_XML(action, id, expires)                                                       \
    "<" action "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><" action             \
    "Result><Credentials><AccessKeyId>" id "</AccessKeyId><SecretAccessKey>s-" id                  \
    "</SecretAccessKey><SessionToken>t-" id "</SessionToken><Expiration>" expires                  \
    "</Expiration></Credentials></" action "Result></" action "Response>"
#define CREDENTIALS_JSON(id, expires)                                                              \
    "{\"Code\": \"Success\", \"AccessKeyId\": \"" id "\", \"SecretAccessKey\": \"s-" id            \
    "\", \"Token\": \"t-" id "\", \"Expiration\": \"" expires "\"}"
#define EXPIRED                                                                                    \
    "<Response><Errors><Error><Code>ExpiredToken</Code><Message>m</Message></Error></Errors>"      \
    "</Response>"
#define LATER  "2015-08-30T18:36:00Z"
#define SOONER "2015-08-30T13:36:00+00:00"

/* A folder of its own as home. */
struct home {
    char path[64], aws[96];
    char pair[80];
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void home_file(const struct home *home, const char *name, const char *text)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", home->aws, name);
    write_file(path, text, 0600);
}

static struct bed *started(struct home *home, const char *config, const char *credentials)
{
    struct bed *bed = bed_start();
    (void)snprintf(home->path, sizeof home->path, "/tmp/aws_chain_test.XXXXXX");
    assert_non_null(mkdtemp(home->path));
    (void)snprintf(home->aws, sizeof home->aws, "%s/.aws", home->path);
    (void)snprintf(home->pair, sizeof home->pair, "HOME=%s", home->path);
    assert_int_equal(mkdir(home->aws, 0700), 0);
    if (config)
        home_file(home, "config", config);
    if (credentials)
        home_file(home, "credentials", credentials);
    bed_put(bed, home->pair);
    bed_put(bed, "AWS_REGION=eu-west-1");
    return bed;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *at)
{
    (void)facts;
    (void)type;
    (void)at;
    return remove(path);
}

static void stopped(struct bed *bed, const struct home *home)
{
    assert_int_equal(nftw(home->path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    bed_stop(bed);
}

/* Opens, and calls: the key's id that signs has to be `id`, and the place `origin`. */
static void check(struct bed *bed, const struct aws_options *options, const char *id,
                  const char *origin)
{
    struct aws *aws = NULL;
    struct err err = {{0}};
    char signs[160];
    json_t *out = NULL;
    if (bed_open(bed, options, &aws, &err) < 0)
        fail_msg("%s: %s", id, err.text);
    (void)snprintf(signs, sizeof signs, "Credential=%s/", id);
    bed_rule(bed, (struct bed_rule){
                      .when = {"Action=DescribeVpcs", signs}, .status = 200, .body = "<a/>"});
    if (aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err) < 0)
        fail_msg("%s: %s\n%s", id, err.text, bed->asked.at);
    if (!strstr(aws_origin(aws), origin))
        fail_msg("%s is not of %s", aws_origin(aws), origin);
    assert_null(strstr(aws_origin(aws), id));
    json_decref(out);
    aws_close(aws);
    assert_null(bed->traced.at ? strstr(bed->traced.at, id) : NULL);
}

static void check_refused(struct bed *bed, const struct aws_options *options, int code,
                          const char *says)
{
    struct aws *aws = NULL;
    struct err err = {{0}};
    json_t *out = NULL;
    int result = bed_open(bed, options, &aws, &err);
    if (result == 0)
        result = aws_call(aws, "ec2", "DescribeVpcs", NULL, &out, NULL, &err);
    if (result != code || !strstr(err.text, says))
        fail_msg("%d: %s", result, err.text);
    if (strstr(err.text, "secret-word"))
        fail_msg("a secret is told: %s", err.text);
    aws_close(aws);
}

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
                  "AccessDenied: not you");
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
    struct bed *bed = started(&home, NULL, keys_file);
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
        cmocka_unit_test(test_static),    cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_roles),     cmocka_unit_test(test_web_identity),
        cmocka_unit_test(test_sso),       cmocka_unit_test(test_process),
        cmocka_unit_test(test_container), cmocka_unit_test(test_instance),
        cmocka_unit_test(test_renewal),   cmocka_unit_test(test_expired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
