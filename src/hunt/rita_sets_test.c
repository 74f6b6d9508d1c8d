/* RITA's rows of data sets with known values.
 *
 * CLOUDSPAN_CONFORMANCE names a folder beside which data/rita lies; without it all is skipped. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hunt/read.h"
#include "hunt/rita_bed.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_open_sni),
        cmocka_unit_test(test_open_conns),
        cmocka_unit_test(test_mime_of_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
