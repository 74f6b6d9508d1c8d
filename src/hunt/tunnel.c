/* Tunnels out of the network: what is wrapped in GRE, another IP, VXLAN, GENEVE, Teredo and the
 * like, to a host outside. Firewalls let them through, and nobody looks into them.
 *
 * tunnel.log says so where the analyser looked inside; of those over UDP conn.log's port may be all
 * there is to see, which says less. Which end was first is chance: the one of ours is the source. A
 * tunnel that was there on days before is somebody's network, and told low. */
#include "hunt/gather.h"

#include <math.h>
#include <stdio.h>

#include "hunt/tell.h"

#define PACKETS_MIN 10 /* by the port alone */
#define FEW_HOSTS   5

struct settings {
    bool by_port;
};

static const struct yaml_row rows[] = {
    {.key = "by-port",
     .help = "tell also of tunnels that are known by their UDP port alone",
     .kind = YAML_BOOL,
     .at = offsetof(struct settings, by_port)},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.by_port = true};
}

/* Of an HTTP proxy's tunnels there are as many as of browsers: they are none here. */
static const struct kind {
    const char *type; /* in tunnel.log, behind "Tunnel::" */
    const char *words;
    uint16_t ports[2]; /* UDP */
    double score;
    bool has_client; /* the originator is one */
} kinds[] = {
    {"GRE", "GRE", {0}, 0.45, false},
    {"IP", "IP in IP (6in4, 4in6, IPIP)", {0}, 0.45, false},
    {"VXLAN", "VXLAN", {4789, 8472}, 0.5, false},
    {"GENEVE", "GENEVE", {6081}, 0.5, false},
    {"GTPv1", "GTP", {2152}, 0.35, false},
    {"TEREDO", "Teredo", {3544}, 0.3, false},
    {"AYIYA", "AYIYA", {5072}, 0.3, false},
    {"SOCKS", "SOCKS", {0}, 0.35, true},
};
#define N_KINDS (sizeof kinds / sizeof kinds[0])

struct tunnel_key {
    struct hunt_host src, dst;
    uint32_t kind;
};

struct tunnel_value {
    int64_t first, last;       /* ms */
    uint64_t n;                /* lines of either log */
    uint64_t n_packets, bytes; /* of conn.log */
    uint32_t touched;
    uint16_t port;          /* of the far end; 0: it has none */
    uint8_t by_log, unused; /* tunnel.log said so */
};

static void merge(void *at, const void *other)
{
    struct tunnel_value *into = at;
    const struct tunnel_value *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    into->n += from->n;
    into->n_packets += from->n_packets;
    into->bytes += from->bytes;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
    into->port = into->port ? into->port : from->port;
    into->by_log |= from->by_log;
}

static const struct book_table table = {
    .name = "tunnels",
    .version = 1,
    .key_size = sizeof(struct tunnel_key),
    .value_size = sizeof(struct tunnel_value),
    .merge = merge,
};

/* ---- taking ---- */

static const struct kind *kind_of_type(struct str type)
{
    if (str_starts(type, STR("Tunnel::")))
        type = str_from(type, 8);
    for (size_t i = 0; i < N_KINDS; i++)
        if (str_eq_nocase(type, str_c(kinds[i].type)))
            return &kinds[i];
    return NULL;
}

static const struct kind *kind_of_port(uint16_t port)
{
    for (size_t i = 0; i < N_KINDS && port; i++)
        if (kinds[i].ports[0] == port || kinds[i].ports[1] == port)
            return &kinds[i];
    return NULL;
}

/* What conn.log's port says; NULL: nothing, or the analyser knows better. */
static const struct kind *kind_of_conn(const struct hunt_record *record)
{
    if (record->proto != HUNT_UDP)
        return NULL;
    const struct kind *kind = kind_of_port(record->resp_port);
    if (!kind ||
        (record->conn.service.len > 0 && !str_eq_nocase(record->conn.service, str_c(kind->type))))
        return NULL;
    return kind;
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    bool by_log = record->log == HUNT_TUNNEL;
    if (!record->has_ends)
        return;
    const struct kind *kind = by_log ? kind_of_type(record->tunnel.type) : kind_of_conn(record);
    if (!kind)
        return;
    enum hunt_way way = hunt_way(take->scope, &record->orig.addr, &record->resp.addr);
    bool swaps = by_log && way == HUNT_IN && !kind->has_client;
    const struct hunt_host *src = swaps ? &record->resp : &record->orig;
    const struct hunt_host *dst = swaps ? &record->orig : &record->resp;
    if ((way != HUNT_OUT && !swaps) || !hunt_keeps_conn(take->scope, &src->addr, &dst->addr) ||
        gather_is_group(&dst->addr))
        return;
    struct tunnel_key key;
    memset(&key, 0, sizeof key);
    key.src = *src;
    key.dst = *dst;
    key.kind = (uint32_t)(kind - kinds);
    struct tunnel_value *value = book_at(take->book, &table, &key, NULL);
    if (!value)
        return;
    tell_see(&value->first, &value->last, value->n, hunt_ms(record->ts));
    value->n++;
    value->touched = take->round;
    value->by_log |= by_log;
    if (by_log)
        return;
    value->port = record->resp_port;
    value->n_packets += hunt_known(record->conn.orig_pkts) + hunt_known(record->conn.resp_pkts);
    value->bytes += hunt_known(record->conn.orig_ip_bytes) + hunt_known(record->conn.resp_ip_bytes);
}

/* ---- judging ---- */

struct judging {
    const struct hunt_judge *judge;
    struct books history;
    double days; /* of history */
};

static void weigh_history(const struct judging *judging, const struct tunnel_key *key,
                          const struct tunnel_value *value, struct finding *finding)
{
    struct tunnel_value before;
    if (value->first < judging->judge->from ||
        books_find(&judging->history, &table, key, &before)) {
        finding->score -= 0.2;
        finding_because(finding, "it was there before");
    } else if (judging->days >= 1) {
        finding->score += 0.15;
        finding_because(finding, "never before in %.0f days", judging->days);
    } else {
        finding->confidence *= 0.7;
        finding_because(finding, "there is no history yet that could know it");
    }
}

static void weigh_prevalence(const struct hunt_judge *judge, const struct tunnel_key *key,
                             struct finding *finding)
{
    struct hunt_prevalence hosts = hunt_prevalence_of(judge, &key->dst);
    if (hosts.of < FEW_HOSTS)
        return;
    if (hosts.n <= 1) {
        finding->score += 0.05;
        finding_because(finding, "no other of %u internal hosts knows the far end", hosts.of);
    } else if (hosts.n * 2 >= hosts.of) {
        finding->score -= 0.15;
        finding_because(finding, "%u of %u internal hosts know the far end", hosts.n, hosts.of);
    }
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct judging *judging = with;
    const struct hunt_judge *judge = judging->judge;
    const struct settings *settings = judge->settings;
    const struct tunnel_key *key = key_at;
    const struct tunnel_value *value = value_at;
    if (key->kind >= N_KINDS || !tell_is_due(judge, value->first, value->last, value->touched) ||
        (!value->by_log && (!settings->by_port || value->n_packets < PACKETS_MIN)))
        return;
    const struct kind *kind = &kinds[key->kind];
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.about = key->kind + 1;
    finding.score = kind->score;
    finding.confidence = 0.8;
    gather_ends(judge, &finding, &key->src, &key->dst, value->first, value->last);
    finding.n = value->n;
    if (value->by_log) {
        finding_because(&finding, "tunnel.log says what is in it: %s", kind->words);
    } else {
        finding.score -= 0.2;
        finding.confidence *= 0.5;
        finding_because(&finding, "known by its port alone, %u: %llu packets", value->port,
                        (unsigned long long)value->n_packets);
    }
    weigh_history(judging, key, value, &finding);
    weigh_prevalence(judge, key, &finding);
    if (value->bytes)
        finding_number(&finding, "bytes", (double)value->bytes);
    finding_number(&finding, "packets", (double)value->n_packets);
    if (value->port)
        tell_port(&finding, value->port, HUNT_UDP, STR(""));
    else
        finding.ports[0] = '\0';
    (void)snprintf(finding.title, sizeof finding.title, "%s tunnel out of the network",
                   kind->words);
    finding.score = fmin(finding.score, 0.75);
    if (finding.score > 0.195)
        (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct judging judging = {
        .judge = judge, .history = gather_history(judge), .days = gather_history_days(judge)};
    struct books window = gather_window(judge);
    books_each(&window, &table, judge->n_threads, judge_one, &judging);
}

static const struct book_table *const tables[] = {&table, NULL};

const struct hunt hunt_tunnel = {
    .name = "tunnel",
    .title = "Tunnels",
    .summary = "tunnels to hosts outside: GRE, IP in IP, VXLAN, GENEVE, Teredo and the like",
    .logs = HUNT_LOG_BIT(HUNT_TUNNEL) | HUNT_LOG_BIT(HUNT_CONN),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = take,
    .judge = judge,
};
