/* What rtnetlink tells of a filter: see tc.h. The message: family u8, three of padding, index of
 * the interface i32, handle u32, parent u32, info u32 (prio in the upper half, protocol in the
 * lower, in the network's order), then attributes. Its actions are nested in the options of its
 * kind, each under the number of its turn. */
#include <linux/gen_stats.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <string.h>

#include "linux/rtnl.h"
#include "linux/tc.h"

/* Where the attributes of classifiers are, which each kind numbers anew; 0: it has none. Other
 * people's too, so that their actions are seen. */
static const struct tc_kind {
    const char *name;
    uint16_t actions, classid, counter;
} kinds[] = {
    {"matchall", TCA_MATCHALL_ACT, TCA_MATCHALL_CLASSID, TCA_MATCHALL_PCNT},
    {"u32", TCA_U32_ACT, TCA_U32_CLASSID, TCA_U32_PCNT},
    {"bpf", TCA_BPF_ACT, TCA_BPF_CLASSID, 0},
    {"flower", TCA_FLOWER_ACT, TCA_FLOWER_CLASSID, 0},
    {"basic", TCA_BASIC_ACT, TCA_BASIC_CLASSID, TCA_BASIC_PCNT},
    {"fw", TCA_FW_ACT, TCA_FW_CLASSID, 0},
    {"flow", TCA_FLOW_ACT, 0, 0},
    {"route", TCA_ROUTE4_ACT, TCA_ROUTE4_CLASSID, 0},
    {"cgroup", TCA_CGROUP_ACT, 0, 0},
};

static const struct tc_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

struct action {
    char kind[16];
    uint8_t cookie[LINUX_TC_COOKIE_MAX];
    uint8_t cookie_size;
    int32_t verdict; /* of gact and mirred */
    int32_t mirred;  /* TCA_EGRESS_MIRROR … */
    uint32_t mirror_to;
    uint64_t n_packets, n_bytes, n_dropped, n_overlimits;
};

static void read_stats(struct reader stats, struct action *out)
{
    struct reader value;
    uint16_t type;
    while (rtnl_next(&stats, &type, &value)) {
        if (type == TCA_STATS_BASIC) {
            out->n_bytes = rtnl_u64(&value);
            uint32_t n_packets = rtnl_u32(&value);
            if (out->n_packets < n_packets) /* the wide one may have come before */
                out->n_packets = n_packets;
        } else if (type == TCA_STATS_PKT64) {
            out->n_packets = rtnl_u64(&value);
        } else if (type == TCA_STATS_QUEUE) {
            rd_skip(&value, 8); /* length, backlog */
            out->n_dropped = rtnl_u32(&value);
            rd_skip(&value, 4); /* requeues */
            out->n_overlimits = rtnl_u32(&value);
        }
    }
}

/* Both begin with what all actions have: index u32, capab u32, action i32, two counts of users. */
static void read_options(struct reader options, struct action *out)
{
    bool is_mirred = strcmp(out->kind, "mirred") == 0;
    bool is_gact = strcmp(out->kind, "gact") == 0;
    struct reader value;
    uint16_t type;
    while (rtnl_next(&options, &type, &value)) {
        if (!(is_mirred && type == TCA_MIRRED_PARMS) && !(is_gact && type == TCA_GACT_PARMS))
            continue;
        rd_skip(&value, 8);
        out->verdict = (int32_t)rtnl_u32(&value);
        rd_skip(&value, 8);
        if (is_mirred) {
            out->mirred = (int32_t)rtnl_u32(&value);
            out->mirror_to = rtnl_u32(&value);
        }
    }
}

static struct action read_action(struct reader attributes)
{
    struct action a = {0};
    struct reader value, options = {0};
    uint16_t type;
    while (rtnl_next(&attributes, &type, &value)) {
        if (type == TCA_ACT_KIND)
            rtnl_text(value, a.kind, sizeof a.kind);
        else if (type == TCA_ACT_OPTIONS)
            options = value;
        else if (type == TCA_ACT_STATS)
            read_stats(value, &a);
        else if (type == TCA_ACT_COOKIE && rd_left(&value) > 0 &&
                 rd_left(&value) <= sizeof a.cookie) {
            a.cookie_size = (uint8_t)rd_left(&value);
            memcpy(a.cookie, rd_bytes(&value, a.cookie_size), a.cookie_size);
        }
    }
    read_options(options, &a);
    return a;
}

static void take_counters(struct linux_tc_filter *out, const struct action *a)
{
    out->n_packets = a->n_packets;
    out->n_bytes = a->n_bytes;
    out->n_dropped = a->n_dropped;
    out->n_overlimits = a->n_overlimits;
}

static void read_actions(struct reader actions, struct linux_tc_filter *out)
{
    struct reader value;
    uint16_t turn;
    while (rtnl_next(&actions, &turn, &value)) {
        struct action a = read_action(value);
        if (out->n_actions++ == 0) {
            memcpy(out->action, a.kind, sizeof out->action);
            take_counters(out, &a);
        }
        if (!out->cookie_size) {
            memcpy(out->cookie, a.cookie, sizeof out->cookie);
            out->cookie_size = a.cookie_size;
        }
        if (strcmp(a.kind, "police") == 0) {
            out->has_police = true;
            out->n_limited += a.n_overlimits;
        } else if (strcmp(a.kind, "gact") == 0) {
            out->drops = out->drops || a.verdict == TC_ACT_SHOT;
        } else if (strcmp(a.kind, "mirred") == 0 && !out->mirror_to) {
            out->mirror_to = a.mirror_to;
            out->redirects = a.mirred == TCA_EGRESS_REDIR || a.mirred == TCA_INGRESS_REDIR;
            take_counters(out, &a);
        }
    }
}

static void read_kind(struct reader options, const struct tc_kind *kind,
                      struct linux_tc_filter *out)
{
    struct reader value;
    uint16_t type;
    uint64_t n_matched = 0;
    while (rtnl_next(&options, &type, &value)) {
        if (type == kind->actions) {
            read_actions(value, out);
        } else if (type == kind->classid) {
            out->classid = rtnl_u32(&value);
        } else if (type == kind->counter) {
            /* Asked and matched; matchall has but the one. */
            uint64_t first = rtnl_u64(&value);
            n_matched = rd_left(&value) >= 8 ? rtnl_u64(&value) : first;
        }
    }
    if (out->n_actions == 0)
        out->n_packets = n_matched;
}

bool linux_tc_read(struct reader body, struct linux_tc_filter *out)
{
    struct linux_tc_filter filter = {0};
    struct reader value, options = {0};
    uint16_t type;
    rd_skip(&body, 8);
    filter.handle = rtnl_u32(&body);
    rd_skip(&body, 4);
    uint32_t info = rtnl_u32(&body);
    if (!rd_ok(&body))
        return false;
    filter.prio = (uint16_t)(info >> 16);
    filter.protocol = (uint16_t)((info & 0xff) << 8 | (info >> 8 & 0xff));
    while (rtnl_next(&body, &type, &value)) {
        if (type == TCA_KIND)
            rtnl_text(value, filter.kind, sizeof filter.kind);
        else if (type == TCA_OPTIONS)
            options = value;
        else if (type == TCA_CHAIN)
            filter.chain = rtnl_u32(&value);
    }
    const struct tc_kind *kind = find_kind(filter.kind);
    if (kind)
        read_kind(options, kind, &filter);
    filter.is_table = strcmp(filter.kind, "u32") == 0 && TC_U32_NODE(filter.handle) == 0;
    *out = filter;
    return filter.handle != 0;
}
