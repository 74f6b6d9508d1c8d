/* Snapshots as JSON and back: the same values, whatever the names hold; answers of other versions
 * and of enemies. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "sensor/report.h"
#include "sensor/snapshot_bed.h"

static char *write_read(const struct snapshot *s, struct snapshot *out)
{
    size_t size;
    struct err err;
    char *json = report_snapshot(s, &size);
    assert_non_null(json);
    assert_int_equal(strlen(json), size);
    assert_ptr_equal(strchr(json, '\n'), json + size - 1);
    if (report_read(json, size, out, &err) < 0)
        fail_msg("%s", err.text);
    return json;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct snapshot s, back;
    size_t size;
    bed_snapshot(&s);
    s.machines[0].n_canaries_sent = 9;
    s.machines[0].n_canaries_back = 4;
    s.machines[0].cut_size = 1450;
    s.machines[0].has_cloud_lost = true;
    s.machines[0].n_cloud_lost = 12;
    s.machines[0].n_cloud_lost_total = 1ull << 33;
    s.machines[0].channel.direction = 2;
    s.machines[1].channel.has_id = false;
    s.machines[1].channel.id = 0;
    BED_TEXT(s.machines[1].channel.interface, "eth0");
    s.machines[2].last_packet = 0;
    s.machines[2].is_bad = true;
    s.learning = true;
    s.refused[0].is_estimate = true;
    char *json = write_read(&s, &back);
    char *again = report_snapshot(&back, &size);
    assert_string_equal(again, json);

    assert_int_equal(back.n_machines, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct snapshot_machine *a = &s.machines[i], *b = &back.machines[i];
        assert_string_equal(a->name, b->name);
        assert_string_equal(a->reason, b->reason);
        assert_int_equal(a->state, b->state);
        assert_true(snapshot_is_bad(b));
        assert_int_equal(a->last_packet, b->last_packet);
        assert_int_equal(a->channel.id, b->channel.id);
        assert_int_equal(a->channel.has_id, b->channel.has_id);
        assert_int_equal(a->channel.direction, b->channel.direction);
        assert_memory_equal(&a->channel.outer, &b->channel.outer, 16);
        assert_string_equal(a->channel.interface, b->channel.interface);
        assert_int_equal(a->n_canaries_back, b->n_canaries_back);
        assert_int_equal(a->cut_size, b->cut_size);
        assert_int_equal(a->has_cloud_lost, b->has_cloud_lost);
        assert_int_equal(a->n_cloud_lost, b->n_cloud_lost);
        assert_true(a->n_cloud_lost_total == b->n_cloud_lost_total);
        assert_true(a->in_bits_per_second == b->in_bits_per_second);
    }
    assert_int_equal(back.now, s.now);
    assert_true(back.learning);
    assert_string_equal(back.refused[0].admit, s.refused[0].admit);
    assert_true(back.refused[0].is_estimate);
    assert_string_equal(back.drops[4].text, s.drops[4].text);
    assert_false(back.drops[4].is_loss);
    assert_string_equal(back.logs[1].name, "dns");
    assert_string_equal(back.inputs[2].state, s.inputs[2].state);
    assert_string_equal(back.alarms[0].text, s.alarms[0].text);
    assert_int_equal(back.n_findings, s.n_findings);
    assert_memory_equal(back.findings, s.findings, s.n_findings * sizeof *s.findings);
    assert_int_equal(back.n_critical, 1);

    /* What was read can be copied, and the copy outlives it. */
    struct snapshot copy;
    assert_true(snapshot_copy(&back, &copy));
    snapshot_done(&back);
    char *third = report_snapshot(&copy, &size);
    assert_string_equal(third, json);
    snapshot_done(&copy);
    free(third);
    free(again);
    free(json);
    snapshot_done(&s);
}

static void test_hostile_names(void **state)
{
    (void)state;
    struct snapshot s, back;
    bed_snapshot(&s);
    BED_TEXT(s.machines[0].name, "\033[2J\"\\\n\xe4\xb8\xad\xff");
    memset(s.machines[1].name, 'x', sizeof s.machines[1].name); /* no NUL */
    s.machines[1].n_packets = UINT64_MAX;
    s.machines[1].copies_share = 0.0 / 0.0;
    s.machines[1].in_bits_per_second = 1e308 * 10;
    s.machines[2].state = (enum health_state)77;
    s.machines[2].since = -5;
    char *json = write_read(&s, &back);
    for (const char *p = json; *p; p++)
        assert_true((*p >= 0x20 && *p < 0x7f) || *p == '\n');
    assert_string_equal(back.machines[0].name, "\033[2J\"\\\n\xe4\xb8\xad\\xff");
    assert_int_equal(strlen(back.machines[1].name), SNAPSHOT_NAME_MAX - 1);
    assert_int_equal(back.machines[1].n_packets, INT64_MAX);
    assert_true(back.machines[1].copies_share == 0);
    assert_true(back.machines[1].in_bits_per_second == 0);
    assert_int_equal(back.machines[2].since, 0);
    snapshot_done(&back);
    snapshot_done(&s);
    free(json);
}

static void test_lines_of_sources(void **state)
{
    (void)state;
    struct snapshot s;
    size_t size, n = 0;
    bed_snapshot(&s);
    char *text = report_sources(&s, &size);
    for (const char *at = text; *at; n++) {
        size_t len = strcspn(at, "\n");
        json_t *object = json_loadb(at, len, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        bool refused = json_is_true(json_object_get(object, "refused"));
        assert_int_equal(refused, n == 3);
        assert_true(json_is_boolean(json_object_get(object, "refused")));
        assert_non_null(json_object_get(object, refused ? "admit" : "source"));
        assert_int_equal(json_is_true(json_object_get(object, "bad")), n < 2);
        json_decref(object);
        at += len + 1;
    }
    assert_int_equal(n, 4);
    free(text);
    snapshot_done(&s);
}

/* Whatever is cut off, nothing is made of the rest; and nothing is read past its end. */
static void test_every_prefix(void **state)
{
    (void)state;
    struct snapshot s, back;
    struct err err;
    size_t size;
    bed_snapshot(&s);
    char *json = report_snapshot(&s, &size);
    for (size_t n = 0; n + 1 < size; n++) {
        char *exact = malloc(n ? n : 1);
        memcpy(exact, json, n);
        assert_int_equal(report_read(exact, n, &back, &err), -EPROTO);
        free(exact);
    }
    free(json);
    snapshot_done(&s);
}

static void test_other_versions(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        "{\"error\":\"busy\"}",
        "{\"cloudspan\":7}",
        "{\"cloudspan\":\"snapshot\",\"packets\":99999999999999999999}",
        "{\"cloudspan\":\"snapshot\",\"host\":\"\\u0000\"}",
        "{\"cloudspan\":\"snapshot\"} more",
    };
    struct snapshot s;
    struct err err;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(report_read(refused[i], strlen(refused[i]), &s, &err), -EPROTO);

    static const char other[] =
        "{\"cloudspan\":\"snapshot\",\"new\":{\"deep\":[1]},\"packets\":-4,\"host\":12,\"now\":"
        "\"x\","
        "\"loss_share\":-1,\"sources\":[{\"source\":\"a\",\"state\":\"DROWSY\",\"reason\":"
        "\"yawns\","
        "\"id\":99999999999,\"outer\":\"not an address\",\"channels\":70000,\"last_packet\":1e300,"
        "\"direction\":\"up\"},7,null],\"drops\":[{\"stage\":5}],\"logs\":\"none\",\"refused\":{}}";
    if (report_read(other, sizeof other - 1, &s, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(s.n_packets, 0);
    assert_string_equal(s.host, "");
    assert_int_equal(s.n_machines, 3);
    assert_int_equal(s.machines[0].state, HEALTH_UNKNOWN);
    assert_string_equal(s.machines[0].reason, "DROWSY: yawns");
    assert_int_equal(s.machines[0].channel.id, UINT32_MAX);
    assert_int_equal(s.machines[0].n_channels, UINT16_MAX);
    assert_int_equal(s.machines[0].last_packet, 0);
    assert_int_equal(s.machines[0].channel.direction, 0);
    assert_string_equal(s.machines[2].name, "");
    assert_string_equal(s.drops[0].stage, "");
    assert_int_equal(s.n_logs, 0);
    assert_int_equal(s.n_refused, 0);
    snapshot_done(&s);
}

/* Bytes changed at random: it is refused, or it is a snapshot that can be written again. */
static void test_changed_bytes(void **state)
{
    (void)state;
    struct snapshot s, back;
    struct err err;
    size_t size, n_read = 0;
    uint32_t seed = 20261122;
    bed_snapshot(&s);
    char *json = report_snapshot(&s, &size), *changed = malloc(size);
    for (int round = 0; round < 3000; round++) {
        memcpy(changed, json, size);
        for (int i = 0; i <= round % 3; i++) {
            seed = seed * 1664525 + 1013904223;
            changed[(seed >> 8) % size] = "0123456789\"{}[],:-.eE \\nutf"[(seed >> 3) % 27];
        }
        if (report_read(changed, size, &back, &err) < 0)
            continue;
        size_t again_size;
        char *again = report_snapshot(&back, &again_size);
        assert_non_null(again);
        free(again);
        snapshot_done(&back);
        n_read++;
    }
    assert_true(n_read > 100);
    free(changed);
    free(json);
    snapshot_done(&s);
}

static void test_too_many(void **state)
{
    (void)state;
    size_t n = 600, size = 64 + n * 3;
    char *json = malloc(size);
    size_t at = (size_t)snprintf(json, size, "{\"cloudspan\":\"snapshot\",\"drops\":[");
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(json + at, size - at, i ? ",{}" : "{}");
    at += (size_t)snprintf(json + at, size - at, "]}");
    struct snapshot s;
    struct err err;
    assert_int_equal(report_read(json, at, &s, &err), -EPROTO);
    assert_non_null(strstr(err.text, "600 drops"));
    free(json);

    /* Brackets in brackets end in a message, not at the end of the stack. */
    size = 1 << 20;
    json = malloc(size);
    memset(json, '[', size);
    assert_int_equal(report_read(json, size, &s, &err), -EPROTO);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),       cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_lines_of_sources), cmocka_unit_test(test_every_prefix),
        cmocka_unit_test(test_other_versions),   cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
