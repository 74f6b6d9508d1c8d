/* Messages to a service manager, as a socket of the test's own hears them. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"

/* Binds a manager's socket, and sets NOTIFY_SOCKET to its name. */
static int manager(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, strlen(name));
    if (name[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0); /* allowed: the test is the manager */
    return fd;
}

static void hears(int fd, const char *want)
{
    char text[2048];
    ssize_t n = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    assert_true(n >= 0);
    text[n] = '\0';
    assert_string_equal(text, want);
}

static void forget(void)
{
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

static void test_all_messages(void **state)
{
    (void)state;
    char folder[] = "/tmp/notify.XXXXXX", path[64], abstract[64];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/socket", folder);
    (void)snprintf(abstract, sizeof abstract, "@cloudspan/notify_test/%d", (int)getpid());
    const char *const names[] = {path, abstract};
    for (int i = 0; i < 2; i++) {
        int fd = manager(names[i]);
        struct notify n;
        struct err err;
        assert_int_equal(notify_init(&n, &err), 0);
        assert_true(n.fd >= 0);
        assert_int_equal(n.watchdog, 0);
        notify_ready(&n, "3 inputs");
        hears(fd, "READY=1\nSTATUS=3 inputs");
        notify_ready(&n, NULL);
        hears(fd, "READY=1\n");
        notify_status(&n, "1 source\nMAINPID=1");
        hears(fd, "STATUS=1 source");
        notify_stopping(&n);
        hears(fd, "STOPPING=1");
        notify_watchdog(&n);
        hears(fd, "WATCHDOG=1");
        notify_done(&n);
        notify_watchdog(&n); /* does nothing */
        close(fd);
    }
    unlink(path);
    rmdir(folder);
    forget();
}

static void test_reloading_says_when(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof name, "@cloudspan/notify_test/%d/r", (int)getpid());
    int fd = manager(name);
    struct notify n;
    assert_int_equal(notify_init(&n, NULL), 0);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    notify_reloading(&n);
    clock_gettime(CLOCK_MONOTONIC, &after);
    char text[256] = "";
    assert_true(recv(fd, text, sizeof text - 1, MSG_DONTWAIT) > 0);
    static const char head[] = "RELOADING=1\nMONOTONIC_USEC=";
    assert_memory_equal(text, head, sizeof head - 1);
    long long usec = strtoll(text + sizeof head - 1, NULL, 10);
    assert_true(usec >= before.tv_sec * 1000000LL + before.tv_nsec / 1000);
    assert_true(usec <= after.tv_sec * 1000000LL + after.tv_nsec / 1000);
    notify_done(&n);
    close(fd);
    forget();
}

static void test_watchdog(void **state)
{
    (void)state;
    char name[64], pid[16], other[16];
    (void)snprintf(name, sizeof name, "@cloudspan/notify_test/%d/w", (int)getpid());
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)snprintf(other, sizeof other, "%d", (int)getpid() + 1);
    int fd = manager(name);
    const struct {
        const char *usec, *pid;
        int64_t want;
    } rows[] = {{"20000000", NULL, INT64_C(20000000000)},
                {"20000000", pid, INT64_C(20000000000)},
                {"20000000", other, 0},
                {"20000000", "x", 0},
                {"-1", NULL, 0},
                {"", NULL, 0},
                {"99999999999999999999", NULL, 0},
                {"12s", NULL, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        setenv("WATCHDOG_USEC", rows[i].usec, 1); /* allowed: the test is the manager */
        if (rows[i].pid)
            setenv("WATCHDOG_PID", rows[i].pid, 1); /* allowed: as above */
        else
            unsetenv("WATCHDOG_PID");
        struct notify n;
        assert_int_equal(notify_init(&n, NULL), 0);
        assert_int_equal(n.watchdog, rows[i].want);
        notify_done(&n);
    }
    close(fd);
    forget();
}

static void test_no_manager(void **state)
{
    (void)state;
    struct notify n;
    struct err err;
    forget();
    assert_int_equal(notify_init(&n, &err), 0);
    assert_int_equal(n.fd, -1);
    notify_ready(&n, "nobody hears");
    static const char *const wrong[] = {"socket", "/", "@", "/nonexistent/notify"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv("NOTIFY_SOCKET", wrong[i], 1); /* allowed: the test is the manager */
        assert_true(notify_init(&n, &err) < 0);
        assert_int_equal(n.fd, -1);
        assert_non_null(strstr(err.text, wrong[i]));
        notify_status(&n, "nobody hears");
    }
    char longer[300];
    memset(longer, 'x', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1); /* allowed: the test is the manager */
    assert_int_equal(notify_init(&n, &err), -EINVAL);
    forget();
}

static void test_manager_that_does_not_read(void **state)
{
    (void)state;
    char name[64];
    (void)snprintf(name, sizeof name, "@cloudspan/notify_test/%d/full", (int)getpid());
    int fd = manager(name);
    struct notify n;
    assert_int_equal(notify_init(&n, NULL), 0);
    for (int i = 0; i < 100000; i++) /* would wait for ever where it waited */
        notify_watchdog(&n);
    hears(fd, "WATCHDOG=1");
    close(fd);
    notify_watchdog(&n); /* the manager is gone: no SIGPIPE */
    notify_done(&n);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_messages),
        cmocka_unit_test(test_reloading_says_when),
        cmocka_unit_test(test_watchdog),
        cmocka_unit_test(test_no_manager),
        cmocka_unit_test(test_manager_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
