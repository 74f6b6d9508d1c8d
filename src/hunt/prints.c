/* Fingerprints and user agents, by who has them: see prints.h. */
#include "hunt/prints.h"

#include "hunt/certificate.h"
#include "hunt/look.h"
#include "hunt/tell.h"

#define DAY_MS 86400000

const char *const print_names[PRINT_KINDS] = {
    [PRINT_JA3] = "JA3",          [PRINT_JA4] = "JA4",   [PRINT_HASSH] = "HASSH",
    [PRINT_AGENT] = "user agent", [PRINT_JA3S] = "JA3S", [PRINT_HASSH_SERVER] = "HASSHServer",
};

static void merge_prints(void *at, const void *other)
{
    struct print_value *into = at;
    const struct print_value *from = other;
    bool is_first = into->n == 0;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    if (is_first) {
        into->dst = from->dst;
        into->n_dsts = from->n_dsts;
        into->port = from->port;
        into->certificate = from->certificate;
    } else if (from->n_dsts > 1 || memcmp(&into->dst, &from->dst, sizeof into->dst) != 0) {
        into->n_dsts = 2;
    }
    into->n += from->n;
    into->n_failed += from->n_failed;
    into->n_self_signed += from->n_self_signed;
    for (unsigned i = 0; i < from->n_names && i < PRINT_NAMES; i++) {
        bool known = false;
        for (unsigned k = 0; k < into->n_names && k < PRINT_NAMES; k++)
            known |= into->names[k] == from->names[i];
        if (known || into->n_names > PRINT_NAMES)
            continue;
        if (into->n_names < PRINT_NAMES)
            into->names[into->n_names] = from->names[i];
        into->n_names++;
    }
    if (from->n_names > PRINT_NAMES)
        into->n_names = PRINT_NAMES + 1;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
}

const struct book_table print_table = {
    .name = "prints",
    .version = 2,
    .key_size = sizeof(struct print_key),
    .value_size = sizeof(struct print_value),
    .merge = merge_prints,
};

static void merge_hosts(void *at, const void *other)
{
    struct print_hosts_value *into = at;
    const struct print_hosts_value *from = other;
    uint32_t n = into->n > from->n ? into->n : from->n;
    if (into->n == 0)
        into->first = from->first;
    else if (n == 1 && memcmp(&into->first, &from->first, sizeof into->first) != 0)
        n = 2;
    into->n = n;
}

const struct book_table print_hosts_table = {
    .name = "print_hosts",
    .version = 1,
    .key_size = sizeof(struct print_hosts_key),
    .value_size = sizeof(struct print_hosts_value),
    .merge = merge_hosts,
};

static void merge_clients(void *at, const void *other)
{
    struct print_client_value *into = at;
    const struct print_client_value *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    into->n += from->n;
    into->n_prints = into->n_prints > from->n_prints ? into->n_prints : from->n_prints;
    into->has_browser |= from->has_browser;
    into->n_browsers = into->n_browsers > from->n_browsers ? into->n_browsers : from->n_browsers;
}

const struct book_table print_client_table = {
    .name = "print_clients",
    .version = 2,
    .key_size = sizeof(struct print_client_key),
    .value_size = sizeof(struct print_client_value),
    .merge = merge_clients,
};

uint64_t print_about(struct str print)
{
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */
    for (uint32_t i = 0; i < print.len; i++)
        hash = (hash ^ (uint8_t)print.at[i]) * 0x100000001b3;
    return hash;
}

/* The number behind the word, "Chrome/" say; 0: the word is not there. */
static unsigned version_of(struct str agent, const char *word)
{
    const char *at = memmem(agent.at, agent.len, word, strlen(word));
    unsigned version = 0;
    if (!at)
        return 0;
    for (at += strlen(word); at < agent.at + agent.len && *at >= '0' && *at <= '9'; at++)
        version = version < 1000 ? version * 10 + (unsigned)(*at - '0') : version;
    return version;
}

bool prints_says_browser(struct str agent)
{
    /* The first versions with TLS 1.3. Chrome 60 is what Android calls itself when it looks for a
     * way out, whatever browsers it has. */
    static const struct {
        const char *word;
        unsigned least;
    } browsers[] = {{" Chrome/", 70}, {" Firefox/", 63}, {" Version/", 13}};
    if (!str_starts(agent, STR("Mozilla/5.0 (")))
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (version_of(agent, browsers[i].word) >= browsers[i].least)
            return true;
    return false;
}

bool prints_like_browser(struct str ja4)
{
    /* t13d1516h2_...: how, version, name, ciphers, extensions, what is spoken within. */
    if (ja4.len < 10)
        return false;
    if (ja4.at[8] == 'h' && ja4.at[9] == '3')
        return true;
    if (ja4.at[8] != 'h' || ja4.at[9] != '2' || ja4.at[6] < '0' || ja4.at[6] > '9')
        return false;
    return (ja4.at[6] - '0') * 10 + (ja4.at[7] - '0') >= 13;
}

static bool is_browser(struct str agent)
{
    /* PowerShell calls itself Mozilla, too. */
    return (str_starts(agent, STR("Mozilla/")) || str_starts(agent, STR("Opera/"))) &&
           !memmem(agent.at, agent.len, "PowerShell", 10);
}

static bool is_self_signed(const struct hunt_record *record)
{
    struct str said = str_upto(record->ssl.validation, 256);
    return (record->ssl.subject.len > 0 && str_eq(record->ssl.subject, record->ssl.issuer)) ||
           (said.len > 0 && (memmem(said.at, said.len, "self signed", 11) ||
                             memmem(said.at, said.len, "self-signed", 11)));
}

static void take_one(const struct hunt_take *take, const struct hunt_record *record,
                     enum print_kind kind, struct str print, struct str name, bool failed)
{
    struct print_key key = {.print = print.len ? book_hash(take->book, print) : 0,
                            .src = record->orig,
                            .kind = (uint32_t)kind};
    bool is_new = false;
    struct print_value *value = book_at(take->book, &print_table, &key, &is_new);
    if (!value)
        return;
    if (is_new)
        (void)book_text(take->book, print);
    int64_t ms = hunt_ms(record->ts);
    if (value->n == 0) {
        value->dst = record->resp;
        value->n_dsts = 1;
        value->port = record->resp_port;
    } else if (memcmp(&value->dst, &record->resp, sizeof value->dst) != 0) {
        value->n_dsts = 2;
    }
    tell_see(&value->first, &value->last, value->n, ms);
    value->n++;
    value->n_failed += failed;
    value->touched = take->round;
    if (record->log == HUNT_SSL) {
        value->n_self_signed += is_self_signed(record);
        if (value->n == 1)
            value->certificate = certificate_of(take->book, record);
    }
    if (name.len > 0 && value->n_names <= PRINT_NAMES) {
        book_name hash = book_hash(take->book, name);
        bool known = false;
        for (unsigned i = 0; i < value->n_names && i < PRINT_NAMES; i++)
            known |= value->names[i] == hash;
        if (!known && value->n_names < PRINT_NAMES)
            value->names[value->n_names] = book_text(take->book, name);
        value->n_names = (uint16_t)(value->n_names + !known);
    }
    if (is_new) {
        struct print_hosts_key hosts_key = {.print = key.print, .kind = key.kind};
        struct print_hosts_value *hosts = book_at(take->book, &print_hosts_table, &hosts_key, NULL);
        if (hosts && hosts->n++ == 0)
            hosts->first = record->orig;
    }
    struct print_client_key client_key = {.src = record->orig, .kind = key.kind};
    struct print_client_value *client = book_at(take->book, &print_client_table, &client_key, NULL);
    if (!client)
        return;
    tell_see(&client->first, &client->last, client->n, ms);
    client->n++;
    client->n_prints += is_new;
    client->has_browser |= (kind == PRINT_AGENT && is_browser(print)) ||
                           (kind == PRINT_JA4 && prints_like_browser(print));
    if (kind == PRINT_AGENT && is_new && client->n_browsers < UINT8_MAX)
        client->n_browsers = (uint8_t)(client->n_browsers + prints_says_browser(print));
}

void prints_take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (!record->has_ends)
        return;
    enum hunt_way way = hunt_way(take->scope, &record->orig.addr, &record->resp.addr);
    if (way == HUNT_IN || way == HUNT_OUTSIDE)
        return;
    char buffer[256];
    switch (record->log) {
    case HUNT_SSL:
    case HUNT_QUIC: {
        struct str name = look_name(record->ssl.server_name, buffer);
        bool failed = record->log == HUNT_SSL && !record->ssl.established;
        if (record->ssl.ja3.len > 0)
            take_one(take, record, PRINT_JA3, record->ssl.ja3, name, failed);
        if (record->ssl.ja4.len > 0)
            take_one(take, record, PRINT_JA4, record->ssl.ja4, name, failed);
        if (record->ssl.ja3s.len > 0)
            take_one(take, record, PRINT_JA3S, record->ssl.ja3s, name, failed);
        return;
    }
    case HUNT_HTTP:
        /* Of later requests of a connection too: a proxy's carry many clients. */
        take_one(take, record, PRINT_AGENT, str_upto(record->http.user_agent, 512),
                 look_name(record->http.host, buffer), false);
        return;
    case HUNT_SSH: {
        bool failed = record->ssh.auth_success == 0;
        if (record->ssh.hassh.len > 0)
            take_one(take, record, PRINT_HASSH, record->ssh.hassh, STR(""), failed);
        if (record->ssh.hassh_server.len > 0)
            take_one(take, record, PRINT_HASSH_SERVER, record->ssh.hassh_server, STR(""), failed);
        return;
    }
    default:
        return;
    }
}

/* ---- signs ---- */

bool prints_is_lonely(const struct hunt_judge *judge, const struct print_value *value,
                      uint32_t least, struct finding *finding)
{
    struct hunt_prevalence known = {0};
    if (value->n_names == 1)
        known = hunt_prevalence_of_name(judge, value->names[0]);
    else if (value->n_dsts == 1)
        known = hunt_prevalence_of(judge, &value->dst);
    else
        return false;
    if (known.of < least || known.n > 1)
        return false;
    finding_because(finding, "no other of %u internal hosts knows where it goes", known.of);
    return true;
}

bool prints_is_new(const struct hunt_judge *judge, const struct print_key *key,
                   const struct print_value *value, struct finding *finding)
{
    struct print_client_key client_key = {.src = key->src, .kind = key->kind};
    struct print_client_value client = {0};
    if (!books_find(&judge->books, &print_client_table, &client_key, &client) ||
        value->first < judge->from || client.first >= value->first - DAY_MS)
        return false;
    finding_because(finding, "new: this machine is known since %.1f days before without it",
                    (double)(value->first - client.first) / DAY_MS);
    return true;
}
