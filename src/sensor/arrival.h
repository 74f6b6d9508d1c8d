/* What happens to a live packet before it is a packet of a connection: whose is it, is he admitted,
 * is it our own mirror in a mirror; and counting it for its machine. */
#ifndef SENSOR_ARRIVAL_H
#define SENSOR_ARRIVAL_H

#include "capture/steer.h"
#include "net/addr_set.h"
#include "source/source.h"
#include "tunnel/stack.h"

struct address_book;
struct address_learner;
struct canary_watch;
struct witness;

#define ARRIVAL_MAX_PORTS 32

/* What of an input's mirrors the kernel can refuse by their senders (sensor/gate.h). */
enum arrival_gate_kind {
    ARRIVAL_UNGATED,
    ARRIVAL_GATED,      /* all of them */
    ARRIVAL_GATED_RING, /* all but GENEVE and what came in fragments */
};

/* From when to when the kernel refuses, ns since the epoch: one packet of an unknown sender that
 * came in that time stands for so many. Written by the control thread. */
struct arrival_gate {
    int64_t since, until; /* INT64_MAX: both are not known yet */
    uint32_t one_in;
};

/* What does not change while packets come: made by the control thread, replaced as a whole when the
 * configuration is read again. */
struct arrival_rules {
    struct source_rules sources;
    const struct network_list *networks;
    const struct stack_options *inputs; /* of frames whose `input` is i + 1 */
    size_t n_inputs;
    const bool *skip_own;              /* by input: this host's own traffic is left out */
    const bool *drop_vlan;             /* by input: the outermost tag is not the machine's */
    const uint8_t *gated;              /* by input: enum arrival_gate_kind */
    struct addr_set own;               /* this host's addresses */
    uint16_t ports[ARRIVAL_MAX_PORTS]; /* UDP ports that mirrors are sent to */
    size_t n_ports;
    struct canary_watch *canaries; /* or NULL */
};

struct arrival_counters {
    uint64_t n_refused;  /* of channels that are not admitted */
    uint64_t n_unknown;  /* of those beyond what the table holds */
    uint64_t n_guessed;  /* of both: not seen, but concluded from one of many that was */
    uint64_t n_left_out; /* of connections that were left out, as `keep` of the channel says */
    uint64_t n_own;      /* this host's own traffic */
    uint64_t n_loops;    /* our own mirror, mirrored again */
    uint64_t n_canaries; /* probes that came back, and answers to them */
    uint64_t n_proofs;   /* by which `cloudspan mirror apply` sees that a mirror works */
};

struct arrival {
    const struct arrival_rules *rules;
    struct source_table *sources;
    const struct arrival_gate *gate;   /* or NULL: the kernel refuses nothing */
    const struct steer_key *steer_key; /* for which connections are kept */
    const struct address_book *book;   /* or NULL: nothing is learned yet */
    struct address_learner *learner;   /* or NULL; this worker's, as the next one */
    struct witness *witness;
    struct arrival_counters counters;
    uint32_t n_without_connection; /* packets that have no connection to go by */
};

/* Whose packet it is, as far as that is known. */
struct arrival_found {
    uint16_t source;
    uint16_t machine;  /* of its mirror; 0: not known yet */
    uint16_t src, dst; /* machines that the inner addresses are of; 0: nobody's */
};

/* Whether the packet goes on to its connection; sets *out and packet->network. Packets that are no
 * IP are counted, and go on. */
bool arrival_accept(struct arrival *arrival, struct packet *packet, struct arrival_found *out);

/* An accepted packet that the recogniser of copies has looked at. */
void arrival_sighted(struct arrival *arrival, const struct packet *packet,
                     const struct arrival_found *found, bool is_copy);

#endif
