/* The rules of a mirror's table, as nft's JSON takes them (libnftables-json(5)). */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "linux/nft_parts.h"

#define IP4_TYPE    0x0800
#define IP6_TYPE    0x86dd
#define ICMP_SIZE   8
#define MAC_SIZE    14
#define TAG_SIZE    4
#define NO_OPTIONS4 20 /* an IPv4 header without options, which our tunnels' packets have */
#define HEAD6       40
#define FRAGMENT6   44
#define ICMP6       58

void nft_table_name(const char *mirror, char out[NFT_TABLE_MAX])
{
    (void)snprintf(out, NFT_TABLE_MAX, NFT_PREFIX "%.31s", mirror);
}

bool nft_concerns(int family, const struct linux_exclusion *exclusion)
{
    return family == LINUX_NFT_NETDEV ||
           (family == LINUX_NFT_IP) == addr_is_v4(&exclusion->collector);
}

/* What a table is made into. */
struct making {
    const char *family;
    char table[NFT_TABLE_MAX];
    json_t *objects;
    bool failed;
};

static void add(struct making *m, const char *kind, json_t *object)
{
    m->failed |= json_array_append_new(m->objects, json_pack("{s: o}", kind, object)) < 0;
}

/* A rule of as many expressions as are given; all are taken over. */
static void add_rule(struct making *m, const char *chain, json_t *const *parts, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        m->failed |= json_array_append_new(list, parts[i]) < 0;
    add(m, "rule",
        json_pack("{s: s, s: s, s: s, s: o}", "family", m->family, "table", m->table, "chain",
                  chain, "expr", list));
}

static json_t *match(json_t *left, const char *op, json_t *right)
{
    return json_pack("{s: {s: s, s: o, s: o}}", "match", "op", op, "left", left, "right", right);
}

static json_t *field(const char *protocol, const char *name)
{
    return json_pack("{s: {s: s, s: s}}", "payload", "protocol", protocol, "field", name);
}

static json_t *meta(const char *key)
{
    return json_pack("{s: {s: s}}", "meta", "key", key);
}

/* Bytes from `base` on: of the frame ("ll"), of what is behind the IP header ("th"). */
static json_t *bytes(const char *base, unsigned offset, unsigned size)
{
    return json_pack("{s: {s: s, s: i, s: i}}", "payload", "base", base, "offset",
                     (int)(offset * 8), "len", (int)(size * 8));
}

static json_t *bytes_are(const char *base, unsigned offset, unsigned size, unsigned value)
{
    return match(bytes(base, offset, size), "==", json_integer((json_int_t)value));
}

static json_t *masked(json_t *left, unsigned mask)
{
    return json_pack("{s: [o, i]}", "&", left, (int)mask);
}

static json_t *some(json_t *left, unsigned mask)
{
    return match(masked(left, mask), "!=", json_integer(0));
}

static json_t *verdict(const char *word)
{
    return json_pack("{s: n}", word);
}

static json_t *jump(const char *chain)
{
    return json_pack("{s: {s: s}}", "jump", "target", chain);
}

static json_t *text_of(const struct addr *address)
{
    char text[ADDR_TEXT_MAX];
    return json_stringn(text, addr_format(address, text));
}

/* The address as bytes of a packet. */
static json_t *address_is(const char *base, unsigned offset, const struct addr *address)
{
    const uint8_t *b = address->b;
    char digits[2 + 32 + 1] = "0x";
    if (addr_is_v4(address))
        return bytes_are(base, offset, 4,
                         (unsigned)b[12] << 24 | (unsigned)b[13] << 16 | (unsigned)b[14] << 8 |
                             b[15]);
    for (int i = 0; i < 16; i++)
        (void)snprintf(digits + 2 + 2 * (size_t)i, 3, "%02x", b[i]);
    return match(bytes(base, offset, 16), "==", json_string(digits));
}

/* Types of VLAN tags. */
static json_t *tag_types(void)
{
    return json_pack("{s: [i, i, i]}", "set", 0x8100, 0x88a8, 0x9100);
}

/* ICMP's errors that quote a packet. */
static json_t *error_types(bool v4)
{
    return v4 ? json_pack("{s: [i, i, i]}", "set", 3, 11, 12)
              : json_pack("{s: [i, i]}", "range", 1, 4);
}

#define RULE(m, chain, ...)                                                                        \
    add_rule(m, chain, (json_t *const[]){__VA_ARGS__},                                             \
             sizeof((json_t *const[]){__VA_ARGS__}) / sizeof(json_t *))

/* The quoted header has no options. Where it is in front of a port, the port is asked, too. */
static void exclude_errors(struct making *m, const struct linux_exclusion *e)
{
    bool v4 = addr_is_v4(&e->collector);
    json_t *type = match(field(v4 ? "icmp" : "icmpv6", "type"), "==", error_types(v4));
    json_t *protocol = bytes_are("th", ICMP_SIZE + (v4 ? 9 : 6), 1, e->protocol);
    json_t *address = address_is("th", ICMP_SIZE + (v4 ? 16 : 24), &e->collector);
    if (e->protocol == IPPROTO_UDP)
        RULE(m, NFT_EXCLUDED, type, protocol, address,
             bytes_are("th", ICMP_SIZE + (v4 ? NO_OPTIONS4 : HEAD6) + 2, 2, e->port),
             verdict("accept"));
    else
        RULE(m, NFT_EXCLUDED, type, protocol, address, verdict("accept"));
}

static json_t *goes_to(const struct linux_exclusion *e)
{
    return match(field(addr_is_v4(&e->collector) ? "ip" : "ip6", "daddr"),
                 "==", text_of(&e->collector));
}

static json_t *carries(const struct linux_exclusion *e)
{
    json_t *left = addr_is_v4(&e->collector) ? field("ip", "protocol") : meta("l4proto");
    return match(left, "==", json_string(e->protocol == IPPROTO_UDP ? "udp" : "gre"));
}

/* Later fragments have no port. */
static json_t *is_later(bool v4)
{
    return v4 ? some(field("ip", "frag-off"), 0x1fff)
              : match(json_pack("{s: {s: s, s: s}}", "exthdr", "name", "frag", "field", "frag-off"),
                      "!=", json_integer(0));
}

static void exclude(struct making *m, const struct linux_exclusion *e)
{
    bool v4 = addr_is_v4(&e->collector);
    if (e->protocol == IPPROTO_UDP) {
        RULE(m, NFT_EXCLUDED, goes_to(e), match(field("udp", "dport"), "==", json_integer(e->port)),
             verdict("accept"));
        RULE(m, NFT_EXCLUDED, goes_to(e), carries(e), is_later(v4), verdict("accept"));
    } else {
        RULE(m, NFT_EXCLUDED, goes_to(e), carries(e), verdict("accept"));
    }
    exclude_errors(m, e);
}

/* A rule for what is behind one or two tags: its beginning, to which more is added. */
struct tagged {
    json_t *parts[8];
    size_t n;
};

static void also(struct tagged *t, json_t *part)
{
    t->parts[t->n++] = part;
}

static struct tagged behind(unsigned n_tags, bool v4)
{
    struct tagged t = {0};
    if (n_tags == 2)
        also(&t, match(bytes("ll", MAC_SIZE + 2, 2), "==", tag_types()));
    also(&t, bytes_are("ll", MAC_SIZE - 2 + TAG_SIZE * n_tags, 2, v4 ? IP4_TYPE : IP6_TYPE));
    return t;
}

static void end(struct making *m, struct tagged *t)
{
    also(t, verdict("accept"));
    add_rule(m, NFT_TAGGED, t->parts, t->n);
}

static void exclude_tagged4(struct making *m, const struct linux_exclusion *e, unsigned n_tags)
{
    unsigned at = MAC_SIZE + TAG_SIZE * n_tags;
    struct tagged t;
    for (int later = e->protocol == IPPROTO_UDP; later >= 0; later--) {
        t = behind(n_tags, true);
        also(&t, bytes_are("ll", at + 9, 1, e->protocol));
        also(&t, address_is("ll", at + 16, &e->collector));
        if (later)
            also(&t, some(bytes("ll", at + 6, 2), 0x1fff));
        else if (e->protocol == IPPROTO_UDP)
            also(&t, bytes_are("ll", at + NO_OPTIONS4 + 2, 2, e->port));
        end(m, &t);
    }
    t = behind(n_tags, true);
    also(&t, bytes_are("ll", at + 9, 1, IPPROTO_ICMP));
    at += NO_OPTIONS4;
    also(&t, match(bytes("ll", at, 1), "==", error_types(true)));
    also(&t, bytes_are("ll", at + ICMP_SIZE + 9, 1, e->protocol));
    also(&t, address_is("ll", at + ICMP_SIZE + 16, &e->collector));
    if (e->protocol == IPPROTO_UDP)
        also(&t, bytes_are("ll", at + ICMP_SIZE + NO_OPTIONS4 + 2, 2, e->port));
    end(m, &t);
}

static void exclude_tagged6(struct making *m, const struct linux_exclusion *e, unsigned n_tags)
{
    enum { WHOLE, LATER, FIRST, N };
    unsigned at = MAC_SIZE + TAG_SIZE * n_tags;
    bool is_udp = e->protocol == IPPROTO_UDP;
    struct tagged t;
    for (int kind = WHOLE; kind < (is_udp ? N : FIRST); kind++) {
        t = behind(n_tags, false);
        also(&t, bytes_are("ll", at + 6, 1, kind == WHOLE ? e->protocol : FRAGMENT6));
        if (kind != WHOLE) /* not right behind the address: nft would make one match of both */
            also(&t, bytes_are("ll", at + HEAD6, 1, e->protocol));
        also(&t, address_is("ll", at + 24, &e->collector));
        if (kind == LATER && is_udp)
            also(&t, some(bytes("ll", at + HEAD6 + 2, 2), 0xfff8));
        else if (is_udp)
            also(&t, bytes_are("ll", at + HEAD6 + (kind == WHOLE ? 2 : 10), 2, e->port));
        end(m, &t);
    }
    t = behind(n_tags, false);
    also(&t, bytes_are("ll", at + 6, 1, ICMP6));
    at += HEAD6;
    also(&t, match(bytes("ll", at, 1), "==", error_types(false)));
    also(&t, bytes_are("ll", at + ICMP_SIZE + 6, 1, e->protocol));
    also(&t, address_is("ll", at + ICMP_SIZE + 24, &e->collector));
    if (is_udp)
        also(&t, bytes_are("ll", at + ICMP_SIZE + HEAD6 + 2, 2, e->port));
    end(m, &t);
}

static void add_chain(struct making *m, const char *name, const struct linux_nft *want, bool in)
{
    bool netdev = want->family == LINUX_NFT_NETDEV;
    const char *hook = netdev ? (in ? "ingress" : "egress") : (in ? "prerouting" : "postrouting");
    json_t *chain = json_pack("{s: s, s: s, s: s, s: s, s: s, s: i, s: s}", "family", m->family,
                              "table", m->table, "name", name, "type", "filter", "hook", hook,
                              "prio", netdev ? -500 : (in ? -300 : 300), "policy", "accept");
    if (netdev)
        m->failed |= json_object_set_new(chain, "dev", json_string(want->interface)) < 0;
    add(m, "chain", chain);
}

static void add_plain_chain(struct making *m, const char *name)
{
    add(m, "chain",
        json_pack("{s: s, s: s, s: s}", "family", m->family, "table", m->table, "name", name));
}

static json_t *counter(void)
{
    return json_pack("{s: {s: i, s: i}}", "counter", "packets", 0, "bytes", 0);
}

static json_t *limit(const struct linux_nft *want)
{
    return json_pack("{s: {s: I, s: s, s: s, s: I, s: s}}", "limit", "rate", (json_int_t)want->rate,
                     "rate_unit", "bytes", "per", "second", "burst",
                     (json_int_t)(want->burst ? want->burst : LINUX_NFT_BURST), "burst_unit",
                     "bytes");
}

static bool excludes(const struct linux_nft *want)
{
    for (size_t i = 0; i < want->n_exclusions; i++)
        if (nft_concerns(want->family, &want->exclusions[i]))
            return true;
    return false;
}

/* What is copied, behind what is excluded. Two counters where there is a limit between them. */
static void add_copying(struct making *m, const char *chain, const struct linux_nft *want, bool in)
{
    bool netdev = want->family == LINUX_NFT_NETDEV;
    if (!netdev)
        RULE(m, chain, match(meta(in ? "iifname" : "oifname"), "!=", json_string(want->interface)),
             verdict("accept"));
    /* What this machine itself sent to all comes by again, as if it had been received. */
    if (in)
        RULE(m, chain,
             match(json_pack("{s: {s: s, s: [s]}}", "fib", "result", "type", "flags", "saddr"),
                   "==", json_string("local")),
             verdict("accept"));
    if (excludes(want))
        RULE(m, chain, jump(NFT_EXCLUDED));
    json_t *copy = netdev ? json_pack("{s: {s: s}}", "dup", "addr", want->to)
                          : json_pack("{s: {s: o, s: s}}", "dup", "addr", text_of(&want->gateway),
                                      "dev", want->to);
    if (want->rate > 0)
        RULE(m, chain, counter(), limit(want), counter(), copy);
    else
        RULE(m, chain, counter(), copy);
}

json_t *nft_rules_make(const struct linux_nft *want)
{
    struct making m = {.family = linux_nft_family_name(want->family), .objects = json_array()};
    bool by_tags = want->family == LINUX_NFT_NETDEV && excludes(want);
    nft_table_name(want->mirror, m.table);
    add(&m, "table", json_pack("{s: s, s: s}", "family", m.family, "name", m.table));
    if (by_tags)
        add_plain_chain(&m, NFT_TAGGED);
    if (excludes(want))
        add_plain_chain(&m, NFT_EXCLUDED);
    if (want->in)
        add_chain(&m, NFT_RECEIVED, want, true);
    if (want->out)
        add_chain(&m, NFT_SENT, want, false);
    for (size_t i = 0; i < want->n_exclusions; i++) {
        const struct linux_exclusion *e = &want->exclusions[i];
        for (unsigned n_tags = 1; by_tags && n_tags <= 2; n_tags++)
            if (addr_is_v4(&e->collector))
                exclude_tagged4(&m, e, n_tags);
            else
                exclude_tagged6(&m, e, n_tags);
        if (nft_concerns(want->family, e))
            exclude(&m, e);
    }
    if (by_tags)
        RULE(&m, NFT_EXCLUDED, match(meta("protocol"), "==", tag_types()), jump(NFT_TAGGED));
    if (want->in)
        add_copying(&m, NFT_RECEIVED, want, true);
    if (want->out)
        add_copying(&m, NFT_SENT, want, false);
    if (!m.failed)
        return m.objects;
    json_decref(m.objects);
    return NULL;
}
