/* Records of TLS (RFC 8446, 5) once the record layer has taken its header off, and the state of the
 * encryption that decides whether there is anything to read in them. In TLS 1.2 everything after a
 * change-cipher-spec is encrypted; in TLS 1.3 that message means nothing, and the first application
 * data of a side says that it is encrypted from there on. */
#include <stdio.h>

#include "proto/tls.h"

#define MAX_ALERTS 10 /* in one record (Zeek's SSL::max_alerts_per_record) */

void tls_start(struct tls *tls, struct analysis *a)
{
    tls->analysis = a;
    arena_init(&tls->arena, analysis_pool(a));
}

bool tls_is_encrypted(struct tls *tls, int dir, unsigned type)
{
    if (tls->encrypted[dir] || type != TLS_APPLICATION_DATA)
        return tls->encrypted[dir];
    switch (tls->negotiated) {
    case TLS_SSLV2:
    case TLS_SSLV3:
    case TLS_V10:
    case TLS_V11:
    case TLS_V12:
        return false;
    default: /* TLS 1.3 or like it, or early data before the server has chosen */
        tls->encrypted[dir] = true;
        return true;
    }
}

void tls_ciphertext(struct tls *tls)
{
    if (tls->established || !tls->encrypted[FLOW_ORIG] || !tls->encrypted[FLOW_RESP])
        return;
    tls->established = true;
    tls_log_established(tls);
}

void tls_plaintext(struct tls *tls, unsigned type)
{
    tls_begin(tls);
    if (type == TLS_APPLICATION_DATA && tls->info.has_version && !tls->info.established)
        analysis_weird(tls->analysis, "ssl_early_application_data", (struct str){NULL, 0});
}

void tls_alert(struct tls *tls, int dir, uint16_t alert)
{
    tls_begin(tls);
    tls_history(tls, tls_is_client(tls, dir), 'l');
    tls->info.has_alert = true;
    tls->info.alert = alert;
}

static void read_alerts(struct tls *tls, int dir, struct reader *r)
{
    size_t max = tls_is_13(tls) ? 1 : MAX_ALERTS;
    if (rd_left(r) > 2 * max) {
        char text[16];
        int len = snprintf(text, sizeof text, "%zu", rd_left(r) / 2);
        analysis_weird(tls->analysis, "SSL_excessive_alerts_in_record",
                       str_make(text, (size_t)len));
    }
    for (size_t i = 0; i < max && rd_left(r) > 0; i++) {
        (void)rd_u8(r); /* level */
        uint8_t alert = rd_u8(r);
        if (rd_ok(r))
            tls_alert(tls, dir, alert);
    }
    rd_skip(r, rd_left(r));
}

static void read_change_cipher_spec(struct tls *tls, int dir, struct reader *r)
{
    (void)rd_u8(r);
    if (!tls_is_13(tls))
        tls->encrypted[dir] = true;
    tls_begin(tls);
    bool is_client = tls_is_client(tls, dir);
    tls_history(tls, is_client, 'i');
    if (is_client && tls->info.ticket && !tls->info.client_key)
        tls->info.resumed = true;
}

static void read_heartbeat(struct tls *tls, int dir, struct reader *r)
{
    (void)rd_u8(r);   /* type */
    (void)rd_be16(r); /* payload length: more than there is, in Heartbleed */
    if (!rd_ok(r))
        return;
    rd_skip(r, rd_left(r));
    tls_begin(tls);
    tls_history(tls, tls_is_client(tls, dir), 'b');
}

static void read_plaintext(struct tls *tls, int dir, unsigned type, struct reader *r)
{
    switch (type) {
    case TLS_CHANGE_CIPHER_SPEC:
        read_change_cipher_spec(tls, dir, r);
        break;
    case TLS_ALERT:
        read_alerts(tls, dir, r);
        break;
    case TLS_HANDSHAKE: {
        struct str all = str_make(r->at, rd_left(r));
        rd_skip(r, all.len);
        tls_handshake(tls, dir, (const uint8_t *)all.at, all.len);
        break;
    }
    case TLS_APPLICATION_DATA:
        rd_skip(r, rd_left(r));
        break;
    case TLS_HEARTBEAT:
        read_heartbeat(tls, dir, r);
        break;
    default:
        rd_skip(r, rd_left(r));
        (void)tls_violation(tls, "unknown SSL record type");
    }
}

void tls_record(struct tls *tls, int dir, unsigned type, struct reader body,
                enum tls_protection protection)
{
    while (rd_left(&body) > 0) {
        if (protection == TLS_CIPHERTEXT ||
            (protection == TLS_BY_STATE && tls_is_encrypted(tls, dir, type))) {
            tls_ciphertext(tls);
            return;
        }
        read_plaintext(tls, dir, type, &body);
        if (!rd_ok(&body)) {
            (void)tls_violation(tls, "a TLS record ends too early");
            return;
        }
        tls_plaintext(tls, type);
        if (tls->gone)
            return;
    }
}
