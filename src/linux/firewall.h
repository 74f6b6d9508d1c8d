/* What this machine's own firewall does with mirrored packets. nft is run as a program: its library
 * may not be linked, and it knows its own language best. */
#ifndef LINUX_FIREWALL_H
#define LINUX_FIREWALL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum linux_verdict {
    LINUX_FIREWALL_OPEN,  /* nothing found that would drop them */
    LINUX_FIREWALL_DROPS, /* a rule for this port drops or rejects */
    LINUX_FIREWALL_CLOSED /* what no rule accepts is dropped, and none accepts this port */
};

struct linux_firewall {
    enum linux_verdict verdict;
    char family[12], table[64], chain[64]; /* where; "" when open */
};

/* Reads what `nft -j list ruleset` prints. A rule that accepts the port anywhere in the table
 * counts, since chains jump to each other. */
int linux_parse_firewall(const char *json, size_t size, uint16_t port, struct linux_firewall *out,
                         struct err *err) MUST_CHECK;

/* Runs nft. -ENOENT: it is not installed; -EPERM: it may not be asked. */
int linux_firewall(uint16_t port, struct linux_firewall *out, struct err *err) MUST_CHECK;

#endif
