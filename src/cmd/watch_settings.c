/* Options of `cloudspan watch`: see watch_settings.h. */
#include "cmd/watch_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/record.h"
#include "sink/forward.h"

#define MAX_WORKERS  63
#define MEMORY_LEAST (16u << 20)
#define MAX_DURATION (366u * 86400)

enum row {
    ROW_INTERFACE,
    ROW_LISTEN,
    ROW_CONFIG,
    ROW_FOLDER,
    ROW_JOBS,
    ROW_FORMAT,
    ROW_MEMORY,
    ROW_PCAP,
    ROW_TAP,
    ROW_WRITE,
    ROW_FORWARD,
    ROW_SOCKET,
    ROW_METRICS,
    ROW_PAGE,
    ROW_USER,
    ROW_DURATION,
    ROW_COMMUNITY_ID,
    ROW_JA3,
    ROW_JA4,
    ROW_NO_HUNT,
    ROW_TEST,
    ROW_DUMP,
    ROW_REFERENCE,
    ROW_PLAIN,
    ROW_COLOR,
    ROW_VERBOSE,
    ROW_QUIET,
    ROW_HELP,
    ROW_VERSION
};

const struct option_row watch_rows[] = {
    [ROW_INTERFACE] = {'i', "interface", "IFACE", false,
                       "watch this interface (waited for when it is not there yet); may be\n"
                       "given again"},
    [ROW_LISTEN] = {'l', "listen", "LISTENER", false,
                    "receive mirrors: vxlan, geneve[:PORT], geneve+vxlan, gre, tzsp,\n"
                    "udp::ADDR:PORT:KIND, pcap-over-ip:HOST:PORT, - for standard\n"
                    "input; may be given again. Without -i and -l: the default route's\n"
                    "interface, VXLAN, GENEVE and GRE, where it is allowed"},
    [ROW_CONFIG] = {'c', "config", "FILE", false,
                    "the configuration (default: /etc/cloudspan/cloudspan.yaml, where it\n"
                    "is there)"},
    [ROW_FOLDER] = {'d', "dir", "DIR", false, "write the logs beneath DIR (default: logs)"},
    [ROW_JOBS] = {'j', "jobs", "N", false, "use N workers (default: one a core)"},
    [ROW_FORMAT] = {0, "format", "FORMAT", false, "tsv (default) or json"},
    [ROW_MEMORY] = {0, "memory", "SIZE", false,
                    "keep connections and payload within SIZE bytes, K, M or G\n"
                    "(default: a quarter of the machine's memory)"},
    [ROW_PCAP] = {0, "pcap", "DIR", false, "write the inner packets into rolling files in DIR"},
    [ROW_TAP] = {0, "tap", "NAME", false,
                 "put the inner packets on the interface NAME, which is made as a tap\n"
                 "when it is not there; may be given again"},
    [ROW_WRITE] = {'w', "write", "FILE", false,
                   "write the inner packets as a pcap stream; - is standard output"},
    [ROW_FORWARD] = {0, "forward", "KIND:HOST[:PORT]", false,
                     "send the inner packets on to another collector, as vxlan or geneve;\n"
                     "may be given again"},
    [ROW_SOCKET] = {0, "socket", "PATH", false,
                    "where cloudspan sources asks (default: see there)"},
    [ROW_METRICS] = {0, "metrics", "ADDR:PORT", false,
                     "serve /metrics for Prometheus there; off: not (default:\n"
                     "127.0.0.1:4790)"},
    [ROW_PAGE] = {0, "page", "ADDR:PORT", false, "there is no page yet; off is accepted"},
    [ROW_USER] = {'Z', "user", "USER", false,
                  "who parses packets, when this is started as root (default: who\n"
                  "called sudo, or else cloudspan or nobody)"},
    [ROW_DURATION] = {0, "duration", "SECONDS", false, "end by itself after so long"},
    [ROW_COMMUNITY_ID] = {0, "community-id", NULL, false,
                          "add the column community_id to logs of connections"},
    [ROW_JA3] = {0, "ja3", NULL, false, "add the columns ja3 and ja3s to ssl.log"},
    [ROW_JA4] = {0, "ja4", NULL, false, "add the column ja4 to ssl.log"},
    [ROW_NO_HUNT] = {0, "no-hunt", NULL, false, "do not hunt in what is logged"},
    [ROW_TEST] = {'T', "test", NULL, false, "check the configuration and exit"},
    [ROW_DUMP] = {0, "dump-config", NULL, false,
                  "print the configuration with all its defaults and exit"},
    [ROW_REFERENCE] = {0, "help-config", NULL, false,
                       "print what a configuration may hold and exit"},
    [ROW_PLAIN] = {0, "plain", NULL, false, "plain lines on a terminal, too"},
    [ROW_COLOR] = {0, "color", "WHEN", false, "auto (default), always or never"},
    [ROW_VERBOSE] = {'v', "verbose", NULL, false, "say more; twice: even more"},
    [ROW_QUIET] = {'q', "quiet", NULL, false, "say nothing but errors"},
    [ROW_HELP] = {'h', "help", NULL, false, "print this and exit"},
    [ROW_VERSION] = {0, "version", NULL, false, "print the version and exit"},
    {0},
};

static int add(const char **list, size_t *n, size_t max, const char *value, struct err *err)
{
    if (*n == max)
        return err_set(err, -EINVAL, "'%s': not more than %zu of these", value, max);
    list[(*n)++] = value;
    return 0;
}

static int take_number(const char *name, const char *value, uint64_t max, uint64_t *out,
                       struct err *err)
{
    if (options_number(value, max, out) && *out > 0)
        return 0;
    return err_set(err, -EINVAL, "%s: '%s' is not a number from 1 to %llu", name, value,
                   (unsigned long long)max);
}

int watch_take(int row, const char *value, void *with, struct err *err)
{
    struct watch_settings *s = with;
    switch ((enum row)row) {
    case ROW_INTERFACE:
        if (strlen(value) >= CONFIG_INTERFACE_MAX || value[0] == '\0')
            return err_set(err, -EINVAL, "-i: '%s' is no name of an interface", value);
        return add(s->interfaces, &s->n_interfaces, WATCH_MAX_LISTENERS, value, err);
    case ROW_LISTEN:
        return add(s->listeners, &s->n_listeners, WATCH_MAX_LISTENERS, value, err);
    case ROW_CONFIG:
        s->config = value;
        return 0;
    case ROW_FOLDER:
        s->folder = value;
        return 0;
    case ROW_JOBS:
        return take_number("-j", value, MAX_WORKERS, &s->workers, err);
    case ROW_FORMAT:
        if (strcmp(value, "tsv") != 0 && strcmp(value, "json") != 0)
            return err_set(err, -EINVAL, "--format: '%s' is neither tsv nor json", value);
        s->format = strcmp(value, "json") == 0 ? LOG_FORMAT_JSON : LOG_FORMAT_TSV;
        return 0;
    case ROW_MEMORY:
        if (!options_size(value, &s->memory) || s->memory < MEMORY_LEAST)
            return err_set(err, -EINVAL, "--memory: '%s' is not a size of at least 16M", value);
        return 0;
    case ROW_PCAP:
        s->packet_folder = value;
        return 0;
    case ROW_TAP:
        return add(s->taps, &s->n_taps, WATCH_MAX_TAPS, value, err);
    case ROW_WRITE:
        s->stream = value;
        return 0;
    case ROW_FORWARD:
        return add(s->forwards, &s->n_forwards, WATCH_MAX_FORWARDS, value, err);
    case ROW_SOCKET:
        s->socket = value;
        return 0;
    case ROW_METRICS:
        s->metrics = value;
        return 0;
    case ROW_PAGE:
        return strcmp(value, "off") == 0
                   ? 0
                   : err_set(err, -EINVAL, "--page: there is no page yet; --page off is accepted");
    case ROW_USER:
        s->user = value;
        return 0;
    case ROW_DURATION:
        return take_number("--duration", value, MAX_DURATION, &s->duration, err);
    case ROW_COMMUNITY_ID:
        s->community_id = true;
        return 0;
    case ROW_JA3:
        s->ja3 = true;
        return 0;
    case ROW_JA4:
        s->ja4 = true;
        return 0;
    case ROW_NO_HUNT:
        s->no_hunt = true;
        return 0;
    case ROW_TEST:
        s->test = true;
        return 0;
    case ROW_DUMP:
        s->dump = true;
        return 0;
    case ROW_REFERENCE:
        s->reference = true;
        return 0;
    case ROW_PLAIN:
        s->plain = true;
        return 0;
    case ROW_COLOR:
        s->color = value;
        return 0;
    case ROW_VERBOSE:
        s->verbosity++;
        return 0;
    case ROW_QUIET:
        s->verbosity = -1;
        return 0;
    case ROW_HELP:
        s->help = true;
        return 0;
    case ROW_VERSION:
        s->version = true;
        return 0;
    }
    return 0;
}

int watch_take_filter(struct watch_settings *s, const char *const *words, size_t n, struct err *err)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        int more =
            snprintf(s->filter + len, sizeof s->filter - len, "%s%s", len ? " " : "", words[i]);
        if (more < 0 || (size_t)more >= sizeof s->filter - len)
            return err_set(err, -EINVAL, "the filter is longer than %zu characters",
                           sizeof s->filter);
        len += (size_t)more;
    }
    return 0;
}

/* ---- over the configuration ---- */

static int replace_text(char **text, const char *value, struct err *err)
{
    if (!value)
        return 0;
    char *copy = strdup(value);
    if (!copy)
        return err_set(err, -ENOMEM, "out of memory");
    free(*text);
    *text = copy;
    return 0;
}

static int replace_listeners(const struct watch_settings *s, struct config *config, struct err *err)
{
    size_t n = s->n_interfaces + s->n_listeners;
    if (n == 0)
        return 0;
    struct config_listener *list = calloc(n, sizeof *list);
    int result = list ? 0 : err_set(err, -ENOMEM, "out of memory");
    size_t at = 0;
    for (size_t i = 0; i < s->n_interfaces && result == 0; i++) {
        char text[CONFIG_INTERFACE_MAX + 16];
        (void)snprintf(text, sizeof text, "interface:%s", s->interfaces[i]);
        result = config_parse_listener(text, &list[at], err);
        at += result == 0;
    }
    for (size_t i = 0; i < s->n_listeners && result == 0; i++) {
        result = config_parse_listener(s->listeners[i], &list[at], err);
        at += result == 0;
    }
    if (result < 0) {
        for (size_t i = 0; i < at; i++)
            config_listener_done(&list[i]);
        free(list);
        return result;
    }
    for (size_t i = 0; i < config->n_listeners; i++)
        config_listener_done(&config->listeners[i]);
    free(config->listeners);
    config->listeners = list;
    config->n_listeners = n;
    return 0;
}

static void set_defaults(struct config *config)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (config->limits.memory == 0)
        config->limits.memory =
            pages > 0 && size > 0 ? (uint64_t)pages / 4 * (uint64_t)size : 1u << 30;
    if (config->limits.workers == 0)
        config->limits.workers = n < 1 ? 1 : (uint32_t)n;
    if (config->limits.workers > MAX_WORKERS)
        config->limits.workers = MAX_WORKERS;
}

int watch_load(void *with, struct config **out, struct err *err)
{
    const struct watch_settings *s = with;
    struct config *config = NULL;
    int result = config_load(s->config, &config, err);
    if (result < 0)
        return result;
    result = replace_listeners(s, config, err);
    if (result == 0)
        result = replace_text(&config->outputs.logs.folder, s->folder, err);
    if (result == 0)
        result = replace_text(&config->outputs.pcap.folder, s->packet_folder, err);
    if (result == 0)
        result = replace_text(&config->outputs.stream, s->stream, err);
    if (result == 0)
        result = replace_text(&config->socket, s->socket, err);
    if (result == 0)
        result = replace_text(&config->user, s->user, err);
    if (result == 0 && s->filter[0])
        result = replace_text(&config->filter, s->filter, err);
    if (result == 0 && !config->outputs.logs.folder)
        result = err_set(err, -EINVAL,
                         "outputs: logs: folder: off: the logs are what a watch is "
                         "for; name a folder");
    if (result < 0) {
        config_free(config);
        return result;
    }
    if (s->workers)
        config->limits.workers = (uint32_t)s->workers;
    if (s->memory)
        config->limits.memory = s->memory;
    if (s->format >= 0)
        config->outputs.logs.format = s->format;
    config->outputs.logs.community_id |= s->community_id;
    config->outputs.logs.ja3 |= s->ja3;
    config->outputs.logs.ja4 |= s->ja4;
    if (s->no_hunt)
        config->hunts.common.live = false;
    set_defaults(config);
    *out = config;
    return 0;
}
