/* How the frames of one input are taken apart: what stack.c makes of the options for it. */
#ifndef TUNNEL_WAY_H
#define TUNNEL_WAY_H

#include "tunnel/stack.h"

struct way {
    struct stack_options options;
    bool has_mirror;
    bool is_vxlan; /* the mirror is, or may be, VXLAN alone */
};

static inline struct way way_make(const struct stack_options *options)
{
    return (struct way){
        .options = *options,
        .has_mirror = options->auto_mirror || options->n_mirror > 0,
        .is_vxlan =
            options->auto_mirror || (options->n_mirror == 1 && options->mirror[0] == &tunnel_vxlan),
    };
}

/* Whether the outer packet is sent to a collector at all. */
static inline bool way_is_to_us(const struct way *way, const struct packet *out)
{
    const struct addr_set *own = way->options.own;
    return !own || addr_set_has(own, &out->dst);
}

#endif
