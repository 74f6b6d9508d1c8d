/* The DNS analyzer: how queries and replies become rows of dns.log, over UDP and TCP. */
#include "proto/dns_bed.h"

/* ---- queries and replies ---- */

static void test_pair(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_ORIG, query(7, "wWw.Example.COM", DNS_TYPE_A));
    say(&b, FLOW_RESP, reply(7, "www.example.com", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    assert_true(b.analysis.confirmed);
    CHECK_DNS(&b,
              "udp\t7\t0.250000\twww.example.com\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tT\tT\t0"
              "\t1.2.3.4\t300.000000\tF\n");
    assert_string_equal(b.weird, "");
    bed_free(&b);
}

static void test_no_reply(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_ORIG, query(7, "a.b", 4242));
    CHECK_DNS(&b,
              "udp\t7\t-\ta.b\t1\tC_INTERNET\t4242\tquery-4242\t-\t-\tF\tF\tT\tF\t0\t-\t-\tF\n");
    bed_free(&b);
}

static void test_no_query(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_RESP, reply(7, "a.b", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    CHECK_DNS(&b,
              "udp\t7\t-\ta.b\t-\t-\t-\t-\t0\tNOERROR\tT\tF\tF\tT\t0\t1.2.3.4\t300.000000\tF\n");
    assert_int_equal(b.flow.orig_is_1, 0);
    bed_free(&b);
}

/* The name is the first answer's, whatever the others are about. */
static void test_owner(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    struct wire w = reply(7, "a.b", DNS_TYPE_CNAME, "\3LoN\3ger\xc0\x0c", 10);
    w.bytes[7] = 2;
    put_name(&w, "longer.name.than.this");
    put16(&w, DNS_TYPE_A);
    put16(&w, 1);
    put32(&w, 0x80000000);
    put16(&w, 4);
    put32(&w, 0x01020304);
    say(&b, FLOW_RESP, w);
    bed_close(&b);
    *strrchr(b.dns, '\t') = '\0';
    assert_memory_equal(b.dns, "udp\t7\t-\ta.b\t-", 13);
    assert_non_null(strstr(b.dns, "\tlon.ger.a.b,1.2.3.4\t300.000000,"));
    bed_free(&b);
}

static void test_reply_before_query(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_RESP, reply(7, "a.b", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    say(&b, FLOW_ORIG, query(7, "a.b", DNS_TYPE_A));
    CHECK_DNS(&b, "udp\t7\t-\ta.b\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tT\tT\t0\t1.2.3.4"
                  "\t300.000000\tF\n");
    bed_free(&b);
}

/* A reply that comes first from the originator turns the connection round. */
static void test_flip(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_ORIG, reply(7, "a.b", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    assert_int_equal(b.flow.orig_is_1, 1);
    assert_int_equal(b.flow.history[0], '^');
    bed_close(&b);
    bed_free(&b);

    bed_open(&b, FLOW_UDP, 5353); /* but not when it goes to a group */
    b.flow.addr[1] = addr_v4((const uint8_t[]){224, 0, 0, 251});
    say(&b, FLOW_ORIG, reply(0, "a.b", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    assert_int_equal(b.flow.orig_is_1, 0);
    bed_close(&b);
    bed_free(&b);
}

static void test_rejected(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    struct wire w = query(7, "a.b", DNS_TYPE_A);
    say(&b, FLOW_ORIG, w);
    w.bytes[2] = 0x81;
    w.bytes[3] = 0x85; /* REFUSED */
    say(&b, FLOW_RESP, w);
    CHECK_DNS(&b, "udp\t7\t-\ta.b\t1\tC_INTERNET\t1\tA\t5\tREFUSED\tF\tF\tT\tF\t0\t-\t-\tT\n");
    bed_free(&b);
}

/* Equal ids are answered in the order they were asked. */
static void test_same_id(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    say(&b, FLOW_ORIG, query(7, "a", DNS_TYPE_A));
    say(&b, FLOW_ORIG, query(8, "b", DNS_TYPE_A));
    say(&b, FLOW_ORIG, query(7, "c", DNS_TYPE_A));
    say(&b, FLOW_RESP, reply(7, "a", DNS_TYPE_A, "\x01\x02\x03\x04", 4));
    say(&b, FLOW_RESP, reply(7, "c", DNS_TYPE_A, "\x01\x02\x03\x05", 4));
    CHECK_DNS(&b, "udp\t7\t0.750000\ta\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tT\tT\t0\t1.2.3.4"
                  "\t300.000000\tF\n"
                  "udp\t7\t0.500000\tc\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tT\tT\t0\t1.2.3.5"
                  "\t300.000000\tF\n"
                  "udp\t8\t-\tb\t1\tC_INTERNET\t1\tA\t-\t-\tF\tF\tT\tF\t0\t-\t-\tF\n");
    bed_free(&b);
}

/* However much is asked without an answer, little is kept, and all is logged. */
static void test_limits(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    size_t most = 0;
    for (unsigned i = 0; i < 4000; i++) {
        feed(&b, FLOW_ORIG, query(i % 1000, "some.name.example", DNS_TYPE_A).bytes, 35);
        feed(&b, FLOW_RESP,
             reply(i % 1000 + 2000, "some.name.example", DNS_TYPE_A, "\x01\x02\x03\x04", 4).bytes,
             51);
        most = pool_used(b.context.pool) > most ? pool_used(b.context.pool) : most;
    }
    for (unsigned i = 0; i < 4000; i++)
        feed(&b, FLOW_ORIG, query(9000, "some.name.example", DNS_TYPE_A).bytes, 35);
    assert_true(most < 100000);
    bed_close(&b);
    assert_int_equal(count_lines(b.dns), 12000);
    bed_free(&b);
}

/* ---- TCP ---- */

static void test_stream(void **unused)
{
    static const char expected[] =
        "tcp\t7\t0.000000\ta.b\t1\tC_INTERNET\t1\tA\t0\tNOERROR\tT\tF\tT\tT\t0\t1.2.3.4\t300."
        "000000\tF\n";
    struct wire q = query(7, "a.b", DNS_TYPE_A);
    struct wire r = reply(7, "a.b", DNS_TYPE_A, "\x01\x02\x03\x04", 4);
    struct wire stream = {.size = 0};
    put16(&stream, (unsigned)r.size);
    put_bytes(&stream, r.bytes, r.size);
    put16(&stream, (unsigned)r.size);
    put_bytes(&stream, r.bytes, r.size);
    for (size_t piece = 1; piece <= stream.size; piece++) {
        struct bed b;
        bed_open(&b, FLOW_TCP, 53);
        uint8_t prefix[2] = {0, (uint8_t)q.size};
        for (unsigned i = 0; i < 2; i++) {
            feed(&b, FLOW_ORIG, prefix, 2);
            feed(&b, FLOW_ORIG, q.bytes, q.size);
        }
        b.context.now++;
        b.context.clock = b.context.now;
        for (size_t at = 0; at < stream.size; at += piece)
            feed(&b, FLOW_RESP, stream.bytes + at,
                 stream.size - at < piece ? stream.size - at : piece);
        bed_close(&b);
        assert_int_equal(count_lines(b.dns), 2);
        assert_memory_equal(b.dns, expected, sizeof expected - 1);
        bed_free(&b);
    }
}

/* An unfinished message is looked at when both ends have closed. */
static void test_unfinished(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_TCP, 53);
    struct wire q = query(7, "a.b", DNS_TYPE_A);
    feed(&b, FLOW_ORIG, (const uint8_t[]){1, 0}, 2);
    feed(&b, FLOW_ORIG, q.bytes, q.size);
    analyzer_dns.fin(&b.analysis, FLOW_ORIG);
    assert_false(b.analysis.confirmed);
    analyzer_dns.fin(&b.analysis, FLOW_RESP);
    assert_true(b.analysis.confirmed);
    bed_close(&b);
    assert_int_equal(count_lines(b.dns), 1);
    bed_free(&b);
}

/* ---- what is no query ---- */

static void test_opcodes(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    struct wire w = query(7, "a.b", DNS_TYPE_A);
    w.bytes[2] = 0x29; /* update */
    say(&b, FLOW_ORIG, w);
    assert_int_equal(b.flow.history[0], 'X');
    CHECK_DNS(&b, "");
    assert_memory_equal(b.weird, "DNS_unknown_opcode\t5", 20);
    bed_free(&b);

    bed_open(&b, FLOW_UDP, 137); /* a registration is DNS all the same */
    say(&b, FLOW_ORIG, w);
    assert_true(b.analysis.confirmed);
    CHECK_DNS(&b, "");
    assert_string_equal(b.weird, "");
    bed_free(&b);
}

static void test_too_many_questions(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 53);
    struct wire w = query(7, "a.b", DNS_TYPE_A);
    w.bytes[5] = 26;
    say(&b, FLOW_ORIG, w);
    assert_true(b.analysis.failed);
    CHECK_DNS(&b, "udp\t7\t-\t-\t-\t-\t-\t-\t-\t-\tF\tF\tF\tF\t0\t-\t-\tF\n");
    assert_memory_equal(b.weird, "DNS_Conn_count_too_large\t-", 26);
    bed_free(&b);
}

static void test_netbios_status(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, 137);
    say(&b, FLOW_ORIG, query(7, "a.b", DNS_TYPE_SRV));
    CHECK_DNS(&b, "udp\t7\t-\ta.b\t1\tC_INTERNET\t33\tNBSTAT\t-\t-\tF\tF\tT\tF\t0\t-\t-\tF\n");
    bed_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pair),
        cmocka_unit_test(test_no_reply),
        cmocka_unit_test(test_no_query),
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_reply_before_query),
        cmocka_unit_test(test_flip),
        cmocka_unit_test(test_rejected),
        cmocka_unit_test(test_same_id),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_opcodes),
        cmocka_unit_test(test_too_many_questions),
        cmocka_unit_test(test_netbios_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
