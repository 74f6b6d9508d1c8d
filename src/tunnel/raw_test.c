/* A frame or a packet, told apart by their first bytes. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "a frame",
     .hex = "020000000001 020000000002 0800 4500",
     .next = TUNNEL_ETHERNET,
     .left = 16},
    {.what = "IPv4",
     .hex = "4500001c 00010000 40010000 0a000001 0a000002 08000000 00000000",
     .next = TUNNEL_IP,
     .left = 28},
    {.what = "IPv6",
     .hex = "60000000 00003b40 fd000000 00000000 00000000 00000001 fd000000 00000000 00000000 "
            "00000002",
     .next = TUNNEL_IP,
     .left = 40},
    {.what = "a frame to 45:00:…",
     .hex = "45000000ffff 020000000002 0800 4500 00",
     .next = TUNNEL_ETHERNET,
     .left = 17},
    {.what = "too short", .hex = "0200000000010200", .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_raw, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
