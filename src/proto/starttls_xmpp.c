/* XMPP (RFC 6120, 5): a stream of XML in which the client sends <starttls/> and the server
 * <proceed/>; TLS begins after the latter's ">". The XML is not parsed: only the names of tags
 * count. */
#include "proto/starttls.h"

/* ---- recognition: (<?xml … ?>)? blanks <stream:stream … xmlns='jabber: ---- */

static enum analyzer_match match_literal(struct str *text, struct str literal)
{
    size_t n = text->len < literal.len ? text->len : literal.len;
    if (!str_eq(str_upto(*text, n), str_upto(literal, n)))
        return MATCH_NO;
    if (text->len < literal.len)
        return MATCH_MORE;
    *text = str_from(*text, literal.len);
    return MATCH_YES;
}

static enum analyzer_match match_declaration(struct str *text)
{
    struct str rest = *text;
    enum analyzer_match answer = match_literal(&rest, STR("<?xml"));
    if (answer != MATCH_YES)
        return answer == MATCH_MORE ? MATCH_MORE : MATCH_YES; /* there need not be one */
    while (rest.len > 0 && rest.at[0] != '?' && rest.at[0] != '>')
        rest = str_from(rest, 1);
    answer = match_literal(&rest, STR("?>"));
    *text = rest;
    return answer;
}

static enum analyzer_match match_stream(struct str text)
{
    if (text.len == 0 || !memchr("<\r\n ", text.at[0], 4))
        return MATCH_NO;
    enum analyzer_match answer = match_declaration(&text);
    if (answer != MATCH_YES)
        return answer;
    while (text.len > 0 && memchr("\r\n ", text.at[0], 3))
        text = str_from(text, 1);
    answer = match_literal(&text, STR("<stream:stream "));
    if (answer != MATCH_YES)
        return answer;
    const char *end = memchr(text.at, '>', text.len);
    struct str tag = end ? str_upto(text, (size_t)(end - text.at)) : text;
    static const struct str space = STR("xmlns='jabber:");
    return memmem(tag.at, tag.len, space.at, space.len) ? MATCH_YES : end ? MATCH_NO : MATCH_MORE;
}

static enum analyzer_match xmpp_match(const struct probe *probe)
{
    enum analyzer_match client = match_stream(probe->data[FLOW_ORIG]);
    enum analyzer_match server = match_stream(probe->data[FLOW_RESP]);
    return client > server ? client : server;
}

/* ---- the conversation ---- */

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (str_lower_char(c) >= 'a' && str_lower_char(c) <= 'z') ||
           c == ':' || c == '?';
}

/* After these nobody asks for TLS any more. */
static bool is_too_late(struct str name)
{
    static const struct str late[] = {STR("success"), STR("message"), STR("db:result"),
                                      STR("db:verify"), STR("presence")};
    for (size_t i = 0; i < sizeof late / sizeof *late; i++)
        if (str_eq(name, late[i]))
            return true;
    return false;
}

/* All up to a ">". */
static void xmpp_message(struct analysis *a, int dir, struct reader message)
{
    struct starttls *s = starttls_of(a);
    size_t size = rd_left(&message);
    struct str text = str_make(rd_bytes(&message, size), size);
    const char *open = memchr(text.at, '<', text.len);
    if (!open)
        return;
    struct str name = str_from(text, (size_t)(open - text.at) + 1);
    uint32_t n = 0;
    while (n < name.len && is_name_char(name.at[n]))
        n++;
    name.len = n;
    if (is_too_late(name))
        analysis_finish(a);
    else if (dir == FLOW_ORIG && str_eq(name, STR("starttls")))
        s->requested = true;
    else if (dir == FLOW_RESP && s->requested && str_eq(name, STR("proceed")))
        starttls_tls(a);
}

const struct starttls_protocol starttls_xmpp = {
    .ports = {5222, 5269},
    .match = xmpp_match,
    .delimiter = '>',
    .message = xmpp_message,
};
