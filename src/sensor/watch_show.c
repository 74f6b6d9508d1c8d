/* Snapshots of a running watch, and who asks for them: the screen, the Unix socket, Prometheus. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "log/live.h"
#include "log/retention.h"
#include "sensor/metrics.h"
#include "sensor/report.h"
#include "sensor/watch_parts.h"

#define SECOND    1000000000ll
#define MAX_DROPS 48
#define MAX_LOGS  128

/* ---- what is in it ---- */

static void add_drop(struct snapshot *s, const char *stage, const char *reason, const char *text,
                     uint64_t n, bool is_loss)
{
    if (n == 0 || s->n_drops == MAX_DROPS)
        return;
    s->drops[s->n_drops++] = (struct snapshot_drop){stage, reason, text, n, is_loss};
    if (is_loss)
        s->n_lost += n;
}

static void add_drops(const struct watch *w, struct snapshot *s)
{
    const struct pipeline_counters *c = &w->counters;
    const struct arrival_counters *a = &w->arrival;
    add_drop(s, "ring", "full", "packets were dropped by the kernel: the interface's ring was full",
             w->n_ring_dropped, true);
    add_drop(s, "socket", "full",
             "packets were dropped by the kernel: the socket's buffer was full",
             w->n_kernel_dropped - w->n_ring_dropped, true);
    add_drop(s, "queue", "full", "packets on their way to another worker were dropped",
             w->handoff.n_full, true);
    add_drop(s, "budget", "share",
             "packets of machines that send most were left out, by whole connections",
             a->n_left_out, true);
    add_drop(s, "decode", "truncated", "packets were cut inside their headers",
             c->stack.n_truncated, true);
    add_drop(s, "decode", "malformed", "packets are malformed", c->stack.n_malformed, true);
    add_drop(s, "decode", "too_deep", "packets have more layers of tunnels than are followed",
             c->stack.n_too_deep, true);
    add_drop(s, "decode", "link", "frames are of a link type that is not understood",
             c->stack.n_unknown_link, true);
    add_drop(s, "decode", "fragments", "fragmented packets never became whole",
             c->stack.n_fragments_expired, true);
    add_drop(s, "memory", "fragments", "fragments could not be kept", c->stack.n_fragments_refused,
             true);
    add_drop(s, "memory", "connections", "packets had no connection: the memory was full",
             c->flows.n_refused, true);
    add_drop(s, "memory", "evicted", "connections were logged as ended early: the memory was full",
             c->flows.n_evicted, false);
    add_drop(s, "memory", "payload", "times there was no memory to keep payload", c->n_pool_refused,
             false);
    add_drop(s, "policy", "refused",
             a->n_guessed ? "packets came from senders that are not admitted (an estimate: the "
                            "kernel refuses most of them)"
                          : "packets came from senders that are not admitted",
             a->n_refused, false);
    add_drop(s, "policy", "unknown", "packets came from more senders than can be told apart",
             a->n_unknown, false);
    add_drop(s, "policy", "loop", "packets were our own mirror, mirrored again", a->n_loops, false);
    add_drop(s, "policy", "copies", "packets were copies of others", c->n_copies, false);
    add_drop(s, "policy", "filter", "packets did not pass the filter", c->n_filtered, false);
    add_drop(s, "policy", "own", "packets were this host's own", a->n_own, false);
    add_drop(s, "policy", "not_mirror", "packets are not of the mirror", c->stack.n_not_mirror,
             false);
    add_drop(s, "policy", "canary", "packets were canaries, or answers to them", a->n_canaries,
             false);
    add_drop(s, "policy", "proof", "packets were those that prove a new mirror", a->n_proofs,
             false);
}

static void add_sinks(const struct watch *w, struct snapshot *s)
{
    for (size_t i = 0; i < w->options.n_sinks; i++) {
        struct sink_counters counters;
        sink_count(w->options.sinks[i], &counters);
        for (int r = 0; r < SINK_N_REFUSALS; r++)
            if (counters.n_refused[r] && s->n_drops < MAX_DROPS)
                s->drops[s->n_drops++] = (struct snapshot_drop){
                    w->options.sinks[i]->ops->name, sink_refusal_name((enum sink_refusal)r),
                    sink_refusal_text((enum sink_refusal)r), counters.n_refused[r], false};
    }
}

/* They never came, and are no part of what is lost of what was sent. */
static void add_cloud_lost(struct snapshot *s)
{
    uint64_t n = 0;
    for (size_t i = 0; i < s->n_machines; i++)
        n += s->machines[i].n_cloud_lost;
    if (n && s->n_drops < MAX_DROPS)
        s->drops[s->n_drops++] = (struct snapshot_drop){
            "mirror", "cloud", "packets were not mirrored, by the cloud's own count", n, true};
}

static void add_logs(const struct watch *w, struct snapshot *s)
{
    struct log_stats stats[MAX_LOGS];
    size_t n = w->options.logs ? log_set_stats(w->options.logs, stats, MAX_LOGS) : 0;
    s->logs = calloc(n + 1, sizeof *s->logs);
    uint64_t n_lost = 0;
    for (size_t i = 0; s->logs && i < n && i < MAX_LOGS; i++) {
        s->logs[s->n_logs++] =
            (struct snapshot_log){stats[i].name, stats[i].n_lines, stats[i].n_lost};
        n_lost += stats[i].n_lost;
    }
    if (n_lost && s->n_drops < MAX_DROPS)
        s->drops[s->n_drops++] =
            (struct snapshot_drop){"log", "disk", "log lines could not be written", n_lost, true};
}

static void add_hunts(struct watch *w, struct snapshot *s)
{
    struct hunter_counts counts;
    watch_show_hunts(w, s, &counts);
    if (!s->drops)
        return;
    add_drop(s, "hunt", "behind", "log lines were not looked at by hunts: they fell behind",
             counts.n_lost, false);
    add_drop(s, "hunt", "memory", "things found no room in the hunts' memory", counts.n_refused,
             false);
    add_drop(s, "hunt", "safelist", "findings are hidden by a safelist", counts.n_hidden, false);
}

/* Rates are those since the last snapshot but half a second. */
static void set_rates(struct watch *w, struct snapshot *s)
{
    int64_t ticks = clock_ticks(), span = ticks - w->last_rates;
    if (span >= SECOND / 2) {
        double seconds = (double)span / 1e9;
        uint64_t packets = s->n_packets - w->last_packets, lost = s->n_lost - w->last_lost;
        w->packets_per_second = w->last_rates ? (double)packets / seconds : 0;
        w->bits_per_second = w->last_rates ? (double)(s->n_bytes - w->last_bytes) * 8 / seconds : 0;
        w->loss_share = packets + lost ? (double)lost / (double)(packets + lost) : 0;
        w->last_rates = ticks;
        w->last_packets = s->n_packets;
        w->last_bytes = s->n_bytes;
        w->last_lost = s->n_lost;
    }
    s->packets_per_second = w->packets_per_second;
    s->bits_per_second = w->bits_per_second;
    s->loss_share = w->loss_share;
}

static uint64_t resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long total = 0, pages = 0;
    if (!f)
        return 0; /* confined: it may not be read */
    if (fscanf(f, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    fclose(f);
    return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void fill(struct watch *w, struct snapshot *s)
{
    (void)snprintf(s->version, sizeof s->version, "%s", VERSION_TEXT);
    if (gethostname(s->host, sizeof s->host - 1) < 0)
        s->host[0] = '\0';
    (void)snprintf(s->folder, sizeof s->folder, "%s", w->options.folder ? w->options.folder : "");
    s->now = clock_now();
    s->started = w->started;
    s->learning = w->config->n_sources == 0 && config_admits_all(w->config);
    s->n_connections_now = w->counters.flows.n_now;
    s->n_connections = w->counters.flows.n_added;
    s->memory_budget = w->config->limits.memory;
    s->memory_used = resident();
    s->n_workers = w->config->limits.workers;
    s->n_refused_packets = w->arrival.n_refused + w->arrival.n_unknown;
    s->drops = calloc(MAX_DROPS, sizeof *s->drops);
    if (s->drops) {
        add_drops(w, s);
        add_cloud_lost(s);
        add_sinks(w, s);
        add_logs(w, s);
    }
    set_rates(w, s);
    add_hunts(w, s);
}

static void say_kept(struct watch *w);

static void say_loops(struct watch *w)
{
    if (w->arrival.n_loops == 0 || w->n_loops_said)
        return;
    w->n_loops_said = w->arrival.n_loops;
    watch_say(
        w, NOTE_WARN,
        "loop: a mirror's own packets to this collector are mirrored again, and are left out; "
        "on the machine that mirrors, exclude them: tc filter add dev IFACE egress protocol "
        "ip prio 1 u32 match ip protocol 17 0xff match ip dport 4789 0xffff flowid 1:1");
}

void watch_show(struct watch *w)
{
    struct snapshot s = {.now = 0};
    if (w->workers) {
        workers_count(w->workers, &w->counters, &w->arrival, &w->handoff);
        w->n_kernel_dropped = inputs_dropped(w->inputs);
        w->n_ring_dropped = inputs_dropped_by(w->inputs, true);
        (void)inputs_snapshot(w->inputs, &s); /* without memory the list is empty */
    }
    (void)machines_snapshot(w->machines, &s); /* the same */
    fill(w, &s);
    say_loops(w);
    say_kept(w);
    for (size_t i = 0; i < w->options.n_sinks; i++) {
        char text[SINK_NOTE_MAX];
        if (sink_take_note(w->options.sinks[i], text))
            watch_say(w, NOTE_WARN, "%s", text);
    }
    pthread_mutex_lock(&w->lock);
    struct snapshot before = w->current;
    w->current = s;
    pthread_mutex_unlock(&w->lock);
    snapshot_done(&before);
    if (w->options.screen->show)
        w->options.screen->show(w->options.screen->with, &w->current);
}

/* ---- who asks ---- */

static char *answer(enum control_request request, size_t *out_size, void *with)
{
    struct watch *w = with;
    return request == CONTROL_SOURCES ? report_sources(&w->current, out_size)
                                      : report_snapshot(&w->current, out_size);
}

static char *metrics(size_t *out_size, void *with)
{
    struct watch *w = with;
    pthread_mutex_lock(&w->lock);
    char *text = metrics_text(&w->current, out_size);
    pthread_mutex_unlock(&w->lock);
    return text;
}

static bool is_healthy(void *with)
{
    struct watch *w = with;
    pthread_mutex_lock(&w->lock);
    bool bad = false;
    for (size_t i = 0; i < w->current.n_machines; i++)
        bad |= snapshot_is_bad(&w->current.machines[i]);
    pthread_mutex_unlock(&w->lock);
    return !bad;
}

/* ---- the keeper of files ---- */

void watch_set_retention(struct watch *w)
{
    const struct config_logs *logs = &w->config->outputs.logs;
    pthread_mutex_lock(&w->lock);
    w->retention = (struct log_retention_options){
        .utc = logs->utc, .max_age = logs->keep / SECOND, .max_share = logs->disk_share / 100.0};
    pthread_mutex_unlock(&w->lock);
}

static void retain(struct watch *w)
{
    struct log_retention_result result;
    struct err err;
    pthread_mutex_lock(&w->lock);
    struct log_retention_options options = w->retention;
    pthread_mutex_unlock(&w->lock);
    if (log_set_retain(w->options.logs, &options, &result, &err) >= 0)
        return;
    pthread_mutex_lock(&w->lock);
    (void)snprintf(w->keeper_note, sizeof w->keeper_note, "%s", err.text);
    pthread_mutex_unlock(&w->lock);
}

/* What the keeper has to say: only the control thread speaks. */
static void say_kept(struct watch *w)
{
    char text[sizeof w->keeper_note];
    pthread_mutex_lock(&w->lock);
    memcpy(text, w->keeper_note, sizeof text);
    w->keeper_note[0] = '\0';
    pthread_mutex_unlock(&w->lock);
    if (text[0])
        watch_say(w, NOTE_WARN, "%s", text);
}

static void *keep_files(void *with)
{
    struct watch *w = with;
    int64_t next_retain = 0;
    while (!__atomic_load_n(&w->keeper_stops, __ATOMIC_RELAXED)) {
        struct log_archive_result result;
        struct err err;
        int failed = log_archive_step(w->options.logs, &w->keeper_stops, &result, &err);
        bool is_full = log_set_take_full(w->options.logs);
        if (is_full || clock_ticks() >= next_retain) {
            retain(w);
            next_retain = clock_ticks() + 60 * SECOND;
        }
        if (failed < 0 || result.n_pending == 0)
            usleep(500000);
    }
    return NULL;
}

int watch_start_serving(struct watch *w, struct err *err)
{
    if (w->options.control_fd >= 0) {
        struct control_options control = {.answer = answer, .with = w};
        w->control = control_new(w->options.control_fd, &control);
        if (!w->control)
            return err_set(err, -ENOMEM, "out of memory");
    }
    if (w->options.web_fd >= 0) {
        struct web_options web = {.listen_fd = w->options.web_fd,
                                  .metrics = metrics,
                                  .is_healthy = is_healthy,
                                  .with = w,
                                  .metrics_type = METRICS_CONTENT_TYPE};
        int result = web_start(&web, &w->web, err);
        if (result < 0)
            return result;
    }
    if (w->options.logs) {
        int result = pthread_create(&w->keeper, NULL, keep_files, w);
        if (result)
            return err_set(err, -result, "cannot start a thread: %s", strerror(result));
        w->has_keeper = true;
    }
    return 0;
}

void watch_stop_serving(struct watch *w)
{
    web_stop(w->web);
    control_free(w->control);
    __atomic_store_n(&w->keeper_stops, 1, __ATOMIC_RELAXED);
    if (w->has_keeper)
        pthread_join(w->keeper, NULL);
}

void watch_stop_workers(struct watch *w)
{
    if (!w->workers)
        return;
    workers_drain(w->workers);
    if (w->machines && w->inputs) {
        w->n_ring_dropped = inputs_dropped_by(w->inputs, true);
        machines_update(w->machines, clock_now(), clock_ticks());
        watch_show(w);
    }
    workers_stop(w->workers);
    if (w->machines && w->inputs) {
        machines_add_up(w->machines, clock_now());
        watch_show(w);
    }
    workers_free(w->workers);
    w->workers = NULL;
}
