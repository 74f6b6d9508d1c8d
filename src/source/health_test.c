/* What a machine's own traffic and its canary say, on a clock of the test's own: what is silenced
 * is seen in time, and who is merely quiet never is. */
#include "source/health_bed.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>

static void assert_says(const struct bed *bed, const char *part)
{
    if (!strstr(bed->verdict.reason, part))
        print_error("\"%s\" is not in: %s: %s\n", part, health_state_name(bed->verdict.state),
                    bed->verdict.reason);
    assert_non_null(strstr(bed->verdict.reason, part));
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < HEALTH_N_STATES; i++) {
        assert_non_null(health_state_name((enum health_state)i));
        for (int j = 0; j < i; j++)
            assert_string_not_equal(health_state_name((enum health_state)i),
                                    health_state_name((enum health_state)j));
    }
    assert_true(health_is_bad(HEALTH_SILENT));
    assert_true(health_is_bad(HEALTH_TRUNCATED));
    assert_false(health_is_bad(HEALTH_UNKNOWN));
    assert_false(health_is_bad(HEALTH_QUIET));
}

static void test_new_then_ok(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 1, false);
    bed.packets_per_second = 100;
    bed_run(&bed, 5);
    assert_int_equal(bed.verdict.state, HEALTH_NEW);
    bed_run(&bed, 60);
    assert_int_equal(bed.verdict.state, HEALTH_OK);
    assert_string_equal(bed.verdict.reason, "");
    assert_true(bed.verdict.usual_bytes_per_second > 70000);
    assert_true(bed.verdict.usual_bytes_per_second < 90000);
    assert_in_range(bed.n_wanted, 1, 4); /* to see whether it comes back at all */
    health_free(bed.health);
}

/* How it was before, how it was silenced, what the probes met, and what has to be said when. */
struct silence {
    const char *what;
    double packets_per_second;
    double before; /* seconds */
    enum canary_answer answer;
    double limit; /* seconds */
    const char *says;
};

static const struct silence silences[] = {
    {"busy, alive", 1500, 600, CANARY_REPLIED, 10, "silenced while alive"},
    {"busy, does not answer", 1500, 600, CANARY_NONE, 10, "Mb/s; 6 canaries in a row were lost"},
    {"busy, powered off", 1500, 600, CANARY_HOST_GONE, 10, "host down"},
    {"busy, no way there", 1500, 600, CANARY_NO_ROUTE, 10, "path down"},
    {"some packets a second", 8, 600, CANARY_REPLIED, 10, "silenced while alive"},
    {"busy for a minute only", 1500, 60, CANARY_NONE, 10, "canaries in a row were lost"},
    {"idle, alive", 0, 3600, CANARY_REPLIED, 120, "silenced while alive"},
    {"idle, powered off", 0, 3600, CANARY_HOST_GONE, 120, "host down"},
    {"a trickle", 0.01, 7200, CANARY_NONE, 120, "canaries in a row were lost"},
    {"a packet now and then", 0.2, 3600, CANARY_REPLIED, 120, "silenced while alive"},
    {NULL, 0, 0, CANARY_NONE, 0, NULL},
};

static void test_silenced_is_seen_in_time(void **state)
{
    (void)state;
    for (const struct silence *s = silences; s->what; s++) {
        double worst = 0, sum = 0;
        for (uint64_t seed = 1; seed <= 40; seed++) {
            struct bed bed;
            bed_start(&bed, seed, false);
            /* The canary came back once, on a quiet morning. */
            bed_run(&bed, 100);
            bed.packets_per_second = s->packets_per_second;
            bed_run(&bed, s->before + (double)seed);
            assert_int_equal(bed.n_bad, 0);
            bed.mirror_off = true;
            bed.answer = s->answer;
            double took = bed_until(&bed, HEALTH_SILENT, s->limit);
            if (took < 0)
                print_error("%s: not seen within %.0f s\n", s->what, s->limit);
            assert_true(took > 0);
            assert_true(bed.verdict.changed && bed.verdict.is_bad);
            assert_says(&bed, s->says);
            worst = took > worst ? took : worst;
            sum += took;

            /* It stays, is said once, and is over with the first packet. */
            bed_run(&bed, 300);
            assert_int_equal(bed.verdict.state, HEALTH_SILENT);
            assert_int_equal(bed.n_bad, 1);
            bed.mirror_off = false;
            bed.packets_per_second = 1000;
            bed_tick(&bed);
            assert_true(bed.verdict.state == HEALTH_OK || bed.verdict.state == HEALTH_NEW);
            assert_true(bed.verdict.changed && !bed.verdict.is_bad);
            health_free(bed.health);
        }
        print_message("%-24s seen after %.1f s, at most %.1f\n", s->what, sum / 40, worst);
    }
}

/* Hours in which nothing is wrong. */
struct calm {
    const char *what;
    double packets_per_second;
    unsigned int burst;
    double canary_loss;
    bool canary_blocked;
    bool nights; /* some hours busy, some with nothing at all */
    unsigned int n_seeds, hours;
};

static const struct calm calms[] = {
    {"one packet in ten minutes", 0.0017, 1, 0, false, false, 30, 12},
    {"one packet a minute", 0.017, 1, 0, false, false, 30, 12},
    {"one packet in five seconds", 0.2, 1, 0, false, false, 30, 8},
    {"one packet a second", 1, 1, 0, false, false, 30, 8},
    {"bursts", 0.05, 200, 0, false, false, 30, 8},
    {"nothing at all", 0, 1, 0, false, false, 30, 12},
    {"nothing, one canary in 20 lost", 0, 1, 0.05, false, false, 50, 12},
    {"a trickle, one in 20 lost", 0.017, 1, 0.05, false, false, 50, 12},
    {"busy days, quiet nights", 50, 1, 0.05, false, true, 20, 12},
    {"a trickle, no canary gets there", 0.017, 1, 0, true, false, 30, 12},
    {"a packet in 2 s, no canary", 0.5, 1, 0, true, false, 30, 8},
    {"one a second, no canary", 1, 1, 0, true, false, 30, 8},
    {"two a second, no canary", 2, 1, 0, true, false, 30, 8},
    {"bursts, no canary", 0.05, 200, 0, true, false, 30, 8},
    {NULL, 0, 0, 0, false, false, 0, 0},
};

static void test_who_is_quiet_never_alarms(void **state)
{
    (void)state;
    double hours = 0;
    for (const struct calm *c = calms; c->what; c++) {
        uint64_t n_wanted = 0;
        for (uint64_t seed = 1; seed <= c->n_seeds; seed++) {
            struct bed bed;
            bed_start(&bed, seed, false);
            bed.burst = c->burst;
            bed.canary_loss = c->canary_loss;
            bed.canary_blocked = c->canary_blocked;
            for (unsigned int hour = 0; hour < c->hours; hour++) {
                bed.packets_per_second = c->nights && hour % 2 ? 0 : c->packets_per_second;
                bed_run(&bed, 3600);
                if (bed.n_bad)
                    print_error("%s, seed %u, hour %u: %s\n", c->what, (unsigned int)seed, hour,
                                bed.bad);
                assert_int_equal(bed.n_bad, 0);
            }
            n_wanted += bed.n_wanted;
            hours += c->hours;
            health_free(bed.health);
        }
        print_message("%-32s no alarm in %u hours, %.0f canaries an hour\n", c->what,
                      c->n_seeds * c->hours, (double)n_wanted / (c->n_seeds * c->hours));
    }
    print_message("%.0f hours in all\n", hours);
    assert_true(hours > 4000);
}

static void test_no_canary_no_silence(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 3, false);
    bed.canary_blocked = true;
    bed.packets_per_second = 1875; /* 12 Mb/s */
    bed_run(&bed, 900);
    bed.mirror_off = true;
    double took = bed_until(&bed, HEALTH_UNKNOWN, 60);
    assert_true(took > 0 && took < 45);
    bed_run(&bed, 20);
    assert_true(bed.verdict.is_bad); /* it was steady, and stopped */
    assert_int_equal(bed.n_bad, 1);
    assert_says(&bed, "usually 12 Mb/s");
    assert_says(&bed, "the canary does not reach web-1 (allow UDP from 10.9.0.2)");
    bed_run(&bed, 7200);
    assert_int_equal(bed.verdict.state, HEALTH_UNKNOWN);
    health_free(bed.health);
}

static void test_canary_switched_off(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 4, false);
    bed.canary.enabled = false;
    bed_run(&bed, 60);
    assert_int_equal(bed.verdict.state, HEALTH_UNKNOWN);
    assert_says(&bed, "nothing was ever heard; no canary is sent to web-1");
    assert_int_equal(bed.n_wanted, 0);
    assert_false(bed.verdict.is_bad);
    health_free(bed.health);
}

static void test_alive_and_quiet(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 5, false);
    bed_run(&bed, 300);
    assert_int_equal(bed.verdict.state, HEALTH_QUIET);
    assert_says(&bed, "alive and quiet");
    health_free(bed.health);
}

/* No two gaps between canaries are alike, and none is far from the interval. */
static void test_timing_is_not_predictable(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 6, false);
    int64_t gaps[100], last = 0;
    size_t n = 0;
    while (n < 100) {
        uint32_t before = bed.n_wanted;
        bed_tick(&bed);
        if (bed.n_wanted == before)
            continue;
        if (last)
            gaps[n++] = bed.ticks - last;
        last = bed.ticks;
    }
    unsigned int n_differ = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(gaps[i] >= 17 * BED_NS && gaps[i] <= 43 * BED_NS);
        bool differs = true;
        for (size_t j = 0; j < i; j++)
            differs = differs && gaps[i] != gaps[j];
        n_differ += differs;
    }
    assert_true(n_differ > 40);
    health_free(bed.health);
}

/* The host's clock, set by hours; and a host that slept. */
static void test_clock_steps(void **state)
{
    (void)state;
    for (int forward = 0; forward < 2; forward++) {
        struct bed bed;
        bed_start(&bed, 7, false);
        bed.packets_per_second = 1000;
        bed_run(&bed, 120);
        bed.now += forward ? 7200 * BED_NS : -7200 * BED_NS;
        bed_tick(&bed);
        assert_int_equal(bed.verdict.clock_step / BED_NS, forward ? 7200 : -7200);
        assert_int_equal(bed.n_bad, 0);
        bed_run(&bed, 60);
        assert_int_equal(bed.verdict.clock_step, 0);
        bed.ticks += 3600 * BED_NS;
        bed.now += 3600 * BED_NS;
        bed_run(&bed, 60);
        assert_int_equal(bed.n_bad, 0);
        assert_int_equal(bed.verdict.state, HEALTH_OK);
        health_free(bed.health);
    }
}

static void test_one_sided(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 8, false);
    bed.packets_per_second = 400;
    for (int i = 0; i < 240; i++) {
        bed_tick(&bed);
        bed.totals.n_tcp_in += 50;
    }
    assert_int_equal(bed.verdict.state, HEALTH_ONE_SIDED);
    assert_says(&bed, "mirror its egress (direction=out) as well");
    for (int i = 0; i < 240; i++) {
        bed_tick(&bed);
        bed.totals.n_tcp_in += 50;
        bed.totals.n_tcp_out += 40;
    }
    assert_int_equal(bed.verdict.state, HEALTH_OK);
    health_free(bed.health);
}

static void test_truncated(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 9, false);
    bed.packets_per_second = 400;
    bed_run(&bed, 60);
    bed.totals.overhead = 50;
    bed.totals.n_cut += 10;
    bed.totals.cut_size = 1450;
    bed.totals.largest_size = 1500;
    bed_tick(&bed);
    assert_int_equal(bed.verdict.state, HEALTH_TRUNCATED);
    assert_says(&bed, "cut at 1450 bytes (10 packets of the last minute): set the MTU of web-1 to "
                      "1450, or that of the way to here to 1550");
    bed.totals.overhead_spare = 4;
    bed.totals.cut_size = 8951;
    bed.totals.n_cut++;
    bed_tick(&bed);
    assert_says(&bed, "set the MTU of web-1 to 8947"); /* AWS, of a way with 9001 */
    bed.totals.cut_size = 128;
    bed_tick(&bed);
    assert_says(&bed, "raise the snap length");
    bed_run(&bed, 90);
    assert_int_equal(bed.verdict.state, HEALTH_OK);
    health_free(bed.health);
}

/* We left out whole connections: how many, and whose fault it is. */
static void test_sampled(void **state)
{
    (void)state;
    static const struct {
        uint16_t kept;
        bool is_limited;
        const char *how, *why;
    } rows[] = {{64, false, "sampled 1/4: ", "this collector is overloaded"},
                {1, false, "sampled 1/256: ", "more than its share"},
                {224, true, "sampled 87 %: ", "limits.rate-per-source"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct bed bed;
        bed_start(&bed, 10, false);
        bed.packets_per_second = 400;
        bed_run(&bed, 60);
        bed.totals.n_dropped += 5000;
        bed.totals.kept = rows[i].kept;
        bed.totals.is_limited = rows[i].is_limited;
        bed_tick(&bed);
        assert_int_equal(bed.verdict.state, HEALTH_DROPPING);
        assert_says(&bed, rows[i].how);
        assert_says(&bed, rows[i].why);
        assert_says(&bed, "of the last minute 5000 packets (17.");
        health_free(bed.health);
    }
}

static void test_dropping(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 10, false);
    bed.packets_per_second = 400;
    bed_run(&bed, 60);
    for (int i = 0; i < 240; i++) {
        bed.totals.n_lost += 5; /* but they only came late */
        bed.totals.n_reordered += 5;
        bed_tick(&bed);
    }
    assert_int_equal(bed.verdict.state, HEALTH_OK);
    for (int i = 0; i < 240; i++) {
        bed.totals.n_lost += 4;
        bed_tick(&bed);
    }
    assert_int_equal(bed.verdict.state, HEALTH_DROPPING);
    assert_says(&bed, "960 packets (3.");
    assert_says(&bed, "lost at the sender or on the way");
    bed.totals.n_dropped += 5000;
    bed_tick(&bed);
    assert_says(&bed, "run cloudspan doctor");
    bed_run(&bed, 90);
    assert_int_equal(bed.verdict.state, HEALTH_OK);
    health_free(bed.health);
}

/* Its mirror still shows a little, which keeps it from silence; but not the canary. */
static void test_filtered_but_alive(void **state)
{
    (void)state;
    struct bed bed;
    bed_start(&bed, 11, false);
    bed_run(&bed, 100);
    bed.packets_per_second = 300;
    bed_run(&bed, 900);
    bed.packets_per_second = 0.5;
    bed.canary_blocked = true;
    bed.answer = CANARY_REPLIED;
    assert_true(bed_until(&bed, HEALTH_MUTED, 400) > 0);
    assert_says(&bed, "filter");
    health_free(bed.health);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_new_then_ok),
        cmocka_unit_test(test_silenced_is_seen_in_time),
        cmocka_unit_test(test_who_is_quiet_never_alarms),
        cmocka_unit_test(test_no_canary_no_silence),
        cmocka_unit_test(test_canary_switched_off),
        cmocka_unit_test(test_alive_and_quiet),
        cmocka_unit_test(test_timing_is_not_predictable),
        cmocka_unit_test(test_clock_steps),
        cmocka_unit_test(test_one_sided),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_dropping),
        cmocka_unit_test(test_sampled),
        cmocka_unit_test(test_filtered_but_alive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
