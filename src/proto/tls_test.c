/* TLS and DTLS conversations, made byte by byte, and the rows they leave. Each TLS conversation is
 * also given one byte at a time, which must not change its row, and cut short at every byte. */
#include "proto/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "flow/more.h"
#include "flow/weird.h"
#include "log/record_bed.h"

#define SECOND 1000000000ll

/* ---- messages ---- */

struct wire {
    uint8_t bytes[8192];
    size_t size;
};

static void put8(struct wire *w, unsigned value)
{
    w->bytes[w->size++] = (uint8_t)value;
}

static void put16(struct wire *w, unsigned value)
{
    put8(w, value >> 8);
    put8(w, value & 0xff);
}

static void put24(struct wire *w, unsigned value)
{
    put8(w, value >> 16);
    put16(w, value & 0xffff);
}

static void put_bytes(struct wire *w, const void *bytes, size_t size)
{
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static void put_wire(struct wire *w, const struct wire *other)
{
    put_bytes(w, other->bytes, other->size);
}

static void put_extension(struct wire *w, unsigned type, const char *bytes, size_t size)
{
    put16(w, type);
    put16(w, (unsigned)size);
    put_bytes(w, bytes, size);
}
#define EXTENSION(w, type, literal) put_extension(w, type, literal, sizeof(literal) - 1)

static struct wire message(unsigned type, const struct wire *body)
{
    struct wire w = {.size = 0};
    put8(&w, type);
    put24(&w, (unsigned)body->size);
    put_wire(&w, body);
    return w;
}

static struct wire record(unsigned type, unsigned version, const struct wire *body)
{
    struct wire w = {.size = 0};
    put8(&w, type);
    put16(&w, version);
    put16(&w, (unsigned)body->size);
    put_wire(&w, body);
    return w;
}

static struct wire text(const char *bytes, size_t size)
{
    struct wire w = {.size = 0};
    put_bytes(&w, bytes, size);
    return w;
}
#define TEXT(literal) text(literal, sizeof(literal) - 1)

static struct wire hello_start(unsigned version, const char *session)
{
    struct wire w = {.size = 0};
    put16(&w, version);
    for (int i = 0; i < 32; i++)
        put8(&w, 0x40u + (unsigned)i);
    put8(&w, (unsigned)strlen(session));
    put_bytes(&w, session, strlen(session));
    return w;
}

static struct wire client_hello(unsigned version, const char *session,
                                const struct wire *extensions)
{
    struct wire body = hello_start(version, session);
    if (version >> 8 == 0xfe)
        put8(&body, 0); /* cookie */
    put16(&body, 4);
    put16(&body, 0x0a0a);
    put16(&body, 0xc02f);
    put16(&body, 0x0100); /* no compression */
    put16(&body, (unsigned)extensions->size);
    put_wire(&body, extensions);
    return message(TLS_CLIENT_HELLO, &body);
}

static struct wire server_hello(unsigned version, const char *session, unsigned cipher,
                                const struct wire *extensions)
{
    struct wire body = hello_start(version, session);
    put16(&body, cipher);
    put8(&body, 0);
    put16(&body, (unsigned)extensions->size);
    put_wire(&body, extensions);
    return message(TLS_SERVER_HELLO, &body);
}

static const struct wire none = {.size = 0};

/* ---- a connection, and the rows it leaves ---- */

struct turn {
    int dir;
    struct wire bytes;
};

struct bed {
    struct log_bed logs;
    struct flow_context context;
    struct flow flow;
    struct analysis analysis;
    char ssl[4096], open[4096], weird[4096];
};

static void bed_open(struct bed *b, const struct analyzer *analyzer)
{
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->context = (struct flow_context){
        .now = 1000 * SECOND,
        .log = b->logs.writer,
        .pool = pool_new(16u << 20),
        .weirds = weird_memory_new(),
        .reports_open = true,
    };
    b->flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    b->flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    b->flow.port[0] = 40000;
    b->flow.port[1] = 443;
    b->flow.proto = analyzer->transports == ANALYZER_TCP ? FLOW_TCP : FLOW_UDP;
    b->analysis.analyzer = analyzer;
    b->analysis.context = &b->context;
    b->analysis.flow = &b->flow;
    b->analysis.state = calloc(1, analyzer->state_size);
    analyzer->start(&b->analysis);
}

static void feed(struct bed *b, int dir, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    if (!b->analysis.finished)
        b->analysis.analyzer->data(&b->analysis, dir, exact, size);
    free(exact);
}

static void read_rows(const struct bed *b, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s.log", b->logs.folder, name);
    char line[4096];
    FILE *file = fopen(path, "r");
    size_t len = 0;
    out[0] = '\0';
    while (file && fgets(line, sizeof line, file)) {
        const char *at = line;
        for (int i = 0; i < 6 && at; i++)
            at = strchr(at, '\t') ? strchr(at, '\t') + 1 : NULL;
        if (line[0] != '#' && at && len < size)
            len += (size_t)snprintf(out + len, size - len, "%s", at);
    }
    if (file)
        fclose(file);
    unlink(path);
}

static void bed_close(struct bed *b)
{
    b->analysis.analyzer->open(&b->analysis); /* as it would be logged now, or was */
    b->analysis.analyzer->end(&b->analysis);
    free(b->analysis.state);
    flow_more_free(&b->context, &b->flow);
    assert_int_equal(pool_used(b->context.pool), 0);
    log_bed_close(&b->logs);
    read_rows(b, "ssl", b->ssl, sizeof b->ssl);
    read_rows(b, "open_ssl", b->open, sizeof b->open);
    assert_string_equal(b->open, b->ssl);
    read_rows(b, "weird", b->weird, sizeof b->weird);
    rmdir(b->logs.folder);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
}

static struct bed talk(const struct analyzer *analyzer, const struct turn *turns, size_t n,
                       size_t piece)
{
    struct bed b;
    bed_open(&b, analyzer);
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < turns[i].bytes.size; at += piece) {
            size_t left = turns[i].bytes.size - at;
            feed(&b, turns[i].dir, turns[i].bytes.bytes + at, left < piece ? left : piece);
        }
    bed_close(&b);
    return b;
}

static void cut_short(const struct turn *turns, size_t n)
{
    for (size_t last = 0; last < n; last++)
        for (size_t cut = 0; cut < turns[last].bytes.size; cut += 3) {
            struct bed b;
            bed_open(&b, &analyzer_ssl);
            for (size_t i = 0; i <= last; i++)
                feed(&b, turns[i].dir, turns[i].bytes.bytes, i < last ? turns[i].bytes.size : cut);
            bed_close(&b);
        }
}

static void check_tls(const struct turn *turns, size_t n, const char *expected)
{
    struct bed b = talk(&analyzer_ssl, turns, n, 8192);
    assert_string_equal(b.ssl, expected);
    b = talk(&analyzer_ssl, turns, n, 1);
    assert_string_equal(b.ssl, expected);
    cut_short(turns, n);
}
#define CHECK(turns, expected) check_tls(turns, sizeof(turns) / sizeof *(turns), expected)

/* ---- conversations ---- */

static struct wire names_and_ticket(void)
{
    struct wire w = {.size = 0};
    EXTENSION(&w, 0,
              "\0\x0c\0\0\x09"
              "a.example");
    EXTENSION(&w, 16, "\0\x05\2h2\1x");
    EXTENSION(&w, 35, "ticket");
    return w;
}

/* With nothing but CCS after the hellos. */
static void test_resumed_12(void **state)
{
    (void)state;
    struct wire extensions = names_and_ticket();
    struct wire hello = client_hello(TLS_V12, "0123456789", &extensions);
    struct wire answer_extensions = {.size = 0};
    EXTENSION(&answer_extensions, 16, "\0\x03\2h2");
    struct wire answer = server_hello(TLS_V12, "0123456789", 0xc02f, &answer_extensions);
    struct wire change = TEXT("\1");
    struct wire secret = TEXT("0123456789abcdef");
    struct turn turns[] = {
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V10, &hello)},
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V12, &answer)},
        {FLOW_RESP, record(TLS_CHANGE_CIPHER_SPEC, TLS_V12, &change)},
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V12, &secret)},
        {FLOW_ORIG, record(TLS_CHANGE_CIPHER_SPEC, TLS_V12, &change)},
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V12, &secret)},
        {FLOW_ORIG, record(TLS_APPLICATION_DATA, TLS_V12, &secret)},
    };
    CHECK(turns, "TLSv12\tTLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\t-\ta.example\tT\t-\th2\tT\tCsiI"
                 "\t-\t-\t-\n");
}

static void test_full_12_with_alert(void **state)
{
    (void)state;
    struct wire hello = client_hello(TLS_V12, "", &none);
    struct wire flight = server_hello(TLS_V12, "", 0xc02f, &none);
    struct wire body = {.size = 0};
    put24(&body, 0); /* no certificates */
    struct wire certificates = message(TLS_CERTIFICATE, &body);
    body = TEXT("\3\0\x17\2xy\4\1\0\3sig");
    struct wire exchange = message(TLS_SERVER_KEY_EXCHANGE, &body);
    struct wire done = message(TLS_SERVER_HELLO_DONE, &none);
    put_wire(&flight, &certificates);
    put_wire(&flight, &exchange);
    put_wire(&flight, &done);
    struct wire alert = TEXT("\2\x28\1\0");
    struct turn turns[] = {
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V10, &hello)},
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V12, &flight)},
        {FLOW_ORIG, record(TLS_ALERT, TLS_V12, &alert)},
    };
    CHECK(turns, "TLSv12\tTLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\tsecp256r1\t-\tF\tclose_notify\t-"
                 "\tF\tCsxknLL\t-\t-\t-\n");
}

static void test_13_after_retry(void **state)
{
    (void)state;
    struct wire offer = {.size = 0};
    EXTENSION(&offer, 43, "\2\3\4");
    struct wire hello = client_hello(TLS_V12, "0123456789", &offer);
    struct wire extensions = {.size = 0};
    EXTENSION(&extensions, 43, "\3\4");
    EXTENSION(&extensions, 51, "\0\x1d");
    struct wire retry = server_hello(TLS_V12, "0123456789", 0x1301, &extensions);
    memcpy(retry.bytes + 6,
           "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
           "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c",
           32);
    extensions.size = 0;
    EXTENSION(&extensions, 43, "\3\4");
    EXTENSION(&extensions, 51, "\0\x1d\0\2xy");
    struct wire answer = server_hello(TLS_V12, "0123456789", 0x1301, &extensions);
    struct wire change = TEXT("\1");
    struct wire secret = TEXT("0123456789abcdef");
    struct turn turns[] = {
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V10, &hello)},
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V12, &retry)},
        {FLOW_RESP, record(TLS_CHANGE_CIPHER_SPEC, TLS_V12, &change)},
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V12, &hello)},
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V12, &answer)},
        {FLOW_RESP, record(TLS_APPLICATION_DATA, TLS_V12, &secret)},
        {FLOW_ORIG, record(TLS_APPLICATION_DATA, TLS_V12, &secret)},
    };
    CHECK(turns, "TLSv13\tTLS_AES_128_GCM_SHA256\tx25519\t-\tF\t-\t-\tT\tCjiCs\t-\t-\t-\n");
}

/* The party that answered is the client. */
static void test_flipped(void **state)
{
    (void)state;
    struct wire hello = client_hello(TLS_V12, "", &none);
    struct wire answer = server_hello(TLS_V12, "", 0xff, &none);
    struct turn turns[] = {
        {FLOW_RESP, record(TLS_HANDSHAKE, TLS_V10, &hello)},
        {FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V12, &answer)},
    };
    CHECK(turns, "TLSv12\tTLS_EMPTY_RENEGOTIATION_INFO_SCSV\t-\t-\tF\t-\t-\tF\t^Cs\t-\t-\t-\n");
}

static void test_sslv2(void **state)
{
    (void)state;
    struct turn turns[] = {
        {FLOW_ORIG, TEXT("\x80\x1f\1\0\2\0\6\0\0\0\x10\1\0\x80\2\0\x80"
                         "0123456789abcdef")},
        {FLOW_RESP, TEXT("\x80\x12\4\0\1\0\2\0\0\0\3\0\4\1\0\x80"
                         "abcd")},
        {FLOW_ORIG, TEXT("\x80\x0c\2\1\0\x80\0\0\0\2\0\0xy")},
    };
    struct bed b = talk(&analyzer_ssl, turns, 3, 8192);
    assert_string_equal(b.ssl,
                        "SSLv2\tSSLv20_CK_RC4_128_WITH_MD5\t-\t-\tF\t-\t-\tT\tCs\t-\t-\t-\n");
    assert_string_equal(b.weird, "zero_length_certificate\t-\tF\tzeek\tSSL\n");
    cut_short(turns, 3);
}

static void test_broken(void **state)
{
    (void)state;
    struct wire hello = client_hello(TLS_V12, "", &none);
    struct turn garbage[] = {{FLOW_ORIG, TEXT("GET / HTTP/1.1\r\n")}};
    CHECK(garbage, "");
    struct turn after[] = {{FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V10, &hello)},
                           {FLOW_RESP, TEXT("HTTP/1.1 400 Bad request\r\n")}};
    struct bed b = talk(&analyzer_ssl, after, 2, 8192);
    assert_string_equal(b.ssl, "-\t-\t-\t-\tF\t-\t-\tF\tC\t-\t-\t-\n");
    assert_true(b.analysis.failed);
    struct wire cut = client_hello(TLS_V12, "", &none);
    cut.bytes[3] = (uint8_t)(cut.bytes[3] - 9);
    struct turn wrong[] = {{FLOW_ORIG, record(TLS_HANDSHAKE, TLS_V10, &cut)}};
    b = talk(&analyzer_ssl, wrong, 1, 8192);
    assert_true(b.analysis.failed);
    assert_false(b.analysis.confirmed);
}

/* A message in pieces never takes more than its limit, however long it says it is. */
static void test_bounded(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, &analyzer_ssl);
    struct wire head = TEXT("\x0b\xff\xff\xff");
    struct wire first = record(TLS_HANDSHAKE, TLS_V12, &head);
    feed(&b, FLOW_RESP, first.bytes, first.size);
    assert_true(b.analysis.failed);
    bed_close(&b);

    bed_open(&b, &analyzer_ssl);
    head = TEXT("\x0b\x0f\xff\xff");
    first = record(TLS_HANDSHAKE, TLS_V12, &head);
    feed(&b, FLOW_RESP, first.bytes, first.size);
    struct wire more = {.size = 8000};
    memset(more.bytes, 0, sizeof more.bytes);
    struct wire next = record(TLS_HANDSHAKE, TLS_V12, &more);
    for (int i = 0; i < 400; i++) {
        feed(&b, FLOW_RESP, next.bytes, next.size);
        assert_true(pool_used(b.context.pool) < 4 * TLS_MAX_MESSAGE);
    }
    bed_close(&b);
}

/* ---- DTLS ---- */

static struct wire dtls_record(unsigned type, unsigned epoch, unsigned sequence,
                               const struct wire *body)
{
    struct wire w = {.size = 0};
    put8(&w, type);
    put16(&w, TLS_DTLS12);
    put16(&w, epoch);
    put24(&w, 0);
    put24(&w, sequence);
    put16(&w, (unsigned)body->size);
    put_wire(&w, body);
    return w;
}

/* One fragment of a message that is given as TLS has it. */
static struct wire dtls_fragment(unsigned sequence, unsigned number, const struct wire *tls,
                                 unsigned offset, unsigned size)
{
    struct wire body = {.size = 0};
    put_bytes(&body, tls->bytes, 4);
    put16(&body, number);
    put24(&body, offset);
    put24(&body, size);
    put_bytes(&body, tls->bytes + 4 + offset, size);
    return dtls_record(TLS_HANDSHAKE, 0, sequence, &body);
}

static struct wire dtls_whole(unsigned sequence, unsigned number, const struct wire *tls)
{
    return dtls_fragment(sequence, number, tls, 0, (unsigned)tls->size - 4);
}

static void test_dtls(void **state)
{
    (void)state;
    struct wire hello = client_hello(TLS_DTLS12, "", &none);
    struct wire cookie = TEXT("\xfe\xfd\2ab");
    struct wire verify = message(TLS_HELLO_VERIFY_REQUEST, &cookie);
    struct wire answer = server_hello(TLS_DTLS12, "", 0x2f, &none);
    unsigned size = (unsigned)answer.size - 4;
    struct wire change = TEXT("\1");
    struct wire secret = TEXT("secret");
    struct turn turns[] = {
        {FLOW_ORIG, dtls_whole(0, 0, &hello)},
        {FLOW_RESP, dtls_whole(0, 0, &verify)},
        {FLOW_ORIG, dtls_whole(1, 1, &hello)},
        {FLOW_RESP, dtls_fragment(3, 1, &answer, 20, size - 20)}, /* the second one first */
        {FLOW_RESP, dtls_fragment(2, 1, &answer, 0, 10)},
        {FLOW_RESP, dtls_fragment(2, 1, &answer, 0, 10)}, /* again: not taken twice */
        {FLOW_RESP, dtls_record(TLS_CHANGE_CIPHER_SPEC, 0, 4, &change)},
        {FLOW_ORIG, dtls_record(TLS_CHANGE_CIPHER_SPEC, 0, 2, &change)},
        {FLOW_ORIG, dtls_record(TLS_HANDSHAKE, 1, 0, &secret)},
    };
    turns[4].bytes = dtls_fragment(2, 1, &answer, 0, 20);
    struct bed b = talk(&analyzer_dtls, turns, 9, 8192);
    assert_string_equal(b.ssl, "DTLSv12\tTLS_RSA_WITH_AES_128_CBC_SHA\t-\t-\tF\t-\t-\tT\tCvCsiI"
                               "\t-\t-\t-\n");
    for (size_t last = 0; last < 9; last++)
        for (size_t cut = 0; cut < turns[last].bytes.size; cut++) {
            struct bed part;
            bed_open(&part, &analyzer_dtls);
            for (size_t i = 0; i <= last; i++)
                feed(&part, turns[i].dir, turns[i].bytes.bytes,
                     i < last ? turns[i].bytes.size : cut);
            bed_close(&part);
        }
}

/* ---- the rest ---- */

static void test_match(void **state)
{
    (void)state;
    struct wire hello = client_hello(TLS_V12, "", &none);
    struct wire first = record(TLS_HANDSHAKE, TLS_V10, &hello);
    struct probe probe = {.is_tcp = true};
    assert_int_equal(analyzer_ssl.match(&probe), MATCH_MORE);
    probe.data[FLOW_RESP] = STR("SSH-2.0");
    assert_int_equal(analyzer_ssl.match(&probe), MATCH_MORE);
    for (size_t size = 0; size <= first.size; size++) {
        probe.data[FLOW_ORIG] = str_make(first.bytes, size);
        assert_int_equal(analyzer_ssl.match(&probe), size < 11 ? MATCH_MORE : MATCH_YES);
    }
    first.bytes[4] = '\n'; /* Zeek's pattern has a dot there */
    assert_int_equal(analyzer_ssl.match(&probe), MATCH_NO);
    probe.data[FLOW_RESP] = STR("\x15\3\1\0\2\1\0\x16\3\1\0\x40\2\0\0\x30\3\1");
    assert_int_equal(analyzer_ssl.match(&probe), MATCH_YES);

    struct wire datagram = client_hello(TLS_DTLS12, "", &none);
    datagram = dtls_whole(0, 0, &datagram);
    struct probe udp = {.data = {str_make(datagram.bytes, datagram.size)}};
    assert_int_equal(analyzer_dtls.match(&udp), MATCH_YES);
    datagram.bytes[4] = 1;
    assert_int_equal(analyzer_dtls.match(&udp), MATCH_MORE); /* the other side may still */
    udp.data[FLOW_RESP] = STR("x");
    assert_int_equal(analyzer_dtls.match(&udp), MATCH_NO);
}

static void put_list(struct wire *w, const uint16_t *values, size_t n)
{
    put16(w, (unsigned)(2 * n));
    for (size_t i = 0; i < n; i++)
        put16(w, values[i]);
}

/* The example of JA4's specification. */
static void test_fingerprints(void **state)
{
    (void)state;
    static const uint16_t ciphers[] = {0x1a1a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f,
                                       0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
                                       0x009c, 0x009d, 0x002f, 0x0035};
    static const uint16_t signatures[] = {0x0403, 0x0804, 0x0401, 0x0503,
                                          0x0805, 0x0501, 0x0806, 0x0601};
    static const uint16_t others[] = {0x001b, 0x0033, 0x4469, 0x0017, 0x002d,
                                      0x0005, 0x0023, 0x0012, 0xff01, 0x0015};
    struct wire extensions = {.size = 0};
    EXTENSION(&extensions, 0x2a2a, "");
    EXTENSION(&extensions, 0, "\0\4\0\0\1a");
    EXTENSION(&extensions, 10, "\0\6\x3a\x3a\0\x1d\0\x17");
    EXTENSION(&extensions, 11, "\1\0");
    EXTENSION(&extensions, 16, "\0\x0c\2h2\x08http/1.1");
    EXTENSION(&extensions, 43, "\6\x4a\x4a\3\4\3\3");
    put16(&extensions, 13);
    put16(&extensions, 2 + sizeof signatures);
    put_list(&extensions, signatures, 8);
    for (size_t i = 0; i < 10; i++)
        EXTENSION(&extensions, others[i], "");
    struct wire hello = hello_start(TLS_V12, "");
    put_list(&hello, ciphers, 16);
    put16(&hello, 0x0100);
    put16(&hello, (unsigned)extensions.size);
    put_wire(&hello, &extensions);

    char ja4[41] = "";
    tls_ja4(rd_make(hello.bytes, hello.size), false, ja4);
    assert_string_equal(ja4, "t13d1516h2_8daaf6152771_e5627efa2ab1");

    static const char expected[] =
        "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,"
        "0-10-11-16-43-13-27-51-17513-23-45-5-35-18-65281-21,29-23,0";
    uint8_t digest[HASH_MD5_SIZE];
    char hex[33] = "";
    char ja3[33] = "";
    hash_md5(expected, sizeof expected - 1, digest);
    hash_hex(digest, sizeof digest, hex);
    tls_ja3(rd_make(hello.bytes, hello.size), false, ja3);
    assert_string_equal(ja3, hex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumed_12),     cmocka_unit_test(test_full_12_with_alert),
        cmocka_unit_test(test_13_after_retry), cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_sslv2),          cmocka_unit_test(test_broken),
        cmocka_unit_test(test_bounded),        cmocka_unit_test(test_dtls),
        cmocka_unit_test(test_match),          cmocka_unit_test(test_fingerprints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
