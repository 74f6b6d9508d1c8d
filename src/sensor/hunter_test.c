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
    struct hunter *hunter;
    char archive[128];
};

static struct hunt_settings *new_settings(void)
{
    struct hunt_settings *settings = calloc(1, sizeof *settings);
    assert_non_null(settings);
    hunt_settings_init(settings);
    return settings;
}

static void begin(struct bed *b, enum log_format format)
{
    struct err err;
    log_bed_open(&b->log, format, extra, 1);
    struct hunter_options options = {
        .settings = new_settings(), .logs = b->log.set, .archive = b->archive, .lists = -1};
    if (hunter_start(&options, &b->hunter, &err) < 0)
        fail_msg("%s", err.text);
}

static void end(struct bed *b)
{
    struct err err;
    hunter_free(b->hunter);
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

static void add_text(char ***texts, size_t *n, const char *text)
{
    *texts = calloc(1, sizeof **texts);
    assert_non_null(*texts);
    (*texts)[0] = strdup(text);
    *n = 1;
}

/* Judged at once when the settings are others; waits until the last judging found so many. */
static size_t found(struct bed *b, struct finding *out, size_t want)
{
    size_t n = 0;
    for (int i = 0; i < 500; i++) {
        n = hunter_findings(b->hunter, out, 50);
        if (n == want)
            break;
        (void)usleep(20000);
    }
    return n;
}

static void settle(struct bed *b, struct hunt_settings *settings)
{
    settings->every = SECOND / 50;
    hunter_change(b->hunter, settings, -1);
}

/* Other settings while it runs: all that was seen is judged by them, nothing is forgotten, and
 * settings that are wrong change nothing. */
static void test_change(void **state)
{
    (void)state;
    struct finding *findings = calloc(50, sizeof *findings);
    struct hunter_counts counts;
    char note[HUNTER_NOTE_MAX] = "", safe[64], feed[64];
    struct bed b = {.archive = ""};
    (void)snprintf(b.archive, sizeof b.archive, "/tmp/hunter_change.%d.db", (int)getpid());
    (void)snprintf(safe, sizeof safe, "/tmp/hunter_change.%d.safe", (int)getpid());
    (void)snprintf(feed, sizeof feed, "/tmp/hunter_change.%d.feed", (int)getpid());
    (void)unlink(b.archive);
    assert_non_null(findings);
    begin(&b, LOG_FORMAT_TSV);
    put_hours(b.log.writer, clock_now() / SECOND * SECOND - 7200 * SECOND, 60);
    log_writer_flush(b.log.writer);
    settle(&b, new_settings());
    assert_int_equal(found(&b, findings, 1), 1);
    assert_string_equal(findings[0].hunt->name, "beacon");
    uint64_t id = findings[0].id;

    /* Off. */
    struct hunt_settings *settings = new_settings();
    add_text(&settings->off, &settings->n_off, "beacon");
    settle(&b, settings);
    assert_int_equal(found(&b, findings, 0), 0);
    (void)usleep(200000); /* nor does the next judging find it */
    assert_int_equal(found(&b, findings, 0), 0);

    /* There is no such hunt: it stays off. */
    settings = new_settings();
    add_text(&settings->off, &settings->n_off, "nonsense");
    settle(&b, settings);
    for (int i = 0; i < 500 && !hunter_take_note(b.hunter, note); i++)
        (void)usleep(20000);
    assert_non_null(strstr(note, "nonsense"));
    assert_non_null(strstr(note, "stay in force"));
    assert_int_equal(found(&b, findings, 0), 0);

    /* On again, but on a safelist. */
    FILE *file = fopen(safe, "w");
    assert_non_null(file);
    assert_true(fputs("203.0.113.9\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    settings = new_settings();
    add_text(&settings->safelists, &settings->n_safelists, safe);
    settle(&b, settings);
    for (int i = 0; i < 500; i++) {
        hunter_count(b.hunter, &counts);
        if (counts.n_hidden == 1)
            break;
        (void)usleep(20000);
    }
    assert_int_equal(counts.n_hidden, 1);
    assert_int_equal(found(&b, findings, 0), 0);

    /* A feed that names the other end of what was seen long before. */
    file = fopen(feed, "w");
    assert_non_null(file);
    assert_true(fputs("198.51.100.7 evil\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    settings = new_settings();
    add_text(&settings->feeds, &settings->n_feeds, feed);
    settle(&b, settings);
    assert_int_equal(found(&b, findings, 2), 2);
    bool has_beacon = false, has_feed = false;
    for (int i = 0; i < 2; i++) {
        has_beacon |= findings[i].id == id && findings[i].n >= 60;
        has_feed |= strcmp(findings[i].hunt->name, "intel") == 0;
    }
    assert_true(has_beacon && has_feed);
    hunter_stop(b.hunter);
    end(&b);

    /* What was kept is used by the next run, which has the settings of before. */
    begin(&b, LOG_FORMAT_TSV);
    settle(&b, new_settings());
    assert_int_equal(found(&b, findings, 1), 1);
    assert_int_equal(findings[0].id, id);
    end(&b);
    (void)unlink(b.archive);
    (void)unlink(safe);
    (void)unlink(feed);
    free(findings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_no_archive),
        cmocka_unit_test(test_after_the_end),
        cmocka_unit_test(test_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
