/* What a mirror of this machine's interfaces consists of: see host.h. */
#include "mirror/host.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/host_parts.h"

#define VLAN_TAG_SIZE 4

/* One tap, as far as it is decided. */
struct plan {
    struct mirror_job *job;
    const struct host *host;
    const struct host_wish *wish;
    const struct host_tap *tap;
    const struct linux_link *mirrored;
    struct host_way way; /* of tunnels */
    int method;
    int directions;  /* of the tap's interface */
    char device[16]; /* that copies are given to */
    bool bound;      /* the tunnel's device can leave by one interface only */
    struct mirror_set *out;
    struct text *remarks;
};

static bool is_ip_method(int method)
{
    return method == HOST_NFT_IP || method == HOST_TEE;
}

static bool is_gre(int wrap)
{
    return wrap == MIRROR_GRE || wrap == MIRROR_ERSPAN1 || wrap == MIRROR_ERSPAN2 ||
           wrap == MIRROR_ERSPAN3;
}

static bool is_udp(int wrap)
{
    return wrap == MIRROR_VXLAN || wrap == MIRROR_GENEVE;
}

static json_t *put_addr(const struct addr *addr)
{
    char text[ADDR_TEXT_MAX];
    return json_stringn(text, addr_format(addr, text));
}

static struct linux_exclusion exclusion_of(const struct host_wish *wish)
{
    return (struct linux_exclusion){.collector = wish->to.addr,
                                    .protocol = is_gre(wish->to.wrap) ? IPPROTO_GRE : IPPROTO_UDP,
                                    .port = wish->to.port};
}

/* Copies may pass the mirrored interface: they have to be left out there. */
static bool must_exclude(const struct plan *p)
{
    return p->wish->to.wrap != MIRROR_INTERFACE && (p->way.passes_mirrored || !p->bound);
}

/* ---- the objects ---- */

static bool owns_clsact(const struct plan *p)
{
    enum linux_tc_hook hook = LINUX_TC_NONE;
    struct err err;
    if (p->method != HOST_TC)
        return false;
    if (linux_tc_get_hook(p->mirrored->index, &hook, &err) < 0 || hook == LINUX_TC_NONE)
        return true;
    return host_owns_clsact(p->job, p->mirrored);
}

static void want_link(struct plan *p)
{
    static const char *const kinds[MIRROR_N_WRAPS] = {
        [MIRROR_VXLAN] = "vxlan",    [MIRROR_GENEVE] = "geneve",  [MIRROR_GRE] = "gretap",
        [MIRROR_ERSPAN1] = "erspan", [MIRROR_ERSPAN2] = "erspan", [MIRROR_ERSPAN3] = "erspan"};
    const struct host_wish *wish = p->wish;
    char alias[LINUX_ALIAS_MAX];
    host_put_alias(host_mark(p->job), owns_clsact(p), alias);
    json_t *is = json_pack("{ss ss so sI sI sb sb}", "kind", kinds[wish->to.wrap], "alias", alias,
                           "remote", put_addr(&wish->to.addr), "id", (json_int_t)p->tap->id, "port",
                           (json_int_t)wish->to.port, "up", 1, "keyed", wish->has_id);
    if (wish->to.wrap >= MIRROR_ERSPAN1 && wish->to.wrap <= MIRROR_ERSPAN3)
        (void)json_object_set_new(is, "erspan", json_integer(wish->to.wrap - MIRROR_ERSPAN1));
    if (wish->to.wrap != MIRROR_GENEVE) /* whose devices take the route's */
        (void)json_object_set_new(is, "local", put_addr(&p->way.source));
    if (p->bound)
        (void)json_object_set_new(is, "underlay", json_string(p->way.out));
    if (is_gre(wish->to.wrap))
        (void)json_object_set_new(is, "mtu", json_integer(LINUX_GRE_MTU));
    else if (is_ip_method(p->method))
        (void)json_object_set_new(is, "mtu", json_integer(p->mirrored->mtu));
    struct mirror_object *object = mirror_set_add(p->out, "link", p->device, is);
    mirror_object_why(object, "wraps copies of %s and sends them to the collector",
                      p->tap->interface);
}

/* A vxlan device takes in what anybody sends to its port, as if this machine had received it. */
static void want_guard(struct plan *p)
{
    const struct linux_feature_state *features = p->host->features;
    if (features[LINUX_FEATURE_CLSACT].answer == LINUX_FEATURE_NO ||
        features[LINUX_FEATURE_GACT].answer == LINUX_FEATURE_NO)
        return;
    struct mirror_object *object = mirror_set_add(p->out, "guard", p->device, json_object());
    mirror_object_on(p->out, object, "link", p->device);
    mirror_object_why(object, "drops what others send to the tunnel's port");
}

static void want_neighbour(struct plan *p, bool v6)
{
    char key[64];
    (void)snprintf(key, sizeof key, "%s %s", p->device, v6 ? HOST_GATEWAY_6 : HOST_GATEWAY_4);
    struct mirror_object *object =
        mirror_set_add(p->out, "neighbour", key, json_pack("{ss}", "mac", HOST_GATEWAY_MAC));
    mirror_object_on(p->out, object, "link", p->device);
    mirror_object_why(object, "the tunnel's other end, to whom the IP layer hands copies");
}

/* The program that says what is copied of the direction, or none where it is everything. What the
 * machine itself sends to all comes by again as if it had been received (PACKET_LOOPBACK), without
 * its Ethernet header; only a program can tell. */
static int build_program(const struct plan *p, int direction, struct linux_bpf *out,
                         struct err *err)
{
    struct linux_exclusion exclusion = exclusion_of(p->wish);
    bool has_bpf = p->host->features[LINUX_FEATURE_BPF].answer != LINUX_FEATURE_NO;
    *out = (struct linux_bpf){0};
    if (!must_exclude(p) && !p->wish->filter && !(direction == HOST_IN && has_bpf))
        return 0;
    int result = linux_exclusion_filter(&exclusion, must_exclude(p), p->wish->filter,
                                        LINUX_PACKET_ETHERNET, out, err);
    if (result == 0 && direction == HOST_IN)
        result = linux_exclude_loopback(out, err);
    return result;
}

static json_t *put_program(const struct linux_bpf *program)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < program->n; i++) {
        const struct linux_bpf_line *line = &program->at[i];
        (void)json_array_append_new(
            lines, json_pack("[iiiI]", line->code, line->yes, line->no, (json_int_t)line->k));
    }
    return lines;
}

static int want_filter(struct plan *p, int direction, bool owns, struct err *err)
{
    const struct linux_feature_state *features = p->host->features;
    struct linux_bpf program;
    char key[32], content[13];
    int result = build_program(p, direction, &program, err);
    if (result < 0)
        return result;
    const char *match = program.n                                                     ? "bpf"
                        : features[LINUX_FEATURE_MATCHALL].answer != LINUX_FEATURE_NO ? "matchall"
                        : features[LINUX_FEATURE_U32].answer != LINUX_FEATURE_NO      ? "u32"
                                                                                      : "bpf";
    /* The route is needed no more where a frame leaves, and would be changed by large copies. */
    bool forgets = direction == HOST_OUT && is_udp(p->wish->to.wrap) &&
                   features[LINUX_FEATURE_TUNNEL_KEY].answer != LINUX_FEATURE_NO;
    json_t *lines = put_program(&program);
    linux_bpf_done(&program);
    host_content_text(lines, p->wish->rate, forgets, content);
    (void)snprintf(key, sizeof key, "%s %s", p->tap->interface,
                   direction == HOST_IN ? "in" : "out");
    struct mirror_object *object =
        mirror_set_add(p->out, "filter", key,
                       json_pack("{ss ss sb sb ss}", "match", match, "to", p->device, "clsact",
                                 owns, "limited", p->wish->rate != 0, "content", content));
    if (object)
        object->also = json_pack("{sO sI sb}", "program", lines, "rate", (json_int_t)p->wish->rate,
                                 "forgets", forgets);
    json_decref(lines);
    if (owns)
        mirror_object_on(p->out, object, "clsact", p->tap->interface);
    if (p->wish->to.wrap != MIRROR_INTERFACE)
        mirror_object_on(p->out, object, "link", p->device);
    mirror_object_why(object, "copies what %s %s%s%s", p->tap->interface,
                      direction == HOST_IN ? "receives" : "sends",
                      must_exclude(p) ? ", but never the copies themselves" : "",
                      p->wish->filter ? ", as far as the filter lets it through" : "");
    return 0;
}

static int want_filters(struct plan *p, struct err *err)
{
    bool owns = owns_clsact(p);
    if (must_exclude(p) && p->host->features[LINUX_FEATURE_BPF].answer == LINUX_FEATURE_NO)
        return err_set(
            err, -EOPNOTSUPP,
            "copies would pass %s again, and this kernel lacks cls_bpf to leave them out: "
            "--method nft, or another way (--via)",
            p->tap->interface);
    if (owns) {
        struct mirror_object *clsact =
            mirror_set_add(p->out, "clsact", p->tap->interface, json_object());
        mirror_object_why(clsact, "the hook of tc on %s", p->tap->interface);
    }
    int result = 0;
    for (int d = HOST_IN; result == 0 && d <= HOST_OUT; d++)
        if (p->directions & d)
            result = want_filter(p, d, owns, err);
    return result;
}

/* `family`: of a table of the IP layer, which sees no packets of the other one. */
static json_t *put_exclusions(const struct plan *p, const char *family)
{
    json_t *list = json_array();
    struct linux_exclusion exclusion = exclusion_of(p->wish);
    char text[LINUX_EXCLUSION_TEXT];
    if (!must_exclude(p) && !is_ip_method(p->method))
        return list;
    bool other = strcmp(family, addr_is_v4(&p->wish->to.addr) ? "ip6" : "ip") == 0;
    if (p->wish->to.wrap == MIRROR_INTERFACE || other)
        return list;
    linux_exclusion_put(&exclusion, text);
    (void)json_array_append_new(list, json_string(text));
    return list;
}

static void want_table(struct plan *p, const char *kind, const char *family)
{
    const struct host_wish *wish = p->wish;
    json_t *is = json_pack("{ss sb sb ss so sb}", "interface", p->tap->interface, "in",
                           (p->directions & HOST_IN) != 0, "out", (p->directions & HOST_OUT) != 0,
                           "to", p->device, "exclusions", put_exclusions(p, family), "intact", 1);
    if (strcmp(family, "netdev") != 0) {
        const char *tunnel = strcmp(family, "ip6") == 0 ? HOST_GATEWAY_6 : HOST_GATEWAY_4;
        (void)json_object_set_new(
            is, "gateway", wish->has_gateway ? put_addr(&wish->gateway) : json_string(tunnel));
    }
    if (strcmp(kind, "nft") == 0)
        (void)json_object_set_new(is, "rate", json_integer((json_int_t)wish->rate));
    if (strcmp(kind, "tee") == 0)
        (void)json_object_set_new(is, "filter", json_string(wish->filter ? wish->filter : ""));
    struct mirror_object *object = mirror_set_add(p->out, kind, family, is);
    if (wish->to.wrap != MIRROR_INTERFACE)
        mirror_object_on(p->out, object, "link", p->device);
    mirror_object_why(object, "copies what passes %s%s", p->tap->interface,
                      json_array_size(json_object_get(is, "exclusions"))
                          ? ", but never the copies themselves"
                          : "");
}

/* Tables of the IP layer: one for each protocol that this kernel can copy. */
static void want_ip_tables(struct plan *p)
{
    const char *kind = p->method == HOST_TEE ? "tee" : "nft";
    int feature6 = p->method == HOST_TEE ? LINUX_FEATURE_TEE6 : LINUX_FEATURE_NFT_IP6;
    const struct linux_feature_state *six = &p->host->features[feature6];
    bool tunnel = p->wish->to.wrap != MIRROR_INTERFACE;
    bool with4 = tunnel || addr_is_v4(&p->wish->gateway);
    bool with6 = six->answer != LINUX_FEATURE_NO && (tunnel || !addr_is_v4(&p->wish->gateway));
    if (with4) {
        if (tunnel)
            want_neighbour(p, false);
        want_table(p, kind, "ip");
    }
    if (with6) {
        if (tunnel)
            want_neighbour(p, true);
        want_table(p, kind, "ip6");
    }
    if (!with6)
        text_format(p->remarks, "IPv6 is not mirrored: %s\n",
                    six->why[0] ? six->why : "the gateway is an IPv4 one");
    if (!with4)
        text_put(p->remarks, "IPv4 is not mirrored: the gateway is an IPv6 one\n");
    text_format(p->remarks,
                "the method %s copies IP packets: MAC addresses, VLAN tags and ARP are lost\n",
                host_method_name(p->method));
}

static int want_carrier(struct plan *p, struct err *err)
{
    json_t *arguments = host_carrier_arguments(p->job, p->wish, p->tap, &p->way, err);
    if (!arguments)
        return -EINVAL;
    struct mirror_object *object =
        mirror_set_add(p->out, "carrier", p->tap->interface,
                       json_pack("{sb so}", "running", 1, "arguments", arguments));
    mirror_object_why(object, "reads %s and sends copies, as a process", p->tap->interface);
    return 0;
}

/* ---- what the user should know ---- */

static void remark_mtu(const struct plan *p)
{
    uint32_t around = mirror_wrap_overhead(p->wish->to.wrap, !addr_is_v4(&p->wish->to.addr));
    uint32_t need = p->mirrored->mtu + around;
    if (p->wish->to.wrap == MIRROR_INTERFACE || !p->way.mtu)
        return;
    if (p->wish->snap && p->wish->snap + around - ETH_HLEN < need)
        need = p->wish->snap + around - ETH_HLEN;
    if (need + VLAN_TAG_SIZE <= p->way.mtu)
        return;
    if (!addr_is_v4(&p->wish->to.addr) && p->method != HOST_USER) {
        text_format(
            p->remarks,
            "copies that do not fit are LOST: over IPv6 the kernel does not fragment what it "
            "wraps, %s has an MTU of %u, and whole frames of %s take %u; --method user does\n",
            p->way.out, p->way.mtu, p->tap->interface, need + VLAN_TAG_SIZE);
        return;
    }
    text_format(
        p->remarks,
        "frames of more than %u bytes go out in IP fragments (DF is clear, so nothing is "
        "lost for it): %s has an MTU of %u, and whole frames of %s take %u; raise it if the "
        "network lets you\n",
        p->way.mtu > around - ETH_HLEN ? p->way.mtu - around + ETH_HLEN : 0, p->way.out, p->way.mtu,
        p->tap->interface, need + VLAN_TAG_SIZE);
}

/* A filter of somebody else's that comes first may end a frame's way before ours sees it. */
static void remark_others(const struct plan *p)
{
    static const char *const words[] = {"ingress", "egress"};
    for (int d = LINUX_TC_IN; p->method == HOST_TC && d <= LINUX_TC_OUT; d++) {
        struct linux_tc_filter *filters = NULL;
        size_t n = 0;
        struct err err;
        bool first = false;
        if (linux_tc_list(p->mirrored->index, (enum linux_tc_direction)d, &filters, &n, &err) < 0)
            continue;
        for (size_t i = 0; i < n; i++) {
            struct host_cookie cookie;
            first |= filters[i].prio == 1 && !filters[i].is_table &&
                     !host_read_cookie(filters[i].cookie, filters[i].cookie_size, &cookie);
        }
        free(filters);
        if (first)
            text_format(
                p->remarks,
                "another filter comes first: frames that it drops, redirects or accepts for "
                "good are not copied (tc filter show dev %s %s)\n",
                p->tap->interface, words[d == LINUX_TC_OUT]);
    }
}

static void remark(const struct plan *p, const char *why)
{
    if (why[0])
        text_format(p->remarks, "%s: %s\n", p->tap->interface, why);
    if (!p->mirrored->is_up)
        text_format(p->remarks, "%s is down: nothing will be mirrored until it is up\n",
                    p->tap->interface);
    if (p->way.out[0] && p->way.passes_mirrored)
        text_format(
            p->remarks,
            "copies leave by %s, which carries the mirrored traffic too: twice the load, and "
            "a full link loses copies first\n",
            p->way.out);
    remark_mtu(p);
    remark_others(p);
}

/* ---- all of it ---- */

/* GRE over IPv6 drops what does not fit, and tells the frame's sender to send smaller ones. */
static int check_size(const struct plan *p, struct err *err)
{
    bool v6 = !addr_is_v4(&p->wish->to.addr);
    uint32_t need = p->mirrored->mtu + mirror_wrap_overhead(p->wish->to.wrap, v6);
    if (!v6 || !is_gre(p->wish->to.wrap) || !p->way.mtu || p->way.mtu >= need)
        return 0;
    return err_set(
        err, -EMSGSIZE,
        "--to: %s over IPv6 can't carry the largest frames of %s, and would disturb their "
        "senders: it takes an MTU of %u on %s, which has %u; vxlan or geneve can",
        mirror_wrap_name(p->wish->to.wrap), p->tap->interface, need, p->way.out, p->way.mtu);
}

/* The kernel has one vxlan device for a VNI and a port, whatever their other ends are. */
static int check_vni(const struct plan *p, struct err *err)
{
    const struct host_wish *wish = p->wish;
    if (wish->to.wrap != MIRROR_VXLAN || p->method == HOST_USER)
        return 0;
    for (size_t i = 0; i < p->host->n_links; i++) {
        const struct linux_link *link = &p->host->links[i];
        if (strcmp(link->kind, "vxlan") != 0 || strcmp(link->name, p->device) == 0 ||
            link->tunnel.id != p->tap->id || link->tunnel.port != wish->to.port ||
            addr_is_v4(&link->tunnel.remote) != addr_is_v4(&wish->to.addr))
            continue;
        return err_set(
            err, -EEXIST,
            "--id: VNI %u is that of the device %s, and the kernel has only one of each: "
            "another --id, or another port",
            p->tap->id, link->name);
    }
    return 0;
}

static int decide(struct plan *p, char why[200], struct err *err)
{
    const struct host_wish *wish = p->wish;
    const char *name = p->tap->interface;
    p->mirrored = linux_link_by_name(p->host->links, p->host->n_links, name);
    if (!p->mirrored)
        return err_set(err, -ENODEV, "there is no interface %s here (ip link lists them)", name);
    int result = host_choose(p->job, wish, p->mirrored, &p->method, why, err);
    if (result < 0)
        return result;
    if (wish->to.wrap == MIRROR_INTERFACE) {
        (void)snprintf(p->device, sizeof p->device, "%.15s", wish->to.device);
        const struct linux_link *to =
            linux_link_by_name(p->host->links, p->host->n_links, p->device);
        /* The IP layer tells the sender of what it copies that it should send smaller packets. */
        if (is_ip_method(p->method) && to && to->mtu < p->mirrored->mtu)
            return err_set(err, -EMSGSIZE,
                           "--to: %s has an MTU of %u, less than the %u of %s, and the method %s "
                           "would disturb the senders of large packets: ip link set %s mtu %u",
                           p->device, to->mtu, p->mirrored->mtu, name, host_method_name(p->method),
                           p->device, p->mirrored->mtu);
        return host_check_loops(p->host, wish, p->mirrored, NULL, err);
    }
    p->bound = host_is_bound(p->method, wish);
    host_device_name(host_mark(p->job), name, p->device);
    result = host_find_way(p->host, wish, p->mirrored, p->bound, &p->way, err);
    if (result == 0)
        result = host_check_loops(p->host, wish, p->mirrored, &p->way, err);
    if (result == 0)
        result = check_vni(p, err);
    return result < 0 ? result : check_size(p, err);
}

static int want_tap(struct plan *p, struct err *err)
{
    char why[200];
    int result = decide(p, why, err);
    if (result < 0)
        return result;
    if (p->wish->to.wrap != MIRROR_INTERFACE && p->method != HOST_USER) {
        want_link(p);
        want_guard(p);
    }
    switch ((enum host_method)p->method) {
    case HOST_TC:
        result = want_filters(p, err);
        break;
    case HOST_NFT:
        want_table(p, "nft", "netdev");
        break;
    case HOST_NFT_IP:
    case HOST_TEE:
        want_ip_tables(p);
        break;
    case HOST_USER:
        result = want_carrier(p, err);
        break;
    case HOST_AUTO:
    case HOST_N_METHODS:
        break;
    }
    if (result == 0)
        remark(p, why);
    return result;
}

int host_want(struct mirror_job *job, const struct host_wish *wish, const struct host_tap *taps,
              size_t n, struct mirror_set *out, struct text *remarks, struct err *err)
{
    struct host *host = job->state;
    if (host->is_gone)
        return err_set(err, -ENOENT, "%s", host->why_gone.text);
    if (n > 0 && !host->has_features) {
        int result = linux_features(host->features, err);
        if (result < 0)
            return result;
        host->has_features = true;
    }
    for (size_t i = 0; i < n; i++) {
        struct plan p = {.job = job,
                         .host = host,
                         .wish = wish,
                         .tap = &taps[i],
                         .directions = host_tap_directions(wish, &taps[i]),
                         .out = out,
                         .remarks = remarks};
        int result = want_tap(&p, err);
        if (result < 0)
            return result;
        if (n > 1 && p.method != HOST_TC && p.method != HOST_USER)
            return err_set(err, -EOPNOTSUPP,
                           "several interfaces in one mirror need --method tc or user");
    }
    return wish->persist ? host_want_unit(job, out, err) : 0;
}
