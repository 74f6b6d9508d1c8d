/* UDP listeners. The socket that holds the port is the last of the group: what came in by an
 * interface that is excluded is steered to it, and its filter refuses everything. A filter on the
 * workers' sockets would do too, but what such a filter refuses counts as dropped. */
#include "capture/datagrams.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/batch.h"

#define BUFFER_SIZE ((size_t)32 << 20)

static bool is_multicast(const struct addr *address)
{
    return addr_is_v4(address) ? address->b[12] >> 4 == 0xe : address->b[0] == 0xff;
}

static bool is_any(const struct addr *address)
{
    static const struct addr any;
    return addr_eq(address, &any);
}

struct place {
    struct sockaddr_storage address;
    socklen_t size;
    int family;
    unsigned ifindex; /* 0: any */
    char text[ADDR_TEXT_MAX + 8];
};

static struct place place_v4(const struct datagram_options *options)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    if (!is_any(&options->address))
        memcpy(&in.sin_addr, options->address.b + 12, 4);
    struct place place = {.family = AF_INET, .size = sizeof in};
    memcpy(&place.address, &in, sizeof in);
    return place;
}

static struct place place_v6(const struct datagram_options *options, unsigned ifindex)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(options->port)};
    memcpy(&in6.sin6_addr, options->address.b, 16);
    if (!is_any(&options->address))
        in6.sin6_scope_id = ifindex;
    struct place place = {.family = AF_INET6, .size = sizeof in6};
    memcpy(&place.address, &in6, sizeof in6);
    return place;
}

/* IPv4 alone where this kernel has no IPv6. */
static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno != EAFNOSUPPORT;
    (void)close(fd); /* only asked */
    return true;
}

static int find_place(const struct datagram_options *options, struct place *out, struct err *err)
{
    unsigned ifindex = options->interface ? if_nametoindex(options->interface) : 0;
    if (options->interface && ifindex == 0)
        return err_set(err, -ENODEV, "interface %s: there is none", options->interface);
    bool v4 = addr_is_v4(&options->address) || (is_any(&options->address) && !has_ipv6());
    *out = v4 ? place_v4(options) : place_v6(options, ifindex);
    out->ifindex = ifindex;
    char text[ADDR_TEXT_MAX];
    int len = (int)addr_format(&options->address, text);
    bool brackets = !addr_is_v4(&options->address);
    (void)snprintf(out->text, sizeof out->text, brackets ? "[%.*s]:%u" : "%.*s:%u", len, text,
                   options->port); /* fits */
    return 0;
}

static int set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int attach(int fd, int name, struct bpf_code *code)
{
    const struct sock_fprog program = bpf_fprog(code);
    return setsockopt(fd, SOL_SOCKET, name, &program, sizeof program) < 0 ? -errno : 0;
}

static int join(int fd, const struct place *place, const char *text, struct err *err)
{
    struct group_req request = {.gr_interface = place->ifindex};
    memcpy(&request.gr_group, &place->address, place->size);
    int level = place->family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (setsockopt(fd, level, MCAST_JOIN_GROUP, &request, sizeof request) < 0)
        return err_set(err, -errno, "UDP %s: joining the group: %s", text, strerror(errno));
    return 0;
}

static int prepare(int fd, const struct place *place, const struct datagram_options *options,
                   struct err *err)
{
    int code = set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (code == 0 && place->family == AF_INET6)
        code = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !is_any(&options->address));
    if (code < 0)
        return err_set(err, code, "UDP %s: %s", place->text, strerror(-code));
    if (options->interface && !is_multicast(&options->address) &&
        setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->interface,
                   (socklen_t)strlen(options->interface)) < 0)
        return err_set(err, -errno, "UDP %s: only from interface %s: %s", place->text,
                       options->interface, strerror(errno));
    return batch_prepare(fd, place->family, err);
}

static int refuse_bind(const struct place *place, int code, struct err *err)
{
    switch (code) {
    case -EADDRINUSE:
        return err_set(err, code,
                       "UDP %s: another program, or a tunnel interface of this machine, has the "
                       "port (see: ss -lunp; ip -d link)",
                       place->text);
    case -EADDRNOTAVAIL:
        return err_set(err, code, "UDP %s: this machine does not have the address", place->text);
    case -EACCES:
        return err_set(err, code, "UDP %s: ports below 1024 need CAP_NET_BIND_SERVICE",
                       place->text);
    default:
        return err_set(err, code, "UDP %s: %s", place->text, strerror(-code));
    }
}

static int open_one(const struct datagram_options *options, const struct place *place, int *out,
                    struct err *err)
{
    int fd = socket(place->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "UDP %s: %s", place->text, strerror(errno));
    int code = prepare(fd, place, options, err);
    if (code == 0 && bind(fd, (const struct sockaddr *)&place->address, place->size) < 0)
        code = refuse_bind(place, -errno, err);
    if (code < 0)
        (void)close(fd); /* nothing was read */
    else
        *out = fd;
    return code;
}

int datagrams_steer(int fd, const struct datagram_options *options, struct err *err)
{
    struct bpf_code program;
    bool alone = is_multicast(&options->address);
    struct steer_excluded interfaces = options->excluded;
    interfaces.admit = NULL; /* there is no other socket for them: they would count as dropped */
    int code = alone ? steer_program_excluded(&interfaces, &program, err)
                     : steer_program_udp(&options->group, options->kind, &options->excluded,
                                         &program, err);
    if (code < 0)
        return code;
    code = attach(fd, alone ? SO_ATTACH_FILTER : SO_ATTACH_REUSEPORT_CBPF, &program);
    if (code < 0)
        return err_set(err, code, "UDP port %u: the kernel takes no program to choose a worker: %s",
                       options->port, strerror(-code));
    return 0;
}

static int hold(const struct datagram_options *options, const struct place *place, int *out,
                struct err *err)
{
    struct bpf_code nothing = {.at = {BPF_STMT(BPF_RET | BPF_K, 0)}, .n = 1};
    int code = open_one(options, place, out, err);
    if (code == 0) {
        code = attach(*out, SO_ATTACH_FILTER, &nothing);
        if (code < 0)
            return err_set(err, code, "UDP %s: holding the port: %s", place->text, strerror(-code));
    }
    return code;
}

/* SO_REUSEPORT would let this process into the group of another watch, which would then get a part
 * of the packets, or none: a socket without it is refused where anybody has the port. */
static int probe(const struct place *place, const struct datagram_options *options, struct err *err)
{
    int fd = socket(place->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "UDP %s: %s", place->text, strerror(errno));
    int code = prepare(fd, place, options, err);
    if (code == 0)
        code = set(fd, SOL_SOCKET, SO_REUSEPORT, 0);
    if (code == 0 && bind(fd, (const struct sockaddr *)&place->address, place->size) < 0)
        code = refuse_bind(place, -errno, err);
    (void)close(fd); /* nothing was read */
    return code;
}

/* The program comes before the second socket, or the kernel would choose by the outer header for a
 * moment; and before the one that holds, or that would swallow datagrams. */
static int open_group(const struct datagram_options *options, const struct place *place, int *fds,
                      size_t *got, struct err *err)
{
    size_t wanted = options->buffer_size > 0 ? options->buffer_size : BUFFER_SIZE;
    unsigned n = is_multicast(&options->address) ? 1 : options->group.n_workers;
    *got = SIZE_MAX;
    int taken = is_multicast(&options->address) ? 0 : probe(place, options, err);
    if (taken < 0)
        return taken;
    for (unsigned i = 0; i < n; i++) {
        int code = open_one(options, place, &fds[i], err);
        if (code == 0 && i == 0)
            code = datagrams_steer(fds[0], options, err);
        if (code < 0)
            return code;
        size_t size = batch_grow(fds[i], wanted);
        if (size < *got)
            *got = size;
    }
    if (is_multicast(&options->address))
        return join(fds[0], place, place->text, err);
    return hold(options, place, &fds[n], err);
}

int datagrams_open(const struct datagram_options *options, int *out_fds, size_t *out_buffer_size,
                   struct err *err)
{
    struct place place;
    unsigned n = options->group.n_workers + 1;
    int *fds = malloc(n * sizeof *fds);
    if (!fds)
        return err_set(err, -ENOMEM, "no memory for sockets");
    for (unsigned i = 0; i < n; i++)
        fds[i] = -1;
    size_t got = 0;
    int code = find_place(options, &place, err);
    if (code == 0)
        code = open_group(options, &place, fds, &got, err);
    if (code == 0) {
        memcpy(out_fds, fds, n * sizeof *fds);
        if (out_buffer_size)
            *out_buffer_size = got;
    }
    for (unsigned i = 0; i < n && code < 0; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* nothing was read */
    free(fds);
    return code;
}

struct datagrams {
    struct live_source source;
    struct batch *batch;
    uint16_t port;
    uint32_t last_dropped;
};

static int next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    struct datagrams *datagrams = (struct datagrams *)source;
    int n = batch_receive(datagrams->batch, source->fd);
    for (int i = 0; i < n; i++) {
        struct batch_item *item = batch_item(datagrams->batch, (unsigned)i);
        source->counters.n_truncated += item->size < item->wire_size;
        batch_wrap_udp(item, datagrams->port);
        out[i] = (struct frame){.ts = item->ts,
                                .bytes = item->bytes,
                                .size = item->size,
                                .wire_size = item->wire_size,
                                .link = LINK_RAW};
    }
    if (n < 0)
        (void)err_set(&source->problem, n, "UDP port %u: %s", datagrams->port, strerror(-n));
    return n;
}

static void count(struct live_source *source)
{
    struct datagrams *datagrams = (struct datagrams *)source;
    batch_count_dropped(source->fd, &datagrams->last_dropped, &source->counters.n_kernel_dropped);
}

static void free_datagrams(struct live_source *source)
{
    struct datagrams *datagrams = (struct datagrams *)source;
    batch_free(datagrams->batch);
    free(datagrams);
}

static const struct live_kind kind = {.next = next, .count = count, .free = free_datagrams};

static uint16_t port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        return 0;
    struct sockaddr_in in; /* the port of IPv6 is at the same place */
    memcpy(&in, &address, sizeof in);
    return ntohs(in.sin_port);
}

int datagrams_attach_tuned(int fd, uint16_t input, uint32_t max_size, struct live_source **out,
                           struct err *err)
{
    struct datagrams *datagrams = calloc(1, sizeof *datagrams);
    struct batch *batch = batch_new(max_size);
    if (!datagrams || !batch) {
        free(datagrams);
        batch_free(batch);
        return err_set(err, -ENOMEM, "no memory to receive datagrams");
    }
    datagrams->source = (struct live_source){.kind = &kind, .fd = fd, .input = input};
    datagrams->batch = batch;
    datagrams->port = port_of(fd);
    *out = &datagrams->source;
    return 0;
}

int datagrams_attach(int fd, uint16_t input, struct live_source **out, struct err *err)
{
    return datagrams_attach_tuned(fd, input, 0, out, err);
}
