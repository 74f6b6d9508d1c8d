/* Saved books. The first byte says how: 0: frames as a file has them; else pieces (fuzz/frames.h),
 * which get their heads and checksums here, and a beginning before them. What loads is gone
 * through, saved, loaded again, and must be the same then. */
#include <string.h>

#include "fuzz/frames.h"
#include "hunt/book_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define SECRET 42

struct fuzz_value {
    uint64_t n;
    struct book_series series[2];
};

static const struct book_table small = {
    .name = "a",
    .version = 1,
    .key_size = 3,
    .value_size = 8,
};
static const struct book_table large = {
    .name = "b",
    .version = 1,
    .key_size = 8,
    .value_size = sizeof(struct fuzz_value),
    .n_series = 2,
    .series_at = {offsetof(struct fuzz_value, series),
                  offsetof(struct fuzz_value, series) + sizeof(struct book_series)},
};
static const struct book_table *const tables[] = {&small, &large};

static void see(void *with, const void *key, const void *value)
{
    const struct books *books = with;
    struct book_event *events = NULL;
    size_t n = 0;
    (void)value;
    for (unsigned i = 0; i < 2; i++) {
        if (!books_events(books, &large, key, i, INT64_MIN, INT64_MAX, &events, &n))
            abort();
        for (size_t k = 1; k < n; k++)
            if (events[k].ts < events[k - 1].ts)
                abort();
        free(events);
    }
}

static void check(struct book *book)
{
    struct books books = {.at = &book, .n = 1};
    void *first = NULL, *second = NULL;
    size_t first_size = 0, second_size = 0;
    struct book *again = NULL;
    struct err err;
    books_each(&books, &large, 1, see, &books);
    if (book_save(book, tables, 2, &first, &first_size, &err) < 0 ||
        book_load(first, first_size, tables, 2, SIZE_MAX, SECRET, &again, &err) != 0 ||
        book_save(again, tables, 2, &second, &second_size, &err) < 0 || first_size != second_size ||
        memcmp(first, second, first_size) != 0)
        abort();
    free(first);
    free(second);
    book_free(again);
}

/* The frame that every saved book begins with. */
static void begin(struct book_loading *loading)
{
    struct book *empty = book_new(20000, SIZE_MAX, SECRET);
    void *saved = NULL;
    size_t size = 0;
    struct err err;
    if (!empty || book_save(empty, tables, 0, &saved, &size, &err) < 0)
        abort();
    uint32_t packed;
    memcpy(&packed, (uint8_t *)saved + 4, 4);
    if (book_load_take(loading, saved, BOOK_FRAME_HEAD + packed, &err) < 0)
        abort();
    free(saved);
    book_free(empty);
}

static int take_pieces(struct book_loading *loading, struct reader *r)
{
    static uint8_t frame[BOOK_FRAME_HEAD + 65536];
    size_t size;
    struct err err;
    int result = 0;
    begin(loading);
    while (result == 0) {
        uint8_t *piece = frames_next(r, &size);
        if (!piece)
            break;
        if (size > 0)
            result = book_load_take(loading, frame, book_frame(SECRET, piece, size, frame), &err);
        free(piece);
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    struct book_loading *loading = book_load_begin(tables, 2, 8 << 20, SECRET);
    struct book *book = NULL;
    struct err err;
    if (!loading)
        abort();
    int result =
        rd_u8(&r) ? take_pieces(loading, &r) : book_load_take(loading, r.at, rd_left(&r), &err);
    if (result < 0) {
        book_load_cancel(loading);
        return 0;
    }
    if (book_load_end(loading, &book, &err) >= 0)
        check(book);
    book_free(book);
    return 0;
}
