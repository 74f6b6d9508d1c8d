/* The difference between what should be and what is, as steps. Pure: it computes, and changes
 * nothing. */
#ifndef MIRROR_PLAN_H
#define MIRROR_PLAN_H

#include "mirror/object.h"

enum mirror_action {
    MIRROR_KEEP,   /* it is as it should be */
    MIRROR_MAKE,   /* + */
    MIRROR_CHANGE, /* ~ in place */
    MIRROR_REMAKE, /* ~ unmade and made anew */
    MIRROR_UNMAKE, /* - */
};

struct mirror_step {
    int action;                       /* enum mirror_action */
    const struct mirror_object *want; /* borrowed of the sets; NULL: of MIRROR_UNMAKE */
    const struct mirror_object *have; /* NULL: of MIRROR_MAKE */
    char reason[200];                 /* "mtu is 1400, should be 1450" */
};

/* In the order of what is wanted; what is not wanted first, in the order it is unmade. */
struct mirror_plan {
    struct mirror_step *at;
    size_t n;
    size_t n_changes; /* steps that are not MIRROR_KEEP */
};

/* `may_change` may be NULL. The sets must stay as long as the plan. False: no memory. */
bool mirror_plan_make(const struct mirror_set *wanted, const struct mirror_set *found,
                      bool (*may_change)(const struct mirror_object *have,
                                         const struct mirror_object *want),
                      struct mirror_plan *out);
void mirror_plan_done(struct mirror_plan *plan);

/* '+', '~', '-', or '=' for what stays. */
char mirror_action_sign(int action);

#endif
