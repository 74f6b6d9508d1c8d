/* Pairs by name and by address that are the same connections: a hunt that walks both tables tells a
 * pair by its name where it has one. And what is said alike of both. */
#ifndef HUNT_TWINS_H
#define HUNT_TWINS_H

#include "hunt/gather.h"

/* One of either table. */
struct twin {
    bool is_named;
    union {
        struct pair_key pair;
        struct named_key named;
    } key;
    struct pair_sum sum;
    struct hunt_host servers[NAMED_SERVERS];
    uint8_t n_servers;
};

/* Those of both tables for which `wants` says so, the ones by name first, by source; pairs by
 * address are left out when names have the most of their connections. */
typedef bool twins_wants_fn(const struct hunt_judge *judge, const struct pair_sum *sum);
void twins_gather(const struct hunt_judge *judge, twins_wants_fn *wants, struct gather *out);

const struct hunt_host *twin_src(const struct twin *twin);
/* Fills ends, ports, times, bytes and where its events are. */
void twin_fill(const struct hunt_judge *judge, struct finding *finding, const struct twin *twin);
/* Connections in the window, by time; on the heap. False: no memory. */
bool twin_events(const struct hunt_judge *judge, const struct twin *twin, struct book_event **out,
                 size_t *out_n);
/* The name is the client's word alone: it asks a DNS that is seen, but no answer for the name had
 * this server, where nobody else goes. What is known of the name says nothing then. */
bool named_is_pretended(const struct hunt_judge *judge, const struct named_key *key,
                        const struct hunt_host *servers, unsigned n_servers);
bool twin_is_pretended(const struct hunt_judge *judge, const struct twin *twin);
struct hunt_prevalence twin_prevalence(const struct hunt_judge *judge, const struct twin *twin);
/* "NTP"; NULL: none that is known. */
const char *twin_service(const struct hunt_judge *judge, const struct twin *twin);

#endif
