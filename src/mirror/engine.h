/* Drives a provider: plan, apply, status, remove of one mirror. It prints nothing; who calls it is
 * told of each step. */
#ifndef MIRROR_ENGINE_H
#define MIRROR_ENGINE_H

#include "mirror/journal.h"
#include "mirror/plan.h"
#include "mirror/provider.h"

/* Told before each step and after it; `failed` is NULL where it went well. Unmaking and making of
 * MIRROR_REMAKE are told as two steps. May be NULL. */
struct mirror_watcher {
    void (*step)(void *with, const struct mirror_object *object, int action, bool done,
                 const char *failed);
    bool (*stop)(void *with); /* whether the user wants no more steps; may be NULL */
    void *with;
};

/* All that a plan consists of. */
struct mirror_planned {
    struct mirror_set wanted, found;
    struct mirror_plan plan;
    struct text remarks;
};

/* Reads what the journal has of it, and opens the provider. The caller gives job->provider, the
 * name and the wish. */
int mirror_job_begin(struct mirror_job *job, struct mirror_journal *journal,
                     struct err *err) MUST_CHECK;
/* Another look at the same one, by whoever began it: the journal is read anew, and the provider
 * keeps its connection where it can. After a failure it is ended. */
int mirror_job_again(struct mirror_job *job, struct mirror_journal *journal,
                     struct err *err) MUST_CHECK;
void mirror_job_end(struct mirror_job *job);

int mirror_engine_plan(struct mirror_job *job, struct mirror_planned *out,
                       struct err *err) MUST_CHECK;
void mirror_planned_done(struct mirror_planned *planned);

/* What was not made: it may lack, and was refused, or stands on such a one. */
struct mirror_lack {
    const struct mirror_object *want; /* of the plan */
    bool is_there;                    /* it was there before, and could not be changed */
    char reason[400];
};

struct mirror_outcome {
    size_t n_done;            /* steps; those that lack are none */
    struct mirror_lack *lack; /* owned */
    size_t n_lack;
    struct text said; /* what the proof saw; may be filled after a failure, too */
};
void mirror_outcome_done(struct mirror_outcome *applied);

/* Makes what was planned. When a step fails, what this call made is unmade again, so that nothing
 * is half made; err says whether that went well. Where the provider keeps what was made, nothing is
 * unmade, and err says how far it came. *out is filled in any case. */
int mirror_engine_apply(struct mirror_job *job, struct mirror_journal *journal,
                        const struct mirror_planned *planned, const json_t *arguments,
                        const struct mirror_watcher *watcher, struct mirror_outcome *out,
                        struct err *err) MUST_CHECK;

/* Unmakes all that is this mirror's. Goes on where a step fails, and says the first failure. */
int mirror_engine_remove(struct mirror_job *job, struct mirror_journal *journal,
                         const struct mirror_watcher *watcher, size_t *out_n,
                         struct err *err) MUST_CHECK;

struct mirror_status {
    bool known;                    /* the journal knows it; else only its marks were found */
    bool applied;                  /* its last apply came to its end */
    struct mirror_planned planned; /* wanted against actual; without a wish all is in `found` */
    struct mirror_measures measures;
    struct mirror_coverage coverage;
    struct text blame; /* who took away what is missing, a line each */
    char trouble[512]; /* "": what is wanted could be computed; else why not */
    size_t n_missing, n_different, n_troubles;
    size_t n_lacking;   /* of the missing ones: the last apply could not make them */
    size_t n_uncovered; /* of the coverage: wanted, and not mirrored */
};

/* Compares with the last look (the journal's sample), and keeps this one where `write`. */
int mirror_engine_status(struct mirror_job *job, struct mirror_journal *journal, bool known,
                         bool applied, bool write, struct mirror_status *out,
                         struct err *err) MUST_CHECK;
void mirror_status_done(struct mirror_status *status);

#endif
