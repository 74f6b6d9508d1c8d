/* Steps in their order, each in the journal before and after it is done: see engine.h. */
#include "mirror/engine.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REMARKS_MAX 16384

/* ---- one mirror ---- */

static int recall(struct mirror_job *job, struct mirror_journal *journal, struct err *err)
{
    int result =
        mirror_journal_objects(journal, job->provider->name, job->name, &job->recorded, err);
    return result < 0
               ? result
               : mirror_journal_lacks(journal, job->provider->name, job->name, &job->lacks, err);
}

static void forget(struct mirror_job *job)
{
    mirror_set_done(&job->recorded);
    mirror_set_done(&job->lacks);
    json_decref(job->known);
    job->known = NULL;
}

int mirror_job_begin(struct mirror_job *job, struct mirror_journal *journal, struct err *err)
{
    int result = recall(job, journal, err);
    if (result == 0 && job->provider->open)
        result = job->provider->open(job, err);
    return result;
}

int mirror_job_again(struct mirror_job *job, struct mirror_journal *journal, struct err *err)
{
    forget(job);
    int result = recall(job, journal, err);
    if (result < 0)
        return result;
    if (job->provider->again)
        return job->provider->again(job, err);
    if (job->provider->close)
        job->provider->close(job);
    return job->provider->open ? job->provider->open(job, err) : 0;
}

void mirror_job_end(struct mirror_job *job)
{
    if (job->provider && job->provider->close)
        job->provider->close(job);
    if (job->wish && job->provider->wish_done)
        job->provider->wish_done(job->wish);
    free(job->wish);
    job->wish = NULL;
    forget(job);
}

const json_t *mirror_job_made(const struct mirror_job *job, const char *kind, const char *key)
{
    const struct mirror_object *object = mirror_set_get(&job->recorded, kind, key);
    return object ? object->is : NULL;
}

const json_t *mirror_job_known(const struct mirror_job *job, const char *kind, const char *key)
{
    const struct mirror_object *object = mirror_set_get(&job->recorded, kind, key);
    return object ? json_object_get(object->also, "known") : NULL;
}

const char *mirror_job_lacks(const struct mirror_job *job, const char *kind, const char *key)
{
    const struct mirror_object *object = mirror_set_get(&job->lacks, kind, key);
    return object ? json_string_value(json_object_get(object->also, "reason")) : NULL;
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

/* What the last apply could not make is tried again, and may be refused again. */
static void say_lacks(const struct mirror_job *job, struct mirror_plan *plan)
{
    for (size_t i = 0; i < plan->n && job->lacks.n; i++) {
        struct mirror_step *step = &plan->at[i];
        const char *why = step->want && step->action != MIRROR_KEEP
                              ? mirror_job_lacks(job, step->want->kind, step->want->key)
                              : NULL;
        if (why)
            (void)snprintf(step->reason, sizeof step->reason, "refused at the last apply: %.170s",
                           why);
    }
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
    say_lacks(job, &planned.plan);
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

/* With what make() wants to be kept. */
static int note_made(const struct run *run, const struct mirror_object *want, struct err *err)
{
    struct mirror_object made = *want;
    made.also = run->job->known;
    int result = note_step(run, &made, MIRROR_MADE, err);
    json_decref(run->job->known);
    run->job->known = NULL;
    return result;
}

/* Of a cloud whose answer was lost: what was asked for may have been made. It stays in the journal,
 * so that the mirror is known. */
static bool may_be_there(const struct run *run, int result)
{
    static const int lost[] = {-EIO, -ETIMEDOUT, -ECANCELED, -EAGAIN, -EPROTO, -EMSGSIZE};
    bool is_lost = false;
    for (size_t i = 0; i < sizeof lost / sizeof *lost; i++)
        is_lost |= result == lost[i];
    return run->job->provider->keeps && is_lost;
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
            if (!may_be_there(run, result))
                (void)note_step(run, want, MIRROR_UNMADE, &other);
        } else {
            result = note_made(run, want, err);
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
        result = note_made(run, step->want, err);
    tell(run, step->want, MIRROR_CHANGE, true, result < 0 ? err->text : NULL);
    return result;
}

/* ---- apply ---- */

static int action_of(const struct mirror_plan *plan, const struct mirror_object *have)
{
    for (size_t i = 0; i < plan->n; i++)
        if (plan->at[i].have == have)
            return plan->at[i].action;
    return MIRROR_KEEP;
}

static bool is_stopped(const struct run *run)
{
    return run->watcher && run->watcher->stop && run->watcher->stop(run->watcher->with);
}

/* *out_n: how many were unmade; *out_done: how many of them are a step of their own. */
static int unmake_all(const struct run *run, const struct mirror_planned *planned, size_t *out_n,
                      size_t *out_done, struct err *err)
{
    int result = 0;
    *out_n = 0;
    for (size_t i = planned->found.n; result == 0 && i-- > 0;) {
        const struct mirror_object *have = &planned->found.at[i];
        int action = action_of(&planned->plan, have);
        if (action != MIRROR_UNMAKE && action != MIRROR_REMAKE)
            continue;
        if (is_stopped(run))
            return err_set(err, -EINTR, "interrupted");
        result = unmake(run, have, false, err);
        *out_n += result == 0;
        *out_done += result == 0 && action == MIRROR_UNMAKE;
    }
    return result;
}

/* The cloud says that it can't have this one, as it is; and nothing that holds for all. */
static bool may_pass(const struct mirror_object *want, int result)
{
    return want->may_lack && (result == -EOPNOTSUPP || result == -EDQUOT || result == -ENOENT ||
                              result == -EBUSY || result == -EEXIST || result == -EINVAL);
}

static const struct mirror_lack *lack_of(const struct mirror_outcome *outcome, const char *kind,
                                         const char *key)
{
    for (size_t i = 0; i < outcome->n_lack; i++)
        if (strcmp(outcome->lack[i].want->kind, kind) == 0 &&
            strcmp(outcome->lack[i].want->key, key) == 0)
            return &outcome->lack[i];
    return NULL;
}

/* What it stands on, and is not there; NULL: it can be made. */
static const struct mirror_lack *missing_base(const struct mirror_outcome *outcome,
                                              const struct mirror_object *want)
{
    size_t i;
    json_t *on;
    json_array_foreach(want->on, i, on)
    {
        const char *kind = json_string_value(json_array_get(on, 0));
        const char *key = json_string_value(json_array_get(on, 1));
        const struct mirror_lack *lack =
            outcome->n_lack && kind && key ? lack_of(outcome, kind, key) : NULL;
        if (lack && !lack->is_there)
            return lack;
    }
    return NULL;
}

/* Says it in the journal, too, for `status`. */
static int add_lack(const struct run *run, const struct mirror_step *step, const char *reason,
                    struct mirror_outcome *out, struct err *err)
{
    struct mirror_lack *lack = realloc(out->lack, (out->n_lack + 1) * sizeof *lack);
    if (!lack)
        return err_set(err, -ENOMEM, "out of memory");
    out->lack = lack;
    lack = &out->lack[out->n_lack++];
    *lack = (struct mirror_lack){.want = step->want, .is_there = step->action == MIRROR_CHANGE};
    (void)snprintf(lack->reason, sizeof lack->reason, "%s", reason);
    if (lack->is_there) /* recorded as it was; what differs is found anew */
        return 0;
    struct mirror_object written = *step->want;
    written.also = json_pack("{ss}", "reason", lack->reason);
    int result = note_step(run, &written, MIRROR_LACKED, err);
    json_decref(written.also);
    return result;
}

static int make_one(const struct run *run, const struct mirror_step *step, bool *out_made,
                    struct mirror_outcome *out, struct err *err)
{
    const struct mirror_lack *base = missing_base(out, step->want);
    char reason[sizeof base->reason];
    if (base) {
        (void)snprintf(reason, sizeof reason, "stands on %.20s %.100s: %.240s", base->want->kind,
                       base->want->key, base->reason);
        return add_lack(run, step, reason, out, err);
    }
    int result = step->action == MIRROR_CHANGE ? change(run, step, err)
                                               : make(run, step->want, out_made, err);
    if (result == 0)
        out->n_done++;
    else if (!*out_made && may_pass(step->want, result))
        result = add_lack(run, step, err->text, out, err);
    return result;
}

/* *out_passed: how many of the plan's steps were gone through, also where the last of them failed
 * and is there all the same. */
static int make_all(const struct run *run, const struct mirror_plan *plan, size_t *out_passed,
                    struct mirror_outcome *out, struct err *err)
{
    for (*out_passed = 0; *out_passed < plan->n; (*out_passed)++) {
        const struct mirror_step *step = &plan->at[*out_passed];
        bool is_made = false;
        if (step->action == MIRROR_KEEP || step->action == MIRROR_UNMAKE)
            continue;
        if (is_stopped(run))
            return err_set(err, -EINTR, "interrupted%s",
                           run->job->provider->keeps ? "" : "; what was made is taken away again");
        int result = make_one(run, step, &is_made, out, err);
        if (result < 0) {
            *out_passed += is_made;
            return result;
        }
    }
    return 0;
}

static void append(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct err *err, const char *format, ...)
{
    char tail[256];
    size_t len = strlen(err->text);
    va_list list;
    va_start(list, format);
    (void)vsnprintf(tail, sizeof tail, format, list);
    va_end(list);
    /* A cloud's own words may be long; what the user can do is worth more than their end. */
    size_t max = sizeof err->text - 1 - strlen(tail);
    if (len > max) {
        len = max - 3;
        memcpy(err->text + len, "...", 3);
        len = max;
    }
    (void)snprintf(err->text + len, sizeof err->text - len, "%s", tail);
}

static bool is_lack(const struct mirror_outcome *outcome, const struct mirror_object *want)
{
    for (size_t i = 0; i < outcome->n_lack; i++)
        if (outcome->lack[i].want == want)
            return true;
    return false;
}

/* Unmakes what this run made; gives how much of it is still there. What it took away or changed
 * before is not brought back. */
static size_t undo(const struct run *run, const struct mirror_plan *plan, size_t n_passed,
                   size_t n_unmade, const struct mirror_outcome *outcome, struct err *err)
{
    size_t n_left = 0, n_changed = n_unmade;
    struct err why, first = {""};
    for (size_t i = n_passed; i-- > 0;) {
        const struct mirror_step *step = &plan->at[i];
        if (step->want && is_lack(outcome, step->want))
            continue;
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

/* Nothing of it was there before, and nothing is: as if it had never been. */
static void forget_nothing(const struct run *run, const struct mirror_plan *plan, struct err *err)
{
    struct mirror_job *job = run->job;
    struct err other;
    bool is_nothing = job->recorded.n == 0;
    for (size_t i = 0; i < plan->n; i++)
        is_nothing &= plan->at[i].action == MIRROR_MAKE;
    if (is_nothing &&
        mirror_journal_forget(run->journal, job->provider->name, job->name, &other) < 0)
        append(err, "; and %.200s", other.text);
}

/* From now on mirror_job_lacks() is of this apply. */
static int end(const struct run *run, struct err *err)
{
    struct mirror_job *job = run->job;
    int result = mirror_journal_end(run->journal, job->provider->name, job->name, err);
    mirror_set_done(&job->lacks);
    if (result == 0)
        result =
            mirror_journal_lacks(run->journal, job->provider->name, job->name, &job->lacks, err);
    return result;
}

int mirror_engine_apply(struct mirror_job *job, struct mirror_journal *journal,
                        const struct mirror_planned *planned, const json_t *arguments,
                        const struct mirror_watcher *watcher, struct mirror_outcome *out,
                        struct err *err)
{
    struct run run = {job, journal, watcher};
    struct mirror_entry entry = {.arguments = json_incref((json_t *)(uintptr_t)arguments)};
    size_t n_passed = 0, n_unmade = 0, n_left = 0;
    *out = (struct mirror_outcome){0};
    text_init(&out->said, REMARKS_MAX);
    (void)snprintf(entry.provider, sizeof entry.provider, "%s", job->provider->name);
    (void)snprintf(entry.name, sizeof entry.name, "%s", job->name);
    (void)snprintf(entry.machine, sizeof entry.machine, "%s", job->machine);
    int result = mirror_journal_begin(journal, &entry, err);
    json_decref(entry.arguments);
    if (result == 0)
        result = unmake_all(&run, planned, &n_unmade, &out->n_done, err);
    if (result == 0)
        result = make_all(&run, &planned->plan, &n_passed, out, err);
    if (result == 0 && job->provider->prove)
        result = job->provider->prove(job, &out->said, err);
    if (result == 0)
        return end(&run, err);
    if (job->provider->keeps) {
        n_left = out->n_done + n_unmade;
        if (planned->plan.n_changes)
            append(err, "; %zu of %zu steps are done; apply again goes on", out->n_done,
                   planned->plan.n_changes);
    } else {
        n_left = undo(&run, &planned->plan, n_passed, n_unmade, out, err);
    }
    if (n_left == 0 && !may_be_there(&run, result))
        forget_nothing(&run, &planned->plan, err);
    return result;
}

void mirror_outcome_done(struct mirror_outcome *outcome)
{
    free(outcome->lack);
    text_done(&outcome->said);
    *outcome = (struct mirror_outcome){0};
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
    if (result == 0 && job->provider->forget)
        job->provider->forget(job);
    mirror_set_done(&found);
    return result;
}
