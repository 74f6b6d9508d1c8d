/* Machines and subnets put into policies, whose sizes are bounded: see google.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/google.h"

#define POLICIES_MAX 1000

struct slots {
    json_t **at; /* owned lists, by the policy's number; NULL: none */
    size_t n;
};

/* What a policy of ours is numbered; 0: it is none of this mirror and region. */
static size_t number_of(const struct mirror_job *job, const json_t *policy)
{
    const struct google_place *place = job->state;
    const char *name = mirror_text(policy, "name");
    char stem[48], *end;
    google_put_stem(job->name, stem);
    size_t len = strlen(stem);
    if (!google_is_ours(policy, job->name) || strncmp(name, stem, len) != 0 || name[len] != '-' ||
        strcmp(google_last(mirror_text(policy, "region")), place->region) != 0)
        return 0;
    unsigned long number = strtoul(name + len + 1, &end, 10);
    return *end == '\0' && number >= 1 && number <= POLICIES_MAX ? number : 0;
}

static bool put(struct slots *slots, size_t number, const json_t *path)
{
    if (!slots->at[number])
        slots->at[number] = json_array();
    return json_array_append(slots->at[number], (json_t *)(uintptr_t)path) == 0;
}

/* `member`: of google_object_of(). */
static int fill(const struct mirror_job *job, const json_t *paths, const char *member, size_t most,
                struct slots *slots, struct err *err)
{
    const struct google_place *place = job->state;
    json_t *left = json_array(), *path, *policy;
    json_t *homes = json_object(); /* where each is now */
    size_t i, k, next = 1;
    bool ok = left && homes;
    json_array_foreach(place->policies, i, policy)
    {
        size_t number = number_of(job, policy);
        json_t *is = number ? google_object_of(policy) : NULL;
        json_array_foreach(json_object_get(is, member), k, path)
        {
            ok = ok && json_object_set_new(homes, json_string_value(path),
                                           json_integer((json_int_t)number)) == 0;
        }
        json_decref(is);
    }
    json_array_foreach((json_t *)(uintptr_t)paths, i, path)
    {
        size_t home = (size_t)json_integer_value(json_object_get(homes, json_string_value(path)));
        if (home && json_array_size(slots->at[home]) < most)
            ok = ok && put(slots, home, path);
        else
            ok = ok && json_array_append(left, path) == 0;
    }
    json_array_foreach(left, i, path)
    {
        while (next <= POLICIES_MAX && json_array_size(slots->at[next]) >= most)
            next++;
        ok = ok && next <= POLICIES_MAX && put(slots, next, path);
    }
    json_decref(left);
    json_decref(homes);
    return ok ? 0
              : err_set(err, -E2BIG, "out of memory, or more than %d policies are needed",
                        POLICIES_MAX);
}

static json_t *list_of(const struct slots *slots, size_t number)
{
    return google_sorted(slots->at[number] ? json_copy(slots->at[number]) : json_array());
}

static void slots_done(struct slots *slots)
{
    for (size_t i = 0; slots->at && i < slots->n; i++)
        json_decref(slots->at[i]);
    free(slots->at);
}

int google_pack(struct mirror_job *job, const json_t *instances, const json_t *subnets,
                const json_t *tags, const json_t *like, struct mirror_set *out, struct err *err)
{
    const struct google_place *place = job->state;
    struct slots machines = {calloc(POLICIES_MAX + 1, sizeof(json_t *)), POLICIES_MAX + 1};
    struct slots networks = {calloc(POLICIES_MAX + 1, sizeof(json_t *)), POLICIES_MAX + 1};
    char stem[48], key[2 * GOOGLE_NAME_MAX];
    int result = machines.at && networks.at ? 0 : err_set(err, -ENOMEM, "out of memory");
    google_put_stem(job->name, stem);
    if (result == 0)
        result = fill(job, instances, "instances", GOOGLE_INSTANCES_MAX, &machines, err);
    if (result == 0)
        result = fill(job, subnets, "subnets", GOOGLE_SUBNETS_MAX, &networks, err);
    for (size_t i = 1; result == 0 && i <= POLICIES_MAX; i++) {
        bool has_tags = i == 1 && json_array_size(tags) > 0;
        if (!machines.at[i] && !networks.at[i] && !has_tags)
            continue;
        (void)snprintf(key, sizeof key, "%s/%s-%zu", place->region, stem, i);
        json_t *is = json_deep_copy(like);
        if (is &&
            (json_object_set_new(is, "instances", list_of(&machines, i)) < 0 ||
             json_object_set_new(is, "subnets", list_of(&networks, i)) < 0 ||
             json_object_set_new(is, "tags", has_tags ? json_deep_copy(tags) : json_array()) < 0)) {
            json_decref(is);
            is = NULL;
        }
        struct mirror_object *object = mirror_set_add(out, "policy", key, is);
        mirror_object_why(object, "copies what they send and receive");
        if (object)
            object->may_lack = true;
    }
    slots_done(&machines);
    slots_done(&networks);
    return result;
}
