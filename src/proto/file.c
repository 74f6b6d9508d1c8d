/* Files inside connections: counts their bytes, finds their type in the first of them, and writes
 * their rows of files.log. Facts about when a file ends, expires or is out of order are Zeek's file
 * analysis.
 *
 * The type is told from at most MIME_LOOK_AT bytes. Where they come in one piece, or the file is
 * shorter and its size was announced, they are looked at where they lie; else they are gathered.
 * Nothing else of the content is kept: of parts that came out of order only their ranges are, and
 * what they have of the first bytes. */
#include "proto/file.h"

#include "proto/mime.h"

#define FILE_TIMEOUT     (120 * INT64_C(1000000000))
#define FILE_MAX_NAME    4096u
#define FILE_N_ANALYZERS 6
#define FILE_N_PARTS     64      /* ranges kept of one file, out of order */
#define FILE_MAX_PENDING 524288u /* bytes they may have in all before the gap is given up */
#define FILE_N_CARRIERS  16      /* connections that one file is said to have come over */
#define FILE_N_SHARED    256     /* files that others may go on with */

struct part {
    uint64_t start, end;
};

/* Parts that do not join what was delivered, sorted, without overlaps. */
struct parts {
    uint64_t delivered, trimmed;
    uint32_t n;
    bool flushing;
    uint8_t *early; /* MIME_LOOK_AT bytes: what came of the beginning; NULL: nothing */
    struct part part[FILE_N_PARTS];
};

/* A connection that carried the file. */
struct carrier {
    struct flow_uid uid;
    struct addr addr[2];
    uint16_t port[2];
};

struct file {
    struct flow_context *context;
    const char *source;
    struct flow_uid id;
    bool is_orig;
    bool looked; /* for the type: once */
    bool timed_out;
    bool has_total;
    int64_t first, last, check; /* packet time; when to look for expiry */
    uint64_t total, seen, missing, overflow;
    uint64_t at; /* the next byte expected */
    const char *mime;
    struct str name;
    struct buf head;
    struct parts *parts;
    uint8_t n_analyzers;
    const char *analyzers[FILE_N_ANALYZERS];

    struct analysis *listener; /* NULL: nobody wants to know the type */
    uint32_t listener_tag;
    void (*tell)(struct analysis *a, uint32_t tag, const struct file *file);

    bool shared;
    uint64_t key;
    struct file *next; /* among the shared, the one used last first */
    struct carrier first_carrier;
    struct carrier *more_carriers; /* FILE_N_CARRIERS of them, or NULL */
    uint8_t n_more_carriers;
};

/* The files of a worker that outlive their connections. */
struct file_memory {
    struct file *files;
    uint32_t n_files;
};

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

static struct carrier carrier_of(const struct analysis *a)
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
    file->first_carrier = carrier_of(a);
    file->source = source;
    file->id = flow_file_id(a->context, a->flow, (uint64_t)a->n_files++ << 8 | (uint8_t)source[0]);
    file->is_orig = dir == FLOW_ORIG;
    file->first = file->last = a->context->clock;
    file->check = file->first + FILE_TIMEOUT;
    return file;
}

static void touch(struct file *file)
{
    file->last = file->context->clock;
}

bool file_expired(struct file *file)
{
    int64_t now = file->context->clock;
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

/* `bytes` may be NULL: they came, out of order, and were not kept. */
static void deliver(struct file *file, const uint8_t *bytes, uint64_t size)
{
    if (!file->looked && !bytes)
        file_finish(file);
    else if (!file->looked)
        look_at_head(file, bytes, size);
    file->at += size;
    file->seen += size;
}

static void miss(struct file *file, uint64_t size)
{
    file_finish(file);
    file->at += size;
    file->missing += size;
}

static void parts_remove_first(struct parts *p)
{
    p->n--;
    memmove(p->part, p->part + 1, p->n * sizeof *p->part);
}

static void deliver_part(struct file *file, uint64_t start, uint64_t size)
{
    const uint8_t *early = file->parts->early;
    uint64_t n = early && start < MIME_LOOK_AT ? MIME_LOOK_AT - start : 0;
    n = n < size ? n : size;
    if (n > 0)
        deliver(file, early + start, n);
    if (n < size)
        deliver(file, NULL, size - n);
}

/* Delivers the parts that now join. */
static void parts_join(struct file *file)
{
    struct parts *p = file->parts;
    for (uint32_t i = 0; i < p->n && p->part[i].start <= p->delivered; i++) {
        if (p->part[i].start != p->delivered)
            continue;
        uint64_t start = p->part[i].start;
        p->delivered = p->part[i].end;
        deliver_part(file, start, p->delivered - start);
    }
}

static void keep_early(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    struct parts *p = file->parts;
    if (file->looked || offset >= MIME_LOOK_AT)
        return;
    if (!p->early)
        p->early = pool_get(file->context->pool, MIME_LOOK_AT);
    if (p->early)
        memcpy(p->early + offset, bytes,
               size < MIME_LOOK_AT - offset ? size : MIME_LOOK_AT - offset);
}

/* Gives up what is missing before `up_to`. */
static void parts_skip(struct file *file, uint64_t up_to)
{
    struct parts *p = file->parts;
    for (uint32_t i = 0; i < p->n && p->part[i].start < up_to; i++) {
        if (p->part[i].start < p->delivered)
            continue;
        miss(file, p->part[i].start - p->delivered);
        p->delivered = p->part[i].start;
        parts_join(file);
    }
    if (up_to > p->delivered) {
        miss(file, up_to - p->delivered);
        p->delivered = up_to;
    }
}

/* Forgets all before `up_to`; the bytes that were missing there. */
static uint64_t parts_trim(struct file *file, uint64_t up_to)
{
    struct parts *p = file->parts;
    uint64_t n_missing = 0;
    if (p->n > 0 && p->part[0].start > p->delivered)
        n_missing += p->part[0].start - p->delivered;
    else if (p->n == 0 && up_to > p->delivered)
        n_missing += up_to - p->delivered;
    if (up_to > p->delivered)
        parts_skip(file, up_to);
    while (p->n > 0 && p->part[0].end <= up_to) {
        uint64_t end = p->part[0].end;
        if (p->n > 1 && p->part[1].start <= up_to)
            n_missing += p->part[1].start - end;
        else if (end != up_to && end != up_to - 1)
            n_missing += up_to - end;
        parts_remove_first(p);
    }
    p->trimmed = up_to;
    return n_missing;
}

static uint64_t parts_flush(struct file *file)
{
    struct parts *p = file->parts;
    if (p->flushing || p->n == 0)
        return 0;
    p->flushing = true;
    uint64_t n_missing = parts_trim(file, p->part[p->n - 1].end);
    p->flushing = false;
    return n_missing;
}

static uint64_t parts_size(const struct parts *p)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < p->n; i++)
        size += p->part[i].end - p->part[i].start;
    return size;
}

/* Sets [start, end) in between, less what is there already. False: no room. */
static bool parts_insert(struct parts *p, uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; start < end && i <= p->n; i++) {
        uint64_t next = i < p->n ? p->part[i].start : UINT64_MAX;
        if (start < next) {
            if (p->n == FILE_N_PARTS)
                return false;
            memmove(p->part + i + 1, p->part + i, (p->n - i) * sizeof *p->part);
            p->part[i] = (struct part){.start = start, .end = end < next ? end : next};
            p->n++;
        }
        if (start < p->part[i].end)
            start = p->part[i].end;
    }
    return true;
}

/* Parts that follow each other are one: reading on in steps costs no room. */
static void parts_merge(struct parts *p)
{
    uint32_t kept = 0;
    for (uint32_t i = 1; i < p->n; i++)
        if (p->part[i].start == p->part[kept].end && p->part[kept].start > p->delivered)
            p->part[kept].end = p->part[i].end;
        else
            p->part[++kept] = p->part[i];
    if (p->n > 0)
        p->n = kept + 1;
}

static void parts_add(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    struct parts *p = file->parts;
    if (parts_size(p) > FILE_MAX_PENDING || p->n >= FILE_N_PARTS - 1)
        file->overflow += parts_flush(file);
    uint64_t end = offset + size;
    if (size == 0 || end < offset || end <= p->trimmed)
        return;
    uint64_t start = offset < p->trimmed ? p->trimmed : offset;
    if (!parts_insert(p, start, end)) {
        file->overflow += end - start;
        return;
    }
    keep_early(file, start, bytes + (start - offset), end - start);
    if (start <= p->delivered && end > p->delivered) {
        parts_join(file);
        (void)parts_trim(file, p->delivered);
    }
    parts_merge(p);
}

void file_write_at(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    touch(file);
    if (!file->parts && offset == file->at) {
        deliver(file, bytes, size);
        return;
    }
    if (!file->parts) {
        file->parts = pool_get(file->context->pool, sizeof *file->parts);
        if (!file->parts) {
            file->overflow += size;
            return;
        }
        file->parts->delivered = file->parts->trimmed = file->at;
    }
    parts_add(file, offset, bytes, size);
}

void file_write(struct file *file, const uint8_t *bytes, size_t size)
{
    file_write_at(file, file->at, bytes, size);
}

void file_gap_at(struct file *file, uint64_t offset, uint64_t size)
{
    touch(file);
    if (!file->parts) {
        miss(file, size);
        return;
    }
    file->parts->flushing = true;
    (void)parts_trim(file, offset + size);
    file->parts->flushing = false;
    file->parts->delivered = offset + size;
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

static void unshare(struct file *file)
{
    struct file_memory *memory = file->context->files;
    for (struct file **at = &memory->files; *at; at = &(*at)->next) {
        if (*at != file)
            continue;
        *at = file->next;
        memory->n_files--;
        break;
    }
    file->shared = false;
}

void file_end(struct file *file)
{
    if (!file)
        return;
    struct pool *pool = file->context->pool;
    if (file->parts)
        (void)parts_flush(file);
    file_finish(file);
    if (!is_certificate(file))
        write_rows(file);
    if (file->shared)
        unshare(file);
    file_set_name(file, (struct str){0});
    if (file->parts)
        pool_put(pool, file->parts->early, MIME_LOOK_AT);
    pool_put(pool, file->parts, sizeof *file->parts);
    pool_put(pool, file->more_carriers, FILE_N_CARRIERS * sizeof *file->more_carriers);
    pool_put(pool, file, sizeof *file);
}

void file_end_timedout(struct file *file)
{
    file->timed_out = true;
    file_end(file);
}

static void end_expired(struct file_memory *memory)
{
    for (struct file *file = memory->files; file;) {
        struct file *next = file->next;
        if (file_expired(file))
            file_end_timedout(file);
        file = next;
    }
}

void file_share(struct file *file, uint64_t key)
{
    struct flow_context *context = file->context;
    if (!context->files)
        context->files = pool_get(context->pool, sizeof *context->files);
    struct file_memory *memory = context->files;
    if (!memory)
        return;
    end_expired(memory);
    if (memory->n_files >= FILE_N_SHARED) { /* the one not used for longest */
        struct file *last = memory->files;
        while (last->next)
            last = last->next;
        file_end_timedout(last);
    }
    file->key = key;
    file->shared = true;
    file->next = memory->files;
    memory->files = file;
    memory->n_files++;
}

struct file *file_shared(struct flow_context *context, uint64_t key)
{
    struct file_memory *memory = context->files;
    for (struct file **at = memory ? &memory->files : NULL; at && *at; at = &(*at)->next) {
        struct file *file = *at;
        if (file->key != key)
            continue;
        *at = file->next;
        file->next = memory->files;
        memory->files = file;
        return file;
    }
    return NULL;
}

bool file_join(struct file *file, struct analysis *a)
{
    struct carrier c = carrier_of(a);
    bool known = memcmp(&file->first_carrier.uid, &c.uid, sizeof c.uid) == 0;
    for (uint8_t i = 0; i < file->n_more_carriers && !known; i++)
        known = memcmp(&file->more_carriers[i].uid, &c.uid, sizeof c.uid) == 0;
    if (known)
        return false;
    if (!file->more_carriers)
        file->more_carriers =
            pool_get(file->context->pool, FILE_N_CARRIERS * sizeof *file->more_carriers);
    if (!file->more_carriers || file->n_more_carriers == FILE_N_CARRIERS)
        return false;
    file->more_carriers[file->n_more_carriers++] = c;
    return true;
}

void file_forget(struct analysis *a)
{
    struct file_memory *memory = a->context->files;
    for (struct file *file = memory ? memory->files : NULL; file; file = file->next)
        if (file->listener == a)
            file->listener = NULL;
}

void file_memory_end(struct flow_context *context)
{
    struct file_memory *memory = context->files;
    if (!memory)
        return;
    while (memory->files)
        file_end_timedout(memory->files);
    pool_put(context->pool, memory, sizeof *memory);
    context->files = NULL;
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
