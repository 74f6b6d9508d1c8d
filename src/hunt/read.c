/* Reads log folders. */
#include "hunt/read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "hunt/stream.h"

struct reading {
    const struct hunt_reading *want;
    struct hunt_read_counts counts;
    uint64_t done, total;
};

static void say(struct reading *r, const char *path, const char *text)
{
    char line[5000];
    if (!r->want->say)
        return;
    snprintf(line, sizeof line, "%s: %s", path, text);
    r->want->say(r->want->with, line);
}

static void deliver(struct reading *r, struct block *block, bool *told, const char *path)
{
    struct parsed *p = &block->parsed;
    if (p->n == 0)
        return;
    if (!*told && r->want->file)
        r->want->file(r->want->with, path);
    *told = true;
    r->want->records(r->want->with, p->records, p->n);
}

static int read_one(struct reading *r, const struct files_one *file, const struct fields *fields,
                    struct hunt_mark *mark, bool *out_marked)
{
    struct stream stream;
    struct block block = {0};
    bool told = false;
    stream_init(&stream, file, fields);
    r->counts.n_files++;
    do {
        stream_next(&stream, &block);
        if (block.result == 0 && block.fields && !block.partial)
            block.result = parse_lines(&block.columns, block.fields, block.text, block.size,
                                       &block.parsed, &block.err);
        if (block.result < 0) {
            say(r, file->path, block.err.text);
            break;
        }
        if (block.partial) {
            r->counts.n_cut_files++;
            break;
        }
        r->counts.n_bytes += block.size;
        r->counts.n_lines += block.parsed.n_lines;
        r->counts.n_bad_lines += block.parsed.n_bad;
        r->counts.n_long_lines += block.parsed.n_long + block.n_long;
        r->counts.n_records += block.parsed.n;
        if (block.parsed.first_bad) {
            char t[200];
            snprintf(t, sizeof t, "line %lu %s %s", (unsigned long)block.parsed.first_bad,
                     block.parsed.what ? block.parsed.what : "", block.parsed.why);
            say(r, file->path, t);
        }
        deliver(r, &block, &told, file->path);
    } while (!block.last);
    *out_marked = stream_mark(&stream, mark);
    block_done(&block);
    stream_done(&stream);
    return 0;
}

int hunt_read(const struct hunt_reading *reading, struct hunt_read_counts *out_counts,
              struct hunt_mark **out_marks, size_t *out_n_marks, struct err *err)
{
    struct reading r = {.want = reading};
    struct files files;
    struct files_want want = {.paths = reading->paths,
                              .n_paths = reading->n_paths,
                              .logs = reading->logs ? reading->logs : UINT32_MAX,
                              .since = reading->since,
                              .with = reading->with,
                              .say = reading->say};
    int result = files_find(&want, &files, err);
    if (result < 0)
        return result;
    if (files.n == 0)
        result = err_set(err, -ENOENT, "there are no Zeek logs in it");
    struct fields *fields = calloc(HUNT_N_LOGS, sizeof *fields);
    struct hunt_mark *marks = calloc(files.n + 1, sizeof *marks);
    size_t n_marks = 0;
    for (int i = 0; i < HUNT_N_LOGS; i++)
        fields_init(&fields[i], (enum hunt_log)i);
    for (size_t i = 0; result == 0 && i < files.n; i++) {
        bool marked;
        if (reading->stop && *reading->stop)
            result = err_set(err, -EINTR, "stopped");
        else
            result = read_one(&r, &files.at[i], fields, &marks[n_marks], &marked);
        n_marks += marked;
    }
    free(fields);
    files_done(&files);
    *out_counts = r.counts;
    *out_marks = marks;
    *out_n_marks = n_marks;
    return result;
}

void hunt_marks_free(struct hunt_mark *marks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(marks[i].path);
    free(marks);
}
