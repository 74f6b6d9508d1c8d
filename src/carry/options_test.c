/* The command line: what is written is read again as the same; what is wrong is refused. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "carry/carry.h"

static int parse(struct carry_options *out, char **args, int n, struct err *err)
{
    const char *rest[CARRY_MAX_ARGUMENTS];
    memset(out, 0, sizeof *out);
    int result = options_parse(carry_rows, args, n, rest, carry_take, out, err);
    return result < 0 ? result : carry_check(out, err);
}

static struct carry_options smallest(void)
{
    char *args[] = {(char[]){"--interface"},    (char[]){"eth0"},     (char[]){"--to"},
                    (char[]){"vxlan:10.9.0.2"}, (char[]){"--status"}, (char[]){"/run/x"}};
    struct carry_options o;
    struct err err = {""};
    if (parse(&o, args, 6, &err) < 0)
        fail_msg("%s", err.text);
    return o;
}

static void test_defaults(void **state)
{
    struct carry_options o = smallest();
    assert_string_equal(o.interface, "eth0");
    assert_int_equal(o.wrap, CARRY_VXLAN);
    assert_int_equal(o.port, 4789);
    assert_int_equal(o.id, 0);
    assert_int_equal(o.direction, CARRY_BOTH);
    assert_int_equal(o.memory, 32 << 20);
    assert_int_equal(o.snap, 0);
    assert_int_equal(o.rate_limit, 0);
    assert_false(o.has_from);
    assert_int_equal(o.ready_fd, 0);
    char to[CARRY_TARGET_MAX];
    carry_put_target(&o, to);
    assert_string_equal(to, "vxlan:10.9.0.2:4789");
    struct err err;
    struct carry_options made = {
        .interface = "eth0", .to = o.to, .wrap = CARRY_GENEVE, .status = "x"};
    assert_int_equal(carry_check(&made, &err), 0);
    assert_int_equal(made.port, 6081);
}

static void test_there_and_back(void **state)
{
    struct carry_options all = {.interface = "enp0s31f6abcde",
                                .wrap = CARRY_GENEVE,
                                .port = 65535,
                                .has_from = true,
                                .id = 0xffffff,
                                .direction = CARRY_OUT,
                                .snap = 128,
                                .rate_limit = UINT64_C(1) << 33,
                                .name = "a-name-of-thirty-one-characters",
                                .user = "some-user",
                                .memory = 64 << 20,
                                .ready_fd = 3};
    assert_true(addr_parse("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff", &all.to));
    assert_true(addr_parse("2001:db8:aaaa:bbbb:cccc:dddd:eeee:fffe", &all.from));
    memset(all.filter, 'f', sizeof all.filter - 1);
    memset(all.status, '/', sizeof all.status - 1);
    struct carry_options few = smallest();
    few.direction = CARRY_IN;
    const struct carry_options *const cases[] = {&all, &few};
    for (int i = 0; i < 2; i++) {
        struct carry_arguments arguments;
        struct carry_options again;
        struct err err = {""};
        carry_put_arguments(cases[i], &arguments);
        assert_true(arguments.n <= CARRY_MAX_ARGUMENTS);
        assert_null(arguments.at[arguments.n]);
        assert_string_equal(arguments.at[0], "mirror");
        assert_string_equal(arguments.at[1], "carry");
        if (parse(&again, arguments.at + 2, (int)arguments.n - 2, &err) < 0)
            fail_msg("%s", err.text);
        assert_memory_equal(&again, cases[i], sizeof again);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *option, *value, *says;
    } cases[] = {
        {"--to", "gre:10.9.0.2", "vxlan:HOST"},
        {"--to", "vxlan:collector.example.net", "is no address"},
        {"--to", "vxlan:239.1.1.1", "of one machine"},
        {"--to", "vxlan:0.0.0.0", "of one machine"},
        {"--to", "vxlan:[ff02::1]", "of one machine"},
        {"--to", "vxlan:[::]", "of one machine"},
        {"--to", "vxlan:[fe80::1]", "link-local"},
        {"--to", "vxlan:10.9.0.2:0", "not a place"},
        {"--to", "vxlan:10.9.0.2:65536", "not a place"},
        {"--from", "eth1", "is no address"},
        {"--id", "16777216", "0 to 16777215"},
        {"--id", "-1", "0 to 16777215"},
        {"--id", "x", "0 to 16777215"},
        {"--direction", "ingress", "in, out, both"},
        {"--snap", "13", "from 14"},
        {"--snap", "65536", "to 65535"},
        {"--rate-limit", "0", "from 1"},
        {"--rate-limit", "9G", "to 8589934592"},
        {"--memory", "1M", "from"},
        {"--memory", "3G", "to"},
        {"--interface", "a-name-of-sixteen", "too long"},
        {"--interface", "", "empty"},
        {"--status", "", "empty"},
        {"--ready", "2", "from 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char option[32], value[64];
        char *args[] = {option, value};
        struct carry_options o;
        struct err err = {""};
        (void)snprintf(option, sizeof option, "%s", cases[i].option);
        (void)snprintf(value, sizeof value, "%s", cases[i].value);
        assert_int_equal(parse(&o, args, 2, &err), -EINVAL);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s %s: %s", option, value, err.text);
    }
}

static void test_what_lacks(void **state)
{
    struct err err;
    struct carry_options o = smallest();
    o.interface[0] = 0;
    assert_int_equal(carry_check(&o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--interface"));
    o = smallest();
    memset(&o.to, 0, sizeof o.to);
    assert_int_equal(carry_check(&o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--to"));
    o = smallest();
    o.status[0] = 0;
    assert_int_equal(carry_check(&o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "--status"));
    o = smallest();
    o.has_from = true;
    assert_true(addr_parse("2001:db8::1", &o.from));
    assert_int_equal(carry_check(&o, &err), -EINVAL);
    assert_non_null(strstr(err.text, "IPv6"));
    o = smallest();
    o.id = 1 << 24;
    assert_int_equal(carry_check(&o, &err), -EINVAL);
    o = smallest();
    o.rate_limit = UINT64_MAX;
    assert_int_equal(carry_check(&o, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_what_lacks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
