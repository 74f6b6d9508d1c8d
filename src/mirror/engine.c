/* Steps in their order, each in the journal before and after it is done: see engine.h. */
#include "mirror/engine.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMARKS_MAX 16384

/* ---- one mirror ---- */

int mirror_job_begin(struct mirror_job *job, struct mirror_journal *journal, struct err *err)
{
    int result =
        mirror_journal_objects(journal, job->provider->name, job->name, &job->recorded, err);
    if (result == 0 && job->provider->open)
        result = job->provider->open(job, err);
    return result;
}

void mirror_job_end(struct mirror_job *job)
{
    if (job->provider && job->provider->close)
        job->provider->close(job);
    if (job->wish && job->provider->wish_done)
        job->provider->wish_done(job->wish);
    free(job->wish);
    job->wish = NULL;
    mirror_set_done(&job->recorded);
}

const json_t *mirror_job_made(const struct mirror_job *job, const char *kind, const char *key)
{
    const struct mirror_object *object = mirror_set_get(&job->recorded, kind, key);
    return object ? object->is : NULL;
}

/* ---- plan ---- */

static int check_set(const struct mirror_set *set, struct err *err)
{
    return set->failed
               ? err_set(err, -ENOMEM, "out of memory, or more than %d objects", MIRROR_SET_MAX)
               : 0;
}

static int find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    int result = job->provider->find(job, out, err);
    return result < 0 ? result : check_set(out, err);
}

int mirror_engine_plan(struct mirror_job *job, struct mirror_planned *out, struct err *err)
{
    struct mirror_planned planned = {0};
    text_init(&planned.remarks, REMARKS_MAX);
    int result = job->provider->want(job, &planned.wanted, &planned.remarks, err);
    if (result == 0)
        result = check_set(&planned.wanted, err);
    if (result == 0)
        result = find(job, &planned.found, err);
    if (result == 0 && !mirror_plan_make(&planned.wanted, &planned.found, job->provider->may_change,
                                         &planned.plan))
        result = err_set(err, -ENOMEM, "out of memory");
    if (result < 0) {
        mirror_planned_done(&planned);
        return result;
    }
    *out = planned;
    return 0;
}

void mirror_planned_done(struct mirror_planned *planned)
{
    mirror_plan_done(&planned->plan);
    mirror_set_done(&planned->wanted);
    mirror_set_done(&planned->found);
    text_done(&planned->remarks);
}

/* ---- steps ---- */

struct run {
    struct mirror_job *job;
    struct mirror_journal *journal;
    const struct mirror_watcher *watcher;
};

static void tell(const struct run *run, const struct mirror_object *object, int action, bool done,
                 const char *failed)
{
    if (run->watcher && run->watcher->step)
        run->watcher->step(run->watcher->with, object, action, done, failed);
}

static int note_step(const struct run *run, const struct mirror_object *object, int state,
                     struct err *err)
{
    return mirror_journal_step(run->journal, run->job->provider->name, run->job->name, object,
                               state, err);
}

static int unmake(const struct run *run, const struct mirror_object *have, struct err *err)
{
    tell(run, have, MIRROR_UNMAKE, false, NULL);
    int result = note_step(run, have, MIRROR_UNMAKING, err);
    if (result == 0)
        result = run->job->provider->unmake(run->job, have, err);
    if (result == 0)
        result = note_step(run, have, MIRROR_UNMADE, err);
    tell(run, have, MIRROR_UNMAKE, true, result < 0 ? err->text : NULL);
    return result;
}

static int make(const struct run *run, const struct mirror_object *want, struct err *err)
{
    tell(run, want, MIRROR_MAKE, false, NULL);
    int result = note_step(run, want, MIRROR_MAKING, err);
    if (result == 0) {
        result = run->job->provider->make(run->job, want, err);
        if (result < 0) {
            struct err other; /* the first one is told */
            (void)note_step(run, want, MIRROR_UNMADE, &other);
        } else {
            result = note_step(run, want, MIRROR_MADE, err);
        }
    }
    tell(run, want, MIRROR_MAKE, true, result < 0 ? err->text : NULL);
    return result;
}

static int change(const struct run *run, const struct mirror_step *step, struct err *err)
{
    tell(run, step->want, MIRROR_CHANGE, false, NULL);
    int result = note_step(run, step->want, MIRROR_MAKING, err);
    if (result == 0)
        result = run->job->provider->change(run->job, step->have, step->want, err);
    if (result == 0)
        result = note_step(run, step->want, MIRROR_MADE, err);
    tell(run, step->want, MIRROR_CHANGE, true, result < 0 ? err->text : NULL);
    return result;
}

/* ---- apply ---- */

static bool is_unmade(const struct mirror_plan *plan, const struct mirror_object *have)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->at[i].have == have)
            return plan->at[i].action == MIRROR_UNMAKE || plan->at[i].action == MIRROR_REMAKE;
    return false;
}

static int unmake_all(const struct run *run, const struct mirror_planned *planned, struct err *err)
{
    int result = 0;
    for (size_t i = planned->found.n; result == 0 && i-- > 0;)
        if (is_unmade(&planned->plan, &planned->found.at[i]))
            result = unmake(run, &planned->found.at[i], err);
    return result;
}

/* *out_done: how many of the plan's steps were gone through. */
static int make_all(const struct run *run, const struct mirror_plan *plan, size_t *out_done,
                    struct err *err)
{
    for (*out_done = 0; *out_done < plan->n; (*out_done)++) {
        const struct mirror_step *step = &plan->at[*out_done];
        int result = 0;
        if (step->action != MIRROR_KEEP && run->watcher && run->watcher->stop &&
            run->watcher->stop(run->watcher->with))
            return err_set(err, -EINTR, "interrupted; what was made is taken away again");
        if (step->action == MIRROR_MAKE || step->action == MIRROR_REMAKE)
            result = make(run, step->want, err);
        else if (step->action == MIRROR_CHANGE)
            result = change(run, step, err);
        if (result < 0)
            return result;
    }
    return 0;
}

/* Unmakes what this run made. What it took away or changed before is not brought back. */
static void undo(const struct run *run, const struct mirror_plan *plan, size_t n_done,
                 struct err *err)
{
    size_t n_left = 0;
    struct err why;
    for (size_t i = n_done; i-- > 0;) {
        const struct mirror_step *step = &plan->at[i];
        if (step->action == MIRROR_MAKE || step->action == MIRROR_REMAKE)
            n_left += unmake(run, step->want, &why) < 0;
    }
    size_t len = strlen(err->text);
    if (n_left)
        (void)snprintf(err->text + len, sizeof err->text - len,
                       "; and %zu of what was made could not be taken away again (%.120s): "
                       "cloudspan mirror remove will try once more",
                       n_left, why.text);
}

int mirror_engine_apply(struct mirror_job *job, struct mirror_journal *journal,
                        const struct mirror_planned *planned, const json_t *arguments,
                        const struct mirror_watcher *watcher, struct text *said, struct err *err)
{
    struct run run = {job, journal, watcher};
    struct mirror_entry entry = {.arguments = json_incref((json_t *)(uintptr_t)arguments)};
    size_t n_done = 0;
    (void)snprintf(entry.provider, sizeof entry.provider, "%s", job->provider->name);
    (void)snprintf(entry.name, sizeof entry.name, "%s", job->name);
    (void)snprintf(entry.machine, sizeof entry.machine, "%s", job->machine);
    int result = mirror_journal_begin(journal, &entry, err);
    json_decref(entry.arguments);
    if (result == 0)
        result = unmake_all(&run, planned, err);
    if (result == 0)
        result = make_all(&run, &planned->plan, &n_done, err);
    if (result == 0 && job->provider->prove)
        result = job->provider->prove(job, said, err);
    if (result < 0) {
        undo(&run, &planned->plan, n_done, err);
        bool new_one = true; /* nothing of it was there before: as if it had never been */
        for (size_t i = 0; i < planned->plan.n; i++)
            new_one &= planned->plan.at[i].action == MIRROR_MAKE;
        struct err other;
        if (new_one && mirror_journal_forget(journal, job->provider->name, job->name, &other) < 0)
            err_wrap(err, "%.100s, and before that", other.text);
        return result;
    }
    return mirror_journal_end(journal, job->provider->name, job->name, err);
}

/* ---- remove ---- */

int mirror_engine_remove(struct mirror_job *job, struct mirror_journal *journal,
                         const struct mirror_watcher *watcher, size_t *out_n, struct err *err)
{
    struct run run = {job, journal, watcher};
    struct mirror_set found = {0};
    struct err why;
    int result = find(job, &found, err);
    size_t n_failed = 0;
    *out_n = 0;
    for (size_t i = found.n; result == 0 && i-- > 0;) {
        if (unmake(&run, &found.at[i], n_failed ? &why : err) < 0)
            n_failed++;
        else
            (*out_n)++;
    }
    if (result == 0 && n_failed)
        result = -EIO;
    if (result == 0)
        result = mirror_journal_forget(journal, job->provider->name, job->name, err);
    mirror_set_done(&found);
    return result;
}
