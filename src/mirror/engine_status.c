/* What should be, what is, and whether it works: the part of engine.h for `status`. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mirror/engine.h"

/* So many packets without one copy are no accident: tunnels send a frame as soon as it comes. */
#define N_SEEN_ENOUGH 10
#define BLAME_MAX     65536

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* The last look at the same counters, if they only grew since; NULL: there was none, or they were
 * made anew in between. */
static json_t *last_look(const struct mirror_measure *now, const json_t *last)
{
    json_t *then = json_object_get(last, now->what);
    if (!then || now->n_seen == UINT64_MAX || now->n_mirrored == UINT64_MAX ||
        now->n_seen < number_of(then, "seen") || now->n_mirrored < number_of(then, "mirrored"))
        return NULL;
    return then;
}

/* Configured, and not sending: many packets passed since the last look, and none was mirrored. */
static void judge(struct mirror_measure *now, const json_t *last)
{
    const json_t *then = last_look(now, last);
    if (now->trouble[0] || now->is_judged || !then)
        return;
    uint64_t seen = now->n_seen - number_of(then, "seen");
    if (seen < N_SEEN_ENOUGH || now->n_mirrored > number_of(then, "mirrored"))
        return;
    (void)snprintf(now->trouble, sizeof now->trouble,
                   "configured, but not sending: of %" PRIu64 " packets in the last %" PRId64
                   " s none was mirrored",
                   seen, (int64_t)time(NULL) - (int64_t)number_of(then, "time"));
}

/* For the next look. While nothing is mirrored the old numbers stay: who looks often would never
 * see enough packets between two looks, or only at one of them. */
static json_t *sample_of(const struct mirror_measures *measures, const json_t *last)
{
    json_t *sample = json_object();
    for (size_t i = 0; i < measures->n; i++) {
        const struct mirror_measure *one = &measures->at[i];
        json_t *then = last_look(one, last);
        if (one->n_seen == UINT64_MAX || one->n_mirrored == UINT64_MAX)
            continue;
        if (then && one->n_mirrored == number_of(then, "mirrored"))
            (void)json_object_set(sample, one->what, then);
        else
            (void)json_object_set_new(
                sample, one->what,
                json_pack("{sI sI sI}", "time", (json_int_t)time(NULL), "seen",
                          (json_int_t)one->n_seen, "mirrored",
                          (json_int_t)one->n_mirrored)); /* only `judge` misses it */
    }
    return sample;
}

static int measure(struct mirror_job *job, struct mirror_journal *journal, bool write,
                   struct mirror_status *status, struct err *err)
{
    if (!job->provider->measure)
        return 0;
    json_t *last = mirror_journal_sample(journal, job->provider->name, job->name);
    job->sample = last;
    int result = job->provider->measure(job, &status->planned.found, &status->measures, err);
    job->sample = NULL;
    if (result < 0) {
        json_decref(last);
        return result;
    }
    for (size_t i = 0; i < status->measures.n; i++) {
        judge(&status->measures.at[i], last);
        status->n_troubles += status->measures.at[i].trouble[0] != '\0';
    }
    if (write) {
        json_t *sample = sample_of(&status->measures, last);
        struct err none;
        if (mirror_journal_keep_sample(journal, job->provider->name, job->name, sample, &none) <
            0) {
            /* The next look compares with an older one. */
        }
        json_decref(sample);
    }
    json_decref(last);
    return 0;
}

static bool is_missing(const struct mirror_step *step)
{
    return step->action == MIRROR_MAKE;
}

/* Whether somebody took away what was made, and who, where the cloud has a log of that. */
static void blame(struct mirror_job *job, struct mirror_status *status)
{
    struct mirror_set missing = {0};
    struct err why;
    for (size_t i = 0; i < status->planned.plan.n && job->provider->blame; i++) {
        const struct mirror_step *step = &status->planned.plan.at[i];
        const struct mirror_object *made =
            is_missing(step) ? mirror_set_get(&job->recorded, step->want->kind, step->want->key)
                             : NULL;
        struct mirror_object *copy =
            made ? mirror_set_add(&missing, made->kind, made->key, json_incref(made->is)) : NULL;
        if (copy) {
            copy->also = json_incref(made->also);
            mirror_object_why(copy, "%s", made->why);
        }
    }
    if (missing.n && job->provider->blame(job, &missing, &status->blame, &why) < 0)
        text_format(&status->blame, "who took away what is missing is not known: %.400s\n",
                    why.text);
    mirror_set_done(&missing);
}

/* What differs from the plan, and what the cloud does not mirror. */
static int look(struct mirror_job *job, struct mirror_status *status, struct err *err)
{
    int result = 0;
    for (size_t i = 0; i < status->planned.plan.n; i++) {
        const struct mirror_step *step = &status->planned.plan.at[i];
        if (is_missing(step)) {
            status->n_missing++;
            status->n_lacking += mirror_job_lacks(job, step->want->kind, step->want->key) != NULL;
        } else if (step->action != MIRROR_KEEP) {
            status->n_different++;
        }
    }
    if (status->trouble[0]) /* without what is wanted nothing can be said of the rest */
        return 0;
    if (job->provider->cover)
        result = job->provider->cover(job, &status->planned.found, &status->coverage, err);
    for (size_t i = 0; result == 0 && i < status->coverage.n; i++)
        status->n_uncovered += status->coverage.at[i].wanted && !status->coverage.at[i].mirrored;
    if (result == 0)
        blame(job, status);
    return result;
}

int mirror_engine_status(struct mirror_job *job, struct mirror_journal *journal, bool known,
                         bool applied, bool write, struct mirror_status *out, struct err *err)
{
    struct mirror_status status = {.known = known, .applied = applied};
    struct err why;
    int result = 0;
    text_init(&status.blame, BLAME_MAX);
    if (!known) {
        (void)snprintf(status.trouble, sizeof status.trouble,
                       "the journal does not know it: what it should be is not known");
    } else if (mirror_engine_plan(job, &status.planned, &why) < 0) {
        (void)snprintf(status.trouble, sizeof status.trouble, "%s", why.text);
        mirror_planned_done(&status.planned);
        status.planned = (struct mirror_planned){0};
    }
    if (status.trouble[0])
        result = job->provider->find(job, &status.planned.found, err);
    if (result == 0 && status.planned.found.failed)
        result = err_set(err, -ENOMEM, "out of memory, or more than %d objects", MIRROR_SET_MAX);
    if (result == 0)
        result = look(job, &status, err);
    if (result == 0)
        result = measure(job, journal, write, &status, err);
    if (result < 0) {
        mirror_status_done(&status);
        return result;
    }
    *out = status;
    return 0;
}

void mirror_status_done(struct mirror_status *status)
{
    mirror_planned_done(&status->planned);
    free(status->measures.at);
    free(status->coverage.at);
    text_done(&status->blame);
    *status = (struct mirror_status){0};
}
