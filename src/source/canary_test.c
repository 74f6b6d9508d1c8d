/* Real sockets in a network namespace of the test's own: what comes back through a "mirror" (a
 * packet socket on the loopback), and what the way there says: alive, nobody there, no way. */
#include "source/canary.h"

// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "net/ip.h"

#define SECOND  ((int64_t)1000000000)
#define MACHINE 3

static struct addr make(const char *text)
{
    struct addr a;
    assert_true(addr_parse(text, &a));
    return a;
}

static int64_t ticks(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

/* Runs `ip` with these words; false: it is not there, or failed. */
static bool run_ip(const char *words)
{
    char text[200], *argv[20] = {(char[]){"ip"}};
    snprintf(text, sizeof text, "%s", words);
    int n = 1;
    for (char *at = text; *at && n < 19;) {
        argv[n++] = at;
        at += strcspn(at, " ");
        if (*at)
            *at++ = '\0';
    }
    pid_t pid;
    int status = -1;
    if (posix_spawnp(&pid, "ip", NULL, NULL, argv, environ) != 0)
        return false;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* So that nobody there is known at once; the test works without it, only longer. */
static void hurry_arp(void)
{
    int fd = open("/proc/sys/net/ipv4/neigh/vcan0/retrans_time_ms", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "100", 3) != 3)
        print_message("ARP takes its usual time\n");
    close(fd);
}

static bool enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    if (!run_ip("link set lo up") || !run_ip("link add vcan0 type veth peer name vcan1") ||
        !run_ip("addr add 10.77.0.1/24 dev vcan0") || !run_ip("link set vcan0 up") ||
        !run_ip("link set vcan1 up") || !run_ip("addr add 127.7.7.7/32 dev lo") ||
        !run_ip("-6 addr add 2001:db8:7::1/64 dev lo nodad"))
        return false;
    (void)run_ip("route add unreachable 10.88.0.0/16"); /* its test then sees no route at all */
    hurry_arp();
    return true;
}

struct bench {
    struct canary *canary;
    int mirror; /* packet socket on the loopback; -1: none may be had */
    uint8_t frames[4][400];
    ssize_t sizes[4];
};

static bool namespace_is_there;

static int set_up(void **state)
{
    static struct bench bench;
    *state = &bench;
    bench.canary = NULL;
    bench.mirror = -1;
    if (!namespace_is_there)
        return 0;
    bench.canary = canary_new(&(struct canary_options){.max_machine = 8, .timeout = SECOND});
    canary_enable(bench.canary, MACHINE, true);
    struct sockaddr_ll on = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    on.sll_ifindex = (int)if_nametoindex("lo");
    bench.mirror = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
    if (bench.mirror >= 0 && bind(bench.mirror, (struct sockaddr *)&on, sizeof on) < 0) {
        close(bench.mirror);
        bench.mirror = -1;
    }
    return bench.canary ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *b = *state;
    canary_free(b->canary);
    if (b->mirror >= 0)
        close(b->mirror);
    return 0;
}

static void need_namespace(void)
{
    if (namespace_is_there)
        return;
    print_message("skipped: no network namespace with a veth may be made here\n");
    skip();
}

static void send_to(struct bench *b, const char *to)
{
    struct addr a = make(to);
    struct err err = {""};
    int rc = canary_send(b->canary, MACHINE, &a, ticks(), 1700000000 * SECOND, &err);
    if (rc < 0)
        print_error("%s\n", err.text);
    assert_int_equal(rc, 0);
}

/* Polls until the answer is there, or for as long as ARP could ever take. */
static enum canary_answer answer_of(struct bench *b)
{
    int64_t end = ticks() + 20 * SECOND;
    const struct canary_state *s = canary_state(b->canary, MACHINE);
    while (ticks() < end && (s->n_missed_in_row == 0 || s->answer == CANARY_NONE)) {
        (void)poll(NULL, 0, 20); /* what is waited for has no descriptor outside */
        canary_poll(b->canary, ticks(), 1700000001 * SECOND);
    }
    return s->answer;
}

static struct packet decode(const struct bench *b, int i)
{
    struct packet p = {.kind = PACKET_OTHER};
    struct ip_fragment fragment;
    struct reader r = rd_make(b->frames[i], (size_t)b->sizes[i]);
    p.kind = ip_decode(&r, (uint32_t)b->sizes[i], false, &p, &fragment);
    return p;
}

/* The next packet that the loopback showed, in place `i`. */
static struct packet mirrored(struct bench *b, int i)
{
    struct pollfd fd = {.fd = b->mirror, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    b->sizes[i] = recv(b->mirror, b->frames[i], sizeof b->frames[i], 0);
    assert_true(b->sizes[i] > 0);
    return decode(b, i);
}

static void test_comes_back_through_the_mirror(void **state)
{
    struct bench *b = *state;
    need_namespace();
    if (b->mirror < 0) {
        print_message("skipped: no packet socket\n");
        skip();
    }
    static const char *const to[] = {"127.7.7.7", "2001:db8:7::1"};
    for (uint32_t v = 0; v < 2; v++) {
        send_to(b, to[v]);
        const struct canary_state *s = canary_state(b->canary, MACHINE);
        assert_int_equal(s->n_sent, v + 1);
        assert_string_equal(s->from, v ? "2001:db8:7::1" : "127.7.7.7");
        struct packet p = mirrored(b, 0);
        assert_int_equal(p.ip_proto, 17);
        assert_true(p.payload_len >= 8 + CANARY_SIZE_MIN);
        assert_true(p.payload_len <= 8 + CANARY_SIZE_MAX);
        assert_true(canary_is(canary_watch(b->canary), &p, MACHINE));
        canary_poll(b->canary, ticks(), 1700000002 * SECOND);
        assert_true(s->ever_came_back);
        assert_int_equal(s->n_back, v + 1);
        assert_int_equal(s->n_missed_in_row, 0);
        assert_int_equal(s->last_back, 1700000002 * SECOND);

        /* The copy that came in, the answer that went out and its copy: the canary's, all. */
        for (int i = 1; i < 4; i++) {
            p = mirrored(b, i);
            assert_true(canary_is(canary_watch(b->canary), &p, MACHINE));
        }
        canary_poll(b->canary, ticks() + SECOND / 2, 1700000003 * SECOND);
        assert_int_equal(s->n_back, v + 1); /* once */

        /* Played again when it is long over: traffic like any other. */
        canary_poll(b->canary, ticks() + 6 * SECOND, 0);
        canary_poll(b->canary, ticks() + 60 * SECOND, 0);
        p = decode(b, 0);
        assert_false(canary_is(canary_watch(b->canary), &p, MACHINE));
        assert_int_equal(s->n_back, v + 1);
        assert_int_equal(s->n_missed_in_row, 0);
    }
}

/* Other ports and addresses hold for the next one; one that is out is still known. */
static void test_change(void **state)
{
    struct bench *b = *state;
    need_namespace();
    if (b->mirror < 0) {
        print_message("skipped: no packet socket\n");
        skip();
    }
    send_to(b, "127.7.7.7");
    struct packet before = mirrored(b, 0);
    struct canary_options other = {.n_from = 1, .port_low = 7777, .port_high = 7777};
    other.from[0] = make("127.0.0.3");
    canary_change(b->canary, &other);
    assert_true(canary_is(canary_watch(b->canary), &before, MACHINE));
    for (int i = 1; i < 4; i++)
        (void)mirrored(b, i); /* copies and answers of it */
    for (unsigned n = 0; n < 5; n++) {
        send_to(b, "127.7.7.7");
        assert_string_equal(canary_state(b->canary, MACHINE)->from, "127.0.0.3");
        struct packet p = mirrored(b, 0);
        assert_int_equal(p.ip_proto, 17);
        assert_int_equal(b->frames[0][22] << 8 | b->frames[0][23], 7777);
        assert_true(canary_is(canary_watch(b->canary), &p, MACHINE));
        for (int i = 1; i < 4; i++)
            (void)mirrored(b, i);
    }
}

static void test_alive_but_not_mirrored(void **state)
{
    need_namespace();
    send_to(*state, "127.7.7.7");
    assert_int_equal(answer_of(*state), CANARY_REPLIED);
    assert_int_equal(canary_state(((struct bench *)*state)->canary, MACHINE)->n_back, 0);
}

static void test_alive_by_ipv6(void **state)
{
    need_namespace();
    send_to(*state, "2001:db8:7::1");
    assert_int_equal(answer_of(*state), CANARY_REPLIED);
}

/* One whose service ignores a canary is no less alive than a moment before; but not for ever. */
static void test_alive_and_ignored(void **state)
{
    need_namespace();
    (void)state;
    struct canary *c = canary_new(&(struct canary_options){
        .max_machine = MACHINE, .port_low = 20000, .port_high = 20000, .timeout = SECOND});
    const struct canary_state *s = canary_state(c, MACHINE);
    struct addr to = make("127.7.7.7");
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(20000)};
    struct err err = {""};
    int service = -1;
    assert_int_equal(inet_pton(AF_INET, "127.7.7.7", &here.sin_addr), 1);
    static const struct {
        int at; /* seconds */
        bool is_ignored;
        enum canary_answer answer;
    } rows[] = {
        {0, true, CANARY_NONE},      {2, false, CANARY_REPLIED}, {10, true, CANARY_REPLIED},
        {60, true, CANARY_REPLIED},  {63, true, CANARY_NONE},    {70, false, CANARY_REPLIED},
        {127, true, CANARY_REPLIED}, {131, true, CANARY_NONE},
    };
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t now = (1000 + rows[i].at) * SECOND;
        if (rows[i].is_ignored && service < 0) {
            service = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            assert_int_equal(bind(service, (struct sockaddr *)&here, sizeof here), 0);
        } else if (!rows[i].is_ignored && service >= 0) {
            close(service);
            service = -1;
        }
        assert_int_equal(canary_send(c, MACHINE, &to, now, 0, &err), 0);
        canary_poll(c, now + SECOND, 0);
        /* The answer of a closed port comes when it likes. */
        for (int n = 0; n < 1000 && !rows[i].is_ignored && s->answer == CANARY_NONE; n++) {
            (void)poll(NULL, 0, 10);
            canary_poll(c, now + SECOND, 0);
        }
        assert_int_equal(s->n_missed_in_row, i + 1);
        if (s->answer != rows[i].answer)
            fail_msg("after %d s: %d, not %d", rows[i].at, (int)s->answer, (int)rows[i].answer);
    }
    if (service >= 0)
        close(service);
    canary_free(c);
}

static void test_nobody_there(void **state)
{
    struct bench *b = *state;
    need_namespace();
    int64_t start = ticks();
    send_to(b, "10.77.0.9");
    assert_int_equal(answer_of(b), CANARY_HOST_GONE);
    print_message("known after %.1f s\n", (double)(ticks() - start) / 1e9);
    assert_string_equal(canary_state(b->canary, MACHINE)->from, "10.77.0.1");
    struct addr by;
    assert_true(canary_router(b->canary, MACHINE, &by));
    struct addr self = make("10.77.0.1");
    assert_true(addr_eq(&by, &self));
}

static void test_no_way(void **state)
{
    struct bench *b = *state;
    need_namespace();
    static const char *const to[] = {"10.99.0.1", "10.88.0.1"};
    for (uint32_t i = 0; i < 2; i++) {
        send_to(b, to[i]);
        const struct canary_state *s = canary_state(b->canary, MACHINE);
        assert_int_equal(s->n_sent, i + 1);
        assert_int_equal(s->n_missed_in_row, i + 1);
        assert_int_equal(s->answer, CANARY_NO_ROUTE);
    }
}

/* Sockets are bounded: those of probes that are over give way, those that are out do not. */
static void test_many(void **state)
{
    struct bench *b = *state;
    need_namespace();
    struct canary *c =
        canary_new(&(struct canary_options){.max_machine = 8, .max_sockets = 4, .timeout = SECOND});
    struct addr to = make("10.77.0.9");
    struct err err = {""};
    int64_t now = ticks();
    for (int i = 0; i < 4; i++)
        assert_int_equal(canary_send(c, 1, &to, now, 0, &err), 0);
    assert_int_equal(canary_send(c, 1, &to, now, 0, &err), -EAGAIN);
    assert_non_null(strstr(err.text, "4 are out already"));
    canary_poll(c, now + SECOND, 0);
    assert_int_equal(canary_state(c, 1)->n_missed_in_row, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(canary_send(c, 2, &to, now + SECOND, 0, &err), 0);
    /* Thousands, over an hour: the places are used again. */
    for (int i = 0; i < 5000; i++) {
        now += 2 * SECOND;
        canary_poll(c, now, 0);
        assert_int_equal(canary_send(c, (uint16_t)(i % 8 + 1), &to, now, 0, &err), 0);
    }
    canary_free(c);
    (void)b;
}

/* No two alike in bytes, size, port on either side. */
static void test_not_predictable(void **state)
{
    struct bench *b = *state;
    need_namespace();
    if (b->mirror < 0) {
        print_message("skipped: no packet socket\n");
        skip();
    }
    enum { N = 40 };
    uint16_t sizes[N], sports[N], dports[N];
    uint64_t firsts[N];
    unsigned int n_sizes = 0, n_sports = 0, n_dports = 0;
    for (int i = 0; i < N; i++) {
        send_to(b, "127.7.7.7");
        struct packet p;
        do
            p = mirrored(b, 0);
        while (p.ip_proto != 17);
        struct packet copy = mirrored(b, 1);
        assert_int_equal(copy.ip_proto, 17);
        struct reader r = rd_make(p.payload, p.payload_size);
        sports[i] = rd_be16(&r);
        dports[i] = rd_be16(&r);
        sizes[i] = rd_be16(&r);
        rd_skip(&r, 2);
        firsts[i] = rd_be64(&r);
        assert_true(rd_ok(&r));
        bool size = true, sport = true, dport = true;
        for (int k = 0; k < i; k++) {
            size = size && sizes[k] != sizes[i];
            sport = sport && sports[k] != sports[i];
            dport = dport && dports[k] != dports[i];
            assert_true(firsts[k] != firsts[i]);
        }
        n_sizes += size;
        n_sports += sport;
        n_dports += dport;
    }
    print_message("%d probes: %u sizes, %u source ports, %u ports\n", N, n_sizes, n_sports,
                  n_dports);
    assert_true(n_sizes > 15 && n_sports > 30 && n_dports > 20);
}

static void test_wrong_use(void **state)
{
    (void)state;
    struct canary *c = canary_new(&(struct canary_options){.max_machine = 2});
    struct addr to = make("10.77.0.9");
    struct err err = {""};
    assert_int_equal(canary_send(c, 0, &to, 0, 0, &err), -EINVAL);
    assert_int_equal(canary_send(c, 3, &to, 0, 0, &err), -EINVAL);
    assert_false(canary_state(c, 1)->enabled);
    canary_free(c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    namespace_is_there = enter_namespace();
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back_through_the_mirror),
        TEST(test_change),
        TEST(test_alive_but_not_mirrored),
        TEST(test_alive_by_ipv6),
        TEST(test_alive_and_ignored),
        TEST(test_nobody_there),
        TEST(test_no_way),
        TEST(test_many),
        TEST(test_not_predictable),
        TEST(test_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
