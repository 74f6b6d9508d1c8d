/* UDP sockets with IP_RECVERR: ICMP errors come through the socket's error queue, with the address
 * of who sent them (ip(7), ipv6(7)). This host's own ARP that gives up looks like an ICMP "host
 * unreachable" of its own. */
#include "source/canary_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/errqueue.h> /* behind time.h, which it needs */

static socklen_t to_sockaddr(const struct addr *a, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (addr_is_v4(a)) {
        struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&sin.sin_addr, a->b + 12, 4);
        memcpy(out, &sin, sizeof sin);
        return sizeof sin;
    }
    struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&sin6.sin6_addr, a->b, 16);
    memcpy(out, &sin6, sizeof sin6);
    return sizeof sin6;
}

static bool from_sockaddr(const void *bytes, size_t size, struct addr *out, uint16_t *out_port)
{
    struct sockaddr_in sin;
    struct sockaddr_in6 sin6;
    sa_family_t family = AF_UNSPEC;
    if (size >= sizeof family)
        memcpy(&family, bytes, sizeof family);
    if (family == AF_INET && size >= sizeof sin) {
        memcpy(&sin, bytes, sizeof sin);
        uint8_t four[4];
        memcpy(four, &sin.sin_addr, 4);
        *out = addr_v4(four);
        *out_port = ntohs(sin.sin_port);
        return true;
    }
    if (family == AF_INET6 && size >= sizeof sin6) {
        memcpy(&sin6, bytes, sizeof sin6);
        *out = addr_v6(sin6.sin6_addr.s6_addr);
        *out_port = ntohs(sin6.sin6_port);
        return true;
    }
    return false;
}

int canary_socket_open(const struct addr *from, const struct addr *to, uint16_t port,
                       struct addr *out_from, uint16_t *out_port, int *out_fd, struct err *err)
{
    const char *what = "opened";
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    bool is_v4 = addr_is_v4(to);
    int one = 1, rc = 0;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        goto out;
    what = "set up";
    if (setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_RECVERR : IPV6_RECVERR, &one,
                   sizeof one) < 0)
        goto out;
    if (from) {
        what = "bound to its source address";
        if (bind(fd, (struct sockaddr *)&name, to_sockaddr(from, 0, &name)) < 0)
            goto out;
    }
    what = "connected";
    if (connect(fd, (struct sockaddr *)&name, to_sockaddr(to, port, &name)) < 0)
        goto out;
    if (getsockname(fd, (struct sockaddr *)&name, &size) < 0)
        goto out;
    if (!from_sockaddr(&name, size, out_from, out_port)) {
        errno = EAFNOSUPPORT;
        goto out;
    }
    *out_fd = fd;
    return 0;
out:
    rc = -errno;
    if (fd >= 0)
        close(fd);
    return err_set(err, rc, "canary: its socket cannot be %s: %s", what, strerror(-rc));
}

/* ICMP types and codes, RFC 792, RFC 1812, RFC 4443. */
static enum canary_answer icmp4_says(uint8_t type, uint8_t code)
{
    if (type == 11)
        return CANARY_NO_ROUTE; /* it goes in circles */
    if (type != 3)
        return CANARY_NONE;
    switch (code) {
    case 1:
    case 7:
        return CANARY_HOST_GONE;
    case 0:
    case 5:
    case 6:
    case 11:
    case 12:
        return CANARY_NO_ROUTE;
    default:
        return CANARY_NONE; /* forbidden on the way: says nothing of the machine */
    }
}

static enum canary_answer icmp6_says(uint8_t type, uint8_t code)
{
    if (type == 3)
        return CANARY_NO_ROUTE;
    if (type != 1)
        return CANARY_NONE;
    return code == 3 ? CANARY_HOST_GONE : code == 0 || code == 2 ? CANARY_NO_ROUTE : CANARY_NONE;
}

static enum canary_answer error_says(struct msghdr *message, const struct addr *to,
                                     struct addr *out_by, bool *out_has_by)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        bool is_error = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                        (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        struct sock_extended_err ee;
        if (!is_error || c->cmsg_len < CMSG_LEN(sizeof ee))
            continue;
        memcpy(&ee, CMSG_DATA(c), sizeof ee);
        if (ee.ee_origin == SO_EE_ORIGIN_LOCAL)
            return ee.ee_errno == EHOSTUNREACH  ? CANARY_HOST_GONE
                   : ee.ee_errno == ENETUNREACH ? CANARY_NO_ROUTE
                                                : CANARY_NONE;
        if (ee.ee_origin != SO_EE_ORIGIN_ICMP && ee.ee_origin != SO_EE_ORIGIN_ICMP6)
            continue;
        uint16_t port;
        struct addr by;
        *out_has_by =
            from_sockaddr(CMSG_DATA(c) + sizeof ee, c->cmsg_len - CMSG_LEN(sizeof ee), &by, &port);
        if (*out_has_by)
            *out_by = by;
        /* Whatever it says, it is the machine that speaks. */
        if (*out_has_by && addr_eq(&by, to))
            return CANARY_REPLIED;
        return ee.ee_origin == SO_EE_ORIGIN_ICMP ? icmp4_says(ee.ee_type, ee.ee_code)
                                                 : icmp6_says(ee.ee_type, ee.ee_code);
    }
    return CANARY_NONE;
}

enum canary_answer canary_socket_hear(int fd, struct addr *out_by, bool *out_has_by)
{
    enum canary_answer answer = CANARY_NONE;
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    struct addr to = {{0}};
    uint16_t port;
    if (getpeername(fd, (struct sockaddr *)&name, &size) == 0)
        (void)from_sockaddr(&name, size, &to, &port); /* else nobody is the machine */
    for (int i = 0; i < 8; i++) {                     /* a stranger may send more: they wait */
        _Alignas(struct cmsghdr) char control[512];
        struct msghdr message = {.msg_control = control, .msg_controllen = sizeof control};
        if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            break;
        struct addr by;
        bool has_by = false;
        enum canary_answer says = error_says(&message, &to, &by, &has_by);
        if (says == CANARY_NONE || answer == CANARY_REPLIED)
            continue;
        answer = says;
        *out_has_by = has_by;
        if (has_by)
            *out_by = by;
    }
    /* A service that answers. The socket is connected: only the machine's port is heard. */
    uint8_t byte;
    for (int i = 0; i < 8 && recv(fd, &byte, 1, MSG_DONTWAIT) >= 0; i++)
        answer = CANARY_REPLIED;
    return answer;
}
