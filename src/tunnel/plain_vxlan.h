/* The plain case of a mirror in one piece: a whole Ethernet, IPv4, UDP and VXLAN header, and inside
 * it Ethernet, IPv4 and TCP or UDP (net/plain.h). The loop of stack.c does all of this as well;
 * nearly every frame that a cloud mirrors is so. For the drawing of the header see vxlan.c. */
#ifndef TUNNEL_PLAIN_VXLAN_H
#define TUNNEL_PLAIN_VXLAN_H

#include "net/plain.h"
#include "tunnel/tunnel.h"

enum { VXLAN_PLAIN_FLAGS = 0x08, VXLAN_HEADERS = 8 + 8 /* UDP's and VXLAN's */ };

/* `out` is the outer packet as plain_decode left it. True: it is the inner one now, and layer 0 the
 * mirror's. False: not so plain; what is in `out` then means nothing. */
static inline bool plain_vxlan(struct packet *out)
{
    struct reader r = rd_make(out->payload, out->payload_size);
    rd_skip(&r, 8);
    uint64_t header = rd_be64(&r);
    if (!rd_ok(&r) || header >> 56 != VXLAN_PLAIN_FLAGS || out->payload_len < VXLAN_HEADERS)
        return false;
    struct packet_layer *layer = &out->layers[0];
    *layer = (struct packet_layer){.decoder = &tunnel_vxlan,
                                   .src = out->src,
                                   .dst = out->dst,
                                   .sport = out->sport,
                                   .dport = out->dport,
                                   .has_id = true,
                                   .id = (uint32_t)(header >> 8 & 0xffffff),
                                   .ip_proto = 17};
    out->frame = r.at;
    out->frame_size = (uint32_t)rd_left(&r);
    out->frame_wire_size = out->payload_len - VXLAN_HEADERS;
    out->frame_link = LINK_ETHERNET;
    if (!plain_decode(r, out->frame_wire_size, out))
        return false;
    out->n_layers = out->n_mirror = 1;
    return true;
}

/* The same for a frame whose outer packet is in `out`; `mirror_port` is 1 + the decoder's index for
 * the ports of mirrors. False: `out` is the outer packet, as it was. */
static inline bool plain_mirror(const uint8_t *mirror_port, const struct frame *frame,
                                struct packet *out)
{
    uint8_t i = mirror_port[out->dport];
    if (i == 0 || tunnel_decoders[i - 1] != &tunnel_vxlan)
        return false;
    uint32_t wire = out->frame_wire_size;
    if (plain_vxlan(out))
        return true;
    out->frame = frame->bytes;
    out->frame_size = frame->size;
    out->frame_wire_size = wire;
    out->n_layers = out->n_mirror = 0;
    (void)plain_decode(rd_make(frame->bytes, frame->size), wire, out); /* it was plain before */
    return false;
}

#endif
