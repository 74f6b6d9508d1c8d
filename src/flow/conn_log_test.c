/* conn.log: the columns, and how a connection's numbers become text. States are in tcp_test.c. */
#include "flow/flow_bed.h"

static void test_columns(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_udp(&b, 0, "x");
    bed_close(&b);
    assert_non_null(strstr(
        b.conn, "\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\t"
                "duration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\t"
                "missed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\t"
                "tunnel_parents\tip_proto\n"));
    assert_non_null(strstr(
        b.conn, "\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\t"
                "count\tstring\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\t"
                "set[string]\tcount\n"));
    bed_free(&b);
}

static void test_one_packet_has_no_duration(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.context.now += 123456789; /* ns */
    bed_udp(&b, 0, "hello");
    bed_close(&b);
    CHECK_CONN(&b, 0, "ts", "1700000000.124457");
    CHECK_CONN(&b, 0, "duration", "-");
    CHECK_CONN(&b, 0, "orig_bytes", "-");
    CHECK_CONN(&b, 0, "resp_bytes", "-");
    CHECK_CONN(&b, 0, "orig_pkts", "1");
    CHECK_CONN(&b, 0, "local_orig", "T");
    CHECK_CONN(&b, 0, "local_resp", "F");
    CHECK_CONN(&b, 0, "tunnel_parents", "-");
    bed_free(&b);
}

/* uids depend on key, time and the run's seed, and on nothing else. */
static void test_uids(void **state)
{
    (void)state;
    char *uids[4];
    for (uint64_t i = 0; i < 4; i++) {
        struct flow_bed b;
        bed_open(&b);
        b.context.uid_seed = i == 1;
        if (i == 2)
            bed_wait(&b, 1000);
        bed_udp(&b, 0, "x");
        bed_udp(&b, i == 3, "y"); /* what comes later does not matter */
        bed_close(&b);
        uids[i] = log_cell(b.conn, 0, "uid");
        bed_free(&b);
        assert_int_equal(strlen(uids[i]), 18);
        assert_int_equal(uids[i][0], 'C');
        assert_int_equal(
            strspn(uids[i], "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"), 18);
    }
    assert_string_not_equal(uids[0], uids[1]);
    assert_string_not_equal(uids[0], uids[2]);
    assert_string_equal(uids[0], uids[3]);
    for (int i = 0; i < 4; i++)
        free(uids[i]);
}

static void test_shadows_are_not_logged(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_udp(&b, 0, "x")->shadow = 1;
    weird_flow(&b.context, b.flow, "something_odd", (struct str){0}, NULL);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 0);
    assert_int_equal(log_rows(b.weird), 0);
    assert_int_equal(b.n_ends, 1);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_one_packet_has_no_duration),
        cmocka_unit_test(test_uids),
        cmocka_unit_test(test_shadows_are_not_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
