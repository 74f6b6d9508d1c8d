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
    /* Whoever sends must not choose who shares a place with whom. It only fails where the kernel
     * has no random numbers yet; the address is some. */
    if (getrandom(&m->secret, sizeof m->secret, GRND_NONBLOCK) != sizeof m->secret)
        m->secret = (uint64_t)(uintptr_t)m;
    m->witnesses = witness_book_new(options->workers->n, MACHINES_MAX);
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
    free(m->by_name.places);
    free(m->by_key.places);
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

/* Room in the index for one more; `hash_of` gives what each of the `n` was put in by. False: no
 * memory. */
static bool index_grow(struct machines *m, struct machine_index *index,
                       uint64_t (*hash_of)(const struct machines *m, uint32_t place))
{
    if (2 * (index->n + 1) <= index->capacity)
        return true;
    size_t more = index->capacity ? 2 * index->capacity : 64;
    uint32_t *places = calloc(more, sizeof *places);
    if (!places)
        return false;
    for (uint32_t place = 0; place < index->n; place++) {
        size_t i = hash_of(m, place) & (more - 1);
        while (places[i])
            i = (i + 1) & (more - 1);
        places[i] = place + 1;
    }
    free(index->places);
    index->places = places;
    index->capacity = more;
    return true;
}

/* The next one is found by `hash` from now on; there is room. */
static void index_add(struct machine_index *index, uint64_t hash)
{
    size_t i = hash & (index->capacity - 1);
    while (index->places[i])
        i = (i + 1) & (index->capacity - 1);
    index->places[i] = (uint32_t)++index->n;
}

static uint64_t hash_names(uint64_t secret, const char *name, const char *network)
{
    return XXH3_64bits_withSeed(name, strlen(name),
                                XXH3_64bits_withSeed(network, strlen(network), secret));
}

static uint64_t hash_machine(const struct machines *m, uint32_t place)
{
    return hash_names(m->secret, m->machines[place].name, m->machines[place].network);
}

/* Its place + 1, or 0: there is none. */
static uint32_t look_up_machine(struct machines *m, const char *name, const char *network)
{
    const struct machine_index *index = &m->by_name;
    if (index->capacity == 0)
        return 0;
    size_t mask = index->capacity - 1;
    for (size_t i = hash_names(m->secret, name, network) & mask; index->places[i];
         i = (i + 1) & mask) {
        const struct machine *machine = &m->machines[index->places[i] - 1];
        m->n_compared++;
        if (strcmp(machine->name, name) == 0 && strcmp(machine->network, network) == 0)
            return index->places[i];
    }
    return 0;
}

/* The count may begin anew, or become smaller because one of several mirrors is gone: then it is
 * not known how much of it is new. */
static void take_cloud_lost(struct machine *machine, uint64_t total)
{
    if (machine->has_cloud_lost && total > machine->cloud_lost_total)
        machine->cloud_lost += total - machine->cloud_lost_total;
    machine->has_cloud_lost = true;
    machine->cloud_lost_total = total;
}

/* What is configured of a machine may change; what was learned of it stays. */
static void take_want(struct machine *machine, const struct machine_want *want)
{
    if (want->has_cloud_lost)
        take_cloud_lost(machine, want->cloud_lost);
    machine->overhead = want->overhead ? want->overhead : machine->overhead;
    machine->wants_canary = want->has_canary;
    machine->network_number = want->network_number;
    free(machine->addresses);
    machine->addresses = NULL;
    machine->n_addresses = 0;
    if (want->n_addresses &&
        (machine->addresses = calloc(want->n_addresses, sizeof *machine->addresses))) {
        memcpy(machine->addresses, want->addresses, want->n_addresses * sizeof *machine->addresses);
        machine->n_addresses = want->n_addresses;
    }
}

/* Its place + 1, or 0: no memory. */
static uint32_t find_machine(struct machines *m, const struct machine_want *want, bool configured,
                             int64_t now)
{
    char name[SNAPSHOT_NAME_MAX], network[sizeof m->machines->network];
    (void)snprintf(name, sizeof name, "%s", want->name); /* as long as it is kept */
    (void)snprintf(network, sizeof network, "%s", want->network);
    uint32_t found = look_up_machine(m, name, network);
    if (found) {
        struct machine *machine = &m->machines[found - 1];
        machine->configured |= configured;
        take_want(machine, want);
        return found;
    }
    if (m->n_machines >= MACHINES_MAX ||
        !grow(&m->machines, &m->machines_capacity, m->n_machines, sizeof *m->machines) ||
        !index_grow(m, &m->by_name, hash_machine))
        return 0;
    if (!grow(&m->senders, &m->senders_capacity, m->n_machines, sizeof *m->senders))
        return 0;
    m->senders[m->n_machines] = (struct fairness_sender){.keep = 0};
    struct machine *machine = &m->machines[m->n_machines];
    memset(machine, 0, sizeof *machine);
    machine->health = health_new(&want->health, now);
    if (!machine->health)
        return 0;
    memcpy(machine->name, name, sizeof name);
    memcpy(machine->network, network, sizeof network);
    machine->configured = configured;
    take_want(machine, want);
    machine->verdict.since = now;
    index_add(&m->by_name, hash_names(m->secret, name, network));
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
    if (source_is_refused(&channel->key))
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

static bool is_same_key(const struct source *a, const struct source *b)
{
    return a->decoder == b->decoder && a->has_id == b->has_id && a->id == b->id &&
           a->input == b->input && a->part == b->part && a->is_forwarded == b->is_forwarded &&
           addr_eq(&a->outer, &b->outer);
}

static uint64_t hash_key(uint64_t secret, const struct source *key)
{
    struct {
        const struct tunnel_decoder *decoder;
        struct addr outer;
        uint32_t id, has_id;
        uint16_t input, part, is_forwarded;
    } bytes;
    memset(&bytes, 0, sizeof bytes);
    bytes.decoder = key->decoder;
    bytes.outer = key->outer;
    bytes.id = key->id;
    bytes.has_id = key->has_id;
    bytes.input = key->input;
    bytes.part = key->part;
    bytes.is_forwarded = key->is_forwarded;
    return XXH3_64bits_withSeed(&bytes, sizeof bytes, secret);
}

static uint64_t hash_channel(const struct machines *m, uint32_t place)
{
    return hash_key(m->secret, &m->channels[place].key);
}

/* Its place + 1; 0: no memory. Only asked for channels that a worker has met for the first time. */
static uint32_t find_channel(struct machines *m, const struct source *source, int64_t now)
{
    struct machine_index *index = &m->by_key;
    uint64_t hash = hash_key(m->secret, source);
    size_t mask = index->capacity - 1;
    if (index->capacity)
        for (size_t i = hash & mask; index->places[i]; i = (i + 1) & mask) {
            m->n_compared++;
            if (is_same_key(&m->channels[index->places[i] - 1].key, source))
                return index->places[i];
        }
    if (!grow(&m->channels, &m->channels_capacity, m->n_channels, sizeof *m->channels) ||
        !index_grow(m, index, hash_channel))
        return 0;
    index_add(index, hash);
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
    const struct machines_workers *workers = m->options.workers;
    for (size_t i = 0; i < m->n_channels; i++) {
        memset(&m->channels[i].sum, 0, sizeof m->channels[i].sum);
        source_seq_begin(&m->channels[i].seq);
    }
    for (unsigned t = 0; t < workers->n; t++) {
        struct source_table *table = workers->sources[t];
        map_channels(m, t, table, now);
        for (size_t i = 0; i < m->maps[t].n; i++)
            add_source(&m->channels[m->maps[t].channels[i] - 1],
                       &source_get(table, (uint16_t)(i + 1))->counters);
    }
    for (size_t i = 0; i < m->n_channels; i++)
        source_seq_end(&m->channels[i].seq);
}

/* What came by the channel since the last time is its machine's of today. */
static void add_to_machine(struct machine *machine, struct machine_channel *channel)
{
    struct source_counters *sum = &machine->sum, *before = &channel->before;
    const struct source_counters *c = &channel->sum;
    uint64_t lost = source_seq_lost(&channel->seq);
    sum->n_packets += c->n_packets - before->n_packets;
    sum->n_bytes += c->n_bytes - before->n_bytes;
    sum->n_in += c->n_in - before->n_in;
    sum->n_out += c->n_out - before->n_out;
    sum->n_in_bytes += c->n_in_bytes - before->n_in_bytes;
    sum->n_out_bytes += c->n_out_bytes - before->n_out_bytes;
    sum->n_tcp_in += c->n_tcp_in - before->n_tcp_in;
    sum->n_tcp_out += c->n_tcp_out - before->n_tcp_out;
    sum->n_noise += c->n_noise - before->n_noise;
    sum->noise_bytes += c->noise_bytes - before->noise_bytes;
    sum->n_left_out += c->n_left_out - before->n_left_out;
    sum->n_copies += c->n_copies - before->n_copies;
    sum->n_cut += c->n_cut - before->n_cut;
    sum->n_reordered += c->n_reordered - before->n_reordered;
    sum->n_loops += c->n_loops - before->n_loops;
    sum->cut_size = c->cut_size > sum->cut_size ? c->cut_size : sum->cut_size;
    sum->largest_size = c->largest_size > sum->largest_size ? c->largest_size : sum->largest_size;
    if (c->n_packets > before->n_packets && c->last > sum->last)
        sum->last = c->last;
    machine->n_lost += lost - channel->lost_before;
}

static void add_machines(struct machines *m)
{
    for (size_t i = 0; i < m->n_machines; i++) {
        m->machines[i].n_channels = 0;
        m->machines[i].last_channel = 0;
    }
    for (size_t i = 0; i < m->n_channels; i++) {
        struct machine_channel *channel = &m->channels[i];
        if (channel->machine) {
            struct machine *machine = &m->machines[channel->machine - 1];
            add_to_machine(machine, channel);
            machine->n_channels++;
            if (!machine->last_channel ||
                channel->sum.last > m->channels[machine->last_channel - 1].sum.last)
                machine->last_channel = (uint32_t)i + 1;
        }
        channel->before = channel->sum;
        channel->lost_before = source_seq_lost(&channel->seq);
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

void machines_add_up(struct machines *m, int64_t now)
{
    m->now = now;
    add_channels(m, now);
    add_machines(m);
}

void machines_update(struct machines *m, int64_t now, int64_t ticks)
{
    machines_add_up(m, now);
    machines_collect(m, now, ticks);
    for (size_t i = 0; i < m->n_machines; i++) {
        struct machine *machine = &m->machines[i];
        if (machine->first_packet == 0 && machine->sum.last)
            machine->first_packet = machine->sum.last;
        update_rates(machine, ticks);
        if (!machine_is_gone(machine))
            judge(m, machine, now, ticks);
    }
    notice_clock(m);
    notice_deafness(m);
}
