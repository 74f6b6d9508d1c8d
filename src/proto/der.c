/* Elements of X.690's encodings:
 *
 *      7   6   5   4       0
 *     +-------+---+-----------+-------------------+----------------+
 *     | class |P/C|  number   |  length           | content …      |
 *     +-------+---+-----------+-------------------+----------------+
 *                              0xxxxxxx: that many bytes
 *                              1nnnnnnn: n bytes of length follow
 */
#include "proto/der.h"

#include "proto/oid.h"

struct der der_next(struct reader *r)
{
    const uint8_t *start = r->at;
    uint8_t tag = rd_u8(r);
    uint64_t size = rd_u8(r);
    if ((tag & 0x1f) == 0x1f || tag == 0 || size == 0x80)
        rd_fail(r);
    if (size > 0x80) {
        size_t n = size & 0x7f;
        size = 0;
        while (n-- > 0 && rd_ok(r)) {
            if (size >> 32)
                rd_fail(r);
            size = size << 8 | rd_u8(r);
        }
    }
    struct reader content = rd_sub(r, size);
    if (!rd_ok(r))
        return (struct der){.content = content};
    return (struct der){
        .tag = tag,
        .content = content,
        .whole = str_make(start, (size_t)(r->at - start)),
    };
}

struct reader der_expect(struct reader *r, uint8_t tag)
{
    struct der element = der_next(r);
    if (element.tag != tag) {
        rd_fail(r);
        return *r;
    }
    return element.content;
}

bool der_optional(struct reader *r, uint8_t tag, struct reader *out)
{
    if (rd_left(r) == 0 || rd_peek_u8(r, 0) != tag)
        return false;
    *out = der_next(r).content;
    return true;
}

bool der_integer_valid(struct str content)
{
    if (content.len == 0)
        return false;
    if (content.len == 1)
        return true;
    uint8_t first = (uint8_t)content.at[0];
    bool negative = (uint8_t)content.at[1] & 0x80;
    return !(first == 0 && !negative) && !(first == 0xff && negative);
}

struct str der_integer(struct reader *r)
{
    struct reader content = der_expect(r, DER_INTEGER);
    struct str bytes = der_rest(&content);
    if (rd_ok(r) && !der_integer_valid(bytes))
        rd_fail(r);
    return bytes;
}

struct str der_oid(struct reader *r)
{
    struct reader content = der_expect(r, DER_OID);
    struct str bytes = der_rest(&content);
    if (rd_ok(r) && !oid_valid(bytes))
        rd_fail(r);
    return bytes;
}

bool der_bits_valid(struct reader content)
{
    return rd_u8(&content) <= 7 && rd_ok(&content);
}

struct reader der_bit_string(struct reader *r)
{
    struct reader content = der_expect(r, DER_BIT_STRING);
    if (rd_ok(r) && !der_bits_valid(content))
        rd_fail(r);
    (void)rd_u8(&content);
    return content;
}
