/* Google's names and paths, which wishes are good ones, and how machines are put into policies.
 * What calls do is for the scenarios. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/google.h"
#include "mirror/nsi.h"

#define PATH "projects/p/zones/europe-west3-a/instances/web"

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *mirror, *stem; /* ends with '*': some digits follow */
    } rows[] = {
        {"web", "cloudspan-web"},
        {"web-1", "cloudspan-web-1"},
        {"Web", "cloudspan-web-*"},
        {"web.1", "cloudspan-web-1-*"},
        {"web_1", "cloudspan-web-1-*"},
        {"abcdefghijklmnopqrstuvwxyz01234", "cloudspan-abcdefghijklmnopqrstuvwxyz01234"},
        {"Abcdefghijklmnopqrstuvwxyz01234", "cloudspan-abcdefghijklmnopqrstuvwxyz01234-*"},
    };
    char stem[48], other[48], name[GOOGLE_NAME_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = strlen(rows[i].stem);
        bool more = rows[i].stem[len - 1] == '*';
        google_put_stem(rows[i].mirror, stem);
        if (more ? strncmp(stem, rows[i].stem, len - 1) != 0 || strlen(stem) != len + 3
                 : strcmp(stem, rows[i].stem) != 0)
            fail_msg("%s: %s", rows[i].mirror, stem);
        assert_in_range(strlen(stem), 1, 59); /* a number comes behind it, and Google takes 63 */
        assert_int_equal(strspn(stem, "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(stem));
    }
    google_put_stem("web.1", stem);
    google_put_stem("web_1", other);
    assert_string_not_equal(stem, other);

    assert_string_equal(google_path("https://www.googleapis.com/compute/v1/" PATH), PATH);
    assert_string_equal(google_path("//compute.googleapis.com/" PATH), PATH);
    assert_string_equal(google_last(PATH), "web");
    assert_true(google_part(PATH, "zones", name));
    assert_string_equal(name, "europe-west3-a");
    assert_true(google_part(PATH, "projects", name));
    assert_string_equal(name, "p");
    assert_false(google_part(PATH, "regions", name));
    assert_false(google_part("", "zones", name));
    assert_false(google_part("zones/", "zones", name));
}

static int check(const struct mirror_provider *provider, const char *const *arguments,
                 struct mirror_job *job, struct err *err)
{
    const char *rest[8];
    char *words[8] = {0};
    int n = 0;
    *job = (struct mirror_job){.provider = provider, .wish = calloc(1, provider->wish_size)};
    for (; n < 7 && arguments[n]; n++)
        words[n] = strdup(arguments[n]);
    int result =
        options_parse(provider->options, words, n, rest, provider->wish_take, job->wish, err);
    if (result >= 0)
        result = provider->wish_check(job, err);
    for (int k = 0; k < n; k++)
        free(words[k]);
    free(job->wish);
    return result;
}

static void test_wishes(void **state)
{
    (void)state;
    static const struct {
        const struct mirror_provider *provider;
        const char *arguments[7], *says, *name; /* says NULL: it is a good one */
    } rows[] = {
        {&provider_google, {"--region=r", "--vpc=main", "--to=rule"}, NULL, "main"},
        {&provider_google,
         {"--vpc=main", "--to=projects/p/regions/r/forwardingRules/rule", "--cidr=fd00::/8"},
         NULL,
         "main"},
        {&provider_google, {"--region=r", "--network-tag=t", "--to=rule"}, NULL, "rule"},
        {&provider_google, {"--region=r", "--to=rule"}, "what is to be mirrored?", NULL},
        {&provider_google, {"--vpc=main", "--to=rule"}, "which region?", NULL},
        {&provider_google, {"--region=r", "--vpc=main"}, "where to?", NULL},
        {&provider_google, {"--cidr=10.0.0.0"}, "no prefix", NULL},
        {&provider_google, {"--cidr=10.0.0.0/33"}, "no prefix", NULL},
        {&provider_google, {"--direction=up"}, "none of in, out, both", NULL},
        {&provider_google, {"--protocol=tcp,udp"}, "no protocol", NULL},
        {&provider_google_nsi,
         {"--organization=1", "--vpc=main", "--to=r-a:x", "--to=r-b:y"},
         NULL,
         "main"},
        {&provider_google_nsi, {"--vpc=main", "--to=r-a:x"}, "which organization?", NULL},
        {&provider_google_nsi, {"--organization=1", "--to=r-a:x"}, "which network", NULL},
        {&provider_google_nsi, {"--organization=1", "--vpc=main"}, "where to?", NULL},
        {&provider_google_nsi, {"--organization=one"}, "is no number", NULL},
        {&provider_google_nsi, {"--to=rule"}, "no ZONE:RULE", NULL},
        {&provider_google_nsi, {"--cidr=fd00::/129"}, "is no prefix", NULL},
        {&provider_google_nsi, {"--priority=0"}, "no priority", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct mirror_job job;
        struct err err = {""};
        int result = check(rows[i].provider, rows[i].arguments, &job, &err);
        if (rows[i].says ? result != -EINVAL || !strstr(err.text, rows[i].says) : result != 0)
            fail_msg("%zu: %d %s", i, result, err.text);
        if (rows[i].name)
            assert_string_equal(job.name, rows[i].name);
    }
}

/* A policy as Google has it, of the mirror "m". */
static json_t *policy(size_t number, size_t first, size_t n)
{
    char name[48], url[96];
    json_t *instances = json_array();
    for (size_t i = first; i < first + n; i++) {
        (void)snprintf(url, sizeof url, "https://x/projects/p/zones/r-a/instances/i%04zu", i);
        json_array_append_new(instances, json_pack("{s:s}", "url", url));
    }
    (void)snprintf(name, sizeof name, "cloudspan-m-%zu", number);
    return json_pack("{s:s, s:s, s:s, s:{s:o}}", "name", name, "description", "cloudspan=m",
                     "region", "https://x/projects/p/regions/r", "mirroredResources", "instances",
                     instances);
}

static json_t *machines(size_t first, size_t n)
{
    char path[96];
    json_t *list = json_array();
    for (size_t i = first; i < first + n; i++) {
        (void)snprintf(path, sizeof path, "projects/p/zones/r-a/instances/i%04zu", i);
        json_array_append_new(list, json_string(path));
    }
    return list;
}

/* What is in a policy stays there; nothing is lost, doubled, or over the limits. */
static void test_packing(void **state)
{
    (void)state;
    struct google_place place = {.region = "r", .policies = json_array()};
    struct mirror_job job = {.name = "m", .state = &place};
    struct mirror_set set = {0};
    struct err err;
    json_t *none = json_array(), *like = json_pack("{s:s}", "enable", "TRUE");
    /* 2: full but for two that go; 3: some; 7: of more than fits. */
    json_array_append_new(place.policies, policy(2, 0, 50));
    json_array_append_new(place.policies, policy(3, 50, 10));
    json_array_append_new(place.policies, policy(7, 100, 60));
    json_t *want = machines(2, 300);
    assert_int_equal(google_pack(&job, want, none, none, like, &set, &err), 0);
    assert_false(set.failed);
    json_t *seen = json_object();
    for (size_t i = 0; i < set.n; i++) {
        const json_t *list = json_object_get(set.at[i].is, "instances");
        assert_in_range(json_array_size(list), 1, GOOGLE_INSTANCES_MAX);
        for (size_t k = 0; k < json_array_size(list); k++) {
            const char *path = json_string_value(json_array_get(list, k));
            assert_null(json_object_get(seen, path));
            json_object_set_new(seen, path, json_string(set.at[i].key));
        }
    }
    assert_int_equal(json_object_size(seen), 300);
    static const struct {
        const char *path, *key;
    } rows[] = {
        {"projects/p/zones/r-a/instances/i0002", "r/cloudspan-m-2"},
        {"projects/p/zones/r-a/instances/i0049", "r/cloudspan-m-2"},
        {"projects/p/zones/r-a/instances/i0059", "r/cloudspan-m-3"},
        {"projects/p/zones/r-a/instances/i0100", "r/cloudspan-m-7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(json_string_value(json_object_get(seen, rows[i].path)), rows[i].key);
    json_decref(seen);
    json_decref(want);
    mirror_set_done(&set);

    /* Subnets, five to a policy; network tags are in the first. */
    want = json_array();
    for (int i = 0; i < 7; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "projects/p/regions/r/subnetworks/s%d", i);
        json_array_append_new(want, json_string(path));
    }
    json_t *tags = json_pack("[s]", "http");
    assert_int_equal(google_pack(&job, none, want, tags, like, &set, &err), 0);
    assert_int_equal(set.n, 2);
    assert_int_equal(json_array_size(json_object_get(set.at[0].is, "subnets")), 5);
    assert_int_equal(json_array_size(json_object_get(set.at[1].is, "subnets")), 2);
    assert_int_equal(json_array_size(json_object_get(set.at[0].is, "tags")), 1);
    assert_int_equal(json_array_size(json_object_get(set.at[1].is, "tags")), 0);
    mirror_set_done(&set);
    json_decref(tags);
    json_decref(want);
    json_decref(none);
    json_decref(like);
    json_decref(place.policies);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
