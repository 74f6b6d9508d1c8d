/* A mirror in user space, for machines whose kernel offers none: what an interface sees is read by
 * AF_PACKET and sent to a collector in VXLAN or GENEVE over UDP.
 *
 *     carry_start → a process of its own: carry_run … SIGTERM     carry_status_read, at any time
 *     carry_stop  → waits until it is gone, removes the status file
 *
 * One process is one carrier, and its status file is how it is found: the file is locked for as
 * long as the process lives, and the kernel says whose the lock is. What a killed carrier left is
 * known by the lock that is no longer there.
 *
 * Own copies are never copied: the kernel's filter leaves out UDP to the collector's port, later
 * fragments of UDP to the collector, and ICMP errors about either; under any VLAN tags. What slips
 * through inside another tunnel is known by its header, counted (n_own) and dropped.
 *
 * Frames are sent as the wire has them: VLAN tags that the kernel took off are back, checksums that
 * were left to the card are filled in, and what the card would have cut into segments is cut. The
 * outer datagrams have DF clear, so that those larger than the way's MTU go in IP fragments. */
#ifndef CARRY_CARRY_H
#define CARRY_CARRY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/options.h"
#include "net/addr.h"

enum carry_wrap { CARRY_VXLAN, CARRY_GENEVE };
enum carry_direction { CARRY_BOTH, CARRY_IN, CARRY_OUT };

#define CARRY_NAME_MAX   32 /* with the NUL, as the next */
#define CARRY_FILTER_MAX 1024
#define CARRY_PATH_MAX   256

struct carry_options {
    char interface[16]; /* Ethernet, or without link header (wg0, tun0): those get a made-up one */
    int wrap;           /* enum carry_wrap */
    struct addr to;     /* the collector */
    uint16_t port;      /* 0: 4789, 6081 */
    bool has_from;
    struct addr from; /* the outer source address; without: the kernel chooses */
    uint32_t id;      /* VNI */

    int direction;                 /* enum carry_direction */
    uint32_t snap;                 /* bytes kept of a frame, from its Ethernet header on; 0: all */
    uint64_t rate_limit;           /* bytes of inner frames a second; 0: none */
    char filter[CARRY_FILTER_MAX]; /* as tcpdump -i takes it; "": everything */

    char status[CARRY_PATH_MAX]; /* the file; its folder must be there */
    char name[CARRY_NAME_MAX];   /* of the mirror, for status and messages; may be "" */
    char user[40];               /* that it runs as after opening; "": cloudspan, or else nobody */
    uint64_t memory;             /* bytes of the ring; 0: 32 MiB. Taken at the start. */
    int ready_fd; /* 0: in the foreground. Else told once whether it runs (carry_start). */
};

/* The command line of `cloudspan mirror carry`: a table of options for options_parse, and what
 * takes each (`with` is a struct carry_options, zeroed before). carry_check says what lacks, and
 * fills defaults in. */
extern const struct option_row carry_rows[];
int carry_take(int row, const char *value, void *with, struct err *err) MUST_CHECK;
int carry_check(struct carry_options *options, struct err *err) MUST_CHECK;

/* "vxlan:10.9.0.2:4789", "geneve:[2001:db8::9]:6081" */
#define CARRY_TARGET_MAX 64
void carry_put_target(const struct carry_options *options, char out[CARRY_TARGET_MAX]);

/* The same backwards: arguments for "cloudspan", beginning with "mirror", "carry"; for carry_start,
 * a systemd unit, or to be printed. Valid as long as `out`; ends with NULL. */
#define CARRY_MAX_ARGUMENTS 32
struct carry_arguments {
    char *at[CARRY_MAX_ARGUMENTS + 1];
    size_t n;
    char text[CARRY_FILTER_MAX + CARRY_PATH_MAX + 512];
};
void carry_put_arguments(const struct carry_options *options, struct carry_arguments *out);

/* Runs in this process until SIGTERM or SIGINT (0), or until it cannot go on. `say` gets what the
 * user should read, each once: the interface went down, nobody listens at the collector; NULL: it
 * is only in the status file. The process must have no threads; it is without privileges
 * afterwards, and of no other use.
 *
 * What needs to be right from the start, and is refused otherwise: the interface is there (it may
 * be down, but not with a filter), there is a way to the collector, CAP_NET_RAW. -EBUSY: another
 * carrier has the status file. Later, an interface that goes is waited for, and a collector that
 * cannot be reached is counted. */
int carry_run(const struct carry_options *options, void (*say)(const char *text, void *with),
              void *with, struct err *err) MUST_CHECK;

/* Starts a carrier in the background (this program anew, as "mirror carry …") in the caller's
 * network namespace, and returns when it runs, or with the reason why not. Of a failed start
 * nothing stays. The caller may be killed at any time: there is then at most a carrier that runs
 * and has its status file. */
int carry_start(const struct carry_options *options, struct err *err) MUST_CHECK;

/* Numbers since the start. What was seen, less n_own, n_not_cut and n_segmented, and with
 * n_segments, is what was to be sent: each of these frames is in n_sent, n_over_limit, or one of
 * the refusals from n_full on. */
struct carry_counters {
    uint64_t n_seen, bytes_seen; /* frames that the kernel handed over */
    uint64_t n_sent, bytes_sent; /* frames that left for the collector; bytes of inner frames */

    /* What was done to them. */
    uint64_t n_segmented; /* frames seen that were cut as the card would have done it */
    uint64_t n_segments;  /* what they became */
    uint64_t n_finished;  /* checksums that the card would have filled in */
    uint64_t n_snapped;   /* sent frames that --snap shortened */

    /* Not sent, and why. */
    uint64_t n_own;         /* copies of copies */
    uint64_t n_over_limit;  /* --rate-limit */
    uint64_t n_not_cut;     /* super-frames that cannot be cut, or came incomplete */
    uint64_t n_ring_lost;   /* the kernel found no room: the carrier was too slow */
    uint64_t n_full;        /* no room on the way out: EAGAIN, ENOBUFS, ENOMEM */
    uint64_t n_denied;      /* by a firewall of this machine: EPERM, EACCES */
    uint64_t n_unreachable; /* no way to the collector */
    uint64_t n_too_large;   /* EMSGSIZE */
    uint64_t n_error;       /* any other refusal of the system */

    /* Events. */
    uint64_t n_answers;          /* ICMP errors that came back: nobody listens, no way further on */
    uint64_t n_interface_losses; /* how often the interface went down or was removed */
};

/* Frames that did not reach the wire, all reasons together but the wanted one (the rate limit) and
 * that of own copies. */
uint64_t carry_lost(const struct carry_counters *counters);

enum carry_state {
    CARRY_STARTING,
    CARRY_RUNNING,
    CARRY_WAITING, /* the interface is down or gone */
    CARRY_ENDED,   /* by a signal */
    CARRY_FAILED,  /* `trouble` says why; also of one that was killed: see alive */
};

struct carry_status {
    bool alive;
    pid_t pid; /* of the living, as the kernel says (0: of another PID namespace); or who it was */
    int state; /* enum carry_state: the last that it wrote */
    int64_t since; /* ns since the epoch: when it began */
    char name[CARRY_NAME_MAX];
    char interface[16];
    char to[CARRY_TARGET_MAX];
    uint32_t id;
    char trouble[200]; /* "": none seen lately; else a sentence */
    struct carry_counters counters;
};

/* Reads the file, asks nobody. -ENOENT: there is none; -EBADMSG: it is no status file, or one of
 * another version. */
int carry_status_read(const char *path, struct carry_status *out, struct err *err) MUST_CHECK;

/* The same, less: as a provider's measure() wants it. */
int carry_counters_read(const char *path, struct carry_counters *out, bool *out_alive,
                        struct err *err) MUST_CHECK;

/* Ends the carrier and waits until it is gone; removes the file. 0 where there is neither. */
int carry_stop(const char *path, struct err *err) MUST_CHECK;

#endif
