/* One line's values into a record, whatever format they came in. */
#include "hunt/parse.h"

#include <errno.h>
#include <stdlib.h>

#include "hunt/scope.h"
#include "hunt/value.h"

/* Later times are nobody's: a clock that is wrong, or a damaged line. 2100-01-01. */
#define TS_MAX INT64_C(4102444800000000000)

struct hunt_record *parse_begin(struct parse *parse)
{
    struct parsed *out = parse->out;
    if (out->n == out->capacity) {
        size_t capacity = out->capacity ? out->capacity * 2 : 64;
        struct hunt_record *grown = realloc(out->records, capacity * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + out->capacity, 0, (capacity - out->capacity) * sizeof *grown);
        out->records = grown;
        out->capacity = capacity;
    }
    parse->record = &out->records[out->n];
    parse->seen = 0;
    memcpy(parse->record, &parse->fields->blank, parse->fields->blank_size);
    return parse->record;
}

bool parse_bad(struct parse *parse, const char *what, const char *why)
{
    struct parsed *out = parse->out;
    out->n_bad++;
    if (out->first_bad == 0) {
        out->first_bad = out->n_physical;
        out->what = what;
        out->why = why;
    }
    return false;
}

static void set_network(struct hunt_host *host, uint32_t network)
{
    if (!hunt_is_public(&host->addr))
        host->network = network;
}

bool parse_end(struct parse *parse)
{
    struct hunt_record *record = parse->record;
    if (!(parse->seen & SEEN_TS))
        return parse_bad(parse, "ts", "is not there");
    record->has_ends = (parse->seen & SEEN_ORIG) && (parse->seen & SEEN_RESP);
    if (parse->fields->needs_ends && !record->has_ends)
        return parse_bad(parse, parse->seen & SEEN_ORIG ? "id.resp_h" : "id.orig_h",
                         "is not there");
    if (record->network.len) {
        uint32_t network = (uint32_t)(value_hash(record->network) >> 32);
        network += network == 0;
        set_network(&record->orig, network);
        set_network(&record->resp, network);
    }
    parse->out->n++;
    return true;
}

static uint8_t proto_of(struct str text)
{
    if (str_eq(text, STR("tcp")))
        return HUNT_TCP;
    if (str_eq(text, STR("udp")))
        return HUNT_UDP;
    if (str_eq(text, STR("icmp")) || str_eq(text, STR("icmp6")))
        return HUNT_ICMP;
    return HUNT_PROTO_UNKNOWN;
}

static enum hunt_state state_of(struct str text)
{
    static const struct str names[] = {
        [HUNT_S0] = {"S0", 2},       [HUNT_S1] = {"S1", 2},     [HUNT_SF] = {"SF", 2},
        [HUNT_REJ] = {"REJ", 3},     [HUNT_S2] = {"S2", 2},     [HUNT_S3] = {"S3", 2},
        [HUNT_RSTO] = {"RSTO", 4},   [HUNT_RSTR] = {"RSTR", 4}, [HUNT_RSTOS0] = {"RSTOS0", 6},
        [HUNT_RSTRH] = {"RSTRH", 5}, [HUNT_SH] = {"SH", 2},     [HUNT_SHR] = {"SHR", 3},
        [HUNT_OTH] = {"OTH", 3},
    };
    for (enum hunt_state i = HUNT_S0; i <= HUNT_OTH; i++)
        if (str_eq(text, names[i]))
            return i;
    return HUNT_STATE_NONE;
}

static bool truth_of(struct str text)
{
    return str_eq(text, STR("T")) || str_eq(text, STR("true")) || str_eq(text, STR("1"));
}

static bool put_ts(struct parse *parse, const struct field *field, struct str value)
{
    int64_t ts;
    bool good = parse->json ? value_time_json(value, &ts) : value_time(value, &ts);
    if (!good)
        return parse_bad(parse, field->name, "is no time");
    if (ts < 0)
        return parse_bad(parse, field->name, "is a time before 1970");
    if (ts > TS_MAX)
        return parse_bad(parse, field->name, "is a time after 2100");
    parse->record->ts = ts;
    parse->seen |= SEEN_TS;
    return true;
}

static bool put_end(struct parse *parse, const struct field *field, struct str value,
                    enum parse_seen end)
{
    struct hunt_host *host = end == SEEN_ORIG ? &parse->record->orig : &parse->record->resp;
    if (value.len == 0)
        return true;
    if (!value_addr(value, &host->addr))
        return parse_bad(parse, field->name, "is no address");
    parse->seen |= end;
    return true;
}

static bool put_number(struct parse *parse, const struct field *field, struct str value, void *at)
{
    int64_t number;
    bool good = field->kind == FIELD_TIME
                    ? (parse->json ? value_time_json : value_time)(value, &number)
                    : value_decimal(value, field->kind == FIELD_INTERVAL ? 9 : 0, &number);
    if (value.len == 0)
        return true;
    if (!good)
        return parse_bad(parse, field->name, "is no number");
    if (field->kind == FIELD_COUNT && number < 0)
        return parse_bad(parse, field->name, "is below zero");
    /* Zeek's clocks may go back a little. */
    if (field->kind == FIELD_INTERVAL && number < 0)
        number = 0;
    /* Nothing was so large: some old Zeek counted below zero. */
    if (field->kind != FIELD_TIME && number == INT64_MAX)
        number = HUNT_UNSET;
    memcpy(at, &number, sizeof number);
    return true;
}

static bool put_port(struct parse *parse, const struct field *field, struct str value, void *at)
{
    int64_t number;
    if (value.len == 0)
        return true;
    bool good = value_decimal(value, 0, &number);
    /* The originator's says nothing about anybody: one that cannot be costs no connection. */
    if (good && number > UINT16_MAX && field->at == offsetof(struct hunt_record, orig_port))
        number = 0;
    if (!good || number < 0 || number > UINT16_MAX)
        return parse_bad(parse, field->name, "is no port");
    uint16_t port = (uint16_t)number;
    memcpy(at, &port, sizeof port);
    return true;
}

static bool put_path(struct parse *parse, const struct field *field, struct str value)
{
    for (int log = 0; log < HUNT_N_LOGS; log++)
        if (fields_is_named(parse->fields, (enum hunt_log)log) &&
            str_eq(value, str_c(hunt_log_name((enum hunt_log)log))))
            return true;
    return parse_bad(parse, field->name, "names another log");
}

bool parse_value(struct parse *parse, const struct field *field, struct str value)
{
    struct hunt_record *record = parse->record;
    void *at = (char *)record + field->at;
    int64_t number;
    switch ((enum field_kind)field->kind) {
    case FIELD_TS:
        return put_ts(parse, field, value);
    case FIELD_TIME:
    case FIELD_INTERVAL:
    case FIELD_COUNT:
        return put_number(parse, field, value, at);
    case FIELD_DOUBLE:
        if (value_decimal(value, 9, &number))
            *(double *)at = (double)number / 1e9;
        return true;
    case FIELD_BOOL:
        *(bool *)at = truth_of(value);
        return true;
    case FIELD_TRUTH:
        *(int64_t *)at = truth_of(value);
        return true;
    case FIELD_STR_ELSE:
        if (((struct str *)at)->len)
            return true;
        *(struct str *)at = value;
        return true;
    case FIELD_STR:
        *(struct str *)at = value;
        return true;
    case FIELD_ORIG:
        return put_end(parse, field, value, SEEN_ORIG);
    case FIELD_RESP:
        return put_end(parse, field, value, SEEN_RESP);
    case FIELD_ORIG_ELSE:
        return parse->seen & SEEN_ORIG || put_end(parse, field, value, SEEN_ORIG);
    case FIELD_RESP_ELSE:
        return parse->seen & SEEN_RESP || put_end(parse, field, value, SEEN_RESP);
    case FIELD_PORT:
        return put_port(parse, field, value, at);
    case FIELD_UID:
        record->uid = value.len ? value_hash(value) : 0;
        return true;
    case FIELD_PROTO:
        record->proto = proto_of(value);
        return true;
    case FIELD_STATE:
        record->conn.state = state_of(value);
        return true;
    case FIELD_PATH:
        return put_path(parse, field, value);
    case FIELD_FIRST:
    case FIELD_LINES:
    case FIELD_ANSWERS:
    case FIELD_COMMAS:
    case FIELD_COMMAS_ELSE:
        break; /* parse_list_add */
    }
    return true;
}

/* Room for it is there: what is without escapes is never longer than with them, the arena is as
 * large as the text, and a list has something between its elements. */
static struct str keep(struct parse *parse, struct str raw, bool escaped)
{
    struct parsed *out = parse->out;
    char *at = out->arena + out->arena_used;
    size_t size = raw.len;
    if (out->arena_size - out->arena_used < size)
        return (struct str){0};
    if (!escaped)
        memcpy(at, raw.at, size);
    else
        size = parse->json ? value_unescape_json(raw, at) : value_unescape_tsv(raw, at);
    out->arena_used += size;
    return str_make(at, size);
}

struct str parse_text(struct parse *parse, struct str raw)
{
    return keep(parse, raw, true);
}

bool parse_list_begin(struct parse *parse, const struct field *field)
{
    struct str *list = (struct str *)(void *)((char *)parse->record + field->at);
    if (field->kind == FIELD_COMMAS_ELSE && list->len)
        return false;
    *list = (struct str){0};
    if (field->kind == FIELD_ANSWERS)
        parse->record->dns.n_answers = 0;
    return true;
}

void parse_list_add(struct parse *parse, const struct field *field, struct str raw, bool escaped)
{
    struct str *list = (struct str *)(void *)((char *)parse->record + field->at);
    struct parsed *out = parse->out;
    bool lines = field->kind == FIELD_LINES || field->kind == FIELD_ANSWERS;
    if (field->kind == FIELD_FIRST) {
        if (!list->at)
            *list = escaped ? keep(parse, raw, true) : raw;
        return;
    }
    if (field->kind == FIELD_ANSWERS && parse->record->dns.n_answers < UINT16_MAX)
        parse->record->dns.n_answers++;
    if (list->at) {
        if (out->arena_used == out->arena_size)
            return;
        out->arena[out->arena_used++] = lines ? '\n' : ',';
        list->len++;
    }
    struct str element = keep(parse, raw, escaped);
    if (!element.at)
        return;
    /* What stands between elements is in none of them. */
    if (escaped && lines)
        for (uint32_t i = 0; i < element.len; i++)
            if (element.at[i] == '\n')
                out->arena[out->arena_used - element.len + i] = ' ';
    if (!list->at)
        list->at = element.at;
    list->len += element.len;
}

/* ---- lines ---- */

void parsed_clear(struct parsed *parsed)
{
    *parsed = (struct parsed){.records = parsed->records,
                              .capacity = parsed->capacity,
                              .arena = parsed->arena,
                              .arena_size = parsed->arena_size};
}

/* Room for the texts, and a beginning for the records, that this many bytes can need. */
static int make_room(struct parsed *out, size_t size, struct err *err)
{
    if (out->arena_size < size) {
        free(out->arena);
        out->arena_size = 0;
        out->arena = malloc(size);
        if (!out->arena)
            return err_set(err, -ENOMEM, "no memory for lines of a log");
        out->arena_size = size;
    }
    parsed_clear(out);
    return 0;
}

int parse_lines(struct columns *columns, const struct fields *fields, const char *text, size_t size,
                struct parsed *out, struct err *err)
{
    struct parse parse = {.fields = fields, .out = out};
    int result = make_room(out, size, err);
    const char *at = text, *end = text + size;
    /* The lines up to the first that says what this is. */
    while (result == 0 && at < end && columns->format == COLUMNS_NONE) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);
        if (len > HUNT_LINE_MAX)
            len = HUNT_LINE_MAX;
        result = columns_header(columns, fields, str_make(at, len), err);
        if (result == 0 && columns->format == COLUMNS_JSON)
            break;
        out->n_physical++;
        at = stop ? stop + 1 : end;
    }
    if (result < 0 || at == end)
        return result;
    parse.json = columns->format == COLUMNS_JSON;
    if (parse.json)
        return json_lines(&parse, at, (size_t)(end - at), err);
    return tsv_lines(columns, &parse, at, (size_t)(end - at), err);
}

void parsed_done(struct parsed *parsed)
{
    free(parsed->records);
    free(parsed->arena);
    *parsed = (struct parsed){0};
}
