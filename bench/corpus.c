/*
 * The corpus generator's command line, its capture writer and its checksums. It makes the
 * captures that bench/run measures on; the same arguments and input always give the same bytes.
 *
 *   corpus base OUT                    a synthetic base: HTTP, DNS, TLS and bulk conversations
 *   corpus mix BASE OUT COPIES         BASE, COPIES times, shifted in address and time
 *   corpus vxlan IN OUT                the frames of IN as a cloud's mirror sends them
 *   corpus small OUT FLOWS             ten 60-byte packets on each of FLOWS connections
 *   corpus synflood OUT COUNT          COUNT SYNs, 2 us apart, no two of one connection
 *   corpus count IN                    says how many packets IN holds
 *
 * Files are classic pcap: a header of 24 bytes, then each frame behind a record header
 * (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html):
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------------------------------------------------------+
 *   |                            seconds                            |
 *   +---------------------------------------------------------------+
 *   |                          microseconds                         |
 *   +---------------------------------------------------------------+
 *   |                     captured packet length                    |
 *   +---------------------------------------------------------------+
 *   |                     original packet length                    |
 *   +---------------------------------------------------------------+
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus.h"

static FILE *out;
static const char *out_path;

static void out_bytes(const void *bytes, size_t size)
{
    if (fwrite(bytes, 1, size, out) == size)
        return;
    fprintf(stderr, "%s: %s\n", out_path, strerror(errno));
    exit(1);
}

void corpus_out_open(const char *path)
{
    static char buffer[1 << 20];
    out_path = path;
    out = fopen(path, "wb");
    if (!out) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    setvbuf(out, buffer, _IOFBF, sizeof(buffer));
    const uint32_t magic = 0xa1b2c3d4, snap_size = 262144, link_ethernet = 1;
    const uint16_t version[2] = {2, 4};
    const uint32_t zone[2] = {0, 0};
    out_bytes(&magic, sizeof(magic));
    out_bytes(version, sizeof(version));
    out_bytes(zone, sizeof(zone));
    out_bytes(&snap_size, sizeof(snap_size));
    out_bytes(&link_ethernet, sizeof(link_ethernet));
}

void corpus_out_pair(int64_t time_us, const void *a, uint32_t a_size, const void *b,
                     uint32_t b_size, uint32_t wire_size)
{
    struct corpus_record record = {
        .sec = (uint32_t)(time_us / CORPUS_US_PER_S),
        .usec = (uint32_t)(time_us % CORPUS_US_PER_S),
        .kept_size = a_size + b_size,
        .wire_size = wire_size,
    };
    out_bytes(&record, sizeof(record));
    out_bytes(a, a_size);
    if (b_size)
        out_bytes(b, b_size);
}

void corpus_out_frame(int64_t time_us, const void *frame, uint32_t size)
{
    corpus_out_pair(time_us, frame, size, NULL, 0, size);
}

void corpus_out_close(void)
{
    if (fclose(out) == 0)
        return;
    fprintf(stderr, "%s: %s\n", out_path, strerror(errno));
    exit(1);
}

uint32_t corpus_sum(const uint8_t *bytes, size_t size, uint32_t start)
{
    uint64_t sum = start;
    size_t i = 0;
    for (; i + 1 < size; i += 2)
        sum += corpus_get16(bytes + i);
    if (i < size)
        sum += (uint32_t)bytes[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

uint16_t corpus_sum_finish(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void corpus_checksums(uint8_t *ip, size_t size)
{
    size_t ip_size = 40;
    uint8_t proto = ip[6];
    uint32_t addresses;
    if (ip[0] >> 4 == 4) {
        ip_size = (size_t)(ip[0] & 15) * 4;
        proto = ip[9];
        corpus_put16(ip + 10, 0);
        corpus_put16(ip + 10, corpus_sum_finish(corpus_sum(ip, ip_size, 0)));
        addresses = corpus_sum(ip + 12, 8, 0);
    } else {
        addresses = corpus_sum(ip + 8, 32, 0);
    }
    static const struct {
        uint8_t proto, offset, pseudo; /* pseudo: the sum covers the addresses too */
    } fields[] = {{6, 16, 1}, {17, 6, 1}, {1, 2, 0}, {58, 2, 1}};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (proto != fields[i].proto || size < ip_size + fields[i].offset + 2u)
            continue;
        uint8_t *field = ip + ip_size + fields[i].offset;
        uint32_t start = fields[i].pseudo ? addresses + proto + (uint32_t)(size - ip_size) : 0;
        corpus_put16(field, 0);
        uint16_t sum = corpus_sum_finish(corpus_sum(ip + ip_size, size - ip_size, start));
        corpus_put16(field, proto == 17 && sum == 0 ? 0xffff : sum);
    }
}

static const struct {
    const char *name;
    int n_args;
    void (*make)(char **args);
} modes[] = {
    {"base", 1, corpus_base},   {"mix", 3, corpus_mix},           {"vxlan", 2, corpus_vxlan},
    {"small", 2, corpus_small}, {"synflood", 2, corpus_synflood}, {"count", 1, corpus_count},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) || argc != modes[i].n_args + 2)
            continue;
        modes[i].make(argv + 2);
        return 0;
    }
    fprintf(stderr, "usage: corpus base OUT | mix BASE OUT COPIES | vxlan IN OUT |\n"
                    "       small OUT FLOWS | synflood OUT COUNT | count IN\n");
    return 2;
}
