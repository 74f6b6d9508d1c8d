/* Raw sockets for GRE. Of IPv4 they give the IP header too, of IPv6 they do not: it is made again.
 *
 * The kernel counts a packet as dropped at every socket whose buffer is full, whosever it would
 * have been: the count may be too high by those of other workers, and never too low. */
#include "capture/rawip.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/batch.h"

#define BUFFER_SIZE ((size_t)32 << 20)
#define MAX_STALE   65536

static int attach(int fd, struct bpf_code *code)
{
    const struct sock_fprog program = bpf_fprog(code);
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno : 0;
}

int rawip_steer(int fd, unsigned worker, const struct rawip_options *options, struct err *err)
{
    struct bpf_code program;
    int code = steer_program_gre(&options->group, worker, options->is_ipv6, &options->excluded,
                                 &program, err);
    if (code < 0)
        return code;
    code = attach(fd, &program);
    if (code < 0)
        return err_set(err, code, "GRE: the kernel takes no filter: %s", strerror(-code));
    return 0;
}

static int bind_to(int fd, const struct addr *address, struct err *err)
{
    static const struct addr any;
    if (addr_eq(address, &any))
        return 0;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    memcpy(&in.sin_addr, address->b + 12, 4);
    memcpy(&in6.sin6_addr, address->b, 16);
    int result = addr_is_v4(address) ? bind(fd, (const struct sockaddr *)&in, sizeof in)
                                     : bind(fd, (const struct sockaddr *)&in6, sizeof in6);
    if (result == 0)
        return 0;
    int code = -errno;
    char text[ADDR_TEXT_MAX];
    int len = (int)addr_format(address, text);
    return err_set(err, code, "GRE to %.*s: %s", len, text, strerror(-code));
}

/* What came before the filter was there was given to every socket. */
static void drop_stale(int fd)
{
    for (unsigned i = 0; i < MAX_STALE; i++)
        if (recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) < 0)
            return;
}

/* `worker` is the number of workers: it takes nothing. */
static int open_one(const struct rawip_options *options, unsigned worker, int *out, struct err *err)
{
    struct bpf_code nothing = {.at = {BPF_STMT(BPF_RET | BPF_K, 0)}, .n = 1};
    int family = options->is_ipv6 ? AF_INET6 : AF_INET;
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_GRE);
    if (fd < 0) {
        int code = -errno;
        if (code == -EPERM || code == -EACCES)
            return err_set(err, code, "GRE: receiving it needs CAP_NET_RAW");
        return err_set(err, code, "GRE: %s", strerror(-code));
    }
    int code = attach(fd, &nothing);
    if (code < 0)
        (void)err_set(err, code, "GRE: the kernel takes no filter: %s", strerror(-code));
    if (code == 0)
        code = bind_to(fd, &options->address, err);
    if (code == 0)
        code = batch_prepare(fd, family, err);
    drop_stale(fd);
    if (code == 0 && worker < options->group.n_workers)
        code = rawip_steer(fd, worker, options, err);
    if (code < 0)
        (void)close(fd); /* nothing was read */
    else
        *out = fd;
    return code;
}

int rawip_open(const struct rawip_options *options, int *out_fds, size_t *out_buffer_size,
               struct err *err)
{
    unsigned n = options->group.n_workers + 1;
    int *fds = malloc(n * sizeof *fds);
    if (!fds)
        return err_set(err, -ENOMEM, "no memory for sockets");
    size_t wanted = options->buffer_size > 0 ? options->buffer_size : BUFFER_SIZE;
    size_t got = n > 1 ? SIZE_MAX : 0;
    unsigned n_open = 0;
    int code = 0;
    for (; n_open < n && code == 0; n_open += code == 0) {
        code = open_one(options, n_open, &fds[n_open], err);
        if (code < 0 || n_open == options->group.n_workers)
            continue;
        size_t size = batch_grow(fds[n_open], wanted);
        if (size < got)
            got = size;
    }
    if (code == 0) {
        memcpy(out_fds, fds, n * sizeof *fds);
        if (out_buffer_size)
            *out_buffer_size = got;
    }
    for (unsigned i = 0; i < n_open && code < 0; i++)
        (void)close(fds[i]); /* nothing was read */
    free(fds);
    return code;
}

struct rawip {
    struct live_source source;
    struct batch *batch;
    bool is_ipv6;
    uint32_t last_dropped;
};

static int next(struct live_source *source, struct frame out[CAPTURE_BURST])
{
    struct rawip *rawip = (struct rawip *)source;
    int n = batch_receive(rawip->batch, source->fd);
    for (int i = 0; i < n; i++) {
        struct batch_item *item = batch_item(rawip->batch, (unsigned)i);
        source->counters.n_truncated += item->size < item->wire_size;
        if (rawip->is_ipv6)
            batch_wrap_ip(item, IPPROTO_GRE);
        out[i] = (struct frame){.ts = item->ts,
                                .bytes = item->bytes,
                                .size = item->size,
                                .wire_size = item->wire_size,
                                .link = LINK_RAW};
    }
    if (n < 0)
        (void)err_set(&source->problem, n, "GRE: %s", strerror(-n));
    return n;
}

static void count(struct live_source *source)
{
    struct rawip *rawip = (struct rawip *)source;
    batch_count_dropped(source->fd, &rawip->last_dropped, &source->counters.n_kernel_dropped);
}

static void free_rawip(struct live_source *source)
{
    struct rawip *rawip = (struct rawip *)source;
    batch_free(rawip->batch);
    free(rawip);
}

static const struct live_kind kind = {.next = next, .count = count, .free = free_rawip};

int rawip_attach(int fd, uint16_t input, struct live_source **out, struct err *err)
{
    int family = 0;
    socklen_t size = sizeof family;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0)
        return err_set(err, -errno, "GRE: %s", strerror(errno));
    struct rawip *rawip = calloc(1, sizeof *rawip);
    struct batch *batch = batch_new(0);
    if (!rawip || !batch) {
        free(rawip);
        batch_free(batch);
        return err_set(err, -ENOMEM, "no memory to receive GRE");
    }
    rawip->source = (struct live_source){.kind = &kind, .fd = fd, .input = input};
    rawip->batch = batch;
    rawip->is_ipv6 = family == AF_INET6;
    *out = &rawip->source;
    return 0;
}
