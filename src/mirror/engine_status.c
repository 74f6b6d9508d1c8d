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

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* Configured, and not sending: many packets passed since the last look, and none was mirrored. */
static void judge(struct mirror_measure *now, const json_t *last, int64_t since)
{
    const json_t *then = json_object_get(last, now->what);
    if (now->trouble[0] || !then || now->n_seen == UINT64_MAX || now->n_mirrored == UINT64_MAX)
        return;
    uint64_t seen = number_of(then, "seen"), mirrored = number_of(then, "mirrored");
    if (now->n_seen < seen || now->n_mirrored < mirrored)
        return; /* made anew in between */
    if (now->n_seen - seen < N_SEEN_ENOUGH || now->n_mirrored > mirrored)
        return;
    (void)snprintf(now->trouble, sizeof now->trouble,
                   "configured, but not sending: of %" PRIu64 " packets in the last %" PRId64
                   " s none was mirrored",
                   now->n_seen - seen, since);
}

static json_t *sample_of(const struct mirror_measures *measures)
{
    json_t *sample = json_pack("{sI}", "time", (json_int_t)time(NULL));
    for (size_t i = 0; i < measures->n; i++) {
        const struct mirror_measure *one = &measures->at[i];
        if (one->n_seen == UINT64_MAX || one->n_mirrored == UINT64_MAX)
            continue;
        (void)json_object_set_new(
            sample, one->what,
            json_pack("{sI sI}", "seen", (json_int_t)one->n_seen, "mirrored",
                      (json_int_t)one->n_mirrored)); /* only `judge` misses it */
    }
    return sample;
}

static int measure(struct mirror_job *job, struct mirror_journal *journal, bool write,
                   struct mirror_status *status, struct err *err)
{
    if (!job->provider->measure)
        return 0;
    int result = job->provider->measure(job, &status->planned.found, &status->measures, err);
    if (result < 0)
        return result;
    json_t *last = mirror_journal_sample(journal, job->provider->name, job->name);
    int64_t since = (int64_t)time(NULL) - (int64_t)number_of(last, "time");
    for (size_t i = 0; i < status->measures.n; i++) {
        judge(&status->measures.at[i], last, since);
        status->n_troubles += status->measures.at[i].trouble[0] != '\0';
    }
    if (write) {
        json_t *sample = sample_of(&status->measures);
        result = mirror_journal_keep_sample(journal, job->provider->name, job->name, sample, err);
        json_decref(sample);
    }
    json_decref(last);
    return result;
}

int mirror_engine_status(struct mirror_job *job, struct mirror_journal *journal, bool known,
                         bool applied, bool write, struct mirror_status *out, struct err *err)
{
    struct mirror_status status = {.known = known, .applied = applied};
    struct err why;
    int result = 0;
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
    for (size_t i = 0; i < status.planned.plan.n; i++) {
        const struct mirror_step *step = &status.planned.plan.at[i];
        if (step->action == MIRROR_MAKE)
            status.n_missing++;
        else if (step->action != MIRROR_KEEP)
            status.n_different++;
    }
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
    *status = (struct mirror_status){0};
}
