/* A carrier's life: see carry.h. All is opened first, with rights that are then given up; after
 * that one loop sleeps until the ring has frames, an interface changes, ICMP answers, or a signal
 * comes. It holds as much memory at its end as at its start. */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/clock.h"
#include "base/notify.h"
#include "carry/carry.h"
#include "carry/expression.h"
#include "carry/path.h"
#include "carry/start.h"
#include "carry/status.h"
#include "linux/sandbox.h"

#define BLOCK_SIZE  (1u << 20) /* no super-frame is larger */
#define LOOK_AFTER  250        /* ms after which counters of the kernel are asked for */
#define BURSTS_MAX  64         /* between two looks at anything else */
#define BURSTS_LAST 4096       /* what was seen before the end is sent */

enum { AT_RING, AT_LINKS, AT_SIGNALS, AT_OUTLET, N_FDS = AT_OUTLET + OUTLET_SOCKETS };

struct carrier {
    const struct carry_options *options;
    void (*say)(const char *text, void *with);
    void *with;
    struct carry_counters *counters; /* in the status file */
    struct status status;
    struct live_source *ring;
    struct ring_shape shape;
    struct outlet *outlet;
    struct path *path;
    int links;   /* tells when an interface changes */
    int signals; /* tells when to end */
    int journal; /* -1: none */
    struct notify notify;
    bool is_waiting;
    bool counts_old; /* frames came since the kernel was asked what it lost */
    int64_t looked;
};

/* Into the status file, to the caller, and in the background to the system's log. */
static void tell(struct carrier *c, bool is_trouble, const char *text)
{
    char line[400];
    const char *name = c->options->name;
    (void)snprintf(line, sizeof line, "mirror%s%s: %s", name[0] ? " " : "", name,
                   text); /* or cut */
    status_trouble(&c->status, is_trouble ? text : "");
    if (c->say)
        c->say(line, c->with);
    if (c->journal < 0)
        return;
    char record[500];
    int len = snprintf(record, sizeof record, "<%d>cloudspan[%d]: %s", is_trouble ? 28 : 30,
                       (int)getpid(), line);
    (void)!send(c->journal, record, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL); /* or it is lost */
}

static void read_mtu(struct carrier *c)
{
    struct ifreq request = {0};
    memcpy(request.ifr_name, c->options->interface, sizeof request.ifr_name);
    if (ioctl(live_fd(c->ring), SIOCGIFMTU, &request) == 0 && request.ifr_mtu > 0 &&
        request.ifr_mtu <= 65535)
        c->path->mtu = (uint32_t)request.ifr_mtu;
}

static void come_back(struct carrier *c)
{
    char text[64];
    struct err ignored; /* it is waited for all the same */
    if (ring_rebind(c->ring, c->options->interface, &c->shape, &ignored) < 0)
        return;
    c->is_waiting = false;
    status_set(&c->status, CARRY_RUNNING);
    (void)snprintf(text, sizeof text, "interface %s is back", c->options->interface);
    tell(c, false, text);
    read_mtu(c);
}

static void lose(struct carrier *c)
{
    char text[160];
    c->counters->n_interface_losses++;
    if (!c->is_waiting) {
        c->is_waiting = true;
        status_set(&c->status, CARRY_WAITING);
        (void)snprintf(text, sizeof text, "interface %s: %s; the mirror waits for it",
                       c->options->interface, live_problem(c->ring));
        tell(c, true, text);
    }
    come_back(c); /* it may be there again already */
}

/* True: there may be more. */
static int take_bursts(struct carrier *c, unsigned max, bool *out_more, struct err *err)
{
    struct frame frames[CAPTURE_BURST];
    *out_more = false;
    for (unsigned turn = 0; turn < max; turn++) {
        int n = live_next(c->ring, frames);
        if (n == -ENETDOWN || n == -ENODEV) {
            lose(c);
            return 0;
        }
        if (n < 0)
            return err_set(err, n, "interface %s: %s", c->options->interface,
                           live_problem(c->ring));
        if (n == 0)
            return 0;
        const struct ring_offload *offloads = ring_offloads(c->ring);
        path_time(c->path);
        for (int i = 0; i < n; i++)
            path_frame(c->path, &frames[i], offloads ? &offloads[i] : NULL);
        path_flush(c->path);
        c->counts_old = true;
    }
    *out_more = true;
    return 0;
}

static void look(struct carrier *c, int64_t now)
{
    struct live_counters counters;
    char note[200];
    live_count(c->ring, &counters);
    c->counters->n_ring_lost = counters.n_kernel_dropped;
    outlet_listen(c->outlet);
    if (outlet_take_note(c->outlet, note))
        tell(c, true, note);
    c->counts_old = false;
    c->looked = now;
}

/* What changed is asked for, not read: these messages may be lost, too. */
static void take_link_news(struct carrier *c)
{
    char message[256];
    ssize_t n;
    do
        n = recv(c->links, message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);
    while (n >= 0 || errno == ENOBUFS || errno == EINTR);
    if (c->is_waiting)
        come_back(c);
    else
        read_mtu(c);
}

static int carry(struct carrier *c, struct err *err)
{
    struct pollfd fds[N_FDS] = {
        [AT_RING] = {.fd = live_fd(c->ring), .events = POLLIN},
        [AT_LINKS] = {.fd = c->links, .events = POLLIN},
        [AT_SIGNALS] = {.fd = c->signals, .events = POLLIN},
    };
    outlet_fds(c->outlet, fds + AT_OUTLET);
    for (;;) {
        bool more;
        int result = take_bursts(c, BURSTS_MAX, &more, err);
        if (result < 0)
            return result;
        int64_t now = clock_ticks();
        if (c->counts_old && now - c->looked >= LOOK_AFTER * (int64_t)1000000)
            look(c, now);
        int n = poll(fds, N_FDS, more ? 0 : c->counts_old ? LOOK_AFTER : -1);
        if (n < 0 && errno != EINTR)
            return err_set(err, -errno, "waiting for frames: %s", strerror(errno));
        if (n <= 0)
            continue;
        if (fds[AT_SIGNALS].revents)
            return take_bursts(c, BURSTS_LAST, &more, err);
        if (fds[AT_LINKS].revents)
            take_link_news(c);
        for (int i = AT_OUTLET; i < N_FDS; i++)
            if (fds[i].revents) {
                look(c, now);
                break;
            }
    }
}

static int open_signals(struct err *err)
{
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
        return err_set(err, -errno, "signals: %s", strerror(errno));
    int fd = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set(err, -errno, "signals: %s", strerror(errno)) : fd;
}

static int open_links(struct err *err)
{
    const struct sockaddr_nl all = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&all, sizeof all) == 0)
        return fd;
    int code = -errno;
    if (fd >= 0)
        (void)close(fd); /* nothing was read */
    return err_set(err, code, "watching for changes of interfaces: %s", strerror(-code));
}

/* In the background somebody should read what goes wrong; without a log nobody does. */
static int open_journal(void)
{
    const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&log, sizeof log) < 0) {
        (void)close(fd); /* nothing was written */
        fd = -1;
    }
    return fd;
}

/* On a loopback all that goes out comes in again, and is taken there. */
static int check_direction(const struct carry_options *options, struct err *err)
{
    struct ifreq request = {0};
    memcpy(request.ifr_name, options->interface, sizeof request.ifr_name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool is_loopback = fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
                       (request.ifr_flags & IFF_LOOPBACK) != 0;
    if (fd >= 0)
        (void)close(fd); /* only asked */
    if (is_loopback && options->direction == CARRY_OUT)
        return err_set(err, -EINVAL,
                       "interface %s: what goes out of it comes in again: use --direction in",
                       options->interface);
    return 0;
}

static int make_program(const struct carry_options *options, struct bpf_code *out, struct err *err)
{
    uint16_t link = LINK_ETHERNET;
    struct bpf_program filter = {0};
    struct own own;
    int result = ring_find_link(options->interface, &link, err);
    if (result == 0 && link != LINK_ETHERNET && link != LINK_RAW)
        result = err_set(err, -EINVAL, "interface %s: its frames are neither Ethernet nor IP",
                         options->interface);
    if (result == 0)
        result = check_direction(options, err);
    if (result == 0 && options->filter[0])
        result = expression_compile(options->filter, options->interface, link, &filter, err);
    if (result < 0)
        return result;
    /* libpcap's struct is the kernel's by another name. */
    _Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "one instruction");
    own_init(&own, options);
    result = own_program(&own, link, options->direction, (const void *)filter.bf_insns,
                         filter.bf_len, out, err);
    pcap_freecode(&filter);
    return result;
}

static int open_ring(struct carrier *c, struct err *err)
{
    static const struct steer_key unused;
    struct bpf_code code;
    int result = make_program(c->options, &code, err);
    if (result < 0)
        return result;
    const struct sock_fprog program = bpf_fprog(&code);
    const struct ring_options options = {
        .interface = c->options->interface,
        .group = {.key = &unused, .n_workers = 1},
        .not_promiscuous = true,
        .block_size = BLOCK_SIZE,
        .n_blocks = (uint32_t)(c->options->memory / BLOCK_SIZE),
        .filter = &program,
        .tells_offloads = true,
        .headroom = PATH_HEADROOM,
    };
    int fd;
    result = ring_open(&options, &fd, &c->shape, err);
    if (result < 0)
        return result;
#ifdef PACKET_IGNORE_OUTGOING
    const int on = 1;
    if (c->options->direction == CARRY_IN) /* cheaper than the program, which does it too */
        (void)setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
#endif
    result = ring_attach(fd, &c->shape, 1, &c->ring, err);
    if (result < 0)
        (void)close(fd); /* nothing was read */
    return result;
}

static int give_rights_up(const struct carry_options *options, struct err *err)
{
    struct sandbox_options sandbox = {.allow_binding = true};
    struct sandbox_report report;
    if (options->user[0]) {
        int result = sandbox_find_user(options->user, &sandbox.user, err);
        if (result < 0)
            return result;
    } else {
        sandbox_default_user(&sandbox.user);
    }
    return sandbox_enter(&sandbox, &report, err);
}

static int open_all(struct carrier *c, struct err *err)
{
    c->path = calloc(1, sizeof *c->path);
    if (!c->path)
        return err_set(err, -ENOMEM, "out of memory");
    int result = c->signals = open_signals(err);
    if (result >= 0)
        result = c->links = open_links(err);
    if (result >= 0)
        result = outlet_open(c->options, c->counters, &c->outlet, err);
    if (result >= 0)
        result = open_ring(c, err);
    if (result < 0)
        return result;
    path_init(c->path, c->options, c->outlet, c->counters);
    read_mtu(c);
    if (c->options->ready_fd) {
        c->journal = open_journal();
        (void)prctl(PR_SET_NAME, "cloudspan"); /* for lists of processes only */
    } else {
        struct err problem; /* of the manager's, which is no reason not to run */
        if (notify_init(&c->notify, &problem) < 0)
            tell(c, true, problem.text);
    }
    return give_rights_up(c->options, err);
}

static void close_all(struct carrier *c)
{
    notify_done(&c->notify);
    live_close(c->ring);
    outlet_close(c->outlet);
    free(c->path);
    const int fds[] = {c->links, c->signals, c->journal};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* nothing is held back in these */
}

int carry_run(const struct carry_options *options, void (*say)(const char *text, void *with),
              void *with, struct err *err)
{
    struct carry_options checked = *options;
    struct carrier c = {.options = &checked,
                        .say = say,
                        .with = with,
                        .links = -1,
                        .signals = -1,
                        .journal = -1,
                        .notify = {.fd = -1}};
    struct err refusal = {""};
    (void)signal(SIGPIPE, SIG_IGN); /* who started it may be gone when it says that it runs */
    int result = carry_check(&checked, &refusal);
    if (result == 0)
        result = status_create(&checked, &c.status, &refusal);
    if (result == 0) {
        c.counters = &c.status.page->counters;
        result = open_all(&c, &refusal);
        if (result < 0)
            status_close(&c.status, checked.status, true);
        else
            status_set(&c.status, CARRY_RUNNING);
    }
    if (checked.ready_fd)
        start_tell(checked.ready_fd, result, &refusal);
    if (result == 0) {
        notify_ready(&c.notify, "copies frames");
        result = carry(&c, &refusal);
        notify_stopping(&c.notify);
        look(&c, clock_ticks());
        status_set(&c.status, result < 0 ? CARRY_FAILED : CARRY_ENDED);
        if (result < 0)
            tell(&c, true, refusal.text);
        status_close(&c.status, checked.status, false);
    }
    close_all(&c);
    return result < 0 ? err_set(err, result, "%s", refusal.text) : 0;
}
