/* Every encapsulation around one frame, through the stack: alone, over IPv6, two deep, in two outer
 * fragments, cut short. Then, where the data is there, captures of real mirrors.
 *
 * CLOUDSPAN_CONFORMANCE names a folder beside which data/tunnels lies; without it the second part
 * is skipped. */
#include "tunnel/decoding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/capture.h"
#include "tunnel/stack.h"

/* Frames are built from the inside to the outside. */
struct build {
    uint8_t bytes[2048];
    size_t at;
};

static void put(struct build *b, const char *hex)
{
    size_t size;
    uint8_t *bytes = decoding_bytes(hex, &size);
    assert_true(b->at >= size);
    b->at -= size;
    memcpy(b->bytes + b->at, bytes, size);
    free(bytes);
}

static size_t size_of(const struct build *b)
{
    return sizeof(b->bytes) - b->at;
}

static void put_be16(struct build *b, size_t offset, size_t value)
{
    b->bytes[b->at + offset] = (uint8_t)(value >> 8);
    b->bytes[b->at + offset + 1] = (uint8_t)value;
}

#define ETHERNET "0200000000020200000000010800"

static void put_ipv4(struct build *b, uint8_t proto)
{
    put(b, "45000000 00010000 40000000 c0a80001 c0a80002");
    b->bytes[b->at + 9] = proto;
    put_be16(b, 2, size_of(b));
}

static void put_ipv6(struct build *b, uint8_t proto)
{
    put(b, "60000000 00000040 fd000000000000000000000000000001 fd000000000000000000000000000002");
    b->bytes[b->at + 6] = proto;
    put_be16(b, 4, size_of(b) - 40);
}

static void put_udp(struct build *b, uint16_t port)
{
    put(b, "c000 0000 0000 0000");
    put_be16(b, 2, port);
    put_be16(b, 4, size_of(b));
}

/* TCP from 10.0.0.1 to 10.0.0.2, eight bytes of data. */
static struct build inner_packet(void)
{
    struct build b = {.at = sizeof(b.bytes)};
    put(&b, "0123456789abcdef");
    put(&b, "9c400050 00000001 00000002 5018ffff 00000000");
    put(&b, "45000030 12340000 40060000 0a000001 0a000002");
    return b;
}

static const struct wrap {
    const char *name;  /* the decoder that ends up in the layer */
    const char *asked; /* by --mirror, when auto does not take it; else NULL */
    const char *hex;
    uint16_t port; /* 0: GRE */
    bool is_ip;    /* the inner packet has no Ethernet header */
    bool has_id;
    uint32_t id;
} wraps[] = {
    {"vxlan", NULL, "08000000 00109200", 4789, false, true, 4242},
    {"vxlan", NULL, "08000000 00109200", 8472, false, true, 4242},
    {"vxlan", NULL, "88000001 00109400", 4790, false, true, 4244},
    {"vxlan-gpe", NULL, "0c000003 00109500", 4790, false, true, 4245},
    {"vxlan-gpe", NULL, "0c000001 00109500", 4790, true, true, 4245},
    {"geneve", NULL, "00006558 00030900", 6081, false, true, 777},
    {"geneve", NULL, "03000800 00000000 01080102 0123456789abcdef", 6081, true, true, 0},
    {"gre", NULL, "00006558", 0, false, false, 0},
    {"gre", NULL, "b0006558 00000000 00000065 00000001", 0, false, true, 101},
    {"gre", NULL, "20000800 00000065", 0, true, true, 101},
    {"gre", NULL, "20006558 00000065", 4754, false, true, 101},
    {"nvgre", "nvgre", "20006558 00138942", 0, false, true, 5001},
    {"erspan1", NULL, "000088be", 0, false, false, 0},
    {"erspan2", NULL, "100088be 00000001 10000066 00000102", 0, false, true, 102},
    {"erspan3", NULL, "100022eb 00000001 20000067 026e8561 00000048", 0, false, true, 103},
    {"erspan3", NULL, "100022eb 00000001 20000067 026e8561 00008849 1c00000100000000", 0, true,
     true, 103},
    {"tzsp", NULL, "01000001 01", 37008, false, false, 0},
};
#define N_WRAPS (sizeof(wraps) / sizeof(wraps[0]))

static void wrap_in(struct build *b, const struct wrap *wrap, bool over_ipv6)
{
    if (!wrap->is_ip)
        put(b, ETHERNET);
    put(b, wrap->hex);
    if (wrap->port)
        put_udp(b, wrap->port);
    uint8_t proto = wrap->port ? 17 : 47;
    if (over_ipv6)
        put_ipv6(b, proto);
    else
        put_ipv4(b, proto);
}

/* From a block of its exact size, which the caller frees when done with `out`. */
static uint8_t *decode(struct stack *stack, const uint8_t *bytes, size_t size, size_t wire_size,
                       uint16_t link, struct packet *out)
{
    uint8_t *block = malloc(size ? size : 1);
    memcpy(block, bytes, size);
    struct frame frame = {
        .bytes = block, .size = (uint32_t)size, .wire_size = (uint32_t)wire_size, .link = link};
    stack_decode(stack, &frame, out);
    return block;
}

static struct stack *make_stack(struct pool *pool, const char *asked)
{
    struct stack_options options = {.auto_mirror = asked == NULL};
    while (asked && *asked) {
        size_t len = strcspn(asked, "+");
        options.mirror[options.n_mirror++] = tunnel_by_name(asked, len);
        asked += len + (asked[len] == '+');
    }
    struct stack *stack = stack_new(&options, pool);
    assert_non_null(stack);
    return stack;
}

static void check_inner(const struct packet *packet)
{
    assert_int_equal(packet->kind, PACKET_IP);
    assert_int_equal(packet->ip_proto, 6);
    assert_int_equal(packet->sport, 40000);
    assert_int_equal(packet->dport, 80);
    assert_int_equal(packet->payload_len, 28);
    assert_int_equal(packet->payload_size, 28);
    assert_int_equal(packet->src.b[15], 1);
    assert_int_equal(packet->dst.b[12], 10);
}

static void check_layer(const struct packet_layer *layer, const struct wrap *wrap, bool over_ipv6)
{
    assert_string_equal(layer->decoder->name, wrap->name);
    assert_int_equal(layer->has_id, wrap->has_id);
    assert_int_equal(layer->id, wrap->id);
    assert_int_equal(layer->dport, wrap->port);
    assert_int_equal(addr_is_v4(&layer->src), !over_ipv6);
    assert_int_equal(layer->src.b[15], 1);
    assert_int_equal(layer->dst.b[15], 2);
}

static void test_each(void **state)
{
    struct pool *pool = *state;
    for (size_t i = 0; i < N_WRAPS; i++) {
        /* As asked for, as found, and asked for by the name of what is found. */
        const char *const asked[] = {wraps[i].asked, wraps[i].name};
        for (size_t way = 0; way < 4; way++) {
            bool over_ipv6 = way & 1;
            struct stack *stack = make_stack(pool, asked[way / 2]);
            struct build b = inner_packet();
            wrap_in(&b, &wraps[i], over_ipv6);
            struct packet packet;
            uint8_t *block =
                decode(stack, b.bytes + b.at, size_of(&b), size_of(&b), LINK_RAW, &packet);
            if (packet.n_mirror != 1)
                fail_msg("wrap %zu, way %zu: %u layers", i, way, packet.n_mirror);
            check_inner(&packet);
            check_layer(&packet.layers[0], &wraps[i], over_ipv6);
            assert_int_equal(packet.frame_link, wraps[i].is_ip ? LINK_RAW : LINK_ETHERNET);
            assert_int_equal(packet.frame_size, wraps[i].is_ip ? 48 : 62);
            free(block);
            stack_free(stack);
        }
    }
}

static void test_two_deep(void **state)
{
    struct pool *pool = *state;
    for (size_t outer = 0; outer < N_WRAPS; outer++) {
        for (size_t inner = 0; inner < N_WRAPS; inner++) {
            if (wraps[outer].asked || wraps[inner].asked)
                continue;
            char asked[64];
            (void)snprintf(asked, sizeof asked, "%s+%s", wraps[outer].name, wraps[inner].name);
            struct stack *stack = make_stack(pool, asked);
            struct build b = inner_packet();
            wrap_in(&b, &wraps[inner], false);
            wrap_in(&b, &wraps[outer], false);
            put(&b, ETHERNET);
            struct packet packet;
            uint8_t *block =
                decode(stack, b.bytes + b.at, size_of(&b), size_of(&b), LINK_ETHERNET, &packet);
            if (packet.n_mirror != 2)
                fail_msg("%zu in %zu: %u layers", inner, outer, packet.n_mirror);
            check_inner(&packet);
            check_layer(&packet.layers[0], &wraps[outer], false);
            check_layer(&packet.layers[1], &wraps[inner], false);
            free(block);
            stack_free(stack);
        }
    }
}

/* Only as many layers as were named are the mirror's. */
static void test_what_is_named_is_peeled_and_no_more(void **state)
{
    struct pool *pool = *state;
    struct stack *stack = make_stack(pool, "vxlan");
    struct build b = inner_packet();
    wrap_in(&b, &wraps[7], false); /* GRE of the monitored traffic */
    wrap_in(&b, &wraps[0], false);
    struct packet packet;
    uint8_t *block = decode(stack, b.bytes + b.at, size_of(&b), size_of(&b), LINK_RAW, &packet);
    check_inner(&packet);
    assert_int_equal(packet.n_mirror, 1);
    assert_int_equal(packet.n_layers, 2);
    assert_ptr_equal(packet.layers[1].decoder, &tunnel_gre);
    free(block);

    b = inner_packet();
    wrap_in(&b, &wraps[5], false); /* GENEVE, which was not named */
    block = decode(stack, b.bytes + b.at, size_of(&b), size_of(&b), LINK_RAW, &packet);
    assert_int_equal(packet.kind, PACKET_OTHER);
    assert_int_equal(stack_counters(stack)->n_not_mirror, 1);
    free(block);
    stack_free(stack);
}

/* Cut by the capture, and cut with the capture not knowing of it (Open vSwitch's snaplen). */
static void test_every_cut(void **state)
{
    struct pool *pool = *state;
    for (size_t i = 0; i < N_WRAPS; i++) {
        struct stack *stack = make_stack(pool, wraps[i].asked);
        struct build b = inner_packet();
        wrap_in(&b, &wraps[i], false);
        size_t whole = size_of(&b);
        for (size_t size = 0; size < whole; size++) {
            for (int known = 0; known < 2; known++) {
                struct packet packet;
                uint8_t *block =
                    decode(stack, b.bytes + b.at, size, known ? whole : size, LINK_RAW, &packet);
                if (size >= whole - 8) {
                    assert_int_equal(packet.kind, PACKET_IP);
                    assert_int_equal(packet.n_mirror, 1);
                    assert_int_equal(packet.payload_len, 28);
                    assert_int_equal(packet.payload_size, 28 - (whole - size));
                } else {
                    assert_true(packet.kind != PACKET_IP || packet.n_mirror == 0);
                }
                free(block);
            }
        }
        stack_free(stack);
    }
}

static void test_outer_fragments(void **state)
{
    struct pool *pool = *state;
    for (size_t i = 0; i < N_WRAPS; i++) {
        struct stack *stack = make_stack(pool, wraps[i].asked);
        struct build b = inner_packet();
        wrap_in(&b, &wraps[i], false);
        const uint8_t *whole = b.bytes + b.at;
        const size_t first = 20 + 32, size = size_of(&b);
        uint8_t one[20 + 32], two[2048];
        memcpy(one, whole, first);
        one[2] = 0;
        one[3] = (uint8_t)first;
        one[6] = 0x20;
        memcpy(two, whole, 20);
        memcpy(two + 20, whole + first, size - first);
        two[2] = 0;
        two[3] = (uint8_t)(size - 32);
        two[7] = 32 / 8;
        struct packet packet;
        uint8_t *block = decode(stack, two, size - 32, size - 32, LINK_RAW, &packet);
        assert_int_equal(packet.kind, PACKET_FRAGMENT);
        free(block);
        block = decode(stack, one, first, first, LINK_RAW, &packet);
        check_inner(&packet);
        check_layer(&packet.layers[0], &wraps[i], false);
        free(block);
        stack_release(stack);
        stack_free(stack);
    }
}

struct capture_facts {
    const char *file;
    const char *named; /* what --mirror has to say; NULL: auto */
    const char *decoder;
    unsigned int n_frames, n_packets, n_web; /* all; IP packets through one mirror layer; of these,
                                                TCP port 8080, as tshark counts them */
    bool has_id;
    uint32_t id;
};

static const struct capture_facts facts[] = {
    {"erspan-v1-snap64.pcap", "erspan2", "erspan2", 16, 0, 0, true, 104},
    {"erspan-v1-typeII.pcap", "erspan2", "erspan2", 14, 14, 10, true, 102},
    {"erspan-v2-typeIII.pcap", "erspan3", "erspan3", 14, 14, 10, true, 103},
    {"geneve.pcap", "geneve", "geneve", 13, 13, 10, true, 777},
    {"gre-csum.pcap", "gre", "gre", 14, 14, 10, true, 7},
    {"gre-nokey.pcap", "gre", "gre", 14, 14, 10, false, 0},
    {"gre-seq.pcap", "gre", "gre", 14, 14, 10, true, 8},
    {"gre-teb.pcap", "gre", "gre", 14, 14, 10, true, 101},
    {"linux-u32-vxlan-outer-fragments.pcap", "vxlan", "vxlan", 20, 16, 12, true, 4242},
    {"linux-vxlan-inner-vlan-qinq.pcap", "vxlan", "vxlan", 2, 2, 0, true, 59},
    {"vxlan-csum.pcap", "vxlan", "vxlan", 14, 14, 10, true, 4243},
    {"vxlan-gbp.pcap", "vxlan-gpe", "vxlan", 14, 14, 10, true, 4244},
    {"vxlan-gpe.pcap", "vxlan-gpe", "vxlan-gpe", 14, 14, 10, true, 4245},
    {"vxlan-select-all.pcap", "vxlan", "vxlan", 14, 14, 10, true, 4247},
    {"vxlan-snap128.pcap", "vxlan", "vxlan", 16, 16, 10, true, 4246},
    {"vxlan.pcap", "vxlan", "vxlan", 14, 14, 10, true, 4242},
};

static void check_capture(struct pool *pool, const char *folder, const struct capture_facts *row,
                          bool is_named)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/../data/tunnels/%s", folder, row->file);
    const char *name = path;
    struct capture *capture;
    struct err err;
    if (capture_open(&name, 1, 1, &capture, &err) != 0)
        fail_msg("%s", err.text);
    struct capture_cursor *cursor = capture_cursor(capture, 0);
    struct stack *stack = make_stack(pool, is_named ? row->named : NULL);
    struct frame frames[CAPTURE_BURST];
    unsigned int n_packets = 0, n_web = 0;
    int n;
    while ((n = capture_next(cursor, frames)) > 0) {
        for (int i = 0; i < n; i++) {
            struct packet packet;
            stack_decode(stack, &frames[i], &packet);
            if (packet.kind == PACKET_FRAGMENT)
                continue;
            if (packet.n_mirror != 1)
                fail_msg("%s: %u layers", row->file, packet.n_mirror);
            assert_string_equal(packet.layers[0].decoder->name, row->decoder);
            assert_int_equal(packet.layers[0].has_id, row->has_id);
            assert_int_equal(packet.layers[0].id, row->id);
            if (packet.kind != PACKET_IP)
                continue;
            n_packets++;
            n_web += packet.ip_proto == 6 && (packet.sport == 8080 || packet.dport == 8080);
        }
        stack_release(stack);
    }
    assert_int_equal(stack_counters(stack)->n_frames, row->n_frames);
    if (n_packets != row->n_packets || n_web != row->n_web)
        fail_msg("%s: %u packets, %u of them web", row->file, n_packets, n_web);
    stack_free(stack);
    capture_close(capture);
}

static void test_captures_of_real_mirrors(void **state)
{
    const char *folder = getenv("CLOUDSPAN_CONFORMANCE");
    char captures[4096] = "";
    if (folder)
        snprintf(captures, sizeof(captures), "%s/../data/tunnels", folder);
    if (access(captures, R_OK) != 0) {
        print_message("skipped: CLOUDSPAN_CONFORMANCE has no ../data/tunnels\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        check_capture(*state, folder, &facts[i], true);
        check_capture(*state, folder, &facts[i], false);
    }
}

static int set_up(void **state)
{
    *state = pool_new((size_t)64 << 20);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    pool_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_two_deep),
        cmocka_unit_test(test_what_is_named_is_peeled_and_no_more),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_outer_fragments),
        cmocka_unit_test(test_captures_of_real_mirrors),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
