/* Many datagrams at a time: see batch.h. recvmmsg and its control messages. Headers that are put in
 * front are what the packet had on the wire as far as the kernel tells: without options, with a
 * checksum of UDP that says "none". */
#include "capture/batch.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/sock_diag.h>

#include "base/clock.h"
#include "net/checksum.h"

#define CONTROL_SIZE 256

struct batch {
    struct mmsghdr messages[CAPTURE_BURST];
    struct iovec pieces[CAPTURE_BURST];
    struct sockaddr_storage senders[CAPTURE_BURST];
    struct batch_item items[CAPTURE_BURST];
    _Alignas(struct cmsghdr) uint8_t control[CAPTURE_BURST][CONTROL_SIZE];
    uint8_t *memory;
    size_t stride; /* of one buffer */
    uint32_t max_size;
};

struct batch *batch_new(uint32_t max_size)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    batch->max_size = max_size > 0 ? max_size : BATCH_MAX_SIZE;
    batch->stride = (BATCH_HEADROOM + (size_t)batch->max_size + 63) / 64 * 64;
    batch->memory = mmap(NULL, CAPTURE_BURST * batch->stride, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (batch->memory == MAP_FAILED) {
        free(batch);
        return NULL;
    }
    for (unsigned i = 0; i < CAPTURE_BURST; i++) {
        batch->pieces[i] = (struct iovec){
            .iov_base = batch->memory + i * batch->stride + BATCH_HEADROOM,
            .iov_len = batch->max_size,
        };
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->senders[i],
            .msg_iov = &batch->pieces[i],
            .msg_iovlen = 1,
            .msg_control = batch->control[i],
        };
    }
    return batch;
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    (void)munmap(batch->memory, CAPTURE_BURST * batch->stride); /* it was mapped so */
    free(batch);
}

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

int batch_prepare(int fd, int family, struct err *err)
{
    int code = set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    if (code == 0 && family == AF_INET)
        code = set(fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (code == 0 && family == AF_INET)
        code = set(fd, IPPROTO_IP, IP_RECVTTL, 1);
    if (code == 0 && family == AF_INET6)
        code = set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    if (code == 0 && family == AF_INET6)
        code = set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    if (code < 0)
        return err_set(err, code, "the kernel does not tell time and address of what it receives");
    return 0;
}

size_t batch_grow(int fd, size_t size)
{
    int wanted = size > INT32_MAX / 2 ? INT32_MAX / 2 : (int)size;
    if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, wanted) < 0)
        (void)set(fd, SOL_SOCKET, SO_RCVBUF, wanted); /* up to rmem_max: the caller says so */
    int got = 0;
    socklen_t size_of = sizeof got;
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &size_of) < 0 || got < 0)
        return 0;
    return (size_t)got / 2; /* the kernel doubles it, for its own needs */
}

bool batch_dropped(int fd, uint32_t *out)
{
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t size = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) < 0 ||
        size < (SK_MEMINFO_DROPS + 1) * sizeof *info)
        return false;
    *out = info[SK_MEMINFO_DROPS];
    return true;
}

void batch_count_dropped(int fd, uint32_t *last, uint64_t *total)
{
    uint32_t now;
    if (!batch_dropped(fd, &now))
        return;
    *total += now - *last; /* it may have gone round */
    *last = now;
}

static void read_sender(struct batch_item *item, const struct sockaddr_storage *sender)
{
    if (sender->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sender, sizeof in);
        item->src = addr_v4((const uint8_t *)&in.sin_addr);
        item->sport = ntohs(in.sin_port);
    } else if (sender->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sender, sizeof in6);
        item->src = addr_v6(in6.sin6_addr.s6_addr);
        item->sport = ntohs(in6.sin6_port);
    }
}

static void read_control(struct batch_item *item, const struct cmsghdr *c)
{
    const uint8_t *data = CMSG_DATA(c);
    int number;
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec ts;
        memcpy(&ts, data, sizeof ts);
        item->ts = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, data, sizeof info);
        item->dst = addr_v4((const uint8_t *)&info.ipi_addr);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo info;
        memcpy(&info, data, sizeof info);
        item->dst = addr_v6(info.ipi6_addr.s6_addr);
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TTL) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_HOPLIMIT)) {
        memcpy(&number, data, sizeof number);
        item->hops = (uint8_t)number;
    }
}

int batch_receive(struct batch *batch, int fd)
{
    for (unsigned i = 0; i < CAPTURE_BURST; i++) {
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->senders[i];
        batch->messages[i].msg_hdr.msg_controllen = CONTROL_SIZE;
    }
    int n = recvmmsg(fd, batch->messages, CAPTURE_BURST, MSG_DONTWAIT | MSG_TRUNC, NULL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (int i = 0; i < n; i++) {
        struct msghdr *header = &batch->messages[i].msg_hdr;
        struct batch_item *item = &batch->items[i];
        uint32_t size = batch->messages[i].msg_len;
        *item = (struct batch_item){
            .bytes = batch->pieces[i].iov_base,
            .size = size < batch->max_size ? size : batch->max_size,
            .wire_size = size,
            .hops = 64,
        };
        read_sender(item, &batch->senders[i]);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
            read_control(item, c);
        if (item->ts == 0)
            item->ts = clock_now();
        if (addr_is_v4(&item->src) && !addr_is_v4(&item->dst))
            item->dst = addr_v4((const uint8_t[4]){0}); /* it was not said */
    }
    return n;
}

struct batch_item *batch_item(struct batch *batch, unsigned i)
{
    return &batch->items[i];
}

/* Makes room in front, with zeros. */
static uint8_t *put_header(struct batch_item *item, uint32_t size)
{
    item->bytes -= size;
    item->size += size;
    item->wire_size += size;
    memset(item->bytes, 0, size);
    return item->bytes;
}

static void set16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

static uint32_t length16(uint32_t length)
{
    return length <= UINT16_MAX ? length : 0;
}

void batch_wrap_ip(struct batch_item *item, uint8_t proto)
{
    if (addr_is_v4(&item->src) && addr_is_v4(&item->dst)) {
        uint8_t *h = put_header(item, 20);
        h[0] = 0x45;
        set16(h + 2, length16(item->wire_size));
        h[8] = item->hops;
        h[9] = proto;
        memcpy(h + 12, item->src.b + 12, 4);
        memcpy(h + 16, item->dst.b + 12, 4);
        set16(h + 10, checksum_fold(checksum_add(0, h, 20)));
    } else {
        uint8_t *h = put_header(item, 40);
        h[0] = 0x60;
        set16(h + 4, length16(item->wire_size - 40));
        h[6] = proto;
        h[7] = item->hops;
        memcpy(h + 8, item->src.b, 16);
        memcpy(h + 24, item->dst.b, 16);
    }
}

void batch_wrap_udp(struct batch_item *item, uint16_t dport)
{
    uint8_t *h = put_header(item, 8);
    set16(h, item->sport);
    set16(h + 2, dport);
    set16(h + 4, length16(item->wire_size));
    batch_wrap_ip(item, IPPROTO_UDP);
}
