/* Names in DNS messages, and NetBIOS names inside of them. */
#ifndef PROTO_DNS_NAME_H
#define PROTO_DNS_NAME_H

#include "proto/dns_message.h"

/* Reads a name from m->rest. Always gives a name: what could be read of it, in lower case; what is
 * wrong with it is said in weird.log. With `keep_case`, only labels reached by a pointer are put in
 * lower case. */
void dns_name_read(struct dns_message *m, bool keep_case, struct dns_name *out);

/* Decodes 32 letters that stand for 16 bytes (RFC 1001, 14.1), without the last byte and without
 * trailing spaces. False, and `name` is left alone, when it is no such name or an empty one. */
bool dns_name_decode_netbios(struct dns_name *name);

static inline struct str dns_name_str(const struct dns_name *name)
{
    return str_make(name->text, name->len);
}

#endif
