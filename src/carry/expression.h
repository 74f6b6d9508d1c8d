/* The user's filter: what tcpdump takes, compiled by libpcap for the kernel to run. */
#ifndef CARRY_EXPRESSION_H
#define CARRY_EXPRESSION_H

#include <pcap/pcap.h>
#include <stdint.h>

#include "base/err.h"

/* For what a packet socket on the interface sees, where the kernel has taken the VLAN tag off:
 * "vlan 5", "inbound" and the like mean what they mean to tcpdump -i. Needs CAP_NET_RAW, and an
 * interface that is up, where it is of LINK_ETHERNET. The caller frees `out` (pcap_freecode). */
int expression_compile(const char *expression, const char *interface, uint16_t link,
                       struct bpf_program *out, struct err *err) MUST_CHECK;

#endif
