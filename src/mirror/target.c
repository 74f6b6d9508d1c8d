/* Spellings of where copies go: see target.h. */
#include "mirror/target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/options.h"

enum form { FORM_UDP, FORM_IP, FORM_NAME, FORM_NUMBER };

/* Overheads count the tunnel's own header and the monitored frame's Ethernet header, which becomes
 * payload; not the outer IP header. */
static const struct wrap {
    const char *name;
    int form; /* enum form */
    uint16_t port;
    uint32_t max_id, header;
} wraps[MIRROR_N_WRAPS] = {
    [MIRROR_VXLAN] = {"vxlan", FORM_UDP, 4789, 0xffffff, 8 + 8 + 14},   /* RFC 7348 */
    [MIRROR_GENEVE] = {"geneve", FORM_UDP, 6081, 0xffffff, 8 + 8 + 14}, /* RFC 8926 */
    [MIRROR_GRE] = {"gre", FORM_IP, 0, 0xffffffff, 8 + 14},             /* RFC 2784, 2890 */
    [MIRROR_ERSPAN1] = {"erspan1", FORM_IP, 0, 0, 4 + 14},
    [MIRROR_ERSPAN2] = {"erspan2", FORM_IP, 0, 1023, 8 + 8 + 14},
    [MIRROR_ERSPAN3] = {"erspan3", FORM_IP, 0, 1023, 8 + 12 + 14},
    [MIRROR_INTERFACE] = {"interface", FORM_NAME, 0, 0, 0},
    [MIRROR_PORT] = {"port", FORM_NAME, 0, 0, 0},
    [MIRROR_VLAN] = {"vlan", FORM_NUMBER, 0, 0, 0},
};

const char *mirror_wrap_name(int wrap)
{
    return wraps[wrap].name;
}

uint32_t mirror_wrap_max_id(int wrap)
{
    return wraps[wrap].max_id;
}

uint32_t mirror_wrap_overhead(int wrap, bool v6)
{
    return wraps[wrap].header ? wraps[wrap].header + (v6 ? 40u : 20u) : 0;
}

static int find_wrap(const char *text, size_t len)
{
    static const struct {
        const char *name;
        int wrap;
    } others[] = {{"erspan", MIRROR_ERSPAN2}, {"gretap", MIRROR_GRE}};
    for (int i = 0; i < MIRROR_N_WRAPS; i++)
        if (strlen(wraps[i].name) == len && memcmp(wraps[i].name, text, len) == 0)
            return i;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strlen(others[i].name) == len && memcmp(others[i].name, text, len) == 0)
            return others[i].wrap;
    return -1;
}

static int unknown_wrap(const char *text, uint32_t allowed, struct err *err)
{
    char list[128] = "";
    for (int i = 0; i < MIRROR_N_WRAPS; i++)
        if (allowed & (1u << i)) {
            size_t at = strlen(list);
            (void)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", wraps[i].name);
        }
    return err_set(err, -EINVAL, "--to: '%s' begins with none of %s (as in vxlan:10.9.0.2)", text,
                   list);
}

/* Of one machine, as far as the address itself says. */
static bool is_unicast(const struct addr *addr)
{
    static const uint8_t none[16] = {0};
    if (addr_is_v4(addr))
        return addr->b[12] != 0 && addr->b[12] < 224;
    return memcmp(addr->b, none, sizeof none) != 0 && addr->b[0] != 0xff;
}

/* "ADDR", "ADDR:PORT", "[ADDR6]:PORT". A bare IPv6 address is taken whole. */
static int parse_address(const char *text, const char *rest, struct mirror_target *out,
                         struct err *err)
{
    char address[64];
    const char *port = NULL, *end = rest + strlen(rest);
    if (*rest == '[') {
        const char *close = strchr(rest, ']');
        if (!close || (close[1] && close[1] != ':'))
            return err_set(err, -EINVAL, "--to: '%s' lacks the ']' of its address", text);
        port = close[1] ? close + 2 : NULL;
        rest++;
        end = close;
    } else {
        const char *colon = strchr(rest, ':');
        if (colon && !strchr(colon + 1, ':')) {
            port = colon + 1;
            end = colon;
        }
    }
    if ((size_t)(end - rest) >= sizeof address)
        return err_set(err, -EINVAL, "--to: '%s' has no address that can be", text);
    memcpy(address, rest, (size_t)(end - rest));
    address[end - rest] = '\0';
    if (!addr_parse(address, &out->addr))
        return err_set(err, -EINVAL,
                       "--to: '%s' is no IP address of a collector (names are not looked up here)",
                       address);
    if (!is_unicast(&out->addr))
        return err_set(err, -EINVAL,
                       "--to: %s is no address of a collector: one machine has to "
                       "have it",
                       address);
    if (!port)
        return 0;
    uint64_t number;
    if (wraps[out->wrap].form != FORM_UDP)
        return err_set(err, -EINVAL, "--to: %s has no port", wraps[out->wrap].name);
    if (!options_number(port, 65535, &number) || number == 0)
        return err_set(err, -EINVAL, "--to: '%s' is no port (1 to 65535)", port);
    out->port = (uint16_t)number;
    return 0;
}

int mirror_parse_target(const char *text, uint32_t allowed, struct mirror_target *out,
                        struct err *err)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    int wrap = find_wrap(text, len);
    if (wrap < 0 || !(allowed & (1u << wrap)))
        return unknown_wrap(text, allowed, err);
    if (!colon || !colon[1])
        return err_set(err, -EINVAL, "--to: '%s' does not say where to: %s:…", text,
                       wraps[wrap].name);
    struct mirror_target target = {.wrap = wrap, .port = wraps[wrap].port};
    uint64_t number;
    int result = 0;
    switch ((enum form)wraps[wrap].form) {
    case FORM_UDP:
    case FORM_IP:
        result = parse_address(text, colon + 1, &target, err);
        break;
    case FORM_NAME:
        if (strlen(colon + 1) >= sizeof target.device)
            return err_set(err, -EINVAL, "--to: '%s' is too long a name", colon + 1);
        (void)snprintf(target.device, sizeof target.device, "%s", colon + 1);
        break;
    case FORM_NUMBER:
        if (!options_number(colon + 1, 4094, &number) || number == 0)
            return err_set(err, -EINVAL, "--to: '%s' is no VLAN (1 to 4094)", colon + 1);
        target.vlan = (uint16_t)number;
        break;
    }
    if (result < 0)
        return result;
    *out = target;
    return 0;
}

void mirror_put_target(const struct mirror_target *target, char out[MIRROR_TARGET_TEXT])
{
    const char *name = wraps[target->wrap].name;
    char address[ADDR_TEXT_MAX + 1];
    address[addr_format(&target->addr, address)] = '\0';
    bool v6 = !addr_is_v4(&target->addr);
    switch ((enum form)wraps[target->wrap].form) {
    case FORM_UDP:
        (void)snprintf(out, MIRROR_TARGET_TEXT, "%s:%s%s%s:%u", name, v6 ? "[" : "", address,
                       v6 ? "]" : "", target->port);
        break;
    case FORM_IP:
        (void)snprintf(out, MIRROR_TARGET_TEXT, "%s:%s%s%s", name, v6 ? "[" : "", address,
                       v6 ? "]" : "");
        break;
    case FORM_NAME:
        (void)snprintf(out, MIRROR_TARGET_TEXT, "%s:%s", name, target->device);
        break;
    case FORM_NUMBER:
        (void)snprintf(out, MIRROR_TARGET_TEXT, "%s:%u", name, target->vlan);
        break;
    }
}
