/* What this kernel can do for a mirror, found out by trying it in a network namespace of a child
 * process, which goes away with it. */
#ifndef LINUX_FEATURES_H
#define LINUX_FEATURES_H

#include "base/err.h"

enum linux_feature {
    LINUX_FEATURE_CLSACT,
    LINUX_FEATURE_MATCHALL,
    LINUX_FEATURE_U32,
    LINUX_FEATURE_BPF,
    LINUX_FEATURE_MIRRED,
    LINUX_FEATURE_POLICE,
    LINUX_FEATURE_GACT,
    LINUX_FEATURE_TUNNEL_KEY,
    LINUX_FEATURE_VXLAN,
    LINUX_FEATURE_GENEVE,
    LINUX_FEATURE_GRETAP,
    LINUX_FEATURE_ERSPAN1,
    LINUX_FEATURE_ERSPAN2,
    LINUX_FEATURE_ERSPAN3,
    LINUX_FEATURE_IP6GRETAP,
    LINUX_FEATURE_IP6ERSPAN2,
    LINUX_FEATURE_IP6ERSPAN3,
    LINUX_FEATURE_VLAN,
    LINUX_FEATURE_NFT_IN,
    LINUX_FEATURE_NFT_OUT,
    LINUX_FEATURE_NFT_IP,
    LINUX_FEATURE_NFT_IP6,
    LINUX_FEATURE_TEE,
    LINUX_FEATURE_TEE6,
    LINUX_FEATURE_TEE_FILTER,
    LINUX_FEATURES
};

/* One row for each. They are tried in this order and in one namespace, in which there is nothing at
 * first but "lo", down; a row may use what those before it have left there. */
struct linux_feature_row {
    const char *name; /* "clsact" */
    const char *what; /* what it is good for, for a list: "the hooks for both directions" */
    int (*attempt)(struct err *err); /* 0, or a negative errno and the kernel's words */
    const char *module; /* one whose loading makes interfaces in all namespaces; NULL: none does */
};
extern const struct linux_feature_row linux_feature_table[LINUX_FEATURES];

enum linux_feature_answer {
    LINUX_FEATURE_NO,
    LINUX_FEATURE_YES,
    LINUX_FEATURE_UNTRIED /* needs a module that is not loaded, and was not loaded for this */
};

struct linux_feature_state {
    enum linux_feature_answer answer;
    char why[200]; /* where it is not YES, a sentence in the kernel's words; else "" */
};

/* Tries all. The host's own namespace is left as it is, but kernel modules may be loaded – except
 * those of GRE, which would put interfaces named gre0, gretap0, erspan0 into it: as long as they
 * are not loaded, that is said instead (UNTRIED), and the first device of that kind will load them.
 *
 * -EPERM: no namespace may be made, which needs CAP_SYS_ADMIN. Takes a fraction of a second, or
 * some seconds where modules are loaded. */
int linux_features(struct linux_feature_state out[LINUX_FEATURES], struct err *err) MUST_CHECK;

#endif
