/* Keystone: what is asked for a token, by which credentials, from which files; the catalogue;
 * tokens that end. Bodies are in the form of the Identity API v3 reference. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <sys/stat.h>

#include "cloud/http_bed.h"
#include "cloud/keystone.h"

#define ENV_MAX 24

static struct http_bed *bed;
static struct cloud_http *http;
static char folder[64], here[512], **saved, *env[ENV_MAX + 1];
static int64_t now;

static bool no_wait(uint32_t ms, void *with)
{
    (void)ms;
    (void)with;
    return true;
}

static int64_t the_time(void *with)
{
    (void)with;
    return now;
}

static const struct cloud_world world = {.wait = no_wait, .now = the_time};

/* ---- the environment and the files ---- */

static void forget_env(void)
{
    for (size_t i = 0; env[i]; i++)
        free(env[i]);
    memset(env, 0, sizeof env);
    environ = env;
}

/* "OS_USERNAME=alice OS_…": with $URL the bed's address; HOME is the test's folder. */
static void set_env(const char *words)
{
    char copy[2048], *rest = copy, *word;
    size_t n = 0;
    forget_env();
    (void)snprintf(copy, sizeof copy, "HOME=%s %s", folder, words);
    while ((word = strsep(&rest, " "))) {
        char line[600];
        const char *url = strstr(word, "$URL");
        if (url)
            (void)snprintf(line, sizeof line, "%.*shttp://127.0.0.1:%u%s", (int)(url - word), word,
                           bed->port, url + 4);
        else
            (void)snprintf(line, sizeof line, "%s", word);
        assert_true(n < ENV_MAX);
        env[n++] = strdup(line);
    }
}

/* A file in the folder, where $URL is the bed's address. */
static void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (const char *url; (url = strstr(text, "$URL")); text = url + 4)
        fprintf(file, "%.*shttp://127.0.0.1:%u", (int)(url - text), text, bed->port);
    fprintf(file, "%s", text);
    assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)unlink(path);
}

static int begin(void **state)
{
    struct err err;
    (void)state;
    saved = environ;
    now = INT64_C(1790000000) * 1000000000; /* 2026-09-21 */
    bed = http_bed_begin(NULL);
    (void)snprintf(folder, sizeof folder, "/tmp/cloudspan-keystone.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder), 0);
    return cloud_http_open(&world, &http, &err);
}

static int end(void **state)
{
    static const char *const names[] = {"clouds.yaml", "secure.yaml", "clouds-public.yaml",
                                        ".config/openstack/clouds.yaml", "other.yaml"};
    static const char *const folders[] = {"/.config/openstack", "/.config", ""};
    (void)state;
    cloud_http_close(http);
    http_bed_end(bed);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        remove_file(names[i]);
    assert_int_equal(chdir(here), 0);
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "%s%s", folder, folders[i]);
        (void)rmdir(path);
    }
    forget_env();
    environ = saved;
    return 0;
}

/* ---- answers ---- */

static const char catalog[] =
    "[{\"type\":\"identity\",\"endpoints\":[]},{\"type\":\"network\",\"name\":\"neutron\","
    "\"endpoints\":[{\"interface\":\"internal\",\"region\":\"One\",\"url\":\"http://in.one:9696\"},"
    "{\"interface\":\"public\",\"region\":\"One\",\"region_id\":\"One\",\"url\":"
    "\"http://one:9696/\"},{\"interface\":\"public\",\"region\":\"Two\",\"url\":"
    "\"http://two:9696/v2.0\"}]}]";

static void answer_token(const char *token, const char *project, const char *expires)
{
    char headers[128], body[2048], part[128] = "";
    (void)snprintf(headers, sizeof headers, "X-Subject-Token: %s\r\n", token);
    if (project)
        (void)snprintf(part, sizeof part, ",\"project\":{\"id\":\"%s\",\"name\":\"shop\"}",
                       project);
    (void)snprintf(body, sizeof body, "{\"token\":{\"expires_at\":\"%s\",\"catalog\":%s%s}}",
                   expires ? expires : "2026-09-21T23:00:00.000000Z", catalog, part);
    (void)http_bed_answer(bed, 201, headers, body);
}

static struct keystone *open_with(const struct keystone_options *options)
{
    static const struct keystone_options none;
    struct keystone *keystone = NULL;
    struct err err = {""};
    int result = keystone_open(options ? options : &none, http, &keystone, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    return keystone;
}

/* What it says when it refuses. */
static const char *refusal(const struct keystone_options *options, int code)
{
    static const struct keystone_options none;
    static struct err err;
    struct keystone *keystone = NULL;
    assert_int_equal(keystone_open(options ? options : &none, http, &keystone, &err), code);
    assert_null(keystone);
    return err.text;
}

static void must_say(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("'%s' is not in: %s", words, text);
}

/* The body of a request, compared as JSON. */
static void must_have_sent(size_t i, const char *quoted)
{
    char wanted[2048];
    (void)snprintf(wanted, sizeof wanted, "%s", quoted);
    for (char *c = wanted; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *a = json_loads(http_bed_body(bed, i), 0, NULL), *b = json_loads(wanted, 0, NULL);
    assert_non_null(b);
    if (!a || !json_equal(a, b))
        fail_msg("sent: %s\nnot:  %s", http_bed_body(bed, i), wanted);
    json_decref(a);
    json_decref(b);
}

/* ---- who asks ---- */

static void test_methods(void **state)
{
    static const struct {
        const char *env, *body;
    } rows[] = {
        {"OS_USERNAME=alice OS_PASSWORD=p\"w OS_PROJECT_NAME=shop",
         "{'auth':{'identity':{'methods':['password'],'password':{'user':{'name':'alice','domain':"
         "{'id':'default'},'password':'p\\\"w'}}},'scope':{'project':{'name':'shop','domain':{"
         "'id':'default'}}}}}"},
        {"OS_AUTH_TYPE=v3password OS_USER_ID=u1 OS_PASSWORD=pw OS_PROJECT_ID=p1",
         "{'auth':{'identity':{'methods':['password'],'password':{'user':{'id':'u1','password':"
         "'pw'}}},'scope':{'project':{'id':'p1'}}}}"},
        {"OS_USERNAME=alice OS_PASSWORD=pw OS_USER_DOMAIN_NAME=Corp OS_PROJECT_DOMAIN_ID=d2 "
         "OS_TENANT_NAME=shop",
         "{'auth':{'identity':{'methods':['password'],'password':{'user':{'name':'alice','domain':"
         "{'name':'Corp'},'password':'pw'}}},'scope':{'project':{'name':'shop','domain':{"
         "'id':'d2'}}}}}"},
        {"OS_USERNAME=alice OS_PASSWORD=pw OS_DEFAULT_DOMAIN=corp",
         "{'auth':{'identity':{'methods':['password'],'password':{'user':{'name':'alice','domain':"
         "{'id':'corp'},'password':'pw'}}}}}"},
        {"OS_AUTH_TYPE=v3applicationcredential OS_APPLICATION_CREDENTIAL_ID=a1 "
         "OS_APPLICATION_CREDENTIAL_SECRET=s OS_PROJECT_NAME=ignored",
         "{'auth':{'identity':{'methods':['application_credential'],'application_credential':{"
         "'id':'a1','secret':'s'}}}}"},
        {"OS_APPLICATION_CREDENTIAL_NAME=mirrors OS_APPLICATION_CREDENTIAL_SECRET=s "
         "OS_USERNAME=alice OS_USER_DOMAIN_NAME=Corp",
         "{'auth':{'identity':{'methods':['application_credential'],'application_credential':{"
         "'name':'mirrors','secret':'s','user':{'name':'alice','domain':{'name':'Corp'}}}}}}"},
        {"OS_TOKEN=t0 OS_PROJECT_NAME=shop OS_PROJECT_DOMAIN_NAME=Corp",
         "{'auth':{'identity':{'methods':['token'],'token':{'id':'t0'}},'scope':{'project':{"
         "'name':'shop','domain':{'name':'Corp'}}}}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char words[1024];
        (void)snprintf(words, sizeof words, "OS_AUTH_URL=$URL/v3/ %s", rows[i].env);
        set_env(words);
        answer_token("t1", "p1", NULL);
        struct keystone *keystone = open_with(NULL);
        must_have_sent(i, rows[i].body);
        assert_int_equal(strncmp(http_bed_request(bed, i), "POST /v3/auth/tokens ", 21), 0);
        assert_string_equal(keystone_project(keystone), "p1");
        assert_string_equal(keystone_origin(keystone), "the environment");
        keystone_close(keystone);
    }
}

static void test_addresses(void **state)
{
    static const struct {
        const char *url, *path;
    } rows[] = {{"$URL", "POST /v3/auth/tokens "},
                {"$URL/", "POST /v3/auth/tokens "},
                {"$URL/v2.0/", "POST /v3/auth/tokens "},
                {"$URL/identity", "POST /identity/v3/auth/tokens "},
                {"$URL/identity/v3", "POST /identity/v3/auth/tokens "}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char words[256];
        (void)snprintf(words, sizeof words, "OS_AUTH_URL=%s OS_TOKEN=t", rows[i].url);
        set_env(words);
        answer_token("t1", "p1", NULL);
        keystone_close(open_with(NULL));
        must_say(http_bed_request(bed, i), rows[i].path);
    }
    set_env("OS_AUTH_URL=gopher://x OS_TOKEN=t");
    must_say(refusal(NULL, -EINVAL), "no address of a Keystone");
}

static void test_lacks(void **state)
{
    static const struct {
        const char *env, *says;
        int code;
    } rows[] = {
        {"OS_USERNAME=a", "OS_PASSWORD", -ENOKEY},
        {"OS_PASSWORD=a", "OS_USERNAME", -ENOKEY},
        {"OS_AUTH_TYPE=token", "OS_TOKEN", -ENOKEY},
        {"OS_APPLICATION_CREDENTIAL_ID=a", "OS_APPLICATION_CREDENTIAL_SECRET", -ENOKEY},
        {"OS_APPLICATION_CREDENTIAL_NAME=a", "OS_USERNAME", -ENOKEY},
        {"OS_AUTH_TYPE=v3oidcpassword", "v3oidcpassword", -EINVAL},
        {"OS_TOKEN=t OS_INSECURE=true", "always verified", -EINVAL},
        {"OS_TOKEN=t OS_IDENTITY_API_VERSION=2.0", "only version 3", -EINVAL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char words[256];
        (void)snprintf(words, sizeof words, "OS_AUTH_URL=$URL %s", rows[i].env);
        set_env(words);
        must_say(refusal(NULL, rows[i].code), rows[i].says);
    }
    set_env("OS_USERNAME=alice");
    must_say(refusal(NULL, -ENOKEY), "OS_AUTH_URL");
    assert_int_equal(http_bed_count(bed), 0);
}

/* The secret is in no sentence, whatever Keystone answers. */
static void test_refused(void **state)
{
    (void)state;
    set_env("OS_AUTH_URL=$URL/v3 OS_USERNAME=alice OS_PASSWORD=hunter2 OS_PROJECT_NAME=shop");
    (void)http_bed_answer(bed, 401, "Www-Authenticate: Keystone uri=\"x\"\r\n",
                          "{\"error\":{\"code\":401,\"message\":\"The request you have made "
                          "requires authentication.\",\"title\":\"Unauthorized\"}}");
    const char *said = refusal(NULL, -EACCES);
    must_say(said, "does not accept these credentials (the environment): The request you have");
    assert_null(strstr(said, "hunter2"));
    assert_int_equal(http_bed_count(bed), 1); /* asked once */
    (void)http_bed_answer(bed, 404, NULL, "<html>nothing here</html>");
    must_say(refusal(NULL, -ENOENT), "no Keystone of version 3 here");
    (void)http_bed_answer(bed, 200, NULL, "{}");
    must_say(refusal(NULL, -EPROTO), "has no token");
    (void)http_bed_answer(bed, 503, NULL, "busy");
    answer_token("t1", "p1", NULL);
    keystone_close(open_with(NULL)); /* asked again */
}

static void test_no_project(void **state)
{
    (void)state;
    set_env("OS_AUTH_URL=$URL/v3 OS_USERNAME=alice OS_PASSWORD=pw");
    answer_token("t1", NULL, NULL);
    (void)http_bed_answer(bed, 200, NULL,
                          "{\"projects\":[{\"name\":\"shop\"},{\"name\":\"lab\"}]}");
    must_say(refusal(NULL, -ENOKEY), "--project NAME, or OS_PROJECT_NAME; there is: shop, lab");
    must_say(http_bed_request(bed, 1), "GET /v3/auth/projects ");
    assert_true(http_bed_has(bed, 1, "X-Auth-Token: t1"));
    answer_token("t2", "p2", NULL);
    const struct keystone_options options = {.project = "lab"};
    keystone_close(open_with(&options));
    must_say(http_bed_body(bed, 2), "\"project\":{\"name\":\"lab\"");
    answer_token("t3", "p2", NULL);
    const struct keystone_options by_id = {.project = "0123456789abcdef0123456789abcdef"};
    keystone_close(open_with(&by_id));
    must_say(http_bed_body(bed, 3), "\"project\":{\"id\":\"0123456789abcdef0123456789abcdef\"}");
}

/* ---- files ---- */

static const char clouds[] = "clouds:\n"
                             "  one:\n"
                             "    region_name: One\n"
                             "    auth: &auth {auth_url: $URL/v3, username: alice, password: pw,\n"
                             "                 project_name: shop}\n"
                             "  two: {auth: {<<: *auth, username: bob}, region_name: Two}\n"
                             "  open: {auth: {<<: *auth}, verify: false}\n"
                             "  public: {profile: big, auth: {username: carol, project_id: p}}\n"
                             "  lost: {profile: unknown, auth: {username: carol}}\n";

static void test_files(void **state)
{
    (void)state;
    const struct keystone_options one = {.cloud = "one"}, none = {.cloud = "none"};
    const struct keystone_options open = {.cloud = "open"}, lost = {.cloud = "lost"};
    set_env("OS_CLOUD=two");
    must_say(refusal(NULL, -ENOKEY), "there is no clouds.yaml");
    write_file("clouds.yaml", clouds);
    write_file("secure.yaml", "clouds: {two: {auth: {password: secret2}}, public: {auth: "
                              "{password: secret3}}}\n");
    write_file("clouds-public.yaml", "public-clouds: {big: {auth: {auth_url: $URL/big, "
                                     "user_domain_name: Big}}}\n");
    answer_token("t1", "p1", NULL);
    struct keystone *keystone = open_with(NULL);
    must_have_sent(0, "{'auth':{'identity':{'methods':['password'],'password':{'user':{'name':"
                      "'bob','domain':{'id':'default'},'password':'secret2'}}},'scope':{'project':"
                      "{'name':'shop','domain':{'id':'default'}}}}}");
    assert_string_equal(keystone_origin(keystone), "cloud two of ./clouds.yaml");
    keystone_close(keystone);

    answer_token("t1", "p1", NULL);
    keystone_close(open_with(&one)); /* the option counts more than the variable */
    must_say(http_bed_body(bed, 1), "\"name\":\"alice\"");
    set_env("OS_CLOUD=public");
    answer_token("t1", "p1", NULL);
    keystone_close(open_with(NULL));
    must_say(http_bed_request(bed, 2), "POST /big/v3/auth/tokens ");
    must_say(http_bed_body(bed, 2), "\"domain\":{\"name\":\"Big\"},\"password\":\"secret3\"");
    /* The environment counts more than the file, as with openstackclient. */
    set_env("OS_CLOUD=one OS_USERNAME=dora");
    answer_token("t1", "p1", NULL);
    keystone_close(open_with(NULL));
    must_say(http_bed_body(bed, 3), "\"name\":\"dora\"");

    set_env("");
    must_say(refusal(NULL, -ENOKEY),
             "which cloud of ./clouds.yaml? --cloud one, two, open, public");
    must_say(refusal(&none, -ENOKEY), "no cloud none (there is: one, two");
    must_say(refusal(&open, -EINVAL), "always verified");
    must_say(refusal(&lost, -ENOKEY), "no profile unknown");
    write_file("clouds.yaml", "clouds: [this, is, none]\n");
    must_say(refusal(&one, -ENOKEY), "there is: none");
    write_file("clouds.yaml", "");
    must_say(refusal(&one, -ENOKEY), "there is: none");
    write_file("clouds.yaml", "clouds: {one: {auth: {\n");
    assert_true(strlen(refusal(&one, -EINVAL)) > 0);
    assert_int_equal(http_bed_count(bed), 4);
}

/* Where clouds.yaml is looked for; its only cloud needs no name. */
static void test_places(void **state)
{
    (void)state;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/.config", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "%s/.config/openstack", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(
        ".config/openstack/clouds.yaml",
        "clouds: {home: {auth: {auth_url: $URL, token: of-home}, regions: [{name: Two}]}}\n");
    set_env("");
    answer_token("t1", "p1", NULL);
    struct keystone *keystone = open_with(NULL);
    must_say(http_bed_body(bed, 0), "of-home");
    struct cloud_rest rest;
    struct err err;
    assert_int_equal(keystone_service(keystone, "network", "Neutron", NULL, &rest, &err), 0);
    assert_string_equal(rest.base, "http://two:9696/v2.0");
    keystone_close(keystone);
    write_file("clouds.yaml", "clouds: {here: {auth: {auth_url: $URL, token: of-here}}}\n");
    answer_token("t1", "p1", NULL);
    keystone_close(open_with(NULL));
    must_say(http_bed_body(bed, 1), "of-here");
    write_file("other.yaml", "clouds: {other: {auth: {auth_url: $URL, token: of-other}}}\n");
    set_env("OS_CLIENT_CONFIG_FILE=other.yaml");
    answer_token("t1", "p1", NULL);
    keystone_close(open_with(NULL));
    must_say(http_bed_body(bed, 2), "of-other");
}

/* ---- the catalogue ---- */

static void test_catalog(void **state)
{
    static const struct {
        const char *env, *base, *says;
    } rows[] = {
        {"", "http://one:9696", NULL},
        {"OS_REGION_NAME=One", "http://one:9696", NULL},
        {"OS_REGION_NAME=Two", "http://two:9696/v2.0", NULL},
        {"OS_INTERFACE=internal", "http://in.one:9696", NULL},
        {"OS_ENDPOINT_TYPE=internalURL", "http://in.one:9696", NULL},
        {"OS_NETWORK_ENDPOINT_OVERRIDE=http://mine/", "http://mine", NULL},
        {"OS_REGION_NAME=Three", NULL, "region Three); it is in: One, Two"},
        {"OS_INTERFACE=admin", NULL, "interface admin"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char words[256];
        struct cloud_rest rest;
        struct err err;
        (void)snprintf(words, sizeof words, "OS_AUTH_URL=$URL OS_TOKEN=t %s", rows[i].env);
        set_env(words);
        answer_token("t1", "p1", NULL);
        struct keystone *keystone = open_with(NULL);
        int result = keystone_service(keystone, "network", "Neutron", NULL, &rest, &err);
        assert_int_equal(result, rows[i].base ? 0 : -ENOENT);
        if (rows[i].base)
            assert_string_equal(rest.base, rows[i].base);
        else
            must_say(err.text, rows[i].says);
        assert_int_equal(keystone_service(keystone, "compute", "Nova", NULL, &rest, &err), -ENOENT);
        keystone_close(keystone);
    }
}

/* A token that was refused, or is about to end, is replaced; one that is refused again is not. */
static void test_renew(void **state)
{
    (void)state;
    char words[128];
    struct cloud_rest rest;
    struct cloud_reply reply;
    struct err err;
    (void)snprintf(words, sizeof words,
                   "OS_AUTH_URL=$URL OS_USERNAME=a OS_PASSWORD=b "
                   "OS_NETWORK_ENDPOINT_OVERRIDE=$URL");
    set_env(words);
    answer_token("t1", "p1", "2026-09-21T23:00:00.000000Z");
    struct keystone *keystone = open_with(NULL);
    assert_int_equal(keystone_service(keystone, "network", "Neutron", "compute 2.26", &rest, &err),
                     0);
    (void)http_bed_answer(bed, 401, NULL, "{}");
    answer_token("t2", "p1", "2026-09-21T23:00:00.000000Z");
    (void)http_bed_answer(bed, 200, NULL, "{\"a\":1}");
    assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), 0);
    cloud_reply_done(&reply);
    assert_true(http_bed_has(bed, 1, "X-Auth-Token: t1"));
    assert_true(http_bed_has(bed, 1, "OpenStack-API-Version: compute 2.26"));
    assert_true(http_bed_has(bed, 3, "X-Auth-Token: t2"));
    /* 23:00 is less than a minute away. */
    now = INT64_C(1790031570) * 1000000000;
    answer_token("t3", "p1", "2026-09-22T00:30:00.000000Z");
    (void)http_bed_answer(bed, 200, NULL, "{}");
    (void)http_bed_answer(bed, 200, NULL, "{}");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), 0);
        cloud_reply_done(&reply);
        assert_true(http_bed_has(bed, 5 + (size_t)i, "X-Auth-Token: t3"));
    }
    (void)http_bed_answer(bed, 401, NULL, "{}");
    answer_token("t4", "p1", "2026-09-22T00:30:00.000000Z");
    (void)http_bed_answer(bed, 401, NULL, "{\"error\":{\"code\":401,\"message\":\"no\"}}");
    assert_int_equal(cloud_rest_want(&rest, "GET", "/x", NULL, &reply, &err), -EACCES);
    cloud_reply_done(&reply);
    assert_int_equal(http_bed_count(bed), 10);
    keystone_close(keystone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_methods, begin, end),
        cmocka_unit_test_setup_teardown(test_addresses, begin, end),
        cmocka_unit_test_setup_teardown(test_lacks, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_no_project, begin, end),
        cmocka_unit_test_setup_teardown(test_files, begin, end),
        cmocka_unit_test_setup_teardown(test_places, begin, end),
        cmocka_unit_test_setup_teardown(test_catalog, begin, end),
        cmocka_unit_test_setup_teardown(test_renew, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
