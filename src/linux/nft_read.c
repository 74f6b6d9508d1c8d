/* A mirror's table as nft prints it: what it is for, and whether it is as it should be. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "linux/differ.h"
#include "linux/nft_parts.h"

#define TEXT_MAX (1u << 20)

/* `out` stays as it is where the string is empty or too long. */
static void copy(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len > 0 && len < size)
        memcpy(out, text, len + 1);
}

static const json_t *kind(const json_t *objects, size_t i, const char *name)
{
    return json_object_get(json_array_get(objects, i), name);
}

/* The device of a chain's hook, from the listing for people:
 *     chain received {
 *         type filter hook ingress device "eth0" priority -500; policy accept; */
static void find_device(const char *listing, const char *chain, char out[16])
{
    static const char start[] = "device \"";
    char head[80];
    int n = snprintf(head, sizeof head, "chain %.64s {", chain);
    const char *at = strstr(listing, head);
    const char *end = at ? strchr(at, '}') : NULL;
    at = at ? strstr(at + n, start) : NULL;
    if (!at || !end || at > end)
        return;
    at += sizeof start - 1;
    size_t len = strcspn(at, "\"\n");
    if (at[len] != '"' || len == 0 || len > 15)
        return;
    memcpy(out, at, len);
    out[len] = '\0';
}

/* Versions before 1.0.7 print no device, later ones may print a list of them. */
static void fill_device(json_t *chain, const char *listing)
{
    json_t *device = json_object_get(chain, "dev");
    char name[16] = "";
    if (!*nft_string(chain, "hook") || strcmp(nft_string(chain, "family"), "netdev") != 0)
        return;
    if (json_array_size(device) == 1)
        copy(name, sizeof name, json_string_value(json_array_get(device, 0)) ?: "");
    else if (!device && listing)
        find_device(listing, nft_string(chain, "name"), name);
    if (*name)
        (void)json_object_set_new(chain, "dev",
                                  json_string(name)); /* then it is not as it should */
}

/* Of a rule: the match on a field of a packet, or NULL. */
static const json_t *right_of(const json_t *part, const char *protocol, const char *field)
{
    const json_t *match = json_object_get(part, "match");
    const json_t *left = json_object_get(match, "left");
    const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta");
    bool is = protocol ? strcmp(nft_string(payload, "protocol"), protocol) == 0 &&
                             strcmp(nft_string(payload, "field"), field) == 0
                       : strcmp(nft_string(meta, "key"), field) == 0;
    return is ? json_object_get(match, "right") : NULL;
}

/* The rules of a tunnel that name all of it: "ip daddr 10.9.0.2 udp dport 4789 accept", "ip daddr
 * 10.9.0.2 ip protocol gre accept". */
static void take_exclusion(const json_t *rule, struct linux_nft *out)
{
    const json_t *parts = json_object_get(rule, "expr");
    const json_t *first = json_array_get(parts, 0), *second = json_array_get(parts, 1);
    struct linux_exclusion e = {0};
    const json_t *address = right_of(first, "ip", "daddr");
    if (!address)
        address = right_of(first, "ip6", "daddr");
    const char *text = json_string_value(address);
    if (json_array_size(parts) != 3 || !text || !addr_parse(text, &e.collector))
        return;
    const json_t *port = right_of(second, "udp", "dport");
    const json_t *protocol = right_of(second, "ip", "protocol");
    if (!protocol)
        protocol = right_of(second, NULL, "l4proto");
    const char *name = json_string_value(protocol);
    json_int_t number = json_integer_value(port ? port : protocol);
    if (port && number > 0 && number < 65536) {
        e.protocol = IPPROTO_UDP;
        e.port = (uint16_t)number;
    } else if (protocol && (name ? strcmp(name, "gre") == 0 : number == IPPROTO_GRE)) {
        e.protocol = IPPROTO_GRE;
    } else {
        return;
    }
    if (out->n_exclusions < LINUX_EXCLUSIONS_MAX)
        out->exclusions[out->n_exclusions++] = e;
}

static uint64_t counted(const json_t *counter, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(counter, name));
    return value > 0 ? (uint64_t)value : 0;
}

static uint64_t in_bytes(const json_t *limit, const char *name, const char *unit_name)
{
    const char *unit = nft_string(limit, unit_name);
    unsigned shift = strcmp(unit, "kbytes") == 0 ? 10 : strcmp(unit, "mbytes") == 0 ? 20 : 0;
    uint64_t value = counted(limit, name);
    return value > UINT64_MAX >> shift ? UINT64_MAX : value << shift;
}

/* The rule that copies: the counter in front of a limit counts what is seen, the last one what is
 * copied. */
static void take_copying(const json_t *rule, struct linux_nft *out, struct linux_nft_count *count)
{
    const json_t *parts = json_object_get(rule, "expr");
    bool seen = false;
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *dup = json_object_get(part, "dup");
        const json_t *counter = json_object_get(part, "counter");
        const json_t *limit = json_object_get(part, "limit");
        const json_t *interface = right_of(part, NULL, "iifname");
        if (!interface)
            interface = right_of(part, NULL, "oifname");
        if (json_is_string(interface))
            copy(out->interface, sizeof out->interface, json_string_value(interface));
        if (counter) {
            count->n_copied = counted(counter, "packets");
            count->bytes_copied = counted(counter, "bytes");
            if (!seen) {
                count->n_seen = count->n_copied;
                count->bytes_seen = count->bytes_copied;
            }
            seen = true;
        }
        if (limit) {
            uint64_t burst = in_bytes(limit, "burst", "burst_unit");
            out->rate = in_bytes(limit, "rate", "rate_unit");
            out->burst = burst > UINT32_MAX ? UINT32_MAX : (uint32_t)burst;
        }
        if (dup && out->family == LINUX_NFT_NETDEV)
            copy(out->to, sizeof out->to, nft_string(dup, "addr"));
        if (dup && out->family != LINUX_NFT_NETDEV) {
            copy(out->to, sizeof out->to, nft_string(dup, "dev"));
            (void)addr_parse(nft_string(dup, "addr"), &out->gateway);
        }
    }
}

static void take(const json_t *objects, struct linux_nft_found *out)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *chain = kind(objects, i, "chain"), *rule = kind(objects, i, "rule");
        const char *name = chain ? nft_string(chain, "name") : nft_string(rule, "chain");
        bool in = strcmp(name, NFT_RECEIVED) == 0, sent = strcmp(name, NFT_SENT) == 0;
        if (chain) {
            out->is.in |= in;
            out->is.out |= sent;
            copy(out->is.interface, sizeof out->is.interface, nft_string(chain, "dev"));
        } else if (rule && (in || sent)) {
            take_copying(rule, &out->is, in ? &out->in : &out->out);
        } else if (rule && strcmp(name, NFT_EXCLUDED) == 0) {
            take_exclusion(rule, &out->is);
        }
    }
}

static int compare(const json_t *objects, struct linux_nft_found *out, struct err *err)
{
    json_t *should = nft_rules_make(&out->is);
    struct text is, wanted;
    text_init(&is, TEXT_MAX);
    text_init(&wanted, TEXT_MAX);
    nft_put_table(objects, NULL, &is);
    nft_put_table(should, NULL, &wanted);
    json_decref(should);
    int code = should && !wanted.failed ? 0 : err_set(err, -ENOMEM, "no memory for nft's rules");
    /* More than fits is more than we ever make. */
    if (code == 0 && is.failed)
        (void)snprintf(out->strange, sizeof out->strange, "it has very many rules");
    out->intact = code == 0 && !is.failed &&
                  !differ_lines(is.at, wanted.at, out->strange, sizeof out->strange);
    text_done(&is);
    text_done(&wanted);
    return code;
}

/* Only the table itself, its chains and rules: sets and the like are not ours. */
static size_t count_others(const json_t *objects)
{
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(objects); i++)
        n += !kind(objects, i, "metainfo") && !kind(objects, i, "table") &&
             !kind(objects, i, "chain") && !kind(objects, i, "rule");
    return n;
}

static bool take_table(const json_t *objects, struct linux_nft *out)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *table = kind(objects, i, "table");
        const char *name = nft_string(table, "name");
        if (!table || !nft_mirror_of(name, out->mirror))
            continue;
        for (int f = 0; f < LINUX_NFT_N_FAMILIES; f++)
            if (strcmp(nft_string(table, "family"), linux_nft_family_name(f)) == 0) {
                out->family = f;
                return true;
            }
    }
    return false;
}

int linux_nft_parse(const char *json, size_t size, const char *listing, struct linux_nft_found *out,
                    struct err *err)
{
    json_error_t why;
    json_t *root = json_loadb(json, size, 0, &why);
    const json_t *objects = json_object_get(root, "nftables");
    struct linux_nft_found found = {0};
    if (!json_is_array(objects) || !take_table(objects, &found.is)) {
        json_decref(root);
        return err_set(err, -EBADMSG,
                       "nft -j list table printed something else than a mirror's "
                       "table");
    }
    for (size_t i = 0; i < json_array_size(objects); i++) {
        json_t *chain = json_object_get(json_array_get(objects, i), "chain");
        if (chain)
            fill_device(chain, listing);
    }
    take(objects, &found);
    int code = compare(objects, &found, err);
    size_t n_others = count_others(objects);
    if (code == 0 && found.intact && (n_others > 0 || (!found.is.in && !found.is.out))) {
        found.intact = false;
        (void)snprintf(found.strange, sizeof found.strange,
                       n_others > 0 ? "it holds %zu things of others" : "it copies nothing",
                       n_others);
    }
    json_decref(root);
    if (code == 0)
        *out = found;
    return code;
}

static const char *direction(const struct linux_nft *nft)
{
    return nft->in && nft->out ? "both" : nft->in ? "in" : nft->out ? "out" : "none";
}

static void put_limit(const struct linux_nft *nft, char out[64])
{
    if (nft->rate == 0)
        (void)snprintf(out, 64, "none");
    else
        (void)snprintf(out, 64, "%llu bytes/s and %u", (unsigned long long)nft->rate,
                       nft->burst ? nft->burst : LINUX_NFT_BURST);
}

/* The next exclusion that the family's packets can meet; NULL: none. */
static const struct linux_exclusion *next(const struct linux_nft *nft, size_t *at)
{
    while (*at < nft->n_exclusions) {
        const struct linux_exclusion *e = &nft->exclusions[(*at)++];
        if (nft_concerns(nft->family, e))
            return e;
    }
    return NULL;
}

static bool differ_in_exclusions(const struct linux_nft *is, const struct linux_nft *want,
                                 char *out, size_t size)
{
    size_t i = 0, j = 0;
    const struct linux_exclusion *a, *b;
    do {
        char was[LINUX_EXCLUSION_TEXT] = "nothing", should[LINUX_EXCLUSION_TEXT] = "nothing";
        a = next(is, &i);
        b = next(want, &j);
        if (a)
            linux_exclusion_put(a, was);
        if (b)
            linux_exclusion_put(b, should);
        if (differ_words("excluded", was, should, out, size))
            return true;
    } while (a && b);
    return false;
}

bool linux_nft_same(const struct linux_nft *is, const struct linux_nft *want, char *out_why,
                    size_t size)
{
    char limits[2][64], gateways[2][ADDR_TEXT_MAX] = {"", ""};
    put_limit(is, limits[0]);
    put_limit(want, limits[1]);
    for (int i = 0; i < 2 && want->family != LINUX_NFT_NETDEV; i++) {
        const struct addr *gateway = i == 0 ? &is->gateway : &want->gateway;
        gateways[i][addr_format(gateway, gateways[i])] = '\0';
    }
    return !differ_words("name", is->mirror, want->mirror, out_why, size) &&
           !differ_words("family", linux_nft_family_name(is->family),
                         linux_nft_family_name(want->family), out_why, size) &&
           !differ_words("interface", is->interface, want->interface, out_why, size) &&
           !differ_words("direction", direction(is), direction(want), out_why, size) &&
           !differ_words("to", is->to, want->to, out_why, size) &&
           !differ_words("gateway", gateways[0], gateways[1], out_why, size) &&
           !differ_words("limit", limits[0], limits[1], out_why, size) &&
           !differ_in_exclusions(is, want, out_why, size);
}
