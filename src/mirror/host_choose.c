/* Which way to copy this kernel offers: see host.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mirror/host.h"

#define NEEDS_MAX 8

/* The best first. tc and nft keep whole frames and are done by the kernel; `user` keeps them too,
 * at a higher price; the others lose what is not IP, and the Ethernet header. */
static const uint8_t order[] = {HOST_TC, HOST_NFT, HOST_USER, HOST_NFT_IP, HOST_TEE};

static int link_feature(const struct host_wish *wish)
{
    bool v6 = !addr_is_v4(&wish->to.addr);
    switch ((enum mirror_wrap)wish->to.wrap) {
    case MIRROR_VXLAN:
        return LINUX_FEATURE_VXLAN;
    case MIRROR_GENEVE:
        return LINUX_FEATURE_GENEVE;
    case MIRROR_GRE:
        return v6 ? LINUX_FEATURE_IP6GRETAP : LINUX_FEATURE_GRETAP;
    case MIRROR_ERSPAN1:
        return LINUX_FEATURE_ERSPAN1;
    case MIRROR_ERSPAN2:
        return v6 ? LINUX_FEATURE_IP6ERSPAN2 : LINUX_FEATURE_ERSPAN2;
    case MIRROR_ERSPAN3:
        return v6 ? LINUX_FEATURE_IP6ERSPAN3 : LINUX_FEATURE_ERSPAN3;
    case MIRROR_INTERFACE:
    case MIRROR_PORT:
    case MIRROR_VLAN:
    case MIRROR_N_WRAPS:
        break;
    }
    return -1;
}

/* What the kernel must have, all of it. */
static size_t needs(int method, const struct host_wish *wish, int out[NEEDS_MAX])
{
    size_t n = 0;
    int link = link_feature(wish);
    if (method != HOST_USER && link >= 0)
        out[n++] = link;
    switch ((enum host_method)method) {
    case HOST_TC:
        out[n++] = LINUX_FEATURE_CLSACT;
        out[n++] = LINUX_FEATURE_MIRRED;
        if (wish->filter)
            out[n++] = LINUX_FEATURE_BPF;
        if (wish->rate)
            out[n++] = LINUX_FEATURE_POLICE;
        break;
    case HOST_NFT:
        if (wish->direction & HOST_IN)
            out[n++] = LINUX_FEATURE_NFT_IN;
        if (wish->direction & HOST_OUT)
            out[n++] = LINUX_FEATURE_NFT_OUT;
        break;
    case HOST_NFT_IP:
        out[n++] = LINUX_FEATURE_NFT_IP;
        break;
    case HOST_TEE:
        out[n++] = LINUX_FEATURE_TEE;
        if (wish->filter)
            out[n++] = LINUX_FEATURE_TEE_FILTER;
        break;
    case HOST_AUTO:
    case HOST_USER:
    case HOST_N_METHODS:
        break;
    }
    return n;
}

static bool has(const struct host *host, int feature)
{
    return host->features[feature].answer != LINUX_FEATURE_NO;
}

bool host_can(const struct host *host, int method, const struct host_wish *wish, char why[200])
{
    int list[NEEDS_MAX];
    size_t n = needs(method, wish, list);
    why[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (has(host, list[i]))
            continue;
        (void)snprintf(why, 200, "it lacks %s: %s", linux_feature_table[list[i]].what,
                       host->features[list[i]].why);
        return false;
    }
    if (method == HOST_TC && !has(host, LINUX_FEATURE_MATCHALL) && !has(host, LINUX_FEATURE_U32) &&
        !has(host, LINUX_FEATURE_BPF)) {
        (void)snprintf(why, 200, "it has none of the classifiers matchall, u32 and bpf");
        return false;
    }
    return true;
}

/* What a mirror that is there was made by. */
static int recorded_method(const struct mirror_job *job)
{
    for (size_t i = 0; i < job->recorded.n; i++) {
        const struct mirror_object *object = &job->recorded.at[i];
        if (strcmp(object->kind, "filter") == 0)
            return HOST_TC;
        if (strcmp(object->kind, "carrier") == 0)
            return HOST_USER;
        if (strcmp(object->kind, "tee") == 0)
            return HOST_TEE;
        if (strcmp(object->kind, "nft") == 0)
            return strstr(object->key, "netdev") ? HOST_NFT : HOST_NFT_IP;
    }
    return HOST_AUTO;
}

/* Whether clsact has room on the interface: the older ingress qdisc takes its place. */
static bool has_room(const struct linux_link *mirrored, char why[200])
{
    enum linux_tc_hook hook;
    struct err err;
    if (linux_tc_get_hook(mirrored->index, &hook, &err) < 0 || hook != LINUX_TC_INGRESS)
        return true;
    (void)snprintf(why, 200, "%s has an ingress qdisc of somebody else's in the place of clsact",
                   mirrored->name);
    return false;
}

/* A geneve device follows the routes. So does a vxlan device that the IP layer gives packets to:
 * bound to an interface, its MTU could not be that of the mirrored one, and the senders of larger
 * packets would be told to send smaller ones. */
bool host_is_bound(int method, const struct host_wish *wish)
{
    bool ip = method == HOST_NFT_IP || method == HOST_TEE;
    return wish->to.wrap != MIRROR_GENEVE && method != HOST_USER &&
           !(wish->to.wrap == MIRROR_VXLAN && ip);
}

/* The kernel fragments what it wraps in IPv4; what it wraps in IPv6 and does not fit it drops. */
static bool is_too_large(const struct host *host, int method, const struct host_wish *wish,
                         const struct linux_link *mirrored, char why[200])
{
    struct host_way way;
    struct err err;
    why[0] = '\0';
    if (method == HOST_USER || wish->to.wrap == MIRROR_INTERFACE || addr_is_v4(&wish->to.addr) ||
        host_find_way(host, wish, mirrored, host_is_bound(method, wish), &way, &err) < 0)
        return false;
    uint32_t need = mirrored->mtu + mirror_wrap_overhead(wish->to.wrap, true);
    if (!way.mtu || way.mtu >= need)
        return false;
    (void)snprintf(why, 200,
                   "over IPv6 the kernel drops copies of more than the MTU of %s (%u; the largest "
                   "take %u)",
                   way.out, way.mtu, need);
    return true;
}

static bool suits(const struct host *host, int method, const struct host_wish *wish,
                  const struct linux_link *mirrored, char why[200])
{
    why[0] = '\0';
    if (!host_method_suits(method, wish)) {
        (void)snprintf(why, 200, "it cannot do all that is asked for");
        return false;
    }
    if (wish->is_bridged && (method == HOST_NFT_IP || method == HOST_TEE)) {
        (void)snprintf(why, 200,
                       "it sees what passes this machine's IP layer, and not what passes "
                       "its bridges");
        return false;
    }
    if (wish->may_grow && method != HOST_TC && method != HOST_USER) {
        (void)snprintf(why, 200, "it has one interface in a mirror, and there may be more");
        return false;
    }
    if (!mirrored->has_ethernet && method != HOST_USER) {
        (void)snprintf(why, 200, "%s has no Ethernet frames, which only the method user makes up",
                       mirrored->name);
        return false;
    }
    if (method == HOST_TC && !has_room(mirrored, why))
        return false;
    if ((method == HOST_NFT_IP || method == HOST_TEE) && wish->to.wrap == MIRROR_INTERFACE &&
        !wish->has_gateway) {
        (void)snprintf(why, 200, "copies of the IP layer need a neighbour to go to: --gateway");
        return false;
    }
    return host_can(host, method, wish, why);
}

int host_choose(const struct mirror_job *job, const struct host_wish *wish,
                const struct linux_link *mirrored, int *out, char why[200], struct err *err)
{
    const struct host *host = job->state;
    char not_why[200], first[200] = "";
    why[0] = '\0';
    if (wish->method != HOST_AUTO) {
        if (!suits(host, wish->method, wish, mirrored, not_why))
            return err_set(err, -EOPNOTSUPP,
                           "--method %s: %s (--method auto takes the best that there is)",
                           host_method_name(wish->method), not_why);
        *out = wish->method;
        return 0;
    }
    int recorded = recorded_method(job);
    if (recorded != HOST_AUTO && suits(host, recorded, wish, mirrored, not_why)) {
        *out = recorded;
        (void)snprintf(why, 200, "method %s, as it is", host_method_name(recorded));
        return 0;
    }
    for (size_t i = 0; i < sizeof order; i++) {
        if (!suits(host, order[i], wish, mirrored, not_why) ||
            is_too_large(host, order[i], wish, mirrored, not_why)) {
            if (!first[0])
                (void)snprintf(first, sizeof first, "%s: %.170s", host_method_name(order[i]),
                               not_why);
            continue;
        }
        *out = order[i];
        (void)snprintf(why, 200, "method %s%s%.150s", host_method_name(order[i]),
                       first[0] ? "; not " : ", the best of those that this kernel has", first);
        return 0;
    }
    return err_set(err, -EOPNOTSUPP, "no method of this kernel can do this; %.300s", first);
}

int host_list_methods(bool json, struct text *out, struct err *err)
{
    struct host host = {.home = -1};
    struct host_wish wish = {.direction = HOST_BOTH, .to = {.wrap = MIRROR_INTERFACE}};
    int result = linux_features(host.features, err);
    if (result < 0)
        return result;
    for (size_t i = 0; i < sizeof order; i++) {
        char why[200];
        bool can = host_can(&host, order[i], &wish, why);
        if (json) {
            text_format(out, "{\"type\":\"method\",\"name\":\"%s\",\"available\":%s,\"why\":",
                        host_method_name(order[i]), can ? "true" : "false");
            text_json(out, why, sizeof why);
            text_put(out, "}\n");
        } else {
            text_format(out, "%-10s %s%s%s\n", host_method_name(order[i]), can ? "yes" : "no",
                        why[0] ? ": " : "", why);
        }
    }
    text_put(out, json ? "" : "\n");
    for (int i = 0; i < LINUX_FEATURES; i++) {
        const struct linux_feature_state *state = &host.features[i];
        static const char *const words[] = {[LINUX_FEATURE_NO] = "no",
                                            [LINUX_FEATURE_YES] = "yes",
                                            [LINUX_FEATURE_UNTRIED] = "untried"};
        if (json) {
            text_format(out, "{\"type\":\"feature\",\"name\":\"%s\",\"answer\":\"%s\",\"why\":",
                        linux_feature_table[i].name, words[state->answer]);
            text_json(out, state->why, sizeof state->why);
            text_put(out, "}\n");
        } else {
            text_format(out, "  %-14s %-8s %s%s%s\n", linux_feature_table[i].name,
                        words[state->answer], linux_feature_table[i].what,
                        state->why[0] ? "; " : "", state->why);
        }
    }
    return 0;
}
