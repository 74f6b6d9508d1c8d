/* Puts conn, http, ssl and quic records together by their uid: see pairs.h.
 *
 * A connection by address is put into the day's book at once. By name it waits in the memory of
 * uids (pairs_join.h) until all that is said of it came in whatever order, and is put into the book
 * when it is forgotten there, or when the books are to be looked at. */
#include "base/large.h"
#include "hunt/pairs_parts.h"

#include <stdlib.h>

#define CLOSED_MAX_LINES (1u << 15)

uint64_t pairs_mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2))) * 0xff51afd7ed558ccdu;
    return (x ^ (x >> 32)) * 0xc4ceb9fe1a85ec53u;
}

unsigned pairs_part(const struct hunt_record *record)
{
    uint64_t halves[2];
    if (!record->has_ends || record->log == HUNT_NOTICE || record->log == HUNT_CAPTURE_LOSS)
        return 0;
    memcpy(halves, record->orig.addr.b, sizeof halves);
    return (unsigned)(pairs_mix(halves[0] ^ record->orig.network, halves[1]) >> 32) % BOOK_PARTS;
}

struct pairs *pairs_new(const struct hunt_scope *scope, size_t memory)
{
    struct pairs *pairs = calloc(1, sizeof *pairs);
    if (!pairs)
        return NULL;
    pairs->scope = scope;
    pairs->max_inbound = memory / 1024;
    uint64_t n_lines = 64;
    while (n_lines < CLOSED_MAX_LINES && n_lines * sizeof *pairs->closed < memory / 16)
        n_lines *= 2;
    pairs->closed_mask = n_lines - 1;
    pairs->closed = large_calloc(n_lines, sizeof *pairs->closed);
    pairs->under = large_calloc(UNDER_SLOTS, sizeof *pairs->under);
    pairs->hosts = large_calloc(UNDER_SLOTS, sizeof *pairs->hosts);
    pairs->join = join_new(memory - memory / 8, pairs_settle_one, pairs_settle_fetch, pairs);
    if (pairs->closed && pairs->under && pairs->hosts && pairs->join)
        return pairs;
    pairs_free(pairs);
    return NULL;
}

void pairs_free(struct pairs *pairs)
{
    if (!pairs)
        return;
    join_free(pairs->join);
    free(pairs->closed);
    free(pairs->under);
    free(pairs->hosts);
    free(pairs);
}

void pairs_scope(struct pairs *pairs, const struct hunt_scope *scope)
{
    pairs->scope = scope;
}

void pairs_books(struct pairs *pairs, struct book *(*find)(void *with, int64_t day), void *with)
{
    pairs->find = find;
    pairs->with = with;
}

struct book *pairs_book(struct pairs *pairs, int64_t day)
{
    if (pairs->book && (!pairs->find || book_day(pairs->book) == day))
        return pairs->book;
    return pairs->find ? pairs->find(pairs->with, day) : NULL;
}

/* ---- who closed ---- */

static uint64_t *closed_line(const struct pairs *pairs, uint64_t uid)
{
    return pairs->closed[(uid ^ (uid >> 29)) & pairs->closed_mask];
}

bool pairs_was_closed(const struct pairs *pairs, uint64_t uid)
{
    const uint64_t *line = closed_line(pairs, uid);
    for (unsigned i = 0; i < CLOSED_WAYS; i++)
        if (line[i] == uid)
            return true;
    return false;
}

static void set_closed(struct pairs *pairs, uint64_t uid)
{
    uint64_t *line = closed_line(pairs, uid);
    memmove(line + 1, line, (CLOSED_WAYS - 1) * sizeof *line);
    line[0] = uid;
}

/* ---- which are looked at ---- */

/* Connections between two of ours are, unlike in RITA: they are what lateral movement is made of.
 */
bool pairs_looks_at(struct pairs *pairs, const struct hunt_record *record, bool count,
                    uint8_t *out_way)
{
    enum hunt_way way = hunt_way(pairs->scope, &record->orig.addr, &record->resp.addr);
    *out_way = (uint8_t)way;
    bool looks = way == HUNT_INSIDE
                     ? hunt_keeps_dns(pairs->scope, &record->orig.addr, &record->resp.addr)
                     : hunt_keeps_conn(pairs->scope, &record->orig.addr, &record->resp.addr);
    if (looks || !count)
        return looks;
    if (way == HUNT_OUTSIDE || (way == HUNT_IN && !pairs->scope->include_inbound))
        pairs->counts.n_filtered[way]++;
    else
        pairs->counts.n_never++;
    return false;
}

/* What strangers begin and nobody answers makes new pairs as fast as they like: it gets a share. */
static bool has_inbound_room(struct pairs *pairs, struct book *book, const struct conn_facts *conn)
{
    struct pair_key key = {.src = conn->src, .dst = conn->dst};
    if (book_find(book, &pair_table, &key))
        return true;
    if (pairs->n_inbound >= pairs->max_inbound) {
        pairs->counts.n_inbound_refused++;
        return false;
    }
    pairs->n_inbound++;
    return true;
}

/* ---- connections ---- */

static bool has_failed(enum hunt_state state)
{
    return state == HUNT_S0 || state == HUNT_REJ || state == HUNT_RSTOS0 || state == HUNT_RSTRH ||
           state == HUNT_SH || state == HUNT_SHR;
}

static bool has_word(struct str text, struct str word)
{
    for (uint32_t i = 0; i + word.len <= text.len; i++)
        if (memcmp(text.at + i, word.at, word.len) == 0)
            return true;
    return false;
}

/* Whether http.log, ssl.log or quic.log may say more of the connection later. */
bool pairs_may_have_names(const struct hunt_record *record)
{
    struct str service = record->conn.service;
    if (record->uid == 0 || (record->proto != HUNT_TCP && record->proto != HUNT_UDP))
        return false;
    if (service.len == 0)
        return record->proto == HUNT_TCP && record->conn.orig_bytes > 0 &&
               record->conn.resp_bytes > 0;
    return has_word(service, STR("ssl")) || has_word(service, STR("http")) ||
           has_word(service, STR("quic")) || has_word(service, STR("tls"));
}

/* The same few words again and again. */
static book_name service_of(struct pairs *pairs, struct book *book, struct str text)
{
    if (text.len == 0)
        return 0;
    uint64_t head = 0;
    memcpy(&head, text.at, text.len < 8 ? text.len : 8);
    struct service_slot *slot = &pairs->services[(pairs_mix(head, text.len) >> 40) % SERVICE_SLOTS];
    if (slot->name && slot->len == text.len && memcmp(slot->text, text.at, text.len) == 0)
        return slot->name;
    book_name name = book_text(book, text);
    if (text.len <= sizeof slot->text) {
        memcpy(slot->text, text.at, text.len);
        slot->len = text.len;
        slot->name = name;
    }
    return name;
}

static void make_facts(struct pairs *pairs, struct book *book, const struct hunt_record *record,
                       struct conn_facts *out)
{
    bool icmp = record->proto == HUNT_ICMP;
    *out = (struct conn_facts){
        .src = record->orig,
        .dst = record->resp,
        .ts = hunt_ms(record->ts),
        .duration = pairs_cap(record->conn.duration) / 1000,
        .up = pairs_cap(record->conn.orig_ip_bytes),
        .down = pairs_cap(record->conn.resp_ip_bytes),
        .payload_up = pairs_cap(record->conn.orig_bytes),
        .payload_down = pairs_cap(record->conn.resp_bytes),
        .missed = pairs_cap(record->conn.missed_bytes),
        .service = service_of(pairs, book, record->conn.service),
        .port = icmp ? (uint16_t)(record->orig_port << 8 | (record->resp_port & 0xff))
                     : record->resp_port,
        .proto = record->proto,
        .state = (uint8_t)record->conn.state,
        .failed = has_failed(record->conn.state),
    };
}

struct book_event pairs_event_of(const struct conn_facts *conn)
{
    return (struct book_event){
        .ts = conn->ts,
        .duration = conn->duration,
        .up = conn->up < UINT32_MAX ? (uint32_t)conn->up : UINT32_MAX,
        .down = conn->down < UINT32_MAX ? (uint32_t)conn->down : UINT32_MAX,
        .failed = conn->failed,
    };
}

static void put_pair(struct pairs *pairs, struct book *book, const struct conn_facts *conn)
{
    struct pair_key key = {.src = conn->src, .dst = conn->dst};
    bool is_new;
    struct pair_value *value = book_at(book, &pair_table, &key, &is_new);
    if (!value)
        return;
    if (is_new)
        value->sum.way = conn->way;
    pairs_sum_conn(pairs, book, &value->sum, conn, 0);
    struct book_event event = pairs_event_of(conn);
    book_add_event(book, &value->conns, &event);
}

static bool take_conn(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    struct conn_facts conn;
    uint8_t way;
    bool looks = pairs_looks_at(pairs, record, true, &way);
    bool unanswered = has_failed(record->conn.state) || record->conn.resp_ip_bytes <= 0;
    if (!looks && (way == HUNT_OUTSIDE || (way == HUNT_IN && unanswered)))
        return way == HUNT_OUTSIDE || !unanswered;
    make_facts(pairs, book, record, &conn);
    conn.way = way;
    if (looks && way == HUNT_IN && unanswered && !has_inbound_room(pairs, book, &conn))
        return false;
    conn.in_pairs = looks;
    if (looks)
        put_pair(pairs, book, &conn);
    if (record->uid == 0 || record->proto == HUNT_ICMP)
        return true;

    bool may = looks && pairs_may_have_names(record);
    struct join_entry *entry = may || record->proto == HUNT_TCP || record->conn.service.len == 0
                                   ? join_find(pairs->join, record->uid)
                                   : NULL;
    if (looks || entry) {
        pairs_open_ends(pairs, book, record->uid);
        set_closed(pairs, record->uid);
    }
    if (entry && entry->has_open && entry->open_day != book_day(book)) {
        struct book *other = pairs_book(pairs, entry->open_day);
        if (other)
            pairs_open_ends(pairs, other, record->uid);
    }
    /* A uid that comes twice is one that was given twice: it is counted as it is written. */
    if (entry && entry->conn)
        return true;
    if (!entry && may)
        entry = join_at(pairs->join, record->uid);
    if (entry)
        join_set_conn(pairs->join, entry, &conn);
    return true;
}

static void take_open_conn(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    struct conn_facts conn;
    uint8_t way;
    bool looks = pairs_looks_at(pairs, record, false, &way);
    if (!looks && way == HUNT_OUTSIDE)
        return;
    make_facts(pairs, book, record, &conn);
    conn.way = way;
    conn.in_pairs = looks;
    pairs_take_open(pairs, book, record, &conn);
}

/* ---- all ---- */

void pairs_forget(struct pairs *pairs, const struct book *book)
{
    if (pairs->book != book)
        return;
    pairs_see_flush(pairs);
    memset(pairs->services, 0, sizeof pairs->services);
    pairs->machine_len = 0;
    pairs->network = 0;
    pairs->book = NULL;
}

void pairs_fetch(struct pairs *pairs, const struct book *book, unsigned step,
                 const struct hunt_record *record)
{
    if (record->uid)
        join_fetch(pairs->join, record->uid, step);
    pairs_fetch_name(pairs, book, step, record);
    if (record->log != HUNT_CONN || !record->has_ends)
        return;
    struct pair_key key = {.src = record->orig, .dst = record->resp};
    book_fetch(book, &pair_table, &key, step);
    if (step == 0 && record->uid)
        __builtin_prefetch(closed_line(pairs, record->uid), 1);
}

/* What is counted by day begins anew. */
static void new_day(struct pairs *pairs, int64_t day)
{
    if (pairs->under_day == day || pairs->n_taken < pairs->reset_at)
        return;
    pairs->under_day = day;
    pairs->reset_at = pairs->n_taken + RESET_AFTER;
    pairs->n_inbound = 0;
    memset(pairs->under, 0, UNDER_SLOTS * sizeof *pairs->under);
    memset(pairs->hosts, 0, UNDER_SLOTS * sizeof *pairs->hosts);
}

bool pairs_take(struct pairs *pairs, struct book *book, uint32_t round,
                const struct hunt_record *record)
{
    if (pairs->book != book) {
        if (pairs->book)
            pairs_forget(pairs, pairs->book);
        pairs->book = book;
        new_day(pairs, book_day(book));
    }
    pairs->round = round;
    pairs->n_taken++;
    if (record->has_ends)
        pairs_see(pairs, book, record);
    switch (record->log) {
    case HUNT_HTTP:
    case HUNT_OPEN_HTTP:
        if (record->has_ends)
            pairs_take_http(pairs, book, record);
        return true;
    case HUNT_SSL:
    case HUNT_OPEN_SSL:
    case HUNT_QUIC:
        if (record->has_ends)
            pairs_take_tls(pairs, book, record);
        return true;
    case HUNT_DNS:
        if (record->has_ends)
            pairs_see_dns(pairs, book, record);
        return true;
    case HUNT_NOTICE:
    case HUNT_CAPTURE_LOSS:
        pairs_see_loss(pairs, book, record);
        return true;
    case HUNT_CONN:
        return !record->has_ends || take_conn(pairs, book, record);
    case HUNT_OPEN_CONN:
        if (record->has_ends)
            take_open_conn(pairs, book, record);
        return true;
    case HUNT_SSH:
    case HUNT_SMTP:
    case HUNT_TUNNEL:
    case HUNT_X509:
    case HUNT_N_LOGS:
        return true;
    }
    return true;
}

void pairs_count(const struct pairs *pairs, struct pairs_counts *out)
{
    const struct pairs_counts *counts = &pairs->counts;
    uint64_t n_names;
    for (unsigned way = 0; way < 4; way++)
        out->n_filtered[way] += counts->n_filtered[way];
    out->n_never += counts->n_never;
    out->n_inbound_refused += counts->n_inbound_refused;
    out->n_asked_refused += counts->n_asked_refused;
    out->n_uids_refused += join_n_forgotten(pairs->join, &n_names);
    out->n_unjoined += n_names + join_n_waiting(pairs->join);
}
