/* A table's JSON as text in nft's own words: for people, and to compare what is with what should
 * be. Whatever is not one of our own expressions is put as JSON, and so is like none of ours. */
#include <stdlib.h>
#include <string.h>

#include "linux/nft_parts.h"

/* Numbers that nft prints by name. */
static const struct {
    const char *left, *name;
    unsigned number;
} names[] = {
    {"ip protocol", "udp", 17},
    {"ip protocol", "gre", 47},
    {"meta l4proto", "udp", 17},
    {"meta l4proto", "gre", 47},
    {"meta protocol", "vlan", 0x8100},
    {"meta protocol", "8021q", 0x8100}, /* the last one is the one that is put */
    {"meta protocol", "8021ad", 0x88a8},
    {"icmp type", "destination-unreachable", 3},
    {"icmp type", "time-exceeded", 11},
    {"icmp type", "parameter-problem", 12},
    {"icmpv6 type", "destination-unreachable", 1},
    {"icmpv6 type", "packet-too-big", 2},
    {"icmpv6 type", "time-exceeded", 3},
    {"icmpv6 type", "parameter-problem", 4},
};

#define N_NAMES (sizeof names / sizeof *names)

const char *nft_string(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void put_json(const json_t *value, struct text *out)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    if (text)
        text_put(out, text);
    else
        out->failed = true;
    free(text);
}

/* A number, or its name. */
static bool is_number(const char *left, const json_t *value, uint64_t *out)
{
    const char *text = json_string_value(value);
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    for (size_t i = 0; text && i < N_NAMES; i++)
        if (strcmp(left, names[i].left) == 0 && strcmp(text, names[i].name) == 0) {
            *out = names[i].number;
            return true;
        }
    return false;
}

static void put_number(const char *left, uint64_t number, struct text *out)
{
    const char *name = NULL;
    for (size_t i = 0; i < N_NAMES; i++)
        if (strcmp(left, names[i].left) == 0 && names[i].number == number)
            name = names[i].name;
    if (name)
        text_put(out, name);
    else
        text_format(out, left[0] == '@' || strcmp(left, "meta protocol") == 0 ? "0x%llx" : "%llu",
                    (unsigned long long)number);
}

static bool is_word(const char *text)
{
    return text[0] && text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                        "0123456789-_.:")] == '\0';
}

bool nft_is_device(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~' || strchr("\"\\*/", name[i]))
            return false;
    return len > 0 && len < 16;
}

static void put_scalar(const char *left, const json_t *value, struct text *out)
{
    const char *text = json_string_value(value);
    uint64_t number;
    if (is_number(left, value, &number)) {
        put_number(left, number, out);
    } else if (text && left[0] == '@' && strncmp(text, "0x", 2) == 0 && is_word(text)) {
        text += 2 + strspn(text + 2, "0"); /* a long number, which some versions print in full */
        text_format(out, "0x%.64s", *text ? text : "0");
    } else if (text && strstr(left, "ifname") && nft_is_device(text)) {
        text_format(out, "\"%.64s\"", text);
    } else if (text && is_word(text)) {
        text_format(out, "%.64s", text);
    } else {
        put_json(value, out);
    }
}

/* Sets have no order; numbers are put in theirs. */
static bool put_set(const char *left, const json_t *set, struct text *out)
{
    uint64_t sorted[8];
    size_t n = json_array_size(set);
    if (n == 0 || n > 8)
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t number;
        size_t at = i;
        if (!is_number(left, json_array_get(set, i), &number))
            return false;
        for (; at > 0 && sorted[at - 1] > number; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = number;
    }
    for (size_t i = 0; i < n; i++) {
        text_put(out, i == 0 ? "{ " : ", ");
        put_number(left, sorted[i], out);
    }
    text_put(out, " }");
    return true;
}

static void put_right(const char *left, const json_t *right, struct text *out)
{
    const json_t *set = json_object_get(right, "set"), *range = json_object_get(right, "range");
    if (set && put_set(left, set, out))
        return;
    uint64_t from, to;
    if (json_array_size(range) == 2 && is_number(left, json_array_get(range, 0), &from) &&
        is_number(left, json_array_get(range, 1), &to)) {
        /* not by name: "a-b" might be one */
        text_format(out, left[0] == '@' ? "0x%llx-0x%llx" : "%llu-%llu", (unsigned long long)from,
                    (unsigned long long)to);
        return;
    }
    put_scalar(left, right, out);
}

static void put_bytes(const json_t *payload, unsigned skipped, struct text *out)
{
    json_int_t offset = json_integer_value(json_object_get(payload, "offset"));
    json_int_t len = json_integer_value(json_object_get(payload, "len"));
    text_format(out, "@%.8s,%lld,%lld", nft_string(payload, "base"), (long long)offset + skipped,
                (long long)len - skipped);
}

/* How many bits at the front a mask leaves out, where it does nothing else; 0: another mask. */
static unsigned bits_skipped(const json_t *payload, json_int_t mask)
{
    json_int_t len = json_integer_value(json_object_get(payload, "len"));
    for (unsigned skipped = 1; len > 0 && len <= 32 && skipped < len; skipped++)
        if (mask == ((json_int_t)1 << (len - skipped)) - 1)
            return skipped;
    return 0;
}

/* What is compared. */
static bool put_left(const json_t *left, struct text *out)
{
    const json_t *fib = json_object_get(left, "fib"), *flags = json_object_get(fib, "flags");
    if (fib) {
        /* One flag is a list of one, or itself. */
        const char *flag =
            json_string_value(json_is_array(flags) ? json_array_get(flags, 0) : flags);
        if (!flag || json_array_size(flags) > 1)
            return false;
        text_format(out, "fib %s %s", flag, nft_string(fib, "result"));
        return true;
    }
    const json_t *payload = json_object_get(left, "payload"), *meta = json_object_get(left, "meta");
    const json_t *extension = json_object_get(left, "exthdr"), *both = json_object_get(left, "&");
    if (json_array_size(both) == 2) {
        const json_t *masked = json_object_get(json_array_get(both, 0), "payload");
        json_int_t mask = json_integer_value(json_array_get(both, 1));
        unsigned skipped = *nft_string(masked, "base") ? bits_skipped(masked, mask) : 0;
        if (!json_is_integer(json_array_get(both, 1)))
            return false;
        if (skipped > 0) {
            put_bytes(masked, skipped, out); /* as later versions put it themselves */
            return true;
        }
        if (!put_left(json_array_get(both, 0), out))
            return false;
        text_format(out, " & 0x%llx", (unsigned long long)mask);
        return true;
    }
    if (*nft_string(payload, "protocol"))
        text_format(out, "%.32s %.32s", nft_string(payload, "protocol"),
                    nft_string(payload, "field"));
    else if (*nft_string(payload, "base"))
        put_bytes(payload, 0, out);
    else if (strstr(nft_string(meta, "key"), "ifname"))
        text_format(out, "%.32s", nft_string(meta, "key"));
    else if (*nft_string(meta, "key"))
        text_format(out, "meta %.32s", nft_string(meta, "key"));
    else if (*nft_string(extension, "name"))
        text_format(out, "%.32s %.32s", nft_string(extension, "name"),
                    nft_string(extension, "field"));
    else
        return false;
    return true;
}

static bool put_match(const json_t *match, struct text *out)
{
    const char *op = nft_string(match, "op");
    struct text left;
    text_init(&left, 256);
    bool ok = put_left(json_object_get(match, "left"), &left) && !left.failed;
    if (ok) {
        text_put(out, left.at);
        text_put(out, " ");
        if (strcmp(op, "==") != 0)
            text_format(out, "%.8s ", op);
        put_right(left.at, json_object_get(match, "right"), out);
    }
    text_done(&left);
    return ok;
}

static uint64_t as_bytes(const json_t *limit, const char *name, const char *unit_name)
{
    const char *unit = nft_string(limit, unit_name);
    json_int_t value = json_integer_value(json_object_get(limit, name));
    return (uint64_t)value << (strcmp(unit, "kbytes") == 0   ? 10
                               : strcmp(unit, "mbytes") == 0 ? 20
                                                             : 0);
}

static bool put_limit(const json_t *limit, struct text *out)
{
    if (!strstr(nft_string(limit, "rate_unit"), "bytes") || json_object_get(limit, "inv"))
        return false;
    text_format(out, "limit rate %llu bytes/%.8s burst %llu bytes",
                (unsigned long long)as_bytes(limit, "rate", "rate_unit"), nft_string(limit, "per"),
                (unsigned long long)as_bytes(limit, "burst", "burst_unit"));
    return true;
}

static bool put_copy(const json_t *dup, struct text *out)
{
    const char *to = nft_string(dup, "addr"), *device = nft_string(dup, "dev");
    if (*device ? !is_word(to) || !nft_is_device(device) : !nft_is_device(to))
        return false;
    if (*device)
        text_format(out, "dup to %.64s device \"%.16s\"", to, device);
    else
        text_format(out, "dup to \"%.64s\"", to);
    return true;
}

static bool put_expression(const json_t *part, struct text *out)
{
    const json_t *value;
    if (json_object_size(part) != 1)
        return false;
    if ((value = json_object_get(part, "match")))
        return put_match(value, out);
    if ((value = json_object_get(part, "limit")))
        return put_limit(value, out);
    if ((value = json_object_get(part, "dup")))
        return put_copy(value, out);
    if ((value = json_object_get(part, "jump")))
        text_format(out, "jump %.64s", nft_string(value, "target"));
    else if (json_object_get(part, "counter"))
        text_put(out, "counter");
    else if (json_object_get(part, "accept"))
        text_put(out, "accept");
    else
        return false;
    return true;
}

void nft_put_rule(const json_t *expressions, struct text *out)
{
    for (size_t i = 0; i < json_array_size(expressions); i++) {
        const json_t *part = json_array_get(expressions, i);
        if (i > 0)
            text_put(out, " ");
        if (!put_expression(part, out))
            put_json(part, out);
    }
}

void nft_put_head(const json_t *chain, struct text *out)
{
    const char *device = nft_string(chain, "dev");
    if (!*nft_string(chain, "hook"))
        return;
    text_format(out, "type %.32s hook %.32s ", nft_string(chain, "type"),
                nft_string(chain, "hook"));
    if (*device)
        text_format(out, "device \"%.16s\" ", device);
    text_format(out, "priority %lld; policy %.32s;",
                (long long)json_integer_value(json_object_get(chain, "prio")),
                nft_string(chain, "policy"));
}

static void put_chain(const json_t *objects, const json_t *chain, struct text *out)
{
    struct text head;
    text_init(&head, 256);
    nft_put_head(chain, &head);
    text_format(out, "\tchain %.64s {\n", nft_string(chain, "name"));
    if (head.size > 0)
        text_format(out, "\t\t%s\n", head.at);
    text_done(&head);
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *rule = json_object_get(json_array_get(objects, i), "rule");
        if (!rule || strcmp(nft_string(rule, "chain"), nft_string(chain, "name")) != 0)
            continue;
        text_put(out, "\t\t");
        nft_put_rule(json_object_get(rule, "expr"), out);
        text_put(out, "\n");
    }
    text_put(out, "\t}\n");
}

void nft_put_table(const json_t *objects, const char *comment, struct text *out)
{
    for (size_t i = 0; i < json_array_size(objects); i++) {
        const json_t *table = json_object_get(json_array_get(objects, i), "table");
        const json_t *chain = json_object_get(json_array_get(objects, i), "chain");
        if (table) {
            text_format(out, "table %.16s %.64s {\n", nft_string(table, "family"),
                        nft_string(table, "name"));
            if (comment)
                text_format(out, "\tcomment \"%.64s\"\n", comment);
        } else if (chain) {
            put_chain(objects, chain, out);
        }
    }
    text_put(out, "}\n");
}
