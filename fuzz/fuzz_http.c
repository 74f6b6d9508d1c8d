/* Conversations with the HTTP analyzer: pieces of a stream, each behind a byte for its side and
 * what happens to it, and two bytes of size. The logs go nowhere; what the analyzer keeps must have
 * a bound, and all of it must come back. */
#include <stdlib.h>

#include "flow/more.h"
#include "flow/weird.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "proto/analyzer.h"
#include "proto/file.h"

#define KEPT_MAX (8u << 20)

enum { BY_RESPONDER = 1, LOST = 2, FIN = 4, LATER = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void talk(struct analysis *a, struct reader *r)
{
    while (rd_left(r) > 0 && !a->finished) {
        uint8_t what = rd_u8(r);
        int side = what & BY_RESPONDER;
        size_t piece_size = 0;
        uint8_t *piece = frames_next(r, &piece_size);
        if (piece && what & LOST)
            a->analyzer->gap(a, side, piece_size + 1);
        else if (piece && piece_size > 0)
            a->analyzer->data(a, side, piece, piece_size);
        if (piece && what & FIN && !a->finished)
            a->analyzer->fin(a, side);
        free(piece);
        a->analyzer->open(a); /* at any time */
        a->context->now += what & LATER ? 130000000000 : 1000;
        a->context->clock = a->context->now;
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
    }
    struct reader r = rd_make(bytes, size);
    struct flow flow = {.port = {4000, 80}, .proto = FLOW_TCP};
    flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    struct analysis a = {.analyzer = &analyzer_http, .context = &context, .flow = &flow};
    a.state = calloc(1, analyzer_http.state_size);
    analyzer_http.start(&a);
    talk(&a, &r);
    analyzer_http.end(&a);
    free(a.state);
    flow_more_free(&context, &flow);
    file_memory_end(&context);
    if (pool_used(context.pool) != 0)
        abort();
    return 0;
}
