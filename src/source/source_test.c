/* The table of channels: that nobody who sends can make its search long. */
#include "source/source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tunnel/tunnel.h"

#define N_CHANNELS 4000

static struct packet mirrored(uint8_t sender, uint32_t id)
{
    return (struct packet){
        .kind = PACKET_IP,
        .n_layers = 1,
        .n_mirror = 1,
        .layers = {{.decoder = &tunnel_vxlan,
                    .src = addr_v4((const uint8_t[]){192, 0, 2, sender}),
                    .has_id = true,
                    .id = id}},
    };
}

/* Where the channel would be for who knows of no secret. */
static uint64_t place_without_secret(const struct packet *packet)
{
    uint64_t low, high;
    memcpy(&low, packet->layers[0].src.b, 8);
    memcpy(&high, packet->layers[0].src.b + 8, 8);
    return ((low ^ high * 0x9e3779b97f4a7c15ull ^ packet->layers[0].id) * 0xff51afd7ed558ccdull) >>
               40 &
           32767;
}

static void test_chosen(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(NULL);
    assert_non_null(table);
    size_t n = 0;
    for (uint8_t sender = 1; n < N_CHANNELS; sender++)
        for (uint32_t id = 0; id < 1u << 20 && n < N_CHANNELS; id++) {
            struct packet packet = mirrored(sender, id);
            if (place_without_secret(&packet) < 16)
                assert_int_equal(source_of(table, &packet), ++n);
        }
    assert_int_equal(source_count(table), N_CHANNELS);
    assert_in_range(source_longest_search(table), 1, 100);
    source_table_free(table);
}

static void test_all(void **state)
{
    (void)state;
    struct source_table *table = source_table_new(NULL);
    assert_non_null(table);
    for (int round = 0; round < 2; round++)
        for (uint32_t id = 0; id < 16384; id++) {
            struct packet packet = mirrored(1, id);
            assert_int_equal(source_of(table, &packet), id + 1);
        }
    struct packet other = mirrored(2, 0);
    assert_int_equal(source_of(table, &other), 0);
    assert_int_equal(source_refused(table), 1);
    assert_in_range(source_longest_search(table), 1, 1000);
    source_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chosen),
        cmocka_unit_test(test_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
