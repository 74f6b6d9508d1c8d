/* The journal: what it keeps of each step and of each mirror. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mirror/journal_bed.h"

/* ---- without one ---- */

static void test_absent(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(false);
    struct mirror_entry *entries = NULL, entry = {.provider = "bed", .name = "a"};
    size_t n = 9;
    struct err err = {""};
    good(mirror_journal_list(journal, &entries, &n, &err), &err);
    assert_int_equal(n, 0);
    mirror_entries_free(entries, n);
    char text[1024];
    objects(journal, "a", text);
    assert_string_equal(text, "");
    assert_null(mirror_journal_sample(journal, "bed", "a"));
    assert_int_equal(mirror_journal_begin(journal, &entry, &err), -EROFS);
    assert_int_equal(mirror_journal_end(journal, "bed", "a", &err), -EROFS);
    assert_int_equal(mirror_journal_forget(journal, "bed", "a", &err), -EROFS);
    assert_int_equal(mirror_journal_keep_sample(journal, "bed", "a", NULL, &err), -EROFS);
    struct mirror_set set = bed_set("[['link','a',{}]]");
    assert_int_equal(mirror_journal_step(journal, "bed", "a", &set.at[0], MIRROR_MADE, &err),
                     -EROFS);
    mirror_set_done(&set);
    mirror_journal_close(journal);
    mirror_journal_close(NULL);
    /* A look leaves nothing behind: the folder is still empty. */
    assert_int_equal(rmdir(folder), 0);
    check_objects("a", ""); /* nor is a folder needed */
    assert_int_equal(mkdir(folder, 0700), 0);
}

/* ---- what is kept ---- */

static void test_states(void **state)
{
    (void)state;
    static const char *const words[] = {"making", "made", "unmaking"};
    struct mirror_journal *journal = open_it(true);
    char text[1024], expected[64];
    begin(journal, "a");
    for (int i = MIRROR_MAKING; i <= MIRROR_UNMAKING; i++) {
        step(journal, "a", "[['link','x',{'mtu':1500},[['base','b']]]]", i);
        objects(journal, "a", text);
        (void)snprintf(expected, sizeof expected, "%s link x", words[i]);
        assert_string_equal(text, expected);
    }
    struct mirror_set set = {0};
    struct err err;
    good(mirror_journal_objects(journal, "bed", "a", &set, &err), &err);
    assert_int_equal(set.n, 1);
    assert_string_equal(set.at[0].why, "copies");
    assert_int_equal(json_integer_value(json_object_get(set.at[0].is, "mtu")), 1500);
    assert_string_equal(json_string_value(json_array_get(json_array_get(set.at[0].on, 0), 1)), "b");
    mirror_set_done(&set);
    step(journal, "a", "[['link','x',{}]]", MIRROR_UNMADE);
    objects(journal, "a", text);
    assert_string_equal(text, "");
    step(journal, "a", "[['link','never',{}]]", MIRROR_UNMADE); /* of what was not there */
    objects(journal, "a", text);
    assert_string_equal(text, "");
    mirror_journal_close(journal);
}

/* In the order they were made; others' objects are others'. */
static void test_order(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(true);
    char text[1024];
    step(journal, "a", "[['link','z',{}]]", MIRROR_MADE);
    step(journal, "b", "[['link','z',{}]]", MIRROR_MADE);
    step(journal, "a", "[['link','a',{}]]", MIRROR_MAKING);
    step(journal, "a", "[['filter','z',{}]]", MIRROR_MAKING);
    step(journal, "a", "[['link','a',{}]]", MIRROR_MADE);
    objects(journal, "a", text);
    assert_string_equal(text, "made link z, made link a, making filter z");
    step(journal, "a", "[['link','z',{}]]", MIRROR_UNMADE);
    step(journal, "a", "[['link','z',{}]]", MIRROR_MADE);
    objects(journal, "a", text);
    assert_string_equal(text, "made link a, making filter z, made link z");
    objects(journal, "b", text);
    assert_string_equal(text, "made link z");
    mirror_journal_close(journal);
}

static void test_mirrors(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(true);
    struct mirror_entry *entries = NULL;
    struct err err;
    begin(journal, "b");
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    step(journal, "b", "[['link','x',{}]]", MIRROR_MADE);
    good(mirror_journal_end(journal, "bed", "a", &err), &err);
    assert_int_equal(list(&entries), 2);
    assert_string_equal(entries[0].name, "a");
    assert_string_equal(entries[0].provider, "bed");
    assert_string_equal(entries[0].machine, "web-1");
    assert_string_equal(json_string_value(json_array_get(entries[0].arguments, 1)), "--id=7");
    assert_true(entries[0].applied);
    assert_string_equal(entries[1].name, "b");
    assert_false(entries[1].applied);
    mirror_entries_free(entries, 2);
    begin(journal, "a"); /* once more: it has not come to its end */
    assert_int_equal(list(&entries), 2);
    assert_false(entries[0].applied);
    mirror_entries_free(entries, 2);
    good(mirror_journal_forget(journal, "bed", "a", &err), &err);
    good(mirror_journal_forget(journal, "bed", "a", &err), &err);
    assert_int_equal(list(&entries), 1);
    assert_string_equal(entries[0].name, "b");
    mirror_entries_free(entries, 1);
    mirror_journal_close(journal);
    check_objects("a", "");
    check_objects("b", "made link x");
}

/* Whatever a name is made of, it is a name. */
static void test_names(void **state)
{
    (void)state;
    static const char evil[] = "'; DROP TABLE mirror; --\"%s\xc3\xa4\xf0\x9f\x98\x80";
    struct mirror_journal *journal = open_it(true);
    struct mirror_entry *entries = NULL, entry = {.provider = "bed", .name = "e"};
    struct err err;
    (void)snprintf(entry.machine, sizeof entry.machine, "%s", evil);
    entry.arguments = json_pack("[s]", evil);
    good(mirror_journal_begin(journal, &entry, &err), &err);
    json_decref(entry.arguments);
    struct mirror_set set = {0};
    struct mirror_object *object = mirror_set_add(&set, "link", evil, json_pack("{ss}", "k", evil));
    mirror_object_on(&set, object, evil, evil);
    mirror_object_why(object, "%s", evil);
    good(mirror_journal_step(journal, "bed", "e", object, MIRROR_MADE, &err), &err);
    mirror_set_done(&set);
    good(mirror_journal_objects(journal, "bed", "e", &set, &err), &err);
    assert_string_equal(set.at[0].key, evil);
    assert_string_equal(set.at[0].why, evil);
    assert_string_equal(json_string_value(json_object_get(set.at[0].is, "k")), evil);
    mirror_set_done(&set);
    mirror_journal_close(journal);
    assert_int_equal(list(&entries), 1);
    assert_string_equal(entries[0].machine, evil);
    assert_string_equal(json_string_value(json_array_get(entries[0].arguments, 0)), evil);
    mirror_entries_free(entries, 1);
}

static void test_samples(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(true);
    struct err err;
    json_t *sample = json_pack("{sI}", "time", (json_int_t)7), *read;
    begin(journal, "a");
    assert_null(mirror_journal_sample(journal, "bed", "a"));
    good(mirror_journal_keep_sample(journal, "bed", "a", sample, &err), &err);
    read = mirror_journal_sample(journal, "bed", "a");
    assert_true(json_equal(read, sample));
    json_decref(read);
    assert_null(mirror_journal_sample(journal, "bed", "b"));
    good(mirror_journal_keep_sample(journal, "bed", "a", NULL, &err), &err);
    assert_null(mirror_journal_sample(journal, "bed", "a"));
    good(mirror_journal_keep_sample(journal, "bed", "a", sample, &err), &err);
    begin(journal, "a"); /* counters begin anew */
    assert_null(mirror_journal_sample(journal, "bed", "a"));
    json_decref(sample);
    mirror_journal_close(journal);
}
/* The list of steps is for people: it does not grow for ever. */
static void test_trimmed(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(true);
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MAKING);
    assert_int_equal(count_sql("SELECT count(*) FROM step"), 1);
    do_sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)"
           " INSERT INTO step(at, provider, name, kind, key, state)"
           " SELECT i, 'bed', 'a', 'link', 'x', 'made' FROM n");
    begin(journal, "a");
    assert_int_equal(count_sql("SELECT count(*) FROM step"), 10001);
    assert_int_equal(count_sql("SELECT max(at) FROM step"), 25000); /* the last ones stay */
    mirror_journal_close(journal);
    check_objects("a", "making link x");
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_absent), TEST(test_states),  TEST(test_order),   TEST(test_mirrors),
        TEST(test_names),  TEST(test_samples), TEST(test_trimmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
