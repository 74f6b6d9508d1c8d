/* pcap: every kind of header, and every prefix of a small file. */
#include "capture/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const size_t block_sizes[] = {0, 1, 7, 64, 4096};
#define N_BLOCK_SIZES (sizeof block_sizes / sizeof *block_sizes)

static void read_bytes(struct seen *seen, const struct build *build, size_t block_size)
{
    struct err err = {""};
    const char *path = build_file("a.pcap", build->bytes, build->size);
    if (!seen_file(seen, path, block_size, &err))
        fail_msg("%s", err.text);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct {
        uint32_t magic;
        int64_t unit;
        uint32_t extra;
    } kinds[] = {{0xa1b2c3d4, 1000, 0}, {0xa1b23c4d, 1, 0}, {0xa1b2cd34, 1000, 8}};
    for (size_t i = 0; i < 2 * sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < N_BLOCK_SIZES; j++) {
            struct build build = {.big = i % 2};
            build_pcap_header(&build, kinds[i / 2].magic, 65535, 113);
            for (unsigned k = 0; k < 100; k++) {
                uint32_t size = k * 13 % 150;
                build_u32(&build, 1700000000 + k);
                build_u32(&build, 999999 - k);
                build_u32(&build, size);
                build_u32(&build, size + k % 2 * 1000);
                if (kinds[i / 2].extra > 0)
                    build_u64(&build, 0x1122334455667788);
                build_frame(&build, k, size);
            }
            struct seen seen;
            read_bytes(&seen, &build, block_sizes[j]);
            assert_int_equal(seen.n, 100);
            assert_int_equal(seen.result, 0);
            assert_int_equal(seen.n_warnings, 0);
            for (unsigned k = 0; k < 100; k++) {
                uint32_t size = k * 13 % 150;
                assert_int_equal(seen.frames[k].ts, (1700000000 + (int64_t)k) * 1000000000 +
                                                        (999999 - k) * kinds[i / 2].unit);
                assert_int_equal(seen.frames[k].size, size);
                assert_int_equal(seen.frames[k].wire_size,
                                 size == 0 && k % 2 == 0 ? 0 : size + k % 2 * 1000);
                assert_int_equal(seen.frames[k].link, 113);
                assert_true(seen.frames[k].intact);
                assert_int_equal(seen.frames[k].seed, size > 0 ? k : 0);
            }
            seen_done(&seen);
            build_done(&build);
        }
}

/* Versions before 2.4 have the two sizes in other orders. */
static void test_old_versions(void **state)
{
    (void)state;
    for (unsigned minor = 1; minor <= 3; minor++) {
        struct build build = {0};
        build_pcap_header(&build, 0xa1b2c3d4, 65535, 1);
        build.bytes[6] = (uint8_t)minor;
        for (unsigned k = 0; k < 4; k++) {
            bool swapped = minor < 3 || k % 2;
            build_u64(&build, k);
            build_u32(&build, swapped ? 90 : 60);
            build_u32(&build, swapped ? 60 : 90);
            build_frame(&build, k, 60);
        }
        struct seen seen;
        read_bytes(&seen, &build, 0);
        assert_int_equal(seen.n, 4);
        assert_int_equal(seen.n_warnings, 0);
        for (unsigned k = 0; k < 4; k++) {
            assert_int_equal(seen.frames[k].size, 60);
            assert_int_equal(seen.frames[k].wire_size, 90);
            assert_int_equal(seen.frames[k].seed, k);
        }
        seen_done(&seen);
        build_done(&build);
    }
}

/* 0, huge, and one that the packets do not keep to. A wire size that is less than what was captured
 * is raised to it, but for 0. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        uint32_t snap_size, seen, warnings;
    } cases[] = {{0, 500, 0},
                 {UINT32_MAX, 500, 0},
                 {0x80000000, 500, 0},
                 {0x7fffffff, 500, 0},
                 {500, 500, 0},
                 {499, 499, 1},
                 {1, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct build build = {0};
        build_pcap_header(&build, 0xa1b2c3d4, cases[i].snap_size, 1);
        build_pcap_record(&build, 1, 0, 1, 500, 600);
        build_pcap_record(&build, 2, 0, 2, 500, 400);
        build_pcap_record(&build, 3, 0, 3, 500, 0);
        build_pcap_record(&build, 4, 0, 4, 0, 0);
        struct seen seen;
        read_bytes(&seen, &build, 0);
        assert_int_equal(seen.n, 4);
        assert_int_equal(seen.n_warnings, cases[i].warnings);
        for (unsigned k = 0; k < 4; k++) {
            static const uint32_t wire_sizes[] = {600, 500, 0, 0};
            assert_int_equal(seen.frames[k].wire_size, wire_sizes[k]);
        }
        seen_done(&seen);
        build_done(&build);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    struct build build = {0};
    size_t ends[5] = {24};
    build_pcap_header(&build, 0xa1b2c3d4, 65535, 1);
    for (unsigned k = 0; k < 4; k++) {
        build_pcap_record(&build, 10 + k, 0, k + 1, 20 * k, 20 * k);
        ends[k + 1] = build.size;
    }
    for (size_t size = 0; size <= build.size; size++) {
        struct seen seen;
        struct err err = {""};
        const char *path = build_file("a.pcap", build.bytes, size);
        bool opened = seen_file(&seen, path, size % 3 ? 0 : 16, &err);
        assert_int_equal(opened, size >= 24);
        if (!opened) {
            assert_non_null(strstr(err.text, "a.pcap: "));
            assert_non_null(strstr(err.text, size == 0  ? "empty"
                                             : size < 4 ? "not a capture file"
                                                        : "cut in the middle of its pcap file"));
            continue;
        }
        size_t n = 0;
        while (n < 4 && ends[n + 1] <= size)
            n++;
        assert_int_equal(seen.n, n);
        assert_int_equal(seen.result, 0);
        assert_int_equal(seen.n_warnings, size > ends[n]);
        if (seen.n_warnings > 0) {
            char offset[40];
            (void)snprintf(offset, sizeof offset, "begins at byte %zu:", ends[n]);
            assert_non_null(strstr(seen.warnings, offset));
            assert_non_null(strstr(seen.warnings, "a.pcap: is cut short"));
        }
        for (size_t k = 0; k < n; k++)
            assert_true(seen.frames[k].intact);
        seen_done(&seen);
    }
    build_done(&build);
}

static void test_hostile_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {(16u << 20) + 1, 0x80000000, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct build build = {0};
        build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
        build_pcap_record(&build, 1, 0, 1, 60, 60);
        build_u64(&build, 2);
        build_u32(&build, sizes[i]);
        build_u32(&build, 60);
        build_frame(&build, 3, 3000);
        struct seen seen;
        read_bytes(&seen, &build, i % 2 ? 8 : 0);
        assert_int_equal(seen.n, 1);
        assert_int_equal(seen.n_warnings, 1);
        assert_non_null(strstr(seen.warnings, "more than 16 MiB at byte 100:"));
        seen_done(&seen);
        build_done(&build);
    }
}

/* Packets longer than a block, between short ones. */
static void test_long_packets(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {60, 70000, 60, 262144, 1500, 3u << 20, 16u << 20, 60};
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 1);
    for (unsigned k = 0; k < 8; k++)
        build_pcap_record(&build, k, 0, k, sizes[k], sizes[k]);
    for (size_t i = 0; i < 3; i++) {
        struct seen seen;
        read_bytes(&seen, &build, i * 5000);
        assert_int_equal(seen.n, 8);
        assert_int_equal(seen.n_warnings, 0);
        for (unsigned k = 0; k < 8; k++) {
            assert_int_equal(seen.frames[k].size, sizes[k]);
            assert_true(seen.frames[k].intact);
        }
        seen_done(&seen);
    }
    build_done(&build);
}

static void test_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct err err = {""};
    struct build build = {0};
    build_pcap_header(&build, 0xa1b2c3d4, 0, 0x00020001);
    assert_false(seen_file(&seen, build_file("a.pcap", build.bytes, build.size), 0, &err));
    assert_non_null(strstr(err.text, "link type"));
    build.bytes[22] = 0;
    build.bytes[23] = 0x24; /* 2 * 16 bits of checksum follow each frame: not part of the type */
    assert_true(seen_file(&seen, build_file("a.pcap", build.bytes, build.size), 0, &err));
    seen_done(&seen);
    build.bytes[4] = 1;
    assert_false(seen_file(&seen, build_file("a.pcap", build.bytes, build.size), 0, &err));
    assert_non_null(strstr(err.text, "version"));
    build_done(&build);
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
        cmocka_unit_test(test_kinds),        cmocka_unit_test(test_old_versions),
        cmocka_unit_test(test_sizes),        cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_hostile_size), cmocka_unit_test(test_long_packets),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
