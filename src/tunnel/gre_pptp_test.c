/* The PPP header may be compressed in two ways. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "all of it",
     .hex = "3001880b 00180005 00000007 | ff030021 | 4500",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 5,
     .has_seq = true,
     .seq = 7,
     .left = 2},
    {.what = "with an acknowledgement",
     .hex = "3081880b 00180005 00000007 00000002 | ff030021 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 5,
     .has_seq = true,
     .seq = 7,
     .left = 1},
    {.what = "no address and control, short protocol, IPv6",
     .hex = "3001880b 00180005 00000007 | 57 | 60",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 5,
     .has_seq = true,
     .seq = 7,
     .left = 1},
    {.what = "no address and control, long protocol",
     .hex = "3001880b 00180005 00000007 | 0021 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 5,
     .has_seq = true,
     .seq = 7,
     .left = 1},
    {.what = "link control",
     .hex = "3001880b 00180005 00000007 | ff03c021 | 0101",
     .next = TUNNEL_CONTROL,
     .weird = "non_ip_packet_in_encap",
     .has_id = true,
     .id = 5,
     .has_seq = true,
     .seq = 7},
    {.what = "acknowledgement only",
     .hex = "2081880b 00000005 00000002",
     .next = TUNNEL_CONTROL,
     .weird = "truncated_GRE",
     .has_id = true,
     .id = 5},
    {.what = "not PPP",
     .hex = "30010800 00180005 00000007 | 45",
     .next = TUNNEL_NOT_MINE,
     .weird = "egre_protocol_type"},
    {.what = "version 0", .hex = "3000880b 00180005 00000007 | ff030021", .next = TUNNEL_NOT_MINE},
    {.what = "cut in the sequence number",
     .hex = "3001880b 00180005 0000",
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_GRE"},
    {.what = "cut in the PPP protocol",
     .hex = "3001880b 00180005 00000007 | ff0300",
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_GRE"},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_gre_pptp, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
