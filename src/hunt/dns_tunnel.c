/* DNS tunnels: a client that carries data in the names it asks for, or in the answers.
 *
 * Counted for each client and registrable domain: what a tunnel cannot do without. Its names are
 * all different (else a cache would answer), there are many of them, they are long or of types that
 * programs seldom ask for, and they exist. Ordinary names are few for each domain: 12 at most in
 * captures of 15,000 ordinary queries, where tunnels had 220 to 9,000, of which 98 % and more were
 * asked once. Names are counted exactly up to some four thousand, and then to about 1 %. */
#include "hunt/dns_tunnel.h"

#include <stddef.h>

#include "hunt/look.h"
#include "hunt/services.h"
#include "hunt/tell.h"

#define BURST_MS      (10 * 60 * 1000)
#define ENTROPY_BYTES 64 /* of text below which entropy says little */

static const struct yaml_row rows[] = {
    {.key = "burst-names",
     .value = "NAMES",
     .help = "so many different names of one domain within ten minutes, asked for by\n"
             "one client, may be a tunnel. Ordinary clients ask for 12 at most",
     .kind = YAML_COUNT,
     .at = offsetof(struct dns_tunnel_settings, burst_names),
     .min = 5,
     .max = 100000},
    {.key = "day-names",
     .value = "NAMES",
     .help = "so many in the whole window may be one, however slowly",
     .kind = YAML_COUNT,
     .at = offsetof(struct dns_tunnel_settings, day_names),
     .min = 5,
     .max = 1000000},
    {.key = "unique-share",
     .help = "at least this share of the queries asks for a new name. Tunnels reach\n"
             "98% and more; lost and repeated packets lower it",
     .kind = YAML_SHARE,
     .at = offsetof(struct dns_tunnel_settings, unique_share),
     .min = 10,
     .max = 100},
    {.key = "slow-bytes",
     .value = "SIZE",
     .help = "what a client says to one domain in names, in a day, without being a\n"
             "slow tunnel",
     .kind = YAML_SIZE,
     .at = offsetof(struct dns_tunnel_settings, slow_bytes),
     .min = 1000,
     .max = 1u << 30},
    {.key = "polls",
     .value = "QUERIES",
     .help = "so many regular queries for text (TXT, NULL) of one domain, whose names\n"
             "or answers change, may be somebody waiting for orders",
     .kind = YAML_COUNT,
     .at = offsetof(struct dns_tunnel_settings, polls),
     .min = 6,
     .max = 100000},
    {.key = "entropy",
     .value = "HUNDREDTHS",
     .help = "of a bit for each byte of an answer's text, from which on it is shown:\n"
             "words have 420, mixed text and packed data more than 500",
     .kind = YAML_COUNT,
     .at = offsetof(struct dns_tunnel_settings, entropy),
     .min = 300,
     .max = 800},
    {.key = "resolver-domains",
     .value = "DOMAINS",
     .help = "a client that asks for more domains than this in a day is taken for a\n"
             "resolver: the finding says that somebody behind it asks",
     .kind = YAML_COUNT,
     .at = offsetof(struct dns_tunnel_settings, resolver),
     .min = 10,
     .max = 10000000},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct dns_tunnel_settings *)at = (struct dns_tunnel_settings){
        .burst_names = 20,
        .day_names = 100,
        .unique_share = 70,
        .slow_bytes = 20000,
        .polls = 12,
        .entropy = 500,
        .resolver = 1000,
    };
}

static void merge(void *at, const void *other)
{
    struct tunnel_value *into = at;
    const struct tunnel_value *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    if (into->n == 0)
        into->server = from->server;
    into->n += from->n;
    into->up += from->up;
    into->down += from->down;
    into->entropy += from->entropy;
    for (unsigned i = 0; i < TUNNEL_TYPES; i++)
        into->n_types[i] += from->n_types[i];
    into->n_answered += from->n_answered;
    into->n_missing += from->n_missing;
    for (unsigned i = 0; i < from->n_names && i < TUNNEL_FEW; i++) {
        bool known = false;
        for (unsigned k = 0; k < into->n_names && k < TUNNEL_FEW; k++)
            known |= into->few[k] == from->few[i];
        if (!known && into->n_names < TUNNEL_FEW)
            into->few[into->n_names] = from->few[i];
        into->n_names += !known;
    }
    if (from->n_names > TUNNEL_FEW)
        into->n_names = into->n_names > TUNNEL_FEW ? into->n_names : TUNNEL_FEW + 1;
    into->longest = into->longest > from->longest ? into->longest : from->longest;
    into->best_burst = into->best_burst > from->best_burst ? into->best_burst : from->best_burst;
    into->n_mixed += from->n_mixed;
    if (into->most_entropy < from->most_entropy)
        into->most_entropy = from->most_entropy;
    into->n_changes += from->n_changes;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
}

const struct book_table dns_tunnel_table = {
    .name = "dns_tunnel",
    .version = 1,
    .key_size = sizeof(struct tunnel_key),
    .value_size = sizeof(struct tunnel_value),
    .series_at = {offsetof(struct tunnel_value, polls)},
    .n_series = 1,
    .merge = merge,
};

static void merge_ordinary(void *at, const void *other)
{
    struct tunnel_ordinary *into = at;
    const struct tunnel_ordinary *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    into->n += from->n;
    into->up += from->up;
    into->is_more |= from->is_more;
}

const struct book_table dns_tunnel_ordinary = {
    .name = "dns_tunnel_ordinary",
    .version = 1,
    .key_size = sizeof(struct tunnel_key),
    .value_size = sizeof(struct tunnel_ordinary),
    .merge = merge_ordinary,
};

/* Names of pairs that ask for more than a few: part 0 until it is full, then all of it in parts 1
 * to TUNNEL_PARTS by the hash's first bits, each of which counts exactly for itself first. */
static void merge_names(void *into, const void *from)
{
    unique_merge(into, from);
}

const struct book_table dns_tunnel_names = {
    .name = "dns_tunnel_names",
    .version = 1,
    .key_size = sizeof(struct tunnel_key),
    .value_size = sizeof(struct unique),
    .merge = merge_names,
};

static void merge_clients(void *at, const void *other)
{
    struct tunnel_client_value *into = at;
    const struct tunnel_client_value *from = other;
    if (into->n == 0)
        into->asker = from->asker;
    into->n += from->n;
    /* Mostly the same ones on two days. */
    into->n_domains = into->n_domains > from->n_domains ? into->n_domains : from->n_domains;
}
const struct book_table dns_tunnel_clients = {
    .name = "dns_tunnel_clients",
    .version = 1,
    .key_size = sizeof(struct tunnel_client_key),
    .value_size = sizeof(struct tunnel_client_value),
    .merge = merge_clients,
};

static const struct book_table *const tables[] = {&dns_tunnel_table, &dns_tunnel_ordinary,
                                                  &dns_tunnel_names, &dns_tunnel_clients, NULL};

/* ---- taking ---- */

static enum tunnel_type type_of(const struct hunt_record *record)
{
    switch (record->dns.qtype) {
    case 1:
    case 28:
        return TUNNEL_ADDRESS;
    case 16:
        return TUNNEL_TXT;
    case 10:
    case 25:
        return TUNNEL_NULL;
    case 5:
        return TUNNEL_CNAME;
    case 15:
        return TUNNEL_MX;
    case 33:
        return TUNNEL_SRV;
    }
    if (record->dns.qtype >= 65280 && record->dns.qtype < 65535)
        return TUNNEL_NULL; /* RFC 6895: for private use */
    if (record->dns.qtype == HUNT_UNSET && str_eq(record->dns.qtype_name, STR("TXT")))
        return TUNNEL_TXT;
    return TUNNEL_OTHER;
}

/* Text that has a known form and is mixed by its nature: keys and proofs of who owns a domain. */
static bool is_known_text(struct str query, struct str text)
{
    static const char *const labels[] = {"_domainkey", "_dmarc", "_acme-challenge", "_spf", NULL};
    static const char *const words[] = {"v=spf1",       "v=DKIM", "v=DMARC", "k=rsa",
                                        "verification", "MS=ms",  "v=BIMI",  NULL};
    for (size_t i = 0; labels[i]; i++)
        if (memmem(query.at, query.len, labels[i], strlen(labels[i])))
            return true;
    for (size_t i = 0; words[i]; i++)
        if (memmem(text.at, text.len, words[i], strlen(words[i])))
            return true;
    return false;
}

static void take_text(const struct hunt_take *take, struct tunnel_value *value,
                      const struct hunt_record *record, struct str query)
{
    const struct dns_tunnel_settings *settings = take->settings;
    struct str text = record->dns.answers;
    if (!str_starts(text, STR("TXT ")) && record->dns.qtype != 16)
        return;
    if (text.len == 0)
        return;
    uint32_t hash = (uint32_t)book_hash(take->book, text);
    value->n_changes += value->last_answer != 0 && value->last_answer != hash;
    value->last_answer = hash;
    if (text.len < ENTROPY_BYTES || is_known_text(query, text))
        return;
    uint32_t entropy = (uint32_t)(look_entropy(text) * 100);
    if (entropy > value->most_entropy)
        value->most_entropy = entropy;
    value->n_mixed += entropy >= settings->entropy;
}

/* Whether the name is new to this client and domain. */
static bool count_name(struct book *book, const struct tunnel_key *key, struct tunnel_value *value,
                       uint32_t hash)
{
    if (value->n_names <= TUNNEL_FEW) {
        for (unsigned i = 0; i < value->n_names; i++)
            if (value->few[i] == hash)
                return false;
        if (value->n_names < TUNNEL_FEW) {
            value->few[value->n_names++] = hash;
            return true;
        }
    }
    struct tunnel_key part = *key;
    struct unique *whole = book_at(book, &dns_tunnel_names, &part, NULL);
    if (!whole)
        return false;
    if (value->n_names == TUNNEL_FEW) {
        value->n_names = TUNNEL_FEW + 1;
        for (unsigned i = 0; i < TUNNEL_FEW; i++)
            (void)unique_add(whole, value->few[i]);
    }
    if (!whole->is_parted && (whole->is_rounded || whole->n < UNIQUE_EXACT))
        return unique_add(whole, hash);
    if (!whole->is_parted) {
        /* Anew in the parts: making them may move what is kept. */
        struct unique full = *whole;
        for (unsigned i = 0; i < UNIQUE_EXACT; i++) {
            part.part = tunnel_part_of(full.hash[i]);
            struct unique *to = book_at(book, &dns_tunnel_names, &part, NULL);
            if (to)
                (void)unique_add(to, full.hash[i]);
        }
        part.part = 0;
        whole = book_at(book, &dns_tunnel_names, &part, NULL);
        if (whole) {
            memset(whole, 0, sizeof *whole);
            whole->is_parted = 1;
        }
    }
    part.part = tunnel_part_of(hash);
    struct unique *to = book_at(book, &dns_tunnel_names, &part, NULL);
    return to && unique_add(to, hash);
}

static void count_burst(struct tunnel_value *value, int64_t ms, bool is_new)
{
    if (ms < value->burst_from || ms - value->burst_from >= BURST_MS || value->burst == 0) {
        value->burst_from = ms;
        value->burst = 0;
    }
    value->burst += is_new;
    if (value->burst > value->best_burst)
        value->best_burst = value->burst;
}

static void take_client(const struct hunt_take *take, const struct hunt_record *record,
                        book_name domain, bool is_new_pair, bool has_many)
{
    struct tunnel_client_key key = {.client = record->orig};
    struct tunnel_client_value *client = NULL;
    if (is_new_pair) {
        client = book_at(take->book, &dns_tunnel_clients, &key, NULL);
        if (client)
            client->n_domains++;
    }
    if (!has_many)
        return;
    key = (struct tunnel_client_key){.client = record->resp, .domain = domain};
    client = book_at(take->book, &dns_tunnel_clients, &key, NULL);
    if (!client)
        return;
    if (client->n == 0)
        client->asker = record->orig;
    client->n++;
}

/* Counts one of the ordinary ones; false: this is one too many, or odd. */
static bool take_ordinary(struct tunnel_ordinary *value, const struct hunt_record *record,
                          uint32_t hash, uint32_t len)
{
    if (value->is_more || (record->dns.qtype != 1 && record->dns.qtype != 28) ||
        str_starts(record->dns.answers, STR("TXT ")))
        return false;
    bool known = false;
    for (unsigned i = 0; i < value->n_names && i < TUNNEL_ORDINARY; i++)
        known |= value->few[i] == hash;
    if (!known && value->n_names >= TUNNEL_ORDINARY)
        return false;
    if (!known)
        value->few[value->n_names++] = hash;
    tell_see(&value->first, &value->last, value->n, hunt_ms(record->ts));
    value->n++;
    value->up += len;
    return true;
}

/* The value that counts all, which takes over what was counted. NULL: no room. */
static struct tunnel_value *value_of(struct book *book, const struct tunnel_key *key,
                                     struct tunnel_ordinary *ordinary)
{
    struct tunnel_value *value = book_at(book, &dns_tunnel_table, key, NULL);
    if (!value || ordinary->is_more)
        return value;
    ordinary->is_more = 1;
    value->first = ordinary->first;
    value->last = ordinary->last;
    value->n = ordinary->n;
    value->up = ordinary->up;
    value->n_types[TUNNEL_ADDRESS] = ordinary->n;
    for (unsigned i = 0; i < ordinary->n_names && i < TUNNEL_ORDINARY; i++)
        value->few[value->n_names++] = ordinary->few[i];
    return value;
}

/* mDNS: names of neighbours, which are nobody's tunnel; only what they say of themselves. */
static bool is_multicast(const struct hunt_record *record)
{
    return record->resp_port == 5353 || record->resp_port == 5355 || record->resp_port == 137;
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    char buffer[256];
    struct str query = look_name(record->dns.query, buffer);
    if (!record->has_ends || query.len == 0)
        return;
    bool multicast = is_multicast(record);
    if (!memchr(query.at, '.', query.len) ||
        (multicast ? !str_starts(record->dns.answers, STR("TXT "))
                   : !hunt_keeps_dns(take->scope, &record->orig.addr, &record->resp.addr) ||
                         !hunt_keeps_domain(take->scope, query) || services_is_private(query)))
        return;
    struct str domain = hunt_registrable(query);
    struct str below = str_upto(query, query.len > domain.len ? query.len - domain.len - 1 : 0);
    struct tunnel_key key = {.domain = book_hash(take->book, domain), .client = record->orig};
    bool is_new_pair = false;
    struct tunnel_ordinary *ordinary =
        book_at(take->book, &dns_tunnel_ordinary, &key, &is_new_pair);
    if (!ordinary)
        return;
    if (is_new_pair)
        (void)book_text(take->book, domain);
    uint32_t hash = (uint32_t)book_hash(take->book, query);
    /* Of a zone that has many names by design they are not counted. */
    if (take_ordinary(ordinary, record, hash, below.len) ||
        (!multicast && services_of_zone(query))) {
        take_client(take, record, key.domain, is_new_pair, false);
        return;
    }
    struct tunnel_value *value = value_of(take->book, &key, ordinary);
    if (!value)
        return;
    int64_t ms = hunt_ms(record->ts);
    tell_see(&value->first, &value->last, value->n, ms);
    value->n++;
    static const struct hunt_host nobody;
    if (memcmp(&value->server, &nobody, sizeof nobody) == 0)
        value->server = record->resp;
    value->touched = take->round;
    enum tunnel_type type = type_of(record);
    value->n_types[type]++;
    value->n_answered += record->dns.rcode == 0 && record->dns.answers.len > 0;
    value->n_missing += record->dns.rcode == 3;
    value->down += record->dns.answers.len;
    take_text(take, value, record, query);
    if (multicast)
        return;
    value->up += below.len;
    value->entropy += (uint64_t)(look_entropy(below) * 1000);
    value->longest = value->longest > query.len ? value->longest : query.len;
    if (type == TUNNEL_TXT || type == TUNNEL_NULL) {
        struct book_event event = {.ts = ms,
                                   .up = below.len,
                                   .down = record->dns.answers.len,
                                   .failed = record->dns.rcode != 0};
        book_add_event(take->book, &value->polls, &event);
    }
    bool is_new = below.len > 0 && count_name(take->book, &key, value, hash);
    count_burst(value, ms, is_new);
    take_client(take, record, key.domain, is_new_pair, value->n_names > TUNNEL_FEW);
}

const struct hunt hunt_dns_tunnel = {
    .name = "dns-tunnel",
    .title = "DNS tunnels",
    .summary = "clients that carry data in the names they ask for, or in text answers",
    .logs = HUNT_LOG_BIT(HUNT_DNS),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct dns_tunnel_settings),
    .defaults = defaults,
    .take = take,
    .judge = dns_tunnel_judge,
};
