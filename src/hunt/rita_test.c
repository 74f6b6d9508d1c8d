/* RITA's rows: of data sets with known values, and of records made by hand.
 *
 * CLOUDSPAN_CONFORMANCE names a folder beside which data/rita lies; without it the first part is
 * skipped. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hunt/pairs_bed.h"
#include "hunt/read.h"
#include "hunt/rita_parts.h"

#define N(list) (sizeof(list) / sizeof(list)[0])

/* ---- rows of an engine ---- */

struct rows {
    struct rita_row *at;
    size_t n;
};

static struct rows rows_of(struct hunt_engine *engine, const struct rita_options *options)
{
    struct findings *findings = findings_new(100);
    struct rows rows = {NULL, 0};
    struct err err;
    assert_non_null(findings);
    assert_int_equal(hunt_engine_judge(engine, 0, false, 2, findings, &err), 0);
    assert_int_equal(rita_rows(hunt_engine_view(engine), options, &rows.at, &rows.n, &err), 0);
    findings_free(findings);
    return rows;
}

static const struct rita_row *row_of(const struct rows *rows, const char *src, const char *to)
{
    struct hunt_host from = bed_host(src);
    struct addr addr;
    bool is_addr = addr_parse(to, &addr);
    for (size_t i = 0; i < rows->n; i++) {
        const struct rita_row *row = &rows->at[i];
        if (!addr_eq(&row->src.addr, &from.addr))
            continue;
        if (is_addr ? row->has_dst && addr_eq(&row->dst.addr, &addr) : strcmp(row->name, to) == 0)
            return row;
    }
    return NULL;
}

/* ---- known data sets ---- */

static void take(void *with, const struct hunt_record *records, size_t n)
{
    hunt_engine_take(with, records, n);
}

static bool is_there(char *out, size_t size, const char *name)
{
    const char *folder = getenv("CLOUDSPAN_CONFORMANCE");
    if (folder == NULL)
        return false;
    (void)snprintf(out, size, "%s/../data/rita/%s", folder, name);
    return access(out, R_OK) == 0;
}

static struct hunt_engine *engine_of_folder(struct hunt_settings *settings, const char *path)
{
    struct hunt_engine *engine = bed_engine(settings);
    const struct hunt_reading reading = {
        .paths = &path, .n_paths = 1, .n_threads = 2, .with = engine, .records = take};
    struct hunt_read_counts counts;
    struct hunt_mark *marks = NULL;
    size_t n_marks = 0;
    struct err err;
    int rc = hunt_read(&reading, &counts, &marks, &n_marks, &err);
    if (rc < 0)
        fail_msg("%s: %s", path, err.text);
    hunt_marks_free(marks, n_marks);
    return engine;
}

static const char *const columns[] = {
    "type",
    "src",
    "dst",
    "fqdn",
    "final",
    "beacon",
    "ts",
    "ds",
    "dur",
    "hist",
    "beacon_threat",
    "long",
    "strobe",
    "count",
    "open",
    "proxy",
    "total_duration",
    "total_bytes",
    "prevalence_total",
    "network_size",
    "missing_host",
    "mime_mismatch",
    "rare_sig",
    "port_proto",
};

static void check_golden_row(const struct rows *rows, char *line)
{
    const char *fields[N(columns)] = {NULL};
    for (size_t i = 0; i < N(columns); i++)
        fields[i] = strsep(&line, "\t");
    assert_non_null(fields[N(columns) - 1]);
    const struct rita_row *row = row_of(rows, fields[1], fields[2][0] ? fields[2] : fields[3]);
    if (row == NULL)
        fail_msg("there is no row %s > %s%s", fields[1], fields[2], fields[3]);
    const double values[N(columns)] = {
        [4] = row->final,          [5] = row->beacon.score,    [6] = row->beacon.ts,
        [7] = row->beacon.ds,      [8] = row->beacon.dur,      [9] = row->beacon.hist,
        [10] = row->beacon_threat, [11] = row->long_score,     [12] = row->strobe,
        [13] = (double)row->n,     [14] = (double)row->n_open, [15] = (double)row->n_proxied,
        [16] = row->duration,      [17] = (double)row->bytes,  [18] = row->prevalence.n,
        [19] = row->prevalence.of, [20] = row->n_missing_host, [21] = row->n_mime_mismatches,
    };
    for (size_t i = 4; i <= 21; i++)
        if (fabs(values[i] - strtod(fields[i], NULL)) > 0.0005)
            fail_msg("%s%s %s: %f instead of %s", fields[2], fields[3], columns[i], values[i],
                     fields[i]);
    assert_string_equal(row->rare_signatures, fields[22]);
    assert_string_equal(row->ports, fields[23]);
}

struct below {
    struct {
        book_name domain;
        size_t n;
    } at[4096];
    size_t n;
    const struct book_table *table;
};

static void count_below(void *with, const void *key, const void *value)
{
    struct below *below = with;
    book_name domain = below->table == &rita_name_table
                           ? ((const struct rita_name_value *)value)->cut
                           : ((const struct rita_querier_key *)key)->domain;
    size_t i = 0;
    while (i < below->n && below->at[i].domain != domain)
        i++;
    assert_true(i < N(below->at));
    if (i == below->n) {
        below->at[below->n].n = 0;
        below->at[below->n++].domain = domain;
    }
    below->at[i].n++;
}

static size_t n_below(struct hunt_engine *engine, const struct book_table *table,
                      const char *domain)
{
    const struct hunt_judge *judge = hunt_engine_view(engine);
    static struct below below;
    below = (struct below){.table = table};
    books_each(&judge->books, table, 1, count_below, &below);
    book_name name = book_hash(judge->books.at[0], str_c(domain));
    for (size_t i = 0; i < below.n; i++)
        if (below.at[i].domain == name)
            return below.at[i].n;
    return 0;
}

static size_t check_golden(const char *set, const char *golden)
{
    char path[1024], table[1024], names[1024], file[200], line[4096];
    (void)snprintf(file, sizeof file, "golden/%s.tsv", golden);
    if (!is_there(path, sizeof path, set) || !is_there(table, sizeof table, file)) {
        print_message("skipped: CLOUDSPAN_CONFORMANCE has no ../data/rita/%s\n", set);
        skip();
    }
    struct hunt_settings settings;
    struct hunt_engine *engine = engine_of_folder(&settings, path);
    struct rita_options options;
    rita_options_code(&options);
    options.exact = true;
    struct rows rows = rows_of(engine, &options);
    FILE *in = fopen(table, "r");
    assert_non_null(in);
    size_t n = 0;
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strncmp(line, "type\t", 5) == 0 || strcmp(line, "none") == 0)
            continue;
        check_golden_row(&rows, line);
        n++;
    }
    fclose(in);
    assert_int_equal(rows.n, n);

    (void)snprintf(file, sizeof file, "golden/%s.dns.tsv", golden);
    assert_true(is_there(names, sizeof names, file));
    in = fopen(names, "r");
    assert_non_null(in);
    size_t n_domains = 0;
    while (fgets(line, sizeof line, in)) {
        char domain[256];
        unsigned long n_names, n_hosts;
        if (sscanf(line, "%lu %255s %lu", &n_names, domain, &n_hosts) != 3)
            continue;
        if (n_below(engine, &rita_name_table, domain) != n_names)
            fail_msg("%s: %zu instead of %lu", domain, n_below(engine, &rita_name_table, domain),
                     n_names);
        assert_int_equal(n_below(engine, &rita_querier_table, domain), n_hosts);
        n_domains++;
    }
    fclose(in);
    free(rows.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    return n_domains;
}

static void test_proxy(void **state)
{
    (void)state;
    assert_int_equal(check_golden("proxy", "proxy"), 44);
}

static void test_open_sni(void **state)
{
    (void)state;
    check_golden("open_sni", "open_sni");
}

static void test_open_conns(void **state)
{
    (void)state;
    assert_int_equal(check_golden("open_conns/open", "open_conns_open"), 3);
    assert_int_equal(check_golden("json_with_all_fields", "open_conns_open"), 3);
}

struct agents {
    struct hunt_host src;
    struct book_name_count {
        book_name agent;
        size_t n;
    } at[64];
    size_t n;
};

static void count_agent(void *with, const void *key_bytes, const void *value)
{
    (void)value;
    struct agents *agents = with;
    const struct rita_signature_key *key = key_bytes;
    size_t i = 0;
    if (key->kind != RITA_TO_NAME || memcmp(&key->src, &agents->src, sizeof key->src) != 0)
        return;
    while (i < agents->n && agents->at[i].agent != key->signature)
        i++;
    assert_true(i < N(agents->at));
    if (i == agents->n)
        agents->at[agents->n++] = (struct book_name_count){.agent = key->signature};
    agents->at[i].n++;
}

/* How many names one host asked with each of its user agents. */
static void check_agents(struct hunt_engine *engine)
{
    static const struct {
        const char *agent;
        size_t n;
    } rows[] = {
        {"Microsoft-CryptoAPI/10.0", 24},
        {"Microsoft-Delivery-Optimization/10.0", 4},
        {"Microsoft-WNS/10.0", 1},
        {"Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko", 145},
        {"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Trident/7.0; rv:11.0) like Gecko", 3},
        {"Windows-Update-Agent/10.0.10011.16384 Client-Protocol/1.70", 1},
    };
    static struct agents agents;
    agents = (struct agents){.src = bed_host("10.55.100.104")};
    struct books books = hunt_engine_books(engine);
    books_each(&books, &rita_signature_table, 1, count_agent, &agents);
    for (size_t i = 0; i < N(rows); i++) {
        book_name agent = bed_name(engine, rows[i].agent);
        size_t k = 0;
        while (k < agents.n && agents.at[k].agent != agent)
            k++;
        if (k == agents.n || agents.at[k].n != rows[i].n)
            fail_msg("%s: %zu instead of %zu", rows[i].agent, k < agents.n ? agents.at[k].n : 0,
                     rows[i].n);
    }
}

/* Responses whose type does not go with the URI, from http.log alone. */
static void test_mime_of_set(void **state)
{
    (void)state;
    char path[1024];
    if (!is_there(path, sizeof path, "valid_tsv")) {
        print_message("skipped: CLOUDSPAN_CONFORMANCE has no ../data/rita/valid_tsv\n");
        skip();
    }
    struct hunt_settings settings;
    struct hunt_engine *engine = engine_of_folder(&settings, path);
    static const struct {
        const char *src, *name;
        size_t least;
    } sets[] = {
        {"10.55.100.104", "a.scorecardresearch.com", 5},
        {"10.55.100.105", "static1.businessinsider.com", 36},
        {"10.55.100.106", "www.alexa.com", 63 + 53 + 67 + 61 + 44},
    };
    struct books books = hunt_engine_books(engine);
    for (size_t i = 0; i < N(sets); i++) {
        const struct rita_mime_key key = {.src = bed_host(sets[i].src),
                                          .name = bed_name(engine, sets[i].name)};
        struct book_event *events;
        size_t n;
        assert_true(
            books_events(&books, &rita_mime_table, &key, 0, INT64_MIN, INT64_MAX, &events, &n));
        free(events);
        if (n < sets[i].least)
            fail_msg("%s: %zu instead of %zu", sets[i].name, n, sets[i].least);
    }
    check_agents(engine);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

/* ---- by hand ---- */

static uint64_t next_uid;

static void take_conn(struct hunt_engine *engine, double s, const char *src, const char *dst,
                      const char *name, enum hunt_state conn_state)
{
    uint64_t uid = ++next_uid * 0x9e3779b97f4a7c15u;
    if (name)
        bed_take(engine, bed_ssl(s, uid, src, dst, name));
    struct hunt_record conn = bed_conn(s, uid, src, dst, 443, name ? "ssl" : "");
    conn.conn.state = conn_state;
    bed_take(engine, conn);
}

/* An address is used by name and without: RITA hides the second, we do not. */
static void test_hidden_by_name(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    for (int i = 0; i < 100; i++) {
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.1", "cdn.example.com", HUNT_SF);
        if (i % 2 == 0)
            take_conn(engine, 600 * i + 77, "10.0.0.1", "198.51.100.1", NULL, HUNT_SF);
        take_conn(engine, 600 * i + 5, "10.0.0.1", "198.51.100.2", "other.example.com", HUNT_SF);
    }
    struct rita_options options;
    rita_options_init(&options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_null(row_of(&exact, "10.0.0.1", "198.51.100.1"));
    assert_int_equal(row_of(&exact, "10.0.0.1", "cdn.example.com")->n, 100);
    assert_int_equal(exact.n, 2);
    options.exact = false;
    struct rows ours = rows_of(engine, &options);
    const struct rita_row *row = row_of(&ours, "10.0.0.1", "198.51.100.1");
    assert_non_null(row);
    assert_int_equal(row->n, 50);
    assert_int_equal(row->bytes, 50 * 2200);
    assert_true(fabs(row->duration - 50) < 1e-6);
    assert_true(fabs(row->beacon.ts - 1) < 1e-6);
    assert_null(row_of(&ours, "10.0.0.1", "198.51.100.2")); /* all of it has a name */
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

/* Attempts between the check-ins: they are counted, and no check-ins. */
static void test_failed(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    for (int i = 0; i < 140; i++) {
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.1", NULL, HUNT_SF);
        for (int k = 1; k < 1 + i % 5; k++)
            take_conn(engine, 600 * i + 3 * k * k, "10.0.0.1", "198.51.100.1", NULL, HUNT_S0);
        take_conn(engine, 600 * i, "10.0.0.1", "198.51.100.9", NULL, HUNT_S0);
    }
    struct rita_options options;
    rita_options_init(&options);
    struct rows ours = rows_of(engine, &options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_true(row_of(&ours, "10.0.0.1", "198.51.100.1")->beacon.ts > 0.999);
    assert_true(row_of(&exact, "10.0.0.1", "198.51.100.1")->beacon.ts < 0.9);
    assert_int_equal(row_of(&ours, "10.0.0.1", "198.51.100.1")->n, 420);
    /* All of them failed: a timer, anyway. */
    assert_true(row_of(&ours, "10.0.0.1", "198.51.100.9")->beacon.ts > 0.999);
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

static void write_feed(char *path, const char *text)
{
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(close(file), 0);
}

/* A single connection to what is on a feed: no row in RITA, one in ours. Sub-domains, and names
 * with a port, are found by ours alone. */
static void test_intel(void **state)
{
    (void)state;
    char path[] = "/tmp/rita_test.XXXXXX";
    write_feed(path, "198.51.100.7\nbad.example.com\n");
    struct hunt_settings settings;
    hunt_settings_init(&settings);
    settings.memory = (uint64_t)64 << 20;
    settings.feeds = calloc(1, sizeof *settings.feeds);
    assert_non_null(settings.feeds);
    settings.feeds[0] = strdup(path);
    settings.n_feeds = 1;
    struct hunt_engine *engine;
    struct err err;
    assert_int_equal(hunt_engine_new(&settings, 7, &engine, &err), 0);
    take_conn(engine, 10, "10.0.0.1", "198.51.100.7", NULL, HUNT_SF);
    for (int i = 0; i < 5; i++) {
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "bad.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "a.bad.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.1", "198.51.100.1", "good.example.com", HUNT_SF);
        take_conn(engine, 100 * i, "10.0.0.2", "198.51.100.1", NULL, HUNT_SF);
    }
    struct rita_options options;
    rita_options_init(&options);
    struct rows ours = rows_of(engine, &options);
    options.exact = true;
    struct rows exact = rows_of(engine, &options);
    assert_null(row_of(&exact, "10.0.0.1", "198.51.100.7"));
    const struct rita_row *row = row_of(&ours, "10.0.0.1", "198.51.100.7");
    assert_non_null(row);
    assert_true(row->intel && row->n == 1);
    assert_true(row_of(&exact, "10.0.0.1", "bad.example.com")->intel);
    assert_false(row_of(&exact, "10.0.0.1", "a.bad.example.com")->intel);
    assert_true(row_of(&ours, "10.0.0.1", "a.bad.example.com")->intel);
    assert_false(row_of(&ours, "10.0.0.1", "good.example.com")->intel);
    assert_false(row_of(&ours, "10.0.0.2", "198.51.100.1")->intel);
    /* 0.8 of the hit, and a host out of two knows the name. */
    assert_true(fabs(row_of(&exact, "10.0.0.1", "bad.example.com")->final - 0.65) < 1e-9);
    assert_int_equal(row_of(&exact, "10.0.0.1", "bad.example.com")->severity, HUNT_HIGH);
    free(exact.at);
    free(ours.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
    assert_int_equal(unlink(path), 0);
}

/* The domain under which RITA counts. */
static void test_cut(void **state)
{
    (void)state;
    static const struct {
        const char *name, *cut;
    } rows[] = {
        {"www.example.com", "example.com"},
        {"example.com", "example.com"},
        {"com", "com"},
        {"a.b.example.co.uk", "example.co.uk"},
        {"www.example.com.tr", "example.com.tr"},
        {"example.co.uk", "example.co.uk"},
        {"co.uk", "co.uk"},
        /* Suffixes of companies are none to it. */
        {"x.d1.cloudfront.net", "cloudfront.net"},
        {"a.b.s3.amazonaws.com", "amazonaws.com"},
        {"a.b.wpad.home", "wpad.home"},
        {"", ""},
        {"...", "."},
    };
    for (size_t i = 0; i < N(rows); i++) {
        struct str part = rita_cut(str_c(rows[i].name));
        if (!str_eq(part, str_c(rows[i].cut)))
            fail_msg("%s: %.*s", rows[i].name, (int)part.len, part.at);
    }
}

/* Bytes from the wire break no line and no field. */
static void test_csv(void **state)
{
    (void)state;
    struct rita_row rows[3] = {
        {.type = RITA_SNI,
         .src = bed_host("10.0.0.1"),
         .name = "a,b\"c\nd",
         .severity = HUNT_CRITICAL,
         .beacon = {.score = .98},
         .duration = 14737.06115,
         .long_score = .40468140486111115,
         .n = 357,
         .bytes = UINT64_MAX,
         .prevalence = {2, 3},
         .first_seen = BED_T0 - 3 * DAY_S,
         .exact = true,
         .ports = "3128:tcp:http,ssl",
         .modifiers = "rare_signature:x\"y"},
        {.type = RITA_DNS, .name = "=1+1", .subdomains = 1300, .dns_score = .8, .intel = true},
        {.type = RITA_IP,
         .src = bed_host("fd00::1"),
         .dst = bed_host("198.51.100.1"),
         .has_dst = true,
         .severity = HUNT_LOW,
         .strobe = true,
         .n_missing_host = 2,
         .first_seen = BED_T0,
         .prevalence = {1, 15}},
    };
    const struct hunt_judge judge = {.newest = BED_T0 * 1000 + 500};
    struct text out;
    text_init(&out, 1 << 20);
    rita_csv(&out, &judge, rows, 3);
    assert_false(out.failed);
    assert_string_equal(
        out.at,
        "Severity,Source IP,Destination IP,FQDN,Beacon Score,Strobe,Total Duration,Long Connection "
        "Score,Subdomains,C2 Over DNS Score,Threat Intel,Prevalence,First Seen,Missing Host "
        "Header,Connection Count,Total Bytes,Port:Proto:Service,Modifiers\n"
        "Critical,10.0.0.1,::,\"a,b\"\"c\\x0ad\",0.98,false,14737.06115,0.4046814049,0,0,false,"
        "0.6666666667,3 days ago,false,357,18446744073709551615,\"3128:tcp:http,ssl\","
        "\"rare_signature:x\"\"y\"\n"
        "None,::,::,'=1+1,0,false,0,0,1300,0.8,true,0,,false,0,0,\"\",\"\"\n"
        "Low,fd00::1,198.51.100.1,,0,true,0,0,0,0,false,0.06666666667,2022-01-08T00:00:00Z,true,0,"
        "0,\"\",\"\"\n");
    text_done(&out);
}

static void test_nothing(void **state)
{
    (void)state;
    struct hunt_settings settings;
    struct hunt_engine *engine = bed_engine(&settings);
    struct rita_options options;
    rita_options_init(&options);
    struct rows rows = rows_of(engine, &options);
    assert_int_equal(rows.n, 0);
    free(rows.at);
    /* Only between ours, only to nobody, and only DNS. */
    for (int i = 0; i < 50; i++) {
        take_conn(engine, 60 * i, "10.0.0.1", "10.0.0.2", NULL, HUNT_SF);
        take_conn(engine, 60 * i, "10.0.0.1", "224.0.0.251", NULL, HUNT_SF);
        take_conn(engine, 60 * i, "198.51.100.1", "10.0.0.1", NULL, HUNT_SF);
        bed_take(engine, bed_dns(60 * i, "10.0.0.1", "10.0.0.53", "a.example.com", "198.51.100.1"));
    }
    rows = rows_of(engine, &options);
    assert_int_equal(rows.n, 0);
    free(rows.at);
    hunt_engine_free(engine);
    hunt_settings_done(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_open_sni),
        cmocka_unit_test(test_open_conns),
        cmocka_unit_test(test_mime_of_set),
        cmocka_unit_test(test_hidden_by_name),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_intel),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
