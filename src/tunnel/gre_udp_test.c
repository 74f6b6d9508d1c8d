/* All is left to GRE. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "key, Ethernet",
     .hex = "20006558 00000065 | 0a",
     .next = TUNNEL_DECODER,
     .decoder = &tunnel_gre,
     .left = 9},
    {.what = "version 1", .hex = "3001880b 00040001 00000001", .next = TUNNEL_NOT_MINE},
    {.what = "a reserved flag", .hex = "00406558 | 0a", .next = TUNNEL_NOT_MINE},
    {.what = "cut", .hex = "000008", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_gre_udp, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
