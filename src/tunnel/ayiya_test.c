/* Sizes of identity and signature, operations, next headers. */
#include "tunnel/decoding.h"

#include <stdlib.h>

#define IDENTITY  "20010db8000000000000000000000001"
#define SIGNATURE "000102030405060708090a0b0c0d0e0f10111213"
#define TIME      "4afa0000"

static const struct decoding rows[] = {
    {.what = "as SixXS sent it",
     .hex = "41521129" TIME IDENTITY SIGNATURE "| 60",
     .next = TUNNEL_IP,
     .left = 1},
    {.what = "IPv4",
     .hex = "41521104" TIME IDENTITY SIGNATURE "| 45",
     .next = TUNNEL_IP,
     .left = 1},
    {.what = "identity of one byte, no signature",
     .hex = "00001129" TIME "01 | 60",
     .next = TUNNEL_IP,
     .left = 1},
    {.what = "heartbeat", .hex = "4152103b" TIME IDENTITY SIGNATURE, .next = TUNNEL_CONTROL},
    {.what = "forwards nothing",
     .hex = "41521129" TIME IDENTITY SIGNATURE,
     .next = TUNNEL_CONTROL,
     .confirmed = true,
     .weird = "ayiya_empty_packet"},
    {.what = "forwards something else",
     .hex = "41521106" TIME IDENTITY SIGNATURE "| 00",
     .next = TUNNEL_CONTROL,
     .confirmed = true},
    {.what = "largest identity",
     .hex = "f1521129" TIME IDENTITY SIGNATURE "| 60",
     .next = TUNNEL_NOT_MINE},
    {.what = "cut", .hex = "41521129" TIME IDENTITY, .next = TUNNEL_NOT_MINE},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_ayiya, rows);
}

static bool guess(const char *hex)
{
    size_t size;
    uint8_t *bytes = decoding_bytes(hex, &size);
    bool found = tunnel_ayiya.detect(rd_make(bytes, size));
    free(bytes);
    return found;
}

static void test_guesses(void **state)
{
    (void)state;
    assert_true(guess("415211"));
    assert_true(guess("41521129" TIME));
    assert_false(guess("4152"));
    assert_false(guess("41521029" TIME));
    assert_false(guess(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_guesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
