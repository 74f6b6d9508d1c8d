/* Mirrors of Open vSwitch: the provider's options. See ovs.h. */
#include "mirror/ovs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TIMEOUT_MS    5000
#define PORTS_MAX     4096
#define PORT_NAME_MAX 64

#define TARGETS                                                                                    \
    (1u << MIRROR_VXLAN | 1u << MIRROR_GENEVE | 1u << MIRROR_GRE | 1u << MIRROR_ERSPAN2 |          \
     1u << MIRROR_ERSPAN3 | 1u << MIRROR_PORT | 1u << MIRROR_VLAN)

enum row {
    ROW_BRIDGE,
    ROW_PORTS,
    ROW_VLAN,
    ROW_ALL,
    ROW_DIRECTION,
    ROW_TO,
    ROW_ID,
    ROW_SNAP,
    ROW_CSUM,
    ROW_UPLINK,
    ROW_DB,
    N_ROWS
};

static const struct option_row rows[N_ROWS + 1] = {
    [ROW_BRIDGE] = {0, "bridge", "NAME", false, "the bridge whose ports are mirrored"},
    [ROW_PORTS] = {0, "ports", "LIST", false,
                   "ports that are mirrored, with commas between them; may be repeated"},
    [ROW_VLAN] = {0, "vlan", "N", false,
                  "only what is in this VLAN (0: untagged), of the ports or else of all;\n"
                  "may be repeated"},
    [ROW_ALL] = {0, "all-ports", NULL, false, "all ports of the bridge, also later ones"},
    [ROW_DIRECTION] = {0, "direction", "DIR", false,
                       "in, out or both (default), as the machine behind the port sees it"},
    [ROW_TO] = {0, "to", "KIND:WHERE", false,
                "the collector: gre:ADDR, erspan2:, erspan3:, vxlan:ADDR[:PORT], geneve:,\n"
                "[ADDR6] in brackets; or port:NAME of the same bridge, or vlan:N"},
    [ROW_ID] = {0, "id", "N", false, "VNI, GRE key or ERSPAN session id that the copies carry"},
    [ROW_SNAP] = {0, "snap", "N", false, "only the first N bytes of a frame (14 to 65535)"},
    [ROW_CSUM] = {0, "csum", NULL, false, "gre, vxlan, geneve: a checksum over each copy"},
    [ROW_UPLINK] = {0, "uplink", "PORT", false,
                    "the port by which the copies leave, where that is on the same bridge"},
    [ROW_DB] = {0, "db", "WHERE", false,
                "the switch's database, unix:PATH or tcp:HOST:PORT (default: this machine's)"},
    {0}};

/* ---- taking ---- */

/* Names with commas between them, added to *list. */
static int take_names(const char *option, const char *value, json_t **list, struct err *err)
{
    json_t *names = *list ? *list : json_array();
    *list = names;
    for (const char *at = value;; at++) {
        size_t len = strcspn(at, ",");
        if (len == 0 || len >= PORT_NAME_MAX)
            return err_set(err, -EINVAL, "%s: '%s' is no list of ports: p-a,p-b", option, value);
        if (json_array_size(names) >= PORTS_MAX)
            return err_set(err, -E2BIG, "%s: more than %d ports", option, PORTS_MAX);
        if (json_array_append_new(names, json_stringn(at, len)) < 0)
            return err_set(err, -EINVAL, "%s: '%s' is no UTF-8 text", option, value);
        at += len;
        if (!*at)
            break;
    }
    *list = ovs_sorted(names);
    return *list ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int take_vlan(const char *value, struct ovs_wish *wish, struct err *err)
{
    uint64_t vlan;
    if (!options_number(value, 4094, &vlan))
        return err_set(err, -EINVAL, "--vlan: '%s' is no VLAN (0 to 4094)", value);
    if (!wish->vlans)
        wish->vlans = json_array();
    if (json_array_append_new(wish->vlans, json_integer((json_int_t)vlan)) == 0)
        wish->vlans = ovs_sorted(wish->vlans);
    return wish->vlans ? 0 : err_set(err, -ENOMEM, "out of memory");
}

static int take(int row, const char *value, void *with, struct err *err)
{
    struct ovs_wish *wish = with;
    uint64_t number;
    switch ((enum row)row) {
    case ROW_BRIDGE:
        if (!*value || strlen(value) >= PORT_NAME_MAX)
            return err_set(err, -EINVAL, "--bridge: '%s' is no bridge's name", value);
        wish->bridge = value;
        return 0;
    case ROW_PORTS:
        return take_names("--ports", value, &wish->ports, err);
    case ROW_VLAN:
        return take_vlan(value, wish, err);
    case ROW_ALL:
        wish->all = true;
        return 0;
    case ROW_DIRECTION:
        return mirror_option_direction(value, &wish->direction, err);
    case ROW_TO:
        wish->has_to = true;
        return mirror_parse_target(value, TARGETS, &wish->to, err);
    case ROW_ID:
        if (!options_number(value, UINT32_MAX, &number))
            return err_set(err, -EINVAL, "--id: '%s' is no number up to 4294967295", value);
        wish->id = (uint32_t)number;
        wish->has_id = true;
        return 0;
    case ROW_SNAP:
        if (!options_number(value, 65535, &number) || number < 14)
            return err_set(err, -EINVAL, "--snap: '%s' is no number of bytes (14 to 65535)", value);
        wish->snap = (uint32_t)number;
        return 0;
    case ROW_CSUM:
        wish->csum = true;
        return 0;
    case ROW_UPLINK:
        return take_names("--uplink", value, &wish->uplinks, err);
    case ROW_DB:
        wish->where = value;
        return 0;
    case N_ROWS:
        break;
    }
    return 0;
}

/* ---- checking ---- */

static int check_id(const struct ovs_wish *wish, struct err *err)
{
    uint32_t max = mirror_wrap_max_id(wish->to.wrap);
    const char *name = mirror_wrap_name(wish->to.wrap);
    if (max == 0 && wish->has_id)
        return err_set(err, -EINVAL, "--id: copies to %s: carry no id", name);
    if (max && !wish->has_id && wish->to.wrap != MIRROR_GRE)
        return err_set(err, -EINVAL,
                       "--id: %s needs one (0 to %u), by which the collector knows this mirror",
                       name, max);
    if (wish->has_id && wish->id > max)
        return err_set(err, -EINVAL, "--id: %u is too large: %s has 0 to %u", wish->id, name, max);
    return 0;
}

static int check_selection(const struct ovs_wish *wish, struct err *err)
{
    bool some = json_array_size(wish->ports) > 0;
    if (!wish->bridge)
        return err_set(err, -EINVAL, "which bridge? --bridge NAME (ovs-vsctl list-br)");
    if (some && wish->all)
        return err_set(err, -EINVAL, "--all-ports has every port already: leave --ports out");
    if (!some && !wish->all && json_array_size(wish->vlans) == 0)
        return err_set(err, -EINVAL,
                       "what is to be mirrored? --ports LIST, --vlan N or --all-ports");
    if (!some && wish->direction && wish->direction != OVS_BOTH)
        return err_set(err, -EINVAL,
                       "--direction needs --ports: what leaves one port came in by another");
    return 0;
}

static int check_output(const struct ovs_wish *wish, struct err *err)
{
    json_t *vlan = json_integer(wish->to.vlan);
    bool same = false;
    for (size_t i = 0; i < json_array_size(wish->vlans); i++)
        same |= json_equal(json_array_get(wish->vlans, i), vlan) != 0;
    json_decref(vlan);
    if (!wish->has_to)
        return err_set(err, -EINVAL, "where to? --to erspan2:ADDR, the collector's address");
    if (wish->to.wrap == MIRROR_VLAN && same)
        return err_set(err, -EINVAL,
                       "--to: VLAN %u is mirrored itself; the copies need another one",
                       wish->to.vlan);
    if (wish->csum && wish->to.wrap != MIRROR_VXLAN && wish->to.wrap != MIRROR_GENEVE &&
        wish->to.wrap != MIRROR_GRE)
        return err_set(err, -EINVAL, "--csum: copies by %s have no such checksum",
                       mirror_wrap_name(wish->to.wrap));
    return 0;
}

static int check(struct mirror_job *job, struct err *err)
{
    struct ovs_wish *wish = job->wish;
    if (job->partial)
        return 0;
    int result = check_selection(wish, err);
    if (result == 0)
        result = check_output(wish, err);
    if (result == 0)
        result = check_id(wish, err);
    if (result < 0)
        return result;
    if (!job->name[0])
        mirror_name_make(json_array_size(wish->ports)
                             ? json_string_value(json_array_get(wish->ports, 0))
                             : wish->bridge,
                         job->name);
    /* The host's name says nothing of whose ports these are. */
    char host[sizeof job->machine] = "";
    if (gethostname(host, sizeof host - 1) < 0 || strcmp(host, job->machine) != 0)
        return 0;
    if (json_array_size(wish->ports) == 1)
        (void)snprintf(job->machine, sizeof job->machine, "%s",
                       json_string_value(json_array_get(wish->ports, 0)));
    else
        (void)snprintf(job->machine, sizeof job->machine, "%.30s-%.31s", host, job->name);
    return 0;
}

static void done(void *with)
{
    struct ovs_wish *wish = with;
    json_decref(wish->ports);
    json_decref(wish->uplinks);
    json_decref(wish->vlans);
}

/* ---- the database ---- */

static int open_database(struct mirror_job *job, struct err *err)
{
    const struct ovs_wish *wish = job->wish;
    struct ovs *ovs = calloc(1, sizeof *ovs);
    if (!ovs)
        return err_set(err, -ENOMEM, "out of memory");
    job->state = ovs;
    return ovsdb_open(wish ? wish->where : NULL, TIMEOUT_MS, &ovs->db, err);
}

static void close_database(struct mirror_job *job)
{
    struct ovs *ovs = job->state;
    if (!ovs)
        return;
    ovsdb_close(ovs->db);
    json_decref(ovs->rows);
    free(ovs);
    job->state = NULL;
}

static bool may_change(const struct mirror_object *have, const struct mirror_object *want)
{
    (void)have;
    (void)want;
    return true;
}

const struct mirror_provider provider_ovs = {
    .name = "ovs",
    .summary = "Mirrors ports and VLANs of Open vSwitch to a collector",
    .usage = "plan|apply|status|remove ovs --bridge NAME --ports LIST --to KIND:WHERE --id N "
             "[OPTION]…",
    .more = "Mirrors of others, and what they use, are left alone. cloudspan mirror plan ovs …\n"
            "--print gives the ovs-vsctl commands.\n",
    .options = rows,
    .wish_size = sizeof(struct ovs_wish),
    .wish_take = take,
    .wish_check = check,
    .wish_done = done,
    .open = open_database,
    .close = close_database,
    .want = ovs_want,
    .find = ovs_find,
    .names = ovs_names,
    .make = ovs_make,
    .may_change = may_change,
    .change = ovs_change,
    .unmake = ovs_unmake,
    .prove = ovs_prove,
    .measure = ovs_measure,
    .sources = ovs_sources,
    .describe = ovs_describe,
    .command = ovs_command,
};
