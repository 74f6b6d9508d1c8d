/* First connections by which machines are administered, after days in which there were others; on a
 * first day; chains; tried passwords. And what is as it always was is not told. */
#include "hunt/moves_bed.h"

static void bed_admin(struct bed *bed, double at, const char *src, const char *dst, uint16_t port)
{
    bed_put(bed, &(struct bed_conn){.at = at,
                                    .src = src,
                                    .dst = dst,
                                    .port = port,
                                    .duration = 300,
                                    .up = 50000,
                                    .down = 900000});
}

/* Eight days in which everybody works with the server, and the administrator with all. */
static void bed_history(struct bed *bed)
{
    for (int day = -8; day <= 0; day++) {
        for (int i = 20; i < 30; i++) {
            char host[32];
            snprintf(host, sizeof(host), "10.0.0.%d", i);
            bed_admin(bed, day * 86400.0 + 30000 + i, host, "10.0.0.2", 445);
            bed_admin(bed, day * 86400.0 + 31000 + i * 100, "10.0.0.3", host, 3389);
        }
    }
}

static void test_first(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed.settings.days = 10;
    hunt_engine_free(bed.engine);
    struct err err;
    assert_int_equal(hunt_engine_new(&bed.settings, 42, &bed.engine, &err), 0);
    bed_history(&bed);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 0);

    bed_admin(&bed, 50000, "10.0.0.21", "10.0.0.25", 445);
    bed_admin(&bed, 50100, "10.0.0.21", "10.0.0.25", 5985);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 1);
    const struct finding *finding = bed_found(&bed, "lateral-movement", 0);
    assert_true(bed_is(&finding->src, "10.0.0.21"));
    assert_true(bed_is(&finding->dst, "10.0.0.25"));
    assert_true(finding->score >= 0.6);
    assert_true(bed_says(finding, "SMB and WinRM"));
    assert_true(bed_says(finding, "never before"));

    /* A new desktop that works with the server as all do is hardly a finding. */
    bed_admin(&bed, 51000, "10.0.0.99", "10.0.0.2", 445);
    bed_judge(&bed, 86400);
    for (size_t i = 0; (finding = bed_found(&bed, "lateral-movement", i)); i++)
        assert_true(!bed_is(&finding->src, "10.0.0.99") || finding->score < 0.4);
    bed_end(&bed);
}

static void test_fan_out(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 20; i < 32; i++) {
        char host[32];
        snprintf(host, sizeof(host), "10.0.0.%d", i);
        bed_admin(&bed, 40000 + i * 60, "10.0.0.9", host, 445);
        bed_admin(&bed, 30000 + i * 60, host, "10.0.0.2", 445);
    }
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 1);
    const struct finding *finding = bed_found(&bed, "lateral-movement", 0);
    assert_true(bed_is(&finding->src, "10.0.0.9"));
    assert_false(finding->has_dst);
    assert_int_equal(bed_number(finding, "fan_out"), 12);
    assert_true(finding->score >= 0.6);
    assert_true(bed_says(finding, "no history"));
    bed_end(&bed);
}

static void test_chain(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_admin(&bed, 40000, "10.0.0.21", "10.0.0.22", 3389);
    bed_admin(&bed, 41000, "10.0.0.22", "10.0.0.23", 3389);
    /* The other way round in time is no chain. */
    bed_admin(&bed, 41000, "10.0.0.31", "10.0.0.32", 3389);
    bed_admin(&bed, 40000, "10.0.0.32", "10.0.0.33", 3389);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 1);
    const struct finding *finding = bed_found(&bed, "lateral-movement", 0);
    assert_true(bed_is(&finding->src, "10.0.0.22") && bed_is(&finding->dst, "10.0.0.23"));
    assert_true(bed_says(finding, "a chain"));
    bed_end(&bed);
}

static void bed_login(struct bed *bed, double at, const char *src, int up, int success)
{
    bed_put(bed, &(struct bed_conn){.at = at,
                                    .src = src,
                                    .dst = "10.0.0.2",
                                    .port = 22,
                                    .duration = 2,
                                    .up = up,
                                    .down = 2400});
    struct hunt_record record;
    memset(&record, 0, sizeof(record));
    record.log = HUNT_SSH;
    record.ts = BED_DAY0 * 1000000000 + (int64_t)(at * 1e9);
    record.uid = bed->n_uids;
    record.orig = bed_host(src);
    record.resp = bed_host("10.0.0.2");
    record.orig_port = 50000;
    record.resp_port = 22;
    record.proto = HUNT_TCP;
    record.has_ends = true;
    record.ssh.auth_success = success;
    record.ssh.auth_attempts = 1;
    hunt_engine_take(bed->engine, &record, 1);
}

static void test_logins(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 0; i < 40; i++) {
        bed_login(&bed, 5000 + i * 3, "10.0.0.40", 1800 + i % 5, 0);
        /* Let in each time: a program's work. */
        bed_login(&bed, 5000 + i * 3, "10.0.0.41", 1800 + i % 5, 1);
    }
    for (int i = 0; i < 8; i++) /* somebody who forgot */
        bed_login(&bed, 6000 + i * 20, "10.0.0.42", 1800, i == 7);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 1);
    const struct finding *finding = bed_found(&bed, "lateral-movement", 0);
    assert_true(bed_is(&finding->src, "10.0.0.40") && bed_is(&finding->dst, "10.0.0.2"));
    assert_true(bed_says(finding, "40 failed SSH logins"));
    double before = finding->score;
    bed_login(&bed, 5200, "10.0.0.40", 1800, 1);
    bed_judge(&bed, 86400);
    finding = bed_found(&bed, "lateral-movement", 0);
    assert_true(bed_says(finding, "a login succeeded"));
    assert_true(finding->score > before);
    bed_end(&bed);
}

/* Without ssh.log: short sessions of like size in a row; sizes that differ are work. */
static void test_logins_by_shape(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 0; i < 30; i++) {
        const char *const sources[] = {"10.0.0.50", "10.0.0.51", "10.0.0.52"};
        for (int k = 0; k < 3; k++)
            bed_put(&bed, &(struct bed_conn){.at = 5000 + i * (k == 2 ? 300 : 3),
                                             .src = sources[k],
                                             .dst = "10.0.0.2",
                                             .port = 22,
                                             .duration = 2,
                                             .up = k == 1 ? 200 + i * 250 : 1800 + i % 5,
                                             .down = 2400});
    }
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "lateral-movement"), 1);
    assert_true(bed_is(&bed_found(&bed, "lateral-movement", 0)->src, "10.0.0.50"));
    assert_non_null(strstr(bed_found(&bed, "lateral-movement", 0)->title, "short SSH sessions"));
    bed_end(&bed);
}

/* A monitoring server on the first day: all that it does is new, and goes on for hours. */
static void test_habit(void **state)
{
    (void)state;
    for (int goes_on = 0; goes_on < 2; goes_on++) {
        struct bed bed;
        bed_begin(&bed);
        for (int turn = 0; turn < (goes_on ? 6 : 1); turn++)
            for (int i = 0; i < 30; i++) {
                char dst[24];
                snprintf(dst, sizeof(dst), "10.0.1.%d", i + 1);
                bed_put(&bed, &(struct bed_conn){.at = 5000 + turn * 3600 + i * 20,
                                                 .src = "10.0.0.50",
                                                 .dst = dst,
                                                 .port = 22,
                                                 .duration = 200,
                                                 .up = 90000 + i * 5000,
                                                 .down = 200000});
            }
        bed_judge(&bed, 86400);
        const struct finding *finding = bed_found(&bed, "lateral-movement", 0);
        assert_true((finding->score < 0.6) == (goes_on == 1));
        assert_true(bed_says(finding, "monitoring and management do") == (goes_on == 1));
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),           cmocka_unit_test(test_fan_out),
        cmocka_unit_test(test_chain),           cmocka_unit_test(test_logins),
        cmocka_unit_test(test_logins_by_shape), cmocka_unit_test(test_habit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
