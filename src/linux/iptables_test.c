/* Rules of iptables: what is printed for a shell, and what is read of what iptables-save prints. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/iptables.h"
#include "linux/iptables_parts.h"
#include "linux/iptables_recorded.h"

static struct addr address(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

/* What the recorded rules are of. */
static struct linux_tee want_of(int family, bool second)
{
    bool v4 = family == LINUX_TEE_4;
    struct linux_tee want = {.mirror = "web-1.a_B",
                             .family = family,
                             .interface = "eth0",
                             .in = !second,
                             .out = true,
                             .to = "cs0",
                             .gateway = address(v4 ? "169.254.99.2" : "fe80::c5"),
                             .n_exclusions = 1};
    want.exclusions[0] =
        (struct linux_exclusion){address(v4 ? "10.9.0.2" : "2001:db8::9"), IPPROTO_UDP, 4789};
    if (second) {
        (void)snprintf(want.mirror, sizeof want.mirror, "the-web-server-of-the-shop-2");
        want.to[0] = '\0';
        want.exclusions[0].protocol = IPPROTO_GRE;
        want.exclusions[0].port = 0;
    } else {
        assert_int_equal(linux_tee_filter("udp port 53", &want, NULL), 0);
    }
    return want;
}

static struct linux_tee_found get(const struct linux_tee_list *list, const char *mirror)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->at[i].is.mirror, mirror) == 0)
            return list->at[i];
    fail_msg("%s is not there", mirror);
    return (struct linux_tee_found){0};
}

static void test_recorded(void **state)
{
    (void)state;
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        struct linux_tee_list list = {0};
        const char *saved = family == LINUX_TEE_4 ? tee_189_4 : tee_1811_6;
        assert_int_equal(linux_tee_parse(saved, family, NULL, &list, NULL), 0);
        assert_int_equal(list.n, 2);
        for (int second = 0; second < 2; second++) {
            struct linux_tee want = want_of(family, second);
            struct linux_tee_found found = get(&list, want.mirror);
            char why[200] = "";
            if (!found.intact)
                fail_msg("%s: %s", want.mirror, found.strange);
            if (!linux_tee_same(&found.is, &want, why, sizeof why))
                fail_msg("%s: %s", want.mirror, why);
            if (family == LINUX_TEE_4) {
                assert_int_equal(found.out.n_seen, 4);
                assert_int_equal(found.out.bytes_seen, 136);
                assert_int_equal(found.out.n_copied, second ? 4 : 3);
                assert_int_equal(found.out.bytes_copied, second ? 136 : 102);
                assert_int_equal(found.in.n_seen, 0);
            }
        }
        linux_tee_list_done(&list);
        assert_int_equal(linux_tee_parse(saved, family, "web-1.a_B", &list, NULL), 0);
        assert_int_equal(list.n, 1);
        assert_true(list.at[0].intact);
        assert_int_equal(
            linux_tee_parse(saved, family, "the-web-server-of-the-shop-2", &list, NULL), 0);
        assert_int_equal(list.n, 2); /* it adds */
        assert_true(list.at[1].intact);
        linux_tee_list_done(&list);
        assert_int_equal(linux_tee_parse(saved, family, "web", &list, NULL), 0);
        assert_int_equal(list.n, 0);
        linux_tee_list_done(&list);
    }
}

/* What is cut is not right; what of it is right is what was recorded. */
static void test_cut(void **state)
{
    (void)state;
    size_t size = strlen(tee_189_4);
    for (size_t cut = 0; cut <= size; cut++) {
        struct linux_tee_list list = {0};
        char *saved = strndup(tee_189_4, cut);
        assert_non_null(saved);
        assert_int_equal(linux_tee_parse(saved, LINUX_TEE_4, NULL, &list, NULL), 0);
        for (size_t i = 0; i < list.n; i++)
            if (list.at[i].intact) {
                struct linux_tee want = want_of(LINUX_TEE_4, list.at[i].is.mirror[0] == 't');
                char why[200];
                assert_true(linux_tee_same(&list.at[i].is, &want, why, sizeof why));
            }
        linux_tee_list_done(&list);
        free(saved);
    }
}

#define CHAIN   ":CSPN-a-I - [0:0]\n"
#define COMMENT " -m comment --comment \"cloudspan a\" "
#define JUMP    "[1:2] -A PREROUTING -i e0" COMMENT "-j CSPN-a-I\n"
#define LOCAL   "[0:0] -A CSPN-a-I -m addrtype --src-type LOCAL" COMMENT "-j RETURN\n"
#define TEE     "[3:4] -A CSPN-a-I" COMMENT "-j TEE --gateway 10.0.0.1\n"

static void test_rules(void **state)
{
    (void)state;
    static const struct {
        const char *saved;
        const char *strange; /* NULL: it is intact; "": no mirror */
    } rows[] = {
        {CHAIN JUMP LOCAL TEE, NULL},
        {"*mangle\n" CHAIN JUMP LOCAL TEE "COMMIT\n", NULL},
        {"*nat\n" CHAIN JUMP LOCAL TEE "COMMIT\n", ""},
        {"*nat\n*mangle\n" CHAIN JUMP LOCAL TEE "COMMIT\n", NULL},
        {"", ""},
        {"\n\n:\n[\n-\n-A\n[1:2]\n[1:2] -A\n", ""},
        {":CSPN-\n:CSPN-I\n:CSPN--I\n:CSPN-a\n:CSPN-a-X\n:CSPN-aaaaaaaaaaaaaaaaaaaaaaaaaa-I\n", ""},
        {CHAIN, "does not jump"},
        {CHAIN TEE, "should not be there"},
        {CHAIN JUMP LOCAL, "missing"},
        {CHAIN JUMP, "missing"},
        {CHAIN JUMP TEE, "instead"},
        {JUMP LOCAL TEE, "does not jump"}, /* a chain that is not there */
        {CHAIN JUMP JUMP LOCAL TEE, "should not be there"},
        {CHAIN JUMP LOCAL TEE TEE, "should not be there"},
        {CHAIN "[0:0] -A PREROUTING -i e1 -j DROP\n" JUMP LOCAL TEE, "in front of it"},
        {CHAIN "[0:0] -A POSTROUTING -j DROP\n[0:0] -A PREROUTING -j x\n" JUMP LOCAL TEE, NULL},
        {CHAIN JUMP LOCAL TEE "[0:0] -A PREROUTING -j DROP\n", NULL},
        {CHAIN JUMP LOCAL "[0:0] -A CSPN-a-I -d 1.2.3.4/32 -p 47" COMMENT "-j RETURN\n" TEE,
         "instead"},
        {CHAIN JUMP LOCAL "[0:0] -A CSPN-a-I -d 1.2.3.4/32 -p 47" COMMENT "-j RETURN\n"
                          "[0:0] -A CSPN-a-I -s 1.2.3.4/32 -p 1 -m icmp --icmp-type 3" COMMENT
                          "-j RETURN\n" TEE,
         NULL},
        {CHAIN JUMP LOCAL "[0:0] -A CSPN-a-I -j LOG --log-prefix \"a b\"\n" TEE, "LOG"},
        {CHAIN JUMP LOCAL "[3:4] -A CSPN-a-I -m bpf --bytecode \"1,6 0 0 1\"" COMMENT
                          "-j TEE --gateway 10.0.0.1\n",
         NULL},
        {CHAIN JUMP LOCAL "[3:4] -A CSPN-a-I -m bpf --bytecode \"2,6 0 0 1\"" COMMENT
                          "-j TEE --gateway 10.0.0.1\n",
         "bpf"},
        {CHAIN JUMP LOCAL "[3:4] -A CSPN-a-I -m bpf --bytecode \"1,6 0 999 1\"" COMMENT
                          "-j TEE --gateway 10.0.0.1\n",
         "bpf"},
        {CHAIN JUMP LOCAL "[3:4] -A CSPN-a-I -m bpf --bytecode \"65,6 0 0 1\"" COMMENT
                          "-j TEE --gateway 10.0.0.1\n",
         "bpf"},
        {CHAIN JUMP LOCAL "[3:4] -A CSPN-a-I" COMMENT "-j TEE --gateway nobody\n", "nobody"},
        {CHAIN JUMP
         "[3:4] -A CSPN-a-I -m comment --comment \"another\" -j TEE --gateway 10.0.0.1\n",
         "another"},
        {"[1:2] -A PREROUTING -i e0 -m comment --comment \"cloudspan \" -j CSPN-a-I\n", ""},
        {"[1:2] -A PREROUTING -i e0 -m comment --comment \"cloudspan a;b\" -j CSPN-a-I\n", ""},
        {"[1:2] -A PREROUTING -i e0 -m comment --comment \"cloudspan a\" -j ACCEPT\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_tee_list list = {0};
        assert_int_equal(linux_tee_parse(rows[i].saved, LINUX_TEE_4, NULL, &list, NULL), 0);
        const char *strange = list.n == 0 ? "" : list.at[0].strange;
        bool intact = list.n == 1 && list.at[0].intact;
        if (list.n > 1 || intact != !rows[i].strange ||
            (!intact && (!strstr(strange, rows[i].strange) || !*rows[i].strange != !*strange)))
            fail_msg("row %zu: %zu, %s", i, list.n, strange);
        if (intact) {
            assert_string_equal(list.at[0].is.interface, "e0");
            assert_int_equal(list.at[0].in.n_seen, 1);
            assert_int_equal(list.at[0].in.bytes_copied, 4);
        }
        linux_tee_list_done(&list);
    }
}

/* Lines with more words, and longer, than anything of ours, from a block of their exact size. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t size = 4000; size < 9000; size += 500) {
        struct linux_tee_list list = {0};
        char *saved = malloc(size + 1);
        assert_non_null(saved);
        memset(saved, 'x', size);
        saved[size] = '\0';
        memcpy(saved, CHAIN JUMP "-A CSPN-a-I ", sizeof CHAIN JUMP "-A CSPN-a-I " - 1);
        for (size_t i = 200; i < size && size % 1000; i += 2)
            saved[i] = ' ';
        assert_int_equal(linux_tee_parse(saved, LINUX_TEE_4, NULL, &list, NULL), 0);
        assert_int_equal(list.n, 1);
        assert_false(list.at[0].intact);
        linux_tee_list_done(&list);
        free(saved);
    }
}

static void test_chain_names(void **state)
{
    (void)state;
    static const struct {
        const char *mirror, *chain;
    } rows[] = {
        {"a", "CSPN-a-I"},
        {"0123456789-123456789.", "CSPN-0123456789-123456789.-I"},
        {"0123456789-123456789.1", "CSPN-0123456789-1-"},
        {"0123456789-123456789.123456789_", "CSPN-0123456789-1-"},
    };
    char all[4][TEE_CHAIN_MAX];
    for (size_t i = 0; i < 4; i++) {
        tee_chain_name(rows[i].mirror, true, all[i]);
        assert_int_equal(strncmp(all[i], rows[i].chain, strlen(rows[i].chain)), 0);
        assert_true(strlen(all[i]) < TEE_CHAIN_MAX);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(all[i], all[j]);
    }
    tee_chain_name("a", false, all[0]);
    assert_string_equal(all[0], "CSPN-a-O");
}

static void test_filter(void **state)
{
    (void)state;
    struct linux_tee tee = {.n_filter = 5};
    struct err err;
    assert_int_equal(linux_tee_filter(NULL, &tee, &err), 0);
    assert_int_equal(tee.n_filter, 0);
    assert_int_equal(linux_tee_filter(" ", &tee, &err), 0);
    assert_int_equal(tee.n_filter, 0);
    assert_int_equal(linux_tee_filter("tcp port", &tee, &err), -EINVAL);
    assert_int_equal(linux_tee_filter("ip", &tee, &err), 0);
    assert_in_range(tee.n_filter, 3, 5);
    char many[2000] = "port 1";
    for (int i = 2; i < 60; i++) {
        size_t at = strlen(many);
        (void)snprintf(many + at, sizeof many - at, " or port %d", i);
    }
    assert_int_equal(linux_tee_filter(many, &tee, &err), -E2BIG);
    assert_non_null(strstr(err.text, "too long for iptables"));
    assert_int_equal(tee.n_filter, 0);
}

static void test_same(void **state)
{
    (void)state;
    struct linux_tee want = want_of(LINUX_TEE_4, false), is = want;
    char why[200];
    assert_true(linux_tee_same(&is, &want, why, sizeof why));
    is.exclusions[is.n_exclusions++] = (struct linux_exclusion){address("fe80::1"), 17, 1};
    assert_true(linux_tee_same(&is, &want, why, sizeof why)); /* of the other family */
#define DIFFERS(change, says)                                                                      \
    is = want;                                                                                     \
    change;                                                                                        \
    assert_false(linux_tee_same(&is, &want, why, sizeof why));                                     \
    assert_string_equal(why, says)
    DIFFERS(is.to[0] = 0, "to is nothing, should be cs0");
    DIFFERS(is.interface[3] = '1', "interface is eth1, should be eth0");
    DIFFERS(is.in = false, "direction is out, should be both");
    DIFFERS(is.n_filter = 0, "the filter is missing");
    DIFFERS(is.filter[3].k++, "the filter is another one");
    DIFFERS(is.gateway = address("10.0.0.1"), "gateway is 10.0.0.1, should be 169.254.99.2");
    DIFFERS(is.n_exclusions = 0, "excluded is nothing, should be udp 10.9.0.2 4789");
    DIFFERS(is.family = LINUX_TEE_6, "family is IPv6, should be IPv4");
    struct linux_tee none = want;
    none.n_filter = 0;
    assert_false(linux_tee_same(&want, &none, why, sizeof why));
    assert_string_equal(why, "the filter is there, and should not be");
    want.to[0] = 0;
    DIFFERS(is.to[0] = 'x', "to is xs0, should be nothing");
#undef DIFFERS
}

static void test_commands(void **state)
{
    (void)state;
    struct linux_tee want = want_of(LINUX_TEE_4, true);
    struct text text;
    text_init(&text, 65536);
    want.in = true;
    (void)snprintf(want.mirror, sizeof want.mirror, "web");
    linux_tee_put_make(&want, &text);
    linux_tee_put_remove(&want, &text);
    assert_string_equal(
        text.at,
        "iptables -w -t mangle -N CSPN-web-I\n"
        "iptables -w -t mangle -N CSPN-web-O\n"
        "iptables -w -t mangle -A CSPN-web-I -m addrtype --src-type LOCAL -m comment --comment "
        "\"cloudspan web\" -j RETURN\n"
        "iptables -w -t mangle -A CSPN-web-I -d 10.9.0.2/32 -p gre -m comment --comment "
        "\"cloudspan web\" -j RETURN\n"
        "iptables -w -t mangle -A CSPN-web-I -s 10.9.0.2/32 -p icmp -m icmp --icmp-type 3 "
        "-m comment --comment \"cloudspan web\" -j RETURN\n"
        "iptables -w -t mangle -A CSPN-web-I -m comment --comment \"cloudspan web\" -j TEE "
        "--gateway 169.254.99.2\n"
        "iptables -w -t mangle -A CSPN-web-O -d 10.9.0.2/32 -p gre -m comment --comment "
        "\"cloudspan web\" -j RETURN\n"
        "iptables -w -t mangle -A CSPN-web-O -s 10.9.0.2/32 -p icmp -m icmp --icmp-type 3 "
        "-m comment --comment \"cloudspan web\" -j RETURN\n"
        "iptables -w -t mangle -A CSPN-web-O -m comment --comment \"cloudspan web\" -j TEE "
        "--gateway 169.254.99.2\n"
        "iptables -w -t mangle -I PREROUTING -i eth0 -m comment --comment \"cloudspan web\" "
        "-j CSPN-web-I\n"
        "iptables -w -t mangle -I POSTROUTING -o eth0 -m comment --comment \"cloudspan web\" "
        "-j CSPN-web-O\n"
        "iptables -w -t mangle -D PREROUTING -i eth0 -m comment --comment \"cloudspan web\" "
        "-j CSPN-web-I\n"
        "iptables -w -t mangle -F CSPN-web-I\n"
        "iptables -w -t mangle -X CSPN-web-I\n"
        "iptables -w -t mangle -D POSTROUTING -o eth0 -m comment --comment \"cloudspan web\" "
        "-j CSPN-web-O\n"
        "iptables -w -t mangle -F CSPN-web-O\n"
        "iptables -w -t mangle -X CSPN-web-O\n");
    text_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_rules),       cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_chain_names), cmocka_unit_test(test_filter),
        cmocka_unit_test(test_same),        cmocka_unit_test(test_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
