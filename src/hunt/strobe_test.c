/* A connection a second for a day, and several a second for a while, are strobes; a burst, a busy
 * resolver, and half a day are not. */
#include "hunt/moves_bed.h"

static void bed_many(struct bed *bed, const char *src, const char *dst, uint16_t port, double at,
                     double every, int n, uint8_t proto)
{
    for (int i = 0; i < n; i++)
        bed_put(bed, &(struct bed_conn){.at = at + i * every,
                                        .src = src,
                                        .dst = dst,
                                        .port = port,
                                        .proto = proto,
                                        .duration = 0.05,
                                        .up = 100,
                                        .down = 100});
}

static void test_day(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    /* Over midnight: the two days' books have half of it each. */
    bed_many(&bed, "10.0.0.5", "203.0.113.5", 80, -43000, 0.99, 86900, 0);
    bed_judge(&bed, 43300);
    assert_int_equal(bed_count(&bed, "strobe"), 1);
    const struct finding *finding = bed_found(&bed, "strobe", 0);
    assert_true(bed_is(&finding->src, "10.0.0.5") && bed_is(&finding->dst, "203.0.113.5"));
    assert_true(finding->score >= 0.75);
    assert_true(finding->n >= 86400);
    /* A window that has half of it: fast, and no more. */
    bed_judge(&bed, 86000);
    assert_int_equal(bed_count(&bed, "strobe"), 1);
    assert_true(bed_found(&bed, "strobe", 0)->score < 0.6);
    bed_end(&bed);
}

static void test_fast(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_many(&bed, "10.0.0.5", "203.0.113.5", 8081, 5000, 0.5, 400, 0);
    bed_many(&bed, "10.0.0.6", "203.0.113.6", 443, 5000, 0.01, 400, 0);      /* a page */
    bed_many(&bed, "10.0.0.7", "203.0.113.7", 53, 5000, 0.5, 400, HUNT_UDP); /* a resolver */
    bed_many(&bed, "10.0.0.8", "203.0.113.8", 443, 5000, 10.5, 400, 0);      /* steady */
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "strobe"), 1);
    assert_true(bed_is(&bed_found(&bed, "strobe", 0)->src, "10.0.0.5"));
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
