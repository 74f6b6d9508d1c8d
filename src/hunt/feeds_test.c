/* Feeds as they are written, what they fit and what they do not, and feeds that lie. */
#include "hunt/feeds.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct feeds *of(const char *text)
{
    struct feeds *feeds = feeds_new(77);
    assert_non_null(feeds);
    feeds_take(feeds, "list", str_c(text));
    return feeds;
}

static const char *by_addr(const struct feeds *feeds, const char *text)
{
    struct addr addr;
    assert_true(addr_parse(text, &addr));
    return feeds_of_addr(feeds, &addr);
}

static void test_addresses(void **state)
{
    (void)state;
    struct feeds *feeds = of("# Feodo Tracker\r\n"
                             "1.2.3.4\r\n"
                             "198.51.100.0/24 scanners\n"
                             "\n"
                             "2001:db8::/32\n"
                             "203.0.113.7:8080\n"
                             "[2001:db9::5]:443\n"
                             "\"192.0.2.9\",\"2024-01-01\",\"Dridex\"\n");
    assert_string_equal(by_addr(feeds, "1.2.3.4"), "list");
    assert_null(by_addr(feeds, "1.2.3.5"));
    assert_string_equal(by_addr(feeds, "198.51.100.200"), "list: scanners");
    assert_null(by_addr(feeds, "198.51.101.1"));
    assert_string_equal(by_addr(feeds, "2001:db8:ffff::1"), "list");
    assert_string_equal(by_addr(feeds, "203.0.113.7"), "list");
    assert_string_equal(by_addr(feeds, "2001:db9::5"), "list");
    assert_string_equal(by_addr(feeds, "192.0.2.9"), "list: Dridex");
    assert_string_equal(feeds_of_name(feeds, STR("1.2.3.4:443")), "list");
    struct feeds_counts counts;
    feeds_count(feeds, &counts);
    assert_int_equal(counts.n_entries, 6);
    assert_int_equal(counts.n_refused, 0);
    feeds_free(feeds);
}

static void test_names(void **state)
{
    (void)state;
    struct feeds *feeds = of("Bad.Example.\n"
                             "*.worse.example\n"
                             "0.0.0.0 hosts.example # from a hosts file\n"
                             "hxxps://url[.]example:8443/path?x=1\n"
                             "||adblock.example^\n"
                             "co.uk\n");
    assert_non_null(feeds_of_name(feeds, STR("bad.example")));
    assert_non_null(feeds_of_name(feeds, STR("a.b.BAD.example")));
    assert_non_null(feeds_of_name(feeds, STR("bad.example:8080")));
    assert_null(feeds_of_name(feeds, STR("notbad.example")));
    assert_null(feeds_of_name(feeds, STR("bad.example.org")));
    assert_null(feeds_of_name(feeds, STR("example")));
    assert_non_null(feeds_of_name(feeds, STR("x.worse.example")));
    assert_non_null(feeds_of_name(feeds, STR("hosts.example")));
    assert_non_null(feeds_of_name(feeds, STR("url.example")));
    assert_non_null(feeds_of_name(feeds, STR("adblock.example")));
    /* A public suffix does not condemn all that is below it. */
    assert_null(feeds_of_name(feeds, STR("bbc.co.uk")));
    assert_null(feeds_of_name(feeds, STR("")));
    assert_null(feeds_of_name(NULL, STR("bad.example")));
    feeds_free(feeds);
}

static void test_fingerprints(void **state)
{
    (void)state;
    struct feeds *feeds = of("E7D705A3286E19EA42F587B344EE6865 Tor\n"
                             "6734f37431670b3ab4292b8f60f29984,2018-01-01,2019-01-01,Trickbot\n"
                             "t13d1516h2_8daaf6152771_e5627efa2ab1 Chromium\n");
    assert_string_equal(feeds_of_fingerprint(feeds, STR("e7d705a3286e19ea42f587b344ee6865")),
                        "list: Tor");
    assert_string_equal(feeds_of_fingerprint(feeds, STR("6734f37431670b3ab4292b8f60f29984")),
                        "list: Trickbot");
    assert_string_equal(feeds_of_fingerprint(feeds, STR("t13d1516h2_8daaf6152771_e5627efa2ab1")),
                        "list: Chromium");
    assert_null(feeds_of_fingerprint(feeds, STR("e7d705a3286e19ea42f587b344ee6866")));
    assert_null(feeds_of_fingerprint(feeds, STR("")));
    feeds_free(feeds);
}

static void test_hostile(void **state)
{
    (void)state;
    struct feeds *feeds = of("0.0.0.0/0\n::/0\n10.0.0.0/4\n"
                             "com\n.\n...\n*\n[\n://\n\xff\xfe\n"
                             "a..example\n-\n1.2.3.4/99\n256.1.1.1/8\n"
                             "name with blanks.example\n");
    struct feeds_counts counts;
    feeds_count(feeds, &counts);
    assert_int_equal(counts.n_entries, 0);
    assert_int_equal(counts.n_too_wide, 3);
    assert_int_equal(counts.n_refused, 12);
    assert_null(by_addr(feeds, "8.8.8.8"));
    feeds_free(feeds);

    /* A line of a megabyte is one refused line. */
    size_t size = 1 << 20;
    char *big = malloc(size + 16);
    assert_non_null(big);
    memset(big, 'a', size);
    memcpy(big + size, "\n1.2.3.4\n", 9);
    feeds = feeds_new(1);
    feeds_take(feeds, "big", str_make(big, size + 9));
    feeds_count(feeds, &counts);
    assert_int_equal(counts.n_refused, 1);
    assert_int_equal(counts.n_entries, 1);
    feeds_free(feeds);
    free(big);
}

static void test_many(void **state)
{
    (void)state;
    struct feeds *feeds = feeds_new(3);
    for (unsigned i = 0; i < 50000; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "host%u.example%u.org\n", i, i % 1000);
        feeds_take(feeds, "many", str_make(line, (size_t)len));
        feeds_take(feeds, "again", str_make(line, (size_t)len));
    }
    struct feeds_counts counts;
    feeds_count(feeds, &counts);
    assert_int_equal(counts.n_entries, 50000);
    assert_string_equal(feeds_of_name(feeds, STR("www.host49999.example999.org")), "many");
    assert_null(feeds_of_name(feeds, STR("host50000.example0.org")));
    feeds_free(feeds);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/feeds-test-XXXXXX", path[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/a.txt", folder);
    write_file(path, "\xef\xbb\xbf"
                     "1.2.3.4\r\n");
    (void)snprintf(path, sizeof path, "%s/notes.md", folder);
    write_file(path, "5.6.7.8\n");
    (void)snprintf(path, sizeof path, "%s/long.txt", folder);
    FILE *file = fopen(path, "we");
    for (unsigned i = 0; i < 10000; i++)
        (void)fputc('x', file);
    (void)fputs("\n9.9.9.9\n4.4.4.4", file);
    assert_int_equal(fclose(file), 0);

    struct err err;
    struct feeds *feeds = NULL;
    const char *paths[] = {folder};
    assert_int_equal(feeds_load(paths, 1, 5, &feeds, &err), 0);
    assert_string_equal(by_addr(feeds, "1.2.3.4"), "a.txt");
    assert_null(by_addr(feeds, "5.6.7.8"));
    assert_string_equal(by_addr(feeds, "9.9.9.9"), "long.txt");
    assert_string_equal(by_addr(feeds, "4.4.4.4"), "long.txt");
    struct feeds_counts counts;
    feeds_count(feeds, &counts);
    assert_int_equal(counts.n_files, 2);
    assert_int_equal(counts.n_refused, 1);
    feeds_free(feeds);

    const char *missing[] = {"/nonexistent/feed.txt"};
    assert_int_equal(feeds_load(missing, 1, 5, &feeds, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/feed.txt"));
    const char *device[] = {"/dev/zero"};
    assert_int_equal(feeds_load(device, 1, 5, &feeds, &err), -EINVAL);

    static const char *const files[] = {"a.txt", "notes.md", "long.txt"};
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),    cmocka_unit_test(test_names),
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
