/* The live log folder: periods, names, archiving, leftovers, with a clock that the test moves.
 */
#include "log/live_bed.h"

static const struct log_column columns[] = {{"ts", LOG_TIME}, {"n", LOG_COUNT}};
static const struct log_schema schema = {.name = "rows", LOG_COLUMNS(columns)};
static const struct log_schema other = {.name = "conn", LOG_COLUMNS(columns)};

static void put(struct live_bed *b, const struct log_schema *of, uint64_t n)
{
    struct rec *rec = log_begin(b->writer, of);
    rec_time(rec, b->now);
    rec_count(rec, n);
    log_end(rec);
    log_writer_flush(b->writer);
}

/* A whole file: its header's and closing line's times, and its rows' numbers from `first` on. */
static void check_file(char *text, const char *opened, const char *closed, uint64_t first,
                       size_t n_rows)
{
    assert_non_null(text);
    char line[80];
    assert_int_equal(strncmp(text, "#separator \\x09\n", 16), 0);
    snprintf(line, sizeof line, "\n#open\t%s\n#fields\tts\tn\n#types\ttime\tcount\n", opened);
    if (!strstr(text, line))
        fail_msg("no %s in: %s", line, text);
    assert_null(strstr(text + 1, "#separator"));
    snprintf(line, sizeof line, "\n#close\t%s\n", closed);
    if (closed[0]) {
        assert_true(strlen(text) > strlen(line));
        if (strcmp(text + strlen(text) - strlen(line), line) != 0)
            fail_msg("does not end with %s: %s", line, text);
    } else {
        assert_null(strstr(text, "#close"));
    }
    assert_int_equal(log_rows(text), n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        char want[24];
        snprintf(want, sizeof want, "%llu", (unsigned long long)(first + i));
        CHECK_CELL(text, i, "n", want);
    }
    free(text);
}

static void test_hours(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 20, 5));
    live_bed_open(&b);
    struct log_recovered recovered;
    log_set_recovered(b.set, &recovered);
    assert_int_equal(recovered.n_files + recovered.n_waiting + recovered.n_empty, 0);
    assert_int_equal(log_set_period_end(b.set), live_at(2026, 11, 22, 14, 0, 0));
    put(&b, &schema, 0);
    b.now = live_at(2026, 11, 22, 13, 59, 59);
    put(&b, &schema, 1);
    assert_int_equal(live_bed_rotate(&b), 0);
    check_file(live_bed_live(&b, "rows.log"), "2026-11-22-13-20-05", "", 0, 2);
    assert_int_equal(live_bed_count(&b, "current"), 1);

    b.now = live_at(2026, 11, 22, 14, 0, 1);
    assert_int_equal(live_bed_rotate(&b), 1);
    assert_int_equal(live_bed_rotate(&b), 0);
    assert_null(live_bed_live(&b, "rows.log")); /* until its first record comes */
    check_file(live_bed_live(&b, ".2026-11-22.rows.13:20:05-14:00:00.log.finished"),
               "2026-11-22-13-20-05", "2026-11-22-14-00-01", 0, 2);
    b.now = live_at(2026, 11, 22, 14, 30, 0);
    put(&b, &schema, 2);
    put(&b, &other, 7);
    check_file(live_bed_live(&b, "rows.log"), "2026-11-22-14-30-00", "", 2, 1);

    b.now = live_at(2026, 11, 22, 15, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    struct log_archive_result done = live_bed_archive(&b);
    assert_int_equal(done.n_archived, 3);
    assert_int_equal(done.n_removed, 1); /* its minute was over long ago */
    assert_int_equal(done.n_kept, 2);
    check_file(live_bed_archived(&b, "2026-11-22/rows.13:20:05-14:00:00.log"),
               "2026-11-22-13-20-05", "2026-11-22-14-00-01", 0, 2);
    check_file(live_bed_archived(&b, "2026-11-22/rows.14:00:00-15:00:00.log"),
               "2026-11-22-14-30-00", "2026-11-22-15-00-00", 2, 1);
    check_file(live_bed_archived(&b, "2026-11-22/conn.14:00:00-15:00:00.log"),
               "2026-11-22-14-30-00", "2026-11-22-15-00-00", 7, 1);

    b.now += 59 * LIVE_SECOND;
    done = live_bed_archive(&b);
    assert_int_equal(done.n_removed, 0);
    b.now += LIVE_SECOND;
    done = live_bed_archive(&b);
    assert_int_equal(done.n_removed, 2);
    assert_int_equal(live_bed_count(&b, "current"), 0);

    /* An hour without a record leaves no file. */
    b.now = live_at(2026, 11, 22, 17, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    assert_int_equal(live_bed_archive(&b).n_archived, 0);
    assert_int_equal(live_bed_count(&b, "2026-11-22"), 3);
    put(&b, &schema, 3);
    b.now += 65 * LIVE_SECOND;
    live_bed_close(&b); /* the end of the run is the end of the file */
    live_bed_open(&b);
    log_set_recovered(b.set, &recovered);
    assert_int_equal(recovered.n_waiting, 1);
    assert_int_equal(recovered.n_files, 0);
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    check_file(live_bed_archived(&b, "2026-11-22/rows.17:00:00-17:01:05.log"),
               "2026-11-22-17-00-00", "2026-11-22-17-01-05", 3, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
