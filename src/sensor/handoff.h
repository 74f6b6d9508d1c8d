/* Packets on their way to the worker that owns their connection.
 *
 * The kernel steers frames by a program that understands the plain cases. Whoever gets a packet of
 * another worker (it was a fragment, or wrapped in a way that the program does not follow) hands it
 * on through that worker's queue: a copy of the decoded packet with its bytes. The queue is
 * bounded; what finds it full is dropped and counted. Many may put, one takes. */
#ifndef SENSOR_HANDOFF_H
#define SENSOR_HANDOFF_H

#include "net/packet.h"

struct handoff; /* one worker's queue */

/* `size` in bytes; NULL: no memory. */
struct handoff *handoff_new(size_t size);
void handoff_free(struct handoff *queue);

/* False: there was no room, which is counted. The IP packet (PACKET_IP) and its bytes are copied.
 */
bool handoff_put(struct handoff *queue, const struct packet *packet);

/* A descriptor for poll(): readable from when something is put until handoff_take says that nothing
 * is left. */
int handoff_fd(const struct handoff *queue);

/* At most `max` packets, in the order they were put; they and their bytes are valid until the next
 * call. */
unsigned handoff_take(struct handoff *queue, struct packet *out, unsigned max);

struct handoff_counters {
    uint64_t n_put, n_full;
};
/* From any thread. */
struct handoff_counters handoff_count(const struct handoff *queue);

#endif
