/* What the tests of the pipeline share: lists of frames, and the logs that a run over them leaves.
 */
#ifndef SENSOR_PIPELINE_BED_H
#define SENSOR_PIPELINE_BED_H

#include "flow/weird.h"
#include "log/record_bed.h"
#include "net/frames_bed.h"
#include "sensor/filter.h"
#include "sensor/pipeline.h"
#include "source/network.h"

#define SECOND 1000000000ll
#define MS     1000000ll

struct frame_list {
    struct frame *frames; /* each in a heap block of its exact size */
    size_t n, capacity;
    int64_t now; /* of the next one */
};

static inline void frames_open(struct frame_list *l)
{
    *l = (struct frame_list){.now = 1700000000 * SECOND};
}

static inline void frames_add(struct frame_list *l, const uint8_t *bytes, size_t size)
{
    if (l->n == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 256;
        l->frames = realloc(l->frames, l->capacity * sizeof *l->frames);
        assert_non_null(l->frames);
    }
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    memcpy(block, bytes, size);
    l->frames[l->n++] = (struct frame){.ts = l->now,
                                       .bytes = block,
                                       .size = (uint32_t)size,
                                       .wire_size = (uint32_t)size,
                                       .link = LINK_ETHERNET};
    l->now += MS;
}

static inline void frames_add_bed(struct frame_list *l, const struct frame_bed *b)
{
    frames_add(l, frame_bytes(b), frame_size(b));
}

static inline void frames_free(struct frame_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free((void *)(uintptr_t)l->frames[i].bytes);
    free(l->frames);
}

/* ---- conversations ---- */

struct talk {
    struct frame_list *list;
    struct addr end[2];
    uint16_t port[2];
    uint32_t seq[2]; /* the next */
    uint16_t ip_id[2];
};

static inline struct talk talk_begin(struct frame_list *l, struct addr orig, uint16_t orig_port,
                                     struct addr resp, uint16_t resp_port)
{
    return (struct talk){.list = l,
                         .end = {orig, resp},
                         .port = {orig_port, resp_port},
                         .seq = {orig_port * 1000u, resp_port * 5000u},
                         .ip_id = {1, 1}};
}

static inline void talk_bytes(struct talk *t, int dir, uint8_t flags, const void *data, size_t size)
{
    struct frame_bed b;
    frame_begin(&b, data, size);
    frame_tcp(&b, t->port[dir], t->port[!dir], t->seq[dir], flags & 16 ? t->seq[!dir] : 0, flags,
              8192, -1);
    b.ip_id = t->ip_id[dir]++;
    frame_ip(&b, &t->end[dir], &t->end[!dir], 6);
    frame_ethernet(&b);
    if (dir) { /* as the answer goes */
        uint8_t mac = b.bytes[b.at + 5];
        b.bytes[b.at + 5] = b.bytes[b.at + 11];
        b.bytes[b.at + 11] = mac;
    }
    frames_add_bed(t->list, &b);
    t->seq[dir] += (uint32_t)size + !!(flags & 2) + !!(flags & 1);
}

static inline void talk_segment(struct talk *t, int dir, uint8_t flags, const char *data)
{
    talk_bytes(t, dir, flags, data, strlen(data));
}

static inline void talk_hello(struct talk *t)
{
    talk_segment(t, 0, 2, "");
    talk_segment(t, 1, 18, "");
    talk_segment(t, 0, 16, "");
}

static inline void talk_bye(struct talk *t)
{
    talk_segment(t, 0, 17, "");
    talk_segment(t, 1, 17, "");
    talk_segment(t, 0, 16, "");
}

static inline void talk_udp(struct talk *t, int dir, const void *data, size_t size)
{
    struct frame_bed b;
    frame_begin(&b, data, size);
    frame_udp(&b, t->port[dir], t->port[!dir]);
    b.ip_id = t->ip_id[dir]++;
    frame_ip(&b, &t->end[dir], &t->end[!dir], 17);
    frame_ethernet(&b);
    frames_add_bed(t->list, &b);
}

/* The whole list inside VXLAN, from `outer` on. */
static inline void frames_wrap(const struct frame_list *in, struct frame_list *out, uint8_t outer,
                               uint32_t vni)
{
    struct addr src = frame_addr(192, 168, 255, outer), dst = frame_addr(192, 168, 255, 254);
    for (size_t i = 0; i < in->n; i++) {
        struct frame_bed b;
        frame_begin(&b, in->frames[i].bytes, in->frames[i].size);
        frame_vxlan(&b, &src, &dst, vni);
        out->now = in->frames[i].ts;
        frames_add_bed(out, &b);
    }
}

/* ---- runs ---- */

static const char *const run_logs[] = {"conn",  "dns",    "http", "files",
                                       "weird", "tunnel", "ssl",  "notice"};
#define RUN_N_LOGS (sizeof run_logs / sizeof *run_logs)

struct run_seen {
    char *text[RUN_N_LOGS];            /* conn first */
    struct pipeline_counters counters; /* of the first worker */
};

static inline void run_frames(const struct frame_list *l, struct pipeline_options options,
                              unsigned n_workers, unsigned burst, struct run_seen *out)
{
    struct log_bed logs;
    struct log_column extra[PIPELINE_MAX_EXTRA];
    struct network_list *networks = network_list_new();
    if (!options.networks)
        options.networks = networks;
    options.n_workers = n_workers;
    options.memory = options.memory ? options.memory : 16u << 20;
    log_bed_open(&logs, LOG_FORMAT_TSV, extra, pipeline_extra_columns(&options, extra));
    if (n_workers > 1)
        options.held = weird_held_new();
    for (options.worker = 0; options.worker < n_workers; options.worker++) {
        struct pipeline *p = pipeline_new(&options, logs.writer);
        assert_non_null(p);
        for (size_t i = 0; i < l->n; i += burst)
            pipeline_frames(p, l->frames + i, (unsigned)(l->n - i < burst ? l->n - i : burst));
        pipeline_finish(p);
        if (options.worker == 0)
            pipeline_count(p, &out->counters);
        pipeline_free(p);
    }
    if (options.held)
        weird_held_write(options.held, logs.writer);
    weird_held_free(options.held);
    network_list_free(networks);
    log_bed_close(&logs);
    for (size_t i = 0; i < RUN_N_LOGS; i++)
        out->text[i] = log_bed_take(&logs, run_logs[i]);
    log_bed_remove(&logs);
}

static inline void run_free(struct run_seen *seen)
{
    for (size_t i = 0; i < RUN_N_LOGS; i++)
        free(seen->text[i]);
}

static inline int run_by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The rows in the order of their text, up to and without the column `upto` (NULL: all). */
static inline char *run_sorted(const char *text, const char *upto)
{
    size_t n = log_rows(text), size = 1;
    char **rows = calloc(n + 1, sizeof *rows);
    size_t n_columns = SIZE_MAX;
    const char *fields = strstr(text, "#fields\t");
    for (size_t i = 0; upto && fields; i++) {
        char *name = log_field(fields + 8, i);
        bool found = strcmp(name, upto) == 0, end = strcmp(name, "(no such field)") == 0;
        free(name);
        if (found)
            n_columns = i;
        if (found || end)
            break;
    }
    size_t i = 0;
    for (const char *at = text; at && *at; at = log_next_line(at)) {
        if (*at == '#')
            continue;
        size_t len = 0;
        for (size_t k = 0; k < n_columns && at[len] != '\n'; k++) {
            len += k > 0;
            len += strcspn(at + len, "\t\n");
            if (at[len] == '\n')
                break;
        }
        rows[i++] = strndup(at, len);
        size += len + 1;
    }
    qsort(rows, n, sizeof *rows, run_by_text);
    char *out = calloc(1, size), *end = out;
    for (i = 0; i < n; i++) {
        size_t len = strlen(rows[i]);
        memcpy(end, rows[i], len);
        end += len;
        *end++ = '\n';
        free(rows[i]);
    }
    free(rows);
    return out;
}

static inline void run_check_same(const struct run_seen *a, const struct run_seen *b,
                                  const char *upto)
{
    for (size_t i = 0; i < RUN_N_LOGS; i++) {
        char *one = run_sorted(a->text[i], upto), *two = run_sorted(b->text[i], upto);
        if (strcmp(one, two) != 0)
            fail_msg("%s.log differs:\n%s\n%s", run_logs[i], one, two);
        free(one);
        free(two);
    }
}

#endif
