/* dns.log: one row for a query and its reply, or for one of them that met no other. */
#include "proto/dns_log.h"

#include "proto/dns_answers.h"
#include "proto/dns_types.h"

#include <stdio.h>

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,
    {"proto", LOG_ENUM},
    {"trans_id", LOG_COUNT},
    {"rtt", LOG_INTERVAL},
    {"query", LOG_STRING},
    {"qclass", LOG_COUNT},
    {"qclass_name", LOG_STRING},
    {"qtype", LOG_COUNT},
    {"qtype_name", LOG_STRING},
    {"rcode", LOG_COUNT},
    {"rcode_name", LOG_STRING},
    {"AA", LOG_BOOL},
    {"TC", LOG_BOOL},
    {"RD", LOG_BOOL},
    {"RA", LOG_BOOL},
    {"Z", LOG_COUNT},
    {"answers", LOG_VECTOR_STRING},
    {"TTLs", LOG_VECTOR_INTERVAL},
    {"rejected", LOG_BOOL},
};

const struct log_schema dns_log_schema = {
    .name = "dns",
    LOG_COLUMNS(columns),
    .of_connection = true,
};

/* The name, or for a number without one "kind-number". */
static void write_name(struct rec *rec, const char *name, const char *kind, unsigned number)
{
    char text[24];
    if (!name) {
        snprintf(text, sizeof text, "%s-%u", kind, number);
        name = text;
    }
    rec_text(rec, name);
}

static const char *type_name(const struct dns_row *row)
{
    /* The number of SRV was NetBIOS' before. */
    return row->netbios && row->qtype == DNS_TYPE_SRV ? "NBSTAT" : dns_type_name(row->qtype);
}

static void write_question(struct rec *rec, const struct dns_row *row)
{
    if (!row->has_question) {
        for (unsigned i = 0; i < 4; i++)
            rec_unset(rec);
        return;
    }
    rec_count(rec, row->qclass);
    write_name(rec, dns_class_name(row->qclass), "qclass", row->qclass);
    rec_count(rec, row->qtype);
    write_name(rec, type_name(row), "query", row->qtype);
}

static void write_answers(struct rec *rec, const struct dns_row *row)
{
    if (row->answers.len == 0) {
        rec_unset(rec);
        rec_unset(rec);
        return;
    }
    struct dns_answer_item item;
    struct str text;
    rec_set_begin(rec);
    for (struct str left = row->answers; dns_answers_next(&left, &item, &text);)
        rec_item_str(rec, text);
    rec_set_end(rec);
    rec_set_begin(rec);
    for (struct str left = row->answers; dns_answers_next(&left, &item, &text);)
        rec_item_interval(rec, (int64_t)item.ttl * 1000000000);
    rec_set_end(rec);
}

void dns_log_row(struct analysis *a, const struct dns_row *row)
{
    struct rec *rec = flow_log_begin(a->context, a->flow, &dns_log_schema, row->ts);
    rec_text(rec, flow_proto_name(a->flow));
    rec_count(rec, row->id);
    if (row->rtt != 0)
        rec_interval(rec, row->rtt);
    else
        rec_unset(rec);
    rec_str(rec, row->query);
    write_question(rec, row);
    if (row->has_reply) {
        rec_count(rec, row->rcode);
        rec_text(rec, dns_rcode_name(row->rcode));
    } else {
        rec_unset(rec);
        rec_unset(rec);
    }
    rec_bool(rec, row->aa);
    rec_bool(rec, row->tc);
    rec_bool(rec, row->rd);
    rec_bool(rec, row->ra);
    rec_count(rec, row->z);
    write_answers(rec, row);
    rec_bool(rec, row->rejected);
    flow_log_end(a->context, a->flow, rec);
}
