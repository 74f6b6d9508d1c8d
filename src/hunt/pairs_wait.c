/* Names whose conn has not come, kept in the books from run to run: a folder that is read every
 * hour has the request in one run, and the end of its connection in another. */
#include "hunt/pairs_parts.h"

static struct waiting_key key_of(const struct join_entry *entry, const struct join_name *name)
{
    return (struct waiting_key){.uid = entry->uid,
                                .name = name->name,
                                .kind = name->kind,
                                .way = name->way,
                                .proxied = name->proxied};
}

static void keep(void *with, struct join_entry *entry)
{
    struct pairs *pairs = with;
    for (struct join_name *name = join_names(pairs->join, entry); name;
         name = join_next(pairs->join, name)) {
        struct book *book = name->kept ? NULL : pairs_book(pairs, name->day);
        if (!book)
            continue;
        struct waiting_key key = key_of(entry, name);
        bool is_new;
        struct waiting_value *value = book_at(book, &waiting_table, &key, &is_new);
        if (!value)
            continue;
        value->ts = name->ts;
        value->gone = false;
        name->kept = true;
    }
}

void pairs_keep_waiting(struct pairs *pairs)
{
    join_each_waiting(pairs->join, keep, pairs);
}

void pairs_waits_no_more(struct pairs *pairs, const struct join_entry *entry)
{
    for (struct join_name *name = join_names(pairs->join, entry); name;
         name = join_next(pairs->join, name)) {
        struct book *book = name->kept ? pairs_book(pairs, name->day) : NULL;
        struct waiting_key key = key_of(entry, name);
        struct waiting_value *value = book ? book_find(book, &waiting_table, &key) : NULL;
        if (value)
            value->gone = true;
        name->kept = false;
    }
}

struct taking_back {
    struct pairs *pairs;
    int32_t day;
};

static void take_back(void *with, const void *key_bytes, const void *value_bytes)
{
    const struct taking_back *taking = with;
    const struct waiting_key *key = key_bytes;
    const struct waiting_value *value = value_bytes;
    if (value->gone || key->uid == 0 || pairs_was_closed(taking->pairs, key->uid))
        return;
    struct join_entry *entry = join_at(taking->pairs->join, key->uid);
    struct join_name *name = entry->conn ? NULL
                                         : join_name_at(taking->pairs->join, entry, key->name,
                                                        (enum join_kind)key->kind);
    if (!name)
        return;
    name->ts = value->ts;
    name->day = taking->day;
    name->way = key->way;
    name->proxied = key->proxied;
    name->kept = true;
}

void pairs_take_back(struct pairs *pairs, struct book *book)
{
    struct taking_back taking = {.pairs = pairs, .day = (int32_t)book_day(book)};
    struct books one = {.at = &book, .n = 1};
    books_each(&one, &waiting_table, 1, take_back, &taking);
}
