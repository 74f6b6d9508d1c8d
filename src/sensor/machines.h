/* The monitored machines: what the workers' channels together say of each, how it is, and whom to
 * tell. Belongs to the control thread, which calls machines_update four times a second. */
#ifndef SENSOR_MACHINES_H
#define SENSOR_MACHINES_H

#include "sensor/snapshot.h"
#include "source/source.h"

struct machines;
struct address_book;
struct canary;
struct workers;

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
    struct addr room[MACHINE_WANT_ROOM]; /* where `addresses` may lie */
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

    struct workers *workers;
    struct canary *canary; /* or NULL: there are none */

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
 * their names; configured ones that are not there yet are added by machines_expect. */
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

/* Fills in machines, refused senders, alarms, and the packets and bytes of all that was ever
 * accepted. False: no memory. */
bool machines_snapshot(const struct machines *machines, struct snapshot *out);

#endif
