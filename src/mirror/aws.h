/* AWS VPC Traffic Mirroring: what the files of this provider share.
 *
 * A mirror is a filter with its rules, a target for each place that takes copies, and a session for
 * each network interface. All but the rules carry the tags cloudspan:mirror=NAME and
 * cloudspan:key=KIND/KEY from the call that makes them; a rule is known by being in our filter.
 * What has lost its tags is known by the id in the journal and its description: "tagged" of what
 * has them is true, and that of all that should be there.
 *
 * Objects, and what their keys are:
 *
 *   filter   "filter"           dns: Amazon's DNS is mirrored, too
 *   rule     ingress/100        action, protocol, source, destination, source_ports,
 *                               destination_ports; protocol -1 and ports "": all
 *   opening  sg-…/CIDR          a rule of a target's security group: UDP 4789 from there
 *   canary   sg-…/CIDR          a rule of the sources' security group: UDP from the collector
 *   target   eni-…, an ARN, vpce-…
 *   session  eni-…              target (the key of ours, or the id of another's), filter (the
 * same), vni, length (0: whole packets), number */
#ifndef MIRROR_AWS_H
#define MIRROR_AWS_H

#include "cloud/aws.h"
#include "mirror/cloud.h"
#include "mirror/option.h"
#include "mirror/provider.h"

#define AWS_TAG_MIRROR  "cloudspan:mirror"
#define AWS_TAG_KEY     "cloudspan:key"
#define AWS_DESCRIPTION "cloudspan" /* of all that is made; of rules of security groups more: */
#define AWS_CANARY_RULE AWS_DESCRIPTION ": canary of the collector"
#define AWS_OPEN_RULE   AWS_DESCRIPTION ": mirrored traffic"
#define AWS_BARE        "cloudspan-bare" /* in an item of the look: ours, and has no tags any more */
#define AWS_TAG_OWN     "cloudspan:collector" /* interfaces and groups made by `mirror target` */

#define AWS_TO_MAX      16
#define AWS_VPCS_MAX    16
#define AWS_WORDS_MAX   10 /* --filter */
#define AWS_RULES_MAX   40 /* that these may become, before they are refused */
#define AWS_RULES_LIMIT 10 /* of a filter, unless the account has more */
#define AWS_PORT        4789
#define AWS_SESSIONS    3 /* of an interface */
#define AWS_NUMBER_MAX  32766
#define AWS_NLB_LENGTH  8500 /* what a session to a load balancer has when none is given */

enum aws_direction { AWS_IN = MIRROR_IN, AWS_OUT = MIRROR_OUT, AWS_BOTH = MIRROR_BOTH };

enum aws_to_kind { AWS_TO_SELF, AWS_TO_INTERFACE, AWS_TO_NLB, AWS_TO_GWLBE, AWS_TO_TARGET };

struct aws_to {
    int kind;       /* enum aws_to_kind */
    const char *id; /* eni-…, ARN, vpce-…, tmt-…; NULL: of this machine */
};

struct aws_rule {
    bool is_egress, is_accept;
    int protocol; /* -1: all */
    char source[48], destination[48];
    char source_ports[16], destination_ports[16]; /* "80-90"; "": all */
};

struct aws_wish {
    struct cloud_select select;
    const char *vpcs[AWS_VPCS_MAX]; /* borrowed of the command line, as all texts */
    size_t n_vpcs;
    struct aws_to to[AWS_TO_MAX];
    size_t n_to;
    struct aws_options options;
    struct aws_rule rules[AWS_RULES_MAX]; /* of --filter, for both directions as far as asked */
    size_t n_rules;
    size_t n_words; /* --filter that were given */
    int direction;  /* enum aws_direction; 0: both */
    uint32_t length, number, capacity;
    bool no_dns, opens, lets_canary, policy;
    uint16_t canary_min, canary_max;
};

/* ---- the cloud (aws_call.c) ---- */

/* What talks to it; tests put their own in place. */
struct aws_calls {
    int (*call)(void *with, const char *service, const char *action, const json_t *parameters,
                json_t **out, struct cloud_refusal *refusal, struct err *err);
    int (*all)(void *with, const char *action, const json_t *parameters, const char *set,
               json_t **out, struct cloud_refusal *refusal, struct err *err);
    int (*metadata)(void *with, const char *path, struct text *out, struct err *err);
    bool (*wait)(void *with, uint32_t ms); /* false: the user wants to stop */
    int64_t (*now)(void *with);            /* ns since the epoch */
    void *with;
};

/* One place that takes copies, as the cloud describes it. */
struct aws_place {
    int kind;
    char key[MIRROR_KEY_MAX]; /* of its object; of AWS_TO_TARGET the target's id */
    char zone[32], vpc[32], subnet[32];
    char machine[32]; /* the instance that it is attached to */
    char type[32];    /* of that instance */
    char address[48]; /* the primary one, where copies are sent to */
    char subnet_cidr[48];
    json_t *groups; /* owned list of security groups' ids; NULL: none */
    json_t *facts;  /* owned, for aws_check.c: see aws_place.c */
    bool is_self;
    uint32_t capacity; /* UINT32_MAX: no limit is known */
    uint32_t others;   /* sources that others' sessions have there */
    uint32_t n;        /* sources that this mirror gives it */
};

/* Beside each interface of the inventory. */
struct aws_spot {
    size_t place;    /* SIZE_MAX: none */
    uint32_t number; /* of its session; 0: it gets none */
    char why[200];   /* of one that was wanted, and gets none */
};

/* job->state. */
struct aws_mirror {
    struct cloud_http *http;
    struct aws *aws;
    struct aws_calls calls;
    char region[48];

    /* Of the last look; lists as the cloud gives them, owned. */
    json_t *filters, *targets, *sessions;
    bool is_fresh; /* nobody used that look to find() yet */

    struct cloud_inventory nics;
    struct aws_spot *spots; /* one for each of nics */
    json_t *subnets;        /* id -> item */
    json_t *groups;         /* interface's id -> its groupSet */
    struct aws_place places[AWS_TO_MAX];
    size_t n_places;
    json_t *own; /* owned object: instances, interfaces and addresses that are collectors */

    json_t *ids;     /* "session/eni-1" -> "tms-1": of what was found or made */
    json_t *pending; /* [[kind, id], …]: they go when no session uses them any more */
    bool believes;   /* what does not show after a while is gone */
    bool inherited;  /* an apply before this run did not come to its end */
    json_t *notes;   /* kept in a file between runs: see aws_notes.c */
};

/* Frees what it holds, but for the connection. */
void aws_mirror_done(struct aws_mirror *state);

/* Calls it; err says which IAM action lacks where that is why, and explains limits. */
int aws_mirror_call(struct aws_mirror *state, const char *service, const char *action,
                    json_t *parameters, json_t **out, struct cloud_refusal *refusal,
                    struct err *err) MUST_CHECK;
/* As above, again and again for a minute as long as something that we made is not known yet. */
int aws_mirror_insist(struct aws_mirror *state, const char *action, json_t *parameters,
                      json_t **out, struct cloud_refusal *refusal, struct err *err) MUST_CHECK;
/* All pages of an EC2 Describe. Takes `parameters` over, as the others do. */
int aws_mirror_all(struct aws_mirror *state, const char *action, json_t *parameters,
                   const char *set, json_t **out, struct err *err) MUST_CHECK;
/* {"Filter": [{"Name": name, "Value": [value]}]} */
json_t *aws_filter(const char *name, const char *value);
void aws_add_filter(json_t *parameters, const char *name, json_t *values);

/* Of answers: a number, `lack` where there is none. */
int64_t aws_number(const json_t *object, const char *name, int64_t lack);
/* A list, also where it is empty or lacks: then NULL, which has no items. */
const json_t *aws_list(const json_t *object, const char *name);
/* The tag of an item with a tagSet; NULL: it has none. */
const char *aws_tag(const json_t *item, const char *key);
/* TagSpecification of what is made for the mirror. */
json_t *aws_tags(const char *type, const char *mirror, const char *kind, const char *key);
/* The same of anything, without the list around: [{"Key": …, "Value": …}]. */
json_t *aws_tag_list(const char *mirror, const char *kind, const char *key);

/* What is in an answer of a service other than EC2: its <ActionResult>. Borrowed. */
const json_t *aws_result(const json_t *answer, const char *action);

/* ---- what is there (aws_find.c, aws_list.c, aws_place.c) ---- */

/* Looks again for a while where something that was made a moment ago does not show yet. */
int aws_mirror_look(struct mirror_job *job, struct err *err) MUST_CHECK;
/* The item with this id; NULL: there is none. `member`: "trafficMirrorTargetId" … */
const json_t *aws_by_id(const json_t *list, const char *member, const char *id);
bool aws_is_ours(const json_t *item, const char *mirror);
/* Those of a list whose tags somebody took away are ours all the same, or a second one would be
 * made beside each: see AWS_BARE. */
void aws_know_again(const struct mirror_job *job, json_t *list, const char *member);
/* The interface, ARN or endpoint of a target's item; "": not known. */
const char *aws_target_resource(const json_t *target);
/* The id of what was found or made; NULL: nothing is known. */
const char *aws_id_of(const struct aws_mirror *state, const char *kind, const char *key);
void aws_keep_id(struct aws_mirror *state, const char *kind, const char *key, const char *id);

int aws_find(struct mirror_job *job, struct mirror_set *out, struct err *err);
int aws_names(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
              struct err *err);

/* All interfaces of the wish's networks, with the reason of those that can't be mirrored, and of
 * those that were not asked for. */
int aws_mirror_list(struct mirror_job *job, struct text *remarks, struct err *err) MUST_CHECK;
/* Types of before the Nitro system that can't be mirrored: there will be no more of them. Types
 * that AWS does not name among those that can, for now ("", not known, is none). And those that
 * take 100 sources. */
bool aws_type_is_old(const char *type);
bool aws_type_is_unfit(const char *type);
bool aws_type_is_large(const char *type);
#define AWS_SOURCES_AS_OF "2025-08" /* when AWS last changed them, in a guide of 2026 */
#define AWS_TARGETS_AS_OF "2026-02" /* of the newest types there */
#define AWS_PRICE_AS_OF   "2026-11"

/* The places of --to. In `facts` of one: the cloud's item ("interface", "endpoint"); of a load
 * balancer "listens" (a UDP listener on 4789), "healthy" and "registered" (numbers); "unknown": the
 * credentials may not ask. */
int aws_mirror_places(struct mirror_job *job, struct err *err) MUST_CHECK;

/* ---- what should be there ---- */

int aws_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err);
/* Which place, which number, which VNI (aws_pack.c). The look is done. */
int aws_mirror_pack(struct mirror_job *job, struct text *remarks, struct err *err) MUST_CHECK;
/* Why nothing might arrive (aws_check.c); adds the changes that are asked for. */
int aws_mirror_check(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                     struct err *err) MUST_CHECK;
/* Rules of --filter (aws_rules.c), and of the wish as a whole. */
int aws_take_filter(const char *value, struct aws_wish *wish, struct err *err) MUST_CHECK;
int aws_want_rules(const struct aws_wish *wish, struct mirror_set *out, struct text *remarks,
                   struct err *err) MUST_CHECK;
/* "web-1 (eni-1)" */
void aws_put_nic(const struct cloud_nic *nic, char out[160]);
/* "80" or "80-90" */
bool aws_take_range(const char *text, uint16_t *out_from, uint16_t *out_to);
/* Whether `cidr` has `other`, a prefix or an address, in it. */
bool aws_cidr_has(const char *cidr, const char *other);

/* ---- making ---- */

int aws_make(struct mirror_job *job, const struct mirror_object *want, struct err *err);
bool aws_may_change(const struct mirror_object *have, const struct mirror_object *want);
int aws_change(struct mirror_job *job, const struct mirror_object *have,
               const struct mirror_object *want, struct err *err);
int aws_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err);
int aws_prove(struct mirror_job *job, struct text *said, struct err *err);

/* Notes between runs (aws_notes.c): a nonce for ClientTokens, as long as an apply did not come to
 * its end. */
void aws_notes_read(struct mirror_job *job);
void aws_put_client_token(struct mirror_job *job, const char *what, const json_t *parameters,
                          char out[65]);
void aws_notes_attempt_over(struct mirror_job *job);
/* That AWS mirrors no such interface, with its error code: kept until the machine or its type is
 * another one, a session is made of it after all (`code` is NULL), or the user asks for it. Gives
 * that code; NULL: nothing of the kind is known. */
void aws_refused_keep(struct mirror_job *job, const struct cloud_nic *nic, const char *code);
const char *aws_refused(const struct mirror_job *job, const struct cloud_nic *nic);
void aws_forget(const struct mirror_job *job);
/* What CloudWatch said of losses within the last quarter of an hour, machine's id -> packets; NULL:
 * it has to be asked. It takes money for each question, and `follow` looks every minute. */
json_t *aws_losses_read(const struct mirror_job *job, int64_t now);
void aws_losses_keep(const struct mirror_job *job, int64_t now, json_t *of);

/* ---- afterwards (aws_status.c, aws_blame.c), words (aws_show.c), verbs ---- */

int aws_cover(struct mirror_job *job, const struct mirror_set *found, struct mirror_coverage *out,
              struct err *err);
int aws_measure(struct mirror_job *job, const struct mirror_set *found, struct mirror_measures *out,
                struct err *err);
int aws_blame(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
              struct err *err);
int aws_sources(struct mirror_job *job, const struct mirror_set *wanted, struct mirror_sources *out,
                struct err *err);
void aws_describe(const struct mirror_object *object, struct text *out);
void aws_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                 struct text *out);
void aws_put_policy(struct text *out);

int aws_adopt(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
              bool json, struct text *out, struct err *err);
int aws_target_verb(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
                    bool json, struct text *out, struct err *err);

#endif
