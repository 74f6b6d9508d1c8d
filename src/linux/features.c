/* What this kernel can do: see features.h. */
#include "linux/features.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "linux/features_try.h"
#include "linux/text.h"

#define WAIT_MS 60000 /* for a kernel that looks for modules */

const struct linux_feature_row linux_feature_table[LINUX_FEATURES] = {
    [LINUX_FEATURE_CLSACT] = {"clsact", "tc's hooks for both directions", features_try_clsact,
                              NULL},
    [LINUX_FEATURE_MATCHALL] = {"matchall", "tc: a filter for every frame", features_try_matchall,
                                NULL},
    [LINUX_FEATURE_U32] = {"u32", "tc: filters by bytes of the packet", features_try_u32, NULL},
    [LINUX_FEATURE_BPF] = {"bpf", "tc: filters by pcap expressions", features_try_bpf, NULL},
    [LINUX_FEATURE_MIRRED] = {"mirred", "tc: copies to another interface", features_try_mirred,
                              NULL},
    [LINUX_FEATURE_POLICE] = {"police", "tc: a limit of the copies' rate", features_try_police,
                              NULL},
    [LINUX_FEATURE_GACT] = {"gact", "tc: what comes in by the mirror's device is dropped",
                            features_try_gact, NULL},
    [LINUX_FEATURE_TUNNEL_KEY] = {"tunnel_key", "tc: IPv6's path MTU is not touched by the copies",
                                  features_try_tunnel_key, NULL},
    [LINUX_FEATURE_VXLAN] = {"vxlan", "VXLAN devices", features_try_vxlan, NULL},
    [LINUX_FEATURE_GENEVE] = {"geneve", "GENEVE devices", features_try_geneve, NULL},
    [LINUX_FEATURE_GRETAP] = {"gretap", "GRE devices that carry frames", features_try_gretap,
                              "ip_gre"},
    [LINUX_FEATURE_ERSPAN1] = {"erspan1", "ERSPAN I devices", features_try_erspan1, "ip_gre"},
    [LINUX_FEATURE_ERSPAN2] = {"erspan2", "ERSPAN II devices", features_try_erspan2, "ip_gre"},
    [LINUX_FEATURE_ERSPAN3] = {"erspan3", "ERSPAN III devices", features_try_erspan3, "ip_gre"},
    [LINUX_FEATURE_IP6GRETAP] = {"ip6gretap", "GRE over IPv6", features_try_ip6gretap, "ip6_gre"},
    [LINUX_FEATURE_IP6ERSPAN2] = {"ip6erspan2", "ERSPAN II over IPv6", features_try_ip6erspan2,
                                  "ip6_gre"},
    [LINUX_FEATURE_IP6ERSPAN3] = {"ip6erspan3", "ERSPAN III over IPv6", features_try_ip6erspan3,
                                  "ip6_gre"},
    [LINUX_FEATURE_VLAN] = {"vlan", "VLAN interfaces", features_try_vlan, NULL},
    [LINUX_FEATURE_NFT_IN] = {"nft-in", "nftables: copies of received frames", features_try_nft_in,
                              NULL},
    [LINUX_FEATURE_NFT_OUT] = {"nft-out", "nftables: copies of sent frames", features_try_nft_out,
                               NULL},
    [LINUX_FEATURE_NFT_IP] = {"nft-ip", "nftables: copies of IPv4 packets", features_try_nft_ip,
                              NULL},
    [LINUX_FEATURE_NFT_IP6] = {"nft-ip6", "nftables: copies of IPv6 packets", features_try_nft_ip6,
                               NULL},
    [LINUX_FEATURE_TEE] = {"tee", "iptables: the target TEE", features_try_tee, NULL},
    [LINUX_FEATURE_TEE6] = {"tee6", "ip6tables: the target TEE", features_try_tee6, NULL},
    [LINUX_FEATURE_TEE_FILTER] = {"tee-filter", "iptables: pcap filters (xt_bpf)",
                                  features_try_tee_filter, NULL},
};

/* Whether to try it could load the module. */
static bool would_load(const char *module)
{
    char path[160], name[64];
    struct utsname kernel;
    (void)snprintf(path, sizeof path, "/sys/module/%s", module);
    if (access(path, F_OK) == 0 || access("/proc/modules", F_OK) != 0)
        return false;
    (void)snprintf(name, sizeof name, "/%s.ko", module);
    if (uname(&kernel) < 0)
        return true;
    (void)snprintf(path, sizeof path, "/lib/modules/%.100s/modules.dep", kernel.release);
    char *list = text_read_all(path);
    bool is_listed = !list || strstr(list, name); /* without a list: who knows */
    free(list);
    return is_listed;
}

static void try_row(const struct linux_feature_row *row, struct linux_feature_state *out)
{
    struct err err = {""};
    *out = (struct linux_feature_state){.answer = LINUX_FEATURE_YES};
    if (row->module && would_load(row->module)) {
        out->answer = LINUX_FEATURE_UNTRIED;
        (void)snprintf(out->why, sizeof out->why,
                       "the module %s is not loaded; once it is, every network namespace gets "
                       "interfaces by it",
                       row->module);
    } else if (row->attempt(&err) < 0) {
        out->answer = LINUX_FEATURE_NO;
        (void)snprintf(out->why, sizeof out->why, "%.199s", err.text);
    }
}

/* What the child has to say: first whether there was a namespace, then all rows. */
struct report {
    int code;
    struct linux_feature_state states[LINUX_FEATURES];
};

static void work(int to)
{
    struct report report = {0};
    if (unshare(CLONE_NEWNET) < 0)
        report.code = -errno;
    for (unsigned i = 0; i < LINUX_FEATURES && report.code == 0; i++)
        try_row(&linux_feature_table[i], &report.states[i]);
    const char *at = (const char *)&report;
    for (size_t left = sizeof report; left > 0;) {
        ssize_t n = write(to, at, left);
        if (n <= 0)
            break;
        at += n;
        left -= (size_t)n;
    }
}

static int read_report(int from, struct report *out)
{
    char *at = (char *)out;
    size_t left = sizeof *out;
    int64_t end = clock_ticks() / 1000000 + WAIT_MS;
    while (left > 0) {
        struct pollfd p = {.fd = from, .events = POLLIN};
        int64_t wait = end - clock_ticks() / 1000000;
        int ready = poll(&p, 1, wait > 0 ? (int)wait : 0);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            return ready < 0 ? -errno : -ETIMEDOUT;
        ssize_t n = read(from, at, left);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        at += n;
        left -= (size_t)n;
    }
    return 0;
}

int linux_features(struct linux_feature_state out[LINUX_FEATURES], struct err *err)
{
    struct report report;
    int ends[2];
    if (pipe(ends) < 0)
        return err_set(err, -errno, "making a pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        work(ends[1]);
        _exit(0);
    }
    int result = child < 0 ? -errno : 0;
    close(ends[1]);
    if (result == 0)
        result = read_report(ends[0], &report);
    close(ends[0]);
    if (child > 0) {
        if (result)
            (void)kill(child, SIGKILL); /* ours, and not reaped */
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (result)
        return err_set(err, result, "trying what the kernel can do: %s", strerror(-result));
    if (report.code == -EPERM)
        return err_set(err, -EPERM,
                       "trying what the kernel can do takes a network namespace, which needs "
                       "CAP_SYS_ADMIN: run this as root");
    if (report.code)
        return err_set(err, report.code, "making a network namespace: %s", strerror(-report.code));
    memcpy(out, report.states, sizeof report.states);
    return 0;
}
