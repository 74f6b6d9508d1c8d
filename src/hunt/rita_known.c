/* What is known of the rows' other ends: how many hosts know them, and who connects to where a
 * domain leads. And the rows of domains, which have hosts only so. */
#include <stdlib.h>

#include "hunt/rita_parts.h"

#define DOMAIN_MIN 100

static const struct rita_thresholds subdomains = {100, 500, 800, 1000};

static uint64_t host_id(const struct rita_run *run, const struct hunt_host *host)
{
    return rita_host_id(run->all.at[0], host);
}

static uint64_t address_id(const struct rita_run *run, const struct addr *addr)
{
    return book_hash(run->all.at[0], str_make(addr, sizeof *addr));
}

static book_name domain_in(const struct rita_run *run, const struct rita_name_value *value)
{
    return run->options->exact ? value->cut : value->registrable;
}

/* The domain of a name that may be in no DNS query. */
static book_name domain_of(const struct rita_run *run, book_name name)
{
    const struct rita_name_key key = {.name = name};
    for (size_t i = run->all.n; i > 0; i--) {
        const struct rita_name_value *value = book_find(run->all.at[i - 1], &rita_name_table, &key);
        if (value)
            return domain_in(run, value);
    }
    struct str text = books_text(&run->all, name);
    if (!str_set(text))
        return 0;
    const char *colon = memchr(text.at, ':', text.len);
    if (colon)
        text = str_upto(text, (size_t)(colon - text.at));
    return book_hash(run->all.at[0], run->options->exact ? rita_cut(text) : hunt_registrable(text));
}

/* ---- rows of domains ---- */

static void take_name(void *with, const void *key, const void *value_bytes)
{
    struct rita_run *run = with;
    const struct rita_name_value *value = value_bytes;
    if (rita_in_window(run, value->last))
        rita_set_add(&run->domains, domain_in(run, value),
                     ((const struct rita_name_key *)key)->name);
}

void rita_domain_rows(struct rita_run *run)
{
    books_each(&run->all, &rita_name_table, run->judge->n_threads, take_name, run);
    rita_set_sort(&run->domains);
    const struct rita_set *set = &run->domains;
    for (size_t i = 0; i < set->n;) {
        size_t end = i;
        while (end < set->n && set->at[end].a == set->at[i].a)
            end++;
        struct str text = books_text(&run->all, set->at[i].a);
        if (end - i >= DOMAIN_MIN && str_set(text)) {
            struct rita_row row = {
                .type = RITA_DNS, .exact = run->options->exact, .rolling = run->options->rolling};
            struct rita_mark mark = {.name = set->at[i].a};
            row.subdomains = end - i;
            row.dns_score = rita_bucket((double)row.subdomains, &subdomains);
            text = str_upto(text, sizeof row.name - 1);
            memcpy(row.name, text.at, text.len);
            row.intel = hunt_feed_of_name(run->judge, text) != NULL;
            rita_run_add(run, &row, &mark);
        }
        i = end;
    }
}

/* ---- who knows what ---- */

struct knowing {
    struct rita_run *run;
    struct rita_set wanted;    /* other ends of rows, by their id */
    struct rita_set of_dns;    /* domains that are rows */
    struct rita_set hosts;     /* all internal ones */
    struct rita_set queriers;  /* (domain, rita_host_tag) */
    struct rita_set addresses; /* (address, domain that it was an answer for) */
    struct rita_set direct;    /* domains whose addresses others connected to */
    uint64_t seen[4096];       /* hosts that are in `hosts` already */
};

static void add_host(struct knowing *knowing, uint64_t id)
{
    uint64_t *seen = &knowing->seen[id % 4096];
    if (__atomic_load_n(seen, __ATOMIC_RELAXED) == id)
        return;
    __atomic_store_n(seen, id, __ATOMIC_RELAXED);
    rita_set_add(&knowing->hosts, id, 0);
}

static void add_contact(struct knowing *knowing, uint64_t target, uint64_t host)
{
    if (rita_set_has(&knowing->wanted, target, 0))
        rita_set_add(&knowing->run->contacts, target, rita_host_tag(host));
}

static void know_querier(void *with, const void *key_bytes, const void *value)
{
    struct knowing *knowing = with;
    const struct rita_querier_key *key = key_bytes;
    if (rita_set_has(&knowing->of_dns, key->domain, 0) &&
        rita_in_window(knowing->run, ((const struct rita_querier_value *)value)->last))
        rita_set_add(&knowing->queriers, key->domain,
                     rita_host_tag(host_id(knowing->run, &key->src)));
}

static void know_answer(void *with, const void *key_bytes, const void *value_bytes)
{
    struct knowing *knowing = with;
    const struct resolved_key *key = key_bytes;
    const struct resolved_value *value = value_bytes;
    if (!addr_is_v4(&key->addr)) /* A answers only */
        return;
    for (unsigned i = 0; i < RESOLVED_NAMES && value->names[i] != 0; i++) {
        book_name domain = domain_of(knowing->run, value->names[i]);
        if (rita_set_has(&knowing->of_dns, domain, 0))
            rita_set_add(&knowing->addresses, address_id(knowing->run, &key->addr), domain);
    }
}

static void find_direct(struct knowing *knowing, const struct pair_key *key, uint64_t src)
{
    size_t first;
    size_t n =
        rita_set_count(&knowing->addresses, address_id(knowing->run, &key->dst.addr), &first);
    for (size_t i = 0; i < n; i++) {
        uint64_t domain = knowing->addresses.at[first + i].b;
        if (!rita_set_has(&knowing->queriers, domain, rita_host_tag(src)))
            rita_set_add(&knowing->direct, domain, 0);
    }
}

static void know_pair(void *with, const void *key_bytes, const void *value_bytes)
{
    struct knowing *knowing = with;
    struct rita_run *run = knowing->run;
    const struct pair_key *key = key_bytes;
    const struct pair_sum *sum = &((const struct pair_value *)value_bytes)->sum;
    const struct hunt_scope *scope = run->judge->scope;
    if ((sum->last < run->floor && sum->n_open == 0) ||
        !hunt_keeps_conn(scope, &key->src.addr, &key->dst.addr))
        return;
    uint64_t src = host_id(run, &key->src), dst = host_id(run, &key->dst);
    bool src_ours = hunt_is_internal(scope, &key->src.addr);
    if (src_ours)
        add_host(knowing, src);
    if (hunt_is_internal(scope, &key->dst.addr))
        add_host(knowing, dst);
    add_contact(knowing, src_ours ? dst : src, src_ours ? src : dst);
    if (knowing->addresses.n > 0)
        find_direct(knowing, key, src);
}

static void know_asked(void *with, const void *key_bytes, const void *value)
{
    struct knowing *knowing = with;
    const struct asked_key *key = key_bytes;
    if (!rita_in_window(knowing->run, ((const struct asked_value *)value)->last) ||
        !hunt_is_internal(knowing->run->judge->scope, &key->src.addr))
        return;
    uint64_t src = host_id(knowing->run, &key->src);
    add_host(knowing, src);
    add_contact(knowing, key->name, src);
    if (knowing->of_dns.n > 0)
        add_contact(knowing, domain_of(knowing->run, key->name), src);
}

/* Those who asked for more names of one domain than are remembered of each. */
static void know_resolver(void *with, const void *key_bytes, const void *value_bytes)
{
    struct knowing *knowing = with;
    struct rita_run *run = knowing->run;
    const struct rita_name_value *value = value_bytes;
    book_name name = ((const struct rita_name_key *)key_bytes)->name;
    book_name domain = domain_in(run, value);
    for (unsigned i = 0; i < RITA_RESOLVERS && value->resolvers[i].tag != 0; i++) {
        const struct rita_resolver *resolver = &value->resolvers[i];
        if (!rita_in_window(run, (int64_t)resolver->last * 60000))
            continue;
        add_contact(knowing, name, resolver->tag);
        if (knowing->of_dns.n > 0)
            add_contact(knowing, domain, resolver->tag);
    }
}

static void know_host(void *with, const void *key, const void *value)
{
    struct knowing *knowing = with;
    if (rita_in_window(knowing->run, ((const struct rita_asked_value *)value)->last))
        add_host(knowing, host_id(knowing->run, &((const struct rita_asked_key *)key)->host));
}

static uint64_t target_of(const struct rita_row *row, const struct rita_mark *mark)
{
    return row->type == RITA_IP ? mark->dst : mark->name;
}

static void know_all(struct knowing *knowing)
{
    struct rita_run *run = knowing->run;
    unsigned n_threads = run->judge->n_threads;
    for (size_t i = 0; i < run->n; i++) {
        uint64_t target = target_of(&run->rows[i], &run->marks[i]);
        rita_set_add(&knowing->wanted, target, 0);
        if (run->rows[i].type == RITA_DNS)
            rita_set_add(&knowing->of_dns, target, 0);
        else if (hunt_is_internal(run->judge->scope, &run->rows[i].src.addr))
            rita_set_add(&run->contacts, target, rita_host_tag(run->marks[i].src));
    }
    rita_set_sort(&knowing->wanted);
    rita_set_sort(&knowing->of_dns);
    if (knowing->of_dns.n > 0) {
        books_each(&run->all, &rita_querier_table, n_threads, know_querier, knowing);
        rita_set_sort(&knowing->queriers);
        books_each(&run->all, &resolved_table, n_threads, know_answer, knowing);
        rita_set_sort(&knowing->addresses);
    }
    books_each(&run->all, &pair_table, n_threads, know_pair, knowing);
    books_each(&run->all, &asked_table, n_threads, know_asked, knowing);
    books_each(&run->all, &rita_name_table, n_threads, know_resolver, knowing);
    books_each(&run->all, &rita_asked_table, n_threads, know_host, knowing);
    rita_set_sort(&run->contacts);
    rita_set_sort(&knowing->hosts);
    rita_set_sort(&knowing->direct);
    for (size_t i = 0; i < run->n; i++) {
        uint64_t target = target_of(&run->rows[i], &run->marks[i]);
        run->rows[i].prevalence.n = (uint32_t)rita_set_count(&run->contacts, target, NULL);
        run->rows[i].prevalence.of = (uint32_t)knowing->hosts.n;
        run->marks[i].has_direct = rita_set_has(&knowing->direct, target, 0);
    }
}

void rita_find_prevalence(struct rita_run *run)
{
    struct knowing *knowing = calloc(1, sizeof *knowing);
    if (knowing == NULL) {
        rita_fail(run);
        return;
    }
    struct rita_set *sets[] = {&knowing->wanted,   &knowing->of_dns,    &knowing->hosts,
                               &knowing->queriers, &knowing->addresses, &knowing->direct};
    enum { N = sizeof sets / sizeof sets[0] };
    for (unsigned i = 0; i < N; i++)
        rita_set_init(sets[i]);
    knowing->run = run;
    know_all(knowing);
    for (unsigned i = 0; i < N; i++) {
        run->failed |= sets[i]->failed;
        rita_set_done(sets[i]);
    }
    free(knowing);
}
