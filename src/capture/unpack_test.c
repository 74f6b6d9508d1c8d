/* Compressed captures: gzip members, zstd frames, pipes, every kind of damage. */
#include "capture/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#define N_PACKETS 3000

static void add_gzip(struct build *out, const uint8_t *bytes, size_t size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&stream, size);
    uint8_t *packed = malloc(bound);
    assert_non_null(packed);
    uint8_t *input = malloc(size + 1);
    assert_non_null(input);
    memcpy(input, bytes, size);
    stream.next_in = input;
    stream.avail_in = (uInt)size;
    stream.next_out = packed;
    stream.avail_out = (uInt)bound;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    build_bytes(out, packed, bound - stream.avail_out);
    (void)deflateEnd(&stream);
    free(packed);
    free(input);
}

static void add_zstd(struct build *out, const uint8_t *bytes, size_t size)
{
    size_t bound = ZSTD_compressBound(size);
    uint8_t *packed = malloc(bound);
    assert_non_null(packed);
    size_t n = ZSTD_compress(packed, bound, bytes, size, 3);
    assert_false(ZSTD_isError(n));
    build_bytes(out, packed, n);
    free(packed);
}

static const struct packing {
    const char *name;
    void (*add)(struct build *out, const uint8_t *bytes, size_t size);
} packings[] = {{"gzip", add_gzip}, {"zstd", add_zstd}};

static void build_capture(struct build *build)
{
    build_pcap_header(build, 0xa1b2c3d4, 0, 1);
    for (unsigned k = 0; k < N_PACKETS; k++)
        build_pcap_record(build, k, 0, k * k, 60 + k % 1000, 1500);
}

/* Reads it; gives the number of packets, which are checked. */
static size_t read_bytes(struct seen *seen, const uint8_t *bytes, size_t size)
{
    struct err err = {""};
    if (!seen_file(seen, build_file("a.packed", bytes, size), 0, &err))
        fail_msg("%s", err.text);
    assert_int_equal(seen->result, 0);
    for (size_t k = 0; k < seen->n; k++) {
        assert_true(seen->frames[k].intact);
        assert_int_equal(seen->frames[k].ts, (int64_t)k * 1000000000);
        assert_int_equal(seen->frames[k].size, 60 + k % 1000);
    }
    return seen->n;
}

static void test_whole(void **state)
{
    (void)state;
    struct build build = {0};
    build_capture(&build);
    for (size_t i = 0; i < 2; i++) {
        struct build packed = {0};
        packings[i].add(&packed, build.bytes, build.size);
        struct seen seen;
        assert_int_equal(read_bytes(&seen, packed.bytes, packed.size), N_PACKETS);
        assert_int_equal(seen.n_warnings, 0);
        seen_done(&seen);
        build_done(&packed);
    }
    build_done(&build);
}

/* Parts one after the other, empty ones among them. */
static void test_parts(void **state)
{
    (void)state;
    struct build build = {0};
    build_capture(&build);
    for (size_t i = 0; i < 2; i++) {
        struct build packed = {0};
        if (i == 1)
            build_bytes(&packed, "\x50\x2a\x4d\x18\3\0\0\0abc", 11); /* a skippable frame */
        for (size_t at = 0; at < build.size;) {
            size_t n = build.size - at < 99999 ? build.size - at : 99999;
            packings[i].add(&packed, build.bytes + at, n);
            packings[i].add(&packed, build.bytes, 0);
            at += n;
        }
        struct seen seen;
        assert_int_equal(read_bytes(&seen, packed.bytes, packed.size), N_PACKETS);
        assert_int_equal(seen.n_warnings, 0);
        seen_done(&seen);
        if (i == 0) {
            static const uint8_t zeros[1000];
            build_bytes(&packed, zeros, sizeof zeros); /* as on tapes */
            assert_int_equal(read_bytes(&seen, packed.bytes, packed.size), N_PACKETS);
            assert_int_equal(seen.n_warnings, 0);
            seen_done(&seen);
        }
        build_bytes(&packed, "rubbish", 7);
        assert_int_equal(read_bytes(&seen, packed.bytes, packed.size), N_PACKETS);
        assert_int_equal(seen.n_warnings, 1);
        seen_done(&seen);
        build_done(&packed);
    }
    build_done(&build);
}

static void test_cut(void **state)
{
    (void)state;
    struct build build = {0};
    build_capture(&build);
    for (size_t i = 0; i < 2; i++) {
        struct build packed = {0};
        packings[i].add(&packed, build.bytes, build.size);
        size_t n_before = 0;
        for (size_t size = 6; size < packed.size; size += packed.size / 50) {
            struct seen seen = {0};
            struct err err = {""};
            const char *path = build_file("a.packed", packed.bytes, size);
            if (!seen_file(&seen, path, 0, &err)) {
                assert_non_null(strstr(err.text, "a.packed: its "));
                assert_non_null(strstr(err.text, "cut short at byte"));
                continue;
            }
            seen_done(&seen);
            size_t n = read_bytes(&seen, packed.bytes, size);
            assert_true(n >= n_before);
            n_before = n;
            assert_int_equal(seen.n_warnings, 1);
            assert_non_null(strstr(seen.warnings, "a.packed: its "));
            assert_non_null(strstr(seen.warnings, packings[i].name));
            char offset[48];
            (void)snprintf(offset, sizeof offset, "cut short at byte %zu", size);
            assert_non_null(strstr(seen.warnings, offset));
            seen_done(&seen);
        }
        assert_true(n_before > N_PACKETS / 2);
        build_done(&packed);
    }
    build_done(&build);
}

/* A changed byte somewhere: what came out before it is given, the rest is not; nothing breaks. */
static void test_damage(void **state)
{
    (void)state;
    struct build build = {0};
    build_capture(&build);
    for (size_t i = 0; i < 2; i++) {
        struct build packed = {0};
        packings[i].add(&packed, build.bytes, build.size);
        size_t most = 0;
        for (size_t at = packed.size / 3; at < packed.size; at += packed.size / 40) {
            packed.bytes[at] ^= 0x55;
            struct seen seen = {0};
            struct err err = {""};
            if (seen_file(&seen, build_file("a.packed", packed.bytes, packed.size), 0, &err)) {
                assert_true(seen.n_warnings >= 1 || seen.n == N_PACKETS);
                most = seen.n > most ? seen.n : most;
            }
            seen_done(&seen);
            packed.bytes[at] ^= 0x55;
        }
        assert_true(most > N_PACKETS / 2);
        build_done(&packed);
    }
    build_done(&build);
}

/* Compressed, but no capture inside. */
static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (unsigned j = 0; j < 3; j++) {
            static const char *const texts[] = {
                "a.packed: is empty",
                "a.packed: not a capture file (pcap or pcapng): begins with 68", "a.packed: its "};
            struct build packed = {0};
            packings[i].add(&packed, (const uint8_t *)"hello world", j == 0 ? 0 : 11);
            size_t size = j == 2 ? 6 : packed.size;
            struct seen seen = {0};
            struct err err = {""};
            assert_false(seen_file(&seen, build_file("a.packed", packed.bytes, size), 0, &err));
            if (!strstr(err.text, texts[j]))
                fail_msg("%s", err.text);
            build_done(&packed);
        }
}

static int teardown(void **state)
{
    (void)state;
    build_remove_files();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),  cmocka_unit_test(test_parts),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_damage), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
