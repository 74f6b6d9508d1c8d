/* The key's upper 24 bits are the subnet. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "subnet 5001, flow 0x42",
     .hex = "20006558 00138942 | 0a0b",
     .next = TUNNEL_ETHERNET,
     .has_id = true,
     .id = 5001,
     .left = 2},
    {.what = "no key", .hex = "00006558 | 0a0b", .next = TUNNEL_NOT_MINE},
    {.what = "not Ethernet", .hex = "20000800 00138942 | 45", .next = TUNNEL_NOT_MINE},
    {.what = "version 1", .hex = "20016558 00138942 | 45", .next = TUNNEL_NOT_MINE},
    {.what = "nothing inside",
     .hex = "20006558 00138942",
     .next = TUNNEL_CONTROL,
     .has_id = true,
     .id = 5001},
    {.what = "cut in the key", .hex = "20006558 001389", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_nvgre, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
