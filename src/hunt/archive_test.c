/* What is saved is loaded; what is wrong with the file is said, and costs only what was kept. */
#include "hunt/archive_bed.h"

static bool is_there(const char *end)
{
    char name[160];
    (void)snprintf(name, sizeof name, "%s%s", path, end);
    return access(name, F_OK) == 0;
}

static void test_open(void **state)
{
    (void)state;
    struct hunt_archive *a = open_it(false), *b = NULL;
    struct err err = {""};
    struct stat st;
    uint64_t secret = hunt_archive_secret(a);
    assert_true(secret != 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);

    /* Another writer waits, and then says so; a reader may. */
    assert_int_equal(archive_open(path, false, 200, &b, &err), -EBUSY);
    assert_non_null(strstr(err.text, "another cloudspan"));
    assert_null(b);
    b = open_it(true);
    assert_true(hunt_archive_secret(b) == secret);
    hunt_archive_close(b);
    hunt_archive_close(a);

    a = open_it(false);
    assert_true(hunt_archive_secret(a) == secret);
    hunt_archive_close(a);
    hunt_archive_close(NULL);
    assert_false(is_there("-wal"));
}

static void test_no_file(void **state)
{
    (void)state;
    struct hunt_archive *a = open_it(true);
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    struct hunt_engine *engine = new_engine(&settings, a);
    struct err err = {""};
    assert_false(is_there(""));
    good(hunt_archive_load(a, &settings, 0, engine, &err), &err);
    assert_int_equal(saved_offset(a), 0);
    assert_int_equal(hunt_archive_save(a, &settings, engine, NULL, 0, &err), -EROFS);
    assert_int_equal(hunt_archive_learn(a, engine, &err), -EROFS);
    assert_int_equal(hunt_archive_first_seen(a, 1), HUNT_UNSET);
    hunt_archive_close(a);
    assert_false(is_there(""));
    assert_int_equal(hunt_archive_open("/nowhere/at/all", false, &a, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

static void add_pair(void *with, const void *key, const void *value)
{
    const struct pair_sum *sum = &((const struct pair_value *)value)->sum;
    uint64_t *total = with;
    (void)key;
    total[0]++;
    total[1] += sum->n;
    total[2] += sum->bytes_up + sum->bytes_down + (uint64_t)sum->last;
}

static void check_alike(const struct hunt_engine *a, const struct hunt_engine *b)
{
    const struct hunt_engine *both[] = {a, b};
    uint64_t total[2][3] = {{0}};
    size_t n_names[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        struct books books = hunt_engine_books(both[i]);
        books_each(&books, &pair_table, 1, add_pair, total[i]);
        for (size_t k = 0; k < books.n; k++)
            n_names[i] += book_n(books.at[k], &asked_table);
    }
    assert_memory_equal(total[0], total[1], sizeof total[0]);
    assert_int_equal(n_names[0], n_names[1]);
    assert_true(total[0][0] > 50 && n_names[0] > 50);
}

static void test_books(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *first = new_engine(&settings, a), *second;
    for (unsigned day = 0; day < 3; day++)
        fill(first, day, 1000);
    assert_int_equal(bed_n_days(hunt_engine_books(first)), 3);
    save(a, &settings, first, 77);
    hunt_archive_close(a);

    a = open_it(false);
    second = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, 0, second, &err), &err);
    assert_true(are_same(first, second));
    assert_int_equal(saved_offset(a), 77);

    /* More of the last day, and another one. */
    fill(first, 2, 1200);
    fill(second, 2, 1200);
    fill(first, 3, 100);
    fill(second, 3, 100);
    save(a, &settings, second, 78);
    hunt_engine_free(second);
    hunt_archive_close(a);
    a = open_it(true);
    second = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, 0, second, &err), &err);
    assert_int_equal(bed_n_days(hunt_engine_books(second)), 4);
    /* Not byte for byte: what was joined in memory was put in earlier by the one than the other. */
    check_alike(first, second);
    assert_int_equal(saved_offset(a), 78);
    hunt_engine_free(second);

    /* Only the days from a time on. */
    second = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, (BED_T0 + 2 * DAY_S) * 1000 + 5, second, &err), &err);
    struct books books = hunt_engine_books(second);
    assert_int_equal(bed_n_days(books), 2);
    assert_int_equal(book_day(books.at[0]), BED_DAY + 2);
    hunt_engine_free(second);
    hunt_archive_close(a);
    hunt_engine_free(first);
    hunt_settings_done(&settings);
}

/* A day that this run did not load is not overwritten by the little that it has of it. */
static void test_foreign_day(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *first = new_engine(&settings, a), *second = new_engine(&settings, a);
    fill(first, 0, 500);
    save(a, &settings, first, 1);
    hunt_archive_close(a);
    a = open_it(false);
    good(hunt_archive_load(a, &settings, (BED_T0 + DAY_S) * 1000, second, &err), &err);
    fill(second, 0, 3);
    fill(second, 1, 3);
    save(a, &settings, second, 2);
    hunt_engine_free(second);
    second = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, 0, second, &err), &err);
    struct pair_value value = bed_pair(second, "10.0.0.5", "8.8.0.0");
    assert_int_equal(value.sum.n, bed_pair(first, "10.0.0.5", "8.8.0.0").sum.n + 1);
    hunt_engine_free(first);
    hunt_engine_free(second);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

static void test_other_settings(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *engine = new_engine(&settings, a);
    fill(engine, 0, 50);
    save(a, &settings, engine, 5);
    hunt_engine_free(engine);
    hunt_archive_close(a);
    for (unsigned read_only = 2; read_only-- > 0;) { /* to look first: the file stays */
        a = open_it(read_only);
        settings.scope.include_inbound = !read_only;
        engine = new_engine(&settings, a);
        assert_int_equal(hunt_archive_load(a, &settings, 0, engine, &err), read_only ? 0 : 1);
        assert_int_equal(bed_n_days(hunt_engine_books(engine)), read_only ? 1 : 0);
        assert_int_equal(saved_offset(a), read_only ? 5 : 0);
        hunt_engine_free(engine);
        hunt_archive_close(a);
    }
    assert_non_null(strstr(err.text, "settings"));
    settings.scope.include_inbound = false;
    a = open_it(true); /* they are gone */
    assert_int_equal(saved_offset(a), 0);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

/* ---- files that are none ---- */

static void put_file(const char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void check_put_aside(const char *why)
{
    struct hunt_archive *a = NULL;
    struct err err = {""};
    assert_int_equal(hunt_archive_open(path, true, &a, &err), 1);
    assert_non_null(strstr(err.text, path));
    hunt_archive_close(a);
    assert_false(is_there(".bad"));
    assert_int_equal(hunt_archive_open(path, false, &a, &err), 1);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, why));
    /* It is away already. */
    assert_null(strstr(err.text, "move it away"));
    assert_true(is_there(".bad"));
    assert_true(hunt_archive_secret(a) != 0);
    hunt_archive_close(a);
    a = open_it(false);
    hunt_archive_close(a);
}

static void test_no_database(void **state)
{
    (void)state;
    static const char text[] = "this is a letter and no database, and long enough to be seen as one"
                               " that it is not; so it goes on for a while until it ends here.";
    put_file(text, sizeof text);
    check_put_aside("not a database");
}

static void test_other_database(void **state)
{
    (void)state;
    do_sql("CREATE TABLE letters(text TEXT)");
    check_put_aside("not an archive");
}

static void test_other_version(void **state)
{
    (void)state;
    hunt_archive_close(open_it(false));
    do_sql("PRAGMA user_version = 99");
    check_put_aside("another version (99");
}

static void test_no_secret(void **state)
{
    (void)state;
    hunt_archive_close(open_it(false));
    do_sql("DELETE FROM meta");
    check_put_aside("secret");
}

/* Books whose bytes are wrong are dropped with the marks; the rest of the file stays. */
static void test_damaged_book(void **state)
{
    (void)state;
    static const char *const harm[] = {
        "UPDATE book SET bytes = zeroblob(length(bytes)) "
        " WHERE piece = (SELECT min(piece) + 1 FROM book)",
        "UPDATE book SET bytes = substr(bytes, 1, length(bytes) - 1)"
        " WHERE piece = (SELECT min(piece) FROM book)",
        "DELETE FROM book WHERE piece = (SELECT min(piece) + 1 FROM book)",
        "DELETE FROM book WHERE piece = (SELECT max(piece) FROM book)",
        "UPDATE book SET day = 19001",
        "UPDATE book SET piece = -piece",
        "UPDATE book SET piece = piece + 4294967296 WHERE piece = (SELECT max(piece) FROM book)",
        "UPDATE book SET bytes = 'text'",
        "UPDATE book SET bytes = NULL",
    };
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
        struct hunt_archive *a = open_it(false);
        uint64_t secret = hunt_archive_secret(a);
        struct hunt_engine *engine = new_engine(&settings, a);
        fill(engine, 0, 200);
        save(a, &settings, engine, 9);
        hunt_engine_free(engine);
        hunt_archive_close(a);
        do_sql(harm[i]);
        a = open_it(false);
        engine = new_engine(&settings, a);
        assert_int_equal(hunt_archive_load(a, &settings, 0, engine, &err), 1);
        assert_non_null(strstr(err.text, "read again"));
        assert_int_equal(hunt_engine_books(engine).n, 0);
        assert_int_equal(saved_offset(a), 0);
        assert_true(hunt_archive_secret(a) == secret);
        hunt_engine_free(engine);
        hunt_archive_close(a);
        assert_false(is_there(".bad"));
    }
    hunt_settings_done(&settings);
}

/* Pages overwritten with noise: whatever is said, nothing crashes, and it works in the end. */
static void test_damaged_pages(void **state)
{
    (void)state;
    struct hunt_settings settings;
    unsigned n_said = 0;
    hunt_settings_init(&settings);
    for (unsigned seed = 1; seed <= 40; seed++) {
        struct hunt_archive *a = open_it(false);
        struct hunt_engine *engine = new_engine(&settings, a);
        struct err err = {""};
        fill(engine, 0, 300);
        save(a, &settings, engine, seed);
        good(hunt_archive_learn(a, engine, &err), &err);
        hunt_engine_free(engine);
        hunt_archive_close(a);
        struct stat st;
        int fd = open(path, O_RDWR);
        assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 4096);
        uint64_t chance = seed * 0x9e3779b97f4a7c15;
        for (unsigned i = 0; i < 4; i++) {
            char noise[600];
            chance = (chance ^ chance >> 29) * 0xbf58476d1ce4e5b9;
            memset(noise, (int)(chance & 0xff), sizeof noise);
            assert_true(pwrite(fd, noise, sizeof noise, (off_t)(chance % (uint64_t)st.st_size)) >
                        0);
        }
        close(fd);
        int opened = hunt_archive_open(path, false, &a, &err);
        int loaded = 0, saved = 0;
        if (opened >= 0) {
            engine = new_engine(&settings, a);
            loaded = hunt_archive_load(a, &settings, 0, engine, &err);
            saved = hunt_archive_save(a, &settings, engine, NULL, 0, &err);
            saved |= hunt_archive_learn(a, engine, &err);
            (void)hunt_archive_first_seen(a, seed);
            hunt_engine_free(engine);
            hunt_archive_close(a);
        }
        n_said += opened != 0 || loaded != 0 || saved != 0;
        assert_true(opened == 0 || opened == 1);
        assert_true(err.text[0] || (opened == 0 && loaded == 0 && saved == 0));
        remove_folder(NULL);
        assert_int_equal(mkdir(folder, 0700), 0);
    }
    assert_true(n_said > 20);
    hunt_settings_done(&settings);
}

/* ---- a disk that is full ---- */

static void test_full(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *engine = new_engine(&settings, a);
    fill(engine, 0, 100);
    /* Not those of a second engine, which may begin in the next second, and its rounds with it. */
    size_t size, loaded_size;
    uint8_t *saved = all_bytes(engine, &size);
    save(a, &settings, engine, 3);
    fill(engine, 0, 4000);
    for (unsigned day = 1; day < 6; day++)
        fill(engine, day, 4000);
    good(archive_do(a, "PRAGMA max_page_count = 1", &err), &err);
    const struct hunt_mark mark = bed_mark("/logs/conn.log", 4);
    assert_int_equal(hunt_archive_save(a, &settings, engine, &mark, 1, &err), -ENOSPC);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "full"));
    assert_int_equal(saved_offset(a), 3);
    hunt_archive_close(a);

    a = open_it(false);
    assert_int_equal(saved_offset(a), 3);
    struct hunt_engine *loaded = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, 0, loaded, &err), &err);
    uint8_t *bytes = all_bytes(loaded, &loaded_size);
    assert_int_equal(loaded_size, size);
    assert_memory_equal(bytes, saved, size);
    free(bytes);
    free(saved);
    hunt_engine_free(loaded);
    hunt_engine_free(engine);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_open),           TEST(test_no_file),        TEST(test_books),
        TEST(test_foreign_day),    TEST(test_other_settings), TEST(test_no_database),
        TEST(test_other_database), TEST(test_other_version),  TEST(test_no_secret),
        TEST(test_damaged_book),   TEST(test_damaged_pages),  TEST(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
