/* A frame as a capture gives it, and what taking it apart leaves: the innermost IP packet and the
 * layers that were around it. */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include "base/reader.h"
#include "net/addr.h"

/* Link types, by their libpcap numbers (LINKTYPE_ in files, of which DLT_ is the same here). */
enum link_type {
    LINK_NULL = 0,
    LINK_ETHERNET = 1,
    LINK_PPP = 9,
    LINK_FDDI = 10,
    LINK_RAW_BSD = 12,
    LINK_RAW_OPENBSD = 14,
    LINK_PPP_SERIAL = 50,
    LINK_RAW = 101,
    LINK_IEEE802_11 = 105,
    LINK_LOOP = 108,
    LINK_SLL = 113,
    LINK_IEEE802_11_RADIOTAP = 127,
    LINK_PPI = 192,
    LINK_IPV4 = 228,
    LINK_IPV6 = 229,
    LINK_NFLOG = 239,
    LINK_SLL2 = 276,
};

/* Borrowed from the capture: valid until its next packet. */
struct frame {
    int64_t ts; /* ns since the epoch */
    const uint8_t *bytes;
    uint32_t size;      /* captured */
    uint32_t wire_size; /* as sent */
    uint16_t link;      /* enum link_type */
    uint16_t input;     /* live: which listener or interface gave it, from 1 on; files: 0 */
};

#define PACKET_MAX_LAYERS 8

/* One encapsulation that was around the packet. */
struct packet_layer {
    const struct tunnel_decoder *decoder;
    struct addr src, dst; /* of the outer IP header */
    uint16_t sport, dport;
    uint8_t ip_proto; /* of the outer IP header: what carried it */
    bool has_id, has_seq;
    bool truncated;    /* the mirror says that it cut the frame (ERSPAN's T bit) */
    uint8_t direction; /* 0 unknown, 1 ingress, 2 egress of the mirrored port */
    uint32_t id;       /* VNI, key, session id, TEID */
    uint32_t seq;
    const uint8_t *options; /* GENEVE option TLVs as they came; packet lifetime */
    uint16_t options_size;
};

enum packet_kind {
    PACKET_IP,        /* an IP packet whose headers were whole: all below is set */
    PACKET_ARP,       /* or RARP: known and not logged */
    PACKET_FRAGMENT,  /* kept for reassembly, nothing to do yet */
    PACKET_OTHER,     /* a link or network protocol that has no connections */
    PACKET_TRUNCATED, /* the capture cut it inside the headers */
    PACKET_MALFORMED,
    PACKET_REFUSED, /* too many layers, or no memory to reassemble it */
};

/* Something odd that Zeek reports before there is a connection to report it for. */
struct packet_weird {
    const char *name;   /* as Zeek calls it */
    const char *source; /* weird.log's source, or NULL: not set */
    bool in_tunnel;     /* the name gets "_in_tunnel" behind it */
    bool has_addr;      /* src and dst are set, and logged with ports 0 */
    struct addr src, dst;
    char addl[40]; /* weird.log's addl; empty: not set */
};

#define PACKET_MAX_WEIRDS 8

struct packet {
    int64_t ts;
    enum packet_kind kind;
    uint8_t n_weirds;
    const char *weird; /* Zeek's name for what is wrong with it, or NULL: of weirds[0] */

    /* All that is wrong with it. Memory of the stack that decoded it: valid while its next 32
     * frames are decoded. */
    struct packet_weird *weirds;

    /* The frame or bare IP packet that is left when the mirror's layers are off: what filters see
     * and what is written to pcap files. */
    const uint8_t *frame;
    uint32_t frame_size, frame_wire_size;
    uint16_t frame_link;

    /* The innermost link header, when it had one. */
    bool has_mac;
    uint8_t src_mac[6], dst_mac[6];
    uint16_t vlan, inner_vlan; /* 0: none */

    /* The innermost IP packet. */
    struct addr src, dst;
    const uint8_t *ip; /* first byte of the IP header */
    uint32_t ip_size;  /* captured bytes of the IP packet, padding of the frame taken off */
    uint32_t ip_len;   /* what the header says, or ip_size where it says 0 (segmentation offload) */
    uint8_t ip_version; /* 4 or 6 */
    uint8_t ip_proto;   /* of the payload, extension headers walked */
    uint8_t ttl;
    uint16_t ip_id; /* IPv4 */
    bool reassembled;

    /* Payload of the IP packet: the transport header and on. */
    const uint8_t *payload;
    uint32_t payload_size; /* captured */
    uint32_t payload_len;  /* what the IP header says */

    /* TCP, UDP, SCTP: from the header; ICMP: set by the flow layer. */
    uint16_t sport, dport;

    /* Where one frame aggregates several packets (802.11 A-MSDU), the others: for stack_more. */
    const uint8_t *more;
    uint32_t more_size;
    uint8_t more_layers;

    uint16_t network; /* the address space it belongs to: the source layer says */
    uint16_t input;   /* the frame's */

    uint8_t n_layers; /* taken off, outermost first */
    uint8_t n_mirror; /* how many of them are the mirror's own */
    struct packet_layer layers[PACKET_MAX_LAYERS];
};

#endif
