/* The arrival of packets: who is admitted, what is our own mirror in a mirror, what is this host's
 * own, which way packets go, which were cut, tags that are not the machine's, copies. The packets
 * are frames that a stack has taken apart. */
#include "sensor/live_bed.h"

#include "sensor/arrival.h"
#include "source/address_book.h"
#include "source/address_learner.h"
#include "source/canary_watch.h"
#include "source/witness.h"

struct bed {
    struct live_rules rules;
    struct pool *pool;
    struct stack *stack;
    struct source_table *sources;
    struct arrival arrival;
    uint8_t *block;
    struct packet p;
    struct arrival_found found;
};

static void bed_open(struct bed *b, const char *yaml)
{
    memset(b, 0, sizeof *b);
    live_rules_init(&b->rules, yaml, NULL);
    const struct arrival_rules *rules = &b->rules.rules->arrival;
    b->pool = pool_new(16u << 20);
    b->stack = stack_new(&(struct stack_options){.auto_mirror = false}, b->pool);
    b->sources = source_table_new(rules->networks);
    assert_true(b->stack && b->sources);
    assert_true(stack_set_inputs(b->stack, rules->inputs, rules->n_inputs));
    source_table_set_rules(b->sources, &rules->sources, rules->networks);
    b->arrival = (struct arrival){.rules = rules, .sources = b->sources};
}

static void bed_close(struct bed *b)
{
    free(b->block);
    source_table_free(b->sources);
    stack_free(b->stack);
    pool_free(b->pool);
    live_rules_done(&b->rules);
}

/* A frame from a heap block of its exact size, `cut` bytes shorter than it was sent. */
static bool arrive_cut(struct bed *b, const struct frame_bed *f, uint16_t input, uint32_t cut)
{
    uint32_t wire = (uint32_t)frame_size(f), size = wire - cut;
    free(b->block);
    b->block = malloc(size);
    assert_non_null(b->block);
    memcpy(b->block, frame_bytes(f), size);
    struct frame frame = {.ts = 1000 + (int64_t)b->arrival.counters.n_own,
                          .bytes = b->block,
                          .size = size,
                          .wire_size = wire,
                          .link = LINK_ETHERNET,
                          .input = input};
    stack_decode(b->stack, &frame, &b->p);
    return arrival_accept(&b->arrival, &b->p, &b->found);
}

static bool arrive(struct bed *b, const struct frame_bed *f, uint16_t input)
{
    return arrive_cut(b, f, input, 0);
}

static const struct source *source_found(struct bed *b)
{
    return source_get(b->sources, b->found.source);
}

static const struct source_counters *counted(struct bed *b)
{
    return &source_found(b)->counters;
}

static const struct addr *set_addr(struct addr *out, const char *text)
{
    assert_true(addr_parse(text, out));
    return out;
}

/* 100 bytes in UDP or (without ports of UDP that mean something) TCP. */
static void plain_frame(struct frame_bed *f, const char *src, const char *dst, uint8_t proto,
                        uint16_t dport)
{
    static const uint8_t payload[100];
    struct addr from, to;
    frame_begin(f, payload, sizeof payload);
    if (proto == 6)
        frame_tcp(f, 4000, dport, 1, 1, 24, 8192, -1);
    else
        frame_udp(f, 4000, dport);
    frame_ip(f, set_addr(&from, src), set_addr(&to, dst), proto);
    frame_ethernet(f);
}

static void put_vxlan(struct frame_bed *f, const char *src, const char *dst, uint32_t vni)
{
    struct addr from, to;
    frame_vxlan(f, set_addr(&from, src), set_addr(&to, dst), vni);
}

/* GRE with an Ethernet frame (transparent bridging) and a sequence number. */
static void put_gre(struct frame_bed *f, const char *src, const char *dst, uint32_t seq)
{
    static const uint8_t header[8] = {0x10, 0, 0x65, 0x58};
    struct addr from, to;
    frame_put(f, header, sizeof header);
    frame_set32(f, 4, seq);
    frame_ip(f, set_addr(&from, src), set_addr(&to, dst), 47);
    frame_ethernet(f);
}

#define US        "192.168.255.254"
#define MIRROR    "192.168.255.1"
#define ELSEWHERE "192.168.255.77"

/* ---- who is admitted ---- */

static void admission(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "sources: [{name: web, channel: \"vxlan:7@192.168.255.1\"}]\n");
    plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
    put_vxlan(&f, MIRROR, US, 7);
    for (unsigned i = 0; i < 3; i++)
        assert_true(arrive(&b, &f, 1));
    assert_string_equal(source_found(&b)->name, "web");
    assert_int_equal(counted(&b)->n_packets, 3);
    assert_int_equal(counted(&b)->n_bytes, 3 * 154);
    assert_int_equal(counted(&b)->largest_size, 140);
    assert_int_equal(counted(&b)->n_cut, 0);
    assert_int_equal(b.p.n_mirror, 1);

    plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
    put_vxlan(&f, ELSEWHERE, US, 7);
    assert_false(arrive(&b, &f, 1));
    assert_false(arrive(&b, &f, 1));
    assert_int_equal(b.arrival.counters.n_refused, 2);
    assert_int_equal(counted(&b)->n_refused, 2);
    assert_int_equal(counted(&b)->n_packets, 0);
    assert_int_equal(counted(&b)->last, 1000);
    assert_int_equal(b.p.network, 0);
    bed_close(&b);
}

/* What is on the default route's interface and is no mirror's. */
static void own_and_unmeant(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    plain_frame(&f, US, "10.0.0.2", 6, 443);
    assert_false(arrive(&b, &f, 2));
    plain_frame(&f, "10.0.0.2", US, 17, 53);
    assert_false(arrive(&b, &f, 2));
    assert_int_equal(b.arrival.counters.n_own, 2);
    plain_frame(&f, "10.0.0.2", "10.0.0.3", 17, 53);
    assert_true(arrive(&b, &f, 2));
    assert_string_equal(source_found(&b)->name, "eth0");
    plain_frame(&f, US, "10.0.0.2", 6, 443); /* somebody asked for this interface's */
    assert_true(arrive(&b, &f, 1));
    assert_string_equal(source_found(&b)->name, "eth1");
    plain_frame(&f, US, "10.0.0.2", 6, 443); /* a mirror shows our own: it is the machine's */
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 2));
    assert_int_equal(b.arrival.counters.n_own, 2);
    bed_close(&b);

    bed_open(&b, "sources: [{name: web, channel: \"7\"}]\n");
    plain_frame(&f, "10.0.0.2", "10.0.0.3", 17, 53);
    assert_false(arrive(&b, &f, 2));
    assert_int_equal(b.arrival.counters.n_refused, 1);
    assert_true(arrive(&b, &f, 1));
    bed_close(&b);
}

/* Ever new senders: those beyond the table are counted together. */
static void unknown(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: configured\n");
    for (unsigned i = 0; i < 3000; i++) {
        char sender[20];
        (void)snprintf(sender, sizeof sender, "172.16.%u.%u", i >> 8, i & 255);
        plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
        put_vxlan(&f, sender, US, 7);
        assert_false(arrive(&b, &f, 1));
    }
    assert_int_equal(b.arrival.counters.n_refused + b.arrival.counters.n_unknown, 3000);
    assert_int_equal(b.arrival.counters.n_unknown, source_refused(b.sources));
    assert_true(b.arrival.counters.n_unknown > 0);
    bed_close(&b);
}

static void shared_channel(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "sources:\n  - {name: web, addresses: [10.0.0.1]}\n"
                 "  - {name: db, addresses: [10.0.0.2]}\n");
    uint32_t seq = 100;
    for (unsigned i = 0; i < 30; i++) { /* the numbers are those of all machines together */
        static const char *const from[] = {"10.0.0.1", "10.0.0.2", "10.0.0.3"};
        plain_frame(&f, from[i % 3], "10.5.5.5", 6, 80);
        put_gre(&f, MIRROR, US, seq++);
        assert_int_equal(arrive(&b, &f, 1), i % 3 < 2);
        if (i % 3 < 2)
            assert_string_equal(source_found(&b)->name, i % 3 ? "db" : "web");
    }
    assert_int_equal(b.arrival.counters.n_refused, 10);
    uint16_t whole = 0;
    for (uint16_t i = 1; i <= source_count(b.sources); i++) {
        const struct source *s = source_get(b.sources, i);
        if (s->part == 0) {
            whole = i;
            assert_int_equal(s->counters.n_seq, 30);
            assert_int_equal(s->counters.n_refused, 10);
            assert_int_equal(s->counters.n_packets, 0);
        } else {
            assert_int_equal(s->counters.n_seq, 0);
            assert_int_equal(s->counters.n_packets, 10);
            assert_int_equal(s->counters.n_reordered, 0);
        }
    }
    assert_true(whole > 0);
    assert_int_equal(source_count(b.sources), 3);
    bed_close(&b);
}

/* ---- loops ---- */

static void loops(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool gre_inside;
        const char *to; /* where the inner mirror sends */
        bool is_loop;
    } cases[] = {
        {"VXLAN to us, mirrored", false, US, true},
        {"GRE to us, mirrored", true, US, true},
        {"VXLAN to somebody else", false, ELSEWHERE, false},
        {"GRE to somebody else", true, ELSEWHERE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned outer_gre = 0; outer_gre < 2; outer_gre++) {
            struct bed b;
            struct frame_bed f;
            bed_open(&b, "admit: all\n");
            plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
            if (cases[i].gre_inside)
                put_gre(&f, "10.9.9.9", cases[i].to, 5);
            else
                put_vxlan(&f, "10.9.9.9", cases[i].to, 3);
            if (outer_gre)
                put_gre(&f, MIRROR, US, 6);
            else
                put_vxlan(&f, MIRROR, US, 7);
            bool ok = arrive(&b, &f, 1);
            if (ok == cases[i].is_loop)
                fail_msg("%s%s", cases[i].name, outer_gre ? ", in GRE" : "");
            assert_int_equal(b.arrival.counters.n_loops, cases[i].is_loop);
            assert_int_equal(counted(&b)->n_loops, cases[i].is_loop);
            assert_int_equal(counted(&b)->n_packets, !cases[i].is_loop);
            assert_int_equal(counted(&b)->n_seq, outer_gre); /* nothing is missing */
            bed_close(&b);
        }
}

/* A port to which no mirror of ours comes is the machine's own business. */
static void no_loop(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    plain_frame(&f, "10.0.0.1", US, 17, 4788);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    plain_frame(&f, "10.0.0.1", US, 6, 4789);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    plain_frame(&f, "10.0.0.1", US, 17, 4789);
    put_vxlan(&f, MIRROR, US, 7);
    assert_false(arrive(&b, &f, 1));
    assert_int_equal(b.arrival.counters.n_loops, 1);
    bed_close(&b);
}

/* ---- counting ---- */

/* By the machine's addresses; without them, by the mirror's sender, which often is the machine. */
static void directions(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    plain_frame(&f, "10.0.0.1", MIRROR, 6, 80);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    plain_frame(&f, MIRROR, "10.0.0.1", 17, 53);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    assert_int_equal(counted(&b)->n_in, 1);
    assert_int_equal(counted(&b)->n_in_bytes, 154);
    assert_int_equal(counted(&b)->n_tcp_in, 1);
    assert_int_equal(counted(&b)->n_out, 1);
    assert_int_equal(counted(&b)->n_out_bytes, 142);
    assert_int_equal(counted(&b)->n_tcp_out, 0);

    struct address_entry entry = {
        .addr = frame_addr(10, 0, 0, 1), .machine = 5, .configured = true};
    struct address_book *book = address_book_make(&entry, 1, NULL, 0, (const uint16_t[6]){0}, 5);
    assert_non_null(book);
    b.arrival.book = book;
    source_get(b.sources, b.found.source)->machine = 5;
    plain_frame(&f, "10.0.0.1", "10.8.8.8", 6, 80);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    assert_int_equal(b.found.machine, 5);
    assert_int_equal(b.found.src, 5);
    assert_int_equal(b.found.dst, 0);
    assert_int_equal(counted(&b)->n_out, 2);
    assert_int_equal(counted(&b)->n_tcp_out, 1);
    plain_frame(&f, "10.7.7.7", "10.8.8.8", 6, 80); /* neither */
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    assert_int_equal(counted(&b)->n_out + counted(&b)->n_in, 3);
    assert_int_equal(counted(&b)->n_packets, 4);
    address_book_free(book);
    bed_close(&b);
}

static void cut(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive_cut(&b, &f, 1, 60));
    assert_int_equal(counted(&b)->n_cut, 1);
    assert_int_equal(counted(&b)->cut_size, 80);
    assert_int_equal(counted(&b)->largest_size, 140);
    assert_int_equal(counted(&b)->n_bytes, 154); /* as it was sent */
    assert_true(arrive_cut(&b, &f, 1, 70));
    assert_int_equal(counted(&b)->n_cut, 2);
    assert_int_equal(counted(&b)->cut_size, 80);
    assert_true(arrive(&b, &f, 1));
    assert_int_equal(counted(&b)->n_cut, 2);
    for (uint32_t size = 0; size < frame_size(&f); size++) /* all prefixes */
        (void)arrive_cut(&b, &f, 1, (uint32_t)frame_size(&f) - size);
    bed_close(&b);
}

/* ---- tags ---- */

static void put_tag(struct frame_bed *f, uint16_t type, uint16_t vlan)
{
    uint8_t macs[12],
        tag[4] = {(uint8_t)(type >> 8), (uint8_t)type, (uint8_t)(vlan >> 8), (uint8_t)vlan};
    memcpy(macs, frame_bytes(f), 12);
    f->at += 12;
    frame_put(f, tag, 4);
    frame_put(f, macs, 12);
}

static void tags(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "sources:\n"
                 "  - {name: a, channel: \"7\", drop-vlan: true}\n"
                 "  - {name: b, channel: \"8\"}\n");
    for (unsigned n_tags = 0; n_tags <= 2; n_tags++)
        for (uint32_t vni = 7; vni <= 8; vni++) {
            plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
            if (n_tags > 0)
                put_tag(&f, 0x8100, 20);
            if (n_tags > 1)
                put_tag(&f, 0x88a8, 10);
            uint32_t size = (uint32_t)frame_size(&f);
            put_vxlan(&f, MIRROR, US, vni);
            assert_true(arrive(&b, &f, 1));
            unsigned n_left = vni == 7 && n_tags ? n_tags - 1 : n_tags;
            assert_int_equal(b.p.frame_size, size - 4 * (n_tags - n_left));
            assert_int_equal(b.p.frame_wire_size, b.p.frame_size);
            assert_int_equal(b.p.vlan, n_left == 0 ? 0 : n_left == 1 ? 20 : 10);
            assert_int_equal(b.p.inner_vlan, n_left == 2 ? 20 : 0);
            /* What is left is a frame, with the same addresses. */
            static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
            assert_memory_equal(b.p.frame, macs, 12);
            assert_ptr_equal(b.p.ip, b.p.frame + 14 + 4 * n_left);
            assert_int_equal(b.p.frame[12 + 4 * n_left], 0x08);
        }
    bed_close(&b);
}

/* ---- canaries, copies ---- */

/* A probe that comes back by the mirror is no traffic; its number is one of the mirror's. */
static void canaries(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    struct canary_watch *watch = canary_watch_new(10);
    assert_non_null(watch);
    struct arrival_rules rules = *b.arrival.rules;
    rules.canaries = watch;
    b.arrival.rules = &rules;
    struct canary_probe probe = {.src = live_own(),
                                 .dst = frame_addr(10, 0, 0, 2),
                                 .sport = 4000,
                                 .dport = 33434,
                                 .machine = 5,
                                 .size = 100}; /* of zeros */
    plain_frame(&f, US, "10.0.0.2", 17, 33434);
    put_gre(&f, MIRROR, US, 1);
    assert_true(arrive(&b, &f, 1)); /* nobody has sent one yet */
    source_get(b.sources, b.found.source)->machine = 5;
    assert_true(canary_watch_own(watch, &probe.src));
    canary_watch_put(watch, 3, &probe);
    plain_frame(&f, US, "10.0.0.2", 17, 33434);
    put_gre(&f, MIRROR, US, 2);
    assert_false(arrive(&b, &f, 1));
    assert_int_equal(b.arrival.counters.n_canaries, 1);
    assert_int_equal(counted(&b)->n_packets, 1);
    assert_int_equal(counted(&b)->n_seq, 2);
    canary_watch_free(watch);
    bed_close(&b);
}

static const char *name_of(void *context, uint16_t machine)
{
    (void)context;
    return machine == 1 ? "one" : "two";
}

static void copies(void **state)
{
    (void)state;
    struct bed b;
    struct frame_bed f;
    bed_open(&b, "admit: all\n");
    plain_frame(&f, "10.0.0.1", "10.0.0.2", 6, 80);
    put_vxlan(&f, MIRROR, US, 7);
    assert_true(arrive(&b, &f, 1));
    arrival_sighted(&b.arrival, &b.p, &b.found, false);
    assert_int_equal(counted(&b)->n_copies, 0);
    arrival_sighted(&b.arrival, &b.p, &b.found, true);
    assert_int_equal(counted(&b)->n_copies, 1);
    assert_int_equal(counted(&b)->n_packets, 1); /* it is one of them */
    struct arrival_found nobody = {.source = 0};
    arrival_sighted(&b.arrival, &b.p, &nobody, true);
    b.arrival.witness = witness_new();
    assert_non_null(b.arrival.witness);
    struct arrival_found pair = {.source = b.found.source, .machine = 1, .src = 1, .dst = 2};
    arrival_sighted(&b.arrival, &b.p, &pair, true);
    struct witness_book *book = witness_book_new(1, 10);
    for (unsigned i = 0; i < 6; i++)
        witness_book_collect(book, &b.arrival.witness, 1);
    struct health_shared lines[HEALTH_SHARED_MAX];
    struct health_totals totals = {0};
    witness_book_fill(book, 2, name_of, NULL, lines, &totals);
    assert_int_equal(totals.n_shared_there, 1);
    witness_book_free(book);
    witness_free(b.arrival.witness);
    assert_int_equal(counted(&b)->n_copies, 2);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admission),  cmocka_unit_test(own_and_unmeant),
        cmocka_unit_test(unknown),    cmocka_unit_test(shared_channel),
        cmocka_unit_test(loops),      cmocka_unit_test(no_loop),
        cmocka_unit_test(directions), cmocka_unit_test(cut),
        cmocka_unit_test(tags),       cmocka_unit_test(canaries),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
