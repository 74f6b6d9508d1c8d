/* For unit tests: bytes written as hex, and frames decoded from heap blocks of their exact size. */
#ifndef NET_FRAMES_H
#define NET_FRAMES_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>

#include "net/ip.h"
#include "net/link.h"

#define FRAMES_MAX 4096

struct bytes {
    size_t size;
    uint8_t at[FRAMES_MAX];
};

static inline void bytes_add(struct bytes *b, const char *hex)
{
    for (; *hex; hex++) {
        if (*hex == ' ' || *hex == '|')
            continue;
        char pair[3] = {hex[0], hex[1], 0};
        assert_true(b->size < FRAMES_MAX);
        b->at[b->size++] = (uint8_t)strtoul(pair, NULL, 16);
        hex++;
    }
}

static inline struct bytes bytes_of(const char *hex)
{
    struct bytes b = {.size = 0};
    bytes_add(&b, hex);
    return b;
}

static inline uint8_t *bytes_block(const uint8_t *bytes, size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    memcpy(block, bytes, size);
    return block;
}

/* What link_decode and ip_decode make of the first `size` bytes of a frame. */
static inline enum packet_kind decode_block(const uint8_t *block, size_t size, size_t wire,
                                            uint16_t link, struct packet *out,
                                            struct packet_weird weirds[PACKET_MAX_WEIRDS])
{
    memset(out, 0, sizeof *out);
    out->weirds = weirds;
    struct reader r = rd_make(block, size);
    enum packet_kind kind = link_decode(&r, link, out);
    assert_true(r.at >= block && r.at <= r.end && r.end <= block + size);
    if (kind != PACKET_IP)
        return kind;
    struct ip_fragment fragment;
    kind = ip_decode(&r, (uint32_t)(wire - (size_t)(r.at - block)), false, out, &fragment);
    if (kind == PACKET_IP) {
        assert_true(out->ip >= block && out->ip + out->ip_size <= block + size);
        assert_true(out->payload >= block && out->payload + out->payload_size <= block + size);
        assert_true(out->ip_size <= out->ip_len);
        assert_true(out->payload_size <= out->payload_len);
    }
    return kind;
}

#endif
