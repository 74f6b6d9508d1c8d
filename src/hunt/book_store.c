/* Where a book's memory comes from: see book_parts.h. Slabs are cut of regions that are mapped, so
 * that all of a book that is freed goes back to the system at once; a store's first slab is small
 * and grows, as most tables of a quiet network stay small. */
#include "hunt/book_parts.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE   (2u << 20)
#define REGION_SIZE  LARGE_PAGE
#define REGION_LARGE (16u << 20) /* in books that have some, where large pages pay */
#define LARGE_FROM   (128u << 20)
#define FIRST_SIZE   1024u
#define HEAP_EXTRA   16 /* what malloc adds */

bool book_take_memory(struct book *book, size_t size)
{
    if (book->used > book->memory || size > book->memory - book->used)
        return false;
    book->used += size;
    return true;
}

void book_give_memory(struct book *book, size_t size)
{
    book->used -= size;
}

/* Large pages: in a table that is looked up at random, the translation of addresses is a third of
 * the cost. So regions begin at a multiple of their size. `size` is one too. */
static void *map_region(size_t size)
{
    uint8_t *wide = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (wide == MAP_FAILED)
        return NULL;
    size_t before = -(uintptr_t)wide & (LARGE_PAGE - 1);
    if (before)
        (void)munmap(wide, before); /* a part of what was just mapped */
    (void)munmap(wide + before + size, LARGE_PAGE - before);
    (void)madvise(wide + before, size, MADV_HUGEPAGE); /* slower without, else the same */
    return wide + before;
}

static bool add_region(struct book *book, size_t size)
{
    void **regions = realloc(book->regions, (book->n_regions + 1) * sizeof *regions);
    if (!regions)
        return false;
    book->regions = regions;
    size_t *sizes = realloc(book->region_sizes, (book->n_regions + 1) * sizeof *sizes);
    if (!sizes)
        return false;
    book->region_sizes = sizes;
    void *region = map_region(size);
    if (!region)
        return false;
    regions[book->n_regions] = region;
    sizes[book->n_regions++] = size;
    book->region = region;
    book->region_left = size;
    return true;
}

/* Zeroed. What is left of the region before is not touched, so it costs nothing. */
static void *cut_slab(struct book *book, size_t size)
{
    if (!book_take_memory(book, size))
        return NULL;
    if (size > book->region_left &&
        !add_region(book, book->used < LARGE_FROM ? REGION_SIZE : REGION_LARGE)) {
        book_give_memory(book, size);
        return NULL;
    }
    void *slab = book->region;
    book->region += size;
    book->region_left -= size;
    return slab;
}

/* The first slab twice as large, or whole. */
static bool grow_first(struct book *book, struct book_store *store)
{
    uint32_t n = 2 * store->n_first;
    if (!store->n_slabs)
        n = store->n_first ? store->n_first : FIRST_SIZE / store->unit;
    if (n < 2)
        n = 2;
    if (n > 1u << store->shift)
        n = 1u << store->shift;
    uint32_t n_before = store->n_slabs ? store->n_first : 0;
    size_t size = (size_t)n * store->unit, before = (size_t)n_before * store->unit;
    if (!book_take_memory(book, size - before + (before ? 0 : HEAP_EXTRA)))
        return false;
    uint8_t *slab = realloc(store->n_slabs ? store->slabs[0] : NULL, size);
    if (!slab) {
        book_give_memory(book, size - before + (before ? 0 : HEAP_EXTRA));
        return false;
    }
    memset(slab + before, 0, size - before);
    store->slabs[0] = slab;
    store->n_slabs = store->n_slabs ? store->n_slabs : 1;
    store->n_first = n;
    return true;
}

static bool add_slab(struct book *book, struct book_store *store)
{
    if (store->n_slabs == store->room) {
        uint32_t room = store->room ? 2 * store->room : 4;
        size_t more = (room - store->room) * sizeof *store->slabs;
        if (!book_take_memory(book, more))
            return false;
        uint8_t **slabs = realloc(store->slabs, room * sizeof *slabs);
        if (!slabs) {
            book_give_memory(book, more);
            return false;
        }
        store->slabs = slabs;
        store->room = room;
    }
    if (store->n_slabs == 0)
        return grow_first(book, store);
    uint8_t *slab = cut_slab(book, (size_t)store->unit << store->shift);
    if (!slab)
        return false;
    store->slabs[store->n_slabs++] = slab;
    return true;
}

/* ---- slots ---- */

static size_t whole_pages(size_t size)
{
    return size < 2 * LARGE_PAGE ? 0 : (size + LARGE_PAGE - 1) & ~(size_t)(LARGE_PAGE - 1);
}

static size_t slots_size(uint32_t n_homes)
{
    return n_homes ? ((size_t)n_homes + BOOK_TAIL) * sizeof(struct book_slot) + HEAP_EXTRA : 0;
}

bool book_slots_make(struct book *book, uint32_t n_homes, struct book_slots *out)
{
    size_t size = slots_size(n_homes), mapped = whole_pages(size);
    if (!book_take_memory(book, size))
        return false;
    void *at = mapped ? map_region(mapped) : calloc(1, size);
    if (!at) {
        book_give_memory(book, size);
        return false;
    }
    *out = (struct book_slots){.at = at, .n_homes = n_homes};
    return true;
}

void book_slots_done(struct book *book, struct book_slots *slots)
{
    size_t size = slots_size(slots->n_homes), mapped = whole_pages(size);
    if (mapped)
        (void)munmap(slots->at, mapped); /* it was mapped so */
    else
        free(slots->at);
    book_give_memory(book, size);
    *slots = (struct book_slots){0};
}

/* ---- stores ---- */

bool book_store_take(struct book *book, struct book_store *store, uint32_t n, uint32_t *out)
{
    uint32_t per_slab = 1u << store->shift, at = store->n;
    if ((at & (per_slab - 1)) + n > per_slab)
        at = (at | (per_slab - 1)) + 1; /* the next slab's first */
    if (at > UINT32_MAX - per_slab)
        return false;
    while (at >> store->shift >= store->n_slabs)
        if (!add_slab(book, store))
            return false;
    while (at >> store->shift == 0 && at + n > store->n_first)
        if (!grow_first(book, store))
            return false;
    store->n = at + n;
    *out = at;
    return true;
}
