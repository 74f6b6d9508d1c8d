/* cloudspan watch: mirrored traffic as it comes, into logs; whose it is, and who has gone silent.
 *
 * What needs privileges is done first, then the process becomes two: the parent keeps them and
 * serves, the packet process gives them up and does the rest (sensor/watch.h). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/version.h"
#include "cmd/command.h"
#include "cmd/plain.h"
#include "cmd/terminal.h"
#include "cmd/view.h"
#include "cmd/watch_outputs.h"
#include "cmd/watch_settings.h"
#include "linux/interface.h"
#include "linux/sandbox.h"
#include "log/live.h"
#include "sensor/control.h"
#include "sensor/filter.h"
#include "sensor/watch.h"
#include "web/http.h"

#define MAX_SAID 32

/* What a running watch has that needs closing, in both processes. */
struct run {
    struct watch_settings settings;
    struct services services;
    struct config *config;
    struct filter *filter;
    struct sandbox_user user;
    struct watch_outputs outputs;
    struct log_set *logs;
    struct notify notify;
    struct parent *parent;
    struct services_host host;
    char socket[CONTROL_PATH_MAX];
    int control_fd, web_fd;

    struct view *view; /* NULL: plain lines */
    struct plain plain;
    struct {
        enum note_level level;
        char text[400];
    } said[MAX_SAID]; /* while the view is shown; a ring */
    size_t n_said;
};

/* ---- the screen ---- */

static void show(void *with, const struct snapshot *snapshot)
{
    struct run *run = with;
    if (run->view)
        view_show(run->view, snapshot);
    else
        plain_show(&run->plain, snapshot);
}

static void say(void *with, enum note_level level, const char *text)
{
    struct run *run = with;
    if (!run->view) {
        note(level, "%s", text);
        return;
    }
    size_t i = run->n_said++ % MAX_SAID;
    run->said[i].level = level;
    (void)snprintf(run->said[i].text, sizeof run->said[i].text, "%s", text);
}

static bool key(void *with)
{
    struct run *run = with;
    return run->view && view_key(run->view) == VIEW_QUIT;
}

static void resized(void *with)
{
    struct run *run = with;
    if (run->view)
        view_resize(run->view);
}

/* The view is over; what was said meanwhile is said now. */
static void close_view(struct run *run)
{
    view_close(run->view);
    run->view = NULL;
    size_t first = run->n_said > MAX_SAID ? run->n_said - MAX_SAID : 0;
    for (size_t i = first; i < run->n_said; i++)
        note(run->said[i % MAX_SAID].level, "%s", run->said[i % MAX_SAID].text);
    run->n_said = 0;
}

static int open_view(struct run *run, struct err *err)
{
    const struct watch_settings *s = &run->settings;
    run->plain = (struct plain){.fd = s->verbosity < 0 ? -1 : STDERR_FILENO,
                                .utf8 = terminal_utf8(),
                                .utc = run->config->outputs.logs.utc};
    bool is_stream = run->config->outputs.stream && strcmp(run->config->outputs.stream, "-") == 0;
    int fd_out = is_stream ? STDERR_FILENO : STDOUT_FILENO;
    int color = terminal_color(s->color, fd_out);
    if (color < 0)
        return err_set(err, -EINVAL, "--color: '%s' is neither auto nor always nor never",
                       s->color);
    if (s->plain || s->verbosity < 0 || !isatty(fd_out) || !isatty(STDERR_FILENO))
        return 0;
    struct view_options options = {.fd_out = fd_out,
                                   .fd_in = isatty(STDIN_FILENO) ? STDIN_FILENO : -1,
                                   .color = color > 0,
                                   .utf8 = terminal_utf8(),
                                   .utc = run->config->outputs.logs.utc};
    return view_open(&options, &run->view, err);
}

/* ---- before the two processes ---- */

/* A watch that was killed a moment ago may still have the port. */
static int listen_for_metrics(const char *address, struct err *err)
{
    int fd = web_listen(address, err);
    for (int i = 0; i < 20 && fd == -EADDRINUSE; i++) {
        (void)usleep(100000);
        fd = web_listen(address, err);
    }
    return fd;
}

/* Where others ask; that it cannot be had is no reason not to receive. */
static int open_servers(struct run *run, struct err *err)
{
    struct err refused;
    const char *folder = run->config->outputs.logs.folder;
    run->control_fd = run->web_fd = -1;
    if (run->config->socket) {
        if (strlen(run->config->socket) >= sizeof run->socket)
            return err_set(err, -ENAMETOOLONG, "--socket %s: the path is too long",
                           run->config->socket);
        (void)snprintf(run->socket, sizeof run->socket, "%s", run->config->socket);
    } else {
        int result =
            control_path(geteuid() == 0, getenv("XDG_RUNTIME_DIR"), folder, run->socket, err);
        if (result < 0)
            return result;
    }
    run->control_fd = control_listen(run->socket, &refused);
    if (run->control_fd < 0 && run->config->socket)
        return err_set(err, run->control_fd, "%s", refused.text);
    if (run->control_fd < 0) {
        note(NOTE_WARN, "%s; cloudspan sources cannot ask this watch", refused.text);
        run->socket[0] = '\0';
    }
    const char *metrics = run->settings.metrics;
    char address[ADDR_TEXT_MAX + 16];
    if (!metrics && run->config->metrics.on) {
        char text[ADDR_TEXT_MAX + 1];
        text[addr_format(&run->config->metrics.addr, text)] = '\0';
        (void)snprintf(address, sizeof address, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text,
                       run->config->metrics.port);
        run->web_fd = web_listen(address, &refused);
        if (run->web_fd < 0)
            note(NOTE_WARN, "%s; there are no metrics (--metrics off, or another address)",
                 refused.text);
    } else if (metrics && strcmp(metrics, "off") != 0) {
        run->web_fd = listen_for_metrics(metrics, err);
        if (run->web_fd < 0)
            return run->web_fd;
    }
    return 0;
}

static void parent_says(void *with, enum note_level level, const char *text)
{
    (void)with;
    note(level, "%s", text);
}

/* The packet process had no time to leave the screen, where what is said now would be lost. */
static void packets_crashed(void *with)
{
    struct run *run = (struct run *)(void *)((char *)with - offsetof(struct run, services));
    view_close(run->view);
    run->view = NULL;
}

static const char *const *hook_of(void *with, unsigned index)
{
    const struct services *services = with;
    if (index != 0 || services->config->n_on_alarm == 0)
        return NULL;
    return (const char *const *)services->config->on_alarm;
}

static int prepare(struct run *run, struct err *err)
{
    struct config *config = run->config;
    int result = 0;
    if (config->filter)
        result = filter_compile(config->filter, &run->filter, err);
    if (result == 0 && config->user)
        result = sandbox_find_user(config->user, &run->user, err);
    else
        sandbox_default_user(&run->user);
    if (result == 0)
        result = watch_make_folder(&run->user, config->outputs.logs.folder, err);
    run->outputs =
        (struct watch_outputs){.settings = &run->settings, .config = config, .user = &run->user};
    if (result == 0)
        result = watch_outputs_open(&run->outputs, err);
    if (result == 0)
        result = open_servers(run, err);
    if (result < 0)
        return result;
    (void)linux_default_interface(run->services.interface); /* "": there is none */
    run->host.n_own = (uint32_t)linux_own_addresses(run->host.own, SERVICES_MAX_OWN);
    memcpy(run->host.interface, run->services.interface, sizeof run->host.interface);
    if (getrandom(&run->services.steer_secret, sizeof run->services.steer_secret, 0) < 0)
        return err_set(err, -errno, "no random numbers: %s", strerror(errno));
    run->services.load = watch_load;
    run->services.with = &run->settings;
    struct err refused;
    if (notify_init(&run->notify, &refused) < 0)
        note(NOTE_WARN, "%s", refused.text);
    result = open_view(run, err);
    if (result < 0)
        return result;
    /* The parent has a configuration of its own: the packet process may take another. */
    result = watch_load(&run->settings, &run->services.config, err);
    if (result == 0)
        result = services_list_init(&run->services.list, run->services.config,
                                    run->services.interface, err);
    return result;
}

/* ---- the packet process ---- */

static int make_signal_fd(struct err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGWINCH);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd >= 0 ? fd : err_set(err, -errno, "signalfd: %s", strerror(errno));
}

/* A FIFO is opened again for each reader; a file, or a pipe, is open already. */
static bool is_fifo(const char *path)
{
    struct stat st;
    return strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int confine(const struct run *run, struct sandbox_report *report, struct err *err)
{
    const char *packets = run->config->outputs.pcap.folder, *stream = run->config->outputs.stream;
    const char *write_dirs[4] = {run->config->outputs.logs.folder};
    size_t n = 1;
    if (packets)
        write_dirs[n++] = packets;
    if (stream && is_fifo(stream))
        write_dirs[n++] = stream;
    static const char *const read_dirs[] = {"/etc/localtime", "/usr/share/zoneinfo",
                                            "/proc/self/statm", NULL};
    struct sandbox_options options = {.user = run->user,
                                      .write_dirs = write_dirs,
                                      .read_dirs = read_dirs,
                                      .allow_udp_sockets = true,
                                      .death_signal = SIGTERM};
    int result = sandbox_enter(&options, report, err);
    if (result == -EACCES)
        err_wrap(err,
                 "%s, who parses packets, may not come to the log folder (another folder with -d, "
                 "or user with -Z)",
                 run->user.name);
    return result;
}

static int open_logs(struct run *run, struct err *err)
{
    const struct config_logs *logs = &run->config->outputs.logs;
    static struct log_column extra[PIPELINE_MAX_EXTRA];
    struct pipeline_options pipeline = {.mirror = true, .community_id = logs->community_id};
    struct log_live_options live = {.utc = logs->utc,
                                    .period = logs->rotate ? logs->rotate / 1000000000 : 86400};
    struct log_set_options options = {.folder = logs->folder,
                                      .format = (enum log_format)logs->format,
                                      .extra = extra,
                                      .n_extra = pipeline_extra_columns(&pipeline, extra),
                                      .live = &live};
    int result = log_set_open(&options, &run->logs, err);
    if (result == -EACCES)
        err_wrap(err, "as user %s", run->user.name);
    if (result < 0)
        return result;
    struct log_recovered found;
    log_set_recovered(run->logs, &found);
    if (found.n_files || found.n_cut_bytes)
        say(run, NOTE_WARN,
            "a watch before this one did not end cleanly: its log files were put in order");
    return 0;
}

static void print_summary(const struct run *run, const struct watch_result *result)
{
    struct text text;
    if (run->settings.verbosity < 0)
        return;
    text_init(&text, 1u << 20);
    summary_text(&result->last, terminal_utf8(), &text);
    plain_write(STDERR_FILENO, &text);
    text_done(&text);
}

static int watch(struct run *run)
{
    struct err err = {""};
    struct sandbox_report report;
    struct watch_result watched = {.interrupted = false};
    int signal_fd = make_signal_fd(&err);
    int result = signal_fd < 0 ? signal_fd : confine(run, &report, &err);
    if (result == 0) {
        say(run, NOTE_INFO, report.text);
        result = open_logs(run, &err);
    }
    for (size_t i = 0; i < run->outputs.n_sinks && result == 0; i++)
        result = sink_start(run->outputs.sinks[i], &err);
    if (result == 0) {
        struct watch_screen screen = {.with = run,
                                      .show = show,
                                      .say = say,
                                      .key_fd = run->view ? STDIN_FILENO : -1,
                                      .key = key,
                                      .resized = resized};
        struct watch_options options = {
            .config = run->config,
            .host = &run->host,
            .parent = run->parent,
            .steer_secret = run->services.steer_secret,
            .filter = run->filter,
            .logs = run->logs,
            .n_sinks = run->outputs.n_sinks,
            .signal_fd = signal_fd,
            .control_fd = run->control_fd,
            .web_fd = run->web_fd,
            .duration = (int64_t)run->settings.duration * 1000000000,
            .notify = &run->notify,
            .screen = &screen,
            .folder = run->config->outputs.logs.folder,
        };
        memcpy(options.sinks, run->outputs.sinks, sizeof run->outputs.sinks);
        char folder[256];
        (void)snprintf(folder, sizeof folder, "%s", options.folder);
        options.folder = folder;
        run->config = NULL; /* the watch's now */
        run->control_fd = run->web_fd = -1;
        result = watch_run(&options, &watched, &err);
    }
    close_view(run);
    for (size_t i = 0; i < run->outputs.n_sinks; i++) {
        struct err closing;
        if (sink_close(run->outputs.sinks[i], &closing) < 0)
            note(NOTE_ERROR, "%s", closing.text);
    }
    run->outputs.n_sinks = 0;
    struct err finishing;
    if (run->logs && log_set_finish(run->logs, &finishing) < 0)
        note(NOTE_ERROR, "%s", finishing.text);
    struct log_archive_result archived = {.n_pending = run->logs != NULL};
    while (run->logs && archived.n_pending &&
           log_archive_step(run->logs, NULL, &archived, &finishing) == 0)
        continue;
    if (run->logs && log_set_close(run->logs, &finishing) < 0) {
        note(NOTE_ERROR, "%s", finishing.text);
        result = result < 0 ? result : -EIO;
    }
    run->logs = NULL;
    if (err.text[0] && result < 0)
        note(NOTE_ERROR, "%s", err.text);
    else
        print_summary(run, &watched);
    snapshot_done(&watched.last);
    return result < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- the command ---- */

static int both_processes(struct run *run)
{
    struct err err;
    static const char *const no_files[] = {NULL};
    struct parent_options options = {.services = services_table,
                                     .n_services = SERVICES_N,
                                     .files = no_files,
                                     .hook = hook_of,
                                     .say = parent_says,
                                     .crashed = packets_crashed,
                                     .with = &run->services};
    if (parent_start(&options, &run->parent, &err) < 0) {
        close_view(run);
        note(NOTE_ERROR, "%s", err.text);
        return EXIT_FAILED;
    }
    if (parent_is_packet_process(run->parent)) {
        int code = watch(run);
        parent_free(run->parent);
        return code;
    }
    int code = parent_serve(run->parent);
    view_forget(run->view); /* the other one has closed it */
    run->view = NULL;
    if (run->socket[0])
        (void)unlink(run->socket);
    /* The other process has ended the sinks; here they must not be ended a second time. */
    (void)fflush(NULL);
    _exit(code);
}

static void done(struct run *run)
{
    if (run->view)
        close_view(run);
    config_free(run->config);
    services_list_done(&run->services.list);
    config_free(run->services.config);
    filter_free(run->filter);
    notify_done(&run->notify);
}

static void print_good(const struct config *config)
{
    size_t n = config->n_sources;
    printf("the configuration is good: %zu machine%s, ", n, n == 1 ? "" : "s");
    n = config->n_listeners;
    if (n == 0)
        printf("the default listeners\n");
    else
        printf("%zu listener%s\n", n, n == 1 ? "" : "s");
}

static int run_watch(struct run *run)
{
    struct watch_settings *s = &run->settings;
    struct err err;
    run->services.records_mark = config_records_mark(); /* what comes later is seen */
    int result = watch_load(s, &run->config, &err);
    if (result < 0) {
        note(NOTE_ERROR, "%s", err.text);
        return result == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    }
    if (s->dump) {
        config_dump(run->config, stdout);
        return EXIT_DONE;
    }
    if (s->test) {
        if (run->config->filter && filter_compile(run->config->filter, &run->filter, &err) < 0) {
            note(NOTE_ERROR, "%s", err.text);
            return EXIT_USAGE;
        }
        print_good(run->config);
        return EXIT_DONE;
    }
    result = prepare(run, &err);
    if (result < 0) {
        if (run->view)
            close_view(run);
        note(NOTE_ERROR, "%s", err.text);
        return result == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
    }
    return both_processes(run);
}

static int run(const struct command *command, char **args, int n_args)
{
    struct run *run = calloc(1, sizeof *run);
    const char **rest = calloc((size_t)n_args + 1, sizeof *rest);
    struct err err;
    int result = EXIT_FAILED;
    if (!run || !rest) {
        note(NOTE_ERROR, "out of memory");
        goto out;
    }
    run->settings.format = -1;
    run->control_fd = run->web_fd = run->notify.fd = -1;
    int n_rest =
        options_parse(command->options, args, n_args, rest, watch_take, &run->settings, &err);
    if (n_rest < 0 || watch_take_filter(&run->settings, rest, (size_t)n_rest, &err) < 0) {
        result = command_misused(command, err.text);
        goto out;
    }
    const struct watch_settings *s = &run->settings;
    note_set_level(s->verbosity < 0 ? NOTE_ERROR : s->verbosity > 1 ? NOTE_DEBUG : NOTE_INFO);
    result = EXIT_DONE;
    if (s->help)
        command_help(command);
    else if (s->version)
        printf("cloudspan %s\n", VERSION_TEXT);
    else if (s->reference)
        config_reference(stdout);
    else
        result = run_watch(run);
    done(run);
out:
    free(rest);
    free(run);
    return result;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "Receives mirrored traffic, writes its logs, and notices who falls silent",
    .usage = "[OPTION]… [FILTER]",
    .options = watch_rows,
    .more = "FILTER is a pcap filter (as for tcpdump), applied to the inner packet.\n",
    .run = run,
};
