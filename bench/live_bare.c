/*
 * Receivers that do nothing but receive and count: what bench/live measures cloudspan beside.
 *
 *   live_bare ring INTERFACE BLOCKS [spin]   AF_PACKET, TPACKET_V3, blocks of 1 MiB
 *   live_bare udp PORT BUFFER_MIB [spin]     a UDP socket and recvmmsg
 *
 * With `spin` it asks again and again instead of sleeping: it keeps its core as busy as a receiver
 * that has much to do. Each says "ready", reads the first 64 bytes of every packet, and goes on
 * until standard input ends. Then it takes what is there still, and says what it got and what the
 * kernel dropped, as JSON.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>

enum {
    BLOCK_SIZE = 1 << 20,
    FRAME_SIZE = 2048,
    BATCH = 64,
    MAX_SIZE = 65536,
    TOUCHED = 64,
    SPINS = 4096
};

struct got {
    uint64_t packets, bytes, dropped;
    uint64_t sum; /* of what was read, so that it is read */
};

static void fail(const char *what)
{
    fprintf(stderr, "live_bare: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void touch(struct got *got, const uint8_t *bytes, uint32_t size)
{
    uint64_t word;
    got->packets++;
    got->bytes += size;
    for (uint32_t i = 0; i + sizeof word <= size && i < TOUCHED; i += sizeof word) {
        memcpy(&word, bytes + i, sizeof word);
        got->sum += word;
    }
}

/* False: standard input has ended. */
static bool wait_for(int fd, bool spins)
{
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    static unsigned turn;
    if (spins && ++turn % SPINS)
        return true;
    if (poll(fds, spins ? 1 : 2, spins ? 0 : -1) < 0 && errno != EINTR)
        fail("poll");
    return fds[0].revents == 0;
}

static void say_ready(void)
{
    printf("ready\n");
    fflush(stdout);
}

/* ---- the ring ---- */

static int open_ring(const char *interface, unsigned n_blocks, uint8_t **out)
{
    int fd = socket(AF_PACKET, SOCK_RAW, 0), version = TPACKET_V3;
    struct tpacket_req3 request = {.tp_block_size = BLOCK_SIZE,
                                   .tp_block_nr = n_blocks,
                                   .tp_frame_size = FRAME_SIZE,
                                   .tp_frame_nr = BLOCK_SIZE / FRAME_SIZE * n_blocks,
                                   .tp_retire_blk_tov = 10};
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(interface)};
    struct packet_mreq promiscuous = {.mr_ifindex = address.sll_ifindex,
                                      .mr_type = PACKET_MR_PROMISC};
    if (fd < 0 || address.sll_ifindex == 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0)
        fail(interface);
    *out = mmap(NULL, (size_t)BLOCK_SIZE * n_blocks, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (*out == MAP_FAILED || bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) < 0)
        fail(interface);
    return fd;
}

static void receive_ring(const char *interface, unsigned n_blocks, bool spins, struct got *got)
{
    uint8_t *memory;
    int fd = open_ring(interface, n_blocks, &memory);
    bool ends = false;
    say_ready();
    for (unsigned at = 0;;) {
        struct tpacket_block_desc *block = (void *)(memory + (size_t)at * BLOCK_SIZE);
        uint32_t *status = &block->hdr.bh1.block_status;
        if (!(__atomic_load_n(status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
            if (ends)
                break;
            ends = !wait_for(fd, spins);
            if (ends)
                usleep(50000); /* longer than a block waits to be full */
            continue;
        }
        struct tpacket3_hdr *packet =
            (void *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
        for (unsigned i = block->hdr.bh1.num_pkts; i > 0; i--) {
            touch(got, (uint8_t *)packet + packet->tp_mac, packet->tp_snaplen);
            packet = (void *)((uint8_t *)packet + packet->tp_next_offset);
        }
        __atomic_store_n(status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
        at = (at + 1) % n_blocks;
    }
    struct tpacket_stats_v3 stats = {0};
    socklen_t size = sizeof stats;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        fail("statistics");
    got->dropped = stats.tp_drops;
}

/* ---- the socket ---- */

static int open_socket(uint16_t port, int buffer)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (fd < 0)
        fail("socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) < 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer); /* what it may have */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    return fd;
}

static void receive_socket(uint16_t port, int buffer, bool spins, struct got *got)
{
    static uint8_t memory[BATCH][MAX_SIZE];
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    int fd = open_socket(port, buffer);
    for (unsigned i = 0; i < BATCH; i++) {
        pieces[i] = (struct iovec){memory[i], sizeof memory[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
    }
    bool ends = false;
    say_ready();
    for (;;) {
        int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            fail("recvmmsg");
        for (int i = 0; i < n; i++)
            touch(got, memory[i], messages[i].msg_len);
        if (n > 0)
            continue;
        if (ends)
            break;
        ends = !wait_for(fd, spins);
    }
    uint32_t info[SK_MEMINFO_VARS];
    socklen_t size = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size) < 0)
        fail("statistics");
    got->dropped = info[SK_MEMINFO_DROPS];
}

int main(int n_args, char **args)
{
    struct got got = {0};
    bool spins = n_args > 4 && strcmp(args[4], "spin") == 0;
    unsigned size = n_args > 3 ? (unsigned)strtoul(args[3], NULL, 10) : 0;
    if (size > 0 && size < 1024 && strcmp(args[1], "ring") == 0) {
        receive_ring(args[2], size, spins, &got);
    } else if (size > 0 && size < 1024 && strcmp(args[1], "udp") == 0) {
        receive_socket((uint16_t)strtoul(args[2], NULL, 10), (int)(size << 20), spins, &got);
    } else {
        fprintf(stderr,
                "usage: live_bare ring INTERFACE BLOCKS [spin] | udp PORT BUFFER_MIB [spin]\n");
        return 2;
    }
    printf("{\"received\": %llu, \"dropped\": %llu, \"bytes\": %llu, \"sum\": %llu}\n",
           (unsigned long long)got.packets, (unsigned long long)got.dropped,
           (unsigned long long)got.bytes, (unsigned long long)(got.sum & 0xffff));
    return 0;
}
