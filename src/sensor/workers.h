/* The workers of a live run: each a thread with its own inputs, pipeline and log buffers. Who calls
 * these functions is one other thread, the control thread; a call that changes something is carried
 * out by the workers between two bursts, and waited for. */
#ifndef SENSOR_WORKERS_H
#define SENSOR_WORKERS_H

#include "capture/live.h"
#include "capture/steer.h"
#include "sensor/arrival.h"
#include "sensor/handoff.h"
#include "sensor/pipeline.h"

struct workers;

#define WORKERS_MAX 64

struct workers_options {
    unsigned n_workers;
    struct pipeline_options pipeline; /* memory: of the run, divided by the workers */
    struct log_set *logs;
    const struct arrival_rules *rules; /* until others are set */
    struct steer_key steer_key;        /* as the programs in the kernel have it */
    const struct arrival_gate *gate;   /* of all workers; or NULL */
    int64_t dedup_window;              /* ns; 0: the default */
    bool keep_copies;
    uint16_t max_machine; /* the highest number that a machine may have */

    /* Packets for other tools; any may be NULL. Each worker has an object of its own. */
    void *(*output_new)(void *with, unsigned worker);
    void (*output_packet)(void *output, const struct packet *packet, const struct source *source);
    void (*output_flush)(void *output); /* after each burst at most, and once in half a second */
    void (*output_free)(void *output);
    void *with;
};

int workers_start(const struct workers_options *options, struct workers **out,
                  struct err *err) MUST_CHECK;

/* All that has arrived is taken, and the inputs are closed: what they and the machines have counted
 * is what there will be. The next call is workers_stop. */
void workers_drain(struct workers *workers);

/* All connections are ended and logged, the threads end. What they counted and saw can still be
 * asked for; calls that change something change nothing. */
void workers_stop(struct workers *workers);
/* Stops them, where that was not done. NULL is none. */
void workers_free(struct workers *workers);

/* Gives an input to a worker, which owns it from now on. `input`: the number in its frames;
 * `is_late`: it is a ring, which shows packets late. */
void workers_add(struct workers *workers, unsigned worker, uint16_t input,
                 struct live_source *source, bool is_late);
/* Closes what any worker has of this input. */
void workers_remove(struct workers *workers, uint16_t input);

/* The next input that broke by itself (and was closed): its number and the errno; false: none. */
bool workers_broken(struct workers *workers, uint16_t *out_input, int *out_error);

/* Afterwards nobody looks at the rules before these. False: no memory, the old ones hold. */
bool workers_set_rules(struct workers *workers, const struct arrival_rules *rules);
/* The same for the book of addresses. */
void workers_set_book(struct workers *workers, const struct address_book *book);

/* Afterwards all that was logged is in the files. */
void workers_flush(struct workers *workers);
/* Writes what is open for another hour into open_conn.log and its kin. */
void workers_report_open(struct workers *workers);

/* Sums, at most a tenth of a second old while its worker is not late; after workers_stop, all. */
void workers_count(struct workers *workers, struct pipeline_counters *out,
                   struct arrival_counters *out_arrival, struct handoff_counters *out_handoff);
/* What the inputs of this number have counted. */
void workers_count_input(struct workers *workers, uint16_t input, struct live_counters *out);

/* How far they are behind: the age of a packet when it was looked at, ns; the most there was
 * lately, 0 where none came. */
int64_t workers_lag(struct workers *workers);

unsigned workers_n(const struct workers *workers);
/* What a worker has learned and seen, for the control thread to read while it works on. */
struct address_learner *workers_learner(struct workers *workers, unsigned worker);
struct witness *workers_witness(struct workers *workers, unsigned worker);
/* A worker's channels: for source_count_shared and source_get, keys and counters only. */
struct source_table *workers_sources(struct workers *workers, unsigned worker);

#endif
