/* No header at all. */
#include "tunnel/decoding.h"

static const struct decoding rows[] = {
    {.what = "a frame", .hex = "0a0b0c", .next = TUNNEL_ETHERNET, .left = 3},
    {.what = "none", .hex = "", .next = TUNNEL_CONTROL},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_erspan1, rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
