/* What happens in a connection, gathered for its row of ssl.log, and the row. It is written once:
 * when the handshake is done, when the protocol is broken, or at the end of the connection,
 * whatever comes first; what happens later changes nothing any more. Where open connections are
 * reported, the line is kept for them, which takes less than what it was made of. */
#include "proto/file.h"
#include "proto/tls.h"
#include "proto/x509.h"

/* clang-format off */
#define COLUMNS                                                                                    \
    LOG_CONNECTION_COLUMNS,                                                                        \
    {"version", LOG_STRING}, {"cipher", LOG_STRING}, {"curve", LOG_STRING},                        \
    {"server_name", LOG_STRING}, {"resumed", LOG_BOOL}, {"last_alert", LOG_STRING},                \
    {"next_protocol", LOG_STRING}, {"established", LOG_BOOL}, {"ssl_history", LOG_STRING},         \
    {"cert_chain_fps", LOG_VECTOR_STRING}, {"client_cert_chain_fps", LOG_VECTOR_STRING},           \
    {"sni_matches_cert", LOG_BOOL}
/* clang-format on */

static const struct log_column columns[] = {COLUMNS};
static const struct log_column columns_ja3[] = {COLUMNS, {"ja3", LOG_STRING}, {"ja3s", LOG_STRING}};
static const struct log_column columns_ja4[] = {COLUMNS, {"ja4", LOG_STRING}};
static const struct log_column columns_ja[] = {
    COLUMNS, {"ja3", LOG_STRING}, {"ja3s", LOG_STRING}, {"ja4", LOG_STRING}};

#define MAX_KEPT_ROW 8192u

#define SCHEMA(text, table)                                                                        \
    {                                                                                              \
        .name = (text), LOG_COLUMNS(table), .of_connection = true                                  \
    }

const struct log_schema tls_log = SCHEMA("ssl", columns);
const struct log_schema tls_open_log = SCHEMA("open_ssl", columns);

/* By what is asked for: [open][ja3][ja4]. */
static const struct log_schema with_ja[2][2][2] = {
    {{SCHEMA("ssl", columns), SCHEMA("ssl", columns_ja4)},
     {SCHEMA("ssl", columns_ja3), SCHEMA("ssl", columns_ja)}},
    {{SCHEMA("open_ssl", columns), SCHEMA("open_ssl", columns_ja4)},
     {SCHEMA("open_ssl", columns_ja3), SCHEMA("open_ssl", columns_ja)}},
};

static const struct log_schema *schema_of(const struct flow_context *context, bool open)
{
    return &with_ja[open][context->ja3][context->ja4];
}

bool tls_version_ok(uint16_t version)
{
    switch (version) {
    case TLS_SSLV2:
    case TLS_SSLV3:
    case TLS_V10:
    case TLS_V11:
    case TLS_V12:
    case TLS_V13:
    case TLS_DTLS10:
    case TLS_DTLS12:
    case TLS_DTLS13:
        return true;
    default:
        return version >> 8 == 0x7f;
    }
}

void tls_begin(struct tls *tls)
{
    if (tls->info.begun)
        return;
    tls->info.begun = true;
    tls->info.ts = analysis_now(tls->analysis);
}

void tls_history(struct tls *tls, bool is_client, char letter)
{
    struct tls_info *info = &tls->info;
    if (info->n_history >= TLS_MAX_HISTORY)
        return;
    info->history[info->n_history++] = is_client ? (char)(letter - 'a' + 'A') : letter;
    if (info->n_history == TLS_MAX_HISTORY && !info->history_said) {
        info->history_said = true;
        analysis_weird(tls->analysis, "SSL_max_ssl_history_length_reached", (struct str){NULL, 0});
    }
}

void tls_flip(struct tls *tls)
{
    tls_begin(tls);
    if (tls->info.n_history < sizeof tls->info.history)
        tls->info.history[tls->info.n_history++] = '^';
}

void tls_set_text(struct tls *tls, struct str *text, struct str value)
{
    value = str_upto(value, TLS_MAX_TEXT);
    if (str_set(*text) && str_eq(*text, value))
        return;
    if (tls->arena.n_bytes < 4 * TLS_MAX_TEXT)
        *text = arena_str(&tls->arena, value);
}

/* Ids are compared as 32 bytes, filled up with zeros; a longer one counts as none. */
static bool pad_session_id(struct str id, uint8_t out[32])
{
    static const uint8_t none[32] = {0};
    memset(out, 0, 32);
    if (id.len > 0 && id.len <= 32)
        memcpy(out, id.at, id.len);
    return memcmp(out, none, 32) != 0;
}

void tls_log_client_hello(struct tls *tls, struct str session_id)
{
    tls_begin(tls);
    uint8_t id[32];
    if (!pad_session_id(session_id, id))
        return;
    memcpy(tls->info.session_id, id, sizeof id);
    tls->info.has_session_id = true;
    tls->info.ticket = false;
}

void tls_log_server_hello(struct tls *tls, uint16_t version, struct str session_id, uint32_t cipher,
                          bool is_retry)
{
    tls_begin(tls);
    struct tls_info *info = &tls->info;
    if (!info->has_version) {
        info->has_version = true;
        info->version = version;
    }
    info->has_cipher = true;
    info->cipher = cipher;
    info->retry |= is_retry;
    uint8_t id[32];
    (void)pad_session_id(session_id, id);
    if (info->has_session_id && memcmp(id, info->session_id, sizeof id) == 0 &&
        !tls_is_draft(info->version) && info->version != TLS_V13)
        info->resumed = true;
}

void tls_log_extension(struct tls *tls, bool is_client, uint16_t type, size_t size)
{
    enum { SESSION_TICKET = 35, PRE_SHARED_KEY = 41 };
    tls_begin(tls);
    if (is_client && type == SESSION_TICKET && size > 0)
        tls->info.ticket = true;
    else if (is_client && type == PRE_SHARED_KEY)
        tls->info.psk = true;
    else if (!is_client && type == PRE_SHARED_KEY && tls->info.psk)
        tls->info.resumed = true;
}

void tls_log_message(struct tls *tls, bool is_client, uint8_t type)
{
    /* Letters of the history by the message's type; what has none is 'z'. */
    static const char letters[] = "hcsvtejzozzxkrnygzzzfwuap";
    tls_begin(tls);
    if (is_client && type == TLS_CLIENT_KEY_EXCHANGE)
        tls->info.client_key = true;
    char letter = type < sizeof letters - 1 ? letters[type] : type == 254 ? 'm' : 'z';
    if (type == TLS_SERVER_HELLO && tls->info.retry) {
        tls->info.retry = false;
        letter = 'j';
    }
    tls_history(tls, is_client, letter);
}

/* ---- the row ---- */

static void put_chain(struct rec *rec, const struct tls_info *info, const struct tls_chain *chain)
{
    if (!info->has_chain) {
        rec_unset(rec);
        return;
    }
    rec_set_begin(rec);
    for (unsigned i = 0; i < chain->n; i++) {
        char hex[2 * HASH_SHA256_SIZE];
        hash_hex(chain->fingerprints + (size_t)i * HASH_SHA256_SIZE, HASH_SHA256_SIZE, hex);
        rec_item_str(rec, str_make(hex, sizeof hex));
    }
    rec_set_end(rec);
}

static void put_ja(struct rec *rec, const char *text, size_t size)
{
    rec_str(rec, text[0] ? str_make(text, strnlen(text, size)) : (struct str){NULL, 0});
}

static void put_columns(struct rec *rec, const struct tls_info *info)
{
    static const struct str unset = {NULL, 0};
    char room[TLS_NAME_ROOM];
    rec_str(rec, info->has_version ? tls_version_name(info->version, room) : unset);
    rec_str(rec, info->has_cipher ? tls_cipher_name(info->cipher, room) : unset);
    rec_str(rec, info->has_curve ? tls_curve_name(info->curve, room) : unset);
    rec_str(rec, info->server_name);
    rec_bool(rec, info->resumed);
    rec_str(rec, info->has_alert ? tls_alert_name(info->alert, room) : unset);
    rec_str(rec, info->next_protocol);
    rec_bool(rec, info->established);
    rec_str(rec, str_make(info->history, info->n_history));
    put_chain(rec, info, &info->chain[0]);
    put_chain(rec, info, &info->chain[1]);
    if (info->leaf == TLS_LEAF_OK && str_set(info->server_name))
        rec_bool(rec, info->leaf_matches);
    else
        rec_unset(rec);
}

/* The whole row but for its end. */
static struct rec *put_row(const struct tls *tls, bool open)
{
    const struct tls_info *info = &tls->info;
    struct flow_context *context = tls->analysis->context;
    const struct flow *flow = tls->analysis->flow;
    struct rec *rec = flow_log_begin(context, flow, schema_of(context, open), info->ts);
    put_columns(rec, info);
    if (context->ja3) {
        put_ja(rec, info->ja3, sizeof info->ja3);
        put_ja(rec, info->ja3s, sizeof info->ja3s);
    }
    if (context->ja4)
        put_ja(rec, info->ja4, sizeof info->ja4);
    flow_log_extra(context, flow, rec);
    return rec;
}

/* open_ssl.log has no row of a connection whose row is longer than those of any honest handshake,
 * or for which there is no memory (the pool counts that). */
static void keep_row(struct tls *tls, struct str line)
{
    bool fits = line.len > 0 && line.len <= MAX_KEPT_ROW;
    char *copy = fits ? pool_get(analysis_pool(tls->analysis), line.len) : NULL;
    if (!copy)
        return;
    memcpy(copy, line.at, line.len);
    tls->row = str_make(copy, line.len);
}

static void write_row(struct tls *tls)
{
    struct tls_info *info = &tls->info;
    if (!info->begun || info->logged)
        return;
    info->logged = true;
    struct rec *rec = put_row(tls, false);
    if (tls->analysis->context->reports_open)
        keep_row(tls, log_end_line(rec));
    else
        log_end(rec);
    info->server_name = info->next_protocol = (struct str){NULL, 0};
    info->chain[0] = info->chain[1] = (struct tls_chain){0};
    arena_clear(&tls->arena);
}

void tls_log_open(struct tls *tls)
{
    struct flow_context *context = tls->analysis->context;
    if (str_set(tls->row))
        log_line(context->log, schema_of(context, true), tls->row);
    else if (tls->info.begun && !tls->info.logged)
        log_end(put_row(tls, true));
}

void tls_log_forget(struct tls *tls)
{
    pool_put(analysis_pool(tls->analysis), (void *)(uintptr_t)tls->row.at, tls->row.len);
    tls->row = (struct str){NULL, 0};
}

void tls_log_established(struct tls *tls)
{
    tls_begin(tls);
    tls->info.established = true;
    write_row(tls);
}

bool tls_violation(struct tls *tls, const char *reason)
{
    write_row(tls);
    if (analysis_violation(tls->analysis, reason))
        tls->gone = true;
    return tls->gone;
}

void tls_skip(struct tls *tls)
{
    tls->gone = true;
    analysis_finish(tls->analysis);
}

void tls_end(struct tls *tls)
{
    write_row(tls);
    tls->gone = true;
    buf_done(&tls->messages[0], analysis_pool(tls->analysis));
    buf_done(&tls->messages[1], analysis_pool(tls->analysis));
    arena_clear(&tls->arena);
}
