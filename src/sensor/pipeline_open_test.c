/* Live: what open_conn.log, open_http.log and open_ssl.log say of connections that stay open, and
 * that the rows join those of the logs of closed ones. */
#include "sensor/arrival.h"
#include "sensor/pipeline_bed.h"

#define MINUTE (60 * SECOND)
#define ACK    16
#define PUSH   24

#define HELLO_HEAD                                                                                 \
    "\3\3"                                                                                         \
    "01234567890123456789012345678901"                                                             \
    "\4same"

static const char client_hello[] = "\x16\3\1\0\x45\1\0\0\x41" HELLO_HEAD "\0\2\xc0\x2f\1\0\0\x12"
                                   "\0\0\0\x0e\0\x0c\0\0\x09"
                                   "a.example";
static const char server_hello[] = "\x16\3\3\0\x2e\2\0\0\x2a" HELLO_HEAD "\xc0\x2f\0";
static const char change_cipher[] = "\x14\3\3\0\1\1";
static const char encrypted[] = "\x16\3\3\0\x10"
                                "0123456789abcdef";
static const char data[] = "\x17\3\3\0\x4"
                           "abcd";
#define TALK_BYTES(t, dir, literal) talk_bytes(t, dir, PUSH, literal, sizeof(literal) - 1)

enum { WEB, RESUMED, UNFINISHED, OTHER, N_TALKS };

struct open_logs {
    char *conn, *http, *ssl, *open_conn, *open_http, *open_ssl;
};

static void describe(const void *with, struct source *source)
{
    (void)with;
    (void)source;
}

static void open_logs_free(struct open_logs *l)
{
    free(l->conn);
    free(l->http);
    free(l->ssl);
    free(l->open_conn);
    free(l->open_http);
    free(l->open_ssl);
}

/* What a live pipeline needs. */
struct bed {
    struct log_bed logs;
    struct network_list *networks;
    struct arrival_rules rules;
    struct arrival arrival;
    struct pipeline_live live;
    struct pipeline *pipeline;
    struct log_column extra[PIPELINE_MAX_EXTRA];
};

static void bed_open(struct bed *b, struct pipeline_options options, enum log_format format)
{
    *b = (struct bed){.networks = network_list_new()};
    b->rules = (struct arrival_rules){.sources = {.describe = describe}, .networks = b->networks};
    b->arrival.rules = &b->rules;
    b->live.arrival = &b->arrival;
    options.mirror = true;
    options.networks = b->networks;
    options.memory = 16u << 20;
    options.live = &b->live;
    log_bed_open(&b->logs, format, b->extra, pipeline_extra_columns(&options, b->extra));
    b->pipeline = pipeline_new(&options, b->logs.writer);
    assert_non_null(b->pipeline);
}

/* Ends all connections. */
static void bed_close(struct bed *b)
{
    pipeline_finish(b->pipeline);
    pipeline_free(b->pipeline);
    network_list_free(b->networks);
    log_bed_close(&b->logs);
}

/* Each packet at its time; open connections are reported every minute. */
static void run_live(const struct frame_list *l, struct pipeline_options options,
                     enum log_format format, struct open_logs *out)
{
    struct bed b;
    bed_open(&b, options, format);
    int64_t next = l->frames[0].ts + MINUTE;
    for (size_t i = 0; i < l->n; i++) {
        for (; l->frames[i].ts >= next; next += MINUTE) {
            pipeline_tick(b.pipeline, next);
            pipeline_report_open(b.pipeline);
        }
        pipeline_frames(b.pipeline, l->frames + i, 1);
    }
    bed_close(&b);
    out->conn = log_bed_take(&b.logs, "conn");
    out->http = log_bed_take(&b.logs, "http");
    out->ssl = log_bed_take(&b.logs, "ssl");
    out->open_conn = log_bed_take(&b.logs, "open_conn");
    out->open_http = log_bed_take(&b.logs, "open_http");
    out->open_ssl = log_bed_take(&b.logs, "open_ssl");
    log_bed_remove(&b.logs);
}

static void begin_talks(struct frame_list *l, struct talk t[N_TALKS])
{
    static const uint16_t ports[N_TALKS] = {80, 443, 443, 9999};
    for (int i = 0; i < N_TALKS; i++) {
        t[i] = talk_begin(l, frame_addr(10, 0, 0, 1), (uint16_t)(40000 + i),
                          frame_addr(93, 184, 216, 34), ports[i]);
        talk_hello(&t[i]);
    }
    talk_segment(&t[WEB], 0, PUSH, "GET /one HTTP/1.1\r\nHost: a\r\n\r\n");
    talk_segment(&t[WEB], 1, PUSH, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    talk_segment(&t[WEB], 0, PUSH, "GET /two HTTP/1.1\r\nHost: a\r\n\r\n");
    talk_segment(&t[WEB], 1, PUSH, "HTTP/1.1 204 No Content\r\n\r\n");
    TALK_BYTES(&t[RESUMED], 0, client_hello);
    TALK_BYTES(&t[RESUMED], 1, server_hello);
    for (int dir = 1; dir >= 0; dir--) {
        TALK_BYTES(&t[RESUMED], dir, change_cipher);
        TALK_BYTES(&t[RESUMED], dir, encrypted);
    }
    TALK_BYTES(&t[UNFINISHED], 0, client_hello);
    TALK_BYTES(&t[OTHER], 0, "\1\2\3 nobody's");
}

static void stay_open(struct frame_list *l, struct talk t[N_TALKS], int minutes)
{
    for (int m = 0; m < minutes; m++) {
        for (int i = 0; i < N_TALKS; i++) {
            if (i == RESUMED)
                TALK_BYTES(&t[i], 1, data);
            talk_segment(&t[i], 0, ACK, "");
            talk_segment(&t[i], 1, ACK, "");
        }
        l->now += MINUTE;
    }
}

static void make_frames(struct frame_list *l)
{
    struct talk t[N_TALKS];
    frames_open(l);
    begin_talks(l, t);
    stay_open(l, t, 90);
    talk_segment(&t[WEB], 0, PUSH, "GET /three HTTP/1.1\r\nHost: a\r\n\r\n");
    stay_open(l, t, 40);
    for (int i = 0; i < N_TALKS; i++)
        talk_bye(&t[i]);
}

/* The row of `log` whose uid is that of the given row of another. */
static size_t join(const char *log, const char *other, size_t row)
{
    char *uid = log_cell(other, row, "uid");
    for (size_t i = 0; i < log_rows(log); i++) {
        char *found = log_cell(log, i, "uid");
        bool same = strcmp(found, uid) == 0;
        free(found);
        if (same) {
            free(uid);
            return i;
        }
    }
    fail_msg("no row with the uid %s", uid);
    return 0;
}

static void check_same_row(const char *a, size_t row_a, const char *b, size_t row_b)
{
    const char *one = log_row(a, row_a), *two = log_row(b, row_b);
    size_t len = strcspn(one, "\n");
    if (len != strcspn(two, "\n") || memcmp(one, two, len) != 0)
        fail_msg("%.*s\n%.*s", (int)len, one, (int)strcspn(two, "\n"), two);
}

static void test_live(void **state)
{
    (void)state;
    struct frame_list l;
    struct open_logs logs;
    make_frames(&l);
    run_live(&l, (struct pipeline_options){.ja3 = true, .ja4 = true}, LOG_FORMAT_TSV, &logs);
    assert_int_equal(log_rows(logs.conn), N_TALKS);
    assert_int_equal(log_rows(logs.open_conn), 2 * N_TALKS);
    for (size_t i = 0; i < 2 * N_TALKS; i++) {
        size_t closed = join(logs.conn, logs.open_conn, i);
        char *port = log_cell(logs.conn, closed, "id.orig_p");
        CHECK_CELL(logs.open_conn, i, "id.orig_p", port);
        free(port);
        char *duration = log_cell(logs.open_conn, i, "duration");
        assert_int_equal((strtod(duration, NULL) + 60) / 3600, 1 + i / N_TALKS);
        free(duration);
        CHECK_CELL(logs.open_conn, i, "conn_state", "S1");
        CHECK_CELL(logs.conn, closed, "conn_state", "SF");
    }

    assert_int_equal(log_rows(logs.http), 3);
    assert_int_equal(log_rows(logs.open_http), 2);
    check_same_row(logs.open_http, 0, logs.http, 1);
    CHECK_CELL(logs.open_http, 0, "uri", "/two");
    CHECK_CELL(logs.open_http, 0, "status_code", "204");
    CHECK_CELL(logs.open_http, 1, "uri", "/three"); /* without its reply */
    CHECK_CELL(logs.open_http, 1, "status_code", "-");
    CHECK_CELL(logs.open_conn, join(logs.open_conn, logs.open_http, 0), "service", "http");

    assert_int_equal(log_rows(logs.ssl), 2);
    assert_int_equal(log_rows(logs.open_ssl), 4);
    for (size_t i = 0; i < 4; i++)
        check_same_row(logs.open_ssl, i, logs.ssl, join(logs.ssl, logs.open_ssl, i));
    CHECK_CELL(logs.ssl, 0, "established", "T");
    CHECK_CELL(logs.ssl, 0, "server_name", "a.example");
    CHECK_CELL(logs.ssl, 1, "established", "F");
    CHECK_CELL(logs.ssl, 1, "ssl_history", "C");
    char *ja4 = log_cell(logs.open_ssl, 0, "ja4");
    assert_memory_equal(ja4, "t12d", 4);
    free(ja4);
    CHECK_CELL(logs.open_conn, join(logs.open_conn, logs.open_ssl, 0), "service", "ssl");
    open_logs_free(&logs);
    frames_free(&l);
}

static void test_json(void **state)
{
    (void)state;
    struct frame_list l;
    struct open_logs logs;
    make_frames(&l);
    run_live(&l, (struct pipeline_options){.community_id = true}, LOG_FORMAT_JSON, &logs);
    const char *end = strchr(logs.ssl, '\n') + 1;
    assert_memory_equal(logs.ssl, logs.open_ssl, (size_t)(end - logs.ssl));
    assert_non_null(strstr(logs.ssl, "\"community_id\":\"1:"));
    assert_non_null(strstr(logs.open_http, "\"uri\":\"/two\""));
    open_logs_free(&logs);
    frames_free(&l);
}

/* Of a capture that is read there are the rows of closed connections only, however long they are.
 */
static void test_captures_have_none(void **state)
{
    (void)state;
    static const char *const names[] = {"open_conn", "open_http", "open_ssl"};
    struct frame_list l;
    struct log_bed logs;
    make_frames(&l);
    log_bed_open(&logs, LOG_FORMAT_TSV, NULL, 0);
    struct pipeline_options options = {.memory = 16u << 20};
    struct pipeline *p = pipeline_new(&options, logs.writer);
    for (size_t i = 0; i < l.n; i++)
        pipeline_frames(p, l.frames + i, 1);
    pipeline_free(p);
    log_bed_close(&logs);
    for (size_t i = 0; i < 3; i++) {
        char *text = log_bed_take(&logs, names[i]);
        assert_string_equal(text, "");
        free(text);
    }
    char *conn = log_bed_take(&logs, "conn");
    assert_int_equal(log_rows(conn), N_TALKS);
    free(conn);
    free(log_bed_take(&logs, "http"));
    free(log_bed_take(&logs, "ssl"));
    log_bed_remove(&logs);
    frames_free(&l);
}

/* No packet comes any more: connections end by the clock all the same. */
static void test_silence_ends_connections(void **state)
{
    (void)state;
    struct bed b;
    struct frame_list l;
    struct pipeline_counters counters;
    frames_open(&l);
    struct talk t = talk_begin(&l, frame_addr(10, 0, 0, 1), 50000, frame_addr(192, 0, 2, 7), 9999);
    talk_udp(&t, 0, "hello", 5);
    bed_open(&b, (struct pipeline_options){.memory = 0}, LOG_FORMAT_TSV);
    pipeline_frames(b.pipeline, l.frames, 1);
    for (int64_t s = 1; s < 60; s++)
        pipeline_tick(b.pipeline, l.frames[0].ts + s * SECOND);
    pipeline_count(b.pipeline, &counters);
    assert_int_equal(counters.flows.n_now, 1);
    assert_int_equal(counters.flows.n_now_of[FLOW_UDP], 1);
    pipeline_tick(b.pipeline, l.frames[0].ts + 60 * SECOND);
    pipeline_tick(b.pipeline, l.frames[0].ts + 61 * SECOND);
    pipeline_count(b.pipeline, &counters);
    assert_int_equal(counters.flows.n_now, 0);
    assert_int_equal(counters.flows.n_now_of[FLOW_UDP], 0);
    assert_int_equal(counters.flows.n_added_of[FLOW_UDP], 1);
    bed_close(&b);
    free(log_bed_take(&b.logs, "conn"));
    log_bed_remove(&b.logs);
    frames_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_captures_have_none),
        cmocka_unit_test(test_silence_ends_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
