/* For unit tests: a network namespace of the test's own, with loopback and taps in it. */
#ifndef CAPTURE_NETNS_BED_H
#define CAPTURE_NETNS_BED_H

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "capture/live.h"

/* Brings an interface up or down. */
static inline int bed_set_up(const char *name, bool up)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int code = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -errno : 0;
    request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
    if (code == 0 && ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        code = -errno;
    (void)close(fd);
    return code;
}

/* False, and says why, where that is not allowed here. The process stays on one processor, so that
 * what was sent first has come first. */
static inline bool bed_enter_netns(void)
{
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) == 0)
        for (int i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &all)) {
                CPU_SET(i, &one);
                (void)sched_setaffinity(0, sizeof one, &one);
                break;
            }
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        printf("skipped: no network namespace of its own: %s\n", strerror(errno));
        return false;
    }
    int code = bed_set_up("lo", true);
    if (code < 0)
        printf("skipped: loopback does not come up: %s\n", strerror(-code));
    return code == 0;
}

/* Until all that was sent over loopback so far has come: on a busy machine another thread of the
 * kernel delivers it, later. It sends a datagram of its own, of this size. */
#define BED_LATEST_SIZE 150
static inline bool bed_latest(void)
{
    uint8_t bytes[BED_LATEST_SIZE] = {0};
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof here;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&here, size) == 0 &&
              getsockname(fd, (struct sockaddr *)&here, &size) == 0 &&
              sendto(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&here, size) > 0 &&
              recv(fd, bytes, sizeof bytes, 0) > 0;
    if (fd >= 0)
        (void)close(fd);
    return ok;
}

/* An interface whose other end is the descriptor: what is written comes in, what it sends is read.
 * `flags`: IFF_TAP or IFF_TUN. Negative errno: not to be had here. */
static inline int bed_tap(const char *name, int flags)
{
    struct ifreq request = {.ifr_flags = (short)(flags | IFF_NO_PI)};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    int code = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : bed_set_up(name, true);
    if (code < 0) {
        (void)close(fd);
        return code;
    }
    return fd;
}

/* Waits until one of the sources has something. */
static inline void bed_wait(struct live_source *const *sources, unsigned n)
{
    struct pollfd fds[64];
    for (unsigned i = 0; i < n && i < 64; i++)
        fds[i] = (struct pollfd){.fd = live_fd(sources[i]), .events = POLLIN};
    (void)poll(fds, n, -1);
}

#endif
