/* When the kernel refuses: floods, pulses of them, few packets, and losses that others cause. */
#include "sensor/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define STEP (1000000000ll / 4)

struct bed {
    struct gate gate;
    uint64_t n_refused, n_dropped;
    int64_t ticks;
};

/* So many seconds of this rate; gives how many of the steps the gate was closed. */
static unsigned run(struct bed *bed, unsigned seconds, unsigned rate, unsigned dropped)
{
    unsigned n_closed = 0;
    for (unsigned i = 0; i < 4 * seconds; i++) {
        bed->ticks += STEP;
        bed->n_refused += rate / 4;
        bed->n_dropped += dropped / 4;
        n_closed += gate_step(&bed->gate, bed->n_refused, bed->n_dropped, bed->ticks);
    }
    return n_closed;
}

static void test_flood(void **state)
{
    (void)state;
    struct bed bed = {.ticks = 77};
    assert_int_equal(run(&bed, 60, 0, 0), 0);
    assert_int_equal(run(&bed, 60, 4000, 0), 0);     /* few enough to look at */
    assert_int_equal(run(&bed, 10, 1000000, 0), 40); /* with the first step */
    assert_int_equal(run(&bed, 10, 0, 0), 39);
    assert_int_equal(run(&bed, 10, 0, 0), 0);
}

static void test_losses(void **state)
{
    (void)state;
    struct bed bed = {.ticks = 77};
    assert_int_equal(run(&bed, 10, 400, 100000), 0); /* it is not these who send too much */
    assert_int_equal(run(&bed, 1, 600, 0), 0);
    assert_int_equal(run(&bed, 1, 600, 4), 4);
    assert_int_equal(run(&bed, 9, 600, 0), 36);
    assert_int_equal(run(&bed, 60, 1200, 0), 240); /* too many to open it again */
}

static void test_pulses(void **state)
{
    (void)state;
    struct bed bed = {.ticks = 77};
    unsigned n_open = 0, n = 0;
    assert_int_equal(run(&bed, 1, 0, 0), 0);
    /* Each is sent as soon as the gate has opened. */
    for (; n < 20; n++) {
        assert_int_equal(run(&bed, 1, 1000000, 0), 4);
        while (gate_step(&bed.gate, bed.n_refused, bed.n_dropped, bed.ticks += STEP))
            n_open = 0;
        n_open++;
    }
    assert_int_equal(n_open, 1);
    assert_true(bed.ticks > 14 * 600ll * 1000000000);
    assert_int_equal(run(&bed, 1800, 0, 0), 0);
    assert_int_equal(run(&bed, 1, 1000000, 0), 4);
    assert_int_equal(run(&bed, 12, 0, 0), 39); /* all is forgotten */
}

/* The same moment twice, and totals that go back because a worker has ended. */
static void test_odd(void **state)
{
    (void)state;
    struct gate gate = {0};
    assert_false(gate_step(&gate, 1u << 30, 5, 1000));
    assert_false(gate_step(&gate, 1u << 31, 5, 1000));
    assert_false(gate_step(&gate, 7, 0, 2000));
    assert_true(gate_step(&gate, 1000000, 0, STEP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_pulses),
        cmocka_unit_test(test_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
