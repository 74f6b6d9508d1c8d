/* Routes: which interface packets leave by, and the largest they may be. See interface.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include "linux/interface.h"
#include "linux/rtnl.h"

struct found_route {
    uint32_t index, metric, mtu;
    uint8_t family, dst_len, table;
    struct addr source;
    bool is_set, is_broadcast;
};

static struct addr take_addr(struct reader value, uint8_t family)
{
    struct addr a = {{0}};
    const uint8_t *bytes = rd_bytes(&value, family == AF_INET ? 4 : 16);
    if (!bytes)
        return a;
    return family == AF_INET ? addr_v4(bytes) : addr_v6(bytes);
}

/* One of several ways at once: `index` among them, 0: the first. */
static uint32_t find_way(struct reader ways, uint32_t index)
{
    while (rd_left(&ways) >= 8) {
        uint16_t size = rtnl_u16(&ways);
        rd_skip(&ways, 2); /* flags, weight */
        uint32_t way = rtnl_u32(&ways);
        if (!index || way == index)
            return way;
        if (size < 8)
            return 0;
        rd_skip(&ways, (size_t)(size - 8 + 3) & ~(size_t)3);
    }
    return 0;
}

/* `index`: of several ways at once, the one by that interface. */
static struct found_route read_route(struct reader body, uint32_t index)
{
    struct found_route r = {.is_set = true};
    struct reader value, one;
    uint16_t type, metric;
    r.family = rd_u8(&body);
    r.dst_len = rd_u8(&body);
    rd_skip(&body, 2);
    r.table = rd_u8(&body);
    rd_skip(&body, 2); /* protocol, scope */
    r.is_broadcast = rd_u8(&body) == RTN_BROADCAST;
    rd_skip(&body, 4); /* flags */
    while (rtnl_next(&body, &type, &value)) {
        if (type == RTA_OIF)
            r.index = rtnl_u32(&value);
        else if (type == RTA_MULTIPATH)
            r.index = find_way(value, index);
        else if (type == RTA_PRIORITY)
            r.metric = rtnl_u32(&value);
        else if (type == RTA_PREFSRC)
            r.source = take_addr(value, r.family);
        else if (type == RTA_METRICS)
            while (rtnl_next(&value, &metric, &one))
                if (metric == RTAX_MTU)
                    r.mtu = rtnl_u32(&one);
    }
    return r;
}

static void take_default(uint16_t type, struct reader body, void *with)
{
    struct found_route *best = with, r = read_route(body, 0);
    if (type != RTM_NEWROUTE || r.dst_len != 0 || r.table != RT_TABLE_MAIN || !r.index)
        return;
    if (!best->is_set || r.metric < best->metric)
        *best = r;
}

bool linux_default_interface(char out[16])
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    out[0] = '\0';
    for (int i = 0; i < 2; i++) {
        struct found_route best = {0};
        struct rtmsg all = {.rtm_family = families[i]};
        if (rtnl_ask(RTM_GETROUTE, NLM_F_DUMP, &all, sizeof all, take_default, &best, NULL) == 0 &&
            best.is_set && if_indextoname(best.index, out))
            return true;
        out[0] = '\0';
    }
    return false;
}

struct answer {
    struct found_route route;
    uint32_t index;
};

static void take_answer(uint16_t type, struct reader body, void *with)
{
    struct answer *answer = with;
    if (type == RTM_NEWROUTE)
        answer->route = read_route(body, answer->index);
}

/* `index`: of the only interface that is asked for; 0: any. `match`: the entry of the table itself,
 * without which the kernel takes everybody for a neighbour on a named interface. */
static int ask_route(const struct addr *to, uint32_t index, bool match, struct found_route *out,
                     struct err *err)
{
    struct {
        struct rtmsg head;
        struct rtattr oif;
        uint32_t index;
        struct rtattr dst;
        uint8_t bytes[16];
    } question = {{0}, {0}, 0, {0}, {0}};
    bool v4 = addr_is_v4(to);
    unsigned size = v4 ? 4 : 16;
    question.head.rtm_family = v4 ? AF_INET : AF_INET6;
    question.head.rtm_dst_len = (unsigned char)(size * 8);
    question.head.rtm_flags = match ? RTM_F_FIB_MATCH : 0;
    question.oif.rta_type = RTA_OIF; /* 0 is none */
    question.oif.rta_len = (unsigned short)(sizeof question.oif + sizeof question.index);
    question.index = index;
    question.dst.rta_type = RTA_DST;
    question.dst.rta_len = (unsigned short)(sizeof question.dst + size);
    memcpy(question.bytes, to->b + 16 - size, size);
    struct answer answer = {.index = index};
    int result =
        rtnl_ask(RTM_GETROUTE, 0, &question, sizeof question - sizeof question.bytes + size,
                 take_answer, &answer, err);
    *out = answer.route;
    if (result == 0 && (!out->is_set || !out->index || (index && out->index != index)))
        result = -ENETUNREACH;
    return result;
}

static int take_route(const struct addr *to, const struct found_route *found,
                      struct linux_route *out, struct err *err)
{
    struct linux_route route = {.mtu = found->mtu, .source = found->source};
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format(to, text)] = '\0';
    if (found->is_broadcast)
        return err_set(err, -EADDRNOTAVAIL,
                       "%s is the broadcast address of a network, not one of a machine", text);
    if (!if_indextoname(found->index, route.interface))
        return err_set(err, -errno, "route to %s: %s", text, strerror(errno));
    *out = route;
    return 0;
}

int linux_route_to(const struct addr *to, struct linux_route *out, struct err *err)
{
    struct found_route found;
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format(to, text)] = '\0';
    int result = ask_route(to, 0, false, &found, err);
    if (result < 0)
        return err_set(err, result, "there is no route to %s: %s", text, strerror(-result));
    return take_route(to, &found, out, err);
}

int linux_route_by(const struct addr *to, uint32_t index, struct linux_route *out, struct err *err)
{
    struct found_route found;
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format(to, text)] = '\0';
    int result = ask_route(to, index, true, &found, err);
    if (result == 0)
        result = ask_route(to, index, false, &found, err);
    if (result < 0)
        return err_set(err, result, "there is no route to %s by that interface: %s", text,
                       strerror(-result));
    return take_route(to, &found, out, err);
}
