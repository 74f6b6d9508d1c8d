/* Parts of a file that come in any order (HTTP ranges): keeps which bytes came, not the bytes, and
 * counts what is missing as Zeek's file reassembly does. Only of the beginning, which tells the
 * type, are the bytes kept. */
#include "proto/file_state.h"

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
        file_deliver(file, early + start, n);
    if (n < size)
        file_deliver(file, NULL, size - n);
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
    if (!p->early && (p->early = pool_get(file->context->pool, MIME_LOOK_AT)))
        file->context->counters.file_bytes += MIME_LOOK_AT;
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
        file_miss(file, p->part[i].start - p->delivered);
        p->delivered = p->part[i].start;
        parts_join(file);
    }
    if (up_to > p->delivered) {
        file_miss(file, up_to - p->delivered);
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

uint64_t file_parts_flush(struct file *file)
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

void file_parts_add(struct file *file, uint64_t offset, const uint8_t *bytes, size_t size)
{
    struct parts *p = file->parts;
    if (parts_size(p) > FILE_MAX_PENDING || p->n >= FILE_N_PARTS - 1)
        file->overflow += file_parts_flush(file);
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

bool file_parts_begin(struct file *file)
{
    file->parts = pool_get(file->context->pool, sizeof *file->parts);
    if (file->parts)
        file->parts->delivered = file->parts->trimmed = file->at;
    return file->parts != NULL;
}

void file_parts_skip_to(struct file *file, uint64_t up_to)
{
    file->parts->flushing = true;
    (void)parts_trim(file, up_to);
    file->parts->flushing = false;
    file->parts->delivered = up_to;
}

void file_parts_free(struct file *file)
{
    if (!file->parts)
        return;
    if (file->parts->early)
        file->context->counters.file_bytes -= MIME_LOOK_AT;
    pool_put(file->context->pool, file->parts->early, MIME_LOOK_AT);
    pool_put(file->context->pool, file->parts, sizeof *file->parts);
    file->parts = NULL;
}
