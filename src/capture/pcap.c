/* pcap files, as draft-ietf-opsawg-pcap says, and their older relatives that libpcap reads too.
 *
 * File header, in the byte order of who wrote it:
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +---------------------------------------------------------------+
 *   |           magic: a1b2c3d4 µs, a1b23c4d ns, a1b2cd34           |
 *   +-------------------------------+-------------------------------+
 *   |         major version         |         minor version         |
 *   +-------------------------------+-------------------------------+
 *   |                     reserved (time zone)                      |
 *   |                     reserved (accuracy)                       |
 *   |                         snap length                           |
 *   +-------+-+---------------------+-------------------------------+
 *   |FCS len|f|0 0 0 0 0 0 0 0 0 0 0|           link type           |
 *   +-------+-+---------------------+-------------------------------+
 *
 * and each record:
 *
 *   +---------------------------------------------------------------+
 *   |                            seconds                            |
 *   |                  microseconds or nanoseconds                  |
 *   |                         captured size                         |
 *   |                           wire size                           |
 *   |      a1b2cd34 only: interface, protocol, kind, padding        |
 *   |                        (2 times 32 bits)                      |
 *   +---------------------------------------------------------------+
 *   |                 the frame, to its captured size               |
 *
 * A frame that is longer than the file's snap length is cut to it, and counted: libpcap, and so
 * Zeek and tcpdump, do the same. 0, and what no int can hold, is no snap length. */
#include "capture/walk.h"

#define FILE_HEADER_SIZE   24
#define RECORD_HEADER_SIZE 16

static inline __attribute__((always_inline)) size_t
step(struct walk *walk, struct frame *out, size_t max, int64_t limit, bool big, bool odd)
{
    struct reader r = walk->at;
    const int64_t unit = walk->unit;
    const uint16_t link = walk->link;
    const uint32_t snap_size = walk->snap_size;
    const uint32_t header_size = RECORD_HEADER_SIZE + (odd ? walk->extra_size : 0u);
    size_t n = 0;
    while (n < max) {
        struct reader rest = r;
        if (rd_left(&rest) < header_size) {
            walk_need(walk, r, header_size);
            return n;
        }
        struct reader header = rd_sub(&rest, header_size);
        uint32_t seconds = walk_u32(&header, big);
        uint32_t fraction = walk_u32(&header, big);
        uint32_t size = walk_u32(&header, big);
        uint32_t wire_size = walk_u32(&header, big);
        if (odd && (walk->swapped_sizes || (walk->mixed_sizes && size > wire_size))) {
            uint32_t other = size;
            size = wire_size;
            wire_size = other;
        }
        if (__builtin_expect(size > WALK_MAX_RECORD, 0)) {
            walk_bad(walk, r, "a packet of more than 16 MiB");
            return n;
        }
        if (size > rd_left(&rest)) {
            walk_need(walk, r, header_size + size);
            return n;
        }
        int64_t ts = (int64_t)seconds * 1000000000 + (int64_t)fraction * unit;
        if (ts > limit) {
            walk->at = r;
            walk->next_ts = ts;
            walk->stop = WALK_LATER;
            return n;
        }
        if (__builtin_expect(wire_size < size && wire_size != 0, 0))
            wire_size = size;
        const uint8_t *bytes = rd_bytes(&rest, size);
        if (__builtin_expect(size > snap_size, 0)) {
            size = snap_size;
            walk->n_cut++;
        }
        __builtin_prefetch(bytes + 48); /* with Ethernet: the transport header */
        out[n++] = (struct frame){
            .ts = ts, .bytes = bytes, .size = size, .wire_size = wire_size, .link = link};
        r = rest;
    }
    walk->at = r;
    walk->stop = WALK_FULL;
    return n;
}

static size_t step_little(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    return step(walk, out, max, limit, false, false);
}

static size_t step_big(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    return step(walk, out, max, limit, true, false);
}

static size_t step_odd(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    return step(walk, out, max, limit, walk->big, true);
}

size_t walk_pcap(struct walk *walk, struct frame *out, size_t max, int64_t limit)
{
    struct reader r = walk->at;
    if (rd_left(&r) < FILE_HEADER_SIZE) {
        walk_need(walk, walk->at, FILE_HEADER_SIZE);
        return 0;
    }
    walk->big = rd_peek_u8(&r, 0) == 0xa1;
    uint32_t magic = walk_u32(&r, walk->big);
    uint16_t major = walk_u16(&r, walk->big);
    uint16_t minor = walk_u16(&r, walk->big);
    rd_skip(&r, 8);
    uint32_t snap_size = walk_u32(&r, walk->big);
    uint32_t link = walk_u32(&r, walk->big);
    if (major < 2) {
        walk_bad(walk, walk->at, "a pcap version before 2");
        return 0;
    }
    if (link & 0x03ff0000) {
        walk_bad(walk, walk->at, "a link type of more than 16 bits");
        return 0;
    }
    walk->link = (uint16_t)link;
    walk->snap_size = snap_size > 0 && snap_size <= INT32_MAX ? snap_size : UINT32_MAX;
    walk->unit = magic == 0xa1b23c4d ? 1 : 1000;
    walk->extra_size = magic == 0xa1b2cd34 ? 8 : 0;
    walk->swapped_sizes = major == 2 && minor < 3;
    walk->mixed_sizes = major == 2 && minor == 3;
    walk->at = r;
    walk->begun = true;
    if (walk->extra_size > 0 || walk->swapped_sizes || walk->mixed_sizes)
        walk->step = step_odd;
    else
        walk->step = walk->big ? step_big : step_little;
    return walk->step(walk, out, max, limit);
}
