/* Each kind of hit is found, with what was said and whether it was answered; nothing else is. */
#include "hunt/quiet_bed.h"

#define HOST "10.0.0.5"
#define HUNT "intel"

static const char feed[] = "# known to be bad\n"
                           "203.0.113.7\n"
                           "198.51.100.0/24 scanners\n"
                           "10.0.0.0/8 a private network that slipped in\n"
                           "bad.example.com\n"
                           "cd08e31494f9531f560d64c695473da9 Dridex\n";

static void test_address(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, feed);
        struct hunt_record record = bed_conn(10, 1, HOST, "203.0.113.7", 443, "ssl");
        if (kind == 1)
            record.conn.state = HUNT_S0;
        quiet_put(&bed, record);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_non_null(found);
        assert_true(kind ? found->score < 0.7 : found->score >= 0.8);
        assert_true(quiet_says(found, "203.0.113.7 is on quiet-bed-"));
        assert_true(quiet_says(found, kind ? "0 of 1 connections" : "1 of 1 connections"));
        assert_true(quiet_says(found, kind ? "tried to reach" : "talked with"));
        assert_int_equal(found->first, (BED_T0 + 10) * 1000);
        assert_null(quiet_found(&bed, HUNT, 1));
        quiet_end(&bed);
    }
}

static void test_names(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, feed);
    /* Asked for only. */
    struct hunt_record dns =
        bed_dns(5, HOST, "10.0.0.1", "deep.below.bad.example.com", "192.0.2.1");
    dns.dns.rcode = 0;
    quiet_put(&bed, dns);
    /* Asked for, and talked with by TLS. */
    quiet_put(&bed, bed_ssl(20, 2, "10.0.0.6", "192.0.2.2", "www.bad.example.com"));
    quiet_put(&bed, bed_conn(20, 2, "10.0.0.6", "192.0.2.2", 443, "ssl"));
    const struct finding *talked = quiet_found(&bed, HUNT, 0), *asked = quiet_found(&bed, HUNT, 1);
    assert_non_null(talked);
    assert_non_null(asked);
    assert_string_equal(talked->name, "www.bad.example.com");
    assert_true(talked->score >= 0.8);
    assert_string_equal(asked->name, "deep.below.bad.example.com");
    assert_true(quiet_says(asked, "no connection by this name"));
    assert_true(asked->score < talked->score);
    assert_null(quiet_found(&bed, HUNT, 2));
    quiet_end(&bed);
}

/* A tunnel asks for a name once; all of them are one finding, and a few are told one by one. */
static void test_many_names(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, feed);
    for (unsigned i = 0; i < 500; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%u.bad.example.com", i);
        struct hunt_record dns = bed_dns(5 + i, HOST, "10.0.0.1", name, "192.0.2.1");
        dns.dns.rcode = 0;
        quiet_put(&bed, dns);
        if (i < 3) {
            dns = bed_dns(5 + i, "10.0.0.6", "10.0.0.1", name, "192.0.2.1");
            dns.dns.rcode = 0;
            quiet_put(&bed, dns);
        }
    }
    unsigned n_of_one = 0, n = 0;
    const struct finding *found;
    while ((found = quiet_found(&bed, HUNT, n)) && ++n < 10) {
        n_of_one += strcmp(found->name, "example.com") != 0;
        if (strcmp(found->name, "example.com") == 0) {
            assert_int_equal(found->n, 500);
            assert_int_equal(found->first, (BED_T0 + 5) * 1000);
            assert_int_equal(found->last, (BED_T0 + 504) * 1000);
            assert_true(quiet_says(found, "500 names of example.com are on quiet-bed-"));
        }
    }
    assert_int_equal(n, 4);
    assert_int_equal(n_of_one, 3);
    quiet_end(&bed);
}

static void test_prints(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, feed);
    struct hunt_record ssl = bed_ssl(20, 2, HOST, "192.0.2.2", "www.example.org");
    ssl.ssl.ja3 = STR("cd08e31494f9531f560d64c695473da9");
    ssl.ssl.ja3s = STR("e7d705a3286e19ea42f587b344ee6865");
    quiet_put(&bed, ssl);
    struct hunt_record ssh = bed_record(HUNT_SSH, 30, 3, HOST, "192.0.2.3", 22);
    ssh.ssh.hassh = STR("fafc45381bfde997b6305c4e1600f1bf");
    ssh.ssh.auth_success = HUNT_UNSET;
    quiet_put(&bed, ssh);
    const struct finding *dridex = quiet_found(&bed, HUNT, 0);
    assert_non_null(dridex);
    assert_true(quiet_says(dridex, "Dridex"));
    assert_string_equal(dridex->name, "www.example.org");
    const struct finding *tor = quiet_found(&bed, HUNT, 1), *other = quiet_found(&bed, HUNT, 2);
    assert_non_null(other); /* as grave as each other: both are built in, and nothing is besides */
    const struct finding *metasploit = quiet_says(tor, "Metasploit") ? tor : other;
    tor = metasploit == tor ? other : tor;
    assert_true(quiet_says(metasploit, "Metasploit"));
    assert_true(quiet_says(tor, "JA3S of Tor"));
    assert_true(tor->score >= 0.2 && tor->score < 0.4 && metasploit->score < 0.4);
    assert_int_not_equal(dridex->id, tor->id);
    assert_null(quiet_found(&bed, HUNT, 3));
    quiet_end(&bed);
}

static void tls(struct quiet_bed *bed, double s, const char *dst, const char *name, const char *ja3,
                const char *ja3s, bool self_signed)
{
    struct hunt_record ssl = bed_ssl(s, (uint64_t)(3000 + s), HOST, dst, name);
    ssl.ssl.ja3 = str_c(ja3);
    ssl.ssl.ja3s = str_c(ja3s);
    ssl.ssl.established = true;
    if (self_signed)
        ssl.ssl.validation = STR("self signed certificate");
    quiet_put(bed, ssl);
    quiet_put(bed, bed_conn(s, (uint64_t)(3000 + s), HOST, dst, 443, "ssl"));
}

/* The fingerprints that are built in are others' as well: they are low alone, and more only with
 * something besides, each of which is said. */
static void test_known(void **state)
{
    (void)state;
    static const char trickbot[] = "6734f37431670b3ab4292b8f60f29984";
    static const char answer[] = "623de93db17d313345d7ea481e7443cf";
    static const struct {
        const char *dst, *name, *ja3s, *says;
        bool self_signed;
        double least, below;
    } cases[] = {
        {"198.18.0.1", "mail.example.com", "aa", "nothing else speaks for it", false, 0.2, 0.4},
        {"192.0.2.9", "own.example.org", "aa", "knows where it goes", false, 0.4, 0.6},
        {"198.18.0.1", "", "aa", "not asked for by a name", false, 0.4, 0.6},
        {"198.18.0.1", "mail.example.com", "aa", "signed by itself", true, 0.4, 0.6},
        {"198.18.0.1", "mail.example.com", answer, "answers as Trickbot's do", false, 0.4, 0.6},
        {"192.0.2.9", "", "aa", "not asked for by a name", true, 0.6, 0.8},
        {"192.0.2.9", "", answer, "5 signs more", true, 0.7, 0.81},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        quiet_neighbours(&bed, 0, 30);
        tls(&bed, 10, cases[i].dst, cases[i].name, trickbot, cases[i].ja3s, cases[i].self_signed);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_non_null(found);
        if (strstr(found->title, "servers")) /* of the answer, which is as grave */
            found = quiet_found(&bed, HUNT, 1);
        assert_non_null(found);
        if (found->score < cases[i].least || found->score >= cases[i].below ||
            !quiet_says(found, cases[i].says))
            fail_msg("case %u: %.2f %s", i, found->score, found->title);
        quiet_end(&bed);
    }
}

/* Scanners are told only where something answered them. */
static void test_inbound(void **state)
{
    (void)state;
    for (unsigned answered = 0; answered < 2; answered++) {
        struct quiet_bed bed;
        quiet_begin(&bed, feed);
        bed.settings.scope.include_inbound = true;
        for (unsigned i = 0; i < 50; i++) {
            struct hunt_record record =
                bed_conn(i, 100 + i, "198.51.100.9", HOST, (uint16_t)(20 + i), "");
            record.conn.state = answered && i == 2 ? HUNT_SF : HUNT_S0;
            quiet_put(&bed, record);
        }
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_int_equal(found != NULL, answered);
        if (found) {
            assert_true(found->score > 0.3 && found->score < 0.5);
            assert_true(quiet_says(found, "it began the connections"));
            assert_true(quiet_says(found, "1 of 50 connections"));
        }
        quiet_end(&bed);
    }
}

static void test_clean(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, "203.0.113.7\nbad.example.com\n10.0.0.0/8\n");
    quiet_neighbours(&bed, 0, 30);
    quiet_put(&bed, bed_conn(50, 5, HOST, "10.0.0.9", 445, "smb"));
    quiet_put(&bed, bed_conn(50, 6, HOST, "203.0.113.8", 443, "ssl"));
    quiet_put(&bed, bed_dns(51, HOST, "10.0.0.1", "notbad.example.com", "1.2.3.4"));
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_many_names), cmocka_unit_test(test_prints),
        cmocka_unit_test(test_inbound),    cmocka_unit_test(test_known),
        cmocka_unit_test(test_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
