/* Mirrors of Azure: what the files of this provider share.
 *
 * A mirror is a virtual network TAP, which says where the copies go, and a tap configuration on
 * each interface whose traffic is copied. The TAP carries the tag cloudspan=NAME; configurations
 * can't have tags, and are called cloudspan-NAME. Ids of Azure are the same in upper and lower
 * case: objects have them in lower case, requests as Azure spelled them. */
#ifndef MIRROR_AZURE_H
#define MIRROR_AZURE_H

#include "cloud/azure.h"
#include "mirror/cloud.h"
#include "mirror/provider.h"

#define AZURE_MARK    "cloudspan"  /* the TAP's tag: the mirror's name */
#define AZURE_PREFIX  "cloudspan-" /* of the names of what we make */
#define AZURE_ID_MAX  512
#define AZURE_NETWORK "api-version=2024-05-01" /* of Microsoft.Network */
#define AZURE_COMPUTE "api-version=2024-07-01"

struct azure_wish {
    struct cloud_select select;
    /* Borrowed of the command line; NULL: not given. */
    const char *group, *subscription, *vnet, *to, *endpoint;
    uint16_t port; /* 0: not given */
};

/* Where the copies go. */
struct azure_target {
    char id[AZURE_ID_MAX]; /* of the IP configuration, or the load balancer's front end */
    bool is_balancer;
    char owner[AZURE_ID_MAX]; /* of the interface, or the load balancer, in lower case */
    char vnet[AZURE_ID_MAX];  /* in lower case */
    char location[64];
    char address[48];
};

/* job->state. */
struct azure_place {
    struct cloud_http *http;
    struct azure *azure;
    json_t *nics, *taps; /* of the last look; NULL: there was none */
    json_t *by_name;     /* "group/nic", in lower case -> the interface */
    bool is_fresh;       /* nothing was asked to be changed since */
    json_t *machines;    /* by id in lower case; NULL: they may not be read */
    json_t *networks;    /* as well */
    json_t *balancers;   /* as well; NULL also where no interface is behind one */
    struct azure_target target;
    struct cloud_inventory inventory; /* of want() */
};

/* ---- ids (azure_id.c) ---- */

/* In lower case, cut where it doesn't fit. */
void azure_put_lower(char *out, size_t size, const char *text);
bool azure_same(const char *one, const char *other);
/* The name behind "/TYPE/": of "networkInterfaces" in ".../networkInterfaces/n/…" it is "n". */
bool azure_part(const char *id, const char *type, char *out, size_t size);
/* The id up to that name. */
bool azure_until(const char *id, const char *type, char out[AZURE_ID_MAX]);
/* "group/name", as Azure spells it; and in lower case: the key of an object. */
#define AZURE_SHORT_MAX 200
bool azure_short(const char *id, const char *type, char out[AZURE_SHORT_MAX]);
bool azure_key(const char *id, const char *type, char out[MIRROR_KEY_MAX]);

const json_t *azure_property(const json_t *thing, const char *name);

/* ---- looking (azure_find.c) ---- */

int azure_look(struct azure_place *place, struct err *err) MUST_CHECK;
/* NULL: there is none of that id, in the last look. */
const json_t *azure_nic(const struct azure_place *place, const char *id);
/* Of "group/name", in whichever case: the key of a tap-config, the id of the inventory. */
const json_t *azure_nic_of(const struct azure_place *place, const char *name);
/* The mirror that a TAP is part of; NULL: it is not ours. */
const char *azure_mark(const json_t *tap);
void azure_put_name(const char *mirror, char out[64]); /* "cloudspan-NAME" */

int azure_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int azure_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                struct err *err);

/* ---- wanting (azure_want.c, azure_target.c) ---- */

int azure_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
               struct err *err);
/* Into the inventory of the place; `machine` has its tags, zone and size. NULL: no memory, or too
 * many. */
struct cloud_nic *azure_take_nic(struct azure_place *place, const char *own, const json_t *machine,
                                 const json_t *row);
/* Whether it is in the wish's network or group. */
bool azure_is_in_scope(const struct azure_wish *wish, const json_t *nic);
/* azure_scale.c: those of uniform scale sets, none of which can be mirrored. */
int azure_take_scale_sets(struct azure_place *place, const struct azure_wish *wish,
                          struct text *remarks, struct err *err) MUST_CHECK;
int azure_find_target(struct mirror_job *job, struct azure_target *out, struct err *err) MUST_CHECK;
/* Whether an interface receives the copies. */
bool azure_is_target(const struct azure_target *target, const json_t *nic);
/* The subnet's id of an interface's first IP configuration; "". */
const char *azure_subnet_of(const json_t *nic);

/* ---- doing (azure_make.c) ---- */

int azure_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
bool azure_may_change(const struct mirror_object *have, const struct mirror_object *want);
int azure_change(struct mirror_job *job, const struct mirror_object *have,
                 const struct mirror_object *want, struct err *err);
int azure_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);

/* ---- saying (azure_show.c) ---- */

int azure_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
                struct err *err);
int azure_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
                struct err *err);
int azure_measure(struct mirror_job *job, const struct mirror_set *found,
                  struct mirror_measures *out, struct err *err);
int azure_sources(struct mirror_job *job, const struct mirror_set *wanted,
                  struct mirror_sources *out, struct err *err);
void azure_describe(const struct mirror_object *object, struct text *out);
void azure_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                   struct text *out);

#endif
