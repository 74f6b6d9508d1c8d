/* AES-128: a block of FIPS 197, and a sealed text of the GCM specification (test case 4), whole and
 * damaged in every byte. */
#include "base/aead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0] && hex[1]; hex += 2) {
        const char pair[] = {hex[0], hex[1], 0};
        out[n++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return n;
}

static void block_is_that_of_the_standard(void **state)
{
    (void)state;
    uint8_t key[16], in[16], expected[16], out[16];
    unhex("000102030405060708090a0b0c0d0e0f", key);
    unhex("00112233445566778899aabbccddeeff", in);
    unhex("69c4e0d86a7b0430d8cdb78070b4c55a", expected);
    struct aead *aead = aead_new();
    assert_non_null(aead);
    for (int i = 0; i < 2; i++) { /* the second time with a used context */
        assert_true(aead_block(aead, key, in, out));
        assert_memory_equal(out, expected, 16);
    }
    aead_free(aead);
}

static void sealed_text_opens_unless_damaged(void **state)
{
    (void)state;
    uint8_t key[16], nonce[12], more[20], text[60], sealed[76], out[60];
    unhex("feffe9928665731c6d6a8f9467308308", key);
    unhex("cafebabefacedbaddecaf888", nonce);
    unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", more);
    unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
          text);
    size_t size = unhex("42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                        "5bc94fbc3221a5db94fae95ae7121a47",
                        sealed);
    struct aead *aead = aead_new();
    assert_non_null(aead);
    for (unsigned cut = 0; cut <= 20; cut++) {
        const struct str parts[] = {str_make(more, cut), str_make(more + cut, 20 - cut)};
        memset(out, 0, sizeof out);
        assert_true(aead_open(aead, key, nonce, parts, 2, str_make(sealed, size), out));
        assert_memory_equal(out, text, sizeof text);
    }
    const struct str parts[] = {str_make(more, 20)};
    for (size_t i = 0; i < size; i++) {
        sealed[i] ^= 0x10;
        assert_false(aead_open(aead, key, nonce, parts, 1, str_make(sealed, size), out));
        sealed[i] ^= 0x10;
        assert_false(aead_open(aead, key, nonce, parts, 1, str_make(sealed, i), out));
    }
    assert_true(aead_open(aead, key, nonce, parts, 1, str_make(sealed, size), out));
    aead_free(aead);
}

static void tag_alone_seals_nothing(void **state)
{
    (void)state;
    uint8_t key[16] = {0}, nonce[12] = {0}, tag[16], out[1];
    unhex("58e2fccefa7e3061367f1d57a4e7455a", tag); /* test case 1 */
    struct aead *aead = aead_new();
    assert_non_null(aead);
    assert_true(aead_open(aead, key, nonce, NULL, 0, str_make(tag, 16), out));
    aead_free(aead);
    aead_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_is_that_of_the_standard),
        cmocka_unit_test(sealed_text_opens_unless_damaged),
        cmocka_unit_test(tag_alone_seals_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
