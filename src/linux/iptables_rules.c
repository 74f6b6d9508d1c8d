/* The rules of a mirror as lines for iptables-restore, and as commands for a shell. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "linux/iptables_parts.h"

#define NAME_CUT   12   /* of a name that does not fit, with 8 digits behind it */
#define FILTER_MAX 1000 /* characters of one argument that iptables-restore takes */

const char *tee_hook(bool in)
{
    return in ? "PREROUTING" : "POSTROUTING";
}

bool tee_is_mirror_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");
    return len > 0 && len < 32 && name[len] == '\0';
}

/* No character that means something to iptables ('+' at the end: all that begin so) or a shell. */
bool tee_is_device(const char *name)
{
    size_t len =
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:@");
    return len > 0 && len < 16 && name[len] == '\0' && name[0] != '-';
}

void tee_chain_name(const char *mirror, bool in, char out[TEE_CHAIN_MAX])
{
    size_t len = strlen(mirror), room = TEE_CHAIN_MAX - sizeof TEE_PREFIX - 2;
    uint8_t hash[HASH_SHA1_SIZE];
    char digits[9];
    if (len <= room) {
        (void)snprintf(out, TEE_CHAIN_MAX, TEE_PREFIX "%.*s-%c", (int)room, mirror, in ? 'I' : 'O');
        return;
    }
    hash_sha1(mirror, len, hash);
    hash_hex(hash, 4, digits);
    (void)snprintf(out, TEE_CHAIN_MAX, TEE_PREFIX "%.*s-%.8s-%c", NAME_CUT, mirror, digits,
                   in ? 'I' : 'O');
}

void tee_put_address(const struct addr *address, bool with_length, struct text *out)
{
    char text[ADDR_TEXT_MAX];
    text_add(out, text, addr_format(address, text));
    if (with_length)
        text_put(out, addr_is_v4(address) ? "/32" : "/128");
}

void tee_put_filter(const struct linux_tee *tee, struct text *out)
{
    text_format(out, "%zu", tee->n_filter);
    for (size_t i = 0; i < tee->n_filter; i++) {
        const struct linux_bpf_line *line = &tee->filter[i];
        text_format(out, ",%u %u %u %u", line->code, line->yes, line->no, line->k);
    }
}

static void put_comment(const struct linux_tee *tee, struct text *out)
{
    text_format(out, " -m comment --comment \"" TEE_COMMENT "%s\"", tee->mirror);
}

/* A rule that leaves the packet alone: the address, what it is, and the end. */
static void put_exclusion(const struct linux_tee *tee, const char *chain, const char *side,
                          const struct linux_exclusion *e, const char *what, struct text *out)
{
    text_format(out, "-A %s %s ", chain, side);
    tee_put_address(&e->collector, true, out);
    text_format(out, " %s", what);
    put_comment(tee, out);
    text_put(out, " -j RETURN\n");
}

static void put_exclusions(const struct linux_tee *tee, const char *chain, struct text *out)
{
    bool v4 = tee->family == LINUX_TEE_4;
    for (size_t i = 0; i < tee->n_exclusions; i++) {
        const struct linux_exclusion *e = &tee->exclusions[i];
        char port[40];
        if (addr_is_v4(&e->collector) != v4)
            continue;
        (void)snprintf(port, sizeof port, "-p udp -m udp --dport %u", e->port);
        if (e->protocol == IPPROTO_UDP)
            put_exclusion(tee, chain, "-d", e, port, out);
        if (e->protocol == IPPROTO_UDP && v4) {
            put_exclusion(tee, chain, "-d", e, "-p udp -f", out);
        } else if (e->protocol == IPPROTO_UDP) {
            put_exclusion(tee, chain, "-d", e, "-p udp -m frag --fragmore", out);
            put_exclusion(tee, chain, "-d", e, "-p udp -m frag --fraglast", out);
        } else {
            put_exclusion(tee, chain, "-d", e, "-p gre", out);
        }
        put_exclusion(
            tee, chain, "-s", e,
            v4 ? "-p icmp -m icmp --icmp-type 3" : "-p ipv6-icmp -m icmp6 --icmpv6-type 1", out);
    }
}

void tee_put_rules(const struct linux_tee *tee, bool in, struct text *out)
{
    char chain[TEE_CHAIN_MAX];
    tee_chain_name(tee->mirror, in, chain);
    if (in) { /* what this machine sent to all comes by again, as if it had been received */
        text_format(out, "-A %s -m addrtype --src-type LOCAL", chain);
        put_comment(tee, out);
        text_put(out, " -j RETURN\n");
    }
    put_exclusions(tee, chain, out);
    text_format(out, "-A %s", chain);
    if (tee->n_filter > 0) {
        text_put(out, " -m bpf --bytecode \"");
        tee_put_filter(tee, out);
        text_put(out, "\"");
    }
    put_comment(tee, out);
    text_put(out, " -j TEE --gateway ");
    tee_put_address(&tee->gateway, false, out);
    if (*tee->to)
        text_format(out, " --oif %s", tee->to);
    text_put(out, "\n");
}

void tee_put_jump(const struct linux_tee *tee, bool in, struct text *out)
{
    char chain[TEE_CHAIN_MAX];
    tee_chain_name(tee->mirror, in, chain);
    text_format(out, "-A %s -%c %s", tee_hook(in), in ? 'i' : 'o', tee->interface);
    put_comment(tee, out);
    text_format(out, " -j %s\n", chain);
}

int linux_tee_filter(const char *expression, struct linux_tee *tee, struct err *err)
{
    struct linux_bpf bpf = {0};
    struct text text;
    tee->n_filter = 0;
    if (!expression || !expression[strspn(expression, " \t\n")])
        return 0;
    int code = linux_exclusion_filter(NULL, 0, expression, LINUX_PACKET_IP, &bpf, err);
    if (code < 0)
        return code;
    if (bpf.n <= LINUX_TEE_FILTER_MAX) {
        memcpy(tee->filter, bpf.at, bpf.n * sizeof *bpf.at);
        tee->n_filter = bpf.n;
        text_init(&text, FILTER_MAX);
        tee_put_filter(tee, &text);
        if (text.failed)
            tee->n_filter = 0;
        text_done(&text);
    }
    linux_bpf_done(&bpf);
    if (tee->n_filter == 0)
        return err_set(err, -E2BIG,
                       "filter \"%.200s\": is too long for iptables, which takes a program of %d "
                       "instructions and %d characters: use a shorter one, or another method",
                       expression, LINUX_TEE_FILTER_MAX, FILTER_MAX);
    return 0;
}

/* Each line of rules as a command. */
static void put_commands(const char *program, const struct text *rules, struct text *out)
{
    for (const char *at = rules->at; at && *at;) {
        size_t len = strcspn(at, "\n");
        text_format(out, "%s -w -t mangle ", program);
        text_add(out, at, len);
        text_put(out, "\n");
        at += len + (at[len] == '\n');
    }
}

static const char *program_of(int family)
{
    return family == LINUX_TEE_4 ? "iptables" : "ip6tables";
}

void linux_tee_put_make(const struct linux_tee *want, struct text *out)
{
    const char *program = program_of(want->family);
    struct text rules, jumps;
    text_init(&rules, TEE_TEXT_MAX);
    text_init(&jumps, TEE_TEXT_MAX);
    for (int in = 1; in >= 0; in--) {
        char chain[TEE_CHAIN_MAX];
        if (in ? !want->in : !want->out)
            continue;
        tee_chain_name(want->mirror, in, chain);
        text_format(out, "%s -w -t mangle -N %s\n", program, chain);
        tee_put_rules(want, in, &rules);
        tee_put_jump(want, in, &jumps);
    }
    /* All chains are filled before packets come to them; and then they come there first. */
    put_commands(program, &rules, out);
    for (char *at = jumps.at; at && (at = strstr(at, "-A ")); at += 3)
        at[1] = 'I';
    put_commands(program, &jumps, out);
    out->failed |= rules.failed || jumps.failed;
    text_done(&rules);
    text_done(&jumps);
}

void linux_tee_put_remove(const struct linux_tee *is, struct text *out)
{
    const char *program = program_of(is->family);
    for (int in = 1; in >= 0; in--) {
        char chain[TEE_CHAIN_MAX];
        struct text jump;
        if (in ? !is->in : !is->out)
            continue;
        tee_chain_name(is->mirror, in, chain);
        text_init(&jump, TEE_TEXT_MAX);
        tee_put_jump(is, in, &jump);
        if (jump.at)
            jump.at[1] = 'D';
        put_commands(program, &jump, out);
        text_done(&jump);
        text_format(out, "%s -w -t mangle -F %s\n%s -w -t mangle -X %s\n", program, chain, program,
                    chain);
    }
}
