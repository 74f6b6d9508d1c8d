/* What rtnetlink tells of an interface: see link.h. A message of a link: family u8, pad u8,
 * hardware type u16, index i32, flags u32, change u32, then attributes; what belongs to its kind is
 * nested: IFLA_LINKINFO {IFLA_INFO_KIND, IFLA_INFO_DATA {…}}. */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "linux/link.h"
#include "linux/link_kinds.h"
#include "linux/rtnl.h"

/* The kinds' numbers for the same things. UDP's tunnels have two for an address. */
static const struct link_kind kinds[] = {
    {.name = "vxlan",
     .id = IFLA_VXLAN_ID,
     .remote = IFLA_VXLAN_GROUP,
     .remote6 = IFLA_VXLAN_GROUP6,
     .local = IFLA_VXLAN_LOCAL,
     .local6 = IFLA_VXLAN_LOCAL6,
     .underlay = IFLA_VXLAN_LINK,
     .port = IFLA_VXLAN_PORT,
     .ttl = IFLA_VXLAN_TTL,
     .df = IFLA_VXLAN_DF},
    {.name = "geneve",
     .id = IFLA_GENEVE_ID,
     .remote = IFLA_GENEVE_REMOTE,
     .remote6 = IFLA_GENEVE_REMOTE6,
     .port = IFLA_GENEVE_PORT,
     .ttl = IFLA_GENEVE_TTL,
     .df = IFLA_GENEVE_DF},
    {.name = "gretap", LINK_GRE},
    {.name = "erspan", LINK_GRE, .is_erspan = true},
    {.name = "ip6gretap", LINK_GRE, .is_ip6 = true},
    {.name = "ip6erspan", LINK_GRE, .is_ip6 = true, .is_erspan = true},
    {.name = "gre", LINK_GRE},
    {.name = "ip6gre", LINK_GRE, .is_ip6 = true},
};

const struct link_kind *link_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static struct addr read_addr(struct reader value)
{
    struct addr a = {{0}};
    bool is_v4 = rd_left(&value) == 4;
    const uint8_t *bytes = rd_bytes(&value, is_v4 ? 4 : 16);
    static const uint8_t none[4];
    if (!bytes || (is_v4 && memcmp(bytes, none, sizeof none) == 0))
        return a;
    return is_v4 ? addr_v4(bytes) : addr_v6(bytes);
}

static enum linux_df udp_df(uint8_t value)
{
    return value == VXLAN_DF_SET       ? LINUX_DF_SET
           : value == VXLAN_DF_INHERIT ? LINUX_DF_INHERIT
                                       : LINUX_DF_UNSET;
}

static void read_gre(struct reader data, const struct link_kind *kind, struct linux_tunnel *out)
{
    struct reader value;
    uint16_t type, flags = 0;
    uint8_t version = 1, pmtudisc = 0, ignore_df = 0;
    while (rtnl_next(&data, &type, &value)) {
        if (type == IFLA_GRE_OFLAGS)
            flags = rd_be16(&value);
        else if (type == IFLA_GRE_PMTUDISC)
            pmtudisc = rd_u8(&value);
        else if (type == IFLA_GRE_IGNORE_DF)
            ignore_df = rd_u8(&value);
        else if (type == IFLA_GRE_ERSPAN_VER)
            version = rd_u8(&value);
        else if (type == IFLA_GRE_ERSPAN_INDEX)
            out->erspan_index = rtnl_u32(&value);
        else if (type == IFLA_GRE_ERSPAN_DIR)
            out->erspan_is_egress = rd_u8(&value) != 0;
        else if (type == IFLA_GRE_ERSPAN_HWID)
            out->erspan_hardware = (uint8_t)rtnl_u16(&value);
    }
    out->has_id = (flags & LINK_GRE_KEY) != 0;
    if (!out->has_id)
        out->id = 0;
    out->df = kind->is_ip6 || ignore_df ? LINUX_DF_UNSET
              : pmtudisc                ? LINUX_DF_SET
                                        : LINUX_DF_INHERIT;
    if (kind->is_erspan)
        out->erspan = version == 0   ? LINUX_ERSPAN_1
                      : version == 2 ? LINUX_ERSPAN_3
                                     : LINUX_ERSPAN_2;
}

static void read_tunnel(struct reader data, const struct link_kind *kind, struct linux_tunnel *out)
{
    struct reader at = data, value;
    uint16_t type;
    while (rtnl_next(&at, &type, &value)) {
        if (type == kind->id)
            out->id = kind->is_gre ? rd_be32(&value) : rtnl_u32(&value);
        else if (type == kind->remote || type == kind->remote6)
            out->remote = read_addr(value);
        else if (type == kind->local || type == kind->local6)
            out->local = read_addr(value);
        else if (type == kind->underlay)
            out->underlay = rtnl_u32(&value);
        else if (type == kind->port)
            out->port = rd_be16(&value);
        else if (type == kind->ttl)
            out->ttl = rd_u8(&value);
        else if (type == kind->df && !kind->is_gre)
            out->df = udp_df(rd_u8(&value));
    }
    out->has_id = true;
    if (kind->is_gre)
        read_gre(data, kind, out);
}

static void read_info(struct reader info, struct linux_link *out)
{
    struct reader value, data = {0};
    uint16_t type;
    while (rtnl_next(&info, &type, &value)) {
        if (type == IFLA_INFO_KIND)
            rtnl_text(value, out->kind, sizeof out->kind);
        else if (type == IFLA_INFO_DATA)
            data = value;
    }
    const struct link_kind *kind = link_kind_find(out->kind);
    if (kind)
        read_tunnel(data, kind, &out->tunnel);
}

static struct linux_link_counters read_counters(struct reader value)
{
    struct linux_link_counters c = {.rx_packets = rtnl_u64(&value)};
    c.tx_packets = rtnl_u64(&value);
    c.rx_bytes = rtnl_u64(&value);
    c.tx_bytes = rtnl_u64(&value);
    c.rx_errors = rtnl_u64(&value);
    c.tx_errors = rtnl_u64(&value);
    c.rx_dropped = rtnl_u64(&value);
    c.tx_dropped = rtnl_u64(&value);
    return c;
}

bool linux_link_read(struct reader body, struct linux_link *out)
{
    struct linux_link link = {0};
    struct reader value;
    uint16_t type;
    rd_skip(&body, 2);
    uint16_t hardware = rtnl_u16(&body);
    link.index = rtnl_u32(&body);
    uint32_t flags = rtnl_u32(&body);
    rd_skip(&body, 4);
    if (!rd_ok(&body))
        return false;
    while (rtnl_next(&body, &type, &value)) {
        if (type == IFLA_IFNAME)
            rtnl_text(value, link.name, sizeof link.name);
        else if (type == IFLA_IFALIAS)
            rtnl_text(value, link.alias, sizeof link.alias);
        else if (type == IFLA_MTU)
            link.mtu = rtnl_u32(&value);
        else if (type == IFLA_MASTER)
            link.master = rtnl_u32(&value);
        else if (type == IFLA_LINK)
            link.lower = rtnl_u32(&value);
        else if (type == IFLA_LINK_NETNSID)
            link.is_lower_elsewhere = true;
        else if (type == IFLA_ADDRESS && rd_left(&value) == sizeof link.mac)
            memcpy(link.mac, rd_bytes(&value, sizeof link.mac), sizeof link.mac);
        else if (type == IFLA_STATS64)
            link.counters = read_counters(value);
        else if (type == IFLA_LINKINFO)
            read_info(value, &link);
    }
    if (link.is_lower_elsewhere)
        link.lower = link.tunnel.underlay = 0;
    link.is_up = flags & IFF_UP;
    link.has_carrier = flags & IFF_RUNNING;
    link.is_loopback = flags & IFF_LOOPBACK;
    link.has_arp = !(flags & IFF_NOARP);
    link.has_ethernet = hardware == ARPHRD_ETHER || hardware == ARPHRD_LOOPBACK;
    *out = link;
    return link.index != 0 && link.name[0];
}
