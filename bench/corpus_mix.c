/*
 * Captures made from another capture: `mix` interleaves shifted copies of a base by time, `vxlan`
 * wraps every frame as a cloud's mirror would.
 *
 * In a base, clients are in 10.0/16 and fd00::/32, servers in 10.1/16 and fd00:1::/32. Copy k moves
 * both by 2k in the second octet (the second group of an IPv6 address), so its connections are its
 * own; a DNS label that ends in -c00 ends in -cNN in copy NN, so its names are, too. Checksums that
 * were right stay right.
 *
 * The wrapping is RFC 7348's, from one of 64 machines, each in one of 4 VNIs:
 *
 *   outer Ethernet, IPv4, UDP to 4789 (checksum 0), then
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |R|R|R|R|I|R|R|R|            reserved                           |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |                VXLAN network identifier       |   reserved    |
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpus.h"

enum {
    ETHER_IPV4 = 0x0800,
    ETHER_ARP = 0x0806,
    ETHER_IPV6 = 0x86dd,
    PROTO_ICMP = 1,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_ICMP6 = 58,
    PORT_DNS = 53,
    MAX_COPIES = 60,
    MAX_FRAME_SIZE = 262144,
};

/* One capture that is read, and how far. */
struct input {
    const uint8_t *bytes; /* run: mapped until exit */
    size_t size;
    size_t pos;
};

struct frame {
    int64_t time_us;
    const uint8_t *bytes;
    uint32_t size, wire_size;
};

static struct input input_open(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    void *map = st.st_size < 24 ? MAP_FAILED
                                : mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    uint32_t magic = 0;
    if (map != MAP_FAILED)
        memcpy(&magic, map, sizeof(magic));
    if (magic != 0xa1b2c3d4) {
        fprintf(stderr, "%s: not a pcap file of this machine's byte order, in microseconds\n",
                path);
        exit(1);
    }
    close(fd);
    return (struct input){.bytes = map, .size = (size_t)st.st_size, .pos = 24};
}

/* The next frame, without going past it; false at the end, or where the file was cut. */
static bool input_peek(const struct input *in, struct frame *frame)
{
    struct corpus_record record;
    if (in->size - in->pos < sizeof(record))
        return false;
    memcpy(&record, in->bytes + in->pos, sizeof(record));
    if (record.kept_size > in->size - in->pos - sizeof(record) || record.kept_size > MAX_FRAME_SIZE)
        return false;
    frame->time_us = (int64_t)record.sec * CORPUS_US_PER_S + record.usec;
    frame->bytes = in->bytes + in->pos + sizeof(record);
    frame->size = record.kept_size;
    frame->wire_size = record.wire_size;
    return true;
}

static void input_skip(struct input *in, const struct frame *frame)
{
    in->pos += sizeof(struct corpus_record) + frame->size;
}

/* Sets a word to a new value and repairs up to two checksums that cover it (RFC 1624, eqn. 3). */
static void change16(uint8_t *word, uint16_t value, uint8_t *sum_a, uint8_t *sum_b)
{
    uint16_t was = corpus_get16(word);
    uint8_t *sums[2] = {sum_a, sum_b};
    for (int i = 0; i < 2; i++) {
        if (!sums[i])
            continue;
        uint32_t sum = (uint16_t)~corpus_get16(sums[i]) + (uint32_t)(uint16_t)~was + value;
        corpus_put16(sums[i], corpus_sum_finish(sum));
    }
    corpus_put16(word, value);
}

static void shift_address4(uint8_t *addr, unsigned shift, uint8_t *ip_sum, uint8_t *l4_sum)
{
    if (addr[0] == 10)
        change16(addr, (uint16_t)(corpus_get16(addr) + shift), ip_sum, l4_sum);
}

static void shift_address6(uint8_t *addr, unsigned shift, uint8_t *l4_sum)
{
    if (corpus_get16(addr) == 0xfd00)
        change16(addr + 2, (uint16_t)(corpus_get16(addr + 2) + shift), l4_sum, NULL);
}

/* Renames the DNS labels ending in -c00 for copy k. Offsets within the segment decide which half
 * of a checksum word a digit is. */
static void rename_labels(uint8_t *segment, size_t size, unsigned k, uint8_t *sum)
{
    uint8_t *at = segment, *end = segment + size;
    while ((at = memmem(at, (size_t)(end - at), "-c00", 4))) {
        at[2] = (uint8_t)('0' + k / 10);
        at[3] = (uint8_t)('0' + k % 10);
        for (int i = 2; i < 4; i++) {
            unsigned high = ((at + i - segment) & 1) ? 0 : 8;
            uint32_t was = (uint32_t)'0' << high, now = (uint32_t)at[i] << high;
            uint32_t total = (uint16_t)~corpus_get16(sum) + (uint32_t)(uint16_t)~was + now;
            corpus_put16(sum, corpus_sum_finish(total));
        }
        at += 4;
    }
}

/* Where an IP packet's payload is. */
struct ip_parts {
    uint8_t version, proto;
    bool later_fragment;
    bool whole;  /* nothing of it was cut, and it is no fragment */
    size_t size; /* of the header */
    size_t total_size;
};

static bool ip_parse(const uint8_t *ip, size_t size, struct ip_parts *parts)
{
    *parts = (struct ip_parts){.version = size ? ip[0] >> 4 : 0};
    if (parts->version == 4 && size >= 20) {
        parts->size = (size_t)(ip[0] & 15) * 4;
        parts->proto = ip[9];
        parts->total_size = corpus_get16(ip + 2);
        parts->later_fragment = corpus_get16(ip + 6) & 0x1fff;
        parts->whole = !(corpus_get16(ip + 6) & 0x3fff);
    } else if (parts->version == 6 && size >= 40) {
        parts->size = 40;
        parts->proto = ip[6];
        parts->total_size = 40u + corpus_get16(ip + 4);
        parts->whole = true;
    } else {
        return false;
    }
    parts->whole = parts->whole && parts->total_size <= size && parts->total_size > parts->size;
    return parts->size >= 20 && parts->size <= size;
}

/* Moves an IP packet to copy k. `quoted`: it is the packet an ICMP error quotes. */
static void shift_ip(uint8_t *ip, size_t size, unsigned k, bool quoted)
{
    struct ip_parts parts;
    if (!ip_parse(ip, size, &parts))
        return;
    uint8_t *l4 = ip + parts.size, *sum = NULL;
    size_t left = size - parts.size;
    if (!parts.later_fragment && parts.proto == PROTO_TCP && left >= 18)
        sum = l4 + 16;
    if (!parts.later_fragment && parts.proto == PROTO_UDP && left >= 8 && corpus_get16(l4 + 6))
        sum = l4 + 6;
    if (parts.version == 4) {
        shift_address4(ip + 12, 2 * k, ip + 10, sum);
        shift_address4(ip + 16, 2 * k, ip + 10, sum);
    } else {
        shift_address6(ip + 8, 2 * k, sum);
        shift_address6(ip + 24, 2 * k, sum);
    }
    if (sum && (corpus_get16(l4) == PORT_DNS || corpus_get16(l4 + 2) == PORT_DNS))
        rename_labels(l4, left, k, sum);
    if (sum && parts.proto == PROTO_UDP && corpus_get16(sum) == 0)
        corpus_put16(sum, 0xffff);

    if (quoted || parts.later_fragment || left < 8)
        return;
    bool error4 = parts.proto == PROTO_ICMP && (l4[0] == 3 || l4[0] == 11);
    bool error6 = parts.proto == PROTO_ICMP6 && l4[0] >= 1 && l4[0] <= 4;
    bool neighbor = parts.proto == PROTO_ICMP6 && (l4[0] == 135 || l4[0] == 136) && left >= 24;
    if (error4 || error6)
        shift_ip(l4 + 8, left - 8, k, true);
    if (neighbor)
        shift_address6(l4 + 8, 2 * k, NULL);
    if (parts.whole && (parts.proto == PROTO_ICMP || parts.proto == PROTO_ICMP6))
        corpus_checksums(ip, parts.total_size);
}

static void shift_frame(uint8_t *frame, size_t size, unsigned k)
{
    if (size < CORPUS_ETHER_SIZE || k == 0)
        return;
    uint8_t *body = frame + CORPUS_ETHER_SIZE;
    if (!(frame[0] & 1)) /* another pair of stations; broadcasts stay what they are */
        frame[3] = (uint8_t)k;
    frame[9] = (uint8_t)k;
    switch (corpus_get16(frame + 12)) {
    case ETHER_ARP:
        if (size < CORPUS_ETHER_SIZE + 28)
            return;
        shift_address4(body + 14, 2 * k, NULL, NULL);
        shift_address4(body + 24, 2 * k, NULL, NULL);
        break;
    case ETHER_IPV4:
    case ETHER_IPV6:
        shift_ip(body, size - CORPUS_ETHER_SIZE, k, false);
        break;
    default:
        break;
    }
}

/* Copies start one seventh of the base's length apart: about seven are under way at a time. */
static int64_t copy_step_us(const char *path)
{
    struct input in = input_open(path);
    struct frame frame = {0};
    int64_t first = -1;
    while (input_peek(&in, &frame)) {
        if (first < 0)
            first = frame.time_us;
        input_skip(&in, &frame);
    }
    munmap((void *)(uintptr_t)in.bytes, in.size);
    return first < 0 ? 0 : (frame.time_us - first) / 7;
}

void corpus_mix(char **args)
{
    unsigned n_copies = (unsigned)strtoul(args[2], NULL, 10);
    if (n_copies < 1 || n_copies > MAX_COPIES) {
        fprintf(stderr, "mix: between 1 and %d copies\n", MAX_COPIES);
        exit(2);
    }
    static struct input copies[MAX_COPIES];
    static uint8_t buffer[MAX_FRAME_SIZE];
    int64_t step_us = copy_step_us(args[0]);
    struct input base = input_open(args[0]);
    for (unsigned k = 0; k < n_copies; k++)
        copies[k] = base;
    corpus_out_open(args[1]);
    for (;;) {
        struct frame frame, next = {.time_us = INT64_MAX};
        unsigned next_k = 0;
        for (unsigned k = 0; k < n_copies; k++) {
            if (!input_peek(&copies[k], &frame))
                continue;
            frame.time_us += (int64_t)k * step_us;
            if (frame.time_us < next.time_us) {
                next = frame;
                next_k = k;
            }
        }
        if (next.time_us == INT64_MAX)
            break;
        input_skip(&copies[next_k], &next);
        memcpy(buffer, next.bytes, next.size);
        shift_frame(buffer, next.size, next_k);
        corpus_out_pair(next.time_us, buffer, next.size, NULL, 0, next.wire_size);
    }
    corpus_out_close();
}

/* Which machine a frame is mirrored by, and a hash that both directions share. */
static void mirror_of(const struct frame *frame, uint32_t *machine, uint32_t *hash)
{
    const uint8_t *ip = frame->bytes + CORPUS_ETHER_SIZE;
    struct ip_parts parts;
    *machine = *hash = 0;
    if (frame->size < CORPUS_ETHER_SIZE || !ip_parse(ip, frame->size - CORPUS_ETHER_SIZE, &parts))
        return;
    const uint8_t *src = ip + (parts.version == 4 ? 12 : 8);
    const uint8_t *dst = ip + (parts.version == 4 ? 16 : 24);
    size_t size = parts.version == 4 ? 4 : 16;
    uint32_t src_hash = 0, dst_hash = 0;
    for (size_t i = 0; i < size; i++) {
        src_hash = corpus_scramble(src_hash ^ src[i]);
        dst_hash = corpus_scramble(dst_hash ^ dst[i]);
    }
    /* The monitored machine is the server, whose network has an odd number. */
    size_t network = parts.version == 4 ? 1 : 3;
    *machine = src[network] & 1 ? src_hash : dst[network] & 1 ? dst_hash : src_hash;
    *hash = src_hash ^ dst_hash;
    if (!parts.later_fragment && (parts.proto == PROTO_TCP || parts.proto == PROTO_UDP) &&
        frame->size - CORPUS_ETHER_SIZE >= parts.size + 4)
        *hash ^=
            (uint32_t)(corpus_get16(ip + parts.size) ^ corpus_get16(ip + parts.size + 2)) * 31u;
    *hash = corpus_scramble(*hash);
}

void corpus_vxlan(char **args)
{
    enum { WRAP_SIZE = CORPUS_ETHER_SIZE + 20 + 8 + 8, N_MACHINES = 64, N_VNIS = 4 };
    struct input in = input_open(args[0]);
    struct frame frame;
    uint16_t ip_id = 1;
    corpus_out_open(args[1]);
    for (; input_peek(&in, &frame); input_skip(&in, &frame)) {
        uint32_t machine, hash;
        mirror_of(&frame, &machine, &hash);
        machine %= N_MACHINES;
        uint8_t wrap[WRAP_SIZE] = {
            0x02, 0, 0x5e, 0, 0, 1, 0x02, 0, 0x5e, 1, 0, (uint8_t)machine, 0x08, 0x00, 0x45,
        };
        uint8_t *ip = wrap + CORPUS_ETHER_SIZE, *udp = ip + 20, *vxlan = udp + 8;
        corpus_put16(ip + 2, WRAP_SIZE - CORPUS_ETHER_SIZE + frame.wire_size);
        corpus_put16(ip + 4, ip_id++);
        ip[8] = 254;
        ip[9] = PROTO_UDP;
        corpus_put32(ip + 12, 0xac1f000au + machine); /* 172.31.0.10 and on */
        corpus_put32(ip + 16, 0xac1f6407u);           /* 172.31.100.7 */
        corpus_put16(ip + 10, corpus_sum_finish(corpus_sum(ip, 20, 0)));
        corpus_put16(udp, 49152 + (hash & 0x3fff));
        corpus_put16(udp + 2, 4789);
        corpus_put16(udp + 4, 16 + frame.wire_size);
        vxlan[0] = 0x08;
        corpus_put32(vxlan + 4, (0x0a1000u + machine % N_VNIS) << 8);
        corpus_out_pair(frame.time_us, wrap, WRAP_SIZE, frame.bytes, frame.size,
                        frame.wire_size + WRAP_SIZE);
    }
    corpus_out_close();
}

void corpus_count(char **args)
{
    struct input in = input_open(args[0]);
    struct frame frame;
    uint64_t n_frames = 0;
    for (; input_peek(&in, &frame); input_skip(&in, &frame))
        n_frames++;
    printf("%llu\n", (unsigned long long)n_frames);
}
