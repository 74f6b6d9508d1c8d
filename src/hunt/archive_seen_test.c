/* What was seen first, which findings are told, and what is forgotten. */
#include "hunt/archive_bed.h"

#define HOUR 3600
#define T0   1700000000 /* s */

/* ---- first seen ---- */

static void take_name(struct hunt_engine *engine, double s, const char *src, const char *name)
{
    bed_take(engine, bed_dns(s, src, "10.0.0.1", name, "9.9.9.9"));
}

static int64_t first_of(struct hunt_archive *a, const char *name)
{
    struct book *book = book_new(0, SIZE_MAX, hunt_archive_secret(a));
    int64_t first = hunt_archive_first_seen(a, book_hash(book, str_c(name)));
    book_free(book);
    return first;
}

static int64_t first_of_address(struct hunt_archive *a, const char *address)
{
    struct hunt_host host = bed_host(address);
    return hunt_archive_first_seen(a, hunt_first_seen_key(hunt_archive_secret(a), &host));
}

static void learn(struct hunt_archive *a, const struct hunt_settings *settings, double day,
                  const char *name, const char *address)
{
    struct hunt_engine *engine = new_engine(settings, a);
    struct err err = {""};
    double s = day * DAY_S;
    take_name(engine, s + 30, "10.0.0.7", name);
    take_name(engine, s + 20, "10.0.0.8", name);
    take_name(engine, s + 40, "10.0.0.9", name);
    bed_take(engine, bed_conn(s + 60, (uint64_t)s + 1, "10.0.0.8", address, 443, "ssl"));
    bed_take(engine, bed_conn(s + 50, (uint64_t)s + 2, "10.0.0.7", address, 443, "ssl"));
    good(hunt_archive_learn(a, engine, &err), &err);
    hunt_engine_free(engine);
}

static void test_first_seen(void **state)
{
    (void)state;
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    a->clock = BED_T0 + 1000 * DAY_S; /* logs of the past */
    assert_int_equal(hunt_archive_history(a), HUNT_UNSET);
    learn(a, &settings, 10, "one.example.com", "8.8.4.4");
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 10 * DAY_S + 20) * 1000);
    assert_int_equal(first_of_address(a, "8.8.4.4"), (BED_T0 + 10 * DAY_S + 50) * 1000);
    assert_int_equal(first_of(a, "two.example.com"), HUNT_UNSET);
    assert_int_equal(first_of_address(a, "10.0.0.7"), HUNT_UNSET);
    assert_int_equal(hunt_archive_history(a), (BED_T0 + 10 * DAY_S + 20) * 1000);

    /* Seen again it is as old as it was; found in older logs it is older. */
    learn(a, &settings, 40, "one.example.com", "1.1.1.1");
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 10 * DAY_S + 20) * 1000);
    learn(a, &settings, 5, "one.example.com", "1.1.1.2");
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 5 * DAY_S + 20) * 1000);
    assert_int_equal(hunt_archive_history(a), (BED_T0 + 5 * DAY_S + 20) * 1000);
    hunt_archive_close(a);

    /* 90 days after the last time, by the time of the logs. */
    a = open_it(false);
    a->clock = BED_T0 + 1002 * DAY_S;
    learn(a, &settings, 40 + 89, "new.example.com", "1.1.1.3");
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 5 * DAY_S + 20) * 1000);
    assert_int_equal(first_of_address(a, "8.8.4.4"), HUNT_UNSET); /* day 10 */
    a->clock += 2 * DAY_S;
    learn(a, &settings, 40 + 92, "new.example.com", "1.1.1.3");
    assert_int_equal(first_of(a, "one.example.com"), HUNT_UNSET);
    assert_int_equal(first_of(a, "new.example.com"), (BED_T0 + 129 * DAY_S + 20) * 1000);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

/* Books that did not change are not gone through again; those that were saved but not learned are.
 */
static void test_learned_once(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct err err = {""};
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    struct hunt_engine *engine = new_engine(&settings, a);
    take_name(engine, 5, "10.0.0.7", "one.example.com");
    save(a, &settings, engine, 1);
    hunt_engine_free(engine);
    hunt_archive_close(a); /* killed before it learned */

    a = open_it(false);
    engine = new_engine(&settings, a);
    good(hunt_archive_load(a, &settings, 0, engine, &err), &err);
    good(hunt_archive_learn(a, engine, &err), &err);
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 5) * 1000);
    for (unsigned round = 0; round < 2; round++) {
        good(archive_do(a, "DELETE FROM seen", &err), &err);
        good(hunt_archive_learn(a, engine, &err), &err);
        save(a, &settings, engine, 2);
        assert_int_equal(first_of(a, "one.example.com"), HUNT_UNSET);
        hunt_engine_free(engine);
        hunt_archive_close(a);
        a = open_it(false);
        engine = new_engine(&settings, a);
        good(hunt_archive_load(a, &settings, 0, engine, &err), &err);
    }
    take_name(engine, 6, "10.0.0.7", "two.example.com");
    good(hunt_archive_learn(a, engine, &err), &err);
    assert_int_equal(first_of(a, "two.example.com"), (BED_T0 + 6) * 1000);
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 5) * 1000);
    hunt_engine_free(engine);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

/* A line of another century does not make everything old. */
static void test_far_future(void **state)
{
    (void)state;
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    a->clock = BED_T0 + 11 * DAY_S;
    learn(a, &settings, 10, "one.example.com", "8.8.4.4");
    a->clock += 2 * DAY_S;
    learn(a, &settings, 50000, "odd.example.com", "8.8.4.5");
    assert_int_equal(first_of(a, "one.example.com"), (BED_T0 + 10 * DAY_S + 20) * 1000);
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

/* ---- findings that were told ---- */

static const struct hunt hunt_bed = {.name = "bed"};

static bool tell(struct hunt_archive *a, uint64_t id, enum hunt_severity severity, int64_t hour,
                 bool *out_new)
{
    struct finding finding;
    struct err err = {""};
    bool is_told = false;
    finding_init(&finding, &hunt_bed);
    finding.id = id;
    finding.severity = severity;
    a->clock = T0 + hour * HOUR;
    good(hunt_archive_tell(a, &finding, &is_told, &err), &err);
    if (out_new)
        *out_new = finding.is_new;
    return is_told;
}

static void test_tell(void **state)
{
    (void)state;
    const uint64_t id = UINT64_MAX - 5;
    struct hunt_archive *a = open_it(false);
    bool is_new;
    assert_true(tell(a, id, HUNT_MEDIUM, 0, &is_new));
    assert_true(is_new);
    assert_false(tell(a, id, HUNT_MEDIUM, 1, &is_new)); /* the same */
    assert_false(is_new);
    assert_true(tell(a, id, HUNT_HIGH, 2, &is_new)); /* a rise */
    assert_false(is_new);
    assert_false(tell(a, id, HUNT_LOW, 3, NULL));  /* a fall */
    assert_false(tell(a, id, HUNT_HIGH, 4, NULL)); /* as it was */
    assert_false(tell(a, id, HUNT_LOW, 5, NULL));
    assert_false(tell(a, id, HUNT_MEDIUM, 6, NULL));  /* below what was told */
    assert_true(tell(a, id, HUNT_CRITICAL, 7, NULL)); /* above */
    assert_true(tell(a, 2, HUNT_LOW, 7, &is_new));    /* another one */
    assert_true(is_new);
    hunt_archive_close(a); /* it is remembered */

    a = open_it(false);
    assert_false(tell(a, id, HUNT_CRITICAL, 8, &is_new));
    assert_false(is_new);
    /* It stays at its level for days: not again. It falls, and rises after 24 hours: again. */
    for (int hour = 9; hour < 100; hour += 5)
        assert_false(tell(a, id, HUNT_CRITICAL, hour, NULL));
    assert_false(tell(a, id, HUNT_LOW, 101, NULL));
    assert_true(tell(a, id, HUNT_CRITICAL, 102, &is_new));
    assert_false(is_new);
    assert_false(tell(a, id, HUNT_LOW, 103, NULL));
    assert_false(tell(a, id, HUNT_CRITICAL, 125, NULL)); /* 23 hours later */
    assert_false(tell(a, id, HUNT_LOW, 126, NULL));
    assert_true(tell(a, id, HUNT_CRITICAL, 127, NULL)); /* 25 */
    hunt_archive_close(a);

    /* Found every hour it is remembered; 30 days without make it new. */
    a = open_it(false);
    for (int day = 6; day < 60; day++)
        assert_false(tell(a, id, HUNT_CRITICAL, day * 24, NULL));
    assert_false(tell(a, id, HUNT_CRITICAL, (59 + 29) * 24, NULL));
    assert_true(tell(a, 2, HUNT_LOW, (59 + 30) * 24, &is_new));
    assert_true(is_new);
    assert_true(tell(a, id, HUNT_CRITICAL, (59 + 29 + 32) * 24, &is_new));
    assert_true(is_new);
    hunt_archive_close(a);

    /* Only looked at: nothing is remembered. */
    a = open_it(true);
    assert_true(tell(a, 77, HUNT_HIGH, 5000, NULL));
    assert_true(tell(a, 77, HUNT_HIGH, 5000, NULL));
    hunt_archive_close(a);
}

/* In memory it is the same, and no file is made. */
static void test_in_memory(void **state)
{
    (void)state;
    struct hunt_archive *a = NULL;
    struct err err = {""};
    good(hunt_archive_open(":memory:", false, &a, &err), &err);
    assert_true(tell(a, 1, HUNT_HIGH, 0, NULL));
    assert_false(tell(a, 1, HUNT_HIGH, 0, NULL));
    hunt_archive_close(a);
    assert_int_equal(access(":memory:", F_OK), -1);
    assert_int_equal(access(":memory:.lock", F_OK), -1);
}

/* ---- connections by which machines are administered ---- */

static int64_t ask_first(void *with, uint64_t key)
{
    return hunt_archive_first_seen(with, key);
}

/* A day with one RDP connection, learned; says how the hunt for lateral movement tells of it: what
 * days there were before, or NULL for nothing. */
static const char *rdp(struct hunt_archive *a, const struct hunt_settings *settings, double day,
                       const char *dst, enum hunt_state how)
{
    static char said[FINDING_REASON_MAX];
    struct hunt_engine *engine = new_engine(settings, a);
    struct err err = {""};
    int64_t since = hunt_archive_history(a);
    size_t n = 0;
    bool found = false;
    if (since != HUNT_UNSET)
        hunt_engine_history(engine, since, ask_first, a);
    struct hunt_record record =
        bed_conn(day * DAY_S + 86000, (uint64_t)(day * 10) + 1, "10.0.0.5", dst, 3389, "rdp");
    record.conn.state = how;
    bed_take(engine, record);
    struct findings *findings = findings_new(100);
    assert_non_null(findings);
    good(hunt_engine_judge(engine, 0, false, 1, findings, &err), &err);
    const struct finding *all = findings_sorted(findings, &n);
    for (size_t i = 0; i < n; i++)
        for (unsigned k = 0; k < all[i].n_reasons && !found; k++)
            if (strcmp(all[i].hunt->name, "lateral-movement") == 0 &&
                strstr(all[i].reasons[k], "never before")) {
                (void)snprintf(said, sizeof said, "%s", all[i].reasons[k]);
                found = true;
            }
    findings_free(findings);
    good(hunt_archive_learn(a, engine, &err), &err);
    hunt_engine_free(engine);
    return found ? said : NULL;
}

/* What was there weeks ago is not new, though no book has it any more; what came to nothing then is
 * new; and it is said how far back that goes. */
static void test_edges(void **state)
{
    (void)state;
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    struct hunt_archive *a = open_it(false);
    a->clock = BED_T0 + 1000 * DAY_S;
    assert_null(rdp(a, &settings, 0, "10.0.0.6", HUNT_SF)); /* no history: all is new */
    assert_null(rdp(a, &settings, 1, "10.0.0.7", HUNT_S0));
    assert_null(rdp(a, &settings, 30, "10.0.0.6", HUNT_SF));
    assert_string_equal(rdp(a, &settings, 31, "10.0.0.7", HUNT_SF), "never before in 30 days");
    assert_string_equal(rdp(a, &settings, 32, "10.0.0.8", HUNT_SF), "never before in 31 days");
    hunt_archive_close(a);
    a = open_it(false);
    a->clock = BED_T0 + 1000 * DAY_S;
    assert_null(rdp(a, &settings, 60, "10.0.0.7", HUNT_SF));
    assert_string_equal(rdp(a, &settings, 61, "10.0.0.9", HUNT_SF), "never before in 60 days");
    hunt_archive_close(a);
    hunt_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first_seen), TEST(test_far_future), TEST(test_learned_once),
        TEST(test_tell),       TEST(test_in_memory),  TEST(test_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
