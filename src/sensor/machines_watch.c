/* What the monitored machines' packets do not say by themselves: which addresses are whose, what
 * the mirrors of other machines show, and whether the canary comes back. See machines.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "sensor/machines_parts.h"

#define SECOND      1000000000ll
#define BOOK_EVERY  (2 * SECOND)
#define BOOK_SELDOM (10 * SECOND) /* once everybody is known */
#define NO_NETWORK  UINT16_MAX    /* where addresses are nobody else's */

/* ---- whose addresses ---- */

/* Configured addresses of all machines. *out_n entries, on the heap; NULL: there are none. */
static struct address_entry *configured_entries(const struct machines *m, size_t *out_n)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n_machines; i++)
        n += m->machines[i].n_addresses;
    struct address_entry *entries = calloc(n + 1, sizeof *entries);
    *out_n = 0;
    for (size_t i = 0; entries && i < m->n_machines; i++)
        for (size_t k = 0; k < m->machines[i].n_addresses && !machine_is_gone(&m->machines[i]); k++)
            entries[(*out_n)++] = (struct address_entry){.addr = m->machines[i].addresses[k],
                                                         .network = m->machines[i].network_number,
                                                         .machine = (uint16_t)(i + 1),
                                                         .configured = true};
    return entries;
}

static struct address_book *make_book(const struct machines *m)
{
    const struct machines_workers *workers = m->options.workers;
    uint16_t max_machine = (uint16_t)m->n_machines;
    size_t n = 0;
    struct address_book *book = NULL;
    struct address_entry *entries = configured_entries(m, &n);
    uint16_t *network_of = calloc((size_t)max_machine + 1, sizeof *network_of);
    for (size_t i = 0; network_of && i < m->n_machines; i++)
        network_of[i + 1] =
            machine_is_gone(&m->machines[i]) ? NO_NETWORK : m->machines[i].network_number;
    if (entries && network_of)
        book =
            address_book_make(entries, n, workers->learners, workers->n, network_of, max_machine);
    free(entries);
    free(network_of);
    return book;
}

/* A new book for the workers; the old one goes when none of them has it any more. */
static void renew_book(struct machines *m, int64_t ticks)
{
    if (ticks < m->next_book)
        return;
    struct address_book *book = make_book(m);
    bool all_known = true;
    if (!book)
        return; /* no memory: the old one stays */
    m->options.workers->set_book(m->options.workers->with, book);
    address_book_free(m->book);
    m->book = book;
    for (size_t i = 0; i < m->n_machines; i++) {
        struct addr any;
        m->machines[i].has_address = address_book_pick(book, (uint16_t)(i + 1), 0, &any);
        all_known &= m->machines[i].has_address;
    }
    m->next_book = ticks + (all_known ? BOOK_SELDOM : BOOK_EVERY);
}

/* ---- the other machines ---- */

static const char *name_of(void *context, uint16_t machine)
{
    const struct machines *m = context;
    return machine && machine <= m->n_machines ? m->machines[machine - 1].name : "?";
}

void machines_add_shared(struct machines *m, struct machine *machine, struct health_totals *totals)
{
    witness_book_fill(m->witnesses, (uint16_t)(machine - m->machines + 1), name_of, m,
                      machine->shared, totals);
}

/* ---- the canary ---- */

void machines_collect(struct machines *m, int64_t now, int64_t ticks)
{
    witness_book_collect(m->witnesses, m->options.workers->witnesses, m->options.workers->n);
    renew_book(m, ticks);
    if (!m->options.canary)
        return;
    canary_poll(m->options.canary, ticks, now);
    for (size_t i = 0; i < m->n_machines; i++) {
        struct machine *machine = &m->machines[i];
        uint16_t number = (uint16_t)(i + 1);
        canary_enable(m->options.canary, number,
                      machine->wants_canary && machine->has_address && !machine_is_gone(machine));
        machine->canary = *canary_state(m->options.canary, number);
    }
}

void machines_send_canary(struct machines *m, struct machine *machine, int64_t now, int64_t ticks)
{
    uint64_t random;
    struct addr to;
    struct err err;
    uint16_t number = (uint16_t)(machine - m->machines + 1);
    if (!m->options.canary || !machine->wants_canary ||
        getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random ||
        !address_book_pick(m->book, number, random, &to))
        return;
    int result = canary_send(m->options.canary, number, &to, ticks, now, &err);
    if (result == 0 || result == -EAGAIN || m->said_refused || !m->options.say)
        return; /* too many are out: it is sent another time */
    m->said_refused = true;
    m->options.say(m->options.alarm_with, err.text);
}
