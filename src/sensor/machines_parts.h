/* Inside of the monitored machines: shared by machines.c (adding up, verdicts), machines_watch.c
 * (the canary and the other machines as witnesses) and machines_show.c (the snapshot). */
#ifndef SENSOR_MACHINES_PARTS_H
#define SENSOR_MACHINES_PARTS_H

#include "sensor/fairness.h"
#include "sensor/machines.h"
#include "source/address_book.h"
#include "source/canary.h"
#include "source/witness.h"

#define MACHINES_ALARMS 32

struct machine_mark {
    int64_t ticks;
    uint64_t n_packets, n_in_bytes, n_out_bytes, n_copies;
};

struct machine {
    char name[SNAPSHOT_NAME_MAX];
    char network[40];
    bool configured, wants_canary;
    uint16_t overhead;
    struct addr *addresses; /* configured ones */
    size_t n_addresses;
    struct health *health;
    struct health_verdict verdict;
    struct canary_state canary; /* a copy */
    uint16_t network_number;
    bool has_address; /* one is known that a canary can be sent to */
    struct health_shared shared[HEALTH_SHARED_MAX];

    struct source_counters sum; /* of what its channels brought it */
    uint64_t n_lost;
    bool has_cloud_lost;
    uint64_t cloud_lost, cloud_lost_total; /* since it was first said here; what the cloud says */
    uint16_t n_channels;
    uint32_t last_channel; /* place + 1 of the one heard last */
    int64_t first_packet;
    struct machine_mark marks[2];
    double packets_per_second, in_bits, out_bits, copies_share;
};

struct machine_channel {
    struct source key; /* and what the rules say; its counters are not used */
    uint32_t machine;  /* place + 1; 0: refused */
    struct source_counters sum;
    struct source_counters before; /* the sums that its machine has got already */
    struct source_seq seq;
    uint64_t lost_before;
};

/* Where something with a hash is found: places + 1, open addressing. Begins zeroed. */
struct machine_index {
    uint32_t *places;
    size_t n, capacity; /* a power of two, or 0 */
};

/* A worker's channels, by their numbers there: place + 1 of the same channel here. */
struct machine_map {
    uint32_t *channels;
    size_t n, capacity;
};

struct machines {
    struct machines_options options;
    uint64_t secret; /* of the hashes */
    struct machine *machines;
    size_t n_machines, machines_capacity;
    struct fairness fairness;
    struct fairness_sender *senders; /* the machines, in their order */
    size_t senders_capacity;
    struct machine_channel *channels;
    size_t n_channels, channels_capacity;
    struct machine_index by_name, by_key; /* of machines, of channels */
    uint64_t n_compared;                  /* to find them: what it costs */
    struct machine_map maps[MACHINES_MAX_TABLES];
    struct snapshot_alarm alarms[MACHINES_ALARMS]; /* a ring */
    size_t n_alarms;                               /* since the start */
    struct witness_book *witnesses;
    struct address_book *book; /* that the workers have */
    int64_t next_book;
    bool said_refused; /* that this host lets no canary out */
    bool said_deaf;    /* that all have fallen silent */
    int64_t now;
};

/* Not configured any more, and nothing comes for it. */
static inline bool machine_is_gone(const struct machine *machine)
{
    return !machine->configured && machine->n_channels == 0;
}

/* What came in from the canaries and from the witnesses since the last time. */
void machines_collect(struct machines *m, int64_t now, int64_t ticks);
/* What other machines' mirrors show of this one's traffic. */
void machines_add_shared(struct machines *m, struct machine *machine, struct health_totals *totals);
void machines_send_canary(struct machines *m, struct machine *machine, int64_t now, int64_t ticks);

#endif
