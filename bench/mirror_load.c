/*
 * The traffic that bench/mirror measures mirrors with, by sockets, so that it passes every place at
 * which a mirror can take its copies.
 *
 *   mirror_load flood ADDRESS SECONDS [KPPS]    datagrams that make frames of 64 bytes: as many as
 *                                               one core can send, or so many thousands a second
 *   mirror_load bulk ADDRESS SECONDS            one TCP connection, as much as it takes
 *   mirror_load ping ADDRESS SECONDS            a datagram, its answer, the next one
 *   mirror_load sink | pong                     the other ends of bulk and ping: one connection;
 *                                               until standard input ends
 *
 * What was done is said as JSON on standard output; of it `cpu` is this process's time, in seconds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    PORT = 5001,
    PAYLOAD = 64 - 14 - 20 - 8,
    BATCH = 64,
    PIECE = 128 << 10,
    SEGMENT =
        1448 + 12, /* with the time stamp: frames of 1514 bytes, whatever the interface takes */
    MAX_TRIPS = 1 << 21,
};

static void fail(const char *what)
{
    fprintf(stderr, "mirror_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Since the last call. */
static double cpu(void)
{
    static double last;
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    double at = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec, grown = at - last;
    last = at;
    return grown;
}

/* A socket that is bound (no address: to any) or connected. */
static int open_socket(int type, const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    int fd = socket(AF_INET, type, 0), one = 1, segment = SEGMENT;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0)
        fail("socket");
    if (type == SOCK_STREAM &&
        setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment) < 0)
        fail("segment size");
    if (address && inet_pton(AF_INET, address, &to.sin_addr) != 1)
        fail(address);
    if ((address ? connect : bind)(fd, (const struct sockaddr *)&to, sizeof to) < 0)
        fail(address ? "connect" : "bind");
    return fd;
}

/* Sends batches; where there is a rate, sleeps between them, so that only work is cpu time. */
static void flood(int fd, double seconds, double kpps)
{
    static struct mmsghdr messages[BATCH];
    static char payload[PAYLOAD];
    struct iovec piece = {payload, sizeof payload};
    unsigned long long sent = 0, refused = 0;
    double rate = kpps * 1000, start = now(), at = start;
    for (unsigned i = 0; i < BATCH; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &piece, .msg_iovlen = 1};
    for (; at - start < seconds; at = now()) {
        double early = rate > 0 ? (double)(sent + refused) / rate - (at - start) : 0;
        if (early > 0) {
            nanosleep(&(struct timespec){.tv_nsec = early < 0.9 ? (long)(early * 1e9) : 900000000},
                      NULL);
            continue;
        }
        int n = sendmmsg(fd, messages, BATCH, 0);
        if (n > 0)
            sent += (unsigned)n;
        else if (errno == ENOBUFS || errno == EAGAIN || errno == ECONNREFUSED)
            refused++;
        else if (errno != EINTR)
            fail("send");
    }
    printf("{\"sent\": %llu, \"refused\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", sent, refused,
           at - start, cpu());
}

static void bulk(int fd, double seconds)
{
    static char piece[PIECE];
    unsigned long long bytes = 0;
    double start = now(), at = start;
    for (; at - start < seconds; at = now()) {
        ssize_t n = send(fd, piece, sizeof piece, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            fail("send");
        bytes += n > 0 ? (size_t)n : 0;
    }
    printf("{\"bytes\": %llu, \"seconds\": %.6f, \"cpu\": %.6f}\n", bytes, at - start, cpu());
}

/* Takes the bytes without looking at them: this end is not what is measured. */
static void sink(int listener)
{
    unsigned long long bytes = 0;
    if (listen(listener, 1) < 0)
        fail("listen");
    printf("ready\n");
    fflush(stdout);
    int fd = accept(listener, NULL, NULL);
    if (fd < 0)
        fail("accept");
    for (;;) {
        ssize_t n = recv(fd, NULL, 1 << 20, MSG_TRUNC);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        bytes += n > 0 ? (size_t)n : 0;
    }
    printf("{\"bytes\": %llu, \"cpu\": %.6f}\n", bytes, cpu());
}

static void pong(int fd)
{
    char message[PAYLOAD];
    struct pollfd waiting[] = {{.fd = fd, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    printf("ready\n");
    fflush(stdout);
    while (poll(waiting, 2, -1) >= 0 && !waiting[1].revents) {
        struct sockaddr_in from;
        socklen_t size = sizeof from;
        ssize_t n =
            recvfrom(fd, message, sizeof message, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (n >= 0)
            (void)sendto(fd, message, (size_t)n, 0, (const struct sockaddr *)&from, size);
    }
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void ping(int fd, double seconds)
{
    static float trips[MAX_TRIPS]; /* us */
    char message[PAYLOAD] = {0};
    unsigned n = 0, lost = 0;
    struct timeval patience = {.tv_usec = 200000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        fail("patience");
    for (double start = now(), at = start; at - start < seconds && n < MAX_TRIPS;) {
        if (send(fd, message, sizeof message, 0) < 0)
            fail("send");
        ssize_t r = recv(fd, message, sizeof message, 0);
        double then = now();
        if (r > 0)
            trips[n++] = (float)(1e6 * (then - at));
        else
            lost++;
        at = then;
    }
    qsort(trips, n, sizeof *trips, compare);
    printf("{\"trips\": %u, \"lost\": %u, \"p50\": %.3f, \"p99\": %.3f, \"cpu\": %.6f}\n", n, lost,
           n ? (double)trips[n / 2] : 0, n ? (double)trips[(size_t)n * 99 / 100] : 0, cpu());
}

int main(int n_args, char **args)
{
    const char *what = n_args > 1 ? args[1] : "";
    double seconds = n_args > 3 ? atof(args[3]) : 0;
    (void)cpu(); /* what was before is that of the programs that started this one */
    if (n_args == 2 && !strcmp(what, "sink"))
        sink(open_socket(SOCK_STREAM, NULL));
    else if (n_args == 2 && !strcmp(what, "pong"))
        pong(open_socket(SOCK_DGRAM, NULL));
    else if (n_args >= 4 && !strcmp(what, "flood"))
        flood(open_socket(SOCK_DGRAM, args[2]), seconds, n_args > 4 ? atof(args[4]) : 0);
    else if (n_args == 4 && !strcmp(what, "bulk"))
        bulk(open_socket(SOCK_STREAM, args[2]), seconds);
    else if (n_args == 4 && !strcmp(what, "ping"))
        ping(open_socket(SOCK_DGRAM, args[2]), seconds);
    else {
        fprintf(stderr, "usage: mirror_load flood|bulk|ping ADDRESS SECONDS [KPPS]\n"
                        "       mirror_load sink|pong\n");
        return 2;
    }
    return 0;
}
