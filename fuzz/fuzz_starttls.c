/* Conversations that may turn into TLS: which of the analyzer's ports (one more: a port nobody
 * owns, so that the content must tell), then pieces of the stream, each behind a byte for what
 * happens and two bytes of size. The logs go nowhere; all memory must come back. */
#include "flow/more.h"
#include "flow/weird.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "proto/attach.h"
#include "proto/file.h"
#include "proto/starttls.h"

#define KEPT_MAX (4u << 20)

/* Bits of what happens. */
enum { BY_RESPONDER = 1, LOST = 2 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct flow_context context;
    if (!context.log) {
        context.log = log_writer_new(logs_open(NULL, 0));
        context.pool = pool_new(64u << 20);
        context.weirds = weird_memory_new();
        context.reports_open = true;
    }
    struct reader r = rd_make(bytes, size);
    unsigned n_ports = 0;
    while (analyzer_starttls.tcp_ports[n_ports])
        n_ports++;
    unsigned which = rd_u8(&r) % (n_ports + 1);
    uint16_t port = which < n_ports ? analyzer_starttls.tcp_ports[which] : 4444;
    struct flow flow = {.port = {40000, port}, .proto = FLOW_TCP};
    flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    context.now = context.clock = 1700000000000000000;
    while (rd_left(&r) > 0) {
        uint8_t what = rd_u8(&r);
        size_t piece_size = 0;
        uint8_t *piece = frames_next(&r, &piece_size);
        int dir = what & BY_RESPONDER;
        if (piece && what & LOST)
            attach_ops.gap(&context, &flow, dir, piece_size + 1);
        else if (piece && piece_size > 0)
            attach_ops.data(&context, &flow, dir, piece, piece_size);
        free(piece);
        attach_ops.open(&context, &flow); /* at any time */
        context.now += 1000;
        if (pool_used(context.pool) > KEPT_MAX)
            abort();
    }
    attach_ops.end(&context, &flow);
    flow_more_free(&context, &flow);
    file_memory_end(&context);
    if (pool_used(context.pool) != 0)
        abort();
    return 0;
}
