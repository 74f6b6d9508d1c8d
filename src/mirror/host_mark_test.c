/* Marks: what is written is read again, and nobody else's is taken for ours. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>

#include "mirror/host.h"
#include "mirror/host_parts.h"

static void test_alias(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "eth0", "web-1.example_2",
                                        "0123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (int owns = 0; owns < 2; owns++) {
            char alias[LINUX_ALIAS_MAX], name[MIRROR_NAME_MAX];
            bool read = !owns;
            host_put_alias(names[i], owns, alias);
            assert_true(host_read_alias(alias, name, &read));
            assert_string_equal(name, names[i]);
            assert_int_equal(read, owns);
        }
    }
}

static void test_foreign_aliases(void **state)
{
    (void)state;
    static const char *const aliases[] = {
        "",
        "uplink",
        "cloudspan",
        "cloudspan ",
        "cloudspan  clsact",
        " cloudspan a",
        "Cloudspan a",
        "cloudspan-a",
        "cloudspan a clsac",
        "cloudspan a clsact ",
        "cloudspan a clsact clsact",
        "cloudspan a  clsact",
        "cloudspan a b",
        "cloudspan a ",
        "cloudspan 01234567890123456789012345678901",
        "cloudspan 01234567890123456789012345678901 clsact",
    };
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        char name[MIRROR_NAME_MAX] = "before";
        bool owns = true;
        if (host_read_alias(aliases[i], name, &owns))
            fail_msg("'%s' is taken for that of %s", aliases[i], name);
        assert_string_equal(name, "before");
    }
}

static void test_cookie(void **state)
{
    (void)state;
    struct host_cookie cookie = {.owns_clsact = true}, read;
    uint8_t bytes[LINUX_TC_COOKIE_MAX], other[6];
    host_name_mark("eth0", cookie.mirror);
    host_content_mark("program", 7, cookie.content);
    host_put_cookie(&cookie, bytes);
    assert_true(host_read_cookie(bytes, sizeof bytes, &read));
    assert_true(read.owns_clsact);
    assert_memory_equal(read.mirror, cookie.mirror, 6);
    assert_memory_equal(read.content, cookie.content, 6);
    cookie.owns_clsact = false;
    host_put_cookie(&cookie, bytes);
    assert_true(host_read_cookie(bytes, sizeof bytes, &read));
    assert_false(read.owns_clsact);
    /* Another mirror's is another one. */
    host_name_mark("eth1", other);
    assert_memory_not_equal(other, cookie.mirror, 6);
    /* Others have cookies, too: of any size. */
    for (size_t size = 0; size < LINUX_TC_COOKIE_MAX; size++)
        assert_false(host_read_cookie(bytes, size, &read));
    for (int i = 0; i < 3; i++) {
        bytes[i] ^= 1;
        assert_false(host_read_cookie(bytes, sizeof bytes, &read));
        bytes[i] ^= 1;
    }
    bytes[3] = 2; /* of a version to come */
    assert_false(host_read_cookie(bytes, sizeof bytes, &read));
}

/* What is in the kernel was made by the program of yesterday: these may not change. */
static void test_stable(void **state)
{
    (void)state;
    static const uint8_t eth0[6] = {0x9c, 0x32, 0xa8, 0xc7, 0xe5, 0x9e};
    uint8_t mark[6];
    char device[16], content[13];
    host_name_mark("eth0", mark);
    assert_memory_equal(mark, eth0, 6);
    host_device_name("eth0", "eth0", device);
    assert_string_equal(device, "cs-eth0");
    host_device_name("web", "eth0", device);
    assert_string_equal(device, "cs-84aa61e99201");
    json_t *none = json_array();
    host_content_text(none, 0, false, content);
    assert_string_equal(content, "3a50839ddf83");
    json_decref(none);
}

/* A name that the kernel takes, and another one for each. */
static void test_device_names(void **state)
{
    (void)state;
    static const struct {
        const char *mirror, *interface;
    } of[] = {
        {"eth0", "eth0"},
        {"eth1", "eth1"},
        {"web", "eth0"},
        {"web", "eth1"},
        {"web2", "eth0"},
        {"eth0", "eth1"},
        {"a b", "c"},
        {"enp129s0f1np", "enp129s0f1np"},
        {"enp129s0f1np1", "enp129s0f1np1"},
        {"enp129s0f1np2", "enp129s0f1np2"},
        {"0123456789012345678901234567890", "012345678901234"},
    };
    enum { N = sizeof of / sizeof *of };
    char names[N][16];
    for (size_t i = 0; i < N; i++) {
        host_device_name(of[i].mirror, of[i].interface, names[i]);
        assert_true(strlen(names[i]) > 3 && strlen(names[i]) <= 15);
        assert_memory_equal(names[i], "cs-", 3);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names[i], names[k]);
    }
}

/* Of all that cannot be read back of a filter. */
static void test_content(void **state)
{
    (void)state;
    json_t *none = json_array(), *one = json_pack("[[iiiI]]", 6, 0, 0, (json_int_t)1);
    char texts[6][13];
    host_content_text(none, 0, false, texts[0]);
    host_content_text(one, 0, false, texts[1]);
    host_content_text(none, 1, false, texts[2]);
    host_content_text(none, 0, true, texts[3]);
    host_content_text(one, 1, true, texts[4]);
    host_content_text(none, 0, false, texts[5]);
    assert_string_equal(texts[0], texts[5]);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(texts[i], texts[k]);
    json_decref(none);
    json_decref(one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alias),  cmocka_unit_test(test_foreign_aliases),
        cmocka_unit_test(test_cookie), cmocka_unit_test(test_device_names),
        cmocka_unit_test(test_stable), cmocka_unit_test(test_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
