/* Which certificates were logged within the last day: x509.log has each only once (Zeek's
 * X509::known_log_certs). One memory belongs to one worker. */
#ifndef PROTO_X509_MEMORY_H
#define PROTO_X509_MEMORY_H

#include "base/hash.h"
#include "base/pool.h"

struct x509_memory;

/* NULL: over budget. Its memory is the pool's and goes with it. */
struct x509_memory *x509_memory_new(struct pool *pool);

/* True when this certificate, in this role, was noted within a day before `now` (ns); otherwise it
 * is noted now. */
bool x509_memory_check(struct x509_memory *memory, const uint8_t fingerprint[HASH_SHA256_SIZE],
                       unsigned flags, int64_t now);

#endif
