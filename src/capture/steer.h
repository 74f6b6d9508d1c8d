/* Which worker a packet belongs to, the same in C and in classic BPF.
 *
 * What counts are the addresses and ports of the first IP header behind the mirror's own layers,
 * alike in both directions; never the outer header, since the two ends of a connection may be
 * mirrored by two machines. TCP, UDP and SCTP count with their ports, but not UDP from or to a port
 * where tunnels of the monitored traffic live: what is in such a tunnel must stay together whatever
 * its outer ports are. Everything else counts by its addresses alone.
 *
 * The kernel runs the programs made here to choose a worker's socket. What they cannot read (a
 * fragment, IPv6 extension headers, three VLAN tags, a cut header) goes to worker 0. Nothing but
 * speed depends on them: whoever gets a packet of another worker hands it on. */
#ifndef CAPTURE_STEER_H
#define CAPTURE_STEER_H

#include "capture/admit.h"
#include "net/packet.h"

/* Secret numbers of the run, all odd: without them nobody can aim at one worker. */
struct steer_key {
    uint32_t words[4]; /* for the address's four words; an IPv4 address is the last one */
    uint32_t port;
    uint32_t mix[2];
};

/* The same secret gives the same key in every process. */
void steer_key_init(struct steer_key *key, uint64_t secret);

uint32_t steer_hash(const struct steer_key *key, const struct addr *src, const struct addr *dst,
                    uint16_t sport, uint16_t dport, bool has_ports);

static inline unsigned steer_worker(uint32_t hash, unsigned n_workers)
{
    return hash % n_workers;
}

/* UDP ports of tunnels in the monitored traffic, ended by 0. */
extern const uint16_t steer_tunnel_ports[];
bool steer_is_tunnel_port(uint16_t port);

/* Of a decoded packet: n_mirror of its layers are known to be the mirror's. One that has no IP
 * header (kind is not PACKET_IP, and nothing was taken off but the mirror) gives false: it is
 * worker 0's. */
bool steer_packet(const struct steer_key *key, const struct packet *packet, uint32_t *out_hash);

/* How mirrored packets are wrapped. */
enum steer_kind {
    STEER_VXLAN,
    STEER_VXLAN_GPE,
    STEER_GENEVE,
    STEER_GENEVE_VXLAN, /* GENEVE around IP and UDP around VXLAN */
    STEER_GRE,          /* in UDP: GRE follows the UDP header */
    STEER_TZSP,
    STEER_ETHERNET, /* nothing around it: a frame a datagram */
    STEER_IP,       /* an IP packet a datagram */
    STEER_N_KINDS
};

/* What the mirrors that send to this port (of IANA, or as is usual) speak; false: none known. */
bool steer_kind_of_port(uint16_t port, enum steer_kind *out);

struct steer_group {
    const struct steer_key *key;
    unsigned n_workers;
};

/* Packets that came in by these interfaces are not wanted: a ring sees them already. Nor are those
 * of other senders than these. */
struct steer_excluded {
    const int *ifindexes;
    unsigned n;
    const struct admit *admit; /* NULL: whoever sends */
};

#define STEER_MAX_EXCLUDED 32
#define STEER_MAX_PORTS    16

/* For SO_ATTACH_REUSEPORT_CBPF: gives a socket's place in the group, and `n_workers`, the place of
 * the socket that only holds the port, for what is excluded. */
int steer_program_udp(const struct steer_group *group, enum steer_kind kind,
                      const struct steer_excluded *excluded, struct bpf_code *out,
                      struct err *err) MUST_CHECK;

/* For SO_ATTACH_FILTER of one worker's raw socket for GRE: takes what is its own. IPv4 sockets see
 * the IP header, IPv6 ones do not. */
int steer_program_gre(const struct steer_group *group, unsigned worker, bool is_ipv6,
                      const struct steer_excluded *excluded, struct bpf_code *out,
                      struct err *err) MUST_CHECK;

/* For SO_ATTACH_FILTER: takes all but what is excluded. */
int steer_program_excluded(const struct steer_excluded *excluded, struct bpf_code *out,
                           struct err *err) MUST_CHECK;

struct steer_port {
    uint16_t port; /* of the destination */
    enum steer_kind kind;
};

enum steer_ring_link {
    STEER_RING_ETHERNET,
    STEER_RING_IP,        /* without a link header */
    STEER_RING_AS_WRITTEN /* Ethernet, always from the link header on: what a file has */
};

struct steer_ring {
    enum steer_ring_link link;
    const struct steer_port *ports; /* mirrors in UDP; the rest is plain traffic */
    unsigned n_ports;
    bool takes_gre; /* mirrors in GRE too */
};

/* For PACKET_FANOUT_DATA. */
int steer_program_ring(const struct steer_group *group, const struct steer_ring *ring,
                       struct bpf_code *out, struct err *err) MUST_CHECK;

#endif
