/* Line protocols that turn into TLS: SMTP (RFC 3207), FTP (RFC 4217), POP3 and IMAP (RFC 2595).
 * The client sends a command; when the reply to it agrees, TLS begins after that line:
 *
 *     STARTTLS           220 go ahead          SMTP
 *     AUTH TLS           234 go ahead          FTP
 *     AUTH GSSAPI        334 go ahead          FTP: in lines (starttls_adat.c)
 *     STLS               +OK go ahead          POP3
 *     a1 STARTTLS        a1 OK go ahead        IMAP
 *
 * Replies come in the order of commands (the first is the greeting); IMAP's carry the command's
 * tag. On unusual ports the first three are found by greeting and first commands, and are then
 * told apart by the command alone. */
#include "proto/starttls.h"

/* What a reply begins with, where it is not three digits. */
enum { REPLY_NONE, REPLY_PLUS, REPLY_MINUS };

struct row {
    uint16_t ports[4];
    struct str commands[2]; /* any of them */
    struct str argument;    /* unset: whatever it is */
    uint16_t reply;
    bool is_counted; /* the reply is known by its place only */
    bool is_tagged;
    bool is_in_lines; /* TLS comes inside lines */

    /* What tells it on any port; unset: nothing does. */
    struct str greeting;
    struct str hellos[6];
};

static const struct row rows[] = {
    {
        .ports = {25, 587},
        .commands = {STR("STARTTLS"), STR("X-ANONYMOUSTLS")},
        .reply = 220,
        .is_counted = true,
        .greeting = STR("220"),
        .hellos = {STR("EHLO"), STR("HELO")},
    },
    {
        .ports = {21, 2811},
        .commands = {STR("AUTH")},
        .argument = STR("TLS"),
        .reply = 234,
        .greeting = STR("220"),
        .hellos = {STR("USER ")},
    },
    {
        .ports = {21, 2811},
        .commands = {STR("AUTH")},
        .argument = STR("GSSAPI"),
        .reply = 334,
        .is_in_lines = true,
        .greeting = STR("220"),
    },
    {
        .commands = {STR("STLS")},
        .reply = REPLY_PLUS,
        .is_counted = true,
        .greeting = STR("+OK"),
        .hellos = {STR("USER "), STR("APOP "), STR("CAPA"), STR("AUTH"), STR("STLS")},
    },
    {
        .ports = {143},
        .commands = {STR("STARTTLS")},
        .is_tagged = true,
    },
};

#define N_ROWS (sizeof rows / sizeof *rows)

/* ---- recognition ---- */

static struct str skip_blanks(struct str text)
{
    while (text.len > 0 && (text.at[0] == ' ' || (text.at[0] >= '\t' && text.at[0] <= '\r')))
        text = str_from(text, 1);
    return text;
}

static enum analyzer_match match_start(struct str text, struct str prefix)
{
    size_t n = text.len < prefix.len ? text.len : prefix.len;
    if (!str_eq_nocase(str_upto(text, n), str_upto(prefix, n)))
        return MATCH_NO;
    return text.len < prefix.len ? MATCH_MORE : MATCH_YES;
}

static enum analyzer_match match_hello(const struct row *row, struct str line)
{
    enum analyzer_match best = MATCH_NO;
    for (size_t i = 0; i < sizeof row->hellos / sizeof *row->hellos; i++) {
        if (!str_set(row->hellos[i]))
            break;
        enum analyzer_match one = match_start(line, row->hellos[i]);
        best = one > best ? one : best;
    }
    return best;
}

/* Any of the client's lines will do, but the server must have greeted first, unless the capture has
 * the packets the wrong way round. */
static enum analyzer_match match_row(const struct row *row, const struct probe *probe)
{
    struct str client = skip_blanks(probe->data[FLOW_ORIG]);
    struct str server = skip_blanks(probe->data[FLOW_RESP]);
    if (server.len == 0)
        return match_hello(row, client) == MATCH_NO ? MATCH_NO : MATCH_MORE;
    enum analyzer_match greeting = match_start(server, row->greeting);
    if (greeting != MATCH_YES)
        return greeting;
    while (client.len > 0) {
        if (match_hello(row, client) == MATCH_YES)
            return MATCH_YES;
        const char *end = memchr(client.at, '\n', client.len);
        client = skip_blanks(str_from(client, end ? (size_t)(end - client.at) : client.len));
    }
    return MATCH_MORE;
}

static enum analyzer_match lines_match(const struct probe *probe)
{
    enum analyzer_match best = MATCH_NO;
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!str_set(rows[i].greeting))
            continue;
        enum analyzer_match one = match_row(&rows[i], probe);
        best = one > best ? one : best;
    }
    return best;
}

/* ---- the conversation ---- */

static struct str next_word(struct str *rest)
{
    *rest = str_trim(*rest);
    uint32_t n = 0;
    while (n < rest->len && rest->at[n] != ' ' && rest->at[n] != '\t')
        n++;
    struct str word = str_upto(*rest, n);
    *rest = str_trim(str_from(*rest, n));
    return word;
}

static bool is_spoken(const struct row *row, const struct analysis *a, bool by_content)
{
    if (by_content)
        return str_set(row->greeting);
    uint16_t port = flow_port(a->flow, FLOW_RESP);
    for (size_t i = 0; i < sizeof row->ports / 2 && row->ports[i]; i++)
        if (row->ports[i] == port)
            return true;
    return false;
}

static bool is_command(const struct row *row, struct str word, struct str argument)
{
    if (str_set(row->argument) && !str_eq(row->argument, argument))
        return false;
    return str_eq_nocase(word, row->commands[0]) ||
           (str_set(row->commands[1]) && str_eq_nocase(word, row->commands[1]));
}

static void read_command(struct analysis *a, struct str line)
{
    struct starttls_lines_state *lines = &starttls_of(a)->lines;
    lines->n_commands++;
    for (size_t i = 0; i < N_ROWS; i++) {
        struct str rest = line;
        if (!is_spoken(&rows[i], a, lines->by_content))
            continue;
        struct str tag = rows[i].is_tagged ? next_word(&rest) : (struct str){NULL, 0};
        struct str word = next_word(&rest);
        if (tag.len > sizeof lines->tag || !is_command(&rows[i], word, rest))
            continue;
        lines->row = (uint8_t)(i + 1);
        lines->upgrade = lines->n_commands;
        lines->tag_size = (uint8_t)tag.len;
        if (tag.len > 0)
            memcpy(lines->tag, tag.at, tag.len);
        return;
    }
}

/* The code that a reply has with its last line; REPLY_NONE: this was not the last line, or it is
 * about work still to be done. */
static uint16_t reply_code(struct starttls_lines_state *lines, struct str line)
{
    if (line.len > 0 && line.at[0] == '+')
        return REPLY_PLUS;
    if (line.len > 0 && line.at[0] == '-')
        return REPLY_MINUS;
    uint16_t code = 0;
    for (uint32_t i = 0; i < 3; i++) {
        if (i >= line.len || line.at[i] < '0' || line.at[i] > '9')
            return REPLY_NONE;
        code = (uint16_t)(code * 10 + (line.at[i] - '0'));
    }
    bool is_last = line.len == 3 || line.at[3] != '-';
    if (lines->pending && (code != lines->pending || !is_last))
        return REPLY_NONE;
    lines->pending = is_last ? 0 : code;
    return is_last && code >= 200 ? code : REPLY_NONE;
}

static void read_tagged_reply(struct analysis *a, struct str line)
{
    struct starttls_lines_state *lines = &starttls_of(a)->lines;
    struct str tag = next_word(&line);
    if (!str_eq(tag, str_make(lines->tag, lines->tag_size)))
        return;
    if (str_eq_nocase(next_word(&line), STR("OK")))
        starttls_tls(a);
    else
        lines->row = 0;
}

static void read_reply(struct analysis *a, struct str line)
{
    struct starttls_lines_state *lines = &starttls_of(a)->lines;
    const struct row *row = lines->row ? &rows[lines->row - 1] : NULL;
    if (row && row->is_tagged) {
        read_tagged_reply(a, line);
        return;
    }
    uint16_t code = reply_code(lines, line);
    if (code == REPLY_NONE)
        return;
    uint32_t number = lines->n_replies++;
    if (row && code == row->reply && (!row->is_counted || number == lines->upgrade))
        row->is_in_lines ? starttls_adat(a) : starttls_tls(a);
}

static void lines_message(struct analysis *a, int dir, struct reader message)
{
    size_t size = rd_left(&message);
    struct str line = str_make(rd_bytes(&message, size), size);
    while (line.len > 0 && (line.at[line.len - 1] == '\r' || line.at[line.len - 1] == '\n'))
        line.len--;
    line = str_trim(line);
    if (dir == FLOW_ORIG)
        read_command(a, line);
    else
        read_reply(a, line);
}

const struct starttls_protocol starttls_lines = {
    .ports = {21, 25, 143, 587, 2811},
    .match = lines_match,
    .delimiter = '\n',
    .message = lines_message,
};
