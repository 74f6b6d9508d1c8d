/* What only some connections have: services, parents, the first bytes, a long history. */
#include "flow/flow_bed.h"

static void test_services(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    struct flow *f = bed_udp(&b, 0, "x");
    static const char *const names[] = {"ssl", "http", "ssl", "dns", "http"};
    for (int i = 0; i < 5; i++)
        flow_add_service(&b.context, f, names[i]);
    flow_remove_service(f, "http");
    flow_remove_service(f, "never");
    assert_int_equal(f->more->n_services, 2);
    flow_add_service(&b.context, f, "quic");
    bed_close(&b);
    CHECK_CONN(&b, 0, "service", "ssl,dns,quic");
    bed_free(&b);
}

static void test_services_have_a_limit(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct flow_bed b;
    bed_open(&b);
    struct flow *f = bed_udp(&b, 0, "x");
    for (int i = 0; i < 8; i++)
        flow_add_service(&b.context, f, names[i]);
    bed_close(&b);
    CHECK_CONN(&b, 0, "service", "a,b,c,d,e,f");
    bed_free(&b);
}

static void test_parents(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    struct flow *f = bed_udp(&b, 0, "x");
    for (int i = 0; i < 12; i++) {
        struct flow_uid uid;
        memset(uid.text, 'A' + i / 2, sizeof uid.text);
        flow_add_parent(&b.context, f, &uid);
    }
    bed_close(&b);
    CHECK_CONN(&b, 0, "tunnel_parents",
               "AAAAAAAAAAAAAAAAAA,BBBBBBBBBBBBBBBBBB,CCCCCCCCCCCCCCCCCC,DDDDDDDDDDDDDDDDDD");
    bed_free(&b);
}

/* ---- the first bytes ---- */

static void check_early(const struct flow *f, const char *orig, const char *resp)
{
    const struct flow_early *early = flow_early(f);
    assert_non_null(early);
    assert_int_equal(early->size[0], strlen(orig));
    assert_int_equal(early->size[1], strlen(resp));
    assert_memory_equal(early->bytes, orig, strlen(orig));
    assert_memory_equal(early->bytes + strlen(orig), resp, strlen(resp));
}

static bool early_add(struct flow_bed *b, struct flow *f, int dir, const char *text)
{
    return flow_early_add(&b->context, f, dir, (const uint8_t *)text, strlen(text));
}

static void test_early_bytes(void **state)
{
    (void)state;
    for (int promote = 0; promote < 4; promote++) { /* at each step, more is needed of it */
        struct flow_bed b;
        bed_open(&b);
        struct flow *f = bed_udp(&b, 0, "x");
        static const char *const parts[] = {"one", "ONE", "two"};
        static const char *const orig[] = {"one", "one", "onetwo"}, *const resp[] = {"", "ONE",
                                                                                     "ONE"};
        for (int i = 0; i < 3; i++) {
            if (promote == i)
                assert_non_null(flow_more(&b.context, f));
            assert_true(early_add(&b, f, i == 1, parts[i]));
            assert_int_equal(f->is_early, promote > i);
            check_early(f, orig[i], resp[i]);
        }
        assert_non_null(flow_more(&b.context, f));
        check_early(f, "onetwo", "ONE");
        if (promote % 2) {
            flow_early_free(&b.context, f);
            assert_null(flow_early(f));
        }
        bed_close(&b); /* all of it comes back */
        bed_free(&b);
    }
}

static void test_early_bytes_grow_and_have_a_limit(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    struct flow *f = bed_udp(&b, 0, "x");
    static uint8_t piece[1000];
    size_t size[2] = {0, 0};
    for (int i = 0;; i++) {
        int dir = i % 3 == 0;
        memset(piece, 'a' + i % 26 + (dir ? 'A' - 'a' : 0), sizeof piece);
        if (!flow_early_add(&b.context, f, dir, piece, sizeof piece))
            break;
        size[dir] += sizeof piece;
        assert_true(size[0] + size[1] <= UINT16_MAX);
    }
    assert_true(size[0] + size[1] >= 32000);
    const struct flow_early *early = flow_early(f);
    assert_int_equal(early->size[0], size[0]);
    assert_int_equal(early->size[1], size[1]);
    assert_int_equal(early->bytes[0], 'b');
    assert_int_equal(early->bytes[1000], 'c');
    assert_int_equal(early->bytes[2000], 'e');
    assert_int_equal(early->bytes[size[0]], 'A');
    assert_int_equal(early->bytes[size[0] + 1000], 'D');
    bed_close(&b);
    bed_free(&b);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open_with(&b, 64u << 10);
    struct flow *f = bed_udp(&b, 0, "x");
    size_t n = 0, kept[512];
    void *blocks[512];
    for (size_t size = 16384; size >= 16; size /= 2)
        while (n < 512 && (blocks[n] = pool_get(b.context.pool, size)))
            kept[n++] = size;
    assert_null(flow_more(&b.context, f));
    assert_false(early_add(&b, f, 0, "one"));
    assert_null(flow_early(f));
    flow_add_service(&b.context, f, "http");
    struct flow_uid uid = {"C23456789012345678"};
    flow_add_parent(&b.context, f, &uid);
    for (int i = 0; i < 30; i++)
        flow_history_add(&b.context, f, i & 1, 'X');
    flow_history_tally(&b.context, f, 0, TALLY_GAP, 'G');
    assert_int_equal(flow_history(f).len, sizeof f->history);
    while (n > 0) {
        n--;
        pool_put(b.context.pool, blocks[n], kept[n]);
    }
    flow_history_add(&b.context, f, 1, 'Y');
    assert_int_equal(flow_history(f).len, sizeof f->history + 1);
    bed_close(&b);
    CHECK_CONN(&b, 0, "service", "-");
    CHECK_CONN(&b, 0, "history", "DXxXxXxXxXy");
    bed_free(&b);
}

static void test_flip(void **state)
{
    (void)state;
    struct flow_bed b;
    bed_open(&b);
    bed_tcp(&b, 0, "S", 0, 0, "");
    bed_tcp(&b, 0, "S", 0, 0, "");
    struct flow *f = bed_tcp(&b, 1, "SA", 0, 1, "");
    uint8_t orig = f->tcp[0].state;
    flow_flip(&b.context, f);
    assert_int_equal(f->tcp[1].state, orig);
    assert_int_equal(flow_port(f, FLOW_ORIG), 80);
    assert_int_equal(flow_n_packets(f, FLOW_ORIG), 1);
    assert_int_equal(flow_n_packets(f, FLOW_RESP), 2);
    flow_flip(&b.context, f);
    bed_close(&b);
    CHECK_CONN(&b, 0, "id.resp_p", "80");
    CHECK_CONN(&b, 0, "history", "Sh^^");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_services_have_a_limit),
        cmocka_unit_test(test_parents),
        cmocka_unit_test(test_early_bytes),
        cmocka_unit_test(test_early_bytes_grow_and_have_a_limit),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
