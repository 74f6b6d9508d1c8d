/* The hellos and their extensions (RFC 5246, 7.4.1; RFC 8446, 4.1 and 4.2; RFC 6347, 4.2.1).
 *
 *     ClientHello                              ServerHello
 *     +---------+--------------------+         +---------+--------------------+
 *     | version | random (32)        |         | version | random (32)        |
 *     +---------+--+-----------------+         +---------+--+-----------------+
 *     | n | session id …             |         | n | session id …             |  not in drafts
 * of 1.3
 *     +--+-----------+ (DTLS)        |         +----------+--------+----------+
 *     | n | cookie … |               |         | cipher   | compr. |             compr.: likewise
 *     +----+-----------------+-------+         +----------+--------+----------+
 *     | n  | cipher suites … | n| compr. …     | n  | extensions …            |
 *     +----+-----------------+-------+         +------------------------------+
 *     | n  | extensions …            |
 *     +------------------------------+         extension: type (16), n (16), n bytes
 *
 * As in Zeek the size of the list of extensions is not believed: they go on to the message's end.
 */
#include <stdio.h>

#include "proto/tls.h"

enum {
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_GROUPS = 10,
    EXTENSION_POINT_FORMATS = 11,
    EXTENSION_SIGNATURE_ALGORITHMS = 13,
    EXTENSION_ALPN = 16,
    EXTENSION_TIMESTAMPS = 18,
    EXTENSION_SESSION_TICKET = 35,
    EXTENSION_KEY_SHARE_OLD = 40,
    EXTENSION_PRE_SHARED_KEY = 41,
    EXTENSION_VERSIONS = 43,
    EXTENSION_PSK_MODES = 45,
    EXTENSION_KEY_SHARE = 51,
    EXTENSION_CONNECTION_ID = 54,
};

struct hello {
    struct tls *tls;
    uint8_t message; /* TLS_CLIENT_HELLO or TLS_SERVER_HELLO */
    bool is_client;
};

/* A list of things that begin with their own size, which has one or two bytes. */
static void skip_vectors(struct reader *r, bool wide)
{
    while (rd_left(r) > 0)
        rd_skip(r, wide ? rd_be16(r) : rd_u8(r));
}

/* A reader over a part of `r` that was used up wrongly makes `r` wrong. */
static void check(struct reader *r, const struct reader *part)
{
    if (!rd_ok(part))
        rd_fail(r);
}

static void read_server_names(const struct hello *hello, struct reader *r)
{
    struct reader names = rd_sub(r, rd_be16(r));
    struct str first = {NULL, 0};
    unsigned n = 0;
    while (rd_left(&names) > 0) {
        uint8_t type = rd_u8(&names);
        if (type != 0) {
            char text[4];
            int len = snprintf(text, sizeof text, "%u", type);
            analysis_weird(hello->tls->analysis, "ssl_ext_unknown_server_name_type",
                           str_make(text, (size_t)len));
            rd_skip(&names, rd_left(&names));
            break;
        }
        uint16_t size = rd_be16(&names);
        struct str name = str_make(rd_bytes(&names, size), size);
        if (rd_ok(&names) && n++ == 0)
            first = name;
    }
    check(r, &names);
    if (!rd_ok(r))
        return;
    tls_begin(hello->tls);
    if (!hello->is_client || n == 0)
        return;
    tls_set_text(hello->tls, &hello->tls->info.server_name, first);
    if (n > 1)
        analysis_weird(hello->tls->analysis, "SSL_many_server_names", first);
}

static void read_protocols(const struct hello *hello, struct reader *r)
{
    struct reader names = rd_sub(r, rd_be16(r));
    struct str first = {NULL, 0};
    while (rd_left(&names) > 0) {
        uint8_t size = rd_u8(&names);
        struct str name = str_make(rd_bytes(&names, size), size);
        if (!str_set(first))
            first = name;
    }
    check(r, &names);
    if (!rd_ok(r))
        return;
    tls_begin(hello->tls);
    if (!hello->is_client && str_set(first))
        tls_set_text(hello->tls, &hello->tls->info.next_protocol, first);
}

static void read_key_share(const struct hello *hello, struct reader *r, bool is_retry)
{
    if (hello->message == TLS_CLIENT_HELLO) {
        struct reader shares = rd_sub(r, rd_be16(r));
        while (rd_left(&shares) > 0) {
            (void)rd_be16(&shares);
            rd_skip(&shares, rd_be16(&shares));
        }
        check(r, &shares);
        return;
    }
    uint16_t group = rd_be16(r);
    if (!is_retry)
        rd_skip(r, rd_be16(r));
    if (!rd_ok(r) || hello->is_client)
        return;
    tls_begin(hello->tls);
    hello->tls->info.has_curve = true;
    hello->tls->info.curve = group;
}

static void read_versions(const struct hello *hello, struct reader *r)
{
    if (hello->is_client) {
        struct reader versions = rd_sub(r, rd_u8(r));
        if (rd_left(&versions) % 2 != 0)
            rd_fail(r);
        return;
    }
    uint16_t version = rd_be16(r);
    if (!rd_ok(r))
        return;
    if (hello->tls->negotiated == TLS_UNKNOWN_VERSION)
        hello->tls->negotiated = version;
    tls_begin(hello->tls);
    hello->tls->info.has_version = true;
    hello->tls->info.version = version;
}

static void read_pre_shared_key(const struct hello *hello, struct reader *r)
{
    if (hello->message == TLS_SERVER_HELLO) {
        (void)rd_be16(r);
        return;
    }
    struct reader identities = rd_sub(r, rd_be16(r));
    while (rd_left(&identities) > 0) {
        rd_skip(&identities, rd_be16(&identities));
        rd_skip(&identities, 4); /* ticket age */
    }
    struct reader binders = rd_sub(r, rd_be16(r));
    skip_vectors(&binders, false);
    check(r, &identities);
    check(r, &binders);
}

static void read_timestamps(struct reader *r)
{
    struct reader list = rd_sub(r, rd_be16(r));
    while (rd_left(&list) > 0) {
        struct reader one = rd_sub(&list, rd_be16(&list));
        rd_skip(&one, 1 + 32 + 8); /* version, log, time */
        rd_skip(&one, rd_be16(&one));
        rd_skip(&one, 2);
        rd_skip(&one, rd_be16(&one));
        check(r, &one);
    }
    check(r, &list);
}

static void read_extension(const struct hello *hello, uint16_t type, struct reader *r)
{
    switch (type) {
    case EXTENSION_SERVER_NAME:
        read_server_names(hello, r);
        break;
    case EXTENSION_GROUPS:
        rd_skip(r, rd_be16(r) & ~1u);
        break;
    case EXTENSION_POINT_FORMATS:
    case EXTENSION_PSK_MODES:
    case EXTENSION_CONNECTION_ID:
        rd_skip(r, rd_u8(r));
        break;
    case EXTENSION_SIGNATURE_ALGORITHMS:
        (void)rd_be16(r);
        if (rd_left(r) % 2 != 0)
            rd_fail(r);
        break;
    case EXTENSION_ALPN:
        read_protocols(hello, r);
        break;
    case EXTENSION_TIMESTAMPS:
        read_timestamps(r);
        break;
    case EXTENSION_KEY_SHARE:
    case EXTENSION_KEY_SHARE_OLD:
        read_key_share(hello, r, rd_left(r) == 2);
        break;
    case EXTENSION_VERSIONS:
        read_versions(hello, r);
        break;
    case EXTENSION_PRE_SHARED_KEY:
        read_pre_shared_key(hello, r);
        break;
    default:
        break;
    }
}

static void read_extensions(const struct hello *hello, struct reader *r)
{
    if (rd_left(r) == 0)
        return;
    (void)rd_be16(r);
    while (rd_left(r) > 0) {
        uint16_t type = rd_be16(r);
        struct reader extension = rd_sub(r, rd_be16(r));
        if (!rd_ok(r))
            return;
        size_t size = rd_left(&extension);
        if (size > 0)
            read_extension(hello, type, &extension);
        check(r, &extension);
        if (rd_ok(r))
            tls_log_extension(hello->tls, hello->is_client, type, size);
    }
}

/* Whoever sends this message must be the client, or the server: else the parties are the other way
 * round than we thought. */
static void check_direction(struct tls *tls, int dir, bool from_client)
{
    if (tls_is_client(tls, dir) == from_client)
        return;
    tls->flipped = !tls->flipped;
    tls_flip(tls);
    if (!tls->flipped && !tls->flip_said) {
        tls->flip_said = true;
        analysis_weird(tls->analysis, "SSL_unclear_connection_direction", (struct str){NULL, 0});
    }
}

void tls_hello_request(struct tls *tls, int dir)
{
    check_direction(tls, dir, false);
}

static void fingerprint_client(struct tls *tls, struct reader hello, bool is_dtls)
{
    const struct flow_context *context = tls->analysis->context;
    if (context->ja3)
        tls_ja3(hello, is_dtls, tls->info.ja3);
    if (context->ja4 && !tls->info.ja4[0])
        tls_ja4(hello, is_dtls, tls->info.ja4);
}

void tls_client_hello(struct tls *tls, int dir, struct reader *r)
{
    check_direction(tls, dir, true);
    struct hello hello = {tls, TLS_CLIENT_HELLO, tls_is_client(tls, dir)};
    struct reader whole = *r;
    uint16_t version = rd_be16(r);
    bool is_dtls = version == TLS_DTLS10 || version == TLS_DTLS12;
    rd_skip(r, 32);
    uint8_t size = rd_u8(r);
    struct str session_id = str_make(rd_bytes(r, size), size);
    if (is_dtls)
        rd_skip(r, rd_u8(r));     /* cookie */
    rd_skip(r, rd_be16(r) & ~1u); /* cipher suites */
    rd_skip(r, rd_u8(r));         /* compression methods */
    read_extensions(&hello, r);
    if (!rd_ok(r))
        return;
    if (tls_version_ok(version)) {
        analysis_confirm(tls->analysis);
        tls_begin(tls);
    } else {
        if (!tls_violation(tls, "unsupported version of the client"))
            tls_skip(tls);
    }
    fingerprint_client(tls, whole, is_dtls);
    tls_log_client_hello(tls, session_id);
}

/* SHA-256 of "HelloRetryRequest": as the server's random it says that this is one (RFC
 * 8446, 4.1.3). */
static bool is_retry(struct str random)
{
    static const char magic[] = "\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91"
                                "\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";
    return random.len == 32 && memcmp(random.at, magic, 32) == 0;
}

void tls_server_hello(struct tls *tls, int dir, struct reader *r)
{
    check_direction(tls, dir, false);
    struct hello hello = {tls, TLS_SERVER_HELLO, tls_is_client(tls, dir)};
    struct reader whole = *r;
    uint16_t version = rd_be16(r);
    bool is_13 = version == TLS_V13 || version >> 8 == 0x7f;
    struct str random = str_make(rd_bytes(r, 32), 32);
    uint8_t size = is_13 ? 0 : rd_u8(r);
    struct str session_id = str_make(rd_bytes(r, size), size);
    uint16_t cipher = rd_be16(r);
    if (!is_13)
        (void)rd_u8(r); /* compression method */
    read_extensions(&hello, r);
    if (!rd_ok(r))
        return;
    const struct tls_cipher *known = tls_cipher_find(cipher);
    tls->key = known ? known->key : TLS_KEY_OTHER;
    if (!tls_version_ok(version) && !tls_violation(tls, "unsupported version of the server"))
        tls_skip(tls);
    if (tls->analysis->context->ja3)
        tls_ja3s(whole, tls->info.ja3s);
    tls_log_server_hello(tls, version, session_id, cipher, is_retry(random));
    if (tls->negotiated == TLS_UNKNOWN_VERSION)
        tls->negotiated = version;
}
