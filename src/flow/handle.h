/* From a decoded packet to its connection: key, direction, counters, the protocol's own part. */
#ifndef FLOW_HANDLE_H
#define FLOW_HANDLE_H

#include "flow/flow.h"
#include "flow/table.h"
#include "net/packet.h"

/* What is needed of a packet to find its connection. */
struct flow_lookup {
    struct flow_key key;
    uint32_t hash;
    bool swapped; /* the sender is the key's second */
    bool one_way; /* ICMP: only this direction belongs to it */
};

/* False: the packet has no connection. `*weird` then says why, where Zeek has a name for it. */
bool flow_lookup(const struct flow_table *table, const struct packet *p, uint16_t network,
                 struct flow_lookup *out, const char **weird);

/* Finds or makes the connection and gives it the packet. NULL: no memory. */
struct flow *flow_handle(struct flow_context *context, const struct packet *p,
                         const struct flow_lookup *lookup, uint16_t source, bool shadow);

/* Payload of the UDP packet that was just handled (its header taken off). */
struct str flow_udp_payload(const struct packet *p);

#endif
