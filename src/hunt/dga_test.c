/* Bursts of generated names are found; what ordinary machines ask for in vain is not. */
#include "hunt/quiet_bed.h"

#define CLIENT   "10.0.0.5"
#define RESOLVER "10.0.0.1"
#define HUNT     "dga"

static void ask(struct quiet_bed *bed, double s, const char *client, const char *name, bool exists)
{
    struct hunt_record record = bed_dns(s, client, RESOLVER, name, exists ? "1.2.3.4" : "");
    record.dns.qtype = 1;
    record.dns.rcode = exists ? 0 : 3;
    quiet_put(bed, record);
}

static void generate(struct quiet_bed *bed, double from, unsigned n, double every, size_t len)
{
    uint64_t chance = 4;
    for (unsigned i = 0; i < n; i++) {
        char label[64], name[96];
        quiet_label(&chance, len, label);
        (void)snprintf(name, sizeof name, "%s.%s", label, i % 2 ? "com" : "net");
        ask(bed, from + i * every, CLIENT, name, false);
        ask(bed, from + i * every + 0.1, CLIENT, name, false); /* AAAA */
    }
}

static void test_burst(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    generate(&bed, 1000, 40, 5, 14);
    ask(&bed, 1201, CLIENT, "xkqjzvwpfghtm.com", true);
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(found->score >= 0.6);
    assert_true(quiet_says(found, "40 different domains"));
    assert_true(quiet_says(found, "made by chance"));
    assert_true(quiet_says(found, "xkqjzvwpfghtm.com"));
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
}

/* Ten are a burst, nine are none, and neither are forty that take a day. */
static void test_bounds(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 3; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        if (kind == 2)
            generate(&bed, 0, 40, 2000, 14);
        else
            generate(&bed, 0, kind ? 9 : 10, 10, 14);
        assert_int_equal(quiet_found(&bed, HUNT, 0) != NULL, kind == 0);
        quiet_end(&bed);
    }
}

static void test_words(void **state)
{
    (void)state;
    static const char *const words[] = {"tracker", "metric",    "banner", "counter",
                                        "pixel",   "adserver",  "beacon", "audience",
                                        "content", "analytics", "market", "server"};
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned i = 0; i < 12; i++) {
        char name[96];
        (void)snprintf(name, sizeof name, "www.%sstation.com", words[i]);
        ask(&bed, i, CLIENT, name, false);
    }
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(found->score < 0.4);
    assert_true(quiet_says(found, "ordinary"));
    quiet_end(&bed);
}

static void test_ordinary(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 8;
    for (unsigned i = 0; i < 400; i++) {
        char label[64], name[128];
        /* A browser's probes, alone and with a search suffix, and what has the suffix in vain. */
        quiet_label(&chance, 12, label);
        ask(&bed, i * 20, CLIENT, label, false);
        (void)snprintf(name, sizeof name, "%s.corp.example.com", label);
        ask(&bed, i * 20, CLIENT, name, false);
        (void)snprintf(name, sizeof name, "%s.lan", label);
        ask(&bed, i * 20, CLIENT, name, false);
        (void)snprintf(name, sizeof name, "www.site%u.com.corp.example.com", i);
        ask(&bed, i * 20, CLIENT, name, false);
        /* A server of mail asks block lists. */
        (void)snprintf(name, sizeof name, "%u.3.2.1.zen.spamhaus.org", i);
        ask(&bed, i * 20, "10.0.0.25", name, false);
        (void)snprintf(name, sizeof name, "%u.3.2.1.bl.spamcop.net", i);
        ask(&bed, i * 20, "10.0.0.25", name, false);
        /* Names that exist, however they look. */
        (void)snprintf(name, sizeof name, "%s.net", label);
        ask(&bed, i * 20, CLIENT, name, true);
    }
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

/* A resolver finds that many in vain all day, and no burst in it. */
static void test_resolver(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned i = 0; i < 5000; i++) {
        char name[96];
        (void)snprintf(name, sizeof name, "mistyped%uname.com", i);
        ask(&bed, i * 15, RESOLVER, name, false);
    }
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

/* It asks on for a client, who is the one. */
static void test_asks_on(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    uint64_t chance = 4;
    for (unsigned i = 0; i < 40; i++) {
        char label[64], name[96];
        quiet_label(&chance, 14, label);
        (void)snprintf(name, sizeof name, "%s.com", label);
        ask(&bed, i * 5, CLIENT, name, false);
        struct hunt_record record = bed_dns(i * 5 + 0.01, RESOLVER, "203.0.113.53", name, "");
        record.dns.qtype = 1;
        record.dns.rcode = 3;
        quiet_put(&bed, record);
    }
    const struct finding *client = quiet_found(&bed, HUNT, 0),
                         *resolver = quiet_found(&bed, HUNT, 1);
    assert_non_null(client);
    assert_non_null(resolver);
    struct hunt_host host = bed_host(CLIENT);
    assert_memory_equal(&client->src.addr, &host.addr, 16);
    assert_true(client->score >= 0.6);
    assert_true(resolver->score <= 0.3);
    assert_true(quiet_says(resolver, "10.0.0.5 asked it"));
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_words),    cmocka_unit_test(test_ordinary),
        cmocka_unit_test(test_resolver), cmocka_unit_test(test_asks_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
