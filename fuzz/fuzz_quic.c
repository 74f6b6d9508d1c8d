/* Conversations with the QUIC analyzer: pieces behind a byte that says what they are and two bytes
 * of size. A piece is a datagram, or the frames of an Initial packet, which are sealed here: the
 * fuzzer cannot do that. The logs go nowhere; what an analyzer keeps must have a bound, and all of
 * it must come back. */
#include "flow/more.h"
#include "flow/weird.h"
#include "fuzz/frames.h"
#include "fuzz/logs.h"
#include "proto/attach.h"
#include "proto/quic_bed.h"

#define KEPT_MAX   (1u << 20)
#define FRAMES_MAX 12000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Bits of what a piece is. */
enum { BY_RESPONDER = 1, SEALED = 2, VERSION_2 = 4, TOKEN = 8, OTHER_ID = 16, OPEN_TAIL = 32 };

static void say(struct flow_context *context, struct flow *flow, uint8_t what, const uint8_t *piece,
                size_t size)
{
    static struct wire frames, w;
    int dir = what & BY_RESPONDER;
    w.size = frames.size = 0;
    if (what & SEALED && size <= FRAMES_MAX) {
        struct str id = what & OTHER_ID ? STR("other") : STR("abcdefgh");
        struct initial initial = {
            .version = what & VERSION_2 ? QUIC_VERSION_2 : QUIC_VERSION_1,
            .from_client = dir == FLOW_ORIG,
            .id = id,
            .dcid = dir == FLOW_ORIG ? id : STR("xyz"),
            .scid = dir == FLOW_ORIG ? STR("xyz") : STR("serve"),
            .token = what & TOKEN ? STR("token") : STR(""),
            .number = (uint32_t)size,
            .number_size = 1u + (what >> 6),
        };
        put_bytes(&frames, piece, size);
        while (frames.size < 4)
            put8(&frames, 0);
        put_initial(&w, &initial, &frames);
        if (what & OPEN_TAIL) /* another packet in the datagram */
            put_bytes(&w, piece, size < 100 ? size : 100);
        piece = w.bytes;
        size = w.size;
    }
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    if (size)
        memcpy(exact, piece, size);
    attach_ops.data(context, flow, dir, exact, size);
    free(exact);
    context->now += 1000;
    if (pool_used(context->pool) > KEPT_MAX)
        abort();
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
    struct reader r = rd_make(bytes, size);
    uint8_t port = rd_u8(&r);
    struct flow flow = {.port = {4000, port & 1 ? 784 : 4433}, .proto = FLOW_UDP};
    if (port & 2)
        flow.payload_bytes[0] = 1u << 20; /* violations do not take the service away */
    flow.addr[0] = addr_v4((const uint8_t[]){10, 0, 0, 1});
    flow.addr[1] = addr_v4((const uint8_t[]){10, 0, 0, 2});
    while (rd_left(&r) > 0) {
        uint8_t what = rd_u8(&r);
        size_t piece_size = 0;
        uint8_t *piece = frames_next(&r, &piece_size);
        if (piece)
            say(&context, &flow, what, piece, piece_size);
        free(piece);
        attach_ops.open(&context, &flow); /* at any time */
    }
    attach_ops.end(&context, &flow);
    flow_early_free(&context, &flow);
    flow_more_free(&context, &flow);
    if (pool_used(context.pool) != 0)
        abort();
    return 0;
}
