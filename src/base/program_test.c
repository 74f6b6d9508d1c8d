/* Programs that are run: what they read, print and say at their end; those that print or take too
 * much; those that are nowhere. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/program.h"

static int run_script(const char *script, const void *in, size_t in_size, size_t out_max,
                      unsigned seconds, struct program_result *out, struct err *err)
{
    const char *const arguments[] = {"-c", script, "name", "a b", "$(echo c)", NULL};
    const struct program sh = {.name = "sh",
                               .package = "dash",
                               .arguments = arguments,
                               .in = in,
                               .in_size = in_size,
                               .out_max = out_max,
                               .seconds = seconds};
    return program_run(&sh, out, err);
}

static void test_results(void **state)
{
    (void)state;
    static const struct {
        const char *script, *in, *out, *complaint;
        int exit_code;
    } rows[] = {
        {"exit 0", NULL, "", "", 0},
        {"exit 7", "not read", "", "", 7},
        {"echo one; echo two >&2; echo three", NULL, "one\nthree\n", "two", 0},
        {"cat", "some words", "some words", "", 0},
        {"cat /dev/stdin", "some words", "some words", "", 0}, /* opened anew, by name */
        {"cat", NULL, "", "", 0},
        {"echo \"$1|$2\"", NULL, "a b|$(echo c)\n", "", 0},
        {"printf ' a\\t\\n\\033b\\n\\303\\251 c\\n\\n' >&2", NULL, "", "a b ?? c", 0},
        {"kill -9 $$", NULL, "", "", 128 + 9},
        {"echo $LC_ALL:$HOME", NULL, "C:\n", "", 0},
        {"exec >&- 2>&-; sleep 0.1; exit 3", NULL, "", "", 3}, /* goes on in silence */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct program_result result;
        const char *in = rows[i].in;
        assert_int_equal(run_script(rows[i].script, in, in ? strlen(in) : 0, 0, 0, &result, NULL),
                         0);
        if (result.exit_code != rows[i].exit_code)
            fail_msg("%s: %d", rows[i].script, result.exit_code);
        assert_string_equal(result.out, rows[i].out);
        assert_int_equal(result.out_size, strlen(rows[i].out));
        assert_string_equal(result.complaint, rows[i].complaint);
        program_done(&result);
        assert_null(result.out);
    }
}

/* More than a pipe holds, both ways at once. */
static void test_much(void **state)
{
    (void)state;
    size_t size = 3u << 20;
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    struct program_result result;
    struct err err;
    assert_int_equal(run_script("cat; head -c 300000 /dev/zero | tr '\\0' x >&2", bytes, size, 0, 0,
                                &result, NULL),
                     0);
    assert_int_equal(result.out_size, size);
    assert_memory_equal(result.out, bytes, size);
    assert_int_equal(strlen(result.complaint), sizeof result.complaint - 2);
    program_done(&result);
    assert_int_equal(run_script("cat", bytes, size, size, 0, &result, NULL), 0);
    program_done(&result);
    assert_int_equal(run_script("cat", bytes, size, size - 1, 0, &result, &err), -EFBIG);
    assert_non_null(strstr(err.text, "printed more than fits"));
    assert_null(result.out);
    free(bytes);
}

/* It is killed and gone, and so is what it holds open. */
static void test_slow(void **state)
{
    (void)state;
    struct program_result result;
    struct err err;
    int64_t start = clock_ticks();
    assert_int_equal(run_script("exec sleep 60", NULL, 0, 0, 1, &result, &err), -ETIME);
    assert_non_null(strstr(err.text, "within 1 seconds"));
    assert_int_equal(run_script("exec sleep 60 >&- 2>&-", NULL, 0, 0, 1, &result, &err), -ETIME);
    assert_true(clock_ticks() - start < (int64_t)20 * 1000000000);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
    assert_int_equal(errno, ECHILD);
}

/* Signals that we ignore end the program all the same. */
static void test_signals(void **state)
{
    (void)state;
    sighandler_t before = signal(SIGPIPE, SIG_IGN);
    struct program_result result;
    assert_int_equal(run_script("kill -PIPE $$; exit 0", NULL, 0, 0, 0, &result, NULL), 0);
    assert_int_equal(result.exit_code, 128 + SIGPIPE);
    program_done(&result);
    (void)signal(SIGPIPE, before);
}

/* The user's own: his environment, and no part of PATH but what he says; a name with a slash is
 * taken as it is. */
static void test_users(void **state)
{
    (void)state;
    static const char *const arguments[] = {"-c", "echo ${HOME-none}; [ -z \"$1\" ]", NULL};
    struct program own = {.name = "/bin/sh",
                          .arguments = arguments,
                          .out_max = 4096,
                          .is_users = true,
                          .is_secret = true};
    struct program_result result;
    struct err err;
    const char *home = getenv("HOME") ? getenv("HOME") : "none";
    assert_int_equal(program_run(&own, &result, &err), 0);
    assert_int_equal(result.exit_code, 0);
    assert_int_equal(result.out_size, strlen(home) + 1);
    assert_memory_equal(result.out, home, strlen(home));
    program_forget(&result);
    assert_null(result.out);
    own.out_max = 1; /* the end of the line, and no more */
    assert_int_equal(program_run(&own, &result, &err), -EFBIG);
    assert_null(result.out);
    own.name = "/nonexistent/program";
    assert_int_equal(program_run(&own, &result, &err), -ENOENT);
    assert_string_equal(err.text, "/nonexistent/program: cannot be run: No such file or directory");
}

static void test_nowhere(void **state)
{
    (void)state;
    static const char *const arguments[] = {NULL};
    const struct program none = {
        .name = "no-such-program", .package = "its-package", .arguments = arguments};
    struct program_result result;
    struct err err;
    char path[100];
    assert_int_equal(program_run(&none, &result, &err), -ENOENT);
    assert_string_equal(err.text, "no-such-program is not installed: apt install its-package");
    assert_false(program_find("no-such-program", path, sizeof path));
    assert_false(program_find("", path, sizeof path)); /* a folder is no program */
    assert_true(program_find("sh", path, sizeof path));
    assert_int_equal(path[0], '/');
    assert_false(program_find("sh", path, 4));
    const char *many[PROGRAM_ARGUMENTS_MAX + 2] = {0};
    for (size_t i = 0; i <= PROGRAM_ARGUMENTS_MAX; i++)
        many[i] = "-e";
    const struct program long_one = {.name = "sh", .package = "dash", .arguments = many};
    assert_int_equal(program_run(&long_one, &result, &err), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_much),
        cmocka_unit_test(test_slow),    cmocka_unit_test(test_signals),
        cmocka_unit_test(test_users),   cmocka_unit_test(test_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
