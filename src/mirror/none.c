/* Clouds without a service that mirrors traffic. `plan` says so, and prints what does it all the
 * same: user data that sets a mirror up in each machine when it starts for the first time, by the
 * Linux kernel's own means. Whoever becomes root in such a machine can switch it off, so the
 * collector has to notice when it falls silent: cloudspan-watch(1).
 *
 * One line at the end of this file and one in list.h for each cloud. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mirror/provider.h"
#include "mirror/target.h"

#define TARGETS       (1u << MIRROR_VXLAN)
#define INTERFACE_MAX 15
#define OWN_PRIO      40001 /* and the next: filters of others may stand beside */

enum row { ROW_TO, ROW_ID, ROW_INTERFACE, N_ROWS };

static const struct option_row rows[N_ROWS + 1] = {
    [ROW_TO] = {0, "to", "vxlan:ADDR", false, "the collector: vxlan:ADDR[:PORT]"},
    [ROW_ID] =
        {0, "id", "N", false,
         "the VNI of the copies (default: for each machine the last 24 bits of its address,\n"
         "so that one text serves for all of them)"},
    [ROW_INTERFACE] = {0, "interface", "NAME", false,
                       "what is mirrored (default: where each machine's default route leads)"},
    {0}};

struct none_wish {
    struct mirror_target to;
    bool has_to, has_id;
    uint32_t id;
    const char *interface;
};

static int take_interface(const char *value, struct none_wish *wish, struct err *err)
{
    size_t len = strlen(value);
    if (len == 0 || len > INTERFACE_MAX ||
        strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != len)
        return err_set(err, -EINVAL, "--interface: '%.40s' is no interface's name", value);
    wish->interface = value;
    return 0;
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct none_wish *wish = with;
    uint64_t number;
    switch ((enum row)row) {
    case ROW_TO:
        wish->has_to = true;
        return mirror_parse_target(value, TARGETS, &wish->to, err);
    case ROW_ID:
        if (!options_number(value, mirror_wrap_max_id(MIRROR_VXLAN), &number))
            return err_set(err, -EINVAL, "--id: '%s' is no VNI (0 to 16777215)", value);
        wish->id = (uint32_t)number;
        wish->has_id = true;
        return 0;
    case ROW_INTERFACE:
        return take_interface(value, wish, err);
    case N_ROWS:
        break;
    }
    return 0;
}

/* ---- the script ---- */

/* The copies themselves, whole or in fragments, and what the collector's host says of them. */
static void put_exclusion(const struct none_wish *wish, const char *address, struct text *out)
{
    bool v6 = !addr_is_v4(&wish->to.addr);
    const char *protocol = v6 ? "ipv6" : "ip", *match = v6 ? "ip6" : "ip";
    int bits = v6 ? 128 : 32, icmp = v6 ? 58 : 1;
    text_format(out,
                "tc filter add dev \"$IF\" egress protocol %s prio %d u32 match %s dst %s/%d match "
                "%s protocol 17 0xff flowid 1:1\n",
                protocol, OWN_PRIO, match, address, bits, match);
    text_format(
        out,
        "tc filter add dev \"$IF\" ingress protocol %s prio %d u32 match %s src %s/%d match "
        "%s protocol %d 0xff flowid 1:1\n",
        protocol, OWN_PRIO, match, address, bits, match, icmp);
}

static void put_start(const struct none_wish *wish, const char *address, struct text *out)
{
    bool v6 = !addr_is_v4(&wish->to.addr);
    text_put(out, "modprobe vxlan 2>/dev/null || true\n");
    text_format(out, "LOCAL=$(ip -o route get %s | sed -n 's/.* src \\([^ ]*\\).*/\\1/p')\n",
                address);
    if (wish->has_id)
        text_format(out, "ID=%u\n", wish->id);
    else if (v6) /* a shell can't read the end of such an address: of the MAC then */
        text_put(out, "ID=$((0x$(cut -d: -f4-6 /sys/class/net/\"$IF\"/address | tr -d :)))\n");
    else
        text_put(out, "ID=$(echo \"$LOCAL\" | { IFS=. read -r a b c d; echo $((b * 65536 + c * 256 "
                      "+ d)); })\n");
    text_format(out,
                "ip link add cs-mirror type vxlan id \"$ID\" local \"$LOCAL\" remote %s dstport %u "
                "ttl 64 nolearning%s\n",
                address, wish->to.port, v6 ? " udp6zerocsumtx" : "");
    text_put(out, "ip link set cs-mirror alias 'cloudspan mirror' addrgenmode none\n"
                  "ip link set cs-mirror arp off up\n"
                  "tc qdisc show dev \"$IF\" | grep -q clsact || tc qdisc add dev \"$IF\" "
                  "clsact\n");
    put_exclusion(wish, address, out);
    text_format(
        out,
        "for WAY in ingress egress; do\n"
        "  tc filter add dev \"$IF\" $WAY protocol all prio %d matchall action mirred egress "
        "mirror dev cs-mirror continue 2>/dev/null ||\n"
        "    tc filter add dev \"$IF\" $WAY protocol all prio %d u32 match u8 0 0 action "
        "mirred egress mirror dev cs-mirror continue\n"
        "done\n",
        OWN_PRIO + 1, OWN_PRIO + 1);
}

static void put_script(const struct none_wish *wish, struct text *out)
{
    char address[ADDR_TEXT_MAX + 1] = "";
    (void)addr_format(&wish->to.addr, address);
    address[sizeof address - 1] = '\0';
    text_put(out, "#!/bin/sh\nset -e\n");
    if (wish->interface)
        text_format(out, "IF=%s\n", wish->interface);
    else
        text_put(out, "IF=$(ip -o route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | "
                      "head -n 1)\n");
    /* Also before it is started: as often as one likes. */
    text_format(out,
                "for WAY in ingress egress; do for PRIO in %d %d; do\n"
                "  tc filter del dev \"$IF\" $WAY prio $PRIO 2>/dev/null || true\n"
                "done; done\n"
                "ip link del cs-mirror 2>/dev/null || true\n"
                "[ \"$1\" != stop ] || exit 0\n",
                OWN_PRIO, OWN_PRIO + 1);
    put_start(wish, address, out);
}

static void put_indented(const struct text *script, struct text *out)
{
    for (const char *at = script->at ? script->at : ""; *at;) {
        size_t len = strcspn(at, "\n");
        text_put(out, "      ");
        text_add(out, at, len);
        text_put(out, "\n");
        at += len + (at[len] == '\n');
    }
}

static void put_user_data(const struct none_wish *wish, struct text *out)
{
    struct text script;
    text_init(&script, 16384);
    put_script(wish, &script);
    text_put(out, "#cloud-config\nwrite_files:\n"
                  "  - path: /usr/local/sbin/cloudspan-mirror\n"
                  "    permissions: '0755'\n"
                  "    content: |\n");
    put_indented(&script, out);
    text_put(out, "  - path: /etc/systemd/system/cloudspan-mirror.service\n"
                  "    content: |\n"
                  "      [Unit]\n"
                  "      Description=Copies of this machine's traffic for its monitor\n"
                  "      Wants=network-online.target\n"
                  "      After=network-online.target\n"
                  "      [Service]\n"
                  "      Type=oneshot\n"
                  "      RemainAfterExit=yes\n"
                  "      ExecStart=/usr/local/sbin/cloudspan-mirror start\n"
                  "      ExecStop=/usr/local/sbin/cloudspan-mirror stop\n"
                  "      [Install]\n"
                  "      WantedBy=multi-user.target\n"
                  "runcmd:\n"
                  "  - systemctl daemon-reload\n"
                  "  - systemctl enable --now cloudspan-mirror\n");
    out->failed |= script.failed;
    text_done(&script);
}

/* ---- what is said ---- */

static int refuse(const struct mirror_job *job, const char *cloud, struct err *err)
{
    return err_set(
        err, -EOPNOTSUPP,
        "%s has no service that mirrors traffic, so `mirror %s` has nothing to do: give "
        "its machines the user data that `cloudspan mirror plan %s --to vxlan:ADDR` prints, "
        "or set each up by `cloudspan mirror apply linux`",
        cloud, job->verb ? job->verb : "apply", job->provider->name);
}

static void put_json(const char *cloud, struct text *user_data, struct text *out)
{
    text_put(out, "{\"type\":\"user-data\",\"cloud\":");
    text_json(out, cloud, 64);
    text_put(out, ",\"mirror-service\":false,\"text\":");
    text_json(out, user_data->at ? user_data->at : "", user_data->size);
    text_put(out, "}\n");
}

/* Comments of the YAML below, so that the whole can be given to the cloud as it is. */
static bool answer_of(const struct mirror_job *job, const char *cloud, bool json, struct text *out,
                      int *result, struct err *err)
{
    const struct none_wish *wish = job->wish;
    struct text data;
    if (!job->verb || strcmp(job->verb, "plan") != 0) {
        *result = refuse(job, cloud, err);
        return true;
    }
    if (!wish->has_to) {
        *result = err_set(err, -EINVAL,
                          "%s has no service that mirrors traffic; its machines can do it "
                          "themselves: where to? --to vxlan:ADDR, the collector's address",
                          cloud);
        return true;
    }
    text_init(&data, 65536);
    put_user_data(wish, &data);
    if (json) {
        put_json(cloud, &data, out);
    } else {
        const char *body = data.at ? strchr(data.at, '\n') : NULL;
        text_put(out, "#cloud-config\n");
        text_format(out, "# %s has no service that mirrors traffic. This user data lets a machine",
                    cloud);
        text_put(out,
                 " copy its own traffic\n# to the collector from its first start on (iproute2 "
                 "has to be there; a kernel with vxlan and cls_matchall\n# or cls_u32). Who "
                 "becomes root there can switch it off: cloudspan watch says when it falls "
                 "silent.\n# A firewall of the cloud has to let the collector's UDP port in.\n");
        text_put(out, body ? body + 1 : "");
    }
    out->failed |= data.failed;
    text_done(&data);
    *result = 0;
    return true;
}

/* ---- what the engine wants of a provider; answer() comes before all of it ---- */

static int check(struct mirror_job *job, struct err *err)
{
    return refuse(job, job->provider->name, err);
}

static int want(struct mirror_job *job, struct mirror_set *out, struct text *remarks,
                struct err *err)
{
    (void)out;
    (void)remarks;
    return refuse(job, job->provider->name, err);
}

static int find(struct mirror_job *job, struct mirror_set *out, struct err *err)
{
    (void)job;
    (void)out;
    (void)err;
    return 0;
}

static int make(struct mirror_job *job, const struct mirror_object *object, struct err *err)
{
    (void)object;
    return refuse(job, job->provider->name, err);
}

static int unmake(struct mirror_job *job, const struct mirror_object *object, struct err *err)
{
    (void)job;
    (void)object;
    (void)err;
    return 0;
}

static int measure(struct mirror_job *job, const struct mirror_set *found,
                   struct mirror_measures *out, struct err *err)
{
    (void)job;
    (void)found;
    (void)err;
    *out = (struct mirror_measures){0};
    return 0;
}

static void describe(const struct mirror_object *object, struct text *out)
{
    text_put(out, object->key);
}

#define CLOUD(word, cloud)                                                                         \
    static bool answer_##word(const struct mirror_job *job, bool json, struct text *out,           \
                              int *result, struct err *err)                                        \
    {                                                                                              \
        return answer_of(job, cloud, json, out, result, err);                                      \
    }                                                                                              \
    const struct mirror_provider provider_##word = {                                               \
        .name = #word,                                                                             \
        .summary = cloud " has no mirror service: prints user data for its machines",              \
        .usage = "plan " #word " --to vxlan:ADDR [--id N] [--interface NAME]",                     \
        .options = rows,                                                                           \
        .wish_size = sizeof(struct none_wish),                                                     \
        .wish_take = take,                                                                         \
        .wish_check = check,                                                                       \
        .answer = answer_##word,                                                                   \
        .want = want,                                                                              \
        .find = find,                                                                              \
        .make = make,                                                                              \
        .unmake = unmake,                                                                          \
        .measure = measure,                                                                        \
        .describe = describe,                                                                      \
    };

CLOUD(digitalocean, "DigitalOcean")
CLOUD(hetzner, "Hetzner Cloud")
CLOUD(linode, "Linode (Akamai)")
CLOUD(ovh, "OVHcloud's public cloud")
CLOUD(rackspace, "Rackspace")
CLOUD(scaleway, "Scaleway")
CLOUD(vultr, "Vultr")
