/* From frames to logs: the same lines whatever the number of workers and the size of bursts; the
 * same connections plain, mirrored, and mirrored twice. */
#include "sensor/pipeline_bed.h"

static const uint8_t question[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\7example\0\0\1\0\1";
static const uint8_t answer[] = "\x12\x34\x81\x80\0\1\0\1\0\0\0\0\1a\7example\0\0\1\0\1\xc0\x0c\0\1"
                                "\0\1\0\0\0\x3c\0\4\xc0\0\2\1";

static void add_web(struct frame_list *l, uint8_t host, uint16_t port)
{
    struct talk t =
        talk_begin(l, frame_addr(10, 0, 0, host), port, frame_addr(93, 184, 216, 34), 80);
    talk_hello(&t);
    talk_segment(&t, 0, 24, "GET /index.html HTTP/1.1\r\nHost: example.com\r\n\r\n");
    talk_segment(&t, 1, 24,
                 "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    talk_segment(&t, 1, 24, "hello");
    talk_segment(&t, 0, 16, "");
    talk_bye(&t);
}

static void add_dns(struct frame_list *l, uint8_t host, uint16_t port)
{
    struct talk t = talk_begin(l, frame_addr(10, 0, 0, host), port, frame_addr(192, 0, 2, 53), 53);
    talk_udp(&t, 0, question, sizeof question - 1);
    talk_udp(&t, 1, answer, sizeof answer - 1);
}

static void add_attempts(struct frame_list *l, uint8_t host)
{
    for (uint16_t i = 0; i < 20; i++) {
        struct talk t = talk_begin(l, frame_addr(10, 0, 0, host), 50000, frame_addr(192, 0, 2, 7),
                                   (uint16_t)(1 + i * 97));
        talk_segment(&t, 0, 2, "");
        if (i % 3 == 0)
            talk_segment(&t, 1, 20, "");
    }
}

static void add_pings(struct frame_list *l, uint8_t host)
{
    struct addr a = frame_addr(10, 0, 0, host), c = frame_addr(192, 0, 2, 9);
    for (int i = 0; i < 4; i++) {
        struct frame_bed b;
        frame_begin(&b, "payload.", 8);
        frame_icmp(&b, i & 1 ? 0 : 8, 0);
        b.ip_id = (uint16_t)(i + 1);
        frame_ip(&b, i & 1 ? &c : &a, i & 1 ? &a : &c, 1);
        frame_ethernet(&b);
        frames_add_bed(l, &b);
    }
}

static void add_everything(struct frame_list *l)
{
    for (uint8_t i = 0; i < 12; i++) {
        add_web(l, (uint8_t)(1 + i % 3), (uint16_t)(40000 + i));
        add_dns(l, (uint8_t)(1 + i), (uint16_t)(30000 + i));
        add_pings(l, (uint8_t)(1 + i));
    }
    add_attempts(l, 66);
}

/* The datagram's length is not the packet's: logged once for each originator. */
static void add_lies(struct frame_list *l)
{
    for (uint16_t i = 0; i < 16; i++) {
        struct addr a = frame_addr(10, 0, 0, 77), c = frame_addr(192, 0, 2, 9);
        struct frame_bed b;
        frame_begin(&b, "payload.", 8);
        frame_udp(&b, (uint16_t)(21000 + i), 9999);
        frame_set16(&b, 4, 12);
        frame_ip(&b, &a, &c, 17);
        frame_ethernet(&b);
        frames_add_bed(l, &b);
    }
}

/* VXLAN, and IP in IP, of the monitored traffic. */
static void add_tunnels(struct frame_list *l)
{
    struct frame_list inner;
    frames_open(&inner);
    inner.now = l->now;
    add_web(&inner, 1, 41000);
    add_dns(&inner, 2, 41001);
    add_pings(&inner, 3);
    frames_wrap(&inner, l, 1, 5);
    struct addr a = frame_addr(172, 16, 0, 1), c = frame_addr(172, 16, 0, 2);
    for (size_t i = 0; i < inner.n; i++) {
        struct frame_bed b;
        frame_begin(&b, inner.frames[i].bytes + 14, inner.frames[i].size - 14);
        frame_ip(&b, &a, &c, 4);
        frame_ethernet(&b);
        frames_add_bed(l, &b);
    }
    frames_free(&inner);
}

/* ---- */

static void test_what_is_logged(void **state)
{
    (void)state;
    struct frame_list l;
    struct run_seen seen;
    frames_open(&l);
    add_web(&l, 1, 40000);
    add_dns(&l, 2, 30000);
    run_frames(&l, (struct pipeline_options){.community_id = true}, 1, 32, &seen);
    assert_int_equal(log_rows(seen.text[0]), 2);
    size_t web = strstr(log_row(seen.text[0], 0), "http") < log_row(seen.text[0], 1) ? 0 : 1;
    CHECK_CELL(seen.text[0], web, "service", "http");
    CHECK_CELL(seen.text[0], web, "conn_state", "SF");
    CHECK_CELL(seen.text[0], web, "history", "ShADdFf");
    CHECK_CELL(seen.text[0], !web, "service", "dns");
    CHECK_CELL(seen.text[1], 0, "query", "a.example");
    CHECK_CELL(seen.text[1], 0, "answers", "192.0.2.1");
    CHECK_CELL(seen.text[2], 0, "uri", "/index.html");
    CHECK_CELL(seen.text[2], 0, "status_code", "200");
    CHECK_CELL(seen.text[3], 0, "seen_bytes", "5");
    char *one = log_cell(seen.text[0], web, "uid"), *two = log_cell(seen.text[2], 0, "uid");
    assert_string_equal(one, two);
    free(one);
    free(two);
    one = log_cell(seen.text[0], web, "community_id");
    two = log_cell(seen.text[2], 0, "community_id");
    assert_string_equal(one, two);
    assert_memory_equal(one, "1:", 2);
    free(one);
    free(two);
    assert_int_equal(seen.counters.n_packets, l.n);
    assert_int_equal(seen.counters.flows.n_added, 2);
    run_free(&seen);
    frames_free(&l);
}

static void check_workers(const struct frame_list *l, struct pipeline_options options)
{
    struct run_seen one, more;
    run_frames(l, options, 1, 32, &one);
    assert_true(log_rows(one.text[0]) > 0);
    for (unsigned n = 2; n <= 8; n *= 2) {
        run_frames(l, options, n, 32, &more);
        run_check_same(&one, &more, NULL);
        run_free(&more);
    }
    for (unsigned burst = 1; burst <= 31; burst += 6) {
        run_frames(l, options, 1, burst, &more);
        run_check_same(&one, &more, NULL);
        run_free(&more);
    }
    run_free(&one);
}

static void test_any_number_of_workers(void **state)
{
    (void)state;
    struct frame_list l;
    frames_open(&l);
    add_everything(&l);
    check_workers(&l, (struct pipeline_options){.hash_key = 1, .community_id = true});
    check_workers(&l, (struct pipeline_options){.hash_key = 2, .uid_seed = 9});
    frames_free(&l);
}

static void test_workers_and_weirds(void **state)
{
    (void)state;
    struct frame_list l;
    frames_open(&l);
    add_lies(&l);
    check_workers(&l, (struct pipeline_options){.hash_key = 3});
    struct run_seen seen;
    run_frames(&l, (struct pipeline_options){.hash_key = 3}, 1, 32, &seen);
    assert_int_equal(log_rows(seen.text[4]), 1);
    run_free(&seen);
    frames_free(&l);
}

static void test_workers_and_tunnels(void **state)
{
    (void)state;
    struct frame_list l;
    frames_open(&l);
    add_tunnels(&l);
    add_everything(&l);
    check_workers(&l, (struct pipeline_options){.hash_key = 4});
    struct run_seen seen;
    run_frames(&l, (struct pipeline_options){.hash_key = 4}, 1, 32, &seen);
    CHECK_CELL(seen.text[5], 0, "tunnel_type", "Tunnel::VXLAN");
    CHECK_CELL(seen.text[5], 0, "action", "Tunnel::DISCOVER");
    run_free(&seen);
    frames_free(&l);
}

/* Times far apart and going back: the looks of the timers are the same everywhere. */
static void test_workers_and_time(void **state)
{
    (void)state;
    struct frame_list l;
    frames_open(&l);
    static const int64_t jumps[] = {0,    9,        61, 301, -2, 10,  -100,
                                    3601, 31536000, 5,  11,  12, -40, 70};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        l.now += jumps[i] * SECOND;
        for (uint8_t k = 0; k < 6; k++) {
            add_dns(&l, k, (uint16_t)(30000 + k));
            add_web(&l, k, (uint16_t)(40000 + k));
        }
        add_attempts(&l, 66);
    }
    check_workers(&l, (struct pipeline_options){.hash_key = 5});
    frames_free(&l);
}

/* Uids differ between sensors, and do not between runs. */
static void test_seed_of_uids(void **state)
{
    (void)state;
    struct frame_list l;
    struct run_seen a, b, c;
    frames_open(&l);
    add_web(&l, 1, 40000);
    run_frames(&l, (struct pipeline_options){.uid_seed = 1, .hash_key = 1}, 1, 32, &a);
    run_frames(&l, (struct pipeline_options){.uid_seed = 1, .hash_key = 2}, 1, 32, &b);
    run_frames(&l, (struct pipeline_options){.uid_seed = 2, .hash_key = 1}, 1, 32, &c);
    run_check_same(&a, &b, NULL);
    char *one = log_cell(a.text[0], 0, "uid"), *other = log_cell(c.text[0], 0, "uid");
    assert_string_not_equal(one, other);
    free(one);
    free(other);
    run_free(&a);
    run_free(&b);
    run_free(&c);
    frames_free(&l);
}

/* ---- mirrors ---- */

static const struct pipeline_options mirrored = {.mirror = true, .stack = {.auto_mirror = true}};

/* The columns of a mirrored run begin with "source": up to there, lines are those of a plain run.
 */
static void test_mirrored_is_as_plain(void **state)
{
    (void)state;
    struct frame_list plain, one;
    struct run_seen a, b;
    frames_open(&plain);
    frames_open(&one);
    add_everything(&plain);
    frames_wrap(&plain, &one, 1, 4242);
    run_frames(&plain, (struct pipeline_options){0}, 1, 32, &a);
    run_frames(&one, mirrored, 1, 32, &b);
    run_check_same(&a, &b, "source");
    CHECK_CELL(b.text[0], 0, "id.ctx.vxlan_vni", "4242");
    CHECK_CELL(b.text[0], 0, "id.ctx.geneve_vni", "-");
    assert_int_equal(b.counters.n_sources, 1);
    assert_int_equal(b.counters.n_copies, 0);
    run_free(&a);
    run_free(&b);
    frames_free(&plain);
    frames_free(&one);
}

static void test_layers_that_are_named(void **state)
{
    (void)state;
    struct frame_list plain, one, two;
    struct run_seen a, b;
    frames_open(&plain);
    frames_open(&one);
    frames_open(&two);
    add_everything(&plain);
    frames_wrap(&plain, &one, 1, 1);
    frames_wrap(&one, &two, 2, 2);
    struct pipeline_options options = {.mirror = true};
    options.stack.mirror[0] = options.stack.mirror[1] = tunnel_by_name("vxlan", 5);
    options.stack.n_mirror = 2;
    run_frames(&plain, (struct pipeline_options){0}, 1, 32, &a);
    run_frames(&two, options, 1, 32, &b);
    run_check_same(&a, &b, "source");
    run_free(&b);
    run_frames(&plain, options, 1, 32, &b);
    assert_int_equal(log_rows(b.text[0]), 0); /* nothing of it is the mirror's */
    assert_int_equal(b.counters.stack.n_not_mirror, plain.n);
    run_free(&a);
    run_free(&b);
    frames_free(&plain);
    frames_free(&one);
    frames_free(&two);
}

/* Both ends mirror, under two VNIs, and the copies arrive in another order: every packet counts
 * once. */
static void test_mirrored_twice(void **state)
{
    (void)state;
    struct frame_list plain, left, right, both;
    struct run_seen a, b;
    frames_open(&plain);
    frames_open(&left);
    frames_open(&right);
    add_everything(&plain);
    frames_wrap(&plain, &left, 1, 1);
    frames_wrap(&plain, &right, 2, 2);
    frames_open(&both);
    /* The right mirror is five packets late, and its pairs are swapped. */
    for (size_t i = 0; i < left.n + 5; i++) {
        if (i < left.n) {
            both.now = left.frames[i].ts;
            frames_add(&both, left.frames[i].bytes, left.frames[i].size);
        }
        size_t k = i < 5 ? SIZE_MAX : (i - 5) ^ 1;
        if (k < right.n) {
            frames_add(&both, right.frames[k].bytes, right.frames[k].size);
            both.frames[both.n - 1].ts = both.frames[both.n > 1 ? both.n - 2 : 0].ts;
        }
    }
    assert_true(both.n >= 2 * plain.n - 1);
    run_frames(&plain, (struct pipeline_options){0}, 1, 32, &a);
    for (unsigned n = 1; n <= 4; n *= 2) {
        run_frames(&both, mirrored, n, 32, &b);
        run_check_same(&a, &b, "source");
        if (n == 1)
            assert_int_equal(b.counters.n_copies, both.n - plain.n);
        assert_int_equal(b.counters.n_sources, 2);
        run_free(&b);
    }
    run_free(&a);
    frames_free(&plain);
    frames_free(&left);
    frames_free(&right);
    frames_free(&both);
}

/* The same addresses in two networks are two connections; in one network, copies. */
static void test_networks(void **state)
{
    (void)state;
    struct frame_list plain, both;
    struct run_seen seen;
    frames_open(&plain);
    frames_open(&both);
    add_web(&plain, 1, 40000);
    for (size_t i = 0; i < plain.n; i++) {
        struct frame_list one = {.frames = plain.frames + i, .n = 1};
        frames_wrap(&one, &both, 1, 1);
        frames_wrap(&one, &both, 2, 2);
    }
    for (int apart = 0; apart < 2; apart++) {
        struct network_list *networks = network_list_new();
        struct err err;
        assert_int_equal(network_list_add(networks, "left=vxlan:1", &err), 0);
        if (apart)
            assert_int_equal(network_list_add(networks, "right=vxlan:2", &err), 0);
        else
            assert_int_equal(network_list_add(networks, "left=vxlan:2", &err), 0);
        struct pipeline_options options = mirrored;
        options.networks = networks;
        run_frames(&both, options, 1, 32, &seen);
        assert_int_equal(log_rows(seen.text[0]), 1 + apart);
        assert_int_equal(log_rows(seen.text[2]), 1 + apart);
        assert_int_equal(seen.counters.n_copies, apart ? 0 : plain.n);
        for (size_t i = 0; i < 1u + (size_t)apart; i++) {
            CHECK_CELL(seen.text[0], i, "conn_state", "SF");
            CHECK_CELL(seen.text[0], i, "orig_pkts", "6");
        }
        run_free(&seen);
        network_list_free(networks);
    }
    frames_free(&plain);
    frames_free(&both);
}

/* ---- what cannot be ---- */

static void test_odd_frames(void **state)
{
    (void)state;
    struct frame_list l;
    struct run_seen seen;
    frames_open(&l);
    add_everything(&l);
    size_t n = l.n;
    for (size_t i = 0; i < n; i++) { /* each one cut somewhere, and each with a byte changed */
        frames_add(&l, l.frames[i].bytes, i % l.frames[i].size);
        l.frames[l.n - 1].wire_size = l.frames[i].size;
        uint8_t copy[2000];
        memcpy(copy, l.frames[i].bytes, l.frames[i].size);
        copy[i * 7 % l.frames[i].size] ^= (uint8_t)(1 << i % 8);
        frames_add(&l, copy, l.frames[i].size);
    }
    for (int mirror = 0; mirror < 2; mirror++) {
        run_frames(&l, mirror ? mirrored : (struct pipeline_options){.validate_checksums = true}, 2,
                   32, &seen);
        assert_int_equal(seen.counters.n_packets, l.n);
        run_free(&seen);
    }
    frames_free(&l);
}

static void test_no_frames(void **state)
{
    (void)state;
    struct frame_list l;
    struct run_seen seen;
    frames_open(&l);
    run_frames(&l, mirrored, 1, 32, &seen);
    for (size_t i = 0; i < RUN_N_LOGS; i++)
        assert_string_equal(seen.text[i], "");
    run_free(&seen);
    frames_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_logged),       cmocka_unit_test(test_any_number_of_workers),
        cmocka_unit_test(test_workers_and_weirds),   cmocka_unit_test(test_workers_and_tunnels),
        cmocka_unit_test(test_workers_and_time),     cmocka_unit_test(test_seed_of_uids),
        cmocka_unit_test(test_mirrored_is_as_plain), cmocka_unit_test(test_layers_that_are_named),
        cmocka_unit_test(test_mirrored_twice),       cmocka_unit_test(test_networks),
        cmocka_unit_test(test_odd_frames),           cmocka_unit_test(test_no_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
