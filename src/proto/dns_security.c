/* RRSIG, DNSKEY, NSEC, DS (RFC 4034), NSEC3, NSEC3PARAM (RFC 5155), SSHFP (RFC 4255), TSIG
 * (RFC 8945), and the private type by which BIND says how far signing a zone has come.
 *
 *      0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *     |                  TYPE COVERED                 |   RRSIG, of which all others are parts
 *     |       ALGORITHM       |        LABELS         |
 *     |                 ORIGINAL TTL                  |
 *     |                                               |
 *     |              SIGNATURE EXPIRATION             |
 *     |                                               |
 *     |              SIGNATURE INCEPTION              |
 *     |                                               |
 *     |                    KEY TAG                    |
 *     /                 SIGNER'S NAME                 /
 *     /                   SIGNATURE                   /
 *     +--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *
 * Which bytes are taken follows the content, as dns_record.c says. */
#include "proto/dns_security.h"

#include "proto/dns_name.h"
#include "proto/dns_take.h"
#include "proto/dns_types.h"

/* Algorithms of zone signing that are spoken of. */
enum {
    ALGORITHM_RSA_MD5 = 1,
    ALGORITHM_INDIRECT = 252,
    ALGORITHM_PRIVATE_DNS = 253,
    ALGORITHM_PRIVATE_OID = 254,
};

static bool algorithm_is_known(unsigned algorithm)
{
    return (algorithm >= 2 && algorithm <= 16) && algorithm != 9 && algorithm != 11;
}

/* The first or the second of a pair of weird names: for signatures, for keys. */
static void check_algorithm(struct dns_message *m, bool of_key, unsigned algorithm)
{
    const char *name;
    if (algorithm_is_known(algorithm))
        return;
    if (algorithm == ALGORITHM_RSA_MD5)
        name = of_key ? "DNSSEC_DNSKEY_NotRecommended_ZoneSignAlgo"
                      : "DNSSEC_RRSIG_NotRecommended_ZoneSignAlgo";
    else if (algorithm == ALGORITHM_INDIRECT)
        name =
            of_key ? "DNSSEC_DNSKEY_Indirect_ZoneSignAlgo" : "DNSSEC_RRSIG_Indirect_ZoneSignAlgo";
    else if (algorithm == ALGORITHM_PRIVATE_DNS)
        name = of_key ? "DNSSEC_DNSKEY_PrivateDNS_ZoneSignAlgo"
                      : "DNSSEC_RRSIG_PrivateDNS_ZoneSignAlgo";
    else if (algorithm == ALGORITHM_PRIVATE_OID)
        name = of_key ? "DNSSEC_DNSKEY_PrivateOID_ZoneSignAlgo"
                      : "DNSSEC_RRSIG_PrivateOID_ZoneSignAlgo";
    else
        name = of_key ? "DNSSEC_DNSKEY_unknown_ZoneSignAlgo" : "DNSSEC_RRSIG_unknown_ZoneSignAlgo";
    dns_weird_number(m, name, algorithm);
}

static bool read_rrsig(struct dns_message *m, struct dns_security *out)
{
    struct reader *r = &m->rest;
    if (rd_left(r) < 18)
        return false;
    uint16_t covered = rd_be16(r);
    uint8_t algorithm = rd_u8(r);
    rd_skip(r, 15); /* labels, times, key tag */
    size_t before = rd_left(r);
    dns_name_read(m, DNS_NAME_LOWER, &out->name);
    dns_take_bytes(r, (int64_t)m->rd_size - 18 - (int64_t)(before - rd_left(r)));
    check_algorithm(m, false, algorithm);
    out->words[out->n_words++] = STR("RRSIG");
    out->numbers[out->n_numbers++] = covered;
    out->has_name = true;
    return true;
}

static bool read_dnskey(struct dns_message *m, struct dns_security *out)
{
    struct reader *r = &m->rest;
    if (rd_left(r) < 4)
        return false;
    uint16_t flags = rd_be16(r);
    uint8_t protocol = rd_u8(r);
    uint8_t algorithm = rd_u8(r);
    dns_take_bytes(r, (int64_t)m->rd_size - 4);
    if (flags & 0xfe7e) /* all but: zone key, revoked, secure entry point */
        dns_weird_number(m, "DNSSEC_DNSKEY_Invalid_Flag", flags);
    if ((flags & 0x0181) == 0x0181)
        dns_weird_number(m, "DNSSEC_DNSKEY_Revoked_KSK", flags);
    if (protocol != 3)
        dns_weird_number(m, "DNSSEC_DNSKEY_Invalid_Protocol", protocol);
    check_algorithm(m, true, algorithm);
    out->words[out->n_words++] = STR("DNSKEY");
    out->numbers[out->n_numbers++] = algorithm;
    return true;
}

/* The types that a name has, in windows of 256: NSEC's and NSEC3's last part. */
static void skip_bitmaps(struct dns_message *m, int64_t left, const char *weird)
{
    struct reader *r = &m->rest;
    while (left > 0 && rd_left(r) > 0) {
        uint16_t window_size = dns_take_be16(r);
        if ((window_size & 0xff) == 0) {
            dns_weird_number(m, weird, window_size >> 8);
            return;
        }
        dns_take_bytes(r, window_size & 0xff);
        left -= 2 + (window_size & 0xff);
    }
}

/* The name that the record is about, once more. */
static void read_owner(struct dns_message *m, struct dns_name *out)
{
    struct reader rest = m->rest;
    m->rest = m->owner;
    m->quiet = true;
    dns_name_read(m, DNS_NAME_LOWER, out);
    m->quiet = false;
    m->rest = rest;
}

static bool read_nsec(struct dns_message *m, struct dns_security *out)
{
    size_t before = rd_left(&m->rest);
    dns_name_read(m, DNS_NAME_LOWER, &out->name);
    skip_bitmaps(m, (int64_t)m->rd_size - (int64_t)(before - rd_left(&m->rest)),
                 "DNSSEC_NSEC_bitmapLen0");
    read_owner(m, &out->owner);
    out->words[out->n_words++] = STR("NSEC");
    out->words[out->n_words++] = dns_name_str(&out->owner);
    out->has_name = true;
    return true;
}

/* A byte that says how many follow, and these. */
static void skip_counted(struct reader *r)
{
    if (rd_left(r) > 0)
        dns_take_bytes(r, rd_u8(r));
}

static bool read_nsec3(struct dns_message *m, struct dns_security *out)
{
    struct reader *r = &m->rest;
    size_t before = rd_left(r);
    if (before < 6)
        return false;
    rd_skip(r, 4);   /* hash algorithm, flags, iterations */
    skip_counted(r); /* salt */
    skip_counted(r); /* hash */
    skip_bitmaps(m, (int64_t)m->rd_size - (int64_t)(before - rd_left(r)),
                 "DNSSEC_NSEC3_bitmapLen0");
    out->words[out->n_words++] = STR("NSEC3");
    return true;
}

static bool read_nsec3param(struct dns_message *m, struct dns_security *out)
{
    if (rd_left(&m->rest) < 5)
        return false;
    rd_skip(&m->rest, 4);
    skip_counted(&m->rest);
    out->words[out->n_words++] = STR("NSEC3PARAM");
    return true;
}

static bool read_ds(struct dns_message *m, struct dns_security *out)
{
    struct reader *r = &m->rest;
    if (rd_left(r) < 4)
        return false;
    rd_skip(r, 2); /* key tag */
    uint8_t algorithm = rd_u8(r);
    uint8_t digest = rd_u8(r);
    dns_take_bytes(r, (int64_t)m->rd_size - 4);
    if (digest == 0)
        dns_weird_number(m, "DNSSEC_DS_ReservedDigestType", digest);
    else if (digest > 4)
        dns_weird_number(m, "DNSSEC_DS_unknown_DigestType", digest);
    out->words[out->n_words++] = STR("DS");
    out->numbers[out->n_numbers++] = algorithm;
    out->numbers[out->n_numbers++] = digest;
    return true;
}

static bool read_binds(struct dns_message *m, struct dns_security *out)
{
    if (rd_left(&m->rest) < 5)
        return false;
    rd_skip(&m->rest, 5); /* algorithm, key, to be removed, complete */
    out->words[out->n_words++] = STR("BIND9 signing signal");
    return true;
}

static bool read_sshfp(struct dns_message *m, struct dns_security *out)
{
    if (rd_left(&m->rest) < 2)
        return false;
    rd_skip(&m->rest, 2); /* algorithm, kind of fingerprint */
    out->fingerprint = dns_take_bytes(&m->rest, (int64_t)m->rd_size - 2);
    out->words[out->n_words++] = STR("SSHFP: ");
    return true;
}

bool dns_security_read(struct dns_message *m, struct dns_security *out)
{
    out->n_words = out->n_numbers = 0;
    out->has_name = false;
    out->fingerprint = (struct str){0};
    switch (m->type) {
    case DNS_TYPE_RRSIG:
        return read_rrsig(m, out);
    case DNS_TYPE_DNSKEY:
        return read_dnskey(m, out);
    case DNS_TYPE_NSEC:
        return read_nsec(m, out);
    case DNS_TYPE_NSEC3:
        return read_nsec3(m, out);
    case DNS_TYPE_NSEC3PARAM:
        return read_nsec3param(m, out);
    case DNS_TYPE_DS:
        return read_ds(m, out);
    case DNS_TYPE_BINDS:
        return read_binds(m, out);
    default:
        return read_sshfp(m, out);
    }
}

bool dns_security_skip_tsig(struct dns_message *m)
{
    struct reader *r = &m->rest;
    struct dns_name algorithm;
    dns_name_read(m, DNS_NAME_SKIP, &algorithm);
    dns_take_be32(r);                    /* time signed: */
    dns_take_be16(r);                    /* 48 bits */
    dns_take_be16(r);                    /* fudge */
    dns_take_bytes(r, dns_take_be16(r)); /* MAC */
    dns_take_be16(r);                    /* original id */
    dns_take_be16(r);                    /* error */
    dns_take_bytes(r, dns_take_be16(r)); /* other data */
    return true;
}
