/* The state folder: which one it is, and that it is made. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/state.h"
#include "base/state_bed.h"

/* `as_root`: else as somebody else, in a child. Expected NULL: refused. */
static void check(bool as_root, const char *given, const char *state, const char *xdg,
                  const char *home, const char *expected)
{
    int status = 0;
    if (as_root && geteuid() != 0)
        return; /* nobody can become root here */
    static const char *const names[] = {"CLOUDSPAN_STATE", "XDG_STATE_HOME", "HOME"};
    const char *const values[] = {state, xdg, home};
    char variables[3][64];
    const char *environment[4] = {NULL};
    for (size_t i = 0, n = 0; i < 3; i++) {
        (void)snprintf(variables[n], sizeof variables[n], "%s=%s", names[i],
                       values[i] ? values[i] : "");
        if (values[i]) {
            environment[n] = variables[n];
            n++;
        }
    }
    bed_set_environment(environment);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char folder[STATE_FOLDER_MAX];
        struct err err = {""};
        if (!as_root && geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
            _exit(77);
        int result = state_folder(given, folder, &err);
        if (!expected)
            _exit(result == -ENOENT && strstr(err.text, "--state") ? 0 : 1);
        if (result < 0 || strcmp(folder, expected) != 0) {
            fprintf(stderr, "%s, not %s: %s\n", result < 0 ? "refused" : folder, expected,
                    err.text);
            _exit(2);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != 77)
        assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_precedence(void **state)
{
    (void)state;
    assert_int_equal(chdir("/tmp"), 0);
    for (int root = 0; root < 2; root++) {
        check(root, "/given", "/state", "/xdg", "/home/x", "/given");
        check(root, "relative", "/state", "/xdg", "/home/x", "/tmp/relative");
        check(root, NULL, "a/b", "/xdg", "/home/x", "/tmp/a/b");
        check(root, NULL, "/state", "/xdg", "/home/x", "/state");
        check(root, "", "/state", "/xdg", "/home/x", "/state");
    }
    check(true, NULL, NULL, "/xdg", "/home/x", "/var/lib/cloudspan");
    check(true, NULL, "", "/xdg", "/home/x", "/var/lib/cloudspan");
    check(true, NULL, NULL, NULL, NULL, "/var/lib/cloudspan");
    check(false, NULL, NULL, "/xdg", "/home/x", "/xdg/cloudspan");
    check(false, NULL, "", "/xdg", NULL, "/xdg/cloudspan");
    check(false, NULL, NULL, NULL, "/home/x", "/home/x/.local/state/cloudspan");
    check(false, NULL, NULL, "", "/home/x", "/home/x/.local/state/cloudspan");
    /* The standard says: a relative path there is to be ignored. */
    check(false, NULL, NULL, "xdg", "/home/x", "/home/x/.local/state/cloudspan");
    check(false, NULL, NULL, NULL, "home", NULL);
    check(false, NULL, NULL, NULL, NULL, NULL);
}

/* Names of files in it have to fit behind it. */
static void test_long(void **state)
{
    (void)state;
    char given[STATE_FOLDER_MAX + 100], folder[STATE_FOLDER_MAX];
    struct err err;
    memset(given, 'x', sizeof given);
    given[0] = '/';
    given[STATE_FOLDER_MAX - 33] = '\0';
    assert_int_equal(state_folder(given, folder, &err), 0);
    assert_string_equal(folder, given);
    given[STATE_FOLDER_MAX - 33] = 'x';
    given[STATE_FOLDER_MAX - 32] = '\0';
    assert_int_equal(state_folder(given, folder, &err), -ENAMETOOLONG);
    given[STATE_FOLDER_MAX - 32] = 'x';
    given[sizeof given - 1] = '\0';
    assert_int_equal(state_folder(given, folder, &err), -ENAMETOOLONG);
}

static void test_made(void **state)
{
    (void)state;
    char top[64] = "/tmp/state-XXXXXX", path[128];
    struct err err = {""};
    struct stat facts;
    assert_non_null(mkdtemp(top));
    mode_t before = umask(022);
    static const char *const names[] = {"a", "a", "b/c/d", "e//f/", "./g"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", top, names[i]);
        if (state_make(path, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(stat(path, &facts), 0);
        assert_true(S_ISDIR(facts.st_mode));
        assert_int_equal(facts.st_mode & 0777, 0755);
    }
    /* What cannot be made is named, also where it is one of its parents. */
    (void)snprintf(path, sizeof path, "%s/file", top);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(state_make(path, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, path));
    (void)snprintf(path, sizeof path, "%s/file/x", top);
    assert_int_equal(state_make(path, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, "--state"));
    assert_int_equal(state_make("/proc/none/x", &err), -ENOENT);
    assert_non_null(strstr(err.text, "/proc/none"));
    /* From where we are. */
    assert_int_equal(chdir(top), 0);
    assert_int_equal(state_make("r", &err), 0);
    assert_int_equal(access("r", F_OK), 0);
    umask(before);
    assert_int_equal(bed_remove_tree(top), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
