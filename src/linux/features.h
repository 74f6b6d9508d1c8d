/* What this kernel can do for a mirror, found out by trying it in a network namespace of a child
 * process, which goes away with it. */
#ifndef LINUX_FEATURES_H
#define LINUX_FEATURES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum linux_feature {
    LINUX_FEATURE_CLSACT,
    LINUX_FEATURE_MATCHALL,
    LINUX_FEATURE_U32,
    LINUX_FEATURE_BPF,
    LINUX_FEATURE_MIRRED,
    LINUX_FEATURE_POLICE,
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
    LINUX_FEATURES
};

/* One row for each, in this order. `attempt` runs in the scratch namespace, where there is an
 * interface "lo" that is up and a veth pair "try0", "try1"; each has a child process of its own. */
struct linux_feature_row {
    const char *name; /* "clsact" */
    const char *what; /* "the hooks of tc for both directions" */
    int (*attempt)(struct err *err);
    const char *module; /* whose loading would make interfaces in all namespaces; NULL: none */
};
extern const struct linux_feature_row linux_feature_table[LINUX_FEATURES];

enum linux_feature_answer {
    LINUX_FEATURE_NO,
    LINUX_FEATURE_YES,
    LINUX_FEATURE_UNTRIED /* there is a module for it, but it is not loaded */
};

struct linux_feature_state {
    enum linux_feature_answer answer;
    char why[160]; /* a sentence where it is not YES, in the kernel's words; else "" */
};

/* Tries all. The host's own namespace is left as it is, but kernel modules may be loaded – except
 * those of GRE, which would put interfaces named gre0, gretap0, erspan0 into it: as long as they
 * are not loaded, that is said instead (UNTRIED), and the first device of that kind will load them.
 *
 * -EPERM: no namespace may be made, which needs CAP_SYS_ADMIN. Takes a fraction of a second. */
int linux_features(struct linux_feature_state out[LINUX_FEATURES], struct err *err) MUST_CHECK;

#endif
