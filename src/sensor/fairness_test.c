/* Who gives way: a simulated collector, which takes packets out of a buffer as long as it has time,
 * with senders of all sizes. */
#include "sensor/fairness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND 1000000000ll
#define STEPS  4 /* a second */

#define MAX_SENDERS 32

/* One packet costs `look` of the time until it is known whose it is, and `work` more where it is
 * kept. What comes waits in a buffer; what finds it full is lost, whosever it is. */
struct bed {
    struct fairness fairness;
    struct fairness_sender senders[MAX_SENDERS];
    size_t n;
    double rates[MAX_SENDERS];
    double look, work, buffer;   /* seconds, seconds, packets */
    double waiting[MAX_SENDERS]; /* in the buffer */
    double lost[MAX_SENDERS];    /* of the kernel */
    double sent[MAX_SENDERS];
    double seen[MAX_SENDERS], left_out[MAX_SENDERS];
    double dropped, others;
    int64_t ticks;
};

static double waits(const struct bed *bed)
{
    double sum = 0;
    for (size_t i = 0; i < bed->n; i++)
        sum += bed->waiting[i];
    return sum;
}

/* A hundredth of a second. */
static void slice(struct bed *bed)
{
    const double span = 0.01;
    double time = span, all = waits(bed), cost = 0;
    for (size_t i = 0; i < bed->n; i++) {
        bed->sent[i] += bed->rates[i] * span;
        bed->waiting[i] += bed->rates[i] * span;
    }
    all = waits(bed);
    for (size_t i = 0; i < bed->n; i++) {
        double keep = bed->senders[i].keep ? bed->senders[i].keep / 256.0 : 1;
        cost += bed->waiting[i] * (bed->look + bed->work * keep);
    }
    double part = cost > time ? time / cost : 1; /* of the buffer that is worked on */
    for (size_t i = 0; i < bed->n; i++) {
        double keep = bed->senders[i].keep ? bed->senders[i].keep / 256.0 : 1;
        double done = bed->waiting[i] * part;
        bed->seen[i] += done;
        bed->left_out[i] += done * (1 - keep);
        bed->waiting[i] -= done;
    }
    double left = all * (1 - part);
    double over = left > bed->buffer ? (left - bed->buffer) / left : 0;
    for (size_t i = 0; i < bed->n; i++) {
        double lost = bed->waiting[i] * over;
        bed->waiting[i] -= lost;
        bed->lost[i] += lost;
        bed->dropped += lost;
    }
}

static void run(struct bed *bed, unsigned seconds)
{
    for (unsigned step = 0; step < seconds * STEPS; step++) {
        for (unsigned i = 0; i < 100 / STEPS; i++)
            slice(bed);
        for (size_t i = 0; i < bed->n; i++) {
            bed->senders[i].n_seen = (uint64_t)bed->seen[i];
            bed->senders[i].n_left_out = (uint64_t)bed->left_out[i];
        }
        bed->ticks += SECOND / STEPS;
        fairness_step(&bed->fairness, bed->senders, bed->n, (uint64_t)bed->others,
                      (uint64_t)bed->dropped, bed->ticks);
    }
}

static void forget(struct bed *bed)
{
    memset(bed->lost, 0, sizeof bed->lost);
    memset(bed->sent, 0, sizeof bed->sent);
    memset(bed->seen, 0, sizeof bed->seen);
    memset(bed->left_out, 0, sizeof bed->left_out);
    for (size_t i = 0; i < bed->n; i++) {
        bed->senders[i].last_seen = 0; /* as if it had begun now */
        bed->senders[i].last_left_out = 0;
    }
    bed->dropped = 0;
    bed->fairness.last_dropped = 0;
}

static uint16_t keep_of(const struct bed *bed, size_t i)
{
    return bed->senders[i].keep ? bed->senders[i].keep : FAIRNESS_ALL;
}

/* One heavy sender and three light ones: 100 000 packets a second are possible, 430 000 come. */
static struct bed heavy_and_light(void)
{
    return (struct bed){.n = 4,
                        .rates = {400000, 10000, 10000, 10000},
                        .look = 1e-6,
                        .work = 9e-6,
                        .buffer = 40000};
}

static void test_heavy(void **state)
{
    (void)state;
    struct bed bed = heavy_and_light();
    run(&bed, 60);
    double lost = bed.lost[1] / bed.sent[1];
    printf("light senders lose %.2f %% of the first minute", 100 * lost);
    assert_true(lost < 0.05);
    for (size_t i = 1; i < 4; i++) {
        assert_true(bed.left_out[i] < 1);
        assert_int_equal(keep_of(&bed, i), FAIRNESS_ALL);
    }
    forget(&bed);
    run(&bed, 600);
    lost = bed.lost[1] / bed.sent[1];
    double use = (bed.seen[0] - bed.left_out[0]) / bed.sent[0];
    printf(", %.3f %% of ten more; of the heavy one %.1f %% are kept\n", 100 * lost, 100 * use);
    assert_true(lost < 0.005);
    assert_true(bed.left_out[1] + bed.left_out[2] + bed.left_out[3] < 1);
    assert_true(use > 0.04); /* what is possible beside the others is some 6 % */
    assert_true(keep_of(&bed, 0) < FAIRNESS_ALL / 4);
}

static void test_recovery(void **state)
{
    (void)state;
    struct bed bed = heavy_and_light();
    run(&bed, 30);
    assert_true(bed.fairness.is_overloaded);
    bed.rates[0] = 20000;
    run(&bed, 90);
    assert_false(bed.fairness.is_overloaded);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(keep_of(&bed, i), FAIRNESS_ALL);
    forget(&bed);
    run(&bed, 60);
    for (size_t i = 0; i < 4; i++)
        assert_true(bed.left_out[i] + bed.lost[i] < 1);
}

/* Heavy ones of different sizes come down to one level; who is below it loses nothing. */
static void test_level(void **state)
{
    (void)state;
    struct bed bed = {.n = 6,
                      .rates = {300000, 150000, 75000, 8000, 4000, 0},
                      .look = 5e-7,
                      .work = 9e-6,
                      .buffer = 40000};
    run(&bed, 60);
    forget(&bed);
    run(&bed, 60);
    double kept[3];
    for (size_t i = 0; i < 3; i++) {
        kept[i] = (bed.seen[i] - bed.left_out[i]) / 60;
        assert_true(kept[i] > 3000);
    }
    printf("of 300000, 150000 and 75000 a second: %.0f, %.0f, %.0f\n", kept[0], kept[1], kept[2]);
    assert_true(kept[0] < 3 * kept[2] && kept[2] < 3 * kept[0]);
    for (size_t i = 3; i < 6; i++)
        assert_true(bed.left_out[i] < 1);
}

/* Nobody is left out while the buffers do their work: a burst, and a few drops now and then. */
static void test_calm(void **state)
{
    (void)state;
    struct bed bed = heavy_and_light();
    bed.rates[0] = 50000;
    run(&bed, 30);
    bed.dropped += 1000; /* 5 % of a step */
    run(&bed, 1);
    bed.dropped += 100;
    run(&bed, 10);
    for (unsigned i = 0; i < 60; i++) {
        bed.dropped += 50;
        run(&bed, 1);
    }
    assert_false(bed.fairness.is_overloaded);
    for (size_t i = 0; i < 4; i++)
        assert_true(bed.left_out[i] < 1);
}

/* The same for all of the same size, and nobody is shut out. */
static void test_alike(void **state)
{
    (void)state;
    struct bed bed = {.n = 20, .look = 1e-6, .work = 9e-6, .buffer = 20000};
    for (size_t i = 0; i < bed.n; i++)
        bed.rates[i] = 15000; /* 300 000: three times what is possible */
    run(&bed, 120);
    assert_true(bed.fairness.is_overloaded);
    for (size_t i = 0; i < bed.n; i++) {
        double kept = bed.seen[i] - bed.left_out[i];
        assert_true(kept > 0.1 * bed.sent[i]);
        assert_in_range(keep_of(&bed, i), keep_of(&bed, 0) / 2, 2 * keep_of(&bed, 0));
    }
}

/* More than can even be looked at: the largest give most, and it stays at that. */
static void test_hopeless(void **state)
{
    (void)state;
    struct bed bed = heavy_and_light();
    bed.rates[0] = 3000000;
    run(&bed, 120);
    assert_true(bed.fairness.is_overloaded);
    assert_true(keep_of(&bed, 0) <= 16);
    for (size_t i = 1; i < 4; i++)
        assert_true(bed.left_out[i] < 1);
}

static void test_limit(void **state)
{
    (void)state;
    struct bed bed = heavy_and_light();
    bed.rates[0] = 20000;
    bed.rates[1] = 5500;
    bed.rates[2] = 5000;
    bed.rates[3] = 100;
    bed.fairness.rate_limit = 5000;
    run(&bed, 10);
    forget(&bed);
    run(&bed, 60);
    assert_false(bed.fairness.is_overloaded);
    for (size_t i = 0; i < 4; i++) {
        double kept = (bed.seen[i] - bed.left_out[i]) / 60;
        bool above = bed.rates[i] > 5001;
        assert_true(kept < 5001);
        assert_true(kept > (above ? 4000 : bed.rates[i] - 1));
        assert_int_equal(bed.senders[i].by_limit, above);
        assert_int_equal(keep_of(&bed, i) < FAIRNESS_ALL, above);
    }
    bed.rates[0] = bed.rates[1] = 50;
    run(&bed, 20);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(keep_of(&bed, i), FAIRNESS_ALL);
}

/* A flood from outside: known ones cannot make room for it. Of one that is no larger than what is
 * known, they can. */
static void test_others(void **state)
{
    (void)state;
    for (unsigned is_flood = 0; is_flood < 2; is_flood++) {
        struct bed bed = heavy_and_light();
        bed.rates[0] = 20000;
        run(&bed, 10);
        for (unsigned i = 0; i < 40; i++) {
            bed.others += is_flood ? 1000000 : 50000;
            bed.dropped += 50000;
            run(&bed, 1);
        }
        assert_int_equal(bed.fairness.is_overloaded, !is_flood);
        assert_int_equal(bed.left_out[0] > 1, !is_flood);
    }
}

/* No senders, no time between two steps, totals that go back, new senders. */
static void test_odd(void **state)
{
    (void)state;
    struct fairness f = {.rate_limit = 0};
    struct fairness_sender s[2] = {{.n_seen = 1000000}, {.n_seen = 0}};
    fairness_step(&f, NULL, 0, 0, 5, SECOND);
    fairness_step(&f, NULL, 0, 0, 1000000, 2 * SECOND); /* of nobody known */
    fairness_step(&f, s, 1, 3, 1000000, 3 * SECOND);
    fairness_step(&f, s, 1, 3, 1000000, 3 * SECOND);
    s[0].n_seen = 5;
    fairness_step(&f, s, 2, 0, 7, 4 * SECOND);
    for (int i = 5; i < 200; i++)
        fairness_step(&f, s, 2, 0, 7, i * SECOND);
    assert_false(f.is_overloaded);
    assert_int_equal(s[0].keep, FAIRNESS_ALL);
    assert_int_equal(s[1].keep, FAIRNESS_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heavy), cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_level), cmocka_unit_test(test_calm),
        cmocka_unit_test(test_alike), cmocka_unit_test(test_hopeless),
        cmocka_unit_test(test_limit), cmocka_unit_test(test_others),
        cmocka_unit_test(test_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
