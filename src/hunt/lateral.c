/* Lateral movement: connections by which machines are administered (SMB, RDP, WinRM, SSH, ...)
 * between two inside that never were before. How much "never" says depends on the days that are
 * remembered: with none, everything is new, and only what one machine opens to many others in an
 * hour, or to one in several ways, is told. Many short logins in a row are told whatever was
 * before.
 *
 * The books go back some days. Beyond them the archive remembers each connection that came through
 * by one number, for 90 days after it was there last: a job that runs once a month is no news. */
#include "hunt/lateral.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MINUTE     60000ll
#define AT(member) offsetof(struct lateral_settings, member)

static const struct yaml_row lateral_rows[] = {
    {.key = "history-days",
     .help = "with fewer days of history, a new connection says less",
     .kind = YAML_COUNT,
     .at = AT(days),
     .min = 1,
     .max = 90},
    {.key = "fan-out",
     .help = "so many new destinations of one machine within an hour are\n"
             "remarkable even without a history",
     .kind = YAML_COUNT,
     .at = AT(fan_out),
     .min = 2,
     .max = 10000},
    {.key = "server",
     .help = "a destination that so many machines connect to is a server:\n"
             "one more says less",
     .kind = YAML_COUNT,
     .at = AT(server),
     .min = 2,
     .max = 10000},
    {.key = "logins",
     .help = "so many short sessions of like size within five minutes are\n"
             "somebody trying passwords",
     .kind = YAML_COUNT,
     .at = AT(logins),
     .min = 3,
     .max = 10000},
    {.key = NULL},
};

static void lateral_defaults(void *settings)
{
    *(struct lateral_settings *)settings =
        (struct lateral_settings){.days = 7, .fan_out = 5, .server = 4, .logins = 10};
}

static const struct lateral_service lateral_services[] = {
    {21, "FTP", LATERAL_SHELL, true},
    {22, "SSH", LATERAL_SHELL, true},
    {23, "telnet", LATERAL_SHELL, true},
    {135, "DCE-RPC", LATERAL_WINDOWS, false},
    {139, "NetBIOS", LATERAL_WINDOWS, false},
    {445, "SMB", LATERAL_WINDOWS, false},
    {512, "rexec", LATERAL_SHELL, true},
    {513, "rlogin", LATERAL_SHELL, true},
    {514, "rsh", LATERAL_SHELL, true},
    {1433, "SQL Server", LATERAL_DATABASE, false},
    {1521, "Oracle", LATERAL_DATABASE, false},
    {2375, "Docker", LATERAL_ORCHESTRATION, false},
    {2376, "Docker", LATERAL_ORCHESTRATION, false},
    {3306, "MySQL", LATERAL_DATABASE, false},
    {3389, "RDP", LATERAL_RDP, true},
    {5432, "PostgreSQL", LATERAL_DATABASE, false},
    {5900, "VNC", LATERAL_SCREEN, true},
    {5901, "VNC", LATERAL_SCREEN, true},
    {5985, "WinRM", LATERAL_WINRM, false},
    {5986, "WinRM", LATERAL_WINRM, false},
    {6379, "Redis", LATERAL_DATABASE, false},
    {6443, "Kubernetes", LATERAL_ORCHESTRATION, false},
    {10250, "kubelet", LATERAL_ORCHESTRATION, false},
    {27017, "MongoDB", LATERAL_DATABASE, false},
    {0, NULL, 0, false},
};

static const struct lateral_service *lateral_service_of(uint16_t port)
{
    for (const struct lateral_service *service = lateral_services; service->name; service++)
        if (service->port == port)
            return service;
    return NULL;
}

static void lateral_merge(void *into, const void *from)
{
    struct lateral_value *a = into;
    const struct lateral_value *b = from;
    if (a->first == 0 || (b->first != 0 && b->first < a->first))
        a->first = b->first;
    if (b->last > a->last)
        a->last = b->last;
    if (a->first_success == 0 || (b->first_success != 0 && b->first_success < a->first_success))
        a->first_success = b->first_success;
    if (a->first_auth_success == 0 ||
        (b->first_auth_success != 0 && b->first_auth_success < a->first_auth_success))
        a->first_auth_success = b->first_auth_success;
    a->n += b->n;
    a->n_success += b->n_success;
    a->n_failed += b->n_failed;
    a->bytes_up += b->bytes_up;
    a->bytes_down += b->bytes_down;
    a->n_short += b->n_short;
    a->sum_short += b->sum_short;
    a->squares_short += b->squares_short;
    a->n_auth_success += b->n_auth_success;
    a->n_auth_failed += b->n_auth_failed;
    a->way = b->way;
    gather_stretch_merge(&a->shorts, &b->shorts);
}

const struct book_table lateral_table = {
    .name = "lateral",
    .version = 1,
    .key_size = sizeof(struct lateral_key),
    .value_size = sizeof(struct lateral_value),
    .series_at = {offsetof(struct lateral_value, conns)},
    .n_series = 1,
    .merge = lateral_merge,
};

/* ---- taking ---- */

/* A login that did not lead to work: over in a minute, and little said. */
#define HABIT_MS    (3 * GATHER_MS_HOUR)
#define SHORT_NS    (60 * 1000000000ll)
#define SHORT_BYTES 8192

static void lateral_take_conn(struct book *book, const struct hunt_record *record,
                              const struct lateral_service *service, struct lateral_value *value)
{
    int64_t ts = hunt_ms(record->ts);
    uint64_t up = hunt_known(record->conn.orig_bytes);
    uint64_t down = hunt_known(record->conn.resp_bytes);
    uint64_t duration = hunt_known(record->conn.duration);
    bool failed = gather_is_failed(record) || up == 0 || down == 0;
    value->n++;
    value->n_failed += failed;
    value->bytes_up += up;
    value->bytes_down += down;
    struct book_event event = {.ts = ts,
                               .duration = duration / 1000,
                               .up = up > UINT32_MAX ? UINT32_MAX : (uint32_t)up,
                               .down = down > UINT32_MAX ? UINT32_MAX : (uint32_t)down,
                               .failed = failed};
    book_add_event(book, &value->conns, &event);
    if (failed)
        return;
    value->n_success++;
    if (value->first_success == 0 || ts < value->first_success)
        value->first_success = ts;
    if (!service->has_logins || duration > SHORT_NS || up > SHORT_BYTES || down > SHORT_BYTES)
        return;
    double before = (double)value->n_short;
    value->n_short++;
    value->sum_short += up;
    value->squares_short += (double)up * (double)up;
    gather_stretch_add(&value->shorts, ts, 5 * MINUTE, before, before + 1, value->n_short);
}

static void lateral_take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (!record->has_ends || (record->log == HUNT_CONN && record->proto != HUNT_TCP))
        return;
    const struct lateral_service *service = lateral_service_of(record->resp_port);
    if (record->log == HUNT_SSH && !service)
        service = lateral_service_of(22);
    if (!service || gather_is_group(&record->resp.addr))
        return;
    enum hunt_way way = hunt_way(take->scope, &record->orig.addr, &record->resp.addr);
    if (way == HUNT_OUTSIDE || (way == HUNT_IN && !take->scope->include_inbound) ||
        (way != HUNT_INSIDE && !service->has_logins))
        return;

    struct lateral_key key;
    memset(&key, 0, sizeof(key));
    key.src = record->orig;
    key.dst = record->resp;
    key.port = record->resp_port;
    struct lateral_value *value = book_at(take->book, &lateral_table, &key, NULL);
    if (!value)
        return;
    int64_t ts = hunt_ms(record->ts);
    if (value->first == 0 || ts < value->first)
        value->first = ts;
    if (ts > value->last)
        value->last = ts;
    value->way = (uint32_t)way;
    if (record->log == HUNT_CONN) {
        lateral_take_conn(take->book, record, service, value);
    } else if (record->log == HUNT_SSH && record->ssh.auth_success == 1) {
        value->n_auth_success++;
        if (value->first_auth_success == 0 || ts < value->first_auth_success)
            value->first_auth_success = ts;
    } else if (record->log == HUNT_SSH && record->ssh.auth_success == 0) {
        uint64_t n = hunt_known(record->ssh.auth_attempts);
        value->n_auth_failed += n == 0 ? 1 : n > 1000 ? 1000 : n;
    }
}

/* ---- what is remembered ---- */

uint64_t lateral_memory_key(uint64_t secret, const struct lateral_key *key)
{
    return XXH3_64bits_withSeed(key, sizeof *key,
                                secret ^ UINT64_C(0x6c61746572616c)); /* "lateral" */
}

uint64_t lateral_memory_begin(uint64_t secret)
{
    static const char text[] = "lateral: since";
    return XXH3_64bits_withSeed(text, sizeof text, secret);
}

bool lateral_is_remembered(const struct lateral_value *value)
{
    return value->n_success > 0 && value->way == HUNT_INSIDE;
}

/* In days up to the window's begin. */
static double lateral_memory_days(const struct hunt_judge *judge)
{
    int64_t since = hunt_remembered(judge, lateral_memory_begin(hunt_secret(judge)));
    if (since == HUNT_UNSET || since >= judge->from)
        return 0;
    return fmin(90, (double)(judge->from - since) / (double)GATHER_MS_DAY);
}

/* ---- judging ---- */

static void lateral_each(void *with, const void *key, const void *value)
{
    struct lateral_walk *walk = with;
    struct lateral_edge edge;
    memset(&edge, 0, sizeof(edge));
    memcpy(&edge.key, key, sizeof(edge.key));
    memcpy(&edge.value, value, sizeof(edge.value));
    edge.service = lateral_service_of(edge.key.port);
    if (!edge.service)
        edge.service = lateral_service_of(22);
    struct lateral_value old;
    edge.is_old = books_find(&walk->history, &lateral_table, key, &old) && old.n_success > 0;
    if (edge.value.first_success != 0 && edge.value.first_success < walk->judge->from)
        edge.is_old = true;
    if (!edge.is_old && lateral_is_remembered(&edge.value)) {
        uint64_t memory = lateral_memory_key(hunt_secret(walk->judge), &edge.key);
        int64_t first = hunt_remembered(walk->judge, memory);
        edge.is_old = first != HUNT_UNSET && first < walk->judge->from;
    }
    (void)gather_add(&walk->edges, &edge); /* what is left out is counted by it */
}

static int lateral_order_dst(const void *a, const void *b)
{
    const struct lateral_edge *x = a, *y = b;
    int order = gather_order_host(&x->key.dst, &y->key.dst);
    if (order == 0)
        order = (x->key.port > y->key.port) - (x->key.port < y->key.port);
    return order != 0 ? order : gather_order_host(&x->key.src, &y->key.src);
}

static int lateral_order_src(const void *a, const void *b)
{
    const struct lateral_edge *x = a, *y = b;
    int order = gather_order_host(&x->key.src, &y->key.src);
    if (order == 0)
        order = gather_order_host(&x->key.dst, &y->key.dst);
    return order != 0 ? order : (x->key.port > y->key.port) - (x->key.port < y->key.port);
}

static bool lateral_is_new(const struct lateral_edge *edge)
{
    return !edge->is_old && edge->value.n_success > 0 && edge->value.way == HUNT_INSIDE;
}

/* Edges by destination and port: which are servers; and which machines were opened themselves
 * before they opened others. */
static void lateral_mark(struct lateral_edge *edges, size_t n, uint32_t server)
{
    for (size_t i = 0, end; i < n; i = end) {
        end = i;
        uint32_t n_sources = 0;
        while (end < n && gather_order_host(&edges[i].key.dst, &edges[end].key.dst) == 0 &&
               edges[i].key.port == edges[end].key.port)
            n_sources += edges[end++].value.n_success > 0;
        for (size_t k = i; k < end; k++) {
            edges[k].n_others = n_sources > 0 ? n_sources - 1 : 0;
            edges[k].is_server = n_sources >= server;
        }
    }
}

static size_t lateral_first_of_dst(const struct lateral_edge *edges, size_t n,
                                   const struct hunt_host *dst)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gather_order_host(&edges[middle].key.dst, dst) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void lateral_chain(struct lateral_edge *edges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!lateral_is_new(&edges[i]))
            continue;
        unsigned n_seen = 0;
        for (size_t k = lateral_first_of_dst(edges, n, &edges[i].key.src);
             k < n && n_seen < 4096 && gather_order_host(&edges[k].key.dst, &edges[i].key.src) == 0;
             k++, n_seen++) {
            int64_t since = edges[i].value.first_success - edges[k].value.first_success;
            if (lateral_is_new(&edges[k]) && !edges[k].is_server && since > 0 &&
                since <= 4 * GATHER_MS_HOUR)
                edges[i].is_chained = true;
        }
    }
}

static void lateral_say_history(const struct lateral_walk *walk, struct finding *finding)
{
    if (walk->days >= walk->settings->days) {
        finding_because(finding, "never before in %.0f days", walk->days);
        return;
    }
    double share = walk->days / walk->settings->days;
    finding->confidence *= 0.5 + 0.5 * share;
    if (walk->days < 0.5)
        finding_because(finding, "there is no history yet: everything is new today");
    else
        finding_because(finding, "only %.1f days of history: what is new says less", walk->days);
}

/* One new connection: -1 when it is not worth a line. */
static double lateral_score(const struct lateral_walk *walk, const struct lateral_edge *edge,
                            unsigned n_families)
{
    double score = 0.5;
    if (walk->days < walk->settings->days)
        score -= 0.2 * (1 - walk->days / walk->settings->days);
    if (edge->service->family == LATERAL_DATABASE)
        score -= 0.1;
    if (edge->is_server)
        score -= 0.25;
    if (edge->is_chained)
        score += 0.15;
    score += 0.1 * (n_families - 1);
    if (walk->days < 0.5 && (edge->is_server || (n_families < 2 && !edge->is_chained)))
        return -1;
    return score < 0.2 ? -1 : fmin(score, 0.85);
}

static void lateral_tell_pair(const struct lateral_walk *walk, const struct lateral_edge *edges,
                              size_t n)
{
    uint32_t families = 0;
    char names[64] = "";
    const struct lateral_edge *main_edge = NULL;
    for (size_t i = 0; i < n; i++) {
        if (!lateral_is_new(&edges[i]))
            continue;
        size_t used = strlen(names);
        if (!(families & (uint32_t)edges[i].service->family))
            snprintf(names + used, sizeof(names) - used, "%s%s", used ? " and " : "",
                     edges[i].service->name);
        families |= (uint32_t)edges[i].service->family;
        if (!main_edge || edges[i].value.n_success > main_edge->value.n_success)
            main_edge = &edges[i];
    }
    if (!main_edge)
        return;
    unsigned n_families = (unsigned)__builtin_popcount(families);
    double score = lateral_score(walk, main_edge, n_families);
    if (score < 0)
        return;
    struct finding finding;
    finding_init(&finding, walk->judge->hunt);
    lateral_fill(walk->judge, &finding, main_edge);
    finding.score = score;
    snprintf(finding.title, sizeof(finding.title), "first %s between these two", names);
    lateral_say_history(walk, &finding);
    if (n_families > 1)
        finding_because(&finding, "in %u ways at once: %s", n_families, names);
    if (main_edge->is_server)
        finding_because(&finding, "%u other machines use that service too: a server",
                        main_edge->n_others);
    else if (main_edge->n_others == 0)
        finding_because(&finding, "nobody else does so");
    if (main_edge->is_chained)
        finding_because(&finding, "the source itself was opened so for the first time, just "
                                  "before: a chain");
    findings_add(walk->judge->findings, &finding);
}

/* The most new destinations within an hour; edges of one source, and when that was. */
static unsigned lateral_fan_out(const struct lateral_edge *edges, size_t n, int64_t *out_since)
{
    unsigned most = 0;
    for (size_t i = 0; i < n; i++) {
        if (!lateral_is_new(&edges[i]) || edges[i].is_server)
            continue;
        int64_t since = edges[i].value.first_success;
        unsigned in_hour = 0;
        const struct hunt_host *last = NULL;
        for (size_t k = 0; k < n; k++) {
            int64_t after = edges[k].value.first_success - since;
            if (!lateral_is_new(&edges[k]) || edges[k].is_server || after < 0 ||
                after >= GATHER_MS_HOUR)
                continue;
            if (!last || gather_order_host(last, &edges[k].key.dst) != 0)
                in_hour++;
            last = &edges[k].key.dst;
        }
        if (in_hour > most) {
            most = in_hour;
            *out_since = since;
        }
    }
    return most;
}

static void lateral_tell_fan(const struct lateral_walk *walk, const struct lateral_edge *edges,
                             size_t n, unsigned fan, int64_t since)
{
    struct finding finding;
    finding_init(&finding, walk->judge->hunt);
    const struct lateral_edge *biggest = NULL;
    uint32_t families = 0;
    unsigned n_tried = 0, n_new = 0, n_habits = 0;
    bool is_chained = false;
    int64_t last = since;
    char names[96] = "";
    for (size_t i = 0; i < n; i++) {
        n_tried += edges[i].value.n_success == 0;
        if (!lateral_is_new(&edges[i]) || edges[i].is_server)
            continue;
        size_t used = strlen(names);
        if (!(families & (uint32_t)edges[i].service->family))
            snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
                     edges[i].service->name);
        families |= (uint32_t)edges[i].service->family;
        is_chained |= edges[i].is_chained;
        n_new++;
        n_habits += edges[i].value.last - edges[i].value.first >= HABIT_MS;
        if (edges[i].value.last > last)
            last = edges[i].value.last;
        finding.n += edges[i].value.n_success;
        finding.bytes_up += edges[i].value.bytes_up;
        finding.bytes_down += edges[i].value.bytes_down;
        if (!biggest || edges[i].value.n_success > biggest->value.n_success)
            biggest = &edges[i];
    }
    if (!biggest)
        return;
    uint64_t count = finding.n, up = finding.bytes_up, down = finding.bytes_down;
    gather_ends(walk->judge, &finding, &edges[0].key.src, NULL, since, last);
    finding.n = count;
    finding.bytes_up = up;
    finding.bytes_down = down;
    snprintf(finding.ports, sizeof(finding.ports), "%u:tcp", biggest->key.port);
    snprintf(finding.title, sizeof(finding.title), "first %s to %u machines within an hour", names,
             fan);
    finding.score = 0.65 + 0.25 * log10((double)fan / walk->settings->fan_out);
    if (walk->days < walk->settings->days)
        finding.score -= 0.1 * (1 - walk->days / walk->settings->days);
    if (is_chained)
        finding.score += 0.1;
    bool is_habit = walk->days < 0.5 && n_habits * 4 > n_new * 3;
    if (is_habit)
        finding.score -= 0.3;
    finding.score = fmin(0.95, finding.score);
    lateral_say_history(walk, &finding);
    if (is_habit)
        finding_because(&finding,
                        "it went on with %u of them for three hours and more: monitoring "
                        "and management do, and tomorrow it is known",
                        n_habits);
    if (n_tried > 0)
        finding_because(&finding, "%u more were tried in vain", n_tried);
    if (is_chained)
        finding_because(&finding, "the source itself was opened so for the first time, just "
                                  "before: a chain");
    finding_number(&finding, "fan_out", fan);
    finding_number(&finding, "n_tried_in_vain", n_tried);
    finding.events_of = &lateral_table;
    memcpy(finding.events_key, &biggest->key, sizeof(biggest->key));
    findings_add(walk->judge->findings, &finding);
}

static void lateral_judge_source(const struct lateral_walk *walk, const struct lateral_edge *edges,
                                 size_t n)
{
    for (size_t i = 0; i < n; i++)
        lateral_tell_logins(walk, &edges[i]);
    int64_t since = 0;
    /* A source of thousands is a scanner or a management system: its first ones tell enough. */
    unsigned fan = lateral_fan_out(edges, n < 2000 ? n : 2000, &since);
    if (fan >= walk->settings->fan_out) {
        lateral_tell_fan(walk, edges, n, fan, since);
        return;
    }
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && gather_order_host(&edges[i].key.dst, &edges[end].key.dst) == 0)
            end++;
        lateral_tell_pair(walk, edges + i, end - i);
    }
}

static void lateral_judge(const struct hunt_judge *judge)
{
    struct lateral_walk walk = {.judge = judge,
                                .settings = judge->settings,
                                .history = gather_history(judge),
                                .days =
                                    fmax(gather_history_days(judge), lateral_memory_days(judge))};
    gather_init(&walk.edges, sizeof(struct lateral_edge), 500000);
    struct books window = gather_window(judge);
    books_each(&window, &lateral_table, judge->n_threads, lateral_each, &walk);
    struct lateral_edge *edges = (struct lateral_edge *)(void *)walk.edges.items;
    size_t n = walk.edges.n;
    gather_sort(&walk.edges, lateral_order_dst);
    lateral_mark(edges, n, walk.settings->server);
    lateral_chain(edges, n);
    gather_sort(&walk.edges, lateral_order_src);
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && gather_order_host(&edges[i].key.src, &edges[end].key.src) == 0)
            end++;
        lateral_judge_source(&walk, edges + i, end - i);
    }
    gather_done(&walk.edges);
}

static const struct book_table *const lateral_tables[] = {&lateral_table, NULL};

const struct hunt hunt_lateral = {
    .name = "lateral-movement",
    .title = "Lateral movement",
    .summary = "first connections by which one machine administers another, and tried passwords",
    .logs = HUNT_LOG_BIT(HUNT_CONN) | HUNT_LOG_BIT(HUNT_SSH),
    .tables = lateral_tables,
    .settings = lateral_rows,
    .settings_size = sizeof(struct lateral_settings),
    .defaults = lateral_defaults,
    .take = lateral_take,
    .judge = lateral_judge,
};
