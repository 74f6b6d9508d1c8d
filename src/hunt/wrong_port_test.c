/* Protocols where they do not belong are found; ordinary connections of all kinds are not. */
#include "hunt/quiet_bed.h"

#define HOST   "10.0.0.5"
#define SERVER "198.51.100.7"
#define HUNT   "wrong-port"

static struct hunt_record conn(uint16_t port, const char *service, enum hunt_state state,
                               const char *history, int64_t up, int64_t down)
{
    struct hunt_record record = bed_conn(10, 1, HOST, SERVER, port, service);
    record.conn.state = state;
    record.conn.history = str_c(history);
    record.conn.orig_bytes = up;
    record.conn.resp_bytes = down;
    return record;
}

/* Score of the one connection; 0: not found. */
static double score_of(struct hunt_record record, char title[FINDING_REASON_MAX])
{
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    quiet_put(&bed, record);
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    double score = found ? found->score : 0;
    (void)snprintf(title, FINDING_REASON_MAX, "%s", found ? found->title : "");
    quiet_end(&bed);
    return score;
}

static void test_found(void **state)
{
    (void)state;
    char title[FINDING_REASON_MAX];
    assert_true(score_of(conn(80, "", HUNT_SF, "ShAFaf", 5, 3), title) >= 0.4);
    assert_string_equal(title, "non-HTTP on port 80");
    assert_true(score_of(conn(443, "", HUNT_RSTO, "ShADadR", 500, 900), title) >= 0.4);
    assert_string_equal(title, "non-TLS on port 443");
    assert_true(score_of(conn(443, "", HUNT_SF, "S", 980, 0), title) >= 0.2);
    assert_true(score_of(conn(443, "ssh", HUNT_SF, "ShADadFf", 5000, 9000), title) >= 0.6);
    assert_string_equal(title, "ssh on port 443");
    assert_true(score_of(conn(4444, "ssh", HUNT_SF, "ShADadFf", 5000, 9000), title) >= 0.4);
    assert_true(score_of(conn(80, "ssl", HUNT_SF, "ShADadFf", 5000, 9000), title) >= 0.4);
    assert_true(score_of(conn(443, "http", HUNT_SF, "ShADadFf", 500, 900), title) >= 0.4);
    struct hunt_record dns = conn(4040, "dns", HUNT_SF, "Dd", 50, 90);
    dns.proto = HUNT_UDP;
    assert_true(score_of(dns, title) >= 0.4);
    dns.conn.service = STR("");
    dns.resp_port = 53;
    assert_true(score_of(dns, title) >= 0.4);
    assert_string_equal(title, "non-DNS on port 53");
}

static void test_not_found(void **state)
{
    (void)state;
    const struct hunt_record ordinary[] = {
        conn(443, "ssl", HUNT_SF, "ShADadFf", 500, 900),
        conn(80, "http", HUNT_SF, "ShADadFf", 500, 900),
        conn(8080, "http", HUNT_SF, "ShADadFf", 500, 900),
        conn(8443, "ssl", HUNT_SF, "ShADadFf", 500, 900),
        conn(12345, "ssl", HUNT_SF, "ShADadFf", 500, 900), /* TLS has many homes */
        conn(25, "smtp,ssl", HUNT_SF, "ShADadFf", 500, 900),
        conn(443, "http,ssl", HUNT_SF, "ShADadFf", 500, 900),
        conn(22, "ssh", HUNT_SF, "ShADadFf", 500, 900),
        conn(12345, "", HUNT_SF, "ShADadFf", 500, 900), /* nothing is said of its port */
        conn(443, "", HUNT_OTH, "DadA", 536, 1349),     /* seen from its middle on */
        conn(443, "", HUNT_SF, "^aAdfF", 0, 40),        /* so too */
        conn(443, "", HUNT_S0, "S", 0, 0),
        conn(443, "", HUNT_REJ, "Sr", 0, 0),
        conn(443, "", HUNT_SF, "ShAFaf", 0, 0),     /* opened to be ready, and not used */
        conn(443, "", HUNT_RSTR, "ShADr", 517, 0),  /* a hello that was not answered */
        conn(443, "", HUNT_SF, "ShADadFf", 517, 7), /* ... or with an alert */
        conn(443, "", HUNT_S1, "ShADad", 517, 900), /* cut by the capture's end */
        conn(443, "", HUNT_SF, "ShADadFf", HUNT_UNSET, HUNT_UNSET),
        conn(443, "unknownservice", HUNT_SF, "ShADadFf", 500, 900),
    };
    char title[FINDING_REASON_MAX];
    for (size_t i = 0; i < sizeof ordinary / sizeof ordinary[0]; i++)
        if (score_of(ordinary[i], title) > 0)
            fail_msg("row %zu was found: %s", i, title);

    struct hunt_record quic = conn(443, "", HUNT_SF, "Dd", 5000, 9000);
    quic.proto = HUNT_UDP;
    assert_true(score_of(quic, title) <= 0);
    struct hunt_record lossy = conn(443, "", HUNT_SF, "ShADadFf", 500, 900);
    lossy.conn.missed_bytes = 200;
    assert_true(score_of(lossy, title) <= 0);
    struct hunt_record single = conn(80, "", HUNT_SF, "ShADadFf", 500, 900);
    single.conn.orig_pkts = single.conn.resp_pkts = 1;
    assert_true(score_of(single, title) <= 0);
    /* From outside: scanners say anything to any port. */
    struct hunt_record inbound = conn(443, "", HUNT_SF, "ShADadFf", 500, 900);
    inbound.orig = bed_host(SERVER);
    inbound.resp = bed_host(HOST);
    assert_true(score_of(inbound, title) <= 0);
    /* Inside, ports are chosen freely. */
    struct hunt_record inside = conn(4444, "http", HUNT_SF, "ShADadFf", 500, 900);
    inside.resp = bed_host("10.0.0.9");
    assert_true(score_of(inside, title) <= 0);
}

/* What everybody uses is less odd; what nobody else knows is more. */
static void test_prevalence(void **state)
{
    (void)state;
    double scores[2];
    for (unsigned kind = 0; kind < 2; kind++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        quiet_neighbours(&bed, 0, 40);
        struct hunt_record record = conn(443, "", HUNT_SF, "ShADadFf", 500, 900);
        if (kind == 1)
            record.resp = bed_host("198.18.0.1");
        quiet_put(&bed, record);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        assert_non_null(found);
        scores[kind] = found->score;
        quiet_end(&bed);
    }
    assert_true(scores[0] > scores[1] + 0.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_prevalence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
