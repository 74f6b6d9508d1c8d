/* What the hunt for DNS tunnels keeps, between taking (dns_tunnel.c) and judging
 * (dns_tunnel_judge.c). */
#ifndef HUNT_DNS_TUNNEL_H
#define HUNT_DNS_TUNNEL_H

#include "hunt/hunt.h"
#include "hunt/unique.h"

#define TUNNEL_FEW   8  /* that have their place in the value */
#define TUNNEL_PARTS 32 /* in which many names are counted */

struct dns_tunnel_settings {
    uint32_t burst_names; /* different names of one domain in ten minutes */
    uint32_t day_names;   /* different names of one domain in the window */
    uint8_t unique_share; /* of the queries, in per cent */
    uint64_t slow_bytes;  /* in names, a day */
    uint32_t polls;       /* regular queries for text */
    uint32_t entropy;     /* of text answers, in hundredths of a bit for each byte */
    uint32_t resolver;    /* domains from which on a client is taken for a resolver */
};

enum tunnel_type {
    TUNNEL_ADDRESS,
    TUNNEL_TXT,
    TUNNEL_NULL,
    TUNNEL_CNAME,
    TUNNEL_MX,
    TUNNEL_SRV,
    TUNNEL_OTHER,
    TUNNEL_TYPES
};
struct tunnel_key {
    book_name domain;
    struct hunt_host client;
    uint32_t part; /* of dns_tunnel_names; 0 in tunnel_table */
};

/* Most pairs of client and domain are ordinary: addresses of a few names. Of these only that is
 * kept; with the first odd query or the fifth name it becomes a tunnel_value. */
#define TUNNEL_ORDINARY 4
struct tunnel_ordinary {
    int64_t first, last; /* ms */
    uint32_t n, up;
    uint32_t few[TUNNEL_ORDINARY];
    uint8_t n_names, is_more, unused[6]; /* is_more: there is a tunnel_value */
};

struct tunnel_value {
    int64_t first, last; /* ms */
    uint64_t n;          /* queries */
    uint64_t up, down;   /* bytes in names below the domain; in answers */
    uint64_t entropy;    /* sum of the names' entropy, in thousandths */
    uint32_t n_types[TUNNEL_TYPES];
    uint32_t n_answered, n_missing; /* NOERROR with an answer; NXDOMAIN */
    uint32_t n_names;               /* different ones as long as they are few */
    uint32_t few[TUNNEL_FEW];
    uint32_t longest;
    int64_t burst_from; /* ms */
    uint32_t burst, best_burst;
    uint32_t n_mixed;      /* text answers of high entropy */
    uint32_t most_entropy; /* of a text answer, in hundredths */
    uint32_t n_changes;    /* text answers that differ from the one before */
    uint32_t last_answer;
    struct hunt_host server; /* that was asked first */
    uint32_t touched;
    struct book_series polls; /* queries for text */
};

/* Clients: one that asks for very many domains is a resolver. And who asked it for what: for a
 * domain whose names are many. */
struct tunnel_client_key {
    struct hunt_host client;
    uint32_t unused;
    book_name domain; /* 0: the client by itself; else, asked by `asker` for this */
};
struct tunnel_client_value {
    uint64_t n;
    uint32_t n_domains;
    struct hunt_host asker;
};
extern const struct book_table dns_tunnel_table, dns_tunnel_ordinary, dns_tunnel_names,
    dns_tunnel_clients;

/* The part (1 to TUNNEL_PARTS) that counts this name. */
static inline uint32_t tunnel_part_of(uint32_t hash)
{
    return 1 + hash / (UINT32_MAX / TUNNEL_PARTS + 1);
}

void dns_tunnel_judge(const struct hunt_judge *judge);

#endif
