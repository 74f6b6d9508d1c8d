/* Frames as Linux, Open vSwitch and AWS send them, and what is not VXLAN. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "as in the RFC, VNI 4242",
     .hex = "08000000 00109200 | 000102",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 4242,
     .left = 3},
    {.what = "group policy bits and id",
     .hex = "88480064 00109400 | aa",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 4244,
     .left = 1},
    {.what = "all reserved bits set",
     .hex = "ffffffff ffffffff | aa",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 0xffffff,
     .left = 1},
    {.what = "nothing inside",
     .hex = "08000000 00000100",
     .next = TUNNEL_CONTROL,
     .confirmed = true,
     .weird = "vxlan_empty_packet",
     .has_id = true,
     .id = 1},
    {.what = "no I bit", .hex = "00000000 00109200 | 000102", .next = TUNNEL_NOT_MINE},
    {.what = "cut in the header", .hex = "08000000 001092", .next = TUNNEL_NOT_MINE},
    {.what = "no bytes", .hex = "", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_vxlan, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
