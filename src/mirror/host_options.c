/* Options of mirrors by this machine's kernel: see host.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/host.h"

#define TARGETS                                                                                    \
    (1u << MIRROR_VXLAN | 1u << MIRROR_GENEVE | 1u << MIRROR_GRE | 1u << MIRROR_ERSPAN1 |          \
     1u << MIRROR_ERSPAN2 | 1u << MIRROR_ERSPAN3 | 1u << MIRROR_INTERFACE)

static const char *const method_names[HOST_N_METHODS] = {
    [HOST_AUTO] = "auto", [HOST_TC] = "tc",         [HOST_NFT] = "nft",
    [HOST_USER] = "user", [HOST_NFT_IP] = "nft-ip", [HOST_TEE] = "tee",
};

const char *host_method_name(int method)
{
    return method >= 0 && method < HOST_N_METHODS ? method_names[method] : NULL;
}

int host_parse_method(const char *text, int *out, struct err *err)
{
    for (int i = 0; i < HOST_N_METHODS; i++) {
        if (strcmp(text, method_names[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "--method: '%s' is none of auto, tc, nft, user, nft-ip, tee",
                   text);
}

int host_take(int row, const char *value, struct host_wish *wish, struct err *err)
{
    uint64_t number;
    switch ((enum host_row)row) {
    case HOST_ROW_TO:
        wish->has_to = true;
        return mirror_parse_target(value, TARGETS, &wish->to, err);
    case HOST_ROW_ID:
        if (!options_number(value, UINT32_MAX, &number))
            return err_set(err, -EINVAL, "--id: '%s' is no number up to 4294967295", value);
        wish->id = (uint32_t)number;
        wish->has_id = true;
        return 0;
    case HOST_ROW_METHOD:
        return host_parse_method(value, &wish->method, err);
    case HOST_ROW_DIRECTION:
        return mirror_option_direction(value, &wish->direction, err);
    case HOST_ROW_FILTER:
        wish->filter = *value ? value : NULL;
        return linux_check_filter(value, LINUX_PACKET_ETHERNET, err);
    case HOST_ROW_SNAP:
        if (!options_number(value, 65535, &number) || number < 64)
            return err_set(err, -EINVAL, "--snap: '%s' is no number of bytes (64 to 65535)", value);
        wish->snap = (uint32_t)number;
        return 0;
    case HOST_ROW_RATE:
        if (!options_size(value, &number) || number < 1024 || number > (1ull << 40))
            return err_set(err, -EINVAL,
                           "--rate-limit: '%s' is no number of bytes a second (1K to 1T)", value);
        wish->rate = number;
        return 0;
    case HOST_ROW_VIA:
        if (!*value || strlen(value) >= sizeof((struct linux_link *)0)->name)
            return err_set(err, -EINVAL, "--via: '%s' is no name of an interface", value);
        wish->via = value;
        return 0;
    case HOST_ROW_GATEWAY:
        wish->has_gateway = true;
        if (!addr_parse(value, &wish->gateway))
            return err_set(err, -EINVAL, "--gateway: '%s' is no IP address", value);
        return 0;
    case HOST_ROW_PERSIST:
        wish->persist = true;
        return 0;
    case HOST_N_ROWS:
        break;
    }
    return 0;
}

int host_tap_directions(const struct host_wish *wish, const struct host_tap *tap)
{
    if (!tap->is_far_end || wish->direction == HOST_BOTH)
        return wish->direction;
    return wish->direction == HOST_IN ? HOST_OUT : HOST_IN;
}

/* What each method can, of what may be asked of it. */
static const struct {
    bool snap, rate, filter;
} can[HOST_N_METHODS] = {
    [HOST_AUTO] = {true, true, true},     [HOST_TC] = {false, true, true},
    [HOST_NFT] = {false, true, false},    [HOST_USER] = {true, true, true},
    [HOST_NFT_IP] = {false, true, false}, [HOST_TEE] = {false, false, true},
};

bool host_method_suits(int method, const struct host_wish *wish)
{
    bool udp = wish->to.wrap == MIRROR_VXLAN || wish->to.wrap == MIRROR_GENEVE;
    return (!wish->snap || can[method].snap) && (!wish->rate || can[method].rate) &&
           (!wish->filter || can[method].filter) && (method != HOST_USER || udp);
}

static int check_method(const struct host_wish *wish, struct err *err)
{
    const char *name = method_names[wish->method];
    if (wish->snap && !can[wish->method].snap)
        return err_set(err, -EINVAL,
                       "--snap: the method %s copies whole frames; --method user can cut them",
                       name);
    if (wish->rate && !can[wish->method].rate)
        return err_set(err, -EINVAL,
                       "--rate-limit: the method %s has no limit; tc, nft, nft-ip and user have",
                       name);
    if (wish->filter && !can[wish->method].filter)
        return err_set(err, -EINVAL,
                       "--filter: the method %s runs no pcap filters; tc, tee and user do", name);
    if (wish->snap && !host_method_suits(HOST_USER, wish))
        return err_set(err, -EINVAL,
                       "--snap: only the method user cuts frames, and that wraps copies in vxlan "
                       "or geneve only, not in %s",
                       mirror_wrap_name(wish->to.wrap));
    if (!host_method_suits(wish->method, wish))
        return err_set(err, -EINVAL,
                       "--to: the method user wraps copies in vxlan or geneve only, not in %s",
                       mirror_wrap_name(wish->to.wrap));
    return 0;
}

int host_check(const struct host_wish *wish, size_t n_taps, struct err *err)
{
    uint32_t max = mirror_wrap_max_id(wish->to.wrap);
    const char *name = mirror_wrap_name(wish->to.wrap);
    if (!wish->has_to)
        return err_set(err, -EINVAL, "where to? --to vxlan:ADDR, the collector's address");
    if (max == 0 && wish->has_id)
        return err_set(err, -EINVAL, "--id: %s carries no id", name);
    if (max && !wish->has_id && wish->to.wrap != MIRROR_GRE)
        return err_set(err, -EINVAL,
                       "--id: %s needs one (0 to %u), by which the collector knows this machine",
                       name, max);
    if (wish->has_id && ((uint64_t)wish->id + n_taps > (uint64_t)max + 1))
        return err_set(err, -EINVAL, "--id: %u is too large: %s has 0 to %u", wish->id, name, max);
    if (wish->has_gateway && wish->to.wrap != MIRROR_INTERFACE)
        return err_set(err, -EINVAL, "--gateway is for interface: only; a tunnel's end is known");
    if (wish->has_gateway &&
        (wish->method == HOST_TC || wish->method == HOST_NFT || wish->method == HOST_USER))
        return err_set(err, -EINVAL,
                       "--gateway: the method %s sends whole frames to whoever is there; nft-ip "
                       "and tee need it",
                       method_names[wish->method]);
    if (wish->via && wish->to.wrap == MIRROR_INTERFACE)
        return err_set(err, -EINVAL,
                       "--via is for tunnels only; interface:%s says by which interface copies "
                       "leave",
                       wish->to.device);
    return check_method(wish, err);
}
