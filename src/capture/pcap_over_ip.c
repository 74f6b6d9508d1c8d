/* Connects to whoever sends a capture. */
#include "capture/pcap_over_ip.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define TIMEOUT_MS 5000
/* A sender that is gone without a word is noticed after about this many seconds. */
#define IDLE_SECONDS     30
#define INTERVAL_SECONDS 10
#define N_PROBES         3

static int wait_connected(int fd, int64_t until)
{
    for (;;) {
        int64_t left = until - clock_ticks() / 1000000;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        int ready = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return -errno;
        if (ready == 0)
            return -ETIMEDOUT;
        int code = 0;
        socklen_t size = sizeof code;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0)
            return -errno;
        return -code;
    }
}

/* Nothing is ever sent, so that only these notice when the sender is gone. They may fail. */
static void keep_alive(int fd)
{
    static const struct {
        int level, name, value;
    } settings[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, IDLE_SECONDS},
        {IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_SECONDS},
        {IPPROTO_TCP, TCP_KEEPCNT, N_PROBES},
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        (void)setsockopt(fd, settings[i].level, settings[i].name, &settings[i].value, sizeof(int));
}

static int connect_one(const struct addrinfo *to, int64_t until, int *out)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    int code = connect(fd, to->ai_addr, to->ai_addrlen) < 0 ? -errno : 0;
    if (code == -EINPROGRESS)
        code = wait_connected(fd, until);
    if (code < 0) {
        (void)close(fd); /* nothing was read */
        return code;
    }
    keep_alive(fd);
    *out = fd;
    return 0;
}

int pcap_over_ip_open(const struct pcap_over_ip_options *options, int *out_fd, struct err *err)
{
    unsigned port = options->port > 0 ? options->port : PCAP_OVER_IP_PORT;
    unsigned timeout = options->timeout_ms > 0 ? options->timeout_ms : TIMEOUT_MS;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8];
    (void)snprintf(service, sizeof service, "%u", port); /* fits */
    int result = getaddrinfo(options->host, service, &hints, &found);
    if (result != 0)
        return err_set(err, result == EAI_SYSTEM ? -errno : -ENOENT, "PCAP over IP from %s: %s",
                       options->host, gai_strerror(result));
    int64_t until = clock_ticks() / 1000000 + timeout;
    int code = -EADDRNOTAVAIL;
    for (const struct addrinfo *to = found; to && code < 0; to = to->ai_next)
        code = connect_one(to, until, out_fd);
    freeaddrinfo(found);
    if (code < 0)
        return err_set(err, code, "PCAP over IP from %s port %u: %s", options->host, port,
                       strerror(-code));
    return 0;
}
