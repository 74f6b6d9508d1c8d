/* VXLAN (RFC 7348), with the group policy bits of draft-smith-vxlan-group-policy let through.
 *
 *      0                   1                   2                   3
 *     +-+-+-+-+-+-+-+-+---------------+-------------------------------+
 *     |G R R R I R R R|R D R R A R R R|       Group policy id         |
 *     +-+-+-+-+-+-+-+-+---------------+---------------+---------------+
 *     |                      VNI                      |   Reserved    |
 *     +-----------------------------------------------+---------------+
 *
 * The I bit must be set, what is reserved is ignored. Port 48879 of Cisco's ACI is not listed: it
 * lies where systems choose their ephemeral ports, and one bit is too little to tell. */
#include "tunnel/tunnel.h"

#define FLAG_VNI 0x08

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint8_t flags = rd_u8(r);
    rd_skip(r, 3);
    uint32_t vni = rd_be24(r);
    rd_skip(r, 1);
    if (!(flags & FLAG_VNI) || !rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = vni;
    layer->has_id = true;
    if (rd_left(r) == 0)
        return (struct tunnel_result){
            .next = TUNNEL_CONTROL, .weird = "vxlan_empty_packet", .confirmed = true};
    return (struct tunnel_result){.next = TUNNEL_ETHERNET};
}

const struct tunnel_decoder tunnel_vxlan = {
    .name = "vxlan",
    .title = "VXLAN (RFC 7348), UDP 4789 and 8472",
    .zeek_type = "VXLAN",
    .service = "vxlan",
    .udp_ports = {4789, 8472},
    .zeek_ports = {4789},
    .is_mirror = true,
    .decode = decode,
};
