/* Files of the kernel, as several kernels write them. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/host.h"
#include "linux/interface.h"
#include "linux/port_owner.h"
#include "linux/text.h"

static void test_softnet(void **state)
{
    (void)state;
    static const char two[] =
        "00d1e2f3 0000000a 00000003 00000000 00000000 00000000 00000000 00000000 "
        "00000000 00000000 00000000 00000000 00000000\n"
        "00000001 00000001 00000000 00000000 00000000 00000000 00000000 00000000\n";
    struct linux_softnet out;
    linux_parse_softnet(two, &out);
    assert_int_equal(out.n_processors, 2);
    assert_int_equal(out.n_packets, 0xd1e2f4);
    assert_int_equal(out.n_dropped, 11);
    assert_int_equal(out.n_squeezed, 3);
    static const char *const none[] = {"", "\n", "xyz\n", "00000001 00000002\n"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        linux_parse_softnet(none[i], &out);
        assert_int_equal(out.n_processors, 0);
        assert_int_equal(out.n_dropped, 0);
    }
}

static void test_memory(void **state)
{
    (void)state;
    struct linux_memory out;
    assert_true(linux_parse_memory("MemTotal:        8000 kB\nMemFree:          100 kB\n"
                                   "MemAvailable:    5000 kB\nSwapTotal: 0 kB\n",
                                   &out));
    assert_int_equal(out.total, 8000 * 1024);
    assert_int_equal(out.available, 5000 * 1024);
    assert_false(linux_parse_memory("MemTotal:        8000 kB\n", &out));
    assert_false(linux_parse_memory("MemTotal: x\nMemAvailable: 1 kB\n", &out));
    assert_false(linux_parse_memory("", &out));
}

static void test_ticks(void **state)
{
    (void)state;
    struct linux_ticks out;
    assert_true(linux_parse_ticks("cpu  100 2 30 1000 40 5 6 77 9 9\ncpu0 1 2 3\n", &out));
    assert_int_equal(out.all, 100 + 2 + 30 + 1000 + 40 + 5 + 6 + 77);
    assert_int_equal(out.idle, 1040);
    assert_int_equal(out.stolen, 77);
    assert_false(linux_parse_ticks("cpu  100 2 30\ncpu0 1 2 3 4 5 6 7 8\n", &out));
    assert_false(linux_parse_ticks("cpu0 1 2 3 4 5 6 7 8\n", &out));
    assert_false(linux_parse_ticks("", &out));
}

static void test_cgroup(void **state)
{
    (void)state;
    char out[32];
    assert_true(linux_parse_cgroup("12:memory:/x\n0::/system.slice/a.service\n", out, sizeof out));
    assert_string_equal(out, "/system.slice/a.service");
    assert_true(linux_parse_cgroup("0::/", out, sizeof out));
    assert_string_equal(out, "/");
    assert_false(linux_parse_cgroup("12:memory:/x\n", out, sizeof out));
    assert_false(linux_parse_cgroup("0::/a-name-that-is-longer-than-the-room\n", out, sizeof out));
    assert_false(linux_parse_cgroup("", out, sizeof out));
}

static void test_udp_tables(void **state)
{
    (void)state;
    static const char heading[] = "   sl  local_address rem_address   st tx_queue rx_queue tr "
                                  "tm->when retrnsmt   uid  timeout "
                                  "inode ref pointer drops";
    static const char v4[] = "  629: 00000000:12B5 00000000:0000 07 00000000:00000000 00:00000000 "
                             "00000000     0        0 "
                             "23456 2 ffff8880 17         \n";
    static const char v6[] =
        "  629: 00000000000000000000000000000000:17C1 00000000000000000000000000000000:0000 07 "
        "00000000:00000000 00:00000000 00000000   104        0 0 2 0000000000000000 0\n";
    struct linux_udp_socket out;
    assert_false(linux_parse_udp_socket(heading, &out));
    assert_true(linux_parse_udp_socket(v4, &out));
    assert_int_equal(out.port, 4789);
    assert_int_equal(out.inode, 23456);
    assert_int_equal(out.n_dropped, 17);
    assert_true(linux_parse_udp_socket(v6, &out));
    assert_int_equal(out.port, 6081);
    assert_int_equal(out.inode, 0);
    assert_int_equal(out.n_dropped, 0);
    /* Every line that is cut before its inode is none, also with another behind it. */
    char cut[400];
    const size_t inode = (size_t)(strstr(v4, "23456") - v4);
    for (size_t n = 0; n <= inode; n++) {
        memcpy(cut, v4, n);
        memcpy(cut + n, "\n", 1);
        memcpy(cut + n + 1, v6, sizeof v6);
        if (linux_parse_udp_socket(cut, &out))
            fail_msg("%zu", n);
    }
}

static void test_names_of_counters(void **state)
{
    (void)state;
    static const char *const loss[] = {
        "rx_dropped",       "rx_missed_errors",       "rx_no_buffer_count",
        "rx_queue_0_drops", "rx_out_of_buffer",       "port.rx_discards",
        "rx_fifo_errors",   "pps_allowance_exceeded", "rx0_xsk_buff_alloc_err_drop"};
    static const char *const other[] = {"rx_packets",  "tx_dropped",       "rx_bytes",
                                        "rx_xdp_drop", "queue_0_tx_drops", "rx_csum_good"};
    for (size_t i = 0; i < sizeof loss / sizeof *loss; i++)
        if (!linux_counts_loss(loss[i]))
            fail_msg("%s", loss[i]);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (linux_counts_loss(other[i]))
            fail_msg("%s", other[i]);
}

static void test_files(void **state)
{
    (void)state;
    char path[] = "/tmp/host_test.XXXXXX", text[8];
    uint64_t n;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(text_read(path, text, sizeof text), 0);
    assert_false(text_read_number(path, &n));
    assert_int_equal(write(fd, "12345678901\n", 12), 12);
    assert_int_equal(text_read(path, text, sizeof text), 7); /* cut */
    assert_string_equal(text, "1234567");
    assert_true(text_read_number(path, &n));
    assert_int_equal(n, 12345678901);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "max\n", 4, 0), 4);
    assert_false(text_read_number(path, &n));
    /* Larger than the first piece. */
    char block[1000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 40; i++)
        assert_int_equal(pwrite(fd, block, sizeof block, i * 1000), 1000);
    char *all = text_read_all(path);
    assert_non_null(all);
    assert_int_equal(strlen(all), 40000);
    free(all);
    close(fd);
    unlink(path);
    assert_true(text_read(path, text, sizeof text) < 0);
    assert_null(text_read_all(path));
}

/* What this machine says cannot be known here, but it says something. */
static void test_this_machine(void **state)
{
    (void)state;
    struct linux_memory memory;
    struct linux_ticks ticks;
    assert_true(linux_memory(&memory));
    assert_true(memory.total >= memory.available && memory.available > 0);
    assert_true(linux_ticks(&ticks));
    assert_true(ticks.all >= ticks.idle);
    assert_true((linux_capabilities() != 0) == (geteuid() == 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_softnet),    cmocka_unit_test(test_memory),
        cmocka_unit_test(test_ticks),      cmocka_unit_test(test_cgroup),
        cmocka_unit_test(test_udp_tables), cmocka_unit_test(test_names_of_counters),
        cmocka_unit_test(test_files),      cmocka_unit_test(test_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
