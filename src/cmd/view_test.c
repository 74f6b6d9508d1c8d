/* The live view on a pseudo-terminal, with a small terminal behind it that keeps the picture: what
 * a user sees after each size, key and snapshot, and that the terminal is as before at the end. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/text.h"
#include "cmd/view.h"
#include "sensor/snapshot_bed.h"

#define ROWS 80
#define COLS 250

/* What the sequences of the view do to a screen; any other fails the test. */
struct terminal {
    int master, slave;
    struct termios before;
    unsigned rows, columns, row, column;
    char cell[ROWS][COLS + 1];
    bool alternate, cursor, wraps, updating;
    unsigned n_updates;
    bool marked;
    char sequence[32];
    size_t n_sequence;
};

static void set_mode(struct terminal *t, unsigned long mode, bool on)
{
    switch (mode) {
    case 1049:
        t->alternate = on;
        memset(t->cell, ' ', sizeof t->cell);
        return;
    case 25:
        t->cursor = on;
        return;
    case 7:
        t->wraps = on;
        return;
    case 2026:
        t->n_updates += t->updating && !on;
        t->updating = on;
        return;
    default:
        fail_msg("mode %lu", mode);
    }
}

static void do_sequence(struct terminal *t)
{
    char *end, last = t->sequence[t->n_sequence - 1];
    t->sequence[t->n_sequence] = '\0';
    if (t->sequence[0] == '?') {
        assert_true(last == 'h' || last == 'l');
        set_mode(t, strtoul(t->sequence + 1, NULL, 10), last == 'h');
        return;
    }
    switch (last) {
    case 'H':
        t->row = (unsigned)strtoul(t->sequence, &end, 10) - 1;
        assert_int_equal(*end, ';');
        t->column = (unsigned)strtoul(end + 1, NULL, 10) - 1;
        assert_true(t->row < t->rows && t->column < t->columns);
        return;
    case 'J':
        for (unsigned row = t->row; row < ROWS; row++)
            memset(t->cell[row] + (row == t->row ? t->column : 0), ' ',
                   COLS - (row == t->row ? t->column : 0));
        return;
    case 'm':
        return;
    case 'n':
        t->marked = true;
        return;
    default:
        fail_msg("sequence %s", t->sequence);
    }
}

static void take_byte(struct terminal *t, char c)
{
    if (t->n_sequence && c != '\033') { /* which begins another */
        size_t at = t->n_sequence++ - 1;
        if (at == 0) {
            assert_int_equal(c, '[');
            return;
        }
        assert_true(at < sizeof t->sequence);
        t->sequence[at - 1] = c;
        if (c >= 0x40 && c <= 0x7e) {
            t->n_sequence = at;
            do_sequence(t);
            t->n_sequence = 0;
        }
        return;
    }
    if (c == '\033') {
        t->n_sequence = 1;
        return;
    }
    assert_true((unsigned char)c >= 0x20 && c != 0x7f);
    if (((unsigned char)c & 0xc0) == 0x80)
        return; /* the tail of a character; those of the tests have one column */
    if (t->column >= t->columns)
        fail_msg("line %u is wider than %u", t->row, t->columns);
    t->cell[t->row][t->column++] = (unsigned char)c < 0x80 ? c : '#';
}

/* Waits for something, and takes it. */
static void take_some(struct terminal *t)
{
    char bytes[4096];
    ssize_t n = read(t->master, bytes, sizeof bytes);
    assert_true(n > 0);
    for (ssize_t i = 0; i < n; i++)
        take_byte(t, bytes[i]);
}

/* Takes all that was written so far: a mark behind it says that it has come. */
static void look(struct terminal *t)
{
    assert_int_equal(write(t->slave, "\033[0n", 4), 4);
    for (t->marked = false; !t->marked;)
        take_some(t);
}

static void resize(struct terminal *t, unsigned rows, unsigned columns)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    t->rows = rows;
    t->columns = columns;
    assert_int_equal(ioctl(t->master, TIOCSWINSZ, &size), 0);
}

static bool sees(const struct terminal *t, const char *text)
{
    for (unsigned row = 0; row < t->rows; row++) {
        char line[COLS + 1];
        memcpy(line, t->cell[row], t->columns);
        line[t->columns] = '\0';
        if (strstr(line, text))
            return true;
    }
    return false;
}

struct bed {
    struct terminal t;
    struct view *view;
    struct snapshot s;
};

static int set_up(void **state)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct err err;
    if (openpty(&bed->t.master, &bed->t.slave, NULL, NULL, NULL) < 0)
        return -1;
    assert_int_equal(tcgetattr(bed->t.slave, &bed->t.before), 0);
    bed->t.cursor = bed->t.wraps = true;
    resize(&bed->t, 24, 80);
    bed_snapshot(&bed->s);
    bed->s.n_findings = 0; /* the rows below count without them */
    struct view_options options = {
        .fd_out = bed->t.slave, .fd_in = bed->t.slave, .color = true, .utf8 = true, .utc = true};
    assert_int_equal(view_open(&options, &bed->view, &err), 0);
    look(&bed->t);
    *state = bed;
    return 0;
}

/* Every test ends with a terminal as it was. */
static int tear_down(void **state)
{
    struct bed *bed = *state;
    struct termios now;
    view_close(bed->view);
    look(&bed->t);
    assert_false(bed->t.alternate);
    assert_false(bed->t.updating);
    assert_true(bed->t.cursor);
    assert_true(bed->t.wraps);
    assert_int_equal(tcgetattr(bed->t.slave, &now), 0);
    assert_int_equal(now.c_iflag, bed->t.before.c_iflag);
    assert_int_equal(now.c_oflag, bed->t.before.c_oflag);
    assert_int_equal(now.c_lflag, bed->t.before.c_lflag);
    assert_memory_equal(now.c_cc, bed->t.before.c_cc, sizeof now.c_cc);
    close(bed->t.master);
    close(bed->t.slave);
    snapshot_done(&bed->s);
    free(bed);
    return 0;
}

/* What the terminal does not take at once, too. */
static void see(struct bed *bed)
{
    while (view_is_behind(bed->view)) {
        struct pollfd fds[2] = {{bed->t.master, POLLIN, 0}, {view_fd_out(bed->view), POLLOUT, 0}};
        assert_true(poll(fds, 2, -1) > 0);
        if (fds[0].revents)
            take_some(&bed->t);
        if (fds[1].revents)
            view_flush(bed->view);
    }
    look(&bed->t);
}

static enum view_action press(struct bed *bed, const char *keys)
{
    size_t len = strlen(keys);
    assert_int_equal(write(bed->t.master, keys, len), len);
    struct pollfd ready = {bed->t.slave, POLLIN, 0};
    assert_int_equal(poll(&ready, 1, -1), 1);
    enum view_action action = view_key(bed->view);
    see(bed);
    return action;
}

static void show(struct bed *bed)
{
    view_show(bed->view, &bed->s);
    see(bed);
}

static void test_pictures(void **state)
{
    struct bed *bed = *state;
    assert_true(bed->t.alternate);
    assert_false(bed->t.cursor);
    show(bed);
    assert_int_equal(bed->t.n_updates, 1);
    assert_false(bed->t.updating);
    assert_memory_equal(bed->t.cell[0], "cloudspan 0.1.0", 15);
    assert_true(sees(&bed->t, "old-7  vxlan 103"));
    static const unsigned sizes[][2] = {{43, 132}, {10, 40}, {1, 1}, {2, 200}, {60, 20}, {24, 80}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        resize(&bed->t, sizes[i][0], sizes[i][1]);
        memset(bed->t.cell, '@', sizeof bed->t.cell); /* what terminals make of it is not known */
        view_resize(bed->view);
        see(bed);
        for (unsigned row = 0; row < bed->t.rows; row++)
            if (memchr(bed->t.cell[row], '@', bed->t.columns))
                fail_msg("%u x %u: line %u is not painted", sizes[i][0], sizes[i][1], row);
    }
    /* A shorter picture leaves nothing of the longer. */
    bed->s.n_machines = 1;
    show(bed);
    assert_false(sees(&bed->t, "db-1"));
    BED_TEXT(bed->s.machines[0].name, "\033]0;owned\007\033[2J\xe2\x80\xae");
    bed->s.machines[0].reason[0] = '\0';
    show(bed); /* a raw one would have failed in do_sequence */
    assert_true(sees(&bed->t, "\\x1b]0;owned"));
}

static void test_keys(void **state)
{
    struct bed *bed = *state;
    show(bed);
    assert_int_equal(press(bed, "?"), VIEW_NOTHING);
    assert_true(sees(&bed->t, "a machine that usually talks"));
    assert_int_equal(press(bed, "x"), VIEW_NOTHING);
    assert_true(sees(&bed->t, "old-7"));
    press(bed, "p");
    assert_true(sees(&bed->t, "PAUSED"));
    BED_TEXT(bed->s.machines[0].name, "new-1");
    show(bed);
    assert_true(sees(&bed->t, "old-7"));
    press(bed, "p");
    show(bed);
    assert_false(sees(&bed->t, "PAUSED"));
    assert_true(sees(&bed->t, "new-1"));

    free(bed->s.machines);
    bed->s.n_machines = 200;
    bed->s.machines = calloc(200, sizeof *bed->s.machines);
    for (size_t i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "vm-%03zu", i);
        bed->s.machines[i] = bed_machine(name, 7, NULL, HEALTH_OK, "");
    }
    show(bed);
    assert_true(sees(&bed->t, "1 to 11 of 200"));
    static const struct {
        const char *keys, *seen;
    } rows[] = {
        {"j", "2 to 12 of"},          {"k", "1 to 11 of"},       {"k", "1 to 11 of"},
        {"\033[B", "2 to 12 of"},     {"\033OB", "3 to 13 of"},  {"\033[A", "2 to 12 of"},
        {"\033[6~", "13 to 23 of"},   {"\033[5~", "2 to 12 of"}, {"G", "190 to 200 of"},
        {"j", "190 to 200 of"},       {"k", "189 to 199 of"},    {"\033[H", "1 to 11 of"},
        {"\033[F", "190 to 200 of"},  {"\033[1~", "1 to 11 of"}, {"\033[200~", "1 to 11 of"},
        {"\033\033[B", "2 to 12 of"}, {"jjjj", "6 to 16 of"},    {"\xff\x01z", "6 to 16 of"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(press(bed, rows[i].keys), VIEW_NOTHING);
        if (!sees(&bed->t, rows[i].seen))
            fail_msg("after keys %zu: not '%s'", i, rows[i].seen);
    }
    /* A sequence in two parts. */
    press(bed, "\033[");
    press(bed, "B");
    assert_true(sees(&bed->t, "7 to 17 of"));
    assert_int_equal(press(bed, "q"), VIEW_QUIT);
}

/* Ctrl-C stays a signal, Ctrl-Z does nothing, and keys are not shown. */
static void test_modes(void **state)
{
    struct bed *bed = *state;
    struct termios now;
    assert_int_equal(tcgetattr(bed->t.slave, &now), 0);
    assert_true(now.c_lflag & ISIG);
    assert_false(now.c_lflag & (ICANON | ECHO));
    assert_int_equal(now.c_cc[VSUSP], _POSIX_VDISABLE);
    assert_int_equal(view_key(bed->view), VIEW_NOTHING); /* there is none, and it does not wait */
    assert_int_equal(press(bed, "\004"), VIEW_QUIT);
    int flags = fcntl(bed->t.slave, F_GETFL);
    assert_false(flags & O_NONBLOCK); /* the shell has this one, too */
    view_restore(bed->view);
    view_restore(bed->view);
    see(bed);
    assert_false(bed->t.alternate);
    assert_true(bed->t.cursor);
}

/* Nobody reads: nothing waits, and when it is read again the picture is whole and new. */
static void test_slow_terminal(void **state)
{
    struct bed *bed = *state;
    resize(&bed->t, 60, 200);
    view_resize(bed->view);
    for (int i = 0; i < 1000; i++)
        view_show(bed->view, &bed->s);
    assert_true(view_is_behind(bed->view));
    BED_TEXT(bed->s.host, "the-last");
    view_show(bed->view, &bed->s);
    see(bed);
    show(bed);
    assert_true(sees(&bed->t, "the-last"));
    assert_false(bed->t.updating);
}

/* It ends in the middle of a picture: tear_down sees that the terminal is as before. */
static void test_ends_behind(void **state)
{
    struct bed *bed = *state;
    resize(&bed->t, 80, 250);
    view_resize(bed->view);
    for (int i = 0; i < 1000 && !view_is_behind(bed->view); i++)
        view_show(bed->view, &bed->s);
    assert_true(view_is_behind(bed->view));
    view_close(bed->view);
    bed->view = NULL;
}

/* The terminal is closed: no signal, no waiting, and the end is said. */
static void test_gone(void **state)
{
    (void)state;
    struct terminal t = {0};
    struct snapshot s;
    struct view *view;
    struct err err;
    int pipe_fds[2];
    assert_int_equal(openpty(&t.master, &t.slave, NULL, NULL, NULL), 0);
    struct view_options options = {.fd_out = t.slave, .fd_in = t.slave};
    assert_int_equal(view_open(&options, &view, &err), 0);
    bed_snapshot(&s);
    close(t.master);
    view_show(view, &s);
    assert_false(view_is_behind(view));
    assert_int_equal(view_key(view), VIEW_QUIT);
    view_close(view);
    close(t.slave);
    snapshot_done(&s);

    assert_int_equal(pipe(pipe_fds), 0);
    options.fd_out = pipe_fds[1];
    assert_int_equal(view_open(&options, &view, &err), -ENOTTY);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    view_close(NULL);
    view_restore(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pictures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_modes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_slow_terminal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ends_behind, set_up, tear_down),
        cmocka_unit_test(test_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
