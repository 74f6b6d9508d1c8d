/* Names and records in DNS messages, as the rows of dns.log and weird.log show them. */
#include "proto/dns_bed.h"

/* ---- records ---- */

#define BYTES(literal) (literal), sizeof(literal) - 1

static const struct {
    unsigned type;
    const char *data;
    size_t size;
    const char *answers; /* and TTLs, as in the log */
    const char *weird;
} records[] = {
    {DNS_TYPE_A, BYTES("\x7f\0\0\1"), "127.0.0.1\t300.000000", ""},
    {DNS_TYPE_A, BYTES("\x7f\0\0\1\0"), "-\t-", "DNS_RR_bad_length\t-"},
    {DNS_TYPE_AAAA, BYTES("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1\t300.000000", ""},
    {DNS_TYPE_A6, BYTES("\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\2"), "2001:db8::2\t300.000000", ""},
    {DNS_TYPE_NS, BYTES("\2nS\xc0\x0c"), "ns.a.b\t300.000000", ""},
    {DNS_TYPE_CNAME, BYTES("\1x\0"), "x\t300.000000", ""},
    {DNS_TYPE_CNAME, BYTES("\1x\0\0"), "x\t300.000000", "DNS_RR_length_mismatch\t-"},
    {DNS_TYPE_CNAME, BYTES("\0"), "-\t-", ""},
    {DNS_TYPE_PTR, BYTES("\1x\1,\0"), "x.\\x2c\t300.000000", ""},
    {DNS_TYPE_MX, BYTES("\0\5\2mx\xc0\x0c"), "mx.a.b\t300.000000", ""},
    {DNS_TYPE_SRV, BYTES("\0\1\0\2\0\3\2mx\xc0\x0c"), "mx.a.b\t300.000000", ""},
    {DNS_TYPE_SOA,
     BYTES("\1m\0\1r\0"
           "11112222333344445555"),
     "m\t300.000000", ""},
    {DNS_TYPE_SOA,
     BYTES("\1m\0\1r\0"
           "1111222233334444555"),
     "-\t-", ""},
    {DNS_TYPE_TXT, BYTES("\3one\0\2x\xff"), "TXT 3 one TXT 0  TXT 2 x\\xff\t300.000000", ""},
    {DNS_TYPE_TXT, BYTES("\3one\2x"), "TXT 3 one\t300.000000", "DNS_TXT_char_str_past_rdlen\t-"},
    {DNS_TYPE_SPF, BYTES("\3one"), "SPF 3 one\t300.000000", ""},
    {DNS_TYPE_NAPTR, BYTES("\0\1\0\2\1u\3E2U\4!a!b\0"), "NAPTR 1 2 u E2U !a!b\t300.000000", ""},
    {DNS_TYPE_NAPTR, BYTES("\0\1\0\2\1s\3SIP\0\1X\0"), "NAPTR 1 2 s SIP X\t300.000000", ""},
    {DNS_TYPE_HINFO, BYTES("\3cpu\2os"), "-\t-", ""},
    {DNS_TYPE_CAA, BYTES("\0\5issueca"), "-\t-", ""},
    {DNS_TYPE_TKEY, BYTES("xyz"), "-\t-", ""},
    {DNS_TYPE_LOC,
     BYTES("\0\x12\x15\x13"
           "111122223333"),
     "LOC:  18 21 19\t300.000000", ""},
    {DNS_TYPE_LOC,
     BYTES("\1\x12\x15\x13"
           "111122223333"),
     "LOC:  18 21 19\t300.000000", "DNS_LOC_version_unrecognized\t1"},
    {DNS_TYPE_SSHFP, BYTES("\1\1\xab\xcd\xef"), "SSHFP: abcdef\t300.000000", ""},
    {DNS_TYPE_RRSIG,
     BYTES("\0\1\x08\2"
           "ttttEEEEIIIITT"
           "\3ORG\0"
           "signature"),
     "RRSIG 1 org\t300.000000", ""},
    {DNS_TYPE_RRSIG,
     BYTES("\0\1\xfc\2"
           "ttttEEEEIIIITT"
           "\0"
           "signature"),
     "RRSIG 1 <Root>\t300.000000", "DNSSEC_RRSIG_Indirect_ZoneSignAlgo\t252"},
    {DNS_TYPE_DNSKEY,
     BYTES("\1\1\3\xd"
           "key"),
     "DNSKEY 13\t300.000000", ""},
    {DNS_TYPE_DNSKEY,
     BYTES("\1\1\4\xd"
           "key"),
     "DNSKEY 13\t300.000000", "DNSSEC_DNSKEY_Invalid_Protocol\t4"},
    {DNS_TYPE_DS,
     BYTES("\1\1\x8\2"
           "digest"),
     "DS 8 2\t300.000000", ""},
    {DNS_TYPE_DS,
     BYTES("\1\1\x8\7"
           "digest"),
     "DS 8 7\t300.000000", "DNSSEC_DS_unknown_DigestType\t7"},
    {DNS_TYPE_NSEC, BYTES("\1n\0\0\1\x40"), "NSEC a.b n\t300.000000", ""},
    {DNS_TYPE_NSEC, BYTES("\1n\0\5\0"), "NSEC a.b n\t300.000000", "DNSSEC_NSEC_bitmapLen0\t5"},
    {DNS_TYPE_NSEC3, BYTES("\1\0\0\1\2ss\3hhh\0\1\x40"), "NSEC3\t300.000000", ""},
    {DNS_TYPE_NSEC3PARAM, BYTES("\1\0\0\1\2ss"), "NSEC3PARAM\t300.000000", ""},
    {DNS_TYPE_BINDS, BYTES("\5\1\2\0\1"), "BIND9 signing signal\t300.000000", ""},
    {DNS_TYPE_HTTPS, BYTES("\0\1\0\0\1\0\3\2h2"), "-\t-", ""},
    {DNS_TYPE_SVCB, BYTES("\0\0\1x\0"), "-\t-", ""},
    {DNS_TYPE_WKS, BYTES("\1\2\3\4\6\0"), "-\t-", ""},
    {4242, BYTES("any"), "<unknown type=4242>\t300.000000", "DNS_RR_unknown_type\t4242"},
};

/* The columns from the n-th on, without the line's end. */
static char *column(char *row, unsigned n)
{
    while (n-- > 0 && row)
        row = strchr(row, '\t') ? strchr(row, '\t') + 1 : NULL;
    return row;
}

static void test_records(void **unused)
{
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct bed b;
        bed_open(&b, FLOW_UDP, 53);
        say(&b, FLOW_ORIG, query(7, "a.b", records[i].type));
        say(&b, FLOW_RESP, reply(7, "a.b", records[i].type, records[i].data, records[i].size));
        bed_close(&b);
        assert_int_equal(count_lines(b.dns), 1);
        char *answers = column(b.dns, 15);
        *strrchr(answers, '\t') = '\0';
        assert_string_equal(answers, records[i].answers);
        if (b.weird[0])
            *strchr(strchr(b.weird, '\t') + 1, '\t') = '\0';
        assert_string_equal(b.weird, records[i].weird);
        bed_free(&b);
    }
}

/* Every prefix of a good reply: nothing is read past it, and there is one row. */
static void test_prefixes(void **unused)
{
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        struct wire w = reply(7, "a.b", records[i].type, records[i].data, records[i].size);
        for (size_t size = 0; size < w.size; size++) {
            struct bed b;
            bed_open(&b, FLOW_UDP, 53);
            feed(&b, FLOW_RESP, w.bytes, size);
            bed_close(&b);
            assert_int_equal(count_lines(b.dns), size < 12 ? 0 : 1);
            bed_free(&b);
            if (i > 0 && size > 30)
                size += 2; /* keeps the test short */
        }
    }
}

/* ---- names ---- */

static void check_question(uint16_t port, const void *name, size_t size, const char *text,
                           const char *weird)
{
    struct bed b;
    bed_open(&b, FLOW_UDP, port);
    struct wire w;
    put_header(&w, 7, 0x0100, 1, 0);
    put_bytes(&w, name, size);
    put32(&w, 0x00010001);
    say(&b, FLOW_ORIG, w);
    bed_close(&b);
    char *query = column(b.dns, 3);
    *strchr(query, '\t') = '\0';
    assert_string_equal(query, text);
    if (b.weird[0])
        *strchr(b.weird, '\t') = '\0';
    assert_string_equal(b.weird, weird);
    bed_free(&b);
}

static void test_names(void **unused)
{
    check_question(53, BYTES("\0"), "(empty)", "");
    check_question(53, BYTES("\2Aa\1\0\0"), "aa.\\x00", "");
    check_question(53, BYTES("\x08@AMZ[`az\7{\xc1\xda\xe0\xfaQ9\0"),
                   "@amz[`az.{\\xc1\\xda\\xe0\\xfaq9", "");
    check_question(53, BYTES("\1a\xc0\x0d"), "a", ""); /* into the label: ends at the pointer */
    check_question(53, BYTES("\1a\xc0\x0e"), "a", "DNS_label_forward_compress_offset");
    check_question(53, BYTES("\1a\xc0\x20"), "a", "DNS_label_forward_compress_offset");
    check_question(53, BYTES("\1a\xc0\x0c"), "a.a", "");
    check_question(53,
                   BYTES("\1a\x40"
                         "0123456789012345678901234567890123456789012345678901234567890123"),
                   "a", "DNS_label_too_long");
    check_question(137,
                   BYTES("\1a\x40"
                         "0123456789012345678901234567890123456789012345678901234567890123"
                         "\0"),
                   "a.0123456789012345678901234567890123456789012345678901234567890123", "");
    check_question(137,
                   BYTES("\x20"
                         "FHEPFCELEHFCEPFFFACACACACACACABL\0"),
                   "WORKGROUP", "");
    check_question(137,
                   BYTES("\x20"
                         "ABACFPFPENFDECFCEPFHFDEFFPFPACAB\0"),
                   "\\x01\\x02__MSBROWSE__\\x02", "");
    check_question(137,
                   BYTES("\x20"
                         "CACACACACACACACACACACACACACACACA\0"),
                   "cacacacacacacacacacacacacacacaca", "");

    struct wire w = {.size = 0};
    for (unsigned i = 0; i < 100; i++)
        put_bytes(&w, "\4long", 5);
    put8(&w, 0);
    char text[600];
    for (unsigned i = 0; i < 100; i++)
        memcpy(text + 5 * i, "long.", 5);
    text[499] = '\0';
    check_question(53, w.bytes, w.size, text, "DNS_NAME_too_long");
}

/* A chain of pointers, each to the one before it, is followed 20 times. */
static void test_pointer_chain(void **unused)
{
    for (unsigned n = 15; n < 25; n++) {
        struct bed b;
        bed_open(&b, FLOW_UDP, 53);
        struct wire w;
        put_header(&w, 7, 0x8180, n, 0);
        put_question(&w, "x", DNS_TYPE_A);
        for (unsigned i = 1, last = 12; i < n; i++) {
            put16(&w, 0xc000 | last);
            last = (unsigned)w.size - 2;
            put32(&w, 0x00010001);
        }
        say(&b, FLOW_RESP, w);
        bed_close(&b);
        assert_int_equal(b.weird[0] != '\0', n > 21);
        bed_free(&b);
    }
}

/* Thousands of records with names as long as can be: what is kept of it has a limit. */
static void test_long_answers(void **unused)
{
    struct bed b;
    bed_open(&b, FLOW_TCP, 53);
    struct wire *w = malloc(sizeof *w);
    put_header(w, 7, 0x8180, 1, 5000);
    for (unsigned i = 0; i < 7; i++) {
        put8(w, 63);
        for (unsigned k = 0; k < 63; k++)
            put8(w, 'x');
    }
    put8(w, 0);
    put32(w, 0x00010001);
    for (unsigned i = 0; i < 4600; i++)
        put_record(w, DNS_TYPE_NS, 1, "\xc0\x0c", 2);
    uint8_t prefix[2] = {(uint8_t)(w->size >> 8), (uint8_t)w->size};
    feed(&b, FLOW_RESP, prefix, 2);
    feed(&b, FLOW_RESP, w->bytes, w->size);
    assert_true(pool_used(b.context.pool) < (4u << 20));
    bed_close(&b);
    assert_int_equal(count_lines(b.dns), 1);
    bed_free(&b);
    free(w);
}

static void test_tables(void **unused)
{
    for (unsigned i = 0; i < 65536; i++) {
        const char *name = dns_type_name((uint16_t)i);
        if (!name)
            continue;
        assert_true(strlen(name) > 0 && strlen(name) < 12);
        for (unsigned k = 0; k < 512; k++)
            assert_true(k == i || !dns_type_name((uint16_t)k) ||
                        strcmp(name, dns_type_name((uint16_t)k)) != 0);
    }
    assert_string_equal(dns_class_name(3), "C_CHAOS");
    assert_null(dns_class_name(256));
    assert_string_equal(dns_rcode_name(15), "unassigned-15");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),      cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_names),        cmocka_unit_test(test_pointer_chain),
        cmocka_unit_test(test_long_answers), cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
