/* Filters of tc: the bytes of requests, the reading of answers, and what they do to frames in a
 * network namespace, with iproute2 as the witness. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <poll.h>

#include "capture/netns_bed.h"
#include "linux/link.h"
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

/* In the kernel: e0 is mirrored, its other end is e1; m0 takes the copies, they come out of m1; o0
 * and o1 are somebody else's. */

static struct {
    int entered;
    uint32_t e0, m0, o0;
    int from_e0, from_e1, at_e1, at_m1, at_o1;
} bed = {.entered = -1};

static int open_port(const char *name, int protocol)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
    int room = 16 << 20;
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons((uint16_t)protocol),
                             .sll_ifindex = (int)if_nametoindex(name)};
    assert_true(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static bool enter(void)
{
    static const char *const lines[] = {"ip link add e0 type veth peer name e1",
                                        "ip link add m0 type veth peer name m1",
                                        "ip link add o0 type veth peer name o1",
                                        "ip link set e0 up",
                                        "ip link set e1 up",
                                        "ip link set m0 up",
                                        "ip link set m1 up",
                                        "ip link set o0 up",
                                        "ip link set o1 up"};
    if (bed.entered < 0) {
        bed.entered = bed_enter_netns();
        if (bed.entered && (bed_do("ip -V") != 0 || bed_do("tc -V") != 0)) {
            printf("skipped: no iproute2 to look with\n");
            bed.entered = 0;
        }
        for (size_t i = 0; bed.entered && i < sizeof lines / sizeof *lines; i++)
            assert_int_equal(bed_do(lines[i]), 0);
        if (bed.entered) {
            bed.e0 = if_nametoindex("e0");
            bed.m0 = if_nametoindex("m0");
            bed.o0 = if_nametoindex("o0");
            bed.from_e0 = open_port("e0", 0);
            bed.from_e1 = open_port("e1", 0);
            bed.at_e1 = open_port("e1", ETH_P_ALL);
            bed.at_m1 = open_port("m1", ETH_P_ALL);
            bed.at_o1 = open_port("o1", ETH_P_ALL);
        }
    }
    return bed.entered;
}

static const uint8_t sender_mac[6] = {2, 0xc5, 0xc5, 1, 2, 3};

/* A UDP datagram to that port, in a frame of `size`. */
static void send_frame(int fd, uint16_t port, size_t size)
{
    uint8_t frame[2048] = {2, 0xc5, 0xc5, 9, 9, 9};
    static const uint8_t ip[] = {0x45, 0, 0,  0, 0, 0, 0x40, 0, 64, 17,
                                 0,    0, 10, 1, 0, 1, 10,   1, 0,  2};
    memcpy(frame + 6, sender_mac, 6);
    frame[12] = 8;
    memcpy(frame + 14, ip, sizeof ip);
    frame[16] = (uint8_t)((size - 14) >> 8);
    frame[17] = (uint8_t)(size - 14);
    frame[36] = (uint8_t)(port >> 8);
    frame[37] = (uint8_t)port;
    assert_int_equal(send(fd, frame, size, 0), size);
}

/* How many of those frames came; others (IPv6 speaks by itself) are not counted. */
static unsigned arrived(int fd)
{
    uint8_t frame[2048];
    unsigned n = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 50) > 0) {
        ssize_t size = recv(fd, frame, sizeof frame, 0);
        if (size >= 14 && memcmp(frame + 6, sender_mac, 6) == 0)
            n++;
    }
    return n;
}

static void must(int code, const struct err *err)
{
    if (code)
        fail_msg("%d: %s", code, err->text);
}

static struct linux_tc_want mirror_want(void)
{
    return (struct linux_tc_want){.link = bed.e0,
                                  .direction = LINUX_TC_OUT,
                                  .prio = 100,
                                  .match = LINUX_TC_U32,
                                  .mirror_to = bed.m0,
                                  .cookie = {0xc1, 0x0d},
                                  .cookie_size = 2};
}

static size_t list(enum linux_tc_direction direction, struct linux_tc_filter *out, size_t max)
{
    struct linux_tc_filter *all = NULL;
    struct err err;
    size_t n = 0, n_filters = 0;
    must(linux_tc_list(bed.e0, direction, &all, &n, &err), &err);
    for (size_t i = 0; i < n; i++)
        if (!all[i].is_table && n_filters < max)
            out[n_filters++] = all[i];
    free(all);
    return n_filters;
}

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

static void begin(void)
{
    struct err err;
    int left = linux_tc_remove_clsact(bed.e0, &err); /* by a test that failed */
    assert_true(left == 0 || left == -ENOENT);
    must(linux_tc_add_clsact(bed.e0, &err), &err);
    (void)arrived(bed.at_e1);
    (void)arrived(bed.at_m1);
    (void)arrived(bed.at_o1);
}

static void end(void)
{
    struct err err;
    must(linux_tc_remove_clsact(bed.e0, &err), &err);
}

static void test_mirror(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin();
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
    end();
}

/* Somebody else's filter, which redirects what it sees to o0, comes after ours. */
static void test_with_others(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    begin();
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
    end();
}

static void test_remove_one(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[8];
    begin();
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
    end();
    assert_int_equal(linux_tc_remove(bed.e0, LINUX_TC_IN, &f[0], &err), -ENOENT);
    assert_int_equal(linux_tc_remove(99999, LINUX_TC_IN, &f[0], &err), -ENODEV);
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
    begin();
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
    end();
}

/* False: this kernel has not got it, and nothing was made. */
static bool is_had(int code, const struct err *err)
{
    if (code == 0)
        return true;
    struct linux_tc_filter f[2];
    print_message("not tried: %s\n", err->text);
    assert_true(code == -ENOENT || code == -EOPNOTSUPP);
    assert_int_equal(list(LINUX_TC_OUT, f, 2), 0);
    return false;
}

static void test_matchall(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin();
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
    end();
}

static void test_limit(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin();
    struct linux_tc_want want = mirror_want();
    want.rate = 10000;
    if (is_had(linux_tc_add(&want, &err), &err)) {
        json_t *json = bed_json("tc -j filter show dev e0 egress");
        char *text = json_dumps(json, JSON_COMPACT);
        print_message("%s\n", text);
        free(text);
        json_decref(json);
        /* The burst is 128 KiB: about 86 frames, and what a moment adds. */
        for (int i = 0; i < 500; i++)
            send_frame(bed.from_e0, 53, 1514);
        unsigned copies = arrived(bed.at_m1);
        assert_int_equal(arrived(bed.at_e1), 500);
        assert_in_range(copies, 80, 100);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
        assert_true(f[0].has_police);
        assert_string_equal(f[0].action, "police");
        assert_in_range(f[0].n_packets, copies, copies + 5);
        assert_in_range(f[0].n_limited, 500 - copies, 510 - copies);
        assert_int_equal(f[0].cookie_size, 2);
    }
    end();
}

static void test_drop(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct err err;
    struct linux_tc_filter f[4];
    begin();
    struct linux_tc_want want = mirror_want();
    want.verdict = LINUX_TC_DROP;
    want.mirror_to = 0;
    if (is_had(linux_tc_add(&want, &err), &err)) {
        send_frame(bed.from_e0, 53, 100);
        assert_int_equal(arrived(bed.at_e1), 0);
        assert_int_equal(list(LINUX_TC_OUT, f, 4), 1);
        assert_true(f[0].drops);
        assert_int_equal(f[0].cookie_size, 2);
    }
    end();
}

/* Full frames through a vxlan device whose MTU is far less, in fragments; and the route of IPv6,
 * whose MTU must not change for it. */
static void test_into_a_tunnel(void **state)
{
    (void)state;
    if (!enter())
        skip();
    static const char *const lines[] = {"ip addr add 10.9.0.1/24 dev m0",
                                        "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:01 dev m0",
                                        "ip addr add fd01::1/64 dev e0 nodad",
                                        "ip neigh add fd01::2 lladdr 02:00:00:00:00:02 dev e0"};
    struct err err;
    uint32_t tunnel;
    struct linux_link_want want = {.name = "cs0", .kind = "vxlan", .is_up = true};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        assert_int_equal(bed_do(lines[i]), 0);
    assert_true(addr_parse("10.9.0.2", &want.tunnel.remote));
    assert_true(addr_parse("10.9.0.1", &want.tunnel.local));
    want.tunnel.port = 4789;
    want.tunnel.underlay = bed.m0;
    must(linux_link_add(&want, &tunnel, &err), &err);
    begin();
    struct linux_tc_want copy = mirror_want();
    copy.mirror_to = tunnel;
    must(linux_tc_add(&copy, &err), &err);
    send_frame(bed.from_e0, 53, 1514);
    struct linux_link link;
    must(linux_link_get("cs0", &link, &err), &err);
    assert_int_equal(link.counters.tx_dropped + link.counters.tx_errors, 0);
    unsigned n_outer = 0;
    uint8_t frame[2048];
    while (recv(bed.at_m1, frame, sizeof frame, 0) > 0)
        n_outer += frame[12] == 8 && frame[13] == 0 && frame[23] == 17;
    assert_true(n_outer >= 2); /* an outer packet in two fragments */
    end();

    /* The trap that forgets_route is for, and that it helps. */
    for (int i = 0; i < 2; i++) {
        begin();
        copy.forgets_route = i == 0;
        if (is_had(linux_tc_add(&copy, &err), &err)) {
            int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
            assert_int_equal(inet_pton(AF_INET6, "fd01::2", &to.sin6_addr), 1);
            (void)sendto(fd, frame, 1400, 0, (struct sockaddr *)&to, sizeof to);
            (void)sendto(fd, frame, 1452, 0, (struct sockaddr *)&to, sizeof to);
            close(fd);
            json_t *json = bed_json("ip -j route get fd01::2");
            bool is_less = bed_at(json, "0.metrics.0.mtu") != NULL;
            json_decref(json);
            print_message("%s: the route's MTU is %s\n", i == 0 ? "route forgotten" : "route kept",
                          is_less ? "less" : "the same");
            if (i == 0)
                assert_false(is_less);
        }
        end();
    }
    must(linux_link_remove(tunnel, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),   cmocka_unit_test(test_police),
        cmocka_unit_test(test_refusals),   cmocka_unit_test(test_answers),
        cmocka_unit_test(test_free_prio),  cmocka_unit_test(test_hook),
        cmocka_unit_test(test_mirror),     cmocka_unit_test(test_with_others),
        cmocka_unit_test(test_remove_one), cmocka_unit_test(test_bpf),
        cmocka_unit_test(test_matchall),   cmocka_unit_test(test_limit),
        cmocka_unit_test(test_drop),       cmocka_unit_test(test_into_a_tunnel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
