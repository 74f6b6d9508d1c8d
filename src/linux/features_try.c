/* Attempts at what a kernel may not have: see features_try.h. They ask by the requests themselves
 * and not by linux_tc_add and linux_link_add, so that the answer is the kernel's words alone. */
#include "linux/features_try.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "linux/link.h"
#include "linux/tc.h"

#define LOOPBACK  1 /* its index in every namespace */
#define BASE      0x10000000
#define TUNNEL    0x10000001
#define MARK_SIZE 4

static const struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, 0x40000)};

int features_try_clsact(struct err *err)
{
    struct nl_request request;
    struct tcmsg head = {.tcm_ifindex = LOOPBACK,
                         .tcm_parent = TC_H_CLSACT,
                         .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0)};
    nl_init(&request);
    nl_message(&request, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    nl_put_text(&request, TCA_KIND, "clsact");
    return nl_ask(&request, NULL, NULL, err);
}

/* A filter on the loopback, which is down. Prios are used once, so `prio` numbers the attempts. */
static int try_filter(struct linux_tc_want want, enum linux_tc_match match, uint16_t prio,
                      struct err *err)
{
    struct nl_request request;
    want.link = LOOPBACK;
    want.direction = LINUX_TC_IN;
    want.match = match;
    want.prio = prio;
    want.program = all;
    want.n_instructions = 1;
    nl_init(&request);
    linux_tc_put(&request, &want);
    return nl_ask(&request, NULL, NULL, err);
}

static const struct linux_tc_want accepting = {.verdict = LINUX_TC_ACCEPT, .classid = 1};

int features_try_matchall(struct err *err)
{
    return try_filter(accepting, LINUX_TC_MATCHALL, 1, err);
}

int features_try_u32(struct err *err)
{
    return try_filter(accepting, LINUX_TC_U32, 2, err);
}

int features_try_bpf(struct err *err)
{
    return try_filter(accepting, LINUX_TC_BPF, 3, err);
}

/* An action, with the first classifier that there is; `prio` and the nine behind it are free. */
static int try_action(struct linux_tc_want want, uint16_t prio, struct err *err)
{
    static const enum linux_tc_match matches[] = {LINUX_TC_MATCHALL, LINUX_TC_U32, LINUX_TC_BPF};
    int result = -ENOENT;
    for (uint16_t i = 0; i < 3; i++) {
        result = try_filter(accepting, matches[i], (uint16_t)(prio + 2 * i), err);
        if (result == 0)
            return try_filter(want, matches[i], (uint16_t)(prio + 2 * i + 1), err);
    }
    return result;
}

/* Without its cookie a filter would not be known again. */
int features_try_mirred(struct err *err)
{
    struct linux_tc_filter *list = NULL;
    size_t n = 0;
    struct linux_tc_want want = {
        .mirror_to = LOOPBACK, .cookie = {1, 2, 3, 4}, .cookie_size = MARK_SIZE};
    int result = try_action(want, 10, err);
    if (result == 0)
        result = linux_tc_list(LOOPBACK, LINUX_TC_IN, &list, &n, err);
    bool is_kept = false;
    for (size_t i = 0; i < n; i++)
        is_kept = is_kept || (list[i].mirror_to == LOOPBACK && list[i].cookie_size == MARK_SIZE &&
                              memcmp(list[i].cookie, want.cookie, MARK_SIZE) == 0);
    free(list);
    if (result == 0 && !is_kept)
        return err_set(err, -EOPNOTSUPP, "the kernel keeps no cookies of actions: 4.12 is needed");
    return result;
}

int features_try_police(struct err *err)
{
    return try_action((struct linux_tc_want){.mirror_to = LOOPBACK, .rate = 1000000}, 20, err);
}

int features_try_gact(struct err *err)
{
    return try_action((struct linux_tc_want){.verdict = LINUX_TC_DROP}, 30, err);
}

int features_try_tunnel_key(struct err *err)
{
    return try_action((struct linux_tc_want){.mirror_to = LOOPBACK, .forgets_route = true}, 40,
                      err);
}

/* A tunnel of documentation addresses; the kernel does not look for a way there. */
static int try_tunnel(const char *name, const char *kind, const char *remote,
                      struct linux_tunnel tunnel, struct err *err)
{
    struct linux_link_want want = {.name = name, .kind = kind, .tunnel = tunnel};
    struct nl_request request;
    if (!addr_parse(remote, &want.tunnel.remote))
        return err_set(err, -EINVAL, "%s is no address", remote);
    nl_init(&request);
    linux_link_put(&request, &want, TUNNEL);
    int result = nl_ask(&request, NULL, NULL, err);
    if (result)
        return result;
    struct err ignored;
    int removed = linux_link_remove(TUNNEL, &ignored);
    (void)removed; /* else the next attempt says so */
    return 0;
}

#define V4 "192.0.2.1"
#define V6 "2001:db8::1"

int features_try_vxlan(struct err *err)
{
    return try_tunnel("tv", "vxlan", V4, (struct linux_tunnel){.id = 1, .port = 4789}, err);
}

int features_try_geneve(struct err *err)
{
    return try_tunnel("tg", "geneve", V4, (struct linux_tunnel){.id = 1, .port = 6081}, err);
}

int features_try_gretap(struct err *err)
{
    return try_tunnel("tt", "gretap", V4, (struct linux_tunnel){.ttl = 64}, err);
}

static int try_erspan(const char *remote, enum linux_erspan version, struct err *err)
{
    return try_tunnel("te", "erspan", remote,
                      (struct linux_tunnel){.erspan = version, .id = 1, .ttl = 64}, err);
}

int features_try_erspan1(struct err *err)
{
    return try_erspan(V4, LINUX_ERSPAN_1, err);
}

int features_try_erspan2(struct err *err)
{
    return try_erspan(V4, LINUX_ERSPAN_2, err);
}

int features_try_erspan3(struct err *err)
{
    return try_erspan(V4, LINUX_ERSPAN_3, err);
}

int features_try_ip6gretap(struct err *err)
{
    return try_tunnel("tt", "gretap", V6, (struct linux_tunnel){.ttl = 64}, err);
}

int features_try_ip6erspan2(struct err *err)
{
    return try_erspan(V6, LINUX_ERSPAN_2, err);
}

int features_try_ip6erspan3(struct err *err)
{
    return try_erspan(V6, LINUX_ERSPAN_3, err);
}

/* On an interface that carries frames: the loopback takes no VLANs. */
int features_try_vlan(struct err *err)
{
    static const char *const kinds[] = {"veth", "dummy", "bridge"};
    struct nl_request request;
    struct ifinfomsg base = {.ifi_index = BASE}, vlan = {0};
    int result = -ENODEV;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && result; i++) {
        nl_init(&request);
        nl_message(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &base, sizeof base);
        nl_put_text(&request, IFLA_IFNAME, "tl");
        size_t info = nl_nest(&request, IFLA_LINKINFO);
        nl_put_text(&request, IFLA_INFO_KIND, kinds[i]);
        nl_nest_end(&request, info);
        result = nl_ask(&request, NULL, NULL, err);
    }
    if (result) {
        err_wrap(err, "no interface to try it on");
        return result;
    }
    nl_init(&request);
    nl_message(&request, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &vlan, sizeof vlan);
    nl_put_text(&request, IFLA_IFNAME, "tl.7");
    nl_put_u32(&request, IFLA_LINK, BASE);
    size_t info = nl_nest(&request, IFLA_LINKINFO);
    nl_put_text(&request, IFLA_INFO_KIND, "vlan");
    size_t data = nl_nest(&request, IFLA_INFO_DATA);
    nl_put_u16(&request, IFLA_VLAN_ID, 7);
    nl_nest_end(&request, data);
    nl_nest_end(&request, info);
    return nl_ask(&request, NULL, NULL, err);
}
