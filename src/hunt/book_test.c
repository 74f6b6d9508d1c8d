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
        for (unsigned day = 0; day < N_DAYS; day++)
            book_free(books[day]);
        free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
