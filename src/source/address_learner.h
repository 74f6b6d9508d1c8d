/* What one worker saw of the addresses in one machine's packets: written by the worker, read by
 * the control thread when it makes a new address book. */
#ifndef SOURCE_ADDRESS_LEARNER_H
#define SOURCE_ADDRESS_LEARNER_H

#include "source/address_book.h"

#define ADDRESS_N_KEPT 8 /* candidates of a machine */
#define ADDRESS_N_OWN  4 /* addresses of a machine in one IP version that are learned */

struct address_candidate {
    struct addr addr;
    uint64_t mac; /* 48 bits, and a bit above them; 0: none was seen with it */
    uint32_t n;   /* packets with it since it has its place */
    uint32_t n_mac;
    uint32_t weight; /* n, and the weight of who had the place before */
};

struct address_mac {
    uint64_t mac;
    uint32_t n, weight;
};

struct address_learned {
    uint64_t others; /* which of 64 hashes of addresses were seen, and before the halving */
    uint64_t others_before;
    struct addr outer;
    bool has_outer;
    uint32_t n; /* packets; halved with all other numbers when there are many */
    struct address_candidate addrs[ADDRESS_N_KEPT];
    struct address_mac macs[ADDRESS_N_KEPT];
};

/* `version` 0: IPv4, 1: IPv6. False: the worker is writing just now. */
bool address_learner_read(const struct address_learner *learner, uint16_t machine,
                          unsigned int version, struct address_learned *out);

#endif
