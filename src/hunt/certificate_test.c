/* Certificates of tools, and odd ones at servers that nobody else knows, are found; good ones, and
 * those that are only a little odd, are not. */
#include "hunt/quiet_bed.h"

#define HOST   "10.0.0.5"
#define SERVER "192.0.2.44"
#define HUNT   "certificate"
#define PRINT  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define YEAR   (365 * (int64_t)DAY_S)

struct cert {
    const char *subject, *issuer, *san;
    int64_t from, to; /* s, from BED_T0 on */
    const char *name;
    const char *validation;
    const char *src, *dst;
};

static const struct cert good = {.subject = "CN=www.example.org,O=Example",
                                 .issuer = "CN=R3,O=Let's Encrypt,C=US",
                                 .san = "example.org\nwww.example.org\n*.cdn.example.org",
                                 .from = -30 * (int64_t)DAY_S,
                                 .to = 60 * (int64_t)DAY_S,
                                 .name = "www.example.org"};

/* With x509.log (our own logs and new ones), or with what ssl.log says alone. */
static void put(struct quiet_bed *bed, const struct cert *cert, bool with_x509)
{
    struct hunt_record ssl =
        bed_ssl(100, 7, cert->src ? cert->src : HOST, cert->dst ? cert->dst : SERVER, cert->name);
    ssl.ssl.established = true;
    ssl.ssl.validation = str_c(cert->validation);
    if (with_x509) {
        ssl.ssl.cert_chain = STR(PRINT ",ffffffffffffffffffffffffffffffffffffffff");
    } else {
        ssl.ssl.subject = str_c(cert->subject);
        ssl.ssl.issuer = str_c(cert->issuer);
        ssl.ssl.cert_chain = STR("FXyz12abcDEF45");
    }
    quiet_put(bed, ssl);
    struct hunt_record x509 = {.log = HUNT_X509, .ts = ssl.ts};
    x509.x509.fingerprint = with_x509 ? STR(PRINT) : STR("FXyz12abcDEF45");
    x509.x509.subject = str_c(cert->subject);
    x509.x509.issuer = str_c(cert->issuer);
    x509.x509.san = str_c(cert->san);
    x509.x509.not_before = (BED_T0 + cert->from) * SECOND;
    x509.x509.not_after = (BED_T0 + cert->to) * SECOND;
    x509.x509.key_type = STR("rsa");
    x509.x509.key_length = 2048;
    quiet_put(bed, x509);
}

/* Scores in a small network, where nothing is rare. */
static double score_of(const struct cert *cert, bool with_x509, const char *says)
{
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    put(&bed, cert, with_x509);
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    double score = found ? found->score : 0;
    if (found && says)
        assert_true(quiet_says(found, says));
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
    return score;
}

static void test_tools(void **state)
{
    (void)state;
    struct cert cert = good;
    cert.subject = "CN=Major Cobalt Strike,OU=AdvancedPenTesting,O=cobaltstrike,C=Earth";
    cert.issuer = cert.subject;
    cert.name = "";
    assert_true(score_of(&cert, true, "Cobalt Strike's default") > 0.8);
    assert_true(score_of(&cert, false, "Cobalt Strike's default") > 0.8);
    cert.subject = cert.issuer = "CN=AsyncRAT Server";
    assert_true(score_of(&cert, true, "AsyncRAT") > 0.8);
    /* Inside as well. */
    cert.dst = "10.0.0.9";
    assert_true(score_of(&cert, true, "AsyncRAT") > 0.8);
}

static void test_odd(void **state)
{
    (void)state;
    for (unsigned with_x509 = 0; with_x509 < 2; with_x509++) {
        struct cert cert = good;
        cert.subject = cert.issuer = "O=Internet Widgits Pty Ltd,ST=Some-State,C=AU";
        cert.name = "";
        assert_true(score_of(&cert, with_x509, "OpenSSL's default") >= 0.4);
        cert = good;
        cert.issuer = cert.subject = "CN=rempel.example.net,O=Rempel";
        cert.san = NULL;
        cert.name = "www.bank.example";
        assert_true(score_of(&cert, with_x509, "asked for www.bank.example") >= 0.4);
        cert = good;
        cert.name = "www.other.example";
        cert.to = -10 * (int64_t)DAY_S;
        cert.validation = "certificate has expired";
        double score = score_of(&cert, with_x509, NULL);
        assert_true(score < 0.4);
        cert = good;
        cert.issuer = cert.subject;
        cert.to = 60 * YEAR;
        assert_true(score_of(&cert, with_x509, "valid for 60 years") >= 0.3);
    }
}

static void test_good(void **state)
{
    (void)state;
    struct cert cert = good;
    for (unsigned with_x509 = 0; with_x509 < 2; with_x509++) {
        assert_true(score_of(&cert, with_x509, NULL) <= 0);
        cert.name = "x.cdn.example.org";
        assert_true(score_of(&cert, with_x509, NULL) <= 0);
        /* No name, but nothing else is odd. */
        cert.name = "";
        assert_true(score_of(&cert, with_x509, NULL) <= 0);
        /* Signed by itself alone is common, and inside it is the rule. */
        cert = good;
        cert.issuer = cert.subject;
        assert_true(score_of(&cert, with_x509, NULL) <= 0);
        cert.name = "";
        cert.dst = "10.0.0.9";
        assert_true(score_of(&cert, with_x509, NULL) <= 0);
        cert = good;
    }
}

/* At a server that nobody else knows it weighs more. */
static void test_rare(void **state)
{
    (void)state;
    struct cert cert = good;
    cert.issuer = cert.subject;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    quiet_neighbours(&bed, 0, 30);
    put(&bed, &cert, true);
    quiet_put(&bed, bed_conn(100, 7, HOST, SERVER, 443, "ssl"));
    const struct finding *found = quiet_found(&bed, HUNT, 0);
    assert_non_null(found);
    assert_true(quiet_says(found, "no other of"));
    assert_true(found->score >= 0.4 && found->score <= 0.6);
    assert_null(quiet_found(&bed, HUNT, 1));
    quiet_end(&bed);
}

/* Captures whose clock begins at 0 say nothing of validity. */
static void test_no_clock(void **state)
{
    (void)state;
    struct quiet_bed bed;
    quiet_begin(&bed, NULL);
    struct cert cert = good;
    cert.validation = "certificate is not yet valid";
    for (unsigned i = 0; i < 2; i++) {
        struct hunt_record record =
            i ? (struct hunt_record){.log = HUNT_X509} : bed_ssl(0, 7, HOST, SERVER, cert.name);
        record.ts = 95 * SECOND;
        if (i) {
            record.x509.fingerprint = STR(PRINT);
            record.x509.subject = str_c(cert.subject);
            record.x509.issuer = str_c(cert.issuer);
            record.x509.san = str_c(cert.san);
            record.x509.not_before = BED_T0 * SECOND;
            record.x509.not_after = (BED_T0 + YEAR) * SECOND;
        } else {
            record.ssl.cert_chain = STR(PRINT);
            record.ssl.validation = str_c(cert.validation);
            record.ssl.established = true;
        }
        quiet_put(&bed, record);
    }
    assert_null(quiet_found(&bed, HUNT, 0));
    quiet_end(&bed);
}

/* More names than are kept: what is not kept may be the one. */
static void test_many_names(void **state)
{
    (void)state;
    static char san[20000];
    size_t len = 0;
    for (unsigned i = 0; len + 40 < sizeof san; i++)
        len += (size_t)snprintf(san + len, sizeof san - len, "host%u.elsewhere.example\n", i);
    struct cert cert = good;
    cert.san = san;
    cert.issuer = cert.subject = "CN=elsewhere.example";
    assert_true(score_of(&cert, true, NULL) <= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tools),    cmocka_unit_test(test_odd),
        cmocka_unit_test(test_good),     cmocka_unit_test(test_rare),
        cmocka_unit_test(test_no_clock), cmocka_unit_test(test_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
