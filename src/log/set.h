/* Inside of a log set, shared by set.c (files, and what is written to them) and writer.c (the
 * workers' buffers): not for other folders. */
#ifndef LOG_SET_H
#define LOG_SET_H

#include <pthread.h>
#include <sys/types.h>

#include "log/live.h"
#include "log/period.h"
#include "log/record.h"

#define LOG_MAX_EXTRA 16
#define LOG_N_STREAMS 128 /* power of two; kinds of logs there can be */

struct log_file {
    const struct log_schema *schema;
    int fd;      /* -1: live, and no record came yet in this period */
    int error;   /* errno of the first refusal: nothing more is written (live: of the last write) */
    int refused; /* of lines that were left out, while others were written */
    uint64_t n_lost_bytes;
    pthread_mutex_t lock;

    /* Live. */
    off_t size; /* of the file's whole lines */
    bool torn;  /* there may be a part of a line behind them */
    uint64_t n_in_file;
    int64_t begin; /* of the period, seconds since the epoch */
    uint64_t n_lines, n_bytes, n_lost;
    int lost_error;
};

/* Of a live set. */
struct log_live {
    int dir_fd, live_fd, lock_fd;
    bool utc;
    int64_t period;
    int64_t (*clock)(void *with);
    void *with;
    int64_t begin, end; /* of the period, seconds since the epoch; under the set's lock */
    int64_t last;       /* when log_set_rotate was called last */
    bool finished;
    bool full; /* a write was refused for want of room */
    struct log_recovered recovered;
};

struct log_set {
    char *folder;
    enum log_format format;
    const struct log_column *extra;
    struct log_column renamed[LOG_MAX_EXTRA]; /* the same, for logs that have the name already */
    char names[LOG_MAX_EXTRA][48];
    uint16_t n_extra;
    uint64_t n_records, n_cut;
    size_t n_files;
    struct log_file files[LOG_N_STREAMS];
    pthread_mutex_t lock;
    struct log_live *live; /* NULL: plain files */
    void (*listener)(void *with, const struct log_schema *schema, const char *lines, size_t size,
                     uint64_t n_lines); /* or NULL */
    void *listener_with;
};

/* The schema's column, or the extra one after them, by the name it has in this log. */
const struct log_column *log_set_column(const struct log_set *set, const struct log_schema *schema,
                                        uint16_t index);

/* The file of this schema; it is the set's. Any worker may ask. */
struct log_file *log_set_file(struct log_set *set, const struct log_schema *schema);

/* Whole lines; false when some of them could not be written: they are counted in the file. */
bool log_file_write(struct log_set *set, struct log_file *file, const char *bytes, size_t size,
                    uint64_t n_lines);

/* A line that cannot be written, whatever the disk does. */
void log_file_lose(struct log_file *file, size_t size);

/* "#open" or "#close" with the time and a newline; the number of bytes. */
size_t log_stamp(char *out, size_t max, const char *name, int64_t seconds, bool utc);

/* The lines that a TSV file begins with. `seconds` below 0: without "#open". */
size_t log_header(const struct log_set *set, const struct log_schema *schema, int64_t seconds,
                  bool utc, char out[LOG_HEADER_MAX]);

/* live.c: the folder of a live set, and its files. */
int log_live_open(struct log_set *set, const struct log_live_options *options,
                  struct err *err) MUST_CHECK;
void log_live_close(struct log_set *set);
bool log_live_write(struct log_set *set, struct log_file *file, const char *bytes, size_t size,
                    uint64_t n_lines);
int64_t log_live_now(const struct log_live *live); /* seconds since the epoch */

/* leftover.c: finished files, and what was left of unfinished ones. */

/* The name with ".finished" for a log's file of this time that nobody has yet. */
#define LOG_FINISHED_SIZE (LOG_ARCHIVED_SIZE + 24)
int log_finished_name(const struct log_live *live, const char *name, const char *day,
                      const char *begin, const char *end, char out[LOG_FINISHED_SIZE]) MUST_CHECK;

/* Cuts a half line and adds the closing line. */
struct log_mended {
    bool tsv, has_records;
    uint64_t n_cut_bytes;
    int64_t modified; /* seconds since the epoch, before it was mended */
    char opened[32];  /* the time of "#open" as it stands there; or "" */
    double first;     /* JSON: the first record's ts; 0: unknown */
};
int log_mend(const struct log_live *live, const char *file, struct log_mended *out) MUST_CHECK;

/* Mends a live file that nobody writes and gives it its finished name, or removes an empty one. */
int log_put_aside(const struct log_live *live, const char *file, struct log_recovered *counts,
                  struct err *err) MUST_CHECK;
int log_recover(struct log_live *live, struct err *err) MUST_CHECK;

void log_finished_format(const struct log_archived *archived, char out[LOG_FINISHED_SIZE]);

/* Whether a file's name is a finished one's. */
bool log_finished_parse(const char *file, struct log_archived *out);

/* Whether it is in its day's folder, and if so what of it. */
bool log_is_archived(const struct log_live *live, const struct log_archived *archived,
                     int64_t size);

#endif
