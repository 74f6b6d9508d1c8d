/* Does it work? One marked frame is sent by the mirrored interface, and has to come out of the one
 * that copies leave by exactly once: never means that nothing is mirrored, and more than once that
 * copies are copied. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "linux/interface.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"

#define WAIT_MS       600 /* for the first copy; a neighbour may have to be asked for */
#define LINGER_MS     150 /* after it, for a second one */
#define MARK_SIZE     24
#define PORT_DISCARD  9  /* RFC 863 */
#define FRAME_PAYLOAD 46 /* the least of Ethernet */
#define FRAME_MAX     65536

struct proof {
    const struct host_wish *wish;
    struct linux_link mirrored;
    char out[16];
    uint8_t mark[MARK_SIZE];
    uint8_t frame[64];
    size_t frame_size;
    bool ip_layer; /* copies are made by the IP layer: the mark goes in a datagram */
    uint32_t id;
    unsigned n_copies;
};

/* Of the type that is for local experiments (IEEE 802, 0x88b5), to the own MAC address: a switch
 * that sees it sends it nowhere, and no log has a line of it. */
static void build(struct proof *p)
{
    memcpy(p->frame, p->mirrored.mac, 6);
    memcpy(p->frame + 6, p->mirrored.mac, 6);
    p->frame[12] = 0x88;
    p->frame[13] = 0xb5;
    memcpy(p->frame + 14, p->mark, MARK_SIZE);
    p->frame_size = 14 + FRAME_PAYLOAD;
}

static int open_socket(const char *interface, uint32_t index, uint16_t protocol, struct err *err)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = (int)index};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    int code = -errno;
    if (fd >= 0)
        close(fd);
    return err_set(err, code, "looking at %s for the proof: %s", interface,
                   code == -EPERM ? "it takes CAP_NET_RAW" : strerror(-code));
}

static void look(struct proof *p, const uint8_t *bytes, size_t size)
{
    const uint8_t *at = memmem(bytes, size, p->mark, MARK_SIZE);
    if (at && host_is_copy(bytes, size, (size_t)(at - bytes), p->wish, p->id))
        p->n_copies++;
}

static void listen_for(struct proof *p, int fd, uint8_t *bytes)
{
    int64_t end = clock_ticks() + WAIT_MS * 1000000ll;
    for (;;) {
        int64_t left = end - clock_ticks();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (left <= 0 || poll(&wait, 1, (int)(left / 1000000) + 1) < 0)
            return;
        struct sockaddr_ll from = {0};
        socklen_t from_size = sizeof from;
        ssize_t n = recvfrom(fd, bytes, FRAME_MAX, 0, (struct sockaddr *)&from, &from_size);
        if (n <= 0 || from.sll_pkttype != PACKET_OUTGOING)
            continue;
        unsigned before = p->n_copies;
        look(p, bytes, (size_t)n);
        if (before == 0 && p->n_copies == 1)
            end = clock_ticks() + LINGER_MS * 1000000ll;
    }
}

/* What the IP layer copies has to pass the IP layer: a datagram to nobody, that no router hands on.
 * Of IPv6, where that is all that is copied, to a neighbour that is none. */
static int send_datagram(const struct proof *p, struct err *err)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET,
                             .sin_port = htons(PORT_DISCARD),
                             .sin_addr = {.s_addr = htonl(0xc0000201)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
                              .sin6_port = htons(PORT_DISCARD),
                              .sin6_scope_id = p->mirrored.index};
    bool is_v6 = p->wish->has_gateway && !addr_is_v4(&p->wish->gateway);
    int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), yes = 1, hops = 1;
    const struct sockaddr *to = is_v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4;
    bool ok = fd >= 0 && inet_pton(AF_INET6, HOST_GATEWAY_6, &v6.sin6_addr) == 1 &&
              setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, p->mirrored.name,
                         (socklen_t)strlen(p->mirrored.name) + 1) == 0 &&
              setsockopt(fd, SOL_SOCKET, SO_DONTROUTE, &yes, sizeof yes) == 0 &&
              setsockopt(fd, is_v6 ? IPPROTO_IPV6 : IPPROTO_IP, is_v6 ? IPV6_UNICAST_HOPS : IP_TTL,
                         &hops, sizeof hops) == 0 &&
              sendto(fd, p->mark, MARK_SIZE, 0, to, is_v6 ? sizeof v6 : sizeof v4) == MARK_SIZE;
    int code = ok ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return ok ? 0
              : err_set(err, code, "sending a marked packet by %s: %s", p->mirrored.name,
                        strerror(-code));
}

static int send_frame(const struct proof *p, struct err *err)
{
    int fd = open_socket(p->mirrored.name, p->mirrored.index, 0, err);
    if (fd < 0)
        return fd;
    ssize_t n = send(fd, p->frame, p->frame_size, 0);
    int code = n < 0 ? -errno : 0;
    close(fd);
    return code == 0 ? 0
                     : err_set(err, code, "sending a marked frame by %s: %s", p->mirrored.name,
                               strerror(-code));
}

static int run(struct proof *p, uint32_t out_index, struct err *err)
{
    uint8_t *bytes = malloc(FRAME_MAX);
    int fd = bytes ? open_socket(p->out, out_index, ETH_P_ALL, err) : -ENOMEM;
    int result = fd < 0 ? fd : p->ip_layer ? send_datagram(p, err) : send_frame(p, err);
    if (result == 0)
        listen_for(p, fd, bytes);
    if (fd >= 0)
        close(fd);
    free(bytes);
    return result < 0 ? result : 0;
}

static int judge(const struct proof *p, struct text *said, struct err *err)
{
    if (p->n_copies == 1) {
        text_format(said, "proof: a marked frame of %s left by %s once\n", p->mirrored.name,
                    p->out);
        return 0;
    }
    if (p->n_copies > 1)
        return err_set(err, -ELOOP,
                       "a marked frame of %s left by %s %u times: copies are copied again, by this "
                       "mirror or by another one (tc filter show, nft list ruleset); nothing was "
                       "left in place",
                       p->mirrored.name, p->out, p->n_copies);
    char to[MIRROR_TARGET_TEXT];
    mirror_put_target(&p->wish->to, to);
    return err_set(err, -EHOSTUNREACH,
                   "a marked frame of %s did not leave by %s: does anybody answer at %s, and is it "
                   "let out by this machine's firewall? Nothing was left in place",
                   p->mirrored.name, p->out, to);
}

static int prove_tap(struct mirror_job *job, const struct host_wish *wish,
                     const struct host_tap *tap, struct text *said, struct err *err)
{
    struct host *host = job->state;
    struct proof p = {.wish = wish, .id = tap->id};
    struct host_way way = {0};
    int method = HOST_AUTO;
    char why[200];
    const struct linux_link *mirrored =
        linux_link_by_name(host->links, host->n_links, tap->interface);
    if (!mirrored || !mirrored->is_up) {
        text_format(said, "not proven: %s is down\n", tap->interface);
        return 0;
    }
    p.mirrored = *mirrored;
    if (host_tap_directions(wish, tap) == HOST_IN) {
        text_format(said,
                    "not proven: only what %s receives is mirrored, and nothing can be sent to "
                    "it from here; cloudspan mirror status counts\n",
                    tap->interface);
        return 0;
    }
    if (wish->filter) {
        text_format(said, "not proven: the filter may leave the marked frame out; cloudspan mirror "
                          "status counts\n");
        return 0;
    }
    int result = host_choose(job, wish, mirrored, &method, why, err);
    if (result == 0 && method == HOST_USER && !mirrored->has_carrier) {
        /* Without one the kernel drops the frame before any process sees it. */
        text_format(said, "not proven: %s has no carrier\n", tap->interface);
        return 0;
    }
    if (result == 0 && wish->to.wrap != MIRROR_INTERFACE)
        result = host_find_way(host, wish, mirrored, host_is_bound(method, wish), &way, err);
    if (result < 0)
        return result;
    (void)snprintf(p.out, sizeof p.out, "%.15s",
                   wish->to.wrap == MIRROR_INTERFACE ? wish->to.device : way.out);
    const struct linux_link *out = linux_link_by_name(host->links, host->n_links, p.out);
    if (!out)
        return err_set(err, -ENODEV, "%s, by which copies leave, is gone", p.out);
    if (getrandom(p.mark, sizeof p.mark, 0) != (ssize_t)sizeof p.mark)
        return err_set(err, -errno, "the kernel gives no random numbers");
    memcpy(p.mark, "cloudspan ", 10);
    build(&p);
    p.ip_layer = method == HOST_NFT_IP || method == HOST_TEE;
    result = run(&p, out->index, err);
    return result < 0 ? result : judge(&p, said, err);
}

int host_prove(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
               size_t n, struct text *said, struct err *err)
{
    int result = host_refresh(job->state, err);
    for (size_t i = 0; result == 0 && i < n; i++)
        result = prove_tap(job, wish, &taps[i], said, err);
    return result;
}
