/* The watch's Unix socket: who may reach it asks a word and a line, and gets JSON.
 *
 * The server never blocks: the thread that makes the snapshots puts the descriptors of control_fds
 * into its poll(2) and calls control_serve when one is ready, or when the time of control_timeout
 * is over. There is room for CONTROL_CLIENTS at once, others wait in the kernel; who is too slow is
 * closed.
 *
 * A request is one line, "sources" or "snapshot". The answer is the JSON of sensor/report.h, or
 * {"error":"…"}; then the server closes. */
#ifndef SENSOR_CONTROL_H
#define SENSOR_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CONTROL_CLIENTS     16
#define CONTROL_REQUEST_MAX 64
#define CONTROL_PATH_MAX    108 /* what the kernel has room for, with the NUL */
#define CONTROL_FDS         (CONTROL_CLIENTS + 1)

enum control_request { CONTROL_SOURCES, CONTROL_SNAPSHOT };

struct control_options {
    /* The answer on the heap, which the server frees; NULL: there is none now. */
    char *(*answer)(enum control_request request, size_t *out_size, void *with);
    void *with;
    int64_t client_time; /* ns that a client has from accept to the last byte; 0: 5 s */
};

struct control;

/* Where the socket is when nobody says: /run/cloudspan/watch.sock for root, else
 * $XDG_RUNTIME_DIR/cloudspan/watch.sock (`runtime_dir`; NULL or "": none), else
 * FOLDER/.watch.sock. -ENAMETOOLONG: say another. */
int control_path(bool is_root, const char *runtime_dir, const char *folder,
                 char out[CONTROL_PATH_MAX], struct err *err) MUST_CHECK;

/* Makes the socket, only for its owner and group, and the last folder of the path when it is not
 * there; gives the listening descriptor. The file of a watch that is dead is replaced; -EADDRINUSE:
 * one is running. To be called before the process gives up its rights. */
int control_listen(const char *path, struct err *err) MUST_CHECK;

/* Takes the descriptor over, which then does not block. NULL: no memory. */
struct control *control_new(int listen_fd, const struct control_options *options);

/* Closes all. The socket's file stays: whoever made it removes it. */
void control_free(struct control *control);

/* Gives how many were filled in. */
size_t control_fds(const struct control *control, struct pollfd out[CONTROL_FDS]);

/* How many ms poll may wait before control_serve has to look for slow clients; -1: for ever.
 * `ticks`: monotonic ns. */
int control_timeout(const struct control *control, int64_t ticks);

/* Takes new clients, reads, answers, writes, closes: what is possible without waiting. */
void control_serve(struct control *control, int64_t ticks);

struct control_counters {
    uint64_t n_answered, n_misused, n_slow;
};
struct control_counters control_counters(const struct control *control);

/* The client: sends `request` (without its newline) and gives what came back, on the heap, at most
 * `max` bytes; waits `timeout_ms` in all. `text` is ended by a NUL. -ENOENT and -ECONNREFUSED: no
 * watch is running; -EACCES: err says whose it is; -ETIMEDOUT; -EMSGSIZE; -EPROTO: it ended early
 * or refused. */
int control_ask(const char *path, const char *request, size_t max, int timeout_ms, char **out_text,
                size_t *out_size, struct err *err) MUST_CHECK;

#endif
