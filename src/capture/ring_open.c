/* The privileged half of a ring: the socket, its memory, its group. A filter that takes nothing is
 * there until all rings are in the group, so that no packet is seen twice at the start. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "capture/ring.h"

#define BLOCK_SIZE   (1u << 20)
#define N_BLOCKS     64
#define FRAME_SIZE   2048 /* the kernel wants one; blocks are filled whatever it says */
#define RETIRE_AFTER 20   /* ms: how long a block waits to be filled */
#define TAG_SIZE     8    /* room in front of each frame for a VLAN tag, aligned */
#define MAX_FILTER   4096

static int set(int fd, int name, const void *value, size_t size)
{
    return setsockopt(fd, SOL_PACKET, name, value, (socklen_t)size) < 0 ? -errno : 0;
}

static int set_number(int fd, int name, int value)
{
    return set(fd, name, &value, sizeof value);
}

struct interface {
    const char *name;
    int ifindex;
    uint16_t type; /* ARPHRD_… */
    uint16_t link;
    bool is_up;
};

/* Interfaces without a link header, or with one that is not worth knowing, give bare IP packets. */
static uint16_t link_of(uint16_t type)
{
    switch (type) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return LINK_ETHERNET;
    case ARPHRD_IEEE80211:
        return LINK_IEEE802_11;
    case ARPHRD_IEEE80211_RADIOTAP:
        return LINK_IEEE802_11_RADIOTAP;
    default:
        return LINK_RAW;
    }
}

/* By any socket. */
static int ask_interface(int fd, const char *name, struct interface *out, struct err *err)
{
    struct ifreq request = {0};
    size_t len = strlen(name);
    if (len == 0 || len >= sizeof request.ifr_name)
        return err_set(err, -EINVAL, "interface %s: no interface has such a name", name);
    memcpy(request.ifr_name, name, len);
    int code = 0;
    struct interface found = {.name = name};
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0) {
        code = -errno;
    } else {
        found.ifindex = request.ifr_ifindex;
        if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
            code = -errno;
        found.is_up = (request.ifr_flags & IFF_UP) != 0;
        if (code == 0 && ioctl(fd, SIOCGIFHWADDR, &request) < 0)
            code = -errno;
        found.type = request.ifr_hwaddr.sa_family;
    }
    if (code == -ENODEV || code == -ENXIO)
        return err_set(err, -ENODEV, "interface %s: there is none", name);
    if (code < 0)
        return err_set(err, code, "interface %s: %s", name, strerror(-code));
    if (!found.is_up)
        return err_set(err, -ENETDOWN, "interface %s: is down (ip link set %s up)", name, name);
    found.link = link_of(found.type);
    *out = found;
    return 0;
}

static int find_interface(const char *name, struct interface *out, struct err *err)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(err, -errno, "interface %s: %s", name, strerror(errno));
    int code = ask_interface(fd, name, out, err);
    (void)close(fd); /* only asked */
    return code;
}

int ring_find_link(const char *name, uint16_t *out, struct err *err)
{
    struct interface interface = {0};
    int code = find_interface(name, &interface, err);
    if (code == 0)
        *out = interface.link;
    return code;
}

static int attach(int fd, struct sock_filter *code, size_t n)
{
    const struct sock_fprog program = {.len = (unsigned short)n, .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

/* The caller's filter behind a few instructions of ours: jumps are relative, so it may be moved. */
static int attach_filter(int fd, const struct ring_options *options, bool ignores_outgoing)
{
    struct sock_filter head[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ, PACKET_OUTGOING, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const size_t n_head = 3;
    if (!options->filter && !ignores_outgoing) {
        int unused = 0;
        return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused) < 0 ? -errno
                                                                                        : 0;
    }
    if (!options->filter)
        return attach(fd, head, n_head + 1);
    if (!ignores_outgoing)
        return attach(fd, options->filter->filter, options->filter->len);
    size_t n = n_head + options->filter->len;
    if (n > MAX_FILTER)
        return -E2BIG;
    struct sock_filter *both = malloc(n * sizeof *both);
    if (!both)
        return -ENOMEM;
    memcpy(both, head, n_head * sizeof *both);
    memcpy(both + n_head, options->filter->filter, options->filter->len * sizeof *both);
    int code = attach(fd, both, n);
    free(both);
    return code;
}

/* Since 6.2 the kernel can say "segments of UDP"; before, it throws such frames away where it is
 * asked to tell. */
static bool kernel_tells_all(void)
{
    struct utsname name;
    char *end;
    if (uname(&name) < 0)
        return false;
    unsigned long major = strtoul(name.release, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    return major > 6 || (major == 6 && minor >= 2);
}

static int make_ring(int fd, const struct ring_options *options, const struct ring_shape *shape)
{
    struct tpacket_req3 request = {
        .tp_block_size = shape->block_size,
        .tp_block_nr = shape->n_blocks,
        .tp_frame_size = FRAME_SIZE,
        .tp_frame_nr = shape->block_size / FRAME_SIZE * shape->n_blocks,
        .tp_retire_blk_tov = RETIRE_AFTER,
    };
    int code = set_number(fd, PACKET_VERSION, TPACKET_V3);
    if (code == 0)
        code = set_number(fd, PACKET_RESERVE, (int)(TAG_SIZE + (options->headroom + 7) / 8 * 8));
    if (code == 0 && shape->tells_offloads)
        code = set_number(fd, PACKET_VNET_HDR, 1);
    if (code == 0)
        code = set(fd, PACKET_RX_RING, &request, sizeof request);
    return code;
}

static int bind_to(int fd, const struct interface *interface)
{
    const struct sockaddr_ll address = {
        .sll_family = AF_PACKET,
        .sll_protocol = htobe16(ETH_P_ALL),
        .sll_ifindex = interface->ifindex,
    };
    return bind(fd, (const struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

static int refuse(const struct interface *interface, const char *what, int code, struct err *err)
{
    if (code == -EPERM || code == -EACCES)
        return err_set(err, code, "interface %s: watching it needs CAP_NET_RAW", interface->name);
    return err_set(err, code, "interface %s: %s: %s", interface->name, what, strerror(-code));
}

static int open_one(const struct ring_options *options, const struct interface *interface,
                    const struct ring_shape *shape, int *out, struct err *err)
{
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    int type = interface->link == LINK_RAW ? SOCK_DGRAM : SOCK_RAW;
    const char *what = "opening it";
    int code = 0;
    int fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse(interface, what, -errno, err);
    code = attach(fd, nothing, 1);
    if (code == 0) {
        what = "making a ring (try a smaller one)";
        code = make_ring(fd, options, shape);
    }
    if (code == 0) {
        what = "binding to it";
        code = bind_to(fd, interface);
    }
    if (code == 0 && !options->not_promiscuous) {
        const struct packet_mreq request = {.mr_ifindex = interface->ifindex,
                                            .mr_type = PACKET_MR_PROMISC};
        what = "promiscuous mode";
        code = set(fd, PACKET_ADD_MEMBERSHIP, &request, sizeof request);
    }
    if (code < 0) {
        (void)close(fd); /* nothing was read */
        return refuse(interface, what, code, err);
    }
    *out = fd;
    return 0;
}

/* The first ring founds the group; with no id given, the kernel says which it has (0 may be one).
 * Fragments of IPv4 are put together before a worker is chosen: the pieces of one datagram and the
 * small ones after it would else come by two ways, and out of their order. */
static int join(const int *fds, const struct ring_options *options)
{
    unsigned id = options->fanout_id;
    for (unsigned i = 0; i < options->group.n_workers; i++) {
        bool asks = i == 0 && options->fanout_id == 0;
        unsigned type = PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_DEFRAG |
                        (asks ? PACKET_FANOUT_FLAG_UNIQUEID : 0u);
        int code = set_number(fds[i], PACKET_FANOUT, (int)(id | type << 16));
        if (code < 0)
            return code;
        if (asks) {
            int got = 0;
            socklen_t size = sizeof got;
            if (getsockopt(fds[i], SOL_PACKET, PACKET_FANOUT, &got, &size) < 0)
                return -errno;
            id = (unsigned)got & 0xffff;
        }
    }
    return 0;
}

static int steer(int fd, const struct ring_options *options, const struct interface *interface,
                 struct err *err)
{
    const struct steer_ring ring = {
        .link = interface->link == LINK_RAW ? STEER_RING_IP : STEER_RING_ETHERNET,
        .ports = options->ports,
        .n_ports = options->n_ports,
        .takes_gre = options->takes_gre,
    };
    struct bpf_code code;
    int result = steer_program_ring(&options->group, &ring, &code, err);
    if (result < 0)
        return result;
    const struct sock_fprog program = bpf_fprog(&code);
    result = set(fd, PACKET_FANOUT_DATA, &program, sizeof program);
    return result < 0 ? refuse(interface, "a program to choose a worker", result, err) : 0;
}

static int open_group(const struct ring_options *options, const struct interface *interface,
                      const struct ring_shape *shape, int *fds, struct err *err)
{
    const unsigned n = options->group.n_workers;
    bool ignores_outgoing = options->ignores_outgoing || interface->type == ARPHRD_LOOPBACK;
    int code = 0;
    for (unsigned i = 0; i < n && code == 0; i++)
        code = open_one(options, interface, shape, &fds[i], err);
    if (code == 0 && n > 1) {
        code = join(fds, options);
        if (code < 0)
            return refuse(interface, "sharing it between workers", code, err);
        code = steer(fds[0], options, interface, err);
    }
    for (unsigned i = 0; i < n && code == 0; i++) {
        code = attach_filter(fds[i], options, ignores_outgoing);
        if (code < 0)
            return refuse(interface, "its filter", code, err);
    }
    return code;
}

int ring_open(const struct ring_options *options, int *out_fds, struct ring_shape *out_shape,
              struct err *err)
{
    struct interface interface = {0};
    int code = find_interface(options->interface, &interface, err);
    if (code < 0)
        return code;
    const struct ring_shape shape = {
        .block_size = options->block_size > 0 ? options->block_size : BLOCK_SIZE,
        .n_blocks = options->n_blocks > 0 ? options->n_blocks : N_BLOCKS,
        .link = interface.link,
        .ifindex = interface.ifindex,
        .tells_offloads =
            options->tells_offloads && interface.link == LINK_ETHERNET && kernel_tells_all(),
    };
    const unsigned n = options->group.n_workers;
    int *fds = malloc(n * sizeof *fds);
    if (!fds)
        return err_set(err, -ENOMEM, "no memory for sockets");
    for (unsigned i = 0; i < n; i++)
        fds[i] = -1;
    code = open_group(options, &interface, &shape, fds, err);
    if (code == 0) {
        memcpy(out_fds, fds, n * sizeof *fds);
        *out_shape = shape;
    }
    for (unsigned i = 0; i < n && code < 0; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* nothing was read */
    free(fds);
    return code;
}

/* The name that the interface has now to which the socket is bound. False: it is gone. */
static bool find_name(int fd, char out[IFNAMSIZ])
{
    struct sockaddr_ll address = {0};
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0 || address.sll_ifindex <= 0)
        return false;
    struct ifreq request = {.ifr_ifindex = address.sll_ifindex};
    if (ioctl(fd, SIOCGIFNAME, &request) < 0)
        return false;
    memcpy(out, request.ifr_name, IFNAMSIZ);
    return true;
}

int ring_rebind(const struct live_source *source, const char *name, const struct ring_shape *shape,
                struct err *err)
{
    struct interface interface = {0};
    char now[IFNAMSIZ];
    int fd = live_fd(source);
    int code = ask_interface(fd, find_name(fd, now) ? now : name, &interface, err);
    if (code < 0)
        return code;
    if (interface.link != shape->link)
        return err_set(err, -EINVAL, "interface %s: is of another kind than it was", name);
    code = bind_to(fd, &interface);
    return code < 0 ? refuse(&interface, "binding to it", code, err) : 0;
}
