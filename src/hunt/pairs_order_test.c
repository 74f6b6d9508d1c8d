/* Many connections told in pieces, over three days, in any order: always the same sums. */
#include <stdlib.h>

#include "hunt/pairs_bed.h"

#define N_CONNS  400
#define N_PIECES (N_CONNS * 12)
#define N_ORDERS 12

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

struct pieces {
    struct hunt_record at[N_PIECES];
    size_t n;
};

static const char *const sources[] = {"10.0.0.5", "10.0.0.6", "10.9.0.7"};
static const char *const servers[] = {"93.184.216.34", "45.1.2.3", "10.0.0.1"};
static const char *const names[] = {"a.example.com", "b.example.com", "c.example.net:8080",
                                    "d.example.org"};

static void add(struct pieces *pieces, struct hunt_record record)
{
    if (pieces->n < N_PIECES)
        pieces->at[pieces->n++] = record;
}

/* What Zeek might say of one connection: requests, a server name, reports that it is open, its end;
 * any of them may be missing. */
static void make_conn(struct pieces *pieces, uint64_t uid, uint64_t *state)
{
    const char *src = sources[next(state) % 3], *dst = servers[next(state) % 3];
    double start = (double)(next(state) % (3 * DAY_S * 10)) / 10;
    bool tls = next(state) % 2, proxied = !tls && next(state) % 3 == 0;
    unsigned n_names = (unsigned)(next(state) % 4), n_open = (unsigned)(next(state) % 4);
    double duration = n_open ? 3600 * (n_open + 1) : (double)(next(state) % 100);
    for (unsigned i = 0; i < n_names; i++) {
        /* No two at the same time: which is the newer must be plain. */
        double ts = start + 0.1 + (duration + 1) * (i + 1) / (n_names + 1);
        const char *name = next(state) % 8 ? names[next(state) % 4] : NULL;
        if (!tls)
            add(pieces, bed_http(ts, uid, src, dst, proxied ? "CONNECT" : "GET", name));
        if (tls && i == 0)
            add(pieces, bed_ssl(ts, uid, src, dst, name));
    }
    for (unsigned i = 1; i <= n_open; i++)
        add(pieces, bed_open(start, uid, src, dst, tls ? 443 : 80, tls ? "ssl" : "http", 3600 * i));
    struct hunt_record conn = bed_conn(start, uid, src, dst, tls ? 443 : 80, tls ? "ssl" : "http");
    conn.conn.duration = (int64_t)(duration * 1e9);
    if (next(state) % 5)
        add(pieces, conn);
}

static void shuffle(struct pieces *pieces, uint64_t *state)
{
    for (size_t i = pieces->n; i > 1; i--) {
        size_t k = next(state) % i;
        struct hunt_record kept = pieces->at[i - 1];
        pieces->at[i - 1] = pieces->at[k];
        pieces->at[k] = kept;
    }
}

/* What does not depend on which port or server came first, or when it was looked at. */
static void make_plain(struct pair_sum *sum)
{
    uint64_t n = 0, duration = 0;
    for (unsigned i = 0; i < PAIR_PORTS; i++) {
        n += sum->ports[i].n;
        duration += sum->ports[i].duration;
    }
    memset(sum->ports, 0, sizeof sum->ports);
    sum->ports[0].n = (uint32_t)n;
    sum->ports[0].duration = duration;
    sum->touched = 0;
    sum->longest = 0; /* of an open name that another took over it may stay */
}

struct seen {
    uint64_t hash, n;
};

static void mix(struct seen *seen, const void *key, size_t key_size, const void *value, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key_size; i++)
        hash = (hash ^ ((const uint8_t *)key)[i]) * 0x100000001b3u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)value)[i]) * 0x100000001b3u;
    seen->hash += hash; /* in whatever order they come */
    seen->n++;
}

static void see_pair(void *with, const void *key, const void *bytes)
{
    struct pair_value value = *(const struct pair_value *)bytes;
    make_plain(&value.sum);
    mix(with, key, sizeof(struct pair_key), &value.sum, sizeof value.sum);
}

static void see_named(void *with, const void *key, const void *bytes)
{
    struct named_value value = *(const struct named_value *)bytes;
    make_plain(&value.sum);
    /* One that was open and then found to be another's leaves a value without anything. */
    if (value.sum.n + value.sum.n_open + value.n_requests == 0)
        return;
    value.sum.first = value.sum.last = 0;
    mix(with, key, sizeof(struct named_key), &value.sum, sizeof value.sum);
    mix(with, key, sizeof(struct named_key), &value.n_requests, sizeof value.n_requests);
}

static void see_same(void *with, const void *key, const void *bytes)
{
    const struct same_value *value = bytes;
    if (value->n + value->n_open)
        mix(with, key, sizeof(struct same_key), value, sizeof *value);
}

static void see_all(struct hunt_engine *engine, struct seen out[3])
{
    struct books books = hunt_engine_books(engine);
    memset(out, 0, 3 * sizeof *out);
    books_each(&books, &pair_table, 1, see_pair, &out[0]);
    books_each(&books, &named_table, 1, see_named, &out[1]);
    books_each(&books, &same_table, 1, see_same, &out[2]);
}

static void test_any_order(void **unused)
{
    static struct pieces pieces;
    struct seen first[3], seen[3];
    uint64_t state = 88172645463325252u;
    (void)unused;
    for (uint64_t uid = 1; uid <= N_CONNS; uid++)
        make_conn(&pieces, uid * 0x9e3779b97f4a7c15u, &state);
    assert_true(pieces.n > 3 * N_CONNS);
    for (int order = 0; order < N_ORDERS; order++) {
        struct hunt_settings settings;
        struct hunt_engine *engine = bed_engine(&settings);
        hunt_engine_take(engine, pieces.at, pieces.n);
        see_all(engine, order ? seen : first);
        for (int i = 0; i < 3 && order; i++) {
            assert_int_equal(seen[i].n, first[i].n);
            assert_int_equal(seen[i].hash, first[i].hash);
        }
        hunt_engine_free(engine);
        hunt_settings_done(&settings);
        shuffle(&pieces, &state);
    }
    assert_true(first[0].n >= 9 && first[1].n >= 12 && first[2].n >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
