/* Live frames through two workers with rules, copies, witnesses, learners, and packets that are
 * handed from one to the other; to log lines. The first byte chooses the configuration. Then come
 * steps: a byte of what (a frame for an input and a worker, or an order of the control thread), and
 * the frame. What came in and what was counted must agree. */
#include "capture/steer.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "sensor/arrival.h"
#include "sensor/config.h"
#include "sensor/handoff.h"
#include "sensor/pipeline.h"
#include "sensor/rules.h"
#include "source/address_book.h"
#include "source/address_learner.h"
#include "source/canary_watch.h"
#include "source/witness.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define N_WORKERS    2
#define MAX_MACHINE  32
#define N_PROBES     4
#define MEMORY       ((size_t)16 << 20)
#define HANDOFF_SIZE ((size_t)1 << 18) /* now and then full */

#define LISTEN                                                                                     \
    "listen:\n"                                                                                    \
    "- {interface: a, encapsulation: auto}\n"                                                      \
    "- vxlan\n"                                                                                    \
    "- {udp: '0.0.0.0:6081', encapsulation: geneve+vxlan}\n"                                       \
    "- {udp: '0.0.0.0:5000', encapsulation: raw}\n"                                                \
    "- {interface: b, encapsulation: none}\n"                                                      \
    "- {interface: c, encapsulation: auto, drop-vlan: yes}\n"                                      \
    "- gre\n"
#define N_INPUTS 7

static const char *const texts[] = {
    LISTEN,
    LISTEN "networks: {n: {channels: ['vxlan:5', 10.1.0.0/16]}}\n"
           "sources:\n"
           "- {name: a, network: n, channel: 'vxlan:7@192.168.255.1'}\n"
           "- {name: b, channels: ['geneve', 'erspan:12@10.0.0.0/8'], drop-vlan: yes}\n"
           "- {name: c, addresses: [10.0.0.1, '2001:db8::1']}\n"
           "- {name: d, mac: '02:00:00:00:00:01'}\n",
    LISTEN "admit: configured\n"
           "sources: [{name: a, channel: 'vxlan@192.168.255.1'}]\n",
};
#define N_CONFIGS (sizeof(texts) / sizeof(*texts))

struct worker {
    struct bed *bed;
    unsigned number;
    struct pipeline *pipeline;
    struct arrival arrival;
    struct pipeline_live live;
    struct handoff *handoff;
    struct frame frames[CAPTURE_BURST]; /* of the burst to come, each in a block of its own */
    unsigned n_frames;
    uint64_t n_taken; /* of its queue */
    uint32_t touched; /* so that bytes are read */
};

struct bed {
    struct canary_watch *canaries;
    struct rules *rules[N_CONFIGS];
    struct address_book *book;
    struct witness_book *witnesses;
    struct arrival_gate gate;
    struct steer_key key;
    struct worker workers[N_WORKERS];
    int64_t now;
    uint64_t n_in;
};

static void check(bool holds)
{
    if (!holds)
        abort();
}

static struct addr address(const char *text)
{
    struct addr addr;
    check(addr_parse(text, &addr));
    return addr;
}

/* ---- what does not depend on the input ---- */

static const struct config *config_of(size_t which)
{
    static struct config *configs[N_CONFIGS];
    struct err err;
    if (!configs[which])
        check(config_load_text(texts[which], strlen(texts[which]), "f", &configs[which], &err) >=
              0);
    return configs[which];
}

static struct log_writer *writer_of(unsigned worker, const struct pipeline_options *options)
{
    static struct log_writer *writers[N_WORKERS];
    static struct log_column extra[PIPELINE_MAX_EXTRA];
    static struct log_set *set;
    if (!set)
        set = logs_open(extra, pipeline_extra_columns(options, extra));
    if (!writers[worker])
        check((writers[worker] = log_writer_new(set)) != NULL);
    return writers[worker];
}

static struct rules *rules_of(size_t which, struct canary_watch *canaries)
{
    const struct config *config = config_of(which);
    struct rules_input inputs[N_INPUTS];
    check(config->n_listeners == N_INPUTS);
    for (size_t i = 0; i < N_INPUTS; i++)
        inputs[i] = (struct rules_input){.listener = &config->listeners[i], .is_default = i == 0};
    const struct addr own[] = {address("192.168.255.254"), address("10.9.9.9"),
                               address("2001:db8::9")};
    struct rules *rules =
        rules_new(config, inputs, N_INPUTS, own, sizeof own / sizeof *own, canaries, NULL);
    check(rules != NULL);
    return rules;
}

/* ---- what the pipeline asks ---- */

static unsigned owner_of(void *with, const struct packet *packet)
{
    const struct worker *w = with;
    uint32_t hash;
    return steer_packet(&w->bed->key, packet, &hash) ? steer_worker(hash, N_WORKERS) : w->number;
}

static void hand_on(void *with, unsigned worker, const struct packet *packet)
{
    const struct worker *w = with;
    check(worker != w->number);
    (void)handoff_put(w->bed->workers[worker].handoff, packet);
}

static void touch(struct worker *w, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        w->touched = w->touched * 31 + bytes[i];
}

/* As the outputs do: every byte that the packet says it has. */
static void put_out(void *with, const struct packet *packet, const struct source *source)
{
    struct worker *w = with;
    check(source != NULL && !source->is_refused);
    touch(w, packet->frame, packet->frame_size);
    check(packet->frame_wire_size >= packet->frame_size);
    if (packet->kind == PACKET_IP) {
        touch(w, packet->ip, packet->ip_size);
        touch(w, packet->payload, packet->payload_size);
    }
    for (unsigned i = 0; i < packet->n_layers; i++)
        touch(w, packet->layers[i].options, packet->layers[i].options_size);
}

/* ---- steps ---- */

/* The control thread numbers what it finds. */
static void number_machines(struct worker *w)
{
    for (uint16_t i = 1; i <= source_count_shared(w->arrival.sources); i++)
        source_get(w->arrival.sources, i)->machine = i <= MAX_MACHINE ? i : 0;
}

static void take_handed(struct worker *w)
{
    struct packet packets[CAPTURE_BURST];
    unsigned n;
    while ((n = handoff_take(w->handoff, packets, CAPTURE_BURST)) > 0) {
        pipeline_packets(w->pipeline, packets, n);
        w->n_taken += n;
    }
}

static void flush(struct bed *bed)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct worker *w = &bed->workers[i];
        if (w->n_frames)
            pipeline_frames(w->pipeline, w->frames, w->n_frames);
        for (unsigned k = 0; k < w->n_frames; k++)
            free((void *)(uintptr_t)w->frames[k].bytes);
        w->n_frames = 0;
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        take_handed(&bed->workers[i]);
        number_machines(&bed->workers[i]);
    }
}

static void make_book(struct bed *bed)
{
    struct address_learner *learners[N_WORKERS];
    uint16_t network_of[MAX_MACHINE + 1] = {0};
    for (unsigned i = 0; i < N_WORKERS; i++)
        learners[i] = bed->workers[i].arrival.learner;
    const struct address_entry configured[] = {
        {.addr = address("10.0.0.1"), .machine = 1, .configured = true},
        {.addr = address("10.0.0.2"), .machine = 2, .configured = true},
    };
    struct address_book *before = bed->book;
    bed->book = address_book_make(configured, 2, learners, N_WORKERS, network_of, MAX_MACHINE);
    check(bed->book != NULL);
    for (unsigned i = 0; i < N_WORKERS; i++)
        bed->workers[i].arrival.book = bed->book;
    address_book_free(before);
}

static void put_canary(struct bed *bed, uint8_t place)
{
    struct canary_probe probe = {.src = address(place & 1 ? "2001:db8::9" : "10.9.9.9"),
                                 .dst = address(place & 1 ? "2001:db8::1" : "10.0.0.1"),
                                 .sport = 40001,
                                 .dport = 33500,
                                 .size = CANARY_SIZE_MIN,
                                 .machine = 1};
    memset(probe.payload, 'c', sizeof probe.payload);
    canary_watch_put(bed->canaries, place, &probe);
}

enum order {
    ORDER_RULES,
    ORDER_BOOK,
    ORDER_KEEP,
    ORDER_CANARY,
    ORDER_CANARY_LATE,
    ORDER_CANARY_CLEAR,
    ORDER_TICK,
    ORDER_REPORT,
    ORDER_GATE,
    ORDER_WITNESS,
    ORDER_N
};

static void obey(struct bed *bed, enum order order, uint8_t value)
{
    struct witness *witnesses[N_WORKERS];
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct worker *w = &bed->workers[i];
        witnesses[i] = w->arrival.witness;
        if (order == ORDER_RULES) {
            w->arrival.rules = &bed->rules[value % N_CONFIGS]->arrival;
            check(pipeline_set_rules(w->pipeline));
        } else if (order == ORDER_KEEP && source_count(w->arrival.sources)) {
            source_get(w->arrival.sources, 1)->keep = value;
        } else if (order == ORDER_TICK) {
            pipeline_tick(w->pipeline, bed->now + value * 1000000000ll);
        } else if (order == ORDER_REPORT) {
            pipeline_report_open(w->pipeline);
        }
    }
    if (order == ORDER_BOOK)
        make_book(bed);
    else if (order == ORDER_CANARY)
        put_canary(bed, value % N_PROBES);
    else if (order == ORDER_CANARY_LATE)
        canary_watch_late(bed->canaries, value % N_PROBES);
    else if (order == ORDER_CANARY_CLEAR)
        canary_watch_clear(bed->canaries, value % N_PROBES);
    else if (order == ORDER_GATE)
        bed->gate = (struct arrival_gate){bed->now, bed->now + value * 1000000ll, 64};
    else if (order == ORDER_WITNESS)
        witness_book_collect(bed->witnesses, witnesses, N_WORKERS);
}

/* Of `what`: the input, or 0 for an order; the worker; a link without a header; the burst's end; a
 * frame that was cut; a second instead of a millisecond. */
enum { INPUT = 7, WORKER = 8, RAW = 16, END = 32, CUT = 64, LATER = 128 };

static bool step(struct bed *bed, struct reader *r)
{
    uint8_t what = rd_u8(r);
    bed->now += what & LATER ? 1000000000 : 1000000;
    if ((what & INPUT) == 0) {
        enum order order = (enum order)(rd_u8(r) % ORDER_N);
        flush(bed);
        obey(bed, order, rd_u8(r));
        return rd_left(r) > 0;
    }
    struct worker *w = &bed->workers[what & WORKER ? 1 : 0];
    size_t size;
    uint8_t *block = frames_next(r, &size);
    if (!block)
        return false;
    w->frames[w->n_frames++] = (struct frame){
        .ts = bed->now,
        .bytes = block,
        .size = (uint32_t)size,
        .wire_size = (uint32_t)size + (what & CUT ? 100 : 0),
        .link = what & RAW ? LINK_RAW : LINK_ETHERNET,
        .input = what & INPUT,
    };
    bed->n_in++;
    if (what & END || w->n_frames == CAPTURE_BURST)
        flush(bed);
    return true;
}

/* ---- all of it ---- */

static void bed_open(struct bed *bed, uint8_t first)
{
    *bed = (struct bed){.now = 1700000000000000000, .gate = {.one_in = 64}};
    check((bed->canaries = canary_watch_new(N_PROBES)) != NULL);
    const struct addr own[] = {address("10.9.9.9"), address("2001:db8::9")};
    check(canary_watch_own(bed->canaries, &own[0]) && canary_watch_own(bed->canaries, &own[1]));
    for (size_t i = 0; i < N_CONFIGS; i++)
        bed->rules[i] = rules_of(i, bed->canaries);
    steer_key_init(&bed->key, 5);
    check((bed->witnesses = witness_book_new(N_WORKERS, MAX_MACHINE)) != NULL);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct worker *w = &bed->workers[i];
        w->bed = bed;
        w->number = i;
        w->arrival = (struct arrival){.rules = &bed->rules[first % N_CONFIGS]->arrival,
                                      .gate = &bed->gate,
                                      .steer_key = &bed->key,
                                      .learner = address_learner_new(MAX_MACHINE),
                                      .witness = witness_new()};
        w->live = (struct pipeline_live){.with = w,
                                         .owner = owner_of,
                                         .worker = i,
                                         .hand_on = hand_on,
                                         .packet = put_out,
                                         .arrival = &w->arrival,
                                         .keep_copies = first & 128};
        struct pipeline_options options = {
            .mirror = true,
            .networks = config_of(first % N_CONFIGS)->network_list,
            .memory = MEMORY,
            .n_workers = 1, /* each its own connections: they are told apart before */
            .community_id = true,
            .live = &w->live,
        };
        check((w->handoff = handoff_new(HANDOFF_SIZE)) && w->arrival.learner &&
              w->arrival.witness && (w->pipeline = pipeline_new(&options, writer_of(i, &options))));
    }
}

/* Every frame is counted once, by a worker and, unless there was no room for it, its channel. */
static void check_counters(const struct bed *bed)
{
    uint64_t n_counted = 0;
    for (unsigned i = 0; i < N_WORKERS; i++) {
        const struct worker *w = &bed->workers[i];
        struct pipeline_counters p;
        pipeline_count(w->pipeline, &p);
        const struct arrival_counters *a = &w->arrival.counters;
        struct handoff_counters handed = handoff_count(w->handoff);
        struct source_counters sum = {0};
        for (uint16_t k = 1; k <= source_count(w->arrival.sources); k++) {
            const struct source_counters *c = &source_get(w->arrival.sources, k)->counters;
            sum.n_packets += c->n_packets;
            sum.n_refused += c->n_refused;
            sum.n_left_out += c->n_left_out;
            sum.n_loops += c->n_loops;
            sum.n_guessed += c->n_guessed;
            check(c->n_copies <= c->n_packets && c->n_noise <= c->n_packets);
            check(c->n_in <= c->n_packets && c->n_out <= c->n_packets);
        }
        check(handed.n_put == w->n_taken);
        check(sum.n_packets == p.n_packets && sum.n_refused == a->n_refused);
        check(sum.n_left_out == a->n_left_out && sum.n_loops == a->n_loops);
        check(sum.n_guessed <= a->n_guessed);
        n_counted += p.n_packets + a->n_refused + a->n_unknown - a->n_guessed + a->n_own +
                     a->n_loops + a->n_canaries + a->n_left_out + handed.n_full;
    }
    check(n_counted == bed->n_in);
}

static void bed_close(struct bed *bed)
{
    for (unsigned i = 0; i < N_WORKERS; i++) {
        struct worker *w = &bed->workers[i];
        pipeline_finish(w->pipeline);
        pipeline_free(w->pipeline);
        handoff_free(w->handoff);
        address_learner_free(w->arrival.learner);
        witness_free(w->arrival.witness);
    }
    for (size_t i = 0; i < N_CONFIGS; i++)
        rules_free(bed->rules[i]);
    address_book_free(bed->book);
    witness_book_free(bed->witnesses);
    canary_watch_free(bed->canaries);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct bed bed;
    struct reader r = rd_make(bytes, size);
    bed_open(&bed, rd_u8(&r));
    while (rd_left(&r) > 0 && step(&bed, &r))
        continue;
    flush(&bed);
    check_counters(&bed);
    bed_close(&bed);
    return 0;
}
