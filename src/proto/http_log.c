/* Transactions: a request and its reply, which become one line of http.log. Requests that wait for
 * their reply are numbered from 1; a reply is for the oldest. Where replies come without requests
 * or the other way, the numbers are brought in step again as Zeek does it. */
#include "proto/http_state.h"

#include "flow/weird.h"

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,
    {"trans_depth", LOG_COUNT},
    {"method", LOG_STRING},
    {"host", LOG_STRING},
    {"uri", LOG_STRING},
    {"referrer", LOG_STRING},
    {"version", LOG_STRING},
    {"user_agent", LOG_STRING},
    {"origin", LOG_STRING},
    {"request_body_len", LOG_COUNT},
    {"response_body_len", LOG_COUNT},
    {"status_code", LOG_COUNT},
    {"status_msg", LOG_STRING},
    {"info_code", LOG_COUNT},
    {"info_msg", LOG_STRING},
    {"tags", LOG_SET_ENUM},
    {"username", LOG_STRING},
    {"password", LOG_STRING},
    {"proxied", LOG_SET_STRING},
    {"orig_fuids", LOG_VECTOR_STRING},
    {"orig_filenames", LOG_VECTOR_STRING},
    {"orig_mime_types", LOG_VECTOR_STRING},
    {"resp_fuids", LOG_VECTOR_STRING},
    {"resp_filenames", LOG_VECTOR_STRING},
    {"resp_mime_types", LOG_VECTOR_STRING},
};

const struct log_schema http_log = {.name = "http", LOG_COLUMNS(columns), .of_connection = true};
const struct log_schema http_open_log = {
    .name = "open_http", LOG_COLUMNS(columns), .of_connection = true};

/* Others are a weird. */
static const struct str methods[] = {
    {"GET", 3},    {"POST", 4},   {"HEAD", 4},      {"OPTIONS", 7},  {"PUT", 3},
    {"DELETE", 6}, {"TRACE", 5},  {"CONNECT", 7},   {"PROPFIND", 8}, {"PROPPATCH", 9},
    {"MKCOL", 5},  {"COPY", 4},   {"MOVE", 4},      {"LOCK", 4},     {"UNLOCK", 6},
    {"POLL", 4},   {"REPORT", 6}, {"SUBSCRIBE", 9}, {"BMOVE", 5},    {"SEARCH", 6},
};

static void count_or_unset(struct rec *rec, bool set, uint64_t value)
{
    if (set)
        rec_count(rec, value);
    else
        rec_unset(rec);
}

static void write_version(struct rec *rec, const struct http_trans *t)
{
    char text[3] = {(char)('0' + t->major), '.', (char)('0' + t->minor)};
    rec_str(rec, t->has_status ? str_make(text, sizeof text) : (struct str){0});
}

static void write_files(struct rec *rec, const struct http_files *files)
{
    static const struct http_files none;
    if (!files)
        files = &none;
    if (files->n_ids == 0) {
        rec_unset(rec);
    } else {
        rec_set_begin(rec);
        for (uint8_t i = 0; i < files->n_ids; i++)
            rec_item_str(rec, str_make(files->ids[i].text, FLOW_UID_LEN));
        rec_set_end(rec);
    }
    if (files->n_names == 0) {
        rec_unset(rec);
    } else {
        rec_set_begin(rec);
        for (uint8_t i = 0; i < files->n_names; i++)
            rec_item_str(rec, files->names[i]);
        rec_set_end(rec);
    }
    if (files->n_mimes == 0) {
        rec_unset(rec);
    } else {
        rec_set_begin(rec);
        for (uint8_t i = 0; i < files->n_mimes; i++)
            rec_item_text(rec, files->mimes[i]);
        rec_set_end(rec);
    }
}

static void write_row(struct analysis *a, const struct http_trans *t,
                      const struct log_schema *schema)
{
    struct rec *rec = flow_log_begin(a->context, a->flow, schema, t->ts);
    rec_count(rec, t->depth);
    rec_str(rec, t->method);
    rec_str(rec, t->host);
    rec_str(rec, t->uri);
    rec_str(rec, t->referrer);
    write_version(rec, t);
    rec_str(rec, t->user_agent);
    rec_str(rec, t->origin);
    rec_count(rec, t->body_len[FLOW_ORIG]);
    rec_count(rec, t->body_len[FLOW_RESP]);
    count_or_unset(rec, t->has_status, t->status);
    rec_str(rec, t->status_msg);
    count_or_unset(rec, t->has_info, t->info);
    rec_str(rec, t->info_msg);
    rec_set_begin(rec);
    rec_set_end(rec);
    rec_str(rec, t->username);
    rec_unset(rec); /* passwords are never kept */
    if (t->n_proxied > 0) {
        rec_set_begin(rec);
        for (uint8_t i = 0; i < t->n_proxied; i++)
            rec_item_str(rec, t->proxied[i]);
        rec_set_end(rec);
    } else {
        rec_unset(rec);
    }
    write_files(rec, t->files[FLOW_ORIG]);
    write_files(rec, t->files[FLOW_RESP]);
    flow_log_end(a->context, a->flow, rec);
}

static void trans_free(struct analysis *a, struct http_trans *t)
{
    if (!t)
        return;
    arena_clear(&t->arena);
    pool_put(analysis_pool(a), t, sizeof *t);
}

static struct http_trans *find(const struct http *h, uint64_t number)
{
    if (h->last_pending && h->last_pending->number == number)
        return h->last_pending;
    for (struct http_trans *t = h->pending; t; t = t->next)
        if (t->number == number)
            return t;
    return NULL;
}

static struct http_trans *add(struct analysis *a, uint64_t number)
{
    struct http *h = http_of(a);
    struct http_trans *t = pool_get(analysis_pool(a), sizeof *t);
    if (!t)
        return NULL;
    arena_init(&t->arena, analysis_pool(a));
    t->number = number;
    t->depth = ++h->n_trans;
    t->ts = flow_context_time(a->context);
    if (h->last_pending)
        h->last_pending->next = t;
    else
        h->pending = t;
    h->last_pending = t;
    h->n_pending++;
    return t;
}

static void unlink_pending(struct http *h, struct http_trans *t)
{
    struct http_trans *before = NULL;
    for (struct http_trans *x = h->pending; x && x != t; x = x->next)
        before = x;
    if (before)
        before->next = t->next;
    else
        h->pending = t->next;
    if (h->last_pending == t)
        h->last_pending = before;
    t->next = NULL;
    h->n_pending--;
}

/* Writes it; it stays, spoken of, until another one is. */
static void log_pending(struct analysis *a, struct http_trans *t)
{
    struct http *h = http_of(a);
    unlink_pending(h, t);
    write_row(a, t, &http_log);
    if (h->at != t) {
        trans_free(a, t);
        return;
    }
    trans_free(a, h->logged);
    h->logged = t;
}

/* The transaction that a direction is at, made where there is none; NULL: no memory. */
struct http_trans *http_trans_at(struct analysis *a, int dir)
{
    struct http *h = http_of(a);
    if (h->at && h->at != h->logged && h->at->number == h->current[dir])
        return h->at;
    struct http_trans *t = find(h, h->current[dir]);
    if (!t)
        t = add(a, h->current[dir]);
    if (!t)
        return NULL;
    h->at = t;
    trans_free(a, h->logged);
    h->logged = NULL;
    return t;
}

struct http_trans *http_trans_deepest(struct http *h, uint32_t depth)
{
    for (struct http_trans *t = h->pending; t; t = t->next)
        if (t->depth == depth)
            return t;
    return NULL;
}

/* More requests than replies: the older ones are given up. */
static void flush_pending(struct analysis *a)
{
    struct http *h = http_of(a);
    weird_flow(a->context, a->flow, "HTTP_excessive_pipelining", (struct str){0}, NULL);
    if (h->current[FLOW_RESP] == 0)
        h->current[FLOW_RESP] = 1;
    while (h->current[FLOW_RESP] < h->current[FLOW_ORIG]) {
        struct http_trans *t = find(h, h->current[FLOW_RESP]);
        if (t)
            log_pending(a, t);
        h->current[FLOW_RESP]++;
    }
}

void http_trans_request(struct analysis *a, struct str method, struct str uri)
{
    struct http *h = http_of(a);
    if (h->current[FLOW_ORIG] < h->current[FLOW_RESP]) {
        weird_flow(a->context, a->flow, "HTTP_response_before_request", (struct str){0}, NULL);
        h->current[FLOW_ORIG] = h->current[FLOW_RESP];
    }
    if (h->n_pending > HTTP_MAX_PENDING)
        flush_pending(a);
    h->current[FLOW_ORIG]++;
    struct http_trans *t = http_trans_at(a, FLOW_ORIG);
    if (!t)
        return;
    t->method = arena_str(&t->arena, method);
    t->uri = http_unescape(&t->arena, uri, a);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (str_eq(method, methods[i]))
            return;
    weird_flow(a->context, a->flow, "unknown_HTTP_method", method, NULL);
}

static bool is_info(const struct http_trans *t)
{
    return t->has_status && t->status >= 100 && t->status <= 199;
}

void http_trans_reply(struct analysis *a)
{
    struct http *h = http_of(a);
    const struct http_trans *before = find(h, h->current[FLOW_RESP]);
    if (!before || (before->has_status && !is_info(before)))
        h->current[FLOW_RESP]++;
    struct http_trans *t = http_trans_at(a, FLOW_RESP);
    if (!t)
        return;
    t->has_status = true;
    t->status = h->reply_code;
    t->status_msg = arena_str(&t->arena, str_set(h->reason) ? h->reason : STR("<empty>"));
    t->major = h->side[FLOW_RESP].major;
    t->minor = h->side[FLOW_RESP].minor;
    if (is_info(t)) {
        t->has_info = true;
        t->info = t->status;
        t->info_msg = t->status_msg;
    }
}

void http_trans_done(struct analysis *a, int dir, uint64_t body_length)
{
    struct http_trans *t = http_trans_at(a, dir);
    if (!t)
        return;
    t->body_len[dir] = body_length;
    if (dir == FLOW_RESP && !is_info(t))
        log_pending(a, t);
}

static struct http_files *files_of(struct http_trans *t, int dir)
{
    if (!t->files[dir])
        t->files[dir] = arena_get(&t->arena, sizeof *t->files[dir]);
    return t->files[dir];
}

void http_trans_add_file(struct analysis *a, int dir, const struct file *file)
{
    struct http_trans *t = http_of(a)->at;
    struct http_files *files = t ? files_of(t, dir) : NULL;
    if (!files || files->n_ids == HTTP_MAX_FILES)
        return;
    files->ids[files->n_ids++] = file_id(file);
    struct str name = file_name(file);
    if (str_set(name))
        files->names[files->n_names++] = arena_str(&t->arena, name);
}

/* `t` may be NULL: it was logged before the type was known. */
void http_trans_add_mime(struct http_trans *t, int dir, struct str mime)
{
    struct http_files *files = t ? files_of(t, dir) : NULL;
    if (files && files->n_mimes < HTTP_MAX_FILES)
        files->mimes[files->n_mimes++] = mime.at;
}

/* The connection is over: all that is pending, but what never was a request or a reply. */
void http_trans_log_all(struct analysis *a)
{
    struct http *h = http_of(a);
    h->at = NULL;
    for (struct http_trans *t = h->pending; t;) {
        struct http_trans *next = t->next;
        if (t->number > 0)
            write_row(a, t, &http_log);
        trans_free(a, t);
        t = next;
    }
    h->pending = h->last_pending = NULL;
    h->n_pending = 0;
    trans_free(a, h->logged);
    h->logged = NULL;
}

/* The last request, or the one that still goes on: of those that were logged, the last is kept
 * until there is another. */
void http_trans_log_open(struct analysis *a)
{
    const struct http_trans *t = http_of(a)->at;
    if (t && t->number > 0)
        write_row(a, t, &http_open_log);
}
