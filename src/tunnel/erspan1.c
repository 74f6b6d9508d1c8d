/* ERSPAN type I (draft-foschiano-erspan): the mirrored Ethernet frame directly behind a GRE header
 * of four bytes, without anything that says whose it is. Only the missing sequence number of GRE
 * tells it from type II. */
#include "tunnel/tunnel.h"

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    if (rd_left(r) == 0)
        return (struct tunnel_result){.next = TUNNEL_CONTROL};
    return (struct tunnel_result){.next = TUNNEL_ETHERNET};
}

const struct tunnel_decoder tunnel_erspan1 = {
    .name = "erspan1",
    .title = "ERSPAN type I, in GRE; found by gre",
    .zeek_type = "GRE",
    .is_mirror = true,
    .decode = decode,
};
