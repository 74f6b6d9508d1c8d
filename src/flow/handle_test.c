/* From packets to connections: ICMP's pairs, UDP's sizes, other protocols, what is cut or wrong. */
#include "flow/flow_bed.h"

static const struct addr v6_a = {{0xfd, [15] = 1}}, v6_b = {{0xfd, [15] = 2}};

/* ---- ICMP ---- */

static void check_pair(bool v6, uint8_t ask, uint8_t answer, bool pair)
{
    struct flow_bed b;
    bed_open(&b);
    if (v6) {
        b.end[0] = v6_a;
        b.end[1] = v6_b;
    }
    bed_icmp(&b, 0, ask, 0);
    bed_icmp(&b, 1, answer, 0);
    bed_icmp(&b, 0, ask, 0);
    bed_close(&b);
    if (log_rows(b.conn) != (pair ? 1u : 2u))
        fail_msg("types %u and %u: %zu connections", ask, answer, log_rows(b.conn));
    char text[8];
    snprintf(text, sizeof text, "%u", ask);
    CHECK_CONN(&b, 0, "id.orig_p", text);
    CHECK_CONN(&b, 0, "proto", "icmp");
    CHECK_CONN(&b, 0, "ip_proto", v6 ? "58" : "1");
    CHECK_CONN(&b, 0, "conn_state", "OTH");
    CHECK_CONN(&b, 0, "history", "-");
    if (pair) {
        snprintf(text, sizeof text, "%u", answer);
        CHECK_CONN(&b, 0, "id.resp_p", text);
        CHECK_CONN(&b, 0, "orig_bytes", "16");
        CHECK_CONN(&b, 0, "resp_bytes", "8");
        CHECK_CONN(&b, 0, "orig_pkts", "2");
        CHECK_CONN(&b, 0, "resp_ip_bytes", v6 ? "56" : "36");
    }
    bed_free(&b);
}

static void test_icmp_pairs(void **state)
{
    (void)state;
    static const uint8_t four[][2] = {{8, 0}, {13, 14}, {15, 16}, {17, 18}, {10, 9}};
    static const uint8_t six[][2] = {{128, 129}, {133, 134}, {135, 136}, {139, 140}, {144, 145}};
    for (size_t i = 0; i < sizeof four / 2; i++) {
        check_pair(false, four[i][0], four[i][1], true);
        check_pair(false, four[i][1], four[i][0], true);
        check_pair(true, six[i][0], six[i][1], true);
    }
    check_pair(false, 3, 8, false);
    check_pair(false, 3, 3, false); /* the same type from both ends: two one-way messages */
    check_pair(true, 1, 1, false);
}

static void test_icmp_code_is_the_port_of_what_is_not_answered(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_icmp(&b, 0, 3, 1);
    bed_icmp(&b, 0, 3, 3);
    bed_icmp(&b, 0, 3, 1);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    CHECK_CONN(&b, 0, "id.orig_p", "3");
    CHECK_CONN(&b, 0, "id.orig_h", "10.0.0.1");
    bed_free(&b);
}

/* ---- UDP ---- */

static void test_udp(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.port[1] = 9999;
    bed_udp(&b, 0, "four");
    bed_udp(&b, 1, "seven..");
    bed_udp(&b, 0, "");
    bed_check_stream(&b, 0, "four", 0);
    bed_check_stream(&b, 1, "seven..", 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "proto", "udp");
    CHECK_CONN(&b, 0, "conn_state", "SF");
    CHECK_CONN(&b, 0, "history", "Dd");
    CHECK_CONN(&b, 0, "orig_bytes", "4");
    CHECK_CONN(&b, 0, "resp_bytes", "7");
    CHECK_CONN(&b, 0, "orig_ip_bytes", "60");
    CHECK_CONN(&b, 0, "duration", "0.002000");
    CHECK_CONN(&b, 0, "service", "-");
    bed_free(&b);
}

static void test_udp_answer_first(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.port[1] = 53;
    bed_udp(&b, 1, "answer");
    bed_close(&b);
    CHECK_CONN(&b, 0, "id.resp_p", "53");
    CHECK_CONN(&b, 0, "conn_state", "SHR");
    CHECK_CONN(&b, 0, "history", "^d");
    bed_free(&b);
}

/* The header says more, less or nothing: never is more delivered than there is. */
static void test_udp_length_that_lies(void **state)
{
    (void)state;
    static const uint16_t lengths[] = {0, 7, 8, 10, 12, 14, 65535};
    for (size_t i = 0; i < sizeof lengths / 2; i++) {
        struct flow_bed b;
        bed_open(&b);
        frame_begin(&b.frame, "four", 4);
        frame_udp(&b.frame, b.port[0], b.port[1]);
        frame_set16(&b.frame, 4, lengths[i]);
        frame_ip(&b.frame, &b.end[0], &b.end[1], 17);
        bed_packet(&b, 17, 0, UINT32_MAX);
        bed_check_stream(&b, 0, "four", 0);
        bed_udp(&b, 0, "");
        bed_close(&b);
        char text[16];
        snprintf(text, sizeof text, "%d", lengths[i] < 8 ? 0 : lengths[i] - 8);
        CHECK_CONN(&b, 0, "orig_bytes", text);
        bed_check_weird(&b, "UDP_datagram_length_mismatch", lengths[i] != 12);
        bed_free(&b);
    }
}

static void test_cut_datagrams(void **state)
{
    (void)state;
    for (uint32_t captured = 20; captured <= 20 + 8 + 4; captured++) {
        struct flow_bed b;
        bed_open(&b);
        frame_begin(&b.frame, "four", 4);
        frame_udp(&b.frame, b.port[0], b.port[1]);
        frame_ip(&b.frame, &b.end[0], &b.end[1], 17);
        bed_packet(&b, 17, 0, captured);
        if (captured < 28) {
            assert_null(b.flow);
            assert_string_equal(b.no_flow, "internally_truncated_header");
        } else {
            assert_int_equal(b.stream[0].size, captured - 28);
            assert_int_equal(conn_payload_bytes(b.flow, 0), 4);
        }
        bed_close(&b);
        bed_free(&b);
    }
}

/* ---- others ---- */

static void test_other_protocols(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    for (int proto = 0; proto < 256; proto++) {
        if (proto == 1 || proto == 6 || proto == 17 || proto == 58)
            continue;
        for (int dir = 0; dir < 2; dir++) {
            frame_begin(&b.frame, "abc", 3);
            frame_ip(&b.frame, &b.end[dir], &b.end[!dir], (uint8_t)proto);
            assert_non_null(bed_packet(&b, (uint8_t)proto, dir, UINT32_MAX));
        }
    }
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 252);
    CHECK_CONN(&b, 0, "proto", "unknown_transport");
    CHECK_CONN(&b, 5, "ip_proto", "7");
    CHECK_CONN(&b, 0, "id.orig_p", "0");
    CHECK_CONN(&b, 0, "orig_ip_bytes", "23");
    CHECK_CONN(&b, 0, "resp_pkts", "1");
    bed_free(&b);
}

static void test_ipv6(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.end[0] = v6_b; /* the higher one begins */
    b.end[1] = v6_a;
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_close(&b);
    CHECK_CONN(&b, 0, "id.orig_h", "fd00::2");
    CHECK_CONN(&b, 0, "id.resp_h", "fd00::1");
    CHECK_CONN(&b, 0, "orig_ip_bytes", "185");
    CHECK_CONN(&b, 0, "local_orig", "T");
    bed_free(&b);
}

static void test_wrong_checksums(void **state)
{
    (void)state;
    for (int validate = 0; validate < 2; validate++) {
        for (int good = 0; good < 2; good++) {
            struct flow_bed b;
            bed_open(&b);
            b.context.validate_checksums = validate;
            for (int i = 0; i < 10; i++) {
                frame_begin(&b.frame, "data", 4);
                b.frame.checksums = true;
                frame_udp(&b.frame, b.port[0], b.port[1]);
                frame_ip(&b.frame, &b.end[0], &b.end[1], 17);
                if (!good)
                    b.frame.bytes[FRAME_BED_MAX - 1] ^= 1;
                bed_packet(&b, 17, 0, UINT32_MAX);
            }
            assert_int_equal(b.stream[0].size, validate && !good ? 0 : 40);
            bed_close(&b);
            CHECK_CONN(&b, 0, "history", validate && !good ? "CC" : "D");
            CHECK_CONN(&b, 0, "orig_pkts", "10");
            bed_check_weird(&b, "bad_UDP_checksum", validate && !good);
            bed_free(&b);
        }
    }
}

/* Nothing is written twice, nothing is lost, when both ends are the same. */
static void test_talking_to_oneself(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.end[1] = b.end[0];
    bed_handshake(&b);
    bed_tcp(&b, 0, "PA", 1, 1, "hello");
    bed_tcp(&b, 1, "A", 1, 6, "");
    b.port[0] = b.port[1] = 7;
    bed_udp(&b, 0, "echo");
    bed_udp(&b, 1, "echo");
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 2);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_icmp_pairs),
        cmocka_unit_test(test_icmp_code_is_the_port_of_what_is_not_answered),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_udp_answer_first),
        cmocka_unit_test(test_udp_length_that_lies),
        cmocka_unit_test(test_cut_datagrams),
        cmocka_unit_test(test_other_protocols),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_wrong_checksums),
        cmocka_unit_test(test_talking_to_oneself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
