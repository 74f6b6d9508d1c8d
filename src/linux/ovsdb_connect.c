/* Where Open vSwitch's database is: see ovsdb_connect.h. The forms are those of ovs-vsctl --db. */
#include "linux/ovsdb_connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define DEFAULT_PORT "6640"

/* Of Debian's and Red Hat's packages, of older systems, of a build by hand. */
static const char *const folders[] = {"/run/openvswitch", "/var/run/openvswitch",
                                      "/usr/local/var/run/openvswitch"};

static int find_socket(char *out, size_t size, struct err *err)
{
    const char *told = getenv("OVS_RUNDIR");
    struct stat st;
    if (told && told[0]) {
        (void)snprintf(out, size, "%s/db.sock", told);
        return 0;
    }
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        (void)snprintf(out, size, "%s/db.sock", folders[i]);
        if (stat(out, &st) == 0)
            return 0;
    }
    return err_set(err, -ENOENT,
                   "no Open vSwitch is running here (there is no %s/db.sock); if its database is "
                   "elsewhere, name it with --db unix:PATH or --db tcp:HOST:PORT",
                   folders[0]);
}

int ovsdb_wait_socket(int fd, short events, int64_t deadline, const char *where, struct err *err)
{
    for (;;) {
        int64_t left = (deadline - clock_ticks() + 999999) / 1000000;
        struct pollfd ready = {fd, events, 0};
        int n = left > 0 ? poll(&ready, 1, left < 60000 ? (int)left : 60000) : 0;
        if (n > 0)
            return 0;
        if (n == 0 && left <= 0)
            return err_set(err, -ETIMEDOUT,
                           "Open vSwitch's database at %s does not answer: is ovsdb-server stopped "
                           "or overloaded?",
                           where);
        if (n < 0 && errno != EINTR)
            return err_set(err, -errno, "Open vSwitch's database at %s: %s", where,
                           strerror(errno));
    }
}

static int refused(const char *where, int why, struct err *err)
{
    switch (why) {
    case ENOENT:
    case ECONNREFUSED:
        return err_set(err, -why, "no Open vSwitch answers at %s: is ovsdb-server running?", where);
    case EACCES:
    case EPERM:
        return err_set(err, -why,
                       "Open vSwitch's database at %s: no permission; ask as root, or as a user "
                       "that may use its socket",
                       where);
    default:
        return err_set(err, -why, "Open vSwitch's database at %s: %s", where, strerror(why));
    }
}

static int connect_one(int family, const struct sockaddr *address, socklen_t size, int64_t deadline,
                       const char *where, int *out, struct err *err)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refused(where, errno, err);
    int result = 0, why = connect(fd, address, size) == 0 ? 0 : errno;
    /* A Unix socket whose queue is full says EAGAIN, and never becomes ready. */
    if (why == EINPROGRESS) {
        socklen_t len = sizeof why;
        result = ovsdb_wait_socket(fd, POLLOUT, deadline, where, err);
        if (!result && getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &len) < 0)
            why = errno;
    }
    if (!result && why)
        result = refused(where, why, err);
    if (result) {
        (void)close(fd);
        return result;
    }
    *out = fd;
    return 0;
}

static int connect_unix(const char *path, int64_t deadline, const char *where, int *out,
                        struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof address.sun_path)
        return err_set(err, -ENAMETOOLONG, "%s: the path has to have 1 to %zu characters", where,
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, len);
    return connect_one(AF_UNIX, (const struct sockaddr *)&address, sizeof address, deadline, where,
                       out, err);
}

/* HOST, HOST:PORT, [V6], [V6]:PORT. */
static bool split_host(const char *text, char host[OVSDB_WHERE_MAX], char port[8])
{
    bool bracket = text[0] == '[';
    const char *begin = bracket ? text + 1 : text;
    size_t len = strcspn(begin, bracket ? "]" : ":");
    const char *rest = begin + len;
    if (len == 0 || len >= OVSDB_WHERE_MAX || (bracket && *rest++ != ']'))
        return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    if (*rest && *rest++ != ':')
        return false;
    size_t n = strspn(rest, "0123456789");
    if (rest[n] || n > 5)
        return false;
    (void)snprintf(port, 8, "%s", n ? rest : DEFAULT_PORT);
    return true;
}

static int connect_tcp(const char *text, int64_t deadline, const char *where, int *out,
                       struct err *err)
{
    char host[OVSDB_WHERE_MAX], port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
    if (!split_host(text, host, port))
        return err_set(err, -EINVAL, "--db %s: write tcp:HOST:PORT, with an IPv6 address in []",
                       where);
    int why = getaddrinfo(host, port, &hints, &list);
    if (why)
        return err_set(err, -EHOSTUNREACH, "--db %s: %s", where, gai_strerror(why));
    int result = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a && result; a = a->ai_next)
        result = connect_one(a->ai_family, a->ai_addr, a->ai_addrlen, deadline, where, out, err);
    freeaddrinfo(list);
    return result;
}

int ovsdb_connect(const char *where, int64_t deadline, struct ovsdb_place *out_place, int *out_fd,
                  struct err *err)
{
    struct ovsdb_place place = {.is_local = true};
    int result;
    if (!where) {
        char path[OVSDB_WHERE_MAX - 8];
        result = find_socket(path, sizeof path, err);
        if (result)
            return result;
        (void)snprintf(place.where, sizeof place.where, "unix:%s", path);
    } else if (strlen(where) >= sizeof place.where) {
        return err_set(err, -ENAMETOOLONG, "--db: longer than %zu characters",
                       sizeof place.where - 1);
    } else {
        (void)snprintf(place.where, sizeof place.where, "%s", where);
    }
    if (strncmp(place.where, "unix:", 5) == 0) {
        result = connect_unix(place.where + 5, deadline, place.where, out_fd, err);
    } else if (strncmp(place.where, "tcp:", 4) == 0) {
        place.is_local = false;
        result = connect_tcp(place.where + 4, deadline, place.where, out_fd, err);
    } else if (strncmp(place.where, "ssl:", 4) == 0) {
        result = err_set(err, -EPROTONOSUPPORT,
                         "--db %s: TLS is not spoken here; run this on the machine itself, where "
                         "the database has a Unix socket",
                         place.where);
    } else {
        result = err_set(err, -EINVAL, "--db %s: write unix:PATH or tcp:HOST:PORT", place.where);
    }
    if (!result)
        *out_place = place;
    return result;
}
