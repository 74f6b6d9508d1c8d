/* The carrier's own packets, which it must never carry: a program for the kernel that leaves them
 * out, and a second look at what comes all the same. */
#ifndef CARRY_OWN_H
#define CARRY_OWN_H

#include "capture/bpf.h"
#include "carry/carry.h"
#include "sink/outer.h"

struct own {
    struct addr to;
    uint16_t port;
    uint8_t head[OUTER_SIZE]; /* what is in front of every copy */
};

void own_init(struct own *own, const struct carry_options *options);

/* For a ring on an interface of `link` (LINK_ETHERNET, LINK_RAW). It takes what goes in the wanted
 * direction, is not ours, and passes `filter` (of n_filter instructions; NULL: all does). Nothing
 * is cut short. -E2BIG: the filter is too long. */
int own_program(const struct own *own, uint16_t link, int direction,
                const struct sock_filter *filter, unsigned n_filter, struct bpf_code *out,
                struct err *err) MUST_CHECK;

/* Whether a copy of ours is in the frame, at whatever depth: in somebody's tunnel, in the copy of
 * another mirror. Looks at the first 512 bytes, and not at TCP. */
bool own_is_copy(const struct own *own, const uint8_t *frame, uint32_t size);

#endif
