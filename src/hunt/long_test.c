/* Long connections, one or many in a row; not what only looks long because much went on at once. */
#include <math.h>

#include "hunt/moves_bed.h"

static struct bed_conn bed_long(const char *src, const char *dst, uint16_t port, double at,
                                double hours)
{
    return (struct bed_conn){.at = at,
                             .src = src,
                             .dst = dst,
                             .port = port,
                             .duration = hours * 3600,
                             .up = 2000000,
                             .down = 3000000};
}

static const struct finding *bed_of(struct bed *bed, const char *src)
{
    const struct finding *finding;
    for (size_t i = 0; (finding = bed_found(bed, "long-connection", i)); i++)
        if (bed_is(&finding->src, src))
            return finding;
    return NULL;
}

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        double hours, least, most; /* of a port without a protocol, that nobody else knows */
    } rows[] = {{0.9, -1, 0}, {1.1, 0.35, 0.5}, {4, 0.55, 0.65}, {8, 0.75, 0.85}, {13, 0.9, 1}};
    struct bed bed;
    bed_begin(&bed);
    bed_neighbours(&bed, 3600);
    for (int i = 0; i < 5; i++) {
        char src[32];
        snprintf(src, sizeof(src), "10.0.0.%d", 10 + i);
        char dst[32];
        snprintf(dst, sizeof(dst), "203.0.113.%d", 10 + i);
        struct bed_conn conn = bed_long(src, dst, 4433, 20000, rows[i].hours);
        bed_put(&bed, &conn);
    }
    bed_judge(&bed, 86400);
    for (int i = 0; i < 5; i++) {
        char src[32];
        snprintf(src, sizeof(src), "10.0.0.%d", 10 + i);
        const struct finding *finding = bed_of(&bed, src);
        assert_int_equal(finding != NULL, rows[i].least > 0);
        if (!finding)
            continue;
        assert_true(finding->score >= rows[i].least && finding->score <= rows[i].most);
        assert_true(bed_says(finding, "port 4433"));
        assert_int_equal(bed_number(finding, "port"), 4433);
        /* Its last record is of its beginning, and it went on. */
        assert_true(fabs((double)(finding->last - finding->first) - rows[i].hours * 3600e3) < 2);
    }
    bed_end(&bed);
}

/* Ten hours in pieces of half an hour; and twenty parallel ones of half an hour, which sum up to
 * the same but are half an hour. The port that did it is named. */
static void test_many(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_neighbours(&bed, 3600);
    for (int i = 0; i < 20; i++) {
        struct bed_conn conn = bed_long("10.0.0.10", "203.0.113.10", 8080, 20000 + i * 1805, 0.5);
        bed_put(&bed, &conn);
        conn = bed_long("10.0.0.11", "203.0.113.11", 8080, 20000 + i, 0.5);
        bed_put(&bed, &conn);
        conn = bed_long("10.0.0.10", "203.0.113.10", 443, 20000 + i * 1805, 0.01);
        bed_put(&bed, &conn);
    }
    bed_judge(&bed, 86400);
    const struct finding *finding = bed_of(&bed, "10.0.0.10");
    assert_non_null(finding);
    assert_true(finding->score >= 0.6);
    /* From the first one's beginning to the last one's end. */
    assert_int_equal((finding->last - finding->first) / 1000, 19 * 1805 + 1800);
    assert_int_equal(bed_number(finding, "port"), 8080);
    assert_true(bed_number(finding, "connected_s") > 9.9 * 3600);
    assert_null(bed_of(&bed, "10.0.0.11"));
    bed_end(&bed);
}

/* Long by nature; and what goes through is said. */
static void test_nature(void **state)
{
    (void)state;
    struct bed bed;
    bed_begin(&bed);
    bed_neighbours(&bed, 3600);
    struct bed_conn push = bed_long("10.0.0.10", "203.0.113.10", 5228, 20000, 9);
    push.up = 9000;
    push.down = 9000;
    bed_put(&bed, &push);
    struct bed_conn other = bed_long("10.0.0.11", "203.0.113.11", 4444, 20000, 9);
    bed_put(&bed, &other);
    struct bed_conn pool = bed_long("10.0.0.12", "10.0.0.13", 5432, 20000, 9);
    bed_put(&bed, &pool);
    bed_judge(&bed, 86400);
    const struct finding *of_push = bed_of(&bed, "10.0.0.10");
    const struct finding *of_other = bed_of(&bed, "10.0.0.11");
    const struct finding *of_pool = bed_of(&bed, "10.0.0.12");
    assert_non_null(of_other);
    assert_true(!of_push || of_push->score < of_other->score - 0.3);
    assert_true(!of_push || bed_says(of_push, "hardly used"));
    assert_true(!of_pool || of_pool->score < of_other->score - 0.4);
    assert_true(bed_says(of_other, "an hour went through it"));
    bed_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_nature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
