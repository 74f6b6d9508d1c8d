/* Handshake messages (RFC 5246, 7.4; RFC 8446, 4). They may be cut over records in any way:
 *
 *     +------+-----------+----------------+
 *     | type |  length   | body …         |
 *     |  8   |    24     |                |
 *     +------+-----------+----------------+
 *
 * A message that has come in one piece is read where it lies. */
#include "proto/file.h"
#include "proto/tls.h"
#include "proto/x509.h"

/* Room for one more fingerprint; the old room stays in the arena until the row is written. */
static bool chain_grow(struct tls *tls, struct tls_chain *chain)
{
    if (chain->n < chain->room)
        return true;
    unsigned room = chain->room ? chain->room * 2u : 4u;
    if (room > TLS_MAX_CERTIFICATES)
        room = TLS_MAX_CERTIFICATES;
    if (room == chain->room)
        return false;
    uint8_t *bytes = arena_get(&tls->arena, (size_t)room * HASH_SHA256_SIZE);
    if (!bytes)
        return false;
    if (chain->n)
        memcpy(bytes, chain->fingerprints, (size_t)chain->n * HASH_SHA256_SIZE);
    chain->fingerprints = bytes;
    chain->room = (uint8_t)room;
    return true;
}

void tls_certificate(struct tls *tls, bool is_client, bool is_first, struct str bytes)
{
    if (bytes.len == 0) {
        analysis_weird(tls->analysis, "zero_length_certificate", (struct str){NULL, 0});
        return;
    }
    struct tls_info *info = &tls->info;
    bool is_leaf = info->begun && !is_client && info->leaf == TLS_LEAF_NONE;
    unsigned flags = (is_first ? X509_HOST : 0u) | (is_client ? X509_CLIENT : 0u);
    struct x509_seen_certificate seen =
        x509_observe(tls->analysis, bytes, flags, is_leaf ? info->server_name : (struct str){0});
    if (!info->begun || info->logged)
        return;
    info->has_chain = true;
    if (is_leaf) {
        info->leaf = seen.ok ? TLS_LEAF_OK : TLS_LEAF_BAD;
        info->leaf_matches = seen.matches;
    }
    struct tls_chain *chain = &info->chain[is_client];
    if (seen.ok && chain_grow(tls, chain))
        memcpy(chain->fingerprints + (size_t)chain->n++ * HASH_SHA256_SIZE, seen.fingerprint,
               HASH_SHA256_SIZE);
}

/* Nothing is taken of a list that does not fit together. */
static void read_certificates(struct tls *tls, int dir, struct reader *r)
{
    struct reader list = rd_sub(r, rd_be24(r));
    struct reader check = list;
    while (rd_left(&check) > 0)
        rd_skip(&check, rd_be24(&check));
    if (!rd_ok(&check))
        rd_fail(r);
    for (bool is_first = true; rd_ok(r) && rd_left(&list) > 0; is_first = false) {
        struct reader one = rd_sub(&list, rd_be24(&list));
        tls_certificate(tls, tls_is_client(tls, dir), is_first, str_make(one.at, rd_left(&one)));
    }
}

/* A stapled OCSP response is a file. */
static void read_certificate_status(struct tls *tls, struct reader *r)
{
    uint8_t type = rd_u8(r);
    (void)rd_be24(r); /* length: Zeek takes all that is left */
    if (!rd_ok(r))
        return;
    struct reader response = rd_sub(r, rd_left(r));
    if (rd_left(&response) == 0)
        analysis_weird(tls->analysis, "SSL_zero_length_stapled_OCSP_message",
                       (struct str){NULL, 0});
    if (type != 1 || rd_left(&response) == 0)
        return;
    struct file *file = file_new(tls->analysis, FLOW_RESP, "SSL");
    if (!file)
        return;
    file_set_mime(file, "application/ocsp-response");
    file_write(file, response.at, rd_left(&response));
    file_end(file);
}

static void read_signature(const struct tls *tls, struct reader *r)
{
    if (tls->negotiated > TLS_V11 && tls->negotiated != TLS_DTLS10)
        rd_skip(r, 2); /* hash and signature algorithm */
    rd_skip(r, rd_be16(r));
}

static void read_elliptic_exchange(struct tls *tls, struct reader *r, bool is_signed)
{
    enum { NAMED_CURVE = 3 };
    if (rd_u8(r) != NAMED_CURVE)
        return;
    uint16_t curve = rd_be16(r);
    rd_skip(r, rd_u8(r));
    if (is_signed)
        read_signature(tls, r);
    if (!rd_ok(r))
        return;
    tls_begin(tls);
    tls->info.has_curve = true;
    tls->info.curve = curve;
}

static void read_server_key_exchange(struct tls *tls, struct reader *r)
{
    switch (tls->key) {
    case TLS_KEY_ECDHE:
        read_elliptic_exchange(tls, r, true);
        break;
    case TLS_KEY_ECDH_ANON:
        read_elliptic_exchange(tls, r, false);
        break;
    case TLS_KEY_DHE:
    case TLS_KEY_DH_ANON:
        for (int i = 0; i < 3; i++) /* prime, generator, public value */
            rd_skip(r, rd_be16(r));
        if (tls->key == TLS_KEY_DHE)
            read_signature(tls, r);
        break;
    case TLS_KEY_OTHER:
        break;
    }
}

/* False: it is wrong, and what came after it is dropped. */
static bool read_message(struct tls *tls, int dir, uint8_t type, struct reader r)
{
    bool known = true;
    switch (type) {
    case TLS_HELLO_REQUEST:
        tls_hello_request(tls, dir);
        break;
    case TLS_CLIENT_HELLO:
        tls_client_hello(tls, dir, &r);
        break;
    case TLS_SERVER_HELLO:
        tls_server_hello(tls, dir, &r);
        break;
    case TLS_HELLO_VERIFY_REQUEST:
        (void)rd_be16(&r);
        rd_skip(&r, rd_u8(&r));
        break;
    case TLS_SESSION_TICKET:
        (void)rd_be32(&r);
        break;
    case TLS_CERTIFICATE:
        read_certificates(tls, dir, &r);
        break;
    case TLS_SERVER_KEY_EXCHANGE:
        read_server_key_exchange(tls, &r);
        break;
    case TLS_CERTIFICATE_STATUS:
        read_certificate_status(tls, &r);
        break;
    case TLS_CERTIFICATE_REQUEST:
    case TLS_SERVER_HELLO_DONE:
    case TLS_CERTIFICATE_VERIFY:
    case TLS_CLIENT_KEY_EXCHANGE:
    case TLS_FINISHED:
    case TLS_CERTIFICATE_URL:
        break;
    default:
        known = false;
    }
    if (!rd_ok(&r)) {
        (void)tls_violation(tls, "a handshake message ends too early");
        return false;
    }
    if (!known)
        (void)tls_violation(tls, "unknown handshake message");
    tls_log_message(tls, tls_is_client(tls, dir), type);
    return true;
}

/* Reads the messages that are complete; gives the number of bytes that were used up. */
static size_t read_messages(struct tls *tls, int dir, const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    while (rd_left(&r) >= 4 && !tls->gone) {
        struct reader next = r;
        uint8_t type = rd_u8(&next);
        uint32_t length = rd_be24(&next);
        if (length > TLS_MAX_MESSAGE) {
            (void)tls_violation(tls, "a handshake message is too long");
            return size;
        }
        if (rd_left(&next) < length)
            break;
        struct reader body = rd_sub(&next, length);
        r = next;
        if (!read_message(tls, dir, type, body))
            return size;
    }
    return size - rd_left(&r);
}

void tls_handshake(struct tls *tls, int dir, const uint8_t *bytes, size_t size)
{
    struct buf *kept = &tls->messages[dir];
    struct pool *pool = analysis_pool(tls->analysis);
    if (buf_size(kept) > 0) {
        if (!buf_add(kept, pool, bytes, size, TLS_MAX_MESSAGE + 65536 + 4)) {
            tls_skip(tls);
            return;
        }
        buf_drop(kept, read_messages(tls, dir, buf_at(kept), buf_size(kept)));
        if (buf_size(kept) == 0 || tls->gone)
            buf_done(kept, pool);
        return;
    }
    size_t used = read_messages(tls, dir, bytes, size);
    if (used < size && !tls->gone &&
        !buf_add(kept, pool, bytes + used, size - used, TLS_MAX_MESSAGE + 65536 + 4))
        tls_skip(tls);
}
