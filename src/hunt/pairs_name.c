/* Connections by name: what http, ssl and quic records say, and how it comes to its connection. */
#include "hunt/pairs_parts.h"

void pairs_add_host(struct hunt_host *hosts, uint8_t *n, const struct hunt_host *host)
{
    for (unsigned i = 0; i < *n; i++)
        if (memcmp(&hosts[i], host, sizeof *host) == 0)
            return;
    if (*n < NAMED_SERVERS)
        hosts[(*n)++] = *host;
}

void *pairs_named_at(struct pairs *pairs, struct book *book, book_name name, int32_t text_day,
                     const struct hunt_host *src, uint8_t way)
{
    struct named_key key = {.name = name, .src = *src};
    bool is_new;
    struct named_value *value = book_at(book, &named_table, &key, &is_new);
    /* A name that is asked of a proxy and of a server inside as well is one outside. */
    if (value && (is_new || way < value->sum.way))
        value->sum.way = way;
    if (value && is_new) {
        struct book *other = text_day == book_day(book) ? NULL : pairs_book(pairs, text_day);
        struct str text = other ? book_name_text(other, name) : (struct str){0};
        if (str_set(text))
            (void)book_text(book, text); /* its hash is the name */
    }
    return value;
}

static void put_same(struct book *book, const struct conn_facts *conn, struct join_name *name)
{
    struct same_key key = {.src = conn->src, .dst = conn->dst, .name = name->name};
    bool is_new;
    struct same_value *same = book_at(book, &same_table, &key, &is_new);
    if (same)
        same->n++;
    name->same = true;
}

static void put_named(struct pairs *pairs, struct book *book, const struct conn_facts *conn,
                      const struct join_name *name)
{
    struct named_value *value =
        pairs_named_at(pairs, book, name->name, name->day, &conn->src, name->way);
    if (!value)
        return;
    pairs_sum_conn(pairs, book, &value->sum, conn, name->name);
    if (name->proxied) {
        value->sum.n_proxied++;
        pairs_add_host(value->proxies, &value->n_proxies, &conn->dst);
    } else {
        pairs_add_host(value->servers, &value->n_servers, &conn->dst);
    }
    struct book_event event = pairs_event_of(conn);
    book_add_event(book, &value->conns, &event);
}

/* The connection counts for the newest of its http names, as in RITA; and for that of its TLS. A
 * newest request without a name has it all by address. */
void pairs_settle_one(void *with, struct join_entry *entry)
{
    struct pairs *pairs = with;
    if (!entry->conn || entry->is_settled || entry->n_names == 0)
        return;
    const struct conn_facts *conn = join_conn(pairs->join, entry);
    struct book *book = pairs_book(pairs, pairs_day(conn->ts));
    if (!book)
        return;
    struct join_name *newest[2] = {NULL, NULL};
    for (struct join_name *name = join_names(pairs->join, entry); name;
         name = join_next(pairs->join, name)) {
        struct join_name **best = &newest[name->kind];
        if (!*best || name->ts > (*best)->ts ||
            (name->ts == (*best)->ts && name->name > (*best)->name))
            *best = name;
        if (name->name && !name->same)
            put_same(book, conn, name);
    }
    book_name carried = 0;
    for (int kind = 0; kind < 2; kind++) {
        if (!newest[kind] || entry->carried[kind])
            continue;
        entry->carried[kind] = true;
        if (newest[kind]->name && newest[kind]->name != carried)
            put_named(pairs, book, conn, newest[kind]);
        carried = newest[kind]->name;
    }
    entry->is_settled = true;
    pairs_waits_no_more(pairs, entry);
}

/* join_fetch_fn: first the connection and its names, then where they go to. */
void pairs_settle_fetch(void *with, const struct join_entry *entry, unsigned step)
{
    struct pairs *pairs = with;
    if (!entry->conn || entry->is_settled || entry->n_names == 0)
        return;
    const struct conn_facts *conn = join_conn(pairs->join, entry);
    const struct join_name *name = join_names(pairs->join, entry);
    if (step == 0) {
        __builtin_prefetch(conn);
        __builtin_prefetch(name);
        return;
    }
    const struct book *book = pairs_book(pairs, pairs_day(conn->ts));
    if (!book || !name->name)
        return;
    struct named_key named = {.name = name->name, .src = conn->src};
    struct same_key same = {.src = conn->src, .dst = conn->dst, .name = name->name};
    book_fetch(book, &named_table, &named, step - 1);
    book_fetch(book, &same_table, &same, step - 1);
}

/* Which name the record looks up. */
static book_name name_ahead(const struct book *book, const struct hunt_record *record)
{
    char room[PAIRS_NAME_MAX];
    struct str name = record->log == HUNT_DNS ? record->dns.query
                      : record->log == HUNT_HTTP || record->log == HUNT_OPEN_HTTP
                          ? record->http.host
                          : record->ssl.server_name;
    return book_hash(book, pairs_lower(name, room));
}

void pairs_fetch_name(struct pairs *pairs, const struct book *book, unsigned step,
                      const struct hunt_record *record)
{
    static const uint32_t with_name = HUNT_LOG_BIT(HUNT_DNS) | HUNT_LOG_BIT(HUNT_HTTP) |
                                      HUNT_LOG_BIT(HUNT_OPEN_HTTP) | HUNT_LOG_BIT(HUNT_SSL) |
                                      HUNT_LOG_BIT(HUNT_OPEN_SSL) | HUNT_LOG_BIT(HUNT_QUIC);
    if (!(with_name & HUNT_LOG_BIT(record->log)) || !record->has_ends)
        return;
    struct ahead_slot *slot = &pairs->ahead[(uintptr_t)record / sizeof *record % AHEAD_SLOTS];
    if (step == 0)
        *slot = (struct ahead_slot){record, name_ahead(book, record)};
    if (slot->record != record || slot->name == 0)
        return;
    struct asked_key asked = {.name = slot->name, .src = record->orig};
    struct named_key named = {.name = slot->name, .src = record->orig};
    book_fetch(book, &asked_table, &asked, step);
    book_fetch_text(book, slot->name, step);
    if (record->log == HUNT_HTTP)
        book_fetch(book, &named_table, &named, step);
}

void pairs_settle(struct pairs *pairs)
{
    join_each_joined(pairs->join, pairs_settle_one, pairs);
    pairs_see_flush(pairs);
}

static void join_to(struct pairs *pairs, const struct book *book, const struct hunt_record *record,
                    const struct join_name *said)
{
    if (record->uid == 0)
        return;
    struct join_entry *entry = join_at(pairs->join, record->uid);
    struct join_name *name =
        join_name_at(pairs->join, entry, said->name, (enum join_kind)said->kind);
    if (!name)
        return;
    if (name->ts == 0 || said->ts > name->ts)
        name->ts = said->ts;
    name->day = (int32_t)book_day(book);
    name->way = said->way;
    name->proxied |= said->proxied;
    if (entry->has_open && !entry->conn)
        pairs_open_renames(pairs, entry);
}

struct str pairs_lower(struct str text, char room[PAIRS_NAME_MAX])
{
    uint32_t n = text.len < PAIRS_NAME_MAX ? text.len : PAIRS_NAME_MAX;
    for (uint32_t i = 0; i < n; i++)
        room[i] = str_lower_char(text.at[i]);
    return (struct str){.at = room, .len = n};
}

/* By CONNECT the final host is elsewhere: of the ends only the source says anything. */
static bool looks_behind_proxy(const struct pairs *pairs, const struct hunt_record *record,
                               struct str host, uint8_t *out_way)
{
    char text[ADDR_TEXT_MAX + 1];
    struct addr addr;
    const struct addr *src = &record->orig.addr;
    bool ours = hunt_is_internal(pairs->scope, src);
    *out_way = ours                                                 ? HUNT_OUT
               : hunt_is_internal(pairs->scope, &record->resp.addr) ? HUNT_IN
                                                                    : HUNT_OUTSIDE;
    if (!ours && !pairs->scope->include_inbound && pairs->scope->n_internal > 0)
        return false;
    if (ours && !hunt_keeps_dns(pairs->scope, src, src))
        return false;
    if (host.len >= sizeof text)
        return true;
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    return !addr_parse(text, &addr) || !hunt_is_internal(pairs->scope, &record->resp.addr) ||
           hunt_keeps_conn(pairs->scope, src, &addr);
}

static void missing_host(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    struct join_name said = {.ts = hunt_ms(record->ts), .kind = JOIN_HTTP};
    uint8_t way;
    if (!pairs_looks_at(pairs, record, false, &way))
        return;
    said.way = way;
    if (record->log == HUNT_HTTP) {
        struct pair_key key = {.src = record->orig, .dst = record->resp};
        bool is_new;
        struct pair_value *value = book_at(book, &pair_table, &key, &is_new);
        if (value) {
            if (is_new)
                value->sum.way = way;
            pairs_sum_touch(pairs, &value->sum, said.ts);
            value->sum.n_missing_host++;
        }
    }
    join_to(pairs, book, record, &said);
}

static uint32_t size_of(int64_t value)
{
    return value <= 0 ? 0 : value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void put_request(struct pairs *pairs, struct book *book, const struct hunt_record *record,
                        const struct join_name *said)
{
    struct named_value *value =
        pairs_named_at(pairs, book, said->name, (int32_t)book_day(book), &record->orig, said->way);
    if (!value)
        return;
    pairs_sum_touch(pairs, &value->sum, said->ts);
    value->n_requests++;
    struct book_event event = {
        .ts = said->ts,
        .up = size_of(record->http.request_size),
        .down = size_of(record->http.response_size),
        .failed = record->http.status < 100 || record->http.status >= 400,
    };
    book_add_event(book, &value->requests, &event);
}

void pairs_take_http(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    char room[PAIRS_NAME_MAX];
    struct str host = pairs_lower(record->http.host, room);
    if (host.len == 0) {
        missing_host(pairs, book, record);
        return;
    }
    struct join_name said = {.ts = hunt_ms(record->ts),
                             .kind = JOIN_HTTP,
                             .proxied = str_eq(record->http.method, STR("CONNECT"))};
    bool looks = said.proxied ? looks_behind_proxy(pairs, record, host, &said.way)
                              : pairs_looks_at(pairs, record, false, &said.way);
    if (!looks || !hunt_keeps_domain(pairs->scope, host)) {
        pairs->counts.n_never += said.way == HUNT_OUT;
        return;
    }
    if (said.way != HUNT_OUT && said.way != HUNT_INSIDE && pairs->scope->n_internal > 0 &&
        !said.proxied)
        return;
    said.name = book_text(book, host);
    if (said.name == 0)
        return;
    pairs_see_name(pairs, book, said.name, host, &record->orig, said.ts);
    if (record->log == HUNT_HTTP)
        put_request(pairs, book, record, &said);
    join_to(pairs, book, record, &said);
}

void pairs_take_tls(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    char room[PAIRS_NAME_MAX];
    struct str host = pairs_lower(record->ssl.server_name, room);
    struct join_name said = {.ts = hunt_ms(record->ts), .kind = JOIN_TLS};
    if (host.len == 0 || !pairs_looks_at(pairs, record, false, &said.way))
        return;
    if (!hunt_keeps_domain(pairs->scope, host)) {
        pairs->counts.n_never++;
        return;
    }
    if (said.way != HUNT_OUT && said.way != HUNT_INSIDE && pairs->scope->n_internal > 0)
        return;
    said.name = book_text(book, host);
    if (said.name == 0)
        return;
    pairs_see_name(pairs, book, said.name, host, &record->orig, said.ts);
    join_to(pairs, book, record, &said);
}
