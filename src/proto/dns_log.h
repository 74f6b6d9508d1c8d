/* dns.log. */
#ifndef PROTO_DNS_LOG_H
#define PROTO_DNS_LOG_H

#include "proto/dns_pending.h"

extern const struct log_schema dns_log_schema;

void dns_log_row(struct analysis *a, const struct dns_row *row);

#endif
