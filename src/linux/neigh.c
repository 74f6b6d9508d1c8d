/* Neighbours by rtnetlink: see neigh.h. */
#include "linux/neigh.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "linux/interface.h"
#include "linux/nl.h"
#include "linux/rtnl.h"

static const uint8_t *bytes_of(const struct addr *addr, size_t *out_size)
{
    *out_size = addr_is_v4(addr) ? 4 : 16;
    return addr->b + 16 - *out_size;
}

static void put_neighbour(struct nl_request *request, uint16_t type, uint16_t flags, uint32_t link,
                          const struct addr *addr, const uint8_t *mac)
{
    size_t size;
    const uint8_t *bytes = bytes_of(addr, &size);
    struct ndmsg head = {.ndm_family = size == 4 ? AF_INET : AF_INET6,
                         .ndm_ifindex = (int)link,
                         .ndm_state = NUD_PERMANENT};
    nl_message(request, type, flags, &head, sizeof head);
    nl_put(request, NDA_DST, bytes, size);
    if (mac)
        nl_put(request, NDA_LLADDR, mac, 6);
}

static void put_route(struct nl_request *request, uint16_t type, uint16_t flags, uint32_t link,
                      const struct addr *addr)
{
    struct rtmsg head = {.rtm_family = AF_INET6,
                         .rtm_dst_len = 128,
                         .rtm_table = RT_TABLE_MAIN,
                         .rtm_protocol = RTPROT_STATIC,
                         .rtm_scope = RT_SCOPE_LINK,
                         .rtm_type = RTN_UNICAST};
    nl_message(request, type, flags, &head, sizeof head);
    nl_put(request, RTA_DST, addr->b, 16);
    nl_put_u32(request, RTA_OIF, link);
}

int linux_neighbour_add(uint32_t link, const struct addr *addr, const uint8_t mac[6],
                        struct err *err)
{
    struct nl_request request;
    nl_init(&request);
    if (!addr_is_v4(addr))
        put_route(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, link, addr);
    put_neighbour(&request, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, link, addr, mac);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result < 0)
        err_wrap(err, "making a neighbour of the tunnel's device");
    return result;
}

struct search {
    uint32_t link;
    const uint8_t *bytes;
    size_t size;
    uint8_t *mac;
    bool found;
};

static void take(uint16_t type, struct reader body, void *with)
{
    struct search *search = with;
    struct reader value, to = {0};
    uint16_t attribute;
    uint8_t mac[6] = {0};
    rd_skip(&body, 4);
    uint32_t link = rtnl_u32(&body);
    rd_skip(&body, 4); /* state, flags, type */
    if (type != RTM_NEWNEIGH || link != search->link)
        return;
    while (rtnl_next(&body, &attribute, &value)) {
        if (attribute == NDA_DST)
            to = value;
        else if (attribute == NDA_LLADDR && rd_left(&value) == 6)
            memcpy(mac, rd_bytes(&value, 6), 6);
    }
    size_t size = rd_left(&to);
    const uint8_t *bytes = rd_bytes(&to, size);
    if (!bytes || size != search->size || memcmp(bytes, search->bytes, size) != 0)
        return;
    memcpy(search->mac, mac, 6);
    search->found = true;
}

int linux_neighbour_get(uint32_t link, const struct addr *addr, uint8_t out_mac[6], struct err *err)
{
    struct nl_request request;
    struct search search = {.link = link, .mac = out_mac};
    search.bytes = bytes_of(addr, &search.size);
    struct ndmsg head = {.ndm_family = search.size == 4 ? AF_INET : AF_INET6,
                         .ndm_ifindex = (int)link};
    nl_init(&request);
    nl_message(&request, RTM_GETNEIGH, NLM_F_DUMP, &head, sizeof head);
    int result = nl_ask(&request, take, &search, err);
    if (result < 0) {
        err_wrap(err, "asking for neighbours");
        return result;
    }
    struct linux_route route;
    struct err none;
    if (search.found && search.size == 16 && linux_route_by(addr, link, &route, &none) < 0)
        search.found = false;
    return search.found ? 0 : err_set(err, -ENOENT, "there is no such neighbour");
}

int linux_neighbour_remove(uint32_t link, const struct addr *addr, struct err *err)
{
    struct nl_request request;
    nl_init(&request);
    put_neighbour(&request, RTM_DELNEIGH, 0, link, addr, NULL);
    nl_message_is_optional(&request);
    if (!addr_is_v4(addr)) {
        put_route(&request, RTM_DELROUTE, 0, link, addr);
        nl_message_is_optional(&request);
    }
    int result = nl_ask(&request, NULL, NULL, err);
    if (result < 0)
        err_wrap(err, "removing a neighbour of the tunnel's device");
    return result;
}
