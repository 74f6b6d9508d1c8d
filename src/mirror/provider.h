/* Providers of mirrors: one file each exports a `const struct mirror_provider provider_<name>`, and
 * has one line in mirror/list.h.
 *
 * A provider knows what things a mirror is made of where it works, and how to make, find and unmake
 * each. It does not know about plans, journals, or what is printed: mirror/engine.h drives it.
 *
 *     plan:    want, find                        nothing may be changed by these
 *     apply:   want, find; unmake, change, make; prove
 *     status:  want, find, measure
 *     remove:  find; unmake
 *
 * The program can be killed between any two calls, and inside any: each make and unmake of an
 * object leaves the world either as it was, or done; and what `make` makes carries a mark from
 * which `find` knows it again with no journal at hand. What cannot carry one, `find` takes for ours
 * when mirror_job_made() says that we made it, or when a mark on something else says so. */
#ifndef MIRROR_PROVIDER_H
#define MIRROR_PROVIDER_H

#include <stdint.h>

#include "base/err.h"
#include "base/options.h"
#include "base/text.h"
#include "cloud/http.h"
#include "mirror/name.h"
#include "mirror/object.h"

/* In the environment of a cloudspan that some other program's hook has started, where nobody looks
 * at what it says: it waits for others that are at work. */
#define MIRROR_HOOK "CLOUDSPAN_HOOK"

/* One mirror that is worked on. */
struct mirror_job {
    const struct mirror_provider *provider;
    const char *verb;           /* "plan", "apply" …: what the user typed; NULL: not known */
    char name[MIRROR_NAME_MAX]; /* which one of those of this provider and this host */
    char machine[64];           /* what the monitored machine is called at the collector */
    char network[64];           /* "": the collector's only one */
    void *wish;                 /* the provider's options; NULL: not known, only marks are */
    bool partial;               /* the wish only says which mirror: status, remove */
    bool retries;               /* what the cloud refused for what it is, is tried again */
    const char *folder;         /* where the journal is; NULL: not known */
    const json_t *arguments;    /* the words of the wish, for a unit that says them again */
    struct mirror_set recorded; /* what the journal has of it */
    struct mirror_set lacks;    /* what its last apply could not make: mirror_job_lacks() */
    json_t *known;              /* owned; make() may put here what the journal keeps with the object
                                 * (its id in the cloud): mirror_job_known() */
    const json_t *sample;       /* for measure(): the last look, by `what`, or NULL: see judge() */
    const struct cloud_world *world; /* for cloud_http_open(): how it waits, ends on Ctrl-C, and
                                      * tells of each call where -v asks for it; may be NULL */
    void *state;                     /* the provider's own, from open() to close() */
};

/* Of one mirrored thing, for `status`. Numbers since it was made. */
struct mirror_measure {
    char what[64];       /* "eth0 in", "port p-a" */
    uint64_t n_seen;     /* packets that could have been mirrored; UINT64_MAX: not known */
    uint64_t n_mirrored; /* packets that were; UINT64_MAX: not known */
    uint64_t bytes;      /* mirrored */
    uint64_t n_lost;     /* copies that did not leave, as far as is known */
    char trouble[200];   /* "": none seen; else a sentence: "the tunnel is down" */
    bool is_judged;      /* the provider itself looked whether it sends */
};

struct mirror_measures {
    struct mirror_measure *at;
    size_t n;
};

/* What the collector gets to know of a machine: a source of its configuration. Of lists "" is the
 * end. */
#define MIRROR_CHANNEL_MAX  96
#define MIRROR_CHANNELS_MAX 32
struct mirror_source {
    char name[64];
    char machine[64]; /* its id in its cloud, by which two of one name are told apart; "" */
    char network[64];
    char channels[MIRROR_CHANNELS_MAX][MIRROR_CHANNEL_MAX]; /* "vxlan:101@10.9.0.1"; as in
                                                             * cloudspan.yaml; none: several share
                                                             * one */
    char macs[MIRROR_CHANNELS_MAX][18]; /* of the machine, where they are known */
    char addresses[8][48];              /* of the machine itself */
    bool filtered;                      /* it does not get all that there is */
    bool has_lost;                      /* the cloud counts what it could not mirror: */
    uint64_t n_lost;                    /* packets, since the cloud began to count */
    uint32_t truncate;                  /* bytes; 0: whole packets */
    char direction[8];                  /* "both", "in", "out" */
    char collector[48]; /* the address the copies go to; "any": every watch that has the record is
                         * meant, for who gets them is not known: of a load balancer */
    bool leaks_tag;     /* its frames may have a VLAN tag in front that is not its own: it is taken
                         * off */
};

struct mirror_sources {
    struct mirror_source *at;
    size_t n;
};

/* Of a cloud's machines: which are mirrored, and why the others are not. */
struct mirror_covered {
    char machine[64]; /* what the collector calls it */
    char what[192];   /* the interface, as the cloud calls it */
    char address[48]; /* its first; "" */
    bool mirrored;
    bool wanted;   /* it was asked for; one that is wanted and not mirrored is a trouble */
    char why[200]; /* of one that is not mirrored */
};

struct mirror_coverage {
    struct mirror_covered *at; /* owned */
    size_t n;
};

/* A command beside plan, apply, status and remove: `cloudspan mirror adopt aws tms-…`. */
struct mirror_verb {
    const char *name;
    const char *usage;   /* what follows "cloudspan mirror VERB PROVIDER" */
    const char *summary; /* one line */
    /* `words`: what is no option. Changes only what the user named, and only when `is_yes` (else it
     * says in `out` what it would do, and is asked again with is_yes when the user agrees). The
     * wish is partial; the provider is open. Positive: there was nothing to change, and nobody is
     * asked. What `out` has is printed also after a failure. */
    int (*run)(struct mirror_job *job, const char *const *words, size_t n_words, bool is_yes,
               bool json, struct text *out, struct err *err);
};

struct mirror_provider {
    const char *name;
    const char *summary;              /* one line, for the list */
    const char *usage;                /* what follows "cloudspan mirror VERB NAME" */
    const char *more;                 /* printed after the options by --help; may be NULL */
    const struct option_row *options; /* beside those that all have */

    /* The wish: `size` bytes, zeroed, then one take for each option, then wish_check, which fills
     * in defaults, says what is wrong, and gives the mirror's name where none was given. Of a
     * partial wish only what is there is looked at, and the name may stay empty. No question to the
     * world may be asked before wish_check, and none that changes anything. */
    size_t wish_size;
    int (*wish_take)(int row, const char *value, void *wish, struct err *err);
    int (*wish_check)(struct mirror_job *job, struct err *err);
    void (*wish_done)(void *wish); /* may be NULL */

    /* Other than a mirror: --list-methods. True: it was asked for; its text is in `out`. May be
     * NULL. */
    bool (*answer)(const struct mirror_job *job, bool json, struct text *out, int *result,
                   struct err *err);

    /* Connects, enters a namespace, reads credentials; close() is called also when open() failed.
     * May be NULL. */
    int (*open)(struct mirror_job *job, struct err *err);
    void (*close)(struct mirror_job *job);
    /* Between open and close another look begins, with the same wish: all is forgotten but the
     * connection, with its credentials. NULL: it is closed, and opened anew. */
    int (*again)(struct mirror_job *job, struct err *err);

    /* What should be there, in the order it is made. Refuses what cannot work, with one sentence:
     * a method this kernel lacks, a mirror that would mirror itself. `remarks`: what the user
     * should know all the same, a line each. */
    int (*want)(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                struct err *err);

    /* What is there and is this mirror's, by marks and by the journal; in the order it was made. */
    int (*find)(struct mirror_job *job, struct mirror_set *out, struct err *err);

    /* Names of all mirrors that marks tell of; for `status` and `remove --all` without a journal.
     * May be NULL. */
    int (*names)(struct mirror_job *job, char (**out)[MIRROR_NAME_MAX], size_t *out_n,
                 struct err *err);

    int (*make)(struct mirror_job *job, const struct mirror_object *want, struct err *err);
    /* In place, so that what stands on it stays; where may_change (which asks nobody) says that
     * this can be done. Both NULL: all is made anew. */
    bool (*may_change)(const struct mirror_object *have, const struct mirror_object *want);
    int (*change)(struct mirror_job *job, const struct mirror_object *have,
                  const struct mirror_object *want, struct err *err);
    /* Of what is gone already: 0. */
    int (*unmake)(struct mirror_job *job, const struct mirror_object *have, struct err *err);

    /* After all is made: does it work? Says what it saw in a line. May be NULL. */
    int (*prove)(struct mirror_job *job, struct text *said, struct err *err);

    /* What was made stays when a later step fails, and the next apply goes on from there: of
     * clouds, where hundreds of steps may stand before one that is refused. Else all is undone. */
    bool keeps;

    const struct mirror_verb *verbs; /* ended by one without a name; may be NULL */

    /* After want() and find() of `status`. May be NULL. */
    int (*cover)(struct mirror_job *job, const struct mirror_set *found,
                 struct mirror_coverage *out, struct err *err);

    /* What the cloud's own log says of whoever took things of `missing` away: a line each in `out`,
     * "session tms-1 of web-1 was deleted by arn:… at 2026-11-22T10:00:00Z". They are wanted, were
     * made (their `is` is of then, mirror_job_known() has what make() left), and are not there.
     * May be NULL. */
    int (*blame)(struct mirror_job *job, const struct mirror_set *missing, struct text *out,
                 struct err *err);

    /* All of the mirror was taken away: what was kept of it between runs goes, too. May be NULL. */
    void (*forget)(const struct mirror_job *job);

    int (*measure)(struct mirror_job *job, const struct mirror_set *found,
                   struct mirror_measures *out, struct err *err);
    int (*sources)(struct mirror_job *job, const struct mirror_set *wanted,
                   struct mirror_sources *out, struct err *err);

    /* What a plan calls the object: "vxlan device cs-web1 to 10.9.0.2:4789, VNI 101". */
    void (*describe)(const struct mirror_object *object, struct text *out);
    /* Shell commands, a line each, that make or unmake it on a machine without cloudspan. */
    void (*command)(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                    struct text *out);
};

/* Whether the journal says that this mirror's object was made by us, or was just being made; its
 * attributes then (borrowed until the next change of the journal), else NULL. */
const json_t *mirror_job_made(const struct mirror_job *job, const char *kind, const char *key);

/* What its make() left in job->known, also where the object is gone since; NULL: nothing. */
const json_t *mirror_job_known(const struct mirror_job *job, const char *kind, const char *key);
/* Why the last apply could not make it; NULL: it made it, or did not have to. */
const char *mirror_job_lacks(const struct mirror_job *job, const char *kind, const char *key);

#define PROVIDER(name) extern const struct mirror_provider provider_##name;
#include "mirror/list.h"
#undef PROVIDER

/* NULL: there is none of that name. All of them, ended by NULL, for lists. */
const struct mirror_provider *mirror_provider(const char *name);
const struct mirror_provider *const *mirror_providers(void);

#endif
