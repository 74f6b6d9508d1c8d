/* The monitored machines: see machines.h.
 *
 * Workers know channels, each in a table of its own. Here a channel is found again by its key, in
 * whichever worker's table it is, and belongs to the machine of its name and network. What is added
 * up is always the total since the start: nothing is lost when an update comes late. */
#include "sensor/machines.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "sensor/machines_parts.h"
#include "sensor/workers.h"
#include "source/network.h"

#define SECOND     1000000000ll
#define DEAF_LEAST 3            /* machines: of fewer, all may well be silent by themselves */
#define RATE_SPAN  (2 * SECOND) /* rates are those of the last two to four seconds */

struct machines *machines_new(const struct machines_options *options)
{
    struct machines *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->options = *options;
    /* The call only fails where the kernel has no random numbers yet; the addresses are some. */
    if (getrandom(&m->secret, sizeof m->secret, GRND_NONBLOCK) != sizeof m->secret)
        m->secret = (uint64_t)(uintptr_t)m;
    m->witnesses = witness_book_new(workers_n(options->workers), MACHINES_MAX);
    if (m->witnesses)
        return m;
    free(m);
    return NULL;
}

void machines_free(struct machines *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n_machines; i++) {
        health_free(m->machines[i].health);
        free(m->machines[i].addresses);
    }
    for (size_t i = 0; i < MACHINES_MAX_TABLES; i++)
        free(m->maps[i].channels);
    witness_book_free(m->witnesses);
    address_book_free(m->book); /* the workers are stopped */
    places_free(&m->by_name);
    places_free(&m->by_key);
    free(m->machines);
    free(m->senders);
    free(m->channels);
    free(m);
}

/* ---- finding ---- */

/* Room for one more in an array of `n`; its elements are zeroed. False: no memory. */
static bool grow(void *array, size_t *capacity, size_t n, size_t element)
{
    void **at = array;
    if (n < *capacity)
        return true;
    size_t more = *capacity ? *capacity * 2 : 16;
    void *grown = realloc(*at, more * element);
    if (!grown)
        return false;
    memset((uint8_t *)grown + *capacity * element, 0, (more - *capacity) * element);
    *at = grown;
    *capacity = more;
    return true;
}

static bool is_same_name(const void *with, uint32_t place, const void *key)
{
    const struct machine *machine = &((const struct machine *)with)[place];
    const struct machine_want *want = key;
    return strcmp(machine->name, want->name) == 0 && strcmp(machine->network, want->network) == 0;
}

/* Its place + 1, or 0: no memory. */
static uint32_t find_machine(struct machines *m, const struct machine_want *want, bool configured,
                             int64_t now)
{
    uint64_t hash = XXH3_64bits_withSeed(want->name, strlen(want->name), m->secret) ^
                    XXH3_64bits_withSeed(want->network, strlen(want->network), ~m->secret);
    uint32_t known = places_find(&m->by_name, hash, is_same_name, m->machines, want);
    if (known) {
        m->machines[known - 1].configured |= configured;
        return known;
    }
    if (m->n_machines >= MACHINES_MAX ||
        !grow(&m->machines, &m->machines_capacity, m->n_machines, sizeof *m->machines))
        return 0;
    if (!grow(&m->senders, &m->senders_capacity, m->n_machines, sizeof *m->senders))
        return 0;
    m->senders[m->n_machines] = (struct fairness_sender){.keep = 0};
    struct machine *machine = &m->machines[m->n_machines];
    memset(machine, 0, sizeof *machine);
    machine->health = health_new(&want->health, now);
    if (!machine->health)
        return 0;
    if (!places_add(&m->by_name, hash, (uint32_t)m->n_machines)) {
        health_free(machine->health);
        machine->health = NULL;
        return 0;
    }
    (void)snprintf(machine->name, sizeof machine->name, "%s", want->name);
    (void)snprintf(machine->network, sizeof machine->network, "%s", want->network);
    machine->configured = configured;
    machine->overhead = want->overhead;
    machine->wants_canary = want->has_canary;
    machine->network_number = want->network_number;
    if (want->n_addresses &&
        (machine->addresses = calloc(want->n_addresses, sizeof *machine->addresses))) {
        memcpy(machine->addresses, want->addresses, want->n_addresses * sizeof *machine->addresses);
        machine->n_addresses = want->n_addresses;
    }
    machine->verdict.since = now;
    return (uint32_t)++m->n_machines;
}

void machines_expect(struct machines *m, const struct machine_want *want, int64_t now)
{
    (void)find_machine(m, want, true, now); /* without memory it is found when it is heard */
}

static void describe(const struct machines *m, struct source *key)
{
    const struct machines_options *o = &m->options;
    source_describe(o->rules, o->networks, key);
}

/* The machine of a channel, by what the rules say today. */
static void place_channel(struct machines *m, struct machine_channel *channel, int64_t now)
{
    describe(m, &channel->key);
    channel->machine = 0;
    if (channel->key.is_refused)
        return;
    struct machine_want want = {
        .name = channel->key.name,
        .network = network_name(m->options.networks, channel->key.network),
        .network_number = channel->key.network,
        .has_canary = true,
        .health = {.expects_both_directions = true, .expects_copies = true}};
    bool configured = m->options.want && m->options.want(m->options.with, &channel->key, &want);
    channel->machine = find_machine(m, &want, configured, now);
}

static bool is_same_key(const void *with, uint32_t place, const void *key)
{
    const struct source *a = &((const struct machine_channel *)with)[place].key, *b = key;
    return a->decoder == b->decoder && a->has_id == b->has_id && a->id == b->id &&
           a->input == b->input && a->part == b->part && a->is_forwarded == b->is_forwarded &&
           addr_eq(&a->outer, &b->outer);
}

static uint64_t hash_key(const struct machines *m, const struct source *key)
{
    uint64_t words[5] = {(uintptr_t)key->decoder, (uint64_t)key->id << 1 | key->has_id,
                         (uint64_t)key->input << 32 | (uint64_t)key->part << 1 | key->is_forwarded};
    memcpy(words + 3, key->outer.b, sizeof key->outer.b);
    return XXH3_64bits_withSeed(words, sizeof words, m->secret);
}

/* Its place + 1; 0: no memory. Only asked for channels that a worker has met for the first time. */
static uint32_t find_channel(struct machines *m, const struct source *source, int64_t now)
{
    uint64_t hash = hash_key(m, source);
    uint32_t known = places_find(&m->by_key, hash, is_same_key, m->channels, source);
    if (known)
        return known;
    if (!grow(&m->channels, &m->channels_capacity, m->n_channels, sizeof *m->channels) ||
        !places_add(&m->by_key, hash, (uint32_t)m->n_channels))
        return 0;
    struct machine_channel *channel = &m->channels[m->n_channels++];
    memset(channel, 0, sizeof *channel);
    channel->key = (struct source){.decoder = source->decoder,
                                   .outer = source->outer,
                                   .id = source->id,
                                   .has_id = source->has_id,
                                   .input = source->input,
                                   .part = source->part,
                                   .is_forwarded = source->is_forwarded};
    memcpy(channel->key.told, source->told, sizeof source->told);
    place_channel(m, channel, now);
    return (uint32_t)m->n_channels;
}

/* The table's channels that are new since the last time get their places. */
static void map_channels(struct machines *m, size_t table, struct source_table *sources,
                         int64_t now)
{
    struct machine_map *map = &m->maps[table];
    uint16_t n = source_count_shared(sources);
    while (map->n < n && grow(&map->channels, &map->capacity, map->n, sizeof *map->channels)) {
        struct source *source = source_get(sources, (uint16_t)(map->n + 1));
        uint32_t channel = find_channel(m, source, now);
        if (!channel)
            return; /* no memory: another time */
        map->channels[map->n++] = channel;
        __atomic_store_n(&source->machine, (uint16_t)m->channels[channel - 1].machine,
                         __ATOMIC_RELAXED);
    }
}

void machines_set_options(struct machines *m, const struct machines_options *options)
{
    m->options = *options;
    for (size_t i = 0; i < m->n_machines; i++)
        m->machines[i].configured = false;
    for (size_t i = 0; i < m->n_channels; i++)
        place_channel(m, &m->channels[i], m->now);
    for (size_t i = 0; i < MACHINES_MAX_TABLES; i++)
        m->maps[i].n = 0; /* the workers' channels are told their machines anew */
}

/* ---- adding up ---- */

#define LOAD(value) __atomic_load_n(&(value), __ATOMIC_RELAXED)

static void add_source(struct machine_channel *channel, const struct source_counters *c)
{
    struct source_counters *sum = &channel->sum;
    sum->n_packets += LOAD(c->n_packets);
    sum->n_bytes += LOAD(c->n_bytes);
    sum->n_in += LOAD(c->n_in);
    sum->n_out += LOAD(c->n_out);
    sum->n_in_bytes += LOAD(c->n_in_bytes);
    sum->n_out_bytes += LOAD(c->n_out_bytes);
    sum->n_tcp_in += LOAD(c->n_tcp_in);
    sum->n_tcp_out += LOAD(c->n_tcp_out);
    sum->n_noise += LOAD(c->n_noise);
    sum->noise_bytes += LOAD(c->noise_bytes);
    sum->n_copies += LOAD(c->n_copies);
    sum->n_cut += LOAD(c->n_cut);
    sum->n_reordered += LOAD(c->n_reordered);
    sum->n_refused += LOAD(c->n_refused);
    sum->n_guessed += LOAD(c->n_guessed);
    sum->n_left_out += LOAD(c->n_left_out);
    sum->n_loops += LOAD(c->n_loops);
    uint64_t cut = LOAD(c->cut_size), largest = LOAD(c->largest_size);
    sum->cut_size = cut > sum->cut_size ? cut : sum->cut_size;
    sum->largest_size = largest > sum->largest_size ? largest : sum->largest_size;
    int64_t last = LOAD(c->last);
    sum->last = last > sum->last ? last : sum->last;
    source_seq_add(&channel->seq, c);
}

static void add_channels(struct machines *m, int64_t now)
{
    unsigned n_tables = workers_n(m->options.workers);
    for (size_t i = 0; i < m->n_channels; i++) {
        memset(&m->channels[i].sum, 0, sizeof m->channels[i].sum);
        m->channels[i].last_epoch = m->channels[i].seq.epoch;
        m->channels[i].last_lost = source_seq_lost(&m->channels[i].seq);
        m->channels[i].seq = (struct source_seq){0};
    }
    for (unsigned t = 0; t < n_tables && t < MACHINES_MAX_TABLES; t++) {
        struct source_table *table = workers_sources(m->options.workers, t);
        map_channels(m, t, table, now);
        for (size_t i = 0; i < m->maps[t].n; i++)
            add_source(&m->channels[m->maps[t].channels[i] - 1],
                       &source_get(table, (uint16_t)(i + 1))->counters);
    }
    for (size_t i = 0; i < m->n_channels; i++) {
        struct machine_channel *channel = &m->channels[i];
        if (channel->seq.n && channel->seq.epoch != channel->last_epoch)
            channel->lost_before += channel->last_lost; /* its sender began anew */
    }
}

static void add_machines(struct machines *m)
{
    for (size_t i = 0; i < m->n_machines; i++) {
        struct machine *machine = &m->machines[i];
        memset(&machine->sum, 0, sizeof machine->sum);
        machine->n_lost = 0;
        machine->n_channels = 0;
        machine->last_channel = 0;
    }
    for (size_t i = 0; i < m->n_channels; i++) {
        const struct machine_channel *channel = &m->channels[i];
        if (!channel->machine)
            continue;
        struct machine *machine = &m->machines[channel->machine - 1];
        struct source_counters *sum = &machine->sum;
        const struct source_counters *c = &channel->sum;
        sum->n_packets += c->n_packets;
        sum->n_bytes += c->n_bytes;
        sum->n_in += c->n_in;
        sum->n_out += c->n_out;
        sum->n_in_bytes += c->n_in_bytes;
        sum->n_out_bytes += c->n_out_bytes;
        sum->n_tcp_in += c->n_tcp_in;
        sum->n_tcp_out += c->n_tcp_out;
        sum->n_noise += c->n_noise;
        sum->noise_bytes += c->noise_bytes;
        sum->n_copies += c->n_copies;
        sum->n_cut += c->n_cut;
        sum->n_reordered += c->n_reordered;
        sum->n_loops += c->n_loops;
        sum->n_left_out += c->n_left_out;
        sum->cut_size = c->cut_size > sum->cut_size ? c->cut_size : sum->cut_size;
        sum->largest_size =
            c->largest_size > sum->largest_size ? c->largest_size : sum->largest_size;
        machine->n_lost += channel->lost_before + source_seq_lost(&channel->seq);
        machine->n_channels++;
        if (!machine->last_channel || c->last > sum->last)
            machine->last_channel = (uint32_t)i + 1;
        sum->last = c->last > sum->last ? c->last : sum->last;
    }
}

/* ---- rates ---- */

static double per_second(uint64_t now, uint64_t before, int64_t span)
{
    return span > 0 && now > before ? (double)(now - before) * 1e9 / (double)span : 0;
}

/* Between two marks, of which the older is two to four seconds old. */
static void update_rates(struct machine *machine, int64_t ticks)
{
    const struct source_counters *sum = &machine->sum;
    const struct machine_mark *mark = &machine->marks[0];
    int64_t span = ticks - mark->ticks;
    if (mark->ticks == 0)
        machine->marks[0] = machine->marks[1] = (struct machine_mark){.ticks = ticks};
    machine->packets_per_second = per_second(sum->n_packets, mark->n_packets, span);
    machine->in_bits = 8 * per_second(sum->n_in_bytes, mark->n_in_bytes, span);
    machine->out_bits = 8 * per_second(sum->n_out_bytes, mark->n_out_bytes, span);
    uint64_t n = sum->n_packets - mark->n_packets;
    machine->copies_share = n ? (double)(sum->n_copies - mark->n_copies) / (double)n : 0;
    if (ticks - machine->marks[1].ticks < RATE_SPAN)
        return;
    machine->marks[0] = machine->marks[1];
    machine->marks[1] = (struct machine_mark){.ticks = ticks,
                                              .n_packets = sum->n_packets,
                                              .n_in_bytes = sum->n_in_bytes,
                                              .n_out_bytes = sum->n_out_bytes,
                                              .n_copies = sum->n_copies};
}

/* ---- verdicts ---- */

static void raise_alarm(struct machines *m, const struct machine *machine, int64_t now)
{
    struct snapshot_alarm *alarm = &m->alarms[m->n_alarms++ % MACHINES_ALARMS];
    *alarm = (struct snapshot_alarm){.ts = now, .state = machine->verdict.state};
    (void)snprintf(alarm->machine, sizeof alarm->machine, "%s", machine->name);
    (void)snprintf(alarm->text, sizeof alarm->text, "%s: %s%s%s",
                   health_state_name(machine->verdict.state), machine->name,
                   machine->verdict.reason[0] ? ": " : "", machine->verdict.reason);
    if (m->options.alarm)
        m->options.alarm(m->options.alarm_with, alarm);
}

static void judge(struct machines *m, struct machine *machine, int64_t now, int64_t ticks)
{
    const struct fairness_sender *sender = &m->senders[machine - m->machines];
    const struct source_counters *sum = &machine->sum;
    struct health_totals totals = {
        .n_packets = sum->n_packets - sum->n_noise, /* a tunnel device talks by itself */
        .n_bytes = sum->n_bytes - sum->noise_bytes,
        .n_in = sum->n_in,
        .n_out = sum->n_out,
        .n_tcp_in = sum->n_tcp_in,
        .n_tcp_out = sum->n_tcp_out,
        .n_cut = sum->n_cut,
        .cut_size = (uint32_t)sum->cut_size,
        .largest_size = (uint32_t)sum->largest_size,
        .n_lost = machine->n_lost,
        .n_reordered = sum->n_reordered,
        .n_dropped = sum->n_left_out,
        .kept = sender->keep == FAIRNESS_ALL ? 0 : sender->keep,
        .is_limited = sender->by_limit,
        .last_packet = sum->last,
        .overhead = machine->overhead,
    };
    machines_add_shared(m, machine, &totals);
    struct health_verdict before = machine->verdict;
    health_update(machine->health, machine->name, &totals, &machine->canary, now, ticks,
                  &machine->verdict);
    if (machine->verdict.changed && (machine->verdict.is_bad || before.is_bad))
        raise_alarm(m, machine, now);
    if (machine->verdict.wants_canary)
        machines_send_canary(m, machine, now, ticks);
}

static void say(const struct machines *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct machines *m, const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (m->options.say)
        m->options.say(m->options.alarm_with, text);
}

/* Nobody switches all mirrors off in one moment: it is more likely that nothing arrives here. */
static void notice_deafness(struct machines *m)
{
    size_t n_heard = 0, n_quiet = 0;
    for (size_t i = 0; i < m->n_machines; i++) {
        const struct machine *machine = &m->machines[i];
        n_heard += machine->first_packet != 0;
        n_quiet += machine->first_packet != 0 && (machine->verdict.state == HEALTH_SILENT ||
                                                  machine->verdict.state == HEALTH_UNKNOWN);
    }
    bool is_deaf = n_heard >= DEAF_LEAST && n_quiet == n_heard;
    if (is_deaf && !m->said_deaf)
        say(m,
            "all %zu machines have fallen silent: look at this collector first (its interface, "
            "firewall, route to the senders); cloudspan doctor helps",
            n_heard);
    m->said_deaf = is_deaf;
}

static void notice_clock(struct machines *m)
{
    if (m->n_machines == 0 || m->machines[0].verdict.clock_step == 0)
        return;
    say(m, "this machine's clock was stepped by %.3f s: times in the logs jump there",
        (double)m->machines[0].verdict.clock_step / 1e9);
}

void machines_update(struct machines *m, int64_t now, int64_t ticks)
{
    m->now = now;
    add_channels(m, now);
    add_machines(m);
    machines_collect(m, now, ticks);
    for (size_t i = 0; i < m->n_machines; i++) {
        struct machine *machine = &m->machines[i];
        if (machine->first_packet == 0 && machine->sum.last)
            machine->first_packet = machine->sum.last;
        update_rates(machine, ticks);
        judge(m, machine, now, ticks);
    }
    notice_clock(m);
    notice_deafness(m);
}
