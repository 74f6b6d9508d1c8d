/* What `cloudspan watch` was told on its command line, and the configuration with it. */
#ifndef CMD_WATCH_SETTINGS_H
#define CMD_WATCH_SETTINGS_H

#include "base/options.h"
#include "sensor/config.h"

#define WATCH_MAX_LISTENERS 63
#define WATCH_MAX_FORWARDS  4
#define WATCH_MAX_TAPS      4

struct watch_settings {
    const char *config;
    const char *folder, *packet_folder, *stream, *socket, *metrics, *user, *color;
    const char *listeners[WATCH_MAX_LISTENERS]; /* -l */
    const char *interfaces[WATCH_MAX_LISTENERS];
    const char *forwards[WATCH_MAX_FORWARDS];
    const char *taps[WATCH_MAX_TAPS];
    size_t n_listeners, n_interfaces, n_forwards, n_taps;
    uint64_t workers, memory, duration; /* seconds */
    int format;                         /* enum log_format; -1: not said */
    bool community_id, ja3, ja4, no_hunt;
    bool test, dump, plain, help, version, reference;
    int verbosity;
    char filter[8192];
};

extern const struct option_row watch_rows[];

/* For options_parse; `with` is a struct watch_settings. */
int watch_take(int row, const char *value, void *with, struct err *err);

/* The words that follow the options are the filter. */
int watch_take_filter(struct watch_settings *settings, const char *const *words, size_t n,
                      struct err *err) MUST_CHECK;

/* Loads the configuration, and puts in it what the command line says: what is named there replaces
 * what the files say. */
int watch_load(void *with, struct config **out, struct err *err) MUST_CHECK;

#endif
