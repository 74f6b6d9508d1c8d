/* Metrics: every line is of the exposition format, HELP and TYPE once for each family, no series
 * twice, whatever the names hold. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "base/text.h"
#include "sensor/metrics.h"
#include "sensor/snapshot_bed.h"

#define SERIES_MAX 100000

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && ((c >= '0' && c <= '9') || c == ':'));
}

static size_t name_len(const char *at)
{
    size_t len = 0;
    while (is_name(at[len], len == 0))
        len++;
    return len;
}

/* {a="b",c="d"}: gives its length, or fails. */
static size_t labels_len(const char *line, const char *at)
{
    const char *begin = at;
    if (*at != '{')
        return 0;
    do {
        at++;
        size_t len = name_len(at);
        if (len == 0 || at[len] != '=' || at[len + 1] != '"')
            fail_msg("labels of %s", line);
        for (at += len + 2; *at != '"'; at++) {
            if (*at == '\\' && !strchr("\\\"n", at[1]))
                fail_msg("escape in %s", line);
            if (*at == '\\')
                at++;
            if ((unsigned char)*at < 0x20)
                fail_msg("control character in %s", line);
        }
        at++;
    } while (*at == ',');
    if (*at != '}')
        fail_msg("labels of %s do not end", line);
    return (size_t)(at + 1 - begin);
}

static int order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Gives the number of series. */
static size_t check_format(const char *page)
{
    char *copy = strdup(page), *family = NULL, **seen = calloc(SERIES_MAX, sizeof *seen);
    char **families = calloc(1000, sizeof *families);
    size_t n = 0, n_families = 0;
    bool typed = false;
    for (char *line = copy; *line;) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = '\0';
        uint32_t code;
        for (size_t at = 0, size; line[at]; at += size)
            if ((size = text_utf8(line + at, strlen(line + at), &code)) == 0)
                fail_msg("no UTF-8: %s", line);
        if (strncmp(line, "# HELP ", 7) == 0) {
            family = line + 7;
            size_t len = name_len(family);
            assert_int_equal(family[len], ' ');
            assert_true(strlen(family + len + 1) > 5);
            family[len] = '\0';
            families[n_families++] = family;
            typed = false;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_false(typed);
            typed = true;
            size_t len = strlen(family);
            assert_memory_equal(line + 7, family, len);
            const char *type = line + 7 + len + 1;
            assert_true(strcmp(type, "gauge") == 0 || strcmp(type, "counter") == 0);
            bool total = len > 6 && strcmp(family + len - 6, "_total") == 0;
            assert_int_equal(total, strcmp(type, "counter") == 0);
        } else {
            size_t len = name_len(line);
            assert_true(typed && len == strlen(family) && memcmp(line, family, len) == 0);
            len += labels_len(line, line + len);
            assert_int_equal(line[len], ' ');
            char *rest = NULL;
            double value = strtod(line + len + 1, &rest);
            assert_true(value >= 0 && *rest == '\0' && rest != line + len + 1);
            line[len] = '\0';
            assert_true(n < SERIES_MAX);
            seen[n++] = line;
        }
        line = end + 1;
    }
    qsort(seen, n, sizeof *seen, order);
    for (size_t i = 1; i < n; i++)
        if (strcmp(seen[i - 1], seen[i]) == 0)
            fail_msg("twice: %s", seen[i]);
    qsort(families, n_families, sizeof *families, order);
    for (size_t i = 1; i < n_families; i++)
        assert_string_not_equal(families[i - 1], families[i]);
    free(families);
    free(seen);
    free(copy);
    return n;
}

static char *page_of(const struct snapshot *s)
{
    size_t size;
    char *page = metrics_text(s, &size);
    assert_non_null(page);
    assert_int_equal(strlen(page), size);
    return page;
}

static void assert_has(const char *page, const char *line)
{
    const char *at = strstr(page, line);
    if (!at || at[strlen(line)] != '\n' || (at != page && at[-1] != '\n'))
        fail_msg("lacks %s", line);
}

static void test_values(void **state)
{
    (void)state;
    struct snapshot s;
    bed_snapshot(&s);
    char *page = page_of(&s);
    check_format(page);
    static const char *const lines[] = {
        "cloudspan_build_info{version=\"0.1.0\"} 1",
        "cloudspan_packets_received_total{source=\"web-1\",encap=\"vxlan\"} 1000000",
        "cloudspan_bytes_received_total{source=\"db-1\",encap=\"vxlan\"} 800000000",
        "cloudspan_source_up{source=\"old-7\"} 0",
        "cloudspan_source_up{source=\"db-1\"} 1",
        "cloudspan_source_state{source=\"old-7\",state=\"SILENT\"} 1",
        "cloudspan_source_state{source=\"old-7\",state=\"ok\"} 0",
        "cloudspan_source_last_packet_timestamp_seconds{source=\"old-7\"} 1795316922.000",
        "cloudspan_refused_packets_total 312",
        "cloudspan_dropped_total{stage=\"decode\",reason=\"truncated\"} 14",
        "cloudspan_left_out_total{stage=\"policy\",reason=\"copies\"} 23456",
        "cloudspan_input_up{input=\"gre\"} 0",
        "cloudspan_findings{severity=\"critical\"} 1",
        "cloudspan_findings{severity=\"high\"} 0",
        "cloudspan_hunt_lines_total 1234000",
        "cloudspan_log_lines_written_total{log=\"conn\"} 1200000",
        "cloudspan_log_write_errors_total{log=\"dns\"} 2",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_has(page, lines[i]);
    assert_null(strstr(page, "dropped_total{stage=\"policy\""));
    free(page);
    snapshot_done(&s);
}

static void test_strangers_make_no_series(void **state)
{
    (void)state;
    struct snapshot s;
    bed_snapshot(&s);
    s.machines[1].configured = false;
    BED_TEXT(s.machines[1].name, "\"} evil 1\n");
    char *page = page_of(&s);
    size_t one = check_format(page);
    assert_has(page,
               "cloudspan_packets_received_total{source=\"unknown\",encap=\"vxlan\"} 1000000");
    assert_null(strstr(page, "evil"));
    assert_null(strstr(page, "source_state{source=\"unknown\""));
    free(page);
    /* Two thousand strangers are one series, as one is; and one that is configured with this name.
     */
    free(s.machines);
    s.n_machines = 2002;
    s.machines = calloc(s.n_machines, sizeof *s.machines);
    s.machines[0] = bed_machine("old-7", 103, "10.0.9.4", HEALTH_SILENT, "");
    s.machines[1] = bed_machine("web-1", 101, "10.0.1.11", HEALTH_OK, "");
    for (size_t i = 2; i < s.n_machines; i++) {
        char name[32];
        snprintf(name, sizeof name, "10.0.%zu.%zu", i / 256, i % 256);
        s.machines[i] = bed_machine(i == 700 ? "unknown" : name, (uint32_t)i, NULL, HEALTH_OK, "");
        s.machines[i].configured = i == 700;
    }
    page = page_of(&s);
    assert_int_equal(check_format(page), one);
    assert_has(page,
               "cloudspan_packets_received_total{source=\"unknown\",encap=\"vxlan\"} 2000000000");
    free(page);
    snapshot_done(&s);
}

static void test_hostile_and_equal_names(void **state)
{
    (void)state;
    struct snapshot s;
    bed_snapshot(&s);
    BED_TEXT(s.machines[0].name, "a\"b\\c\nd\xff\xc3\xa9");
    BED_TEXT(s.machines[1].name, "web-1"); /* of another network */
    BED_TEXT(s.machines[1].channel.encapsulation, "geneve");
    s.drops[1] = s.drops[0];
    BED_TEXT(s.inputs[1].name, "gre");
    s.logs[1].name = "conn";
    s.loss_share = 0.0 / 0.0;
    char *page = page_of(&s);
    check_format(page);
    assert_has(page, "cloudspan_source_up{source=\"a\\\"b\\\\c\\\\x0ad\\\\xff\xc3\xa9\"} 0");
    assert_has(page, "cloudspan_packets_received_total{source=\"web-1\",encap=\"geneve\"} 1000000");
    assert_has(page, "cloudspan_packets_received_total{source=\"web-1\",encap=\"vxlan\"} 1000000");
    assert_has(page, "cloudspan_source_state{source=\"web-1\",state=\"ONE-SIDED\"} 1");
    assert_has(page, "cloudspan_dropped_total{stage=\"ring\",reason=\"full\"} 6");
    assert_has(page, "cloudspan_log_write_errors_total{log=\"conn\"} 2");
    free(page);
    snapshot_done(&s);
}

static void test_bounded(void **state)
{
    (void)state;
    struct snapshot s;
    bed_snapshot(&s);
    free(s.machines);
    s.n_machines = METRICS_SOURCES_MAX + 100;
    s.machines = calloc(s.n_machines, sizeof *s.machines);
    for (size_t i = 0; i < s.n_machines; i++) {
        char name[80];
        snprintf(name, sizeof name, "%05zu-%s", i, "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"");
        s.machines[i] = bed_machine(name, 1, NULL, HEALTH_OK, "");
    }
    char *page = page_of(&s);
    check_format(page);
    assert_has(page,
               "cloudspan_packets_received_total{source=\"unknown\",encap=\"vxlan\"} 100000000");
    free(page);
    free(s.machines);
    s.machines = NULL;
    s.n_machines = 0;
    page = page_of(&s);
    check_format(page);
    free(page);
    snapshot_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_strangers_make_no_series),
        cmocka_unit_test(test_hostile_and_equal_names),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
