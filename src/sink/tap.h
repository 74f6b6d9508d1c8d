/* Packets on an interface that other tools listen on: `--tap NAME`, for Suricata, Zeek, tcpdump.
 *
 * The interface is a tap that is made here, or one that is there: a tap, one end of a veth pair, a
 * dummy. Frames are what they were in the mirrored network; bare IP packets get an Ethernet header
 * (ether.h); what is too large for the interface's MTU is cut as a network card would (segment.h).
 *
 * What is put on the interface comes from strangers, so this machine must not act on it. An
 * interface that has an address, or that belongs to a bridge, is refused, and so is one whose other
 * end does. On both ends IPv6 and ARP are turned off, and the kernel is told to drop every IPv4
 * packet that comes from there (rp_filter: there is no way back), before it routes or takes it. */
#ifndef SINK_TAP_H
#define SINK_TAP_H

#include "sink/sink.h"

#define TAP_DEFAULT_MTU 9216u /* holds the jumbo frames of clouds (9001) */
#define TAP_MAX_MTU     65521u

struct tap_options {
    const char *name;      /* at most 15 characters */
    uint32_t mtu;          /* of a tap that is made; 0: TAP_DEFAULT_MTU */
    uint32_t n_workers;    /* each gets a queue of its own where the interface has some */
    bool finish_checksums; /* fill in those that a sender left to its network card */
};

/* Needs CAP_NET_ADMIN (and CAP_NET_RAW for what is no tap), but only here: writing needs nothing. A
 * tap that is made goes with the process. */
int tap_open(const struct tap_options *options, struct sink **out, struct err *err) MUST_CHECK;

#endif
