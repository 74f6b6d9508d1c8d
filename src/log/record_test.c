/* Records as TSV and JSON: every type, unset and empty values, sets, and lines of any length. */
#include "log/record_bed.h"

#include <inttypes.h>

static const struct log_column columns[] = {
    {"t", LOG_TIME},
    {"i", LOG_INTERVAL},
    {"s", LOG_STRING},
    {"e", LOG_ENUM},
    {"id.a", LOG_ADDR},
    {"p", LOG_PORT},
    {"c", LOG_COUNT},
    {"n", LOG_INT},
    {"d", LOG_DOUBLE},
    {"b", LOG_BOOL},
    {"ss", LOG_SET_STRING},
    {"se", LOG_SET_ENUM},
    {"sa", LOG_SET_ADDR},
    {"vs", LOG_VECTOR_STRING},
    {"vi", LOG_VECTOR_INTERVAL},
    {"va", LOG_VECTOR_ADDR},
    {"vc", LOG_VECTOR_COUNT},
};
static const struct log_schema schema = {.name = "all", LOG_COLUMNS(columns)};
#define N_COLUMNS (sizeof columns / sizeof *columns)

static const struct log_column text_columns[] = {{"a", LOG_STRING}, {"b", LOG_STRING}};
static const struct log_schema text_schema = {.name = "text", LOG_COLUMNS(text_columns)};

static void put_all(struct rec *rec)
{
    struct addr four = addr_v4((const uint8_t[]){192, 0, 2, 1}), six = {{0x20, 1, [15] = 1}};
    rec_time(rec, 1700000000123456789);
    rec_interval(rec, -1500000);
    rec_str(rec, STR("a\tb"));
    rec_text(rec, "tcp");
    rec_addr(rec, &six);
    rec_port(rec, 65535);
    rec_count(rec, UINT64_MAX);
    rec_int(rec, INT64_MIN);
    rec_double(rec, 0.5);
    rec_bool(rec, true);
    rec_set_begin(rec);
    rec_item_str(rec, STR("a,b"));
    rec_item_str(rec, STR(""));
    rec_item_str(rec, STR("-"));
    rec_item_text(rec, NULL);
    rec_set_end(rec);
    rec_set_begin(rec);
    rec_item_text(rec, "ONE");
    rec_set_end(rec);
    rec_set_begin(rec);
    rec_item_addr(rec, &four);
    rec_item_addr(rec, &six);
    rec_set_end(rec);
    rec_set_begin(rec);
    rec_set_end(rec);
    rec_set_begin(rec);
    rec_item_interval(rec, 60000000000);
    rec_item_interval(rec, 0);
    rec_set_end(rec);
    rec_unset(rec);
    rec_set_begin(rec);
    for (uint64_t i = 0; i < 3; i++)
        rec_item_count(rec, i * 1000);
    rec_set_end(rec);
}

static void test_tsv(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    struct rec *rec = log_begin(b.writer, &schema);
    put_all(rec);
    log_end(rec);
    rec = log_begin(b.writer, &schema);
    for (size_t i = 0; i < N_COLUMNS; i++)
        rec_unset(rec);
    log_end(rec);
    log_writer_flush(b.writer);
    assert_int_equal(log_set_n_records(b.set), 2);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "all");
    const char head[] = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n"
                        "#unset_field\t-\n#path\tall\n#open\t";
    assert_memory_equal(text, head, sizeof head - 1);
    assert_non_null(
        strstr(text, "\n#fields\tt\ti\ts\te\tid.a\tp\tc\tn\td\tb\tss\tse\tsa\tvs\tvi\tva\tvc\n"
                     "#types\ttime\tinterval\tstring\tenum\taddr\tport\tcount\tint\tdouble\t"
                     "bool\tset[string]\tset[enum]\tset[addr]\tvector[string]\t"
                     "vector[interval]\tvector[addr]\tvector[count]\n"));
    const char *end = strstr(text, "\n#close\t");
    assert_non_null(end);
    assert_int_equal(strlen(end), strlen("\n#close\t2026-01-01-00-00-00\n"));
    const char row[] =
        "1700000000.123457\t-0.001500\ta\\x09b\ttcp\t2001::1\t65535\t"
        "18446744073709551615\t-9223372036854775808\t0.5\tT\t"
        "a\\x2cb,(empty),\\x2d,-\tONE\t192.0.2.1,2001::1\t(empty)\t60.000000,0.000000\t"
        "-\t0,1000,2000\n";
    assert_memory_equal(log_row(text, 0), row, sizeof row - 1);
    const char unset[] = "-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\t-\n";
    assert_memory_equal(log_row(text, 1), unset, sizeof unset - 1);
    assert_int_equal(log_rows(text), 2);
    free(text);
    log_bed_remove(&b);
}

static void test_json(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_JSON, NULL, 0);
    struct rec *rec = log_begin(b.writer, &schema);
    put_all(rec);
    log_end(rec);
    rec = log_begin(b.writer, &schema);
    for (size_t i = 0; i < N_COLUMNS; i++)
        rec_unset(rec);
    log_end(rec);
    rec = log_begin(b.writer, &schema);
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (i == 9)
            rec_bool(rec, false);
        else
            rec_unset(rec);
    log_end(rec);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "all");
    assert_string_equal(
        text,
        "{\"t\":1700000000.123457,\"i\":-0.0015,\"s\":\"a\\tb\",\"e\":\"tcp\",\"id.a\":\"2001::1\","
        "\"p\":65535,\"c\":18446744073709551615,\"n\":-9223372036854775808,\"d\":0.5,"
        "\"b\":true,\"ss\":[\"a,b\",\"\",\"-\",null],\"se\":[\"ONE\"],"
        "\"sa\":[\"192.0.2.1\",\"2001::1\"],\"vs\":[],\"vi\":[60.0,0.0],\"vc\":[0,1000,2000]}\n"
        "{}\n"
        "{\"b\":false}\n");
    free(text);
    log_bed_remove(&b);
}

/* ---- values ---- */

static char *one_text(enum log_format format, struct str value)
{
    struct log_bed b;
    log_bed_open(&b, format, NULL, 0);
    struct rec *rec = log_begin(b.writer, &text_schema);
    rec_str(rec, value);
    rec_str(rec, STR("end"));
    log_end(rec);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "text");
    log_bed_remove(&b);
    return text;
}

static void test_empty_and_unset_text(void **state)
{
    (void)state;
    static const struct {
        struct str value;
        const char *tsv, *json;
    } rows[] = {
        {{NULL, 0}, "-", "{\"b\":\"end\"}\n"},
        {{"", 0}, "(empty)", "{\"a\":\"\",\"b\":\"end\"}\n"},
        {{"-", 1}, "\\x2d", "{\"a\":\"-\",\"b\":\"end\"}\n"},
        {{"(empty)", 7}, "\\x28empty)", "{\"a\":\"(empty)\",\"b\":\"end\"}\n"},
        {{"a\0b", 3}, "a\\x00b", "{\"a\":\"a\\\\x00b\",\"b\":\"end\"}\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = one_text(LOG_FORMAT_TSV, rows[i].value);
        CHECK_CELL(text, 0, "a", rows[i].tsv);
        CHECK_CELL(text, 0, "b", "end");
        free(text);
        text = one_text(LOG_FORMAT_JSON, rows[i].value);
        assert_string_equal(text, rows[i].json);
        free(text);
    }
}

static void test_times(void **state)
{
    (void)state;
    static const struct log_column time_columns[] = {{"t", LOG_TIME}};
    static const struct log_schema time_schema = {.name = "time", LOG_COLUMNS(time_columns)};
    static const struct {
        int64_t ns;
        const char *tsv, *json;
    } rows[] = {
        {0, "0.000000", "0.0"},
        {499, "0.000000", "0.0"},
        {500, "0.000001", "0.000001"},
        {999999500, "1.000000", "1.0"},
        {1500000000, "1.500000", "1.5"},
        {-1, "0.000000", "0.0"},
        {-1000, "-0.000001", "-0.000001"},
        {-1000000000, "-1.000000", "-1.0"},
        {INT64_MAX - 1000, "9223372036.854775", "9223372036.854775"},
        {1700000000999999999, "1700000001.000000", "1700000001.0"},
    };
    for (int json = 0; json < 2; json++) {
        struct log_bed b;
        log_bed_open(&b, json ? LOG_FORMAT_JSON : LOG_FORMAT_TSV, NULL, 0);
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            struct rec *rec = log_begin(b.writer, &time_schema);
            rec_time(rec, rows[i].ns);
            log_end(rec);
        }
        log_bed_close(&b);
        char *text = log_bed_take(&b, "time");
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            char *line = log_field(log_row(text, i), 0), want[40];
            snprintf(want, sizeof want, json ? "{\"t\":%s}" : "%s",
                     json ? rows[i].json : rows[i].tsv);
            assert_string_equal(line, want);
            free(line);
        }
        free(text);
        log_bed_remove(&b);
    }
}

static void test_seconds_beyond_nanoseconds(void **state)
{
    (void)state;
    static const struct log_column time_columns[] = {{"t", LOG_TIME}};
    static const struct log_schema time_schema = {.name = "time", LOG_COLUMNS(time_columns)};
    static const int64_t seconds[] = {253402300799, -62135596800, INT64_MAX, INT64_MIN, 0};
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    for (size_t i = 0; i < 5; i++) {
        struct rec *rec = log_begin(b.writer, &time_schema);
        rec_time_seconds(rec, seconds[i]);
        log_end(rec);
    }
    log_bed_close(&b);
    char *text = log_bed_take(&b, "time");
    for (size_t i = 0; i < 5; i++) {
        char want[40];
        snprintf(want, sizeof want, "%" PRId64 ".000000", seconds[i]);
        CHECK_CELL(text, i, "t", want);
    }
    free(text);
    log_bed_remove(&b);
}

static void test_long_intervals(void **state)
{
    (void)state;
    static const struct log_column i_columns[] = {{"i", LOG_INTERVAL}};
    static const struct log_schema i_schema = {.name = "i", LOG_COLUMNS(i_columns)};
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    static const int64_t values[] = {2147483647999999000, 2147483648000000000, 4294967295000000000,
                                     INT64_MIN + 1};
    for (size_t i = 0; i < 4; i++) {
        struct rec *rec = log_begin(b.writer, &i_schema);
        rec_interval(rec, values[i]);
        log_end(rec);
    }
    log_bed_close(&b);
    char *text = log_bed_take(&b, "i");
    CHECK_CELL(text, 0, "i", "2147483647.999999");
    CHECK_CELL(text, 1, "i", "2.147483648e+09");
    CHECK_CELL(text, 2, "i", "4.294967295e+09");
    CHECK_CELL(text, 3, "i", "-9223372036.854776");
    free(text);
    log_bed_remove(&b);
}

/* ---- long lines ---- */

/* Lines around the size of the buffer, and far longer ones: whole, and none is mixed with another.
 */
static void test_lines_longer_than_the_buffer(void **state)
{
    (void)state;
    static char long_text[65536];
    memset(long_text, 'x', sizeof long_text);
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    static const struct log_column set_columns[] = {{"n", LOG_COUNT}, {"s", LOG_SET_STRING}};
    static const struct log_schema set_schema = {.name = "set", LOG_COLUMNS(set_columns)};
    for (uint64_t n = 0; n < 10; n++) { /* up to 590 KB a line, the buffer has 256 */
        struct rec *rec = log_begin(b.writer, &set_schema);
        rec_count(rec, n);
        rec_set_begin(rec);
        for (uint64_t i = 0; i < n; i++)
            rec_item_str(rec, str_make(long_text, sizeof long_text - (n & 3)));
        rec_set_end(rec);
        log_end(rec);
    }
    log_bed_close(&b);
    char *text = log_bed_take(&b, "set");
    assert_int_equal(log_rows(text), 10);
    for (size_t n = 1; n < 10; n++) {
        const char *line = log_row(text, n);
        size_t value_len = (sizeof long_text - (n & 3)) * n + n - 1;
        assert_int_equal(strcspn(line, "\n"), 2 + value_len);
    }
    free(text);
    log_bed_remove(&b);
}

/* A single text is cut, and a set loses what would make the line longer than a megabyte; it ends as
 * a line does, and the next one is not harmed. */
static void test_lines_have_a_limit(void **state)
{
    (void)state;
    static char long_text[300000];
    memset(long_text, 1, sizeof long_text);
    for (int json = 0; json < 2; json++) {
        struct log_bed b;
        log_bed_open(&b, json ? LOG_FORMAT_JSON : LOG_FORMAT_TSV, NULL, 0);
        static const struct log_column set_columns[] = {{"n", LOG_COUNT}, {"s", LOG_SET_STRING}};
        static const struct log_schema set_schema = {.name = "set", LOG_COLUMNS(set_columns)};
        for (uint64_t n = 0; n < 40; n++) {
            struct rec *rec = log_begin(b.writer, &set_schema);
            rec_count(rec, n);
            rec_set_begin(rec);
            for (uint64_t i = 0; i < n; i++)
                rec_item_str(rec, str_make(long_text, sizeof long_text));
            rec_set_end(rec);
            log_end(rec);
        }
        log_writer_flush(b.writer);
        log_writer_free(b.writer);
        struct err err;
        (void)!log_set_close(b.set, &err); /* whether it says so: see writer_test.c */
        char *text = log_bed_take(&b, "set");
        size_t n_rows = 0, last = 0;
        for (const char *at = text; at && *at; at = log_next_line(at)) {
            if (*at == '#')
                continue;
            size_t len = strcspn(at, "\n");
            assert_true(len < 1u << 20);
            assert_int_equal(at[len], '\n');
            if (json)
                assert_memory_equal(at + len - 2, "]}", 2);
            last = (size_t)strtoul(at + (json ? 5 : 0), NULL, 10);
            n_rows++;
        }
        assert_true(n_rows >= 2);
        assert_true(last < 40);
        free(text);
        log_bed_remove(&b);
    }
}

static void test_extra_columns(void **state)
{
    (void)state;
    static const struct log_column of_connection[] = {LOG_CONNECTION_COLUMNS};
    static const struct log_schema conn = {
        .name = "c", LOG_COLUMNS(of_connection), .of_connection = true};
    static const struct log_column extra[] = {{"source", LOG_STRING}, {"vni", LOG_COUNT}};
    struct addr a = addr_v4((const uint8_t[]){10, 0, 0, 1});
    for (int json = 0; json < 2; json++) {
        struct log_bed b;
        log_bed_open(&b, json ? LOG_FORMAT_JSON : LOG_FORMAT_TSV, extra, 2);
        struct rec *rec = log_begin(b.writer, &conn);
        rec_time(rec, 1000000000);
        rec_str(rec, STR("C1"));
        for (int i = 0; i < 2; i++) {
            rec_addr(rec, &a);
            rec_port(rec, 1);
        }
        rec_str(rec, STR("left"));
        rec_count(rec, 7);
        log_end(rec);
        rec = log_begin(b.writer, &text_schema); /* not of a connection: none of them */
        rec_unset(rec);
        rec_unset(rec);
        log_end(rec);
        log_bed_close(&b);
        char *text = log_bed_take(&b, "c"), *other = log_bed_take(&b, "text");
        if (json) {
            assert_string_equal(
                text, "{\"ts\":1.0,\"uid\":\"C1\",\"id.orig_h\":\"10.0.0.1\",\"id.orig_p\":1,"
                      "\"id.resp_h\":\"10.0.0.1\",\"id.resp_p\":1,\"source\":\"left\","
                      "\"vni\":7}\n");
            assert_string_equal(other, "{}\n");
        } else {
            CHECK_CELL(text, 0, "source", "left");
            CHECK_CELL(text, 0, "vni", "7");
            assert_non_null(strstr(text, "\tport\tstring\tcount\n"));
            assert_non_null(strstr(other, "#fields\ta\tb\n"));
        }
        free(text);
        free(other);
        log_bed_remove(&b);
    }
}

/* However long the texts are, a row has all its columns, or it is not there. */
static void test_no_row_lacks_a_column(void **state)
{
    (void)state;
    static char long_text[65536];
    memset(long_text, 1, sizeof long_text);
    static const struct log_column four[] = {{"a", LOG_STRING},
                                             {"b", LOG_STRING},
                                             {"c", LOG_STRING},
                                             {"d", LOG_STRING},
                                             {"n", LOG_COUNT}};
    static const struct log_schema four_schema = {.name = "four", LOG_COLUMNS(four)};
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct rec *rec = log_begin(b.writer, &four_schema);
        for (int k = 0; k < 4; k++)
            rec_str(rec, str_make(long_text, sizeof long_text));
        rec_count(rec, 42);
        log_end(rec);
    }
    log_writer_free(b.writer);
    struct err err;
    (void)!log_set_close(b.set, &err);
    char *text = log_bed_take(&b, "four");
    for (size_t i = 0; i < log_rows(text); i++) {
        const char *line = log_row(text, i);
        size_t n_tabs = 0;
        for (const char *at = line; *at != '\n'; at++)
            n_tabs += *at == '\t';
        assert_int_equal(n_tabs, 4);
        CHECK_CELL(text, i, "n", "42");
    }
    free(text);
    log_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_empty_and_unset_text),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_seconds_beyond_nanoseconds),
        cmocka_unit_test(test_long_intervals),
        cmocka_unit_test(test_lines_longer_than_the_buffer),
        cmocka_unit_test(test_lines_have_a_limit),
        cmocka_unit_test(test_extra_columns),
        cmocka_unit_test(test_no_row_lacks_a_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
