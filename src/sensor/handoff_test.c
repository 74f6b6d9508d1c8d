/* Queues between workers: what is put comes out as it was, in order, whatever its size and however
 * the ring wraps around; what has no room is counted; the descriptor says when there is something;
 * many threads put at once. All that a packet points to is freed as soon as it was put. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/handoff.h"
#include "tunnel/tunnel.h"

#define BURST 32

/* A packet made of a number, and the heap blocks of exact size that it points to. */
struct made {
    struct packet packet;
    uint8_t *frame, *ip, *options[2];
    struct packet_weird *weirds;
};

static uint32_t mix(uint32_t n)
{
    n = (n ^ n >> 16) * 0x7feb352du;
    n = (n ^ n >> 15) * 0x846ca68bu;
    return n ^ n >> 16;
}

static uint8_t *make_block(uint32_t number, uint32_t salt, size_t size)
{
    uint8_t *block = malloc(size ? size : 1);
    assert_non_null(block);
    for (size_t i = 0; i < size; i++)
        block[i] = (uint8_t)(mix(number + salt) + i * 7);
    return block;
}

static bool is_block(const uint8_t *block, uint32_t number, uint32_t salt, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (block[i] != (uint8_t)(mix(number + salt) + i * 7))
            return false;
    return true;
}

/* One in eight is reassembled: its IP packet lies elsewhere. Some have options and weirds. */
static void make(uint32_t number, uint32_t max_size, struct made *out)
{
    memset(out, 0, sizeof *out);
    struct packet *p = &out->packet;
    uint32_t random = mix(number);
    p->kind = PACKET_IP;
    p->ts = number;
    p->frame_size = 60 + random % (max_size - 59);
    p->frame_wire_size = p->frame_size + random % 3;
    p->frame = out->frame = make_block(number, 1, p->frame_size);
    p->reassembled = (random >> 8) % 8 == 0;
    if (p->reassembled) {
        p->ip_size = 40 + (random >> 12) % 3000;
        p->ip = out->ip = make_block(number, 2, p->ip_size);
    } else {
        p->ip = p->frame + 14;
        p->ip_size = p->frame_size - 14 - (random >> 4) % 6;
    }
    p->payload = p->ip + 20;
    p->payload_size = p->ip_size - 20;
    p->n_layers = 2;
    p->n_mirror = 1;
    for (unsigned i = 0; i < 2; i++) {
        p->layers[i].decoder = &tunnel_geneve;
        p->layers[i].id = number + i;
        p->layers[i].options_size = (uint16_t)((random >> (16 + i)) % 4 ? 0 : random >> 20 & 63);
        if (p->layers[i].options_size)
            p->layers[i].options = out->options[i] =
                make_block(number, 3 + i, p->layers[i].options_size);
    }
    p->n_weirds = (uint8_t)(random >> 28 == 0 ? 1 + (random >> 24) % PACKET_MAX_WEIRDS : 0);
    if (p->n_weirds) {
        p->weirds = out->weirds = calloc(p->n_weirds, sizeof *p->weirds);
        assert_non_null(p->weirds);
        for (unsigned i = 0; i < p->n_weirds; i++) {
            p->weirds[i].name = "odd";
            (void)snprintf(p->weirds[i].addl, sizeof p->weirds[i].addl, "%u/%u", number, i);
        }
    }
    p->more = p->frame + 20; /* of the frame's further packets, whoever had the frame takes care */
    p->more_size = 20;
}

static void made_done(struct made *made)
{
    free(made->frame);
    free(made->ip);
    free(made->options[0]);
    free(made->options[1]);
    free(made->weirds);
}

static bool put(struct handoff *q, uint32_t number, uint32_t max_size)
{
    struct made made;
    make(number, max_size, &made);
    bool ok = handoff_put(q, &made.packet);
    made_done(&made);
    return ok;
}

/* The packet with its number in `ts` is as it was made. */
static void check(const struct packet *p, uint32_t max_size)
{
    struct made made;
    uint32_t number = (uint32_t)p->ts;
    make(number, max_size, &made);
    const struct packet *want = &made.packet;
    assert_int_equal(p->frame_size, want->frame_size);
    assert_int_equal(p->frame_wire_size, want->frame_wire_size);
    assert_true(is_block(p->frame, number, 1, p->frame_size));
    assert_int_equal(p->ip_size, want->ip_size);
    if (p->reassembled)
        assert_true(is_block(p->ip, number, 2, p->ip_size));
    else
        assert_ptr_equal(p->ip, p->frame + 14);
    assert_ptr_equal(p->payload, p->ip + 20);
    assert_int_equal(p->payload_size, want->payload_size);
    assert_int_equal(p->n_layers, 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_ptr_equal(p->layers[i].decoder, &tunnel_geneve);
        assert_int_equal(p->layers[i].id, number + i);
        assert_int_equal(p->layers[i].options_size, want->layers[i].options_size);
        assert_true(is_block(p->layers[i].options, number, 3 + i, p->layers[i].options_size));
    }
    assert_int_equal(p->n_weirds, want->n_weirds);
    for (unsigned i = 0; i < p->n_weirds; i++) {
        assert_string_equal(p->weirds[i].name, "odd");
        assert_string_equal(p->weirds[i].addl, want->weirds[i].addl);
    }
    assert_null(p->more);
    assert_int_equal(p->more_size, 0);
    made_done(&made);
}

static bool is_readable(const struct handoff *q)
{
    struct pollfd fd = {.fd = handoff_fd(q), .events = POLLIN};
    return poll(&fd, 1, 0) == 1;
}

/* Random sizes, and as many put as there is room for before some are taken. */
static void check_order(size_t queue_size, uint32_t max_size, uint32_t n)
{
    struct handoff *q = handoff_new(queue_size);
    assert_non_null(q);
    struct packet out[BURST];
    uint32_t n_put = 0, n_taken = 0, round = 0;
    uint64_t n_full = 0;
    while (n_taken < n) {
        uint32_t random = mix(round++);
        for (unsigned i = random % 50; i > 0 && n_put < n; i--) {
            if (put(q, n_put, max_size)) {
                n_put++;
            } else {
                n_full++;
                break;
            }
        }
        assert_true(n_taken == n_put || is_readable(q));
        unsigned n_now = handoff_take(q, out, 1 + random / 64 % BURST);
        for (unsigned i = 0; i < n_now; i++) {
            assert_int_equal(out[i].ts, n_taken + i);
            check(&out[i], max_size);
        }
        n_taken += n_now;
    }
    assert_int_equal(handoff_take(q, out, BURST), 0);
    assert_false(is_readable(q));
    struct handoff_counters counters = handoff_count(q);
    assert_int_equal(counters.n_put, n);
    assert_int_equal(counters.n_full, n_full);
    assert_true(n_full > 0);
    handoff_free(q);
}

static void order_and_wrap(void **state)
{
    (void)state;
    check_order(20000, 1600, 200000);
    check_order(64 << 10, 9000, 100000);
    check_order(1 << 20, 65535 + 14, 20000);
    for (size_t size = 12000; size < 13100; size += 16) /* the end falls on all places */
        check_order(size, 200, 1500);
}

/* As long as it is taken from and was empty, everything that fits in the queue at all has room. */
static void empty_takes_all(void **state)
{
    (void)state;
    struct handoff *q = handoff_new(150000);
    struct packet out[BURST];
    struct made big;
    make(5, 1000, &big);
    free(big.frame);
    free(big.ip);
    big.ip = NULL;
    big.packet.reassembled = false;
    big.packet.frame_size = 140000;
    big.packet.frame = big.frame = make_block(5, 1, 140000);
    big.packet.ip = big.frame + 14;
    big.packet.payload = big.frame + 34;
    for (uint32_t i = 0; i < 200; i++) {
        for (uint32_t k = 0; k < 9; k++)
            assert_true(put(q, i * 9 + k, 3000));
        assert_int_equal(handoff_take(q, out, BURST), 9);
        assert_int_equal(handoff_take(q, out, BURST), 0);
        assert_true(handoff_put(q, &big.packet));
        assert_int_equal(handoff_take(q, out, BURST), 1);
        assert_true(is_block(out[0].frame, 5, 1, 140000));
        assert_int_equal(handoff_take(q, out, BURST), 0);
    }
    assert_int_equal(handoff_count(q).n_full, 0);
    made_done(&big);
    handoff_free(q);
}

/* Larger than any packet, or than the queue: refused and counted, and nothing is broken by it. */
static void too_large(void **state)
{
    (void)state;
    struct handoff *q = handoff_new(8 << 20), *small = handoff_new(4096);
    struct packet out[BURST];
    uint8_t *frame = make_block(1, 1, (2 << 20));
    struct packet p = {.kind = PACKET_IP, .frame = frame, .frame_size = 2 << 20, .ip = frame + 14};
    p.payload = p.ip + 20;
    p.ip_size = 1000;
    assert_false(handoff_put(q, &p));
    p.frame_size = 65535;
    assert_true(handoff_put(q, &p));
    assert_false(handoff_put(small, &p));
    assert_false(is_readable(small));
    assert_int_equal(handoff_take(small, out, BURST), 0);
    assert_int_equal(handoff_take(q, out, BURST), 1);
    assert_true(is_block(out[0].frame, 1, 1, 65535));
    assert_int_equal(handoff_count(q).n_full, 1);
    assert_int_equal(handoff_count(small).n_full, 1);
    assert_true(put(small, 7, 100));
    assert_int_equal(handoff_take(small, out, BURST), 1);
    check(&out[0], 100);
    free(frame);
    handoff_free(q);
    handoff_free(small);
}

/* Readable from the first put on, until taking has found nothing left; never of itself. */
static void descriptor(void **state)
{
    (void)state;
    struct handoff *q = handoff_new(1 << 20);
    struct packet out[BURST];
    assert_false(is_readable(q));
    for (uint32_t round = 0; round < 100; round++) {
        assert_true(put(q, 1, 500));
        assert_true(is_readable(q));
        assert_true(put(q, 2, 500));
        assert_int_equal(handoff_take(q, out, 1), 1);
        assert_true(is_readable(q)); /* one is left */
        assert_int_equal(handoff_take(q, out, 1), 1);
        assert_true(put(q, 3, 500)); /* after all was taken, and before that was noticed */
        assert_true(is_readable(q));
        assert_int_equal(handoff_take(q, out, BURST), 1);
        assert_int_equal(out[0].ts, 3);
        assert_int_equal(handoff_take(q, out, BURST), 0);
        assert_false(is_readable(q));
        assert_int_equal(handoff_take(q, out, BURST), 0);
    }
    handoff_free(q);
}

/* ---- threads ---- */

#define N_PUTTING 4

struct putting {
    pthread_t thread;
    struct handoff *q;
    uint32_t first, n, max_size;
    uint64_t n_refused; /* tried again later */
};

static void *put_many(void *with)
{
    struct putting *t = with;
    for (uint32_t i = 0; i < t->n; i++)
        while (!put(t->q, t->first + i, t->max_size)) {
            t->n_refused++;
            sched_yield();
        }
    return NULL;
}

/* One sleeps in poll() and takes; nothing may be left behind when it is told that nothing is. */
static void many_put(void **state)
{
    (void)state;
    enum { EACH = 100000, MAX = 400 };
    struct handoff *q = handoff_new(256 << 10);
    struct putting putting[N_PUTTING];
    uint32_t next[N_PUTTING] = {0};
    for (unsigned i = 0; i < N_PUTTING; i++) {
        putting[i] = (struct putting){.q = q, .first = i << 24, .n = EACH, .max_size = MAX};
        assert_int_equal(pthread_create(&putting[i].thread, NULL, put_many, &putting[i]), 0);
    }
    uint32_t left = N_PUTTING * EACH;
    while (left > 0) {
        struct pollfd fd = {.fd = handoff_fd(q), .events = POLLIN};
        assert_int_equal(poll(&fd, 1, -1), 1); /* woken as long as one is to come */
        struct packet out[BURST];
        unsigned n = handoff_take(q, out, BURST);
        for (unsigned i = 0; i < n; i++) {
            uint32_t number = (uint32_t)out[i].ts, thread = number >> 24;
            assert_true(thread < N_PUTTING);
            assert_int_equal(number & 0xffffff, next[thread]++);
            check(&out[i], MAX);
        }
        left -= n;
    }
    uint64_t n_refused = 0;
    for (unsigned i = 0; i < N_PUTTING; i++) {
        pthread_join(putting[i].thread, NULL);
        n_refused += putting[i].n_refused;
    }
    struct packet out[BURST];
    assert_int_equal(handoff_take(q, out, BURST), 0);
    assert_false(is_readable(q));
    assert_int_equal(handoff_count(q).n_put, N_PUTTING * EACH);
    assert_int_equal(handoff_count(q).n_full, n_refused);
    handoff_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_wrap), cmocka_unit_test(empty_takes_all),
        cmocka_unit_test(too_large),      cmocka_unit_test(descriptor),
        cmocka_unit_test(many_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
