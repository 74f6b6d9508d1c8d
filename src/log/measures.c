/* stats.log and capture_loss.log: see measures.h. */
#include "log/measures.h"

static const struct log_column stats_columns[] = {
    {"ts", LOG_TIME},
    {"peer", LOG_STRING},
    {"mem", LOG_COUNT},
    {"pkts_proc", LOG_COUNT},
    {"bytes_recv", LOG_COUNT},
    {"pkts_dropped", LOG_COUNT},
    {"pkts_link", LOG_COUNT},
    {"pkt_lag", LOG_INTERVAL},
    {"pkts_filtered", LOG_COUNT},
    {"events_proc", LOG_COUNT},
    {"events_queued", LOG_COUNT},
    {"active_tcp_conns", LOG_COUNT},
    {"active_udp_conns", LOG_COUNT},
    {"active_icmp_conns", LOG_COUNT},
    {"tcp_conns", LOG_COUNT},
    {"udp_conns", LOG_COUNT},
    {"icmp_conns", LOG_COUNT},
    {"timers", LOG_COUNT},
    {"active_timers", LOG_COUNT},
    {"files", LOG_COUNT},
    {"active_files", LOG_COUNT},
    {"dns_requests", LOG_COUNT},
    {"active_dns_requests", LOG_COUNT},
    {"reassem_tcp_size", LOG_COUNT},
    {"reassem_file_size", LOG_COUNT},
    {"reassem_frag_size", LOG_COUNT},
    {"reassem_unknown_size", LOG_COUNT},
};

const struct log_schema stats_schema = {.name = "stats", LOG_COLUMNS(stats_columns)};

static const struct log_column loss_columns[] = {
    {"ts", LOG_TIME},    {"ts_delta", LOG_INTERVAL}, {"peer", LOG_STRING},
    {"gaps", LOG_COUNT}, {"acks", LOG_COUNT},        {"percent_lost", LOG_DOUBLE},
};

const struct log_schema capture_loss_schema = {.name = "capture_loss", LOG_COLUMNS(loss_columns)};

void stats_write(struct log_writer *writer, const struct stats_row *row)
{
    struct rec *rec = log_begin(writer, &stats_schema);
    rec_time(rec, row->ts);
    rec_str(rec, str_c(row->peer));
    rec_count(rec, row->memory);
    rec_count(rec, row->n_packets);
    rec_count(rec, row->n_bytes);
    if (row->live) {
        rec_count(rec, row->n_dropped);
        rec_count(rec, row->n_seen);
        rec_interval(rec, row->lag);
    } else {
        for (int i = 0; i < 3; i++)
            rec_unset(rec);
    }
    if (row->live && row->has_filtered)
        rec_count(rec, row->n_filtered);
    else
        rec_unset(rec);
    const uint64_t counts[] = {
        row->n_events,   row->n_events_queued, row->n_tcp_now,   row->n_udp_now, row->n_icmp_now,
        row->n_tcp,      row->n_udp,           row->n_icmp,      row->n_timers,  row->n_timers_now,
        row->n_files,    row->n_files_now,     row->n_dns,       row->n_dns_now, row->tcp_bytes,
        row->file_bytes, row->fragment_bytes,  row->other_bytes,
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        rec_count(rec, counts[i]);
    log_end(rec);
}

void capture_loss_write(struct log_writer *writer, const struct capture_loss_row *row)
{
    struct rec *rec = log_begin(writer, &capture_loss_schema);
    rec_time(rec, row->ts);
    rec_interval(rec, row->ts_delta);
    rec_str(rec, str_c(row->peer));
    rec_count(rec, row->n_gaps);
    rec_count(rec, row->n_acks);
    double share = row->n_acks ? 100.0 * (double)row->n_gaps / (double)row->n_acks : 0.0;
    rec_double(rec, share);
    log_end(rec);
}
