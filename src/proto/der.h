/* Elements of ASN.1 in its basic and distinguished encodings (X.690): tag, length, content.
 * Nothing is copied, nothing recurses; an element's content is a reader of its own. */
#ifndef PROTO_DER_H
#define PROTO_DER_H

#include "base/reader.h"
#include "base/str.h"

/* Identifier octets. */
enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0a,
    DER_UTF8_STRING = 0x0c,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_NUMERIC_STRING = 0x12,
    DER_PRINTABLE_STRING = 0x13,
    DER_T61_STRING = 0x14,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_UNIVERSAL_STRING = 0x1c,
    DER_BMP_STRING = 0x1e,
};

#define DER_CONTEXT(number)     (0x80 | (number)) /* primitive */
#define DER_CONSTRUCTED(number) (0xa0 | (number))

struct der {
    uint8_t tag; /* the identifier octet; 0 when there was no element */
    struct reader content;
    struct str whole; /* with its header */
};

/* Reads one element; `r` fails when there is none. Lengths may have leading zeros, as OpenSSL
 * accepts; tags above 30 and indefinite lengths are refused. */
struct der der_next(struct reader *r);

/* Reads an element that must have this tag: its content, or an empty failed reader. */
struct reader der_expect(struct reader *r, uint8_t tag);

/* The next element, if it has this tag. False, and nothing read, when it has not. */
bool der_optional(struct reader *r, uint8_t tag, struct reader *out);

/* The contents of INTEGER and OBJECT IDENTIFIER, checked as OpenSSL does; `r` fails otherwise. */
struct str der_integer(struct reader *r);
struct str der_oid(struct reader *r);

/* A BIT STRING's bytes without the octet that counts its unused bits. */
struct reader der_bit_string(struct reader *r);
bool der_bits_valid(struct reader content);
bool der_integer_valid(struct str content);

static inline struct str der_rest(const struct reader *r)
{
    return str_make(r->at, rd_left(r));
}

#endif
