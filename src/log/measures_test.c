/* stats.log and capture_loss.log, to the letter; and the names that all logs have. */
#include "flow/conn_log.h"
#include "flow/notice.h"
#include "flow/weird.h"
#include "log/measures.h"
#include "log/period.h"
#include "log/record_bed.h"
#include "proto/analyzer.h"
#include "proto/file.h"
#include "proto/x509.h"
#include "sensor/tunnels.h"

static const struct stats_row row = {
    .ts = 1700000000000001000,
    .peer = "span1",
    .memory = 86,
    .n_packets = 29,
    .n_bytes = 6028,
    .n_dropped = 3,
    .n_seen = 32,
    .lag = 1500000,
    .n_filtered = 4,
    .n_events = 5,
    .n_events_queued = 6,
    .n_tcp_now = 7,
    .n_udp_now = 8,
    .n_icmp_now = 9,
    .n_tcp = 10,
    .n_udp = 11,
    .n_icmp = 12,
    .n_timers = 13,
    .n_timers_now = 14,
    .n_files = 15,
    .n_files_now = 16,
    .n_dns = 17,
    .n_dns_now = 18,
    .tcp_bytes = 19,
    .file_bytes = 20,
    .fragment_bytes = 21,
    .other_bytes = 22,
};

static void test_stats(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    struct stats_row live = row;
    stats_write(b.writer, &live);
    live.live = true;
    stats_write(b.writer, &live);
    live.has_filtered = true;
    stats_write(b.writer, &live);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "stats");
    assert_non_null(strstr(
        text,
        "#fields\tts\tpeer\tmem\tpkts_proc\tbytes_recv\tpkts_dropped\tpkts_link\tpkt_lag\t"
        "pkts_filtered\tevents_proc\tevents_queued\tactive_tcp_conns\tactive_udp_conns\t"
        "active_icmp_conns\ttcp_conns\tudp_conns\ticmp_conns\ttimers\tactive_timers\tfiles\t"
        "active_files\tdns_requests\tactive_dns_requests\treassem_tcp_size\treassem_file_size\t"
        "reassem_frag_size\treassem_unknown_size\n"
        "#types\ttime\tstring\tcount\tcount\tcount\tcount\tcount\tinterval\tcount\tcount\tcount\t"
        "count\tcount\tcount\tcount\tcount\tcount\tcount\tcount\tcount\tcount\tcount\tcount\t"
        "count\tcount\tcount\tcount\n"
        "1700000000.000001\tspan1\t86\t29\t6028\t-\t-\t-\t-\t5\t6\t7\t8\t9\t10\t11\t12\t13\t14\t"
        "15\t16\t17\t18\t19\t20\t21\t22\n"
        "1700000000.000001\tspan1\t86\t29\t6028\t3\t32\t0.001500\t-\t5\t6\t7\t8\t9\t10\t11\t12\t"
        "13\t14\t15\t16\t17\t18\t19\t20\t21\t22\n"
        "1700000000.000001\tspan1\t86\t29\t6028\t3\t32\t0.001500\t4\t5\t6\t7\t8\t9\t10\t11\t12\t"
        "13\t14\t15\t16\t17\t18\t19\t20\t21\t22\n#close"));
    free(text);
    log_bed_remove(&b);
}

static void test_capture_loss(void **state)
{
    (void)state;
    struct log_bed b;
    log_bed_open(&b, LOG_FORMAT_TSV, NULL, 0);
    struct capture_loss_row loss = {
        .ts = 1672943168964892000, .ts_delta = 931212987000, .peer = "zeek", .n_acks = 16};
    capture_loss_write(b.writer, &loss);
    loss.n_gaps = 4;
    capture_loss_write(b.writer, &loss);
    loss.n_acks = 14211;
    capture_loss_write(b.writer, &loss);
    loss.n_acks = loss.n_gaps = 0;
    capture_loss_write(b.writer, &loss);
    log_bed_close(&b);
    char *text = log_bed_take(&b, "capture_loss");
    assert_non_null(strstr(text, "#fields\tts\tts_delta\tpeer\tgaps\tacks\tpercent_lost\n"
                                 "#types\ttime\tinterval\tstring\tcount\tcount\tdouble\n"
                                 "1672943168.964892\t931.212987\tzeek\t0\t16\t0.0\n"
                                 "1672943168.964892\t931.212987\tzeek\t4\t16\t25.0\n"
                                 "1672943168.964892\t931.212987\tzeek\t4\t14211\t0.028147\n"
                                 "1672943168.964892\t931.212987\tzeek\t0\t0\t0.0\n#close"));
    free(text);
    log_bed_remove(&b);
}

/* ---- names ---- */

static void check_name(const struct log_schema *schema)
{
    assert_true(log_name_fits(schema->name, strlen(schema->name)));
    if (log_name_misleads(schema->name))
        fail_msg("%s.log: importers would read it as another log", schema->name);
}

static void test_no_name_misleads_importers(void **state)
{
    (void)state;
    unsigned n = 0;
    for (size_t i = 0; analyzers[i]; i++)
        for (size_t k = 0; k < 6 && analyzers[i]->logs[k]; k++, n++)
            check_name(analyzers[i]->logs[k]);
    assert_true(n >= 4);
    static const struct log_schema *const others[] = {
        &conn_schema, &open_conn_schema, &weird_schema, &notice_schema,       &tunnel_schema,
        &file_log,    &x509_log,         &stats_schema, &capture_loss_schema,
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        check_name(others[i]);
}

static void test_misleading_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"connstats", "conn_summary", "dnshunt",    "httpx",
                                      "ssl_keys",  "open_dns",     "open_conns", "open_sslx"};
    static const char *const good[] = {
        "conn",  "dns",   "http", "ssl",    "open_conn", "open_ssl", "open_http",   "known_certs",
        "files", "weird", "x509", "tunnel", "stats",     "open",     "capture_loss"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(log_name_misleads(bad[i]));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_false(log_name_misleads(good[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_capture_loss),
        cmocka_unit_test(test_no_name_misleads_importers),
        cmocka_unit_test(test_misleading_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
