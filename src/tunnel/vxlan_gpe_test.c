/* The P bit decides whether this is GPE at all. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "from Open vSwitch: I and P, Ethernet",
     .hex = "0c000003 00109500 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 4245,
     .left = 2},
    {.what = "IPv4",
     .hex = "0c000001 00000700 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 7,
     .left = 1},
    {.what = "IPv6",
     .hex = "0c000002 00000700 | 60",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 7,
     .left = 1},
    {.what = "MPLS",
     .hex = "0c000005 00000700 | 00",
     .next = TUNNEL_ETHERTYPE,
     .ethertype = 0x8847,
     .has_id = true,
     .id = 7,
     .left = 1},
    {.what = "no P: plain VXLAN, the header is still there",
     .hex = "08000000 00109400 | 0a0b",
     .next = TUNNEL_DECODER,
     .decoder = &tunnel_vxlan,
     .left = 10},
    {.what = "no I: no VNI",
     .hex = "04000003 00109500 | 0a",
     .next = TUNNEL_ETHERNET,
     .id = 4245,
     .left = 1},
    {.what = "operations and maintenance",
     .hex = "0d000003 00109500 | 0a",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 4245},
    {.what = "service header of type 1, then Ethernet",
     .hex = "0c000004 00000900 | 00060103 00000101 00000000 00000000 00000000 00000000 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 9,
     .left = 2},
    {.what = "service header of type 2, no metadata, then IPv4",
     .hex = "0c000004 00000900 | 0fc20201 000001ff | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 9,
     .left = 1},
    {.what = "service header with the O bit",
     .hex = "0c000004 00000900 | 20020201 000001ff | 45",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 9},
    {.what = "service header of one word",
     .hex = "0c000004 00000900 | 00010201 000001ff | 45",
     .next = TUNNEL_NOT_MINE},
    {.what = "service header longer than all there is",
     .hex = "0c000004 00000900 | 003f0201 000001ff | 45",
     .next = TUNNEL_NOT_MINE},
    {.what = "unknown version", .hex = "1c000003 00109500 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "unknown next protocol", .hex = "0c0000fe 00109500 | 0a", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_vxlan_gpe, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
