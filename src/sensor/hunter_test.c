/* Hunts on the stream: what is logged is read, a timer among it is found and told once, also by the
 * next run. */
#include "log/record_bed.h"

#include <unistd.h>

#include "base/clock.h"
#include "sensor/hunter.h"

#define SECOND 1000000000ll

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,       {"proto", LOG_ENUM},
    {"service", LOG_STRING},      {"duration", LOG_INTERVAL},
    {"orig_bytes", LOG_COUNT},    {"resp_bytes", LOG_COUNT},
    {"conn_state", LOG_STRING},   {"local_orig", LOG_BOOL},
    {"local_resp", LOG_BOOL},     {"missed_bytes", LOG_COUNT},
    {"history", LOG_STRING},      {"orig_pkts", LOG_COUNT},
    {"orig_ip_bytes", LOG_COUNT}, {"resp_pkts", LOG_COUNT},
    {"resp_ip_bytes", LOG_COUNT}, {"tunnel_parents", LOG_SET_STRING},
};
static const struct log_schema schema = {
    .name = "conn", LOG_COLUMNS(columns), .of_connection = true};
static const struct log_column extra[] = {{"source", LOG_STRING}};
static const struct log_column word[] = {{"word", LOG_STRING}};
static const struct log_schema foreign = {.name = "words", LOG_COLUMNS(word)};

static void put_conn(struct log_writer *writer, int64_t ts, const char *from, const char *to,
                     const char *machine)
{
    static unsigned n;
    char uid[20];
    struct addr a, b;
    assert_true(addr_parse(from, &a) && addr_parse(to, &b));
    (void)snprintf(uid, sizeof uid, "C%08u", ++n);
    struct rec *rec = log_begin(writer, &schema);
    rec_time(rec, ts);
    rec_text(rec, uid);
    rec_addr(rec, &a);
    rec_port(rec, (uint16_t)(20000 + n % 40000));
    rec_addr(rec, &b);
    rec_port(rec, 443);
    rec_text(rec, "tcp");
    rec_text(rec, "ssl");
    rec_interval(rec, 300000000);
    rec_count(rec, 517);
    rec_count(rec, 1200);
    rec_text(rec, "SF");
    rec_bool(rec, true);
    rec_bool(rec, false);
    rec_count(rec, 0);
    rec_text(rec, "ShADadFf");
    rec_count(rec, 6);
    rec_count(rec, 800);
    rec_count(rec, 6);
    rec_count(rec, 1500);
    rec_set_begin(rec);
    rec_set_end(rec);
    rec_str(rec, str_c(machine));
    log_end(rec);
}

/* An implant of web-1 that checks in each minute, +-20 %, and what a person does. */
static void put_hours(struct log_writer *writer, int64_t from, int n)
{
    uint32_t dice = 12345;
    int64_t at = from, person = from;
    for (int i = 0; i < n; i++) {
        dice = dice * 1664525 + 1013904223;
        at += 48 * SECOND + (int64_t)(dice >> 8) % (24 * SECOND);
        put_conn(writer, at, "10.1.0.11", "203.0.113.9", "web-1");
        dice = dice * 1664525 + 1013904223;
        person += (int64_t)((dice >> 8) % 1000) * (int64_t)((dice >> 20) % 200) * 1000000;
        put_conn(writer, person, "10.1.0.12", "198.51.100.7", "db-1");
    }
}

struct bed {
    struct log_bed log;
    struct hunt_settings settings;
    struct hunter *hunter;
    char archive[128];
};

static void begin(struct bed *b, enum log_format format)
{
    struct err err;
    log_bed_open(&b->log, format, extra, 1);
    hunt_settings_init(&b->settings);
    struct hunter_options options = {
        .settings = &b->settings, .logs = b->log.set, .archive = b->archive};
    if (hunter_start(&options, &b->hunter, &err) < 0)
        fail_msg("%s", err.text);
}

static void end(struct bed *b)
{
    struct err err;
    hunter_free(b->hunter);
    hunt_settings_done(&b->settings);
    log_writer_free(b->log.writer);
    assert_int_equal(log_set_close(b->log.set, &err), 0);
    log_bed_remove(&b->log);
}

static size_t told(struct bed *b, struct finding *out, size_t max)
{
    size_t n = 0;
    while (n < max && hunter_take(b->hunter, &out[n]))
        n++;
    return n;
}

static void test_found(void **state)
{
    (void)state;
    struct finding *findings = calloc(50, sizeof *findings);
    int64_t from = clock_now() / SECOND * SECOND - 7200 * SECOND;
    struct bed b = {.archive = ""};
    (void)snprintf(b.archive, sizeof b.archive, "/tmp/hunter_test.%d.db", (int)getpid());
    assert_non_null(findings);
    for (int format = 0; format < 2; format++) {
        (void)unlink(b.archive);
        begin(&b, format ? LOG_FORMAT_JSON : LOG_FORMAT_TSV);
        put_hours(b.log.writer, from, 60);
        struct rec *rec = log_begin(b.log.writer, &foreign);
        rec_text(rec, "not for hunts");
        log_end(rec);
        log_writer_flush(b.log.writer);
        hunter_stop(b.hunter);
        char note[HUNTER_NOTE_MAX];
        if (hunter_take_note(b.hunter, note))
            fail_msg("%s", note);
        struct hunter_counts counts;
        hunter_count(b.hunter, &counts);
        assert_int_equal(counts.n_lines, 120);
        assert_int_equal(counts.n_lost, 0);
        assert_int_equal(counts.n_bad, 0);
        size_t n = told(&b, findings, 50);
        assert_true(n == 1);
        assert_string_equal(findings[0].hunt->name, "beacon");
        assert_string_equal(findings[0].src_machine, "web-1");
        assert_true(findings[0].is_new);
        n = hunter_findings(b.hunter, findings, 50);
        assert_true(n >= 1);
        assert_string_equal(findings[0].src_machine, "web-1");
        assert_true(counts.n_of[findings[0].severity] >= 1);
        end(&b);
    }

    /* The next run: it goes on, what was is known, and is not told again. */
    begin(&b, LOG_FORMAT_TSV);
    put_hours(b.log.writer, from + 3600 * SECOND, 10);
    log_writer_flush(b.log.writer);
    hunter_stop(b.hunter);
    assert_int_equal(told(&b, findings, 50), 0);
    size_t n = hunter_findings(b.hunter, findings, 50);
    assert_true(n >= 1);
    assert_string_equal(findings[0].src_machine, "web-1");
    assert_true(findings[0].n >= 65);
    end(&b);
    (void)unlink(b.archive);
    free(findings);
}

/* Without an archive that can be had it hunts all the same, and says so. */
static void test_no_archive(void **state)
{
    (void)state;
    struct finding *findings = calloc(50, sizeof *findings);
    char note[HUNTER_NOTE_MAX];
    struct bed b = {.archive = "/nonexistent/folder/hunts.db"};
    assert_non_null(findings);
    begin(&b, LOG_FORMAT_TSV);
    put_hours(b.log.writer, clock_now() - 7200 * SECOND, 60);
    log_writer_flush(b.log.writer);
    hunter_stop(b.hunter);
    assert_true(hunter_take_note(b.hunter, note));
    assert_non_null(strstr(note, "/nonexistent/folder/hunts.db"));
    assert_false(hunter_take_note(b.hunter, note));
    assert_int_equal(told(&b, findings, 50), 1);
    end(&b);
    free(findings);
}

/* What is written after the end is counted as not looked at. */
static void test_after_the_end(void **state)
{
    (void)state;
    struct hunter_counts counts;
    struct bed b = {.archive = ":memory:"};
    begin(&b, LOG_FORMAT_TSV);
    hunter_stop(b.hunter);
    put_hours(b.log.writer, clock_now() - 7200 * SECOND, 10);
    log_writer_flush(b.log.writer);
    hunter_count(b.hunter, &counts);
    assert_int_equal(counts.n_lost, 20);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_no_archive),
        cmocka_unit_test(test_after_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
