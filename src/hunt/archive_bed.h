/* For unit tests: an archive in a folder of its own, engines with a few records, and what differs
 * between two of them. */
#ifndef HUNT_ARCHIVE_BED_H
#define HUNT_ARCHIVE_BED_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hunt/archive_parts.h"
#include "hunt/pairs_bed.h"

#define BED_DAY (BED_T0 / DAY_S)

static char folder[64], path[128];

static inline int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/archive_test.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/hunts.db", folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    static const char *const names[] = {"hunts.db",         "hunts.db-wal",     "hunts.db-shm",
                                        "hunts.db.lock",    "hunts.db.bad",     "hunts.db.bad-wal",
                                        "hunts.db.bad-shm", "hunts.db-journal", "ready"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        (void)unlink(name);
    }
    return rmdir(folder);
}

static inline void good(int result, const struct err *err)
{
    if (result != 0)
        fail_msg("%d: %s", result, err->text);
}

static inline struct hunt_archive *open_it(bool read_only)
{
    struct hunt_archive *archive = NULL;
    struct err err = {""};
    good(hunt_archive_open(path, read_only, &archive, &err), &err);
    return archive;
}

static inline struct hunt_engine *new_engine(const struct hunt_settings *settings,
                                             const struct hunt_archive *archive)
{
    struct hunt_engine *engine = NULL;
    struct err err = {""};
    good(hunt_engine_new(settings, hunt_archive_secret(archive), &engine, &err), &err);
    return engine;
}

/* `n` connections and questions of a day, of 6 hosts to 50 addresses. */
static inline void fill(struct hunt_engine *engine, unsigned day, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char src[32], dst[32], name[32];
        double s = (double)day * DAY_S + i * 20.0;
        (void)snprintf(src, sizeof src, "10.0.0.%u", 5 + i / 50 % 6);
        (void)snprintf(dst, sizeof dst, "8.8.%u.%u", i % 7, i % 50);
        (void)snprintf(name, sizeof name, "host%u.example.com", i % 30);
        bed_take(engine, bed_conn(s, day * 100000 + i * 2 + 1, src, dst, 443, "ssl"));
        bed_take(engine, bed_dns(s, src, "10.0.0.1", name, dst));
    }
}

/* All of an engine's books as bytes, one after the other. */
static inline uint8_t *all_bytes(const struct hunt_engine *engine, size_t *out_size)
{
    const struct book_table *const *tables;
    size_t n_tables = hunt_tables(&tables);
    struct books books = hunt_engine_books(engine);
    uint8_t *all = NULL;
    *out_size = 0;
    for (size_t i = 0; i < books.n; i++) {
        void *bytes;
        size_t size;
        struct err err = {""};
        good(book_save(books.at[i], tables, n_tables, &bytes, &size, &err), &err);
        all = realloc(all, *out_size + size);
        assert_non_null(all);
        memcpy(all + *out_size, bytes, size);
        *out_size += size;
        free(bytes);
    }
    return all;
}

static inline bool are_same(const struct hunt_engine *a, const struct hunt_engine *b)
{
    size_t a_size, b_size;
    uint8_t *x = all_bytes(a, &a_size), *y = all_bytes(b, &b_size);
    bool same = a_size == b_size && (a_size == 0 || memcmp(x, y, a_size) == 0);
    free(x);
    free(y);
    return same;
}

static inline struct hunt_mark bed_mark(const char *of, uint64_t offset)
{
    union {
        const char *in;
        char *out;
    } name = {.in = of};
    return (struct hunt_mark){.path = name.out,
                              .offset = offset,
                              .size = offset + 10,
                              .modified = -5,
                              .beginning = UINT64_MAX - 3,
                              .n_hashed = 4096};
}

static inline void save(struct hunt_archive *archive, const struct hunt_settings *settings,
                        struct hunt_engine *engine, uint64_t offset)
{
    const struct hunt_mark marks[] = {bed_mark("/logs/conn.log", offset),
                                      bed_mark("/logs/\xff\xfe dns.log", offset + 1)};
    struct err err = {""};
    good(hunt_archive_save(archive, settings, engine, marks, 2, &err), &err);
}

/* The offset that was saved; 0: there are no marks. */
static inline uint64_t saved_offset(struct hunt_archive *archive)
{
    struct hunt_mark *marks = NULL;
    size_t n = 0;
    uint64_t offset = 0;
    struct err err = {""};
    good(hunt_archive_marks(archive, &marks, &n, &err), &err);
    assert_true(n == 0 || n == 2);
    for (size_t i = 0; i < n; i++) {
        uint64_t at = marks[i].offset - (strcmp(marks[i].path, "/logs/\xff\xfe dns.log") == 0);
        assert_true(i == 0 || at == offset);
        offset = at;
        assert_int_equal(marks[i].size, marks[i].offset + 10);
        assert_int_equal(marks[i].modified, -5);
        assert_int_equal(marks[i].beginning, UINT64_MAX - 3);
        assert_int_equal(marks[i].n_hashed, 4096);
    }
    hunt_marks_free(marks, n);
    return offset;
}

static inline void do_sql(const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
