/* Blocks of pcapng (draft-ietf-opsawg-pcapng), in the byte order of this machine.
 *
 *     +---------------+---------------+     a section header, then for each interface (a link type,
 *     |  block type   |  total length |     or a source's) a description before its first packet,
 *     +---------------+---------------+     and enhanced packet blocks
 *     :  body, padded to 4            :
 *     +---------------+---------------+     an option: code and size, two bytes each, and the
 *     |  total length |                     value, padded to 4
 *     +---------------+
 *
 * Each function writes one whole block and gives its size, a multiple of 4. */
#ifndef SINK_BLOCK_H
#define SINK_BLOCK_H

#include "base/str.h"

enum block_type { BLOCK_INTERFACE = 1, BLOCK_PACKET = 6, BLOCK_SECTION = 0x0a0d0d0a };

#define BLOCK_TEXT_MAX 256 /* longer texts are cut */

/* No section header or interface block is larger. */
#define BLOCK_HEAD_MAX (64 + 3 * (BLOCK_TEXT_MAX + 8))

/* How much larger than its bytes a packet's block can be. */
#define BLOCK_PACKET_MORE (32 + 3 + 8 + BLOCK_TEXT_MAX)

/* Texts that are not set are left out. */
size_t block_section(uint8_t *out, struct str application, struct str comment);
size_t block_interface(uint8_t *out, uint16_t link, uint32_t snap, struct str name,
                       struct str description, struct str comment);
size_t block_packet(uint8_t *out, uint32_t interface, int64_t ts, const uint8_t *bytes,
                    uint32_t size, uint32_t wire_size, struct str comment);

/* Of a packet's block, after the fact: the number of its interface. */
void block_set_interface(uint8_t *block, uint32_t interface);

/* Of a block that we wrote: its whole size. */
static inline uint32_t block_size(const uint8_t *block)
{
    uint32_t size;
    memcpy(&size, block + 4, 4);
    return size;
}

/* From the first 8 bytes of what may be a block, with `left` bytes of the file from there on:
 * whether it is all there. */
static inline bool block_whole(const uint8_t head[8], uint64_t left)
{
    uint32_t size = block_size(head);
    return size >= 12 && size % 4 == 0 && size <= left;
}

#endif
