/* Making and unmaking what mirrors this machine's interfaces: see host.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "linux/iptables.h"
#include "linux/neigh.h"
#include "linux/nft.h"
#include "mirror/host.h"
#include "mirror/host_carrier.h"
#include "mirror/host_parts.h"

static uint64_t number_of(const json_t *object, const char *name)
{
    return (uint64_t)json_integer_value(json_object_get(object, name));
}

static bool flag_of(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* Interfaces come and go: the index is asked for when it is needed. */
static int index_of(const char *name, uint32_t *out, struct err *err)
{
    struct linux_link link;
    int result = linux_link_get(name, &link, err);
    if (result == 0)
        *out = link.index;
    return result;
}

static void name_in_key(const struct mirror_object *object, char out[16])
{
    (void)snprintf(out, 16, "%.*s", (int)strcspn(object->key, " "), object->key);
}

/* ---- links and neighbours ---- */

static int make_link(const struct mirror_object *want, struct err *err)
{
    struct linux_link_want link = {.name = want->key,
                                   .kind = mirror_text(want->is, "kind"),
                                   .alias = mirror_text(want->is, "alias"),
                                   .mtu = (uint32_t)number_of(want->is, "mtu"),
                                   .is_up = true};
    struct linux_tunnel *tunnel = &link.tunnel;
    const char *underlay = mirror_text(want->is, "underlay");
    uint32_t index = 0;
    if (!addr_parse(mirror_text(want->is, "remote"), &tunnel->remote))
        return err_set(err, -EINVAL, "the tunnel has no address");
    (void)addr_parse(mirror_text(want->is, "local"), &tunnel->local); /* else the kernel chooses */
    tunnel->id = (uint32_t)number_of(want->is, "id");
    tunnel->has_id = flag_of(want->is, "keyed");
    tunnel->port = (uint16_t)number_of(want->is, "port");
    tunnel->ttl = 64;
    tunnel->df = LINUX_DF_UNSET;
    uint64_t type = number_of(want->is, "erspan");
    tunnel->erspan = type == 0 ? LINUX_ERSPAN_1 : type == 1 ? LINUX_ERSPAN_2 : LINUX_ERSPAN_3;
    tunnel->erspan_index = tunnel->id & 0xfffff;
    int result = *underlay ? index_of(underlay, &tunnel->underlay, err) : 0;
    return result < 0 ? result : linux_link_add(&link, &index, err);
}

static int unmake_link(const struct mirror_object *have, struct err *err)
{
    struct err why;
    int result = linux_link_remove_by_name(have->key, &why);
    return result < 0 && result != -ENODEV ? err_set(err, result, "%s", why.text) : 0;
}

/* "DEVICE ADDRESS" */
static int read_neighbour(const struct mirror_object *object, char device[16], struct addr *out,
                          struct err *err)
{
    const char *space = strchr(object->key, ' ');
    name_in_key(object, device);
    return space && addr_parse(space + 1, out)
               ? 0
               : err_set(err, -EINVAL, "'%s' is no neighbour", object->key);
}

/* Tunnel devices made under a default of "no IPv6" could have no IPv6 neighbour. Ours only, so
 * nobody else is concerned. */
static void enable_ipv6(const char *device)
{
    char path[96];
    (void)snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", device);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "0", 1) < 0) {
        /* The neighbour is refused then, with the kernel's words. */
    }
    close(fd);
}

static int make_neighbour(const struct mirror_object *want, struct err *err)
{
    char device[16];
    struct addr addr;
    uint8_t mac[6];
    uint32_t index = 0;
    int result = read_neighbour(want, device, &addr, err);
    if (result < 0)
        return result;
    if (!host_read_six(mirror_text(want->is, "mac"), ':', mac))
        return err_set(err, -EINVAL, "the neighbour has no MAC address");
    if (!addr_is_v4(&addr))
        enable_ipv6(device);
    result = index_of(device, &index, err);
    return result < 0 ? result : linux_neighbour_add(index, &addr, mac, err);
}

static int unmake_neighbour(const struct mirror_object *have, struct err *err)
{
    char device[16];
    struct addr addr;
    uint32_t index = 0;
    struct err why;
    int result = read_neighbour(have, device, &addr, err);
    if (result < 0)
        return result;
    if (index_of(device, &index, &why) < 0)
        return 0; /* gone with its device */
    return linux_neighbour_remove(index, &addr, err);
}

/* ---- tc ---- */

static int make_clsact(const struct mirror_object *want, struct err *err)
{
    uint32_t index = 0;
    int result = index_of(want->key, &index, err);
    if (result == 0)
        result = linux_tc_add_clsact(index, err);
    return result == -EEXIST ? 0 : result; /* of an apply that was killed */
}

/* Only where nobody else uses it by now. */
static int unmake_clsact(const struct mirror_object *have, struct err *err)
{
    uint32_t index = 0;
    struct err why;
    if (index_of(have->key, &index, &why) < 0)
        return 0;
    for (int d = LINUX_TC_IN; d <= LINUX_TC_OUT; d++) {
        struct linux_tc_filter *filters = NULL;
        size_t n = 0;
        int result = linux_tc_list(index, (enum linux_tc_direction)d, &filters, &n, err);
        free(filters);
        if (result < 0 || n > 0)
            return result;
    }
    int result = linux_tc_remove_clsact(index, &why);
    return result < 0 && result != -ENOENT && result != -ENODEV
               ? err_set(err, result, "%s", why.text)
               : 0;
}

static struct sock_filter *read_program(const json_t *lines, size_t *out_n)
{
    size_t i;
    json_t *line;
    *out_n = json_array_size(lines);
    struct sock_filter *program = calloc(*out_n + 1, sizeof *program);
    if (!program)
        return NULL;
    json_array_foreach(lines, i, line) program[i] =
        (struct sock_filter){.code = (uint16_t)json_integer_value(json_array_get(line, 0)),
                             .jt = (uint8_t)json_integer_value(json_array_get(line, 1)),
                             .jf = (uint8_t)json_integer_value(json_array_get(line, 2)),
                             .k = (uint32_t)json_integer_value(json_array_get(line, 3))};
    return program;
}

/* As early as can be: what others drop was on the wire all the same. Of u32 one that the other
 * direction does not have either: the kernel keeps u32's tables by interface and prio. */
static int choose_prio(struct linux_tc_want *tc, struct err *err)
{
    uint16_t prio = 1;
    for (bool again = true; again && prio;) {
        again = false;
        for (int d = LINUX_TC_IN; d <= LINUX_TC_OUT; d++) {
            struct linux_tc_filter *filters = NULL;
            size_t n = 0;
            if (d != (int)tc->direction && tc->match != LINUX_TC_U32)
                continue;
            int result = linux_tc_list(tc->link, (enum linux_tc_direction)d, &filters, &n, err);
            uint16_t free_one = result < 0 ? 0 : linux_tc_free_prio(filters, n, prio);
            free(filters);
            if (result < 0)
                return result;
            again |= free_one != prio;
            prio = free_one;
            if (!prio)
                break;
        }
    }
    tc->prio = prio;
    return prio ? 0 : err_set(err, -ENOSPC, "there are filters of every priority already");
}

static int put_filter(const struct mirror_job *job, const struct mirror_object *want,
                      struct linux_tc_want *tc, struct err *err)
{
    const char *match = mirror_text(want->is, "match");
    if (!host_filter_cookie(job, want, tc->cookie))
        return err_set(err, -EINVAL, "the filter has no content");
    tc->cookie_size = LINUX_TC_COOKIE_MAX;
    tc->match = strcmp(match, "matchall") == 0 ? LINUX_TC_MATCHALL
                : strcmp(match, "u32") == 0    ? LINUX_TC_U32
                                               : LINUX_TC_BPF;
    tc->forgets_route = flag_of(want->also, "forgets");
    tc->rate = number_of(want->also, "rate");
    tc->burst = tc->rate / 10 < LINUX_TC_BURST_MIN ? LINUX_TC_BURST_MIN
                : tc->rate / 10 > UINT32_MAX / 2   ? UINT32_MAX / 2
                                                   : (uint32_t)(tc->rate / 10);
    int result = choose_prio(tc, err);
    return result < 0 ? result : linux_tc_add(tc, err);
}

static int make_filter(const struct mirror_job *job, const struct mirror_object *want,
                       struct err *err)
{
    static const struct sock_filter all = {.code = 0x06, .k = 0xffffffff}; /* return everything */
    struct linux_tc_want tc = {.protocol = ETH_P_ALL};
    char interface[16];
    name_in_key(want, interface);
    tc.direction = strstr(want->key, " in") ? LINUX_TC_IN : LINUX_TC_OUT;
    int result = index_of(interface, &tc.link, err);
    if (result == 0)
        result = index_of(mirror_text(want->is, "to"), &tc.mirror_to, err);
    if (result < 0)
        return result;
    struct sock_filter *program =
        read_program(json_object_get(want->also, "program"), &tc.n_instructions);
    if (!program)
        return err_set(err, -ENOMEM, "out of memory");
    tc.program = program;
    if (tc.n_instructions == 0 && strcmp(mirror_text(want->is, "match"), "bpf") == 0) {
        tc.program = &all;
        tc.n_instructions = 1;
    }
    result = put_filter(job, want, &tc, err);
    free(program);
    return result;
}

static int unmake_filter(const struct mirror_job *job, const struct mirror_object *have,
                         struct err *err)
{
    struct linux_tc_filter *filters = NULL;
    size_t n = 0;
    uint8_t mark[6];
    uint32_t index = 0;
    char interface[16];
    struct err why;
    enum linux_tc_direction direction = strstr(have->key, " in") ? LINUX_TC_IN : LINUX_TC_OUT;
    name_in_key(have, interface);
    host_name_mark(host_mark(job), mark);
    if (index_of(interface, &index, &why) < 0)
        return 0;
    int result = linux_tc_list(index, direction, &filters, &n, err);
    for (size_t i = 0; result == 0 && i < n; i++) {
        struct host_cookie cookie;
        if (!host_read_cookie(filters[i].cookie, filters[i].cookie_size, &cookie) ||
            memcmp(cookie.mirror, mark, sizeof mark) != 0)
            continue;
        result = linux_tc_remove(index, direction, &filters[i], err);
        if (result == -ENOENT)
            result = 0;
    }
    free(filters);
    return result;
}

/* Goes with the device. */
static int make_guard(const struct mirror_object *want, struct err *err)
{
    struct linux_tc_want tc = {.direction = LINUX_TC_IN,
                               .prio = 1,
                               .protocol = ETH_P_ALL,
                               .match = LINUX_TC_U32,
                               .verdict = LINUX_TC_DROP};
    int result = index_of(want->key, &tc.link, err);
    if (result == 0)
        result = linux_tc_add_clsact(tc.link, err);
    if (result == -EEXIST)
        result = 0;
    if (result == 0)
        result = linux_tc_add(&tc, err);
    if (result == -ENOENT || result == -EOPNOTSUPP) {
        tc.match = LINUX_TC_MATCHALL;
        result = linux_tc_add(&tc, err);
    }
    return result == -EEXIST ? 0 : result;
}

static int unmake_guard(const struct mirror_object *have, struct err *err)
{
    uint32_t index = 0;
    struct err why;
    if (index_of(have->key, &index, &why) < 0)
        return 0;
    int result = linux_tc_remove_clsact(index, &why);
    return result < 0 && result != -ENOENT && result != -ENODEV
               ? err_set(err, result, "%s", why.text)
               : 0;
}

/* ---- tables ---- */

/* As linux_exclusion_put wrote it: "udp 10.9.0.2 4789", "gre 10.9.0.2". */
static bool read_exclusion(const char *text, struct linux_exclusion *out)
{
    char address[ADDR_TEXT_MAX + 1];
    if (!text || (strncmp(text, "udp ", 4) != 0 && strncmp(text, "gre ", 4) != 0))
        return false;
    bool udp = text[0] == 'u';
    size_t len = strcspn(text + 4, " ");
    uint64_t port = 0;
    if (len >= sizeof address ||
        (udp && (!text[4 + len] || !options_number(text + 4 + len + 1, 65535, &port))))
        return false;
    memcpy(address, text + 4, len);
    address[len] = '\0';
    *out = (struct linux_exclusion){.protocol = udp ? IPPROTO_UDP : IPPROTO_GRE,
                                    .port = (uint16_t)port};
    return addr_parse(address, &out->collector);
}

static size_t read_exclusions(const json_t *list, struct linux_exclusion *out)
{
    size_t i, n = 0;
    json_t *text;
    json_array_foreach(list, i, text)
    {
        if (n < LINUX_EXCLUSIONS_MAX && read_exclusion(json_string_value(text), &out[n]))
            n++;
    }
    return n;
}

int host_read_nft(const char *mirror, const struct mirror_object *want, struct linux_nft *out,
                  struct err *err)
{
    *out = (struct linux_nft){.family = strcmp(want->key, "netdev") == 0 ? LINUX_NFT_NETDEV
                                        : strcmp(want->key, "ip6") == 0  ? LINUX_NFT_IP6
                                                                         : LINUX_NFT_IP,
                              .in = flag_of(want->is, "in"),
                              .out = flag_of(want->is, "out"),
                              .rate = number_of(want->is, "rate")};
    (void)snprintf(out->mirror, sizeof out->mirror, "%s", mirror);
    (void)snprintf(out->interface, sizeof out->interface, "%s", mirror_text(want->is, "interface"));
    (void)snprintf(out->to, sizeof out->to, "%s", mirror_text(want->is, "to"));
    out->n_exclusions = read_exclusions(json_object_get(want->is, "exclusions"), out->exclusions);
    if (out->family != LINUX_NFT_NETDEV &&
        !addr_parse(mirror_text(want->is, "gateway"), &out->gateway))
        return err_set(err, -EINVAL, "the table has no gateway");
    return 0;
}

int host_read_tee(const char *mirror, const struct mirror_object *want, struct linux_tee *out,
                  struct err *err)
{
    *out = (struct linux_tee){.family = strcmp(want->key, "ip6") == 0 ? LINUX_TEE_6 : LINUX_TEE_4,
                              .in = flag_of(want->is, "in"),
                              .out = flag_of(want->is, "out")};
    (void)snprintf(out->mirror, sizeof out->mirror, "%s", mirror);
    (void)snprintf(out->interface, sizeof out->interface, "%s", mirror_text(want->is, "interface"));
    (void)snprintf(out->to, sizeof out->to, "%s", mirror_text(want->is, "to"));
    out->n_exclusions = read_exclusions(json_object_get(want->is, "exclusions"), out->exclusions);
    if (!addr_parse(mirror_text(want->is, "gateway"), &out->gateway))
        return err_set(err, -EINVAL, "the rules have no gateway");
    return linux_tee_filter(mirror_text(want->is, "filter"), out, err);
}

static int make_nft(const struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct linux_nft nft;
    int result = host_read_nft(host_mark(job), want, &nft, err);
    return result < 0 ? result : linux_nft_make(&nft, err);
}

static int make_tee(const struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    struct linux_tee tee;
    int result = host_read_tee(host_mark(job), want, &tee, err);
    return result < 0 ? result : linux_tee_make(&tee, err);
}

/* ---- by kind ---- */

int host_make(struct mirror_job *job, const struct mirror_object *want, struct err *err)
{
    const char *kind = want->kind;
    if (strcmp(kind, "link") == 0)
        return make_link(want, err);
    if (strcmp(kind, "neighbour") == 0)
        return make_neighbour(want, err);
    if (strcmp(kind, "guard") == 0)
        return make_guard(want, err);
    if (strcmp(kind, "clsact") == 0)
        return make_clsact(want, err);
    if (strcmp(kind, "filter") == 0)
        return make_filter(job, want, err);
    if (strcmp(kind, "nft") == 0)
        return make_nft(job, want, err);
    if (strcmp(kind, "tee") == 0)
        return make_tee(job, want, err);
    if (strcmp(kind, "carrier") == 0)
        return host_make_carrier(job, want, err);
    return host_make_unit(job, want, err);
}

int host_unmake(struct mirror_job *job, const struct mirror_object *have, struct err *err)
{
    const char *kind = have->kind;
    if (strcmp(kind, "link") == 0)
        return unmake_link(have, err);
    if (strcmp(kind, "neighbour") == 0)
        return unmake_neighbour(have, err);
    if (strcmp(kind, "guard") == 0)
        return unmake_guard(have, err);
    if (strcmp(kind, "clsact") == 0)
        return unmake_clsact(have, err);
    if (strcmp(kind, "filter") == 0)
        return unmake_filter(job, have, err);
    if (strcmp(kind, "nft") == 0)
        return linux_nft_remove(host_mark(job),
                                strcmp(have->key, "netdev") == 0 ? LINUX_NFT_NETDEV
                                : strcmp(have->key, "ip6") == 0  ? LINUX_NFT_IP6
                                                                 : LINUX_NFT_IP,
                                err);
    if (strcmp(kind, "tee") == 0)
        return linux_tee_remove(host_mark(job),
                                strcmp(have->key, "ip6") == 0 ? LINUX_TEE_6 : LINUX_TEE_4, err);
    if (strcmp(kind, "carrier") == 0)
        return host_unmake_carrier(job, have, err);
    return host_unmake_unit(job, have, err);
}
