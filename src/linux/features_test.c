/* What the kernel can do: the table, and that the answers are those of iproute2. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "capture/netns_bed.h"
#include "linux/features.h"
#include "linux/nl_bed.h"

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < LINUX_FEATURES; i++) {
        const struct linux_feature_row *row = &linux_feature_table[i];
        assert_non_null(row->name);
        assert_non_null(row->what);
        assert_non_null(row->attempt);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(row->name, linux_feature_table[k].name);
    }
}

/* Lines of iproute2 that succeed where the kernel has it. Each is given a namespace of its own. */
static const struct {
    enum linux_feature feature;
    const char *lines[2];
} witnesses[] = {
    {LINUX_FEATURE_CLSACT, {"tc qdisc add dev lo clsact"}},
    {LINUX_FEATURE_MATCHALL,
     {"tc qdisc add dev lo clsact",
      "tc filter add dev lo ingress matchall action mirred egress mirror dev lo"}},
    {LINUX_FEATURE_U32,
     {"tc qdisc add dev lo clsact", "tc filter add dev lo ingress u32 match u32 0 0 flowid 1:1"}},
    {LINUX_FEATURE_BPF,
     {"tc qdisc add dev lo clsact",
      "tc filter add dev lo ingress bpf bytecode 1,6~0~0~1, flowid 1:1"}},
    {LINUX_FEATURE_MIRRED,
     {"tc qdisc add dev lo clsact",
      "tc filter add dev lo ingress u32 match u32 0 0 action mirred egress mirror dev lo"}},
    {LINUX_FEATURE_POLICE,
     {"tc qdisc add dev lo clsact",
      "tc filter add dev lo ingress u32 match u32 0 0 action police rate 1mbit burst 100k"}},
    {LINUX_FEATURE_GACT,
     {"tc qdisc add dev lo clsact", "tc filter add dev lo ingress u32 match u32 0 0 action drop"}},
    {LINUX_FEATURE_TUNNEL_KEY,
     {"tc qdisc add dev lo clsact",
      "tc filter add dev lo ingress u32 match u32 0 0 action tunnel_key unset"}},
    {LINUX_FEATURE_VXLAN, {"ip link add x type vxlan id 1 remote 192.0.2.1 dstport 4789"}},
    {LINUX_FEATURE_GENEVE, {"ip link add x type geneve id 1 remote 192.0.2.1"}},
    {LINUX_FEATURE_GRETAP, {"ip link add x type gretap remote 192.0.2.1"}},
    {LINUX_FEATURE_ERSPAN1, {"ip link add x type erspan remote 192.0.2.1 erspan_ver 0"}},
    {LINUX_FEATURE_ERSPAN2,
     {"ip link add x type erspan remote 192.0.2.1 seq key 1 erspan_ver 1 erspan 1"}},
    {LINUX_FEATURE_ERSPAN3,
     {"ip link add x type erspan remote 192.0.2.1 seq key 1 erspan_ver 2 erspan_dir ingress "
      "erspan_hwid 1"}},
    {LINUX_FEATURE_IP6GRETAP, {"ip link add x type ip6gretap remote 2001:db8::1"}},
    {LINUX_FEATURE_IP6ERSPAN2,
     {"ip link add x type ip6erspan remote 2001:db8::1 seq key 1 erspan_ver 1 erspan 1"}},
    {LINUX_FEATURE_IP6ERSPAN3,
     {"ip link add x type ip6erspan remote 2001:db8::1 seq key 1 erspan_ver 2 erspan_dir ingress "
      "erspan_hwid 1"}},
    {LINUX_FEATURE_VLAN, {"ip link add y type bridge", "ip link add link y x type vlan id 7"}},
};

/* Whether iproute2 can do it; its complaints go nowhere. */
static bool witness_says(size_t i)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        if (null < 0 || dup2(null, STDERR_FILENO) < 0 || unshare(CLONE_NEWNET) < 0)
            _exit(77);
        for (size_t k = 0; k < 2 && witnesses[i].lines[k]; k++)
            if (bed_do(witnesses[i].lines[k]) != 0)
                _exit(1);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 77);
    return WEXITSTATUS(status) == 0;
}

static bool enter(void)
{
    static int entered = -1;
    if (entered < 0)
        entered = bed_enter_with_witness();
    return entered;
}

static void test_kernel(void **state)
{
    (void)state;
    if (!enter())
        skip();
    struct linux_feature_state states[LINUX_FEATURES];
    struct err err;
    int code = -1;
    int result = linux_features(states, &err);
    if (result)
        fail_msg("%s", err.text);
    /* Nothing of it is here; modules that another test loads may bring interfaces at any time. */
    char *left = bed_run("tc qdisc show dev lo", &code);
    assert_non_null(left);
    assert_null(strstr(left, "clsact"));
    free(left);
    left = bed_run("ip -o link", &code);
    assert_non_null(left);
    static const char *const names[] = {" tv", " tg", " tt", " te", " tl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_null(strstr(left, names[i]));
    free(left);
    /* The others are nft's and iptables', who have tests of their own. */
    assert_int_equal(sizeof witnesses / sizeof *witnesses, LINUX_FEATURE_NFT_IN);
    for (size_t i = 0; i < sizeof witnesses / sizeof *witnesses; i++) {
        const struct linux_feature_state *s = &states[witnesses[i].feature];
        const char *name = linux_feature_table[witnesses[i].feature].name;
        print_message("%-10s %s %s\n", name,
                      s->answer == LINUX_FEATURE_YES  ? "yes"
                      : s->answer == LINUX_FEATURE_NO ? "no "
                                                      : "?  ",
                      s->why);
        if (s->answer == LINUX_FEATURE_UNTRIED)
            continue;
        if ((s->answer == LINUX_FEATURE_YES) != witness_says(i))
            fail_msg("%s: iproute2 does not say so", name);
    }
}

static void test_without_privilege(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct linux_feature_state states[LINUX_FEATURES];
        struct err err;
        if (setresuid(65534, 65534, 65534) < 0 && geteuid() == 0)
            _exit(77);
        int code = linux_features(states, &err);
        _exit(code == -EPERM && strstr(err.text, "CAP_SYS_ADMIN") ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_without_privilege),
        cmocka_unit_test(test_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
