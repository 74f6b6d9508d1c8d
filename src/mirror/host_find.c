/* What is there of a mirror of this machine's interfaces, by its marks: see host.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/iptables.h"
#include "linux/neigh.h"
#include "linux/nft.h"
#include "mirror/host.h"
#include "mirror/host_carrier.h"
#include "mirror/host_parts.h"

static json_t *put_addr(const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    return json_stringn(text, addr_format(addr, text));
}

static const char *link_name(const struct host *host, uint32_t index)
{
    const struct linux_link *link = linux_link_by_index(host->links, host->n_links, index);
    return link ? link->name : "nothing";
}

static bool is_ours(const struct mirror_job *job, const char *alias, bool *out_owns)
{
    char name[MIRROR_NAME_MAX];
    return host_read_alias(alias, name, out_owns) && strcmp(name, host_mark(job)) == 0;
}

/* ---- links ---- */

/* ip6gretap is gretap to whoever asks for a mirror. */
static const char *kind_of(const struct linux_link *link)
{
    if (strncmp(link->kind, "ip6", 3) == 0)
        return link->kind + 3;
    return link->kind;
}

static void find_link(const struct host *host, const struct linux_link *link,
                      struct mirror_set *out)
{
    const struct linux_tunnel *tunnel = &link->tunnel;
    bool erspan = strcmp(kind_of(link), "erspan") == 0;
    bool keyed = strcmp(kind_of(link), "gretap") == 0         ? tunnel->has_id
                 : erspan && tunnel->erspan == LINUX_ERSPAN_1 ? false
                                                              : true;
    json_t *is =
        json_pack("{ss ss so so sI sI sb sb sI}", "kind", kind_of(link), "alias", link->alias,
                  "remote", put_addr(&tunnel->remote), "local", put_addr(&tunnel->local), "id",
                  (json_int_t)(keyed ? tunnel->id : 0), "port", (json_int_t)tunnel->port, "up",
                  link->is_up, "keyed", keyed, "mtu", (json_int_t)link->mtu);
    if (tunnel->underlay)
        (void)json_object_set_new(is, "underlay", json_string(link_name(host, tunnel->underlay)));
    if (erspan)
        (void)json_object_set_new(is, "erspan", json_integer(tunnel->erspan));
    struct mirror_object *object = mirror_set_add(out, "link", link->name, is);
    if (object)
        object->also = json_pack("{sI sI sI sI sI}", "index", (json_int_t)link->index, "packets",
                                 (json_int_t)link->counters.tx_packets, "bytes",
                                 (json_int_t)link->counters.tx_bytes, "dropped",
                                 (json_int_t)link->counters.tx_dropped, "errors",
                                 (json_int_t)link->counters.tx_errors);
}

static int find_guard(const struct linux_link *link, struct mirror_set *out, struct err *err)
{
    struct linux_tc_filter *filters = NULL;
    size_t n = 0;
    int result = linux_tc_list(link->index, LINUX_TC_IN, &filters, &n, err);
    bool drops = false;
    for (size_t i = 0; result == 0 && i < n; i++)
        drops |= strcmp(filters[i].action, "gact") == 0;
    free(filters);
    if (result == 0 && drops)
        mirror_set_add(out, "guard", link->name, json_object());
    return result;
}

static int find_neighbours(const struct linux_link *link, struct mirror_set *out, struct err *err)
{
    static const char *const gateways[] = {HOST_GATEWAY_4, HOST_GATEWAY_6};
    for (int i = 0; i < 2; i++) {
        struct addr addr;
        uint8_t mac[6];
        char key[64], text[18];
        if (!addr_parse(gateways[i], &addr))
            continue;
        int result = linux_neighbour_get(link->index, &addr, mac, err);
        if (result == -ENOENT)
            continue;
        if (result < 0)
            return result;
        (void)snprintf(key, sizeof key, "%s %s", link->name, gateways[i]);
        (void)snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
                       mac[3], mac[4], mac[5]);
        mirror_set_add(out, "neighbour", key, json_pack("{ss}", "mac", text));
    }
    return 0;
}

/* ---- filters ---- */

/* The kernel does not tell the program and the limit: the cookie has a digest of them. */
static void find_filter(const struct host *host, const struct linux_link *link, int direction,
                        const struct linux_tc_filter *filter, const struct host_cookie *cookie,
                        struct mirror_set *out)
{
    char key[32], content[13] = "";
    (void)snprintf(key, sizeof key, "%s %s", link->name, direction == HOST_IN ? "in" : "out");
    for (int i = 0; i < 6; i++)
        (void)snprintf(content + i * 2, 3, "%02x", cookie->content[i]);
    if (mirror_set_get(out, "filter", key)) /* a second one, of an apply that was killed */
        (void)snprintf(key, sizeof key, "%s %s %u", link->name, direction == HOST_IN ? "in" : "out",
                       filter->prio);
    json_t *is = json_pack("{ss ss sb ss sb}", "match", filter->kind, "to",
                           link_name(host, filter->mirror_to), "clsact", cookie->owns_clsact,
                           "content", content, "limited", filter->has_police);
    struct mirror_object *object = mirror_set_add(out, "filter", key, is);
    if (object)
        object->also =
            json_pack("{si si si sI si sI sI sI sI}", "direction", direction, "prio", filter->prio,
                      "protocol", filter->protocol, "handle", (json_int_t)filter->handle, "chain",
                      (int)filter->chain, "packets", (json_int_t)filter->n_packets, "bytes",
                      (json_int_t)filter->n_bytes, "lost",
                      (json_int_t)(filter->n_dropped + filter->n_overlimits), "limited",
                      (json_int_t)filter->n_limited);
}

struct hook_use {
    bool owns;   /* a filter of the mirror says that clsact is ours */
    bool shared; /* there are filters of others on it */
};

/* Those of one interface. */
static int find_filters(const struct mirror_job *job, const struct linux_link *link,
                        struct mirror_set *out, struct hook_use *use, struct err *err)
{
    const struct host *host = job->state;
    uint8_t mark[6];
    host_name_mark(host_mark(job), mark);
    for (int d = HOST_IN; d <= HOST_OUT; d++) {
        struct linux_tc_filter *filters = NULL;
        size_t n = 0;
        int result = linux_tc_list(link->index, d == HOST_IN ? LINUX_TC_IN : LINUX_TC_OUT, &filters,
                                   &n, err);
        if (result == -ENODEV) /* it went meanwhile, and its filters with it */
            return 0;
        if (result < 0)
            return result;
        for (size_t i = 0; i < n; i++) {
            struct host_cookie cookie;
            if (!host_read_cookie(filters[i].cookie, filters[i].cookie_size, &cookie) ||
                memcmp(cookie.mirror, mark, sizeof mark) != 0) {
                use->shared |= !filters[i].is_table; /* u32 has one for each priority */
                continue;
            }
            use->owns |= cookie.owns_clsact;
            find_filter(host, link, d, &filters[i], &cookie, out);
        }
        free(filters);
    }
    return 0;
}

static bool link_says_owned(const struct mirror_job *job, const struct linux_link *mirrored)
{
    const struct host *host = job->state;
    for (size_t i = 0; i < host->n_links; i++) {
        char device[16];
        bool owns;
        host_device_name(host_mark(job), mirrored->name, device);
        if (strcmp(host->links[i].name, device) == 0 && is_ours(job, host->links[i].alias, &owns) &&
            owns)
            return true;
    }
    return false;
}

bool host_owns_clsact(const struct mirror_job *job, const struct linux_link *mirrored)
{
    struct mirror_set filters = {0};
    struct hook_use use = {.owns = mirror_job_made(job, "clsact", mirrored->name) ||
                                   link_says_owned(job, mirrored)};
    struct err err;
    if (!use.owns)
        (void)find_filters(job, mirrored, &filters, &use, &err); /* none found says nothing */
    mirror_set_done(&filters);
    return use.owns;
}

/* ---- tables ---- */

static json_t *put_exclusions(const struct linux_exclusion *exclusions, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        char text[LINUX_EXCLUSION_TEXT];
        linux_exclusion_put(&exclusions[i], text);
        (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

static void put_counters(struct mirror_object *object, uint64_t seen, uint64_t copied,
                         uint64_t bytes, const char *strange)
{
    if (object)
        object->also =
            json_pack("{sI sI sI ss}", "seen", (json_int_t)seen, "packets", (json_int_t)copied,
                      "bytes", (json_int_t)bytes, "strange", strange);
}

static int find_nft(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct linux_nft_list list = {0};
    int result = linux_nft_find(host_mark(job), &list, err);
    for (size_t i = 0; result == 0 && i < list.n; i++) {
        const struct linux_nft_found *found = &list.at[i];
        const struct linux_nft *nft = &found->is;
        json_t *is = json_pack("{ss sb sb ss so sI sb}", "interface", nft->interface, "in", nft->in,
                               "out", nft->out, "to", nft->to, "exclusions",
                               put_exclusions(nft->exclusions, nft->n_exclusions), "rate",
                               (json_int_t)nft->rate, "intact", found->intact);
        if (nft->family != LINUX_NFT_NETDEV)
            (void)json_object_set_new(is, "gateway", put_addr(&nft->gateway));
        put_counters(mirror_set_add(out, "nft", linux_nft_family_name(nft->family), is),
                     found->in.n_seen + found->out.n_seen, found->in.n_copied + found->out.n_copied,
                     found->in.bytes_copied + found->out.bytes_copied, found->strange);
    }
    linux_nft_list_done(&list);
    return result;
}

/* The filter's program is compared, and named by the expression that was wished when it fits. */
static const char *filter_of(const struct mirror_job *job, const char *family,
                             const struct linux_tee *tee)
{
    const json_t *recorded = mirror_job_made(job, "tee", family);
    const char *expression = json_string_value(json_object_get(recorded, "filter"));
    struct linux_tee compiled = {0};
    struct err err;
    if (!expression)
        return tee->n_filter ? "of an unknown expression" : "";
    if (linux_tee_filter(expression, &compiled, &err) < 0 || compiled.n_filter != tee->n_filter ||
        memcmp(compiled.filter, tee->filter, tee->n_filter * sizeof *tee->filter) != 0)
        return "another one";
    return expression;
}

static int find_tee(const struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct linux_tee_list list = {0};
    int result = linux_tee_find(host_mark(job), &list, err);
    for (size_t i = 0; result == 0 && i < list.n; i++) {
        const struct linux_tee_found *found = &list.at[i];
        const struct linux_tee *tee = &found->is;
        const char *family = tee->family == LINUX_TEE_6 ? "ip6" : "ip";
        json_t *is = json_pack("{ss sb sb ss so so sb ss}", "interface", tee->interface, "in",
                               tee->in, "out", tee->out, "to", tee->to, "exclusions",
                               put_exclusions(tee->exclusions, tee->n_exclusions), "gateway",
                               put_addr(&tee->gateway), "intact", found->intact, "filter",
                               filter_of(job, family, tee));
        put_counters(mirror_set_add(out, "tee", family, is), found->in.n_seen + found->out.n_seen,
                     found->in.n_copied + found->out.n_copied,
                     found->in.bytes_copied + found->out.bytes_copied, found->strange);
    }
    linux_tee_list_done(&list);
    return result;
}

/* ---- all of it ---- */

static int find_clsact(const struct mirror_job *job, const struct linux_link *link,
                       const struct hook_use *use, struct mirror_set *out, struct err *err)
{
    enum linux_tc_hook hook;
    if (!use->owns && !mirror_job_made(job, "clsact", link->name) && !link_says_owned(job, link))
        return 0;
    int result = linux_tc_get_hook(link->index, &hook, err);
    if (result == 0 && hook == LINUX_TC_CLSACT) {
        struct mirror_object *clsact = mirror_set_add(out, "clsact", link->name, json_object());
        if (clsact)
            clsact->also = json_pack("{sb}", "shared", use->shared);
    }
    return result == -ENODEV ? 0 : result;
}

/* What does not go away with its network namespace, by the journal. */
static int find_left(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    for (size_t i = 0; i < job->recorded.n; i++)
        if (strcmp(job->recorded.at[i].kind, "carrier") == 0)
            mirror_set_add(out, "carrier", job->recorded.at[i].key,
                           json_incref(job->recorded.at[i].is));
    return host_find_unit(job, out, err);
}

int host_find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    struct mirror_set filters = {0};
    struct host *host = job->state;
    if (host->is_gone)
        return find_left(job, out, err);
    int result = host_refresh(host, err);
    for (size_t i = 0; result == 0 && i < host->n_links; i++) {
        bool owns;
        if (!is_ours(job, host->links[i].alias, &owns))
            continue;
        find_link(host, &host->links[i], out);
        result = find_guard(&host->links[i], out, err);
        if (result == 0)
            result = find_neighbours(&host->links[i], out, err);
    }
    /* Filters stand on clsact, so they come after it in the set. */
    for (size_t i = 0; result == 0 && i < host->n_links; i++) {
        struct hook_use use = {0};
        result = find_filters(job, &host->links[i], &filters, &use, err);
        if (result == 0)
            result = find_clsact(job, &host->links[i], &use, out, err);
    }
    for (size_t i = 0; result == 0 && i < filters.n; i++) {
        struct mirror_object *object =
            mirror_set_add(out, "filter", filters.at[i].key, json_incref(filters.at[i].is));
        if (object)
            object->also = json_incref(filters.at[i].also);
    }
    out->failed |= filters.failed;
    mirror_set_done(&filters);
    if (result == 0)
        result = find_nft(job, out, err);
    if (result == 0)
        result = find_tee(job, out, err);
    if (result == 0)
        result = host_find_carriers(job, out, err);
    if (result == 0)
        result = host_find_unit(job, out, err);
    return result;
}
