/* Which networks are ours, and which pairs and names are looked at: RITA's rules in their order. */
#include "hunt/scope.h"

#include <endian.h>
#include <libpsl.h>
#include <stdlib.h>

#define NAME_MAX_LEN 253 /* RFC 1035, as text */

/* Never looked at, whatever the configuration says: they are no hosts of anybody. */
#define V4(a, b, c, d, n)                                                                          \
    {                                                                                              \
        .net = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d}}, .bits = 96 + (n)          \
    }
static const struct hunt_prefix never[] = {
    V4(0, 0, 0, 0, 32),
    V4(127, 0, 0, 0, 8),
    V4(169, 254, 0, 0, 16),
    V4(224, 0, 0, 0, 4),
    V4(255, 255, 255, 255, 32),
    {.net = {{0}}, .bits = 127}, /* :: and ::1 */
    {.net = {{0xfe, 0x80}}, .bits = 10},
    {.net = {{0xff}}, .bits = 8},
};

/* What is not routed on the Internet. */
static const struct hunt_prefix private[] = {
    V4(10, 0, 0, 0, 8),
    V4(172, 16, 0, 0, 12),
    V4(192, 168, 0, 0, 16),
    {.net = {{0xfc}}, .bits = 7},
};

bool hunt_prefix_parse(const char *text, struct hunt_prefix *out)
{
    char address[ADDR_TEXT_MAX];
    size_t len = strcspn(text, "/");
    if (len == 0 || len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    struct hunt_prefix prefix = {.bits = 128};
    if (!addr_parse(address, &prefix.net))
        return false;
    if (text[len] == '/') {
        const char *digits = text + len + 1;
        size_t n = strspn(digits, "0123456789");
        if (n == 0 || n > 3 || digits[n] != '\0')
            return false;
        long bits = strtol(digits, NULL, 10);
        if (strchr(address, ':') == NULL)
            bits += 96;
        if (bits > 128)
            return false;
        prefix.bits = (uint8_t)bits;
    }
    for (unsigned i = 0; i < 16; i++) {
        unsigned kept = prefix.bits <= 8 * i ? 0 : prefix.bits - 8 * i;
        if (kept < 8)
            prefix.net.b[i] &= (uint8_t)(0xff00 >> kept);
    }
    *out = prefix;
    return true;
}

bool hunt_prefix_has(const struct hunt_prefix *prefix, const struct addr *addr)
{
    uint64_t a[2], b[2];
    memcpy(a, prefix->net.b, 16);
    memcpy(b, addr->b, 16);
    unsigned bits = prefix->bits;
    for (int i = 0; i < 2; i++) {
        if (bits == 0)
            return true;
        uint64_t differ = be64toh(a[i] ^ b[i]);
        if (bits < 64)
            return differ >> (64 - bits) == 0;
        if (differ != 0)
            return false;
        bits -= 64;
    }
    return true;
}

static bool in_any(const struct hunt_prefix *list, size_t n, const struct addr *addr)
{
    for (size_t i = 0; i < n; i++)
        if (hunt_prefix_has(&list[i], addr))
            return true;
    return false;
}

static bool is_nobody(const struct addr *addr)
{
    return in_any(never, sizeof never / sizeof never[0], addr);
}

/* 0.0.0.0, :: and the broadcast address are never a host of ours, even where all addresses are. */
static bool is_no_host(const struct addr *addr)
{
    static const struct hunt_prefix list[] = {
        V4(0, 0, 0, 0, 32),
        V4(255, 255, 255, 255, 32),
        {.net = {{0}}, .bits = 128},
    };
    return in_any(list, sizeof list / sizeof list[0], addr);
}

bool hunt_is_internal(const struct hunt_scope *scope, const struct addr *addr)
{
    return in_any(scope->internal, scope->n_internal, addr) && !is_no_host(addr);
}

bool hunt_is_public(const struct addr *addr)
{
    return !is_nobody(addr) && !in_any(private, sizeof private / sizeof private[0], addr);
}

enum hunt_way hunt_way(const struct hunt_scope *scope, const struct addr *orig,
                       const struct addr *resp)
{
    bool from_us = hunt_is_internal(scope, orig), to_us = hunt_is_internal(scope, resp);
    if (from_us)
        return to_us ? HUNT_INSIDE : HUNT_OUT;
    return to_us ? HUNT_IN : HUNT_OUTSIDE;
}

/* The order matters: what is always included is so even where it is never included, too. */
static bool keeps(const struct hunt_scope *scope, const struct addr *orig, const struct addr *resp,
                  bool keeps_inside)
{
    if (in_any(scope->always, scope->n_always, orig) ||
        in_any(scope->always, scope->n_always, resp))
        return true;
    if (is_nobody(orig) || is_nobody(resp) || in_any(scope->never, scope->n_never, orig) ||
        in_any(scope->never, scope->n_never, resp))
        return false;
    if (scope->n_internal == 0)
        return true;
    switch (hunt_way(scope, orig, resp)) {
    case HUNT_OUT:
        return true;
    case HUNT_IN:
        return scope->include_inbound;
    case HUNT_INSIDE:
        return keeps_inside;
    case HUNT_OUTSIDE:
        return false;
    }
    return false;
}

bool hunt_keeps_conn(const struct hunt_scope *scope, const struct addr *orig,
                     const struct addr *resp)
{
    return keeps(scope, orig, resp, false);
}

bool hunt_keeps_dns(const struct hunt_scope *scope, const struct addr *orig,
                    const struct addr *resp)
{
    return keeps(scope, orig, resp, true);
}

static bool fits_any(char *const *patterns, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (hunt_domain_fits(str_c(patterns[i]), name))
            return true;
    return false;
}

bool hunt_keeps_domain(const struct hunt_scope *scope, struct str name)
{
    return fits_any(scope->always_domains, scope->n_always_domains, name) ||
           !fits_any(scope->never_domains, scope->n_never_domains, name);
}

bool hunt_domain_fits(struct str pattern, struct str name)
{
    if (name.len == 0 || pattern.len == 0)
        return false;
    if (pattern.len < 3 || !str_starts(pattern, STR("*.")))
        return str_eq_nocase(pattern, name);
    struct str base = str_from(pattern, 2);
    if (name.len < base.len || !str_eq_nocase(base, str_from(name, name.len - base.len)))
        return false;
    return name.len == base.len || name.at[name.len - base.len - 1] == '.';
}

static bool is_letter(char c)
{
    c = str_lower_char(c);
    return c >= 'a' && c <= 'z';
}

static bool is_label(struct str label)
{
    if (label.len == 0 || label.len > 63 || label.at[0] == '-' || label.at[label.len - 1] == '-')
        return false;
    for (uint32_t i = 0; i < label.len; i++)
        if (!is_letter(label.at[i]) && !(label.at[i] >= '0' && label.at[i] <= '9') &&
            label.at[i] != '-')
            return false;
    return true;
}

bool hunt_is_fqdn(struct str name)
{
    if (name.len == 0 || name.len > NAME_MAX_LEN)
        return false;
    unsigned n = 0;
    struct str left = name;
    for (;;) {
        const char *dot = memchr(left.at, '.', left.len);
        struct str label = dot ? str_upto(left, (size_t)(dot - left.at)) : left;
        if (!is_label(label))
            return false;
        n++;
        if (dot == NULL) /* the top level is no number, which tells names from addresses */
            return n >= 2 && label.len >= 2 && is_letter(label.at[0]);
        left = str_from(left, label.len + 1);
        if (left.len == 0)
            return false;
    }
}

struct str hunt_registrable(struct str name)
{
    char text[NAME_MAX_LEN + 2];
    if (name.len == 0 || name.len >= sizeof text || memchr(name.at, '\0', name.len) != NULL)
        return name;
    memcpy(text, name.at, name.len);
    text[name.len] = '\0';
    struct addr addr;
    if (addr_parse(text, &addr))
        return name;
    /* The list is part of the library: it is never freed and may be used from all threads. */
    const char *part = psl_registrable_domain(psl_builtin(), text);
    return part ? str_from(name, (size_t)(part - text)) : name;
}
