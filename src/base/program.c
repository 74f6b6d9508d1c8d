/* Other people's programs: see program.h. */
#include "base/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"

#define OUT_MAX      (16u << 20)
#define SECONDS_MAX  30
#define PATH_SIZE    4096
#define USUAL_PLACES "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"

/* `folders`: as in PATH. Those that are not absolute are passed over: the current folder is
 * nowhere to look for programs that run as root. */
static bool look_in(const char *folders, const char *name, char *out, size_t size)
{
    while (folders && *folders) {
        size_t len = strcspn(folders, ":");
        int n = snprintf(out, size, "%.*s/%s", (int)len, folders, name);
        struct stat file;
        if (*folders == '/' && n > 0 && (size_t)n < size && stat(out, &file) == 0 &&
            S_ISREG(file.st_mode) && access(out, X_OK) == 0)
            return true;
        folders += len + (folders[len] == ':');
    }
    return false;
}

bool program_find(const char *name, char *out, size_t size)
{
    return look_in(getenv("PATH"), name, out, size) || look_in(USUAL_PLACES, name, out, size);
}

/* A file in memory, read from its beginning: the program may end without reading it, or open it by
 * name as /dev/stdin, which a socket would not stand. -1: none. */
static int make_input(const struct program *program)
{
    if (!program->in)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("input", MFD_CLOEXEC);
    const char *at = program->in;
    size_t left = program->in_size;
    while (fd >= 0 && left > 0) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
    if (fd >= 0 && (left > 0 || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

/* posix_spawn takes arguments without const, and leaves them as they are. */
static void put_argument(char **to, const char *argument)
{
    memcpy(to, &argument, sizeof argument);
}

static int spawn(const char *path, const struct program *program, const int fds[3], pid_t *out)
{
    char *arguments[PROGRAM_ARGUMENTS_MAX + 2] = {0}, *environment[3] = {0};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t none, all;
    put_argument(&environment[0], "PATH=" USUAL_PLACES);
    put_argument(&environment[1], "LC_ALL=C");
    put_argument(&arguments[0], program->name);
    for (size_t i = 0; program->arguments[i]; i++) {
        if (i == PROGRAM_ARGUMENTS_MAX)
            return -E2BIG;
        put_argument(&arguments[i + 1], program->arguments[i]);
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&how);
    /* What this process ignores or holds back is no business of the program. */
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    int result = program->is_users ? posix_spawnp(out, path, &actions, &how, arguments, environ)
                                   : posix_spawn(out, path, &actions, &how, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&how);
    return -result;
}

/* One line of what it complained about, for a sentence. */
static void tidy(const char *text, size_t size, char *out, size_t out_size)
{
    size_t n = 0;
    bool space = false;
    for (size_t i = 0; i < size && n + 2 < out_size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c == 0x7f) {
            space = n > 0;
            continue;
        }
        if (space)
            out[n++] = ' ';
        space = false;
        out[n++] = c < 0x80 ? (char)c : '?';
    }
    out[n] = '\0';
}

static int left_of(int64_t end)
{
    int64_t left = (end - clock_ticks()) / 1000000;
    return left < 0 ? 0 : (int)left;
}

/* Reads what it prints until both ends are closed. */
static int listen_to(const struct program *program, int out_fd, int err_fd, int64_t end,
                     struct text *out, struct text *complaint)
{
    struct pollfd polls[2] = {{.fd = out_fd, .events = POLLIN}, {.fd = err_fd, .events = POLLIN}};
    struct text *const texts[2] = {out, complaint};
    while (polls[0].fd >= 0 || polls[1].fd >= 0) {
        int ready = poll(polls, 2, left_of(end));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return -ETIME;
        for (int i = 0; i < 2; i++) {
            char bytes[16384];
            if (polls[i].fd < 0 || !polls[i].revents)
                continue;
            ssize_t n = read(polls[i].fd, bytes, sizeof bytes);
            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                polls[i].fd = -1; /* poll() passes over it */
            else
                text_add(texts[i], bytes, (size_t)n);
            if (program->is_secret)
                explicit_bzero(bytes, sizeof bytes);
        }
        if (out->failed)
            return -EFBIG;
    }
    return 0;
}

/* What would grow would leave parts of it behind. */
static void take_room(struct text *out)
{
    out->at = malloc(out->max + 1);
    out->capacity = out->at ? out->max + 1 : 0;
}

static void forget(struct text *out)
{
    if (out->at)
        explicit_bzero(out->at, out->capacity);
}

/* It may go on after it has closed what it prints to. */
static int wait_for(pid_t pid, int64_t end, int *out_status)
{
    for (;;) {
        pid_t done = waitpid(pid, out_status, WNOHANG);
        if (done == pid)
            return 0;
        if (done < 0 && errno != EINTR)
            return -errno;
        if (left_of(end) == 0)
            return -ETIME;
        (void)poll(NULL, 0, 2);
    }
}

static int run(const char *path, const struct program *program, const int fds[3], int out_fd,
               int err_fd, struct program_result *result, struct err *err)
{
    struct text out, complaint;
    unsigned seconds = program->seconds ? program->seconds : SECONDS_MAX;
    int64_t end = clock_ticks() + (int64_t)seconds * 1000000000;
    int status = 0;
    pid_t pid = 0;
    int code = spawn(path, program, fds, &pid);
    for (int i = 0; i < 3; i++) /* else their other ends never see the end */
        close(fds[i]);
    if (code < 0)
        return err_set(err, code, "%s: cannot be run: %s", path, strerror(-code));
    text_init(&out, program->out_max ? program->out_max : OUT_MAX);
    if (program->is_secret)
        take_room(&out);
    text_init(&complaint, 65536); /* what is more is not kept */
    code = listen_to(program, out_fd, err_fd, end, &out, &complaint);
    if (code == 0)
        code = wait_for(pid, end, &status);
    if (code < 0) {
        (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    tidy(complaint.at ? complaint.at : "", complaint.size, result->complaint,
         sizeof result->complaint);
    text_done(&complaint);
    result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (program->is_secret && (code < 0 || out.failed))
        forget(&out);
    if (code == 0) {
        result->out = text_take(&out, &result->out_size);
        code = result->out ? 0 : -ENOMEM;
    }
    text_done(&out);
    if (code == -ETIME)
        return err_set(err, code, "%s did not end within %u seconds and was killed", path, seconds);
    if (code == -EFBIG)
        return err_set(err, code, "%s printed more than fits", path);
    return code < 0 ? err_set(err, code, "%s: %s", path, strerror(-code)) : 0;
}

int program_run(const struct program *program, struct program_result *out, struct err *err)
{
    char path[PATH_SIZE];
    int printed[2] = {-1, -1}, complained[2] = {-1, -1};
    *out = (struct program_result){0};
    if (program->is_users)
        (void)snprintf(path, sizeof path, "%s", program->name);
    else if (!program_find(program->name, path, sizeof path))
        return err_set(err, -ENOENT, "%s is not installed: apt install %s", program->name,
                       program->package);
    int in = make_input(program);
    if (in < 0 || pipe2(printed, O_CLOEXEC) < 0 || pipe2(complained, O_CLOEXEC) < 0) {
        int code = -errno;
        const int fds[] = {in, printed[0], printed[1]};
        for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        return err_set(err, code, "%s: no pipe to it: %s", path, strerror(-code));
    }
    const int fds[3] = {in, printed[1], complained[1]};
    int code = run(path, program, fds, printed[0], complained[0], out, err);
    close(printed[0]);
    close(complained[0]);
    return code;
}

void program_forget(struct program_result *result)
{
    if (result->out)
        explicit_bzero(result->out, result->out_size);
    program_done(result);
}

void program_done(struct program_result *result)
{
    free(result->out);
    *result = (struct program_result){0};
}
