/* What a mirror of AWS should consist of: see aws.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/aws.h"

#define SESSION_USD      0.015
#define SESSIONS_ACCOUNT 10000

/* Where a session is known to cost that. */
static bool is_priced(const char *region)
{
    static const char *const regions[] = {"us-east-1", "us-east-2", "us-west-2", "eu-west-1", NULL};
    for (size_t i = 0; regions[i]; i++)
        if (strcmp(regions[i], region) == 0)
            return true;
    return false;
}

static const char *type_of(const struct aws_place *place)
{
    switch ((enum aws_to_kind)place->kind) {
    case AWS_TO_NLB:
        return "network-load-balancer";
    case AWS_TO_GWLBE:
        return "gateway-load-balancer-endpoint";
    case AWS_TO_SELF:
    case AWS_TO_INTERFACE:
    case AWS_TO_TARGET:
        break;
    }
    return "network-interface";
}

static void want_targets(const struct aws_mirror *state, struct mirror_set *out)
{
    for (size_t i = 0; i < state->n_places; i++) {
        const struct aws_place *place = &state->places[i];
        if (place->kind == AWS_TO_TARGET || place->n == 0)
            continue;
        mirror_object_why(
            mirror_set_add(out, "target", place->key,
                           json_pack("{s:s, s:b}", "type", type_of(place), "tagged", 1)),
            place->is_self ? "takes the copies; it is this machine's" : "takes the copies");
    }
}

/* Whether the interface gets a session. */
static bool is_placed(const struct aws_mirror *state, size_t i)
{
    return state->nics.at[i].fate == CLOUD_WANTED && state->spots[i].place != SIZE_MAX &&
           state->nics.at[i].has_id;
}

static void want_sessions(struct mirror_job *job, struct mirror_set *out)
{
    const struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    for (size_t i = 0; i < state->nics.n; i++) {
        const struct cloud_nic *nic = &state->nics.at[i];
        const struct aws_spot *spot = &state->spots[i];
        if (!is_placed(state, i))
            continue;
        struct mirror_object *object = mirror_set_add(
            out, "session", nic->id,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "target", state->places[spot->place].key,
                      "filter", "filter", "vni", (json_int_t)nic->id_number, "length",
                      (json_int_t)wish->length, "number", (json_int_t)spot->number, "tagged", 1));
        if (!object)
            continue;
        object->may_lack = true;
        mirror_object_why(object, "%.60s, interface %u, %s", cloud_nic_label(nic), nic->order,
                          nic->outer);
    }
}

static void put_limits(struct mirror_job *job, size_t n, struct text *remarks)
{
    const struct aws_mirror *state = job->state;
    size_t n_others = 0;
    for (size_t i = 0; i < json_array_size(state->sessions); i++)
        n_others += !aws_is_ours(json_array_get(state->sessions, i), job->name);
    if (n + n_others > SESSIONS_ACCOUNT)
        text_format(remarks,
                    "an account has %d sessions at most, unless AWS raised it; there are %zu of "
                    "others, and this mirror wants %zu\n",
                    SESSIONS_ACCOUNT, n_others, n);
}

static void put_cost(const struct aws_mirror *state, size_t n, struct text *remarks)
{
    char as_of[96];
    (void)snprintf(as_of, sizeof as_of,
                   is_priced(state->region) ? "%.40s as of " AWS_PRICE_AS_OF
                                            : "us-east-1 as of " AWS_PRICE_AS_OF
                                              ", those of %.40s are not known here",
                   state->region);
    cloud_put_cost(remarks, n, "session", SESSION_USD, as_of);
}

int aws_want(struct mirror_job *job, struct mirror_set *out, struct text *remarks, struct err *err)
{
    struct aws_mirror *state = job->state;
    const struct aws_wish *wish = job->wish;
    size_t n = 0, n_refused = 0;
    json_decref(state->own);
    state->own = NULL;
    int result = aws_mirror_look(job, err);
    if (result == 0)
        result = aws_mirror_places(job, err);
    if (result == 0)
        result = aws_mirror_list(job, remarks, err);
    if (result == 0)
        result = aws_mirror_pack(job, remarks, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < state->nics.n; i++) {
        n += is_placed(state, i);
        n_refused +=
            state->nics.at[i].fate == CLOUD_UNFIT && aws_refused(job, &state->nics.at[i]) != NULL;
    }
    /* A slip in a selection is more likely than a wish to have nothing. */
    if (n == 0)
        return err_set(
            err, -ENOENT,
            "none of %zu interfaces is to be mirrored: is the selection right? (a mirror "
            "is taken away by `remove`%s)",
            state->nics.n, n_refused ? "; what AWS refused is tried again by `apply --retry`" : "");
    struct mirror_object *filter = mirror_set_add(
        out, "filter", "filter", json_pack("{s:b, s:b}", "dns", !wish->no_dns, "tagged", 1));
    mirror_object_why(filter, "which packets are mirrored");
    result = aws_want_rules(wish, out, remarks, err);
    if (result == 0)
        result = aws_mirror_check(job, out, remarks, err);
    if (result < 0)
        return result;
    want_targets(state, out);
    want_sessions(job, out);
    put_limits(job, n, remarks);
    put_cost(state, n, remarks);
    return 0;
}
