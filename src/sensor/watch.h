/* The running watch in the packet process: its control thread. Starts the workers, listens, keeps
 * the machines' health, rotates the logs, answers the socket, shows what it knows; until it is told
 * to end. */
#ifndef SENSOR_WATCH_H
#define SENSOR_WATCH_H

#include "base/note.h"
#include "base/notify.h"
#include "sensor/inputs.h"
#include "sensor/machines.h"
#include "sensor/services.h"
#include "sensor/snapshot.h"
#include "sink/sink.h"

#define WATCH_MAX_SINKS 8

/* Who shows it to a person; any call may be NULL. All come from the control thread. */
struct watch_screen {
    void *with;
    void (*show)(void *with, const struct snapshot *snapshot); /* once a second */
    void (*alarm)(void *with, const struct snapshot_alarm *alarm);
    void (*say)(void *with, enum note_level level, const char *text);
    int key_fd;              /* polled; -1: none */
    bool (*key)(void *with); /* true: end */
    void (*resized)(void *with);
};

struct watch_options {
    struct config *config; /* taken over */
    const struct services_host *host;
    struct parent *parent;
    uint64_t steer_secret;
    const struct filter *filter; /* of the inner packets; or NULL */
    struct log_set *logs;        /* live; or NULL: none are written. Closed by the caller. */
    struct sink *sinks[WATCH_MAX_SINKS];
    size_t n_sinks;
    int signal_fd;    /* signalfd of SIGINT, SIGTERM, SIGHUP, SIGWINCH; blocked in all threads */
    int control_fd;   /* the Unix socket, listening; -1: none. Taken over. */
    int web_fd;       /* HTTP, listening; -1: none. Taken over. */
    int64_t duration; /* ns; 0: until it is told */
    const struct notify *notify;
    const struct watch_screen *screen;
    const char *folder; /* of the logs, for people */
};

struct watch_result {
    struct snapshot last; /* of the end; the caller's: snapshot_done */
    bool interrupted;
};

/* Fails when nothing can be listened on, or memory is short; else runs to the end. */
int watch_run(const struct watch_options *options, struct watch_result *out,
              struct err *err) MUST_CHECK;

#endif
