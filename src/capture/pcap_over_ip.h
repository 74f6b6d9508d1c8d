/* A capture sent over TCP: what netcat, PolarProxy, NetworkMiner and Arkime call PCAP-over-IP. The
 * connection is a stream (capture/stream.h): stream_attach reads it. */
#ifndef CAPTURE_PCAP_OVER_IP_H
#define CAPTURE_PCAP_OVER_IP_H

#include "capture/stream.h"

#define PCAP_OVER_IP_PORT 57012

struct pcap_over_ip_options {
    const char *host;    /* a name or an address */
    uint16_t port;       /* 0: 57012 */
    unsigned timeout_ms; /* for all of the host's addresses together; 0: 5 s. Names not counted. */
};

/* Resolves and connects, and waits for that. After its end the caller may open it again. */
int pcap_over_ip_open(const struct pcap_over_ip_options *options, int *out_fd,
                      struct err *err) MUST_CHECK;

#endif
