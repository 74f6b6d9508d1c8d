/* Messages to a service manager: see notify.h. Each is one datagram of lines NAME=value. */
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define STATUS_MAX 512

static bool number_of(const char *text, uint64_t max, uint64_t *out)
{
    if (!text || *text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || v > max)
        return false;
    *out = v;
    return true;
}

static int64_t watchdog_interval(void)
{
    uint64_t usec, pid;
    if (!number_of(getenv("WATCHDOG_USEC"), (uint64_t)INT64_MAX / 1000, &usec))
        return 0;
    const char *for_whom = getenv("WATCHDOG_PID");
    if (for_whom && (!number_of(for_whom, INT32_MAX, &pid) || (pid_t)pid != getpid()))
        return 0;
    return (int64_t)usec * 1000;
}

int notify_init(struct notify *out, struct err *err)
{
    *out = (struct notify){.fd = -1};
    const char *name = getenv("NOTIFY_SOCKET");
    if (!name || !*name)
        return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof address.sun_path)
        return err_set(err, -EINVAL, "NOTIFY_SOCKET=%s names no socket", name);
    memcpy(address.sun_path, name, len);
    if (name[0] == '@') /* the abstract name space: begins with NUL, and has no end but its size */
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket for NOTIFY_SOCKET: %s", strerror(errno));
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (connect(fd, (const struct sockaddr *)&address, size) < 0) {
        int code = -errno;
        close(fd);
        return err_set(err, code, "NOTIFY_SOCKET=%s: %s", name, strerror(-code));
    }
    out->fd = fd;
    out->watchdog = watchdog_interval();
    return 0;
}

void notify_done(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    *notify = (struct notify){.fd = -1};
}

static void tell(const struct notify *notify, const char *text)
{
    if (notify->fd < 0)
        return;
    /* Not waited for: a manager that does not read must not stop the packets. */
    (void)!send(notify->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void tell_status(const struct notify *notify, const char *first, const char *status)
{
    char text[STATUS_MAX];
    size_t len = status ? strcspn(status, "\r\n") : 0;
    (void)snprintf(text, sizeof text, "%s%s%.*s", first, status ? "STATUS=" : "", (int)len,
                   status ? status : "");
    tell(notify, text);
}

void notify_ready(const struct notify *notify, const char *status)
{
    tell_status(notify, "READY=1\n", status);
}

void notify_status(const struct notify *notify, const char *status)
{
    tell_status(notify, "", status);
}

void notify_reloading(const struct notify *notify)
{
    char text[96];
    (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                   (long long)(clock_ticks() / 1000));
    tell(notify, text);
}

void notify_stopping(const struct notify *notify)
{
    tell(notify, "STOPPING=1");
}

void notify_watchdog(const struct notify *notify)
{
    tell(notify, "WATCHDOG=1");
}
