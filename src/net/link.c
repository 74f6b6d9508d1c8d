/* Link headers: Ethernet (IEEE 802.3) with its tags, and the loop that walks from one header to
 * the next. The link types of captures other than Ethernet are in link_other.c.
 *
 *     +-----------------+-----------------+------+ - - - - - - - - - - - - - - -
 *     | destination (6) |   source (6)    | type | tags, labels, …, then the packet
 *     +-----------------+-----------------+------+ - - - - - - - - - - - - - - -
 *
 *     802.1Q tag: | PCP DEI VLAN id (2) | type (2) |
 *     MPLS label: | label (20 bits) TC (3) S (1) TTL (8) |, the last has S
 *     PPPoE:      | version, type (1) | code (1) | session (2) | length (2) | PPP …
 *
 * A type below 1536 is a length: LLC (802.2) follows, and SNAP where its addresses are AA AA.
 * Where a header has to be longer than its fields say, it is because Zeek wants one byte behind. */
#include "net/link.h"

#include "net/link_step.h"
#include "net/weird.h"

static inline enum link_step ethernet(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "ETHERNET";
    if (rd_left(r) <= 16)
        return link_short(w, "truncated_ethernet_frame");
    if (rd_peek_be16(r, 12) == 0x8903) { /* Cisco FabricPath: the frame is behind its header */
        rd_skip(r, 16);
        if (rd_left(r) <= 14)
            return link_short(w, "truncated_link_header_cfp");
    }
    const uint8_t *dst = rd_bytes(r, 6);
    const uint8_t *src = rd_bytes(r, 6);
    memcpy(w->out->dst_mac, dst, 6);
    memcpy(w->out->src_mac, src, 6);
    w->out->has_mac = true;
    w->type = rd_be16(r);
    if (w->type >= 1536)
        return LINK_STEP_ETHERTYPE;
    if (w->type <= 1500) {
        if (rd_left(r) < w->type)
            return link_short(w, "truncated_ethernet_frame");
        return LINK_STEP_LLC;
    }
    weird_add(w->out, "undefined_ether_type", w->name, false);
    return LINK_STEP_MALFORMED;
}

static enum link_step vlan(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "VLAN";
    if (rd_left(r) <= 4)
        return link_short(w, "truncated_VLAN_header");
    uint16_t id = rd_be16(r) & 0xfff;
    w->type = rd_be16(r);
    if (w->out->vlan == 0)
        w->out->vlan = id;
    else
        w->out->inner_vlan = id;
    if (w->type >= 1536)
        return LINK_STEP_ETHERTYPE;
    if (w->type <= 1500) {
        if (rd_left(r) < 2)
            return link_short(w, "truncated_VLAN_header");
        *r = rd_sub_upto(r, w->type);
        return LINK_STEP_LLC;
    }
    weird_add(w->out, "undefined_vlan_protocol", w->name, false);
    return LINK_STEP_MALFORMED;
}

static enum link_step llc(struct link_walk *w)
{
    struct reader *r = &w->r;
    uint16_t addresses = rd_peek_be16(r, 0);
    if (addresses == 0xffff)
        return LINK_STEP_OTHER; /* Novell: IPX without LLC */
    bool snap = addresses == 0xaaaa;
    w->name = snap ? "SNAP" : "LLC";
    rd_skip(r, 2);
    if ((rd_u8(r) & 3) != 3) /* numbered frames have a longer control field */
        rd_skip(r, 1);
    if (!rd_ok(r))
        return link_short(w, snap ? "truncated_snap_llc_header" : "truncated_llc_header");
    if (!snap)
        return LINK_STEP_OTHER;
    uint32_t organisation = rd_be24(r);
    w->type = rd_be16(r);
    if (!rd_ok(r))
        return link_short(w, "truncated_snap_header");
    return organisation == 0 ? LINK_STEP_ETHERTYPE : LINK_STEP_OTHER;
}

/* Whether an Ethernet header with something known behind it could be at this place. */
static bool looks_like_ethernet(const struct reader *r, size_t ahead)
{
    if (rd_left(r) < ahead + 34)
        return false;
    switch (rd_peek_be16(r, ahead + 12)) {
    case 0x0800:
        return rd_peek_u8(r, ahead + 14) >> 4 == 4;
    case 0x86dd:
        return rd_peek_u8(r, ahead + 14) >> 4 == 6;
    case 0x0806:
    case 0x8100:
    case 0x88a8:
        return true;
    default:
        return false;
    }
}

static enum link_step mpls(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "MPLS";
    uint32_t label;
    do {
        if (rd_left(r) <= 4)
            return link_short(w, "truncated_link_header");
        label = rd_be32(r);
    } while (!(label >> 8 & 1));

    /* Nothing says what is behind the labels (RFC 3032): the first nibble tells IP from the
     * control word of a pseudo-wire (RFC 4385). */
    switch (rd_peek_u8(r, 0) >> 4) {
    case 4:
    case 6:
        return LINK_STEP_IP;
    case 0:
        if (looks_like_ethernet(r, 4)) {
            rd_skip(r, 4);
            return LINK_STEP_ETHERNET;
        }
        break;
    default:
        break;
    }
    return looks_like_ethernet(r, 0) ? LINK_STEP_ETHERNET : LINK_STEP_IP;
}

static enum link_step pppoe(struct link_walk *w)
{
    struct reader *r = &w->r;
    w->name = "PPPOE";
    if (rd_left(r) <= 8)
        return link_short(w, "truncated_pppoe_header");
    rd_skip(r, 1);
    uint8_t code = rd_u8(r);
    rd_skip(r, 2);
    uint16_t size = rd_be16(r);
    if (size < rd_left(r))
        weird_add(w->out, "pppoe_extra_data_after_payload", w->name, false);
    else if (size > rd_left(r))
        weird_add(w->out, "pppoe_truncated_payload", w->name, false);
    *r = rd_sub_upto(r, size);
    return code == 0 ? LINK_STEP_PPP : LINK_STEP_OTHER;
}

static enum link_step pbb(struct link_walk *w)
{
    w->name = "PBB";
    if (rd_left(&w->r) <= 18)
        return link_short(w, "truncated_PBB_header");
    rd_skip(&w->r, 4); /* the I-tag; the customer's frame is behind it */
    return LINK_STEP_ETHERNET;
}

static enum link_step vntag(struct link_walk *w)
{
    w->name = "VNTAG";
    if (rd_left(&w->r) <= 6)
        return link_short(w, "truncated_vntag_header");
    rd_skip(&w->r, 4);
    w->type = rd_be16(&w->r);
    return LINK_STEP_ETHERTYPE;
}

static enum link_step ethertype(struct link_walk *w)
{
    switch (w->type) {
    case 0x0800:
    case 0x86dd:
        return LINK_STEP_IP;
    case 0x0806:
    case 0x8035:
        return LINK_STEP_ARP;
    case 0x8100:
    case 0x88a8:
    case 0x9100:
        return LINK_STEP_VLAN;
    case 0x8847:
    case 0x8848:
        return LINK_STEP_MPLS;
    case 0x8864:
        return LINK_STEP_PPPOE;
    case 0x880b:
        return LINK_STEP_PPP;
    case 0x88e7:
        return LINK_STEP_PBB;
    case 0x8926:
        return LINK_STEP_VNTAG;
    case 0x6558:
        return LINK_STEP_ETHERNET;
    case 0x0004:
        return LINK_STEP_LLC; /* in cooked captures */
    default:
        return LINK_STEP_OTHER;
    }
}

/* Each header's turn; an EtherType is no header of its own. */
static enum link_step step(struct link_walk *w, enum link_step now)
{
    switch (now) {
    case LINK_STEP_ETHERNET:
        return ethernet(w);
    case LINK_STEP_VLAN:
        return vlan(w);
    case LINK_STEP_LLC:
        return llc(w);
    case LINK_STEP_MPLS:
        return mpls(w);
    case LINK_STEP_PPPOE:
        return pppoe(w);
    case LINK_STEP_PBB:
        return pbb(w);
    case LINK_STEP_VNTAG:
        return vntag(w);
    case LINK_STEP_PPP:
        return link_ppp(w);
    case LINK_STEP_LINK:
        return link_other(w);
    case LINK_STEP_ETHERTYPE:
    case LINK_STEP_IP:
    case LINK_STEP_ARP:
    case LINK_STEP_OTHER:
    case LINK_STEP_SHORT:
    case LINK_STEP_MALFORMED:
        break;
    }
    return now;
}

/* `n` headers are off already. */
static enum packet_kind walk(struct link_walk *w, enum link_step next, int n, struct reader *r)
{
    enum packet_kind kind = PACKET_REFUSED;
    for (;; n++) {
        if (next == LINK_STEP_ETHERTYPE)
            next = ethertype(w);
        if (next == LINK_STEP_IP) {
            kind = PACKET_IP;
            break;
        }
        if (next == LINK_STEP_ARP) {
            kind = PACKET_ARP;
            break;
        }
        if (next == LINK_STEP_OTHER) {
            kind = PACKET_OTHER;
            break;
        }
        if (next == LINK_STEP_SHORT) {
            kind = PACKET_TRUNCATED;
            break;
        }
        if (next == LINK_STEP_MALFORMED) {
            kind = PACKET_MALFORMED;
            break;
        }
        if (n == LINK_MAX_HEADERS) {
            weird_add(w->out, "max_packet_analyzer_depth_exceeded", w->name, false);
            break;
        }
        next = step(w, next);
    }
    *r = w->r;
    return kind;
}

enum packet_kind link_decode(struct reader *r, uint16_t link, struct packet *out)
{
    struct link_walk w = {.r = *r, .out = out, .type = link, .name = "ROOT"};
    if (__builtin_expect(link != LINK_ETHERNET, 0))
        return walk(&w, LINK_STEP_LINK, 0, r);
    enum link_step next = ethernet(&w);
    if (__builtin_expect(next == LINK_STEP_ETHERTYPE && w.type == 0x0800, 1)) {
        *r = w.r;
        return PACKET_IP;
    }
    return walk(&w, next, 1, r);
}

enum packet_kind link_decode_ethertype(struct reader *r, uint16_t type, struct packet *out)
{
    struct link_walk w = {.r = *r, .out = out, .type = type, .name = "ROOT"};
    return walk(&w, LINK_STEP_ETHERTYPE, 0, r);
}

enum packet_kind link_decode_ppp(struct reader *r, struct packet *out)
{
    struct link_walk w = {.r = *r, .out = out, .name = "PPP"};
    return walk(&w, LINK_STEP_PPP, 0, r);
}

enum packet_kind link_decode_subframe(struct reader *r, struct packet *out)
{
    struct link_walk w = {.r = *r, .out = out, .name = "IEEE802_11"};
    return walk(&w, link_subframe(&w), 1, r);
}
