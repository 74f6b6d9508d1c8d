/* The table of connections: found by key, ended once, within its memory, the right ones first. */
#include "flow/flow_bed.h"

#include "flow/table.h"

static const struct flow_table_counters *counters(const struct flow_bed *b)
{
    return flow_table_counters(b->context.table);
}

/* ---- keys ---- */

static struct packet packet_of(const struct addr *src, uint16_t sport, const struct addr *dst,
                               uint16_t dport, uint8_t proto)
{
    static const uint8_t header[40];
    return (struct packet){.kind = PACKET_IP,
                           .src = *src,
                           .dst = *dst,
                           .sport = sport,
                           .dport = dport,
                           .ip_proto = proto,
                           .payload = header,
                           .payload_size = 40,
                           .payload_len = 40};
}

static void test_keys_are_symmetric(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    uint32_t seed = 1;
    for (int i = 0; i < 2000; i++) {
        struct addr a = {{0}}, c = {{0}};
        for (int k = 0; k < 16; k++) {
            seed = seed * 1103515245 + 12345;
            a.b[k] = (uint8_t)(seed >> 24 & 1);
            c.b[k] = (uint8_t)(seed >> 25 & 1);
        }
        if (i % 4 == 0)
            c = a; /* the ports decide */
        uint16_t p = (uint16_t)(seed >> 8), q = (uint16_t)(i % 8 ? seed >> 3 : seed >> 8);
        struct packet there = packet_of(&a, p, &c, q, i % 2 ? 6 : 17);
        struct packet back = packet_of(&c, q, &a, p, i % 2 ? 6 : 17);
        struct flow_lookup one, two;
        memset(&one, 0, sizeof one);
        memset(&two, 0, sizeof two);
        const char *weird;
        assert_true(flow_lookup(b.context.table, &there, 3, &one, &weird));
        assert_true(flow_lookup(b.context.table, &back, 3, &two, &weird));
        assert_memory_equal(&one.key, &two.key, sizeof one.key);
        assert_int_equal(one.hash, two.hash);
        if (!addr_eq(&a, &c) || p != q)
            assert_int_not_equal(one.swapped, two.swapped);
    }
    bed_close(&b);
    bed_free(&b);
}

static void test_networks_and_protocols_are_apart(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    b.port[1] = 53;
    for (uint16_t network = 0; network < 3; network++) {
        b.network = network;
        bed_udp(&b, 0, "one");
        bed_udp(&b, 1, "two");
    }
    bed_tcp(&b, 0, "S", 0, 0, "");
    assert_int_equal(counters(&b)->n_now, 4);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 4);
    for (size_t i = 0; i < 3; i++) {
        CHECK_CONN(&b, i, "orig_bytes", "3");
        CHECK_CONN(&b, i, "resp_bytes", "3");
        char *uid = log_cell(b.conn, i, "uid"), *next = log_cell(b.conn, i + 1, "uid");
        assert_int_equal(strlen(uid), 18);
        assert_string_not_equal(uid, next);
        free(uid);
        free(next);
    }
    bed_free(&b);
}

/* With a key nobody knows, addresses one after the other spread over buckets as dice do. */
static void test_hashes_spread(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    enum { N_BUCKETS = 256, N = 65536 };
    for (int high = 0; high < 2; high++) {
        static unsigned buckets[N_BUCKETS];
        memset(buckets, 0, sizeof buckets);
        for (uint32_t i = 0; i < N; i++) {
            struct addr a = frame_addr(10, 0, (uint8_t)(i >> 8), (uint8_t)i);
            struct packet p = packet_of(&a, 40000, &b.end[1], 80, 6);
            struct flow_lookup lookup;
            const char *weird;
            assert_true(flow_lookup(b.context.table, &p, 0, &lookup, &weird));
            buckets[high ? lookup.hash >> 24 : lookup.hash & 255]++;
        }
        double chi = 0, want = (double)N / N_BUCKETS;
        for (int i = 0; i < N_BUCKETS; i++)
            chi += (buckets[i] - want) * (buckets[i] - want) / want;
        assert_true(chi > 150 && chi < 400); /* 255 on average, 23 for one standard deviation */
    }
    bed_close(&b);
    bed_free(&b);
}

static void test_hash_depends_on_its_key(void **state)
{
    (void)state;
    uint32_t hash[2];
    for (int i = 0; i < 2; i++) {
        struct flow_context context = {.pool = pool_new(1 << 20)};
        struct flow_table_options options = {.memory = 1 << 20, .hash_key = (uint64_t)i + 1};
        struct flow_table *table = flow_table_new(&options, &context);
        assert_non_null(table);
        struct flow_key key = {.port = {1, 2}};
        hash[i] = flow_table_hash(table, &key);
        flow_table_free(table);
        pool_free(context.pool);
    }
    assert_int_not_equal(hash[0], hash[1]);
}

/* ---- find, add, end ---- */

/* Thousands come and go in an order of their own; what is there is found, what went is not. */
static void test_come_and_go(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    enum { N = 6000 };
    static struct flow *flows[N];
    memset(flows, 0, sizeof flows);
    uint32_t seed = 7;
    size_t n_live = 0;
    for (int step = 0; step < 40000; step++) {
        seed = seed * 1103515245 + 12345;
        uint32_t i = (seed >> 8) % N;
        struct flow_key key;
        memset(&key, 0, sizeof key);
        key.addr[0] = frame_addr(10, 0, 0, 1);
        key.addr[1] = frame_addr(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
        key.proto = FLOW_UDP;
        uint32_t hash = flow_table_hash(b.context.table, &key);
        struct flow *f = flow_table_find(b.context.table, &key, hash);
        assert_ptr_equal(f, flows[i]);
        if (f) {
            flow_table_end(b.context.table, f);
            flows[i] = NULL;
            n_live--;
        } else {
            flows[i] = flow_table_add(b.context.table, &key, hash);
            assert_non_null(flows[i]);
            n_live++;
        }
        assert_int_equal(counters(&b)->n_now, n_live);
    }
    assert_int_equal(counters(&b)->n_added - counters(&b)->n_ended, n_live);
    assert_int_equal(counters(&b)->n_evicted, 0);
    uint64_t n_added = counters(&b)->n_added;
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), n_added);
    bed_free(&b);
}

static void count_one(struct flow *f, void *with)
{
    (void)f;
    ++*(unsigned *)with;
}

static void test_each(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    struct flow *second = NULL;
    for (uint16_t i = 0; i < 5; i++) {
        b.port[0] = (uint16_t)(1000 + i);
        bed_udp(&b, 0, "x");
        if (i == 1)
            second = b.flow;
    }
    flow_table_end(b.context.table, second);
    unsigned n = 0;
    flow_table_each(b.context.table, count_one, &n);
    assert_int_equal(n, 4);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), 5);
    bed_free(&b);
}

/* ---- memory ---- */

static size_t memory_used(const struct flow_bed *b)
{
    return counters(b)->n_now * sizeof(struct flow) + pool_used(b->context.pool);
}

static void syn_from(struct flow_bed *b, uint32_t number)
{
    b->end[0] =
        frame_addr(172, (uint8_t)(16 + (number >> 16)), (uint8_t)(number >> 8), (uint8_t)number);
    bed_tcp(b, 0, "S", 0, 0, "");
}

/* Half-open ones go first; every one is logged once, whoever is ended early is counted. */
static void test_syn_flood(void **state)
{
    (void)state;
    enum { MEMORY = 1 << 20, N_ESTABLISHED = 200, N_SYNS = 30000 };
    struct flow_bed b;
    bed_open_with(&b, MEMORY);
    b.step = 1000;
    for (uint16_t i = 0; i < N_ESTABLISHED; i++) {
        b.port[0] = (uint16_t)(1000 + i);
        bed_handshake(&b);
        bed_tcp(&b, 0, "PA", 1, 1, "hello");
    }
    struct addr self = b.end[0];
    for (uint32_t i = 0; i < N_SYNS; i++) {
        syn_from(&b, i);
        assert_non_null(b.flow);
        assert_true(memory_used(&b) <= MEMORY);
    }
    assert_true(counters(&b)->n_evicted > N_SYNS / 2);
    assert_int_equal(counters(&b)->n_refused, 0);
    assert_true(counters(&b)->n_peak * sizeof(struct flow) <= MEMORY);
    b.end[0] = self;
    for (uint16_t i = 0; i < N_ESTABLISHED; i++) {
        b.port[0] = (uint16_t)(1000 + i);
        bed_tcp(&b, 1, "PA", 1, 6, "answer");
        bed_tcp(&b, 0, "FA", 6, 7, "");
        bed_tcp(&b, 1, "FA", 7, 7, "");
    }
    uint64_t evicted = counters(&b)->n_evicted, ended = counters(&b)->n_ended;
    assert_true(evicted <= ended);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), N_ESTABLISHED + N_SYNS);
    size_t n_whole = 0, n_syns = 0;
    for (const char *at = b.conn; at && *at; at = log_next_line(at)) {
        if (*at == '#')
            continue;
        char *conn_state = log_field(at, 11);
        n_whole += strcmp(conn_state, "SF") == 0;
        n_syns += strcmp(conn_state, "S0") == 0;
        free(conn_state);
    }
    assert_int_equal(n_whole, N_ESTABLISHED);
    assert_int_equal(n_syns, N_SYNS);
    bed_free(&b);
}

/* Every connection keeps data: the pool's share has its limit, too, and new ones still come in. */
static void test_flood_of_kept_data(void **state)
{
    (void)state;
    enum { MEMORY = 1 << 20, N = 3000 };
    struct flow_bed b;
    bed_open_with(&b, MEMORY);
    b.step = 1000;
    static char data[1400];
    for (uint16_t i = 0; i < N; i++) {
        b.port[0] = (uint16_t)(1000 + i);
        bed_handshake(&b);
        assert_non_null(bed_tcp_bytes(&b, 0, "PA", 100, 1, data, sizeof data));
        assert_true(pool_used(b.context.pool) <= MEMORY / 2);
    }
    assert_true(pool_refused(b.context.pool) > 0 || counters(&b)->n_evicted > 0);
    bed_close(&b);
    assert_int_equal(log_rows(b.conn), N);
    bed_free(&b);
}

/* A flood that is over does not leave its memory to the payload, nor the other way round. */
static void test_floods_in_turn(void **state)
{
    (void)state;
    enum { MEMORY = 16 << 20, FIRSTS = 19 * (128 << 10) };
    static char data[1400];
    for (int first = 0; first < 2; first++) {
        struct flow_bed b;
        bed_open_with(&b, MEMORY);
        b.step = 1000;
        for (int i = 0; i < 2; i++) {
            size_t n_peak = 0;
            for (uint32_t n = 0; n < 60000; n++) {
                if ((i ^ first) == 0) {
                    syn_from(&b, n);
                } else if (n < 3000) {
                    b.port[0] = (uint16_t)(1000 + n);
                    bed_handshake(&b);
                    for (uint32_t k = 1; k < 8; k++)
                        bed_tcp_bytes(&b, 0, "PA", k * 1500, 1, data, sizeof data);
                }
                n_peak = counters(&b)->n_peak * sizeof(struct flow);
                assert_true(n_peak + pool_touched(b.context.pool) <= MEMORY + FIRSTS);
            }
            b.end[0] = frame_addr(10, 0, 0, 1);
            if (first == 0) /* the payload has its quarter after the table took all it can have */
                assert_true(i == 0 || pool_touched(b.context.pool) >= MEMORY / 5);
            bed_wait(&b, 7200 * SECOND);
            bed_expire(&b);
        }
        bed_close(&b);
        bed_free(&b);
    }
}

/* So little that nothing fits: refused and counted, not crashed. */
static void test_no_memory_at_all(void **state)
{
    (void)state;
    for (size_t memory = 1; memory < 70000; memory = memory * 3 / 2 + 7) {
        struct flow_context context = {.pool = pool_new(memory)};
        struct flow_table_options options = {.memory = memory};
        struct log_bed logs;
        log_bed_open(&logs, LOG_FORMAT_TSV, NULL, 0);
        context.log = logs.writer;
        struct flow_table *table = flow_table_new(&options, &context);
        uint64_t n_refused = 0, n_added = 0;
        for (uint16_t i = 0; table && i < 100; i++) {
            struct flow_key key = {.port = {0, i}, .proto = FLOW_UDP};
            struct flow *f = flow_table_add(table, &key, flow_table_hash(table, &key));
            n_refused += !f;
            n_added += f != NULL;
        }
        if (table) {
            assert_int_equal(flow_table_counters(table)->n_refused, n_refused);
            flow_table_free(table);
        }
        log_bed_close(&logs);
        char *conn = log_bed_take(&logs, "conn");
        assert_int_equal(log_rows(conn), n_added);
        free(conn);
        log_bed_remove(&logs);
        pool_free(context.pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_symmetric),
        cmocka_unit_test(test_networks_and_protocols_are_apart),
        cmocka_unit_test(test_hashes_spread),
        cmocka_unit_test(test_hash_depends_on_its_key),
        cmocka_unit_test(test_come_and_go),
        cmocka_unit_test(test_each),
        cmocka_unit_test(test_syn_flood),
        cmocka_unit_test(test_flood_of_kept_data),
        cmocka_unit_test(test_floods_in_turn),
        cmocka_unit_test(test_no_memory_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
