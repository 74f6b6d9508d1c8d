/* Who is there: machines, networks, who asked for which name, what addresses are called. */
#include "hunt/pairs_parts.h"

/* ---- machines and networks ---- */

static void put_machine(struct pairs *pairs, const struct seen_slot *slot)
{
    bool is_new;
    struct machine_value *value = book_find(pairs->book, &machine_table, &slot->key);
    if (!value) {
        /* A machine is one of the ends of all its records, so that it is among the first hosts. */
        uint16_t *n = &pairs->hosts[(slot->key.machine >> 20) % UNDER_SLOTS];
        if (*n >= MACHINE_HOSTS)
            return;
        ++*n;
        value = book_at(pairs->book, &machine_table, &slot->key, &is_new);
    }
    if (value)
        value->n += slot->n;
}

void pairs_see_flush(struct pairs *pairs)
{
    if (pairs->n_seen == 0)
        return;
    pairs->n_seen = 0;
    for (unsigned i = 0; i < SEEN_SLOTS; i++)
        if (pairs->seen[i].n) {
            put_machine(pairs, &pairs->seen[i]);
            pairs->seen[i].n = 0;
        }
}

static void see_machine(struct pairs *pairs, book_name machine, const struct hunt_host *host)
{
    uint64_t a[2];
    memcpy(a, host->addr.b, sizeof a);
    uint64_t hash = pairs_mix(pairs_mix(a[0], a[1]) ^ host->network, machine);
    struct seen_slot *slot = &pairs->seen[hash % SEEN_SLOTS];
    struct machine_key key = {.machine = machine, .host = *host};
    if (slot->n && memcmp(&slot->key, &key, sizeof key) != 0) {
        put_machine(pairs, slot);
        slot->n = 0;
    }
    slot->key = key;
    pairs->n_seen += slot->n++ == 0;
}

book_name pairs_machine(struct pairs *pairs, struct book *book, struct str machine)
{
    if (pairs->machine_len && pairs->machine_len == machine.len &&
        memcmp(pairs->machine, machine.at, machine.len) == 0)
        return pairs->machine_name;
    book_name name = book_text(book, machine);
    if (machine.len <= sizeof pairs->machine) {
        memcpy(pairs->machine, machine.at, machine.len);
        pairs->machine_len = machine.len;
        pairs->machine_name = name;
    }
    return name;
}

static void see_network(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    uint32_t network = record->orig.network ? record->orig.network : record->resp.network;
    if (network == 0 || network == pairs->network || record->network.len == 0)
        return;
    struct network_key key = {.network = network};
    bool is_new;
    struct network_value *value = book_at(book, &network_table, &key, &is_new);
    if (value && is_new)
        value->uuid = book_text(book, record->network);
    pairs->network = network;
}

void pairs_see(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    see_network(pairs, book, record);
    if (record->machine.len == 0)
        return;
    book_name machine = pairs_machine(pairs, book, record->machine);
    if (machine == 0)
        return;
    if (hunt_is_internal(pairs->scope, &record->orig.addr))
        see_machine(pairs, machine, &record->orig);
    if (hunt_is_internal(pairs->scope, &record->resp.addr))
        see_machine(pairs, machine, &record->resp);
}

/* ---- names ---- */

/* The last two labels. */
static uint64_t hash_of_parent(struct str name)
{
    uint32_t from = name.len, n_dots = 0;
    while (from > 0 && (name.at[from - 1] != '.' || ++n_dots < 2))
        from--;
    uint64_t hash = 0xcbf29ce484222325u;
    for (uint32_t i = from; i < name.len; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 0x100000001b3u;
    return hash;
}

/* A tunnel asks for as many names as it has something to say: of each domain only so many are
 * kept of each host. */
static bool has_room_under(struct pairs *pairs, const struct book *book, struct str text,
                           const struct hunt_host *src)
{
    uint64_t a[2];
    memcpy(a, src->addr.b, sizeof a);
    uint64_t hash = pairs_mix(hash_of_parent(text), pairs_mix(a[0], a[1]));
    uint16_t *n = &pairs->under[(hash >> 20) % UNDER_SLOTS];
    if (*n >= NAMES_UNDER) {
        pairs->counts.n_asked_refused++;
        return false;
    }
    ++*n;
    return true;
}

static struct asked_value *asked_at(struct pairs *pairs, struct book *book,
                                    const struct asked_key *key, struct str text, bool keep_text)
{
    struct asked_value *value = book_find(book, &asked_table, key);
    if (value || !has_room_under(pairs, book, text, &key->src) ||
        (keep_text && book_text(book, text) == 0))
        return value;
    bool is_new;
    return book_at(book, &asked_table, key, &is_new);
}

static void add_asked(struct asked_value *value, int64_t ts)
{
    if (value->n == 0)
        value->first = value->last = ts;
    value->n += value->n < UINT32_MAX;
    if (ts < value->first)
        value->first = ts;
    if (ts > value->last)
        value->last = ts;
}

void pairs_see_name(struct pairs *pairs, struct book *book, book_name name, struct str text,
                    const struct hunt_host *src, int64_t ts)
{
    struct asked_key key = {.name = name, .src = *src};
    struct asked_value *value = asked_at(pairs, book, &key, text, false);
    if (value)
        add_asked(value, ts);
}

static void see_address(struct book *book, struct str text, book_name name)
{
    char address[ADDR_TEXT_MAX];
    struct resolved_key key;
    if (text.len == 0 || text.len >= sizeof address)
        return;
    memcpy(address, text.at, text.len);
    address[text.len] = '\0';
    if (!addr_parse(address, &key.addr))
        return;
    bool is_new;
    struct resolved_value *value = book_at(book, &resolved_table, &key, &is_new);
    if (!value)
        return;
    unsigned i = 0;
    while (i < RESOLVED_NAMES && value->names[i] && value->names[i] != name)
        i++;
    if (i == RESOLVED_NAMES || value->names[i] == 0)
        value->n++;
    if (i < RESOLVED_NAMES)
        value->names[i] = name;
}

/* At most 16 answers: more tell nothing about a name. */
static void see_answers(struct book *book, struct str answers, book_name name)
{
    for (unsigned n = 0; n < 16 && answers.len > 0; n++) {
        const char *end = memchr(answers.at, '\n', answers.len);
        struct str answer = end ? str_upto(answers, (size_t)(end - answers.at)) : answers;
        see_address(book, answer, name);
        answers = str_from(answers, (size_t)answer.len + 1);
    }
}

void pairs_see_dns(struct pairs *pairs, struct book *book, const struct hunt_record *record)
{
    char room[PAIRS_NAME_MAX];
    struct str name = pairs_lower(record->dns.query, room);
    if (name.len == 0 || memchr(name.at, '.', name.len) == NULL ||
        !hunt_keeps_dns(pairs->scope, &record->orig.addr, &record->resp.addr) ||
        !hunt_keeps_domain(pairs->scope, name))
        return;
    struct asked_key key = {.name = book_hash(book, name), .src = record->orig};
    struct asked_value *value = asked_at(pairs, book, &key, name, true);
    if (!value)
        return;
    add_asked(value, hunt_ms(record->ts));
    value->n_dns += value->n_dns < UINT32_MAX;
    see_answers(book, record->dns.answers, key.name);
}
