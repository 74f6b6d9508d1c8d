/* Mirrors of OpenStack, by Tap as a Service of Neutron: what the files of this provider share.
 *
 * To a port of the cloud: a *tap service* at that port, and a *tap flow* to it for each port that
 * is mirrored. To an address outside: a *tap mirror* for each port, by GRE or ERSPAN, with one id
 * for each direction. None of them has tags: each has a description, "cloudspan:mirror=NAME
 * key=PORT", from which it is known again. */
#ifndef MIRROR_OPENSTACK_H
#define MIRROR_OPENSTACK_H

#include "cloud/keystone.h"
#include "cloud/neutron.h"
#include "mirror/cloud.h"
#include "mirror/target.h"

#define OPENSTACK_MARK "cloudspan:mirror="
/* Tags of a port whose port security we switched off; behind the second one the id of a security
 * group that it had. */
#define OPENSTACK_TAG       "cloudspan="
#define OPENSTACK_TAG_GROUP "cloudspan-group="

#define OPENSTACK_SECURITY "port-security" /* kinds of objects, by the port's id */
#define OPENSTACK_SERVICE  "tap-service"
#define OPENSTACK_FLOW     "tap-flow"
#define OPENSTACK_MIRROR   "tap-mirror"

enum openstack_direction { OPENSTACK_BOTH, OPENSTACK_IN, OPENSTACK_OUT };
enum openstack_method { OPENSTACK_AUTO, OPENSTACK_BY_FLOW, OPENSTACK_BY_MIRROR };

struct openstack_wish {
    struct cloud_select select;
    const char *cloud, *region, *project; /* borrowed of the command line; NULL: not given */
    const char *port;                     /* of --to port:…: an id or a name */
    struct mirror_target to;              /* of an address */
    bool has_to, is_self, has_id, opens_port;
    uint32_t id;
    int direction; /* enum openstack_direction, as the machine sees it */
    int method;    /* enum openstack_method */
};

/* The lists that objects are in. */
enum openstack_list {
    OPENSTACK_SERVICES,
    OPENSTACK_FLOWS,
    OPENSTACK_MIRRORS,
    OPENSTACK_PORTS, /* ours by their tags */
    OPENSTACK_N_LISTS
};

/* job->state. */
struct openstack {
    struct cloud_http *http;
    struct keystone *keystone;
    struct neutron neutron;
    json_t *extensions;                 /* aliases, as keys */
    json_t *lists[OPENSTACK_N_LISTS];   /* of the last look; of this project */
    json_t *ports_by_id;                /* of the last look */
    json_t *target;                     /* the port of --to; NULL: an address */
    struct cloud_inventory inventory;   /* of the last want() */
    struct cloud_inventory directions;  /* of tap mirrors: "PORT/IN", "PORT/OUT", with their ids */
    char service[64], service_port[64]; /* where flows are made: the service of that port */
    uint32_t begun_ms;                  /* that were waited before something was deleted */
    bool is_changed;                    /* this run made something: it is waited for */
    bool is_deleting;                   /* agents have yet to say that flows are gone */
};

bool openstack_has(const struct openstack *os, const char *extension);

/* ---- what there is (openstack_find.c) ---- */

int openstack_look(struct mirror_job *job, struct err *err) MUST_CHECK;
/* Of the last look; NULL: the project has no such port. */
const json_t *openstack_port(const struct openstack *os, const char *id);
/* Whether it has the mark of this mirror; NULL: of any. */
bool openstack_is_ours(const json_t *object, const char *mirror);
/* The tap service at a port that takes flows: this mirror's before others'; NULL: it has none. */
const json_t *openstack_service_at(const struct openstack *os, const char *port, const char *mirror,
                                   bool *out_ours);
bool openstack_has_tag(const json_t *port, const char *tag);
const char *openstack_collection(enum openstack_list list);
const char *openstack_resource(enum openstack_list list);
/* The list that objects of a kind are in. */
enum openstack_list openstack_list_of(const char *kind);
/* The directions of a tap mirror, without those it has not; a new object, or NULL: no memory. */
json_t *openstack_directions(const json_t *mirror);
int openstack_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int openstack_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                    struct err *err);

/* ---- which machines (openstack_nics.c) ---- */

/* All ports of the last look, with what Nova knows of their machines. */
int openstack_list_nics(struct openstack *os, struct cloud_inventory *out, struct text *remarks,
                        struct err *err) MUST_CHECK;

/* ---- what should be there (openstack_want.c) ---- */

int openstack_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                   struct err *err);

/* ---- where to (openstack_target.c) ---- */

/* Whether its machine is off, or the port is not bound. */
bool openstack_is_down(const struct openstack *os, const char *port);
/* The port of --to port: or self, in os->target. */
int openstack_find_target(struct openstack *os, const struct openstack_wish *wish,
                          struct err *err) MUST_CHECK;
/* The name of the interface of this machine that has this MAC address; false: it has none. */
bool openstack_local(const char *mac, char out[16]);
/* Numbers for each direction of each wanted port. */
int openstack_give_ids(struct mirror_job *job, struct err *err) MUST_CHECK;
/* Those of a port, of the last openstack_give_ids(): {"IN": 101, "OUT": 102}; new. */
json_t *openstack_ids_of(const struct openstack *os, const char *port);

/* ---- making (openstack_make.c) ---- */

int openstack_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
int openstack_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);
int openstack_prove(struct mirror_job *job, struct text *said, struct err *err);
/* Until the agents did what they were told to delete, or for a while. */
void openstack_settle(struct mirror_job *job);

/* ---- words (openstack_show.c) ---- */

int openstack_cover(struct mirror_job *job, const struct mirror_set *found,
                    struct mirror_coverage *out, struct err *err);
int openstack_measure(struct mirror_job *job, const struct mirror_set *found,
                      struct mirror_measures *out, struct err *err);
int openstack_sources(struct mirror_job *job, const struct mirror_set *wanted,
                      struct mirror_sources *out, struct err *err);
void openstack_describe(const struct mirror_object *object, struct text *out);
void openstack_command(const struct mirror_job *job, const struct mirror_object *object,
                       bool unmake, struct text *out);

#endif
