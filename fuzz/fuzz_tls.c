/* Conversations with the analyzers of TLS and DTLS: the first byte says which; then come pieces of
 * a stream (or datagrams), each behind a byte for its side and two bytes of size; side 2 is a gap.
 * The logs go nowhere; what an analyzer keeps must have a bound, and all of it must come back. */
#include <stdlib.h>

#include "flow/more.h"
#include "flow/weird.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "proto/analyzer.h"
#include "proto/x509_memory.h"

#define KEPT_MAX (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void talk(struct analysis *a, struct reader *r)
{
    while (rd_left(r) > 0) {
        uint8_t side = rd_u8(r) & 3;
        size_t piece_size = 0;
        uint8_t *piece = frames_next(r, &piece_size);
        if (piece && !a->finished && side < 2)
            a->analyzer->data(a, side, piece, piece_size);
        else if (piece && !a->finished && a->analyzer->gap)
            a->analyzer->gap(a, side & 1, piece_size);
        free(piece);
        a->analyzer->open(a); /* at any time */
        a->context->now += 1000;
        if (pool_used(a->context->pool) > KEPT_MAX)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct flow_context context;
    if (!context.log) {
        context.log = log_writer_new(logs_open(NULL, 0));
        context.pool = pool_new(64u << 20);
        context.weirds = weird_memory_new();
        context.ja3 = context.ja4 = context.reports_open = true;
    }
    /* New for each input: an input must do the same each time. */
    context.certificates = x509_memory_new_shared(16u << 20, false);
    struct reader r = rd_make(bytes, size);
    uint8_t which = rd_u8(&r);
    const struct analyzer *analyzer = which & 1 ? &analyzer_dtls : &analyzer_ssl;
    struct flow flow = {.port = {4000, 443}, .proto = which & 1 ? FLOW_UDP : FLOW_TCP};
    if (which & 2)
        flow.tcp[0].last_seq = 1u << 20; /* violations are overlooked; UDP has its count here too */
    flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    struct analysis a = {.analyzer = analyzer, .context = &context, .flow = &flow};
    a.state = calloc(1, analyzer->state_size);
    analyzer->start(&a);
    talk(&a, &r);
    analyzer->end(&a);
    free(a.state);
    flow_more_free(&context, &flow);
    if (pool_used(context.pool) != 0)
        abort();
    x509_memory_free(context.certificates);
    return 0;
}
