/* TZSP, TaZmen's sniffer protocol, as MikroTik's routers and wireless sensors send it (there is no
 * standard; Wireshark's packet-tzsp.c is what all agree with).
 *
 *      0                   1                   2                   3
 *     +---------------+---------------+-------------------------------+
 *     |   Version 1   |     Type      |     Encapsulated protocol     |
 *     +---------------+---------------+-------------------------------+
 *     :      Tag      |    Length     |        Length bytes           :  tags, the last is 1; that
 * one
 *     +---------------+---------------+-------------------------------+  and 0 have no length
 *
 * Types 0 and 1 carry a packet. */
#include "tunnel/tunnel.h"

enum tzsp_type { TYPE_RECEIVED = 0, TYPE_TRANSMIT = 1, TYPE_PORT_OPENER = 5 };

enum tzsp_tag { TAG_PADDING = 0, TAG_END = 1, TAG_PACKET_COUNT = 40, TAG_FRAME_SIZE = 41 };

enum tzsp_protocol {
    PROTOCOL_ETHERNET = 1,
    PROTOCOL_IEEE802_11 = 18,
    PROTOCOL_PRISM = 119,
    PROTOCOL_AVS = 127,
};

/* What comes before 802.11: Prism's header has one size, AVS's says its own. */
#define PRISM_SIZE 144

static void skip_avs(struct reader *r)
{
    rd_skip(r, 4);
    uint32_t size = rd_be32(r);
    if (size < 8)
        rd_fail(r);
    else
        rd_skip(r, size - 8);
}

/* Gives the size that the frame had, or 0 when no tag says it. */
static uint16_t read_tags(struct reader *r, struct packet_layer *layer)
{
    uint16_t frame_size = 0;
    while (rd_ok(r)) {
        uint8_t tag = rd_u8(r);
        if (tag == TAG_END)
            break;
        if (tag == TAG_PADDING)
            continue;
        struct reader data = rd_sub(r, rd_u8(r));
        if (tag == TAG_PACKET_COUNT && rd_left(&data) == 4) {
            layer->seq = rd_be32(&data);
            layer->has_seq = true;
        } else if (tag == TAG_FRAME_SIZE && rd_left(&data) == 2) {
            frame_size = rd_be16(&data);
        }
    }
    return frame_size;
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint8_t version = rd_u8(r);
    uint8_t type = rd_u8(r);
    uint16_t protocol = rd_be16(r);
    if (!rd_ok(r) || version != 1 || type > TYPE_PORT_OPENER)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    if (type != TYPE_RECEIVED && type != TYPE_TRANSMIT)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    uint16_t frame_size = read_tags(r, layer);
    if (rd_ok(r) && rd_left(r) == 0)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    layer->truncated = frame_size > rd_left(r);
    struct tunnel_result result = {.next = TUNNEL_LINK, .link = LINK_IEEE802_11};
    switch (protocol) {
    case PROTOCOL_ETHERNET:
        result = (struct tunnel_result){.next = TUNNEL_ETHERNET};
        break;
    case PROTOCOL_IEEE802_11:
        break;
    case PROTOCOL_PRISM:
        rd_skip(r, PRISM_SIZE);
        break;
    case PROTOCOL_AVS:
        skip_avs(r);
        break;
    default:
        result.next = TUNNEL_NOT_MINE;
    }
    if (!rd_ok(r))
        result.next = TUNNEL_NOT_MINE;
    return result;
}

const struct tunnel_decoder tunnel_tzsp = {
    .name = "tzsp",
    .title = "TZSP (MikroTik and others), UDP 37008",
    .udp_ports = {37008},
    .is_mirror = true,
    .decode = decode,
};
