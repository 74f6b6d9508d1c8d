/* The link types of captures other than Ethernet: loopback, PPP (RFC 1661), Linux cooked captures,
 * NFLOG, FDDI, IEEE 802.11 with its pseudo-headers; see tcpdump.org/linktypes.html.
 *
 *     SLL:   | packet type (2) | ARPHRD (2) | size (2) | address (8) | type (2) |
 *     SLL2:  | type (2) | 0 (2) | interface (4) | ARPHRD (2) | packet type (1) | size (1) |
 *            | address (8) |
 *     NFLOG: | family (1) | version (1) | resource (2) | then size (2) type (2) value, each
 *            | padded to 4 bytes |
 *     radiotap: | version (1) | 0 (1) | size, little endian (2) | fields |
 *     PPI:   | version (1) | flags (1) | size (2) | link type (4) | fields |, little endian
 *     802.11: | frame control (2) | duration (2) | addresses (18) | sequence (2) | then, where
 *            | frame control says so, a fourth address (6) and QoS (2) | LLC | */
#include "net/link.h"
#include "net/link_step.h"

/* The address family's number is the capturing machine's, in its byte order or big endian. */
static enum link_step loopback(struct link_walk *w)
{
    w->name = "NULL";
    if (rd_left(&w->r) <= 4)
        return link_short(w, "null_analyzer_failed");
    uint32_t family = rd_be32(&w->r);
    if (family > 0xffff)
        family = __builtin_bswap32(family);
    switch (family) {
    case 2:  /* AF_INET everywhere */
    case 10: /* AF_INET6 on Linux */
    case 24: /* NetBSD, OpenBSD */
    case 28: /* FreeBSD */
    case 30: /* macOS */
        return LINK_STEP_IP;
    default:
        return LINK_STEP_OTHER;
    }
}

enum link_step link_ppp(struct link_walk *w)
{
    struct reader *r = &w->r;
    if (rd_peek_be16(r, 0) == 0xff03) /* HDLC framing */
        rd_skip(r, 2);
    uint16_t protocol = rd_u8(r);
    if (!(protocol & 1)) /* otherwise compressed to one byte */
        protocol = (uint16_t)(protocol << 8 | rd_u8(r));
    if (!rd_ok(r) || rd_left(r) == 0)
        return link_short(w, "truncated_ppp_header");
    switch (protocol) {
    case 0x0021:
    case 0x0057:
        return LINK_STEP_IP;
    case 0x0281:
        return LINK_STEP_MPLS;
    default:
        return LINK_STEP_OTHER;
    }
}

static enum link_step ppp_serial(struct link_walk *w)
{
    w->name = "PPPSERIAL";
    if (rd_left(&w->r) <= 4)
        return link_short(w, "truncated_ppp_serial_header");
    if (rd_peek_be16(&w->r, 0) != 0xff03)
        rd_skip(&w->r, 2); /* Cisco's, or another address */
    return LINK_STEP_PPP;
}

static enum link_step cooked(struct link_walk *w)
{
    w->name = "LINUXSLL";
    if (rd_left(&w->r) <= 16)
        return link_short(w, "truncated_Linux_SLL_header");
    rd_skip(&w->r, 14);
    w->type = rd_be16(&w->r);
    return LINK_STEP_ETHERTYPE;
}

static enum link_step cooked2(struct link_walk *w)
{
    w->name = "LINUXSLL2";
    if (rd_left(&w->r) <= 20)
        return link_short(w, "truncated_Linux_SLL2_header");
    w->type = rd_be16(&w->r);
    rd_skip(&w->r, 18);
    return LINK_STEP_ETHERTYPE;
}

static enum link_step nflog(struct link_walk *w)
{
    enum { PAYLOAD = 9, AF_INET_LINUX = 2, AF_INET6_LINUX = 10 };
    struct reader *r = &w->r;
    w->name = "NFLOG";
    if (rd_left(r) <= 4)
        return link_short(w, "truncated_nflog_header");
    uint8_t family = rd_u8(r);
    if (rd_u8(r) != 0) {
        weird_add(w->out, "unknown_nflog_version", w->name, false);
        return LINK_STEP_MALFORMED;
    }
    rd_skip(r, 2);
    for (;;) {
        if (rd_left(r) <= 4)
            return link_short(w, "nflog_no_pcap_payload");
        struct reader head = *r;
        uint16_t size = rd_le16(&head);
        uint16_t type = rd_le16(&head);
        if (type == PAYLOAD) {
            rd_skip(r, 4);
            break;
        }
        uint32_t padded = (size + 3u) & ~3u;
        if (size < 4 || padded > rd_left(r)) {
            if (size < 4)
                weird_add(w->out, "nflog_bad_tlv_len", w->name, false);
            else
                weird_add_text(w->out, "nflog_bad_tlv_len", w->name, false, "(%u > %zu)", padded,
                               rd_left(r));
            return LINK_STEP_MALFORMED;
        }
        rd_skip(r, padded);
    }
    return family == AF_INET_LINUX || family == AF_INET6_LINUX ? LINK_STEP_IP : LINK_STEP_OTHER;
}

static enum link_step fddi(struct link_walk *w)
{
    w->name = "FDDI";
    if (rd_left(&w->r) <= 13 + 8)
        return link_short(w, "FDDI_analyzer_failed");
    rd_skip(&w->r, 13); /* frame control, addresses */
    return LINK_STEP_LLC;
}

/* LLC and SNAP as 802.11 has them: nothing else is looked at. */
static enum link_step wireless_payload(struct link_walk *w)
{
    struct reader *r = &w->r;
    if (rd_left(r) < 8)
        return link_short(w, "truncated_802_11_llc_header");
    uint64_t header = rd_be64(r);
    if (header >> 16 != 0xaaaa03000000)
        return LINK_STEP_OTHER;
    w->type = (uint16_t)header;
    return LINK_STEP_ETHERTYPE;
}

/* One of the packets that an A-MSDU holds; the others are left for stack_more. */
enum link_step link_subframe(struct link_walk *w)
{
    struct reader *r = &w->r;
    if (rd_left(r) < 14)
        return link_short(w, "truncated_802_11_amsdu_header");
    memcpy(w->out->dst_mac, rd_bytes(r, 6), 6);
    memcpy(w->out->src_mac, rd_bytes(r, 6), 6);
    w->out->has_mac = true;
    uint16_t size = rd_be16(r);
    if (size > rd_left(r))
        return link_short(w, "truncated_802_11_amsdu_packet");
    struct reader packet = rd_sub(r, size);
    rd_skip(r, (4 - (14 + size) % 4u) % 4u); /* the last has no padding: then none is left */
    if (rd_left(r) > 0) {
        w->out->more = r->at;
        w->out->more_size = (uint32_t)rd_left(r);
        w->out->more_layers = w->out->n_layers;
    }
    *r = packet;
    return wireless_payload(w);
}

static enum link_step wireless(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "IEEE802_11";
    if (rd_left(r) <= 24)
        return link_short(w, "truncated_802_11_header");
    uint8_t control = rd_u8(r);
    uint8_t flags = rd_u8(r);
    if ((control >> 2 & 3) != 2)
        return LINK_STEP_OTHER; /* management and control */
    if (control & 0x40)
        return LINK_STEP_OTHER; /* no data in it */

    rd_skip(r, 2);
    const uint8_t *address1 = rd_bytes(r, 6);
    const uint8_t *address2 = rd_bytes(r, 6);
    const uint8_t *address3 = rd_bytes(r, 6);
    rd_skip(r, 2);
    bool to_ds = flags & 1, from_ds = flags & 2;
    const uint8_t *address4 = to_ds && from_ds ? rd_bytes(r, 6) : NULL;
    bool aggregate = false;
    if (control & 0x80)
        aggregate = rd_be16(r) >> 8 & 0x80;
    if (!rd_ok(r) || rd_left(r) == 0)
        return link_short(w, "truncated_802_11_header");
    if (flags & 0x40)
        return LINK_STEP_OTHER; /* encrypted */

    memcpy(w->out->dst_mac, to_ds ? address3 : address1, 6);
    memcpy(w->out->src_mac, address4 ? address4 : from_ds ? address3 : address2, 6);
    w->out->has_mac = true;
    return aggregate ? link_subframe(w) : wireless_payload(w);
}

static enum link_step radiotap(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "IEEE802_11_RADIO";
    uint16_t size = 0;
    if (rd_left(r) > 3) {
        struct reader head = *r;
        rd_skip(&head, 2);
        size = rd_le16(&head);
    }
    if (size < 4 || size >= rd_left(r))
        return link_short(w, "truncated_radiotap_header");
    rd_skip(r, size);
    w->type = LINK_IEEE802_11;
    return LINK_STEP_LINK;
}

static enum link_step ppi(struct link_walk *w)
{
    struct reader head = w->r;
    w->name = "PPI";
    rd_skip(&head, 2);
    uint16_t size = rd_le16(&head);
    uint32_t link = rd_le32(&head);
    if (!rd_ok(&head) || size < 8 || size >= rd_left(&w->r))
        return LINK_STEP_SHORT;
    if (link > UINT16_MAX)
        return LINK_STEP_OTHER;
    rd_skip(&w->r, size);
    w->type = (uint16_t)link;
    return LINK_STEP_LINK;
}

enum link_step link_other(struct link_walk *w)
{
    switch (w->type) {
    case LINK_ETHERNET:
        return LINK_STEP_ETHERNET;
    case LINK_NULL:
    case LINK_LOOP:
        return loopback(w);
    case LINK_PPP:
        w->name = "PPP";
        return LINK_STEP_PPP;
    case LINK_PPP_SERIAL:
        return ppp_serial(w);
    case LINK_FDDI:
        return fddi(w);
    case LINK_SLL:
        return cooked(w);
    case LINK_SLL2:
        return cooked2(w);
    case LINK_NFLOG:
        return nflog(w);
    case LINK_IEEE802_11:
        return wireless(w);
    case LINK_IEEE802_11_RADIOTAP:
        return radiotap(w);
    case LINK_PPI:
        return ppi(w);
    default:
        return LINK_STEP_IP; /* raw IP, and what is not known: as Zeek */
    }
}

bool link_known(uint16_t link)
{
    switch (link) {
    case LINK_ETHERNET:
    case LINK_NULL:
    case LINK_LOOP:
    case LINK_PPP:
    case LINK_PPP_SERIAL:
    case LINK_FDDI:
    case LINK_SLL:
    case LINK_SLL2:
    case LINK_NFLOG:
    case LINK_IEEE802_11:
    case LINK_IEEE802_11_RADIOTAP:
    case LINK_PPI:
    case LINK_RAW:
    case LINK_RAW_BSD:
    case LINK_RAW_OPENBSD:
    case LINK_IPV4:
    case LINK_IPV6:
        return true;
    default:
        return false;
    }
}
