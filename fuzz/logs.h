/* Log files that go nowhere: links to /dev/null in a folder that is removed at the end. */
#ifndef FUZZ_LOGS_H
#define FUZZ_LOGS_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log/record.h"

static const char *const logs_names[] = {"conn", "dns",   "files",  "http",   "quic",
                                         "ssl",  "weird", "tunnel", "x509"};
#define LOGS_N (sizeof(logs_names) / sizeof(*logs_names))

static char logs_folder[] = "/tmp/cloudspan-fuzz.XXXXXX";

static inline void logs_path(char path[64], size_t i)
{
    snprintf(path, 64, "%s/%s.log", logs_folder, logs_names[i]);
}

static inline void logs_remove(void)
{
    char path[64];
    for (size_t i = 0; i < LOGS_N; i++) {
        logs_path(path, i);
        (void)unlink(path);
    }
    (void)rmdir(logs_folder);
}

static inline void logs_make_folder(void)
{
    static bool made;
    char path[64];
    if (made)
        return;
    if (!mkdtemp(logs_folder) || atexit(logs_remove) != 0)
        abort();
    for (size_t i = 0; i < LOGS_N; i++) {
        logs_path(path, i);
        if (symlink("/dev/null", path) < 0)
            abort();
    }
    made = true;
}

/* A set with these columns added to logs of connections; kept by the caller. */
static inline struct log_set *logs_open(const struct log_column *extra, uint16_t n_extra)
{
    logs_make_folder();
    struct log_set_options options = {.folder = logs_folder, .extra = extra, .n_extra = n_extra};
    struct log_set *set;
    struct err err;
    if (log_set_open(&options, &set, &err) < 0)
        abort();
    return set;
}

#endif
