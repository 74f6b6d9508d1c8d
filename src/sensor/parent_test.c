/* The privileged parent: what it answers, what it refuses, what it runs, and how both end. Each
 * test makes a program of its own (parent and packet process), and looks at its end. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sensor/parent_handle.h"

#define WORDS_MAX 8192

/* What one program of a test has. */
struct bed {
    char folder[64];
    char path[8][96]; /* hooks, then files */
    const char *hook_args[8][4];
    unsigned n_hooks;
    const char *files[3];
    struct parent_options options;
    int words[2]; /* what `say` and the packet process tell the test */
    int hold[2];  /* its end tells the packet process to go on */
    char said[WORDS_MAX];
};

static void tell(const struct bed *bed, const char *text)
{
    char line[600];
    int n = snprintf(line, sizeof line, "%s\n", text);
    assert_int_equal(write(bed->words[1], line, (size_t)n), n);
}

static void say(void *with, enum note_level level, const char *text)
{
    tell((const struct bed *)with, text);
    (void)level;
}

struct question {
    int first, second;
};

static int serve_sum(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                     struct err *err)
{
    struct question q;
    memcpy(&q, request, sizeof q);
    if (q.first < 0)
        return err_set(err, -EDOM, "negative numbers are not added");
    long sum = (long)q.first + q.second;
    memcpy(reply, &sum, sizeof sum);
    return 0;
}

static int serve_files(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                       struct err *err)
{
    int n;
    memcpy(&n, request, sizeof n);
    for (int i = 0; i < n; i++) {
        int ends[2];
        if (pipe(ends) < 0)
            return err_set(err, -errno, "pipe");
        assert_int_equal(write(ends[1], &i, sizeof i), sizeof i);
        close(ends[1]);
        fds[(*n_fds)++] = ends[0];
    }
    return 0;
}

static const struct parent_service services[] = {
    {"sum", sizeof(struct question), sizeof(long), serve_sum},
    {"files", sizeof(int), 0, serve_files},
};

static const char *const *hook(void *with, unsigned index)
{
    struct bed *bed = with;
    return index < bed->n_hooks ? bed->hook_args[index] : NULL;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void bed_init(struct bed *bed)
{
    memset(bed, 0, sizeof *bed);
    (void)snprintf(bed->folder, sizeof bed->folder, "/tmp/parent_test.XXXXXX");
    assert_non_null(mkdtemp(bed->folder));
    assert_int_equal(pipe2(bed->words, O_CLOEXEC), 0);
    assert_int_equal(pipe2(bed->hold, O_CLOEXEC), 0);
    bed->options = (struct parent_options){.services = services,
                                           .n_services = 2,
                                           .files = bed->files,
                                           .hook = hook,
                                           .say = say,
                                           .with = bed};
}

static void set_path(struct bed *bed, unsigned i, const char *name)
{
    char path[96];
    (void)snprintf(path, sizeof path, "%s/%s", bed->folder, name);
    memcpy(bed->path[i], path, sizeof path);
}

static unsigned add_hook(struct bed *bed, const char *script)
{
    unsigned i = bed->n_hooks++;
    char name[16];
    (void)snprintf(name, sizeof name, "hook%u", i);
    set_path(bed, i, name);
    if (script)
        write_file(bed->path[i], script, 0700);
    bed->hook_args[i][0] = bed->path[i];
    bed->hook_args[i][1] = "an argument; with $HOME";
    bed->hook_args[i][2] = bed->folder;
    return i;
}

static void bed_done(struct bed *bed)
{
    close(bed->words[0]);
    close(bed->words[1]);
    close(bed->hold[0]);
    close(bed->hold[1]);
    for (size_t i = 0; i < 8; i++)
        if (bed->path[i][0])
            unlink(bed->path[i]);
    char out[96];
    (void)snprintf(out, sizeof out, "%s/out", bed->folder);
    unlink(out);
    assert_int_equal(rmdir(bed->folder), 0);
}

/* Starts the program; `body` runs in the packet process, and gives its exit code. */
static pid_t start(struct bed *bed, int (*body)(struct bed *, struct parent *))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid)
        return pid;
    close(bed->hold[1]);
    struct parent *parent;
    struct err err;
    if (parent_start(&bed->options, &parent, &err) < 0)
        _exit(99);
    if (!parent_is_packet_process(parent)) {
        close(bed->hold[0]);
        _exit(parent_serve(parent));
    }
    int code = body(bed, parent);
    parent_free(parent);
    _exit(code);
}

/* Waits for its end, and reads all that was said. */
static int finish(struct bed *bed, pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(bed->words[1]);
    bed->words[1] = -1;
    size_t at = 0;
    ssize_t n;
    while ((n = read(bed->words[0], bed->said + at, sizeof bed->said - 1 - at)) > 0)
        at += (size_t)n;
    bed->said[at] = '\0';
    if (!WIFEXITED(status))
        fail_msg("ended by signal %d: %s", WTERMSIG(status), bed->said);
    return WEXITSTATUS(status);
}

/* In the packet process, where cmocka's jumps would not do. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            char line_[400];                                                                       \
            (void)snprintf(line_, sizeof line_, "line %d: %s (%s)", __LINE__, #what, err.text);    \
            tell(bed, line_);                                                                      \
            return 90;                                                                             \
        }                                                                                          \
    } while (0)

static int asks(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    struct question q = {20, 22};
    long sum = 0;
    CHECK(parent_ask(p, 0, &q, sizeof q, NULL, NULL, &sum, sizeof sum, &err) == 0 && sum == 42);
    q.first = -1;
    CHECK(parent_ask(p, 0, &q, sizeof q, NULL, NULL, &sum, sizeof sum, &err) == -EDOM);
    CHECK(strcmp(err.text, "negative numbers are not added") == 0 && sum == 42);
    CHECK(parent_ask(p, 0, &q, sizeof q - 1, NULL, NULL, &sum, sizeof sum, &err) == -EINVAL);
    CHECK(parent_ask(p, 2, &q, sizeof q, NULL, NULL, &sum, sizeof sum, &err) == -EPERM);
    CHECK(parent_ask(p, UINT32_MAX, &q, sizeof q, NULL, NULL, &sum, sizeof sum, &err) == -EPERM);
    int fds[PARENT_MAX_FDS], n = PARENT_MAX_FDS;
    size_t n_fds = PARENT_MAX_FDS;
    CHECK(parent_ask(p, 1, &n, sizeof n, fds, &n_fds, NULL, 0, &err) == 0);
    CHECK(n_fds == PARENT_MAX_FDS);
    for (int i = 0; i < PARENT_MAX_FDS; i++) {
        int got = -1;
        CHECK(read(fds[i], &got, sizeof got) == sizeof got && got == i);
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
    /* More than there is room for: refused, and nothing stays open. */
    int lowest = dup(0);
    close(lowest);
    n_fds = 1;
    n = 3;
    CHECK(parent_ask(p, 1, &n, sizeof n, fds, &n_fds, NULL, 0, &err) == -EMSGSIZE);
    int now = dup(0);
    CHECK(now == lowest);
    close(now);
    n = 0;
    n_fds = 1;
    CHECK(parent_ask(p, 1, &n, sizeof n, fds, &n_fds, NULL, 0, &err) == 0 && n_fds == 0);
    return 7;
}

static void test_questions_and_answers(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    int code = finish(&bed, start(&bed, asks));
    assert_string_equal(bed.said, "");
    assert_int_equal(code, 7);
    bed_done(&bed);
}

static int sends_nonsense(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    unsigned char bytes[PARENT_REQUEST_HEAD + 8];
    memset(bytes, 0xff, sizeof bytes);
    CHECK(send(p->fd, bytes, sizeof bytes, MSG_NOSIGNAL) == sizeof bytes);
    struct pollfd end = {.fd = parent_fd(p)};
    CHECK(poll(&end, 1, -1) == 1 && (end.revents & POLLHUP));
    struct question q = {1, 2};
    long sum;
    CHECK(parent_ask(p, 0, &q, sizeof q, NULL, NULL, &sum, sizeof sum, &err) == -EPIPE);
    return 0;
}

static int asks_for_unknown_kinds(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    for (uint32_t kind = PARENT_FILE; kind < 8; kind++) {
        struct parent_request request = {.kind = kind, .index = 1000};
        struct parent_reply reply;
        size_t n_fds;
        if (kind == PARENT_COUNTS)
            continue;
        CHECK(parent_send(p->fd, &request, PARENT_REQUEST_HEAD, NULL, 0) == 0);
        CHECK(parent_receive(p->fd, &reply, sizeof reply, NULL, 0, &n_fds) > 0);
        CHECK(reply.result == -EPERM || reply.result == -EINVAL);
        CHECK(reply.size == 0 && reply.text[0]);
    }
    return 0;
}

static void test_nonsense_is_refused(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    int code = finish(&bed, start(&bed, sends_nonsense));
    assert_string_equal(bed.said, "the packet process sent a request that is none\n");
    assert_int_equal(code, 0);
    bed_done(&bed);
    bed_init(&bed);
    code = finish(&bed, start(&bed, asks_for_unknown_kinds));
    assert_string_equal(bed.said, "");
    assert_int_equal(code, 0);
    bed_done(&bed);
}

static int asks_for_files(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    char text[16] = "";
    int fd = parent_open_file(p, 0, &err);
    CHECK(fd >= 0 && read(fd, text, sizeof text - 1) == 6 && strcmp(text, "secret") == 0);
    CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
    CHECK(parent_open_file(p, 1, &err) == -ENOENT && strstr(err.text, "/absent"));
    CHECK(parent_open_file(p, 2, &err) == -EINVAL);
    CHECK(parent_open_file(p, 3, &err) == -EPERM);
    return 0;
}

static void test_files_of_the_table_only(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    set_path(&bed, 6, "secret");
    set_path(&bed, 7, "absent");
    write_file(bed.path[6], "secret", 0600);
    bed.files[0] = bed.path[6];
    bed.files[1] = bed.path[7];
    bed.files[2] = bed.folder;
    bed.options.n_files = 3;
    int code = finish(&bed, start(&bed, asks_for_files));
    assert_string_equal(bed.said, "");
    assert_int_equal(code, 0);
    bed_done(&bed);
}

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

static int crashes(struct bed *bed, struct parent *p)
{
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would catch it */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)raise(SIGSEGV);
    return 0;
}

static int dies_of_term(struct bed *bed, struct parent *p)
{
    (void)raise(SIGTERM);
    return 0;
}

static void test_a_crash_is_said(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    int code = finish(&bed, start(&bed, crashes));
    assert_string_equal(bed.said,
                        "the packet process was ended by signal 11 (Segmentation fault)\n");
    assert_int_equal(code, 128 + SIGSEGV);
    bed_done(&bed);
    bed_init(&bed);
    code = finish(&bed, start(&bed, dies_of_term));
    assert_string_equal(bed.said, "");
    assert_int_equal(code, 128 + SIGTERM);
    bed_done(&bed);
}

static int sees_its_parent_die(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    tell(bed, "ready");
    struct pollfd end = {.fd = parent_fd(p)};
    CHECK(poll(&end, 1, -1) == 1 && (end.revents & POLLHUP));
    tell(bed, "alone");
    return 0;
}

static void expect(struct bed *bed, const char *want)
{
    char line[64] = "";
    size_t n = strlen(want);
    for (size_t at = 0; at < n;) {
        ssize_t got = read(bed->words[0], line + at, n - at);
        assert_true(got > 0);
        at += (size_t)got;
    }
    assert_string_equal(line, want);
}

static void test_the_parent_is_killed(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    pid_t pid = start(&bed, sees_its_parent_die);
    expect(&bed, "ready\n");
    assert_int_equal(kill(pid, SIGKILL), 0);
    expect(&bed, "alone\n");
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    bed_done(&bed);
}

/* Counts the signals of one kind until SIGUSR1 comes. */
static int counts_signals(struct bed *bed, struct parent *p)
{
    struct err err = {""};
    sigset_t mask;
    sigemptyset(&mask);
    for (int i = 1; i <= SIGTERM; i++)
        sigaddset(&mask, i);
    CHECK(sigprocmask(SIG_BLOCK, &mask, NULL) == 0);
    tell(bed, "ready");
    int n = 0, got;
    while (sigwait(&mask, &got) == 0 && got != SIGUSR1) {
        n++;
        tell(bed, strsignal(got));
    }
    return n;
}

static void test_signals_go_on(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    pid_t pid = start(&bed, counts_signals);
    expect(&bed, "ready\n");
    static const int sent[] = {SIGHUP, SIGTERM, SIGINT};
    for (size_t i = 0; i < 3; i++) {
        char want[64];
        assert_int_equal(kill(pid, sent[i]), 0);
        (void)snprintf(want, sizeof want, "%s\n", strsignal(sent[i]));
        expect(&bed, want);
    }
    assert_int_equal(kill(pid, SIGUSR1), 0);
    assert_int_equal(finish(&bed, pid), 3);
    bed_done(&bed);
}

static void test_ctrl_c_comes_once(void **state)
{
    (void)state;
    struct bed bed;
    bed_init(&bed);
    int master;
    pid_t shell = forkpty(&master, NULL, NULL, NULL); /* leads the terminal's session */
    assert_true(shell >= 0);
    if (shell == 0) {
        sigset_t mask;
        sigemptyset(&mask);
        sigaddset(&mask, SIGINT);
        (void)sigprocmask(SIG_BLOCK, &mask, NULL);
        pid_t pid = fork();
        if (pid == 0) {
            (void)sigprocmask(SIG_UNBLOCK, &mask, NULL);
            pid_t program = start(&bed, counts_signals);
            char line[32];
            int n = snprintf(line, sizeof line, "%08d\n", (int)program);
            if (write(bed.words[1], line, (size_t)n) != n)
                _exit(98);
            (void)signal(SIGINT, SIG_IGN);
            int status;
            (void)waitpid(program, &status, 0);
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 97);
        }
        int status;
        (void)waitpid(pid, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 96);
    }
    /* "ready" and the program's number come in either order. */
    char text[64] = "";
    for (size_t at = 0; at < 15;) {
        ssize_t n = read(bed.words[0], text + at, 15 - at);
        assert_true(n > 0);
        at += (size_t)n;
    }
    const char *digits = strpbrk(text, "0123456789");
    assert_non_null(digits);
    pid_t program = (pid_t)strtol(digits, NULL, 10);
    assert_int_equal(write(master, "\003", 1), 1);
    expect(&bed, "Interrupt\n");
    assert_int_equal(kill(program, SIGUSR1), 0);
    assert_int_equal(finish(&bed, shell), 1);
    close(master);
    bed_done(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions_and_answers),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_files_of_the_table_only),
        cmocka_unit_test(test_what_a_hook_sees),
        cmocka_unit_test(test_hooks_that_fail),
        cmocka_unit_test(test_hooks_that_do_not_end),
        cmocka_unit_test(test_a_hook_may_finish),
        cmocka_unit_test(test_a_crash_is_said),
        cmocka_unit_test(test_the_parent_is_killed),
        cmocka_unit_test(test_signals_go_on),
        cmocka_unit_test(test_ctrl_c_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
