/* Records for watch: see mirror_record.h. */
#include "cmd/mirror_record.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/record.h"

/* Those that are there: the wanted ones without what could not be made. */
static int made_of(const struct mirror_job *job, const struct mirror_planned *planned,
                   struct mirror_set *out, struct err *err)
{
    for (size_t i = 0; i < planned->wanted.n; i++) {
        const struct mirror_object *want = &planned->wanted.at[i];
        if (mirror_job_lacks(job, want->kind, want->key) &&
            !mirror_set_get(&planned->found, want->kind, want->key))
            continue;
        struct mirror_object *made =
            mirror_set_add(out, want->kind, want->key, json_incref(want->is));
        if (made)
            made->on = json_incref(want->on);
        mirror_object_why(made, "%s", want->why);
    }
    return out->failed ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* Each of them once, as many as fit. */
static void put_collectors(const struct mirror_sources *sources, char *out, size_t size)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sources->n; i++) {
        const char *collector = sources->at[i].collector;
        bool is_there = false;
        for (size_t k = 0; k < i && !is_there; k++)
            is_there = strcmp(sources->at[k].collector, collector) == 0;
        if (is_there || len + strlen(collector) + 3 > size)
            continue;
        len += (size_t)snprintf(out + len, size - len, "%s%s", len ? ", " : "", collector);
    }
}

int mirror_record_keep(struct mirror_settings *settings, const char *folder,
                       const struct mirror_planned *planned, struct mirror_applied *out,
                       struct err *err)
{
    struct mirror_job *job = &settings->job;
    struct mirror_sources sources = {0};
    struct mirror_set made = {0};
    if (!job->provider->sources)
        return 0;
    int result = made_of(job, planned, &made, err);
    if (result == 0)
        result = job->provider->sources(job, &made, &sources, err);
    mirror_set_done(&made);
    /* One that is as it was is left alone: whoever reads it need not read it again. */
    bool is_new = result == 0 && !mirror_record_is(folder, job, &sources, out->record);
    if (is_new && sources.n) {
        result = mirror_record_write(folder, job, &sources, out->record, err);
    } else if (is_new) { /* it knows an interface of its own, and no machine */
        result = mirror_record_remove(folder, job, err);
    }
    if (result == 0 && sources.n)
        put_collectors(&sources, out->collector, sizeof out->collector);
    else
        out->record[0] = '\0';
    out->n_sources = sources.n;
    out->record_is_new = result == 0 && is_new;
    free(sources.at);
    if (result < 0)
        err_wrap(err, "the mirror is in place, but not recorded for watch");
    return result;
}
