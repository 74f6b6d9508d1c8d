/* The option that tells where a forwarded packet came from: origin.h draws it. */
#include "net/origin.h"

#define VERSION    1
#define FIXED_SIZE 24

static void put32(uint8_t *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

size_t origin_encode(const struct origin *origin, uint8_t out[ORIGIN_MAX_SIZE])
{
    struct str how = str_upto(origin->how, ORIGIN_HOW_MAX);
    struct str name = str_upto(origin->name, ORIGIN_NAME_MAX);
    size_t data = (FIXED_SIZE + how.len + name.len + 3) & ~(size_t)3;
    memset(out, 0, ORIGIN_MAX_SIZE);
    put32(out, (uint32_t)ORIGIN_CLASS << 16 | ORIGIN_TYPE << 8 | (uint32_t)(data / 4));
    uint8_t *at = out + 4;
    at[0] = VERSION;
    at[1] = (uint8_t)((origin->direction & 3) << 1 | (origin->has_id ? 1 : 0));
    at[2] = (uint8_t)how.len;
    at[3] = (uint8_t)name.len;
    put32(at + 4, origin->has_id ? origin->id : 0);
    memcpy(at + 8, origin->sender.b, 16);
    if (how.len)
        memcpy(at + FIXED_SIZE, how.at, how.len);
    if (name.len)
        memcpy(at + FIXED_SIZE + how.len, name.at, name.len);
    return 4 + data;
}

bool origin_decode(struct reader data, struct origin *out)
{
    uint8_t version = rd_u8(&data);
    uint8_t flags = rd_u8(&data);
    uint8_t how_size = rd_u8(&data);
    uint8_t name_size = rd_u8(&data);
    uint32_t id = rd_be32(&data);
    const uint8_t *sender = rd_bytes(&data, 16);
    const uint8_t *how = rd_bytes(&data, how_size);
    const uint8_t *name = rd_bytes(&data, name_size);
    if (!rd_ok(&data) || version != VERSION || how_size > ORIGIN_HOW_MAX ||
        name_size > ORIGIN_NAME_MAX)
        return false;
    out->has_id = (flags & 1) != 0;
    out->id = id;
    out->direction = (flags >> 1 & 3) == 3 ? 0 : flags >> 1 & 3;
    memcpy(out->sender.b, sender, 16);
    out->how = str_make(how, how_size);
    out->name = str_make(name, name_size);
    return true;
}
