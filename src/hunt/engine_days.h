/* Which days have a book. Clocks are wrong and logs are hostile: a line of another century must not
 * push out the days that all the others are of.
 *
 * Any day of which a record comes gets a book, a few more of them than are kept. The newest day is
 * found from the day with the most records on: another follows when it has its share (a hundredth
 * of all records, from 4 to 256 of them are enough), and the next when it is as dense, as after
 * midnight. The days
 * that are judged are so many up to the newest; those that are further away from it than their
 * number only when they have their share. The others' records are counted as early or late, and
 * their books go, the smallest first, when there is no room for another. */
#ifndef HUNT_ENGINE_DAYS_H
#define HUNT_ENGINE_DAYS_H

#include "hunt/book.h"

#define DAYS_SPARE 4
#define DAYS_MAX   64
#define DAYS_FAR   64

struct day {
    struct book *parts[BOOK_PARTS]; /* NULL: nothing came for it; one at least is there */
    int64_t day;
    uint64_t n;       /* records */
    uint64_t weight;  /* records, and for a book of an archive its trust */
    int64_t min, max; /* ms, of its records */
    /* Of records that say little about which days the logs are of. */
    uint64_t n_aside;
    int64_t aside_min, aside_max;
};

struct days {
    struct day at[DAYS_MAX + DAYS_SPARE + 1]; /* by day */
    unsigned n, max;                          /* `max`: that are judged */
    uint64_t secret;
    size_t memory;       /* of all */
    unsigned until_size; /* calls of days_at until sizes are looked at again */
    uint64_t n_early, n_late, n_dropped;
    /* Far days for which there was no room: of the last ones, how many records came. */
    struct {
        int64_t day;
        uint32_t n;
    } far[DAYS_FAR];
    struct book_refused refused; /* of books that are gone */

    /* A book that goes is said before; all of its day are there yet. */
    void (*forget)(void *with, struct book *book);
    void *with;
};

void days_init(struct days *days, unsigned max, size_t memory, uint64_t secret);
void days_done(struct days *days);
/* The day's, made where there is none. NULL: the record is left out, and was counted, as there is
 * no room for a day far from the others, or no memory. Valid until the next days_at. */
struct day *days_at(struct days *days, int64_t day);
struct day *days_find(struct days *days, int64_t day);
/* The day's book for a part, made where there is none; NULL: no memory, which counts a late one. */
struct book *days_book(struct days *days, struct day *day, unsigned part);
/* What is known of each day is put into its book, so that it is known again when that comes from an
 * archive. */
void days_note(struct days *days);
extern const struct book_table day_table;
/* Takes the book over, as the part that it is. */
void days_add(struct days *days, struct book *book);
/* Counts a record. */
void days_count(struct day *day, int64_t ts);
/* The same of a log that has a few lines a day. They make a day one of the logs' only where there
 * are no others; days_settle sees to that, before days are asked for. */
void days_count_aside(struct day *day, int64_t ts);
void days_settle(struct days *days);
/* Says by index which are judged, and the newest of them; gives their number. */
unsigned days_judged(const struct days *days, bool out[DAYS_MAX + DAYS_SPARE + 1],
                     unsigned *out_newest);
/* Records that came for days that are not judged, now. */
void days_strays(const struct days *days, uint64_t *out_early, uint64_t *out_late);
size_t days_used(const struct days *days);

#endif
