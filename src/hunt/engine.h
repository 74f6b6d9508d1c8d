/* All hunts over one stream of records: books by day, the joining of pairs, the judging. Used by
 * `cloudspan hunt` over folders and by the running watch; not from two threads at once. */
#ifndef HUNT_ENGINE_H
#define HUNT_ENGINE_H

#include "hunt/hunt.h"

struct hunt_world;

/* Of the configuration's `hunts:` and the command line. Owned strings; hunt_settings_done. */
struct hunt_settings {
    struct hunt_scope scope;
    uint64_t memory; /* bytes; 0: hunt_settings_memory */
    int64_t window;  /* ms judged: 24 h; 1 h and 7 d are tried by the hunts themselves */
    uint32_t days;   /* that are kept in memory: 8 */
    char **feeds;    /* files and folders of *.txt */
    size_t n_feeds;
    char **safelists; /* files */
    size_t n_safelists;
    char **off; /* names of hunts that do not run */
    size_t n_off;
    bool live;      /* a running watch hunts: yes */
    int64_t every;  /* ns between two of its judgings: 10 s; more where one takes long */
    int alert;      /* enum hunt_severity from which on it tells: HUNT_HIGH */
    void *blob[32]; /* each hunt's settings, in the order of hunts[] */
};
void hunt_settings_init(struct hunt_settings *settings);
void hunt_settings_done(struct hunt_settings *settings);
/* What is given, or else 2 GiB, but at most half of the machine's. */
uint64_t hunt_settings_memory(const struct hunt_settings *settings);

struct hunt_engine;
/* The feeds are read; what is wrong with them is an error. `settings` must outlive the engine. */
int hunt_engine_new(const struct hunt_settings *settings, uint64_t secret, struct hunt_engine **out,
                    struct err *err) MUST_CHECK;
void hunt_engine_free(struct hunt_engine *engine);
/* From now on the engine goes by these settings, which must outlive it; `feeds` are taken over
 * (NULL: there are none; those of the settings are not read). What it has taken stays as it was
 * taken; the next judging judges all of it anew. The days and the memory stay. After an error
 * nothing is changed, and the feeds are still the caller's. */
struct feeds;
int hunt_engine_change(struct hunt_engine *engine, const struct hunt_settings *settings,
                       struct feeds *feeds, struct err *err) MUST_CHECK;

/* Up to `n` threads take records from now on, this one among them; what is found is the same. */
void hunt_engine_threads(struct hunt_engine *engine, unsigned n);

/* Books that were made before (of an archive): taken over. Of a day that has records already, it
 * goes: give them before the first record. */
void hunt_engine_add_book(struct hunt_engine *engine, struct book *book);
void hunt_engine_take(struct hunt_engine *engine, const struct hunt_record *records, size_t n);

/* The days that are judged and kept, with all that was joined so far put in; until the next
 * hunt_engine_take. */
struct books hunt_engine_books(const struct hunt_engine *engine);
/* Of all records, ms; what the window ends with. 0: there are none. */
int64_t hunt_engine_newest(const struct hunt_engine *engine);
/* Whom to ask when a name or an external address was seen first (ms, HUNT_UNSET: never before);
 * called by one thread at a time. `since`: ms, how far back its memory goes. */
void hunt_engine_history(struct hunt_engine *engine, int64_t since,
                         int64_t (*first_seen)(void *with, uint64_t key), void *with);
/* The keys of it: a name's is its book_name. */
uint64_t hunt_first_seen_key(uint64_t secret, const struct hunt_host *host);
uint64_t hunt_engine_secret(const struct hunt_engine *engine);
uint32_t hunt_logs_wanted(void); /* HUNT_LOG_BIT of all hunts and of pairs */
/* All hunts' tables and those of pairs.h: for book_save. Ended by NULL; gives their number. */
size_t hunt_tables(const struct book_table *const **out);

/* Judges what is there: the window ends at the newest record (`to` 0) or at `to` (ms).
 * `only_changed`: what was not touched since the last call is passed over. */
int hunt_engine_judge(struct hunt_engine *engine, int64_t to, bool only_changed, unsigned n_threads,
                      struct findings *out, struct err *err) MUST_CHECK;
/* The judge's view of the last judging, for RITA's rows, pictures and reports; borrowed. */
const struct hunt_judge *hunt_engine_view(const struct hunt_engine *engine);

struct hunt_engine_counts {
    uint64_t n_records[HUNT_N_LOGS];
    uint64_t n_early, n_late; /* records of days before or after the ones that are kept */
    uint64_t n_days_dropped;  /* for want of memory: older than the newest, which grow first */
    struct book_refused refused;
    struct pairs_counts pairs;
    size_t memory_used;
    uint64_t n_pairs, n_named, n_hosts;
};
void hunt_engine_count(const struct hunt_engine *engine, struct hunt_engine_counts *out);

#endif
