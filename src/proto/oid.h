/* Names of object identifiers, by their DER content bytes. */
#ifndef PROTO_OID_H
#define PROTO_OID_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct oid {
    uint8_t size;
    const char *bytes;
    const char *short_name; /* "CN" */
    const char *long_name;  /* "commonName"; NULL: as the short one */
};

extern const struct oid oid_table[];
extern const size_t oid_n_table;

/* NULL: not in the table. */
const struct oid *oid_find(struct str bytes);

static inline const char *oid_long_name(const struct oid *oid)
{
    return oid->long_name ? oid->long_name : oid->short_name;
}

/* Dotted numbers ("2.5.4.3") of at most `size` bytes; gives the length. Not NUL-ended. A number
 * that does not fit into 64 bits ends the text. */
size_t oid_format(struct str bytes, char *out, size_t size);

/* The encoding is valid: not empty, complete, without padding. */
bool oid_valid(struct str bytes);

#endif
