/* The parts of `cloudspan doctor`: checks of this machine, each a function in a table. */
#ifndef CMD_DOCTOR_H
#define CMD_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "net/addr.h"
#include "sensor/snapshot.h"

enum doctor_state {
    DOCTOR_OK,
    DOCTOR_WARNING,
    DOCTOR_UNKNOWN /* could not be found out, and the text says why */
};

struct doctor_finding {
    enum doctor_state state;
    bool loses_packets; /* a warning that matters: the exit code is 4 */
    char text[400];     /* may hold bytes from outside: whoever prints it escapes it */
    char mend[300];     /* the command, or what to do; "": nothing */
};

#define DOCTOR_MAX_INTERFACES 16

struct doctor {
    /* What the user said. */
    const char *interface; /* NULL: all that are up */
    bool has_from;
    struct addr from;   /* a sender */
    uint16_t ports[8];  /* of UDP, ended by 0 */
    const char *folder; /* of the logs */
    const char *socket; /* of the running watch; NULL: the usual one */
    unsigned seconds;   /* to listen */

    char interfaces[DOCTOR_MAX_INTERFACES][16];
    size_t n_interfaces;

    const char *check; /* the name of the one that runs now */
    const char *title; /* and its title */
    void (*report)(struct doctor *doctor, const struct doctor_finding *finding);
    bool json;
    unsigned n_warnings, n_losing, n_unknown;
};

struct doctor_check {
    const char *name, *title;
    void (*run)(struct doctor *doctor);
};

/* Ended by a row without a name. */
extern const struct doctor_check doctor_host_checks[], doctor_network_checks[],
    doctor_traffic_checks[];

/* One finding of the check that runs. */
void doctor_ok(struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_unknown(struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* `mend`: the command; may be "". */
void doctor_warn(struct doctor *doctor, bool loses_packets, const char *mend, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* The judgements that need no machine, for the tests. */
struct linux_interface;
struct linux_senders;
void doctor_judge_interface(struct doctor *doctor, const struct linux_interface *facts);
void doctor_judge_snapshot(struct doctor *doctor, const struct snapshot *snapshot);
void doctor_judge_senders(struct doctor *doctor, const struct linux_senders *senders);

#endif
