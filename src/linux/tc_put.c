/* Requests for filters are built: see tc.h. */
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_tunnel_key.h>
#include <string.h>

#include "linux/tc.h"
#include "linux/tc_parts.h"

#define TICK_NS   64 /* the kernel's unit of time for rates, since 2.6.31 */
#define CELL_LOG  9  /* a row of the rate table for every 512 bytes: up to 128 KiB */
#define RATE_ROWS 256
#define FRAME_MAX 0xffffff
#define SECOND_NS UINT64_C(1000000000)

static const char *kind_of(enum linux_tc_match match)
{
    switch (match) {
    case LINUX_TC_MATCHALL:
        return "matchall";
    case LINUX_TC_U32:
        return "u32";
    case LINUX_TC_BPF:
        return "bpf";
    }
    return "";
}

uint32_t tc_ticks(uint64_t bytes, uint64_t rate)
{
    __extension__ unsigned __int128 ns = (unsigned __int128)bytes * SECOND_NS / rate;
    return ns / TICK_NS > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / TICK_NS);
}

/* Where action after action is put, each under the number of its turn. */
struct actions {
    struct nl_request *request;
    const struct linux_tc_want *want;
    uint16_t n;
    size_t action, options;
};

static void begin_action(struct actions *a, const char *kind)
{
    a->action = nl_nest(a->request, ++a->n);
    nl_put_text(a->request, TCA_ACT_KIND, kind);
    if (a->want->cookie_size)
        nl_put(a->request, TCA_ACT_COOKIE, a->want->cookie, a->want->cookie_size);
    a->options = nl_nest(a->request, TCA_ACT_OPTIONS);
}

static void end_action(struct actions *a)
{
    nl_nest_end(a->request, a->options);
    nl_nest_end(a->request, a->action);
}

static void put_tunnel_key(struct actions *a)
{
    struct tc_tunnel_key parms = {.action = TC_ACT_PIPE, .t_action = TCA_TUNNEL_KEY_ACT_RELEASE};
    begin_action(a, "tunnel_key");
    nl_put(a->request, TCA_TUNNEL_KEY_PARMS, &parms, sizeof parms);
    end_action(a);
}

/* What conforms goes on to the next action; what exceeds, on its way (TC_ACT_UNSPEC: to the next
 * filter). The kernel uses the rate table no more since 3.8, but asks for it to this day. */
static void put_police(struct actions *a)
{
    uint64_t rate = a->want->rate;
    uint32_t burst = a->want->burst > LINUX_TC_BURST_MIN ? a->want->burst : LINUX_TC_BURST_MIN;
    struct tc_police parms = {.action = TC_POLICE_UNSPEC,
                              .burst = tc_ticks(burst, rate),
                              .mtu = FRAME_MAX,
                              .rate = {.cell_log = CELL_LOG,
                                       .linklayer = TC_LINKLAYER_ETHERNET,
                                       .cell_align = -1,
                                       .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t)rate}};
    uint32_t table[RATE_ROWS];
    for (uint32_t i = 0; i < RATE_ROWS; i++)
        table[i] = tc_ticks((uint64_t)(i + 1) << CELL_LOG, rate);
    begin_action(a, "police");
    nl_put(a->request, TCA_POLICE_TBF, &parms, sizeof parms);
    nl_put(a->request, TCA_POLICE_RATE, table, sizeof table);
    if (rate > UINT32_MAX)
        nl_put(a->request, TCA_POLICE_RATE64, &rate, sizeof rate);
    nl_put_u32(a->request, TCA_POLICE_RESULT, TC_POLICE_PIPE);
    end_action(a);
}

static void put_mirred(struct actions *a)
{
    struct tc_mirred parms = {
        .action = TC_ACT_UNSPEC, .eaction = TCA_EGRESS_MIRROR, .ifindex = a->want->mirror_to};
    begin_action(a, "mirred");
    nl_put(a->request, TCA_MIRRED_PARMS, &parms, sizeof parms);
    end_action(a);
}

static void put_drop(struct actions *a)
{
    struct tc_gact parms = {.action = TC_ACT_SHOT};
    begin_action(a, "gact");
    nl_put(a->request, TCA_GACT_PARMS, &parms, sizeof parms);
    end_action(a);
}

static void put_actions(struct nl_request *request, const struct linux_tc_want *want,
                        uint16_t attribute)
{
    struct actions a = {.request = request, .want = want};
    if (want->verdict == LINUX_TC_ACCEPT)
        return;
    size_t nest = nl_nest(request, attribute);
    if (want->verdict == LINUX_TC_DROP) {
        put_drop(&a);
    } else {
        if (want->rate)
            put_police(&a);
        if (want->forgets_route)
            put_tunnel_key(&a);
        put_mirred(&a);
    }
    nl_nest_end(request, nest);
}

static void put_u32(struct nl_request *request, const struct linux_tc_want *want)
{
    unsigned char bytes[sizeof(struct tc_u32_sel) + LINUX_TC_KEYS_MAX * sizeof(struct tc_u32_key)];
    size_t n = want->n_keys ? want->n_keys : 1; /* a key that is all zero matches everything */
    struct tc_u32_sel head = {.flags = TC_U32_TERMINAL, .nkeys = (unsigned char)n};
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &head, sizeof head);
    for (size_t i = 0; i < want->n_keys; i++) {
        struct tc_u32_key key = {
            .mask = __builtin_bswap32(want->keys[i].mask),
            .val = __builtin_bswap32(want->keys[i].value & want->keys[i].mask),
            .off = want->keys[i].offset,
        };
        memcpy(bytes + sizeof head + i * sizeof key, &key, sizeof key);
    }
    put_actions(request, want, TCA_U32_ACT);
    nl_put(request, TCA_U32_SEL, bytes, sizeof head + n * sizeof(struct tc_u32_key));
    if (want->skip_hw)
        nl_put_u32(request, TCA_U32_FLAGS, TCA_CLS_FLAGS_SKIP_HW);
}

static void put_bpf(struct nl_request *request, const struct linux_tc_want *want)
{
    put_actions(request, want, TCA_BPF_ACT);
    nl_put_u16(request, TCA_BPF_OPS_LEN, (uint16_t)want->n_instructions);
    nl_put(request, TCA_BPF_OPS, want->program, want->n_instructions * sizeof *want->program);
    if (want->skip_hw)
        nl_put_u32(request, TCA_BPF_FLAGS_GEN, TCA_CLS_FLAGS_SKIP_HW);
}

static void put_matchall(struct nl_request *request, const struct linux_tc_want *want)
{
    put_actions(request, want, TCA_MATCHALL_ACT);
    if (want->skip_hw)
        nl_put_u32(request, TCA_MATCHALL_FLAGS, TCA_CLS_FLAGS_SKIP_HW);
}

struct tcmsg tc_head(uint32_t link, enum linux_tc_direction direction, uint16_t prio,
                     uint16_t protocol, uint32_t handle)
{
    uint32_t hook = direction == LINUX_TC_IN ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS;
    return (struct tcmsg){

        .tcm_ifindex = (int)link,
        .tcm_handle = handle,
        .tcm_parent = TC_H_MAKE(TC_H_CLSACT, hook),
        .tcm_info = TC_H_MAKE((uint32_t)prio << 16, (uint32_t)__builtin_bswap16(protocol))};
}

void linux_tc_put(struct nl_request *request, const struct linux_tc_want *want)
{
    static const uint16_t classid[] = {[LINUX_TC_MATCHALL] = TCA_MATCHALL_CLASSID,
                                       [LINUX_TC_U32] = TCA_U32_CLASSID,
                                       [LINUX_TC_BPF] = TCA_BPF_CLASSID};
    struct tcmsg head = tc_head(want->link, want->direction, want->prio,
                                want->protocol ? want->protocol : ETH_P_ALL, want->handle);
    nl_message(request, RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    nl_put_text(request, TCA_KIND, kind_of(want->match));
    size_t options = nl_nest(request, TCA_OPTIONS);
    if (want->classid)
        nl_put_u32(request, classid[want->match], want->classid);
    switch (want->match) {
    case LINUX_TC_MATCHALL:
        put_matchall(request, want);
        break;
    case LINUX_TC_U32:
        put_u32(request, want);
        break;
    case LINUX_TC_BPF:
        put_bpf(request, want);
        break;
    }
    nl_nest_end(request, options);
}
