/* One run of `cloudspan hunt` beneath what is shown: the logs are read into the engine, what was
 * read before comes out of the archive, and all of it is judged. */
#ifndef CMD_HUNT_SESSION_H
#define CMD_HUNT_SESSION_H

#include "cmd/hunt_settings.h"
#include "hunt/archive.h"

struct hunt_session {
    /* Filled by the caller; borrowed. */
    const struct hunt_options *options;
    struct hunt_settings *settings; /* its window is set before each judging */
    struct hunt_span span;
    const char *const *paths;
    size_t n_paths;
    const volatile sig_atomic_t *stop;

    /* Its own. */
    struct hunt_engine *engine;
    struct hunt_archive *archive; /* NULL: nothing is kept */
    struct hunt_mark *marks;
    size_t n_marks;
    struct hunt_read_counts counts;
    struct findings *findings; /* of the last judging */
    int64_t begun;             /* of the last reading; CLOCK_MONOTONIC, ns */
    double seconds;            /* that the last reading and judging took */
    size_t n_said;             /* sentences about files in the last reading */
    bool shown;                /* a line of progress is on the terminal */
    char archive_path[4096];
};

int hunt_session_open(struct hunt_session *session, struct err *err) MUST_CHECK;
/* What is new in the paths. -EINTR: what was read so far is in the engine, and kept. */
int hunt_session_read(struct hunt_session *session, struct err *err) MUST_CHECK;
int hunt_session_judge(struct hunt_session *session, struct err *err) MUST_CHECK;
void hunt_session_close(struct hunt_session *session);

/* Warnings about what was not understood or left out, and the line that ends a run. */
void hunt_session_warn(const struct hunt_session *session);
struct hunt_tally {
    size_t n, n_critical, n_hidden;
};
void hunt_session_sum(const struct hunt_session *session, const struct hunt_tally *tally);

#endif
