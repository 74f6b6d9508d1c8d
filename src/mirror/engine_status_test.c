/* Status: what should be, what is, and whether it sends. The world is memory: see engine_bed.h. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <sqlite3.h>

#include "mirror/engine_bed.h"

#define WISH  "[['link','a',{'x':1}],['filter','f',{'z':1},[['link','a']]]]"
#define OTHER "[['link','a',{'x':2}],['link','b',{}],['filter','f',{'z':1}]]"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memset(bed_world, 0, sizeof *bed_world);
    bed_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
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

/* `wanted` NULL: the journal does not know it. Give the result to mirror_status_done. */
static int look(const char *wanted, bool write, struct mirror_status *out, struct err *err)
{
    struct mirror_job job = bed_job("m", wanted);
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    size_t n = 0;
    bed_world->n_calls = 0;
    assert_int_equal(mirror_journal_open(folder, write, &journal, err), 0);
    assert_int_equal(mirror_journal_list(journal, &entries, &n, err), 0);
    assert_int_equal(mirror_job_begin(&job, journal, err), 0);
    int result = mirror_engine_status(&job, journal, wanted != NULL, n > 0 && entries[0].applied,
                                      write, out, err);
    mirror_entries_free(entries, n);
    mirror_job_end(&job);
    mirror_journal_close(journal);
    assert_int_equal(bed_world->n_calls, 0); /* a look changes nothing */
    return result;
}

static void check(const char *wanted, size_t n_missing, size_t n_different, bool applied,
                  const char *trouble)
{
    struct mirror_status status;
    struct err err = {""};
    if (look(wanted, false, &status, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(status.known, wanted != NULL);
    assert_int_equal(status.applied, applied);
    assert_int_equal(status.n_missing, n_missing);
    assert_int_equal(status.n_different, n_different);
    assert_int_equal(status.n_troubles, 0);
    assert_string_equal(status.trouble, trouble);
    size_t n_ours = 0;
    for (size_t i = 0; i < bed_world->n; i++)
        n_ours += strcmp(bed_world->at[i].owner, "m") == 0;
    assert_int_equal(status.planned.found.n, n_ours);
    mirror_status_done(&status);
    assert_null(status.planned.found.at);
}

static void test_states(void **state)
{
    (void)state;
    check(WISH, 2, 0, false, "");
    apply(WISH);
    check(WISH, 0, 0, true, "");
    (void)snprintf(bed_thing("filter", "f")->is, 256, "{\"z\":2}");
    check(WISH, 0, 1, true, "");
    bed_world->n--; /* the filter */
    check(WISH, 1, 0, true, "");
    check(OTHER, 2, 1, true, "");
    bed_put_thing("m", "filter", "stray", NULL, NULL);
    check(WISH, 1, 1, true, "");
}

/* Killed before its end, refused, or of a mirror whose journal is lost. */
static void test_unfinished(void **state)
{
    (void)state;
    struct err err;
    bed_world->refuse_at = 2;
    (void)snprintf(bed_world->refuse, sizeof bed_world->refuse, "unmake link a");
    assert_true(bed_apply(folder, "m", WISH, &err) < 0);
    check(WISH, 1, 0, false, "");
    apply(WISH);
    check(NULL, 0, 0, true, "the journal does not know it: what it should be is not known");
    bed_world->refuse_want = true;
    check(WISH, 0, 0, true, "there is no such interface");
    bed_world->refuse_find = true;
    struct mirror_status status;
    assert_int_equal(look(WISH, false, &status, &err), -EIO);
    assert_string_equal(err.text, "nobody answers");
    assert_int_equal(look(NULL, false, &status, &err), -EIO);
    bed_forget_calls();
    bed_world->refuse_measure = true;
    assert_int_equal(look(WISH, true, &status, &err), -EIO);
    assert_string_equal(err.text, "no counters");
}

/* ---- whether it sends ---- */

static void count(uint64_t seen, uint64_t mirrored)
{
    bed_world->n_measures = 1;
    bed_world->measures[0] =
        (struct mirror_measure){.what = "eth0 in", .n_seen = seen, .n_mirrored = mirrored};
}

/* What the look says of it: "" nothing. */
static void check_trouble(bool write, const char *expected)
{
    struct mirror_status status;
    struct err err = {""};
    if (look(WISH, write, &status, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(status.measures.n, 1);
    assert_int_equal(status.n_troubles, *expected != '\0');
    char *seconds = strstr(status.measures.at[0].trouble, " in the last ");
    char text[200] = "";
    (void)snprintf(text, sizeof text, "%.*s",
                   (int)(seconds ? (size_t)(seconds - status.measures.at[0].trouble)
                                 : strlen(status.measures.at[0].trouble)),
                   status.measures.at[0].trouble);
    assert_string_equal(text, expected);
    mirror_status_done(&status);
}

static void test_not_sending(void **state)
{
    (void)state;
    apply(WISH);
    count(100, 90);
    check_trouble(true, "");
    count(200, 90);
    check_trouble(true, "configured, but not sending: of 100 packets");
    /* It stays so until something is sent, however often is looked. */
    check_trouble(true, "configured, but not sending: of 100 packets");
    count(201, 90);
    check_trouble(true, "configured, but not sending: of 101 packets");
    check_trouble(false, "configured, but not sending: of 101 packets");
    count(202, 91);
    check_trouble(true, "");
    count(203, 91);
    check_trouble(true, "");
}

/* Who looks after each packet sees it as well. */
static void test_looked_often(void **state)
{
    (void)state;
    apply(WISH);
    for (unsigned i = 0; i < 10; i++) {
        count(5 + i, 3);
        check_trouble(true, "");
    }
    count(15, 3);
    check_trouble(true, "configured, but not sending: of 10 packets");
}

static void test_cannot_be_told(void **state)
{
    (void)state;
    apply(WISH);
    count(100, 90);
    check_trouble(false, ""); /* nobody kept it */
    count(200, 90);
    check_trouble(true, "");
    count(10, 0); /* made anew */
    check_trouble(true, "");
    count(15, 0);
    check_trouble(true, "");
    count(UINT64_MAX, 0);
    check_trouble(true, "");
    count(1000, UINT64_MAX);
    check_trouble(true, "");
    /* Another one by that name. */
    count(100, 90);
    (void)snprintf(bed_world->measures[0].what, 64, "eth1 in");
    check_trouble(true, "");
    (void)snprintf(bed_world->measures[0].what, 64, "eth2 in");
    bed_world->measures[0].n_seen = 900;
    check_trouble(true, "");
    /* Its provider looks itself, and says what is wrong itself. */
    count(100, 90);
    check_trouble(true, "");
    count(200, 90);
    bed_world->measures[0].is_judged = true;
    check_trouble(true, "");
    bed_world->measures[0].is_judged = false;
    (void)snprintf(bed_world->measures[0].trouble, 200, "the tunnel is down");
    check_trouble(true, "the tunnel is down");
    /* Applied again: what was counted before says nothing. */
    apply(WISH);
    count(300, 90);
    check_trouble(true, "");
}

/* Numbers that cannot be kept are no reason not to show them. */
static void test_full(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    apply(WISH);
    (void)snprintf(path, sizeof path, "%s/mirror.db", folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "CREATE TRIGGER full BEFORE UPDATE ON mirror"
                                  " BEGIN SELECT RAISE(ABORT, 'no room'); END",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    count(100, 90);
    check_trouble(true, "");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_states),       TEST(test_unfinished),     TEST(test_not_sending),
        TEST(test_looked_often), TEST(test_cannot_be_told), TEST(test_full),
    };
    bed_world_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
