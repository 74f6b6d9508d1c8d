/* What only RITA's rows need of the records: user agents and JA3 by source and name, responses of
 * an odd type, and the names below each domain. */
#include <libpsl.h>
#include <stddef.h>

#include "hunt/rita_mime.h"
#include "hunt/rita_parts.h"

#define NAME_MAX_LEN 1024 /* what a book keeps of a text */
#define HOUR_MS      3600000

static void merge_signature(void *into_value, const void *from_value)
{
    struct rita_signature_value *into = into_value;
    const struct rita_signature_value *from = from_value;
    if (from->last > into->last)
        into->last = from->last;
    into->many_dsts |= from->many_dsts | (from->dst != into->dst);
}

static void merge_nothing(void *into, const void *from)
{
    (void)into; /* all of it is in the series */
    (void)from;
}

static void add_resolver(struct rita_name_value *value, uint32_t tag, uint32_t last)
{
    for (unsigned i = 0; i < RITA_RESOLVERS; i++) {
        struct rita_resolver *resolver = &value->resolvers[i];
        if (resolver->tag != 0 && resolver->tag != tag)
            continue;
        resolver->tag = tag;
        if (last > resolver->last)
            resolver->last = last;
        return;
    }
}

static void merge_name(void *into_value, const void *from_value)
{
    struct rita_name_value *into = into_value;
    const struct rita_name_value *from = from_value;
    if (from->last > into->last)
        into->last = from->last;
    into->n += from->n;
    for (unsigned i = 0; i < RITA_RESOLVERS && from->resolvers[i].tag != 0; i++)
        add_resolver(into, from->resolvers[i].tag, from->resolvers[i].last);
}

static void merge_domain(void *into_value, const void *from_value)
{
    struct rita_domain_value *into = into_value;
    const struct rita_domain_value *from = from_value;
    into->n += from->n;
    into->n_refused += from->n_refused;
}

static void merge_asked(void *into_value, const void *from_value)
{
    struct rita_asked_value *into = into_value;
    const struct rita_asked_value *from = from_value;
    if (from->last > into->last)
        into->last = from->last;
}

const struct book_table rita_signature_table = {
    .name = "rita-signatures",
    .version = 1,
    .key_size = sizeof(struct rita_signature_key),
    .value_size = sizeof(struct rita_signature_value),
    .merge = merge_signature,
};

const struct book_table rita_mime_table = {
    .name = "rita-mime",
    .version = 1,
    .key_size = sizeof(struct rita_mime_key),
    .value_size = sizeof(struct rita_mime_value),
    .series_at = {offsetof(struct rita_mime_value, mismatches)},
    .n_series = 1,
    .merge = merge_nothing,
};

const struct book_table rita_name_table = {
    .name = "rita-names",
    .version = 1,
    .key_size = sizeof(struct rita_name_key),
    .value_size = sizeof(struct rita_name_value),
    .merge = merge_name,
};

const struct book_table rita_domain_table = {
    .name = "rita-domains",
    .version = 1,
    .key_size = sizeof(struct rita_domain_key),
    .value_size = sizeof(struct rita_domain_value),
    .merge = merge_domain,
};

static void merge_querier(void *into_value, const void *from_value)
{
    struct rita_querier_value *into = into_value;
    const struct rita_querier_value *from = from_value;
    if (from->last > into->last)
        into->last = from->last;
}

const struct book_table rita_querier_table = {
    .name = "rita-queriers",
    .version = 1,
    .key_size = sizeof(struct rita_querier_key),
    .value_size = sizeof(struct rita_querier_value),
    .merge = merge_querier,
};

const struct book_table rita_asked_table = {
    .name = "rita-asked",
    .version = 1,
    .key_size = sizeof(struct rita_asked_key),
    .value_size = sizeof(struct rita_asked_value),
    .merge = merge_asked,
};

static const struct book_table *const tables[] = {
    &rita_signature_table,
    &rita_mime_table,
    &rita_name_table,
    &rita_domain_table,
    &rita_asked_table,
    &rita_querier_table,
    NULL,
};

uint64_t rita_host_id(const struct book *book, const struct hunt_host *host)
{
    return book_hash(book, str_make(host, sizeof *host));
}

struct str rita_cut(struct str name)
{
    unsigned dots = 0;
    uint32_t starts[2] = {0, 0}; /* of the last two labels, and of the last three */
    for (uint32_t i = name.len; i > 0 && dots < 3; i--)
        if (name.at[i - 1] == '.' && ++dots > 1)
            starts[dots - 2] = i;
    if (dots < 2)
        return name;
    struct str two = str_from(name, starts[0]);
    char text[256];
    if (two.len >= sizeof text || memchr(two.at, '\0', two.len))
        return two;
    memcpy(text, two.at, two.len);
    text[two.len] = '\0';
    bool is_suffix =
        psl_is_public_suffix2(psl_builtin(), text, PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) != 0;
    return is_suffix ? str_from(name, starts[1]) : two;
}

/* ---- records ---- */

static int64_t ms_of(int64_t ns)
{
    return ns >= 0 ? ns / 1000000 : (ns - 999999) / 1000000;
}

static uint32_t minute_of(int64_t ns)
{
    int64_t minute = ns / 60000000000;
    return minute < 0 ? 0 : minute > UINT32_MAX ? UINT32_MAX : (uint32_t)minute;
}

static struct str lower(struct str text, char room[NAME_MAX_LEN])
{
    text = str_upto(text, NAME_MAX_LEN);
    for (uint32_t i = 0; i < text.len; i++)
        room[i] = str_lower_char(text.at[i]);
    return str_make(room, text.len);
}

static void take_signature(const struct hunt_take *take, const struct hunt_record *record,
                           enum rita_signature_kind kind, uint64_t to, struct str text)
{
    struct rita_signature_key key = {.src = record->orig, .kind = kind, .to = to};
    key.signature = book_text(take->book, text);
    bool is_new;
    struct rita_signature_value *value = book_at(take->book, &rita_signature_table, &key, &is_new);
    if (value == NULL)
        return;
    int64_t ms = ms_of(record->ts);
    uint64_t dst = rita_host_id(take->book, &record->resp);
    if (is_new) {
        value->last = ms;
        value->dst = dst;
    }
    if (ms > value->last)
        value->last = ms;
    value->many_dsts |= value->dst != dst;
}

/* A host that somebody asked for something else than itself. */
static void take_asked(const struct hunt_take *take, const struct hunt_host *host, int64_t ns)
{
    if (!hunt_is_internal(take->scope, &host->addr))
        return;
    struct rita_asked_key key = {.host = *host};
    bool is_new;
    struct rita_asked_value *value = book_at(take->book, &rita_asked_table, &key, &is_new);
    if (value && (is_new || ms_of(ns) > value->last))
        value->last = ms_of(ns);
}

static void take_mime(const struct hunt_take *take, const struct hunt_record *record,
                      book_name name)
{
    if (!rita_mime_mismatch(record->http.uri, record->http.resp_mime))
        return;
    struct rita_mime_key key = {.src = record->orig, .name = name};
    bool is_new;
    struct rita_mime_value *value = book_at(take->book, &rita_mime_table, &key, &is_new);
    struct book_event event = {.ts = ms_of(record->ts)};
    if (value)
        book_add_event(take->book, &value->mismatches, &event);
}

static void take_http(const struct hunt_take *take, const struct hunt_record *record)
{
    const struct hunt_scope *scope = take->scope;
    bool connect = str_eq(record->http.method, STR("CONNECT"));
    char room[NAME_MAX_LEN];
    struct str host = lower(record->http.host, room);
    if (host.len == 0) {
        if (hunt_keeps_conn(scope, &record->orig.addr, &record->resp.addr))
            take_signature(take, record, RITA_TO_ADDRESS, rita_host_id(take->book, &record->resp),
                           record->http.user_agent);
        return;
    }
    /* Of a proxy's connections only the source counts, which is one that DNS would be kept of. */
    bool kept = connect ? hunt_keeps_dns(scope, &record->orig.addr, &record->orig.addr)
                        : hunt_keeps_conn(scope, &record->orig.addr, &record->resp.addr);
    if (!kept || !hunt_is_internal(scope, &record->orig.addr) || !hunt_keeps_domain(scope, host))
        return;
    book_name name = book_hash(take->book, host);
    if (record->http.user_agent.len > 0)
        take_signature(take, record, RITA_TO_NAME, name, record->http.user_agent);
    take_mime(take, record, name);
    if (connect)
        take_asked(take, &record->resp, record->ts);
}

static void take_ssl(const struct hunt_take *take, const struct hunt_record *record)
{
    char room[NAME_MAX_LEN];
    struct str name = lower(record->ssl.server_name, room);
    if (name.len == 0 || record->ssl.ja3.len == 0 ||
        !hunt_is_internal(take->scope, &record->orig.addr) ||
        !hunt_keeps_conn(take->scope, &record->orig.addr, &record->resp.addr) ||
        !hunt_keeps_domain(take->scope, name))
        return;
    take_signature(take, record, RITA_TO_NAME, book_hash(take->book, name), record->ssl.ja3);
}

static bool ends_with(struct str name, struct str end)
{
    return name.len >= end.len && str_eq(str_from(name, name.len - end.len), end);
}

/* The name's value, made where there was none and its domain has room. */
static struct rita_name_value *name_at(struct book *book, book_name name, struct str text)
{
    struct rita_name_key key = {.name = name};
    struct rita_name_value *value = book_find(book, &rita_name_table, &key);
    if (value)
        return value;
    struct str registrable = hunt_registrable(text), cut = rita_cut(text);
    struct rita_domain_key domain_key = {.registrable = book_text(book, registrable)};
    bool is_new;
    struct rita_domain_value *domain = book_at(book, &rita_domain_table, &domain_key, &is_new);
    if (domain == NULL)
        return NULL;
    if (domain->n >= RITA_NAMES_MAX) {
        domain->n_refused++;
        return NULL;
    }
    value = book_at(book, &rita_name_table, &key, &is_new);
    if (value == NULL)
        return NULL;
    domain->n++;
    value->registrable = domain_key.registrable;
    value->cut = book_text(book, cut);
    value->last = INT64_MIN;
    return value;
}

static void take_querier(struct book *book, book_name domain, const struct hunt_record *record)
{
    struct rita_querier_key key = {.domain = domain, .src = record->orig};
    bool is_new;
    struct rita_querier_value *value = book_at(book, &rita_querier_table, &key, &is_new);
    if (value && (is_new || ms_of(record->ts) > value->last))
        value->last = ms_of(record->ts);
}

/* The names above count as well, down to the domain: a.b.example.com makes three. */
static void take_above(struct book *book, struct str name, int64_t ms)
{
    struct str registrable = hunt_registrable(name), cut = rita_cut(name);
    uint32_t least = registrable.len < cut.len ? registrable.len : cut.len;
    while (name.len > least) {
        const char *dot = memchr(name.at, '.', name.len);
        if (dot == NULL)
            return;
        name = str_from(name, (size_t)(dot - name.at) + 1);
        if (name.len < least)
            return;
        struct rita_name_value *value = name_at(book, book_hash(book, name), name);
        if (value && ms > value->last)
            value->last = ms;
    }
}

static void take_dns(const struct hunt_take *take, const struct hunt_record *record)
{
    char room[NAME_MAX_LEN];
    struct str query = lower(record->dns.query, room);
    if (query.len == 0 || memchr(query.at, '.', query.len) == NULL ||
        !hunt_keeps_dns(take->scope, &record->orig.addr, &record->resp.addr) ||
        !hunt_keeps_domain(take->scope, query))
        return;
    take_asked(take, &record->resp, record->ts);
    /* Names of addresses and of machines nearby are many, and nobody's domain. */
    if (ends_with(query, STR(".arpa")) || ends_with(query, STR(".local")))
        return;
    int64_t ms = ms_of(record->ts);
    struct rita_name_value *value = name_at(take->book, book_hash(take->book, query), query);
    if (value == NULL)
        return;
    value->n++;
    if (hunt_is_internal(take->scope, &record->resp.addr))
        add_resolver(value, rita_host_tag(rita_host_id(take->book, &record->resp)),
                     minute_of(record->ts));
    bool is_other_hour = ms / HOUR_MS != value->last / HOUR_MS;
    if (ms > value->last)
        value->last = ms;
    book_name cut = value->cut, registrable = value->registrable;
    take_querier(take->book, cut, record);
    if (registrable != cut)
        take_querier(take->book, registrable, record);
    if (is_other_hour) /* windows begin with an hour: within one, nothing changes above */
        take_above(take->book, query, ms);
}

static void rita_take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (!record->has_ends)
        return;
    if (record->log == HUNT_HTTP)
        take_http(take, record);
    else if (record->log == HUNT_SSL)
        take_ssl(take, record);
    else if (record->log == HUNT_DNS)
        take_dns(take, record);
}

/* ---- settings ---- */

static const char *const configs[] = {"code", "shipped", NULL};

static const struct yaml_row rows[] = {
    {.key = "config",
     .help = "values of its modifiers and thresholds: those in its code, or those of\n"
             "the configuration file that it ships (prevalence and rare signatures\n"
             "count 0.15 there, and beacons are medium from 70 on)",
     .kind = YAML_WORD,
     .at = offsetof(struct rita_settings, config),
     .words = configs},
    {.key = NULL},
};

void rita_options_of(struct rita_options *options, const void *settings)
{
    const struct rita_settings *given = settings;
    if (given && given->config == RITA_CONFIG_SHIPPED)
        rita_options_init(options);
    else
        rita_options_code(options);
}

const struct hunt hunt_rita = {
    .name = "rita",
    .title = "RITA's rows",
    .summary = "Scores connections, names and domains as RITA does",
    .logs = HUNT_LOG_BIT(HUNT_HTTP) | HUNT_LOG_BIT(HUNT_SSL) | HUNT_LOG_BIT(HUNT_DNS),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct rita_settings),
    .take = rita_take,
};
