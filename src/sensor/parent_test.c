/* The privileged parent: what it answers, what it refuses, what it runs, and how both end. Each
 * test makes a program of its own (parent and packet process), and looks at its end. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "sensor/parent_bed.h"

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
    assert_string_equal(
        bed.said, "crashed\nthe packet process was ended by signal 11 (Segmentation fault)\n");
    assert_int_equal(code, 128 + SIGSEGV);
    bed_done(&bed);
    bed_init(&bed);
    code = finish(&bed, start(&bed, dies_of_term));
    assert_string_equal(bed.said, "crashed\n");
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
            (void)signal(SIGINT, SIG_IGN); /* before anybody knows that it can be sent */
            char line[32];
            int n = snprintf(line, sizeof line, "%08d\n", (int)program);
            if (write(bed.words[1], line, (size_t)n) != n)
                _exit(98);
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
        cmocka_unit_test(test_questions_and_answers),   cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_files_of_the_table_only), cmocka_unit_test(test_a_crash_is_said),
        cmocka_unit_test(test_the_parent_is_killed),    cmocka_unit_test(test_signals_go_on),
        cmocka_unit_test(test_ctrl_c_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
