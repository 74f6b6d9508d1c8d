/* Snapshots as JSON, and back: see report.h. One table for each kind of object says its fields;
 * both ways walk it. */
#include "sensor/report.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum kind {
    KIND_TEXT, /* char[size] */
    KIND_WORD, /* const char * */
    KIND_BOOL,
    KIND_U64,
    KIND_U32,
    KIND_U16,
    KIND_TIME,
    KIND_REAL,
    KIND_STATE,
    KIND_ID,        /* struct snapshot_channel: has_id and id */
    KIND_DIRECTION, /* uint8_t */
    KIND_ADDR
};

struct field {
    const char *name; /* NULL ends a table */
    enum kind kind;
    size_t offset, size;
};

#define FIELD(name, kind, type, member)                                                            \
    {                                                                                              \
        name, kind, offsetof(struct type, member), sizeof(((struct type *)0)->member)              \
    }
#define CHANNEL(type)                                                                              \
    FIELD("encapsulation", KIND_TEXT, type, channel.encapsulation),                                \
        FIELD("id", KIND_ID, type, channel),                                                       \
        FIELD("direction", KIND_DIRECTION, type, channel.direction),                               \
        FIELD("outer", KIND_ADDR, type, channel.outer),                                            \
        FIELD("interface", KIND_TEXT, type, channel.interface)

static const struct field machine_fields[] = {
    FIELD("source", KIND_TEXT, snapshot_machine, name),
    FIELD("network", KIND_TEXT, snapshot_machine, network),
    FIELD("configured", KIND_BOOL, snapshot_machine, configured),
    CHANNEL(snapshot_machine),
    FIELD("channels", KIND_U16, snapshot_machine, n_channels),
    FIELD("state", KIND_STATE, snapshot_machine, state),
    FIELD("reason", KIND_TEXT, snapshot_machine, reason),
    FIELD("since", KIND_TIME, snapshot_machine, since),
    FIELD("first_packet", KIND_TIME, snapshot_machine, first_packet),
    FIELD("last_packet", KIND_TIME, snapshot_machine, last_packet),
    FIELD("packets", KIND_U64, snapshot_machine, n_packets),
    FIELD("bytes", KIND_U64, snapshot_machine, n_bytes),
    FIELD("in_bytes", KIND_U64, snapshot_machine, n_in_bytes),
    FIELD("out_bytes", KIND_U64, snapshot_machine, n_out_bytes),
    FIELD("copies", KIND_U64, snapshot_machine, n_copies),
    FIELD("cut", KIND_U64, snapshot_machine, n_cut),
    FIELD("cut_size", KIND_U32, snapshot_machine, cut_size),
    FIELD("lost", KIND_U64, snapshot_machine, n_lost),
    FIELD("cloud_counts", KIND_BOOL, snapshot_machine, has_cloud_lost),
    FIELD("cloud_lost", KIND_U64, snapshot_machine, n_cloud_lost),
    FIELD("cloud_lost_total", KIND_U64, snapshot_machine, n_cloud_lost_total),
    FIELD("reordered", KIND_U64, snapshot_machine, n_reordered),
    FIELD("dropped", KIND_U64, snapshot_machine, n_dropped),
    FIELD("packets_per_second", KIND_REAL, snapshot_machine, packets_per_second),
    FIELD("in_bits_per_second", KIND_REAL, snapshot_machine, in_bits_per_second),
    FIELD("out_bits_per_second", KIND_REAL, snapshot_machine, out_bits_per_second),
    FIELD("copies_share", KIND_REAL, snapshot_machine, copies_share),
    FIELD("usual_bytes_per_second", KIND_REAL, snapshot_machine, usual_bytes_per_second),
    FIELD("canaries_sent", KIND_U32, snapshot_machine, n_canaries_sent),
    FIELD("canaries_back", KIND_U32, snapshot_machine, n_canaries_back),
    {0}};

static const struct field refused_fields[] = {
    CHANNEL(snapshot_refused),
    FIELD("packets", KIND_U64, snapshot_refused, n_packets),
    FIELD("estimated", KIND_BOOL, snapshot_refused, is_estimate),
    FIELD("last_packet", KIND_TIME, snapshot_refused, last_packet),
    FIELD("admit", KIND_TEXT, snapshot_refused, admit),
    {0}};

static const struct field drop_fields[] = {FIELD("stage", KIND_WORD, snapshot_drop, stage),
                                           FIELD("reason", KIND_WORD, snapshot_drop, reason),
                                           FIELD("text", KIND_WORD, snapshot_drop, text),
                                           FIELD("n", KIND_U64, snapshot_drop, n),
                                           FIELD("is_loss", KIND_BOOL, snapshot_drop, is_loss),
                                           {0}};

static const struct field input_fields[] = {FIELD("name", KIND_TEXT, snapshot_input, name),
                                            FIELD("state", KIND_TEXT, snapshot_input, state),
                                            FIELD("ok", KIND_BOOL, snapshot_input, ok),
                                            FIELD("packets", KIND_U64, snapshot_input, n_packets),
                                            FIELD("bytes", KIND_U64, snapshot_input, n_bytes),
                                            FIELD("dropped", KIND_U64, snapshot_input, n_dropped),
                                            {0}};

static const struct field alarm_fields[] = {FIELD("ts", KIND_TIME, snapshot_alarm, ts),
                                            FIELD("source", KIND_TEXT, snapshot_alarm, machine),
                                            FIELD("state", KIND_STATE, snapshot_alarm, state),
                                            FIELD("text", KIND_TEXT, snapshot_alarm, text),
                                            {0}};

static const struct field finding_fields[] = {
    FIELD("id", KIND_TEXT, snapshot_finding, id),
    FIELD("hunt", KIND_TEXT, snapshot_finding, hunt),
    FIELD("severity", KIND_TEXT, snapshot_finding, severity),
    FIELD("score", KIND_REAL, snapshot_finding, score),
    FIELD("source", KIND_TEXT, snapshot_finding, source),
    FIELD("destination", KIND_TEXT, snapshot_finding, destination),
    FIELD("title", KIND_TEXT, snapshot_finding, title),
    FIELD("first", KIND_TIME, snapshot_finding, first),
    FIELD("last", KIND_TIME, snapshot_finding, last),
    FIELD("n", KIND_U64, snapshot_finding, n),
    {0}};

static const struct field log_fields[] = {FIELD("name", KIND_WORD, snapshot_log, name),
                                          FIELD("lines", KIND_U64, snapshot_log, n_lines),
                                          FIELD("lost", KIND_U64, snapshot_log, n_lost),
                                          {0}};

static const struct field snapshot_fields[] = {
    FIELD("version", KIND_TEXT, snapshot, version),
    FIELD("host", KIND_TEXT, snapshot, host),
    FIELD("folder", KIND_TEXT, snapshot, folder),
    FIELD("now", KIND_TIME, snapshot, now),
    FIELD("started", KIND_TIME, snapshot, started),
    FIELD("learning", KIND_BOOL, snapshot, learning),
    FIELD("packets", KIND_U64, snapshot, n_packets),
    FIELD("bytes", KIND_U64, snapshot, n_bytes),
    FIELD("lost", KIND_U64, snapshot, n_lost),
    FIELD("packets_per_second", KIND_REAL, snapshot, packets_per_second),
    FIELD("bits_per_second", KIND_REAL, snapshot, bits_per_second),
    FIELD("loss_share", KIND_REAL, snapshot, loss_share),
    FIELD("connections_now", KIND_U64, snapshot, n_connections_now),
    FIELD("connections", KIND_U64, snapshot, n_connections),
    FIELD("memory_used", KIND_U64, snapshot, memory_used),
    FIELD("memory_budget", KIND_U64, snapshot, memory_budget),
    FIELD("workers", KIND_U64, snapshot, n_workers),
    FIELD("refused_packets", KIND_U64, snapshot, n_refused_packets),
    FIELD("findings_critical", KIND_U64, snapshot, n_critical),
    FIELD("findings_high", KIND_U64, snapshot, n_high),
    FIELD("findings_medium", KIND_U64, snapshot, n_medium),
    FIELD("findings_low", KIND_U64, snapshot, n_low),
    FIELD("hunted_lines", KIND_U64, snapshot, n_hunted),
    {0}};

/* The snapshot's lists: where their pointer and number are. `n_max`: more are read from nobody. */
static const struct list {
    const char *name;
    const struct field *fields;
    size_t at, n, size, n_max;
} lists[] = {
#define LIST(name, fields, member, count, max)                                                     \
    {                                                                                              \
        name, fields, offsetof(struct snapshot, member), offsetof(struct snapshot, count),         \
            sizeof *((struct snapshot *)0)->member, max                                            \
    }
    LIST("sources", machine_fields, machines, n_machines, 65536),
    LIST("refused", refused_fields, refused, n_refused, 4096),
    LIST("drops", drop_fields, drops, n_drops, 512),
    LIST("inputs", input_fields, inputs, n_inputs, 1024),
    LIST("alarms", alarm_fields, alarms, n_alarms, 4096),
    LIST("findings", finding_fields, findings, n_findings, 4096),
    LIST("logs", log_fields, logs, n_logs, 256),
#undef LIST
};
#define N_LISTS (sizeof lists / sizeof lists[0])

static const char *const direction_names[] = {"both", "in", "out"};

/* ---- writing ---- */

static void put_number(struct text *out, uint64_t value)
{
    text_format(out, "%llu", (unsigned long long)(value > INT64_MAX ? INT64_MAX : value));
}

static void put_time(struct text *out, int64_t ts)
{
    if (ts <= 0)
        text_put(out, "null");
    else
        text_format(out, "%lld.%06lld", (long long)(ts / 1000000000),
                    (long long)(ts % 1000000000 / 1000));
}

static void put_channel_id(struct text *out, const struct snapshot_channel *channel)
{
    if (channel->has_id)
        text_format(out, "%u", channel->id);
    else
        text_put(out, "null");
}

static void put_addr(struct text *out, const struct addr *addr)
{
    static const struct addr none;
    char text[ADDR_TEXT_MAX];
    size_t len = addr_eq(addr, &none) ? 0 : addr_format(addr, text);
    text_put(out, "\"");
    text_add(out, text, len);
    text_put(out, "\"");
}

static void put_value(struct text *out, const struct field *field, const void *object)
{
    const char *at = (const char *)object + field->offset;
    uint64_t u64;
    uint32_t u32;
    uint16_t u16;
    int64_t ts;
    double real;
    const char *word;
    switch (field->kind) {
    case KIND_TEXT:
        text_json(out, at, field->size);
        return;
    case KIND_WORD:
        memcpy(&word, at, sizeof word);
        text_json(out, word ? word : "", SIZE_MAX / 2);
        return;
    case KIND_BOOL:
        text_put(out, *(const bool *)at ? "true" : "false");
        return;
    case KIND_U64:
        memcpy(&u64, at, sizeof u64);
        put_number(out, u64);
        return;
    case KIND_U32:
        memcpy(&u32, at, sizeof u32);
        put_number(out, u32);
        return;
    case KIND_U16:
        memcpy(&u16, at, sizeof u16);
        put_number(out, u16);
        return;
    case KIND_TIME:
        memcpy(&ts, at, sizeof ts);
        put_time(out, ts);
        return;
    case KIND_REAL:
        memcpy(&real, at, sizeof real);
        text_format(out, "%.10g", isfinite(real) ? real : 0.0);
        return;
    case KIND_STATE:
        text_json(out, health_state_name(*(const enum health_state *)(const void *)at), 32);
        return;
    case KIND_ID:
        put_channel_id(out, (const struct snapshot_channel *)(const void *)at);
        return;
    case KIND_DIRECTION:
        text_format(out, "\"%s\"", direction_names[*at == 1 || *at == 2 ? (int)*at : 0]);
        return;
    case KIND_ADDR:
        put_addr(out, (const struct addr *)(const void *)at);
        return;
    }
}

/* Without the closing brace. */
static void put_fields(struct text *out, const struct field *fields, const void *object)
{
    for (const struct field *f = fields; f->name; f++) {
        text_format(out, "%s\"%s\":", f == fields ? "{" : ",", f->name);
        put_value(out, f, object);
    }
}

static void put_object(struct text *out, const struct field *fields, const void *object)
{
    put_fields(out, fields, object);
    if (fields == machine_fields) {
        const struct snapshot_machine *machine = object;
        text_format(out, ",\"bad\":%s", snapshot_is_bad(machine) ? "true" : "false");
    }
    if (fields == machine_fields || fields == refused_fields)
        text_format(out, ",\"refused\":%s", fields == refused_fields ? "true" : "false");
    text_put(out, "}");
}

static const char *list_at(const struct list *list, const struct snapshot *s, size_t *out_n)
{
    const char *at;
    memcpy(&at, (const char *)s + list->at, sizeof at);
    memcpy(out_n, (const char *)s + list->n, sizeof *out_n);
    return at;
}

char *report_snapshot(const struct snapshot *s, size_t *out_size)
{
    struct text out;
    text_init(&out, REPORT_SIZE_MAX);
    put_fields(&out, snapshot_fields, s);
    text_put(&out, ",\"cloudspan\":\"snapshot\"");
    for (size_t i = 0; i < N_LISTS; i++) {
        size_t n;
        const char *at = list_at(&lists[i], s, &n);
        text_format(&out, ",\"%s\":[", lists[i].name);
        for (size_t j = 0; j < n; j++) {
            if (j)
                text_put(&out, ",");
            put_object(&out, lists[i].fields, at + j * lists[i].size);
        }
        text_put(&out, "]");
    }
    text_put(&out, "}\n");
    return text_take(&out, out_size);
}

char *report_sources(const struct snapshot *s, size_t *out_size)
{
    struct text out;
    text_init(&out, REPORT_SIZE_MAX);
    for (size_t i = 0; i < s->n_machines; i++) {
        put_object(&out, machine_fields, &s->machines[i]);
        text_put(&out, "\n");
    }
    for (size_t i = 0; i < s->n_refused; i++) {
        put_object(&out, refused_fields, &s->refused[i]);
        text_put(&out, "\n");
    }
    return text_take(&out, out_size);
}

/* ---- reading ---- */

#define WORD_SIZE 128

/* Where the next constant text goes. */
struct words {
    char *at;
    size_t left;
};

/* Cut at the beginning of a character, ended by a NUL. */
static void copy_text(const json_t *value, char *out, size_t size)
{
    const char *text = json_string_value(value);
    size_t len = text ? strlen(text) : 0;
    if (len >= size) {
        len = size - 1;
        while (len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80)
            len--;
    }
    if (len)
        memcpy(out, text, len);
    out[len] = '\0';
}

static const char *keep_word(const json_t *value, struct words *words)
{
    assert(words->left >= WORD_SIZE);
    char *at = words->at;
    copy_text(value, at, WORD_SIZE);
    words->at += WORD_SIZE;
    words->left -= WORD_SIZE;
    return at;
}

static uint64_t number_of(const json_t *value, uint64_t max)
{
    json_int_t n = json_integer_value(value);
    return n < 0 ? 0 : (uint64_t)n > max ? max : (uint64_t)n;
}

static int64_t time_of(const json_t *value)
{
    double seconds = json_number_value(value);
    if (!(seconds > 0) || seconds > 9e9)
        return 0;
    return (int64_t)llround(seconds * 1e6) * 1000;
}

static uint8_t direction_of(const json_t *value)
{
    const char *text = json_string_value(value);
    for (uint8_t i = 1; text && i < 3; i++)
        if (strcmp(text, direction_names[i]) == 0)
            return i;
    return 0;
}

static enum health_state state_of(const json_t *value, bool *known)
{
    const char *text = json_string_value(value);
    for (int i = 0; text && i < HEALTH_N_STATES; i++)
        if (strcmp(text, health_state_name((enum health_state)i)) == 0)
            return (enum health_state)i;
    *known = false;
    return HEALTH_UNKNOWN;
}

static void take_id(const json_t *value, struct snapshot_channel *channel)
{
    channel->has_id = json_is_integer(value);
    channel->id = (uint32_t)number_of(value, UINT32_MAX);
}

static void take_addr(const json_t *value, struct addr *out)
{
    const char *text = json_string_value(value);
    if (!text || !addr_parse(text, out))
        memset(out, 0, sizeof *out);
}

static void take_value(const struct field *field, const json_t *value, void *object,
                       struct words *words)
{
    char *at = (char *)object + field->offset;
    void *place = at;
    uint64_t u64;
    int64_t ts;
    double real;
    const char *word;
    bool known = true;
    switch (field->kind) {
    case KIND_TEXT:
        copy_text(value, at, field->size);
        return;
    case KIND_WORD:
        word = keep_word(value, words);
        memcpy(at, &word, sizeof word);
        return;
    case KIND_BOOL:
        *(bool *)place = json_is_true(value);
        return;
    case KIND_U64:
        u64 = number_of(value, INT64_MAX);
        memcpy(at, &u64, sizeof u64);
        return;
    case KIND_U32:
        *(uint32_t *)place = (uint32_t)number_of(value, UINT32_MAX);
        return;
    case KIND_U16:
        *(uint16_t *)place = (uint16_t)number_of(value, UINT16_MAX);
        return;
    case KIND_TIME:
        ts = time_of(value);
        memcpy(at, &ts, sizeof ts);
        return;
    case KIND_REAL:
        real = json_number_value(value);
        real = isfinite(real) && real > 0 ? real : 0;
        memcpy(at, &real, sizeof real);
        return;
    case KIND_STATE:
        *(enum health_state *)place = state_of(value, &known);
        return;
    case KIND_ID:
        take_id(value, place);
        return;
    case KIND_DIRECTION:
        *(uint8_t *)place = direction_of(value);
        return;
    case KIND_ADDR:
        take_addr(value, place);
        return;
    }
}

static void take_fields(const struct field *fields, const json_t *from, void *object,
                        struct words *words)
{
    for (const struct field *f = fields; f->name; f++)
        take_value(f, json_object_get(from, f->name), object, words);
}

/* Whether it is bad; and a state that this version has no word for is not lost. */
static void take_verdict(const json_t *from, struct snapshot_machine *machine)
{
    const json_t *state = json_object_get(from, "state"), *reason = json_object_get(from, "reason");
    bool known = true;
    (void)state_of(state, &known);
    machine->is_bad = json_is_true(json_object_get(from, "bad"));
    if (known || !json_is_string(state))
        return;
    struct text text;
    text_init(&text, 4096);
    text_format(&text, "%.40s: %.400s", json_string_value(state),
                json_is_string(reason) ? json_string_value(reason) : "");
    if (!text.failed && text.at) {
        size_t len = text.size < HEALTH_REASON_MAX ? text.size : HEALTH_REASON_MAX - 1;
        memcpy(machine->reason, text.at, len);
        machine->reason[len] = '\0';
    }
    text_done(&text);
}

static int take_list(const struct list *list, const json_t *root, struct snapshot *out,
                     struct words *words, struct err *err)
{
    const json_t *from = json_object_get(root, list->name);
    size_t n = json_array_size(from);
    if (n > list->n_max)
        return err_set(err, -EPROTO, "the answer lists %zu %s: that can not be", n, list->name);
    char *at = calloc(n ? n : 1, list->size);
    if (!at)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy((char *)out + list->at, &at, sizeof at);
    memcpy((char *)out + list->n, &n, sizeof n);
    for (size_t i = 0; i < n; i++) {
        const json_t *object = json_array_get(from, i);
        take_fields(list->fields, object, at + i * list->size, words);
        if (list->fields == machine_fields)
            take_verdict(object, &out->machines[i]);
    }
    return 0;
}

static int take_snapshot(const json_t *root, struct snapshot *out, struct err *err)
{
    const char *what = json_string_value(json_object_get(root, "cloudspan"));
    if (!what || strcmp(what, "snapshot") != 0)
        return err_set(err, -EPROTO, "the answer is JSON, but no snapshot of a cloudspan watch");
    size_t n_words = 0;
    for (size_t i = 0; i < N_LISTS; i++)
        for (const struct field *f = lists[i].fields; f->name; f++)
            if (f->kind == KIND_WORD &&
                json_array_size(json_object_get(root, lists[i].name)) <= lists[i].n_max)
                n_words += json_array_size(json_object_get(root, lists[i].name));
    out->words = calloc(n_words + 1, WORD_SIZE);
    if (!out->words)
        return err_set(err, -ENOMEM, "out of memory");
    out->words_size = (n_words + 1) * WORD_SIZE;
    struct words words = {out->words, out->words_size};
    take_fields(snapshot_fields, root, out, &words);
    int failed = 0;
    for (size_t i = 0; i < N_LISTS && failed == 0; i++)
        failed = take_list(&lists[i], root, out, &words, err);
    return failed;
}

int report_read(const char *bytes, size_t size, struct snapshot *out, struct err *err)
{
    if (size > REPORT_SIZE_MAX)
        return err_set(err, -EPROTO, "the answer is longer than any can be");
    json_error_t where;
    json_t *root = json_loadb(bytes, size, 0, &where);
    if (!root)
        return err_set(err, -EPROTO, "the answer is not JSON: %s, at byte %d", where.text,
                       where.position);
    struct snapshot read = {0};
    int failed = take_snapshot(root, &read, err);
    json_decref(root);
    if (failed < 0) {
        snapshot_done(&read);
        return failed;
    }
    *out = read;
    return 0;
}
