/* For unit tests: a live log folder with a clock of its own, and what is in it. */
#ifndef LOG_LIVE_BED_H
#define LOG_LIVE_BED_H

#include "log/live.h"
#include "log/pack.h"
#include "log/record_bed.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>

#define LIVE_SECOND 1000000000ll

struct live_bed {
    char folder[40];
    int64_t now; /* ns since the epoch */
    struct log_live_options live;
    enum log_format format;
    struct log_set *set;
    struct log_writer *writer;
};

/* The text of an archived file, or NULL; the caller frees it. */
char *live_bed_unpack(const char *path);

static inline int64_t live_bed_clock(void *with)
{
    struct live_bed *b = with;
    return __atomic_load_n(&b->now, __ATOMIC_RELAXED);
}

/* UTC. */
static inline int64_t live_at(int year, int month, int day, int hour, int minute, int second)
{
    struct tm tm = {.tm_year = year - 1900,
                    .tm_mon = month - 1,
                    .tm_mday = day,
                    .tm_hour = hour,
                    .tm_min = minute,
                    .tm_sec = second};
    return (int64_t)timegm(&tm) * LIVE_SECOND;
}

static inline void live_bed_init(struct live_bed *b, int64_t now)
{
    *b = (struct live_bed){.now = now};
    b->live = (struct log_live_options){.utc = true, .clock = live_bed_clock, .with = b};
    snprintf(b->folder, sizeof b->folder, "/tmp/cloudspan-live.XXXXXX");
    assert_non_null(mkdtemp(b->folder));
}

static inline int live_bed_try(struct live_bed *b, struct err *err)
{
    struct log_set_options options = {.folder = b->folder, .format = b->format, .live = &b->live};
    return log_set_open(&options, &b->set, err);
}

static inline void live_bed_open(struct live_bed *b)
{
    struct err err;
    if (live_bed_try(b, &err) < 0)
        fail_msg("%s", err.text);
    b->writer = log_writer_new(b->set);
    assert_non_null(b->writer);
}

static inline void live_bed_close(struct live_bed *b)
{
    struct err err;
    log_writer_free(b->writer);
    if (log_set_close(b->set, &err) < 0)
        fail_msg("%s", err.text);
    b->writer = NULL;
    b->set = NULL;
}

static inline int live_bed_rotate(struct live_bed *b)
{
    struct err err;
    int result = log_set_rotate(b->set, &err);
    if (result < 0)
        fail_msg("%s", err.text);
    return result;
}

/* Until nothing is left to be archived; the sums of all steps. */
static inline struct log_archive_result live_bed_archive(struct live_bed *b)
{
    struct log_archive_result sum = {0}, one;
    do {
        struct err err;
        if (log_archive_step(b->set, NULL, &one, &err) < 0)
            fail_msg("%s", err.text);
        sum.n_archived += one.n_archived;
        sum.n_removed += one.n_removed;
        sum.n_bytes_in += one.n_bytes_in;
        sum.n_bytes_out += one.n_bytes_out;
    } while (one.n_pending);
    sum.n_kept = one.n_kept;
    return sum;
}

static inline char *live_bed_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = calloc(1, size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, size, file), size);
    fclose(file);
    return text;
}

/* A live file's text, or NULL; through the link, as everybody reads it. */
static inline char *live_bed_live(struct live_bed *b, const char *file)
{
    char path[200];
    snprintf(path, sizeof path, "%s/current/%s", b->folder, file);
    return live_bed_read(path);
}

/* Of "2026-11-22/conn.14:00:00-15:00:00.log" what the build's archiver makes, or NULL. */
static inline char *live_bed_archived(struct live_bed *b, const char *name)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s%s", b->folder, name, log_pack_suffix);
    return live_bed_unpack(path);
}

/* What a file of rows begins with. */
#define LIVE_HEADER(opened)                                                                        \
    "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n"                \
    "#path\trows\n#open\t" opened "\n#fields\tts\tn\n#types\ttime\tcount\n"

static const struct log_column live_columns[] = {{"ts", LOG_TIME}, {"n", LOG_COUNT}};
static const struct log_schema live_schema = {.name = "rows", LOG_COLUMNS(live_columns)};
static const struct log_schema live_other = {.name = "conn", LOG_COLUMNS(live_columns)};

static inline void live_bed_row(struct live_bed *b, const struct log_schema *of, uint64_t n)
{
    struct rec *rec = log_begin(b->writer, of);
    rec_time(rec, b->now);
    rec_count(rec, n);
    log_end(rec);
    log_writer_flush(b->writer);
}

/* A whole file: its header's and closing line's times, and its rows' numbers from `first` on. */
static inline void live_bed_check(char *text, const char *opened, const char *closed,
                                  uint64_t first, size_t n_rows)
{
    assert_non_null(text);
    char line[80];
    assert_int_equal(strncmp(text, "#separator \\x09\n", 16), 0);
    snprintf(line, sizeof line, "\n#open\t%s\n#fields\tts\tn\n#types\ttime\tcount\n", opened);
    if (!strstr(text, line))
        fail_msg("no %s in: %s", line, text);
    assert_null(strstr(text + 1, "#separator"));
    snprintf(line, sizeof line, "\n#close\t%s\n", closed);
    if (closed[0]) {
        assert_true(strlen(text) > strlen(line));
        if (strcmp(text + strlen(text) - strlen(line), line) != 0)
            fail_msg("does not end with %s: %s", line, text);
    } else {
        assert_null(strstr(text, "#close"));
    }
    assert_int_equal(log_rows(text), n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        char want[24];
        snprintf(want, sizeof want, "%llu", (unsigned long long)(first + i));
        CHECK_CELL(text, i, "n", want);
    }
    free(text);
}

static inline struct log_stats live_bed_stats(struct live_bed *b, const char *name)
{
    struct log_stats all[8], none = {.name = NULL};
    size_t n = log_set_stats(b->set, all, 8);
    for (size_t i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i];
    return none;
}

/* How many files (or folders) there are directly in a folder, "." and ".." left out. */
static inline unsigned live_bed_count(struct live_bed *b, const char *folder)
{
    char path[200];
    snprintf(path, sizeof path, "%s/%s", b->folder, folder);
    DIR *dir = opendir(path);
    unsigned n = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

static inline void live_bed_put(struct live_bed *b, const char *file, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", b->folder, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static inline int live_bed_remove_one(const char *path, const struct stat *st, int type,
                                      struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

static inline void live_bed_remove(struct live_bed *b)
{
    assert_int_equal(nftw(b->folder, live_bed_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
