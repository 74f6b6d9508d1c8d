/* Keys of Initial packets: those of RFC 9001, A.1, and RFC 9369, A.1. */
#include "proto/quic_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"

#define RFC_ID STR("\x83\x94\xc8\xf0\x3e\x51\x57\x08")

static void check_hex(const void *bytes, size_t size, const char *expected)
{
    char hex[2 * AEAD_KEY_SIZE + 1] = "";
    hash_hex(bytes, size, hex);
    assert_string_equal(hex, expected);
}

static void check_keys(uint32_t version, bool from_client, const char *key, const char *nonce,
                       const char *mask)
{
    struct quic_keys keys;
    quic_derive_keys(version, RFC_ID, from_client, &keys);
    check_hex(keys.key, sizeof keys.key, key);
    check_hex(keys.nonce, sizeof keys.nonce, nonce);
    check_hex(keys.mask, sizeof keys.mask, mask);
}

static void keys_are_those_of_the_rfcs(void **state)
{
    (void)state;
    check_keys(QUIC_VERSION_1, true, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
               "9f50449e04a0e810283a1e9933adedd2");
    check_keys(QUIC_VERSION_1, false, "cf3a5331653c364c88f0f379b6067e37",
               "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314");
    check_keys(QUIC_VERSION_2, true, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
               "45b95e15235d6f45a6b19cbcb0294ba9");
    check_keys(QUIC_VERSION_2, false, "82db637861d55e1d011f19ea71d5d2a7",
               "dd13c276499c0249d3310652", "edf6d05c83121201b436e16877593c3a");
}

static void versions_have_names(void **state)
{
    (void)state;
    assert_string_equal(quic_version_name(0xff00001d), "draft-29");
    assert_string_equal(quic_version_name(0xfaceb002), "mvfst (faceb002)");
    assert_null(quic_version_name(0xff000015));
    assert_null(quic_version_name(0xfaceb003));
    assert_null(quic_version_name(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_those_of_the_rfcs),
        cmocka_unit_test(versions_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
