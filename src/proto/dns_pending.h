/* Rows of dns.log that wait: queries for their reply, replies for their query. */
#ifndef PROTO_DNS_PENDING_H
#define PROTO_DNS_PENDING_H

#include "proto/analyzer.h"

/* A row, before it is complete. Of the flow's lifetime while it waits, then its texts lie behind
 * it; step while a message completes it. */
struct dns_row {
    struct dns_row *next; /* with the same transaction id */
    int64_t ts;
    int64_t rtt;        /* 0: unset */
    struct str query;   /* may be unset */
    struct str answers; /* packed, see dns_answers.h */
    uint32_t size;      /* of the block */
    uint16_t id;
    uint16_t qtype, qclass;
    uint8_t rcode, z;
    bool has_question, has_reply;
    bool aa, tc, rd, ra;
    bool rejected;
    bool netbios; /* its query went to port 137 */
    bool saw_query, saw_reply;
};

struct dns_queue {
    struct dns_row *head, *tail;
    uint16_t id;
    uint16_t n;
};

/* Rows by transaction id, and for each id in the order they came. */
struct dns_pending {
    struct dns_queue *queues; /* in the order their ids came */
    uint16_t n, capacity;
};

/* A waiting copy of `row` with its texts; NULL: over budget. */
struct dns_row *dns_row_keep(struct pool *pool, const struct dns_row *row);
void dns_row_free(struct pool *pool, struct dns_row *row);

/* Takes the oldest row with this id; NULL when there is none. */
struct dns_row *dns_pending_take(struct dns_pending *pending, uint16_t id);
/* Takes the oldest row of the id that came first; NULL when there is none. */
struct dns_row *dns_pending_take_any(struct dns_pending *pending);

/* Whether a row with this id must not be added before room is made: by taking out all rows with
 * this id, or all rows of all ids. */
enum dns_pending_room { DNS_ROOM, DNS_TOO_MANY_ROWS, DNS_TOO_MANY_IDS };
enum dns_pending_room dns_pending_room(const struct dns_pending *pending, uint16_t id);

/* False: over budget, and the row is still the caller's. */
bool dns_pending_add(struct dns_pending *pending, struct pool *pool, struct dns_row *row);

/* Gives the queues back, which must be empty. */
void dns_pending_done(struct dns_pending *pending, struct pool *pool);

#endif
