/* Between link.c, which walks from header to header, and link_other.c: no one else's. */
#ifndef NET_LINK_STEP_H
#define NET_LINK_STEP_H

#include "net/packet.h"
#include "net/weird.h"

/* What comes next in the frame, or that it ended. */
enum link_step {
    LINK_STEP_LINK, /* a link header: `type` is an enum link_type */
    LINK_STEP_ETHERNET,
    LINK_STEP_ETHERTYPE, /* `type` says */
    LINK_STEP_VLAN,
    LINK_STEP_LLC,
    LINK_STEP_MPLS,
    LINK_STEP_PPPOE,
    LINK_STEP_PPP,
    LINK_STEP_PBB,
    LINK_STEP_VNTAG,
    /* Final. */
    LINK_STEP_IP,
    LINK_STEP_ARP,
    LINK_STEP_OTHER,
    LINK_STEP_SHORT,
    LINK_STEP_MALFORMED,
};

struct link_walk {
    struct reader r;
    struct packet *out;
    const char *name; /* of the header that is read, as Zeek calls its analyzer */
    uint16_t type;
};

static inline enum link_step link_short(struct link_walk *w, const char *weird)
{
    weird_add(w->out, weird, w->name, false);
    return LINK_STEP_SHORT;
}

enum link_step link_other(struct link_walk *w);
enum link_step link_ppp(struct link_walk *w);
enum link_step link_subframe(struct link_walk *w);

#endif
