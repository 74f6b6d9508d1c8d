/* Writing log records: one call a column, in the schema's order, straight into the output buffer.
 *
 *     struct rec *rec = log_begin(writer, &schema);
 *     rec_time(rec, ts);
 *     rec_str(rec, name);          an unset str (at == NULL) is written as unset
 *     rec_set_begin(rec); rec_item_str(rec, a); rec_item_str(rec, b); rec_set_end(rec);
 *     log_end(rec);
 *
 * Logs of a connection are begun with flow_log_begin() (flow/flow.h), which writes the first six
 * columns, and ended with flow_log_end(), which adds the extra ones. Every column must be written:
 * debug builds assert the number and the type of each. Nothing here can fail for the caller; bytes
 * the disk refused are counted and said by the log set. Escaping is done here, so callers hand over
 * bytes as they came from the wire. */
#ifndef LOG_RECORD_H
#define LOG_RECORD_H

#include "base/err.h"
#include "base/str.h"
#include "log/schema.h"
#include "net/addr.h"

enum log_format { LOG_FORMAT_TSV, LOG_FORMAT_JSON };

struct rec;
struct log_set;    /* the files of a run, shared by its workers */
struct log_writer; /* one worker's buffers over them */

struct log_set_options {
    const char *folder;
    enum log_format format;
    /* Columns added to logs of connections; may be NULL. Where a log has a column of that name
     * itself (weird.log's source), "mirror_" is put in front. */
    const struct log_column *extra;
    uint16_t n_extra;
    /* Files that change with the hour and survive what may happen: see live.h, which has the
     * functions. NULL: plain files in the folder. */
    const struct log_live_options *live;
};

/* The folder is made when it is not there. Files are opened when their first record comes. A live
 * folder is locked, and what a killed run left there is put in order first. */
int log_set_open(const struct log_set_options *options, struct log_set **out,
                 struct err *err) MUST_CHECK;
/* Writes the closing lines. -EIO when some bytes could not be written: err says which and why. Live
 * files are finished (log_set_finish) where that was not done. */
int log_set_close(struct log_set *set, struct err *err) MUST_CHECK;
uint64_t log_set_n_records(const struct log_set *set);
uint64_t log_set_n_cut(const struct log_set *set); /* texts that were cut to keep lines short */

/* Calls `take` with all lines, whole ones, before they are written, and whether or not the disk
 * then takes them: from any thread that flushes a writer, so it has to be quick. Before the first
 * writer is made. */
void log_set_listen(struct log_set *set,
                    void (*take)(void *with, const struct log_schema *schema, const char *lines,
                                 size_t size, uint64_t n_lines),
                    void *with);
/* The lines that a TSV file of this log begins with, but for "#open"; the number of bytes. In a
 * JSON set there are none. */
#define LOG_HEADER_MAX 16384
size_t log_set_header(const struct log_set *set, const struct log_schema *schema,
                      char out[LOG_HEADER_MAX]);

struct log_writer *log_writer_new(struct log_set *set);
void log_writer_flush(struct log_writer *writer);
void log_writer_free(struct log_writer *writer); /* flushes first */

struct rec *log_begin(struct log_writer *writer, const struct log_schema *schema);
void log_end(struct rec *rec);

/* Ends the record and keeps it: its line, borrowed until the next log_begin with this schema, for
 * who writes it again elsewhere (log_line). Empty: the record was too long and is lost. */
struct str log_end_line(struct rec *rec);

/* Ends the record without keeping it: its line, borrowed until the next log_begin with this schema.
 * For rows of which it is not known yet whether they are to be written. */
struct str log_cut(struct rec *rec);
/* A line that log_cut gave. */
void log_line(struct log_writer *writer, const struct log_schema *schema, struct str line);

void rec_unset(struct rec *rec);
void rec_time(struct rec *rec, int64_t ns);
void rec_time_seconds(struct rec *rec, int64_t seconds); /* beyond 2262 as well */
void rec_interval(struct rec *rec, int64_t ns);
void rec_str(struct rec *rec, struct str text);
void rec_text(struct rec *rec,
              const char *text); /* constant or trusted: not escaped; NULL: unset */
void rec_addr(struct rec *rec, const struct addr *addr);
void rec_port(struct rec *rec, uint16_t port);
void rec_count(struct rec *rec, uint64_t value);
void rec_int(struct rec *rec, int64_t value);
void rec_double(struct rec *rec, double value);
void rec_bool(struct rec *rec, bool value);

/* Several columns at once, rendered before by rec_keep: the same in every record they are put into.
 * For values that belong to many records and seldom change. */
#define REC_KEPT_MAX 512
struct rec_kept {
    uint16_t n_columns;
    uint16_t size; /* 0: nothing is kept */
    char bytes[REC_KEPT_MAX];
};
/* Where the record is: what is written from here on can be kept. */
size_t rec_mark(const struct rec *rec);
/* Keeps the columns since `mark`, `n_columns` of them; nothing where they are too long. */
void rec_keep(const struct rec *rec, size_t mark, uint16_t n_columns, struct rec_kept *out);
void rec_put_kept(struct rec *rec, const struct rec_kept *kept);

/* Sets and vectors: begin, items, end. None between begin and end is "(empty)". */
void rec_set_begin(struct rec *rec);
void rec_item_str(struct rec *rec, struct str text);
void rec_item_text(struct rec *rec, const char *text); /* trusted; NULL: an unset item, "-" */
void rec_item_interval(struct rec *rec, int64_t ns);
void rec_item_addr(struct rec *rec, const struct addr *addr);
void rec_item_count(struct rec *rec, uint64_t value);
void rec_set_end(struct rec *rec);

#endif
