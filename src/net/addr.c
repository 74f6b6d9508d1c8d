/* Addresses as text (RFC 5952, and as inet_ntop writes them), and which of them are a site's own.
 *
 * Written by hand because logs hold two addresses a line: inet_ntop costs as much as all the rest
 * of the line. */
#include "net/addr.h"

#include <arpa/inet.h>

static char *put_u8(char *at, unsigned v)
{
    if (v >= 100) {
        *at++ = (char)('0' + v / 100);
        v %= 100;
        *at++ = (char)('0' + v / 10);
        v %= 10;
    } else if (v >= 10) {
        *at++ = (char)('0' + v / 10);
        v %= 10;
    }
    *at++ = (char)('0' + v);
    return at;
}

static char *put_v4(char *at, const uint8_t b[4])
{
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *at++ = '.';
        at = put_u8(at, b[i]);
    }
    return at;
}

static char *put_hex(char *at, unsigned v)
{
    static const char digits[] = "0123456789abcdef";
    if (v >= 0x1000)
        *at++ = digits[v >> 12];
    if (v >= 0x100)
        *at++ = digits[v >> 8 & 15];
    if (v >= 0x10)
        *at++ = digits[v >> 4 & 15];
    *at++ = digits[v & 15];
    return at;
}

size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    if (addr_is_v4(a))
        return (size_t)(put_v4(out, a->b + 12) - out);

    /* The longest run of zero groups, the first of equals, is written "::"; one group is not. */
    unsigned word[8];
    int start = -1, length = 1;
    int run = 0;
    for (int i = 0; i < 8; i++) {
        word[i] = (unsigned)a->b[2 * i] << 8 | a->b[2 * i + 1];
        run = word[i] == 0 ? run + 1 : 0;
        if (run > length) {
            length = run;
            start = i - run + 1;
        }
    }

    char *at = out;
    for (int i = 0; i < 8; i++) {
        if (i == start) {
            *at++ = ':';
            if (i + length == 8)
                *at++ = ':';
            i += length - 1;
            continue;
        }
        if (i > 0)
            *at++ = ':';
        /* An IPv4 address in the last 32 bits alone, which inet_ntop shows as one. */
        if (i == 6 && start == 0 && length == 6)
            return (size_t)(put_v4(at, a->b + 12) - out);
        at = put_hex(at, word[i]);
    }
    return (size_t)(at - out);
}

bool addr_parse(const char *text, struct addr *out)
{
    uint8_t bytes[16];
    if (inet_pton(AF_INET, text, bytes) == 1) {
        *out = addr_v4(bytes);
        return true;
    }
    if (inet_pton(AF_INET6, text, bytes) == 1) {
        *out = addr_v6(bytes);
        return true;
    }
    return false;
}

/* IANA's special-purpose registry for IPv4, as Zeek has it. */
static const struct {
    uint32_t net, mask;
} private_v4[] = {
    {0x00000000, 0xff000000}, /* this network */
    {0x0a000000, 0xff000000}, /* private use */
    {0x64400000, 0xffc00000}, /* shared address space */
    {0x7f000000, 0xff000000}, /* loopback */
    {0xa9fe0000, 0xffff0000}, /* link local */
    {0xac100000, 0xfff00000}, /* private use */
    {0xc0000000, 0xffffff00}, /* IETF protocol assignments */
    {0xc0000200, 0xffffff00}, /* documentation, TEST-NET-1 */
    {0xc0a80000, 0xffff0000}, /* private use */
    {0xc6120000, 0xfffe0000}, /* benchmarking */
    {0xc6336400, 0xffffff00}, /* documentation, TEST-NET-2 */
    {0xcb007100, 0xffffff00}, /* documentation, TEST-NET-3 */
    {0xf0000000, 0xf0000000}, /* reserved; the limited broadcast is in it */
};

/* The same for IPv6, by the upper half of the address. */
static const struct {
    uint64_t net, mask;
} private_v6[] = {
    {0x0064ff9b00010000, 0xffffffffffff0000}, /* translation to IPv4 */
    {0x0100000000000000, 0xffffffffffffffff}, /* discard only */
    {0x2001000000000000, 0xfffffe0000000000}, /* IETF protocol assignments, benchmarking in it */
    {0x20010db800000000, 0xffffffff00000000}, /* documentation */
    {0xfc00000000000000, 0xfe00000000000000}, /* unique local */
    {0xfe80000000000000, 0xffc0000000000000}, /* link local */
    {0xfec0000000000000, 0xffc0000000000000}, /* site local, as it was */
};

/* Multicast that does not leave the link or the site. */
static bool is_local_multicast(uint32_t v)
{
    return v >> 8 == 0xe00000 || v >> 24 == 0xef;
}

static bool is_private_v4(uint32_t v)
{
    for (size_t i = 0; i < sizeof private_v4 / sizeof private_v4[0]; i++)
        if ((v & private_v4[i].mask) == private_v4[i].net)
            return true;
    return false;
}

bool addr_is_local(const struct addr *a)
{
    uint64_t high, low;
    memcpy(&high, a->b, 8);
    memcpy(&low, a->b + 8, 8);
    high = __builtin_bswap64(high);
    low = __builtin_bswap64(low);

    if (high == 0 && low >> 32 == 0xffff)
        return is_private_v4((uint32_t)low) || is_local_multicast((uint32_t)low);
    if (high == 0)
        return low <= 1;        /* unspecified, loopback */
    if (high >> 48 == 0x2002) { /* 6to4: the IPv4 address says */
        uint32_t v4 = (uint32_t)(high >> 16);
        return is_private_v4(v4) || is_local_multicast(v4);
    }
    for (size_t i = 0; i < sizeof private_v6 / sizeof private_v6[0]; i++)
        if ((high & private_v6[i].mask) == private_v6[i].net)
            return true;
    return false;
}
