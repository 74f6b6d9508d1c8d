/* The tables of wanted columns, by Zeek's names. */
#include "hunt/field.h"

#include <assert.h>

#define AT(member) offsetof(struct hunt_record, member)
#define FIELD(text, member, of_kind)                                                               \
    {                                                                                              \
        .name = (text), .at = AT(member), .kind = FIELD_##of_kind, .len = sizeof(text) - 1         \
    }

static const struct field common[] = {
    FIELD("ts", ts, TS),
    FIELD("uid", uid, UID),
    FIELD("id.orig_h", orig, ORIG),
    FIELD("id.orig_p", orig_port, PORT),
    FIELD("id.resp_h", resp, RESP),
    FIELD("id.resp_p", resp_port, PORT),
    FIELD("agent_uuid", network, STR),
    FIELD("source", machine, STR),
    FIELD("agent_hostname", machine, STR_ELSE),
    FIELD("_path", log, PATH),
    FIELD("@stream", log, PATH),
    {.name = NULL},
};

static const struct field conn[] = {
    FIELD("proto", proto, PROTO),
    FIELD("service", conn.service, STR),
    FIELD("duration", conn.duration, INTERVAL),
    FIELD("orig_bytes", conn.orig_bytes, COUNT),
    FIELD("resp_bytes", conn.resp_bytes, COUNT),
    FIELD("conn_state", conn.state, STATE),
    FIELD("missed_bytes", conn.missed_bytes, COUNT),
    FIELD("history", conn.history, STR),
    FIELD("orig_pkts", conn.orig_pkts, COUNT),
    FIELD("orig_ip_bytes", conn.orig_ip_bytes, COUNT),
    FIELD("resp_pkts", conn.resp_pkts, COUNT),
    FIELD("resp_ip_bytes", conn.resp_ip_bytes, COUNT),
    {.name = NULL},
};

static const struct field http[] = {
    FIELD("method", http.method, STR),
    FIELD("host", http.host, STR),
    FIELD("uri", http.uri, STR),
    FIELD("user_agent", http.user_agent, STR),
    FIELD("referrer", http.referrer, STR),
    FIELD("version", http.version, STR),
    FIELD("resp_mime_types", http.resp_mime, FIRST),
    FIELD("status_code", http.status, COUNT),
    FIELD("trans_depth", http.trans_depth, COUNT),
    FIELD("request_body_len", http.request_size, COUNT),
    FIELD("response_body_len", http.response_size, COUNT),
    {.name = NULL},
};

static const struct field ssl[] = {
    FIELD("version", ssl.version, STR),
    FIELD("cipher", ssl.cipher, STR),
    FIELD("server_name", ssl.server_name, STR),
    FIELD("ja3", ssl.ja3, STR),
    FIELD("ja3s", ssl.ja3s, STR),
    FIELD("ja4", ssl.ja4, STR),
    FIELD("next_protocol", ssl.next_protocol, STR),
    FIELD("subject", ssl.subject, STR),
    FIELD("issuer", ssl.issuer, STR),
    FIELD("validation_status", ssl.validation, STR),
    FIELD("last_alert", ssl.last_alert, STR),
    FIELD("cert_chain_fps", ssl.cert_chain, COMMAS),
    FIELD("cert_chain_fuids", ssl.cert_chain, COMMAS_ELSE),
    FIELD("established", ssl.established, BOOL),
    FIELD("resumed", ssl.resumed, BOOL),
    {.name = NULL},
};

static const struct field quic[] = {
    FIELD("version", ssl.version, STR),
    FIELD("server_name", ssl.server_name, STR),
    FIELD("client_protocol", ssl.next_protocol, STR),
    {.name = NULL},
};

static const struct field dns[] = {
    FIELD("proto", proto, PROTO),
    FIELD("query", dns.query, STR),
    FIELD("answers", dns.answers, ANSWERS),
    FIELD("qtype_name", dns.qtype_name, STR),
    FIELD("rcode_name", dns.rcode_name, STR),
    FIELD("qtype", dns.qtype, COUNT),
    FIELD("rcode", dns.rcode, COUNT),
    FIELD("rejected", dns.rejected, BOOL),
    FIELD("AA", dns.aa, BOOL),
    FIELD("RD", dns.rd, BOOL),
    FIELD("RA", dns.ra, BOOL),
    {.name = NULL},
};

static const struct field ssh[] = {
    FIELD("client", ssh.client, STR),
    FIELD("server", ssh.server, STR),
    FIELD("hassh", ssh.hassh, STR),
    FIELD("hasshServer", ssh.hassh_server, STR),
    FIELD("auth_success", ssh.auth_success, TRUTH),
    FIELD("auth_attempts", ssh.auth_attempts, COUNT),
    {.name = NULL},
};

static const struct field smtp[] = {
    FIELD("last_reply", smtp.last_reply, STR),
    {.name = NULL},
};

static const struct field tunnel[] = {
    FIELD("tunnel_type", tunnel.type, STR),
    FIELD("action", tunnel.action, STR),
    {.name = NULL},
};

static const struct field x509[] = {
    FIELD("fingerprint", x509.fingerprint, STR),
    FIELD("id", x509.fingerprint, STR_ELSE),
    FIELD("certificate.subject", x509.subject, STR),
    FIELD("certificate.issuer", x509.issuer, STR),
    FIELD("san.dns", x509.san, LINES),
    FIELD("certificate.not_valid_before", x509.not_before, TIME),
    FIELD("certificate.not_valid_after", x509.not_after, TIME),
    FIELD("certificate.key_type", x509.key_type, STR),
    FIELD("certificate.key_length", x509.key_length, COUNT),
    {.name = NULL},
};

static const struct field notice[] = {
    FIELD("proto", proto, PROTO),  FIELD("note", notice.note, STR),
    FIELD("msg", notice.msg, STR), FIELD("sub", notice.sub, STR),
    FIELD("src", orig, ORIG_ELSE), FIELD("dst", resp, RESP_ELSE),
    FIELD("p", resp_port, PORT),   {.name = NULL},
};

static const struct field capture_loss[] = {
    FIELD("percent_lost", capture_loss.percent_lost, DOUBLE),
    {.name = NULL},
};

/* What of a record a log uses. */
#define USED(member) (AT(member) + sizeof(((struct hunt_record *)0)->member))

static const struct {
    const char *name;
    const struct field *fields;
    size_t used;
    uint8_t proto;
    bool needs_ends;
} logs[HUNT_N_LOGS] = {
    [HUNT_HTTP] = {"http", http, USED(http), HUNT_TCP, true},
    [HUNT_OPEN_HTTP] = {"open_http", http, USED(http), HUNT_TCP, true},
    [HUNT_SSL] = {"ssl", ssl, USED(ssl), HUNT_TCP, true},
    [HUNT_OPEN_SSL] = {"open_ssl", ssl, USED(ssl), HUNT_TCP, true},
    [HUNT_QUIC] = {"quic", quic, USED(ssl), HUNT_UDP, true},
    [HUNT_DNS] = {"dns", dns, USED(dns), HUNT_PROTO_UNKNOWN, true},
    [HUNT_SSH] = {"ssh", ssh, USED(ssh), HUNT_TCP, true},
    [HUNT_SMTP] = {"smtp", smtp, USED(smtp), HUNT_TCP, true},
    [HUNT_TUNNEL] = {"tunnel", tunnel, USED(tunnel), HUNT_PROTO_UNKNOWN, true},
    [HUNT_X509] = {"x509", x509, USED(x509), HUNT_PROTO_UNKNOWN, false},
    [HUNT_NOTICE] = {"notice", notice, USED(notice), HUNT_PROTO_UNKNOWN, false},
    [HUNT_CAPTURE_LOSS] = {"capture_loss", capture_loss, USED(capture_loss), HUNT_PROTO_UNKNOWN,
                           false},
    [HUNT_CONN] = {"conn", conn, USED(conn), HUNT_PROTO_UNKNOWN, true},
    [HUNT_OPEN_CONN] = {"open_conn", conn, USED(conn), HUNT_PROTO_UNKNOWN, true},
};

const char *hunt_log_name(enum hunt_log log)
{
    return logs[log].name;
}

bool fields_is_named(const struct fields *fields, enum hunt_log called)
{
    static const enum hunt_log closed[HUNT_N_LOGS] = {
        [HUNT_OPEN_HTTP] = HUNT_HTTP, [HUNT_OPEN_SSL] = HUNT_SSL, [HUNT_OPEN_CONN] = HUNT_CONN};
    bool is_open = fields->log == HUNT_OPEN_HTTP || fields->log == HUNT_OPEN_SSL ||
                   fields->log == HUNT_OPEN_CONN;
    return called == fields->log || (is_open && called == closed[fields->log]);
}

static struct field_key key_of(const char *name, size_t len)
{
    struct field_key key = {.len = (uint32_t)len};
    uint32_t half;
    if (len >= 8) {
        memcpy(&key.head, name, 8);
        memcpy(&key.tail, name + len - 8, 8);
    } else if (len >= 4) {
        memcpy(&half, name, 4);
        key.head = half;
        memcpy(&half, name + len - 4, 4);
        key.tail = half;
    } else {
        for (size_t i = 0; i < len; i++)
            key.head = key.head << 8 | (uint8_t)name[i];
    }
    return key;
}

static unsigned slot_of(const struct field_key *key)
{
    uint64_t hash = key->head ^ (key->tail << 7 | key->tail >> 57) ^ key->len;
    return (unsigned)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 56) & (FIELD_SLOTS - 1);
}

static void put_slot(struct fields *fields, const char *name, size_t len, unsigned index)
{
    struct field_key key = key_of(name, len);
    unsigned slot = slot_of(&key);
    while (fields->slots[slot].index)
        slot = (slot + 1) & (FIELD_SLOTS - 1);
    fields->slots[slot].key = key;
    fields->slots[slot].index = (uint8_t)(index + 1);
}

static void add(struct fields *fields, const struct field *field)
{
    char other[64];
    unsigned index = fields->n++;
    assert(fields->n <= FIELDS_MAX && field->len < sizeof other);
    fields->at[index] = *field;
    put_slot(fields, field->name, field->len, index);
    memcpy(other, field->name, field->len);
    for (size_t i = 0; i < field->len; i++)
        if (other[i] == '.')
            other[i] = '_';
    if (memcmp(other, field->name, field->len) != 0)
        put_slot(fields, other, field->len, index);
    char *blank = (char *)&fields->blank + field->at;
    static const int64_t unset = HUNT_UNSET;
    enum field_kind kind = (enum field_kind)field->kind;
    if (kind == FIELD_COUNT || kind == FIELD_TIME || kind == FIELD_INTERVAL || kind == FIELD_TRUTH)
        memcpy(blank, &unset, sizeof unset);
}

void fields_init(struct fields *fields, enum hunt_log log)
{
    memset(fields, 0, sizeof *fields);
    fields->log = log;
    fields->needs_ends = logs[log].needs_ends;
    fields->blank.log = log;
    fields->blank.proto = logs[log].proto;
    fields->blank_size = logs[log].used;
    for (const struct field *f = common; f->name; f++)
        add(fields, f);
    for (const struct field *f = logs[log].fields; f->name; f++)
        add(fields, f);
}

/* The middle of a long name, '_' for '.' in it. */
static bool same_name(const struct field *field, const char *name, size_t len)
{
    for (size_t i = 8; i + 8 < len; i++)
        if (field->name[i] != name[i] && (field->name[i] != '.' || name[i] != '_'))
            return false;
    return true;
}

const struct field *fields_find(const struct fields *fields, const char *name, size_t len)
{
    struct field_key key = key_of(name, len);
    for (unsigned slot = slot_of(&key); fields->slots[slot].index;
         slot = (slot + 1) & (FIELD_SLOTS - 1)) {
        const struct field_key *is = &fields->slots[slot].key;
        const struct field *field = &fields->at[fields->slots[slot].index - 1];
        if (is->head == key.head && is->tail == key.tail && is->len == key.len &&
            same_name(field, name, len))
            return field;
    }
    return NULL;
}
