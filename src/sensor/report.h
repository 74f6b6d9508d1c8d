/* Snapshots as JSON, and back: what the running watch says over its socket, and what `cloudspan
 * sources --json` prints. One object a line, all of it ASCII; names stay the same from version to
 * version, new ones may come, so a reader skips what it does not know.
 *
 * Bytes of a name that are no UTF-8 are written as \xNN. Times are seconds since the epoch with six
 * decimals, null: never. Numbers are at most 2^63-1.
 *
 * An object of a machine:
 *   source, network, configured, encapsulation, id (null: has none), direction ("both", "in",
 *   "out"), outer (address of the sender, or ""), interface, channels (their number), state, bad,
 *   reason, since, first_packet, last_packet, packets, bytes, in_bytes, out_bytes, copies, cut,
 *   cut_size, lost, cloud_counts (whether its cloud says what it could not mirror), cloud_lost
 *   (packets, since this watch first knew), cloud_lost_total, reordered, dropped,
 *   packets_per_second, in_bits_per_second, out_bits_per_second, copies_share (0..1),
 *   usual_bytes_per_second, canaries_sent, canaries_back, refused (false)
 * An object of a sender who is not admitted:
 *   encapsulation, id, direction, outer, interface, packets, last_packet, admit (the lines of the
 *   configuration that would admit it), refused (true)
 *
 * The object of a snapshot has cloudspan ("snapshot"), version, host, folder, now, started,
 * learning, packets, bytes, lost, packets_per_second, bits_per_second, loss_share, connections_now,
 * connections, memory_used, memory_budget, workers, refused_packets, and the lists
 *   sources, refused   objects as above
 *   drops    stage, reason, text, n, is_loss
 *   inputs   name, state, ok, packets, bytes, dropped
 *   alarms   ts, source, state, text
 *   logs     name, lines, lost */
#ifndef SENSOR_REPORT_H
#define SENSOR_REPORT_H

#include "base/err.h"
#include "sensor/snapshot.h"

#define REPORT_SIZE_MAX (64u << 20)

/* The snapshot as one line, ended by a newline and a NUL; the caller frees it. NULL: there is no
 * memory, or it would be longer than REPORT_SIZE_MAX. */
char *report_snapshot(const struct snapshot *snapshot, size_t *out_size);

/* A line for each machine, then one for each refused sender; likewise. */
char *report_sources(const struct snapshot *snapshot, size_t *out_size);

/* Reads what report_snapshot gave, perhaps in another version: what is missing or of another type
 * is zero or empty, texts are cut to their room, a state of another version is UNKNOWN with its
 * name in the reason. `out` belongs to the caller: snapshot_done. -EPROTO: it is no snapshot, or
 * longer than any; -ENOMEM. */
int report_read(const char *bytes, size_t size, struct snapshot *out, struct err *err) MUST_CHECK;

#endif
