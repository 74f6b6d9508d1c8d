/* Which names are logs, and which files of folders are read, in which order. */
#include "hunt/files.h"
#include "hunt/read_bed.h"

static void check_name(const char *name, int log, int64_t day, int hour)
{
    struct files_name read;
    bool good = files_name_read(name, &read);
    if (good != (log >= 0))
        fail_msg("%s: %s", name, good ? "taken" : "refused");
    if (good && ((int)read.log != log || read.day != day || read.hour != hour))
        fail_msg("%s: log %d, day %lld, hour %d", name, (int)read.log, (long long)read.day,
                 read.hour);
}

static void test_names(void **state)
{
    const int64_t none = FILES_NO_DAY, day = 19926; /* 2024-07-22 */
    check_name("conn.log", HUNT_CONN, none, 0);
    check_name("conn.log.gz", HUNT_CONN, none, 0);
    check_name("conn.00:00:00-01:00:00.log", HUNT_CONN, none, 0);
    check_name("conn.00:00:00-01:00:00.log.gz", HUNT_CONN, none, 0);
    check_name("conn.23:00:00-00:00:00.log", HUNT_CONN, none, 23);
    check_name("open_conn.17_32_32-18_00_00.log.gz", HUNT_OPEN_CONN, none, 17);
    check_name("conn_20240722_12:00:00-13:00:00+0000.log", HUNT_CONN, day, 12);
    check_name("conn_20240722_12:00:00-13:00:00+0000.log.gz", HUNT_CONN, day, 12);
    check_name("conn_20240722_12:00:00-13:00:00-0500.log.gz", HUNT_CONN, day, 12);
    check_name("dns.2024-07-22-13-00-00.log", HUNT_DNS, day, 13);
    check_name("dns-24-07-22_13.00.00.log", HUNT_DNS, day, 13);
    check_name("dns.2024-07-22.log.gz", HUNT_DNS, day, 0);
    check_name("NASHUA_conn.log", HUNT_CONN, none, 0);
    check_name("NASHUA_open_conn.log", HUNT_OPEN_CONN, none, 0);
    check_name("sensor-1_capture_loss.10:00:00-11:00:00.log", HUNT_CAPTURE_LOSS, none, 10);
    check_name(".2024-07-22.conn.14:00:00-15:00:00.log.finished", HUNT_CONN, day, 14);
    check_name("json_streaming_conn.1.log", HUNT_CONN, none, 0);
    check_name("json_streaming_dns.12.log.gz", HUNT_DNS, none, 0);
    for (int log = 0; log < HUNT_N_LOGS; log++) {
        char name[64];
        snprintf(name, sizeof name, "%s.log", hunt_log_name((enum hunt_log)log));
        check_name(name, log, none, 0);
    }
    static const char *const bad[] = {"conn_summary.log",
                                      "conn-summary.log",
                                      "conn-summary.00:00:00-01:00:00.log.gz",
                                      "conn_20240722.12:00:00-13:00:00",
                                      "conn_20240722.12:00:00-13:00:00.log",
                                      "log.24:00",
                                      "log.12x:34",
                                      "conn.24:00:00-01:00:00.log",
                                      "conn.12x00:00-13:00:00.log",
                                      "connstats.log",
                                      "dnshunt.log",
                                      "httpx.log",
                                      "ssl_x.log",
                                      "weird.log",
                                      "files.log",
                                      "conn",
                                      "conn.txt",
                                      "conn.log.1",
                                      "conn..log",
                                      "conn.1234.log",
                                      "conn.1x.log",
                                      "conn.log.zst",
                                      "ORIGINALdns.log",
                                      ".conn.log",
                                      "conn.log.finished",
                                      "encrypted_dns.log",
                                      "conn_20241322_12:00:00-13:00:00+0000.log",
                                      ".log",
                                      ".gz",
                                      "",
                                      "conn.log.gz.tmp",
                                      ".2024-07-22.conn.14:00:00-15:00:00.log.gz",
                                      "known_hosts.log",
                                      "conn.12:61:00-13:00:00.log"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_name(bad[i], -1, 0, 0);
    char name[400];
    memset(name, 'a', sizeof name - 1);
    memcpy(name + sizeof name - 10, "_conn.log", 10);
    check_name(name, -1, 0, 0);
}

/* Any name that a file can have, from a block of its size. */
static void test_any_names(void **state)
{
    static const char letters[] = "conndsl_-.:0129logz.finished";
    uint64_t x = 1;
    for (int i = 0; i < 200000; i++) {
        size_t n = (size_t)(x >> 59);
        char *name = malloc(n + 1);
        struct files_name read;
        for (size_t k = 0; k < n; k++) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            name[k] = letters[(x >> 40) % (sizeof letters - 1)];
        }
        x = x * 6364136223846793005u + 1442695040888963407u;
        name[n] = '\0';
        (void)files_name_read(name, &read);
        free(name);
    }
}

static void test_days(void **state)
{
    int64_t day;
    assert_true(files_day_of("1970-01-02", &day) && day == 1);
    assert_true(files_day_of("2024-07-22", &day) && day == 19926);
    assert_false(files_day_of("2024-7-22", &day));
    assert_false(files_day_of("2024-07-22a", &day));
    assert_false(files_day_of("24-07-2200", &day));
    assert_false(files_day_of("current", &day));
}

#define LINE "1.5\tCa\t10.0.0.1\t1024\t192.0.2.1\t443\n"
#define LOG  "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\n" LINE

static void test_order(void **state)
{
    static const char *const names[] = {"conn.log",
                                        "2024-07-22/conn.01:00:00-02:00:00.log",
                                        "2024-07-22/http.01:00:00-02:00:00.log",
                                        "2024-07-22/conn.00:00:00-01:00:00.log",
                                        "2024-07-21/dns.23:00:00-00:00:00.log",
                                        "current/ssl.log",
                                        "current/conn.log",
                                        "a/b/c/dns_20240722_12:00:00-13:00:00+0000.log",
                                        "a/b/c/d/ssh.log",
                                        "a/b/c/d/e/ssh.log",
                                        "2024-07-22/weird.00:00:00-01:00:00.log",
                                        "x/.conn.log",
                                        ".hidden/conn.log"};
    struct read_bed b;
    read_bed_init(&b);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        read_bed_write(&b, names[i], LOG);
    read_bed_run(&b);
    assert_int_equal(b.result, 0);
    assert_string_equal(b.files, "2024-07-21/dns.23:00:00-00:00:00.log\n"
                                 "2024-07-22/conn.00:00:00-01:00:00.log\n"
                                 "2024-07-22/http.01:00:00-02:00:00.log\n"
                                 "2024-07-22/conn.01:00:00-02:00:00.log\n"
                                 "a/b/c/dns_20240722_12:00:00-13:00:00+0000.log\n"
                                 "current/ssl.log\n"
                                 "a/b/c/d/ssh.log\n"
                                 "conn.log\n"
                                 "current/conn.log\n");
    assert_string_equal(b.said, "");
    b.reading.logs = HUNT_LOG_BIT(HUNT_DNS);
    read_bed_run_anew(&b);
    assert_string_equal(b.files, "2024-07-21/dns.23:00:00-00:00:00.log\n"
                                 "a/b/c/dns_20240722_12:00:00-13:00:00+0000.log\n");
    /* Two days after: that day's folder is not looked into. */
    b.reading.logs = 0;
    b.reading.since = INT64_C(19924) * 86400 * 1000000000;
    read_bed_run_anew(&b);
    assert_string_equal(b.files, "");
    assert_int_equal(b.counts.n_files, 9);
    b.reading.since = INT64_C(19925) * 86400 * 1000000000 + INT64_C(86400) * 3000000000;
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_files, 4);
    /* The newest day alone, and what does not say its day. */
    b.reading.since = 0;
    b.reading.n_days = 1;
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_old_files, 1);
    assert_int_equal(b.counts.n_files, 8);
    assert_null(strstr(b.files, "2024-07-21"));
    b.reading.n_days = 2;
    read_bed_run_anew(&b);
    assert_int_equal(b.counts.n_old_files, 0);
    assert_int_equal(b.counts.n_files, 9);
    read_bed_done(&b);
}

/* Links, twice the same file, a loop, a pipe, a folder that may not be read. */
static void test_odd_files(void **state)
{
    struct read_bed b;
    char path[256], to[256];
    read_bed_init(&b);
    read_bed_write(&b, ".live/conn.log", LOG);
    read_bed_write(&b, "logs/dns.log", LOG);
    assert_int_equal(symlink(".live", read_bed_path(&b, "current", path)), 0);
    assert_int_equal(symlink("..", read_bed_path(&b, "logs/loop", path)), 0);
    assert_int_equal(symlink("nowhere", read_bed_path(&b, "ssl.log", path)), 0);
    assert_int_equal(mkfifo(read_bed_path(&b, "http.log", path), 0600), 0);
    assert_int_equal(
        link(read_bed_path(&b, "logs/dns.log", to), read_bed_path(&b, "dns.log", path)), 0);
    read_bed_run(&b);
    assert_string_equal(b.files, "dns.log\ncurrent/conn.log\n");
    assert_int_equal(b.counts.n_files, 2);
    assert_int_equal(b.counts.n_unreadable, 1); /* the link to nowhere */
    assert_non_null(strstr(b.said, "ssl.log: cannot be read"));
    assert_non_null(strstr(b.said, "http.log: is named like a log and is no file"));
    if (getuid() != 0) {
        assert_int_equal(chmod(read_bed_path(&b, "logs", path), 0), 0);
        read_bed_run_anew(&b);
        assert_int_equal(b.counts.n_unreadable, 2);
        assert_int_equal(chmod(path, 0700), 0);
    }
    read_bed_done(&b);
}

/* Plain and packed: the newest, whichever it is. */
static void test_plain_and_packed(void **state)
{
    struct read_bed b;
    read_bed_init(&b);
    read_bed_pack(&b, "conn.log.gz", LOG LINE);
    read_bed_write(&b, "conn.log", LOG);
    read_bed_run(&b);
    assert_string_equal(b.files, "conn.log.gz\n"); /* it was made just now */
    assert_int_equal(b.counts.n_records, 2);
    read_bed_put(&b, "conn.log", "w", LOG, strlen(LOG), -5);
    read_bed_run_anew(&b);
    assert_string_equal(b.files, "conn.log\n");
    read_bed_done(&b);
}

/* Our own folder: what is finished is read where it is until it is archived, and never twice. */
static void test_finished(void **state)
{
    static const char finished[] = ".live/.2024-07-22.conn.14:00:00-15:00:00.log.finished";
    struct read_bed b;
    char path[256];
    read_bed_init(&b);
    read_bed_write(&b, finished, LOG LINE);
    read_bed_write(&b, ".live/conn.log", LOG);
    assert_int_equal(symlink(".live", read_bed_path(&b, "current", path)), 0);
    read_bed_run(&b);
    assert_string_equal(b.files, "current/.2024-07-22.conn.14:00:00-15:00:00.log.finished\n"
                                 "current/conn.log\n");
    assert_int_equal(b.counts.n_records, 3);
    /* It was archived, and is not taken away yet. */
    (void)mkdir(read_bed_path(&b, "2024-07-22", path), 0755);
    read_bed_pack(&b, "2024-07-22/conn.14:00:00-15:00:00.log.gz", LOG LINE "#close\tx\n");
    read_bed_run_anew(&b);
    assert_string_equal(b.files, "2024-07-22/conn.14:00:00-15:00:00.log.gz\ncurrent/conn.log\n");
    assert_int_equal(b.counts.n_records, 3);
    read_bed_done(&b);
}

/* Logs that nothing here unpacks: said once, with their number. */
static void test_packed_otherwise(void **state)
{
    struct read_bed b;
    char path[256];
    const char *paths[1] = {path};
    read_bed_init(&b);
    read_bed_write(&b, "2024-07-22/conn.00:00:00-01:00:00.log.zst", "\x28\xb5\x2f\xfd...");
    read_bed_write(&b, "2024-07-22/conn.01:00:00-02:00:00.log.bz2", "BZh9");
    read_bed_write(&b, "2024-07-22/weird.01:00:00-02:00:00.log.bz2", "BZh9");
    read_bed_write(&b, "2024-07-22/notes.xz", "x");
    read_bed_write(&b, "conn.log", LOG);
    read_bed_run(&b);
    assert_int_equal(b.counts.n_files, 1);
    assert_non_null(strstr(b.said, "conn.00:00:00-01:00:00.log.zst: is packed, and not with gzip; "
                                   "it is not read, and 1 more like it"));
    assert_null(strstr(b.said, "log.bz2"));
    /* By name, or named as if it were plain: its first bytes say it. */
    read_bed_path(&b, "2024-07-22/conn.00:00:00-01:00:00.log.zst", path);
    b.reading.paths = paths;
    b.reading.n_paths = 1;
    read_bed_run_anew(&b);
    assert_non_null(strstr(b.said, "it is packed with zstd; only plain UTF-8 text and gzip"));
    read_bed_put(&b, "conn.log", "w", "\xff\xfe#\0s\0", 6, 0);
    read_bed_path(&b, "conn.log", path);
    read_bed_run_anew(&b);
    assert_non_null(strstr(b.said, "it is text in UTF-16"));
    assert_int_equal(b.counts.n_foreign_files, 1);
    read_bed_done(&b);
}

static void test_nothing(void **state)
{
    struct read_bed b;
    const char *gone[] = {"/nowhere/at/all"};
    read_bed_init(&b);
    read_bed_run(&b);
    assert_int_equal(b.result, -ENOENT);
    b.reading.paths = gone;
    b.reading.n_paths = 1;
    read_bed_run(&b);
    assert_int_equal(b.result, -ENOENT);
    assert_non_null(strstr(b.err.text, "/nowhere/at/all"));
    read_bed_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_any_names),
        cmocka_unit_test(test_days),      cmocka_unit_test(test_order),
        cmocka_unit_test(test_odd_files), cmocka_unit_test(test_plain_and_packed),
        cmocka_unit_test(test_finished),  cmocka_unit_test(test_packed_otherwise),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
