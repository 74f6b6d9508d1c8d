/* Connections that stay open: a row for each full hour, with what there was since the beginning. */
#include "flow/open_report.h"

#include "flow/flow_bed.h"

#define MINUTE (60 * SECOND)

static void report(struct flow_bed *b, struct open_report *r)
{
    open_report_begin(r, &b->context);
    while (r->running)
        open_report_step(r, &b->context);
}

/* Something is said every minute, and after it open connections are reported. `seq`: the next. */
static void talk_minutes(struct flow_bed *b, struct open_report *r, uint32_t n, uint32_t *seq)
{
    b->step = MINUTE - MS;
    for (uint32_t i = 0; i < n; i++) {
        bed_tcp(b, 0, "PA", *seq, 1, "x");
        b->step = MS;
        bed_tcp(b, 1, "A", 1, ++*seq, "");
        b->step = MINUTE - MS;
        bed_expire(b);
        report(b, r);
    }
}

static void test_each_full_hour(void **state)
{
    (void)state;
    struct flow_bed b;
    struct open_report r = {0};
    uint32_t seq = 1;
    bed_open(&b);
    bed_handshake(&b);
    talk_minutes(&b, &r, 59, &seq);
    assert_int_equal(b.n_opens, 0);
    talk_minutes(&b, &r, 1, &seq);
    assert_int_equal(b.n_opens, 1);
    talk_minutes(&b, &r, 59, &seq);
    assert_int_equal(b.n_opens, 1);
    talk_minutes(&b, &r, 61, &seq);
    assert_int_equal(b.n_opens, 3);
    bed_close(&b);
    assert_int_equal(b.n_opens, 3);
    assert_int_equal(log_rows(b.open_conn), 3);
    assert_int_equal(log_rows(b.conn), 1);
    CHECK_CELL(b.open_conn, 0, "duration", "3600.002000");
    CHECK_CELL(b.open_conn, 1, "duration", "7200.002000");
    CHECK_CELL(b.open_conn, 2, "duration", "10800.002000");
    CHECK_CELL(b.open_conn, 0, "orig_bytes", "60");
    CHECK_CELL(b.open_conn, 1, "orig_bytes", "120");
    CHECK_CELL(b.open_conn, 2, "orig_bytes", "180");
    CHECK_CELL(b.open_conn, 0, "conn_state", "S1");
    CHECK_CELL(b.open_conn, 2, "history", "ShADa");
    CHECK_CELL(b.open_conn, 2, "ts", "1700000000.001000");
    char *uid = log_cell(b.conn, 0, "uid");
    CHECK_CELL(b.open_conn, 0, "uid", uid);
    CHECK_CELL(b.open_conn, 2, "uid", uid);
    free(uid);
    /* The same columns as conn.log. */
    const char *fields = strstr(b.conn, "#fields"), *open = strstr(b.open_conn, "#fields");
    const char *end = strstr(fields, "\n17");
    assert_non_null(end);
    assert_memory_equal(fields, open, (size_t)(end - fields));
    bed_free(&b);
}

/* Rounds may come late, or seldom: what was passed since the last one is one row. */
static void test_late_rounds(void **state)
{
    (void)state;
    struct flow_bed b;
    struct open_report r = {0};
    bed_open(&b);
    report(&b, &r); /* of nobody */
    bed_handshake(&b);
    for (int i = 0; i < 3 * 60 + 30; i++) {
        b.step = MINUTE;
        bed_tcp(&b, i & 1, "A", 1, 1, "");
    }
    assert_int_equal(b.n_opens, 0);
    report(&b, &r);
    assert_int_equal(b.n_opens, 1);
    report(&b, &r); /* at the same time: nobody passed an hour */
    assert_int_equal(b.n_opens, 1);
    bed_wait(&b, 29 * MINUTE);
    report(&b, &r);
    assert_int_equal(b.n_opens, 1);
    bed_wait(&b, 2 * MINUTE);
    report(&b, &r);
    assert_int_equal(b.n_opens, 2);
    bed_close(&b);
    assert_int_equal(log_rows(b.open_conn), 2);
    bed_free(&b);
}

/* Closed ones, those of other workers, and those that lack a second; and one of a day, which is one
 * row. */
static void test_those_that_are_not_open(void **state)
{
    (void)state;
    struct flow_bed b;
    struct open_report r = {0};
    bed_open(&b);
    struct flow *shadow = bed_udp(&b, 0, "x");
    shadow->shadow = 1;
    shadow->first -= 25 * 60 * MINUTE;
    b.port[0]++;
    bed_handshake(&b);
    b.flow->first -= 25 * 60 * MINUTE;
    bed_tcp(&b, 0, "FA", 1, 1, "");
    bed_tcp(&b, 1, "FA", 1, 2, "");
    bed_tcp(&b, 0, "A", 2, 2, "");
    assert_true(b.flow->is_closing);
    b.port[0]++;
    bed_udp(&b, 0, "x")->first -= 59 * MINUTE + 59 * SECOND;
    report(&b, &r);
    assert_int_equal(b.n_opens, 0);
    b.port[0]++;
    bed_udp(&b, 0, "x")->first -= 25 * 60 * MINUTE;
    bed_wait(&b, SECOND);
    report(&b, &r);
    assert_int_equal(b.n_opens, 2);
    bed_close(&b);
    assert_int_equal(log_rows(b.open_conn), 2);
    bed_free(&b);
}

static void make_old(struct flow *f, void *with)
{
    (void)with;
    f->first -= 90 * MINUTE;
}

/* Of many, a piece at each step; who comes or goes in between is reported once or never. */
static void test_many(void **state)
{
    (void)state;
    enum { N = 10000 };
    struct flow_bed b;
    struct open_report r = {0};
    bed_open(&b);
    b.step = 0;
    struct flow *last = NULL;
    for (uint16_t i = 0; i < N; i++) {
        b.port[0] = (uint16_t)(1000 + i);
        last = bed_udp(&b, 0, "x");
    }
    assert_int_equal(flow_table_counters(b.context.table)->n_now, N);
    assert_int_equal(flow_table_size(b.context.table), N);
    flow_table_each(b.context.table, make_old, NULL);
    open_report_begin(&r, &b.context);
    open_report_step(&r, &b.context);
    assert_true(r.running);
    unsigned n_first = b.n_opens;
    assert_in_range(n_first, 1, N / 2);
    open_report_begin(&r, &b.context); /* goes on, does not begin anew */
    flow_table_end(b.context.table, last);
    b.port[0]++;
    bed_udp(&b, 0, "x"); /* in the place of the one that went */
    unsigned n_steps = 1;
    for (; r.running; n_steps++) {
        unsigned before = b.n_opens;
        open_report_step(&r, &b.context);
        assert_true(b.n_opens - before <= n_first);
    }
    assert_true(n_steps <= N / n_first + 2);
    assert_int_equal(b.n_opens, N - 1);
    open_report_step(&r, &b.context); /* nothing is left to do */
    assert_int_equal(b.n_opens, N - 1);
    bed_close(&b);
    assert_int_equal(log_rows(b.open_conn), N - 1);
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_full_hour),
        cmocka_unit_test(test_late_rounds),
        cmocka_unit_test(test_those_that_are_not_open),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
