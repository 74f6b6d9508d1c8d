/* What the rules of iptables copy in a network namespace, and that nothing of them stays; once with
 * each form of iptables that is here. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "linux/iptables.h"
#include "linux/tables_bed.h"

static const char *form; /* "nft" or "legacy" */

static struct linux_tee want_of(int family)
{
    struct linux_tee want = {.mirror = "web-1.a_B",
                             .family = family,
                             .interface = "e0",
                             .in = true,
                             .out = true,
                             .to = "m0",
                             .gateway = bed_addr(family == LINUX_TEE_6 ? GATEWAY6 : GATEWAY4)};
    want.n_exclusions = bed_fill_exclusions(want.exclusions);
    return want;
}

static bool is_nft(void)
{
    return strcmp(form, "nft") == 0;
}

/* All that there is, without counters and dates. Of iptables-nft also what only nft sees. */
static char *list_all(void)
{
    int code;
    size_t size;
    struct text text;
    text_init(&text, 1u << 20);
    static const char *const lines[] = {"iptables-save", "ip6tables-save", "nft list ruleset"};
    for (size_t i = 0; i < (is_nft() ? 3 : 2); i++) {
        char *one = bed_run(lines[i], &code);
        assert_non_null(one);
        for (const char *at = one; *at;) {
            size_t len = strcspn(at, "\n") + 1;
            if (*at != '#')
                text_add(&text, at, *at == ':' ? strcspn(at, "[") : len);
            at += len;
        }
        free(one);
    }
    return text_take(&text, &size);
}

static struct linux_tee_found find_one(const char *mirror)
{
    struct linux_tee_list list;
    struct linux_tee_found found;
    struct err err;
    must(linux_tee_find(mirror, &list, &err), &err);
    assert_int_equal(list.n, 1);
    found = list.at[0];
    linux_tee_list_done(&list);
    return found;
}

static void check_same(const struct linux_tee *want)
{
    char why[200] = "";
    struct linux_tee_found found = find_one(want->mirror);
    if (!found.intact)
        fail_msg("family %d: %s", want->family, found.strange);
    struct linux_tee only = *want; /* of the exclusions those of the family are found */
    only.n_exclusions = 0;
    for (size_t i = 0; i < want->n_exclusions; i++)
        if (addr_is_v4(&want->exclusions[i].collector) == (want->family == LINUX_TEE_4))
            only.exclusions[only.n_exclusions++] = want->exclusions[i];
    if (!linux_tee_same(&found.is, &only, why, sizeof why) ||
        !linux_tee_same(&found.is, want, why, sizeof why))
        fail_msg("family %d: %s", want->family, why);
    assert_int_equal(found.is.n_exclusions, only.n_exclusions);
}

/* `others`: rules of somebody else. What was there before is there again, all of it. */
static void make_and_remove(bool others)
{
    static const char *const lines[] = {
        "tables -t mangle -A POSTROUTING -o e0 -p tcp -j ACCEPT",
        "tables -t mangle -N CSPNX",
        "tables -t mangle -A CSPNX -m comment --comment cloudspan~other -j RETURN",
    };
    struct err err;
    struct linux_tee_list list;
    char line[200];
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        for (size_t i = 0; others && i < 3; i++) {
            (void)snprintf(line, sizeof line, "%s%s", family ? "ip6" : "ip", lines[i]);
            assert_int_equal(bed_do(line), 0);
        }
        char *before = list_all();
        struct linux_tee want = want_of(family);
        must(linux_tee_remove(want.mirror, family, &err), &err); /* nothing is there */
        for (int directions = 1; directions < 4; directions++) {
            want.in = directions & 1;
            want.out = directions & 2;
            want.n_exclusions = directions == 1 ? 0 : 4;
            want.to[0] = directions == 2 ? '\0' : 'm';
            must(linux_tee_filter(directions == 3 ? "udp port 53 or icmp" : NULL, &want, &err),
                 &err);
            for (int twice = 0; twice < 2; twice++) {
                must(linux_tee_make(&want, &err), &err);
                check_same(&want);
            }
        }
        must(linux_tee_remove("another", family, &err), &err);
        check_same(&want);
        struct linux_tee second = want_of(family); /* whose name is too long for a chain */
        (void)snprintf(second.mirror, sizeof second.mirror, "a-name-that-is-thirty-one-long-");
        must(linux_tee_make(&second, &err), &err);
        check_same(&second);
        must(linux_tee_find(NULL, &list, &err), &err);
        assert_int_equal(list.n, 2);
        for (size_t i = 0; i < 2; i++)
            assert_true(list.at[i].intact);
        linux_tee_list_done(&list);
        must(linux_tee_remove(want.mirror, family, &err), &err);
        check_same(&second);
        must(linux_tee_remove(second.mirror, family, &err), &err);
        must(linux_tee_find(NULL, &list, &err), &err);
        assert_int_equal(list.n, 0);
        char *after = list_all();
        assert_string_equal(before, after);
        free(after);
        free(before);
    }
}

static void flush(void)
{
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        const char *name = family ? "ip6tables" : "iptables";
        char line[100];
        (void)snprintf(line, sizeof line, "%s -t mangle -F", name);
        assert_int_equal(bed_do(line), 0);
        (void)snprintf(line, sizeof line, "%s -t mangle -X", name);
        assert_int_equal(bed_do(line), 0);
    }
    if (is_nft())
        assert_int_equal(bed_do("nft flush ruleset"), 0);
}

static bool begin(void)
{
    if (!enter("iptables -V"))
        return false;
    flush();
    return true;
}

static void test_make_and_remove(void **state)
{
    (void)state;
    if (!begin())
        skip();
    make_and_remove(false);
    make_and_remove(true);
    flush();
}

/* The commands make the same rules, and their end removes them. */
static void test_commands(void **state)
{
    (void)state;
    if (!begin())
        skip();
    struct err err;
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        struct linux_tee want = want_of(family);
        struct linux_tee_list list;
        struct text text;
        must(linux_tee_filter("udp", &want, &err), &err);
        text_init(&text, 65536);
        linux_tee_put_make(&want, &text);
        assert_false(text.failed);
        bed_do_script(text.at);
        text_done(&text);
        check_same(&want);
        linux_tee_put_remove(&want, &text);
        bed_do_script(text.at);
        text_done(&text);
        must(linux_tee_find(NULL, &list, &err), &err);
        assert_int_equal(list.n, 0);
    }
    flush();
}

/* What these rules cannot tell apart: errors that routers send, errors that quote another thing
 * than the tunnel, and first fragments of IPv6 to another port. */
static bool is_mirrored(const struct bed_row *row, bool v4)
{
    bool from_collector = strcmp(row->src, C4) == 0 || strcmp(row->src, C6) == 0;
    if (row->kind >= ERROR)
        return !from_collector || row->type != (v4 ? 3 : 1);
    if (row->kind == FIRST && !v4)
        return false;
    return row->mirrored;
}

static void test_packets(void **state)
{
    (void)state;
    if (!begin())
        skip();
    static struct frame_bed b;
    static struct copies copies;
    struct err err;
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        struct linux_tee want = want_of(family);
        bool v4 = family == LINUX_TEE_4;
        must(linux_tee_make(&want, &err), &err);
        unsigned n = 0;
        for (size_t i = 0; i < BED_ROWS; i++) {
            struct addr dst = bed_addr(bed_rows[i].dst);
            unsigned got = send_row(&bed_rows[i], 0, true, &b, &copies);
            if (got != (addr_is_v4(&dst) == v4 && is_mirrored(&bed_rows[i], v4)))
                fail_msg("%s, %s: %u copies", bed_rows[i].dst, bed_rows[i].what, got);
            n += got;
            if (got == 0)
                continue;
            assert_int_equal(copies.size, frame_size(&b));
            assert_memory_equal(copies.last, "\x02\xc5\0\0\0\1", 6);
            assert_int_equal(copies.last[14 + (v4 ? 8 : 7)], 63);
            if (v4)
                assert_int_equal(copies.last[14 + 6] & 0x40, 0x40);
            assert_memory_equal(copies.last + 14 + (v4 ? 12 : 8),
                                frame_bytes(&b) + 14 + (v4 ? 12 : 8), v4 ? 8 : 32);
        }
        const char *collector = v4 ? C4 : C6, *other = v4 ? D4 : D6;
        assert_int_equal(copies_of_datagram(collector, 4789, 100, &copies), 0);
        assert_int_equal(copies_of_datagram(collector, 4789, 4000, &copies), 0);
        assert_int_equal(copies_of_datagram(collector, 4790, 100, &copies), 1);
        assert_int_equal(copies_of_datagram(other, 4789, 100, &copies), 1);
        assert_int_equal(copies.last[14 + (v4 ? 8 : 7)], 64);
        struct linux_tee_found found = find_one(want.mirror);
        assert_true(found.intact);
        assert_int_equal(found.in.n_copied, n);
        assert_true(found.in.n_seen > n && found.out.n_copied >= 2 && found.out.n_seen >= 4);
        must(linux_tee_remove(want.mirror, family, &err), &err);
        assert_int_equal(copies_of_datagram(other, 4789, 100, &copies), 0);
    }
    flush();
}

static void test_filter(void **state)
{
    (void)state;
    if (!begin())
        skip();
    static struct copies copies;
    struct err err;
    for (int family = 0; family < LINUX_TEE_N_FAMILIES; family++) {
        struct linux_tee want = want_of(family);
        const char *other = family == LINUX_TEE_4 ? D4 : D6;
        must(linux_tee_filter("udp port 53", &want, &err), &err);
        want.in = false;
        must(linux_tee_make(&want, &err), &err);
        assert_int_equal(copies_of_datagram(other, 53, 100, &copies), 1);
        assert_int_equal(copies_of_datagram(other, 54, 100, &copies), 0);
        must(linux_tee_filter("not udp port 53", &want, &err), &err);
        must(linux_tee_make(&want, &err), &err);
        assert_int_equal(copies_of_datagram(other, 53, 100, &copies), 0);
        assert_int_equal(copies_of_datagram(other, 54, 100, &copies), 1);
        /* The longest that we let through is not too long. */
        char longest[2000] = "host 222.222.222.1", next[2100];
        for (int i = 2;; i++) {
            (void)snprintf(next, sizeof next, "%s or host 222.222.222.%d", longest, i);
            if (linux_tee_filter(next, &want, &err) == -E2BIG)
                break;
            memcpy(longest, next, strlen(next) + 1);
        }
        must(linux_tee_filter(longest, &want, &err), &err);
        must(linux_tee_make(&want, &err), &err);
        check_same(&want);
        must(linux_tee_remove(want.mirror, family, &err), &err);
    }
    flush();
}

/* Somebody has changed something: it is seen, said, and made right. */
static void test_changed(void **state)
{
    (void)state;
    if (!begin())
        skip();
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"iptables -t mangle -F CSPN-web-1.a_B-I", "missing"},
        {"iptables -t mangle -D CSPN-web-1.a_B-O 1", "instead"},
        {"iptables -t mangle -I CSPN-web-1.a_B-O -j ACCEPT", "ACCEPT"},
        {"iptables -t mangle -A CSPN-web-1.a_B-O -j ACCEPT", "should not be there"},
        {"iptables -t mangle -I PREROUTING -i e0 -p tcp -j DROP", "in front of it in PREROUTING"},
        {"iptables -t mangle -F PREROUTING", "should not be there"},
        {"iptables -t mangle -F POSTROUTING", "should not be there"},
    };
    struct err err;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct linux_tee want = want_of(LINUX_TEE_4);
        must(linux_tee_make(&want, &err), &err);
        check_same(&want);
        assert_int_equal(bed_do(rows[i].line), 0);
        struct linux_tee_found found = find_one(want.mirror);
        if (found.intact || !strstr(found.strange, rows[i].says))
            fail_msg("%s: %s", rows[i].line, found.strange);
        must(linux_tee_make(&want, &err), &err);
        check_same(&want);
        must(linux_tee_remove(want.mirror, want.family, &err), &err);
        flush();
    }
    /* Behind it, or without an end, others may be. */
    struct linux_tee want = want_of(LINUX_TEE_4);
    must(linux_tee_make(&want, &err), &err);
    assert_int_equal(bed_do("iptables -t mangle -A PREROUTING -j ACCEPT"), 0);
    assert_int_equal(bed_do("iptables -t mangle -I PREROUTING -j MARK --set-mark 5"), 0);
    check_same(&want);
    flush();
}

static void test_refusals(void **state)
{
    (void)state;
    if (!begin())
        skip();
    struct err err;
    struct linux_tee want = want_of(LINUX_TEE_4);
    (void)snprintf(want.interface, sizeof want.interface, "nosuch");
    assert_int_equal(linux_tee_make(&want, &err), -ENODEV);
    (void)snprintf(want.interface, sizeof want.interface, "e+");
    assert_int_equal(linux_tee_make(&want, &err), -EINVAL);
    want = want_of(LINUX_TEE_4);
    want.gateway = bed_addr(GATEWAY6);
    assert_int_equal(linux_tee_make(&want, &err), -EINVAL);
    want = want_of(LINUX_TEE_4);
    (void)snprintf(want.mirror, sizeof want.mirror, "a\nb");
    assert_int_equal(linux_tee_make(&want, &err), -EINVAL);
    assert_int_equal(linux_tee_remove(want.mirror, LINUX_TEE_4, &err), -EINVAL);
    struct linux_tee_list list;
    must(linux_tee_find(NULL, &list, &err), &err);
    assert_int_equal(list.n, 0);
}

static void test_can(void **state)
{
    (void)state;
    if (!begin())
        skip();
    struct err err;
    char *before = list_all();
    for (int feature = 0; feature < LINUX_TEE_N_FEATURES; feature++)
        must(linux_tee_can(feature, &err), &err);
    char *after = list_all();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static int test_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_can),      cmocka_unit_test(test_make_and_remove),
        cmocka_unit_test(test_commands), cmocka_unit_test(test_packets),
        cmocka_unit_test(test_filter),   cmocka_unit_test(test_changed),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Runs this program once more with a folder in front of PATH in which iptables is of one form. */
static int run_form(const char *self, const char *which)
{
    static const char *const names[] = {"iptables",  "iptables-save",  "iptables-restore",
                                        "ip6tables", "ip6tables-save", "ip6tables-restore"};
    char folder[] = "/tmp/cloudspan-iptables-XXXXXX", path[4300], to[4096], from[4200];
    const char *before = getenv("PATH");
    if (!mkdtemp(folder))
        return 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64];
        const char *verb = strchr(names[i], '-');
        (void)snprintf(name, sizeof name, "%.*s-%s%s",
                       (int)(verb ? verb - names[i] : (long)strlen(names[i])), names[i], which,
                       verb ? verb : "");
        (void)snprintf(from, sizeof from, "%s/%s", folder, names[i]);
        if (program_find(name, to, sizeof to))
            assert_int_equal(symlink(to, from), 0);
    }
    (void)snprintf(path, sizeof path, "PATH=%s:%s", folder, before ? before : "/usr/sbin:/usr/bin");
    char *arguments[] = {strdup(self), strdup(which), NULL}, *environment[] = {path, NULL};
    pid_t pid;
    int status = 1;
    printf("iptables-%s\n", which);
    (void)fflush(stdout);
    if (posix_spawn(&pid, self, NULL, NULL, arguments, environment) == 0)
        (void)waitpid(pid, &status, 0);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(from, sizeof from, "%s/%s", folder, names[i]);
        (void)unlink(from);
    }
    (void)rmdir(folder);
    free(arguments[0]);
    free(arguments[1]);
    return status != 0;
}

int main(int argc, char **argv)
{
    form = argc > 1 ? argv[1] : "";
    if (*form)
        return test_all();
    return run_form("/proc/self/exe", "nft") + run_form("/proc/self/exe", "legacy");
}
