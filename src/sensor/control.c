/* The watch's Unix socket, the server's side: see control.h. */
#include "sensor/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_TIME 5000000000ll
#define PENDING_MAX (96u << 20) /* bytes of answers that wait to be taken, of all clients */

struct client {
    int fd; /* -1: free */
    int64_t deadline;
    char request[CONTROL_REQUEST_MAX];
    size_t n_request;
    char *answer; /* NULL: the request is still to come */
    size_t size, at;
};

struct control {
    int listen_fd;
    struct control_options options;
    struct control_counters counters;
    size_t n_pending; /* bytes */
    struct client clients[CONTROL_CLIENTS];
};

/* ---- where it is ---- */

int control_path(bool is_root, const char *runtime_dir, const char *folder,
                 char out[CONTROL_PATH_MAX], struct err *err)
{
    int n;
    if (is_root)
        n = snprintf(out, CONTROL_PATH_MAX, "/run/cloudspan/watch.sock");
    else if (runtime_dir && runtime_dir[0] == '/')
        n = snprintf(out, CONTROL_PATH_MAX, "%s/cloudspan/watch.sock", runtime_dir);
    else
        n = snprintf(out, CONTROL_PATH_MAX, "%s/.watch.sock", folder && folder[0] ? folder : ".");
    if (n < 0 || n >= CONTROL_PATH_MAX)
        return err_set(
            err, -ENAMETOOLONG,
            "the socket's path would be longer than %d characters; name one with --socket",
            CONTROL_PATH_MAX - 1);
    return 0;
}

static int address_of(const char *path, struct sockaddr_un *out, struct err *err)
{
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof out->sun_path)
        return err_set(err, -ENAMETOOLONG, "socket %s: the path has to have 1 to %zu characters",
                       path, sizeof out->sun_path - 1);
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, len);
    return 0;
}

static int make_folder(const char *path, struct err *err)
{
    char folder[CONTROL_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (mkdir(folder, 0750) == 0 || errno == EEXIST)
        return 0;
    return err_set(err, -errno, "socket %s: can't make its folder: %s", path, strerror(errno));
}

/* Who can't connect to a socket's file finds nobody behind it. */
static int remove_if_dead(const char *path, const struct sockaddr_un *address, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(err, -errno, "socket %s: %s", path, strerror(errno));
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "%s is there and is no socket: move it away, or name another",
                       path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket %s: %s", path, strerror(errno));
    int failed = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 ? errno : 0;
    (void)close(fd);
    if (failed != ECONNREFUSED && failed != ENOENT)
        return err_set(err, -EADDRINUSE,
                       "socket %s: another cloudspan watch is running there (or it can't be asked)",
                       path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set(err, -errno, "socket %s: can't remove that of a dead watch: %s", path,
                       strerror(errno));
    return 0;
}

int control_listen(const char *path, struct err *err)
{
    struct sockaddr_un address;
    int failed = address_of(path, &address, err);
    if (failed == 0)
        failed = make_folder(path, err);
    if (failed == 0)
        failed = remove_if_dead(path, &address, err);
    if (failed < 0)
        return failed;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket %s: %s", path, strerror(errno));
    /* Before bind, so that it is never open to others; after it, against a umask that takes the
     * group's right away. */
    if (fchmod(fd, 0660) < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        chmod(path, 0660) < 0 || listen(fd, CONTROL_CLIENTS) < 0) {
        failed = err_set(err, -errno, "socket %s: %s", path, strerror(errno));
        (void)close(fd);
        return failed;
    }
    return fd;
}

/* ---- the server ---- */

struct control *control_new(int listen_fd, const struct control_options *options)
{
    struct control *control = calloc(1, sizeof *control);
    int flags = fcntl(listen_fd, F_GETFL);
    if (!control || flags < 0 || fcntl(listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        free(control);
        return NULL;
    }
    control->listen_fd = listen_fd;
    control->options = *options;
    if (control->options.client_time <= 0)
        control->options.client_time = CLIENT_TIME;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        control->clients[i].fd = -1;
    return control;
}

static void drop_client(struct control *control, struct client *client)
{
    (void)close(client->fd);
    free(client->answer);
    control->n_pending -= client->size;
    *client = (struct client){.fd = -1};
}

void control_free(struct control *control)
{
    if (!control)
        return;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i].fd >= 0)
            drop_client(control, &control->clients[i]);
    (void)close(control->listen_fd);
    free(control);
}

static struct client *free_client(struct control *control)
{
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i].fd < 0)
            return &control->clients[i];
    return NULL;
}

size_t control_fds(const struct control *control, struct pollfd out[CONTROL_FDS])
{
    size_t n = 0;
    bool is_full = true;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        const struct client *client = &control->clients[i];
        if (client->fd < 0)
            is_full = false;
        else
            out[n++] = (struct pollfd){client->fd, client->answer ? POLLOUT : POLLIN, 0};
    }
    if (!is_full)
        out[n++] = (struct pollfd){control->listen_fd, POLLIN, 0};
    return n;
}

int control_timeout(const struct control *control, int64_t ticks)
{
    int64_t first = INT64_MAX;
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i].fd >= 0 && control->clients[i].deadline < first)
            first = control->clients[i].deadline;
    if (first == INT64_MAX)
        return -1;
    int64_t left = first <= ticks ? 0 : (first - ticks) / 1000000 + 1;
    return left > INT_MAX ? INT_MAX : (int)left;
}

static void accept_clients(struct control *control, int64_t ticks)
{
    struct client *client;
    while ((client = free_client(control))) {
        int fd = accept4(control->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        *client = (struct client){.fd = fd, .deadline = ticks + control->options.client_time};
    }
}

static void answer_error(struct control *control, struct client *client, const char *text)
{
    char line[160];
    int n = snprintf(line, sizeof line, "{\"error\":\"%s\"}\n", text);
    client->answer = n > 0 ? strdup(line) : NULL;
    client->size = client->answer ? (size_t)n : 0;
    control->n_pending += client->size;
}

static void answer(struct control *control, struct client *client)
{
    static const struct {
        const char *word;
        enum control_request request;
    } words[] = {{"sources", CONTROL_SOURCES}, {"snapshot", CONTROL_SNAPSHOT}};
    size_t len = client->n_request;
    const char *end = memchr(client->request, '\n', len);
    if (end)
        len = (size_t)(end - client->request);
    if (len > 0 && client->request[len - 1] == '\r')
        len--;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].word) != len || memcmp(words[i].word, client->request, len) != 0)
            continue;
        if (control->n_pending > PENDING_MAX / 2) {
            answer_error(control, client, "too many ask at once");
            return;
        }
        client->answer =
            control->options.answer(words[i].request, &client->size, control->options.with);
        if (client->answer) {
            control->n_pending += client->size;
            control->counters.n_answered++;
        } else {
            client->size = 0;
            answer_error(control, client, "nothing is known yet");
        }
        return;
    }
    control->counters.n_misused++;
    answer_error(control, client, "the requests are: sources, snapshot");
}

/* False: the client is gone. */
static bool read_request(struct control *control, struct client *client)
{
    ssize_t n = recv(client->fd, client->request + client->n_request,
                     sizeof client->request - client->n_request, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    client->n_request += (size_t)n;
    if (n == 0 && client->n_request == 0)
        return false;
    if (n > 0 && !memchr(client->request, '\n', client->n_request) &&
        client->n_request < sizeof client->request)
        return true;
    answer(control, client);
    return client->answer != NULL;
}

/* False: all is written, or the client is gone. */
static bool write_answer(struct client *client)
{
    while (client->at < client->size) {
        ssize_t n =
            send(client->fd, client->answer + client->at, client->size - client->at, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        client->at += (size_t)n;
    }
    return false;
}

void control_serve(struct control *control, int64_t ticks)
{
    accept_clients(control, ticks);
    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        struct client *client = &control->clients[i];
        if (client->fd < 0)
            continue;
        bool stays = client->answer || read_request(control, client);
        if (stays && client->answer)
            stays = write_answer(client);
        if (stays && ticks >= client->deadline) {
            control->counters.n_slow++;
            stays = false;
        }
        if (!stays)
            drop_client(control, client);
    }
}

struct control_counters control_counters(const struct control *control)
{
    return control->counters;
}
