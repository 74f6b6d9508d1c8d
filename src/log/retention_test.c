/* Retention: what goes, in what order, and all that must stay. */
#include "log/live_bed.h"
#include "log/retention.h"

/* A disk as the test wants it. */
struct disk {
    uint64_t size, free;
    int error;
};

static int disk_statvfs(int fd, struct statvfs *out, void *with)
{
    (void)fd;
    const struct disk *disk = with;
    *out = (struct statvfs){
        .f_frsize = 1024, .f_blocks = disk->size / 1024, .f_bavail = disk->free / 1024};
    errno = disk->error;
    return disk->error ? -1 : 0;
}

static void put_file(struct live_bed *b, const char *name, size_t size)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", b->folder, name);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    (void)mkdir(path, 0700);
    *slash = '/';
    char *bytes = calloc(1, size + 1);
    memset(bytes, 'x', size);
    live_bed_put(b, name, bytes);
    free(bytes);
}

static bool is_there(struct live_bed *b, const char *name)
{
    char path[200];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", b->folder, name);
    return lstat(path, &st) == 0;
}

static struct log_retention_result run(struct live_bed *b, struct log_retention_options options,
                                       struct disk *disk)
{
    struct log_retention_result result;
    struct err err;
    options.utc = true;
    options.statvfs = disk_statvfs;
    options.with = disk;
    int dir = open(b->folder, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    if (log_retention_run(dir, &options, b->now / LIVE_SECOND, &result, &err) < 0)
        fail_msg("%s", err.text);
    close(dir);
    return result;
}

/* Nothing of this may ever be touched. */
static const char *const foreign[] = {
    "conn.log",
    "2020-01-01.tar",
    "2020-01-01/notes.txt",
    "2020-01-01/conn.log",
    "2020-01-01/conn.log.gz",
    "2020-01-01/.conn.10:00:00-11:00:00.log.part",
    "2020-01-01/conn.10:00:00-11:00:00.log.bak",
    "2020-01-01/conn.10:00:00-11:00:00.log.gz.sig",
    "2020-01-01/conn-summary.10:00:00-11:00:00.log.gz",
    "2020-02-30/conn.10:00:00-11:00:00.log.gz",
    "2020-1-1/conn.10:00:00-11:00:00.log.gz",
    "stats/conn.10:00:00-11:00:00.log.gz",
    ".live/conn.log",
    ".live/.2020-01-01.conn.10:00:00-11:00:00.log.finished",
    ".live/conn.10:00:00-11:00:00.log.gz",
};

static void put_foreign(struct live_bed *b)
{
    char path[200], target[200];
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        put_file(b, foreign[i], 100);
    /* A link with the name of a day, and one with the name of a log. */
    put_file(b, "elsewhere/conn.10:00:00-11:00:00.log.gz", 100);
    snprintf(path, sizeof path, "%s/2020-05-05", b->folder);
    assert_int_equal(symlink("elsewhere", path), 0);
    snprintf(path, sizeof path, "%s/2020-01-01/dns.10:00:00-11:00:00.log.gz", b->folder);
    snprintf(target, sizeof target, "%s/conn.log", b->folder);
    assert_int_equal(symlink(target, path), 0);
    snprintf(path, sizeof path, "%s/2020-01-01/http.10:00:00-11:00:00.log.gz", b->folder);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void check_foreign(struct live_bed *b)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (!is_there(b, foreign[i]))
            fail_msg("%s is gone", foreign[i]);
    assert_true(is_there(b, "elsewhere/conn.10:00:00-11:00:00.log.gz"));
    assert_true(is_there(b, "2020-05-05"));
    assert_true(is_there(b, "2020-01-01/dns.10:00:00-11:00:00.log.gz"));
    assert_true(is_there(b, "2020-01-01/http.10:00:00-11:00:00.log.gz"));
}

static void test_age(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
    put_foreign(&b);
    put_file(&b, "2020-01-01/conn.10:00:00-11:00:00.log.gz", 10);
    put_file(&b, "2026-11-20/conn.23:00:00-00:00:00.log.gz", 10);
    put_file(&b, "2026-11-21/conn.14:00:00-15:00:00.log.gz", 10);
    put_file(&b, "2026-11-21/dns.14:00:00-15:00:01.log", 10);
    put_file(&b, "2026-11-22/conn.14:00:00-15:00:00-2.log.gz", 10);
    struct disk disk = {.size = 1u << 30, .free = 1u << 29};
    struct log_retention_result r = run(&b, (struct log_retention_options){0}, &disk);
    assert_int_equal(r.n_files, 0); /* nothing is asked for */
    assert_int_equal(r.n_left, 5);
    assert_string_equal(r.oldest.day, "2020-01-01");
    r = run(&b, (struct log_retention_options){.max_age = 86400}, &disk);
    assert_int_equal(r.n_files, 2);
    assert_int_equal(r.n_folders, 1); /* the other has foreign files */
    assert_int_equal(r.n_left, 3);
    assert_int_equal(r.n_failed, 0);
    assert_false(is_there(&b, "2020-01-01/conn.10:00:00-11:00:00.log.gz"));
    assert_false(is_there(&b, "2026-11-20"));
    assert_string_equal(r.oldest.day, "2026-11-21");
    assert_string_equal(r.oldest.begin, "14:00:00");
    r = run(&b, (struct log_retention_options){.max_age = 86399}, &disk);
    assert_int_equal(r.n_files, 1);
    assert_true(is_there(&b, "2026-11-21/dns.14:00:00-15:00:01.log"));
    assert_string_equal(r.oldest.name, "dns");
    b.now += 30 * 86400 * LIVE_SECOND;
    r = run(&b, (struct log_retention_options){.max_age = 86400}, &disk);
    assert_int_equal(r.n_files, 2);
    assert_int_equal(r.n_folders, 2);
    assert_int_equal(r.n_left, 0);
    assert_string_equal(r.oldest.name, "");
    check_foreign(&b);
    live_bed_remove(&b);
}

static void test_share_and_free_room(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
    put_foreign(&b);
    for (int hour = 0; hour < 10; hour++) {
        char name[80];
        snprintf(name, sizeof name, "2026-11-2%d/conn.%02d:00:00-%02d:00:00.log.gz", hour / 5, hour,
                 hour + 1);
        put_file(&b, name, 40000);
    }
    struct disk disk = {.size = 10u << 20, .free = 5u << 20};
    struct log_retention_result r = run(&b, (struct log_retention_options){0}, &disk);
    uint64_t one = r.n_bytes_left / 10;
    assert_int_equal(r.n_left, 10);
    assert_true(one >= 40000);
    /* Seven fit, and a bit. */
    double share = (7.5 * (double)one) / (10u << 20);
    r = run(&b, (struct log_retention_options){.max_share = share}, &disk);
    assert_int_equal(r.n_files, 3);
    assert_int_equal(r.n_bytes, 3 * one);
    assert_int_equal(r.n_left, 7);
    assert_string_equal(r.oldest.begin, "03:00:00");
    assert_false(r.short_of_room);
    r = run(&b, (struct log_retention_options){.max_share = share}, &disk);
    assert_int_equal(r.n_files, 0);
    /* Three files' room is wanted. */
    disk.free = 1u << 20;
    r = run(&b, (struct log_retention_options){.min_free = disk.free + 2 * one + 1}, &disk);
    assert_int_equal(r.n_files, 3);
    assert_int_equal(r.n_folders, 1); /* the first day's */
    assert_false(r.short_of_room);
    assert_string_equal(r.oldest.day, "2026-11-21");
    assert_string_equal(r.oldest.begin, "06:00:00");
    /* More than there is. */
    r = run(&b, (struct log_retention_options){.min_free = 9u << 20}, &disk);
    assert_int_equal(r.n_files, 4);
    assert_int_equal(r.n_left, 0);
    assert_int_equal(r.n_bytes_left, 0);
    assert_true(r.short_of_room);
    check_foreign(&b);
    live_bed_remove(&b);
}

static void test_a_disk_that_does_not_answer(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
    put_file(&b, "2020-01-01/conn.10:00:00-11:00:00.log.gz", 10);
    struct disk disk = {.error = EIO};
    struct log_retention_options options = {.max_age = 1, .statvfs = disk_statvfs, .with = &disk};
    struct log_retention_result result;
    struct err err = {{0}};
    int dir = open(b.folder, O_RDONLY | O_DIRECTORY);
    assert_int_equal(log_retention_run(dir, &options, b.now / LIVE_SECOND, &result, &err), -EIO);
    assert_non_null(strstr(err.text, strerror(EIO)));
    close(dir);
    assert_true(is_there(&b, "2020-01-01/conn.10:00:00-11:00:00.log.gz"));
    live_bed_remove(&b);
}

static void test_the_real_disk(void **state)
{
    (void)state;
    struct live_bed b;
    live_bed_init(&b, live_at(2026, 11, 22, 15, 0, 0));
    put_file(&b, "2020-01-01/conn.10:00:00-11:00:00.log.gz", 10);
    live_bed_open(&b);
    struct log_retention_options options = {.max_age = 86400};
    struct log_retention_result result;
    struct err err;
    assert_int_equal(log_set_retain(b.set, &options, &result, &err), 0);
    assert_int_equal(result.n_files, 1);
    assert_true(result.disk_bytes > 0 && result.free_bytes <= result.disk_bytes);
    assert_false(is_there(&b, "2020-01-01"));
    live_bed_close(&b);
    live_bed_remove(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_share_and_free_room),
        cmocka_unit_test(test_a_disk_that_does_not_answer),
        cmocka_unit_test(test_the_real_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
