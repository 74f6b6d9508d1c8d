/* Which inner addresses belong to which monitored machine: those that were configured, and those
 * that its packets show to be its own.
 *
 * How it is learned. Each worker keeps, for each machine and IP version, the few addresses that
 * are in most of its packets, each with the MAC address that goes with it.
 * Over at least 200 packets, an address is the machine's own when
 *
 *   - it is the outer source address of the mirror as well, or
 *   - it is in nearly every packet (9 of 10), no other is in more than 6 of 10, and at least four
 *     others were seen: of a machine that talks to one peer alone, or to one nearly always, the
 *     peer's address is in every packet as well, and nothing tells the two apart; or
 *   - it goes with the machine's MAC address: that which is in nearly every packet when no other is
 *     in more than 6 of 10, or which goes with an address that is its own for another reason. So a
 *     machine with several addresses is known by all of them. More than four such addresses, or
 *     many packets of that MAC with others, are those of a router: none of them is believed.
 *
 * Never one that is configured for another machine of the network, that two machines could claim,
 * or that is no host's (multicast, broadcast, unspecified, loopback). What is uncertain is nobody's
 * address: no canary is sent there, and no other machine's verdict rests on it.
 *
 * Workers: address_learner_see() for each packet of a machine with mirror layers, or for one in a
 * few: each is about 20 ns. The control thread, every some seconds: address_book_make(), hand the
 * new book to the workers by an atomic pointer, free the old one when all workers have asked for
 * the pointer again. */
#ifndef SOURCE_ADDRESS_BOOK_H
#define SOURCE_ADDRESS_BOOK_H

#include "net/packet.h"

struct address_learner; /* one worker's */

/* Machines have numbers from 1 to `max_machine`. NULL when the system has no memory. */
struct address_learner *address_learner_new(uint16_t max_machine);
void address_learner_free(struct address_learner *learner);

/* `packet` is of the mirror of `machine`; its layers say what the outer source is. */
void address_learner_see(struct address_learner *learner, uint16_t machine,
                         const struct packet *packet);

struct address_entry {
    struct addr addr;
    uint16_t network;
    uint16_t machine;
    bool configured;
};

struct address_book; /* immutable */

/* All that is configured and what the learners of all workers agree on. `network_of[machine]` says
 * each machine's network, for 0 … max_machine. An address configured for two machines of a network
 * belongs to the first. NULL when the system has no memory. */
struct address_book *address_book_make(const struct address_entry *configured, size_t n_configured,
                                       struct address_learner *const learners[], size_t n_learners,
                                       const uint16_t *network_of, uint16_t max_machine);
void address_book_free(struct address_book *book);

/* The machine; 0: nobody's. About 10 ns. */
uint16_t address_book_find(const struct address_book *book, uint16_t network,
                           const struct addr *addr);

/* One of the machine's addresses, by a random number: for the canary. False: none is known. */
bool address_book_pick(const struct address_book *book, uint16_t machine, uint64_t random,
                       struct addr *out);

/* All entries; for tables. Those of machine 0 are disputed: nobody's. */
size_t address_book_count(const struct address_book *book);
const struct address_entry *address_book_entry(const struct address_book *book, size_t n);

#endif
