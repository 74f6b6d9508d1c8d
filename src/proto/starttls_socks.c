/* SOCKS: version 5 (RFC 1928, 1929) and the request of version 4 with 4a's names. After the request
 * and the reply to it, the connection is that of the proxied protocol.
 *
 *     05 n methods[n]                          05 method
 *     01 n user[n] n password[n]               01 status              when the method is 2
 *     05 command 00 type address port(16)      05 status 00 type address port(16)
 *
 *     04 command port(16) address(32) user 00 [name 00]
 *
 * As in Zeek, a reply of version 4 is not understood, and what follows it is not looked at. */
#include "proto/starttls.h"

enum { METHOD_NONE = 0, METHOD_LOGIN = 2, METHOD_REFUSED = 0xff };

static struct starttls_socks_state *socks_of(struct analysis *a)
{
    return &starttls_of(a)->socks;
}

/* ---- recognition ---- */

static enum analyzer_match match_client_4(struct str client)
{
    struct reader r = rd_make(client.at, client.len);
    rd_skip(&r, 1);
    uint8_t command = rd_u8(&r);
    if (rd_ok(&r) && command != 1 && command != 2)
        return MATCH_NO;
    if (rd_left(&r) == 0)
        return MATCH_MORE;
    size_t n = rd_left(&r) < 33 ? rd_left(&r) : 33;
    struct str user = str_make(rd_bytes(&r, n), n);
    return memchr(user.at, 0, user.len) ? MATCH_YES : n < 33 ? MATCH_MORE : MATCH_NO;
}

static enum analyzer_match match_client_5(struct str client)
{
    struct reader r = rd_make(client.at, client.len);
    rd_skip(&r, 2);
    uint8_t method = rd_u8(&r);
    return !rd_ok(&r) ? MATCH_MORE : method <= METHOD_LOGIN ? MATCH_YES : MATCH_NO;
}

static enum analyzer_match match_server(uint8_t version, struct str server)
{
    if (server.len == 0)
        return MATCH_MORE;
    struct reader r = rd_make(server.at, server.len);
    uint8_t first = rd_u8(&r), second = rd_u8(&r), third = rd_u8(&r);
    if (first != (version == 4 ? 0 : 5))
        return MATCH_NO;
    if (server.len < 2)
        return MATCH_MORE;
    if (version == 4)
        return second >= 0x5a && second <= 0x5d ? MATCH_YES : MATCH_NO;
    if (second == 0)
        return MATCH_YES;
    if (second != 1)
        return MATCH_NO;
    return server.len < 3 ? MATCH_MORE : third <= METHOD_LOGIN ? MATCH_YES : MATCH_NO;
}

static enum analyzer_match socks_match(const struct probe *probe)
{
    struct str client = probe->data[FLOW_ORIG];
    if (client.len == 0 || (client.at[0] != 4 && client.at[0] != 5))
        return MATCH_NO;
    uint8_t version = (uint8_t)client.at[0];
    enum analyzer_match one = version == 4 ? match_client_4(client) : match_client_5(client);
    enum analyzer_match other = match_server(version, probe->data[FLOW_RESP]);
    return one < other ? one : other;
}

/* ---- messages ---- */

static size_t size_of_request_4(struct reader head)
{
    size_t whole = rd_left(&head);
    rd_skip(&head, 4);
    int n_texts = rd_be32(&head) <= 0xff ? 2 : 1;
    while (rd_left(&head) > 0 && n_texts > 0) {
        const uint8_t *end = memchr(head.at, 0, rd_left(&head));
        rd_skip(&head, end ? (size_t)(end - head.at) + 1 : rd_left(&head));
        n_texts -= end != NULL;
    }
    return rd_ok(&head) && n_texts == 0 ? whole - rd_left(&head) : 0;
}

static size_t size_of_login(struct reader head)
{
    size_t whole = rd_left(&head);
    uint8_t version = rd_u8(&head);
    if (whole > 0 && version != 1)
        return STARTTLS_NOT_MINE;
    rd_skip(&head, rd_u8(&head));
    uint8_t password_size = rd_u8(&head);
    return rd_ok(&head) ? whole - rd_left(&head) + password_size : 0;
}

/* Requests and replies are alike. */
static size_t size_of_request_5(struct reader head, bool is_request)
{
    size_t whole = rd_left(&head);
    uint8_t version = rd_u8(&head), command = rd_u8(&head), reserved = rd_u8(&head);
    uint8_t type = rd_u8(&head), name_size = rd_u8(&head);
    if (whole < 5)
        return 0;
    if (version != 5 || (is_request && (command < 1 || command > 3 || reserved != 0)))
        return STARTTLS_NOT_MINE;
    switch (type) {
    case 1:
        return 10;
    case 3:
        return 7u + name_size;
    case 4:
        return 22;
    default:
        return STARTTLS_NOT_MINE;
    }
}

static size_t size_of_client(const struct starttls_socks_state *socks, struct reader head)
{
    if (socks->done[FLOW_ORIG])
        return STARTTLS_NOT_MINE;
    if (socks->in_login)
        return socks->method == METHOD_LOGIN ? size_of_login(head) : STARTTLS_NOT_MINE;
    if (socks->has_method)
        return size_of_request_5(head, true);
    if (rd_left(&head) < 2)
        return 0;
    uint8_t version = rd_peek_u8(&head, 0);
    if (version == 4)
        return size_of_request_4(head);
    return version == 5 ? 2u + rd_peek_u8(&head, 1) : STARTTLS_NOT_MINE;
}

static size_t size_of_server(const struct starttls_socks_state *socks, struct reader head)
{
    if (socks->done[FLOW_RESP] || socks->version != 5)
        return STARTTLS_NOT_MINE;
    if (socks->has_method && !socks->in_login)
        return size_of_request_5(head, false);
    return 2;
}

static size_t socks_size(struct analysis *a, int dir, struct reader head)
{
    return dir == FLOW_ORIG ? size_of_client(socks_of(a), head) : size_of_server(socks_of(a), head);
}

/* A request: in tunnel.log, as the tunnel that it opens. */
static void note_request(struct analysis *a)
{
    if (a->context->proxied)
        a->context->proxied(a->context, a->flow);
}

static void socks_message(struct analysis *a, int dir, struct reader message)
{
    struct starttls_socks_state *socks = socks_of(a);
    uint8_t version = rd_u8(&message), value = rd_u8(&message);
    if (socks->in_login) {
        socks->in_login = dir == FLOW_ORIG;
    } else if (socks->has_method) {
        socks->done[dir] = true;
        if (dir == FLOW_ORIG)
            note_request(a);
    } else if (dir == FLOW_RESP) {
        if (version != 5) {
            analysis_finish(a);
            return;
        }
        socks->has_method = true;
        socks->method = value;
        socks->in_login = value != METHOD_NONE && value != METHOD_REFUSED;
    } else {
        socks->version = version;
        socks->done[FLOW_ORIG] = version == 4;
        if (version == 4)
            note_request(a);
    }
    if (socks->done[FLOW_ORIG] && socks->done[FLOW_RESP])
        starttls_inner(a);
}

const struct starttls_protocol starttls_socks = {
    .ports = {1080},
    .match = socks_match,
    .size = socks_size,
    .message = socks_message,
};
