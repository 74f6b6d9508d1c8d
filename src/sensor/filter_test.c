/* Filters see the inner packet, whatever was around it. */
#include "sensor/pipeline_bed.h"

static size_t n_passed(const struct frame_list *l, const char *expression, bool mirror)
{
    struct err err;
    struct filter *filter;
    if (filter_compile(expression, &filter, &err) < 0)
        fail_msg("%s", err.text);
    struct pipeline_options options = {.mirror = mirror, .filter = filter};
    options.stack.auto_mirror = mirror;
    struct run_seen seen;
    run_frames(l, options, 1, 32, &seen);
    size_t n = seen.counters.n_packets - seen.counters.n_filtered;
    size_t rows = log_rows(seen.text[0]);
    assert_int_equal(rows > 0, n > 0);
    run_free(&seen);
    filter_free(filter);
    return n;
}

static void test_plain_and_mirrored(void **state)
{
    (void)state;
    struct frame_list plain, wrapped;
    frames_open(&plain);
    frames_open(&wrapped);
    struct talk web =
        talk_begin(&plain, frame_addr(10, 0, 0, 1), 40000, frame_addr(10, 0, 0, 2), 80);
    talk_hello(&web);
    talk_bye(&web);
    struct talk other =
        talk_begin(&plain, frame_addr(10, 0, 0, 3), 40001, frame_addr(10, 0, 0, 4), 9999);
    talk_udp(&other, 0, "x", 1);
    frames_wrap(&plain, &wrapped, 1, 7);
    static const struct {
        const char *expression;
        size_t n;
    } rows[] = {
        {"tcp", 6},
        {"udp", 1},
        {"tcp port 80", 6},
        {"port 4789", 0}, /* the mirror's own */
        {"host 10.0.0.3", 1},
        {"src host 10.0.0.2", 2},
        {"net 192.168.255.0/24", 0},
        {"tcp[tcpflags] & tcp-syn != 0", 2},
        {"ether host 02:00:00:00:00:01", 7},
        {"ip6", 0},
        {"ip and not tcp", 1},
        {"less 60", 7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(n_passed(&plain, rows[i].expression, false), rows[i].n);
        assert_int_equal(n_passed(&wrapped, rows[i].expression, true), rows[i].n);
    }
    assert_int_equal(n_passed(&wrapped, "port 4789", false),
                     7); /* not a mirror: monitored traffic */
    frames_free(&plain);
    frames_free(&wrapped);
}

/* Without a link header, questions about IP are answered, those about Ethernet match nothing. */
static void test_bare_ip(void **state)
{
    (void)state;
    struct frame_bed b;
    struct addr src = frame_addr(10, 0, 0, 1), dst = frame_addr(10, 0, 0, 2);
    frame_begin(&b, "x", 1);
    frame_udp(&b, 1000, 53);
    frame_ip(&b, &src, &dst, 17);
    struct packet p = {.kind = PACKET_IP,
                       .frame = frame_bytes(&b),
                       .frame_size = (uint32_t)frame_size(&b),
                       .frame_wire_size = (uint32_t)frame_size(&b),
                       .frame_link = LINK_RAW,
                       .ip = frame_bytes(&b),
                       .ip_size = (uint32_t)frame_size(&b),
                       .ip_len = (uint32_t)frame_size(&b)};
    static const struct {
        const char *expression;
        bool passes;
    } rows[] = {
        {"udp port 53", true}, {"tcp", false}, {"ether host 02:00:00:00:00:01", false}, {"", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct filter *filter;
        struct err err;
        assert_int_equal(filter_compile(rows[i].expression, &filter, &err), 0);
        assert_int_equal(filter_passes(filter, &p), rows[i].passes);
        p.kind = PACKET_OTHER;
        assert_false(filter_passes(filter, &p));
        p.kind = PACKET_IP;
        filter_free(filter);
    }
}

static void test_wrong_expressions(void **state)
{
    (void)state;
    static const char *const wrong[] = {"port", "tcp and", "no such thing", "host 300.1.1.1",
                                        "((("};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct filter *filter = NULL;
        struct err err = {{0}};
        assert_true(filter_compile(wrong[i], &filter, &err) < 0);
        assert_null(filter);
        assert_non_null(strstr(err.text, wrong[i]));
    }
    filter_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_and_mirrored),
        cmocka_unit_test(test_bare_ip),
        cmocka_unit_test(test_wrong_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
