/* A day's books by who began what: all of a host in one; the same however many threads fill them;
 * and nothing of a day that goes is used after. */
#include <time.h>

#include "hunt/archive_bed.h"

#define N_HOSTS   40
#define N_RECORDS 30000

/* Of many hosts, in an order that mixes them: names, then connections; two days. */
static struct hunt_record *make_records(void)
{
    struct hunt_record *records = calloc(N_RECORDS, sizeof *records);
    static char names[200][32], addresses[200][32]; /* records borrow them */
    uint32_t random = 1;
    assert_non_null(records);
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "n%u.example.com", i);
        (void)snprintf(addresses[i], sizeof addresses[i], "8.8.4.%u", i);
    }
    for (unsigned i = 0; i < N_RECORDS; i++) {
        char src[32];
        random = random * 1103515245 + 12345;
        unsigned host = (random >> 8) % N_HOSTS, to = (random >> 16) % 200;
        double s = (double)(i * 2 / N_RECORDS) * DAY_S + i * 2;
        uint64_t uid = 1 + i / 3 * 3; /* three records each: of one connection */
        if (i % 3 == 0) {
            (void)snprintf(src, sizeof src, "10.0.%u.%u", host % 3, host);
            records[i] = bed_dns(s, src, "10.0.0.1", names[to], addresses[to]);
        } else if (i % 3 == 1) {
            records[i] = bed_conn(s, uid, "10.0.0.9", "8.8.4.4", 443, "ssl");
            records[i].orig = records[i - 1].orig;
        } else {
            records[i] = bed_record(HUNT_SSL, s, uid, "10.0.0.9", "8.8.4.4", 443);
            records[i].orig = records[i - 1].orig;
            records[i].ssl.server_name = str_c(names[to]);
        }
    }
    return records;
}

static void fill_with(struct hunt_engine *engine, unsigned n_threads,
                      const struct hunt_record *records)
{
    hunt_engine_threads(engine, n_threads);
    for (size_t at = 0; at < N_RECORDS;) {
        size_t n = at % 7 == 0 ? 1 : at % 7 < 4 ? 2000 : 12000;
        n = n < N_RECORDS - at ? n : N_RECORDS - at;
        hunt_engine_take(engine, records + at, n);
        at += n;
    }
}

/* Within one second, which is the number of their first round, as values say when they changed. */
static void make_engines(struct hunt_settings *settings, struct hunt_engine **engines, unsigned n)
{
    for (time_t begun = 0; begun != time(NULL);) {
        for (unsigned i = 0; i < n && begun; i++) {
            hunt_engine_free(engines[i]);
            hunt_settings_done(&settings[i]);
        }
        begun = time(NULL);
        for (unsigned i = 0; i < n; i++)
            engines[i] = bed_engine(&settings[i]);
    }
}

static void find_host(void *with, const void *key_bytes, const void *value)
{
    struct pair_key key;
    unsigned *found = with;
    (void)value;
    memcpy(&key, key_bytes, sizeof key);
    found[key.src.addr.b[15]]++;
}

static void test_one_part_a_host(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_record *records = make_records();
    struct hunt_engine *engine = bed_engine(&settings);
    fill_with(engine, 1, records);
    struct books books = hunt_engine_books(engine);
    unsigned n_parts = 0, part_of[256] = {0};
    for (size_t i = 0; i < books.n; i++) {
        struct books one = {.at = &books.at[i], .n = 1};
        unsigned found[256] = {0}, n = 0;
        books_each(&one, &pair_table, 1, find_host, found);
        for (unsigned host = 0; host < 256; host++) {
            if (found[host] == 0)
                continue;
            unsigned part = 1 + book_part(books.at[i]);
            assert_true(part_of[host] == 0 || part_of[host] == part); /* on each day */
            part_of[host] = part;
            n++;
        }
        assert_true(n > 0 && n < N_HOSTS / 2 + 4);
        n_parts++;
    }
    assert_int_equal(n_parts, 2 * BOOK_PARTS);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    free(records);
}

static void test_same_with_threads(void **state)
{
    (void)state;
    static const unsigned n_threads[] = {1, 2, 16};
    struct hunt_settings settings[3];
    struct hunt_engine *engines[3] = {NULL};
    struct hunt_record *records = make_records();
    struct hunt_engine_counts counts[3];
    make_engines(settings, engines, 3);
    for (unsigned i = 0; i < 3; i++) {
        fill_with(engines[i], n_threads[i], records);
        hunt_engine_count(engines[i], &counts[i]);
        assert_int_equal(counts[i].pairs.n_unjoined, 0);
    }
    for (unsigned i = 1; i < 3; i++) {
        assert_memory_equal(&counts[0], &counts[i], sizeof counts[0]);
        assert_true(are_same(engines[0], engines[i]));
    }
    for (unsigned i = 0; i < 3; i++) {
        hunt_engine_free(engines[i]);
        hunt_settings_done(&settings[i]);
    }
    free(records);
}

/* In one call a thousand days come, and most have to go again: while records of them wait. */
static void test_days_that_go(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_record *records = make_records();
    struct hunt_engine *engine = bed_engine(&settings);
    struct hunt_engine_counts counts;
    uint64_t n_taken = 0;
    hunt_engine_threads(engine, 3);
    for (size_t i = 0; i < N_RECORDS; i++)
        records[i].ts += (int64_t)(i / 30) * DAY_S * SECOND;
    hunt_engine_take(engine, records, N_RECORDS);
    hunt_engine_count(engine, &counts);
    for (unsigned log = 0; log < HUNT_N_LOGS; log++)
        n_taken += counts.n_records[log];
    assert_int_equal(n_taken, N_RECORDS);
    assert_true(counts.n_early > 0);
    assert_true(bed_n_days(hunt_engine_books(engine)) <= settings.days);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    free(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_part_a_host),
        cmocka_unit_test(test_same_with_threads),
        cmocka_unit_test(test_days_that_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
