/* Names in DNS messages, and NetBIOS names inside of them. */
#ifndef PROTO_DNS_NAME_H
#define PROTO_DNS_NAME_H

#include "proto/dns_message.h"

enum dns_name_use {
    DNS_NAME_LOWER,    /* the text in lower case */
    DNS_NAME_AS_IT_IS, /* in lower case only what a pointer led to */
    DNS_NAME_SKIP,     /* no text: `out` is left alone */
};

/* Reads a name from m->rest. Always gives a name: what could be read of it. What is wrong with it
 * is said in weird.log. */
void dns_name_read(struct dns_message *m, enum dns_name_use use, struct dns_name *out);

/* Decodes 32 letters that stand for 16 bytes (RFC 1001, 14.1), without the last byte and without
 * trailing spaces. False, and `name` is left alone, when it is no such name or an empty one. */
bool dns_name_decode_netbios(struct dns_name *name);

static inline struct str dns_name_str(const struct dns_name *name)
{
    return str_make(name->text, name->len);
}

#endif
