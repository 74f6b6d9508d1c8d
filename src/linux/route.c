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
    bool is_set;
};

static struct addr take_addr(struct reader value, uint8_t family)
{
    struct addr a = {{0}};
    const uint8_t *bytes = rd_bytes(&value, family == AF_INET ? 4 : 16);
    if (!bytes)
        return a;
    return family == AF_INET ? addr_v4(bytes) : addr_v6(bytes);
}

static struct found_route read_route(struct reader body)
{
    struct found_route r = {.is_set = true};
    struct reader value, one;
    uint16_t type, metric;
    r.family = rd_u8(&body);
    r.dst_len = rd_u8(&body);
    rd_skip(&body, 2);
    r.table = rd_u8(&body);
    rd_skip(&body, 7);
    while (rtnl_next(&body, &type, &value)) {
        if (type == RTA_OIF)
            r.index = rtnl_u32(&value);
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
    struct found_route *best = with, r = read_route(body);
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

static void take_answer(uint16_t type, struct reader body, void *with)
{
    if (type == RTM_NEWROUTE)
        *(struct found_route *)with = read_route(body);
}

int linux_route_to(const struct addr *to, struct linux_route *out, struct err *err)
{
    struct {
        struct rtmsg head;
        struct rtattr attribute;
        uint8_t bytes[16];
    } question = {{0}, {0}, {0}};
    bool v4 = addr_is_v4(to);
    unsigned size = v4 ? 4 : 16;
    question.head.rtm_family = v4 ? AF_INET : AF_INET6;
    question.head.rtm_dst_len = (unsigned char)(size * 8);
    question.attribute.rta_type = RTA_DST;
    question.attribute.rta_len = (unsigned short)(sizeof question.attribute + size);
    memcpy(question.bytes, to->b + 16 - size, size);
    struct found_route found = {0};
    char text[ADDR_TEXT_MAX + 1];
    text[addr_format(to, text)] = '\0';
    int result =
        rtnl_ask(RTM_GETROUTE, 0, &question,
                 sizeof question.head + sizeof question.attribute + size, take_answer, &found, err);
    if (result || !found.is_set || !found.index)
        return err_set(err, result ? result : -ENETUNREACH, "there is no route to %s: %s", text,
                       strerror(result ? -result : ENETUNREACH));
    struct linux_route route = {.mtu = found.mtu, .source = found.source};
    if (!if_indextoname(found.index, route.interface))
        return err_set(err, -errno, "route to %s: %s", text, strerror(errno));
    *out = route;
    return 0;
}
