/* What the tests of the DNS analyzer share: messages made byte by byte, and a connection whose
 * logs can be read. Messages are given from heap blocks of their exact size, so that sanitizers see
 * a byte too far. */
#ifndef PROTO_DNS_BED_H
#define PROTO_DNS_BED_H

#include "flow/more.h"
#include "flow/weird.h"
#include "log/record_bed.h"
#include "proto/analyzer.h"
#include "proto/dns_types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SECOND 1000000000ll

/* ---- messages ---- */

struct wire {
    uint8_t bytes[70000];
    size_t size;
};

static inline void put8(struct wire *w, unsigned value)
{
    w->bytes[w->size++] = (uint8_t)value;
}

static inline void put16(struct wire *w, unsigned value)
{
    put8(w, value >> 8);
    put8(w, value & 0xff);
}

static inline void put32(struct wire *w, uint32_t value)
{
    put16(w, value >> 16);
    put16(w, value & 0xffff);
}

static inline void put_bytes(struct wire *w, const void *bytes, size_t size)
{
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static inline void put_name(struct wire *w, const char *name)
{
    while (*name) {
        size_t len = strcspn(name, ".");
        put8(w, (unsigned)len);
        put_bytes(w, name, len);
        name += len + (name[len] == '.');
    }
    put8(w, 0);
}

static inline void put_header(struct wire *w, unsigned id, unsigned flags, unsigned n_questions,
                              unsigned n_answers)
{
    w->size = 0;
    put16(w, id);
    put16(w, flags);
    put16(w, n_questions);
    put16(w, n_answers);
    put16(w, 0);
    put16(w, 0);
}

static inline void put_question(struct wire *w, const char *name, unsigned type)
{
    put_name(w, name);
    put16(w, type);
    put16(w, 1);
}

/* A record owned by the name at offset 12. */
static inline void put_record(struct wire *w, unsigned type, uint32_t ttl, const void *data,
                              size_t size)
{
    put16(w, 0xc00c);
    put16(w, type);
    put16(w, 1);
    put32(w, ttl);
    put16(w, (unsigned)size);
    put_bytes(w, data, size);
}

static inline struct wire query(unsigned id, const char *name, unsigned type)
{
    struct wire w;
    put_header(&w, id, 0x0100, 1, 0);
    put_question(&w, name, type);
    return w;
}

static inline struct wire reply(unsigned id, const char *name, unsigned type, const void *data,
                                size_t size)
{
    struct wire w;
    put_header(&w, id, 0x8580, 1, 1);
    put_question(&w, name, type);
    put_record(&w, type, 300, data, size);
    return w;
}

/* ---- a connection, and the logs it leaves ---- */

struct bed {
    struct log_bed logs;
    struct flow_context context;
    struct flow flow;
    struct analysis analysis;
    char *dns, *weird; /* the rows, after bed_close */
};

static inline void bed_open(struct bed *b, enum flow_proto proto, uint16_t port)
{
    memset(b, 0, sizeof *b);
    log_bed_open(&b->logs, LOG_FORMAT_TSV, NULL, 0);
    b->context = (struct flow_context){
        .now = 1000 * SECOND,
        .clock = 1000 * SECOND,
        .log = b->logs.writer,
        .pool = pool_new(16u << 20),
        .weirds = weird_memory_new(),
    };
    b->flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    b->flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 53});
    b->flow.port[0] = 4000;
    b->flow.port[1] = port;
    b->flow.proto = (uint8_t)proto;
    b->analysis.analyzer = &analyzer_dns;
    b->analysis.context = &b->context;
    b->analysis.flow = &b->flow;
    b->analysis.state = calloc(1, analyzer_dns.state_size);
}

static inline void feed(struct bed *b, int dir, const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    analyzer_dns.data(&b->analysis, dir, exact, size);
    free(exact);
}

static inline void say(struct bed *b, int dir, struct wire w)
{
    feed(b, dir, w.bytes, w.size);
    b->context.now += SECOND / 4;
    b->context.clock = b->context.now;
}

static inline void bed_close(struct bed *b)
{
    analyzer_dns.end(&b->analysis);
    free(b->analysis.state);
    flow_more_free(&b->context, &b->flow);
    assert_int_equal(pool_used(b->context.pool), 0);
    log_bed_close(&b->logs);
    b->dns = log_bed_take_rows(&b->logs, "dns", 6);
    b->weird = log_bed_take_rows(&b->logs, "weird", 6);
    rmdir(b->logs.folder);
    weird_memory_free(b->context.weirds);
    pool_free(b->context.pool);
}

static inline void bed_free(struct bed *b)
{
    free(b->dns);
    free(b->weird);
}

static inline unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

#define CHECK_DNS(b, text)                                                                         \
    do {                                                                                           \
        bed_close(b);                                                                              \
        assert_string_equal((b)->dns, text);                                                       \
    } while (0)

#endif
