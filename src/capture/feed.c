/* One file's bytes in blocks that the workers share: see feed.h.
 *
 * A block's buffer, of which `room` begins at the same place each time, so that reads are aligned
 * in memory and in the file:
 *
 *      +-------------------+----------------------------------+
 *      |     unused | left |  room: one read                  |
 *      +-------------------+----------------------------------+
 *                   ^ bytes                     ^ bytes + size */
#include "capture/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BLOCK_SIZE     (512u << 10)
#define MIN_BLOCK_SIZE (32u << 10)
#define ACTIVE_BYTES   (32u << 20) /* shared by the blocks of files that are open together */
#define LEFT_SIZE      (68u << 10) /* usually enough for what is left */
#define MAX_AHEAD      8           /* blocks of one file */
#define MAX_AHEAD_MANY 3           /* when many files are open */
#define MANY_ACTIVE    16
#define MAX_SPARE      16

#define LONGEST_WAIT_NS 250000000

int feed_set_init(struct feed_set *set, unsigned n_workers, struct err *err)
{
    *set = (struct feed_set){.n_workers = n_workers, .max_open = 256, .block_size = BLOCK_SIZE};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < set->max_open)
        set->max_open = (unsigned)(limit.rlim_cur / 4);
    set->watch = (struct input_watch){.n_read = &set->n_read, .stopped = &set->stopped};
    int code = pthread_mutex_init(&set->lock, NULL);
    if (code != 0)
        return err_set(err, -code, "no lock for the capture: %s", strerror(code));
    code = pthread_cond_init(&set->change, NULL);
    if (code != 0) {
        (void)pthread_mutex_destroy(&set->lock); /* nobody has it */
        return err_set(err, -code, "no lock for the capture: %s", strerror(code));
    }
    return 0;
}

static void block_free(struct block *block)
{
    free(block->buffer);
    free(block);
}

void feed_set_done(struct feed_set *set)
{
    while (set->spare) {
        struct block *block = set->spare;
        set->spare = block->next;
        block_free(block);
    }
    (void)pthread_cond_destroy(&set->change); /* nobody waits */
    (void)pthread_mutex_destroy(&set->lock);
}

void feed_init(struct feed *feed, const char *name)
{
    *feed = (struct feed){
        .name = name,
        .shown = input_shown(name),
        .input.fd = -1,
    };
}

int feed_take(struct feed *feed, struct feed_set *set, const struct input *input,
              const uint8_t *head, size_t head_size, struct err *err)
{
    if (head_size > 0) {
        feed->head = malloc(head_size);
        if (!feed->head)
            return err_set(err, -ENOMEM, "%s: no memory to read it", input->shown);
        memcpy(feed->head, head, head_size);
    }
    feed->head_size = head_size;
    feed->input = *input;
    feed->opened = true;
    set->n_open++;
    return 0;
}

void feed_done(struct feed *feed)
{
    if (feed->ahead)
        block_free(feed->ahead);
    feed->ahead = NULL;
    if (feed->opened)
        input_close(&feed->input);
    feed->opened = false;
    free(feed->head);
    feed->head = NULL;
    while (feed->first) {
        struct block *block = feed->first;
        feed->first = block->next;
        block_free(block);
    }
}

/* Like input_read(). */
static ssize_t feed_read(struct feed *feed, struct feed_set *set, uint8_t *bytes, size_t size,
                         struct err *err)
{
    if (feed->ahead) { /* it was not enough for a block of its own */
        struct block *ahead = feed->ahead;
        size_t n = ahead->size < size ? ahead->size : size;
        if (n == 0 && feed->ahead_code < 0)
            *err = feed->ahead_failure;
        ssize_t result = n > 0 ? (ssize_t)n : feed->ahead_code;
        memcpy(bytes, ahead->bytes, n);
        ahead->bytes += n;
        ahead->size -= n;
        if (ahead->size == 0 && !ahead->last) {
            block_free(ahead);
            feed->ahead = NULL;
        }
        return result;
    }
    size_t left = feed->head_size - feed->head_at;
    if (left > 0) {
        size_t n = left < size ? left : size;
        memcpy(bytes, feed->head + feed->head_at, n);
        feed->head_at += n;
        return (ssize_t)n;
    }
    if (!feed->opened) {
        uint64_t ignored;
        int code = input_open(&feed->input, feed->name, &set->watch, &ignored, err);
        if (code < 0)
            return code;
        feed->opened = true;
    }
    return input_read(&feed->input, bytes, size, err);
}

/* Gives the block a buffer for `left` and one read, keeping none of its contents. */
static bool block_reserve(struct block *block, size_t left, size_t room)
{
    size_t size = left + room;
    if (block->buffer_size >= size)
        return true;
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, size) != 0)
        return false;
    free(block->buffer);
    block->buffer = buffer;
    block->buffer_size = size;
    return true;
}

/* What is to become the next block. */
struct filling {
    struct feed *feed;
    struct feed_set *set;
    struct block *from; /* may be `block` itself; NULL at the start */
    struct block *block;
    size_t consumed, need, read_size;
    uint64_t skip;
    int code; /* the input's refusal */
    bool last;
    struct err failure;
};

/* Drops what is to be skipped, by reading it: it may be packed, or a pipe. */
static uint64_t skip_bytes(struct filling *filling, uint8_t *room, size_t room_size)
{
    uint64_t skipped = 0;
    while (skipped < filling->skip && !filling->last) {
        uint64_t left = filling->skip - skipped;
        ssize_t n = feed_read(filling->feed, filling->set, room,
                              left < room_size ? (size_t)left : room_size, &filling->failure);
        if (n > 0)
            skipped += (uint64_t)n;
        else
            filling->last = true;
        if (n < 0)
            filling->code = (int)n;
    }
    return skipped;
}

/* Makes the next block of what was read ahead, where that is enough. Unlocked, like fill(). */
static bool fill_from_ahead(struct filling *filling)
{
    struct block *ahead = filling->feed->ahead, *from = filling->from;
    size_t n_left = from ? from->size - filling->consumed : 0;
    if (!ahead || filling->skip > 0 || n_left > LEFT_SIZE)
        return false;
    if (n_left + ahead->size < filling->need && !ahead->last)
        return false;
    ahead->bytes -= n_left; /* room was left in front */
    if (n_left > 0)
        memcpy(ahead->buffer + LEFT_SIZE - n_left, from->bytes + filling->consumed, n_left);
    ahead->size += n_left;
    ahead->offset = from ? from->offset + filling->consumed : 0;
    filling->last = ahead->last;
    filling->code = filling->feed->ahead_code;
    filling->failure = filling->feed->ahead_failure;
    return true;
}

/* Reads for the block after the one that was just made. Unlocked, like fill(). */
static void read_ahead(struct feed *feed, struct feed_set *set, struct block *block, size_t size)
{
    if (!block_reserve(block, LEFT_SIZE, size))
        return; /* the next block will say so */
    uint8_t *room = block->buffer + LEFT_SIZE;
    ssize_t n = feed_read(feed, set, room, size, &feed->ahead_failure);
    block->bytes = room;
    block->size = n > 0 ? (size_t)n : 0;
    block->last = n <= 0;
    feed->ahead_code = n < 0 ? (int)n : 0;
    feed->ahead = block;
}

/* Unlocked: only the worker that set `reading` is here. False: no memory. */
static bool fill(struct filling *filling)
{
    struct block *from = filling->from;
    struct block *block = filling->block;
    size_t n_left = from ? from->size - filling->consumed : 0;
    const uint8_t *left = from ? from->bytes + filling->consumed : NULL;
    uint64_t offset = from ? from->offset + filling->consumed : 0;
    size_t start = n_left > LEFT_SIZE ? (n_left + 4095) & ~(size_t)4095 : LEFT_SIZE;
    size_t room_size = filling->read_size;
    if (filling->need > n_left && filling->need - n_left > room_size)
        room_size = filling->need - n_left;
    if (block == from && block->buffer_size < start + room_size) {
        /* What is left lies in the buffer that is too small. */
        struct block larger = {0};
        if (!block_reserve(&larger, start, room_size))
            return false;
        memcpy(larger.buffer + start - n_left, left, n_left);
        free(block->buffer);
        block->buffer = larger.buffer;
        block->buffer_size = larger.buffer_size;
    } else {
        if (!block_reserve(block, start, room_size))
            return false;
        if (n_left > 0)
            memmove(block->buffer + start - n_left, left, n_left);
    }
    uint8_t *room = block->buffer + start;
    offset += skip_bytes(filling, room, room_size);
    size_t n_read = 0;
    while (!filling->last) {
        ssize_t n = feed_read(filling->feed, filling->set, room + n_read, room_size - n_read,
                              &filling->failure);
        if (n > 0)
            n_read += (size_t)n;
        else
            filling->last = true;
        if (n < 0)
            filling->code = (int)n;
        if (n_left + n_read >= filling->need)
            break;
    }
    block->bytes = room - n_left;
    block->size = n_left + n_read;
    block->offset = offset;
    block->last = filling->last;
    return true;
}

/* Locked. */
static size_t read_size(const struct feed_set *set)
{
    size_t size = ACTIVE_BYTES / (set->n_active > 0 ? set->n_active : 1);
    if (size < MIN_BLOCK_SIZE)
        size = MIN_BLOCK_SIZE;
    return size < set->block_size ? size & ~(size_t)4095 : set->block_size;
}

/* Locked. */
static void put_spare(struct feed_set *set, struct block *block)
{
    if (set->n_spare == MAX_SPARE) {
        block_free(block);
        return;
    }
    block->next = set->spare;
    set->spare = block;
    set->n_spare++;
}

/* Locked. NULL: no memory. */
static struct block *get_spare(struct feed_set *set)
{
    struct block *block = set->spare;
    if (!block)
        return calloc(1, sizeof *block);
    set->spare = block->next;
    set->n_spare--;
    block->next = NULL;
    return block;
}

/* Locked. */
static void change(struct feed_set *set)
{
    if (set->n_waiting > 0)
        (void)pthread_cond_broadcast(&set->change); /* cannot fail */
}

/* Locked. */
static void leave(struct feed *feed, struct feed_set *set, struct block *block)
{
    if (--block->n_holders > 0)
        return;
    /* Blocks are left in order: this is the first of those that are there. */
    feed->first = block->next;
    feed->n_blocks--;
    put_spare(set, block);
    change(set);
}

void feed_leave(struct feed *feed, struct feed_set *set, struct block **held)
{
    if (!*held)
        return;
    pthread_mutex_lock(&set->lock);
    leave(feed, set, *held);
    pthread_mutex_unlock(&set->lock);
    *held = NULL;
}

/* Locked. Puts the block that was made behind the others. */
static void publish(struct feed *feed, struct feed_set *set, const struct filling *filling)
{
    struct block *block = filling->block, *held = filling->from;
    if (filling->last) {
        feed->opened = false;
        feed->at_end = true;
        set->n_active--;
        feed->code = filling->code;
        feed->failure = filling->failure;
    }
    if (block == held)
        return;
    block->n_holders = set->n_workers;
    block->next = NULL;
    feed->n_blocks++;
    if (held)
        held->next = block;
    else
        feed->first = block;
    change(set);
}

/* Locked on entry and on return; reads unlocked. */
static int make_next(struct feed *feed, struct feed_set *set, struct filling *filling)
{
    if (!feed->started)
        set->n_active++;
    feed->started = true;
    struct block *held = filling->from;
    if (fill_from_ahead(filling)) {
        filling->block = feed->ahead;
        feed->ahead = NULL;
        if (filling->last && feed->opened) {
            set->n_open -= feed->input.fd >= 0;
            input_close(&feed->input);
        }
        publish(feed, set, filling);
        return 0;
    }
    filling->block = set->n_workers == 1 && held ? held : get_spare(set);
    if (!filling->block)
        return -ENOMEM;
    filling->read_size = read_size(set);
    bool was_open = feed->input.fd >= 0;
    bool pause = set->n_open + !was_open > set->max_open;
    feed->reading = true;
    pthread_mutex_unlock(&set->lock);

    bool done = fill(filling);
    if (done && !filling->last && pause)
        input_pause(&feed->input);
    if (filling->last && feed->opened)
        input_close(&feed->input);

    pthread_mutex_lock(&set->lock);
    feed->reading = false;
    bool is_open = feed->input.fd >= 0;
    set->n_open = set->n_open + is_open - was_open;
    change(set);
    struct block *block = filling->block;
    if (!done) {
        if (block != held)
            put_spare(set, block);
        return -ENOMEM;
    }
    publish(feed, set, filling);
    return 0;
}

/* Locked on entry and on return. Only files: a pipe would keep the worker from what it has. */
static void make_ahead(struct feed *feed, struct feed_set *set)
{
    struct block *block = NULL;
    if (set->n_workers == 1 || feed->ahead || feed->at_end || !feed->opened ||
        feed->input.may_wait || feed->input.fd < 0 || set->n_active > MANY_ACTIVE ||
        !(block = get_spare(set)))
        return;
    size_t size = read_size(set);
    feed->reading = true;
    pthread_mutex_unlock(&set->lock);
    read_ahead(feed, set, block, size);
    pthread_mutex_lock(&set->lock);
    feed->reading = false;
    if (feed->ahead != block)
        put_spare(set, block);
    change(set);
}

/* Locked. Not for long: a set may be stopped by a signal handler, which cannot wake anybody. */
static void wait_for_change(struct feed_set *set)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LONGEST_WAIT_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    set->n_waiting++;
    (void)pthread_cond_timedwait(&set->change, &set->lock, &until); /* the caller looks again */
    set->n_waiting--;
}

int feed_next(struct feed *feed, struct feed_set *set, struct block **held, size_t consumed,
              uint64_t skip, size_t need)
{
    struct filling filling = {
        .feed = feed, .set = set, .from = *held, .consumed = consumed, .skip = skip, .need = need};
    struct block *next = NULL;
    int code = 0;
    pthread_mutex_lock(&set->lock);
    while (!next && code == 0) {
        unsigned max_ahead = set->n_active > MANY_ACTIVE ? MAX_AHEAD_MANY : MAX_AHEAD;
        next = *held ? (*held)->next : feed->first;
        if (next)
            break;
        if (atomic_load_explicit(&set->stopped, memory_order_relaxed)) {
            code = -ECANCELED;
        } else if (feed->reading || feed->n_blocks >= max_ahead) {
            wait_for_change(set);
        } else {
            code = make_next(feed, set, &filling);
            next = code == 0 ? filling.block : NULL;
        }
    }
    if (code == 0) {
        if (*held && next != *held)
            leave(feed, set, *held);
        *held = next;
        if (filling.block && !feed->reading)
            make_ahead(feed, set);
    }
    pthread_mutex_unlock(&set->lock);
    return code;
}
