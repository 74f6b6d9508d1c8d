/* Payload for one analyzer, in packets that are as they should be, so that the fuzzer's work goes
 * into the protocol. The first byte chooses the analyzer by its port (the top bit: a port nobody
 * owns, so that the content must tell), the second TCP or not; then come pieces: what happens, two
 * bytes of length, payload. */
#include "fuzz/frames.h"
#include "fuzz/sensor.h"
#include "proto/analyzer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Bits of what happens. */
enum { BY_RESPONDER = 1, LOST = 2, FIN_AFTER = 4, RST_AFTER = 8 };

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

struct talk {
    struct pipeline *pipeline;
    int64_t now;
    uint16_t port[2];
    uint32_t seq[2];
    bool is_tcp;
};

static void put_be(uint8_t *at, uint32_t value, int n_bytes)
{
    for (int i = n_bytes - 1; i >= 0; i--, value >>= 8)
        at[i] = (uint8_t)value;
}

/* IPv4 and TCP or UDP before the payload; checksums are left zero, as nobody looks. */
static void send_packet(struct talk *t, int side, uint8_t flags, const uint8_t *payload, size_t size)
{
    size_t header = t->is_tcp ? 40 : 28;
    uint8_t *packet = calloc(1, header + size);
    if (!packet)
        abort();
    packet[0] = 0x45;
    put_be(packet + 2, (uint32_t)(header + size), 2);
    packet[8] = 64;
    packet[9] = t->is_tcp ? 6 : 17;
    put_be(packet + 12, 0x0a000001 + (uint32_t)side, 4);
    put_be(packet + 16, 0x0a000002 - (uint32_t)side, 4);
    put_be(packet + 20, t->port[side], 2);
    put_be(packet + 22, t->port[!side], 2);
    if (t->is_tcp) {
        put_be(packet + 24, t->seq[side], 4);
        put_be(packet + 28, flags & TCP_ACK ? t->seq[!side] : 0, 4);
        packet[32] = 5 << 4;
        packet[33] = flags;
        put_be(packet + 34, 0xffff, 2);
    } else {
        put_be(packet + 24, (uint32_t)(8 + size), 2);
    }
    if (size)
        memcpy(packet + header, payload, size);
    t->seq[side] += (uint32_t)size + !!(flags & (TCP_SYN | TCP_FIN));
    t->now += 1000000;
    struct frame frame = {.ts = t->now,
                          .bytes = packet,
                          .size = (uint32_t)(header + size),
                          .wire_size = (uint32_t)(header + size),
                          .link = LINK_RAW};
    pipeline_frames(t->pipeline, &frame, 1);
    free(packet);
}

static void piece(struct talk *t, uint8_t what, const uint8_t *payload, size_t size)
{
    int side = what & BY_RESPONDER;
    if (what & LOST)
        t->seq[side] += (uint32_t)size;
    else if (size)
        send_packet(t, side, TCP_ACK, payload, size);
    if (!t->is_tcp)
        return;
    send_packet(t, !side, TCP_ACK, NULL, 0);
    if (what & (FIN_AFTER | RST_AFTER))
        send_packet(t, side, (what & RST_AFTER ? TCP_RST : TCP_FIN) | TCP_ACK, NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct reader r = rd_make(bytes, size);
    size_t n_analyzers = 0;
    while (analyzers[n_analyzers])
        n_analyzers++;
    uint8_t which = rd_u8(&r);
    const struct analyzer *analyzer = analyzers[(which & 0x7f) % n_analyzers];
    struct pipeline_options options = {.memory = 8u << 20, .n_workers = 1, .ja3 = true, .ja4 = true};
    struct talk talk = {.pipeline = sensor_start(&options),
                        .now = 1700000000000000000,
                        .port = {40000, 4444},
                        .seq = {1000, 2000},
                        .is_tcp = rd_u8(&r) & 1};
    uint16_t port = talk.is_tcp ? analyzer->tcp_ports[0] : analyzer->udp_ports[0];
    if (port && !(which & 0x80))
        talk.port[1] = port;
    if (talk.is_tcp) {
        send_packet(&talk, 0, TCP_SYN, NULL, 0);
        send_packet(&talk, 1, TCP_SYN | TCP_ACK, NULL, 0);
        send_packet(&talk, 0, TCP_ACK, NULL, 0);
    }
    while (rd_left(&r) > 3) {
        uint8_t what = rd_u8(&r);
        size_t left;
        uint8_t *block = frames_next(&r, &left);
        if (!block)
            break;
        /* As many packets as it takes. */
        for (size_t at = 0; at < left || at == 0; at += 1400)
            piece(&talk, what, block + at, left - at < 1400 ? left - at : 1400);
        free(block);
    }
    sensor_end(talk.pipeline);
    return 0;
}
