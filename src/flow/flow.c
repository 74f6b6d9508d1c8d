/* Names and first columns of connections: see flow.h. */
#include "flow/flow.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static struct flow_uid uid_from(char kind, XXH128_hash_t h)
{
    struct flow_uid uid;
    uid.text[0] = kind;
    for (int i = 1; i <= 9; i++, h.low64 /= 62)
        uid.text[i] = base62[h.low64 % 62];
    for (int i = 10; i < FLOW_UID_LEN; i++, h.high64 /= 62)
        uid.text[i] = base62[h.high64 % 62];
    return uid;
}

struct flow_uid flow_uid(const struct flow_context *context, const struct flow *f)
{
    struct {
        uint8_t key[40];
        int64_t first;
    } in;
    _Static_assert(offsetof(struct flow, hash) == 40, "the key is what comes before the hash");
    memcpy(in.key, f, 40);
    in.first = f->first;
    return uid_from('C', XXH3_128bits_withSeed(&in, sizeof in, context->uid_seed));
}

struct flow_uid flow_file_id(const struct flow_context *context, const struct flow *f, uint64_t n)
{
    struct {
        uint8_t key[40];
        int64_t first;
        uint64_t n;
    } in;
    memcpy(in.key, f, 40);
    in.first = f->first;
    in.n = n;
    return uid_from('F', XXH3_128bits_withSeed(&in, sizeof in, context->uid_seed));
}

struct rec *flow_log_begin(struct flow_context *context, const struct flow *f,
                           const struct log_schema *schema, int64_t ts)
{
    struct flow_uid uid = flow_uid(context, f);
    struct rec *rec = log_begin(context->log, schema);
    rec_time(rec, ts);
    rec_str(rec, str_make(uid.text, FLOW_UID_LEN));
    for (int dir = 0; dir < 2; dir++) {
        rec_addr(rec, flow_addr(f, dir));
        rec_port(rec, flow_port(f, dir));
    }
    return rec;
}

void flow_log_extra(struct flow_context *context, const struct flow *f, struct rec *rec)
{
    if (context->extra)
        context->extra(context, f, rec);
}

void flow_log_end(struct flow_context *context, const struct flow *f, struct rec *rec)
{
    flow_log_extra(context, f, rec);
    log_end(rec);
}

const char *flow_proto_name(const struct flow *f)
{
    static const char *const names[FLOW_N_PROTOS] = {[FLOW_TCP] = "tcp",
                                                     [FLOW_UDP] = "udp",
                                                     [FLOW_ICMP] = "icmp",
                                                     [FLOW_UNKNOWN] = "unknown_transport"};
    return names[f->proto];
}
