/* notice.log with Zeek's columns: see notice.h. */
#include "flow/notice.h"

#define SUPPRESS_FOR 3600000000000ll /* Notice::default_suppression_interval */

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,
    {"fuid", LOG_STRING},
    {"file_mime_type", LOG_STRING},
    {"file_desc", LOG_STRING},
    {"proto", LOG_ENUM},
    {"note", LOG_ENUM},
    {"msg", LOG_STRING},
    {"sub", LOG_STRING},
    {"src", LOG_ADDR},
    {"dst", LOG_ADDR},
    {"p", LOG_PORT},
    {"n", LOG_COUNT},
    {"peer_descr", LOG_STRING},
    {"actions", LOG_SET_ENUM},
    {"email_dest", LOG_SET_STRING},
    {"suppress_for", LOG_INTERVAL},
    {"remote_location.country_code", LOG_STRING},
    {"remote_location.region", LOG_STRING},
    {"remote_location.city", LOG_STRING},
    {"remote_location.latitude", LOG_DOUBLE},
    {"remote_location.longitude", LOG_DOUBLE},
};

const struct log_schema notice_schema = {
    .name = "notice", LOG_COLUMNS(columns), .of_connection = true};

static void put_unset(struct rec *rec, unsigned n)
{
    while (n-- > 0)
        rec_unset(rec);
}

static void put_addr(struct rec *rec, const struct addr *addr)
{
    if (addr)
        rec_addr(rec, addr);
    else
        rec_unset(rec);
}

/* From "note" on; `f` may be NULL. */
static void put_rest(struct flow_context *context, struct rec *rec, const struct flow *f,
                     const char *note, const char *message, struct str sub, const struct addr *src,
                     const struct addr *dst)
{
    rec_text(rec, note);
    rec_str(rec, str_c(message));
    rec_str(rec, sub.len ? sub : (struct str){0});
    put_addr(rec, src);
    put_addr(rec, dst);
    if (f)
        rec_port(rec, flow_port(f, FLOW_RESP));
    else
        rec_unset(rec);
    put_unset(rec, 2); /* n, peer_descr */
    rec_set_begin(rec);
    rec_item_text(rec, "Notice::ACTION_LOG");
    rec_set_end(rec);
    rec_set_begin(rec);
    rec_set_end(rec);
    rec_interval(rec, SUPPRESS_FOR);
    put_unset(rec, 5);
    flow_log_extra(context, f, rec);
    log_end(rec);
}

void notice_about(struct flow_context *context, const char *note, const char *message,
                  struct str sub, const struct addr *src, const struct addr *dst)
{
    struct rec *rec = log_begin(context->log, &notice_schema);
    rec_time(rec, flow_context_time(context));
    put_unset(rec, 5 + 4);
    put_rest(context, rec, NULL, note, message, sub, src, dst);
}

void notice(struct flow_context *context, const struct flow *f, const char *note,
            const char *message, struct str sub)
{
    if (!f) {
        notice_about(context, note, message, sub, NULL, NULL);
        return;
    }
    struct rec *rec = flow_log_begin(context, f, &notice_schema, flow_context_time(context));
    put_unset(rec, 3);
    rec_text(rec, flow_proto_name(f));
    put_rest(context, rec, f, note, message, sub, flow_addr(f, FLOW_ORIG), flow_addr(f, FLOW_RESP));
}
