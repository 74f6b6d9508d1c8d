/* The live log folder: periods, names, modes, the lock, with a clock that the test moves. */
#include "log/live_bed.h"

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
    live_bed_row(&b, &live_schema, 0);
    b.now = live_at(2026, 11, 22, 13, 59, 59);
    live_bed_row(&b, &live_schema, 1);
    assert_int_equal(live_bed_rotate(&b), 0);
    live_bed_check(live_bed_live(&b, "rows.log"), "2026-11-22-13-20-05", "", 0, 2);
    assert_int_equal(live_bed_count(&b, "current"), 1);

    b.now = live_at(2026, 11, 22, 14, 0, 1);
    assert_int_equal(live_bed_rotate(&b), 1);
    assert_int_equal(live_bed_rotate(&b), 0);
    assert_null(live_bed_live(&b, "rows.log")); /* until its first record comes */
    live_bed_check(live_bed_live(&b, ".2026-11-22.rows.13:20:05-14:00:00.log.finished"),
                   "2026-11-22-13-20-05", "2026-11-22-14-00-01", 0, 2);
    b.now = live_at(2026, 11, 22, 14, 30, 0);
    live_bed_row(&b, &live_schema, 2);
    live_bed_row(&b, &live_other, 7);
    live_bed_check(live_bed_live(&b, "rows.log"), "2026-11-22-14-30-00", "", 2, 1);

    b.now = live_at(2026, 11, 22, 15, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    struct log_archive_result done = live_bed_archive(&b);
    assert_int_equal(done.n_archived, 3);
    assert_int_equal(done.n_removed, 1); /* its minute was over long ago */
    assert_int_equal(done.n_kept, 2);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:20:05-14:00:00.log"),
                   "2026-11-22-13-20-05", "2026-11-22-14-00-01", 0, 2);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.14:00:00-15:00:00.log"),
                   "2026-11-22-14-30-00", "2026-11-22-15-00-00", 2, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/conn.14:00:00-15:00:00.log"),
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
    live_bed_row(&b, &live_schema, 3);
    b.now += 65 * LIVE_SECOND;
    live_bed_close(&b); /* the end of the run is the end of the file */
    live_bed_open(&b);
    log_set_recovered(b.set, &recovered);
    assert_int_equal(recovered.n_waiting, 1);
    assert_int_equal(recovered.n_files, 0);
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.17:00:00-17:01:05.log"),
                   "2026-11-22-17-00-00", "2026-11-22-17-01-05", 3, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
}

/* ---- the clock ---- */

static void zone(const char *name)
{
    setenv("TZ", name, 1); /* allowed: the zone of this test, which has one thread then */
    tzset();
}

static void test_local_time_and_days(void **state)
{
    (void)state;
    zone("Europe/Berlin");
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 22, 10, 0));
    b.live.utc = false;
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    b.now = live_at(2026, 11, 22, 23, 0, 2);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_row(&b, &live_schema, 1);
    b.now = live_at(2026, 11, 23, 0, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_archive(&b);
    /* The day is that of the begin. */
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.23:10:00-00:00:00.log"),
                   "2026-11-22-23-10-00", "2026-11-23-00-00-02", 0, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-23/rows.00:00:00-01:00:00.log"),
                   "2026-11-23-00-00-02", "2026-11-23-01-00-00", 1, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
    zone("UTC");
}

/* Five minutes each, through the hour that comes twice: no name twice, no line lost. */
static void test_hour_that_comes_twice(void **state)
{
    (void)state;
    zone("Europe/Berlin");
    for (int hours = 0; hours < 2; hours++) {
        struct live_bed b;
        live_bed_init(&b, live_at(2026, 10, 25, 0, 0, 0)); /* 2:00 summer time */
        b.live.utc = false;
        b.live.period = hours ? 3600 : 300;
        live_bed_open(&b);
        uint64_t n = 0;
        for (; b.now < live_at(2026, 10, 25, 2, 0, 0); b.now += b.live.period * LIVE_SECOND) {
            assert_int_equal(live_bed_rotate(&b), n > 0);
            live_bed_row(&b, &live_schema, n++);
            live_bed_archive(&b);
        }
        assert_int_equal(live_bed_rotate(&b), 1);
        live_bed_archive(&b);
        assert_int_equal(n, hours ? 2 : 24);
        assert_int_equal(live_bed_count(&b, "2026-10-25"), n);
        const char *first = hours ? "2026-10-25/rows.02:00:00-02:00:00.log"
                                  : "2026-10-25/rows.02:15:00-02:20:00.log";
        const char *again = hours ? "2026-10-25/rows.02:00:00-03:00:00.log"
                                  : "2026-10-25/rows.02:15:00-02:20:00-2.log";
        char *text = live_bed_archived(&b, first);
        assert_non_null(text);
        CHECK_CELL(text, 0, "n", hours ? "0" : "3");
        free(text);
        text = live_bed_archived(&b, again);
        assert_non_null(text);
        CHECK_CELL(text, 0, "n", hours ? "1" : "15");
        free(text);
        live_bed_close(&b);
        live_bed_remove(&b);
    }
    zone("UTC");
}

static void test_two_starts_in_a_second(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    for (uint64_t i = 0; i < 3; i++) {
        live_bed_open(&b);
        live_bed_row(&b, &live_schema, i);
        live_bed_close(&b);
    }
    live_bed_open(&b);
    assert_int_equal(live_bed_archive(&b).n_archived, 3);
    static const char *const names[] = {"2026-11-22/rows.13:00:00-13:00:00.log",
                                        "2026-11-22/rows.13:00:00-13:00:00-2.log",
                                        "2026-11-22/rows.13:00:00-13:00:00-3.log"};
    for (uint64_t i = 0; i < 3; i++)
        live_bed_check(live_bed_archived(&b, names[i]), "2026-11-22-13-00-00",
                       "2026-11-22-13-00-00", i, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
}

static void test_clock_that_steps(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 30, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    b.now = live_at(2026, 11, 22, 13, 29, 0); /* a little back: borne */
    assert_int_equal(live_bed_rotate(&b), 0);
    b.now = live_at(2026, 11, 22, 17, 20, 0); /* the machine slept */
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_row(&b, &live_schema, 1);
    b.now = live_at(2026, 11, 22, 17, 40, 0);
    assert_int_equal(live_bed_rotate(&b), 0);
    b.now = live_at(2020, 1, 1, 0, 10, 0); /* far back */
    assert_int_equal(live_bed_rotate(&b), 1);
    assert_int_equal(live_bed_rotate(&b), 0);
    live_bed_row(&b, &live_schema, 2);
    assert_int_equal(log_set_period_end(b.set), live_at(2020, 1, 1, 1, 0, 0));
    b.now = live_at(2020, 1, 1, 1, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_archive(&b);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:30:00-17:00:00.log"),
                   "2026-11-22-13-30-00", "2026-11-22-17-20-00", 0, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.17:00:00-17:40:00.log"),
                   "2026-11-22-17-20-00", "2020-01-01-00-10-00", 1, 1);
    live_bed_check(live_bed_archived(&b, "2020-01-01/rows.00:10:00-01:00:00.log"),
                   "2020-01-01-00-10-00", "2020-01-01-01-00-00", 2, 1);
    live_bed_close(&b);
    live_bed_remove(&b);
}

/* ---- the folder ---- */

static void test_modes_and_link(void **state)
{
    (void)state;
    struct live_bed b;
    mode_t before = umask(077);
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    umask(022);
    live_bed_row(&b, &live_schema, 0);
    char path[200], target[20];
    struct stat st;
    snprintf(path, sizeof path, "%s/current", b.folder);
    ssize_t n = readlink(path, target, sizeof target);
    assert_true(n == 5 && memcmp(target, ".live", 5) == 0); /* wherever the folder is moved */
    snprintf(path, sizeof path, "%s/.live/rows.log", b.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    umask(077);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_archive(&b);
    umask(before);
    snprintf(path, sizeof path, "%s/2026-11-22/rows.13:00:00-14:00:00.log%s", b.folder,
             log_pack_suffix);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0644); /* importers demand it; the folder guards it */
    snprintf(path, sizeof path, "%s/2026-11-22", b.folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07, 0);
    live_bed_close(&b);
    live_bed_remove(&b);
}

static void test_second_watch_is_refused(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    struct live_bed second = b;
    second.set = NULL;
    struct err err = {{0}};
    assert_int_equal(live_bed_try(&second, &err), -EBUSY);
    assert_null(second.set);
    char pid[24];
    snprintf(pid, sizeof pid, "process %ld)", (long)getpid());
    assert_non_null(strstr(err.text, b.folder));
    assert_non_null(strstr(err.text, pid));
    live_bed_row(&b, &live_schema, 1); /* the first was not disturbed */
    live_bed_check(live_bed_live(&b, "rows.log"), "2026-11-22-13-00-00", "", 0, 2);
    live_bed_close(&b);
    live_bed_open(&b);
    live_bed_close(&b);
    live_bed_remove(&b);
}

static void test_current_of_somebody_else(void **state)
{
    (void)state;
    for (int folder = 0; folder < 2; folder++) {
        struct live_bed b;
        live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
        char path[200];
        snprintf(path, sizeof path, "%s/current", b.folder);
        assert_int_equal(folder ? mkdir(path, 0755) : symlink("/opt/zeek/spool/zeek", path), 0);
        struct err err = {{0}};
        assert_int_equal(live_bed_try(&b, &err), -EEXIST);
        assert_non_null(strstr(err.text, "current"));
        assert_int_equal(remove(path), 0);
        live_bed_open(&b);
        live_bed_close(&b);
        live_bed_remove(&b);
    }
}

static void test_periods_that_will_not_do(void **state)
{
    (void)state;
    static const int64_t periods[] = {1, -3600, 7000, 172800};
    for (size_t i = 0; i < 4; i++) {
        struct live_bed b;
        live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
        b.live.period = periods[i];
        struct err err = {{0}};
        assert_int_equal(live_bed_try(&b, &err), -EINVAL);
        assert_non_null(strstr(err.text, "divide the day"));
        live_bed_remove(&b);
    }
}

/* ---- names that shippers see ---- */

/* All that is in the folders while a finished file waits, against what importers look for. */
static void test_no_importer_takes_a_file_twice(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_other, 0);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_archive(&b);
    live_bed_row(&b, &live_other, 1);
    char path[200];
    snprintf(path, sizeof path, "%s/.live", b.folder);
    DIR *dir = opendir(path);
    unsigned n = 0;
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *name = entry->d_name;
        size_t len = strlen(name);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "conn.log") == 0)
            continue;
        n++;
        assert_int_equal(name[0], '.');
        assert_true(strcmp(name + len - 4, ".log") != 0 && strcmp(name + len - 3, ".gz") != 0);
    }
    assert_int_equal(n, 1);
    closedir(dir);
    live_bed_close(&b);
    live_bed_remove(&b);
}

/* Who has the live file open reads it to its end: it is renamed, not copied. */
static void test_reader_keeps_its_file(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    char path[200];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/current/rows.log", b.folder);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &before), 0);
    live_bed_row(&b, &live_schema, 1);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    live_bed_archive(&b);
    snprintf(path, sizeof path, "%s/current/.2026-11-22.rows.13:00:00-14:00:00.log.finished",
             b.folder);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && after.st_nlink == 1);
    char text[1000] = "";
    assert_true(read(fd, text, sizeof text - 1) > 0);
    assert_int_equal(log_rows(text), 2);
    close(fd);
    live_bed_close(&b);
    live_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hours),
        cmocka_unit_test(test_local_time_and_days),
        cmocka_unit_test(test_hour_that_comes_twice),
        cmocka_unit_test(test_two_starts_in_a_second),
        cmocka_unit_test(test_clock_that_steps),
        cmocka_unit_test(test_modes_and_link),
        cmocka_unit_test(test_second_watch_is_refused),
        cmocka_unit_test(test_current_of_somebody_else),
        cmocka_unit_test(test_periods_that_will_not_do),
        cmocka_unit_test(test_no_importer_takes_a_file_twice),
        cmocka_unit_test(test_reader_keeps_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
