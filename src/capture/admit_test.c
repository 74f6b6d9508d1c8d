/* Who may send: the list against a slow one, the programs against the list, and the kernel's own
 * sockets and rings, where what is refused is not counted as lost. */
#include "capture/admit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "capture/datagrams.h"
#include "capture/netns_bed.h"
#include "capture/rawip.h"
#include "capture/ring.h"
#include "capture/steer_bed.h"

/* Of libpcap; its header does not go together with the kernel's. */
u_int bpf_filter(const struct sock_filter *program, const u_char *bytes, u_int wire_size,
                 u_int size);
int bpf_validate(const struct sock_filter *program, int n);

static bool has_netns;

static struct addr address(const char *text)
{
    struct addr addr;
    assert_true(addr_parse(text, &addr));
    return addr;
}

static void add(struct admit_list *list, const char *text, unsigned bits)
{
    struct addr addr = address(text);
    assert_true(admit_add(list, &addr, addr_is_v4(&addr) ? bits + 96 : bits));
}

static bool has_slowly(const struct admit_list *list, const struct addr *addr)
{
    for (unsigned i = 0; i < list->n; i++) {
        unsigned same = 0;
        while (same < 128 &&
               ((list->at[i].net.b[same / 8] ^ addr->b[same / 8]) >> (7 - same % 8) & 1) == 0)
            same++;
        if (same >= list->at[i].bits)
            return true;
    }
    return false;
}

/* Few different bytes, so that prefixes cover each other and begin alike. */
static struct addr near_addr(uint64_t *seed, bool v6)
{
    static const uint8_t bytes[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff, 10};
    struct addr a = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}};
    for (unsigned i = v6 ? 0 : 12; i < 16; i++)
        a.b[i] = bytes[bed_random(seed, sizeof bytes)];
    if (v6)
        a.b[0] = 0x20;
    return a;
}

/* An IP header, and nothing in it. */
static size_t write_ip(uint8_t out[60], const struct addr *src)
{
    memset(out, 0, 60);
    if (addr_is_v4(src)) {
        out[0] = 0x45;
        memcpy(out + 12, src->b + 12, 4);
        return 20;
    }
    out[0] = 0x60;
    memcpy(out + 8, src->b, 16);
    return 40;
}

static void make_sender(const struct admit_list *list, struct bpf_code *out)
{
    static struct bpf_asm b;
    const struct admit admit = {.senders = list};
    bpf_begin(&b);
    unsigned refused = bpf_label(&b);
    admit_put_sender(&b, &admit, 0, refused);
    bpf_put(&b, BPF_RET | BPF_K, 1);
    bpf_here(&b, refused);
    bpf_put(&b, BPF_RET | BPF_K, 0);
    assert_int_equal(bpf_finish(&b, out, NULL), 0);
    assert_true(bpf_validate(out->at, out->n));
}

static void check_address(const struct admit_list *given, const struct admit_list *list,
                          const struct bpf_code *code, const struct addr *addr)
{
    uint8_t header[60];
    size_t size = write_ip(header, addr);
    bool wanted = has_slowly(given, addr);
    assert_int_equal(admit_has(list, addr), wanted);
    assert_int_equal(bpf_filter(code->at, header, (u_int)size, (u_int)size), wanted);
}

/* Both ends of each prefix, what lies beside them, and addresses made by chance. */
static void test_lists(void **state)
{
    (void)state;
    static struct bpf_code code;
    static struct admit_list given, list;
    uint64_t seed = 5;
    unsigned n_yes = 0, n_no = 0;
    for (unsigned round = 0; round < 300; round++) {
        unsigned n = bed_random(&seed, round % 10 == 0 ? ADMIT_MAX / 4 : 12);
        memset(&given, 0, sizeof given);
        for (unsigned i = 0; i < n; i++) {
            bool v6 = bed_random(&seed, 2);
            struct addr net = near_addr(&seed, v6);
            unsigned least = bed_random(&seed, 4) ? 8 : 28;
            unsigned bits =
                v6 ? least + bed_random(&seed, 121) : 96 + least + bed_random(&seed, 33 - least);
            assert_true(admit_add(&given, &net, bits > 128 ? 128 : bits));
        }
        list = given;
        admit_finish(&list);
        make_sender(&list, &code);
        for (unsigned i = 0; i < n; i++) {
            struct addr end = given.at[i].net;
            for (unsigned side = 0; side < 2; side++) {
                for (int step = -1; step <= 1; step++) {
                    struct addr beside = end;
                    beside.b[15] = (uint8_t)(beside.b[15] + step);
                    check_address(&given, &list, &code, &beside);
                }
                for (unsigned bit = given.at[i].bits; bit < 128; bit++)
                    end.b[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
            }
        }
        for (unsigned i = 0; i < 50; i++) {
            struct addr addr = near_addr(&seed, bed_random(&seed, 2));
            check_address(&given, &list, &code, &addr);
            n_yes += has_slowly(&given, &addr);
            n_no += !has_slowly(&given, &addr);
        }
    }
    assert_true(n_yes > 500 && n_no > 500);
}

/* Everybody of one family, or of both. */
static void test_everybody(void **state)
{
    (void)state;
    static struct bpf_code code;
    static const struct {
        const char *net;
        unsigned bits;
        bool v4, v6;
    } rows[] = {{"0.0.0.0", 0, true, false}, {"::", 0, true, true}, {"2000::", 3, false, true}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static struct admit_list list, given;
        memset(&list, 0, sizeof list);
        add(&list, rows[i].net, rows[i].bits);
        add(&list, "10.1.2.3", 32);
        given = list;
        admit_finish(&list);
        make_sender(&list, &code);
        const struct addr v4 = address("203.0.113.9"), v6 = address("2001:db8::1");
        check_address(&given, &list, &code, &v4);
        check_address(&given, &list, &code, &v6);
        assert_int_equal(admit_has(&list, &v4), rows[i].v4);
        assert_int_equal(admit_has(&list, &v6), rows[i].v6);
    }
}

static void fill(struct admit_list *list, bool v6, bool alike)
{
    uint64_t seed = 3;
    memset(list, 0, sizeof *list);
    while (list->n < ADMIT_MAX) {
        struct addr a = address("2001:db8::");
        for (unsigned i = alike ? 12 : 1; i < 16; i++)
            a.b[i] = (uint8_t)bed_random(&seed, 256);
        if (!v6)
            a = addr_v4(a.b + 12);
        assert_true(admit_add(list, &a, 128));
    }
    const struct addr one_more = address("10.9.9.9");
    assert_false(admit_add(list, &one_more, 128));
    admit_finish(list);
}

/* As many as there may be; and where that is too long, it is said. */
static void test_long(void **state)
{
    (void)state;
    static struct bpf_code code;
    static struct admit_list list, own;
    static const uint16_t ports[] = {4789};
    add(&own, "10.0.0.1", 32);
    const struct admit_ring ring = {.admit = {.senders = &list, .one_in = 64},
                                    .own = &own,
                                    .ports = ports,
                                    .n_ports = 1,
                                    .has_ethernet = true};
    for (unsigned way = 0; way < 3; way++) {
        struct err err = {""};
        fill(&list, way > 0, way < 2);
        int result = admit_program_ring(&ring, NULL, 0, &code, &err);
        if (way == 2) {
            assert_int_equal(result, -E2BIG);
            continue;
        }
        assert_int_equal(result, 0);
        printf("%u prefixes of %s: %u instructions\n", list.n, way ? "IPv6" : "IPv4", code.n);
    }
}

/* ---- rings ---- */

struct wire {
    const char *src, *dst;
    uint8_t proto;
    uint16_t dport;
    bool fragment;
    bool refused;
};

static const struct wire wires[] = {
    {"10.0.0.7", "10.0.0.1", 17, 4789, false, false}, /* admitted */
    {"10.0.0.8", "10.0.0.1", 17, 4789, false, true},
    {"10.0.0.8", "10.0.0.1", 17, 37008, false, true},
    {"10.0.0.8", "10.0.0.1", 17, 53, false, false},   /* plain */
    {"10.0.0.8", "10.0.0.2", 17, 4789, false, false}, /* not to us */
    {"10.0.0.8", "10.0.0.1", 17, 4789, true, false},
    {"10.0.0.8", "10.0.0.1", 47, 0, false, true},
    {"10.0.0.7", "10.0.0.1", 47, 0, false, false},
    {"10.0.0.8", "10.0.0.1", 6, 4789, false, false},
    {"2001:db8::7", "2001:db8::1", 17, 4789, false, false},
    {"2001:db8::8", "2001:db8::1", 17, 4789, false, true},
    {"2001:db8::8", "2001:db8::1", 47, 0, false, true},
    {"2001:db8::8", "2001:db8::2", 17, 4789, false, false},
    {"2001:db8::8", "2001:db8::1", 6, 4789, false, false},
};

static void make_wire(struct frame_bed *b, const struct wire *wire, unsigned n_options,
                      bool has_ethernet)
{
    static const uint8_t payload[80];
    const struct addr src = address(wire->src), dst = address(wire->dst);
    frame_begin(b, payload, 40);
    if (wire->proto == 17)
        frame_udp(b, 999, wire->dport);
    bool v4 = addr_is_v4(&src);
    frame_put(b, payload, v4 ? n_options * 4 : 0);
    frame_ip(b, &src, &dst, wire->proto);
    if (v4 && n_options) { /* they go behind the header */
        uint8_t header[20];
        memcpy(header, frame_bytes(b), 20);
        memmove(b->bytes + b->at, header, 20);
        b->bytes[b->at] = (uint8_t)(0x45 + n_options);
    }
    if (wire->fragment)
        b->bytes[b->at + 6] |= 0x20;
    if (has_ethernet)
        frame_ethernet(b);
}

static void test_ring_program(void **state)
{
    (void)state;
    static struct bpf_code code, with_base;
    static struct admit_list senders, own;
    static const uint16_t ports[] = {4789, 37008};
    add(&senders, "10.0.0.7", 32);
    add(&senders, "2001:db8::7", 128);
    add(&own, "10.0.0.1", 32);
    add(&own, "2001:db8::1", 128);
    admit_finish(&senders);
    admit_finish(&own);
    struct sock_filter base[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT, 0, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 77),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    for (unsigned ethernet = 0; ethernet < 2; ethernet++) {
        const struct admit_ring ring = {.admit = {.senders = &senders},
                                        .own = &own,
                                        .ports = ports,
                                        .n_ports = 2,
                                        .has_ethernet = ethernet};
        assert_int_equal(admit_program_ring(&ring, NULL, 0, &code, NULL), 0);
        assert_int_equal(admit_program_ring(&ring, base, 4, &with_base, NULL), 0);
        assert_true(bpf_validate(code.at, code.n) && bpf_validate(with_base.at, with_base.n));
        for (size_t i = 0; i < sizeof wires / sizeof *wires; i++)
            for (unsigned n_options = 0; n_options <= 10; n_options++) {
                struct frame_bed b;
                make_wire(&b, &wires[i], n_options, ethernet);
                u_int size = (u_int)frame_size(&b);
                u_int got = bpf_filter(code.at, frame_bytes(&b), size, size);
                assert_int_equal(got, wires[i].refused ? 0 : UINT32_MAX);
                got = bpf_filter(with_base.at, frame_bytes(&b), size, size);
                assert_int_equal(got, wires[i].refused ? 0 : 77);
                /* Cut before its addresses and port are there, it is not ours to refuse. */
                bool v4 = strchr(wires[i].src, '.');
                bool udp = wires[i].proto == 17 || !v4;
                u_int needed = (ethernet ? 14 : 0) + (v4 ? 20 + (udp ? n_options * 4 : 0) : 40) +
                               (udp ? 8 : 0);
                for (u_int cut = 0; cut < size; cut++) {
                    uint8_t *block = malloc(cut ? cut : 1);
                    assert_non_null(block);
                    memcpy(block, frame_bytes(&b), cut);
                    got = bpf_filter(code.at, block, cut, cut);
                    assert_int_equal(got == 0, wires[i].refused && cut >= needed);
                    free(block);
                }
            }
    }
}

/* ---- the kernel ---- */

static int socket_from(const char *from, int family, int type, int proto)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    struct sockaddr_in6 b = {.sin6_family = AF_INET6};
    int fd = socket(family, type | SOCK_CLOEXEC, proto);
    assert_true(fd >= 0);
    if (family == AF_INET) {
        assert_int_equal(inet_pton(AF_INET, from, &a.sin_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
        a.sin_port = htons(type == SOCK_DGRAM ? 4789 : 0);
        assert_int_equal(inet_pton(AF_INET, "127.0.0.1", &a.sin_addr), 1);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    } else {
        assert_int_equal(inet_pton(AF_INET6, from, &b.sin6_addr), 1);
        assert_int_equal(bind(fd, (struct sockaddr *)&b, sizeof b), 0);
        b.sin6_port = htons(type == SOCK_DGRAM ? 4789 : 0);
        assert_int_equal(inet_pton(AF_INET6, "::1", &b.sin6_addr), 1);
        assert_int_equal(connect(fd, (struct sockaddr *)&b, sizeof b), 0);
    }
    return fd;
}

/* Not more at once than the kernel keeps for a processor (net.core.netdev_max_backlog: 1000). */
static void send_n(int fd, const uint8_t *bytes, size_t size, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(send(fd, bytes, size, 0), size);
        if (i % 200 == 199 || i + 1 == n)
            assert_true(bed_latest());
    }
}

static unsigned drain(struct live_source *source)
{
    struct frame frames[CAPTURE_BURST];
    unsigned sum = 0;
    int n;
    while ((n = live_next(source, frames)) > 0)
        sum += (unsigned)n;
    assert_int_equal(n, 0);
    struct live_counters counters;
    live_count(source, &counters);
    assert_int_equal(counters.n_kernel_dropped, 0);
    return sum;
}

static const struct steer_key *bed_key(void)
{
    static struct steer_key key;
    steer_key_init(&key, 77);
    return &key;
}

/* 3000 of an unknown one with 1 in 10: within five deviations (of 16.4 each) of 300. */
#define N_UNKNOWN 3000u
static void check_sample(unsigned n)
{
    assert_in_range(n, 218, 382);
}

static void test_datagrams(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static struct admit_list senders;
    static const uint8_t vxlan[64] = {8};
    for (unsigned way = 0; way < 2; way++) { /* IPv4 on a socket of both families, and IPv6 */
        memset(&senders, 0, sizeof senders);
        fill(&senders, way == 1, true);
        senders.n -= 1;
        add(&senders, way ? "::1" : "127.0.0.9", way ? 128 : 32);
        admit_finish(&senders);
        struct admit admit = {.senders = &senders};
        struct datagram_options options = {
            .port = 4789,
            .kind = STEER_VXLAN,
            .group = {.key = bed_key(), .n_workers = 2},
            .excluded = {.admit = &admit},
        };
        int fds[3];
        struct live_source *sources[2];
        struct err err = {""};
        if (datagrams_open(&options, fds, NULL, &err) < 0)
            fail_msg("%s", err.text);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(datagrams_attach(fds[i], 1, &sources[i], NULL), 0);
        int known = socket_from(way ? "::1" : "127.0.0.9", way ? AF_INET6 : AF_INET, SOCK_DGRAM, 0);
        int unknown = socket_from("127.0.0.8", AF_INET, SOCK_DGRAM, 0);
        send_n(known, vxlan, sizeof vxlan, 100);
        send_n(unknown, vxlan, sizeof vxlan, 100);
        assert_int_equal(drain(sources[0]) + drain(sources[1]), 100);
        admit.one_in = 10; /* another program in the place of the first */
        assert_int_equal(datagrams_steer(fds[1], &options, NULL), 0);
        send_n(unknown, vxlan, sizeof vxlan, N_UNKNOWN);
        check_sample(drain(sources[0]) + drain(sources[1]));
        options.excluded.admit = NULL;
        assert_int_equal(datagrams_steer(fds[0], &options, NULL), 0);
        send_n(unknown, vxlan, sizeof vxlan, 100);
        assert_int_equal(drain(sources[0]) + drain(sources[1]), 100);
        close(known);
        close(unknown);
        close(fds[2]);
        live_close(sources[0]);
        live_close(sources[1]);
    }
}

static void test_rawip(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static const uint8_t gre[64] = {0, 0, 0x65, 0x58};
    for (unsigned v6 = 0; v6 < 2; v6++) {
        static struct admit_list senders;
        memset(&senders, 0, sizeof senders);
        add(&senders, "127.0.0.9", 32);
        add(&senders, "2001:db8::", 32);
        admit_finish(&senders);
        const struct admit admit = {.senders = &senders};
        struct rawip_options options = {.is_ipv6 = v6,
                                        .group = {.key = bed_key(), .n_workers = 2},
                                        .excluded = {.admit = &admit}};
        int fds[3];
        struct live_source *sources[2];
        struct err err = {""};
        if (rawip_open(&options, fds, NULL, &err) < 0)
            fail_msg("%s", err.text);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(rawip_attach(fds[i], 1, &sources[i], NULL), 0);
        int unknown = v6 ? socket_from("::1", AF_INET6, SOCK_RAW, 47)
                         : socket_from("127.0.0.8", AF_INET, SOCK_RAW, 47);
        send_n(unknown, gre, sizeof gre, 50);
        if (!v6) {
            int known = socket_from("127.0.0.9", AF_INET, SOCK_RAW, 47);
            send_n(known, gre, sizeof gre, 50);
            close(known);
        }
        assert_int_equal(drain(sources[0]) + drain(sources[1]), v6 ? 0 : 50);
        options.excluded.admit = NULL;
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(rawip_steer(fds[i], i, &options, NULL), 0);
        send_n(unknown, gre, sizeof gre, 50);
        assert_int_equal(drain(sources[0]) + drain(sources[1]), 50);
        close(unknown);
        close(fds[2]);
        live_close(sources[0]);
        live_close(sources[1]);
    }
}

/* Until the ring has given `n`, or a marker that was sent last. */
static unsigned drain_ring(struct live_source *source, int marker)
{
    struct frame frames[CAPTURE_BURST];
    static const uint8_t last[200] = {8};
    unsigned sum = 0;
    send_n(marker, last, sizeof last, 1);
    for (;;) {
        int n = live_next(source, frames);
        assert_true(n >= 0);
        if (n == 0)
            bed_wait(&source, 1);
        for (int i = 0; i < n; i++) {
            if (frames[i].size >= 200)
                return sum;
            sum += frames[i].size < BED_LATEST_SIZE;
        }
    }
}

static void test_ring(void **state)
{
    (void)state;
    if (!has_netns)
        skip();
    static struct admit_list senders, own;
    static struct bpf_code code, base;
    static const uint8_t vxlan[64] = {8};
    static const uint16_t ports[] = {4789};
    struct sock_filter no_icmp[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
        BPF_JUMP(BPF_JMP | BPF_JEQ, 1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog user = {.len = 4, .filter = no_icmp};
    memset(&senders, 0, sizeof senders);
    memset(&own, 0, sizeof own);
    add(&senders, "127.0.0.9", 32);
    add(&own, "127.0.0.1", 32);
    admit_finish(&senders);
    admit_finish(&own);
    /* A socket has the port, or the answers that it is closed would be seen too. */
    struct datagram_options listener = {
        .port = 4789, .kind = STEER_VXLAN, .group = {.key = bed_key(), .n_workers = 1}};
    int sockets[2];
    assert_int_equal(datagrams_open(&listener, sockets, NULL, NULL), 0);
    int known = socket_from("127.0.0.9", AF_INET, SOCK_DGRAM, 0);
    int unknown = socket_from("127.0.0.8", AF_INET, SOCK_DGRAM, 0);
    for (unsigned filtered = 0; filtered < 2; filtered++) {
        struct ring_options options = {.interface = "lo",
                                       .group = {.key = bed_key(), .n_workers = 1},
                                       .not_promiscuous = true,
                                       .n_blocks = 4,
                                       .filter = filtered ? &user : NULL};
        struct ring_shape shape;
        struct live_source *source;
        struct err err = {""};
        int fd;
        if (ring_open(&options, &fd, &shape, &err) < 0)
            fail_msg("%s", err.text);
        assert_int_equal(ring_attach(fd, &shape, 1, &source, NULL), 0);
        int n_base = admit_get_filter(fd, base.at, &err);
        assert_int_equal(n_base, filtered ? 7 : 4); /* nothing outgoing, on loopback */
        struct admit_ring ring = {.admit = {.senders = &senders},
                                  .own = &own,
                                  .ports = ports,
                                  .n_ports = 1,
                                  .has_ethernet = shape.link == LINK_ETHERNET};
        send_n(unknown, vxlan, sizeof vxlan, 10);
        assert_int_equal(drain_ring(source, known), 10);
        for (unsigned way = 0; way < 2; way++) {
            ring.admit.one_in = way ? 10 : 0;
            assert_int_equal(admit_program_ring(&ring, base.at, (unsigned)n_base, &code, &err), 0);
            if (admit_set_filter(fd, code.at, code.n, &err) < 0)
                fail_msg("%s", err.text);
            send_n(unknown, vxlan, sizeof vxlan, N_UNKNOWN);
            send_n(known, vxlan, sizeof vxlan, 10);
            unsigned n = drain_ring(source, known) - 10;
            if (way)
                check_sample(n);
            else
                assert_int_equal(n, 0);
        }
        assert_int_equal(admit_set_filter(fd, base.at, (unsigned)n_base, NULL), 0);
        send_n(unknown, vxlan, sizeof vxlan, 10);
        assert_int_equal(drain_ring(source, known), 10);
        struct live_counters counters;
        live_count(source, &counters);
        assert_int_equal(counters.n_kernel_dropped, 0);
        assert_int_equal(admit_set_filter(fd, NULL, 0, NULL), 0);
        assert_int_equal(admit_set_filter(fd, NULL, 0, NULL), 0);
        assert_int_equal(admit_get_filter(fd, base.at, NULL), 0);
        live_close(source);
    }
    close(known);
    close(unknown);
    close(sockets[0]);
    close(sockets[1]);
}

int main(void)
{
    has_netns = bed_enter_netns();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_long),      cmocka_unit_test(test_ring_program),
        cmocka_unit_test(test_datagrams), cmocka_unit_test(test_rawip),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
