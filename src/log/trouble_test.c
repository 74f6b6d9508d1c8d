/* Live logs under trouble: no room, room again, workers that write while the files change. */
#include "log/live_bed.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

static void limit_files(rlim_t size)
{
    struct rlimit limit = {.rlim_cur = size, .rlim_max = RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* No room, within each byte of the header and of the first lines; then there is room again. */
static void test_room_that_comes_back(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t room = 0; room < 260; room++) {
        struct live_bed b;
        live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
        live_bed_open(&b);
        struct rec *rec;
        limit_files(room);
        for (uint64_t n = 0; n < 4; n++) { /* in one write */
            rec = log_begin(b.writer, &live_schema);
            rec_time(rec, 0);
            rec_count(rec, n);
            log_end(rec);
        }
        log_writer_flush(b.writer);
        struct log_stats s = live_bed_stats(&b, "rows");
        assert_int_equal(s.n_lines + s.n_lost, 4);
        assert_int_equal(s.failing, s.n_lost > 0);
        assert_int_equal(s.lost_error, s.n_lost > 0 ? EFBIG : 0);
        limit_files(RLIM_INFINITY);
        uint64_t n_kept = s.n_lines;
        rec = log_begin(b.writer, &live_schema);
        rec_time(rec, 0);
        rec_count(rec, n_kept);
        log_end(rec);
        log_writer_flush(b.writer);
        s = live_bed_stats(&b, "rows");
        assert_int_equal(s.n_lines, n_kept + 1);
        assert_int_equal(s.n_lost, 4 - n_kept);
        assert_false(s.failing);
        b.now = live_at(2026, 11, 22, 14, 0, 0);
        assert_int_equal(live_bed_rotate(&b), 1);
        live_bed_archive(&b);
        live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:00:00-14:00:00.log"),
                       "2026-11-22-13-00-00", "2026-11-22-14-00-00", 0, n_kept + 1);
        log_writer_free(b.writer);
        struct err err = {{0}};
        assert_int_equal(log_set_close(b.set, &err), n_kept < 4 ? -EIO : 0);
        assert_true(n_kept == 4 || strstr(err.text, "lost"));
        live_bed_remove(&b);
    }
}

/* No room for the closing line: the archiver adds it. */
static void test_no_room_at_the_end(void **state)
{
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    live_bed_open(&b);
    live_bed_row(&b, &live_schema, 0);
    limit_files(live_bed_stats(&b, "rows").n_bytes + strlen(LIVE_HEADER("2026-11-22-13-20-05")) +
                3);
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    struct log_archive_result result;
    struct err err = {{0}};
    assert_true(log_archive_step(b.set, NULL, &result, &err) < 0);
    assert_non_null(strstr(err.text, "2026-11-22/rows.13:00:00-14:00:00.log"));
    assert_int_equal(result.n_pending, 1);
    limit_files(RLIM_INFINITY);
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    live_bed_check(live_bed_archived(&b, "2026-11-22/rows.13:00:00-14:00:00.log"),
                   "2026-11-22-13-00-00", "2026-11-22-14-00-00", 0, 1);
    assert_int_equal(live_bed_stats(&b, "rows").n_lost, 0);
    live_bed_close(&b);
    live_bed_remove(&b);
}

/* ---- workers ---- */

enum { N_WORKERS = 3, N_ROWS = 40000, N_PERIODS = 40, PERIOD_ROWS = N_ROWS / N_PERIODS };

struct job {
    struct live_bed *bed;
    uint64_t first;
    const uint64_t *n_allowed; /* rows of each worker; it grows */
};

static void *work(void *with)
{
    struct job *job = with;
    struct log_writer *writer = log_writer_new(job->bed->set);
    for (uint64_t n = 0; n < N_ROWS; n++) {
        if (n >= __atomic_load_n(job->n_allowed, __ATOMIC_ACQUIRE))
            log_writer_flush(writer); /* or nobody would come to allow more */
        while (n >= __atomic_load_n(job->n_allowed, __ATOMIC_ACQUIRE))
            sched_yield();
        struct rec *rec = log_begin(writer, &live_schema);
        rec_time(rec, (int64_t)n);
        rec_count(rec, job->first + n);
        log_end(rec);
        if (n % 97 == 0)
            log_writer_flush(writer);
    }
    log_writer_free(writer);
    return NULL;
}

static void test_workers_write_while_files_change(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 0, 0, 0));
    b.live.period = 60;
    live_bed_open(&b);
    pthread_t threads[N_WORKERS];
    struct job jobs[N_WORKERS];
    uint64_t n_allowed = 2 * PERIOD_ROWS;
    for (uint64_t i = 0; i < N_WORKERS; i++) {
        jobs[i] = (struct job){.bed = &b, .first = i * N_ROWS, .n_allowed = &n_allowed};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    /* The workers are never more than two periods ahead, so that each second one has rows. */
    for (uint64_t i = 1; i < N_PERIODS; i++) {
        while (live_bed_stats(&b, "rows").n_lines < i * N_WORKERS * PERIOD_ROWS)
            sched_yield();
        __atomic_store_n(&n_allowed, (i + 2) * PERIOD_ROWS, __ATOMIC_RELEASE);
        __atomic_fetch_add(&b.now, 60 * LIVE_SECOND, __ATOMIC_RELAXED);
        assert_int_equal(live_bed_rotate(&b), 1);
        if (i % 7 == 0)
            live_bed_archive(&b);
    }
    for (int i = 0; i < N_WORKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(live_bed_stats(&b, "rows").n_lines, N_WORKERS * N_ROWS);
    assert_int_equal(log_set_n_records(b.set), N_WORKERS * N_ROWS);
    live_bed_close(&b);
    live_bed_open(&b);
    live_bed_archive(&b);
    static bool seen[N_WORKERS * N_ROWS];
    memset(seen, 0, sizeof seen);
    char path[200];
    snprintf(path, sizeof path, "%s/2026-11-22", b.folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    struct dirent *entry;
    uint64_t n_seen = 0;
    unsigned n_files = 0;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        char file[500];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        char *text = live_bed_unpack(file);
        assert_int_equal(strncmp(text, "#separator", 10), 0);
        assert_null(strstr(text + 1, "#separator"));
        const char *close = strstr(text, "#close");
        assert_true(close && log_next_line(close)[0] == '\0');
        for (const char *at = text; at && *at; at = log_next_line(at)) {
            if (*at == '#')
                continue;
            uint64_t n = strtoull(strchr(at, '\t') + 1, NULL, 10);
            assert_true(n < N_WORKERS * N_ROWS && !seen[n]);
            seen[n] = true;
            n_seen++;
        }
        free(text);
        n_files++;
    }
    closedir(dir);
    assert_int_equal(n_seen, N_WORKERS * N_ROWS);
    assert_true(n_files >= N_PERIODS / 2);
    live_bed_close(&b);
    live_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room_that_comes_back),
        cmocka_unit_test(test_no_room_at_the_end),
        cmocka_unit_test(test_workers_write_while_files_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
