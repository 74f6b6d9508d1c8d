/* For unit tests: a journal in a folder of its own, and how it is filled and read. */
#ifndef MIRROR_JOURNAL_BED_H
#define MIRROR_JOURNAL_BED_H

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mirror/engine_bed.h"
#include "mirror/journal.h"

static char folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    bed_folder(folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    bed_folder_done(folder);
    return 0;
}

static inline void put_path(char out[128], const char *name)
{
    (void)snprintf(out, 128, "%s/%s", folder, name);
}

static inline struct mirror_journal *open_it(bool write)
{
    struct mirror_journal *journal = NULL;
    struct err err = {""};
    if (mirror_journal_open(folder, write, &journal, &err) < 0)
        fail_msg("%s", err.text);
    return journal;
}

/* What opening is refused with. */
static inline int refused(bool write, struct err *err)
{
    struct mirror_journal *journal = NULL;
    err->text[0] = '\0';
    int result = mirror_journal_open(folder, write, &journal, err);
    assert_null(journal);
    assert_true(result < 0);
    assert_non_null(strstr(err->text, folder)); /* which file it is */
    return result;
}

static inline void good(int result, const struct err *err)
{
    if (result < 0)
        fail_msg("%s", err->text);
}

static inline void begin(struct mirror_journal *journal, const char *name)
{
    struct mirror_entry entry = {.provider = "bed", .machine = "web-1"};
    struct err err;
    (void)snprintf(entry.name, sizeof entry.name, "%s", name);
    entry.arguments = json_pack("[ss]", "--interface=eth0", "--id=7");
    good(mirror_journal_begin(journal, &entry, &err), &err);
    json_decref(entry.arguments);
}

static inline void step(struct mirror_journal *journal, const char *name, const char *object,
                        int to)
{
    struct mirror_set set = bed_set(object);
    struct err err;
    mirror_object_why(&set.at[0], "copies");
    good(mirror_journal_step(journal, "bed", name, &set.at[0], to, &err), &err);
    mirror_set_done(&set);
}

/* "making link a, made filter b" */
static inline void objects(struct mirror_journal *journal, const char *name, char out[1024])
{
    struct mirror_set set = {0};
    struct err err;
    good(mirror_journal_objects(journal, "bed", name, &set, &err), &err);
    out[0] = '\0';
    for (size_t i = 0; i < set.n; i++) {
        size_t len = strlen(out);
        (void)snprintf(out + len, 1024 - len, "%s%s %s %s", len ? ", " : "",
                       json_string_value(json_object_get(set.at[i].also, "state")), set.at[i].kind,
                       set.at[i].key);
    }
    mirror_set_done(&set);
}

static inline void check_objects(const char *name, const char *expected)
{
    struct mirror_journal *journal = open_it(false);
    char text[1024];
    objects(journal, name, text);
    mirror_journal_close(journal);
    assert_string_equal(text, expected);
}
static inline void do_sql(const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    put_path(path, "mirror.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static inline int count_sql(const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    put_path(path, "mirror.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    int n = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return n;
}

static inline size_t list(struct mirror_entry **out)
{
    struct mirror_journal *journal = open_it(false);
    size_t n = 0;
    struct err err;
    good(mirror_journal_list(journal, out, &n, &err), &err);
    mirror_journal_close(journal);
    return n;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

#endif
