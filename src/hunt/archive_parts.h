/* Inside the archive: only archive*.c and their tests include this. */
#ifndef HUNT_ARCHIVE_PARTS_H
#define HUNT_ARCHIVE_PARTS_H

#include <sqlite3.h>

#include "hunt/archive.h"

#define ARCHIVE_VERSION 2
#define ARCHIVE_ID      0x63736875 /* of SQLite's application_id: "cshu" */
#define ARCHIVE_DAYS    64         /* of books that are kept, the newest ones */
#define ARCHIVE_BOOKS   (ARCHIVE_DAYS * BOOK_PARTS)

/* Days' books as they were when something was done with them. */
struct archive_days {
    struct {
        int64_t day;
        unsigned part;
        const struct book *book; /* to compare, never read */
        uint64_t n_changes;
    } at[ARCHIVE_BOOKS];
    size_t n;
};
void archive_days_note(struct archive_days *days, const struct book *book);
/* The book is the one that was noted, and did not change since. */
bool archive_days_has(const struct archive_days *days, const struct book *book);
bool archive_days_knows(const struct archive_days *days, int64_t day);

struct hunt_archive {
    sqlite3 *db;
    char *path;
    int lock; /* -1: only read, or in memory */
    bool read_only;
    bool is_void;  /* its books are of other settings: there are no marks either */
    int64_t clock; /* s; 0: the system's */
    uint64_t secret;
    int64_t expired, told_expired; /* s: when it was last looked for what is old */
    sqlite3_stmt *ask_seen;        /* kept, since it is asked for each candidate; NULL: not yet */
    struct archive_days stored;    /* loaded or saved: as they are in the file */
    struct archive_days learned;   /* whose names and addresses are in the file */
};

int archive_open(const char *path, bool read_only, int patience_ms, struct hunt_archive **out,
                 struct err *err) MUST_CHECK;

int64_t archive_now(const struct hunt_archive *archive); /* s */

/* What SQLite says, as a sentence and an errno. */
int archive_trouble(const struct hunt_archive *archive, struct err *err) MUST_CHECK;
/* What it says is to be done with a damaged file; and a sentence without, where it is done. */
#define ARCHIVE_HINT "; move it away: the logs are read again"
void archive_no_hint(struct err *err);
/* Whether the last statement failed as the file is in disorder. */
bool archive_is_bad(const struct hunt_archive *archive);
/* Puts the file aside and makes a new one, with the same secret. */
int archive_renew(struct hunt_archive *archive, struct err *err) MUST_CHECK;

int archive_do(struct hunt_archive *archive, const char *sql, struct err *err) MUST_CHECK;
/* With numbers for its '?'. */
int archive_put(struct hunt_archive *archive, const char *sql, const int64_t *numbers, int n,
                struct err *err) MUST_CHECK;
/* -ENOENT without a sentence: there is none of this name. */
int archive_get_meta(struct hunt_archive *archive, const char *name, int64_t *out,
                     struct err *err) MUST_CHECK;
int archive_set_meta(struct hunt_archive *archive, const char *name, int64_t value,
                     struct err *err) MUST_CHECK;

/* A transaction: COMMIT where `result` is not negative, else (or where that fails) ROLLBACK. */
int archive_begin(struct hunt_archive *archive, struct err *err) MUST_CHECK;
int archive_end(struct hunt_archive *archive, int result, struct err *err) MUST_CHECK;

#endif
