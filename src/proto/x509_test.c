/* Certificates made by OpenSSL, and the same with bytes changed, read by our walker and by OpenSSL:
 * both must agree on whether it is a certificate and on every text that is logged. With a file name
 * as argument: certificates in hexadecimal, one a line, instead of the ones made here. */
#include "proto/x509.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "proto/oid.h"

#define TEXT_SIZE 65536

struct text {
    char at[TEXT_SIZE];
    size_t len;
};

static void add(struct text *text, const char *name, const char *bytes, size_t len)
{
    size_t room = sizeof text->at - 1 - text->len;
    int n = snprintf(text->at + text->len, room, "%s=", name);
    text->len += (size_t)n < room ? (size_t)n : room;
    for (size_t i = 0; i < len && text->len + 5 < sizeof text->at; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c >= ' ' && c < 0x7f)
            text->at[text->len++] = (char)c;
        else
            text->len += (size_t)snprintf(text->at + text->len, 5, "{%02x}", c);
    }
    if (text->len + 1 < sizeof text->at)
        text->at[text->len++] = '\n';
    text->at[text->len] = '\0';
}

static void add_number(struct text *text, const char *name, long long value)
{
    char number[32];
    add(text, name, number, (size_t)snprintf(number, sizeof number, "%lld", value));
}

/* What our reader says. */
static bool ours(const uint8_t *bytes, size_t size, struct text *out)
{
    struct x509 cert;
    out->len = 0;
    if (!x509_parse(str_make(bytes, size), &cert))
        return false;
    static char buffer[2047];
    add_number(out, "version", (long long)cert.version);
    add(out, "serial", buffer, x509_serial_format(cert.serial, buffer, sizeof buffer));
    add(out, "subject", buffer, x509_name_format(cert.subject, buffer, sizeof buffer));
    add(out, "issuer", buffer, x509_name_format(cert.issuer, buffer, sizeof buffer));
    size_t len;
    if (x509_name_common(cert.subject, buffer, sizeof buffer, &len))
        add(out, "cn", buffer, len);
    struct x509_key key;
    x509_read_key(&cert, &key);
    add(out, "key_alg", key.algorithm, strlen(key.algorithm));
    const struct oid *signature = oid_find(cert.signature_oid);
    const char *name = signature ? oid_long_name(signature) : "";
    add(out, "sig_alg", name, strlen(name));
    add(out, "type", key.type, strlen(key.type));
    add_number(out, "bits", key.bits);
    add(out, "exponent", key.exponent, strlen(key.exponent));
    add(out, "curve", key.curve ? key.curve : "", key.curve ? strlen(key.curve) : 0);
    static const enum x509_name_kind kinds[] = {X509_DNS, X509_URI, X509_EMAIL, X509_IP};
    if (cert.has_san) {
        for (size_t i = 0; i < 4; i++) {
            struct reader names = cert.san;
            struct str one;
            while (x509_next_name(&names, kinds[i], &one))
                add(out, "san", one.at, one.len);
        }
    }
    if (cert.has_constraints) {
        add_number(out, "ca", cert.ca);
        if (cert.has_path_length)
            add_number(out, "path", (int)cert.path_length);
    }
    return true;
}

static void add_bio(struct text *text, const char *name, BIO *bio, bool line)
{
    static char buffer[2048];
    int len =
        line ? BIO_gets(bio, buffer, sizeof buffer) : BIO_read(bio, buffer, sizeof buffer - 1);
    add(text, name, buffer, len > 0 ? (size_t)len : 0);
    (void)BIO_reset(bio);
}

static void add_names(struct text *out, GENERAL_NAMES *names)
{
    static const int kinds[] = {GEN_DNS, GEN_URI, GEN_EMAIL, GEN_IPADD};
    for (size_t k = 0; k < 4; k++) {
        for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
            const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
            if (name->type == kinds[k])
                add(out, "san", (const char *)ASN1_STRING_get0_data(name->d.ia5),
                    (size_t)ASN1_STRING_length(name->d.ia5));
        }
    }
}

static void oracle_key(X509 *x, BIO *bio, struct text *out)
{
    ASN1_OBJECT *algorithm;
    const unsigned char *bits;
    int size;
    X509_PUBKEY_get0_param(&algorithm, &bits, &size, NULL, X509_get_X509_PUBKEY(x));
    char buffer[256];
    if (!i2t_ASN1_OBJECT(buffer, 95, algorithm))
        buffer[0] = '\0';
    add(out, "key_alg", buffer, strlen(buffer));
    if (!i2t_ASN1_OBJECT(buffer, 95, OBJ_nid2obj(X509_get_signature_nid(x))))
        buffer[0] = '\0';
    add(out, "sig_alg", buffer, strlen(buffer));
    EVP_PKEY *key = OBJ_obj2nid(algorithm) == NID_md5WithRSAEncryption
                        ? d2i_PublicKey(EVP_PKEY_RSA, NULL, &bits, size)
                        : X509_get_pubkey(x);
    const char *type = "";
    char exponent[4096] = "";
    char curve[256] = "";
    int n_bits = 0;
    if (key) {
        n_bits = EVP_PKEY_bits(key);
        switch (EVP_PKEY_base_id(key)) {
        case EVP_PKEY_DSA:
            type = "dsa";
            break;
        case EVP_PKEY_RSA: {
            type = "rsa";
            BIGNUM *e = NULL;
            EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e);
            char *decimal = BN_bn2dec(e);
            snprintf(exponent, sizeof exponent, "%s", decimal);
            OPENSSL_free(decimal);
            BN_free(e);
            break;
        }
        case EVP_PKEY_EC:
            type = "ecdsa";
            EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, curve, 255, NULL);
            break;
        default:
            type = EVP_PKEY_get0_type_name(key);
        }
    }
    add(out, "type", type, strlen(type));
    add_number(out, "bits", n_bits < 0 ? 0 : n_bits);
    add(out, "exponent", exponent, strlen(exponent));
    add(out, "curve", curve, strlen(curve));
    EVP_PKEY_free(key);
    (void)bio;
}

static void oracle_extensions(X509 *x, struct text *out)
{
    GENERAL_NAMES *names = NULL;
    BASIC_CONSTRAINTS *constraints = NULL;
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *extension = X509_get_ext(x, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
        void *value = nid == NID_subject_alt_name || nid == NID_basic_constraints
                          ? X509V3_EXT_d2i(extension)
                          : NULL;
        if (value && nid == NID_subject_alt_name) {
            GENERAL_NAMES_free(names);
            names = value;
        } else if (value) {
            BASIC_CONSTRAINTS_free(constraints);
            constraints = value;
        }
    }
    if (names)
        add_names(out, names);
    if (constraints) {
        add_number(out, "ca", constraints->ca != 0);
        if (constraints->pathlen)
            add_number(out, "path", (int)ASN1_INTEGER_get(constraints->pathlen));
    }
    GENERAL_NAMES_free(names);
    BASIC_CONSTRAINTS_free(constraints);
}

static bool oracle(const uint8_t *bytes, size_t size, struct text *out)
{
    out->len = 0;
    const unsigned char *at = bytes;
    X509 *x = d2i_X509(NULL, &at, (long)size);
    if (!x)
        return false;
    BIO *bio = BIO_new(BIO_s_mem());
    add_number(out, "version", (long long)X509_get_version(x) + 1);
    i2a_ASN1_INTEGER(bio, X509_get_serialNumber(x));
    add_bio(out, "serial", bio, false);
    X509_NAME_print_ex(bio, X509_get_subject_name(x), 0, XN_FLAG_RFC2253);
    add_bio(out, "subject", bio, true);
    X509_NAME_print_ex(bio, X509_get_issuer_name(x), 0, XN_FLAG_RFC2253);
    add_bio(out, "issuer", bio, true);
    int last = -1;
    for (int i = -1;
         (i = X509_NAME_get_index_by_NID(X509_get_subject_name(x), NID_commonName, i)) >= 0;)
        last = i;
    if (last >= 0) {
        ASN1_STRING_print(
            bio, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(x), last)));
        add_bio(out, "cn", bio, true);
    }
    oracle_key(x, bio, out);
    oracle_extensions(x, out);
    BIO_free(bio);
    X509_free(x);
    return true;
}

/* A point that is not on its curve makes OpenSSL refuse the key; we do not look. */
static bool may_differ(const struct text *we, const struct text *they)
{
    const char *ec = strstr(we->at, "\ntype=ecdsa\n");
    if (!ec)
        ec = strstr(we->at, "\ntype=SM2\n");
    return ec && strncmp(we->at, they->at, (size_t)(ec - we->at)) == 0 &&
           strstr(they->at, "\ntype=\nbits=0\n");
}

static struct text we, they;
static unsigned long n_compared, n_refused, n_different;

static bool compare(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, bytes, size);
    bool we_can = ours(exact, size, &we);
    bool they_can = oracle(exact, size, &they);
    free(exact);
    ERR_clear_error();
    n_compared++;
    n_refused += !they_can;
    if (we_can == they_can && (!we_can || strcmp(we.at, they.at) == 0 || may_differ(&we, &they)))
        return true;
    if (n_different++ >= 5)
        return false;
    size_t same = 0;
    while (we_can && they_can && we.at[same] == they.at[same])
        same++;
    while (same > 0 && we.at[same - 1] != '\n')
        same--;
    printf("ours (%d): %.200s\nOpenSSL's (%d): %.200s\n", we_can, we_can ? we.at + same : "",
           they_can, they_can ? they.at + same : "");
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
    printf("\n");
    return false;
}

static uint32_t random_state = 1;

static uint32_t next_random(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

static void add_name(X509_NAME *name, const char *field, int type, const char *bytes, int len,
                     int set)
{
    assert_true(
        X509_NAME_add_entry_by_txt(name, field, type, (const unsigned char *)bytes, len, -1, set));
}

static EVP_PKEY *make_key(int kind)
{
    switch (kind) {
    case 0:
        return EVP_RSA_gen(1024);
    case 1:
        return EVP_EC_gen("P-256");
    case 2:
        return EVP_EC_gen("secp384r1");
    case 3:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case 4:
        return EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    case 5:
        return EVP_EC_gen("brainpoolP320r1");
    case 6:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
    case 7:
        return EVP_PKEY_Q_keygen(NULL, NULL, "X448");
    default:
        return EVP_EC_gen("sect283k1");
    }
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(extension);
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
}

/* One of a few dozen shapes of certificate, in DER. */
static size_t make(unsigned shape, uint8_t *out, size_t room)
{
    X509 *x = X509_new();
    EVP_PKEY *key = make_key((int)(shape % 9));
    assert_non_null(key);
    X509_set_version(x, shape % 3);
    static const char long_serial[] = "112233445566778899AABBCCDDEEFF00112233445566778899AABB"
                                      "CCDDEEFF00112233445566778899AABBCCDDEEFF00";
    static const char *const serials[] = {"0", "1", "-1", "-8000", "FF", long_serial};
    BIGNUM *number = NULL;
    BN_hex2bn(&number, serials[shape % 6]);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    ASN1_TIME_set(X509_getm_notBefore(x), 1400000000 - (long)shape * 100000000);
    ASN1_TIME_set(X509_getm_notAfter(x), 1500000000 + (long)shape * 100000000);
    X509_NAME *name = X509_get_subject_name(x);
    add_name(name, "C", MBSTRING_ASC, "DE", -1, 0);
    if (shape & 1)
        add_name(name, "O", V_ASN1_UTF8STRING, "M\xc3\xbcller, S\xc3\xb6hne + \"Co\" <x>;\\=#", -1,
                 0);
    if (shape & 2)
        add_name(name, "OU", V_ASN1_T61STRING,
                 " Stra\xdf"
                 "e\0\x01 ",
                 10, 0);
    if (shape & 4)
        add_name(name, "L", V_ASN1_BMPSTRING, "\0K\0\xf6\4\x1f\0 ", 8, 0);
    if (shape & 8)
        add_name(name, "ST", V_ASN1_UNIVERSALSTRING, "\0\0\0#\0\1\xf6\0\0\0\0Z", 12, 0);
    if (shape & 16)
        add_name(name, "1.2.3.4.5", V_ASN1_UTF8STRING, "unknown", -1, 0);
    add_name(name, "CN", V_ASN1_PRINTABLESTRING, "a.example", -1, 0);
    add_name(name, "serialNumber", V_ASN1_PRINTABLESTRING, "#1 ", -1, -1);
    add_name(name, "emailAddress", V_ASN1_IA5STRING, "#", -1, 0);
    if (shape & 32)
        add_name(name, "CN", V_ASN1_BMPSTRING, "\0b\0.\0c", 6, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    add_extension(x, NID_basic_constraints, shape & 1 ? "CA:TRUE,pathlen:3" : "CA:FALSE");
    if (shape & 2)
        add_extension(x, NID_subject_alt_name,
                      "DNS:a.example,DNS:*.b.example,URI:http://c/,email:d@e.f,IP:1.2.3.4,"
                      "IP:2001:db8::1,RID:1.2.3,otherName:1.2.3.4;UTF8:x");
    add_extension(x, NID_key_usage, "critical,digitalSignature");
    EVP_PKEY *signer = shape % 9 == 4 || shape % 9 == 7 ? make_key(1) : key;
    bool no_digest = shape % 9 == 3 || shape % 9 == 6;
    assert_true(X509_sign(x, signer, no_digest ? NULL : EVP_sha256()) > 0);
    unsigned char *at = out;
    int size = i2d_X509(x, NULL);
    assert_true(size > 0 && (size_t)size <= room);
    i2d_X509(x, &at);
    if (signer != key)
        EVP_PKEY_free(signer);
    EVP_PKEY_free(key);
    X509_free(x);
    return (size_t)size;
}

static void mutate(const uint8_t *bytes, size_t size, int rounds)
{
    static uint8_t changed[65536];
    if (size > sizeof changed)
        return;
    for (int i = 0; i < rounds; i++) {
        memcpy(changed, bytes, size);
        uint32_t n = 1 + next_random(3);
        while (n-- > 0)
            changed[next_random((uint32_t)size)] =
                next_random(2) ? (uint8_t)next_random(256) : changed[next_random((uint32_t)size)];
        compare(changed, size);
    }
}

static void test_made(void **state)
{
    (void)state;
    static uint8_t bytes[16384];
    for (unsigned shape = 0; shape < 64; shape++) {
        size_t size = make(shape, bytes, sizeof bytes);
        assert_true(compare(bytes, size));
        for (size_t cut = 0; cut < size; cut += 7)
            assert_true(compare(bytes, cut));
        mutate(bytes, size, 150);
    }
    print_message("%lu compared, %lu refused, %lu different\n", n_compared, n_refused, n_different);
    assert_true(n_different * 200 < n_compared);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        uint8_t tag;
        const char *text;
        int64_t expected;
    } rows[] = {
        {DER_UTC_TIME, "150304050607Z", 1425445567},
        {DER_UTC_TIME, "1503040506Z", 1425445560},
        {DER_UTC_TIME, "500101000000Z", -631152000},
        {DER_UTC_TIME, "150304050607+0100", 0},
        {DER_GENERALIZED_TIME, "20500101000000Z", 2524608000},
        {DER_GENERALIZED_TIME, "99991231235959Z", 253402300799},
        {DER_GENERALIZED_TIME, "201503040506", 1425445560},
        {DER_GENERALIZED_TIME, "20150304050607.5Z", 1425445567},
        {DER_GENERALIZED_TIME, "20150304050607+0130", 1425445567 + 90},
        {DER_GENERALIZED_TIME, "20150304", 0},
        {DER_INTEGER, "150304050607Z", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct der time = {.tag = rows[i].tag,
                           .content = rd_make(rows[i].text, strlen(rows[i].text))};
        assert_int_equal(x509_time(&time), rows[i].expected);
    }
}

static void test_host_names(void **state)
{
    (void)state;
    static uint8_t bytes[16384];
    struct x509 cert;
    assert_true(x509_parse(str_make(bytes, make(2, bytes, sizeof bytes)), &cert));
    assert_true(x509_matches_host(&cert, STR("a.example")));
    assert_true(x509_matches_host(&cert, STR("x.b.example")));
    assert_false(x509_matches_host(&cert, STR("x.y.b.example")));
    assert_false(x509_matches_host(&cert, STR("b.example")));
    assert_false(x509_matches_host(&cert, STR("A.example")));
    assert_true(x509_parse(str_make(bytes, make(32, bytes, sizeof bytes)), &cert));
    assert_false(x509_matches_host(&cert, STR("a.example"))); /* not the last common name */
}

static void test_names_of_oids(void **state)
{
    (void)state;
    for (size_t i = 0; i < oid_n_table; i++) {
        char numbers[128];
        struct str bytes = str_make(oid_table[i].bytes, oid_table[i].size);
        assert_true(oid_valid(bytes));
        assert_ptr_equal(oid_find(bytes), &oid_table[i]);
        numbers[oid_format(bytes, numbers, sizeof numbers - 1)] = '\0';
        int nid = OBJ_txt2nid(numbers);
        if (nid == NID_undef)
            continue; /* another OpenSSL */
        assert_string_equal(OBJ_nid2sn(nid), oid_table[i].short_name);
        assert_string_equal(OBJ_nid2ln(nid), oid_long_name(&oid_table[i]));
    }
}

static int compare_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return 1;
    static char line[400000];
    static uint8_t bytes[200000];
    while (fgets(line, sizeof line, file)) {
        size_t size = 0;
        unsigned byte;
        while (sscanf(line + 2 * size, "%2x", &byte) == 1)
            bytes[size++] = (uint8_t)byte;
        compare(bytes, size);
        if (size < 8000)
            mutate(bytes, size, 200);
    }
    fclose(file);
    printf("%lu compared, %lu refused, %lu different\n", n_compared, n_refused, n_different);
    return n_different != 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return compare_file(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_host_names),
        cmocka_unit_test(test_names_of_oids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
