/* Starting a carrier in the background, and ending it: see carry.h.
 *
 *     caller ── fork ── setsid ── fork ── carrier: this program anew, as "mirror carry …"
 *        │                 └ ends          │ status file, ring, sockets, rights given up
 *        └──────── waits at a pipe ────────┘ "it runs", or why not
 *
 * The carrier is a new program, and not a copy of the caller: it shares no memory, no open files
 * and no locks with it, and a list of processes says what it is. */
#include "carry/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "carry/status.h"

#define READY_FD   3
#define PATIENCE   10000 /* ms that a carrier has to end */
#define LOOK_AFTER 20    /* ms between two looks, where the kernel has no pidfd */

void start_tell(int fd, int code, const struct err *err)
{
    struct start_word word = {.code = code};
    if (code < 0)
        word.why = *err;
    (void)!write(fd, &word, sizeof word); /* a caller that is gone needs no word */
    (void)close(fd);
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, ~0u, 0) == 0)
        return;
    for (int fd = first; fd < 65536; fd++) /* an old kernel */
        (void)close(fd);                   /* most are not open */
}

/* In the new process: nothing of the caller's stays but the pipe. Does not return. */
static void become(int pipe, char *const arguments[])
{
    char *const environment[] = {(char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};
    struct err err = {""};
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL); /* cannot fail */
    (void)umask(022);
    int null = open("/dev/null", O_RDWR);
    bool ok = null >= 0 && chdir("/") == 0;
    for (int fd = 0; fd < 3 && ok; fd++)
        ok = dup2(null, fd) == fd;
    if (ok && pipe != READY_FD)
        ok = dup2(pipe, READY_FD) == READY_FD;
    if (ok)
        ok = fcntl(READY_FD, F_SETFD, 0) == 0;
    if (ok) {
        close_from(READY_FD + 1);
        pipe = READY_FD;
        (void)execve("/proc/self/exe", arguments, environment);
    }
    int code = -errno;
    (void)err_set(&err, code, "starting a program anew: %s", strerror(-code));
    start_tell(pipe, code, &err);
    _exit(1);
}

/* Relative to the caller's folder, which the carrier does not stay in. */
static int make_absolute(char path[CARRY_PATH_MAX], struct err *err)
{
    char folder[CARRY_PATH_MAX], whole[2 * CARRY_PATH_MAX];
    if (path[0] == '/')
        return 0;
    if (!getcwd(folder, sizeof folder))
        return err_set(err, -errno, "status file %s: its folder: %s", path, strerror(errno));
    int len = snprintf(whole, sizeof whole, "%s/%s", folder, path);
    if (len >= CARRY_PATH_MAX)
        return err_set(err, -ENAMETOOLONG, "status file %s: its path is too long", whole);
    memcpy(path, whole, (size_t)len + 1);
    return 0;
}

/* What the carrier says; or that it ended without a word. */
static int hear(int pipe, struct err *err)
{
    struct start_word word;
    size_t size = 0;
    while (size < sizeof word) {
        ssize_t n = read(pipe, (char *)&word + size, sizeof word - size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, -EIO, "the mirror's process ended before it ran");
        size += (size_t)n;
    }
    word.why.text[sizeof word.why.text - 1] = 0;
    return word.code < 0 ? err_set(err, word.code, "%s", word.why.text) : 0;
}

int carry_start(const struct carry_options *options, struct err *err)
{
    struct carry_options own = *options;
    struct carry_arguments arguments;
    char *all[CARRY_MAX_ARGUMENTS + 2] = {(char[]){"cloudspan"}};
    int ends[2];
    int result = carry_check(&own, err);
    if (result == 0)
        result = make_absolute(own.status, err);
    if (result < 0)
        return result;
    own.ready_fd = READY_FD;
    carry_put_arguments(&own, &arguments);
    memcpy(all + 1, arguments.at, (arguments.n + 1) * sizeof *all);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, -errno, "starting a mirror: %s", strerror(errno));
    pid_t between = fork();
    if (between < 0) {
        result = err_set(err, -errno, "starting a mirror: %s", strerror(errno));
        (void)close(ends[0]); /* nothing was read, nothing written */
        (void)close(ends[1]);
        return result;
    }
    if (between == 0) {
        (void)setsid(); /* a child of a fork leads no group, so that it cannot fail */
        pid_t carrier = fork();
        if (carrier == 0)
            become(ends[1], all);
        _exit(carrier < 0 ? 1 : 0);
    }
    (void)close(ends[1]); /* the carrier's */
    while (waitpid(between, NULL, 0) < 0 && errno == EINTR)
        ;
    result = hear(ends[0], err);
    (void)close(ends[0]); /* only read */
    return result;
}

/* The process that holds the file's lock, so that nobody else gets the signal: its number could be
 * given to another process between two looks, but then that one would not hold the lock. -ESRCH:
 * nobody holds it. -ENOSYS: this kernel knows no such handles. */
static int open_holder(int fd, pid_t *out_pid)
{
    for (;;) {
        bool is_held;
        pid_t first, second;
        int code = status_holder(fd, &is_held, &first);
        if (code == 0 && !is_held)
            code = -ESRCH;
        if (code == 0 && first == 0)
            code = -EXDEV;
        if (code < 0)
            return code;
        *out_pid = first;
        int handle = (int)syscall(SYS_pidfd_open, first, 0);
        if (handle < 0 && errno != ESRCH)
            return -errno;
        code = status_holder(fd, &is_held, &second);
        if (code == 0 && is_held && second == first && handle >= 0)
            return handle;
        if (handle >= 0)
            (void)close(handle); /* of somebody else */
        if (code < 0)
            return code;
    }
}

static bool wait_unheld(int fd, int milliseconds)
{
    const struct timespec little = {.tv_nsec = LOOK_AFTER * 1000000};
    for (int passed = 0;; passed += LOOK_AFTER) {
        bool is_held;
        pid_t pid;
        if (status_holder(fd, &is_held, &pid) < 0 || !is_held)
            return true;
        if (passed >= milliseconds)
            return false;
        (void)nanosleep(&little, NULL); /* or a little less */
    }
}

static bool wait_gone(int handle, int milliseconds)
{
    struct pollfd one = {.fd = handle, .events = POLLIN};
    int64_t end = clock_ticks() + (int64_t)milliseconds * 1000000;
    for (;;) {
        int64_t left = (end - clock_ticks()) / 1000000;
        int n = poll(&one, 1, left > 0 ? (int)left : 0);
        if (n >= 0 || errno != EINTR)
            return n == 1;
    }
}

/* SIGTERM, and where that does not help in time, SIGKILL. */
static int end_holder(int fd)
{
    static const int signals[] = {SIGTERM, SIGKILL};
    pid_t pid = 0;
    int handle = open_holder(fd, &pid);
    if (handle == -ESRCH)
        return 0;
    if (handle < 0 && handle != -ENOSYS)
        return handle;
    int code = -ETIMEDOUT;
    for (int i = 0; i < 2 && code == -ETIMEDOUT; i++) {
        int done = handle >= 0 ? (int)syscall(SYS_pidfd_send_signal, handle, signals[i], NULL, 0)
                               : kill(pid, signals[i]);
        if (done < 0 && errno != ESRCH)
            code = -errno;
        else if (handle >= 0 ? wait_gone(handle, PATIENCE) : wait_unheld(fd, PATIENCE))
            code = 0;
    }
    if (handle >= 0)
        (void)close(handle); /* only a handle */
    return code;
}

int carry_stop(const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    int code = fd < 0 ? -errno : end_holder(fd);
    /* Nobody may begin with the file while it is removed: who waits for it looks whether it still
     * has its name. */
    if (code == 0)
        code = status_remove(fd, path);
    if (fd >= 0)
        (void)close(fd); /* with the lock */
    if (code == -EPERM || code == -EACCES)
        return err_set(err, code, "ending the mirror of %s: only root and its own user may", path);
    if (code == -EXDEV)
        return err_set(err, code, "ending the mirror of %s: it runs in another PID namespace",
                       path);
    if (code < 0)
        return err_set(err, code, "ending the mirror of %s: %s", path, strerror(-code));
    return 0;
}
