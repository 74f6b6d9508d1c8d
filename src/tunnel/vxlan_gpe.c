/* VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe), VXLAN that says what it carries, and the network service
 * header (RFC 8300) that may follow it.
 *
 *      0                   1                   2                   3
 *     +-+-+---+-+-+-+-+-------------------------------+---------------+
 *     |R R Ver I P B O|            Reserved           | Next protocol |
 *     +-+-+---+-+-+-+-+-------------------------------+---------------+
 *     |                      VNI                      |   Reserved    |
 *     +-----------------------------------------------+---------------+
 *     :Ver O U    TTL    Length(x4)  U U U U MD type   Next protocol  :  NSH, when Next protocol
 *     :   path id and index, then metadata                            :  is 4
 *
 * Without the P bit it is plain VXLAN on another port. */
#include "tunnel/tunnel.h"

#define FLAG_OAM     0x01
#define FLAG_NEXT    0x04
#define FLAG_VNI     0x08
#define FLAG_VERSION 0x30

/* Next protocols: GPE's and NSH's numbers are the same, but for NSH itself. */
enum gpe_next { GPE_IPV4 = 1, GPE_IPV6 = 2, GPE_ETHERNET = 3, GPE_NSH = 4, GPE_MPLS = 5 };

/* Gives what follows the service header, or -1 when it carries no packet. */
static int read_nsh(struct reader *r)
{
    const uint16_t version = 0xc000, oam = 0x2000;
    uint16_t base = rd_be16(r);
    rd_skip(r, 1);
    uint8_t next = rd_u8(r);
    unsigned int words = base & 0x3f;
    if (base & version || words < 2)
        rd_fail(r);
    else
        rd_skip(r, words * 4 - 4);
    return base & oam ? -1 : next;
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    const struct reader start = *r;
    uint8_t flags = rd_u8(r);
    rd_skip(r, 2);
    int next = rd_u8(r);
    uint32_t vni = rd_be24(r);
    rd_skip(r, 1);
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    if (!(flags & FLAG_NEXT)) {
        *r = start;
        return (struct tunnel_result){.next = TUNNEL_DECODER, .decoder = &tunnel_vxlan};
    }
    if (flags & FLAG_VERSION)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = vni;
    layer->has_id = (flags & FLAG_VNI) != 0;
    if (flags & FLAG_OAM)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    if (next == GPE_NSH)
        next = read_nsh(r);
    if (next < 0 || (rd_ok(r) && rd_left(r) == 0))
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    if (rd_ok(r)) {
        if (next == GPE_IPV4 || next == GPE_IPV6)
            return (struct tunnel_result){.next = TUNNEL_IP};
        if (next == GPE_ETHERNET)
            return (struct tunnel_result){.next = TUNNEL_ETHERNET};
        if (next == GPE_MPLS)
            return (struct tunnel_result){.next = TUNNEL_ETHERTYPE, .ethertype = 0x8847};
    }
    return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
}

const struct tunnel_decoder tunnel_vxlan_gpe = {
    .name = "vxlan-gpe",
    .title = "VXLAN with the generic protocol extension, UDP 4790",
    .udp_ports = {4790},
    .is_mirror = true,
    .decode = decode,
};
