/* Workers of a live run, the control thread's side: see workers.h. */
#include "sensor/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/counters.h"
#include "flow/weird.h"
#include "proto/x509_memory.h"
#include "sensor/workers_parts.h"
#include "source/address_book.h"
#include "source/witness.h"

#define HANDOFF_SIZE ((size_t)8 << 20)

static void order_start(struct worker *w, enum order order, struct input input, const void *with)
{
    pthread_mutex_lock(&w->all->lock);
    if (w->ended) { /* nobody is there who could do it, or for whom it were */
        pthread_mutex_unlock(&w->all->lock);
        return;
    }
    w->order = order;
    w->order_input = input;
    w->order_with = with;
    w->order_failed = false;
    pthread_mutex_unlock(&w->all->lock);
    (void)!write(w->wake, &(uint64_t){1}, sizeof(uint64_t)); /* it cannot be full */
}

static bool order_wait(struct worker *w)
{
    pthread_mutex_lock(&w->all->lock);
    while (w->order != ORDER_NONE)
        pthread_cond_wait(&w->all->done, &w->all->lock);
    bool failed = w->order_failed;
    pthread_mutex_unlock(&w->all->lock);
    return !failed;
}

static bool order_all(struct workers *all, enum order order, struct input input, const void *with)
{
    bool ok = true;
    for (unsigned i = 0; i < all->n; i++)
        order_start(&all->workers[i], order, input, with);
    for (unsigned i = 0; i < all->n; i++)
        ok &= order_wait(&all->workers[i]);
    return ok;
}

static void free_worker(struct worker *w)
{
    intake_free(w->intake);
    pipeline_free(w->pipeline);
    log_writer_free(w->log);
    if (w->output && w->all->options.output_free)
        w->all->options.output_free(w->output);
    handoff_free(w->handoff);
    address_learner_free(w->arrival.learner);
    witness_free(w->arrival.witness);
    if (w->wake > 0)
        close(w->wake);
}

static void free_all(struct workers *all)
{
    for (unsigned i = 0; i < all->n; i++)
        free_worker(&all->workers[i]);
    x509_memory_free(all->certificates);
    pthread_cond_destroy(&all->done);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static int make_worker(struct workers *all, unsigned number, struct err *err)
{
    struct worker *w = &all->workers[number];
    const struct workers_options *options = &all->options;
    w->all = all;
    w->number = number;
    w->arrival.rules = options->rules;
    w->arrival.gate = options->gate;
    w->arrival.steer_key = &options->steer_key;
    w->live = (struct pipeline_live){
        .with = w,
        .owner = all->n > 1 ? worker_owner_of : NULL,
        .worker = number,
        .hand_on = worker_hand_on,
        .packet = options->output_packet ? worker_put_out : NULL,
        .arrival = &w->arrival,
        .dedup_window = options->dedup_window,
        .keep_copies = options->keep_copies,
    };
    struct pipeline_options pipeline = options->pipeline;
    pipeline.worker = 0; /* its packets come to it alone */
    pipeline.n_workers = 1;
    pipeline.live = &w->live;
    pipeline.certificates = all->certificates;
    pipeline.memory = options->pipeline.memory / all->n;
    w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    w->arrival.learner = address_learner_new(options->max_machine);
    w->arrival.witness = witness_new();
    w->handoff = handoff_new(HANDOFF_SIZE);
    w->intake = intake_new(worker_say_broken, w);
    w->log = log_writer_new(options->logs);
    w->pipeline = w->log ? pipeline_new(&pipeline, w->log) : NULL;
    if (options->output_new)
        w->output = options->output_new(options->with, number);
    if (w->wake < 0 || !w->handoff || !w->intake || !w->arrival.learner || !w->arrival.witness ||
        !w->pipeline || (options->output_new && !w->output))
        return err_set(err, -ENOMEM, "out of memory for worker %u of %u; give fewer with -j",
                       number + 1, all->n);
    return 0;
}

int workers_start(const struct workers_options *options, struct workers **out, struct err *err)
{
    unsigned n = options->n_workers;
    struct workers *all = calloc(1, sizeof *all + n * sizeof all->workers[0]);
    if (!all)
        return err_set(err, -ENOMEM, "out of memory");
    all->options = *options;
    all->n = n;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->done, NULL);
    if (n > 1) {
        size_t shared = options->pipeline.memory / 8;
        all->options.pipeline.memory -= shared;
        all->certificates = x509_memory_new_shared(shared, false);
    }
    int result = 0;
    for (unsigned i = 0; i < n && result == 0; i++)
        result = make_worker(all, i, err);
    for (unsigned i = 0; i < n && result == 0; i++) {
        struct worker *w = &all->workers[i];
        result = -pthread_create(&w->thread, NULL, worker_run, w);
        w->started = result == 0;
        if (result < 0)
            result = err_set(err, result, "cannot start worker %u of %u: %s", i + 1, n,
                             strerror(-result));
    }
    if (result < 0) {
        for (unsigned i = 0; i < n; i++)
            if (all->workers[i].started) {
                order_start(&all->workers[i], ORDER_END, (struct input){0}, NULL);
                (void)order_wait(&all->workers[i]); /* cannot fail */
                pthread_join(all->workers[i].thread, NULL);
            }
        free_all(all);
        return result;
    }
    *out = all;
    return 0;
}

void workers_drain(struct workers *all)
{
    (void)order_all(all, ORDER_DRAIN, (struct input){0}, NULL); /* cannot fail */
}

void workers_stop(struct workers *all)
{
    workers_drain(all);
    (void)order_all(all, ORDER_END, (struct input){0}, NULL); /* cannot fail */
    for (unsigned i = 0; i < all->n; i++)
        if (all->workers[i].started) {
            pthread_join(all->workers[i].thread, NULL);
            all->workers[i].started = false;
        }
}

void workers_free(struct workers *all)
{
    if (!all)
        return;
    workers_stop(all);
    free_all(all);
}

void workers_add(struct workers *all, unsigned worker, uint16_t input, struct live_source *source,
                 bool is_late)
{
    if (!all->workers[worker].started) {
        live_close(source);
        return;
    }
    order_start(&all->workers[worker], ORDER_ADD, (struct input){source, input, is_late}, NULL);
    (void)order_wait(&all->workers[worker]);
}

void workers_remove(struct workers *all, uint16_t input)
{
    (void)order_all(all, ORDER_REMOVE, (struct input){.number = input}, NULL);
}

bool workers_broken(struct workers *all, uint16_t *out_input, int *out_error)
{
    pthread_mutex_lock(&all->lock);
    bool any = all->n_broken > 0;
    if (any) {
        all->n_broken--;
        *out_input = all->broken[all->n_broken].input;
        *out_error = all->broken[all->n_broken].error;
    }
    pthread_mutex_unlock(&all->lock);
    return any;
}

bool workers_set_rules(struct workers *all, const struct arrival_rules *rules)
{
    const struct arrival_rules *before = all->options.rules;
    if (!order_all(all, ORDER_RULES, (struct input){0}, rules)) {
        (void)order_all(all, ORDER_RULES, (struct input){0}, before);
        return false;
    }
    all->options.rules = rules;
    return true;
}

void workers_set_book(struct workers *all, const struct address_book *book)
{
    (void)order_all(all, ORDER_BOOK, (struct input){0}, book);
}

void workers_flush(struct workers *all)
{
    (void)order_all(all, ORDER_FLUSH, (struct input){0}, NULL);
}

void workers_report_open(struct workers *all)
{
    (void)order_all(all, ORDER_REPORT_OPEN, (struct input){0}, NULL);
}

void workers_count(struct workers *all, struct pipeline_counters *out,
                   struct arrival_counters *out_arrival, struct handoff_counters *out_handoff)
{
    memset(out, 0, sizeof *out);
    memset(out_arrival, 0, sizeof *out_arrival);
    memset(out_handoff, 0, sizeof *out_handoff);
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++) {
        struct handoff_counters handoff = handoff_count(all->workers[i].handoff);
        counters_add(out, &all->workers[i].counters, sizeof *out);
        counters_add(out_arrival, &all->workers[i].arrival_counters, sizeof *out_arrival);
        counters_add(out_handoff, &handoff, sizeof handoff);
    }
    pthread_mutex_unlock(&all->lock);
}

void workers_count_input(struct workers *all, uint16_t input, struct live_counters *out)
{
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++)
        counters_add(out, &all->workers[i].inputs_counters[input % INTAKE_MAX], sizeof *out);
    pthread_mutex_unlock(&all->lock);
}

int64_t workers_lag(struct workers *all)
{
    int64_t most = 0;
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++)
        if (all->workers[i].published_lag > most)
            most = all->workers[i].published_lag;
    pthread_mutex_unlock(&all->lock);
    return most;
}

unsigned workers_n(const struct workers *all)
{
    return all->n;
}

struct address_learner *workers_learner(struct workers *all, unsigned worker)
{
    return all->workers[worker].arrival.learner;
}

struct witness *workers_witness(struct workers *all, unsigned worker)
{
    return all->workers[worker].arrival.witness;
}

struct source_table *workers_sources(struct workers *all, unsigned worker)
{
    return all->workers[worker].arrival.sources;
}
