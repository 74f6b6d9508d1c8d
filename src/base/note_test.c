/* Diagnostics: what is written to standard error, one line each, and nothing that a terminal obeys.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/note.h"

static char said[8192];
static int saved, ends[2];

static void listen_begin(void)
{
    assert_int_equal(pipe(ends), 0);
    saved = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
}

static void listen_end(void)
{
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    size_t at = 0;
    ssize_t n;
    while ((n = read(ends[0], said + at, sizeof said - 1 - at)) > 0)
        at += (size_t)n;
    said[at] = '\0';
    close(ends[0]);
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const want[] = {
        "cloudspan: error: e\n",
        "cloudspan: error: e\ncloudspan: warning: w\n",
        "cloudspan: error: e\ncloudspan: warning: w\ncloudspan: i\n",
        "cloudspan: error: e\ncloudspan: warning: w\ncloudspan: i\ncloudspan: debug: d\n",
    };
    for (int level = NOTE_ERROR; level <= NOTE_DEBUG; level++) {
        listen_begin();
        note_set_level((enum note_level)level);
        note(NOTE_ERROR, "e");
        note(NOTE_WARN, "%c", 'w');
        note(NOTE_INFO, "%s", "i");
        note(NOTE_DEBUG, "d");
        listen_end();
        assert_string_equal(said, want[level]);
    }
}

static void test_what_terminals_would_obey(void **state)
{
    (void)state;
    listen_begin();
    note(NOTE_ERROR, "file %s", "a\x1b[2Jb\r\nc\x7f\x9b\t");
    listen_end();
    assert_string_equal(said, "cloudspan: error: file a\\x1b[2Jb\\x0d\\x0ac\\x7f\\x9b\\x09\n");
}

static void test_long_lines(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        char text[5000];
        memset(text, kind ? 1 : 'x', sizeof text - 1);
        text[sizeof text - 1] = '\0';
        listen_begin();
        note(NOTE_ERROR, "%s", text);
        listen_end();
        size_t len = strlen(said);
        assert_true(len > 1000 && len <= 2200);
        assert_int_equal(said[len - 1], '\n');
        assert_ptr_equal(strchr(said, '\n'), said + len - 1);
        if (kind)
            assert_memory_equal(said + len - 5, "\\x01\n", 5); /* no escape is cut */
    }
}

static void test_priorities_for_the_journal(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        listen_begin();
        struct stat facts;
        assert_int_equal(fstat(STDERR_FILENO, &facts), 0);
        char stream[64];
        (void)snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)facts.st_dev,
                       (unsigned long long)facts.st_ino + (other ? 1 : 0));
        setenv("JOURNAL_STREAM", stream, 1); /* allowed: the test is the journal */
        note_set_level(NOTE_DEBUG);
        note(NOTE_ERROR, "e");
        note(NOTE_WARN, "w\n<0>w");
        note(NOTE_INFO, "i");
        note(NOTE_DEBUG, "d");
        unsetenv("JOURNAL_STREAM");
        listen_end();
        if (other)
            assert_string_equal(said, "cloudspan: error: e\ncloudspan: warning: w\\x0a<0>w\n"
                                      "cloudspan: i\ncloudspan: debug: d\n");
        else
            assert_string_equal(said, "<3>cloudspan: error: e\n<4>cloudspan: warning: w\\x0a<0>w\n"
                                      "<6>cloudspan: i\n<7>cloudspan: debug: d\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_what_terminals_would_obey),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_priorities_for_the_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
