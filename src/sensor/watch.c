/* The control thread of a running watch: see watch.h. */
#include "sensor/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "log/live.h"
#include "sensor/watch_parts.h"
#include "source/canary.h"

#define SECOND       1000000000ll
#define UPDATE_EVERY (SECOND / 4)
#define SHOW_EVERY   SECOND
#define OPEN_EVERY   SECOND
#define HOST_EVERY   (10 * SECOND)
#define LOOK_EVERY   (2 * SECOND)
#define REPORT_EVERY (60 * SECOND)
#define N_FDS        (CONTROL_FDS + 4)

void watch_say(struct watch *w, enum note_level level, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (w->options.screen->say)
        w->options.screen->say(w->options.screen->with, level, text);
}

/* ---- canaries ---- */

static struct canary_options canary_options_of(const struct config *config)
{
    struct canary_options options = {.max_machine = MACHINES_MAX};
    for (size_t i = 0; i < config->canary.n_from && i < CANARY_MAX_FROM; i++)
        options.from[options.n_from++] = config->canary.from[i].addr;
    for (size_t i = 0; i < config->canary.n_ports; i++) {
        uint16_t port = (uint16_t)config->canary.ports[i];
        if (!options.port_low || port < options.port_low)
            options.port_low = port;
        if (port > options.port_high)
            options.port_high = port;
    }
    return options;
}

/* Made when it is wanted for the first time. It stays where canaries are wanted no more: the rules
 * then send none, and those that are out are still known when they come back. */
static bool want_canary(struct watch *w, const struct config *config)
{
    struct canary_options options = canary_options_of(config);
    if (config->canary.enabled && !w->canary)
        w->canary = canary_new(&options);
    return w->canary || !config->canary.enabled;
}

/* ---- rules ---- */

static void input_says(void *with, bool is_warning, const char *text)
{
    watch_say(with, is_warning ? NOTE_WARN : NOTE_INFO, "%s", text);
}

static void machines_say(void *with, const char *text)
{
    watch_say(with, NOTE_WARN, "%s", text);
}

static struct machines_options machines_options_of(struct watch *w, const struct rules *rules)
{
    return (struct machines_options){
        .rules = &rules->arrival.sources,
        .networks = rules->arrival.networks,
        .want = rules_want,
        .admit = rules_admit,
        .input_name = rules_input_name,
        .with = rules,
        .workers = &w->shared,
        .canary = w->canary,
        .say = machines_say,
        .alarm = watch_alarm,
        .alarm_with = w,
    };
}

static void expect_machines(struct watch *w)
{
    for (size_t i = 0; i < w->config->n_sources; i++) {
        struct machine_want want;
        struct addr addresses[MACHINE_WANT_ROOM];
        rules_want_configured(w->rules, i, &want, addresses, MACHINE_WANT_ROOM);
        machines_expect(w->machines, &want, clock_now());
    }
}

static struct rules *make_rules(struct watch *w, const struct config *config)
{
    struct rules_input given[RULES_MAX_INPUTS];
    size_t n = inputs_given(w->inputs, given);
    return rules_new(config, given, n, w->host.own, w->host.n_own,
                     w->canary ? canary_watch(w->canary) : NULL, w->rules);
}

/* The workers take new rules; the old ones go. False: no memory, the old ones hold. */
static bool renew_rules(struct watch *w, struct config *config)
{
    struct rules *rules = make_rules(w, config);
    if (!rules || !workers_set_rules(w->workers, &rules->arrival)) {
        rules_free(rules);
        return false;
    }
    struct machines_options options = machines_options_of(w, rules);
    machines_set_options(w->machines, &options);
    rules_free(w->rules);
    w->rules = rules;
    if (config != w->config) {
        config_free(w->config);
        w->config = config;
        watch_set_retention(w);
    }
    expect_machines(w);
    watch_renew_gate(w);
    return true;
}

/* What is listened on stays open where it stays the same. */
bool watch_take_config(struct watch *w, struct config *config)
{
    struct services_list list;
    struct err err = {"out of memory"};
    if (services_list_init(&list, config, w->host.interface, &err) < 0) {
        watch_say(w, NOTE_ERROR, "%s; the configuration before stays in force", err.text);
        config_free(config);
        return false;
    }
    if (!want_canary(w, config))
        watch_say(w, NOTE_ERROR, "out of memory: no canaries are sent");
    inputs_set(w->inputs, &list); /* copies the listeners, but not their texts */
    bool ok = renew_rules(w, config);
    if (ok) {
        struct canary_options options = canary_options_of(config);
        if (w->canary)
            canary_change(w->canary, &options);
        services_list_done(&w->list);
        w->list = list;
    } else {
        watch_say(w, NOTE_ERROR, "out of memory; the configuration before stays in force");
        inputs_set(w->inputs, &w->list);
        services_list_done(&list);
        config_free(config);
    }
    (void)inputs_open(w->inputs, clock_ticks()); /* the count is of no use here */
    return ok;
}

/* SIGHUP. */
static void reload(struct watch *w)
{
    struct config *config = NULL;
    struct hunt_settings before = w->config->hunts.common; /* of its numbers alone */
    struct err err;
    notify_reloading(w->options.notify);
    int result = services_config(w->options.parent, &config, &err);
    if (result < 0)
        watch_say(w, NOTE_ERROR, "%s; the configuration before stays in force", err.text);
    if (result < 0 || !watch_take_config(w, config)) {
        notify_ready(w->options.notify, "the configuration was not taken");
        return;
    }
    watch_say(w, NOTE_INFO, "the configuration was read again: %zu machines, %zu listeners",
              w->config->n_sources, w->list.n_inputs);
    watch_change_hunts(w, &before);
    notify_ready(w->options.notify, "receiving");
}

/* This host's addresses may change: mirrors are recognised by them. */
static void refresh_host(struct watch *w)
{
    struct services_host host;
    struct err err;
    if (services_host(w->options.parent, &host, &err) < 0)
        return; /* the parent is gone: its descriptor says so */
    if (host.n_own == w->host.n_own &&
        memcmp(host.own, w->host.own, host.n_own * sizeof host.own[0]) == 0)
        return;
    memcpy(w->host.own, host.own, sizeof w->host.own);
    w->host.n_own = host.n_own;
    (void)renew_rules(w, w->config); /* without memory, another time */
}

/* ---- the loop ---- */

static void take_signals(struct watch *w)
{
    struct signalfd_siginfo info;
    while (read(w->options.signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            reload(w);
            break;
        case SIGWINCH:
            if (w->options.screen->resized)
                w->options.screen->resized(w->options.screen->with);
            break;
        default:
            w->ends = w->interrupted = true;
            break;
        }
    }
}

static bool due(int64_t *next, int64_t every, int64_t ticks)
{
    if (ticks < *next)
        return false;
    *next = ticks + every;
    return true;
}

static void rotate(struct watch *w)
{
    struct err err;
    if (!w->options.logs || clock_now() < log_set_period_end(w->options.logs))
        return;
    workers_flush(w->workers);
    log_writer_flush(w->log);
    if (log_set_rotate(w->options.logs, &err) < 0)
        watch_say(w, NOTE_ERROR, "%s", err.text);
}

static void do_what_is_due(struct watch *w)
{
    int64_t ticks = clock_ticks();
    if (due(&w->next_update, UPDATE_EVERY, ticks)) {
        machines_update(w->machines, clock_now(), ticks);
        watch_balance(w);
    }
    if (due(&w->next_open, OPEN_EVERY, ticks)) {
        size_t n_open = inputs_open(w->inputs, ticks);
        /* A capture from standard input or a connection that ended for good: nothing can come. */
        if (n_open == 0 && !inputs_waiting(w->inputs))
            w->ends = true;
    }
    if (due(&w->next_host, HOST_EVERY, ticks))
        refresh_host(w);
    if (due(&w->next_look, LOOK_EVERY, ticks))
        watch_follow_records(w);
    if (due(&w->next_report, REPORT_EVERY, ticks))
        workers_report_open(w->workers);
    watch_log_measures(w, false);
    if (due(&w->next_show, SHOW_EVERY, ticks)) {
        rotate(w);
        watch_take_hunts(w);
        watch_show(w);
        log_writer_flush(w->log);
        notify_watchdog(w->options.notify);
    }
    if (w->options.duration && ticks - w->started_ticks >= w->options.duration)
        w->ends = true;
}

static int wait_ms(const struct watch *w)
{
    int64_t ticks = clock_ticks();
    int64_t left = w->next_update - ticks;
    return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

static void turn(struct watch *w)
{
    struct pollfd fds[N_FDS];
    size_t n = 0, n_control = 0;
    fds[n++] = (struct pollfd){.fd = w->options.signal_fd, .events = POLLIN};
    fds[n++] = (struct pollfd){.fd = parent_fd(w->options.parent)};
    fds[n++] = (struct pollfd){.fd = w->options.screen->key_fd, .events = POLLIN};
    if (w->control)
        n_control = control_fds(w->control, fds + n);
    if (poll(fds, (nfds_t)(n + n_control), wait_ms(w)) < 0 && errno != EINTR)
        watch_say(w, NOTE_ERROR, "poll: %s", strerror(errno));
    if (fds[0].revents)
        take_signals(w);
    if (fds[1].revents & (POLLHUP | POLLERR))
        w->ends = true;
    if (fds[2].revents && w->options.screen->key && w->options.screen->key(w->options.screen->with))
        w->ends = w->interrupted = true;
    if (w->control)
        control_serve(w->control, clock_ticks());
    do_what_is_due(w);
}

/* ---- begin and end ---- */

static void *output_new(void *with, unsigned worker)
{
    (void)worker;
    return watch_output_new(with);
}

static void set_book(void *with, const struct address_book *book)
{
    workers_set_book(with, book);
}

static void share_workers(struct watch *w)
{
    struct machines_workers *shared = &w->shared;
    *shared = (struct machines_workers){
        .n = workers_n(w->workers), .set_book = set_book, .with = w->workers};
    for (unsigned i = 0; i < shared->n; i++) {
        shared->sources[i] = workers_sources(w->workers, i);
        shared->learners[i] = workers_learner(w->workers, i);
        shared->witnesses[i] = workers_witness(w->workers, i);
    }
}

static int start_workers(struct watch *w, struct err *err)
{
    const struct config *config = w->config;
    struct workers_options options = {
        .n_workers = config->limits.workers,
        .pipeline =
            {
                .mirror = true,
                .memory = (size_t)config->limits.memory,
                .community_id = config->outputs.logs.community_id,
                .ja3 = config->outputs.logs.ja3,
                .ja4 = config->outputs.logs.ja4,
                .filter = w->options.filter,
                .networks = config->network_list,
            },
        .logs = w->options.logs,
        .rules = &w->rules->arrival,
        .dedup_window = config->duplicates.window,
        .keep_copies = !config->duplicates.remove,
        .max_machine = MACHINES_MAX,
        .gate = &w->gate_times,
        .with = w,
    };
    steer_key_init(&options.steer_key, w->options.steer_secret);
    if (getrandom(&options.pipeline.hash_key, sizeof options.pipeline.hash_key, 0) < 0 ||
        getrandom(&options.pipeline.uid_seed, sizeof options.pipeline.uid_seed, 0) < 0)
        return err_set(err, -errno, "no random numbers: %s", strerror(errno));
    if (w->options.n_sinks) {
        options.output_new = output_new;
        options.output_packet = watch_output_packet;
        options.output_flush = watch_output_flush;
        options.output_free = watch_output_free;
    }
    int result = workers_start(&options, &w->workers, err);
    if (result == 0)
        share_workers(w);
    return result;
}

static int start(struct watch *w, struct err *err)
{
    int result = services_list_init(&w->list, w->config, w->host.interface, err);
    if (result < 0)
        return result;
    /* Inputs need workers, workers need rules, rules need the inputs' numbers: first none. */
    struct rules_input none[1] = {{0}};
    w->rules = rules_new(w->config, none, 0, w->host.own, w->host.n_own, NULL, NULL);
    result = watch_start_hunts(w, err); /* they hear the first line */
    if (result < 0)
        return result;
    w->log = log_writer_new(w->options.logs);
    if (!w->rules || !w->log || !want_canary(w, w->config))
        return err_set(err, -ENOMEM, "out of memory");
    result = start_workers(w, err);
    if (result < 0)
        return result;
    w->inputs = inputs_new(&(struct inputs_options){.parent = w->options.parent,
                                                    .workers = w->workers,
                                                    .steer_secret = w->options.steer_secret,
                                                    .say = input_says,
                                                    .with = w});
    struct machines_options machines = machines_options_of(w, w->rules);
    w->machines = machines_new(&machines);
    if (!w->inputs || !w->machines)
        return err_set(err, -ENOMEM, "out of memory");
    inputs_set(w->inputs, &w->list);
    if (!renew_rules(w, w->config))
        return err_set(err, -ENOMEM, "out of memory");
    if (inputs_open(w->inputs, clock_ticks()) == 0 && !inputs_waiting(w->inputs)) {
        inputs_first_refusal(w->inputs, err);
        return -EIO;
    }
    return watch_start_serving(w, err);
}

/* The workers end first: what they have becomes log lines, and packets for the sinks. */
static void stop(struct watch *w)
{
    notify_stopping(w->options.notify);
    bool has_run = w->workers && w->machines;
    watch_stop_workers(w);
    if (has_run)
        watch_log_measures(w, true);
    watch_stop_hunts(w);
    if (has_run)
        watch_show(w);
    watch_stop_serving(w);
    log_writer_free(w->log);
    watch_free_hunts(w);
    inputs_free(w->inputs);
    machines_free(w->machines);
    canary_free(w->canary);
    rules_free(w->rules);
    services_list_done(&w->list);
    config_free(w->config);
}

int watch_run(const struct watch_options *options, struct watch_result *out, struct err *err)
{
    struct watch *w = calloc(1, sizeof *w);
    if (!w) {
        config_free(options->config);
        return err_set(err, -ENOMEM, "out of memory");
    }
    w->options = *options;
    w->config = options->config;
    w->host = *options->host;
    w->started = clock_now();
    w->started_ticks = clock_ticks();
    watch_start_measures(w);
    w->next_report = w->started_ticks + REPORT_EVERY;
    w->gate_times = (struct arrival_gate){INT64_MAX, INT64_MAX, GATE_ONE_IN};
    pthread_mutex_init(&w->lock, NULL);
    watch_set_retention(w);
    int result = start(w, err);
    if (result == 0) {
        notify_ready(options->notify, "receiving");
        while (!w->ends)
            turn(w);
    }
    stop(w);
    *out = (struct watch_result){.last = w->current, .interrupted = w->interrupted};
    pthread_mutex_destroy(&w->lock);
    free(w);
    return result;
}
