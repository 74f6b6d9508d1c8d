/* Records: what watch reads of them is what was mirrored, whatever the names are made of; and the
 * file is whole, or not there. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/record.h"
#include "sensor/config.h"

static const struct mirror_provider provider = {.name = "bed"};

static struct config *load(const struct mirror_sources *sources, const char *title)
{
    struct text text;
    struct config *config = NULL;
    struct err err = {""};
    text_init(&text, 1u << 20);
    mirror_record_text(sources, title, &text);
    assert_false(text.failed);
    if (config_load_text(text.at, text.size, "record", &config, &err) < 0)
        fail_msg("%s\n%s", text.at, err.text);
    text_done(&text);
    return config;
}

static void test_all(void **state)
{
    (void)state;
    struct mirror_source at[3] = {
        {.name = "web-1",
         .channels = {"vxlan:101@10.9.0.1", "vxlan:102@10.9.0.1"},
         .macs = {"02:00:00:00:00:01", "02:00:00:00:00:02"},
         .addresses = {"10.1.0.1", "fd00::1"},
         .filtered = true,
         .truncate = 96,
         .direction = "in",
         .collector = "10.9.0.2"},
        {.name = "web-2", .channels = {"erspan2:7@fd00::9"}, .direction = "both"},
        {.name = "web-3",
         .machine = "i-7 \"x\"",
         .channels = {"vxlan:8"},
         .collector = "any",
         .leaks_tag = true,
         .has_lost = true,
         .n_lost = 1ull << 40},
    };
    struct mirror_sources sources = {at, 3};
    struct config *config = load(&sources, "Made by a test.");
    assert_string_equal(config->collector, "10.9.0.2");
    assert_int_equal(config->n_sources, 3);
    const struct config_source *one = &config->sources[0];
    assert_string_equal(one->name, "web-1");
    assert_int_equal(one->n_channels, 2);
    assert_true(one->channels[0].has_id && one->channels[0].has_outer);
    assert_int_equal(one->channels[0].id, 101);
    assert_int_equal(one->channels[1].id, 102);
    assert_int_equal(one->n_addresses, 2);
    assert_int_equal(one->n_macs, 2);
    assert_true(one->filtered);
    assert_int_equal(one->truncate, 96);
    assert_int_equal(one->direction, CONFIG_IN);
    one = &config->sources[1];
    assert_string_equal(one->name, "web-2");
    assert_int_equal(one->channels[0].id, 7);
    assert_int_equal(one->n_addresses, 0);
    assert_int_equal(one->n_macs, 0);
    assert_false(one->filtered);
    assert_int_equal(one->truncate, 0);
    assert_int_equal(one->direction, CONFIG_BOTH);
    assert_null(one->collector);
    assert_null(one->machine);
    assert_false(one->lost_before.has);
    assert_false(one->drop_vlan);
    one = &config->sources[2];
    assert_string_equal(one->machine, "i-7 \"x\"");
    assert_string_equal(one->collector, CONFIG_ANY_COLLECTOR);
    assert_true(one->drop_vlan);
    assert_true(one->lost_before.has && one->lost_before.n == 1ull << 40);
    config_free(config);
}

/* A network has to be known to the collector; the record only names it. */
static void test_network(void **state)
{
    (void)state;
    struct mirror_source at[1] = {{.name = "web-1",
                                   .network = "prod \"x\"",
                                   .macs = {"02:00:00:00:00:01"},
                                   .direction = "out"}};
    struct mirror_sources sources = {at, 1};
    struct text text;
    struct config *config = NULL;
    struct err err;
    text_init(&text, 4096);
    text_put(&text, "networks: {'prod \"x\"': {channels: [vxlan:7]}}\n");
    mirror_record_text(&sources, "t", &text);
    if (config_load_text(text.at, text.size, "record", &config, &err) < 0)
        fail_msg("%s\n%s", text.at, err.text);
    assert_string_equal(config->sources[0].network_name, "prod \"x\"");
    assert_int_equal(config->sources[0].direction, CONFIG_OUT);
    config_free(config);
    text_done(&text);
}

/* Names that YAML would take for something else, or not take at all. */
static const struct {
    const char *name, *read; /* read NULL: the same */
} names[] = {
    {"a \"quoted\" one"},
    {"it's"},
    {"back\\slash"},
    {"no"},
    {"null"},
    {"12"},
    {"12:30"},
    {"- x"},
    {"a: b"},
    {"#x"},
    {"%x"},
    {"{a}"},
    {"*x"},
    {" x "},
    {"/"},
    {"\xc3\xa4\xc3\xb6"},
    {"\xe4\xb8\xad\xe6\x96\x87"},
    {"\xf0\x9f\x98\x80"},
    {"a\xf0\x9f\x98\x80z\xc3\xa9"},
    {"\xf4\x80\x80\x80"},
    {"\xef\xbf\xbd"},
    /* What a configuration has none of. */
    {"a\xe2\x80\xa8z", "a\\u2028z"},
    {"\xc2\x85", "\\u0085"},
    {"\x1b[2J", "\\u001b[2J"},
    {"\xef\xbb\xbfx", "\\ufeffx"},
    {"\xef\xbf\xbe", "\\ufffe"},
    {"\xf0\x9f\xbf\xbf", "\\u1ffff"},
    {"a\xff\x62", "a\\xffb"},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct mirror_source at[1] = {{.channels = {"vxlan:7"}, .direction = "both"}};
        struct mirror_sources sources = {at, 1};
        (void)snprintf(at[0].name, sizeof at[0].name, "%s", names[i].name);
        struct config *config = load(&sources, "t");
        assert_string_equal(config->sources[0].name, names[i].read ? names[i].read : names[i].name);
        config_free(config);
    }
}

static void test_long(void **state)
{
    (void)state;
    struct mirror_source at[1] = {{.channels = {"vxlan:7"}, .direction = "both"}};
    struct mirror_sources sources = {at, 1};
    memset(at[0].name, '"', sizeof at[0].name - 1);
    struct config *config = load(&sources, "t");
    assert_string_equal(config->sources[0].name, at[0].name);
    config_free(config);
}

/* ---- the file ---- */

static char folder[64], path[512];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/record-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return 0;
}

static int remove_folder(void **state)
{
    char sources[128];
    (void)state;
    (void)snprintf(sources, sizeof sources, "%s/sources", folder);
    (void)rmdir(sources);
    assert_int_equal(rmdir(folder), 0); /* nothing is left */
    return 0;
}

static void test_file(void **state)
{
    (void)state;
    struct mirror_job job = {.provider = &provider, .name = "eth0"};
    struct mirror_source at[1] = {
        {.name = "web-1", .channels = {"vxlan:7"}, .direction = "both", .collector = "10.9.0.2"}};
    struct mirror_sources sources = {at, 1};
    struct config *config = NULL;
    struct err err;
    char expected[512];
    struct stat facts;
    (void)snprintf(expected, sizeof expected, "%s/sources/bed-eth0.yaml", folder);
    for (int i = 0; i < 2; i++) { /* the second takes the first one's place */
        (void)snprintf(at[0].name, sizeof at[0].name, "web-%d", i);
        assert_int_equal(mirror_record_write(folder, &job, &sources, path, &err), 0);
        assert_string_equal(path, expected);
        const char *const paths[] = {path};
        assert_int_equal(config_load_files(paths, 1, &config, &err), 0);
        assert_string_equal(config->sources[0].name, at[0].name);
        config_free(config);
    }
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0644 & ~umask(0) & 07777);
    assert_int_equal(mirror_record_remove(folder, &job, &err), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(mirror_record_remove(folder, &job, &err), 0);
}

/* What somebody put in its way is not followed, and not overwritten. */
static void test_in_the_way(void **state)
{
    (void)state;
    struct mirror_job job = {.provider = &provider, .name = "eth0"};
    struct mirror_sources sources = {NULL, 0};
    struct err err;
    char fresh[520], elsewhere[128];
    assert_int_equal(mirror_record_write(folder, &job, &sources, path, &err), 0);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    (void)snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", folder);
    assert_int_equal(symlink(elsewhere, fresh), 0);
    assert_int_equal(mirror_record_write(folder, &job, &sources, path, &err), -ELOOP);
    assert_non_null(strstr(err.text, fresh));
    assert_int_not_equal(access(elsewhere, F_OK), 0);
    assert_int_equal(unlink(fresh), 0);
    assert_int_equal(mirror_record_remove(folder, &job, &err), 0);
}

/* On a full disk the old one stays as it was. */
static void fill(void)
{
    struct mirror_job job = {.provider = &provider, .name = "eth0"};
    static struct mirror_source at[400];
    static const char channel[] = "vxlan:7";
    struct mirror_sources sources = {at, 1};
    struct err err = {""};
    struct config *config = NULL;
    char fresh[520];
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("full", folder, "tmpfs", 0, "size=16k") < 0)
        _exit(77);
    for (size_t i = 0; i < 400; i++)
        (void)snprintf(at[i].name, sizeof at[i].name, "machine-%0*zu", 50, i);
    memcpy(at[0].channels[0], channel, sizeof channel);
    if (mirror_record_write(folder, &job, &sources, path, &err) < 0)
        _exit(1);
    sources.n = 400;
    if (mirror_record_write(folder, &job, &sources, path, &err) != -ENOSPC)
        _exit(2);
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    if (access(fresh, F_OK) == 0 || !strstr(err.text, fresh))
        _exit(3);
    const char *const paths[] = {path};
    if (config_load_files(paths, 1, &config, &err) < 0 || config->n_sources != 1)
        _exit(4);
    config_free(config);
    _exit(0);
}

static void test_full(void **state)
{
    (void)state;
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        fill();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Whether it has to be written anew: not where it is the same, byte for byte. */
static void test_is(void **state)
{
    (void)state;
    struct mirror_source at[2] = {{.name = "web-1", .channels = {"vxlan:1"}},
                                  {.name = "web-2", .channels = {"vxlan:2"}}};
    const struct mirror_sources one = {at, 1}, two = {at, 2}, none = {NULL, 0};
    struct mirror_job job = {.provider = &provider, .name = "m"};
    char other[512];
    struct err err;
    assert_true(mirror_record_is(folder, &job, &none, path));
    assert_false(mirror_record_is(folder, &job, &one, path));
    assert_int_equal(mirror_record_write(folder, &job, &one, other, &err), 0);
    assert_string_equal(path, other);
    assert_true(mirror_record_is(folder, &job, &one, path));
    assert_false(mirror_record_is(folder, &job, &two, path));
    assert_false(mirror_record_is(folder, &job, &none, path));
    assert_int_equal(mirror_record_write(folder, &job, &two, path, &err), 0);
    assert_false(mirror_record_is(folder, &job, &one, path));
    assert_true(mirror_record_is(folder, &job, &two, path));
    at[1].name[4] = '3';
    assert_false(mirror_record_is(folder, &job, &two, path));
    assert_int_equal(mirror_record_remove(folder, &job, &err), 0);
    assert_true(mirror_record_is(folder, &job, &none, path));
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_long),
        TEST(test_file),
        TEST(test_is),
        TEST(test_in_the_way),
        TEST(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
