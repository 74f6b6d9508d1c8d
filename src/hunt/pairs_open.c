/* Connections that open_conn tells of: of each uid the longest report is in the sums, until its
 * conn comes or a longer report. Reports and conns come in any order. */
#include "hunt/pairs_parts.h"

static void put_pair(struct pairs *pairs, struct book *book, const struct open_value *open,
                     int sign)
{
    struct pair_key key = {.src = open->src, .dst = open->dst};
    bool is_new = false;
    struct pair_value *value =
        sign < 0 ? book_find(book, &pair_table, &key) : book_at(book, &pair_table, &key, &is_new);
    if (!value || (sign < 0 && value->sum.n_open == 0))
        return;
    if (is_new)
        value->sum.way = open->way;
    pairs_sum_open(pairs, book, &value->sum, open, 0, sign);
}

static void put_name(struct pairs *pairs, struct book *book, const struct open_value *open,
                     enum join_kind kind, int sign)
{
    book_name name = open->names[kind];
    bool proxied = kind == JOIN_HTTP && open->proxied;
    struct named_value *value = pairs_named_at(pairs, book, name, (int32_t)book_day(book),
                                               &open->src, proxied ? HUNT_OUT : open->way);
    if (value && (sign > 0 || value->sum.n_open > 0)) {
        pairs_sum_open(pairs, book, &value->sum, open, name, sign);
        if (proxied) {
            value->sum.n_proxied += (uint32_t)sign;
            pairs_add_host(value->proxies, &value->n_proxies, &open->dst);
        } else {
            pairs_add_host(value->servers, &value->n_servers, &open->dst);
        }
    }
    struct same_key key = {.src = open->src, .dst = open->dst, .name = name};
    bool is_new;
    struct same_value *same = book_at(book, &same_table, &key, &is_new);
    if (same && (sign > 0 || same->n_open > 0))
        same->n_open += (uint64_t)(int64_t)sign;
}

/* What is put in is taken back by the same calls, so that nothing is left of it. What there was no
 * room for is not taken back. */
static void put(struct pairs *pairs, struct book *book, const struct open_value *open, int sign)
{
    if (open->in_pairs)
        put_pair(pairs, book, open, sign);
    if (open->names[JOIN_HTTP])
        put_name(pairs, book, open, JOIN_HTTP, sign);
    if (open->names[JOIN_TLS] && open->names[JOIN_TLS] != open->names[JOIN_HTTP])
        put_name(pairs, book, open, JOIN_TLS, sign);
}

/* The newest of either kind, as RITA has it for http. */
static void find_names(const struct pairs *pairs, const struct join_entry *entry,
                       struct open_value *open)
{
    const struct join_name *best[2] = {NULL, NULL};
    for (const struct join_name *name = join_names(pairs->join, entry); name;
         name = join_next(pairs->join, name))
        if (!best[name->kind] || name->ts > best[name->kind]->ts)
            best[name->kind] = name;
    for (int i = 0; i < 2; i++)
        if (best[i])
            open->names[i] = best[i]->name;
    if (best[JOIN_HTTP])
        open->proxied = best[JOIN_HTTP]->proxied;
}

static struct open_value *find(struct book *book, uint64_t uid)
{
    struct open_key key = {.uid = uid};
    return book_n(book, &open_table) ? book_find(book, &open_table, &key) : NULL;
}

void pairs_take_open(struct pairs *pairs, struct book *book, const struct hunt_record *record,
                     struct conn_facts *conn)
{
    struct open_key key = {.uid = record->uid};
    if (record->uid == 0 || pairs_was_closed(pairs, record->uid))
        return;
    bool is_new;
    struct open_value *open = book_at(book, &open_table, &key, &is_new);
    if (!open || (!is_new && (open->closed || conn->duration < open->duration)))
        return;
    if (!is_new)
        put(pairs, book, open, -1);
    open->src = conn->src;
    open->dst = conn->dst;
    open->service = conn->service;
    open->ts = conn->ts;
    open->duration = conn->duration;
    open->up = conn->up;
    open->down = conn->down;
    open->payload_up = conn->payload_up;
    open->payload_down = conn->payload_down;
    open->missed = conn->missed;
    open->port = conn->port;
    open->proto = conn->proto;
    open->way = conn->way;
    open->in_pairs = conn->in_pairs;
    struct join_entry *entry = pairs_may_have_names(record) ? join_at(pairs->join, record->uid)
                                                            : join_find(pairs->join, record->uid);
    if (entry) {
        entry->has_open = true;
        entry->open_day = (int32_t)book_day(book);
        find_names(pairs, entry, open);
    }
    put(pairs, book, open, 1);
}

void pairs_open_ends(struct pairs *pairs, struct book *book, uint64_t uid)
{
    struct open_value *open = find(book, uid);
    if (!open || open->closed)
        return;
    put(pairs, book, open, -1);
    open->closed = true;
}

void pairs_open_renames(struct pairs *pairs, const struct join_entry *entry)
{
    struct book *book = pairs_book(pairs, entry->open_day);
    struct open_value *open = book ? find(book, entry->uid) : NULL;
    if (!open || open->closed)
        return;
    struct open_value renamed = *open;
    find_names(pairs, entry, &renamed);
    if (memcmp(&renamed, open, sizeof renamed) == 0)
        return;
    put(pairs, book, open, -1);
    *open = renamed;
    put(pairs, book, open, 1);
}
