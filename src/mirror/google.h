/* Mirrors of Google Cloud by Packet Mirroring: what the files of this provider share.
 *
 * A mirror is one policy or several, as a policy takes 50 machines and 5 subnets at most. Policies
 * have no labels: ours are called cloudspan-…, and their description is cloudspan=NAME. Where whole
 * subnets are mirrored the policy names them, so that machines that come later are mirrored at
 * once; else it names machines. Google's URLs are kept from "projects/" on. */
#ifndef MIRROR_GOOGLE_H
#define MIRROR_GOOGLE_H

#include "cloud/google.h"
#include "mirror/cloud.h"
#include "mirror/option.h"
#include "mirror/provider.h"

#define GOOGLE_PREFIX        "cloudspan-" /* of names */
#define GOOGLE_MARK          "cloudspan=" /* of descriptions */
#define GOOGLE_PATH_MAX      320
#define GOOGLE_NAME_MAX      64 /* of Google's names, with the NUL */
#define GOOGLE_INSTANCES_MAX 50 /* of a policy */
#define GOOGLE_SUBNETS_MAX   5
#define GOOGLE_TAGS_MAX      5
#define GOOGLE_LIST_MAX      64

struct google_wish {
    struct cloud_select select;
    /* Borrowed of the command line; NULL: not given. */
    const char *project, *region, *network, *to, *endpoint;
    const char *tags[GOOGLE_TAGS_MAX], *cidrs[GOOGLE_LIST_MAX], *protocols[GOOGLE_LIST_MAX];
    size_t n_tags, n_cidrs, n_protocols;
    const char *direction; /* "BOTH", "INGRESS", "EGRESS"; NULL: not given */
};

/* job->state. */
struct google_place {
    struct cloud_http *http;
    struct google *google;
    json_t *policies; /* of the last look; NULL: there was none */
    bool is_fresh;    /* nothing was asked to be changed since */
    json_t *subnets;  /* of the region */
    json_t *own;      /* paths of the collector's machines, as the object's keys */
    char network[GOOGLE_PATH_MAX];
    char collector[GOOGLE_PATH_MAX];
    char region[GOOGLE_NAME_MAX];
    struct cloud_inventory inventory;
    json_t *paths; /* of the inventory: an interface's id -> its machine's path */
};

/* ---- names and paths (google_name.c) ---- */

/* From "projects/" on. */
const char *google_path(const char *url);
/* What is behind the last slash. */
const char *google_last(const char *path);
/* The name behind "/TYPE/". */
bool google_part(const char *path, const char *type, char out[GOOGLE_NAME_MAX]);
/* "cloudspan-web" of a mirror's name: letters and digits that Google takes; where others had to
 * give way, a few digits make it one of its own. */
void google_put_stem(const char *mirror, char out[48]);
/* Whether the thing has our marks for that mirror. */
bool google_is_ours(const json_t *thing, const char *mirror);
json_t *google_sorted(json_t *texts); /* takes it over; NULL: no memory */
bool google_has(const json_t *texts, const char *text);
/* "https://www.googleapis.com/compute/v1/projects/…" */
json_t *google_url(const char *path);
/* One word for the shell, behind " --OPTION=". */
void google_put_option(struct text *out, const char *option, const char *value);
/* " --option=a,b,c"; nothing where the list is empty. */
void google_put_list(struct text *out, const char *option, const json_t *list);
/* Mirrors' names of those things that have our marks. */
int google_marked_names(const json_t *things, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                        struct err *err) MUST_CHECK;
/* What the audit log says of deletions: a line for each of `missing` whose resource's name ends
 * with what `put` gives. */
int google_blame(struct google *google, const char *method, const struct mirror_set *missing,
                 void (*put)(const struct mirror_object *object, char out[GOOGLE_PATH_MAX]),
                 struct text *out, struct err *err) MUST_CHECK;

/* The project's machines with an interface in the network (a path), of the zones that `wants` takes
 * (NULL: all). `paths` gets interface's id -> machine's path. (google_inventory.c) */
int google_inventory(struct google *google, const char *network,
                     bool (*wants)(const char *zone, void *with), void *with,
                     struct cloud_inventory *out, json_t *paths, struct err *err) MUST_CHECK;

/* ---- looking and doing (google_find.c) ---- */

int google_look(struct google_place *place, struct err *err) MUST_CHECK;
json_t *google_object_of(const json_t *policy);
int google_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int google_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
bool google_may_change(const struct mirror_object *have, const struct mirror_object *want);
int google_change(struct mirror_job *job, const struct mirror_object *have,
                  const struct mirror_object *want, struct err *err);
int google_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);

/* ---- wanting (google_want.c, google_pack.c) ---- */

int google_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                struct err *err);
/* Puts machines and subnets (sorted lists of paths) into policies: those that are in one stay
 * there, as long as there is room. */
int google_pack(struct mirror_job *job, const json_t *instances, const json_t *subnets,
                const json_t *tags, const json_t *like, struct mirror_set *out,
                struct err *err) MUST_CHECK;

#endif
