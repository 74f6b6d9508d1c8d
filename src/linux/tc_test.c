/* Filters of tc: the bytes of requests, the reading of answers. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include "linux/nl_bed.h"
#include "linux/tc.h"
#include "linux/tc_parts.h"

static const struct sock_filter take_all[] = {BPF_STMT(BPF_RET | BPF_K, 0x40000)};

/* Everything that a filter can be, and its options. The interface is 0x11121314, the target 5. */
#define MIRRED                                                                                     \
    "1=6d697272656400 6=c0ffee 2{2=0000000000000000ffffffff00000000000000000200000005000000}"
static const struct {
    struct linux_tc_want want;
    const char *kind, *options;
} requests[] = {
    {{.match = LINUX_TC_MATCHALL, .mirror_to = 5, .cookie = {0xc0, 0xff, 0xee}, .cookie_size = 3},
     "6d61746368616c6c00",
     "2{1{" MIRRED "}}"},
    {{.match = LINUX_TC_MATCHALL,
      .verdict = LINUX_TC_ACCEPT,
      .classid = 0xabcd0102,
      .skip_hw = true},
     "6d61746368616c6c00",
     "1=0201cdab 3=01000000"},
    {{.match = LINUX_TC_U32, .mirror_to = 5, .cookie = {0xc0, 0xff, 0xee}, .cookie_size = 3},
     "75333200",
     "7{1{" MIRRED "}} 5=0100010000000000000000000000000000000000000000000000000000000000"},
    {{.match = LINUX_TC_U32,
      .verdict = LINUX_TC_ACCEPT,
      .classid = 0xabcd0102,
      .n_keys = 2,
      .keys = {{0x00ff0000, 0x99112233, 8}, {0xffffffff, 0x0a090002, -14}},
      .skip_hw = true},
     "75333200",
     "1=0201cdab 5=01000200000000000000000000000000"
     "00ff0000001100000800000000000000ffffffff0a090002f2ffffff00000000 11=01000000"},
    {{.match = LINUX_TC_BPF,
      .mirror_to = 5,
      .cookie = {0xc0, 0xff, 0xee},
      .cookie_size = 3,
      .program = take_all,
      .n_instructions = 1,
      .skip_hw = true},
     "62706600",
     "1{1{" MIRRED "}} 4=0100 5=0600000000000400 9=01000000"},
    {{.match = LINUX_TC_BPF,
      .verdict = LINUX_TC_DROP,
      .cookie = {0xc0, 0xff, 0xee},
      .cookie_size = 3,
      .program = take_all,
      .n_instructions = 1,
      .classid = 1},
     "62706600",
     "3=01000000 1{1{1=6761637400 6=c0ffee 2{2=0000000000000000020000000000000000000000}}} "
     "4=0100 5=0600000000000400"},
    {{.match = LINUX_TC_MATCHALL,
      .mirror_to = 5,
      .cookie = {0xc0, 0xff, 0xee},
      .cookie_size = 3,
      .forgets_route = true},
     "6d61746368616c6c00",
     "2{1{1=74756e6e656c5f6b657900 6=c0ffee 2{2=000000000000000003000000000000000000000002000000}} "
     "2{" MIRRED "}}"},
};
#define N_REQUESTS (sizeof requests / sizeof *requests)

static char *text_of(const struct linux_tc_want *want)
{
    struct nl_request request;
    nl_init(&request);
    linux_tc_put(&request, want);
    assert_false(request.is_full);
    return bed_request_text(&request, 20);
}

static void test_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_REQUESTS; i++) {
        struct linux_tc_want want = requests[i].want;
        char expected[1024];
        want.link = 0x11121314;
        want.prio = 0x102;
        want.handle = 0x304;
        want.direction = i % 2 ? LINUX_TC_OUT : LINUX_TC_IN;
        want.protocol = i % 2 ? ETH_P_IP : 0;
        (void)snprintf(expected, sizeof expected,
                       "44 605 000000001413121104030000f%cffffff%s0201 1=%s 2{%s}\n",
                       i % 2 ? '3' : '2', i % 2 ? "0800" : "0003", requests[i].kind,
                       requests[i].options);
        char *text = text_of(&want);
        assert_non_null(text);
        assert_string_equal(text, expected);
        free(text);
    }
}

/* Police: the numbers are the kernel's, in ticks of 64 ns. */
static void test_police(void **state)
{
    (void)state;
    assert_int_equal(tc_ticks(1000000, 1000000), 15625000);
    assert_int_equal(tc_ticks(512, 125000000), 64);
    assert_int_equal(tc_ticks(UINT32_MAX, 1), UINT32_MAX);
    assert_int_equal(tc_ticks(0, 1), 0);
    static const struct {
        uint64_t rate;
        uint32_t burst, ticks;
        const char *shown, *wide;
    } rows[] = {
        {1000000, 1000000, 15625000, "40420f00", ""},
        {1000000, 5, 2048000, "40420f00", ""}, /* the least burst */
        {5000000000, 0, 409, "ffffffff", " 8=00f2052a01000000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_tc_want want = {.match = LINUX_TC_MATCHALL,
                                     .prio = 1,
                                     .mirror_to = 5,
                                     .rate = rows[i].rate,
                                     .burst = rows[i].burst};
        char expected[4096];
        (void)snprintf(expected, sizeof expected,
                       "44 605 0000000000000000" /* family, interface */
                       "00000000f2ffffff00030100"
                       " 1=6d61746368616c6c00 2{2{1{1=706f6c69636500 2{"
                       "1=00000000ffffffff00000000%08xffffff00" /* index action limit burst mtu */
                       "09010000ffff0000%s000000000000000000000000" /* rate, peak rate */
                       "000000000000000000000000 2=",
                       __builtin_bswap32(rows[i].ticks), rows[i].shown);
        for (uint32_t row = 1; row <= 256; row++)
            (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%08x",
                           __builtin_bswap32(tc_ticks(row * 512, rows[i].rate)));
        (void)snprintf(expected + strlen(expected), sizeof expected - strlen(expected),
                       "%s 5=03000000}} 2{1=6d697272656400 "
                       "2{2=0000000000000000ffffffff00000000000000000200000005000000}}}}\n",
                       rows[i].wide);
        char *text = text_of(&want);
        assert_string_equal(text, expected);
        free(text);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        struct linux_tc_want want;
        int code;
        const char *says;
    } rows[] = {
        {{.mirror_to = 1}, -EINVAL, "prio"},
        {{.prio = 1}, -EINVAL, "needs an interface"},
        {{.prio = 1, .verdict = LINUX_TC_ACCEPT, .mirror_to = 1}, -EINVAL, "needs an interface"},
        {{.prio = 1, .mirror_to = 1, .match = LINUX_TC_U32, .n_keys = 9}, -EINVAL, "keys"},
        {{.prio = 1, .mirror_to = 1, .match = LINUX_TC_U32, .handle = 0x1000}, -EINVAL, "handles"},
        {{.prio = 1, .mirror_to = 1, .match = LINUX_TC_BPF}, -EINVAL, "instructions"},
        {{.prio = 1,
          .mirror_to = 1,
          .match = LINUX_TC_BPF,
          .program = take_all,
          .n_instructions = 4097},
         -EINVAL,
         "instructions"},
        {{.prio = 1, .mirror_to = 1, .cookie_size = 17}, -EINVAL, "cookie"},
        {{.prio = 1, .verdict = LINUX_TC_ACCEPT, .rate = 5000}, -EINVAL, "rate"},
        {{.prio = 1, .mirror_to = 1, .rate = 999}, -ERANGE, "1000"},
        {{.prio = 1, .mirror_to = 1, .rate = 1000, .burst = 300000}, -ERANGE, "seconds"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err err = {""};
        int code = linux_tc_add(&rows[i].want, &err);
        if (code != rows[i].code || !strstr(err.text, rows[i].says))
            fail_msg("%zu: %d %s", i, code, err.text);
    }
    struct linux_tc_filter several[] = {
        {.prio = 0, .handle = 1, .kind = "u32"},
        {.prio = 1, .handle = 0, .kind = "u32"},
        {.prio = 1, .handle = 1, .kind = ""},
        {.prio = 1, .handle = 0x80000000, .kind = "u32", .is_table = true},
    };
    for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
        struct err err;
        assert_int_equal(linux_tc_remove(1, LINUX_TC_IN, &several[i], &err), -EINVAL);
    }
}

static void put_stats(struct nl_request *r, uint64_t bytes, uint32_t packets, uint32_t drops,
                      uint32_t overlimits)
{
    struct {
        uint64_t bytes;
        uint32_t packets, padding;
    } basic = {bytes, packets, 0};
    uint32_t queue[] = {0, 0, drops, 0, overlimits};
    size_t stats = nl_nest(r, TCA_ACT_STATS);
    nl_put(r, 1, &basic, sizeof basic);
    nl_put(r, 3, queue, sizeof queue);
    nl_nest_end(r, stats);
}

static void test_answers(void **state)
{
    (void)state;
    struct nl_request r;
    struct tcmsg head = tc_head(7, LINUX_TC_OUT, 49152, ETH_P_IP, 0x80000801);
    struct tc_mirred redirect = {
        .action = TC_ACT_STOLEN, .eaction = TCA_EGRESS_REDIR, .ifindex = 9};
    uint64_t counter[] = {100, 40};
    nl_init(&r);
    nl_message(&r, RTM_NEWTFILTER, 0, &head, sizeof head);
    nl_put_text(&r, TCA_KIND, "u32");
    nl_put_u32(&r, TCA_CHAIN, 3);
    size_t options = nl_nest(&r, TCA_OPTIONS);
    nl_put_u32(&r, TCA_U32_CLASSID, 0x10002);
    nl_put(&r, TCA_U32_PCNT, counter, sizeof counter);
    size_t actions = nl_nest(&r, TCA_U32_ACT);
    size_t action = nl_nest(&r, 1);
    nl_put_text(&r, TCA_ACT_KIND, "police");
    put_stats(&r, 1000, 10, 0, 4);
    nl_nest_end(&r, action);
    action = nl_nest(&r, 2);
    nl_put_text(&r, TCA_ACT_KIND, "mirred");
    put_stats(&r, 600, 6, 1, 2);
    nl_put(&r, TCA_ACT_COOKIE, "mark", 4);
    size_t inner = nl_nest(&r, TCA_ACT_OPTIONS);
    nl_put(&r, TCA_MIRRED_PARMS, &redirect, sizeof redirect);
    nl_nest_end(&r, inner);
    nl_nest_end(&r, action);
    nl_nest_end(&r, actions);
    nl_nest_end(&r, options);
    struct linux_tc_filter f;
    for (size_t n = 0; n <= r.size - 16; n++) {
        uint8_t *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy + 1, r.bytes + 16, n);
        assert_int_equal(linux_tc_read(rd_make(copy + 1, n), &f), n >= 20);
        free(copy);
    }
    assert_int_equal(f.prio, 49152);
    assert_int_equal(f.protocol, ETH_P_IP);
    assert_int_equal(f.handle, 0x80000801);
    assert_int_equal(f.chain, 3);
    assert_string_equal(f.kind, "u32");
    assert_string_equal(f.action, "police");
    assert_false(f.is_table);
    assert_int_equal(f.classid, 0x10002);
    assert_int_equal(f.n_actions, 2);
    assert_int_equal(f.cookie_size, 4);
    assert_memory_equal(f.cookie, "mark", 4);
    assert_int_equal(f.mirror_to, 9);
    assert_true(f.redirects && f.has_police && !f.drops);
    assert_int_equal(f.n_limited, 4);
    assert_int_equal(f.n_packets, 6);
    assert_int_equal(f.n_bytes, 600);
    assert_int_equal(f.n_dropped, 1);
    assert_int_equal(f.n_overlimits, 2);

    /* A filter without actions, a table, and the prio itself. */
    for (int i = 0; i < 3; i++) {
        head.tcm_handle = i == 0 ? 0x80000801 : i == 1 ? 0x80000000 : 0;
        nl_init(&r);
        nl_message(&r, RTM_NEWTFILTER, 0, &head, sizeof head);
        nl_put_text(&r, TCA_KIND, "u32");
        options = nl_nest(&r, TCA_OPTIONS);
        nl_put(&r, TCA_U32_PCNT, counter, sizeof counter);
        nl_nest_end(&r, options);
        assert_int_equal(linux_tc_read(rd_make(r.bytes + 16, r.size - 16), &f), i < 2);
        assert_int_equal(f.is_table, i == 1 || i == 2);
        assert_int_equal(f.n_packets, 40);
        assert_int_equal(f.n_actions, 0);
    }
}

static void test_free_prio(void **state)
{
    (void)state;
    static const struct linux_tc_filter filters[] = {{.prio = 5}, {.prio = 7}, {.prio = 0xffff}};
    assert_int_equal(linux_tc_free_prio(NULL, 0, 0), 1);
    assert_int_equal(linux_tc_free_prio(filters, 3, 4), 4);
    assert_int_equal(linux_tc_free_prio(filters, 3, 5), 6);
    assert_int_equal(linux_tc_free_prio(filters, 3, 7), 8);
    assert_int_equal(linux_tc_free_prio(filters, 3, 0xffff), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),  cmocka_unit_test(test_police),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_answers),
        cmocka_unit_test(test_free_prio),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
