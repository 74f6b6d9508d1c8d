/* The watch's Unix socket, the side that asks: see control.h. */
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "sensor/control.h"

/* The group of the socket, or of its folder where that already keeps us out. */
static int not_allowed(const char *path, struct err *err)
{
    char folder[CONTROL_PATH_MAX];
    const char *slash = strrchr(path, '/');
    (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1,
                   slash ? path : ".");
    struct stat st;
    struct group group, *found = NULL;
    char room[4096];
    if ((stat(path, &st) == 0 || stat(folder, &st) == 0) &&
        getgrgid_r(st.st_gid, &group, room, sizeof room, &found) == 0 && found && st.st_gid != 0)
        return err_set(err, -EACCES,
                       "socket %s: no permission; it is open to the group %s (and to root): "
                       "usermod -aG %s $USER, then log in again",
                       path, found->gr_name, found->gr_name);
    return err_set(err, -EACCES,
                   "socket %s: no permission; ask as the user that runs the watch (sudo)", path);
}

static int no_watch(const char *path, int why, struct err *err)
{
    return err_set(err, -why,
                   "no cloudspan watch is running here (nobody answers at %s); if its socket is "
                   "elsewhere, name it with --socket",
                   path);
}

static int no_answer(const char *path, struct err *err)
{
    return err_set(err, -ETIMEDOUT,
                   "socket %s: the watch does not answer; is it stopped or overloaded?", path);
}

static int connect_to(const char *path, int *out, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path[0] || strlen(path) >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "socket %s: the path has to have 1 to %zu characters",
                       path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket %s: %s", path, strerror(errno));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        *out = fd;
        return 0;
    }
    int why = errno;
    (void)close(fd);
    switch (why) {
    case ENOENT:
    case ECONNREFUSED:
        return no_watch(path, why, err);
    case EACCES:
    case EPERM:
        return not_allowed(path, err);
    case EAGAIN:
        return no_answer(path, err);
    default:
        return err_set(err, -why, "socket %s: %s", path, strerror(why));
    }
}

/* 0: ready. */
static int wait_for(int fd, short events, int64_t deadline, const char *path, struct err *err)
{
    for (;;) {
        int64_t left = deadline - clock_ticks() / 1000000;
        struct pollfd ready = {fd, events, 0};
        int n = left > 0 ? poll(&ready, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return no_answer(path, err);
        if (errno != EINTR)
            return err_set(err, -errno, "socket %s: %s", path, strerror(errno));
    }
}

static int send_request(int fd, const char *request, int64_t deadline, const char *path,
                        struct err *err)
{
    char line[CONTROL_REQUEST_MAX];
    int len = snprintf(line, sizeof line, "%s\n", request);
    if (len < 0 || (size_t)len >= sizeof line)
        return err_set(err, -EINVAL, "the request is too long");
    for (int at = 0; at < len;) {
        ssize_t n = send(fd, line + at, (size_t)(len - at), MSG_NOSIGNAL);
        int failed = 0;
        if (n >= 0)
            at += (int)n;
        else if (errno == EAGAIN || errno == EINTR)
            failed = wait_for(fd, POLLOUT, deadline, path, err);
        else
            failed =
                err_set(err, -EPROTO, "socket %s: the watch hung up: %s", path, strerror(errno));
        if (failed < 0)
            return failed;
    }
    return 0;
}

static int receive(int fd, struct text *answer, int64_t deadline, const char *path, struct err *err)
{
    for (;;) {
        char bytes[16384];
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        int failed = 0;
        if (n == 0)
            return 0;
        if (n > 0)
            text_add(answer, bytes, (size_t)n);
        else if (errno == EAGAIN || errno == EINTR)
            failed = wait_for(fd, POLLIN, deadline, path, err);
        else
            failed =
                err_set(err, -EPROTO, "socket %s: the watch hung up: %s", path, strerror(errno));
        if (failed < 0)
            return failed;
        if (answer->failed)
            return err_set(err, -EMSGSIZE, "socket %s: the answer is longer than %zu bytes", path,
                           answer->max);
    }
}

int control_ask(const char *path, const char *request, size_t max, int timeout_ms, char **out_text,
                size_t *out_size, struct err *err)
{
    int64_t deadline = clock_ticks() / 1000000 + timeout_ms;
    struct text answer;
    int fd = -1;
    int failed = connect_to(path, &fd, err);
    text_init(&answer, max);
    if (failed == 0)
        failed = send_request(fd, request, deadline, path, err);
    if (failed == 0)
        failed = receive(fd, &answer, deadline, path, err);
    if (failed == 0 && (answer.size == 0 || answer.at[answer.size - 1] != '\n'))
        failed = answer.size || strcmp(request, "sources") != 0
                     ? err_set(err, -EPROTO, "socket %s: the answer ends early", path)
                     : 0;
    if (failed == 0 && answer.size >= 9 && memcmp(answer.at, "{\"error\":", 9) == 0)
        failed = err_set(err, -EPROTO, "socket %s: the watch says: %.*s", path,
                         (int)(answer.size - 1 < 200 ? answer.size - 1 : 200), answer.at);
    if (failed == 0) {
        *out_text = text_take(&answer, out_size);
        if (!*out_text)
            failed = err_set(err, -ENOMEM, "out of memory");
    }
    text_done(&answer);
    if (fd >= 0)
        (void)close(fd);
    return failed;
}
