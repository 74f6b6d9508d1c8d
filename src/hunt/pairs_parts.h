/* What the files pairs*.c share. */
#ifndef HUNT_PAIRS_PARTS_H
#define HUNT_PAIRS_PARTS_H

#include "hunt/pairs_join.h"

#define SERVICE_SLOTS 64
#define SEEN_SLOTS    1024
#define UNDER_SLOTS   (1u << 16)
#define RESET_AFTER   100000 /* records: days that take turns do not reset each other's counts */
#define NAMES_UNDER   4096   /* names below one domain that one host asks for in a day */
#define MACHINE_HOSTS 64     /* hosts of one machine's records in a day, about */
#define CLOSED_WAYS   8

struct service_slot {
    char text[24];
    uint32_t len;
    book_name name;
};

/* Counts of machine_table that wait to be put in. */
struct seen_slot {
    struct machine_key key;
    uint64_t n;
};

/* The name of a record that will be taken soon, while its tables are on the way. */
struct ahead_slot {
    const struct hunt_record *record;
    book_name name;
};
#define AHEAD_SLOTS 32

struct pairs {
    const struct hunt_scope *scope;
    struct book *(*find)(void *with, int64_t day);
    void *with;
    struct join *join;
    struct book *book; /* the one given last */
    uint32_t round;
    struct pairs_counts counts;
    uint64_t max_inbound; /* new unanswered ones from outside in a day */
    uint64_t n_inbound;

    /* uids of the conns that came last: a line of slots for each hash, the newest first. */
    uint64_t (*closed)[CLOSED_WAYS];
    uint64_t closed_mask;

    /* Of the book given last, to do what repeats only once. */
    struct service_slot services[SERVICE_SLOTS];
    char machine[64];
    uint32_t machine_len;
    book_name machine_name;
    uint32_t network;
    struct seen_slot seen[SEEN_SLOTS];

    uint16_t *under; /* names asked for below a domain, by its hash; UNDER_SLOTS */
    uint16_t *hosts; /* hosts of a machine, by its hash; UNDER_SLOTS */
    int64_t under_day;
    uint64_t n_taken, reset_at; /* records */
    uint32_t n_seen;            /* slots of `seen` that are used */
    struct ahead_slot ahead[AHEAD_SLOTS];
};

uint64_t pairs_mix(uint64_t a, uint64_t b);

/* pairs_sum.c */
void pairs_sum_conn(struct pairs *pairs, struct book *book, struct pair_sum *sum,
                    const struct conn_facts *conn, book_name name);
/* `sign` 1: puts it in; -1: takes it back. */
void pairs_sum_open(struct pairs *pairs, struct book *book, struct pair_sum *sum,
                    const struct open_value *open, book_name name, int sign);
void pairs_sum_touch(const struct pairs *pairs, struct pair_sum *sum, int64_t ts);

/* pairs_seen.c: who is there, and what was asked for. */
void pairs_see(struct pairs *pairs, struct book *book, const struct hunt_record *record);
void pairs_see_name(struct pairs *pairs, struct book *book, book_name name, struct str text,
                    const struct hunt_host *src, int64_t ts);
void pairs_see_dns(struct pairs *pairs, struct book *book, const struct hunt_record *record);
book_name pairs_machine(struct pairs *pairs, struct book *book, struct str machine);
void pairs_see_loss(struct pairs *pairs, struct book *book, const struct hunt_record *record);
void pairs_see_flush(struct pairs *pairs);
/* In lower case and cut to what a book keeps, in `room`. */
#define PAIRS_NAME_MAX 1024
struct str pairs_lower(struct str text, char room[PAIRS_NAME_MAX]);

/* pairs_open.c: connections that are not ended. */
void pairs_take_open(struct pairs *pairs, struct book *book, const struct hunt_record *record,
                     struct conn_facts *conn);
void pairs_open_ends(struct pairs *pairs, struct book *book, uint64_t uid);
void pairs_open_renames(struct pairs *pairs, const struct join_entry *entry);

/* pairs_name.c */
void pairs_take_http(struct pairs *pairs, struct book *book, const struct hunt_record *record);
void pairs_take_tls(struct pairs *pairs, struct book *book, const struct hunt_record *record);
void pairs_settle_one(void *with, struct join_entry *entry); /* join_forget_fn; `with`: the pairs */
void pairs_fetch_name(struct pairs *pairs, const struct book *book, unsigned step,
                      const struct hunt_record *record);
void pairs_settle_fetch(void *with, const struct join_entry *entry, unsigned step);
void *pairs_named_at(struct pairs *pairs, struct book *book, book_name name, int32_t text_day,
                     const struct hunt_host *src, uint8_t way);
void pairs_add_host(struct hunt_host *hosts, uint8_t *n, const struct hunt_host *host);

/* pairs_wait.c */
void pairs_waits_no_more(struct pairs *pairs, const struct join_entry *entry);

/* pairs.c */
struct book *pairs_book(struct pairs *pairs, int64_t day);
/* `count`: what is not looked at is counted. */
bool pairs_looks_at(struct pairs *pairs, const struct hunt_record *record, bool count,
                    uint8_t *out_way);
struct book_event pairs_event_of(const struct conn_facts *conn);
bool pairs_was_closed(const struct pairs *pairs, uint64_t uid);
bool pairs_may_have_names(const struct hunt_record *record);

static inline int64_t pairs_day(int64_t ms)
{
    return ms >= 0 ? ms / 86400000 : (ms - 86399999) / 86400000;
}

/* Sums of such never overflow: no line of a log can make them. */
static inline uint64_t pairs_cap(int64_t value)
{
    const int64_t max = (int64_t)1 << 50;
    return value < 0 ? 0 : (uint64_t)(value < max ? value : max);
}

#endif
