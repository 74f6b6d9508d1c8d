/* The table of decoders: names unique and found, ports and protocols not claimed twice. */
#include "tunnel/decoding.h"

#include <string.h>

static void test_names(void **state)
{
    (void)state;
    size_t n = 0;
    for (; tunnel_decoders[n]; n++) {
        const struct tunnel_decoder *decoder = tunnel_decoders[n];
        assert_non_null(decoder->name);
        assert_non_null(decoder->title);
        assert_non_null(decoder->decode);
        assert_ptr_equal(tunnel_by_name(decoder->name, strlen(decoder->name)), decoder);
    }
    assert_int_equal(n, 16);
    assert_ptr_equal(tunnel_by_name("VXLAN_GPE", 9), &tunnel_vxlan_gpe);
    assert_ptr_equal(tunnel_by_name("vxlan-gpe,geneve", 5), &tunnel_vxlan);
    assert_null(tunnel_by_name("vxla", 4));
    assert_null(tunnel_by_name("vxlans", 6));
    assert_null(tunnel_by_name("", 0));
}

static bool has_port(const uint16_t ports[6], uint16_t port)
{
    for (size_t i = 0; i < 6 && ports[i]; i++)
        if (ports[i] == port)
            return true;
    return false;
}

static void test_ports_are_claimed_once(void **state)
{
    (void)state;
    for (size_t a = 0; tunnel_decoders[a]; a++) {
        for (size_t b = a + 1; tunnel_decoders[b]; b++) {
            for (size_t i = 0; i < 6 && tunnel_decoders[a]->udp_ports[i]; i++)
                assert_false(
                    has_port(tunnel_decoders[b]->udp_ports, tunnel_decoders[a]->udp_ports[i]));
            for (size_t i = 0; i < 6 && tunnel_decoders[a]->zeek_ports[i]; i++)
                assert_false(
                    has_port(tunnel_decoders[b]->zeek_ports, tunnel_decoders[a]->zeek_ports[i]));
        }
    }
}

static void test_what_monitored_traffic_shows(void **state)
{
    (void)state;
    for (size_t i = 0; tunnel_decoders[i]; i++) {
        const struct tunnel_decoder *decoder = tunnel_decoders[i];
        bool is_monitored = decoder->zeek_ports[0] != 0 || decoder->detect != NULL;
        assert_int_equal(is_monitored, decoder->service != NULL);
        if (is_monitored)
            assert_non_null(decoder->zeek_type);
        assert_int_equal(decoder->detect != NULL,
                         decoder == &tunnel_teredo || decoder == &tunnel_ayiya);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_ports_are_claimed_once),
        cmocka_unit_test(test_what_monitored_traffic_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
