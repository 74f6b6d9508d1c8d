/* The headers before IPv6, bubbles, lengths that do not fit, and what may be guessed. */
#include "tunnel/decoding.h"

#include <stdlib.h>

#define SERVER "20010000 41379e50 8000f12a b9c82815"
#define OTHER  "20014860 00002001 00000000 00000068"

#define BUBBLE(src, dst) "60000000 00003b80" src dst
#define PACKET           "60000000 00041180" SERVER OTHER "01020304"

#define ORIGIN "0000 f12a b9c82815"
#define AUTH   "0001 0000 0102030405060708 00"
#define AUTH2  "0001 0203 6162 636465 0102030405060708 00"

static const struct decoding rows[] = {
    {.what = "a packet", .hex = PACKET, .next = TUNNEL_IP, .left = 44},
    {.what = "a bubble", .hex = BUBBLE(SERVER, OTHER), .next = TUNNEL_IP, .left = 40},
    {.what = "origin indication", .hex = ORIGIN "|" PACKET, .next = TUNNEL_IP, .left = 44},
    {.what = "authentication", .hex = AUTH "|" PACKET, .next = TUNNEL_IP, .left = 44},
    {.what = "authentication with client and value, then origin",
     .hex = AUTH2 "|" ORIGIN "|" PACKET,
     .next = TUNNEL_IP,
     .left = 44},
    {.what = "bubble with payload",
     .hex = BUBBLE(SERVER, OTHER) "0102",
     .next = TUNNEL_IP,
     .weird = "Teredo_bubble_with_payload",
     .left = 42},
    {.what = "packet with more", .hex = PACKET "00", .next = TUNNEL_NOT_MINE},
    {.what = "packet with less",
     .hex = "60000000 00051180" SERVER OTHER "01020304",
     .next = TUNNEL_NOT_MINE},
    {.what = "origin twice", .hex = ORIGIN ORIGIN PACKET, .next = TUNNEL_NOT_MINE},
    {.what = "authentication after origin", .hex = ORIGIN AUTH PACKET, .next = TUNNEL_NOT_MINE},
    {.what = "not IPv6", .hex = "45000014 00000000", .next = TUNNEL_NOT_MINE},
    {.what = "origin cut",
     .hex = "0000 f12a",
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_Teredo_origin_indication"},
    {.what = "authentication cut",
     .hex = "0001 ffff 00",
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_Teredo_authentication"},
    {.what = "nothing after authentication",
     .hex = AUTH,
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_Teredo"},
    {.what = "IPv6 cut",
     .hex = "60000000 0000",
     .next = TUNNEL_NOT_MINE,
     .weird = "truncated_IPv6_in_Teredo"},
};

static void test_rows(void **state)
{
    (void)state;
    DECODING_CHECK(&tunnel_teredo, rows);
}

static const struct {
    const char *hex;
    bool found;
} guesses[] = {
    {BUBBLE(SERVER, OTHER), true},
    {BUBBLE(OTHER, SERVER), true},
    {BUBBLE(SERVER, OTHER) "0a0a", true},
    {BUBBLE(OTHER, OTHER), false},
    {ORIGIN BUBBLE(OTHER, OTHER), true},
    {AUTH2 ORIGIN BUBBLE(OTHER, OTHER), true},
    {AUTH BUBBLE(OTHER, OTHER), false}, /* only an origin indication may follow */
    {"6000000a 00003b80" SERVER OTHER, false},
    {"45000000 00003b80" SERVER OTHER, false},
    {ORIGIN "45000000 00003b80" SERVER OTHER, false},
    {ORIGIN "60000000", false},
    {"0001 ffff" SERVER OTHER SERVER, false},
    {"60", false},
    {"", false},
};

static void test_guesses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
        size_t size;
        uint8_t *bytes = decoding_bytes(guesses[i].hex, &size);
        if (tunnel_teredo.detect(rd_make(bytes, size)) != guesses[i].found)
            fail_msg("row %zu", i);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_guesses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
