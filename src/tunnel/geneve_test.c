/* Options that add up and that do not, what the protocol says, and the accessors of the clouds. */
#include "tunnel/decoding.h"
#include "tunnel/geneve.h"

#include <stdlib.h>

static const struct decoding rows[] = {
    {.what = "Ethernet, VNI 777",
     .hex = "00006558 00030900 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 777,
     .left = 2},
    {.what = "bare IPv4",
     .hex = "00000800 00000000 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .left = 1},
    {.what = "bare IPv6",
     .hex = "000086dd 00000000 | 60",
     .next = TUNNEL_IP,
     .has_id = true,
     .left = 1},
    {.what = "MPLS",
     .hex = "00008847 00000000 | 00",
     .next = TUNNEL_ETHERTYPE,
     .ethertype = 0x8847,
     .has_id = true,
     .left = 1},
    {.what = "critical bit, an option nobody knows",
     .hex = "02406558 00000100 | ffff8101 01020304 | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 1,
     .left = 1},
    {.what = "options that are longer than their room",
     .hex = "01006558 00000100 | ffff0105 | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 1,
     .left = 1},
    {.what = "Google, egress",
     .hex = "02000800 00000000 | 01320101 00012341 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .direction = 2,
     .left = 1},
    {.what = "Google, ingress",
     .hex = "02000800 00000000 | 01320101 00012340 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .direction = 1,
     .left = 1},
    {.what = "control",
     .hex = "00806558 00030900 | 0a0b",
     .next = TUNNEL_CONTROL,
     .confirmed = true,
     .has_id = true,
     .id = 777},
    {.what = "nothing inside",
     .hex = "00006558 00030900",
     .next = TUNNEL_CONTROL,
     .confirmed = true,
     .weird = "geneve_empty_packet",
     .has_id = true,
     .id = 777},
    {.what = "version 1",
     .hex = "40006558 00030900 | 0a0b",
     .next = TUNNEL_NOT_MINE,
     .weird = "geneve_invalid_version"},
    {.what = "options cut",
     .hex = "3f006558 00030900 | 01320101 00012341",
     .next = TUNNEL_NOT_MINE},
    {.what = "cut", .hex = "00006558 000309", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_geneve, rows);
}

/* The caller frees what comes back, when it has looked at the options. */
static uint8_t *decode_options(const char *hex, struct packet_layer *layer)
{
    size_t size;
    uint8_t *bytes = decoding_bytes(hex, &size);
    struct reader r = rd_make(bytes, size);
    *layer = (struct packet_layer){0};
    assert_int_not_equal(tunnel_geneve.decode(&r, layer).next, TUNNEL_NOT_MINE);
    return bytes;
}

static void test_options_of_aws(void **state)
{
    (void)state;
    struct packet_layer layer;
    uint8_t *bytes = decode_options("08000800 00000000"
                                    "01080102 0123456789abcdef"
                                    "01088202 1122334455667788"
                                    "01080301 cafef00d | 4500",
                                    &layer);
    assert_int_equal(layer.options_size, 32);
    uint64_t eni, attachment;
    uint32_t cookie;
    assert_true(geneve_aws_eni(&layer, &eni));
    assert_true(eni == 0x0123456789abcdef);
    assert_true(geneve_aws_attachment(&layer, &attachment));
    assert_true(attachment == 0x1122334455667788);
    assert_true(geneve_aws_cookie(&layer, &cookie));
    assert_int_equal(cookie, 0xcafef00d);
    bool egress;
    assert_false(geneve_google_network(&layer, &cookie, &egress));
    assert_int_equal(layer.direction, 0);
    free(bytes);
}

static void test_options_of_google_in_any_order(void **state)
{
    (void)state;
    struct packet_layer layer;
    uint8_t *bytes = decode_options("08000800 00000000"
                                    "01320302 00000000000000ff"
                                    "01320202 0a0b0c0d0e0f1011"
                                    "01320101 0abcdef1 | 4500",
                                    &layer);
    uint32_t network;
    uint64_t profile;
    bool egress;
    assert_true(geneve_google_network(&layer, &network, &egress));
    assert_int_equal(network, 0x0abcdef);
    assert_true(egress);
    assert_true(geneve_google_profile(&layer, &profile));
    assert_true(profile == 0xff);
    struct reader endpoint = geneve_option(&layer, GENEVE_CLASS_GOOGLE, GENEVE_GOOGLE_ENDPOINT);
    assert_int_equal(rd_left(&endpoint), 8);
    free(bytes);
}

static void test_options_of_another_size(void **state)
{
    (void)state;
    struct packet_layer layer;
    uint8_t *bytes = decode_options("03000800 00000000 01080101 01234567 01080300 | 4500", &layer);
    uint64_t eni;
    uint32_t cookie;
    assert_int_equal(layer.options_size, 12);
    assert_false(geneve_aws_eni(&layer, &eni));
    assert_false(geneve_aws_cookie(&layer, &cookie));
    free(bytes);
}

static void test_options_that_do_not_add_up_are_not_shown(void **state)
{
    (void)state;
    struct packet_layer layer;
    uint8_t *bytes = decode_options("02000800 00000000 01080102 01234567 | 4500", &layer);
    assert_null(layer.options);
    struct reader data = geneve_option(&layer, GENEVE_CLASS_AWS, GENEVE_AWS_ENDPOINT);
    assert_false(rd_ok(&data));
    assert_int_equal(rd_left(&data), 0);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_options_of_aws),
        cmocka_unit_test(test_options_of_google_in_any_order),
        cmocka_unit_test(test_options_of_another_size),
        cmocka_unit_test(test_options_that_do_not_add_up_are_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
