/* Version against protocol, and the inner length. */
#include "tunnel/decoding.h"

/* Headers alone, with the given length field. */
#define V4(size) "4500" #size "00000000 40110000 0a000001 0a000002"
#define V6(size)                                                                                   \
    "60000000" #size "3b40 20010db8000000000000000000000001 20010db8000000000000000000000002"

static const struct decoding rows[] = {
    {.what = "IPv4 in IP", .hex = V4(0014), .ip_proto = 4, .next = TUNNEL_IP, .left = 20},
    {.what = "IPv6 in IP", .hex = V6(0000), .ip_proto = 41, .next = TUNNEL_IP, .left = 40},
    {.what = "IPv6 as protocol 4",
     .hex = V6(0000),
     .ip_proto = 4,
     .next = TUNNEL_NOT_MINE,
     .weird = "invalid_inner_IP_version"},
    {.what = "IPv4 as protocol 41",
     .hex = V4(0014) V4(0014),
     .ip_proto = 41,
     .next = TUNNEL_NOT_MINE,
     .weird = "invalid_inner_IP_version"},
    {.what = "version 5",
     .hex = "55" V6(0000),
     .ip_proto = 41,
     .next = TUNNEL_NOT_MINE,
     .weird = "invalid_inner_IP_version"},
    {.what = "longer than it says", .hex = V4(0014) "00", .ip_proto = 4, .next = TUNNEL_NOT_MINE},
    {.what = "shorter than it says", .hex = V4(0015), .ip_proto = 4, .next = TUNNEL_NOT_MINE},
    {.what = "IPv6 cut", .hex = "6000", .ip_proto = 41, .next = TUNNEL_NOT_MINE},
    {.what = "IPv4 cut",
     .hex = "4500",
     .ip_proto = 4,
     .next = TUNNEL_NOT_MINE,
     .weird = "invalid_inner_IP_version"},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_ipip, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
