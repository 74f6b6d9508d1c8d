/* Reading log folders: finds the files, reads them with all cores, and gives their records in an
 * order that is the same however many threads there are.
 *
 * What is read: conn.log, open_conn.log, http, open_http, ssl, open_ssl, quic, dns, ssh, x509,
 * notice, capture_loss; TSV or JSON (also with id_orig_h for id.orig_h), plain or gzip; names as
 * Zeek rotates them (conn.HH:MM:SS-HH:MM:SS.log.gz, also with '_' for ':'), Corelight's and
 * Security Onion's (conn_YYYYMMDD_HH:MM:SS-HH:MM:SS+0000.log.gz), a prefix in front
 * (NASHUA_conn.log); in folders named YYYY-MM-DD, `current`, or any other, to a depth of 4. Of a
 * log that is there both plain and packed, the newest is read. Single files can be given as well,
 * and "-".
 *
 * Order: by day, then hour (of the folder's and the file's names), then as in enum hunt_log. */
#ifndef HUNT_READ_H
#define HUNT_READ_H

#include <signal.h>

#include "base/err.h"
#include "hunt/record.h"

/* How far a file was read, so that a later run reads only what is new. The file is known by its
 * path, and by the bytes it begins with: a rotated one that took the name is another file, and one
 * that was rotated and packed is still the same. Marks of files that are gone are kept for two
 * days, for they may turn up under another name. Paths are unique. */
struct hunt_mark {
    char *path;
    uint64_t offset;  /* bytes of whole lines that were read; of gzip: of the text in it */
    uint64_t size;    /* of the file, when it was read */
    int64_t modified; /* ns since the epoch */
    uint64_t
        beginning;     /* hash of its first bytes (at most 4096 of those read); 0: none were read */
    uint32_t n_hashed; /* so many they were */
    int64_t first, last; /* ns: of the records in it; both 0: there were none */
};

/* Lines that came to nothing, by reason. Each file that has any is said once, with the first such
 * line's number and what is wrong with it. */
struct hunt_read_counts {
    uint64_t n_files, n_bytes; /* of text */
    uint64_t n_lines, n_records;
    uint64_t n_skipped_files; /* read before and not changed */
    uint64_t n_old_files;     /* of days before the last `n_days` */
    uint64_t n_foreign_files; /* not a Zeek log, or another than the name says */
    uint64_t n_bad_lines;     /* wrong number of columns, not JSON, no good time or address */
    uint64_t n_long_lines;    /* above HUNT_LINE_MAX; skipped to the next line's end */
    uint64_t n_cut_files;     /* the last line, or the gzip stream, ends early */
    uint64_t n_given_up;      /* files of whose lines too many are bad: the rest is left out */
    uint64_t n_unreadable;    /* files: permissions, disk */
    /* Files whose place another took, with records of the same times: what was read of them before
     * counts beside what is there now. And files with a mark that are not there any more: reading
     * all again would lose them. */
    uint64_t n_rewritten, n_gone;
};

#define HUNT_LINE_MAX (1u << 20)

struct hunt_reading {
    const char *const *paths; /* folders and files */
    size_t n_paths;
    unsigned n_threads; /* 0: as many as there are processors */
    uint32_t logs;      /* HUNT_LOG_BIT of those that are wanted; 0: all */
    int64_t since;      /* ns: older records are not given, files of earlier days not opened */
    uint32_t n_days;    /* of files whose names say their day: the newest day's, and of the days
                         * before it; 0: all */
    const volatile sig_atomic_t *stop; /* set: ends early, with -EINTR; may be NULL */

    /* Of a run before; may be NULL. */
    const struct hunt_mark *marks;
    size_t n_marks;

    void *with;
    /* From one thread, in order. */
    void (*records)(void *with, const struct hunt_record *records, size_t n);
    /* Before a file's first record; may be NULL. */
    void (*file)(void *with, const char *path);
    /* A sentence about a file, for people; may be NULL. */
    void (*say)(void *with, const char *text);
    /* Several times a second; may be NULL. Bytes on disk, of all files. */
    void (*progress)(void *with, uint64_t done, uint64_t total);
};

/* The marks are the caller's to free (hunt_marks_free). -ENOENT: there is no log in all the paths.
 * With -EINTR counts and marks are given as well, of exactly the records that were given.
 * Marks do not know of `since`: what it left out is marked as read. */
int hunt_read(const struct hunt_reading *reading, struct hunt_read_counts *out_counts,
              struct hunt_mark **out_marks, size_t *out_n_marks, struct err *err) MUST_CHECK;
void hunt_marks_free(struct hunt_mark *marks, size_t n);

/* ---- one log's text, in pieces as it comes: what reading files and the running watch share ----
 */

/* Knows its log's columns after the first lines (TSV), or takes them as they come (JSON). */
struct hunt_lines;

/* `log`: what the name says. NULL: out of memory. */
struct hunt_lines *hunt_lines_new(enum hunt_log log);
void hunt_lines_free(struct hunt_lines *lines);

/* Whole lines (`size` bytes that end with a newline; at most 16 MiB a call). The records are
 * borrowed until the next call, and of the text as long as that stays. Gives their number; what
 * came to nothing is counted in `counts`. Negative: this is not a Zeek log, or not this one; it
 * stays so. */
struct err;
long hunt_lines_take(struct hunt_lines *lines, const char *text, size_t size,
                     const struct hunt_record **out, struct hunt_read_counts *counts,
                     struct err *err) MUST_CHECK;

#endif
