/* For unit tests: sets of objects from JSON, and plans as text. */
#ifndef MIRROR_SET_BED_H
#define MIRROR_SET_BED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "mirror/plan.h"

/* [[kind, key, {is}, [[kind, key], …], may it lack], …]; the last two may be left out. Quotes may
 * be single ones. */
static inline struct mirror_set bed_set(const char *quoted)
{
    struct mirror_set set = {0};
    char *text = strdup(quoted);
    for (char *c = text; c && *c; c++)
        *c = *c == '\'' ? '"' : *c;
    json_t *list = text ? json_loads(text, 0, NULL) : NULL, *one, *on;
    size_t i, k;
    if (!list) {
        fprintf(stderr, "no JSON: %s\n", quoted);
        abort();
    }
    json_array_foreach(list, i, one)
    {
        struct mirror_object *object = mirror_set_add(
            &set, json_string_value(json_array_get(one, 0)),
            json_string_value(json_array_get(one, 1)), json_incref(json_array_get(one, 2)));
        object->may_lack = json_is_true(json_array_get(one, 4));
        json_array_foreach(json_array_get(one, 3), k, on)
            mirror_object_on(&set, object, json_string_value(json_array_get(on, 0)),
                             json_string_value(json_array_get(on, 1)));
    }
    json_decref(list);
    free(text);
    if (set.failed)
        abort();
    return set;
}

/* "- filter old: no longer wanted; = link a; …" in the plan's order; on the heap. A step that is
 * made anew has "~~". */
static inline char *bed_plan_text(const struct mirror_plan *plan)
{
    struct text text;
    size_t size;
    text_init(&text, 1u << 20);
    for (size_t i = 0; i < plan->n; i++) {
        const struct mirror_step *step = &plan->at[i];
        const struct mirror_object *object = step->want ? step->want : step->have;
        text_format(&text, "%s%c%s %s %s%s%s", i ? "; " : "", mirror_action_sign(step->action),
                    step->action == MIRROR_REMAKE ? "~" : "", object->kind, object->key,
                    step->reason[0] ? ": " : "", step->reason);
    }
    return text_take(&text, &size);
}

#endif
