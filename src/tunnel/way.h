/* How the frames of one input are taken apart: what stack.c makes of the options for it. */
#ifndef TUNNEL_WAY_H
#define TUNNEL_WAY_H

#include "tunnel/geneve.h"
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

/* A listener for GENEVE gets AWS's mirror too, when that comes through a load balancer: the
 * balancer's option says so, and the mirror's VXLAN is inside. */
static inline bool way_is_balanced(const struct way *way, const struct packet *out)
{
    uint64_t interface;
    return way->options.any_port && way->options.n_mirror == 1 && out->n_mirror == 1 &&
           out->layers[0].decoder == &tunnel_geneve && out->layers[0].options_size > 0 &&
           geneve_aws_eni(&out->layers[0], &interface);
}

#endif
