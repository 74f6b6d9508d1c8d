/* What nftables' tables copy in a network namespace, and that nothing of them stays. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "linux/nft.h"
#include "linux/tables_bed.h"

static struct linux_nft want_of(int family)
{
    struct linux_nft want = {.mirror = "web-1.a_B",
                             .family = family,
                             .interface = "e0",
                             .in = true,
                             .out = true,
                             .to = "m0",
                             .gateway = bed_addr(family == LINUX_NFT_IP6 ? GATEWAY6 : GATEWAY4)};
    want.n_exclusions = bed_fill_exclusions(want.exclusions);
    return want;
}

static char *list_ruleset(void)
{
    int code = -1;
    char *text = bed_run("nft list ruleset", &code);
    assert_int_equal(code, 0);
    assert_non_null(text);
    return text;
}

static struct linux_nft_found find_one(const char *mirror)
{
    struct linux_nft_list list;
    struct linux_nft_found found;
    struct err err;
    must(linux_nft_find(mirror, &list, &err), &err);
    assert_int_equal(list.n, 1);
    found = list.at[0];
    linux_nft_list_done(&list);
    return found;
}

static void test_find_and_remove(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    struct err err;
    struct linux_nft_list list;
    char why[200] = "";
    assert_int_equal(bed_do("nft add table inet somebody"), 0);
    assert_int_equal(bed_do("nft add table netdev cloudspan"), 0);
    assert_int_equal(bed_do("nft add chain inet somebody c {~type~filter~hook~input~priority~0;~}"),
                     0);
    char *before = list_ruleset();
    must(linux_nft_find(NULL, &list, &err), &err);
    assert_int_equal(list.n, 0);
    for (int family = 0; family < LINUX_NFT_N_FAMILIES; family++) {
        struct linux_nft want = want_of(family);
        must(linux_nft_remove(want.mirror, family, &err), &err); /* nothing is there */
        for (int directions = 1; directions < 4; directions++) {
            want.in = directions & 1;
            want.out = directions & 2;
            want.rate = directions == 2 ? 3000000 : directions == 3 ? 8u << 20 : 0;
            want.burst = directions == 3 ? 500000 : 0;
            want.n_exclusions = directions == 1 ? 0 : 4;
            must(linux_nft_make(&want, &err), &err);
            struct linux_nft_found found = find_one(want.mirror);
            if (!found.intact)
                fail_msg("family %d, directions %d: %s", family, directions, found.strange);
            if (!linux_nft_same(&found.is, &want, why, sizeof why))
                fail_msg("family %d, directions %d: %s", family, directions, why);
        }
        char *during = list_ruleset();
        assert_string_not_equal(before, during);
        free(during);
        must(linux_nft_remove("another", family, &err), &err);
        assert_int_equal(find_one(NULL).is.family, family);
        must(linux_nft_remove(want.mirror, family, &err), &err);
        must(linux_nft_find(NULL, &list, &err), &err);
        assert_int_equal(list.n, 0);
        char *after = list_ruleset();
        assert_string_equal(before, after);
        free(after);
    }
    free(before);
    assert_int_equal(bed_do("nft flush ruleset"), 0);
}

/* The script makes the same table, and its end removes it. */
static void test_script(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    for (int family = 0; family < LINUX_NFT_N_FAMILIES; family++) {
        struct linux_nft want = want_of(family);
        struct text text;
        char why[200];
        want.rate = family == LINUX_NFT_IP ? 1000000 : 0;
        for (int twice = 0; twice < 2; twice++) {
            text_init(&text, 65536);
            linux_nft_put_make(&want, &text);
            assert_false(text.failed);
            bed_do_script(text.at);
            text_done(&text);
        }
        struct linux_nft_found found = find_one(want.mirror);
        if (!found.intact)
            fail_msg("%s", found.strange);
        if (!linux_nft_same(&found.is, &want, why, sizeof why))
            fail_msg("%s", why);
        linux_nft_put_remove(want.mirror, family, &text);
        bed_do_script(text.at);
        text_done(&text);
        char *left = list_ruleset();
        assert_string_equal(left, "");
        free(left);
    }
}

static void test_frames(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    static struct frame_bed b;
    static struct copies copies;
    struct linux_nft want = want_of(LINUX_NFT_NETDEV);
    struct err err;
    unsigned n[2] = {0};
    must(linux_nft_make(&want, &err), &err);
    for (int in = 0; in < 2; in++)
        for (unsigned tags = 0; tags < 3; tags++)
            for (size_t i = 0; i < BED_ROWS; i++) {
                unsigned got = send_row(&bed_rows[i], tags, in, &b, &copies);
                if (got != bed_rows[i].mirrored)
                    fail_msg("%s, %u tags: %s, %s: %u copies", in ? "in" : "out", tags,
                             bed_rows[i].dst, bed_rows[i].what, got);
                n[in] += got;
                if (got == 0)
                    continue;
                assert_int_equal(copies.size, frame_size(&b));
                assert_memory_equal(copies.last, frame_bytes(&b), frame_size(&b));
            }
    struct linux_nft_found found = find_one(want.mirror);
    assert_true(found.intact);
    assert_true(found.in.n_copied >= n[1] && found.out.n_copied >= n[0]); /* and IPv6's own */
    assert_int_equal(found.in.n_copied, found.in.n_seen);
    assert_true(found.in.bytes_copied >= 30 * n[1]);
    /* Neither IP nor IPv6. */
    uint8_t arp[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0,
                       0,    1,    8,    6,    0,    1,    8, 0, 6, 4};
    memcpy(arp + 40, "arp arp", 7);
    assert_int_equal(write(bed.e0, arp, sizeof arp), sizeof arp);
    take_copies("arp arp", 7, &copies);
    assert_int_equal(copies.n, 1);
    assert_memory_equal(copies.last, arp, sizeof arp);
    must(linux_nft_remove(want.mirror, want.family, &err), &err);
    assert_int_equal(write(bed.e0, arp, sizeof arp), sizeof arp);
    take_copies("arp arp", 7, &copies);
    assert_int_equal(copies.n, 0);
}

static void test_directions(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    static struct frame_bed b;
    static struct copies copies;
    const struct bed_row *row = &bed_rows[0];
    struct err err;
    for (int in = 0; in < 2; in++) {
        struct linux_nft want = want_of(LINUX_NFT_NETDEV);
        want.in = in;
        want.out = !in;
        must(linux_nft_make(&want, &err), &err);
        assert_int_equal(send_row(row, 0, true, &b, &copies), in);
        assert_int_equal(send_row(row, 0, false, &b, &copies), !in);
        /* A second's bytes, and the burst, may come at once; not more. */
        want.rate = 20000;
        want.n_exclusions = 0;
        must(linux_nft_make(&want, &err), &err);
        static char payload[1400];
        struct addr src = bed_addr(A4), dst = bed_addr(D4);
        memcpy(payload, "datagram", 8);
        unsigned n = 0;
        for (int i = 0; i < 300; i++) {
            frame_begin(&b, payload, sizeof payload);
            frame_udp(&b, 1, 2);
            frame_ip(&b, &src, &dst, 17);
            frame_ethernet(&b);
            assert_int_equal(in ? write(bed.e0, frame_bytes(&b), frame_size(&b))
                                : send(bed.from_e0, frame_bytes(&b), frame_size(&b), 0),
                             frame_size(&b));
            take_copies("datagram", 8, &copies);
            n += copies.n;
        }
        struct linux_nft_found found = find_one(want.mirror);
        struct linux_nft_count *count = in ? &found.in : &found.out;
        assert_true(found.intact);
        assert_in_range(n, 180, 290);
        assert_true(count->n_seen >= 300 && count->n_copied >= n && count->n_copied < 300);
        assert_in_range(count->bytes_copied, 262144, 290 * 1442);
        must(linux_nft_remove(want.mirror, want.family, &err), &err);
    }
}

/* Through the routing: only what is received in this protocol. Sent are frames without a tag. */
static void test_packets(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    static struct frame_bed b;
    static struct copies copies;
    struct err err;
    for (int family = LINUX_NFT_IP; family <= LINUX_NFT_IP6; family++) {
        struct linux_nft want = want_of(family);
        must(linux_nft_make(&want, &err), &err);
        for (size_t i = 0; i < BED_ROWS; i++) {
            struct addr dst = bed_addr(bed_rows[i].dst);
            bool concerned = addr_is_v4(&dst) == (family == LINUX_NFT_IP);
            unsigned got = send_row(&bed_rows[i], 0, true, &b, &copies);
            if (got != (concerned && bed_rows[i].mirrored))
                fail_msg("family %d: %s, %s: %u copies", family, bed_rows[i].dst, bed_rows[i].what,
                         got);
            if (got == 0)
                continue;
            /* Another MAC header; one hop less; of IPv4 marked not to be fragmented. */
            assert_int_equal(copies.size, frame_size(&b));
            assert_memory_equal(copies.last, "\x02\xc5\0\0\0\1", 6);
            if (family == LINUX_NFT_IP) {
                assert_int_equal(copies.last[14 + 8], 63);
                assert_int_equal(copies.last[14 + 6] & 0x40, 0x40);
                assert_memory_equal(copies.last + 14 + 12, frame_bytes(&b) + 14 + 12, 8);
            } else {
                assert_int_equal(copies.last[14 + 7], 63);
                assert_memory_equal(copies.last + 14 + 8, frame_bytes(&b) + 14 + 8, 32);
            }
        }
        const char *collector = family == LINUX_NFT_IP ? C4 : C6;
        const char *other = family == LINUX_NFT_IP ? D4 : D6;
        assert_int_equal(copies_of_datagram(collector, 4789, 100, &copies), 0);
        assert_int_equal(copies_of_datagram(collector, 4789, 4000, &copies), 0);
        assert_int_equal(copies_of_datagram(collector, 4790, 100, &copies), 1);
        assert_int_equal(copies_of_datagram(other, 4789, 100, &copies), 1);
        assert_int_equal(copies.last[14 + (family == LINUX_NFT_IP ? 8 : 7)], 64);
        struct linux_nft_found found = find_one(want.mirror);
        assert_true(found.intact);
        assert_true(found.in.n_copied >= 9 && found.out.n_copied >= 2);
        must(linux_nft_remove(want.mirror, family, &err), &err);
    }
}

/* A copy that does not fit through the device harms the connection: its sender is told that the
 * way to the *receiver* takes no more. That is why the device's MTU must not be less. */
static void test_too_large(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    static struct frame_bed b;
    static uint8_t frame[2000];
    static char payload[1200];
    struct linux_nft want = want_of(LINUX_NFT_IP);
    struct addr src = bed_addr(A4), dst = bed_addr(D4);
    struct err err;
    assert_int_equal(bed_do("ip neigh replace " A4 " lladdr 02:00:00:00:00:01 dev e0"), 0);
    must(linux_nft_make(&want, &err), &err);
    for (int small = 0; small < 2; small++) {
        unsigned n_errors = 0;
        ssize_t size;
        assert_int_equal(bed_do(small ? "ip link set m0 mtu 1000" : "ip link set m0 mtu 1500"), 0);
        frame_begin(&b, payload, sizeof payload);
        frame_udp(&b, 1, 2);
        b.checksums = true;
        frame_ip(&b, &src, &dst, 17);
        frame_ethernet(&b);
        drain(bed.e0);
        assert_int_equal(write(bed.e0, frame_bytes(&b), frame_size(&b)), frame_size(&b));
        while ((size = read(bed.e0, frame, sizeof frame)) > 0)
            n_errors += size > 38 && frame[12] == 8 && frame[23] == 1 && frame[34] == 3 &&
                        frame[35] == 4 && frame[40] == 3 && frame[41] == 0xe8;
        assert_int_equal(n_errors, small);
    }
    assert_int_equal(bed_do("ip link set m0 mtu 1500"), 0);
    must(linux_nft_remove(want.mirror, want.family, &err), &err);
}

/* Somebody has changed something: it is seen, and said. */
static void test_changed(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"nft flush chain netdev cloudspan_web-1.a_B excluded", "excluded"},
        {"nft flush chain netdev cloudspan_web-1.a_B excluded_tagged", "excluded_tagged"},
        {"nft flush chain netdev cloudspan_web-1.a_B sent", "sent"},
        {"nft insert rule netdev cloudspan_web-1.a_B received drop", "drop"},
        {"nft add rule netdev cloudspan_web-1.a_B received log", "log"},
        {"nft add chain netdev cloudspan_web-1.a_B more", "more"},
        {"nft add set netdev cloudspan_web-1.a_B s {~type~mark;~}", "others"},
    };
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_nft want = want_of(LINUX_NFT_NETDEV);
        must(linux_nft_make(&want, &err), &err);
        assert_true(find_one(want.mirror).intact);
        assert_int_equal(bed_do(rows[i].line), 0);
        struct linux_nft_found found = find_one(want.mirror);
        if (found.intact || !strstr(found.strange, rows[i].says))
            fail_msg("%s: %s", rows[i].line, found.strange);
        must(linux_nft_make(&want, &err), &err); /* is right again */
        assert_true(find_one(want.mirror).intact);
        must(linux_nft_remove(want.mirror, want.family, &err), &err);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    struct err err;
    struct linux_nft want = want_of(LINUX_NFT_NETDEV);
    (void)snprintf(want.to, sizeof want.to, "nosuch");
    assert_int_equal(linux_nft_make(&want, &err), -ENODEV);
    assert_string_equal(err.text, "interface nosuch: there is none of that name");
    want = want_of(LINUX_NFT_NETDEV);
    (void)snprintf(want.mirror, sizeof want.mirror, "a b");
    assert_int_equal(linux_nft_make(&want, &err), -EINVAL);
    assert_int_equal(linux_nft_remove("x; flush ruleset", LINUX_NFT_IP, &err), -EINVAL);
    want = want_of(LINUX_NFT_IP6);
    want.gateway = bed_addr(GATEWAY4);
    assert_int_equal(linux_nft_make(&want, &err), -EINVAL);
    want = want_of(LINUX_NFT_IP);
    want.rate = (uint64_t)LINUX_NFT_RATE_MAX + 1;
    assert_int_equal(linux_nft_make(&want, &err), -ERANGE);
    want.rate = LINUX_NFT_RATE_MAX; /* the kernel takes it */
    must(linux_nft_make(&want, &err), &err);
    /* A change that is refused leaves what is there. */
    struct linux_nft_found before = find_one(want.mirror);
    (void)snprintf(want.to, sizeof want.to, "nosuch");
    assert_int_equal(linux_nft_make(&want, &err), -ENODEV);
    assert_true(find_one(want.mirror).intact);
    assert_string_equal(find_one(want.mirror).is.to, before.is.to);
    must(linux_nft_remove(want.mirror, want.family, &err), &err);
}

static void test_can(void **state)
{
    (void)state;
    if (!enter("nft --version"))
        skip();
    struct err err;
    for (int feature = 0; feature < LINUX_NFT_N_FEATURES; feature++)
        must(linux_nft_can(feature, &err), &err);
    char *left = list_ruleset();
    assert_string_equal(left, "");
    free(left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_can),        cmocka_unit_test(test_find_and_remove),
        cmocka_unit_test(test_script),     cmocka_unit_test(test_frames),
        cmocka_unit_test(test_directions), cmocka_unit_test(test_packets),
        cmocka_unit_test(test_too_large),  cmocka_unit_test(test_changed),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
