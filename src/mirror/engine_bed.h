/* For unit tests: a provider whose world is memory. It survives the process that works on it, which
 * may be killed or refused at any step; and it counts what no provider should be asked for. */
#ifndef MIRROR_ENGINE_BED_H
#define MIRROR_ENGINE_BED_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/engine.h"
#include "mirror/set_bed.h"

#define BED_THINGS 64

/* Kinds: "soft" ones can be changed in place; "bare" ones carry no mark, only the journal says
 * whose they are; all others carry the name of their mirror. */
struct bed_thing {
    char kind[MIRROR_KIND_MAX], key[MIRROR_KEY_MAX];
    char owner[MIRROR_NAME_MAX]; /* "": somebody else's */
    char is[256], on[256];       /* JSON */
};

/* Shared with children. */
struct bed_world {
    struct bed_thing at[BED_THINGS]; /* in the order they were made */
    size_t n;
    unsigned n_calls;   /* of make, change and unmake */
    unsigned n_points;  /* places at which the process could be killed */
    unsigned kill_at;   /* the point, from 1 on; 0: never */
    unsigned stop_at;   /* the watcher's question, from 1 on, that is answered with yes */
    unsigned n_asked;   /* that question */
    char refuse[64];    /* "make link a": that call is refused, as often as it comes */
    unsigned refuse_at; /* the call, from 1 on; 0: none */
    int refuse_code;    /* 0: -EPERM */
    bool keeps;         /* as the provider's */
    bool is_wordy;      /* refusals are as long as can be */
    unsigned n_faults;  /* calls that no provider should get */
    char fault[200];    /* the last of them */
    char said[4096];    /* what the watcher was told: "+link a" begun, "+link a!" done */
    bool refuse_proof, refuse_find, refuse_want;
    struct mirror_measure measures[4];
    size_t n_measures;
    bool refuse_measure;
    struct mirror_covered covered[4];
    size_t n_covered;
    bool refuse_cover, refuse_blame;
};

static struct bed_world *bed_world;

static inline void bed_world_make(void)
{
    bed_world =
        mmap(NULL, sizeof *bed_world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (bed_world == MAP_FAILED)
        abort();
}

static inline void bed_fault(const char *what, const char *kind, const char *key)
{
    bed_world->n_faults++;
    (void)snprintf(bed_world->fault, sizeof bed_world->fault, "%s %s %.100s", what, kind, key);
}

static inline void bed_point(void)
{
    if (++bed_world->n_points == bed_world->kill_at)
        (void)raise(SIGKILL);
}

static inline struct bed_thing *bed_thing(const char *kind, const char *key)
{
    for (size_t i = 0; i < bed_world->n; i++)
        if (strcmp(bed_world->at[i].kind, kind) == 0 && strcmp(bed_world->at[i].key, key) == 0)
            return &bed_world->at[i];
    return NULL;
}

static inline void bed_put_json(const json_t *json, char out[256])
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    (void)snprintf(out, 256, "%s", text ? text : "[]");
    free(text);
}

/* `owner` "": it was there before us. */
static inline void bed_put_thing(const char *owner, const char *kind, const char *key,
                                 const json_t *is, const json_t *on)
{
    struct bed_thing *thing = &bed_world->at[bed_world->n];
    if (bed_world->n == BED_THINGS)
        abort();
    *thing = (struct bed_thing){{0}};
    (void)snprintf(thing->owner, sizeof thing->owner, "%s", owner);
    (void)snprintf(thing->kind, sizeof thing->kind, "%s", kind);
    (void)snprintf(thing->key, sizeof thing->key, "%s", key);
    bed_put_json(is, thing->is);
    bed_put_json(on, thing->on);
    bed_world->n++;
}

/* What stands on it, by the words of its making. */
static inline const struct bed_thing *bed_upon(const char *kind, const char *key)
{
    for (size_t i = 0; i < bed_world->n; i++) {
        json_t *on = json_loads(bed_world->at[i].on, 0, NULL), *one;
        size_t k;
        bool found = false;
        json_array_foreach(on, k, one) found |=
            strcmp(json_string_value(json_array_get(one, 0)), kind) == 0 &&
            strcmp(json_string_value(json_array_get(one, 1)), key) == 0;
        json_decref(on);
        if (found)
            return &bed_world->at[i];
    }
    return NULL;
}

/* ---- the provider ---- */

struct bed_wish {
    struct mirror_set wanted;
};

static inline void bed_wish_done(void *with)
{
    struct bed_wish *wish = with;
    mirror_set_done(&wish->wanted);
}

static inline int bed_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                           struct err *err)
{
    const struct bed_wish *wish = job->wish;
    if (bed_world->refuse_want)
        return err_set(err, -ENODEV, "there is no such interface");
    for (size_t i = 0; i < wish->wanted.n; i++) {
        const struct mirror_object *want = &wish->wanted.at[i];
        struct mirror_object *copy =
            mirror_set_add(out, want->kind, want->key, json_incref(want->is));
        if (copy)
            copy->on = json_incref(want->on);
        if (copy)
            copy->may_lack = want->may_lack;
        mirror_object_why(copy, "for %.20s", job->name);
    }
    text_put(remarks, "a remark\n");
    return 0;
}

static inline int bed_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    if (bed_world->refuse_find)
        return err_set(err, -EIO, "nobody answers");
    for (size_t i = 0; i < bed_world->n; i++) {
        const struct bed_thing *thing = &bed_world->at[i];
        bool ours = strcmp(thing->kind, "bare") == 0
                        ? mirror_job_made(job, thing->kind, thing->key) != NULL
                        : strcmp(thing->owner, job->name) == 0;
        if (ours)
            mirror_set_add(out, thing->kind, thing->key, json_loads(thing->is, 0, NULL));
    }
    return 0;
}

/* Each call: the two points around it, and whether it is refused. */
static inline int bed_call(const char *verb, const struct mirror_object *object, struct err *err)
{
    char call[256];
    bed_point();
    (void)snprintf(call, sizeof call, "%s %s %s", verb, object->kind, object->key);
    if (++bed_world->n_calls == bed_world->refuse_at || strcmp(call, bed_world->refuse) == 0)
        return err_set(err, bed_world->refuse_code ? bed_world->refuse_code : -EPERM,
                       "%s: refused%*s", call, bed_world->is_wordy ? 600 : 0, "");
    return 0;
}

static inline int bed_make(struct mirror_job *job, const struct mirror_object *want,
                           struct err *err)
{
    int result = bed_call("make", want, err);
    size_t i;
    json_t *on;
    if (result < 0)
        return result;
    if (bed_thing(want->kind, want->key))
        bed_fault("made twice:", want->kind, want->key);
    json_array_foreach(want->on, i, on)
    {
        const char *kind = json_string_value(json_array_get(on, 0));
        const char *key = json_string_value(json_array_get(on, 1));
        if (!bed_thing(kind, key))
            bed_fault("made before what it stands on:", want->kind, want->key);
    }
    bed_put_thing(job->name, want->kind, want->key, want->is, want->on);
    json_decref(job->known);
    job->known = json_sprintf("id of %s", want->key);
    bed_point();
    return 0;
}

static inline bool bed_may_change(const struct mirror_object *have,
                                  const struct mirror_object *want)
{
    /* Not where it has to stand on something else. */
    const json_t *was = json_object_get(have->is, "on"), *on = json_object_get(want->is, "on");
    return strcmp(want->kind, "soft") == 0 && (was && on ? json_equal(was, on) : was == on);
}

static inline int bed_change(struct mirror_job *job, const struct mirror_object *have,
                             const struct mirror_object *want, struct err *err)
{
    int result = bed_call("change", want, err);
    struct bed_thing *thing = bed_thing(want->kind, want->key);
    (void)job;
    if (result < 0)
        return result;
    if (!thing || strcmp(want->kind, "soft") != 0 || strcmp(have->key, want->key) != 0)
        bed_fault("changed:", want->kind, want->key);
    if (thing) {
        bed_put_json(want->is, thing->is);
        bed_put_json(want->on, thing->on);
    }
    bed_point();
    return 0;
}

static inline int bed_unmake(struct mirror_job *job, const struct mirror_object *have,
                             struct err *err)
{
    int result = bed_call("unmake", have, err);
    struct bed_thing *thing = bed_thing(have->kind, have->key);
    if (result < 0)
        return result;
    if (thing) {
        if (strcmp(thing->owner, job->name) != 0)
            bed_fault("unmade, and somebody else's:", have->kind, have->key);
        if (bed_upon(have->kind, have->key))
            bed_fault("unmade under what stands on it:", have->kind, have->key);
        size_t i = (size_t)(thing - bed_world->at);
        memmove(thing, thing + 1, (bed_world->n - i - 1) * sizeof *thing);
        bed_world->n--;
    }
    bed_point();
    return 0;
}

static inline int bed_prove(struct mirror_job *job, struct text *said, struct err *err)
{
    (void)job;
    bed_point();
    if (bed_world->refuse_proof)
        return err_set(err, -ELOOP, "it came out twice");
    text_put(said, "it came out once\n");
    return 0;
}

static inline int bed_measure(struct mirror_job *job, const struct mirror_set *found,
                              struct mirror_measures *out, struct err *err)
{
    (void)job;
    (void)found;
    if (bed_world->refuse_measure)
        return err_set(err, -EIO, "no counters");
    out->at = calloc(5, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(out->at, bed_world->measures, sizeof bed_world->measures);
    out->n = bed_world->n_measures;
    return 0;
}

static inline int bed_cover(struct mirror_job *job, const struct mirror_set *found,
                            struct mirror_coverage *out, struct err *err)
{
    (void)job;
    (void)found;
    if (bed_world->refuse_cover)
        return err_set(err, -EIO, "no list of machines");
    out->at = calloc(4, sizeof *out->at);
    if (!out->at)
        return err_set(err, -ENOMEM, "out of memory");
    memcpy(out->at, bed_world->covered, sizeof bed_world->covered);
    out->n = bed_world->n_covered;
    return 0;
}

static inline int bed_blame(struct mirror_job *job, const struct mirror_set *missing,
                            struct text *out, struct err *err)
{
    if (bed_world->refuse_blame)
        return err_set(err, -EACCES, "the log may not be read");
    for (size_t i = 0; i < missing->n; i++) {
        const struct mirror_object *one = &missing->at[i];
        const char *known = json_string_value(mirror_job_known(job, one->kind, one->key));
        text_format(out, "%s %s (%s) was deleted by eve\n", one->kind, one->key,
                    known ? known : "?");
    }
    return 0;
}

static const struct mirror_provider bed_provider = {
    .name = "bed",
    .cover = bed_cover,
    .blame = bed_blame,
    .wish_size = sizeof(struct bed_wish),
    .wish_done = bed_wish_done,
    .want = bed_want,
    .find = bed_find,
    .make = bed_make,
    .may_change = bed_may_change,
    .change = bed_change,
    .unmake = bed_unmake,
    .prove = bed_prove,
    .measure = bed_measure,
};

/* As of a cloud: what was made stays when a later step fails. */
static const struct mirror_provider bed_keeper = {
    .name = "bed",
    .keeps = true,
    .wish_size = sizeof(struct bed_wish),
    .wish_done = bed_wish_done,
    .want = bed_want,
    .find = bed_find,
    .make = bed_make,
    .may_change = bed_may_change,
    .change = bed_change,
    .unmake = bed_unmake,
    .prove = bed_prove,
    .measure = bed_measure,
    .cover = bed_cover,
    .blame = bed_blame,
};

/* ---- a run ---- */

static inline void bed_step(void *with, const struct mirror_object *object, int action, bool done,
                            const char *failed)
{
    char *said = bed_world->said;
    size_t len = strlen(said);
    (void)with;
    (void)snprintf(said + len, sizeof bed_world->said - len, "%s%c%s %s%s", len ? ", " : "",
                   mirror_action_sign(action), object->kind, object->key,
                   failed ? "?"
                   : done ? "!"
                          : "");
    bed_point();
}

static inline bool bed_stop(void *with)
{
    (void)with;
    return ++bed_world->n_asked == bed_world->stop_at;
}

static const struct mirror_watcher bed_watcher = {.step = bed_step, .stop = bed_stop};

/* `wanted`: as bed_set has it; NULL: the wish is not known. */
static inline struct mirror_job bed_job(const char *name, const char *wanted)
{
    struct mirror_job job = {.provider = bed_world->keeps ? &bed_keeper : &bed_provider,
                             .machine = "web-1"};
    (void)snprintf(job.name, sizeof job.name, "%s", name);
    if (!wanted)
        return job;
    struct bed_wish *wish = calloc(1, sizeof *wish);
    if (!wish)
        abort();
    wish->wanted = bed_set(wanted);
    job.wish = wish;
    return job;
}

static inline void bed_forget_calls(void)
{
    bed_world->n_calls = bed_world->n_points = bed_world->n_asked = 0;
    bed_world->kill_at = bed_world->refuse_at = bed_world->stop_at = 0;
    bed_world->refuse[0] = bed_world->said[0] = '\0';
    bed_world->refuse_proof = bed_world->refuse_find = bed_world->refuse_want = false;
    bed_world->refuse_measure = bed_world->refuse_cover = bed_world->refuse_blame = false;
    bed_world->refuse_code = 0;
}

/* A whole `apply`, from the journal's opening to its closing; *out_lacks: "link a: reason; …",
 * where it is not NULL. */
static inline int bed_apply_lacking(const char *folder, const char *name, const char *wanted,
                                    char out_lacks[1024], struct err *err)
{
    struct mirror_job job = bed_job(name, wanted);
    struct mirror_journal *journal = NULL;
    struct mirror_planned planned = {0};
    struct mirror_outcome outcome = {0};
    json_t *arguments = json_pack("[ss]", "--interface=eth0", "--id=7");
    int result = mirror_journal_open(folder, true, &journal, err);
    if (result == 0)
        result = mirror_job_begin(&job, journal, err);
    if (result == 0)
        result = mirror_engine_plan(&job, &planned, err);
    if (result == 0)
        result =
            mirror_engine_apply(&job, journal, &planned, arguments, &bed_watcher, &outcome, err);
    for (size_t i = 0; out_lacks && i < outcome.n_lack; i++) {
        size_t len = strlen(out_lacks);
        (void)snprintf(out_lacks + len, 1024 - len, "%s%s %s: %s", len ? "; " : "",
                       outcome.lack[i].want->kind, outcome.lack[i].want->key,
                       outcome.lack[i].reason);
        if (!outcome.lack[i].is_there &&
            !mirror_job_lacks(&job, outcome.lack[i].want->kind, outcome.lack[i].want->key))
            bed_fault("not known to lack:", outcome.lack[i].want->kind, outcome.lack[i].want->key);
    }
    json_decref(arguments);
    mirror_outcome_done(&outcome);
    mirror_planned_done(&planned);
    mirror_job_end(&job);
    mirror_journal_close(journal);
    return result;
}

static inline int bed_apply(const char *folder, const char *name, const char *wanted,
                            struct err *err)
{
    return bed_apply_lacking(folder, name, wanted, NULL, err);
}

static inline int bed_remove(const char *folder, const char *name, size_t *out_n, struct err *err)
{
    struct mirror_job job = bed_job(name, NULL);
    struct mirror_journal *journal = NULL;
    int result = mirror_journal_open(folder, true, &journal, err);
    *out_n = 0;
    if (result == 0)
        result = mirror_job_begin(&job, journal, err);
    if (result == 0)
        result = mirror_engine_remove(&job, journal, &bed_watcher, out_n, err);
    mirror_job_end(&job);
    mirror_journal_close(journal);
    return result;
}

/* How many steps an apply would have; negative: refused. */
static inline int bed_plan(const char *folder, const char *name, const char *wanted,
                           struct err *err)
{
    struct mirror_job job = bed_job(name, wanted);
    struct mirror_journal *journal = NULL;
    struct mirror_planned planned = {0};
    int result = mirror_journal_open(folder, false, &journal, err);
    if (result == 0)
        result = mirror_job_begin(&job, journal, err);
    if (result == 0)
        result = mirror_engine_plan(&job, &planned, err);
    if (result == 0)
        result = (int)planned.plan.n_changes;
    mirror_planned_done(&planned);
    mirror_job_end(&job);
    mirror_journal_close(journal);
    return result;
}

/* "link a, filter b" in the order of making, without those of others; owner "": only theirs. */
static inline void bed_world_text(const char *owner, char out[1024])
{
    out[0] = '\0';
    for (size_t i = 0; i < bed_world->n; i++) {
        const struct bed_thing *thing = &bed_world->at[i];
        size_t len = strlen(out);
        if (strcmp(thing->owner, owner) == 0)
            (void)snprintf(out + len, 1024 - len, "%s%s %s%s", len ? ", " : "", thing->kind,
                           thing->key, strcmp(thing->is, "{}") == 0 ? "" : thing->is);
    }
}

/* ---- folders ---- */

/* In memory where that is to be had: each step is on disk when it returns. */
static inline void bed_folder(char out[64])
{
    (void)snprintf(out, 64, "%s/mirror-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(out))
        abort();
}

static inline void bed_lose_journal(const char *folder)
{
    static const char *const names[] = {"mirror.db", "mirror.db-journal", "mirror.lock"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
}

static inline void bed_folder_done(const char *folder)
{
    bed_lose_journal(folder);
    if (rmdir(folder) < 0) {
        perror(folder);
        abort();
    }
}

#endif
