/* Hooks: what they see, how they fail, and that they end. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <poll.h>

#include "sensor/parent_bed.h"

/* Until no hook runs. Asking is all it can do; each question is an event of the parent's loop. */
static int wait_for_hooks(struct bed *bed, struct parent *p, struct parent_hook_counts *counts)
{
    struct err err = {""};
    do {
        CHECK(parent_hook_counts(p, counts, &err) == 0);
        (void)poll(NULL, 0, 5);
    } while (counts->n_running > 0);
    return 0;
}

static int runs_a_hook(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    struct parent_alarm alarm = {.ts = INT64_C(1700000000123456789), .state = "SILENT"};
    memcpy(alarm.machine, "web\"1\x1b[2J\n", 11);
    memset(alarm.text, 'x', sizeof alarm.text); /* without its end */
    memcpy(alarm.text, "$(reboot) ", 10);
    CHECK(parent_run_hook(p, 0, &alarm, &err) == 0);
    struct parent_hook_counts counts;
    if (wait_for_hooks(bed, p, &counts))
        return 90;
    CHECK(counts.n_started == 1 && counts.n_done == 1 && counts.n_failed == 0);
    CHECK(parent_run_hook(p, 1, &alarm, &err) == -EPERM);
    return 0;
}

static void test_what_a_hook_sees(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec: must not reach the hook */
    assert_true(leaked >= 0);
    add_hook(&bed, "#!/bin/sh\nexec >\"$2/out\"\nenv | sort | grep -v '^PWD=\\|^_=\\|^SHLVL='\n"
                   "pwd; echo \"1: $1\"; cat; ls /proc/self/fd | wc -l; umask\n");
    int code = finish(&bed, start(&bed, runs_a_hook));
    close(leaked);
    assert_string_equal(bed.said, "");
    assert_int_equal(code, 0);
    char path[96], got[4096] = "", want[4096], xs[400];
    (void)snprintf(path, sizeof path, "%s/out", bed.folder);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, got, sizeof got - 1) > 0);
    close(fd);
    memset(xs, 'x', sizeof xs);
    (void)snprintf(want, sizeof want,
                   "CLOUDSPAN_MACHINE=web\"1?[2J?\nCLOUDSPAN_STATE=SILENT\n"
                   "CLOUDSPAN_TEXT=$(reboot) %.309s\nCLOUDSPAN_TIME=1700000000\n"
                   "LANG=C.UTF-8\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/"
                   "bin\n/\n1: an argument; with $HOME\n"
                   "{\"ts\":1700000000.123456,\"machine\":\"web\\\"1?[2J?\",\"state\":\"SILENT\","
                   "\"text\":\"$(reboot) %.309s\"}\n4\n0077\n",
                   xs, xs);
    assert_string_equal(got, want);
    bed_done(&bed);
}

static int runs_failing_hooks(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    struct parent_alarm alarm = {.state = "SILENT"};
    CHECK(parent_run_hook(p, 0, &alarm, &err) == 0);
    CHECK(parent_run_hook(p, 1, &alarm, &err) == -ENOENT && strstr(err.text, "cannot be run"));
    CHECK(parent_run_hook(p, 2, &alarm, &err) == -EINVAL && strstr(err.text, "whole path"));
    struct parent_hook_counts counts;
    if (wait_for_hooks(bed, p, &counts))
        return 90;
    CHECK(counts.n_started == 1 && counts.n_failed == 1 && counts.n_done == 0);
    CHECK(counts.n_refused == 2);
    return 0;
}

static void test_hooks_that_fail(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    add_hook(&bed, "#!/bin/sh\nexit 3\n");
    add_hook(&bed, NULL);
    bed.hook_args[add_hook(&bed, NULL)][0] = "sh";
    int code = finish(&bed, start(&bed, runs_failing_hooks));
    char want[256];
    (void)snprintf(want, sizeof want, "hook %s failed with exit code 3\n", bed.path[0]);
    assert_string_equal(bed.said, want);
    assert_int_equal(code, 0);
    bed_done(&bed);
}

static int runs_slow_hooks(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    struct parent_alarm alarm = {.state = "SILENT"};
    for (int i = 0; i < HOOKS_AT_ONCE; i++)
        CHECK(parent_run_hook(p, i == 0, &alarm, &err) == 0);
    CHECK(parent_run_hook(p, 0, &alarm, &err) == -EBUSY);
    struct parent_hook_counts counts;
    if (wait_for_hooks(bed, p, &counts))
        return 90;
    CHECK(counts.n_started == HOOKS_AT_ONCE && counts.n_timed_out == HOOKS_AT_ONCE);
    CHECK(counts.n_refused == 1);
    CHECK(parent_run_hook(p, 2, &alarm, &err) == 0); /* there is room again */
    if (wait_for_hooks(bed, p, &counts))
        return 90;
    CHECK(counts.n_done == 1);
    return 0;
}

static void test_hooks_that_do_not_end(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    bed.options.hook_seconds = 1;
    add_hook(&bed, "#!/bin/sh\nsleep 1000\n");
    add_hook(&bed, "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1000; done\n");
    add_hook(&bed, "#!/bin/sh\n:\n");
    int code = finish(&bed, start(&bed, runs_slow_hooks));
    assert_int_equal(code, 0);
    size_t n = 0;
    for (const char *c = bed.said; (c = strstr(c, "it took too long\n")); c++)
        n++;
    assert_int_equal(n, HOOKS_AT_ONCE);
    bed_done(&bed);
}

static int leaves_a_hook_behind(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    struct parent_alarm alarm = {.state = "SILENT"};
    CHECK(parent_run_hook(p, 0, &alarm, &err) == 0);
    return 5;
}

static void test_a_hook_may_finish(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    add_hook(&bed, "#!/bin/sh\nsleep 0.3; echo done >\"$2/out\"\n");
    assert_int_equal(finish(&bed, start(&bed, leaves_a_hook_behind)), 5);
    char path[96];
    (void)snprintf(path, sizeof path, "%s/out", bed.folder);
    assert_int_equal(access(path, F_OK), 0);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_hook_sees),
        cmocka_unit_test(test_hooks_that_fail),
        cmocka_unit_test(test_hooks_that_do_not_end),
        cmocka_unit_test(test_a_hook_may_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
