/* weird.log: see weird.h. What a connection or a host was once logged for is not logged again for
 * ten minutes; some names are logged once for each originator, some never (Zeek's defaults). */
#include "flow/weird.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "flow/more.h"
#include "flow/notice.h"

#define SECOND       1000000000ll
#define N_REMEMBERED 16384 /* power of two */

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS, {"name", LOG_STRING}, {"addl", LOG_STRING},
    {"notice", LOG_BOOL},   {"peer", LOG_STRING}, {"source", LOG_STRING},
};

const struct log_schema weird_schema = {
    .name = "weird", LOG_COLUMNS(columns), .of_connection = true};

enum action {
    ACTION_LOG,
    ACTION_IGNORE,
    ACTION_PER_CONNECTION,
    ACTION_PER_ORIGINATOR,
    ACTION_NOTICE_PER_ORIGINATOR
};

/* Names that are not simply logged. */
static const struct {
    const char *name;
    enum action action;
} actions[] = {
    {"unsolicited_SYN_response", ACTION_IGNORE},
    {"FIN_after_reset", ACTION_IGNORE},
    {"spontaneous_FIN", ACTION_IGNORE},
    {"spontaneous_RST", ACTION_IGNORE},
    {"bad_ICMP_checksum", ACTION_PER_ORIGINATOR},
    {"bad_RPC", ACTION_PER_ORIGINATOR},
    {"bad_TCP_checksum", ACTION_PER_ORIGINATOR},
    {"bad_UDP_checksum", ACTION_PER_ORIGINATOR},
    {"bad_IP_checksum", ACTION_PER_ORIGINATOR},
    {"connection_originator_SYN_ack", ACTION_PER_ORIGINATOR},
    {"DNS_label_forward_compress_offset", ACTION_PER_ORIGINATOR},
    {"DNS_label_len_gt_name_len", ACTION_PER_ORIGINATOR},
    {"DNS_label_len_gt_pkt", ACTION_PER_ORIGINATOR},
    {"DNS_label_too_long", ACTION_PER_ORIGINATOR},
    {"excess_RPC", ACTION_PER_ORIGINATOR},
    {"FIN_storm", ACTION_NOTICE_PER_ORIGINATOR},
    {"originator_RPC_reply", ACTION_PER_ORIGINATOR},
    {"partial_RPC", ACTION_PER_ORIGINATOR},
    {"responder_RPC_call", ACTION_PER_ORIGINATOR},
    {"simultaneous_open", ACTION_PER_CONNECTION},
    {"successful_RPC_reply_to_invalid_request", ACTION_NOTICE_PER_ORIGINATOR},
    {"SYN_after_partial", ACTION_NOTICE_PER_ORIGINATOR},
    {"SYN_with_data", ACTION_PER_ORIGINATOR},
    {"UDP_datagram_length_mismatch", ACTION_PER_ORIGINATOR},
    {"excessively_small_fragment", ACTION_PER_ORIGINATOR},
    {"fragment_inconsistency", ACTION_PER_ORIGINATOR},
    {"fragment_overlap", ACTION_PER_ORIGINATOR},
    {"fragment_size_inconsistency", ACTION_PER_ORIGINATOR},
};

static enum action action_of(const char *name)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i].name, name) == 0)
            return actions[i].action;
    return ACTION_LOG;
}

/* A cache: when two things fall on one place, the older is forgotten, and may be logged again. */
struct weird_memory {
    struct {
        uint64_t hash;
        int64_t until;
    } said[N_REMEMBERED];
};

struct weird_memory *weird_memory_new(void)
{
    return calloc(1, sizeof(struct weird_memory));
}

void weird_memory_free(struct weird_memory *memory)
{
    free(memory);
}

/* True the first time; false while it is remembered. */
static bool remember(struct flow_context *context, const char *name, const void *what, size_t size,
                     int64_t how_long)
{
    if (!context->weirds)
        return true;
    uint64_t hash = XXH3_64bits_withSeed(what, size, XXH3_64bits(name, strlen(name)));
    size_t i = hash & (N_REMEMBERED - 1);
    if (context->weirds->said[i].hash == hash && context->clock < context->weirds->said[i].until)
        return false;
    context->weirds->said[i].hash = hash;
    context->weirds->said[i].until = context->clock + how_long;
    return true;
}

/* ---- rows that are held back ---- */

#define N_HELD 16384 /* power of two; when it is full, rows are written at once */

struct held_row {
    uint64_t key;
    int64_t ts;
    char *line; /* NULL: free */
    uint32_t len;
};

struct weird_held {
    pthread_mutex_t lock;
    uint32_t n;
    struct held_row rows[N_HELD];
};

struct weird_held *weird_held_new(void)
{
    struct weird_held *held = calloc(1, sizeof *held);
    if (held)
        pthread_mutex_init(&held->lock, NULL);
    return held;
}

static int by_time(const void *a, const void *b)
{
    const struct held_row *x = a, *y = b;
    return x->ts != y->ts    ? (x->ts > y->ts ? 1 : -1)
           : x->key > y->key ? 1
           : x->key < y->key ? -1
                             : 0;
}

void weird_held_write(struct weird_held *held, struct log_writer *writer)
{
    qsort(held->rows, N_HELD, sizeof held->rows[0], by_time);
    for (size_t i = 0; i < N_HELD; i++)
        if (held->rows[i].line)
            log_line(writer, &weird_schema, str_make(held->rows[i].line, held->rows[i].len));
}

void weird_held_free(struct weird_held *held)
{
    if (!held)
        return;
    for (size_t i = 0; i < N_HELD; i++)
        free(held->rows[i].line);
    pthread_mutex_destroy(&held->lock);
    free(held);
}

/* Takes the row over, or throws it away where an earlier one is there. False: there is no room. */
static bool hold(struct weird_held *held, const char *name, const struct addr *host, int64_t ts,
                 struct rec *rec)
{
    uint64_t key = XXH3_64bits_withSeed(host, 16, XXH3_64bits(name, strlen(name)));
    bool taken = false;
    pthread_mutex_lock(&held->lock);
    size_t i = key & (N_HELD - 1);
    while (held->rows[i].line && held->rows[i].key != key)
        i = (i + 1) & (N_HELD - 1);
    struct held_row *row = &held->rows[i];
    if (row->line || held->n < N_HELD / 2) {
        struct str line = log_cut(rec);
        taken = true;
        char *copy = !row->line || ts < row->ts ? malloc(line.len) : NULL;
        if (copy) {
            held->n += !row->line;
            free(row->line);
            memcpy(copy, line.at, line.len);
            *row = (struct held_row){.key = key, .ts = ts, .line = copy, .len = line.len};
        }
    }
    pthread_mutex_unlock(&held->lock);
    return taken;
}

static void put_rest(struct rec *rec, const char *name, const char *suffix, struct str addl,
                     enum action action, const char *source)
{
    char text[120];
    int len = snprintf(text, sizeof text, "%s%s", name, suffix);
    rec_str(rec, str_make(text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1));
    rec_str(rec, addl.len ? addl : (struct str){0});
    rec_bool(rec, action == ACTION_NOTICE_PER_ORIGINATOR);
    rec_text(rec, "zeek");
    rec_text(rec, source);
}

void weird_flow(struct flow_context *context, struct flow *f, const char *name, struct str addl,
                const char *source)
{
    f->did_weird = 1;
    enum action action = action_of(name);
    if (action == ACTION_IGNORE || f->shadow)
        return;
    if (!remember(context, name, f, offsetof(struct flow, hash), 600 * SECOND))
        return;
    bool per_host = action == ACTION_PER_ORIGINATOR || action == ACTION_NOTICE_PER_ORIGINATOR;
    if (per_host && !remember(context, name, flow_addr(f, FLOW_ORIG), 16, 86400 * SECOND))
        return;
    struct rec *rec = flow_log_begin(context, f, &weird_schema, flow_context_time(context));
    put_rest(rec, name, "", addl, action, source);
    flow_log_extra(context, f, rec);
    if (!per_host || !context->held ||
        !hold(context->held, name, flow_addr(f, FLOW_ORIG), flow_context_time(context), rec))
        log_end(rec);
    if (action == ACTION_NOTICE_PER_ORIGINATOR)
        notice(context, f, "Weird::Activity", name, addl);
}

void weird_packet(struct flow_context *context, const struct packet_weird *w)
{
    enum action action = action_of(w->name);
    if (action == ACTION_IGNORE)
        return;
    uint8_t hosts[33] = {w->in_tunnel};
    if (w->has_addr) {
        memcpy(hosts + 1, w->src.b, 16);
        memcpy(hosts + 17, w->dst.b, 16);
    }
    bool by_host = action == ACTION_PER_ORIGINATOR || action == ACTION_NOTICE_PER_ORIGINATOR;
    if (!remember(context, w->name, hosts, by_host ? 17 : sizeof hosts, 600 * SECOND))
        return;
    struct rec *rec = log_begin(context->log, &weird_schema);
    rec_time(rec, flow_context_time(context));
    rec_unset(rec);
    for (int i = 0; i < 2; i++) {
        if (w->has_addr) {
            rec_addr(rec, i ? &w->dst : &w->src);
            rec_port(rec, 0);
        } else {
            rec_unset(rec);
            rec_unset(rec);
        }
    }
    put_rest(rec, w->name, w->in_tunnel ? "_in_tunnel" : "", str_c(w->addl), action, w->source);
    if (context->extra)
        context->extra(context, NULL, rec);
    log_end(rec);
}
