/* Recognising the canaries on the packet path: the probes themselves, the machine's answers to
 * them, and ICMP errors that quote one. They stay out of logs, hunts and outputs.
 *
 * One watch is shared by all workers and the control thread, without a lock: the control thread
 * writes what is outstanding (through canary.h), each worker asks for each packet, first thing
 * after it is decoded and its channel's machine is known:
 *
 *     if (canary_is(watch, packet, machine))
 *         return;          counted as a canary, and nothing else
 */
#ifndef SOURCE_CANARY_WATCH_H
#define SOURCE_CANARY_WATCH_H

#include "net/packet.h"

#define CANARY_SIZE_MIN 18
#define CANARY_SIZE_MAX 200
#define CANARY_N_OWN    16

struct canary_probe {
    struct addr src, dst;
    uint16_t sport, dport;
    uint16_t size; /* of the payload */
    uint16_t machine;
    uint8_t payload[CANARY_SIZE_MAX];
};

struct canary_watch;

/* Room for so many probes at once. NULL when the system has no memory. */
struct canary_watch *canary_watch_new(uint32_t n_probes);
void canary_watch_free(struct canary_watch *watch);

/* Whether this packet is a canary, or an answer to one. Any worker, any time; about a nanosecond
 * for packets that do not have one of the collector's own addresses. A probe that is seen in the
 * mirror of the machine it was sent to (`machine`; 0: not known) has come back, once, while it is
 * outstanding; copies and late ones are recognised and count for nothing. */
bool canary_is(struct canary_watch *watch, const struct packet *packet, uint16_t machine);

/* The rest is for the control thread alone. */

/* One of the collector's own addresses that canaries are sent from: the packets of others are not
 * looked at. False: there are too many. */
bool canary_watch_own(struct canary_watch *watch, const struct addr *own);

/* Puts a probe before it is sent, in a place 0 … n_probes - 1 that is free. */
void canary_watch_put(struct canary_watch *watch, uint32_t place, const struct canary_probe *probe);

/* From now on it is recognised only: what comes back is too late. */
void canary_watch_late(struct canary_watch *watch, uint32_t place);
void canary_watch_clear(struct canary_watch *watch, uint32_t place);

/* What was seen of it in its machine's mirror. */
enum { CANARY_SEEN_PROBE = 1, CANARY_SEEN_ANSWER = 2 };
uint32_t canary_watch_seen(const struct canary_watch *watch, uint32_t place);

#endif
