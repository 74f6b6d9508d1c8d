/* What x509.log says of a public key: its kind, its size, RSA's exponent, the curve's name, as
 * OpenSSL 3.0 gives them (RFC 3279, RFC 5480, RFC 8410). A key that OpenSSL cannot load has none of
 * these; that an elliptic point lies on its curve is not checked here. */
#include <stdio.h>

#include "proto/oid.h"
#include "proto/x509.h"

struct curve {
    uint8_t oid_size;
    const char *oid;
    const char *name;
    uint16_t bits;  /* of the group's order */
    uint16_t bytes; /* of a coordinate */
};

#define CURVE(oid, name, bits, bytes)                                                              \
    {                                                                                              \
        sizeof(oid) - 1, oid, name, bits, bytes                                                    \
    }

/* The curves built into OpenSSL; some have a second name in WAP. */
static const struct curve curves[] = {
    CURVE("\x2b\x81\x04\x00\x01", "sect163k1", 163, 21),
    CURVE("\x2b\x81\x04\x00\x02", "sect163r1", 162, 21),
    CURVE("\x2b\x81\x04\x00\x03", "sect239k1", 238, 30),
    CURVE("\x2b\x81\x04\x00\x04", "sect113r1", 113, 15),
    CURVE("\x2b\x81\x04\x00\x05", "sect113r2", 113, 15),
    CURVE("\x2b\x81\x04\x00\x06", "secp112r1", 112, 14),
    CURVE("\x2b\x81\x04\x00\x07", "secp112r2", 110, 14),
    CURVE("\x2b\x81\x04\x00\x08", "secp160r1", 161, 20),
    CURVE("\x2b\x81\x04\x00\x09", "secp160k1", 161, 20),
    CURVE("\x2b\x81\x04\x00\x0a", "secp256k1", 256, 32),
    CURVE("\x2b\x81\x04\x00\x0f", "sect163r2", 163, 21),
    CURVE("\x2b\x81\x04\x00\x10", "sect283k1", 281, 36),
    CURVE("\x2b\x81\x04\x00\x11", "sect283r1", 282, 36),
    CURVE("\x2b\x81\x04\x00\x16", "sect131r1", 131, 17),
    CURVE("\x2b\x81\x04\x00\x17", "sect131r2", 131, 17),
    CURVE("\x2b\x81\x04\x00\x18", "sect193r1", 193, 25),
    CURVE("\x2b\x81\x04\x00\x19", "sect193r2", 193, 25),
    CURVE("\x2b\x81\x04\x00\x1a", "sect233k1", 232, 30),
    CURVE("\x2b\x81\x04\x00\x1b", "sect233r1", 233, 30),
    CURVE("\x2b\x81\x04\x00\x1c", "secp128r1", 128, 16),
    CURVE("\x2b\x81\x04\x00\x1d", "secp128r2", 126, 16),
    CURVE("\x2b\x81\x04\x00\x1e", "secp160r2", 161, 20),
    CURVE("\x2b\x81\x04\x00\x1f", "secp192k1", 192, 24),
    CURVE("\x2b\x81\x04\x00\x20", "secp224k1", 225, 28),
    CURVE("\x2b\x81\x04\x00\x21", "secp224r1", 224, 28),
    CURVE("\x2b\x81\x04\x00\x22", "secp384r1", 384, 48),
    CURVE("\x2b\x81\x04\x00\x23", "secp521r1", 521, 66),
    CURVE("\x2b\x81\x04\x00\x24", "sect409k1", 407, 52),
    CURVE("\x2b\x81\x04\x00\x25", "sect409r1", 409, 52),
    CURVE("\x2b\x81\x04\x00\x26", "sect571k1", 570, 72),
    CURVE("\x2b\x81\x04\x00\x27", "sect571r1", 570, 72),
    CURVE("\x67\x2b\x01\x04\x01", "wap-wsg-idm-ecid-wtls1", 112, 15),
    CURVE("\x67\x2b\x01\x04\x03", "wap-wsg-idm-ecid-wtls3", 163, 21),
    CURVE("\x67\x2b\x01\x04\x04", "wap-wsg-idm-ecid-wtls4", 113, 15),
    CURVE("\x67\x2b\x01\x04\x05", "wap-wsg-idm-ecid-wtls5", 163, 21),
    CURVE("\x67\x2b\x01\x04\x06", "wap-wsg-idm-ecid-wtls6", 112, 14),
    CURVE("\x67\x2b\x01\x04\x07", "wap-wsg-idm-ecid-wtls7", 161, 20),
    CURVE("\x67\x2b\x01\x04\x08", "wap-wsg-idm-ecid-wtls8", 113, 14),
    CURVE("\x67\x2b\x01\x04\x09", "wap-wsg-idm-ecid-wtls9", 161, 20),
    CURVE("\x67\x2b\x01\x04\x0a", "wap-wsg-idm-ecid-wtls10", 232, 30),
    CURVE("\x67\x2b\x01\x04\x0b", "wap-wsg-idm-ecid-wtls11", 233, 30),
    CURVE("\x67\x2b\x01\x04\x0c", "wap-wsg-idm-ecid-wtls12", 224, 28),
    CURVE("\x2a\x81\x1c\xcf\x55\x01\x82\x2d", "SM2", 256, 32),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x01", "c2pnb163v1", 163, 21),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x02", "c2pnb163v2", 162, 21),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x03", "c2pnb163v3", 162, 21),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x04", "c2pnb176v1", 161, 22),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x05", "c2tnb191v1", 191, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x06", "c2tnb191v2", 190, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x07", "c2tnb191v3", 189, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x0a", "c2pnb208w1", 193, 26),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x0b", "c2tnb239v1", 238, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x0c", "c2tnb239v2", 237, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x0d", "c2tnb239v3", 236, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x10", "c2pnb272w1", 257, 34),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x11", "c2pnb304w1", 289, 38),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x12", "c2tnb359v1", 353, 45),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x13", "c2pnb368w1", 353, 46),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x00\x14", "c2tnb431r1", 418, 54),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x01", "prime192v1", 192, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x02", "prime192v2", 192, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x03", "prime192v3", 192, 24),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x04", "prime239v1", 239, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x05", "prime239v2", 239, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x06", "prime239v3", 239, 30),
    CURVE("\x2a\x86\x48\xce\x3d\x03\x01\x07", "prime256v1", 256, 32),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x01", "brainpoolP160r1", 160, 20),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x02", "brainpoolP160t1", 160, 20),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x03", "brainpoolP192r1", 192, 24),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x04", "brainpoolP192t1", 192, 24),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x05", "brainpoolP224r1", 224, 28),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x06", "brainpoolP224t1", 224, 28),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x07", "brainpoolP256r1", 256, 32),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x08", "brainpoolP256t1", 256, 32),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x09", "brainpoolP320r1", 320, 40),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0a", "brainpoolP320t1", 320, 40),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0b", "brainpoolP384r1", 384, 48),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0c", "brainpoolP384t1", 384, 48),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0d", "brainpoolP512r1", 512, 64),
    CURVE("\x2b\x24\x03\x03\x02\x08\x01\x01\x0e", "brainpoolP512t1", 512, 64),
};

struct algorithm {
    uint8_t oid_size;
    const char *oid;
    const char *type;
    uint16_t bits;  /* where it is always the same */
    uint16_t bytes; /* size of such a key */
    void (*read)(const struct x509 *cert, struct x509_key *out);
};

static void set_type(struct x509_key *out, const char *type)
{
    (void)snprintf(out->type, sizeof out->type, "%s", type);
}

static uint32_t bits_of(struct str integer)
{
    while (integer.len > 0 && integer.at[0] == 0)
        integer = str_from(integer, 1);
    if (integer.len == 0)
        return 0;
    return integer.len * 8 - (uint32_t)__builtin_clz((uint8_t)integer.at[0]) + 24;
}

/* Decimal of an unsigned big-endian number; nothing when it does not fit. */
static void put_decimal(struct str integer, char *out, size_t size)
{
    uint32_t limb[16] = {0}; /* base 10^9, lowest first */
    size_t n = 1;
    for (uint32_t i = 0; i < integer.len; i++) {
        uint64_t carry = (uint8_t)integer.at[i];
        for (size_t k = 0; k < n; k++) {
            carry += (uint64_t)limb[k] << 8;
            limb[k] = (uint32_t)(carry % 1000000000);
            carry /= 1000000000;
        }
        if (carry == 0)
            continue;
        if (n == sizeof limb / sizeof *limb)
            return;
        limb[n++] = (uint32_t)carry;
    }
    int at = snprintf(out, size, "%u", limb[n - 1]);
    for (size_t k = n - 1; k-- > 0;)
        at += snprintf(out + at, size - (size_t)at, "%09u", limb[k]);
}

/* OpenSSL takes any content for a number here, and no sign. */
static struct str big_number(struct reader *r)
{
    struct reader content = der_expect(r, DER_INTEGER);
    return der_rest(&content);
}

/* RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER } */
static bool read_modulus(const struct x509 *cert, struct str *modulus, struct str *exponent)
{
    struct reader r = rd_make(cert->key_bits.at, cert->key_bits.len);
    struct reader key = der_expect(&r, DER_SEQUENCE);
    *modulus = big_number(&key);
    *exponent = big_number(&key);
    return rd_ok(&r) && rd_done(&key);
}

static void read_rsa(const struct x509 *cert, struct x509_key *out)
{
    struct str modulus;
    struct str exponent;
    if (!read_modulus(cert, &modulus, &exponent))
        return;
    set_type(out, "rsa");
    out->bits = bits_of(modulus);
    put_decimal(exponent, out->exponent, sizeof out->exponent);
}

static void read_rsa_pss(const struct x509 *cert, struct x509_key *out)
{
    struct str modulus;
    struct str exponent;
    if (!read_modulus(cert, &modulus, &exponent))
        return;
    set_type(out, "RSA-PSS");
    out->bits = bits_of(modulus);
}

/* Dss-Parms ::= SEQUENCE { p INTEGER, … }; DomainParameters of Diffie-Hellman begins alike. */
static void read_prime(const struct x509 *cert, struct x509_key *out, const char *type)
{
    struct reader bits = rd_make(cert->key_bits.at, cert->key_bits.len);
    (void)der_integer(&bits);
    struct reader parameters = cert->key_parameters.content;
    struct str p = big_number(&parameters);
    if (!rd_ok(&bits) || cert->key_parameters.tag != DER_SEQUENCE || !rd_ok(&parameters))
        return;
    set_type(out, type);
    out->bits = bits_of(p);
}

static void read_dsa(const struct x509 *cert, struct x509_key *out)
{
    read_prime(cert, out, "dsa");
}

static void read_dh(const struct x509 *cert, struct x509_key *out)
{
    read_prime(cert, out, "DH");
}

static void read_dhx(const struct x509 *cert, struct x509_key *out)
{
    read_prime(cert, out, "DHX");
}

static const struct curve *find_curve(struct str oid)
{
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (curves[i].oid_size == oid.len && memcmp(curves[i].oid, oid.at, oid.len) == 0)
            return &curves[i];
    return NULL;
}

/* 04 x y, 06 or 07 x y (with a hint), or 02 or 03 x. */
static bool is_point(struct str bytes, uint16_t size)
{
    switch (bytes.len > 0 ? bytes.at[0] : 0) {
    case 2:
    case 3:
        return bytes.len == 1u + size;
    case 4:
    case 6:
    case 7:
        return bytes.len == 1u + 2u * size;
    default:
        return false;
    }
}

/* ECParameters ::= SEQUENCE { version, field, curve, base OCTET STRING, order INTEGER, … } */
static void read_explicit_curve(const struct x509 *cert, struct x509_key *out)
{
    struct reader r = cert->key_parameters.content;
    (void)der_integer(&r);
    (void)der_expect(&r, DER_SEQUENCE);
    (void)der_expect(&r, DER_SEQUENCE);
    (void)der_expect(&r, DER_OCTET_STRING);
    struct str order = der_integer(&r);
    if (!rd_ok(&r))
        return;
    set_type(out, "ecdsa");
    out->bits = bits_of(order);
}

static void read_ec(const struct x509 *cert, struct x509_key *out)
{
    if (cert->key_parameters.tag == DER_SEQUENCE) {
        read_explicit_curve(cert, out);
        return;
    }
    if (cert->key_parameters.tag != DER_OID)
        return;
    const struct curve *curve = find_curve(der_rest(&cert->key_parameters.content));
    if (!curve || !is_point(cert->key_bits, curve->bytes))
        return;
    out->bits = curve->bits;
    if (strcmp(curve->name, "SM2") == 0) {
        set_type(out, "SM2");
        return;
    }
    set_type(out, "ecdsa");
    out->curve = curve->name;
}

#define KEY(oid, ...)                                                                              \
    {                                                                                              \
        sizeof(oid) - 1, oid, __VA_ARGS__                                                          \
    }
#define FIXED(oid, type, bits, bytes)                                                              \
    {                                                                                              \
        sizeof(oid) - 1, oid, type, bits, bytes, NULL                                              \
    }

static const struct algorithm algorithms[] = {
    KEY("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", NULL, .read = read_rsa),
    KEY("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04", NULL, .read = read_rsa), /* some of Windows */
    KEY("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a", NULL, .read = read_rsa_pss),
    KEY("\x2a\x86\x48\xce\x3d\x02\x01", NULL, .read = read_ec),
    KEY("\x2a\x86\x48\xce\x38\x04\x01", NULL, .read = read_dsa),
    KEY("\x2a\x86\x48\x86\xf7\x0d\x01\x03\x01", NULL, .read = read_dh),
    KEY("\x2a\x86\x48\xce\x3e\x02\x01", NULL, .read = read_dhx),
    FIXED("\x2b\x65\x6e", "X25519", 253, 32),
    FIXED("\x2b\x65\x6f", "X448", 448, 56),
    FIXED("\x2b\x65\x70", "ED25519", 256, 32),
    FIXED("\x2b\x65\x71", "ED448", 456, 57),
};

void x509_read_key(const struct x509 *cert, struct x509_key *out)
{
    out->type[0] = out->exponent[0] = '\0';
    out->bits = 0;
    out->curve = NULL;
    const struct oid *oid = oid_find(cert->key_oid);
    if (oid)
        (void)snprintf(out->algorithm, sizeof out->algorithm, "%s", oid_long_name(oid));
    else
        out->algorithm[oid_format(cert->key_oid, out->algorithm, sizeof out->algorithm - 1)] = '\0';
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const struct algorithm *algorithm = &algorithms[i];
        if (algorithm->oid_size != cert->key_oid.len ||
            memcmp(algorithm->oid, cert->key_oid.at, cert->key_oid.len) != 0)
            continue;
        if (algorithm->read) {
            algorithm->read(cert, out);
        } else if (cert->key_bits.len == algorithm->bytes && cert->key_parameters.tag == 0) {
            set_type(out, algorithm->type);
            out->bits = algorithm->bits;
        }
        return;
    }
}
