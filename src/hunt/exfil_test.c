/* More than ever to outside is found, with its destination; the same as every day is not. */
#include "hunt/moves_bed.h"

#include <math.h>

#include "hunt/exfil.h"

static void bed_send(struct bed *bed, double at, const char *src, const char *dst, double mb_up,
                     double mb_down)
{
    bed_put(bed, &(struct bed_conn){.at = at,
                                    .src = src,
                                    .dst = dst,
                                    .port = 443,
                                    .service = "ssl",
                                    .duration = 600,
                                    .up = (int64_t)(mb_up * 1e6),
                                    .down = (int64_t)(mb_down * 1e6)});
}

/* Six days: some 20 MB up and 400 MB down a day; another host backs up 2 GB each night. */
static void bed_past(struct bed *bed, int until)
{
    for (int day = -6; day <= until; day++) {
        for (int hour = 8; hour < 18; hour++)
            bed_send(bed, day * 86400.0 + hour * 3600, "10.0.0.30", "198.18.0.1",
                     2 + (day + 10) % 3 * 0.3 + hour % 4 * 0.1, 40);
        bed_send(bed, day * 86400.0 + 7200, "10.0.0.31", "198.18.0.2", 2000 + 50 * (day % 3), 1);
        bed_neighbours(bed, day * 86400.0 + 40000);
    }
}

static void test_more_than_ever(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_past(&bed, 0);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "exfiltration"), 0);

    bed_send(&bed, 80000, "10.0.0.30", "203.0.113.9", 2000, 1);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "exfiltration"), 1);
    const struct finding *finding = bed_found(&bed, "exfiltration", 0);
    assert_true(bed_is(&finding->src, "10.0.0.30"));
    assert_true(finding->has_dst && bed_is(&finding->dst, "203.0.113.9"));
    assert_true(finding->score >= 0.6);
    assert_true(bed_says(finding, "2.0 GB"));
    assert_true(bed_says(finding, "now gives"));
    assert_true(bed_says(finding, "a rare one"));
    bed_end(&bed);
}

/* The same 900 MB to many: it is told, without a destination. */
static void test_to_many(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_past(&bed, 0);
    for (int i = 0; i < 90; i++) {
        char dst[32];
        snprintf(dst, sizeof(dst), "203.0.113.%d", i + 1);
        bed_send(&bed, 60000 + i * 60, "10.0.0.30", dst, 10, 0.1);
    }
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "exfiltration"), 1);
    assert_false(bed_found(&bed, "exfiltration", 0)->has_dst);
    bed_end(&bed);
}

/* Without a past only what is large, and to one destination. */
static void test_first_day(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_neighbours(&bed, 30000);
    bed_send(&bed, 40000, "10.0.0.32", "203.0.113.9", 400, 1);    /* not so much */
    bed_send(&bed, 40000, "10.0.0.33", "203.0.113.10", 900, 900); /* both ways */
    bed_send(&bed, 40000, "10.0.0.34", "203.0.113.11", 900, 2);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "exfiltration"), 1);
    const struct finding *finding = bed_found(&bed, "exfiltration", 0);
    assert_true(bed_is(&finding->src, "10.0.0.34"));
    assert_true(finding->score < 0.6);
    assert_true(bed_says(finding, "too few to know"));
    bed_end(&bed);
}

/* Inside, it is no matter of this hunt. */
static void test_inside(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_send(&bed, 40000, "10.0.0.32", "10.0.0.33", 5000, 1);
    bed_judge(&bed, 86400);
    assert_int_equal(bed_count(&bed, "exfiltration"), 0);
    bed_end(&bed);
}

static void test_normal(void **state)
{
    (void)state;
    const double samples[] = {2, 4, 4, 4, 5, 5, 7, 9};
    double mean, sd;
    assert_true(exfil_normal(samples, 8, 4, &mean, &sd));
    assert_true(fabs(mean - 5) < 1e-9);
    assert_true(fabs(sd - sqrt(32.0 / 7)) < 1e-9);
    assert_false(exfil_normal(samples, 3, 4, &mean, &sd));
    assert_false(exfil_normal(samples, 0, 0, &mean, &sd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_more_than_ever), cmocka_unit_test(test_to_many),
        cmocka_unit_test(test_first_day),      cmocka_unit_test(test_inside),
        cmocka_unit_test(test_normal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
