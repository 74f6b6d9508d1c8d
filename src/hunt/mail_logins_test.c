/* Logins that a mail server refuses one after the other are found; a wrong password that its user
 * corrects, and mails that are refused for other reasons, are not. */
#include "hunt/quiet_bed.h"

#define HOST   "10.0.0.5"
#define SERVER "192.0.2.25"
#define HUNT   "mail-logins"

static void mail(struct quiet_bed *bed, double s, const char *src, const char *dst,
                 const char *reply)
{
    struct hunt_record record = bed_record(HUNT_SMTP, s, (uint64_t)(7000 + s), src, dst, 25);
    record.smtp.last_reply = str_c(reply);
    quiet_put(bed, record);
}

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *reply;
        double every;
        unsigned n;
        bool found;
    } cases[] = {
        {"554 5.7.1 bad smtp-auth user", 3, 4, true},
        {"535 5.7.8 Error: authentication failed", 0.5, 50, true},
        {"535 no", 4, 3, true},
        {"454 4.7.0 Temporary AUTHENTICATION failure", 1, 3, true},
        {"535 no", 4, 2, false},
        {"535 no", 30, 20, false}, /* a program with an old password */
        {"550 5.1.1 no such user here", 1, 20, false},
        {"250 2.7.0 Authentication successful", 1, 20, false},
        {"5", 1, 20, false},
        {"", 1, 20, false},
        {NULL, 1, 20, false},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quiet_bed bed;
        quiet_begin(&bed, NULL);
        for (unsigned k = 0; k < cases[i].n; k++)
            mail(&bed, 100 + k * cases[i].every, HOST, SERVER, cases[i].reply);
        const struct finding *found = quiet_found(&bed, HUNT, 0);
        if ((found != NULL) != cases[i].found)
            fail_msg("case %u: %s", i, found ? found->title : "nothing");
        if (found) {
            assert_int_equal(found->n, cases[i].n);
            assert_true(cases[i].n < 10 ? found->score < 0.4 : found->score >= 0.4);
            assert_string_equal(found->ports, "25:tcp:smtp");
        }
        quiet_end(&bed);
    }
}

static void test_ways(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    for (unsigned k = 0; k < 20; k++) {
        mail(&bed, 100 + k, HOST, "10.0.0.25", "535 no");
        mail(&bed, 100 + k, "203.0.113.7", "10.0.0.25", "535 no"); /* the Internet */
    }
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(quiet_says(found, "inside the network"));
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
