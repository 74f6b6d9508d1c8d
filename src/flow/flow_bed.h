/* What the tests of connections share: a table, packets made of a few words, the logs they leave,
 * and the streams that were delivered.
 *
 * One pair of ends is set up (bed->end, bed->port); sequence numbers are relative to bed->isn, so
 * that a SYN has 0 and the first byte 1. Packets come a millisecond apart. */
#ifndef FLOW_FLOW_BED_H
#define FLOW_FLOW_BED_H

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <unistd.h>

#include "flow/conn_log.h"
#include "flow/handle.h"
#include "flow/more.h"
#include "flow/table.h"
#include "flow/tcp.h"
#include "flow/weird.h"
#include "log/record_bed.h"
#include "net/frames_bed.h"

#define SECOND 1000000000ll
#define MS     1000000ll

/* What the analyzers would have been given of one direction. */
struct bed_stream {
    uint8_t *bytes; /* gaps are left out */
    size_t size, capacity;
    uint64_t missing;
    unsigned n_gaps, n_fins;
};

struct flow_bed {
    struct flow_context context; /* first: the payload calls find the bed by it */
    struct log_bed logs;
    struct bed_stream stream[2];
    unsigned n_ends, n_opens;
    struct addr end[2];
    uint16_t port[2];
    uint32_t isn[2];
    uint16_t network;
    uint16_t window;
    int64_t step; /* before each packet */
    struct frame_bed frame;
    struct flow *flow;   /* of the last packet */
    const char *no_flow; /* why it has none */
    char *conn, *weird;  /* after bed_close */
    char *open_conn;
};

static inline void bed_on_data(struct flow_context *context, struct flow *f, int dir,
                               const uint8_t *bytes, size_t size)
{
    struct bed_stream *s = &((struct flow_bed *)context)->stream[dir];
    (void)f;
    if (s->size + size > s->capacity) {
        s->capacity = (s->size + size) * 2;
        s->bytes = realloc(s->bytes, s->capacity);
        assert_non_null(s->bytes);
    }
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
}

static inline void bed_on_gap(struct flow_context *context, struct flow *f, int dir, uint64_t size)
{
    (void)f;
    ((struct flow_bed *)context)->stream[dir].missing += size;
    ((struct flow_bed *)context)->stream[dir].n_gaps++;
}

static inline void bed_on_fin(struct flow_context *context, struct flow *f, int dir)
{
    (void)f;
    ((struct flow_bed *)context)->stream[dir].n_fins++;
}

static inline void bed_on_end(struct flow_context *context, struct flow *f)
{
    (void)f;
    ((struct flow_bed *)context)->n_ends++;
}

static inline void bed_on_open(struct flow_context *context, struct flow *f)
{
    (void)f;
    ((struct flow_bed *)context)->n_opens++;
}

static inline void bed_open_with(struct flow_bed *b, size_t memory)
{
    static const struct flow_payload_ops ops = {
        .data = bed_on_data,
        .gap = bed_on_gap,
        .fin = bed_on_fin,
        .end = bed_on_end,
        .open = bed_on_open,
    };
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->end[0] = frame_addr(10, 0, 0, 1);
    b->end[1] = frame_addr(93, 184, 216, 34);
    b->port[0] = 40000;
    b->port[1] = 80;
    b->isn[0] = 1000;
    b->isn[1] = 5000;
    b->window = 8192;
    b->step = MS;
    b->context = (struct flow_context){
        .now = 1700000000 * SECOND,
        .clock = 1700000000 * SECOND,
        .log = b->logs.writer,
        .pool = pool_new(memory / 2),
        .weirds = weird_memory_new(),
        .payload = &ops,
    };
    struct flow_table_options options = {.memory = memory, .hash_key = 42};
    assert_non_null(flow_table_new(&options, &b->context));
}

static inline void bed_open(struct flow_bed *b)
{
    bed_open_with(b, 32u << 20);
}

static inline void bed_wait(struct flow_bed *b, int64_t ns)
{
    b->context.now += ns;
    if (b->context.now > b->context.clock)
        b->context.clock = b->context.now;
}

/* The packet that is in bed->frame (an IP packet without Ethernet), as the pipeline gives it on. */
static inline struct flow *bed_packet(struct flow_bed *b, uint8_t proto, int dir, uint32_t captured)
{
    size_t size = frame_size(&b->frame);
    bool v4 = addr_is_v4(&b->end[dir]);
    size_t header = v4 ? 20 : 40;
    if (captured > size)
        captured = (uint32_t)size;
    uint8_t *block = malloc(captured);
    assert_non_null(block);
    memcpy(block, frame_bytes(&b->frame), captured);
    bed_wait(b, b->step);
    struct packet p = {
        .ts = b->context.now,
        .kind = PACKET_IP,
        .src = b->end[dir],
        .dst = b->end[!dir],
        .ip = block,
        .ip_size = captured,
        .ip_len = (uint32_t)size,
        .ip_version = v4 ? 4 : 6,
        .ip_proto = proto,
        .ttl = 64,
        .payload = block + header,
        .payload_size = captured - (uint32_t)header,
        .payload_len = (uint32_t)(size - header),
    };
    if (proto == 6 || proto == 17) {
        p.sport = b->port[dir];
        p.dport = b->port[!dir];
    }
    struct flow_lookup lookup;
    flow_table_packet(b->context.table);
    b->flow = NULL;
    if (flow_lookup(b->context.table, &p, b->network, &lookup, &b->no_flow))
        b->flow = flow_handle(&b->context, &p, &lookup, 0, false);
    free(block);
    return b->flow;
}

static inline void bed_expire(struct flow_bed *b)
{
    flow_table_packet(b->context.table);
    flow_table_expire(b->context.table);
}

static inline uint8_t bed_flags(const char *text)
{
    uint8_t flags = 0;
    for (; *text; text++)
        flags |= *text == 'S'   ? TCP_SYN
                 : *text == 'A' ? TCP_ACK
                 : *text == 'F' ? TCP_FIN
                 : *text == 'R' ? TCP_RST
                 : *text == 'U' ? TCP_URG
                                : TCP_PSH;
    return flags;
}

static inline struct flow *bed_tcp_bytes(struct flow_bed *b, int dir, const char *flags,
                                         uint32_t seq, uint32_t ack, const void *data, size_t size)
{
    uint8_t bits = bed_flags(flags);
    frame_begin(&b->frame, data, size);
    frame_tcp(&b->frame, b->port[dir], b->port[!dir], b->isn[dir] + seq,
              bits & TCP_ACK ? b->isn[!dir] + ack : 0, bits, b->window, -1);
    frame_ip(&b->frame, &b->end[dir], &b->end[!dir], 6);
    return bed_packet(b, 6, dir, UINT32_MAX);
}

static inline struct flow *bed_tcp(struct flow_bed *b, int dir, const char *flags, uint32_t seq,
                                   uint32_t ack, const char *data)
{
    return bed_tcp_bytes(b, dir, flags, seq, ack, data, strlen(data));
}

static inline struct flow *bed_udp(struct flow_bed *b, int dir, const char *data)
{
    frame_begin(&b->frame, data, strlen(data));
    frame_udp(&b->frame, b->port[dir], b->port[!dir]);
    frame_ip(&b->frame, &b->end[dir], &b->end[!dir], 17);
    return bed_packet(b, 17, dir, UINT32_MAX);
}

static inline struct flow *bed_icmp(struct flow_bed *b, int dir, uint8_t type, uint8_t code)
{
    uint8_t proto = addr_is_v4(&b->end[0]) ? 1 : 58;
    frame_begin(&b->frame, "12345678", 8);
    frame_icmp(&b->frame, type, code);
    frame_ip(&b->frame, &b->end[dir], &b->end[!dir], proto);
    return bed_packet(b, proto, dir, UINT32_MAX);
}

static inline void bed_handshake(struct flow_bed *b)
{
    bed_tcp(b, 0, "S", 0, 0, "");
    bed_tcp(b, 1, "SA", 0, 1, "");
    bed_tcp(b, 0, "A", 1, 1, "");
}

/* Everything ends and is logged; all memory must come back. */
static inline void bed_close(struct flow_bed *b)
{
    flow_table_free(b->context.table);
    b->context.table = NULL;
    assert_int_equal(pool_used(b->context.pool), 0);
    assert_int_equal(b->context.counters.tcp_bytes, 0);
    assert_int_equal(b->context.counters.early_bytes, 0);
    log_bed_close(&b->logs);
    b->conn = log_bed_take(&b->logs, "conn");
    b->weird = log_bed_take(&b->logs, "weird");
    b->open_conn = log_bed_take(&b->logs, "open_conn");
    log_bed_remove(&b->logs);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
}

static inline void bed_free(struct flow_bed *b)
{
    free(b->conn);
    free(b->weird);
    free(b->open_conn);
    free(b->stream[0].bytes);
    free(b->stream[1].bytes);
}

static inline void bed_check_stream(const struct flow_bed *b, int dir, const char *text,
                                    uint64_t missing)
{
    const struct bed_stream *s = &b->stream[dir];
    if (s->size != strlen(text) || (s->size && memcmp(s->bytes, text, s->size) != 0))
        fail_msg("delivered \"%.*s\", not \"%s\"", (int)s->size, (const char *)s->bytes, text);
    assert_int_equal(s->missing, missing);
}

/* After bed_close: a column of the n-th row of conn.log. */
#define CHECK_CONN(b, row, column, text) CHECK_CELL((b)->conn, row, column, text)

static inline void bed_check_weird(const struct flow_bed *b, const char *name, bool there)
{
    bool found = false;
    for (size_t i = 0; i < log_rows(b->weird); i++) {
        char *cell = log_cell(b->weird, i, "name");
        found |= strcmp(cell, name) == 0;
        free(cell);
    }
    if (found != there)
        fail_msg("%s %s", name, found ? "was logged" : "was not logged");
}

#endif
