/* The engine, where a cloud refuses some of many: the others are made, what stands on a refused one
 * is not, the reasons are kept; what was made before a failure stays where the provider keeps it;
 * status says what lacks, what is not covered, and who took things away. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <sqlite3.h>

#include "mirror/engine_bed.h"

/* Two sessions on a target, and a rule on the first session. */
#define WISH                                                                                       \
    "[['target','t',{}],['session','a',{},[['target','t']],true],"                                 \
    "['rule','r',{},[['session','a']]],['session','b',{},[['target','t']],true]]"
#define ALL "target t, session a, rule r, session b"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    memset(bed_world, 0, sizeof *bed_world);
    bed_world->keeps = true;
    bed_folder(folder);
    bed_put_thing("", "session", "theirs", NULL, NULL);
    return 0;
}

static int remove_folder(void **state)
{
    char theirs[1024];
    (void)state;
    bed_world_text("", theirs);
    assert_string_equal(theirs, "session theirs[]");
    assert_string_equal(bed_world->fault, "");
    bed_folder_done(folder);
    return 0;
}

static void refuse(const char *call, int code)
{
    bed_forget_calls();
    (void)snprintf(bed_world->refuse, sizeof bed_world->refuse, "%s", call);
    bed_world->refuse_code = code;
}

static void check_world(const char *expected)
{
    char text[1024];
    bed_world_text("m", text);
    assert_string_equal(text, expected);
}

static void check_apply(const char *wanted, const char *expected)
{
    struct err err = {""};
    char lacks[1024] = "";
    if (bed_apply_lacking(folder, "m", wanted, lacks, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(lacks, expected);
}

static void remove_it(void)
{
    struct err err = {""};
    size_t n;
    bed_forget_calls();
    if (bed_remove(folder, "m", &n, &err) < 0)
        fail_msg("%s", err.text);
    check_world("");
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

/* Give it to mirror_status_done. */
static struct mirror_status look(const char *wanted)
{
    struct mirror_job job = bed_job("m", wanted);
    struct mirror_journal *journal = NULL;
    struct mirror_status status;
    struct err err;
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_job_begin(&job, journal, &err), 0);
    if (mirror_engine_status(&job, journal, true, true, false, &status, &err) < 0)
        fail_msg("%s", err.text);
    mirror_job_end(&job);
    mirror_journal_close(journal);
    return status;
}

/* The reason of the step of this object. */
static void check_reason(const struct mirror_status *status, const char *key, const char *expected)
{
    for (size_t i = 0; i < status->planned.plan.n; i++) {
        const struct mirror_step *step = &status->planned.plan.at[i];
        if (strcmp((step->want ? step->want : step->have)->key, key) == 0) {
            assert_string_equal(step->reason, expected);
            return;
        }
    }
    fail_msg("no step of %s", key);
}

/* ---- what may lack ---- */

static void test_lack(void **state)
{
    (void)state;
    static const int codes[] = {-EOPNOTSUPP, -EDQUOT, -ENOENT, -EBUSY, -EEXIST, -EINVAL};
    struct err err;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        refuse("make session a", codes[i]);
        check_apply(WISH, "session a: make session a: refused; "
                          "rule r: stands on session a: make session a: refused");
        check_world("target t, session b");
        /* It is tried again, and then is there. */
        assert_int_equal(bed_plan(folder, "m", WISH, &err), 2);
        struct mirror_status status = look(WISH);
        assert_int_equal(status.n_missing, 2);
        assert_int_equal(status.n_lacking, 2);
        check_reason(&status, "a", "refused at the last apply: make session a: refused");
        check_reason(&status, "r",
                     "refused at the last apply: stands on session a: make session "
                     "a: refused");
        assert_null(status.blame.at);
        mirror_status_done(&status);
        bed_forget_calls();
        check_apply(WISH, "");
        check_world("target t, session b, session a, rule r");
        assert_int_equal(bed_plan(folder, "m", WISH, &err), 0);
        status = look(WISH);
        assert_int_equal(status.n_missing, 0);
        mirror_status_done(&status);
        remove_it();
    }
}

/* All lack: the mirror is known all the same, until it is removed. */
static void test_all_lack(void **state)
{
    (void)state;
    refuse("make session a", -EDQUOT);
    check_apply("[['session','a',{},[],true]]", "session a: make session a: refused");
    struct mirror_status status = look("[['session','a',{},[],true]]");
    assert_int_equal(status.n_lacking, 1);
    mirror_status_done(&status);
    remove_it();
    struct mirror_job job = bed_job("m", NULL);
    struct mirror_journal *journal = NULL;
    struct err err;
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_job_begin(&job, journal, &err), 0);
    assert_null(mirror_job_lacks(&job, "session", "a"));
    mirror_job_end(&job);
    mirror_journal_close(journal);
}

/* Other refusals, and those of what may not lack, are failures. */
static void test_no_lack(void **state)
{
    (void)state;
    static const struct {
        const char *call;
        int code;
        const char *world;
    } cases[] = {
        {"make session a", -EPERM, "target t"},  {"make session a", -EACCES, "target t"},
        {"make session a", -EAGAIN, "target t"}, {"make session a", -ECANCELED, "target t"},
        {"make target t", -EDQUOT, ""},          {"make rule r", -EDQUOT, "target t, session a"}};
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        refuse(cases[i].call, cases[i].code);
        assert_int_equal(bed_apply(folder, "m", WISH, &err), cases[i].code);
        check_world(cases[i].world);
        remove_it();
    }
}

/* It was there, and its better self is refused. */
static void test_change_lacks(void **state)
{
    (void)state;
    bed_forget_calls();
    check_apply("[['soft','s',{'x':1},[],true],['link','l',{},[['soft','s']]]]", "");
    refuse("change soft s", -EINVAL);
    check_apply("[['soft','s',{'x':2},[],true],['link','l',{'y':1},[['soft','s']]]]",
                "soft s: change soft s: refused");
    check_world("soft s{\"x\":1}, link l{\"y\":1}"); /* what stands on it is made all the same */
    remove_it();
}

/* ---- what is kept ---- */

static void test_keeps(void **state)
{
    (void)state;
    struct err err = {""};
    refuse("make session b", -EACCES);
    assert_int_equal(bed_apply(folder, "m", WISH, &err), -EACCES);
    assert_string_equal(err.text, "make session b: refused; 3 of 4 steps are done; apply again "
                                  "goes on");
    check_world("target t, session a, rule r");
    bed_forget_calls();
    check_apply(WISH, "");
    assert_int_equal(bed_world->n_calls, 1);
    check_world(ALL);
    /* The same when it is interrupted, and while things are taken away. */
    bed_forget_calls();
    bed_world->stop_at = 3;
    assert_int_equal(bed_apply(folder, "m", "[['target','t',{'x':1}]]", &err), -EINTR);
    assert_string_equal(err.text, "interrupted; 2 of 4 steps are done; apply again goes on");
    check_world("target t, session a");
    bed_forget_calls();
    check_apply("[['target','t',{'x':1}]]", "");
    check_world("target t{\"x\":1}");
    remove_it();
    /* Where it does not keep, all is undone, and those that lack are no fault. */
    bed_world->keeps = false;
    refuse("make session a", -EINVAL);
    bed_world->refuse_proof = true;
    assert_int_equal(bed_apply(folder, "m", WISH, &err), -ELOOP);
    assert_string_equal(err.text, "it came out twice");
    check_world("");
}

/* Nothing was done: as if it had never been. */
static void test_keeps_nothing(void **state)
{
    (void)state;
    struct mirror_journal *journal = NULL;
    struct mirror_entry *entries = NULL;
    size_t n = 0;
    struct err err;
    refuse("make target t", -EACCES);
    assert_int_equal(bed_apply(folder, "m", WISH, &err), -EACCES);
    assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
    assert_int_equal(mirror_journal_list(journal, &entries, &n, &err), 0);
    assert_int_equal(n, 0);
    mirror_entries_free(entries, n);
    mirror_journal_close(journal);
}

/* An answer was lost: the mirror stays known, so that what may be there is found. */
static void test_keeps_lost(void **state)
{
    (void)state;
    static const int codes[] = {-EIO, -ETIMEDOUT, -ECANCELED, -EAGAIN};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct mirror_journal *journal = NULL;
        struct mirror_entry *entries = NULL;
        struct mirror_set set = {0};
        size_t n = 0;
        struct err err;
        refuse("make target t", codes[i]);
        assert_int_equal(bed_apply(folder, "m", WISH, &err), codes[i]);
        assert_int_equal(mirror_journal_open(folder, false, &journal, &err), 0);
        assert_int_equal(mirror_journal_list(journal, &entries, &n, &err), 0);
        assert_int_equal(mirror_journal_objects(journal, "bed", "m", &set, &err), 0);
        assert_int_equal(n, 1);
        assert_false(entries[0].applied);
        assert_int_equal(set.n, 1);
        assert_string_equal(set.at[0].key, "t");
        mirror_set_done(&set);
        mirror_entries_free(entries, n);
        mirror_journal_close(journal);
        remove_it();
    }
}

/* What a cloud says at length does not push out what can be done. */
static void test_long_refusal(void **state)
{
    (void)state;
    struct err err;
    char key[MIRROR_KEY_MAX], wish[512];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    bed_forget_calls();
    bed_world->refuse_at = 2;
    bed_world->is_wordy = true;
    (void)snprintf(wish, sizeof wish, "[['target','t',{}],['rule','%s',{}]]", key);
    assert_int_equal(bed_apply(folder, "m", wish, &err), -EPERM);
    assert_non_null(strstr(err.text, "...; 1 of 2 steps are done; apply again goes on"));
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    bed_world->is_wordy = false;
    remove_it();
}

/* ---- killed ---- */

/* In a child; true: it was killed. */
static bool run_killed(void)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err err;
        _exit(bed_apply(folder, "m", WISH, &err) < 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status);
}

static void test_killed(void **state)
{
    (void)state;
    unsigned at = 0;
    for (bool killed = true; killed;) {
        /* Refused, and killed; refused again, or not any more; away. */
        refuse("make session a", -EDQUOT);
        bed_world->kill_at = ++at;
        killed = run_killed();
        assert_true(at < 100);
        bed_world->kill_at = 0;
        if (at % 2) {
            check_apply(WISH, "session a: make session a: refused; "
                              "rule r: stands on session a: make session a: refused");
            check_world("target t, session b");
        } else {
            bed_forget_calls();
            check_apply(WISH, "");
            assert_int_equal(bed_world->n, 1 + 4);
        }
        remove_it();
    }
    assert_true(at > 10);
}

/* Where the journal cannot say that one lacks, apply fails, and what was made stays. */
static void test_full_journal(void **state)
{
    (void)state;
    struct err err;
    bed_forget_calls();
    check_apply("[]", "");
    remove_it();
    do_sql("CREATE TRIGGER full BEFORE INSERT ON step WHEN NEW.state = 'lacked'"
           " BEGIN SELECT RAISE(ABORT, 'no room'); END");
    refuse("make session a", -EDQUOT);
    assert_int_equal(bed_apply(folder, "m", WISH, &err), -EIO);
    assert_non_null(strstr(err.text, "no room"));
    check_world("target t");
    do_sql("DROP TRIGGER full");
    remove_it();
}

/* A journal of the version before: it is read, and made anew when it is written. */
static void test_old_journal(void **state)
{
    (void)state;
    bed_forget_calls();
    check_apply(WISH, "");
    do_sql("ALTER TABLE object DROP COLUMN also; PRAGMA user_version = 1");
    struct mirror_status status = look(WISH);
    assert_int_equal(status.n_missing, 0);
    mirror_status_done(&status);
    refuse("make session c", -EDQUOT);
    check_apply("[['target','t',{}],['session','c',{},[],true]]",
                "session c: make session c: refused");
    check_world("target t");
    remove_it();
}

/* ---- status ---- */

static void take_away(const char *kind, const char *key)
{
    struct bed_thing *thing = bed_thing(kind, key);
    size_t i = (size_t)(thing - bed_world->at);
    memmove(thing, thing + 1, (bed_world->n - i - 1) * sizeof *thing);
    bed_world->n--;
}

static void test_blame(void **state)
{
    (void)state;
    struct err err;
    refuse("make session b", -EDQUOT);
    check_apply(WISH, "session b: make session b: refused");
    take_away("session", "a");
    bed_forget_calls();
    struct mirror_status status = look(WISH);
    assert_int_equal(status.n_missing, 2);
    assert_int_equal(status.n_lacking, 1);
    assert_string_equal(status.blame.at, "session a (id of a) was deleted by eve\n");
    mirror_status_done(&status);
    bed_world->refuse_blame = true;
    status = look(WISH);
    assert_string_equal(status.blame.at,
                        "who took away what is missing is not known: the log may not be read\n");
    mirror_status_done(&status);
    bed_forget_calls();
    assert_int_equal(bed_apply(folder, "m", WISH, &err), 0);
    status = look(WISH);
    assert_int_equal(status.n_missing, 0);
    assert_null(status.blame.at);
    mirror_status_done(&status);
    remove_it();
}

static void test_cover(void **state)
{
    (void)state;
    bed_forget_calls();
    check_apply(WISH, "");
    bed_world->n_covered = 3;
    bed_world->covered[0] = (struct mirror_covered){.mirrored = true, .wanted = true};
    bed_world->covered[1] = (struct mirror_covered){.wanted = true, .why = "its type can't"};
    bed_world->covered[2] = (struct mirror_covered){.why = "not asked for"};
    struct mirror_status status = look(WISH);
    assert_int_equal(status.coverage.n, 3);
    assert_int_equal(status.n_uncovered, 1);
    mirror_status_done(&status);
    /* Without what is wanted, nobody is asked. */
    bed_world->refuse_want = true;
    status = look(WISH);
    assert_int_equal(status.coverage.n, 0);
    assert_string_equal(status.trouble, "there is no such interface");
    mirror_status_done(&status);
    remove_it();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lack),         TEST(test_all_lack),     TEST(test_no_lack),
        TEST(test_change_lacks), TEST(test_keeps),        TEST(test_keeps_nothing),
        TEST(test_keeps_lost),   TEST(test_long_refusal), TEST(test_killed),
        TEST(test_full_journal), TEST(test_old_journal),  TEST(test_blame),
        TEST(test_cover),
    };
    bed_world_make();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
