/* Encapsulations. One file each exports a `const struct tunnel_decoder tunnel_<name>`, and has one
 * line in tunnel/list.h.
 *
 * A decoder is given what follows the header that named it (the UDP payload, the IP payload, the
 * GRE payload), reads its own header and says what comes next. It keeps no state, allocates
 * nothing, and never recurses: the stack (tunnel/stack.h) loops, to PACKET_MAX_LAYERS. */
#ifndef TUNNEL_TUNNEL_H
#define TUNNEL_TUNNEL_H

#include "base/reader.h"
#include "net/packet.h"

/* What a tunnel's payload is. */
enum tunnel_next {
    TUNNEL_NOT_MINE, /* these bytes are not this encapsulation: leave them alone */
    TUNNEL_CONTROL,  /* it is, but carries no packet (keep-alive, OAM, signalling) */
    TUNNEL_ETHERNET,
    TUNNEL_IP,        /* version by the first nibble */
    TUNNEL_ETHERTYPE, /* `ethertype` says */
    TUNNEL_PPP,
    TUNNEL_DECODER, /* `decoder` reads on, into the same layer, of which it becomes the decoder
                     * (GRE gives to ERSPAN); the reader is where it wants to begin */
    TUNNEL_LINK,    /* `link` says: an enum link_type */
};

struct tunnel_result {
    enum tunnel_next next;
    uint16_t ethertype;
    uint16_t link;
    const struct tunnel_decoder *decoder;
    const char *weird; /* Zeek's name of a violation, or NULL; may come with any `next` */
    bool confirmed;    /* of TUNNEL_CONTROL: enough to give the connection the service's name; what
                        * carries a packet always is */
};

/* Where a decoder is found. Ports are those of the destination; 0 ends the list. */
struct tunnel_decoder {
    const char *name;  /* in --mirror=NAME, in tables: "vxlan" */
    const char *title; /* in --help: "VXLAN (RFC 7348), UDP 4789" */
    const char
        *zeek_type;      /* tunnel.log's tunnel_type without "Tunnel::", e.g. "VXLAN"; NULL: none */
    const char *service; /* conn.log's service of the outer UDP connection, or NULL */
    uint16_t udp_ports[6];  /* carried in UDP on these, as a mirror */
    uint16_t zeek_ports[6]; /* taken off on these when the tunnel is monitored traffic, as Zeek */
    uint8_t ip_protos[4];   /* carried in IP as these protocols; 0 ends */
    bool is_mirror;         /* mirrors use it: --mirror=auto takes it off */
    bool both_ways;         /* monitored: named as the service, and its weirds of TUNNEL_NOT_MINE
                             * logged, only after a good packet from each side */
    bool never_nests;       /* monitored: not looked for directly inside itself */

    /* Whether a UDP payload of the monitored traffic looks like this, on a port that no decoder
     * has in zeek_ports; NULL: it is never guessed. */
    bool (*detect)(struct reader payload);

    /* Reads the header; `layer` comes with the outer addresses and ports filled in. */
    struct tunnel_result (*decode)(struct reader *r, struct packet_layer *layer);
};

#define TUNNEL(name) extern const struct tunnel_decoder tunnel_##name;
#include "tunnel/list.h"
#undef TUNNEL

/* All decoders, ended by NULL, in the order of list.h. */
extern const struct tunnel_decoder *const tunnel_decoders[];

const struct tunnel_decoder *tunnel_by_name(const char *name, size_t len);

#endif
