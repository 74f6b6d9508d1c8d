/* Whether this kernel and this nft take a mirror's table: it is tried. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "linux/nft_parts.h"

#define TRIAL "trial"

static const struct {
    int family;
    bool in;
    const char *hook, *copy; /* what the kernel lacks where it takes no such chain, or rule */
} features[] = {
    [LINUX_NFT_CAN_NETDEV_IN] = {LINUX_NFT_NETDEV, true,
                                 "nftables cannot take hold of what an interface receives (table "
                                 "netdev, hook ingress)",
                                 "nftables cannot copy frames to another device (nft_dup_netdev)"},
    [LINUX_NFT_CAN_NETDEV_OUT] = {LINUX_NFT_NETDEV, false,
                                  "nftables cannot take hold of what an interface sends (table "
                                  "netdev, hook egress, since Linux 5.16 and nft 1.0.1)",
                                  "nftables cannot copy frames to another device (nft_dup_netdev)"},
    [LINUX_NFT_CAN_IP] = {LINUX_NFT_IP, true, "nftables has no table ip",
                          "nftables cannot copy packets (nft_dup_ipv4)"},
    [LINUX_NFT_CAN_IP6] = {LINUX_NFT_IP6, true, "nftables has no table ip6",
                           "nftables cannot copy IPv6 packets (nft_dup_ipv6)"},
};

static struct linux_nft make_trial(int feature)
{
    struct linux_nft trial = {.mirror = TRIAL,
                              .family = features[feature].family,
                              .interface = "lo",
                              .in = features[feature].in,
                              .out = !features[feature].in,
                              .to = "lo",
                              .rate = 1000000};
    static const char *const collectors[] = {"192.0.2.1", "2001:db8::1"};
    for (int i = 0; i < 2; i++) {
        struct addr *address = &trial.exclusions[trial.n_exclusions].collector;
        (void)addr_parse(collectors[i], address);
        trial.exclusions[trial.n_exclusions].protocol = IPPROTO_UDP;
        trial.exclusions[trial.n_exclusions++].port = 4789;
        if (features[feature].family == (i == 0 ? LINUX_NFT_IP : LINUX_NFT_IP6))
            trial.gateway = *address;
    }
    return trial;
}

/* From the least to all that a mirror may need: the first that is refused is what is missing. */
static int try_parts(const struct linux_nft *all, int feature, const char **out_missing,
                     struct err *err)
{
    struct linux_nft bare = *all, limited = *all;
    bare.n_exclusions = limited.n_exclusions = 0;
    bare.rate = 0;
    const struct {
        const struct linux_nft *want;
        bool with_rules;
        const char *missing;
    } parts[] = {
        {&bare, false, features[feature].hook},
        {&bare, true, features[feature].copy},
        {&limited, true, "nftables has no limits (nft_limit)"},
        {all, true, "nftables cannot tell the mirror's own packets from others"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof parts / sizeof *parts; i++) {
        *out_missing = parts[i].missing;
        code = nft_make(parts[i].want, parts[i].with_rules, err);
    }
    return code;
}

int linux_nft_can(int feature, struct err *err)
{
    struct linux_nft trial = make_trial(feature);
    const char *missing = "";
    struct err why;
    int code = nft_make(&trial, true, &why);
    if (code == 0)
        return linux_nft_remove(TRIAL, trial.family, err);
    if (code != -ENOENT && code != -EPERM && code != -ENOMEM) {
        int part = try_parts(&trial, feature, &missing, &why);
        int gone = linux_nft_remove(TRIAL, trial.family, err);
        if (part == 0) /* the second time it went well */
            return gone;
        code = part == -ENODEV ? part : -EOPNOTSUPP;
        return err_set(err, code, "%s: %s", missing, why.text);
    }
    return err_set(err, code, "%s", why.text);
}
