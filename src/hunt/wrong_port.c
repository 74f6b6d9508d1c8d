/* Protocols on ports that are not theirs, and connections to the web's ports in which nothing of
 * the web is said: who wants to pass a firewall takes a port that it lets through.
 *
 * What a protocol is, conn.log's `service` says, by the bytes. Where it says nothing, that counts
 * only for a connection that was seen from its beginning, without gaps, in which something was
 * said. Not told: QUIC by analysers that do not know it (UDP), TLS that the server refused (an
 * alert of 7 bytes), alternates that are in common use, and most of what stays inside. */
#include "hunt/hunt.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

#include "hunt/tell.h"

#define SCORE_MIN 0.2

struct settings {
    uint32_t few; /* connections */
    bool inside;  /* between internal hosts too */
};

static const struct yaml_row rows[] = {
    {.key = "connections",
     .help = "so many connections of a pair are told at least; one is enough, as an\n"
             "implant may hold a single one for days",
     .kind = YAML_COUNT,
     .at = offsetof(struct settings, few),
     .min = 1,
     .max = 100000},
    {.key = "inside",
     .help = "tell of connections between internal hosts as well, where ports are\n"
             "often chosen freely",
     .kind = YAML_BOOL,
     .at = offsetof(struct settings, inside)},
    {.key = NULL},
};

static void defaults(void *at)
{
    *(struct settings *)at = (struct settings){.few = 1};
}

/* ---- which protocol belongs where ---- */

struct range {
    uint16_t from, to;
};

/* `elsewhere`: the score of a connection to the outside on any other port; `on_web`: on 80, 443 or
 * 53, which firewalls let through. 0: not told. */
static const struct home {
    const char *service;
    double elsewhere, on_web;
    struct range ports[16]; /* ended by from == 0 */
} homes[] = {
    /* Many services bring their own TLS on ports of their own: only 80, 53, 22 ... are told. */
    {"ssl", 0, 0.5, {{443, 443}, {853, 853}, {0, 0}}},
    {"http",
     0.25,
     0.45,
     {{80, 89},
      {591, 591},
      {631, 631},
      {1080, 1080},
      {1900, 1900},
      {2375, 2375},
      {2869, 2869},
      {3000, 3200},
      {5000, 5001},
      {5357, 5358},
      {5985, 5985},
      {7000, 7100},
      {8000, 9999},
      {10000, 10255},
      {47001, 47001},
      {0, 0}}},
    {"ssh",
     0.5,
     0.6,
     {{22, 22},
      {222, 222},
      {830, 830},
      {2022, 2022},
      {2200, 2299},
      {22022, 22222},
      {8022, 8022},
      {29418, 29418},
      {0, 0}}},
    {"dns",
     0.4,
     0.5,
     {{53, 53}, {137, 137}, {853, 853}, {5053, 5054}, {5353, 5355}, {8600, 8600}, {0, 0}}},
    {"ftp", 0.4, 0.5, {{21, 21}, {990, 990}, {2121, 2121}, {0, 0}}},
    {"smtp", 0.4, 0.5, {{24, 26}, {465, 465}, {587, 587}, {2525, 2525}, {10024, 10026}, {0, 0}}},
    {"irc", 0.5, 0.6, {{194, 194}, {6660, 6669}, {6697, 6697}, {7000, 7000}, {0, 0}}},
    {"rdp", 0.5, 0.6, {{3389, 3389}, {0, 0}}},
    {"rfb", 0.5, 0.6, {{5900, 5999}, {0, 0}}},
    {"smb", 0.5, 0.6, {{139, 139}, {445, 445}, {0, 0}}},
    {"socks", 0.4, 0.6, {{1080, 1081}, {9050, 9050}, {9150, 9150}, {0, 0}}},
    {"ntp", 0.4, 0.5, {{123, 123}, {0, 0}}},
    {"snmp", 0.4, 0.5, {{161, 162}, {0, 0}}},
    {"ldap_tcp", 0.3, 0.5, {{389, 389}, {3268, 3268}, {0, 0}}},
    {"krb_tcp", 0.3, 0.5, {{88, 88}, {464, 464}, {0, 0}}},
    {"mysql", 0.3, 0.5, {{3306, 3309}, {33060, 33060}, {0, 0}}},
    {"postgresql", 0.3, 0.5, {{5432, 5439}, {6432, 6432}, {0, 0}}},
    {"modbus", 0.4, 0.5, {{502, 502}, {0, 0}}},
    {NULL, 0, 0, {{0, 0}}},
};

static bool is_at_home(const struct home *home, uint16_t port)
{
    for (const struct range *r = home->ports; r->from != 0; r++)
        if (port >= r->from && port <= r->to)
            return true;
    return false;
}

static bool is_web(uint16_t port)
{
    return port == 80 || port == 443 || port == 53;
}

/* Ports on which nobody expects TLS that is not begun by another protocol (STARTTLS). */
static bool is_never_tls(uint16_t port)
{
    return port == 80 || port == 53 || port == 22 || port == 23 || port == 123;
}

static double score_of_service(struct str service, uint16_t port)
{
    /* "smtp,ssl": a protocol and what it carries; one that is at home speaks for both. */
    double score = 0;
    while (service.len > 0) {
        const char *comma = memchr(service.at, ',', service.len);
        size_t len = comma ? (size_t)(comma - service.at) : service.len;
        struct str word = str_upto(service, len);
        service = str_from(service, comma ? len + 1 : len);
        for (const struct home *home = homes; home->service; home++) {
            if (!str_eq(word, str_c(home->service)))
                continue;
            if (is_at_home(home, port))
                return 0;
            double here = is_web(port) || (home == homes && is_never_tls(port)) ? home->on_web
                                                                                : home->elsewhere;
            score = score > here ? score : here;
        }
    }
    return score;
}

/* ---- what is kept ---- */

enum kind { KIND_ELSEWHERE, KIND_NOT_WEB, KIND_SILENT };

struct key {
    struct hunt_host src, dst;
    book_name service; /* 0: none was recognised */
    uint16_t port;
    uint8_t proto, kind;
    uint32_t unused;
};

struct value {
    int64_t first, last; /* ms */
    uint64_t n, up, down;
    uint64_t longest; /* ms */
    uint32_t score;   /* in thousandths */
    uint32_t touched;
};

static void merge(void *at, const void *other)
{
    struct value *into = at;
    const struct value *from = other;
    tell_merge_times(&into->first, &into->last, into->n, from->first, from->last, from->n);
    into->n += from->n;
    into->up += from->up;
    into->down += from->down;
    into->longest = into->longest > from->longest ? into->longest : from->longest;
    into->score = into->score > from->score ? into->score : from->score;
    into->touched = into->touched > from->touched ? into->touched : from->touched;
}

static const struct book_table table = {
    .name = "wrong_port",
    .version = 1,
    .key_size = sizeof(struct key),
    .value_size = sizeof(struct value),
    .merge = merge,
};
static const struct book_table *const tables[] = {&table, NULL};

/* Nothing was recognised: is that worth telling? */
static double score_of_nothing(const struct hunt_record *record, enum kind *out_kind)
{
    if (!is_web(record->resp_port) || (record->proto == HUNT_UDP && record->resp_port != 53))
        return 0;
    int64_t up = record->conn.orig_bytes, down = record->conn.resp_bytes;
    if (up == HUNT_UNSET || down == HUNT_UNSET || up < 0 || down < 0 || up + down == 0)
        return 0;
    if (record->conn.missed_bytes != HUNT_UNSET && record->conn.missed_bytes > 0)
        return 0;
    if (record->conn.orig_pkts <= 1 && record->conn.resp_pkts <= 1)
        return 0;
    if (record->proto == HUNT_UDP) {
        *out_kind = KIND_NOT_WEB;
        return up > 0 && down > 0 ? 0.4 : 0;
    }
    /* From its beginning on: else what was said first is not known. */
    if (record->conn.history.len == 0 || record->conn.history.at[0] != 'S')
        return 0;
    switch (record->conn.state) {
    case HUNT_SF:
    case HUNT_RSTO:
    case HUNT_RSTR:
        break;
    case HUNT_S1:
    case HUNT_S2:
    case HUNT_S3:
        /* Cut by the end of the capture, mostly: what it was may not have been known yet. */
        if (record->conn.duration < 60 * (int64_t)1000000000)
            return 0;
        break;
    case HUNT_STATE_NONE:
    case HUNT_S0:
    case HUNT_REJ:
    case HUNT_RSTOS0:
    case HUNT_RSTRH:
    case HUNT_SH:
    case HUNT_SHR:
    case HUNT_OTH:
        return 0;
    }
    /* An alert is all that a server says that wants no TLS, or no such. */
    if (record->resp_port == 443 && down == 7)
        return 0;
    if (up > 0 && down > 0) {
        *out_kind = KIND_NOT_WEB;
        return 0.4;
    }
    /* One side alone said something: a client without answer gives up by a reset, mostly. */
    *out_kind = KIND_SILENT;
    return record->conn.state == HUNT_SF ? 0.25 : 0;
}

static void take(const struct hunt_take *take, const struct hunt_record *record)
{
    if (!record->has_ends || (record->proto != HUNT_TCP && record->proto != HUNT_UDP) ||
        hunt_way(take->scope, &record->orig.addr, &record->resp.addr) == HUNT_IN)
        return;
    enum kind kind = KIND_ELSEWHERE;
    double score = record->conn.service.len > 0
                       ? score_of_service(record->conn.service, record->resp_port)
                       : score_of_nothing(record, &kind);
    if (score <= 0)
        return;
    struct key key = {
        .src = record->orig,
        .dst = record->resp,
        .service = record->conn.service.len > 0 ? book_text(take->book, record->conn.service) : 0,
        .port = record->resp_port,
        .proto = record->proto,
        .kind = (uint8_t)kind};
    struct value *value = book_at(take->book, &table, &key, NULL);
    if (!value)
        return;
    tell_see(&value->first, &value->last, value->n, hunt_ms(record->ts));
    value->n++;
    value->up += record->conn.orig_bytes > 0 ? (uint64_t)record->conn.orig_bytes : 0;
    value->down += record->conn.resp_bytes > 0 ? (uint64_t)record->conn.resp_bytes : 0;
    uint64_t ms = record->conn.duration > 0 ? (uint64_t)record->conn.duration / 1000000 : 0;
    value->longest = value->longest > ms ? value->longest : ms;
    uint32_t thousandths = (uint32_t)(score * 1000);
    value->score = value->score > thousandths ? value->score : thousandths;
    value->touched = take->round;
}

/* ---- judging ---- */

static void tell_title(struct finding *finding, const struct key *key, struct str service)
{
    const char *wanted = key->port == 443 ? "TLS" : key->port == 80 ? "HTTP" : "DNS";
    if (key->kind == KIND_ELSEWHERE)
        (void)snprintf(finding->title, sizeof finding->title, "%.40s on port %u",
                       tell_words(service).at, (unsigned)key->port);
    else
        (void)snprintf(finding->title, sizeof finding->title, "non-%s on port %u", wanted,
                       (unsigned)key->port);
}

static void judge_one(void *with, const void *key_at, const void *value_at)
{
    const struct hunt_judge *judge = with;
    const struct settings *settings = judge->settings;
    const struct key *key = key_at;
    const struct value *value = value_at;
    if (!tell_is_due(judge, value->first, value->last, value->touched) || value->n < settings->few)
        return;
    struct finding finding;
    finding_init(&finding, judge->hunt);
    finding.about = (uint64_t)key->kind << 32 | (uint64_t)key->proto << 16 | key->port;
    finding.confidence = value->n >= 3 ? 0.9 : 0.6;
    struct str service = key->service ? books_text(&judge->books, key->service) : STR("");
    tell_title(&finding, key, service);
    double score = value->score / 1000.0;
    if (key->kind == KIND_ELSEWHERE)
        finding_because(&finding, "%llu connection%s to port %u: %.40s",
                        (unsigned long long)value->n, value->n == 1 ? "" : "s", (unsigned)key->port,
                        tell_words(service).at);
    else
        finding_because(
            &finding,
            "%llu connection%s to port %u, seen from the beginning, of no known protocol: "
            "%llu bytes out, %llu in",
            (unsigned long long)value->n, value->n == 1 ? "" : "s", (unsigned)key->port,
            (unsigned long long)value->up, (unsigned long long)value->down);
    if (key->kind == KIND_SILENT)
        finding_because(&finding, "only one side said something");

    enum hunt_way way = hunt_way(judge->scope, &key->src.addr, &key->dst.addr);
    if (way == HUNT_INSIDE) {
        if (!settings->inside && score < 0.5)
            return;
        score *= 0.5;
        finding_because(&finding, "both ends are inside");
    } else {
        struct hunt_prevalence known = hunt_prevalence_of(judge, &key->dst);
        if (known.of >= 10 && known.n <= 1) {
            score += 0.1;
            finding_because(&finding, "no other of %u internal hosts knows the server", known.of);
        } else if (known.of >= 10 && known.n * 4 >= known.of) {
            score -= 0.2;
            finding_because(&finding, "but %u of %u internal hosts use the server", known.n,
                            known.of);
        }
    }
    if (value->longest >= 3600000) {
        score += 0.1;
        finding_because(&finding, "the longest lasted %.1f hours",
                        (double)value->longest / 3600000);
    }
    if (score < SCORE_MIN)
        return;
    finding.score = fmin(score, 1);
    tell_source(judge, &finding, &key->src);
    tell_destination(judge, &finding, &key->dst);
    tell_port(&finding, key->port, key->proto, service);
    finding.first = value->first;
    finding.last = value->last;
    finding.n = value->n;
    finding.bytes_up = value->up;
    finding.bytes_down = value->down;
    finding_number(&finding, "port", key->port);
    finding_number(&finding, "longest_s", (double)value->longest / 1000);
    (void)findings_add(judge->findings, &finding);
}

static void judge(const struct hunt_judge *judge)
{
    struct hunt_judge with = *judge;
    books_each(&judge->books, &table, judge->n_threads, judge_one, &with);
}

const struct hunt hunt_wrong_port = {
    .name = "wrong-port",
    .title = "Protocols on wrong ports",
    .summary = "connections that speak another protocol than their port is for, or none that is "
               "known",
    .logs = HUNT_LOG_BIT(HUNT_CONN),
    .tables = tables,
    .settings = rows,
    .settings_size = sizeof(struct settings),
    .defaults = defaults,
    .take = take,
    .judge = judge,
};
