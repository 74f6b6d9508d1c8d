/* X.509 certificates (RFC 5280): what x509.log says of them, taken from the bytes where they lie.
 * The texts are those of OpenSSL's printing functions, because these are what Zeek logs. */
#ifndef PROTO_X509_H
#define PROTO_X509_H

#include "base/hash.h"
#include "log/schema.h"
#include "proto/der.h"

struct analysis;
struct log_writer;

/* Borrows from the bytes that were parsed. */
struct x509 {
    struct str whole;           /* the certificate, without what may follow it */
    uint64_t version;           /* 1, 2 or 3 as people count */
    struct str serial;          /* INTEGER, big-endian two's complement */
    struct str issuer, subject; /* contents of Name */
    struct der not_before, not_after;
    struct str key_oid, key_bits;
    struct der key_parameters; /* tag 0: absent */
    struct str signature_oid;

    bool has_san, san_bad; /* subject alternative name; bad: does not parse, and is not logged */
    struct reader san;     /* the last one's GeneralNames */
    bool has_first_san, first_san_bad;
    struct reader first_san; /* what host names are checked against */

    bool has_constraints, constraints_bad, ca, has_path_length;
    int64_t path_length;
};

/* False: OpenSSL would not take it either. */
bool x509_parse(struct str bytes, struct x509 *out);

/* Does the certificate speak for this host name, by Zeek's rules (RFC 6125)? */
bool x509_matches_host(const struct x509 *cert, struct str host);

/* Seconds since 1970 of a UTCTime or GeneralizedTime; 0 when it is neither. */
int64_t x509_time(const struct der *time);

/* Reads names of one kind out of a SAN, one a call. */
enum x509_name_kind { X509_EMAIL = 1, X509_DNS = 2, X509_URI = 6, X509_IP = 7 };
bool x509_next_name(struct reader *san, enum x509_name_kind kind, struct str *out);

/* Name as text, RFC 2253; at most `size` bytes. Gives the length. */
size_t x509_name_format(struct str name, char *out, size_t size);
bool x509_name_valid(struct str name);

/* INTEGER's content (not empty) as upper-case hexadecimal, "-" before a negative one. */
size_t x509_serial_format(struct str integer, char *out, size_t size);

/* The text of the last common name; false when there is none. */
bool x509_name_common(struct str name, char *out, size_t size, size_t *out_len);

/* What the log says of the public key. */
struct x509_key {
    char algorithm[96];
    char type[12];      /* "": not understood */
    uint32_t bits;      /* 0: unknown */
    char exponent[160]; /* decimal; "": none, or too long to write */
    const char *curve;  /* or NULL */
};
void x509_read_key(const struct x509 *cert, struct x509_key *out);

extern const struct log_schema x509_log;

enum { X509_HOST = 1, X509_CLIENT = 2 };

/* What was learnt from one certificate of a connection. */
struct x509_seen_certificate {
    bool ok;      /* it is one */
    bool matches; /* `host` was given, and is named in it */
    uint8_t fingerprint[HASH_SHA256_SIZE];
};

/* Takes a certificate that was sent: writes its row of x509.log unless the same one was logged
 * within a day. `flags` are X509_HOST, X509_CLIENT; `host`, where set, is checked against it. */
struct x509_seen_certificate x509_observe(struct analysis *a, struct str bytes, unsigned flags,
                                          struct str host);

/* The row of a certificate that was seen at `ts` (ns). */
void x509_write_row(struct log_writer *writer, struct str bytes,
                    const uint8_t fingerprint[HASH_SHA256_SIZE], unsigned flags, int64_t ts);

#endif
