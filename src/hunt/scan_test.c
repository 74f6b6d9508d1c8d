/* Scans are found: over hosts, over ports, over both, slow ones, once each; and who is answered,
 * who resolves names, and who shares files, does not scan. */
#include "hunt/moves_bed.h"

static void bed_try(struct bed *bed, double at, const char *src, const char *net, int host,
                    uint16_t port, enum hunt_state state)
{
    char dst[48];
    snprintf(dst, sizeof(dst), "%s.%d", net, host);
    bed_put(bed, &(struct bed_conn){.at = at,
                                    .src = src,
                                    .dst = dst,
                                    .port = port,
                                    .state = state,
                                    .duration = 0.1,
                                    .up = 100,
                                    .down = 200});
}

static void test_horizontal(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 1; i <= 200; i++)
        bed_try(&bed, 3600 + i * 0.3, "10.0.0.5", "10.0.1", i, 445,
                i % 7 == 0   ? HUNT_SF
                : i % 3 == 0 ? HUNT_REJ
                             : HUNT_S0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 1);
    const struct finding *finding = bed_found(&bed, "scan", 0);
    assert_true(bed_is(&finding->src, "10.0.0.5"));
    assert_false(finding->has_dst);
    assert_string_equal(finding->ports, "445:tcp");
    assert_true(finding->score >= 0.6);
    assert_true(bed_number(finding, "n_hosts") > 120 && bed_number(finding, "n_hosts") < 230);
    assert_int_equal(finding->n, 172);
    assert_true(bed_says(finding, "horizontal"));
    bed_end(&bed);
}

static void test_vertical(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int port = 1; port <= 1000; port++)
        bed_try(&bed, 7200 + port * 0.01, "10.0.0.5", "10.0.1", 9, (uint16_t)port, HUNT_REJ);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 1);
    const struct finding *finding = bed_found(&bed, "scan", 0);
    assert_true(bed_is(&finding->src, "10.0.0.5"));
    assert_true(finding->has_dst && bed_is(&finding->dst, "10.0.1.9"));
    assert_true(bed_says(finding, "vertical"));
    assert_true(finding->score > 0.8);
    bed_end(&bed);
}

/* Everything of a network is one finding, and does not fill the book. */
static void test_both(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 1; i <= 254; i++)
        for (int port = 1; port <= 60; port++)
            bed_try(&bed, 100 + i + port * 0.01, "10.0.0.5", "10.0.1", i, (uint16_t)port, HUNT_S0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 1);
    const struct finding *finding = bed_found(&bed, "scan", 0);
    assert_int_equal(finding->n, 254 * 60);
    assert_int_equal(bed_number(finding, "n_ports"), 60);
    assert_int_equal(bed_number(finding, "n_hosts"), 254);
    bed_end(&bed);
}

/* Hosts and ports at random: neither is tried twice. */
static void test_mixed(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 1; i <= 250; i++)
        bed_try(&bed, 100 + i * 60, "10.0.0.5", "10.0.1", i, (uint16_t)(1000 + i), HUNT_S0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 1);
    bed_end(&bed);
}

static void test_slow(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 0; i < 288; i++)
        bed_try(&bed, i * 290, "10.0.0.5", i < 200 ? "10.0.1" : "10.0.2", 1 + i % 200, 3389,
                HUNT_S0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 1);
    assert_true(bed_says(bed_found(&bed, "scan", 0), "slowly"));
    bed_end(&bed);
}

/* As many in a day as the slow one, but over more days than are looked at: not enough of them. */
static void test_too_slow(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 0; i < 200; i++)
        bed_try(&bed, (i - 150) * 3600.0, "10.0.0.5", "10.0.1", 1 + i, 3389, HUNT_S0);
    bed_judge(&bed, 50 * 3600);
    assert_int_equal(bed_count(&bed, "scan"), 0);
    bed_end(&bed);
}

static void test_innocent(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    for (int i = 1; i <= 250; i++) {
        /* A system that watches all, and misses some. */
        bed_try(&bed, i, "10.0.0.6", "10.0.1", i, 22, i % 10 ? HUNT_SF : HUNT_S0);
        /* A resolver. */
        char dst[32];
        snprintf(dst, sizeof(dst), "198.18.3.%d", i);
        bed_put(&bed, &(struct bed_conn){.at = i,
                                         .src = "10.0.0.7",
                                         .dst = dst,
                                         .port = 53,
                                         .proto = HUNT_UDP,
                                         .state = HUNT_S0});
        /* File sharing: each peer at a port of its own, a third does not answer. */
        snprintf(dst, sizeof(dst), "198.18.4.%d", i);
        bed_put(&bed, &(struct bed_conn){.at = i,
                                         .src = "10.0.0.8",
                                         .dst = dst,
                                         .port = (uint16_t)(6000 + i * 17),
                                         .state = i % 3 ? HUNT_SF : HUNT_S0,
                                         .duration = 60,
                                         .up = 100000,
                                         .down = 100000});
        /* One dead server that is tried again and again, and announcements. */
        bed_try(&bed, i * 60, "10.0.0.9", "10.0.1", 77, 9100, HUNT_S0);
        bed_try(&bed, i * 60, "10.0.0.10", "239.1.1", i, 1900, HUNT_S0);
    }
    /* Fourteen dead ones over a day. */
    for (int i = 1; i <= 14; i++)
        bed_try(&bed, i * 5000, "10.0.0.11", "198.18.5", i, 443, HUNT_S0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "scan"), 0);
    bed_end(&bed);
}

/* At the limits: nine in a minute are none, ten are. */
static void test_limit(void **state)
{
    (void)state;
    for (int n = 9; n <= 10; n++) {
        struct bed bed;
        bed_begin(&bed);
        for (int i = 1; i <= n; i++)
            bed_try(&bed, 50 + i, "10.0.0.5", "198.18.5", i, 80, HUNT_S0);
        bed_judge(&bed, 86400);
        assert_int_equal(bed_count(&bed, "scan"), n == 10);
        bed_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_horizontal), cmocka_unit_test(test_vertical),
        cmocka_unit_test(test_both),       cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_slow),       cmocka_unit_test(test_too_slow),
        cmocka_unit_test(test_innocent),   cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
