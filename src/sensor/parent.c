/* The privileged parent: see parent.h. The side of the packet process is in parent_ask.c. */
#include "sensor/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sensor/parent_handle.h"

static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGUSR1, SIGUSR2};
#define N_FORWARDED (sizeof forwarded / sizeof *forwarded)

static void say(const struct parent *p, enum note_level level, const char *text)
{
    if (p->options->say)
        p->options->say(p->options->with, level, text);
}

int parent_start(const struct parent_options *options, struct parent **out, struct err *err)
{
    int ends[2];
    struct parent *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, -ENOMEM, "no memory");
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        int code = -errno;
        free(p);
        return err_set(err, code, "socketpair: %s", strerror(-code));
    }
    p->options = options;
    p->signals = -1;
    /* Held back from before the fork, so that none is lost between it and parent_serve. */
    sigset_t mask;
    sigemptyset(&mask);
    for (size_t i = 0; i < N_FORWARDED; i++)
        sigaddset(&mask, forwarded[i]);
    sigaddset(&mask, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &mask, &p->old_mask);
    (void)fflush(NULL); /* or both would write what is held */
    pid_t pid = fork();
    if (pid < 0) {
        int code = -errno;
        (void)sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
        close(ends[0]);
        close(ends[1]);
        free(p);
        return err_set(err, code, "fork: %s", strerror(-code));
    }
    p->child = pid;
    p->fd = ends[pid == 0];
    close(ends[pid != 0]);
    if (pid == 0) {
        (void)pthread_mutex_init(&p->lock, NULL); /* cannot fail without attributes */
        (void)sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
    } else {
        /* A packet process that does not read its answers must not hold the parent up. */
        (void)fcntl(p->fd, F_SETFL, O_NONBLOCK);
        p->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (p->signals < 0) {
            int code = -errno;
            (void)kill(pid, SIGKILL); /* ours, and not reaped */
            (void)waitpid(pid, NULL, 0);
            (void)sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
            close(p->fd);
            free(p);
            return err_set(err, code, "signalfd: %s", strerror(-code));
        }
    }
    *out = p;
    return 0;
}

bool parent_is_packet_process(const struct parent *p)
{
    return p->child == 0;
}

static int open_file(const struct parent *p, unsigned index, int *out, struct err *err)
{
    if (index >= p->options->n_files)
        return err_set(err, -EPERM, "the packet process asked for a file that it may not have");
    const char *path = p->options->files[index];
    /* Not waited for: the name may belong to a pipe by now. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, -errno, "%s: %s", path, strerror(errno));
    struct stat facts;
    if (fstat(fd, &facts) < 0 || !S_ISREG(facts.st_mode)) {
        close(fd);
        return err_set(err, -EINVAL, "%s is not a file", path);
    }
    *out = fd;
    return 0;
}

static int run_hook(struct parent *p, const struct parent_request *request, struct err *err)
{
    struct parent_alarm alarm;
    if (request->size != sizeof alarm)
        return err_set(err, -EINVAL, "an alarm of the wrong size");
    memcpy(&alarm, request->body, sizeof alarm);
    const char *const *argv =
        p->options->hook ? p->options->hook(p->options->with, request->index) : NULL;
    if (!argv || !argv[0]) {
        p->hooks.counts.n_refused++;
        return err_set(err, -EPERM, "there is no hook %u", request->index);
    }
    return hooks_start(&p->hooks, request->index, argv, &alarm, p->options->hook_seconds,
                       &p->old_mask, err);
}

static int serve_one(struct parent *p, const struct parent_request *request, int *fds,
                     size_t *n_fds, struct parent_reply *reply, struct err *err)
{
    int result;
    switch (request->kind) {
    case PARENT_SERVICE: {
        if (request->index >= p->options->n_services)
            return err_set(err, -EPERM, "the packet process asked for what there is not");
        const struct parent_service *service = &p->options->services[request->index];
        if (request->size != service->request_size || service->reply_size > PARENT_MAX_SIZE)
            return err_set(err, -EINVAL, "%s: a request of the wrong size", service->name);
        result = service->serve(p->options->with, request->body, fds, n_fds, reply->body, err);
        if (!result)
            reply->size = (uint32_t)service->reply_size;
        return result;
    }
    case PARENT_FILE:
        result = open_file(p, request->index, &fds[0], err);
        if (!result)
            *n_fds = 1;
        return result;
    case PARENT_HOOK:
        return run_hook(p, request, err);
    case PARENT_COUNTS:
        reply->size = sizeof p->hooks.counts;
        memcpy(reply->body, &p->hooks.counts, sizeof p->hooks.counts);
        return 0;
    }
    return err_set(err, -EPERM, "the packet process asked for what there is not");
}

/* Answers one request; false: the packet process has closed its end, or breaks the rules. */
static bool answer(struct parent *p)
{
    struct parent_request request;
    size_t n_sent = 0;
    ssize_t n = parent_receive(p->fd, &request, sizeof request, NULL, 0, &n_sent);
    if (n == -EINTR || n == -EAGAIN)
        return true;
    if (n < (ssize_t)PARENT_REQUEST_HEAD || request.size != (size_t)n - PARENT_REQUEST_HEAD) {
        if (n)
            say(p, NOTE_WARN, "the packet process sent a request that is none");
        return false;
    }
    memset(request.body + request.size, 0, sizeof request.body - request.size);
    struct parent_reply reply = {0};
    struct err err = {""};
    int fds[PARENT_MAX_FDS];
    size_t n_fds = 0;
    reply.result = serve_one(p, &request, fds, &n_fds, &reply, &err);
    if (reply.result) {
        reply.size = 0;
        memcpy(reply.text, err.text, sizeof reply.text);
    }
    int sent = parent_send(p->fd, &reply, PARENT_REPLY_HEAD + reply.size, fds, n_fds);
    for (size_t i = 0; i < n_fds; i++)
        close(fds[i]);
    return sent == 0;
}

/* Ctrl-C at a terminal is sent by the kernel to all of the group that stands in front, so the
 * packet process has it already. */
static bool has_it_already(const struct parent *p, const struct signalfd_siginfo *signal)
{
    return signal->ssi_code == SI_KERNEL && getpgid(p->child) == getpgrp();
}

/* True when the packet process has ended; *out_status is then what waitpid said. */
static bool take_signals(struct parent *p, int *out_status)
{
    struct signalfd_siginfo signal;
    while (read(p->signals, &signal, sizeof signal) == sizeof signal)
        if (signal.ssi_signo != SIGCHLD && !has_it_already(p, &signal))
            (void)kill(p->child, (int)signal.ssi_signo); /* not reaped yet: still ours */
    return waitpid(p->child, out_status, WNOHANG) == p->child;
}

static int until_ms(int64_t deadline)
{
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - clock_ticks();
    return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

static int exit_code(const struct parent *p, int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int signal = WTERMSIG(status);
    if (p->options->crashed)
        p->options->crashed(p->options->with);
    if (signal != SIGINT && signal != SIGTERM) {
        char text[160];
        (void)snprintf(text, sizeof text, "the packet process was ended by signal %d (%s)%s",
                       signal, strsignal(signal),
                       signal == SIGSYS ? ": it tried what its sandbox forbids" : "");
        say(p, NOTE_ERROR, text);
    }
    return 128 + signal;
}

int parent_serve(struct parent *p)
{
    int status = 0;
    bool ended = false, asked_to_end = false;
    while (!ended || p->hooks.counts.n_running > 0) {
        int64_t next = hooks_turn(&p->hooks, p->options);
        if (ended && !p->hooks.counts.n_running)
            break;
        struct pollfd polls[2] = {{.fd = p->signals, .events = POLLIN},
                                  {.fd = p->fd, .events = POLLIN}};
        if (poll(polls, 2, until_ms(next)) < 0 && errno != EINTR)
            break;
        if (polls[1].revents && !answer(p)) {
            close(p->fd); /* the packet process sees it, and ends */
            p->fd = -1;   /* poll passes over it */
        }
        if (!ended) {
            ended = take_signals(p, &status);
            continue;
        }
        /* The packet process is gone and a hook still runs: what tells us to end, tells it. */
        struct signalfd_siginfo signal;
        while (read(p->signals, &signal, sizeof signal) == sizeof signal)
            asked_to_end |= signal.ssi_signo == SIGINT || signal.ssi_signo == SIGTERM;
        if (asked_to_end)
            hooks_hurry(&p->hooks);
    }
    if (!ended) /* poll failed: wait for the end without serving */
        while (waitpid(p->child, &status, 0) < 0 && errno == EINTR)
            ;
    int code = exit_code(p, status);
    close(p->signals);
    if (p->fd >= 0)
        close(p->fd);
    (void)sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
    free(p);
    return code;
}
