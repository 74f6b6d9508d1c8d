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

/* Whether what is sent to this place of this host comes in by the listener. */
static bool hears(const struct config_listener *l, const struct addr *addr, uint16_t port)
{
    static const struct addr any, any_v4 = {.b = {[10] = 0xff, [11] = 0xff}};
    if (l->kind == CONFIG_LISTEN_INTERFACE) /* what goes to us goes over this one */
        return strcmp(l->interface, "lo") == 0 || strcmp(l->interface, "any") == 0;
    return l->kind == CONFIG_LISTEN_UDP && l->port == port &&
           (addr_eq(&l->addr, &any) || addr_eq(&l->addr, &any_v4) || addr_eq(&l->addr, addr));
}

/* Our own listener would take what is sent on as a mirror's packets, and they would be sent on
 * again, for ever. Another program on this host may have them. */
static int refuse_loop(const struct watch_outputs *o, const struct sink *sink,
                       const struct forward_options *options, struct err *err)
{
    struct services_list list;
    struct addr addr;
    uint16_t port;
    if (!forward_is_own(sink, &addr, &port))
        return 0;
    int result = services_list_init(&list, o->config, "", err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < list.n_inputs && result == 0; i++)
        if (hears(list.inputs[i].listener, &addr, port))
            result = err_set(err, -ELOOP,
                             "forwarding to %s, port %u: that is this watch itself, which would "
                             "get each packet again and again: name another collector",
                             options->host, port);
    services_list_done(&list);
    return result;
}

static int open_forward(struct watch_outputs *o, const struct forward_options *options,
                        struct err *err)
{
    struct sink *sink = NULL;
    int result = forward_open(options, &sink, err);
    result = add_sink(o, result, sink, err);
    return result < 0 ? result : refuse_loop(o, sink, options, err);
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
