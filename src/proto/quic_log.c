/* quic.log: one row for each handshake. It is written when the server wants it tried again, when it
 * is closed, when the version is not known, or at the end of the connection. The history has a
 * letter for each packet whose header could be read, capital ones for the originator: Initial,
 * Handshake, Zero round-trip, Retry, Unknown version; and for hellos (S) and the frame that closes
 * (C). */
#include <stdio.h>

#include "base/hash.h"
#include "proto/quic.h"

static const struct log_column columns[] = {
    LOG_CONNECTION_COLUMNS,
    {"version", LOG_STRING},
    {"client_initial_dcid", LOG_STRING},
    {"client_scid", LOG_STRING},
    {"server_scid", LOG_STRING},
    {"server_name", LOG_STRING},
    {"client_protocol", LOG_STRING},
    {"history", LOG_STRING},
};

const struct log_schema quic_log = {.name = "quic", LOG_COLUMNS(columns), .of_connection = true};

void quic_log_text(struct quic *q, struct str *text, struct str value)
{
    value = str_upto(value, QUIC_MAX_TEXT);
    if (str_set(*text) && str_eq(*text, value))
        return;
    if (value.len == 0)
        *text = STR("");
    else if (q->row.arena.n_bytes < QUIC_MAX_TEXT)
        *text = arena_str(&q->row.arena, value);
}

void quic_log_packet(struct quic *q, int dir, const struct quic_packet *packet)
{
    struct quic_row *row = &q->row;
    if (!row->begun) {
        row->begun = true;
        row->ts = analysis_now(q->analysis);
        row->version = packet->version;
    }
    if (dir == FLOW_RESP) {
        quic_log_text(q, &row->server_scid, packet->scid);
        return;
    }
    if (packet->dcid.len > 0 && !str_set(row->client_dcid))
        quic_log_text(q, &row->client_dcid, packet->dcid);
    quic_log_text(q, &row->client_scid, packet->scid);
}

void quic_log_history(struct quic *q, bool is_client, char letter)
{
    struct quic_row *row = &q->row;
    if (row->n_history == QUIC_MAX_HISTORY)
        return;
    row->history[row->n_history++] = is_client ? (char)(letter - 'a' + 'A') : letter;
    if (row->n_history == QUIC_MAX_HISTORY)
        analysis_weird(q->analysis, "QUIC_max_history_length_reached", (struct str){NULL, 0});
}

static void put_id(struct rec *rec, struct str id)
{
    char hex[2 * QUIC_MAX_ID];
    if (id.len > 0)
        hash_hex((const uint8_t *)id.at, id.len, hex);
    rec_str(rec, str_set(id) ? str_make(hex, 2 * (size_t)id.len) : id);
}

void quic_log_write(struct quic *q)
{
    struct quic_row *row = &q->row;
    if (!row->begun)
        return;
    struct flow_context *context = q->analysis->context;
    struct rec *rec = flow_log_begin(context, q->analysis->flow, &quic_log, row->ts);
    char unknown[24];
    const char *version = quic_version_name(row->version);
    if (!version)
        snprintf(unknown, sizeof unknown, "unknown-%x", row->version);
    rec_text(rec, version ? version : unknown);
    put_id(rec, row->client_dcid);
    put_id(rec, row->client_scid);
    put_id(rec, row->server_scid);
    rec_str(rec, row->server_name);
    rec_str(rec, row->protocol);
    rec_str(rec, str_make(row->history, row->n_history));
    flow_log_end(context, q->analysis->flow, rec);
    arena_clear(&row->arena);
    *row = (struct quic_row){.arena = row->arena};
}
