/* Which autonomous system an address is of, from a table that the user has: lines of
 * "FIRST<tab>LAST<tab>NUMBER<tab>…", as iptoasn.com publishes them (ip2asn-combined.tsv), or
 * "NETWORK/BITS<tab or comma or blank>NUMBER". Other columns are names, and are left alone. */
#ifndef HUNT_ASN_H
#define HUNT_ASN_H

#include "base/err.h"
#include "base/str.h"
#include "net/addr.h"

#define HUNT_ASN_MAX_SIZE (256u << 20) /* bytes of the file */

struct hunt_asn;
int hunt_asn_load(const char *path, struct hunt_asn **out, struct err *err) MUST_CHECK;
int hunt_asn_take(struct str text, const char *name, struct hunt_asn **out,
                  struct err *err) MUST_CHECK;
void hunt_asn_free(struct hunt_asn *asn);
/* 0: none is known. Of ranges that overlap, the one that begins last. */
uint32_t hunt_asn_of(const struct hunt_asn *asn, const struct addr *addr);

#endif
