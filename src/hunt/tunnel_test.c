/* Tunnels to hosts outside, by tunnel.log and by their ports; not those inside, of proxies, or of a
 * port that something else uses. */
#include "hunt/quiet_bed.h"

#define HOST "10.0.0.5"
#define FAR  "192.0.2.77"
#define HUNT "tunnel"

static void tunnel(struct quiet_bed *bed, double s, const char *orig, const char *resp,
                   const char *type)
{
    struct hunt_record record = bed_record(HUNT_TUNNEL, s, (uint64_t)(7000 + s), orig, resp, 0);
    record.proto = HUNT_PROTO_UNKNOWN;
    record.tunnel.type = str_c(type);
    record.tunnel.action = STR("Tunnel::DISCOVER");
    quiet_put(bed, record);
}

static void udp(struct quiet_bed *bed, double s, const char *dst, uint16_t port,
                const char *service, int64_t n)
{
    struct hunt_record record = bed_conn(s, (uint64_t)(8000 + s), HOST, dst, port, service);
    record.proto = HUNT_UDP;
    record.conn.orig_pkts = n;
    record.conn.resp_pkts = 0;
    quiet_put(bed, record);
}

static void test_log(void **state)
{
    (void)state;
    static const struct {
        const char *orig, *resp, *type;
        bool found;
    } cases[] = {
        {HOST, FAR, "Tunnel::GRE", true},
        {FAR, HOST, "Tunnel::GRE", true}, /* whichever end was seen first */
        {HOST, FAR, "Tunnel::IP", true},
        {HOST, FAR, "Tunnel::TEREDO", true},
        {HOST, FAR, "Tunnel::VXLAN", true},
        {HOST, "10.0.0.9", "Tunnel::VXLAN", false},
        {"198.51.100.4", FAR, "Tunnel::GRE", false},
        {HOST, "224.0.0.9", "Tunnel::GRE", false},
        {HOST, FAR, "Tunnel::HTTP", false},
        {FAR, HOST, "Tunnel::SOCKS", false}, /* a client outside */
        {HOST, FAR, "Tunnel::SOCKS", true},
        {HOST, FAR, "Tunnel::", false},
        {HOST, FAR, "", false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        quiet_put(&bed, bed_conn(1, 1, HOST, "198.18.0.1", 443, "ssl"));
        tunnel(&bed, 10, cases[i].orig, cases[i].resp, cases[i].type);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if ((found != NULL) != cases[i].found)
            fail_msg("case %u: %s", i, found ? found->title : "nothing");
        if (found) {
            struct hunt_host host = bed_host(HOST), far = bed_host(FAR);
            assert_memory_equal(&found->src, &host, sizeof host);
            assert_memory_equal(&found->dst, &far, sizeof far);
            assert_true(found->score >= 0.2 && found->score < 0.6);
            assert_true(quiet_says(found, "no history"));
            assert_null(quiet_found(&bed, HUNT, 1));
        }
        quiet_end(&bed);
    }
}

/* A port alone says little, and nothing where the analyser knows the protocol or where it was a few
 * packets. */
static void test_port(void **state)
{
    (void)state;
    static const struct {
        uint16_t port;
        const char *service;
        int64_t n;
        bool found;
    } cases[] = {
        {4789, NULL, 30, true},  {4789, "vxlan", 30, true}, {6081, NULL, 30, true},
        {4789, NULL, 9, false},  {4789, "dns", 30, false},  {443, "quic", 30, false},
        {3544, NULL, 30, false}, {47890, NULL, 30, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        udp(&bed, 10, FAR, cases[i].port, cases[i].service, cases[i].n);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if ((found != NULL) != cases[i].found)
            fail_msg("case %u: %s", i, found ? found->title : "nothing");
        if (found) {
            assert_true(found->score < 0.4);
            assert_true(quiet_says(found, "by its port alone"));
        }
        quiet_end(&bed);
    }
}

/* A week of it is somebody's network; a new one after a week is medium, or worse. */
static void test_alone(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    tunnel(&bed, 50000, HOST, FAR, "Tunnel::GRE"); /* of a log that is read by itself */
    assert_true(hunt_engine_newest(bed.engine) == (BED_T0 + 50000) * 1000);
    assert_non_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);

    /* A clock that is years ahead: the others' day is the one that is looked at. */
    quiet_begin(&bed, NULL);
    for (unsigned i = 0; i < 20; i++)
        tunnel(&bed, 2000.0 * DAY_S + i, HOST, FAR, "Tunnel::GRE");
    quiet_put(&bed, bed_conn(1, 1, HOST, "198.18.0.1", 443, "ssl"));
    assert_true(hunt_engine_newest(bed.engine) == (BED_T0 + 1) * 1000);
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

static void test_history(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned day = 0; day < 6; day++) {
        quiet_neighbours(&bed, day * 86400.0, 10);
        tunnel(&bed, day * 86400.0 + 50000, HOST, FAR, "Tunnel::GRE");
    }
    tunnel(&bed, 5 * 86400.0 + 50001, HOST, "192.0.2.78", "Tunnel::GRE");
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    struct hunt_host fresh = bed_host("192.0.2.78");
    assert_memory_equal(&found->dst, &fresh, sizeof fresh);
    assert_true(found->score >= 0.6);
    assert_true(quiet_says(found, "never before"));
    found = quiet_found(&bed, HUNT, 1);
    assert_non_null(found);
    assert_true(found->score < 0.4);
    assert_true(quiet_says(found, "it was there before"));
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_port),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
