/*
 * What the parts of the corpus generator share: writing a capture file, reading and writing
 * words in network order, and Internet checksums (RFC 1071, RFC 1624).
 *
 * The generator stands alone: it reads only captures that this folder made, and is never
 * installed. It therefore edits frames in place instead of going through base/reader.h.
 */
#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include <stddef.h>
#include <stdint.h>

enum { CORPUS_US_PER_S = 1000000, CORPUS_ETHER_SIZE = 14 };

/* The moment all made-up captures start at: 2024-05-01 00:00:00 UTC, in microseconds. */
#define CORPUS_EPOCH_US (INT64_C(1714521600) * CORPUS_US_PER_S)

/* One record header of a pcap file, as it lies on the disk (in this machine's byte order). */
struct corpus_record {
    uint32_t sec, usec;
    uint32_t kept_size, wire_size;
};

/* Opens the one capture being written; exits with a message when it cannot. */
void corpus_out_open(const char *path);
void corpus_out_frame(int64_t time_us, const void *frame, uint32_t size);
/* Two pieces of one frame: an outer header, and the frame inside it. `wire_size` is all of it. */
void corpus_out_pair(int64_t time_us, const void *a, uint32_t a_size, const void *b,
                     uint32_t b_size, uint32_t wire_size);
/* Flushes and closes; exits with a message when the disk is full. */
void corpus_out_close(void);

static inline uint16_t corpus_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void corpus_put16(uint8_t *p, unsigned value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void corpus_put32(uint8_t *p, uint32_t value)
{
    corpus_put16(p, value >> 16);
    corpus_put16(p + 2, value & 0xffff);
}

/* A fixed scrambling of 32 bits: the only "randomness" in the made-up captures. */
static inline uint32_t corpus_scramble(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* The sum of big-endian words, not yet folded or inverted. */
uint32_t corpus_sum(const uint8_t *bytes, size_t size, uint32_t start);
/* Folds a sum and inverts it: what goes into a checksum field. */
uint16_t corpus_sum_finish(uint32_t sum);
/* Fills in the checksums of a whole IPv4 or IPv6 packet holding TCP, UDP or ICMP. */
void corpus_checksums(uint8_t *ip, size_t size);

/* The generator's modes; each takes the command line after the mode's name. */
void corpus_mix(char **args);
void corpus_vxlan(char **args);
void corpus_small(char **args);
void corpus_synflood(char **args);
void corpus_base(char **args);
void corpus_count(char **args);

#endif
