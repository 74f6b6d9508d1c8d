/* Mirrors of VMware NSX, on premises and in VMware Cloud: a port mirroring profile to a group of
 * collectors, bound to a group of machines. The copies come from the ESXi hosts, by GRE or ERSPAN,
 * and those of many machines share one id: the collector tells machines apart by their MAC and
 * their addresses.
 *
 *     group "to"      the collectors' addresses
 *     profile         where to, how, which direction
 *     group "from"    the machines (not with --group: then one that is there)
 *     binding         of the profile to the group of machines; with it the mirror begins
 *
 * All have the tag {"scope": "cloudspan:mirror", "tag": NAME}, and ids that follow from NAME. */
#ifndef MIRROR_NSX_H
#define MIRROR_NSX_H

#include "cloud/nsx.h"
#include "mirror/cloud.h"
#include "mirror/option.h"
#include "mirror/target.h"

#define NSX_COLLECTORS_MAX 3 /* a destination group's, as NSX has it */
#define NSX_CLOUD_MACHINES 6 /* at a time, as VMware recommends in its cloud */
#define NSX_TAG            "cloudspan:mirror"
#define NSX_PATH_MAX       512

/* As the machine sees it. */
enum nsx_direction { NSX_IN = MIRROR_IN, NSX_OUT = MIRROR_OUT, NSX_BOTH = MIRROR_BOTH };

struct nsx_wish {
    struct cloud_select select;
    const char *manager, *domain, *group;
    struct mirror_target to[NSX_COLLECTORS_MAX]; /* of one kind */
    size_t n_to;
    uint32_t id;
    bool has_id;
    int direction; /* enum nsx_direction; 0: both */
    uint32_t snap;
};

struct nsx {
    struct cloud_http *http;
    struct nsx_api *api;
    struct cloud_inventory inventory; /* filled by want() */
};

/* nsx_list.c: machines and their cards. */
int nsx_take_inventory(struct mirror_job *job, struct text *remarks, struct err *err) MUST_CHECK;
/* "/infra/domains/default/groups/cloudspan-NAME", of what --group says; the path that NSX knows it
 * by, without the API's prefix. */
int nsx_group_path(const struct nsx_wish *wish, const char *name, char out[NSX_PATH_MAX],
                   struct err *err) MUST_CHECK;

/* nsx_want.c */
int nsx_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err);

/* nsx_make.c */
int nsx_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int nsx_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
              struct err *err);
int nsx_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
int nsx_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err);
int nsx_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);
/* Where an object is, from the base on; owned by nobody: `is` has it. */
const char *nsx_path_of(const struct mirror_object *object);
/* What is sent to make it; the caller's. NULL: no memory. */
json_t *nsx_body(const struct mirror_job *job, const struct mirror_object *want);

/* nsx_show.c */
void nsx_describe(const struct mirror_object *object, struct text *out);
void nsx_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out);
int nsx_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err);
int nsx_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err);
int nsx_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err);

#endif
