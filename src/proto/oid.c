/* Object identifiers: looking them up, and writing them as numbers (X.690, 8.19). Each number is
 * written in base 128, most significant first; the first one holds the first two:
 *
 *      7 6 5 4 3 2 1 0
 *     +-+-------------+-+-------------+
 *     |1|  high bits  |0|  low bits   |   bit 7: another byte of this number follows
 *     +-+-------------+-+-------------+
 */
#include "proto/oid.h"

#include "base/reader.h"

static int order(const struct oid *oid, struct str bytes)
{
    if (oid->size != bytes.len)
        return oid->size < bytes.len ? -1 : 1;
    return memcmp(oid->bytes, bytes.at, bytes.len);
}

const struct oid *oid_find(struct str bytes)
{
    size_t low = 0;
    size_t high = oid_n_table;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int c = order(&oid_table[middle], bytes);
        if (c == 0)
            return &oid_table[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool oid_valid(struct str bytes)
{
    if (bytes.len == 0 || (uint8_t)bytes.at[bytes.len - 1] & 0x80)
        return false;
    bool first = true; /* byte of a number */
    for (uint32_t i = 0; i < bytes.len; i++) {
        uint8_t b = (uint8_t)bytes.at[i];
        if (first && b == 0x80)
            return false;
        first = !(b & 0x80);
    }
    return true;
}

static size_t put_number(uint64_t value, char *out, size_t size)
{
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    if (n > size)
        return 0;
    for (size_t i = 0; i < n; i++)
        out[i] = digits[n - 1 - i];
    return n;
}

size_t oid_format(struct str bytes, char *out, size_t size)
{
    struct reader r = rd_make(bytes.at, bytes.len);
    size_t at = 0;
    bool first = true;
    while (rd_left(&r) > 0) {
        uint64_t value = 0;
        uint8_t b;
        do {
            b = rd_u8(&r);
            if (value >> 57)
                return at;
            value = value << 7 | (b & 0x7f);
        } while (b & 0x80 && rd_left(&r) > 0);
        if (first) {
            uint64_t root = value >= 80 ? 2 : value / 40;
            at += put_number(root, out + at, size - at);
            value -= root * 40;
            first = false;
        }
        if (at == size)
            return at;
        size_t n = put_number(value, out + at + 1, size - at - 1);
        if (n == 0)
            return at;
        out[at] = '.';
        at += n + 1;
    }
    return at;
}
