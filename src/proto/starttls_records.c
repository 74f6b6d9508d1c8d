/* Protocols of binary messages that turn into TLS: LDAP (RFC 4511, 4.14), MySQL and PostgreSQL
 * (their manuals on the client/server protocol), RDP (MS-RDPBCGR 2.2.1.1, over TPKT and X.224).
 *
 *     30 length  02 id  77 length  80 length OID …             LDAP, extended request
 *     30 length  02 id  78 length  0a 01 result …              LDAP, extended response
 *
 *     length (24, little endian)  number  flags (32, little endian) …     MySQL, client's answer
 *
 *     00 00 00 08  04 d2 16 2f   and one byte back: S or N      PostgreSQL
 *
 *     03 00 length (16)  length d0 …  02 flags length (16) selected (32, little endian)   RDP */
#include "proto/starttls.h"

static enum analyzer_match match_bytes(struct str data, struct str start)
{
    size_t n = data.len < start.len ? data.len : start.len;
    if (!str_eq(str_upto(data, n), str_upto(start, n)))
        return MATCH_NO;
    return data.len < start.len ? MATCH_MORE : MATCH_YES;
}

/* The client's first bytes were as they should be: now those of the server. */
static enum analyzer_match and_server(enum analyzer_match client, bool has_reply, bool is_good)
{
    if (client == MATCH_NO || !has_reply)
        return client == MATCH_NO ? MATCH_NO : MATCH_MORE;
    return is_good ? client : MATCH_NO;
}

/* ---- LDAP ---- */

enum { LDAP_EXTENDED_REQUEST = 0x77, LDAP_EXTENDED_RESPONSE = 0x78 };

/* BER's length; the reader fails when it is cut. */
static size_t read_length(struct reader *r)
{
    uint8_t first = rd_u8(r);
    if (!(first & 0x80))
        return first;
    unsigned n = first & 0x7f;
    if (n == 0 || n > 4) {
        rd_fail(r);
        return STARTTLS_NOT_MINE;
    }
    size_t length = 0;
    while (n-- > 0)
        length = length << 8 | rd_u8(r);
    return length;
}

/* The tag of the operation in a message, and the reader at what is in it. */
static uint8_t open_operation(struct reader *r)
{
    if (rd_u8(r) != 0x30)
        rd_fail(r);
    (void)read_length(r);
    if (rd_u8(r) != 2)
        rd_fail(r);
    size_t id_size = read_length(r);
    if (id_size == 0 || id_size > 4)
        rd_fail(r);
    rd_skip(r, id_size);
    uint8_t tag = rd_u8(r);
    (void)read_length(r);
    return tag;
}

static enum analyzer_match ldap_match(const struct probe *probe)
{
    static const uint8_t requests[] = {0x4a, 0x60, 0x63, 0x66, 0x68, 0x6c, 0x6e, 0x77};
    struct str client = probe->data[FLOW_ORIG], server = probe->data[FLOW_RESP];
    if (client.len == 0 || client.at[0] != 0x30)
        return MATCH_NO;
    struct reader r = rd_make(client.at, client.len);
    uint8_t tag = open_operation(&r);
    if (!rd_ok(&r))
        return client.len < 24 ? MATCH_MORE : MATCH_NO;
    if (!memchr(requests, tag, sizeof requests))
        return MATCH_NO;
    return and_server(MATCH_YES, server.len > 0, server.len > 0 && server.at[0] == 0x30);
}

static size_t ldap_size(struct analysis *a, int dir, struct reader head)
{
    (void)a;
    (void)dir;
    size_t whole = rd_left(&head);
    if (whole < 2)
        return 0;
    if (rd_u8(&head) != 0x30)
        return STARTTLS_NOT_MINE;
    size_t length = read_length(&head);
    if (length == STARTTLS_NOT_MINE)
        return STARTTLS_NOT_MINE;
    return rd_ok(&head) ? whole - rd_left(&head) + length : 0;
}

static void ldap_message(struct analysis *a, int dir, struct reader message)
{
    static const struct str oid = STR("1.3.6.1.4.1.1466.20037");
    struct starttls *s = starttls_of(a);
    uint8_t tag = open_operation(&message);
    if (dir == FLOW_ORIG && tag == LDAP_EXTENDED_REQUEST) {
        if (rd_u8(&message) != 0x80)
            return;
        size_t size = read_length(&message);
        struct str name = str_make(rd_bytes(&message, size), size);
        if (rd_ok(&message) && str_eq(name, oid))
            s->requested = true;
    } else if (dir == FLOW_RESP && tag == LDAP_EXTENDED_RESPONSE && s->requested) {
        bool is_code = rd_u8(&message) == 0x0a && read_length(&message) == 1;
        if (is_code && rd_u8(&message) == 0 && rd_ok(&message))
            starttls_tls(a);
    }
}

const struct starttls_protocol starttls_ldap = {
    .ports = {389, 3268},
    .match = ldap_match,
    .size = ldap_size,
    .message = ldap_message,
};

/* ---- MySQL ---- */

#define MYSQL_CLIENT_SSL 0x800u

static size_t mysql_size(struct analysis *a, int dir, struct reader head)
{
    (void)a;
    (void)dir;
    if (rd_left(&head) < 4)
        return 0;
    size_t length = rd_le16(&head);
    return 4 + (length | (size_t)rd_u8(&head) << 16);
}

/* Only the first message of each side counts. */
static void mysql_message(struct analysis *a, int dir, struct reader message)
{
    struct starttls *s = starttls_of(a);
    rd_skip(&message, 4);
    if (dir == FLOW_RESP && s->version == 0) {
        s->version = rd_u8(&message);
        if (s->version == 10)
            return;
    } else if (dir == FLOW_ORIG && s->version == 10 && rd_le32(&message) & MYSQL_CLIENT_SSL) {
        starttls_tls(a);
        return;
    }
    analysis_finish(a);
}

const struct starttls_protocol starttls_mysql = {
    .ports = {1434, 3306},
    .size = mysql_size,
    .message = mysql_message,
};

/* ---- PostgreSQL ---- */

static const struct str postgresql_request = STR("\0\0\0\x08\x04\xd2\x16\x2f");

static enum analyzer_match postgresql_match(const struct probe *probe)
{
    struct str server = probe->data[FLOW_RESP];
    struct str client = probe->data[FLOW_ORIG];
    if (client.len == 0)
        return MATCH_NO;
    bool is_answer = server.len > 0 && (server.at[0] == 'S' || server.at[0] == 'N');
    return and_server(match_bytes(client, postgresql_request), server.len > 0, is_answer);
}

static size_t postgresql_size(struct analysis *a, int dir, struct reader head)
{
    (void)head;
    if (dir == FLOW_ORIG)
        return starttls_of(a)->requested ? STARTTLS_NOT_MINE : postgresql_request.len;
    return starttls_of(a)->requested ? 1 : STARTTLS_NOT_MINE;
}

static void postgresql_message(struct analysis *a, int dir, struct reader message)
{
    struct starttls *s = starttls_of(a);
    size_t size = rd_left(&message);
    struct str text = str_make(rd_bytes(&message, size), size);
    if (dir == FLOW_ORIG && str_eq(text, postgresql_request))
        s->requested = true;
    else if (dir == FLOW_RESP && str_eq(text, STR("S")))
        starttls_tls(a);
    else
        analysis_finish(a);
}

const struct starttls_protocol starttls_postgresql = {
    .ports = {5432},
    .match = postgresql_match,
    .size = postgresql_size,
    .message = postgresql_message,
};

/* ---- RDP ---- */

enum { X224_CONNECTION_REQUEST = 0xe0, X224_CONNECTION_CONFIRM = 0xd0, RDP_NEGOTIATION = 2 };

/* A cookie that names the user tells the client, X.224's code the server. */
static enum analyzer_match rdp_match(const struct probe *probe)
{
    static const struct str cookie = STR("Cookie: mstshash=");
    struct str client = probe->data[FLOW_ORIG], server = probe->data[FLOW_RESP];
    if (client.len == 0 || client.at[0] != 3)
        return MATCH_NO;
    if (!memmem(client.at, client.len, cookie.at, cookie.len))
        return client.len < 11 + cookie.len ? MATCH_MORE : MATCH_NO;
    bool is_confirm = server.len > 5 && (uint8_t)server.at[5] == X224_CONNECTION_CONFIRM;
    return and_server(MATCH_YES, server.len > 5, is_confirm);
}

static size_t rdp_size(struct analysis *a, int dir, struct reader head)
{
    (void)a;
    (void)dir;
    if (rd_left(&head) < 4)
        return 0;
    uint8_t version = rd_u8(&head);
    rd_skip(&head, 1);
    uint16_t size = rd_be16(&head);
    return version == 3 && size >= 7 ? size : STARTTLS_NOT_MINE;
}

/* Whatever is selected, but RDP's own security (0), is TLS or inside TLS. */
static void rdp_message(struct analysis *a, int dir, struct reader message)
{
    struct starttls *s = starttls_of(a);
    rd_skip(&message, 5);
    uint8_t code = rd_u8(&message);
    if (dir == FLOW_ORIG && code == X224_CONNECTION_REQUEST && !s->requested) {
        s->requested = true;
        return;
    }
    rd_skip(&message, 5);
    uint8_t type = rd_u8(&message);
    rd_skip(&message, 3);
    uint32_t selected = rd_le32(&message);
    if (dir == FLOW_RESP && code == X224_CONNECTION_CONFIRM && type == RDP_NEGOTIATION && selected)
        starttls_tls(a);
    else
        analysis_finish(a);
}

const struct starttls_protocol starttls_rdp = {
    .ports = {3389},
    .match = rdp_match,
    .size = rdp_size,
    .message = rdp_message,
};
