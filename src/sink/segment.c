/* Segmentation of TCP and UDP and fragmentation of IPv4, of frames that are too large: see
 * segment.h.
 *
 *     +----------+------+----------------+-------------+--------------------------+
 *     | Ethernet | tags | IP and options | TCP, options|  payload                 |
 *     +----------+------+----------------+-------------+--------------------------+
 *     |<------------ the header of every piece ------->|  step  |  step  | rest   |
 *
 * Of TCP every piece has the sequence number of its first byte, FIN and PSH only the last, CWR only
 * the first; the IPv4 id counts up. Fragments (RFC 791) share the header up to the IP options. A
 * BIG TCP frame of IPv6 has a hop-by-hop header that says its length, which no piece needs. */
#include "sink/segment.h"

#include "net/checksum.h"

enum {
    TAG_C = 0x8100,
    TAG_S = 0x88a8,
    TAG_OLD = 0x9100,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    MAX_TAGS = 4,
    MAX_EXTENSIONS = 8,
    PROTO_HOP_BY_HOP = 0,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_IPV4 = 4,
    PROTO_IPV6 = 41,
    PROTO_ROUTING = 43,
    PROTO_FRAGMENT = 44,
    PROTO_GRE = 47,
    PROTO_DESTINATION = 60,
    OPTION_JUMBO = 0xc2,
    GRE_CHECKSUM = 0x80,
    GRE_KEY = 0x20,
    GRE_SEQUENCE = 0x10,
    FRAGMENT_SIZE = 8,
    FLAG_FIN = 0x01,
    FLAG_PSH = 0x08,
    FLAG_CWR = 0x80,
    MORE_FRAGMENTS = 0x2000,
    OFFSET_MASK = 0x1fff,
    SCTP_CHECKSUM = 8, /* where it is in SCTP's header; nobody else's is there */
};

/* What is known of a frame's headers. Sizes and places are counted from the frame's first byte. */
struct shape {
    bool is_v4;
    bool tagged;           /* its first EtherType is an 802.1Q tag's */
    bool jumbo;            /* IPv6: the header that says the length is at ip_at + 40, 8 bytes */
    uint8_t proto;         /* of what is at transport_at */
    uint16_t fragment;     /* IPv4: flags and offset */
    uint32_t ip_at;        /* of the IP header */
    uint32_t transport_at; /* behind it and its extensions */
    uint32_t end;          /* where the IP packet ends as it says, in the capture or not */
};

static void set16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void set32(uint8_t *at, uint32_t value)
{
    set16(at, value >> 16);
    set16(at + 2, value & 0xffff);
}

static bool read_v4(struct reader r, uint32_t left, struct shape *out)
{
    uint8_t first = rd_u8(&r);
    rd_skip(&r, 1);
    uint32_t total = rd_be16(&r);
    rd_skip(&r, 2);
    out->fragment = rd_be16(&r);
    rd_skip(&r, 1);
    out->proto = rd_u8(&r);
    uint32_t header = (first & 0xfu) * 4;
    if (!rd_ok(&r) || first >> 4 != 4 || header < 20 || header > left)
        return false;
    if (total == 0) /* larger than the field can say */
        total = left;
    out->is_v4 = true;
    out->transport_at = out->ip_at + header;
    out->end = out->ip_at + total;
    return total >= header;
}

/* The hop-by-hop header that Linux puts before a BIG TCP packet: the jumbo option, and nothing. */
static bool is_jumbo_header(const struct reader *at)
{
    return rd_peek_u8(at, 1) == 0 && rd_peek_u8(at, 2) == OPTION_JUMBO && rd_peek_u8(at, 3) == 4;
}

static bool read_v6(struct reader r, uint32_t left, struct shape *out)
{
    uint8_t version = rd_u8(&r) >> 4;
    rd_skip(&r, 3);
    uint32_t payload = rd_be16(&r);
    uint8_t next = rd_u8(&r);
    rd_skip(&r, 33);
    if (!rd_ok(&r) || version != 6)
        return false;
    uint32_t size = 40;
    for (int i = 0; next == PROTO_HOP_BY_HOP || next == PROTO_ROUTING || next == PROTO_DESTINATION;
         i++) {
        if (i == MAX_EXTENSIONS)
            return false;
        if (i == 0 && next == PROTO_HOP_BY_HOP && payload == 0)
            out->jumbo = is_jumbo_header(&r);
        next = rd_u8(&r);
        uint32_t more = rd_u8(&r) * 8u;
        rd_skip(&r, 6 + more);
        size += 8 + more;
        if (!rd_ok(&r))
            return false;
    }
    out->is_v4 = false;
    out->proto = next;
    out->transport_at = out->ip_at + size;
    out->end = out->ip_at + (payload ? 40 + payload : left);
    return out->end >= out->transport_at;
}

/* False: it is not IP, or its headers are not whole. */
static bool read_shape(const uint8_t *frame, uint32_t size, struct shape *out)
{
    struct reader r = rd_make(frame, size);
    *out = (struct shape){.ip_at = 14};
    rd_skip(&r, 12);
    uint16_t type = rd_be16(&r);
    out->tagged = type == TAG_C;
    for (int i = 0; i < MAX_TAGS && (type == TAG_C || type == TAG_S || type == TAG_OLD); i++) {
        rd_skip(&r, 2);
        type = rd_be16(&r);
        out->ip_at += 4;
    }
    uint32_t left = (uint32_t)rd_left(&r);
    if (type == TYPE_IPV4)
        return read_v4(r, left, out);
    return type == TYPE_IPV6 && read_v6(r, left, out);
}

/* Puts the header of all pieces together, of the frame's first `size` bytes. */
static bool take_header(struct segmenter *s, const uint8_t *frame, uint32_t size,
                        const struct shape *shape)
{
    if (size > SEGMENT_MAX_HEADERS)
        return false;
    s->is_v4 = shape->is_v4;
    s->link_size = shape->ip_at;
    s->header_size = size;
    s->transport_at = shape->transport_at;
    memcpy(s->header, frame, size);
    if (shape->jumbo) {
        uint32_t at = shape->ip_at + 40;
        s->header[shape->ip_at + 6] = s->header[at];
        memmove(s->header + at, s->header + at + 8, size - at - 8);
        s->header_size -= 8;
        s->transport_at -= 8;
    }
    if (shape->is_v4) {
        struct reader id = rd_make(s->header + shape->ip_at + 4, 2);
        s->ip_id = rd_be16(&id);
        s->fragment_offset = shape->fragment;
    }
    return true;
}

/* Pieces of `step` bytes of payload; 0: of as many as there is room for. */
static enum segment_kind begin_tcp(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                   const struct shape *shape, uint32_t room, uint32_t step)
{
    struct reader r = rd_make(frame, size < shape->end ? size : shape->end);
    rd_skip(&r, shape->transport_at + 4);
    s->seq = rd_be32(&r);
    rd_skip(&r, 4);
    uint32_t tcp_size = (uint32_t)(rd_u8(&r) >> 4) * 4;
    s->flags = rd_u8(&r);
    if (tcp_size < 20)
        return SEGMENT_CANNOT;
    rd_skip(&r, tcp_size - 14);
    if (!rd_ok(&r) || !take_header(s, frame, shape->transport_at + tcp_size, shape))
        return SEGMENT_CANNOT;
    if (step == 0 && room <= s->header_size)
        return SEGMENT_CANNOT;
    s->step = step ? step : room - s->header_size;
    s->payload = r;
    return SEGMENT_TCP;
}

static enum segment_kind begin_udp(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                   const struct shape *shape, uint32_t step)
{
    struct reader r = rd_make(frame, size < shape->end ? size : shape->end);
    rd_skip(&r, shape->transport_at + 8);
    if (!rd_ok(&r) || !take_header(s, frame, shape->transport_at + 8, shape))
        return SEGMENT_CANNOT;
    s->step = step;
    s->payload = r;
    return SEGMENT_UDP;
}

/* RFC 9260, appendix A: the polynomial 0x1edc6f41, bits reversed. Rare enough for no table. */
static uint32_t crc32c(const uint8_t *bytes, uint32_t size)
{
    uint32_t crc = UINT32_MAX;
    for (uint32_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* IPv6 says in a header of its own that a packet is in fragments, behind all others. */
static void put_fragment_header(struct segmenter *s, const struct shape *shape)
{
    uint8_t *next = s->header + shape->ip_at + 6; /* where the last header's type is said */
    uint32_t at = shape->ip_at + 40;
    while (at < shape->transport_at) {
        next = s->header + at;
        struct reader size = rd_make(s->header + at + 1, 1);
        at += 8 + rd_u8(&size) * 8u;
    }
    s->fragment_at = shape->transport_at;
    memset(s->header + s->fragment_at, 0, FRAGMENT_SIZE);
    s->header[s->fragment_at] = *next;
    *next = PROTO_FRAGMENT;
    s->header_size += FRAGMENT_SIZE;
}

static enum segment_kind begin_fragments(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                         const struct shape *shape, uint32_t room)
{
    struct reader r = rd_make(frame, size < shape->end ? size : shape->end);
    rd_skip(&r, shape->transport_at);
    uint32_t last = (shape->fragment & OFFSET_MASK) * 8u + shape->end - shape->transport_at;
    if (!rd_ok(&r) || shape->transport_at + FRAGMENT_SIZE > SEGMENT_MAX_HEADERS ||
        !take_header(s, frame, shape->transport_at, shape) || last > 0xffff || shape->jumbo)
        return SEGMENT_CANNOT;
    if (!shape->is_v4) {
        put_fragment_header(s, shape);
        /* Another one for each packet of a pair of hosts: of its ports, sum and first bytes. */
        set32(s->header + s->fragment_at + 4,
              crc32c(r.at, rd_left(&r) < 64 ? (uint32_t)rd_left(&r) : 64));
    }
    if (room < s->header_size + 8)
        return SEGMENT_CANNOT;
    s->step = (room - s->header_size) & ~7u;
    s->payload = r;
    return SEGMENT_FRAGMENTS;
}

static bool is_part(const struct shape *shape)
{
    return shape->is_v4 && (shape->fragment & (MORE_FRAGMENTS | OFFSET_MASK)) != 0;
}

static bool read_ip_at(const uint8_t *frame, uint32_t size, uint32_t at, struct shape *out)
{
    struct reader r = rd_make(frame, size);
    *out = (struct shape){.ip_at = at};
    rd_skip(&r, at);
    uint32_t left = (uint32_t)rd_left(&r);
    bool is_v6 = rd_peek_u8(&r, 0) >> 4 == 6;
    /* The length has to be right, so that no other bytes are taken for a header. */
    return (is_v6 ? read_v6(r, left, out) : read_v4(r, left, out)) && out->end == size &&
           !is_part(out);
}

/* The IP packet in a tunnel: in VXLAN, GENEVE, GRE, IP. */
static bool find_inner(const uint8_t *frame, uint32_t size, const struct shape *outer,
                       struct shape *out)
{
    struct reader r = rd_make(frame, size);
    uint32_t places[3], n = 0, at = outer->transport_at;
    rd_skip(&r, at);
    if (outer->proto == PROTO_IPV4 || outer->proto == PROTO_IPV6) {
        places[n++] = at;
    } else if (outer->proto == PROTO_GRE) {
        uint8_t flags = rd_u8(&r);
        at += 4u + (flags & GRE_CHECKSUM ? 4 : 0) + (flags & GRE_KEY ? 4 : 0) +
              (flags & GRE_SEQUENCE ? 4 : 0);
        places[n++] = at;
        places[n++] = at + 14;
    } else if (outer->proto == PROTO_UDP) {
        uint32_t options = (rd_peek_u8(&r, 8) & 0x3fu) * 4; /* GENEVE's */
        places[n++] = at + 16 + 14;                         /* VXLAN's, or without them */
        places[n++] = at + 16 + options + 14;
        places[n++] = at + 16 + options;
    }
    for (uint32_t i = 0; i < n; i++)
        if (places[i] < size && read_ip_at(frame, size, places[i], out))
            return true;
    return false;
}

/* Of the outer header's fields that differ from piece to piece. */
static void take_outer(struct segmenter *s, const uint8_t *frame, const struct shape *shape)
{
    struct reader id = rd_make(frame + shape->ip_at + 4, 2);
    s->outer = (struct segment_outer){.proto = shape->proto,
                                      .is_v4 = shape->is_v4,
                                      .ip_id = rd_be16(&id),
                                      .ip_at = shape->ip_at,
                                      .transport_at = shape->transport_at};
}

enum segment_kind segment_begin(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                uint32_t mtu)
{
    s->kind = SEGMENT_FITS;
    s->done = s->n_pieces = 0;
    s->outer.proto = 0;
    if (size <= mtu + 14)
        return SEGMENT_FITS;
    struct shape shape, inner;
    bool is_ip = read_shape(frame, size, &shape);
    uint32_t room = mtu + 14 + (shape.tagged ? 4 : 0);
    if (size <= room)
        return SEGMENT_FITS;
    s->kind = SEGMENT_CANNOT;
    if (!is_ip)
        return SEGMENT_CANNOT;
    s->whole = size >= shape.end;
    if (shape.proto == PROTO_TCP && !is_part(&shape)) {
        s->kind = begin_tcp(s, frame, size, &shape, room, 0);
    } else if (!is_part(&shape) && find_inner(frame, size, &shape, &inner) &&
               inner.proto == PROTO_TCP) {
        take_outer(s, frame, &shape);
        s->kind = begin_tcp(s, frame, size, &inner, room, 0);
    } else if (shape.is_v4 || shape.proto == PROTO_UDP) {
        s->kind = begin_fragments(s, frame, size, &shape, room);
    }
    return s->kind;
}

/* The IP header that ends at `transport_at`, in a tunnel of whatever kind. */
static bool find_inner_at(const uint8_t *frame, uint32_t size, const struct shape *outer,
                          uint32_t transport_at, struct shape *out)
{
    if (outer->proto != PROTO_UDP && outer->proto != PROTO_GRE && outer->proto != PROTO_IPV4 &&
        outer->proto != PROTO_IPV6)
        return false;
    for (uint32_t header = 20; header <= 60; header += 4) {
        if (transport_at < outer->transport_at + header)
            return false;
        if (read_ip_at(frame, size, transport_at - header, out) &&
            out->transport_at == transport_at)
            return true;
    }
    return false;
}

enum segment_kind segment_begin_sized(struct segmenter *s, const uint8_t *frame, uint32_t size,
                                      uint32_t transport_at, uint32_t step)
{
    struct shape shape, inner;
    s->kind = SEGMENT_CANNOT;
    s->done = s->n_pieces = 0;
    s->outer.proto = 0;
    if (step == 0 || !read_shape(frame, size, &shape) || is_part(&shape))
        return SEGMENT_CANNOT;
    if (transport_at && shape.transport_at != transport_at) {
        if (!find_inner_at(frame, size, &shape, transport_at, &inner))
            return SEGMENT_CANNOT;
        take_outer(s, frame, &shape);
        shape = inner;
    }
    s->whole = size >= shape.end;
    if (shape.proto == PROTO_TCP)
        s->kind = begin_tcp(s, frame, size, &shape, 0, step);
    else if (shape.proto == PROTO_UDP)
        s->kind = begin_udp(s, frame, size, &shape, step);
    return s->kind;
}

static uint64_t pseudo_header(const uint8_t *ip, bool is_v4, uint8_t proto, uint32_t size)
{
    return is_v4 ? checksum_add((uint64_t)proto + size, ip + 12, 8)
                 : checksum_add((uint64_t)proto + size, ip + 8, 32);
}

static void finish_ip(uint8_t *ip, bool is_v4, uint32_t ip_size)
{
    if (!is_v4) {
        set16(ip + 4, ip_size - 40);
        return;
    }
    uint32_t header = (ip[0] & 0xfu) * 4;
    set16(ip + 2, ip_size);
    set16(ip + 10, 0);
    set16(ip + 10, checksum_fold(checksum_add(0, ip, header)));
}

/* `at`: of the checksum in the transport header. */
static uint16_t sum_transport(const struct segmenter *s, uint8_t *out, uint8_t proto, uint32_t at,
                              uint32_t payload)
{
    uint8_t *transport = out + s->transport_at;
    uint32_t size = s->header_size - s->transport_at + payload;
    uint64_t sum = pseudo_header(out + s->link_size, s->is_v4, proto, size);
    set16(transport + at, 0);
    return checksum_fold(checksum_add(sum, transport, size));
}

static void finish_udp(struct segmenter *s, uint8_t *out, uint32_t payload)
{
    uint8_t *udp = out + s->transport_at;
    set16(udp + 4, 8 + payload);
    uint16_t sum = sum_transport(s, out, PROTO_UDP, 6, payload);
    set16(udp + 6, sum ? sum : 0xffff);
}

static void finish_tcp(struct segmenter *s, uint8_t *out, uint32_t payload, bool last)
{
    uint8_t *tcp = out + s->transport_at;
    set32(tcp + 4, s->seq + s->done);
    uint8_t flags = s->flags;
    if (!last)
        flags &= (uint8_t) ~(FLAG_FIN | FLAG_PSH);
    if (s->n_pieces > 0)
        flags &= (uint8_t)~FLAG_CWR;
    tcp[13] = flags;
    set16(tcp + 16, sum_transport(s, out, PROTO_TCP, 16, payload));
}

static void finish_fragment(struct segmenter *s, uint8_t *out, bool last)
{
    uint16_t more = last ? s->fragment_offset & MORE_FRAGMENTS : MORE_FRAGMENTS;
    uint32_t offset = (s->fragment_offset & OFFSET_MASK) + s->done / 8;
    if (s->is_v4)
        set16(out + s->link_size + 6, more | offset);
    else
        set16(out + s->fragment_at + 2, s->done | (last ? 0 : 1));
}

/* A checksum of the tunnel's that the sender left out stays out. `size`: of the whole piece. */
static void finish_outer(const struct segmenter *s, uint8_t *out, uint32_t size)
{
    const struct segment_outer *outer = &s->outer;
    uint8_t *ip = out + outer->ip_at;
    uint8_t *transport = out + outer->transport_at;
    uint32_t transport_size = size - outer->transport_at;
    if (outer->proto == PROTO_UDP) {
        set16(transport + 4, transport_size);
        bool has_sum = transport[6] || transport[7];
        set16(transport + 6, 0);
        uint64_t sum = pseudo_header(ip, outer->is_v4, PROTO_UDP, transport_size);
        uint16_t right = checksum_fold(checksum_add(sum, transport, transport_size));
        if (has_sum)
            set16(transport + 6, right ? right : 0xffff);
    } else if (outer->proto == PROTO_GRE && transport[0] & GRE_CHECKSUM) {
        set16(transport + 4, 0);
        set16(transport + 4, checksum_fold(checksum_add(0, transport, transport_size)));
    }
    if (outer->is_v4)
        set16(ip + 4, outer->ip_id + s->n_pieces);
    finish_ip(ip, outer->is_v4, size - outer->ip_at);
}

uint32_t segment_next(struct segmenter *s, uint8_t *out)
{
    uint32_t left = (uint32_t)rd_left(&s->payload);
    if (s->kind == SEGMENT_FITS || s->kind == SEGMENT_CANNOT || left == 0)
        return 0;
    uint32_t size = left < s->step ? left : s->step;
    bool last = size == left && s->whole;
    memcpy(out, s->header, s->header_size);
    memcpy(out + s->header_size, rd_bytes(&s->payload, size), size);
    if (s->kind == SEGMENT_FRAGMENTS)
        finish_fragment(s, out, last);
    else if (s->is_v4)
        set16(out + s->link_size + 4, s->ip_id + s->n_pieces);
    if (s->kind == SEGMENT_TCP)
        finish_tcp(s, out, size, last);
    else if (s->kind == SEGMENT_UDP)
        finish_udp(s, out, size);
    finish_ip(out + s->link_size, s->is_v4, s->header_size - s->link_size + size);
    if (s->outer.proto)
        finish_outer(s, out, s->header_size + size);
    s->done += size;
    s->n_pieces++;
    return s->header_size + size;
}

/* Where the checksum is in the header, or 0: it has none that a network card fills in. */
static uint32_t checksum_offset(uint8_t proto)
{
    return proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : 0;
}

static bool finish_one(uint8_t *frame, uint32_t size, const struct shape *shape)
{
    if (shape->end > size)
        return false;
    uint32_t at = checksum_offset(shape->proto);
    uint32_t transport_size = shape->end - shape->transport_at;
    if (at == 0 || is_part(shape) || transport_size < at + 2)
        return false;
    uint8_t *transport = frame + shape->transport_at;
    struct reader field = rd_make(transport + at, 2);
    uint16_t found = rd_be16(&field);
    uint64_t sum = pseudo_header(frame + shape->ip_at, shape->is_v4, shape->proto, transport_size);
    uint64_t without = sum - transport_size; /* as some drivers leave it for large frames */
    uint32_t unfinished = 0xffffu - checksum_fold(sum);
    uint32_t unfinished_too = 0xffffu - checksum_fold(without);
    bool is_none = found == 0 && !(shape->is_v4 && shape->proto == PROTO_UDP);
    if (!is_none && found != unfinished && found != unfinished_too)
        return false;
    set16(transport + at, 0);
    uint16_t right = checksum_fold(checksum_add(sum, transport, transport_size));
    if (right == 0 && shape->proto == PROTO_UDP)
        right = 0xffff;
    set16(transport + at, right);
    return right != found;
}

bool segment_finish_checksum(uint8_t *frame, uint32_t size)
{
    struct shape shape, inner;
    if (!read_shape(frame, size, &shape))
        return false;
    /* The inner one first: the outer one covers it. A tunnel's that is 0 is none. */
    bool is_tunnel =
        !is_part(&shape) && shape.end == size && find_inner(frame, size, &shape, &inner);
    bool changed = is_tunnel && finish_one(frame, size, &inner);
    struct reader sum = rd_make(frame, size);
    rd_skip(&sum, shape.transport_at + 6);
    if (is_tunnel && shape.proto == PROTO_UDP && rd_be16(&sum) == 0)
        return changed;
    return finish_one(frame, size, &shape) || changed;
}

bool segment_finish_at(uint8_t *frame, uint32_t size, uint32_t from, uint32_t at)
{
    bool is_sctp = at - from == SCTP_CHECKSUM;
    uint32_t width = is_sctp ? 4 : 2;
    if (from > size || at < from || at > size || size - at < width)
        return false;
    if (is_sctp) {
        memset(frame + at, 0, width);
        uint32_t crc = crc32c(frame + from, size - from);
        for (uint32_t i = 0; i < width; i++) /* the lowest byte first */
            frame[at + i] = (uint8_t)(crc >> 8 * i);
        return true;
    }
    uint16_t sum = checksum_fold(checksum_add(0, frame + from, size - from));
    set16(frame + at, sum ? sum : 0xffff); /* no difference, but that UDP has no 0 */
    return true;
}
