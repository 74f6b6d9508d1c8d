/* What quic.log says of a hello: that it came, the server's name and the first protocol that the
 * client offers. Everything else is in ssl.log, for which ssl.c reads the same bytes.
 *
 *     | type (8) | length (24) | version (16) | random (256) | n, session id | n, ciphers
 *     | n, compression methods | n (16) | extensions: type (16), n (16), n bytes
 *
 * As in Zeek the size of the list of extensions is not believed. */
#include "proto/quic.h"
#include "proto/tls.h"

enum { EXTENSION_SERVER_NAME = 0, EXTENSION_ALPN = 16 };

#define MAX_LIST 4096 /* characters of the list of protocols in weird.log */

static void read_server_name(struct quic *q, struct reader r)
{
    struct reader names = rd_sub(&r, rd_be16(&r));
    uint8_t type = rd_u8(&names);
    struct str name = quic_read_str(&names, rd_be16(&names));
    if (rd_ok(&names) && type == 0 && q->row.begun)
        quic_log_text(q, &q->row.server_name, name);
}

struct list {
    char text[MAX_LIST];
    size_t len;
};

static void put(struct list *list, struct str text)
{
    text = str_upto(text, sizeof list->text - list->len);
    if (text.len > 0)
        memcpy(list->text + list->len, text.at, text.len);
    list->len += text.len;
}

static void read_protocols(struct quic *q, struct reader r)
{
    struct reader names = rd_sub(&r, rd_be16(&r));
    struct str first = {NULL, 0};
    struct list list;
    list.len = 0;
    unsigned n = 0;
    for (; rd_left(&names) > 0; n++) {
        struct str name = quic_read_str(&names, rd_u8(&names));
        if (n == 0)
            first = name;
        put(&list, n == 0 ? STR("[") : STR(", "));
        put(&list, name);
    }
    put(&list, STR("]"));
    if (!rd_ok(&names) || n == 0 || !q->row.begun)
        return;
    quic_log_text(q, &q->row.protocol, first);
    if (n > 1)
        analysis_weird(q->analysis, "QUIC_many_protocols", str_make(list.text, list.len));
}

static bool read_client_hello(struct quic *q, struct reader *r)
{
    rd_skip(r, 2 + 32);
    rd_skip(r, rd_u8(r));         /* session id */
    rd_skip(r, rd_be16(r) & ~1u); /* cipher suites */
    rd_skip(r, rd_u8(r));         /* compression methods */
    if (rd_left(r) > 0)
        (void)rd_be16(r);
    while (rd_left(r) > 0) {
        uint16_t type = rd_be16(r);
        struct reader extension = rd_sub(r, rd_be16(r));
        if (type == EXTENSION_SERVER_NAME)
            read_server_name(q, extension);
        else if (type == EXTENSION_ALPN)
            read_protocols(q, extension);
    }
    return rd_ok(r);
}

void quic_read_hello(struct quic *q, struct str message)
{
    struct reader r = rd_make(message.at, message.len);
    uint8_t type = rd_u8(&r);
    rd_skip(&r, 3);
    if (type == TLS_CLIENT_HELLO && read_client_hello(q, &r) && q->row.begun)
        quic_log_history(q, true, 's');
    else if (type == TLS_SERVER_HELLO && q->row.begun)
        quic_log_history(q, false, 's');
}
