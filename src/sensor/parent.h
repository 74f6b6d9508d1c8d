/* The privileged parent and the packet process. parent_start forks: the new process is the one that
 * will parse packets, and asks the old one for what it may not do itself; the old one stays as it
 * is, parses nothing, and serves until the other ends.
 *
 *     struct parent *parent;
 *     if (parent_start(&options, &parent, err) < 0) …
 *     if (!parent_is_packet_process(parent))
 *         return parent_serve(parent);         // gives the program's exit code
 *     … parent_ask(parent, SERVICE_RING, …); sandbox_enter(…); packets …
 *     parent_free(parent);
 *     return code;
 *
 * A request is a kind and a few bytes of fixed size. What may be asked for, and how it is checked,
 * is a table that the caller gives; nothing that the packet process sends is ever run, opened by
 * name, or looked at before its size is checked. */
#ifndef SENSOR_PARENT_H
#define SENSOR_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/note.h"

#define PARENT_MAX_FDS  64
#define PARENT_MAX_SIZE 4096 /* of a request or a reply */

/* One kind of request; its number is its place in the table. */
struct parent_service {
    const char *name;    /* for error texts */
    size_t request_size; /* exactly; others are refused before `serve` is called */
    size_t reply_size;   /* `reply` has this room, zeroed */

    /* Runs in the parent. Checks the request against what was configured (it comes from the
     * process that parses packets, and may hold anything), and fills `fds` and *n_fds (0 at first;
     * room for PARENT_MAX_FDS; they are closed when they were sent) and `reply`. */
    int (*serve)(void *with, const void *request, int *fds, size_t *n_fds, void *reply,
                 struct err *err);
};

/* What a hook is told: as variables CLOUDSPAN_MACHINE, CLOUDSPAN_STATE, CLOUDSPAN_TEXT and
 * CLOUDSPAN_TIME (seconds since the epoch), and as one JSON object on its standard input. Control
 * characters in the texts become '?'. */
struct parent_alarm {
    int64_t ts; /* ns since the epoch */
    char machine[64];
    char state[16];
    char text[320];
};

struct parent_hook_counts {
    uint32_t n_running;
    uint64_t n_started, n_done, n_failed, n_timed_out; /* done: ended with 0 */
    uint64_t n_refused;                                /* too many at once, or not to be run */
};

struct parent_options {
    const struct parent_service *services;
    size_t n_services;

    /* Files that the packet process may have read again: by their place in this table. */
    const char *const *files;
    size_t n_files;

    /* The command of hook `index`, ended by NULL, or NULL where there is no such hook. Called in
     * the parent for each run, so that a service which reads the configuration anew may change it.
     */
    const char *const *(*hook)(void *with, unsigned index);
    int hook_seconds; /* then SIGTERM, and SIGKILL 2 s later; 0: 30 */

    /* What the user should know: a hook failed, the packet process crashed. Called in the parent.
     */
    void (*say)(void *with, enum note_level level, const char *text);
    /* The packet process was ended by a signal, and could not tidy up; called before that is said.
     * May be NULL. */
    void (*crashed)(void *with);
    void *with;
};

struct parent;

/* Call it before any thread is started. `options` must stay for the life of both processes. */
int parent_start(const struct parent_options *options, struct parent **out,
                 struct err *err) MUST_CHECK;
bool parent_is_packet_process(const struct parent *parent);

/* In the packet process: says that it is over. */
void parent_free(struct parent *parent);

/* In the parent: serves until the packet process has ended, and gives what the program should end
 * with: its exit code, or 128 and the signal that ended it. Frees `parent`.
 * SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGUSR1 and SIGUSR2 go on to the packet process; those that
 * the terminal sent to the whole group are not sent to it a second time. */
int parent_serve(struct parent *parent);

/* The next ones are for the packet process, and may be called from any of its threads; they wait
 * for the answer. After an error that is not the service's own (-EPIPE: the parent is gone) nothing
 * more will be answered. `fds` are then the caller's; *n_fds: in: room, out: how many came. */
int parent_ask(struct parent *parent, unsigned service, const void *request, size_t request_size,
               int *fds, size_t *n_fds, void *reply, size_t reply_size, struct err *err) MUST_CHECK;

/* Opens a file of the table for reading; gives the descriptor. */
int parent_open_file(struct parent *parent, unsigned index, struct err *err) MUST_CHECK;

/* Starts a hook and does not wait for its end. Refused: it cannot be run, or four run already. */
int parent_run_hook(struct parent *parent, unsigned index, const struct parent_alarm *alarm,
                    struct err *err) MUST_CHECK;
int parent_hook_counts(struct parent *parent, struct parent_hook_counts *out,
                       struct err *err) MUST_CHECK;

/* To be polled for POLLHUP with events = 0: the parent is gone, and this process should end. */
int parent_fd(const struct parent *parent);

#endif
