/* Sending the copies: see outlet.h. The kernel is asked to tell of every refusal (IP_RECVERR): that
 * a queue of its own was full, and what ICMP answers. */
#include "carry/outlet.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>

#include "base/clock.h"
#include "sink/outer.h"

#define BATCH_MAX   64
#define PATIENCE    10 /* ms: how long it waits for room, once in a flush */
#define RETRY_AFTER 1000000000
#define FIRST_WAITS 500 /* ms at most until the first datagram has left */
#define QUIET       (10 * (int64_t)1000000000)
#define SAY_AFTER   (600 * (int64_t)1000000000)

/* What a note is about. */
enum matter { MATTER_UNREACHABLE, MATTER_DENIED, MATTER_ANSWER, MATTER_ERROR, N_MATTERS };

struct batch {
    uint32_t n;
    struct mmsghdr messages[BATCH_MAX];
    struct iovec places[BATCH_MAX];
};

struct outlet {
    struct carry_counters *counters;
    struct sockaddr_storage to, from;
    socklen_t size; /* of either */
    bool has_from;
    bool has_waited; /* in this flush */
    int64_t retried;
    int64_t sent; /* when something was, last; 0: not yet, or the way there has changed */
    int64_t said[N_MATTERS]; /* when; 0: never */
    char note[200];          /* not taken yet; "": none */
    char text[ADDR_TEXT_MAX + 1];
    int fds[OUTLET_SOCKETS];
    struct batch batches[OUTLET_SOCKETS];
};

static socklen_t put_sockaddr(const struct addr *addr, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (addr_is_v4(addr)) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, addr->b + 12, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&in.sin6_addr, addr->b, 16);
    memcpy(out, &in, sizeof in);
    return sizeof in;
}

/* None of these is worth failing for. */
static void tune(int fd, bool is_v4)
{
    struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog deaf = {.len = 1, .filter = nothing};
    const int on = 1, size = 4 << 20;
    if (is_v4) {
        (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
        /* As RFC 7348 has it, and the kernel's own device. */
        (void)setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof on);
    } else {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &deaf, sizeof deaf);
}

int outlet_open(const struct carry_options *options, struct carry_counters *counters,
                struct outlet **out, struct err *err)
{
    struct outlet *outlet = calloc(1, sizeof *outlet);
    if (!outlet)
        return err_set(err, -ENOMEM, "out of memory");
    outlet->counters = counters;
    outlet->text[addr_format(&options->to, outlet->text)] = 0;
    outlet->size = put_sockaddr(&options->to, options->port, &outlet->to);
    outlet->has_from = options->has_from;
    if (options->has_from)
        (void)put_sockaddr(&options->from, 0, &outlet->from);
    memset(outlet->fds, -1, sizeof outlet->fds);
    int fd = 0;
    for (int i = 0; i < OUTLET_SOCKETS && fd >= 0; i++) {
        fd = outlet->fds[i] =
            outer_socket((struct sockaddr *)&outlet->to, outlet->size,
                         outlet->has_from ? (struct sockaddr *)&outlet->from : NULL, outlet->size);
        if (fd >= 0)
            tune(fd, addr_is_v4(&options->to));
    }
    for (int i = 0; i < OUTLET_SOCKETS; i++)
        for (int j = 0; j < BATCH_MAX; j++) {
            struct batch *batch = &outlet->batches[i];
            batch->messages[j].msg_hdr =
                (struct msghdr){.msg_iov = &batch->places[j], .msg_iovlen = 1};
        }
    if (fd >= 0) {
        *out = outlet;
        return 0;
    }
    if (fd == -EADDRNOTAVAIL && outlet->has_from)
        (void)err_set(err, fd, "%s: the address to send from is none of this machine's",
                      outlet->text);
    else
        (void)err_set(err, fd, "there is no way to the collector %s: %s", outlet->text,
                      strerror(-fd));
    outlet_close(outlet);
    return fd;
}

void outlet_close(struct outlet *outlet)
{
    if (!outlet)
        return;
    for (int i = 0; i < OUTLET_SOCKETS; i++)
        if (outlet->fds[i] >= 0)
            (void)close(outlet->fds[i]); /* what was sent has left */
    free(outlet);
}

/* "BEFORE 10.9.0.2AFTER", unless this matter was told not long ago. */
static void tell(struct outlet *outlet, enum matter matter, const char *before, const char *after,
                 int code)
{
    int64_t now = clock_ticks();
    if (outlet->said[matter] && now - outlet->said[matter] < SAY_AFTER)
        return;
    outlet->said[matter] = now;
    (void)snprintf(outlet->note, sizeof outlet->note, "%s %s%s (%s)", before, outlet->text, after,
                   strerror(code));
}

bool outlet_take_note(struct outlet *outlet, char out[200])
{
    bool has = outlet->note[0] != 0;
    memcpy(out, outlet->note, sizeof outlet->note);
    outlet->note[0] = 0;
    return has;
}

/* The kernel chose the source address once; where that is gone, or there was no way at all for a
 * while, it has to choose again. */
static void choose_again(struct outlet *outlet)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    int64_t now = clock_ticks();
    if (now - outlet->retried < RETRY_AFTER)
        return;
    outlet->retried = now;
    outlet->sent = 0;
    for (int i = 0; i < OUTLET_SOCKETS; i++) {
        (void)connect(outlet->fds[i], &none, sizeof none);
        /* Where this fails, so does the next datagram, and is counted. */
        (void)connect(outlet->fds[i], (struct sockaddr *)&outlet->to, outlet->size);
    }
}

/* Counts a datagram that was refused with this code. */
static void refused(struct outlet *outlet, int code)
{
    struct carry_counters *counters = outlet->counters;
    switch (code) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
        counters->n_full++;
        break;
    case EMSGSIZE:
        counters->n_too_large++;
        break;
    case EPERM:
    case EACCES:
        counters->n_denied++;
        tell(outlet, MATTER_DENIED, "a firewall of this machine stops what goes to", "", code);
        break;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ECONNREFUSED:
    case EINVAL: /* the source address is gone */
    case EADDRNOTAVAIL:
    case EDESTADDRREQ: /* not connected any more */
        counters->n_unreachable++;
        tell(outlet, MATTER_UNREACHABLE, "there is no way to", "", code);
        choose_again(outlet);
        break;
    default:
        counters->n_error++;
        tell(outlet, MATTER_ERROR, "sending fails to", "", code);
    }
}

/* Of an answer to an earlier datagram, which stops this one. */
static bool is_answer(int code)
{
    return code == ECONNREFUSED || code == EHOSTUNREACH || code == ENETUNREACH ||
           code == EHOSTDOWN || code == EPROTO || code == EACCES || code == ENOPROTOOPT ||
           code == EMSGSIZE;
}

static bool wait_for_room(struct outlet *outlet, int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLOUT};
    if (outlet->has_waited)
        return false;
    outlet->has_waited = true;
    return poll(&one, 1, PATIENCE) == 1;
}

/* Waits until what was sent has left this machine. As long as the kernel asks for the hardware
 * address of the next hop, it keeps few packets for it, and drops the others without a word: a
 * whole burst would be counted as sent, and most of it be lost. Meanwhile frames stay in the ring.
 */
static void wait_until_gone(int fd)
{
    for (int i = 0; i < FIRST_WAITS; i++) {
        uint32_t memory[SK_MEMINFO_VARS] = {0};
        socklen_t size = sizeof memory;
        if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) < 0 ||
            memory[SK_MEMINFO_WMEM_ALLOC] == 0)
            return;
        (void)poll(NULL, 0, 1); /* only sleeps */
    }
}

static void flush_one(struct outlet *outlet, unsigned socket)
{
    struct batch *batch = &outlet->batches[socket];
    struct carry_counters *counters = outlet->counters;
    int fd = outlet->fds[socket];
    bool again = true; /* the datagram at hand may be tried once more */
    int64_t now = clock_ticks();
    for (uint32_t at = 0; at < batch->n;) {
        bool is_first = outlet->sent == 0 || now - outlet->sent > QUIET;
        uint32_t n = is_first ? 1 : batch->n - at;
        int sent = sendmmsg(fd, batch->messages + at, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        int code = sent < 0 ? errno : sent == 0 ? EIO : 0;
        if (code == EINTR)
            continue;
        if (again && ((code == EAGAIN && wait_for_room(outlet, fd)) || is_answer(code))) {
            again = false;
            continue;
        }
        again = true;
        if (code) {
            refused(outlet, code);
            at++;
            continue;
        }
        if (is_first)
            wait_until_gone(fd);
        outlet->sent = now;
        for (int i = 0; i < sent; i++, at++) {
            counters->n_sent++;
            counters->bytes_sent += batch->places[at].iov_len - OUTER_SIZE;
        }
    }
    batch->n = 0;
}

void outlet_put(struct outlet *outlet, uint32_t hash, const uint8_t *datagram, uint32_t size)
{
    unsigned socket = hash % OUTLET_SOCKETS;
    struct batch *batch = &outlet->batches[socket];
    if (batch->n == BATCH_MAX)
        flush_one(outlet, socket);
    batch->places[batch->n++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)datagram, .iov_len = size};
}

void outlet_flush(struct outlet *outlet)
{
    outlet->has_waited = false;
    for (unsigned i = 0; i < OUTLET_SOCKETS; i++)
        if (outlet->batches[i].n > 0)
            flush_one(outlet, i);
}

void outlet_fds(const struct outlet *outlet, struct pollfd out[OUTLET_SOCKETS])
{
    for (unsigned i = 0; i < OUTLET_SOCKETS; i++)
        out[i] = (struct pollfd){.fd = outlet->fds[i]};
}

static void answered(struct outlet *outlet, const struct sock_extended_err *error)
{
    if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6)
        return;
    outlet->counters->n_answers++;
    int code = (int)error->ee_errno;
    tell(outlet, MATTER_ANSWER, "copies do not arrive at",
         code == ECONNREFUSED ? ": nobody listens there on that port" : "", code);
}

/* False: there are no more. */
static bool take_error(struct outlet *outlet, int fd)
{
    union {
        struct cmsghdr first; /* aligns it */
        char bytes[512];
    } control;
    char datagram[64];
    struct iovec place = {.iov_base = datagram, .iov_len = sizeof datagram};
    struct msghdr message = {.msg_iov = &place,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return errno == EINTR;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one)) {
        bool is_ip = one->cmsg_level == IPPROTO_IP && one->cmsg_type == IP_RECVERR;
        bool is_ip6 = one->cmsg_level == IPPROTO_IPV6 && one->cmsg_type == IPV6_RECVERR;
        struct sock_extended_err error;
        if ((is_ip || is_ip6) && one->cmsg_len >= CMSG_LEN(sizeof error)) {
            memcpy(&error, CMSG_DATA(one), sizeof error);
            answered(outlet, &error);
        }
    }
    return true;
}

void outlet_listen(struct outlet *outlet)
{
    for (unsigned i = 0; i < OUTLET_SOCKETS; i++) {
        int code;
        socklen_t size = sizeof code;
        for (int n = 0; n < BATCH_MAX && take_error(outlet, outlet->fds[i]); n++)
            ;
        (void)getsockopt(outlet->fds[i], SOL_SOCKET, SO_ERROR, &code, &size); /* forgets it */
    }
}
