/* Resource records in DNS messages. */
#ifndef PROTO_DNS_RECORD_H
#define PROTO_DNS_RECORD_H

#include "proto/dns_message.h"

/* Reads one record from m->rest and, when it is an answer that is logged, adds its text to
 * m->answers. False: nothing after it in the message can be read. */
bool dns_record_read(struct dns_message *m);

#endif
