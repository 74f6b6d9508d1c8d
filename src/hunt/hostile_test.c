/* Books that an archive could hold but no run ever made: each value of each table is any bytes that
 * its table takes (`good`). Records go on into them, and everything is judged: nothing is read or
 * written beside them, whatever is found. */
#include "hunt/book_bed.h"
#include "hunt/pairs_bed.h"

enum { N_ROUNDS = 50, N_KEYS = 40 };

/* Words like counts, like times, like nothing. What would be the upper half of a number of 64 bits
 * stays small, or is all ones: times of which no difference can be had are not looked for here. */
static void any_bytes(uint64_t *state, uint8_t *out, size_t size)
{
    for (size_t at = 0; at < size; at += 4) {
        uint64_t dice = chance(state), word = chance(state);
        int64_t ts = BED_T0 * 1000 + (int64_t)(word % 86400000);
        if (dice % 8 == 0 && at % 8 == 0 && size - at >= 8) {
            memcpy(out + at, &ts, sizeof ts);
            at += 4;
            continue;
        }
        const uint64_t words[] = {0,        UINT32_MAX,     word % 300,
                                  word % 4, word & 0xfffff, at % 8 ? 0 : word};
        for (size_t k = 0; k < 4 && at + k < size; k++)
            out[at + k] = (uint8_t)(words[dice / 8 % 6] >> 8 * k);
    }
}

static const char *const names[] = {"a.example.com", "xk2j9qpw7d.net", "8.8.8.8", "\xff\x00 ",
                                    "update.example.org"};

static void put_host(struct hunt_host *host, uint64_t dice)
{
    *host = (struct hunt_host){.addr = {{[10] = 0xff, [11] = 0xff}}};
    host->addr.b[12] = dice & 1 ? 10 : 8;
    host->addr.b[15] = (uint8_t)(dice >> 1 & 7);
}

/* Keys that other tables, and the records, have too: hosts and names at any multiple of 4. */
static void any_key(uint64_t *state, struct book *book, uint8_t *out, size_t size)
{
    memset(out, 0, size);
    for (size_t at = 0; at < size;) {
        uint64_t dice = chance(state);
        struct hunt_host host;
        book_name name = book_text(book, str_c(names[dice / 16 % 5]));
        put_host(&host, dice / 16);
        if (dice % 3 == 0 && size - at >= sizeof host) {
            memcpy(out + at, &host, sizeof host);
            at += sizeof host;
        } else if (dice % 3 == 1 && size - at >= sizeof name) {
            memcpy(out + at, &name, sizeof name);
            at += sizeof name;
        } else {
            out[at++] = dice % 5 ? 0 : (uint8_t)(dice >> 8);
        }
    }
}

static void fill_table(uint64_t *state, struct book *book, const struct book_table *table)
{
    static _Alignas(16) uint8_t key[UINT16_MAX], value[UINT16_MAX];
    for (unsigned i = 0; i < N_KEYS; i++) {
        any_key(state, book, key, table->key_size);
        for (unsigned k = 0; k < 20; k++) {
            any_bytes(state, value, table->value_size);
            if (chance(state) % 4 == 0) /* some members as they are mostly */
                memset(value + table->value_size / 2, 0, table->value_size / 2);
            for (unsigned s = 0; s < table->n_series; s++)
                memset(value + table->series_at[s], 0, sizeof(struct book_series));
            if (!table->good || table->good(key, value))
                break;
            any_key(state, book, key, table->key_size);
            memset(value, 0, table->value_size);
        }
        if (table->good && !table->good(key, value))
            continue;
        uint8_t *kept = book_at(book, table, key, NULL);
        assert_non_null(kept);
        memcpy(kept, value, table->value_size);
        for (unsigned s = 0; s < table->n_series; s++)
            for (unsigned n = chance(state) % 60; n > 0; n--) {
                struct book_event event =
                    bed_event(state, BED_T0 * 1000 + (int64_t)(chance(state) % 90000000));
                if (chance(state) % 30 == 0)
                    event.ts = (int64_t)chance(state);
                book_add_event(book, book_series_of(table, kept, s), &event);
            }
    }
}

static void take_some(struct hunt_engine *engine, uint64_t *state)
{
    for (unsigned i = 0; i < 200; i++) {
        uint64_t dice = chance(state);
        double s = (double)(dice % DAY_S);
        char src[24], dst[24];
        (void)snprintf(src, sizeof src, "10.0.0.%u", (unsigned)(dice / 7 % 8));
        (void)snprintf(dst, sizeof dst, "%s.0.0.%u", dice % 3 ? "8" : "10",
                       (unsigned)(dice / 77 % 8));
        const char *name = names[dice / 777 % 5];
        switch (dice / 7777 % 5) {
        case 0:
            bed_take(engine, bed_conn(s, dice, src, dst, dice % 2 ? 443 : 22, "ssl"));
            break;
        case 1:
            bed_take(engine, bed_dns(s, src, dst, name, "8.8.8.8"));
            break;
        case 2:
            bed_take(engine, bed_ssl(s, dice, src, dst, name));
            break;
        case 3:
            bed_take(engine, bed_http(s, dice, src, dst, "GET", name));
            break;
        default:
            bed_take(engine, bed_open(s, dice, src, dst, 443, "ssl", 5000));
            break;
        }
    }
}

static void test_any_values(void **unused)
{
    (void)unused;
    const struct book_table *const *tables;
    size_t n_tables = hunt_tables(&tables), n_found = 0;
    for (uint64_t seed = 1; seed <= N_ROUNDS; seed++) {
        uint64_t state = seed;
        struct hunt_settings settings;
        struct hunt_engine *engine = bed_engine(&settings);
        struct err err = {""};
        for (int64_t day = 0; day < 2; day++) {
            struct book *book = book_new(BED_T0 / DAY_S + day, SIZE_MAX, 7), *loaded = NULL;
            void *bytes = NULL;
            size_t size = 0;
            for (size_t t = 0; t < n_tables; t++)
                if (seed > n_tables || t == seed - 1 || chance(&state) % 4)
                    fill_table(&state, book, tables[t]);
            assert_int_equal(book_save(book, tables, n_tables, &bytes, &size, &err), 0);
            if (book_load(bytes, size, tables, n_tables, SIZE_MAX, 7, &loaded, &err) != 0)
                fail_msg("%s", err.text);
            hunt_engine_add_book(engine, loaded);
            free(bytes);
            book_free(book);
        }
        struct findings *findings = findings_new(1000);
        assert_non_null(findings);
        assert_int_equal(
            hunt_engine_judge(engine, (BED_T0 + DAY_S) * 1000, false, 2, findings, &err), 0);
        take_some(engine, &state);
        assert_int_equal(hunt_engine_judge(engine, 0, false, 1, findings, &err), 0);
        size_t n;
        (void)findings_sorted(findings, &n);
        n_found += n;
        findings_free(findings);
        hunt_engine_free(engine);
        hunt_settings_done(&settings);
    }
    assert_true(n_found > 0); /* it came to judging */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_values)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
