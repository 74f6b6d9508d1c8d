/* Interfaces of this network namespace: see link.h. */
#include "linux/link.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 65536
#define N_TRIES   8

struct links {
    struct linux_link *list;
    size_t n, capacity;
    int failure;
};

static void take_link(uint16_t type, struct reader body, void *with)
{
    struct links *links = with;
    if (type != RTM_NEWLINK || links->failure)
        return;
    if (links->n == links->capacity) {
        size_t capacity = links->capacity ? links->capacity * 2 : 16;
        struct linux_link *list =
            capacity > LINKS_MAX ? NULL : reallocarray(links->list, capacity, sizeof *list);
        if (!list) {
            links->failure = capacity > LINKS_MAX ? -E2BIG : -ENOMEM;
            return;
        }
        links->list = list;
        links->capacity = capacity;
    }
    if (linux_link_read(body, &links->list[links->n]))
        links->n++;
}

int linux_links(struct linux_link **out, size_t *out_n, struct err *err)
{
    struct nl_request request;
    struct ifinfomsg all = {.ifi_family = AF_UNSPEC};
    struct links links = {0};
    nl_init(&request);
    nl_message(&request, RTM_GETLINK, NLM_F_DUMP, &all, sizeof all);
    int result = -EAGAIN;
    /* Interfaces that come and go meanwhile may be missing or be there twice: then once more. */
    for (unsigned i = 0; i < N_TRIES && result == -EAGAIN; i++) {
        links.n = 0;
        result = nl_ask(&request, take_link, &links, err);
    }
    if (result == 0 && links.failure)
        result = err_set(err, links.failure, "%s", strerror(-links.failure));
    if (result) {
        free(links.list);
        err_wrap(err, "listing the interfaces");
        return result;
    }
    *out = links.list;
    *out_n = links.n;
    return 0;
}

static void take_one(uint16_t type, struct reader body, void *with)
{
    struct linux_link link;
    if (type == RTM_NEWLINK && linux_link_read(body, &link))
        *(struct linux_link *)with = link;
}

int linux_link_get(const char *name, struct linux_link *out, struct err *err)
{
    struct nl_request request;
    struct ifinfomsg any = {.ifi_family = AF_UNSPEC};
    struct linux_link link = {0};
    size_t len = strlen(name);
    if (len == 0 || len >= sizeof link.name)
        return err_set(err, -EINVAL, "%.64s is no name of an interface", name);
    nl_init(&request);
    nl_message(&request, RTM_GETLINK, 0, &any, sizeof any);
    nl_put_text(&request, IFLA_IFNAME, name);
    int result = nl_ask(&request, take_one, &link, err);
    if (result == -ENODEV || (result == 0 && !link.index))
        return err_set(err, -ENODEV, "there is no interface %s", name);
    if (result) {
        err_wrap(err, "interface %s", name);
        return result;
    }
    *out = link;
    return 0;
}

const struct linux_link *linux_link_by_index(const struct linux_link *links, size_t n,
                                             uint32_t index)
{
    for (size_t i = 0; i < n && index; i++)
        if (links[i].index == index)
            return &links[i];
    return NULL;
}

const struct linux_link *linux_link_by_name(const struct linux_link *links, size_t n,
                                            const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(links[i].name, name) == 0)
            return &links[i];
    return NULL;
}

static bool is_kind(const struct linux_link *link, const char *kind)
{
    return link && strcmp(link->kind, kind) == 0;
}

/* Whether a frame that leaves by `from` can leave by `to` next. */
static bool leads_to(const struct linux_link *links, size_t n, const struct linux_link *from,
                     const struct linux_link *to)
{
    if (from->tunnel.underlay == to->index || to->master == from->index)
        return true;
    /* The other end of a veth takes it in, and hands it to the bridge that it is a port of. */
    if (is_kind(from, "veth")) {
        const struct linux_link *end = linux_link_by_index(links, n, from->lower);
        return end && end->master == to->index;
    }
    /* Which ports of Open vSwitch belong together, the kernel does not tell. */
    if (is_kind(from, "openvswitch") &&
        (is_kind(to, "openvswitch") ||
         is_kind(linux_link_by_index(links, n, to->master), "openvswitch")))
        return true;
    return from->lower == to->index;
}

bool linux_link_below(const struct linux_link *links, size_t n, uint32_t upper, uint32_t lower)
{
    if (upper == lower)
        return true;
    const struct linux_link *start = linux_link_by_index(links, n, upper);
    if (!start || !linux_link_by_index(links, n, lower))
        return false;
    /* A list of those that were reached, of which the first n_done were looked at. */
    const struct linux_link **reached = calloc(n, sizeof *reached);
    bool *is_reached = calloc(n, sizeof *is_reached);
    size_t n_reached = 0, n_done = 0;
    bool found = !reached || !is_reached; /* without memory: rather too careful */
    if (!found) {
        reached[n_reached++] = start;
        is_reached[start - links] = true;
    }
    while (!found && n_done < n_reached) {
        const struct linux_link *from = reached[n_done++];
        found = from->index == lower || from->lower == lower;
        for (size_t i = 0; i < n && !found; i++) {
            if (is_reached[i] || !leads_to(links, n, from, &links[i]))
                continue;
            is_reached[i] = true;
            reached[n_reached++] = &links[i];
        }
    }
    free(reached);
    free(is_reached);
    return found;
}

bool linux_link_share_master(const struct linux_link *links, size_t n, uint32_t a, uint32_t b)
{
    const struct linux_link *one = linux_link_by_index(links, n, a);
    const struct linux_link *other = linux_link_by_index(links, n, b);
    if (!one || !other)
        return false;
    return one->master == b || other->master == a || (one->master && one->master == other->master);
}

/* Begins a change of one interface. */
static void begin_change(struct nl_request *request, uint32_t index, uint32_t flags,
                         uint32_t changed)
{
    struct ifinfomsg head = {.ifi_index = (int)index, .ifi_flags = flags, .ifi_change = changed};
    nl_init(request);
    nl_message(request, RTM_SETLINK, 0, &head, sizeof head);
}

int linux_link_set_mtu(uint32_t index, uint32_t mtu, struct err *err)
{
    struct nl_request request;
    begin_change(&request, index, 0, 0);
    nl_put_u32(&request, IFLA_MTU, mtu);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "setting the MTU of interface %u to %u", index, mtu);
    return result;
}

int linux_link_set_alias(uint32_t index, const char *alias, struct err *err)
{
    struct nl_request request;
    begin_change(&request, index, 0, 0);
    nl_put_text(&request, IFLA_IFALIAS, alias);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "setting the alias of interface %u", index);
    return result;
}

int linux_link_set_up(uint32_t index, bool is_up, struct err *err)
{
    struct nl_request request;
    begin_change(&request, index, is_up ? IFF_UP : 0, IFF_UP);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "bringing interface %u %s", index, is_up ? "up" : "down");
    return result;
}

int linux_link_remove(uint32_t index, struct err *err)
{
    struct nl_request request;
    struct ifinfomsg head = {.ifi_index = (int)index};
    if (index == 0)
        return err_set(err, -EINVAL, "an interface without an index is none");
    nl_init(&request);
    nl_message(&request, RTM_DELLINK, 0, &head, sizeof head);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        err_wrap(err, "removing interface %u", index);
    return result;
}

int linux_link_remove_by_name(const char *name, struct err *err)
{
    struct linux_link link;
    int result = linux_link_get(name, &link, err);
    if (result)
        return result;
    result = linux_link_remove(link.index, err);
    if (result)
        err_wrap(err, "interface %s", name);
    return result;
}
