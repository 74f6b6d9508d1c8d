/* Reassembly: what is delivered, in which order, and what counts as missing. */
#include "flow/flow_bed.h"

static void test_in_order(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "one ");
    bed_tcp(&b, 1, "PA", 1, 5, "answer");
    bed_tcp(&b, 0, "PA", 5, 7, "two");
    bed_check_stream(&b, 0, "one two", 0);
    bed_check_stream(&b, 1, "answer", 0);
    assert_null(b.flow->more); /* data in order is not kept */
    bed_close(&b);
    bed_free(&b);
}

/* All orders of five segments. */
static void test_every_order(void **state)
{
    (void)state;
    const char *const parts[] = {"ab", "cde", "f", "ghij", "kl"};
    for (unsigned order = 0; order < 120; order++) {
        struct flow_bed b;
        bed_open(&b);
        bed_handshake(&b);
        unsigned left[] = {0, 1, 2, 3, 4}, code = order;
        for (unsigned n = 5; n > 0; n--) {
            unsigned pick = code % n, part = left[pick];
            code /= n;
            memmove(left + pick, left + pick + 1, (n - 1 - pick) * sizeof left[0]);
            uint32_t seq = 1;
            for (unsigned i = 0; i < part; i++)
                seq += (uint32_t)strlen(parts[i]);
            bed_tcp(&b, 0, "PA", seq, 1, parts[part]);
        }
        bed_check_stream(&b, 0, "abcdefghijkl", 0);
        assert_int_equal(b.flow->more ? b.flow->more->pending[0].n_bytes : 0, 0);
        bed_close(&b);
        CHECK_CONN(&b, 0, "missed_bytes", "0");
        bed_free(&b);
    }
}

static void test_first_bytes_win(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 5, 1, "EFGH");        /* kept */
    bed_tcp(&b, 0, "PA", 11, 1, "KL");         /* kept */
    bed_tcp(&b, 0, "PA", 3, 1, "cdefghijklm"); /* fills around them */
    bed_check_stream(&b, 0, "", 0);
    bed_tcp(&b, 0, "PA", 1, 1, "abcdefghijklmn");
    bed_check_stream(&b, 0, "abcdEFGHijKLmn", 0);
    bed_close(&b);
    bed_free(&b);
}

static void test_retransmissions_are_not_delivered_again(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 0, "PA", 1, 1, "HELLO");
    bed_tcp(&b, 0, "PA", 3, 1, "LLO world");
    bed_tcp(&b, 1, "A", 1, 12, "");
    bed_tcp(&b, 0, "PA", 1, 1, "hello world!");
    bed_tcp(&b, 0, "PA", 1, 1, "hello world!");
    bed_check_stream(&b, 0, "hello world!", 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "orig_bytes", "12");
    CHECK_CONN(&b, 0, "history", "ShADTa");
    bed_free(&b);
}

static void test_gap_and_late_data(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "12345");
    bed_tcp(&b, 0, "PA", 11, 1, "abcde");
    bed_check_stream(&b, 0, "12345", 0);
    bed_tcp(&b, 1, "A", 1, 16, ""); /* the other end has them: we do not */
    bed_check_stream(&b, 0, "12345abcde", 5);
    assert_int_equal(b.stream[0].n_gaps, 1);
    bed_tcp(&b, 0, "PA", 6, 1, "67890"); /* too late */
    bed_check_stream(&b, 0, "12345abcde", 5);
    bed_tcp(&b, 0, "PA", 16, 1, "fg");
    bed_check_stream(&b, 0, "12345abcdefg", 5);
    bed_close(&b);
    CHECK_CONN(&b, 0, "missed_bytes", "5");
    CHECK_CONN(&b, 0, "orig_bytes", "17");
    bed_free(&b);
}

/* Only what was acknowledged is given up: the second hole stays open. */
static void test_two_holes(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "a");
    bed_tcp(&b, 1, "A", 1, 2, "");
    bed_tcp(&b, 0, "PA", 4, 1, "bcd");
    bed_tcp(&b, 0, "PA", 10, 1, "ef");
    bed_tcp(&b, 1, "A", 1, 6, "");
    bed_check_stream(&b, 0, "abcd", 2);
    bed_tcp(&b, 0, "PA", 7, 1, "xyz");
    bed_check_stream(&b, 0, "abcdxyzef", 2);
    bed_close(&b);
    bed_free(&b);
}

static void test_one_side_only(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    char data[1000];
    memset(data, 'x', sizeof data);
    bed_tcp(&b, 0, "S", 0, 0, "");
    bed_tcp(&b, 0, "A", 1, 1, "");
    for (uint32_t i = 0; i < 2000; i++)
        bed_tcp_bytes(&b, 0, "PA", 1 + i * 1000, 1, data, 1000);
    assert_int_equal(b.stream[0].size, 2000000);
    assert_int_equal(b.stream[0].missing, 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "orig_bytes", "2000000");
    CHECK_CONN(&b, 0, "resp_bytes", "0");
    CHECK_CONN(&b, 0, "missed_bytes", "0");
    bed_check_weird(&b, "excessive_data_without_further_acks", false);
    bed_free(&b);
}

static void test_above_a_hole_without_acks(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    char data[1000];
    memset(data, 'x', sizeof data);
    bed_tcp(&b, 0, "S", 0, 0, "");
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    for (uint32_t i = 1; i <= 15; i++)
        bed_tcp_bytes(&b, 0, "PA", 6 + i * 1000, 1, data, 1000);
    assert_int_equal(b.flow->more->pending[0].n_bytes, 15000);
    bed_tcp_bytes(&b, 0, "PA", 6 + 16000, 1, data, 1000);
    assert_int_equal(b.flow->more->pending[0].n_bytes, 0);
    bed_tcp_bytes(&b, 0, "PA", 6, 1, data, 1000);
    bed_check_stream(&b, 0, "hello", 0); /* given up */
    bed_close(&b);
    bed_check_weird(&b, "above_hole_data_without_any_acks", true);
    bed_free(&b);
}

static void test_many_small_pieces_have_a_limit(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 1, "A", 1, 6, "");
    for (uint32_t i = 1; i <= 20000; i++)
        bed_tcp(&b, 0, "PA", 6 + i * 2, 1, "x");
    assert_true(b.flow->more->pending[0].n <= 4096);
    assert_true(pool_used(b.context.pool) < 1u << 20);
    bed_close(&b);
    bed_free(&b);
}

static void test_no_memory_is_a_gap(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open_with(&b, 256u << 10);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 1, "A", 1, 6, "");
    static char data[10000];
    for (uint32_t i = 1; i <= 50; i++)
        bed_tcp_bytes(&b, 0, "PA", 6 + i * 10000, 1, data, 10000);
    assert_true(pool_used(b.context.pool) <= 128u << 10);
    assert_true(pool_refused(b.context.pool) > 0);
    bed_tcp(&b, 1, "A", 1, 6 + 51 * 10000, "");
    assert_int_equal(b.stream[0].size + b.stream[0].missing, 5 + 51 * 10000);
    bed_close(&b);
    bed_free(&b);
}

/* ---- FIN ---- */

static void test_fin_before_the_data(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "FA", 6, 1, "");
    assert_int_equal(b.stream[0].n_fins, 0);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_check_stream(&b, 0, "hello", 0);
    assert_int_equal(b.stream[0].n_fins, 1);
    bed_tcp(&b, 1, "A", 1, 7, "");
    bed_tcp(&b, 1, "FA", 1, 7, "");
    bed_tcp(&b, 0, "A", 7, 2, "");
    assert_int_equal(b.stream[1].n_fins, 1);
    bed_close(&b);
    assert_int_equal(b.n_ends, 1);
    CHECK_CONN(&b, 0, "conn_state", "SF");
    CHECK_CONN(&b, 0, "orig_bytes", "5");
    CHECK_CONN(&b, 0, "missed_bytes", "0");
    bed_free(&b);
}

static void test_fin_with_data_and_again(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    for (int i = 0; i < 3; i++)
        bed_tcp(&b, 0, "FPA", 1, 1, "bye");
    bed_tcp(&b, 1, "A", 1, 5, "");
    bed_check_stream(&b, 0, "bye", 0);
    assert_int_equal(b.stream[0].n_fins, 1);
    bed_close(&b);
    CHECK_CONN(&b, 0, "orig_bytes", "3");
    bed_free(&b);
}

/* The FIN's own number is no missing byte. */
static void test_acknowledged_fin_with_missing_data(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 1, "A", 1, 6, "");
    bed_tcp(&b, 0, "FA", 16, 1, "");
    assert_int_equal(b.stream[0].n_fins, 0);
    bed_tcp(&b, 1, "A", 1, 17, "");
    bed_check_stream(&b, 0, "hello", 10);
    assert_int_equal(b.stream[0].n_fins, 1);
    bed_close(&b);
    CHECK_CONN(&b, 0, "missed_bytes", "10");
    CHECK_CONN(&b, 0, "orig_bytes", "15");
    bed_free(&b);
}

/* ---- what the capture cut, and what comes with a SYN ---- */

static void test_cut_segments(void **state)
{
    (void)state;
    for (int mirror = 0; mirror < 2; mirror++) {
        struct flow_bed b;
        bed_open(&b);
        b.context.deliver_truncated = mirror;
        bed_handshake(&b);
        frame_begin(&b.frame, "hello world", 11);
        frame_tcp(&b.frame, 40000, 80, b.isn[0] + 1, b.isn[1] + 1, TCP_ACK, 100, -1);
        frame_ip(&b.frame, &b.end[0], &b.end[1], 6);
        bed_packet(&b, 6, 0, 20 + 20 + 5);
        bed_check_stream(&b, 0, mirror ? "hello" : "", 0);
        bed_tcp(&b, 1, "A", 1, 12, "");
        bed_check_stream(&b, 0, mirror ? "hello" : "", mirror ? 6 : 11);
        bed_close(&b);
        CHECK_CONN(&b, 0, "orig_bytes", "11");
        bed_check_weird(&b, "truncated_tcp_payload", !mirror);
        bed_free(&b);
    }
}

static void test_data_with_the_syn(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_tcp(&b, 0, "S", 0, 0, "fast ");
    bed_tcp(&b, 1, "SA", 0, 6, "");
    bed_tcp(&b, 0, "PA", 6, 1, "open");
    bed_check_stream(&b, 0, "fast open", 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "orig_bytes", "9");
    bed_free(&b);
}

static void test_data_with_a_reset_is_not_delivered(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 1, "RA", 1, 1, "reason");
    bed_check_stream(&b, 1, "", 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "conn_state", "RSTR");
    CHECK_CONN(&b, 0, "resp_bytes", "0");
    bed_free(&b);
}

/* What is kept of one direction has a limit, whatever the other end acknowledged. */
static void test_kept_data_has_a_limit(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open_with(&b, 128u << 20);
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 1, "A", 1, 6, "");
    static char data[9000];
    for (uint32_t i = 1; i <= 4000; i++)
        bed_tcp_bytes(&b, 0, "PA", 6 + i * 9000, 1, data, 9000);
    if (pool_used(b.context.pool) > 24u << 20)
        fail_msg("%zu bytes are kept", pool_used(b.context.pool));
    bed_close(&b);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_first_bytes_win),
        cmocka_unit_test(test_retransmissions_are_not_delivered_again),
        cmocka_unit_test(test_gap_and_late_data),
        cmocka_unit_test(test_two_holes),
        cmocka_unit_test(test_one_side_only),
        cmocka_unit_test(test_above_a_hole_without_acks),
        cmocka_unit_test(test_many_small_pieces_have_a_limit),
        cmocka_unit_test(test_no_memory_is_a_gap),
        cmocka_unit_test(test_fin_before_the_data),
        cmocka_unit_test(test_fin_with_data_and_again),
        cmocka_unit_test(test_acknowledged_fin_with_missing_data),
        cmocka_unit_test(test_cut_segments),
        cmocka_unit_test(test_data_with_the_syn),
        cmocka_unit_test(test_data_with_a_reset_is_not_delivered),
        cmocka_unit_test(test_kept_data_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
