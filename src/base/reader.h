/* A cursor over bytes that came from outside. All such bytes are read through it and nothing else.
 *
 * After the first read that does not fit, every read gives zero and the reader is empty; whoever
 * drives the parser asks rd_ok() once at the end. Whether the bytes were cut by the capture or are
 * wrong in themselves is for the driver to say: it knows the size on the wire. */
#ifndef BASE_READER_H
#define BASE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

static inline struct reader rd_make(const void *bytes, size_t size)
{
    return (struct reader){.at = (const uint8_t *)bytes, .end = (const uint8_t *)bytes + size};
}

static inline size_t rd_left(const struct reader *r)
{
    return (size_t)(r->end - r->at);
}

static inline bool rd_ok(const struct reader *r)
{
    return !r->failed;
}

/* True when all was read, and nothing past the end was asked for. */
static inline bool rd_done(const struct reader *r)
{
    return !r->failed && r->at == r->end;
}

/* Says that a value is present but impossible. */
static inline void rd_fail(struct reader *r)
{
    r->failed = true;
    r->at = r->end;
}

static inline bool rd_need(struct reader *r, size_t size)
{
    if (rd_left(r) >= size)
        return true;
    rd_fail(r);
    return false;
}

static inline uint8_t rd_u8(struct reader *r)
{
    return rd_need(r, 1) ? *r->at++ : 0;
}

static inline uint16_t rd_be16(struct reader *r)
{
    if (!rd_need(r, 2))
        return 0;
    uint16_t v = (uint16_t)(r->at[0] << 8 | r->at[1]);
    r->at += 2;
    return v;
}

static inline uint32_t rd_be24(struct reader *r)
{
    if (!rd_need(r, 3))
        return 0;
    uint32_t v = (uint32_t)r->at[0] << 16 | (uint32_t)r->at[1] << 8 | r->at[2];
    r->at += 3;
    return v;
}

static inline uint32_t rd_be32(struct reader *r)
{
    if (!rd_need(r, 4))
        return 0;
    uint32_t v;
    memcpy(&v, r->at, 4);
    r->at += 4;
    return __builtin_bswap32(v);
}

static inline uint64_t rd_be64(struct reader *r)
{
    if (!rd_need(r, 8))
        return 0;
    uint64_t v;
    memcpy(&v, r->at, 8);
    r->at += 8;
    return __builtin_bswap64(v);
}

static inline uint16_t rd_le16(struct reader *r)
{
    return __builtin_bswap16(rd_be16(r));
}

static inline uint32_t rd_le32(struct reader *r)
{
    return __builtin_bswap32(rd_be32(r));
}

static inline uint64_t rd_le64(struct reader *r)
{
    return __builtin_bswap64(rd_be64(r));
}

static inline void rd_skip(struct reader *r, size_t size)
{
    if (rd_need(r, size))
        r->at += size;
}

/* The next `size` bytes in place, or NULL (and the reader has failed). */
static inline const uint8_t *rd_bytes(struct reader *r, size_t size)
{
    if (!rd_need(r, size))
        return NULL;
    const uint8_t *p = r->at;
    r->at += size;
    return p;
}

/* The next `size` bytes as a reader of their own; an empty failed one when they are not there. */
static inline struct reader rd_sub(struct reader *r, size_t size)
{
    if (!rd_need(r, size))
        return (struct reader){.at = r->end, .end = r->end, .failed = true};
    struct reader sub = {.at = r->at, .end = r->at + size};
    r->at += size;
    return sub;
}

/* At most the next `size` bytes: for what a capture may have cut short. */
static inline struct reader rd_sub_upto(struct reader *r, size_t size)
{
    return rd_sub(r, size < rd_left(r) ? size : rd_left(r));
}

/* Looks ahead without moving: zero past the end, and the reader does not fail. */
static inline uint8_t rd_peek_u8(const struct reader *r, size_t ahead)
{
    return ahead < rd_left(r) ? r->at[ahead] : 0;
}

static inline uint16_t rd_peek_be16(const struct reader *r, size_t ahead)
{
    return (uint16_t)(rd_peek_u8(r, ahead) << 8 | rd_peek_u8(r, ahead + 1));
}

#endif
