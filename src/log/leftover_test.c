/* What a killed run leaves in a live log folder, and what the next makes of it. */
#include "log/live_bed.h"

static void touch(struct live_bed *b, const char *file, int64_t ns)
{
    char path[200];
    struct timespec times[2] = {{.tv_sec = ns / LIVE_SECOND}, {.tv_sec = ns / LIVE_SECOND}};
    snprintf(path, sizeof path, "%s/%s", b->folder, file);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

#define ROW "1763820000.000000\t0\n"

static void test_leftovers_of_every_length(void **state)
{
    (void)state;
    static const char whole[] =
        LIVE_HEADER("2026-11-22-13-20-05") ROW "1763820001.000000\t1\n"
                                               "#close\t2026-11-22-13-50-00\n";
    size_t header = strlen(LIVE_HEADER("2026-11-22-13-20-05")), row = strlen(ROW);
    for (size_t size = 0; size <= strlen(whole); size++) {
        struct live_bed b;
        live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
        live_bed_open(&b);
        live_bed_close(&b);
        char *text = strndup(whole, size);
        live_bed_put(&b, ".live/rows.log", text);
        touch(&b, ".live/rows.log", live_at(2026, 11, 22, 13, 50, 0));
        live_bed_open(&b);
        struct log_recovered r;
        log_set_recovered(b.set, &r);
        size_t n_rows = size < header ? 0 : (size - header) / row > 2 ? 2 : (size - header) / row;
        const char *last = strrchr(text, '\n');
        assert_int_equal(r.n_cut_bytes, last ? strlen(last + 1) : size);
        assert_int_equal(r.n_files, n_rows > 0);
        assert_int_equal(r.n_empty, n_rows == 0);
        assert_int_equal(r.n_waiting, 0);
        live_bed_archive(&b);
        if (n_rows)
            live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:20:05-13:50:00.log"),
                           "2026-11-22-13-20-05", "2026-11-22-13-50-00", 0, n_rows);
        else
            assert_int_equal(live_bed_count(&b, ""), 3); /* .live, .lock and the link */
        live_bed_close(&b);
        live_bed_remove(&b);
        free(text);
    }
}

static void test_leftovers_in_json(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
    b.format = LOG_FORMAT_JSON;
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    live_bed_close(&b);
    live_bed_open(&b);
    live_bed_archive(&b);
    char *text = live_bed_archived(&b, "2026-11-22/rows.15:00:00-15:00:00.log");
    assert_string_equal(text, "{\"ts\":1795359600.0,\"n\":0}\n"); /* no header, no end */
    free(text);
    live_bed_close(&b);
    static const char *const lefts[] = {
        /* The first record's time, where it lies in the period of the last. */
        "{\"ts\":1795354205.5,\"n\":0}\n{\"ts\":1795354206.0,\"n\":1}\n{\"ts\":17",
        "{\"ts\":1795300000.5,\"n\":0}\n{\"ts\":1795354206.0,\"n\":1}\n", /* a long connection */
    };
    static const char *const names[] = {"2026-11-22/rows.13:30:05-13:50:00.log",
                                        "2026-11-22/rows.13:00:00-13:50:00.log"};
    for (size_t i = 0; i < 2; i++) {
        live_bed_put(&b, ".live/rows.log", lefts[i]);
        touch(&b, ".live/rows.log", live_at(2026, 11, 22, 13, 50, 0));
        live_bed_open(&b);
        struct log_recovered r;
        log_set_recovered(b.set, &r);
        assert_int_equal(r.n_files, 1);
        assert_int_equal(r.n_cut_bytes, i == 0 ? 8 : 0);
        live_bed_archive(&b);
        text = live_bed_archived(&b, names[i]);
        assert_non_null(text);
        assert_int_equal(strncmp(text, lefts[i], strlen(text)), 0);
        assert_int_equal(text[strlen(text) - 1], '\n');
        assert_int_equal(log_rows(text), 2);
        free(text);
        live_bed_close(&b);
    }
    live_bed_remove(&b);
}

/* What an archiver that was killed can leave, and what others put there. */
static void test_archiver_that_was_killed(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    char path[200];
    /* Half packed. */
    snprintf(path, sizeof path, "%s/2026-11-22", b.folder);
    assert_int_equal(mkdir(path, 0750), 0);
    live_bed_put(&b, "2026-11-22/.rows.13:00:00-14:00:00.log.part", "half a file that is longer");
    live_bed_close(&b);
    live_bed_open(&b);
    struct log_recovered r;
    log_set_recovered(b.set, &r);
    assert_int_equal(r.n_waiting, 1);
    assert_int_equal(r.n_files, 0);
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:00:00-14:00:00.log"),
                   "2026-11-22-13-00-00", "2026-11-22-14-00-00", 0, 1);
    assert_int_equal(live_bed_count(&b, "2026-11-22"), 1);
    /* Archived, and killed before the plain one was taken away: not once more. */
    live_bed_close(&b);
    live_bed_open(&b);
    log_set_recovered(b.set, &r);
    assert_int_equal(r.n_waiting, 1);
    struct log_archive_result done = live_bed_archive(&b);
    assert_int_equal(done.n_archived, 0);
    assert_int_equal(done.n_kept, 1);
    assert_int_equal(live_bed_count(&b, "2026-11-22"), 1);
    b.now += 61 * LIVE_SECOND;
    assert_int_equal(live_bed_archive(&b).n_removed, 1);
    /* Another program's file of the name that ours would get, put there meanwhile. */
    live_bed_row(&b, &live_schema, 5);
    b.now = live_at(2026, 11, 22, 15, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    snprintf(path, sizeof path, "2026-11-22/rows.14:00:00-15:00:00.log%s", log_pack_suffix);
    live_bed_put(&b, path, "somebody else's");
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.14:00:00-15:00:00-2.log"),
                   "2026-11-22-14-01-01", "2026-11-22-15-00-00", 5, 1);
    char full[300];
    snprintf(full, sizeof full, "%s/%s", b.folder, path);
    char *text = live_bed_read(full);
    assert_string_equal(text, "somebody else's");
    free(text);
    live_bed_close(&b);
    live_bed_remove(&b);
}

static void test_archiver_that_is_stopped(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    volatile int stop = 1;
    struct log_archive_result result;
    struct err err;
    assert_int_equal(log_archive_step(b.set, &stop, &result, &err), 0);
    assert_int_equal(result.n_archived, 0);
    assert_int_equal(result.n_pending, 1);
    assert_int_equal(live_bed_count(&b, "2026-11-22"), 0);
    stop = 0;
    assert_int_equal(log_archive_step(b.set, &stop, &result, &err), 0);
    assert_int_equal(result.n_archived, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leftovers_of_every_length),
        cmocka_unit_test(test_leftovers_in_json),
        cmocka_unit_test(test_archiver_that_was_killed),
        cmocka_unit_test(test_archiver_that_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
