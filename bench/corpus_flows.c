/*
 * Captures made from nothing that ask for many connections at once: `small`, in which every packet
 * belongs to another connection than the one before, and `synflood`.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus.h"

enum {
    FRAME_SIZE = 60, /* the smallest Ethernet frame, without its check sequence */
    N_ROUNDS = 10,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_PUSH = 8,
    TCP_ACK = 16,
};

/* One TCP conversation in ten packets: what each carries. Sequence numbers count from the first. */
static const struct {
    bool from_server;
    uint8_t flags;
    uint8_t payload_size;
    uint8_t client_seq, server_seq;
} tcp_rounds[N_ROUNDS] = {
    {false, TCP_SYN, 0, 0, 0},          {true, TCP_SYN | TCP_ACK, 0, 1, 0},
    {false, TCP_ACK, 0, 1, 1},          {false, TCP_PUSH | TCP_ACK, 6, 1, 1},
    {true, TCP_ACK, 0, 7, 1},           {true, TCP_PUSH | TCP_ACK, 6, 7, 1},
    {false, TCP_ACK, 0, 7, 7},          {false, TCP_FIN | TCP_ACK, 0, 7, 7},
    {true, TCP_FIN | TCP_ACK, 0, 8, 7}, {false, TCP_ACK, 0, 8, 8},
};

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint32_t count_arg(const char *text)
{
    unsigned long count = strtoul(text, NULL, 10);
    if (count < 1 || count > 50 * 1000 * 1000) {
        fprintf(stderr, "%s: expected a count up to 50 million\n", text);
        exit(2);
    }
    return (uint32_t)count;
}

/* Ethernet and IPv4 headers of a frame without payload in the IP options. */
static void put_headers(uint8_t *frame, uint8_t proto, uint16_t ip_size, uint16_t ip_id,
                        uint32_t src, uint32_t dst)
{
    static const uint8_t ether[CORPUS_ETHER_SIZE] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0, 8, 0};
    memset(frame, 0, FRAME_SIZE);
    memcpy(frame, ether, sizeof(ether));
    uint8_t *ip = frame + CORPUS_ETHER_SIZE;
    ip[0] = 0x45;
    corpus_put16(ip + 2, ip_size);
    corpus_put16(ip + 4, ip_id);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = proto;
    corpus_put32(ip + 12, src);
    corpus_put32(ip + 16, dst);
}

/* Packet `round` of connection `flow`: even ones are TCP conversations, odd ones are UDP. */
static void put_small(uint8_t *frame, uint32_t flow, unsigned round, uint16_t ip_id)
{
    bool tcp = !(flow & 1);
    bool from_server = tcp ? tcp_rounds[round].from_server : round & 1;
    /* The client's address and port tell the flows apart; 50021 is prime. */
    uint32_t client = 0x0a000100u + flow % 50021;
    uint16_t client_port = (uint16_t)(20000 + flow / 50021 % 45000);
    uint32_t server = 0x0a800100u + corpus_scramble(flow * 3 + 1) % 4000;
    uint16_t server_port = (uint16_t)((tcp ? 8000 : 9000) + corpus_scramble(flow + 7) % 64);
    uint16_t payload_size = tcp ? tcp_rounds[round].payload_size : 18;
    uint16_t ip_size = (uint16_t)(20 + (tcp ? 20 : 8) + payload_size);
    put_headers(frame, tcp ? PROTO_TCP : PROTO_UDP, ip_size, ip_id, from_server ? server : client,
                from_server ? client : server);
    uint8_t *l4 = frame + CORPUS_ETHER_SIZE + 20;
    corpus_put16(l4, from_server ? server_port : client_port);
    corpus_put16(l4 + 2, from_server ? client_port : server_port);
    if (tcp) {
        uint32_t client_seq = corpus_scramble(flow + 11) + tcp_rounds[round].client_seq;
        uint32_t server_seq = corpus_scramble(flow + 13) + tcp_rounds[round].server_seq;
        corpus_put32(l4 + 4, from_server ? server_seq : client_seq);
        if (tcp_rounds[round].flags & TCP_ACK)
            corpus_put32(l4 + 8, from_server ? client_seq : server_seq);
        l4[12] = 0x50;
        l4[13] = tcp_rounds[round].flags;
        corpus_put16(l4 + 14, 64240);
        if (payload_size)
            memcpy(l4 + 20, "hello\n", 6);
    } else {
        corpus_put16(l4 + 4, 26);
        memcpy(l4 + 8, "datagram of 18 byt", 18);
    }
    corpus_checksums(frame + CORPUS_ETHER_SIZE, ip_size);
}

void corpus_small(char **args)
{
    uint32_t n_flows = count_arg(args[1]);
    uint8_t frame[FRAME_SIZE];
    int64_t time_us = CORPUS_EPOCH_US;
    /* Each round visits all flows in another order, with a stride that meets each one once. */
    uint32_t stride = (uint32_t)((uint64_t)n_flows * 618034 / 1000000) | 1;
    while (common_divisor(stride, n_flows) != 1)
        stride += 2;
    corpus_out_open(args[0]);
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        for (uint32_t i = 0; i < n_flows; i++, time_us++) {
            uint32_t flow = (uint32_t)(((uint64_t)i * stride + round * 97u) % n_flows);
            put_small(frame, flow, round, (uint16_t)time_us);
            corpus_out_frame(time_us, frame, sizeof(frame));
        }
    }
    corpus_out_close();
}

void corpus_synflood(char **args)
{
    uint32_t count = count_arg(args[1]);
    uint8_t frame[FRAME_SIZE];
    corpus_out_open(args[0]);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t attacker = 0x20000000u + i * 40503u % 0x40000000u; /* 40503 is odd: all differ */
        put_headers(frame, PROTO_TCP, 44, (uint16_t)i, attacker, 0x0a010001u);
        uint8_t *tcp = frame + CORPUS_ETHER_SIZE + 20;
        corpus_put16(tcp, 1024 + corpus_scramble(i + 3) % 64000);
        corpus_put16(tcp + 2, 80);
        corpus_put32(tcp + 4, corpus_scramble(i));
        tcp[12] = 0x60;
        tcp[13] = TCP_SYN;
        corpus_put16(tcp + 14, 29200);
        corpus_put32(tcp + 20, 0x020405b4); /* maximum segment size 1460 */
        corpus_checksums(frame + CORPUS_ETHER_SIZE, 44);
        corpus_out_frame(CORPUS_EPOCH_US + 2 * (int64_t)i, frame, sizeof(frame));
    }
    corpus_out_close();
}
