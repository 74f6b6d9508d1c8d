/* Records that carry keys, signatures and hashes: mostly DNSSEC. */
#ifndef PROTO_DNS_SECURITY_H
#define PROTO_DNS_SECURITY_H

#include "proto/dns_message.h"

/* What the answer of such a record is made of: words, numbers, a name, and a fingerprint in hex,
 * in this order, with spaces between all but the fingerprint. */
struct dns_security {
    struct str words[2];
    unsigned n_words;
    unsigned numbers[2];
    unsigned n_numbers;
    bool has_name;
    struct dns_name name;
    struct dns_name owner; /* NSEC's words point to it */
    struct str fingerprint;
};

/* False: the message cannot be read on. */
bool dns_security_read(struct dns_message *m, struct dns_security *out);

bool dns_security_skip_tsig(struct dns_message *m);

#endif
