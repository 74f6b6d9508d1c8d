/* DNS (RFC 1035), mDNS, LLMNR and NetBIOS' name service: queries and replies, paired into dns.log.
 *
 *      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *     |                      ID                       |
 *     |QR|   Opcode  |AA|TC|RD|RA|   Z    |   RCODE   |
 *     |         questions: QDCOUNT                    |
 *     |         answers: ANCOUNT                      |
 *     |         authority: NSCOUNT                    |
 *     |         additional: ARCOUNT                   |
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *
 * A message is read whole before anything is kept of it. Over TCP each is behind its size in two
 * bytes. The authority and additional sections are not read, as in Zeek. A query waits for a reply
 * with its id, a reply without a query for the query; what waits is kept in dns_pending.h, is
 * limited to KEPT_MAX bytes, and is logged when the connection ends. */
#include "flow/more.h"
#include "proto/analyzer.h"
#include "proto/dns_answers.h"
#include "proto/dns_log.h"
#include "proto/dns_message.h"
#include "proto/dns_name.h"
#include "proto/dns_pending.h"
#include "proto/dns_record.h"

#include <stdio.h>

#define HEADER_SIZE   12
#define MAX_QUESTIONS 25 /* dns_max_queries */
#define PORT_NETBIOS  137
#define MESSAGE_MAX   65535u
#define KEPT_MAX      (1u << 20)

/* Whose message it is. */
enum sender { SENDER_RESPONDER, SENDER_ORIGINATOR, SENDER_UNKNOWN };

struct dns_state {
    struct dns_row *pending;    /* a query that waits: mostly the only one, so it has no queue */
    struct dns_row *current;    /* row of the last message: one that waits, or NULL */
    struct dns_pending queries; /* the others */
    struct dns_pending replies;
    struct buf stream[2]; /* TCP: a message that is not complete, behind its size */
    uint32_t n_kept;      /* bytes of rows that wait */
    bool closed[2];       /* TCP: no more from there */
    bool had_message;
    bool noted_unknown; /* in the history */
};

void dns_weird_number(struct dns_message *m, const char *name, unsigned number)
{
    char text[12];
    int len = snprintf(text, sizeof text, "%u", number);
    if (!m->quiet)
        analysis_weird(m->a, name, str_make(text, (size_t)len));
}

static void row_log_and_free(struct analysis *a, struct dns_row *row)
{
    struct dns_state *s = a->state;
    dns_log_row(a, row);
    if (s->current == row)
        s->current = NULL;
    s->n_kept -= row->size;
    dns_row_free(analysis_pool(a), row);
}

static void log_waiting(struct analysis *a, struct dns_pending *pending)
{
    struct dns_row *row;
    while ((row = dns_pending_take_any(pending)))
        row_log_and_free(a, row);
}

static void log_waiting_with_id(struct analysis *a, struct dns_pending *pending, uint16_t id)
{
    struct dns_row *row;
    while ((row = dns_pending_take(pending, id)))
        row_log_and_free(a, row);
}

static void log_all_waiting(struct analysis *a)
{
    struct dns_state *s = a->state;
    struct dns_row *pending = s->pending;
    s->pending = NULL;
    if (pending)
        row_log_and_free(a, pending);
    log_waiting(a, &s->queries);
    log_waiting(a, &s->replies);
}

/* The query that a reply with this id answers, or NULL. */
static struct dns_row *take_query(struct dns_state *s, uint16_t id)
{
    struct dns_row *row = s->pending;
    if (!row || row->id != id)
        return dns_pending_take(&s->queries, id);
    /* One with the same id must come before queries that are still to come. */
    s->pending = dns_pending_take(&s->queries, id);
    if (!s->pending)
        s->pending = dns_pending_take_any(&s->queries);
    return row;
}

/* Keeps a row that waits; `row` and its texts are borrowed. */
static void keep(struct analysis *a, const struct dns_row *row, bool is_reply)
{
    struct dns_state *s = a->state;
    s->current = NULL;
    if (s->n_kept > KEPT_MAX)
        log_all_waiting(a);
    struct dns_row *kept = dns_row_keep(analysis_pool(a), row);
    if (!kept) {
        dns_log_row(a, row); /* no memory to wait */
        return;
    }
    if (!is_reply && !s->pending) {
        s->pending = kept;
    } else {
        struct dns_pending *waiting = is_reply ? &s->replies : &s->queries;
        enum dns_pending_room room = dns_pending_room(waiting, row->id);
        if (room == DNS_TOO_MANY_ROWS)
            log_waiting_with_id(a, waiting, row->id);
        else if (room == DNS_TOO_MANY_IDS)
            log_waiting(a, waiting);
        if (!dns_pending_add(waiting, analysis_pool(a), kept)) {
            dns_row_free(analysis_pool(a), kept);
            dns_log_row(a, row);
            return;
        }
    }
    s->n_kept += kept->size;
    s->current = kept;
}

static void fill_from_query(struct dns_message *m, struct dns_row *row)
{
    if (m->has_question) {
        row->has_question = true;
        row->rd = m->flags & DNS_FLAG_RD;
        row->tc = m->flags & DNS_FLAG_TC;
        row->z = m->flags >> 4 & 7;
        row->qtype = m->qtype;
        row->qclass = m->qclass;
        row->netbios = m->netbios_responder && m->a->flow->proto == FLOW_UDP;
        if (row->netbios)
            dns_name_decode_netbios(&m->question);
        row->query = dns_name_str(&m->question);
    }
    row->saw_query = true;
}

/* A reply that repeats the question and has no records at all was turned down. */
static bool is_rejection(const struct dns_message *m)
{
    return m->has_question && m->n_answers == 0 && m->n_authority == 0 && m->n_additional == 0;
}

static void fill_from_reply(const struct dns_message *m, struct dns_row *row)
{
    row->has_reply = true;
    row->rcode = m->flags & 0xf;
    if ((row->rcode != 0 && m->n_questions == 0) || is_rejection(m))
        row->rejected = true;
    if (m->has_answer) {
        if (!str_set(row->query))
            row->query = dns_name_str(&m->answered);
        row->aa = m->flags & DNS_FLAG_AA;
        row->ra = m->flags & DNS_FLAG_RA;
        row->rtt = analysis_now(m->a) - row->ts;
        row->answers = dns_answers_packed(&m->answers);
    }
    row->saw_reply = true;
}

/* Messages of other kinds than queries are not logged, but they touch the row before them. */
static void apply_other(struct dns_message *m)
{
    struct dns_state *s = m->a->state;
    struct dns_row *row = s->current;
    if (!row)
        return;
    bool is_reply = m->flags & DNS_FLAG_QR;
    if (is_reply && is_rejection(m))
        row->rejected = true;
    if (is_reply)
        row->saw_reply = true;
    else
        row->saw_query = true;
    if (row->saw_query && row->saw_reply) {
        dns_log_row(m->a, row);
        s->current = NULL;
    }
}

static void apply(struct dns_message *m)
{
    struct dns_state *s = m->a->state;
    if (dns_opcode(m) != 0) {
        apply_other(m);
        return;
    }
    bool is_reply = m->flags & DNS_FLAG_QR;
    struct dns_row *waited = is_reply ? take_query(s, m->id) : dns_pending_take(&s->replies, m->id);
    struct dns_row fresh = {.ts = analysis_now(m->a), .id = m->id};
    struct dns_row *row = waited ? waited : &fresh;
    if (is_reply)
        fill_from_reply(m, row);
    else
        fill_from_query(m, row);
    if (!waited) {
        keep(m->a, row, is_reply);
        return;
    }
    row_log_and_free(m->a, row);
    s->current = NULL;
}

static bool read_question(struct dns_message *m)
{
    bool is_query = !(m->flags & DNS_FLAG_QR);
    dns_name_read(m, is_query ? DNS_NAME_LOWER : DNS_NAME_SKIP, &m->question);
    if (rd_left(&m->rest) < 4) {
        dns_weird(m, "DNS_truncated_quest_too_short");
        return false;
    }
    m->qtype = rd_be16(&m->rest);
    m->qclass = rd_be16(&m->rest);
    m->has_question = true;
    return true;
}

/* True when the questions and answers could be read. */
static bool read_sections(struct dns_message *m)
{
    if (m->n_questions > MAX_QUESTIONS) {
        m->violation = "DNS_Conn_count_too_large";
        dns_weird(m, m->violation);
        return false;
    }
    for (unsigned n = m->n_questions; n > 0; n--)
        if (!read_question(m))
            return false;
    for (unsigned n = m->n_answers; n > 0; n--)
        if (!dns_record_read(m))
            return false;
    return true;
}

static bool is_multicast(const struct addr *address)
{
    return addr_is_v4(address) ? address->b[12] >> 4 == 14 : address->b[0] == 0xff;
}

/* A connection that begins with a reply is seen from its end. */
static void check_direction(struct dns_message *m, enum sender sender)
{
    struct dns_state *s = m->a->state;
    bool is_first = !s->had_message;
    s->had_message = true;
    if (!is_first || !(m->flags & DNS_FLAG_QR) || sender != SENDER_ORIGINATOR ||
        is_multicast(flow_addr(m->a->flow, FLOW_RESP)))
        return;
    flow_flip(m->a->context, m->a->flow);
    struct buf stream = s->stream[0];
    s->stream[0] = s->stream[1];
    s->stream[1] = stream;
    bool closed = s->closed[0];
    s->closed[0] = s->closed[1];
    s->closed[1] = closed;
}

static void read_header(struct dns_message *m)
{
    m->id = rd_be16(&m->rest);
    m->flags = rd_be16(&m->rest);
    m->n_questions = rd_be16(&m->rest);
    m->n_answers = rd_be16(&m->rest);
    m->n_authority = rd_be16(&m->rest);
    m->n_additional = rd_be16(&m->rest);
}

static bool is_netbios(const struct flow *flow)
{
    return flow->port[0] == PORT_NETBIOS || flow->port[1] == PORT_NETBIOS;
}

static void note_unknown_opcode(struct dns_message *m)
{
    struct dns_state *s = m->a->state;
    dns_weird_number(m, "DNS_unknown_opcode", dns_opcode(m));
    if (!s->noted_unknown)
        flow_history_add(m->a->context, m->a->flow, FLOW_ORIG, 'X');
    s->noted_unknown = true;
}

/* False: the analyzer was taken off the connection. */
static bool look_at_message(struct analysis *a, struct reader message, enum sender sender)
{
    struct dns_message m;
    m.a = a;
    m.all = m.rest = message;
    m.quiet = false;
    if (rd_left(&message) < HEADER_SIZE) {
        dns_weird(&m, "DNS_truncated_len_lt_hdr_len");
        return true;
    }
    read_header(&m);
    if (dns_opcode(&m) != 0 && !is_netbios(a->flow)) {
        note_unknown_opcode(&m);
        return true;
    }
    check_direction(&m, sender);
    m.netbios_responder = flow_port(a->flow, FLOW_RESP) == PORT_NETBIOS;
    m.is_answer = (m.flags & DNS_FLAG_QR) && dns_opcode(&m) == 0;
    m.has_question = m.has_answer = false;
    m.violation = NULL;
    dns_answers_init(&m.answers, analysis_pool(a));
    bool whole = read_sections(&m);
    apply(&m);
    dns_answers_done(&m.answers);
    if (whole)
        analysis_confirm(a);
    return !m.violation || !analysis_violation(a, m.violation);
}

static struct reader held(const struct buf *buf)
{
    return buf_size(buf) > 0 ? rd_make(buf_at(buf), buf_size(buf)) : rd_make("", 0);
}

/* Adds what belongs to it to the message that is being put together. True: it is complete. A
 * message of no bytes is only complete when something follows it, as in Zeek. */
static bool stream_take(struct analysis *a, struct buf *buf, struct reader *r)
{
    struct reader have = held(buf);
    size_t wanted = rd_left(&have) < 2 ? 2 : 2u + rd_peek_be16(&have, 0);
    size_t missing = wanted - rd_left(&have);
    if (missing == 0)
        return true;
    size_t size = missing < rd_left(r) ? missing : rd_left(r);
    if (!buf_add(buf, analysis_pool(a), rd_bytes(r, size), size, MESSAGE_MAX + 2)) {
        analysis_finish(a); /* no memory: where the next message begins is not known any more */
        rd_skip(r, rd_left(r));
        return false;
    }
    return wanted > 2 && size == missing;
}

static bool look_at_stream(struct analysis *a, struct buf *buf, enum sender sender)
{
    struct reader message = held(buf);
    rd_skip(&message, 2);
    return look_at_message(a, message, sender);
}

static void on_stream(struct analysis *a, int dir, struct reader r)
{
    struct dns_state *s = a->state;
    int side = dir ^ a->flow->orig_is_1; /* stays when originator and responder are swapped */
    while (rd_left(&r) > 0) {
        dir = side ^ a->flow->orig_is_1;
        enum sender sender = dir == FLOW_ORIG ? SENDER_ORIGINATOR : SENDER_RESPONDER;
        size_t size = rd_peek_be16(&r, 0);
        if (buf_size(&s->stream[dir]) == 0 && rd_left(&r) >= 2 + size && size > 0) {
            rd_skip(&r, 2); /* all of it is here */
            if (!look_at_message(a, rd_sub(&r, size), sender))
                return;
        } else if (stream_take(a, &s->stream[dir], &r)) {
            if (!look_at_stream(a, &s->stream[dir], sender))
                return;
            dir = side ^ a->flow->orig_is_1;
            buf_drop(&s->stream[dir], buf_size(&s->stream[dir]));
        }
    }
}

static void on_data(struct analysis *a, int dir, const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    if (a->flow->proto == FLOW_TCP)
        on_stream(a, dir, r);
    else
        (void)look_at_message(a, r, dir == FLOW_ORIG ? SENDER_ORIGINATOR : SENDER_RESPONDER);
}

/* Once both ends have closed, what there is of unfinished messages is looked at. */
static void on_fin(struct analysis *a, int dir)
{
    struct dns_state *s = a->state;
    s->closed[dir] = true;
    if (!s->closed[dir ^ 1])
        return;
    for (unsigned i = 0; i < 2; i++) {
        struct buf *buf = &s->stream[i];
        if (buf_size(buf) <= 2)
            continue;
        if (!look_at_stream(a, buf, SENDER_UNKNOWN))
            return;
        buf_drop(buf, buf_size(buf));
    }
}

static void on_end(struct analysis *a)
{
    struct dns_state *s = a->state;
    log_all_waiting(a);
    dns_pending_done(&s->queries, analysis_pool(a));
    dns_pending_done(&s->replies, analysis_pool(a));
    buf_done(&s->stream[FLOW_ORIG], analysis_pool(a));
    buf_done(&s->stream[FLOW_RESP], analysis_pool(a));
}

const struct analyzer analyzer_dns = {
    .name = "dns",
    .transports = ANALYZER_TCP | ANALYZER_UDP,
    .tcp_ports = {53},
    .udp_ports = {53, 137, 5353, 5355},
    .logs = {&dns_log_schema},
    .state_size = sizeof(struct dns_state),
    .udp_ticks = true,
    .weird_source = "DNS",
    .data = on_data,
    .fin = on_fin,
    .end = on_end,
};
