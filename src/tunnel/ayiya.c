/* AYIYA, anything in anything (draft-massar-v6ops-ayiya): SixXS's tunnels of IPv6 in UDP.
 *
 *      0                   1                   2                   3
 *     +-------+-------+-------+-------+-------+-------+---------------+
 *     | IdLen | IdType| SigLen| HshMth| AutMth| OpCode|  Next header  |
 *     +-------+-------+-------+-------+-------+-------+---------------+
 *     |                          Epoch time                           |
 *     +---------------------------------------------------------------+
 *     :       identity (2^IdLen bytes), signature (SigLen x 4)        :
 *     +---------------------------------------------------------------+ */
#include "tunnel/tunnel.h"

#define OP_FORWARD 1

#define NEXT_IPV4 4
#define NEXT_IPV6 41

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    size_t identity_size = (size_t)1 << (rd_u8(r) >> 4);
    size_t signature_size = (rd_u8(r) >> 4) * (size_t)4;
    uint8_t op_code = rd_u8(r) & 0x0f;
    uint8_t next = rd_u8(r);
    rd_skip(r, 4);
    rd_skip(r, identity_size + signature_size);
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    if (op_code != OP_FORWARD)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    if (rd_left(r) == 0)
        return (struct tunnel_result){
            .next = TUNNEL_CONTROL, .weird = "ayiya_empty_packet", .confirmed = true};
    if (next == NEXT_IPV4 || next == NEXT_IPV6)
        return (struct tunnel_result){.next = TUNNEL_IP};
    return (struct tunnel_result){.next = TUNNEL_CONTROL, .confirmed = true};
}

/* The usual sender: integer identity of 16 bytes, SHA-1 signature of 20, shared secret, forward. */
static bool detect(struct reader payload)
{
    return rd_left(&payload) >= 3 && rd_peek_be16(&payload, 1) == 0x5211;
}

const struct tunnel_decoder tunnel_ayiya = {
    .name = "ayiya",
    .title = "AYIYA (draft-massar-v6ops-ayiya), UDP 5072",
    .zeek_type = "AYIYA",
    .service = "ayiya",
    .zeek_ports = {5072},
    .decode = decode,
    .detect = detect,
};
