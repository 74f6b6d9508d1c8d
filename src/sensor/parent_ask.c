/* The packet process's side of parent.h, and the messages between the two. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sensor/parent_handle.h"

union control {
    char bytes[CMSG_SPACE(PARENT_MAX_FDS * sizeof(int))];
    struct cmsghdr align;
};

int parent_send(int fd, const void *bytes, size_t size, const int *fds, size_t n_fds)
{
    /* sendmsg changes nothing of what it sends, but its structure has no const. */
    struct iovec piece = {.iov_len = size};
    memcpy(&piece.iov_base, &bytes, sizeof bytes);
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    union control control = {0};
    if (n_fds > PARENT_MAX_FDS)
        return -E2BIG;
    if (n_fds) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
    }
    ssize_t n;
    do
        n = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

ssize_t parent_receive(int fd, void *bytes, size_t size, int *fds, size_t max_fds, size_t *n_fds)
{
    struct iovec piece = {.iov_base = bytes, .iov_len = size};
    union control control = {0};
    struct msghdr message = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    *n_fds = 0;
    ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == ECONNRESET ? 0 : -errno;
    bool too_many = message.msg_flags & (MSG_TRUNC | MSG_CTRUNC);
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n_here = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n_here; i++) {
            int one;
            memcpy(&one, CMSG_DATA(head) + i * sizeof one, sizeof one);
            if (*n_fds < max_fds) {
                fds[(*n_fds)++] = one;
            } else {
                close(one);
                too_many = true;
            }
        }
    }
    if (!too_many)
        return n;
    while (*n_fds > 0)
        close(fds[--*n_fds]);
    return -EMSGSIZE;
}

void parent_free(struct parent *p)
{
    if (!p)
        return;
    close(p->fd);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
}

int parent_fd(const struct parent *p)
{
    return p->fd;
}

static int ask(struct parent *p, struct parent_request *request, const void *body, size_t size,
               int *fds, size_t *n_fds, void *out, size_t out_size, struct err *err)
{
    struct parent_reply reply;
    size_t n_came = 0;
    if (size > sizeof request->body || out_size > sizeof reply.body)
        return err_set(err, -EMSGSIZE, "a request or reply of more than %d bytes", PARENT_MAX_SIZE);
    request->size = (uint32_t)size;
    if (size)
        memcpy(request->body, body, size);
    (void)pthread_mutex_lock(&p->lock);
    ssize_t n = parent_send(p->fd, request, PARENT_REQUEST_HEAD + size, NULL, 0);
    if (n == 0)
        do
            n = parent_receive(p->fd, &reply, sizeof reply, fds, n_fds ? *n_fds : 0, &n_came);
        while (n == -EINTR);
    (void)pthread_mutex_unlock(&p->lock);
    if (n <= 0)
        return err_set(err, n == -EMSGSIZE ? -EMSGSIZE : -EPIPE,
                       n == -EMSGSIZE
                           ? "the parent process sent more than fits (or descriptors that there "
                             "was no room for: raise the limit of open files, ulimit -n)"
                           : "the parent process has gone");
    if (n < (ssize_t)PARENT_REPLY_HEAD || (size_t)n - PARENT_REPLY_HEAD != reply.size ||
        (!reply.result && reply.size != out_size)) {
        while (n_came > 0)
            close(fds[--n_came]);
        return err_set(err, -EBADMSG, "the parent process answered something else");
    }
    if (reply.result) {
        reply.text[sizeof reply.text - 1] = '\0';
        return err_set(err, reply.result, "%s", reply.text);
    }
    if (n_fds)
        *n_fds = n_came;
    if (out_size)
        memcpy(out, reply.body, out_size);
    return 0;
}

int parent_ask(struct parent *p, unsigned service, const void *request, size_t request_size,
               int *fds, size_t *n_fds, void *reply, size_t reply_size, struct err *err)
{
    struct parent_request head = {.kind = PARENT_SERVICE, .index = service};
    return ask(p, &head, request, request_size, fds, n_fds, reply, reply_size, err);
}

int parent_open_file(struct parent *p, unsigned index, struct err *err)
{
    struct parent_request head = {.kind = PARENT_FILE, .index = index};
    int fd;
    size_t n_fds = 1;
    int result = ask(p, &head, NULL, 0, &fd, &n_fds, NULL, 0, err);
    if (result)
        return result;
    return n_fds == 1 ? fd : err_set(err, -EBADMSG, "the parent process sent no file");
}

int parent_run_hook(struct parent *p, unsigned index, const struct parent_alarm *alarm,
                    struct err *err)
{
    struct parent_request head = {.kind = PARENT_HOOK, .index = index};
    return ask(p, &head, alarm, sizeof *alarm, NULL, NULL, NULL, 0, err);
}

int parent_hook_counts(struct parent *p, struct parent_hook_counts *out, struct err *err)
{
    struct parent_request head = {.kind = PARENT_COUNTS};
    return ask(p, &head, NULL, 0, NULL, NULL, out, sizeof *out, err);
}
