/* Where the packets of a watch go besides the logs: opened while the process still may. */
#ifndef CMD_WATCH_OUTPUTS_H
#define CMD_WATCH_OUTPUTS_H

#include "cmd/watch_settings.h"
#include "linux/sandbox.h"
#include "sensor/watch.h"

struct watch_outputs {
    const struct watch_settings *settings;
    const struct config *config;
    const struct sandbox_user *user; /* who will write */
    struct sink *sinks[WATCH_MAX_SINKS];
    size_t n_sinks;
};

/* Opens all that the settings and the configuration name. What was opened before a refusal stays in
 * `outputs`. */
int watch_outputs_open(struct watch_outputs *outputs, struct err *err) MUST_CHECK;

/* With all folders above it; those that are made here belong to `user`. */
int watch_make_folder(const struct sandbox_user *user, const char *path,
                      struct err *err) MUST_CHECK;

#endif
