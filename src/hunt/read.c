/* Reads log folders: which files, what is said of them, and the marks that they leave. */
#include "hunt/read.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "hunt/lanes.h"

#define WAIT_NS     INT64_C(200000000)
#define PROGRESS_NS INT64_C(100000000)

/* So many lines are looked at before a file is given up. */
#define GIVE_UP_LINES 1000

/* The file that is read now. */
struct current {
    const struct files_one *file;
    uint64_t n_physical, n_lines, n_bad, n_long;
    uint64_t first_bad; /* a line's number */
    const char *what, *why;
    uint64_t end;                   /* in its text, of what was delivered */
    uint64_t disk;                  /* of its bytes */
    bool told;                      /* reading->file was called */
    int64_t first, last;            /* ns: of its records */
    uint64_t n, n_as_before;        /* records, and those of the times of `before` */
    const struct hunt_mark *before; /* what had its name in the run before */
};

struct reader_state {
    const struct hunt_reading *want;
    struct hunt_read_counts counts;
    struct marks marks;
    struct hunt_mark *out;
    size_t n_out;
    struct current now;
    uint64_t done, total;
    int64_t progress_at;
};

__attribute__((format(printf, 3, 4))) static void say(const struct reader_state *r,
                                                      const char *path, const char *format, ...)
{
    char text[1024], line[6000];
    va_list list;
    if (!r->want->say)
        return;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    (void)snprintf(line, sizeof line, "%s: %s", path, text);
    r->want->say(r->want->with, line);
}

static void progress(struct reader_state *r, bool now)
{
    int64_t ticks = clock_ticks();
    if (!r->want->progress || (!now && ticks - r->progress_at < PROGRESS_NS))
        return;
    r->progress_at = ticks;
    uint64_t done = r->done + r->now.disk;
    r->want->progress(r->want->with, done < r->total ? done : r->total, r->total);
}

/* What was wrong with the first bad line, for a sentence. */
static void explain(const struct reader_state *r, const struct stream *stream, char *out,
                    size_t size)
{
    const struct current *c = &r->now;
    char behind[64] = "";
    if (stream->resume)
        (void)snprintf(behind, sizeof behind, " behind byte %llu",
                       (unsigned long long)stream->resume);
    (void)snprintf(out, size, "line %llu%s: %s%s%s", (unsigned long long)c->first_bad, behind,
                   c->what ? c->what : "it", " ", c->why);
}

/* A block's counts, into its file's and the whole's. */
static void count(struct reader_state *r, const struct block *block)
{
    const struct parsed *p = &block->parsed;
    struct current *c = &r->now;
    uint64_t n_long = p->n_long + block->n_long;
    if (c->first_bad == 0 && block->n_long > 0) {
        c->first_bad = c->n_physical + 1;
        c->what = NULL;
        c->why = "is longer than a mebibyte";
    } else if (c->first_bad == 0 && p->first_bad > 0) {
        c->first_bad = c->n_physical + p->first_bad;
        c->what = p->what;
        c->why = p->why;
    }
    c->n_physical += p->n_physical + block->n_long;
    c->n_lines += p->n_lines + block->n_long;
    c->n_bad += p->n_bad;
    c->n_long += n_long;
    c->end = block->end;
    r->counts.n_bytes += block->size;
    r->counts.n_lines += p->n_lines + block->n_long;
    r->counts.n_records += p->n;
    r->counts.n_bad_lines += p->n_bad;
    r->counts.n_long_lines += n_long;
}

static void deliver(struct reader_state *r, const struct block *block)
{
    const struct parsed *p = &block->parsed;
    if (p->n == 0)
        return;
    for (size_t i = 0; i < p->n; i++) {
        int64_t ts = p->records[i].ts;
        r->now.first = r->now.n == 0 || ts < r->now.first ? ts : r->now.first;
        r->now.last = r->now.n == 0 || ts > r->now.last ? ts : r->now.last;
        r->now.n++;
        r->now.n_as_before += r->now.before && r->now.before->last > 0 &&
                              ts >= r->now.before->first && ts <= r->now.before->last;
    }
    if (!r->now.told && r->want->file)
        r->want->file(r->want->with, r->now.file->path);
    r->now.told = true;
    r->want->records(r->want->with, p->records, p->n);
}

static bool too_many_bad(const struct current *c)
{
    return c->n_lines > GIVE_UP_LINES && (c->n_bad + c->n_long) * 4 > c->n_lines;
}

static void say_bad(struct reader_state *r, const struct stream *stream)
{
    const struct current *c = &r->now;
    char first[256];
    if (c->first_bad == 0)
        return;
    explain(r, stream, first, sizeof first);
    if (too_many_bad(c)) {
        r->counts.n_given_up++;
        say(r, c->file->path,
            "given up: %llu of its first %llu lines came to nothing, the first of them %s",
            (unsigned long long)(c->n_bad + c->n_long), (unsigned long long)c->n_lines, first);
    } else {
        say(r, c->file->path, "%llu of its %llu lines came to nothing, the first of them %s",
            (unsigned long long)(c->n_bad + c->n_long), (unsigned long long)c->n_lines, first);
    }
}

/* A last line without its end, or a packed file without its end. */
static void say_cut(struct reader_state *r, const struct stream *stream, bool partial)
{
    const char *path = r->now.file->path;
    bool live = strstr(path, "/current/") || strstr(path, "/.live/") || strstr(path, "/spool/");
    if (stream->damaged || stream->cut) {
        r->counts.n_cut_files++;
        say(r, path, "the packed file is %s (potentially truncated); it was read up to there",
            stream->damaged ? "damaged" : "cut off");
    } else if (partial && !live) {
        r->counts.n_cut_files++;
        say(r, path, "its last line is cut off (potentially truncated), or is still being written");
    }
}

static bool add_mark(struct reader_state *r, const struct stream *stream)
{
    if (r->now.file->stream)
        return true;
    struct hunt_mark *mark = &r->out[r->n_out];
    const struct hunt_mark *old = stream->resumed;
    if (!stream_mark(stream, r->now.end, mark))
        return false;
    r->n_out++;
    mark->first = r->now.n ? r->now.first : 0;
    mark->last = r->now.n ? r->now.last : 0;
    if (old && old->last > 0) {
        mark->first = r->now.n && r->now.first < old->first ? r->now.first : old->first;
        mark->last = r->now.last > old->last ? r->now.last : old->last;
    }
    return true;
}

/* A capture that was read again into the same folder, say. Finished logs that move on are followed
 * by others, of later times; long connections in those began before. */
static void note_rewritten(struct reader_state *r, const struct stream *stream)
{
    size_t at;
    if (stream->resumed) {
        if (marks_free_of(&r->marks, stream->resumed, &at))
            r->marks.is_found[at] = true;
        return;
    }
    if (!r->now.before || r->now.n == 0 || r->now.n_as_before * 2 <= r->now.n)
        return;
    if (marks_free_of(&r->marks, r->now.before, &at)) {
        if (r->marks.is_found[at])
            return; /* it moved on: what is here is another one */
        r->marks.is_found[at] = true;
    }
    r->counts.n_rewritten++;
}

/* Takes the file's blocks, up to its last. */
static int read_file(struct reader_state *r, struct lanes *lanes, struct err *err)
{
    const struct stream *stream = lanes_stream(lanes);
    bool last = false, partial = false;
    int result = 0;
    r->counts.n_files++;
    while (!last && result == 0) {
        if (r->want->stop && *r->want->stop)
            return err_set(err, -EINTR, "reading was stopped");
        struct block *block = lanes_take(lanes, WAIT_NS);
        progress(r, false);
        if (!block)
            continue;
        r->now.disk += block->disk;
        last = block->last;
        result = block->result;
        if (result < 0) {
            if (result == -ENOMEM)
                (void)err_set(err, result, "%s: %s", r->now.file->path, block->err.text);
            else
                say(r, r->now.file->path, "%s", block->err.text);
        } else if (block->partial) {
            partial = true;
            r->now.end = block->end - block->size;
        } else {
            count(r, block);
            deliver(r, block);
            last |= too_many_bad(&r->now);
        }
        lanes_give_back(lanes, block);
    }
    if (result == -ENOMEM)
        return result;
    if (result < 0) {
        r->counts.n_foreign_files += result == -EINVAL;
        r->counts.n_unreadable += result != -EINVAL;
        /* What was read of it is not read again; what was not is tried again. */
        if (r->now.end == 0)
            return 0;
        if (!add_mark(r, stream))
            return err_set(err, -ENOMEM, "no memory for the marks of logs");
        if (!stream->file->stream)
            r->out[r->n_out - 1].size = 0;
        return 0;
    }
    note_rewritten(r, stream);
    say_bad(r, stream);
    if (!too_many_bad(&r->now))
        say_cut(r, stream, partial);
    return add_mark(r, stream) ? 0 : err_set(err, -ENOMEM, "no memory for the marks of logs");
}

static int read_files(struct reader_state *r, const struct files_one *const *todo, size_t n,
                      struct err *err)
{
    struct lanes *lanes = NULL;
    struct fields *fields = calloc(HUNT_N_LOGS, sizeof *fields);
    struct lanes_options options = {.files = todo,
                                    .n_files = n,
                                    .fields = fields,
                                    .marks = &r->marks,
                                    .n_threads = r->want->n_threads,
                                    .since = r->want->since};
    size_t i = 0;
    if (!fields)
        return err_set(err, -ENOMEM, "no memory to read logs");
    for (int log = 0; log < HUNT_N_LOGS; log++)
        fields_init(&fields[log], (enum hunt_log)log);
    if (options.n_threads == 0) {
        cpu_set_t cpus;
        int n_cpus = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
        options.n_threads = n_cpus > 0 ? (unsigned)n_cpus : 1;
    }
    int result = lanes_new(&options, &lanes, err);
    for (; result == 0 && i < n; i++) {
        r->now = (struct current){.file = todo[i]};
        if (!todo[i]->stream)
            r->now.before = marks_of_path(&r->marks, todo[i]->path);
        result = read_file(r, lanes, err);
        if (result < 0)
            break;
        r->done += todo[i]->size;
        r->now.disk = 0;
        lanes_next(lanes);
    }
    /* What was delivered of the file that it was stopped in, and what was known of the others. */
    if (result == -EINTR && i < n) {
        const struct stream *stream = lanes_stream(lanes);
        size_t at = i;
        if (r->now.end > 0 && add_mark(r, stream)) {
            if (!stream->file->stream)
                r->out[r->n_out - 1].size = 0; /* there is more of it */
            at++;
        }
        for (; at < n; at++) {
            const struct hunt_mark *old = marks_of_path(&r->marks, todo[at]->path);
            if (old)
                r->n_out += marks_keep(old, false, &r->out[r->n_out]);
        }
    }
    lanes_free(lanes);
    free(fields);
    return result;
}

int hunt_read(const struct hunt_reading *reading, struct hunt_read_counts *out_counts,
              struct hunt_mark **out_marks, size_t *out_n_marks, struct err *err)
{
    struct reader_state r = {.want = reading};
    struct files files;
    struct files_want want = {.paths = reading->paths,
                              .n_paths = reading->n_paths,
                              .logs = reading->logs ? reading->logs : UINT32_MAX,
                              .since = reading->since,
                              .n_days = reading->n_days,
                              .with = reading->with,
                              .say = reading->say};
    int result = files_find(&want, &files, err);
    if (result < 0)
        return result;
    r.counts.n_old_files = files.n_old;
    const struct files_one **todo = calloc(files.n + 1, sizeof *todo);
    size_t n_todo = 0;
    int64_t newest = 0;
    if (files.n == 0)
        result = err_set(err, -ENOENT, "there are no Zeek logs in it");
    else
        result = marks_init(&r.marks, reading->marks, reading->n_marks, &files, err);
    r.out = calloc(files.n + reading->n_marks + 1, sizeof *r.out);
    if (result == 0 && (!todo || !r.out))
        result = err_set(err, -ENOMEM, "no memory for the names of %zu logs", files.n);
    for (size_t i = 0; result == 0 && i < files.n; i++) {
        struct files_one *file = &files.at[i];
        newest = file->modified > newest ? file->modified : newest;
        if (marks_unchanged(&r.marks, file)) {
            r.counts.n_skipped_files++;
            r.n_out += marks_keep(marks_of_path(&r.marks, file->path), false, &r.out[r.n_out]);
            continue;
        }
        r.total += file->size;
        todo[n_todo++] = file;
    }
    r.counts.n_unreadable = files.n_unreadable;
    if (result == 0 && n_todo)
        result = read_files(&r, todo, n_todo, err);
    if (result == 0 || result == -EINTR)
        for (size_t i = 0; i < r.marks.n_free; i++)
            if (marks_stays(r.marks.free[i], newest))
                r.n_out += marks_keep(r.marks.free[i], r.marks.replaced[i], &r.out[r.n_out]);
    for (size_t i = 0; result == 0 && i < r.marks.n_free; i++)
        r.counts.n_gone += !r.marks.is_found[i] && r.marks.free[i]->last > 0;
    if (result == 0)
        progress(&r, true);
    marks_done(&r.marks);
    free(todo);
    files_done(&files);
    if (result < 0 && result != -EINTR) {
        hunt_marks_free(r.out, r.n_out);
        return result;
    }
    *out_counts = r.counts;
    *out_marks = r.out;
    *out_n_marks = r.n_out;
    return result;
}

void hunt_marks_free(struct hunt_mark *marks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(marks[i].path);
    free(marks);
}
