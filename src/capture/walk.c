/* The start of a walk: which of the formats a file has, by its first four bytes. */
#include "capture/walk.h"

#include <stdlib.h>

struct magic {
    uint32_t bytes; /* read as a big-endian number */
    const char *name;
    size_t (*step)(struct walk *walk, struct frame *out, size_t max, int64_t limit);
};

static const struct magic magics[] = {
    {0xa1b2c3d4, "pcap", walk_pcap},     /* big-endian, microseconds */
    {0xd4c3b2a1, "pcap", walk_pcap},     /* little-endian */
    {0xa1b23c4d, "pcap", walk_pcap},     /* nanoseconds */
    {0x4d3cb2a1, "pcap", walk_pcap},     /* the same, little-endian */
    {0xa1b2cd34, "pcap", walk_pcap},     /* Kuznetzov's: 8 more bytes in each record's header */
    {0x34cdb2a1, "pcap", walk_pcap},     /* the same, little-endian */
    {0x0a0d0d0a, "pcapng", walk_pcapng}, /* the section header's type, alike in both orders */
};

static const struct magic *find(uint32_t bytes)
{
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (magics[i].bytes == bytes)
            return &magics[i];
    return NULL;
}

static size_t walk_first(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    struct reader r = walk->at;
    if (rd_left(&r) < WALK_MAGIC_SIZE) {
        walk_need(walk, walk->at, WALK_MAGIC_SIZE);
        return 0;
    }
    const struct magic *magic = find(rd_be32(&r));
    if (!magic) {
        walk_bad(walk, walk->at, "not a capture");
        return 0;
    }
    walk->step = magic->step;
    return walk->step(walk, out, max, limit);
}

const char *walk_format_name(const uint8_t bytes[WALK_MAGIC_SIZE])
{
    struct reader r = rd_make(bytes, WALK_MAGIC_SIZE);
    const struct magic *magic = find(rd_be32(&r));
    return magic ? magic->name : NULL;
}

void walk_init(struct walk *walk)
{
    *walk = (struct walk){.step = walk_first, .stop = WALK_NEED, .need = WALK_MAGIC_SIZE};
}

void walk_done(struct walk *walk)
{
    free(walk->interfaces);
    walk->interfaces = NULL;
}
