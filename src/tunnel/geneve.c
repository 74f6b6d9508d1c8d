/* GENEVE (RFC 8926).
 *
 *      0                   1                   2                   3
 *     +---+-----------+-+-+-----------+-------------------------------+
 *     |Ver|  Opt len  |O|C|   Rsvd    |        Protocol type          |
 *     +---+-----------+-+-+-----------+---------------+---------------+
 *     |                      VNI                      |   Reserved    |
 *     +-----------------------------------------------+---------------+
 *     :         Option class          |C|    Type     |  R  | Length  :  options: Opt len x 4
 *     :                     Length x 4 bytes of data                  :  bytes in all
 *     +---------------------------------------------------------------+
 *
 * The critical bits are for tunnel endpoints, which we are not: the packet is read whether we know
 * the option or not. Options whose lengths do not add up are not shown to anybody, but the packet
 * is still read, since endpoints (Linux's) take it too. */
#include "tunnel/geneve.h"

#include "tunnel/tunnel.h"

#define ETHERTYPE_IPV4     0x0800
#define ETHERTYPE_IPV6     0x86dd
#define ETHERTYPE_ETHERNET 0x6558

struct option {
    uint16_t class;
    uint8_t type; /* without the critical bit */
    struct reader data;
};

static struct option read_option(struct reader *r)
{
    struct option option;
    option.class = rd_be16(r);
    option.type = rd_u8(r) & 0x7f;
    option.data = rd_sub(r, (rd_u8(r) & 0x1fu) * 4);
    return option;
}

static bool options_add_up(struct reader options)
{
    while (rd_left(&options) > 0)
        read_option(&options);
    return rd_ok(&options);
}

static void keep_options(struct packet_layer *layer, struct reader options)
{
    uint16_t size = (uint16_t)rd_left(&options);
    if (size == 0 || !options_add_up(options))
        return;
    layer->options_size = size;
    layer->options = rd_bytes(&options, size);
    uint32_t network;
    bool egress;
    if (geneve_google_network(layer, &network, &egress))
        layer->direction = egress ? 2 : 1;
}

static struct tunnel_result decode(struct reader *r, struct packet_layer *layer)
{
    uint8_t head = rd_u8(r);
    bool is_control = (rd_u8(r) & 0x80) != 0;
    uint16_t protocol = rd_be16(r);
    uint32_t vni = rd_be24(r);
    rd_skip(r, 1);
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    if (head >> 6 != 0)
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE, .weird = "geneve_invalid_version"};
    struct reader options = rd_sub(r, (head & 0x3fu) * 4);
    if (!rd_ok(r))
        return (struct tunnel_result){.next = TUNNEL_NOT_MINE};
    layer->id = vni;
    layer->has_id = true;
    keep_options(layer, options);
    if (rd_left(r) == 0)
        return (struct tunnel_result){
            .next = TUNNEL_CONTROL, .weird = "geneve_empty_packet", .confirmed = true};
    if (is_control)
        return (struct tunnel_result){.next = TUNNEL_CONTROL, .confirmed = true};
    if (protocol == ETHERTYPE_ETHERNET)
        return (struct tunnel_result){.next = TUNNEL_ETHERNET};
    if (protocol == ETHERTYPE_IPV4 || protocol == ETHERTYPE_IPV6)
        return (struct tunnel_result){.next = TUNNEL_IP};
    return (struct tunnel_result){.next = TUNNEL_ETHERTYPE, .ethertype = protocol};
}

struct reader geneve_option(const struct packet_layer *layer, uint16_t class, uint8_t type)
{
    const struct reader none = {.failed = true};
    if (!layer->options)
        return none;
    struct reader options = rd_make(layer->options, layer->options_size);
    while (rd_left(&options) > 0) {
        struct option option = read_option(&options);
        if (option.class == class && option.type == type)
            return option.data;
    }
    return none;
}

static bool option_u64(const struct packet_layer *layer, uint16_t class, uint8_t type,
                       uint64_t *out)
{
    struct reader data = geneve_option(layer, class, type);
    uint64_t value = rd_be64(&data);
    if (!rd_done(&data))
        return false;
    *out = value;
    return true;
}

static bool option_u32(const struct packet_layer *layer, uint16_t class, uint8_t type,
                       uint32_t *out)
{
    struct reader data = geneve_option(layer, class, type);
    uint32_t value = rd_be32(&data);
    if (!rd_done(&data))
        return false;
    *out = value;
    return true;
}

bool geneve_aws_eni(const struct packet_layer *layer, uint64_t *out)
{
    return option_u64(layer, GENEVE_CLASS_AWS, GENEVE_AWS_ENDPOINT, out);
}

bool geneve_aws_attachment(const struct packet_layer *layer, uint64_t *out)
{
    return option_u64(layer, GENEVE_CLASS_AWS, GENEVE_AWS_ATTACHMENT, out);
}

bool geneve_aws_cookie(const struct packet_layer *layer, uint32_t *out)
{
    return option_u32(layer, GENEVE_CLASS_AWS, GENEVE_AWS_COOKIE, out);
}

bool geneve_google_network(const struct packet_layer *layer, uint32_t *out, bool *out_egress)
{
    uint32_t value;
    if (!option_u32(layer, GENEVE_CLASS_GOOGLE, GENEVE_GOOGLE_NETWORK, &value))
        return false;
    *out = value >> 4;
    *out_egress = (value & 1) != 0;
    return true;
}

bool geneve_google_profile(const struct packet_layer *layer, uint64_t *out)
{
    return option_u64(layer, GENEVE_CLASS_GOOGLE, GENEVE_GOOGLE_PROFILE, out);
}

const struct tunnel_decoder tunnel_geneve = {
    .name = "geneve",
    .title = "GENEVE (RFC 8926), UDP 6081",
    .zeek_type = "GENEVE",
    .service = "geneve",
    .udp_ports = {6081},
    .zeek_ports = {6081},
    .is_mirror = true,
    .decode = decode,
};
