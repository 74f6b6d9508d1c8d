/* Sends VXLAN as a mirror does: small UDP packets of many connections, at a rate or as fast as it
 * can, for so many seconds.
 *
 * usage: flood-sender FROM TO VNI PACKETS-A-SECOND CONNECTIONS SECONDS
 *
 * A rate of 0 is as fast as it can. FROM with a slash (10.9.1.0/16) is another sender in each
 * packet (a raw socket, IPv4). Prints how many packets were sent. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define BATCH   32
#define HEADER  28 /* IP and UDP */
#define PAYLOAD 136
#define SECOND  1000000000ll

struct settings {
    struct sockaddr_in from, to;
    unsigned bits; /* of the prefix; 32: one sender */
    uint32_t vni, n_flows;
    uint64_t rate;
    int64_t seconds;
};

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static void set16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void set32(uint8_t *at, uint32_t value)
{
    set16(at, value >> 16);
    set16(at + 2, value);
}

static void set_sum(uint8_t *ip)
{
    uint32_t sum = 0;
    set16(ip + 10, 0);
    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    set16(ip + 10, ~sum);
}

/* VXLAN, Ethernet, IP, UDP and zeros. The connections of a sender have its VNI in their address. */
static void make(uint8_t out[PAYLOAD], const struct settings *s, uint64_t number)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    uint8_t *ether = out + 8, *ip = ether + 14, *udp = ip + 20;
    uint32_t flow = (uint32_t)(number * 0x9e3779b97f4a7c15ull >> 32) % s->n_flows;
    memset(out, 0, PAYLOAD);
    out[0] = 8;
    set32(out + 4, s->vni << 8);
    memcpy(ether, macs, sizeof macs);
    set16(ether + 12, 0x0800);
    ip[0] = 0x45;
    set16(ip + 2, PAYLOAD - 22);
    set16(ip + 4, (uint32_t)number);
    ip[8] = 64;
    ip[9] = 17;
    set32(ip + 12, 0x0a000002u | (s->vni & 0xff) << 16);
    set32(ip + 16, 0x0a640000u | flow >> 15);
    set_sum(ip);
    set16(udp, 20000 + (flow & 0x7fff));
    set16(udp + 2, 9);
    set16(udp + 4, PAYLOAD - 42);
    set32(udp + 8, (uint32_t)number); /* else it were a copy of another */
    set32(udp + 12, (uint32_t)(number >> 32));
}

static void make_outer(uint8_t out[HEADER], const struct settings *s, uint64_t number)
{
    uint32_t from = ntohl(s->from.sin_addr.s_addr);
    uint32_t host = s->bits < 32 ? UINT32_MAX >> s->bits : 0;
    from ^= (uint32_t)(number * 0xff51afd7ed558ccdull >> 32) & host;
    memset(out, 0, HEADER);
    out[0] = 0x45;
    set16(out + 2, HEADER + PAYLOAD);
    out[8] = 64;
    out[9] = 17;
    set32(out + 12, from);
    memcpy(out + 16, &s->to.sin_addr, 4);
    set_sum(out);
    set16(out + 20, 40000 + (uint32_t)(number & 1023));
    set16(out + 22, 4789);
    set16(out + 24, PAYLOAD + 8);
}

static uint64_t run(int fd, const struct settings *s)
{
    static uint8_t bytes[BATCH][HEADER + PAYLOAD];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    size_t skip = s->bits < 32 ? 0 : HEADER;
    for (unsigned i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){bytes[i] + skip, HEADER + PAYLOAD - skip};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        if (skip == 0) {
            messages[i].msg_hdr.msg_name = (void *)(uintptr_t)&s->to;
            messages[i].msg_hdr.msg_namelen = sizeof s->to;
        }
    }
    int64_t start = now(), end = start + s->seconds * SECOND;
    uint64_t n_sent = 0;
    for (int64_t ticks = start; ticks < end; ticks = now()) {
        uint64_t due = s->rate ? (uint64_t)(ticks - start) * s->rate / SECOND : UINT64_MAX;
        unsigned n = 0;
        for (; n < BATCH && n_sent + n < due; n++) {
            make_outer(bytes[n], s, n_sent + n);
            make(bytes[n] + HEADER, s, n_sent + n);
        }
        int sent = n ? sendmmsg(fd, messages, n, 0) : 0;
        if (sent > 0)
            n_sent += (unsigned)sent;
        else if (n && errno != ENOBUFS && errno != EAGAIN && errno != ECONNREFUSED)
            return n_sent;
        if (n < BATCH)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return n_sent;
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;
    struct settings s = {.from = {.sin_family = AF_INET},
                         .to = {.sin_family = AF_INET},
                         .bits = 32,
                         .vni = (uint32_t)strtoul(argv[3], NULL, 10),
                         .rate = strtoull(argv[4], NULL, 10),
                         .n_flows = (uint32_t)strtoul(argv[5], NULL, 10),
                         .seconds = strtoll(argv[6], NULL, 10)};
    char *slash = strchr(argv[1], '/');
    if (slash) {
        *slash = '\0';
        s.bits = (unsigned)strtoul(slash + 1, NULL, 10);
    }
    if (inet_pton(AF_INET, argv[1], &s.from.sin_addr) != 1 ||
        inet_pton(AF_INET, argv[2], &s.to.sin_addr) != 1 || s.n_flows == 0 || s.bits > 32)
        return 2;
    int fd = slash ? socket(AF_INET, SOCK_RAW, IPPROTO_RAW) : socket(AF_INET, SOCK_DGRAM, 0);
    if (!slash)
        s.to.sin_port = htons(4789);
    if (fd < 0 || (!slash && (bind(fd, (struct sockaddr *)&s.from, sizeof s.from) < 0 ||
                              connect(fd, (struct sockaddr *)&s.to, sizeof s.to) < 0))) {
        perror(argv[1]);
        return 1;
    }
    printf("%llu\n", (unsigned long long)run(fd, &s));
    return 0;
}
