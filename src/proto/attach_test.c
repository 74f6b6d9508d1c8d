/* Which analyzer looks at a connection, and what it is given. Analyzers of the table are watched by
 * what they log; others, made here, are started by them. */
#include "proto/attach.h"

#include "flow/flow_bed.h"
#include "proto/analyzer.h"

static void open_attached(struct flow_bed *b, uint16_t port)
{
    bed_open(b);
    b->context.payload = &attach_ops;
    b->port[1] = port;
    bed_handshake(b);
}

static struct analysis *analysis_of(const struct flow_bed *b, const struct analyzer *analyzer)
{
    struct analysis *a = more_of(b->flow) ? more_of(b->flow)->analyses : NULL;
    while (a && a->analyzer != analyzer)
        a = a->next;
    return a;
}

#define REQUEST "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

/* ---- by port, by content ---- */

static void test_by_port(void **state)
{
    (void)state;
    struct flow_bed b;
    open_attached(&b, 80);
    assert_null(b.flow->more); /* nothing before there is payload */
    bed_tcp(&b, 0, "PA", 1, 1, "G");
    assert_non_null(analysis_of(&b, &analyzer_http));
    bed_close(&b);
    CHECK_CONN(&b, 0, "service", "-"); /* never confirmed */
    bed_free(&b);
}

/* The request in two pieces, cut anywhere, on a port of nobody: all of it reaches the analyzer. */
static void test_by_content(void **state)
{
    (void)state;
    const size_t size = strlen(REQUEST);
    for (size_t cut = 1; cut <= size; cut++) {
        struct flow_bed b;
        open_attached(&b, 12345);
        bed_tcp_bytes(&b, 0, "PA", 1, 1, REQUEST, cut);
        if (cut < size)
            bed_tcp_bytes(&b, 0, "PA", 1 + (uint32_t)cut, 1, &REQUEST[cut], size - cut);
        bed_tcp(&b, 1, "PA", 1, 1 + (uint32_t)size, "HTTP/1.1 204 No Content\r\n\r\n");
        assert_non_null(analysis_of(&b, &analyzer_http));
        flow_table_free(b.context.table);
        b.context.table = NULL;
        log_bed_close(&b.logs);
        char *http = log_bed_take(&b.logs, "http");
        CHECK_CELL(http, 0, "method", "GET");
        CHECK_CELL(http, 0, "host", "a");
        CHECK_CELL(http, 0, "status_code", "204");
        assert_int_equal(log_rows(http), 1);
        free(http);
        char *conn = log_bed_take(&b.logs, "conn");
        CHECK_CELL(conn, 0, "service", "http");
        free(conn);
        log_bed_remove(&b.logs);
        assert_int_equal(pool_used(b.context.pool), 0);
        weird_memory_free(b.context.weirds);
        pool_free(b.context.pool);
        bed_free(&b);
    }
}

static void test_nobodys_bytes_are_given_back(void **state)
{
    (void)state;
    struct flow_bed b;
    open_attached(&b, 12345);
    for (uint32_t i = 0; i < 100; i++)
        bed_tcp(&b, 0, "PA", 1 + i * 50, 1,
                "\1\2\3\4\5 this is no protocol that anybody knows . . .");
    assert_null(flow_early(b.flow));
    assert_int_equal(b.flow->probed, 3);
    assert_int_equal(pool_used(b.context.pool), 0);
    bed_close(&b);
    CHECK_CONN(&b, 0, "service", "-");
    bed_free(&b);
}

/* Analyzers may say "perhaps" for ever: what is kept for them has a limit. */
static void test_first_bytes_have_a_limit(void **state)
{
    (void)state;
    for (int dir = 0; dir < 2; dir++) {
        struct flow_bed b;
        open_attached(&b, 12345);
        size_t most = 0;
        for (uint32_t i = 0; i < 3000; i++) {
            /* A request line without an end. */
            bed_tcp(&b, dir, "PA", 1 + i, 1, i < 4 ? (const char *[]){"G", "E", "T", " "}[i] : "x");
            if (pool_used(b.context.pool) > most)
                most = pool_used(b.context.pool);
        }
        assert_true(most < 64u << 10);
        assert_null(flow_early(b.flow));
        bed_close(&b);
        bed_free(&b);
    }
}

static void test_a_gap_before_anything_was_recognised(void **state)
{
    (void)state;
    struct flow_bed b;
    open_attached(&b, 12345);
    bed_tcp(&b, 0, "PA", 1, 1, "GE");
    bed_tcp(&b, 1, "A", 1, 10, "");
    bed_tcp(&b, 0, "PA", 10, 1, REQUEST);
    assert_int_equal(b.flow->probed, 3);
    bed_close(&b);
    CHECK_CONN(&b, 0, "missed_bytes", "7");
    bed_free(&b);
}

/* ---- what analyzers may ask for ---- */

static unsigned n_started, n_ended, n_fins, n_gaps;
static char heard[2][200];

static void on_start(struct analysis *a)
{
    (void)a;
    n_started++;
}

static void on_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    assert_int_equal(a->state ? *(uint8_t *)a->state : 0, 0);
    size_t at = strlen(heard[dir]);
    assert_true(at + size < sizeof heard[dir]);
    memcpy(heard[dir] + at, bytes, size);
}

static void on_gap(struct analysis *a, int dir, uint64_t size)
{
    (void)a;
    (void)dir;
    (void)size;
    n_gaps++;
}

static void on_fin(struct analysis *a, int dir)
{
    (void)a;
    (void)dir;
    n_fins++;
}

static void on_end(struct analysis *a)
{
    (void)a;
    n_ended++;
}

static const struct analyzer child = {.name = "child",
                                      .transports = ANALYZER_TCP | ANALYZER_UDP,
                                      .state_size = 40,
                                      .start = on_start,
                                      .data = on_data,
                                      .gap = on_gap,
                                      .fin = on_fin,
                                      .end = on_end};

static struct analysis *start_child(struct flow_bed *b)
{
    n_started = n_ended = n_fins = n_gaps = 0;
    memset(heard, 0, sizeof heard);
    open_attached(b, 80);
    bed_tcp(b, 0, "PA", 1, 1, REQUEST);
    struct analysis *a = analysis_start(analysis_of(b, &analyzer_http), &child);
    assert_non_null(a);
    assert_null(analysis_start(a->parent, &child)); /* one of a kind */
    assert_int_equal(n_started, 1);
    return a;
}

/* Bytes go to the one that was started only when its parent has finished. */
static void test_handing_over(void **state)
{
    (void)state;
    struct flow_bed b;
    struct analysis *a = start_child(&b);
    uint32_t seq = 1 + (uint32_t)strlen(REQUEST);
    bed_tcp(&b, 0, "PA", seq, 1, "one ");
    assert_string_equal(heard[0], "");
    analysis_feed(a, FLOW_ORIG, (const uint8_t *)"by hand ", 8);
    analysis_finish(a->parent);
    bed_tcp(&b, 0, "PA", seq + 4, 1, "two ");
    bed_tcp(&b, 1, "PA", 1, seq + 8, "answer");
    assert_string_equal(heard[0], "by hand two ");
    assert_string_equal(heard[1], "answer");
    bed_tcp(&b, 0, "PA", seq + 18, 7, "late");
    bed_tcp(&b, 1, "A", 7, seq + 22, "");
    assert_int_equal(n_gaps, 1);
    assert_string_equal(heard[0], "by hand two late");
    analysis_confirm(a);
    analysis_confirm(a);
    bed_tcp(&b, 0, "FA", seq + 22, 7, "");
    bed_tcp(&b, 1, "A", 7, seq + 23, "");
    assert_int_equal(n_fins, 1);
    analysis_finish(a);
    bed_tcp(&b, 1, "PA", 7, seq + 23, "unheard");
    assert_string_equal(heard[1], "answer");
    bed_close(&b);
    assert_int_equal(n_ended, 1);
    CHECK_CONN(&b, 0, "service", "http,child");
    bed_free(&b);
}

static void test_violation(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct flow_bed b;
        struct analysis *a = start_child(&b);
        analysis_confirm(a);
        if (late) {
            static char data[11000];
            bed_tcp_bytes(&b, 1, "PA", 1, 1, data, sizeof data);
        }
        assert_int_equal(analysis_violation(a, "for a test"), !late);
        assert_int_equal(a->finished, !late);
        analysis_confirm(a); /* too late */
        bed_close(&b);
        assert_int_equal(n_ended, 1);
        CHECK_CONN(&b, 0, "service", late ? "http,child" : "http");
        bed_free(&b);
    }
}

/* One starts another, and that one another: not for ever. */
static void test_no_endless_chain(void **state)
{
    (void)state;
    struct flow_bed b;
    struct analysis *a = start_child(&b);
    unsigned n = 1;
    while (n < 100 && (a = analysis_start(a, &child)))
        n++;
    assert_true(n < 10);
    bed_close(&b);
    assert_int_equal(n_ended, n);
    assert_int_equal(n_started, n);
    bed_free(&b);
}

/* Names in the table are unique, ports are where their transport is. */
static void test_table(void **state)
{
    (void)state;
    size_t n = 0;
    for (; analyzers[n]; n++) {
        const struct analyzer *a = analyzers[n];
        assert_true(a->name && a->name[0] && strlen(a->name) < 24);
        for (const char *c = a->name; *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_');
        for (size_t k = 0; k < n; k++)
            assert_ptr_not_equal(a, analyzers[k]);
        assert_true(a->transports != 0);
        assert_true(a->tcp_ports[0] == 0 || a->transports & ANALYZER_TCP);
        assert_true(a->udp_ports[0] == 0 || a->transports & ANALYZER_UDP);
        assert_int_equal(a->tcp_ports[sizeof a->tcp_ports / 2 - 1], 0);
    }
    assert_true(n >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_port),
        cmocka_unit_test(test_by_content),
        cmocka_unit_test(test_nobodys_bytes_are_given_back),
        cmocka_unit_test(test_first_bytes_have_a_limit),
        cmocka_unit_test(test_a_gap_before_anything_was_recognised),
        cmocka_unit_test(test_handing_over),
        cmocka_unit_test(test_violation),
        cmocka_unit_test(test_no_endless_chain),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
