/* Safelists: every form of an entry, with what it hides and what it does not; and AS numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hunt/safelist.h"

static struct finding make(void)
{
    struct finding f = {
        .has_src = true, .has_dst = true, .name = "cdn.evil.example:8080", .src_machine = "web-1"};
    for (size_t i = 0; hunts[i]; i++)
        if (strcmp(hunts[i]->name, "long-connection") == 0)
            f.hunt = hunts[i];
    assert_non_null(f.hunt);
    assert_true(addr_parse("10.1.2.3", &f.src.addr));
    assert_true(addr_parse("203.0.113.7", &f.dst.addr));
    return f;
}

static struct hunt_safelist *list_of(const char *text)
{
    struct hunt_safelist *list = NULL;
    struct err err = {""};
    assert_int_equal(hunt_safelist_load(NULL, 0, &list, &err), 0);
    if (hunt_safelist_take(list, str_c(text), "f", &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return list;
}

static bool hides(const char *text, const struct finding *finding)
{
    struct hunt_safelist *list = list_of(text);
    bool result = hunt_safelist_hides(list, finding) != NULL;
    hunt_safelist_free(list);
    return result;
}

static void test_entries(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool hides;
    } cases[] = {
        {"", false},
        {"# 10.1.2.3\n\n", false},
        {"10.1.2.3", true},
        {"10.1.2.3 # ours", true},
        {"10.1.2.3\r\n", true},
        {"203.0.113.7", true},
        {"10.1.2.4", false},
        {"10.1.0.0/16", true},
        {"src 10.1.0.0/16", true},
        {"dst 10.1.0.0/16", false},
        {"dst 203.0.113.0/24", true},
        {"src 203.0.113.0/24", false},
        {"cdn.evil.example", true},
        {"CDN.evil.example.", true},
        {"evil.example", false},
        {"*.evil.example", true},
        {"*.cdn.evil.example", true}, /* it and all below */
        {"*.vil.example", false},
        {"src cdn.evil.example", false},
        {"web-1", true},
        {"dst web-1", false},
        {"10.1.2.3 203.0.113.7", true},
        {"203.0.113.7 10.1.2.3", true},
        {"10.1.2.3 203.0.113.8", false},
        {"10.1.2.0/24 *.evil.example", true},
        {"10.1.2.0/24, *.evil.example", true},
        {"10.9.2.0/24 *.evil.example", false},
        {"hunt:long-connection 10.1.2.3", true},
        {"hunt:scan 10.1.2.3", false},
        {"hunt:long-connection src 10.1.2.3", true},
        {"::/0", true},
        {"asn 15169", false}, /* no database says so */
    };
    struct finding f = make();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (hides(cases[i].text, &f) != cases[i].hides)
            fail_msg("'%s' %s", cases[i].text, cases[i].hides ? "should hide it" : "hides it");
    /* An end that is not there is no address. */
    f.has_dst = false;
    assert_false(hides("dst ::/0", &f));
}

static void test_which(void **state)
{
    (void)state;
    struct finding f = make();
    struct hunt_safelist *list =
        list_of("# first\n10.9.9.9\n  10.1.2.0/24   # web servers\n::/0\n");
    assert_string_equal(hunt_safelist_hides(list, &f), "f:3: 10.1.2.0/24");
    hunt_safelist_free(list);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"10.1.2.3\n10.1.2.300\n", "f:2: '10.1.2.300' is no address"},
        {"10.0.0.0/40", "f:1: '10.0.0.0/40' is no address"},
        {"example_.com/", "is no address"},
        {"*.*.com", "is no address"},
        {"src", "something is missing"},
        {"hunt:scan", "something is missing"},
        {"asn", "something is missing"},
        {"asn google", "'asn' wants a number"},
        {"asn 15169 10.1.2.3", "one word too many"},
        {"src 10.1.2.3 10.1.2.4", "one word too many"},
        {"10.1.2.3 10.1.2.4 10.1.2.5", "more than two ends"},
        {"hunt:scans 10.1.2.3", "did you mean 'scan'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hunt_safelist *list = NULL;
        struct err err = {""};
        assert_int_equal(hunt_safelist_load(NULL, 0, &list, &err), 0);
        if (hunt_safelist_take(list, str_c(cases[i].text), "f", &err) == 0)
            fail_msg("'%s' is taken", cases[i].text);
        if (!strstr(err.text, cases[i].says))
            fail_msg("'%s': '%s' does not say '%s'", cases[i].text, err.text, cases[i].says);
        hunt_safelist_free(list);
    }
}

/* Bytes that are no text are refused, not taken for something. */
static void test_hostile(void **state)
{
    (void)state;
    struct hunt_safelist *list = NULL;
    struct err err;
    char long_line[2000];
    memset(long_line, 'a', sizeof long_line);
    assert_int_equal(hunt_safelist_load(NULL, 0, &list, &err), 0);
    assert_true(hunt_safelist_take(list, str_make(long_line, sizeof long_line), "f", &err) < 0);
    assert_true(hunt_safelist_take(list, str_make("a\0b", 3), "f", &err) < 0);
    assert_true(hunt_safelist_take(list, str_make("\xff\xfe", 2), "f", &err) < 0);
    hunt_safelist_free(list);
    const char *const none[] = {"/nonexistent/safelist"};
    assert_true(hunt_safelist_load(none, 1, &list, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/safelist"));
}

/* The line that is offered hides what it is offered for, and not what is beside it. */
static void test_line(void **state)
{
    (void)state;
    struct finding f = make();
    char line[700];
    hunt_safelist_line(&f, line, sizeof line);
    assert_string_equal(line, "hunt:long-connection 10.1.2.3 cdn.evil.example");
    assert_true(hides(line, &f));
    f.src.addr.b[15] = 9;
    assert_false(hides(line, &f));
    f.name[0] = '\0';
    hunt_safelist_line(&f, line, sizeof line);
    assert_true(hides(line, &f));
    f.has_dst = false;
    hunt_safelist_line(&f, line, sizeof line);
    assert_true(hides(line, &f));
    /* A name that would be read as something else is not offered. */
    f = make();
    (void)snprintf(f.name, sizeof f.name, "evil example#");
    hunt_safelist_line(&f, line, sizeof line);
    assert_string_equal(line, "hunt:long-connection 10.1.2.3 203.0.113.7");
}

static void test_asn(void **state)
{
    (void)state;
    static const char table[] = "# a comment\n"
                                "203.0.113.0\t203.0.113.255\t64500\tZZ\tEXAMPLE\n"
                                "198.51.100.0/24 AS64501 example\n"
                                "192.0.2.0\t192.0.2.255\t0\tNone\tNot routed\n"
                                "2001:db8::\t2001:db8::ffff\t64502\tZZ\tEXAMPLE\r\n";
    struct hunt_asn *asn = NULL;
    struct err err = {""};
    struct addr addr;
    static const struct {
        const char *addr;
        uint32_t number;
    } cases[] = {{"203.0.113.0", 64500},    {"203.0.113.255", 64500}, {"203.0.114.0", 0},
                 {"203.0.112.255", 0},      {"198.51.100.77", 64501}, {"192.0.2.1", 0},
                 {"2001:db8::1234", 64502}, {"2001:db8::1:0", 0}};
    assert_int_equal(hunt_asn_take(str_c(table), "t", &asn, &err), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(addr_parse(cases[i].addr, &addr));
        if (hunt_asn_of(asn, &addr) != cases[i].number)
            fail_msg("%s is of %u", cases[i].addr, hunt_asn_of(asn, &addr));
    }
    struct finding f = make();
    struct hunt_safelist *list = list_of("dst asn 64500");
    assert_true(hunt_safelist_wants_asn(list));
    assert_null(hunt_safelist_hides(list, &f));
    hunt_safelist_use(list, asn);
    assert_non_null(hunt_safelist_hides(list, &f));
    f.dst.addr.b[14] = 9;
    assert_null(hunt_safelist_hides(list, &f));
    hunt_safelist_free(list);
    hunt_asn_free(asn);
    static const char *const bad[] = {"1.2.3.4\n",      "1.2.3.4 1.2.3.5\n", "1.2.3.5 1.2.3.4 7\n",
                                      "1.2.3.4/99 7\n", "<html>\n",          "1.2.3.4/8 -7\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (hunt_asn_take(str_c(bad[i]), "t", &asn, &err) == 0)
            fail_msg("'%s' is taken", bad[i]);
        assert_non_null(strstr(err.text, "t:1: "));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries), cmocka_unit_test(test_which),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_line),    cmocka_unit_test(test_asn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
