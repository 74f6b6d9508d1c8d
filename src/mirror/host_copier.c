/* Who copies what leaves by an interface: see host_parts.h. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/iptables.h"
#include "linux/nft.h"
#include "mirror/host.h"
#include "mirror/host_carrier.h"
#include "mirror/host_parts.h"

struct search {
    const struct host *host;
    const char *mirror;
    const struct host_wish *wish;
    const struct linux_link *link;
    char *to;
    bool found;
};

static void found(struct search *s, const char *to)
{
    (void)snprintf(s->to, 16, "%.15s", to);
    s->found = true;
}

/* A filter of ours leaves the copies out that pass its own interface, and so those of every mirror
 * with the same collector. */
static bool leaves_out(const struct search *s, const struct linux_link *tunnel)
{
    const struct mirror_target *to = &s->wish->to;
    return to->wrap != MIRROR_INTERFACE && tunnel && addr_eq(&tunnel->tunnel.remote, &to->addr) &&
           tunnel->tunnel.port == to->port &&
           (!tunnel->tunnel.underlay || linux_link_below(s->host->links, s->host->n_links,
                                                         tunnel->tunnel.underlay, s->link->index));
}

static void look_at_tc(struct search *s)
{
    struct linux_tc_filter *filters = NULL;
    size_t n = 0;
    uint8_t mark[6];
    struct err err;
    if (linux_tc_list(s->link->index, LINUX_TC_OUT, &filters, &n, &err) < 0)
        return; /* an interface that has gone meanwhile copies nothing */
    host_name_mark(s->mirror, mark);
    for (size_t i = 0; i < n && !s->found; i++) {
        struct host_cookie cookie;
        if (!filters[i].mirror_to || filters[i].redirects)
            continue;
        const struct linux_link *to =
            linux_link_by_index(s->host->links, s->host->n_links, filters[i].mirror_to);
        bool ours = host_read_cookie(filters[i].cookie, filters[i].cookie_size, &cookie);
        if (ours && (memcmp(cookie.mirror, mark, sizeof mark) == 0 || leaves_out(s, to)))
            continue;
        found(s, to ? to->name : "another one");
    }
    free(filters);
}

static bool is_among(const struct search *s, const struct linux_exclusion *list, size_t n)
{
    const struct mirror_target *to = &s->wish->to;
    for (size_t i = 0; to->wrap != MIRROR_INTERFACE && i < n; i++)
        if (addr_eq(&list[i].collector, &to->addr) && list[i].port == to->port)
            return true;
    return false;
}

static void look_at_nft(struct search *s)
{
    struct linux_nft_list list = {0};
    struct err err;
    if (linux_nft_find(NULL, &list, &err) < 0)
        return; /* what nft does not tell, it will refuse to make as well */
    for (size_t i = 0; i < list.n && !s->found; i++) {
        const struct linux_nft *is = &list.at[i].is;
        if (is->out && strcmp(is->interface, s->link->name) == 0 &&
            strcmp(is->mirror, s->mirror) != 0 && !is_among(s, is->exclusions, is->n_exclusions))
            found(s, is->to);
    }
    linux_nft_list_done(&list);
}

static void look_at_tee(struct search *s)
{
    struct linux_tee_list list = {0};
    struct err err;
    if (linux_tee_find(NULL, &list, &err) < 0)
        return;
    for (size_t i = 0; i < list.n && !s->found; i++) {
        const struct linux_tee *is = &list.at[i].is;
        if (is->out && strcmp(is->interface, s->link->name) == 0 &&
            strcmp(is->mirror, s->mirror) != 0 && !is_among(s, is->exclusions, is->n_exclusions))
            found(s, is->to);
    }
    linux_tee_list_done(&list);
}

/* Carriers leave their own collector out always. */
static void look_at_carrier(const char *mirror, const char *interface, const char *to, void *with)
{
    struct search *s = with;
    char text[MIRROR_TARGET_TEXT];
    mirror_put_target(&s->wish->to, text);
    if (!s->found && strcmp(mirror, s->mirror) != 0 && strcmp(interface, s->link->name) == 0 &&
        strcmp(to, text) != 0)
        found(s, to);
}

bool host_find_copier(const struct host *host, const char *mirror, const struct host_wish *wish,
                      const struct linux_link *link, char out_to[16])
{
    struct search s = {.host = host, .mirror = mirror, .wish = wish, .link = link, .to = out_to};
    struct err err;
    look_at_tc(&s);
    if (!s.found)
        look_at_nft(&s);
    if (!s.found)
        look_at_tee(&s);
    if (!s.found && host_each_carrier(look_at_carrier, &s, &err) < 0)
        return false; /* a folder that cannot be read has none of ours */
    return s.found;
}
