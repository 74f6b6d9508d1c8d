/* Frames through the tunnel stack: link headers, tags, IP, fragments, every encapsulation. The
 * first byte chooses the link type, the second what is the mirror's; then come frames. */
#include "fuzz/frames.h"
#include "tunnel/stack.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const uint16_t links[] = {
    LINK_ETHERNET, LINK_RAW,     LINK_SLL,        LINK_SLL2,       LINK_NULL,
    LINK_LOOP,     LINK_PPP,     LINK_PPP_SERIAL, LINK_IEEE802_11, LINK_IEEE802_11_RADIOTAP,
    LINK_PPI,      LINK_IPV4,    LINK_IPV6,       LINK_NFLOG,      LINK_RAW_BSD,
    LINK_RAW_OPENBSD, LINK_FDDI,
};

/* What the rest of the program relies on. */
static void check_packet(const struct packet *p)
{
    if (p->n_layers > PACKET_MAX_LAYERS || p->n_mirror > p->n_layers)
        abort();
    if (p->n_weirds > PACKET_MAX_WEIRDS || (p->weird != NULL) != (p->n_weirds > 0))
        abort();
    volatile uint8_t frame = p->frame_size ? p->frame[p->frame_size - 1] : 0;
    (void)frame;
    if (p->kind != PACKET_IP)
        return;
    if (p->payload_size > p->payload_len || p->ip_size > p->ip_len ||
        p->payload < p->ip || p->payload + p->payload_size > p->ip + p->ip_size)
        abort();
    if (p->ip_version != 4 && p->ip_version != 6)
        abort();
    /* Both ends are read, for the sanitizer. */
    volatile uint8_t first = p->ip_size ? p->ip[0] : 0;
    volatile uint8_t last = p->payload_size ? p->payload[p->payload_size - 1] : 0;
    (void)first;
    (void)last;
}

static void look_inside(struct stack *stack, const struct packet *outer)
{
    struct packet at = *outer;
    for (int i = 0; i < PACKET_MAX_LAYERS + 1; i++) {
        const struct tunnel_decoder *decoder =
            at.kind == PACKET_IP && at.ip_proto == 17 ? stack_udp_tunnel(at.sport, at.dport) : NULL;
        struct packet inner;
        const char *weird = NULL;
        if (!decoder || stack_resume(stack, &at, decoder, &inner, &weird) != STACK_TUNNEL)
            return;
        check_packet(&inner);
        at = inner;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    uint16_t link = links[rd_u8(&r) % (sizeof(links) / sizeof(*links))];
    uint8_t mirror = rd_u8(&r);
    struct stack_options options = {.auto_mirror = mirror & 1};
    size_t n_decoders = 0;
    while (tunnel_decoders[n_decoders])
        n_decoders++;
    if (!options.auto_mirror && mirror) {
        options.mirror[0] = tunnel_decoders[mirror / 2 % n_decoders];
        options.n_mirror = 1;
    }
    struct pool *pool = pool_new(4u << 20);
    struct stack *stack = pool ? stack_new(&options, pool) : NULL;
    if (!stack)
        abort();

    int64_t now = 0;
    size_t frame_size;
    uint8_t *block;
    while ((block = frames_next(&r, &frame_size))) {
        now += 1000000000;
        struct frame frame = {.ts = now,
                              .bytes = block,
                              .size = (uint32_t)frame_size,
                              .wire_size = (uint32_t)frame_size + (mirror & 0x40 ? 40 : 0),
                              .link = link};
        struct packet packet;
        stack_decode(stack, &frame, &packet);
        check_packet(&packet);
        look_inside(stack, &packet);
        struct packet more;
        while (stack_more(stack, &packet, &more)) {
            if (more.more_size >= packet.more_size && more.more_size > 0)
                abort();
            check_packet(&more);
            look_inside(stack, &more);
            packet = more;
        }
        stack_release(stack);
        free(block);
        stack_expire(stack, now);
    }
    stack_free(stack);
    if (pool_used(pool) > pool_limit(pool))
        abort();
    pool_free(pool);
    return 0;
}
