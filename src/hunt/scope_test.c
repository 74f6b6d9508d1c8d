/* Which pairs and names are looked at: the rows of RITA's own filter tests, and the corners. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "hunt/scope.h"

static struct addr at(const char *text)
{
    struct addr addr;
    assert_true(addr_parse(text, &addr));
    return addr;
}

static void test_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *addr;
        bool has;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.1.2.3/8", "10.9.9.9", true}, /* host bits are no part of it */
        {"10.1.2.3", "10.1.2.3", true},
        {"10.1.2.3", "10.1.2.2", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "8.8.8.8", true},
        {"::/0", "2001:db8::1", true},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fc00::1", false},
        {"2001:db8:0:8000::/49", "2001:db8:0:8000::1", true},
        {"2001:db8:0:8000::/49", "2001:db8:0:7fff::1", false},
        {"2001:db8::/64", "2001:db8::ffff:0:0:1", true},
        {"2001:db8::/64", "2001:db8:0:1::1", false},
        {"2001:db8::/65", "2001:db8::8000:0:0:0", false},
        {"2001:db8::/127", "2001:db8::1", true},
        {"2001:db8::/128", "2001:db8::1", false},
        {"192.168.1.128/25", "192.168.1.127", false},
        {"192.168.1.128/25", "192.168.1.200", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hunt_prefix prefix;
        assert_true(hunt_prefix_parse(rows[i].prefix, &prefix));
        struct addr addr = at(rows[i].addr);
        if (hunt_prefix_has(&prefix, &addr) != rows[i].has)
            fail_msg("%s in %s", rows[i].addr, rows[i].prefix);
    }
    static const char *const wrong[] = {
        "",           "/8",     "10.0.0.0/",     "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
        "fd00::/129", "10.0.0", "10.0.0.0/0008", "example.com", " 10.0.0.0/8", "10.0.0.0/8/8",
    };
    struct hunt_prefix prefix = {.bits = 77};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (hunt_prefix_parse(wrong[i], &prefix))
            fail_msg("\"%s\" is no prefix", wrong[i]);
    assert_int_equal(prefix.bits, 77);
}

/* A scope of prefixes given as texts. */
struct scope_bed {
    struct hunt_prefix internal[4], always[2], never[2];
    struct hunt_scope scope;
};

static void scope_init(struct scope_bed *bed)
{
    memset(bed, 0, sizeof *bed);
    static const char *const internal[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                           "fd00::/8"};
    for (size_t i = 0; i < 4; i++)
        assert_true(hunt_prefix_parse(internal[i], &bed->internal[i]));
    assert_true(hunt_prefix_parse("10.99.0.0/16", &bed->always[0]));
    assert_true(hunt_prefix_parse("203.0.113.0/24", &bed->always[1]));
    assert_true(hunt_prefix_parse("10.98.0.0/15", &bed->never[0])); /* holds 10.99, too */
    assert_true(hunt_prefix_parse("198.51.100.0/24", &bed->never[1]));
    bed->scope = (struct hunt_scope){
        .internal = bed->internal,
        .n_internal = 4,
        .always = bed->always,
        .n_always = 2,
        .never = bed->never,
        .n_never = 2,
        .include_inbound = true, /* FilterExternalToInternal is off, unless a row says so */
    };
}

static void test_pairs(void **state)
{
    (void)state;
    enum { PLAIN, DROPS_INBOUND, NO_INTERNAL };
    static const struct {
        const char *orig, *resp;
        bool conn, dns;
        int how;
    } rows[] = {
        /* either end always included */
        {"10.99.1.1", "10.1.1.1", true, true, PLAIN},
        {"10.1.1.1", "10.99.1.1", true, true, PLAIN},
        {"8.8.8.8", "203.0.113.9", true, true, PLAIN},
        {"203.0.113.9", "10.1.1.1", true, true, DROPS_INBOUND},
        {"10.99.1.1", "198.51.100.1", true, true, PLAIN}, /* before never included */
        {"10.99.1.1", "224.0.0.1", true, true, PLAIN},
        /* either end never included */
        {"10.98.1.1", "8.8.8.8", false, false, PLAIN},
        {"10.1.1.1", "198.51.100.1", false, false, PLAIN},
        {"198.51.100.1", "10.1.1.1", false, false, PLAIN},
        {"10.1.1.1", "10.98.1.1", false, false, PLAIN},
        /* both external */
        {"8.8.8.8", "1.1.1.1", false, false, PLAIN},
        {"2001:4860:4860::8888", "8.8.8.8", false, false, PLAIN},
        /* both internal */
        {"10.1.1.1", "192.168.1.1", false, true, PLAIN},
        {"fd00::1", "172.31.255.255", false, true, PLAIN},
        /* out, and in */
        {"10.1.1.1", "8.8.8.8", true, true, PLAIN},
        {"fd00::1", "2001:4860:4860::8888", true, true, PLAIN},
        {"10.1.1.1", "8.8.8.8", true, true, DROPS_INBOUND},
        {"8.8.8.8", "10.1.1.1", true, true, PLAIN},
        {"8.8.8.8", "10.1.1.1", false, false, DROPS_INBOUND},
        /* no internal networks: nothing is known of ways */
        {"10.1.1.1", "10.1.1.2", true, true, NO_INTERNAL},
        {"8.8.8.8", "1.1.1.1", true, true, NO_INTERNAL},
        {"10.98.1.1", "8.8.8.8", false, false, NO_INTERNAL},
        {"10.1.1.1", "127.0.0.53", false, false, NO_INTERNAL},
        /* no hosts */
        {"10.1.1.1", "255.255.255.255", false, false, PLAIN},
        {"0.0.0.0", "10.1.1.1", false, false, PLAIN},
        {"10.1.1.1", "::", false, false, PLAIN},
        {"10.1.1.1", "::1", false, false, PLAIN},
        {"10.1.1.1", "239.255.255.250", false, false, PLAIN},
        {"10.1.1.1", "169.254.169.254", false, false, PLAIN},
        {"fe80::1", "ff02::2", false, false, PLAIN},
        {"fd00::1", "ff02::fb", false, false, PLAIN},
        {"febf::1", "10.1.1.1", false, false, PLAIN},
        {"fec0::1", "10.1.1.1", true, true, PLAIN},
    };
    struct scope_bed bed;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scope_init(&bed);
        if (rows[i].how == DROPS_INBOUND)
            bed.scope.include_inbound = false;
        if (rows[i].how == NO_INTERNAL)
            bed.scope.n_internal = 0;
        struct addr orig = at(rows[i].orig), resp = at(rows[i].resp);
        if (hunt_keeps_conn(&bed.scope, &orig, &resp) != rows[i].conn)
            fail_msg("conn %s > %s", rows[i].orig, rows[i].resp);
        if (hunt_keeps_dns(&bed.scope, &orig, &resp) != rows[i].dns)
            fail_msg("dns %s > %s", rows[i].orig, rows[i].resp);
    }
}

static void test_ways(void **state)
{
    (void)state;
    struct scope_bed bed;
    scope_init(&bed);
    struct addr in = at("10.1.1.1"), in2 = at("fd12::1"), out = at("8.8.8.8"), out2 = at("::2");
    assert_int_equal(hunt_way(&bed.scope, &in, &out), HUNT_OUT);
    assert_int_equal(hunt_way(&bed.scope, &out, &in), HUNT_IN);
    assert_int_equal(hunt_way(&bed.scope, &in, &in2), HUNT_INSIDE);
    assert_int_equal(hunt_way(&bed.scope, &out, &out2), HUNT_OUTSIDE);
    /* Even where everything is internal, these are not. */
    assert_true(hunt_prefix_parse("::/0", &bed.internal[0]));
    assert_true(hunt_is_internal(&bed.scope, &out));
    static const char *const nobody[] = {"0.0.0.0", "::", "255.255.255.255"};
    for (size_t i = 0; i < 3; i++) {
        struct addr addr = at(nobody[i]);
        assert_false(hunt_is_internal(&bed.scope, &addr));
    }
}

static void test_public(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "8.8.8.8", "172.217.22.14", "192.0.2.0", "2001:4860:4860::8888", "172.32.0.1", "11.0.0.0"};
    static const char *const no[] = {"10.0.0.1",    "172.16.0.1", "172.31.255.255", "192.168.0.1",
                                     "fc00::1",     "fdff::1",    "127.0.0.1",      "127.9.9.9",
                                     "169.254.1.1", "::1",        "fe80::1",        "ff02::1",
                                     "224.0.0.1",   "0.0.0.0"};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
        struct addr addr = at(yes[i]);
        if (!hunt_is_public(&addr))
            fail_msg("%s is public", yes[i]);
    }
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++) {
        struct addr addr = at(no[i]);
        if (hunt_is_public(&addr))
            fail_msg("%s is not public", no[i]);
    }
}

static void test_domains(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool fits;
    } rows[] = {
        {"*.bingbong", "sub.bingbong", true},
        {"*.bingbong", "super.sub.bingbong", true},
        {"*.bingbong", "bingbong", true},
        {"*.bingbong", "notbingbong", false},
        {"*.com", "bingbong.com", true},
        {"bingbong.com", "bingbong.com", true},
        {"bingbong.com", "sub.bingbong.com", false},
        {"bingbong.com", "BINGBONG.com", true},
        {"*.BingBong.com", "a.bingbong.COM", true},
        {"x.com", "x.com:443", false},
        {"*.x.com", "x.com:443", false},
        {"*.x.com", "", false},
        {"", "", false},
        {"*.", "x.", false},
        {"*", "x.com", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (hunt_domain_fits(str_c(rows[i].pattern), str_c(rows[i].name)) != rows[i].fits)
            fail_msg("%s fits %s", rows[i].name, rows[i].pattern);

    char always[] = "good.example.com", never[] = "*.example.com";
    char *one[] = {always}, *other[] = {never};
    struct hunt_scope scope = {
        .always_domains = one, .n_always_domains = 1, .never_domains = other, .n_never_domains = 1};
    assert_true(hunt_keeps_domain(&scope, STR("good.example.com")));
    assert_false(hunt_keeps_domain(&scope, STR("bad.example.com")));
    assert_false(hunt_keeps_domain(&scope, STR("example.com")));
    assert_true(hunt_keeps_domain(&scope, STR("example.org")));
}

static void test_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"example.com", "sub.example.com", "sub-domain.example.com",
                                      "1.2.3.example.com", "x.xn--p1ai"};
    static const char *const no[] = {"example",
                                     "example.com.",
                                     "sub_domain.example.com",
                                     "example .com",
                                     "exa$mple.com",
                                     "example.c",
                                     "",
                                     ".com",
                                     "a..com",
                                     "1.2.3.4",
                                     "-a.com",
                                     "a-.com",
                                     "."};
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        if (!hunt_is_fqdn(str_c(yes[i])))
            fail_msg("%s is a name", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        if (hunt_is_fqdn(str_c(no[i])))
            fail_msg("\"%s\" is no name", no[i]);
    char label[70];
    memset(label, 'a', sizeof label);
    memcpy(label + 63, ".com", 5);
    assert_true(hunt_is_fqdn(str_c(label)));
    memset(label, 'a', sizeof label);
    memcpy(label + 64, ".com", 5);
    assert_false(hunt_is_fqdn(str_c(label)));
}

static void test_registrable(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part;
    } rows[] = {
        {"www.example.com", "example.com"},
        {"example.com", "example.com"},
        {"a.b.example.co.uk", "example.co.uk"},
        {"com", "com"},
        {"co.uk", "co.uk"},
        {"localhost", "localhost"},
        {"10.1.2.3", "10.1.2.3"},
        {"2001:db8::1", "2001:db8::1"},
        {"a.b.unheard-of", "b.unheard-of"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct str part = hunt_registrable(str_c(rows[i].name));
        if (!str_eq(part, str_c(rows[i].part)))
            fail_msg("%s: %.*s", rows[i].name, (int)part.len, part.at);
    }
    char name[1000];
    memset(name, 'a', sizeof name);
    memcpy(name + 600, ".com", 4);
    struct str all = str_make(name, sizeof name);
    assert_true(str_eq(hunt_registrable(all), all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prefixes),    cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_ways),        cmocka_unit_test(test_public),
        cmocka_unit_test(test_domains),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_registrable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
