/* Queues between workers: see handoff.h. A ring of bytes; each record is a packet and what it
 * points to, in one piece:
 *
 *     | size | struct packet | frame | IP packet, unless it lies in the frame | options | weirds |
 */
#include "sensor/handoff.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ALIGNMENT      16
#define PACKET_LARGEST (1u << 20) /* of a record: more than any packet */

struct record {
    _Alignas(ALIGNMENT) uint32_t size; /* of all; 0: the ring goes on at its beginning */
    struct packet packet;
};

struct handoff {
    pthread_mutex_t lock;
    uint8_t *bytes;
    size_t size;
    size_t head, tail; /* written from head on, read from tail on; equal: empty */
    size_t taken;      /* bytes from tail on that the reader still uses */
    struct handoff_counters counters;
    int fd;
};

struct handoff *handoff_new(size_t size)
{
    struct handoff *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->size = size & ~(size_t)(ALIGNMENT - 1);
    q->bytes = aligned_alloc(ALIGNMENT, q->size);
    q->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&q->lock, NULL);
    if (!q->bytes || q->fd < 0) {
        handoff_free(q);
        return NULL;
    }
    return q;
}

void handoff_free(struct handoff *q)
{
    if (!q)
        return;
    if (q->fd >= 0)
        close(q->fd);
    pthread_mutex_destroy(&q->lock);
    free(q->bytes);
    free(q);
}

/* Where the pieces of a packet's record are, behind its struct. */
struct plan {
    size_t ip_at, options_at[PACKET_MAX_LAYERS], weirds_at, size;
    bool ip_in_frame;
};

static size_t round_up(size_t n)
{
    return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct plan make_plan(const struct packet *p)
{
    struct plan plan = {0};
    size_t at = sizeof(struct record) + p->frame_size;
    plan.ip_in_frame =
        !p->ip || (p->ip >= p->frame && p->ip + p->ip_size <= p->frame + p->frame_size);
    plan.ip_at = at;
    if (!plan.ip_in_frame)
        at += p->ip_size;
    for (size_t i = 0; i < p->n_layers; i++) {
        plan.options_at[i] = at;
        at += p->layers[i].options_size;
    }
    plan.weirds_at = round_up(at);
    plan.size = round_up(plan.weirds_at + p->n_weirds * sizeof p->weirds[0]);
    return plan;
}

static void write_record(uint8_t *to, const struct packet *p, const struct plan *plan)
{
    struct record *record = (struct record *)(void *)to;
    record->size = (uint32_t)plan->size;
    record->packet = *p;
    struct packet *out = &record->packet;
    uint8_t *frame = to + sizeof *record;
    if (p->frame_size)
        memcpy(frame, p->frame, p->frame_size);
    out->frame = frame;
    if (p->ip) {
        uint8_t *ip = plan->ip_in_frame ? frame + (p->ip - p->frame) : to + plan->ip_at;
        if (!plan->ip_in_frame)
            memcpy(ip, p->ip, p->ip_size);
        out->ip = ip;
        out->payload = ip + (p->payload - p->ip);
    }
    out->more = NULL; /* who handed it on goes through the frame's other packets himself */
    out->more_size = 0;
    for (size_t i = 0; i < p->n_layers; i++) {
        if (p->layers[i].options_size)
            memcpy(to + plan->options_at[i], p->layers[i].options, p->layers[i].options_size);
        out->layers[i].options = to + plan->options_at[i];
    }
    if (p->n_weirds)
        memcpy(to + plan->weirds_at, p->weirds, p->n_weirds * sizeof p->weirds[0]);
    out->weirds = (struct packet_weird *)(void *)(to + plan->weirds_at);
}

/* Written under the lock, read without. */
static void count_one(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* Where `size` bytes can be written in one piece; SIZE_MAX: nowhere. One place always stays free,
 * so that a full ring is not taken for an empty one. */
static size_t find_room(const struct handoff *q, size_t size)
{
    if (q->head >= q->tail) {
        if (q->size - q->head >= size + (q->tail == 0 ? ALIGNMENT : 0))
            return q->head;
        return q->tail > size ? 0 : SIZE_MAX;
    }
    return q->tail - q->head > size ? q->head : SIZE_MAX;
}

bool handoff_put(struct handoff *q, const struct packet *packet)
{
    struct plan plan = make_plan(packet);
    if (plan.size > PACKET_LARGEST)
        plan.size = SIZE_MAX / 2;
    pthread_mutex_lock(&q->lock);
    size_t at = find_room(q, plan.size);
    bool was_empty = q->head == q->tail;
    if (at == SIZE_MAX) {
        count_one(&q->counters.n_full);
    } else {
        if (at == 0 && q->head != 0 && q->head < q->size)
            ((struct record *)(void *)(q->bytes + q->head))->size = 0;
        write_record(q->bytes + at, packet, &plan);
        q->head = at + plan.size == q->size ? 0 : at + plan.size;
        count_one(&q->counters.n_put);
        /* Under the lock: later, the taker could have taken it, and be woken for nothing. */
        if (was_empty)
            (void)!write(q->fd, &(uint64_t){1}, sizeof(uint64_t)); /* it was 0 */
    }
    pthread_mutex_unlock(&q->lock);
    return at != SIZE_MAX;
}

int handoff_fd(const struct handoff *q)
{
    return q->fd;
}

unsigned handoff_take(struct handoff *q, struct packet *out, unsigned max)
{
    unsigned n = 0;
    uint64_t wakes;
    pthread_mutex_lock(&q->lock);
    q->tail = q->taken;
    if (q->tail == q->head) {
        (void)!read(q->fd, &wakes, sizeof wakes); /* only to empty it */
        q->head = q->tail = q->taken = 0; /* all of it is room, and what was used last is near */
    }
    while (n < max && q->taken != q->head) {
        const struct record *record = (const struct record *)(void *)(q->bytes + q->taken);
        if (record->size == 0) {
            q->taken = 0;
            continue;
        }
        out[n++] = record->packet;
        q->taken += record->size;
        if (q->taken == q->size)
            q->taken = 0;
    }
    pthread_mutex_unlock(&q->lock);
    return n;
}

struct handoff_counters handoff_count(const struct handoff *q)
{
    return (struct handoff_counters){__atomic_load_n(&q->counters.n_put, __ATOMIC_RELAXED),
                                     __atomic_load_n(&q->counters.n_full, __ATOMIC_RELAXED)};
}
