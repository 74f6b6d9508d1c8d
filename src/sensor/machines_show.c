/* The monitored machines in a snapshot: see machines.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensor/machines_parts.h"
#include "tunnel/tunnel.h"

#define MAX_SHOWN_REFUSED 64

static void show_channel(const struct machines *m, const struct source *key,
                         struct snapshot_channel *out)
{
    memset(out, 0, sizeof *out);
    (void)snprintf(out->encapsulation, sizeof out->encapsulation, "%s",
                   key->decoder ? key->decoder->name : "interface");
    out->has_id = key->has_id;
    out->id = key->id;
    out->outer = key->outer;
    if (!key->decoder && m->options.input_name)
        (void)snprintf(out->interface, sizeof out->interface, "%s",
                       m->options.input_name(m->options.with, key->input));
}

static void show_machine(const struct machines *m, const struct machine *machine,
                         struct snapshot_machine *out)
{
    const struct source_counters *sum = &machine->sum;
    *out = (struct snapshot_machine){
        .configured = machine->configured,
        .n_channels = machine->n_channels,
        .state = machine->verdict.state,
        .is_bad = machine->verdict.is_bad,
        .since = machine->verdict.since,
        .first_packet = machine->first_packet,
        .last_packet = sum->last,
        .n_packets = sum->n_packets,
        .n_bytes = sum->n_bytes,
        .n_in_bytes = sum->n_in_bytes,
        .n_out_bytes = sum->n_out_bytes,
        .n_copies = sum->n_copies,
        .n_cut = sum->n_cut,
        .n_lost = machine->n_lost,
        .has_cloud_lost = machine->has_cloud_lost,
        .n_cloud_lost = machine->cloud_lost,
        .n_cloud_lost_total = machine->cloud_lost_total,
        .n_reordered = sum->n_reordered,
        .n_dropped = sum->n_left_out,
        .cut_size = (uint32_t)sum->cut_size,
        .packets_per_second = machine->packets_per_second,
        .in_bits_per_second = machine->in_bits,
        .out_bits_per_second = machine->out_bits,
        .copies_share = machine->copies_share,
        .usual_bytes_per_second = machine->verdict.usual_bytes_per_second,
        .n_canaries_sent = machine->canary.n_sent,
        .n_canaries_back = machine->canary.n_back,
    };
    memcpy(out->name, machine->name, sizeof out->name);
    memcpy(out->network, machine->network, sizeof out->network);
    memcpy(out->reason, machine->verdict.reason, sizeof out->reason);
    if (machine->last_channel)
        show_channel(m, &m->channels[machine->last_channel - 1].key, &out->channel);
}

static int by_gravity(const void *a, const void *b)
{
    const struct snapshot_machine *x = a, *y = b;
    if (x->is_bad != y->is_bad)
        return x->is_bad ? -1 : 1;
    if (x->is_bad && x->state != y->state)
        return x->state > y->state ? -1 : 1;
    int order = strcmp(x->network, y->network);
    return order ? order : strcmp(x->name, y->name);
}

static int by_packets(const void *a, const void *b)
{
    const struct snapshot_refused *x = a, *y = b;
    return x->n_packets > y->n_packets ? -1 : x->n_packets < y->n_packets;
}

bool machines_snapshot(const struct machines *m, struct snapshot *out)
{
    size_t n_refused = 0;
    for (size_t i = 0; i < m->n_channels; i++)
        n_refused += source_is_refused(&m->channels[i].key);
    out->machines = calloc(m->n_machines + 1, sizeof *out->machines);
    out->refused = calloc(n_refused + 1, sizeof *out->refused);
    out->alarms = calloc(MACHINES_ALARMS, sizeof *out->alarms);
    if (!out->machines || !out->refused || !out->alarms)
        return false; /* who asked frees what there is */
    for (size_t i = 0; i < m->n_machines; i++) {
        out->n_packets += m->machines[i].sum.n_packets;
        out->n_bytes += m->machines[i].sum.n_bytes;
        if (!machine_is_gone(&m->machines[i]))
            show_machine(m, &m->machines[i], &out->machines[out->n_machines++]);
    }
    qsort(out->machines, out->n_machines, sizeof *out->machines, by_gravity);
    for (size_t i = 0; i < m->n_channels; i++) {
        const struct machine_channel *channel = &m->channels[i];
        if (!source_is_refused(&channel->key) || channel->sum.n_refused == 0)
            continue;
        struct snapshot_refused *refused = &out->refused[out->n_refused++];
        show_channel(m, &channel->key, &refused->channel);
        refused->n_packets = channel->sum.n_refused;
        refused->is_estimate = channel->sum.n_guessed > 0;
        refused->last_packet = channel->sum.last;
        if (m->options.admit)
            m->options.admit(m->options.with, &channel->key, refused->admit, sizeof refused->admit);
    }
    qsort(out->refused, out->n_refused, sizeof *out->refused, by_packets);
    if (out->n_refused > MAX_SHOWN_REFUSED)
        out->n_refused = MAX_SHOWN_REFUSED;
    size_t n = m->n_alarms < MACHINES_ALARMS ? m->n_alarms : MACHINES_ALARMS;
    for (size_t i = 0; i < n; i++)
        out->alarms[out->n_alarms++] = m->alarms[(m->n_alarms - 1 - i) % MACHINES_ALARMS];
    return true;
}
