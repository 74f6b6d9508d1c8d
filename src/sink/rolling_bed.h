/* For unit tests: what a reader of a pcapng file finds in it. */
#ifndef SINK_ROLLING_BED_H
#define SINK_ROLLING_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>

#include "base/reader.h"
#include "sink/block.h"

/* What a reader finds in a file; every block has to be whole. */
struct found {
    unsigned n_packets, n_interfaces;
    char interfaces[2100][40];
    unsigned of_interface[2100];
    char section_comment[64];
    char packet_comment[64]; /* the last */
    uint32_t last_size, last_wire_size;
    int64_t last_ts;
};

static inline void take_option(struct reader *options, uint16_t wanted, char *out, size_t size)
{
    struct reader r = *options;
    while (rd_left(&r) > 0) {
        uint16_t code = rd_le16(&r);
        uint16_t len = rd_le16(&r);
        const uint8_t *text = rd_bytes(&r, len);
        assert_true(rd_ok(&r));
        if (code == wanted)
            (void)snprintf(out, size, "%.*s", (int)len, (const char *)text);
        rd_skip(&r, (4 - len % 4) % 4);
    }
}

static inline void take_block(struct found *found, uint32_t type, struct reader body)
{
    if (type == BLOCK_SECTION) {
        assert_int_equal(rd_le32(&body), 0x1a2b3c4d);
        rd_skip(&body, 12);
        take_option(&body, 1, found->section_comment, sizeof found->section_comment);
    } else if (type == BLOCK_INTERFACE) {
        rd_skip(&body, 8);
        take_option(&body, 2, found->interfaces[found->n_interfaces++], 40);
    } else {
        assert_int_equal(type, BLOCK_PACKET);
        uint32_t interface = rd_le32(&body);
        assert_true(interface < found->n_interfaces);
        found->of_interface[interface]++;
        uint64_t high = rd_le32(&body);
        found->last_ts = (int64_t)(high << 32 | rd_le32(&body));
        found->last_size = rd_le32(&body);
        found->last_wire_size = rd_le32(&body);
        rd_skip(&body, (found->last_size + 3) & ~3u);
        assert_true(rd_ok(&body));
        take_option(&body, 1, found->packet_comment, sizeof found->packet_comment);
        found->n_packets++;
    }
}

/* Valid until the next call. */
static inline const struct found *read_back(const char *path)
{
    static struct found found;
    memset(&found, 0, sizeof found);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size);
    assert_int_equal(fread(bytes, 1, size, file), size);
    fclose(file);
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) > 0) {
        uint32_t type = rd_le32(&r);
        uint32_t whole = rd_le32(&r);
        assert_true(whole >= 12 && whole % 4 == 0);
        take_block(&found, type, rd_sub(&r, whole - 12));
        assert_int_equal(rd_le32(&r), whole);
        assert_true(rd_ok(&r));
    }
    free(bytes);
    return &found;
}

#endif
