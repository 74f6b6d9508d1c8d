/* Where the packets of a watch go besides the logs: see watch_outputs.h. */
#include "cmd/watch_outputs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/note.h"
#include "sink/forward.h"
#include "sink/rolling.h"
#include "sink/stream.h"
#include "sink/tap.h"

/* A folder that is made here belongs to who will write into it. */
int watch_make_folder(const struct sandbox_user *user, const char *path, struct err *err)
{
    char text[4096];
    if (snprintf(text, sizeof text, "%s", path) >= (int)sizeof text)
        return err_set(err, -ENAMETOOLONG, "folder %s: the path is too long", path);
    for (char *p = text + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char end = *p;
        *p = '\0';
        if (mkdir(text, 0750) == 0) {
            if (user->change && chown(text, user->uid, user->gid) < 0)
                return err_set(err, -errno, "folder %s: cannot give it to %s: %s", text, user->name,
                               strerror(errno));
        } else if (errno != EEXIST) {
            return err_set(err, -errno, "folder %s: cannot make it: %s", text, strerror(errno));
        }
        if (end == '\0')
            return 0;
        *p = end;
    }
}

static int add_sink(struct watch_outputs *o, int result, struct sink *sink, struct err *err)
{
    if (result < 0)
        return result;
    if (o->n_sinks == WATCH_MAX_SINKS) {
        struct err closing;
        if (sink_close(sink, &closing) < 0)
            note(NOTE_ERROR, "%s", closing.text);
        return err_set(err, -E2BIG, "more than %d outputs of packets", WATCH_MAX_SINKS);
    }
    o->sinks[o->n_sinks++] = sink;
    return 0;
}

static int open_pcap(struct watch_outputs *o, struct err *err)
{
    const struct config_pcap *pcap = &o->config->outputs.pcap;
    struct rolling_options options = {.folder = pcap->folder,
                                      .snap_size = pcap->snap_length,
                                      .file_size = pcap->rotate_size,
                                      .file_time = pcap->rotate_time,
                                      .disk_share = pcap->disk_share / 100.0,
                                      .keep_time = pcap->keep,
                                      .per_source = pcap->per_source};
    struct sink *sink = NULL;
    int result = watch_make_folder(o->user, pcap->folder, err);
    if (result == 0)
        result = rolling_open(&options, &sink, err);
    return add_sink(o, result, sink, err);
}

static int open_taps(struct watch_outputs *o, struct err *err)
{
    const struct watch_settings *s = o->settings;
    size_t n = s->n_taps ? s->n_taps : o->config->outputs.n_taps;
    for (size_t i = 0; i < n; i++) {
        struct tap_options options = {.name =
                                          s->n_taps ? s->taps[i] : o->config->outputs.taps[i].name,
                                      .n_workers = o->config->limits.workers};
        struct sink *sink = NULL;
        int result = tap_open(&options, &sink, err);
        result = add_sink(o, result, sink, err);
        if (result < 0)
            return result;
    }
    return 0;
}

static int open_stream(struct watch_outputs *o, struct err *err)
{
    const char *path = o->config->outputs.stream;
    bool is_stdout = strcmp(path, "-") == 0;
    struct stream_options options = {.path = is_stdout ? NULL : path, .fd = STDOUT_FILENO};
    struct sink *sink = NULL;
    int result = stream_open(&options, &sink, err);
    return add_sink(o, result, sink, err);
}

static int open_forward(struct watch_outputs *o, const struct forward_options *options,
                        struct err *err)
{
    struct sink *sink = NULL;
    int result = forward_open(options, &sink, err);
    return add_sink(o, result, sink, err);
}

static int open_forwards(struct watch_outputs *o, struct err *err)
{
    const struct watch_settings *s = o->settings;
    int result = 0;
    for (size_t i = 0; i < s->n_forwards && result == 0; i++) {
        struct forward_options options;
        result = forward_parse(s->forwards[i], &options, err);
        if (result == 0)
            result = open_forward(o, &options, err);
    }
    for (size_t i = 0; i < o->config->outputs.n_forwards && !s->n_forwards && result == 0; i++) {
        const struct config_forward *forward = &o->config->outputs.forwards[i];
        struct forward_options options = {.kind = FORWARD_VXLAN};
        options.host[addr_format(&forward->addr, options.host)] = '\0';
        (void)snprintf(options.port, sizeof options.port, "%u", forward->port);
        result = open_forward(o, &options, err);
    }
    return result;
}

int watch_outputs_open(struct watch_outputs *o, struct err *err)
{
    int result = 0;
    if (o->config->outputs.pcap.folder)
        result = open_pcap(o, err);
    if (result == 0)
        result = open_taps(o, err);
    if (result == 0 && o->config->outputs.stream)
        result = open_stream(o, err);
    if (result == 0)
        result = open_forwards(o, err);
    return result;
}
