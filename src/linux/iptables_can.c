/* Whether two sets of rules of iptables are the same, and whether this kernel takes such rules. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "linux/differ.h"
#include "linux/iptables_parts.h"

#define TRIAL "trial"

static const char *direction(const struct linux_tee *tee)
{
    return tee->in && tee->out ? "both" : tee->in ? "in" : tee->out ? "out" : "none";
}

/* The next exclusion that the family's packets can meet; "": none. */
static void next(const struct linux_tee *tee, size_t *at, char out[LINUX_EXCLUSION_TEXT])
{
    out[0] = '\0';
    while (*at < tee->n_exclusions && !*out) {
        const struct linux_exclusion *e = &tee->exclusions[(*at)++];
        if (addr_is_v4(&e->collector) == (tee->family == LINUX_TEE_4))
            linux_exclusion_put(e, out);
    }
}

static bool differ_in_exclusions(const struct linux_tee *is, const struct linux_tee *want,
                                 char *out, size_t size)
{
    char was[LINUX_EXCLUSION_TEXT], should[LINUX_EXCLUSION_TEXT];
    size_t i = 0, j = 0;
    do {
        next(is, &i, was);
        next(want, &j, should);
        if (differ_words("excluded", was, should, out, size))
            return true;
    } while (*was);
    return false;
}

static bool differ_in_filter(const struct linux_tee *is, const struct linux_tee *want, char *out,
                             size_t size)
{
    bool same = is->n_filter == want->n_filter &&
                memcmp(is->filter, want->filter, is->n_filter * sizeof *is->filter) == 0;
    if (!same)
        (void)snprintf(out, size, "the filter is %s",
                       is->n_filter == 0     ? "missing"
                       : want->n_filter == 0 ? "there, and should not be"
                                             : "another one");
    return !same;
}

bool linux_tee_same(const struct linux_tee *is, const struct linux_tee *want, char *out_why,
                    size_t size)
{
    static const char *const families[] = {"IPv4", "IPv6"};
    char gateways[2][ADDR_TEXT_MAX];
    for (int i = 0; i < 2; i++)
        gateways[i][addr_format(i == 0 ? &is->gateway : &want->gateway, gateways[i])] = '\0';
    return !differ_words("name", is->mirror, want->mirror, out_why, size) &&
           !differ_words("family", families[is->family], families[want->family], out_why, size) &&
           !differ_words("interface", is->interface, want->interface, out_why, size) &&
           !differ_words("direction", direction(is), direction(want), out_why, size) &&
           !differ_words("gateway", gateways[0], gateways[1], out_why, size) &&
           !differ_words("to", is->to, want->to, out_why, size) &&
           !differ_in_filter(is, want, out_why, size) &&
           !differ_in_exclusions(is, want, out_why, size);
}

static int make_trial(int feature, struct linux_tee *out, struct err *err)
{
    bool v4 = feature == LINUX_TEE_CAN_4 || feature == LINUX_TEE_CAN_FILTER_4;
    *out = (struct linux_tee){.mirror = TRIAL,
                              .family = v4 ? LINUX_TEE_4 : LINUX_TEE_6,
                              .interface = "lo",
                              .in = true,
                              .out = true,
                              .to = "lo",
                              .n_exclusions = 1};
    (void)addr_parse(v4 ? "192.0.2.1" : "2001:db8::1", &out->gateway);
    out->exclusions[0] = (struct linux_exclusion){out->gateway, IPPROTO_UDP, 4789};
    bool with_filter = feature == LINUX_TEE_CAN_FILTER_4 || feature == LINUX_TEE_CAN_FILTER_6;
    return with_filter ? linux_tee_filter("udp port 53", out, err) : 0;
}

int linux_tee_can(int feature, struct err *err)
{
    struct linux_tee all, some;
    struct err why;
    int code = make_trial(feature, &all, err);
    if (code < 0)
        return code;
    code = tee_make(&all, &why);
    if (code == 0)
        return linux_tee_remove(TRIAL, all.family, err);
    if (code == -ENOENT || code == -EPERM || code == -ENOMEM)
        return err_set(err, code, "%s", why.text);
    /* The least that is refused is what is missing. */
    const char *missing = all.n_filter > 0 ? "iptables has no filter by program here (xt_bpf)"
                                           : "iptables cannot tell the mirror's own packets here";
    some = all;
    some.n_filter = 0;
    if (tee_make(&some, &why) < 0) {
        some.n_exclusions = 0;
        missing = tee_make(&some, &why) < 0 ? "iptables cannot copy packets here (xt_TEE)"
                                            : "iptables cannot tell the mirror's own packets here";
    }
    int again = tee_make(&all, &why);
    code = linux_tee_remove(TRIAL, all.family, err);
    return again < 0 ? err_set(err, -EOPNOTSUPP, "%s: %s", missing, why.text) : code;
}
