/* A worker's thread: see workers.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "sensor/workers_parts.h"

#define SECOND        1000000000ll
#define TICK          (SECOND / 10)
#define FLUSH_EVERY   (SECOND / 2)
#define YOUNG_MS      5      /* between two looks at packets that are too young */
#define BURSTS_A_TURN 64     /* of one input, before the others have their turn */
#define REST          200000 /* ns */
#define CLOCK_LAG     SECOND /* packets that are on their way may be that much older than now */

/* ---- what the pipeline asks ---- */

unsigned worker_owner_of(void *with, const struct packet *packet)
{
    const struct worker *w = with;
    uint32_t hash;
    if (!steer_packet(&w->all->options.steer_key, packet, &hash))
        return w->number; /* it has no connection: whoever has it keeps it */
    return steer_worker(hash, w->all->n);
}

void worker_hand_on(void *with, unsigned worker, const struct packet *packet)
{
    const struct worker *w = with;
    (void)handoff_put(w->all->workers[worker].handoff, packet); /* a full queue counts it */
}

void worker_put_out(void *with, const struct packet *packet, const struct source *source)
{
    struct worker *w = with;
    w->all->options.output_packet(w->output, packet, source);
    w->output_dirty = true;
}

/* ---- the thread ---- */

void worker_say_broken(void *with, uint16_t input, int error)
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

/* What the inputs had for us: ALL, that there is now. */
enum had { HAD_NOTHING, HAD_ALL, HAD_MORE };

static enum had read_inputs(struct worker *w, int64_t polled)
{
    struct frame frames[CAPTURE_BURST];
    for (unsigned turn = 0; turn < BURSTS_A_TURN; turn++) {
        unsigned n = intake_next(w->intake, polled, frames, &w->waits);
        if (n == 0)
            return turn > 0 ? HAD_ALL : HAD_NOTHING;
        int64_t lag = frames[0].ts > 0 ? clock_now() - frames[0].ts : 0;
        w->lag = lag > w->lag ? lag : w->lag;
        pipeline_frames(w->pipeline, frames, n);
    }
    return HAD_MORE;
}

/* True: there may be more. */
static bool read_handoff(struct worker *w)
{
    struct packet packets[CAPTURE_BURST];
    for (unsigned turn = 0; turn < BURSTS_A_TURN; turn++) {
        unsigned n = handoff_take(w->handoff, packets, CAPTURE_BURST);
        if (n == 0)
            return false;
        pipeline_packets(w->pipeline, packets, n);
    }
    return true;
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
    int64_t until = clock_ticks() + 2 * SECOND; /* a flood does not end by itself */
    struct pollfd fds[INTAKE_MAX];
    bool more = true;
    while (more && clock_ticks() < until) {
        size_t n = intake_fds(w->intake, fds);
        (void)poll(fds, n, 0); /* where it fails nothing is ready */
        intake_polled(w->intake, fds, n);
        more = read_inputs(w, INT64_MAX) != HAD_NOTHING;
        more |= read_handoff(w); /* the others hand on what they have, as fast as they can */
    }
    intake_close_all(w->intake);
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
            worker_say_broken(w, w->order_input.number, -EMFILE);
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
    case ORDER_END: /* nobody puts any more */
        while (read_handoff(w))
            ;
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
    w->ended = !goes_on;
    pthread_cond_broadcast(&w->all->done);
    pthread_mutex_unlock(&w->all->lock);
    return goes_on;
}

static void keep_time(struct worker *w)
{
    int64_t ticks = clock_ticks();
    if (ticks - w->last_tick >= TICK) {
        w->last_tick = ticks;
        pipeline_tick(w->pipeline, clock_now() - CLOCK_LAG);
        publish(w);
    }
    if (ticks - w->last_flush >= FLUSH_EVERY) {
        w->last_flush = ticks;
        flush(w);
    }
}

/* Waits until there is something to do; gives the time from which on nothing was asked for. To be
 * woken for each packet costs more than the packet: who has taken all there was rests, and then
 * takes many. What is too young is readable and would end each poll at once: while it ages, only
 * the others are polled, and the inputs after that. */
static int64_t wait_for_work(const struct worker *w, enum had had,
                             struct pollfd fds[INTAKE_MAX + 2], size_t *out_n)
{
    fds[0] = (struct pollfd){.fd = w->wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = handoff_fd(w->handoff), .events = POLLIN};
    int patience = had != HAD_NOTHING || w->waits ? 0 : (int)(TICK / 1000000);
    if (w->waits && had != HAD_MORE)
        (void)poll(fds, 2, w->waits); /* asked again below */
    else if (had == HAD_ALL)
        (void)nanosleep(&(struct timespec){.tv_nsec = REST}, NULL); /* may be shorter */
    *out_n = intake_fds(w->intake, fds + 2);
    int64_t polled = clock_now();
    return poll(fds, *out_n + 2, patience) < 0 && errno != EINTR ? -errno : polled;
}

void *worker_run(void *with)
{
    struct worker *w = with;
    enum had had = HAD_NOTHING;
    for (;;) {
        struct pollfd fds[INTAKE_MAX + 2];
        size_t n;
        int64_t polled = wait_for_work(w, had, fds, &n);
        if (polled < 0)
            worker_say_broken(w, 0, (int)polled);
        intake_polled(w->intake, fds + 2, n);
        had = read_inputs(w, polled);
        if (fds[1].revents)
            read_handoff(w);
        if (fds[0].revents && !take_order(w))
            return NULL;
        keep_time(w);
    }
}
