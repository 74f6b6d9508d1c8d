/* pcapng files, as draft-ietf-opsawg-pcapng says. A file is a list of blocks:
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------------------------------------------------------+
 *   |                          block type                           |
 *   |                      block total length                       |
 *   |                   body, padded to 32 bits                     |
 *   |                      block total length                       |
 *   +---------------------------------------------------------------+
 *
 * with bodies
 *
 *   section header 0a0d0d0a: byte order 1a2b3c4d (32), major (16), minor (16), ...
 *   interface 1:             link type (16), reserved (16), snap length (32), options
 *   obsolete packet 2:       interface (16), drops (16), then as in 6
 *   simple packet 3:         wire size (32), frame
 *   packet 6:                interface (32), time (32 high, 32 low), captured size (32),
 *                            wire size (32), frame, options
 *
 * The byte order, and the interfaces, are those of the section. All other blocks are skipped. A
 * simple packet has no time: it is given that of the packet before it. */
#include "capture/walk.h"

#include <stdlib.h>

enum block_type {
    BLOCK_INTERFACE = 1,
    BLOCK_OLD_PACKET = 2,
    BLOCK_SIMPLE_PACKET = 3,
    BLOCK_PACKET = 6,
    BLOCK_SECTION = 0x0a0d0d0a,
};

#define BLOCK_HEAD_SIZE 12 /* type, length, and the byte order of a section header */
#define MAX_INTERFACES  65536

#define OPTION_RESOLUTION 9
#define OPTION_OFFSET     14

/* ns since the epoch, of a tick count; what does not fit is the last moment that does. */
static int64_t interface_time(const struct walk_interface *interface, uint64_t ticks)
{
    if (__builtin_expect(ticks <= interface->plain, 1))
        return (int64_t)(ticks * interface->unit) + interface->offset_ns;
    unsigned __int128 ns;
    if (interface->resolution & 0x80)
        ns = (unsigned __int128)ticks * 1000000000 >> (interface->resolution & 0x7f);
    else if (interface->resolution > 9)
        ns = interface->unit == 0 ? 0 : ticks / interface->unit;
    else
        ns = (unsigned __int128)ticks * interface->unit;
    int64_t ts = ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
    if (__builtin_add_overflow(ts, interface->offset_ns, &ts))
        ts = interface->offset_ns < 0 ? INT64_MIN : INT64_MAX;
    return ts;
}

static void interface_set_clock(struct walk_interface *interface, int64_t offset_seconds)
{
    if (__builtin_mul_overflow(offset_seconds, 1000000000, &interface->offset_ns))
        interface->offset_ns = offset_seconds < 0 ? INT64_MIN : INT64_MAX;
    interface->plain = 0;
    interface->unit = 0;
    if (interface->resolution & 0x80)
        return;
    unsigned power = interface->resolution;
    unsigned zeros = power > 9 ? power - 9 : 9 - power;
    if (zeros > 19) /* the unit is so small that 64 bits of it are no nanosecond */
        return;
    interface->unit = 1;
    for (unsigned i = 0; i < zeros; i++)
        interface->unit *= 10;
    /* Half the range for the time, half for the offset. */
    if (power <= 9 && interface->offset_ns < INT64_MAX / 2 && interface->offset_ns > INT64_MIN / 2)
        interface->plain = INT64_MAX / 2 / interface->unit;
}

/* Options: code (16), length (16), value padded to 32 bits. One that does not fit ends them. */
static void read_interface_options(struct reader *r, bool big, struct walk_interface *interface)
{
    int64_t offset_seconds = 0;
    while (rd_left(r) >= 4) {
        uint16_t code = walk_u16(r, big);
        uint16_t size = walk_u16(r, big);
        struct reader value = rd_sub(r, size);
        if (code == 0 || !rd_ok(r))
            break;
        if (code == OPTION_RESOLUTION && size == 1)
            interface->resolution = rd_u8(&value);
        if (code == OPTION_OFFSET && size == 8)
            offset_seconds = (int64_t)walk_u64(&value, big);
        rd_skip(r, -(size_t)size & 3);
    }
    interface_set_clock(interface, offset_seconds);
}

/* NULL, or what is wrong with it. */
static const char *read_interface(struct walk *walk, struct reader block)
{
    if (walk->n_interfaces == MAX_INTERFACES)
        return "more than 65536 interfaces";
    if (walk->n_interfaces == walk->max_interfaces) {
        uint32_t max = walk->max_interfaces > 0 ? 2 * walk->max_interfaces : 4;
        struct walk_interface *more = realloc(walk->interfaces, max * sizeof *more);
        if (!more)
            return "no memory for its interfaces";
        walk->interfaces = more;
        walk->max_interfaces = max;
    }
    struct walk_interface *interface = &walk->interfaces[walk->n_interfaces];
    *interface = (struct walk_interface){.resolution = 6};
    interface->link = walk_u16(&block, walk->big);
    rd_skip(&block, 2);
    interface->snap_size = walk_u32(&block, walk->big);
    if (!rd_ok(&block))
        return "an interface description that is too short";
    read_interface_options(&block, walk->big, interface);
    walk->n_interfaces++;
    return NULL;
}

static const char *read_section(struct walk *walk, struct reader block)
{
    rd_skip(&block, 4);
    uint16_t major = walk_u16(&block, walk->big);
    rd_skip(&block, 2 + 8);
    if (!rd_ok(&block))
        return "a section header that is too short";
    if (major != 1)
        return "a section of another version than 1";
    walk->n_interfaces = 0;
    walk->begun = true;
    return NULL;
}

/* Fills `frame`; false when the block has none to give: see `bad`, or n_unknown has gone up. */
static bool read_packet(struct walk *walk, uint32_t type, struct reader block, struct frame *frame,
                        const char **bad)
{
    const bool big = walk->big;
    uint32_t id = 0;
    if (type == BLOCK_PACKET) {
        id = walk_u32(&block, big);
    } else if (type == BLOCK_OLD_PACKET) {
        id = walk_u16(&block, big);
        rd_skip(&block, 2);
    }
    uint64_t ticks = 0;
    uint32_t size = 0;
    if (type != BLOCK_SIMPLE_PACKET) {
        ticks = (uint64_t)walk_u32(&block, big) << 32;
        ticks |= walk_u32(&block, big);
        size = walk_u32(&block, big);
    }
    uint32_t wire_size = walk_u32(&block, big);
    if (id >= walk->n_interfaces) {
        walk->n_unknown++;
        return false;
    }
    const struct walk_interface *interface = &walk->interfaces[id];
    if (type == BLOCK_SIMPLE_PACKET) {
        size = wire_size;
        if (interface->snap_size > 0 && size > interface->snap_size)
            size = interface->snap_size;
        if (size > rd_left(&block))
            size = (uint32_t)rd_left(&block);
        frame->ts = walk->last_ts;
    } else {
        frame->ts = interface_time(interface, ticks);
    }
    frame->bytes = rd_bytes(&block, size);
    if (!rd_ok(&block)) {
        *bad = "a packet longer than its block";
        return false;
    }
    frame->size = size;
    frame->wire_size = wire_size < size && wire_size != 0 ? size : wire_size;
    frame->link = interface->link;
    return true;
}

/* The block that `r` stands before, without its last length; what is left after it in `rest`.
 * False: the walk stops here, and says why. */
static bool read_block(struct walk *walk, struct reader r, uint32_t *type, struct reader *block,
                       struct reader *rest)
{
    if (rd_left(&r) < BLOCK_HEAD_SIZE) {
        walk_need(walk, r, BLOCK_HEAD_SIZE);
        return false;
    }
    struct reader head = r;
    *type = walk_u32(&head, walk->big);
    uint32_t size = walk_u32(&head, walk->big);
    if (*type == BLOCK_SECTION) {
        uint32_t order = rd_be32(&head);
        if (order != 0x1a2b3c4d && order != 0x4d3c2b1a) {
            walk_bad(walk, r, "a section header of no known byte order");
            return false;
        }
        bool big = order == 0x1a2b3c4d;
        if (big != walk->big)
            size = __builtin_bswap32(size);
        walk->big = big;
    }
    /* Some writers forget the padding in the length. */
    uint64_t padded = ((uint64_t)size + 3) & ~(uint64_t)3;
    if (size < BLOCK_HEAD_SIZE) {
        walk_bad(walk, r, "a block of less than 12 bytes");
        return false;
    }
    bool known = *type == BLOCK_PACKET || *type == BLOCK_SIMPLE_PACKET || *type == BLOCK_SECTION ||
                 *type == BLOCK_INTERFACE || *type == BLOCK_OLD_PACKET;
    *rest = r;
    if (padded > WALK_MAX_RECORD && !known) {
        size_t here = padded < rd_left(&r) ? (size_t)padded : rd_left(&r);
        rd_skip(rest, here);
        walk_need(walk, *rest, BLOCK_HEAD_SIZE);
        walk->skip = padded - here;
        return false;
    }
    if (padded > WALK_MAX_RECORD) {
        walk_bad(walk, r, "a block of more than 16 MiB");
        return false;
    }
    if (padded > rd_left(&r)) {
        walk_need(walk, r, (uint32_t)padded);
        return false;
    }
    *block = rd_sub(rest, (size_t)padded - 4);
    if (walk_u32(rest, walk->big) != size) {
        walk_bad(walk, r, "a block whose two lengths differ");
        return false;
    }
    rd_skip(block, 8);
    return true;
}

size_t walk_pcapng(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    struct reader r = walk->at;
    size_t n = 0;
    while (n < max) {
        uint32_t type = 0;
        struct reader block = {0};
        struct reader rest;
        if (!read_block(walk, r, &type, &block, &rest))
            return n;
        const char *bad = NULL;
        struct frame *frame = &out[n];
        switch (type) {
        case BLOCK_PACKET:
        case BLOCK_OLD_PACKET:
        case BLOCK_SIMPLE_PACKET:
            if (!read_packet(walk, type, block, frame, &bad))
                break;
            if (frame->ts > limit) {
                walk->at = r;
                walk->next_ts = frame->ts;
                walk->stop = WALK_LATER;
                return n;
            }
            __builtin_prefetch(frame->bytes + 48);
            walk->last_ts = frame->ts;
            n++;
            break;
        case BLOCK_INTERFACE:
            bad = read_interface(walk, block);
            break;
        case BLOCK_SECTION:
            bad = read_section(walk, block);
            break;
        }
        if (bad) {
            walk_bad(walk, r, bad);
            return n;
        }
        r = rest;
    }
    walk->at = r;
    walk->stop = WALK_FULL;
    return n;
}
