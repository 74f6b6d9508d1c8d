/* Uids of connections that are said in pieces: names first and the connection later, or the other
 * way round. A fixed number of entries; where it is used up the oldest is forgotten, which `forget`
 * is told before. */
#ifndef HUNT_PAIRS_JOIN_H
#define HUNT_PAIRS_JOIN_H

#include "hunt/pairs.h"

/* What conn or open_conn says of one connection; its bytes and times are below 2^50. */
struct conn_facts {
    struct hunt_host src, dst;
    int64_t ts;        /* ms */
    uint64_t duration; /* us */
    uint64_t up, down, payload_up, payload_down, missed;
    book_name service;
    uint16_t port;
    uint8_t proto, state, way;
    bool failed;
    bool in_pairs; /* its addresses are looked at */
};

enum join_kind { JOIN_HTTP, JOIN_TLS };

/* A name that a connection was used for. */
struct join_name {
    book_name name; /* 0: an http request without Host */
    int64_t ts;     /* ms: of the newest record with it */
    int32_t day;    /* of the book that has its text */
    uint32_t next;  /* index + 1 */
    uint8_t kind;
    uint8_t way;
    bool proxied; /* asked of a proxy by CONNECT */
    bool same;    /* is in same_table */
    bool kept;    /* is in waiting_table */
};

#define JOIN_NAMES 20 /* of one connection; the newest are kept */

struct join_entry {
    uint64_t uid;
    uint32_t chain, older, newer; /* index + 1 */
    uint32_t names;               /* index + 1 of the first */
    uint8_t n_names;
    bool has_open;   /* it is in open_table of the day of open_day */
    bool carried[2]; /* by kind: a name has the connection's sums */
    bool is_settled; /* all that is known is in the books */
    int32_t open_day;
    uint32_t conn; /* index + 1 of join_conn's; 0: it has none */
};

struct join;
typedef void join_forget_fn(void *with, struct join_entry *entry);

/* `fetch`: of an entry that will be forgotten soon, has what `forget` needs of memory on the way, in
 * steps from 0 on; NULL: nothing is done beforehand. */
#define JOIN_FETCH_STEPS 4
typedef void join_fetch_fn(void *with, const struct join_entry *entry, unsigned step);
struct join *join_new(size_t memory, join_forget_fn *forget, join_fetch_fn *fetch, void *with);
void join_free(struct join *join);
struct join_entry *join_find(const struct join *join, uint64_t uid);
void join_fetch(const struct join *join, uint64_t uid, unsigned step); /* as pairs_fetch */
/* Found or made; valid until the next join_at. */
struct join_entry *join_at(struct join *join, uint64_t uid);
/* Its conn came: it waits no more, and is forgotten sooner. */
void join_set_conn(struct join *join, struct join_entry *entry, const struct conn_facts *conn);
struct conn_facts *join_conn(const struct join *join, const struct join_entry *entry);
/* Found or made, its `ts` 0; NULL: there is no room. */
struct join_name *join_name_at(struct join *join, struct join_entry *entry, book_name name,
                               enum join_kind kind);
struct join_name *join_names(const struct join *join, const struct join_entry *entry);
struct join_name *join_next(const struct join *join, const struct join_name *name);
/* All that have a conn, the oldest first. */
void join_each_joined(struct join *join, join_forget_fn *each, void *with);
void join_each_waiting(struct join *join, join_forget_fn *each, void *with);
uint64_t join_n_waiting(const struct join *join); /* names without a conn */
uint64_t join_n_forgotten(const struct join *join,
                          uint64_t *out_n_names); /* of those that waited */

#endif
