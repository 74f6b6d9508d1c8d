/* The live view on a terminal: see view.h.
 *
 * A picture is one write, in a synchronized update (terminals that know it show it at once): each
 * line goes to its place, filled with spaces to the margin. Nothing is cleared, so nothing
 * flickers. */
#include "cmd/view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cmd/screen.h"
#include "cmd/terminal.h"

#define FRAME_MAX (1u << 20)
#define ROWS_MAX  500
#define COLS_MAX  1000

/* Alternate screen, no cursor, no wrapping at the right margin. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
/* The synchronized update ends first: a picture may have been cut in it. */
#define LEAVE "\033[?2026l\033[0m\033[?7h\033[?25h\033[?1049l"

struct view {
    struct view_options options;
    int fd;      /* written to: the terminal opened once more, or fd_out */
    bool own_fd; /* and does not block */
    bool has_termios;
    struct termios before; /* of fd_in */
    struct screen_options screen;
    size_t page; /* machines that the last picture had */
    struct snapshot shown;
    bool has_shown;
    struct text frame; /* the last picture */
    size_t written;    /* bytes of it */
    unsigned escape;   /* how many bytes of a key's escape sequence came */
};

/* ---- open and close ---- */

static void ask_size(struct view *view)
{
    terminal_size(view->options.fd_out, &view->screen.rows, &view->screen.columns);
    if (view->screen.rows > ROWS_MAX)
        view->screen.rows = ROWS_MAX;
    if (view->screen.columns > COLS_MAX)
        view->screen.columns = COLS_MAX;
}

/* The flag is of the open file, which the shell shares: so it has to be another one. */
static void open_again(struct view *view)
{
    char name[256];
    view->fd = view->options.fd_out;
    if (ttyname_r(view->options.fd_out, name, sizeof name) != 0)
        return;
    int fd = open(name, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return;
    view->fd = fd;
    view->own_fd = true;
}

static void take_keys(struct view *view)
{
    if (view->options.fd_in < 0 || tcgetattr(view->options.fd_in, &view->before) < 0)
        return;
    struct termios raw = view->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    raw.c_cc[VSUSP] = _POSIX_VDISABLE; /* a watch that is stopped loses packets */
    view->has_termios = tcsetattr(view->options.fd_in, TCSANOW, &raw) == 0;
}

int view_open(const struct view_options *options, struct view **out, struct err *err)
{
    if (!isatty(options->fd_out))
        return err_set(err, -ENOTTY, "the output is no terminal");
    struct view *view = calloc(1, sizeof *view);
    if (!view)
        return err_set(err, -ENOMEM, "out of memory");
    view->options = *options;
    view->screen = (struct screen_options){
        .color = options->color, .utf8 = options->utf8, .utc = options->utc, .padded = true};
    text_init(&view->frame, FRAME_MAX);
    ask_size(view);
    open_again(view);
    take_keys(view);
    text_put(&view->frame, ENTER);
    view_flush(view);
    *out = view;
    return 0;
}

/* A terminal that takes nothing (nobody reads, or Ctrl-S) has what waits thrown away, so that the
 * sequences that restore find room. The first of them begins with ESC, which ends one that was cut.
 */
void view_restore(const struct view *view)
{
    if (!view)
        return;
    int kept = errno;
    size_t at = 0, size = sizeof LEAVE - 1;
    for (int tries = 0; at < size && tries < 3; tries++) {
        ssize_t n = write(view->fd, &LEAVE[at], size - at);
        if (n > 0)
            at += (size_t)n;
        else if (tcflush(view->fd, TCOFLUSH) < 0)
            break;
    }
    if (view->has_termios)
        (void)tcsetattr(view->options.fd_in, TCSANOW, &view->before);
    errno = kept;
}

void view_close(struct view *view)
{
    if (!view)
        return;
    view_restore(view);
    view_forget(view);
}

void view_forget(struct view *view)
{
    if (!view)
        return;
    if (view->own_fd)
        (void)close(view->fd);
    snapshot_done(&view->shown);
    text_done(&view->frame);
    free(view);
}

/* ---- pictures ---- */

bool view_is_behind(const struct view *view)
{
    return view->written < view->frame.size;
}

int view_fd_out(const struct view *view)
{
    return view->fd;
}

void view_flush(struct view *view)
{
    while (view_is_behind(view)) {
        ssize_t n =
            write(view->fd, view->frame.at + view->written, view->frame.size - view->written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            view->written = view->frame.size; /* the terminal is gone: view_key says so */
        if (n <= 0)
            return;
        view->written += (size_t)n;
    }
}

/* Lines to their places. */
static void put_frame(struct text *out, const struct text *lines, unsigned rows)
{
    unsigned row = 0;
    const char *at = lines->at ? lines->at : "";
    text_put(out, "\033[?2026h");
    while (*at && row < rows) {
        size_t len = strcspn(at, "\n");
        text_format(out, "\033[%u;1H", ++row);
        text_add(out, at, len);
        at += len + (at[len] == '\n');
    }
    if (row < rows)
        text_format(out, "\033[%u;1H\033[J", row + 1);
    text_put(out, "\033[?2026l");
}

static void paint(struct view *view)
{
    view_flush(view);
    if (view_is_behind(view) || !view->has_shown)
        return;
    struct text lines;
    text_init(&lines, FRAME_MAX / 2);
    screen_draw(&view->screen, &view->shown, &lines, &view->screen.scroll, &view->page);
    view->frame.size = 0;
    view->frame.failed = false;
    view->written = 0;
    if (!lines.failed)
        put_frame(&view->frame, &lines, view->screen.rows);
    text_done(&lines);
    if (view->frame.failed)
        view->frame.size = 0;
    view_flush(view);
}

void view_show(struct view *view, const struct snapshot *snapshot)
{
    if (view->screen.paused && view->has_shown) {
        view_flush(view);
        return;
    }
    struct snapshot copy;
    if (snapshot_copy(snapshot, &copy)) {
        snapshot_done(&view->shown);
        view->shown = copy;
        view->has_shown = true;
    }
    paint(view);
}

void view_resize(struct view *view)
{
    ask_size(view);
    paint(view);
}

/* ---- keys ---- */

enum key { KEY_NONE, KEY_UP, KEY_DOWN, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME, KEY_END };

static void scroll_by(struct view *view, enum key key)
{
    size_t *scroll = &view->screen.scroll, page = view->page ? view->page : 1;
    switch (key) {
    case KEY_NONE:
        return;
    case KEY_UP:
        *scroll -= *scroll > 0;
        return;
    case KEY_DOWN:
        ++*scroll;
        return;
    case KEY_PAGE_UP:
        *scroll -= *scroll < page ? *scroll : page;
        return;
    case KEY_PAGE_DOWN:
        *scroll += page;
        return;
    case KEY_HOME:
        *scroll = 0;
        return;
    case KEY_END:
        *scroll = view->shown.n_machines;
        return;
    }
}

static enum key key_of(char c)
{
    switch (c) {
    case 'k':
        return KEY_UP;
    case 'j':
        return KEY_DOWN;
    case 'g':
        return KEY_HOME;
    case 'G':
        return KEY_END;
    case 'b':
        return KEY_PAGE_UP;
    case 'f':
        return KEY_PAGE_DOWN;
    default:
        return KEY_NONE;
    }
}

/* The last byte of "\033[A", or the first number of "\033[5~". */
static enum key escaped_key(char c)
{
    switch (c) {
    case 'A':
        return KEY_UP;
    case 'B':
        return KEY_DOWN;
    case '5':
        return KEY_PAGE_UP;
    case '6':
        return KEY_PAGE_DOWN;
    case 'H':
    case '1':
        return KEY_HOME;
    case 'F':
    case '4':
        return KEY_END;
    default:
        return KEY_NONE;
    }
}

/* False: `c` belongs to no escape sequence. */
static bool in_escape(struct view *view, char c)
{
    if (c == '\033') {
        view->escape = 1;
        return true;
    }
    if (view->escape == 0)
        return false;
    if (view->escape == 1 && (c == '[' || c == 'O')) {
        view->escape = 2;
        return true;
    }
    if (view->escape == 1) { /* Alt and a key: the key */
        view->escape = 0;
        return false;
    }
    if (view->escape == 2)
        scroll_by(view, escaped_key(c));
    view->escape = c >= 0x40 && c <= 0x7e ? 0 : 3; /* until its last byte */
    return true;
}

static enum view_action take_key(struct view *view, char c)
{
    if (c == 'q' || c == 'Q' || c == 3 || c == 4)
        return VIEW_QUIT;
    if (view->screen.help)
        view->screen.help = false;
    else if (c == '?' || c == 'h')
        view->screen.help = true;
    else if (c == 'p' || c == ' ')
        view->screen.paused = !view->screen.paused;
    else
        scroll_by(view, key_of(c));
    return VIEW_NOTHING;
}

/* The window was closed, or the connection to it cut: reading gives nothing for ever. */
static bool has_hung_up(int fd)
{
    struct pollfd ask = {.fd = fd, .events = POLLIN};
    return poll(&ask, 1, 0) > 0 && (ask.revents & (POLLHUP | POLLERR | POLLNVAL));
}

enum view_action view_key(struct view *view)
{
    char keys[64];
    if (view->options.fd_in < 0)
        return VIEW_NOTHING;
    ssize_t n = read(view->options.fd_in, keys, sizeof keys);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return VIEW_NOTHING;
    /* Nothing to read with VMIN 0 is no end; without it, it is. */
    if (n < 0 || (n == 0 && (!view->has_termios || has_hung_up(view->options.fd_in))))
        return VIEW_QUIT;
    for (ssize_t i = 0; i < n; i++)
        if (!in_escape(view, keys[i]) && take_key(view, keys[i]) == VIEW_QUIT)
            return VIEW_QUIT;
    if (n > 0)
        paint(view);
    return VIEW_NOTHING;
}
