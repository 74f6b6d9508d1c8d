/* The monitored machines: what the workers' channels together say of each, how it is, and whom to
 * tell. Belongs to the control thread, which calls machines_update four times a second. */
#ifndef SENSOR_MACHINES_H
#define SENSOR_MACHINES_H

#include "sensor/snapshot.h"
#include "source/source.h"

struct machines;
struct address_book;
struct address_learner;
struct canary;
struct witness;

#define MACHINE_WANT_ROOM 32

/* What is known of a machine beforehand. */
struct machine_want {
    const char *name;
    const char *network;
    uint16_t network_number;
    const struct addr *addresses; /* its own, inside; the canary goes to the first */
    size_t n_addresses;
    struct health_options health;
    bool has_canary;
    uint16_t overhead;                   /* of its mirror's encapsulation; 0: not known */
    bool has_cloud_lost;                 /* its cloud counts what it could not mirror: */
    uint64_t cloud_lost;                 /* so many packets up to now */
    struct addr room[MACHINE_WANT_ROOM]; /* where `addresses` may lie */
};

#define MACHINES_MAX_TABLES 64

/* What the workers have, which they go on with while it is read. */
struct machines_workers {
    unsigned n;
    struct source_table *sources[MACHINES_MAX_TABLES];
    struct address_learner *learners[MACHINES_MAX_TABLES];
    struct witness *witnesses[MACHINES_MAX_TABLES];
    /* Afterwards they use this book and no other. */
    void (*set_book)(void *with, const struct address_book *book);
    void *with;
};

struct machines_options {
    /* Both are asked for a channel by its key (struct source): the workers' rules, and what is
     * known of the machine that these give it, or false. */
    const struct source_rules *rules;
    const struct network_list *networks;
    bool (*want)(const void *with, const struct source *channel, struct machine_want *out);
    /* The configuration's lines that would admit the channel, into `out`. */
    void (*admit)(const void *with, const struct source *channel, char *out, size_t size);
    const char *(*input_name)(const void *with, uint16_t input); /* "eth0" */
    const void *with;

    const struct machines_workers *workers; /* the same in all options */
    struct canary *canary;                  /* or NULL: there are none */

    /* What is about all of them at once: the clock, this collector itself. */
    void (*say)(void *alarm_with, const char *text);
    /* A machine's state changed for the worse, or for the better again. */
    void (*alarm)(void *alarm_with, const struct snapshot_alarm *alarm);
    void *alarm_with;
};

#define MACHINES_MAX 16384

/* `options` is copied. NULL: no memory. */
struct machines *machines_new(const struct machines_options *options);
void machines_free(struct machines *machines);

/* New rules: every channel is looked at again. The machines and what was learned of them stay, by
 * their names; configured ones that are not there yet are added by machines_expect. What a channel
 * brought before stays with the machine that it was of. One that is neither configured any more
 * nor has a channel is not shown, and nobody is alarmed for it. */
void machines_set_options(struct machines *machines, const struct machines_options *options);

/* A configured machine: it is there even before it is heard. */
void machines_expect(struct machines *machines, const struct machine_want *want, int64_t now);

/* `now`: ns since the epoch; `ticks`: monotonic ns. */
void machines_update(struct machines *machines, int64_t now, int64_t ticks);

/* After an update: who sends more than his share gives way (sensor/fairness.h). `n_others`:
 * packets of senders that are not admitted that workers looked at, `n_dropped`: what the kernel
 * dropped of all, both since the start. `rate_limit`: packets a second of one machine; 0:
 * none. Gives whether there is more than can be worked on. */
bool machines_share(struct machines *machines, uint64_t n_others, uint64_t n_dropped,
                    uint32_t rate_limit, int64_t ticks);

/* Only the sums: at the end, when nobody's health matters any more. */
void machines_add_up(struct machines *machines, int64_t now);

/* Fills in machines, their packets and bytes, refused senders and alarms. False: no memory. */
bool machines_snapshot(const struct machines *machines, struct snapshot *out);

#endif
