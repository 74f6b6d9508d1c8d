/* GRE in UDP (RFC 8086): the GRE header directly behind the UDP header. Port 4755, the same under
 * DTLS, says nothing to us. */
#include "tunnel/gre.h"
#include "tunnel/tunnel.h"

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    /* Anything may use a port: only version 0 with nothing reserved set is taken for GRE. */
    uint16_t flags = rd_peek_be16(r, 0);
    if (rd_left(r) < 4 || flags & (GRE_VERSION | GRE_UNKNOWN | GRE_ACK))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    return (struct tunnel_result){.next = TUNNEL_DECODER, .decoder = &tunnel_gre};
}

const struct tunnel_decoder tunnel_gre_udp = {
    .name = "gre-udp",
    .title = "GRE in UDP (RFC 8086), UDP 4754",
    .udp_ports = {4754},
    .is_mirror = true,
    .decode = decode,
};
