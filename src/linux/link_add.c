/* Tunnel devices are made: see link.h. */
#include <assert.h>
#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ip6_tunnel.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/random.h>

#include "linux/link.h"
#include "linux/link_kinds.h"

#define INDEX_FROM   0x20000000u
#define N_TRIES      4
#define VNI_MAX      0xffffff
#define SESSION_MAX  0x3ff
#define INDEX_MAX    0xfffff
#define HARDWARE_MAX 0x3f

static bool is_set(const struct addr *a)
{
    static const struct addr none;
    return !addr_eq(a, &none);
}

/* The kind that fits the family of the remote address; NULL: none of a tunnel's that carries
 * frames. */
static const struct link_kind *kind_of(const struct linux_link_want *want)
{
    bool is_ip6 = !addr_is_v4(&want->tunnel.remote);
    if (strcmp(want->kind, "gretap") == 0)
        return link_kind_find(is_ip6 ? "ip6gretap" : "gretap");
    if (strcmp(want->kind, "erspan") == 0)
        return link_kind_find(is_ip6 ? "ip6erspan" : "erspan");
    if (strcmp(want->kind, "vxlan") == 0 || strcmp(want->kind, "geneve") == 0)
        return link_kind_find(want->kind);
    return NULL;
}

static void put_addr(struct nl_request *request, uint16_t v4, uint16_t v6, const struct addr *a)
{
    if (addr_is_v4(a))
        nl_put(request, v4, a->b + 12, 4);
    else if (is_set(a))
        nl_put(request, v6 ? v6 : v4, a->b, 16);
}

static void put_udp(struct nl_request *request, const struct link_kind *kind,
                    const struct linux_tunnel *t)
{
    nl_put_u32(request, kind->id, t->id);
    nl_put_be16(request, kind->port, t->port);
    if (t->df == LINUX_DF_SET)
        nl_put_u8(request, kind->df, VXLAN_DF_SET);
    else if (t->df == LINUX_DF_INHERIT)
        nl_put_u8(request, kind->df, VXLAN_DF_INHERIT);
    /* Over IPv4 the checksum is left out, as RFC 7348 would have it: what is inside has its own. */
    bool is_vxlan = kind->underlay != 0;
    nl_put_u8(request, is_vxlan ? IFLA_VXLAN_UDP_CSUM : IFLA_GENEVE_UDP_CSUM, 0);
    if (is_vxlan)
        nl_put_u8(request, IFLA_VXLAN_LEARNING, 0);
}

static void put_gre(struct nl_request *request, const struct link_kind *kind,
                    const struct linux_tunnel *t)
{
    uint16_t flags = t->has_id ? LINK_GRE_KEY : 0;
    if (kind->is_erspan) /* the first type has neither, the others must have both */
        flags = t->erspan == LINUX_ERSPAN_1 ? 0 : LINK_GRE_KEY | LINK_GRE_SEQUENCE;
    nl_put_be16(request, IFLA_GRE_IFLAGS, flags);
    nl_put_be16(request, IFLA_GRE_OFLAGS, flags);
    if (flags & LINK_GRE_KEY) {
        nl_put_be32(request, IFLA_GRE_IKEY, t->id);
        nl_put_be32(request, IFLA_GRE_OKEY, t->id);
    }
    if (kind->is_ip6) {
        /* Else a destination option is sent before GRE, which collectors do not expect. */
        nl_put_u32(request, IFLA_GRE_FLAGS, IP6_TNL_F_IGN_ENCAP_LIMIT);
    } else {
        nl_put_u8(request, IFLA_GRE_PMTUDISC, t->df == LINUX_DF_SET);
        nl_put_u8(request, IFLA_GRE_IGNORE_DF, t->df == LINUX_DF_UNSET);
    }
    if (!kind->is_erspan)
        return;
    nl_put_u8(request, IFLA_GRE_ERSPAN_VER,
              t->erspan == LINUX_ERSPAN_1   ? 0
              : t->erspan == LINUX_ERSPAN_2 ? 1
                                            : 2);
    if (t->erspan == LINUX_ERSPAN_2)
        nl_put_u32(request, IFLA_GRE_ERSPAN_INDEX, t->erspan_index);
    if (t->erspan == LINUX_ERSPAN_3) {
        nl_put_u8(request, IFLA_GRE_ERSPAN_DIR, t->erspan_is_egress);
        nl_put_u16(request, IFLA_GRE_ERSPAN_HWID, t->erspan_hardware);
    }
}

static void put_info(struct nl_request *request, const struct link_kind *kind,
                     const struct linux_tunnel *t)
{
    size_t info = nl_nest(request, IFLA_LINKINFO);
    nl_put_text(request, IFLA_INFO_KIND, kind->name);
    size_t data = nl_nest(request, IFLA_INFO_DATA);
    put_addr(request, kind->remote, kind->remote6, &t->remote);
    if (kind->local)
        put_addr(request, kind->local, kind->local6, &t->local);
    if (kind->underlay && t->underlay)
        nl_put_u32(request, kind->underlay, t->underlay);
    nl_put_u8(request, kind->ttl, t->ttl);
    if (kind->is_gre)
        put_gre(request, kind, t);
    else
        put_udp(request, kind, t);
    nl_nest_end(request, data);
    nl_nest_end(request, info);
}

static void begin_change(struct nl_request *request, uint32_t index, uint32_t flags)
{
    struct ifinfomsg head = {.ifi_index = (int)index, .ifi_flags = flags, .ifi_change = flags};
    nl_message(request, RTM_SETLINK, 0, &head, sizeof head);
}

void linux_link_put(struct nl_request *request, const struct linux_link_want *want, uint32_t index)
{
    const struct link_kind *kind = kind_of(want);
    assert(kind);
    struct ifinfomsg head = {
        .ifi_index = (int)index, .ifi_flags = IFF_NOARP, .ifi_change = IFF_NOARP};
    nl_message(request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    nl_put_text(request, IFLA_IFNAME, want->name);
    uint32_t mtu = want->mtu       ? want->mtu
                   : !kind->is_gre ? LINUX_UDP_MTU
                   : kind->is_ip6  ? 0
                                   : LINUX_GRE_MTU;
    if (mtu)
        nl_put_u32(request, IFLA_MTU, mtu);
    put_info(request, kind, &want->tunnel);

    if (want->alias) {
        begin_change(request, index, 0);
        nl_put_text(request, IFLA_IFALIAS, want->alias);
    }

    /* No address of its own: without one IPv6 has nothing to say. It may not be there at all. */
    begin_change(request, index, 0);
    nl_message_is_optional(request);
    size_t families = nl_nest(request, IFLA_AF_SPEC);
    size_t inet6 = nl_nest(request, AF_INET6);
    nl_put_u8(request, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    nl_nest_end(request, inet6);
    nl_nest_end(request, families);

    /* What comes in by it has no business here: no route goes back that way. */
    begin_change(request, index, 0);
    nl_message_is_optional(request);
    families = nl_nest(request, IFLA_AF_SPEC);
    size_t inet = nl_nest(request, AF_INET);
    size_t settings = nl_nest(request, IFLA_INET_CONF);
    nl_put_u32(request, IPV4_DEVCONF_RP_FILTER, 1);
    nl_nest_end(request, settings);
    nl_nest_end(request, inet);
    nl_nest_end(request, families);

    if (want->is_up)
        begin_change(request, index, IFF_UP);
}

static int check_numbers(const struct linux_tunnel *t, const struct link_kind *kind,
                         const char *name, struct err *err)
{
    if (kind->is_erspan && t->erspan != LINUX_ERSPAN_1 && t->id > SESSION_MAX)
        return err_set(err, -ERANGE, "interface %s: a session id of ERSPAN is at most %d", name,
                       SESSION_MAX);
    if (kind->is_erspan && (t->erspan_index > INDEX_MAX || t->erspan_hardware > HARDWARE_MAX))
        return err_set(err, -ERANGE,
                       "interface %s: an ERSPAN index is at most %d, a hardware id %d", name,
                       INDEX_MAX, HARDWARE_MAX);
    if (!kind->is_gre && t->id > VNI_MAX)
        return err_set(err, -ERANGE, "interface %s: a VNI is at most %d", name, VNI_MAX);
    if (!kind->is_gre && t->port == 0)
        return err_set(err, -ERANGE, "interface %s: %s needs a UDP port", name, kind->name);
    return 0;
}

static int check(const struct linux_link_want *want, struct err *err)
{
    const struct linux_tunnel *t = &want->tunnel;
    size_t len = strlen(want->name);
    if (len == 0 || len >= IFNAMSIZ || strchr(want->name, '/'))
        return err_set(err, -EINVAL, "%.64s is no name of an interface", want->name);
    if (want->alias && strlen(want->alias) >= LINUX_ALIAS_MAX)
        return err_set(err, -EINVAL, "interface %s: its alias is too long", want->name);
    if (!is_set(&t->remote))
        return err_set(err, -EINVAL, "interface %s: it needs a remote address", want->name);
    const struct link_kind *kind = kind_of(want);
    if (!kind)
        return err_set(err, -EINVAL, "interface %s: %.32s is no kind of tunnel that carries frames",
                       want->name, want->kind);
    if (is_set(&t->local) && addr_is_v4(&t->local) != addr_is_v4(&t->remote))
        return err_set(err, -EINVAL,
                       "interface %s: the local and the remote address are not of one family",
                       want->name);
    if (!kind->local && (is_set(&t->local) || t->underlay))
        return err_set(err, -EINVAL,
                       "interface %s: %s takes neither a local address nor an interface to leave "
                       "by: the route decides",
                       want->name, kind->name);
    if (kind->is_ip6 && kind->is_erspan && t->erspan == LINUX_ERSPAN_1)
        return err_set(err, -EINVAL, "interface %s: there is no ERSPAN I over IPv6", want->name);
    return check_numbers(t, kind, want->name, err);
}

/* The device was made, but something after that failed. */
static void take_back(const char *name, uint32_t index)
{
    struct linux_link link;
    /* Both must be ours: the index could be somebody's whom chance gave the same. */
    if (linux_link_get(name, &link, NULL) || link.index != index)
        return;
    int failure = linux_link_remove(index, NULL);
    (void)failure; /* what failed before is what matters */
}

int linux_link_add(const struct linux_link_want *want, uint32_t *out_index, struct err *err)
{
    int result = check(want, err);
    if (result)
        return result;
    result = -EBUSY;
    for (unsigned i = 0; i < N_TRIES && result == -EBUSY; i++) {
        struct nl_request request;
        uint32_t index;
        if (getrandom(&index, sizeof index, 0) != sizeof index)
            return err_set(err, -EIO, "the kernel gives no random number");
        index = INDEX_FROM + index % INDEX_FROM;
        nl_init(&request);
        linux_link_put(&request, want, index);
        result = nl_ask(&request, NULL, NULL, err);
        if (result == 0)
            *out_index = index;
        else
            take_back(want->name, index);
    }
    if (result)
        err_wrap(err, "making interface %s (%s)", want->name, want->kind);
    return result;
}
