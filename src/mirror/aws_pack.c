/* Which place takes the copies of which interface, with which number and VNI: see aws.h.
 *
 * What has a session stays where it is, and keeps its number and its VNI. The rest goes to a place
 * in its own zone (copies to other zones cost money), where most is free. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"

#define SHADOWS_MAX 3 /* that remarks name */
#define VNI_MAX     0xffffff

struct pack {
    struct mirror_job *job;
    struct aws_mirror *state;
    json_t *by_interface; /* interface's id -> list of its sessions */
    json_t *resources;    /* target's id -> the interface, ARN or endpoint; its id, if not known */
    size_t *order;        /* wanted interfaces, by id */
    size_t n;
};

void aws_put_nic(const struct cloud_nic *nic, char out[160])
{
    const char *label = cloud_nic_label(nic);
    if (strcmp(label, nic->id) == 0)
        (void)snprintf(out, 160, "%s", nic->id);
    else
        (void)snprintf(out, 160, "%.100s (%.40s)", label, nic->id);
}

/* ---- what is there ---- */

static bool index_all(struct pack *pack)
{
    struct aws_mirror *state = pack->state;
    pack->by_interface = json_object();
    pack->resources = json_object();
    for (size_t i = 0; i < json_array_size(state->targets); i++) {
        const json_t *target = json_array_get(state->targets, i);
        (void)json_object_set_new(pack->resources, mirror_text(target, "trafficMirrorTargetId"),
                                  json_string(aws_target_resource(target)));
    }
    for (size_t i = 0; i < json_array_size(state->sessions); i++) {
        json_t *session = json_array_get(state->sessions, i);
        const char *interface = mirror_text(session, "networkInterfaceId");
        json_t *list = json_object_get(pack->by_interface, interface);
        if (!list) {
            list = json_array();
            if (json_object_set_new(pack->by_interface, interface, list) < 0)
                return false;
        }
        if (json_array_append(list, session) < 0)
            return false;
    }
    return pack->by_interface && pack->resources;
}

static int id_order(const void *left, const void *right, void *nics)
{
    const struct cloud_nic *all = nics;
    return strcmp(all[*(const size_t *)left].id, all[*(const size_t *)right].id);
}

static bool sort_wanted(struct pack *pack)
{
    struct cloud_inventory *nics = &pack->state->nics;
    pack->order = calloc(nics->n + 1, sizeof *pack->order);
    for (size_t i = 0; pack->order && i < nics->n; i++)
        if (nics->at[i].fate == CLOUD_WANTED)
            pack->order[pack->n++] = i;
    if (pack->order && pack->n)
        qsort_r(pack->order, pack->n, sizeof *pack->order, id_order, nics->at);
    return pack->order != NULL;
}

static const json_t *sessions_of(const struct pack *pack, const struct cloud_nic *nic)
{
    return json_object_get(pack->by_interface, nic->id);
}

/* The session that this mirror has for it; NULL: none. */
static const json_t *our_session(const struct pack *pack, const struct cloud_nic *nic)
{
    const json_t *list = sessions_of(pack, nic);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (aws_is_ours(json_array_get(list, i), pack->job->name))
            return json_array_get(list, i);
    return NULL;
}

/* Where it sends to. */
static size_t place_of(const struct pack *pack, const json_t *session)
{
    const char *target = mirror_text(session, "trafficMirrorTargetId");
    const char *resource = mirror_text(pack->resources, target);
    for (size_t i = 0; i < pack->state->n_places; i++) {
        const char *key = pack->state->places[i].key;
        if (strcmp(key, target) == 0 || (resource[0] && strcmp(key, resource) == 0))
            return i;
    }
    return SIZE_MAX;
}

/* Sources that others have there: each interface counts once. */
static void count_others(struct pack *pack)
{
    const char *interface;
    json_t *list;
    json_object_foreach(pack->by_interface, interface, list)
    {
        bool seen[AWS_TO_MAX] = {false};
        for (size_t i = 0; i < json_array_size(list); i++) {
            const json_t *session = json_array_get(list, i);
            size_t place = place_of(pack, session);
            if (place == SIZE_MAX || seen[place] || aws_is_ours(session, pack->job->name))
                continue;
            seen[place] = true;
            pack->state->places[place].others++;
        }
    }
}

/* ---- places ---- */

static uint32_t free_of(const struct aws_place *place)
{
    uint32_t used = place->others + place->n;
    return used < place->capacity ? place->capacity - used : 0;
}

static size_t choose(const struct aws_mirror *state, const struct cloud_nic *nic)
{
    size_t best = SIZE_MAX;
    bool best_near = false;
    for (size_t i = 0; i < state->n_places; i++) {
        const struct aws_place *place = &state->places[i];
        bool near = place->zone[0] == '\0' || strcmp(place->zone, nic->zone) == 0;
        if (free_of(place) == 0)
            continue;
        if (best == SIZE_MAX || (near && !best_near) ||
            (near == best_near && free_of(place) > free_of(&state->places[best]))) {
            best = i;
            best_near = near;
        }
    }
    return best;
}

static void place_all(struct pack *pack)
{
    struct aws_mirror *state = pack->state;
    const struct aws_wish *wish = pack->job->wish;
    for (size_t i = 0; i < pack->n; i++) {
        struct aws_spot *spot = &state->spots[pack->order[i]];
        size_t place = place_of(pack, our_session(pack, &state->nics.at[pack->order[i]]));
        /* What works needs no table to tell that it may. */
        if (place == SIZE_MAX || (wish->capacity && free_of(&state->places[place]) == 0))
            continue;
        spot->place = place;
        state->places[place].n++;
    }
    for (size_t i = 0; i < pack->n; i++) {
        struct aws_spot *spot = &state->spots[pack->order[i]];
        if (spot->place != SIZE_MAX)
            continue;
        spot->place = choose(state, &state->nics.at[pack->order[i]]);
        if (spot->place == SIZE_MAX)
            (void)snprintf(spot->why, sizeof spot->why,
                           "the targets are full: a further --to, a load balancer, or --capacity");
        else
            state->places[spot->place].n++;
    }
}

static void put_full(const struct pack *pack, struct text *remarks)
{
    const struct aws_mirror *state = pack->state;
    size_t n = 0, first = 0;
    for (size_t i = 0; i < pack->n; i++)
        if (state->spots[pack->order[i]].place == SIZE_MAX && n++ == 0)
            first = pack->order[i];
    if (!n)
        return;
    char name[160];
    aws_put_nic(&state->nics.at[first], name);
    text_format(remarks, "%zu interfaces have no place, from %s on, and are not mirrored:", n,
                name);
    for (size_t i = 0; i < state->n_places; i++) {
        const struct aws_place *place = &state->places[i];
        text_format(remarks, "%s %.60s (%s) takes %u sources%s", i ? "," : "", place->key,
                    place->type[0] ? place->type : "instance not known", place->capacity,
                    place->others ? ", some of which are others'" : "");
    }
    text_put(remarks, ". Another --to, a network load balancer (nlb:ARN), or --capacity if AWS "
                      "takes more there\n");
}

/* ---- numbers ---- */

struct numbers {
    int64_t used[AWS_SESSIONS * 4]; /* of others */
    const json_t *of[AWS_SESSIONS * 4];
    size_t n;
    int64_t max;
};

static bool is_used(const struct numbers *numbers, int64_t number)
{
    for (size_t i = 0; i < numbers->n; i++)
        if (numbers->used[i] == number)
            return true;
    return false;
}

static int64_t next_free(const struct numbers *numbers, int64_t from)
{
    for (int64_t number = from; number <= AWS_NUMBER_MAX; number++)
        if (!is_used(numbers, number))
            return number;
    return from > 1 ? next_free(numbers, 1) : 0;
}

static int64_t choose_number(const struct aws_wish *wish, const struct numbers *numbers,
                             int64_t have)
{
    if (wish->number)
        return next_free(numbers, wish->number);
    if (have > 0 && !is_used(numbers, have))
        return have;
    return next_free(numbers, numbers->max + 1 > AWS_NUMBER_MAX ? 1 : numbers->max + 1);
}

static struct numbers numbers_of(const struct pack *pack, const struct cloud_nic *nic)
{
    const json_t *list = sessions_of(pack, nic);
    struct numbers numbers = {.n = 0};
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *session = json_array_get(list, i);
        if (aws_is_ours(session, pack->job->name) || numbers.n == AWS_SESSIONS * 4)
            continue;
        int64_t number = aws_number(session, "sessionNumber", 0);
        numbers.of[numbers.n] = session;
        numbers.used[numbers.n++] = number;
        numbers.max = number > numbers.max ? number : numbers.max;
    }
    return numbers;
}

static void number_all(struct pack *pack, struct text *remarks)
{
    struct aws_mirror *state = pack->state;
    const struct aws_wish *wish = pack->job->wish;
    size_t n_behind = 0, n_before = 0;
    for (size_t i = 0; i < pack->n; i++) {
        const struct cloud_nic *nic = &state->nics.at[pack->order[i]];
        struct aws_spot *spot = &state->spots[pack->order[i]];
        const json_t *ours = our_session(pack, nic);
        struct numbers numbers = numbers_of(pack, nic);
        char name[160];
        if (spot->place == SIZE_MAX)
            continue;
        aws_put_nic(nic, name);
        if (numbers.n >= AWS_SESSIONS && !ours) {
            (void)snprintf(spot->why, sizeof spot->why,
                           "it has %zu sessions of others already, and AWS allows %d", numbers.n,
                           AWS_SESSIONS);
            text_format(remarks, "%s is not mirrored: %s\n", name, spot->why);
            state->places[spot->place].n--;
            spot->place = SIZE_MAX;
            continue;
        }
        int64_t number = choose_number(wish, &numbers, aws_number(ours, "sessionNumber", 0));
        spot->number = (uint32_t)number;
        for (size_t j = 0; j < numbers.n; j++) {
            bool behind = numbers.used[j] < number;
            const char *id = mirror_text(numbers.of[j], "trafficMirrorSessionId");
            size_t *n = behind ? &n_behind : &n_before;
            if (++*n > SHADOWS_MAX)
                continue;
            if (behind)
                text_format(remarks,
                            "%s: the session %s (number %d), of another mirror, comes before: what "
                            "its filter accepts goes there, and not here; --session-number puts "
                            "this mirror in front\n",
                            name, id, (int)numbers.used[j]);
            else
                text_format(remarks,
                            "%s: the session %s (number %d), of another mirror, comes behind: it "
                            "does not get what this one accepts\n",
                            name, id, (int)numbers.used[j]);
        }
    }
    if (n_behind > SHADOWS_MAX || n_before > SHADOWS_MAX)
        text_format(remarks, "and so on: %zu sessions of others come before, %zu behind\n",
                    n_behind, n_before);
}

/* ---- VNIs ---- */

static int give_vnis(struct pack *pack, struct err *err)
{
    struct aws_mirror *state = pack->state;
    size_t n = json_array_size(state->sessions);
    uint32_t *taken = calloc(n + 1, sizeof *taken);
    json_t *kept = json_object(), *theirs = json_object();
    struct cloud_ids ids = {.min = 1, .max = VNI_MAX, .taken = taken};
    char key[16];
    if (!taken || !kept || !theirs) {
        free(taken);
        json_decref(kept);
        json_decref(theirs);
        return err_set(err, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *session = json_array_get(state->sessions, i);
        int64_t vni = aws_number(session, "virtualNetworkId", -1);
        if (aws_is_ours(session, pack->job->name) || place_of(pack, session) == SIZE_MAX ||
            vni < 0 || vni > VNI_MAX)
            continue;
        taken[ids.n_taken++] = (uint32_t)vni;
        (void)snprintf(key, sizeof key, "%d", (int)vni);
        (void)json_object_set_new(theirs, key, json_true()); /* then only `taken` has it */
    }
    for (size_t i = 0; i < pack->n; i++) {
        const struct cloud_nic *nic = &state->nics.at[pack->order[i]];
        const struct mirror_object *was = NULL;
        int64_t vni = aws_number(our_session(pack, nic), "virtualNetworkId", 0);
        if (vni == 0)
            was = mirror_set_get(&pack->job->recorded, "session", nic->id);
        if (was)
            vni = aws_number(was->is, "vni", 0);
        (void)snprintf(key, sizeof key, "%d", (int)vni);
        if (vni > 0 && !json_object_get(theirs, key))
            (void)json_object_set_new(kept, nic->id, json_integer(vni)); /* else another one */
    }
    int result = cloud_give_ids(pack->job->name, kept, &ids, &state->nics, err);
    json_decref(kept);
    json_decref(theirs);
    free(taken);
    return result;
}

/* ---- all ---- */

int aws_mirror_pack(struct mirror_job *job, struct text *remarks, struct err *err)
{
    struct aws_mirror *state = job->state;
    struct pack pack = {.job = job, .state = state};
    int result = 0;
    free(state->spots);
    state->spots = calloc(state->nics.n + 1, sizeof *state->spots);
    if (!state->spots || !index_all(&pack) || !sort_wanted(&pack))
        result = err_set(err, -ENOMEM, "out of memory");
    for (size_t i = 0; result == 0 && i < state->nics.n; i++)
        state->spots[i].place = SIZE_MAX;
    if (result == 0) {
        count_others(&pack);
        place_all(&pack);
        put_full(&pack, remarks);
        number_all(&pack, remarks);
        result = give_vnis(&pack, err);
    }
    json_decref(pack.by_interface);
    json_decref(pack.resources);
    free(pack.order);
    return result;
}
