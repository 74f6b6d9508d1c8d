/* Takes a frame apart: link headers, tags, IP, extension headers, fragments, tunnels; any of these
 * nested, iteratively, until the innermost IP packet is found or PACKET_MAX_LAYERS are off.
 *
 * One stack belongs to one worker: it holds the datagrams under reassembly. */
#ifndef TUNNEL_STACK_H
#define TUNNEL_STACK_H

#include "base/pool.h"
#include "net/addr_set.h"
#include "net/packet.h"
#include "tunnel/tunnel.h"

struct stack;

#define STACK_MIRROR_MAX 8

struct stack_options {
    /* The mirror's layers, outermost first, that are peeled off without trace. `auto_mirror`
     * takes one with is_mirror, found by port or protocol, or GENEVE and the VXLAN in it (a load
     * balancer's); further tunnels are traffic. With neither, no layer is the mirror's. */
    bool auto_mirror;
    const struct tunnel_decoder *mirror[STACK_MIRROR_MAX];
    uint8_t n_mirror;

    /* Of live inputs. */
    bool any_port;              /* the first layer is there on whatever port the packet came to */
    const struct addr_set *own; /* mirrors send to these; what goes elsewhere is the monitored
                                 * traffic's own. NULL: to whomever */
};

struct stack *stack_new(const struct stack_options *options, struct pool *pool);
void stack_free(struct stack *stack);

/* Live: frames whose `input` is i + 1 are decoded by inputs[i]. False: no memory. Call it between
 * packets. */
bool stack_set_inputs(struct stack *stack, const struct stack_options *inputs, size_t n_inputs);

/* Decodes the frame as far as can be done without knowing connections: layers of the mirror are
 * off, tunnels directly over IP (GRE, IP-in-IP …) are off and listed in layers; a UDP datagram that
 * may be a tunnel of the monitored traffic is left as it is (see stack_resume).
 *
 * `out` borrows from the frame, or from a reassembled datagram that lives until stack_release. */
void stack_decode(struct stack *stack, const struct frame *frame, struct packet *out);

/* Where a frame holds several packets (802.11 A-MSDU), the next of them: call until it is false,
 * with what stack_decode or stack_more gave last. `out` may not be `packet`. */
bool stack_more(struct stack *stack, const struct packet *packet, struct packet *out);

/* For a UDP packet to one of a decoder's zeek_ports: what is inside it, as a packet of its own
 * whose layers are those of `outer` and this one. STACK_TUNNEL with PACKET_OTHER in out->kind: it
 * is such a tunnel, but nothing was in it. `weird` is about the tunnel, so about the outer
 * connection; what is odd about the inner packet is in `out`. */
enum stack_resumed {
    STACK_NO_TUNNEL, /* it is not that encapsulation */
    STACK_UNSURE,    /* it may be: nothing was in it, and it proves nothing */
    STACK_TUNNEL,
};
enum stack_resumed stack_resume(struct stack *stack, const struct packet *outer,
                                const struct tunnel_decoder *decoder, struct packet *out,
                                const char **weird);

/* The decoder of the monitored traffic's tunnels on this UDP port pair, or NULL. */
const struct tunnel_decoder *stack_udp_tunnel(uint16_t sport, uint16_t dport);

/* After a batch: reassembled datagrams handed out since the last call are given back. */
void stack_release(struct stack *stack);

/* Datagrams kept longer than the reassembly time-out are dropped; call as packet time goes on. */
void stack_expire(struct stack *stack, int64_t now);

struct stack_counters {
    uint64_t n_frames, n_fragments, n_reassembled, n_fragments_expired, n_fragments_refused;
    uint64_t n_truncated, n_malformed, n_too_deep, n_not_ip, n_not_mirror;
    uint64_t n_unknown_link;
    uint64_t n_fragments_evicted; /* datagrams given up for want of room */
    uint64_t fragment_bytes;      /* of memory that those which wait take now */
};
const struct stack_counters *stack_counters(const struct stack *stack);

#endif
