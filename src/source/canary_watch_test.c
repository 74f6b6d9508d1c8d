/* Which packets are a canary's, and which come too late, again, altered or from elsewhere. */
#include "source/canary_watch.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define MACHINE 5
#define PLACE   2

/* A datagram, or an ICMP error about one, as the decoder leaves it; the payload has its exact size
 * on the heap. */
struct datagram {
    struct packet packet;
    uint8_t *bytes;
};

static struct addr make(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

static void put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static struct canary_probe probe_to(const char *from, const char *to)
{
    struct canary_probe p = {.src = make(from), .dst = make(to), .sport = 40001, .dport = 33500};
    p.machine = MACHINE;
    p.size = 77;
    for (unsigned int i = 0; i < p.size; i++)
        p.payload[i] = (uint8_t)(i * 31 + 7);
    return p;
}

static size_t udp_bytes(const struct canary_probe *p, uint8_t *out)
{
    put16(out, p->sport);
    put16(out + 2, p->dport);
    put16(out + 4, (uint16_t)(8 + p->size));
    memcpy(out + 8, p->payload, p->size);
    return 8u + p->size;
}

static struct datagram datagram(const struct addr *src, const struct addr *dst, uint8_t proto,
                                const uint8_t *bytes, size_t size)
{
    struct datagram d = {.bytes = malloc(size ? size : 1)};
    assert_non_null(d.bytes);
    memcpy(d.bytes, bytes, size);
    d.packet.kind = PACKET_IP;
    d.packet.src = *src;
    d.packet.dst = *dst;
    d.packet.ip_version = addr_is_v4(src) ? 4 : 6;
    d.packet.ip_proto = proto;
    d.packet.payload = d.bytes;
    d.packet.payload_size = d.packet.payload_len = (uint32_t)size;
    return d;
}

/* The first `size` bytes of the probe's UDP datagram. */
static struct datagram as_sent(const struct canary_probe *p, size_t size)
{
    uint8_t bytes[8 + CANARY_SIZE_MAX] = {0};
    size_t all = udp_bytes(p, bytes);
    return datagram(&p->src, &p->dst, 17, bytes, size < all ? size : all);
}

static struct datagram icmp_about(const struct canary_probe *p, const struct addr *by,
                                  size_t n_quoted)
{
    uint8_t bytes[8 + 40 + 8 + CANARY_SIZE_MAX] = {0};
    bool is_v4 = addr_is_v4(&p->src);
    bytes[0] = is_v4 ? 3 : 1;
    bytes[1] = is_v4 ? 3 : 4;
    uint8_t *ip = bytes + 8;
    size_t header = is_v4 ? 20 : 40;
    if (is_v4) {
        ip[0] = 0x45;
        ip[9] = 17;
        memcpy(ip + 12, p->src.b + 12, 4);
        memcpy(ip + 16, p->dst.b + 12, 4);
    } else {
        ip[0] = 0x60;
        ip[6] = 17;
        memcpy(ip + 8, p->src.b, 16);
        memcpy(ip + 24, p->dst.b, 16);
    }
    size_t size = udp_bytes(p, ip + header);
    if (size > n_quoted)
        size = n_quoted;
    return datagram(by, &p->src, is_v4 ? 1 : 58, bytes, 8 + header + size);
}

static bool ask(struct canary_watch *watch, struct datagram d, uint16_t machine)
{
    bool is = canary_is(watch, &d.packet, machine);
    free(d.bytes);
    return is;
}

static struct canary_watch *watch_of(const struct canary_probe *p)
{
    struct canary_watch *watch = canary_watch_new(4);
    assert_non_null(watch);
    assert_true(canary_watch_own(watch, &p->src));
    canary_watch_put(watch, PLACE, p);
    return watch;
}

static const char *const pairs[][2] = {{"10.9.0.2", "10.0.0.1"}, {"2001:db8::2", "2001:db8:1::1"}};

static void test_comes_back(void **state)
{
    (void)state;
    for (int v = 0; v < 2; v++) {
        struct canary_probe p = probe_to(pairs[v][0], pairs[v][1]);
        struct canary_watch *watch = watch_of(&p);
        assert_int_equal(canary_watch_seen(watch, PLACE), 0);
        assert_true(ask(watch, as_sent(&p, 1000), MACHINE));
        assert_int_equal(canary_watch_seen(watch, PLACE), CANARY_SEEN_PROBE);
        assert_true(ask(watch, as_sent(&p, 1000), MACHINE)); /* the mirror shows it twice */
        assert_true(ask(watch, icmp_about(&p, &p.dst, 1000), MACHINE));
        assert_int_equal(canary_watch_seen(watch, PLACE), CANARY_SEEN_PROBE | CANARY_SEEN_ANSWER);
        canary_watch_free(watch);
    }
}

/* Cut by the mirror: what is there has to be enough to prove something. */
static void test_cut(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    for (size_t size = 0; size <= 8u + p.size; size++) {
        struct canary_watch *watch = watch_of(&p);
        assert_int_equal(ask(watch, as_sent(&p, size), MACHINE), size >= 16);
        assert_int_equal(canary_watch_seen(watch, PLACE), size >= 16 ? CANARY_SEEN_PROBE : 0);
        struct datagram d = icmp_about(&p, &p.dst, size);
        assert_int_equal(ask(watch, d, MACHINE), size >= 16);
        canary_watch_free(watch);
    }
    /* Every prefix of an error, too. */
    for (int v = 0; v < 2; v++) {
        p = probe_to(pairs[v][0], pairs[v][1]);
        struct canary_watch *watch = watch_of(&p);
        uint32_t whole = v ? 8 + 40 + 16 : 8 + 20 + 16;
        for (uint32_t size = 0; size <= whole; size++) {
            struct datagram all = icmp_about(&p, &p.dst, 16);
            assert_int_equal(all.packet.payload_size, whole);
            struct datagram d = datagram(&p.dst, &p.src, v ? 58 : 1, all.bytes, size);
            free(all.bytes);
            assert_int_equal(ask(watch, d, MACHINE), size == whole);
        }
        canary_watch_free(watch);
    }
}

static void test_altered(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    struct canary_watch *watch = watch_of(&p);
    for (unsigned int i = 0; i < 8u + p.size; i++) {
        if (i == 6 || i == 7) /* the checksum: mirrors see it unfinished */
            continue;
        struct datagram d = as_sent(&p, 1000);
        d.bytes[i] ^= 0x10;
        assert_false(ask(watch, d, MACHINE));
    }
    struct canary_probe other = p;
    other.dst = make("10.0.0.3");
    assert_false(ask(watch, as_sent(&other, 1000), MACHINE));
    other = p;
    other.src = make("10.9.0.3");
    assert_false(ask(watch, as_sent(&other, 1000), MACHINE));
    other = p;
    other.size--;
    assert_false(ask(watch, as_sent(&other, 1000), MACHINE));
    struct datagram d = as_sent(&p, 1000);
    d.packet.ip_proto = 6;
    assert_false(ask(watch, d, MACHINE));
    assert_int_equal(canary_watch_seen(watch, PLACE), 0);
    canary_watch_free(watch);
}

/* Another machine's mirror may show it as well: it stays out of the logs, and proves nothing. */
static void test_seen_elsewhere(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    struct canary_watch *watch = watch_of(&p);
    assert_true(ask(watch, as_sent(&p, 1000), MACHINE + 1));
    assert_true(ask(watch, as_sent(&p, 1000), 0));
    struct addr router = make("10.0.0.254");
    assert_true(ask(watch, icmp_about(&p, &router, 1000), MACHINE));
    assert_int_equal(canary_watch_seen(watch, PLACE), 0);
    canary_watch_free(watch);
}

static void test_reply(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    struct canary_watch *watch = watch_of(&p);
    struct canary_probe reply = {.src = p.dst, .dst = p.src, .sport = p.dport, .dport = p.sport};
    reply.size = 30;
    assert_true(ask(watch, as_sent(&reply, 1000), MACHINE));
    reply.dport++;
    assert_false(ask(watch, as_sent(&reply, 1000), MACHINE));
    /* The bytes of a reply are not known: whoever forges one has proved nothing. */
    assert_int_equal(canary_watch_seen(watch, PLACE), 0);
    canary_watch_free(watch);
}

static void test_late_and_over(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    struct canary_watch *watch = watch_of(&p);
    canary_watch_late(watch, PLACE);
    assert_true(ask(watch, as_sent(&p, 1000), MACHINE)); /* not in the logs, but too late */
    assert_int_equal(canary_watch_seen(watch, PLACE), 0);
    canary_watch_clear(watch, PLACE);
    assert_false(ask(watch, as_sent(&p, 1000), MACHINE));

    /* The next one in the same place, with the same ports: the old bytes are a replay. */
    struct canary_probe next = p;
    next.payload[p.size - 1] ^= 1;
    canary_watch_put(watch, PLACE, &next);
    assert_false(ask(watch, as_sent(&p, 1000), MACHINE));
    assert_int_equal(canary_watch_seen(watch, PLACE), 0);
    assert_true(ask(watch, as_sent(&next, 1000), MACHINE));
    assert_int_equal(canary_watch_seen(watch, PLACE), CANARY_SEEN_PROBE);
    canary_watch_free(watch);
}

static void test_too_many_addresses(void **state)
{
    (void)state;
    struct canary_watch *watch = canary_watch_new(4);
    struct addr a = make("10.9.0.1");
    for (unsigned int i = 0; i < CANARY_N_OWN; i++) {
        a.b[15] = (uint8_t)i;
        assert_true(canary_watch_own(watch, &a));
        assert_true(canary_watch_own(watch, &a));
    }
    a.b[15] = 200;
    assert_false(canary_watch_own(watch, &a));
    canary_watch_free(watch);
}

struct asker {
    struct canary_watch *watch;
    struct canary_probe probes[2];
    atomic_bool stop;
    uint64_t n_hits;
};

static void *keep_asking(void *context)
{
    struct asker *asker = context;
    struct datagram sent[2] = {as_sent(&asker->probes[0], 1000), as_sent(&asker->probes[1], 1000)};
    while (!atomic_load(&asker->stop))
        for (int i = 0; i < 2; i++)
            asker->n_hits += canary_is(asker->watch, &sent[i].packet, MACHINE);
    free(sent[0].bytes);
    free(sent[1].bytes);
    return NULL;
}

/* The place changes hands while a worker looks: never is the one seen as the other. */
static void test_written_while_asked(void **state)
{
    (void)state;
    struct asker asker = {
        .probes = {probe_to(pairs[0][0], pairs[0][1]), probe_to(pairs[0][0], pairs[0][1])}};
    struct canary_probe never = asker.probes[0];
    for (unsigned int i = 0; i < never.size; i++) {
        asker.probes[1].payload[i] ^= 0xff;
        if (i >= never.size / 2)
            never.payload[i] ^= 0xff; /* half of each */
    }
    asker.watch = watch_of(&asker.probes[0]);
    struct datagram mixed = as_sent(&never, 1000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, keep_asking, &asker), 0);
    for (int i = 0; i < 200000; i++) {
        canary_watch_put(asker.watch, PLACE, &asker.probes[i & 1]);
        assert_false(canary_is(asker.watch, &mixed.packet, MACHINE));
    }
    /* At rest, the one that is there is seen in the end. */
    while (canary_watch_seen(asker.watch, PLACE) == 0)
        ;
    atomic_store(&asker.stop, true);
    pthread_join(thread, NULL);
    assert_true(asker.n_hits > 0);
    free(mixed.bytes);
    canary_watch_free(asker.watch);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void test_cost(void **state)
{
    (void)state;
    struct canary_probe p = probe_to(pairs[0][0], pairs[0][1]);
    struct canary_watch *watch = canary_watch_new(1024);
    canary_watch_own(watch, &p.src);
    canary_watch_put(watch, 100, &p);
    struct canary_probe other = p;
    other.src = make("10.1.2.3");
    other.sport++;
    struct datagram foreign = as_sent(&other, 1000);
    other.src = p.src;
    struct datagram own = as_sent(&other, 1000);
    uint64_t n = 0;
    double start = now_ns();
    for (int i = 0; i < 10000000; i++)
        n += canary_is(watch, &foreign.packet, MACHINE);
    print_message("foreign packets: %.2f ns each\n", (now_ns() - start) / 1e7);
    start = now_ns();
    for (int i = 0; i < 100000; i++)
        n += canary_is(watch, &own.packet, MACHINE);
    print_message("own other packets, a hundred probes being out: %.0f ns each\n",
                  (now_ns() - start) / 1e5);
    assert_int_equal(n, 0);
    free(foreign.bytes);
    free(own.bytes);
    canary_watch_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_altered),
        cmocka_unit_test(test_seen_elsewhere),
        cmocka_unit_test(test_reply),
        cmocka_unit_test(test_late_and_over),
        cmocka_unit_test(test_too_many_addresses),
        cmocka_unit_test(test_written_while_asked),
        cmocka_unit_test(test_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
