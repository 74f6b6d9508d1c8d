/* What hunts keep of one day's records: tables of small values by keys ("tallies"), in memory with
 * a budget. A hunt declares its tables; looking up, the budget, saving to a file, and putting two
 * books together are the same for all.
 *
 * Keys and values are plain bytes without pointers, padding zeroed, so that a book can be saved as
 * it is. A text is kept once (book_text) and known by its hash. What must be kept of each event is
 * in a series, a member of the value. */
#ifndef HUNT_BOOK_H
#define HUNT_BOOK_H

#include "base/err.h"
#include "hunt/record.h"

struct book;

/* Hash of a text that the book keeps; 0: none. Keyed with the book's secret, which all books of one
 * archive share. */
typedef uint64_t book_name; /* the one typedef: a hash is not a count */

#define BOOK_SERIES_MAX 1000000 /* events of one series; later ones are counted, not kept */

/* One connection, request or query. */
struct book_event {
    int64_t ts;        /* ms since the epoch, rounded down */
    uint64_t duration; /* us */
    uint32_t up, down; /* IP bytes of connections, body bytes of requests; capped */
    bool failed;       /* nothing came of it: S0, REJ, RSTOS0, SH ... */
};

/* A member of a value. Its events are packed in the book (some 10 bytes each). */
struct book_series {
    uint32_t first, last; /* blocks of the book; 0: none */
    uint32_t n;           /* events kept */
    uint32_t n_refused;   /* over BOOK_SERIES_MAX, or over the budget */
    int64_t last_ts;      /* of the packing */
};

struct book_table {
    const char *name; /* unique in the program: it is the table's name in the saved form */
    uint16_t version; /* of the key's and value's layout: what was saved with another is left out */
    uint16_t key_size, value_size;
    /* Offsets of the series in the value; at most 4. */
    uint16_t series_at[4];
    uint8_t n_series;
    /* Adds what another book has of the same key, all but the series. */
    void (*merge)(void *into, const void *from);
    /* Whether bytes of a file can be a value of this table (counts of members within their arrays,
     * enums in range); NULL: all can. Without it, what reads the value must bear any bytes. */
    bool (*good)(const void *key, const void *value);
};

/* `memory`: bytes. NULL: out of memory. `secret` is for hashes. */
struct book *book_new(int64_t day, size_t memory, uint64_t secret);
void book_free(struct book *book);
int64_t book_day(const struct book *book); /* days since the epoch, UTC */

/* A day has several books, each with what some of the hosts began (pairs_part), so that as many
 * threads can fill them. A new book is the first part. */
#define BOOK_PARTS 4
unsigned book_part(const struct book *book);
void book_set_part(struct book *book, unsigned part);
size_t book_used(const struct book *book); /* bytes of memory, all told */
/* Of what is kept already nothing goes. */
void book_set_memory(struct book *book, size_t memory);

/* The value of the key, made zeroed where there was none; NULL: no room, which is counted.
 * Borrowed until the book's next book_at of this table. */
void *book_at(struct book *book, const struct book_table *table, const void *key, bool *out_new);
void *book_find(const struct book *book, const struct book_table *table, const void *key);
size_t book_n(const struct book *book, const struct book_table *table);
/* In a large table most of the time of book_at is waiting for memory. Who knows what keys come next
 * (a batch of records) can have it brought: step 0 some twelve keys ahead, then step 1 eight ahead,
 * then step 2 four ahead. It changes nothing. */
void book_fetch(const struct book *book, const struct book_table *table, const void *key,
                unsigned step);

/* The same for a text that will be kept, or looked for, by its hash. */
void book_fetch_text(const struct book *book, book_name name, unsigned step);

/* Keeps the text (at most 1024 bytes of it) and gives its hash (that of those bytes); 0 for an
 * empty text. The text of a hash stays where it is as long as the book lives. */
book_name book_text(struct book *book, struct str text);
book_name book_hash(const struct book *book, struct str text);      /* without keeping it */
struct str book_name_text(const struct book *book, book_name name); /* unset: not kept here */

void book_add_event(struct book *book, struct book_series *series, const struct book_event *event);
/* In the order in which they came; gives their number, at most `max`. */
size_t book_events(const struct book *book, const struct book_series *series,
                   struct book_event *out, size_t max);

struct book_refused {
    uint64_t n_keys, n_events, n_texts; /* for want of room */
    uint64_t n_over;                    /* events of series that are full: BOOK_SERIES_MAX */
};
void book_count(const struct book *book, struct book_refused *out);

/* As bytes for an archive (packed), and back. What is wrong in them is refused with a reason, and
 * never trusted. `tables`: all that there may be. */
int book_save(const struct book *book, const struct book_table *const *tables, size_t n_tables,
              void **out, size_t *out_size, struct err *err) MUST_CHECK;
int book_load(const void *bytes, size_t size, const struct book_table *const *tables,
              size_t n_tables, size_t memory, uint64_t secret, struct book **out,
              struct err *err) MUST_CHECK;

/* ---- several books at once ---- */

struct books {
    struct book **at; /* by day, oldest first, and part */
    size_t n;
};

/* Calls for every key of any of the books, with the values put together (a copy in `value`, its
 * series empty), from `n_threads` threads at once: the order is not said. `each` reads series with
 * books_events, by the key. */
typedef void books_each_fn(void *with, const void *key, const void *value);
void books_each(const struct books *books, const struct book_table *table, unsigned n_threads,
                books_each_fn *each, void *with);
/* The merged value of one key; false: no book has it. */
bool books_find(const struct books *books, const struct book_table *table, const void *key,
                void *out_value);
/* Events of the key's n-th series in all books with from <= ts < to (ms), by ts; on the heap, the
 * caller frees them. False: no memory. */
bool books_events(const struct books *books, const struct book_table *table, const void *key,
                  unsigned series, int64_t from, int64_t to, struct book_event **out,
                  size_t *out_n);
struct str books_text(const struct books *books, book_name name);
size_t books_n_days(const struct books *books);

#endif
