/* tunnel.log: tunnels over IP, which have no connection of their own, and those in UDP. */
#include "sensor/tunnels.h"

#include "flow/flow_bed.h"
#include "tunnel/tunnel.h"

static struct packet_layer layer(const char *decoder, uint8_t src, uint8_t dst)
{
    struct packet_layer l = {.decoder = tunnel_by_name(decoder, strlen(decoder))};
    assert_non_null(l.decoder);
    l.src = frame_addr(172, 16, 0, src);
    l.dst = frame_addr(172, 16, 0, dst);
    return l;
}

static void close_and_take(struct flow_bed *b, char **out)
{
    flow_table_free(b->context.table);
    b->context.table = NULL;
    log_bed_close(&b->logs);
    *out = log_bed_take(&b->logs, "tunnel");
    log_bed_remove(&b->logs);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
    bed_free(b);
}

static void test_over_ip(void **state)
{
    (void)state;
    struct flow_bed b;
    char *text;
    bed_open(&b);
    struct tunnels *t = tunnels_new();
    struct packet_layer there = layer("gre", 1, 2), back = layer("gre", 2, 1),
                        other = layer("ipip", 1, 2);
    struct flow_uid one = tunnels_over_ip(t, &b.context, &there, true);
    bed_wait(&b, SECOND);
    struct flow_uid two = tunnels_over_ip(t, &b.context, &back, true);
    struct flow_uid three = tunnels_over_ip(t, &b.context, &other, true);
    assert_memory_equal(&one, &two, sizeof one);
    assert_memory_not_equal(&one, &three, sizeof one);
    struct packet_layer not_ours = layer("gre", 3, 4);
    tunnels_over_ip(t, &b.context, &not_ours, false);
    /* Silent for an hour: it is over, and a new one has another id. */
    bed_wait(&b, 1800 * SECOND);
    tunnels_over_ip(t, &b.context, &other, true);
    tunnels_expire(t, &b.context);
    bed_wait(&b, 1900 * SECOND);
    tunnels_expire(t, &b.context);
    struct flow_uid again = tunnels_over_ip(t, &b.context, &there, true);
    assert_memory_not_equal(&one, &again, sizeof one);
    struct flow_uid still = tunnels_over_ip(t, &b.context, &other, true);
    assert_memory_equal(&still, &three, sizeof still);
    tunnels_free(t);
    close_and_take(&b, &text);
    static const char *const actions[] = {"DISCOVER", "DISCOVER", "EXPIRE", "DISCOVER"};
    assert_int_equal(log_rows(text), 4);
    for (size_t i = 0; i < 4; i++) {
        char want[40];
        snprintf(want, sizeof want, "Tunnel::%s", actions[i]);
        CHECK_CELL(text, i, "action", want);
    }
    CHECK_CELL(text, 0, "id.orig_h", "172.16.0.1");
    CHECK_CELL(text, 0, "id.orig_p", "0");
    CHECK_CELL(text, 0, "tunnel_type", "Tunnel::GRE");
    free(text);
}

/* More than can be told apart: every one is still named, and the table stays as it is. */
static void test_very_many(void **state)
{
    (void)state;
    struct flow_bed b;
    char *text;
    bed_open(&b);
    struct tunnels *t = tunnels_new();
    for (unsigned i = 0; i < 20000; i++) {
        struct packet_layer l = layer("gre", 0, 0);
        l.src = frame_addr(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
        bed_wait(&b, 1000);
        struct flow_uid uid = tunnels_over_ip(t, &b.context, &l, true);
        assert_int_equal(uid.text[0], 'C');
    }
    bed_wait(&b, 7200 * SECOND);
    tunnels_expire(t, &b.context);
    tunnels_free(t);
    close_and_take(&b, &text);
    size_t n_discovered = 0, n_expired = 0;
    for (const char *at = text; at && *at; at = log_next_line(at)) {
        const char *end = strchr(at, '\n');
        n_discovered += memcmp(end - 8, "DISCOVER", 8) == 0;
        n_expired += memcmp(end - 6, "EXPIRE", 6) == 0;
    }
    assert_int_equal(n_discovered, 20000);
    assert_true(n_expired > 2000 && n_expired <= 4096);
    free(text);
}

static void test_in_udp(void **state)
{
    (void)state;
    struct flow_bed b;
    char *text;
    bed_open(&b);
    b.context.ended = tunnels_closed;
    b.port[1] = 4789;
    struct flow *f = bed_udp(&b, 0, "x");
    for (int i = 0; i < 3; i++)
        tunnels_discovered(&b.context, f, tunnel_by_name("vxlan", 5));
    b.port[0] = 40001;
    bed_udp(&b, 0, "x"); /* carries nothing */
    close_and_take(&b, &text);
    assert_int_equal(log_rows(text), 2);
    CHECK_CELL(text, 0, "action", "Tunnel::DISCOVER");
    CHECK_CELL(text, 1, "action", "Tunnel::CLOSE");
    CHECK_CELL(text, 1, "id.resp_p", "4789");
    CHECK_CELL(text, 1, "tunnel_type", "Tunnel::VXLAN");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_ip),
        cmocka_unit_test(test_very_many),
        cmocka_unit_test(test_in_udp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
