/* TCP connections from hand-built segments: every conn_state, the history with its repetitions,
 * sizes, sequence numbers that go round, reuse of ports. */
#include "flow/flow_bed.h"

/* "1SA 0 1 5": from the responder, SYN and ACK, seq 0, ack 1, five bytes; separated by "; ". */
static void play(struct flow_bed *b, const char *script)
{
    while (*script) {
        unsigned dir, seq, ack, n = 0;
        char flags[8];
        int fields = sscanf(script, "%1u%7[A-Z] %u %u %u", &dir, flags, &seq, &ack, &n);
        assert_true(fields >= 4 && n < 100);
        char data[100];
        memset(data, 'x', sizeof data);
        bed_tcp_bytes(b, (int)dir, flags, seq, ack, data, n);
        script += strcspn(script, ";");
        script += strspn(script, "; ");
    }
}

#define HANDSHAKE "0S 0 0; 1SA 0 1; 0A 1 1; "

static const struct {
    const char *state, *history, *script;
    const char *orig_bytes, *resp_bytes;
} states[] = {
    {"S0", "S", "0S 0 0; 0S 0 0", "0", "0"},
    {"S1", "ShA", HANDSHAKE, "0", "0"},
    {"S1", "ShADd", HANDSHAKE "0PA 1 1 5; 1PA 1 6 7", "5", "7"},
    {"SF", "ShADaFf", HANDSHAKE "0PA 1 1 5; 1A 1 6; 0FA 6 1; 1FA 1 7; 0A 7 2", "5", "0"},
    {"SF", "ShAfFa", "0S 0 0; 1SA 0 1; 0A 1 1; 1FA 1 1; 0FA 1 2; 1A 2 2", "0", "0"},
    {"REJ", "Sr", "0S 0 0; 1RA 0 1", "0", "0"},
    {"S2", "ShAF", HANDSHAKE "0FA 1 1", "0", "0"},
    {"S2", "ShAFa", HANDSHAKE "0FA 1 1; 1A 1 2", "0", "0"},
    {"S3", "ShAf", HANDSHAKE "1FA 1 1", "0", "0"},
    {"RSTO", "ShADR", HANDSHAKE "0PA 1 1 3; 0R 4 0", "3", "0"},
    {"RSTR", "ShADr", HANDSHAKE "0PA 1 1 3; 1R 1 0", "3", "0"},
    {"RSTO", "ShAFaR", HANDSHAKE "0FA 1 1; 1A 1 2; 0R 2 0", "0", "0"},
    {"RSTOS0", "SR", "0S 0 0; 0R 1 0", "0", "0"},
    {"RSTRH", "^hr", "1SA 0 1; 1R 1 0", "0", "0"},
    {"SH", "SF", "0S 0 0; 0F 1 0", "0", "0"},
    {"SHR", "^hf", "1SA 0 1; 1FA 1 1", "0", "0"},
    {"OTH", "DadA", "0PA 1 1 5; 1A 1 6; 1PA 1 6 7; 0A 6 8", "5", "7"},
};

static void test_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        struct flow_bed b;
        bed_open(&b);
        play(&b, states[i].script);
        bed_close(&b);
        char *got_state = log_cell(b.conn, 0, "conn_state"), *got = log_cell(b.conn, 0, "history");
        char *orig = log_cell(b.conn, 0, "orig_bytes"), *resp = log_cell(b.conn, 0, "resp_bytes");
        if (log_rows(b.conn) != 1 || strcmp(got_state, states[i].state) != 0 ||
            strcmp(got, states[i].history) != 0 || strcmp(orig, states[i].orig_bytes) != 0 ||
            strcmp(resp, states[i].resp_bytes) != 0)
            fail_msg("row %zu (%s): %zu rows, %s %s %s %s, not %s %s %s %s", i, states[i].script,
                     log_rows(b.conn), got_state, got, orig, resp, states[i].state,
                     states[i].history, states[i].orig_bytes, states[i].resp_bytes);
        CHECK_CONN(&b, 0, "id.orig_h", "10.0.0.1");
        CHECK_CONN(&b, 0, "id.resp_p", "80");
        free(got_state);
        free(got);
        free(orig);
        free(resp);
        bed_free(&b);
    }
}

/* ---- history ---- */

static void check_history(const char *script, unsigned n_times, const char *repeated,
                          const char *history)
{
    struct flow_bed b;
    bed_open(&b);
    play(&b, script);
    for (unsigned i = 0; i < n_times; i++)
        play(&b, repeated);
    bed_close(&b);
    CHECK_CONN(&b, 0, "history", history);
    bed_free(&b);
}

static void test_history_repeats_at_powers_of_ten(void **state)
{
    (void)state;
    const char *first = HANDSHAKE "0PA 1 1 5; 1A 1 6";
    /* Retransmissions of the originator. */
    check_history(first, 1, "0PA 1 1 5", "ShADaT");
    check_history(first, 9, "0PA 1 1 5", "ShADaT");
    check_history(first, 10, "0PA 1 1 5", "ShADaTT");
    check_history(first, 99, "0PA 1 1 5", "ShADaTT");
    check_history(first, 100, "0PA 1 1 5", "ShADaTTT");
    check_history(first, 1000, "0PA 1 1 5", "ShADaTTTT");
}

static void test_history_of_windows(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, HANDSHAKE "0PA 1 1 5");
    b.window = 0;
    for (int i = 0; i < 10; i++)
        play(&b, "1A 1 6");
    bed_close(&b);
    CHECK_CONN(&b, 0, "history", "ShADaww");
    bed_free(&b);
}

static void test_history_of_gaps(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 100; n = n == 1 ? 9 : n == 9 ? 10 : n == 10 ? 100 : 101) {
        struct flow_bed b;
        bed_open(&b);
        play(&b, HANDSHAKE "0PA 1 1 10");
        /* Ten bytes are missing, ten are there, all is acknowledged; again and again. */
        for (uint32_t i = 0; i < n; i++) {
            bed_tcp(&b, 0, "PA", 21 + i * 20, 1, "0123456789");
            bed_tcp(&b, 1, "A", 1, 31 + i * 20, "");
        }
        bed_close(&b);
        CHECK_CONN(&b, 0, "history", n == 100 ? "ShADaGGG" : n == 10 ? "ShADaGG" : "ShADaG");
        char text[16];
        snprintf(text, sizeof text, "%u", n * 10);
        CHECK_CONN(&b, 0, "missed_bytes", text);
        bed_free(&b);
    }
}

static void test_long_history(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, HANDSHAKE);
    /* Each FIN has another number: each gets a letter. */
    for (uint32_t i = 0; i < 6000; i++)
        bed_tcp(&b, 0, "FA", 1 + 3 * i, 1, "");
    bed_close(&b);
    char *history = log_cell(b.conn, 0, "history");
    assert_true(strlen(history) > 1000 && strlen(history) <= 4096);
    assert_memory_equal(history, "ShAFFFFFFFFFFFFFFFFFFFF", 20);
    free(history);
    bed_free(&b);
}

/* ---- who is who ---- */

static void test_server_port_decides_without_syn(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, "1PA 1 1 9; 0A 1 10");
    bed_close(&b);
    CHECK_CONN(&b, 0, "id.resp_p", "80");
    CHECK_CONN(&b, 0, "history", "^dA");
    CHECK_CONN(&b, 0, "orig_pkts", "1");
    CHECK_CONN(&b, 0, "resp_bytes", "9");
    CHECK_CONN(&b, 0, "resp_ip_bytes", "49");
    bed_free(&b);
}

static void test_syn_ack_before_syn(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.port[1] = 12345;
    play(&b, "1SA 0 1; 0S 0 0; 0A 1 1; 0PA 1 1 5; 1PA 1 6 3");
    bed_check_stream(&b, 0, "xxxxx", 0);
    bed_check_stream(&b, 1, "xxx", 0);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CONN(&b, 0, "id.orig_h", "10.0.0.1");
    CHECK_CONN(&b, 0, "orig_bytes", "5");
    CHECK_CONN(&b, 0, "resp_bytes", "3");
    bed_free(&b);
}

/* ---- numbers ---- */

static void test_numbers_go_round_at_the_start(void **state)
{
    (void)state;
    for (uint32_t before = 0; before < 12; before++) {
        struct flow_bed b;
        bed_open(&b);
        b.isn[0] = 0u - before;
        b.isn[1] = 0u - 2 * before;
        play(&b, HANDSHAKE "0PA 1 1 4; 1A 1 5; 0PA 5 1 6; 1PA 1 11 5; 0A 11 6");
        bed_check_stream(&b, 0, "xxxxxxxxxx", 0);
        bed_check_stream(&b, 1, "xxxxx", 0);
        play(&b, "0FA 11 6; 1FA 6 12; 0A 12 7");
        assert_int_equal(b.stream[0].n_fins, 1);
        assert_int_equal(b.stream[1].n_fins, 1);
        bed_close(&b);
        CHECK_CONN(&b, 0, "conn_state", "SF");
        CHECK_CONN(&b, 0, "orig_bytes", "10");
        CHECK_CONN(&b, 0, "resp_bytes", "5");
        CHECK_CONN(&b, 0, "missed_bytes", "0");
        assert_string_equal(b.weird, "");
        bed_free(&b);
    }
}

/* A stream of 13 GB of which we see a piece every 100 MB: what is counted goes on beyond 32 bits.
 */
static void test_more_than_four_gigabytes(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.isn[0] = 0xffff0000;
    play(&b, HANDSHAKE "0PA 1 1 5; 1A 1 6");
    uint32_t seq = 6;
    const uint32_t jump = 100000000;
    for (int i = 0; i < 130; i++) {
        seq += jump;
        bed_tcp(&b, 0, "PA", seq - 5, 1, "12345");
        bed_tcp(&b, 1, "A", 1, seq, "");
    }
    assert_int_equal(b.stream[0].size, 131 * 5);
    assert_int_equal(b.stream[0].missing, 130ull * (jump - 5));
    bed_tcp(&b, 0, "FA", seq, 1, "");
    bed_tcp(&b, 1, "FA", 1, seq + 1, "");
    bed_tcp(&b, 0, "A", seq + 1, 2, "");
    assert_int_equal(b.stream[0].n_fins, 1);
    bed_close(&b);
    CHECK_CONN(&b, 0, "orig_bytes", "13000000005");
    CHECK_CONN(&b, 0, "missed_bytes", "12999999350");
    CHECK_CONN(&b, 0, "conn_state", "SF");
    bed_free(&b);
}

/* Both at once: only the responder's numbers are beyond 2^32 and late data is still known as such.
 */
static void test_old_data_after_going_round(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.isn[1] = 0xffff0000;
    play(&b, HANDSHAKE "1PA 1 1 5; 0A 1 6");
    uint32_t seq = 6;
    for (int i = 0; i < 5; i++) {
        seq += 1000000000;
        bed_tcp(&b, 1, "PA", seq - 5, 1, "12345");
        bed_tcp(&b, 0, "A", 1, seq, "");
    }
    size_t before = b.stream[1].size;
    bed_tcp(&b, 1, "PA", seq - 105, 1, "hello"); /* was acknowledged, so it counted as missing */
    assert_int_equal(b.stream[1].size, before);
    bed_tcp(&b, 1, "PA", seq, 1, "12345");
    assert_int_equal(b.stream[1].size, before + 5);
    bed_close(&b);
    CHECK_CONN(&b, 0, "resp_bytes", "5000000010");
    bed_free(&b);
}

/* ---- reuse ---- */

static void test_reuse_of_ports(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, HANDSHAKE "0FA 1 1; 1FA 1 2; 0A 2 2");
    bed_wait(&b, 1 * SECOND);
    b.isn[0] += 100000;
    b.isn[1] += 100000;
    play(&b, HANDSHAKE);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    CHECK_CONN(&b, 0, "conn_state", "SF");
    CHECK_CONN(&b, 1, "conn_state", "S1");
    bed_check_weird(&b, "premature_connection_reuse", true);
    char *one = log_cell(b.conn, 0, "uid"), *two = log_cell(b.conn, 1, "uid");
    assert_string_not_equal(one, two);
    free(one);
    free(two);
    bed_free(&b);
}

static void test_reuse_while_open(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, HANDSHAKE "0PA 1 1 5; 1A 1 6");
    b.isn[0] += 100000;
    play(&b, "0S 0 0");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    CHECK_CONN(&b, 0, "conn_state", "S1");
    CHECK_CONN(&b, 1, "conn_state", "S0");
    bed_check_weird(&b, "active_connection_reuse", true);
    bed_free(&b);
}

static void test_the_same_syn_again_is_no_reuse(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    play(&b, "0S 0 0; 0S 0 0; 1SA 0 1; 1SA 0 1; 0A 1 1");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CONN(&b, 0, "conn_state", "S1");
    CHECK_CONN(&b, 0, "history", "ShA");
    CHECK_CONN(&b, 0, "orig_pkts", "3");
    bed_free(&b);
}

/* ---- headers ---- */

/* Every cut and every header length: nothing is read that is not there, and it is one connection or
 * none. */
static void test_cut_and_impossible_headers(void **state)
{
    (void)state;
    for (unsigned offset = 0; offset < 16; offset++) {
        for (uint32_t captured = 20; captured <= 20 + 24 + 5; captured++) {
            struct flow_bed b;
            bed_open(&b);
            frame_begin(&b.frame, "hello", 5);
            frame_tcp(&b.frame, 40000, 80, 1000, 0, TCP_SYN, 100, 3);
            b.frame.bytes[b.frame.at + 12] = (uint8_t)(offset << 4);
            frame_ip(&b.frame, &b.end[0], &b.end[1], 6);
            bed_packet(&b, 6, 0, captured);
            if (captured < 40)
                assert_string_equal(b.no_flow, "internally_truncated_header");
            bed_close(&b);
            assert_int_equal(log_rows(b.conn), captured >= 40 ? 1 : 0);
            if (captured >= 40 && offset < 5)
                bed_check_weird(&b, "bad_TCP_header_len", true);
            bed_free(&b);
        }
    }
}

static void test_christmas(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    for (unsigned flags = 0; flags < 256; flags++) {
        b.port[0] = (uint16_t)(1024 + flags);
        for (int times = 0; times < 3; times++)
            for (int dir = 0; dir < 2; dir++) {
                frame_begin(&b.frame, "hello", 5);
                frame_tcp(&b.frame, b.port[dir], b.port[!dir], 1000, 1, (uint8_t)flags, 100, 15);
                frame_ip(&b.frame, &b.end[dir], &b.end[!dir], 6);
                bed_packet(&b, 6, dir, UINT32_MAX);
            }
    }
    bed_close(&b);
    assert_true(log_rows(b.conn) >= 256);
    bed_check_weird(&b, "TCP_christmas", true);
    bed_check_weird(&b, "baroque_SYN", true);
    bed_check_weird(&b, "SYN_with_data", true);
    bed_free(&b);
}

/* ---- acknowledgements, for capture_loss.log ---- */

static void check_acks(const struct flow_bed *b, uint64_t n_acks, uint64_t n_gaps)
{
    assert_int_equal(b->context.counters.n_acks, n_acks);
    assert_int_equal(b->context.counters.n_gaps, n_gaps);
}

static void test_acks_of_what_was_seen(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    check_acks(&b, 0, 0); /* of the SYNs: no data */
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    check_acks(&b, 0, 0);
    bed_tcp(&b, 1, "A", 1, 3, ""); /* of a part of it */
    check_acks(&b, 1, 0);
    bed_tcp(&b, 1, "A", 1, 6, "");
    check_acks(&b, 2, 0);
    bed_tcp(&b, 1, "A", 1, 6, ""); /* nothing new */
    bed_tcp(&b, 1, "PA", 1, 6, "ok");
    check_acks(&b, 2, 0);
    bed_tcp(&b, 0, "A", 6, 3, "");
    check_acks(&b, 3, 0);
    bed_tcp(&b, 0, "PA", 8, 3, "later"); /* out of order, but it comes */
    assert_int_equal(b.context.counters.tcp_bytes, 5);
    bed_tcp(&b, 0, "PA", 6, 3, "us");
    assert_int_equal(b.context.counters.tcp_bytes, 0);
    bed_tcp(&b, 1, "A", 3, 13, "");
    check_acks(&b, 4, 0);
    bed_tcp(&b, 0, "FA", 13, 3, "");
    bed_tcp(&b, 1, "FA", 3, 14, "");
    bed_tcp(&b, 0, "A", 14, 4, "");
    check_acks(&b, 4, 0); /* the FINs' numbers are no data */
    bed_close(&b);
    bed_free(&b);
}

static void test_acks_of_what_was_not_seen(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_handshake(&b);
    bed_tcp(&b, 1, "A", 1, 101, ""); /* all of it is missing */
    check_acks(&b, 1, 1);
    bed_tcp(&b, 0, "PA", 101, 1, "seen");
    bed_tcp(&b, 1, "A", 1, 201, ""); /* its end is missing */
    check_acks(&b, 2, 2);
    bed_tcp(&b, 0, "PA", 211, 1, "seen"); /* a hole in the middle */
    assert_int_equal(b.context.counters.tcp_bytes, 4);
    bed_tcp(&b, 1, "A", 1, 215, "");
    assert_int_equal(b.context.counters.tcp_bytes, 0);
    check_acks(&b, 3, 3);
    bed_tcp(&b, 0, "PA", 215, 1, "seen");
    bed_tcp(&b, 1, "A", 1, 220, ""); /* one more than was sent: of a FIN that was not seen */
    check_acks(&b, 4, 3);
    bed_tcp(&b, 1, "A", 1, 221, ""); /* one byte that was not seen, alone */
    check_acks(&b, 5, 4);
    bed_close(&b);
    bed_free(&b);
}

/* Where one end's handshake was not seen, or only one direction is, nothing can be told. */
static void test_acks_of_halves_do_not_count(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "middle");
    bed_tcp(&b, 1, "PA", 1, 500, "of it");
    bed_tcp(&b, 0, "PA", 600, 700, "more");
    check_acks(&b, 0, 0);
    b.port[0]++;
    bed_tcp(&b, 0, "S", 0, 0, "");
    bed_tcp(&b, 0, "A", 1, 1, "");
    bed_tcp(&b, 0, "PA", 1, 5000, "x");
    check_acks(&b, 0, 0);
    bed_close(&b);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_history_repeats_at_powers_of_ten),
        cmocka_unit_test(test_history_of_windows),
        cmocka_unit_test(test_history_of_gaps),
        cmocka_unit_test(test_long_history),
        cmocka_unit_test(test_server_port_decides_without_syn),
        cmocka_unit_test(test_syn_ack_before_syn),
        cmocka_unit_test(test_numbers_go_round_at_the_start),
        cmocka_unit_test(test_more_than_four_gigabytes),
        cmocka_unit_test(test_old_data_after_going_round),
        cmocka_unit_test(test_reuse_of_ports),
        cmocka_unit_test(test_reuse_while_open),
        cmocka_unit_test(test_the_same_syn_again_is_no_reuse),
        cmocka_unit_test(test_cut_and_impossible_headers),
        cmocka_unit_test(test_christmas),
        cmocka_unit_test(test_acks_of_what_was_seen),
        cmocka_unit_test(test_acks_of_what_was_not_seen),
        cmocka_unit_test(test_acks_of_halves_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
