/* Copies: the same packet of the monitored traffic, mirrored more than once — at both ends, on both
 * sides of a router, by two sessions. The first is kept, the others are removed and counted.
 *
 * What makes a packet the same: network, addresses, protocol, IPv4 id, length, transport header and
 * payload. What changes on the way or between mirrors is not looked at: link header, VLAN tags,
 * TTL, DSCP and ECN, IP options, the IP checksum, and the checksums of TCP and UDP, which a
 * sender's own mirror sees unfinished. A copy that its mirror cut short is known by its TCP header,
 * or by the first 64 bytes behind the UDP header.
 *
 * What makes it a copy: it was seen at another place, which is another channel (encapsulation,
 * outer source address, id, direction), or in the same channel the other side of a router that
 * mirrors both: there the TTL is another, and so are the MAC addresses where there are any. A
 * packet that comes again from the same place is a retransmission, and the n-th from one place is a
 * copy of the n-th from another: of a retransmission that both ends mirror, two of four are kept.
 *
 * One place can also double what it sees: a bridge whose ports all go into one mirror. There is
 * nothing in such a packet that differs. It is taken for a copy only between two MAC addresses of
 * whose packets nearly all come twice, within milliseconds, each time under another IPv4 id that is
 * not 0: no stack retransmits so. Until 32 such packets have been seen, and for IPv6, which has no
 * id, both are kept.
 *
 * One such table belongs to one worker; copies meet there, since steering looks at inner addresses.
 * Its memory is given once, and each packet costs the same. What takes longer than the window from
 * one place to the other is kept twice. */
#ifndef SOURCE_DEDUP_H
#define SOURCE_DEDUP_H

#include "net/packet.h"

struct dedup;

struct dedup_options {
    size_t memory;  /* bytes; 0: 2 MiB, which hold 65 000 packets */
    int64_t window; /* ns between the copies, by packet time, at most 30 s; 0: 200 ms */
    uint64_t seed;  /* of the hashes' secret; 0: one of the kernel's, which nobody can guess */
};

/* `options` may be NULL. NULL when the system has no memory. */
struct dedup *dedup_new(const struct dedup_options *options);
void dedup_free(struct dedup *dedup);

/* What of a packet is compared, and where it was seen. For who has many packets at hand: look at
 * each of them, then ask for each, so that the memory is there when it is needed. */
struct dedup_sight {
    uint64_t hash;
    uint32_t fingerprint;
    uint32_t channel_and_ttl;
    uint32_t pair;
    uint32_t ms;
    uint16_t macs;
    uint16_t ip_id;
};

/* `flow_hash` is one of the addresses, their direction and the network, and the same for every
 * copy; `source` is the channel's number where source_of() has given one, or 0. False: the packet
 * cannot be compared. */
bool dedup_look(struct dedup *dedup, const struct packet *packet, uint32_t flow_hash,
                uint16_t source, int64_t now, struct dedup_sight *out);

/* Whether this packet was seen before, elsewhere. Call it once for each packet, in the order they
 * come; `now` is packet time, and may go back a little. */
bool dedup_ask(struct dedup *dedup, const struct dedup_sight *sight);

/* All in one, for one packet. */
bool dedup_is_copy(struct dedup *dedup, const struct packet *packet, int64_t now);

struct dedup_counters {
    uint64_t n_kept;
    uint64_t n_copies;  /* removed: seen at another place before */
    uint64_t n_doubled; /* removed: seen twice at one place that doubles */
    uint64_t n_again;   /* kept: seen again at the same place, a retransmission */
    uint64_t n_unknown; /* kept: not IP, or cut too short to compare */
    uint64_t n_crowded; /* packets forgotten before their time: the table is too small */
};
const struct dedup_counters *dedup_counters(const struct dedup *dedup);

#endif
