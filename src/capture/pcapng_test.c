/* pcapng: every block and clock, sections and interfaces that change, every prefix of a small file.
 */
#include "capture/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void read_bytes(struct seen *seen, const struct build *build, size_t block_size)
{
    struct err err = {""};
    const char *path = build_file("a.pcapng", build->bytes, build->size);
    if (!seen_file(seen, path, block_size, &err))
        fail_msg("%s", err.text);
}

/* Blocks that are skipped: name resolution, statistics, secrets, somebody's own. */
static void build_others(struct build *build)
{
    static const uint32_t types[] = {4, 5, 10, 0xbad, 0x80000001};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct build body = {.big = build->big};
        build_frame(&body, 1, i * 50);
        build_block(build, types[i], &body);
        build_done(&body);
    }
}

static void build_simple_packet(struct build *build, unsigned seed, uint32_t size,
                                uint32_t wire_size)
{
    struct build body = {.big = build->big};
    build_u32(&body, wire_size);
    build_frame(&body, seed, size);
    build_block(build, 3, &body);
    build_done(&body);
}

static void build_old_packet(struct build *build, unsigned interface, uint64_t ticks, unsigned seed,
                             uint32_t size)
{
    struct build body = {.big = build->big};
    build_u16(&body, interface);
    build_u16(&body, 99); /* drops */
    build_u32(&body, ticks >> 32);
    build_u32(&body, ticks & UINT32_MAX);
    build_u32(&body, size);
    build_u32(&body, size);
    build_frame(&body, seed, size);
    build_block(build, 2, &body);
    build_done(&body);
}

/* Two interfaces of different link types, all kinds of packets, other blocks between them; then a
 * section in the other byte order, whose interfaces are its own. */
static void build_all(struct build *build, bool big)
{
    build->big = big;
    build_section(build);
    build_others(build);
    build_interface(build, 1, 100, -1, 0);
    build_packet(build, 0, 5000000, 1, 61, 61);
    build_interface(build, 113, 0, 9, 0);
    build_others(build);
    build_packet(build, 1, 6000000001, 2, 62, 1500);
    build_packet(build, 0, 7000000, 3, 0, 0);
    build_simple_packet(build, 4, 44, 44);
    build_simple_packet(build, 5, 100, 300); /* cut to the first interface's snap length */
    build_old_packet(build, 1, 8000000002, 6, 66);
    build->big = !big;
    build_section(build);
    build_interface(build, 101, 0, 3, 0);
    build_packet(build, 0, 9123, 7, 67, 67);
}

static void test_all(void **state)
{
    (void)state;
    static const struct {
        int64_t ts;
        uint32_t size, wire_size;
        uint16_t link;
        unsigned seed;
    } expected[] = {{5000000000, 61, 61, 1, 1},   {6000000001, 62, 1500, 113, 2},
                    {7000000000, 0, 0, 1, 0},     {7000000000, 44, 44, 1, 4},
                    {7000000000, 100, 300, 1, 5}, {8000000002, 66, 66, 113, 6},
                    {9123000000, 67, 67, 101, 7}};
    for (size_t i = 0; i < 8; i++) {
        struct build build = {0};
        build_all(&build, i % 2);
        struct seen seen;
        read_bytes(&seen, &build, i / 2 * 30);
        assert_int_equal(seen.n, 7);
        assert_int_equal(seen.n_warnings, 0);
        assert_int_equal(seen.result, 0);
        for (size_t k = 0; k < 7; k++) {
            assert_int_equal(seen.frames[k].ts, expected[k].ts);
            assert_int_equal(seen.frames[k].size, expected[k].size);
            assert_int_equal(seen.frames[k].wire_size, expected[k].wire_size);
            assert_int_equal(seen.frames[k].link, expected[k].link);
            assert_int_equal(seen.frames[k].seed, expected[k].seed);
            assert_true(seen.frames[k].intact);
        }
        seen_done(&seen);
        build_done(&build);
    }
}

static void test_clocks(void **state)
{
    (void)state;
    static const struct {
        int resolution;
        int64_t offset;
        uint64_t ticks;
        int64_t ts;
    } rows[] = {
        {-1, 0, 1700000000123456, 1700000000123456000},
        {6, 0, 1700000000123456, 1700000000123456000},
        {9, 0, 1700000000123456789, 1700000000123456789},
        {3, 0, 1700000000123, 1700000000123000000},
        {0, 0, 1700000000, 1700000000000000000},
        {12, 0, 1700000000123456789, 1700000000123456},
        {28, 0, UINT64_MAX, 1},
        {29, 0, UINT64_MAX, 0},
        {127, 0, UINT64_MAX, 0},
        {0x80, 0, 1700000000, 1700000000000000000},
        {0x80 | 1, 0, 3, 1500000000},
        {0x80 | 10, 0, 1700000000ULL << 10 | 512, 1700000000500000000},
        {0x80 | 32, 0, 1700000000ULL << 32 | 1U << 31, 1700000000500000000},
        {0x80 | 63, 0, UINT64_MAX, 1999999999},
        {0x80 | 64, 0, UINT64_MAX, 999999999},
        {0xff, 0, UINT64_MAX, 0},
        {6, 1700000000, 123456, 1700000000123456000},
        {9, -5, 6000000000, 1000000000},
        {0x80 | 10, 100, 1024, 101000000000},
        {12, 1, 1000000, 1000001000},
        /* What does not fit is the last moment that does. */
        {0, 0, UINT64_MAX, INT64_MAX},
        {6, 0, UINT64_MAX, INT64_MAX},
        {9, 0, UINT64_MAX, INT64_MAX},
        {6, INT64_MAX, 1, INT64_MAX},
        {6, INT64_MIN, 0, INT64_MIN},
        {0x80, 0, UINT64_MAX, INT64_MAX},
        {6, 9000000000, 9000000000000000, INT64_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct build build = {.big = i % 2};
        build_section(&build);
        build_interface(&build, 1, 0, rows[i].resolution, rows[i].offset);
        build_packet(&build, 0, rows[i].ticks, 1, 60, 60);
        struct seen seen;
        read_bytes(&seen, &build, 0);
        assert_int_equal(seen.n, 1);
        if (seen.frames[0].ts != rows[i].ts)
            fail_msg("row %zu: %lld", i, (long long)seen.frames[0].ts);
        seen_done(&seen);
        build_done(&build);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    struct build build = {0};
    size_t section_end = 0;
    build_section(&build);
    section_end = build.size;
    build_done(&build);
    build_all(&build, false);
    struct seen whole;
    read_bytes(&whole, &build, 0);
    size_t n_before = 0;
    for (size_t size = 0; size <= build.size; size++) {
        struct seen seen;
        struct err err = {""};
        const char *path = build_file("a.pcapng", build.bytes, size);
        bool opened = seen_file(&seen, path, size % 3 ? 0 : 16, &err);
        assert_int_equal(opened, size >= section_end);
        if (!opened) {
            assert_non_null(strstr(err.text, "a.pcapng: "));
            continue;
        }
        assert_true(seen.n >= n_before && seen.n <= n_before + 1);
        n_before = seen.n;
        assert_int_equal(seen.result, 0);
        assert_true(seen.n_warnings <= 1);
        for (size_t k = 0; k < seen.n; k++) {
            assert_true(seen.frames[k].intact);
            assert_int_equal(seen.frames[k].ts, whole.frames[k].ts);
        }
        if (size == build.size) {
            assert_int_equal(seen.n, 7);
            assert_int_equal(seen.n_warnings, 0);
        }
        if (size == build.size - 1)
            assert_non_null(strstr(seen.warnings, "is cut short"));
        seen_done(&seen);
    }
    seen_done(&whole);
    build_done(&build);
}

/* What is wrong, and after how many of the two packets around it. */
static void test_damage(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 9; i++) {
        struct build build = {0};
        struct build body = {0};
        build_section(&build);
        build_interface(&build, 1, 0, -1, 0);
        build_packet(&build, 0, 1, 1, 60, 60);
        size_t at = build.size;
        const char *what = NULL;
        switch (i) {
        case 0: /* captured size larger than the block */
            build_packet(&build, 0, 2, 2, 60, 60);
            build.bytes[at + 20] = 200;
            what = "longer than its block";
            break;
        case 1: /* last length */
            build_packet(&build, 0, 2, 2, 60, 60);
            build.bytes[build.size - 4]++;
            what = "lengths differ";
            break;
        case 2:
            build_u32(&build, 6);
            build_u32(&build, 11);
            build_u32(&build, 0);
            what = "less than 12";
            break;
        case 3:
            build_u32(&build, 6);
            build_u32(&build, 0x7ffffffc);
            build_u32(&build, 0);
            what = "more than 16 MiB";
            break;
        case 4: /* a block that is skipped, to far behind the end */
            build_u32(&build, 0xbad);
            build_u32(&build, UINT32_MAX);
            build_u32(&build, 0);
            what = "cut short";
            break;
        case 5: /* an interface that is not there: left out, and on it goes */
            build_packet(&build, 7, 2, 2, 60, 60);
            what = "1 packets of interfaces that the file does not describe";
            break;
        case 6:
            build_u32(&build, 0x0a0d0d0a);
            build_u32(&build, 28);
            build_u32(&build, 0x11223344);
            what = "byte order";
            break;
        case 7:
            build_block(&build, 1, &body);
            what = "too short";
            break;
        case 8:
            build_u32(&body, 0x1a2b3c4d);
            build_u32(&body, 2);
            build_u64(&body, 0);
            build_block(&build, 0x0a0d0d0a, &body);
            what = "version";
            break;
        }
        build_packet(&build, 0, 3, 3, 60, 60);
        for (size_t block_size = 0; block_size < 60; block_size += 29) {
            struct seen seen;
            read_bytes(&seen, &build, block_size);
            assert_int_equal(seen.n, i == 5 ? 2 : 1);
            assert_int_equal(seen.n_warnings, 1);
            assert_non_null(strstr(seen.warnings, what));
            char offset[40];
            (void)snprintf(offset, sizeof offset, "at byte %zu:", at);
            if (i != 5 && i != 4)
                assert_non_null(strstr(seen.warnings, offset));
            seen_done(&seen);
        }
        build_done(&body);
        build_done(&build);
    }
}

/* A block of 20 MiB of no interest, and 3000 interfaces. */
static void test_large(void **state)
{
    (void)state;
    struct build build = {0};
    struct build body = {0};
    build_section(&build);
    build_frame(&body, 1, 20u << 20);
    build_block(&build, 0xbad, &body);
    for (unsigned k = 0; k < 3000; k++)
        build_interface(&build, k, 0, -1, 0);
    build_packet(&build, 2999, 1, 1, 60, 60);
    struct seen seen;
    read_bytes(&seen, &build, 0);
    assert_int_equal(seen.n, 1);
    assert_int_equal(seen.n_warnings, 0);
    assert_int_equal(seen.frames[0].link, 2999);
    seen_done(&seen);
    build_done(&body);
    build_done(&build);
}

/* Options that do not fit end the options, not the interface; lengths without their padding. */
static void test_sloppy_writers(void **state)
{
    (void)state;
    struct build build = {0};
    struct build body = {0};
    build_section(&build);
    build_u16(&body, 1);
    build_u16(&body, 0);
    build_u32(&body, 0);
    build_u16(&body, 9);
    build_u16(&body, 1);
    build_u32(&body, 9);
    build_u16(&body, 14);
    build_u16(&body, 800);
    build_block(&build, 1, &body);
    size_t at = build.size;
    build_packet(&build, 0, 1000000001, 1, 62, 62);
    build.bytes[at + 4] = build.bytes[build.size - 4] = (uint8_t)(build.size - at - 2);
    build_packet(&build, 0, 1000000002, 2, 60, 60);
    struct seen seen;
    read_bytes(&seen, &build, 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.n_warnings, 0);
    assert_int_equal(seen.frames[0].ts, 1000000001);
    assert_int_equal(seen.frames[1].ts, 1000000002);
    seen_done(&seen);
    build_done(&body);
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
        cmocka_unit_test(test_all),          cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_large),        cmocka_unit_test(test_sloppy_writers),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
