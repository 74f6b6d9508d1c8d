/* Writes frames to a tap, or out of an interface: see tap.h. A writer collects the frames of a
 * burst; a tap takes them one by one, a packet socket all at once. */
#include "sink/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sink/ether.h"
#include "sink/segment.h"
#include "sink/tap_link.h"

#define MAX_QUEUES 64
#define MAX_FRAMES 64
#define BATCH_SIZE (256u << 10)
#define MAX_LARGE  (256u << 10)
#define MIN_FRAME  14 /* a shorter one is no Ethernet frame */

struct tap {
    struct sink sink;
    bool is_socket;
    bool finish_checksums;
    uint32_t mtu;
    uint32_t n_fds, n_attached;
    uint32_t said; /* refusals that the user was told of, a bit each */
    char name[IFNAMSIZ];
    int fds[MAX_QUEUES];
};

struct tap_writer {
    struct sink_writer writer;
    int fd;
    uint32_t used, n_frames;
    struct iovec places[MAX_FRAMES];
    uint32_t packet_size[MAX_FRAMES]; /* to be counted as written; 0: more of the one before */
    uint8_t large[MAX_LARGE + ETHER_HEADER_SIZE]; /* the frame that is being cut */
    uint8_t bytes[BATCH_SIZE];
};

static struct tap *tap_of(struct sink *sink)
{
    return (struct tap *)sink;
}

static enum sink_refusal refusal_of(int code)
{
    switch (code) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        return SINK_FULL;
    case EIO: /* a tap that is down */
    case EBADFD:
    case ENETDOWN:
    case ENXIO:
    case ENODEV:
        return SINK_GONE;
    case EMSGSIZE:
        return SINK_TOO_LARGE;
    default:
        return SINK_ERROR;
    }
}

static void sent_or_not(struct tap_writer *w, uint32_t i, int code)
{
    struct tap *tap = tap_of(w->writer.sink);
    struct sink_counters *counters = &w->writer.counters;
    uint32_t size = w->packet_size[i];
    if (code == 0) {
        counters->n_written += size > 0;
        counters->n_bytes += size;
        return;
    }
    enum sink_refusal refusal = refusal_of(code);
    counters->n_refused[refusal] += size > 0;
    uint32_t bit = 1u << refusal;
    if (refusal != SINK_FULL && !(__atomic_fetch_or(&tap->said, bit, __ATOMIC_RELAXED) & bit))
        sink_say(&tap->sink, "interface %s: %s", tap->name, strerror(code));
}

static void write_to_tap(struct tap_writer *w)
{
    for (uint32_t i = 0; i < w->n_frames; i++) {
        ssize_t n;
        do
            n = write(w->fd, w->places[i].iov_base, w->places[i].iov_len);
        while (n < 0 && errno == EINTR);
        sent_or_not(w, i, n < 0 ? errno : 0);
    }
}

static void send_to_socket(struct tap_writer *w)
{
    struct mmsghdr messages[MAX_FRAMES];
    for (uint32_t i = 0; i < w->n_frames; i++)
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &w->places[i], .msg_iovlen = 1}};
    for (uint32_t at = 0; at < w->n_frames;) {
        int n = sendmmsg(w->fd, messages + at, w->n_frames - at, MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            sent_or_not(w, at++, n < 0 ? errno : EIO);
            continue;
        }
        for (int i = 0; i < n; i++)
            sent_or_not(w, at++, 0);
    }
}

static void send_all(struct sink_writer *writer)
{
    struct tap_writer *w = (struct tap_writer *)writer;
    if (tap_of(writer->sink)->is_socket)
        send_to_socket(w);
    else
        write_to_tap(w);
    w->used = w->n_frames = 0;
}

/* Room for one more frame of this size. */
static uint8_t *make_room(struct tap_writer *w, uint32_t size)
{
    if (w->n_frames == MAX_FRAMES || w->used + size > BATCH_SIZE)
        send_all(&w->writer);
    return w->bytes + w->used;
}

static void add(struct tap_writer *w, uint32_t size, uint32_t packet_size)
{
    w->places[w->n_frames] = (struct iovec){.iov_base = w->bytes + w->used, .iov_len = size};
    w->packet_size[w->n_frames++] = packet_size;
    w->used += size;
}

/* The frame is copied, since its header may be made up, and its place in the batch is for pieces.
 */
static void write_large(struct tap_writer *w, const struct sink_packet *packet,
                        const uint8_t *header, uint32_t front)
{
    struct segmenter s;
    uint32_t mtu = tap_of(w->writer.sink)->mtu;
    if (packet->size > MAX_LARGE) {
        sink_refuse(&w->writer, SINK_TOO_LARGE);
        return;
    }
    memcpy(w->large, header, front);
    memcpy(w->large + front, packet->bytes, packet->size);
    enum segment_kind kind = segment_begin(&s, w->large, front + packet->size, mtu);
    if (kind == SEGMENT_FITS) { /* it has a tag, for which there is room */
        uint32_t size = front + packet->size;
        memcpy(make_room(w, size), w->large, size);
        add(w, size, packet->size);
        return;
    }
    uint32_t counted = packet->size, piece;
    while ((piece = segment_next(&s, make_room(w, mtu + 18))) > 0) {
        add(w, piece, counted);
        counted = 0;
    }
    if (counted)
        sink_refuse(&w->writer, SINK_TOO_LARGE);
    else
        w->writer.counters.n_cut++;
}

static void write_packet(struct sink_writer *writer, const struct sink_packet *packet)
{
    const struct tap *tap = tap_of(writer->sink);
    struct tap_writer *w = (struct tap_writer *)writer;
    uint8_t header[ETHER_HEADER_SIZE];
    int more = ether_header(packet, header);
    if (more < 0 || (more == 0 && packet->size < MIN_FRAME)) {
        sink_refuse(writer, SINK_LINK);
        return;
    }
    uint32_t front = (uint32_t)more, size = front + packet->size;
    if (packet->size > tap->mtu + 14 - front) {
        write_large(w, packet, header, front);
        return;
    }
    uint8_t *out = make_room(w, size);
    memcpy(out, header, front);
    memcpy(out + front, packet->bytes, packet->size);
    if (tap->finish_checksums && packet->size == packet->wire_size)
        (void)segment_finish_checksum(out, size);
    add(w, size, packet->size);
}

static int attach(struct sink *sink, struct sink_writer **out, struct err *err)
{
    struct tap *tap = tap_of(sink);
    struct tap_writer *w = calloc(1, sizeof *w);
    if (!w)
        return err_set(err, -ENOMEM, "out of memory");
    uint32_t number = __atomic_fetch_add(&tap->n_attached, 1, __ATOMIC_RELAXED);
    w->fd = tap->fds[number % tap->n_fds]; /* the kernel lets several threads write to one */
    *out = &w->writer;
    return 0;
}

static void detach(struct sink_writer *writer)
{
    free(writer);
}

static int close_sink(struct sink *sink, struct err *err)
{
    struct tap *tap = tap_of(sink);
    for (uint32_t i = 0; i < tap->n_fds; i++)
        close(tap->fds[i]);
    sink_done(sink);
    free(tap);
    return 0;
}

static const struct sink_ops ops = {
    .name = "tap",
    .attach = attach,
    .write = write_packet,
    .burst = send_all,
    .flush = send_all,
    .detach = detach,
    .close = close_sink,
};

/* A queue of the tap, which is made if it is not there. */
static int open_queue(const char *name, bool several, int *out)
{
    struct ifreq request = {0};
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (several ? IFF_MULTI_QUEUE : 0));
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        int code = -errno;
        close(fd);
        return code;
    }
    *out = fd;
    return 0;
}

static int open_queues(struct tap *tap, uint32_t wanted, struct err *err)
{
    bool several = true;
    int result = open_queue(tap->name, true, &tap->fds[0]);
    if (result == -EINVAL) { /* it is there, and has one */
        several = false;
        result = open_queue(tap->name, false, &tap->fds[0]);
    }
    if (result < 0)
        return err_set(err, result,
                       result == -EBUSY   ? "interface %s: another program has it: %s"
                       : result == -EPERM ? "interface %s: making a tap needs CAP_NET_ADMIN: %s"
                                          : "interface %s: cannot make a tap of it: %s",
                       tap->name, strerror(-result));
    tap->n_fds = 1;
    while (several && tap->n_fds < wanted &&
           open_queue(tap->name, true, &tap->fds[tap->n_fds]) == 0)
        tap->n_fds++;
    return 0;
}

static int open_socket(struct tap *tap, int index, struct err *err)
{
    const int yes = 1;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = index};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); /* receives nothing */
    if (fd < 0)
        return err_set(err, -errno, "interface %s: sending on it needs CAP_NET_RAW: %s", tap->name,
                       strerror(errno));
    (void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof yes); /* where there is */
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
        int code = -errno;
        close(fd);
        return err_set(err, code, "interface %s: %s", tap->name, strerror(-code));
    }
    tap->fds[tap->n_fds++] = fd;
    return 0;
}

/* Opens the interface and makes it deaf; a tap is still down until then. */
static int open_link(struct tap *tap, const struct tap_options *options, struct err *err)
{
    struct tap_link link;
    int found = tap_link_find(tap->name, 0, &link, err);
    if (found < 0 && found != -ENODEV)
        return found;
    tap->is_socket = found == 0 && strcmp(link.kind, "tun") != 0;
    if (tap->is_socket && strcmp(link.kind, "veth") != 0 && strcmp(link.kind, "dummy") != 0)
        return err_set(err, -EINVAL,
                       "interface %s is no tap, veth or dummy: mirrored packets would get into a "
                       "real network; give --tap a new name, or use --forward",
                       tap->name);
    int result = found == 0 ? tap_link_check(&link, err) : 0;
    if (result == 0 && !tap->is_socket)
        result = open_queues(tap, options->n_workers, err);
    if (result == 0 && found < 0)
        result = tap_link_find(tap->name, 0, &link, err);
    uint32_t mtu = found == 0 ? 0 : options->mtu ? options->mtu : TAP_DEFAULT_MTU;
    if (result == 0)
        result = tap_link_prepare(&link, mtu, err);
    for (uint32_t i = 0; result == 0 && tap->is_socket && i < options->n_workers; i++)
        result = open_socket(tap, link.index, err);
    tap->mtu = mtu ? mtu : link.mtu < TAP_MAX_MTU ? link.mtu : TAP_MAX_MTU;
    return result;
}

int tap_open(const struct tap_options *given, struct sink **out, struct err *err)
{
    struct tap_options options = *given;
    size_t len = strlen(options.name);
    if (len == 0 || len >= IFNAMSIZ || strchr(options.name, '/') || strchr(options.name, '%'))
        return err_set(err, -EINVAL, "%s: not a name of an interface", options.name);
    if (options.mtu && (options.mtu < 576 || options.mtu > TAP_MAX_MTU))
        return err_set(err, -EINVAL, "interface %s: MTU %u: not from 576 to %u", options.name,
                       options.mtu, TAP_MAX_MTU);
    if (options.n_workers == 0)
        options.n_workers = 1;
    if (options.n_workers > MAX_QUEUES)
        options.n_workers = MAX_QUEUES;
    struct tap *tap = calloc(1, sizeof *tap);
    if (!tap)
        return err_set(err, -ENOMEM, "out of memory");
    sink_init(&tap->sink, &ops);
    (void)snprintf(tap->name, sizeof tap->name, "%s", options.name);
    tap->finish_checksums = options.finish_checksums;
    int result = open_link(tap, &options, err);
    if (result < 0) {
        (void)close_sink(&tap->sink, NULL);
        return result;
    }
    *out = &tap->sink;
    return 0;
}
