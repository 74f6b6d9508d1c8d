/* What is kept of connections by which machines are administered; shared with the unit test. */
#ifndef HUNT_LATERAL_H
#define HUNT_LATERAL_H

#include "hunt/gather.h"

struct lateral_key {
    struct hunt_host src, dst;
    uint16_t port;
    uint8_t unused[2];
};

struct lateral_value {
    int64_t first, last;   /* ms: of any */
    int64_t first_success; /* ms; 0: none came through */
    uint64_t n, n_success, n_failed;
    uint64_t bytes_up, bytes_down;          /* payload */
    uint64_t n_short, sum_short;            /* short sessions, and bytes up of them */
    double squares_short;                   /* of bytes up */
    uint64_t n_auth_success, n_auth_failed; /* of ssh.log */
    int64_t first_auth_success;             /* ms; 0: none */
    struct gather_stretch shorts;           /* short sessions within five minutes */
    uint32_t way, unused;
    struct book_series conns;
};

struct lateral_settings {
    uint32_t days;    /* of history that make "new" mean something */
    uint32_t fan_out; /* new destinations within an hour */
    uint32_t server;  /* so many different sources make a destination a server */
    uint32_t logins;  /* short sessions within five minutes */
};

extern const struct book_table lateral_table;

/* Services of a family are one way in: Windows opens DCE-RPC and SMB together. */
enum lateral_family {
    LATERAL_WINDOWS = 1,
    LATERAL_WINRM = 2,
    LATERAL_RDP = 4,
    LATERAL_SHELL = 8,
    LATERAL_SCREEN = 16,
    LATERAL_DATABASE = 32,
    LATERAL_ORCHESTRATION = 64,
};

struct lateral_service {
    uint16_t port;
    const char *name;
    enum lateral_family family;
    bool has_logins; /* a short session is a failed login, as far as one can see */
};

/* ---- what is remembered beyond the books ---- */

/* Keys for hunt_remembered: of an edge that came through, and of the day from which on edges are
 * remembered at all. */
uint64_t lateral_memory_key(uint64_t secret, const struct lateral_key *key);
uint64_t lateral_memory_begin(uint64_t secret);
/* Whether the edge is one to be remembered. */
bool lateral_is_remembered(const struct lateral_value *value);

/* ---- while judging ---- */

struct lateral_edge {
    struct lateral_key key;
    struct lateral_value value;
    const struct lateral_service *service;
    bool is_old;       /* in the history */
    bool is_server;    /* others connect to it there */
    uint32_t n_others; /* sources that do */
    bool is_chained;   /* whoever opened it had itself been opened shortly before */
    uint32_t families; /* new ones of the same pair */
};

struct lateral_walk {
    const struct hunt_judge *judge;
    const struct lateral_settings *settings;
    struct books history;
    double days; /* of history */
    struct gather edges;
};

/* What is the same in all findings about one of them. */
void lateral_fill(const struct hunt_judge *judge, struct finding *finding,
                  const struct lateral_edge *edge);
/* logins.c: somebody tries passwords. */
void lateral_tell_logins(const struct lateral_walk *walk, const struct lateral_edge *edge);

#endif
