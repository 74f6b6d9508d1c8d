/* Flags, extension headers, other messages, and inner lengths that do not fit. */
#include "tunnel/decoding.h"

#define V4 "45000014 00000000 40110000 0a000001 0a000002"
#define V6 "60000000 00003b40 20010db8000000000000000000000001 20010db8000000000000000000000002"

static const struct decoding rows[] = {
    {.what = "eight bytes, IPv4",
     .hex = "30ff0014 00001234 |" V4,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .left = 20},
    {.what = "IPv6",
     .hex = "30ff0028 00001234 |" V6,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .left = 40},
    {.what = "sequence number",
     .hex = "32ff0018 00001234 00070000 |" V4,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .has_seq = true,
     .seq = 7,
     .left = 20},
    {.what = "N-PDU number only",
     .hex = "31ff0018 00001234 00000900 |" V4,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .left = 20},
    {.what = "two extension headers",
     .hex = "36ff0024 00001234 00070085 | 01100085 | 02010203 04050600 |" V4,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .has_seq = true,
     .seq = 7,
     .left = 20},
    {.what = "E without an extension header",
     .hex = "34ff0018 00001234 00000000 |" V4,
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 0x1234,
     .left = 20},
    {.what = "echo request",
     .hex = "32010004 00000000 00010000",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .has_seq = true,
     .seq = 1},
    {.what = "GTP'",
     .hex = "20ff0014 00001234 |" V4,
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 0x1234},
    {.what = "extension header of size 0",
     .hex = "34ff001c 00001234 00000085 | 00100000 |" V4,
     .next = TUNNEL_NOT_MINE},
    {.what = "extension header too long",
     .hex = "34ff001c 00001234 00000085 | ff100000 |" V4,
     .next = TUNNEL_NOT_MINE},
    {.what = "version 2", .hex = "50ff0014 00001234 |" V4, .next = TUNNEL_NOT_MINE},
    {.what = "inner packet with more",
     .hex = "30ff0015 00001234 |" V4 "00",
     .next = TUNNEL_NOT_MINE},
    {.what = "not IP", .hex = "30ff0014 00001234 | 01" V4, .next = TUNNEL_NOT_MINE},
    {.what = "cut", .hex = "30ff0014 000012", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_gtpu, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
