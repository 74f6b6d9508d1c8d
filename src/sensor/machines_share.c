/* Who gives way under overload: between the machines' counters, the arithmetic of fairness.h, and
 * the channels of the workers, which leave out what they are told. */
#include "sensor/machines_parts.h"
#include "sensor/workers.h"

static uint16_t keep_of(const struct machines *m, const struct machine_channel *channel)
{
    uint16_t keep = channel->machine ? m->senders[channel->machine - 1].keep : 0;
    return keep == FAIRNESS_ALL ? 0 : keep;
}

static void set_keep(struct machines *m)
{
    const struct machines_workers *workers = m->options.workers;
    unsigned n_tables = workers->n;
    for (unsigned t = 0; t < n_tables && t < MACHINES_MAX_TABLES; t++) {
        struct source_table *table = workers->sources[t];
        for (size_t i = 0; i < m->maps[t].n; i++) {
            struct source *source = source_get(table, (uint16_t)(i + 1));
            uint16_t keep = keep_of(m, &m->channels[m->maps[t].channels[i] - 1]);
            __atomic_store_n(&source->keep, keep, __ATOMIC_RELAXED);
        }
    }
}

bool machines_share(struct machines *m, uint64_t n_others, uint64_t n_dropped, uint32_t rate_limit,
                    int64_t ticks)
{
    m->fairness.rate_limit = rate_limit;
    for (size_t i = 0; i < m->n_machines; i++) {
        const struct source_counters *sum = &m->machines[i].sum;
        m->senders[i].n_left_out = sum->n_left_out;
        m->senders[i].n_seen = sum->n_packets + sum->n_left_out;
    }
    fairness_step(&m->fairness, m->senders, m->n_machines, n_others, n_dropped, ticks);
    set_keep(m);
    return m->fairness.is_overloaded;
}
