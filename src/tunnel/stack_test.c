/* Whole frames through the stack: the plain case against the thorough one, tunnels in tunnels to
 * the limit, the mirror's layers, fragments outside and inside, A-MSDU. */
#include "net/frames.h"

#include "net/plain.h"
#include "tunnel/stack.h"

#define MACS    "020000000002 020000000001 "
#define TCP     "9c400050 00000001 00000002 5018ffff 00000000"
#define IP4_TCP "45000028 00010000 40060000 0a000001 0a000002" TCP

struct kit {
    struct pool *pool;
    struct stack *stack;
    uint8_t *block;
    struct packet p;
};

static struct kit kit_make(const char *mirror)
{
    struct kit k = {.pool = pool_new(64u << 20)};
    struct stack_options options = {.auto_mirror = mirror && strcmp(mirror, "auto") == 0};
    if (mirror && !options.auto_mirror) {
        options.mirror[0] = tunnel_by_name(mirror, strlen(mirror));
        assert_non_null(options.mirror[0]);
        options.n_mirror = 1;
    }
    k.stack = stack_new(&options, k.pool);
    assert_non_null(k.stack);
    return k;
}

static void kit_done(struct kit *k)
{
    free(k->block);
    stack_free(k->stack);
    assert_int_equal(pool_used(k->pool), 0);
    pool_free(k->pool);
}

static enum packet_kind feed(struct kit *k, const uint8_t *bytes, size_t size, size_t wire,
                             uint16_t link)
{
    free(k->block);
    k->block = bytes_block(bytes, size);
    struct frame frame = {.ts = 5,
                          .bytes = k->block,
                          .size = (uint32_t)size,
                          .wire_size = (uint32_t)wire,
                          .link = link};
    stack_decode(k->stack, &frame, &k->p);
    return k->p.kind;
}

static enum packet_kind feed_hex(struct kit *k, const char *hex)
{
    struct bytes b = bytes_of(hex);
    return feed(k, b.at, b.size, b.size, LINK_ETHERNET);
}

/* Puts a header in front. */
static void wrap(struct bytes *b, const char *hex)
{
    struct bytes head = bytes_of(hex);
    assert_true(head.size + b->size <= FRAMES_MAX);
    memmove(b->at + head.size, b->at, b->size);
    memcpy(b->at, head.at, head.size);
    b->size += head.size;
}

static void wrap_ip4(struct bytes *b, uint8_t proto)
{
    wrap(b, "45000000 00020000 40000000 c0a80001 c0a80002");
    b->at[2] = (uint8_t)(b->size >> 8);
    b->at[3] = (uint8_t)b->size;
    b->at[9] = proto;
}

static void wrap_vxlan(struct bytes *b, unsigned vni)
{
    wrap(b, "08000000 00000000");
    b->at[6] = (uint8_t)vni;
    wrap(b, "c00012b5 00000000");
    b->at[4] = (uint8_t)(b->size >> 8);
    b->at[5] = (uint8_t)b->size;
    wrap_ip4(b, 17);
    wrap(b, MACS "0800");
}

/* plain_decode says yes only where link_decode and ip_decode say the same. */
static void plain_is_no_other(void **state)
{
    (void)state;
    static const char *const frames[] = {
        MACS "0800" IP4_TCP,
        MACS "0800 4500001f 00010000 40110000 0a000001 0a000002 9c400035 000b 0000 616263",
        MACS "0800 4500001f 00010000 40110000 0a000001 0a000002 9c400035 000b 0000 616263 "
             "000000000000000000000000000000",
    };
    uint32_t random = 7;
    unsigned n_plain = 0;
    for (int round = 0; round < 60000; round++) {
        struct bytes b = bytes_of(frames[round % 3]);
        if (round >= 3) {
            random = random * 1664525 + 1013904223;
            b.at[(random >> 8) % b.size] ^= (uint8_t)(1 << (random >> 28) % 8);
            if (random & 0x80)
                b.size -= (random >> 4) % 8;
        }
        size_t wire = b.size + (random >> 20 & 3);
        uint8_t *block = bytes_block(b.at, b.size);
        struct packet fast = {.n_weirds = 0};
        struct packet slow;
        struct packet_weird weirds[PACKET_MAX_WEIRDS];
        if (plain_decode(rd_make(block, b.size), (uint32_t)wire, &fast)) {
            n_plain++;
            assert_int_equal(decode_block(block, b.size, wire, LINK_ETHERNET, &slow, weirds),
                             PACKET_IP);
            assert_null(slow.weird);
            assert_true(addr_eq(&fast.src, &slow.src) && addr_eq(&fast.dst, &slow.dst));
            assert_memory_equal(fast.src_mac, slow.src_mac, 6);
            assert_memory_equal(fast.dst_mac, slow.dst_mac, 6);
            assert_true(fast.has_mac && fast.ip == slow.ip && fast.payload == slow.payload);
            assert_int_equal(fast.ip_size, slow.ip_size);
            assert_int_equal(fast.ip_len, slow.ip_len);
            assert_int_equal(fast.ip_version, slow.ip_version);
            assert_int_equal(fast.ip_proto, slow.ip_proto);
            assert_int_equal(fast.ttl, slow.ttl);
            assert_int_equal(fast.ip_id, slow.ip_id);
            assert_int_equal(fast.payload_size, slow.payload_size);
            assert_int_equal(fast.payload_len, slow.payload_len);
            assert_int_equal(fast.sport, slow.payload[0] << 8 | slow.payload[1]);
            assert_int_equal(fast.dport, slow.payload[2] << 8 | slow.payload[3]);
        }
        free(block);
    }
    assert_true(n_plain > 20000);
}

static void tunnels_over_ip(void **state)
{
    (void)state;
    struct kit k = kit_make(NULL);
    struct bytes b = bytes_of(IP4_TCP);
    wrap_ip4(&b, 4);
    wrap(&b, "20000800 00000065");
    wrap_ip4(&b, 47);
    wrap(&b, MACS "0800");
    for (size_t size = 0; size < b.size; size++)
        feed(&k, b.at, size, b.size, LINK_ETHERNET);
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
    assert_int_equal(k.p.n_layers, 2);
    assert_int_equal(k.p.n_mirror, 0);
    assert_ptr_equal(k.p.layers[0].decoder, &tunnel_gre);
    assert_int_equal(k.p.layers[0].id, 0x65);
    assert_ptr_equal(k.p.layers[1].decoder, &tunnel_ipip);
    assert_int_equal(k.p.sport, 40000);
    /* The frame is what came in: none of it is a mirror's. */
    assert_ptr_equal(k.p.frame, k.block);

    /* An inner packet of the wrong version, and one that is not as long as it says. */
    b = bytes_of("55000028" TCP);
    wrap_ip4(&b, 4);
    wrap(&b, MACS "0800");
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_MALFORMED);
    assert_string_equal(k.p.weird, "invalid_inner_IP_version");
    assert_string_equal(k.p.weirds[0].source, "IPTUNNEL");
    assert_true(k.p.weirds[0].has_addr && !k.p.weirds[0].in_tunnel);
    kit_done(&k);
}

static void an_end_to_nesting(void **state)
{
    (void)state;
    struct kit k = kit_make(NULL);
    struct bytes b = bytes_of(IP4_TCP);
    for (int n = 1; n <= 40; n++) {
        wrap_ip4(&b, 4);
        struct bytes frame = b;
        wrap(&frame, MACS "0800");
        enum packet_kind kind = feed(&k, frame.at, frame.size, frame.size, LINK_ETHERNET);
        if (n <= PACKET_MAX_LAYERS) {
            assert_int_equal(kind, PACKET_IP);
            assert_int_equal(k.p.n_layers, n);
        } else {
            assert_int_equal(kind, PACKET_REFUSED);
            assert_string_equal(k.p.weird, "exceeded_tunnel_max_depth");
            assert_true(k.p.weirds[0].in_tunnel);
        }
    }
    assert_int_equal(stack_counters(k.stack)->n_too_deep, 40 - PACKET_MAX_LAYERS);

    /* The same with tunnels that are connections. */
    b = bytes_of(MACS "0800" IP4_TCP);
    for (unsigned n = 0; n < 12; n++)
        wrap_vxlan(&b, n);
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
    static struct packet at, inner;
    at = k.p;
    unsigned depth = 0;
    const char *weird;
    while (stack_resume(k.stack, &at, &tunnel_vxlan, &inner, &weird) == STACK_TUNNEL) {
        depth++;
        assert_int_equal(inner.kind, PACKET_IP);
        assert_int_equal(inner.n_layers, depth);
        assert_int_equal(inner.layers[depth - 1].id, 12 - depth);
        at = inner;
    }
    assert_int_equal(depth, PACKET_MAX_LAYERS);
    assert_string_equal(weird, "exceeded_tunnel_max_depth");
    kit_done(&k);
}

static void layers_of_the_mirror(void **state)
{
    (void)state;
    struct bytes b = bytes_of(MACS "8100 0005 0800" IP4_TCP);
    size_t inner_size = b.size;
    wrap_vxlan(&b, 42);
    static const char *const ways[] = {"vxlan", "auto"};
    for (int way = 0; way < 2; way++) {
        struct kit k = kit_make(ways[way]);
        assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
        assert_int_equal(k.p.n_mirror, 1);
        assert_int_equal(k.p.layers[0].id, 42);
        assert_int_equal(k.p.layers[0].dport, 4789);
        assert_ptr_equal(k.p.frame, k.block + b.size - inner_size);
        assert_int_equal(k.p.frame_size, inner_size);
        assert_int_equal(k.p.frame_link, LINK_ETHERNET);
        assert_int_equal(k.p.vlan, 5);

        /* Another packet: not of a mirror that was named; to be looked at where none was. */
        feed_hex(&k, MACS "0800" IP4_TCP);
        assert_int_equal(k.p.kind, way == 0 ? PACKET_OTHER : PACKET_IP);
        assert_int_equal(stack_counters(k.stack)->n_not_mirror, way == 0);
        kit_done(&k);
    }

    /* A tunnel inside the mirrored traffic is not the named mirror's, which had one layer. */
    wrap_vxlan(&b, 41);
    struct kit k = kit_make("vxlan");
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
    assert_int_equal(k.p.n_mirror, 1);
    assert_int_equal(k.p.layers[0].id, 41);
    assert_int_equal(k.p.dport, 4789);
    assert_ptr_equal(stack_udp_tunnel(k.p.sport, k.p.dport), &tunnel_vxlan);
    kit_done(&k);

    k = kit_make("auto");
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
    assert_int_equal(k.p.n_mirror, 1);
    assert_int_equal(k.p.layers[0].id, 41);

    /* A flag that must be set is not: no VXLAN, so a datagram like others. */
    b = bytes_of(IP4_TCP);
    wrap_vxlan(&b, 1);
    b.at[42] = 0;
    assert_int_equal(feed(&k, b.at, b.size, b.size, LINK_ETHERNET), PACKET_IP);
    assert_int_equal(k.p.n_layers, 0);
    assert_int_equal(k.p.ip_proto, 17);
    kit_done(&k);
}

/* Splits the IP packet of a frame in two at `cut` bytes of payload. */
static void split(const struct bytes *frame, uint32_t cut, struct bytes parts[2])
{
    for (int i = 0; i < 2; i++) {
        parts[i] = *frame;
        uint32_t payload = (uint32_t)frame->size - 34;
        uint32_t from = i ? cut : 0, size = i ? payload - cut : cut;
        memcpy(parts[i].at + 34, frame->at + 34 + from, size);
        parts[i].size = 34 + size;
        parts[i].at[16] = (uint8_t)((20 + size) >> 8);
        parts[i].at[17] = (uint8_t)(20 + size);
        parts[i].at[20] = i ? 0 : 0x20;
        parts[i].at[21] = (uint8_t)(from / 8);
    }
}

static void fragments_outside_and_inside(void **state)
{
    (void)state;
    struct bytes inner = bytes_of(MACS "0800" IP4_TCP);
    struct bytes inside[2], outside[2][2];
    split(&inner, 8, inside);
    for (int i = 0; i < 2; i++) {
        struct bytes b = inside[i];
        wrap_vxlan(&b, 9);
        b.at[19] = (uint8_t)i; /* another datagram */
        split(&b, 40, outside[i]);
    }
    struct kit k = kit_make("vxlan");
    static const int order[4][2] = {{1, 1}, {0, 0}, {1, 0}, {0, 1}};
    for (int i = 0; i < 4; i++) {
        const struct bytes *b = &outside[order[i][0]][order[i][1]];
        enum packet_kind kind = feed(&k, b->at, b->size, b->size, LINK_ETHERNET);
        assert_int_equal(kind, i == 3 ? PACKET_IP : PACKET_FRAGMENT);
    }
    assert_true(k.p.reassembled);
    assert_int_equal(k.p.n_mirror, 1);
    assert_int_equal(k.p.sport, 40000);
    assert_int_equal(k.p.payload_len, 20);
    assert_int_equal(stack_counters(k.stack)->n_reassembled, 3);
    assert_true(pool_used(k.pool) > 0);
    stack_release(k.stack);

    /* One that never comes is forgotten. */
    feed(&k, outside[0][0].at, outside[0][0].size, outside[0][0].size, LINK_ETHERNET);
    stack_expire(k.stack, 301ll * 1000000000);
    assert_int_equal(stack_counters(k.stack)->n_fragments_expired, 1);
    kit_done(&k);
}

static void several_packets_in_a_frame(void **state)
{
    (void)state;
    static const char subframe[] = MACS "0030 aaaa03 000000 0800" IP4_TCP;
    struct bytes b = bytes_of("8802 0000 020000000001 020000000002 020000000003 0000 8000");
    for (int i = 0; i < 3; i++) {
        bytes_add(&b, subframe);
        b.at[b.size - 18] = (uint8_t)i; /* the destination port */
        if (i < 2)
            bytes_add(&b, "0000");
    }
    struct kit k = kit_make(NULL);
    for (size_t size = 0; size <= b.size; size++) {
        feed(&k, b.at, size, b.size, LINK_IEEE802_11);
        static struct packet at, next;
        at = k.p;
        int n = 1;
        while (stack_more(k.stack, &at, &next)) {
            if (size == b.size) {
                assert_int_equal(next.kind, PACKET_IP);
                assert_int_equal(next.dport, n << 8 | 0x50);
            }
            at = next;
            n++;
            assert_true(n <= 3);
        }
        if (size == b.size)
            assert_int_equal(n, 3);
    }
    kit_done(&k);
}

static void short_transport_headers(void **state)
{
    (void)state;
    struct kit k = kit_make(NULL);
    assert_int_equal(feed_hex(&k, MACS "0800 4500001a 00010000 40060000 0a000001 0a000002"
                                       "9c4000500000"),
                     PACKET_MALFORMED);
    assert_string_equal(k.p.weird, "truncated_header");
    struct bytes b = bytes_of(MACS "0800" IP4_TCP);
    assert_int_equal(feed(&k, b.at, b.size - 4, b.size, LINK_ETHERNET), PACKET_TRUNCATED);
    assert_string_equal(k.p.weird, "internally_truncated_header");
    assert_string_equal(k.p.weirds[0].source, "TCP");
    assert_int_equal(stack_counters(k.stack)->n_truncated, 1);
    assert_int_equal(stack_counters(k.stack)->n_malformed, 1);
    kit_done(&k);
}

static void ports_of_tunnels(void **state)
{
    (void)state;
    unsigned n = 0;
    for (unsigned port = 1; port < 65536; port++) {
        const struct tunnel_decoder *found = stack_udp_tunnel(1, (uint16_t)port);
        bool listed = false;
        for (size_t i = 0; tunnel_decoders[i]; i++)
            for (size_t p = 0; p < 6; p++)
                listed |= tunnel_decoders[i]->zeek_ports[p] == port;
        assert_int_equal(found != NULL, listed);
        assert_ptr_equal(stack_udp_tunnel((uint16_t)port, 1), found);
        n += listed;
    }
    assert_true(n >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_is_no_other),
        cmocka_unit_test(tunnels_over_ip),
        cmocka_unit_test(an_end_to_nesting),
        cmocka_unit_test(layers_of_the_mirror),
        cmocka_unit_test(fragments_outside_and_inside),
        cmocka_unit_test(several_packets_in_a_frame),
        cmocka_unit_test(short_transport_headers),
        cmocka_unit_test(ports_of_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
