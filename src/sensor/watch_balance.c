/* What gives way when more comes than can be worked on: unknown senders in the kernel, then the
 * machines that send most. */
#include "sensor/watch_parts.h"

/* Workers may read in between: what they must not see is an old end with a new beginning. */
static void set_times(struct arrival_gate *times, int64_t since, int64_t until)
{
    __atomic_store_n(&times->since, INT64_MAX, __ATOMIC_RELEASE);
    __atomic_store_n(&times->until, until, __ATOMIC_RELEASE);
    __atomic_store_n(&times->since, since, __ATOMIC_RELEASE);
}

static void admit(struct watch *w, bool gated)
{
    inputs_admit(w->inputs, gated ? &w->senders : NULL, GATE_ONE_IN, w->host.own, w->host.n_own);
}

/* Packets that came before the programs changed are in buffers still: their times tell. */
static void turn_gate(struct watch *w, bool gated)
{
    if (gated) {
        admit(w, true);
        set_times(&w->gate_times, clock_now(), INT64_MAX);
        watch_say(w, w->said_gated ? NOTE_INFO : NOTE_WARN,
                  "senders that are not admitted send %.0f packets a second: the kernel refuses "
                  "all but one of %d of them now; their numbers are estimates from here on",
                  w->gate.rate, GATE_ONE_IN);
        w->said_gated = true;
    } else {
        set_times(&w->gate_times, w->gate_times.since, clock_now());
        admit(w, false);
    }
    w->is_gated = gated;
}

void watch_renew_gate(struct watch *w)
{
    w->can_gate = rules_senders(w->rules, &w->senders);
    if (!w->is_gated)
        return;
    if (w->can_gate)
        admit(w, true);
    else
        turn_gate(w, false);
}

void watch_balance(struct watch *w)
{
    int64_t ticks = clock_ticks();
    workers_count(w->workers, &w->counters, &w->arrival, &w->handoff);
    uint64_t n_dropped = inputs_dropped(w->inputs) + w->handoff.n_full;
    uint64_t n_refused = w->arrival.n_refused + w->arrival.n_unknown;
    bool wanted = gate_step(&w->gate, n_refused, n_dropped, ticks) && w->can_gate;
    if (wanted != w->is_gated)
        turn_gate(w, wanted);
    bool is_overloaded = machines_share(w->machines, n_refused - w->arrival.n_guessed, n_dropped,
                                        w->config->limits.rate_per_source, ticks);
    if (is_overloaded != w->is_overloaded)
        watch_say(w, is_overloaded ? NOTE_WARN : NOTE_INFO, "%s",
                  is_overloaded ? "overloaded: packets are lost; the machines that send most give "
                                  "way, by whole connections"
                                : "no longer overloaded");
    w->is_overloaded = is_overloaded;
}
