/* Books against a simple model: keys of several sizes, series, texts, several days, and a budget.
 */
#include "hunt/book_bed.h"

#define TABLE(size)                                                                                \
    {                                                                                              \
        .name = "bed-" #size, .version = 1, .key_size = (size),                                    \
        .value_size = sizeof(struct bed_value), .n_series = 2, .merge = bed_merge,                 \
        .series_at = {offsetof(struct bed_value, first), offsetof(struct bed_value, second)},      \
    }

static const struct book_table tables[] = {TABLE(1),  TABLE(4),  TABLE(8),
                                           TABLE(13), TABLE(40), TABLE(700)};
#define N_TABLES (sizeof tables / sizeof *tables)

/* ---- the model ---- */

enum { N_KEYS = 300, N_EVENTS = 40, N_DAYS = 3 };

struct model_key {
    uint8_t key[700];
    uint64_t sum[N_DAYS];
    uint32_t mark[N_DAYS];
    bool there[N_DAYS];
    struct book_event events[N_DAYS][2][N_EVENTS];
    unsigned n_events[N_DAYS][2];
};

struct model {
    struct model_key keys[N_TABLES][N_KEYS];
};

static void make_key(uint8_t *out, unsigned table, unsigned i)
{
    uint64_t state = table * 1000 + i / 2; /* two that differ in one byte only */
    for (unsigned k = 0; k < tables[table].key_size; k++)
        out[k] = (uint8_t)chance(&state);
    out[tables[table].key_size - 1] = (uint8_t)((i & 1) << 7 | (i >> 1 & 127));
    if (tables[table].key_size >= 4)
        memcpy(out, &(uint16_t){(uint16_t)(i / 2)}, 2);
}

static void check_value(const struct book *book, const struct book_table *table,
                        const struct model_key *key, unsigned day)
{
    struct bed_value *value = book_find(book, table, key->key);
    assert_int_equal(value != NULL, key->there[day]);
    if (!value)
        return;
    assert_int_equal(value->sum, key->sum[day]);
    assert_int_equal(value->mark, key->mark[day]);
    for (unsigned s = 0; s < 2; s++) {
        struct book_event events[N_EVENTS + 1];
        size_t n = book_events(book, s ? &value->second : &value->first, events, N_EVENTS + 1);
        assert_int_equal(n, key->n_events[day][s]);
        for (size_t i = 0; i < n; i++)
            assert_true(bed_same(&events[i], &key->events[day][s][i]));
    }
}

static void fill(struct model *model, struct book *const *books, uint64_t *state, unsigned n_steps)
{
    for (unsigned step = 0; step < n_steps; step++) {
        unsigned day = chance(state) % N_DAYS, t = chance(state) % N_TABLES;
        struct model_key *key =
            &model->keys[t][chance(state) % (tables[t].key_size == 1 ? 100 : N_KEYS)];
        bool is_new;
        struct bed_value *value = book_at(books[day], &tables[t], key->key, &is_new);
        assert_non_null(value);
        assert_int_equal(is_new, !key->there[day]);
        key->there[day] = true;
        uint64_t by = chance(state) % 1000;
        uint32_t mark = 1u << chance(state) % 32;
        value->sum += by;
        value->mark |= mark;
        key->sum[day] += by;
        key->mark[day] |= mark;
        unsigned s = chance(state) & 1;
        if (key->n_events[day][s] < N_EVENTS) {
            int64_t ts = DAY_MS + day * (int64_t)BOOK_MS_PER_DAY + step * 60 -
                         (int64_t)(chance(state) % 1000);
            if (chance(state) % 50 == 0)
                ts = (int64_t)chance(state); /* anything at all */
            struct book_event event = bed_event(state, ts);
            book_add_event(books[day], s ? &value->second : &value->first, &event);
            key->events[day][s][key->n_events[day][s]++] = event;
        }
    }
}

/* ---- what books_each gives ---- */

struct seen {
    const struct model *model;
    unsigned table;
    unsigned n; /* atomic */
    unsigned n_of[N_KEYS];
};

static void see(void *with, const void *key, const void *bytes)
{
    struct seen *seen = with;
    const struct bed_value *value = bytes;
    for (unsigned i = 0; i < N_KEYS; i++) {
        const struct model_key *k = &seen->model->keys[seen->table][i];
        if (memcmp(key, k->key, tables[seen->table].key_size) != 0)
            continue;
        uint64_t sum = 0;
        uint32_t mark = 0;
        for (unsigned day = 0; day < N_DAYS; day++) {
            sum += k->sum[day];
            mark |= k->mark[day];
        }
        if (sum == value->sum && mark == value->mark && value->first.n == 0 &&
            value->second.first == 0)
            __atomic_fetch_add(&seen->n_of[i], 1, __ATOMIC_RELAXED);
        break;
    }
    __atomic_fetch_add(&seen->n, 1, __ATOMIC_RELAXED);
}

static int by_ts(const void *a, const void *b)
{
    int64_t x = ((const struct book_event *)a)->ts, y = ((const struct book_event *)b)->ts;
    return (x > y) - (x < y);
}

static void check_merged_events(const struct books *books, unsigned t, const struct model_key *key,
                                unsigned s, int64_t from, int64_t to)
{
    struct book_event expected[N_DAYS * N_EVENTS], *got;
    size_t n = 0, n_got;
    for (unsigned day = 0; day < N_DAYS; day++)
        for (unsigned i = 0; i < key->n_events[day][s]; i++)
            if (key->events[day][s][i].ts >= from && key->events[day][s][i].ts < to)
                expected[n++] = key->events[day][s][i];
    qsort(expected, n, sizeof *expected, by_ts);
    assert_true(books_events(books, &tables[t], key->key, s, from, to, &got, &n_got));
    assert_int_equal(n_got, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got[i].ts, expected[i].ts);
    free(got);
}

static void check_days(const struct model *model, struct book **at)
{
    struct books books = {.at = at, .n = N_DAYS};
    for (unsigned t = 0; t < N_TABLES; t++) {
        struct seen seen = {.model = model, .table = t};
        books_each(&books, &tables[t], 1 + t % 3, see, &seen);
        unsigned n = 0;
        for (unsigned i = 0; i < N_KEYS; i++) {
            const struct model_key *key = &model->keys[t][i];
            bool there = key->there[0] || key->there[1] || key->there[2];
            struct bed_value value;
            if (tables[t].key_size == 1 && i >= 100)
                continue;
            n += there;
            assert_int_equal(seen.n_of[i], there);
            assert_int_equal(books_find(&books, &tables[t], key->key, &value), there);
            if (there)
                assert_int_equal(value.sum, key->sum[0] + key->sum[1] + key->sum[2]);
            check_merged_events(&books, t, key, i & 1, INT64_MIN, INT64_MAX);
            check_merged_events(&books, t, key, i & 1, DAY_MS + 40000,
                                DAY_MS + BOOK_MS_PER_DAY + 80000);
        }
        assert_int_equal(seen.n, n);
    }
}

static struct book *save_and_load(struct book *book)
{
    const struct book_table *all[N_TABLES];
    struct book *loaded = NULL;
    struct err err = {""};
    void *bytes;
    size_t size;
    for (unsigned t = 0; t < N_TABLES; t++)
        all[t] = &tables[t];
    assert_int_equal(book_save(book, all, N_TABLES, &bytes, &size, &err), 0);
    if (book_load(bytes, size, all, N_TABLES, SIZE_MAX, SECRET, &loaded, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(book_day(loaded), book_day(book));
    free(bytes);
    book_free(book);
    return loaded;
}

static void test_model(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t state = seed;
        struct model *model = calloc(1, sizeof *model);
        struct book *books[N_DAYS];
        assert_non_null(model);
        for (unsigned t = 0; t < N_TABLES; t++)
            for (unsigned i = 0; i < N_KEYS; i++)
                make_key(model->keys[t][i].key, t, i);
        for (unsigned day = 0; day < N_DAYS; day++)
            books[day] = book_new(DAY + day, SIZE_MAX, SECRET);
        fill(model, books, &state, (unsigned)(seed * seed * 20));
        for (unsigned day = 0; day < N_DAYS; day++)
            for (unsigned t = 0; t < N_TABLES; t++) {
                unsigned n = 0;
                for (unsigned i = 0; i < (tables[t].key_size == 1 ? 100 : N_KEYS); i++) {
                    check_value(books[day], &tables[t], &model->keys[t][i], day);
                    n += model->keys[t][i].there[day];
                }
                assert_int_equal(book_n(books[day], &tables[t]), n);
            }
        check_days(model, books);
        /* Saved and loaded they are the same, also when what was loaded is filled on. */
        for (unsigned day = 0; day < N_DAYS; day++)
            books[day] = save_and_load(books[day]);
        check_days(model, books);
        fill(model, books, &state, (unsigned)(seed * 20));
        check_days(model, books);
        for (unsigned day = 0; day < N_DAYS; day++)
            book_free(books[day]);
        free(model);
    }
}

/* ---- texts ---- */

static struct str make_text(char *out, unsigned i)
{
    uint64_t state = i;
    uint32_t len = 1 + (uint32_t)(chance(&state) % (i % 7 == 0 ? 1500 : 30));
    for (uint32_t k = 0; k < len; k++)
        out[k] = (char)chance(&state);
    memcpy(out, &i, sizeof i < len ? sizeof i : len);
    return str_make(out, len);
}

static void check_texts(const struct book *book, unsigned n)
{
    char bytes[1500];
    for (unsigned i = 0; i < n; i++) {
        struct str text = make_text(bytes, i);
        struct str kept = book_name_text(book, book_hash(book, text));
        assert_true(str_eq(kept, str_upto(text, 1024)));
    }
}

static void test_texts(void **unused)
{
    (void)unused;
    struct book *book = book_new(DAY, SIZE_MAX, SECRET),
                *other = book_new(DAY, SIZE_MAX, SECRET + 1);
    char bytes[1500];
    assert_int_equal(book_text(book, (struct str){0}), 0);
    assert_int_equal(book_text(book, STR("")), 0);
    assert_false(str_set(book_name_text(book, 0)));
    for (unsigned i = 0; i < 5000; i++) {
        struct str text = make_text(bytes, i);
        book_name name = book_hash(book, text);
        if (text.len >= 4) /* shorter ones may have been before */
            assert_false(str_set(book_name_text(book, name)));
        assert_int_equal(book_text(book, text), name);
        assert_int_equal(book_text(book, text), name); /* again: nothing is added */
        assert_true(name != book_hash(other, text));
    }
    size_t used = book_used(book);
    struct str first = book_name_text(book, book_hash(book, make_text(bytes, 0)));
    for (unsigned i = 0; i < 5000; i++)
        (void)book_text(book, make_text(bytes, i));
    assert_int_equal(book_used(book), used);
    check_texts(book, 5000);
    struct str still = book_name_text(book, book_hash(book, make_text(bytes, 0)));
    assert_ptr_equal(first.at, still.at);

    /* In several days: the newest that has it. */
    struct book *days[] = {other, book};
    struct books books = {.at = days, .n = 2};
    assert_true(str_eq(books_text(&books, book_hash(book, make_text(bytes, 7))),
                       str_upto(make_text(bytes, 7), 1024)));
    assert_false(str_set(books_text(&books, 12345)));
    book_free(book);
    book_free(other);
}

/* ---- the budget ---- */

static void test_budget(void **unused)
{
    (void)unused;
    uint64_t n_events_refused = 0, n_texts_refused = 0;
    for (size_t memory = 20000; memory < 3000000; memory += memory / 3) {
        struct book *book = book_new(DAY, memory, SECRET);
        struct book_refused refused;
        uint64_t state = memory, n_new = 0, n_refused = 0;
        for (unsigned i = 0; i < 40000; i++) {
            uint32_t key = i % 20000; /* in the second half: those that are there go on */
            bool is_new;
            struct bed_value *value = book_at(book, &tables[1], &key, &is_new);
            char text[32];
            (void)book_text(book, str_make(text, (size_t)snprintf(text, sizeof text, "%u", key)));
            assert_true(book_used(book) <= memory);
            if (!value) {
                assert_null(book_find(book, &tables[1], &key));
                n_refused++;
                continue;
            }
            n_new += is_new;
            assert_int_equal(value->sum, is_new ? 0 : 1);
            value->sum++;
            struct book_event event = bed_event(&state, DAY_MS + i);
            uint32_t n_before = value->first.n + value->first.n_refused;
            book_add_event(book, &value->first, &event);
            assert_int_equal(value->first.n + value->first.n_refused, n_before + 1);
        }
        book_count(book, &refused);
        assert_int_equal(refused.n_keys, n_refused);
        assert_int_equal(book_n(book, &tables[1]), n_new);
        assert_true(n_new > 0 && n_refused > 0);
        n_events_refused += refused.n_events;
        n_texts_refused += refused.n_texts;
        /* All that was kept is there, and nothing else. */
        uint64_t n_kept = 0, n_not_kept = 0;
        for (uint32_t key = 0; key < 20000; key++) {
            struct bed_value *value = book_find(book, &tables[1], &key);
            struct book_event events[3];
            if (!value)
                continue;
            assert_int_equal(value->sum, 2);
            assert_int_equal(book_events(book, &value->first, events, 3), value->first.n);
            for (unsigned i = 0; i < value->first.n; i++)
                assert_true(events[i].ts == DAY_MS + key || events[i].ts == DAY_MS + key + 20000);
            n_kept += value->first.n;
            n_not_kept += value->first.n_refused;
        }
        assert_int_equal(n_kept + n_not_kept, 2 * n_new);
        assert_int_equal(n_not_kept, refused.n_events);
        /* With more memory it goes on. */
        book_set_memory(book, 2 * memory + 200000);
        uint32_t key = 50000;
        assert_non_null(book_at(book, &tables[1], &key, NULL));
        book_free(book);
    }
    assert_true(n_events_refused > 10000 && n_texts_refused > 10000);
}

/* Every event of a long series, which has blocks of all sizes; no more than so many. */
static void test_long_series(void **unused)
{
    (void)unused;
    struct book *book = book_new(DAY, SIZE_MAX, SECRET);
    struct book_refused refused;
    uint32_t key = 1;
    struct bed_value *value = book_at(book, &tables[1], &key, NULL);
    uint64_t state = 7;
    for (unsigned i = 0; i < BOOK_SERIES_MAX + 5; i++) {
        struct book_event event = bed_event(&state, DAY_MS + i);
        book_add_event(book, &value->first, &event);
    }
    assert_int_equal(value->first.n, BOOK_SERIES_MAX);
    assert_int_equal(value->first.n_refused, 5);
    book_count(book, &refused);
    assert_int_equal(refused.n_over, 5);
    assert_int_equal(refused.n_events, 0);
    struct book_walk walk;
    struct book_event got;
    book_walk_begin(&walk, book, &value->first);
    state = 7;
    for (unsigned i = 0; i < BOOK_SERIES_MAX; i++) {
        struct book_event event = bed_event(&state, DAY_MS + i);
        assert_true(book_walk_next(&walk, &got));
        assert_true(bed_same(&got, &event));
    }
    assert_false(book_walk_next(&walk, &got));
    book_free(book);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_long_series),
    };
    return cmocka_run_group_tests(list, NULL, NULL);
}
