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

/* RFC 4231, test cases 1, 2 and 6. */
static void test_hmac(void **state)
{
    (void)state;
    uint8_t key[131], mac[HASH_SHA256_SIZE];
    memset(key, 0x0b, 20);
    hash_hmac_sha256(key, 20, "Hi There", 8, mac);
    hex_is(mac, sizeof mac, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    hash_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac);
    hex_is(mac, sizeof mac, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    hash_hmac_sha256(key, sizeof key, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
                     mac);
    hex_is(mac, sizeof mac, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* A key of the digest before, in its place. */
static void test_hmac_in_place(void **state)
{
    (void)state;
    uint8_t key[HASH_SHA256_SIZE], other[HASH_SHA256_SIZE];
    hash_sha256("", 0, key);
    hash_hmac_sha256(key, sizeof key, "x", 1, other);
    hash_hmac_sha256(key, sizeof key, "x", 1, key);
    assert_memory_equal(key, other, sizeof key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_hmac_in_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
