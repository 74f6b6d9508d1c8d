/* What is compared with what should be: see plan.h. */
#include "mirror/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 60 /* characters of a value that a reason shows */

static void put_value(const json_t *value, char out[VALUE_MAX])
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
    if (json_is_string(value))
        (void)snprintf(out, VALUE_MAX, "%s", json_string_value(value));
    else
        (void)snprintf(out, VALUE_MAX, "%s", text ? text : "something else");
    free(text);
}

/* The first attribute that is not as it should be. */
static bool differs(const struct mirror_object *want, const struct mirror_object *have,
                    char reason[200])
{
    const char *name;
    json_t *value;
    json_object_foreach(want->is, name, value)
    {
        const json_t *is = json_object_get(have->is, name);
        if (is && json_equal(is, value))
            continue;
        char now[VALUE_MAX] = "missing", wanted[VALUE_MAX];
        if (is)
            put_value(is, now);
        put_value(value, wanted);
        (void)snprintf(reason, 200, "%.40s is %s, should be %s", name, now, wanted);
        return true;
    }
    return false;
}

/* Where what it stands on is made, it has to be made as well. `first`: the steps of `wanted`. */
static void follow_base(const struct mirror_step *first, const struct mirror_set *wanted,
                        struct mirror_step *step)
{
    size_t i;
    json_t *on;
    json_array_foreach(step->want->on, i, on)
    {
        const char *kind = json_string_value(json_array_get(on, 0));
        const char *key = json_string_value(json_array_get(on, 1));
        const struct mirror_object *want = kind && key ? mirror_set_get(wanted, kind, key) : NULL;
        const struct mirror_step *base = want ? &first[want - wanted->at] : NULL;
        /* What stands on something behind it is the provider's mistake, and is made when it is. */
        if (!base || base >= step || (base->action != MIRROR_MAKE && base->action != MIRROR_REMAKE))
            continue;
        step->action = MIRROR_REMAKE;
        (void)snprintf(step->reason, sizeof step->reason, "stands on the %s %.100s, which is made",
                       base->want->kind, base->want->key);
        return;
    }
}

bool mirror_plan_make(const struct mirror_set *wanted, const struct mirror_set *found,
                      bool (*may_change)(const struct mirror_object *have,
                                         const struct mirror_object *want),
                      struct mirror_plan *out)
{
    struct mirror_plan plan = {0};
    plan.at = calloc(wanted->n + found->n + 1, sizeof *plan.at);
    if (!plan.at)
        return false;
    for (size_t i = found->n; i-- > 0;) {
        const struct mirror_object *have = &found->at[i];
        if (mirror_set_get(wanted, have->kind, have->key))
            continue;
        plan.at[plan.n] = (struct mirror_step){.action = MIRROR_UNMAKE, .have = have};
        (void)snprintf(plan.at[plan.n++].reason, 200, "no longer wanted");
    }
    const struct mirror_step *first = &plan.at[plan.n]; /* of what is wanted, in its order */
    for (size_t i = 0; i < wanted->n; i++) {
        const struct mirror_object *want = &wanted->at[i];
        struct mirror_step *step = &plan.at[plan.n++];
        *step = (struct mirror_step){.want = want,
                                     .have = mirror_set_get(found, want->kind, want->key)};
        if (!step->have)
            step->action = MIRROR_MAKE;
        else if (!differs(want, step->have, step->reason))
            step->action = MIRROR_KEEP;
        else if (may_change && may_change(step->have, want))
            step->action = MIRROR_CHANGE;
        else
            step->action = MIRROR_REMAKE;
        if (step->action == MIRROR_KEEP || step->action == MIRROR_CHANGE)
            follow_base(first, wanted, step);
    }
    for (size_t i = 0; i < plan.n; i++)
        plan.n_changes += plan.at[i].action != MIRROR_KEEP;
    *out = plan;
    return true;
}

void mirror_plan_done(struct mirror_plan *plan)
{
    free(plan->at);
    *plan = (struct mirror_plan){0};
}

char mirror_action_sign(int action)
{
    switch ((enum mirror_action)action) {
    case MIRROR_KEEP:
        return '=';
    case MIRROR_MAKE:
        return '+';
    case MIRROR_CHANGE:
    case MIRROR_REMAKE:
        return '~';
    case MIRROR_UNMAKE:
        return '-';
    }
    return '?';
}
