/* Forwarding in VXLAN or GENEVE: see forward.h, and outer.h for the headers.
 *
 * A writer collects datagrams and sends them with one call for each socket that has some; a socket
 * stands for a source port. */
#include "sink/forward.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/origin.h"
#include "sink/ether.h"
#include "sink/outer.h"
#include "sink/segment.h"

#define N_SOCKETS    8
#define MAX_MESSAGES 256
#define BATCH_SIZE   (512u << 10)
#define MAX_DATAGRAM 65507u /* of UDP over IPv4 */
#define MAX_HEADER   (OUTER_SIZE + ORIGIN_MAX_SIZE + ETHER_HEADER_SIZE)
#define CUT_TO       9000u /* bytes behind the Ethernet header, of what is too large for UDP */

struct forward {
    struct sink sink;
    enum forward_kind kind;
    uint32_t said; /* that nobody is there */
    int fds[N_SOCKETS];
};

struct forward_writer {
    struct sink_writer writer;
    uint32_t used, n_messages;
    struct iovec places[MAX_MESSAGES];
    uint32_t packet_size[MAX_MESSAGES]; /* to be counted as written; 0: more of the one before */
    uint8_t sockets[MAX_MESSAGES];
    uint8_t bytes[BATCH_SIZE];
};

static struct forward *forward_of(struct sink *sink)
{
    return (struct forward *)sink;
}

uint32_t forward_vni(const struct sink_packet *packet)
{
    if (packet->has_id && packet->id <= 0xffffff)
        return packet->id;
    uint32_t hash = OUTER_HASH_START;
    if (packet->has_id)
        hash = outer_hash_bytes(hash, &packet->id, sizeof packet->id);
    if (packet->source)
        hash = outer_hash_bytes(hash, packet->source, strlen(packet->source));
    else if (packet->outer)
        hash = outer_hash_bytes(hash, packet->outer->b, 16);
    return 0x800000 | ((hash ^ hash >> 16) & 0x7fffff); /* real ones are mostly small */
}

static uint32_t put_geneve_head(const struct sink_packet *packet, uint16_t protocol, uint8_t *out)
{
    struct origin origin = {.has_id = packet->has_id,
                            .id = packet->id,
                            .direction = packet->direction,
                            .how = str_c(packet->encapsulation),
                            .name = str_c(packet->source)};
    if (packet->outer)
        origin.sender = *packet->outer;
    uint32_t size = (uint32_t)origin_encode(&origin, out + OUTER_SIZE);
    outer_put_geneve(forward_vni(packet), protocol, size, out);
    return OUTER_SIZE + size;
}

/* All that is in front of the packet, with an Ethernet header where it has none and needs one.
 * 0: its link type cannot be carried. */
static uint32_t put_head(const struct forward *forward, const struct sink_packet *packet,
                         uint8_t out[MAX_HEADER])
{
    uint8_t ether[ETHER_HEADER_SIZE];
    int more = ether_header(packet, ether);
    if (more < 0)
        return 0;
    uint32_t size = OUTER_SIZE;
    if (forward->kind == FORWARD_GENEVE) {
        uint16_t protocol = more ? (uint16_t)(ether[12] << 8 | ether[13]) : OUTER_TYPE_BRIDGE;
        size = put_geneve_head(packet, protocol, out);
        more = 0; /* it says itself what it carries */
    } else {
        outer_put_vxlan(forward_vni(packet), out);
    }
    memcpy(out + size, ether, (size_t)more);
    return size + (uint32_t)more;
}

static enum sink_refusal refusal_of(int code)
{
    switch (code) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return SINK_FULL;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
        return SINK_GONE;
    case EMSGSIZE:
        return SINK_TOO_LARGE;
    default:
        return SINK_ERROR;
    }
}

static void refused(struct forward_writer *w, int code, uint32_t packet_size)
{
    struct forward *forward = forward_of(w->writer.sink);
    if (packet_size)
        sink_refuse(&w->writer, refusal_of(code));
    uint32_t bit = 1u << refusal_of(code);
    if (refusal_of(code) != SINK_FULL &&
        (__atomic_fetch_or(&forward->said, bit, __ATOMIC_RELAXED) & bit) == 0)
        sink_say(&forward->sink, "forwarding packets: %s", strerror(code));
}

/* `n` datagrams, whose numbers are in `which`, over one socket. */
static void send_some(struct forward_writer *w, int fd, struct mmsghdr *messages,
                      const uint16_t *which, uint32_t n)
{
    bool told = false;
    for (uint32_t at = 0; at < n;) {
        int sent = sendmmsg(fd, messages + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        /* An answer to an earlier datagram, which stops this one: once more. */
        if (sent < 0 && refusal_of(errno) == SINK_GONE && !told) {
            refused(w, errno, 0);
            told = true;
            continue;
        }
        if (sent <= 0) {
            refused(w, sent < 0 ? errno : EIO, w->packet_size[which[at]]);
            told = false;
            at++;
            continue;
        }
        for (int i = 0; i < sent; i++) {
            uint32_t size = w->packet_size[which[at + (uint32_t)i]];
            w->writer.counters.n_written += size > 0;
            w->writer.counters.n_bytes += size;
        }
        at += (uint32_t)sent;
    }
}

static void send_all(struct sink_writer *writer)
{
    struct forward_writer *w = (struct forward_writer *)writer;
    const struct forward *forward = forward_of(writer->sink);
    struct mmsghdr messages[MAX_MESSAGES];
    uint16_t which[MAX_MESSAGES];
    for (uint32_t socket = 0; socket < N_SOCKETS && w->n_messages > 0; socket++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < w->n_messages; i++)
            if (w->sockets[i] == socket) {
                messages[n] =
                    (struct mmsghdr){.msg_hdr = {.msg_iov = &w->places[i], .msg_iovlen = 1}};
                which[n++] = (uint16_t)i;
            }
        send_some(w, forward->fds[socket], messages, which, n);
    }
    w->used = w->n_messages = 0;
}

/* Room for one more datagram of this size. */
static uint8_t *make_room(struct forward_writer *w, uint32_t size)
{
    if (w->n_messages == MAX_MESSAGES || w->used + size > BATCH_SIZE)
        send_all(&w->writer);
    return w->bytes + w->used;
}

static void add(struct forward_writer *w, uint32_t size, uint32_t packet_size, uint32_t hash)
{
    w->places[w->n_messages] = (struct iovec){.iov_base = w->bytes + w->used, .iov_len = size};
    w->packet_size[w->n_messages] = packet_size;
    w->sockets[w->n_messages++] = (uint8_t)(hash % N_SOCKETS);
    w->used += size;
}

/* One that no datagram can hold: as the network card would have cut it. */
static void write_large(struct forward_writer *w, const struct sink_packet *packet,
                        const uint8_t *head, uint32_t head_size, uint32_t hash)
{
    struct segmenter s;
    enum segment_kind kind = packet->link == LINK_ETHERNET
                                 ? segment_begin(&s, packet->bytes, packet->size, CUT_TO)
                                 : SEGMENT_CANNOT;
    if (kind != SEGMENT_TCP && kind != SEGMENT_FRAGMENTS) {
        sink_refuse(&w->writer, SINK_TOO_LARGE);
        return;
    }
    for (uint32_t size = packet->size;; size = 0) {
        uint8_t *out = make_room(w, head_size + CUT_TO + 18);
        uint32_t piece = segment_next(&s, out + head_size);
        if (piece == 0)
            break;
        memcpy(out, head, head_size);
        add(w, head_size + piece, size, hash);
    }
    w->writer.counters.n_cut++;
}

static void write_packet(struct sink_writer *writer, const struct sink_packet *packet)
{
    struct forward_writer *w = (struct forward_writer *)writer;
    uint8_t head[MAX_HEADER];
    uint32_t head_size = put_head(forward_of(writer->sink), packet, head);
    if (head_size == 0) {
        sink_refuse(writer, SINK_LINK);
        return;
    }
    uint32_t hash = outer_hash(packet->link, packet->bytes, packet->size);
    if (packet->size > MAX_DATAGRAM - head_size) {
        write_large(w, packet, head, head_size, hash);
        return;
    }
    uint8_t *out = make_room(w, head_size + packet->size);
    memcpy(out, head, head_size);
    memcpy(out + head_size, packet->bytes, packet->size);
    add(w, head_size + packet->size, packet->size, hash);
}

static int attach(struct sink *sink, struct sink_writer **out, struct err *err)
{
    struct forward_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, -ENOMEM, "out of memory");
    *out = &w->writer;
    return 0;
}

static void detach(struct sink_writer *writer)
{
    free(writer);
}

static int close_sink(struct sink *sink, struct err *err)
{
    struct forward *forward = forward_of(sink);
    for (int i = 0; i < N_SOCKETS; i++)
        if (forward->fds[i] >= 0)
            close(forward->fds[i]);
    sink_done(sink);
    free(forward);
    return 0;
}

static const struct sink_ops ops = {
    .name = "forward",
    .attach = attach,
    .write = write_packet,
    .burst = send_all,
    .flush = send_all,
    .detach = detach,
    .close = close_sink,
};

static const struct {
    const char *prefix, *port;
} kinds[] = {
    [FORWARD_VXLAN] = {"vxlan:", "4789"},
    [FORWARD_GENEVE] = {"geneve:", "6081"},
};

#define N_KINDS (sizeof kinds / sizeof *kinds)

static bool parse_port(const char *text, char out[6])
{
    char *end;
    unsigned long port = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || port == 0 || port > 65535)
        return false;
    (void)snprintf(out, 6, "%lu", port);
    return true;
}

/* "[ADDR]:PORT", "HOST:PORT"; several colons without brackets are an IPv6 address. */
static bool parse_place(const char *text, struct forward_options *out)
{
    const char *end = text + strlen(text);
    const char *colon = strrchr(text, ':');
    if (text[0] == '[') {
        end = strchr(++text, ']');
        if (!end || (end[1] && end[1] != ':'))
            return false;
        colon = end[1] ? end + 1 : NULL;
    } else if (colon && strchr(text, ':') == colon) {
        end = colon;
    } else {
        colon = NULL;
    }
    size_t len = (size_t)(end - text);
    if (len == 0 || len >= sizeof out->host)
        return false;
    memcpy(out->host, text, len);
    out->host[len] = 0;
    return !colon || parse_port(colon + 1, out->port);
}

int forward_parse(const char *text, struct forward_options *out, struct err *err)
{
    for (size_t i = 0; i < N_KINDS; i++) {
        size_t len = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, len) != 0)
            continue;
        struct forward_options options = {.kind = (enum forward_kind)i};
        (void)snprintf(options.port, sizeof options.port, "%s", kinds[i].port);
        if (!parse_place(text + len, &options))
            break;
        *out = options;
        return 0;
    }
    return err_set(err, -EINVAL,
                   "%s: not a place to forward to: write vxlan:HOST or geneve:HOST, "
                   "with :PORT behind it if need be",
                   text);
}

int forward_open(const struct forward_options *options, struct sink **out, struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *to;
    int result = getaddrinfo(options->host, options->port, &hints, &to);
    if (result != 0)
        return err_set(err, -ENOENT, "forwarding to %s: %s", options->host, gai_strerror(result));
    struct forward *forward = calloc(1, sizeof *forward);
    if (!forward) {
        freeaddrinfo(to);
        return err_set(err, -ENOMEM, "out of memory");
    }
    sink_init(&forward->sink, &ops);
    forward->kind = options->kind;
    memset(forward->fds, -1, sizeof forward->fds);
    result = 0;
    for (int i = 0; i < N_SOCKETS && result >= 0; i++)
        result = forward->fds[i] = outer_socket(to->ai_addr, to->ai_addrlen, NULL, 0);
    freeaddrinfo(to);
    if (result < 0) {
        (void)close_sink(&forward->sink, NULL);
        return err_set(err, result, "forwarding to %s: %s", options->host, strerror(-result));
    }
    *out = &forward->sink;
    return 0;
}

static bool addr_of(const struct sockaddr_storage *at, struct addr *out, uint16_t *out_port)
{
    union {
        struct sockaddr_storage any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } in = {.any = *at};
    if (at->ss_family == AF_INET) {
        *out = addr_v4((const uint8_t *)&in.v4.sin_addr);
        *out_port = ntohs(in.v4.sin_port);
        return true;
    }
    if (at->ss_family != AF_INET6)
        return false;
    memcpy(out->b, &in.v6.sin6_addr, sizeof out->b);
    *out_port = ntohs(in.v6.sin6_port);
    return true;
}

static bool is_loopback(const struct addr *addr)
{
    static const struct addr v6 = {.b = {[15] = 1}};
    return addr_is_v4(addr) ? addr->b[12] == 127 : addr_eq(addr, &v6);
}

/* What goes to one of our own addresses leaves from the same one. */
bool forward_is_own(const struct sink *sink, struct addr *out, uint16_t *out_port)
{
    const struct forward *forward = (const struct forward *)sink;
    struct sockaddr_storage far, near;
    socklen_t far_size = sizeof far, near_size = sizeof near;
    struct addr from;
    uint16_t port;
    if (getpeername(forward->fds[0], (struct sockaddr *)&far, &far_size) < 0 ||
        getsockname(forward->fds[0], (struct sockaddr *)&near, &near_size) < 0 ||
        !addr_of(&far, out, out_port) || !addr_of(&near, &from, &port))
        return false;
    return is_loopback(out) || addr_eq(out, &from);
}
