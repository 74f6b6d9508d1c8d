/* The digests against published values. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hex_is(const uint8_t *digest, size_t size, const char *expected)
{
    char text[64 + 1] = "";
    hash_hex(digest, size, text);
    assert_string_equal(text, expected);
}

static void test_known_values(void **state)
{
    (void)state;
    uint8_t md5[HASH_MD5_SIZE];
    uint8_t sha1[HASH_SHA1_SIZE];
    uint8_t sha256[HASH_SHA256_SIZE];
    hash_md5("abc", 3, md5);
    hash_sha1("abc", 3, sha1);
    hash_sha256("abc", 3, sha256);
    hex_is(md5, sizeof md5, "900150983cd24fb0d6963f7d28e17f72");
    hex_is(sha1, sizeof sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    hex_is(sha256, sizeof sha256,
           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_empty(void **state)
{
    (void)state;
    uint8_t sha256[HASH_SHA256_SIZE];
    hash_sha256("", 0, sha256);
    hex_is(sha256, sizeof sha256,
           "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
