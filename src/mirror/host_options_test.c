/* Options of mirrors by this machine's kernel: what each takes, what does not go together, and what
 * the user reads then. */
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

#include "mirror/host.h"

static const struct option_row rows[] = {HOST_OPTION_ROWS{0}};

struct taken {
    struct host_wish wish;
};

static int take(int row, const char *value, void *with, struct err *err)
{
    struct taken *taken = with;
    return host_take(row, value, &taken->wish, err);
}

/* The words of a command line, cut at spaces; '~' becomes one. Gives what taking them, or else the
 * check of them together, is refused with. */
static int parse(const char *line, size_t n_taps, struct taken *out, struct err *err)
{
    static char words[512];
    char *args[32];
    const char *rest[32];
    int n = 0;
    (void)snprintf(words, sizeof words, "%s", line);
    for (char *at = words; *at && n < 32;) {
        args[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
        for (char *c = args[n - 1]; *c; c++)
            *c = *c == '~' ? ' ' : *c;
    }
    *out = (struct taken){{{0}}};
    int result = options_parse(rows, args, n, rest, take, out, err);
    assert_true(result <= 0);
    if (result == 0 && !out->wish.direction)
        out->wish.direction = HOST_BOTH;
    return result < 0 ? result : host_check(&out->wish, n_taps, err);
}

static void test_table(void **state)
{
    (void)state;
    for (int i = 0; i < HOST_N_ROWS; i++) {
        assert_non_null(rows[i].name);
        assert_non_null(rows[i].help);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(rows[i].name, rows[k].name);
    }
    assert_null(rows[HOST_N_ROWS].name);
    for (int i = 0; i < HOST_N_METHODS; i++) {
        int method = -1;
        struct err err;
        assert_int_equal(host_parse_method(host_method_name(i), &method, &err), 0);
        assert_int_equal(method, i);
    }
    assert_null(host_method_name(-1));
    assert_null(host_method_name(HOST_N_METHODS));
}

#define TO "--to vxlan:10.9.0.2 "

static void test_taken(void **state)
{
    (void)state;
    struct taken taken;
    struct err err = {""};
    if (parse(TO "--id 101 --method tc --direction in --filter tcp~port~80 --rate-limit 10M "
                 "--via eth1 --persist",
              1, &taken, &err) < 0)
        fail_msg("%s", err.text);
    const struct host_wish *wish = &taken.wish;
    assert_true(wish->has_to && wish->has_id && wish->persist && !wish->has_gateway);
    assert_int_equal(wish->to.wrap, MIRROR_VXLAN);
    assert_int_equal(wish->to.port, 4789);
    assert_int_equal(wish->id, 101);
    assert_int_equal(wish->method, HOST_TC);
    assert_int_equal(wish->direction, HOST_IN);
    assert_string_equal(wish->filter, "tcp port 80");
    assert_int_equal(wish->rate, 10u << 20);
    assert_string_equal(wish->via, "eth1");
    assert_int_equal(parse("--to interface:eth1 --gateway fd00::1 --method tee --direction out", 1,
                           &taken, &err),
                     0);
    assert_true(taken.wish.has_gateway);
    assert_string_equal(taken.wish.to.device, "eth1");
    assert_int_equal(taken.wish.direction, HOST_OUT);
    /* No filter is none. */
    assert_int_equal(parse(TO "--id 1 --method nft --filter=", 1, &taken, &err), 0);
    assert_null(taken.wish.filter);
    /* The later one counts. */
    assert_int_equal(parse(TO "--id 1 --id 2 --direction in --direction both", 1, &taken, &err), 0);
    assert_int_equal(taken.wish.id, 2);
    assert_int_equal(taken.wish.direction, HOST_BOTH);
}

/* What can be asked for, at its limits. */
static void test_good(void **state)
{
    (void)state;
    static const char *const lines[] = {
        TO "--id 0",
        TO "--id 16777215",
        "--to geneve:[fd00::2]:6081 --id 16777215",
        "--to gre:10.9.0.2",
        "--to gre:10.9.0.2 --id 4294967295",
        "--to erspan1:10.9.0.2",
        "--to erspan2:10.9.0.2 --id 1023",
        "--to erspan3:10.9.0.2 --id 0",
        "--to interface:eth1",
        TO "--id 1 --snap 64",
        TO "--id 1 --snap 65535 --method user",
        TO "--id 1 --rate-limit 1K",
        TO "--id 1 --rate-limit 1T",
        TO "--id 1 --rate-limit 1M --method nft",
        TO "--id 1 --rate-limit 1M --method nft-ip",
        TO "--id 1 --filter tcp --method tee",
        TO "--id 1 --filter tcp --method user --snap 96 --rate-limit 1M",
        "--to geneve:10.9.0.2 --id 1 --method user",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct taken taken;
        struct err err = {""};
        if (parse(lines[i], 1, &taken, &err) < 0)
            fail_msg("%s: %s", lines[i], err.text);
    }
}

/* Each refusal, and what it says. */
static const struct {
    const char *line;
    size_t n_taps;
    const char *says;
} bad[] = {
    {"", 1, "where to? --to vxlan:ADDR, the collector's address"},
    {"--id 7", 1, "where to? --to vxlan:ADDR"},
    {"--to udp:10.9.0.2", 1,
     "begins with none of vxlan, geneve, gre, erspan1, erspan2, erspan3, "
     "interface ("},
    {"--to port:x", 1, "begins with none of"},
    {"--to vlan:7", 1, "begins with none of"},
    {TO, 1, "--id: vxlan needs one (0 to 16777215), by which the collector knows this machine"},
    {"--to geneve:10.9.0.2", 1, "--id: geneve needs one (0 to 16777215)"},
    {"--to erspan2:10.9.0.2", 1, "--id: erspan2 needs one (0 to 1023)"},
    {"--to erspan1:10.9.0.2 --id 7", 1, "--id: erspan1 carries no id"},
    {"--to interface:eth1 --id 7", 1, "--id: interface carries no id"},
    {TO "--id 16777216", 1, "--id: 16777216 is too large: vxlan has 0 to 16777215"},
    {"--to erspan3:10.9.0.2 --id 1024", 1, "--id: 1024 is too large: erspan3 has 0 to 1023"},
    {TO "--id 4294967295", 1, "is too large"},
    {TO "--id 4294967296", 1, "--id: '4294967296' is no number up to 4294967295"},
    {TO "--id -1", 1, "--id: '-1' is no number"},
    {TO "--id x", 1, "--id: 'x' is no number"},
    {TO "--id=", 1, "--id: '' is no number"},
    {TO "--id 16777214", 3, "--id: 16777214 is too large"},
    {"--to gre:10.9.0.2 --id 4294967295", 2, "--id: 4294967295 is too large"},
    {TO "--id 1 --method ebpf", 1, "--method: 'ebpf' is none of auto, tc, nft, user, nft-ip, tee"},
    {TO "--id 1 --method TC", 1, "--method: 'TC' is none of"},
    {TO "--id 1 --direction up", 1, "--direction: 'up' is none of in, out, both"},
    {TO "--id 1 --filter tcp~prot~80", 1, "filter \"tcp prot 80\": can't parse"},
    {TO "--id 1 --filter (((", 1, "filter \"(((\": can't parse"},
    {TO "--id 1 --snap 63", 1, "--snap: '63' is no number of bytes (64 to 65535)"},
    {TO "--id 1 --snap 65536", 1, "--snap: '65536' is no number of bytes"},
    {TO "--id 1 --snap 1K", 1, "--snap: '1K' is no number of bytes"},
    {TO "--id 1 --rate-limit 1023", 1,
     "--rate-limit: '1023' is no number of bytes a second (1K to 1T)"},
    {TO "--id 1 --rate-limit 2T", 1, "--rate-limit: '2T' is no number"},
    {TO "--id 1 --rate-limit fast", 1, "--rate-limit: 'fast' is no number"},
    {"--to interface:eth1 --gateway x", 1, "--gateway: 'x' is no IP address"},
    {TO "--id 1 --gateway 10.9.0.3", 1,
     "--gateway is for interface: only; a tunnel's end is known"},
    {"--to interface:eth1 --via eth2", 1,
     "--via is for tunnels only; interface:eth1 says by which "
     "interface copies leave"},
    {"--to interface:eth1 --gateway 10.9.0.3 --method tc", 1,
     "--gateway: the method tc sends whole frames to whoever is there; nft-ip and tee need it"},
    {TO "--id 1 --via=", 1, "--via: '' is no name of an interface"},
    {TO "--id 1 --via 0123456789012345", 1, "is no name of an interface"},
    /* What a method cannot. */
    {TO "--id 1 --snap 96 --method tc", 1,
     "--snap: the method tc copies whole frames; --method user can cut them"},
    {TO "--id 1 --snap 96 --method nft", 1, "--snap: the method nft copies whole frames"},
    {TO "--id 1 --snap 96 --method nft-ip", 1, "--snap: the method nft-ip copies whole frames"},
    {TO "--id 1 --snap 96 --method tee", 1, "--snap: the method tee copies whole frames"},
    {TO "--id 1 --rate-limit 1M --method tee", 1,
     "--rate-limit: the method tee has no limit; tc, nft, nft-ip and user have"},
    {TO "--id 1 --filter tcp --method nft", 1,
     "--filter: the method nft runs no pcap filters; tc, tee and user do"},
    {TO "--id 1 --filter tcp --method nft-ip", 1, "--filter: the method nft-ip runs no pcap"},
    {"--to gre:10.9.0.2 --method user", 1,
     "--to: the method user wraps copies in vxlan or geneve only, not in gre"},
    {"--to interface:eth1 --method user", 1, "not in interface"},
    /* Which none can at once: also where the best one is asked for. */
    {"--to gre:10.9.0.2 --snap 96", 1,
     "--snap: only the method user cuts frames, and that wraps copies in vxlan or geneve only"},
    {"--to interface:eth1 --snap 96", 1, "--snap: only the method user cuts frames"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct taken taken;
        struct err err = {""};
        if (parse(bad[i].line, bad[i].n_taps, &taken, &err) != -EINVAL)
            fail_msg("'%s' was taken", bad[i].line);
        if (!strstr(err.text, bad[i].says))
            fail_msg("'%s': %s", bad[i].line, err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
