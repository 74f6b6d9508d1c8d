/* Programs that the parent runs when something is wrong: at most a few at once, each with a time
 * limit, without a shell, and with an environment that has nothing of ours. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "log/writer.h"
#include "sensor/parent_parts.h"

#define SECOND          INT64_C(1000000000)
#define SECONDS_TO_KILL 2 /* between SIGTERM and SIGKILL */

/* From the packet process: it may lack its end, and hold anything. */
static void clean(char *text, size_t size)
{
    text[size - 1] = '\0';
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
}

struct hook_words {
    char machine[96], state[48], text[352], time[48];
    char json[6 * sizeof(struct parent_alarm) + 128];
    size_t json_size;
};

static char *add_member(char *at, const char *name, const char *value)
{
    size_t len = strlen(name);
    *at++ = ',';
    *at++ = '"';
    memcpy(at, name, len); /* a constant of ours; the room is counted */
    at += len;
    *at++ = '"';
    *at++ = ':';
    *at++ = '"';
    at = log_escape_json(at, str_c(value));
    *at++ = '"';
    return at;
}

static void make_words(const struct parent_alarm *from, struct hook_words *out)
{
    struct parent_alarm alarm = *from;
    clean(alarm.machine, sizeof alarm.machine);
    clean(alarm.state, sizeof alarm.state);
    clean(alarm.text, sizeof alarm.text);
    int64_t seconds = alarm.ts / SECOND, rest = alarm.ts % SECOND / 1000;
    if (rest < 0)
        rest = 0;
    (void)snprintf(out->machine, sizeof out->machine, "CLOUDSPAN_MACHINE=%s", alarm.machine);
    (void)snprintf(out->state, sizeof out->state, "CLOUDSPAN_STATE=%s", alarm.state);
    (void)snprintf(out->text, sizeof out->text, "CLOUDSPAN_TEXT=%s", alarm.text);
    (void)snprintf(out->time, sizeof out->time, "CLOUDSPAN_TIME=%" PRId64, seconds);
    int n = snprintf(out->json, sizeof out->json, "{\"ts\":%" PRId64 ".%06" PRId64, seconds, rest);
    char *at = out->json + n;
    at = add_member(at, "machine", alarm.machine);
    at = add_member(at, "state", alarm.state);
    at = add_member(at, "text", alarm.text);
    *at++ = '}';
    *at++ = '\n';
    out->json_size = (size_t)(at - out->json);
}

/* A file in memory that holds the object: a hook that does not read it holds nobody up. */
static int make_input(const struct hook_words *words)
{
    int fd = memfd_create("alarm", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (write(fd, words->json, words->json_size) != (ssize_t)words->json_size ||
        lseek(fd, 0, SEEK_SET) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    return fd;
}

static void close_from(int first)
{
    if (syscall(SYS_close_range, first, UINT_MAX, 0) == 0)
        return;
    long n = sysconf(_SC_OPEN_MAX);
    for (int fd = first; fd < (n > 0 && n < 65536 ? n : 65536); fd++)
        close(fd);
}

/* In the new process; never returns. `tell` gets the errno where the program cannot be run. */
static void become(const char *const *argv, struct hook_words *words, int input, int tell,
                   const sigset_t *mask)
{
    char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char language[] = "LANG=C.UTF-8";
    char *environment[] = {path,        language, words->machine, words->state, words->text,
                           words->time, NULL};
    /* A group of its own: all that it starts is ended with it, and no Ctrl-C meant for us. */
    (void)setpgid(0, 0);
    /* All out of the way of 0 to 3 first, whichever of them are open. */
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high = nothing < 0 ? -1 : fcntl(nothing, F_DUPFD_CLOEXEC, 10);
    input = fcntl(input, F_DUPFD_CLOEXEC, 10);
    int high_tell = fcntl(tell, F_DUPFD_CLOEXEC, 10);
    if (high < 0 || input < 0 || high_tell < 0)
        goto fail;
    tell = high_tell;
    /* What it says goes to the journal or a file, but not over the screen that watch draws. */
    if (dup2(input, 0) < 0 || dup2(high, 1) < 0 || (isatty(2) && dup2(high, 2) < 0) ||
        dup3(tell, 3, O_CLOEXEC) < 0)
        goto fail;
    tell = 3;
    close_from(4);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* refused for two of them, which cannot be ignored either */
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    umask(077);
    if (chdir("/") == 0) {
        /* execve takes no const, and changes nothing. */
        char *args[64];
        size_t n = 0;
        for (; argv[n] && n < 63; n++)
            memcpy(&args[n], &argv[n], sizeof args[n]);
        args[n] = NULL;
        errno = E2BIG;
        if (!argv[n])
            (void)execve(args[0], args, environment);
    }
fail:;
    int code = errno;
    (void)!write(tell, &code, sizeof code); /* nobody else to tell */
    _exit(127);
}

/* 0 when the program runs, else the errno that it could not be run with. */
static int wait_for_exec(int fd)
{
    int code = 0;
    ssize_t n;
    do
        n = read(fd, &code, sizeof code);
    while (n < 0 && errno == EINTR);
    return n == sizeof code ? (code > 0 ? code : EIO) : 0;
}

int hooks_start(struct hooks *hooks, unsigned index, const char *const *argv,
                const struct parent_alarm *alarm, int seconds, const sigset_t *mask,
                struct err *err)
{
    struct hook_run *run = NULL;
    for (int i = 0; i < HOOKS_AT_ONCE && !run; i++)
        if (!hooks->runs[i].pid)
            run = &hooks->runs[i];
    if (!run) {
        hooks->counts.n_refused++;
        return err_set(err, -EBUSY, "hook %s: %d hooks run already", argv[0], HOOKS_AT_ONCE);
    }
    if (argv[0][0] != '/') {
        hooks->counts.n_refused++;
        return err_set(err, -EINVAL, "hook %s: give the program with its whole path", argv[0]);
    }
    struct hook_words words;
    make_words(alarm, &words);
    int ends[2] = {-1, -1}, result = 0;
    int input = make_input(&words);
    if (input < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        result = err_set(err, input < 0 ? input : -errno, "hook %s: %s", argv[0],
                         strerror(input < 0 ? -input : errno));
        goto out;
    }
    pid_t pid = fork();
    if (pid == 0)
        become(argv, &words, input, ends[1], mask);
    if (pid < 0) {
        result = err_set(err, -errno, "hook %s: %s", argv[0], strerror(errno));
        goto out;
    }
    (void)setpgid(pid, pid); /* whoever of the two is first */
    close(ends[1]);
    ends[1] = -1;
    int code = wait_for_exec(ends[0]);
    if (code) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        result = err_set(err, -code, "hook %s cannot be run: %s", argv[0], strerror(code));
        goto out;
    }
    *run = (struct hook_run){.pid = pid,
                             .index = index,
                             .deadline = clock_ticks() + (seconds > 0 ? seconds : 30) * SECOND};
    hooks->counts.n_started++;
    hooks->counts.n_running++;
out:
    if (result)
        hooks->counts.n_refused++;
    if (input >= 0)
        close(input);
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    return result;
}

static void ended(struct hooks *hooks, struct hook_run *run, int status,
                  const struct parent_options *options)
{
    char text[256] = "";
    const char *const *argv = options->hook(options->with, run->index);
    const char *name = argv ? argv[0] : "that was taken out of the configuration";
    if (run->was_told) {
        hooks->counts.n_timed_out++;
        (void)snprintf(text, sizeof text, "hook %.150s was ended: it took too long", name);
    } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        hooks->counts.n_done++;
    } else {
        hooks->counts.n_failed++;
        if (WIFEXITED(status))
            (void)snprintf(text, sizeof text, "hook %.150s failed with exit code %d", name,
                           WEXITSTATUS(status));
        else
            (void)snprintf(text, sizeof text, "hook %.150s was ended by signal %d (%s)", name,
                           WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    hooks->counts.n_running--;
    *run = (struct hook_run){0};
    if (*text && options->say)
        options->say(options->with, NOTE_WARN, text);
}

int64_t hooks_turn(struct hooks *hooks, const struct parent_options *options)
{
    int64_t now = clock_ticks(), next = INT64_MAX;
    for (int i = 0; i < HOOKS_AT_ONCE; i++) {
        struct hook_run *run = &hooks->runs[i];
        if (!run->pid)
            continue;
        /* Looked at first and reaped last: until then the number is nobody else's, and what a late
         * hook left behind in its group can be ended. */
        siginfo_t facts = {0};
        if (waitid(P_PID, (id_t)run->pid, &facts, WEXITED | WNOHANG | WNOWAIT) == 0 &&
            facts.si_pid == run->pid) {
            int status;
            if (run->was_told)
                (void)kill(-run->pid, SIGKILL);
            if (waitpid(run->pid, &status, 0) == run->pid)
                ended(hooks, run, status, options);
            continue;
        }
        if (now >= run->deadline) {
            (void)kill(-run->pid, run->was_told ? SIGKILL : SIGTERM); /* ours, and not reaped */
            run->deadline = run->was_told ? INT64_MAX : now + SECONDS_TO_KILL * SECOND;
            run->was_told = true;
        }
        if (run->deadline < next)
            next = run->deadline;
    }
    return next;
}

void hooks_hurry(struct hooks *hooks)
{
    for (int i = 0; i < HOOKS_AT_ONCE; i++)
        if (hooks->runs[i].pid && !hooks->runs[i].was_told)
            hooks->runs[i].deadline = 0;
}
