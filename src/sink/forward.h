/* Packets to another collector, wrapped again: `--forward vxlan:HOST`, `geneve:HOST`.
 *
 * What tells the sources apart at the other end:
 * - VXLAN: the VNI, which is the one the packet came with. Where it came without, or with a number
 *   of more than 24 bits, the VNI is made of the source's name, the same on every run
 * (forward_vni). The sender that the other end sees is we.
 * - GENEVE: the same VNI, and the option of net/origin.h, which has the mirror's sender, its
 *   encapsulation and id, and the machine's name.
 *
 * The outer source port follows the inner connection, both directions alike, so that the other end
 * can spread connections and each stays in order. Datagrams that are too large for the way are
 * sent in fragments. The sink does not know whether the other end forwards to us: who configures
 * both has to. Whether the other end is we, forward_is_own says. */
#ifndef SINK_FORWARD_H
#define SINK_FORWARD_H

#include "sink/sink.h"

enum forward_kind { FORWARD_VXLAN, FORWARD_GENEVE };

struct forward_options {
    enum forward_kind kind;
    char host[256]; /* a name or an address */
    char port[6];   /* in digits */
};

/* "vxlan:HOST", "geneve:HOST:PORT", "vxlan:[2001:db8::1]:4789". */
int forward_parse(const char *text, struct forward_options *out, struct err *err) MUST_CHECK;

/* Looks the name up, and makes the sockets; needs no privileges. */
int forward_open(const struct forward_options *options, struct sink **out,
                 struct err *err) MUST_CHECK;

/* Of a sink that forward_open made: whether its far end is this host, and where on it. */
bool forward_is_own(const struct sink *sink, struct addr *out, uint16_t *out_port);

/* The VNI that a packet is forwarded with. */
uint32_t forward_vni(const struct sink_packet *packet);

#endif
