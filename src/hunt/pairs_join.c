/* The memory of uids: see pairs_join.h. Two lists by age: of entries that wait for their conn, and
 * of those that have it, which only late names need and which may fill a quarter of the room. */
#include "hunt/pairs_join.h"
#include "base/large.h"

#include <stdlib.h>

#define FORGET_BATCH 16

struct join_list {
    uint32_t oldest, newest; /* index + 1 */
    uint32_t n;
};

struct join {
    join_forget_fn *forget;
    join_fetch_fn *fetch;
    void *with;
    struct join_entry *entries;
    struct join_name *names;
    uint32_t *heads;
    uint32_t mask;
    uint32_t n_entries, max_entries, free_entry; /* so many were ever used; a list of free ones */
    uint32_t n_names, max_names, free_name;
    struct conn_facts *conns; /* as many as may be joined */
    uint32_t *free_conns;     /* a stack */
    uint32_t n_conns, max_conns, n_free_conns;
    struct join_list waiting, joined;
    uint64_t n_waiting_names;
    uint64_t n_forgotten, n_forgotten_names;
};

struct join *join_new(size_t memory, join_forget_fn *forget, join_fetch_fn *fetch, void *with)
{
    /* For each entry a name or two, a quarter of a connection, and its place in the index. */
    size_t size = sizeof(struct join_entry) + 3 * sizeof(struct join_name) / 2 +
                  (sizeof(struct conn_facts) + sizeof(uint32_t)) / 4 + 8;
    size_t n = memory / size;
    if (n < 64)
        n = 64;
    if (n > 1u << 30)
        n = 1u << 30;
    uint32_t n_heads = 64;
    while (n_heads < n && n_heads < 1u << 30)
        n_heads *= 2;
    struct join *join = calloc(1, sizeof *join);
    if (join == NULL)
        return NULL;
    join->forget = forget;
    join->fetch = fetch;
    join->with = with;
    join->max_entries = (uint32_t)n;
    join->max_names = (uint32_t)(n + n / 2);
    join->max_conns = (uint32_t)(n / 4);
    join->mask = n_heads - 1;
    /* Zeroed memory of this size is not there before it is touched. */
    join->entries = large_calloc(n, sizeof *join->entries);
    join->names = calloc(join->max_names, sizeof *join->names);
    join->conns = large_calloc(join->max_conns, sizeof *join->conns);
    join->free_conns = calloc(join->max_conns, sizeof *join->free_conns);
    join->heads = large_calloc(n_heads, sizeof *join->heads);
    if (join->entries && join->names && join->heads && join->conns && join->free_conns)
        return join;
    join_free(join);
    return NULL;
}

void join_free(struct join *join)
{
    if (join == NULL)
        return;
    free(join->entries);
    free(join->names);
    free(join->heads);
    free(join->conns);
    free(join->free_conns);
    free(join);
}

static uint32_t *head_of(const struct join *join, uint64_t uid)
{
    return &join->heads[(uid ^ (uid >> 32)) & join->mask];
}

static uint32_t index_of(const struct join *join, const struct join_entry *entry)
{
    return (uint32_t)(entry - join->entries) + 1;
}

static void list_add(struct join *join, struct join_list *list, struct join_entry *entry)
{
    uint32_t at = index_of(join, entry);
    entry->older = list->newest;
    entry->newer = 0;
    if (list->newest)
        join->entries[list->newest - 1].newer = at;
    else
        list->oldest = at;
    list->newest = at;
    list->n++;
}

static void list_drop(struct join *join, struct join_list *list, struct join_entry *entry)
{
    if (entry->older)
        join->entries[entry->older - 1].newer = entry->newer;
    else
        list->oldest = entry->newer;
    if (entry->newer)
        join->entries[entry->newer - 1].older = entry->older;
    else
        list->newest = entry->older;
    list->n--;
}

struct join_entry *join_find(const struct join *join, uint64_t uid)
{
    for (uint32_t at = *head_of(join, uid); at; at = join->entries[at - 1].chain)
        if (join->entries[at - 1].uid == uid)
            return &join->entries[at - 1];
    return NULL;
}

void join_fetch(const struct join *join, uint64_t uid, unsigned step)
{
    uint32_t *head = head_of(join, uid);
    if (step == 0)
        __builtin_prefetch(head);
    else if (step == 1 && *head)
        __builtin_prefetch(&join->entries[*head - 1]);
}

static void forget(struct join *join, struct join_entry *entry)
{
    join->forget(join->with, entry);
    if (!entry->conn) {
        join->n_waiting_names -= entry->n_names;
        join->n_forgotten_names += entry->n_names;
        join->n_forgotten++;
    }
    if (entry->newer) /* the next to go */
        __builtin_prefetch(head_of(join, join->entries[entry->newer - 1].uid));
    list_drop(join, entry->conn ? &join->joined : &join->waiting, entry);
    uint32_t *link = head_of(join, entry->uid), at = index_of(join, entry);
    while (*link != at)
        link = &join->entries[*link - 1].chain;
    *link = entry->chain;
    for (uint32_t name = entry->names; name;) {
        uint32_t next = join->names[name - 1].next;
        join->names[name - 1].next = join->free_name;
        join->free_name = name;
        name = next;
    }
    if (entry->conn)
        join->free_conns[join->n_free_conns++] = entry->conn;
    entry->chain = join->free_entry;
    join->free_entry = at;
}

/* Some of the oldest joined ones at once: so what one needs of memory comes while another is worked
 * on. Few, where there are few. */
static void forget_joined(struct join *join)
{
    uint32_t oldest[FORGET_BATCH];
    uint32_t n = 0, max = join->max_conns / 64;
    max = max < 1 ? 1 : max < FORGET_BATCH ? max : FORGET_BATCH;
    for (uint32_t at = join->joined.oldest; at && n < max; at = join->entries[at - 1].newer)
        oldest[n++] = at;
    for (unsigned step = 0; join->fetch && max > 1 && step < JOIN_FETCH_STEPS; step++)
        for (uint32_t i = 0; i < n; i++)
            join->fetch(join->with, &join->entries[oldest[i] - 1], step);
    for (uint32_t i = 0; i < n; i++)
        forget(join, &join->entries[oldest[i] - 1]);
}

static void forget_oldest(struct join *join)
{
    bool joined = join->waiting.n == 0;
    uint32_t oldest = joined ? join->joined.oldest : join->waiting.oldest;
    forget(join, &join->entries[oldest - 1]);
}

struct join_entry *join_at(struct join *join, uint64_t uid)
{
    struct join_entry *entry = join_find(join, uid);
    if (entry)
        return entry;
    if (join->free_entry == 0 && join->n_entries == join->max_entries)
        forget_oldest(join);
    if (join->free_entry) {
        entry = &join->entries[join->free_entry - 1];
        join->free_entry = entry->chain;
    } else {
        entry = &join->entries[join->n_entries++];
    }
    *entry = (struct join_entry){.uid = uid};
    uint32_t *head = head_of(join, uid);
    entry->chain = *head;
    *head = index_of(join, entry);
    list_add(join, &join->waiting, entry);
    return entry;
}

void join_set_conn(struct join *join, struct join_entry *entry, const struct conn_facts *conn)
{
    if (!entry->conn) {
        if (join->n_free_conns == 0 && join->n_conns == join->max_conns)
            forget_joined(join);
        list_drop(join, &join->waiting, entry);
        entry->conn = join->n_free_conns ? join->free_conns[--join->n_free_conns] : ++join->n_conns;
        list_add(join, &join->joined, entry);
        join->n_waiting_names -= entry->n_names;
    }
    *join_conn(join, entry) = *conn;
}

struct conn_facts *join_conn(const struct join *join, const struct join_entry *entry)
{
    return &join->conns[entry->conn - 1];
}

struct join_name *join_name_at(struct join *join, struct join_entry *entry, book_name name,
                               enum join_kind kind)
{
    struct join_name *oldest = NULL;
    for (uint32_t at = entry->names; at; at = join->names[at - 1].next) {
        struct join_name *is = &join->names[at - 1];
        if (is->name == name && is->kind == kind)
            return is;
        if (!oldest || is->ts < oldest->ts)
            oldest = is;
    }
    if (entry->n_names == JOIN_NAMES) {
        *oldest = (struct join_name){.name = name, .kind = (uint8_t)kind, .next = oldest->next};
        entry->is_settled = false;
        return oldest;
    }
    uint32_t at = join->free_name;
    if (at) {
        join->free_name = join->names[at - 1].next;
    } else {
        if (join->n_names == join->max_names)
            return NULL;
        at = ++join->n_names;
    }
    struct join_name *out = &join->names[at - 1];
    *out = (struct join_name){.name = name, .kind = (uint8_t)kind, .next = entry->names};
    entry->names = at;
    entry->n_names++;
    entry->is_settled = false;
    if (!entry->conn)
        join->n_waiting_names++;
    return out;
}

struct join_name *join_names(const struct join *join, const struct join_entry *entry)
{
    return entry->names ? &join->names[entry->names - 1] : NULL;
}

struct join_name *join_next(const struct join *join, const struct join_name *name)
{
    return name->next ? &join->names[name->next - 1] : NULL;
}

void join_each_joined(struct join *join, join_forget_fn *each, void *with)
{
    for (uint32_t at = join->joined.oldest; at; at = join->entries[at - 1].newer)
        each(with, &join->entries[at - 1]);
}

void join_each_waiting(struct join *join, join_forget_fn *each, void *with)
{
    for (uint32_t at = join->waiting.oldest; at; at = join->entries[at - 1].newer)
        each(with, &join->entries[at - 1]);
}

uint64_t join_n_waiting(const struct join *join)
{
    return join->n_waiting_names;
}

uint64_t join_n_forgotten(const struct join *join, uint64_t *out_n_names)
{
    *out_n_names = join->n_forgotten_names;
    return join->n_forgotten;
}
