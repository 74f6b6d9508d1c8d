/* conn.log as Zeek 8.0 writes it: columns, states, sizes. */
#include "flow/conn_log.h"

#include "flow/more.h"

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,       {"proto", LOG_ENUM},
    {"service", LOG_STRING},      {"duration", LOG_INTERVAL},
    {"orig_bytes", LOG_COUNT},    {"resp_bytes", LOG_COUNT},
    {"conn_state", LOG_STRING},   {"local_orig", LOG_BOOL},
    {"local_resp", LOG_BOOL},     {"missed_bytes", LOG_COUNT},
    {"history", LOG_STRING},      {"orig_pkts", LOG_COUNT},
    {"orig_ip_bytes", LOG_COUNT}, {"resp_pkts", LOG_COUNT},
    {"resp_ip_bytes", LOG_COUNT}, {"tunnel_parents", LOG_SET_STRING},
    {"ip_proto", LOG_COUNT},
};

const struct log_schema conn_schema = {.name = "conn", LOG_COLUMNS(columns), .of_connection = true};
const struct log_schema open_conn_schema = {
    .name = "open_conn", LOG_COLUMNS(columns), .of_connection = true};

static uint64_t full_seq(uint32_t seq, uint16_t wraps)
{
    return (uint64_t)wraps << 32 | seq;
}

static bool nothing_acked(const struct tcp_end *end)
{
    uint32_t acked = end->ack_seq - end->start_seq;
    return acked == 0 || acked == 1;
}

static uint64_t tcp_bytes(const struct tcp_end *end, const struct tcp_end *peer)
{
    /* A half-open connection that was found and aborted: its numbers say nothing. */
    if (end->prev_state == TCP_SYN_SENT && end->state == TCP_RESET && peer->state == TCP_INACTIVE &&
        !nothing_acked(end))
        return 0;
    uint64_t last = full_seq(end->last_seq, end->seq_wraps);
    uint64_t acked = full_seq(end->ack_seq, end->ack_wraps);
    uint64_t size = (last > acked ? last : acked) - end->start_seq;
    if (size != 0) /* the SYN, seen or not, takes one number */
        size--;
    if (end->fin_seen && size != 0)
        size--;
    return size;
}

uint64_t conn_payload_bytes(const struct flow *f, int dir)
{
    if (f->proto == FLOW_TCP)
        return tcp_bytes(&f->tcp[dir], &f->tcp[!dir]);
    return f->payload_bytes[dir];
}

uint64_t flow_size(const struct flow *f)
{
    return conn_payload_bytes(f, FLOW_ORIG) + conn_payload_bytes(f, FLOW_RESP);
}

/* A SYN, nothing else of weight from the originator, then its RST. */
static bool aborted_attempt(struct str history)
{
    if (history.len && history.at[0] == '^')
        history = str_from(history, 1);
    if (!history.len || history.at[0] != 'S')
        return false;
    for (uint32_t i = 1; i < history.len; i++) {
        if (history.at[i] == 'R')
            return true;
        if (memchr("HAFGIQ", history.at[i], 6))
            return false;
    }
    return false;
}

static const char *tcp_conn_state(const struct flow *f)
{
    uint8_t o = f->tcp[FLOW_ORIG].state, r = f->tcp[FLOW_RESP].state;
    bool o_silent = o == TCP_INACTIVE || o == TCP_PARTIAL;
    bool r_silent = r == TCP_INACTIVE || r == TCP_PARTIAL;
    if (r == TCP_RESET) {
        if (o == TCP_SYN_SENT || o == TCP_SYN_ACK_SENT || (o == TCP_RESET && flow_size(f) == 0))
            return "REJ";
        return o_silent ? "RSTRH" : "RSTR";
    }
    if (o == TCP_RESET)
        return !r_silent ? "RSTO" : aborted_attempt(flow_history(f)) ? "RSTOS0" : "OTH";
    if (o == TCP_CLOSED && r == TCP_CLOSED)
        return "SF";
    if (o == TCP_CLOSED)
        return r_silent ? "SH" : "S2";
    if (r == TCP_CLOSED)
        return o_silent ? "SHR" : "S3";
    if (o == TCP_SYN_SENT && r == TCP_INACTIVE)
        return "S0";
    if (o == TCP_ESTABLISHED && r == TCP_ESTABLISHED)
        return "S1";
    return "OTH";
}

const char *conn_state(const struct flow *f)
{
    if (f->proto == FLOW_TCP)
        return tcp_conn_state(f);
    if (f->proto != FLOW_UDP)
        return "OTH";
    bool o = f->n_packets[FLOW_ORIG] > 0, r = f->n_packets[FLOW_RESP] > 0;
    return o ? (r ? "SF" : "S0") : r ? "SHR" : "OTH";
}

static void put_services(struct rec *rec, const struct flow_more *more)
{
    if (!more || more->n_services == 0) {
        rec_unset(rec);
        return;
    }
    char text[FLOW_MAX_SERVICES * 24];
    uint32_t at = 0;
    for (unsigned i = 0; i < more->n_services; i++) {
        size_t len = strlen(more->services[i]);
        if (at + len + 1 > sizeof text)
            break;
        if (i > 0)
            text[at++] = ',';
        memcpy(text + at, more->services[i], len);
        at += (uint32_t)len;
    }
    rec_str(rec, str_make(text, at));
}

static void put_parents(struct rec *rec, const struct flow_more *more)
{
    if (!more || more->n_parents == 0) {
        rec_unset(rec);
        return;
    }
    rec_set_begin(rec);
    for (unsigned i = 0; i < more->n_parents; i++)
        rec_item_str(rec, str_make(more->parents[i].text, FLOW_UID_LEN));
    rec_set_end(rec);
}

static void put_row(struct flow_context *context, const struct flow *f,
                    const struct log_schema *schema)
{
    struct rec *rec = flow_log_begin(context, f, schema, f->first);
    rec_text(rec, flow_proto_name(f));
    put_services(rec, more_of(f));
    int64_t duration = f->last - f->first;
    if (duration > 0) {
        rec_interval(rec, duration);
        rec_count(rec, conn_payload_bytes(f, FLOW_ORIG));
        rec_count(rec, conn_payload_bytes(f, FLOW_RESP));
    } else {
        rec_unset(rec);
        rec_unset(rec);
        rec_unset(rec);
    }
    rec_text(rec, conn_state(f));
    rec_bool(rec, addr_is_local(flow_addr(f, FLOW_ORIG)));
    rec_bool(rec, addr_is_local(flow_addr(f, FLOW_RESP)));
    rec_count(rec, more_of(f) ? more_of(f)->missed_bytes : 0);
    struct str history = flow_history(f);
    if (history.len)
        rec_str(rec, history);
    else
        rec_unset(rec);
    for (int dir = 0; dir < 2; dir++) {
        rec_count(rec, flow_n_packets(f, dir));
        rec_count(rec, f->ip_bytes[dir]);
    }
    put_parents(rec, more_of(f));
    rec_count(rec, f->ip_proto);
    flow_log_end(context, f, rec);
}

void conn_log(struct flow_context *context, const struct flow *f)
{
    put_row(context, f, &conn_schema);
}

void conn_log_open(struct flow_context *context, const struct flow *f)
{
    put_row(context, f, &open_conn_schema);
}
