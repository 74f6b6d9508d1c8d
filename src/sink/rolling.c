/* The half of rolling packet files that the workers see: packets into buffers, and buffers to the
 * thread that writes them. See rolling.h.
 *
 *     writer ── full, or a second old ──> ready ──> the thread ──> free ──> a writer
 *
 * The lock is taken when a buffer changes hands, never for a packet. */
#include "sink/rolling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "sink/block.h"
#include "sink/rolling_disk.h"

#define SECOND    1000000000ll
#define MIN_SPARE 4 /* buffers, however small the memory */

struct rolling {
    struct sink sink;
    struct rolling_disk *disk; /* the thread's, between start and close */
    uint32_t snap_size;
    bool packet_comments;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool started, stop;
    struct rolling_buffer *free;         /* under the lock, as all below */
    struct rolling_buffer *ready, *last; /* in the order of their coming */
    uint32_t n_buffers, max_buffers;     /* made */
};

struct rolling_writer {
    struct sink_writer writer;
    struct rolling_buffer *buffer; /* NULL: none could be had */
    uint32_t last_slot;
};

static struct rolling *rolling_of(struct sink *sink)
{
    return (struct rolling *)sink;
}

/* Waits for a buffer until `until` (monotonic); NULL: none came, or it is time to stop. */
static struct rolling_buffer *wait_ready(struct rolling *rolling, int64_t until, bool *out_stop)
{
    struct timespec at = {.tv_sec = until / SECOND, .tv_nsec = until % SECOND};
    pthread_mutex_lock(&rolling->lock);
    int result = 0;
    while (!rolling->ready && !rolling->stop && result == 0)
        result = pthread_cond_timedwait(&rolling->wake, &rolling->lock, &at);
    struct rolling_buffer *buffer = rolling->ready;
    if (buffer) {
        rolling->ready = buffer->next;
        if (!rolling->ready)
            rolling->last = NULL;
    }
    *out_stop = rolling->stop && !buffer;
    pthread_mutex_unlock(&rolling->lock);
    return buffer;
}

static void *run(void *with)
{
    struct rolling *rolling = with;
    int64_t next = 0;
    bool stop = false;
    while (!stop) {
        int64_t ticks = clock_ticks();
        if (ticks >= next) {
            rolling_disk_tick(rolling->disk, clock_now());
            next = ticks + SECOND;
        }
        struct rolling_buffer *buffer = wait_ready(rolling, next, &stop);
        if (!buffer)
            continue;
        rolling_disk_write(rolling->disk, buffer, clock_now());
        pthread_mutex_lock(&rolling->lock);
        buffer->next = rolling->free;
        rolling->free = buffer;
        pthread_mutex_unlock(&rolling->lock);
    }
    return NULL;
}

static int start(struct sink *sink, struct err *err)
{
    struct rolling *rolling = rolling_of(sink);
    int result = pthread_create(&rolling->thread, NULL, run, rolling);
    if (result != 0)
        return err_set(err, -result, "cannot start a thread: %s", strerror(result));
    rolling->started = true;
    return 0;
}

static struct rolling_buffer *take_free(struct rolling *rolling)
{
    pthread_mutex_lock(&rolling->lock);
    struct rolling_buffer *buffer = rolling->free;
    bool make = !buffer && rolling->n_buffers < rolling->max_buffers;
    if (buffer)
        rolling->free = buffer->next;
    if (make)
        rolling->n_buffers++;
    pthread_mutex_unlock(&rolling->lock);
    if (make && !(buffer = malloc(sizeof *buffer))) {
        pthread_mutex_lock(&rolling->lock);
        rolling->n_buffers--;
        pthread_mutex_unlock(&rolling->lock);
    }
    if (buffer)
        buffer->used = buffer->n_slots = 0;
    return buffer;
}

static void hand_over(struct rolling *rolling, struct rolling_writer *w)
{
    struct rolling_buffer *buffer = w->buffer;
    w->buffer = NULL;
    buffer->next = NULL;
    pthread_mutex_lock(&rolling->lock);
    if (rolling->last)
        rolling->last->next = buffer;
    else
        rolling->ready = buffer;
    rolling->last = buffer;
    pthread_cond_signal(&rolling->wake);
    pthread_mutex_unlock(&rolling->lock);
}

static void flush(struct sink_writer *writer)
{
    struct rolling_writer *w = (struct rolling_writer *)writer;
    if (w->buffer && w->buffer->used > 0)
        hand_over(rolling_of(writer->sink), w);
}

/* FNV-1a over the name and the link type. */
static uint32_t hash_of(const char *source, uint16_t link)
{
    uint32_t hash = 2166136261u ^ link;
    for (size_t i = 0; source[i] && i < SINK_NAME_MAX - 1; i++)
        hash = (hash ^ (uint8_t)source[i]) * 16777619u;
    return hash;
}

static bool is_slot(const struct rolling_slot *slot, uint32_t hash, uint16_t link,
                    const char *source)
{
    return slot->hash == hash && slot->link == link &&
           strncmp(slot->source, source, SINK_NAME_MAX - 1) == 0;
}

static void describe(const struct sink_packet *packet, char *out, size_t size)
{
    char id[16] = "", from[ADDR_TEXT_MAX + 8] = "";
    if (!packet->encapsulation) {
        out[0] = 0;
        return;
    }
    if (packet->has_id)
        (void)snprintf(id, sizeof id, " %u", packet->id);
    if (packet->outer) {
        char text[ADDR_TEXT_MAX];
        int len = (int)addr_format(packet->outer, text);
        (void)snprintf(from, sizeof from, " from %.*s", len, text);
    }
    (void)snprintf(out, size, "%.24s%s%s", packet->encapsulation, id, from);
}

/* The slot of the packet's source; ROLLING_MAX_SLOTS: there is no room for another. */
static uint32_t slot_of(struct rolling_writer *w, const struct sink_packet *packet)
{
    struct rolling_buffer *buffer = w->buffer;
    const char *source = packet->source ? packet->source : "";
    uint32_t hash = hash_of(source, packet->link);
    if (w->last_slot < buffer->n_slots &&
        is_slot(&buffer->slots[w->last_slot], hash, packet->link, source))
        return w->last_slot;
    uint32_t i = 0;
    while (i < buffer->n_slots && !is_slot(&buffer->slots[i], hash, packet->link, source))
        i++;
    if (i == ROLLING_MAX_SLOTS)
        return i;
    if (i == buffer->n_slots) {
        struct rolling_slot *slot = &buffer->slots[buffer->n_slots++];
        slot->link = packet->link;
        slot->hash = hash;
        (void)snprintf(slot->source, sizeof slot->source, "%s", source);
        describe(packet, slot->how, sizeof slot->how);
    }
    return w->last_slot = i;
}

/* Whether there is a buffer with room for so much. */
static bool have_room(struct rolling *rolling, struct rolling_writer *w, uint32_t room)
{
    if (w->buffer && w->buffer->used + room > ROLLING_BUFFER_SIZE)
        hand_over(rolling, w);
    if (!w->buffer)
        w->buffer = take_free(rolling);
    return w->buffer != NULL;
}

static void write_packet(struct sink_writer *writer, const struct sink_packet *packet)
{
    struct rolling *rolling = rolling_of(writer->sink);
    struct rolling_writer *w = (struct rolling_writer *)writer;
    uint32_t size = packet->size < rolling->snap_size ? packet->size : rolling->snap_size;
    if (!have_room(rolling, w, size + BLOCK_PACKET_MORE)) {
        sink_refuse(writer, SINK_FULL);
        return;
    }
    uint32_t slot = slot_of(w, packet);
    if (slot == ROLLING_MAX_SLOTS) {
        hand_over(rolling, w);
        if (!have_room(rolling, w, 0)) {
            sink_refuse(writer, SINK_FULL);
            return;
        }
        slot = slot_of(w, packet);
    }
    struct rolling_buffer *buffer = w->buffer;
    struct str comment = rolling->packet_comments ? str_c(packet->source) : (struct str){0};
    buffer->used += (uint32_t)block_packet(buffer->bytes + buffer->used, slot, packet->ts,
                                           packet->bytes, size, packet->wire_size, comment);
    writer->counters.n_cut += size < packet->size;
}

/* A buffer waits for more packets than a burst has. */
static void burst(struct sink_writer *writer)
{
    (void)writer;
}

static int attach(struct sink *sink, struct sink_writer **out, struct err *err)
{
    struct rolling *rolling = rolling_of(sink);
    struct rolling_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, -ENOMEM, "out of memory");
    pthread_mutex_lock(&rolling->lock);
    rolling->max_buffers++; /* the one it fills: the memory is for those that wait */
    pthread_mutex_unlock(&rolling->lock);
    *out = &w->writer;
    return 0;
}

static void detach(struct sink_writer *writer)
{
    struct rolling_writer *w = (struct rolling_writer *)writer;
    struct rolling *rolling = rolling_of(writer->sink);
    pthread_mutex_lock(&rolling->lock);
    if (w->buffer) {
        w->buffer->next = rolling->free;
        rolling->free = w->buffer;
    }
    pthread_mutex_unlock(&rolling->lock);
    free(w);
}

static void free_buffers(struct rolling_buffer *buffer)
{
    while (buffer) {
        struct rolling_buffer *next = buffer->next;
        free(buffer);
        buffer = next;
    }
}

static int close_sink(struct sink *sink, struct err *err)
{
    struct rolling *rolling = rolling_of(sink);
    if (rolling->started) {
        pthread_mutex_lock(&rolling->lock);
        rolling->stop = true;
        pthread_cond_signal(&rolling->wake);
        pthread_mutex_unlock(&rolling->lock);
        (void)pthread_join(rolling->thread, NULL);
    }
    rolling_disk_close(rolling->disk);
    free_buffers(rolling->free);
    free_buffers(rolling->ready);
    pthread_cond_destroy(&rolling->wake);
    pthread_mutex_destroy(&rolling->lock);
    sink_done(sink);
    free(rolling);
    return 0;
}

static const struct sink_ops ops = {
    .name = "pcap",
    .start = start,
    .attach = attach,
    .write = write_packet,
    .burst = burst,
    .flush = flush,
    .detach = detach,
    .close = close_sink,
};

int rolling_open(const struct rolling_options *options, struct sink **out, struct err *err)
{
    struct rolling *rolling = calloc(1, sizeof *rolling);
    if (!rolling)
        return err_set(err, -ENOMEM, "out of memory");
    sink_init(&rolling->sink, &ops);
    int result = rolling_disk_open(options, &rolling->sink, &rolling->disk, err);
    if (result < 0) {
        sink_done(&rolling->sink);
        free(rolling);
        return result;
    }
    uint64_t memory = options->memory ? options->memory : 64u << 20;
    uint64_t n = memory / sizeof(struct rolling_buffer);
    rolling->max_buffers = n < MIN_SPARE ? MIN_SPARE : (uint32_t)n;
    rolling->snap_size = options->snap_size;
    if (rolling->snap_size == 0 || rolling->snap_size > ROLLING_MAX_PACKET)
        rolling->snap_size = ROLLING_MAX_PACKET;
    rolling->packet_comments = options->packet_comments;
    pthread_mutex_init(&rolling->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&rolling->wake, &attr);
    pthread_condattr_destroy(&attr);
    *out = &rolling->sink;
    return 0;
}
