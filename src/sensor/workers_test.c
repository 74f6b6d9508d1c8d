/* Workers on sources in memory: whichever worker a packet comes to, its connection is one worker's
 * and its row is that of a single worker; nothing that came is lost at the end; rules change and
 * inputs break while packets flow. */
#include "sensor/live_bed.h"

#include <errno.h>

#include "sensor/workers.h"

#define ALL     "admit: all\n"
#define NOBODY  "admit: configured\n"
#define N_TALKS 300

/* Frames of many machines' mirrors: talks that take turns. Each in the list of its number mod n:
 * the packets of one connection come one after the other, but to whichever worker. */
struct traffic {
    struct frame_list plain[8], mirrored[8];
    unsigned n;
    size_t n_frames;
};

static void add_round(struct talk *talks, unsigned n_talks, unsigned round)
{
    for (unsigned i = 0; i < n_talks; i++) {
        struct talk *t = &talks[i];
        if (i % 3 == 2) {
            static const uint8_t dns[] = {0, 7, 1,   0,   0,   1, 0, 0, 0, 0, 0,
                                          0, 3, 'w', 'w', 'w', 0, 0, 1, 0, 1};
            if (round < 2)
                talk_udp(t, 0, dns, sizeof dns);
            continue;
        }
        switch (round) {
        case 0:
            talk_hello(t);
            break;
        case 1:
            talk_segment(t, 0, 24, "GET /index.html HTTP/1.1\r\nHost: one.example\r\n\r\n");
            break;
        case 2:
            talk_segment(t, 1, 24, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            break;
        default:
            talk_bye(t);
            break;
        }
    }
}

static void traffic_make(struct traffic *t, unsigned n, unsigned n_talks)
{
    t->n = n;
    t->n_frames = 0;
    for (unsigned k = 0; k < n; k++) {
        frames_open(&t->plain[k]);
        frames_open(&t->mirrored[k]);
        t->plain[k].now = live_now() + k * 1000; /* workers end what is older than their clock */
        struct talk *talks = calloc(n_talks, sizeof *talks);
        unsigned n_mine = 0;
        for (unsigned i = k; i < n_talks; i += n) {
            struct addr orig = frame_addr(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
            struct addr resp = frame_addr(10, 2, 0, (uint8_t)(i % 50));
            bool is_udp = n_mine % 3 == 2;
            talks[n_mine++] =
                talk_begin(&t->plain[k], orig, (uint16_t)(20000 + i), resp, is_udp ? 53 : 80);
        }
        for (unsigned round = 0; round < 4; round++)
            add_round(talks, n_mine, round);
        frames_wrap(&t->plain[k], &t->mirrored[k], (uint8_t)(1 + k), 7);
        for (size_t i = 0; i < t->mirrored[k].n; i++)
            t->mirrored[k].frames[i].input = 1;
        t->n_frames += t->mirrored[k].n;
        free(talks);
    }
}

static void traffic_free(struct traffic *t)
{
    for (unsigned k = 0; k < t->n; k++) {
        frames_free(&t->plain[k]);
        frames_free(&t->mirrored[k]);
    }
}

/* ---- a run ---- */

struct bed {
    struct log_column extra[PIPELINE_MAX_EXTRA]; /* stays while the logs are open */
    struct log_bed logs;
    struct live_rules rules;
    struct workers *workers;
    struct pipeline_counters counters;
    struct arrival_counters arrival;
    struct handoff_counters handoff;
    uint64_t n_out, n_flushes, n_outputs; /* of all outputs */
    int held_until; /* workers but the first wait for it with their first packet; 0: they do not */
};

struct output {
    struct bed *bed;
    unsigned worker;
    uint64_t n, n_flushes;
};

static void *output_new(void *with, unsigned worker)
{
    struct output *output = calloc(1, sizeof *output);
    assert_non_null(output);
    output->bed = with;
    output->worker = worker;
    assert_int_equal(worker, output->bed->n_outputs++);
    return output;
}

static void output_packet(void *with, const struct packet *packet, const struct source *source)
{
    struct output *output = with;
    live_must(packet->frame_size > 0 && source);
    if (output->worker > 0 && output->n == 0 && output->bed->held_until) {
        struct pollfd fd = {.fd = output->bed->held_until, .events = POLLIN};
        live_must(poll(&fd, 1, -1) == 1);
    }
    output->n++;
}

static void output_flush(void *with)
{
    struct output *output = with;
    output->n_flushes++;
}

static void output_free(void *with)
{
    struct output *output = with;
    output->bed->n_out += output->n;
    output->bed->n_flushes += output->n_flushes;
    free(output);
}

static struct workers_options options_of(struct bed *b, unsigned n_workers)
{
    struct workers_options options = {
        .n_workers = n_workers,
        .pipeline = {.mirror = true,
                     .memory = 64u << 20,
                     .hash_key = 5,
                     .uid_seed = 6,
                     .networks = b->rules.config->network_list},
        .logs = b->logs.set,
        .rules = &b->rules.rules->arrival,
        .max_machine = 100,
        .output_new = output_new,
        .output_packet = output_packet,
        .output_flush = output_flush,
        .output_free = output_free,
        .with = b,
    };
    steer_key_init(&options.steer_key, 99);
    return options;
}

static void bed_open(struct bed *b, unsigned n_workers, const char *yaml)
{
    memset(b, 0, sizeof *b);
    struct pipeline_options pipeline = {.mirror = true};
    log_bed_open(&b->logs, LOG_FORMAT_TSV, b->extra, pipeline_extra_columns(&pipeline, b->extra));
    live_rules_init(&b->rules, yaml, NULL);
    struct workers_options options = options_of(b, n_workers);
    struct err err;
    if (workers_start(&options, &b->workers, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(workers_n(b->workers), n_workers);
}

static void bed_stop(struct bed *b)
{
    workers_stop(b->workers);
    workers_count(b->workers, &b->counters, &b->arrival, &b->handoff);
}

static void bed_close(struct bed *b)
{
    workers_free(b->workers);
    log_bed_close(&b->logs);
    live_rules_done(&b->rules);
}

/* All that came is in one of the counters. */
static void check_sum(const struct bed *b, uint64_t n_frames)
{
    const struct arrival_counters *a = &b->arrival;
    assert_int_equal(b->counters.n_packets + a->n_refused + a->n_unknown + a->n_own + a->n_loops +
                         a->n_canaries + a->n_proofs + b->handoff.n_full,
                     n_frames);
}

/* ---- one row, whoever gets the packets ---- */

/* Without the time, which is the worker's latest: lists are of the same time, and one worker takes
 * them one after the other. */
static char *rows_of(struct log_bed *logs, const char *log)
{
    char *text = log_bed_take_rows(logs, log, 1), *sorted = run_sorted(text, NULL);
    free(text);
    return sorted;
}

static const char *const compared[] = {"conn", "http", "dns", "files"};
#define N_COMPARED (sizeof compared / sizeof *compared)

static void run_one(const struct traffic *t, unsigned n_workers, char *rows[N_COMPARED],
                    struct bed *b)
{
    bed_open(b, n_workers, ALL);
    for (unsigned k = 0; k < t->n; k++)
        workers_add(b->workers, k % n_workers, 1,
                    live_fake_new(t->mirrored[k].frames, t->mirrored[k].n, 1, 0, -1), false);
    bed_stop(b);
    struct live_counters input;
    workers_count_input(b->workers, 1, &input);
    assert_int_equal(input.n_frames, t->n_frames);
    check_sum(b, t->n_frames);
    assert_int_equal(b->counters.stack.n_frames, t->n_frames);
    bed_close(b);
    for (size_t i = 0; i < N_COMPARED; i++)
        rows[i] = rows_of(&b->logs, compared[i]);
    log_bed_remove(&b->logs);
}

static void same_rows(void **state)
{
    (void)state;
    struct traffic t;
    struct bed one, three;
    char *rows[2][N_COMPARED];
    traffic_make(&t, 3, N_TALKS);
    run_one(&t, 1, rows[0], &one);
    run_one(&t, 3, rows[1], &three);
    assert_int_equal(one.handoff.n_put, 0);
    assert_true(three.handoff.n_put > t.n_frames / 3); /* two in three came to a wrong one */
    assert_int_equal(three.handoff.n_full, 0);
    assert_int_equal(one.counters.n_packets, t.n_frames);
    assert_int_equal(three.counters.n_packets, t.n_frames);
    assert_int_equal(three.counters.flows.n_added, one.counters.flows.n_added);
    assert_int_equal(one.n_out, t.n_frames);
    assert_int_equal(three.n_out, t.n_frames);
    assert_int_equal(three.n_outputs, 3);
    assert_true(three.n_flushes >= 3);
    assert_int_equal(log_rows(rows[0][0]), N_TALKS);
    for (size_t i = 0; i < N_COMPARED; i++) {
        if (strcmp(rows[0][i], rows[1][i]) != 0) {
            const char *a = rows[0][i], *b = rows[1][i];
            size_t same = 0;
            while (a[same] == b[same])
                same++;
            while (same > 0 && a[same - 1] != '\n')
                same--;
            fail_msg("%s.log differs:\n%.300s\n%.300s", compared[i], a + same, b + same);
        }
        free(rows[0][i]);
        free(rows[1][i]);
    }
    traffic_free(&t);
}

/* Two workers come to nothing until the third has handed on all that it has: at the end their
 * queues have more than is taken in a few turns. */
static void nothing_lost_at_the_end(void **state)
{
    (void)state;
    struct traffic t;
    struct bed b;
    int told = eventfd(0, EFD_CLOEXEC);
    traffic_make(&t, 1, 2700);
    bed_open(&b, 3, ALL);
    b.held_until = told;
    workers_add(b.workers, 0, 1, live_fake_new(t.mirrored[0].frames, t.mirrored[0].n, 1, 0, told),
                false);
    bed_stop(&b);
    assert_true(b.handoff.n_put > (uint64_t)2 * 5000);
    assert_int_equal(b.handoff.n_full, 0);
    assert_int_equal(b.counters.n_packets, t.n_frames);
    bed_stop(&b); /* again: nothing happens */
    workers_flush(b.workers);
    workers_set_book(b.workers, NULL);
    assert_int_equal(b.counters.n_packets, t.n_frames);
    bed_close(&b);
    assert_int_equal(b.n_out, t.n_frames);
    log_bed_remove(&b.logs);
    close(told);
    traffic_free(&t);
}

/* ---- while it runs ---- */

static void flush_puts_all(void **state)
{
    (void)state;
    struct traffic t;
    struct bed b;
    int told = eventfd(0, EFD_CLOEXEC);
    traffic_make(&t, 3, 30);
    bed_open(&b, 3, ALL);
    for (unsigned k = 0; k < t.n; k++)
        workers_add(b.workers, k, 1,
                    live_fake_new(t.mirrored[k].frames, t.mirrored[k].n, 1, 0, told), false);
    live_wait(told, 3);
    workers_flush(b.workers); /* each takes orders behind what has been handed on to it … */
    workers_flush(b.workers); /* … before the first of these */
    char *text = log_bed_take(&b.logs, "http");
    assert_int_equal(log_rows(text), 21); /* seven of ten talks in each */
    free(text);
    bed_stop(&b);
    bed_close(&b);
    log_bed_remove(&b.logs);
    close(told);
    traffic_free(&t);
}

static void rules_change(void **state)
{
    (void)state;
    struct traffic t;
    struct bed b;
    int told = eventfd(0, EFD_CLOEXEC);
    traffic_make(&t, 3, 3000);
    bed_open(&b, 3, ALL);
    for (unsigned k = 0; k < t.n; k++)
        workers_add(b.workers, k, 1,
                    live_fake_new(t.mirrored[k].frames, t.mirrored[k].n, 1, 0, told), false);
    struct live_rules before = b.rules;
    for (unsigned i = 0; i < 40; i++) {
        struct live_rules now;
        live_rules_init(&now, i % 2 ? ALL : NOBODY, before.rules);
        assert_true(workers_set_rules(b.workers, &now.rules->arrival));
        live_rules_done(&before); /* nobody looks at them any more */
        before = now;
    }
    b.rules = before;
    live_wait(told, 3);
    bed_stop(&b);
    check_sum(&b, t.n_frames);
    bed_close(&b);
    log_bed_remove(&b.logs);
    close(told);
    traffic_free(&t);
}

/* Those that nobody admits are refused, each of them counted, and not written either. */
static void nobody_is_admitted(void **state)
{
    (void)state;
    struct traffic t;
    struct bed b;
    traffic_make(&t, 3, 90);
    bed_open(&b, 3, NOBODY);
    for (unsigned k = 0; k < t.n; k++)
        workers_add(b.workers, k, 1, live_fake_new(t.mirrored[k].frames, t.mirrored[k].n, 1, 0, -1),
                    false);
    bed_stop(&b);
    assert_int_equal(b.arrival.n_refused, t.n_frames);
    assert_int_equal(b.counters.n_packets, 0);
    bed_close(&b);
    assert_int_equal(b.n_out, 0);
    char *text = log_bed_take(&b.logs, "conn");
    assert_int_equal(log_rows(text), 0);
    free(text);
    log_bed_remove(&b.logs);
    traffic_free(&t);
}

static void broken(void **state)
{
    (void)state;
    struct traffic t;
    struct bed b;
    uint16_t input;
    int error, told = eventfd(0, EFD_CLOEXEC);
    bool seen[3] = {false};
    traffic_make(&t, 3, 60);
    bed_open(&b, 2, ALL);
    assert_false(workers_broken(b.workers, &input, &error));
    workers_add(b.workers, 0, 1,
                live_fake_new(t.mirrored[0].frames, t.mirrored[0].n, 1, -EPIPE, told), false);
    workers_add(b.workers, 1, 2,
                live_fake_new(t.mirrored[1].frames, t.mirrored[1].n, 2, -ENODEV, told), false);
    workers_add(b.workers, 1, 3, live_fake_new(t.mirrored[2].frames, t.mirrored[2].n, 3, 0, told),
                false);
    live_wait(told, 3);
    workers_flush(b.workers); /* behind it, what they did at the same time is done */
    for (unsigned i = 0; i < 2; i++) {
        assert_true(workers_broken(b.workers, &input, &error));
        assert_true(input == 1 || input == 2);
        assert_false(seen[input]);
        seen[input] = true;
        assert_int_equal(error, input == 1 ? -EPIPE : -ENODEV);
    }
    assert_false(workers_broken(b.workers, &input, &error));
    workers_remove(b.workers, 3);
    workers_remove(b.workers, 3);
    struct live_counters counters; /* they stay counted when they are closed */
    for (uint16_t i = 1; i <= 3; i++) {
        workers_count_input(b.workers, i, &counters);
        assert_int_equal(counters.n_frames, t.mirrored[i - 1].n);
    }
    bed_stop(&b);
    check_sum(&b, t.n_frames);
    bed_close(&b);
    log_bed_remove(&b.logs);
    close(told);
    traffic_free(&t);
}

/* More than a worker takes: the next is closed, and said to be broken. */
static void too_many_inputs(void **state)
{
    (void)state;
    struct bed b;
    uint16_t input = 0;
    int error = 0;
    bed_open(&b, 1, ALL);
    for (uint16_t i = 0; i < 64; i++)
        workers_add(b.workers, 0, i, live_fake_new(NULL, 0, i, 0, -1), false);
    assert_false(workers_broken(b.workers, &input, &error));
    workers_add(b.workers, 0, 64, live_fake_new(NULL, 0, 64, 0, -1), false);
    assert_true(workers_broken(b.workers, &input, &error));
    assert_int_equal(input, 64);
    assert_int_equal(error, -EMFILE);
    bed_close(&b); /* without a stop before */
    log_bed_remove(&b.logs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_rows),          cmocka_unit_test(nothing_lost_at_the_end),
        cmocka_unit_test(flush_puts_all),     cmocka_unit_test(rules_change),
        cmocka_unit_test(nobody_is_admitted), cmocka_unit_test(broken),
        cmocka_unit_test(too_many_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
