/* What is shown of findings: no line is wider than the terminal, nothing from the wire gets through
 * as it is, and the same ends share a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "cmd/hunt_show.h"

#define NOW INT64_C(1763596800000) /* ms */

struct bed {
    struct hunt_settings settings;
    struct hunt_engine *engine;
    struct findings *findings;
    struct hunt_picks picks;
    struct hunt_show show;
};

static const struct hunt *hunt_named(const char *name)
{
    for (size_t i = 0; hunts[i]; i++)
        if (strcmp(hunts[i]->name, name) == 0)
            return hunts[i];
    fail_msg("there is no hunt %s", name);
    return NULL;
}

static struct finding make(const char *hunt, const char *src, const char *dst, double score)
{
    struct finding f = {.hunt = hunt_named(hunt),
                        .id = (uint64_t)(score * 1e6) << 40 | (uint64_t)strlen(dst) << 8,
                        .has_src = true,
                        .score = score,
                        .confidence = 0.9,
                        .severity = hunt_severity_of(score),
                        .first = NOW - 3600000,
                        .last = NOW,
                        .n = 42,
                        .bytes_up = 1500,
                        .bytes_down = 2500000};
    assert_true(addr_parse(src, &f.src.addr));
    f.has_dst = addr_parse(dst, &f.dst.addr);
    if (!f.has_dst)
        (void)snprintf(f.name, sizeof f.name, "%s", dst);
    (void)snprintf(f.title, sizeof f.title, "%s of %s", hunt, src);
    return f;
}

static struct bed *bed_new(const struct finding *findings, size_t n, unsigned columns, bool utf8)
{
    struct bed *bed = calloc(1, sizeof *bed);
    struct err err = {""};
    struct hunt_pick how = {.minimum = HUNT_NONE};
    assert_non_null(bed);
    hunt_settings_init(&bed->settings);
    if (hunt_engine_new(&bed->settings, 1, &bed->engine, &err) < 0)
        fail_msg("%s", err.text);
    bed->findings = findings_new(10);
    assert_int_equal(hunt_engine_judge(bed->engine, NOW, false, 1, bed->findings, &err), 0);
    assert_int_equal(hunt_pick(&how, findings, n, &bed->picks, &err), 0);
    static const char *const paths[] = {"/var/log/it's here"};
    bed->show = (struct hunt_show){.view = hunt_engine_view(bed->engine),
                                   .picks = &bed->picks,
                                   .columns = columns,
                                   .utf8 = utf8,
                                   .utc = true,
                                   .limit = 100,
                                   .paths = paths,
                                   .n_paths = 1};
    return bed;
}

static void bed_free(struct bed *bed)
{
    hunt_picks_done(&bed->picks);
    findings_free(bed->findings);
    hunt_engine_free(bed->engine);
    hunt_settings_done(&bed->settings);
    free(bed);
}

/* No line has more columns, or bytes that a terminal would obey. */
static void check_lines(const char *text, unsigned columns, bool utf8)
{
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n");
        if (terminal_width(line, len, utf8) > columns)
            fail_msg("a line of %u columns: %.*s", terminal_width(line, len, utf8), (int)len, line);
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f ||
                (!utf8 && (unsigned char)line[i] >= 0x80))
                fail_msg("a byte 0x%02x", (unsigned char)line[i]);
        line += len + (line[len] == '\n');
    }
}

static const char hostile[] = "evil\033[2J\n<script>\"&'\xe2\x80\xae\xff\t,=1+1";

static struct finding make_hostile(void)
{
    struct finding f = make("dns-tunnel", "10.0.0.5", "x", 0.9);
    (void)snprintf(f.name, sizeof f.name, "%s", hostile);
    (void)snprintf(f.src_machine, sizeof f.src_machine, "%s", hostile);
    (void)snprintf(f.title, sizeof f.title, "=%s", hostile);
    (void)snprintf(f.ports, sizeof f.ports, "%s", hostile);
    (void)snprintf(f.reasons[0], sizeof f.reasons[0], "%s", hostile);
    f.n_reasons = 1;
    return f;
}

static void test_table(void **state)
{
    (void)state;
    struct finding findings[] = {
        make("long-connection", "10.0.0.5", "203.0.113.7", 0.95),
        make("dns-tunnel", "10.0.0.6", "a.very.long.name.that.needs.much.room.example", 0.7),
        make("exfiltration", "10.0.0.5", "203.0.113.7", 0.61),
        make("scan", "10.0.0.7", "", 0.3),
    };
    struct bed *bed = bed_new(findings, 4, 80, true);
    struct text out;
    text_init(&out, 1u << 20);
    hunt_table(&bed->show, &out);
    check_lines(out.at, 80, true);
    assert_non_null(strstr(out.at, "SEVERITY SCORE"));
    assert_non_null(strstr(out.at, "critical  0.95  10.0.0.5"));
    /* The same two ends are one row, by the gravest. */
    assert_int_equal(bed->picks.n_rows, 3);
    assert_non_null(strstr(out.at, "long-connection + exfiltration 0.61: "));
    assert_null(strstr(out.at, "\nhigh      0.61"));
    text_done(&out);
    bed->show.limit = 1;
    hunt_table(&bed->show, &out);
    assert_non_null(strstr(out.at, "2 more: -n 3"));
    text_done(&out);
    bed_free(bed);
}

static void test_widths(void **state)
{
    (void)state;
    struct finding findings[] = {make_hostile(),
                                 make("long-connection", "2001:db8:1111:2222:3333:4444:5555:6666",
                                      "2001:db8:1111:2222:3333:4444:5555:7777", 0.5)};
    for (unsigned columns = 40; columns <= 240; columns += 5) {
        struct bed *bed = bed_new(findings, 2, columns, columns % 2);
        struct text out;
        text_init(&out, 1u << 20);
        hunt_table(&bed->show, &out);
        check_lines(out.at, columns, columns % 2);
        text_done(&out);
        bed_free(bed);
    }
}

static void test_explain(void **state)
{
    (void)state;
    struct finding findings[] = {make_hostile()};
    struct bed *bed = bed_new(findings, 1, 80, true);
    struct text out;
    text_init(&out, 1u << 20);
    (void)snprintf(findings[0].reasons[1], FINDING_REASON_MAX,
                   "a reason of so many words that they do not find room in one line of eighty "
                   "columns, and of two neither");
    findings[0].n_reasons = 2;
    findings[0].numbers[0] = (struct finding_number){"period_s", 60.25};
    findings[0].n_numbers = 1;
    hunt_explain(&bed->show, &bed->picks.at[0], &out);
    /* All lines but the command, which is copied whole. */
    char *command = strstr(out.at, "Lines of the logs\n");
    assert_non_null(command);
    assert_non_null(strstr(command, "'/var/log/it'\\''s here'"));
    check_lines(command, 5000, true);
    *command = '\0';
    check_lines(out.at, 80, true);
    assert_non_null(strstr(out.at, "42 times, 1.50 kB sent, 2.50 MB received"));
    assert_non_null(strstr(out.at, "period_s  60.25"));
    assert_non_null(strstr(out.at, "neither\n"));
    assert_non_null(strstr(out.at, "hunt:dns-tunnel src 10.0.0.5\n"));
    text_done(&out);
    bed_free(bed);
}

/* What is said in the place of a name stands in no log; and one moment lasts no time. */
static void test_explain_label(void **state)
{
    (void)state;
    struct finding findings[] = {
        make("scan", "10.0.0.7", "", 0.5), make("dns-tunnel", "10.0.0.7", "example.com", 0.4),
        make("beacon", "10.0.0.7", "203.0.113.7", 0.3), make("beacon", "10.0.0.7", "", 0.3)};
    (void)snprintf(findings[0].name, sizeof findings[0].name, "many hosts, 445:tcp");
    findings[0].first = findings[0].last;
    findings[0].n = 1;
    for (size_t i = 2; i < 4; i++)
        (void)snprintf(findings[i].name, sizeof findings[i].name, "www.example.com");
    struct bed *bed = bed_new(findings, 4, 80, true);
    static const char *const commands[] = {
        "-name '*conn*.log*' -exec zgrep -hwF -e 10.0.0.7 {} +\n",
        "-name '*dns*.log*' -exec zgrep -hwF -e 10.0.0.7 {} + | grep -wF -e example.com\n",
        "-name '*.log*' -exec zgrep -hwF -e 10.0.0.7 {} + | grep -wF -e www.example.com\n",
        "-name '*.log*' -exec zgrep -hwF -e 10.0.0.7 {} + | grep -wF -e www.example.com\n",
    };
    for (size_t i = 0; i < 4; i++) {
        struct text out;
        text_init(&out, 1u << 20);
        hunt_explain(&bed->show, &bed->picks.at[i], &out);
        assert_non_null(strstr(out.at, commands[i]));
        if (i == 0)
            assert_non_null(strstr(out.at, "that is       1 time, 1.50 kB sent"));
        text_done(&out);
    }
    bed_free(bed);
}

static void test_json(void **state)
{
    (void)state;
    struct finding f = make_hostile();
    struct text out;
    json_error_t error;
    text_init(&out, 1u << 20);
    f.numbers[0] = (struct finding_number){"period_s", 60.25};
    f.numbers[1] = (struct finding_number){"ratio", 1.0 / 0.0};
    f.n_numbers = 2;
    hunt_json(&f, "f:3: 10.0.0.5", "new", &out);
    assert_int_equal(strcspn(out.at, "\n") + 1, out.size); /* one line */
    json_t *object = json_loads(out.at, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        fail_msg("%s: %s", error.text, out.at);
    assert_string_equal(json_string_value(json_object_get(object, "hunt")), "dns-tunnel");
    assert_string_equal(json_string_value(json_object_get(object, "alert")), "new");
    assert_string_equal(json_string_value(json_object_get(object, "severity")), "critical");
    assert_string_equal(json_string_value(json_object_get(object, "src")), "10.0.0.5");
    assert_true(json_is_null(json_object_get(object, "dst")));
    assert_string_equal(json_string_value(json_object_get(object, "hidden_by")), "f:3: 10.0.0.5");
    assert_int_equal(json_integer_value(json_object_get(object, "count")), 42);
    json_t *numbers = json_object_get(object, "numbers");
    assert_true(json_real_value(json_object_get(numbers, "period_s")) == 60.25);
    assert_true(json_is_null(json_object_get(numbers, "ratio")));
    assert_true(json_real_value(json_object_get(object, "last")) == (double)NOW / 1e3 ||
                json_number_value(json_object_get(object, "last")) == (double)NOW / 1e3);
    json_decref(object);
    for (size_t i = 0; i + 1 < out.size; i++)
        assert_in_range((unsigned char)out.at[i], 0x20, 0x7e);
    text_done(&out);
}

/* Fields of a line as RFC 4180 has them. */
static unsigned count_fields(const char *line)
{
    unsigned n = 1;
    bool quoted = false;
    for (; *line && *line != '\r'; line++) {
        quoted ^= *line == '"';
        n += *line == ',' && !quoted;
    }
    assert_false(quoted);
    return n;
}

static void test_csv(void **state)
{
    (void)state;
    struct finding f = make_hostile();
    struct text out;
    text_init(&out, 1u << 20);
    hunt_csv_header(&out);
    unsigned n = count_fields(out.at);
    text_done(&out);
    text_init(&out, 1u << 20);
    hunt_csv(&f, &out);
    assert_int_equal(count_fields(out.at), n);
    assert_int_equal(strcspn(out.at, "\r\n") + 2, out.size);
    assert_non_null(strstr(out.at, ",\"'=evil\\x1b[2J\\x0a<script>\"\"&'")); /* no formula */
    text_done(&out);
}

static void test_html(void **state)
{
    (void)state;
    struct finding findings[] = {make_hostile(),
                                 make("long-connection", "10.0.0.5", "203.0.113.7", 0.5)};
    struct bed *bed = bed_new(findings, 2, 80, true);
    struct text out;
    text_init(&out, 1u << 20);
    hunt_html(&bed->show, hostile, &out);
    assert_false(out.failed);
    assert_non_null(
        strstr(out.at, "evil\\x1b[2J\\x0a&#60;script&#62;&#34;&#38;&#39;\\xe2\\x80\\xae"));
    /* Our own script, and no other; nothing is fetched. */
    const char *first = strstr(out.at, "<script");
    assert_non_null(first);
    assert_null(strstr(first + 1, "<script"));
    assert_null(strstr(out.at, "http://"));
    assert_null(strstr(out.at, "https://"));
    assert_null(strstr(out.at, " src="));
    assert_non_null(strstr(out.at, "default-src 'none'"));
    unsigned n = 0;
    for (const char *p = out.at; (p = strstr(p, "<tbody")); p++)
        n++;
    assert_int_equal(n, 2);
    for (const char *p = out.at; *p; p++)
        assert_true((unsigned char)*p >= 0x20 || *p == '\n');
    text_done(&out);
    bed_free(bed);
}

static void test_ids(void **state)
{
    (void)state;
    struct finding findings[] = {make("long-connection", "10.0.0.5", "203.0.113.7", 0.5),
                                 make("long-connection", "10.0.0.5", "203.0.113.8", 0.5),
                                 make("long-connection", "10.0.0.5", "203.0.113.9", 0.5)};
    char text[HUNT_ID_MAX];
    findings[0].id = 0x123456789abcdef0;
    findings[1].id = 0x1234567fffffffff;
    findings[2].id = 0xfedcba9876543210;
    struct bed *bed = bed_new(findings, 3, 80, true);
    unsigned len = hunt_id_len(&bed->picks);
    assert_int_equal(len, 8);
    hunt_id_text(findings[0].id, len, text);
    assert_string_equal(text, "12345678");
    assert_true(hunt_id_begins(findings[0].id, text));
    assert_true(hunt_id_begins(findings[2].id, "FEDC"));
    assert_false(hunt_id_begins(findings[1].id, text));
    bed_free(bed);
}

/* What many machines do alike is one row; what is grave, or has more to it, stays by itself. */
static void test_fold(void **state)
{
    (void)state;
    struct finding findings[20];
    char src[20];
    struct err err;
    size_t n = 0;
    findings[n++] = make("long-connection", "10.0.1.1", "mail.example", 0.7);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(src, sizeof src, "10.0.0.%d", i);
        findings[n++] = make("long-connection", src, "mail.example", 0.35);
    }
    for (int i = 0; i < 4; i++) {
        (void)snprintf(src, sizeof src, "203.0.113.%d", i);
        findings[n++] = make("long-connection", "10.0.0.9", src, 0.3);
    }
    findings[n++] = make("long-connection", "10.0.0.10", "rare.example", 0.3);
    findings[n++] = make("long-connection", "10.0.0.11", "rare.example", 0.3);
    findings[n++] = make("exfiltration", "10.0.0.4", "mail.example", 0.3);
    for (int i = 0; i < 3; i++)
        findings[n++] = make("dga", "10.0.0.20", "", 0.3);
    struct bed *bed = bed_new(findings, n, 80, true);
    struct hunt_pick how = {.minimum = HUNT_NONE, .folds = true};
    hunt_picks_done(&bed->picks);
    assert_int_equal(hunt_pick(&how, findings, n, &bed->picks, &err), 0);
    struct text out;
    text_init(&out, 1u << 20);
    hunt_table(&bed->show, &out);
    check_lines(out.at, 80, true);
    assert_non_null(strstr(out.at, "high      0.70  10.0.1.1 "));
    assert_non_null(strstr(out.at, "low       0.35  10.0.0.0 +3 "));
    assert_non_null(strstr(out.at, "low       0.35  10.0.0.4 ")); /* exfiltration, too */
    assert_non_null(strstr(out.at, "  10.0.0.9     203.0.113.0 +3 "));
    assert_non_null(strstr(out.at, "  10.0.0.11 "));
    assert_null(strstr(out.at, "10.0.0.2 "));
    assert_int_equal(bed->picks.n, n);
    assert_int_equal(bed->picks.n_rows, 7);
    text_done(&out);
    bed_free(bed);
}

static void test_pick(void **state)
{
    (void)state;
    struct finding findings[] = {make("long-connection", "10.0.0.5", "203.0.113.7", 0.95),
                                 make("long-connection", "10.0.0.6", "203.0.113.7", 0.7),
                                 make("long-connection", "10.0.0.7", "203.0.113.7", 0.1)};
    struct hunt_safelist *list = NULL;
    struct hunt_filter *filter = NULL;
    struct hunt_picks picks;
    struct err err;
    assert_int_equal(hunt_safelist_load(NULL, 0, &list, &err), 0);
    assert_int_equal(hunt_safelist_take(list, STR("src 10.0.0.5\n"), "f", &err), 0);
    struct hunt_pick how = {.safelist = list, .minimum = HUNT_LOW};
    assert_int_equal(hunt_pick(&how, findings, 3, &picks, &err), 0);
    assert_int_equal(picks.n, 1);
    assert_int_equal(picks.n_hidden, 1);
    assert_int_equal(picks.n_below, 1);
    assert_int_equal(picks.n_critical, 0);
    assert_int_equal(picks.worst, HUNT_HIGH);
    hunt_picks_done(&picks);
    /* Shown, what is hidden says so, and does not count as what was found. */
    how.show_safelisted = true;
    assert_int_equal(hunt_pick(&how, findings, 3, &picks, &err), 0);
    assert_int_equal(picks.n, 2);
    assert_string_equal(picks.at[0].hidden_by, "f:1: src 10.0.0.5");
    assert_int_equal(picks.worst, HUNT_HIGH);
    hunt_picks_done(&picks);
    assert_int_equal(hunt_filter_parse("src:10.0.0.7", &filter, &err), 0);
    how = (struct hunt_pick){.filter = filter, .minimum = HUNT_NONE};
    assert_int_equal(hunt_pick(&how, findings, 3, &picks, &err), 0);
    assert_int_equal(picks.n, 1);
    assert_int_equal(picks.n_filtered, 2);
    hunt_picks_done(&picks);
    hunt_filter_free(filter);
    hunt_safelist_free(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),   cmocka_unit_test(test_widths),
        cmocka_unit_test(test_explain), cmocka_unit_test(test_explain_label),
        cmocka_unit_test(test_json),    cmocka_unit_test(test_csv),
        cmocka_unit_test(test_html),    cmocka_unit_test(test_ids),
        cmocka_unit_test(test_pick),    cmocka_unit_test(test_fold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
