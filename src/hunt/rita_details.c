/* What rows have beside their numbers: rare signatures, requests without Host, ports that have no
 * place in the pair's value, responses of an odd type. */
#include <stdio.h>
#include <stdlib.h>

#include "hunt/rita_parts.h"

/* A use of a signature by a host that has rows. */
struct use {
    uint64_t src, signature, to, dst;
    bool many_dsts, by_address;
};

struct other_port {
    size_t row;
    struct pair_port port;
};

struct detailing {
    struct rita_run *run;
    struct rita_set rows;    /* (rita_pair_id, number of the row) */
    struct rita_set sources; /* of rows */
    struct use *uses;
    size_t n_uses, max_uses;
    struct other_port *ports;
    size_t n_ports, max_ports;
    pthread_mutex_t lock;
};

/* Room for one more; NULL: no memory. */
static void *grow(struct detailing *detailing, void **list, size_t n, size_t *max, size_t size)
{
    if (n == *max) {
        size_t wanted = *max ? 2 * *max : 1024;
        void *at = realloc(*list, wanted * size);
        if (at == NULL) {
            rita_fail(detailing->run);
            return NULL;
        }
        *list = at;
        *max = wanted;
    }
    return (uint8_t *)*list + n * size;
}

static bool row_of(const struct detailing *detailing, uint64_t id, size_t *out_row)
{
    size_t first;
    if (rita_set_count(&detailing->rows, id, &first) == 0)
        return false;
    *out_row = (size_t)detailing->rows.at[first].b;
    return true;
}

/* ---- signatures ---- */

static void take_use(void *with, const void *key_bytes, const void *value_bytes)
{
    struct detailing *detailing = with;
    const struct rita_signature_key *key = key_bytes;
    const struct rita_signature_value *value = value_bytes;
    uint64_t src = rita_host_id(detailing->run->all.at[0], &key->src);
    if (!rita_set_has(&detailing->sources, src, 0) || !rita_in_window(detailing->run, value->last))
        return;
    (void)pthread_mutex_lock(&detailing->lock); /* a plain mutex: it cannot fail */
    void *list = detailing->uses;
    struct use *use = grow(detailing, &list, detailing->n_uses, &detailing->max_uses, sizeof *use);
    detailing->uses = list;
    if (use) {
        *use = (struct use){.src = src,
                            .signature = key->signature,
                            .to = key->to,
                            .dst = value->dst,
                            .many_dsts = value->many_dsts != 0,
                            .by_address = key->kind == RITA_TO_ADDRESS};
        detailing->n_uses++;
    }
    (void)pthread_mutex_unlock(&detailing->lock);
}

static int compare_uses(const void *left, const void *right)
{
    const struct use *a = left, *b = right;
    if (a->src != b->src)
        return a->src < b->src ? -1 : 1;
    if (a->signature != b->signature)
        return a->signature < b->signature ? -1 : 1;
    if (a->by_address != b->by_address)
        return a->by_address ? 1 : -1;
    return (a->to > b->to) - (a->to < b->to);
}

static void put_signature(struct rita_run *run, struct rita_row *row, book_name signature)
{
    struct str text = books_text(&run->all, signature);
    size_t used = strlen(row->rare_signatures), size = sizeof row->rare_signatures;
    if (!str_set(text) || used + 4 >= size)
        return;
    (void)snprintf(row->rare_signatures + used, size - used, "%s%.*s", used ? " | " : "",
                   (int)(text.len < size ? text.len : size), text.at);
}

/* All uses of one signature by one host. */
static void judge_uses(struct detailing *detailing, const struct use *uses, size_t n)
{
    struct rita_run *run = detailing->run;
    size_t n_names = 0, row;
    bool one_dst = true;
    for (size_t i = 0; i < n; i++) {
        n_names += !uses[i].by_address;
        one_dst = one_dst && !uses[i].many_dsts && uses[i].dst == uses[0].dst;
    }
    for (size_t i = 0; i < n; i++) {
        if (!row_of(detailing, rita_pair_id(uses[i].src, uses[i].to), &row))
            continue;
        if (uses[i].by_address) {
            uint32_t n_missing = run->marks[row].n_missing;
            run->rows[row].n_missing_host = n_missing > 0 ? n_missing : 1;
        }
        if (uses[i].signature != 0 && (uses[i].by_address ? one_dst : n_names == 1))
            put_signature(run, &run->rows[row], uses[i].signature);
    }
}

static void find_uses(struct detailing *detailing)
{
    struct rita_run *run = detailing->run;
    books_each(&run->all, &rita_signature_table, run->judge->n_threads, take_use, detailing);
    if (detailing->n_uses == 0)
        return;
    qsort(detailing->uses, detailing->n_uses, sizeof *detailing->uses, compare_uses);
    for (size_t i = 0; i < detailing->n_uses;) {
        const struct use *first = &detailing->uses[i];
        size_t n = 1;
        while (i + n < detailing->n_uses && first[n].src == first->src &&
               first[n].signature == first->signature)
            n++;
        judge_uses(detailing, first, n);
        i += n;
    }
}

/* ---- ports ---- */

static void take_port(void *with, const void *key_bytes, const void *value_bytes)
{
    struct detailing *detailing = with;
    const struct port_key *key = key_bytes;
    const struct port_value *value = value_bytes;
    const struct book *book = detailing->run->all.at[0];
    uint64_t src = rita_host_id(book, &key->src);
    uint64_t to = key->name ? key->name : rita_host_id(book, &key->dst);
    size_t row;
    if (value->n == 0 || !row_of(detailing, rita_pair_id(src, to), &row))
        return;
    (void)pthread_mutex_lock(&detailing->lock);
    void *list = detailing->ports;
    struct other_port *other =
        grow(detailing, &list, detailing->n_ports, &detailing->max_ports, sizeof *other);
    detailing->ports = list;
    if (other) {
        *other = (struct other_port){
            .row = row,
            .port = {.service = key->service,
                     .port = key->port,
                     .proto = key->proto,
                     .n = value->n < UINT32_MAX ? (uint32_t)value->n : UINT32_MAX}};
        detailing->n_ports++;
    }
    (void)pthread_mutex_unlock(&detailing->lock);
}

static int compare_ports(const void *left, const void *right)
{
    const struct other_port *a = left, *b = right;
    if (a->row != b->row)
        return a->row < b->row ? -1 : 1;
    if (a->port.n != b->port.n)
        return a->port.n > b->port.n ? -1 : 1;
    if (a->port.port != b->port.port)
        return a->port.port < b->port.port ? -1 : 1;
    if (a->port.proto != b->port.proto)
        return a->port.proto < b->port.proto ? -1 : 1;
    return (a->port.service > b->port.service) - (a->port.service < b->port.service);
}

static void find_ports(struct detailing *detailing)
{
    struct rita_run *run = detailing->run;
    books_each(&run->recent, &port_table, run->judge->n_threads, take_port, detailing);
    if (detailing->n_ports == 0)
        return;
    qsort(detailing->ports, detailing->n_ports, sizeof *detailing->ports, compare_ports);
    for (size_t i = 0; i < detailing->n_ports; i++)
        rita_put_port(run, &run->rows[detailing->ports[i].row], &detailing->ports[i].port);
}

/* ---- types ---- */

static void find_types(struct rita_run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        if (run->rows[i].type != RITA_SNI)
            continue;
        const struct rita_mime_key key = {.src = run->rows[i].src, .name = run->marks[i].name};
        struct book_event *events;
        size_t n;
        if (!books_events(&run->all, &rita_mime_table, &key, 0, run->floor_all, INT64_MAX, &events,
                          &n)) {
            rita_fail(run);
            return;
        }
        run->rows[i].n_mime_mismatches = (uint32_t)n;
        free(events);
    }
}

void rita_find_details(struct rita_run *run)
{
    struct detailing detailing = {.run = run, .lock = PTHREAD_MUTEX_INITIALIZER};
    rita_set_init(&detailing.rows);
    rita_set_init(&detailing.sources);
    for (size_t i = 0; i < run->n; i++) {
        if (run->rows[i].type == RITA_DNS)
            continue;
        rita_set_add(&detailing.rows, run->marks[i].pair, i);
        rita_set_add(&detailing.sources, run->marks[i].src, 0);
    }
    rita_set_sort(&detailing.rows);
    rita_set_sort(&detailing.sources);
    find_uses(&detailing);
    find_ports(&detailing);
    find_types(run);
    run->failed |= detailing.rows.failed | detailing.sources.failed;
    rita_set_done(&detailing.rows);
    rita_set_done(&detailing.sources);
    free(detailing.uses);
    free(detailing.ports);
}
