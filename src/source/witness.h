/* Packets between two monitored machines are expected in both mirrors. One witness belongs to one
 * worker and counts, for each pair of machines and service, in which mirror they were seen; the
 * control thread sums over the workers and says, for each machine, what others showed of its
 * traffic that its own mirror did not.
 *
 * A worker, for each packet whose inner addresses belong to two machines of one network, and which
 * the recogniser of copies could compare (dedup_look() was true):
 *
 *     witness_sight(w, &(struct witness_packet){.src = A, .dst = B, .seen_by = whose mirror,
 *                                               .is_copy = dedup_ask(), ...});
 *
 * The control thread, four times a second, and not more often than the recogniser's window is long:
 *
 *     witness_book_collect(book, workers, n_workers);
 *     for each machine m:
 *         witness_book_fill(book, m, name_of, context, shared, &totals);
 *         health_update(...);
 *
 * A copy may come later than the first sight by the window. So what is missing is reckoned from
 * the first sights of four collections ago and the copies of now: never too much, and too little by
 * what came in that time, which is caught up as soon as there is a pause. */
#ifndef SOURCE_WITNESS_H
#define SOURCE_WITNESS_H

#include "net/packet.h"
#include "source/health.h"

struct witness;

/* One worker's, with a fixed size of about 200 KiB. NULL when the system has no memory. */
struct witness *witness_new(void);
void witness_free(struct witness *witness);

struct witness_packet {
    uint16_t src, dst; /* machines: not 0, not the same */
    uint16_t seen_by;  /* the machine whose mirror shows it; others than these two are ignored */
    bool is_copy;
    uint8_t proto;
    uint16_t sport, dport; /* 0 where the protocol has none */
    uint32_t size;         /* of the IP packet as it was sent */
};

void witness_sight(struct witness *witness, const struct witness_packet *packet);

/* How often a pair had to give way to another, since there are more than fit. */
uint64_t witness_crowded(const struct witness *witness);

struct witness_book; /* the control thread's */

/* `max_machine` is the highest number a machine may have. */
struct witness_book *witness_book_new(size_t n_workers, uint16_t max_machine);
void witness_book_free(struct witness_book *book);

/* The same workers in the same order each time. They may count meanwhile. */
void witness_book_collect(struct witness_book *book, struct witness *const workers[], size_t n);

/* Sets n_shared_*, peer and shared of `totals`. `name_of` gives a machine's name, which has to live
 * until health_update() was called; so does `shared`, which takes those lines of which most was
 * missing of late. */
void witness_book_fill(const struct witness_book *book, uint16_t machine,
                       const char *(*name_of)(void *context, uint16_t machine), void *context,
                       struct health_shared shared[HEALTH_SHARED_MAX],
                       struct health_totals *totals);

/* For tables: each pair and service, in no order. */
struct witness_line {
    uint16_t a, b; /* machines; a < b */
    uint8_t proto; /* 0: all of the pair */
    uint16_t port;
    /* [0]: sent by a, [1]: by b; settled totals. */
    uint64_t n_seen_by_a[2], n_seen_by_b[2], n_by_both[2];
};
void witness_book_each(const struct witness_book *book,
                       void (*take)(void *context, const struct witness_line *line), void *context);

#endif
