/* Which of the frames that leave an interface are copies of a mirror: for its proof, which sends
 * one marked frame and counts them. See host_parts.h. */
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <string.h>

#include "base/reader.h"
#include "mirror/host_parts.h"

#define GRE_CHECKSUM 0x8000
#define GRE_KEY      0x2000

/* The outer IP header's; the reader is behind that header then. Of fragments only the first one has
 * what comes next. */
struct outer {
    struct addr to;
    uint8_t protocol;
};

static bool read_outer(struct reader *r, struct outer *out)
{
    rd_skip(r, 12);
    uint16_t type = rd_be16(r);
    while (type == ETH_P_8021Q || type == ETH_P_8021AD) {
        rd_skip(r, 2);
        type = rd_be16(r);
    }
    if (type == ETH_P_IP) {
        size_t size = (size_t)(rd_u8(r) & 15) * 4;
        rd_skip(r, 8);
        out->protocol = rd_u8(r);
        rd_skip(r, 6);
        const uint8_t *to = rd_bytes(r, 4);
        if (!to || size < 20)
            return false;
        out->to = addr_v4(to);
        rd_skip(r, size - 20);
    } else if (type == ETH_P_IPV6) {
        rd_skip(r, 6);
        out->protocol = rd_u8(r);
        rd_skip(r, 17);
        const uint8_t *to = rd_bytes(r, 16);
        if (!to)
            return false;
        out->to = addr_v6(to);
    } else {
        return false;
    }
    return rd_ok(r);
}

/* VXLAN and GENEVE have their VNI in the same place. */
static bool is_our_udp(struct reader r, const struct host_wish *wish, uint32_t id)
{
    rd_skip(&r, 2);
    uint16_t port = rd_be16(&r);
    rd_skip(&r, 4 + 4);
    uint32_t vni = rd_be24(&r);
    return rd_ok(&r) && port == wish->to.port && vni == id;
}

static bool is_our_gre(struct reader r, const struct host_wish *wish, uint32_t id)
{
    uint16_t flags = rd_be16(&r), type = rd_be16(&r);
    bool erspan23 = wish->to.wrap == MIRROR_ERSPAN2 || wish->to.wrap == MIRROR_ERSPAN3;
    if (flags & GRE_CHECKSUM)
        rd_skip(&r, 4);
    if (erspan23) {
        rd_skip(&r, 4 + 2); /* the sequence number; version and VLAN */
        return (rd_be16(&r) & 0x3ff) == id && rd_ok(&r);
    }
    if (wish->to.wrap == MIRROR_ERSPAN1)
        return type == 0x88be && rd_ok(&r);
    uint32_t key = flags & GRE_KEY ? rd_be32(&r) : 0;
    return rd_ok(&r) && type == ETH_P_TEB && !(flags & GRE_KEY) == !wish->has_id &&
           (!wish->has_id || key == id);
}

static bool has_address(struct reader r, const struct addr *addr)
{
    size_t size = addr_is_v4(addr) ? 4 : 16, left = rd_left(&r);
    const uint8_t *bytes = rd_bytes(&r, left);
    return bytes && memmem(bytes, left, addr->b + 16 - size, size);
}

bool host_is_copy(const uint8_t *bytes, size_t size, size_t mark_at, const struct host_wish *wish,
                  uint32_t id)
{
    struct reader r = rd_make(bytes, size);
    struct outer outer;
    if (wish->to.wrap == MIRROR_INTERFACE) /* as it was: a frame, or a datagram */
        return mark_at == ETH_HLEN || mark_at == ETH_HLEN + 20 + 8 || mark_at == ETH_HLEN + 40 + 8;
    if (!read_outer(&r, &outer))
        return false;
    bool udp = wish->to.wrap == MIRROR_VXLAN || wish->to.wrap == MIRROR_GENEVE;
    if (addr_eq(&outer.to, &wish->to.addr) && outer.protocol == (udp ? IPPROTO_UDP : IPPROTO_GRE) &&
        (udp ? is_our_udp(r, wish, id) : is_our_gre(r, wish, id)))
        return true;
    return has_address(r, &wish->to.addr); /* a copy that was wrapped once more */
}
