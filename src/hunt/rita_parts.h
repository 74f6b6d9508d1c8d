/* What the files rita*.c share: the tables that hunt_rita fills. */
#ifndef HUNT_RITA_PARTS_H
#define HUNT_RITA_PARTS_H

#include <pthread.h>

#include "hunt/rita.h"

/* Times are of the newest record, ms: what is older than the window is told by them. */

/* Which user agents and JA3 a host used towards a name, or an address. */
enum rita_signature_kind { RITA_TO_NAME, RITA_TO_ADDRESS };
struct rita_signature_key {
    struct hunt_host src;
    uint32_t kind;
    book_name signature; /* 0: a request without Host, and without a user agent */
    uint64_t to;         /* the name; or rita_host_id of the address */
};
struct rita_signature_value {
    int64_t last;
    uint64_t dst;       /* rita_host_id */
    uint64_t many_dsts; /* 1: there were others */
};
extern const struct book_table rita_signature_table;

/* Responses whose type does not go with the URI. */
struct rita_mime_key {
    struct hunt_host src;
    uint32_t unused;
    book_name name;
};
struct rita_mime_value {
    struct book_series mismatches;
};
extern const struct book_table rita_mime_table;

/* Names that were asked for in DNS, those above them, and what they are registered under. */
#define RITA_RESOLVERS 4
struct rita_name_key {
    book_name name;
};
struct rita_name_value {
    book_name registrable; /* by the public suffix list */
    book_name cut;         /* as RITA cuts it */
    int64_t last;
    uint64_t n; /* queries; 0: only for names below it */
    /* Internal ones that were asked; tag 0: none. */
    struct rita_resolver {
        uint32_t tag;  /* rita_host_tag */
        uint32_t last; /* minutes since the epoch */
    } resolvers[RITA_RESOLVERS];
};
extern const struct book_table rita_name_table;

/* So that one domain cannot fill the book. */
#define RITA_NAMES_MAX 250000
struct rita_domain_key {
    book_name registrable;
};
struct rita_domain_value {
    uint64_t n, n_refused;
};
extern const struct book_table rita_domain_table;

/* Who asked for names below a domain (either form). */
struct rita_querier_key {
    book_name domain;
    struct hunt_host src;
    uint32_t unused;
};
struct rita_querier_value {
    int64_t last;
};
extern const struct book_table rita_querier_table;

/* Internal hosts that are only asked: resolvers and proxies. */
struct rita_asked_key {
    struct hunt_host host;
    uint32_t unused;
};
struct rita_asked_value {
    int64_t last;
};
extern const struct book_table rita_asked_table;

uint64_t rita_host_id(const struct book *book, const struct hunt_host *host);
static inline uint32_t rita_host_tag(uint64_t id)
{
    return (uint32_t)id | 1; /* 0 says none */
}

/* The part of a name under which RITA counts: two labels, or three where the two are a public
 * suffix. */
struct str rita_cut(struct str name);

/* ---- sets of keys, filled from many threads, then sorted ---- */

struct rita_item {
    uint64_t a, b;
};
struct rita_set {
    struct rita_item *at;
    size_t n, capacity;
    pthread_mutex_t lock;
    bool failed; /* no memory */

    /* Made by sorting: a bit for each hash of an `a`, so that what is not there is mostly seen at
     * once. NULL: there is none. */
    uint64_t *bits;
    uint64_t mask;
};
void rita_set_init(struct rita_set *set);
void rita_set_done(struct rita_set *set);
void rita_set_add(struct rita_set *set, uint64_t a, uint64_t b);
/* Sorts, and takes out what is there twice. */
void rita_set_sort(struct rita_set *set);
bool rita_set_has(const struct rita_set *set, uint64_t a, uint64_t b);
/* How many items have this `a`; and where the first is, if there are any. */
size_t rita_set_count(const struct rita_set *set, uint64_t a, size_t *out_first);

/* ---- one making of rows ---- */

/* A connection that is not ended. */
struct rita_open {
    uint64_t src, dst; /* rita_host_id */
    struct hunt_host src_host, dst_host;
    book_name name; /* 0: of the pair by address */
    bool has_name;  /* of the pair: it is by name, too */
    int64_t first;  /* ms */
    uint64_t duration, bytes;
    struct pair_port port;
    bool proxied;
    bool is_done; /* was looked at with the ended ones of its pair */
};

/* What a row is, beside what it shows. */
struct rita_mark {
    book_name name;     /* or the domain */
    uint64_t src, dst;  /* rita_host_id; `dst` is the external end */
    uint64_t pair;      /* rita_pair_id */
    uint32_t n_missing; /* requests without Host, of whole days */
    bool has_direct;    /* somebody who did not ask for the domain connected to its addresses */
};

struct rita_run {
    const struct hunt_judge *judge;
    const struct rita_options *options;
    struct books all;    /* of the judge */
    struct books recent; /* those that reach into the window */
    /* s; of connections, and of everything. `floor`: ms, the beginning of the oldest hour. */
    int64_t min, max, floor, floor_all;
    int64_t dns_floor, dns_newest; /* ms: of names in DNS */
    bool has_window;
    bool is_cut; /* newer records than the window's end are there */

    struct rita_open *opens; /* by name and source, those without a name by both ends */
    size_t n_opens;

    struct rita_row *rows;
    struct rita_mark *marks;
    size_t n, capacity;
    pthread_mutex_t lock;
    bool failed;

    struct rita_set covering; /* names (and source) that are beacons or long */
    struct rita_set by_pair;  /* pairs that have a connection of these: (rita_pair_id, name) */
    struct rita_set contacts; /* who contacted a row's other end: (its id, rita_host_tag) */
    struct rita_set domains;  /* DNS: (domain, name) */
};

/* Threads at once may add; NULL: no memory. The row is zeroed, but for its ends. */
void rita_run_add(struct rita_run *run, const struct rita_row *row, const struct rita_mark *mark);
bool rita_in_window(const struct rita_run *run, int64_t last);
static inline uint64_t rita_pair_id(uint64_t src, uint64_t dst)
{
    return src * 0x9e3779b97f4a7c15u ^ (dst + 0x7f4a7c15u) * 0xff51afd7ed558ccdu;
}

/* Out of memory; any thread may say so. */
static inline void rita_fail(struct rita_run *run)
{
    __atomic_store_n(&run->failed, true, __ATOMIC_RELAXED);
}

/* rita_window.c */
void rita_find_window(struct rita_run *run);
void rita_find_opens(struct rita_run *run);
/* Of a name and source, or (name 0) of a pair by address. */
struct rita_open *rita_opens_of(const struct rita_run *run, book_name name, uint64_t src,
                                uint64_t dst, size_t *out_n);
/* rita_rows.c */
void rita_put_port(const struct rita_run *run, struct rita_row *row, const struct pair_port *port);
void rita_named_rows(struct rita_run *run);
void rita_pair_rows(struct rita_run *run);
/* rita_known.c */
void rita_domain_rows(struct rita_run *run);
void rita_find_prevalence(struct rita_run *run);
/* rita_details.c */
void rita_find_details(struct rita_run *run);
/* rita.c: s; what first seen is reckoned from */
int64_t rita_now(const struct hunt_judge *judge, bool rolling);

#endif
