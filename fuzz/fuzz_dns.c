/* Conversations with the DNS analyzer: which of its ports, TCP or UDP, then messages (or pieces of
 * a stream), each behind a byte for its side and two bytes of size; side 2 and 3 close a side. The
 * logs go nowhere; what an analyzer keeps must have a bound, and all of it must come back. */
#include <stdlib.h>

#include "flow/more.h"
#include "flow/weird.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "proto/analyzer.h"

#define KEPT_MAX (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void talk(struct analysis *a, struct reader *r)
{
    while (rd_left(r) > 0) {
        uint8_t side = rd_u8(r) & 3;
        size_t piece_size = 0;
        uint8_t *piece = frames_next(r, &piece_size);
        if (piece && !a->finished && side < 2)
            a->analyzer->data(a, side, piece, piece_size);
        else if (piece && !a->finished && a->flow->proto == FLOW_TCP)
            a->analyzer->fin(a, side & 1);
        free(piece);
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
    }
    struct reader r = rd_make(bytes, size);
    uint16_t port = analyzer_dns.udp_ports[rd_u8(&r) & 3];
    struct flow flow = {.port = {4000, port}, .proto = rd_u8(&r) & 1 ? FLOW_TCP : FLOW_UDP};
    flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    struct analysis a = {.analyzer = &analyzer_dns, .context = &context, .flow = &flow};
    a.state = calloc(1, analyzer_dns.state_size);
    talk(&a, &r);
    analyzer_dns.end(&a);
    free(a.state);
    flow_more_free(&context, &flow);
    if (pool_used(context.pool) != 0)
        abort();
    return 0;
}
