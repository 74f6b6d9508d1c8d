/* Mirrors of Google Cloud by Network Security Integration, out-of-band: what the files of this
 * provider share.
 *
 *     deployment group ← deployments, one a zone, each with a forwarding rule of a collector
 *         ↑ endpoint group ← association with the network whose machines are mirrored
 *             ↑ security profile ← security profile group      (of the organization)
 *                 ↑ mirroring rules of a network firewall policy, which the network has
 *
 * Those of Network Security carry the label cloudspan=LABEL; firewall policies and rules have no
 * labels: their description is cloudspan=NAME. A network has one firewall policy: where it has one
 * already our rules are put into that, and nothing else of it is changed. */
#ifndef MIRROR_NSI_H
#define MIRROR_NSI_H

#include "mirror/google.h"

#define NSI_ZONES_MAX 32
#define NSI_LABEL     "cloudspan"
#define NSI_PRIORITY  1000
#define NSI_RULES     4 /* at most: in and out, of IPv4 and of IPv6; each has a priority */
#define NSI_GENEVE    "6081"

/* In the order in which they are made. */
enum nsi_kind {
    NSI_GROUP,
    NSI_DEPLOYMENT,
    NSI_ENDPOINT,
    NSI_ASSOCIATION,
    NSI_PROFILE,
    NSI_PROFILE_GROUP,
    NSI_POLICY,
    NSI_RULE,
    NSI_ATTACHMENT,
    NSI_N_KINDS
};

struct nsi_kind_row {
    const char *name;    /* of the object's kind */
    const char *type;    /* of Network Security's collection; NULL: of a firewall policy */
    const char *word;    /* for people */
    const char *command; /* of gcloud network-security */
    bool of_organization, is_zonal;
};
extern const struct nsi_kind_row nsi_kinds[NSI_N_KINDS];

struct nsi_wish {
    /* Borrowed of the command line; NULL: not given. */
    const char *project, *organization, *vpc, *policy, *endpoint;
    const char *to[NSI_ZONES_MAX], *cidrs[GOOGLE_LIST_MAX], *protocols[GOOGLE_LIST_MAX];
    size_t n_to, n_cidrs, n_protocols;
    uint32_t priority;
    bool no_in, no_out;
};

/* job->state. */
struct nsi_place {
    struct cloud_http *http;
    struct google *google;
    char organization[GOOGLE_NAME_MAX]; /* "": not known */
    json_t *things[NSI_N_KINDS]; /* of the last look; of firewall policies all are NSI_POLICY */
    bool is_fresh;
    char vpc[GOOGLE_PATH_MAX];       /* that is mirrored */
    char collector[GOOGLE_PATH_MAX]; /* the network that collectors are in */
    bool has_ipv6;                   /* machines of zones with a collector; of want() */
    struct cloud_inventory inventory;
    json_t *paths;
};

int nsi_kind_of(const struct mirror_object *object);
/* The label's value, and what our objects are called: "cloudspan-web", without its prefix "web". */
void nsi_put_label(const char *mirror, char out[48]);
/* Where objects of that kind are: "projects/P/locations/global/mirroringEndpointGroups". */
void nsi_put_parent(const struct nsi_place *place, int kind, const char *location,
                    char out[GOOGLE_PATH_MAX]);
/* The whole name of the object of this mirror; of NSI_DEPLOYMENT in `location`. */
void nsi_put_name(const struct mirror_job *job, int kind, const char *location,
                  char out[GOOGLE_PATH_MAX]);

/* References between objects may have the project's number in the place of its id: without it they
 * can be compared. Both give what is borrowed, or `out`. */
const char *nsi_short(const struct nsi_place *place, const char *name);
const char *nsi_long(const struct nsi_place *place, const char *name, char out[GOOGLE_PATH_MAX]);

int nsi_look(struct nsi_place *place, struct err *err) MUST_CHECK;
int nsi_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int nsi_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err);
int nsi_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
int nsi_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);

int nsi_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err);
int nsi_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
              struct err *err);
int nsi_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err);
int nsi_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err);
void nsi_describe(const struct mirror_object *object, struct text *out);
void nsi_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out);

#endif
