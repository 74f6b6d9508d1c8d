/* Steps in their order, each in the journal before and after it is done: see engine.h. */
#include "mirror/engine.h"

#include <errno.h>
#include <stdarg.h>
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

/* `anyway`: also where that cannot be written down; the marks tell what is left. */
static int unmake(const struct run *run, const struct mirror_object *have, bool anyway,
                  struct err *err)
{
    struct err not_written;
    tell(run, have, MIRROR_UNMAKE, false, NULL);
    int result = note_step(run, have, MIRROR_UNMAKING, anyway ? &not_written : err);
    if (result == 0 || anyway) {
        result = run->job->provider->unmake(run->job, have, err);
        if (result == 0)
            (void)note_step(run, have, MIRROR_UNMADE, &not_written); /* the next step asks again */
    }
    tell(run, have, MIRROR_UNMAKE, true, result < 0 ? err->text : NULL);
    return result;
}

/* *out_made: it is there, whatever the result is. */
static int make(const struct run *run, const struct mirror_object *want, bool *out_made,
                struct err *err)
{
    tell(run, want, MIRROR_MAKE, false, NULL);
    *out_made = false;
    int result = note_step(run, want, MIRROR_MAKING, err);
    if (result == 0) {
        result = run->job->provider->make(run->job, want, err);
        *out_made = result == 0;
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

static bool is_stopped(const struct run *run)
{
    return run->watcher && run->watcher->stop && run->watcher->stop(run->watcher->with);
}

/* *out_n: how many were unmade. */
static int unmake_all(const struct run *run, const struct mirror_planned *planned, size_t *out_n,
                      struct err *err)
{
    int result = 0;
    *out_n = 0;
    for (size_t i = planned->found.n; result == 0 && i-- > 0;) {
        if (!is_unmade(&planned->plan, &planned->found.at[i]))
            continue;
        if (is_stopped(run))
            return err_set(err, -EINTR, "interrupted");
        result = unmake(run, &planned->found.at[i], false, err);
        *out_n += result == 0;
    }
    return result;
}

/* *out_done: how many of the plan's steps were gone through, also where the last of them failed and
 * is there all the same. */
static int make_all(const struct run *run, const struct mirror_plan *plan, size_t *out_done,
                    struct err *err)
{
    for (*out_done = 0; *out_done < plan->n; (*out_done)++) {
        const struct mirror_step *step = &plan->at[*out_done];
        bool is_made = false;
        int result = 0;
        if (step->action == MIRROR_KEEP || step->action == MIRROR_UNMAKE)
            continue;
        if (is_stopped(run))
            return err_set(err, -EINTR, "interrupted; what was made is taken away again");
        if (step->action == MIRROR_CHANGE)
            result = change(run, step, err);
        else
            result = make(run, step->want, &is_made, err);
        if (result < 0) {
            *out_done += is_made;
            return result;
        }
    }
    return 0;
}

static void append(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct err *err, const char *format, ...)
{
    size_t len = strlen(err->text);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(err->text + len, sizeof err->text - len, format, list);
    va_end(list);
}

/* Unmakes what this run made; gives how much of it is still there. What it took away or changed
 * before is not brought back. */
static size_t undo(const struct run *run, const struct mirror_plan *plan, size_t n_done,
                   size_t n_unmade, struct err *err)
{
    size_t n_left = 0, n_changed = n_unmade;
    struct err why, first = {""};
    for (size_t i = n_done; i-- > 0;) {
        const struct mirror_step *step = &plan->at[i];
        n_changed += step->action == MIRROR_CHANGE;
        if (step->action != MIRROR_MAKE && step->action != MIRROR_REMAKE)
            continue;
        if (unmake(run, step->want, true, &why) < 0 && n_left++ == 0)
            first = why;
    }
    if (n_left)
        append(err,
               "; and %zu of what was made could not be taken away again (%.120s): "
               "cloudspan mirror remove will try once more",
               n_left, first.text);
    if (n_changed)
        append(err, "; the mirror that was there before is not whole now: apply or remove it");
    return n_left;
}

int mirror_engine_apply(struct mirror_job *job, struct mirror_journal *journal,
                        const struct mirror_planned *planned, const json_t *arguments,
                        const struct mirror_watcher *watcher, struct text *said, struct err *err)
{
    struct run run = {job, journal, watcher};
    struct mirror_entry entry = {.arguments = json_incref((json_t *)(uintptr_t)arguments)};
    size_t n_done = 0, n_unmade = 0;
    (void)snprintf(entry.provider, sizeof entry.provider, "%s", job->provider->name);
    (void)snprintf(entry.name, sizeof entry.name, "%s", job->name);
    (void)snprintf(entry.machine, sizeof entry.machine, "%s", job->machine);
    int result = mirror_journal_begin(journal, &entry, err);
    json_decref(entry.arguments);
    if (result == 0)
        result = unmake_all(&run, planned, &n_unmade, err);
    if (result == 0)
        result = make_all(&run, &planned->plan, &n_done, err);
    if (result == 0 && job->provider->prove)
        result = job->provider->prove(job, said, err);
    if (result == 0)
        return mirror_journal_end(journal, job->provider->name, job->name, err);
    size_t n_left = undo(&run, &planned->plan, n_done, n_unmade, err);
    /* Nothing of it was there before, and nothing is: as if it had never been. */
    bool is_nothing = n_left == 0 && job->recorded.n == 0;
    for (size_t i = 0; i < planned->plan.n; i++)
        is_nothing &= planned->plan.at[i].action == MIRROR_MAKE;
    struct err other;
    if (is_nothing && mirror_journal_forget(journal, job->provider->name, job->name, &other) < 0)
        append(err, "; and %.200s", other.text);
    return result;
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
        if (unmake(&run, &found.at[i], true, n_failed ? &why : err) < 0)
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
