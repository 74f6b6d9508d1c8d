/* Workers of a live run: see workers.h. */
#include "sensor/workers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "flow/weird.h"
#include "proto/x509_memory.h"
#include "sensor/intake.h"
#include "source/address_book.h"
#include "source/witness.h"

#define MAX_BROKEN    64
#define HANDOFF_SIZE  ((size_t)8 << 20)
#define SECOND        1000000000ll
#define TICK          (SECOND / 10)
#define FLUSH_EVERY   (SECOND / 2)
#define YOUNG_MS      5      /* between two looks at packets that are too young */
#define BURSTS_A_TURN 64     /* of one input, before the others have their turn */
#define CLOCK_LAG     SECOND /* packets that are on their way may be that much older than now */

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
    bool order_failed;
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

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static int64_t ticks_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

/* ---- what the pipeline asks ---- */

static unsigned owner_of(void *with, const struct packet *packet)
{
    const struct worker *w = with;
    uint32_t hash;
    if (!steer_packet(&w->all->options.steer_key, packet, &hash))
        return w->number; /* it has no connection: whoever has it keeps it */
    return steer_worker(hash, w->all->n);
}

static void hand_on(void *with, unsigned worker, const struct packet *packet)
{
    const struct worker *w = with;
    (void)handoff_put(w->all->workers[worker].handoff, packet); /* a full queue counts it */
}

static void put_out(void *with, const struct packet *packet, const struct source *source)
{
    struct worker *w = with;
    w->all->options.output_packet(w->output, packet, source);
    w->output_dirty = true;
}

/* ---- the thread ---- */

/* Counters only: all 64 bits. */
static void add_u64(void *sum, const void *one, size_t size)
{
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        ((uint64_t *)sum)[i] += ((const uint64_t *)one)[i];
}

static void say_broken(void *with, uint16_t input, int error)
{
    const struct worker *w = with;
    struct workers *all = w->all;
    pthread_mutex_lock(&all->lock);
    bool known = false;
    for (size_t i = 0; i < all->n_broken; i++)
        known |= all->broken[i].input == input;
    if (!known && all->n_broken < MAX_BROKEN) {
        all->broken[all->n_broken].input = input;
        all->broken[all->n_broken++].error = error;
    }
    pthread_mutex_unlock(&all->lock);
}

/* True: there may be more. */
static bool read_inputs(struct worker *w, int64_t polled)
{
    struct frame frames[CAPTURE_BURST];
    for (unsigned turn = 0; turn < BURSTS_A_TURN; turn++) {
        unsigned n = intake_next(w->intake, polled, frames, &w->waits);
        if (n == 0)
            return false;
        int64_t lag = frames[0].ts > 0 ? now_ns() - frames[0].ts : 0;
        w->lag = lag > w->lag ? lag : w->lag;
        pipeline_frames(w->pipeline, frames, n);
    }
    return true;
}

static void read_handoff(struct worker *w)
{
    struct packet packets[CAPTURE_BURST];
    unsigned n;
    for (unsigned turn = 0; turn < BURSTS_A_TURN; turn++) {
        n = handoff_take(w->handoff, packets, CAPTURE_BURST);
        if (n == 0)
            return;
        pipeline_packets(w->pipeline, packets, n);
    }
}

static void flush(struct worker *w)
{
    log_writer_flush(w->log);
    if (w->output_dirty && w->all->options.output_flush)
        w->all->options.output_flush(w->output);
    w->output_dirty = false;
}

static void publish(struct worker *w)
{
    struct live_counters inputs[INTAKE_MAX];
    intake_count(w->intake, inputs);
    pthread_mutex_lock(&w->all->lock);
    pipeline_count(w->pipeline, &w->counters);
    w->arrival_counters = w->arrival.counters;
    memcpy(w->inputs_counters, inputs, sizeof inputs);
    w->published_lag = w->lag;
    w->lag = 0;
    pthread_mutex_unlock(&w->all->lock);
}

/* All that the kernel has for us already. */
static void drain(struct worker *w)
{
    int64_t until = ticks_ns() + 2 * SECOND; /* a flood does not end by itself */
    struct pollfd fds[INTAKE_MAX];
    do {
        size_t n = intake_fds(w->intake, fds);
        (void)poll(fds, n, 0); /* where it fails nothing is ready */
        intake_polled(w->intake, fds, n);
    } while (read_inputs(w, INT64_MAX) && ticks_ns() < until);
    intake_close_all(w->intake);
    read_handoff(w);
}

/* Carries out the order, without the lock: nobody else touches what it is about. */
static bool obey(struct worker *w, enum order order)
{
    switch (order) {
    case ORDER_NONE:
        break;
    case ORDER_ADD:
        if (!intake_add(w->intake, w->order_input.number, w->order_input.source,
                        w->order_input.is_late)) {
            live_close(w->order_input.source);
            say_broken(w, w->order_input.number, -EMFILE);
        }
        break;
    case ORDER_REMOVE:
        intake_remove(w->intake, w->order_input.number);
        break;
    case ORDER_RULES: {
        const struct arrival_rules *before = w->arrival.rules;
        w->arrival.rules = w->order_with;
        if (!pipeline_set_rules(w->pipeline)) {
            w->arrival.rules = before;
            w->order_failed = true;
        }
        break;
    }
    case ORDER_BOOK:
        w->arrival.book = w->order_with;
        break;
    case ORDER_FLUSH:
        flush(w);
        break;
    case ORDER_REPORT_OPEN:
        pipeline_report_open(w->pipeline);
        break;
    case ORDER_DRAIN:
        drain(w);
        break;
    case ORDER_END:
        read_handoff(w);
        return false;
    }
    return true;
}

/* False: the thread ends. */
static bool take_order(struct worker *w)
{
    uint64_t wakes;
    (void)!read(w->wake, &wakes, sizeof wakes); /* only to empty it */
    pthread_mutex_lock(&w->all->lock);
    enum order order = w->order;
    pthread_mutex_unlock(&w->all->lock);
    if (order == ORDER_NONE)
        return true;
    bool goes_on = obey(w, order);
    if (!goes_on) {
        pipeline_finish(w->pipeline);
        flush(w);
    }
    publish(w);
    pthread_mutex_lock(&w->all->lock);
    w->order = ORDER_NONE;
    pthread_cond_broadcast(&w->all->done);
    pthread_mutex_unlock(&w->all->lock);
    return goes_on;
}

static void keep_time(struct worker *w)
{
    int64_t ticks = ticks_ns();
    if (ticks - w->last_tick >= TICK) {
        w->last_tick = ticks;
        pipeline_tick(w->pipeline, now_ns() - CLOCK_LAG);
        publish(w);
    }
    if (ticks - w->last_flush >= FLUSH_EVERY) {
        w->last_flush = ticks;
        flush(w);
    }
}

/* Waits until there is something to do; gives the time from which on nothing was asked for. What is
 * too young is readable and would end each poll at once: while it ages, only the others are polled,
 * and the inputs after that. */
static int64_t wait_for_work(const struct worker *w, bool busy, struct pollfd fds[INTAKE_MAX + 2],
                             size_t *out_n)
{
    fds[0] = (struct pollfd){.fd = w->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = handoff_fd(w->handoff), .events = POLLIN};
    int patience = busy || w->waits ? 0 : (int)(TICK / 1000000);
    if (w->waits && !busy)
        (void)poll(fds, 2, w->waits); /* asked again below */
    *out_n = intake_fds(w->intake, fds + 2);
    int64_t polled = now_ns();
    return poll(fds, *out_n + 2, patience) < 0 && errno != EINTR ? -errno : polled;
}

static void *work(void *with)
{
    struct worker *w = with;
    bool busy = false;
    for (;;) {
        struct pollfd fds[INTAKE_MAX + 2];
        size_t n;
        int64_t polled = wait_for_work(w, busy, fds, &n);
        if (polled < 0)
            say_broken(w, 0, (int)polled);
        intake_polled(w->intake, fds + 2, n);
        busy = read_inputs(w, polled);
        if (fds[1].revents)
            read_handoff(w);
        if (fds[0].revents && !take_order(w))
            return NULL;
        keep_time(w);
    }
}

/* ---- the control thread's side ---- */

static void order_start(struct worker *w, enum order order, struct input input, const void *with)
{
    pthread_mutex_lock(&w->all->lock);
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
        .owner = all->n > 1 ? owner_of : NULL,
        .worker = number,
        .hand_on = hand_on,
        .packet = options->output_packet ? put_out : NULL,
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
    w->intake = intake_new(say_broken, w);
    w->log = log_writer_new(options->logs);
    w->pipeline = w->log ? pipeline_new(&pipeline, w->log) : NULL;
    if (options->output_new)
        w->output = options->output_new(options->with, number);
    if (w->wake < 0 || !w->handoff || !w->intake || !w->arrival.learner || !w->arrival.witness ||
        !w->pipeline || (options->output_new && !w->output))
        return err_set(err, -ENOMEM,
                       "no memory, or no more open files (ulimit -n), for worker %u of %u; "
                       "give fewer with -j",
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
        result = -pthread_create(&w->thread, NULL, work, w);
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

void workers_stop(struct workers *all, struct pipeline_counters *out_counters,
                  struct arrival_counters *out_arrival)
{
    (void)order_all(all, ORDER_END, (struct input){0}, NULL); /* cannot fail */
    for (unsigned i = 0; i < all->n; i++)
        pthread_join(all->workers[i].thread, NULL);
    struct handoff_counters handoff;
    workers_count(all, out_counters, out_arrival, &handoff);
    free_all(all);
}

void workers_add(struct workers *all, unsigned worker, uint16_t input, struct live_source *source,
                 bool is_late)
{
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
        add_u64(out, &all->workers[i].counters, sizeof *out);
        add_u64(out_arrival, &all->workers[i].arrival_counters, sizeof *out_arrival);
        add_u64(out_handoff, &handoff, sizeof handoff);
    }
    pthread_mutex_unlock(&all->lock);
}

void workers_count_input(struct workers *all, uint16_t input, struct live_counters *out)
{
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&all->lock);
    for (unsigned i = 0; i < all->n; i++)
        add_u64(out, &all->workers[i].inputs_counters[input % INTAKE_MAX], sizeof *out);
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
