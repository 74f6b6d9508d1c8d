/* weird.log: what is said once, what for each host, what never. */
#include "flow/flow_bed.h"

static size_t n_rows_of(struct flow_bed *b, const char *name, unsigned n_connections,
                        unsigned n_hosts, unsigned n_times)
{
    bed_open(b);
    b->step = 0;
    for (unsigned t = 0; t < n_times; t++)
        for (unsigned h = 0; h < n_hosts; h++)
            for (unsigned i = 0; i < n_connections; i++) {
                b->end[0] = frame_addr(10, 0, 1, (uint8_t)h);
                b->port[0] = (uint16_t)(1000 + i);
                bed_udp(b, 0, "x");
                weird_flow(&b->context, b->flow, name, (struct str){0}, "TEST");
            }
    bed_close(b);
    return log_rows(b->weird);
}

static void test_actions(void **state)
{
    (void)state;
    struct flow_bed b;
    /* An unknown name: once for each connection. */
    assert_int_equal(n_rows_of(&b, "something_odd", 3, 2, 5), 6);
    CHECK_CELL(b.weird, 0, "name", "something_odd");
    CHECK_CELL(b.weird, 0, "notice", "F");
    CHECK_CELL(b.weird, 0, "peer", "zeek");
    CHECK_CELL(b.weird, 0, "source", "TEST");
    CHECK_CELL(b.weird, 0, "addl", "-");
    CHECK_CELL(b.weird, 0, "id.orig_h", "10.0.1.0");
    bed_free(&b);
    assert_int_equal(n_rows_of(&b, "bad_UDP_checksum", 3, 2, 5), 2);
    bed_free(&b);
    assert_int_equal(n_rows_of(&b, "simultaneous_open", 3, 2, 5), 6);
    bed_free(&b);
    assert_int_equal(n_rows_of(&b, "FIN_storm", 3, 2, 5), 2);
    CHECK_CELL(b.weird, 0, "notice", "T");
    bed_free(&b);
    assert_int_equal(n_rows_of(&b, "spontaneous_FIN", 3, 2, 5), 0);
    bed_free(&b);
}

static void test_again_after_ten_minutes(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.step = 0;
    b.port[1] = 22; /* lives on without packets */
    bed_handshake(&b);
    for (int minute = 0; minute < 25; minute++) {
        weird_flow(&b.context, b.flow, "something_odd", STR("at, \t last"), NULL);
        bed_wait(&b, 60 * SECOND);
    }
    bed_close(&b);
    assert_int_equal(log_rows(b.weird), 3);
    CHECK_CELL(b.weird, 0, "addl", "at, \\x09 last");
    CHECK_CELL(b.weird, 0, "source", "-");
    bed_free(&b);
}

static void test_packets_without_connection(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    for (int times = 0; times < 3; times++) {
        for (int kind = 0; kind < 4; kind++) {
            struct packet_weird w = {
                .name = "truncated_thing", .in_tunnel = kind & 1, .has_addr = kind & 2};
            if (w.has_addr) {
                w.src = b.end[0];
                w.dst = b.end[1];
                memcpy(w.addl, "more", sizeof "more");
            }
            weird_packet(&b.context, &w);
        }
    }
    bed_close(&b);
    assert_int_equal(log_rows(b.weird), 4);
    CHECK_CELL(b.weird, 0, "uid", "-");
    CHECK_CELL(b.weird, 0, "id.orig_h", "-");
    CHECK_CELL(b.weird, 0, "id.orig_p", "-");
    CHECK_CELL(b.weird, 1, "name", "truncated_thing_in_tunnel");
    CHECK_CELL(b.weird, 2, "id.resp_h", "93.184.216.34");
    CHECK_CELL(b.weird, 2, "id.resp_p", "0");
    CHECK_CELL(b.weird, 2, "addl", "more");
    bed_free(&b);
}

/* However many hosts do something odd, memory stays the same, and what is said is not lost. */
static void test_many_hosts(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    enum { N = 50000 };
    for (uint32_t i = 0; i < N; i++) {
        struct packet_weird w = {.name = "odd", .has_addr = true, .dst = b.end[1]};
        w.src = frame_addr(10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i);
        weird_packet(&b.context, &w);
    }
    bed_close(&b);
    assert_int_equal(log_rows(b.weird), N);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_again_after_ten_minutes),
        cmocka_unit_test(test_packets_without_connection),
        cmocka_unit_test(test_many_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
