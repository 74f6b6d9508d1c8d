/* Session, T bit, version. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "from Open vSwitch: session 102, index 258",
     .hex = "10000066 00000102 | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 102,
     .left = 1},
    {.what = "highest session, VLAN 4095, COS 7, tag kept, cut",
     .hex = "1fffffff 000fffff | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 1023,
     .truncated = true,
     .left = 1},
    {.what = "all but T",
     .hex = "1ffffbff 000fffff | 0a",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 1023,
     .left = 1},
    {.what = "nothing inside",
     .hex = "10000066 00000102",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 102},
    {.what = "version 2", .hex = "20000066 00000102 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "cut", .hex = "10000066 000001", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_erspan2, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
