/* From two times of a watch to the rows between them. */
#include "sensor/watch_measures.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define SECOND 1000000000ll

static struct watch_measured a_time(void)
{
    return (struct watch_measured){
        .ts = 1700000000 * SECOND,
        .counters =
            {
                .stack = {.fragment_bytes = 9000},
                .flows = {.n_added = 175,
                          .n_now = 60,
                          .n_added_of = {[FLOW_TCP] = 100, 50, 20, 5},
                          .n_now_of = {[FLOW_TCP] = 40, 15, 4, 1}},
                .payload = {.n_acks = 1000,
                            .n_gaps = 10,
                            .n_files = 30,
                            .n_files_now = 3,
                            .tcp_bytes = 1400,
                            .early_bytes = 64,
                            .file_bytes = 4096},
                .n_packets = 5000,
                .n_filtered = 7,
            },
        .n_bytes = 3000000,
        .n_kernel_dropped = 12,
        .n_records = 170,
        .memory = 87u << 20,
        .lag = 1500000,
    };
}

static void test_first_row_is_of_all(void **state)
{
    (void)state;
    struct watch_measured begin = {.ts = 1700000000 * SECOND - 300 * SECOND}, now = a_time();
    struct stats_row row = watch_stats_row(&begin, &now);
    assert_int_equal(row.ts, now.ts);
    assert_string_equal(row.peer, "cloudspan");
    assert_int_equal(row.memory, 87);
    assert_int_equal(row.n_packets, 5000);
    assert_int_equal(row.n_bytes, 3000000);
    assert_true(row.live);
    assert_int_equal(row.n_dropped, 12);
    assert_int_equal(row.n_seen, 5012);
    assert_int_equal(row.lag, 1500000);
    assert_false(row.has_filtered);
    assert_int_equal(row.n_events, 170);
    assert_int_equal(row.n_tcp, 100);
    assert_int_equal(row.n_udp, 50);
    assert_int_equal(row.n_icmp, 20);
    assert_int_equal(row.n_timers, 175);
    struct capture_loss_row loss = watch_loss_row(&begin, &now);
    assert_int_equal(loss.ts_delta, 300 * SECOND);
    assert_int_equal(loss.n_acks, 1000);
    assert_int_equal(loss.n_gaps, 10);
    assert_string_equal(loss.peer, "cloudspan");
}

static void test_next_row_is_of_the_difference(void **state)
{
    (void)state;
    struct watch_measured before = a_time(), now = a_time();
    now.ts += 60 * SECOND;
    now.has_filter = true;
    now.counters.n_packets += 100;
    now.counters.n_filtered += 9;
    now.n_kernel_dropped += 2;
    now.n_bytes -= 500; /* a machine is gone, with what it sent */
    now.n_records += 11;
    now.counters.flows.n_added_of[FLOW_UDP] += 3;
    now.counters.flows.n_added += 3;
    now.counters.flows.n_now_of[FLOW_TCP] -= 30;
    now.counters.flows.n_now -= 30;
    now.counters.payload.n_files += 4;
    now.counters.payload.n_acks += 200;
    now.counters.payload.n_gaps += 50;
    struct stats_row row = watch_stats_row(&before, &now);
    assert_int_equal(row.n_packets, 100);
    assert_int_equal(row.n_dropped, 2);
    assert_int_equal(row.n_seen, 102);
    assert_int_equal(row.n_bytes, 0);
    assert_true(row.has_filtered);
    assert_int_equal(row.n_filtered, 9);
    assert_int_equal(row.n_events, 11);
    assert_int_equal(row.n_events_queued, 11);
    assert_int_equal(row.n_tcp, 0);
    assert_int_equal(row.n_udp, 3);
    assert_int_equal(row.n_icmp, 0);
    assert_int_equal(row.n_tcp_now, 10);
    assert_int_equal(row.n_udp_now, 15);
    assert_int_equal(row.n_icmp_now, 4);
    assert_int_equal(row.n_timers, 3);
    assert_int_equal(row.n_timers_now, 30);
    assert_int_equal(row.n_files, 4);
    assert_int_equal(row.n_files_now, 3);
    assert_int_equal(row.tcp_bytes, 1400);
    assert_int_equal(row.file_bytes, 4096);
    assert_int_equal(row.fragment_bytes, 9000);
    assert_int_equal(row.other_bytes, 64);
    struct capture_loss_row loss = watch_loss_row(&before, &now);
    assert_int_equal(loss.ts_delta, 60 * SECOND);
    assert_int_equal(loss.n_acks, 200);
    assert_int_equal(loss.n_gaps, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_row_is_of_all),
        cmocka_unit_test(test_next_row_is_of_the_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
