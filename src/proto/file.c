/* Files inside connections: counts their bytes, finds their type in the first of them, and writes
 * their rows of files.log. Facts about when a file ends, expires or is out of order are Zeek's file
 * analysis.
 *
 * The type is told from at most MIME_LOOK_AT bytes. Where they come in one piece, or the file is
 * shorter and its size was announced, they are looked at where they lie; else they are gathered.
 * Nothing else of the content is kept: of parts that came out of order only their ranges are, and
 * what they have of the first bytes. */
#include "proto/file_state.h"

static const struct log_column columns[] = {
    {"ts", LOG_TIME},
    {"fuid", LOG_STRING},
    {"uid", LOG_STRING},
    {"id.orig_h", LOG_ADDR},
    {"id.orig_p", LOG_PORT},
    {"id.resp_h", LOG_ADDR},
    {"id.resp_p", LOG_PORT},
    {"source", LOG_STRING},
    {"depth", LOG_COUNT},
    {"analyzers", LOG_SET_STRING},
    {"mime_type", LOG_STRING},
    {"filename", LOG_STRING},
    {"duration", LOG_INTERVAL},
    {"local_orig", LOG_BOOL},
    {"is_orig", LOG_BOOL},
    {"seen_bytes", LOG_COUNT},
    {"total_bytes", LOG_COUNT},
    {"missing_bytes", LOG_COUNT},
    {"overflow_bytes", LOG_COUNT},
    {"timedout", LOG_BOOL},
    {"parent_fuid", LOG_STRING},
    {"md5", LOG_STRING},
    {"sha1", LOG_STRING},
    {"sha256", LOG_STRING},
    {"extracted", LOG_STRING},
    {"extracted_cutoff", LOG_BOOL},
    {"extracted_size", LOG_COUNT},
};

const struct log_schema file_log = {.name = "files", LOG_COLUMNS(columns)};

/* Analyzers that a type brings with it. */
static const struct {
    const char *mime, *analyzer;
} by_mime[] = {
    {"application/ocsp-response", "OCSP_REPLY"},
    {"application/x-dosexec", "PE"},
};

struct carrier file_carrier(const struct analysis *a)
{
    struct carrier c = {.uid = flow_uid(a->context, a->flow)};
    for (int dir = 0; dir < 2; dir++) {
        c.addr[dir] = *flow_addr(a->flow, dir);
        c.port[dir] = flow_port(a->flow, dir);
    }
    return c;
}

struct file *file_new(struct analysis *a, int dir, const char *source)
{
    struct file *file = pool_get(analysis_pool(a), sizeof *file);
    if (!file)
        return NULL;
    file->context = a->context;
    file->context->counters.n_files++;
    file->context->counters.n_files_now++;
    file->first_carrier = file_carrier(a);
    file->source = source;
    file->id = flow_file_id(a->context, a->flow, (uint64_t)a->n_files++ << 8 | (uint8_t)source[0]);
    file->is_orig = dir == FLOW_ORIG;
    file->first = file->last = flow_context_time(a->context);
    file->check = file->first + FILE_TIMEOUT;
    return file;
}

static void touch(struct file *file)
{
    file->last = flow_context_time(file->context);
}

bool file_expired(struct file *file)
{
    int64_t now = flow_context_time(file->context);
    if (now < file->check)
        return false;
    file->check = now + FILE_TIMEOUT;
    return now - file->last >= FILE_TIMEOUT;
}

static void look(struct file *file, const void *bytes, size_t size)
{
    file->looked = true;
    if (size == 0 || file->missing > 0)
        return;
    file->mime = mime_of(bytes, size < MIME_LOOK_AT ? size : MIME_LOOK_AT);
    if (!file->mime)
        return;
    for (size_t i = 0; i < sizeof by_mime / sizeof *by_mime; i++)
        if (strcmp(file->mime, by_mime[i].mime) == 0)
            file_add_analyzer(file, by_mime[i].analyzer);
    if (file->listener)
        file->tell(file->listener, file->listener_tag, file);
    file->listener = NULL;
}

void file_tell_mime(struct file *file, struct analysis *a, uint32_t tag,
                    void (*tell)(struct analysis *a, uint32_t tag, const struct file *file))
{
    if (file->looked)
        return;
    file->listener = a;
    file->listener_tag = tag;
    file->tell = tell;
}

void file_finish(struct file *file)
{
    if (file->looked)
        return;
    look(file, buf_at(&file->head), buf_size(&file->head));
    buf_done(&file->head, file->context->pool);
}

static void look_at_head(struct file *file, const uint8_t *bytes, size_t size)
{
    size_t had = buf_size(&file->head);
    bool whole = size >= MIME_LOOK_AT || (file->has_total && size >= file->total);
    if (had == 0 && whole) {
        look(file, bytes, size);
        return;
    }
    size_t wanted = MIME_LOOK_AT - had;
    bool kept = buf_add(&file->head, file->context->pool, bytes, size < wanted ? size : wanted,
                        MIME_LOOK_AT);
    if (!kept || buf_size(&file->head) == MIME_LOOK_AT)
        file_finish(file);
}

void file_deliver(struct file *file, const uint8_t *bytes, uint64_t size)
{
    if (!file->looked && !bytes)
        file_finish(file);
    else if (!file->looked)
        look_at_head(file, bytes, size);
    file->at += size;
    file->seen += size;
}

void file_miss(struct file *file, uint64_t size)
{
    file_finish(file);
    file->at += size;
    file->missing += size;
}

void file_write_at(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    touch(file);
    if (!file->parts && offset == file->at) {
        file_deliver(file, bytes, size);
        return;
    }
    if (!file->parts && !file_parts_begin(file)) {
        file->overflow += size;
        return;
    }
    file_parts_add(file, offset, bytes, size);
}

void file_write(struct file *file, const uint8_t *bytes, size_t size)
{
    file_write_at(file, file->at, bytes, size);
}

void file_gap_at(struct file *file, uint64_t offset, uint64_t size)
{
    touch(file);
    if (!file->parts) {
        file_miss(file, size);
        return;
    }
    file_parts_skip_to(file, offset + size);
}

void file_gap(struct file *file, uint64_t size)
{
    file_gap_at(file, file->at, size);
}

void file_set_total(struct file *file, uint64_t size)
{
    touch(file);
    file->has_total = true;
    file->total = size;
}

bool file_complete(const struct file *file)
{
    return file->has_total && file->at >= file->total;
}

void file_set_name(struct file *file, struct str name)
{
    struct pool *pool = file->context->pool;
    if (file->name.len > 0)
        pool_put(pool, (void *)(uintptr_t)file->name.at, file->name.len);
    file->name = (struct str){0};
    if (!str_set(name))
        return;
    name = str_upto(name, FILE_MAX_NAME);
    char *copy = name.len > 0 ? pool_get(pool, name.len) : NULL;
    if (!copy) {
        file->name = STR("");
        return;
    }
    memcpy(copy, name.at, name.len);
    file->name = str_make(copy, name.len);
}

void file_set_mime(struct file *file, const char *mime)
{
    file->looked = true;
    file->mime = mime;
    for (size_t i = 0; i < sizeof by_mime / sizeof *by_mime; i++)
        if (strcmp(mime, by_mime[i].mime) == 0)
            file_add_analyzer(file, by_mime[i].analyzer);
}

void file_add_analyzer(struct file *file, const char *name)
{
    for (uint8_t i = 0; i < file->n_analyzers; i++)
        if (strcmp(file->analyzers[i], name) == 0)
            return;
    if (file->n_analyzers < FILE_N_ANALYZERS)
        file->analyzers[file->n_analyzers++] = name;
}

static bool is_certificate(const struct file *file)
{
    for (uint8_t i = 0; i < file->n_analyzers; i++)
        if (strcmp(file->analyzers[i], "X509") == 0)
            return true;
    return false;
}

static void write_row(const struct file *file, const struct carrier *c, bool local)
{
    struct rec *rec = log_begin(file->context->log, &file_log);
    rec_time(rec, file->first);
    rec_str(rec, str_make(file->id.text, FLOW_UID_LEN));
    rec_str(rec, str_make(c->uid.text, FLOW_UID_LEN));
    rec_addr(rec, &c->addr[FLOW_ORIG]);
    rec_port(rec, c->port[FLOW_ORIG]);
    rec_addr(rec, &c->addr[FLOW_RESP]);
    rec_port(rec, c->port[FLOW_RESP]);
    rec_text(rec, file->source);
    rec_count(rec, 0);
    rec_set_begin(rec);
    for (uint8_t i = 0; i < file->n_analyzers; i++)
        rec_item_text(rec, file->analyzers[i]);
    rec_set_end(rec);
    rec_text(rec, file->mime);
    rec_str(rec, file->name);
    rec_interval(rec, file->last - file->first);
    rec_bool(rec, local);
    rec_bool(rec, file->is_orig);
    rec_count(rec, file->seen);
    if (file->has_total)
        rec_count(rec, file->total);
    else
        rec_unset(rec);
    rec_count(rec, file->missing);
    rec_count(rec, file->overflow);
    rec_bool(rec, file->timed_out);
    for (int i = 0; i < 7; i++) /* parent_fuid, hashes, extraction */
        rec_unset(rec);
    log_end(rec);
}

/* One for each connection that carried it. */
static void write_rows(const struct file *file)
{
    uint8_t n = file->n_more_carriers;
    const struct carrier *last = n ? &file->more_carriers[n - 1] : &file->first_carrier;
    bool local = addr_is_local(&last->addr[file->is_orig ? FLOW_ORIG : FLOW_RESP]);
    write_row(file, &file->first_carrier, local);
    for (uint8_t i = 0; i < n; i++)
        write_row(file, &file->more_carriers[i], local);
}

void file_end(struct file *file)
{
    if (!file)
        return;
    struct pool *pool = file->context->pool;
    if (file->parts)
        (void)file_parts_flush(file);
    file_finish(file);
    if (!is_certificate(file))
        write_rows(file);
    if (file->shared)
        file_unshare(file);
    file_set_name(file, (struct str){0});
    file_parts_free(file);
    pool_put(pool, file->more_carriers, FILE_N_CARRIERS * sizeof *file->more_carriers);
    file->context->counters.n_files_now--;
    pool_put(pool, file, sizeof *file);
}

void file_end_timedout(struct file *file)
{
    file->timed_out = true;
    file_end(file);
}

bool file_is_orig(const struct file *file)
{
    return file->is_orig;
}

struct flow_uid file_id(const struct file *file)
{
    return file->id;
}

struct str file_mime(const struct file *file)
{
    return str_c(file->mime);
}

struct str file_name(const struct file *file)
{
    return file->name;
}
