/* IPv6 extension headers: RFC 8200, RFC 4302 (AH), RFC 4303 (ESP), RFC 6275 (mobility: the home
 * address option and the type 2 routing header), RFC 2675 (jumbograms).
 *
 *     +---------------+---------------+ - - - - - - - - - - - - - - - -
 *     |  next header  |    length     |  options, addresses, …
 *     +---------------+---------------+ - - - - - - - - - - - - - - - -
 *
 *     fragment: | next (1) | 0 (1) | offset (13 bits) 0 (2) M (1) | identification (4) |
 *     routing:  | next (1) | length (1) | type (1) | segments left (1) | 0 (4) | addresses …
 *
 * The length is in units of 8 bytes beyond the first 8; AH's in units of 4. */
#include "net/ip6_chain.h"

#include "net/weird.h"

enum { OPTION_PAD1 = 0, OPTION_JUMBO = 0xc2, OPTION_HOME_ADDRESS = 0xc9 };

static uint32_t header_size(uint8_t type, uint8_t length)
{
    switch (type) {
    case IP6_FRAGMENT:
    case IP6_ESP:
        return 8;
    case IP6_AH:
        return 8 + 4u * length;
    default:
        return 8 + 8u * length;
    }
}

static void routing(struct reader h, struct packet *out, struct ip6_chain *chain)
{
    if (chain->has_final) {
        weird_add(out, "multiple_routing_headers", NULL, true);
        return;
    }
    size_t size = rd_left(&h);
    rd_skip(&h, 1);
    uint8_t length = rd_u8(&h);
    uint8_t type = rd_u8(&h);
    uint8_t segments_left = rd_u8(&h);

    /* Of the types that are known, the last address is where the packet goes in the end. */
    const uint8_t *final = NULL;
    if (size >= 24) {
        rd_skip(&h, size - 4 - 16);
        final = rd_bytes(&h, 16);
    }
    switch (type) {
    case 0: {
        bool odd = segments_left > 0 && length >= 2 && length % 2 != 0;
        if (odd)
            weird_add(out, "odd_routing0_len", NULL, true);
        else if (segments_left > 0 && length >= 2 && final) {
            out->dst = addr_v6(final);
            chain->has_final = true;
        }
        weird_add(out, "routing0_hdr", NULL, true);
        break;
    }
    case 2:
        if (segments_left == 0)
            break;
        if (length == 2 && final) {
            out->dst = addr_v6(final);
            chain->has_final = true;
        } else
            weird_add(out, "bad_routing2_len", NULL, true);
        break;
    default:
        weird_add_text(out, "unknown_routing_type", NULL, true, "%u", type);
        break;
    }
}

static void destination_options(struct reader h, struct packet *out, struct ip6_chain *chain)
{
    rd_skip(&h, 2);
    while (rd_left(&h) > 0) {
        uint8_t type = rd_u8(&h);
        if (type == OPTION_PAD1)
            continue;
        uint8_t size = rd_u8(&h);
        struct reader value = rd_sub(&h, size);
        if (!rd_ok(&h)) {
            weird_add(out, "bad_ipv6_dest_opt_len", NULL, true);
            return;
        }
        if (type != OPTION_HOME_ADDRESS)
            continue;
        if (size != 16)
            weird_add(out, "bad_home_addr_len", NULL, true);
        else if (chain->has_home)
            weird_add(out, "multiple_home_addr_opts", NULL, true);
        else {
            out->src = addr_v6(rd_bytes(&value, 16));
            chain->has_home = true;
        }
    }
}

static void hop_by_hop_options(struct reader h, struct ip6_chain *chain)
{
    rd_skip(&h, 2);
    while (rd_left(&h) > 0) {
        uint8_t type = rd_u8(&h);
        if (type == OPTION_PAD1)
            continue;
        uint8_t size = rd_u8(&h);
        struct reader value = rd_sub(&h, size);
        if (type == OPTION_JUMBO && size == 4)
            chain->jumbo_len = rd_be32(&value);
    }
}

void ip6_chain_decode(struct reader *r, struct packet *out, struct ip6_chain *chain)
{
    while (chain->last == 0 && ip6_chain_has(chain->next) && rd_left(r) >= 2) {
        uint8_t type = chain->next;
        uint32_t size = header_size(type, rd_peek_u8(r, 1));
        if (size > rd_left(r))
            return;
        struct reader h = rd_sub(r, size);
        chain->next = rd_peek_u8(&h, 0);
        switch (type) {
        case IP6_HOP_BY_HOP:
            hop_by_hop_options(h, chain);
            break;
        case IP6_ROUTING:
            routing(h, out, chain);
            break;
        case IP6_DESTINATION:
            destination_options(h, out, chain);
            break;
        case IP6_FRAGMENT: {
            chain->last = type;
            rd_skip(&h, 2);
            uint16_t offset = rd_be16(&h);
            chain->fragment_offset = offset & 0xfff8;
            chain->fragment_more = offset & 1;
            chain->fragment_id = rd_be32(&h);
            break;
        }
        case IP6_ESP:
            chain->last = type;
            chain->next = IP6_NO_NEXT;
            break;
        case IP6_MOBILITY:
            chain->last = type;
            break;
        default: /* AH */
            break;
        }
        if (chain->last != IP6_FRAGMENT)
            chain->next_at = chain->size; /* of what comes next */
        chain->size += size;
    }
}
