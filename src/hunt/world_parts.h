/* What is known of the world at a judging: counts by name and by address in two tables, machines'
 * names, what was lost. Made by one thread, then only read. */
#ifndef HUNT_WORLD_PARTS_H
#define HUNT_WORLD_PARTS_H

#include <pthread.h>

#include "hunt/hunt.h"

struct feeds;

/* Open addressing by a hash that stands for its key. */
struct world_count {
    uint64_t key;  /* 0: free */
    int64_t first; /* ms */
    uint32_t n;
};

struct world_counts {
    struct world_count *at;
    size_t n, n_places; /* a power of two */
    bool failed;        /* no memory: some are not counted */
};

struct world_machine {
    struct hunt_host host;
    uint64_t n; /* records; 0: free */
    double lost;
    char name[64];
};

struct world_network {
    uint32_t network;
    char uuid[64];
};

struct hunt_world {
    struct world_counts names, addresses;
    struct world_counts askers; /* hosts whose questions to DNS are seen */
    uint32_t n_hosts;               /* internal ones */
    uint32_t n_looking_outside;     /* of them those that ask for names or talk to others */
    struct world_machine *machines; /* by host, open addressing */
    size_t n_machine_places;
    struct world_network *networks;
    size_t n_networks;
    double lost;    /* of the whole capture */
    int64_t oldest; /* ms: of all records */
    const struct feeds *feeds;
    uint64_t secret;

    int64_t history_since;
    int64_t (*first_seen)(void *with, uint64_t key);
    void *with;
    pthread_mutex_t *lock; /* around first_seen */
};

struct hunt_world *hunt_world_new(const struct hunt_judge *judge);
void hunt_world_free(struct hunt_world *world);

const struct world_count *world_count_find(const struct world_counts *counts, uint64_t key);
const struct world_machine *world_machine_find(const struct hunt_world *world,
                                               const struct hunt_host *host);
uint64_t world_host_hash(const struct hunt_host *host);

#endif
