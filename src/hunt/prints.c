/* Fingerprints and user agents, by who has them: see prints.h. */
#include "hunt/prints.h"

#include "hunt/look.h"
#include "hunt/tell.h"

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
    } else if (from->n_dsts > 1 || memcmp(&into->dst, &from->dst, sizeof into->dst) != 0) {
        into->n_dsts = 2;
    }
    into->n += from->n;
    into->n_failed += from->n_failed;
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
    .version = 1,
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
}

const struct book_table print_client_table = {
    .name = "print_clients",
    .version = 1,
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

static bool is_browser(struct str agent)
{
    /* PowerShell calls itself Mozilla, too. */
    return (str_starts(agent, STR("Mozilla/")) || str_starts(agent, STR("Opera/"))) &&
           !memmem(agent.at, agent.len, "PowerShell", 10);
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
    int64_t ms = tell_ms(record->ts);
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
    client->has_browser |= kind == PRINT_AGENT && is_browser(print);
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
