/* Tags, types, and the headers of wireless captures. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "as MikroTik sends it",
     .hex = "01000001 | 01 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .left = 2},
    {.what = "padding and tags: signal, count 5, frame of 2 bytes",
     .hex = "01000001 | 00 00 0a01c4 2804 00000005 2902 0002 01 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_seq = true,
     .seq = 5,
     .left = 2},
    {.what = "the frame was longer",
     .hex = "01010001 | 2902 05dc 01 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .truncated = true,
     .left = 2},
    {.what = "802.11",
     .hex = "01000012 | 01 | 8800",
     .next = TUNNEL_LINK,
     .link = LINK_IEEE802_11,
     .left = 2},
    {.what = "AVS",
     .hex = "0100007f | 01 | 80211001 0000000c 00000000 | 8800",
     .next = TUNNEL_LINK,
     .link = LINK_IEEE802_11,
     .left = 2},
    {.what = "AVS of an impossible size",
     .hex = "0100007f | 01 | 80211001 00000004 | 8800",
     .next = TUNNEL_NOT_MINE},
    {.what = "AVS larger than all there is",
     .hex = "0100007f | 01 | 80211001 ffffffff | 8800",
     .next = TUNNEL_NOT_MINE},
    {.what = "Prism, cut", .hex = "01000077 | 01 | 00000044 00000090", .next = TUNNEL_NOT_MINE},
    {.what = "keep-alive", .hex = "01040000 | 01", .next = TUNNEL_CONTROL},
    {.what = "port opener", .hex = "01050000", .next = TUNNEL_CONTROL},
    {.what = "nothing inside", .hex = "01000001 | 01", .next = TUNNEL_CONTROL},
    {.what = "tags without an end", .hex = "01000001 | 0a01c4", .next = TUNNEL_NOT_MINE},
    {.what = "a tag longer than all there is", .hex = "01000001 | 0aff01", .next = TUNNEL_NOT_MINE},
    {.what = "unknown protocol", .hex = "01000055 | 01 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "unknown type", .hex = "01060001 | 01 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "version 2", .hex = "02000001 | 01 | 0a", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_tzsp, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
