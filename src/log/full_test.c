/* A disk that is really full: a small tmpfs in a mount namespace of this process. Lines are lost
 * and counted, files stay whole, retention makes room, and writing goes on.
 */
#include "log/live_bed.h"
#include "log/period.h"
#include "log/retention.h"

#include <sched.h>
#include <sys/mount.h>

enum { DISK_SIZE = 4 << 20, N_OLD = 8, OLD_SIZE = 400000, BATCH = 500 };

/* False where it may not be done. */
static bool make_disk(const char *folder)
{
    if (unshare(CLONE_NEWNS) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    char options[40];
    snprintf(options, sizeof options, "size=%d,mode=0700", DISK_SIZE);
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", folder, "tmpfs", 0, options) == 0;
}

static void put_old(struct live_bed *b)
{
    char path[200], name[100];
    snprintf(path, sizeof path, "%s/2026-11-20", b->folder);
    assert_int_equal(mkdir(path, 0750), 0);
    char *text = malloc(OLD_SIZE + 1);
    assert_non_null(text);
    memset(text, 'x', OLD_SIZE);
    text[OLD_SIZE] = '\0';
    for (int i = 0; i < N_OLD; i++) {
        snprintf(name, sizeof name, "2026-11-20/conn.%02d:00:00-%02d:00:00.log.gz", i, i + 1);
        live_bed_put(b, name, text);
    }
    free(text);
}

/* Rows from `first` on, as many as one flush takes. */
static void put_rows(struct live_bed *b, uint64_t first)
{
    for (uint64_t n = first; n < first + BATCH; n++) {
        struct rec *rec = log_begin(b->writer, &live_schema);
        rec_time(rec, b->now + (int64_t)n * 7919);
        rec_count(rec, n);
        log_end(rec);
    }
    log_writer_flush(b->writer);
}

/* Rows of one file, none twice; more than `highest`, in order. */
static uint64_t count_rows(const char *text, uint64_t *highest)
{
    uint64_t n = 0;
    for (const char *at = text; at && *at; at = log_next_line(at)) {
        assert_non_null(strchr(at, '\n'));
        if (*at == '#')
            continue;
        uint64_t number = strtoull(strchr(at, '\t') + 1, NULL, 10);
        assert_true(number + 1 > *highest);
        *highest = number + 1;
        n++;
    }
    return n;
}

static void test_disk_that_is_full(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 13, 0, 0));
    if (!make_disk(b.folder)) {
        print_message("skipped: this process may not mount a tmpfs of its own\n");
        assert_int_equal(rmdir(b.folder), 0);
        skip();
    }
    put_old(&b);
    live_bed_open(&b);
    assert_false(log_set_take_full(b.set));
    uint64_t next = 0;
    while (live_bed_stats(&b, "rows").n_lost == 0) {
        put_rows(&b, next);
        next += BATCH;
        assert_true(next < DISK_SIZE);
    }
    struct log_stats s = live_bed_stats(&b, "rows");
    assert_int_equal(s.n_lines + s.n_lost, next);
    assert_int_equal(s.lost_error, ENOSPC);
    assert_true(s.failing && s.n_lines > 0);
    assert_true(log_set_take_full(b.set));
    assert_false(log_set_take_full(b.set));
    char *text = live_bed_live(&b, "rows.log");
    uint64_t highest = 0;
    assert_int_equal(count_rows(text, &highest), s.n_lines);
    free(text);

    /* The period ends: no room for the closing line, nor for the archive. It is said, and waits. */
    b.now = live_at(2026, 11, 22, 14, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    struct log_archive_result archived;
    struct err err = {{0}};
    int result = log_archive_step(b.set, NULL, &archived, &err);
    assert_int_equal(result, -ENOSPC);
    assert_non_null(strstr(err.text, "rows.13:00:00-14:00:00.log"));
    assert_int_equal(archived.n_pending, 1);
    put_rows(&b, next); /* nor for another file */
    next += BATCH;
    s = live_bed_stats(&b, "rows");
    assert_int_equal(s.n_lines + s.n_lost, next);
    assert_true(log_set_take_full(b.set));

    /* Retention makes room, and all goes on. */
    struct log_retention_options retention = {.min_free = 3 * OLD_SIZE};
    struct log_retention_result kept;
    assert_int_equal(log_set_retain(b.set, &retention, &kept, &err), 0);
    assert_true(kept.n_files >= 3 && kept.n_files < N_OLD);
    assert_false(kept.short_of_room);
    uint64_t n_lost = s.n_lost;
    put_rows(&b, next);
    next += BATCH;
    s = live_bed_stats(&b, "rows");
    assert_int_equal(s.n_lost, n_lost);
    assert_false(s.failing);
    assert_false(log_set_take_full(b.set));
    assert_int_equal(live_bed_archive(&b).n_archived, 1);
    b.now = live_at(2026, 11, 22, 15, 0, 0);
    assert_int_equal(live_bed_rotate(&b), 1);
    assert_int_equal(live_bed_archive(&b).n_archived, 1);

    /* What was counted as written is there, once and in order. */
    static const char *const names[] = {"2026-11-22/rows.13:00:00-14:00:00.log",
                                        "2026-11-22/rows.14:00:00-15:00:00.log"};
    uint64_t n_rows = 0;
    highest = 0;
    for (int i = 0; i < 2; i++) {
        text = live_bed_archived(&b, names[i]);
        assert_non_null(text);
        assert_non_null(strstr(text, "\n#close\t"));
        n_rows += count_rows(text, &highest);
        free(text);
    }
    assert_int_equal(n_rows, s.n_lines);
    assert_int_equal(s.n_lines + s.n_lost, next);
    log_writer_free(b.writer);
    assert_int_equal(log_set_close(b.set, &err), -EIO); /* lines were lost: it is said at the end */
    assert_non_null(strstr(err.text, strerror(ENOSPC)));
    assert_int_equal(umount(b.folder), 0);
    assert_int_equal(rmdir(b.folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_that_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
