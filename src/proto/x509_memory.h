/* Which certificates were logged within the last day: x509.log has each only once (Zeek's
 * X509::known_log_certs).
 *
 * A worker makes a memory of its own with the first certificate it sees. Where several workers
 * share a run, they are given one in common (flow_context.certificates) before they start. When
 * they read files, none of them knows whether another will meet the same certificate at an earlier
 * time: rows are then held back, and written when all workers are through. */
#ifndef PROTO_X509_MEMORY_H
#define PROTO_X509_MEMORY_H

#include "base/hash.h"
#include "base/pool.h"

struct log_writer;
struct x509_memory;

/* Of one worker, in its pool. NULL: over budget. */
struct x509_memory *x509_memory_new(struct pool *pool);

/* Of all workers, at most `limit` bytes; `hold_back`: they read files. NULL: out of memory. */
struct x509_memory *x509_memory_new_shared(size_t limit, bool hold_back);

/* Writes the rows that were held back, by time: after the last worker has ended. */
void x509_memory_write(struct x509_memory *memory, struct log_writer *writer);
void x509_memory_free(struct x509_memory *memory);

/* Takes a certificate that was seen at `now` (ns) in the role that `flags` say. True: the caller
 * writes no row, because there is one within a day, or it is held back. */
bool x509_memory_check(struct x509_memory *memory, const uint8_t fingerprint[HASH_SHA256_SIZE],
                       unsigned flags, int64_t now, struct str certificate);

#endif
