/* The live view on a terminal: the alternate screen, a picture for each snapshot, keys.
 *
 * Order of calls: view_open; view_show for each snapshot; view_key when fd_in can be read;
 * view_resize after SIGWINCH; view_close. None of them waits for the terminal: what it does not
 * take at once goes with the next call, and pictures in between are left out. One thread. */
#ifndef CMD_VIEW_H
#define CMD_VIEW_H

#include <stdbool.h>

#include "base/err.h"
#include "sensor/snapshot.h"

struct view;

struct view_options {
    int fd_out; /* a terminal */
    int fd_in;  /* a terminal; < 0: there are no keys */
    bool color, utf8;
    bool utc; /* times of alarms; false: local */
};

enum view_action { VIEW_NOTHING, VIEW_QUIT };

/* To be called before the process gives up its rights: it opens the terminal once more, for writing
 * without waiting. -ENOTTY: fd_out is none. */
int view_open(const struct view_options *options, struct view **out, struct err *err) MUST_CHECK;

/* Keeps a copy, for keys and sizes. While the view is held (p), the picture stays. */
void view_show(struct view *view, const struct snapshot *snapshot);

/* Asks for the size again, and paints. */
void view_resize(struct view *view);

/* Reads the keys that are there; VIEW_QUIT: q, Ctrl-C or Ctrl-D, or the terminal is gone. */
enum view_action view_key(struct view *view);

/* Whether bytes wait for the terminal: poll fd for POLLOUT then, and call view_flush. */
bool view_is_behind(const struct view *view);
int view_fd_out(const struct view *view);
void view_flush(struct view *view);

/* Puts the terminal back as it was. May be called in a signal handler, and more than once. */
void view_restore(const struct view *view);

/* Frees it when another process has restored the terminal: the screen is not left once more, which
 * would put the cursor back to where it was before. Accepts NULL. */
void view_forget(struct view *view);

/* view_restore, and frees. Accepts NULL. */
void view_close(struct view *view);

#endif
