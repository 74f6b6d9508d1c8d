/* Mirrors of this machine's interfaces in words, and as commands for a shell: see host.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "linux/iptables.h"
#include "linux/nft.h"
#include "mirror/host.h"
#include "mirror/host_parts.h"

static long long number_of(const json_t *object, const char *name)
{
    return (long long)json_integer_value(json_object_get(object, name));
}

static int erspan_type(const json_t *is)
{
    return (int)number_of(is, "erspan") + 1;
}

/* ---- words ---- */

static void describe_link(const struct mirror_object *object, struct text *out)
{
    const char *kind = mirror_text(object->is, "kind");
    text_format(out, "%s device %s to %s", kind, object->key, mirror_text(object->is, "remote"));
    if (number_of(object->is, "port"))
        text_format(out, " port %lld", number_of(object->is, "port"));
    if (strcmp(kind, "erspan") == 0)
        text_format(out, ", type %s",
                    erspan_type(object->is) == 1   ? "I"
                    : erspan_type(object->is) == 2 ? "II"
                                                   : "III");
    if (json_is_true(json_object_get(object->is, "keyed")))
        text_format(out, ", %s %lld",
                    strcmp(kind, "gretap") == 0   ? "key"
                    : strcmp(kind, "erspan") == 0 ? "session"
                                                  : "VNI",
                    number_of(object->is, "id"));
    if (*mirror_text(object->is, "underlay"))
        text_format(out, ", by %s", mirror_text(object->is, "underlay"));
}

void host_describe(const struct mirror_object *object, struct text *out)
{
    const char *kind = object->kind, *key = object->key;
    const json_t *is = object->is;
    if (strcmp(kind, "link") == 0)
        describe_link(object, out);
    else if (strcmp(kind, "neighbour") == 0)
        text_format(out, "neighbour %s", key);
    else if (strcmp(kind, "guard") == 0)
        text_format(out, "guard of %s: what comes in by it is dropped", key);
    else if (strcmp(kind, "clsact") == 0)
        text_format(out, "clsact qdisc of %s%s", key,
                    json_is_true(json_object_get(object->also, "shared"))
                        ? ", which stays: there are filters of others on it"
                        : "");
    else if (strcmp(kind, "filter") == 0)
        text_format(out, "tc filter (%s) %s to %s", mirror_text(is, "match"), key,
                    mirror_text(is, "to"));
    else if (strcmp(kind, "nft") == 0 || strcmp(kind, "tee") == 0)
        text_format(out, "%s %s of %s, copies to %s",
                    strcmp(kind, "nft") == 0 ? "nftables table, family" : "iptables TEE rules,",
                    key, mirror_text(is, "interface"), mirror_text(is, "to"));
    else if (strcmp(kind, "carrier") == 0)
        text_format(out, "process that copies %s in user space", key);
    else
        text_format(out, "systemd unit %s", key);
}

/* ---- commands ---- */

static void command_link(const struct mirror_object *object, bool unmake, struct text *out)
{
    const json_t *is = object->is;
    const char *kind = mirror_text(is, "kind"), *name = object->key;
    bool v6 = strchr(mirror_text(is, "remote"), ':') != NULL;
    bool gre = strcmp(kind, "gretap") == 0 || strcmp(kind, "erspan") == 0;
    if (unmake) {
        text_format(out, "ip link del %s\n", name);
        return;
    }
    text_format(out, "ip link add %s", name);
    if (number_of(is, "mtu"))
        text_format(out, " mtu %lld", number_of(is, "mtu"));
    text_format(out, " type %s%s", gre && v6 ? "ip6" : "", kind);
    if (!gre)
        text_format(out, " id %lld", number_of(is, "id"));
    else if (json_is_true(json_object_get(is, "keyed")))
        text_format(out, " %s %lld", strcmp(kind, "gretap") == 0 ? "key" : "seq key",
                    number_of(is, "id"));
    if (strcmp(kind, "erspan") == 0) {
        text_format(out, " erspan_ver %d", erspan_type(is) - 1);
        if (erspan_type(is) == 2)
            text_format(out, " erspan %lld", number_of(is, "id"));
    }
    if (strcmp(kind, "geneve") != 0)
        text_format(out, " local %s", mirror_text(is, "local"));
    text_format(out, " remote %s ttl 64", mirror_text(is, "remote"));
    if (*mirror_text(is, "underlay"))
        text_format(out, " dev %s", mirror_text(is, "underlay"));
    if (!gre)
        text_format(out, " dstport %lld%s", number_of(is, "port"),
                    strcmp(kind, "vxlan") == 0 ? " nolearning" : "");
    else if (!v6)
        text_put(out, " nopmtudisc");
    text_format(out, "\nip link set dev %s alias '%s'\nip link set dev %s addrgenmode none\n", name,
                mirror_text(is, "alias"), name);
    text_format(out, "ip link set dev %s arp off up\n", name);
}

static void command_neighbour(const struct mirror_object *object, bool unmake, struct text *out)
{
    const char *space = strchr(object->key, ' ');
    int len = (int)strcspn(object->key, " ");
    bool v6 = space && strchr(space, ':');
    if (unmake || !space)
        return; /* they go with the device */
    if (v6)
        text_format(out,
                    "sysctl -q -w net.ipv6.conf.%.*s.disable_ipv6=0\n"
                    "ip -6 route add %s/128 dev %.*s\n",
                    len, object->key, space + 1, len, object->key);
    text_format(out, "ip neigh add %s lladdr %s dev %.*s nud permanent\n", space + 1,
                mirror_text(object->is, "mac"), len, object->key);
}

/* As `tc filter add … bpf bytecode` takes it. */
static void put_bytecode(const json_t *program, struct text *out)
{
    size_t i;
    json_t *line;
    text_format(out, "%zu", json_array_size(program));
    json_array_foreach(program, i, line) text_format(
        out, ",%lld %lld %lld %lld", (long long)json_integer_value(json_array_get(line, 0)),
        (long long)json_integer_value(json_array_get(line, 1)),
        (long long)json_integer_value(json_array_get(line, 2)),
        (long long)json_integer_value(json_array_get(line, 3)));
}

/* With the mark, by which the mirror is known to cloudspan, too, should it come there later. */
static void command_filter(const struct mirror_job *job, const struct mirror_object *object,
                           bool unmake, struct text *out)
{
    uint8_t cookie[LINUX_TC_COOKIE_MAX];
    const char *match = mirror_text(object->is, "match");
    int len = (int)strcspn(object->key, " ");
    const char *hook = strstr(object->key, " in") ? "ingress" : "egress";
    long long rate = number_of(object->also, "rate");
    int prio = strstr(object->key, " in") ? 1 : 2; /* u32's may not have the same */
    if (unmake) {
        text_format(out, "tc filter del dev %.*s %s prio %d\n", len, object->key, hook, prio);
        return;
    }
    text_format(out, "tc filter add dev %.*s %s protocol all prio %d ", len, object->key, hook,
                prio);
    if (strcmp(match, "matchall") == 0) {
        text_put(out, "matchall");
    } else if (strcmp(match, "u32") == 0) {
        text_put(out, "u32 match u32 0 0");
    } else {
        text_put(out, "bpf bytecode '");
        put_bytecode(json_object_get(object->also, "program"), out);
        text_put(out, "'");
    }
    if (rate)
        text_format(out, " action police rate %lldbps burst %lld conform-exceed continue/pipe",
                    rate, rate / 10 > LINUX_TC_BURST_MIN ? rate / 10 : LINUX_TC_BURST_MIN);
    if (json_is_true(json_object_get(object->also, "forgets")))
        text_put(out, " action tunnel_key unset pipe");
    text_format(out, " action mirred egress mirror dev %s continue", mirror_text(object->is, "to"));
    if (host_filter_cookie(job, object, cookie)) {
        char hex[LINUX_TC_COOKIE_MAX * 2 + 1] = "";
        hash_hex(cookie, sizeof cookie, hex);
        text_format(out, " cookie %s", hex);
    }
    text_put(out, "\n");
}

static void command_guard(const struct mirror_object *object, bool unmake, struct text *out)
{
    if (!unmake) /* it goes with the device */
        text_format(out,
                    "tc qdisc add dev %s clsact\n"
                    "tc filter add dev %s ingress protocol all prio 1 u32 match u32 0 0 action "
                    "drop\n",
                    object->key, object->key);
}

static void command_table(const struct mirror_job *job, const struct mirror_object *object,
                          bool unmake, struct text *out)
{
    struct err err;
    if (strcmp(object->kind, "nft") == 0) {
        struct linux_nft nft;
        if (host_read_nft(host_mark(job), object, &nft, &err) < 0)
            return; /* it is one of ours, and was checked */
        if (unmake)
            linux_nft_put_remove(host_mark(job), nft.family, out);
        else
            linux_nft_put_make(&nft, out);
        return;
    }
    struct linux_tee tee;
    if (host_read_tee(host_mark(job), object, &tee, &err) < 0)
        return;
    if (unmake)
        linux_tee_put_remove(&tee, out);
    else
        linux_tee_put_make(&tee, out);
}

static void command_carrier(const struct mirror_object *object, bool unmake, struct text *out)
{
    if (!unmake)
        text_format(out,
                    "echo '%s: copying in user space is done by cloudspan itself; nothing that a "
                    "plain machine has does it: another --method' >&2\nfalse\n",
                    object->key);
}

void host_command(const struct mirror_job *job, const struct mirror_object *object, bool unmake,
                  struct text *out)
{
    const char *kind = object->kind;
    if (strcmp(kind, "link") == 0)
        command_link(object, unmake, out);
    else if (strcmp(kind, "neighbour") == 0)
        command_neighbour(object, unmake, out);
    else if (strcmp(kind, "guard") == 0)
        command_guard(object, unmake, out);
    else if (strcmp(kind, "clsact") == 0)
        text_format(out, "tc qdisc %s dev %s clsact\n", unmake ? "del" : "add", object->key);
    else if (strcmp(kind, "filter") == 0)
        command_filter(job, object, unmake, out);
    else if (strcmp(kind, "nft") == 0 || strcmp(kind, "tee") == 0)
        command_table(job, object, unmake, out);
    else if (strcmp(kind, "carrier") == 0)
        command_carrier(object, unmake, out);
}
