/* Verbs of a provider: nothing is changed before somebody agreed, what it says is printed, also
 * when it fails, and the exit code is right. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/mirror_verb.h"

static struct {
    char asked[200]; /* "?tms-1,web +tms-1,web": would, and does */
    int result;
    bool is_open;
} seen;

static int adopt(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
                 bool json, struct text *out, struct err *err)
{
    size_t len = strlen(seen.asked);
    assert_true(seen.is_open);
    assert_true(job->partial);
    assert_non_null(job->world);
    (void)snprintf(seen.asked + len, sizeof seen.asked - len, "%s%c", len ? " " : "",
                   is_yes ? '+' : '?');
    for (size_t i = 0; i < n_words; i++) {
        len = strlen(seen.asked);
        (void)snprintf(seen.asked + len, sizeof seen.asked - len, "%s%s", i ? "," : "", words[i]);
    }
    text_put(out, json ? "{\"type\":\"adopt\"}\n" : is_yes ? "done\n" : "would\n");
    return seen.result < 0 ? err_set(err, seen.result, "refused") : seen.result;
}

static int open_it(struct mirror_job *job, struct err *err)
{
    (void)job;
    (void)err;
    seen.is_open = true;
    return 0;
}

static int check_wish(struct mirror_job *job, struct err *err)
{
    (void)job;
    (void)err;
    return 0;
}

static const struct mirror_verb verbs[] = {
    {.name = "adopt", .usage = "SESSION", .summary = "takes it over", .run = adopt},
    {.name = "target", .usage = "create", .summary = "makes one", .run = adopt},
    {.name = NULL}};
static const struct option_row rows[] = {{.name = NULL}};
static const struct mirror_provider provider = {.name = "cloud",
                                                .options = rows,
                                                .wish_size = 8,
                                                .wish_check = check_wish,
                                                .open = open_it,
                                                .verbs = verbs};

/* What it prints; `answer` NULL: standard input is no terminal. */
static int run(const char *verb, const char *answer, const char *options, char out[4096])
{
    struct mirror_settings settings;
    struct err err;
    char words[3][32] = {"--state=/nonexistent", "tms-1", "web"}, more[32];
    char *args[] = {words[0], words[1], words[2], more};
    (void)snprintf(more, sizeof more, "%s", options ? options : "");
    memset(&seen.asked, 0, sizeof seen.asked);
    assert_int_equal(mirror_settings_begin(&settings, verb, &provider, &err), 0);
    settings.takes_words = true;
    settings.job.partial = true;
    assert_int_equal(mirror_settings_take(&settings, args, options ? 4 : 3, &err), 0);
    assert_int_equal(settings.n_words, 2);
    assert_int_equal(mirror_settings_check(&settings, &err), 0);

    char path[] = "/tmp/verb-XXXXXX";
    int file = mkstemp(path), master = -1, slave = -1, in = dup(0), was = dup(1);
    assert_true(file >= 0);
    if (answer) {
        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        assert_true(write(master, answer, strlen(answer)) > 0);
    } else {
        slave = open("/dev/null", O_RDONLY);
    }
    fflush(stdout);
    assert_true(dup2(slave, 0) == 0 && dup2(file, 1) == 1);
    clearerr(stdin);
    int code = mirror_verb_run(&settings);
    fflush(stdout);
    assert_true(dup2(in, 0) == 0 && dup2(was, 1) == 1);
    ssize_t n = pread(file, out, 4095, 0);
    out[n > 0 ? n : 0] = '\0';
    (void)unlink(path);
    close(file);
    close(in);
    close(was);
    close(slave);
    if (master >= 0)
        close(master);
    mirror_settings_done(&settings);
    return code;
}

static void test_agreed(void **state)
{
    (void)state;
    char out[4096];
    seen.result = 0;
    assert_int_equal(run("adopt", NULL, "--yes", out), EXIT_DONE);
    assert_string_equal(seen.asked, "+tms-1,web");
    assert_string_equal(out, "done\n");
    assert_int_equal(run("target", "y\n", NULL, out), EXIT_DONE);
    assert_string_equal(seen.asked, "?tms-1,web +tms-1,web");
    assert_string_equal(out, "would\nDo this? [y/N] done\n");
    assert_int_equal(run("adopt", NULL, "-yq", out), EXIT_DONE);
    assert_string_equal(out, "");
}

static void test_not_agreed(void **state)
{
    (void)state;
    char out[4096];
    seen.result = 0;
    assert_int_equal(run("adopt", NULL, NULL, out), EXIT_FAILED);
    assert_string_equal(seen.asked, "?tms-1,web");
    assert_string_equal(out, "would\n");
    assert_int_equal(run("adopt", "n\n", NULL, out), EXIT_FAILED);
    assert_string_equal(seen.asked, "?tms-1,web");
    assert_string_equal(out, "would\nDo this? [y/N] nothing was changed\n");
}

/* There is nothing to change: nobody is asked. */
static void test_nothing(void **state)
{
    (void)state;
    char out[4096];
    seen.result = 1;
    assert_int_equal(run("adopt", NULL, NULL, out), 0);
    assert_string_equal(out, "would\n");
    assert_int_equal(run("adopt", NULL, "--json", out), 0);
    assert_string_equal(out, "{\"type\":\"adopt\"}\n");
}

static void test_refused(void **state)
{
    (void)state;
    char out[4096];
    seen.result = -EACCES;
    assert_int_equal(run("adopt", NULL, "--yes", out), EXIT_FAILED);
    assert_string_equal(out, "done\n"); /* how far it came */
    assert_int_equal(run("adopt", "y\n", NULL, out), EXIT_FAILED);
    assert_string_equal(seen.asked, "?tms-1,web");
}

static void test_find(void **state)
{
    (void)state;
    static const struct mirror_provider none = {.name = "none"};
    assert_ptr_equal(mirror_verb_find(&provider, "target"), &verbs[1]);
    assert_null(mirror_verb_find(&provider, "apply"));
    assert_null(mirror_verb_find(&provider, ""));
    assert_null(mirror_verb_find(&none, "target"));
    assert_false(mirror_verb_is_any("nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreed),  cmocka_unit_test(test_not_agreed),
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
