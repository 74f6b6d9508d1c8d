/* One worker's way through all files in time order: a heap of its places in them.
 *
 * Every worker does exactly the same, whoever reads the blocks: what it takes next depends only on
 * the files' contents and the order they were named in. A block is left only at the start of a
 * call, so that all frames of a burst stay where they are until then. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "capture/set.h"

static bool is_before(const struct place *a, const struct place *b)
{
    return a->key < b->key || (a->key == b->key && a->file < b->file);
}

static void heap_sink(struct capture_cursor *cursor, uint32_t at)
{
    struct place **heap = cursor->heap;
    struct place *place = heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < cursor->n_heap && is_before(heap[child + 1], heap[child]))
            child++;
        if (child >= cursor->n_heap || !is_before(heap[child], place))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = place;
}

/* Up to where the first place goes before the second: it wins a tie when its file was named first.
 */
static void set_limit(struct capture_cursor *cursor)
{
    cursor->limit = INT64_MAX;
    if (cursor->n_heap < 2)
        return;
    struct place *second = cursor->heap[1];
    if (cursor->n_heap > 2 && is_before(cursor->heap[2], second))
        second = cursor->heap[2];
    cursor->limit = second->key;
    if (cursor->heap[0]->file > second->file && second->key > INT64_MIN)
        cursor->limit--;
}

int merge_init(struct capture_cursor *cursor, struct capture *capture, struct err *err)
{
    uint32_t n = capture->n_files;
    struct place *places = calloc(n, sizeof *places);
    struct place **heap = calloc(n, sizeof *heap);
    if (!places || !heap) {
        free(places);
        free(heap);
        return err_set(err, -ENOMEM, "no memory to read %u captures", n);
    }
    *cursor = (struct capture_cursor){.capture = capture, .places = places, .heap = heap};
    for (uint32_t i = 0; i < n; i++) {
        struct place *place = &places[i];
        walk_init(&place->walk);
        place->file = i;
        place->key = capture->files[i].first_ts;
        place->needs_refill = true;
        heap[i] = place;
    }
    cursor->n_heap = n;
    for (uint32_t i = n / 2; i-- > 0;)
        heap_sink(cursor, i);
    set_limit(cursor);
    return 0;
}

void merge_done(struct capture_cursor *cursor)
{
    struct capture *capture = cursor->capture;
    for (uint32_t i = 0; i < cursor->n_heap; i++) {
        struct place *place = cursor->heap[i];
        feed_leave(&capture->files[place->file].feed, &capture->set, &place->block);
        walk_done(&place->walk);
    }
    free(cursor->heap);
    free(cursor->places);
}

/* Every worker finds it; the first one's is kept. */
static void warn_file(struct capture *capture, struct capture_file *file, enum file_warning which,
                      const struct err *text)
{
    pthread_mutex_lock(&capture->set.lock);
    if (!file->warnings[which])
        file->warnings[which] = strdup(text->text);
    pthread_mutex_unlock(&capture->set.lock);
}

/* The first place of the heap has no more to give: says why, when that is not just the end. */
static void end_first(struct capture_cursor *cursor, uint64_t expected)
{
    struct capture *capture = cursor->capture;
    struct place *place = cursor->heap[0];
    struct capture_file *file = &capture->files[place->file];
    const char *shown = file->feed.shown;
    const struct walk *walk = &place->walk;
    const struct block *block = place->block;
    uint64_t offset = block ? block->offset + block->size - rd_left(&walk->at) : 0;
    struct err text = {""};
    if (walk->stop == WALK_BAD) {
        (void)err_set(&text, 0, "%s: %s at byte %" PRIu64 ": the file is read only up to there",
                      shown, walk->bad, offset);
    } else if (file->feed.code != 0) {
        text = file->feed.failure;
        if (file->feed.code != -EBADMSG && cursor->result == 0)
            cursor->result = file->feed.code;
    } else if (rd_left(&walk->at) > 0 || offset < expected) {
        (void)err_set(&text, 0,
                      "%s: is cut short, in the middle of what begins at byte %" PRIu64
                      ": all before it was read",
                      shown, offset);
    }
    if (text.text[0])
        warn_file(capture, file, FILE_ENDED_EARLY, &text);
    if (walk->n_unknown > 0) {
        (void)err_set(&text, 0,
                      "%s: %" PRIu64 " packets of interfaces that the file does not describe were "
                      "left out",
                      shown, walk->n_unknown);
        warn_file(capture, file, FILE_LEFT_OUT, &text);
    }
    if (walk->n_cut > 0) {
        (void)err_set(&text, 0,
                      "%s: %" PRIu64 " packets are longer than the file's snap length of %u bytes: "
                      "they were cut to it",
                      shown, walk->n_cut, walk->snap_size);
        warn_file(capture, file, FILE_CUT_PACKETS, &text);
    }
    feed_leave(&file->feed, &capture->set, &place->block);
    walk_done(&place->walk);
    cursor->heap[0] = cursor->heap[--cursor->n_heap];
    if (cursor->n_heap > 0)
        heap_sink(cursor, 0);
    set_limit(cursor);
}

static bool is_stopped(struct capture *capture)
{
    return atomic_load_explicit(&capture->set.stopped, memory_order_relaxed);
}

/* Gives the first place its next block, or ends it. */
static int refill_first(struct capture_cursor *cursor)
{
    struct capture *capture = cursor->capture;
    struct place *place = cursor->heap[0];
    struct walk *walk = &place->walk;
    const struct block *block = place->block;
    if (walk->stop == WALK_BAD) {
        end_first(cursor, 0);
        return 0;
    }
    size_t consumed = block ? block->size - rd_left(&walk->at) : 0;
    uint64_t expected = block ? block->offset + consumed + walk->skip : 0;
    int code = feed_next(&capture->files[place->file].feed, &capture->set, &place->block, consumed,
                         walk->skip, walk->need);
    if (code < 0)
        return code;
    block = place->block;
    if (block->last && is_stopped(capture))
        return -ECANCELED; /* that is why it ends */
    walk->at = rd_make(block->bytes, block->size);
    walk->skip = 0;
    if (block->last)
        end_first(cursor, expected);
    else
        place->needs_refill = false;
    return 0;
}

int capture_next(struct capture_cursor *cursor, struct frame out[CAPTURE_BURST])
{
    unsigned n = 0;
    if (is_stopped(cursor->capture))
        return cursor->result;
    while (n < CAPTURE_BURST && cursor->n_heap > 0) {
        struct place *place = cursor->heap[0];
        if (place->needs_refill) {
            if (n > 0)
                break; /* frames of this burst are in the block that would be left */
            int code = refill_first(cursor);
            if (code == 0)
                continue;
            if (code != -ECANCELED) {
                cursor->result = code;
                capture_stop(cursor->capture); /* or the others would wait for this worker */
            }
            return cursor->result;
        }
        n += (unsigned)place->walk.step(&place->walk, out + n, CAPTURE_BURST - n, cursor->limit);
        switch (place->walk.stop) {
        case WALK_FULL:
            break;
        case WALK_LATER:
            place->key = place->walk.next_ts;
            heap_sink(cursor, 0);
            set_limit(cursor);
            break;
        case WALK_NEED:
        case WALK_BAD:
            place->needs_refill = true;
            break;
        }
    }
    cursor->n_packets += n;
    atomic_store_explicit(&cursor->n_shown, cursor->n_packets, memory_order_relaxed);
    return n > 0 ? (int)n : cursor->result;
}
