/* What a mirror accepts: --filter, and the rules of AWS that it becomes. See aws.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mirror/aws.h"
#include "net/addr.h"

#define WORDS_MAX 24
#define ALL_V4    "0.0.0.0/0"
#define ALL_V6    "::/0"

/* ---- prefixes ---- */

struct prefix {
    struct addr addr;
    unsigned bits; /* of 128 */
    bool is_v6;
};

static bool parse_prefix(const char *text, struct prefix *out)
{
    char address[64];
    unsigned bits = 0;
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct prefix prefix = {.is_v6 = strchr(text, ':') != NULL};
    unsigned max = prefix.is_v6 ? 128 : 32;
    uint64_t number = max;
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    if (!addr_parse(address, &prefix.addr) ||
        (slash && (!options_number(slash + 1, max, &number) || slash[1] == '\0')))
        return false;
    bits = (unsigned)number;
    prefix.bits = prefix.is_v6 ? bits : bits + 96;
    *out = prefix;
    return true;
}

static bool has_bits(const struct addr *a, const struct addr *b, unsigned bits)
{
    unsigned rest = bits % 8;
    if (memcmp(a->b, b->b, bits / 8) != 0)
        return false;
    return rest == 0 || ((a->b[bits / 8] ^ b->b[bits / 8]) >> (8 - rest)) == 0;
}

bool aws_cidr_has(const char *cidr, const char *other)
{
    struct prefix a, b;
    return parse_prefix(cidr, &a) && parse_prefix(other, &b) && a.is_v6 == b.is_v6 &&
           a.bits <= b.bits && has_bits(&a.addr, &b.addr, a.bits);
}

/* As AWS gives it back: without the bits behind the prefix. */
static int take_cidr(const char *word, char out[48], struct err *err)
{
    struct prefix prefix;
    char text[INET6_ADDRSTRLEN + 1];
    if (!word || !parse_prefix(word, &prefix))
        return err_set(err, -EINVAL, "--filter: '%s' is no network (10.0.0.0/8, 2001:db8::/32)",
                       word ? word : "");
    for (unsigned i = prefix.bits; i < 128; i++)
        prefix.addr.b[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
    text[addr_format(&prefix.addr, text)] = '\0';
    /* ::ffff:0.0.0.0/0 of IPv4 is what the mask above leaves. */
    (void)snprintf(out, 48, "%.43s/%u", text, prefix.is_v6 ? prefix.bits : prefix.bits - 96);
    return 0;
}

/* ---- one --filter ---- */

struct filter {
    int direction; /* enum aws_direction */
    bool is_accept;
    int protocol;
    char source[48], destination[48], either[48];
    char source_ports[16], destination_ports[16], either_ports[16];
};

bool aws_take_range(const char *text, uint16_t *out_from, uint16_t *out_to)
{
    const char *dash = strchr(text, '-');
    size_t len = dash ? (size_t)(dash - text) : strlen(text);
    char first[8];
    uint64_t from, to;
    if (len >= sizeof first)
        return false;
    memcpy(first, text, len);
    first[len] = '\0';
    if (!options_number(first, UINT16_MAX, &from) ||
        !options_number(dash ? dash + 1 : first, UINT16_MAX, &to) || from > to)
        return false;
    *out_from = (uint16_t)from;
    *out_to = (uint16_t)to;
    return true;
}

static int take_ports(const char *word, char out[16], struct err *err)
{
    uint16_t from, to;
    if (!word || !aws_take_range(word, &from, &to))
        return err_set(err, -EINVAL, "--filter: '%s' is neither a port nor PORT-PORT",
                       word ? word : "");
    (void)snprintf(out, 16, "%u-%u", from, to);
    return 0;
}

static bool take_protocol(const char *word, int *out)
{
    static const struct {
        const char *name;
        int number;
    } names[] = {{"any", -1}, {"icmp", 1}, {"tcp", 6}, {"udp", 17}, {"icmp6", 58}, {"sctp", 132}};
    uint64_t number;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(word, names[i].name) == 0) {
            *out = names[i].number;
            return true;
        }
    if (!options_number(word, 255, &number))
        return false;
    *out = (int)number;
    return true;
}

static int parse(char *const *words, size_t n, struct filter *out, struct err *err)
{
    struct filter f = {.direction = AWS_BOTH, .protocol = -1};
    size_t i = 0;
    int result = 0;
    if (i < n && (strcmp(words[i], "in") == 0 || strcmp(words[i], "out") == 0))
        f.direction = strcmp(words[i++], "in") == 0 ? AWS_IN : AWS_OUT;
    if (i >= n || (strcmp(words[i], "accept") != 0 && strcmp(words[i], "reject") != 0))
        return err_set(err, -EINVAL,
                       "--filter: begins with accept or reject, or with in or out "
                       "and one of these");
    f.is_accept = strcmp(words[i++], "accept") == 0;
    if (i < n && take_protocol(words[i], &f.protocol))
        i++;
    for (; i < n && result == 0; i += 2) {
        const char *value = i + 1 < n ? words[i + 1] : NULL;
        if (strcmp(words[i], "src") == 0)
            result = take_cidr(value, f.source, err);
        else if (strcmp(words[i], "dst") == 0)
            result = take_cidr(value, f.destination, err);
        else if (strcmp(words[i], "net") == 0)
            result = take_cidr(value, f.either, err);
        else if (strcmp(words[i], "sport") == 0)
            result = take_ports(value, f.source_ports, err);
        else if (strcmp(words[i], "dport") == 0)
            result = take_ports(value, f.destination_ports, err);
        else if (strcmp(words[i], "port") == 0)
            result = take_ports(value, f.either_ports, err);
        else
            result = err_set(err, -EINVAL,
                             "--filter: '%s' is no protocol (tcp, udp, icmp, icmp6, a number), and "
                             "none of port, sport, dport, net, src, dst",
                             words[i]);
    }
    if (result < 0)
        return result;
    if (f.either[0] && (f.source[0] || f.destination[0]))
        return err_set(err, -EINVAL, "--filter: net is either end: not with src or dst");
    if (f.either_ports[0] && (f.source_ports[0] || f.destination_ports[0]))
        return err_set(err, -EINVAL, "--filter: port is either end: not with sport or dport");
    if ((f.either_ports[0] || f.source_ports[0] || f.destination_ports[0]) && f.protocol != 6 &&
        f.protocol != 17)
        return err_set(err, -EINVAL, "--filter: ports are of tcp or udp: say which of them");
    *out = f;
    return 0;
}

/* ---- rules ---- */

static int add(struct aws_wish *wish, const struct aws_rule *rule, struct err *err)
{
    if (wish->n_rules == AWS_RULES_MAX)
        return err_set(err, -E2BIG, "--filter: these become more than %d rules of AWS's",
                       AWS_RULES_MAX);
    wish->rules[wish->n_rules++] = *rule;
    return 0;
}

/* A rule has one family: both networks are of it. */
static int add_families(struct aws_wish *wish, struct aws_rule rule, struct err *err)
{
    const char *given = rule.source[0] ? rule.source : rule.destination;
    bool any = !given[0], is_v6 = strchr(given, ':') != NULL;
    int result = 0;
    if (rule.source[0] && rule.destination[0] && is_v6 != (strchr(rule.destination, ':') != NULL))
        return err_set(err, -EINVAL, "--filter: %s and %s are not of one IP version", rule.source,
                       rule.destination);
    for (int v6 = 0; v6 < 2 && result == 0; v6++) {
        struct aws_rule one = rule;
        if ((!any && is_v6 != (v6 == 1)) || (v6 == 1 && rule.protocol == 1) ||
            (v6 == 0 && rule.protocol == 58))
            continue;
        if (!one.source[0])
            (void)snprintf(one.source, sizeof one.source, "%s", v6 ? ALL_V6 : ALL_V4);
        if (!one.destination[0])
            (void)snprintf(one.destination, sizeof one.destination, "%s", v6 ? ALL_V6 : ALL_V4);
        result = add(wish, &one, err);
    }
    return result;
}

static int add_ports(struct aws_wish *wish, const struct filter *f, struct aws_rule rule,
                     struct err *err)
{
    if (!f->either_ports[0])
        return add_families(wish, rule, err);
    memcpy(rule.destination_ports, f->either_ports, sizeof rule.destination_ports);
    int result = add_families(wish, rule, err);
    rule.destination_ports[0] = '\0';
    memcpy(rule.source_ports, f->either_ports, sizeof rule.source_ports);
    return result < 0 ? result : add_families(wish, rule, err);
}

static int add_ends(struct aws_wish *wish, const struct filter *f, struct aws_rule rule,
                    struct err *err)
{
    if (!f->either[0])
        return add_ports(wish, f, rule, err);
    memcpy(rule.source, f->either, sizeof rule.source);
    int result = add_ports(wish, f, rule, err);
    rule.source[0] = '\0';
    memcpy(rule.destination, f->either, sizeof rule.destination);
    return result < 0 ? result : add_ports(wish, f, rule, err);
}

static int add_filter(struct aws_wish *wish, const struct filter *f, struct err *err)
{
    struct aws_rule rule = {.is_accept = f->is_accept, .protocol = f->protocol};
    int result = 0;
    memcpy(rule.source, f->source, sizeof rule.source);
    memcpy(rule.destination, f->destination, sizeof rule.destination);
    memcpy(rule.source_ports, f->source_ports, sizeof rule.source_ports);
    memcpy(rule.destination_ports, f->destination_ports, sizeof rule.destination_ports);
    for (int direction = AWS_IN; direction <= AWS_OUT && result == 0; direction++) {
        rule.is_egress = direction == AWS_OUT;
        if (f->direction & direction)
            result = add_ends(wish, f, rule, err);
    }
    return result;
}

int aws_take_filter(const char *value, struct aws_wish *wish, struct err *err)
{
    char copy[256], *words[WORDS_MAX], *at = copy;
    struct filter filter;
    size_t n = 0;
    if (wish->n_words == AWS_WORDS_MAX)
        return err_set(err, -E2BIG, "--filter: more than %d", AWS_WORDS_MAX);
    if (strlen(value) >= sizeof copy)
        return err_set(err, -EINVAL, "--filter: longer than %zu characters", sizeof copy - 1);
    (void)snprintf(copy, sizeof copy, "%s", value);
    while (*(at += strspn(at, " ,\t"))) {
        if (n == WORDS_MAX)
            return err_set(err, -EINVAL, "--filter: more than %d words", WORDS_MAX);
        words[n++] = at;
        at += strcspn(at, " ,\t");
        if (*at)
            *at++ = '\0';
    }
    int result = parse(words, n, &filter, err);
    if (result == 0)
        result = add_filter(wish, &filter, err);
    wish->n_words += result == 0;
    return result;
}

/* ---- wanted ---- */

static void want_rule(const struct aws_rule *rule, uint32_t number, struct mirror_set *out)
{
    char key[32];
    (void)snprintf(key, sizeof key, "%s/%u", rule->is_egress ? "egress" : "ingress", number);
    struct mirror_object *object = mirror_set_add(
        out, "rule", key,
        json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "action", rule->is_accept ? "accept" : "reject",
                  "protocol", rule->protocol, "source", rule->source, "destination",
                  rule->destination, "source_ports", rule->source_ports, "destination_ports",
                  rule->destination_ports));
    mirror_object_on(out, object, "filter", "filter");
    mirror_object_why(object, "what %s", rule->is_egress ? "leaves the machines" : "comes to them");
}

int aws_want_rules(const struct aws_wish *wish, struct mirror_set *out, struct text *remarks,
                   struct err *err)
{
    struct aws_wish all = {.n_rules = 0};
    uint32_t numbers[2] = {100, 100};
    bool accepts = false;
    size_t n = 0;
    for (size_t i = 0; i < wish->n_rules; i++)
        accepts |= wish->rules[i].is_accept;
    memcpy(all.rules, wish->rules, sizeof all.rules);
    all.n_rules = wish->n_rules;
    if (!accepts) {
        struct filter everything = {.direction = AWS_BOTH, .is_accept = true, .protocol = -1};
        int result = add_filter(&all, &everything, err);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < all.n_rules; i++) {
        bool egress = all.rules[i].is_egress;
        if (!(wish->direction & (egress ? AWS_OUT : AWS_IN)))
            continue;
        want_rule(&all.rules[i], numbers[egress], out);
        numbers[egress] += 100;
        n++;
    }
    if (n == 0)
        return err_set(err, -EINVAL, "--filter: none of these is of --direction");
    if (n > AWS_RULES_LIMIT)
        text_format(remarks,
                    "the filter has %zu rules, and AWS allows %d unless it raised that for this "
                    "account: each of port, net, and rules for both directions and IP versions "
                    "becomes several\n",
                    n, AWS_RULES_LIMIT);
    return 0;
}
