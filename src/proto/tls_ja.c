/* Fingerprints of hellos: JA3 and JA3S (Salesforce, 2017), JA4 (FoxIO, 2023; the TLS client's,
 * which is BSD-licensed). Values of GREASE are left out of all of them.
 *
 *     JA3   MD5 of  version,ciphers,extensions,groups,point formats     each list joined by "-"
 *     JA3S  MD5 of  version,cipher,extensions
 *     JA4   t13d1516h2_<sorted ciphers>_<sorted extensions>_            12 hexadecimal digits each
 *           │││ │ │ └ first and last character of the first ALPN
 *           │││ │ └ extensions      │└ version
 *           ││└ ciphers, d: has a server name, i: has none
 *
 * A hello with more of anything than there is room for here gets no fingerprint. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "proto/tls.h"

#define MAX_VALUES 512u

struct values {
    uint16_t n;
    uint16_t at[MAX_VALUES];
};

/* The parts of a client's hello that count. */
struct client {
    uint16_t version;
    uint16_t best_version; /* of the extension; 0: it is not there */
    bool has_name, failed;
    struct values ciphers, extensions, groups, formats, signatures;
    char alpn[2];
};

struct text {
    char at[16384];
    size_t len;
    bool failed;
};

static void add_value(struct client *client, struct values *values, uint16_t value)
{
    if (values->n == MAX_VALUES)
        client->failed = true;
    else
        values->at[values->n++] = value;
}

static void add_list(struct client *client, struct values *values, struct reader r)
{
    while (rd_left(&r) >= 2) {
        uint16_t value = rd_be16(&r);
        if (!tls_is_grease(value))
            add_value(client, values, value);
    }
}

static void read_versions(struct client *client, struct reader r)
{
    struct reader list = rd_sub(&r, rd_u8(&r));
    while (rd_left(&list) >= 2) {
        uint16_t version = rd_be16(&list);
        bool is_dtls = version >> 8 == 0xfe; /* there a smaller number is a newer version */
        if (!tls_is_grease(version) &&
            (client->best_version == 0 ||
             (is_dtls ? version < client->best_version : version > client->best_version)))
            client->best_version = version;
    }
}

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void read_alpn(struct client *client, struct reader r)
{
    static const char digits[] = "0123456789abcdef";
    (void)rd_be16(&r);
    struct reader name = rd_sub(&r, rd_u8(&r));
    size_t size = rd_left(&name);
    if (!rd_ok(&name) || size == 0)
        return;
    uint8_t first = rd_peek_u8(&name, 0);
    uint8_t last = rd_peek_u8(&name, size - 1);
    bool plain = is_alphanumeric(first) && is_alphanumeric(last);
    client->alpn[0] = plain ? (char)first : digits[first >> 4];
    client->alpn[1] = plain ? (char)last : digits[last & 15];
}

static void read_extension(struct client *client, uint16_t type, struct reader r)
{
    switch (type) {
    case 0:
        client->has_name = true;
        break;
    case 10:
        (void)rd_be16(&r);
        add_list(client, &client->groups, r);
        break;
    case 11:
        (void)rd_u8(&r);
        while (rd_left(&r) > 0)
            add_value(client, &client->formats, rd_u8(&r));
        break;
    case 13:
        (void)rd_be16(&r);
        add_list(client, &client->signatures, r);
        break;
    case 16:
        read_alpn(client, r);
        break;
    case 43:
        read_versions(client, r);
        break;
    default:
        break;
    }
}

static void read_client(struct reader r, bool is_dtls, struct client *out)
{
    memset(out, 0, sizeof *out);
    out->alpn[0] = out->alpn[1] = '0';
    out->version = rd_be16(&r);
    rd_skip(&r, 32);
    rd_skip(&r, rd_u8(&r));
    if (is_dtls)
        rd_skip(&r, rd_u8(&r));
    add_list(out, &out->ciphers, rd_sub(&r, rd_be16(&r)));
    rd_skip(&r, rd_u8(&r));
    if (rd_left(&r) > 0)
        (void)rd_be16(&r);
    while (rd_left(&r) > 0) {
        uint16_t type = rd_be16(&r);
        struct reader extension = rd_sub(&r, rd_be16(&r));
        if (!rd_ok(&r) || tls_is_grease(type))
            continue;
        add_value(out, &out->extensions, type);
        read_extension(out, type, extension);
    }
    if (!rd_ok(&r))
        out->failed = true;
}

static void put_char(struct text *text, char c)
{
    if (text->len < sizeof text->at)
        text->at[text->len++] = c;
    else
        text->failed = true;
}

static void put_number(struct text *text, uint16_t value)
{
    char digits[5];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n > 0)
        put_char(text, digits[--n]);
}

static void put_hex_number(struct text *text, uint16_t value)
{
    for (int shift = 12; shift >= 0; shift -= 4)
        put_char(text, "0123456789abcdef"[value >> shift & 15]);
}

static void put_values(struct text *text, const struct values *values)
{
    for (unsigned i = 0; i < values->n; i++) {
        if (i > 0)
            put_char(text, '-');
        put_number(text, values->at[i]);
    }
}

static void finish_md5(const struct text *text, char out[32])
{
    uint8_t digest[HASH_MD5_SIZE];
    if (text->failed)
        return;
    hash_md5(text->at, text->len, digest);
    hash_hex(digest, sizeof digest, out);
}

void tls_ja3(struct reader hello, bool is_dtls, char out[32])
{
    struct client client;
    read_client(hello, is_dtls, &client);
    if (client.failed)
        return;
    struct text text;
    text.len = 0;
    text.failed = false;
    put_number(&text, client.version);
    put_char(&text, ',');
    put_values(&text, &client.ciphers);
    put_char(&text, ',');
    put_values(&text, &client.extensions);
    put_char(&text, ',');
    put_values(&text, &client.groups);
    put_char(&text, ',');
    put_values(&text, &client.formats);
    finish_md5(&text, out);
}

void tls_ja3s(struct reader hello, char out[32])
{
    struct reader r = hello;
    struct text text;
    text.len = 0;
    text.failed = false;
    uint16_t version = rd_be16(&r);
    bool is_13 = version == TLS_V13 || version >> 8 == 0x7f;
    rd_skip(&r, 32);
    if (!is_13)
        rd_skip(&r, rd_u8(&r));
    put_number(&text, version);
    put_char(&text, ',');
    put_number(&text, rd_be16(&r));
    put_char(&text, ',');
    if (!is_13)
        (void)rd_u8(&r);
    if (rd_left(&r) > 0)
        (void)rd_be16(&r);
    for (bool first = true; rd_left(&r) > 0; first = false) {
        if (!first)
            put_char(&text, '-');
        put_number(&text, rd_be16(&r));
        rd_skip(&r, rd_be16(&r));
    }
    if (rd_ok(&r))
        finish_md5(&text, out);
}

static int by_value(const void *a, const void *b)
{
    uint16_t left;
    uint16_t right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
}

static void put_hex_values(struct text *text, const struct values *values)
{
    for (unsigned i = 0; i < values->n; i++) {
        if (i > 0)
            put_char(text, ',');
        put_hex_number(text, values->at[i]);
    }
}

static void put_short_hash(struct text *text, char out[12])
{
    uint8_t digest[HASH_SHA256_SIZE];
    memset(out, '0', 12);
    if (text->len == 0)
        return;
    hash_sha256(text->at, text->len, digest);
    hash_hex(digest, 6, out);
}

static const char *ja4_version(const struct client *client)
{
    switch (client->best_version ? client->best_version : client->version) {
    case TLS_V13:
        return "13";
    case TLS_V12:
        return "12";
    case TLS_V11:
        return "11";
    case TLS_V10:
        return "10";
    case TLS_SSLV3:
        return "s3";
    case TLS_SSLV2:
        return "s2";
    case TLS_DTLS10:
        return "d1";
    case TLS_DTLS12:
        return "d2";
    case TLS_DTLS13:
        return "d3";
    default:
        return "00";
    }
}

void tls_ja4(struct reader hello, bool is_dtls, char out[40])
{
    struct client client;
    read_client(hello, is_dtls, &client);
    if (client.failed)
        return;
    char ciphers[12];
    char extensions[12];
    struct text text;
    text.len = 0;
    text.failed = false;
    qsort(client.ciphers.at, client.ciphers.n, sizeof *client.ciphers.at, by_value);
    put_hex_values(&text, &client.ciphers);
    put_short_hash(&text, ciphers);

    unsigned n_extensions = client.extensions.n;
    struct values others = {.n = 0};
    for (unsigned i = 0; i < n_extensions; i++)
        if (client.extensions.at[i] != 0 && client.extensions.at[i] != 16)
            others.at[others.n++] = client.extensions.at[i];
    qsort(others.at, others.n, sizeof *others.at, by_value);
    text.len = 0;
    put_hex_values(&text, &others);
    if (client.signatures.n > 0 && others.n > 0)
        put_char(&text, '_');
    put_hex_values(&text, &client.signatures);
    put_short_hash(&text, extensions);
    if (text.failed)
        return;
    (void)snprintf(out, 40, "%c%s%c%02u%02u%c%c_%.12s_%.12s", is_dtls ? 'd' : 't',
                   ja4_version(&client), client.has_name ? 'd' : 'i',
                   client.ciphers.n > 99 ? 99u : (unsigned)client.ciphers.n,
                   n_extensions > 99 ? 99u : n_extensions, client.alpn[0], client.alpn[1], ciphers,
                   extensions);
}
