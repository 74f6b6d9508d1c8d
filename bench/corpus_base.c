/*
 * A synthetic base capture, for machines on which the real one cannot be recorded: HTTP over TCP,
 * DNS, TLS 1.2 and 1.3 hellos with opaque records behind them, bulk transfers, refused and
 * unanswered connects, in about the numbers and sizes of the real one. Conversations overlap;
 * addresses are those that `mix` shifts.
 *
 * TLS is made so that no certificate is needed: 1.3 encrypts it, and the 1.2 sessions are taken up
 * again. A hello (RFC 8446, 4.1.2) in its record and handshake headers:
 *
 *   +------+---------+--------+------+----------+---------+--------+-------------+---
 *   | 0x16 | version | length | type |  length  | version | random | session id  | ...
 *   |  1   |    2    |   2    |  1   |    3     |    2    |   32   |   1 + 32    |
 *   +------+---------+--------+------+----------+---------+--------+-------------+---
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus.h"

enum {
    N_HTTP = 4200,
    N_TLS = 5000,
    N_DNS = 12800,
    N_SCAN = 600,
    N_BULK = 8,
    SPAN_US = 15 * CORPUS_US_PER_S,
    MAX_SEGMENT = 1448,
    MAX_FRAME = 1600,
    TCP_FIN = 1,
    TCP_SYN = 2,
    TCP_RST = 4,
    TCP_PUSH = 8,
    TCP_ACK = 16,
};

/* All frames, one behind the other, and where each is; sorted by time at the end. */
static struct {
    uint8_t *bytes;
    size_t size, room;
} store;

struct entry {
    int64_t time_us;
    size_t at;
    uint32_t size;
};
static struct entry *entries;
static size_t n_entries, room_entries;

/* One conversation: its two ends, how far each has come, and the time of its next packet. */
struct talk {
    uint32_t id;
    bool ipv6;
    uint8_t proto;
    uint16_t port[2]; /* of the client, of the server */
    uint32_t seq[2];
    uint16_t client_host, server_host;
    int64_t time_us;
};

static void *grow(void *bytes, size_t *room, size_t need, size_t item_size)
{
    if (need <= *room)
        return bytes;
    *room = need * 2;
    void *grown = realloc(bytes, *room * item_size);
    if (!grown) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return grown;
}

static void add_frame(const uint8_t *frame, size_t size, int64_t time_us)
{
    store.bytes = grow(store.bytes, &store.room, store.size + size, 1);
    entries = grow(entries, &room_entries, n_entries + 1, sizeof(*entries));
    memcpy(store.bytes + store.size, frame, size);
    entries[n_entries++] = (struct entry){time_us, store.size, (uint32_t)size};
    store.size += size;
}

static uint32_t pick(const struct talk *talk, uint32_t salt, uint32_t n)
{
    return corpus_scramble(talk->id * 2654435761u + salt) % n;
}

static void talk_begin(struct talk *talk, uint32_t id, uint8_t proto, uint16_t server_port)
{
    *talk = (struct talk){.id = id, .proto = proto};
    talk->ipv6 = pick(talk, 1, 100) < 8;
    talk->client_host = (uint16_t)(16 + pick(talk, 2, 44));
    talk->server_host = (uint16_t)(1 + pick(talk, 3, 16));
    talk->port[0] = (uint16_t)(20000 + id % 40000);
    talk->port[1] = server_port;
    talk->seq[0] = pick(talk, 4, UINT32_MAX);
    talk->seq[1] = pick(talk, 5, UINT32_MAX);
    talk->time_us = CORPUS_EPOCH_US + pick(talk, 6, SPAN_US);
}

/* One packet of a conversation; `from` is 0 for the client, 1 for the server. */
static void talk_packet(struct talk *talk, int from, uint8_t flags, const void *payload,
                        size_t payload_size)
{
    uint8_t frame[MAX_FRAME] = {2, 0, 0, 0, 1, 0, 2, 0, 0, 0, 2, 0};
    uint8_t *ip = frame + CORPUS_ETHER_SIZE;
    size_t ip_size = talk->ipv6 ? 40 : 20, l4_size = talk->proto == 6 ? 20 : 8;
    uint8_t *l4 = ip + ip_size;
    size_t size = l4_size + payload_size;
    corpus_put16(frame + 12, talk->ipv6 ? 0x86dd : 0x0800);
    if (talk->ipv6) {
        ip[0] = 0x60;
        corpus_put16(ip + 4, (unsigned)size);
        ip[6] = talk->proto;
        ip[7] = 64;
        uint8_t *client = ip + (from ? 24 : 8), *server = ip + (from ? 8 : 24);
        corpus_put16(client, 0xfd00);
        corpus_put16(client + 14, talk->client_host);
        corpus_put16(server, 0xfd00);
        corpus_put16(server + 2, 1);
        corpus_put16(server + 14, talk->server_host);
    } else {
        ip[0] = 0x45;
        corpus_put16(ip + 2, (unsigned)(ip_size + size));
        corpus_put16(ip + 4, (uint16_t)n_entries);
        ip[6] = 0x40;
        ip[8] = 64;
        ip[9] = talk->proto;
        corpus_put32(ip + (from ? 16 : 12), 0x0a000000u + talk->client_host);
        corpus_put32(ip + (from ? 12 : 16), 0x0a010000u + talk->server_host);
    }
    corpus_put16(l4, talk->port[from]);
    corpus_put16(l4 + 2, talk->port[!from]);
    if (talk->proto == 6) {
        corpus_put32(l4 + 4, talk->seq[from]);
        if (flags & TCP_ACK)
            corpus_put32(l4 + 8, talk->seq[!from]);
        l4[12] = 0x50;
        l4[13] = flags;
        corpus_put16(l4 + 14, 64240);
        talk->seq[from] += (uint32_t)payload_size + ((flags & (TCP_SYN | TCP_FIN)) ? 1 : 0);
    } else {
        corpus_put16(l4 + 4, (unsigned)size);
    }
    if (payload_size)
        memcpy(l4 + l4_size, payload, payload_size);
    corpus_checksums(ip, ip_size + size);
    add_frame(frame, CORPUS_ETHER_SIZE + ip_size + size, talk->time_us);
    talk->time_us += 20 + pick(talk, (uint32_t)n_entries, 400);
}

static void talk_open(struct talk *talk)
{
    talk_packet(talk, 0, TCP_SYN, NULL, 0);
    talk_packet(talk, 1, TCP_SYN | TCP_ACK, NULL, 0);
    talk_packet(talk, 0, TCP_ACK, NULL, 0);
}

/* Sends bytes in full segments, acknowledging every second one and the last. */
static void talk_send(struct talk *talk, int from, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0, n = 1; at < size; n++) {
        size_t part = size - at < MAX_SEGMENT ? size - at : MAX_SEGMENT;
        bool last = at + part == size;
        talk_packet(talk, from, last ? TCP_ACK | TCP_PUSH : TCP_ACK, bytes + at, part);
        if (last || n % 2 == 0)
            talk_packet(talk, !from, TCP_ACK, NULL, 0);
        at += part;
    }
}

static void talk_close(struct talk *talk)
{
    talk_packet(talk, 0, TCP_FIN | TCP_ACK, NULL, 0);
    talk_packet(talk, 1, TCP_FIN | TCP_ACK, NULL, 0);
    talk_packet(talk, 0, TCP_ACK, NULL, 0);
}

/* Printable filler that no magic number fits. */
static void fill_text(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)('a' + corpus_scramble(seed + (uint32_t)i / 4) % 26);
}

static uint8_t body[1 << 20];

static void make_http(uint32_t id)
{
    static const char *const agents[] = {"curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)", "apt/2.6",
                                         "Go-http-client/1.1"};
    static const uint32_t sizes[] = {200, 2048, 2048, 10240, 2048, 51200};
    struct talk talk;
    talk_begin(&talk, id, 6, 80);
    talk_open(&talk);
    uint32_t n_requests = 1 + pick(&talk, 20, 100) / 85 * 2;
    for (uint32_t i = 0; i < n_requests; i++) {
        char head[512];
        uint32_t size = sizes[pick(&talk, 21 + i, 6)];
        bool missing = pick(&talk, 31 + i, 12) == 0;
        int n = snprintf(head, sizeof(head),
                         "GET /page%u.html?id=%u HTTP/1.1\r\nHost: w%04u.bench.example\r\n"
                         "User-Agent: %s\r\nAccept: */*\r\n"
                         "Referer: http://portal.bench.example/%u\r\n\r\n",
                         pick(&talk, 41 + i, 50), id, pick(&talk, 51, 900),
                         agents[pick(&talk, 52, 4)], id);
        talk_send(&talk, 0, (const uint8_t *)head, (size_t)n);
        size = missing ? 153 : size;
        n = snprintf((char *)body, sizeof(body),
                     "HTTP/1.1 %s\r\nServer: nginx\r\nContent-Type: text/html\r\n"
                     "Content-Length: %u\r\n\r\n",
                     missing ? "404 Not Found" : "200 OK", size);
        fill_text(body + n, size, id);
        memcpy(body + n, "<html><body>", 12);
        talk_send(&talk, 1, body, (size_t)n + size);
    }
    talk_close(&talk);
}

/* Appends to a message that is being written; sizes are known to fit. */
struct writer {
    uint8_t bytes[1024];
    size_t size;
};

static void w8(struct writer *w, unsigned value)
{
    w->bytes[w->size++] = (uint8_t)value;
}

static void w16(struct writer *w, unsigned value)
{
    corpus_put16(w->bytes + w->size, value);
    w->size += 2;
}

static void w_bytes(struct writer *w, const void *bytes, size_t size)
{
    memcpy(w->bytes + w->size, bytes, size);
    w->size += size;
}

static void w_filler(struct writer *w, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++)
        w8(w, corpus_scramble(seed + (uint32_t)i) & 0xff);
}

static void w_extension(struct writer *w, unsigned type, const void *bytes, size_t size)
{
    w16(w, type);
    w16(w, (unsigned)size);
    w_bytes(w, bytes, size);
}

static void w_hello(struct writer *w, bool server, bool tls13, uint32_t id, const char *name)
{
    w->size = 0;
    w8(w, 22);
    w16(w, server ? 0x0303 : 0x0301);
    w16(w, 0); /* record length, below */
    w8(w, server ? 2 : 1);
    w8(w, 0);
    w16(w, 0); /* handshake length, below */
    w16(w, 0x0303);
    w_filler(w, 32, server ? id + 7 : id);
    w8(w, 32);
    w_filler(w, 32, id * 3); /* the server gives the client's session id back: taken up again */
    if (server) {
        w16(w, tls13 ? 0x1301 : 0xc02f);
        w8(w, 0);
    } else {
        static const uint8_t ciphers[] = {0x13, 0x01, 0x13, 0x02, 0x13, 0x03, 0xc0,
                                          0x2b, 0xc0, 0x2f, 0xc0, 0x30, 0x00, 0xff};
        w16(w, sizeof(ciphers));
        w_bytes(w, ciphers, sizeof(ciphers));
        w16(w, 0x0100);
    }
    size_t extensions_at = w->size;
    w16(w, 0);
    struct writer part = {.size = 0};
    if (!server) {
        size_t name_size = strlen(name);
        w16(&part, (unsigned)name_size + 3);
        w8(&part, 0);
        w16(&part, (unsigned)name_size);
        w_bytes(&part, name, name_size);
        w_extension(w, 0, part.bytes, part.size);
        w_extension(w, 10, "\0\4\0\x1d\0\x17", 6);
        w_extension(w, 13, "\0\4\x04\x03\x08\x04", 6);
        w_extension(w, 16, "\0\x09\x08http/1.1", 11);
    }
    if (tls13) {
        if (server)
            w_extension(w, 43, "\x03\x04", 2);
        else
            w_extension(w, 43, "\x04\x03\x04\x03\x03", 5);
        part.size = 0;
        if (!server)
            w16(&part, 36);
        w16(&part, 0x001d);
        w16(&part, 32);
        w_filler(&part, 32, id * 5 + server);
        w_extension(w, 51, part.bytes, part.size);
    } else if (server) {
        w_extension(w, 0xff01, "\0", 1);
    }
    corpus_put16(w->bytes + extensions_at, (unsigned)(w->size - extensions_at - 2));
    corpus_put16(w->bytes + 3, (unsigned)(w->size - 5));
    corpus_put16(w->bytes + 7, (unsigned)(w->size - 9));
}

static void send_record(struct talk *talk, int from, unsigned type, size_t size)
{
    body[0] = (uint8_t)type;
    corpus_put16(body + 1, 0x0303);
    corpus_put16(body + 3, (unsigned)size);
    for (size_t i = 0; i < size; i++)
        body[5 + i] = (uint8_t)(corpus_scramble(talk->id + (uint32_t)i) & 0xff);
    if (type == 20)
        body[5] = 1;
    talk_send(talk, from, body, size + 5);
}

static void make_tls(uint32_t id)
{
    struct talk talk;
    struct writer hello;
    char name[64];
    talk_begin(&talk, id, 6, pick(&(struct talk){.id = id}, 60, 10) < 6 ? 443 : 8443);
    bool tls13 = pick(&talk, 61, 3) > 0;
    snprintf(name, sizeof(name), "s%04u.tls.bench.example", pick(&talk, 62, 2000));
    talk_open(&talk);
    w_hello(&hello, false, tls13, id, name);
    talk_send(&talk, 0, hello.bytes, hello.size);
    w_hello(&hello, true, tls13, id, NULL);
    talk_send(&talk, 1, hello.bytes, hello.size);
    send_record(&talk, 1, 20, 1);
    if (tls13)
        send_record(&talk, 1, 23, 1900); /* extensions, certificate, finished: all encrypted */
    else
        send_record(&talk, 1, 22, 40);
    send_record(&talk, 0, 20, 1);
    send_record(&talk, 0, tls13 ? 23 : 22, tls13 ? 53 : 40);
    send_record(&talk, 0, 23, 120);
    send_record(&talk, 1, 23, 300 + pick(&talk, 63, 8000));
    talk_close(&talk);
}

static void make_dns(uint32_t id)
{
    static const unsigned types[] = {1, 1, 1, 28, 28, 16};
    struct talk talk;
    struct writer query = {.size = 0};
    char label[32];
    talk_begin(&talk, id, 17, 53);
    unsigned type = types[pick(&talk, 70, 6)];
    bool unknown = pick(&talk, 71, 10) == 0;
    w16(&query, pick(&talk, 72, 65536));
    w16(&query, 0x0100);
    w16(&query, 1);
    w16(&query, 0);
    w16(&query, 0);
    w16(&query, 0);
    int n = snprintf(label, sizeof(label), "h%05u-c00", pick(&talk, 73, 100000));
    w8(&query, (unsigned)n);
    w_bytes(&query, label, (size_t)n);
    w_bytes(&query, "\2eu\5bench\7example", 17);
    w8(&query, 0);
    w16(&query, type);
    w16(&query, 1);
    talk_packet(&talk, 0, 0, query.bytes, query.size);
    corpus_put16(query.bytes + 2, unknown ? 0x8583 : 0x8580);
    if (!unknown) {
        static const uint8_t data[] = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x10";
        static const char text[] = "\x0fv=spf1 mx -all ";
        corpus_put16(query.bytes + 6, 1);
        w16(&query, 0xc00c);
        w16(&query, type);
        w16(&query, 1);
        w16(&query, 0);
        w16(&query, 300);
        size_t size = type == 1 ? 4 : 16;
        w16(&query, (unsigned)size);
        w_bytes(&query, type == 16 ? (const void *)text : (const void *)data, size);
    }
    talk_packet(&talk, 1, 0, query.bytes, query.size);
}

static void make_scan(uint32_t id)
{
    struct talk talk;
    talk_begin(&talk, id, 6, (uint16_t)(1024 + pick(&(struct talk){.id = id}, 80, 18000)));
    talk_packet(&talk, 0, TCP_SYN, NULL, 0);
    if (id % 3)
        talk_packet(&talk, 1, TCP_RST | TCP_ACK, NULL, 0);
}

static void make_bulk(uint32_t id)
{
    struct talk talk;
    talk_begin(&talk, id, 6, 5201);
    talk_open(&talk);
    for (int i = 0; i < 6; i++) {
        fill_text(body, sizeof(body), id + (uint32_t)i);
        talk_send(&talk, i % 2, body, sizeof(body));
    }
    talk_close(&talk);
}

static int by_time(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

void corpus_base(char **args)
{
    static const struct {
        unsigned count;
        void (*make)(uint32_t id);
    } kinds[] = {
        {N_HTTP, make_http}, {N_TLS, make_tls},   {N_DNS, make_dns},
        {N_SCAN, make_scan}, {N_BULK, make_bulk},
    };
    uint32_t id = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        for (unsigned n = 0; n < kinds[i].count; n++)
            kinds[i].make(id++);
    }
    qsort(entries, n_entries, sizeof(*entries), by_time);
    corpus_out_open(args[0]);
    for (size_t i = 0; i < n_entries; i++)
        corpus_out_frame(entries[i].time_us, store.bytes + entries[i].at, entries[i].size);
    corpus_out_close();
    free(entries);
    free(store.bytes);
}
