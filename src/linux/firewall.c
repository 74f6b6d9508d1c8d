/* The firewall's rules: see firewall.h. */
#include "linux/firewall.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/program.h"

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

/* A value, a set of them, or a range: does it hold the port? */
static bool holds(const json_t *value, uint16_t port)
{
    if (json_is_integer(value))
        return json_integer_value(value) == port;
    const json_t *range = json_object_get(value, "range"), *set = json_object_get(value, "set");
    if (json_array_size(range) == 2)
        return json_integer_value(json_array_get(range, 0)) <= port &&
               port <= json_integer_value(json_array_get(range, 1));
    for (size_t i = 0; i < json_array_size(set); i++)
        if (holds(json_array_get(set, i), port))
            return true;
    return false;
}

struct rule {
    bool names_port; /* it is about this UDP port */
    bool for_others; /* it has a match on another protocol, port, or interface */
    bool accepts, drops;
};

static struct rule read_rule(const json_t *rule, uint16_t port)
{
    struct rule out = {0};
    const json_t *parts = json_object_get(rule, "expr");
    for (size_t i = 0; i < json_array_size(parts); i++) {
        const json_t *part = json_array_get(parts, i), *match = json_object_get(part, "match");
        out.accepts |= json_object_get(part, "accept") != NULL;
        out.drops |= json_object_get(part, "drop") || json_object_get(part, "reject");
        if (!match)
            continue;
        const json_t *field = json_object_get(json_object_get(match, "left"), "payload");
        const char *protocol = text_of(field, "protocol"), *op = text_of(match, "op");
        bool is_port = strcmp(text_of(field, "field"), "dport") == 0 &&
                       (strcmp(protocol, "udp") == 0 || strcmp(protocol, "th") == 0);
        if (is_port && strcmp(op, "==") == 0 && holds(json_object_get(match, "right"), port))
            out.names_port = true;
        else
            out.for_others = true;
    }
    return out;
}

static bool same_table(const json_t *a, const json_t *b)
{
    return strcmp(text_of(a, "family"), text_of(b, "family")) == 0 &&
           strcmp(text_of(a, "table"), text_of(b, "table")) == 0;
}

static enum linux_verdict judge(const json_t *list, const json_t *chain, uint16_t port)
{
    bool accepted = false, dropped = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *rule = json_object_get(json_array_get(list, i), "rule");
        if (!rule || !same_table(rule, chain))
            continue;
        struct rule r = read_rule(rule, port);
        /* A rule that is also about senders or interfaces may be meant for the mirror. */
        if (r.accepts && (r.names_port || !r.for_others))
            accepted = true;
        if (r.drops && !accepted && r.names_port && !r.for_others)
            dropped = true;
    }
    if (dropped)
        return LINUX_FIREWALL_DROPS;
    return !accepted && strcmp(text_of(chain, "policy"), "drop") == 0 ? LINUX_FIREWALL_CLOSED
                                                                      : LINUX_FIREWALL_OPEN;
}

int linux_parse_firewall(const char *json, size_t size, uint16_t port, struct linux_firewall *out,
                         struct err *err)
{
    json_error_t why;
    json_t *root = json_loadb(json, size, 0, &why);
    const json_t *list = json_object_get(root, "nftables");
    if (!json_is_array(list)) {
        json_decref(root);
        return err_set(err, -EBADMSG, "nft -j list ruleset printed something else than its rules");
    }
    struct linux_firewall found = {0};
    for (size_t i = 0; i < json_array_size(list) && found.verdict == LINUX_FIREWALL_OPEN; i++) {
        const json_t *chain = json_object_get(json_array_get(list, i), "chain");
        const char *hook = text_of(chain, "hook"), *family = text_of(chain, "family");
        if (strcmp(hook, "input") != 0 && strcmp(hook, "prerouting") != 0)
            continue;
        if (strcmp(family, "inet") != 0 && strcmp(family, "ip") != 0)
            continue;
        found.verdict = judge(list, chain, port);
        if (found.verdict == LINUX_FIREWALL_OPEN)
            continue;
        (void)snprintf(found.family, sizeof found.family, "%.11s", family);
        (void)snprintf(found.table, sizeof found.table, "%.63s", text_of(chain, "table"));
        (void)snprintf(found.chain, sizeof found.chain, "%.63s", text_of(chain, "name"));
    }
    json_decref(root);
    *out = found;
    return 0;
}

int linux_firewall(uint16_t port, struct linux_firewall *out, struct err *err)
{
    static const char *const arguments[] = {"-j", "list", "ruleset", NULL};
    const struct program nft = {.name = "nft", .package = "nftables", .arguments = arguments};
    struct program_result said;
    int result = program_run(&nft, &said, err);
    if (result < 0)
        return result;
    if (said.exit_code != 0)
        result = err_set(err, -EPERM, "nft may only be asked by root");
    else
        result = linux_parse_firewall(said.out, said.out_size, port, out, err);
    program_done(&said);
    return result;
}
