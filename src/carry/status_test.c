/* The status file: one carrier at a time has it, others read it and know whether he lives; what
 * was killed is taken over, and what is not ours is left alone. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "carry/status.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/status_test.XXXXXX";
static struct carry_options options = {
    .interface = "eth0", .wrap = CARRY_VXLAN, .port = 4789, .id = 101, .name = "web-1"};

/* A process that has the file, until it is ended. Its lock is its own: this process must not be
 * the one that reads. */
static pid_t start_holder(void)
{
    int pipe_fds[2];
    char byte = 0;
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct status status;
        struct err err;
        if (status_create(&options, &status, &err) < 0)
            _exit(1);
        status_set(&status, CARRY_RUNNING);
        status_trouble(&status, "nobody listens");
        status.page->counters.n_sent = 42;
        (void)!write(pipe_fds[1], "x", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return pid;
}

static void end(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* In a process of its own, since the lock is the process's. Gives what status_create gave. */
static int try_create(bool remove)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct status status;
        struct err err;
        int result = status_create(&options, &status, &err);
        if (result == 0)
            status_close(&status, options.status, remove);
        _exit(-result);
    }
    int how;
    assert_int_equal(waitpid(pid, &how, 0), pid);
    assert_true(WIFEXITED(how));
    return -WEXITSTATUS(how);
}

static void test_life(void **state)
{
    struct carry_status status;
    struct carry_counters counters;
    struct err err;
    bool alive;
    assert_int_equal(carry_status_read(options.status, &status, &err), -ENOENT);
    pid_t pid = start_holder();
    assert_int_equal(carry_status_read(options.status, &status, &err), 0);
    assert_true(status.alive);
    assert_int_equal(status.pid, pid);
    assert_int_equal(status.state, CARRY_RUNNING);
    assert_int_equal(status.id, 101);
    assert_string_equal(status.name, "web-1");
    assert_string_equal(status.interface, "eth0");
    assert_string_equal(status.to, "vxlan:10.9.0.2:4789");
    assert_string_equal(status.trouble, "nobody listens");
    assert_true(status.since > 0);
    assert_int_equal(status.counters.n_sent, 42);
    /* reading takes no lock, also many times */
    for (int i = 0; i < 3; i++)
        assert_int_equal(try_create(false), -EBUSY);
    assert_int_equal(carry_counters_read(options.status, &counters, &alive, &err), 0);
    assert_true(alive);
    assert_int_equal(counters.n_sent, 42);
    end(pid);
    assert_int_equal(carry_status_read(options.status, &status, &err), 0);
    assert_false(status.alive);
    assert_int_equal(status.pid, pid);
    assert_int_equal(status.state, CARRY_RUNNING); /* it could not say more */
    assert_int_equal(status.counters.n_sent, 42);
    pid_t next = start_holder(); /* takes over */
    assert_int_equal(carry_status_read(options.status, &status, &err), 0);
    assert_true(status.alive);
    assert_int_equal(status.pid, next);
    end(next);
    assert_int_equal(try_create(true), 0);
    assert_int_equal(access(options.status, F_OK), -1);
}

static void write_file(const void *bytes, size_t size)
{
    int fd = open(options.status, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    close(fd);
}

/* What a carrier left that was killed while it began: any prefix of making the file. */
static void test_half_made(void **state)
{
    static const uint8_t zeros[sizeof(struct status_page)];
    struct carry_status status;
    struct err err;
    const size_t sizes[] = {0, sizeof zeros};
    for (size_t i = 0; i < 2; i++) {
        write_file(zeros, sizes[i]);
        assert_int_equal(carry_status_read(options.status, &status, &err), -EBADMSG);
        assert_int_equal(try_create(false), 0);
        assert_int_equal(carry_status_read(options.status, &status, &err), 0);
        write_file(zeros, sizes[i]);
        assert_int_equal(carry_stop(options.status, &err), 0);
        assert_int_equal(access(options.status, F_OK), -1);
    }
}

static void test_not_ours(void **state)
{
    struct carry_status status;
    struct err err;
    const char text[] = "a letter of somebody's";
    const size_t sizes[] = {3, 8, sizeof text};
    for (size_t i = 0; i < 3; i++) {
        char back[sizeof text];
        write_file(text, sizes[i]);
        assert_int_equal(carry_status_read(options.status, &status, &err), -EBADMSG);
        assert_int_equal(try_create(true), -EEXIST);
        assert_int_equal(carry_stop(options.status, &err), -EEXIST);
        int fd = open(options.status, O_RDONLY);
        assert_int_equal(read(fd, back, sizeof back), sizes[i]);
        assert_memory_equal(back, text, sizes[i]);
        close(fd);
    }
    assert_int_equal(unlink(options.status), 0);
    assert_int_equal(symlink("/dev/null", options.status), 0);
    assert_int_equal(try_create(true), -ELOOP);
    assert_int_equal(carry_status_read(options.status, &status, &err), -ELOOP);
    assert_int_equal(unlink(options.status), 0);
    assert_int_equal(mkdir(options.status, 0755), 0);
    assert_true(try_create(true) < 0);
    assert_true(carry_stop(options.status, &err) < 0);
    assert_int_equal(rmdir(options.status), 0);
}

/* Another layout is not guessed at, but may be taken away. */
static void test_versions(void **state)
{
    struct carry_status status;
    struct err err;
    struct status_page page = {.magic = STATUS_MAGIC, .version = STATUS_VERSION + 1};
    page.size = sizeof page;
    write_file(&page, sizeof page);
    assert_int_equal(carry_status_read(options.status, &status, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "version"));
    page.version = STATUS_VERSION;
    page.size -= 8;
    write_file(&page, sizeof page);
    assert_int_equal(carry_status_read(options.status, &status, &err), -EBADMSG);
    page.size += 8;
    write_file(&page, sizeof page - 1);
    assert_int_equal(carry_status_read(options.status, &status, &err), -EBADMSG);
    memset(page.name, 'n', sizeof page.name); /* without an end */
    memset(page.trouble, 't', sizeof page.trouble);
    page.state = CARRY_FAILED;
    write_file(&page, sizeof page);
    assert_int_equal(carry_status_read(options.status, &status, &err), 0);
    assert_int_equal(strlen(status.name), sizeof page.name - 1);
    assert_int_equal(strlen(status.trouble), sizeof page.trouble - 1);
    assert_int_equal(carry_stop(options.status, &err), 0);
    assert_int_equal(carry_stop(options.status, &err), 0); /* nothing there: nothing to do */
}

/* Many at once: one has it, in whatever order they come; and no lock outlives its file. */
static void test_race(void **state)
{
    struct err err;
    for (int round = 0; round < 20; round++) {
        pid_t pids[6];
        for (int i = 0; i < 6; i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                struct status status;
                int n_had = 0;
                for (int turn = 0; turn < 50; turn++) {
                    if (i == 0) {
                        int code = carry_stop(options.status, &err);
                        if (code < 0 && code != -EBUSY)
                            _exit(2);
                        continue;
                    }
                    int result = status_create(&options, &status, &err);
                    if (result < 0 && result != -EBUSY)
                        _exit(3);
                    if (result < 0)
                        continue;
                    struct stat there, held;
                    if (stat(options.status, &there) < 0 || fstat(status.fd, &held) < 0 ||
                        there.st_ino != held.st_ino)
                        _exit(4);
                    n_had++;
                    status_close(&status, options.status, turn & 1);
                }
                _exit(0);
            }
        }
        for (int i = 0; i < 6; i++) {
            int how;
            assert_int_equal(waitpid(pids[i], &how, 0), pids[i]);
            /* the stopper ends who has it: that is what it is for */
            assert_true(WIFSIGNALED(how) ? WTERMSIG(how) == SIGTERM : WEXITSTATUS(how) == 0);
        }
    }
    assert_int_equal(carry_stop(options.status, &err), 0);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    (void)addr_parse("10.9.0.2", &options.to);
    (void)snprintf(options.status, sizeof options.status, "%s/web-1", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),     cmocka_unit_test(test_half_made),
        cmocka_unit_test(test_not_ours), cmocka_unit_test(test_versions),
        cmocka_unit_test(test_race),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
