/* Time-outs in packet time: when a connection ends, and whether the next packet begins another. */
#include "flow/flow_bed.h"

#include "flow/deadline.h"

static void open_with_step(struct flow_bed *b)
{
    bed_open(b);
    b->step = 0;
}

static uint64_t n_now(const struct flow_bed *b)
{
    return flow_table_counters(b->context.table)->n_now;
}

/* Whether the table has the connection still, after that much more time without a packet of it. */
static bool lives_for(struct flow_bed *b, int64_t ns)
{
    bed_wait(b, ns);
    bed_expire(b);
    return n_now(b) == 1;
}

static void test_udp_minute(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_udp(&b, 0, "ping");
    assert_true(lives_for(&b, 59 * SECOND));
    bed_udp(&b, 1, "pong");
    assert_true(lives_for(&b, 59 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND)); /* the wheel is a third of a second coarse */
    bed_udp(&b, 0, "ping");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    CHECK_CONN(&b, 0, "conn_state", "SF");
    CHECK_CONN(&b, 0, "duration", "59.000000");
    CHECK_CONN(&b, 1, "conn_state", "S0");
    bed_free(&b);
}

/* Without any look in between: a packet after its time begins a new connection. */
static void test_the_next_packet_comes_too_late(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct flow_bed b;
        open_with_step(&b);
        bed_udp(&b, 0, "ping");
        bed_wait(&b, 60 * SECOND - (late ? 0 : 1000));
        bed_udp(&b, 0, "ping");
        bed_close(&b);
        assert_int_equal(log_rows(b.conn), late ? 2 : 1);
        bed_free(&b);
    }
}

static void test_attempt(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_tcp(&b, 0, "S", 0, 0, "");
    assert_true(lives_for(&b, 4 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    CHECK_CONN(&b, 0, "conn_state", "S0");
    bed_free(&b);
}

/* An answer in time: five minutes from then on. */
static void test_established(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_tcp(&b, 0, "S", 0, 0, "");
    assert_true(lives_for(&b, 3 * SECOND));
    bed_tcp(&b, 1, "SA", 0, 1, "");
    bed_tcp(&b, 0, "A", 1, 1, "");
    assert_true(lives_for(&b, 299 * SECOND));
    bed_tcp(&b, 0, "PA", 1, 1, "hi");
    assert_true(lives_for(&b, 299 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    CHECK_CONN(&b, 0, "conn_state", "S1");
    CHECK_CONN(&b, 0, "duration", "302.000000");
    bed_free(&b);
}

static void test_logins_may_be_silent_for_an_hour(void **state)
{
    (void)state;
    static const uint16_t ports[] = {21, 22, 23, 513};
    for (size_t i = 0; i < 4; i++) {
        struct flow_bed b;
        open_with_step(&b);
        b.port[1] = ports[i];
        bed_handshake(&b);
        assert_true(lives_for(&b, 3599 * SECOND));
        assert_false(lives_for(&b, 2 * SECOND));
        bed_close(&b);
        bed_free(&b);
    }
}

static void close_both(struct flow_bed *b)
{
    bed_handshake(b);
    bed_tcp(b, 0, "FA", 1, 1, "");
    bed_tcp(b, 1, "FA", 1, 2, "");
    bed_tcp(b, 0, "A", 2, 2, "");
}

static void test_closed(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    close_both(&b);
    assert_true(lives_for(&b, 4 * SECOND));
    bed_tcp(&b, 0, "A", 2, 2, ""); /* puts nothing off */
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CONN(&b, 0, "conn_state", "SF");
    bed_free(&b);
}

static void test_reset(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_handshake(&b);
    bed_tcp(&b, 1, "R", 1, 0, "");
    assert_true(lives_for(&b, 4 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    CHECK_CONN(&b, 0, "conn_state", "RSTR");
    bed_free(&b);
}

static void test_half_closed_stays(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "FA", 1, 1, "");
    bed_tcp(&b, 1, "A", 1, 2, "");
    assert_true(lives_for(&b, 299 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    CHECK_CONN(&b, 0, "conn_state", "S2");
    bed_free(&b);
}

/* ---- DNS over UDP: looked at every ten seconds ---- */

static struct flow *ticking(struct flow_bed *b)
{
    struct flow *f = bed_udp(b, 0, "question");
    flow_deadline_tick(f);
    flow_table_rearm(b->context.table, f);
    return f;
}

static void test_ticks(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    ticking(&b);
    assert_true(lives_for(&b, 9 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    bed_free(&b);
}

/* The look at 10 s finds it silent for 8 s only; the next one comes at 20 s. */
static void test_the_look_comes_too_early(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    ticking(&b);
    bed_wait(&b, 2 * SECOND);
    bed_udp(&b, 1, "answer");
    assert_true(lives_for(&b, 8 * SECOND + 100 * MS)); /* the look, 8.1 s after the answer */
    assert_true(lives_for(&b, 9 * SECOND));
    assert_false(lives_for(&b, 2 * SECOND));
    bed_close(&b);
    bed_free(&b);
}

/* A look happens with the first packet, of anybody, after it is due: where there was none from 7 s
 * to 13 s, the look of 10 s happens at 13 s, and the next one at 23 s. */
static void test_a_look_waits_for_a_packet(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct flow_bed b;
        open_with_step(&b);
        ticking(&b);
        bed_wait(&b, 5 * SECOND);
        bed_udp(&b, 1, "answer");
        bed_wait(&b, 8 * SECOND);
        bed_expire(&b); /* 13 s, 8 s of silence: stays */
        if (other) {
            bed_wait(&b, 1 * SECOND);
            bed_expire(&b);
        }
        bed_wait(&b, (other ? 7 : 8) * SECOND); /* 21 s: a look at 20 s would have ended it */
        bed_udp(&b, 0, "question");
        bed_close(&b);
        assert_int_equal(log_rows(b.conn), 1);
        bed_free(&b);
    }
}

static void test_dense_traffic_looks_on_time(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    ticking(&b);
    bed_wait(&b, 5 * SECOND);
    bed_udp(&b, 1, "answer");
    for (int i = 0; i < 1600; i++) { /* until 21 s */
        bed_wait(&b, 10 * MS);
        bed_expire(&b);
    }
    bed_udp(&b, 0, "question");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    bed_free(&b);
}

/* ---- time that does not behave ---- */

static void test_time_jumps_years(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    for (uint16_t i = 0; i < 50; i++) {
        b.port[0] = (uint16_t)(40000 + i);
        bed_handshake(&b);
        bed_tcp(&b, 0, "PA", 1, 1, "hi");
        ticking(&b);
    }
    for (int i = 0; i < 20; i++) {
        bed_wait(&b, 3ll * 365 * 86400 * SECOND);
        bed_expire(&b);
        assert_int_equal(n_now(&b), 0);
        bed_udp(&b, 0, "again");
    }
    assert_int_equal(flow_table_counters(b.context.table)->n_ended, 119);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 120);
    bed_free(&b);
}

static void test_time_goes_back(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    b.context.now -= 10 * SECOND; /* as where two interfaces were merged; the clock stays */
    bed_tcp(&b, 1, "A", 1, 6, "");
    bed_tcp(&b, 0, "PA", 6, 1, " world");
    bed_check_stream(&b, 0, "hello world", 0);
    b.context.now += 10 * SECOND;
    bed_tcp(&b, 1, "A", 1, 12, "");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CONN(&b, 0, "orig_bytes", "11");
    bed_free(&b);
}

/* It ends before it began: no duration, and no negative one. */
static void test_no_negative_duration(void **state)
{
    (void)state;
    struct flow_bed b;
    open_with_step(&b);
    bed_udp(&b, 0, "one");
    b.context.now -= 30 * SECOND;
    bed_udp(&b, 1, "two");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CONN(&b, 0, "duration", "-");
    bed_free(&b);
}

/* Far outside of what can be: no sum may overflow. (What is beyond, the capture layer bounds.) */
static void test_ends_of_time(void **state)
{
    (void)state;
    static const int64_t times[] = {0, 1, -1, -SECOND, INT64_MAX / 2, INT64_MIN / 4};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        for (size_t j = 0; j < sizeof times / sizeof times[0]; j++) {
            struct flow_bed b;
            open_with_step(&b);
            b.context.now = b.context.clock = times[i];
            bed_handshake(&b);
            ticking(&b);
            b.context.now = times[j];
            if (times[j] > b.context.clock)
                b.context.clock = times[j];
            bed_tcp(&b, 0, "PA", 1, 1, "hi");
            close_both(&b);
            ticking(&b);
            bed_expire(&b);
            bed_close(&b);
            assert_true(log_rows(b.conn) >= 2);
            bed_free(&b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_udp_minute),
        cmocka_unit_test(test_the_next_packet_comes_too_late),
        cmocka_unit_test(test_attempt),
        cmocka_unit_test(test_established),
        cmocka_unit_test(test_logins_may_be_silent_for_an_hour),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_half_closed_stays),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_the_look_comes_too_early),
        cmocka_unit_test(test_a_look_waits_for_a_packet),
        cmocka_unit_test(test_dense_traffic_looks_on_time),
        cmocka_unit_test(test_time_jumps_years),
        cmocka_unit_test(test_time_goes_back),
        cmocka_unit_test(test_no_negative_duration),
        cmocka_unit_test(test_ends_of_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
