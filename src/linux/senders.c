/* Who sends to us: see senders.h. Raw sockets get a copy of each packet, with its IPv4 header,
 * whoever else has the port. */
#include "linux/senders.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reader.h"

#define IP_GRE     47
#define IP_UDP     17
#define MAX_PORTS  8
#define PACKET_MAX 2048 /* the headers are all that is read */
#define GRE_SUM    0x8000
#define GRE_KEY    0x2000

static void count(struct linux_senders *senders, const struct linux_sender *one, size_t size)
{
    struct linux_sender *at = NULL;
    for (size_t i = 0; i < senders->n && !at; i++) {
        struct linux_sender *s = &senders->list[i];
        if (addr_eq(&s->from, &one->from) && s->port == one->port && s->gre_type == one->gre_type &&
            s->has_id == one->has_id && s->id == one->id)
            at = s;
    }
    if (!at && senders->n < LINUX_SENDERS_MAX) {
        at = &senders->list[senders->n++];
        *at = *one;
    }
    if (!at) {
        senders->n_more++;
        return;
    }
    at->n_packets++;
    at->n_bytes += size;
    if (size > at->largest)
        at->largest = (uint32_t)size;
}

/* VXLAN: flags u8, 24 reserved, VNI u24, 8 reserved. GENEVE: version and options u8, flags u8,
 * protocol u16, VNI u24, 8 reserved. The VNI is at the same place. */
static void take_payload(struct linux_sender *one, struct reader payload)
{
    rd_skip(&payload, 4);
    one->id = rd_be24(&payload);
    one->has_id = rd_ok(&payload);
    if (!one->has_id)
        one->id = 0;
}

static bool is_wanted(uint16_t port, const uint16_t *ports)
{
    for (; *ports; ports++)
        if (*ports == port)
            return true;
    return false;
}

void linux_take_sender(struct linux_senders *senders, const void *packet, size_t size,
                       const uint16_t *ports)
{
    struct reader r = rd_make(packet, size);
    struct linux_sender one = {0};
    uint8_t version = rd_u8(&r);
    rd_skip(&r, 1);
    uint16_t total = rd_be16(&r);
    rd_skip(&r, 2);
    uint16_t fragment = rd_be16(&r);
    rd_skip(&r, 1);
    uint8_t protocol = rd_u8(&r);
    rd_skip(&r, 2);
    const uint8_t *from = rd_bytes(&r, 4);
    rd_skip(&r, 4);
    unsigned head = (version & 15u) * 4;
    if (!rd_ok(&r) || version >> 4 != 4 || head < 20 || (fragment & 0x1fff))
        return;
    rd_skip(&r, head - 20);
    one.from = addr_v4(from);
    if (protocol == IP_UDP) {
        rd_skip(&r, 2);
        one.port = rd_be16(&r);
        rd_skip(&r, 4);
        if (!rd_ok(&r) || !is_wanted(one.port, ports))
            return;
        take_payload(&one, r);
    } else if (protocol == IP_GRE) {
        uint16_t flags = rd_be16(&r);
        one.gre_type = rd_be16(&r);
        if (!rd_ok(&r))
            return;
        if (flags & GRE_SUM)
            rd_skip(&r, 4);
        one.has_id = (flags & GRE_KEY) != 0;
        one.id = one.has_id ? rd_be32(&r) : 0;
    } else {
        return;
    }
    count(senders, &one, total > size ? total : size);
}

static int open_udp(uint16_t port)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), off = 0;
    if (fd >= 0) {
        struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off); /* bind would tell */
        if (bind(fd, (const struct sockaddr *)&any, sizeof any) == 0)
            return fd;
        close(fd);
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void take_udp(struct linux_senders *senders, int fd, uint16_t port)
{
    unsigned char bytes[PACKET_MAX];
    struct sockaddr_storage from;
    socklen_t from_size = sizeof from;
    ssize_t n = recvfrom(fd, bytes, sizeof bytes, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
    if (n < 0)
        return;
    struct linux_sender one = {.port = port};
    if (from.ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, &from, sizeof in);
        one.from = addr_v6(in.sin6_addr.s6_addr);
    } else {
        struct sockaddr_in in;
        uint8_t address[4];
        memcpy(&in, &from, sizeof in);
        memcpy(address, &in.sin_addr, sizeof address);
        one.from = addr_v4(address);
    }
    size_t kept = (size_t)n < sizeof bytes ? (size_t)n : sizeof bytes;
    take_payload(&one, rd_make(bytes, kept));
    count(senders, &one, (size_t)n + (addr_is_v4(&one.from) ? 28 : 48));
}

void linux_hear_senders(struct linux_senders *out, const uint16_t *ports, unsigned seconds)
{
    static const int protocols[] = {IPPROTO_UDP, IPPROTO_GRE};
    struct pollfd polls[2 + MAX_PORTS];
    uint16_t port_of[2 + MAX_PORTS] = {0};
    nfds_t n = 0;
    *out = (struct linux_senders){0};
    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocols[i]);
        if (fd >= 0)
            polls[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    out->sees_all = n == 2;
    for (size_t i = 0; !out->sees_all && ports[i] && i < MAX_PORTS; i++) {
        int fd = open_udp(ports[i]);
        if (fd < 0)
            continue;
        port_of[n] = ports[i];
        polls[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
    }
    out->hears_nothing = n == 0;
    int64_t end = clock_ticks() / 1000000 + (int64_t)seconds * 1000, left;
    while (n > 0 && (left = end - clock_ticks() / 1000000) > 0) {
        if (poll(polls, n, (int)left) <= 0)
            continue;
        for (nfds_t i = 0; i < n; i++) {
            unsigned char bytes[PACKET_MAX];
            if (!polls[i].revents)
                continue;
            if (port_of[i]) {
                take_udp(out, polls[i].fd, port_of[i]);
                continue;
            }
            ssize_t size = recv(polls[i].fd, bytes, sizeof bytes, 0);
            if (size > 0)
                linux_take_sender(out, bytes, (size_t)size, ports);
        }
    }
    for (nfds_t i = 0; i < n; i++)
        close(polls[i].fd);
}
