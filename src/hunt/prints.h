/* By what clients and servers are known: fingerprints of TLS and SSH, and user agents. Kept for the
 * hunts `client` (rare ones) and `intel` (known-bad ones), the latter of which takes them. */
#ifndef HUNT_PRINTS_H
#define HUNT_PRINTS_H

#include "hunt/hunt.h"

enum print_kind {
    PRINT_JA3,
    PRINT_JA4,
    PRINT_HASSH,
    PRINT_AGENT,        /* a user agent; the text "" is of requests without one */
    PRINT_JA3S,         /* of servers, and kept by the client that saw it */
    PRINT_HASSH_SERVER, /* so too */
    PRINT_KINDS,
};
extern const char *const print_names[PRINT_KINDS]; /* "JA3" ... */

/* Who has it, towards whom. */
#define PRINT_NAMES 4
struct print_key {
    book_name print; /* 0: the empty user agent */
    struct hunt_host src;
    uint32_t kind;
};
struct print_value {
    int64_t first, last; /* ms */
    uint64_t n;
    struct hunt_host dst; /* the first */
    uint32_t n_dsts;      /* 2: others too */
    uint16_t port;        /* of the first */
    uint16_t n_names;     /* different ones; above PRINT_NAMES: more than those */
    book_name names[PRINT_NAMES];
    uint64_t n_failed; /* TLS that was not established, SSH that did not get in */
    uint32_t touched;
    uint32_t n_self_signed; /* certificates of which ssl.log says so */
    book_name certificate;  /* the first that was shown; 0: none was */
};
extern const struct book_table print_table;

/* How many hosts have it: exact for one and two. */
struct print_hosts_key {
    book_name print;
    uint32_t kind, unused;
};
struct print_hosts_value {
    uint32_t n;
    struct hunt_host first;
};
extern const struct book_table print_hosts_table;

/* A host that has any of the kind. */
struct print_client_key {
    struct hunt_host src;
    uint32_t kind;
};
struct print_client_value {
    int64_t first, last; /* ms */
    uint64_t n;
    uint32_t n_prints;
    uint8_t has_browser; /* user agents: one of a browser; JA4: one as browsers have */
    uint8_t n_browsers;  /* user agents that say that they are a browser of today; at most 255 */
    uint8_t unused[2];
};
extern const struct book_table print_client_table;

/* Signs that make a fingerprint worth more, with a sentence each when they hold: nobody else, of at
 * least so many internal hosts, knows where it goes; it is new on a machine that is known for a day
 * and more. */
bool prints_is_lonely(const struct hunt_judge *judge, const struct print_value *value,
                      uint32_t least, struct finding *finding);
bool prints_is_new(const struct hunt_judge *judge, const struct print_key *key,
                   const struct print_value *value, struct finding *finding);

/* A user agent of a browser that is young enough to speak TLS 1.3 and HTTP/2, as it says. */
bool prints_says_browser(struct str agent);
/* Whether a browser might have this JA4: it offers HTTP/2 or 3, with many extensions. Most programs
 * that are none do not; those that do are taken for one. */
bool prints_like_browser(struct str ja4);

/* A number of the text that is the same in every run, for struct finding's `about`: findings about
 * the same ends are few, so that any mixing does. */
uint64_t print_about(struct str print);

#define PRINT_LOGS                                                                                 \
    (HUNT_LOG_BIT(HUNT_SSL) | HUNT_LOG_BIT(HUNT_QUIC) | HUNT_LOG_BIT(HUNT_HTTP) |                  \
     HUNT_LOG_BIT(HUNT_SSH))
void prints_take(const struct hunt_take *take, const struct hunt_record *record);

#endif
