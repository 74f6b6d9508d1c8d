/* The tables that most hunts share: who talked with whom, by address and by name. Filled by
 * pairs.c from conn, http, ssl and quic records, which it puts together by their uid: times, bytes
 * and durations come from conn, as in RITA. A connection that open_conn reported and conn later
 * ends counts once. */
#ifndef HUNT_PAIRS_H
#define HUNT_PAIRS_H

#include "hunt/book.h"
#include "hunt/scope.h"

/* A port as RITA prints it, "443:tcp:ssl". */
struct pair_port {
    book_name service; /* 0: none */
    uint16_t port;     /* of ICMP: type << 8 | code */
    uint8_t proto;     /* enum hunt_proto */
    uint8_t unused;
    uint32_t n;        /* connections; the open ones too */
    uint64_t duration; /* us, summed: which port was the long one */
};
#define PAIR_PORTS 3 /* those that came first; the others are in port_table */

struct pair_sum {
    int64_t first, last;           /* ms: of any record */
    uint64_t n, n_failed;          /* closed connections; of them failed ones */
    uint64_t n_open;               /* now open (the newest open_conn said so, and no conn yet) */
    uint64_t bytes_up, bytes_down; /* IP bytes, open ones included */
    uint64_t payload_up, payload_down;
    uint64_t duration, longest;         /* us, open ones included */
    uint64_t open_duration, open_bytes; /* of the open ones alone */
    uint64_t missed;
    uint32_t n_other_ports;  /* entries of port_table */
    uint32_t states;         /* 1 << enum hunt_state of those seen */
    uint32_t n_missing_host; /* http requests without Host (by address only) */
    uint32_t n_proxied;      /* requests by CONNECT (by name only) */
    uint32_t touched;        /* number of the last hunt_engine round that changed it */
    uint8_t way;             /* enum hunt_way */
    uint8_t unused[3];
    struct pair_port ports[PAIR_PORTS];
};

/* By address: one for each (who began it, whom). */
struct pair_key {
    struct hunt_host src, dst;
};
struct pair_value {
    struct pair_sum sum;
    struct book_series conns;
};
extern const struct book_table pair_table;
enum { PAIR_CONNS };

/* The ports of a pair, by address or by name, that have no place in its value: at most 61 of each,
 * so that a scan of all ports does not fill the memory. */
struct port_key {
    struct hunt_host src, dst; /* dst is zeroed for a pair by name */
    book_name name;            /* 0 for a pair by address */
    book_name service;
    uint16_t port;
    uint8_t proto, unused[5];
};
struct port_value {
    uint64_t n, duration;
};
extern const struct book_table port_table;

/* By name: http's Host (with its port, if it has one) or the TLS/QUIC server name. */
#define NAMED_SERVERS 10
struct named_key {
    book_name name;
    struct hunt_host src;
    uint32_t unused;
};
struct named_value {
    struct pair_sum sum;
    struct hunt_host servers[NAMED_SERVERS], proxies[NAMED_SERVERS];
    uint8_t n_servers, n_proxies, unused[6];
    uint64_t n_requests;         /* of http, all of one connection too */
    struct book_series conns;    /* one for each uid */
    struct book_series requests; /* http requests, with the sizes of their bodies */
};
extern const struct book_table named_table;
enum { NAMED_CONNS, NAMED_REQUESTS };

/* Which connections by address are the same as connections by name: RITA leaves a pair out of the
 * one when it is in the other. */
struct same_key {
    struct hunt_host src, dst;
    book_name name;
};
struct same_value {
    uint64_t n; /* connections */
    uint64_t n_open;
};
extern const struct book_table same_table;

/* Who asked for, or connected to, a name: for how many internal hosts know it. Names of DNS
 * queries, http hosts, server names. */
struct asked_key {
    book_name name;
    struct hunt_host src;
    uint32_t unused;
};
struct asked_value {
    uint32_t n, n_dns;   /* of n so many by DNS; no more than are counted */
    int64_t first, last; /* ms */
};
extern const struct book_table asked_table;

/* How often records about a host were of a monitored machine, by which a host gets its name. */
struct machine_key {
    book_name machine;
    struct hunt_host host;
    uint32_t unused;
};
struct machine_value {
    uint64_t n;
};
extern const struct book_table machine_table;

/* agent_uuid behind struct hunt_host.network. */
struct network_key {
    uint32_t network, unused;
};
struct network_value {
    book_name uuid;
};
extern const struct book_table network_table;

/* Connections that open_conn told of, by uid, in the book of the day they began in: what of them is
 * in the sums, to be taken back when more is known. */
struct open_key {
    uint64_t uid;
};
struct open_value {
    struct hunt_host src, dst;
    book_name names[2]; /* where it is in named_table too: http's, and TLS's or QUIC's; 0: none */
    book_name service;
    int64_t ts;        /* ms */
    uint64_t duration; /* us */
    uint64_t up, down, payload_up, payload_down, missed;
    uint16_t port;
    uint8_t proto, way;
    bool in_pairs; /* its addresses are looked at */
    bool proxied;  /* the http name was asked of a proxy */
    bool closed;   /* its conn came: nothing of it is in the sums */
    uint8_t unused;
};
extern const struct book_table open_table;

/* Names of connections whose conn has not come when the book was saved; of the name's day. */
struct waiting_key {
    uint64_t uid;
    book_name name;
    uint8_t kind, way;
    bool proxied;
    uint8_t unused[5];
};
struct waiting_value {
    int64_t ts; /* ms */
    bool gone;  /* it came */
    uint8_t unused[7];
};
extern const struct book_table waiting_table;

/* What an address was asked for by, from DNS answers. */
#define RESOLVED_NAMES 6
struct resolved_key {
    struct addr addr;
};
struct resolved_value {
    book_name names[RESOLVED_NAMES]; /* those that came first */
    uint64_t n;                      /* different ones, about */
};
extern const struct book_table resolved_table;

/* What was lost. Of the whole capture (machine 0; capture_loss.log): `sum` of the lines' shares, in
 * millionths. Of a machine (watch's notices about its mirror): `sum` of shares times milliseconds
 * of the troubles that are over, and what goes on. */
struct loss_key {
    book_name machine;
};
struct loss_value {
    uint64_t n;          /* lines */
    uint64_t sum;        /* see above */
    uint64_t share;      /* since `since`, in millionths */
    int64_t since;       /* ms */
    int64_t first, last; /* ms: of the lines */
};
extern const struct book_table loss_table;

/* All of these, ended by NULL. */
extern const struct book_table *const pairs_tables[];

/* The joining state, which outlives days: uids that http, ssl or open_conn told of and conn has not
 * yet, and those of the last conns. */
struct pairs;
struct pairs *pairs_new(const struct hunt_scope *scope, size_t memory);
void pairs_free(struct pairs *pairs);
/* Which networks are whose, from now on. */
void pairs_scope(struct pairs *pairs, const struct hunt_scope *scope);
/* Says how to find the book of a day; NULL: there is none any more. Without, all goes into the book
 * that was given last. */
void pairs_books(struct pairs *pairs, struct book *(*find)(void *with, int64_t day), void *with);
/* Puts the joined connections into the books, which otherwise wait for more names. To be called
 * before books are looked at or saved. */
void pairs_settle(struct pairs *pairs);
/* For a later run: names without a conn are put into the books, and taken out of one that was
 * loaded. */
void pairs_keep_waiting(struct pairs *pairs);
void pairs_take_back(struct pairs *pairs, struct book *book);
/* The book will be freed: nothing of it is kept. */
void pairs_forget(struct pairs *pairs, const struct book *book);
/* PAIR_LOGS: the logs that pairs_take wants. */
#define PAIR_LOGS                                                                                  \
    (HUNT_LOG_BIT(HUNT_HTTP) | HUNT_LOG_BIT(HUNT_OPEN_HTTP) | HUNT_LOG_BIT(HUNT_SSL) |             \
     HUNT_LOG_BIT(HUNT_OPEN_SSL) | HUNT_LOG_BIT(HUNT_QUIC) | HUNT_LOG_BIT(HUNT_DNS) |              \
     HUNT_LOG_BIT(HUNT_NOTICE) | HUNT_LOG_BIT(HUNT_CAPTURE_LOSS) | HUNT_LOG_BIT(HUNT_CONN) |       \
     HUNT_LOG_BIT(HUNT_OPEN_CONN))
/* `book` is the one of the record's day; `round` goes into `touched`. False: one of many that come
 * from outside and were not answered, of which nobody should keep anything. */
bool pairs_take(struct pairs *pairs, struct book *book, uint32_t round,
                const struct hunt_record *record);

/* Of a record that will be taken soon: has what it needs of memory on the way, in steps 0, 1, 2, a
 * few records apart. */
void pairs_fetch(struct pairs *pairs, const struct book *book, unsigned step,
                 const struct hunt_record *record);

struct pairs_counts {
    uint64_t n_filtered[4];     /* connections left out, by enum hunt_way */
    uint64_t n_never;           /* of networks and names that are never looked at */
    uint64_t n_unjoined;        /* http and ssl records whose conn was not there (yet) */
    uint64_t n_uids_refused;    /* forgotten for want of room, the oldest first */
    uint64_t n_inbound_refused; /* unanswered connections from outside, above their share */
    uint64_t n_asked_refused;   /* names below one domain by one host, above 4096 a day */
};
/* Which of its day's books the record is for (book.h): all that one host began is in one, so that
 * what is said of it is put together there. What no host began is the first's, and notices, whose
 * order counts. */
unsigned pairs_part(const struct hunt_record *record);
/* Added to what is there. */
void pairs_count(const struct pairs *pairs, struct pairs_counts *out);

#endif
