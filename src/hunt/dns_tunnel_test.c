/* DNS tunnels of several kinds are found, and ordinary names are not. */
#include "hunt/dns_tunnel.h"

#include "hunt/quiet_bed.h"

#define CLIENT   "10.0.0.5"
#define RESOLVER "10.0.0.1"
#define HUNT     "dns-tunnel"

static void ask(struct quiet_bed *bed, double s, const char *client, const char *server,
                const char *name, int64_t type, const char *answer)
{
    struct hunt_record record = bed_dns(s, client, server, name, answer);
    record.dns.qtype = type;
    record.dns.rcode = answer[0] ? 0 : 3;
    quiet_put(bed, record);
}

/* Names of so many letters by chance below the domain. */
static void tunnel(struct quiet_bed *bed, unsigned n, double every, size_t len, int64_t type,
                   const char *domain)
{
    uint64_t chance = 5;
    for (unsigned i = 0; i < n; i++) {
        char label[256], name[320];
        quiet_label(&chance, len, label);
        if (len > 60)
            label[60] = '.';
        (void)snprintf(name, sizeof name, "%s.%s", label, domain);
        ask(bed, i * every, CLIENT, RESOLVER, name, type, type == 16 ? "TXT 4 abcd" : "1.2.3.4");
    }
}

static void test_fast(void **state)
{
    (void)state;
    static const int64_t types[] = {16, 10, 5, 1};
    for (unsigned i = 0; i < 4; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        tunnel(&bed, 300, 0.5, 50, types[i], "evil.example.com");
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_non_null(found);
        assert_true(found->score >= 0.6);
        assert_string_equal(found->name, "example.com");
        struct hunt_host client = bed_host(CLIENT);
        assert_memory_equal(&found->src.addr, &client.addr, 16);
        assert_true(quiet_says(found, "300 different names"));
        assert_true(quiet_says(found, "by way of 10.0.0.1"));
        assert_null(quiet_found(&bed, HUNT, 1));
        quiet_end(&bed);
    }
}

/* Exactly to thousands, and bounded. */
static void test_counts(void **state)
{
    (void)state;
    static const unsigned counts[] = {9, 30, 256, 257, 1000, 4000, 60000};
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        tunnel(&bed, counts[i], 0.01, 30, 1, "t.example.com");
        tunnel(&bed, counts[i] < 100 ? 0 : 20, 0.01, 30, 1, "t.example.com"); /* again */
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if (counts[i] < 20) {
            assert_null(found);
        } else {
            assert_non_null(found);
            unsigned off = counts[i] <= 4000 ? 0 : counts[i] / 50;
            assert_string_equal(found->numbers[0].name, "names");
            assert_in_range((unsigned)found->numbers[0].value, counts[i] - off, counts[i] + off);
        }
        quiet_end(&bed);
    }
}

/* A name every ten minutes: 144 a day, of 180 letters. */
static void test_slow(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    tunnel(&bed, 130, 600, 180, 1, "slow.example.org");
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(found->score >= 0.6);
    assert_true(quiet_says(found, "slowly"));
    quiet_end(&bed);
}

/* Over midnight both days count. */
static void test_two_days(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 9;
    for (unsigned i = 0; i < 900; i++) {
        char label[64], name[128];
        quiet_label(&chance, 40, label);
        (void)snprintf(name, sizeof name, "%s.example.net", label);
        /* 600 before midnight (in parts there), 300 after it, of which 100 the same as before */
        ask(&bed, DAY_S - 600 + i, CLIENT, RESOLVER, name, 1, "1.2.3.4");
    }
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_in_range((unsigned)found->numbers[0].value, 900, 900);
    quiet_end(&bed);
}

/* Polling for orders: text every minute, names from a few. */
static void test_polls(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        uint64_t chance = 3;
        double s = 0;
        for (unsigned i = 0; i < 50; i++) {
            char name[64], answer[64];
            (void)snprintf(name, sizeof name, "c%u.poll.example.com", kind == 2 ? 0 : i % 19);
            (void)snprintf(answer, sizeof answer, "TXT 8 order%u", kind == 2 ? 0 : i);
            /* By chance in the second, at anything from seconds to hours. */
            double share = (double)(quiet_chance(&chance) % 1000) / 1000;
            s += kind == 1 ? 1200 * share * share * share * share + 3 : 55 + 10 * share;
            ask(&bed, s, CLIENT, RESOLVER, name, 16, answer);
        }
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if (kind == 0) {
            assert_non_null(found);
            assert_true(quiet_says(found, "asks for text every 60 s") ||
                        quiet_says(found, "asks for text every 61 s") ||
                        quiet_says(found, "asks for text every 59 s"));
        } else {
            /* At random times; or one name with one answer, as version checks do. */
            assert_null(found);
        }
        quiet_end(&bed);
    }
}

/* Queries without a pause: their own pace is told, and where they have none, none is made. */
static void test_fast_polls(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        uint64_t chance = 5;
        double s = 0;
        for (unsigned i = 0; i < 400; i++) {
            char name[64], answer[64];
            (void)snprintf(name, sizeof name, "c%u.poll.example.com", i % 19);
            (void)snprintf(answer, sizeof answer, "TXT 8 order%u", i);
            double share = (double)(quiet_chance(&chance) % 1000) / 1000;
            s += kind == 0 ? 0.7 : 6 * share * share * share * share;
            ask(&bed, s, CLIENT, RESOLVER, name, 16, answer);
        }
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if (kind == 0) {
            assert_non_null(found);
            assert_true(quiet_says(found, "asks for text every 0.7 s"));
        } else {
            assert_true(!found || !quiet_says(found, "asks for text every"));
        }
        quiet_end(&bed);
    }
}

static void test_text(void **state)
{
    (void)state;
    static const char packed[] =
        "TXT 100 "
        "kX9/bQ2v+Zr7Lw0JmT4yHs8Ncf1GdUoEpAiKqBzVxWjRtYnMlO5S3uD6IePhFgCa+/Q2w9E8r7T6y5U4i3O2p1";
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    ask(&bed, 1, CLIENT, RESOLVER, "stage.bad.example.com", 16, packed);
    /* Keys and proofs are mixed too, and known. */
    ask(&bed, 2, CLIENT, RESOLVER, "s1._domainkey.good.example.org", 16, packed);
    char words[256];
    (void)snprintf(words, sizeof words, "TXT 99 v=spf1 %s", packed + 8);
    ask(&bed, 3, CLIENT, RESOLVER, "good.example.net", 16, words);
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_string_equal(found->name, "example.com");
    assert_true(quiet_says(found, "entropy"));
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
}

/* What ordinary machines do. */
static void test_ordinary(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 1;
    for (unsigned i = 0; i < 5000; i++) {
        char name[128], label[32];
        /* Many domains, few names of each, asked for again and again. */
        (void)snprintf(name, sizeof name, "www%u.site%u.com", (unsigned)(quiet_chance(&chance) % 6),
                       (unsigned)(quiet_chance(&chance) % 800));
        ask(&bed, i, CLIENT, RESOLVER, name, 1, "1.2.3.4");
        /* A content network's names, a block list's, and reverse ones are all different. */
        quiet_label(&chance, 14, label);
        (void)snprintf(name, sizeof name, "%s.cloudfront.net", label);
        ask(&bed, i, CLIENT, RESOLVER, name, 1, "1.2.3.4");
        (void)snprintf(name, sizeof name, "%u.%u.2.1.zen.spamhaus.org", i % 250, i / 250);
        ask(&bed, i, CLIENT, RESOLVER, name, 1, "");
        (void)snprintf(name, sizeof name, "%u.%u.10.in-addr.arpa", i % 250, i / 250);
        ask(&bed, i, CLIENT, RESOLVER, name, 12, "");
        (void)snprintf(name, sizeof name, "%s.lan", label);
        ask(&bed, i, CLIENT, RESOLVER, name, 1, "");
    }
    /* A large site's 60 names in an hour, each asked for several times. */
    for (unsigned i = 0; i < 240; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "img%u.large.example.com", i % 60);
        ask(&bed, i * 15, CLIENT, RESOLVER, name, 1, "1.2.3.4");
    }
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

/* Searching for names is told low, and said to be that. */
static void test_search(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 1;
    for (unsigned i = 0; i < 500; i++) {
        char name[128], label[32];
        quiet_label(&chance, 6, label);
        (void)snprintf(name, sizeof name, "%s.example.com", label);
        ask(&bed, i, CLIENT, RESOLVER, name, 1, i % 50 ? "" : "1.2.3.4");
    }
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(found->score < 0.4);
    assert_true(quiet_says(found, "do not exist"));
    quiet_end(&bed);
}

/* The resolver asks on; the client behind it is the one. */
static void test_resolver(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 2;
    for (unsigned i = 0; i < 400; i++) {
        char name[128], label[64];
        quiet_label(&chance, 55, label);
        (void)snprintf(name, sizeof name, "%s.example.com", label);
        ask(&bed, i, CLIENT, RESOLVER, name, 16, "TXT 4 abcd");
        ask(&bed, i + 0.01, RESOLVER, "203.0.113.53", name, 16, "TXT 4 abcd");
    }
    const struct finding *client = quiet_found(&bed, HUNT, 0),
                         *resolver = quiet_found(&bed, HUNT, 1);
    assert_non_null(client);
    assert_non_null(resolver);
    struct hunt_host host = bed_host(CLIENT);
    assert_memory_equal(&client->src.addr, &host.addr, 16);
    assert_true(client->score > 0.8);
    assert_true(resolver->score <= 0.3);
    assert_true(quiet_says(resolver, "10.0.0.5 asked it"));
    quiet_end(&bed);
}

/* Nothing that a wire can say brings it down. */
static void test_hostile(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 2;
    for (unsigned i = 0; i < 20000; i++) {
        char bytes[300];
        for (size_t k = 0; k < sizeof bytes; k++)
            bytes[k] = (char)quiet_chance(&chance);
        struct hunt_record record = bed_dns(i % 7 ? i : -1e5 * i, CLIENT, RESOLVER, "", "");
        record.dns.query = str_make(bytes, quiet_chance(&chance) % sizeof bytes);
        record.dns.answers = str_make(bytes, quiet_chance(&chance) % sizeof bytes);
        record.dns.qtype = (int64_t)(quiet_chance(&chance) % 70000);
        record.dns.rcode = (int64_t)(quiet_chance(&chance) % 20);
        quiet_put(&bed, record);
    }
    (void)quiet_found(&bed, HUNT, 0);
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fast),    cmocka_unit_test(test_counts),
        cmocka_unit_test(test_slow),    cmocka_unit_test(test_two_days),
        cmocka_unit_test(test_polls),   cmocka_unit_test(test_fast_polls),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_search),  cmocka_unit_test(test_resolver),
        cmocka_unit_test(test_hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
