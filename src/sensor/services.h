/* What the privileged parent does for the packet process (sensor/parent.h): opens listeners, looks
 * at this host's addresses, reads the configuration again. Both processes have the same list of
 * listeners, made of the same configuration: a request names one by its place. */
#ifndef SENSOR_SERVICES_H
#define SENSOR_SERVICES_H

#include "capture/ring.h"
#include "sensor/config.h"
#include "sensor/parent.h"
#include "sensor/rules.h"

enum services_kind {
    SERVICE_LISTEN,
    SERVICE_HOST,
    SERVICE_CONFIG,
    SERVICE_LOOK,    /* whether the records of mirrors are other ones */
    SERVICE_RECORDS, /* the configuration with what they say now */
    SERVICE_LISTS,   /* what the hunts' feeds and safelists hold */
    SERVICES_N
};

#define SERVICES_MAX_OWN 120

/* The listeners of a run: those of the configuration, or where it has none, what can be had. */
struct services_list {
    struct config_listener defaults[4];
    size_t n_defaults;
    struct rules_input inputs[RULES_MAX_INPUTS];
    size_t n_inputs;
};

/* `interface`: of the default route, or "". `config` must stay as long as the list. */
int services_list_init(struct services_list *list, const struct config *config,
                       const char *interface, struct err *err) MUST_CHECK;
void services_list_done(struct services_list *list);

struct services_listen {
    uint16_t place; /* in the list */
    uint16_t n_workers;
    uint16_t is_ipv6; /* of GRE, which has a socket for each family */
    uint16_t n_excluded;
    int32_t excluded[STEER_MAX_EXCLUDED];
};

/* Descriptors: one for each worker, then one that only holds the port or protocol, where there is
 * such. Those that do not exist are left out; see n_workers. */
struct services_listened {
    uint16_t n_workers; /* fds that are for workers, from the first on */
    uint16_t has_hold;
    struct ring_shape shape;
    uint64_t buffer_size;
};

/* This host: its addresses, its default route's interface. */
struct services_host {
    uint32_t n_own;
    struct addr own[SERVICES_MAX_OWN];
    char interface[CONFIG_INTERFACE_MAX];
};

struct services_look {
    uint32_t is_changed; /* since the configuration was read */
};

/* The parent's side. */
struct services {
    struct config *config;
    struct services_list list;
    uint64_t steer_secret;
    /* Loads the configuration, with what the command line says. */
    int (*load)(void *with, struct config **out, struct err *err);
    void *with;
    uint64_t records_mark; /* config_records_mark() before the configuration was read */
    char interface[CONFIG_INTERFACE_MAX];
};

/* The table for parent_options, SERVICES_N rows; its `with` is a struct services. */
extern const struct parent_service services_table[SERVICES_N];

/* How a listener's packets are wrapped, for the program that steers them. */
enum steer_kind services_steer_kind(const struct config_listener *listener);

/* The packet process asks; `fds` has room for PARENT_MAX_FDS. */
int services_listen(struct parent *parent, const struct services_listen *request, int *fds,
                    size_t *n_fds, struct services_listened *out, struct err *err) MUST_CHECK;
int services_host(struct parent *parent, struct services_host *out, struct err *err) MUST_CHECK;
/* A new configuration, which the parent has taken, too. */
int services_config(struct parent *parent, struct config **out, struct err *err) MUST_CHECK;
/* The same, of records alone. What can't be taken is no more changed until it changes again. */
int services_records(struct parent *parent, struct config **out, struct err *err) MUST_CHECK;
bool services_records_changed(struct parent *parent);
/* A descriptor for lists_take: the feeds and safelists of the configuration that the parent has. */
int services_lists(struct parent *parent, int *out_fd, struct err *err) MUST_CHECK;

#endif
