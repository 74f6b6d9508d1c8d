/* QUIC conversations and the rows they leave: the examples of RFC 9001 and RFC 9369, then our own.
 * Datagrams are given in heap blocks of their exact size, and cut short at every byte. */
#include "proto/quic.h"

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
#include "proto/attach.h"
#include "proto/quic_bed.h"

#define SECOND 1000000000ll

/* ---- a connection, and what it leaves ---- */

struct bed {
    struct log_bed logs;
    struct flow_context context;
    struct flow flow;
    char *quic, *ssl, *weird; /* the rows, after bed_close */
    char services[64];
};

static void bed_open(struct bed *b, uint16_t port)
{
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->context = (struct flow_context){
        .now = 1000 * SECOND,
        .clock = 1000 * SECOND,
        .log = b->logs.writer,
        .pool = pool_new(16u << 20),
        .weirds = weird_memory_new(),
    };
    b->flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    b->flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    b->flow.port[0] = 4000;
    b->flow.port[1] = port;
    b->flow.proto = FLOW_UDP;
}

static void say(struct bed *b, int dir, const struct wire *w)
{
    uint8_t *exact = malloc(w->size ? w->size : 1);
    memcpy(exact, w->bytes, w->size);
    b->flow.payload_bytes[dir] += w->size;
    attach_ops.data(&b->context, &b->flow, dir, exact, w->size);
    free(exact);
    b->context.now += SECOND / 4;
    b->context.clock = b->context.now;
}

static void bed_close(struct bed *b)
{
    attach_ops.end(&b->context, &b->flow);
    const struct flow_more *more = more_of(&b->flow);
    for (unsigned i = 0; more && i < more->n_services; i++)
        snprintf(b->services + strlen(b->services), sizeof b->services - strlen(b->services),
                 "%s%s", i ? "," : "", more->services[i]);
    flow_early_free(&b->context, &b->flow);
    flow_more_free(&b->context, &b->flow);
    assert_int_equal(pool_used(b->context.pool), 0);
    log_bed_close(&b->logs);
    b->quic = log_bed_take_rows(&b->logs, "quic", 6);
    b->ssl = log_bed_take_rows(&b->logs, "ssl", 6);
    b->weird = log_bed_take_rows(&b->logs, "weird", 6);
    assert_int_equal(rmdir(b->logs.folder), 0);
    weird_memory_free(b->context.weirds);
    aead_free(b->context.aead);
    pool_free(b->context.pool);
}

static void bed_free(struct bed *b)
{
    free(b->quic);
    free(b->ssl);
    free(b->weird);
}

/* Closes; the rows of quic.log and the services must be these. */
static void expect(struct bed *b, const char *services, const char *quic)
{
    bed_close(b);
    assert_string_equal(b->quic, quic);
    assert_string_equal(b->services, services);
    bed_free(b);
}

/* The same of one datagram. */
static void expect_of(int dir, const struct wire *w, const char *services, const char *quic)
{
    struct bed b;
    bed_open(&b, 784);
    say(&b, dir, w);
    expect(&b, services, quic);
}

/* ---- the examples of the RFCs ---- */

static const char client_frame[] =
    "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c"
    "00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006"
    "001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa4"
    "7fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305"
    "0306030203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ff"
    "ff07048000ffff0801100104800075300901100f088394c8f03e51570806048000ffff";

static const char server_packet[] =
    "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c69"
    "797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73"
    "cc3f3bded74b562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456"
    "cbc42158407dd074ee";

static const char retry_packet[] =
    "ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba";

#define RFC_ID STR("\x83\x94\xc8\xf0\x3e\x51\x57\x08")

static struct wire rfc_client(uint32_t version)
{
    struct wire frames = {.size = 0}, w = {.size = 0};
    put_hex(&frames, client_frame);
    while (frames.size < 1162)
        put8(&frames, 0);
    struct initial initial = {.version = version,
                              .from_client = true,
                              .id = RFC_ID,
                              .dcid = RFC_ID,
                              .number = 2,
                              .number_size = 4};
    put_initial(&w, &initial, &frames);
    return w;
}

static void check_hex(const void *bytes, size_t size, const char *expected)
{
    char hex[2 * 64 + 1] = "";
    assert_true(size <= 64);
    hash_hex(bytes, size, hex);
    assert_string_equal(hex, expected);
}

static void rfc9001_conversation_is_read(void **state)
{
    (void)state;
    struct wire client = rfc_client(QUIC_VERSION_1), server = {.size = 0};
    assert_int_equal(client.size, 1200);
    check_hex(client.bytes, 34,
              "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242");
    check_hex(client.bytes + 1184, 16, "e221af44860018ab0856972e194cd934");
    put_hex(&server, server_packet);
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &client);
    say(&b, FLOW_RESP, &server);
    bed_close(&b);
    assert_string_equal(b.services, "quic,ssl");
    assert_string_equal(
        b.quic, "1\t8394c8f03e515708\t(empty)\tf067a5502a4262b5\texample.com\talpn\tISis\n");
    assert_non_null(
        strstr(b.ssl, "TLSv13\tTLS_AES_128_GCM_SHA256\tx25519\texample.com\tF\t-\t-\tF\tCs"));
    assert_string_equal(b.weird, "");
    bed_free(&b);
}

static void rfc9369_client_is_read(void **state)
{
    (void)state;
    struct wire client = rfc_client(QUIC_VERSION_2);
    check_hex(client.bytes, 26, "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6a");
    expect_of(FLOW_ORIG, &client, "quic,ssl",
              "quicv2\t8394c8f03e515708\t(empty)\t-\texample.com\talpn\tIS\n");
}

static void retry_begins_a_new_row(void **state)
{
    (void)state;
    struct wire client = rfc_client(QUIC_VERSION_1), retry = {.size = 0}, again = {.size = 0},
                frames = {.size = 0};
    put_hex(&retry, retry_packet);
    put_hex(&frames, client_frame);
    struct initial initial = {.version = QUIC_VERSION_1,
                              .from_client = true,
                              .id = STR("other"),
                              .dcid = STR("other"),
                              .token = STR("token"),
                              .number_size = 1};
    put_initial(&again, &initial, &frames);
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &client);
    say(&b, FLOW_RESP, &retry);
    say(&b, FLOW_ORIG, &again);
    bed_close(&b);
    assert_string_equal(b.quic, "1\t8394c8f03e515708\t(empty)\t-\texample.com\talpn\tISr\n"
                                "1\t6f74686572\t(empty)\t-\texample.com\talpn\tIS\n");
    assert_non_null(strstr(b.ssl, "\tCC\t"));
    bed_free(&b);
}

/* ---- our own conversations ---- */

/* A client hello of this size, with a name and two protocols. */
static struct wire hello(size_t size)
{
    struct wire w = {.size = 0};
    put32(&w, 0x01000000 | (uint32_t)(size - 4));
    put16(&w, 0x0303);
    for (int i = 0; i < 32; i++)
        put8(&w, 0x40u + (unsigned)i);
    put8(&w, 0);
    put32(&w, 0x00021301);
    put16(&w, 0x0100);
    put16(&w, (unsigned)(size - w.size - 2));
    put_bytes(&w, "\0\0\0\x0a\0\x08\0\0\x05host1", 14);
    put_bytes(&w, "\0\x10\0\x0b\0\x09\x02h3\x05h3-29", 15);
    put16(&w, 21); /* padding */
    put16(&w, (unsigned)(size - w.size - 2));
    while (w.size < size)
        put8(&w, 0);
    return w;
}

static struct wire initial_of(const struct wire *frames, uint32_t number)
{
    struct wire w = {.size = 0};
    struct initial initial = {.version = QUIC_VERSION_1,
                              .from_client = true,
                              .id = STR("abcdefgh"),
                              .dcid = STR("abcdefgh"),
                              .scid = STR("xyz"),
                              .number = number,
                              .number_size = 2};
    put_initial(&w, &initial, frames);
    return w;
}

static struct wire server_initial(const struct wire *frames)
{
    struct wire w = {.size = 0};
    struct initial initial = {.version = QUIC_VERSION_1,
                              .id = STR("abcdefgh"),
                              .dcid = STR("xyz"),
                              .scid = STR("serve"),
                              .number_size = 1};
    put_initial(&w, &initial, frames);
    return w;
}

#define HELLO_ROW "1\t6162636465666768\t78797a\t-\thost1\th3\t"

static void frames_may_come_in_any_order(void **state)
{
    (void)state;
    struct wire h = hello(3000);
    struct wire first = {.size = 0}, second = {.size = 0}, third = {.size = 0};
    /* The end; a ping; an acknowledgement with ranges and ECN; the middle, twice. */
    put_frame_crypto(&first, 2500, h.bytes + 2500, 500);
    put_hex(&first, "01"
                    "0305000101"
                    "0000"
                    "01020300000000");
    put_frame_crypto(&second, 900, h.bytes + 900, 1000);
    put_frame_crypto(&second, 1000, h.bytes + 1000, 700);
    put_frame_crypto(&third, 0, h.bytes, 2);
    put_frame_crypto(&third, 1, h.bytes + 1, 950);
    put_frame_crypto(&third, 1900, h.bytes + 1900, 700);
    struct bed b;
    bed_open(&b, 784);
    struct wire w = initial_of(&first, 0);
    say(&b, FLOW_ORIG, &w);
    w = initial_of(&second, 1);
    say(&b, FLOW_ORIG, &w);
    w = initial_of(&third, 2);
    say(&b, FLOW_ORIG, &w);
    bed_close(&b);
    assert_string_equal(b.services, "quic,ssl");
    assert_string_equal(b.quic, HELLO_ROW "IIIS\n");
    assert_string_equal(b.weird, "QUIC_many_protocols\t[h3, h3-29]\tF\tzeek\t-\n");
    bed_free(&b);
}

static void largest_hello_is_put_together(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, 784);
    struct wire h = hello(QUIC_MAX_MESSAGE);
    for (size_t end = h.size; end > 0;) {
        size_t size = end < 1100 ? end : 1100;
        struct wire frames = {.size = 0};
        put_frame_crypto(&frames, (uint32_t)(end - size), h.bytes + end - size, size);
        struct wire w = initial_of(&frames, (uint32_t)end);
        say(&b, FLOW_ORIG, &w);
        end -= size;
    }
    expect(&b, "quic,ssl", HELLO_ROW "IIIIIIIIIIIIIIIIS\n");
}

static void packets_share_a_datagram(void **state)
{
    (void)state;
    struct wire h = hello(200), frames = {.size = 0}, server = {.size = 0};
    put_frame_crypto(&frames, 0, h.bytes, h.size);
    struct wire w = initial_of(&frames, 0);
    put_long(&w, 0xd0, QUIC_VERSION_1, STR("abcdefgh"), STR("xyz")); /* 0-RTT */
    put_varint(&w, 30);
    for (int i = 0; i < 30; i++)
        put8(&w, 0x55);
    put_bytes(&w, "\0\0\0", 3); /* not QUIC: the second bit is not set */
    put_hex(&server, "0200400000000000");
    server = server_initial(&server);
    put_long(&server, 0xe0, QUIC_VERSION_1, STR("xyz"), STR("serve")); /* Handshake */
    put_varint(&server, 4);
    put32(&server, 0x55555555);
    put_hex(&server, "4078797a00000000"); /* short header */
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &w);
    say(&b, FLOW_RESP, &server);
    expect(&b, "quic,ssl", "1\t6162636465666768\t78797a\t7365727665\thost1\th3\tISZih\n");
}

static void close_ends_the_row(void **state)
{
    (void)state;
    struct wire frames = {.size = 0}, other = {.size = 0};
    put_hex(&frames, "1c4128060474657874");
    put_hex(&other, "0101010101");
    struct wire w = initial_of(&other, 0);
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &w);
    w = server_initial(&frames);
    say(&b, FLOW_RESP, &w);
    w = initial_of(&other, 1);
    say(&b, FLOW_ORIG, &w);
    expect(&b, "quic",
           "1\t6162636465666768\t78797a\t7365727665\t-\t-\tIic\n"
           "1\t6162636465666768\t78797a\t-\t-\t-\tI\n");
}

static void unknown_version_is_logged_and_left(void **state)
{
    (void)state;
    struct wire w = {.size = 0};
    put_long(&w, 0xc0, 0x0a1a2a3a, STR("abcdefgh"), STR(""));
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &w);
    say(&b, FLOW_ORIG, &w);
    expect(&b, "", "unknown-a1a2a3a\t6162636465666768\t(empty)\t-\t-\t-\tU\n");
    w.size = 0; /* version negotiation */
    put_long(&w, 0xc0, 0, STR(""), STR("abcdefgh"));
    put32(&w, 1);
    expect_of(FLOW_RESP, &w, "", "unknown-0\t-\t-\t6162636465666768\t-\t-\tu\n");
}

static void drafts_have_salts(void **state)
{
    (void)state;
    static const uint32_t drafts[] = {0xff000016, 0xff00001c, 0xff000020, 0xff000022, 0xfaceb001};
    for (size_t i = 0; i < sizeof drafts / sizeof *drafts; i++) {
        struct wire w = rfc_client(drafts[i]);
        char row[128];
        snprintf(row, sizeof row, "%s\t8394c8f03e515708\t(empty)\t-\texample.com\talpn\tIS\n",
                 quic_version_name(drafts[i]));
        expect_of(FLOW_ORIG, &w, "quic,ssl", row);
    }
}

/* What is not QUIC after all loses its name, and what was logged before stays. */
static void broken_packets_end_it(void **state)
{
    (void)state;
    static const char *const frames[] = {
        "08010203",               /* a stream has no place here */
        "0600bfffffff00",         /* more data than there is */
        "02ffffffffffffffff0000", /* more ranges than there are */
        "060006020000000101",     /* less than it says */
        "06000602000001aabb",     /* more than the hello */
    };
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct wire plain = {.size = 0};
        put_hex(&plain, frames[i]);
        struct wire w = initial_of(&plain, 0);
        struct bed b;
        bed_open(&b, 784);
        say(&b, FLOW_ORIG, &w);
        say(&b, FLOW_ORIG, &w);
        bed_close(&b);
        assert_null(strstr(b.services, "quic"));
        assert_int_equal(strncmp(b.quic, "1\t6162636465666768\t78797a\t-\t-\t-\tI",
                                 strlen("1\t6162636465666768\t78797a\t-\t-\t-\tI")),
                         0);
        assert_null(strstr(b.quic, "II"));
        bed_free(&b);
    }
    struct wire w = rfc_client(QUIC_VERSION_1);
    w.bytes[700] ^= 1;
    expect_of(FLOW_ORIG, &w, "", "1\t8394c8f03e515708\t(empty)\t-\t-\t-\tI\n");
}

static void overlong_hello_is_ignored(void **state)
{
    (void)state;
    struct wire plain = {.size = 0};
    put_hex(&plain, "06000401004100");
    struct wire w = initial_of(&plain, 0);
    struct bed b;
    bed_open(&b, 784);
    say(&b, FLOW_ORIG, &w);
    say(&b, FLOW_ORIG, &w);
    expect(&b, "quic", "1\t6162636465666768\t78797a\t-\t-\t-\tII\n");
}

static void every_prefix_is_survived(void **state)
{
    (void)state;
    struct wire h = hello(200), frames = {.size = 0}, retry = {.size = 0};
    put_frame_crypto(&frames, 0, h.bytes, h.size);
    struct wire whole = initial_of(&frames, 0);
    put_hex(&retry, retry_packet);
    for (size_t size = 0; size < whole.size; size++) {
        struct wire w = whole, cut = retry;
        w.size = size;
        if (cut.size > size)
            cut.size = size;
        struct bed b;
        bed_open(&b, 784);
        say(&b, FLOW_RESP, &cut);
        say(&b, FLOW_ORIG, &w);
        bed_close(&b);
        bed_free(&b);
    }
    /* The same inside an Initial packet. */
    for (size_t size = 4; size < frames.size; size++) {
        struct wire plain = frames;
        plain.size = size;
        struct wire w = initial_of(&plain, 0);
        struct bed b;
        bed_open(&b, 784);
        say(&b, FLOW_ORIG, &w);
        bed_close(&b);
        bed_free(&b);
    }
}

static void history_and_work_have_ends(void **state)
{
    (void)state;
    struct wire ping = {.size = 0};
    put_hex(&ping, "0101010101");
    struct bed b;
    bed_open(&b, 784);
    for (uint32_t i = 0; i < QUIC_MAX_INITIALS + 50; i++) {
        struct wire w = initial_of(&ping, i);
        say(&b, FLOW_ORIG, &w);
    }
    bed_close(&b);
    char history[QUIC_MAX_HISTORY + 1] = "", row[256];
    memset(history, 'I', QUIC_MAX_HISTORY);
    snprintf(row, sizeof row, "1\t6162636465666768\t78797a\t-\t-\t-\t%s\n", history);
    assert_string_equal(b.quic, row);
    assert_string_equal(b.weird, "QUIC_max_history_length_reached\t-\tF\tzeek\t-\n");
    bed_free(&b);
}

static void changing_ids_have_a_bound(void **state)
{
    (void)state;
    struct bed b;
    bed_open(&b, 784);
    uint8_t id[QUIC_MAX_ID] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        struct wire w = {.size = 0};
        id[0] = (uint8_t)i;
        put_long(&w, 0xe0, QUIC_VERSION_1, STR("abc"), str_make(id, sizeof id));
        put8(&w, 0);
        say(&b, FLOW_ORIG, &w);
        assert_true(pool_used(b.context.pool) < 100000);
    }
    bed_close(&b);
    bed_free(&b);
}

static void memory_that_is_missing_costs_the_hello_only(void **state)
{
    (void)state;
    struct wire h = hello(3000), half = {.size = 0}, rest = {.size = 0};
    put_frame_crypto(&half, 0, h.bytes, 1500);
    put_frame_crypto(&rest, 1500, h.bytes + 1500, 1500);
    struct wire first = initial_of(&half, 0), second = initial_of(&rest, 1);
    for (size_t limit = 1024; limit < 20000; limit += 512) {
        struct bed b;
        bed_open(&b, 784);
        pool_free(b.context.pool);
        b.context.pool = pool_new(limit);
        say(&b, FLOW_ORIG, &first);
        say(&b, FLOW_ORIG, &second);
        bed_close(&b);
        bed_free(&b);
    }
}

static void content_tells(void **state)
{
    (void)state;
    struct wire w = rfc_client(QUIC_VERSION_2);
    struct bed b;
    bed_open(&b, 4433);
    say(&b, FLOW_ORIG, &w);
    expect(&b, "quic,ssl", "quicv2\t8394c8f03e515708\t(empty)\t-\texample.com\talpn\tIS\n");
    struct probe probe = {.data = {str_make(w.bytes, w.size), {NULL, 0}}};
    assert_int_equal(analyzer_quic.match(&probe), MATCH_YES);
    probe.data[0].len = 4;
    assert_int_equal(analyzer_quic.match(&probe), MATCH_MORE);
    probe.data[1] = STR("nothing");
    assert_int_equal(analyzer_quic.match(&probe), MATCH_NO);
    probe.data[1] = str_make("\xcf\0\0\0\1", 5);
    assert_int_equal(analyzer_quic.match(&probe), MATCH_YES);
    probe.data[1] = str_make("\xd0\0\0\0\1", 5); /* 0-RTT */
    assert_int_equal(analyzer_quic.match(&probe), MATCH_NO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc9001_conversation_is_read),
        cmocka_unit_test(rfc9369_client_is_read),
        cmocka_unit_test(retry_begins_a_new_row),
        cmocka_unit_test(frames_may_come_in_any_order),
        cmocka_unit_test(largest_hello_is_put_together),
        cmocka_unit_test(packets_share_a_datagram),
        cmocka_unit_test(close_ends_the_row),
        cmocka_unit_test(unknown_version_is_logged_and_left),
        cmocka_unit_test(drafts_have_salts),
        cmocka_unit_test(broken_packets_end_it),
        cmocka_unit_test(overlong_hello_is_ignored),
        cmocka_unit_test(every_prefix_is_survived),
        cmocka_unit_test(history_and_work_have_ends),
        cmocka_unit_test(changing_ids_have_a_bound),
        cmocka_unit_test(memory_that_is_missing_costs_the_hello_only),
        cmocka_unit_test(content_tells),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
