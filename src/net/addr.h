/* Addresses and their text. An IPv4 address is kept as ::ffff:a.b.c.d, and printed as a.b.c.d. */
#ifndef NET_ADDR_H
#define NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct addr {
    uint8_t b[16];
};

static inline struct addr addr_v4(const uint8_t bytes[4])
{
    struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    memcpy(a.b + 12, bytes, 4);
    return a;
}

static inline struct addr addr_v6(const uint8_t bytes[16])
{
    struct addr a;
    memcpy(a.b, bytes, 16);
    return a;
}

static inline bool addr_is_v4(const struct addr *a)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(a->b, prefix, 12) == 0;
}

static inline bool addr_eq(const struct addr *a, const struct addr *b)
{
    return memcmp(a->b, b->b, 16) == 0;
}

/* Like memcmp of the two, without the call. */
static inline int addr_order(const struct addr *a, const struct addr *b)
{
    uint64_t x[2], y[2];
    memcpy(x, a->b, 16);
    memcpy(y, b->b, 16);
    for (int i = 0; i < 2; i++)
        if (x[i] != y[i])
            return __builtin_bswap64(x[i]) < __builtin_bswap64(y[i]) ? -1 : 1;
    return 0;
}

#define ADDR_TEXT_MAX 46

/* Writes the address in the form of RFC 5952 (and inet_ntop); gives the length. Not NUL-ended. */
size_t addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

/* Either family. */
bool addr_parse(const char *text, struct addr *out);

/* In the address space of a private site: RFC 1918, RFC 6598, RFC 4193, loopback, link-local …,
 * exactly the networks of Zeek's Site::private_address_space. */
bool addr_is_local(const struct addr *a);

#endif
