/* What tc's filters do to frames in a network namespace, with iproute2 as the witness. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "linux/tc_bed.h"

static void test_hook(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    enum linux_tc_hook hook;
    struct linux_tc_filter f[4], *none = NULL;
    size_t n = 9;
    must(linux_tc_get_hook(bed.e0, &hook, &err), &err);
    assert_int_equal(hook, LINUX_TC_NONE);
    must(linux_tc_list(bed.e0, LINUX_TC_IN, &none, &n, &err), &err);
    assert_int_equal(n, 0);
    assert_int_equal(linux_tc_remove_clsact(bed.e0, &err), -ENOENT);
    struct linux_tc_want want = mirror_want();
    assert_int_equal(linux_tc_add(&want, &err), -EINVAL);

    /* Somebody has the older one: it stays, and its filters are not those of egress. */
    assert_int_equal(bed_do("tc qdisc add dev e0 ingress"), 0);
    assert_int_equal(
        bed_do("tc filter add dev e0 parent ffff: prio 3 protocol ip u32 match u32 0 0 "
               "action mirred egress redirect dev o0"),
        0);
    must(linux_tc_get_hook(bed.e0, &hook, &err), &err);
    assert_int_equal(hook, LINUX_TC_INGRESS);
    assert_int_equal(linux_tc_add_clsact(bed.e0, &err), -EEXIST);
    assert_int_equal(linux_tc_remove_clsact(bed.e0, &err), -ENOENT);
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 0);
    assert_int_equal(list(LINUX_TC_IN, f, 4), 1);
    assert_int_equal(f[0].prio, 3);
    assert_int_equal(f[0].protocol, ETH_P_IP);
    assert_true(f[0].redirects);
    assert_int_equal(f[0].mirror_to, bed.o0);
    assert_int_equal(f[0].cookie_size, 0);
    want.direction = LINUX_TC_IN; /* one may share it */
    must(linux_tc_add(&want, &err), &err);
    assert_int_equal(list(LINUX_TC_IN, f, 4), 2);
    assert_int_equal(bed_do("tc qdisc del dev e0 ingress"), 0);

    must(linux_tc_add_clsact(bed.e0, &err), &err);
    must(linux_tc_get_hook(bed.e0, &hook, &err), &err);
    assert_int_equal(hook, LINUX_TC_CLSACT);
    json_t *json = bed_json("tc -j qdisc show dev e0 clsact");
    assert_string_equal(bed_word(json, "0.kind"), "clsact");
    json_decref(json);
    assert_int_equal(linux_tc_add_clsact(bed.e0, &err), -EEXIST);
    assert_non_null(strstr(err.text, "clsact"));
    must(linux_tc_get_hook(bed.m0, &hook, &err), &err);
    assert_int_equal(hook, LINUX_TC_NONE);
    must(linux_tc_remove_clsact(bed.e0, &err), &err);
    must(linux_tc_get_hook(bed.e0, &hook, &err), &err);
    assert_int_equal(hook, LINUX_TC_NONE);
}

static void test_mirror(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    struct linux_tc_want want = mirror_want();
    must(linux_tc_add(&want, &err), &err);
    want.direction = LINUX_TC_IN;
    assert_int_equal(linux_tc_add(&want, &err), -EEXIST);
    assert_non_null(strstr(err.text, "other direction"));
    want.prio = 99;
    must(linux_tc_add(&want, &err), &err);
    for (int i = 0; i < 7; i++)
        send_frame(bed.from_e0, 53, 200);
    assert_int_equal(arrived(bed.at_m1), 7);
    assert_int_equal(arrived(bed.at_e1), 7);
    for (int i = 0; i < 5; i++)
        send_frame(bed.from_e1, 53, 1514);
    assert_int_equal(arrived(bed.at_m1), 5);

    json_t *json = bed_json("tc -j -s filter show dev e0 egress");
    size_t last = json_array_size(json);
    assert_true(last > 0);
    json_t *options = bed_at(json_array_get(json, last - 1), "options");
    assert_string_equal(bed_word(options, "actions.0.kind"), "mirred");
    assert_string_equal(bed_word(options, "actions.0.mirred_action"), "mirror");
    assert_string_equal(bed_word(options, "actions.0.direction"), "egress");
    assert_string_equal(bed_word(options, "actions.0.to_dev"), "m0");
    assert_string_equal(bed_word(options, "actions.0.control_action.type"), "continue");
    assert_string_equal(bed_word(options, "actions.0.cookie"), "c10d");
    json_decref(json);

    assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
    assert_string_equal(f[0].kind, "u32");
    assert_string_equal(f[0].action, "mirred");
    assert_int_equal(f[0].prio, 100);
    assert_int_equal(f[0].protocol, ETH_P_ALL);
    assert_int_equal(f[0].mirror_to, bed.m0);
    assert_false(f[0].redirects);
    assert_int_equal(f[0].cookie_size, 2);
    assert_memory_equal(f[0].cookie, "\xc1\x0d", 2);
    assert_true(f[0].n_packets >= 7); /* and what IPv6 has to say */
    assert_true(f[0].n_bytes >= 7 * 200);
    assert_int_equal(f[0].n_overlimits, 0);
    /* A target that is down harms nobody, and is counted. */
    assert_int_equal(bed_do("ip link set m0 down"), 0);
    send_frame(bed.from_e0, 53, 200);
    assert_int_equal(arrived(bed.at_e1), 1);
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
    assert_true(f[0].n_overlimits > 0);
    assert_int_equal(bed_do("ip link set m0 up"), 0);
    end_clsact();
}

/* Somebody else's filter, which redirects what it sees to o0, comes after ours. */
static void test_with_others(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    begin_clsact();
    assert_int_equal(bed_do("tc filter add dev e0 egress prio 200 protocol all u32 match u32 0 0 "
                            "action mirred egress redirect dev o0"),
                     0);
    struct linux_tc_want want = mirror_want();
    must(linux_tc_add(&want, &err), &err);
    for (int i = 0; i < 3; i++)
        send_frame(bed.from_e0, 53, 100);
    assert_int_equal(arrived(bed.at_m1), 3);
    assert_int_equal(arrived(bed.at_o1), 3);
    assert_int_equal(arrived(bed.at_e1), 0);

    /* UDP to 4789 is accepted first: neither sees it. The third key is of the MAC header. */
    struct linux_tc_want accept = mirror_want();
    accept.prio = 99;
    accept.verdict = LINUX_TC_ACCEPT;
    accept.mirror_to = 0;
    accept.cookie_size = 0;
    accept.classid = 0xc10d0001;
    accept.n_keys = 4;
    accept.keys[0] = (struct linux_tc_key){0xf0000000, 0x40000000, 0};
    accept.keys[1] = (struct linux_tc_key){0x00ff0000, 0x00110000, 8};
    accept.keys[2] = (struct linux_tc_key){0x0000ffff, 4789, 20};
    accept.keys[3] = (struct linux_tc_key){0xffffffff, 0x02c5c509, -14};
    must(linux_tc_add(&accept, &err), &err);
    for (int i = 0; i < 4; i++)
        send_frame(bed.from_e0, 4789, 100);
    send_frame(bed.from_e0, 4788, 100);
    assert_int_equal(arrived(bed.at_e1), 4);
    assert_int_equal(arrived(bed.at_m1), 1);
    assert_int_equal(arrived(bed.at_o1), 1);
    struct linux_tc_filter f[4];
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 3);
    assert_int_equal(f[0].prio, 99);
    assert_int_equal(f[0].classid, 0xc10d0001);
    assert_int_equal(f[0].n_actions, 0);
    assert_int_equal(f[0].mirror_to, 0);
    /* And where the last key does not match, it does nothing. */
    must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &f[0], &err), &err);
    accept.keys[3].value++;
    must(linux_tc_add(&accept, &err), &err);
    send_frame(bed.from_e0, 4789, 100);
    assert_int_equal(arrived(bed.at_m1), 1);
    end_clsact();
}

static void test_remove_one(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[8];
    begin_clsact();
    /* Neighbours: of one prio, in the other direction, of another prio. */
    struct linux_tc_want want = mirror_want();
    for (uint32_t handle = 1; handle <= 3; handle++) {
        want.handle = handle;
        want.cookie[1] = (uint8_t)handle;
        must(linux_tc_add(&want, &err), &err);
    }
    assert_int_equal(linux_tc_add(&want, &err), -EEXIST);
    want.prio = 101;
    must(linux_tc_add(&want, &err), &err);
    want.direction = LINUX_TC_IN;
    want.prio = 102;
    must(linux_tc_add(&want, &err), &err);
    assert_int_equal(list(LINUX_TC_OUT, f, 8), 4);
    assert_int_equal(f[1].cookie[1], 2);
    struct linux_tc_filter second = f[1], wrong = f[1];
    wrong.protocol = ETH_P_IP;
    assert_true(linux_tc_remove(bed.e0, LINUX_TC_OUT, &wrong, &err) < 0);
    wrong = second;
    memcpy(wrong.kind, "bpf", 4);
    assert_true(linux_tc_remove(bed.e0, LINUX_TC_OUT, &wrong, &err) < 0);
    wrong = second;
    wrong.handle += 7;
    assert_int_equal(linux_tc_remove(bed.e0, LINUX_TC_OUT, &wrong, &err), -ENOENT);
    assert_int_equal(list(LINUX_TC_OUT, f, 8), 4);
    must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &second, &err), &err);
    assert_int_equal(linux_tc_remove(bed.e0, LINUX_TC_OUT, &second, &err), -ENOENT);
    assert_int_equal(list(LINUX_TC_OUT, f, 8), 3);
    assert_int_equal(f[0].cookie[1], 1);
    assert_int_equal(f[1].cookie[1], 3);
    assert_int_equal(list(LINUX_TC_IN, f, 8), 1);
    end_clsact();
    assert_int_equal(linux_tc_remove(bed.e0, LINUX_TC_IN, &f[0], &err), -ENOENT);
    assert_int_equal(linux_tc_remove(99999, LINUX_TC_IN, &f[0], &err), -ENODEV);
}

/* What tc shows of a prio, with u32's tables. */
static bool shows(const char *direction, const char *prio)
{
    char line[64], word[32];
    int code = -1;
    (void)snprintf(line, sizeof line, "tc filter show dev e0 %s", direction);
    (void)snprintf(word, sizeof word, "pref %s ", prio);
    char *text = bed_run(line, &code);
    assert_non_null(text);
    bool is_shown = strstr(text, word) != NULL;
    free(text);
    return is_shown;
}

/* Where others use u32 too, the kernel keeps the tables of a prio whose last filter is gone. */
static void test_tables_go_too(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    assert_int_equal(bed_do("tc filter add dev e0 egress prio 200 protocol all u32 match u32 0 0 "
                            "action mirred egress mirror dev o0"),
                     0);
    struct linux_tc_want want = mirror_want();
    want.handle = 1;
    must(linux_tc_add(&want, &err), &err);
    want.handle = 2;
    must(linux_tc_add(&want, &err), &err);
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 3);
    must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &f[0], &err), &err);
    assert_true(shows("egress", "100"));
    must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &f[1], &err), &err);
    assert_false(shows("egress", "100"));
    assert_true(shows("egress", "200"));
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
    assert_int_equal(f[0].prio, 200);
    end_clsact();
}

static void test_bpf(void **state)
{
    (void)state;
    if (!enter())
        skip();
    /* ip and udp port 53, from the MAC header on. */
    static const struct sock_filter udp53[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x800, 0, 5),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 36), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 53, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0x40000),     BPF_STMT(BPF_RET | BPF_K, 0),
    };
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    for (int direction = 0; direction < 2; direction++) {
        struct linux_tc_want want = mirror_want();
        want.direction = direction ? LINUX_TC_OUT : LINUX_TC_IN;
        want.match = LINUX_TC_BPF;
        want.program = udp53;
        want.n_instructions = sizeof udp53 / sizeof *udp53;
        want.handle = 0xc10d;
        must(linux_tc_add(&want, &err), &err);
        int from = direction ? bed.from_e0 : bed.from_e1;
        send_frame(from, 53, 100);
        send_frame(from, 54, 100);
        send_frame(from, 53, 1514);
        assert_int_equal(arrived(bed.at_m1), 2);
        assert_int_equal(list(want.direction, f, 4), 1);
        assert_string_equal(f[0].kind, "bpf");
        assert_int_equal(f[0].handle, 0xc10d);
        assert_int_equal(f[0].n_packets, 2);
        assert_int_equal(f[0].cookie_size, 2);
        must(linux_tc_remove(bed.e0, want.direction, &f[0], &err), &err);
        assert_int_equal(list(want.direction, f, 4), 0);
    }
    /* One that accepts. */
    struct linux_tc_want want = mirror_want(), accept = mirror_want();
    must(linux_tc_add(&want, &err), &err);
    accept.prio = 50;
    accept.match = LINUX_TC_BPF;
    accept.program = udp53;
    accept.n_instructions = sizeof udp53 / sizeof *udp53;
    accept.verdict = LINUX_TC_ACCEPT;
    accept.classid = 0xc10d0002;
    accept.mirror_to = 0;
    must(linux_tc_add(&accept, &err), &err);
    send_frame(bed.from_e0, 53, 100);
    send_frame(bed.from_e0, 54, 100);
    assert_int_equal(arrived(bed.at_m1), 1);
    assert_int_equal(list(LINUX_TC_OUT, f, 4), 2);
    assert_int_equal(f[0].classid, 0xc10d0002);
    /* A program that the kernel does not take: one sentence. */
    static const struct sock_filter endless[] = {BPF_JUMP(BPF_JMP | BPF_JA, 5, 0, 0)};
    want.prio = 60;
    want.match = LINUX_TC_BPF;
    want.program = endless;
    want.n_instructions = 1;
    assert_int_equal(linux_tc_add(&want, &err), -EINVAL);
    end_clsact();
}

static void test_matchall(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    struct linux_tc_want want = mirror_want();
    want.match = LINUX_TC_MATCHALL;
    want.handle = 0x77;
    if (is_had(linux_tc_add(&want, &err), &err)) {
        for (int i = 0; i < 3; i++)
            send_frame(bed.from_e0, 53, 100);
        assert_int_equal(arrived(bed.at_m1), 3);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
        assert_string_equal(f[0].kind, "matchall");
        assert_int_equal(f[0].handle, 0x77);
        assert_int_equal(f[0].mirror_to, bed.m0);
        assert_int_equal(f[0].cookie_size, 2);
        assert_true(f[0].n_packets >= 3);
        struct linux_tc_want accept = {.link = bed.e0,
                                       .direction = LINUX_TC_OUT,
                                       .prio = 9,
                                       .match = LINUX_TC_MATCHALL,
                                       .verdict = LINUX_TC_ACCEPT,
                                       .classid = 0xc10d0003};
        must(linux_tc_add(&accept, &err), &err);
        send_frame(bed.from_e0, 53, 100);
        assert_int_equal(arrived(bed.at_m1), 0);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 2);
        assert_int_equal(f[0].classid, 0xc10d0003);
        assert_true(f[0].n_packets >= 1);
        must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &f[0], &err), &err);
        send_frame(bed.from_e0, 53, 100);
        assert_int_equal(arrived(bed.at_m1), 1);
        must(linux_tc_remove(bed.e0, LINUX_TC_OUT, &f[1], &err), &err);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 0);
    }
    end_clsact();
}

static void test_limit(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    struct linux_tc_want want = mirror_want();
    want.rate = 10000;
    if (is_had(linux_tc_add(&want, &err), &err)) {
        json_t *json = bed_json("tc -j filter show dev e0 egress");
        char *text = json_dumps(json, JSON_COMPACT);
        print_message("%s\n", text);
        free(text);
        json_decref(json);
        /* The burst is 128 KiB: about 86 frames, and what a moment adds. */
        unsigned n = 0; /* not more at once than a busy processor's queue takes */
        for (int i = 1; i <= 500; i++) {
            send_frame(bed.from_e0, 53, 1514);
            n += i % 100 == 0 ? arrived(bed.at_e1) : 0;
        }
        unsigned copies = arrived(bed.at_m1);
        assert_int_equal(n, 500);
        assert_in_range(copies, 80, 100);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
        assert_true(f[0].has_police);
        assert_string_equal(f[0].action, "police");
        assert_in_range(f[0].n_packets, copies, copies + 5);
        assert_in_range(f[0].n_limited, 500 - copies, 510 - copies);
        assert_int_equal(f[0].cookie_size, 2);
    }
    end_clsact();
}

static void test_drop(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin_clsact();
    struct linux_tc_want want = mirror_want();
    want.verdict = LINUX_TC_DROP;
    want.mirror_to = 0;
    want.direction = LINUX_TC_IN;
    int at_e0 = open_port("e0", ETH_P_IP); /* where frames come to that were not dropped */
    send_frame(bed.from_e1, 53, 100);
    assert_int_equal(arrived(at_e0), 1);
    if (is_had(linux_tc_add(&want, &err), &err)) {
        send_frame(bed.from_e1, 53, 100);
        assert_int_equal(arrived(at_e0), 0);
        assert_int_equal(list(LINUX_TC_IN, f, 4), 1);
        assert_true(f[0].drops);
        assert_int_equal(f[0].cookie_size, 2);
    }
    close(at_e0);
    end_clsact();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hook),          cmocka_unit_test(test_mirror),
        cmocka_unit_test(test_with_others),   cmocka_unit_test(test_remove_one),
        cmocka_unit_test(test_tables_go_too), cmocka_unit_test(test_bpf),
        cmocka_unit_test(test_matchall),      cmocka_unit_test(test_limit),
        cmocka_unit_test(test_drop),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
