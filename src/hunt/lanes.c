/* Threads that read and parse: see lanes.h. */
#include "hunt/lanes.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"

#define LANES        24 /* files that are open at once */
#define BLOCKS_EACH  6  /* for a thread */
#define MAX_THREADS  64
#define NS_PER_S     INT64_C(1000000000)
#define GROWS_FOR_NS (600 * NS_PER_S)

/* A block, and its place in its file's queue. */
struct slot {
    struct block block;
    struct slot *next;
    bool ready;
};

struct lane {
    struct stream stream;
    struct slot *head, *tail;
    bool busy;    /* a thread is reading it */
    bool all_cut; /* its last block was cut, or it is abandoned */
};

struct lanes {
    struct lanes_options want;
    int64_t now;
    pthread_mutex_t lock;
    pthread_cond_t work; /* there may be something to read */
    pthread_cond_t done; /* a block is ready, or a file let go */
    struct lane lanes[LANES];
    size_t first; /* file that is delivered */
    struct slot *slots, *unused;
    unsigned n_slots, n_unused;
    pthread_t threads[MAX_THREADS];
    unsigned n_threads;
    bool quit;
};

/* In a folder that is written to, or written to lately. */
bool lanes_may_grow(const struct files_one *file, int64_t now)
{
    if (file->stream || file->name.packed || file->name.rotated || file->name.finished)
        return false;
    return strstr(file->path, "/current/") || strstr(file->path, "/.live/") ||
           strstr(file->path, "/spool/") || file->modified > now - GROWS_FOR_NS;
}

static struct lane *lane_of(struct lanes *p, size_t file)
{
    return &p->lanes[file % LANES];
}

static size_t end_of_lanes(const struct lanes *p)
{
    size_t end = p->first + LANES;
    return end < p->want.n_files ? end : p->want.n_files;
}

/* A file to read from; the first file's blocks may use up all the room. */
static struct lane *pick(struct lanes *p, size_t *out_file)
{
    for (size_t i = p->first; i < end_of_lanes(p); i++) {
        struct lane *lane = lane_of(p, i);
        if (p->n_unused == 0 || (i > p->first && p->n_unused <= p->n_slots / 2))
            return NULL;
        if (lane->busy || lane->all_cut)
            continue;
        *out_file = i;
        return lane;
    }
    return NULL;
}

static struct slot *take_slot(struct lanes *p, struct lane *lane)
{
    struct slot *slot = p->unused;
    p->unused = slot->next;
    p->n_unused--;
    slot->next = NULL;
    slot->ready = false;
    if (lane->tail)
        lane->tail->next = slot;
    else
        lane->head = slot;
    lane->tail = slot;
    return slot;
}

static void *work(void *with)
{
    struct lanes *p = with;
    pthread_mutex_lock(&p->lock);
    while (!p->quit) {
        size_t file;
        struct lane *lane = pick(p, &file);
        if (!lane) {
            pthread_cond_wait(&p->work, &p->lock);
            continue;
        }
        struct slot *slot = take_slot(p, lane);
        lane->busy = true;
        pthread_mutex_unlock(&p->lock);

        stream_next(&lane->stream, &slot->block);

        pthread_mutex_lock(&p->lock);
        lane->busy = false;
        lane->all_cut |= slot->block.last;
        pthread_cond_signal(&p->work);
        pthread_mutex_unlock(&p->lock);

        block_parse(&slot->block, lanes_may_grow(p->want.files[file], p->now), p->want.since);

        pthread_mutex_lock(&p->lock);
        slot->ready = true;
        if (file == p->first)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void start_lane(struct lanes *p, size_t file)
{
    struct lane *lane = lane_of(p, file);
    if (file >= p->want.n_files)
        return;
    *lane = (struct lane){.head = NULL};
    stream_init(&lane->stream, p->want.files[file], p->want.fields, p->want.marks);
}

static int start_threads(struct lanes *p, struct err *err)
{
    sigset_t all, before;
    int result = 0;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (result == 0 && p->n_threads < p->want.n_threads) {
        result = pthread_create(&p->threads[p->n_threads], NULL, work, p);
        p->n_threads += result == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (p->n_threads == 0)
        return err_set(err, -result, "no thread to read logs with could be started");
    return 0;
}

int lanes_new(const struct lanes_options *options, struct lanes **out, struct err *err)
{
    struct lanes *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, -ENOMEM, "no memory to read logs");
    p->want = *options;
    if (p->want.n_threads > MAX_THREADS)
        p->want.n_threads = MAX_THREADS;
    p->now = clock_now();
    p->n_slots = BLOCKS_EACH * p->want.n_threads + 4;
    p->slots = calloc(p->n_slots, sizeof *p->slots);
    if (!p->slots) {
        free(p);
        return err_set(err, -ENOMEM, "no memory to read logs");
    }
    for (unsigned i = 0; i < p->n_slots; i++) {
        p->slots[i].next = p->unused;
        p->unused = &p->slots[i];
    }
    p->n_unused = p->n_slots;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->done, &attributes);
    pthread_condattr_destroy(&attributes);
    for (size_t i = 0; i < end_of_lanes(p); i++)
        start_lane(p, i);
    int result = start_threads(p, err);
    if (result < 0) {
        lanes_free(p);
        return result;
    }
    *out = p;
    return 0;
}

void lanes_free(struct lanes *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    for (size_t i = p->first; i < end_of_lanes(p); i++)
        stream_done(&lane_of(p, i)->stream);
    for (unsigned i = 0; i < p->n_slots; i++)
        block_done(&p->slots[i].block);
    free(p->slots);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

struct block *lanes_take(struct lanes *p, int64_t wait_ns)
{
    struct block *block = NULL;
    int64_t until = clock_ticks() + wait_ns;
    struct timespec t = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    int result = 0;
    pthread_mutex_lock(&p->lock);
    struct lane *lane = lane_of(p, p->first);
    while (result == 0 && !(lane->head && lane->head->ready))
        result = pthread_cond_timedwait(&p->done, &p->lock, &t);
    if (lane->head && lane->head->ready) {
        struct slot *slot = lane->head;
        lane->head = slot->next;
        if (!lane->head)
            lane->tail = NULL;
        block = &slot->block;
    }
    pthread_mutex_unlock(&p->lock);
    return block;
}

static void give_back(struct lanes *p, struct slot *slot)
{
    slot->next = p->unused;
    p->unused = slot;
    p->n_unused++;
}

void lanes_give_back(struct lanes *p, struct block *block)
{
    /* The block is the slot's first member. */
    struct slot *slot = (struct slot *)(void *)block;
    pthread_mutex_lock(&p->lock);
    give_back(p, slot);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

const struct stream *lanes_stream(const struct lanes *p)
{
    return &p->lanes[p->first % LANES].stream;
}

void lanes_next(struct lanes *p)
{
    pthread_mutex_lock(&p->lock);
    struct lane *lane = lane_of(p, p->first);
    lane->all_cut = true;
    while (lane->busy || lane->head) {
        while (lane->head && lane->head->ready) {
            struct slot *slot = lane->head;
            lane->head = slot->next;
            give_back(p, slot);
        }
        if (lane->busy || lane->head)
            pthread_cond_wait(&p->done, &p->lock);
    }
    stream_done(&lane->stream);
    start_lane(p, p->first + LANES);
    p->first++;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}
