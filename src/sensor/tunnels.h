/* tunnel.log, and the ids of tunnels that have no connection of their own (GRE, IP-in-IP). */
#ifndef SENSOR_TUNNELS_H
#define SENSOR_TUNNELS_H

#include "flow/flow.h"
#include "net/packet.h"

extern const struct log_schema tunnel_schema;

struct tunnels;

struct tunnels *tunnels_new(void);
void tunnels_free(struct tunnels *tunnels);

/* The id of the tunnel directly over IP that this layer was in; the first time it is also logged,
 * where `owned`. */
struct flow_uid tunnels_over_ip(struct tunnels *tunnels, struct flow_context *context,
                                const struct packet_layer *layer, bool owned);

/* A connection to a SOCKS proxy asked for another: logged once for each pair of machines and port.
 */
void tunnels_proxied(struct tunnels *tunnels, struct flow_context *context, const struct flow *f);

/* A UDP connection was found to carry packets: logged once. */
void tunnels_discovered(struct flow_context *context, struct flow *outer,
                        const struct tunnel_decoder *decoder);
/* It is over. */
void tunnels_closed(struct flow_context *context, const struct flow *outer);

/* Tunnels over IP, and proxies, that were silent for an hour. */
void tunnels_expire(struct tunnels *tunnels, struct flow_context *context);

#endif
