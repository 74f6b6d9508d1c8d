/*
 * Sends the frames of a capture into an interface, again and again, at a given rate or as fast as
 * one core can: the traffic that bench/live measures receivers with.
 *
 *   live_send INTERFACE CAPTURE [KEY=VALUE]...
 *
 *     seconds=S     for so long (default: 4)
 *     kpps=N        thousands of packets a second (default: as many as possible)
 *     part=K/N      only the connections (by the mirror's source port) of part K of N, from 0 on
 *     machines=N    as if from N machines: outer address and VNI are replaced, packet by packet, so
 *                   that what is lost in one moment hits all alike
 *     outer=A.B.C.D the first of these addresses (default: 10.77.0.1); the others follow
 *     vni=N         the first of these VNIs (default: 7001); the others follow
 *     skew=N        the first machine sends N times as much as each of the others (default: 1)
 *
 * The capture is one of VXLAN in IPv4 without options, as `corpus vxlan` makes it. What was handed
 * to the interface is said as JSON on standard output.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "corpus.h"

enum {
    PCAP_HEADER = 24,
    IP_AT = 14,
    UDP_AT = IP_AT + 20,
    VXLAN_AT = UDP_AT + 8,
    WRAP_SIZE = VXLAN_AT + 8,
    BATCH = 64,
    MAX_MACHINES = 256,
};

/* A packet of the capture: in the file, which is mapped. */
struct item {
    uint64_t at;
    uint32_t size;
};

struct settings {
    double seconds, kpps;
    unsigned part, n_parts;
    unsigned machines, skew, vni;
    uint32_t outer;
};

struct sent {
    uint64_t packets, bytes, refused;
    uint64_t of[MAX_MACHINES];
    double seconds;
};

static void fail(const char *what)
{
    fprintf(stderr, "live_send: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void take(struct settings *s, const char *argument)
{
    unsigned k, n;
    char address[64];
    struct in_addr outer;
    if (sscanf(argument, "seconds=%lf", &s->seconds) == 1 ||
        sscanf(argument, "kpps=%lf", &s->kpps) == 1 ||
        (sscanf(argument, "machines=%u", &n) == 1 && n <= MAX_MACHINES && (s->machines = n)) ||
        sscanf(argument, "vni=%u", &s->vni) == 1 ||
        (sscanf(argument, "skew=%u", &n) == 1 && n > 0 && (s->skew = n)))
        return;
    if (sscanf(argument, "part=%u/%u", &k, &n) == 2 && k < n) {
        s->part = k;
        s->n_parts = n;
        return;
    }
    if (sscanf(argument, "outer=%63s", address) == 1 && inet_pton(AF_INET, address, &outer) == 1) {
        s->outer = ntohl(outer.s_addr);
        return;
    }
    fprintf(stderr, "live_send: what is %s?\n", argument);
    exit(2);
}

static const uint8_t *map(const char *path, size_t *out_size)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0)
        fail(path);
    *out_size = (size_t)st.st_size;
    void *bytes = mmap(NULL, *out_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE | MAP_LOCKED, fd, 0);
    if (bytes == MAP_FAILED)
        fail(path);
    return bytes;
}

/* The packets that are sent, in the order of the capture. */
static struct item *list(const struct settings *s, const uint8_t *bytes, size_t size, size_t *out_n)
{
    size_t n = 0, room = size / 64 + 1;
    struct item *items = malloc(room * sizeof *items);
    if (!items)
        fail("memory");
    struct corpus_record record;
    for (size_t at = PCAP_HEADER; at + sizeof record < size;
         at += sizeof record + record.kept_size) {
        memcpy(&record, bytes + at, sizeof record);
        const uint8_t *frame = bytes + at + sizeof record;
        if (record.kept_size > size - at - sizeof record)
            break;
        if (record.kept_size <= WRAP_SIZE)
            continue;
        uint32_t connection = corpus_scramble(corpus_get16(frame + UDP_AT));
        if (s->n_parts && connection % s->n_parts != s->part)
            continue;
        if (n < room)
            items[n++] = (struct item){at + sizeof record, record.kept_size};
    }
    if (n == 0) {
        fprintf(stderr, "live_send: there is no packet to send\n");
        exit(1);
    }
    *out_n = n;
    return items;
}

static int open_interface(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, buffer = 64 << 20;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || address.sll_ifindex == 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) < 0)
        fail(name);
    /* Less is only slower. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    return fd;
}

/* Which machine sends the packet of this number: the first has `skew` shares, the others one. */
static unsigned machine_of(const struct settings *s, uint32_t number)
{
    unsigned share = corpus_scramble(number) % (s->machines - 1 + s->skew);
    return share < s->skew ? 0 : share - s->skew + 1;
}

static void readdress(const struct settings *s, unsigned machine, uint8_t wrap[WRAP_SIZE])
{
    uint8_t *ip = wrap + IP_AT;
    corpus_put32(ip + 12, s->outer + machine);
    corpus_put32(wrap + VXLAN_AT + 4, (s->vni + machine) << 8);
    corpus_put16(ip + 10, 0);
    uint32_t sum = 0;
    for (unsigned i = 0; i < 20; i += 2)
        sum += corpus_get16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    corpus_put16(ip + 10, ~sum & 0xffff);
}

struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH][2];
    uint8_t wraps[BATCH][WRAP_SIZE];
    unsigned machines[BATCH];
};

static void fill(struct batch *batch, unsigned i, const struct settings *s, const uint8_t *bytes,
                 const struct item *item, uint32_t number)
{
    uint8_t *frame = (uint8_t *)(uintptr_t)(bytes + item->at); /* it is only read */
    struct iovec *piece = batch->pieces[i];
    piece[0] = (struct iovec){frame, item->size};
    batch->messages[i].msg_hdr = (struct msghdr){.msg_iov = piece, .msg_iovlen = 1};
    if (!s->machines)
        return;
    batch->machines[i] = machine_of(s, number);
    memcpy(batch->wraps[i], frame, WRAP_SIZE);
    readdress(s, batch->machines[i], batch->wraps[i]);
    piece[0] = (struct iovec){batch->wraps[i], WRAP_SIZE};
    piece[1] = (struct iovec){frame + WRAP_SIZE, item->size - WRAP_SIZE};
    batch->messages[i].msg_hdr.msg_iovlen = 2;
}

static void flush(int fd, struct batch *batch, unsigned n, struct sent *sent)
{
    for (unsigned done = 0; done < n;) {
        int r = sendmmsg(fd, batch->messages + done, n - done, 0);
        if (r <= 0) {
            if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
                fail("send");
            if (errno != EINTR) { /* the interface did not take it */
                sent->refused++;
                done++;
            }
            continue;
        }
        for (unsigned i = done; i < done + (unsigned)r; i++) {
            sent->bytes += batch->messages[i].msg_len;
            sent->of[batch->machines[i]]++;
        }
        sent->packets += (unsigned)r;
        done += (unsigned)r;
    }
}

static void send_all(int fd, const struct settings *s, const uint8_t *bytes,
                     const struct item *items, size_t n_items, struct sent *sent)
{
    static struct batch batch;
    double rate = s->kpps * 1000, start = now(), at = start;
    /* A batch is a tenth of a millisecond, or the pace would be one of bursts. */
    unsigned n = rate > 0 && rate < BATCH * 10000.0 ? (unsigned)(rate / 10000) : BATCH;
    n = n < 1 ? 1 : n;
    for (size_t next = 0; at - start < s->seconds; at = now()) {
        if (rate > 0 && (double)(sent->packets + sent->refused) > rate * (at - start))
            continue;
        for (unsigned i = 0; i < n; i++) {
            fill(&batch, i, s, bytes, &items[next], (uint32_t)sent->packets + i);
            next = next + 1 < n_items ? next + 1 : 0;
        }
        flush(fd, &batch, n, sent);
    }
    sent->seconds = at - start;
}

int main(int n_args, char **args)
{
    struct settings s = {.seconds = 4, .skew = 1, .vni = 7001, .outer = 0x0a4d0001};
    if (n_args < 3) {
        fprintf(stderr, "usage: live_send INTERFACE CAPTURE [KEY=VALUE]...\n");
        return 2;
    }
    for (int i = 3; i < n_args; i++)
        take(&s, args[i]);
    int fd = open_interface(args[1]);
    size_t size, n_items;
    const uint8_t *bytes = map(args[2], &size);
    struct item *items = list(&s, bytes, size, &n_items);
    struct sent sent = {0};
    send_all(fd, &s, bytes, items, n_items, &sent);
    printf("{\"sent\": %llu, \"refused\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"of\": [",
           (unsigned long long)sent.packets, (unsigned long long)sent.refused,
           (unsigned long long)sent.bytes, sent.seconds);
    for (unsigned i = 0; i < (s.machines ? s.machines : 1); i++)
        printf("%s%llu", i ? ", " : "", (unsigned long long)sent.of[i]);
    printf("]}\n");
    free(items);
    return 0;
}
