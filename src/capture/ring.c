/* The unprivileged half of a ring (Documentation/networking/packet_mmap.rst in Linux):
 *
 *   block:  +--------+------------+--------------+---------+-----+-------+---+------------+
 *           | status | n, offset… | tpacket3_hdr | address | gap | frame |   | tpacket3_… |
 *           +--------+------------+--------------+---------+-----+-------+---+------------+
 *
 * A block is the kernel's, or ours once it is full or has waited long enough. The offsets in it are
 * the kernel's and are believed. A tag that the kernel took off is written back in place: there is
 * a gap in front of each frame for it, so that nothing is copied but the two MAC addresses. */
#include "capture/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>

#include "capture/live_kind.h"

#define MACS_SIZE 12
#define TAG_SIZE  4

/* Of UDP; older headers do not have it. */
#define GSO_UDP_L4 5

struct ring {
    struct live_source source;
    struct ring_shape shape;
    uint8_t *memory;
    uint32_t block;          /* that is read, or comes next */
    uint32_t n_left;         /* frames in it that were not given out */
    struct tpacket3_hdr *at; /* the next of these */
    bool holds_block;
    struct ring_offload offloads[CAPTURE_BURST];
};

static struct tpacket_block_desc *block_of(const struct ring *ring)
{
    return (void *)(ring->memory + (size_t)ring->block * ring->shape.block_size);
}

static void give_back(struct ring *ring)
{
    __atomic_store_n(&block_of(ring)->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->block = (ring->block + 1) % ring->shape.n_blocks;
    ring->holds_block = false;
}

static bool take_block(struct ring *ring)
{
    struct tpacket_block_desc *block = block_of(ring);
    if (!(__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
        return false;
    ring->holds_block = true;
    ring->n_left = block->hdr.bh1.num_pkts;
    ring->at = (void *)((uint8_t *)block + block->hdr.bh1.offset_to_first_pkt);
    return true;
}

/* Writes the tag that the kernel took off, where it belongs, in the gap in front of the frame. */
static void put_tag(const struct tpacket3_hdr *header, struct frame *frame)
{
    uint16_t tpid =
        header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETH_P_8021Q;
    uint16_t tci = (uint16_t)header->hv1.tp_vlan_tci;
    uint8_t *bytes = (uint8_t *)(uintptr_t)frame->bytes - TAG_SIZE;
    memmove(bytes, bytes + TAG_SIZE, MACS_SIZE);
    bytes[MACS_SIZE] = (uint8_t)(tpid >> 8);
    bytes[MACS_SIZE + 1] = (uint8_t)tpid;
    bytes[MACS_SIZE + 2] = (uint8_t)(tci >> 8);
    bytes[MACS_SIZE + 3] = (uint8_t)tci;
    frame->bytes = bytes;
    frame->size += TAG_SIZE;
    frame->wire_size += TAG_SIZE;
}

/* It lies in front of the frame, in the processor's own byte order. */
static void read_offload(const uint8_t *frame, bool is_tagged, struct ring_offload *out)
{
    static const uint8_t kinds[] = {[VIRTIO_NET_HDR_GSO_NONE] = RING_GSO_NONE,
                                    [VIRTIO_NET_HDR_GSO_TCPV4] = RING_GSO_TCP,
                                    [2] = RING_GSO_OTHER,
                                    [VIRTIO_NET_HDR_GSO_UDP] = RING_GSO_OTHER, /* fragments */
                                    [VIRTIO_NET_HDR_GSO_TCPV6] = RING_GSO_TCP,
                                    [GSO_UDP_L4] = RING_GSO_UDP};
    struct virtio_net_hdr header;
    memcpy(&header, frame - sizeof header, sizeof header);
    uint8_t kind = header.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    uint32_t from = header.csum_start + (is_tagged ? TAG_SIZE : 0u);
    *out = (struct ring_offload){
        .gso = kind < sizeof kinds ? kinds[kind] : RING_GSO_OTHER,
        .gso_size = header.gso_size,
        .sum_lacks = (header.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) != 0,
        .sum_from = from,
        .sum_at = from + header.csum_offset,
    };
}

/* False: it is no frame to hand on. */
static bool make_frame(struct ring *ring, struct tpacket3_hdr *header, struct frame *out,
                       struct ring_offload *out_offload)
{
    struct live_counters *counters = &ring->source.counters;
    *out = (struct frame){
        .ts = (int64_t)header->tp_sec * 1000000000 + header->tp_nsec,
        .bytes = (uint8_t *)header + header->tp_mac,
        .size = header->tp_snaplen,
        .wire_size = header->tp_len,
        .link = ring->shape.link,
    };
    if (ring->shape.link == LINK_RAW) {
        struct sockaddr_ll address;
        memcpy(&address, (uint8_t *)header + TPACKET_ALIGN(sizeof *header), sizeof address);
        if (address.sll_protocol != htobe16(ETH_P_IP) &&
            address.sll_protocol != htobe16(ETH_P_IPV6)) {
            counters->n_not_ip++;
            return false;
        }
    }
    counters->n_truncated += out->size < out->wire_size;
    bool is_tagged = header->tp_status & TP_STATUS_VLAN_VALID && out->link == LINK_ETHERNET &&
                     out->size >= MACS_SIZE;
    if (ring->shape.tells_offloads)
        read_offload(out->bytes, is_tagged, out_offload);
    if (is_tagged)
        put_tag(header, out);
    return true;
}

/* Said once each time that the interface goes down: reading the error takes it away. */
static int broken(struct ring *ring)
{
    int code = 0;
    socklen_t size = sizeof code;
    if (getsockopt(ring->source.fd, SOL_SOCKET, SO_ERROR, &code, &size) < 0 || code == 0)
        return 0;
    if (code == ENETDOWN && ring_is_gone(&ring->source))
        code = ENODEV;
    return err_set(&ring->source.problem, -code, "%s",
                   code == ENETDOWN ? "the interface is down"
                   : code == ENODEV ? "the interface is gone"
                                    : strerror(code));
}

static int next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    struct ring *ring = (struct ring *)source;
    int n = 0;
    while (n == 0) {
        if (ring->holds_block && ring->n_left == 0)
            give_back(ring);
        if (!ring->holds_block && !take_block(ring))
            return broken(ring);
        for (; n < CAPTURE_BURST && ring->n_left > 0; ring->n_left--) {
            struct tpacket3_hdr *header = ring->at;
            ring->at = (void *)((uint8_t *)header + header->tp_next_offset);
            if (ring->n_left > 1)
                __builtin_prefetch(ring->at);
            n += make_frame(ring, header, &out[n], &ring->offloads[n]);
        }
    }
    return n;
}

/* The kernel forgets what it has told. */
static void count(struct live_source *source)
{
    struct tpacket_stats_v3 stats = {0};
    socklen_t size = sizeof stats;
    if (getsockopt(source->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        return;
    source->counters.n_kernel_dropped += stats.tp_drops;
    source->counters.n_freezes += stats.tp_freeze_q_cnt;
}

static void free_ring(struct live_source *source)
{
    struct ring *ring = (struct ring *)source;
    /* It was mapped so. */
    (void)munmap(ring->memory, (size_t)ring->shape.block_size * ring->shape.n_blocks);
    free(ring);
}

static const struct live_kind kind = {.next = next, .count = count, .free = free_ring};

const struct ring_offload *ring_offloads(const struct live_source *source)
{
    const struct ring *ring = (const struct ring *)source;
    return ring->shape.tells_offloads ? ring->offloads : NULL;
}

bool ring_is_gone(const struct live_source *source)
{
    struct sockaddr_ll address = {0};
    socklen_t size = sizeof address;
    return getsockname(source->fd, (struct sockaddr *)&address, &size) == 0 &&
           address.sll_ifindex == -1;
}

int ring_attach(int fd, const struct ring_shape *shape, uint16_t input, struct live_source **out,
                struct err *err)
{
    struct ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return err_set(err, -ENOMEM, "no memory to watch an interface");
    size_t size = (size_t)shape->block_size * shape->n_blocks;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        int code = -errno;
        free(ring);
        return err_set(err, code, "mapping a ring of %zu MiB: %s", size >> 20, strerror(-code));
    }
    *ring = (struct ring){
        .source = {.kind = &kind, .fd = fd, .input = input},
        .shape = *shape,
        .memory = memory,
    };
    *out = &ring->source;
    return 0;
}
