/* What the doctor says: its judgements over facts that the test makes up. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "cmd/doctor.h"
#include "linux/interface.h"
#include "linux/senders.h"

struct heard {
    struct doctor doctor; /* first: report gets it */
    size_t n;
    struct doctor_finding list[32];
};

static void hear(struct doctor *doctor, const struct doctor_finding *finding)
{
    struct heard *h = (struct heard *)doctor;
    assert_true(h->n < 32);
    h->list[h->n++] = *finding;
}

static struct heard ears(void)
{
    return (struct heard){.doctor = {.report = hear, .check = "x", .title = "x", .seconds = 2}};
}

static const struct doctor_finding *find(const struct heard *h, const char *words)
{
    for (size_t i = 0; i < h->n; i++)
        if (strstr(h->list[i].text, words))
            return &h->list[i];
    fail_msg("nothing says: %s", words);
    return NULL;
}

static const struct linux_interface healthy = {.name = "eth0",
                                               .driver = "d",
                                               .is_up = true,
                                               .has_carrier = true,
                                               .mtu = 9000,
                                               .gro = 0,
                                               .lro = 0,
                                               .gro_hw = 0,
                                               .rx_vlan = 0,
                                               .n_queues = 4,
                                               .max_queues = 4,
                                               .ring = 512,
                                               .max_ring = 512,
                                               .n_packets = 1000000,
                                               .rp_filter = 0};

static void test_a_healthy_interface(void **state)
{
    (void)state;
    struct heard h = ears();
    doctor_judge_interface(&h.doctor, &healthy);
    assert_int_equal(h.doctor.n_warnings, 0);
    assert_true(h.n > 0);
}

static void test_what_an_interface_loses(void **state)
{
    (void)state;
    struct heard h = ears();
    struct linux_interface f = healthy;
    f.n_missed = 12;
    f.max_ring = 4096;
    f.lro = 1;
    f.n_queues = 1;
    f.rp_filter = 1;
    doctor_judge_interface(&h.doctor, &f);
    const struct doctor_finding *lost = find(&h, "lost 12 packets");
    assert_true(lost->state == DOCTOR_WARNING && lost->loses_packets);
    assert_string_equal(lost->mend, "sudo ethtool -G eth0 rx 4096");
    assert_string_equal(find(&h, "LRO")->mend, "sudo ethtool -K eth0 lro off");
    assert_string_equal(find(&h, "one queue of 4")->mend, "sudo ethtool -L eth0 combined 4");
    assert_non_null(strstr(find(&h, "rp_filter")->mend, "net.ipv4.conf.eth0.rp_filter=2"));
    assert_int_equal(h.doctor.n_losing, 2);

    h = ears();
    f = healthy;
    f.n_card_dropped = 5;
    memcpy(f.card_counter, "rx_no_buf", 10);
    doctor_judge_interface(&h.doctor, &f);
    assert_true(find(&h, "5 packets as rx_no_buf")->loses_packets);
    assert_string_equal(find(&h, "rx_no_buf")->mend, ""); /* the ring is as large as can be */

    h = ears();
    f = healthy;
    f.has_carrier = false;
    doctor_judge_interface(&h.doctor, &f);
    assert_true(find(&h, "without a carrier")->loses_packets);
    assert_int_equal(h.n, 1);
}

static void test_what_the_watch_says(void **state)
{
    (void)state;
    struct heard h = ears();
    struct snapshot_machine machines[2] = {
        {.name = "web-1", .state = HEALTH_TRUNCATED, .reason = "cut at 1450 bytes"},
        {.name = "db-1", .state = HEALTH_OK}};
    struct snapshot_refused refused[12];
    for (int i = 0; i < 12; i++) {
        refused[i] = (struct snapshot_refused){
            .channel = {.encapsulation = "vxlan", .has_id = true, .id = 77}, .n_packets = 312};
        (void)snprintf(refused[i].admit, sizeof refused[i].admit, "sources:\n  - x%d", i);
        assert_true(addr_parse("10.9.8.7", &refused[i].channel.outer));
    }
    struct snapshot_drop drops[] = {{"ring", "full", "packets were lost in the ring", 9, true},
                                    {"policy", "copies", "packets were copies", 1000, false}};
    struct snapshot_input inputs[] = {{.name = "udp :4789", .state = "held by x", .ok = false},
                                      {.name = "gre", .state = "listening", .ok = true}};
    struct snapshot s = {.machines = machines,
                         .n_machines = 2,
                         .refused = refused,
                         .n_refused = 12,
                         .drops = drops,
                         .n_drops = 2,
                         .inputs = inputs,
                         .n_inputs = 2,
                         .n_packets = 5000};
    doctor_judge_snapshot(&h.doctor, &s);
    assert_true(find(&h, "udp :4789: held by x")->loses_packets);
    assert_true(find(&h, "9 packets were lost in the ring")->loses_packets);
    assert_true(find(&h, "web-1: cut at 1450 bytes")->loses_packets);
    const struct doctor_finding *admit = find(&h, "refused: 10.9.8.7 (vxlan 77) sent 312 packets");
    assert_string_equal(admit->mend, "sources:\n  - x0");
    find(&h, "2 more senders are refused");
    find(&h, "hears 2 machines; 5000 packets, 0 lost");
    assert_int_equal(h.doctor.n_warnings, 3 + 10 + 1);
    for (size_t i = 0; i < h.n; i++)
        assert_null(strstr(h.list[i].text, "copies"));
}

static void test_who_sends(void **state)
{
    (void)state;
    struct heard h = ears();
    struct linux_senders s = {.n = 2, .sees_all = true};
    s.list[0] = (struct linux_sender){
        .port = 4789, .has_id = true, .id = 5, .n_packets = 3, .largest = 1550};
    s.list[1] = (struct linux_sender){.gre_type = 0x88be, .n_packets = 1, .largest = 100};
    assert_true(addr_parse("10.0.0.1", &s.list[0].from));
    assert_true(addr_parse("10.0.0.2", &s.list[1].from));
    doctor_judge_senders(&h.doctor, &s);
    find(&h, "10.0.0.1 sends to UDP port 4789, VNI 5: 3 packets, the largest of 1550 bytes");
    find(&h, "10.0.0.2 sends to GRE of type 88be: 1 packets");
    assert_int_equal(h.doctor.n_warnings, 0);
    s = (struct linux_senders){.hears_nothing = true};
    doctor_judge_senders(&h.doctor, &s);
    assert_int_equal(h.doctor.n_unknown, 1);
    s = (struct linux_senders){0};
    doctor_judge_senders(&h.doctor, &s);
    assert_int_equal(h.doctor.n_warnings, 1);
    assert_int_equal(h.doctor.n_losing, 0);
}

static void test_the_tables(void **state)
{
    (void)state;
    const struct doctor_check *const tables[] = {doctor_network_checks, doctor_host_checks,
                                                 doctor_traffic_checks};
    const char *names[64];
    size_t n = 0;
    for (int i = 0; i < 3; i++) {
        for (const struct doctor_check *c = tables[i]; c->name; c++) {
            assert_true(*c->name && strlen(c->name) <= 10 && *c->title && c->run);
            for (size_t j = 0; j < n; j++)
                assert_string_not_equal(names[j], c->name);
            names[n++] = c->name;
        }
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_healthy_interface), cmocka_unit_test(test_what_an_interface_loses),
        cmocka_unit_test(test_what_the_watch_says), cmocka_unit_test(test_who_sends),
        cmocka_unit_test(test_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
