/* Reassembly of a TCP connection against a plain model: an array of bytes in which the first that
 * came win. Segments of both directions in any order, with overlaps, gaps and acknowledgements of
 * what was never seen.
 *
 * Input: a byte of options (1: hardly any memory), two initial sequence numbers, two sizes of the
 * streams; then six bytes for each segment: flags, position, size, acknowledgement. What is
 * delivered must be the model's, in order; gaps and bytes must add up to the position; what is kept
 * has a bound, and comes back at the end. */
#include <stdlib.h>

#include "flow/handle.h"
#include "flow/more.h"
#include "flow/table.h"
#include "flow/tcp.h"
#include "fuzz/logs.h"
#include "net/frames_bed.h"

#define STREAM_MAX 16000 /* as much may lie above a hole before anything was acknowledged */
#define N_SEGMENTS 3000
#define PIECES_MAX 4096

enum { FROM_RESP = 1, WITH_FIN = 2, WITH_ACK = 4, VARIANT = 8, LONG = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct model {
    uint8_t value[STREAM_MAX + 2];
    bool have[STREAM_MAX + 2];
    uint32_t size;     /* positions 1 … size hold data, the FIN comes after */
    uint32_t next;     /* all before was delivered or is missing */
    uint32_t position; /* the same, as the program says it */
    bool fin_seen, exact;
};

struct rig {
    struct flow_context context; /* first: the payload calls find the rig by it */
    struct model model[2];
    struct addr end[2];
    uint32_t isn[2];
    struct frame_bed frame;
};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

static uint8_t value_at(uint32_t position, bool variant)
{
    return (uint8_t)((position * 7 + (position >> 8)) ^ (variant ? 0x80 : 0));
}

static void on_data(struct flow_context *context, struct flow *f, int dir, const uint8_t *bytes,
                    size_t size)
{
    (void)f;
    struct model *m = &((struct rig *)context)->model[dir];
    for (size_t i = 0; i < size; i++, m->position++) {
        CHECK(m->position <= m->size);
        CHECK((bytes[i] & 0x7f) == (value_at(m->position, false) & 0x7f));
        CHECK(!m->exact || (m->have[m->position] && m->value[m->position] == bytes[i]));
    }
}

static void on_gap(struct flow_context *context, struct flow *f, int dir, uint64_t size)
{
    (void)f;
    struct model *m = &((struct rig *)context)->model[dir];
    CHECK(size > 0 && size <= STREAM_MAX + 2);
    for (uint64_t i = 0; i < size; i++, m->position++)
        CHECK(!m->exact || !m->have[m->position]);
}

static void on_fin(struct flow_context *context, struct flow *f, int dir)
{
    (void)f;
    struct model *m = &((struct rig *)context)->model[dir];
    CHECK(!m->exact || m->fin_seen);
}

static void on_end(struct flow_context *context, struct flow *f)
{
    (void)context;
    (void)f;
}

/* ---- the model ---- */

static void model_go_on(struct model *m)
{
    while (m->next <= m->size && m->have[m->next])
        m->next++;
}

static void model_data(struct model *m, uint32_t begin, uint32_t size, bool variant)
{
    for (uint32_t i = begin > m->next ? begin : m->next; i < begin + size; i++) {
        if (m->have[i])
            continue;
        m->have[i] = true;
        m->value[i] = value_at(i, variant);
    }
    model_go_on(m);
}

static void model_ack(struct model *m, uint32_t upto)
{
    if (m->fin_seen && upto > m->size + 1)
        upto = m->size + 1;
    if (upto > m->next)
        m->next = upto;
    model_go_on(m);
}

/* ---- the program ---- */

static void send_segment(struct rig *rig, int dir, uint8_t flags, uint32_t seq, uint32_t ack,
                         const uint8_t *data, size_t size)
{
    frame_begin(&rig->frame, data, size);
    frame_tcp(&rig->frame, dir ? 80 : 40000, dir ? 40000 : 80, rig->isn[dir] + seq,
              rig->isn[!dir] + ack, flags, 8192, -1);
    frame_ip(&rig->frame, &rig->end[dir], &rig->end[!dir], 6);
    uint32_t whole = (uint32_t)frame_size(&rig->frame);
    uint8_t *block = malloc(whole);
    CHECK(block);
    memcpy(block, frame_bytes(&rig->frame), whole);
    struct packet p = {
        .kind = PACKET_IP,
        .src = rig->end[dir],
        .dst = rig->end[!dir],
        .sport = dir ? 80 : 40000,
        .dport = dir ? 40000 : 80,
        .ip = block,
        .ip_size = whole,
        .ip_len = whole,
        .ip_version = 4,
        .ip_proto = 6,
        .payload = block + 20,
        .payload_size = whole - 20,
        .payload_len = whole - 20,
    };
    rig->context.now = rig->context.clock += 1000;
    struct flow_lookup lookup;
    const char *weird;
    flow_table_packet(rig->context.table);
    CHECK(flow_lookup(rig->context.table, &p, 0, &lookup, &weird));
    struct flow *f = flow_handle(&rig->context, &p, &lookup, 0, false);
    free(block);
    CHECK(f);
    /* What is kept is in order, without overlaps, and counted. */
    for (int way = 0; more_of(f) && way < 2; way++) {
        uint32_t n = 0, kept = 0;
        uint64_t end = 0;
        for (const struct segment *s = more_of(f)->pending[way].first; s; s = s->next) {
            CHECK(s->size > 0 && s->begin >= end && s->begin > f->tcp[way].delivered);
            end = s->begin + s->size;
            n++;
            kept += s->size;
        }
        CHECK(n == more_of(f)->pending[way].n && n <= PIECES_MAX);
        CHECK(kept == more_of(f)->pending[way].n_bytes && kept <= STREAM_MAX);
    }
}

static void one_segment(struct rig *rig, struct reader *r)
{
    uint8_t bits = rd_u8(r);
    uint32_t at = rd_be16(r), n = rd_u8(r), ack = rd_be16(r);
    int dir = bits & FROM_RESP ? FLOW_RESP : FLOW_ORIG;
    struct model *m = &rig->model[dir], *peer = &rig->model[!dir];
    uint8_t flags = bits & WITH_ACK ? TCP_ACK : 0, data[255 * 16];
    if (bits & LONG)
        n *= 16;
    at = 1 + at % m->size;
    if (bits & WITH_FIN || at + n > m->size + 1)
        n = m->size + 1 - at;
    if (n > sizeof data)
        n = sizeof data;
    if (bits & WITH_FIN && at + n == m->size + 1)
        flags |= TCP_FIN;
    for (uint32_t i = 0; i < n; i++)
        data[i] = value_at(at + i, bits & VARIANT);
    /* No further than a FIN that was seen: one past it is its own number. */
    ack = 1 + ack % (peer->size + 1 + peer->fin_seen);
    if (flags & TCP_FIN)
        m->fin_seen = true;
    if (flags & TCP_ACK)
        model_ack(peer, ack);
    model_data(m, at, n, bits & VARIANT);
    send_segment(rig, dir, flags, at, ack, data, n);
    for (int way = 0; way < 2; way++)
        CHECK(!rig->model[way].exact || rig->model[way].position == rig->model[way].next);
}

static struct log_writer *no_logs(void)
{
    static struct log_writer *writer;
    if (!writer)
        writer = log_writer_new(logs_open(NULL, 0));
    CHECK(writer);
    return writer;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const struct flow_payload_ops ops = {
        .data = on_data, .gap = on_gap, .fin = on_fin, .end = on_end};
    static struct rig rig;
    struct reader r = rd_make(bytes, size);
    uint8_t options = rd_u8(&r);
    size_t memory = options & 1 ? 16u << 10 : 4u << 20;
    rig.context = (struct flow_context){
        .now = 1700000000000000000,
        .clock = 1700000000000000000,
        .log = no_logs(),
        .pool = pool_new(memory),
        .payload = &ops,
    };
    struct flow_table_options table = {.memory = 8u << 20};
    CHECK(rig.context.pool && flow_table_new(&table, &rig.context));
    for (int dir = 0; dir < 2; dir++) {
        struct model *m = &rig.model[dir];
        memset(m, 0, sizeof *m);
        rig.end[dir] = frame_addr(10, 0, 0, (uint8_t)(1 + dir));
        rig.isn[dir] = rd_be32(&r);
        m->size = 1 + rd_be16(&r) % STREAM_MAX;
        m->next = m->position = 1;
        m->exact = !(options & 1);
    }
    send_segment(&rig, 0, TCP_SYN, 0, 0, NULL, 0);
    send_segment(&rig, 1, TCP_SYN | TCP_ACK, 0, 1, NULL, 0);
    send_segment(&rig, 0, TCP_ACK, 1, 1, NULL, 0);
    for (unsigned i = 0; i < N_SEGMENTS && rd_left(&r) >= 6; i++) {
        one_segment(&rig, &r);
        CHECK(pool_used(rig.context.pool) <= memory);
    }
    CHECK(flow_table_counters(rig.context.table)->n_added == 1);
    flow_table_free(rig.context.table);
    CHECK(pool_used(rig.context.pool) == 0);
    pool_free(rig.context.pool);
    return 0;
}
