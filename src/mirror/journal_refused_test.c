/* The journal, when its writer is killed, the disk is full, others are at it, or the file is none
 * of ours. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/journal_bed.h"

/* ---- the file ---- */

static void write_file(const char *name, const void *bytes, size_t size)
{
    char path[128];
    put_path(path, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}
static void test_not_ours(void **state)
{
    (void)state;
    struct err err;
    char path[128];
    /* No database at all. */
    write_file("mirror.db", "hello, this is a text of some length, and no database", 53);
    for (int write = 0; write < 2; write++) {
        assert_int_equal(refused(write, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "move it away"));
    }
    /* One of a version to come. */
    bed_lose_journal(folder);
    do_sql("CREATE TABLE mirror(a); PRAGMA user_version = 3");
    for (int write = 0; write < 2; write++) {
        assert_int_equal(refused(write, &err), -EPROTO);
        assert_non_null(strstr(err.text, "newer cloudspan"));
    }
    bed_lose_journal(folder);
    do_sql("CREATE TABLE mirror(a); PRAGMA user_version = -1");
    for (int write = 0; write < 2; write++) {
        assert_int_equal(refused(write, &err), -EPROTO);
        assert_null(strstr(err.text, "not an error"));
        assert_null(strstr(err.text, "row available"));
    }
    /* Killed while it was made: nothing is in it, and it is made. */
    bed_lose_journal(folder);
    write_file("mirror.db", "", 0);
    check_objects("a", "");
    struct mirror_journal *journal = open_it(true);
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    check_objects("a", "made link x");
    /* Pages that are nonsense. */
    put_path(path, "mirror.db");
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    static const char noise[512] = {1, 2, 3};
    for (off_t at = 100; at < facts.st_size; at += (off_t)sizeof noise)
        assert_int_equal(pwrite(fd, noise, sizeof noise, at), sizeof noise);
    close(fd);
    struct mirror_entry *entries = NULL;
    size_t n = 0;
    struct mirror_journal *broken = NULL;
    int result = mirror_journal_open(folder, false, &broken, &err);
    if (result == 0)
        result = mirror_journal_list(broken, &entries, &n, &err);
    mirror_journal_close(broken);
    assert_true(result < 0);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "move it away"));
    /* Values that are none. */
    bed_lose_journal(folder);
    journal = open_it(true);
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    do_sql("UPDATE mirror SET arguments = '[1,', sample = 'x', machine = NULL;"
           "UPDATE object SET is_ = '{\"a\":', on_ = NULL, why = NULL");
    assert_int_equal(list(&entries), 1);
    assert_null(entries[0].arguments);
    assert_string_equal(entries[0].machine, "");
    mirror_entries_free(entries, 1);
    check_objects("a", "made link x");
}

static void test_folders(void **state)
{
    (void)state;
    char path[128], deep[128];
    struct err err;
    struct mirror_journal *journal = NULL;
    put_path(deep, "a/b");
    good(mirror_journal_open(deep, true, &journal, &err), &err);
    mirror_journal_close(journal);
    struct stat facts;
    assert_int_equal(stat(deep, &facts), 0);
    put_path(path, "a/b/mirror.db");
    assert_int_equal(unlink(path), 0);
    put_path(path, "a/b/mirror.lock");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(deep), 0);
    put_path(deep, "a");
    assert_int_equal(rmdir(deep), 0);
    /* A file in the folder's place. */
    write_file("a", "x", 1);
    journal = NULL;
    put_path(path, "a/b");
    assert_int_equal(mirror_journal_open(path, true, &journal, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, path));
    assert_null(journal);
    assert_int_equal(unlink(deep), 0);
    /* A link that somebody put there is not followed. */
    put_path(path, "mirror.lock");
    put_path(deep, "elsewhere");
    assert_int_equal(symlink(deep, path), 0);
    assert_int_equal(refused(true, &err), -ELOOP);
    assert_non_null(strstr(err.text, strerror(ELOOP)));
    assert_int_not_equal(access(deep, F_OK), 0);
}

/* ---- several processes ---- */

static void test_second_writer(void **state)
{
    (void)state;
    struct mirror_journal *journal = open_it(true);
    struct err err;
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    assert_int_equal(refused(true, &err), -EBUSY);
    assert_non_null(strstr(err.text, "another cloudspan mirror is at work"));
    check_objects("a", "made link x"); /* who only looks is let in */
    mirror_journal_close(journal);
    mirror_journal_close(open_it(true));
}

/* Runs `work` in a child, which is killed by it or ends. */
static int in_child(void (*work)(int), int argument)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void work_and_die(int n_steps)
{
    struct mirror_journal *journal = open_it(true);
    static const int states[] = {MIRROR_MAKING, MIRROR_MADE, MIRROR_UNMAKING, MIRROR_UNMADE};
    begin(journal, "a");
    step(journal, "a", "[['link','base',{}]]", MIRROR_MADE);
    for (int i = 0; i < n_steps; i++)
        step(journal, "a", "[['link','x',{}]]", states[i]);
    (void)raise(SIGKILL);
}

/* Takes the lock, says so, and is killed after a while. */
static void hold_for(int ms, int say)
{
    struct mirror_journal *journal = open_it(true);
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000l};
    if (journal && write(say, "x", 1) == 1)
        (void)nanosleep(&pause, NULL);
    (void)raise(SIGKILL);
}

/* Several mirrors are made at once when a machine starts: who comes second waits, but not for ever.
 */
static void test_waiting(void **state)
{
    (void)state;
    struct mirror_journal *journal = NULL;
    struct err err = {""};
    char path[128];
    int status, ends[2];
    for (int i = 0; i < 2; i++) {
        char said;
        assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
        fflush(NULL);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            hold_for(i == 0 ? 700 : 60000, ends[1]);
        assert_int_equal(read(ends[0], &said, 1), 1);
        close(ends[0]);
        close(ends[1]);
        assert_int_equal(mirror_journal_wait(folder, i == 0 ? 30000 : 200, &journal, &err),
                         i == 0 ? 0 : -EBUSY);
        if (i == 1)
            assert_non_null(strstr(err.text, "another cloudspan mirror is at work"));
        mirror_journal_close(journal);
        journal = NULL;
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    /* What is wrong for another reason is not waited for. */
    put_path(path, "mirror.lock");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("elsewhere", path), 0);
    assert_int_equal(mirror_journal_wait(folder, 600000, &journal, &err), -ELOOP);
}

/* What was written is there, and the lock went with its holder. */
static void test_killed(void **state)
{
    (void)state;
    static const char *const expected[] = {"made link base", "made link base, making link x",
                                           "made link base, made link x",
                                           "made link base, unmaking link x", "made link base"};
    for (int i = 0; i < 5; i++) {
        assert_true(WIFSIGNALED(in_child(work_and_die, i)));
        check_objects("a", expected[i]);
        struct mirror_journal *journal = open_it(true);
        begin(journal, "a");
        mirror_journal_close(journal);
        bed_lose_journal(folder);
    }
}

/* In the middle of writing the database's own pages: a journal of SQLite's is left, from which the
 * file has to be restored by the next one, also by one that only looks. */
static void spill_and_die(int unused)
{
    char path[128];
    sqlite3 *db = NULL;
    (void)unused;
    put_path(path, "mirror.db");
    if (sqlite3_open(path, &db) == SQLITE_OK)
        (void)sqlite3_exec(
            db,
            "PRAGMA cache_size = 1; BEGIN IMMEDIATE; DELETE FROM object;"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
            " INSERT INTO object(provider, name, kind, key, state)"
            " SELECT 'bed', 'a', 'link', i, 'made' FROM n",
            NULL, NULL, NULL);
    (void)raise(SIGKILL);
}

/* Who may not write it cannot bring it in order, and says so. */
static void look_at_half(int unused)
{
    struct mirror_journal *journal = NULL;
    struct err err = {""};
    (void)unused;
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        _exit(77);
    if (mirror_journal_open(folder, false, &journal, &err) != -EROFS ||
        !strstr(err.text, "brings it in order"))
        _exit(1);
}

static void test_killed_within(void **state)
{
    (void)state;
    char path[128];
    struct mirror_journal *journal = open_it(true);
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    assert_true(WIFSIGNALED(in_child(spill_and_die, 0)));
    put_path(path, "mirror.db-journal");
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(chmod(folder, 0755), 0);
    int status = geteuid() == 0 ? in_child(look_at_half, 0) : 0;
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
    check_objects("a", "made link x");
    assert_true(WIFSIGNALED(in_child(spill_and_die, 0)));
    journal = open_it(true);
    step(journal, "a", "[['link','y',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    check_objects("a", "made link x, made link y");
}

/* ---- what the world refuses ---- */

/* As a user who owns none of it; 77: there is no such user to be had here. */
static void look_as_nobody(int may_read)
{
    struct mirror_journal *journal = NULL;
    struct err err = {""};
    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        _exit(77);
    if (mirror_journal_open(folder, true, &journal, &err) != -EACCES ||
        !strstr(err.text, "mirror.lock"))
        _exit(1);
    int result = mirror_journal_open(folder, false, &journal, &err);
    if (!may_read)
        _exit(result == -EACCES && strstr(err.text, "mirror.db") ? 0 : 2);
    char text[1024];
    if (result < 0)
        _exit(3);
    objects(journal, "a", text);
    if (strcmp(text, "made link x") != 0)
        _exit(4);
    if (mirror_journal_end(journal, "bed", "a", &err) != -EROFS)
        _exit(5);
    mirror_journal_close(journal);
}

static void test_read_only(void **state)
{
    (void)state;
    char path[128];
    struct mirror_journal *journal = open_it(true);
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(folder, 0755), 0);
    put_path(path, "mirror.db");
    for (int may_read = 0; may_read < 2; may_read++) {
        assert_int_equal(chmod(path, may_read ? 0644 : 0600), 0);
        int status = in_child(look_as_nobody, may_read);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77)
            skip();
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* Steps until the disk is full, what is said then, and that all is well again when there is room.
 */
static void fill(int unused)
{
    char path[128], key[MIRROR_KEY_MAX], before[1024], after[1024];
    struct err err = {""};
    (void)unused;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("full", folder, "tmpfs", 0, "size=96k") < 0)
        _exit(77);
    struct mirror_journal *journal = open_it(true);
    begin(journal, "a");
    step(journal, "a", "[['link','x',{}]]", MIRROR_MADE);
    objects(journal, "a", before);
    int result = 0;
    memset(key, 'k', sizeof key);
    for (int i = 0; result == 0 && i < 2000; i++) {
        struct mirror_set set = {0};
        (void)snprintf(key + sizeof key - 10, 10, "%d", i);
        struct mirror_object *object = mirror_set_add(&set, "link", key, json_object());
        result = mirror_journal_step(journal, "bed", "b", object, MIRROR_MADE, &err);
        mirror_set_done(&set);
    }
    if (result != -ENOSPC || !strstr(err.text, "full"))
        _exit(1);
    objects(journal, "a", after);
    if (strcmp(before, after) != 0)
        _exit(2);
    /* What was not written is not half there. */
    struct mirror_set set = bed_set("[['link','y',{}]]");
    for (int i = 0; mirror_journal_step(journal, "bed", "a", &set.at[0], MIRROR_MADE, &err) == 0;
         i++)
        (void)snprintf(set.at[0].key, sizeof set.at[0].key, "%d", i);
    mirror_set_done(&set);
    if (mount(NULL, folder, NULL, MS_REMOUNT, "size=1m") < 0)
        _exit(77);
    step(journal, "a", "[['link','z',{}]]", MIRROR_MADE);
    objects(journal, "a", after);
    if (!strstr(after, "made link z"))
        _exit(3);
    mirror_journal_close(journal);
    put_path(path, "mirror.db-journal");
    if (access(path, F_OK) == 0)
        _exit(4);
    _exit(0);
}

static void test_full(void **state)
{
    (void)state;
    int status = in_child(fill, 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        printf("skipped: no tmpfs of its own\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Who looks at the wrong moment keeps the last write from being done: it is refused after a while,
 * and the next one goes through. */
static void test_reader_in_the_way(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db = NULL;
    struct mirror_journal *journal = open_it(true);
    struct err err = {""};
    begin(journal, "a");
    put_path(path, "mirror.db");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT count(*) FROM mirror", NULL, NULL, NULL),
                     SQLITE_OK);
    struct mirror_set set = bed_set("[['link','x',{}]]");
    assert_int_equal(mirror_journal_step(journal, "bed", "a", &set.at[0], MIRROR_MADE, &err),
                     -EBUSY);
    mirror_set_done(&set);
    sqlite3_close(db);
    check_objects("a", "");
    step(journal, "a", "[['link','y',{}]]", MIRROR_MADE);
    mirror_journal_close(journal);
    check_objects("a", "made link y");
}
int main(void)
{
    (void)umask(022); /* another user reads what is made here */
    const struct CMUnitTest tests[] = {
        TEST(test_not_ours),      TEST(test_folders),       TEST(test_killed),
        TEST(test_killed_within), TEST(test_second_writer), TEST(test_waiting),
        TEST(test_read_only),     TEST(test_full),          TEST(test_reader_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
