/* The engine: what it asks of a provider, in which order, what is left when something is refused,
 * and what it says then. The world is memory: see engine_bed.h. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <sqlite3.h>
#include <sys/stat.h>

#include "mirror/engine_bed.h"

#define WISH                                                                                       \
    "[['link','a',{'x':1}],['soft','s',{'y':1},[['link','a']]],['bare','b',{}],"                   \
    "['filter','f',{'z':1},[['bare','b'],['link','a']]]]"
#define WORLD "link a{\"x\":1}, soft s{\"y\":1}, bare b, filter f{\"z\":1}"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memset(bed_world, 0, sizeof *bed_world);
    bed_folder(folder);
    bed_put_thing("", "link", "theirs", NULL, NULL);
    bed_put_thing("other", "link", "others", NULL, NULL);
    return 0;
}

/* What was never ours is still there, and nobody was asked for what no provider should be. */
static int remove_folder(void **state)
{
    char theirs[1024];
    (void)state;
    bed_world_text("", theirs);
    assert_string_equal(theirs, "link theirs[]");
    bed_world_text("other", theirs);
    assert_string_equal(theirs, "link others[]");
    assert_string_equal(bed_world->fault, "");
    bed_folder_done(folder);
    return 0;
}

static void apply(const char *wanted)
{
    struct err err = {""};
    bed_forget_calls();
    if (bed_apply(folder, "m", wanted, &err) < 0)
        fail_msg("%s", err.text);
}

static void refused_apply(const char *wanted, int code, const char *sentence)
{
    struct err err = {""};
    assert_int_equal(bed_apply(folder, "m", wanted, &err), code);
    assert_string_equal(err.text, sentence);
}

static size_t remove_it(void)
{
    struct err err = {""};
    size_t n;
    bed_forget_calls();
    if (bed_remove(folder, "m", &n, &err) < 0)
        fail_msg("%s", err.text);
    return n;
}

static void check_world(const char *expected)
{
    char text[1024];
    bed_world_text("m", text);
    assert_string_equal(text, expected);
}

/* "making link a, …" as the journal has it, and whether it knows the mirror: "-" not, "?" its apply
 * did not come to its end, "!" it did. */
static void check_journal(const char *mark, const char *expected)
{
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    struct mirror_set set = {0};
    size_t n = 0;
    char text[1024] = "", known = '-';
    struct err err;
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_journal_list(journal, &entries, &n, &err), 0);
    assert_int_equal(mirror_journal_objects(journal, "bed", "m", &set, &err), 0);
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].name, "m") == 0) {
            assert_string_equal(entries[i].machine, "web-1");
            assert_int_equal(json_array_size(entries[i].arguments), 2);
            known = entries[i].applied ? '!' : '?';
        }
    for (size_t i = 0; i < set.n; i++) {
        size_t len = strlen(text);
        (void)snprintf(text + len, sizeof text - len, "%s%s %s %s", len ? ", " : "",
                       json_string_value(json_object_get(set.at[i].also, "state")), set.at[i].kind,
                       set.at[i].key);
    }
    mirror_set_done(&set);
    mirror_entries_free(entries, n);
    mirror_journal_close(journal);
    assert_string_equal(text, expected);
    assert_int_equal(known, *mark);
}

/* ---- what goes well ---- */

static void test_apply(void **state)
{
    (void)state;
    apply(WISH);
    check_world(WORLD);
    check_journal("!", "made link a, made soft s, made bare b, made filter f");
    assert_int_equal(bed_world->n_calls, 4);
    assert_string_equal(bed_world->said, "+link a, +link a!, +soft s, +soft s!, +bare b, +bare b!, "
                                         "+filter f, +filter f!");
    /* Once more: nothing is asked for, and nothing said. */
    struct err err;
    assert_int_equal(bed_plan(folder, "m", WISH, &err), 0);
    apply(WISH);
    assert_int_equal(bed_world->n_calls, 0);
    assert_string_equal(bed_world->said, "");
    check_world(WORLD);
    check_journal("!", "made link a, made soft s, made bare b, made filter f");
}

static void test_remove(void **state)
{
    (void)state;
    apply(WISH);
    assert_int_equal(remove_it(), 4);
    assert_string_equal(bed_world->said, "-filter f, -filter f!, -bare b, -bare b!, "
                                         "-soft s, -soft s!, -link a, -link a!");
    check_world("");
    check_journal("-", "");
    assert_int_equal(remove_it(), 0);
    assert_int_equal(bed_world->n_calls, 0);
}

/* A plan asks, and changes nothing: not even a journal is made. */
static void test_plan(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(bed_plan(folder, "m", WISH, &err), 4);
    assert_int_equal(bed_world->n_calls, 0);
    check_world("");
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(mkdir(folder, 0700), 0);
    bed_world->refuse_want = true;
    assert_int_equal(bed_plan(folder, "m", WISH, &err), -ENODEV);
    assert_string_equal(err.text, "there is no such interface");
    bed_world->refuse_want = false;
    bed_world->refuse_find = true;
    assert_int_equal(bed_plan(folder, "m", WISH, &err), -EIO);
    assert_string_equal(err.text, "nobody answers");
}

static void test_change_in_place(void **state)
{
    (void)state;
    apply(WISH);
    apply("[['link','a',{'x':1}],['soft','s',{'y':2},[['link','a']]],['bare','b',{}],"
          "['filter','f',{'z':1},[['bare','b'],['link','a']]]]");
    assert_string_equal(bed_world->said, "~soft s, ~soft s!");
    check_world("link a{\"x\":1}, soft s{\"y\":2}, bare b, filter f{\"z\":1}");
    check_journal("!", "made link a, made soft s, made bare b, made filter f");
}

/* What stands on what is made anew goes first, and comes after it. */
static void test_made_anew(void **state)
{
    (void)state;
    apply(WISH);
    apply("[['link','a',{'x':2}],['soft','s',{'y':1},[['link','a']]],['bare','b',{}],"
          "['filter','f',{'z':1},[['bare','b'],['link','a']]]]");
    assert_string_equal(bed_world->said,
                        "-filter f, -filter f!, -soft s, -soft s!, -link a, -link a!, "
                        "+link a, +link a!, +soft s, +soft s!, +filter f, +filter f!");
    check_world("bare b, link a{\"x\":2}, soft s{\"y\":1}, filter f{\"z\":1}");
    /* And what is not wanted any more goes before anything is made. */
    apply("[['link','c',{}],['link','a',{'x':2}]]");
    assert_string_equal(bed_world->said, "-filter f, -filter f!, -soft s, -soft s!, "
                                         "-bare b, -bare b!, +link c, +link c!");
    check_world("link a{\"x\":2}, link c");
    check_journal("!", "made link a, made link c");
}

/* Somebody took a part away: it is put back, and what stands on it is made anew. */
static void test_repair(void **state)
{
    (void)state;
    apply(WISH);
    struct bed_thing *link = bed_thing("link", "a");
    memmove(link, link + 1, (bed_world->n - (size_t)(link - bed_world->at) - 1) * sizeof *link);
    bed_world->n--;
    apply(WISH);
    assert_string_equal(bed_world->said, "-filter f, -filter f!, -soft s, -soft s!, +link a, "
                                         "+link a!, +soft s, +soft s!, +filter f, +filter f!");
    check_world("bare b, link a{\"x\":1}, soft s{\"y\":1}, filter f{\"z\":1}");
}

/* Two mirrors of one provider do not touch each other. */
static void test_two(void **state)
{
    (void)state;
    struct err err;
    size_t n;
    apply("[['link','a',{}],['bare','b',{}]]");
    assert_int_equal(bed_apply(folder, "n", "[['link','n',{}],['bare','c',{}]]", &err), 0);
    check_world("link a, bare b");
    assert_int_equal(bed_remove(folder, "n", &n, &err), 0);
    assert_int_equal(n, 2);
    check_world("link a, bare b");
    check_journal("!", "made link a, made bare b");
}

/* ---- what is refused ---- */

/* Nothing stays of a first apply that is refused at any of its steps. */
static void test_refused_at_each(void **state)
{
    (void)state;
    static const char *const sentences[] = {"make link a: refused", "make soft s: refused",
                                            "make bare b: refused", "make filter f: refused"};
    for (unsigned i = 0; i < 4; i++) {
        bed_forget_calls();
        bed_world->refuse_at = i + 1;
        refused_apply(WISH, -EPERM, sentences[i]);
        check_world("");
        check_journal("-", "");
        assert_int_equal(bed_world->n_calls, 1 + 2 * i);
    }
    bed_forget_calls();
    bed_world->refuse_at = 2;
    refused_apply(WISH, -EPERM, sentences[1]);
    assert_string_equal(bed_world->said, "+link a, +link a!, +soft s, +soft s?, -link a, -link a!");
    bed_forget_calls();
    bed_world->refuse_proof = true;
    refused_apply(WISH, -ELOOP, "it came out twice");
    check_world("");
    check_journal("-", "");
}

/* What cannot be taken away again is said, and not forgotten: not even where it has no mark. */
static void test_undo_refused(void **state)
{
    (void)state;
    bed_world->refuse_at = 4;
    (void)snprintf(bed_world->refuse, sizeof bed_world->refuse, "unmake bare b");
    refused_apply(WISH, -EPERM,
                  "make filter f: refused; and 1 of what was made could not be taken away again "
                  "(unmake bare b: refused): cloudspan mirror remove will try once more");
    check_world("bare b");
    check_journal("?", "unmaking bare b");
    assert_int_equal(remove_it(), 1);
    check_world("");
    check_journal("-", "");
    /* The first of several reasons. */
    apply("[['link','a',{}]]");
    assert_int_equal(remove_it(), 1);
}

/* What was there before is not brought back: that is said. */
static void test_change_refused(void **state)
{
    (void)state;
    static const char other[] =
        "[['link','a',{'x':2}],['soft','s',{'y':1},[['link','a']]],['bare','b',{}]]";
    static const char not_whole[] =
        "make soft s: refused; the mirror that was there before is not whole now: apply or remove "
        "it";
    apply(WISH);
    bed_forget_calls();
    (void)snprintf(bed_world->refuse, sizeof bed_world->refuse, "make soft s");
    refused_apply(other, -EPERM, not_whole);
    check_world("bare b");
    check_journal("?", "made bare b");
    apply(other);
    check_world("bare b, link a{\"x\":2}, soft s{\"y\":1}");
    check_journal("!", "made bare b, made link a, made soft s");
    /* Refused before anything was touched: it is whole. */
    bed_forget_calls();
    bed_world->refuse_at = 1;
    refused_apply(WISH, -EPERM, "unmake soft s: refused");
    check_world("bare b, link a{\"x\":2}, soft s{\"y\":1}");
    /* A change in place that is refused, and one that was done before another step is. */
    apply(WISH);
    bed_forget_calls();
    bed_world->refuse_at = 1;
    refused_apply("[['link','a',{'x':1}],['soft','s',{'y':3}],['bare','b',{}],"
                  "['filter','f',{'z':1}]]",
                  -EPERM, "change soft s: refused");
    check_world("bare b, link a{\"x\":1}, soft s{\"y\":1}, filter f{\"z\":1}");
    bed_forget_calls();
    bed_world->refuse_at = 2;
    refused_apply("[['link','a',{'x':1}],['soft','s',{'y':3}],['bare','b',{}],"
                  "['filter','f',{'z':1}],['link','n',{}]]",
                  -EPERM,
                  "make link n: refused; the mirror that was there before is not whole now: "
                  "apply or remove it");
    check_world("bare b, link a{\"x\":1}, soft s{\"y\":3}, filter f{\"z\":1}");
}

/* A mirror that the journal knows is not forgotten because its apply is refused once: after a start
 * of the machine all of it is gone, and the network may not be there yet. */
static void test_refused_after_restart(void **state)
{
    (void)state;
    apply(WISH);
    bed_world->n = 2; /* theirs and others' */
    bed_forget_calls();
    bed_world->refuse_at = 1;
    refused_apply(WISH, -EPERM, "make link a: refused");
    check_world("");
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    size_t n = 0;
    struct err err;
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_journal_list(journal, &entries, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_false(entries[0].applied);
    mirror_entries_free(entries, n);
    mirror_journal_close(journal);
    apply(WISH);
    check_world(WORLD);
}

static void test_interrupted(void **state)
{
    (void)state;
    static const char *const said[] = {"interrupted; what was made is taken away again"};
    for (unsigned i = 1; i <= 4; i++) {
        bed_forget_calls();
        bed_world->stop_at = i;
        refused_apply(WISH, -EINTR, said[0]);
        assert_int_equal(bed_world->n_calls, 2 * (i - 1));
        check_world("");
        check_journal("-", "");
    }
    /* Between what is taken away and what is made, and between two things that are taken away. */
    apply(WISH);
    bed_forget_calls();
    bed_world->stop_at = 2;
    refused_apply("[['link','a',{'x':1}]]", -EINTR,
                  "interrupted; the mirror that was there before is not whole now: apply or remove "
                  "it");
    check_world("link a{\"x\":1}, soft s{\"y\":1}, bare b");
    /* Who has nothing to do is not asked; nor who has done all. */
    apply("[['link','a',{'x':1}]]");
    assert_int_equal(bed_world->n_asked, 2);
    bed_forget_calls();
    bed_world->stop_at = 1;
    struct err err;
    assert_int_equal(bed_apply(folder, "m", "[['link','a',{'x':1}]]", &err), 0);
    assert_int_equal(bed_world->n_asked, 0);
}

static void test_remove_refused(void **state)
{
    (void)state;
    struct err err;
    size_t n = 9;
    apply(WISH);
    bed_forget_calls();
    bed_world->refuse_find = true;
    assert_int_equal(bed_remove(folder, "m", &n, &err), -EIO);
    assert_string_equal(err.text, "nobody answers");
    assert_int_equal(n, 0);
    check_journal("!", "made link a, made soft s, made bare b, made filter f");
    /* It goes on where one step fails, and says the first failure. */
    bed_forget_calls();
    (void)snprintf(bed_world->refuse, sizeof bed_world->refuse, "unmake bare b");
    assert_int_equal(bed_remove(folder, "m", &n, &err), -EIO);
    assert_string_equal(err.text, "unmake bare b: refused");
    assert_int_equal(n, 3);
    check_world("bare b");
    check_journal("!", "unmaking bare b");
    assert_int_equal(remove_it(), 1);
    check_journal("-", "");
}

/* ---- without a journal, and with one that cannot be written ---- */

static void test_lost_journal(void **state)
{
    (void)state;
    static const char marked[] = "[['link','a',{}],['soft','s',{},[['link','a']]]]";
    apply(marked);
    bed_lose_journal(folder);
    struct err err;
    assert_int_equal(bed_plan(folder, "m", marked, &err), 0);
    apply(marked);
    assert_int_equal(bed_world->n_calls, 0);
    check_journal("!", "");
    bed_lose_journal(folder);
    assert_int_equal(remove_it(), 2);
    check_world("");
    check_journal("-", "");
}

static void do_sql(const char *sql)
{
    char path[128];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/mirror.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* A step that cannot be written down is not done; what was done before is taken away all the same,
 * and so is what was made when its second line could not be written. */
static void test_full_journal(void **state)
{
    (void)state;
    static const char *const triggers[] = {
        /* before the third step, and behind it */
        "CREATE TRIGGER full BEFORE INSERT ON step WHEN NEW.kind = 'bare' AND NEW.state = 'making'"
        " BEGIN SELECT RAISE(ABORT, 'no room'); END",
        "CREATE TRIGGER full BEFORE INSERT ON step WHEN NEW.kind = 'bare' AND NEW.state = 'made'"
        " BEGIN SELECT RAISE(ABORT, 'no room'); END",
        /* and nothing can be written any more from there on */
        "CREATE TRIGGER full BEFORE INSERT ON step WHEN NEW.number > 5 OR"
        " (SELECT count(*) FROM step) > 5 BEGIN SELECT RAISE(ABORT, 'no room'); END"};
    struct err err;
    size_t n;
    apply("[]"); /* makes the file */
    assert_int_equal(remove_it(), 0);
    for (size_t i = 0; i < 3; i++) {
        do_sql(triggers[i]);
        bed_forget_calls();
        assert_int_equal(bed_apply(folder, "m", WISH, &err), -EIO);
        assert_non_null(strstr(err.text, "no room"));
        assert_null(strstr(err.text, "taken away again"));
        check_world("");
        do_sql("DROP TRIGGER full; DELETE FROM step");
        assert_int_equal(bed_remove(folder, "m", &n, &err), 0);
    }
    /* What has to go goes. */
    apply(WISH);
    do_sql(
        "CREATE TRIGGER full BEFORE INSERT ON step BEGIN SELECT RAISE(ABORT, 'no room'); END;"
        "CREATE TRIGGER stays BEFORE DELETE ON object BEGIN SELECT RAISE(ABORT, 'no room'); END");
    bed_forget_calls();
    assert_int_equal(bed_remove(folder, "m", &n, &err), -EIO);
    assert_non_null(strstr(err.text, "no room"));
    assert_int_equal(n, 4);
    check_world("");
    /* But nothing is taken away for an apply that could not go on. */
    do_sql("DROP TRIGGER full; DROP TRIGGER stays");
    assert_int_equal(remove_it(), 0);
    apply(WISH);
    do_sql("CREATE TRIGGER full BEFORE INSERT ON step BEGIN SELECT RAISE(ABORT, 'no room'); END");
    bed_forget_calls();
    assert_int_equal(bed_apply(folder, "m", "[['link','a',{'x':2}]]", &err), -EIO);
    assert_int_equal(bed_world->n_calls, 0);
    check_world(WORLD);
    do_sql("DROP TRIGGER full");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_apply),
        TEST(test_remove),
        TEST(test_plan),
        TEST(test_change_in_place),
        TEST(test_made_anew),
        TEST(test_repair),
        TEST(test_two),
        TEST(test_refused_at_each),
        TEST(test_undo_refused),
        TEST(test_change_refused),
        TEST(test_refused_after_restart),
        TEST(test_interrupted),
        TEST(test_remove_refused),
        TEST(test_lost_journal),
        TEST(test_full_journal),
    };
    bed_world_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
