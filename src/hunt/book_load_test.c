/* Saved books as bytes: what another program could write is refused or harmless. */
#include "hunt/book_bed.h"

#include <errno.h>

#include "hunt/book_file.h"
#include "hunt/book_pack.h"

static bool mark_is_even(const void *key, const void *value)
{
    (void)key;
    return ((const struct bed_value *)value)->mark % 2 == 0;
}

#define TABLE(label, of_version)                                                                   \
    {                                                                                              \
        .name = label, .version = of_version, .key_size = 4,                                       \
        .value_size = sizeof(struct bed_value), .n_series = 2, .merge = bed_merge,                 \
        .series_at = {offsetof(struct bed_value, first), offsetof(struct bed_value, second)},      \
        .good = mark_is_even,                                                                      \
    }

static const struct book_table one = TABLE("one", 1), two = TABLE("two", 1),
                               two_later = TABLE("two", 2);
static const struct book_table *const both[] = {&one, &two}, *const later[] = {&one, &two_later};

static struct book *make(unsigned n_keys, unsigned n_events)
{
    struct book *book = book_new(DAY, SIZE_MAX, SECRET);
    uint64_t state = n_keys;
    for (uint32_t key = 0; key < n_keys; key++)
        for (unsigned t = 0; t < 2; t++) {
            struct bed_value *value = book_at(book, both[t], &key, NULL);
            value->sum = chance(&state) >> (chance(&state) % 64);
            value->mark = 2 * key;
            value->first.n_refused = key;
            char text[20];
            (void)book_text(book, str_make(text, (size_t)snprintf(text, sizeof text, "%u", key)));
            for (unsigned i = 0; i < n_events; i++) {
                struct book_event event = bed_event(&state, DAY_MS + i);
                book_add_event(book, i % 3 ? &value->first : &value->second, &event);
            }
        }
    return book;
}

static uint8_t *save(const struct book *book, size_t *out_size)
{
    void *bytes = NULL;
    struct err err = {""};
    assert_int_equal(book_save(book, both, 2, &bytes, out_size, &err), 0);
    return bytes;
}

/* From a block of its exact size, so that a read past its end is seen. */
static int load(const uint8_t *bytes, size_t size, struct book **out, struct err *err)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    if (size)
        memcpy(exact, bytes, size);
    *out = NULL;
    int result = book_load(exact, size, both, 2, 1 << 20, SECRET, out, err);
    assert_true((result >= 0) == (*out != NULL));
    free(exact);
    return result;
}

/* Whatever it holds, it can be gone through, and saved. */
static void use(struct book *book)
{
    size_t size;
    uint8_t *bytes = save(book, &size);
    struct book *again;
    struct err err = {""};
    assert_int_equal(load(bytes, size, &again, &err), 0);
    size_t size_again;
    uint8_t *bytes_again = save(again, &size_again);
    assert_int_equal(size, size_again);
    assert_memory_equal(bytes, bytes_again, size);
    free(bytes);
    free(bytes_again);
    book_free(again);
    book_free(book);
}

static void test_truncated(void **unused)
{
    (void)unused;
    struct book *book = make(20, 5), *loaded;
    size_t size;
    uint8_t *bytes = save(book, &size);
    struct err err;
    for (size_t n = 0; n < size; n++) {
        err.text[0] = '\0';
        assert_int_equal(load(bytes, n, &loaded, &err), -EBADMSG);
        assert_true(err.text[0] != '\0');
    }
    assert_int_equal(load(bytes, size, &loaded, &err), 0);
    use(loaded);
    bytes = realloc(bytes, size + 40); /* and something behind it */
    memset(bytes + size, 0, 40);
    for (size_t n = size + 1; n < size + 40; n++)
        assert_int_equal(load(bytes, n, &loaded, &err), -EBADMSG);
    free(bytes);
    book_free(book);
}

static void test_flipped(void **unused)
{
    (void)unused;
    struct book *book = make(3, 4), *loaded;
    size_t size;
    uint8_t *bytes = save(book, &size);
    struct err err;
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(load(bytes, size, &loaded, &err), -EBADMSG);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(bytes);
    book_free(book);
}

/* ---- with checksums that fit ---- */

struct pieces {
    uint8_t *raw[16];
    size_t size[16];
    unsigned n;
};

static void take_apart(const uint8_t *bytes, size_t size, struct pieces *out)
{
    *out = (struct pieces){.n = 0};
    for (size_t at = 0; at < size; out->n++) {
        uint32_t raw_size, packed_size;
        memcpy(&raw_size, bytes + at, 4);
        memcpy(&packed_size, bytes + at + 4, 4);
        assert_true(out->n < 16);
        out->raw[out->n] = malloc(raw_size);
        out->size[out->n] = raw_size;
        assert_non_null(out->raw[out->n]);
        if (bytes[at + 8])
            assert_true(
                book_unpack(bytes + at + BOOK_FRAME_HEAD, packed_size, out->raw[out->n], raw_size));
        else
            memcpy(out->raw[out->n], bytes + at + BOOK_FRAME_HEAD, raw_size);
        at += BOOK_FRAME_HEAD + packed_size;
    }
}

static uint8_t *put_together(const struct pieces *pieces, size_t *out_size)
{
    size_t room = 0;
    *out_size = 0;
    for (unsigned i = 0; i < pieces->n; i++)
        room += BOOK_FRAME_HEAD + pieces->size[i];
    uint8_t *bytes = malloc(room);
    assert_non_null(bytes);
    for (unsigned i = 0; i < pieces->n; i++)
        *out_size += book_frame(SECRET, pieces->raw[i], pieces->size[i], bytes + *out_size);
    return bytes;
}

static void test_hostile(void **unused)
{
    (void)unused;
    struct book *book = make(30, 6), *loaded;
    struct pieces pieces;
    size_t size;
    uint8_t *bytes = save(book, &size);
    uint64_t state = 99;
    unsigned n_loaded = 0, n_refused = 0;
    take_apart(bytes, size, &pieces);
    free(bytes);
    assert_int_equal(pieces.n, 5); /* begin, texts, both tables, end */
    for (unsigned round = 0; round < 8000; round++) {
        unsigned i = chance(&state) % pieces.n;
        size_t whole = pieces.size[i], at = chance(&state) % whole;
        uint8_t *raw = pieces.raw[i], before[8];
        size_t n = whole - at < 8 ? whole - at : 1 + chance(&state) % 8;
        struct err err = {""};
        memcpy(before, raw + at, n);
        if (round % 4 == 0)
            pieces.size[i] = at ? at : 1; /* cut */
        else
            for (size_t k = 0; k < n; k++)
                raw[at + k] = round % 4 == 1 ? 0xff : (uint8_t)chance(&state);
        bytes = put_together(&pieces, &size);
        int result = load(bytes, size, &loaded, &err);
        assert_true(result >= 0 || result == -EBADMSG || result == -EPROTO);
        assert_true(result == 0 || err.text[0]);
        n_loaded += result >= 0;
        n_refused += result < 0;
        if (result >= 0) {
            assert_true(book_used(loaded) <= 1 << 20);
            use(loaded);
        }
        free(bytes);
        pieces.size[i] = whole;
        memcpy(raw + at, before, n);
    }
    assert_true(n_loaded > 400 && n_refused > 400);
    for (unsigned i = 0; i < pieces.n; i++)
        free(pieces.raw[i]);
    book_free(book);
}

/* Sizes in the head that no memory would be enough for. */
static void test_sizes(void **unused)
{
    (void)unused;
    uint8_t frame[BOOK_FRAME_HEAD + 20] = {0};
    static const uint32_t sizes[] = {0, 1, BOOK_PIECE_MAX + 1, INT32_MAX, UINT32_MAX};
    for (unsigned raw = 0; raw < 5; raw++)
        for (unsigned packed = 0; packed < 5; packed++)
            for (unsigned how = 0; how < 3; how++) {
                struct book *loaded;
                struct err err;
                memcpy(frame, &sizes[raw], 4);
                memcpy(frame + 4, &sizes[packed], 4);
                frame[8] = (uint8_t)how;
                assert_int_equal(load(frame, sizeof frame, &loaded, &err), -EBADMSG);
            }
}

/* ---- what does not fit this program ---- */

static void test_left_out(void **unused)
{
    (void)unused;
    struct book *book = make(10, 3), *loaded = NULL;
    size_t size;
    uint8_t *bytes = save(book, &size);
    struct err err = {""};
    assert_int_equal(book_load(bytes, size, later, 2, SIZE_MAX, SECRET, &loaded, &err), 1);
    assert_non_null(strstr(err.text, "two"));
    assert_null(strstr(err.text, "one"));
    assert_int_equal(book_n(loaded, &one), 10);
    assert_int_equal(book_n(loaded, &two_later), 0);
    book_free(loaded);
    assert_int_equal(book_load(bytes, size, both, 0, SIZE_MAX, SECRET, &loaded, &err), 1);
    assert_non_null(strstr(err.text, "one, two"));
    book_free(loaded);
    assert_int_equal(book_load(bytes, size, both, 2, SIZE_MAX, SECRET + 1, &loaded, &err),
                     -EBADMSG);
    free(bytes);

    /* A value that its table does not take. */
    uint32_t key = 3;
    ((struct bed_value *)book_find(book, &one, &key))->mark = 7;
    bytes = save(book, &size);
    assert_int_equal(load(bytes, size, &loaded, &err), -EBADMSG);
    assert_non_null(strstr(err.text, "table one"));
    free(bytes);
    book_free(book);
}

/* A series of many pieces beside one that waits for its turn; and what the book counted. */
static void test_long_series(void **unused)
{
    (void)unused;
    struct book *book = book_new(DAY, SIZE_MAX, SECRET), *loaded = NULL;
    uint32_t key = 5;
    struct bed_value *value = book_at(book, &one, &key, NULL), *back;
    uint64_t state = 3;
    for (unsigned i = 0; i < BOOK_SERIES_MAX + 7; i++) {
        struct book_event event = bed_event(&state, DAY_MS + i);
        book_add_event(book, &value->first, &event);
        if (i % 10 == 0)
            book_add_event(book, &value->second, &event);
    }
    size_t size;
    uint8_t *bytes = save(book, &size);
    struct err err = {""};
    assert_int_equal(book_load(bytes, size, both, 2, SIZE_MAX, SECRET, &loaded, &err), 0);
    back = book_find(loaded, &one, &key);
    assert_non_null(back);
    assert_int_equal(back->first.n, BOOK_SERIES_MAX);
    assert_int_equal(back->first.n_refused, 7);
    assert_int_equal(back->second.n, BOOK_SERIES_MAX / 10 + 1);
    struct book_walk walks[4];
    struct book_event a, b;
    book_walk_begin(&walks[0], book, &value->first);
    book_walk_begin(&walks[1], loaded, &back->first);
    book_walk_begin(&walks[2], book, &value->second);
    book_walk_begin(&walks[3], loaded, &back->second);
    for (unsigned s = 0; s < 4; s += 2)
        while (book_walk_next(&walks[s], &a))
            assert_true(book_walk_next(&walks[s + 1], &b) && bed_same(&a, &b));
    struct book_refused refused;
    book_count(loaded, &refused);
    assert_int_equal(refused.n_over, 7);
    /* In less memory: what does not fit is counted. */
    book_free(loaded);
    assert_int_equal(book_load(bytes, size, both, 2, 1 << 20, SECRET, &loaded, &err), 0);
    book_count(loaded, &refused);
    back = book_find(loaded, &one, &key);
    assert_true(back->first.n > 20000 && back->first.n < 200000);
    assert_int_equal(back->first.n + back->first.n_refused, BOOK_SERIES_MAX + 7);
    assert_int_equal(refused.n_events + back->first.n + back->second.n,
                     BOOK_SERIES_MAX + BOOK_SERIES_MAX / 10 + 1);
    free(bytes);
    book_free(book);
    book_free(loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_hostile),   cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_left_out),  cmocka_unit_test(test_long_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
