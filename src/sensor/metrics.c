/* Snapshots for Prometheus: see metrics.h. */
#include "sensor/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* What one pair of names has; a machine of its own, or a sum. */
struct series {
    const char *source; /* NULL: not of the configuration */
    const char *encapsulation;
    uint64_t n_packets, n_bytes, n_copies, n_cut, n_lost, n_dropped;
    int64_t last_packet;
    enum health_state state;
    bool is_first; /* of its source: the values of the source are here, too */
    int64_t source_last_packet;
    uint64_t source_copies, source_cut, source_lost, source_dropped;
    bool has_cloud_lost, source_has_cloud_lost;
    uint64_t n_cloud_lost, n_cloud_lost_total, source_cloud_lost, source_cloud_lost_all;
};

struct page {
    struct text text;
    const struct snapshot *snapshot;
    struct series *series;
    size_t n_series;
};

/* ---- text ---- */

static void put_label(struct text *out, const char *name, const char *value, size_t max)
{
    size_t len = strnlen(value, max);
    text_format(out, "%s=\"", name);
    for (size_t at = 0; at < len;) {
        uint32_t code;
        size_t size = text_utf8(value + at, len - at, &code);
        if (size == 0 || code < 0x20 || code == 0x7f)
            text_format(out, "\\\\x%02x", (unsigned)(uint8_t)value[at]);
        else if (code == '"' || code == '\\')
            text_format(out, "\\%c", (char)code);
        else
            text_add(out, value + at, size);
        at += size ? size : 1;
    }
    text_put(out, "\"");
}

static void put_count(struct text *out, uint64_t n)
{
    text_format(out, " %llu\n", (unsigned long long)n);
}

static void put_real(struct text *out, double v)
{
    text_format(out, " %.10g\n", isfinite(v) ? v : 0.0);
}

static void put_seconds(struct text *out, int64_t ts)
{
    if (ts < 0)
        ts = 0;
    text_format(out, " %lld.%03lld\n", (long long)(ts / 1000000000),
                (long long)(ts % 1000000000 / 1000000));
}

/* ---- families of the whole watch ---- */

static void build_info(struct page *p, const char *name)
{
    text_format(&p->text, "%s{", name);
    put_label(&p->text, "version", p->snapshot->version, sizeof p->snapshot->version);
    text_put(&p->text, "} 1\n");
}

static void started(struct page *p, const char *name)
{
    text_put(&p->text, name);
    put_seconds(&p->text, p->snapshot->started);
}

#define NUMBER(function, value, put)                                                               \
    static void function(struct page *p, const char *name)                                         \
    {                                                                                              \
        const struct snapshot *s = p->snapshot;                                                    \
        text_put(&p->text, name);                                                                  \
        put(&p->text, value);                                                                      \
    }
NUMBER(sources, s->n_machines, put_count)
NUMBER(lost, s->n_lost, put_count)
NUMBER(loss_share, s->loss_share, put_real)
NUMBER(refused, s->n_refused_packets, put_count)
NUMBER(connections_now, s->n_connections_now, put_count)
NUMBER(connections, s->n_connections, put_count)
NUMBER(hunted, s->n_hunted, put_count)
NUMBER(memory_used, s->memory_used, put_count)
NUMBER(memory_budget, s->memory_budget, put_count)
NUMBER(workers, s->n_workers, put_count)
#undef NUMBER

/* ---- families of the machines ---- */

static void put_pair(struct page *p, const char *name, const struct series *s)
{
    text_format(&p->text, "%s{", name);
    put_label(&p->text, "source", s->source ? s->source : "unknown", SNAPSHOT_NAME_MAX);
    text_put(&p->text, ",");
    put_label(&p->text, "encap", s->encapsulation,
              sizeof p->snapshot->machines->channel.encapsulation);
    text_put(&p->text, "}");
}

static void put_source(struct page *p, const char *name, const struct series *s)
{
    text_format(&p->text, "%s{", name);
    put_label(&p->text, "source", s->source ? s->source : "unknown", SNAPSHOT_NAME_MAX);
    text_put(&p->text, "}");
}

#define OF_PAIR(function, member)                                                                  \
    static void function(struct page *p, const char *name)                                         \
    {                                                                                              \
        for (size_t i = 0; i < p->n_series; i++) {                                                 \
            put_pair(p, name, &p->series[i]);                                                      \
            put_count(&p->text, p->series[i].member);                                              \
        }                                                                                          \
    }
#define OF_SOURCE(function, put, member)                                                           \
    static void function(struct page *p, const char *name)                                         \
    {                                                                                              \
        for (size_t i = 0; i < p->n_series; i++) {                                                 \
            if (!p->series[i].is_first)                                                            \
                continue;                                                                          \
            put_source(p, name, &p->series[i]);                                                    \
            put(&p->text, p->series[i].member);                                                    \
        }                                                                                          \
    }
OF_PAIR(packets, n_packets)
OF_PAIR(bytes, n_bytes)
OF_SOURCE(source_copies, put_count, source_copies)
OF_SOURCE(source_cut, put_count, source_cut)
OF_SOURCE(source_lost, put_count, source_lost)
OF_SOURCE(source_dropped, put_count, source_dropped)
OF_SOURCE(source_last, put_seconds, source_last_packet)
#undef OF_PAIR
#undef OF_SOURCE

/* Only of those whose cloud counts: 0 would be good news. */
static void put_cloud_lost(struct page *p, const char *name, bool of_all)
{
    for (size_t i = 0; i < p->n_series; i++) {
        const struct series *s = &p->series[i];
        if (!s->is_first || !s->source_has_cloud_lost)
            continue;
        put_source(p, name, s);
        put_count(&p->text, of_all ? s->source_cloud_lost_all : s->source_cloud_lost);
    }
}

static void source_cloud_lost(struct page *p, const char *name)
{
    put_cloud_lost(p, name, false);
}

static void source_cloud_lost_all(struct page *p, const char *name)
{
    put_cloud_lost(p, name, true);
}

static bool is_heard(enum health_state state)
{
    return state != HEALTH_SILENT && state != HEALTH_MUTED && state != HEALTH_UNKNOWN;
}

static void source_up(struct page *p, const char *name)
{
    for (size_t i = 0; i < p->n_series; i++) {
        const struct series *s = &p->series[i];
        if (!s->is_first || !s->source)
            continue;
        put_source(p, name, s);
        put_count(&p->text, is_heard(s->state));
    }
}

static void source_state(struct page *p, const char *name)
{
    for (size_t i = 0; i < p->n_series; i++) {
        const struct series *s = &p->series[i];
        if (!s->is_first || !s->source)
            continue;
        for (int state = 0; state < HEALTH_N_STATES; state++) {
            text_format(&p->text, "%s{", name);
            put_label(&p->text, "source", s->source, SNAPSHOT_NAME_MAX);
            text_put(&p->text, ",");
            put_label(&p->text, "state", health_state_name((enum health_state)state), 32);
            text_put(&p->text, "}");
            put_count(&p->text, s->state == (enum health_state)state);
        }
    }
}

/* ---- families of lists ---- */

#define LIST_MAX 512

static size_t at_most(size_t n)
{
    return n < LIST_MAX ? n : LIST_MAX;
}

/* Two rows of one name are one series: the first stands for all. */
static void put_drops(struct page *p, const char *name, bool is_loss)
{
    const struct snapshot_drop *d = p->snapshot->drops;
    size_t n = at_most(p->snapshot->n_drops);
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        bool seen = d[i].is_loss != is_loss;
        for (size_t j = 0; j < n; j++) {
            if (d[j].is_loss != is_loss || strcmp(d[j].stage, d[i].stage) != 0 ||
                strcmp(d[j].reason, d[i].reason) != 0)
                continue;
            seen = seen || j < i;
            sum += d[j].n;
        }
        if (seen)
            continue;
        text_format(&p->text, "%s{", name);
        put_label(&p->text, "stage", d[i].stage, 64);
        text_put(&p->text, ",");
        put_label(&p->text, "reason", d[i].reason, 64);
        text_put(&p->text, "}");
        put_count(&p->text, sum);
    }
}

static void dropped(struct page *p, const char *name)
{
    put_drops(p, name, true);
}

static void left_out(struct page *p, const char *name)
{
    put_drops(p, name, false);
}

static void put_logs(struct page *p, const char *name, bool of_lost)
{
    const struct snapshot_log *logs = p->snapshot->logs;
    size_t n = at_most(p->snapshot->n_logs);
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        bool seen = false;
        for (size_t j = 0; j < n; j++) {
            if (strcmp(logs[j].name, logs[i].name) != 0)
                continue;
            seen = seen || j < i;
            sum += of_lost ? logs[j].n_lost : logs[j].n_lines;
        }
        if (seen)
            continue;
        text_format(&p->text, "%s{", name);
        put_label(&p->text, "log", logs[i].name, 64);
        text_put(&p->text, "}");
        put_count(&p->text, sum);
    }
}

static void findings(struct page *p, const char *name)
{
    const struct snapshot *s = p->snapshot;
    const struct {
        const char *severity;
        uint64_t n;
    } rows[] = {{"critical", s->n_critical},
                {"high", s->n_high},
                {"medium", s->n_medium},
                {"low", s->n_low}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        text_format(&p->text, "%s{", name);
        put_label(&p->text, "severity", rows[i].severity, 16);
        text_put(&p->text, "}");
        put_count(&p->text, rows[i].n);
    }
}
static void log_lines(struct page *p, const char *name)
{
    put_logs(p, name, false);
}

static void log_errors(struct page *p, const char *name)
{
    put_logs(p, name, true);
}

static void input_up(struct page *p, const char *name)
{
    const struct snapshot_input *inputs = p->snapshot->inputs;
    size_t n = at_most(p->snapshot->n_inputs);
    for (size_t i = 0; i < n; i++) {
        bool up = true, seen = false;
        for (size_t j = 0; j < n; j++) {
            if (strncmp(inputs[j].name, inputs[i].name, sizeof inputs[i].name) != 0)
                continue;
            seen = seen || j < i;
            up = up && inputs[j].ok;
        }
        if (seen)
            continue;
        text_format(&p->text, "%s{", name);
        put_label(&p->text, "input", inputs[i].name, sizeof inputs[i].name);
        text_put(&p->text, "}");
        put_count(&p->text, up);
    }
}

static const struct family {
    const char *name, *type, *help;
    void (*put)(struct page *page, const char *name);
} families[] = {
    {"cloudspan_build_info", "gauge", "The version of the running watch; always 1.", build_info},
    {"cloudspan_start_time_seconds", "gauge", "When the watch was started, since the epoch.",
     started},
    {"cloudspan_workers", "gauge", "Workers that take packets.", workers},
    {"cloudspan_sources", "gauge", "Monitored machines, also those that nobody configured.",
     sources},
    {"cloudspan_packets_received_total", "counter",
     "Mirrored packets, by the machine and the encapsulation it was last heard with.", packets},
    {"cloudspan_bytes_received_total", "counter", "Mirrored bytes, likewise.", bytes},
    {"cloudspan_source_up", "gauge",
     "1 while a configured machine is heard; 0 when it is SILENT, MUTED or UNKNOWN.", source_up},
    {"cloudspan_source_state", "gauge",
     "1 for the state a configured machine is in, 0 for the others.", source_state},
    {"cloudspan_source_last_packet_timestamp_seconds", "gauge",
     "When the machine was last heard, since the epoch; 0: never.", source_last},
    {"cloudspan_source_copies_total", "counter", "Packets left out because they came twice.",
     source_copies},
    {"cloudspan_source_truncated_packets_total", "counter",
     "Packets that arrived shorter than they were sent.", source_cut},
    {"cloudspan_source_lost_packets_total", "counter",
     "Gaps in the sequence numbers of the mirror (GRE, ERSPAN).", source_lost},
    {"cloudspan_source_cloud_lost_packets_total", "counter",
     "Packets that its cloud says it could not mirror, since this watch first knew.",
     source_cloud_lost},
    {"cloudspan_source_cloud_lost_packets_ever", "gauge",
     "Packets that its cloud says it could not mirror, all that it counted.",
     source_cloud_lost_all},
    {"cloudspan_source_dropped_packets_total", "counter", "Packets that this host had to drop.",
     source_dropped},
    {"cloudspan_refused_packets_total", "counter", "Packets of senders that are not admitted.",
     refused},
    {"cloudspan_lost_packets_total", "counter", "Mirrored packets that are known to be lost.",
     lost},
    {"cloudspan_loss_ratio", "gauge", "Share of the packets of the last seconds that was lost.",
     loss_share},
    {"cloudspan_dropped_total", "counter", "Packets and lines that were lost, by place and reason.",
     dropped},
    {"cloudspan_left_out_total", "counter",
     "Packets that were left out on purpose, by place and reason.", left_out},
    {"cloudspan_input_up", "gauge", "1 while an input listens.", input_up},
    {"cloudspan_connections", "gauge", "Connections that are open now.", connections_now},
    {"cloudspan_connections_total", "counter", "Connections since the start.", connections},
    {"cloudspan_memory_used_bytes", "gauge", "Memory that connections and payload take.",
     memory_used},
    {"cloudspan_memory_budget_bytes", "gauge", "Memory that they may take.", memory_budget},
    {"cloudspan_findings", "gauge", "What hunts find now, by severity.", findings},
    {"cloudspan_hunt_lines_total", "counter", "Log lines that hunts have read.", hunted},
    {"cloudspan_log_lines_written_total", "counter", "Lines written, by log.", log_lines},
    {"cloudspan_log_write_errors_total", "counter", "Lines that could not be written, by log.",
     log_errors},
};

/* ---- sums ---- */

/* Names in order, those without one last; then by encapsulation. */
static int series_order(const void *a, const void *b)
{
    const struct series *x = a, *y = b;
    int order = !x->source - !y->source;
    if (order == 0 && x->source)
        order = strncmp(x->source, y->source, SNAPSHOT_NAME_MAX);
    return order ? order : strcmp(x->encapsulation, y->encapsulation);
}

static bool same_source(const struct series *a, const struct series *b)
{
    if (!a->source || !b->source)
        return a->source == b->source;
    return strncmp(a->source, b->source, SNAPSHOT_NAME_MAX) == 0;
}

static void add_machine(struct series *sum, const struct series *one)
{
    sum->n_packets += one->n_packets;
    sum->n_bytes += one->n_bytes;
}

static void add_to_source(struct series *first, const struct series *one)
{
    first->source_copies += one->n_copies;
    first->source_cut += one->n_cut;
    first->source_lost += one->n_lost;
    first->source_dropped += one->n_dropped;
    first->source_has_cloud_lost |= one->has_cloud_lost;
    first->source_cloud_lost += one->n_cloud_lost;
    first->source_cloud_lost_all += one->n_cloud_lost_total;
    if (one->last_packet > first->source_last_packet)
        first->source_last_packet = one->last_packet;
    if (one->state > first->state)
        first->state = one->state;
}

/* One series for each pair of names; the first of a source has the sums of the source. */
static void make_series(struct page *p)
{
    const struct snapshot *s = p->snapshot;
    size_t n_named = 0, n = 0, first = 0;
    for (size_t i = 0; i < s->n_machines; i++) {
        const struct snapshot_machine *m = &s->machines[i];
        /* A machine that somebody called "unknown" is one of them. */
        bool named =
            m->configured && n_named < METRICS_SOURCES_MAX && strcmp(m->name, "unknown") != 0;
        n_named += named;
        p->series[i] = (struct series){
            .source = named ? m->name : NULL,
            .encapsulation = m->channel.encapsulation,
            .n_packets = m->n_packets,
            .n_bytes = m->n_bytes,
            .n_copies = m->n_copies,
            .n_cut = m->n_cut,
            .n_lost = m->n_lost,
            .n_dropped = m->n_dropped,
            .has_cloud_lost = m->has_cloud_lost,
            .n_cloud_lost = m->n_cloud_lost,
            .n_cloud_lost_total = m->n_cloud_lost_total,
            .last_packet = m->last_packet,
            .state = m->state,
        };
    }
    qsort(p->series, s->n_machines, sizeof *p->series, series_order);
    for (size_t i = 0; i < s->n_machines; i++) {
        struct series one = p->series[i];
        bool new_source = n == 0 || !same_source(&p->series[first], &one);
        if (new_source || strcmp(p->series[n - 1].encapsulation, one.encapsulation) != 0) {
            if (new_source)
                first = n;
            p->series[n] = one;
            p->series[n++].is_first = new_source;
        } else {
            add_machine(&p->series[n - 1], &one);
        }
        add_to_source(&p->series[first], &one);
    }
    p->n_series = n;
}

char *metrics_text(const struct snapshot *snapshot, size_t *out_size)
{
    struct page page = {.snapshot = snapshot,
                        .series = calloc(snapshot->n_machines + 1, sizeof *page.series)};
    if (!page.series)
        return NULL;
    text_init(&page.text, METRICS_SIZE_MAX);
    make_series(&page);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const struct family *f = &families[i];
        text_format(&page.text, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
        f->put(&page, f->name);
    }
    free(page.series);
    return text_take(&page.text, out_size);
}
