/* Inside of the workers: shared by workers.c (the control thread's side) and worker.c (the
 * threads).
 */
#ifndef SENSOR_WORKERS_PARTS_H
#define SENSOR_WORKERS_PARTS_H

#include <pthread.h>

#include "sensor/intake.h"
#include "sensor/workers.h"

#define MAX_BROKEN 64

enum order {
    ORDER_NONE,
    ORDER_ADD,
    ORDER_REMOVE,
    ORDER_RULES,
    ORDER_BOOK,
    ORDER_FLUSH,
    ORDER_REPORT_OPEN,
    ORDER_DRAIN,
    ORDER_END,
};

struct input {
    struct live_source *source;
    uint16_t number;
    bool is_late;
};

struct worker {
    struct workers *all;
    unsigned number;
    pthread_t thread;
    bool started;
    struct pipeline *pipeline;
    struct log_writer *log;
    struct arrival arrival;
    struct pipeline_live live;
    struct handoff *handoff;
    void *output;
    bool output_dirty;
    int wake; /* eventfd: there is an order */

    struct intake *intake;
    int waits; /* ms until those packets are old enough that are too young; 0: there are none */
    int64_t last_tick, last_flush;
    int64_t lag; /* the most since the last copy of the counters */

    /* Under the lock of all. */
    enum order order;
    struct input order_input;
    const void *order_with;
    bool order_failed, ended;
    struct pipeline_counters counters; /* copies, ten times a second */
    struct arrival_counters arrival_counters;
    struct live_counters inputs_counters[INTAKE_MAX];
    int64_t published_lag;
};

struct workers {
    struct workers_options options;
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct x509_memory *certificates;
    struct {
        uint16_t input;
        int error;
    } broken[MAX_BROKEN];
    size_t n_broken;
    unsigned n;
    struct worker workers[];
};

/* A worker's thread; `with` is its struct worker. */
void *worker_run(void *with);

/* What its pipeline asks it. */
unsigned worker_owner_of(void *with, const struct packet *packet);
void worker_hand_on(void *with, unsigned worker, const struct packet *packet);
void worker_put_out(void *with, const struct packet *packet, const struct source *source);

/* An input broke by itself, and is closed; 0: the thread's own poll failed. */
void worker_say_broken(void *with, uint16_t input, int error);

#endif
