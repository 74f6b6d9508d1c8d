/* Numbers in DNS records, as Zeek reads them: one that does not fit is zero and takes no bytes, and
 * what is left can still be read. */
#ifndef PROTO_DNS_TAKE_H
#define PROTO_DNS_TAKE_H

#include "base/reader.h"
#include "base/str.h"

static inline uint16_t dns_take_be16(struct reader *r)
{
    return rd_left(r) >= 2 ? rd_be16(r) : 0;
}

static inline uint32_t dns_take_be32(struct reader *r)
{
    return rd_left(r) >= 4 ? rd_be32(r) : 0;
}

/* At most `size` bytes. */
static inline struct str dns_take_bytes(struct reader *r, int64_t size)
{
    size_t n = size < 0 ? 0 : (size_t)size;
    if (n > rd_left(r))
        n = rd_left(r);
    return str_make(rd_bytes(r, n), n);
}

#endif
