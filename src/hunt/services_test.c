/* Well-known services are known by name and port, and nothing else passes for one. */
#include "hunt/services.h"

#include "hunt/hunt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_known(void **state)
{
    (void)state;
    assert_string_equal(hunt_known_service(STR(""), 123, HUNT_UDP), "NTP");
    assert_string_equal(hunt_known_service(STR("2.debian.pool.ntp.org"), 123, HUNT_UDP), "NTP");
    assert_string_equal(hunt_known_service(STR("au.download.WINDOWSUPDATE.com"), 80, HUNT_TCP),
                        "Windows Update");
    assert_string_equal(hunt_known_service(STR("deb.debian.org:80"), 80, HUNT_TCP),
                        "Debian packages");
    assert_string_equal(hunt_known_service(STR("ocsp.digicert.com"), 80, HUNT_TCP),
                        "certificate status (DigiCert)");
    assert_non_null(hunt_known_service(STR("push.apple.com"), 5223, HUNT_TCP));
}

static void test_unknown(void **state)
{
    (void)state;
    assert_null(hunt_known_service(STR(""), 443, HUNT_TCP));
    assert_null(hunt_known_service(STR(""), 123, HUNT_TCP));
    assert_null(hunt_known_service(STR("example.com"), 443, HUNT_TCP));
    /* Not below it, only ending alike. */
    assert_null(hunt_known_service(STR("evilwindowsupdate.com"), 443, HUNT_TCP));
    assert_null(hunt_known_service(STR("windowsupdate.com.evil.example"), 443, HUNT_TCP));
    /* Anybody's servers are under these. */
    assert_null(hunt_known_service(STR("d111.cloudfront.net"), 443, HUNT_TCP));
    assert_null(hunt_known_service(STR("x.s3.amazonaws.com"), 443, HUNT_TCP));
    /* An update server on a port of its own. */
    assert_null(hunt_known_service(STR("update.microsoft.com"), 4444, HUNT_TCP));
}

static void test_zones(void **state)
{
    (void)state;
    assert_non_null(services_of_zone(STR("4.3.2.1.zen.spamhaus.org")));
    assert_non_null(services_of_zone(STR("4.3.2.1.in-addr.arpa")));
    assert_null(services_of_zone(STR("spamhaus.org.example.net")));
    assert_null(services_of_zone(STR("www.ggy666.tk")));
    assert_true(services_is_private(STR("printer.local")));
    assert_true(services_is_private(STR("qwertyuiop.lan")));
    assert_false(services_is_private(STR("local.example.com")));
    assert_false(services_is_private(STR("c2.evil.example")));
    assert_false(services_is_private(STR("c2.evil.test")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_zones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
