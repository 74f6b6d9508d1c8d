/* Direction, frame type, the subheader. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "from Open vSwitch: session 103, hardware 4, egress",
     .hex = "20000067 026e8561 00000048 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 103,
     .direction = 2,
     .left = 2},
    {.what = "ingress",
     .hex = "20000067 026e8561 00000040 | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 103,
     .direction = 1,
     .left = 1},
    {.what = "platform subheader",
     .hex = "20000067 026e8561 00000041 | 1c00000100000000 | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 103,
     .direction = 1,
     .left = 1},
    {.what = "frame type 2: bare IP",
     .hex = "20000067 026e8561 00008800 | 45",
     .next = TUNNEL_IP,
     .has_id = true,
     .id = 103,
     .direction = 1,
     .left = 1},
    {.what = "frame type 3", .hex = "20000067 026e8561 00008c00 | 45", .next = TUNNEL_NOT_MINE},
    {.what = "cut by the mirror, session 1023",
     .hex = "2fffffff 026e8561 ffff03fe | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 1023,
     .truncated = true,
     .direction = 2,
     .left = 1},
    {.what = "version 1", .hex = "10000067 026e8561 00000048 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "cut in the header", .hex = "20000067 026e8561 0000", .next = TUNNEL_NOT_MINE},
    {.what = "cut in the subheader",
     .hex = "20000067 026e8561 00000041 | 1c000001",
     .next = TUNNEL_NOT_MINE},
    {.what = "nothing inside",
     .hex = "20000067 026e8561 00000048",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 103,
     .direction = 2},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_erspan3, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
