/* What a running watch knows at a moment: made once a second by its control thread, and shown on
 * the terminal, given to `cloudspan sources` as JSON, and to Prometheus. Plain values and copies:
 * whoever has one may keep it. All texts may hold bytes from the wire: whoever prints them escapes
 * them. */
#ifndef SENSOR_SNAPSHOT_H
#define SENSOR_SNAPSHOT_H

#include "net/addr.h"
#include "source/health.h"

#define SNAPSHOT_NAME_MAX 64

/* One way packets come in. */
struct snapshot_channel {
    char encapsulation[24]; /* "vxlan", "geneve+vxlan", "erspan2", "interface" */
    bool has_id;
    uint32_t id;        /* VNI, key, session id */
    uint8_t direction;  /* 0 both or unknown, 1 ingress, 2 egress */
    struct addr outer;  /* the sender's; of an interface: all zero */
    char interface[16]; /* of unencapsulated traffic; or empty */
};

struct snapshot_machine {
    char name[SNAPSHOT_NAME_MAX];
    char network[40];
    bool configured;
    struct snapshot_channel channel; /* the one last heard */
    uint16_t n_channels;
    enum health_state state;
    bool is_bad; /* of the verdict, where the state alone does not say it: snapshot_is_bad */
    char reason[HEALTH_REASON_MAX];
    int64_t since;                     /* ns since the epoch: of the state */
    int64_t first_packet, last_packet; /* ns since the epoch; 0: none */
    uint64_t n_packets, n_bytes, n_in_bytes, n_out_bytes;
    uint64_t n_copies, n_cut, n_lost, n_reordered, n_dropped;
    bool has_cloud_lost; /* its cloud counts packets that it could not mirror: */
    uint64_t n_cloud_lost, n_cloud_lost_total; /* since this watch first knew; all of them */
    uint32_t cut_size;
    double packets_per_second, in_bits_per_second, out_bits_per_second; /* of the last seconds */
    double copies_share;                                                /* 0..1, of the same */
    double usual_bytes_per_second;                                      /* learned */
    uint32_t n_canaries_sent, n_canaries_back;
};

/* Somebody who sends and is not admitted. */
struct snapshot_refused {
    struct snapshot_channel channel;
    uint64_t n_packets;
    bool is_estimate; /* of n_packets: for a while the kernel refused all but some of them */
    int64_t last_packet;
    char admit[200]; /* the lines of the configuration that would admit it */
};

/* Every place where packets (or lines) get lost, or are left out on purpose, by the reason. */
struct snapshot_drop {
    const char *stage;  /* "interface" "ring" "socket" "queue" "budget" "decode" "memory" "log"
                         * "policy" "mirror" */
    const char *reason; /* a stable word: "full", "truncated" … */
    const char *text;   /* in words, after a number: "packets were …" */
    uint64_t n;
    bool is_loss; /* false: left out on purpose (copies, refused senders, the filter) */
};

struct snapshot_input {
    char name[64];   /* "udp 0.0.0.0:4789 vxlan", "interface eth0", "gre" */
    char state[160]; /* "listening", "held", "waiting for the interface", "refused: …" */
    bool ok;
    uint64_t n_packets, n_bytes, n_dropped;
};

struct snapshot_alarm {
    int64_t ts;
    char machine[SNAPSHOT_NAME_MAX];
    enum health_state state; /* HEALTH_OK: all clear */
    char text[HEALTH_REASON_MAX + SNAPSHOT_NAME_MAX + 16];
};

/* What a hunt found. */
struct snapshot_finding {
    char id[17];       /* hexadecimal: for `cloudspan hunt --explain` */
    char hunt[32];     /* "beacon" */
    char severity[12]; /* "critical" "high" "medium" "low" "none" */
    double score;
    char source[SNAPSHOT_NAME_MAX]; /* the machine's name, or the address */
    char destination[256];          /* a name, a machine's name, or the address */
    char title[200];
    int64_t first, last; /* ns since the epoch */
    uint64_t n;
};

struct snapshot_log {
    const char *name; /* "conn" */
    uint64_t n_lines, n_lost;
};

struct snapshot {
    char version[24];
    char host[64];
    char folder[256]; /* of the logs */
    int64_t now, started;
    bool learning;                       /* nobody is configured: everybody is accepted */
    uint64_t n_packets, n_bytes, n_lost; /* mirrored packets since the start; those lost */
    double packets_per_second, bits_per_second, loss_share;
    uint64_t n_connections_now, n_connections;
    uint64_t memory_used, memory_budget; /* bytes */
    uint64_t n_workers;
    uint64_t n_critical, n_high, n_medium, n_low; /* findings now, all of them */
    uint64_t n_hunted;                            /* log lines that hunts have read */

    struct snapshot_machine *machines; /* the worst state first, then by name */
    size_t n_machines;
    struct snapshot_refused *refused; /* those that send most first */
    size_t n_refused;
    uint64_t n_refused_packets; /* of all, also those that do not fit in the table */
    struct snapshot_drop *drops;
    size_t n_drops;
    struct snapshot_input *inputs;
    size_t n_inputs;
    struct snapshot_alarm *alarms; /* the newest first */
    size_t n_alarms;
    struct snapshot_finding *findings; /* the worst first; of very many not all */
    size_t n_findings;
    struct snapshot_log *logs;
    size_t n_logs;

    char *words; /* where the constant texts above lie when it was read from JSON; NULL: they are
                    the program's own */
    size_t words_size;
};

/* Whether someone should look at the machine: by its state, or because the verdict says so. */
bool snapshot_is_bad(const struct snapshot_machine *machine);

/* A copy of its own in `out` (not freed first); false, and `out` is empty: no memory. */
bool snapshot_copy(const struct snapshot *snapshot, struct snapshot *out);

/* Frees what it points to, not itself. */
void snapshot_done(struct snapshot *snapshot);

#endif
