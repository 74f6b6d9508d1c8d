/* The tables of TLS numbers: sorted, and what is not in them. */
#include "proto/tls_names.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    char room[TLS_NAME_ROOM];
    uint32_t before = 0;
    for (uint32_t number = 0; number < 0x80000; number++) {
        const struct tls_cipher *cipher = tls_cipher_find(number);
        assert_true(!cipher || (cipher->number == number && (number == 0 || before < number)));
        before = cipher ? number : before;
    }
    assert_true(str_eq(tls_cipher_name(0x1301, room), STR("TLS_AES_128_GCM_SHA256")));
    assert_true(str_eq(tls_cipher_name(0x5555, room), STR("unknown-21845")));
    assert_true(str_eq(tls_version_name(0x7f13, room), STR("TLSv13-draft19")));
    assert_true(str_eq(tls_version_name(TLS_DTLS13, room), STR("DTLSv13")));
    assert_true(str_eq(tls_version_name(0x0999, room), STR("unknown-2457")));
    assert_true(str_eq(tls_curve_name(4588, room), STR("X25519MLKEM768")));
    assert_true(str_eq(tls_curve_name(0x0a0a, room), STR("grease_0x0A0A")));
    assert_true(str_eq(tls_alert_name(120, room), STR("no_application_protocol")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
